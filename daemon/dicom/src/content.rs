//! What an object says, whatever its encoding. Archives and routers send an object on with another transfer syntax, with group
//! lengths, or with sequences of another kind of length: that is the same object.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_core::Tag;
use dicom_core::header::Header as _;
use dicom_core::value::Value;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN;

use crate::pixels::error::DecodeError;
use crate::pixels::parse;

/// Data Set Trailing Padding.
const PADDING: Tag = Tag(0xFFFC, 0xFFFC);

/// The data set of a Part 10 file as it would be written in Implicit VR Little Endian, without what is not content (group
/// lengths, padding). Two objects with equal forms say the same. Of compressed pixels the bytes count, and their transfer syntax.
/// Takes about four times the size of the file in memory.
///
/// # Errors
/// When the data set cannot be parsed or written.
pub fn form(part10: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let object = parse::whole(part10)?;
    let syntax = object.meta().transfer_syntax().to_owned();
    let mut set = object.into_inner();
    let lengths: Vec<Tag> = set.iter().map(|element| element.tag()).filter(|tag| tag.element() == 0).collect();
    for tag in lengths.into_iter().chain([PADDING]) {
        set.remove_element(tag);
    }
    let mut bytes = if is_compressed(&set) { syntax.into_bytes() } else { Vec::new() };
    let failed = |reason: String| DecodeError::DataSet { reason };
    let written = catch_unwind(AssertUnwindSafe(|| {
        let syntax = IMPLICIT_VR_LITTLE_ENDIAN.erased();
        set.write_dataset_with_ts(&mut bytes, &syntax).map_err(|error| failed(error.to_string()))
    }));
    written.map_err(|_| failed("it cannot be written in another form".into()))??;
    Ok(bytes)
}

fn is_compressed(set: &InMemDicomObject) -> bool {
    set.element_opt(tags::PIXEL_DATA)
        .is_ok_and(|pixels| pixels.is_some_and(|pixels| matches!(pixels.value(), Value::PixelSequence(_))))
}

#[cfg(test)]
mod tests {
    use dicom_core::value::{DataSetSequence, PrimitiveValue};
    use dicom_core::{DataElement, VR};
    use dicom_dictionary_std::uids;
    use dicom_object::meta::FileMetaTableBuilder;

    use super::*;

    fn object(pixel: u16) -> InMemDicomObject {
        let item = InMemDicomObject::from_element_iter([DataElement::new(tags::CODE_VALUE, VR::SH, "T-28000")]);
        InMemDicomObject::from_element_iter([
            DataElement::new(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
            DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3"),
            DataElement::new(tags::PATIENT_NAME, VR::PN, "Phantom^Eva "),
            DataElement::new(tags::PROCEDURE_CODE_SEQUENCE, VR::SQ, DataSetSequence::from(vec![item])),
            DataElement::new(Tag(0x0009, 0x0010), VR::LO, "GEMS_IDEN_01"),
            DataElement::new(Tag(0x0009, 0x1001), VR::LO, "CT_LIGHTSPEED "),
            DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(2_u16)),
            DataElement::new(tags::BITS_ALLOCATED, VR::US, PrimitiveValue::from(16_u16)),
            DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16([1, 2, 3, pixel].as_slice().into())),
        ])
    }

    fn file(object: &InMemDicomObject, syntax: &str) -> Vec<u8> {
        let meta = FileMetaTableBuilder::new().transfer_syntax(syntax);
        let file = object.clone().with_meta(meta).unwrap();
        let mut bytes = Vec::new();
        file.write_all(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn one_object_has_one_form_in_all_encodings_and_another_pixel_another_one() {
        let own = form(&file(&object(4), uids::EXPLICIT_VR_LITTLE_ENDIAN)).unwrap();
        for syntax in [uids::IMPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.2", uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN]
        {
            assert_eq!(form(&file(&object(4), syntax)).unwrap(), own, "{syntax}");
            assert_ne!(form(&file(&object(5), syntax)).unwrap(), own, "{syntax}");
        }
        let mut longer = object(4);
        longer.put(DataElement::new(Tag(0x0008, 0), VR::UL, PrimitiveValue::from(99_u32)));
        longer.put(DataElement::new(PADDING, VR::OB, PrimitiveValue::U8([0, 0].as_slice().into())));
        assert_eq!(form(&file(&longer, uids::EXPLICIT_VR_LITTLE_ENDIAN)).unwrap(), own, "with lengths and padding");
        let mut named = object(4);
        named.put(DataElement::new(tags::PATIENT_NAME, VR::PN, "Phantom^Ada "));
        assert_ne!(form(&file(&named, uids::EXPLICIT_VR_LITTLE_ENDIAN)).unwrap(), own, "another patient");
    }
}
