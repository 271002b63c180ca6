//! Enhanced multi-frame CT: position, rescale values and their units of each frame, from the functional groups (PS3.3 section
//! C.7.6.16).

use dicom::header::Header;
use dicom::pixels::error::DecodeError;
use dicom::pixels::parse;
use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::geometry::SliceGeometry;
use super::rescale::Scale;
use super::units::{Said, Units, units};

/// The values for one frame.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub geometry: SliceGeometry,
    pub scale: Scale,
    pub units: Units,
}

/// Whether frames have their own positions. An enhanced instance may consist of a single frame.
pub(super) fn is_multiframe(header: &Header) -> bool {
    header.number_of_frames > 1
        || matches!(
            header.sop_class_uid.as_str(),
            uids::ENHANCED_CT_IMAGE_STORAGE | uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE
        )
}

/// Returns one entry per frame. Values that no functional group has are taken from the top level, where older
/// multi-frame objects have them.
///
/// Uses the recursive parser, so `scan` must have limited the nesting of the instance.
pub(super) fn facts(header: &Header, part10: &[u8]) -> Result<Vec<Facts>, DecodeError> {
    let data_set = parse::data_set(part10)?;
    let shared = items(&data_set, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).first();
    let per_frame = items(&data_set, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let frame = |index: usize| {
        let groups = Groups { frame: per_frame.get(index), shared };
        let (number, top) = (index as i64 + 1, Scale::of(header));
        let [slope, intercept] = [tags::RESCALE_SLOPE, tags::RESCALE_INTERCEPT]
            .map(|tag| groups.numbers::<1>(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tag).map(|[v]| v));
        Facts {
            geometry: SliceGeometry {
                position_mm: groups
                    .numbers(tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT)
                    .or(header.image_position),
                orientation: groups
                    .numbers(tags::PLANE_ORIENTATION_SEQUENCE, tags::IMAGE_ORIENTATION_PATIENT)
                    .or(header.image_orientation),
                pixel_spacing_mm: groups
                    .numbers(tags::PIXEL_MEASURES_SEQUENCE, tags::PIXEL_SPACING)
                    .or(header.pixel_spacing),
                number: Some(number),
                ..SliceGeometry::from(header)
            },
            units: units(&groups.said(header, slope.is_some() && intercept.is_some())),
            scale: Scale { slope: slope.unwrap_or(top.slope), intercept: intercept.unwrap_or(top.intercept), ..top },
        }
    };
    Ok((0..header.number_of_frames.max(1) as usize).map(frame).collect())
}

/// The functional groups that apply to one frame: its own before the shared ones.
struct Groups<'a> {
    frame: Option<&'a InMemDicomObject>,
    shared: Option<&'a InMemDicomObject>,
}

impl Groups<'_> {
    /// What the groups say of the values, and where they are silent the top level.
    fn said(&self, header: &Header, has_rescale: bool) -> Said {
        let top = Said::from(header);
        let text = |group, attribute| self.text(group, attribute).filter(|text| !text.is_empty());
        let frame_type = text(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE, tags::FRAME_TYPE);
        let energy = tags::MONOENERGETIC_ENERGY_EQUIVALENT;
        Said {
            image_type: frame_type.map_or(top.image_type, |text| text.split('\\').map(str::to_owned).collect()),
            rescale_type: text(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tags::RESCALE_TYPE)
                .unwrap_or(top.rescale_type),
            has_rescale: has_rescale || top.has_rescale,
            kev: self.numbers(tags::MULTIENERGY_CT_CHARACTERISTICS_SEQUENCE, energy).map_or(top.kev, |[kev]| Some(kev)),
            ..top
        }
    }

    fn text(&self, group: Tag, attribute: Tag) -> Option<String> {
        [self.frame, self.shared].into_iter().flatten().find_map(|groups| {
            let value = items(groups, group).first()?.element_opt(attribute).ok()??;
            Some(value.to_str().ok()?.trim().to_owned())
        })
    }

    fn numbers<const N: usize>(&self, group: Tag, attribute: Tag) -> Option<[f64; N]> {
        [self.frame, self.shared].into_iter().flatten().find_map(|groups| {
            let value = items(groups, group).first()?.element_opt(attribute).ok()??;
            value.to_multi_float64().ok()?.try_into().ok()
        })
    }
}

fn items(object: &InMemDicomObject, sequence: Tag) -> &[InMemDicomObject] {
    object.element_opt(sequence).ok().flatten().and_then(|e| e.items()).unwrap_or_default()
}
