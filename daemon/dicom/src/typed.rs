//! Text that a person typed on this box, in the character set that an object has from its source.

use dicom_dictionary_std::tags;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};

use crate::scan::RawElement;

/// The bytes of a text in the character set that the source declares; `None` where it cannot be written in that. With code
/// extensions (several values) only ASCII can.
pub fn encode(elements: &[RawElement], text: &str) -> Option<Vec<u8>> {
    if text.is_ascii() {
        return Some(text.as_bytes().to_vec());
    }
    let declared = elements.iter().find(|element| element.tag == tags::SPECIFIC_CHARACTER_SET)?;
    let code = std::str::from_utf8(&declared.value).ok()?.trim_matches(['\0', ' ']);
    let set = SpecificCharacterSet::from_code(code)?;
    let bytes = set.encode(text).ok()?;
    (set.decode(&bytes).ok()? == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use dicom_core::VR;

    use super::*;

    fn declared(code: &str) -> Vec<RawElement> {
        vec![RawElement { tag: tags::SPECIFIC_CHARACTER_SET, vr: VR::CS, value: code.as_bytes().to_vec() }]
    }

    #[test]
    fn a_name_is_written_in_the_character_set_of_the_images_or_not_at_all() {
        let li = "\u{674e}\u{660e}";
        assert_eq!(encode(&declared("GB18030 "), li).unwrap(), [0xc0, 0xee, 0xc3, 0xf7]);
        assert_eq!(encode(&declared("ISO_IR 192"), li).unwrap(), li.as_bytes());
        assert_eq!(encode(&declared("ISO_IR 100"), "J\u{e9}r\u{f4}me").unwrap(), b"J\xe9r\xf4me");
        for code in ["ISO_IR 100", "ISO_IR 6", "\\ISO 2022 IR 58", "nonsense"] {
            assert_eq!(encode(&declared(code), li), None, "{code}");
        }
        assert_eq!(encode(&[], li), None);
        assert_eq!(encode(&[], "Li Ming").unwrap(), b"Li Ming");
    }
}
