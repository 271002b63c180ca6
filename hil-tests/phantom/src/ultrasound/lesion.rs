//! One lesion: a body with half axes, bumps and spicules, and its interior.

use super::breast::Point;
use super::descriptors::{Descriptors, EchoPattern, Margin, Orientation, Posterior, Shape};
use super::noise;
use crate::random::Random;

#[derive(Debug, Clone)]
pub struct Lesion {
    /// From 1, within its video.
    pub id: u8,
    pub descriptors: Descriptors,
    /// mm.
    pub centre: Point,
    /// Half axes (lateral, depth, elevation) before bumps, mm.
    pub half: Point,
    /// Cosine and sine of the rotation in the image plane.
    turn: [f32; 2],
    bumps: Vec<Bump>,
    spicules: Vec<Spicule>,
    pub inside: Inside,
    /// Width over which inside and outside blend, mm.
    pub edge_mm: f32,
    /// Echogenic rim of invaded fat: thickness, mm, and brightness, dB.
    pub halo: (f32, f32),
    /// mm.
    pub calcifications: Vec<Point>,
    seed: u64,
}

/// Echoes of the body relative to fat.
#[derive(Debug, Clone, Copy)]
pub struct Inside {
    pub echo_db: f32,
    /// Half range of the variation, dB, and the size of the patches, mm.
    pub uneven_db: f32,
    pub patch_mm: f32,
    /// Loss there and back, beyond that of the surrounding tissue; negative: enhancement behind the lesion.
    pub attenuation_db_mm: f32,
}

/// A bump: around `direction` the surface is higher by `height` times the radius.
#[derive(Debug, Clone, Copy)]
struct Bump {
    direction: Point,
    height: f32,
    sharpness: f32,
}

/// A fine line that runs outwards.
#[derive(Debug, Clone, Copy)]
struct Spicule {
    direction: Point,
    length_mm: f32,
    echo_db: f32,
}

/// Position of a point relative to the surface.
#[derive(Debug, Clone, Copy)]
pub struct Surface {
    /// Negative inside, mm; exact near the surface only.
    pub distance_mm: f32,
    /// Depth component of the normal, 0 (side) to 1 (front or back).
    pub level: f32,
    /// From the centre, of length 1.
    direction: Point,
}

impl Lesion {
    pub fn new(id: u8, descriptors: Descriptors, centre: Point, half: Point, random: &mut Random) -> Self {
        let angle = match (descriptors.orientation, descriptors.shape) {
            (Orientation::Parallel, _) => random.between(-0.25, 0.25),
            (_, Shape::Irregular) => random.between(-0.3, 0.3),
            _ => 0.0,
        };
        let suspicious = descriptors.margin != Margin::Circumscribed;
        let halo = suspicious && descriptors.echo_pattern != EchoPattern::Anechoic && random.chance(0.65);
        let calcified = descriptors.malignant() && random.chance(0.35);
        let mut lesion = Self {
            id,
            descriptors,
            centre,
            half,
            turn: [angle.cos(), angle.sin()],
            bumps: bumps(&descriptors, random),
            spicules: spicules(&descriptors, random),
            inside: inside(&descriptors, half, random),
            edge_mm: match descriptors.margin {
                Margin::Circumscribed => 0.25,
                Margin::Indistinct => random.between(1.2, 2.4),
                _ => random.between(0.3, 0.7),
            },
            halo: if halo { (random.between(0.8, 2.0), random.between(3.0, 7.0)) } else { (0.0, 0.0) },
            calcifications: Vec::new(),
            seed: random.word(),
        };
        if calcified {
            for _ in 0..3 + random.below(10) {
                let d = random.direction();
                let part = 0.8 * random.unit();
                lesion.calcifications.push(std::array::from_fn(|a| centre[a] + part * half[a] * d[a]));
            }
        }
        lesion
    }

    /// Largest distance of any part of the lesion from its centre along an axis, mm; spicules and halo included.
    pub fn reach(&self) -> Point {
        let widest = self.half[0].max(self.half[1]);
        let rest = self.halo.0 + self.edge_mm + if self.spicules.is_empty() { 0.5 } else { 7.0 };
        [1.6 * widest + rest, 1.6 * widest + rest, 1.6 * self.half[2] + rest]
    }

    /// Position of `p` (mm); first-order like [`crate::shape::ellipsoid`].
    pub fn surface(&self, p: Point) -> Surface {
        let d: Point = std::array::from_fn(|a| p[a] - self.centre[a]);
        let turned = [self.turn[0] * d[0] + self.turn[1] * d[1], self.turn[0] * d[1] - self.turn[1] * d[0], d[2]];
        let u: Point = std::array::from_fn(|a| turned[a] / self.half[a]);
        let k1 = length(u).max(1e-4);
        let gradient: Point = std::array::from_fn(|a| u[a] / self.half[a]);
        let k2 = length(gradient).max(1e-6);
        let direction = u.map(|c| c / k1);
        let raised = |b: &Bump| b.height * (b.sharpness * (dot(b.direction, direction) - 1.0)).exp();
        let radius = 1.0 + self.bumps.iter().map(raised).sum::<f32>();
        let level = (self.turn[1] * gradient[0] + self.turn[0] * gradient[1]).abs() / k2;
        Surface { distance_mm: k1 * (k1 - radius) / k2, level, direction }
    }

    /// Echogenicity inside at `p` (mm), dB.
    pub fn echo_db(&self, p: Point) -> f32 {
        let patch = |mm: f32| noise::smooth(self.seed, p.map(|c| c / mm));
        let i = &self.inside;
        match self.descriptors.echo_pattern {
            EchoPattern::Heterogeneous => {
                i.echo_db + i.uneven_db * (1.2 * patch(i.patch_mm) + 0.8 * patch(0.45 * i.patch_mm))
            }
            _ => i.echo_db,
        }
    }

    /// How much brighter the tissue at a point outside is because of the lesion, dB.
    pub fn around_db(&self, at: &Surface) -> f32 {
        let away = at.distance_mm;
        let rim = if away < self.halo.0 { self.halo.1 * (1.0 - (away / self.halo.0).max(0.0).powi(2)) } else { 0.0 };
        let ray = |s: &Spicule| {
            if away > s.length_mm { 0.0 } else { s.echo_db * (260.0 * (dot(s.direction, at.direction) - 1.0)).exp() }
        };
        rim + self.spicules.iter().map(ray).sum::<f32>()
    }
}

fn inside(descriptors: &Descriptors, half: Point, random: &mut Random) -> Inside {
    // Attenuation of the whole path through the middle.
    let effect_db = match descriptors.posterior_features {
        Posterior::None => random.between(-0.8, 0.8),
        Posterior::Enhancement => -random.between(4.5, 8.0),
        Posterior::Shadowing => random.between(9.0, 17.0),
    };
    let (echo_db, uneven_db) = match descriptors.echo_pattern {
        EchoPattern::Anechoic => (random.between(-44.0, -30.0), 0.0),
        EchoPattern::Hypoechoic => (random.between(-10.0, -5.0), 0.0),
        EchoPattern::Heterogeneous => (random.between(-11.0, -7.0), random.between(5.0, 8.0)),
    };
    let patch_mm = random.between(1.6, 3.0).min(0.8 * half[1].max(half[0]));
    Inside { echo_db, uneven_db, patch_mm, attenuation_db_mm: effect_db / (2.0 * half[1]) }
}

fn bumps(descriptors: &Descriptors, random: &mut Random) -> Vec<Bump> {
    let mut all = Vec::new();
    let mut add = |count: usize, low: f32, high: f32, sharpness: [f32; 2], random: &mut Random| {
        for _ in 0..count {
            let sign = if low < 0.0 && random.chance(0.5) { -1.0 } else { 1.0 };
            let height = sign * random.between(low.abs(), high);
            let sharpness = random.between(sharpness[0], sharpness[1]);
            all.push(Bump { direction: random.direction(), height, sharpness });
        }
    };
    match descriptors.shape {
        // A shape with two or three gentle lobulations still counts as oval.
        Shape::Oval => add(3, 0.02, 0.07, [2.0, 5.0], random),
        Shape::Round => {}
        Shape::Irregular => add(11, -0.14, 0.40, [3.0, 10.0], random),
    }
    match descriptors.margin {
        Margin::Circumscribed => {}
        Margin::Indistinct => add(10, -0.04, 0.12, [8.0, 20.0], random),
        Margin::Angular => add(14, 0.12, 0.30, [14.0, 40.0], random),
        Margin::Microlobulated => add(60, 0.06, 0.13, [45.0, 80.0], random),
        Margin::Spiculated => add(26, 0.10, 0.32, [40.0, 110.0], random),
    }
    all
}

fn spicules(descriptors: &Descriptors, random: &mut Random) -> Vec<Spicule> {
    if descriptors.margin != Margin::Spiculated {
        return Vec::new();
    }
    let one = |random: &mut Random| Spicule {
        direction: random.direction(),
        length_mm: random.between(2.0, 6.5),
        echo_db: if random.chance(0.55) { random.between(4.0, 9.0) } else { random.between(-10.0, -5.0) },
    };
    (0..110).map(|_| one(random)).collect()
}

fn dot(a: Point, b: Point) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn length(a: Point) -> f32 {
    dot(a, a).sqrt()
}
