//! The marks of a mammography as Mammography CAD SR (TID 4000), for workstations that show such marks on the pictures. It says
//! the same as the measurement groups beside it (`marks`); text is English (decision 0013).
//!
//! References within the document count its items, so the image library is always the second of the root.

use models::task::mg_breast::kind::{Kind, Stage};
use models::task::mg_breast::marks::{Mark, MarkedView, Marks};

use super::pairs::{self, Pair};
use crate::codes::{
    ALGORITHM_NAME, ALGORITHM_PARAMETERS, ALGORITHM_VERSION, ALL_WITH_FINDINGS, ALL_WITHOUT_FINDINGS,
    ANALYSIS_PERFORMED, ARCHITECTURAL_DISTORTION, ASYMMETRY_ANALYSIS, BREAST_MASS, CALCIFICATION_CLUSTER, CENTER,
    CERTAINTY_OF_FINDING, COMPOSITE_FEATURE, COMPOSITE_TYPE, CRANIO_CAUDAL, Code, DETECTION_PERFORMED, FAILED_ANALYSES,
    FAILED_DETECTIONS, IMAGE_LATERALITY, IMAGE_LIBRARY, IMAGE_VIEW, IMPRESSION_DESCRIPTION, INDIVIDUAL_IMPRESSION,
    LEFT_BREAST, MAMMOGRAPHY_CAD_REPORT, MAMMOGRAPHY_DENSITY, MEDIO_LATERAL_OBLIQUE, NONE_SUCCEEDED,
    NOT_ALL_WITH_FINDINGS, NOT_ALL_WITHOUT_FINDINGS, NOT_ATTEMPTED, ON_MULTIPLE_IMAGES, OUTLINE, PARTIALLY_SUCCEEDED,
    PERCENT, PRESENTATION_OPTIONAL, PRESENTATION_REQUIRED, PROCESSING_SUMMARY, RELATED_SPATIALLY, RENDERING_INTENT,
    RIGHT_BREAST, SCOPE_OF_FEATURE, SINGLE_IMAGE_FINDING, SPATIAL_COLLOCATION, STUDY_DATE, SUCCEEDED,
    SUCCESSFUL_ANALYSES, SUCCESSFUL_DETECTIONS, SUMMARY_OF_ANALYSES, SUMMARY_OF_DETECTIONS, TRACKING_ID, TRACKING_UID,
};
use crate::content::{Item, Part, Relation, Value};
use crate::groups::{measured, typed};
use crate::object::{CAD, Context};
use crate::views::Mammography;
use crate::views::marks::{all, is_resized, said};
use crate::words::breast::followed;
use crate::words::edits::of_marks;
use crate::words::{Language, capital};
use crate::{Error, ResultObject, sr};

/// Place of the image library among the items of the root, and of the root.
const LIBRARY: [u32; 2] = [1, 2];

/// Single findings of our own rules: nothing is known about them but the network.
const DETECTIONS: [Code; 3] = [MAMMOGRAPHY_DENSITY, CALCIFICATION_CLUSTER, ARCHITECTURAL_DISTORTION];

/// The report; `None` where nobody asked for marks, or a package is not named.
///
/// # Errors
/// When a value does not fit into an object.
pub(super) fn write(context: &Context, study: &Mammography) -> Result<Option<ResultObject>, Error> {
    let Some(marks) = &study.views.marks else { return Ok(None) };
    if context.provenance.model.is_none() {
        return Ok(None);
    }
    let root = Item::container(MAMMOGRAPHY_CAD_REPORT, Some("4000"))
        .with(sr::language())
        .with(library(context, study))
        .with(overall(context, study, marks))
        .with(detections(context, study, marks))
        .with(analyses(context, study, marks));
    sr::kept_as(CAD, context, root, &[]).map(Some)
}

/// Every image of the study (TID 4020), with side and projection of those that stand for a standard view.
fn library(context: &Context, study: &Mammography) -> Item {
    let date = &context.source.header.study_date;
    let date = (date.len() == 8).then(|| Item::new(Relation::HasAcqContext, STUDY_DATE, Value::Date(date.clone())));
    let images = context.source.instances.iter().map(|image| {
        let view = study.views.found.iter().find(|found| found.sop_instance_uid == image.sop_instance_uid);
        let view = view.map(|found| found.view);
        let side = view.map(|view| if view.is_right() { RIGHT_BREAST } else { LEFT_BREAST });
        let projection = view.map(|view| if view.is_oblique() { MEDIO_LATERAL_OBLIQUE } else { CRANIO_CAUDAL });
        let code = |name, value| Item::code(Relation::HasAcqContext, name, value);
        let value = Value::Image {
            sop_class_uid: image.sop_class_uid.clone(),
            sop_uid: image.sop_instance_uid.clone(),
            part: Part::Whole,
        };
        Item::nameless(Relation::Contains, value)
            .with_all(side.map(|side| code(IMAGE_LATERALITY, side)))
            .with_all(projection.map(|projection| code(IMAGE_VIEW, projection)))
            .with_all(date.clone())
    });
    Item::container(IMAGE_LIBRARY, None).with_all(images)
}

/// Where an image is in the library; `None` for one that is not of this result.
fn place(context: &Context, sop_instance_uid: &str) -> Option<Vec<u32>> {
    let index = context.source.instances.iter().position(|image| image.sop_instance_uid == sop_instance_uid)?;
    let number = u32::try_from(index).ok()?.checked_add(1)?;
    Some(LIBRARY.into_iter().chain([number]).collect())
}

/// TID 4001: how it went in one code and in words, and each mark, or two that are one lesion in two views.
fn overall(context: &Context, study: &Mammography, marks: &Marks) -> Item {
    let summary = match (marks.views.is_empty(), marks.withheld.is_empty(), marks.count() > 0) {
        (true, ..) => NONE_SUCCEEDED,
        (false, true, true) => ALL_WITH_FINDINGS,
        (false, true, false) => ALL_WITHOUT_FINDINGS,
        (false, false, true) => NOT_ALL_WITH_FINDINGS,
        (false, false, false) => NOT_ALL_WITHOUT_FINDINGS,
    };
    let mark = context.provenance.mark().map(str::to_owned);
    let words: Vec<String> = said(marks, Language::English.words()).into_iter().chain(mark).collect();
    let each = all(marks).map(|(view, mark)| in_words(study, view, mark));
    let edited = of_marks(&study.marked, Language::English.words()).into_iter().map(|(_, said)| said);
    let words: Vec<String> = words.into_iter().chain(each).chain(edited).collect();
    // What a person has taken out was found nevertheless.
    let reviewed = Some(study.marked.said()).filter(|said| !said.is_empty());
    let pairs = pairs::of(marks);
    let lone = all(marks).filter(|(_, mark)| !pairs.iter().any(|pair| pair.holds(mark.number)));
    let lone = lone.filter_map(|(view, mark)| {
        Some(impression(context).with(finding(context, study, view, mark)?.related(Relation::Contains)))
    });
    let together = pairs.iter().filter_map(|pair| Some(impression(context).with(composite(context, study, pair)?)));
    Item::code(Relation::Contains, PROCESSING_SUMMARY, summary)
        .with(description(context, &words.into_iter().chain(reviewed).collect::<Vec<_>>().join("; ")))
        .with_all(algorithm(context))
        .with_all(together)
        .with_all(lone)
}

fn description(context: &Context, words: &str) -> Item {
    typed(context, Relation::HasProperties, IMPRESSION_DESCRIPTION, capital(words))
}

/// One mark; its kind, which the codes do not tell, and what is known of it.
fn in_words(study: &Mammography, view: &MarkedView, mark: &Mark) -> String {
    let w = Language::English.words();
    let known = study.followed(mark.number).map(|known| followed(known, w));
    let words = std::iter::once(w.mark(mark, view.view)).chain(known).collect::<Vec<_>>().join("; ");
    w.titled(&format!("Mark {}", mark.number), &words)
}

/// TID 4003. Words about it are with the summary: a container has no properties in this kind of document.
fn impression(context: &Context) -> Item {
    Item::container(INDIVIDUAL_IMPRESSION, None).related(Relation::InferredFrom).with(intent(context))
}

/// A workstation is not made to show what is not for diagnosis.
fn intent(context: &Context) -> Item {
    let is_cleared = context.provenance.mark().is_none();
    let code = if is_cleared { PRESENTATION_REQUIRED } else { PRESENTATION_OPTIONAL };
    Item::code(Relation::HasConceptMod, RENDERING_INTENT, code)
}

/// Two marks that are one lesion in two views of a breast (TID 4004, 4005).
fn composite(context: &Context, study: &Mammography, pair: &Pair<'_>) -> Option<Item> {
    let code = match pair.kind() {
        Kind::Mass => BREAST_MASS,
        Kind::Calcifications => CALCIFICATION_CLUSTER,
        Kind::Distortion => ARCHITECTURAL_DISTORTION,
        // The template has an asymmetry for two breasts only.
        Kind::Asymmetry => return None,
    };
    let property = |name, value| Item::code(Relation::HasProperties, name, value);
    let mut feature = Item::code(Relation::Contains, COMPOSITE_FEATURE, code)
        .with(intent(context))
        .with(property(COMPOSITE_TYPE, RELATED_SPATIALLY))
        .with(property(SCOPE_OF_FEATURE, ON_MULTIPLE_IMAGES))
        .with_all(algorithm(context));
    for (view, mark) in pair.marks() {
        feature = feature.with(finding(context, study, view, mark)?.related(Relation::InferredFrom));
    }
    Some(feature)
}

/// One mark in one picture (TID 4006), as its measurement group has it.
fn finding(context: &Context, study: &Mammography, view: &MarkedView, mark: &Mark) -> Option<Item> {
    let place = place(context, &view.sop_instance_uid)?;
    let shape = |name: Code, kind: &'static str, points: Vec<[f32; 2]>| {
        Item::new(Relation::HasProperties, name, Value::Coordinates { kind, points })
            .with(Item::there(Relation::SelectedFrom, place.clone()))
    };
    let [left, top, right, bottom] = mark.bounds;
    let outline = vec![[left, top], [right, top], [right, bottom], [left, bottom], [left, top]];
    let uid = context.uids.lasting("track mammography mark", mark.number);
    let certainty = measured(CERTAINTY_OF_FINDING, f64::from(mark.score) * 100.0, 1, PERCENT);
    let edge = (!is_resized(&study.marked, mark.number)).then(|| shape(OUTLINE, "POLYLINE", outline));
    Some(
        Item::code(Relation::Contains, SINGLE_IMAGE_FINDING, single(mark.kind))
            .with(intent(context))
            .with(Item::text(Relation::HasObsContext, TRACKING_ID, format!("Mark {}", mark.number)))
            .with(Item::uid(Relation::HasObsContext, TRACKING_UID, uid))
            .with_all(algorithm(context))
            .with_all(certainty.map(|item| item.related(Relation::HasProperties)))
            .with(shape(CENTER, "POINT", vec![mark.at]))
            .with_all(edge),
    )
}

fn single(kind: Kind) -> Code {
    match kind {
        Kind::Mass | Kind::Asymmetry => MAMMOGRAPHY_DENSITY,
        Kind::Calcifications => CALCIFICATION_CLUSTER,
        Kind::Distortion => ARCHITECTURAL_DISTORTION,
    }
}

/// What was looked for, in which images, with which network (TID 4015, 4017); images that were withheld are named as failed.
fn detections(context: &Context, study: &Mammography, marks: &Marks) -> Item {
    let withheld = withheld(context, study, marks);
    let status = match (marks.views.is_empty(), withheld.is_empty()) {
        (true, _) => NOT_ATTEMPTED,
        (false, true) => SUCCEEDED,
        (false, false) => PARTIALLY_SUCCEEDED,
    };
    let looked: Vec<Vec<u32>> = marks.views.iter().filter_map(|view| place(context, &view.sop_instance_uid)).collect();
    let of = |images: &[Vec<u32>]| DETECTIONS.map(|code| performed(context, DETECTION_PERFORMED, code, images));
    let done = (status != NOT_ATTEMPTED)
        .then(|| Item::container(SUCCESSFUL_DETECTIONS, None).related(Relation::InferredFrom).with_all(of(&looked)));
    let failed = (status == PARTIALLY_SUCCEEDED)
        .then(|| Item::container(FAILED_DETECTIONS, None).related(Relation::InferredFrom).with_all(of(&withheld)));
    Item::code(Relation::Contains, SUMMARY_OF_DETECTIONS, status).with_all(done).with_all(failed)
}

/// What was compared (TID 4016, 4018).
fn analyses(context: &Context, study: &Mammography, marks: &Marks) -> Item {
    let withheld = withheld(context, study, marks);
    let of = |code: Code, is: fn(Stage) -> bool| {
        let own = marks.views.iter().filter(|view| is(view.stage));
        let images: Vec<Vec<u32>> = own.filter_map(|view| place(context, &view.sop_instance_uid)).collect();
        (!images.is_empty()).then(|| performed(context, ANALYSIS_PERFORMED, code, &images))
    };
    let done: Vec<Item> = [
        of(SPATIAL_COLLOCATION, |stage| stage != Stage::OneView),
        of(ASYMMETRY_ANALYSIS, |stage| stage == Stage::TwoBreasts),
    ]
    .into_iter()
    .flatten()
    .collect();
    if done.is_empty() {
        return Item::code(Relation::Contains, SUMMARY_OF_ANALYSES, NOT_ATTEMPTED);
    }
    let failed = (!withheld.is_empty()).then(|| {
        let one = performed(context, ANALYSIS_PERFORMED, SPATIAL_COLLOCATION, &withheld);
        Item::container(FAILED_ANALYSES, None).related(Relation::InferredFrom).with(one)
    });
    let status = if failed.is_some() { PARTIALLY_SUCCEEDED } else { SUCCEEDED };
    let list = Item::container(SUCCESSFUL_ANALYSES, None).related(Relation::InferredFrom).with_all(done);
    Item::code(Relation::Contains, SUMMARY_OF_ANALYSES, status).with(list).with_all(failed)
}

/// Places of the standard views that are there and of which nothing is said.
fn withheld(context: &Context, study: &Mammography, marks: &Marks) -> Vec<Vec<u32>> {
    let whole = |view| study.views.found.iter().filter(move |found| found.view == view);
    let parts = |view| study.views.only_in_parts().filter(move |one| one.view == view).flat_map(|one| &one.parts);
    let of = |view| {
        let whole = whole(view).map(|found| &found.sop_instance_uid);
        whole.chain(parts(view).map(|part| &part.sop_instance_uid)).collect::<Vec<_>>()
    };
    marks.withheld.iter().flat_map(|one| of(one.view)).filter_map(|uid| place(context, uid)).collect()
}

fn performed(context: &Context, name: Code, code: Code, images: &[Vec<u32>]) -> Item {
    Item::code(Relation::Contains, name, code)
        .with_all(algorithm(context))
        .with_all(images.iter().map(|place| Item::there(Relation::HasProperties, place.clone())))
}

/// TID 4019, as properties.
fn algorithm(context: &Context) -> Vec<Item> {
    let Some(model) = &context.provenance.model else { return Vec::new() };
    let parameters = format!("{}; network sha256 {}", model.thresholds, model.sha256);
    [(ALGORITHM_NAME, &model.id), (ALGORITHM_VERSION, &model.version), (ALGORITHM_PARAMETERS, &parameters)]
        .into_iter()
        .map(|(name, text)| Item::text(Relation::HasProperties, name, text.as_str()))
        .collect()
}
