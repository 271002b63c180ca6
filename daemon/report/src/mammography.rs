//! The objects about a mammography: a page that shows its four views, and the structured report: the views as a measurement group (TID
//! 1501), and the marks of a network (`marks`).

mod cad;
pub(crate) mod examination;
mod marks;
mod pairs;
mod structured;

use models::task::mammography_views::{StandardView, ViewFound};

use self::examination::{Dense, Examination};
use crate::codes::{
    ABSENT, BREAST, CRANIO_CAUDAL, Code, IMAGE_VIEW, IN_PARTS, LEFT, MAMMOGRAPHY_VIEWS, MEASURED_BY_SOFTWARE,
    MEDIO_LATERAL_OBLIQUE, NO_UNITS, ORIGIN, PERCENT, PERCENT_FIBROGLANDULAR, PRESENT, RIGHT, SOURCE_OF_MEASUREMENT,
    VIEW_LEFT_CC, VIEW_LEFT_MLO, VIEW_RIGHT_CC, VIEW_RIGHT_MLO, VIEWS_PRESENT,
};
use crate::content::{Item, Part, Relation, Value};
use crate::groups::{algorithm, begin, said, site};
use crate::object::Context;
use crate::site::Site;
use crate::views::Mammography;
use crate::words::Language;
use crate::{Error, ResultObject, encapsulated, identity, pages, pdf, secondary, sr};

/// Our own rules, no network.
const ALGORITHM: &str = "Scanside mammography views";

/// The report; where pictures were read also the key image, marks for workstations, the documents and the breast imaging report.
///
/// # Errors
/// When a value does not fit into an object.
pub(crate) fn write(context: &Context, study: &Mammography) -> Result<Vec<ResultObject>, Error> {
    let mut key = None;
    if !study.hung.is_empty() {
        let page = pages::hanging_page(study, context.provenance, context.provenance.language);
        let images = study.hung.iter();
        let shows: Vec<secondary::Shows<'_>> =
            images.map(|hung| (hung.sop_class_uid.as_str(), hung.sop_instance_uid.as_str(), None)).collect();
        key = Some(secondary::of_picture(context, &page, &shows, 0)?);
    }
    let mut groups = vec![group(context, study)];
    groups.extend(study.views.marks.iter().flat_map(|marks| marks::groups(context, study, marks, key.as_ref())));
    let own: Vec<&ResultObject> = key.iter().map(|page| &page.object).collect();
    let report = sr::views(context, groups, &own)?;
    // A person signs what a network has marked, and nothing of the rest.
    let draft = context.unsigned();
    let cad = cad::write(&draft, study)?;
    let told = if study.views.pictures.is_empty() { Vec::new() } else { told(&draft, study, &own)? };
    Ok(key.map(|page| page.object).into_iter().chain(cad).chain(told).chain([report]).collect())
}

/// The documents in every language, and the breast imaging report (TID 4200).
fn told(context: &Context, study: &Mammography, own: &[&ResultObject]) -> Result<Vec<ResultObject>, Error> {
    let examination = Examination::new(study);
    let patient = identity::Patient::of(context.source);
    let mut objects = Vec::new();
    for (index, language) in Language::ALL.iter().copied().enumerate() {
        let drawn = (!study.hung.is_empty()).then(|| pages::hanging_views(study, language));
        let pictures = pdf::pictures(drawn.as_slice());
        let provenance = context.provenance;
        let draft = pdf::mammography::Draft {
            patient: &patient,
            examination: &examination,
            provenance,
            pictures: &pictures,
            language,
        };
        let document =
            pdf::mammography::write(&draft).map_err(|e| Error::Encode { kind: "pdf", source: Box::new(e) })?;
        let title = language.words().mammograms().dicom_title;
        objects.push(encapsulated::write(context, title, index, document, own)?);
    }
    objects.push(structured::write(context, &examination, own)?);
    Ok(objects)
}

/// Which views are there and which image shows each, and the sentence of [`verdict`] as a comment.
fn group(context: &Context, study: &Mammography) -> Item {
    let views = &study.views;
    let uid = context.uids.lasting("track mammography views", 0);
    let mut group = begin("1501", "Mammography views", uid, MAMMOGRAPHY_VIEWS).with_all(algorithm(
        ALGORITHM,
        &context.provenance.software_version,
        None,
    ));
    for found in &views.found {
        group = group.with_all(image(context, found));
    }
    group = group.with(Item::number(VIEWS_PRESENT, views.found.len() as f64, 0, NO_UNITS));
    for view in StandardView::ALL {
        let is_whole = views.found.iter().any(|found| found.view == view);
        let in_parts = views.in_parts.iter().any(|one| one.view == view);
        let presence = match (is_whole, in_parts) {
            (true, _) => PRESENT,
            (false, true) => IN_PARTS,
            (false, false) => ABSENT,
        };
        group = group.with(Item::code(Relation::Contains, code(view), presence));
    }
    group.with_all(densities(study)).with(said(context, study.verdict()))
}

/// The percentage of each view that has one, with the caution that belongs to it.
fn densities(study: &Mammography) -> Vec<Item> {
    let one = |(found, dense): (&ViewFound, Dense)| {
        let Dense::Measured(density) = dense else { return None };
        let projection = if found.view.is_oblique() { MEDIO_LATERAL_OBLIQUE } else { CRANIO_CAUDAL };
        let side = if found.view.is_right() { RIGHT } else { LEFT };
        let number = Item::number(PERCENT_FIBROGLANDULAR, density.percent.into(), 0, PERCENT);
        let number = number.with(site(Site { place: BREAST, side: Some(side) }));
        let modifier = |name, code| Item::code(Relation::HasConceptMod, name, code);
        Some(number.with(modifier(IMAGE_VIEW, projection)).with(modifier(ORIGIN, MEASURED_BY_SOFTWARE)))
    };
    Examination::new(study).densities().filter_map(one).collect()
}

/// The image that stands for a view.
fn image(context: &Context, found: &ViewFound) -> Option<Item> {
    let image = context.source.instances.iter().find(|image| image.sop_instance_uid == found.sop_instance_uid)?;
    let value = Value::Image {
        sop_class_uid: image.sop_class_uid.clone(),
        sop_uid: image.sop_instance_uid.clone(),
        part: Part::Whole,
    };
    Some(Item::new(Relation::Contains, SOURCE_OF_MEASUREMENT, value))
}

fn code(view: StandardView) -> Code {
    match view {
        StandardView::RightCc => VIEW_RIGHT_CC,
        StandardView::LeftCc => VIEW_LEFT_CC,
        StandardView::RightMlo => VIEW_RIGHT_MLO,
        StandardView::LeftMlo => VIEW_LEFT_MLO,
    }
}

#[cfg(test)]
mod tests {
    use dicom_dictionary_std::tags;
    use models::task::mg_breast::{Breast, Nipple, PictureRead, Reading, Side, Sureness};

    use super::*;
    use crate::views::tests::found;
    use crate::views::{Before, Hung};
    use crate::{Content, NOT_FOR_DIAGNOSIS, Source, testing};
    use models::review::marks::Marked;
    use models::task::mammography_views::MammographyViews;

    #[test]
    fn the_report_is_one_marked_sr_whose_evidence_lists_every_series() {
        let mut case = testing::case(2);
        case.provenance.model = None;
        let series_uids = ["1.2.3.7".to_owned(), "1.2.3.8".to_owned()];
        let source = Source { series_uids: &series_uids, ..case.source() };
        let views = MammographyViews {
            found: vec![found(StandardView::RightCc, &case.instances[1].sop_instance_uid)],
            missing: vec![StandardView::LeftCc, StandardView::RightMlo, StandardView::LeftMlo],
            in_parts: Vec::new(),
            pictures: Vec::new(),
            marks: None,
        };
        let study = Mammography {
            views,
            hung: Vec::new(),
            followed: Vec::new(),
            marked: Marked::default(),
            before: Before::Unknown,
        };
        let make = || crate::write(&source, Content::Views { views: &study }, &case.provenance).unwrap();
        let objects = make();
        assert_eq!(objects, make(), "a retry makes the same bytes");
        let [report] = objects.as_slice() else { panic!("{} objects", objects.len()) };
        assert_eq!(report.kind, "sr");
        let bytes = |text: &str| report.part10.windows(text.len()).any(|window| window == text.as_bytes());
        for text in ["1 of 4 standard views", "MGRCC", "1.2.3.7", "1.2.3.8", NOT_FOR_DIAGNOSIS] {
            assert!(bytes(text), "{text}");
        }
        let read = dicom_object::from_reader(report.part10.as_slice()).unwrap();
        let evidence = read.element(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE).unwrap();
        let series = evidence.items().unwrap()[0].element(tags::REFERENCED_SERIES_SEQUENCE).unwrap();
        assert_eq!(series.items().unwrap().len(), 2);
        let number = read.element(tags::SERIES_NUMBER).unwrap().to_str().unwrap().into_owned();
        assert_eq!(number.trim(), "97008");
    }

    /// A drawn picture of a view: half of it is breast, the chest wall at `side`; the middle row of it is bright at the wall.
    pub(super) fn read_view(view: StandardView, uid: &str, side: Side) -> (PictureRead, Hung) {
        let size = [40usize, 80usize];
        let breast = |x: usize| if side == Side::Left { x < 20 } else { x >= 20 };
        let grey = (0..size[0] * size[1]).map(|at| if breast(at % size[0]) { 200 } else { 5 }).collect();
        let edge = if side == Side::Left { 0.0 } else { 40.0 };
        let reading = Reading {
            mm_per_pixel: Some(0.4),
            chest_wall: side,
            breast: Breast {
                outline: vec![[edge, 10.0], [20.0, 10.0], [20.0, 70.0], [edge, 70.0]],
                part_of_picture: 0.5,
                area_cm2: None,
                depth_mm: None,
            },
            muscle: None,
            nipple: Nipple {
                at: [20.0, 40.0],
                sureness: Sureness::Estimated,
                to_chest_wall_mm: None,
                to_muscle_mm: None,
            },
            density: None,
        };
        let read = PictureRead {
            sop_class_uid: "1.2.840.10008.5.1.4.1.1.1.2".into(),
            sop_instance_uid: uid.into(),
            laterality: if view.is_right() { "R" } else { "L" }.into(),
            view: if view.is_oblique() { "MLO" } else { "CC" }.into(),
            part: None,
            remarks: Vec::new(),
            read: Ok(reading),
        };
        let (sop_class_uid, sop_instance_uid) = (read.sop_class_uid.clone(), read.sop_instance_uid.clone());
        (read, Hung { view, sop_class_uid, sop_instance_uid, grey, size, turn: None })
    }

    /// The right CC and the left MLO view; the right one as it should lie, the left one mirrored.
    pub(super) fn marked() -> Mammography {
        let (right, hung_right) = read_view(StandardView::RightCc, "1.2.3.1", Side::Right);
        let (left, hung_left) = read_view(StandardView::LeftMlo, "1.2.3.2", Side::Right);
        let mut shown = crate::views::marks::tests::marks();
        shown.views[2].sop_instance_uid = "1.2.3.2".into();
        let views = MammographyViews {
            found: vec![found(StandardView::RightCc, "1.2.3.1"), found(StandardView::LeftMlo, "1.2.3.2")],
            in_parts: Vec::new(),
            missing: vec![StandardView::LeftCc, StandardView::RightMlo],
            pictures: vec![right, left],
            marks: Some(shown),
        };
        Mammography {
            views,
            hung: vec![hung_right, hung_left],
            followed: Vec::new(),
            marked: Marked::default(),
            before: Before::Unknown,
        }
    }

    #[test]
    fn marks_are_groups_of_the_report_with_their_boxes_and_a_page_shows_them() {
        let case = testing::case(2);
        let study = marked();
        let make = || crate::write(&case.source(), Content::Views { views: &study }, &case.provenance).unwrap();
        let objects = make();
        assert_eq!(objects, make(), "a retry makes the same bytes");
        assert_eq!(
            objects.iter().map(|object| object.kind).collect::<Vec<_>>(),
            ["sc", "mg-cad", "pdf", "pdf", "breast-report", "sr"]
        );
        let holds = |object: &ResultObject, text: &str| object.part10.windows(text.len()).any(|w| w == text.as_bytes());
        for text in ["Mark 1", "Mark 2", "129788004", "129769006", "POLYLINE", "learnt from phantoms only"] {
            assert!(holds(&objects[5], text), "{text}");
        }
        for object in &objects {
            assert!(holds(object, NOT_FOR_DIAGNOSIS) && holds(object, "1.2.3.1") && holds(object, "1.2.3.2"));
        }
        let mut fewer = study.clone();
        fewer.views.marks.as_mut().unwrap().views[0].marks.clear();
        let other = crate::write(&case.source(), Content::Views { views: &fewer }, &case.provenance).unwrap();
        assert_ne!(other[5].sop_uid, objects[5].sop_uid, "other marks are another report");
    }

    #[test]
    fn views_are_hung_with_their_chest_walls_together_however_they_lie() {
        let case = testing::case(2);
        for language in Language::ALL {
            let page = pages::hanging_page(&marked(), &case.provenance, *language);
            let grey = |x: usize, y: usize| page.rgb[(y * page.width + x) * 3];
            // Middle of the pictures: their right and left halves meet at x 412.
            let (upper, lower) = (300, 800);
            assert!(grey(400, upper) > 150, "the wall of the right breast is at the middle");
            assert!(grey(424, lower) > 150, "and that of the left one, which lay the other way round");
            assert!(grey(40, upper) < 30 && grey(780, lower) < 30, "what is outside is not");
            assert!(grey(424, upper) < 10 && grey(400, lower) < 10, "a view that is missing is empty");
        }
    }
}
