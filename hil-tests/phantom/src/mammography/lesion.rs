//! What is suspicious: masses, groups of calcifications, asymmetries, architectural distortions. Each has one place.

use serde::Serialize;

use super::Place;
use super::seeds::stream;
use super::strands::{Body, Grain, Lobe, Parts, Rod, rho, somewhere};
use super::tissue::Gland;
use super::woman::Woman;
use crate::anatomy::Side;
use crate::random::Random;
use crate::shape::{add, length, scaled};

/// The order is that of the channels of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Mass,
    Calcifications,
    /// Dense like gland, without an edge, in one breast only, seen in both views.
    Asymmetry,
    /// Lines that meet at a point without a mass.
    Distortion,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Mass, Self::Calcifications, Self::Asymmetry, Self::Distortion];
}

/// Margin of a suspicious mass. A smooth margin belongs to the decoys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Margin {
    Microlobulated,
    Indistinct,
    Spiculated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    Grouped,
    Linear,
    Segmental,
}

#[derive(Debug, Clone, Serialize)]
pub struct Lesion {
    pub id: u8,
    pub side: Side,
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<Margin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    pub centre_mm: Place,
    /// Half axes at the current examination (of the group, for calcifications): depth, lateral, up; mm.
    pub half_mm: [f32; 3],
    /// Size at the prior examination as a part of the current one; 0: was not there.
    pub prior_size: f32,
    seed: u64,
}

impl Lesion {
    /// The lesions of a woman; in one breast, seldom in both.
    pub fn planted(woman: &Woman, glands: &[Gland; 2], count: Option<usize>, kind: Option<Kind>) -> Vec<Self> {
        let mut random = Random::new(woman.seed, stream::LESIONS);
        let drawn = if random.chance(0.45) { 0 } else { 1 + usize::from(random.chance(0.2)) };
        let first = Side::BOTH[random.below(2)];
        let mut lesions: Vec<Self> = Vec::new();
        for id in 0..count.unwrap_or(drawn) {
            let mut random = Random::new(woman.seed, stream::LESIONS + 1000 + id as u64);
            let other = if first == Side::Right { Side::Left } else { Side::Right };
            let side = if id > 0 && random.chance(0.25) { other } else { first };
            let drawn = match random.unit() {
                v if v < 0.42 => Kind::Mass,
                v if v < 0.70 => Kind::Calcifications,
                v if v < 0.85 => Kind::Asymmetry,
                _ => Kind::Distortion,
            };
            let gland = &glands[usize::from(side == Side::Left)];
            let taken: Vec<Place> = lesions.iter().filter(|l| l.side == side).map(|l| l.centre_mm).collect();
            let centre_mm = seat(woman, gland, &taken, &mut random);
            lesions.push(Self::new(id as u8 + 1, side, kind.unwrap_or(drawn), centre_mm, woman, &mut random));
        }
        lesions
    }

    fn new(id: u8, side: Side, kind: Kind, centre_mm: Place, woman: &Woman, random: &mut Random) -> Self {
        let margin =
            [Margin::Microlobulated, Margin::Indistinct, Margin::Spiculated, Margin::Spiculated][random.below(4)];
        let distribution =
            [Distribution::Grouped, Distribution::Grouped, Distribution::Linear, Distribution::Segmental]
                [random.below(4)];
        let r = match kind {
            Kind::Mass => random.logarithmic(4.2, 12.0),
            Kind::Calcifications => random.between(3.0, 7.0),
            Kind::Asymmetry => random.between(8.0, 15.0),
            Kind::Distortion => random.between(9.0, 16.0),
        };
        let mut half_mm = [r * random.between(0.8, 1.15), r * random.between(0.8, 1.15), r * random.between(0.8, 1.15)];
        if kind == Kind::Calcifications {
            half_mm = match distribution {
                Distribution::Grouped => half_mm,
                Distribution::Linear => towards_nipple(woman, centre_mm).map(|c| 1.5 + 11.0 * c.abs()),
                Distribution::Segmental => towards_nipple(woman, centre_mm).map(|c| 5.0 + 11.0 * c.abs()),
            };
        }
        Self {
            id,
            side,
            kind,
            margin: (kind == Kind::Mass).then_some(margin),
            distribution: (kind == Kind::Calcifications).then_some(distribution),
            centre_mm,
            half_mm,
            prior_size: if random.chance(0.55) { 0.0 } else { random.between(0.4, 0.75) },
            seed: random.word(),
        }
    }

    /// Size at the current or the prior examination; 0 when it is not there.
    pub fn size(&self, prior: bool) -> f32 {
        if prior { self.prior_size } else { 1.0 }
    }

    /// What is drawn, at `size` times the current size.
    pub fn parts(&self, woman: &Woman, size: f32) -> Parts {
        let mut random = Random::new(self.seed, stream::LESIONS);
        let mut parts = Parts::default();
        if size <= 0.0 {
            return parts;
        }
        let half = self.half_mm.map(|h| h * size);
        match self.kind {
            Kind::Mass => {
                mass(self.centre_mm, half, self.margin.unwrap_or(Margin::Indistinct), &mut random, &mut parts)
            }
            Kind::Calcifications => self.calcifications(woman, half, size, &mut random, &mut parts),
            Kind::Asymmetry => asymmetry(self.centre_mm, half, &mut random, &mut parts),
            Kind::Distortion => {
                spicules(
                    self.centre_mm,
                    half.map(|h| 0.12 * h),
                    [0.5 * half[0], 1.3 * half[0]],
                    34,
                    &mut random,
                    &mut parts,
                );
                parts.bodies.push(Body::round(self.centre_mm, 0.3 * half[0], 1.0, 0.5));
            }
        }
        parts
    }

    fn calcifications(&self, woman: &Woman, half: [f32; 3], size: f32, random: &mut Random, parts: &mut Parts) {
        let full = 7 + random.below(20);
        let along = towards_nipple(woman, self.centre_mm);
        let fine = self.distribution != Some(Distribution::Grouped) && random.chance(0.6);
        for _ in 0..(full as f32 * size).round().max(4.0) as usize {
            let offset = match self.distribution {
                Some(Distribution::Linear) => {
                    add(scaled(along, 11.0 * size * random.between(-1.0, 1.0)), scaled(random.direction(), 1.1))
                }
                Some(Distribution::Segmental) => {
                    let t = random.between(-1.0, 1.0);
                    add(
                        scaled(along, 11.0 * size * t),
                        scaled(random.direction(), (1.0 - t) * 3.2 * random.unit().sqrt()),
                    )
                }
                _ => {
                    let inside = scaled(random.direction(), random.unit().cbrt());
                    [0, 1, 2].map(|a| inside[a] * half[a])
                }
            };
            let radius = random.logarithmic(0.09, 0.30);
            let long = if fine && random.chance(0.6) { random.between(0.3, 0.9) } else { 0.3 * radius };
            let direction =
                if fine { add(scaled(along, 1.0), scaled(random.direction(), 0.5)) } else { random.direction() };
            parts.grains.push(Grain {
                centre: add(self.centre_mm, offset),
                radius_mm: if fine { radius.min(0.17) } else { radius },
                half_length: scaled(direction, long / length(direction).max(0.1)),
                strength: random.between(0.45, 1.0),
            });
        }
        if random.chance(0.3) {
            parts.bodies.push(Body {
                centre: self.centre_mm,
                half,
                turn_degrees: 0.0,
                lobes: Vec::new(),
                soft: 1.0,
                strength: 0.25,
            });
        }
    }
}

/// Unit vector from a place to the nipple.
fn towards_nipple(woman: &Woman, place: Place) -> Place {
    let line = [woman.depth_mm - place[0], -place[1], -place[2]];
    scaled(line, 1.0 / length(line).max(1.0))
}

/// Lesions begin in or beside gland, most often in the upper outer quadrant, and where both views reach.
fn seat(woman: &Woman, gland: &Gland, taken: &[Place], random: &mut Random) -> Place {
    let mut best = [0.5 * woman.depth_mm, 0.2 * woman.radius_mm, 0.2 * woman.radius_mm];
    let mut worth = -1.0;
    for _ in 0..24 {
        let p = somewhere(woman, random, 0.80);
        let deep = p[0] / woman.depth_mm;
        let apart = taken.iter().all(|t| length(crate::shape::sub(*t, p)) > 28.0);
        let nipple = rho(woman, [p[0] - woman.depth_mm, p[1], p[2]]);
        if !(0.16..0.82).contains(&deep) || !apart || nipple < 0.22 {
            continue;
        }
        let outer = if p[1] > 0.0 && p[2] > 0.0 { 0.35 } else { 0.0 };
        let value = gland.at(p).min(0.5) + outer + random.unit();
        if value > worth {
            (best, worth) = (p, value);
        }
    }
    best
}

fn mass(centre: Place, half: [f32; 3], margin: Margin, random: &mut Random, parts: &mut Parts) {
    let (lobes, soft) = match margin {
        Margin::Microlobulated => {
            let mut lobes = Lobe::some(random, 4, [2.0, 4.0], 0.07);
            lobes.extend(Lobe::some(random, 5, [7.0, 12.0], 0.05));
            (lobes, 0.15)
        }
        Margin::Indistinct => (Lobe::some(random, 5, [2.0, 6.0], 0.13), 0.7),
        Margin::Spiculated => (Lobe::some(random, 6, [3.0, 9.0], 0.12), 0.4),
    };
    parts.bodies.push(Body { centre, half, turn_degrees: 0.0, lobes, soft, strength: random.between(0.65, 1.1) });
    if margin == Margin::Spiculated {
        let reach = half[0] * random.between(0.7, 1.3) + 3.0;
        let count = 16 + random.below(16);
        spicules(centre, half.map(|h| 0.8 * h), [0.5 * reach, reach], count, random, parts);
    }
}

/// Thin lines away from the centre, from the surface of an ellipsoid on.
fn spicules(centre: Place, half: [f32; 3], reach: [f32; 2], count: usize, random: &mut Random, parts: &mut Parts) {
    for _ in 0..count {
        let out = random.direction();
        let start = [0, 1, 2].map(|a| centre[a] + out[a] * half[a]);
        let long = random.between(reach[0], reach[1]);
        let bend = scaled(random.direction(), 0.12 * long);
        let points = (0..=5)
            .map(|i| {
                let t = i as f32 / 5.0;
                add(start, add(scaled(out, t * long), scaled(bend, t * t)))
            })
            .collect();
        parts.rods.push(Rod {
            points,
            radius_mm: [random.between(0.5, 0.95), 0.2],
            strength: random.between(0.7, 1.1),
        });
    }
}

/// Several soft pieces.
fn asymmetry(centre: Place, half: [f32; 3], random: &mut Random, parts: &mut Parts) {
    for _ in 0..7 + random.below(5) {
        let inside = scaled(random.direction(), 0.7 * random.unit().cbrt());
        let at = [0, 1, 2].map(|a| centre[a] + inside[a] * half[a]);
        let piece = half.map(|h| h * random.between(0.28, 0.5));
        let lobes = Lobe::some(random, 4, [2.0, 6.0], 0.15);
        parts.bodies.push(Body {
            centre: at,
            half: piece,
            turn_degrees: 0.0,
            lobes,
            soft: 0.75,
            strength: random.between(0.45, 0.7),
        });
    }
}
