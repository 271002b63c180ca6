//! Noise that is known, planted into a body; slices that are taken away.

use std::sync::Arc;

use super::*;
use crate::volume::Geometry;

/// Uniform in -0.5..0.5, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    }

    /// Standard deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum()
    }
}

const SIDE: usize = 160;
const PIXEL_MM: f64 = 0.7;

/// A disc of soft tissue (40 HU) with vessels and fat in it and air around it; white noise of `sigma` HU, then averaged over
/// `blur` x `blur` pixels. Returns the volume and the noise that is left.
fn body(sigma: f64, blur: usize) -> (Volume, f64) {
    let mut random = Random(7);
    let slices = (0..12)
        .map(|z| {
            let wide = SIDE + blur;
            let white: Vec<f64> = (0..wide * wide).map(|_| sigma * random.normal()).collect();
            let value = |i: usize| {
                let (x, y) = (i % SIDE, i / SIDE);
                let block = (0..blur * blur).map(|b| white[(y + b / blur) * wide + x + b % blur]);
                let noise = block.sum::<f64>() / (blur * blur) as f64;
                let (dx, dy) = (x as f64 - 80.0, y as f64 - 80.0);
                let clean = match () {
                    () if dx.hypot(dy) > 70.0 => -1000.0,
                    () if (dx.rem_euclid(29.0) - 14.0).hypot(dy.rem_euclid(31.0) - 14.0) < 5.0 => 160.0,
                    () if dx > 25.0 && (z + y) % 40 < 12 => -90.0,
                    () => 40.0 + 0.15 * dx,
                };
                ((clean + noise).round() as i16).max(-1024)
            };
            (0..SIDE * SIDE).map(value).collect::<Arc<[i16]>>()
        })
        .collect();
    let geometry = Geometry {
        dims: [SIDE, SIDE, 12],
        spacing_mm: [PIXEL_MM, PIXEL_MM, 1.0],
        origin_mm: [0.0; 3],
        axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    };
    (Volume { geometry, slices }, sigma / blur as f64)
}

#[test]
fn the_noise_that_was_planted_is_measured_within_a_tenth() {
    for sigma in [5.0, 12.0, 30.0, 80.0] {
        let (volume, truth) = body(sigma, 1);
        let found = noise::measure(&volume).unwrap();
        assert!((found.hu / truth - 1.0).abs() < 0.1, "{found:?} for {truth}");
    }
}

#[test]
fn blurred_noise_is_a_smooth_kernel_and_its_mean_frequency_is_that_of_the_blur() {
    let smooth = noise::measure(&body(60.0, 3).0).unwrap();
    assert_eq!(smooth.kernel, Kernel::Smooth, "{smooth:?}");
    // Neighbours of a mean over three share two of three values: r = 2/3 but for the plane that was taken out.
    let want = (2.0f64 / 3.0).acos() / (std::f64::consts::TAU * PIXEL_MM);
    assert!((smooth.frequency_per_mm / want - 1.0).abs() < 0.15, "{smooth:?}, {want}");
    let white = noise::measure(&body(20.0, 1).0).unwrap();
    assert!((white.frequency_per_mm * 4.0 * PIXEL_MM - 1.0).abs() < 0.05, "{white:?}");
    assert!(smooth.hu < 25.0, "the blur takes noise away: {smooth:?}");
}

#[test]
fn noise_that_alternates_between_neighbours_is_a_sharp_kernel() {
    let (mut volume, _) = body(0.0, 1);
    let mut random = Random(3);
    for slice in &mut volume.slices {
        let noise: Vec<f64> = (0..SIDE * SIDE + 1).map(|_| 20.0 * random.normal()).collect();
        // A difference of neighbours: the noise of an edge enhancing kernel.
        *slice = slice.iter().enumerate().map(|(i, hu)| hu + ((noise[i] - noise[i + 1]) as i16)).collect();
    }
    let sharp = noise::measure(&volume).unwrap();
    assert_eq!(sharp.kernel, Kernel::Sharp, "{sharp:?}");
}

#[test]
fn without_soft_tissue_or_noise_the_reason_is_given() {
    let (mut volume, _) = body(10.0, 1);
    volume.slices.iter_mut().for_each(|slice| *slice = vec![-1000; SIDE * SIDE].into());
    assert_eq!(noise::measure(&volume).unwrap_err().to_string(), "0 patches of soft tissue were found, 100 are needed");
    volume.slices.iter_mut().for_each(|slice| *slice = vec![40; SIDE * SIDE].into());
    assert_eq!(
        noise::measure(&volume).unwrap_err().to_string(),
        "soft tissue has one value everywhere: this is no scan"
    );
}

fn stack(places: impl IntoIterator<Item = f64>, thickness_mm: Option<f64>) -> Result<Slices, Reason> {
    let positions: Vec<[f64; 3]> = places.into_iter().map(|z| [-120.0, -90.0, z]).collect();
    slices::measure(&positions, [0.0, 0.0, 1.0], thickness_mm)
}

#[test]
fn missing_doubled_and_uneven_slices_are_counted() {
    let all = |n: usize| (0..n).map(|i| i as f64 * 1.25);
    let whole = stack(all(40).rev(), Some(1.25)).unwrap();
    assert!(whole.complete() && whole.count == 40 && (whole.spacing_mm - 1.25).abs() < 1e-9, "{whole:?}");
    let holes = stack(all(40).enumerate().filter(|(i, _)| ![7, 20, 21].contains(i)).map(|(_, z)| z), None).unwrap();
    assert_eq!((holes.missing, holes.doubled, holes.uneven, holes.cover), (3, 0, 0, None));
    let twice = stack(all(40).chain([12.5, 25.0]), None).unwrap();
    assert_eq!((twice.missing, twice.doubled), (0, 2));
    let shifted = stack(all(20).chain((20..40).map(|i| i as f64 * 1.25 + 0.6)), None).unwrap();
    assert_eq!((shifted.missing, shifted.uneven), (0, 1));
    assert!(stack([1.0, 1.0, f64::NAN], None).is_err() && stack([], None).is_err());
}

#[test]
fn thickness_against_spacing_is_overlap_gap_or_neither() {
    let at = |thickness| stack((0..9).map(|i| f64::from(i) * 2.0), Some(thickness)).unwrap().cover.unwrap();
    assert_eq!(at(2.0), Cover::Contiguous);
    assert_eq!(at(2.03), Cover::Contiguous);
    assert_eq!(at(3.0), Cover::Overlap(1.0));
    assert_eq!(at(1.0), Cover::Gap(1.0));
    assert_eq!(stack((0..9).map(f64::from), Some(0.0)).unwrap().cover, None);
}

#[test]
fn a_series_without_a_volume_still_has_its_slices_judged() {
    let positions: Vec<[f64; 3]> = [0.0, 1.0, 2.0, 5.0].map(|z| [0.0, 0.0, z]).to_vec();
    let input = Input {
        volume: Err("2 slices are missing"),
        positions_mm: &positions,
        normal: [0.0, 0.0, 1.0],
        thickness_mm: None,
    };
    let quality = measure(&input);
    assert_eq!(quality.noise.refusal().unwrap().to_string(), "noise not evaluated: 2 slices are missing");
    assert!(matches!(&quality.slices, Evaluated::Done(slices) if slices.missing == 2) && !quality.is_empty());
}
