//! Where what lies. Everything is below one directory, on one file system, so that a rename is atomic.
//!
//! ```text
//! packages/<id>/<version>/     complete, checked packages
//! records/<id>/<version>.toml  what came of building them here
//! tasks/<task>.toml            what each task uses
//! engines/                     what accelerators keep; may be removed at any time
//! staging/                     half done; swept at start
//! ```

use std::path::{Path, PathBuf};

use super::Key;

pub fn packages(directory: &Path) -> PathBuf {
    directory.join("packages")
}

pub fn package(directory: &Path, key: &Key) -> PathBuf {
    packages(directory).join(&key.id).join(&key.version)
}

pub fn record(directory: &Path, key: &Key) -> PathBuf {
    // Not `with_extension`: a version has dots.
    directory.join("records").join(&key.id).join(format!("{}.toml", key.version))
}

pub fn task(directory: &Path, task: &str) -> PathBuf {
    directory.join("tasks").join(format!("{task}.toml"))
}

pub fn engines(directory: &Path) -> PathBuf {
    directory.join("engines")
}

pub fn staging(directory: &Path) -> PathBuf {
    directory.join("staging")
}
