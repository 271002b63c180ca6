//! What an ultrasound image says of its parts: the Sequence of Ultrasound Regions (PS3.3 section C.8.5.5). Pure.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// What a region shows, as far as it matters here: Region Spatial Format (0018,6012) with Region Data Type (0018,6014).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// Two-dimensional, of tissue: B-mode.
    Tissue,
    /// Two-dimensional, with the colours of flow.
    ColourFlow,
    MMode,
    /// Doppler spectra and other curves over time.
    Spectrum,
    /// Bars, drawings, physiological curves and what is not known.
    Other,
}

/// One region of an ultrasound image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    pub shows: Shows,
    /// left, top, right, bottom, pixels; right and bottom are excluded. As written: it may exceed the image.
    pub bounds: [u32; 4],
    /// Millimetres per pixel across and down, when both are lengths and greater than zero.
    pub mm: Option<[f64; 2]>,
}

/// A malicious header may name any number; scanners write a handful.
const MOST: usize = 64;
/// Physical Units X/Y Direction: centimetres.
const CENTIMETRES: i64 = 3;

/// The regions in the order of the header. Those without a place are left out, but for colour flow, which is somewhere: its place
/// is empty.
pub fn of(data_set: &InMemDicomObject) -> Vec<Region> {
    let sequence = data_set.element_opt(tags::SEQUENCE_OF_ULTRASOUND_REGIONS).ok().flatten();
    let items = sequence.and_then(|element| element.items()).unwrap_or_default();
    items.iter().take(MOST).filter_map(region).collect()
}

fn region(item: &InMemDicomObject) -> Option<Region> {
    let place = |tag| integer(item, tag).and_then(|value| u32::try_from(value).ok());
    // The corners that the standard names are the first and the last pixel.
    let bounds = || {
        Some([
            place(tags::REGION_LOCATION_MIN_X0)?,
            place(tags::REGION_LOCATION_MIN_Y0)?,
            place(tags::REGION_LOCATION_MAX_X1)?.saturating_add(1),
            place(tags::REGION_LOCATION_MAX_Y1)?.saturating_add(1),
        ])
    };
    let format = integer(item, tags::REGION_SPATIAL_FORMAT).unwrap_or_default();
    let data = integer(item, tags::REGION_DATA_TYPE).unwrap_or_default();
    let shows = match (format, data) {
        (1, 1) => Shows::Tissue,
        (1, 2) => Shows::ColourFlow,
        (2, _) => Shows::MMode,
        (3 | 4, _) => Shows::Spectrum,
        _ => Shows::Other,
    };
    let bounds = bounds().or_else(|| (shows == Shows::ColourFlow).then_some([0; 4]))?;
    let axis = |unit, delta| {
        let mm = 10.0 * float(item, delta)?.abs();
        (integer(item, unit) == Some(CENTIMETRES) && mm.is_finite() && mm > 0.0).then_some(mm)
    };
    let across = axis(tags::PHYSICAL_UNITS_X_DIRECTION, tags::PHYSICAL_DELTA_X);
    let down = axis(tags::PHYSICAL_UNITS_Y_DIRECTION, tags::PHYSICAL_DELTA_Y);
    Some(Region { shows, bounds, mm: across.zip(down).map(<[f64; 2]>::from) })
}

fn integer(item: &InMemDicomObject, tag: Tag) -> Option<i64> {
    item.element_opt(tag).ok().flatten()?.to_int().ok()
}

fn float(item: &InMemDicomObject, tag: Tag) -> Option<f64> {
    item.element_opt(tag).ok().flatten()?.to_float64().ok()
}

#[cfg(test)]
mod tests {
    use dicom_core::value::{DataSetSequence, PrimitiveValue};
    use dicom_core::{DataElement, VR};

    use super::*;

    fn written(format: u16, data: u16, units: u16, delta: f64) -> InMemDicomObject {
        let mut item = InMemDicomObject::new_empty();
        let mut put = |tag, vr, value: PrimitiveValue| item.put(DataElement::new(tag, vr, value));
        for (tag, value) in [
            (tags::REGION_LOCATION_MIN_X0, 10u32),
            (tags::REGION_LOCATION_MIN_Y0, 20),
            (tags::REGION_LOCATION_MAX_X1, 109),
            (tags::REGION_LOCATION_MAX_Y1, 219),
        ] {
            put(tag, VR::UL, value.into());
        }
        for (tag, value) in [
            (tags::REGION_SPATIAL_FORMAT, format),
            (tags::REGION_DATA_TYPE, data),
            (tags::PHYSICAL_UNITS_X_DIRECTION, units),
            (tags::PHYSICAL_UNITS_Y_DIRECTION, units),
        ] {
            put(tag, VR::US, value.into());
        }
        put(tags::PHYSICAL_DELTA_X, VR::FD, delta.into());
        put(tags::PHYSICAL_DELTA_Y, VR::FD, delta.into());
        item
    }

    fn read(items: Vec<InMemDicomObject>) -> Vec<Region> {
        let mut object = InMemDicomObject::new_empty();
        let sequence = DataSetSequence::from(items);
        object.put(DataElement::new(tags::SEQUENCE_OF_ULTRASOUND_REGIONS, VR::SQ, sequence));
        of(&object)
    }

    #[test]
    fn each_region_says_what_it_shows_and_how_large_its_pixels_are() {
        let all =
            read(vec![written(1, 1, 3, 0.008), written(1, 2, 3, -0.008), written(2, 1, 4, 0.1), written(3, 3, 0, 0.0)]);
        let shows: Vec<Shows> = all.iter().map(|region| region.shows).collect();
        assert_eq!(shows, [Shows::Tissue, Shows::ColourFlow, Shows::MMode, Shows::Spectrum]);
        assert_eq!(all[0].bounds, [10, 20, 110, 220]);
        assert_eq!(all.iter().map(|region| region.mm.is_some()).collect::<Vec<_>>(), [true, true, false, false]);
        assert!((all[1].mm.unwrap()[0] - 0.08).abs() < 1e-12);
    }

    #[test]
    fn what_has_no_place_is_left_out_and_there_is_a_limit() {
        let mut nowhere = written(1, 1, 3, 0.008);
        nowhere.remove_element(tags::REGION_LOCATION_MAX_X1);
        assert!(read(vec![nowhere]).is_empty());
        assert!(of(&InMemDicomObject::new_empty()).is_empty());
        assert_eq!(read(vec![written(1, 1, 3, 0.01); 1000]).len(), MOST);
        assert_eq!(read(vec![written(1, 1, 3, f64::NAN)])[0].mm, None);
    }
}
