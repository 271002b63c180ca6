//! Reads a binary segmentation (PS3.3 section A.51) for display: which segments there are, and which pixels of which
//! images belong to them.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::dataset::{first, items, number, text};
use crate::pixels::parse;

/// A value of 100 % of CIELab as DICOM stores it (PS3.3 section C.10.7.1.1).
const LAB_FULL: f64 = 65535.0;

/// Anatomical structure, and the older body structure (SNOMED CT; PS3.16 CID 7150).
const ANATOMY: [&str; 2] = ["91723000", "123037004"];

#[derive(Debug, Clone, PartialEq)]
pub struct Segmentation {
    pub rows: u32,
    pub columns: u32,
    pub segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    pub number: u16,
    pub label: String,
    /// Recommended colour: red, green, blue.
    pub colour: [u8; 3],
    /// A normal structure of the body, not something that was found.
    pub is_anatomy: bool,
    pub frames: Vec<Frame>,
}

/// What of one image belongs to a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub sop_instance_uid: String,
    /// Counted from 1; of a multi-frame image only.
    pub frame: Option<u32>,
    /// First pixel (row-major index) and number of pixels that follow each other, in ascending order. Runs end with
    /// their row.
    pub runs: Vec<[u32; 2]>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the segmentation cannot be read: {0}")]
    DataSet(String),
    #[error("the segmentation has no usable {0}")]
    Missing(Tag),
    #[error("the segmentation is not binary: {0}")]
    NotBinary(String),
    /// Fewer bits than its frames have pixels.
    #[error("the segmentation ends after {bytes} of {needed} bytes of pixels")]
    TooShort { bytes: usize, needed: usize },
}

/// # Errors
/// When the file is not a binary segmentation, or has fewer pixels than it says.
pub fn read(part10: &[u8]) -> Result<Segmentation, Error> {
    let file = parse::whole(part10).map_err(|error| Error::DataSet(error.to_string()))?;
    let kind = text(&file, tags::SEGMENTATION_TYPE).unwrap_or_default();
    if kind != "BINARY" {
        return Err(Error::NotBinary(kind));
    }
    let size = |tag| number(&file, tag).ok_or(Error::Missing(tag));
    let (rows, columns) = (size(tags::ROWS)?, size(tags::COLUMNS)?);
    let bits = file.element(tags::PIXEL_DATA).ok().and_then(|element| element.to_bytes().ok());
    let bits = bits.ok_or(Error::Missing(tags::PIXEL_DATA))?;
    let frames = items(&file, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let pixels = rows as usize * columns as usize;
    let needed = pixels.saturating_mul(frames.len()).div_ceil(8);
    if bits.len() < needed {
        return Err(Error::TooShort { bytes: bits.len(), needed });
    }
    let mut segments: Vec<Segment> = items(&file, tags::SEGMENT_SEQUENCE).iter().filter_map(segment).collect();
    for (index, groups) in frames.iter().enumerate() {
        let of = first(groups, tags::SEGMENT_IDENTIFICATION_SEQUENCE)
            .and_then(|item| number::<u16>(item, tags::REFERENCED_SEGMENT_NUMBER));
        let source = first(groups, tags::DERIVATION_IMAGE_SEQUENCE)
            .and_then(|item| first(item, tags::SOURCE_IMAGE_SEQUENCE))
            .and_then(|image| Some((text(image, tags::REFERENCED_SOP_INSTANCE_UID)?, image)));
        let (Some(of), Some((sop_instance_uid, image))) = (of, source) else { continue };
        let Some(segment) = segments.iter_mut().find(|segment| segment.number == of) else { continue };
        let frame = number(image, tags::REFERENCED_FRAME_NUMBER);
        let runs = runs(&bits, index * pixels, rows, columns);
        segment.frames.push(Frame { sop_instance_uid, frame, runs });
    }
    Ok(Segmentation { rows, columns, segments })
}

fn segment(item: &InMemDicomObject) -> Option<Segment> {
    let category = first(item, tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE);
    let category = category.and_then(|code| text(code, tags::CODE_VALUE));
    let is_anatomy = category.is_some_and(|code| ANATOMY.contains(&code.as_str()));
    let lab = item.element_opt(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE).ok().flatten();
    let lab = lab.and_then(|element| element.to_multi_int::<u16>().ok()).and_then(|lab| lab.try_into().ok());
    Some(Segment {
        number: number(item, tags::SEGMENT_NUMBER)?,
        label: text(item, tags::SEGMENT_LABEL).unwrap_or_default(),
        colour: lab.map_or([255, 255, 0], rgb),
        is_anatomy,
        frames: Vec::new(),
    })
}

/// Runs of set bits in one frame, whose first pixel is bit `begin`. The first pixel of a byte is its lowest bit (PS3.5
/// section 8.1.1).
fn runs(bits: &[u8], begin: usize, rows: u32, columns: u32) -> Vec<[u32; 2]> {
    let mut runs = Vec::new();
    let mut open: Option<u32> = None;
    for row in 0..rows {
        let mut column = 0;
        while column < columns {
            let pixel = row * columns + column;
            let bit = begin + pixel as usize;
            let byte = bits[bit / 8];
            // Most of a frame is empty.
            if byte == 0 && open.is_none() && bit.is_multiple_of(8) && column + 8 <= columns {
                column += 8;
                continue;
            }
            match (byte >> (bit % 8) & 1, open) {
                (1, None) => open = Some(pixel),
                (0, Some(first)) => {
                    runs.push([first, pixel - first]);
                    open = None;
                }
                _ => {}
            }
            column += 1;
        }
        if let Some(first) = open.take() {
            runs.push([first, (row + 1) * columns - first]);
        }
    }
    runs
}

/// CIELab (D50) as DICOM stores it to sRGB: PS3.3 section C.10.7.1.1; IEC 61966-2-1 with the Bradford adaptation.
fn rgb([l, a, b]: [u16; 3]) -> [u8; 3] {
    let l = f64::from(l) / LAB_FULL * 100.0;
    let [a, b] = [a, b].map(|value| f64::from(value) / LAB_FULL * 255.0 - 128.0);
    let fy = (l + 16.0) / 116.0;
    let back = |f: f64| if f > 6.0 / 29.0 { f.powi(3) } else { 3.0 * (6.0f64 / 29.0).powi(2) * (f - 4.0 / 29.0) };
    let [x, y, z] = [0.9642 * back(fy + a / 500.0), back(fy), 0.8249 * back(fy - b / 200.0)];
    let linear = [
        3.1339 * x - 1.6169 * y - 0.4906 * z,
        -0.9788 * x + 1.9161 * y + 0.0335 * z,
        0.0719 * x - 0.2290 * y + 1.4052 * z,
    ];
    linear.map(|value| {
        let value = if value <= 0.003_130_8 { 12.92 * value } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 };
        crate::cast::round_byte(value * 255.0)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bits as DICOM packs them.
    fn packed(pixels: &[bool]) -> Vec<u8> {
        pixels.chunks(8).map(|byte| byte.iter().rev().fold(0, |sum, bit| sum << 1 | u8::from(*bit))).collect()
    }

    proptest! {
        /// Every pixel that is set, and no other, is in exactly one run; no run goes over the end of its row.
        #[test]
        fn runs_are_the_pixels_that_are_set(
            rows in 1u32..9,
            columns in 1u32..20,
            skipped in 0usize..20,
            seed in proptest::collection::vec(any::<bool>(), 9 * 20 + 20),
            sparse in any::<bool>(),
        ) {
            let pixels: Vec<bool> =
                seed.iter().enumerate().map(|(i, bit)| *bit && (!sparse || i % 23 == 0)).collect();
            let count = (rows * columns) as usize;
            let bits = packed(&pixels[..skipped + count]);
            let mut seen = vec![false; count];
            for [first, length] in runs(&bits, skipped, rows, columns) {
                prop_assert!(length > 0 && first % columns + length <= columns);
                for at in first..first + length {
                    prop_assert!(!seen[at as usize]);
                    seen[at as usize] = true;
                }
            }
            prop_assert_eq!(&seen[..], &pixels[skipped..skipped + count]);
        }
    }

    #[test]
    fn colours_come_out_as_they_went_in() {
        let lab = |l: f64, a: f64, b: f64| {
            [l / 100.0, (a + 128.0) / 255.0, (b + 128.0) / 255.0].map(|part| crate::cast::round_u16(part * LAB_FULL))
        };
        assert_eq!(rgb(lab(100.0, 0.0, 0.0)), [255, 255, 255]);
        assert_eq!(rgb(lab(0.0, 0.0, 0.0)), [0, 0, 0]);
        let [red, green, blue] = rgb(lab(54.3, 80.8, 69.9));
        assert!(red > 250 && green < 12 && blue < 12, "pure red, not {red} {green} {blue}");
    }

    #[test]
    fn what_is_no_segmentation_is_refused() {
        assert!(matches!(read(b"not DICOM"), Err(Error::DataSet(_))));
    }
}
