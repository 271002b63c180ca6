//! Reads single elements of a data set; what is absent or of another kind is `None` or empty.

use dicom_core::Tag;
use dicom_object::InMemDicomObject;

pub fn items(set: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    set.element_opt(tag).ok().flatten().and_then(|element| element.items()).unwrap_or_default()
}

/// The first item of a sequence.
pub fn first(set: &InMemDicomObject, tag: Tag) -> Option<&InMemDicomObject> {
    items(set, tag).first()
}

/// Without what fills it up at its end.
pub fn text(set: &InMemDicomObject, tag: Tag) -> Option<String> {
    let value = set.element_opt(tag).ok().flatten()?.to_str().ok()?;
    Some(value.trim_end_matches(['\0', ' ']).to_owned())
}

pub fn number<T: TryFrom<i64>>(set: &InMemDicomObject, tag: Tag) -> Option<T> {
    let value = set.element_opt(tag).ok().flatten()?.to_int::<i64>().ok()?;
    T::try_from(value).ok()
}

pub fn floats(set: &InMemDicomObject, tag: Tag) -> Vec<f64> {
    let element = set.element_opt(tag).ok().flatten();
    element.and_then(|element| element.to_multi_float64().ok()).unwrap_or_default()
}
