//! Who made a package: a detached minisign signature (ed25519) over `model.toml`, which names every other file by hash.

use std::path::{Path, PathBuf};

use minisign_verify::{PublicKey, Signature};

/// The key whose secret half lies in the repository: it proves nothing, and only development builds accept it. The feature
/// is on by default, for demo and tests; a release profile leaves the key out all the same, so that a plain
/// `cargo build --release` trusts only what is installed.
#[cfg(all(feature = "development", debug_assertions))]
const DEVELOPMENT_KEY: &str = include_str!("../keys/development.pub");

/// Who signed a package, as shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// Name of the file the key was read from, without its ending.
    Key(String),
    /// Worthless: development builds only.
    DevelopmentKey,
    /// A directory that nobody signed: development builds only.
    Unsigned,
    /// Came with the software, which was signed as a whole.
    BuiltIn,
}

impl std::fmt::Display for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(name) => write!(f, "signed by {name}"),
            Self::DevelopmentKey => f.write_str("signed with the development key (development)"),
            Self::Unsigned => f.write_str("unsigned (development)"),
            Self::BuiltIn => f.write_str("shipped with the software"),
        }
    }
}

/// Why a signature is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the package is not signed")]
    Unsigned,
    #[error("the signature cannot be read: {0}")]
    Malformed(String),
    #[error("the package is signed with a key that is not trusted here")]
    UnknownKey,
    #[error("the signature is not that of this model.toml: it was changed after it was signed")]
    Wrong,
    #[error("{}: {reason}", path.display())]
    Key { path: PathBuf, reason: String },
    /// Says nothing about the signature.
    #[error("{}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
}

struct Key {
    signer: Signer,
    key: PublicKey,
}

/// The keys that are trusted.
#[derive(Default)]
pub struct Trust {
    keys: Vec<Key>,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.signer)).finish()
    }
}

impl Trust {
    /// All `*.pub` files of the directories, which need not exist; in development builds the development key too. A key
    /// that cannot be read is left out and answered: a site that lost its key must hear of it, and no other key suffers.
    pub fn load(directories: &[PathBuf]) -> (Self, Vec<Error>) {
        let (mut trust, mut errors) = (Self::default(), Vec::new());
        for directory in directories {
            let Ok(entries) = std::fs::read_dir(directory) else { continue };
            let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            for path in paths.into_iter().filter(|path| path.extension().is_some_and(|e| e == "pub")) {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
                let added = text.and_then(|text| trust.add(Signer::Key(name), &text));
                errors.extend(added.err().map(|reason| Error::Key { path, reason }));
            }
        }
        #[cfg(all(feature = "development", debug_assertions))]
        errors.extend(
            trust
                .add(Signer::DevelopmentKey, DEVELOPMENT_KEY)
                .err()
                .map(|reason| Error::Key { path: "development key".into(), reason }),
        );
        (trust, errors)
    }

    fn add(&mut self, signer: Signer, text: &str) -> Result<(), String> {
        let key = PublicKey::decode(text.trim()).map_err(|error| format!("not a minisign public key: {error}"))?;
        self.keys.push(Key { signer, key });
        Ok(())
    }

    /// Checks the signature (the text of `model.toml.minisig`) over the bytes of `model.toml`.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::UnknownKey`], [`Error::Wrong`].
    pub fn verify(&self, manifest: &[u8], signature: &str) -> Result<Signer, Error> {
        one_form(signature).map_err(|reason| Error::Malformed(reason.into()))?;
        let signature = Signature::decode(signature).map_err(|error| Error::Malformed(error.to_string()))?;
        let mut refusal = Error::UnknownKey;
        for Key { signer, key } in &self.keys {
            match key.verify(manifest, &signature, false) {
                Ok(()) => return Ok(signer.clone()),
                // The key's id is in the signature: another key's signature says nothing about this manifest.
                Err(minisign_verify::Error::UnexpectedKeyId) => {}
                Err(_) => refusal = Error::Wrong,
            }
        }
        Err(refusal)
    }

    /// Checks the signature of a directory. In development builds an unsigned directory is let pass, and named so.
    ///
    /// # Errors
    /// As [`Trust::verify`], [`Error::Unsigned`] and [`Error::Unreadable`].
    pub fn directory(&self, directory: &Path) -> Result<Signer, Error> {
        let read = |name: &str| {
            let path = directory.join(name);
            std::fs::read(&path).map_err(|source| Error::Unreadable { path, source })
        };
        let signature = match read(crate::package::SIGNATURE) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| Error::Malformed("not UTF-8".into()))?,
            Err(Error::Unreadable { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return if cfg!(all(feature = "development", debug_assertions)) {
                    Ok(Signer::Unsigned)
                } else {
                    Err(Error::Unsigned)
                };
            }
            Err(error) => return Err(error),
        };
        self.verify(&read(crate::package::MANIFEST)?, &signature)
    }
}

/// Minisign's text, four lines, can be written in several ways that mean the same. Only one is accepted, so that nothing can
/// hide in the others. (What the untrusted comment says is free by design: nothing signs it.)
fn one_form(text: &str) -> Result<(), &'static str> {
    let lines: Vec<&str> = text.split('\n').collect();
    let [untrusted, _, trusted, _, ""] = lines[..] else { return Err("not four lines") };
    if !untrusted.starts_with("untrusted comment: ") || !trusted.starts_with("trusted comment: ") {
        return Err("the comments are not where they belong");
    }
    // Minisign separates the parts of its trusted comment by tabs.
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err("control characters");
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod testing {
    use super::{Signer, Trust};

    /// A key of its own for each test.
    pub(crate) struct Maker(minisign::KeyPair);

    impl Maker {
        pub(crate) fn new() -> Self {
            Self(minisign::KeyPair::generate_unencrypted_keypair().unwrap())
        }

        pub(crate) fn trust(&self) -> Trust {
            let mut trust = Trust::default();
            let text = self.0.pk.to_box().unwrap().to_string();
            trust.add(Signer::Key("maker".into()), &text).unwrap();
            trust
        }

        pub(crate) fn sign(&self, manifest: &[u8]) -> String {
            minisign::sign(None, &self.0.sk, manifest, None, None).unwrap().to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_cannot_be_read_is_named_and_the_others_count() {
        let keys = tempfile::tempdir().unwrap();
        std::fs::write(keys.path().join("a.pub"), "noise").unwrap();
        std::fs::write(keys.path().join("b.pub"), include_str!("../keys/development.pub")).unwrap();
        std::fs::write(keys.path().join("notes.txt"), "not a key").unwrap();
        let (trust, errors) = Trust::load(&[keys.path().into(), "/nonexistent".into()]);
        assert!(trust.keys.iter().any(|key| key.signer == Signer::Key("b".into())));
        assert!(matches!(errors.as_slice(), [Error::Key { path, .. }] if path.ends_with("a.pub")), "{errors:?}");
    }
}
