//! Writes a data set as DICOM JSON (PS3.18 annex F). Binary values (OB, OW, UN...) are left out: who wants them fetches the
//! object. The library for this sets a feature of serde_json that changes the order of keys in all JSON of the program.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_core::header::Header as _;
use dicom_core::value::PrimitiveValue;
use dicom_core::{Tag, VR};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use serde_json::{Map, Number, Value, json};

use crate::pixels::error::DecodeError;
use crate::pixels::parse;

/// All elements before the pixel data, and the transfer syntax, of a Part 10 file whose nesting `scan` has limited.
///
/// # Errors
/// When the data set cannot be parsed.
pub fn of_part10(part10: &[u8]) -> Result<Value, DecodeError> {
    let set = parse::data_set(part10)?;
    let failed = || DecodeError::DataSet { reason: "a value of it has another form than its VR".into() };
    catch_unwind(AssertUnwindSafe(|| Value::Object(data_set(&set)))).map_err(|_| failed())
}

/// Key of an element: eight hexadecimal digits.
pub fn key(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.group(), tag.element())
}

fn data_set(set: &InMemDicomObject) -> Map<String, Value> {
    set.into_iter().filter_map(|one| Some((key(one.tag()), element(one)?))).collect()
}

fn element(element: &InMemElement) -> Option<Value> {
    let vr = element.vr();
    let values = match element.items() {
        Some(items) => items.iter().map(|item| Value::Object(data_set(item))).collect(),
        None => values(vr, element.value().primitive()?)?,
    };
    let mut written = Map::from_iter([("vr".to_owned(), json!(vr.to_string()))]);
    if !values.is_empty() {
        written.insert("Value".into(), Value::Array(values));
    }
    Some(Value::Object(written))
}

/// `None` for binary values.
fn values(vr: VR, value: &PrimitiveValue) -> Option<Vec<Value>> {
    Some(match vr {
        VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV | VR::UN | VR::SQ => return None,
        VR::PN => texts(value).iter().map(|text| name(text)).collect(),
        VR::DS | VR::IS => texts(value).into_iter().map(number).collect(),
        VR::US | VR::SS | VR::UL | VR::SL | VR::UV | VR::SV => {
            value.to_multi_int::<i64>().ok()?.into_iter().map(|number| json!(number)).collect()
        }
        VR::FL | VR::FD => {
            let all = value.to_multi_float64().ok()?;
            all.into_iter().map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)).collect()
        }
        VR::AT => match value {
            PrimitiveValue::Tags(tags) => tags.iter().map(|tag| json!(key(*tag))).collect(),
            _ => Vec::new(),
        },
        // One text, in which a backslash is no separator.
        VR::LT | VR::ST | VR::UT | VR::UR => {
            let text = value.to_raw_str();
            let text = text.trim_end_matches(['\0', ' ']);
            if text.is_empty() { Vec::new() } else { vec![json!(text)] }
        }
        _ => texts(value).into_iter().map(|text| if text.is_empty() { Value::Null } else { json!(text) }).collect(),
    })
}

/// Without padding; no values when there is only one and it is empty.
fn texts(value: &PrimitiveValue) -> Vec<String> {
    let all: Vec<String> = value.to_multi_str().iter().map(|one| one.trim_matches(['\0', ' ']).to_owned()).collect();
    if all.iter().all(String::is_empty) { Vec::new() } else { all }
}

/// Three groups at most: alphabetic, ideographic, phonetic (PS3.5 section 6.2.1).
pub fn name(text: &str) -> Value {
    let groups = ["Alphabetic", "Ideographic", "Phonetic"].into_iter().zip(text.split('='));
    let groups = groups.filter(|(_, group)| !group.trim().is_empty());
    Value::Object(groups.map(|(name, group)| (name.to_owned(), json!(group.trim_end()))).collect())
}

/// A decimal or whole number; as text when it is none.
fn number(text: String) -> Value {
    let whole = text.parse::<i64>().ok().map(Number::from);
    let number = whole.or_else(|| text.parse().ok().and_then(Number::from_f64));
    match number {
        Some(number) => Value::Number(number),
        None if text.is_empty() => Value::Null,
        None => Value::String(text),
    }
}

#[cfg(test)]
mod tests {
    use dicom_core::value::{C, DataSetSequence};
    use dicom_dictionary_std::tags;
    use dicom_object::mem::InMemElement;

    use super::*;

    #[test]
    fn each_vr_is_written_as_the_standard_says() {
        let text = |tag, vr, text: &str| InMemElement::new(tag, vr, PrimitiveValue::from(text));
        let item = InMemDicomObject::from_element_iter([text(tags::CODE_VALUE, VR::SH, "T-1")]);
        let set = InMemDicomObject::from_element_iter([
            text(tags::PATIENT_NAME, VR::PN, "Wang^XiaoDong=王^小东 "),
            text(tags::PATIENT_ID, VR::LO, ""),
            text(tags::IMAGE_COMMENTS, VR::LT, "a\\b "),
            InMemElement::new(
                tags::IMAGE_TYPE,
                VR::CS,
                PrimitiveValue::Strs(C::from_vec(vec!["ORIGINAL".into(), String::new(), "AXIAL ".into()])),
            ),
            InMemElement::new(
                tags::PIXEL_SPACING,
                VR::DS,
                PrimitiveValue::Strs(C::from_vec(vec!["0.70 ".into(), "wide".into()])),
            ),
            InMemElement::new(tags::ROWS, VR::US, PrimitiveValue::from(512u16)),
            InMemElement::new(tags::FRAME_INCREMENT_POINTER, VR::AT, PrimitiveValue::from(tags::FRAME_TIME)),
            InMemElement::new(tags::FLOAT_PIXEL_PADDING_VALUE, VR::FL, PrimitiveValue::from(f32::NAN)),
            InMemElement::new(tags::ICC_PROFILE, VR::OB, PrimitiveValue::from([1u8, 2])),
            InMemElement::new(tags::ANATOMIC_REGION_SEQUENCE, VR::SQ, DataSetSequence::from(vec![item])),
        ]);
        let wanted = json!({
            "00080008": { "vr": "CS", "Value": ["ORIGINAL", null, "AXIAL"] },
            "00082218": { "vr": "SQ", "Value": [{ "00080100": { "vr": "SH", "Value": ["T-1"] } }] },
            "00100010": { "vr": "PN", "Value": [{ "Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东" }] },
            "00100020": { "vr": "LO" },
            "00204000": { "vr": "LT", "Value": ["a\\b"] },
            "00280009": { "vr": "AT", "Value": ["00181063"] },
            "00280010": { "vr": "US", "Value": [512] },
            "00280030": { "vr": "DS", "Value": [0.7, "wide"] },
            "00280122": { "vr": "FL", "Value": [null] },
        });
        assert_eq!(Value::Object(data_set(&set)), wanted);
    }
}
