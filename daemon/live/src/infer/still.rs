//! Whether the scanner's picture is frozen: by the sonographer, or because the scanner hangs. Pure.

use std::time::Duration;

/// A picture that has not changed for longer than this is frozen.
pub const FROZEN_AFTER: Duration = Duration::from_secs(1);
/// A pixel has changed when it differs by more than this, on a scale of 0 to 1: two grey levels.
const CHANGED: f32 = 2.5 / 255.0;
/// The picture has not changed when at most this share of its pixels has. Electronic noise alone changes more;
/// callipers that are drawn on a frozen picture change less.
const SAME: f32 = 0.005;
/// One pixel in this many is compared.
const EVERY: usize = 5;

/// Compares each picture with the one before.
#[derive(Debug, Clone, Default)]
pub struct Stillness {
    last: Vec<f32>,
    /// Capture time of the first picture since which nothing has changed.
    since: Option<Duration>,
}

impl Stillness {
    /// How long the picture of `captured` has not changed.
    pub fn still_for(&self, captured: Duration) -> Duration {
        self.stood(captured).unwrap_or_default()
    }

    /// The same; `None` before the first picture.
    pub fn stood(&self, captured: Duration) -> Option<Duration> {
        self.since.map(|since| captured.saturating_sub(since))
    }

    /// Whether the picture that was captured at `captured` is frozen. `image` is what the network sees, 0 to 1.
    pub fn observe(&mut self, image: &[f32], captured: Duration) -> bool {
        let sample = || image.iter().step_by(EVERY).copied();
        let count = image.len().div_ceil(EVERY);
        let changed = self.last.iter().zip(sample()).filter(|(a, b)| (*a - b).abs() > CHANGED).count();
        let same = self.last.len() == count && count > 0 && changed as f32 <= SAME * count as f32;
        self.last.clear();
        self.last.extend(sample());
        let since = match self.since {
            Some(since) if same && since <= captured => since,
            _ => captured,
        };
        self.since = Some(since);
        captured.saturating_sub(since) > FROZEN_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_picture_is_frozen_when_it_stood_still_for_more_than_a_second() {
        let mut stillness = Stillness::default();
        let picture = vec![0.5; 1000];
        for ms in (0..=1000).step_by(40) {
            assert!(!stillness.observe(&picture, at(ms)), "{ms}");
        }
        assert!(stillness.observe(&picture, at(1040)));
        let mut callipers = picture.clone();
        callipers[10] = 1.0;
        assert!(stillness.observe(&callipers, at(1080)), "a cross is drawn on it");
        let noise: Vec<f32> = (0..1000).map(|i| 0.5 + (i / 5 % 3) as f32 * 3.0 / 255.0).collect();
        assert!(!stillness.observe(&noise, at(1120)), "it moves again");
        assert!(!stillness.observe(&noise, at(1500)));
        assert!(stillness.observe(&noise, at(2200)));
    }

    #[test]
    fn another_size_or_a_clock_that_begins_anew_is_another_picture() {
        let mut stillness = Stillness::default();
        stillness.observe(&[0.5; 1000], at(5000));
        assert!(!stillness.observe(&[0.5; 500], at(9000)));
        assert!(!stillness.observe(&[0.5; 500], at(0)));
        assert!(!stillness.observe(&[], at(9000)));
    }
}
