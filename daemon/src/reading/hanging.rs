//! How the views of a mammography are hung: which image is in which place, and what else there is. How a picture is turned:
//! `dicom::mammogram::turn`. Pure.

use std::collections::BTreeSet;

use custody::instance::Instance;
use dicom::header::Header;
use models::task::mammography_views::{MammographyViews, StandardView, ViewFound};
use serde::Serialize;
use study::analyze::mammography::{for_processing, judge, view_name};
use study::analyze::views::Image;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hanging {
    /// Always four, in the order in which they hang.
    pub places: Vec<Place>,
    /// Every other image: additional views, and images that another one stands for.
    pub others: Vec<Hung>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Place {
    pub view: StandardView,
    /// For people: `R CC`.
    pub name: &'static str,
    /// `None`: the study has no such view here.
    pub image: Option<Hung>,
    /// It came with the study; its bytes were evicted or damaged since.
    pub gone: bool,
    /// Images that could stand for the view.
    pub candidates: usize,
    /// Images that show only a part of it: they hang nowhere and stand for nothing.
    pub parts: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hung {
    /// Row in `instances`.
    pub instance: i64,
    pub sop_instance_uid: String,
    /// For people: `R CC`, `L ML, magnified`.
    pub name: String,
    pub rows: u32,
    pub columns: u32,
    pub frames: u32,
    /// Made to be looked at; otherwise for processing only.
    pub for_presentation: bool,
}

/// `images`: of all mammography series of a study, in the order of arrival. `here`: rows of those whose bytes are here. The place of a view that the
/// analysis took and that is gone stays empty: another image in it would not be the one that was read.
pub fn hang(images: &[Instance], here: &BTreeSet<i64>) -> Hanging {
    let shown: Vec<Image<'_>> =
        images.iter().map(|instance| Image { header: &instance.header, complete: true }).collect();
    let MammographyViews { found, in_parts, .. } = judge(&shown);
    let of = |view: StandardView| found.iter().find(|found| found.view == view);
    let image = |found: &ViewFound| images.iter().find(|one| one.header.sop_instance_uid == found.sop_instance_uid);
    let is_here = |one: &&Instance| here.contains(&one.id);
    let place = |view| Place {
        view,
        name: name_of(view),
        image: of(view).and_then(image).filter(is_here).map(hung),
        gone: of(view).and_then(image).is_some_and(|one| !is_here(&one)),
        candidates: of(view).map_or(0, |found| found.candidates),
        parts: in_parts.iter().find(|one| one.view == view).map_or(0, |one| one.parts.len()),
    };
    let taken = |one: &&Instance| found.iter().any(|found| found.sop_instance_uid == one.header.sop_instance_uid);
    let others = images.iter().filter(|one| !taken(one)).filter(is_here).map(hung).collect();
    Hanging { places: StandardView::ALL.into_iter().map(place).collect(), others }
}

fn hung(instance: &Instance) -> Hung {
    let header = &instance.header;
    Hung {
        instance: instance.id,
        sop_instance_uid: header.sop_instance_uid.clone(),
        name: name(header),
        rows: header.rows,
        columns: header.columns,
        frames: header.number_of_frames.max(1),
        for_presentation: !for_processing(header),
    }
}

const fn name_of(view: StandardView) -> &'static str {
    match view {
        StandardView::RightCc => "R CC",
        StandardView::LeftCc => "L CC",
        StandardView::RightMlo => "R MLO",
        StandardView::LeftMlo => "L MLO",
    }
}

/// Of any mammogram. Modifiers of CID 4015, in SCT or its older SRT form.
fn name(header: &Header) -> String {
    let shown = &header.projection;
    let view = view_name(&shown.code, &shown.position);
    let modifier = |code: &String| match code.as_str() {
        "399163009" | "R-102D6" => Some("magnified"),
        "399055006" | "R-102D7" => Some("spot compression"),
        "399209000" | "R-102D5" => Some("implant displaced"),
        _ => None,
    };
    let parts: Vec<&str> = [shown.laterality.as_str(), view].into_iter().filter(|part| !part.is_empty()).collect();
    let mut name = if parts.is_empty() { "view not named".to_owned() } else { parts.join(" ") };
    for said in shown.modifiers.iter().filter_map(modifier) {
        name.push_str(&format!(", {said}"));
    }
    if shown.partial {
        name.push_str(", a part");
    }
    if for_processing(header) {
        name.push_str(", for processing");
    }
    name
}

#[cfg(test)]
mod tests {
    use custody::instance::Location;
    use dicom::header::{PixelData, Projection};
    use dicom_dictionary_std::uids;

    use super::*;

    fn image(id: i64, laterality: &str, position: &str) -> Instance {
        let header = Header {
            sop_class_uid: uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION.into(),
            sop_instance_uid: format!("1.2.{id}"),
            rows: 8,
            columns: 4,
            projection: Projection {
                laterality: laterality.into(),
                position: position.into(),
                ..Projection::default()
            },
            pixel_data: Some(PixelData { offset: 0, length: 64, encapsulated: false }),
            ..Header::default()
        };
        let location = Location::File { file: String::new(), length: 0 };
        Instance { id, header, location, sha256: String::new(), association: 0, received_utc: String::new() }
    }

    fn hang(images: &[Instance]) -> Hanging {
        super::hang(images, &images.iter().map(|image| image.id).collect())
    }

    fn ids(hanging: &Hanging) -> Vec<Option<i64>> {
        hanging.places.iter().map(|place| place.image.as_ref().map(|image| image.instance)).collect()
    }

    #[test]
    fn the_right_breast_hangs_at_the_left_cc_over_mlo_whatever_the_order_of_arrival() {
        let all = [image(1, "L", "MLO"), image(2, "L", "CC"), image(3, "R", "MLO"), image(4, "R", "CC")];
        let hanging = hang(&all);
        assert_eq!(ids(&hanging), [Some(4), Some(2), Some(3), Some(1)]);
        let names: Vec<_> = hanging.places.iter().map(|place| place.name).collect();
        assert_eq!(names, ["R CC", "L CC", "R MLO", "L MLO"]);
        assert!(hanging.others.is_empty());
    }

    #[test]
    fn a_missing_view_is_an_empty_place_and_a_repeated_or_additional_one_hangs_nowhere_but_is_there() {
        let mut spot = image(3, "R", "CC");
        spot.header.projection.modifiers = vec!["399055006".into()];
        let mut raw = image(4, "R", "CC");
        raw.header.sop_class_uid = uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING.into();
        let hanging = hang(&[image(1, "R", "CC"), image(2, "R", "CC"), spot, raw, image(5, "L", "ML")]);
        assert_eq!(ids(&hanging), [Some(2), None, None, None]);
        assert_eq!(hanging.places[0].candidates, 2);
        let others: Vec<_> = hanging.others.iter().map(|other| (other.instance, other.name.as_str())).collect();
        assert_eq!(others, [(1, "R CC"), (3, "R CC, spot compression"), (4, "R CC, for processing"), (5, "L ML")]);
    }

    #[test]
    fn a_view_of_which_there_are_parts_only_is_an_empty_place_that_says_so() {
        let part = |id| {
            let mut part = image(id, "L", "MLO");
            part.header.projection.partial = true;
            part
        };
        let hanging = hang(&[image(1, "R", "CC"), part(2), part(3)]);
        assert_eq!(ids(&hanging), [Some(1), None, None, None]);
        assert_eq!(hanging.places.iter().map(|place| place.parts).collect::<Vec<_>>(), [0, 0, 0, 2]);
        let others: Vec<_> = hanging.others.iter().map(|other| other.name.as_str()).collect();
        assert_eq!(others, ["L MLO, a part", "L MLO, a part"]);
    }

    /// "No such view in this study" would be false.
    #[test]
    fn a_view_that_came_and_was_evicted_is_told_apart_from_one_that_never_came() {
        let all = [image(1, "R", "CC"), image(2, "R", "CC"), image(3, "L", "CC"), image(4, "L", "MLO")];
        let hanging = super::hang(&all, &BTreeSet::from([1, 4]));
        assert_eq!(ids(&hanging), [None, None, None, Some(4)]);
        let gone: Vec<_> = hanging.places.iter().map(|place| place.gone).collect();
        assert_eq!(gone, [true, true, false, false]);
        let others: Vec<_> = hanging.others.iter().map(|other| other.instance).collect();
        assert_eq!(others, [1], "the one before the last is not the one that was read");
    }
}
