//! The standard views of a mammography in one sentence, and as a measurement group (TID 1501) of their structured report; what a
//! network marked in them (`marks`), and the pictures of a page that shows all four.

pub(crate) mod marks;
mod pictures;

use models::task::mammography_views::{MammographyViews, StandardView, ViewFound};

use crate::codes::{
    ABSENT, Code, MAMMOGRAPHY_VIEWS, NO_UNITS, PRESENT, SOURCE_OF_MEASUREMENT, VIEW_LEFT_CC, VIEW_LEFT_MLO,
    VIEW_RIGHT_CC, VIEW_RIGHT_MLO, VIEWS_PRESENT,
};
use crate::content::{Item, Part, Relation, Value};
use crate::groups::{algorithm, begin, comment};
use crate::object::Context;
use crate::words::Language;
use crate::{Error, ResultObject, pages, secondary, sr};

/// Our own rules, no network.
const ALGORITHM: &str = "Scanside mammography views";

/// What came of a mammography.
#[derive(Debug, Clone, PartialEq)]
pub struct Mammography {
    pub views: MammographyViews,
    /// The standard views whose pictures were read, for the key image.
    pub hung: Vec<Hung>,
}

/// The picture of a standard view on the grid on which it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hung {
    pub view: StandardView,
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    /// Bright is dense, row by row.
    pub grey: Vec<u8>,
    /// Columns and rows.
    pub size: [usize; 2],
}

/// The key image, where pictures were read, and the report.
///
/// # Errors
/// When a value does not fit into an object.
pub(crate) fn write(context: &Context, study: &Mammography) -> Result<Vec<ResultObject>, Error> {
    let mut key = None;
    if !study.hung.is_empty() {
        let page = pages::hanging_page(study, context.provenance, context.provenance.language);
        let one = |hung: &'_ Hung| (hung.sop_class_uid.clone(), hung.sop_instance_uid.clone());
        let named: Vec<(String, String)> = study.hung.iter().map(one).collect();
        let shows: Vec<secondary::Shows<'_>> =
            named.iter().map(|(class, uid)| (class.as_str(), uid.as_str(), None)).collect();
        key = Some(secondary::of_picture(context, &page, &shows, 0)?);
    }
    let groups = study.views.marks.as_ref().map(|marks| marks::groups(context, marks, key.as_ref()));
    let own: Vec<&ResultObject> = key.iter().map(|page| &page.object).collect();
    let report = sr::views(context, &study.views, groups.unwrap_or_default(), &own)?;
    Ok(key.map(|page| page.object).into_iter().chain([report]).collect())
}

/// One sentence: how many of the standard views there are, which are missing, and where an image had to be chosen.
pub fn verdict(views: &MammographyViews) -> String {
    let all = StandardView::ALL.len();
    let mut said = format!("mammography: {} of {all} standard views", views.found.len());
    if !views.missing.is_empty() {
        let names: Vec<&str> = views.missing.iter().map(|view| view.name()).collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        said.push_str(&format!(", {} {verb} missing", listed(&names)));
    }
    for found in &views.found {
        said.push_str(&remarks(found));
    }
    for picture in &views.pictures {
        said.push_str(&format!("; {}", pictures::said(picture)));
    }
    if let Some(marks) = &views.marks {
        said.push_str(&format!("; {}", marks::said(marks, Language::English.words()).join("; ")));
    }
    said
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

fn remarks(found: &ViewFound) -> String {
    let name = found.view.name();
    let mut said = String::new();
    if found.candidates > 1 {
        said.push_str(&format!("; {} images of {name}, the last is taken", found.candidates));
    }
    if !found.for_presentation {
        said.push_str(&format!("; {name} only for processing"));
    }
    said
}

/// Which views are there and which image shows each, and the sentence of [`verdict`] as a comment.
pub(crate) fn group(context: &Context, views: &MammographyViews) -> Item {
    let uid = context.uids.of("track mammography views", 0);
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
        let presence = if views.missing.contains(&view) { ABSENT } else { PRESENT };
        group = group.with(Item::code(Relation::Contains, code(view), presence));
    }
    group.with(comment(verdict(views)))
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
    use crate::{Content, NOT_FOR_DIAGNOSIS, Source, testing};

    fn found(view: StandardView, uid: &str) -> ViewFound {
        ViewFound { view, sop_instance_uid: uid.into(), for_presentation: true, candidates: 1 }
    }

    #[test]
    fn the_sentence_names_what_is_missing_and_what_was_chosen() {
        let mut views = MammographyViews {
            found: StandardView::ALL.into_iter().map(|view| found(view, "1.2")).collect(),
            missing: Vec::new(),
            pictures: Vec::new(),
            marks: None,
        };
        assert_eq!(verdict(&views), "mammography: 4 of 4 standard views");
        views.found.pop();
        views.missing = vec![StandardView::LeftMlo];
        assert_eq!(verdict(&views), "mammography: 3 of 4 standard views, left MLO is missing");
        views.found.remove(0);
        views.missing = vec![StandardView::RightCc, StandardView::LeftMlo];
        views.found[0].candidates = 2;
        views.found[1].for_presentation = false;
        assert_eq!(
            verdict(&views),
            "mammography: 2 of 4 standard views, right CC and left MLO are missing; 2 images of left CC, the last is \
             taken; right MLO only for processing"
        );
    }

    #[test]
    fn the_report_is_one_marked_sr_whose_evidence_lists_every_series() {
        let mut case = testing::case(2);
        case.provenance.model = None;
        let series_uids = ["1.2.3.7".to_owned(), "1.2.3.8".to_owned()];
        let source = Source { series_uids: &series_uids, ..case.source() };
        let views = MammographyViews {
            found: vec![found(StandardView::RightCc, &case.instances[1].sop_instance_uid)],
            missing: vec![StandardView::LeftCc, StandardView::RightMlo, StandardView::LeftMlo],
            pictures: Vec::new(),
            marks: None,
        };
        let study = Mammography { views, hung: Vec::new() };
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
    fn read_view(view: StandardView, uid: &str, side: Side) -> (PictureRead, Hung) {
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
            remarks: Vec::new(),
            read: Ok(reading),
        };
        let (sop_class_uid, sop_instance_uid) = (read.sop_class_uid.clone(), read.sop_instance_uid.clone());
        (read, Hung { view, sop_class_uid, sop_instance_uid, grey, size })
    }

    /// The right CC and the left MLO view; the right one as it should lie, the left one mirrored.
    fn marked() -> Mammography {
        let (right, hung_right) = read_view(StandardView::RightCc, "1.2.3.1", Side::Right);
        let (left, hung_left) = read_view(StandardView::LeftMlo, "1.2.3.2", Side::Right);
        let mut shown = marks::tests::marks();
        shown.views[2].sop_instance_uid = "1.2.3.2".into();
        let views = MammographyViews {
            found: vec![found(StandardView::RightCc, "1.2.3.1"), found(StandardView::LeftMlo, "1.2.3.2")],
            missing: vec![StandardView::LeftCc, StandardView::RightMlo],
            pictures: vec![right, left],
            marks: Some(shown),
        };
        Mammography { views, hung: vec![hung_right, hung_left] }
    }

    #[test]
    fn marks_are_groups_of_the_report_with_their_boxes_and_a_page_shows_them() {
        let case = testing::case(2);
        let study = marked();
        let make = || crate::write(&case.source(), Content::Views { views: &study }, &case.provenance).unwrap();
        let objects = make();
        assert_eq!(objects, make(), "a retry makes the same bytes");
        assert_eq!(objects.iter().map(|object| object.kind).collect::<Vec<_>>(), ["sc", "sr"]);
        let holds = |object: &ResultObject, text: &str| object.part10.windows(text.len()).any(|w| w == text.as_bytes());
        for text in ["Mark 1", "Mark 2", "129788004", "129769006", "POLYLINE", "learnt from phantoms only"] {
            assert!(holds(&objects[1], text), "{text}");
        }
        for object in &objects {
            assert!(holds(object, NOT_FOR_DIAGNOSIS) && holds(object, "1.2.3.1") && holds(object, "1.2.3.2"));
        }
        let mut fewer = study.clone();
        fewer.views.marks.as_mut().unwrap().views[0].marks.clear();
        let other = crate::write(&case.source(), Content::Views { views: &fewer }, &case.provenance).unwrap();
        assert_ne!(other[1].sop_uid, objects[1].sop_uid, "other marks are another report");
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
