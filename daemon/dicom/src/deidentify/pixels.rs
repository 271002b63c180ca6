//! Puts pixels into a copy: as numbers without compression, since compressed pictures may carry comments; bits that no sample uses
//! are cleared, since old overlays lie there; what lies outside the image areas is black.

use dicom_core::value::{PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::burnt::Plan;
use crate::dataset::number;
use crate::pixels::DecodeError;
use crate::pixels::colour::Conversion;
use crate::pixels::pictures::Pictures;

/// The samples of a segmentation, which are bits and hold nothing else.
pub(super) fn bits(source: &InMemDicomObject, set: &mut InMemDicomObject) -> Result<(), DecodeError> {
    let pixels = source.element(tags::PIXEL_DATA).map_err(|_| DecodeError::NoPixelData)?;
    let Value::Primitive(value) = pixels.value() else {
        return Err(DecodeError::NotAPicture { what: "a compressed segmentation".into() });
    };
    set.put(DataElement::new(tags::PIXEL_DATA, pixels.vr(), value.clone()));
    Ok(())
}

pub(super) fn put(
    part10: &[u8],
    source: &InMemDicomObject,
    plan: &Plan,
    set: &mut InMemDicomObject,
) -> Result<(), DecodeError> {
    let pictures = Pictures::open(part10)?;
    let conversion = Conversion::of(&pictures.header, &pictures.data_set)
        .map_err(|error| DecodeError::NotAPicture { what: error.to_string() })?;
    let native = source.element(tags::PIXEL_DATA).is_ok_and(|pixels| matches!(pixels.value(), Value::Primitive(_)));
    let whole = *plan == Plan::AsItIs;
    if conversion.is_grey() {
        grey(&pictures, plan, set)
    } else if native && whole && number::<u16>(source, tags::BITS_ALLOCATED) == Some(8) {
        let pixels = source.element(tags::PIXEL_DATA).map_err(|_| DecodeError::NoPixelData)?;
        set.put(DataElement::new(tags::PIXEL_DATA, pixels.vr(), pixels.value().clone()));
        Ok(())
    } else {
        colour(&pictures, &conversion, plan, set)
    }
}

fn grey(pictures: &Pictures, plan: &Plan, set: &mut InMemDicomObject) -> Result<(), DecodeError> {
    let header = &pictures.header;
    let columns = header.columns as usize;
    let (mut bits_allocated, mut words) = (header.bits_allocated, Vec::new());
    for index in 0..pictures.count() {
        let samples = pictures.decode(index).ok_or(DecodeError::NoPixelData)??;
        bits_allocated = samples.bits_allocated;
        let used = Used::of(set, bits_allocated);
        let stored: Vec<u16> = match bits_allocated {
            8 => samples.bytes.iter().map(|byte| u16::from(*byte)).collect(),
            _ => samples.bytes.chunks_exact(2).map(|word| u16::from_le_bytes([word[0], word[1]])).collect(),
        };
        let black = used.black(header.photometric == "MONOCHROME1");
        let kept = stored.into_iter().enumerate().map(|(at, value)| {
            if plan.shows(at % columns.max(1), at / columns.max(1)) { used.only(value) } else { black }
        });
        words.extend(kept);
    }
    let value = match bits_allocated {
        8 => PrimitiveValue::U8(words.into_iter().map(|word| word.to_le_bytes()[0]).collect()),
        _ => PrimitiveValue::U16(words.into()),
    };
    short(set, tags::BITS_ALLOCATED, bits_allocated);
    let vr = if bits_allocated == 8 { VR::OB } else { VR::OW };
    set.put(DataElement::new(tags::PIXEL_DATA, vr, padded(value)));
    Ok(())
}

/// The bits that samples use.
#[derive(Debug, Clone, Copy)]
struct Used {
    allocated: u16,
    stored: u16,
    /// Of the lowest one.
    low: u16,
    signed: bool,
}

impl Used {
    fn of(set: &InMemDicomObject, allocated: u16) -> Self {
        let get = |tag| number::<u16>(set, tag);
        let stored = get(tags::BITS_STORED).filter(|bits| (1..=allocated).contains(bits)).unwrap_or(allocated);
        let high = get(tags::HIGH_BIT).filter(|bit| *bit < allocated && bit + 1 >= stored).unwrap_or(stored - 1);
        Self { allocated, stored, low: high + 1 - stored, signed: get(tags::PIXEL_REPRESENTATION) == Some(1) }
    }

    /// The value with nothing in the other bits but its sign, as far as it goes.
    fn only(self, value: u16) -> u16 {
        let mask = low_bits(self.stored) << self.low;
        let above = low_bits(self.allocated) & !low_bits(self.low + self.stored);
        let negative = self.signed && value >> (self.low + self.stored - 1) & 1 == 1;
        value & mask | if negative { above } else { 0 }
    }

    fn black(self, inverted: bool) -> u16 {
        let greatest = low_bits(if self.signed { self.stored - 1 } else { self.stored });
        let value = match (self.signed, inverted) {
            (_, true) => greatest,
            (true, false) => greatest + 1,
            (false, false) => 0,
        };
        self.only(value << self.low)
    }
}

fn low_bits(count: u16) -> u16 {
    if count >= 16 { u16::MAX } else { (1 << count) - 1 }
}

fn colour(
    pictures: &Pictures,
    conversion: &Conversion,
    plan: &Plan,
    set: &mut InMemDicomObject,
) -> Result<(), DecodeError> {
    let (columns, rows) = (pictures.header.columns as usize, pictures.header.rows as usize);
    let mut bytes = Vec::new();
    for index in 0..pictures.count() {
        let samples = pictures.decode(index).ok_or(DecodeError::NoPixelData)??;
        let mut picture = vec![0; columns * rows * 3];
        conversion.convert(&samples, columns, &mut picture);
        for (at, pixel) in picture.chunks_exact_mut(3).enumerate() {
            if !plan.shows(at % columns.max(1), at / columns.max(1)) {
                pixel.fill(0);
            }
        }
        bytes.extend(picture);
    }
    for tag in PALETTE {
        set.remove_element(tag);
    }
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 3),
        (tags::PLANAR_CONFIGURATION, 0),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        short(set, tag, value);
    }
    set.put(DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, PrimitiveValue::from("RGB")));
    set.put(DataElement::new(tags::PIXEL_DATA, VR::OB, padded(PrimitiveValue::U8(bytes.into()))));
    Ok(())
}

const PALETTE: [Tag; 9] = [
    tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
    tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
    tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
    tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
];

fn short(set: &mut InMemDicomObject, tag: Tag, value: u16) {
    set.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
}

/// To an even number of bytes (PS3.5 section 8.2).
fn padded(value: PrimitiveValue) -> PrimitiveValue {
    match value {
        PrimitiveValue::U8(mut bytes) if bytes.len() % 2 == 1 => {
            bytes.push(0);
            PrimitiveValue::U8(bytes)
        }
        other => other,
    }
}

impl Plan {
    fn shows(&self, x: usize, y: usize) -> bool {
        match self {
            Self::AsItIs => true,
            Self::Within(areas) => areas.iter().any(|[left, top, right, bottom]| {
                (*left as usize..*right as usize).contains(&x) && (*top as usize..*bottom as usize).contains(&y)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_that_no_sample_uses_are_cleared_and_the_sign_stays() {
        let used = Used { allocated: 16, stored: 12, low: 0, signed: false };
        assert_eq!((used.only(0xf123), used.black(false), used.black(true)), (0x0123, 0, 0x0fff));
        let signed = Used { signed: true, ..used };
        assert_eq!((signed.only(0x0800), signed.only(0xf7ff)), (0xf800, 0x07ff));
        assert_eq!((signed.black(false), signed.black(true)), (0xf800, 0x07ff));
        let shifted = Used { allocated: 16, stored: 12, low: 4, signed: false };
        assert_eq!(shifted.only(0x123f), 0x1230);
        let whole = Used { allocated: 16, stored: 16, low: 0, signed: true };
        assert_eq!((whole.only(0x8001), whole.black(false)), (0x8001, 0x8000));
    }
}
