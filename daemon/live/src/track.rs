//! Lesions over time: what is found in one picture after another becomes one thing with one number. Pure.
//!
//! A lesion is shown once it was found in [`Policy::confirmed`] of the last [`Policy::window`] pictures, and stays for a few
//! pictures without it. One that went keeps its number for seconds: a probe slides past a lesion and back. It gets it again
//! when it comes back as it went (`likeness`), and when nothing else could be meant. Outline and size are smoothed; what it
//! looks like is the mean of all pictures, those that show it sure and large counting most.

mod likeness;

use std::time::Duration;

use models::manifest::picture::Channel;
use models::task::us_breast::lesion::Lesion;
use models::task::us_breast::{Detection, Signs, words};

use self::likeness::Look;

/// Confirmation and likeness are those with which the package's thresholds were chosen
/// (`models/training/ultrasound/detect.py`); what comes back was measured on validation phantoms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// Hits among the last `window` pictures before a lesion is shown.
    pub confirmed: u32,
    /// At most 32.
    pub window: u32,
    /// Pictures without it for which it is still shown.
    pub shown_for: u32,
    /// Pictures without it after which it must be confirmed anew when it comes back.
    pub sure_for: u32,
    /// How long it is remembered, by the time that was looked at.
    pub kept_for: Duration,
    /// Two boxes this much alike (intersection over union) are one thing.
    pub same: f32,
    /// How far confidence and size move towards what is new, 0 to 1.
    pub score_step: f32,
    /// The same for the outline.
    pub outline_step: f32,
    /// What may differ when a lesion comes back.
    pub back: likeness::Limits,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            confirmed: 3,
            window: 5,
            shown_for: 2,
            sure_for: 30,
            kept_for: Duration::from_secs(10),
            same: 0.2,
            score_step: 0.3,
            outline_step: 0.5,
            back: likeness::Limits::default(),
        }
    }
}

/// The longest step that counts as time looked at: a frozen picture, or a pause, makes nobody forget.
const LONGEST_STEP: Duration = Duration::from_millis(100);
/// No more lesions that went are remembered; the oldest is forgotten first.
const MOST_LOST: usize = 32;

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
    /// When it was found last, by the time that was looked at.
    seen: Duration,
    outline: Vec<[f32; 2]>,
    bounds: [f32; 4],
    confidence: f32,
    /// The mean of all pictures.
    signs: Signs,
    /// Confidence times area of all of them, pixels.
    weight: f32,
    axes: [f32; 2],
    /// Of the screen, when it was found last.
    mm_per_pixel: Option<f32>,
    best: Best,
}

/// All lesions of an exam.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    policy: Policy,
    tracks: Vec<Track>,
    shown: u32,
    /// Time that was looked at.
    now: Duration,
    /// When the last picture was taken.
    captured: Option<Duration>,
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
        let step = captured.saturating_sub(self.captured.unwrap_or(captured));
        (self.now, self.captured) = (self.now + step.min(LONGEST_STEP), Some(captured));
        let pairs = self.pairs(&found, mm_per_pixel);
        let mut found: Vec<Option<Detection>> = found.into_iter().map(Some).collect();
        for (index, track) in self.tracks.iter_mut().enumerate() {
            let hit = pairs.iter().find(|(track, _)| *track == index).and_then(|(_, i)| found.get_mut(*i)?.take());
            track.hits = track.hits << 1 | u32::from(hit.is_some());
            match hit {
                Some(detection) => {
                    track.hit(detection, &self.policy, sequence, captured);
                    (track.seen, track.mm_per_pixel) = (self.now, mm_per_pixel);
                }
                None => track.missed += 1,
            }
        }
        self.forget();
        let new = |one| Track { seen: self.now, mm_per_pixel, ..Track::new(one, sequence, captured) };
        self.tracks.extend(found.into_iter().flatten().map(new));
        self.number();
        let visible = self.tracks.iter().filter(|track| !track.is_lost(&self.policy));
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
    fn pairs(&self, found: &[Detection], mm_per_pixel: Option<f32>) -> Vec<(usize, usize)> {
        let policy = &self.policy;
        let alike = |track: &Track, one: &Detection| {
            let came_back = || policy.back.allow(&track.look(), &Look { mm_per_pixel, ..Look::from(one) });
            if track.is_lost(policy) && (track.missed > policy.sure_for || !came_back()) {
                return 0.0;
            }
            likeness::of_boxes(track.bounds, one.bounds, policy.same)
        };
        let likeness = |(t, track): (usize, &Track)| {
            found.iter().enumerate().map(|(d, one)| (alike(track, one), t, d)).collect::<Vec<_>>()
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

    /// What is confirmed by now gets its number: that of the lesion which came back, or the next.
    fn number(&mut self) {
        let window = 1u32.checked_shl(self.policy.window).map_or(u32::MAX, |bit| bit - 1);
        let is_due = |track: &Track, confirmed| track.id.is_none() && (track.hits & window).count_ones() >= confirmed;
        while let Some(index) = self.tracks.iter().position(|track| is_due(track, self.policy.confirmed)) {
            let Some(lost) = self.went(index) else {
                self.shown += 1;
                self.tracks[index].id = Some(self.shown);
                continue;
            };
            let went = self.tracks.remove(lost);
            self.tracks[index - usize::from(lost < index)].goes_on(went);
        }
    }

    /// The lesion that went and comes back as track `index`: the only one that it can be. Where there are two, or another
    /// newcomer could be the same, nobody knows.
    fn went(&self, index: usize) -> Option<usize> {
        let can_be = |lost: &Track, new: &Track| self.policy.back.allow(&lost.look(), &new.look());
        let new = self.tracks.get(index)?;
        let is_lost = |track: &Track| track.is_lost(&self.policy) && can_be(track, new);
        let mut all = self.tracks.iter().enumerate().filter(|(_, track)| is_lost(track));
        let (found, lost) = all.next().filter(|_| all.next().is_none())?;
        let mut newcomers = self.tracks.iter().filter(|track| track.id.is_none() && can_be(lost, track));
        newcomers.nth(1).is_none().then_some(found)
    }

    /// What was never shown is forgotten once it can no longer be confirmed by what was seen; a lesion, after a while.
    fn forget(&mut self) {
        let lost = self.tracks.iter().filter(|track| track.is_lost(&self.policy)).count();
        let mut surplus = lost.saturating_sub(MOST_LOST);
        let policy = self.policy;
        let now = self.now;
        let stays = |track: &Track| {
            if track.id.is_none() {
                return track.missed <= policy.window;
            }
            let is_surplus = surplus > 0 && track.is_lost(&policy);
            surplus -= usize::from(is_surplus);
            !is_surplus && now.saturating_sub(track.seen) <= policy.kept_for
        };
        // Lesions stand in the order in which they first came.
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.tracks).into_iter().partition(stays);
        self.tracks = kept;
        self.past.extend(gone.into_iter().filter_map(|track: Track| Some((track.id?, track.best))));
    }
}

fn middle(bounds: [f32; 4]) -> [f32; 2] {
    [f32::midpoint(bounds[0], bounds[2]), f32::midpoint(bounds[1], bounds[3])]
}

impl Track {
    fn new(one: Detection, sequence: u64, captured: Duration) -> Self {
        let weight = one.confidence * one.area;
        let best = Best { sequence, captured, score: weight };
        let Detection { outline, bounds, confidence, signs, axes, .. } = one;
        let (seen, mm_per_pixel) = (Duration::ZERO, None);
        Self {
            id: None,
            hits: 1,
            missed: 0,
            seen,
            outline,
            bounds,
            confidence,
            signs,
            weight,
            axes,
            mm_per_pixel,
            best,
        }
    }

    /// It has a number, and is shown no more.
    fn is_lost(&self, policy: &Policy) -> bool {
        self.id.is_some() && self.missed > policy.shown_for
    }

    fn look(&self) -> Look {
        Look { bounds: self.bounds, signs: self.signs, mm_per_pixel: self.mm_per_pixel }
    }

    fn hit(&mut self, one: Detection, policy: &Policy, sequence: u64, captured: Duration) {
        self.missed = 0;
        let score = one.confidence * one.area;
        if score > self.best.score {
            self.best = Best { sequence, captured, score };
        }
        let step = policy.score_step;
        self.confidence += step * (one.confidence - self.confidence);
        self.add(&one.signs, score);
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

    /// Takes signs into the mean.
    fn add(&mut self, signs: &Signs, weight: f32) {
        self.weight += weight;
        self.signs = self.signs.towards(signs, if self.weight > 0.0 { weight / self.weight } else { 1.0 });
    }

    /// It is what went before: its number, its best picture, and what was seen of it then.
    fn goes_on(&mut self, went: Self) {
        self.id = went.id;
        if went.best.score > self.best.score {
            self.best = went.best;
        }
        self.add(&went.signs, went.weight);
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
mod tests;
