//! Bronchiectasis: bronchi of a region that are wider than their arteries, thick-walled, and do not taper.

use super::{Channel, Lesion, Planted, Site};
use crate::anatomy::Side;
use crate::random::Random;
use crate::render::Tube;
use crate::shape::{Point, Rod, add, dot, length, scaled, sub};
use crate::truth::{Measured, PlantedLesion};

/// Reid's three shapes (Thorax 5 (1950) 233-247).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Cylindrical,
    Varicose,
    /// Cystic: ends in a sac.
    Cystic,
}

/// The wall's HU: mucosa and a little fluid.
const WALL_HU: f32 = 20.0;
/// Distance from the pleura at which widened bronchi end, mm; healthy ones cannot be seen within 20 mm of it.
const MARGIN_MM: f32 = 7.0;

/// Widens the bronchi of one or two regions and lets more of them reach the periphery.
pub fn plant(site: &Site<'_>, tubes: &mut Vec<Tube>, planted: &mut Planted, random: &mut Random) {
    let mut centres: Vec<Point> = Vec::new();
    for _ in 0..1 + random.below(2) {
        let Some((side, centre)) = region(site, tubes, &centres, random) else { continue };
        centres.push(centre);
        let lesion = planted.lesion(Lesion::new(Channel::Bronchiectasis, Some(side)));
        cluster(site, side, centre, lesion, tubes, random);
    }
}

fn is_bronchus(tube: &Tube) -> bool {
    tube.wall.is_some() && !tube.central
}

/// Around the end of a bronchus in the slab, away from the hila and from other regions.
fn region(site: &Site<'_>, tubes: &[Tube], others: &[Point], random: &mut Random) -> Option<(Side, Point)> {
    let ends: Vec<Point> = tubes.iter().filter(|t| is_bronchus(t) && t.lesion.is_none()).map(|t| t.rod.to).collect();
    for _ in 0..400 {
        let p = *ends.get(random.below(ends.len()))?;
        let side = if p[0] < site.chest.offset[0] { Side::Right } else { Side::Left };
        let inside = p[2] > site.slab[0] + 15.0 && p[2] < site.slab[1] - 15.0;
        let apart = others.iter().all(|o| length(sub(*o, p)) > 75.0);
        let hilum = site.hilum(side);
        if inside && apart && length(sub(p, hilum)) > 38.0 && -site.chest.lung_distance(side, p) > 20.0 {
            return Some((side, p));
        }
    }
    None
}

fn cluster(site: &Site<'_>, side: Side, centre: Point, lesion: usize, tubes: &mut Vec<Tube>, random: &mut Random) {
    let reach = random.between(18.0, 32.0);
    let inner = random.between(1.8, 3.6);
    let wall = random.between(0.9, 1.8);
    let shape = [Shape::Cylindrical, Shape::Varicose, Shape::Cystic][random.below(3)];
    let mut lumens: Vec<Rod> = Vec::new();
    let is_ill = |t: &Tube| is_bronchus(t) && length(sub(t.rod.to, centre)) < reach;
    for tube in tubes.iter().filter(|t| is_ill(t)) {
        // No narrower than a widened bronchus; the widest of them by half.
        let r = (1.5 * tube.rod.to_radius).max(inner);
        lumens.push(Rod { from_radius: r, to_radius: r, ..tube.rod });
    }
    tubes.retain(|t| !is_ill(t));
    let starts: Vec<Point> = lumens.iter().map(|r| r.to).chain([centre]).collect();
    for _ in 0..3 + random.below(5) {
        let from = starts[random.below(starts.len())];
        lumens.extend(branch(site, side, from, inner * random.between(0.8, 1.2), shape, random));
    }
    for rod in lumens.iter().filter(|r| length(sub(r.from, r.to)) > 2.0) {
        let artery = beside(rod, wall, random);
        tubes.push(Tube { rod: artery, hu: site.chest.blood_hu, wall: None, central: false, lesion: None });
    }
    // All walls are painted before the air. Otherwise the wall of a bronchus would close the opening of its neighbour.
    for rod in &lumens {
        let wide = Rod { from_radius: rod.from_radius + wall, to_radius: rod.to_radius + wall, ..*rod };
        tubes.push(Tube { rod: wide, hu: WALL_HU, wall: None, central: false, lesion: Some(lesion) });
    }
    for rod in lumens {
        tubes.push(Tube { rod, hu: -1000.0, wall: Some(0.0), central: false, lesion: None });
    }
}

/// A wavy bronchus from `from` away from the hilum until the pleura is near.
fn branch(site: &Site<'_>, side: Side, from: Point, radius: f32, shape: Shape, random: &mut Random) -> Vec<Rod> {
    let hilum = site.hilum(side);
    let mut heading = add(unit(sub(from, hilum)), scaled(random.direction(), 1.0));
    let mut rods: Vec<Rod> = Vec::new();
    let (mut at, mut width) = (from, radius);
    for step in 0..2 + random.below(5) {
        heading = add(unit(heading), scaled(random.direction(), 0.35));
        let to = add(at, scaled(unit(heading), 7.0));
        if -site.chest.lung_distance(side, to) < MARGIN_MM + radius {
            break;
        }
        let next = match shape {
            Shape::Varicose if step % 2 == 0 => radius * 1.45,
            _ => radius,
        };
        rods.push(Rod { from: at, to, from_radius: width, to_radius: next });
        (at, width) = (to, next);
    }
    if shape == Shape::Cystic
        && let Some(end) = rods.last().copied()
    {
        let bag = (radius * random.between(1.5, 2.4)).min(7.0);
        rods.push(Rod { from: end.to, to: add(end.to, scaled(unit(heading), 1.0)), from_radius: bag, to_radius: bag });
    }
    rods
}

/// The artery beside a bronchus, at most two thirds as wide: the signet ring sign.
fn beside(bronchus: &Rod, wall: f32, random: &mut Random) -> Rod {
    let radius = bronchus.to_radius / random.between(1.5, 2.2);
    let axis = unit(sub(bronchus.to, bronchus.from));
    let some = random.direction();
    let across = unit(sub(some, scaled(axis, dot(axis, some))));
    let shift = scaled(across, bronchus.to_radius + wall + 0.8 * radius);
    Rod { from: add(bronchus.from, shift), to: add(bronchus.to, shift), from_radius: radius, to_radius: radius }
}

fn unit(v: Point) -> Point {
    scaled(v, 1.0 / length(v).max(1e-3))
}

pub fn truth(measured: &Measured<'_>) -> Vec<PlantedLesion> {
    measured.of(Channel::Bronchiectasis).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Finding, testing};

    #[test]
    fn one_or_two_regions_of_some_millilitres_are_planted_and_labelled() {
        let mut counts = [0; 3];
        for seed in 0..6 {
            let scan = testing::scan(seed, &[Finding::Bronchiectasis]);
            let regions = &scan.truth.bronchiectasis;
            counts[regions.len()] += 1;
            let ml: f64 = regions.iter().map(|l| l.volume_ml).sum();
            assert!((0.8..60.0).contains(&ml), "seed {seed}: {regions:?}");
            // Lumen, wall and the partial volumes of both.
            assert!(regions.iter().all(|l| (-900.0..-100.0).contains(&l.mean_hu)), "seed {seed}: {regions:?}");
            testing::assert_close(scan.labelled_ml(Channel::Bronchiectasis), ml, 0.2, 1.0);
        }
        assert!(counts[0] == 0 && counts[1] > 0 && counts[2] > 0, "{counts:?}");
    }
}
