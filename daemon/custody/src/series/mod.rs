//! Series: how one is named, and which state it is in.

pub mod state;

pub use state::SeriesState;

/// A series is named by its study and its own UID: some devices reuse series UIDs across studies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    pub study_uid: String,
    pub series_uid: String,
}
