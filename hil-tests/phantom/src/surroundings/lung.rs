//! Lines in the lungs that are no finding: fissures, the band of lung that collapses where the patient lies on it,
//! scars, and caps at the apices.

use std::sync::Arc;

use super::piece::{Form, Ink, Piece};
use crate::anatomy::{Chest, Side};
use crate::finding::Body;
use crate::random::Random;
use crate::ripple::Ripple;
use crate::shape::{Point, Rod, add, coverage, scaled};

/// A thin bent sheet between two lobes: z = `middle` + `slope` * y, bent by a ripple. Standard mm, except the ripple.
#[derive(Debug)]
struct Fissure {
    chest: Arc<Chest>,
    low: Point,
    high: Point,
    middle: f32,
    slope: f32,
    bend: Ripple,
    thick: f32,
    hu: f32,
}

impl Body for Fissure {
    fn bounds(&self) -> (Point, Point) {
        (self.chest.to_patient(self.low), self.chest.to_patient(self.high))
    }

    fn fill(&self, p: Point, width: f32) -> f32 {
        let q = self.chest.to_standard(p);
        let steep = (1.0 + self.slope * self.slope).sqrt();
        let near = (q[2] - self.middle - self.slope * q[1]) / steep;
        if near.abs() > self.bend.height() + self.thick + width {
            return 0.0;
        }
        let sd = (near + self.bend.at(p)).abs() - 0.5 * self.thick;
        // A sheet thinner than the voxel fills only part of it.
        coverage(sd, width.max(self.thick)) * (self.thick / width).min(1.0)
    }

    fn paint(&self, _: Point, under: f32, part: f32) -> f32 {
        under.max(under + (self.hu - under) * part)
    }
}

/// Lung near the pleura that is denser on one side: at the back, or at the apex.
#[derive(Debug)]
struct Band {
    chest: Arc<Chest>,
    side: Side,
    low: Point,
    high: Point,
    depth: f32,
    edge: Ripple,
    hu: f32,
}

impl Body for Band {
    fn bounds(&self) -> (Point, Point) {
        (self.chest.to_patient(self.low), self.chest.to_patient(self.high))
    }

    fn fill(&self, p: Point, width: f32) -> f32 {
        let deep = -self.chest.lung_distance(self.side, p);
        if deep > self.depth + self.edge.height() {
            return 0.0;
        }
        // It fades at its ends.
        let (low, high) = self.bounds();
        let ends = (p[2] - low[2]).min(high[2] + 6.0 - p[2]).min(p[1] - low[1]);
        coverage(deep - self.depth - self.edge.at(p), width.max(2.5)) * (ends / 14.0).clamp(0.0, 1.0)
    }

    fn paint(&self, _: Point, under: f32, part: f32) -> f32 {
        under.max(under + (self.hu - under) * part)
    }
}

/// Everything, painted only where there is lung.
pub fn lines(chest: &Arc<Chest>, random: &mut Random) -> Vec<Box<dyn Body>> {
    let mut parts: Vec<Box<dyn Body>> = Vec::new();
    let collapse = random.chance(0.5);
    for side in Side::BOTH {
        fissures(chest, side, random, &mut parts);
        let s = side.sign();
        let around = |from: Point, to: Point| {
            let (a, b) = (from[0] * s, to[0] * s);
            ([a.min(b), from[1], from[2]], [a.max(b), to[1], to[2]])
        };
        if collapse {
            let (low, high) = around([5.0, 48.0, -150.0], [125.0, 110.0, random.between(-40.0, 40.0)]);
            let edge = Ripple::new(30.0, random.between(0.5, 2.0), random);
            let depth = random.between(0.5, 5.0);
            let hu = random.between(-700.0, -380.0);
            parts.push(Box::new(Band { chest: Arc::clone(chest), side, low, high, depth, edge, hu }));
        }
        if random.chance(0.3) {
            let (low, high) = around([5.0, -60.0, random.between(104.0, 114.0)], [110.0, 90.0, 130.0]);
            let edge = Ripple::new(12.0, 1.5, random);
            let depth = random.between(1.0, 4.5);
            parts.push(Box::new(Band { chest: Arc::clone(chest), side, low, high, depth, edge, hu: -150.0 }));
        }
        for _ in 0..random.below(4) {
            parts.push(Box::new(scar(chest, side, random)));
        }
    }
    parts
}

fn fissures(chest: &Arc<Chest>, side: Side, random: &mut Random, parts: &mut Vec<Box<dyn Body>>) {
    let s = side.sign();
    let sides = [(4.0 * s).min(140.0 * s), (4.0 * s).max(140.0 * s)];
    let middle = random.between(-12.0, 8.0);
    let slope = random.between(0.75, 1.05);
    let thick = random.between(0.45, 1.1);
    let bend = |random: &mut Random| Ripple::new(110.0, random.between(2.0, 7.0), random);
    let mut put = |y: [f32; 2], middle: f32, slope: f32, bend: Ripple| {
        let (low, high) = ([sides[0], y[0], -150.0], [sides[1], y[1], 125.0]);
        parts.push(Box::new(Fissure { chest: Arc::clone(chest), low, high, middle, slope, bend, thick, hu: -120.0 }));
    };
    put([-105.0, 95.0], middle, slope, bend(random));
    if side == Side::Right {
        // The minor fissure lies in front of the oblique one, nearly level.
        put([-105.0, 4.0], middle + random.between(6.0, 14.0), random.between(-0.1, 0.12), bend(random));
    }
}

/// A short strand, mostly near the pleura.
fn scar(chest: &Chest, side: Side, random: &mut Random) -> Piece {
    let from = chest.to_patient([
        side.sign() * random.between(30.0, 120.0),
        random.between(-75.0, 75.0),
        random.between(-110.0, 100.0),
    ]);
    let long = random.between(8.0, 35.0);
    let to = add(from, scaled(random.direction(), long));
    let bent = add(to, scaled(random.direction(), 0.6 * long));
    let radius = random.between(0.4, 1.4);
    let rod = |from: Point, to: Point, end: f32| Rod { from, to, from_radius: radius, to_radius: end };
    let rods = vec![rod(from, to, radius), rod(to, bent, 0.3)];
    Piece::new(Form::Rods(rods, 0.0), Ink::Flat(random.between(-350.0, 0.0)))
}
