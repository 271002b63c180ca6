//! The speed of the sweep from picture to picture: of three different pictures in a row, ten times a second at most, the median of the last
//! estimates.

use std::collections::VecDeque;
use std::time::Duration;

use models::task::us_breast::scan::speed::{self, Small, Speed};
use models::task::us_breast::scan::{Columns, Scan, Unjudged};

/// Between two estimates.
const EVERY: Duration = Duration::from_millis(100);
/// So many estimates are remembered, for this long.
const REMEMBERED: usize = 5;
const VALID: Duration = Duration::from_millis(800);

#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// Different pictures, the newest last.
    pictures: Vec<Small>,
    /// No picture is needed before.
    next: Duration,
    last: Duration,
    estimates: VecDeque<(Duration, Result<Speed, Unjudged>)>,
}

impl Sweep {
    /// Takes in a picture; returns the speed as it is known by now.
    pub(super) fn see(
        &mut self,
        scan: &Scan<'_>,
        columns: Columns,
        at: Duration,
        elevation_mm: f32,
    ) -> Result<Speed, Unjudged> {
        if scan.mm_per_pixel.is_none() {
            *self = Self::default();
            return Err(Unjudged::NoScale);
        }
        if at < self.last {
            // The device began anew.
            *self = Self::default();
        }
        self.last = at;
        if at >= self.next {
            self.take(scan, columns, at, elevation_mm);
        }
        self.estimates.retain(|(then, _)| at.saturating_sub(*then) <= VALID);
        self.typical()
    }

    fn take(&mut self, scan: &Scan<'_>, columns: Columns, at: Duration, elevation_mm: f32) {
        let Some(small) = Small::of(scan, columns, at) else { return self.note(at, Err(Unjudged::NoSpeckle)) };
        if self.pictures.last().is_some_and(|last| last.is_same(&small)) {
            return;
        }
        self.pictures.push(small);
        // Of the first one it is not known since when it stands: scanners bring fewer pictures than the video does.
        let [_, a, b, c] = self.pictures.as_slice() else { return };
        let found = speed::of([a, b, c], elevation_mm);
        self.next = at + EVERY;
        // What has passed meanwhile is no neighbour of the next picture.
        self.pictures.clear();
        self.note(at, found);
    }

    fn note(&mut self, at: Duration, found: Result<Speed, Unjudged>) {
        self.estimates.push_back((at, found));
        if self.estimates.len() > REMEMBERED {
            self.estimates.pop_front();
        }
    }

    /// The median; a reason when most have none.
    fn typical(&self) -> Result<Speed, Unjudged> {
        let Some((_, newest)) = self.estimates.back() else { return Err(Unjudged::TooFewPictures) };
        let mut known: Vec<Speed> = self.estimates.iter().filter_map(|(_, one)| one.ok()).collect();
        if known.len() * 2 <= self.estimates.len() {
            return Err(newest.err().unwrap_or(Unjudged::NoSpeckle));
        }
        known.sort_by(|a, b| a.mm_s().total_cmp(&b.mm_s()));
        known.get(known.len() / 2).copied().ok_or(Unjudged::NoSpeckle)
    }
}
