//! The key and the state of a series.

pub mod state;

pub use state::SeriesState;

/// Study UID and series UID together: some devices use the same series UID in several studies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    pub study_uid: String,
    pub series_uid: String,
}
