//! Applies the profile to a data set and all that is nested in it.

use dicom_core::header::Header;
use dicom_core::value::{C, DataSetSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::profile::{Fate, fate};
use super::{Case, NO_DATE, OF_THE_STANDARD, REMOVED};
use crate::dataset::text;

pub(super) fn cleaned(set: &InMemDicomObject, case: &Case) -> InMemDicomObject {
    let local = is_local_code(set);
    let mut out = InMemDicomObject::new_empty();
    for element in set.iter() {
        let (tag, vr) = (element.tag(), element.vr());
        let is_local = local && matches!(tag, tags::CODE_VALUE | tags::CODE_MEANING | tags::LONG_CODE_VALUE);
        let kept = match if is_local { Fate::Dummy } else { fate(tag, vr) } {
            Fate::Remove => None,
            Fate::Empty => Some(empty(element)),
            Fate::Dummy => Some(DataElement::new(tag, vr, dummy(vr))),
            Fate::Uid => uids(element, case),
            Fate::Walk => items(element, case),
            Fate::IfPlain if is_plain(element) => Some(element.clone()),
            Fate::IfPlain => Some(empty(element)),
            Fate::Keep => matches!(element.value(), Value::Primitive(_)).then(|| element.clone()),
        };
        if let Some(kept) = kept {
            out.put(kept);
        }
    }
    out
}

/// A code of the site: what it means may be anything. Ours are known.
fn is_local_code(set: &InMemDicomObject) -> bool {
    text(set, tags::CODING_SCHEME_DESIGNATOR).is_some_and(|scheme| {
        scheme != "99SCANSIDE" && (scheme.starts_with("99") || scheme.starts_with('L') && scheme != "LN")
    })
}

fn empty(element: &InMemElement) -> InMemElement {
    let (tag, vr) = (element.tag(), element.vr());
    if vr == VR::SQ {
        return DataElement::new(tag, vr, DataSetSequence::<InMemDicomObject>::empty());
    }
    DataElement::new(tag, vr, PrimitiveValue::Empty)
}

/// A value of its form that says nothing.
fn dummy(vr: VR) -> PrimitiveValue {
    match vr {
        VR::DA => NO_DATE.into(),
        VR::TM => "000000".into(),
        VR::DT => format!("{NO_DATE}000000").into(),
        VR::AS => "000Y".into(),
        VR::IS | VR::DS => "0".into(),
        VR::PN | VR::LO | VR::SH | VR::ST | VR::LT | VR::UT | VR::UC | VR::CS | VR::AE => REMOVED.into(),
        _ => PrimitiveValue::Empty,
    }
}

fn uids(element: &InMemElement, case: &Case) -> Option<InMemElement> {
    let values = element.value().to_multi_str().ok()?;
    let other = |uid: &str| {
        let uid = uid.trim_matches(['\0', ' ']);
        if uid.is_empty() || uid.starts_with(OF_THE_STANDARD) { uid.to_owned() } else { case.uid(uid) }
    };
    let values: C<String> = values.iter().map(|uid| other(uid)).collect();
    Some(DataElement::new(element.tag(), VR::UI, PrimitiveValue::Strs(values)))
}

fn items(element: &InMemElement, case: &Case) -> Option<InMemElement> {
    let items: C<InMemDicomObject> = element.items()?.iter().map(|item| cleaned(item, case)).collect();
    Some(DataElement::new(element.tag(), VR::SQ, DataSetSequence::from(items)))
}

/// Whether a code string is one, and a number one (PS3.5 section 6.2): they come as text, and might be any.
fn is_plain(element: &InMemElement) -> bool {
    let Ok(values) = element.value().to_multi_str() else { return false };
    let number = |text: &str| text.is_empty() || text.parse::<f64>().is_ok();
    let code = |text: &str| {
        text.len() <= 16
            && text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b' ' | b'_'))
    };
    values
        .iter()
        .map(|value| value.trim_matches(['\0', ' ']))
        .all(|value| if element.vr() == VR::CS { code(value) } else { number(value) })
}
