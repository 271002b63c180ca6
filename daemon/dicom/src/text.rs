//! Makes text from outside safe to compare, to log and to show.

use std::fmt::{self, Display, Formatter, Write};

use dicom_encoding::text::{SpecificCharacterSet, TextCodec};

/// Characters of a text from outside that a log line shows.
const MOST: usize = 64;

/// Removes spaces and NUL at both ends and replaces everything but printable ASCII.
pub fn plain_text(value: &[u8]) -> String {
    let printable = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '?' };
    let end = value.iter().rposition(|byte| *byte != 0 && *byte != b' ').map_or(0, |last| last + 1);
    value[..end].iter().map(printable).collect::<String>().trim().to_owned()
}

/// Text from outside as people may see it: on one line, without characters that steer a terminal or that hide or
/// reorder what stands beside them. They are written as `\u{1b}`.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    text: &'a str,
    /// Characters; what is left out is counted.
    most: usize,
    /// Whether line breaks stay.
    lines: bool,
}

/// Has it the form of DICOM's YYYYMMDD (DA)? As text, such dates are in order.
pub fn is_date(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// DICOM's YYYYMMDD (DA) as 2026-01-31; a text that is none as it is.
pub fn date(da: &str) -> String {
    if is_date(da) { format!("{}-{}-{}", &da[..4], &da[4..6], &da[6..]) } else { da.to_owned() }
}

/// For a log line: the first 64 characters.
pub fn shown(text: &str) -> Shown<'_> {
    shown_up_to(text, MOST)
}

/// The first `most` characters.
pub fn shown_up_to(text: &str, most: usize) -> Shown<'_> {
    Shown { text, most, lines: false }
}

/// All lines of a text, for a terminal.
pub fn shown_lines(text: &str) -> Shown<'_> {
    Shown { text, most: usize::MAX, lines: true }
}

impl Display for Shown<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.text.chars();
        for character in rest.by_ref().take(self.most) {
            if steers(character) && !(self.lines && character == '\n') {
                write!(out, "{}", character.escape_unicode())?;
            } else {
                out.write_char(character)?;
            }
        }
        match rest.count() {
            0 => Ok(()),
            left => write!(out, "... ({left} more characters)"),
        }
    }
}

/// Whether a character is a control character, breaks the line, changes the direction of writing, or is invisible.
/// (Joiners, U+200C and U+200D, are not: Persian and Indic names need them.)
pub fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Whether a text fits a pattern of DICOM's wildcard matching (PS3.4 section C.2.2.2.4): `*` is any text, `?` any character. Time is
/// bounded by the product of the lengths.
pub fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, t) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The text in a character set by its defined term (PS3.3 section C.12.1.1.2), as `ISO_IR 100`; `None` when the term is not known, is more than
/// one, or the set lacks a character.
pub fn encoded(text: &str, term: &str) -> Option<Vec<u8>> {
    SpecificCharacterSet::from_code(term)?.encode(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_a_terminal_or_breaks_a_line_is_written_out() {
        assert_eq!(shown("1.2.3\nfake line").to_string(), "1.2.3\\u{a}fake line");
        assert_eq!(shown("\u{1b}]0;title\u{7}\u{9b}31m").to_string(), "\\u{1b}]0;title\\u{7}\\u{9b}31m");
        assert_eq!(shown("\u{202e}tpircs").to_string(), "\\u{202e}tpircs");
        assert_eq!(shown("王^小明 José สมชาย").to_string(), "王^小明 José สมชาย", "names of people stay");
        assert_eq!(shown_lines("a\n\tb").to_string(), "a\n\\u{9}b");
    }

    #[test]
    fn a_long_text_is_cut_and_the_rest_is_counted() {
        assert_eq!(shown(&"x".repeat(64)).to_string(), "x".repeat(64));
        assert_eq!(shown(&"x".repeat(60_000)).to_string(), format!("{}... (59936 more characters)", "x".repeat(64)));
    }

    #[test]
    fn a_text_is_encoded_where_the_character_set_has_it() {
        assert_eq!(encoded("Bj\u{f6}rk", "ISO_IR 100").unwrap(), b"Bj\xf6rk");
        assert_eq!(encoded("\u{738b}", "GB18030").unwrap(), [0xcd, 0xf5]);
        for term in ["ISO_IR 100", "ISO_IR 6", "", "\\ISO 2022 IR 87", "no such"] {
            assert_eq!(encoded("\u{738b}", term), None, "{term}");
        }
    }

    proptest! {
        #[test]
        fn a_text_is_like_itself_and_its_ends(text in "[a-z?*^ ]{0,12}", cut in 0usize..13) {
            let cut = cut.min(text.len());
            let (begins, ends, longer) = (format!("{}*", &text[..cut]), format!("*{}", &text[cut..]), format!("{text}!"));
            prop_assert!([&text, &begins, &ends].iter().all(|pattern| is_like(&text, pattern)));
            prop_assert!(text.contains('*') || !is_like(&longer, &text));
        }

        #[test]
        fn any_text_becomes_one_bounded_line_that_steers_nothing(text in any::<String>()) {
            let line = shown(&text).to_string();
            prop_assert!(!line.chars().any(steers), "{line:?}");
            // An escape has ten characters at most, the count of what is left out fewer than 40.
            let most = 64 * 10 + 40;
            prop_assert!(line.chars().count() <= most);
        }

        #[test]
        fn any_bytes_become_printable_ascii(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(plain_text(&bytes).bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
        }
    }
}
