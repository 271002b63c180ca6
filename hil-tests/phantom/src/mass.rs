//! Masses: lesions of more than 30 mm, and nodules close to the root of the lung. They are nodules for label and truth;
//! only phantoms with surroundings have them, from random numbers of their own.

use super::anatomy::Side;
use super::nodule::{self, Around, Make, Nodule, Place};
use super::random::Random;
use super::ripple::Ripple;
use super::shape::{Point, Rod, add, length, scaled, smooth_min, sub};
use super::surroundings::STREAM;

/// Share of phantoms that get a mass if there is room for it. For about a third of them there is none.
const MASS: f32 = 0.18;
/// Share with a nodule near the root of the lung.
const CENTRAL: f32 = 0.15;

/// What a mass has that a nodule has not.
#[derive(Debug, Clone)]
pub struct Growth {
    outline: Ripple,
    /// Strands into the lung about it, relative to its centre.
    strands: Vec<Rod>,
    /// Part of the radius that has decayed, and its HU: fluid, or air where it has opened into a bronchus.
    core: Option<(f32, f32)>,
}

impl Growth {
    /// Distance to the surface; `body` is that to the smooth form, `rel` the point relative to the centre.
    pub fn distance(&self, body: f32, rel: Point) -> f32 {
        let height = self.outline.height();
        if body.abs() > height + 30.0 {
            return body;
        }
        let mut d = body + self.outline.at(rel);
        for strand in &self.strands {
            d = smooth_min(d, strand.distance(rel).0, 2.5);
        }
        d
    }

    /// HU of a decayed core at a point that is `share` of the radius away from the centre.
    pub fn core_at(&self, share: f32, rel: Point) -> Option<f32> {
        let (size, hu) = self.core?;
        (share < size * (1.0 + 0.12 * self.outline.at(rel) / self.outline.height().max(0.1))).then_some(hu)
    }

    /// How far anything stands out beyond the smooth form, mm.
    pub fn reach(&self) -> f32 {
        self.outline.height()
    }

    /// Largest distance of a strand from the centre, mm.
    pub fn strand_reach(&self) -> f32 {
        self.strands.iter().map(|s| length(s.to) + s.from_radius).fold(0.0, f32::max)
    }
}

/// The masses and central nodules of a phantom; `others` are the nodules that it has already.
pub fn plant(seed: u64, around: &Around<'_>, slab: [f32; 2], others: &[Nodule]) -> Vec<Nodule> {
    let mut random = Random::new(seed, STREAM + 8);
    let mut planted: Vec<Nodule> = Vec::new();
    if random.chance(MASS) {
        let diameter = random.logarithmic(30.0, 80.0);
        planted.extend(try_places(
            around,
            slab,
            others,
            &mut random,
            |side, place, centre, random| mass(side, place, centre, diameter, random),
            diameter,
        ));
    }
    if random.chance(CENTRAL) {
        let diameter = random.logarithmic(6.0, 22.0);
        let all: Vec<Nodule> = others.iter().chain(&planted).cloned().collect();
        for _ in 0..600 {
            let side = Side::BOTH[random.below(2)];
            let hilum = around.chest.to_patient([36.0 * side.sign(), 8.0, 12.0]);
            let r = 0.5 * diameter;
            let centre = add(hilum, scaled(random.direction(), r + random.between(8.0, 30.0)));
            let deep = -around.chest.lung_distance(side, centre) > 0.9 * r;
            if deep
                && free(around, slab, &all, centre, r)
                && around.central.iter().all(|t| t.distance(centre).0 > 0.8 * r)
            {
                planted.push(nodule::build(side, Place::Parenchyma, Make::Solid, centre, diameter, &mut random));
                break;
            }
        }
    }
    planted
}

fn try_places(
    around: &Around<'_>,
    slab: [f32; 2],
    others: &[Nodule],
    random: &mut Random,
    build: impl Fn(Side, Place, Point, &mut Random) -> Nodule,
    diameter: f32,
) -> Option<Nodule> {
    let r = 0.5 * diameter;
    for attempt in 0..900 {
        let side = Side::BOTH[random.below(2)];
        let attached = random.chance(0.6);
        let centre =
            [side.sign() * random.between(8.0, 140.0), random.between(-100.0, 100.0), random.between(slab[0], slab[1])];
        let depth = -around.chest.lung_distance(side, centre);
        // Those that touch the wall, the mediastinum or the hilum are cut by it. Large ones fit nowhere else.
        let fits = if attached || attempt > 500 { (0.25 * r..0.85 * r).contains(&depth) } else { depth > 0.9 * r };
        if fits && free(around, slab, others, centre, r) {
            let place = if depth < 0.9 * r { Place::Pleura } else { Place::Parenchyma };
            return Some(build(side, place, centre, random));
        }
    }
    None
}

/// Nothing else that is measured lies there.
fn free(around: &Around<'_>, slab: [f32; 2], others: &[Nodule], centre: Point, r: f32) -> bool {
    centre[2] - 1.2 * r > slab[0]
        && centre[2] + 1.2 * r < slab[1]
        && others.iter().all(|n| length(sub(n.centre, centre)) > n.reach() + 1.4 * r + 4.0)
        && around.findings.iter().all(|f| f.lesion.is_none() || f.body.fill(centre, 2.0 * r + 4.0) <= 0.0)
}

fn mass(side: Side, place: Place, centre: Point, diameter: f32, random: &mut Random) -> Nodule {
    let mut mass = nodule::build(side, place, Make::Solid, centre, diameter, random);
    let r = 0.5 * diameter;
    mass.hu = random.between(15.0, 85.0);
    let outline = Ripple::new(random.between(0.5, 1.1) * r, random.between(0.02, 0.09) * r, random);
    let spiculated = random.chance(0.5);
    let strands = if spiculated { (0..10 + random.below(14)).map(|_| strand(r, random)).collect() } else { Vec::new() };
    let core = match random.below(10) {
        0..=2 => Some((random.between(0.35, 0.75), random.between(5.0, 25.0))),
        3..=4 => Some((random.between(0.3, 0.8), random.between(-940.0, -800.0))),
        _ => None,
    };
    mass.growth = Some(Growth { outline, strands, core });
    mass
}

fn strand(r: f32, random: &mut Random) -> Rod {
    let out = random.direction();
    let aside = add(out, scaled(random.direction(), 0.25));
    Rod {
        from: scaled(out, 0.8 * r),
        to: scaled(aside, r * random.between(1.1, 1.4)),
        from_radius: random.between(1.0, 2.4),
        to_radius: 0.3,
    }
}

/// Whether a phantom of this seed is meant to have a mass.
#[cfg(test)]
pub fn wanted(seed: u64) -> bool {
    Random::new(seed, STREAM + 8).chance(MASS)
}

/// Whether neither a mass nor a central nodule is planted.
#[cfg(test)]
pub fn none(seed: u64) -> bool {
    let mut random = Random::new(seed, STREAM + 8);
    !random.chance(MASS) && !random.chance(CENTRAL)
}

#[cfg(test)]
mod tests {
    use super::super::{Finding, Options, Phantom, Surroundings, Wanted};
    use super::*;
    use crate::Channel;

    #[test]
    fn a_mass_is_labelled_at_the_volume_of_the_truth_and_replaces_the_vessels_in_it() {
        let scan = Options {
            columns: 230,
            rows: 230,
            slices: 180,
            pixel_mm: 1.5,
            slice_mm: 1.7,
            noise_hu: 0.0,
            findings: Wanted::only(&[Finding::Nodule]),
            nodules: Some(0),
            surroundings: Some(Surroundings::default()),
            ..Options::default()
        };
        let mut found = 0;
        for seed in (0..60).filter(|seed| wanted(*seed)).take(4) {
            let (slices, truth) = Phantom::new(seed, &scan).render_labelled();
            let labelled = slices.iter().flat_map(|s| &s.labels).filter(|l| **l & Channel::Nodule.bit() != 0).count();
            let planted: f64 = truth.nodules.iter().map(|n| n.volume_mm3).sum();
            let mm3 = labelled as f64 * 1.5 * 1.5 * 1.7;
            assert!((mm3 - planted).abs() < 0.05 * planted, "seed {seed}: {mm3} of {planted} mm3");
            assert!(truth.nodules.iter().any(|n| (22.0..90.0).contains(&n.diameter_mm)), "seed {seed}: {truth:?}");
            found += 1;
        }
        assert!(found >= 3);
    }

    #[test]
    fn about_one_phantom_in_six_is_meant_to_have_a_mass() {
        let with = (0..400).filter(|seed| wanted(*seed)).count();
        assert!((50..95).contains(&with), "{with} of 400");
    }
}
