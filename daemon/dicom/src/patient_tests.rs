//! Whose data it is: what contradicts, what binds, who stands for nobody.

use proptest::prelude::*;

use super::*;

fn header(id: &str, issuer: &str, name: &str, born: &str, sex: &str) -> Header {
    Header {
        patient_id: id.into(),
        issuer_of_patient_id: issuer.into(),
        patient_name: name.into(),
        birth_date: born.into(),
        sex: sex.into(),
        ..Header::default()
    }
}

fn who(id: &str, issuer: &str, name: &str, born: &str, sex: &str) -> Identity {
    Identity::of(&header(id, issuer, name, born, sex))
}

#[test]
fn a_name_is_the_same_in_any_way_of_writing() {
    for (a, b) in [
        ("DOE^JANE", "Doe^Jane"),
        ("DOE^JANE^^", "DOE^JANE"),
        ("Wang^XiaoDong=王^小东", "wang^xiaodong"),
        ("=王^小东", "Wang^XiaoDong=王^小东"),
        ("DOE ^ JANE  ANN", "Doe^Jane Ann"),
        ("MÜLLER^EVA", "Müller^Eva"),
    ] {
        assert!(same_name(a, b) && same_name(b, a), "{a} {b}");
    }
    for (a, b) in [("DOE^JANE", "DOE^JOHN"), ("DOE^JANE", "DOE JANE"), ("", "DOE"), ("=", "DOE"), ("A=B", "C=D")] {
        assert!(!same_name(a, b), "{a} {b}");
    }
}

#[test]
fn harmless_differences_within_a_series_contradict_nothing() {
    let base = who("P 1", "HOSP", "Doe^Jane", "19700101", "F");
    for (what, other) in [
        ("padding", who(" P 1  ", "HOSP ", "Doe^Jane^^^", "19700101 ", "F ")),
        ("case", who("p 1", "hosp", "DOE^JANE", "19700101", "f")),
        ("nothing at all", who("", "", "", "", "")),
        ("an ID only", who("P 1", "", "", "", "")),
        ("a second way of writing the name", who("P 1", "", "DOE^JANE=王^小东", "", "")),
        ("only another way of writing", who("P 1", "", "=王^小东", "", "")),
        ("a wrong character set", who("P 1", "", "D\u{FFFD}^JANE", "", "")),
        ("no date", who("P 1", "", "", "00000000", "O")),
        ("the old form of a date", who("P 1", "", "", "1970.01.01", "")),
        ("blanks for carets", who("P 1", "", "DOE, JANE", "", "")),
    ] {
        assert_eq!(base.contradicts(&other), None, "{what}");
        assert_eq!(other.contradicts(&base), None, "{what}, the other way");
    }
}

#[test]
fn each_attribute_contradicts_by_itself() {
    let base = who("P1", "HOSP", "Doe^Jane", "19700101", "F");
    for (attribute, other) in [
        (Attribute::Id, who("P2", "HOSP", "Doe^Jane", "19700101", "F")),
        (Attribute::Id, who("0", "", "", "", "")),
        (Attribute::Issuer, who("P1", "CLINIC", "Doe^Jane", "19700101", "F")),
        (Attribute::Name, who("P1", "HOSP", "Roe^Jane", "19700101", "F")),
        (Attribute::BirthDate, who("P1", "HOSP", "Doe^Jane", "19700102", "F")),
        (Attribute::Sex, who("P1", "HOSP", "Doe^Jane", "19700101", "M")),
    ] {
        assert_eq!(base.contradicts(&other), Some(attribute));
        assert_eq!(other.contradicts(&base), Some(attribute));
        assert!(!base.is_same_person(&other));
    }
}

#[test]
fn a_missing_value_binds_only_when_enough_others_agree() {
    let whole = who("P1", "HOSP", "Doe^Jane", "19700101", "F");
    for (binds, what, other) in [
        (true, "all of it", who("P1", "HOSP", "Doe^Jane", "19700101", "F")),
        (true, "no issuer, no sex", who("P1", "", "Doe^Jane", "19700101", "")),
        (true, "no birth date, but issuer and sex", who("P1", "HOSP", "Doe^Jane", "", "F")),
        (true, "no name, but issuer and sex", who("P1", "HOSP", "", "19700101", "F")),
        (false, "ID and name only", who("P1", "", "Doe^Jane", "", "")),
        (false, "no birth date, no issuer", who("P1", "", "Doe^Jane", "", "F")),
        (false, "no birth date, no sex", who("P1", "HOSP", "Doe^Jane", "", "")),
        (false, "an ID only", who("P1", "HOSP", "", "", "F")),
        (false, "no ID", who("", "HOSP", "Doe^Jane", "19700101", "F")),
        (false, "another ID", who("P2", "HOSP", "Doe^Jane", "19700101", "F")),
    ] {
        assert_eq!(whole.is_same_person(&other), binds, "{what}");
        assert_eq!(other.is_same_person(&whole), binds, "{what}, the other way");
    }
}

#[test]
fn placeholders_never_bind_two_studies() {
    let ids = [
        "",
        " ",
        "0",
        "00",
        "0000000",
        "1",
        "11",
        "X",
        "xxx",
        "9999",
        "-",
        "ANONYMOUS",
        "anonymous",
        "Anon",
        "ANON 1",
        "UNKNOWN",
        "unknown2",
        "TEST",
        "test-17",
        "Test Patient",
        "N/A",
        "NONE",
        "NULL",
        "12345",
        "123456",
        "0123",
        "UNIDENTIFIED-2026",
        "匿名",
        "未知",
        "测试1",
    ];
    for id in ids {
        assert!(is_placeholder_id(id), "{id:?}");
        let same = || who(id, "HOSP", "Doe^Jane", "19700101", "F");
        assert!(!same().is_same_person(&same()), "{id:?}");
    }
    for id in ["P1", "10", "PHANTOM-7", "4711", "A1234567", "1002003", "TESTA-88", "19700101-123"] {
        assert!(!is_placeholder_id(id), "{id:?}");
    }
    let nameless = |born: &str, sex: &str| who("P1", "", "ANONYMOUS", born, sex);
    assert!(!nameless("19700101", "F").is_same_person(&nameless("19700101", "F")), "a placeholder is no name");
}

#[test]
fn persons_are_counted_once_each() {
    let doe = header("P1", "", "Doe^Jane", "19700101", "F");
    let again = header("P1 ", "", "DOE^JANE^^", "", "");
    let nobody = header("", "", "", "", "");
    let roe = header("P2", "", "Roe^Rick", "19800101", "M");
    assert_eq!(persons([&doe, &again, &nobody, &doe]).len(), 1);
    assert_eq!(persons([&doe, &roe, &nobody, &doe, &roe]), [Identity::of(&doe), Identity::of(&roe)]);
    assert_eq!(persons([&nobody, &doe, &roe]).len(), 2, "who says nothing of himself does not unite two others");
    let many: Vec<Header> = (0..100).map(|number| header(&format!("P{number}"), "", "", "", "")).collect();
    assert_eq!(persons(&many).len(), 16);
}

#[test]
fn a_mark_says_nothing_and_differs_between_patients_and_places() {
    let (doe, roe) = (who("P1", "", "Doe^Jane", "19700101", "F"), who("P2", "", "Doe^Jane", "19700101", "F"));
    assert_eq!(doe.mark("1.2").len(), 8);
    assert_eq!(doe.mark("1.2"), who("p1 ", "", "DOE^JANE", "19700101", "F").mark("1.2"));
    assert!(doe.mark("1.2") != roe.mark("1.2") && doe.mark("1.2") != doe.mark("1.3"));
}

fn any_identity() -> impl Strategy<Value = Identity> {
    any_header().prop_map(|header| Identity::of(&header))
}

fn any_header() -> impl Strategy<Value = Header> {
    let pick = |values: &'static [&'static str]| prop::sample::select(values);
    (
        pick(&["", "P1", "p1 ", "P2", "0", "ANON", "0815"]),
        pick(&["", "HOSP", "hosp ", "CLINIC"]),
        pick(&["", "Doe^Jane", "DOE^JANE^^", "Roe^Rick", "ANONYMOUS", "=王^小东", "Doe^Jane=王^小东"]),
        pick(&["", "19700101", "1970.01.01", "19800101", "00000000"]),
        pick(&["", "F", "M", "O"]),
    )
        .prop_map(|(id, issuer, name, born, sex)| header(id, issuer, name, born, sex))
}

proptest! {
    #[test]
    fn the_judgement_does_not_depend_on_who_comes_first(a in any_identity(), b in any_identity()) {
        prop_assert_eq!(a.contradicts(&b), b.contradicts(&a));
        prop_assert_eq!(a.is_same_person(&b), b.is_same_person(&a));
    }

    #[test]
    fn who_is_bound_contradicts_in_nothing_and_has_an_id_of_its_own(a in any_identity(), b in any_identity()) {
        prop_assert_eq!(a.contradicts(&a), None);
        if a.is_same_person(&b) {
            prop_assert_eq!(a.contradicts(&b), None);
            prop_assert!(a.is_same_person(&a) && b.is_same_person(&b));
        }
    }

    #[test]
    fn two_that_contradict_are_two_persons_whoever_stands_between(
        between in prop::collection::vec(any_header(), 0..6), a in any_header(), b in any_header()
    ) {
        let all: Vec<&Header> = between.iter().chain([&a, &b]).collect();
        let differ = all.iter().any(|one| all.iter().any(|two| Identity::of(one).contradicts(&Identity::of(two)).is_some()));
        prop_assert_eq!(persons(all.iter().copied()).len() > 1, differ);
        prop_assert_eq!(persons(all.iter().rev().copied()).len() > 1, differ);
    }

    #[test]
    fn any_other_id_or_birth_date_is_another_person(id in "[A-Z]{2}[0-9]{4}", other in "[A-Z]{2}[0-9]{4}", day in 1..28_u32) {
        let born = format!("197001{day:02}");
        let a = who(&id, "HOSP", "Doe^Jane", "19700131", "F");
        if id != other {
            prop_assert!(!a.is_same_person(&who(&other, "HOSP", "Doe^Jane", "19700131", "F")));
        }
        prop_assert!(!a.is_same_person(&who(&id, "HOSP", "Doe^Jane", &born, "F")));
    }

    #[test]
    fn hostile_text_is_judged_without_a_panic(id in ".{0,80}", name in ".{0,200}", born in ".{0,12}", sex in ".{0,3}") {
        let a = who(&id, &id, &name, &born, &sex);
        prop_assert_eq!(a.contradicts(&a), None);
        prop_assert_eq!(a.mark("1").len(), 8);
        let _ = a.is_same_person(&a) || is_placeholder_id(&id);
    }
}
