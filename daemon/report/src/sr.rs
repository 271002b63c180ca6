//! The structured report: Comprehensive 3D SR with the template Measurement Report (TID 1500).

use dicom::typed;
use dicom_core::VR;
use dicom_dictionary_std::tags;
use models::review::Signature;
use models::task::ct_quality::CtQuality;
use models::{ChestFindings, Volume};

use crate::codes::{
    COMMENT, CT, CT_UNSPECIFIED, Code, DEVICE, DEVICE_OBSERVER_MANUFACTURER, DEVICE_OBSERVER_MODEL,
    DEVICE_OBSERVER_NAME, DEVICE_OBSERVER_SERIAL, DEVICE_OBSERVER_UID, ENGLISH, FRAME_OF_REFERENCE_UID, IMAGE_LIBRARY,
    IMAGE_LIBRARY_GROUP, IMAGING_MEASUREMENT_REPORT, IMAGING_MEASUREMENTS, IMAGING_PROCEDURE, LANGUAGE, MG, MODALITY,
    OBSERVER_TYPE, PROCEDURE_REPORTED, QUALITATIVE_EVALUATIONS, US,
};
use crate::content::{Item, Part, Relation, Value};
use crate::dataset::{self, DataSet};
use crate::object::{
    Context, ObjectKind, QUALITY, SR, UTC, VIEWS, date_and_time, declare_own_codes, or_unknown, verification_flag,
};
use crate::provenance::{DEVICE_MODEL, MANUFACTURER};
use crate::secondary::Page;
use crate::seg::Written;
use crate::words::Language;
use crate::words::edits::of_findings;
use crate::{Error, Refused, ResultObject, evidence, groups, identity};

/// The report of a processed series, also if nothing was found or not everything was evaluated.
///
/// # Errors
/// When a value of the source does not fit into an object.
pub fn findings(
    context: &Context,
    findings: &ChestFindings,
    volume: &Volume,
    seg: Option<&Written>,
    pages: &[Page],
) -> Result<ResultObject, Error> {
    let edits = of_findings(findings, Language::English.words());
    let parts = groups::GroupParts { context, review: findings.review.as_ref(), edits: &edits, volume, seg, pages };
    let own: Vec<&ResultObject> = seg.map(|s| &s.object).into_iter().chain(pages.iter().map(|p| &p.object)).collect();
    let technique = std::iter::once(groups::technique(findings, volume));
    let said = groups::summary(context, findings).into_iter().chain(groups::lung_summary(findings));
    let said = technique.chain(said).chain(groups::impression(findings, volume));
    let root = head(context, CT_UNSPECIFIED)
        .with(image_library(context))
        .with(Item::container(IMAGING_MEASUREMENTS, None).with_all(groups::all(&parts, findings)))
        .with(evaluations(context, said));
    document(context, root, &own)
}

/// The report of a series that was not processed: which images, and why, in words.
///
/// # Errors
/// When a value of the source does not fit into an object.
pub fn refusal(context: &Context, reason: &Refused, page: &Page) -> Result<ResultObject, Error> {
    let group = groups::refusal(context, reason, page);
    let is_ultrasound = context.source.header.modality == "US";
    let root = head(context, if is_ultrasound { IMAGING_PROCEDURE } else { CT_UNSPECIFIED })
        .with(Item::container(IMAGING_MEASUREMENTS, None).with(group))
        .with(evaluations(context, []));
    document(context, root, &[&page.object])
}

/// The report about the image quality of a CT series.
///
/// # Errors
/// When a value of the source does not fit into an object.
pub fn quality(context: &Context, quality: &CtQuality) -> Result<ResultObject, Error> {
    let root = head(context, CT_UNSPECIFIED)
        .with(image_library(context))
        .with(Item::container(IMAGING_MEASUREMENTS, None).with(crate::quality::group(context, quality)))
        .with(evaluations(context, []));
    kept_as(QUALITY, context, root, &[])
}

/// The report about the views of a mammography; `groups` are its measurement groups, at least one. Its images lie in no frame of reference.
///
/// # Errors
/// When a value of the source does not fit into an object.
pub fn views(context: &Context, groups: Vec<Item>, own: &[&ResultObject]) -> Result<ResultObject, Error> {
    let images = context.source.instances.iter();
    let group = Item::container(IMAGE_LIBRARY_GROUP, None)
        .with(Item::code(Relation::HasAcqContext, MODALITY, MG))
        .with_all(images.map(|image| library_image(&image.sop_class_uid, &image.sop_instance_uid)));
    let root = head(context, IMAGING_PROCEDURE)
        .with(Item::container(IMAGE_LIBRARY, Some("1600")).with(group))
        .with(Item::container(IMAGING_MEASUREMENTS, None).with_all(groups))
        .with(evaluations(context, []));
    kept_as(VIEWS, context, root, own)
}

/// The report of an ultrasound exam; `lesions` are its measurement groups, at least one, and `images` our own.
///
/// # Errors
/// When a value does not fit into an object.
pub fn ultrasound(
    context: &Context,
    lesions: Vec<Item>,
    images: &[&ResultObject],
    modality: Code,
    procedure: Code,
    said: Vec<Item>,
) -> Result<ResultObject, Error> {
    // Pictures from a hand-held probe have no frame of reference.
    let group = Item::container(IMAGE_LIBRARY_GROUP, None)
        .with(Item::code(Relation::HasAcqContext, MODALITY, modality))
        .with_all(images.iter().map(|o| library_image(&o.sop_class_uid, &o.sop_uid)));
    let root = head(context, procedure)
        .with(Item::container(IMAGE_LIBRARY, Some("1600")).with(group))
        .with(Item::container(IMAGING_MEASUREMENTS, None).with_all(lesions))
        .with(evaluations(context, said));
    document(context, root, images)
}

/// The report of ultrasound images that a scanner sent; `lesions` are its measurement groups, at least one, `images` (SOP
/// class and instance) those that were looked at, `said` comments.
///
/// # Errors
/// When a value does not fit into an object.
pub fn stills<'a>(
    context: &Context,
    lesions: Vec<Item>,
    images: impl Iterator<Item = (&'a str, &'a str)>,
    own: &[&ResultObject],
    said: Vec<Item>,
) -> Result<ResultObject, Error> {
    let group = Item::container(IMAGE_LIBRARY_GROUP, None)
        .with(Item::code(Relation::HasAcqContext, MODALITY, US))
        .with_all(images.map(|(sop_class_uid, sop_uid)| library_image(sop_class_uid, sop_uid)));
    let root = head(context, IMAGING_PROCEDURE)
        .with(Item::container(IMAGE_LIBRARY, Some("1600")).with(group))
        .with(Item::container(IMAGING_MEASUREMENTS, None).with_all(lesions))
        .with(evaluations(context, said));
    document(context, root, own)
}

fn library_image(sop_class_uid: &str, sop_uid: &str) -> Item {
    let (sop_class_uid, sop_uid) = (sop_class_uid.to_owned(), sop_uid.to_owned());
    Item::nameless(Relation::Contains, Value::Image { sop_class_uid, sop_uid, part: Part::Whole })
}

/// The root with title, language, observer and procedure.
fn head(context: &Context, procedure: Code) -> Item {
    Item::container(IMAGING_MEASUREMENT_REPORT, Some("1500"))
        .with(language())
        .with_all(observer(context))
        .with(Item::code(Relation::HasConceptMod, PROCEDURE_REPORTED, procedure))
}

/// TID 1204.
pub fn language() -> Item {
    Item::code(Relation::HasConceptMod, LANGUAGE, ENGLISH)
}

/// This device (TID 1002).
pub fn observer(context: &Context) -> Vec<Item> {
    let p = context.provenance;
    let text = |name, value: &str| Item::text(Relation::HasObsContext, name, value);
    vec![
        Item::code(Relation::HasObsContext, OBSERVER_TYPE, DEVICE),
        Item::uid(Relation::HasObsContext, DEVICE_OBSERVER_UID, p.device_uid.as_str()),
        text(DEVICE_OBSERVER_NAME, or_unknown(&p.station_name)),
        text(DEVICE_OBSERVER_MANUFACTURER, MANUFACTURER),
        text(DEVICE_OBSERVER_MODEL, DEVICE_MODEL),
        text(DEVICE_OBSERVER_SERIAL, or_unknown(&p.serial_number)),
    ]
}

/// Every image that was analysed (TID 1600).
fn image_library(context: &Context) -> Item {
    let uid = identity::frame_of_reference_uid(context.source, context.uids);
    let mut seen = std::collections::HashSet::new();
    let images = context.source.instances.iter().filter(|i| seen.insert(&i.sop_instance_uid));
    let group = Item::container(IMAGE_LIBRARY_GROUP, None)
        .with(Item::code(Relation::HasAcqContext, MODALITY, CT))
        .with(Item::uid(Relation::HasAcqContext, FRAME_OF_REFERENCE_UID, uid))
        .with_all(images.map(|i| library_image(&i.sop_class_uid, &i.sop_instance_uid)));
    Item::container(IMAGE_LIBRARY, Some("1600")).with(group)
}

/// Qualitative evaluations without a region, the mark and the provenance, as text that every SR viewer shows.
fn evaluations(context: &Context, said: impl IntoIterator<Item = Item>) -> Item {
    let mark = context.provenance.mark().map(|m| Item::text(Relation::Contains, COMMENT, m));
    Item::container(QUALITATIVE_EVALUATIONS, None).with_all(said).with_all(mark).with(Item::text(
        Relation::Contains,
        COMMENT,
        context.provenance.line(),
    ))
}

fn document(context: &Context, root: Item, own: &[&ResultObject]) -> Result<ResultObject, Error> {
    kept_as(SR, context, root, own)
}

/// The report with this content. Its evidence are the source and `own`.
///
/// # Errors
/// When a value of the source does not fit into an object.
pub fn kept_as(kind: ObjectKind, context: &Context, root: Item, own: &[&ResultObject]) -> Result<ResultObject, Error> {
    let mut set = context.begin(kind, 0)?;
    set.sequence(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new());
    set.sequence(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new());
    set.text(tags::COMPLETION_FLAG, VR::CS, "COMPLETE");
    set.text(tags::VERIFICATION_FLAG, VR::CS, verification_flag(context.review));
    set.text(tags::PRELIMINARY_FLAG, VR::CS, if context.review.is_some() { "FINAL" } else { "PRELIMINARY" });
    if let Some(review) = context.review {
        signature(context, review, &mut set);
    }
    declare_own_codes(&mut set);
    evidence::sequence(context, own, &mut set);
    root.encode_root(&mut set);
    context.finish(kind, 0, set, 64 * 1024)
}

/// Who signed, and the report that this one takes the place of (PS3.3 section C.17.2).
fn signature(context: &Context, review: Signature<'_>, set: &mut DataSet) {
    let (date, time) = date_and_time(review.utc, UTC);
    let mut observer = DataSet::new();
    // Required to have a value, of 64 characters at most.
    let institution: String = or_unknown(&context.provenance.institution).chars().take(64).collect();
    match typed::encode(context.source.elements, &institution) {
        Some(bytes) => observer.bytes(tags::VERIFYING_ORGANIZATION, VR::LO, bytes),
        None => observer.text(tags::VERIFYING_ORGANIZATION, VR::LO, or_unknown("")),
    }
    observer.text(tags::VERIFICATION_DATE_TIME, VR::DT, &format!("{date}{time}+0000"));
    match typed::encode(context.source.elements, review.by) {
        Some(bytes) => observer.bytes(tags::VERIFYING_OBSERVER_NAME, VR::PN, bytes),
        None => observer.text(tags::VERIFYING_OBSERVER_NAME, VR::PN, review.by),
    }
    observer.sequence(tags::VERIFYING_OBSERVER_IDENTIFICATION_CODE_SEQUENCE, Vec::new());
    set.sequence(tags::VERIFYING_OBSERVER_SEQUENCE, vec![observer]);
    let before = review.predecessor;
    let mut series = DataSet::new();
    series.text(tags::SERIES_INSTANCE_UID, VR::UI, &before.series_uid);
    series.sequence(tags::REFERENCED_SOP_SEQUENCE, vec![dataset::reference(&before.sop_class, &before.sop_uid)]);
    let mut study = DataSet::new();
    study.sequence(tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
    study.text(tags::STUDY_INSTANCE_UID, VR::UI, &before.study_uid);
    set.sequence(tags::PREDECESSOR_DOCUMENTS_SEQUENCE, vec![study]);
}
