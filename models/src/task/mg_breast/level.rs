//! Grey levels of a picture: where its background ends.

use crate::cast::floor_index;

const BINS: usize = 512;
/// The breast is brighter than the background by at least this part of the range of the picture.
const LEAST_STEP: f32 = 0.02;
/// Scattered light lifts the background near the skin; more than this is no background.
const MOST_STEP: f32 = 0.09;
/// A bin that holds less than this part of the background's most frequent one does not belong to the background.
const FOOT: f64 = 0.03;
/// The mean of the pixels below this percentile, and the level above this one, are the ends of the range.
const BRIGHTEST: f64 = 0.995;

/// How often each of [`BINS`] levels of 0 to 1 occurs.
pub(super) struct Histogram {
    counts: Vec<f64>,
    total: f64,
}

impl Histogram {
    pub(super) fn of(values: impl IntoIterator<Item = f32>) -> Self {
        let mut counts = vec![0.0; BINS];
        let mut total = 0.0;
        for value in values {
            counts[floor_index(f64::from(value) * BINS as f64).min(BINS - 1)] += 1.0;
            total += 1.0;
        }
        Self { counts, total }
    }

    /// The level below which this part of the pixels lies.
    pub(super) fn percentile(&self, part: f64) -> f32 {
        let mut below = 0.0;
        for (bin, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= part * self.total {
                return level(bin);
            }
        }
        1.0
    }

    /// Otsu's threshold (1979): the level that separates two groups best.
    pub(super) fn otsu(&self) -> f32 {
        let sum: f64 = self.counts.iter().enumerate().map(|(bin, count)| bin as f64 * count).sum();
        let (mut below, mut sum_below, mut best, mut at) = (0.0, 0.0, 0.0, 0);
        for (bin, count) in self.counts.iter().enumerate() {
            below += count;
            sum_below += bin as f64 * count;
            let above = self.total - below;
            if below == 0.0 || above <= 0.0 {
                continue;
            }
            let between = below * above * (sum_below / below - (sum - sum_below) / above).powi(2);
            if between > best {
                (best, at) = (between, bin);
            }
        }
        level(at + 1)
    }

    /// The level above which pixels are no background: the foot of the peak of dark pixels, with a margin. The peak is looked
    /// for below Otsu's threshold.
    pub(super) fn above_background(&self) -> f32 {
        let end = floor_index(f64::from(self.otsu()) * BINS as f64).clamp(1, BINS);
        let smooth: Vec<f64> =
            (0..end).map(|bin| self.counts[bin.saturating_sub(1)..(bin + 2).min(BINS)].iter().sum::<f64>()).collect();
        let peak = (0..end).fold(0, |best, bin| if smooth[bin] > smooth[best] { bin } else { best });
        let foot = (peak..end).find(|bin| smooth[*bin] < FOOT * smooth[peak]).unwrap_or(end);
        let dark = level(peak);
        let range = (self.percentile(BRIGHTEST) - dark).max(0.0);
        level(foot).min(dark + MOST_STEP * range).max(dark + LEAST_STEP * range)
    }
}

fn level(bin: usize) -> f32 {
    bin as f32 / BINS as f32
}
