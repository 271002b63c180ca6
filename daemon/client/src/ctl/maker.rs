//! `models sign`, `pack`, and `verify` of what lies here: no daemon needed.

use std::fs::File;
use std::path::{Path, PathBuf};

use models::package::{Package, SIGNATURE};
use models::signature::Trust;
use models::{archive, maker};

use super::config::broken;
use super::failure::Failure;
use super::output::{Output, bytes};

/// Is it a file or a directory, also one that is missing, and not the name of a package on the appliance?
pub fn is_here(package: &str) -> bool {
    package.contains('/') || package.ends_with(".scanside") || Path::new(package).exists()
}

pub fn sign(directory: &Path, key: &Path, output: &Output) -> Result<(), Failure> {
    let package = open(directory)?;
    let path = directory.join(SIGNATURE);
    write(&path, &signature(&package, key)?)?;
    if output.is_json() {
        return output.json(&serde_json::json!({ "signature": path }));
    }
    output.line(&format!("{} {} signed.", package.manifest.id, package.manifest.version))
}

pub fn pack(directory: &Path, key: Option<&Path>, out: Option<PathBuf>, output: &Output) -> Result<(), Failure> {
    let package = open(directory)?;
    let signature = match key {
        Some(key) => signature(&package, key)?,
        None => std::fs::read_to_string(directory.join(SIGNATURE)).map_err(|_| {
            Failure::new("the package is not signed", "give --key FILE, or `scansidectl models sign` it")
        })?,
    };
    let manifest = &package.manifest;
    let out = out.unwrap_or_else(|| format!("{}-{}.scanside", manifest.id, manifest.version).into());
    archive::pack(&package, &signature, &out)
        .map_err(|error| Failure::new(error.to_string(), "check that --out can be written"))?;
    let size = std::fs::metadata(&out).map_or(0, |metadata| metadata.len());
    if output.is_json() {
        return output.json(&serde_json::json!({ "file": out, "bytes": size, "sha256": package.sha256 }));
    }
    output.line(&format!("{} {} packed: {}, {}", manifest.id, manifest.version, out.display(), bytes(size)))
}

/// The checks of an installation, on this machine and with its keys.
pub fn verify(path: &Path, keys: Vec<PathBuf>, output: &Output) -> Result<(), Failure> {
    let keys = if keys.is_empty() { config::load(&[]).map_err(|error| broken(&error))?.models.keys } else { keys };
    let (trust, unreadable) = Trust::load(&keys);
    if let Some(error) = unreadable.first() {
        return Err(Failure::new(error.to_string(), "correct or remove that key file"));
    }
    let refused = |reason: String| {
        Failure::new(
            format!("{} is refused: {reason}", path.display()),
            "get the package again from its maker; keys of accepted makers are in the directories of models.keys (configuration)",
        )
    };
    let (package, signer) = if path.is_dir() {
        let package = Package::open(path).map_err(|error| refused(error.to_string()))?;
        let signer = trust.directory(path).map_err(|error| refused(error.to_string()))?;
        (package, signer)
    } else {
        let file = File::open(path).map_err(|error| Failure::new(format!("{}: {error}", path.display()), ""))?;
        let into = tempfile::tempdir().map_err(|error| Failure::new(error.to_string(), "is there room in TMPDIR?"))?;
        let limits = archive::Limits::default();
        let (_, signer) =
            archive::unpack(file, into.path(), &trust, limits).map_err(|error| refused(error.to_string()))?;
        (Package::open(into.path()).map_err(|error| refused(error.to_string()))?, signer)
    };
    let manifest = &package.manifest;
    if output.is_json() {
        return output.json(&serde_json::json!({
            "id": manifest.id,
            "version": manifest.version,
            "task": manifest.task,
            "clearance": manifest.clearance,
            "signer": signer.to_string(),
            "sha256": package.sha256,
        }));
    }
    let files = manifest.files.len();
    output.line(&format!("{} {} is intact: {signer}, {files} files as signed.", manifest.id, manifest.version))
}

fn open(directory: &Path) -> Result<Package, Failure> {
    Package::open(directory).map_err(|error| {
        Failure::new(
            error.to_string(),
            "model.toml must name every file of the package with its sha256; see models/README.md",
        )
    })
}

fn signature(package: &Package, key: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(key)
        .map_err(|error| Failure::new(format!("{}: {error}", key.display()), "give the secret key file of minisign"))?;
    maker::sign(package, &text, None)
        .map_err(|error| Failure::new(error.to_string(), "is it the secret key, and the right password?"))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::new(format!("{}: {error}", path.display()), "is it writable?"))
}
