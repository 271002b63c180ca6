//! Names as scanners write them, other names, labels and IDs.

use proptest::prelude::*;

use super::spelling::{folded, joined};
use super::*;
use crate::text::Letter;

fn line(text: &str, sure: f32) -> Line {
    Line(text.chars().map(|character| Letter { character, sure }).collect())
}

fn shown(text: &str, sure: f32, name: &str) -> Agreement {
    let screen = OnScreen { name: text.lines().map(|text| line(text, sure)).collect(), id: Vec::new() };
    compare(&screen, &Patient { id: "P1".into(), name: name.into(), ..Patient::default() })
}

#[test]
fn a_name_agrees_however_scanners_write_it() {
    for (text, name) in [
        ("DOE, JANE", "DOE^JANE"),
        ("Jane Doe", "DOE^JANE"),
        ("Name: DOE^JANE  ID: 4711  F 52Y", "DOE^JANE"),
        ("DOE\nJANE", "DOE^JANE"),
        ("D0E, JANE", "Doe^Jane"),
        ("Mueller, Eva", "MÜLLER^EVA"),
        ("MULLER EVA", "Müller^Eva"),
        ("Hemandez, Maria", "HERNANDEZ^MARIA"),
        ("DOE, JANE", "DOE^JANE^MARY"),
        ("DOE, JANE MARY", "DOE^JANE^MARY"),
        ("姓名:张三 女 45岁", "ZHANG^SAN=张^三"),
        ("ZHANG SAN", "ZHANG^SAN=张^三"),
        ("O'BRIEN-SMITH, ANN", "O'Brien Smith^Ann"),
        ("MÜLLER, EVA", "MÜLLER^EVA"),
        ("Müller, Eva", "Mueller^Eva=MÜLLER^EVA"),
        ("Weiß, Ida", "Weiß^Ida"),
        ("WEISS, IDA", "Weiß^Ida"),
        ("DOE, JANE  F 52Y", "DOE^JANE"),
    ] {
        assert_eq!(shown(text, 0.5, name), Agreement::Agrees, "{text:?}, {name:?}");
    }
}

#[test]
fn another_name_differs_when_it_was_read_surely_and_is_unclear_otherwise() {
    for (text, name) in [("DOE, ANNA", "DOE^JANE"), ("SMITH, JANE", "DOE^JANE"), ("李四", "ZHANG^SAN=张^三")] {
        assert_eq!(shown(text, 0.95, name), Agreement::Differs, "{text:?}, {name:?}");
        assert_eq!(shown(text, 0.3, name), Agreement::Unclear(Unclear::Unsure), "{text:?}, {name:?}");
    }
    assert_eq!(shown("DOE, ANNE", 0.95, "DOE^ANNA"), Agreement::Differs, "one letter, read surely");
    assert_eq!(shown("DOE, ANNE", 0.8, "DOE^ANNA"), Agreement::Unclear(Unclear::Unsure));
    assert_eq!(shown("DOEAJANE", 0.95, "DOE^JANE"), Agreement::Unclear(Unclear::Unsure), "a sign read as a letter");
    assert_eq!(shown("KOWALSKI, EVA", 0.8, "DOE^JANE"), Agreement::Differs, "quite unlike");
}

#[test]
fn a_longer_name_is_not_the_shorter_one_in_it() {
    assert_eq!(shown("LI MEIXI", 0.99, "LI^MEI"), Agreement::Unclear(Unclear::MoreThanName));
    assert_eq!(shown("LI MEINO", 0.99, "LI^MEI"), Agreement::Unclear(Unclear::MoreThanName), "no label");
    for (text, name) in [
        ("王胜男", "WANG^SHENG=王^胜"),
        ("LE THI MY", "LE^THI"),
        ("DOE, JANE M", "DOE^JANE"),
        ("ROSSI, CARL0", "ROSSI^CARL"),
        ("GARCIA\nLOPEZ MARIA", "LOPEZ^MARIA"),
    ] {
        assert_eq!(shown(text, 0.99, name), Agreement::Unclear(Unclear::MoreThanName), "{text:?}, {name:?}");
    }
    assert_eq!(shown("WILLI MEI", 0.99, "LI^MEI"), Agreement::Unclear(Unclear::MoreThanName));
}

#[test]
fn what_cannot_be_compared_is_unclear_with_its_reason() {
    assert_eq!(shown("", 1.0, "DOE^JANE"), Agreement::Unclear(Unclear::Nothing));
    assert_eq!(shown("12:30 2026-01-05", 1.0, "DOE^JANE"), Agreement::Unclear(Unclear::Nothing));
    assert_eq!(shown("张三", 1.0, "ZHANG^SAN"), Agreement::Unclear(Unclear::OtherScript));
    assert_eq!(shown("DOE JANE", 1.0, ""), Agreement::Unclear(Unclear::OtherScript));
}

#[test]
fn only_the_id_itself_agrees() {
    let of = |id: &str, sure| OnScreen { name: Vec::new(), id: vec![line(id, sure)] };
    let with = |id: &str| Patient { id: id.into(), name: "DOE^JANE".into(), ..Patient::default() };
    for (read, id) in [("1234567", "123456"), ("47112288", "4711"), ("ID: 812345", "B123456")] {
        assert_eq!(compare(&of(read, 0.99), &with(id)), Agreement::Differs, "{read}, {id}");
    }
    for (read, id) in [("MRN12345", "MRN12345"), ("MRN: 12345", "12345"), ("Patient ID 4711-RN", "4711RN")] {
        assert_eq!(compare(&of(read, 0.99), &with(id)), Agreement::Agrees, "{read}, {id}");
    }
    assert_eq!(compare(&of("812345", 0.99), &with("B12345")), Agreement::Unclear(Unclear::Unsure), "they look alike");
    assert_eq!(compare(&of("123456", 0.5), &with("123456")), Agreement::Unclear(Unclear::Unsure), "by chance");
}

#[test]
fn another_id_differs_whatever_the_name_says() {
    let of = |name: &str, id: &str, sure| OnScreen { name: vec![line(name, sure)], id: vec![line(id, sure)] };
    let jane = Patient { id: "4711-22".into(), name: "DOE^JANE".into(), ..Patient::default() };
    assert_eq!(compare(&of("DOE, JANE", "ID: 4711-22", 0.9), &jane), Agreement::Agrees);
    assert_eq!(compare(&of("DOE, JANE", "4711-23", 0.9), &jane), Agreement::Differs, "two of one name");
    assert_eq!(compare(&of("DOE, JANE", "4711-23", 0.6), &jane), Agreement::Agrees, "the ID was not read surely");
    assert_eq!(compare(&of("", "4711-22", 0.9), &jane), Agreement::Agrees);
    assert_eq!(compare(&of("SMITH, JANE", "4711-22", 0.9), &jane), Agreement::Differs);
}

proptest! {
    /// Whatever was read, nothing but the whole name agrees.
    #[test]
    fn nothing_agrees_but_the_name(text in "\\PC{0,40}", name in "[A-Z]{2,8}\\^[A-Z]{2,8}", sure in 0.0f32..1.0) {
        let plain = |text: &str| joined(&folded(text).collect::<Vec<_>>()).into_iter().collect::<String>();
        if shown(&text, sure, &name) == Agreement::Agrees {
            let (family, given) = name.split_once('^').unwrap();
            let text = plain(&text.replace('\n', ""));
            let there = [format!("{family}{given}"), format!("{given}{family}")].iter().any(|w| text.contains(&plain(w)));
            prop_assert!(there, "{text:?}, {name:?}");
        }
    }
}
