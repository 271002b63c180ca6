//! Where the probe touches the skin: below the probe's own echo there is tissue, and not nothing, nor lines only.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Columns, Scan};

/// The image's width is judged in so many strips.
pub const STRIPS: usize = 32;
/// From here to there tissue is looked for: below the echo of probe and skin. mm, or where there is no scale shares of the height.
const FROM: (f32, f32) = (3.0, 0.08);
const TO: (f32, f32) = (10.0, 0.26);
/// Fewer lit pixels are no tissue.
const LEAST_LIT: f32 = 0.35;
/// A pixel shows something from this level on: a gain that is too low is no lost contact.
const LIT: u8 = 6;
/// More of the variance than this lies between rows and not within them: lines that the sound makes to and fro in gel or air. They run straight
/// on into neighbouring strips, this many to each side; layers of tissue do not.
const LINES: f64 = 0.92;
const AROUND: usize = 3;
/// Up to this share of the width may be without contact: nipple, edge.
const ALLOWED: f32 = 0.2;
/// More than this is all of it.
const ALL: f32 = 0.8;
/// More than this part of what has no contact lies in one half.
const ONE_SIDED: f32 = 0.75;

#[derive(Debug, Clone, PartialEq)]
pub struct Contact {
    /// Which strips have contact, from the left.
    pub strips: Vec<bool>,
    /// Share of the probe's width without it, 0 to 1.
    pub without: f32,
    pub word: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    Good,
    PoorLeft,
    PoorRight,
    /// In the middle, or here and there.
    Poor,
    /// Or the gain is far too low: both are black.
    PoorAll,
}

/// Judges one picture; `columns` show the image.
pub fn judge(scan: &Scan<'_>, columns: Columns) -> Contact {
    let rows = scan.row_at(FROM.0, FROM.1)..scan.row_at(TO.0, TO.1);
    let wide = |strip: usize| {
        let last = (strip + AROUND).min(STRIPS - 1);
        [of(strip.saturating_sub(AROUND), columns)[0], of(last, columns)[1]]
    };
    let touches = |strip: usize| {
        lit(scan, of(strip, columns), rows.clone()) >= LEAST_LIT && lines(scan, wide(strip), rows.clone()) < LINES
    };
    let strips: Vec<bool> = (0..STRIPS).map(touches).collect();
    let count = |strips: &[bool]| strips.iter().filter(|touches| !**touches).count() as f32;
    let (left, right) = strips.split_at(STRIPS / 2);
    let [left, right] = [count(left), count(right)];
    let without = (left + right) / STRIPS as f32;
    let word = if without <= ALLOWED {
        Word::Good
    } else if without > ALL {
        Word::PoorAll
    } else if left > ONE_SIDED * (left + right) {
        Word::PoorLeft
    } else if right > ONE_SIDED * (left + right) {
        Word::PoorRight
    } else {
        Word::Poor
    };
    Contact { strips, without, word }
}

/// Columns of a strip.
pub fn of(strip: usize, [first, end]: Columns) -> Columns {
    let at = |strip: usize| first + strip * (end - first) / STRIPS;
    [at(strip), at(strip + 1)]
}

/// Share of the pixels that show something.
fn lit(scan: &Scan<'_>, [first, end]: Columns, rows: Range<usize>) -> f32 {
    let pixels = rows.filter_map(|y| scan.row(y).get(first..end)).flatten();
    let (lit, all) = pixels.fold((0usize, 0usize), |(lit, all), level| (lit + usize::from(*level >= LIT), all + 1));
    lit as f32 / all.max(1) as f32
}

/// Share of the variance that lies between rows.
fn lines(scan: &Scan<'_>, [first, end]: Columns, rows: Range<usize>) -> f64 {
    let (mut sum, mut squares, mut between) = (0f64, 0f64, 0f64);
    let (count, wide) = ((rows.len() * (end - first)).max(1) as f64, (end - first).max(1) as f64);
    for y in rows {
        let row = scan.row(y).get(first..end).unwrap_or_default();
        let of_row: f64 = row.iter().map(|level| f64::from(*level)).sum();
        squares += row.iter().map(|level| f64::from(*level).powi(2)).sum::<f64>();
        sum += of_row;
        between += of_row * of_row / wide;
    }
    let mean = sum * sum / count;
    (between - mean) / (squares - mean).max(1e-9)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::super::testing::Drawn;
    use super::*;

    fn word(drawn: &Drawn) -> Word {
        judge(&drawn.scan(), [0, drawn.width]).word
    }

    #[test]
    fn a_lifted_probe_is_told_with_the_side_on_which_it_is() {
        let tissue = || Drawn::tissue(320, 240);
        for (lifted, expected) in [
            (0..0, Word::Good),
            (0..30, Word::Good),
            (0..120, Word::PoorLeft),
            (200..320, Word::PoorRight),
            (110..210, Word::Poor),
            (0..320, Word::PoorAll),
        ] {
            assert_eq!(word(&tissue().lifted(lifted.clone())), expected, "{lifted:?}");
        }
    }

    #[test]
    fn a_shadow_in_the_depth_is_no_lost_contact_and_lines_are_no_tissue() {
        assert_eq!(word(&Drawn::tissue(320, 240).blackened(100..220, 80..240)), Word::Good);
        let mut lines = Drawn::black(320, 240);
        for y in (0..240).filter(|y| y % 8 < 4) {
            lines.levels[y * 320..][..320].fill(120);
        }
        assert_eq!(word(&lines), Word::PoorAll);
        assert_eq!(judge(&Drawn::black(320, 0).scan(), [0, 320]).word, Word::PoorAll, "nothing at all");
    }

    proptest! {
        #[test]
        fn the_share_without_contact_is_the_share_that_is_lifted(from in 0usize..300, width in 0usize..300) {
            let end = (from + width).min(320);
            let contact = judge(&Drawn::tissue(320, 240).lifted(from..end).scan(), [0, 320]);
            let lifted = (end - from) as f32 / 320.0;
            // At both ends a strip may be lifted in part.
            prop_assert!((contact.without - lifted).abs() <= 2.0 / STRIPS as f32, "{} for {lifted}", contact.without);
        }
    }
}
