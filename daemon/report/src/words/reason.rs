//! Why something was not evaluated, as a key with values, so that every language can say it.
//!
//! `models` hands its reasons over as English sentences. They are read back here by the English templates; a sentence
//! that no template matches stays as it is. Pure.

use super::{Words, en};

macro_rules! reasons {
    ($($key:ident),+ $(,)?) => {
        /// One template for each reason; `{}` stands for a value. A language that lacks one does not compile.
        #[derive(Debug)]
        pub struct Reasons {
            $(pub $key: &'static str,)+
        }

        impl Reasons {
            /// Name and template, in the order of their definition.
            pub fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($key), self.$key)),+]
            }
        }
    };
}

reasons! {
    not_in_package, too_young, body_part, spacing_too_large, spacing_too_small, noise, contrast_given, contrast_missing,
    contrast_unknown, kernel_unnamed, kernel_sharp, no_lungs, no_volume, no_air, implausible_air, no_lung_in_scan,
    lungs_at_edge, scan_ends_above, scan_ends_below, agatston_contrast, agatston_contrast_unknown, agatston_not_gated,
    agatston_gating_unknown, agatston_voltage, agatston_voltage_unknown, agatston_spacing, agatston_kernel,
    agatston_kernel_unknown,
}

/// Which reason, and its values in the order of the English template.
#[derive(Debug, PartialEq, Eq)]
struct Reason<'a> {
    index: usize,
    values: Vec<&'a str>,
}

/// The reason in the words of a language. Several reasons may be joined with commas; when one of them is not known,
/// the English sentence stays.
pub fn say(english: &str, words: &dyn Words) -> String {
    let one = |sentence: &str| read(sentence).map(|reason| fill(words.reasons().all()[reason.index].1, &reason.values));
    let several = || english.split(", ").map(one).collect::<Option<Vec<_>>>().map(|all| all.join(words.comma()));
    one(english).or_else(several).unwrap_or_else(|| english.to_owned())
}

fn read(sentence: &str) -> Option<Reason<'_>> {
    let templates = en::REASONS.all();
    let mut found = templates.iter().enumerate().filter_map(|(index, (_, template))| {
        let values = values(template, sentence)?;
        Some(Reason { index, values })
    });
    found.next()
}

/// What stands for each `{}` of the template; `None` when the sentence is another one. Values hold no comma followed by
/// a space, which joins reasons.
fn values<'a>(template: &str, sentence: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = template.split("{}");
    let mut rest = sentence.strip_prefix(parts.next()?)?;
    let mut values = Vec::new();
    let parts: Vec<&str> = parts.collect();
    for (i, part) in parts.iter().enumerate() {
        let end = if part.is_empty() && i + 1 == parts.len() { rest.len() } else { rest.find(part)? };
        values.push(&rest[..end]);
        rest = &rest[end + part.len()..];
    }
    let plain = values.iter().all(|value| !value.is_empty() && !value.contains(", "));
    (rest.is_empty() && plain).then_some(values)
}

fn fill(template: &str, values: &[&str]) -> String {
    values.iter().fold(template.to_owned(), |text, value| text.replacen("{}", value, 1))
}

#[cfg(test)]
mod tests {
    use super::super::Language;
    use super::*;

    fn chinese(sentence: &str) -> String {
        say(sentence, Language::Chinese.words())
    }

    #[test]
    fn every_language_says_every_reason_with_the_same_number_of_values() {
        let english = en::REASONS.all();
        for language in Language::ALL {
            for ((key, template), (_, original)) in language.words().reasons().all().into_iter().zip(&english) {
                assert!(!template.trim().is_empty(), "{language:?}: {key}");
                assert_eq!(template.matches("{}").count(), original.matches("{}").count(), "{language:?}: {key}");
                let left = *language != Language::English && template == *original;
                assert!(!left, "{language:?}: {key} is still English");
            }
        }
    }

    #[test]
    fn every_english_sentence_is_read_back_as_what_it_is() {
        for (index, (key, template)) in en::REASONS.all().into_iter().enumerate() {
            let sentence = template.replace("{}", "7.5");
            assert_eq!(read(&sentence).map(|reason| reason.index), Some(index), "{key}");
            assert_eq!(say(&sentence, Language::English.words()), sentence);
        }
    }

    #[test]
    fn the_chinese_document_gives_reasons_in_chinese() {
        assert_eq!(chinese("slice spacing 5.0 mm, package needs <= 2.5 mm"), "层间距 5.0 mm，模型包要求不大于 2.5 mm");
        assert_eq!(
            chinese("kernel B70f is sharp, package needs a soft one"),
            "重建核 B70f 为锐利核，模型包要求软组织核"
        );
        let joined = "not gated to the heartbeat, 100 kV instead of 120 kV, sharp kernel Br64d";
        assert_eq!(chinese(joined), "无心电门控，管电压 100 kV（应为 120 kV），锐利重建核 Br64d");
        let unknown = "something new, package needs more";
        assert_eq!(chinese(unknown), unknown);
    }

    /// `models` keeps its sentences to itself; a changed one must be changed here too.
    #[test]
    fn the_templates_are_the_sentences_that_models_writes() {
        const SOURCES: [&str; 5] = [
            include_str!("../../../../models/src/task/ct_chest.rs"),
            include_str!("../../../../models/src/task/ct_chest/coronary.rs"),
            include_str!("../../../../models/src/task/ct_chest/gates.rs"),
            include_str!("../../../../models/src/task/lungs/mod.rs"),
            include_str!("../../../../models/src/task/lungs/sides.rs"),
        ];
        for (key, template) in en::REASONS.all() {
            // Which end is a value there.
            let template = template.replace("upper end", "{} end").replace("lower end", "{} end");
            for piece in template.split("{}") {
                assert!(SOURCES.iter().any(|source| source.contains(piece)), "{key}: {piece:?}");
            }
        }
    }
}
