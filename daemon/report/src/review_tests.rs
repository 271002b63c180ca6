//! What a review makes of a result: what was rejected is nowhere, what was accepted is as it was, and who signed is named.

use std::collections::BTreeSet;
use std::io::Cursor;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::mem::InMemDicomObject;
use models::findings::{ChestFinding, Evaluated, Mask, PartlySeen};
use models::review::{self, Decided, Decision, Document, Listed, Review};
use models::{ChestFindings, Reason};
use proptest::prelude::*;

use crate::regions::{self, Subject};
use crate::testing::{self, Case};
use crate::words::{self, FindingState, Language};
use crate::{Content, ResultObject, write};

pub(crate) const PACKAGE: &str = "ct-chest-nodules 0.1.0 ab";

pub(crate) fn document() -> Document {
    Document {
        study_uid: "1.2.3.4".into(),
        series_uid: "2.25.8".into(),
        sop_class: "1.2.8".into(),
        sop_uid: "2.25.9".into(),
    }
}

/// Signed by this person: what `rejects` says is rejected.
fn signed(findings: &ChestFindings, by: &str, rejects: impl Fn(&Listed) -> bool) -> Review {
    let decide = |listed: Listed| Decided {
        decision: if rejects(&listed) { Decision::Rejected } else { Decision::Accepted },
        comment: if listed.id == "nodule-1" { "known since 2019".into() } else { String::new() },
        listed,
        edit: None,
    };
    Review {
        by: by.into(),
        utc: "2026-11-28T21:30:00.000Z".into(),
        package: PACKAGE.into(),
        decisions: review::list(findings).into_iter().map(decide).collect(),
        predecessor: document(),
    }
}

pub(crate) fn objects(case: &Case) -> Vec<ResultObject> {
    let content = Content::Findings { findings: &case.findings, volume: &case.volume, quality: None };
    write(&case.source(), content, &case.provenance).unwrap()
}

pub(crate) fn open(object: &ResultObject) -> InMemDicomObject {
    dicom_object::from_reader(Cursor::new(&object.part10)).unwrap().into_inner()
}

pub(crate) fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.get(tag).map(|e| e.to_str().unwrap().trim_end_matches(['\0', ' ']).to_owned()).unwrap_or_default()
}

pub(crate) fn items(object: &InMemDicomObject, tag: Tag) -> Vec<InMemDicomObject> {
    object.get(tag).and_then(|e| e.items().map(<[_]>::to_vec)).unwrap_or_default()
}

/// Every text and UID of the content of a report.
pub(crate) fn said(object: &InMemDicomObject) -> Vec<String> {
    let own = [tags::TEXT_VALUE, tags::UID].map(|tag| text(object, tag));
    own.into_iter().chain(items(object, tags::CONTENT_SEQUENCE).iter().flat_map(said)).collect()
}

pub(crate) fn report(case: &Case) -> InMemDicomObject {
    open(objects(case).iter().find(|object| object.kind == "sr").unwrap())
}

pub(crate) fn segments(objects: &[ResultObject]) -> BTreeSet<String> {
    let seg = objects.iter().find(|object| object.kind == "seg").map(open);
    seg.iter().flat_map(|seg| items(seg, tags::SEGMENT_SEQUENCE)).map(|one| text(&one, tags::SEGMENT_LABEL)).collect()
}

/// What reports call the regions of a finding that is listed.
fn labels(findings: &ChestFindings, listed: &Listed) -> Vec<String> {
    let own = |subject: Subject| match (listed.id.as_str(), subject) {
        (review::GROUND_GLASS, Subject::GroundGlass) | (review::CONSOLIDATION, Subject::Consolidation) => true,
        (_, Subject::GroundGlass | Subject::Consolidation) => false,
        (id, Subject::Nodule(number) | Subject::Mass(number)) => id == format!("nodule-{number}"),
        (_, Subject::Instance(finding, number)) => finding == listed.finding && Some(number) == listed.number,
        (_, subject) => subject.finding() == Some(listed.finding),
    };
    regions::all(findings).iter().map(|one| one.subject).filter(|one| own(*one)).map(Subject::label).collect()
}

fn masks(findings: &ChestFindings) -> Vec<(String, Mask)> {
    regions::masks(findings).into_iter().map(|(label, mask)| (label, mask.clone())).collect()
}

/// What pages and documents say of each finding, and the impression.
fn words_of(case: &Case) -> String {
    let lines = words::lines(&case.findings, Language::English).into_iter().map(|line| line.text);
    let impression = words::impression(&case.findings, &case.volume, Language::English).into_iter().map(|one| one.text);
    lines.chain(impression).collect::<Vec<_>>().join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn what_is_rejected_is_in_no_mask_no_count_and_no_word_and_what_is_accepted_is_as_it_was(
        choice in proptest::collection::vec(any::<bool>(), 16)
    ) {
        let before = testing::case(9);
        let all = review::list(&before.findings);
        prop_assert_eq!(all.len(), 13, "{:?}", all);
        let is_rejected = |one: &Listed| all.iter().position(|other| other.id == one.id).is_some_and(|at| choice[at]);
        let mut after = testing::case(9);
        let review = signed(&before.findings, "Li Ming", is_rejected);
        review::apply(&mut after.findings, Some(&review), PACKAGE, true);
        prop_assert!(after.findings.review.is_some());
        prop_assert_eq!(&after.findings.listed, &all, "the list names what was rejected, too");

        let (old, new) = (masks(&before.findings), masks(&after.findings));
        let (made, report) = (objects(&after), report(&after));
        let (segments, texts) = (segments(&made), said(&report));
        for one in &all {
            for label in labels(&before.findings, one) {
                let of = |all: &[(String, Mask)]| -> Vec<Mask> {
                    all.iter().filter(|(own, _)| *own == label).map(|(_, mask)| mask.clone()).collect()
                };
                let kept = !is_rejected(one);
                prop_assert_eq!(of(&new), if kept { of(&old) } else { Vec::new() }, "{}", label);
                prop_assert_eq!(segments.contains(&label), kept, "{}", label);
                prop_assert_eq!(texts.contains(&label), kept, "{}", label);
            }
        }
        for finding in ChestFinding::ALL {
            let own = || all.iter().filter(|one| one.finding == finding);
            let left = own().filter(|one| !is_rejected(one)).count();
            let line = words::line(&after.findings, finding, Language::English);
            prop_assert_eq!(line.state == FindingState::Found, left > 0, "{:?}", line);
            if let Some(count) = after.findings.figure(finding).and_then(|figure| figure.count)
                && finding != ChestFinding::Pneumonia
                && finding != ChestFinding::CoronaryCalcification
            {
                prop_assert_eq!(count, left, "{:?}", finding);
            }
            if left == own().count() {
                prop_assert_eq!(line.text, words::line(&before.findings, finding, Language::English).text);
            }
        }
        let rejected = all.iter().filter(|one| is_rejected(one)).count();
        let remark = format!("{rejected} of 13 findings were rejected on review by Li Ming and are left out");
        prop_assert_eq!(texts.iter().any(|text| text.contains(&remark)), rejected > 0);
        if choice[..3].iter().all(|rejected| *rejected) {
            prop_assert!(!words_of(&after).contains("nodule"), "{}", words_of(&after));
            prop_assert!(!texts.iter().any(|text| text.contains("Lung-RADS") || text.contains("Fleischner")));
        }
    }
}

fn reviewed(by: &str, rejects: &str) -> Case {
    let mut case = testing::case(9);
    let review = signed(&case.findings, by, |one| one.id == rejects);
    review::apply(&mut case.findings, Some(&review), PACKAGE, true);
    case
}

#[test]
fn a_signed_report_names_who_signed_and_the_report_before_it() {
    let li = "\u{674e}\u{660e}";
    let case = reviewed(li, "nodule-2");
    let report = report(&case);
    assert_eq!(text(&report, tags::VERIFICATION_FLAG), "VERIFIED");
    assert_eq!(text(&report, tags::PRELIMINARY_FLAG), "FINAL");
    let observer = items(&report, tags::VERIFYING_OBSERVER_SEQUENCE).remove(0);
    // In the character set of the source, GB18030.
    assert_eq!(text(&observer, tags::VERIFYING_OBSERVER_NAME), li);
    assert_eq!(text(&observer, tags::VERIFYING_ORGANIZATION), "Test clinic");
    assert_eq!(text(&observer, tags::VERIFICATION_DATE_TIME), "20261128213000.000+0000");
    let study = items(&report, tags::PREDECESSOR_DOCUMENTS_SEQUENCE).remove(0);
    let series = items(&study, tags::REFERENCED_SERIES_SEQUENCE).remove(0);
    let instance = items(&series, tags::REFERENCED_SOP_SEQUENCE).remove(0);
    let named = [
        text(&study, tags::STUDY_INSTANCE_UID),
        text(&series, tags::SERIES_INSTANCE_UID),
        text(&instance, tags::REFERENCED_SOP_CLASS_UID),
        text(&instance, tags::REFERENCED_SOP_INSTANCE_UID),
    ];
    assert_eq!(named, ["1.2.3.4", "2.25.8", "1.2.8", "2.25.9"]);
    let texts = said(&report);
    assert!(texts.iter().any(|text| text == "known since 2019"), "the comment on an accepted finding");
    assert!(texts.iter().any(|text| *text == format!("Reviewed by {li}, 2026-11-28 UTC")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains(&format!("rejected on review by {li}"))), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains(crate::NOT_FOR_DIAGNOSIS)), "a signature clears no package");

    let mut nowhere = reviewed(li, "nodule-2");
    nowhere.provenance.institution.clear();
    let observer = items(&self::report(&nowhere), tags::VERIFYING_OBSERVER_SEQUENCE).remove(0);
    assert_eq!(text(&observer, tags::VERIFYING_ORGANIZATION), "unknown", "it must have a value");

    let plain = self::report(&testing::case(9));
    assert_eq!(text(&plain, tags::VERIFICATION_FLAG), "UNVERIFIED");
    assert_eq!(text(&plain, tags::PRELIMINARY_FLAG), "PRELIMINARY");
    let none = [tags::PREDECESSOR_DOCUMENTS_SEQUENCE, tags::VERIFYING_OBSERVER_SEQUENCE];
    assert!(none.iter().all(|tag| plain.get(*tag).is_none()));
}

#[test]
fn every_object_of_a_review_is_another_one_and_what_is_tracked_stays_the_same() {
    let plain = testing::case(9);
    let [one, other] = [("Li Ming", "nodule-2"), ("Wang Fang", "nodule-2")].map(|(by, rejects)| reviewed(by, rejects));
    let mut seen = BTreeSet::new();
    for case in [&plain, &one, &other] {
        for object in objects(case) {
            assert_eq!(object.study_uid, "1.2.3.4");
            assert!(seen.insert(object.sop_uid), "{}", object.kind);
        }
    }
    let again: Vec<String> = objects(&one).into_iter().map(|object| object.sop_uid).collect();
    assert!(again.iter().all(|uid| seen.contains(uid)), "the same review makes the same objects");
    let tracked = |case: &Case| -> BTreeSet<String> {
        said(&report(case)).into_iter().filter(|text| text.starts_with("2.25.")).collect()
    };
    let (before, after) = (tracked(&plain), tracked(&one));
    assert!(after.len() > 20 && after.is_subset(&before), "tracking UIDs last from version to version");
}

#[test]
fn pages_and_documents_say_by_whom_and_when_and_keep_the_mark() {
    let case = reviewed("Li Ming", "nodule-2");
    let english = words::reviewed(&case.findings, Language::English);
    assert_eq!(english.as_deref(), Some("reviewed by Li Ming, 2026-11-28 UTC"));
    assert!(words::reviewed(&case.findings, Language::Chinese).unwrap().contains("Li Ming"));
    assert_eq!(words::reviewed(&testing::case(9).findings, Language::English), None);
    let made = objects(&case);
    let pdf: Vec<InMemDicomObject> = made.iter().filter(|object| object.kind == "pdf").map(open).collect();
    assert_eq!(text(&pdf[0], tags::DOCUMENT_TITLE), "Chest CT AI findings (reviewed)");
    assert_eq!(text(&pdf[0], tags::VERIFICATION_FLAG), "VERIFIED");
    assert_eq!(text(&pdf[0], tags::SERIES_DESCRIPTION), "Scanside report, reviewed - NOT FOR DIAGNOSIS");
    let overview = |case: &Case| {
        crate::key_images(&case.findings, &case.volume, &case.provenance, Language::English).remove(0).rgb
    };
    assert_ne!(overview(&case), overview(&reviewed("Wang Fang", "nodule-2")), "the name is on the overview");
}

#[test]
fn a_review_of_other_findings_is_not_applied_and_the_result_says_why() {
    let signed_for = |change: &dyn Fn(&mut Review, &mut ChestFindings), can_be_written: bool, why: &str| {
        let mut case = testing::case(9);
        let mut review = signed(&case.findings, "Li Ming", |one| one.id == "nodule-2");
        change(&mut review, &mut case.findings);
        let before = masks(&case.findings);
        review::apply(&mut case.findings, Some(&review), PACKAGE, can_be_written);
        assert_eq!(masks(&case.findings), before, "{why}: nothing is taken out");
        assert!(case.findings.review.is_none(), "{why}");
        let report = report(&case);
        assert_eq!(text(&report, tags::VERIFICATION_FLAG), "UNVERIFIED", "{why}");
        let remark = format!("the review by Li Ming was not applied, because {why}");
        assert!(said(&report).iter().any(|text| text.contains(&remark)), "{remark}: {:?}", said(&report));
        let plain: BTreeSet<String> = objects(&testing::case(9)).into_iter().map(|object| object.sop_uid).collect();
        assert!(objects(&case).iter().all(|object| !plain.contains(&object.sop_uid)), "it has other words");
    };
    fn nodules(findings: &mut ChestFindings) -> &mut Vec<models::findings::Nodule> {
        let Evaluated::Done(all) = &mut findings.nodules else { panic!("there are some") };
        all
    }
    signed_for(&|review, _| review.package = "other 2".into(), true, "another model package is used now");
    signed_for(&|_, _| (), false, "the name cannot be written in the character set of the images");
    signed_for(
        &|_, findings| {
            nodules(findings).pop();
        },
        true,
        "nodule-3 is not found any more, or is found elsewhere",
    );
    // Two nodules whose order has changed: the decisions would reach the wrong ones.
    signed_for(
        &|_, findings| {
            let all = nodules(findings);
            all.swap(0, 1);
            (all[0].number, all[1].number) = (1, 2);
        },
        true,
        "nodule-1 is not found any more, or is found elsewhere",
    );
    signed_for(
        &|review, _| {
            review.decisions.remove(0);
        },
        true,
        "nodule-1 is found now and was not decided about",
    );
}

#[test]
fn what_is_rejected_in_an_organ_that_was_not_seen_whole_is_not_called_absent() {
    let mut case = testing::case(9);
    let part = PartlySeen { finding: ChestFinding::PleuralEffusion, reason: Reason::BaseCut };
    case.findings.partly_seen.push(part);
    let review = signed(&case.findings, "Li Ming", |one| one.finding == ChestFinding::PleuralEffusion);
    review::apply(&mut case.findings, Some(&review), PACKAGE, true);
    let why = case.findings.refusal(ChestFinding::PleuralEffusion).map(|why| why.reason.clone());
    assert_eq!(why, Some(Reason::BaseCut));
}

/// A voxel that is both counts as consolidation; without it, it is ground glass.
#[test]
fn shares_are_counted_again_when_one_of_two_overlapping_opacities_is_rejected() {
    let mut case = testing::case(9);
    let Evaluated::Done(pneumonia) = &mut case.findings.pneumonia else { panic!("there is pneumonia") };
    let both = pneumonia.ground_glass[0].clone();
    pneumonia.consolidation = vec![both];
    pneumonia.extents.iter_mut().for_each(|extent| extent.ground_glass_percent = 0.0);
    let review = signed(&case.findings, "Li Ming", |one| one.id == "consolidation");
    review::apply(&mut case.findings, Some(&review), PACKAGE, true);
    let Evaluated::Done(pneumonia) = &case.findings.pneumonia else { panic!("the other one stays") };
    assert!(pneumonia.consolidation.is_empty() && !pneumonia.ground_glass.is_empty());
    let most = pneumonia.extents.iter().map(|extent| extent.ground_glass_percent).fold(0.0, f64::max);
    assert!(most > 0.0, "{:?}", pneumonia.extents);
}

#[test]
fn a_share_or_score_that_is_rejected_is_not_zero_but_not_known() {
    let mut case = testing::case(9);
    let review =
        signed(&case.findings, "Li Ming", |one| matches!(one.id.as_str(), "emphysema" | "coronary-calcification"));
    review::apply(&mut case.findings, Some(&review), PACKAGE, true);
    for finding in [ChestFinding::Emphysema, ChestFinding::CoronaryCalcification] {
        let line = words::line(&case.findings, finding, Language::English);
        assert_eq!((line.state, line.text.as_str()), (FindingState::NotEvaluated, "rejected on review by Li Ming"));
    }
    let Evaluated::Done(lungs) = &case.findings.lungs else { panic!("there are lungs") };
    assert!(lungs.iter().all(|lung| lung.laa950_percent.is_none()), "the same voxels in another number");
}
