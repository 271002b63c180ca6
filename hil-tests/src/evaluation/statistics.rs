//! Shares, counts, medians and areas under the curve with their 95 % confidence intervals.

use std::fmt::{self, Display};

use phantom::random::Random;

/// Standard normal quantile for 95 %.
const Z: f64 = 1.959_964;

/// A share: a number out of a total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    pub hit: usize,
    pub of: usize,
}

impl Share {
    pub fn value(self) -> f64 {
        self.hit as f64 / self.of.max(1) as f64
    }

    /// Wilson's score interval, 95 % (Wilson 1927).
    pub fn interval(self) -> [f64; 2] {
        let (n, p) = (self.of.max(1) as f64, self.value());
        let middle = p + Z * Z / (2.0 * n);
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        [((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0)]
    }
}

impl Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of == 0 {
            return write!(f, "none planted");
        }
        let [low, high] = self.interval();
        write!(f, "{:.3} ({low:.3} to {high:.3}), {} of {}", self.value(), self.hit, self.of)
    }
}

/// Poisson interval for a count, 95 %, by Byar's approximation (Breslow and Day 1987, 2.2).
pub fn count_interval(count: usize) -> [f64; 2] {
    let bound = |c: f64, z: f64| c * (1.0 - 1.0 / (9.0 * c) + z / (3.0 * c.sqrt())).powi(3);
    let low = if count == 0 { 0.0 } else { bound(count as f64, -Z) };
    [low, bound(count as f64 + 1.0, Z)]
}

/// Area under the ROC curve with its interval: the probability that a positive has a higher score than a negative, ties
/// counting half (Hanley and McNeil 1982, also for the standard error). `None` without positives or negatives.
pub fn area(positive: &[f64], negative: &[f64]) -> Option<[f64; 3]> {
    if positive.is_empty() || negative.is_empty() {
        return None;
    }
    let (p, n) = (positive.len() as f64, negative.len() as f64);
    let above = |p: f64| -> f64 {
        negative
            .iter()
            .map(|n| {
                if p > *n {
                    1.0
                } else if p == *n {
                    0.5
                } else {
                    0.0
                }
            })
            .sum()
    };
    let a = positive.iter().map(|p| above(*p)).sum::<f64>() / (p * n);
    let (q1, q2) = (a / (2.0 - a), 2.0 * a * a / (1.0 + a));
    let variance = (a * (1.0 - a) + (p - 1.0) * (q1 - a * a) + (n - 1.0) * (q2 - a * a)) / (p * n);
    let half = Z * variance.max(0.0).sqrt();
    Some([a, (a - half).max(0.0), (a + half).min(1.0)])
}

/// Median; NaN for no values. For an even number the upper one of the two in the middle.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Percentile bootstrap of the median, 95 % (Efron 1979): 1000 draws from a fixed seed.
pub fn median_interval(values: &[f64]) -> [f64; 2] {
    const DRAWS: usize = 1000;
    if values.is_empty() {
        return [f64::NAN; 2];
    }
    let mut random = Random::new(values.len() as u64, 0);
    let mut medians: Vec<f64> =
        (0..DRAWS).map(|_| median((0..values.len()).map(|_| values[random.below(values.len())]))).collect();
    medians.sort_by(f64::total_cmp);
    [medians[DRAWS / 40], medians[DRAWS - 1 - DRAWS / 40]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_agree_with_the_published_examples() {
        // Newcombe 1998: 81 of 263 gives 0.2553 to 0.3662.
        let [low, high] = Share { hit: 81, of: 263 }.interval();
        assert!((low - 0.2553).abs() < 1e-4 && (high - 0.3662).abs() < 1e-4);
        // Exact Poisson limits for a count of 10: 4.80 to 18.39.
        let [low, high] = count_interval(10);
        assert!((low - 4.80).abs() < 0.02 && (high - 18.39).abs() < 0.02);
    }

    #[test]
    fn the_area_is_one_when_apart_and_a_half_when_alike() {
        assert_eq!(area(&[0.9, 0.8], &[0.1, 0.0]).unwrap()[0], 1.0);
        assert_eq!(area(&[0.0, 0.0], &[0.0]).unwrap()[0], 0.5);
        assert_eq!(area(&[0.5, 0.1], &[0.2]).unwrap()[0], 0.5);
        assert_eq!(area(&[], &[0.2]), None);
    }

    #[test]
    fn the_interval_of_a_median_holds_it_and_narrows_with_more_values() {
        let few: Vec<f64> = (0..9).map(f64::from).collect();
        let many: Vec<f64> = (0..900).map(|i| f64::from(i) / 100.0).collect();
        let width = |v: &[f64]| {
            let [low, high] = median_interval(v);
            let middle = median(v.iter().copied());
            assert!(low <= middle && middle <= high);
            high - low
        };
        assert!(width(&many) < width(&few) / 2.0);
    }
}
