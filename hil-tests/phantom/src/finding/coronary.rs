//! Coronary arteries, which every phantom has; calcium in them when it is wanted; and calcium in the wall of the aorta,
//! which must not be mistaken for coronary calcium.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Body, Channel, Layer, Lesion, Planted, Site};
use crate::anatomy::{Chest, hu};
use crate::random::Random;
use crate::shape::{Point, Rod, add, coverage, dot, ellipsoid, length, scaled, sub};
use crate::truth::Measured;

/// Agatston et al., "Quantification of coronary artery calcium using ultrafast computed tomography", J Am Coll Cardiol
/// 15 (1990) 827-832: voxels of at least 130 HU, in areas of at least 1 mm^2, on slices 3 mm apart.
pub const CALCIUM_HU: f32 = 130.0;
const AREA_MM2: f64 = 1.0;
const REFERENCE_MM: f64 = 3.0;
/// Distance from its plaque up to which blurred calcium may be seen, mm.
const BLUR_MM: f32 = 1.0;

/// Courses of the arteries on the heart, as directions from its centre before normalisation: towards the apex, to the
/// left and back, up. Radii (mm) at both ends.
const ARTERIES: [(&[Point], [f32; 2]); 4] = [
    // Left main, left anterior descending, left circumflex, right coronary artery.
    (&[[0.02, 0.10, 1.00], [0.20, 0.16, 0.97]], [2.1, 2.0]),
    (
        &[
            [0.20, 0.16, 0.97],
            [0.42, 0.00, 0.91],
            [0.62, -0.22, 0.75],
            [0.78, -0.36, 0.50],
            [0.88, -0.40, 0.20],
            [0.93, -0.34, -0.12],
        ],
        [1.9, 1.0],
    ),
    (
        &[[0.20, 0.16, 0.97], [0.22, 0.55, 0.80], [0.14, 0.86, 0.48], [0.08, 0.99, 0.08], [0.04, 0.93, -0.36]],
        [1.8, 1.0],
    ),
    (
        &[
            [-0.30, -0.52, 0.80],
            [-0.42, -0.74, 0.52],
            [-0.48, -0.86, 0.12],
            [-0.48, -0.82, -0.32],
            [-0.42, -0.52, -0.74],
            [-0.28, -0.05, -0.96],
        ],
        [1.9, 1.1],
    ),
];
/// Middle of the artery above the surface of the heart, mm.
const ABOVE_MM: f32 = 1.4;
/// Fat about it, mm.
const GROOVE_MM: f32 = 3.2;

/// The arteries as short rods in patient mm, from their origin outward.
fn arteries(chest: &Chest) -> Vec<Vec<Rod>> {
    const STEPS: usize = 6;
    let course = |(points, [wide, narrow]): &(&[Point], [f32; 2])| {
        let mut way: Vec<Point> = Vec::new();
        for pair in points.windows(2) {
            for step in 0..STEPS {
                let t = step as f32 / STEPS as f32;
                way.push(add(scaled(pair[0], 1.0 - t), scaled(pair[1], t)));
            }
        }
        way.extend(points.last());
        let way: Vec<Point> = way.into_iter().map(|u| chest.on_heart(scaled(u, 1.0 / length(u)), ABOVE_MM)).collect();
        let radius = |i: usize| (wide + (narrow - wide) * i as f32 / way.len() as f32) * chest.scale;
        let rod = |i: usize, ends: &[Point]| Rod {
            from: ends[0],
            to: ends[1],
            from_radius: radius(i),
            to_radius: radius(i + 1),
        };
        way.windows(2).enumerate().map(|(i, ends)| rod(i, ends)).collect()
    };
    ARTERIES.iter().map(course).collect()
}

/// Paints a piece of artery, or of the fat around it.
#[derive(Debug)]
struct Stretch {
    rod: Rod,
    hu: f32,
}

impl Body for Stretch {
    fn bounds(&self) -> (Point, Point) {
        self.rod.bounds(0.0)
    }

    fn fill(&self, p: Point, width: f32) -> f32 {
        let (sd, radius) = self.rod.distance(p);
        coverage(sd, width) * (2.0 * radius / width).min(1.0)
    }

    fn paint(&self, _: Point, under: f32, part: f32) -> f32 {
        under + (self.hu - under) * part
    }
}

/// A plaque: an ellipsoid along its vessel.
#[derive(Debug, Clone, Copy)]
pub struct Plaque {
    centre: Point,
    /// Rows of a rotation, the first along the vessel.
    axes: [Point; 3],
    half: Point,
    hu: f32,
}

impl Plaque {
    fn distance(&self, p: Point) -> f32 {
        let rel = sub(p, self.centre);
        ellipsoid(self.axes.map(|axis| dot(axis, rel)), self.half)
    }

    fn bounds(&self, margin: f32) -> (Point, Point) {
        let reach = [self.half.into_iter().fold(0.0, f32::max) + margin; 3];
        (sub(self.centre, reach), add(self.centre, reach))
    }
}

impl Body for Plaque {
    fn bounds(&self) -> (Point, Point) {
        self.bounds(0.0)
    }

    fn fill(&self, p: Point, width: f32) -> f32 {
        // A plaque that is thinner than the voxel fills only part of it.
        let share = self.half.iter().map(|h| (2.0 * h / width).min(1.0)).fold(1.0, f32::min);
        coverage(self.distance(p), width) * share
    }

    fn paint(&self, _: Point, under: f32, part: f32) -> f32 {
        under.max(under + (self.hu - under) * part)
    }
}

/// The region in which voxels of at least 130 HU belong to the plaque: the plaque itself, and its blur.
#[derive(Debug)]
struct Zone {
    plaque: Plaque,
    margin: f32,
}

impl Body for Zone {
    fn bounds(&self) -> (Point, Point) {
        self.plaque.bounds(self.margin)
    }

    fn fill(&self, p: Point, width: f32) -> f32 {
        coverage(self.plaque.distance(p) - self.margin, width)
    }

    fn paint(&self, _: Point, under: f32, _: f32) -> f32 {
        under
    }
}

/// Arteries always, plaques in them when `calcified`, plaques of the aorta in two of five.
pub fn plant(site: &Site<'_>, calcified: bool, planted: &mut Planted, random: &mut Random) {
    let chest = site.chest;
    let arteries = arteries(chest);
    for rod in arteries.iter().flatten() {
        let fat = GROOVE_MM * chest.scale;
        let groove = Rod { from_radius: rod.from_radius + fat, to_radius: rod.to_radius + fat, ..*rod };
        planted.body(Stretch { rod: groove, hu: hu::FAT }, Layer::Under, None);
    }
    for rod in arteries.iter().flatten() {
        planted.body(Stretch { rod: *rod, hu: chest.blood_hu }, Layer::Under, None);
    }
    if random.chance(0.4) {
        for _ in 0..1 + random.below(5) {
            planted.body(aortic_plaque(chest, random), Layer::Over, None);
        }
    }
    if calcified {
        for plaque in plaques(site, &arteries, random) {
            let lesion = planted.lesion(Lesion::new(Channel::CoronaryCalcification, None));
            // Enhanced blood is as bright as calcium, so with contrast medium only the plaque itself is marked.
            let margin = if chest.blood_hu < CALCIUM_HU - 30.0 { BLUR_MM } else { 0.0 };
            planted.body(plaque, Layer::Under, None);
            planted.body(Zone { plaque, margin }, Layer::Mark, Some(lesion));
        }
    }
}

/// One to twelve plaques, more and larger ones when the disease is severe; most of them near the origins.
fn plaques(site: &Site<'_>, arteries: &[Vec<Rod>], random: &mut Random) -> Vec<Plaque> {
    let severity = random.unit();
    let count = 1 + (severity * 11.0) as usize;
    let vessels: Vec<Rod> = site.chest.mediastinum().into_iter().map(|(rod, _)| rod).collect();
    let mut plaques: Vec<Plaque> = Vec::new();
    for _ in 0..400 {
        if plaques.len() == count {
            break;
        }
        let artery = &arteries[[0, 1, 1, 1, 2, 2, 3, 3][random.below(8)]];
        let near = random.unit() * random.unit();
        let Some(rod) = artery.get((near * artery.len() as f32) as usize) else { continue };
        let plaque = plaque(rod, severity, random);
        let [low, high] = site.slab;
        let inside = plaque.centre[2] - 4.0 > low && plaque.centre[2] + 4.0 < high;
        // Beside the great vessels and outside the fat nobody could say in which wall a plaque is.
        let apart = vessels.iter().all(|v| v.distance(plaque.centre).0 > plaque.half[0] + 1.5);
        let alone = plaques.iter().all(|o| length(sub(o.centre, plaque.centre)) > o.half[0] + plaque.half[0]);
        if inside && apart && alone {
            plaques.push(plaque);
        }
    }
    plaques
}

/// A plaque in the wall of a piece of artery, 1 to 6 mm long.
fn plaque(rod: &Rod, severity: f32, random: &mut Random) -> Plaque {
    let along = sub(rod.to, rod.from);
    let along = scaled(along, 1.0 / length(along).max(1e-6));
    let outward = across(along, random);
    let side = [
        along[1] * outward[2] - along[2] * outward[1],
        along[2] * outward[0] - along[0] * outward[2],
        along[0] * outward[1] - along[1] * outward[0],
    ];
    let long = random.logarithmic(1.2, 2.5 + 3.5 * severity) / 2.0;
    let thick = (long * random.between(0.5, 0.9)).clamp(0.5, 0.75 * rod.from_radius);
    Plaque {
        centre: add(rod.from, scaled(outward, 0.45 * rod.from_radius)),
        axes: [along, outward, side],
        half: [long, thick, (thick * random.between(1.0, 1.4)).min(rod.from_radius)],
        hu: random.between(180.0, 900.0),
    }
}

/// A direction at right angles to `along`.
fn across(along: Point, random: &mut Random) -> Point {
    loop {
        let d = random.direction();
        let rest = sub(d, scaled(along, dot(d, along)));
        if length(rest) > 0.2 {
            return scaled(rest, 1.0 / length(rest));
        }
    }
}

/// A flat plaque in the wall of arch or descending aorta.
fn aortic_plaque(chest: &Chest, random: &mut Random) -> Plaque {
    let wall = chest.aortic_wall();
    let rod = wall[random.below(wall.len())];
    let axis = sub(rod.to, rod.from);
    let along = scaled(axis, 1.0 / length(axis).max(1e-6));
    let outward = across(along, random);
    let side = [
        along[1] * outward[2] - along[2] * outward[1],
        along[2] * outward[0] - along[0] * outward[2],
        along[0] * outward[1] - along[1] * outward[0],
    ];
    let t = random.unit();
    let radius = rod.from_radius + (rod.to_radius - rod.from_radius) * t;
    Plaque {
        centre: add(add(rod.from, scaled(axis, t)), scaled(outward, radius - 1.0)),
        axes: [along, outward, side],
        half: [random.between(1.5, 5.0), random.between(0.7, 1.2), random.between(1.5, 5.0)],
        hu: random.between(300.0, 900.0),
    }
}

/// Sum over the areas of one slice of area (mm^2) times 1 to 4 by the area's peak (130, 200, 300, 400 HU). `voxels` are
/// those of plaques with at least 130 HU; voxels that share an edge are one area.
pub fn slice_score(voxels: &BTreeSet<usize>, hu: &[f32], columns: usize, pixel_mm2: f64) -> f64 {
    let mut rest = voxels.clone();
    let mut score = 0.0;
    while let Some(start) = rest.pop_first() {
        let (mut open, mut count, mut peak) = (vec![start], 0u32, f32::MIN);
        while let Some(at) = open.pop() {
            count += 1;
            peak = peak.max(hu[at]);
            let beside = [(at % columns > 0).then(|| at - 1), ((at + 1) % columns > 0).then_some(at + 1)];
            let beyond = [at.checked_sub(columns), Some(at + columns)];
            open.extend(beside.into_iter().chain(beyond).flatten().filter(|n| rest.remove(n)));
        }
        let area = f64::from(count) * pixel_mm2;
        if area >= AREA_MM2 {
            score += area * weight(peak);
        }
    }
    score
}

fn weight(peak_hu: f32) -> f64 {
    match peak_hu {
        p if p >= 400.0 => 4.0,
        p if p >= 300.0 => 3.0,
        p if p >= 200.0 => 2.0,
        _ => 1.0,
    }
}

/// For each plaque, the voxels of one slice that are calcium: at least 130 HU after the kernel, before noise.
pub fn calcium(filled: &mut Vec<(usize, f32)>, hu: &[f32]) {
    let mut parts: BTreeMap<usize, f32> = BTreeMap::new();
    for (at, part) in filled.drain(..) {
        let most = parts.entry(at).or_default();
        *most = most.max(part);
    }
    filled
        .extend(parts.into_iter().filter(|(at, part)| *part >= 0.25 && hu[*at] >= CALCIUM_HU).map(|(at, _)| (at, 1.0)));
}

/// Calcium of the coronary arteries.
#[derive(Debug, Clone, Serialize)]
pub struct PlantedCalcium {
    /// On the sampled grid, after the kernel, before noise; slices scaled to 3 mm.
    pub agatston: f64,
    pub volume_ml: f64,
    pub plaques: usize,
}

/// `scores` are the sums over all slices; empty when no plaque is visible.
pub fn truth(measured: &Measured<'_>, score: f64, slice_mm: f32) -> Option<PlantedCalcium> {
    let volumes: Vec<f64> = measured.of(Channel::CoronaryCalcification).map(|l| l.volume_ml).collect();
    (!volumes.is_empty()).then(|| PlantedCalcium {
        agatston: score * f64::from(slice_mm) / REFERENCE_MM,
        volume_ml: volumes.iter().sum(),
        plaques: volumes.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Finding, Options, Phantom, Wanted};

    #[test]
    fn a_score_is_area_times_weight_and_specks_do_not_count() {
        // Six columns of 0.8 x 0.8 mm: three voxels with a peak of 250 HU, two with 450 HU, one speck.
        let mut hu = vec![0.0f32; 36];
        let all = [(7, 150.0), (8, 250.0), (13, 140.0), (28, 450.0), (29, 131.0), (5, 900.0)];
        for (at, value) in all {
            hu[at] = value;
        }
        let voxels: BTreeSet<usize> = all.iter().map(|(at, _)| *at).collect();
        let expected = 3.0 * 0.64 * 2.0 + 2.0 * 0.64 * 4.0;
        assert!((slice_score(&voxels, &hu, 6, 0.64) - expected).abs() < 1e-9);
    }

    #[test]
    fn areas_do_not_go_on_around_the_edge_of_the_image() {
        let hu = vec![200.0f32; 8];
        // The last of the first row and the first of the second: two areas of one voxel each.
        assert_eq!(slice_score(&BTreeSet::from([3, 4]), &hu, 4, 0.9), 0.0);
        assert_eq!(slice_score(&BTreeSet::from([3, 7]), &hu, 4, 0.9), 2.0 * 0.9 * 2.0);
    }

    #[test]
    fn calcified_arteries_have_a_score_and_a_mask_and_others_have_neither() {
        let base = Options { slices: 99, ..Options { columns: 256, rows: 256, pixel_mm: 1.4, ..Options::default() } };
        let options = |findings| Options { findings, ..base.clone() }.calcium();
        let bit = Channel::CoronaryCalcification.bit();
        let mut scores = Vec::new();
        for seed in 0..3 {
            let (slices, truth) =
                Phantom::new(seed, &options(Wanted::only(&[Finding::CoronaryCalcification]))).render_labelled();
            let marked = slices.iter().flat_map(|s| &s.labels).filter(|l| **l & bit != 0).count();
            let calcium = truth.coronary.unwrap();
            assert!(marked > 0 && calcium.plaques > 0, "seed {seed}");
            assert!((calcium.volume_ml - marked as f64 * 1.4 * 1.4 * 3.0 / 1000.0).abs() < 1e-6, "seed {seed}");
            scores.push(calcium.agatston);
            let (slices, truth) = Phantom::new(seed, &options(Wanted::NONE)).render_labelled();
            assert!(truth.coronary.is_none());
            assert!(slices.iter().all(|s| s.tally.agatston == 0.0 && s.labels.iter().all(|l| l & bit == 0)));
        }
        assert!(scores.iter().all(|s| (1.0..4000.0).contains(s)) && scores[0] != scores[1], "{scores:?}");
    }
}
