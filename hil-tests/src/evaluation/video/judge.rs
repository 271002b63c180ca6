//! Compares the overlays of one video with what was planted. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::paint::Sheet;
use super::replay::{Lesion, Seen};
use super::scan::{Shown, Truth};
use crate::live::{SEEN_MM2, SEEN_S};

/// Two boxes with at least this intersection over union are the same lesion; as in
/// `models/training/ultrasound/detect.py`.
const SAME: f32 = 0.2;
/// A number that was on two lesions for at least this many pictures each has merged them.
const MERGED: usize = 3;

/// The result of one video.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Case {
    pub seed: u64,
    pub seconds: f64,
    /// Pictures, and those that the model analysed.
    pub pictures: usize,
    pub looked_at: usize,
    /// Planted lesions that are visible enough, for long enough.
    pub wanted: usize,
    pub found: usize,
    /// Numbers that mostly were on no planted lesion.
    pub false_alarms: usize,
    /// Numbers that were on two planted lesions.
    pub merged: usize,
    /// Lesions that had a number, whether they had to be found or not.
    pub numbered: usize,
    /// How often a lesion that stayed in view got another number.
    pub switched: usize,
    /// How often a lesion that had a number went away and got a number again, and how often it was the same one.
    pub returned: usize,
    pub returned_the_same: usize,
    /// Dice of the pictures that show a lesion and were analysed.
    pub dice: Vec<f64>,
    pub scores: Vec<Score>,
}

/// The scores that the overlay gave one planted lesion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    pub id: u8,
    pub malignant: bool,
    /// Benign (0) to malignant (1).
    pub first: f64,
    pub last: f64,
    /// Pictures that showed the score, and those in which it was on the right side of 0.5.
    pub pictures: usize,
    pub right: usize,
}

impl Score {
    fn new(id: u8, malignant: bool, first: f64) -> Self {
        Self { id, malignant, first, last: first, pictures: 0, right: 0 }
    }

    fn take(&mut self, score: f64) {
        self.last = score;
        self.pictures += 1;
        self.right += usize::from((score >= 0.5) == self.malignant);
    }
}

/// On which planted lesions a number was, and in how many pictures; `None`: on no lesion.
type Places = BTreeMap<Option<u8>, usize>;

pub fn judge(truth: &Truth, seen: &[Seen]) -> Case {
    let mut case = Case {
        seed: truth.seed,
        seconds: truth.frames.len() as f64 / truth.fps,
        pictures: seen.len(),
        ..Case::default()
    };
    let mut sheet = Sheet::new(truth.screen);
    let mut numbers: BTreeMap<u32, Places> = BTreeMap::new();
    // For each planted lesion: picture and number.
    let mut hits: BTreeMap<u8, Vec<(usize, u32)>> = BTreeMap::new();
    let mut scores: BTreeMap<u8, Score> = BTreeMap::new();
    for (shown, one) in seen.iter().filter_map(|one| Some((truth.frames.get(one.sequence)?, one))) {
        let Some(overlay) = &one.overlay else { continue };
        case.looked_at += 1;
        if !shown.is_empty() {
            case.dice.extend(sheet.dice(shown, &overlay.lesions));
        }
        let mut best: BTreeMap<u8, (f32, &Lesion)> = BTreeMap::new();
        for lesion in &overlay.lesions {
            let on = on(lesion.bounds, shown);
            *numbers.entry(lesion.id).or_default().entry(on.map(|(_, id)| id)).or_default() += 1;
            if let Some((alike, id)) = on
                && best.get(&id).is_none_or(|(other, _)| alike > *other)
            {
                best.insert(id, (alike, lesion));
            }
        }
        for (id, (_, lesion)) in best {
            hits.entry(id).or_default().push((one.sequence, lesion.id));
            let malignant = truth.lesions.iter().any(|planted| planted.id == id && planted.malignant);
            let score = scores.entry(id).or_insert_with(|| Score::new(id, malignant, lesion.malignant));
            score.take(lesion.malignant);
        }
    }
    let found: Vec<u8> = numbers.values().filter_map(mostly).collect();
    let wanted: Vec<u8> = truth.lesions.iter().map(|planted| planted.id).filter(|id| is_wanted(truth, *id)).collect();
    case.found = wanted.iter().filter(|id| found.contains(id)).count();
    case.wanted = wanted.len();
    case.false_alarms = numbers.values().filter(|places| mostly(places).is_none()).count();
    let lay_on = |places: &Places| places.iter().filter(|(on, n)| on.is_some() && **n >= MERGED).count();
    case.merged = numbers.values().filter(|places| lay_on(places) > 1).count();
    case.numbered = hits.len();
    for (id, hits) in &hits {
        for pair in hits.windows(2) {
            let ((from, one), (to, other)) = (pair[0], pair[1]);
            let stayed = truth.frames[from..=to].iter().all(|shown| shown.iter().any(|lesion| lesion.id == *id));
            match (stayed, one == other) {
                (true, same) => case.switched += usize::from(!same),
                (false, same) => {
                    case.returned += 1;
                    case.returned_the_same += usize::from(same);
                }
            }
        }
    }
    case.scores = scores.into_values().filter(|score| found.contains(&score.id)).collect();
    case
}

/// The lesion on which a number was in more than half of its pictures.
fn mostly(places: &Places) -> Option<u8> {
    let all: usize = places.values().sum();
    let on: usize = places.iter().filter(|(on, _)| on.is_some()).map(|(_, n)| n).sum();
    let (most, _) = places.iter().filter_map(|(on, n)| Some(((*on)?, n))).max_by_key(|(_, n)| **n)?;
    (2 * on > all).then_some(most)
}

fn is_wanted(truth: &Truth, id: u8) -> bool {
    let shows = |shown: &[Shown]| shown.iter().any(|lesion| lesion.id == id && lesion.area_mm2 >= SEEN_MM2);
    truth.frames.iter().filter(|shown| shows(shown)).count() as f64 / truth.fps >= SEEN_S
}

/// The planted lesion whose box overlaps most, of those that overlap enough or contain the centre.
fn on(bounds: [f32; 4], shown: &[Shown]) -> Option<(f32, u8)> {
    let middle = [f32::midpoint(bounds[0], bounds[2]), f32::midpoint(bounds[1], bounds[3])];
    let alike = |b: [f32; 4]| {
        let holds = b[0] <= middle[0] && middle[0] <= b[2] && b[1] <= middle[1] && middle[1] <= b[3];
        overlap(bounds, b) + f32::from(u8::from(holds))
    };
    let each = shown.iter().map(|lesion| (alike(lesion.bounds), lesion.id)).filter(|(alike, _)| *alike > SAME);
    each.max_by(|a, b| a.0.total_cmp(&b.0))
}

fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |c: [f32; 4]| (c[2] - c[0]).max(0.0) * (c[3] - c[1]).max(0.0);
    let both = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    both / (area(a) + area(b) - both).max(1e-6)
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
