//! The model maker's side: signing a package. (`archive::pack` packs it.)

use crate::package::Package;

/// Why it cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not a minisign secret key: {0}")]
    Key(String),
    #[error("the key does not sign: {0}")]
    Sign(String),
    #[error("{}: {source}", path.display())]
    Io { path: std::path::PathBuf, source: std::io::Error },
}

/// The text of `model.toml.minisig` for a package, by the secret key in `key` (the text of a minisign key file). A key
/// that is encrypted asks for its password on the terminal unless it is given.
///
/// # Errors
/// See [`Error`].
pub fn sign(package: &Package, key: &str, password: Option<String>) -> Result<String, Error> {
    let path = package.directory.join(crate::package::MANIFEST);
    let manifest = std::fs::read(&path).map_err(|source| Error::Io { path, source })?;
    let of = |text: &str| minisign::SecretKeyBox::from_string(text).map_err(|error| Error::Key(error.to_string()));
    let key = match of(key)?.into_unencrypted_secret_key() {
        Ok(key) => key,
        Err(_) => of(key)?.into_secret_key(password).map_err(|error| Error::Key(error.to_string()))?,
    };
    let comment = format!("{} {}", package.manifest.id, package.manifest.version);
    minisign::sign(None, &key, manifest.as_slice(), Some(&comment), None)
        .map(|signature| signature.to_string())
        .map_err(|error| Error::Sign(error.to_string()))
}

/// The key whose secret half lies in the repository; only builds with the feature `development` trust it.
#[cfg(any(test, feature = "development"))]
pub const DEVELOPMENT_KEY: &str = include_str!("../keys/development.key");
