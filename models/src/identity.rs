//! Which package made a result, and the one decision whether that result carries the mark "not for diagnosis".

use serde::{Deserialize, Serialize};

use crate::manifest::{Clearance, Manifest};

/// The mark on every object and page that is not cleared for diagnosis.
pub const NOT_FOR_DIAGNOSIS: &str = "NOT FOR DIAGNOSIS - research and engineering use";
/// The same mark where there is room for two words only: the live page and D-Bus.
pub const NOT_FOR_DIAGNOSIS_SHORT: &str = "not for diagnosis";

/// May a result be used for diagnosis? Only when a cleared package ran on real devices. `clearance` is `None` when no
/// package took part; `simulated` is true when any device that had a part in the result was simulated. No setting takes
/// part in this decision, and no other place makes it.
pub fn for_diagnosis(clearance: Option<Clearance>, simulated: bool) -> bool {
    clearance == Some(Clearance::Cleared) && !simulated
}

/// The package a result comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelIdentity {
    pub id: String,
    /// Semantic version.
    pub version: String,
    /// SHA-256 of the package, lower-case hexadecimal.
    pub sha256: String,
    pub clearance: Clearance,
    /// For example `nodule confidence 0.5 mask 0.3 min-size 4`.
    pub thresholds: String,
}

impl ModelIdentity {
    /// `sha256` is that of the package.
    pub fn new(manifest: &Manifest, sha256: &str) -> Self {
        Self {
            id: manifest.id.clone(),
            version: manifest.version.clone(),
            sha256: sha256.to_owned(),
            clearance: manifest.clearance,
            thresholds: manifest.parameters(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cleared_package_on_real_devices_is_for_diagnosis() {
        assert!(for_diagnosis(Some(Clearance::Cleared), false));
        for (clearance, simulated) in [
            (Some(Clearance::Cleared), true),
            (Some(Clearance::Research), false),
            (Some(Clearance::Research), true),
            (None, false),
            (None, true),
        ] {
            assert!(!for_diagnosis(clearance, simulated), "{clearance:?}, simulated: {simulated}");
        }
    }

    #[test]
    fn both_wordings_of_the_mark_say_the_same() {
        assert!(NOT_FOR_DIAGNOSIS.to_lowercase().starts_with(NOT_FOR_DIAGNOSIS_SHORT));
    }

    #[test]
    fn an_identity_names_package_hash_and_thresholds() {
        let directory = crate::package::tests::good();
        let package = crate::Package::open(directory.path()).unwrap();
        let identity = ModelIdentity::new(&package.manifest, &package.sha256);
        assert_eq!((identity.id.as_str(), identity.version.as_str()), ("test", "1.0.0"));
        assert_eq!((identity.sha256, identity.clearance), (package.sha256, Clearance::Research));
        assert_eq!(identity.thresholds, "nodule confidence 0.5 mask 0.4 min-size 4");
    }
}
