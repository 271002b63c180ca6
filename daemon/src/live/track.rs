//! Lesions over time: what is found in one picture after another becomes one thing with one number. Pure.
//!
//! A lesion is shown once it was found in [`Policy::confirmed`] of the last [`Policy::window`] pictures, stays for a few
//! pictures without it, and keeps its number while it is away for a short time. Scores, signs and outline are smoothed.

use std::time::Duration;

use models::manifest::picture::Channel;
use models::task::us_breast::{Detection, Signs, words};

use super::view::Lesion;

/// Confirmation and likeness are those with which the package's thresholds were chosen
/// (`models/training/ultrasound/detect.py`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// Hits among the last `window` pictures before a lesion is shown.
    pub confirmed: u32,
    /// At most 32.
    pub window: u32,
    /// Pictures without it for which it is still shown.
    pub shown_for: u32,
    /// Pictures without it after which it is forgotten.
    pub kept_for: u32,
    /// Two boxes this much alike (intersection over union) are one thing.
    pub same: f32,
    /// How far scores and signs move towards what is new, 0 to 1.
    pub score_step: f32,
    /// The same for the outline.
    pub outline_step: f32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { confirmed: 3, window: 5, shown_for: 2, kept_for: 30, same: 0.2, score_step: 0.3, outline_step: 0.5 }
    }
}

/// The picture that shows a lesion best: surest and largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    pub sequence: u64,
    pub captured: Duration,
    /// Confidence times area, pixels.
    pub score: f32,
}

#[derive(Debug, Clone)]
struct Track {
    /// Given when it is first shown, so that numbers have no gaps.
    id: Option<u32>,
    /// One bit for each of the last pictures, the newest lowest.
    hits: u32,
    missed: u32,
    outline: Vec<[f32; 2]>,
    bounds: [f32; 4],
    confidence: f32,
    signs: Signs,
    axes: [f32; 2],
    best: Best,
}

/// All lesions of an exam.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    policy: Policy,
    tracks: Vec<Track>,
    shown: u32,
    /// Of the lesions that were forgotten meanwhile.
    past: Vec<(u32, Best)>,
}

impl Tracker {
    pub fn new(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Takes in what was found in the next picture; returns what is to be shown, in the order of numbers.
    pub fn update(
        &mut self,
        sequence: u64,
        captured: Duration,
        found: Vec<Detection>,
        mm_per_pixel: Option<f32>,
    ) -> Vec<Lesion> {
        let pairs = self.pairs(&found);
        let mut found: Vec<Option<Detection>> = found.into_iter().map(Some).collect();
        for (index, track) in self.tracks.iter_mut().enumerate() {
            let hit = pairs.iter().find(|(track, _)| *track == index).and_then(|(_, i)| found.get_mut(*i)?.take());
            track.hits = track.hits << 1 | u32::from(hit.is_some());
            match hit {
                Some(detection) => track.hit(detection, &self.policy, sequence, captured),
                None => track.missed += 1,
            }
        }
        self.forget();
        self.tracks.extend(found.into_iter().flatten().map(|d| Track::new(d, sequence, captured)));
        let window = 1u32.checked_shl(self.policy.window).map_or(u32::MAX, |bit| bit - 1);
        for track in &mut self.tracks {
            if track.id.is_none() && (track.hits & window).count_ones() >= self.policy.confirmed {
                self.shown += 1;
                track.id = Some(self.shown);
            }
        }
        let visible = self.tracks.iter().filter(|track| track.missed <= self.policy.shown_for);
        let mut lesions: Vec<_> = visible.filter_map(|track| track.lesion(mm_per_pixel)).collect();
        lesions.sort_by_key(|lesion| lesion.id);
        lesions
    }

    /// The best picture of each lesion that was ever shown, by number.
    pub fn best(&self) -> Vec<(u32, Best)> {
        let now = self.tracks.iter().filter_map(|track| Some((track.id?, track.best)));
        let mut all: Vec<_> = self.past.iter().copied().chain(now).collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// Which track is which detection: the most alike first, each used once.
    fn pairs(&self, found: &[Detection]) -> Vec<(usize, usize)> {
        let likeness = |(t, track): (usize, &Track)| {
            let each = found.iter().enumerate();
            each.map(move |(d, one)| (self.policy.likeness(track.bounds, one.bounds), t, d)).collect::<Vec<_>>()
        };
        let mut all: Vec<_> = self.tracks.iter().enumerate().flat_map(likeness).filter(|(l, ..)| *l > 0.0).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for (_, t, d) in all {
            if pairs.iter().all(|(track, one)| *track != t && *one != d) {
                pairs.push((t, d));
            }
        }
        pairs
    }

    fn forget(&mut self) {
        let (kept, gone) = std::mem::take(&mut self.tracks).into_iter().partition(|t| t.missed <= self.policy.kept_for);
        self.tracks = kept;
        let gone: Vec<Track> = gone;
        self.past.extend(gone.into_iter().filter_map(|track| Some((track.id?, track.best))));
    }
}

impl Policy {
    /// 0 for two things; more the more alike. Boxes that overlap too little may still be one thing that moved: when their
    /// middles are near for their size.
    fn likeness(&self, a: [f32; 4], b: [f32; 4]) -> f32 {
        let area = |c: [f32; 4]| (c[2] - c[0]).max(0.0) * (c[3] - c[1]).max(0.0);
        let both = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
        let overlap = both / (area(a) + area(b) - both).max(1e-6);
        if overlap > self.same {
            return 1.0 + overlap;
        }
        let [from, to] = [a, b].map(middle);
        let size = [a, b].map(|c| (c[2] - c[0]).hypot(c[3] - c[1]));
        let reach = 0.25 * (size[0] + size[1]);
        let alike = size[0] < 2.0 * size[1] && size[1] < 2.0 * size[0];
        let near = 1.0 - (to[0] - from[0]).hypot(to[1] - from[1]) / reach.max(1e-6);
        if alike { near.max(0.0) } else { 0.0 }
    }
}

fn middle(bounds: [f32; 4]) -> [f32; 2] {
    [f32::midpoint(bounds[0], bounds[2]), f32::midpoint(bounds[1], bounds[3])]
}

impl Track {
    fn new(one: Detection, sequence: u64, captured: Duration) -> Self {
        let best = Best { sequence, captured, score: one.confidence * one.area };
        let Detection { outline, bounds, confidence, signs, axes, .. } = one;
        Self { id: None, hits: 1, missed: 0, outline, bounds, confidence, signs, axes, best }
    }

    fn hit(&mut self, one: Detection, policy: &Policy, sequence: u64, captured: Duration) {
        self.missed = 0;
        let score = one.confidence * one.area;
        if score > self.best.score {
            self.best = Best { sequence, captured, score };
        }
        let step = policy.score_step;
        self.confidence += step * (one.confidence - self.confidence);
        self.signs = self.signs.towards(&one.signs, step);
        self.axes.iter_mut().zip(one.axes).for_each(|(own, new)| *own += step * (new - *own));
        // Where it is, is new; what it looks like is smoothed.
        let (from, to) = (middle(self.bounds), middle(one.bounds));
        let way = [to[0] - from[0], to[1] - from[1]];
        if self.outline.len() == one.outline.len() {
            let moved = |(own, new): (&[f32; 2], &[f32; 2])| {
                [0, 1].map(|a| {
                    let own = own[a] + way[a];
                    own + policy.outline_step * (new[a] - own)
                })
            };
            self.outline = self.outline.iter().zip(&one.outline).map(moved).collect();
        } else {
            self.outline = one.outline;
        }
        self.bounds = one.bounds;
    }

    /// `None` while it is not confirmed.
    fn lesion(&self, mm_per_pixel: Option<f32>) -> Option<Lesion> {
        Some(Lesion {
            id: self.id?,
            outline: self.outline.clone(),
            bounds: self.bounds,
            confidence: self.confidence,
            malignant: self.signs.of(Channel::Malignant),
            descriptors: words::descriptors(&self.signs, self.axes),
            size_mm: mm_per_pixel.map(|mm| self.axes.map(|axis| axis * mm)),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    /// A square of side `side` around a middle.
    fn square(x: f32, y: f32, side: f32, confidence: f32) -> Detection {
        let h = side / 2.0;
        let outline = vec![[x + h, y], [x + h, y + h], [x - h, y + h], [x - h, y - h]];
        let bounds = [x - h, y - h, x + h, y + h];
        Detection {
            outline,
            bounds,
            confidence,
            signs: Signs::new([confidence; 9]),
            area: side * side,
            axes: [side, side],
        }
    }

    fn update(tracker: &mut Tracker, number: u64, found: Vec<Detection>) -> Vec<Lesion> {
        tracker.update(number, Duration::from_millis(number * 33), found, Some(0.1))
    }

    #[test]
    fn a_lesion_is_shown_from_the_third_hit_in_five_pictures() {
        let mut tracker = Tracker::default();
        let hit = || vec![square(100.0, 100.0, 40.0, 0.9)];
        let shown: Vec<_> = [hit(), vec![], hit(), vec![], hit()]
            .into_iter()
            .enumerate()
            .map(|(i, found)| update(&mut tracker, i as u64, found).len())
            .collect();
        assert_eq!(shown, [0, 0, 0, 0, 1]);
        let mut rare = Tracker::default();
        let seen = (0..60).map(|i| update(&mut rare, i, if i % 3 == 0 { hit() } else { vec![] }).len()).sum::<usize>();
        assert_eq!(seen, 0, "one of three is never three of five");
    }

    #[test]
    fn it_goes_after_a_few_pictures_and_keeps_its_number_for_a_while() {
        let mut tracker = Tracker::default();
        let hit = || vec![square(100.0, 100.0, 40.0, 0.9)];
        let mut number = 0;
        let mut step = |found: Vec<Detection>| {
            number += 1;
            update(&mut tracker, number, found).iter().map(|lesion| lesion.id).collect::<Vec<_>>()
        };
        (0..5).for_each(|_| drop(step(hit())));
        assert_eq!([step(vec![]), step(vec![]), step(vec![])], [vec![1], vec![1], vec![]]);
        (0..27).for_each(|_| drop(step(vec![])));
        assert_eq!(step(hit()), [1], "the same thing");
        (0..31).for_each(|_| drop(step(vec![])));
        let again: Vec<_> = (0..3).map(|_| step(hit())).collect();
        assert_eq!(again, [vec![], vec![], vec![2]], "another thing");
        assert_eq!(tracker.best().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn two_that_move_past_each_other_keep_their_numbers() {
        let mut tracker = Tracker::default();
        for i in 0..60u64 {
            let x = i as f32 * 4.0;
            let shown =
                update(&mut tracker, i, vec![square(300.0 - x, 200.0, 40.0, 0.9), square(60.0 + x, 100.0, 40.0, 0.8)]);
            if i >= 2 {
                assert_eq!(shown.iter().map(|lesion| lesion.id).collect::<Vec<_>>(), [1, 2]);
                let (first, second) = (middle(shown[0].bounds)[1], middle(shown[1].bounds)[1]);
                assert!((first - 200.0).abs() < 1.0 && (second - 100.0).abs() < 1.0);
            }
        }
    }

    #[test]
    fn a_jump_within_its_own_size_is_the_same_thing() {
        let mut tracker = Tracker::default();
        (0..4).for_each(|i| drop(update(&mut tracker, i, vec![square(100.0, 100.0, 40.0, 0.9)])));
        // No more than a ninth in common.
        let shown = update(&mut tracker, 4, vec![square(124.0, 112.0, 40.0, 0.9)]);
        assert_eq!(shown.iter().map(|lesion| lesion.id).collect::<Vec<_>>(), [1]);
        assert_eq!(shown[0].bounds, [104.0, 92.0, 144.0, 132.0], "where it is now");
    }

    #[test]
    fn scores_are_smoothed_and_the_size_is_in_millimetres() {
        let mut tracker = Tracker::default();
        (0..9).for_each(|i| drop(update(&mut tracker, i, vec![square(100.0, 100.0, 40.0, 0.5)])));
        let shown = update(&mut tracker, 9, vec![square(100.0, 100.0, 60.0, 1.0)]);
        assert!((shown[0].confidence - 0.65).abs() < 1e-5 && (shown[0].malignant - 0.65).abs() < 1e-5);
        let [long, across] = shown[0].size_mm.unwrap();
        assert!((long - 4.6).abs() < 1e-4 && (across - 4.6).abs() < 1e-4);
        assert!((shown[0].outline[0][0] - 125.0).abs() < 1e-4, "half way from 120 to 130");
        let [(1, best)] = tracker.best()[..] else { panic!() };
        assert_eq!((best.sequence, best.score), (9, 3600.0));
    }

    proptest! {
        #[test]
        fn numbers_rise_are_never_shared_and_memory_is_bounded(
            pictures in prop::collection::vec(prop::collection::vec((0.0f32..500.0, 0.0f32..500.0, 5.0f32..80.0, 0.0f32..1.0), 0..6), 1..60),
        ) {
            let mut tracker = Tracker::default();
            let mut highest = 0;
            for (i, found) in pictures.into_iter().enumerate() {
                let found = found.into_iter().map(|(x, y, s, c)| square(x, y, s, c)).collect();
                let shown = update(&mut tracker, i as u64, found);
                prop_assert!(shown.windows(2).all(|pair| pair[0].id < pair[1].id));
                for lesion in &shown {
                    prop_assert!(lesion.outline.iter().flatten().all(|v| v.is_finite()));
                    prop_assert!((0.0..=1.0).contains(&lesion.confidence));
                    highest = highest.max(lesion.id);
                }
                prop_assert!(tracker.tracks.len() <= 6 * 32);
            }
            prop_assert!(tracker.best().len() >= highest as usize);
        }

        #[test]
        fn one_that_moves_slowly_keeps_its_number(step_x in -8.0f32..8.0, step_y in -8.0f32..8.0, gaps in prop::collection::vec(any::<bool>(), 40)) {
            let mut tracker = Tracker::default();
            let mut last_gap = false;
            for (i, gap) in gaps.into_iter().enumerate() {
                // Never two pictures in a row without it.
                let gap = gap && !last_gap && i > 4;
                last_gap = gap;
                let at = [400.0 + step_x * i as f32, 400.0 + step_y * i as f32];
                let found = if gap { vec![] } else { vec![square(at[0], at[1], 60.0, 0.9)] };
                let shown = update(&mut tracker, i as u64, found);
                if i > 4 {
                    prop_assert_eq!(shown.iter().map(|lesion| lesion.id).collect::<Vec<_>>(), vec![1]);
                }
            }
        }
    }
}
