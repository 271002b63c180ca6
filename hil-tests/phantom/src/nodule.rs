//! Nodules: their number, place, size and type, and the truth about them.

use serde::Serialize;

use super::anatomy::{Chest, Side};
use super::finding::Placed;
use super::mass::Growth;
use super::random::Random;
use super::shape::{Point, Rod, add, ellipsoid, length, scaled, smooth_min, sub};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Make {
    Solid,
    GroundGlass,
    /// A solid core in ground glass.
    PartSolid,
    Calcified,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    Parenchyma,
    /// Touches the pleura, and may be cut by it.
    Pleura,
    /// Touches a vessel.
    Vessel,
}

impl Make {
    pub fn words(self) -> &'static str {
        match self {
            Self::Solid => "solid",
            Self::GroundGlass => "ground glass",
            Self::PartSolid => "part-solid",
            Self::Calcified => "calcified",
        }
    }
}

impl Place {
    pub fn words(self) -> &'static str {
        match self {
            Self::Parenchyma => "parenchyma",
            Self::Pleura => "pleura",
            Self::Vessel => "vessel",
        }
    }
}

/// One planted nodule as a body in patient mm.
#[derive(Debug, Clone)]
pub struct Nodule {
    pub side: Side,
    pub make: Make,
    pub place: Place,
    pub centre: Point,
    /// Diameter of the sphere of the same volume before the pleura cuts it, mm.
    pub diameter: f32,
    pub hu: f32,
    /// HU of the core, for part-solid nodules.
    pub core_hu: f32,
    radii: Point,
    /// Rows of a rotation.
    axes: [Point; 3],
    /// Bumps of a lobulated nodule: centre relative to the nodule's, radius.
    lobes: Vec<(Point, f32)>,
    /// Of a mass.
    pub growth: Option<Growth>,
}

impl Nodule {
    /// Distance to the surface, mm, negative inside.
    pub fn distance(&self, p: Point) -> f32 {
        let rel = sub(p, self.centre);
        let turned = self.axes.map(|axis| super::shape::dot(axis, rel));
        let mut d = ellipsoid(turned, self.radii);
        for (at, radius) in &self.lobes {
            d = smooth_min(d, length(sub(rel, *at)) - radius, 0.35 * radius);
        }
        self.growth.as_ref().map_or(d, |growth| growth.distance(d, rel))
    }

    /// HU at a point inside.
    pub fn hu_at(&self, p: Point) -> f32 {
        if let Some(growth) = &self.growth {
            let rel = sub(p, self.centre);
            return growth.core_at(2.0 * length(rel) / self.diameter, rel).unwrap_or(self.hu);
        }
        if self.make == Make::PartSolid && length(sub(p, self.centre)) < self.diameter * 0.24 {
            self.core_hu
        } else {
            self.hu
        }
    }

    /// Largest distance of any part of the nodule from its centre, mm.
    pub fn reach(&self) -> f32 {
        let body = self.radii.iter().copied().fold(0.0, f32::max);
        let lobes = self.lobes.iter().map(|(at, r)| length(*at) + r).fold(body, f32::max);
        self.growth.as_ref().map_or(lobes, |g| (lobes + g.reach()).max(g.strand_reach())) + 0.5
    }
}

/// Where and how nodules are planted.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub count: usize,
    pub diameters_mm: [f32; 2],
    /// Lowest and highest z (mm) of the scanned slab.
    pub slab: [f32; 2],
}

/// What a nodule may touch: the vessels of the right and the left lung; and what it must not touch: the tubes of the
/// mediastinum and other findings, because nobody could distinguish it from them.
#[derive(Debug)]
pub struct Around<'a> {
    pub chest: &'a Chest,
    pub vessels: &'a [Vec<Rod>; 2],
    pub central: &'a [Rod],
    pub findings: &'a [Placed],
}

/// Plants up to `plan.count` nodules; fewer only when the slab has no room for them.
pub fn plant(around: &Around<'_>, plan: Plan, random: &mut Random) -> Vec<Nodule> {
    let mut planted: Vec<Nodule> = Vec::new();
    for _ in 0..plan.count * 8 {
        if planted.len() == plan.count {
            break;
        }
        if let Some(nodule) = candidate(around, plan, random)
            && planted.iter().all(|n| length(sub(n.centre, nodule.centre)) > n.reach() + nodule.reach() + 8.0)
        {
            planted.push(nodule);
        }
    }
    planted
}

/// Chooses the kind of place first and then looks for one that fits. The other way round, rare places would be even
/// rarer.
fn candidate(around: &Around<'_>, plan: Plan, random: &mut Random) -> Option<Nodule> {
    let [low, high] = plan.diameters_mm;
    // Uniform in the logarithm: small nodules are more frequent, as in reality.
    let diameter = random.logarithmic(low, high);
    let side = Side::BOTH[random.below(2)];
    let place = match random.below(10) {
        0..=4 => Place::Parenchyma,
        5..=7 => Place::Pleura,
        _ => Place::Vessel,
    };
    let make = match random.below(20) {
        0..=12 => Make::Solid,
        13..=15 if diameter >= 6.0 => Make::GroundGlass,
        16..=17 if diameter >= 8.0 => Make::PartSolid,
        18 => Make::Calcified,
        _ => Make::Solid,
    };
    let radius = diameter / 2.0;
    for _ in 0..400 {
        let centre = match place {
            Place::Vessel => beside_vessel(&around.vessels[usize::from(side == Side::Left)], radius, random),
            _ => Some(anywhere(side, plan, random)),
        };
        if let Some(centre) = centre
            && fits(around, side, place, centre, radius, plan)
        {
            return Some(build(side, place, make, centre, diameter, random));
        }
    }
    None
}

fn fits(around: &Around<'_>, side: Side, place: Place, centre: Point, radius: f32, plan: Plan) -> bool {
    let depth = -around.chest.lung_distance(side, centre);
    let deep_enough = match place {
        Place::Parenchyma => depth > radius * 1.35 + 3.0,
        Place::Vessel => depth > radius * 1.3 + 1.0,
        Place::Pleura => (radius * 0.55..radius * 0.95).contains(&depth),
    };
    let inside = centre[2] - radius * 1.5 > plan.slab[0] && centre[2] + radius * 1.5 < plan.slab[1];
    // Near the hilum nobody can distinguish a nodule from a vessel or a lymph node.
    let hilum = around.chest.to_patient([36.0 * side.sign(), 8.0, 12.0]);
    deep_enough
        && inside
        && length(sub(centre, hilum)) > 30.0 + radius
        && around.central.iter().all(|rod| rod.distance(centre).0 > radius + 2.0)
        // Nodules may touch emphysema: it is everywhere, and nodules are visible in it.
        && around.findings.iter().all(|f| f.lesion.is_none() || f.body.fill(centre, 2.0 * radius + 4.0) <= 0.0)
}

fn anywhere(side: Side, plan: Plan, random: &mut Random) -> Point {
    [
        side.sign() * random.between(8.0, 150.0),
        random.between(-110.0, 110.0),
        random.between(plan.slab[0], plan.slab[1]),
    ]
}

fn beside_vessel(vessels: &[Rod], radius: f32, random: &mut Random) -> Option<Point> {
    let rod = vessels.get(random.below(vessels.len()))?;
    if rod.to_radius < 0.7 || rod.to_radius > 2.5 {
        return None;
    }
    Some(add(rod.to, scaled(random.direction(), radius + rod.to_radius * 0.5)))
}

pub fn build(side: Side, place: Place, make: Make, centre: Point, diameter: f32, random: &mut Random) -> Nodule {
    let r = diameter / 2.0;
    let stretch = [random.between(0.85, 1.2), random.between(0.85, 1.2)];
    let third = 1.0 / (stretch[0] * stretch[1]);
    let mut radii = [r * stretch[0], r * stretch[1], r * third];
    let mut lobes = Vec::new();
    if diameter >= 7.0 && random.chance(0.35) {
        radii = radii.map(|v| v * 0.86);
        for _ in 0..3 + random.below(3) {
            let bump = r * random.between(0.38, 0.55);
            lobes.push((scaled(random.direction(), r * 1.02 - bump), bump));
        }
    }
    let (hu, core_hu) = match make {
        Make::Solid => (random.between(-30.0, 90.0), 0.0),
        Make::GroundGlass => (random.between(-640.0, -420.0), 0.0),
        Make::PartSolid => (random.between(-620.0, -420.0), random.between(-20.0, 60.0)),
        Make::Calcified => (random.between(180.0, 500.0), 0.0),
    };
    Nodule { side, make, place, centre, diameter, hu, core_hu, radii, axes: random.rotation(), lobes, growth: None }
}
