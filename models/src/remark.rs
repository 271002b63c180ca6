//! What a reader should know about the images, though it forbids nothing. Pure.
//!
//! A remark is a value, so that each language can say it (`report::words`). `Display` is its English sentence.

use serde::{Serialize, Serializer};

use crate::findings::ChestFinding;
use crate::number::Number;
use crate::refusal::Place;
use crate::review::NotApplied;

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

/// What is wrong with a slice that was left out of the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceFault {
    Missing,
    /// One value everywhere.
    Blank,
    /// It does not belong to its neighbours: cut off, another scale, reconstruction or place.
    Odd,
    /// Text or marks are burnt into it.
    Written,
    /// Its pixels cannot be decoded.
    Unreadable,
    /// Its values are no Hounsfield units.
    Units,
    /// It lies in another direction: a localiser or a reformat.
    Direction,
    /// It has another number or size of pixels.
    Pixels,
}

impl SliceFault {
    /// In English, after the slice.
    pub fn words(self) -> &'static str {
        match self {
            Self::Missing => "is missing",
            Self::Blank => "shows nothing",
            Self::Odd => "does not belong to those beside it",
            Self::Written => "has text or marks burnt in",
            Self::Unreadable => "cannot be read",
            Self::Units => "has no Hounsfield units",
            Self::Direction => "lies in another direction",
            Self::Pixels => "has other pixels than the rest",
        }
    }
}

impl std::fmt::Display for SliceFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.words())
    }
}

/// Why slices were left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Beyond {
    /// Each of them has this fault.
    Fault(SliceFault),
    /// They are sound, and lie beyond slices that are missing or bad: neighbours `apart_mm` apart, elsewhere `usual_mm`.
    Gap { apart_mm: f64, usual_mm: f64 },
    /// They have another spacing than the part that was analysed.
    Spacing { mm: f64, usual_mm: f64 },
}

impl std::fmt::Display for Beyond {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Fault(fault) => write!(f, "{fault}"),
            Self::Gap { apart_mm, usual_mm } => {
                write!(f, "beyond a gap of {:.1} mm in slices every {:.1} mm", Number(apart_mm), Number(usual_mm))
            }
            Self::Spacing { mm, usual_mm } => {
                write!(f, "spaced by {:.1} mm, those analysed by {:.1} mm", Number(mm), Number(usual_mm))
            }
        }
    }
}

/// What shares a series with slices or pictures and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharer {
    Localiser,
    DoseReport,
    SecondaryCapture,
    Reformat,
    PresentationState,
    Other,
}

impl Sharer {
    /// In English, after a number.
    fn words(self, count: usize) -> String {
        let one = match self {
            Self::Localiser => "localiser",
            Self::DoseReport => "dose report",
            Self::SecondaryCapture => "secondary capture",
            Self::Reformat => "reformatted image",
            Self::PresentationState => "presentation state",
            Self::Other => "other object",
        };
        format!("{count} {one}{}", if count == 1 { "" } else { "s" })
    }
}

fn shared(sharers: &[(Sharer, usize)]) -> String {
    sharers.iter().map(|(sharer, count)| sharer.words(*count)).collect::<Vec<_>>().join(", ")
}

fn names(findings: &[ChestFinding]) -> String {
    findings.iter().map(|finding| finding.words()).collect::<Vec<_>>().join(", ")
}

/// One slice, or the first and the last of several.
fn between(first: &Place, last: &Place) -> String {
    if first == last { first.to_string() } else { format!("{first} to {last}") }
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
    /// Of several reconstructions of one scan this one was read; the others, by number, slices and kernel, were not.
    #[error("of the same scan not read, because they add nothing: series {}", series.join(", "))]
    NotRead { series: Vec<String> },
    /// Objects of the same series that are no slices of it, and how many.
    #[error("of the same series not read: {}", shared(sharers))]
    Shared { sharers: Vec<(Sharer, usize)> },
    /// The slices drift sideways. They were moved within their planes for the analysis.
    #[error(
        "the gantry was tilted by {degrees:.1} degrees: the slices were resampled to an upright stack for the analysis, the \
         results lie on the original slices", degrees = Number::from(degrees)
    )]
    Tilted { degrees: f64 },
    /// One slice between two sound ones, `apart_mm` apart, was made from them.
    #[error(
        "{place} {fault}: it was filled in from the slices beside it ({apart_mm:.1} mm apart), and what only it shows is not \
         seen", apart_mm = Number::from(apart_mm)
    )]
    FilledIn { place: Place, fault: SliceFault, apart_mm: f64 },
    /// The header leaves open what the values are (`said`, Rescale Type or Image Type); they measure as Hounsfield units.
    #[error(
        "the header does not say that the values are Hounsfield units ({said}): they were read as such, because air and soft \
         tissue measure so"
    )]
    Measured { said: String },
    /// Slices next to each other that were not analysed, and why.
    #[error("not analysed: {count} of {total} slices, {}: {why}", between(first, last))]
    LeftOut { count: usize, total: usize, first: Place, last: Place, why: Beyond },
    /// What was found reaches the first or last slice, or the edge of the images.
    #[error(
        "cut off where the scan or its images end, so that sizes and volumes are at least these: {}",
        names(findings)
    )]
    CutOff { findings: Vec<ChestFinding> },
    /// A person has reviewed what was found; what was rejected is not in the result.
    #[error("{rejected} of {total} findings were rejected on review by {by} and are left out")]
    Rejected { rejected: usize, total: usize, by: String },
    /// A person has given some of them other values.
    #[error("{edited} of {total} findings were edited on review by {by}")]
    Edited { edited: usize, total: usize, by: String },
    /// A person has signed, but these findings are not those that were signed.
    #[error("the review by {by} was not applied, because {why}")]
    ReviewNotApplied { by: String, why: NotApplied },
}

impl Remark {
    /// Does it belong on every page that shows results? It says that what is shown may lie on the wrong side, is not whole, or is not what a
    /// person has decided.
    pub fn is_for_pages(&self) -> bool {
        match self {
            Self::Position { .. }
            | Self::NotReceived { .. }
            | Self::Discontinued
            | Self::CutOff { .. }
            | Self::ReviewNotApplied { .. } => true,
            Self::PixelsNotSquare { .. }
            | Self::NotRead { .. }
            | Self::Measured { .. }
            | Self::Rejected { .. }
            | Self::Edited { .. } => false,
            Self::Shared { .. } | Self::Tilted { .. } | Self::FilledIn { .. } | Self::LeftOut { .. } => {
                self.is_about_slices()
            }
        }
    }

    /// May right and left be wrong?
    pub fn is_about_side(&self) -> bool {
        matches!(self, Self::Position { .. })
    }

    /// Does it say that slices were left out or altered?
    pub fn is_about_slices(&self) -> bool {
        matches!(self, Self::Tilted { .. } | Self::FilledIn { .. } | Self::LeftOut { .. } | Self::Shared { .. })
    }
}

impl Serialize for Remark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
