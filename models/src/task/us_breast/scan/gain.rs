//! Whether the picture is too dark or too bright: saturated and black pixels, and the median level of what has contact.

use serde::{Deserialize, Serialize};

use super::contact::{self, Contact};
use super::{Columns, Scan};

/// Of the depth only this part is judged: below it lie muscle and chest wall.
const DOWN_TO: f32 = 0.6;
/// From the skin on: mm, or a share of the height.
const FROM: (f32, f32) = (2.0, 0.05);
const SATURATED: usize = 250;
const BLACK: usize = 4;
/// More of either is too much; so is a median beyond these levels.
const MOST_SATURATED: f32 = 0.05;
const MOST_BLACK: f32 = 0.4;
const DARKEST: u8 = 32;
const BRIGHTEST: u8 = 150;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain {
    /// Shares of the pixels, 0 to 1.
    pub saturated: f32,
    pub black: f32,
    /// Grey level, 0 to 255.
    pub median: u8,
    pub word: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    Good,
    TooLow,
    TooHigh,
}

/// Judges what has contact; `None` where nothing has.
pub fn judge(scan: &Scan<'_>, columns: Columns, contact: &Contact) -> Option<Gain> {
    let mut counts = [0usize; 256];
    let rows = scan.row_at(FROM.0, FROM.1)..scan.row_of(DOWN_TO);
    let touching = || (0..contact::STRIPS).filter(|strip| contact.strips.get(*strip) == Some(&true));
    for y in rows {
        for [first, end] in touching().map(|strip| contact::of(strip, columns)) {
            scan.row(y).get(first..end)?.iter().for_each(|level| counts[usize::from(*level)] += 1);
        }
    }
    let all: usize = counts.iter().sum();
    if all == 0 {
        return None;
    }
    let share = |levels: &[usize]| levels.iter().sum::<usize>() as f32 / all as f32;
    let (saturated, black) = (share(&counts[SATURATED..]), share(&counts[..=BLACK]));
    let median = (0u8..=255).zip(&counts).scan(0, |sum, (level, count)| {
        *sum += count;
        Some((level, *sum))
    });
    let median = median.into_iter().find(|(_, sum)| sum * 2 >= all).map_or(0, |(level, _)| level);
    let word = if saturated > MOST_SATURATED || median > BRIGHTEST {
        Word::TooHigh
    } else if black > MOST_BLACK || median < DARKEST {
        Word::TooLow
    } else {
        Word::Good
    };
    Some(Gain { saturated, black, median, word })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Drawn;
    use super::*;

    fn judged(drawn: &Drawn) -> Option<Gain> {
        let contact = contact::judge(&drawn.scan(), [0, drawn.width]);
        judge(&drawn.scan(), [0, drawn.width], &contact)
    }

    #[test]
    fn dark_and_bright_pictures_are_told_apart_from_good_ones() {
        for (level, expected) in [(80, Word::Good), (130, Word::Good), (18, Word::TooLow), (240, Word::TooHigh)] {
            let gain = judged(&Drawn::speckle(320, 240, level, 3)).unwrap();
            assert_eq!(gain.word, expected, "{level}: {gain:?}");
        }
    }

    #[test]
    fn what_does_not_touch_does_not_count_as_black() {
        let gain = judged(&Drawn::tissue(320, 240).lifted(0..160)).unwrap();
        assert_eq!(gain.word, Word::Good, "{gain:?}");
        assert_eq!(judged(&Drawn::tissue(320, 240).lifted(0..320)), None);
    }
}
