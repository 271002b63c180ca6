//! The character set of text whose Specific Character Set is missing or wrong, for display. A guess is by validity first and
//! then by what people write; whoever shows such a text says that it is guessed.
//!
//! What cannot be told apart: Korean in EUC-KR is nearly always valid GB 2312 too and is read as that, because this box
//! stands in China more often.

use dicom_encoding::text::{SpecificCharacterSet, TextCodec};

/// What a data set says of its character set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Declared {
    /// Nothing, or ASCII alone.
    Nothing,
    /// Latin letters in single bytes, in which every byte is valid. Devices declare it out of habit.
    Latin,
    Other,
}

impl Declared {
    pub(super) fn of(code: &str) -> Self {
        match code.trim_start_matches("ISO 2022 IR ").trim_start_matches("ISO_IR").trim_start_matches([' ', '_']) {
            "6" => Self::Nothing,
            "100" | "101" | "109" | "110" | "148" | "203" => Self::Latin,
            _ => Self::Other,
        }
    }
}

/// The likely character set of text that is not ASCII, and the text; `None` if the declared one may be right.
pub(super) fn guess(
    declared_set: &SpecificCharacterSet,
    declared: Declared,
    value: &[u8],
) -> Option<(&'static str, String)> {
    let doubtful = match declared {
        Declared::Nothing => true,
        Declared::Latin => std::str::from_utf8(value).is_ok() || has_c1(value) || has_words_without_letters(value),
        Declared::Other => valid(declared_set, value).is_none(),
    };
    if !doubtful {
        return None;
    }
    if let Ok(text) = std::str::from_utf8(value) {
        return Some(("UTF-8", text.to_owned()));
    }
    let latin = || Some(("ISO 8859-1", valid(&SpecificCharacterSet::from_code("ISO_IR 100")?, value)?));
    let chinese = || Some(("GB18030", valid(&SpecificCharacterSet::from_code("GB18030")?, value)?));
    let japanese = || Some(("Shift-JIS", valid(&SpecificCharacterSet::from_code("ISO_IR 13")?, value)?));
    let korean = || Some(("EUC-KR", valid(&SpecificCharacterSet::from_code("ISO_IR 149")?, value)?));
    if !has_c1(value) && is_isolated(value) {
        return latin();
    }
    if is_gb2312(value) {
        return chinese();
    }
    // Half-width letters are how Chinese looks when it is read as Japanese.
    let japanese = japanese().filter(|(_, text)| !text.chars().any(|c| matches!(c, '\u{ff61}'..='\u{ff9f}')));
    japanese.or_else(chinese).or_else(korean).or_else(latin)
}

/// The text, if it is valid in this set: then it is encoded as it came.
fn valid(set: &SpecificCharacterSet, value: &[u8]) -> Option<String> {
    let text = set.decode(value).ok()?;
    set.encode(&text).is_ok_and(|bytes| bytes == value).then_some(text)
}

fn is_high(byte: u8) -> bool {
    byte >= 0x80
}

/// Bytes that are control characters in every Latin set.
fn has_c1(value: &[u8]) -> bool {
    value.iter().any(|byte| (0x80..0xa0).contains(byte))
}

/// Whether each letter beyond ASCII stands alone, as accents do in European names.
fn is_isolated(value: &[u8]) -> bool {
    !value.windows(2).any(|pair| is_high(pair[0]) && is_high(pair[1]))
}

/// Whether all letters beyond ASCII are pairs of GB 2312, hanzi or signs.
fn is_gb2312(value: &[u8]) -> bool {
    let mut high = value.chunk_by(|a, b| is_high(*a) == is_high(*b)).filter(|run| is_high(run[0]));
    high.all(|run| {
        run.len() % 2 == 0 && run.chunks_exact(2).all(|pair| (0xa1..=0xf7).contains(&pair[0]) && pair[1] >= 0xa1)
    })
}

/// Whether letters beyond ASCII come in pairs and a part of the name has no other letters: a European name has some ASCII
/// in each part.
fn has_words_without_letters(value: &[u8]) -> bool {
    let pairs = value.chunk_by(|a, b| is_high(*a) == is_high(*b)).all(|run| !is_high(run[0]) || run.len() % 2 == 0);
    let mut parts = value.split(|byte| matches!(byte, b'^' | b'=' | b' ' | b'\\'));
    pairs && parts.any(|part| !part.is_empty() && part.iter().all(|byte| is_high(*byte)))
}

#[cfg(test)]
mod tests {
    use super::super::text::Charset;

    /// Declared, bytes, the text that is meant, the set that is guessed.
    type Case = (&'static [u8], &'static [u8], &'static str, Option<&'static str>);

    #[test]
    fn text_whose_set_is_missing_or_wrong_is_read_as_it_was_meant_and_the_guess_is_named() {
        let cases: [Case; 14] = [
            // Nothing declared.
            (b"", "王^小明".as_bytes(), "王^小明", Some("UTF-8")),
            (b"", b"\xD5\xC5^\xC8\xFD", "张^三", Some("GB18030")),
            (b"", b"Zhang^Rong=\xD5\xC5^\xE9\x46", "Zhang^Rong=张^镕", Some("GB18030")),
            (b"", b"\x8E\x52\x93\x63^\x91\xBE\x98\x59", "山田^太郎", Some("Shift-JIS")),
            (b"", b"Buc^J\xE9r\xF4me", "Buc^Jérôme", Some("ISO 8859-1")),
            (b"ISO_IR 6", b"M\xFCller^Anna", "Müller^Anna", Some("ISO 8859-1")),
            // Latin declared out of habit.
            (b"ISO_IR 100", b"\xD5\xC5^\xC8\xFD", "张^三", Some("GB18030")),
            (b"ISO_IR 100", "Müller^Anna".as_bytes(), "Müller^Anna", Some("UTF-8")),
            (b"ISO_IR 100", b"\x8E\x52\x93\x63^\x91\xBE\x98\x59", "山田^太郎", Some("Shift-JIS")),
            // Declared rightly.
            (b"ISO_IR 100", b"Buc^J\xE9r\xF4me", "Buc^Jérôme", None),
            (b"ISO_IR 100", b"J\xE4\xE4skel\xE4inen^P\xE4ivi", "Jääskeläinen^Päivi", None),
            (b"GB18030", b"\xD5\xC5^\xC8\xFD", "张^三", None),
            (b"ISO_IR 144", b"\xBB\xEE\xDA^\xB0", "Люк^А", None),
            // Declared, and not valid in it.
            (b"ISO_IR 192", b"\xD5\xC5^\xC8\xFD", "张^三", Some("GB18030")),
        ];
        for (declared, value, text, guessed) in cases {
            let found = Charset::of(declared).decode_or_guess(value);
            assert_eq!(found, (text.to_owned(), guessed), "{} {value:x?}", String::from_utf8_lossy(declared));
        }
    }

    #[test]
    fn ascii_and_iso_2022_are_never_guessed() {
        assert_eq!(Charset::of(b"").decode_or_guess(b"DOE^JANE"), ("DOE^JANE".into(), None));
        let hangul = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7";
        assert_eq!(Charset::of(b"\\ISO 2022 IR 149").decode_or_guess(hangul).1, None);
    }
}
