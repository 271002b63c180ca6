//! A model package: a directory with `model.toml` and the files it names. Opened means checked: every file is the one
//! the manifest was written for, and there is no other.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::manifest::{self, Manifest, Variant};

/// The manifest and its detached signature; all other files are named by the manifest.
pub const MANIFEST: &str = "model.toml";
pub const SIGNATURE: &str = "model.toml.minisig";

/// A longer file is refused as a manifest, bytes.
const LONGEST_MANIFEST: u64 = 256 << 10;

/// A package whose manifest makes sense and whose files are the ones the manifest was written for.
#[derive(Debug, Clone)]
pub struct Package {
    pub directory: PathBuf,
    pub manifest: Manifest,
    /// SHA-256 of `model.toml`, lower-case hexadecimal: as that names every other file by hash, it names the package.
    pub sha256: String,
}

/// Why a directory is no usable package. Each message names the file, and the key where there is one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{}: {message}", path.display())]
    Syntax { path: PathBuf, message: String },
    #[error("{}: {}: {}", path.display(), bad.key, bad.reason)]
    Value { path: PathBuf, bad: manifest::BadValue },
    #[error("{}: sha256 is {found}, {MANIFEST} says {expected}", path.display())]
    Hash { path: PathBuf, found: String, expected: String },
    #[error("{}: not in [files] of {MANIFEST}", path.display())]
    Unlisted { path: PathBuf },
    #[error("{}: neither a regular file nor a directory", path.display())]
    NotAFile { path: PathBuf },
    #[error("{}: no variant for {provider}", path.display())]
    NoVariant { path: PathBuf, provider: String },
}

impl Package {
    /// Opens and verifies the package in `directory`: manifest, hash of every file, no other file. Its signature is
    /// the matter of [`crate::signature`].
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let (manifest, sha256) = self::manifest(directory)?;
        for (name, expected) in &manifest.files {
            hashed(directory, name, expected)?;
        }
        nothing_else(directory, Path::new(""), &manifest)?;
        Ok(Self { directory: directory.to_path_buf(), manifest, sha256 })
    }

    /// The bytes of a file of the package, checked again: the disk may have changed since the package was opened.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::Hash`], [`Error::Unlisted`].
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let path = || self.directory.join(name);
        let expected = self.manifest.files.get(name).ok_or_else(|| Error::Unlisted { path: path() })?;
        hashed(&self.directory, name, expected)
    }

    /// The variants for an accelerator (`provider` as in `hal::accel::Description`), never none.
    ///
    /// # Errors
    /// [`Error::NoVariant`].
    pub fn fitting(&self, provider: &str) -> Result<Vec<&Variant>, Error> {
        let fitting = self.manifest.fitting(provider);
        let none = || Error::NoVariant { path: self.directory.clone(), provider: provider.to_owned() };
        if fitting.is_empty() { Err(none()) } else { Ok(fitting) }
    }

    /// The first variant for an accelerator, and its network.
    ///
    /// # Errors
    /// As [`Package::fitting`] and [`Package::read`].
    pub fn network(&self, provider: &str) -> Result<(&Variant, Vec<u8>), Error> {
        let variant = self.fitting(provider)?[0];
        Ok((variant, self.read(&variant.network)?))
    }
}

/// The manifest alone, and its SHA-256. The files it names are not looked at.
///
/// # Errors
/// [`Error::Unreadable`], [`Error::Syntax`], [`Error::Value`].
pub fn manifest(directory: &Path) -> Result<(Manifest, String), Error> {
    let path = directory.join(MANIFEST);
    let size = std::fs::symlink_metadata(&path).map_err(|source| unreadable(&path, source))?;
    if !size.is_file() || size.len() > LONGEST_MANIFEST {
        let message = "not a regular file of at most 256 KiB".into();
        return Err(Error::Syntax { path, message });
    }
    let text = std::fs::read_to_string(&path).map_err(|source| unreadable(&path, source))?;
    let manifest = Manifest::parse(&text).map_err(|error| match error {
        manifest::Error::Syntax(message) => Error::Syntax { path: path.clone(), message },
        manifest::Error::Value(bad) => Error::Value { path: path.clone(), bad },
    })?;
    Ok((manifest, hex::encode(Sha256::digest(text.as_bytes()))))
}

fn hashed(directory: &Path, name: &str, expected: &str) -> Result<Vec<u8>, Error> {
    let path = directory.join(name);
    if std::fs::symlink_metadata(&path).is_ok_and(|m| !m.is_file()) {
        return Err(Error::NotAFile { path });
    }
    let bytes = std::fs::read(&path).map_err(|source| unreadable(&path, source))?;
    let found = hex::encode(Sha256::digest(&bytes));
    if found == expected { Ok(bytes) } else { Err(Error::Hash { path, found, expected: expected.to_owned() }) }
}

/// Refuses what the manifest does not name. Depth is bounded: a directory that holds no named file is refused.
fn nothing_else(root: &Path, below: &Path, manifest: &Manifest) -> Result<(), Error> {
    let directory = root.join(below);
    for entry in std::fs::read_dir(&directory).map_err(|source| unreadable(&directory, source))? {
        let entry = entry.map_err(|source| unreadable(&directory, source))?;
        let (path, name) = (entry.path(), below.join(entry.file_name()));
        let kind = entry.file_type().map_err(|source| unreadable(&path, source))?;
        let known =
            |file: &String| if kind.is_dir() { Path::new(file).starts_with(&name) } else { Path::new(file) == name };
        let own = kind.is_file() && [MANIFEST, SIGNATURE].iter().any(|own| name == Path::new(own));
        if !kind.is_dir() && !kind.is_file() {
            return Err(Error::NotAFile { path });
        }
        if !own && !manifest.files.keys().any(known) {
            return Err(Error::Unlisted { path });
        }
        if kind.is_dir() {
            nothing_else(root, &name, manifest)?;
        }
    }
    Ok(())
}

fn unreadable(path: &Path, source: std::io::Error) -> Error {
    Error::Unreadable { path: path.to_path_buf(), source }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const NETWORK: &[u8] = b"a network";

    /// A small package that opens.
    pub(crate) fn good() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(MANIFEST), manifest()).unwrap();
        std::fs::write(directory.path().join("nodules.onnx"), NETWORK).unwrap();
        std::fs::create_dir(directory.path().join("golden")).unwrap();
        std::fs::write(directory.path().join("golden/note"), b"").unwrap();
        directory
    }

    fn manifest() -> String {
        format!(
            r#"format = 1
id = "test"
version = "1.0.0"
task = "ct_chest"
licence = "Apache-2.0"
clearance = "research"
[intended_use]
modality = "CT"
body_part = "CHEST"
[intended_use.findings.nodule]
[input]
spacing_mm = 1.5
patch = [64, 96, 96]
overlap = 16
windows_hu = [[-1000.0, 400.0]]
[outputs]
channels = ["nodule"]
[thresholds.nodule]
confidence = 0.5
mask = 0.4
min_size = 4.0
[[variants]]
accelerator = "any"
precision = "fp32"
network = "nodules.onnx"
[files]
"nodules.onnx" = "{}"
"golden/note" = "{}"
"#,
            hex::encode(Sha256::digest(NETWORK)),
            hex::encode(Sha256::digest(b""))
        )
    }

    /// The package after `change`, opened.
    fn opened(change: impl FnOnce(&Path)) -> Result<Package, Error> {
        let directory = good();
        change(directory.path());
        Package::open(directory.path())
    }

    #[test]
    fn a_good_package_opens_and_gives_its_network() {
        let directory = good();
        let package = Package::open(directory.path()).unwrap();
        assert_eq!(package.network("cpu").unwrap().1, NETWORK);
        std::fs::write(directory.path().join("nodules.onnx"), b"another").unwrap();
        assert!(matches!(package.network("cpu"), Err(Error::Hash { .. })), "changed after it was opened");
    }

    #[test]
    fn a_changed_file_is_refused() {
        let error = opened(|d| std::fs::write(d.join("golden/note"), b"x").unwrap()).unwrap_err();
        assert!(matches!(&error, Error::Hash { path, .. } if path.ends_with("golden/note")), "{error}");
    }

    #[test]
    fn a_file_or_directory_that_is_not_named_is_refused() {
        for place in ["more.onnx", "golden/more", ".hidden"] {
            let error = opened(|d| std::fs::write(d.join(place), b"").unwrap()).unwrap_err();
            assert!(matches!(&error, Error::Unlisted { path } if path.ends_with(place)), "{error}");
        }
        let error = opened(|d| std::fs::create_dir(d.join("empty")).unwrap()).unwrap_err();
        assert!(matches!(&error, Error::Unlisted { path } if path.ends_with("empty")), "{error}");
    }

    #[test]
    fn a_link_is_refused_even_when_it_leads_to_the_right_bytes() {
        let error = opened(|d| {
            std::fs::rename(d.join("nodules.onnx"), d.join("golden/away")).unwrap();
            std::os::unix::fs::symlink("golden/away", d.join("nodules.onnx")).unwrap();
        });
        assert!(matches!(error, Err(Error::NotAFile { .. })), "{error:?}");
    }

    #[test]
    fn a_missing_file_is_named() {
        for name in [MANIFEST, "nodules.onnx"] {
            let error = opened(|d| std::fs::remove_file(d.join(name)).unwrap()).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn the_packages_of_this_repository_open() {
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/packages")).unwrap() {
            let directory = entry.unwrap().path();
            // A directory whose network is not trained yet has no manifest.
            if directory.join(MANIFEST).exists() {
                Package::open(&directory).unwrap();
            }
        }
    }
}
