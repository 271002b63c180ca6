//! How late the overlays of the test's own seconds were: the difference of two readings of a histogram.

use super::measured::Video;
use crate::Stats;

/// The 99 % of which the limit and the drift speak.
const MOST: f64 = 0.99;

/// What was made between two readings.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Overlays {
    pub shown: u64,
    /// They came after the deadline and were not shown.
    pub late: u64,
    /// Of those that were shown, ms.
    pub half_ms: f64,
    /// Within which 99 % of all came, ms; `None` where that many were not shown.
    pub most_ms: Option<f64>,
}

impl Overlays {
    pub(super) fn of(video: &Video) -> Self {
        let counts = made(&video.before, &video.after).unwrap_or_default();
        let shown = counts.iter().map(|(_, count)| count).sum();
        let late = video.after.late.saturating_sub(video.before.late);
        let half_ms = quantile(&counts, 0.5, shown).unwrap_or_default();
        Self { shown, late, half_ms, most_ms: quantile(&counts, MOST, shown + late) }
    }
}

/// The counters began anew between the readings, as with each exam: their difference says nothing.
pub(super) fn began_anew(before: &Stats, after: &Stats) -> bool {
    after.pictures < before.pictures || after.late < before.late || made(before, after).is_none()
}

/// Buckets of what came between the readings, the fastest first. `None` where one of them has lost some.
fn made(before: &Stats, after: &Stats) -> Option<Vec<(u64, u64)>> {
    let in_bucket = |counts: &[(u64, u64)], longest: u64| {
        counts.iter().filter(|(bucket, _)| *bucket == longest).map(|(_, count)| count).sum::<u64>()
    };
    let gone = |(longest, count): &(u64, u64)| in_bucket(&after.overlay_counts, *longest) < *count;
    if before.overlay_counts.iter().any(gone) {
        return None;
    }
    let new = |(longest, count): &(u64, u64)| (*longest, count - in_bucket(&before.overlay_counts, *longest));
    let mut counts: Vec<(u64, u64)> = after.overlay_counts.iter().map(new).filter(|(_, count)| *count > 0).collect();
    counts.sort_unstable();
    Some(counts)
}

/// Milliseconds within which `share` of `all` came; `None` where fewer are in the buckets.
fn quantile(counts: &[(u64, u64)], share: f64, all: u64) -> Option<f64> {
    let wanted = share * all as f64;
    let mut passed = 0;
    counts.iter().find_map(|(longest, count)| {
        passed += count;
        (passed as f64 >= wanted).then(|| *longest as f64 / 1000.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(pictures: u64, late: u64, counts: &[(u64, u64)]) -> Stats {
        let overlay_counts = counts.to_vec();
        Stats { pictures, late, overlay_counts, ..Stats::default() }
    }

    #[test]
    fn only_what_came_between_the_readings_counts() {
        let before = stats(9_000_000, 7, &[(9_000, 8_000_000), (140_000, 900_000)]);
        let after = stats(9_000_300, 8, &[(9_000, 8_000_100), (12_000, 190), (20_000, 9), (140_000, 900_000)]);
        assert!(!began_anew(&before, &after));
        let video = Video { before, after, ..Video::default() };
        let wanted = Overlays { shown: 299, late: 1, half_ms: 12.0, most_ms: Some(20.0) };
        assert_eq!(Overlays::of(&video), wanted);
        let idle = Video { before: video.after.clone(), ..video };
        assert_eq!(Overlays::of(&idle), Overlays::default(), "old figures are no overlays");
    }

    #[test]
    fn more_late_ones_than_a_hundredth_leave_no_time_within_which_99_percent_came() {
        let of = |late| Overlays::of(&Video { after: stats(1, late, &[(9_000, 99)]), ..Video::default() }).most_ms;
        assert_eq!((of(1), of(2)), (Some(9.0), None));
    }

    #[test]
    fn counters_that_began_anew_are_noticed_also_when_more_pictures_have_come_than_before() {
        let before = stats(20, 0, &[(9_000, 12), (10_000, 3)]);
        assert!(began_anew(&before, &stats(290, 0, &[(9_000, 300), (10_000, 2)])));
        assert!(began_anew(&stats(20, 2, &[]), &stats(290, 1, &[])));
        assert!(began_anew(&stats(20, 0, &[]), &stats(19, 0, &[])));
    }
}
