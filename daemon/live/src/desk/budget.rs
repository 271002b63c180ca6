//! How long each stage takes: measured for every picture, in constant memory.

use std::time::Duration;

use crate::cast;
use crate::view::Latency;

/// Buckets of each power of two: a value is known to 1/64 of itself.
const STEPS: usize = 64;
/// For all values of 32 bits; 2^32 us are 71 minutes.
const BUCKETS: usize = 27 * STEPS;

/// Counts durations in microseconds, in buckets that grow with the value.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    /// The longest duration, exact, us.
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0, max: 0 }
    }
}

impl Histogram {
    pub fn add(&mut self, took: Duration) {
        let micros = cast::micros(took);
        if let Some(count) = self.counts.get_mut(bucket(micros)) {
            *count += 1;
        }
        self.count += 1;
        self.max = self.max.max(micros.into());
    }

    /// The value that `share` (0 to 1) of all values do not exceed, us. Never less than the exact quantile, at most
    /// 1/64 more.
    fn quantile(&self, share: f64) -> u64 {
        let rank = cast::ceil_u64(share * self.count as f64).clamp(1, self.count.max(1));
        let mut passed = 0;
        for (index, count) in self.counts.iter().enumerate() {
            passed += count;
            if passed >= rank {
                return last(index).min(self.max);
            }
        }
        self.max
    }

    pub fn latency(&self) -> Latency {
        if self.count == 0 {
            return Latency::default();
        }
        let ms = |micros: u64| micros as f64 / 1000.0;
        let at = |share| ms(self.quantile(share));
        Latency { count: self.count, p50: at(0.5), p99: at(0.99), p999: at(0.999), max: ms(self.max) }
    }

    /// The buckets that are not empty: the largest value of each, us, and how many it has.
    fn counts(&self) -> Vec<(u64, u64)> {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(index, count)| (last(index), *count)).collect()
    }
}

/// Index of the bucket for a value. Values below 128 have a bucket each; each further power of two has 64.
fn bucket(micros: u32) -> usize {
    let power = (micros | 1).ilog2().saturating_sub(6);
    STEPS * power as usize + (micros >> power) as usize
}

/// The largest value in a bucket.
fn last(index: usize) -> u64 {
    let power = (index / STEPS).saturating_sub(1);
    let step = (index - STEPS * power) as u64;
    ((step + 1) << power) - 1
}

/// The stages that are timed, in the order in which a picture passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimedStage {
    /// From capture to the page.
    Present,
    Roi,
    Infer,
    Track,
    /// From capture to the overlay.
    Overlay,
}

impl TimedStage {
    pub const ALL: [Self; 5] = [Self::Present, Self::Roi, Self::Infer, Self::Track, Self::Overlay];

    pub fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Roi => "roi",
            Self::Infer => "infer",
            Self::Track => "track",
            Self::Overlay => "overlay",
        }
    }
}

/// One histogram for each stage.
#[derive(Debug, Clone, Default)]
pub struct Budget([Histogram; TimedStage::ALL.len()]);

impl Budget {
    pub fn add(&mut self, stage: TimedStage, took: Duration) {
        self.0[stage as usize].add(took);
    }

    /// The histogram of a stage: see [`crate::view::Stats::overlay_counts`].
    pub fn counts(&self, stage: TimedStage) -> Vec<(u64, u64)> {
        self.0[stage as usize].counts()
    }

    pub fn stages(&self) -> Vec<(String, Latency)> {
        TimedStage::ALL.iter().map(|stage| (stage.name().to_owned(), self.0[*stage as usize].latency())).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn buckets_follow_one_another_without_gap() {
        let mut expected = 0u64;
        for index in 0..BUCKETS {
            let [first, last] = [expected, last(index)].map(|value| u32::try_from(value).unwrap());
            assert_eq!(bucket(first), index, "first of {index}");
            assert_eq!(bucket(last), index, "last of {index}");
            expected = u64::from(last) + 1;
        }
        assert_eq!(expected, 1 << 32);
    }

    #[test]
    fn nothing_measured_is_zero_and_the_absurd_is_the_largest() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.latency(), Latency::default());
        histogram.add(Duration::MAX);
        assert_eq!(histogram.latency().count, 1);
        assert!(histogram.latency().max > 4_000_000.0);
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_values(mut values in prop::collection::vec(any::<u32>(), 1..400), share in 0.0f64..=1.0) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|v| histogram.add(Duration::from_micros((*v).into())));
            values.sort_unstable();
            let rank = ((share * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let (want, have) = (u64::from(values[rank - 1]), histogram.quantile(share));
            prop_assert!(have >= want && have <= want + want / 64 + 1, "{} {}", have, want);
            prop_assert_eq!(histogram.quantile(1.0), u64::from(values[values.len() - 1]));
        }
    }
}
