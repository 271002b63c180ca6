//! Image quality of the scanner: resolution of the reconstruction kernel, and noise with the texture of that kernel.

use super::random::Random;

/// Reconstruction kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    Smooth,
    Medium,
    Sharp,
}

impl Kernel {
    pub const ALL: [Self; 3] = [Self::Smooth, Self::Medium, Self::Sharp];

    /// The name that a scanner would write into Convolution Kernel (0018,1210).
    pub fn name(self) -> &'static str {
        match self {
            Self::Smooth => "B30f",
            Self::Medium => "B50f",
            Self::Sharp => "B70f",
        }
    }

    /// Standard deviations (mm) of the blur and of the wider blur that is subtracted from it, and the weight of the
    /// subtraction.
    fn response(self) -> (f32, f32, f32) {
        match self {
            Self::Smooth => (0.80, 1.0, 0.0),
            Self::Medium => (0.55, 1.0, 0.0),
            Self::Sharp => (0.38, 1.10, 0.55),
        }
    }
}

/// A kernel prepared for one pixel size.
#[derive(Debug)]
pub struct Filter {
    narrow: Vec<f32>,
    wide: Vec<f32>,
    enhance: f32,
    /// Standard deviation after the filter of white noise with standard deviation 1.
    gain: f32,
}

impl Filter {
    pub fn new(kernel: Kernel, pixel_mm: f32) -> Self {
        let (narrow_mm, wide_mm, enhance) = kernel.response();
        let (narrow, wide) = (gaussian(narrow_mm / pixel_mm), gaussian(wide_mm / pixel_mm));
        let gain = gain(&narrow, &wide, enhance);
        Self { narrow, wide, enhance, gain }
    }

    /// Adds noise with the texture of the kernel and the standard deviation `noise_hu` to a plane of HU.
    pub fn add_noise(&self, plane: &mut [f32], columns: usize, noise_hu: f32, random: &mut Random) {
        if noise_hu <= 0.0 {
            return;
        }
        let white = noise_hu / self.gain;
        let mut noise: Vec<f32> = plane.iter().map(|_| white * random.normal()).collect();
        self.blur(&mut noise, columns);
        for (v, n) in plane.iter_mut().zip(&noise) {
            *v += n;
        }
    }

    /// Gives a plane of HU the resolution of the kernel.
    pub fn blur(&self, plane: &mut [f32], columns: usize) {
        let mut scratch = vec![0.0; plane.len()];
        if self.enhance > 0.0 {
            let mut wide = plane.to_vec();
            separable(&mut wide, &mut scratch, columns, &self.wide);
            separable(plane, &mut scratch, columns, &self.narrow);
            for (v, w) in plane.iter_mut().zip(&wide) {
                *v += self.enhance * (*v - w);
            }
        } else {
            separable(plane, &mut scratch, columns, &self.narrow);
        }
    }
}

/// Half of a symmetric kernel, the middle tap first; the sum of the whole kernel is 1.
fn gaussian(sigma: f32) -> Vec<f32> {
    let reach = ((sigma * 2.5).ceil() as usize).clamp(1, 6);
    let taps: Vec<f32> = (0..=reach).map(|i| (-((i * i) as f32) / (2.0 * sigma * sigma)).exp()).collect();
    let sum = taps[0] + 2.0 * taps[1..].iter().sum::<f32>();
    taps.iter().map(|t| t / sum).collect()
}

/// Root of the sum of the squares of the two-dimensional response.
fn gain(narrow: &[f32], wide: &[f32], enhance: f32) -> f32 {
    let tap = |k: &[f32], i: usize| k.get(i).copied().unwrap_or(0.0);
    let reach = narrow.len().max(wide.len());
    let mut sum = 0.0;
    for j in 0..reach {
        for i in 0..reach {
            let twins = (if i == 0 { 1.0 } else { 2.0 }) * (if j == 0 { 1.0 } else { 2.0 });
            let v = (1.0 + enhance) * tap(narrow, i) * tap(narrow, j) - enhance * tap(wide, i) * tap(wide, j);
            sum += twins * v * v;
        }
    }
    sum.sqrt()
}

/// Convolves rows, then columns; values beyond the edge repeat the edge.
fn separable(plane: &mut [f32], scratch: &mut [f32], columns: usize, taps: &[f32]) {
    let reach = taps.len() - 1;
    for (row, out) in plane.chunks_exact(columns).zip(scratch.chunks_exact_mut(columns)) {
        for x in 0..columns {
            let mut v = taps[0] * row[x];
            if x >= reach && x + reach < columns {
                for (i, t) in taps.iter().enumerate().skip(1) {
                    v += t * (row[x - i] + row[x + i]);
                }
            } else {
                for (i, t) in taps.iter().enumerate().skip(1) {
                    v += t * (row[x.saturating_sub(i)] + row[(x + i).min(columns - 1)]);
                }
            }
            out[x] = v;
        }
    }
    let rows = plane.len() / columns;
    for y in 0..rows {
        let out = &mut plane[y * columns..(y + 1) * columns];
        let middle = &scratch[y * columns..(y + 1) * columns];
        for (o, m) in out.iter_mut().zip(middle) {
            *o = taps[0] * m;
        }
        for (i, t) in taps.iter().enumerate().skip(1) {
            let (up, down) = (y.saturating_sub(i), (y + i).min(rows - 1));
            let (up, down) = (&scratch[up * columns..][..columns], &scratch[down * columns..][..columns]);
            for ((o, a), b) in out.iter_mut().zip(up).zip(down) {
                *o += t * (a + b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_after_the_kernel_has_the_standard_deviation_asked_for() {
        for kernel in Kernel::ALL {
            let mut plane = vec![0.0; 200 * 200];
            Filter::new(kernel, 0.7).add_noise(&mut plane, 200, 20.0, &mut Random::new(1, 2));
            let n = plane.len() as f32;
            let mean = plane.iter().sum::<f32>() / n;
            let sd = (plane.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n).sqrt();
            assert!((sd - 20.0).abs() < 1.0, "{kernel:?}: {sd}");
        }
    }

    #[test]
    fn a_flat_plane_keeps_its_value() {
        for kernel in Kernel::ALL {
            let mut plane = vec![-870.0; 32 * 24];
            Filter::new(kernel, 0.7).blur(&mut plane, 32);
            assert!(plane.iter().all(|v| (v + 870.0).abs() < 0.01));
        }
    }
}
