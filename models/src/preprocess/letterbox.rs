//! A picture of any size into a network's input: scaled alike in both directions so that the longer side fits, at the top
//! left, black elsewhere. Each pixel is the mean of the area that it covers.

use crate::cast::{ceil_index, floor_index};

/// The way from one size of picture to one size of input; made once, used for every picture.
#[derive(Debug, Clone)]
pub struct Letterbox {
    source: [usize; 2],
    size: [usize; 2],
    scale: f32,
    /// For each column, and each row, of the input.
    across: Vec<Share>,
    down: Vec<Share>,
    /// One row of the source, summed over the rows that a row of the input covers.
    line: Vec<f32>,
}

/// Which pixels of the source one pixel of the input covers: the first, and the weight of each from there on.
#[derive(Debug, Clone)]
struct Share {
    first: usize,
    weights: Vec<f32>,
}

impl Letterbox {
    /// From a picture of `source` to an input of `size`: width and height, pixels.
    pub fn new(source: [usize; 2], size: [usize; 2]) -> Self {
        let scale = (0..2).map(|a| source[a] as f32 / size[a].max(1) as f32).fold(0.0, f32::max);
        let [across, down] = [0, 1].map(|a| shares(source[a], size[a], scale));
        Self { source, size, scale, across, down, line: vec![0.0; source[0]] }
    }

    /// Pixels of the source for one of the input.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// For each column of the input the first pixel of the source that it covers, and the weight of each from there on.
    pub fn across(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.across.iter().map(|share| (share.first, share.weights.as_slice()))
    }

    /// The same for each row.
    pub fn down(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.down.iter().map(|share| (share.first, share.weights.as_slice()))
    }

    /// The picture `grey`, row by row without gaps, into `out` as 0..1: whole steps of 1/255, as in training. Pixels that
    /// `grey` lacks are black.
    pub fn fill(&mut self, grey: &[u8], out: &mut Vec<f32>) {
        out.clear();
        out.resize(self.size[0] * self.size[1], 0.0);
        let width = self.source[0];
        if width == 0 {
            return;
        }
        for (down, out) in self.down.iter().zip(out.chunks_exact_mut(self.size[0].max(1))) {
            self.line.fill(0.0);
            let rows = grey.chunks_exact(width).skip(down.first);
            for (row, weight) in rows.zip(&down.weights) {
                self.line.iter_mut().zip(row).for_each(|(sum, v)| *sum += weight * f32::from(*v));
            }
            for (across, out) in self.across.iter().zip(out) {
                let covered = self.line[across.first..].iter().zip(&across.weights);
                let mean: f32 = covered.map(|(v, w)| v * w).sum();
                *out = mean.round().clamp(0.0, 255.0) / 255.0;
            }
        }
    }
}

/// For each pixel of the input what it covers of `length` pixels; nothing beyond them.
fn shares(length: usize, size: usize, scale: f32) -> Vec<Share> {
    let one = |i: usize| {
        let (low, high) = (i as f32 * scale, (i + 1) as f32 * scale);
        let first = floor_index(low.into()).min(length);
        let last = ceil_index(high.into()).min(length);
        let covered = |s: usize| ((high.min(s as f32 + 1.0) - low.max(s as f32)) / scale).max(0.0);
        Share { first, weights: (first..last).map(covered).collect() }
    };
    (0..size).map(one).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn filled(grey: &[u8], source: [usize; 2], size: [usize; 2]) -> Vec<f32> {
        let mut out = vec![9.0; 3];
        Letterbox::new(source, size).fill(grey, &mut out);
        out
    }

    #[test]
    fn the_longer_side_fits_and_the_rest_is_black() {
        // 4x2 into 2x2: each pixel the mean of four.
        let grey = [0, 40, 200, 240, 40, 80, 240, 0];
        assert_eq!(filled(&grey, [4, 2], [2, 2]).map_bytes(), [40, 170, 0, 0]);
        // Upwards: each pixel repeated.
        assert_eq!(filled(&[7, 9], [2, 1], [4, 4]).map_bytes()[..8], [7, 7, 9, 9, 7, 7, 9, 9]);
        assert_eq!(filled(&[], [0, 0], [2, 1]), [0.0; 2]);
    }

    trait Bytes {
        fn map_bytes(&self) -> Vec<u8>;
    }

    impl Bytes for Vec<f32> {
        fn map_bytes(&self) -> Vec<u8> {
            self.iter().map(|v| (v * 255.0).round() as u8).collect()
        }
    }

    proptest! {
        #[test]
        fn an_even_grey_stays_what_it_is(
            source in prop::array::uniform2(1usize..90), size in prop::array::uniform2(1usize..40), level: u8,
        ) {
            let out = filled(&vec![level; source[0] * source[1]], source, size).map_bytes();
            let scale = Letterbox::new(source, size).scale();
            let whole = [source[0] as f32 / scale, source[1] as f32 / scale].map(|n| (n + 1e-3) as usize);
            for (i, v) in out.iter().enumerate() {
                if i % size[0] < whole[0] && i / size[0] < whole[1] {
                    prop_assert_eq!(*v, level, "pixel {}", i);
                }
            }
        }

        #[test]
        fn each_pixel_is_the_mean_of_the_area_that_it_covers(
            source in prop::array::uniform2(1usize..50), size in prop::array::uniform2(1usize..24),
            seed in prop::collection::vec(any::<u8>(), 2500),
        ) {
            let scale = (0..2).map(|a| source[a] as f64 / size[a] as f64).fold(0.0, f64::max);
            let overlap = |i: usize, s: usize| {
                ((i + 1) as f64 * scale).min((s + 1) as f64) - (i as f64 * scale).max(s as f64)
            };
            let out = filled(&seed[..source[0] * source[1]], source, size);
            for (i, have) in out.iter().enumerate() {
                let (x, y) = (i % size[0], i / size[0]);
                let pixels = (0..source[0] * source[1]).map(|s| {
                    let (across, down) = (overlap(x, s % source[0]).max(0.0), overlap(y, s / source[0]).max(0.0));
                    across * down * f64::from(seed[s])
                });
                let want = pixels.sum::<f64>() / (scale * scale);
                prop_assert!((f64::from(*have) * 255.0 - want).abs() <= 0.51, "pixel {}: {} {}", i, have, want);
            }
        }

        #[test]
        fn the_mean_is_kept_and_nothing_brighter_appears(
            width in 1usize..60, height in 1usize..60, seed in prop::collection::vec(any::<u8>(), 3600),
        ) {
            let grey = &seed[..width * height];
            let out = filled(grey, [width, height], [16, 16]);
            let most = f32::from(*grey.iter().max().unwrap()) / 255.0;
            prop_assert!(out.iter().all(|v| (0.0..=most + 1e-6).contains(v)));
            let scale = Letterbox::new([width, height], [16, 16]).scale();
            let (all, kept): (f64, f64) =
                (grey.iter().map(|v| f64::from(*v)).sum(), out.iter().map(|v| f64::from(*v) * 255.0).sum());
            // Rounding moves each of the 256 pixels by a half at most.
            prop_assert!((kept * f64::from(scale * scale) - all).abs() <= 128.0 * f64::from(scale * scale) + 1.0);
        }
    }
}
