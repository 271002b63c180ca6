//! Which package: id and version.

use serde::{Deserialize, Serialize};

/// Both are plain names by the manifest's rules: they can be directories.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub struct Key {
    pub id: String,
    pub version: String,
}

impl Key {
    pub fn new(id: impl Into<String>, version: impl Into<String>) -> Self {
        Self { id: id.into(), version: version.into() }
    }

    /// Older versions first; what is no version comes before all.
    pub fn order(&self) -> Option<semver::Version> {
        semver::Version::parse(&self.version).ok()
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.id, self.version)
    }
}
