//! A model package: a directory with `model.toml` and the network it names. Opened means checked.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::manifest::Manifest;

/// A package whose manifest makes sense and whose network is the one the manifest was written for.
#[derive(Debug, Clone)]
pub struct Package {
    pub directory: PathBuf,
    pub manifest: Manifest,
    /// The ONNX file's bytes; their SHA-256 equals `manifest.sha256`.
    pub network: Vec<u8>,
}

/// Why a directory is no usable package. Each message names the file, and the key where there is one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{}: {message}", path.display())]
    Syntax { path: PathBuf, message: String },
    #[error("{}: {key}: {reason}", path.display())]
    Value { path: PathBuf, key: &'static str, reason: String },
    #[error("{}: sha256 is {found}, {} says {expected}", path.display(), manifest.display())]
    Hash { path: PathBuf, manifest: PathBuf, found: String, expected: String },
}

impl Package {
    /// Opens and verifies the package in `directory`.
    ///
    /// # Errors
    /// See [`Error`]: a file that cannot be read, a manifest that does not parse or holds a value out of range, a
    /// network that is not the one the manifest names.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let path = directory.join("model.toml");
        let text = std::fs::read_to_string(&path).map_err(|source| unreadable(&path, source))?;
        let manifest: Manifest = toml::from_str(&text)
            .map_err(|e| Error::Syntax { path: path.clone(), message: e.to_string().trim_end().to_owned() })?;
        check(&manifest).map_err(|(key, reason)| Error::Value { path: path.clone(), key, reason })?;

        let network_path = directory.join(&manifest.network);
        let network = std::fs::read(&network_path).map_err(|source| unreadable(&network_path, source))?;
        let found = hexadecimal(&Sha256::digest(&network));
        if found != manifest.sha256 {
            return Err(Error::Hash { path: network_path, manifest: path, found, expected: manifest.sha256 });
        }
        Ok(Self { directory: directory.to_path_buf(), manifest, network })
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> Error {
    Error::Unreadable { path: path.to_path_buf(), source }
}

/// Values that parse but cannot be worked with, as (key, reason).
fn check(manifest: &Manifest) -> Result<(), (&'static str, String)> {
    let Manifest { id, version, network, sha256, intended_use, input, thresholds, .. } = manifest;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if id.is_empty() || !id.chars().all(plain) {
        return Err(("id", format!("\"{id}\": letters, digits, '.', '_' and '-' only")));
    }
    if version.split('.').count() != 3 || !version.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(("version", format!("\"{version}\" is not like 1.2.3")));
    }
    // A package must not reach out of its own directory.
    if network.is_empty() || network.starts_with('.') || !network.chars().all(plain) {
        return Err(("network", format!("\"{network}\" is not a plain file name")));
    }
    if sha256.len() != 64 || !sha256.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
        return Err(("sha256", "not 64 lower-case hexadecimal digits".into()));
    }
    if !(intended_use.max_slice_spacing_mm > 0.0 && intended_use.max_slice_spacing_mm <= 20.0) {
        return Err(("intended_use.max_slice_spacing_mm", format!("{} mm", intended_use.max_slice_spacing_mm)));
    }
    if !(0.3..=5.0).contains(&input.spacing_mm) {
        return Err(("input.spacing_mm", format!("{} is not within 0.3 to 5", input.spacing_mm)));
    }
    if input.patch.iter().any(|n| !(8..=512).contains(n)) {
        return Err(("input.patch", format!("{:?}: each extent must be 8 to 512 voxels", input.patch)));
    }
    if input.patch.iter().any(|n| input.overlap * 2 > *n) {
        return Err(("input.overlap", format!("{} is more than half of a patch", input.overlap)));
    }
    if !(input.window_hu[0].is_finite() && input.window_hu[1].is_finite() && input.window_hu[0] < input.window_hu[1]) {
        return Err(("input.window_hu", format!("{:?} is not [low, high]", input.window_hu)));
    }
    for (key, value) in [("thresholds.confidence", thresholds.confidence), ("thresholds.mask", thresholds.mask)] {
        if !(value > 0.0 && value < 1.0) {
            return Err((key, format!("{value} is not between 0 and 1")));
        }
    }
    if !(0.0..=100.0).contains(&thresholds.min_diameter_mm) {
        return Err(("thresholds.min_diameter_mm", format!("{} mm", thresholds.min_diameter_mm)));
    }
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, b| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{b:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: &[u8] = b"a network";

    fn manifest() -> String {
        format!(
            r#"id = "ct-chest-nodules"
version = "0.1.0"
task = "ct_chest"
network = "nodules.onnx"
sha256 = "{}"
licence = "Apache-2.0"
clearance = "research"
[intended_use]
modality = "CT"
body_part = "CHEST"
max_slice_spacing_mm = 2.5
[input]
spacing_mm = 1.25
patch = [64, 96, 96]
overlap = 16
window_hu = [-1000.0, 400.0]
[thresholds]
confidence = 0.5
mask = 0.4
min_diameter_mm = 4.0
"#,
            hexadecimal(&Sha256::digest(NETWORK))
        )
    }

    fn opened(manifest: &str) -> Result<Package, Error> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("model.toml"), manifest).unwrap();
        std::fs::write(directory.path().join("nodules.onnx"), NETWORK).unwrap();
        Package::open(directory.path())
    }

    #[test]
    fn a_good_package_opens() {
        let package = opened(&manifest()).unwrap();
        assert_eq!(package.network, NETWORK);
        assert_eq!(package.manifest.input.patch, [64, 96, 96]);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let text = opened(&manifest().replace("overlap", "overlaps")).unwrap_err().to_string();
        assert!(text.contains("model.toml") && text.contains("overlaps") && text.contains("line"), "{text}");
    }

    #[test]
    fn a_changed_network_is_refused() {
        let other = manifest().replace(&hexadecimal(&Sha256::digest(NETWORK)), &"0".repeat(64));
        assert!(matches!(opened(&other), Err(Error::Hash { .. })), "{:?}", opened(&other));
    }

    #[test]
    fn a_value_out_of_range_is_refused_by_key() {
        for (from, to, key) in [
            ("network = \"nodules.onnx\"", "network = \"../nodules.onnx\"", "network"),
            ("confidence = 0.5", "confidence = nan", "thresholds.confidence"),
            ("overlap = 16", "overlap = 40", "input.overlap"),
            ("[-1000.0, 400.0]", "[400.0, -1000.0]", "input.window_hu"),
            ("spacing_mm = 1.25", "spacing_mm = 0.0", "input.spacing_mm"),
        ] {
            let error = opened(&manifest().replace(from, to)).unwrap_err();
            assert!(matches!(&error, Error::Value { key: k, .. } if *k == key), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Package::open(directory.path()).unwrap_err().to_string().contains("model.toml"));
        std::fs::write(directory.path().join("model.toml"), manifest()).unwrap();
        assert!(Package::open(directory.path()).unwrap_err().to_string().contains("nodules.onnx"));
    }
}
