//! Noise and its texture in soft tissue, found without anybody drawing a region.
//!
//! The global noise level of Christianson, Winslow, Frush, Samei, "Automated technique to measure noise in clinical CT
//! examinations", AJR 205 (2015) W93-W99: the standard deviation is taken in small patches all over the soft tissue (0 to
//! 100 HU), and the most frequent value is the noise; patches with structure only lengthen the tail of the histogram. Here a
//! plane is taken out of each patch first, so that a slow change of tissue is not counted.

use serde::Serialize;

use crate::cast::{floor_index, round_index};
use crate::reason::Reason;
use crate::volume::Volume;

/// Mean attenuation of soft tissue, HU.
const SOFT_HU: std::ops::RangeInclusive<f64> = 0.0..=100.0;
/// Edge of a patch, mm.
const PATCH_MM: f64 = 6.0;
/// Edge of a patch, pixels: fewer say little about a standard deviation.
const LEAST_PIXELS: usize = 5;
/// Slices that are looked at, spread over the series.
const SLICES: usize = 64;
/// Fewer patches of soft tissue than this are too few for a histogram.
const LEAST_PATCHES: usize = 100;
/// Bins of the histogram up to the median.
const BINS_TO_MEDIAN: f64 = 20.0;
/// Patches whose standard deviation is within this factor of the noise hold noise and nothing else.
const TYPICAL: std::ops::RangeInclusive<f64> = 0.75..=1.25;
/// Noise whose mean frequency is a higher share of that of white noise on the same pixels comes from a sharp kernel. Own
/// limit, between few scans: B40f 0.70, STANDARD 0.65; Philips L 0.88. (Kernels differ in their noise power spectra:
/// Solomon, Christianson, Samei, Med Phys 39 (2012) 6048-6055.)
const SHARP_SHARE: f64 = 0.8;

/// Noise of a series in soft tissue.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Noise {
    /// Global noise level: the most frequent standard deviation, HU.
    pub hu: f64,
    /// Mean frequency of the noise within the slice, per mm.
    pub frequency_per_mm: f64,
    pub kernel: Kernel,
    /// Patches of soft tissue that were measured.
    pub patches: usize,
}

/// Class of the reconstruction kernel, by the texture of the noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    Smooth,
    Sharp,
}

/// # Errors
/// When there is too little soft tissue, or no noise at all (a drawing, not a scan).
pub fn measure(volume: &Volume) -> Result<Noise, Reason> {
    let patches = soft_patches(volume);
    if patches.len() < LEAST_PATCHES {
        return Err(Reason::LittleSoftTissue { patches: patches.len(), needed: LEAST_PATCHES });
    }
    let hu = most_frequent(patches.iter().map(|p| p.variance.sqrt()).collect());
    if hu <= 0.0 {
        return Err(Reason::NoNoise);
    }
    let typical = || patches.iter().filter(|p| TYPICAL.contains(&(p.variance.sqrt() / hu)));
    let count = typical().count().max(1) as f64;
    let variance = typical().map(|p| p.variance).sum::<f64>() / count;
    let step = typical().map(|p| p.step).sum::<f64>() / count;
    // Neighbours differ by 2 (1 - r) times the variance, r being their correlation; one frequency f alone has r = cos(2 pi f d).
    let correlation = (1.0 - step / (2.0 * variance)).clamp(-1.0, 1.0);
    let [dx, dy, _] = volume.geometry.spacing_mm;
    let pixel_mm = f64::midpoint(dx, dy);
    let frequency_per_mm = correlation.acos() / (std::f64::consts::TAU * pixel_mm);
    let white_per_mm = 0.25 / pixel_mm;
    let kernel = if frequency_per_mm > SHARP_SHARE * white_per_mm { Kernel::Sharp } else { Kernel::Smooth };
    Ok(Noise { hu, frequency_per_mm, kernel, patches: patches.len() })
}

/// A patch of soft tissue, a plane taken out.
struct Patch {
    /// HU^2.
    variance: f64,
    /// Mean squared difference of neighbours along rows and columns, HU^2.
    step: f64,
}

fn soft_patches(volume: &Volume) -> Vec<Patch> {
    let [columns, rows, slices] = volume.geometry.dims;
    let [dx, dy, _] = volume.geometry.spacing_mm;
    let edge = round_index(PATCH_MM / f64::midpoint(dx, dy)).max(LEAST_PIXELS);
    let every = slices.div_ceil(SLICES).max(1);
    let starts = |extent: usize| (0..(extent + 1).saturating_sub(edge)).step_by(edge.div_ceil(2));
    let mut patches = Vec::new();
    for z in (0..slices).step_by(every) {
        for y in starts(rows) {
            patches.extend(starts(columns).filter_map(|x| patch(volume, [x, y, z], edge)));
        }
    }
    patches
}

/// `None` where there is no soft tissue.
fn patch(volume: &Volume, [x, y, z]: [usize; 3], edge: usize) -> Option<Patch> {
    let count = (edge * edge) as f64;
    let lines = || (0..edge).map(|row| volume.row([x, y + row, z], edge));
    let sum: i64 = lines().flatten().map(|hu| i64::from(*hu)).sum();
    let mean = sum as f64 / count;
    if !SOFT_HU.contains(&mean) {
        return None;
    }
    let middle = (edge - 1) as f64 / 2.0;
    let (mut square, mut across, mut down, mut step) = (0.0, 0.0, 0.0, 0.0);
    for (j, line) in lines().enumerate() {
        for (i, hu) in line.iter().enumerate() {
            let value = f64::from(*hu) - mean;
            square += value * value;
            across += value * (i as f64 - middle);
            down += value * (j as f64 - middle);
        }
        step += line.windows(2).map(|pair| (f64::from(pair[1]) - f64::from(pair[0])).powi(2)).sum::<f64>();
    }
    for (line, next) in lines().zip(lines().skip(1)) {
        step += line.iter().zip(next).map(|(a, b)| (f64::from(*b) - f64::from(*a)).powi(2)).sum::<f64>();
    }
    // Sum of the squared places along one axis, for the plane of least squares.
    let places = count * (count - 1.0) / 12.0;
    let rest = square - (across * across + down * down) / places;
    Some(Patch { variance: (rest / (count - 3.0)).max(0.0), step: step / (2.0 * count * (1.0 - 1.0 / edge as f64)) })
}

/// Middle of the fullest place of the histogram. `values` must not be empty.
fn most_frequent(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let median = values[values.len() / 2];
    if median <= 0.0 {
        return 0.0;
    }
    let width = median / BINS_TO_MEDIAN;
    let mut bins = vec![0.0; 4 * floor_index(BINS_TO_MEDIAN)];
    for value in &values {
        if let Some(bin) = bins.get_mut(floor_index(value / width)) {
            *bin += 1.0;
        }
    }
    // Five bins in a triangle: single bins are ragged.
    let at = |i: usize, off: usize, back: bool| {
        let place = if back { i.checked_sub(off) } else { Some(i + off) };
        place.and_then(|place| bins.get(place)).copied().unwrap_or(0.0)
    };
    let smooth: Vec<f64> = (0..bins.len())
        .map(|i| {
            3.0 * bins[i] + [1, 2].map(|o| (3 - o) as f64 * (at(i, o, true) + at(i, o, false))).iter().sum::<f64>()
        })
        .collect();
    let fullest = (0..smooth.len()).max_by(|a, b| smooth[*a].total_cmp(&smooth[*b]).then(b.cmp(a))).unwrap_or(0);
    (fullest as f64 + 0.5) * width
}
