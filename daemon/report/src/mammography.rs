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
}
