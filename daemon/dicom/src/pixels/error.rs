//! Why the pixels of an instance cannot be decoded, in plain words.

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    #[error("the instance has no pixel data")]
    NoPixelData,

    #[error("the instance could not be read from the spool: {reason}")]
    Read { reason: String },

    #[error("its bytes were damaged on this box's disk after it was received; send it again")]
    Damaged,

    #[error("its bytes are no longer on this box: they were evicted; send it again")]
    Gone,

    #[error("the pixels are not greyscale with 8 or 16 bits: {what}")]
    NotGrey { what: String },

    #[error("the pixels are not an image with 1 or 3 samples of 8 or 16 bits: {what}")]
    NotAPicture { what: String },

    #[error("an image of {columns} x {rows} pixels in {frames} frame(s) cannot be decoded: unsupported size")]
    Size { rows: u32, columns: u32, frames: u64 },

    #[error("{} bytes of pixel data are missing: the header announces {needed}, the instance has {present}", needed - present)]
    Truncated { needed: u64, present: u64 },

    #[error(
        "the transfer syntax {name} ({uid}) cannot be decoded here: send uncompressed or losslessly compressed images"
    )]
    TransferSyntax { uid: String, name: String },

    #[error("JPEG with {precision} bits (extended process) cannot be decoded here: send lossless images")]
    JpegExtended { precision: u16 },

    #[error("the compressed pixel data is malformed: {reason}")]
    Fragments { reason: String },

    #[error("frame {frame}: the compressed image is {found}, the header says {expected}")]
    Disagrees { frame: u32, found: String, expected: String },

    #[error("frame {frame} cannot be decoded: {reason}")]
    Codec { frame: u32, reason: String },

    #[error("frame {frame} was not decoded: {reason}")]
    NoDecoder { frame: u32, reason: String },

    #[error("rescale slope {slope} with intercept {intercept} does not give Hounsfield units")]
    Scale { slope: f64, intercept: f64 },

    #[error("the data set cannot be parsed: {reason}")]
    DataSet { reason: String },
}

impl DecodeError {
    /// A stable word for each kind of error, for callers, D-Bus and statistics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoPixelData => "no-pixel-data",
            Self::Read { .. } => "read",
            Self::Damaged => "damaged",
            Self::Gone => "gone",
            Self::NotGrey { .. } => "not-grey",
            Self::NotAPicture { .. } => "not-a-picture",
            Self::Size { .. } => "size",
            Self::Truncated { .. } => "truncated",
            Self::TransferSyntax { .. } => "transfer-syntax",
            Self::JpegExtended { .. } => "jpeg-extended",
            Self::Fragments { .. } => "fragments",
            Self::Disagrees { .. } => "disagrees",
            Self::Codec { .. } => "codec",
            Self::NoDecoder { .. } => "no-decoder",
            Self::Scale { .. } => "scale",
            Self::DataSet { .. } => "data-set",
        }
    }

    /// Whether trying again may help: reading from the spool and starting a decoder may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::NoDecoder { .. })
    }
}
