//! Why slices make no volume. Pure.
//!
//! `Display` says it in English, for the person who has to do something about it; other languages say it in
//! `report::words`.

use std::fmt;

use crate::number::Number;

/// A slice as people find it: by its number, and by its position along the stack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Instance number (or frame number), when the slice has one.
    pub number: Option<i64>,
    /// The patient axis that runs closest to the slice normal: `x`, `y` or `z`.
    pub axis: char,
    /// Position on that axis, millimetres, LPS.
    pub mm: f64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "slice {number} ({} = {:.1} mm)", self.axis, Number(self.mm)),
            None => write!(f, "the slice at {} = {:.1} mm", self.axis, Number(self.mm)),
        }
    }
}

/// What a slice must say of itself to have a place in a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    Position,
    Direction,
    PixelSpacing,
    Pixels,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Position => "a position (ImagePositionPatient)",
            Self::Direction => "a direction (ImageOrientationPatient of two perpendicular unit vectors)",
            Self::PixelSpacing => "a pixel spacing",
            Self::Pixels => "pixels (Rows, Columns)",
        })
    }
}

/// The plane of a slice, as people call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlicePlane {
    Sagittal,
    Coronal,
    Axial,
    Oblique,
}

impl fmt::Display for SlicePlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sagittal => "sagittal",
            Self::Coronal => "coronal",
            Self::Axial => "axial",
            Self::Oblique => "oblique",
        })
    }
}

/// What the values of an image are, if no Hounsfield units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Of iodine or another material.
    Concentration,
    AtomicNumber,
    ElectronDensity,
    /// Hounsfield units of which the part of a material was taken away or changed.
    Modified,
    /// Perfusion and the like.
    Map,
    /// Computed from other images; what of them is not said.
    Derived,
    /// The header says that they are no Hounsfield units, and not what they are.
    Unknown,
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Concentration => "concentration of a material",
            Self::AtomicNumber => "effective atomic number",
            Self::ElectronDensity => "electron density",
            Self::Modified => "attenuation with a material taken away or changed",
            Self::Map => "map of a parameter",
            Self::Derived => "computed from other images",
            Self::Unknown => "other units",
        })
    }
}

/// How the rescale went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    Twice,
    NotAtAll,
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Twice => "the intercept was applied twice",
            Self::NotAtAll => "the intercept was not applied",
        })
    }
}

/// Slices that should lie between two neighbours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gap {
    pub missing: usize,
    pub before: Place,
    pub after: Place,
}

/// Why slices do not make a volume. `Display` says what, where, and what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "{}: a volume needs at least {needed}; send the whole series",
        counted(*count, "slice only", "slices only")
    )]
    TooFew { count: usize, needed: usize },

    #[error(
        "{} of {total} slices{} without {missing}: their place in the patient is unknown; export the original series, \
         not a converted or reformatted copy",
        count,
        numbered(numbers)
    )]
    NoGeometry { missing: Fact, count: usize, total: usize, numbers: Vec<i64> },

    #[error(
        "the slices have {count} different frames of reference: their positions cannot be compared; send one \
         acquisition per series, without repositioning the patient"
    )]
    MixedFrameOfReference { count: usize },

    #[error(
        "{count} of {total} slices{} lie in another direction ({other}, the rest is {usual}): a localiser or a reformat \
         is mixed into the series; send it as a series of its own",
        numbered(numbers)
    )]
    MixedOrientation { count: usize, total: usize, usual: SlicePlane, other: SlicePlane, numbers: Vec<i64> },

    #[error(
        "{count} of {total} slices{} have {} x {} pixels, the rest {} x {}: reconstruct the series with one matrix",
        numbered(numbers), other[0], other[1], usual[0], usual[1]
    )]
    MixedMatrix { count: usize, total: usize, usual: [u32; 2], other: [u32; 2], numbers: Vec<i64> },

    #[error(
        "{count} of {total} slices{} have pixels of {:.3} x {:.3} mm, the rest of {:.3} x {:.3} mm: reconstruct the series \
         with one field of view",
        numbered(numbers), Number(other[0]), Number(other[1]), Number(usual[0]), Number(usual[1])
    )]
    MixedPixelSpacing { count: usize, total: usize, usual: [f64; 2], other: [f64; 2], numbers: Vec<i64> },

    #[error(
        "{}, for example {first} and {second}: two phases, acquisitions or reconstructions in \
         one series, or an image sent twice under two names; send each as a series of its own",
        counted(*places, "position holds more than one slice", "positions hold more than one slice")
    )]
    DuplicatePosition { places: usize, first: Place, second: Place },

    #[error(
        "the slices are tilted by {degrees:.1} degrees: they drift sideways by {drift_mm:.1} mm over {extent_mm:.0} mm \
         (gantry tilt); acquire without tilt, or let the scanner reconstruct straight slices", degrees = Number::from(degrees), drift_mm = Number::from(drift_mm), extent_mm = Number::from(extent_mm)
    )]
    Tilt { degrees: f64, drift_mm: f64, extent_mm: f64 },

    #[error(
        "{slice} is shifted sideways by {shift_mm:.1} mm against the others: the field of view was moved within the series; \
         reconstruct the series with one centre", shift_mm = Number::from(shift_mm)
    )]
    SidewaysShift { slice: Place, shift_mm: f64 },

    #[error("{}", missing_slices(gaps, *spacing_mm))]
    MissingSlices { spacing_mm: f64, gaps: Vec<Gap> },

    #[error(
        "the slices are unevenly spaced: neighbours are between {min_mm:.2} and {max_mm:.2} mm apart, first between {} and {}; \
         reconstruct the series with one increment",
        at[0], at[1], min_mm = Number::from(min_mm), max_mm = Number::from(max_mm)
    )]
    UnevenSpacing { min_mm: f64, max_mm: f64, at: [Place; 2] },

    #[error(
        "{count} of {total} slices{} have no rescale slope and intercept: their values are no Hounsfield units; export the \
         original series",
        numbered(numbers)
    )]
    NoRescale { count: usize, total: usize, numbers: Vec<i64> },

    #[error(
        "{count} of {total} slices have a Modality LUT, which is not supported, instead of a rescale slope and intercept; \
         export the original series"
    )]
    ModalityLut { count: usize, total: usize },

    /// `said`: the value of Image Type or Rescale Type.
    #[error(
        "the values of {count} of {total} slices are no Hounsfield units: {quantity} ({said}); send the original series"
    )]
    OtherQuantity { quantity: Quantity, said: String, count: usize, total: usize },

    /// Lung and fat, contrast agent and calcium measure otherwise than at 120 kV. `kev`: where the header says it.
    #[error(
        "virtual monoenergetic images {}: Hounsfield units like those of 120 kV have {} to {} keV only; send the usual \
         series",
        kev.map_or_else(|| "of unknown energy".to_owned(), |kev| format!("of {} keV", Number(kev))), Number(*least), Number(*most)
    )]
    Monoenergetic { kev: Option<f64>, least: f64, most: f64 },

    #[error(
        "the values are no Hounsfield units: air measures {:.0} HU and soft tissue {:.0} HU instead of about -1000 and 40 \
         ({shift}); export the original series",
        Number(*air_hu), Number(*tissue_hu)
    )]
    OffScale { shift: Shift, air_hu: f64, tissue_hu: f64 },

    #[error(
        "the values are no Hounsfield units: nothing measures like air, the background {:.0} HU (a map?); send the original \
         series",
        Number(*background_hu)
    )]
    NoAirScale { background_hu: f64 },

    #[error(
        "slices that show nothing, or do not belong to those beside them: {count} of {total}, first {first}; send the series again"
    )]
    BlankSlices { count: usize, total: usize, first: Place },

    /// `by_hu`: mean difference of the first one from either neighbour; `usual_hu`: of its neighbours from each other.
    #[error(
        "slices that do not belong to those beside them: {count} of {total}, first {first}: it differs from both by \
         {by_hu:.0} HU on average, they from each other by {usual_hu:.0} HU (cut off, another scale, reconstruction or \
         patient); send the series again", by_hu = Number::from(by_hu), usual_hu = Number::from(usual_hu)
    )]
    OddSlices { count: usize, total: usize, first: Place, by_hu: f64, usual_hu: f64 },

    #[error(
        "slices with text or marks burnt in, or that do not belong to those beside them: {count} of {total}, first {first}; \
         send the original series"
    )]
    WrittenSlices { count: usize, total: usize, first: Place },

    #[error(
        "too large for this device: decoding and analysis need {needed_mib} MiB of memory, {limit_mib} MiB are allowed; \
         send a reconstruction with fewer or smaller slices, or have the operator of the device allow more"
    )]
    TooLarge { needed_mib: u64, limit_mib: u64 },

    #[error(
        "two parts that do not belong together: between {before} and {after} the image changes by {by_hu:.0} HU on \
         average, beside them by {usual_hu:.0} HU; send each part as a series of its own", by_hu = Number::from(by_hu), usual_hu = Number::from(usual_hu)
    )]
    TwoParts { before: Place, after: Place, by_hu: f64, usual_hu: f64 },
}

impl Refusal {
    /// A stable word for callers that branch, for the bus and for statistics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TooFew { .. } => "too-few-slices",
            Self::NoGeometry { .. } => "no-geometry",
            Self::MixedFrameOfReference { .. } => "mixed-frame-of-reference",
            Self::MixedOrientation { .. } => "mixed-orientation",
            Self::MixedMatrix { .. } => "mixed-matrix",
            Self::MixedPixelSpacing { .. } => "mixed-pixel-spacing",
            Self::DuplicatePosition { .. } => "duplicate-position",
            Self::Tilt { .. } => "gantry-tilt",
            Self::SidewaysShift { .. } => "sideways-shift",
            Self::MissingSlices { .. } => "missing-slices",
            Self::UnevenSpacing { .. } => "uneven-spacing",
            Self::NoRescale { .. } => "no-rescale",
            Self::ModalityLut { .. } => "modality-lut",
            Self::OtherQuantity { .. } => "other-quantity",
            Self::Monoenergetic { .. } => "monoenergetic",
            Self::OffScale { .. } | Self::NoAirScale { .. } => "off-scale",
            Self::BlankSlices { .. } => "blank-slices",
            Self::OddSlices { .. } => "odd-slices",
            Self::WrittenSlices { .. } => "written-slices",
            Self::TwoParts { .. } => "two-parts",
            Self::TooLarge { .. } => "too-large",
        }
    }
}

/// The most places or numbers a message lists before it says "and N more".
pub const LISTED: usize = 3;

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn numbered(numbers: &[i64]) -> String {
    if numbers.is_empty() {
        return String::new();
    }
    let listed: Vec<_> = numbers.iter().take(LISTED).map(i64::to_string).collect();
    let more = numbers.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(" (number {}{more})", listed.join(", "))
}

fn missing_slices(gaps: &[Gap], spacing_mm: f64) -> String {
    let missing: usize = gaps.iter().map(|gap| gap.missing).sum();
    let listed: Vec<_> = gaps
        .iter()
        .take(LISTED)
        .map(|gap| format!("{} between {} and {}", gap.missing, gap.before, gap.after))
        .collect();
    let more = gaps.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(", and in {more} more places") } else { String::new() };
    format!(
        "{}, at a spacing of {spacing_mm:.2} mm: {}{more}; send the series again",
        counted(missing, "slice is missing", "slices are missing"),
        listed.join(", "),
        spacing_mm = Number::from(spacing_mm)
    )
}
