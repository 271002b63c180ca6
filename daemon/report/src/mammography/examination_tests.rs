//! What the breast imaging report and the document of a mammography say, and what they never say.

use models::review::edit::{Edit, Field, Values};
use models::review::marks::{ListedMark, Refused};
use models::review::{Decided, Document, Review};
use models::task::mammography_views::{PartFound, Section, ViewInParts};
use models::task::mg_breast::{Category, Reading, Side};

use super::super::tests::{marked, read_view};
use super::*;
use crate::views::marks::{listed, take_out};
use crate::words::Language;
use crate::{Content, NOT_FOR_DIAGNOSIS, ResultObject, testing};

/// The right CC with a density and the left MLO with an implant; no network was asked.
fn unmarked() -> Mammography {
    let mut study = Mammography { before: Before::On("20240203".into()), ..marked() };
    study.views.marks = None;
    study.views.pictures[1].remarks = vec![Remark::Implant];
    if let Ok(reading) = &mut study.views.pictures[0].read {
        reading.density = Some(Density { percent: 12.4, category: Category::B });
    }
    study
}

fn written(study: &Mammography) -> Vec<ResultObject> {
    let case = testing::case(2);
    crate::write(&case.source(), Content::Views { views: study }, &case.provenance).unwrap()
}

fn breast_report(study: &Mammography) -> ResultObject {
    written(study).into_iter().find(|object| object.kind == "breast-report").unwrap()
}

fn holds(object: &ResultObject, text: &str) -> bool {
    object.part10.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn with_marks_off_nothing_was_evaluated_and_no_finding_nor_category_is_coded() {
    let study = unmarked();
    let exam = Examination::new(&study);
    for language in Language::ALL {
        let (w, fixed) = (language.words(), language.words().mammograms());
        assert_eq!(exam.findings(w), [fixed.marks_off]);
        assert_eq!(exam.impression(w), [fixed.not_evaluated, fixed.incomplete, fixed.no_category]);
    }
    let report = breast_report(&study);
    for text in ["Lesions were not evaluated", "No category is suggested", "Digital Mammography", NOT_FOR_DIAGNOSIS] {
        assert!(holds(&report, text), "{text}");
    }
    for text in ["Assessment Category", "Overall Assessment", "learnt from phantoms only and says", "Long Axis"] {
        assert!(!holds(&report, text), "{text}");
    }
}

#[test]
fn marks_are_findings_of_the_report_with_who_made_them_and_still_no_category() {
    let report = breast_report(&marked());
    for text in
        ["Marked by a network that learnt from phantoms only", "Mammographic breast mass", "MARKED", "99SCANSIDE"]
    {
        assert!(holds(&report, text), "{text}");
    }
    assert!(!holds(&report, "Assessment Category") && holds(&report, "No category is suggested"));
    let mut withheld = marked();
    withheld.views.marks.as_mut().unwrap().views.clear();
    let report = breast_report(&withheld);
    assert!(holds(&report, "Lesions were not evaluated.") && !holds(&report, "MARKED"));
}

/// The marks with the second one edited, and the first one accepted.
fn edited() -> Mammography {
    let mut study = marked();
    let marks = study.views.marks.as_mut().unwrap();
    study.marked = listed(marks, "mg-breast 1 ab".into(), String::new());
    let values = [(Field::Kind, "distortion"), (Field::LongMm, "21.5"), (Field::ShortMm, "12.5")];
    let values: Values = values.into_iter().map(|(field, value)| (field, value.to_owned())).collect();
    let decide = |listed: &ListedMark| {
        let edit = (listed.id == "mark-2").then(|| Edit { by: "Li Ming".into(), values: values.clone() });
        let decision = if edit.is_some() { Decision::Edited } else { Decision::Accepted };
        Decided { listed: listed.clone(), decision, comment: String::new(), edit }
    };
    let review = Review {
        by: "Wang Fang".into(),
        utc: "2026-11-30T08:00:00.000Z".into(),
        package: "mg-breast 1 ab".into(),
        decisions: study.marked.listed.iter().map(decide).collect(),
        predecessor: Document {
            study_uid: "1.2".into(),
            series_uid: "1.3".into(),
            sop_class: "1.4".into(),
            sop_uid: "1.5".into(),
        },
    };
    study.marked.judge(Some(&review), true);
    take_out(marks, &mut study.marked);
    study
}

#[test]
fn an_edited_mark_is_counted_and_told_with_both_values_and_is_not_the_network_s_alone() {
    let study = edited();
    let exam = Examination::new(&study);
    for (language, counted, parts) in [
        (
            Language::English,
            "1 accepted, 1 edited, 0 rejected",
            ["Mark 2 edited by Li Ming", "(was: calcifications)", "21.5 mm (was: 14.2 mm)", "withheld"],
        ),
        (
            Language::Chinese,
            "接受 1 处，修改 1 处，否定 0 处",
            ["标记 2 已由 Li Ming 修改", "原为：", "21.5 mm（原为：14.2 mm）", "不再给出"],
        ),
    ] {
        let w = language.words();
        let reviewed = exam.reviewed(w).unwrap();
        assert!(reviewed.contains(counted), "{reviewed}");
        let findings = exam.findings(w).join("\n");
        assert!(parts.iter().all(|part| findings.contains(part)), "{findings}");
    }
    let (report, plain) = (breast_report(&study), breast_report(&marked()));
    for text in ["MARKEDEDITED", "User chosen value", "Mark 2 edited by Li Ming", "1 edited"] {
        assert!(holds(&report, text) && !holds(&plain, text), "{text}");
    }
    assert!(holds(&report, "Marked by a network that learnt from phantoms only"), "the other mark");
}

#[test]
fn density_is_told_of_each_view_with_its_caution_or_why_there_is_none_and_its_letter_has_no_code() {
    let study = unmarked();
    let said = Examination::new(&study).composition(Language::English.words());
    let [right, left, caution] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!(right, "Right CC: dense part 12 % (category B estimated from it)");
    assert_eq!(left, "Left MLO: density not measured: the header says that there is an implant");
    assert!(caution.contains("not validated"));
    let objects = written(&study);
    let of = |kind: &str| objects.iter().find(|object| object.kind == kind).unwrap();
    for text in ["Percent Fibroglandular Tissue", "Measured by software, not validated", "cranio-caudal"] {
        assert!(holds(of("sr"), text), "{text}");
    }
    for text in ["dense part 12 %", "Implant type", "Said by the header"] {
        assert!(holds(of("breast-report"), text), "{text}");
    }
    // The codes of CID 6000.
    for code in ["129716005", "129717001", "129718006", "129719003"] {
        assert!(objects.iter().all(|object| !holds(object, code)), "{code}");
    }
}

#[test]
fn a_view_in_parts_is_named_and_nothing_is_measured_in_a_part() {
    let mut study = unmarked();
    let (mut part, _) = read_view(StandardView::RightMlo, "1.2.3.2", Side::Right);
    part.part = Some(vec![Section::Superior]);
    part.remarks = vec![Remark::Partial];
    part.read = part.read.map(|reading| {
        Reading { density: Some(Density { percent: 40.0, category: Category::C }), ..reading }.of_part()
    });
    study.views.pictures.push(part);
    study.views.missing = vec![StandardView::LeftCc];
    let parts = vec![PartFound { sop_instance_uid: "1.2.3.2".into(), sections: vec![Section::Superior] }];
    study.views.in_parts = vec![ViewInParts { view: StandardView::RightMlo, parts }];
    let exam = Examination::new(&study);
    let w = Language::English.words();
    assert_eq!(exam.views(w)[1], "right MLO is there in parts only (1 image: superior)");
    let [name, said] = exam.pictures(w).pop().unwrap();
    assert_eq!(name, "right MLO, a part (superior)");
    assert_eq!(said, "outline seen, the header says that only a part of the view is shown");
    assert!(exam.densities().all(|(found, _)| found.view != StandardView::RightMlo));
    let report = breast_report(&study);
    assert!(!holds(&report, "40 %") && holds(&report, "in parts only"));
}

#[test]
fn the_mammography_before_is_named_and_not_compared_and_who_reviewed_is_told() {
    let said = |before: Before| {
        let study = Mammography { before, ..unmarked() };
        Examination::new(&study).comparison(Language::English.words())
    };
    assert!(said(Before::On("20240203".into()))[0].starts_with("A mammography of 2024-02-03 is on this box."));
    assert_eq!(said(Before::Nothing), ["No earlier mammography of this person is on this box."]);
    assert!(said(Before::Unknown)[0].ends_with("was not looked up, or it is not certain whose they are."));
    let uid = |before| breast_report(&Mammography { before, ..unmarked() }).sop_uid;
    assert_ne!(uid(Before::Nothing), uid(Before::Unknown), "what is said otherwise is another object");
    let mut study = marked();
    study.marked.refused = Some(Refused { by: "Li Ming".into(), why: "of another package".into() });
    assert!(holds(&breast_report(&study), "the review by Li Ming was not applied, because of another package"));
}

#[test]
fn every_language_says_the_same_of_a_mammography() {
    let digits = |text: &str| {
        let mut digits: Vec<char> = text.chars().filter(char::is_ascii_digit).collect();
        digits.sort_unstable();
        digits
    };
    for study in [unmarked(), marked(), edited()] {
        let exam = Examination::new(&study);
        let said = |language: Language| {
            let w = language.words();
            let pictures = exam.pictures(w).concat();
            [exam.views(w), pictures, exam.composition(w), exam.findings(w), exam.comparison(w), exam.impression(w)]
                .concat()
        };
        let english = said(Language::English);
        for language in Language::ALL {
            let all = said(*language);
            assert_eq!(all.len(), english.len());
            for (own, original) in all.iter().zip(&english) {
                assert_eq!(digits(own), digits(original), "{own}: {original}");
            }
        }
    }
}
