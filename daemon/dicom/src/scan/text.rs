//! Decodes text for display and comparison; text in an unknown character set is decoded lossily. Results copy the bytes
//! instead.

use dicom_encoding::text::{SpecificCharacterSet, TextCodec};

use super::guess::{self, Declared};
use crate::text::steers;

/// Text for display is cut after this many characters.
const LONGEST: usize = 1024;

/// Specific Character Set (0008,0005) of one data set.
#[derive(Debug)]
pub(super) struct Charset(SpecificCharacterSet, Declared);

impl Charset {
    /// With code extensions (several values, ISO 2022) the last known character set is used: its decoder reads ASCII
    /// too, and the escape sequences of the Korean and Chinese sets can be removed because their bytes are above 0x80.
    pub(super) fn of(value: &[u8]) -> Self {
        let codes = trimmed(value);
        let known = codes.split('\\').map(str::trim);
        let mut known =
            known.filter_map(|code| SpecificCharacterSet::from_code(code).map(|set| (set, Declared::of(code))));
        let (set, declared) = known.next_back().unwrap_or_else(|| (SpecificCharacterSet::default(), Declared::Nothing));
        Self(set, declared)
    }

    /// As [`Charset::decode`]. When the declared character set cannot be right, or there is none, the text is read in
    /// the most likely one, whose name is returned.
    pub(super) fn decode_or_guess(&self, value: &[u8]) -> (String, Option<&'static str>) {
        let plain = value.is_ascii() || value.contains(&ESCAPE);
        match if plain { None } else { guess::guess(&self.0, self.1, value) } {
            Some((name, text)) => (tidy(&text), Some(name)),
            None => (self.decode(value), None),
        }
    }

    pub(super) fn decode(&self, value: &[u8]) -> String {
        let plain = value.iter().all(|byte| byte.is_ascii() && *byte != ESCAPE);
        let text = if plain {
            String::from_utf8_lossy(value).into_owned()
        } else {
            let bytes = if value.contains(&ESCAPE) { without_designations(value) } else { value.to_vec() };
            self.0.decode(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(value).into_owned())
        };
        tidy(&text)
    }
}

const ESCAPE: u8 = 0x1B;

/// Removes `ESC $ ) x` (selects a Korean or Chinese set as G1). The Japanese escape sequences stay for their decoder.
fn without_designations(value: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(byte) = rest.first() {
        if let [ESCAPE, b'$', b')', _, tail @ ..] = rest {
            rest = tail;
        } else {
            kept.push(*byte);
            rest = &rest[1..];
        }
    }
    kept
}

fn tidy(text: &str) -> String {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    text.chars().filter(|c| !steers(*c)).take(LONGEST).collect()
}

/// A value of VR CS or a code, for comparison.
pub(super) fn code(value: &[u8]) -> String {
    tidy(&String::from_utf8_lossy(value))
}

/// Removes NUL and spaces around a value of VR UI or CS.
pub(super) fn trimmed(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned()
}

/// The finite numbers of a DS value.
pub(super) fn floats(value: &[u8]) -> Vec<f64> {
    let text = trimmed(value);
    text.split('\\').filter_map(|part| part.trim().parse().ok()).filter(|number: &f64| number.is_finite()).collect()
}

/// The first number of an IS value.
pub(super) fn integer(value: &[u8]) -> Option<i64> {
    let text = trimmed(value);
    let first = text.split('\\').next()?.trim();
    first.strip_prefix('+').unwrap_or(first).parse().ok()
}
