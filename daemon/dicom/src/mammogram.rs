//! What the header of a mammogram says of its picture beyond what `header` keeps (PS3.3 sections C.8.11.7, C.8.21.5,
//! C.11.2), and its stored values as levels in which bright is dense. Pure.

pub mod display;
pub mod turn;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use crate::cast;
use crate::dataset::{self, first, floats};
use crate::header::Header;
use crate::pixels::pictures::Samples;

/// A factor that says how large the breast is drawn on the detector beyond this is an error, mm a pixel and times.
const SPACING_MM: std::ops::RangeInclusive<f64> = 0.01..=1.0;
const MAGNIFIED: std::ops::RangeInclusive<f64> = 1.0..=3.0;

/// What is said of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Mammogram {
    /// `L`, `R`, `B` or empty: also from the functional groups of a tomosynthesis.
    pub laterality: String,
    /// Code Value of the view, also from there; empty where there is none.
    pub view: String,
    /// Patient Orientation (0020,0020): to the right, and down. Empty where it is not said.
    pub orientation: [String; 2],
    /// Millimetres a pixel in the breast: Imager Pixel Spacing divided by the magnification, else Pixel Spacing.
    pub mm: Option<f64>,
    /// Times that the breast is larger on the detector than it is: its pixels there are `mm` times this.
    pub magnified: f64,
    /// Breast Implant Present (0028,1300) is YES.
    pub implant: bool,
    /// Only a part of the view is shown, see `header::Projection`.
    pub partial: bool,
    /// A film that was digitised, or a plate.
    pub film: bool,
    /// Quality Control Image (0028,0300) is YES: it shows a phantom.
    pub phantom: bool,
}

impl Default for Mammogram {
    fn default() -> Self {
        Self {
            laterality: String::new(),
            view: String::new(),
            orientation: [String::new(), String::new()],
            mm: None,
            magnified: 1.0,
            implant: false,
            partial: false,
            film: false,
            phantom: false,
        }
    }
}

/// # Shapes
/// `data_set`: all elements before the pixel data.
pub fn of(header: &Header, data_set: &InMemDicomObject) -> Mammogram {
    let said = |tag| text(data_set, tag);
    let shared = first(data_set, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let frame = first(data_set, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let grouped = |sequence| [shared, frame].into_iter().flatten().find_map(|group| first(group, sequence));
    let anatomy = grouped(tags::FRAME_ANATOMY_SEQUENCE).map(|anatomy| text(anatomy, tags::FRAME_LATERALITY));
    let view = first(data_set, tags::VIEW_CODE_SEQUENCE).or_else(|| grouped(tags::VIEW_CODE_SEQUENCE));
    let laterality = header.projection.laterality.clone();
    let orientation = said(tags::PATIENT_ORIENTATION);
    let mut orientation = orientation.split('\\').map(|part| part.trim().to_owned());
    let yes = |tag| said(tag) == "YES";
    Mammogram {
        laterality: if laterality.is_empty() { anatomy.unwrap_or_default() } else { laterality },
        view: view.map(|view| text(view, tags::CODE_VALUE)).unwrap_or_default(),
        orientation: [orientation.next().unwrap_or_default(), orientation.next().unwrap_or_default()],
        mm: spacing(data_set),
        magnified: magnification(data_set),
        implant: yes(tags::BREAST_IMPLANT_PRESENT),
        partial: header.projection.partial,
        film: header.sop_class_uid == uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE
            || said(tags::DETECTOR_TYPE) == "FILM"
            || said(tags::CONVERSION_TYPE) == "DF",
        phantom: yes(tags::QUALITY_CONTROL_IMAGE),
    }
}

/// Of square pixels only: a picture with others would be distorted.
fn spacing(data_set: &InMemDicomObject) -> Option<f64> {
    let pair = |tag| {
        let values = floats(data_set, tag);
        let [down, across] = [*values.first()?, *values.get(1)?];
        (SPACING_MM.contains(&down) && (down / across - 1.0).abs() < 0.02).then_some(down)
    };
    pair(tags::IMAGER_PIXEL_SPACING).map(|mm| mm / magnification(data_set)).or_else(|| pair(tags::PIXEL_SPACING))
}

/// Times that the breast is larger on the detector than it is; 1 where it is not said, or not on the detector.
fn magnification(data_set: &InMemDicomObject) -> f64 {
    let on_detector = !floats(data_set, tags::IMAGER_PIXEL_SPACING).is_empty();
    let said = floats(data_set, tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR).first().copied();
    said.filter(|factor| on_detector && MAGNIFIED.contains(factor)).unwrap_or(1.0)
}

/// Levels of 0 to 1 of the stored values of one frame, bright is dense, row by row.
///
/// A picture for presentation is taken as it is shown: its first VOI LUT, else its first window (linear or sigmoid), else its own
/// range; then MONOCHROME1 and a Presentation LUT Shape of INVERSE turn it. One for processing has no display: where its values
/// go with the number of photons (Pixel Intensity Relationship LIN) their logarithm is taken; the sign says which end is dense.
pub fn levels(header: &Header, data_set: &InMemDicomObject, samples: &Samples) -> Vec<f32> {
    let values = stored(header, samples);
    if header.sop_class_uid == uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING {
        return for_processing(header, data_set, values);
    }
    let mut levels = shown(header, data_set, values);
    if is_turned(header, data_set) {
        levels.iter_mut().for_each(|level| *level = 1.0 - *level);
    }
    levels
}

fn is_turned(header: &Header, data_set: &InMemDicomObject) -> bool {
    header.photometric == "MONOCHROME1" || text(data_set, tags::PRESENTATION_LUT_SHAPE) == "INVERSE"
}

fn bits_of(header: &Header, samples: &Samples) -> u16 {
    let bits = if header.bits_stored == 0 { samples.bits_allocated } else { header.bits_stored };
    bits.clamp(1, samples.bits_allocated)
}

/// Stored values as numbers, with slope and intercept.
fn stored(header: &Header, samples: &Samples) -> Vec<f64> {
    let count = 1i64 << bits_of(header, samples);
    let signed = header.pixel_representation == 1;
    let (slope, intercept) = (header.rescale_slope.unwrap_or(1.0), header.rescale_intercept.unwrap_or(0.0));
    let value = |raw: u16| {
        let raw = i64::from(raw) & (count - 1);
        let raw = if signed && raw >= count / 2 { raw - count } else { raw };
        raw as f64 * slope + intercept
    };
    match samples.bits_allocated {
        8 => samples.bytes.iter().map(|byte| value(u16::from(*byte))).collect(),
        _ => samples.bytes.chunks_exact(2).map(|word| value(u16::from_le_bytes([word[0], word[1]]))).collect(),
    }
}

fn for_processing(header: &Header, data_set: &InMemDicomObject, mut values: Vec<f64>) -> Vec<f32> {
    if text(data_set, tags::PIXEL_INTENSITY_RELATIONSHIP) == "LIN" {
        values.iter_mut().for_each(|value| *value = value.max(1.0).ln());
    }
    let sign = floats(data_set, tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN).first().copied();
    // Sign 1: lower values are less intensity, that is more tissue. Without it the photometric interpretation says it.
    let dense_is_low = sign.map_or(header.photometric == "MONOCHROME1", |sign| sign > 0.0);
    let mut levels = ranged(&values);
    if dense_is_low {
        levels.iter_mut().for_each(|level| *level = 1.0 - *level);
    }
    levels
}

fn shown(header: &Header, data_set: &InMemDicomObject, values: Vec<f64>) -> Vec<f32> {
    if let Some(table) = first(data_set, tags::VOILUT_SEQUENCE).and_then(|item| Table::of(header, item)) {
        return values.iter().map(|value| table.level(*value)).collect();
    }
    let one = |tag| floats(data_set, tag).first().copied();
    let (Some(centre), Some(width)) = (one(tags::WINDOW_CENTER), one(tags::WINDOW_WIDTH)) else {
        return ranged(&values);
    };
    if !(centre.is_finite() && width > 1.0) {
        return ranged(&values);
    }
    let function = text(data_set, tags::VOILUT_FUNCTION);
    let level = |value: f64| match function.as_str() {
        "SIGMOID" => 1.0 / (1.0 + (-4.0 * (value - centre) / width).exp()),
        "LINEAR_EXACT" => (value - centre) / width + 0.5,
        _ => (value - (centre - 0.5)) / (width - 1.0) + 0.5,
    };
    values.iter().map(|value| single(level(*value))).collect()
}

/// From the lowest to the highest value, less the extreme thousandths.
fn ranged(values: &[f64]) -> Vec<f32> {
    let Some([low, high]) = spread(values.iter().copied()) else { return vec![0.0; values.len()] };
    values.iter().map(|value| single((value - low) / (high - low).max(1e-9))).collect()
}

/// The lowest and the highest value, less the extreme thousandths.
fn spread(values: impl ExactSizeIterator<Item = f64>) -> Option<[f64; 2]> {
    // A hundred thousand of them are enough, and not all of one column.
    let step = (values.len() / 100_000).max(1) | 1;
    let mut sorted: Vec<f64> = values.step_by(step).filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |part: usize| sorted.get((sorted.len() * part / 1000).min(sorted.len().saturating_sub(1))).copied();
    Some([at(1)?, at(999)?])
}

/// The first table of a VOI LUT Sequence.
struct Table {
    first: f64,
    entries: Vec<u16>,
    most: f64,
}

impl Table {
    fn of(header: &Header, item: &InMemDicomObject) -> Option<Self> {
        let descriptor: Vec<u16> = item.element_opt(tags::LUT_DESCRIPTOR).ok().flatten()?.to_multi_int().ok()?;
        let [count, first, bits] = descriptor.try_into().ok()?;
        let entries: Vec<u16> = item.element_opt(tags::LUT_DATA).ok().flatten()?.to_multi_int().ok()?;
        // 0 entries are 65536.
        let needed = if count == 0 { 1 << 16 } else { usize::from(count) };
        if entries.len() < needed || !(8..=16).contains(&bits) {
            return None;
        }
        let signed = header.pixel_representation == 1;
        let first = if signed { f64::from(first.cast_signed()) } else { f64::from(first) };
        Some(Self { first, entries, most: f64::from((1u32 << bits) - 1) })
    }

    fn level(&self, value: f64) -> f32 {
        let at = (value - self.first).clamp(0.0, self.entries.len().saturating_sub(1) as f64);
        let at = usize::from(cast::round_u16(at));
        single(self.entries.get(at).map_or(0.0, |entry| f64::from(*entry)) / self.most)
    }
}

/// Empty when there is none.
fn text(data_set: &InMemDicomObject, tag: Tag) -> String {
    let value = dataset::text(data_set, tag).unwrap_or_default();
    value.trim_start_matches(['\0', ' ']).to_owned()
}

/// Levels have far fewer digits.
#[expect(clippy::cast_possible_truncation, reason = "see above")]
fn single(value: f64) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) as f32 }
}

#[cfg(test)]
mod tests {
    use dicom_core::value::PrimitiveValue;
    use dicom_core::{DataElement, VR};

    use super::*;

    fn header(class: &str, photometric: &str) -> Header {
        Header {
            sop_class_uid: class.into(),
            photometric: photometric.into(),
            bits_stored: 12,
            bits_allocated: 16,
            ..Header::default()
        }
    }

    fn set(pairs: &[(Tag, VR, &str)]) -> InMemDicomObject {
        let mut set = InMemDicomObject::new_empty();
        for (tag, vr, text) in pairs {
            set.put(DataElement::new(*tag, *vr, PrimitiveValue::Strs(text.split('\\').map(str::to_owned).collect())));
        }
        set
    }

    fn samples(values: &[u16]) -> Samples {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Samples { bytes, bits_allocated: 16, precision: None, is_native: true, is_rgb: false }
    }

    const SHOWN: &str = uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION;
    const RAW: &str = uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING;

    #[test]
    fn bright_is_dense_whatever_the_header_calls_its_values() {
        let rises = |levels: &[f32]| levels.windows(2).all(|pair| pair[0] < pair[1]);
        let values = samples(&[100, 1000, 3000]);
        let none = set(&[]);
        assert!(rises(&levels(&header(SHOWN, "MONOCHROME2"), &none, &values)));
        assert!(!rises(&levels(&header(SHOWN, "MONOCHROME1"), &none, &values)));
        let inverse = set(&[(tags::PRESENTATION_LUT_SHAPE, VR::CS, "INVERSE")]);
        assert!(!rises(&levels(&header(SHOWN, "MONOCHROME2"), &inverse, &values)));
        let more_light_is_less_tissue = set(&[
            (tags::PIXEL_INTENSITY_RELATIONSHIP, VR::CS, "LIN"),
            (tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN, VR::IS, "1"),
        ]);
        let raw = levels(&header(RAW, "MONOCHROME2"), &more_light_is_less_tissue, &values);
        assert!(!rises(&raw) && raw[0] == 1.0, "{raw:?}");
        assert!((raw[1] - 0.323).abs() < 0.01, "the logarithm was taken: {raw:?}");
    }

    #[test]
    fn a_window_is_linear_or_a_sigmoid() {
        let window = [(tags::WINDOW_CENTER, VR::DS, "1000"), (tags::WINDOW_WIDTH, VR::DS, "400")];
        let values = samples(&[700, 1000, 1300]);
        let linear = levels(&header(SHOWN, "MONOCHROME2"), &set(&window), &values);
        assert!(linear[0] == 0.0 && (linear[1] - 0.5).abs() < 0.01 && linear[2] == 1.0, "{linear:?}");
        let sigmoid = set(&[window[0], window[1], (tags::VOILUT_FUNCTION, VR::CS, "SIGMOID")]);
        let curved = levels(&header(SHOWN, "MONOCHROME2"), &sigmoid, &values);
        assert!(curved[0] > 0.04 && (curved[1] - 0.5).abs() < 0.01 && curved[2] < 0.96, "{curved:?}");
    }

    #[test]
    fn a_pixel_is_as_large_as_in_the_breast_and_not_on_the_detector() {
        let of = |pairs: &[(Tag, VR, &str)]| of(&header(SHOWN, "MONOCHROME2"), &set(pairs)).mm;
        let detector = (tags::IMAGER_PIXEL_SPACING, VR::DS, "0.1\\0.1");
        assert_eq!(of(&[detector]), Some(0.1));
        let magnified = of(&[detector, (tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR, VR::DS, "1.25")]);
        assert!((magnified.unwrap() - 0.08).abs() < 1e-9);
        assert_eq!(of(&[(tags::IMAGER_PIXEL_SPACING, VR::DS, "0.1\\0.2")]), None, "not square");
        assert_eq!(of(&[]), None);
    }
}
