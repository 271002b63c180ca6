//! Why a series was not processed. Pure.

use dicom::pixels::error::DecodeError;
use models::{NotEvaluated, Refusal};

/// `Display` is English, for bus, log and database; pages say it in every language (`words::refused`).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Its slices make no volume.
    #[error(transparent)]
    Volume(Refusal),
    /// One of its slices cannot be used.
    #[error("{} cannot be used: {fault}", named(*number))]
    Slice {
        /// Instance number.
        number: Option<i64>,
        fault: DecodeError,
    },
    /// There is a volume, and nothing in it could be evaluated.
    #[error(transparent)]
    Nothing(NotEvaluated),
}

/// A slice in English, by its instance number.
pub fn named(number: Option<i64>) -> String {
    number.map_or_else(|| "a slice without a number".into(), |number| format!("slice {number}"))
}
