//! Pneumonia: patches of ground glass and of consolidation, and how much of the lungs they fill.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Body, Channel, Layer, Lesion, Planted, Site};
use crate::anatomy::Side;
use crate::random::Random;
use crate::render::Tube;
use crate::ripple::Ripple;
use crate::shape::{Point, Rod, add, coverage, dot, ellipsoid, length, scaled, sub};
use crate::truth::Measured;

/// A patch with an uneven outline.
#[derive(Debug)]
struct Opacity {
    centre: Point,
    radii: Point,
    axes: [Point; 3],
    outline: Ripple,
    texture: Ripple,
    /// The outline is blurred over this many mm.
    edge: f32,
    density: Density,
}

#[derive(Debug, Clone, Copy)]
enum Density {
    /// Ground glass: changes the HU of parenchyma; denser tissue stays as it is.
    Veil(f32),
    /// Consolidation: sets the HU, whatever was there.
    Filled(f32),
}

impl Opacity {
    fn distance(&self, p: Point) -> f32 {
        let rel = sub(p, self.centre);
        ellipsoid(self.axes.map(|axis| dot(axis, rel)), self.radii) + self.outline.at(p)
    }

    fn reach(&self) -> f32 {
        self.radii.iter().copied().fold(0.0, f32::max) * 1.1 + self.outline.height() + self.edge
    }
}

impl Body for Opacity {
    fn bounds(&self) -> (Point, Point) {
        let reach = [self.reach(); 3];
        (sub(self.centre, reach), add(self.centre, reach))
    }

    fn fill(&self, p: Point, width: f32) -> f32 {
        coverage(self.distance(p), width.max(self.edge))
    }

    fn paint(&self, p: Point, under: f32, part: f32) -> f32 {
        match self.density {
            Density::Veil(hu) => under.max(under + (hu + self.texture.at(p) - under) * part),
            Density::Filled(hu) => under + (hu + self.texture.at(p) - under) * part,
        }
    }
}

/// Distribution of the patches over the lungs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pattern {
    /// Several patches of ground glass near the pleura, mostly at the bases of both lungs.
    Peripheral,
    /// Large areas of ground glass.
    Diffuse,
    /// One or two consolidations at the pleura, some within ground glass.
    Lobar,
    /// Both densities, here and there.
    Mixed,
}

/// Plants one kind of pneumonia with a random severity.
pub fn plant(site: &Site<'_>, tubes: &mut Vec<Tube>, planted: &mut Planted, random: &mut Random) {
    let pattern = [Pattern::Peripheral, Pattern::Diffuse, Pattern::Lobar, Pattern::Mixed][random.below(4)];
    let favourite = Side::BOTH[random.below(2)];
    let (hazy, solid) = match pattern {
        Pattern::Peripheral => (2 + random.below(5), 0),
        Pattern::Diffuse => (1 + random.below(3), 0),
        Pattern::Lobar => (0, 1 + random.below(2)),
        Pattern::Mixed => (1 + random.below(3), 1 + random.below(2)),
    };
    for _ in 0..hazy {
        let ml = match pattern {
            Pattern::Diffuse => random.logarithmic(40.0, 150.0),
            _ => random.logarithmic(2.0, 40.0),
        };
        let side = if random.chance(0.55) { favourite } else { Side::BOTH[random.below(2)] };
        if let Some(centre) = place(site, side, ml, pattern != Pattern::Diffuse, random) {
            let density = veil(site, random);
            put(planted, side, opacity(centre, ml, density, random));
        }
    }
    for _ in 0..solid {
        let ml = random.logarithmic(3.0, 120.0);
        let Some(centre) = place(site, favourite, ml, true, random) else { continue };
        if random.chance(0.5) {
            // Beginning consolidation: a rim of ground glass around it.
            let density = veil(site, random);
            put(planted, favourite, opacity(centre, ml * random.between(1.8, 3.0), density, random));
        }
        put(planted, favourite, opacity(centre, ml, Density::Filled(random.between(-20.0, 60.0)), random));
        tubes.extend(air_bronchograms(site, favourite, centre, radius_of(ml), random));
    }
}

/// Bronchi that stay open within a consolidation, from the side of the hilum outward.
fn air_bronchograms(site: &Site<'_>, side: Side, centre: Point, radius: f32, random: &mut Random) -> Vec<Tube> {
    let inward = sub(site.hilum(side), centre);
    let inward = scaled(inward, radius / length(inward).max(1.0));
    let count = random.below(4);
    let mut bronchi = Vec::new();
    for _ in 0..count {
        let mut near = |along: f32| add(add(centre, scaled(inward, along)), scaled(random.direction(), 0.25 * radius));
        let stations = [near(0.9), near(0.3), near(-0.4)];
        for (pair, [from_radius, to_radius]) in stations.windows(2).zip([[1.7, 1.3], [1.3, 0.9]]) {
            let rod = Rod { from: pair[0], to: pair[1], from_radius, to_radius };
            bronchi.push(Tube { rod, hu: -60.0, wall: Some(0.4), central: false, lesion: None });
        }
    }
    bronchi
}

/// Ground glass is 150 to 350 HU denser than the lung about it.
fn veil(site: &Site<'_>, random: &mut Random) -> Density {
    Density::Veil(site.chest.parenchyma_hu + 30.0 + random.between(150.0, 350.0))
}

fn put(planted: &mut Planted, side: Side, opacity: Opacity) {
    let channel = match opacity.density {
        Density::Veil(_) => Channel::GroundGlass,
        Density::Filled(_) => Channel::Consolidation,
    };
    let lesion = planted.lesion(Lesion::new(channel, Some(side)));
    planted.body(opacity, Layer::Parenchyma, Some(lesion));
}

/// A place in the slab for a patch of `ml`. A patch `at_pleura` touches the pleura. Low places and places at the back
/// are more frequent.
fn place(site: &Site<'_>, side: Side, ml: f32, at_pleura: bool, random: &mut Random) -> Option<Point> {
    let radius = radius_of(ml);
    let hilum = site.hilum(side);
    let (mut best, mut least) = (None, f32::MAX);
    for _ in 0..400 {
        let p = site.anywhere(side, random);
        let depth = -site.chest.lung_distance(side, p);
        let wanted = if at_pleura { 0.2 * radius..0.75 * radius } else { 0.6 * radius..200.0 };
        if !wanted.contains(&depth) {
            continue;
        }
        // Takes one of the lowest places that fit, but not at the pleura that faces the hilum.
        let facing = 400.0 / (10.0 + length(sub(p, hilum)));
        let cost = 0.25 * p[2] - 0.25 * p[1] + facing + random.between(0.0, 60.0);
        if cost < least {
            (best, least) = (Some(p), cost);
        }
    }
    best
}

fn radius_of(ml: f32) -> f32 {
    (ml * 1000.0 * 3.0 / (4.0 * std::f32::consts::PI)).cbrt()
}

fn opacity(centre: Point, ml: f32, density: Density, random: &mut Random) -> Opacity {
    let r = radius_of(ml);
    let stretch = [random.between(0.75, 1.3), random.between(0.75, 1.3)];
    let solid = matches!(density, Density::Filled(_));
    Opacity {
        centre,
        radii: [r * stretch[0], r * stretch[1], r / (stretch[0] * stretch[1])],
        axes: random.rotation(),
        outline: Ripple::new((1.4 * r).clamp(9.0, 36.0), 0.16 * r, random),
        texture: Ripple::new(6.0, if solid { 8.0 } else { 25.0 }, random),
        edge: if solid { random.between(1.0, 3.0) } else { random.between(2.0, 6.0) },
        density,
    }
}

/// What was planted. Ground glass under consolidation counts as consolidation.
#[derive(Debug, Clone, Serialize)]
pub struct PlantedPneumonia {
    pub ground_glass_ml: f64,
    pub consolidation_ml: f64,
    /// By `both`, `right`, `left`.
    pub extents: BTreeMap<&'static str, Extent>,
}

/// Percent of a part of the lungs, its consolidated tissue included.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Extent {
    pub ground_glass_percent: f64,
    pub consolidation_percent: f64,
}

pub fn truth(measured: &Measured<'_>) -> Option<PlantedPneumonia> {
    let ml = |channel: Channel, sides: &[Side]| -> f64 {
        measured.of(channel).filter(|l| sides.iter().any(|s| l.side == Some(*s))).fold(0.0, |sum, l| sum + l.volume_ml)
    };
    let (hazy, solid) = (ml(Channel::GroundGlass, &Side::BOTH), ml(Channel::Consolidation, &Side::BOTH));
    if hazy + solid <= 0.0 {
        return None;
    }
    let extent = |sides: &[Side]| {
        let whole: f64 = sides.iter().map(|s| measured.lung_ml(*s)).sum();
        let percent = |channel: Channel| if whole > 0.0 { 100.0 * ml(channel, sides) / whole } else { 0.0 };
        Extent {
            ground_glass_percent: percent(Channel::GroundGlass),
            consolidation_percent: percent(Channel::Consolidation),
        }
    };
    let extents = [
        ("both", extent(&Side::BOTH)),
        (Side::Right.words(), extent(&[Side::Right])),
        (Side::Left.words(), extent(&[Side::Left])),
    ];
    Some(PlantedPneumonia { ground_glass_ml: hazy, consolidation_ml: solid, extents: extents.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Finding, testing};

    #[test]
    fn both_densities_are_planted_with_the_volumes_of_their_labels_as_a_veil_and_as_dense_as_tissue() {
        let mut seen = [0; 2];
        for seed in 0..7 {
            let scan = testing::scan(seed, &[Finding::Pneumonia]);
            let planted = scan.truth.pneumonia.clone().unwrap();
            testing::assert_close(scan.labelled_ml(Channel::GroundGlass), planted.ground_glass_ml, 0.15, 2.0);
            testing::assert_close(scan.labelled_ml(Channel::Consolidation), planted.consolidation_ml, 0.1, 2.0);
            let lungs = scan.truth.lungs;
            let of_both = planted.extents["both"].ground_glass_percent * (lungs.right_ml + lungs.left_ml) / 100.0;
            testing::assert_close(of_both, planted.ground_glass_ml, 0.001, 0.001);
            if planted.ground_glass_ml > 2.0 {
                let hu = scan.mean_hu(Channel::GroundGlass);
                assert!((-760.0..-430.0).contains(&hu), "{hu} HU: {planted:?}");
                seen[0] += 1;
            }
            if planted.consolidation_ml > 2.0 {
                let hu = scan.mean_hu(Channel::Consolidation);
                assert!((-160.0..90.0).contains(&hu), "{hu} HU: {planted:?}");
                seen[1] += 1;
            }
        }
        assert!(seen.iter().all(|n| *n > 1), "{seen:?}");
    }
}
