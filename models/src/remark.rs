//! What a reader should know about the images, though it forbids nothing. Pure.
//!
//! A remark is a value, so that each language can say it (`report::words`). `Display` is its English sentence.

use serde::{Serialize, Serializer};

use crate::number::Number;

/// Which way the patient lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lying {
    Supine,
    Prone,
    /// On the right or left side.
    Side,
}

impl Lying {
    /// In English.
    pub fn words(self) -> &'static str {
        match self {
            Self::Supine => "on the back",
            Self::Prone => "face down",
            Self::Side => "on the side",
        }
    }
}

/// To add one: a variant here, and a sentence in each language; the compiler names the places.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Remark {
    /// Patient Position (0018,5100) against Image Orientation (Patient) (0020,0037).
    #[error(
        "the header contradicts itself: the patient lies {} ({position}), the directions of the images say {}; right and \
         left may be wrong",
        said.words(), drawn.words()
    )]
    Position { position: String, said: Lying, drawn: Lying },
    /// Along rows and along columns.
    #[error("the pixels are not square ({x_mm:.2} x {y_mm:.2} mm)", x_mm = Number::from(x_mm), y_mm = Number::from(y_mm))]
    PixelsNotSquare { x_mm: f64, y_mm: f64 },
    /// Of the images that the scanner's performed procedure step (MPPS) declares.
    #[error("the scanner says that it made {declared} images of this series, {missing} of them did not arrive")]
    NotReceived { missing: usize, declared: usize },
    /// The performed procedure step ended so.
    #[error("the scanner says that the exam was discontinued")]
    Discontinued,
}

impl Serialize for Remark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
