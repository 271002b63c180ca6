//! Judges what may be written in the pixels of an image, by what its header says. It does not read the pixels, and does not guess:
//! what cannot be known to be free of writing is refused.

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use crate::dataset::{number, text};
use crate::regions::{self, Shows};

/// What may stay of the pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    AsItIs,
    /// Only what lies in one of these areas: left, top, right, bottom, right and bottom excluded; within the image.
    Within(Vec<[u32; 4]>),
}

/// Why an image may show who it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    #[error("its header says that something is written in it (Burned In Annotation YES)")]
    SaysSo,
    #[error(
        "its header does not say that nothing is written in it (Burned In Annotation NO), as its kind would have to"
    )]
    DoesNotSay,
    #[error("it is derived, such as a screen or a dose page: something may be written in it")]
    Derived,
    #[error("it has no ultrasound regions that tell where the image is and where text is")]
    NoRegions,
    #[error("its ultrasound regions cover the whole screen or its upper edge, where the name is written")]
    RegionsEverywhere,
    #[error("pictures of its kind have text in them")]
    Kind,
    #[error("the area that was given does not lie in it")]
    AreaOutside,
}

impl Unsafe {
    pub fn kind(self) -> &'static str {
        match self {
            Self::SaysSo => "says-so",
            Self::DoesNotSay => "does-not-say",
            Self::Derived => "derived",
            Self::NoRegions => "no-regions",
            Self::RegionsEverywhere => "regions-everywhere",
            Self::Kind => "kind",
            Self::AreaOutside => "area-outside",
        }
    }
}

/// Computed from measurements, with no writing in them unless a person or program drew it.
const RECONSTRUCTED: [&str; 11] = [
    uids::CT_IMAGE_STORAGE,
    uids::ENHANCED_CT_IMAGE_STORAGE,
    uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE,
    uids::MR_IMAGE_STORAGE,
    uids::ENHANCED_MR_IMAGE_STORAGE,
    uids::LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE,
    uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE,
    uids::ENHANCED_PET_IMAGE_STORAGE,
    uids::LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE,
    uids::NUCLEAR_MEDICINE_IMAGE_STORAGE,
    uids::BREAST_TOMOSYNTHESIS_IMAGE_STORAGE,
];

/// The standard makes these say whether something is written in them (PS3.3 section C.8.11.3 and others).
const SAYING: [&str; 8] = [
    uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::X_RAY_ANGIOGRAPHIC_IMAGE_STORAGE,
    uids::X_RAY_RADIOFLUOROSCOPIC_IMAGE_STORAGE,
    uids::ENHANCED_XA_IMAGE_STORAGE,
];

const ULTRASOUND: [&str; 2] = [uids::ULTRASOUND_IMAGE_STORAGE, uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE];

/// Regions that cover more than this share of the screen leave no place for the text around the image.
const WHOLE: f64 = 0.95;
/// A name stands in the upper rows: this share of them.
const BANNER: f64 = 0.05;
/// Regions that reach into those rows over more than this share of the width may have the name inside.
const BANNER_WIDTH: f64 = 1.0 / 3.0;

/// `area`: where a person says that the image is; where the header tells it, too, only what lies in both stays.
///
/// # Errors
/// Why nothing can be known.
pub(super) fn judge(set: &InMemDicomObject, area: Option<[u32; 4]>) -> Result<Plan, Unsafe> {
    let plan = by_header(set);
    let Some(area) = area else { return plan };
    if matches!(plan, Ok(Plan::AsItIs)) {
        return plan;
    }
    let area = clipped(set, area).ok_or(Unsafe::AreaOutside)?;
    let regions = if is_ultrasound(set) { pictures(set) } else { Vec::new() };
    if regions.is_empty() {
        return Ok(Plan::Within(vec![area]));
    }
    let both: Vec<[u32; 4]> = regions.into_iter().filter_map(|region| common(region, area)).collect();
    if both.is_empty() { Err(Unsafe::AreaOutside) } else { Ok(Plan::Within(both)) }
}

fn is_ultrasound(set: &InMemDicomObject) -> bool {
    text(set, tags::SOP_CLASS_UID).is_some_and(|class| ULTRASOUND.contains(&class.as_str()))
}

fn by_header(set: &InMemDicomObject) -> Result<Plan, Unsafe> {
    let class = text(set, tags::SOP_CLASS_UID).unwrap_or_default();
    let said = text(set, tags::BURNED_IN_ANNOTATION).unwrap_or_default();
    let (yes, no) = (said.trim() == "YES", said.trim() == "NO");
    let class = class.as_str();
    if is_ultrasound(set) {
        return within_regions(set, no);
    }
    let kinds = RECONSTRUCTED.contains(&class) || SAYING.contains(&class);
    let derived = image_type(set, 1) != "PRIMARY";
    match (kinds, SAYING.contains(&class)) {
        (false, _) => Err(Unsafe::Kind),
        _ if yes => Err(Unsafe::SaysSo),
        (_, true) if !no => Err(Unsafe::DoesNotSay),
        _ if derived => Err(Unsafe::Derived),
        _ => Ok(Plan::AsItIs),
    }
}

/// Only pictures of tissue: curves and scales have text beside them.
fn pictures(set: &InMemDicomObject) -> Vec<[u32; 4]> {
    let all = regions::of(set);
    let pictures = all.iter().filter(|one| matches!(one.shows, Shows::Tissue | Shows::ColourFlow));
    pictures.filter_map(|one| clipped(set, one.bounds)).collect()
}

fn within_regions(set: &InMemDicomObject, said_no: bool) -> Result<Plan, Unsafe> {
    let areas = pictures(set);
    let [columns, rows] = size(set);
    let whole = f64::from(columns) * f64::from(rows) * WHOLE;
    match covered(&areas, [0, columns], [0, rows]) > whole || has_banner(&areas, [columns, rows]) {
        _ if areas.is_empty() => Err(Unsafe::NoRegions),
        true if !said_no => Err(Unsafe::RegionsEverywhere),
        _ => Ok(Plan::Within(areas)),
    }
}

/// Whether these areas may hold the line with the name. Some scanners count from 1 and some have a panel at the side, so it is
/// neither the first row alone nor the whole width.
fn has_banner(areas: &[[u32; 4]], [columns, rows]: [u32; 2]) -> bool {
    let band = f64::from(rows) * BANNER;
    let reaching = areas.iter().filter(|[_, top, _, _]| f64::from(*top) < band);
    let shadows: Vec<[u32; 4]> = reaching.map(|[left, _, right, _]| [*left, 0, *right, 1]).collect();
    covered(&shadows, [0, columns], [0, 1]) > BANNER_WIDTH * f64::from(columns)
}

fn common(one: [u32; 4], other: [u32; 4]) -> Option<[u32; 4]> {
    let (left, top) = (one[0].max(other[0]), one[1].max(other[1]));
    let (right, bottom) = (one[2].min(other[2]), one[3].min(other[3]));
    (left < right && top < bottom).then_some([left, top, right, bottom])
}

/// How many pixels of a part of the picture these areas cover together.
fn covered(areas: &[[u32; 4]], across: [u32; 2], down: [u32; 2]) -> f64 {
    let edges = |low: usize, [begin, end]: [u32; 2]| {
        let mut all: Vec<u32> = areas.iter().flat_map(|area| [area[low], area[low + 2]]).chain([begin, end]).collect();
        all.retain(|edge| (begin..=end).contains(edge));
        all.sort_unstable();
        all.dedup();
        all
    };
    let (columns, rows) = (edges(0, across), edges(1, down));
    let mut pixels = 0.0;
    for row in rows.windows(2) {
        for column in columns.windows(2) {
            let within = |[left, top, right, bottom]: &[u32; 4]| {
                (*left <= column[0] && column[1] <= *right) && (*top <= row[0] && row[1] <= *bottom)
            };
            if areas.iter().any(within) {
                pixels += f64::from(column[1] - column[0]) * f64::from(row[1] - row[0]);
            }
        }
    }
    pixels
}

fn clipped(set: &InMemDicomObject, [left, top, right, bottom]: [u32; 4]) -> Option<[u32; 4]> {
    let [columns, rows] = size(set);
    let (right, bottom) = (right.min(columns), bottom.min(rows));
    (left < right && top < bottom).then_some([left, top, right, bottom])
}

fn size(set: &InMemDicomObject) -> [u32; 2] {
    [tags::COLUMNS, tags::ROWS].map(|tag| number(set, tag).unwrap_or(0))
}

/// One value of Image Type (PS3.3 section C.7.6.1.1.2), counted from 0.
fn image_type(set: &InMemDicomObject, index: usize) -> String {
    let all = text(set, tags::IMAGE_TYPE).unwrap_or_default();
    all.split('\\').nth(index).unwrap_or_default().trim().to_owned()
}
