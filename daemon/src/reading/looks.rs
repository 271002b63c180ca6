//! Every table (VOI LUT) and window that a mammogram names, as the curve by which it is shown, so that a person can choose among them. Pure.

use dicom::header::Header;
use dicom::mammogram::display;
use dicom::pixels::pictures::Samples;
use dicom_core::header::Header as _;
use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use serde::Serialize;

/// Tables and windows that are offered, at most.
const MOST: usize = 16;

/// One of them: see `dicom::mammogram::display`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Look {
    /// As the file explains it; empty where it does not.
    pub name: String,
    pub window: [f64; 2],
    pub ends: [f64; 2],
    pub greys: Vec<f32>,
}

/// The first is the one by which it is shown; none where there is no choice.
pub fn all(header: &Header, data_set: &InMemDicomObject, bits_allocated: u16) -> Vec<Look> {
    let one = |(name, wanted): (String, InMemDicomObject)| {
        // A table or a window does not depend on the pixels.
        let none = Samples { bytes: Vec::new(), bits_allocated, precision: None, is_native: true, is_rgb: false };
        let shown = display::of(header, &wanted, &none);
        Look { name, window: shown.window, ends: shown.curve.ends, greys: shown.curve.greys }
    };
    let without = without(data_set);
    let wanted = tables(data_set, &without).into_iter().chain(windows(data_set, &without));
    let wanted: Vec<_> = wanted.take(MOST).collect();
    if wanted.len() < 2 { Vec::new() } else { wanted.into_iter().map(one).collect() }
}

/// The data set with each of its tables alone.
fn tables(data_set: &InMemDicomObject, without: &InMemDicomObject) -> Vec<(String, InMemDicomObject)> {
    let items = data_set.element_opt(tags::VOILUT_SEQUENCE).ok().flatten().and_then(|element| element.items());
    let alone = |item: &InMemDicomObject| {
        let mut set = without.clone();
        set.put(DataElement::new(tags::VOILUT_SEQUENCE, VR::SQ, DataSetSequence::from(vec![item.clone()])));
        (texts(item, tags::LUT_EXPLANATION).into_iter().next().unwrap_or_default(), set)
    };
    items.unwrap_or_default().iter().take(MOST).map(alone).collect()
}

/// The data set with each of its windows alone.
fn windows(data_set: &InMemDicomObject, without: &InMemDicomObject) -> Vec<(String, InMemDicomObject)> {
    let [centres, widths] = [tags::WINDOW_CENTER, tags::WINDOW_WIDTH].map(|tag| texts(data_set, tag));
    let names = texts(data_set, tags::WINDOW_CENTER_WIDTH_EXPLANATION);
    let alone = |(index, (centre, width)): (usize, (&String, &String))| {
        let is_window =
            width.trim().parse::<f64>().is_ok_and(|width| width > 1.0) && centre.trim().parse::<f64>().is_ok();
        let mut set = without.clone();
        for (tag, value) in [(tags::WINDOW_CENTER, centre), (tags::WINDOW_WIDTH, width)] {
            set.put(DataElement::new(tag, VR::DS, PrimitiveValue::from(value.as_str())));
        }
        is_window.then(|| (names.get(index).cloned().unwrap_or_default(), set))
    };
    centres.iter().zip(&widths).enumerate().filter_map(alone).take(MOST).collect()
}

/// Neither tables nor windows, nor pixels, which may be many.
fn without(data_set: &InMemDicomObject) -> InMemDicomObject {
    const LEFT_OUT: [Tag; 4] = [tags::VOILUT_SEQUENCE, tags::WINDOW_CENTER, tags::WINDOW_WIDTH, tags::PIXEL_DATA];
    let kept = data_set.iter().filter(|element| !LEFT_OUT.contains(&element.tag()));
    InMemDicomObject::from_element_iter(kept.cloned())
}

fn texts(set: &InMemDicomObject, tag: Tag) -> Vec<String> {
    let value =
        set.element_opt(tag).ok().flatten().and_then(|element| element.to_multi_str().ok().map(|all| all.to_vec()));
    value.unwrap_or_default().iter().map(|text| text.trim_matches(['\0', ' ']).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(Tag, VR, &str)]) -> InMemDicomObject {
        let mut set = InMemDicomObject::new_empty();
        for (tag, vr, text) in pairs {
            set.put(DataElement::new(*tag, *vr, PrimitiveValue::Strs(text.split('\\').map(str::to_owned).collect())));
        }
        set
    }

    fn header() -> Header {
        Header { bits_stored: 12, bits_allocated: 16, photometric: "MONOCHROME2".into(), ..Header::default() }
    }

    #[test]
    fn each_window_of_a_file_is_offered_with_its_explanation_and_the_first_is_the_one_that_is_shown() {
        let file = set(&[
            (tags::WINDOW_CENTER, VR::DS, "1800\\2000\\2200"),
            (tags::WINDOW_WIDTH, VR::DS, "1500\\900\\0"),
            (tags::WINDOW_CENTER_WIDTH_EXPLANATION, VR::LO, "NORMAL\\HARDER\\NONE"),
        ]);
        let looks = all(&header(), &file, 16);
        let said: Vec<_> = looks.iter().map(|look| (look.name.as_str(), look.window)).collect();
        assert_eq!(said.len(), 2, "a window of no width is none: {said:?}");
        assert_eq!((said[0].0, said[1].0), ("NORMAL", "HARDER"));
        let none = Samples { bytes: Vec::new(), bits_allocated: 16, precision: None, is_native: true, is_rgb: false };
        let shown = display::of(&header(), &file, &none);
        assert_eq!((looks[0].window, &looks[0].greys), (shown.window, &shown.curve.greys));
        assert!((said[1].1[0] - 2000.0).abs() < 2.0 && (said[1].1[1] - 900.0).abs() < 2.0, "{said:?}");
    }

    #[test]
    fn where_a_file_has_one_window_there_is_no_choice() {
        let file = set(&[(tags::WINDOW_CENTER, VR::DS, "1800"), (tags::WINDOW_WIDTH, VR::DS, "1500")]);
        assert_eq!(all(&header(), &file, 16), []);
        assert_eq!(all(&header(), &InMemDicomObject::new_empty(), 16), []);
    }
}
