//! The key of the box: Ed25519, made when it is first needed, kept beside the spool and readable by the daemon alone. It signs
//! reports of acceptance tests, in the form of minisign, so that a site can check them with other programs than ours.
//!
//! The signed comment says which box, when by its clock, who asked and what came of the test.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use sha2::{Digest, Sha256};

/// Documents of one report: data, pages and PDF in two languages, and room for more.
pub const MOST_DOCUMENTS: usize = 8;
/// Bytes of one of them.
pub const LARGEST: usize = 4 << 20;

const FOLDER: &str = "box-key";
const SECRET: &str = "box.key";
/// Bytes of a key file that is read.
const LONGEST_KEY: u64 = 4096;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {reason}", path.display())]
    Key { path: PathBuf, reason: String },
    #[error("it cannot be signed: {0}")]
    Sign(String),
    #[error("{0}")]
    Documents(String),
}

/// What is said about the documents, and signed with each.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    pub serial_number: &'a str,
    pub utc: &'a str,
    /// As the audit trail names the caller.
    pub by: &'a str,
    /// `pass` or `fail`.
    pub result: &'a str,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Attest {
    folder: PathBuf,
    serial_number: String,
    /// One key is made, not two.
    turn: Arc<Mutex<()>>,
}

impl Attest {
    /// Touches nothing before the key is needed.
    pub fn at(spool: &Path, serial_number: &str) -> Self {
        Self { folder: spool.join(FOLDER), serial_number: serial_number.to_owned(), turn: Arc::default() }
    }

    pub fn serial_number(&self) -> &str {
        &self.serial_number
    }

    /// The public key, as minisign writes it. Blocks.
    ///
    /// # Errors
    /// When the key cannot be read or made.
    pub fn public_key(&self) -> Result<String, Error> {
        let public = PublicKey::from_secret_key(&self.key()?).map_err(|error| Error::Sign(error.to_string()))?;
        let text = public.to_box().map_err(|error| Error::Sign(error.to_string()))?;
        Ok(text.into_string())
    }

    /// The signature of each document. Blocks.
    ///
    /// # Errors
    /// When the key cannot be read or made, or does not sign.
    pub fn sign(&self, documents: &[(String, Vec<u8>)], said: Said<'_>) -> Result<Vec<String>, Error> {
        let key = self.key()?;
        let one = |(name, bytes): &(String, Vec<u8>)| {
            let comment = comment(name, said);
            let untrusted = "signature of a Scanside box";
            let signed = minisign::sign(None, &key, bytes.as_slice(), Some(&comment), Some(untrusted));
            signed.map(|signature| signature.to_string()).map_err(|error| Error::Sign(error.to_string()))
        };
        documents.iter().map(one).collect()
    }

    fn key(&self) -> Result<SecretKey, Error> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.folder.join(SECRET);
        match OpenOptions::new().read(true).open(&path) {
            Ok(file) => read(file, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.make(&path),
            Err(source) => Err(Error::Io { path, source }),
        }
    }

    /// Written under another name first: a key of which half was written would be no key for ever.
    fn make(&self, path: &Path) -> Result<SecretKey, Error> {
        let failed = |source: io::Error| Error::Io { path: path.to_owned(), source };
        let pair = KeyPair::generate_unencrypted_keypair().map_err(|error| Error::Sign(error.to_string()))?;
        let text = pair.sk.to_box(Some("secret key of this Scanside box; it must not leave it"));
        let text = text.map_err(|error| Error::Sign(error.to_string()))?.into_string();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        let new = self.folder.join("box.key.new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&new, path).map_err(failed)?;
        fs::File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        tracing::info!(path = %path.display(), "the key of this box was made");
        Ok(pair.sk)
    }
}

fn read(file: fs::File, path: &Path) -> Result<SecretKey, Error> {
    let mut text = String::new();
    file.take(LONGEST_KEY).read_to_string(&mut text).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let broken = |error: minisign::PError| Error::Key { path: path.to_owned(), reason: error.to_string() };
    SecretKeyBox::from_string(&text).and_then(SecretKeyBox::into_unencrypted_secret_key).map_err(broken)
}

/// Parts of minisign's trusted comment are separated by tabs; nothing that stands in it may look like another part.
fn comment(name: &str, said: Said<'_>) -> String {
    let plain = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    format!(
        "acceptance test\tfile:{}\tresult:{}\tbox:{}\tutc:{}\tby:{}",
        plain(name),
        plain(said.result),
        plain(said.serial_number),
        plain(said.utc),
        plain(said.by)
    )
}

/// Refuses what no report looks like, and says in a line what is signed: for the audit trail.
///
/// # Errors
/// `Documents`.
pub fn described(result: &str, documents: &[(String, Vec<u8>)]) -> Result<String, Error> {
    let refuse = |why: String| Err(Error::Documents(why));
    if !["pass", "fail"].contains(&result) {
        return refuse(format!("{result:?} is neither pass nor fail"));
    }
    if documents.is_empty() || documents.len() > MOST_DOCUMENTS {
        return refuse(format!("{} documents; 1 to {MOST_DOCUMENTS} are signed", documents.len()));
    }
    let mut said = format!("acceptance test, {result}:");
    for (name, bytes) in documents {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if name.is_empty() || name.len() > 100 || name.starts_with('.') || !plain {
            return refuse("a document's name has letters, digits, '-', '_' and '.' only".into());
        }
        if bytes.is_empty() || bytes.len() > LARGEST {
            return refuse(format!("{name} has {} bytes; 1 to {LARGEST} are signed", bytes.len()));
        }
        said.push_str(&format!(" {name} sha256 {}", hex::encode(Sha256::digest(bytes))));
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use minisign::{PublicKeyBox, SignatureBox};

    use super::*;

    const SAID: Said<'_> =
        Said { serial_number: "SN\t1\n", utc: "2026-01-31T10:00:00Z", by: "user 1000", result: "pass" };

    fn verifies(public: &str, signature: &str, bytes: &[u8]) -> bool {
        let key = PublicKeyBox::from_string(public).unwrap().into_public_key().unwrap();
        let signature = SignatureBox::from_string(signature).unwrap();
        minisign::verify(&key, &signature, std::io::Cursor::new(bytes), true, false, false).is_ok()
    }

    #[test]
    fn a_box_has_one_key_that_only_it_reads_and_its_signature_holds_for_these_bytes_only() {
        let spool = tempfile::tempdir().unwrap();
        let attest = Attest::at(spool.path(), "SN-1");
        let public = attest.public_key().unwrap();
        let documents = [("a.json".to_owned(), b"pass".to_vec()), ("b.pdf".to_owned(), vec![0; 100_000])];
        let signatures = attest.sign(&documents, SAID).unwrap();
        let again = Attest::at(spool.path(), "SN-1");
        assert_eq!(again.public_key().unwrap(), public, "the key of before, also after a restart");
        for ((_, bytes), signature) in documents.iter().zip(&signatures) {
            assert!(verifies(&public, signature, bytes));
            assert!(!verifies(&public, signature, b"fail"), "other bytes");
        }
        let other = tempfile::tempdir().unwrap();
        let other = Attest::at(other.path(), "SN-1").public_key().unwrap();
        assert!(!verifies(&other, &signatures[0], b"pass"), "another box");
        let secret = fs::metadata(spool.path().join("box-key/box.key")).unwrap();
        assert_eq!(secret.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn nothing_in_the_signed_comment_can_look_like_another_part_of_it() {
        let spool = tempfile::tempdir().unwrap();
        let signed = Attest::at(spool.path(), "").sign(&[("a.json".to_owned(), b"x".to_vec())], SAID).unwrap();
        let comment = SignatureBox::from_string(&signed[0]).unwrap().trusted_comment().unwrap();
        assert_eq!(
            comment.split('\t').collect::<Vec<_>>(),
            ["acceptance test", "file:a.json", "result:pass", "box:SN 1 ", "utc:2026-01-31T10:00:00Z", "by:user 1000"]
        );
    }

    #[test]
    fn a_key_file_that_is_broken_is_told_and_not_replaced() {
        let spool = tempfile::tempdir().unwrap();
        let attest = Attest::at(spool.path(), "");
        attest.public_key().unwrap();
        let path = spool.path().join("box-key/box.key");
        fs::write(&path, "rotten").unwrap();
        assert!(matches!(attest.public_key(), Err(Error::Key { .. })));
        assert_eq!(fs::read_to_string(path).unwrap(), "rotten");
    }

    #[test]
    fn only_what_looks_like_a_report_is_signed() {
        let one = |name: &str, bytes: usize| vec![(name.to_owned(), vec![0; bytes])];
        let said = described("fail", &one("a.json", 3)).unwrap();
        assert!(said.starts_with("acceptance test, fail: a.json sha256 709e80c8"), "{said}");
        for (result, documents) in [
            ("fine", one("a.json", 1)),
            ("pass", Vec::new()),
            ("pass", vec![("a.json".to_owned(), vec![0]); MOST_DOCUMENTS + 1]),
            ("pass", one("a.json", 0)),
            ("pass", one("a.json", LARGEST + 1)),
            ("pass", one("../a", 1)),
            ("pass", one(".a", 1)),
            ("pass", one("a\tresult:pass", 1)),
        ] {
            assert!(matches!(described(result, &documents), Err(Error::Documents(_))), "{result} {}", documents.len());
        }
    }
}
