//! Series: what kind it is, which state it is in, when it is complete.

pub mod assemble;
pub mod select;
pub mod state;

pub use select::Kind;
pub use state::State;

/// A series is named by its study and its own UID: some devices reuse series UIDs across studies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    pub study_uid: String,
    pub series_uid: String,
}
