//! What is not suspicious but could be taken for it: smooth masses, lymph nodes, benign calcifications, marks on the skin,
//! and tissue that only lies one behind the other in one view.

use serde::Serialize;

use super::seeds::stream;
use super::strands::{Body, Grain, Lobe, Parts, Rod, somewhere};
use super::tissue::Gland;
use super::woman::Woman;
use super::{Place, Projection};
use crate::anatomy::Side;
use crate::random::Random;
use crate::shape::{add, length, scaled, sub};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decoy {
    /// Oval with a smooth margin: a cyst or fibroadenoma.
    SmoothMass,
    LymphNode,
    CoarseCalcifications,
    VascularCalcifications,
    SkinMark,
    /// Tissue that overlaps in one view and is spread out in the other.
    Summation,
}

/// What was planted beside the lesions.
#[derive(Debug, Clone, Serialize)]
pub struct PlantedDecoy {
    pub decoy: Decoy,
    pub side: Side,
    pub centre_mm: Place,
    pub radius_mm: f32,
    /// The only view that shows it, for summation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Projection>,
}

/// The decoys of one breast.
pub fn planted(
    woman: &Woman,
    side: Side,
    gland: &Gland,
    vessels: &[Rod],
    arm_degrees: f32,
) -> (Parts, Vec<PlantedDecoy>) {
    let number = u64::from(side == Side::Left);
    let mut random = Random::new(woman.seed, stream::DECOYS + number);
    let mut parts = Parts::default();
    let mut listed = Vec::new();
    let mut note = |decoy, centre_mm, radius_mm, only| {
        listed.push(PlantedDecoy { decoy, side, centre_mm, radius_mm, only });
    };
    if random.chance(0.22) {
        let centre = within(woman, gland, &mut random);
        let r = random.logarithmic(3.0, 9.0);
        let half = [r * random.between(1.0, 1.3), r * random.between(0.8, 1.1), r * random.between(0.7, 1.0)];
        let lobes = Lobe::some(&mut random, 2, [1.5, 3.0], 0.05);
        parts.bodies.push(Body {
            centre,
            half,
            turn_degrees: 0.0,
            lobes,
            soft: 0.05,
            strength: random.between(0.8, 1.0),
        });
        note(Decoy::SmoothMass, centre, r, None);
    }
    if random.chance(0.3) {
        let (centre, r) = node(woman, &mut random, &mut parts);
        note(Decoy::LymphNode, centre, r, None);
    }
    for _ in 0..if random.chance(0.4) { 1 + random.below(4) } else { 0 } {
        let centre = somewhere(woman, &mut random, 0.9);
        let r = coarse(centre, &mut random, &mut parts);
        note(Decoy::CoarseCalcifications, centre, r, None);
    }
    if woman.age_years > 58 && random.chance(0.45) && !vessels.is_empty() {
        let vessel = &vessels[random.below(vessels.len())];
        tram_track(vessel, &mut random, &mut parts);
        note(Decoy::VascularCalcifications, vessel.points[vessel.points.len() / 2], vessel.radius_mm[0], None);
    }
    if random.chance(0.12) {
        let (centre, r) = mole(woman, &mut random, &mut parts);
        note(Decoy::SkinMark, centre, r, None);
    }
    // A stream of its own, because these make the difference between one view and two.
    let mut random = Random::new(woman.seed, stream::SUMMATION + number);
    for projection in [Projection::Cc, Projection::Mlo] {
        if random.chance(0.35) {
            let centre = within(woman, gland, &mut random);
            let angle = if projection == Projection::Mlo { arm_degrees } else { 0.0 };
            let r = summation(woman, centre, angle, &mut random, &mut parts);
            note(Decoy::Summation, centre, r, Some(projection));
        }
    }
    (parts, listed)
}

/// In or near gland.
fn within(woman: &Woman, gland: &Gland, random: &mut Random) -> Place {
    let mut best = somewhere(woman, random, 0.75);
    for _ in 0..8 {
        let p = somewhere(woman, random, 0.78);
        if p[0] > 0.15 * woman.depth_mm && p[0] < 0.8 * woman.depth_mm && gland.at(p) > gland.at(best) {
            best = p;
        }
    }
    best
}

/// A bean with fat in its hilum, in the upper outer part of the breast.
fn node(woman: &Woman, random: &mut Random, parts: &mut Parts) -> (Place, f32) {
    let r = random.between(3.0, 6.5);
    let centre = [
        woman.depth_mm * random.between(0.08, 0.4),
        woman.radius_mm * random.between(0.35, 0.6),
        woman.radius_mm * random.between(0.35, 0.6),
    ];
    let half = [r * 0.8, r, r * 1.2];
    let hilum = add(centre, scaled(random.direction(), 0.45 * r));
    parts.bodies.push(Body { centre, half, turn_degrees: 0.0, lobes: Vec::new(), soft: 0.05, strength: 0.8 });
    parts.bodies.push(Body {
        centre: hilum,
        half: half.map(|h| 0.5 * h),
        turn_degrees: 0.0,
        lobes: Vec::new(),
        soft: 0.3,
        strength: -0.8,
    });
    (centre, r)
}

/// A ball, a ball with a lucent centre, or popcorn.
fn coarse(centre: Place, random: &mut Random, parts: &mut Parts) -> f32 {
    let r = random.logarithmic(0.4, 1.5);
    let ball = |centre, radius_mm, strength| Grain { centre, radius_mm, half_length: [0.0; 3], strength };
    match random.below(3) {
        0 => parts.grains.push(ball(centre, r, 0.5)),
        1 => {
            parts.grains.push(ball(centre, r, 0.5));
            parts.grains.push(ball(centre, 0.7 * r, -0.45));
        }
        _ => {
            for _ in 0..5 + random.below(5) {
                let at = add(centre, scaled(random.direction(), 1.6 * r * random.unit()));
                parts.grains.push(ball(at, r * random.between(0.5, 0.9), 0.35));
            }
        }
    }
    r
}

/// Dashes along both walls of a vessel.
fn tram_track(vessel: &Rod, random: &mut Random, parts: &mut Parts) {
    let [low, high] = [random.between(0.1, 0.4), random.between(0.6, 0.95)];
    let count = vessel.points.len() - 1;
    let aside = random.direction();
    for (i, pair) in vessel.points.windows(2).enumerate() {
        let t = i as f32 / count as f32;
        if t < low || t > high {
            continue;
        }
        let line = sub(pair[1], pair[0]);
        let across = [
            line[1] * aside[2] - line[2] * aside[1],
            line[2] * aside[0] - line[0] * aside[2],
            line[0] * aside[1] - line[1] * aside[0],
        ];
        let across = scaled(across, vessel.radius_mm[0] / length(across).max(1e-3));
        for wall in [across, scaled(across, -1.0)] {
            if random.chance(0.75) {
                let middle = add(scaled(add(pair[0], pair[1]), 0.5), wall);
                parts.grains.push(Grain {
                    centre: middle,
                    radius_mm: 0.15,
                    half_length: scaled(line, 0.5 * random.between(0.5, 1.0)),
                    strength: random.between(0.35, 0.7),
                });
            }
        }
    }
}

/// On the skin, so it is sharp: air is around it.
fn mole(woman: &Woman, random: &mut Random, parts: &mut Parts) -> (Place, f32) {
    let angle = random.between(0.0, std::f32::consts::TAU);
    let q = random.between(0.2, 0.75);
    let centre =
        [woman.depth_mm * (1.0 - q * q).sqrt(), woman.radius_mm * q * angle.cos(), woman.radius_mm * q * angle.sin()];
    let r = random.between(2.0, 4.0);
    parts.bodies.push(Body::round(centre, r, 0.0, 0.7));
    (centre, r)
}

/// Tissue along the beam of one view: there it adds up to a mass without spicules, in the other view it is a faint band.
pub(super) fn summation(
    woman: &Woman,
    centre: Place,
    angle_degrees: f32,
    random: &mut Random,
    parts: &mut Parts,
) -> f32 {
    let (sin, cos) = angle_degrees.to_radians().sin_cos();
    let beam = [0.0, -sin, cos];
    let r = random.between(4.0, 9.0);
    let rest = 1.0 - (centre[0] / woman.depth_mm).powi(2);
    let reach = 0.62 * woman.radius_mm * rest.max(0.1).sqrt();
    let middle = centre[1] * beam[1] + centre[2] * beam[2];
    // Sheets seen edge-on: long along the beam, so that the other view spreads them out.
    let total = r * random.between(1.1, 1.8);
    for _ in 0..3 {
        let long = reach * random.between(0.5, 0.75);
        let along = random.between(-1.0, 1.0) * (reach - long) - middle;
        let jitter = [random.normal() * 0.16 * r, random.normal() * 0.16 * r * cos, random.normal() * 0.16 * r * sin];
        let wide = [r * random.between(0.75, 1.1), r * random.between(0.75, 1.1)];
        let lobes = Lobe::some(random, 4, [2.0, 6.0], 0.15);
        let at = add(add(centre, scaled(beam, along)), jitter);
        let strength = total / (6.0 * long);
        let half = [wide[0], wide[1], long];
        parts.bodies.push(Body { centre: at, half, turn_degrees: angle_degrees, lobes, soft: 0.5, strength });
    }
    r
}
