//! What the reports of a breast say.

use jiff::civil::date;
use models::findings::Side;
use models::lesion::followed::Earlier;
use models::review::edit::{Edit, Field, Values};
use models::review::marks::{Marked, Refused};
use models::review::{Decided, Decision, Document, Review};

use super::*;
use crate::stills::tests::stills;
use crate::stills::{NotRead, Unread};
use crate::words::breast::coverage;
use crate::{Content, NOT_FOR_DIAGNOSIS, testing};

/// Two lesions of the left breast, one of which is known.
fn known() -> Stills {
    let mut stills = stills();
    for image in &mut stills.images {
        image.side = Some(Side::Left);
    }
    let words = |words: &str| words.split(", ").map(str::to_owned).collect::<Vec<_>>();
    stills.lesions[0].lesion.descriptors =
        words("irregular, not parallel, not circumscribed, hypoechoic, posterior shadowing");
    stills.lesions[1].lesion.malignant = 0.1;
    stills.lesions[1].lesion.descriptors = words("oval, parallel, circumscribed, hypoechoic, no posterior features");
    let earlier = Earlier { date: date(2026, 2, 3), modality: "US".into(), axes_mm: vec![10.2, 7.9], gone: false };
    stills.followed = vec![(1, Followed { lesion: 41, earlier: Some(earlier) })];
    stills
}

fn written(stills: &Stills) -> Vec<ResultObject> {
    let case = testing::case(2);
    crate::write(&case.source(), Content::Stills { stills }, &case.provenance).unwrap()
}

fn holds(object: &ResultObject, text: &str) -> bool {
    object.part10.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn both_reports_name_the_lesion_of_the_list_with_its_earlier_size_and_day() {
    let objects = written(&known());
    for kind in ["sr", "breast-report"] {
        let report = objects.iter().find(|object| object.kind == kind).unwrap();
        assert!(holds(report, "esion 41 of the patient's list; 10.2 x 7.9 mm on 2026-02-03 (US)"), "{kind}");
    }
    let before = Stills { followed: Vec::new(), ..known() };
    assert_ne!(written(&before)[0].sop_uid, objects[0].sop_uid, "what is said of earlier exams is another report");
}

#[test]
fn the_breast_report_has_the_category_as_a_suggestion_with_its_source() {
    let objects = written(&known());
    let report = objects.iter().find(|object| object.kind == "breast-report").unwrap();
    assert_eq!(report.sop_class_uid, "1.2.840.10008.5.1.4.1.1.88.22");
    for text in [
        "Left breast",
        "4 - Suspicious",
        "3 - Probably Benign",
        "Suggested by software, assessed by nobody",
        "Stavros 1995",
        "Suggested category 4 (suspicious); because of: irregular, not parallel, not circumscribed, posterior shadowing",
        "Posterior shadowing",
        "111356",
        NOT_FOR_DIAGNOSIS,
    ] {
        assert!(holds(report, text), "{text}");
    }
}

#[test]
fn without_descriptors_or_with_lesions_that_are_not_listed_no_category_is_given() {
    let mut few = stills();
    for one in &mut few.lesions {
        one.lesion.descriptors = vec!["oval".to_owned(), "hypoechoic".to_owned()];
    }
    let objects = written(&few);
    let report = objects.iter().find(|object| object.kind == "breast-report").unwrap();
    assert!(holds(report, "No category suggested: orientation not known") && !holds(report, "Assessment Category"));
    let mut more = Stills { unread: Vec::new(), images: known().images, ..known() };
    more.images[1].frames = Some([120, 120]);
    more.lesions.remove(0);
    let overall = |stills: &Stills| Examination::of_stills(stills, &[]).overall();
    assert_eq!(overall(&more), Ok(Category::ProbablyBenign));
    more.more_lesions = 1;
    assert_eq!(overall(&more), Err(Withheld::SomeLesions));
    assert_eq!(
        overall(&Stills { more_lesions: 0, unread: known().unread, ..more.clone() }),
        Err(Withheld::SomePictures)
    );
    let refused = Marked {
        refused: Some(Refused { by: "Li Ming".into(), why: "of another package".into() }),
        ..more.marked.clone()
    };
    assert_eq!(overall(&Stills { more_lesions: 0, marked: refused, ..more.clone() }), Err(Withheld::Remarked));
    let mut clip = Stills { more_lesions: 0, ..more.clone() };
    clip.images[1].frames = Some([32, 120]);
    assert_eq!(overall(&clip), Err(Withheld::SomePictures), "88 frames were not looked at");
    assert_eq!(overall(&Stills { more_lesions: 0, seen_once: 1, ..more.clone() }), Err(Withheld::SomeLesions));
    assert_eq!(overall(&Stills { more_lesions: 1, ..known() }), Ok(Category::Suspicious));
    assert_eq!(overall(&Stills { lesions: Vec::new(), ..known() }), Err(Withheld::NoLesion));
}

/// The values of CID 6152, 6154 and 6155, which PixelMed does not know.
#[test]
fn codes_that_no_validator_checks_are_those_of_the_standard() {
    use models::task::us_breast::terms::{Echo, Orientation, Posterior};

    use crate::codes::{echo_code, orientation_code, posterior_code};

    let value = |code: crate::codes::Code| (code.scheme, code.value);
    let orientations: Vec<_> = Orientation::ALL.iter().map(|one| value(orientation_code(*one))).collect();
    assert_eq!(orientations, [("DCM", "111355"), ("DCM", "111356")]);
    let echoes: Vec<_> = Echo::ALL.iter().map(|one| echo_code(*one).map(value)).collect();
    assert_eq!(echoes, [Some(("DCM", "111361")), Some(("DCM", "111364")), None]);
    let posterior: Vec<_> = Posterior::ALL.iter().map(|one| value(posterior_code(*one))).collect();
    assert_eq!(posterior, [("DCM", "111367"), ("DCM", "111368"), ("DCM", "111369")]);
}

#[test]
fn without_a_side_findings_are_told_in_words_only() {
    let mut stills = known();
    stills.images[1].side = None;
    let objects = written(&stills);
    let report = objects.iter().find(|object| object.kind == "breast-report").unwrap();
    assert!(!holds(report, "Supplementary Data") && holds(report, "Breast, side not known"));
}

#[test]
fn an_image_that_has_two_reasons_counts_once_and_what_one_frame_shows_is_told() {
    let mut stills = Stills { seen_once: 2, ..known() };
    let again = Unread { why: NotRead::NoSector, ..stills.unread[1].clone() };
    stills.unread.push(again);
    let exam = Examination::of_stills(&stills, &[]);
    assert!(matches!(exam.looked, Looked::Stored { unread: 2, once: 2, .. }), "{:?}", exam.looked);
    for language in Language::ALL {
        let w = language.words();
        assert!(exam.looked(w).contains(&w.seen_once(2)));
    }
    assert!(stills.verdict().contains("only one frame of a clip shows it: 2 places"), "{}", stills.verdict());
}

#[test]
fn every_language_says_the_same_of_a_lesion() {
    let stills = known();
    let exam = Examination::of_stills(&stills, &[]);
    let said = |language: Language| {
        let w = language.words();
        let mut all: Vec<String> = exam.lesions.iter().flat_map(|one| lines(one, w)).collect();
        all.extend(exam.comparison(w));
        all.extend(exam.looked(w));
        all.push(exam.impression(w));
        all
    };
    let english = said(Language::English);
    assert_eq!(english[0], "Left breast; image 1; 12.3 x 8.1 mm");
    for language in Language::ALL {
        let all = said(*language);
        assert_eq!(all.len(), english.len());
        for (own, original) in all.iter().zip(&english) {
            let digits = |text: &str| {
                let mut digits: Vec<char> = text.chars().filter(char::is_ascii_digit).collect();
                digits.sort_unstable();
                digits
            };
            assert_eq!(digits(own), digits(original), "{own}: {original}");
        }
    }
}

#[test]
fn an_exam_that_nobody_looked_at_or_that_was_cut_short_says_so() {
    let exam = |is_looked_at, is_whole| Examination {
        looked: Looked::Recorded { clips: 1, pictures: 1, course: Course { is_looked_at, is_whole } },
        lesions: Vec::new(),
        remark: None,
        marked: None,
        coverage: Coverage::default(),
    };
    for language in Language::ALL {
        let w = language.words();
        let said = exam(false, true).impression(w);
        assert!(said.contains(&capital(w.breast().not_evaluated)), "{said}");
        let nothing = exam(true, true).impression(w);
        assert!(!nothing.contains(w.breast().not_evaluated) && nothing != said, "{nothing}");
        assert!(exam(true, false).looked(w).contains(&w.breast().cut_short.to_owned()));
        assert_eq!(exam(true, true).looked(w).len(), 1);
    }
}

#[test]
fn what_was_swept_too_fast_or_not_at_all_is_told_as_an_estimate_in_every_language() {
    use models::task::us_breast::scan::coverage::Quality;
    use models::task::us_breast::scan::probe::{Probe, Spot};
    let probe = |spot| Probe { spot: Spot::named(spot).unwrap(), plane: None };
    let mut covered = Coverage::default();
    covered.add(Side::Left, probe("3-inner"), 4.0, Quality::Good(10.0));
    covered.add(Side::Left, probe("4-outer"), 4.0, Quality::TooFast);
    for (language, words) in Language::ALL.iter().zip([
        [
            "Left breast: 1 of 38 places looked at",
            "swept too fast: 4 o'clock outer ring",
            "not swept: 36 places",
            "estimate",
        ],
        ["左侧乳腺：共 38 个部位，已扫查 1 个", "扫查过快：4 点外环", "未扫查：36 个部位", "估计"],
    ]) {
        let w = language.words();
        let said = coverage(&covered, w).join("\n");
        words.iter().for_each(|word| assert!(said.contains(word), "{word}: {said}"));
        assert!(coverage(&Coverage::default(), w).is_empty(), "nobody said where the probe was");
    }
}

/// A person decides about lesions, not about categories: what says them stays a draft, and says who took out what.
#[test]
fn a_review_signs_no_category_and_is_told_where_the_category_is() {
    let mut stills = Stills { unread: Vec::new(), ..known() };
    stills.list("us-breast 0.3.0 ab".into());
    let report =
        Document { study_uid: "1.2".into(), series_uid: "1.3".into(), sop_class: "1.4".into(), sop_uid: "1.5".into() };
    let decisions = stills.marked.listed.iter().map(|one| {
        let decision = if one.id == "lesion-1" { Decision::Rejected } else { Decision::Accepted };
        Decided { listed: one.clone(), decision, comment: String::new(), edit: None }
    });
    stills.marked.review = Some(Review {
        by: "Li Ming".into(),
        utc: "2026-11-30T08:00:00.000Z".into(),
        package: "us-breast 0.3.0 ab".into(),
        decisions: decisions.collect(),
        predecessor: report,
    });
    let before = written(&known());
    stills.take_out();
    let objects = written(&stills);
    let of = |kind: &str| objects.iter().find(|object| object.kind == kind).unwrap();
    assert!(holds(of("sr"), "Li Ming") && !holds(of("sr"), "UNVERIFIED"));
    for kind in ["breast-report", "pdf"] {
        assert!(holds(of(kind), "UNVERIFIED"), "{kind}");
    }
    assert!(holds(of("breast-report"), "reviewed by Li Ming, 2026-11-30 UTC: 1 accepted, 1 rejected"));
    assert!(!holds(of("breast-report"), "Overall Assessment"), "the rejected one was the gravest");
    for one in &objects {
        assert!(before.iter().all(|other| other.sop_uid != one.sop_uid), "{}", one.kind);
    }
}

/// Promise: a size and a descriptor that a person gave are marked as a person's, and nothing else is.
#[test]
fn what_a_person_gave_is_marked_as_chosen_in_the_breast_report() {
    let mut stills = Stills { unread: Vec::new(), ..known() };
    stills.list("us-breast 0.3.0 ab".into());
    let given = [(Field::LongMm, "18.0"), (Field::ShortMm, "9.0"), (Field::Shape, "round")];
    let values: Values = given.into_iter().map(|(field, value)| (field, value.to_owned())).collect();
    let decisions = stills.marked.listed.iter().map(|one| {
        let edit = (one.id == "lesion-1").then(|| Edit { by: "Li Ming".into(), values: values.clone() });
        let decision = if edit.is_some() { Decision::Edited } else { Decision::Accepted };
        Decided { listed: one.clone(), decision, comment: String::new(), edit }
    });
    let predecessor =
        Document { study_uid: "1.2".into(), series_uid: "1.3".into(), sop_class: "1.4".into(), sop_uid: "1.5".into() };
    stills.marked.review = Some(Review {
        by: "Li Ming".into(),
        utc: "2026-11-30T08:00:00.000Z".into(),
        package: "us-breast 0.3.0 ab".into(),
        decisions: decisions.collect(),
        predecessor,
    });
    stills.take_out();
    let chosen = |stills: &Stills| {
        let objects = written(stills);
        let report = objects.iter().find(|object| object.kind == "breast-report").unwrap();
        report.part10.windows(11).filter(|window| *window == b"User chosen").count()
    };
    assert_eq!((chosen(&known()), chosen(&stills)), (0, 3));
}
