//! Follows lesions over time: detections in successive pictures become one lesion with one number. Pure.
//!
//! A lesion is shown once it was found in [`Policy::confirmed`] of the last [`Policy::window`] pictures, and stays
//! visible for a few pictures in which it is not found. A lesion that left the picture keeps its number for some
//! seconds, since a probe slides past a lesion and back. It gets that number again when it comes back looking the same
//! (`likeness`) and no other lesion could be meant, not even one that has been forgotten. After a cut ([`Tracker::cut`]) every lesion comes
//! back so or not at all, and a number never goes from one breast to the other, unless the lesion stays in view while another breast is
//! named: then it was the wrong one. Outline and size are smoothed. Its signs are the mean over all
//! pictures; those that show it large and with high confidence count most.

mod likeness;

use std::time::Duration;

use models::findings::Side;
use models::manifest::picture::Channel;
use models::task::us_breast::lesion::Lesion;
use models::task::us_breast::{Detection, Signs, clip, words};

use self::likeness::Look;

/// `confirmed`, `window` and `same` are the values with which the package's thresholds were chosen
/// (`models/training/ultrasound/detect.py`); `back` was measured on validation phantoms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// A lesion is shown when it was found in this many of the last `window` pictures.
    pub confirmed: u32,
    /// At most 32.
    pub window: u32,
    /// For how many pictures in which it is not found it is still shown.
    pub shown_for: u32,
    /// After this many pictures in which it is not found, it must be confirmed again when it comes back.
    pub sure_for: u32,
    /// How long it is remembered; time without new pictures does not count.
    pub kept_for: Duration,
    /// Two boxes whose intersection over union is larger than this are one lesion.
    pub same: f32,
    /// How far confidence and size move towards a new detection, 0 to 1.
    pub score_step: f32,
    /// The same for the outline and for how it looks lately.
    pub outline_step: f32,
    /// How much a lesion that comes back may differ.
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
            same: clip::SAME,
            score_step: 0.3,
            outline_step: 0.5,
            back: likeness::Limits::default(),
        }
    }
}

/// Longest time between two pictures that counts: a frozen picture or a pause does not make lesions expire.
const LONGEST_STEP: Duration = Duration::from_millis(100);
/// Between two pictures that are further apart the probe may have been put on the other breast.
const PAUSE: Duration = Duration::from_millis(250);
/// At most this many lesions out of sight are remembered; the oldest is forgotten first.
const MOST_LOST: usize = 32;

/// The picture that shows a lesion best: with the highest product of confidence and area.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    pub sequence: u64,
    pub captured: Duration,
    /// Confidence times area, square pixels.
    pub score: f32,
}

#[derive(Debug, Clone)]
struct Track {
    /// Assigned when it is first shown, so that numbers have no gaps.
    id: Option<u32>,
    /// Whether it was found: one bit for each of the last pictures, the newest is the lowest.
    hits: u32,
    /// In how many pictures in a row it was not found.
    missed: u32,
    /// When it was found last, by [`Tracker::now`].
    seen: Duration,
    outline: Vec<[f32; 2]>,
    bounds: [f32; 4],
    confidence: f32,
    /// Mean over all pictures.
    signs: Signs,
    /// Of the last pictures: a lesion that leaves is seen at its rim, which may look otherwise than its middle.
    lately: Signs,
    /// Sum of confidence times area over all pictures, square pixels.
    weight: f32,
    axes: [f32; 2],
    /// Scale of the picture in which it was found last.
    mm_per_pixel: Option<f32>,
    best: Best,
    /// A lesion like it has been forgotten: what comes back looking like this one may be the other.
    doubtful: bool,
    /// The breast that was named when it was found last.
    side: Option<Side>,
    /// Another breast was named while it was in view. Once it is out of view, what comes is not this one.
    crossed: bool,
    /// Another breast was named since it was found last: it goes on only if it looks alike.
    unproven: bool,
}

/// All lesions of an exam.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    policy: Policy,
    tracks: Vec<Track>,
    shown: u32,
    /// The breast that is scanned, as it was said last; `None`: it is not said.
    side: Option<Side>,
    /// That is another thing than it was for the last picture.
    said_anew: bool,
    /// Time with new pictures: the sum of the steps between pictures, each at most [`LONGEST_STEP`].
    now: Duration,
    /// When the last picture was captured.
    captured: Option<Duration>,
    /// Best pictures of the lesions that were forgotten.
    past: Vec<(u32, Best)>,
}

impl Tracker {
    pub fn new(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// The next picture does not continue the last one: the probe was elsewhere meanwhile. Where something is proves nothing then.
    pub fn cut(&mut self) {
        self.tracks.retain(|track| track.id.is_some());
        for track in &mut self.tracks {
            track.missed = track.missed.max(self.policy.sure_for + 1);
        }
    }

    /// Says which breast is scanned from the next picture on.
    pub fn scanned(&mut self, side: Option<Side>) {
        if std::mem::replace(&mut self.side, side) != side {
            self.said_anew = true;
            self.tracks.iter_mut().for_each(|track| track.unproven = true);
        }
    }

    /// Takes what was found in the next picture; returns the lesions to be shown, in the order of their numbers.
    pub fn update(
        &mut self,
        sequence: u64,
        captured: Duration,
        found: Vec<Detection>,
        mm_per_pixel: Option<f32>,
    ) -> Vec<Lesion> {
        let step = captured.saturating_sub(self.captured.unwrap_or(captured));
        (self.now, self.captured) = (self.now + step.min(LONGEST_STEP), Some(captured));
        if std::mem::take(&mut self.said_anew) && step > PAUSE {
            self.cut();
        }
        let pairs = self.pairs(&found, mm_per_pixel);
        let mut found: Vec<Option<Detection>> = found.into_iter().map(Some).collect();
        for (index, track) in self.tracks.iter_mut().enumerate() {
            let hit = pairs.iter().find(|(track, _)| *track == index).and_then(|(_, i)| found.get_mut(*i)?.take());
            track.hits = track.hits << 1 | u32::from(hit.is_some());
            match hit {
                Some(detection) => {
                    track.scaled(&detection, mm_per_pixel);
                    track.hit(detection, &self.policy, sequence, captured);
                    track.seen = self.now;
                    track.is_in(self.side);
                }
                None => track.missed += 1,
            }
        }
        self.forget();
        let new = |one| Track { seen: self.now, mm_per_pixel, side: self.side, ..Track::new(one, sequence, captured) };
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

    /// Pairs of track and detection; the most alike are paired first, and each is used once.
    fn pairs(&self, found: &[Detection], mm_per_pixel: Option<f32>) -> Vec<(usize, usize)> {
        let policy = &self.policy;
        let alike = |track: &Track, one: &Detection| {
            let came_back = || policy.back.allow(&track.look(), &Look { mm_per_pixel, ..Look::from(one) });
            let is_lost = track.is_lost(policy);
            if is_lost && (track.missed > policy.sure_for || !track.can_be_in(self.side)) {
                return 0.0;
            }
            if (is_lost || track.unproven) && !came_back() {
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

    /// Gives a number to each track that is confirmed by now: the number of the lesion that came back, or the next free
    /// one.
    fn number(&mut self) {
        let window = 1u32.checked_shl(self.policy.window).map_or(u32::MAX, |bit| bit - 1);
        let is_due = |track: &Track, confirmed| track.id.is_none() && (track.hits & window).count_ones() >= confirmed;
        while let Some(index) = self.tracks.iter().position(|track| is_due(track, self.policy.confirmed)) {
            let Some(lost) = self.lost_before(index) else {
                self.shown += 1;
                self.tracks[index].id = Some(self.shown);
                continue;
            };
            let went = self.tracks.remove(lost);
            self.tracks[index - usize::from(lost < index)].goes_on(went);
        }
    }

    /// Index of the lost lesion that comes back as track `index`. `None` when no lost lesion is like it, when several
    /// are, when the lost lesion could as well be another new track, or when one like it has been forgotten.
    fn lost_before(&self, index: usize) -> Option<usize> {
        let can_be = |lost: &Track, new: &Track| self.policy.back.allow(&lost.look(), &new.look());
        let new = self.tracks.get(index)?;
        let mut candidates = Vec::new();
        for (at, track) in self.tracks.iter().enumerate() {
            if track.is_lost(&self.policy) && track.can_be_in(new.side) && can_be(track, new) {
                candidates.push((at, track));
            }
        }
        let [(found, lost)] = candidates[..] else { return None };
        let others = self.tracks.iter().filter(|track| track.id.is_none() && can_be(lost, track)).count();
        (others == 1 && !lost.doubtful).then_some(found)
    }

    /// Drops tracks that were never shown and can no longer be confirmed, and lesions that have been lost for too long.
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
        // Tracks are in the order in which they were first found.
        let (mut kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.tracks).into_iter().partition(stays);
        let numbered = || gone.iter().filter(|track| track.id.is_some());
        for track in &mut kept {
            track.doubtful |= numbered().any(|gone| policy.back.allow(&gone.look(), &track.look()));
        }
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
            lately: signs,
            weight,
            axes,
            mm_per_pixel,
            best,
            doubtful: false,
            side: None,
            crossed: false,
            unproven: false,
        }
    }

    /// It was found while this breast is named.
    fn is_in(&mut self, side: Option<Side>) {
        self.crossed |= side.zip(self.side).is_some_and(|(now, before)| now != before);
        self.side = side.or(self.side);
        self.unproven = false;
    }

    /// Whether it can come back while this breast is named.
    fn can_be_in(&self, side: Option<Side>) -> bool {
        !self.crossed && side.zip(self.side).is_none_or(|(now, before)| now == before)
    }

    /// It has a number and is not shown any more.
    fn is_lost(&self, policy: &Policy) -> bool {
        self.id.is_some() && self.missed > policy.shown_for
    }

    fn look(&self) -> Look {
        Look { bounds: self.bounds, signs: self.signs, lately: self.lately, mm_per_pixel: self.mm_per_pixel }
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
        self.lately = self.lately.towards(&one.signs, policy.outline_step);
        self.axes.iter_mut().zip(one.axes).for_each(|(own, new)| *own += step * (new - *own));
        // The position is that of the new detection; the shape is smoothed.
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

    /// Another depth of the picture has other pixels: what was measured in the old ones is turned into new ones.
    fn scaled(&mut self, one: &Detection, mm_per_pixel: Option<f32>) {
        let before = std::mem::replace(&mut self.mm_per_pixel, mm_per_pixel);
        match before.zip(mm_per_pixel) {
            Some((before, now)) if now > 0.0 => self.axes = self.axes.map(|axis| axis * before / now),
            _ if before == mm_per_pixel => {}
            // How they compare is not known.
            _ => self.axes = one.axes,
        }
    }

    /// Adds signs to the mean.
    fn add(&mut self, signs: &Signs, weight: f32) {
        self.weight += weight;
        self.signs = self.signs.towards(signs, if self.weight > 0.0 { weight / self.weight } else { 1.0 });
    }

    /// Continues the lost lesion: takes over its number, its best picture and its signs.
    fn goes_on(&mut self, went: Self) {
        self.id = went.id;
        self.side = self.side.or(went.side);
        if went.best.score > self.best.score {
            self.best = went.best;
        }
        self.add(&went.signs, went.weight);
    }

    /// The lesion as it is shown; `None` while it is not confirmed.
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
