//! The segmentation object: one binary object with a segment for each lung, each lobe and each region of the nine
//! findings. Segments overlap (a nodule is part of a lobe, a lobe is part of a lung), which the object declares.
//!
//! Frames exist only where a segment has voxels. Bits are packed across frames without padding (PS3.5 section 8.1.1).
//! The grid is that of the source, so every frame matches one source slice and refers to it.

use dicom_core::VR;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::tags;
use models::findings::{ChestFinding, LobeName, Mask, Side};
use models::{ChestFindings, Volume};
use rayon::prelude::*;

use crate::codes::{
    ABNORMAL_STRUCTURE, ANATOMICAL_STRUCTURE, ARTIFICIAL_INTELLIGENCE, Code, SEGMENTATION, SOURCE_IMAGE_FOR_PROCESSING,
};
use crate::dataset::{self, DataSet, code_item};
use crate::entry::entry;
use crate::object::{Context, SEG};
use crate::provenance::LUNG_ALGORITHM;
use crate::regions::{self, Subject};
use crate::site::Site;
use crate::{Error, ResultObject, identity};

/// The object and the segment numbers in it.
#[derive(Debug)]
pub struct Written {
    pub object: ResultObject,
    numbers: Vec<(Subject, u16)>,
}

impl Written {
    pub fn segment(&self, subject: Subject) -> Option<u16> {
        self.numbers.iter().find(|(s, _)| *s == subject).map(|(_, n)| *n)
    }
}

struct Segment<'a> {
    number: u16,
    subject: Subject,
    site: Site,
    /// The segment is the union of these masks.
    masks: Vec<&'a Mask>,
    /// Slices in which the segment has voxels.
    slices: Vec<usize>,
}

/// `None` when nothing was segmented, because an object without frames is not allowed.
///
/// # Errors
/// When the pixels or a copied value do not fit into an object.
pub fn write(context: &Context, findings: &ChestFindings, volume: &Volume) -> Result<Option<Written>, Error> {
    let segments = segments(findings);
    if segments.is_empty() {
        return Ok(None);
    }
    let [columns, rows, _] = volume.geometry.dims;
    let frames: Vec<(&Segment, usize)> = segments.iter().flat_map(|s| s.slices.iter().map(move |k| (s, *k))).collect();
    let (Ok(rows_16), Ok(columns_16)) = (u16::try_from(rows), u16::try_from(columns)) else {
        return Err(Error::TooLong { tag: tags::ROWS, length: rows.max(columns) });
    };
    let bytes = (frames.len() * rows * columns).div_ceil(8);
    if u32::try_from(bytes).is_err() {
        return Err(Error::TooLong { tag: tags::PIXEL_DATA, length: bytes });
    }

    let mut set = context.begin(SEG, 0)?;
    identity::copy_frame_of_reference(context.source, context.uids, &mut set)?;
    head(context, &mut set, "Lungs, lobes and findings", [columns_16, rows_16], frames.len());
    set.text(tags::SEGMENTS_OVERLAP, VR::CS, if overlap(&segments) { "YES" } else { "NO" });
    set.sequence(tags::SEGMENT_SEQUENCE, segments.iter().map(|s| describe(context, s)).collect());
    dimensions(context, &mut set);
    referenced_series(context, &mut set);
    set.sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared(context, volume)]);

    // Position indices count the positions in use, from 1 (PS3.3 section C.7.6.17).
    let mut used: Vec<usize> = frames.iter().map(|(_, k)| *k).collect();
    used.sort_unstable();
    used.dedup();
    let position = |slice: usize| used.partition_point(|u| *u < slice) + 1;
    let per_frame = frames.iter().map(|(s, k)| frame(context, s.number, *k, position(*k))).collect();
    set.sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, per_frame);
    let planes: Vec<(&[&Mask], usize)> = frames.iter().map(|(s, k)| (s.masks.as_slice(), *k)).collect();
    set.primitive(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(pack(&planes, rows, columns).into()));

    let numbers = segments.iter().map(|s| (s.subject, s.number)).collect();
    Ok(Some(Written { object: context.finish(SEG, 0, set, bytes + 2048 * frames.len())?, numbers }))
}

/// Sets the attributes that all our binary segmentations share. Content Description is the mark, or `what` without a
/// mark. `size`: columns and rows.
pub fn head(context: &Context, set: &mut DataSet, what: &str, size: [u16; 2], frames: usize) {
    let [columns, rows] = size;
    set.texts(tags::IMAGE_TYPE, VR::CS, &["DERIVED", "PRIMARY"]);
    set.text(tags::CONTENT_LABEL, VR::CS, "SCANSIDE");
    set.text(tags::CONTENT_DESCRIPTION, VR::LO, context.provenance.mark().unwrap_or(what));
    set.text(tags::CONTENT_CREATOR_NAME, VR::PN, crate::provenance::MANUFACTURER);
    set.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00");
    set.text(tags::BURNED_IN_ANNOTATION, VR::CS, "NO");
    set.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    set.text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string());
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, rows),
        (tags::COLUMNS, columns),
        (tags::BITS_ALLOCATED, 1),
        (tags::BITS_STORED, 1),
        (tags::HIGH_BIT, 0),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        set.shorts(tag, &[value]);
    }
    set.text(tags::SEGMENTATION_TYPE, VR::CS, "BINARY");
}

/// The segments in the order of [`regions::all`], numbered from 1 without gaps (PS3.3 section C.8.20.2).
fn segments(findings: &ChestFindings) -> Vec<Segment<'_>> {
    let mut segments = Vec::new();
    let mut number = 1;
    for region in regions::all(findings) {
        let slices = slices_with_voxels(&region.masks);
        if slices.is_empty() {
            continue;
        }
        segments.push(Segment { number, subject: region.subject, site: region.site, masks: region.masks, slices });
        number += 1;
    }
    segments
}

fn slices_with_voxels(masks: &[&Mask]) -> Vec<usize> {
    let mut slices: Vec<usize> = Vec::new();
    for mask in masks {
        let all = mask.origin[2]..mask.origin[2] + mask.size[2];
        slices.extend(all.filter(|k| mask.plane(*k).iter().any(|v| *v != 0)));
    }
    slices.sort_unstable();
    slices.dedup();
    slices
}

fn overlap(segments: &[Segment]) -> bool {
    let pairs = segments.iter().enumerate().flat_map(|(i, a)| segments[i + 1..].iter().map(move |b| (a, b)));
    let masks = pairs.flat_map(|(a, b)| a.masks.iter().flat_map(move |a| b.masks.iter().map(move |b| (*a, *b))));
    masks.into_iter().any(|(a, b)| {
        let low: Vec<usize> = (0..3).map(|i| a.origin[i].max(b.origin[i])).collect();
        let high: Vec<usize> = (0..3).map(|i| (a.origin[i] + a.size[i]).min(b.origin[i] + b.size[i])).collect();
        let row = |m: &Mask, y: usize, z: usize| {
            let start = ((z - m.origin[2]) * m.size[1] + y - m.origin[1]) * m.size[0];
            start + low[0] - m.origin[0]
        };
        if (0..3).any(|i| low[i] >= high[i]) {
            return false;
        }
        let width = high[0] - low[0];
        (low[2]..high[2]).any(|z| {
            (low[1]..high[1]).any(|y| {
                let (a, b) = (&a.voxels[row(a, y, z)..][..width], &b.voxels[row(b, y, z)..][..width]);
                a.iter().zip(b).any(|(a, b)| *a != 0 && *b != 0)
            })
        })
    })
}

fn describe(context: &Context, segment: &Segment) -> DataSet {
    let mut item = DataSet::new();
    let model = context.provenance.model.as_ref();
    let anatomy = segment.subject.finding().is_none();
    let algorithm = match (anatomy, model) {
        (true, _) => LUNG_ALGORITHM,
        (false, Some(model)) => &model.id,
        (false, None) => "unknown",
    };
    item.shorts(tags::SEGMENT_NUMBER, &[segment.number]);
    item.text(tags::SEGMENT_LABEL, VR::LO, &segment.subject.label());
    item.text(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, "AUTOMATIC");
    item.text(tags::SEGMENT_ALGORITHM_NAME, VR::LO, algorithm);
    let category = if anatomy { ANATOMICAL_STRUCTURE } else { ABNORMAL_STRUCTURE };
    item.code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, category);
    let mut kind = code_item(segment.subject.code(), &[]);
    if anatomy {
        if let Some(side) = segment.site.side {
            kind.code(tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE, side);
        }
        item.sequence(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, vec![kind]);
    } else {
        item.sequence(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, vec![kind]);
        let sides: Vec<Code> = segment.site.side.into_iter().collect();
        item.sequence(tags::ANATOMIC_REGION_SEQUENCE, vec![code_item(segment.site.place, &sides)]);
        let mut identification = DataSet::new();
        identification.code(tags::ALGORITHM_FAMILY_CODE_SEQUENCE, ARTIFICIAL_INTELLIGENCE);
        identification.text(tags::ALGORITHM_NAME, VR::LO, algorithm);
        identification.text(tags::ALGORITHM_VERSION, VR::LO, model.map_or("unknown", |m| &m.version));
        if let Some(model) = model {
            let parameters = format!("{}; sha256 {}", model.thresholds, model.sha256);
            identification.text(tags::ALGORITHM_PARAMETERS, VR::LT, &parameters);
        }
        item.sequence(tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE, vec![identification]);
    }
    item.shorts(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &colour(segment.subject));
    item.text(tags::TRACKING_ID, VR::UT, &segment.subject.label());
    item.text(tags::TRACKING_UID, VR::UI, &segment.subject.tracking_uid(context));
    item
}

fn colour(subject: Subject) -> [u16; 3] {
    let of = |finding| {
        let [l, a, b] = entry(finding).colour;
        cie_lab(l, a, b)
    };
    match subject {
        Subject::Lung(Side::Right) => cie_lab(75, -8, -30),
        Subject::Lung(Side::Left) => cie_lab(82, -40, 25),
        Subject::Lobe { name: LobeName::RightUpper, .. } => cie_lab(70, 5, -45),
        Subject::Lobe { name: LobeName::RightMiddle, .. } => cie_lab(80, -25, -20),
        Subject::Lobe { name: LobeName::RightLower, .. } => cie_lab(55, 20, -55),
        Subject::Lobe { name: LobeName::LeftUpper, .. } => cie_lab(85, -45, 50),
        Subject::Lobe { name: LobeName::LeftLower, .. } => cie_lab(60, -50, 20),
        Subject::GroundGlass => cie_lab(88, -10, 60),
        Subject::Consolidation => cie_lab(60, 55, 50),
        Subject::Nodule(_) | Subject::Mass(_) => of(ChestFinding::Nodule),
        Subject::Emphysema(_) => of(ChestFinding::Emphysema),
        Subject::CoronaryCalcium => of(ChestFinding::CoronaryCalcification),
        Subject::Instance(finding, _) => of(finding),
    }
}

// PS3.3 C.10.7.1.1: L* of 0..100 as 0..65535, a* and b* of -128..127 as 0..65535.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "const; all colours are within the ranges")]
pub const fn cie_lab(l: i32, a: i32, b: i32) -> [u16; 3] {
    [(l * 65535 / 100) as u16, ((a + 128) * 257) as u16, ((b + 128) * 257) as u16]
}

/// Frames are ordered by segment, then by position (PS3.3 C.7.6.17).
fn dimensions(context: &Context, set: &mut DataSet) {
    let uid = context.uids.of("dimensions", 0);
    let mut organization = DataSet::new();
    organization.text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &uid);
    set.sequence(tags::DIMENSION_ORGANIZATION_SEQUENCE, vec![organization]);
    let index = |pointer, group, label| {
        let mut item = DataSet::new();
        item.text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &uid);
        item.primitive(tags::DIMENSION_INDEX_POINTER, VR::AT, PrimitiveValue::from(pointer));
        item.primitive(tags::FUNCTIONAL_GROUP_POINTER, VR::AT, PrimitiveValue::from(group));
        item.text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, label);
        item
    };
    set.sequence(
        tags::DIMENSION_INDEX_SEQUENCE,
        vec![
            index(tags::REFERENCED_SEGMENT_NUMBER, tags::SEGMENT_IDENTIFICATION_SEQUENCE, "Segment"),
            index(tags::IMAGE_POSITION_PATIENT, tags::PLANE_POSITION_SEQUENCE, "Position"),
        ],
    );
}

/// Common Instance Reference module: the segmented series with each of its instances once.
fn referenced_series(context: &Context, set: &mut DataSet) {
    let mut series = DataSet::new();
    series.text(tags::SERIES_INSTANCE_UID, VR::UI, &identity::series_uid(context.source, context.uids));
    series.sequence(tags::REFERENCED_INSTANCE_SEQUENCE, crate::evidence::instances(context.source));
    set.sequence(tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
}

fn shared(context: &Context, volume: &Volume) -> DataSet {
    let geometry = &volume.geometry;
    let [across, down, _] = geometry.spacing_mm;
    let between = geometry.slice_distance_mm();
    let mut orientation = DataSet::new();
    let cosines: Vec<f64> = geometry.axes[..2].iter().flatten().copied().collect();
    orientation.decimals(tags::IMAGE_ORIENTATION_PATIENT, &cosines);
    let mut measures = DataSet::new();
    let thickness = context.source.header.slice_thickness.filter(|t| *t > 0.0).unwrap_or(between);
    measures.decimals(tags::SLICE_THICKNESS, &[thickness]);
    measures.decimals(tags::SPACING_BETWEEN_SLICES, &[between]);
    measures.decimals(tags::PIXEL_SPACING, &[down, across]);
    let mut groups = DataSet::new();
    groups.sequence(tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation]);
    groups.sequence(tags::PIXEL_MEASURES_SEQUENCE, vec![measures]);
    groups
}

fn frame(context: &Context, segment: u16, slice: usize, position: usize) -> DataSet {
    let slice_ref = &context.source.instances[slice];
    let mut content = DataSet::new();
    let indices = [u32::from(segment), u32::try_from(position).unwrap_or(u32::MAX)];
    content.primitive(tags::DIMENSION_INDEX_VALUES, VR::UL, PrimitiveValue::U32(indices.into_iter().collect()));
    let mut plane = DataSet::new();
    plane.decimals(tags::IMAGE_POSITION_PATIENT, &slice_ref.position_mm);
    let mut identification = DataSet::new();
    identification.shorts(tags::REFERENCED_SEGMENT_NUMBER, &[segment]);
    let mut image = dataset::reference(&slice_ref.sop_class_uid, &slice_ref.sop_instance_uid);
    if let Some(number) = slice_ref.frame {
        image.text(tags::REFERENCED_FRAME_NUMBER, VR::IS, &number.to_string());
    }
    let mut groups = DataSet::new();
    groups.sequence(tags::FRAME_CONTENT_SEQUENCE, vec![content]);
    groups.sequence(tags::PLANE_POSITION_SEQUENCE, vec![plane]);
    groups.sequence(tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![identification]);
    groups.sequence(tags::DERIVATION_IMAGE_SEQUENCE, vec![derived_from(image)]);
    groups
}

/// Declares that a frame was segmented from this image (or frame), pixel for pixel.
pub fn derived_from(mut image: DataSet) -> DataSet {
    image.text(tags::SPATIAL_LOCATIONS_PRESERVED, VR::CS, "YES");
    image.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, SOURCE_IMAGE_FOR_PROCESSING);
    let mut derivation = DataSet::new();
    derivation.code(tags::DERIVATION_CODE_SEQUENCE, SEGMENTATION);
    derivation.sequence(tags::SOURCE_IMAGE_SEQUENCE, vec![image]);
    derivation
}

/// Packs one bit per pixel, first pixel in the lowest bit, without padding between frames.
fn pack(planes: &[(&[&Mask], usize)], rows: usize, columns: usize) -> Vec<u8> {
    let frame_bits = rows * columns;
    let mut bytes = vec![0u8; (planes.len() * frame_bits).div_ceil(8)];
    if frame_bits > 0 && frame_bits.is_multiple_of(8) {
        let frames = bytes.par_chunks_mut(frame_bits / 8).zip(planes);
        frames.for_each(|(out, (masks, slice))| masks.iter().for_each(|mask| pack_one(out, 0, mask, *slice, columns)));
    } else {
        for (index, (masks, slice)) in planes.iter().enumerate() {
            masks.iter().for_each(|mask| pack_one(&mut bytes, index * frame_bits, mask, *slice, columns));
        }
    }
    bytes
}

fn pack_one(out: &mut [u8], first_bit: usize, mask: &Mask, slice: usize, columns: usize) {
    let width = mask.size[0];
    for (y, row) in mask.plane(slice).chunks_exact(width.max(1)).enumerate() {
        let start = first_bit + (mask.origin[1] + y) * columns + mask.origin[0];
        for (x, voxel) in row.iter().enumerate() {
            let bit = start + x;
            out[bit >> 3] |= u8::from(*voxel != 0) << (bit & 7);
        }
    }
}
