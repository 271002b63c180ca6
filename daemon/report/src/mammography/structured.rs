//! The breast imaging report (TID 4200) of a mammography as Enhanced SR: a summary in words, and in codes what was examined,
//! implants that headers name, and marks where a network was asked. Text is English (decision 0013).
//!
//! It never has an assessment category, nor a code of the composition (decision 0047).

use models::findings::Side;
use models::review::marks::Marked;
use models::task::mg_breast::Remark;
use models::task::mg_breast::marks::{Mark, MarkedView};

use super::examination::Examination;
use super::marks;
use crate::codes::{
    BEST_ILLUSTRATION, BOTH_BREASTS, BREAST_COMPOSITION, BREAST_IMAGING_REPORT, COMPARISON, Code, DIGITAL_MAMMOGRAPHY,
    FILM_MAMMOGRAPHY, FINDING, FINDINGS, IMPLANT, IMPLANT_NOT_SPECIFIED, IMPLANT_TYPE, IMPRESSIONS, LATERALITY,
    LEFT_BREAST, LONG_AXIS, MARKED_AND_EDITED, MARKED_BY_SOFTWARE, MILLIMETRE, NARRATIVE_SUMMARY, ORIGIN,
    PROCEDURE_REPORTED, RIGHT_BREAST, SAID_BY_HEADER, SHORT_AXIS, SUPPLEMENTARY_DATA,
};
use crate::content::{Item, Part, Relation, Value};
use crate::object::{BREAST, Context};
use crate::views::marks::{all, id, is_resized};
use crate::words::Language;
use crate::{Error, ResultObject, groups, sr};

/// The report; `own` are objects of ours that it refers to.
///
/// # Errors
/// When a value does not fit into an object.
pub(super) fn write(context: &Context, exam: &Examination<'_>, own: &[&ResultObject]) -> Result<ResultObject, Error> {
    let root = Item::container(BREAST_IMAGING_REPORT, Some("4200"))
        .with(sr::language())
        .with_all(sr::observer(context))
        .with(summary(context, exam))
        .with_all(data(context, exam));
    sr::kept_as(BREAST, context, root, own)
}

/// TID 4202.
fn summary(context: &Context, exam: &Examination<'_>) -> Item {
    let w = Language::English.words();
    let section = |title: Code, name: Code, lines: Vec<String>| {
        let text = groups::said_as(context, name, lines.join("\n"));
        Item::container(title, None).with(text)
    };
    let pictures = exam.pictures(w).into_iter().map(|[name, said]| w.titled(&name, &said));
    let views = exam.views(w).join("; ");
    let procedure: Vec<String> = std::iter::once(format!("Mammography; {views}")).chain(pictures).collect();
    let mut impression = exam.impression(w);
    impression.extend(context.provenance.mark().map(str::to_owned));
    impression.push(context.provenance.line());
    let findings = exam.findings(w).into_iter().chain(exam.reviewed(w)).collect();
    Item::container(NARRATIVE_SUMMARY, Some("4202"))
        .with(section(PROCEDURE_REPORTED, PROCEDURE_REPORTED, procedure))
        .with(section(COMPARISON, COMPARISON, exam.comparison(w)))
        .with(section(BREAST_COMPOSITION, BREAST_COMPOSITION, exam.composition(w)))
        .with(section(FINDINGS, FINDING, findings))
        .with(section(IMPRESSIONS, crate::codes::IMPRESSION, impression))
}

/// TID 4208. The template wants a side of everything: without one the summary has to do.
fn data(context: &Context, exam: &Examination<'_>) -> Option<Item> {
    let is_of = |side: Side| {
        let letter = if side == Side::Right { "R" } else { "L" };
        exam.study.views.pictures.iter().any(|picture| picture.laterality == letter)
    };
    let laterality = match (is_of(Side::Right), is_of(Side::Left)) {
        (true, true) => BOTH_BREASTS,
        (true, false) => RIGHT_BREAST,
        (false, true) => LEFT_BREAST,
        (false, false) => return None,
    };
    let findings = [Side::Right, Side::Left].into_iter().filter_map(|side| findings(context, exam, side));
    let data = Item::container(SUPPLEMENTARY_DATA, Some("4208")).with(procedure(exam, laterality));
    Some(data.with_all(findings))
}

/// TID 4201.
fn procedure(exam: &Examination<'_>, laterality: Code) -> Item {
    let pictures = &exam.study.views.pictures;
    let is_film = pictures.iter().any(|one| one.read.is_ok())
        && pictures.iter().filter(|one| one.read.is_ok()).all(|one| one.remarks.contains(&Remark::Film));
    let code = if is_film { FILM_MAMMOGRAPHY } else { DIGITAL_MAMMOGRAPHY };
    Item::code(Relation::HasConceptMod, PROCEDURE_REPORTED, code).with(side_item(laterality))
}

fn side_item(laterality: Code) -> Item {
    Item::code(Relation::HasConceptMod, LATERALITY, laterality)
}

fn breast(is_right: bool) -> Code {
    if is_right { RIGHT_BREAST } else { LEFT_BREAST }
}

/// So that nobody's software takes it for the assessment of a physician.
fn origin(code: Code) -> Item {
    Item::code(Relation::HasConceptMod, ORIGIN, code)
}

/// The image of the source.
fn illustration(context: &Context, sop_instance_uid: &str) -> Option<Item> {
    let image = context.source.instances.iter().find(|image| image.sop_instance_uid == sop_instance_uid)?;
    let value = Value::Image {
        sop_class_uid: image.sop_class_uid.clone(),
        sop_uid: image.sop_instance_uid.clone(),
        part: Part::Whole,
    };
    Some(Item::new(Relation::InferredFrom, BEST_ILLUSTRATION, value))
}

/// TID 4206 of one breast.
fn findings(context: &Context, exam: &Examination<'_>, side: Side) -> Option<Item> {
    let is_right = side == Side::Right;
    let letter = if is_right { "R" } else { "L" };
    let mut own = exam.study.views.pictures.iter().filter(|picture| picture.laterality == letter);
    let implant = own.any(|picture| picture.remarks.contains(&Remark::Implant)).then(implant);
    let marks = exam.study.views.marks.iter().flat_map(all);
    let marks = marks.filter(|(view, _)| view.view.is_right() == is_right);
    let all: Vec<Item> =
        implant.into_iter().chain(marks.map(|(view, one)| mark(context, &exam.study.marked, view, one))).collect();
    let section = Item::container(FINDINGS, Some("4206")).with(procedure(exam, breast(is_right)));
    (!all.is_empty()).then(|| section.with_all(all))
}

fn implant() -> Item {
    Item::code(Relation::Contains, FINDING, IMPLANT)
        .with(Item::code(Relation::HasConceptMod, IMPLANT_TYPE, IMPLANT_NOT_SPECIFIED))
        .with(origin(SAID_BY_HEADER))
}

/// What and how large; certainty, box and network are in the other reports, what was edited in the summary.
fn mark(context: &Context, marked: &Marked, view: &MarkedView, mark: &Mark) -> Item {
    let is_resized = is_resized(marked, mark.number);
    let number = |name: Code, mm: f32| {
        let item = Item::number(name, mm.into(), 1, MILLIMETRE).related(Relation::HasProperties);
        if is_resized { groups::chosen(item) } else { item }
    };
    let is_edited = marked.edit(&id(mark.number)).is_some();
    Item::code(Relation::Contains, FINDING, marks::code(mark.kind))
        .with(origin(if is_edited { MARKED_AND_EDITED } else { MARKED_BY_SOFTWARE }))
        .with(number(LONG_AXIS, mark.size_mm[0]))
        .with(number(SHORT_AXIS, mark.size_mm[1]))
        .with_all(illustration(context, &view.sop_instance_uid))
}
