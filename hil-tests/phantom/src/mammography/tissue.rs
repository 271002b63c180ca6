//! Glandular tissue of both breasts on a grid: an envelope behind the nipple, broken up by noise that fans out from the
//! nipple. The coarse noise is the same in both breasts, mirrored; the fine noise is mostly their own.

use super::Place;
use super::noise::Field;
use super::seeds::stream;
use super::woman::Woman;
use crate::random::Random;
use crate::shape::ramp;

/// Step of the grid, mm.
const STEP: f32 = 1.25;

/// Glandular part of the tissue, 0 to 1, in one uncompressed breast.
#[derive(Debug)]
pub struct Gland {
    size: [usize; 3],
    low: Place,
    values: Vec<f32>,
    /// Mean over the breast within the skin, percent.
    pub percent: f32,
}

impl Gland {
    /// Right and left.
    pub fn pair(woman: &Woman, percent: f32) -> [Self; 2] {
        let mut random = Random::new(woman.seed, stream::GLAND);
        let shared: Vec<Field> = [34.0, 17.0, 9.0].map(|w| Field::new(&mut random, w)).into();
        let bend: Vec<Field> = [26.0, 24.0].map(|w| Field::new(&mut random, w)).into();
        let own: Vec<Vec<Field>> =
            (0..2).map(|_| [28.0, 10.0, 4.8].map(|w| Field::new(&mut random, w)).into()).collect();
        let shape = Shape::new(woman, &mut random);
        let counts = [(woman.depth_mm / STEP) as usize + 2, (2.0 * woman.radius_mm / STEP) as usize + 3];
        let size = [counts[0], counts[1], counts[1]];
        let low = [0.0, -woman.radius_mm - 0.5 * STEP, -woman.radius_mm - 0.5 * STEP];
        let mut values = [vec![f32::MIN; size[0] * size[1] * size[2]], vec![f32::MIN; size[0] * size[1] * size[2]]];
        let mut at = 0;
        for k in 0..size[0] {
            for j in 0..size[1] {
                for i in 0..size[2] {
                    let p = [low[0] + k as f32 * STEP, low[1] + j as f32 * STEP, low[2] + i as f32 * STEP];
                    if let Some(envelope) = shape.envelope(p) {
                        let a = p[0] / woman.depth_mm;
                        let spread = 1.0 / (0.34 + 0.66 * (1.0 - a));
                        let bends = [6.0 * bend[0].at(p), 6.0 * bend[1].at(p)];
                        let fan = [0.5 * p[0], p[1] * spread + bends[0], p[2] * spread + bends[1]];
                        let common = 0.62 * shared[0].at(fan) + 0.55 * shared[1].at(fan) + 0.26 * shared[2].at(fan);
                        for (values, own) in values.iter_mut().zip(&own) {
                            let alone = 0.12 * own[0].at(fan) + 0.34 * own[1].at(fan) + 0.36 * own[2].at(fan);
                            values[at] = envelope + common + alone;
                        }
                    }
                    at += 1;
                }
            }
        }
        values.map(|values| Self::thresholded(values, size, low, percent))
    }

    /// Turns the field into parts of glandular tissue: the threshold is where the mean becomes `percent`.
    fn thresholded(mut values: Vec<f32>, size: [usize; 3], low: Place, percent: f32) -> Self {
        let part = |v: f32, threshold: f32| 0.95 * ramp(v, threshold - 0.22, threshold + 0.34);
        let sample: Vec<f32> = values.iter().copied().filter(|v| *v > f32::MIN).step_by(7).collect();
        let mean = |t: f32| 100.0 * sample.iter().map(|v| part(*v, t)).sum::<f32>() / sample.len().max(1) as f32;
        let (mut below, mut above) = (-4.0, 4.0);
        for _ in 0..20 {
            let middle = 0.5 * (below + above);
            if mean(middle) > percent { below = middle } else { above = middle }
        }
        let percent = mean(above);
        for v in &mut values {
            *v = if *v > f32::MIN { part(*v, above) } else { 0.0 };
        }
        Self { size, low, values, percent }
    }

    /// Trilinear; 0 outside.
    pub fn at(&self, place: Place) -> f32 {
        let q = [0, 1, 2].map(|a| (place[a] - self.low[a]) / STEP);
        if (0..3).any(|a| q[a] < 0.0 || q[a] >= (self.size[a] - 1) as f32) {
            return 0.0;
        }
        let [k, j, i] = q.map(|v| v as usize);
        let [h, g, f] = q.map(f32::fract);
        let line = |k: usize, j: usize| {
            let base = (k * self.size[1] + j) * self.size[2] + i;
            self.values[base] + (self.values[base + 1] - self.values[base]) * f
        };
        let plane = |k: usize| {
            let (a, b) = (line(k, j), line(k, j + 1));
            a + (b - a) * g
        };
        let (a, b) = (plane(k), plane(k + 1));
        a + (b - a) * h
    }
}

/// Where glandular tissue may be.
struct Shape {
    radius: f32,
    depth: f32,
    /// Fat under the skin, as a part of the radius.
    under_skin: f32,
    centre: Place,
    half: Place,
}

impl Shape {
    fn new(woman: &Woman, random: &mut Random) -> Self {
        let (r, d) = (woman.radius_mm, woman.depth_mm);
        let full = woman.glandular_percent / 40.0;
        let wide = 0.50 + 0.26 * full.min(1.0);
        Self {
            radius: r,
            depth: d,
            under_skin: random.between(0.07, 0.13) * (1.25 - 0.7 * full.min(1.0)),
            centre: [random.between(0.42, 0.54) * d, random.between(0.0, 0.14) * r, random.between(0.0, 0.12) * r],
            half: [
                random.between(0.48, 0.56) * d,
                wide * r * random.between(0.95, 1.1),
                wide * r * random.between(0.9, 1.05),
            ],
        }
    }

    /// Larger is more likely gland; None where never.
    fn envelope(&self, p: Place) -> Option<f32> {
        let rho = ((p[0] / self.depth).powi(2) + (p[1] * p[1] + p[2] * p[2]) / (self.radius * self.radius)).sqrt();
        if rho >= 1.0 {
            return None;
        }
        let q = [0, 1, 2].map(|a| (p[a] - self.centre[a]) / self.half[a]);
        let body = 1.0 - (q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
        // A tail towards the armpit.
        let along = (p[1] + p[2]) * 0.707 / self.radius;
        let beside = ((p[1] - p[2]) * 0.707 / self.radius).powi(2) + (p[0] / self.depth - 0.35).powi(2);
        let tail = 0.9 - (along - 0.4).powi(2) * 5.0 - beside * 9.0;
        // Ducts reach the nipple.
        let neck = 0.9 - (p[1] * p[1] + p[2] * p[2]) / (0.16 * self.radius).powi(2) - (1.0 - p[0] / self.depth) * 3.0;
        let skin = ramp(1.0 - rho, 0.3 * self.under_skin, 1.6 * self.under_skin);
        let kept = body.max(tail).max(-2.5);
        Some((1.05 * kept - 1.7 * (1.0 - skin)).max(1.05 * neck))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mammography::woman::Density;

    /// Correlation of the gland of two breasts of the same size over the places where gland may be.
    fn alike(a: &Gland, b: &Gland, woman: &Woman) -> f32 {
        let places = (0..24 * 24 * 24).map(|i| {
            let part = |k: usize| (k % 24) as f32 / 24.0;
            let side = |k: usize| (2.0 * part(k) - 1.0) * 0.5 * woman.radius_mm;
            [(0.25 + 0.5 * part(i)) * woman.depth_mm, side(i / 24), side(i / 576)]
        });
        let pairs: Vec<[f32; 2]> = places.map(|p| [a.at(p), b.at(p)]).collect();
        let count = pairs.len() as f32;
        let mean = [0, 1].map(|k| pairs.iter().map(|p| p[k]).sum::<f32>() / count);
        let product = |j: usize, k: usize| pairs.iter().map(|p| (p[j] - mean[j]) * (p[k] - mean[k])).sum::<f32>();
        product(0, 1) / (product(0, 0) * product(1, 1)).sqrt()
    }

    #[test]
    fn the_breasts_of_a_woman_are_alike_but_not_the_same_and_those_of_two_women_differ() {
        for seed in 0..4 {
            let woman = Woman::new(seed, Some(Density::C), None);
            let [right, left] = Gland::pair(&woman, woman.glandular_percent);
            let [stranger, _] = Gland::pair(&Woman { seed: seed + 100, ..woman.clone() }, woman.glandular_percent);
            let (own, strange) = (alike(&right, &left, &woman), alike(&right, &stranger, &woman));
            assert!((0.55..0.95).contains(&own), "seed {seed}: {own}");
            assert!(own > strange + 0.25, "seed {seed}: {own} and {strange}");
        }
    }
}
