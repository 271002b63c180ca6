//! Helpers to fill a DICOM data set and to write it as a Part 10 file.

use dicom_core::value::{C, DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::mem::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;

use crate::Error;
use crate::codes::Code;

/// A data set that is being filled. Our own text is limited to ASCII, so it is correct in every character set.
#[derive(Debug)]
pub struct DataSet(pub InMemDicomObject);

impl DataSet {
    pub fn new() -> Self {
        Self(InMemDicomObject::new_empty())
    }

    /// Sets one text value that is not copied from the source.
    pub fn text(&mut self, tag: Tag, vr: VR, value: &str) {
        let value = ascii(value, vr);
        self.primitive(tag, vr, if value.is_empty() { PrimitiveValue::Empty } else { value.into() });
    }

    /// Sets one text value that is in the character set of the source already.
    pub fn bytes(&mut self, tag: Tag, vr: VR, mut value: Vec<u8>) {
        if value.len() % 2 == 1 {
            value.push(b' ');
        }
        self.primitive(tag, vr, PrimitiveValue::U8(value.into()));
    }

    /// Sets several text values that are not copied from the source.
    pub fn texts(&mut self, tag: Tag, vr: VR, values: &[&str]) {
        let values: Vec<String> = values.iter().map(|v| ascii(v, vr)).collect();
        self.primitive(tag, vr, PrimitiveValue::Strs(values.into()));
    }

    pub fn empty(&mut self, tag: Tag, vr: VR) {
        self.primitive(tag, vr, PrimitiveValue::Empty);
    }

    pub fn decimals(&mut self, tag: Tag, values: &[f64]) {
        let values: Vec<String> = values.iter().map(|v| decimal(*v)).collect();
        self.primitive(tag, VR::DS, PrimitiveValue::Strs(values.into()));
    }

    pub fn shorts(&mut self, tag: Tag, values: &[u16]) {
        self.primitive(tag, VR::US, PrimitiveValue::U16(values.iter().copied().collect()));
    }

    pub fn primitive(&mut self, tag: Tag, vr: VR, value: PrimitiveValue) {
        self.0.put(DataElement::new(tag, vr, value));
    }

    pub fn sequence(&mut self, tag: Tag, items: Vec<DataSet>) {
        let items: C<InMemDicomObject> = items.into_iter().map(|i| i.0).collect();
        self.0.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
    }

    pub fn code(&mut self, tag: Tag, code: Code) {
        self.sequence(tag, vec![code_item(code, &[])]);
    }
}

/// An item of a code sequence; `modifiers`, if any, go into its Anatomic Region Modifier Sequence.
pub fn code_item(code: Code, modifiers: &[Code]) -> DataSet {
    let mut item = DataSet::new();
    item.text(tags::CODE_VALUE, VR::SH, code.value);
    item.text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, code.scheme);
    item.text(tags::CODE_MEANING, VR::LO, code.meaning);
    if !modifiers.is_empty() {
        let modifiers = modifiers.iter().map(|m| code_item(*m, &[])).collect();
        item.sequence(tags::ANATOMIC_REGION_MODIFIER_SEQUENCE, modifiers);
    }
    item
}

/// A reference to an object: SOP class and SOP instance UID.
pub fn reference(sop_class_uid: &str, sop_instance_uid: &str) -> DataSet {
    let mut item = DataSet::new();
    item.text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, sop_class_uid);
    item.text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, sop_instance_uid);
    item
}

/// The data set as a Part 10 file.
///
/// # Errors
/// When the encoder refuses a value.
pub fn part10(
    set: DataSet,
    kind: &'static str,
    sop_class_uid: &str,
    sop_uid: &str,
    capacity: usize,
    transfer_syntax: &str,
) -> Result<Vec<u8>, Error> {
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(sop_class_uid)
        .media_storage_sop_instance_uid(sop_uid)
        .transfer_syntax(transfer_syntax)
        .implementation_class_uid(dicom::implementation::CLASS_UID)
        .implementation_version_name(dicom::implementation::VERSION_NAME);
    let object = set.0.with_meta(meta).map_err(|e| Error::Encode { kind, source: Box::new(e) })?;
    let mut bytes = Vec::with_capacity(capacity + 4096);
    object.write_all(&mut bytes).map_err(|e| Error::Encode { kind, source: Box::new(e) })?;
    Ok(bytes)
}

/// A number as a DS value: at most 16 characters (PS3.5 section 6.2), as precise as possible.
pub fn decimal(value: f64) -> String {
    if !value.is_finite() {
        return String::new();
    }
    let value = if value == 0.0 { 0.0 } else { value }; // no "-0"
    let shortest = format!("{value}");
    if shortest.len() <= 16 {
        return shortest;
    }
    (0..=14)
        .rev()
        .map(|digits| format!("{value:.digits$}"))
        .find(|text| text.len() <= 16)
        .unwrap_or_else(|| format!("{value:.8e}"))
}

/// Reduces text to printable ASCII and to the longest length that the VR allows. Our text never contains a backslash,
/// the value separator.
pub fn ascii(text: &str, vr: VR) -> String {
    let limit = match vr {
        VR::SH | VR::CS => 16,
        VR::LO | VR::UI => 64,
        VR::ST => 1024,
        VR::LT => 10240,
        _ => usize::MAX,
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2264}' => plain.push_str("<="),
            '\u{2265}' => plain.push_str(">="),
            '\u{d7}' => plain.push('x'),
            '\u{b5}' | '\u{3bc}' => plain.push('u'),
            '\u{b0}' => plain.push_str(" deg"),
            '\u{b1}' => plain.push_str("+/-"),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => plain.push('-'),
            '\u{2018}' | '\u{2019}' => plain.push('\''),
            '\u{201c}' | '\u{201d}' => plain.push('"'),
            '\\' => plain.push('/'),
            '\n' if matches!(vr, VR::UT | VR::LT | VR::ST) => plain.push_str("\r\n"),
            c if c.is_ascii_graphic() || c == ' ' => plain.push(c),
            _ => plain.push('?'),
        }
    }
    plain.truncate(limit);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_fit_sixteen_characters_and_stay_exact_where_they_can() {
        assert_eq!(decimal(0.841796875), "0.841796875");
        assert_eq!(decimal(-0.0), "0");
        for v in [-228.036_842_123_456_78, 1.0 / 3.0, -1e-20, 123_456_789.123_456_79, 6.123233995736766e-17] {
            let text = decimal(v);
            assert!(text.len() <= 16, "{text}");
            assert!((text.parse::<f64>().unwrap() - v).abs() <= 1e-9 * v.abs().max(1.0), "{text} for {v}");
        }
        assert!(decimal(-1.23456789e300).len() <= 16);
    }

    #[test]
    fn our_text_is_plain_ascii_and_fits_its_vr() {
        assert_eq!(ascii("needs \u{2264} 2.5 mm\u{4e2d}", VR::UT), "needs <= 2.5 mm?");
        assert_eq!(ascii("a\\b", VR::LO), "a/b");
        assert_eq!(ascii(&"x".repeat(99), VR::LO).len(), 64);
    }
}
