//! Which parts of a recording are kept: the last minutes, and the seconds around each finding and mark. Pure.

use std::time::Duration;

/// A span of time by the driver's clock; both ends are included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from: Duration,
    pub to: Duration,
}

impl Window {
    pub fn around(middle: Duration, half: Duration) -> Self {
        Self { from: middle.saturating_sub(half), to: middle.saturating_add(half) }
    }

    pub fn contains(&self, time: Duration) -> bool {
        (self.from..=self.to).contains(&time)
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

/// The finished files of pictures and the time that each covers.
#[derive(Debug, Default)]
pub struct Ring {
    parts: Vec<(u64, Window)>,
}

impl Ring {
    pub fn add(&mut self, number: u64, spans: Window) {
        self.parts.push((number, spans));
    }

    /// Removes files that are older than `kept` and overlap none of the `windows`; returns their numbers.
    pub fn expire(&mut self, now: Duration, kept: Duration, windows: &[Window]) -> Vec<u64> {
        let oldest = now.saturating_sub(kept);
        let wanted = |spans: &Window| spans.to >= oldest || windows.iter().any(|window| window.overlaps(spans));
        let (parts, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.parts).into_iter().partition(|(_, s)| wanted(s));
        self.parts = parts;
        gone.into_iter().map(|(number, _)| number).collect()
    }
}

/// Clips that cover all windows, in order. Windows that overlap share one clip, unless it would be longer than `most`.
pub fn clips(mut windows: Vec<Window>, most: Duration) -> Vec<Window> {
    windows.sort_by_key(|window| (window.from, window.to));
    let mut clips: Vec<Window> = Vec::new();
    for window in windows {
        match clips.last_mut() {
            Some(last) if last.overlaps(&window) && window.to.saturating_sub(last.from) <= most => {
                last.to = last.to.max(window.to);
            }
            Some(last) if last.from <= window.from && window.to <= last.to => {}
            _ => clips.push(window),
        }
    }
    clips
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, proptest};

    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn window(from: u64, to: u64) -> Window {
        Window { from: S(from), to: S(to) }
    }

    #[test]
    fn what_is_old_goes_unless_something_was_found_there() {
        let mut ring = Ring::default();
        (0..20).for_each(|n| ring.add(n, window(n, n + 1)));
        let found = [window(3, 5)];
        assert_eq!(ring.expire(S(20), S(8), &found), [0, 1, 6, 7, 8, 9, 10]);
        assert_eq!(ring.expire(S(20), S(8), &[]), [2, 3, 4, 5], "what was found was found better later");
    }

    #[test]
    fn windows_that_overlap_are_one_clip() {
        let all = vec![window(10, 14), window(12, 16), window(30, 34)];
        assert_eq!(clips(all, S(10)), [window(10, 16), window(30, 34)]);
        let many = (0..5).map(|n| window(n * 3, n * 3 + 4)).collect();
        assert!(clips(many, S(10)).iter().all(|clip| clip.to - clip.from <= S(10)));
    }

    proptest! {
        #[test]
        fn every_window_lies_in_a_clip_and_no_clip_is_longer_than_it_may_be(
            starts in prop::collection::vec(0u64..200, 0..30), most in 4u64..30,
        ) {
            let windows: Vec<_> = starts.iter().map(|from| window(*from, from + 4)).collect();
            let clips = clips(windows.clone(), S(most));
            for one in &windows {
                prop_assert!(clips.iter().any(|clip| clip.from <= one.from && one.to <= clip.to));
            }
            prop_assert!(clips.iter().all(|clip| clip.to - clip.from <= S(most)));
            prop_assert!(clips.len() <= windows.len());
        }
    }
}
