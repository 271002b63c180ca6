//! What of a patient's data the document can print. The font has Latin and GB 2312 letters: of other text it is said how
//! much is missing, because a name that is printed wrong is another name.

use crate::identity::Patient;
use crate::letters::{self, MISSING};
use crate::words::Words;

/// The patient as the document prints it.
pub fn patient(patient: &Patient, words: &dyn Words) -> Patient {
    let of = |value: &str| text(value, words);
    let mut name = of(&patient.name);
    if !patient.guessed_character_set.is_empty() {
        name = format!("{name} ({})", words.guessed_character_set(&patient.guessed_character_set));
    }
    Patient {
        name,
        id: of(&patient.id),
        birth_date: of(&patient.birth_date),
        sex: of(&patient.sex),
        study_date: of(&patient.study_date),
        accession: of(&patient.accession),
        description: of(&patient.description),
        guessed_character_set: patient.guessed_character_set.clone(),
    }
}

/// A text as far as it can be printed, with an empty box for each character that cannot, and their number.
pub fn text(value: &str, words: &dyn Words) -> String {
    let missing = value.chars().filter(|c| !letters::has(*c)).count();
    if missing == 0 {
        return value.to_owned();
    }
    let note = words.not_printable(missing);
    let printed: String = value.chars().map(|c| if letters::has(c) { c } else { MISSING }).collect();
    let nothing_is_left = !printed.chars().any(|c| c.is_alphanumeric());
    if nothing_is_left { format!("({note})") } else { format!("{printed} ({note})") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::words::Language;

    fn printed(name: &str, language: Language) -> String {
        patient(&Patient { name: name.into(), ..Patient::default() }, language.words()).name
    }

    #[test]
    fn a_name_is_never_printed_wrong() {
        let english = |name| printed(name, Language::English);
        for name in ["Buc J\u{e9}r\u{f4}me", "张三 (Zhang San)", "", "O'Neil-S\u{f8}rensen"] {
            assert_eq!(english(name), name);
        }
        assert_eq!(english("張\u{4e09} (Zhang San)"), "\u{25a1}三 (Zhang San) (1 character cannot be printed)");
        assert_eq!(
            english("김철수 (Kim Cheolsu)"),
            "\u{25a1}\u{25a1}\u{25a1} (Kim Cheolsu) (3 characters cannot be printed)"
        );
        assert_eq!(english("김철수"), "(3 characters cannot be printed)");
        assert_eq!(printed("สมชาย", Language::Chinese), "（有5个字符无法打印）".replace('（', "(").replace('）', ")"));
    }

    #[test]
    fn a_guessed_character_set_is_told_beside_the_name() {
        let one = Patient { name: "张三".into(), guessed_character_set: "GB18030".into(), ..Patient::default() };
        assert_eq!(patient(&one, Language::English.words()).name, "张三 (character set guessed: GB18030)");
    }

    proptest! {
        #[test]
        fn whatever_is_printed_has_its_own_glyph(text in any::<String>()) {
            let all = Patient { name: text.clone(), id: text.clone(), description: text, ..Patient::default() };
            let shown = patient(&all, Language::English.words());
            for text in [shown.name, shown.id, shown.description] {
                prop_assert!(text.chars().all(letters::has), "{text:?}");
            }
        }
    }
}
