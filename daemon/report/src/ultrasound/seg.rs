//! The segmentation of the lesions of an ultrasound exam or of stored images: binary, one segment and one frame per lesion,
//! on the grid of the picture that shows it best.
//!
//! Pictures from a hand-held probe have no frame of reference. Each frame refers to the image from which it was
//! derived, pixel for pixel, and has no position (PS3.3 section A.51).

use dicom_core::VR;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::tags;

use super::{PictureRef, Seen};
use crate::canvas::whole;
use crate::codes::{ABNORMAL_STRUCTURE, ARTIFICIAL_INTELLIGENCE, BREAST, MASS};
use crate::content::Part;
use crate::dataset::{DataSet, code_item, reference};
use crate::object::{Context, SEG};
use crate::seg::{self, cie_lab};
use crate::{Error, ResultObject};

/// `keys` are the pictures that show lesions best, `seen` the lesions whose pictures have `size` (columns and rows).
///
/// # Errors
/// When a value does not fit into an object.
pub fn write(
    context: &Context,
    keys: &[PictureRef],
    seen: &[&Seen],
    size: [u16; 2],
    index: usize,
) -> Result<ResultObject, Error> {
    let mut set = context.begin(SEG, index)?;
    seg::head(context, &mut set, "Breast lesions", size, seen.len());
    set.empty(tags::PATIENT_ORIENTATION, VR::CS);
    // Segments do not overlap, because each belongs to a different image.
    set.text(tags::SEGMENTS_OVERLAP, VR::CS, "NO");
    let numbered = || seen.iter().copied().zip(1u16..);
    set.sequence(tags::SEGMENT_SEQUENCE, numbered().map(|(s, number)| segment(context, s, number)).collect());
    dimensions(context, &mut set);
    referenced(keys, seen, &mut set);
    set.sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![DataSet::new()]);
    let frames = numbered().filter_map(|(s, number)| keys.get(s.key).map(|key| frame(key, number)));
    set.sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames.collect());
    let bits = pack(seen, usize::from(size[0]), usize::from(size[1]));
    let capacity = bits.len() + 4096 * seen.len();
    set.primitive(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(bits.into()));
    context.finish(SEG, index, set, capacity)
}

fn segment(context: &Context, seen: &Seen, number: u16) -> DataSet {
    let mut item = DataSet::new();
    let model = context.provenance.model.as_ref();
    let (name, version) = model.map_or(("unknown", "unknown"), |model| (&model.id, &model.version));
    item.shorts(tags::SEGMENT_NUMBER, &[number]);
    item.text(tags::SEGMENT_LABEL, VR::LO, &seen.label());
    item.text(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, "AUTOMATIC");
    item.text(tags::SEGMENT_ALGORITHM_NAME, VR::LO, name);
    item.code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, ABNORMAL_STRUCTURE);
    item.code(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, MASS);
    item.sequence(tags::ANATOMIC_REGION_SEQUENCE, vec![code_item(BREAST, &[])]);
    let mut algorithm = DataSet::new();
    algorithm.code(tags::ALGORITHM_FAMILY_CODE_SEQUENCE, ARTIFICIAL_INTELLIGENCE);
    algorithm.text(tags::ALGORITHM_NAME, VR::LO, name);
    algorithm.text(tags::ALGORITHM_VERSION, VR::LO, version);
    if let Some(model) = model {
        let parameters = format!("{}; sha256 {}", model.thresholds, model.sha256);
        algorithm.text(tags::ALGORITHM_PARAMETERS, VR::LT, &parameters);
    }
    item.sequence(tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE, vec![algorithm]);
    item.shorts(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &cie_lab(78, 20, 78));
    item.text(tags::TRACKING_ID, VR::UT, &seen.label());
    item.text(tags::TRACKING_UID, VR::UI, &seen.tracking_uid(context));
    item
}

fn dimensions(context: &Context, set: &mut DataSet) {
    let uid = context.uids.of("dimensions", 0);
    let mut organization = DataSet::new();
    organization.text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &uid);
    set.sequence(tags::DIMENSION_ORGANIZATION_SEQUENCE, vec![organization]);
    let mut index = DataSet::new();
    index.text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &uid);
    index.primitive(tags::DIMENSION_INDEX_POINTER, VR::AT, PrimitiveValue::from(tags::REFERENCED_SEGMENT_NUMBER));
    let group = PrimitiveValue::from(tags::SEGMENT_IDENTIFICATION_SEQUENCE);
    index.primitive(tags::FUNCTIONAL_GROUP_POINTER, VR::AT, group);
    index.text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, "Segment");
    set.sequence(tags::DIMENSION_INDEX_SEQUENCE, vec![index]);
}

/// References to the segmented images, each once.
fn referenced(keys: &[PictureRef], seen: &[&Seen], set: &mut DataSet) {
    let mut used: Vec<usize> = seen.iter().map(|s| s.key).collect();
    used.sort_unstable();
    used.dedup();
    let mut used: Vec<&PictureRef> = used.into_iter().filter_map(|key| keys.get(key)).collect();
    let mut known = std::collections::HashSet::new();
    used.retain(|key| known.insert(&key.sop_uid));
    let Some(first) = used.first() else { return };
    let mut series = DataSet::new();
    series.text(tags::SERIES_INSTANCE_UID, VR::UI, &first.series_uid);
    let instances = used.iter().map(|key| reference(&key.sop_class_uid, &key.sop_uid)).collect();
    series.sequence(tags::REFERENCED_INSTANCE_SEQUENCE, instances);
    set.sequence(tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
}

fn frame(key: &PictureRef, number: u16) -> DataSet {
    let mut content = DataSet::new();
    content.primitive(tags::DIMENSION_INDEX_VALUES, VR::UL, PrimitiveValue::from(u32::from(number)));
    let mut identification = DataSet::new();
    identification.shorts(tags::REFERENCED_SEGMENT_NUMBER, &[number]);
    let mut image = reference(&key.sop_class_uid, &key.sop_uid);
    if let Part::Frame(frame) = key.part {
        image.text(tags::REFERENCED_FRAME_NUMBER, VR::IS, &frame.to_string());
    }
    let mut groups = DataSet::new();
    groups.sequence(tags::FRAME_CONTENT_SEQUENCE, vec![content]);
    groups.sequence(tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![identification]);
    groups.sequence(tags::DERIVATION_IMAGE_SEQUENCE, vec![seg::derived_from(image)]);
    groups
}

/// Packs one bit per pixel, first pixel in the lowest bit, without padding between frames (PS3.5 section 8.1.1).
fn pack(seen: &[&Seen], columns: usize, rows: usize) -> Vec<u8> {
    let mut bits = vec![0u8; (seen.len() * rows * columns).div_ceil(8)];
    for (frame, one) in seen.iter().enumerate() {
        for y in 0..rows {
            for [from, to] in inside(&one.lesion.outline, y as f32 + 0.5) {
                for x in columns_between(from, to, columns) {
                    let bit = (frame * rows + y) * columns + x;
                    bits[bit / 8] |= 1 << (bit % 8);
                }
            }
        }
    }
    bits
}

/// The pixels whose centres are between `from` and `to`.
fn columns_between(from: f32, to: f32, columns: usize) -> std::ops::Range<usize> {
    let first = |x: f32| whole((x - 0.5).ceil()).min(columns);
    first(from)..first(to)
}

/// The parts of the line at height `y` inside the closed outline, by the even-odd rule: sorted pairs of crossings.
fn inside(outline: &[[f32; 2]], y: f32) -> Vec<[f32; 2]> {
    let next = outline.iter().cycle().skip(1);
    let mut crossings: Vec<f32> = outline
        .iter()
        .zip(next)
        .filter(|(a, b)| (a[1] <= y) != (b[1] <= y))
        .map(|(a, b)| a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]))
        .collect();
    crossings.sort_by(f32::total_cmp);
    crossings.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_that_turns_back_has_two_parts_on_a_line() {
        let u = [[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [8.0, 10.0], [8.0, 2.0], [2.0, 2.0], [2.0, 10.0], [0.0, 10.0]];
        assert_eq!(inside(&u, 5.5), [[0.0, 2.0], [8.0, 10.0]]);
        assert_eq!(inside(&u, 1.5), [[0.0, 10.0]]);
        assert!(inside(&u, 11.0).is_empty() && inside(&[], 1.0).is_empty());
        assert_eq!(columns_between(8.0, 10.0, 64), 8..10);
        assert_eq!(columns_between(-5.0, 1e9, 64), 0..64);
    }
}
