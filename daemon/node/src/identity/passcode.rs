//! Passcodes by their hash: PBKDF2 with HMAC-SHA-256 (RFC 8018), a salt of its own for each.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};
use serde::{Deserialize, Serialize};

const SCHEME: &str = "pbkdf2-sha256";
/// Of new hashes: a fifth of a second of a processor in a clinic's box.
pub const ROUNDS: u32 = 600_000;
/// Fewer would be no protection, more would hold up the sender.
const ALLOWED: std::ops::RangeInclusive<u32> = 1000..=10_000_000;
const SALT: usize = 16;

/// `pbkdf2-sha256:ROUNDS:SALT:HASH`, both in hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hashed {
    rounds: NonZeroU32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

/// Why a text is no hash. The text is not shown: it may be the passcode itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the passcode is no hash (pbkdf2-sha256:ROUNDS:SALT:HASH): `scansidectl peers user NAME` makes one")]
pub struct NoHash;

/// The system gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandom;

impl Hashed {
    /// With a new salt.
    ///
    /// # Errors
    /// `NoRandom`.
    pub fn of(passcode: &[u8]) -> Result<Self, NoRandom> {
        Self::make(passcode, ROUNDS)
    }

    pub(super) fn make(passcode: &[u8], rounds: u32) -> Result<Self, NoRandom> {
        let rounds = NonZeroU32::new(rounds).unwrap_or(NonZeroU32::MIN);
        let mut salt = vec![0; SALT];
        SystemRandom::new().fill(&mut salt).map_err(|_| NoRandom)?;
        let mut hash = vec![0; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, passcode, &mut hash);
        Ok(Self { rounds, salt, hash })
    }

    /// One that no passcode fits, and that takes as long to check.
    pub(super) fn of_nobody() -> Self {
        let rounds = NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN);
        Self { rounds, salt: vec![0; SALT], hash: vec![0; digest::SHA256_OUTPUT_LEN] }
    }

    /// Takes as long as the rounds want, whatever the answer.
    pub(super) fn fits(&self, passcode: &[u8]) -> bool {
        pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, self.rounds, &self.salt, passcode, &self.hash).is_ok()
    }
}

impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashed(...)")
    }
}

impl FromStr for Hashed {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        let parts: Vec<&str> = text.split(':').collect();
        let [SCHEME, rounds, salt, hash] = parts[..] else { return Err(NoHash) };
        let rounds: NonZeroU32 = rounds.parse().map_err(|_| NoHash)?;
        let (salt, hash) = (hex::decode(salt).map_err(|_| NoHash)?, hex::decode(hash).map_err(|_| NoHash)?);
        let is_good = ALLOWED.contains(&rounds.get()) && salt.len() >= SALT && hash.len() == digest::SHA256_OUTPUT_LEN;
        if is_good { Ok(Self { rounds, salt, hash }) } else { Err(NoHash) }
    }
}

impl TryFrom<String> for Hashed {
    type Error = NoHash;

    fn try_from(text: String) -> Result<Self, NoHash> {
        text.parse()
    }
}

impl From<Hashed> for String {
    fn from(hashed: Hashed) -> Self {
        let Hashed { rounds, salt, hash } = hashed;
        format!("{SCHEME}:{rounds}:{}:{}", hex::encode(salt), hex::encode(hash))
    }
}

/// Passcodes that were right, so that a scanner with an association for each image pays once: in memory only, and there by a keyed
/// hash.
pub(super) struct Remembered {
    key: Option<hmac::Key>,
    right: Vec<(Hashed, Vec<u8>)>,
}

/// More users than a site has.
const MOST: usize = 64;

impl Default for Remembered {
    fn default() -> Self {
        Self { key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(), right: Vec::new() }
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered").field("right", &self.right.len()).finish_non_exhaustive()
    }
}

impl Remembered {
    pub(super) fn knows(&self, hash: &Hashed, passcode: &[u8]) -> bool {
        let Some(key) = &self.key else { return false };
        let known = self.right.iter().find(|(of, _)| of == hash);
        known.is_some_and(|(_, tag)| hmac::verify(key, passcode, tag).is_ok())
    }

    pub(super) fn add(&mut self, hash: &Hashed, passcode: &[u8]) {
        let Some(key) = &self.key else { return };
        let tag = hmac::sign(key, passcode).as_ref().to_vec();
        if self.right.len() >= MOST {
            self.right.remove(0);
        }
        self.right.retain(|(of, _)| of != hash);
        self.right.push((hash.clone(), tag));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7914 section 11: PBKDF2-HMAC-SHA-256 of "passwd", "salt", 1 round (its first 32 bytes).
    #[test]
    fn a_hash_is_that_of_the_rfc_and_only_the_passcode_fits_it() {
        let hash = "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc";
        let known = Hashed { rounds: NonZeroU32::MIN, salt: b"salt".to_vec(), hash: hex::decode(hash).unwrap() };
        assert!(known.fits(b"passwd") && !known.fits(b"passwd ") && !known.fits(b""));
    }

    #[test]
    fn a_hash_is_written_as_it_is_read_and_each_has_its_own_salt() {
        let (one, two) = (Hashed::make(b"word", 1000).unwrap(), Hashed::make(b"word", 1000).unwrap());
        assert_ne!(one, two);
        let text = String::from(one.clone());
        assert_eq!(text.parse(), Ok(one));
        assert!(text.starts_with("pbkdf2-sha256:1000:") && !text.contains("word"), "{text}");
    }

    #[test]
    fn a_plain_passcode_or_a_weak_hash_is_refused_and_not_shown() {
        let (salt, hash) = ("00".repeat(16), "00".repeat(32));
        for text in [
            "Secret",
            "",
            &format!("pbkdf2-sha256:10:{salt}:{hash}"),
            &format!("pbkdf2-sha256:600000:00:{hash}"),
            &format!("pbkdf2-sha256:600000:{salt}:00"),
            &format!("md5:600000:{salt}:{hash}"),
        ] {
            let refused = text.parse::<Hashed>().unwrap_err();
            assert!(!refused.to_string().contains("Secret"));
        }
    }

    #[test]
    fn what_was_right_once_is_known_for_its_own_hash_only() {
        let (one, two) = (Hashed::make(b"word", 1000).unwrap(), Hashed::make(b"word", 1000).unwrap());
        let mut remembered = Remembered::default();
        remembered.add(&one, b"word");
        assert!(remembered.knows(&one, b"word"));
        assert!(!remembered.knows(&one, b"other") && !remembered.knows(&two, b"word"));
    }
}
