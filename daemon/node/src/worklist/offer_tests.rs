//! What a scanner that asks is told, without a network.

use std::sync::Arc;

use custody::instance::Origin;
use dicom::patient::Patient;
use dicom::request::Request;
use dicom::scan::Besides;
use proptest::prelude::*;

use super::*;
use crate::elements::Writer;
use crate::expected::List;
use crate::message::Command;
use crate::status;
use crate::worklist::query::Query;

fn scheduled(id: &str, name: &str, date: &str, time: &str, modality: &str) -> Scheduled {
    Scheduled {
        patient: Patient {
            id: id.into(),
            name: name.into(),
            birth_date: "19700131".into(),
            accession_number: format!("A-{id}"),
        },
        study_uid: format!("1.2.3.{}", id.len()),
        date: date.into(),
        time: time.into(),
        modality: modality.into(),
        description: "breast, both".into(),
        ..Scheduled::default()
    }
}

fn whole(bytes: Vec<u8>, syntax: Syntax) -> Whole {
    Whole {
        command: Command::default(),
        syntax,
        bytes,
        origin: Origin { calling_ae: "US1 ".into(), ..Origin::default() },
    }
}

type Keys<'a> = &'a [(Tag, &'a str)];

fn asked(root: Keys<'_>, step: Keys<'_>, syntax: Syntax) -> Whole {
    let level = |keys: Keys<'_>| {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        let mut level = Writer::new(syntax);
        keys.iter().for_each(|(tag, text)| level.text(*tag, *b"LO", text));
        level.finish()
    };
    let mut set = level(root);
    let mut steps = Writer::new(syntax);
    steps.sequence(STEPS, [level(step)]);
    set.extend(steps.finish());
    whole(set, syntax)
}

fn told(whole: &Whole, list: Vec<Scheduled>) -> Result<(Vec<Item>, u16), Answer> {
    let found = answer(&source(list), whole)?;
    let read = |bytes: &Vec<u8>| scan::item_of_data_set(bytes, whole.syntax.uid()).unwrap();
    Ok((found.data_sets.iter().map(read).collect(), found.pending))
}

fn source(list: Vec<Scheduled>) -> Source {
    let list = Arc::new(List { entries: list, today: "20260131".into() });
    Arc::new(move || Ok(Arc::clone(&list)))
}

fn list() -> Vec<Scheduled> {
    vec![
        scheduled("P1", "DOE^JANE", "20260131", "0930", "US"),
        scheduled("P22", "DOE^JOHN^^^", "20260131", "1400", "MG"),
        scheduled("P333", "Wang^XiaoDong=\u{738b}^\u{5c0f}\u{4e1c}", "20260201", "", ""),
    ]
}

const NAME: Tag = (0x0010, 0x0010);
const ID: Tag = (0x0010, 0x0020);
const MODALITY: Tag = (0x0008, 0x0060);
const DATE: Tag = (0x0040, 0x0002);
const TIME: Tag = (0x0040, 0x0003);

#[test]
fn what_is_asked_for_is_matched_key_by_key() {
    let cases: &[(Keys<'_>, Keys<'_>, &[&str])] = &[
        (&[], &[], &["P1", "P22", "P333"]),
        (&[(NAME, "doe^j*")], &[], &["P1", "P22"]),
        (&[(NAME, "DOE^JOHN")], &[], &["P22"]),
        (&[(NAME, "wang^x*")], &[], &["P333"]),
        (&[(NAME, "\u{738b}*"), (CHARACTER_SET, "ISO_IR 192")], &[], &["P333"]),
        (&[(NAME, "*")], &[], &["P1", "P22", "P333"]),
        (&[(ID, "P1")], &[], &["P1"]),
        (&[(ID, "p1")], &[], &[]),
        (&[((0x0008, 0x0050), "A-P22")], &[], &["P22"]),
        (&[((0x0020, 0x000d), "1.2.3.4\\1.2.3.2")], &[], &["P1", "P333"]),
        (&[(PROCEDURE_ID, "A-P1")], &[], &["P1"]),
        (&[], &[(MODALITY, "US")], &["P1", "P333"]),
        (&[], &[(DATE, "20260131")], &["P1", "P22"]),
        (&[], &[(DATE, "20260201-")], &["P333"]),
        (&[], &[(DATE, "-20260131")], &["P1", "P22"]),
        // Two ranges are one period; what has no time is in it by its day.
        (&[], &[(DATE, "20260130-20260202"), (TIME, "0900-1000")], &["P1", "P22", "P333"]),
        (&[], &[(DATE, "20260131-20260201"), (TIME, "1000-0800")], &["P22", "P333"]),
        (&[], &[(DATE, "20260131-"), (TIME, "1000-")], &["P22", "P333"]),
        (&[], &[(DATE, "-20260131"), (TIME, "-1000")], &["P1"]),
        (&[], &[(DATE, "20260131"), (TIME, "0900-1000")], &["P1"]),
        (&[(NAME, "DOE^JANE^*")], &[], &["P1"]),
        (&[], &[(TIME, "093000")], &["P1", "P333"]),
        (&[], &[(STATION, "US7")], &["P1", "P22", "P333"]),
    ];
    for syntax in [Syntax::Implicit, Syntax::Explicit] {
        for (root, step, ids) in cases {
            let (items, pending) = told(&asked(root, step, syntax), list()).unwrap();
            let found: Vec<&str> = items.iter().map(|item| item.patient_id.as_str()).collect();
            assert_eq!((&found[..], pending), (*ids, PENDING), "{root:x?} {step:x?}");
        }
    }
}

#[test]
fn an_answer_has_every_key_that_a_scanner_may_insist_on() {
    for syntax in [Syntax::Implicit, Syntax::Explicit] {
        let question = asked(&[(ID, "P1")], &[(STATION, "")], syntax);
        let source = source(list());
        let found = answer(&source, &question).unwrap();
        let elements = Elements::parse(&found.data_sets[0], syntax).unwrap();
        let step = &elements.items(STEPS).unwrap()[0];
        assert!(elements.tags().eq(KEYS.iter().copied()) && step.tags().eq(STEP_KEYS.iter().copied()));
        // Those of type 1 (PS3.4 table K.6-1).
        for tag in [NAME, ID, (0x0020, 0x000d), (0x0032, 0x1060), PROCEDURE_ID] {
            assert_ne!(elements.text(tag), "", "{tag:x?}");
        }
        for tag in [MODALITY, STATION, DATE, TIME, (0x0040, 0x0007), STEP_ID] {
            assert_ne!(step.text(tag), "", "{tag:x?}");
        }
        assert_eq!((step.text(STATION), step.text(TIME)), ("US1".into(), "093000".into()));
    }
}

#[test]
fn text_is_written_in_the_set_in_which_the_scanner_asks_or_in_utf_8() {
    for (term, written) in
        [("GB18030", "GB18030"), ("ISO_IR 192", "ISO_IR 192"), ("ISO_IR 100", "ISO_IR 192"), ("", "ISO_IR 192")]
    {
        let question = asked(&[(ID, "P333"), (CHARACTER_SET, term)], &[], Syntax::Explicit);
        let source = source(list());
        let found = answer(&source, &question).unwrap();
        let elements = Elements::parse(&found.data_sets[0], Syntax::Explicit).unwrap();
        assert_eq!(elements.text(CHARACTER_SET), written, "{term}");
        let (items, _) = told(&question, list()).unwrap();
        assert_eq!(items[0].patient_name, list()[2].patient.name, "{term}");
    }
    let plain = asked(&[(ID, "P1"), (CHARACTER_SET, "ISO_IR 100")], &[], Syntax::Explicit);
    let source = source(list());
    let bytes = &answer(&source, &plain).unwrap().data_sets[0];
    assert_eq!(Elements::parse(bytes, Syntax::Explicit).unwrap().text(CHARACTER_SET), "", "ASCII needs none");
}

#[test]
fn keys_that_are_not_known_are_told_and_what_is_no_question_is_refused() {
    let (items, pending) = told(&asked(&[((0x0010, 0x4000), "")], &[], Syntax::Explicit), list()).unwrap();
    assert_eq!((items.len(), pending), (3, PENDING_WITHOUT_KEYS));
    let physician: (Tag, &str) = ((0x0040, 0x0006), "LI^MING");
    let (_, pending) = told(&asked(&[], &[physician], Syntax::Explicit), list()).unwrap();
    assert_eq!(pending, PENDING_WITHOUT_KEYS, "known, not matched");
    let not_asked = |whole: Whole| told(&whole, list()).unwrap_err();
    for step in [[(DATE, "2026")], [(DATE, "-")], [(TIME, "9 o'clock")], [(TIME, "1")]] {
        let answer = not_asked(asked(&[], &step, Syntax::Explicit));
        assert_eq!(answer.status, status::of(Refusal::NoQuestion), "{step:?}");
        assert!(answer.reason.contains("the start "), "{answer:?}");
    }
    assert_eq!(not_asked(whole(vec![1, 2, 3], Syntax::Implicit)).status, 0xa900);
    let source: Source = Arc::new(|| Err("the worklist /x cannot be read".into()));
    assert_eq!(answer(&source, &asked(&[], &[], Syntax::Implicit)).unwrap_err().status, 0xc001);
}

#[test]
fn a_question_that_is_larger_than_one_can_be_is_refused() {
    let long = "A".repeat(65);
    for (root, step) in [
        (vec![(ID, long.as_str())], vec![]),
        (vec![(PROCEDURE_ID, long.as_str())], vec![]),
        (vec![], vec![(STATION, long.as_str())]),
        (vec![], vec![(STEP_ID, long.as_str())]),
    ] {
        let refused = told(&asked(&root, &step, Syntax::Implicit), list()).unwrap_err();
        assert_eq!(refused.status, 0xa900, "{root:x?} {step:x?}");
    }
    // More than is read of a key: it would be taken for one that asks for all.
    let uids = ["1.2.840.99.1"; 1500].join("\\");
    let refused = told(&asked(&[(STUDY_UID, &uids)], &[], Syntax::Implicit), list()).unwrap_err();
    assert!(refused.status == 0xa900 && refused.reason.contains("too long"), "{refused:?}");
    let uids = ["1.2.840.99.1"; 8000].join("\\");
    let refused = told(&asked(&[(STUDY_UID, &uids)], &[], Syntax::Implicit), list()).unwrap_err();
    assert!(refused.reason.contains("64 KiB"), "{refused:?}");
}

#[test]
fn what_does_not_fit_in_an_answer_is_said() {
    let many: Vec<Scheduled> =
        (0..=MOST_ANSWERS).map(|n| scheduled(&format!("P{n}"), "DOE", "20260131", "", "")).collect();
    let found = |list: &[Scheduled]| answer(&source(list.to_vec()), &asked(&[], &[], Syntax::Implicit)).unwrap();
    let (all, cut) = (found(&many[1..]), found(&many));
    assert_eq!((all.data_sets.len(), all.has_more), (MOST_ANSWERS, false));
    assert_eq!((cut.data_sets.len(), cut.has_more), (MOST_ANSWERS, true));
    // Those of a year ago stay in the file, and today's are told all the same.
    let old = (0..=MOST_ANSWERS).map(|n| scheduled(&format!("O{n}"), "DOE", "20250131", "", ""));
    let list: Vec<Scheduled> = old.chain([scheduled("TODAY", "DOE", "20260131", "", "")]).collect();
    let (items, _) = told(&asked(&[], &[], Syntax::Implicit), list).unwrap();
    assert_eq!(items[0].patient_id, "TODAY");
}

#[test]
fn what_the_order_says_of_the_patient_reaches_who_makes_the_exam() {
    let mut one = list().remove(0);
    one.besides = Besides {
        allergies: "penicillin\\latex".into(),
        medical_alerts: "pacemaker".into(),
        pregnancy: Some(3),
        ..Besides::default()
    };
    one.request =
        Request { procedure_id: "RP-1".into(), step_id: "SPS-1".into(), sex: "F".into(), ..Request::default() };
    for syntax in [Syntax::Implicit, Syntax::Explicit] {
        let (items, _) =
            told(&asked(&[(PROCEDURE_ID, "RP-1")], &[(STEP_ID, "SPS-1")], syntax), vec![one.clone()]).unwrap();
        assert_eq!(items[0].besides, one.besides);
        let told = &items[0].request;
        assert_eq!((told.procedure_id.as_str(), told.step_id.as_str(), told.sex.as_str()), ("RP-1", "SPS-1", "F"));
    }
}

#[test]
fn the_steps_of_one_order_have_numbers_of_their_own() {
    let mammogram = list().remove(1);
    let ultrasound = Scheduled { modality: "US".into(), ..mammogram.clone() };
    assert_eq!(procedure_id(&mammogram), procedure_id(&ultrasound));
    assert_ne!(step_id(&mammogram), step_id(&ultrasound));
    assert!(step_id(&mammogram).len() == 16 && step_id(&mammogram) == step_id(&mammogram));
}

/// Type 1: never empty, never a pattern.
#[test]
fn an_entry_without_a_modality_is_answered_with_a_code() {
    for (asked_for, told_as) in [("US", "US"), ("", "OT"), ("*", "OT"), ("U?", "OT")] {
        let (items, _) = told(&asked(&[(ID, "P333")], &[(MODALITY, asked_for)], Syntax::Explicit), list()).unwrap();
        assert_eq!(items[0].modality, told_as, "{asked_for}");
    }
}

/// Box and box understand each other.
#[test]
fn the_question_that_this_box_asks_is_answered() {
    let query =
        Query { modality: "US".into(), first_day: "20260131".into(), last_day: "20260202".into(), ..Query::default() };
    for syntax in [Syntax::Implicit, Syntax::Explicit] {
        let (items, pending) = told(&whole(query.identifier(syntax), syntax), list()).unwrap();
        assert_eq!((items.len(), pending), (2, PENDING));
        assert!(items.iter().all(|item| query.fits(item).is_ok()), "{items:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_of_a_scanner_make_the_answer_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), implicit: bool) {
        let syntax = if implicit { Syntax::Implicit } else { Syntax::Explicit };
        let _ = told(&whole(bytes, syntax), list());
    }

    #[test]
    fn every_answer_can_be_read_and_says_what_the_list_says(
        id in "[A-Z0-9]{1,16}", name in "\\PC{0,20}", number in "[A-Z0-9]{0,20}", time in "[0-9]{0,6}", description in "\\PC{0,20}",
    ) {
        let mut one = scheduled(&id, &name.replace('\\', ""), "20260131", &time, "US");
        one.patient.accession_number = number;
        one.description = description.replace('\\', "");
        let (items, _) = told(&asked(&[], &[], Syntax::Explicit), vec![one.clone()]).unwrap();
        prop_assert_eq!(&items[0].patient_id, &id);
        prop_assert_eq!(&items[0].accession_number, &one.patient.accession_number);
        prop_assert!(procedure_id(&one).len() <= 16 && !procedure_id(&one).is_empty());
    }
}
