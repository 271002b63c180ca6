//! Whether the depth of the picture fits: a lesion that goes on below it, or a large part of it without any echo.

use serde::{Deserialize, Serialize};

use super::contact::{self, Contact};
use super::extent::LIT;
use super::{Columns, Scan};

/// A row has an echo when this share of it is lit.
const LEAST_LIT: f32 = 0.08;
/// More of the depth than this without an echo is wasted.
const MOST_EMPTY: f32 = 0.35;
/// A lesion that comes as near to the lower edge as this share of the height goes on below it.
const EDGE: f32 = 0.015;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Depth {
    /// Share of the depth, from below, in which there is no echo, 0 to 1.
    pub empty: f32,
    pub word: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    Good,
    /// A lesion goes on below the picture.
    TooShallow,
    /// Much of the picture is empty: too much depth, or too little gain for it.
    TooDeep,
}

/// Judges what has contact; `lowest`: row of the sector down to which lesions reach. `None` where nothing has contact.
pub fn judge(scan: &Scan<'_>, columns: Columns, contact: &Contact, lowest: Option<f32>) -> Option<Depth> {
    let strips: Vec<Columns> = (0..contact::STRIPS)
        .filter(|strip| contact.strips.get(*strip) == Some(&true))
        .map(|strip| contact::of(strip, columns))
        .collect();
    let height = scan.height();
    if strips.is_empty() || height == 0 {
        return None;
    }
    let has_echo = |y: &usize| {
        let cuts = strips.iter().filter_map(|[first, end]| scan.row(*y).get(*first..*end));
        let (lit, all) = cuts.flatten().fold((0, 0), |(lit, all), level| (lit + usize::from(*level >= LIT), all + 1));
        lit as f32 > LEAST_LIT * all as f32
    };
    let last = (0..height).rev().find(has_echo).map_or(0, |y| y + 1);
    let empty = (height - last) as f32 / height as f32;
    let word = if lowest.is_some_and(|lowest| lowest >= height as f32 * (1.0 - EDGE)) {
        Word::TooShallow
    } else if empty > MOST_EMPTY {
        Word::TooDeep
    } else {
        Word::Good
    };
    Some(Depth { empty, word })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Drawn;
    use super::*;

    fn judged(drawn: &Drawn, lowest: Option<f32>) -> Option<Depth> {
        let contact = contact::judge(&drawn.scan(), [0, drawn.width]);
        judge(&drawn.scan(), [0, drawn.width], &contact, lowest)
    }

    #[test]
    fn an_empty_depth_and_a_lesion_at_the_lower_edge_are_told() {
        let tissue = || Drawn::tissue(320, 240);
        assert_eq!(judged(&tissue(), Some(150.0)).unwrap().word, Word::Good);
        assert_eq!(judged(&tissue(), Some(239.0)).unwrap().word, Word::TooShallow);
        let deep = judged(&tissue().blackened(0..320, 120..240), None).unwrap();
        assert!(deep.word == Word::TooDeep && (deep.empty - 0.5).abs() < 0.02, "{deep:?}");
        let shadow = judged(&tissue().blackened(0..160, 80..240), None).unwrap();
        assert_eq!(shadow.word, Word::Good, "half of it only: {shadow:?}");
        assert_eq!(judged(&tissue().lifted(0..320), None), None);
    }
}
