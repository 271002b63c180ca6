//! What is finer than the grid of the gland, as bodies with a place: Cooper's ligaments, ducts, vessels; and the forms from
//! which lesions and decoys are made.

use super::Place;
use super::seeds::stream;
use super::tissue::Gland;
use super::woman::Woman;
use crate::random::Random;
use crate::shape::{add, length, scaled, sub};

/// A bent cylinder.
#[derive(Debug, Clone)]
pub struct Rod {
    pub points: Vec<Place>,
    /// At the first and at the last point, mm.
    pub radius_mm: [f32; 2],
    /// Attenuation above fat, relative to that of gland.
    pub strength: f32,
}

/// An ellipsoid that keeps its shape when the breast is pressed, because it is stiffer than what is around it.
#[derive(Debug, Clone)]
pub struct Body {
    pub centre: Place,
    /// Half axes along depth, lateral and up, mm.
    pub half: [f32; 3],
    /// Turn of the last two axes about the depth, degrees: then they are those of a view with this angle of the arm.
    pub turn_degrees: f32,
    /// Waves of the surface: direction, frequency, phase, amplitude relative to the radius.
    pub lobes: Vec<Lobe>,
    /// 0: sharp edge, 1: no edge.
    pub soft: f32,
    /// Attenuation above fat, relative to that of gland; negative for fat.
    pub strength: f32,
}

#[derive(Debug, Clone, Copy)]
pub struct Lobe {
    pub direction: [f32; 3],
    pub frequency: f32,
    pub phase: f32,
    pub amplitude: f32,
}

impl Body {
    pub fn round(centre: Place, radius_mm: f32, soft: f32, strength: f32) -> Self {
        Self { centre, half: [radius_mm; 3], turn_degrees: 0.0, lobes: Vec::new(), soft, strength }
    }

    /// Radius in a direction relative to the ellipsoid.
    pub fn star(&self, direction: [f32; 3]) -> f32 {
        let wave = |l: &Lobe| {
            let c: f32 = (0..3).map(|a| l.direction[a] * direction[a]).sum();
            l.amplitude * (l.frequency * c + l.phase).sin()
        };
        1.0 + self.lobes.iter().map(wave).sum::<f32>()
    }
}

impl Lobe {
    pub fn some(random: &mut Random, count: usize, frequency: [f32; 2], amplitude: f32) -> Vec<Self> {
        (0..count)
            .map(|_| Self {
                direction: random.direction(),
                frequency: random.between(frequency[0], frequency[1]),
                phase: random.between(0.0, 6.3),
                amplitude: amplitude * random.between(0.5, 1.0),
            })
            .collect()
    }
}

/// A calcification: a short cylinder or a ball.
#[derive(Debug, Clone, Copy)]
pub struct Grain {
    pub centre: Place,
    pub radius_mm: f32,
    /// Half of its length and its direction; zero for a ball.
    pub half_length: Place,
    /// Relative to solid calcium.
    pub strength: f32,
}

/// All that is drawn besides the gland, in one breast.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    pub rods: Vec<Rod>,
    pub bodies: Vec<Body>,
    pub grains: Vec<Grain>,
}

impl Parts {
    pub fn append(&mut self, mut other: Self) {
        self.rods.append(&mut other.rods);
        self.bodies.append(&mut other.bodies);
        self.grains.append(&mut other.grains);
    }
}

/// Ligaments, ducts and vessels of one breast; `side` 0 or 1. Vessels also, because calcium lies along them.
pub fn anatomy(woman: &Woman, gland: &Gland, side: u64) -> (Parts, Vec<Rod>) {
    let mut random = Random::new(woman.seed, stream::STRANDS + side);
    let mut parts = Parts::default();
    ligaments(woman, gland, &mut random, &mut parts.rods);
    ducts(woman, &mut random, &mut parts.rods);
    let vessels = vessels(woman, &mut random);
    parts.rods.extend(vessels.iter().cloned());
    (parts, vessels)
}

/// Ellipsoidal radius of a place: 1 at the skin.
pub fn rho(woman: &Woman, p: Place) -> f32 {
    ((p[0] / woman.depth_mm).powi(2) + (p[1] * p[1] + p[2] * p[2]) / woman.radius_mm.powi(2)).sqrt()
}

/// A place of the breast with `rho` below `most`, uniform in volume.
pub fn somewhere(woman: &Woman, random: &mut Random, most: f32) -> Place {
    loop {
        let r = woman.radius_mm;
        let p = [random.between(0.0, woman.depth_mm), random.between(-r, r), random.between(-r, r)];
        if rho(woman, p) < most {
            return p;
        }
    }
}

/// Walks from `start`, turning slowly.
fn walk(random: &mut Random, start: Place, mut along: Place, length_mm: f32, bend: f32) -> Vec<Place> {
    let steps = ((length_mm / 3.0) as usize).max(2);
    let step = length_mm / steps as f32;
    let mut points = vec![start];
    let mut turn = scaled(random.direction(), bend);
    for _ in 0..steps {
        along = add(along, turn);
        along = scaled(along, 1.0 / length(along).max(1e-3));
        turn = add(scaled(turn, 0.8), scaled(random.direction(), 0.35 * bend));
        let last = points[points.len() - 1];
        points.push(add(last, scaled(along, step)));
    }
    points
}

/// Thin strands, most of them from the surface of the gland through the fat to the skin.
fn ligaments(woman: &Woman, gland: &Gland, random: &mut Random, rods: &mut Vec<Rod>) {
    let count = (420.0 * (woman.radius_mm / 60.0).powi(2)) as usize;
    for _ in 0..count {
        let p = somewhere(woman, random, 0.97);
        let within = gland.at(p);
        if within > 0.6 && random.chance(0.7) {
            continue;
        }
        let out = [p[0] / woman.depth_mm.powi(2), p[1] / woman.radius_mm.powi(2), p[2] / woman.radius_mm.powi(2)];
        let out = scaled(out, 1.0 / length(out).max(1e-6));
        let along = add(add(scaled(out, random.between(-0.3, 1.0)), [0.75, 0.0, 0.0]), scaled(random.direction(), 0.9));
        let along = scaled(along, 1.0 / length(along).max(1e-3));
        let long = random.logarithmic(7.0, 34.0);
        let mut points = walk(random, p, along, long, 0.22);
        points.retain(|q| rho(woman, *q) < 1.0 && q[0] > -4.0);
        if points.len() > 1 {
            let radius = random.logarithmic(0.22, 0.85);
            rods.push(Rod { points, radius_mm: [radius, 0.5 * radius], strength: random.between(0.35, 0.85) });
        }
    }
}

/// Trees that begin at the nipple.
fn ducts(woman: &Woman, random: &mut Random, rods: &mut Vec<Rod>) {
    let nipple = [woman.depth_mm, 0.0, 0.0];
    for _ in 0..9 + random.below(5) {
        let spread = 0.75;
        let along = [-1.0, random.between(-spread, spread), random.between(-spread, spread)];
        let along = scaled(along, 1.0 / length(along));
        let start = add(nipple, [-2.0, random.between(-3.0, 3.0), random.between(-3.0, 3.0)]);
        let long = woman.depth_mm * random.between(0.35, 0.6);
        let stem = walk(random, start, along, long, 0.10);
        for _ in 0..2 {
            let from = stem[random.below(stem.len() - 1) + 1];
            let turned = add(along, scaled(random.direction(), 0.7));
            let turned = scaled(turned, 1.0 / length(turned).max(1e-3));
            let long = woman.depth_mm * random.between(0.15, 0.35);
            let points = walk(random, from, turned, long, 0.12);
            rods.push(Rod { points, radius_mm: [0.5, 0.25], strength: 0.6 });
        }
        rods.push(Rod { points: stem, radius_mm: [0.85, 0.45], strength: 0.7 });
    }
}

/// Long and wavy, in the fat under the skin and behind the gland.
fn vessels(woman: &Woman, random: &mut Random) -> Vec<Rod> {
    (0..4 + random.below(4))
        .map(|_| {
            let angle = random.between(0.0, std::f32::consts::TAU);
            let r = woman.radius_mm * random.between(0.6, 0.88);
            let start = [random.between(-2.0, 6.0), r * angle.cos(), r * angle.sin()];
            let aim = [
                woman.depth_mm * random.between(0.6, 0.95),
                random.between(-0.3, 0.3) * r,
                random.between(-0.3, 0.3) * r,
            ];
            let line = sub(aim, start);
            let total = length(line);
            // Bulges outwards like the skin.
            let bulge = 0.28 * r;
            let [waves, wave, phase] = [random.between(2.0, 5.0), random.between(0.8, 2.4), random.between(0.0, 6.0)];
            let aside = random.direction();
            let steps = (total / 2.0) as usize;
            let points = (0..=steps)
                .map(|i| {
                    let t = i as f32 / steps as f32;
                    let arc = 4.0 * t * (1.0 - t) * bulge;
                    let p = add(add(start, scaled(line, t)), [0.0, arc * angle.cos(), arc * angle.sin()]);
                    add(p, scaled(aside, wave * (waves * t * 6.3 + phase).sin()))
                })
                .filter(|p| rho(woman, *p) < 0.97)
                .collect();
            let radius = random.between(0.6, 1.5);
            Rod { points, radius_mm: [radius, 0.55 * radius], strength: 0.8 }
        })
        .filter(|rod: &Rod| rod.points.len() > 3)
        .collect()
}
