//! What was read from a screen, as it is compared with a name. Pure.

use std::sync::LazyLock;

use super::spelling::{fold, folded, is_ideograph, joined, run_together};
use crate::text::{Letter, Line};

/// A letter as it is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Glyph {
    folded: char,
    is_digit: bool,
    /// A blank, a sign or the begin of a line is before it.
    begins: bool,
    sure: f32,
}

/// What was read, without blanks and punctuation.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Text(Vec<Glyph>);

/// Words that stand beside a name.
const LABELS: &str = "PATIENTNAME PATIENTID DATEOFBIRTH PATIENT BIRTHDATE FEMALE GENDER BIRTH NAME MALE MRN DOB PID PAT SEX AGE \
    YRS ACC ID NR NO MR MS YR F M Y 患者姓名 患者 病人 姓名 性别 年龄 编号 女 男 岁 号";

/// A label, letter by letter as it is compared, and whether it is one character only.
static FOLDED: LazyLock<Vec<(Vec<char>, bool)>> = LazyLock::new(|| {
    let one = |label: &str| (joined(&folded(label).collect::<Vec<_>>()), label.chars().count() == 1);
    LABELS.split_whitespace().map(one).collect()
});

fn same(glyphs: &[Glyph], letters: &[char]) -> bool {
    glyphs.iter().zip(letters).all(|(glyph, c)| glyph.folded == *c)
}

impl Text {
    pub(super) fn of<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Self {
        let mut text: Vec<Glyph> = Vec::new();
        for line in lines {
            let mut begins = true;
            for Letter { character, sure } in line.0.iter().copied() {
                let Some(folded) = fold(character) else {
                    begins = true;
                    continue;
                };
                let glyph = Glyph { folded, is_digit: character.is_ascii_digit(), begins, sure };
                begins = false;
                match text.last_mut().and_then(|last| Some((run_together([last.folded, folded])?, last))) {
                    Some((one, last)) => *last = Glyph { folded: one, sure: last.sure.min(sure), ..*last },
                    None => text.push(glyph),
                }
            }
        }
        Self(text)
    }

    pub(super) fn letters(&self) -> usize {
        self.0.iter().filter(|glyph| !glyph.is_digit).count()
    }

    pub(super) fn is_ideographic(&self) -> bool {
        self.0.iter().any(|glyph| is_ideograph(glyph.folded))
    }

    /// How sure the least sure letter is; digits do not belong to a name.
    pub(super) fn least(&self) -> f32 {
        self.0.iter().filter(|glyph| !glyph.is_digit).map(|glyph| glyph.sure).fold(1.0, f32::min)
    }

    pub(super) fn mean(&self) -> f32 {
        let sum: f32 = self.0.iter().filter(|glyph| !glyph.is_digit).map(|glyph| glyph.sure).sum();
        sum / self.letters().max(1) as f32
    }

    /// Whether one of `words` is there, letter by letter; `true` when nothing but labels and numbers is beside it.
    pub(super) fn holds(&self, words: &[Vec<char>]) -> Option<bool> {
        let found = |word: &Vec<char>| {
            let places = self.0.windows(word.len()).enumerate();
            places
                .filter(|(_, window)| same(window, word))
                .map(|(start, _)| self.is_alone(start, start + word.len()))
                .max()
        };
        words.iter().filter_map(found).max()
    }

    /// Whether `word` is there but for one letter in it that is too many: a sign between the names (^ as A) was taken for it.
    pub(super) fn holds_around_a_sign(&self, word: &[char]) -> bool {
        let fits = |text: &[Glyph]| {
            (1..word.len()).any(|at| same(&text[..at], &word[..at]) && same(&text[at + 1..], &word[at..]))
        };
        self.0.windows(word.len() + 1).any(fits)
    }

    fn is_alone(&self, start: usize, end: usize) -> bool {
        // Chinese has no blanks between words.
        let apart = |at: usize| self.0.get(at).is_none_or(|glyph| glyph.begins || is_ideograph(glyph.folded));
        apart(start) && apart(end) && self.is_labels(0, start) && self.is_labels(end, self.0.len())
    }

    /// Whether nothing but labels and numbers stands there. A label or a number begins after a blank, a sign or a number. One
    /// letter (sex, years) counts only beside a number: it may be the initial of a name; 男 and 女 are parts of names, too.
    fn is_labels(&self, start: usize, end: usize) -> bool {
        let is_digit = |at: Option<usize>| at.and_then(|at| self.0.get(at)).is_some_and(|glyph| glyph.is_digit);
        let mut at = start;
        while at < end {
            let after_number = is_digit(at.checked_sub(1));
            let begins = self.0[at].begins || after_number || (at == start && is_ideograph(self.0[at].folded));
            if !begins {
                return false;
            }
            if self.0[at].is_digit {
                at += 1;
                continue;
            }
            let rest = &self.0[at..end];
            let counts = |label: &[char], single: bool| {
                !single || after_number || is_digit(Some(at + 1)) || (self.0[at].begins && is_ideograph(label[0]))
            };
            let fits = |(label, single): &&(Vec<char>, bool)| {
                let is_there = rest
                    .get(..label.len())
                    .is_some_and(|there| same(there, label) && there.iter().all(|glyph| !glyph.is_digit));
                is_there && counts(label, *single)
            };
            match FOLDED.iter().filter(fits).map(|(label, _)| label.len()).max() {
                Some(length) => at += length,
                None => return false,
            }
        }
        true
    }

    /// The fewest letters that are to be changed, added or left out so that `word` stands somewhere in this text (Sellers, J.
    /// Algorithms 1, 1980).
    pub(super) fn errors(&self, word: &[char]) -> usize {
        let mut row: Vec<usize> = vec![0; self.0.len() + 1];
        for (i, c) in word.iter().enumerate() {
            let mut diagonal = std::mem::replace(&mut row[0], i + 1);
            for (j, glyph) in self.0.iter().enumerate() {
                let changed = diagonal + usize::from(glyph.folded != *c);
                diagonal = row[j + 1];
                row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
            }
        }
        row.into_iter().min().unwrap_or(word.len())
    }
}
