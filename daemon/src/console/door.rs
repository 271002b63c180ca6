//! The login for other machines: one token for the site, a random cookie for each browser.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::Instant;

const COOKIE: &str = "scanside";
/// How long a login lasts: a working day.
const LASTS: Duration = Duration::from_secs(12 * 3600);
/// The most logins; above it the oldest ends.
const MOST: usize = 64;
/// Delay after a wrong token, which makes guessing impractical. The number of delayed attempts is limited; further ones
/// are rejected.
const PENALTY: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 4;
const SHORTEST: usize = 16;

type Hash = [u8; 32];

fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    WrongToken,
    /// Too many attempts at the same time.
    Busy,
    /// No token is configured, or the system has no random numbers.
    Closed,
}

/// The logins. It has only hashes, so that neither token nor cookies can appear in a log.
#[derive(Debug)]
pub struct Door {
    token: Option<Hash>,
    logins: Mutex<VecDeque<(Hash, Instant)>>,
    attempts: Semaphore,
}

impl Door {
    /// Without a token file no login is possible, and only this machine has access.
    ///
    /// # Errors
    /// When the file cannot be read or its first line is too short.
    pub fn new(token_file: Option<&Path>) -> Result<Self, String> {
        let token = token_file.map(read).transpose()?;
        Ok(Self { token, logins: Mutex::default(), attempts: Semaphore::new(AT_ONCE) })
    }

    /// Checks a token. Returns the value of `Set-Cookie`.
    ///
    /// # Errors
    /// [`Denied`]; after a delay if the token is wrong.
    pub async fn enter(&self, token: &str) -> Result<String, Denied> {
        let _attempt = self.attempts.try_acquire().map_err(|_| Denied::Busy)?;
        let wanted = self.token.ok_or(Denied::Closed)?;
        if !bool::from(hash(token.trim()).ct_eq(&wanted)) {
            tokio::time::sleep(PENALTY).await;
            return Err(Denied::WrongToken);
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| Denied::Closed)?;
        let cookie = hex::encode(random);
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        logins.push_back((hash(&cookie), Instant::now() + LASTS));
        while logins.len() > MOST {
            logins.pop_front();
        }
        // Without `Secure`, because the page is served without TLS.
        Ok(format!("{COOKIE}={cookie}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict", LASTS.as_secs()))
    }

    pub fn knows(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let ours = cookies.flat_map(|all| all.split(';')).filter_map(|one| one.trim().split_once('='));
        let mut ours = ours.filter(|(name, _)| *name == COOKIE).map(|(_, value)| hash(value));
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        logins.retain(|(_, until)| *until > Instant::now());
        ours.any(|shown| logins.iter().any(|(login, _)| bool::from(login.ct_eq(&shown))))
    }
}

fn read(file: &Path) -> Result<Hash, String> {
    use std::os::unix::fs::PermissionsExt;
    let told = |error: std::io::Error| format!("console.token_file {}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(told)?;
    let token = text.lines().next().unwrap_or_default().trim();
    if token.len() < SHORTEST {
        return Err(format!("console.token_file {}: fewer than {SHORTEST} characters", file.display()));
    }
    if std::fs::metadata(file).map_err(told)?.permissions().mode() & 0o007 != 0 {
        tracing::warn!(file = %file.display(), "all users of this machine can read console.token_file; restrict its permissions");
    }
    Ok(hash(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Door {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "correct horse battery\nsecond line\n").unwrap();
        Door::new(Some(file.path())).unwrap()
    }

    fn shown(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = format!("other=1; {}", cookie.split(';').next().unwrap());
        headers.insert(header::COOKIE, value.parse().unwrap());
        headers
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_lasts_a_day_and_a_wrong_token_takes_its_time() {
        let door = door();
        let begun = Instant::now();
        assert_eq!(door.enter("correct horse").await, Err(Denied::WrongToken));
        assert!(begun.elapsed() >= PENALTY);
        let cookie = door.enter(" correct horse battery ").await.unwrap();
        assert!(cookie.ends_with("HttpOnly; SameSite=Strict"), "{cookie}");
        assert!(door.knows(&shown(&cookie)));
        assert!(!door.knows(&shown("scanside=0000")) && !door.knows(&HeaderMap::new()));
        tokio::time::advance(LASTS).await;
        assert!(!door.knows(&shown(&cookie)));
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_wait_in_a_short_line_and_old_logins_end() {
        let door = door();
        let mut first = None;
        for _ in 0..=MOST {
            let cookie = door.enter("correct horse battery").await.unwrap();
            first.get_or_insert(cookie);
        }
        assert!(!door.knows(&shown(&first.unwrap())));
        let guesses: Vec<_> = (0..=AT_ONCE).map(|n| n.to_string()).collect();
        let answers = futures_util::future::join_all(guesses.iter().map(|guess| door.enter(guess))).await;
        assert_eq!(answers.iter().filter(|answer| **answer == Err(Denied::Busy)).count(), 1);
    }

    #[test]
    fn a_token_that_is_short_or_not_there_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "short\n").unwrap();
        assert!(Door::new(Some(file.path())).unwrap_err().ends_with("fewer than 16 characters"));
        assert!(Door::new(Some(Path::new("/nonexistent"))).unwrap_err().contains("No such file"));
    }
}
