//! Words in the languages of the people who install and use the box.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Language {
    #[default]
    #[value(name = "en")]
    English,
    #[value(name = "zh-CN", alias = "zh")]
    Chinese,
}

/// The locale of this category: the first of LC_ALL, the category, LANG that is set; empty when none is.
pub fn locale(category: &str) -> String {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    ["LC_ALL", category, "LANG"].into_iter().find_map(set).unwrap_or_default()
}

impl Language {
    /// That of the terminal.
    pub fn of_environment() -> Self {
        if locale("LC_MESSAGES").starts_with("zh") { Self::Chinese } else { Self::English }
    }

    pub fn pick(self, english: &str, chinese: &str) -> String {
        match self {
            Self::English => english.to_owned(),
            Self::Chinese => chinese.to_owned(),
        }
    }
}

/// The same in each language.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Text {
    pub en: String,
    #[serde(rename = "zh-CN")]
    pub zh: String,
}

impl Text {
    /// What needs no translation: what a peer or the system said.
    pub fn same(text: impl Into<String>) -> Self {
        let en = text.into();
        Self { zh: en.clone(), en }
    }

    pub fn in_language(&self, language: Language) -> String {
        language.pick(&self.en, &self.zh)
    }
}

/// Bytes in the unit people use.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// A word for a shell, quoted where it needs it: what a stranger calls itself may stand in a command that somebody copies.
pub fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:+,=%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// `both!("{n} left", "剩余 {n}")`.
macro_rules! both {
    ($en:literal, $zh:literal) => {
        $crate::doctor::text::Text { en: format!($en), zh: format!($zh) }
    };
}
pub(crate) use both;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_command_is_one_word_for_a_real_shell_and_runs_nothing() {
        for word in ["CT1", "ROOM 3", "$(touch x)", "`id`", "a'b", "a;b", "\\", "", "*", "/etc/scanside/tls/box.pem"] {
            let command = format!("printf %s {}", shell(word));
            let output = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), word, "{command}");
        }
        assert_eq!([shell("CT1"), shell("ROOM 3")], ["CT1", "'ROOM 3'"]);
    }
}
