//! Why an instance has no Hounsfield units, in plain words.

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    #[error("the instance has no pixel data")]
    NoPixelData,

    #[error("the instance could not be read from the spool: {reason}")]
    Read { reason: String },

    #[error("the pixels are not grey values of 8 or 16 bits: {what}")]
    NotGrey { what: String },

    #[error("the pixels are no picture of 1 or 3 samples of 8 or 16 bits: {what}")]
    NotAPicture { what: String },

    #[error("{columns} x {rows} pixels in {frames} frame(s) are not a size that can be decoded")]
    Size { rows: u32, columns: u32, frames: u64 },

    #[error("{} bytes of pixels are missing: the header announces {needed}, there are {present}", needed - present)]
    Truncated { needed: u64, present: u64 },

    #[error(
        "the transfer syntax {name} ({uid}) cannot be decoded here: send uncompressed or losslessly compressed images"
    )]
    TransferSyntax { uid: String, name: String },

    #[error("JPEG with {precision} bits (extended process) cannot be decoded here: send lossless images")]
    JpegExtended { precision: u16 },

    #[error("the compressed pixels are broken: {reason}")]
    Fragments { reason: String },

    #[error("frame {frame}: the compressed image is {found}, the header says {expected}")]
    Disagrees { frame: u32, found: String, expected: String },

    #[error("frame {frame} cannot be decoded: {reason}")]
    Codec { frame: u32, reason: String },

    #[error("a rescale slope of {slope} with intercept {intercept} gives no Hounsfield units")]
    Scale { slope: f64, intercept: f64 },

    #[error("the data set cannot be read: {reason}")]
    DataSet { reason: String },
}

impl DecodeError {
    /// A stable word for callers that branch, for the bus and for statistics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoPixelData => "no-pixel-data",
            Self::Read { .. } => "read",
            Self::NotGrey { .. } => "not-grey",
            Self::NotAPicture { .. } => "not-a-picture",
            Self::Size { .. } => "size",
            Self::Truncated { .. } => "truncated",
            Self::TransferSyntax { .. } => "transfer-syntax",
            Self::JpegExtended { .. } => "jpeg-extended",
            Self::Fragments { .. } => "fragments",
            Self::Disagrees { .. } => "disagrees",
            Self::Codec { .. } => "codec",
            Self::Scale { .. } => "scale",
            Self::DataSet { .. } => "data-set",
        }
    }

    /// Whether trying again may help: the bytes may be readable later, everything else stays as it is.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Read { .. })
    }
}
