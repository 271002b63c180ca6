//! Bus name, interface names and object paths. A peer's string never becomes a path: objects are named by row id.

use zbus::OwnedObjectPath;

pub const BUS_NAME: &str = "org.scanside.Appliance1";
/// Where [`super::manager::Manager`] and the ObjectManager are.
pub const ROOT: &str = "/org/scanside/Appliance1";

/// The nouns that are exported as objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noun {
    /// By the lowest id of its rows in `series`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_of_the_noun_and_the_row_id() {
        assert_eq!(Noun::Delivery.path(7).as_str(), "/org/scanside/Appliance1/delivery/7");
    }
}
