//! Text in columns of a terminal: how wide it is, cut, and wrapped. Chinese characters take two columns.

use dicom::text::{shown_up_to, steers};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Longer texts from outside are cut before they are wrapped.
const MOST: usize = 4000;

/// Text without anything that steers a terminal: such characters are written out.
pub fn harmless(text: &str) -> String {
    if text.chars().any(steers) || text.len() > MOST { shown_up_to(text, MOST).to_string() } else { text.to_owned() }
}

/// Columns that a harmless text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text, or as much of it as fits into `columns`, with `more` at its end.
pub fn cut(text: &str, columns: usize, more: char) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(of(more));
    let mut kept = head(text, room).0.trim_end().to_owned();
    if columns >= of(more) {
        kept.push(more);
    }
    kept
}

/// Lines of at most `columns` each; broken at blanks where there are any, and between Chinese characters.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let text = harmless(text);
    let mut rest = text.trim();
    while columns > 0 && !rest.is_empty() {
        let (fits, after) = head(rest, columns);
        let end = if after.is_empty() || after.starts_with(' ') { fits.len() } else { break_in(fits) };
        // Something has to go on, also when one character is wider than the line.
        let end = if end == 0 { rest.chars().next().map_or(rest.len(), char::len_utf8) } else { end };
        lines.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start();
    }
    lines
}

/// Where a line that goes on is broken: after the last blank or wide character, else at its end.
fn break_in(line: &str) -> usize {
    let last = line.char_indices().rev().find(|(_, c)| *c == ' ' || of(*c) > 1);
    last.map_or(line.len(), |(at, c)| at + c.len_utf8())
}

/// The first characters that fit, and the rest.
fn head(text: &str, columns: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, character) in text.char_indices() {
        used += of(character);
        if used > columns {
            return text.split_at(at);
        }
    }
    (text, "")
}

fn of(character: char) -> usize {
    character.width().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!((width("肺结节"), cut("肺结节 8 mm", 6, '…').as_str()), (6, "肺结…"));
        assert_eq!(wrap("右肺上叶结节 8 mm", 8), ["右肺上叶", "结节 8", "mm"]);
        assert_eq!(wrap("the archive does not answer", 12), ["the archive", "does not", "answer"]);
        assert_eq!((cut("refused", 4, '~').as_str(), cut("refused", 0, '~').as_str()), ("ref~", ""));
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_its_column(text in any::<String>(), columns in 2usize..40) {
            prop_assert!(width(&cut(&harmless(&text), columns, '…')) <= columns);
            for line in wrap(&text, columns) {
                prop_assert!(width(&line) <= columns, "{line:?}");
                prop_assert!(!line.chars().any(steers));
            }
        }
    }
}
