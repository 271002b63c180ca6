//! Bus name, interface names and object paths. Text from a peer is never used as a path: paths contain row ids, or the
//! escaped names of model packages.

use models::registry::Key;
use zbus::OwnedObjectPath;

pub const BUS_NAME: &str = "org.scanside.Appliance1";
/// Path of `Manager1` and the ObjectManager.
pub const ROOT: &str = "/org/scanside/Appliance1";
/// Path of `Live1`, which exists even if the live path is off.
pub const LIVE: &str = "/org/scanside/Appliance1/live";

/// The kinds of objects that are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noun {
    /// Its id is the lowest id of its rows in `series`.
    Study,
    Series,
    Job,
    Delivery,
}

impl Noun {
    pub fn element(self) -> &'static str {
        match self {
            Self::Study => "study",
            Self::Series => "series",
            Self::Job => "job",
            Self::Delivery => "delivery",
        }
    }

    /// For example `/org/scanside/Appliance1/series/12`.
    pub fn path(self, id: i64) -> OwnedObjectPath {
        let path = format!("{ROOT}/{}/{id}", self.element());
        // Row ids are positive; a negative one would not be a valid path element.
        OwnedObjectPath::try_from(path).unwrap_or_default()
    }
}

/// For example `/org/scanside/Appliance1/model/ct_2dchest_0_2e2_2e0`.
pub fn model_path(key: &Key) -> OwnedObjectPath {
    let path = format!("{ROOT}/model/{}_{}", escaped(&key.id), escaped(&key.version));
    OwnedObjectPath::try_from(path).unwrap_or_default()
}

/// Escapes text for a path as systemd does: a character that is not allowed becomes an underscore and two hexadecimal
/// digits.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |path, byte| {
        if byte.is_ascii_alphanumeric() { path + &char::from(byte).to_string() } else { format!("{path}_{byte:02x}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_have_paths_of_their_own_whatever_they_are_called() {
        let path = |id: &str, version: &str| model_path(&Key::new(id, version)).to_string();
        assert_eq!(path("ct-chest", "0.2.0"), "/org/scanside/Appliance1/model/ct_2dchest_0_2e2_2e0");
        assert_eq!(path("", ""), "/org/scanside/Appliance1/model/_", "even what has no name");
        assert_ne!(path("a.b", "1.0.0"), path("a-b", "1.0.0"));
    }

    #[test]
    fn paths_are_made_of_the_noun_and_the_row_id() {
        assert_eq!(Noun::Delivery.path(7).as_str(), "/org/scanside/Appliance1/delivery/7");
    }
}
