//! From the network's answer to nodules on the original grid: components, outlines, measurements.

use rayon::prelude::*;

use super::{EDGE_MM, kind, shape};
use crate::cast::{ceil_index, floor_index, round_index};
use crate::findings::{Form, Lobe, Lung, Mask, Nodule, NoduleType, Side};
use crate::grid::Grid;
use crate::morphology;
use crate::postprocess::components::{self, Components};
use crate::postprocess::diameter::{self, Axes};
use crate::postprocess::outline::{self, Region};
use crate::postprocess::patches::ONE;
use crate::preprocess::resample::Target;
use crate::task::ct_chest::network::Answer;
use crate::task::ct_chest::plan::Channel;
use crate::task::ct_chest::regions;
use crate::volume::Volume;

/// Nodules and masses, not yet in order, without vessels. Nodules are looked for in the lungs. A mass takes the place of lung, up
/// to the chest wall: it is looked for everywhere, and what of it lies in the lungs is no nodule.
pub fn collect(
    volume: &Volume,
    lungs: &[Lung],
    lobes: &[Lobe],
    answer: &Answer,
    in_place: &(dyn Fn(&Nodule) -> bool + Sync),
) -> Vec<Nodule> {
    let Some((probability, thresholds)) = answer.channel(Channel::Nodule) else { return Vec::new() };
    let target = &answer.prepared.target;
    let grid = &target.grid;
    let floor = regions::level(thresholds.mask);
    let lesions = |found: Components, wanted: &(dyn Fn(&Candidate) -> bool + Sync)| -> Vec<Nodule> {
        let mut candidates: Vec<Candidate> = vec![Candidate::default(); found.sizes.len()];
        for (i, label) in found.labels.iter().enumerate().filter(|(_, l)| **l != 0) {
            candidates[*label as usize - 1].add(grid.at(i), probability[i]);
        }
        (1..)
            .zip(candidates)
            .filter(|(_, c)| c.score >= regions::level(thresholds.confidence) && wanted(c))
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|(label, c)| {
                let region = region(volume, lungs, target, &found.labels, label, &c);
                measure(volume, lungs, lobes, outline::outline(volume, &region), f64::from(c.score) / f64::from(ONE))
            })
            .filter(|n| n.diameter_mm >= thresholds.min_size && in_place(n))
            .collect()
    };
    let mut everywhere: Vec<u8> = probability.par_iter().map(|p| u8::from(*p >= floor)).collect();
    beyond(target, volume.geometry.dims, &mut everywhere);
    let found = shape::erase_tubes(grid, &mut everywhere);
    let mut masses = lesions(found, &|c| c.longest_mm(grid) >= MASS_CORE_MM);
    masses.retain(|one| one.form == Form::Mass);
    everywhere.iter_mut().zip(&answer.prepared.lungs).for_each(|(marked, inside)| *marked &= inside);
    let mut nodules = lesions(components::label(grid, &everywhere), &|_| true);
    nodules.retain(|one| masses.iter().all(|mass| mass.mask.overlap(&one.mask) == 0));
    nodules.extend(masses);
    nodules
}

/// Takes away what lies beyond the volume: the network's grid is at least as large as its patch, and shows the last slice again and again
/// there.
fn beyond(target: &Target, dims: [usize; 3], marked: &mut [u8]) {
    let inside = [0, 1, 2].map(|p| target.nearest(p, dims).into_iter().map(|v| v.is_some()).collect::<Vec<bool>>());
    let is_inside = |i: usize| target.grid.at(i).iter().zip(&inside).all(|(at, inside)| inside[*at]);
    marked.par_iter_mut().enumerate().filter(|(i, m)| **m != 0 && !is_inside(*i)).for_each(|(_, m)| *m = 0);
}

/// Is the network as sure of a large solid lesion as its package asks? A tumour may look like consolidated lung to it, a vessel does
/// not: the best probability of either in the outline counts, and consolidation in or beside a mass speaks for a tumour.
pub fn sure_enough(answer: &Answer, volume: &Volume, one: &Nodule) -> bool {
    let Some((_, thresholds)) = answer.channel(Channel::Nodule) else { return false };
    // A vessel with contrast medium looks calcified; none looks like ground glass.
    let solid = !matches!(one.kind, Some(NoduleType::GroundGlass | NoduleType::PartSolid));
    let Some(large) = thresholds.large.filter(|large| solid && one.diameter_mm >= large.from) else { return true };
    let dims = volume.geometry.dims;
    let best = |channel| answer.best_in(channel, &one.mask, dims);
    let sure = best(Channel::Nodule).max(best(Channel::Consolidation)) >= regions::level(large.confidence);
    sure || one.form == Form::Mass && {
        let around = around(&one.mask, volume, BESIDE_MASS_MM);
        answer.best_in(Channel::Consolidation, &around, dims) >= regions::level(TUMOUR_TISSUE)
    }
}

/// How far from the box of a mass consolidated tissue belongs to the same tumour, mm: to the network a tumour of 60 mm was a
/// mass at one side and consolidation at the other.
const BESIDE_MASS_MM: f64 = 20.0;
/// What consolidation has to reach there. Beside the roots of the lungs of three real scans it was 0.53 at most, in two tumours 0.99.
const TUMOUR_TISSUE: f32 = 0.9;

/// The box of an outline, all of it marked, wider by `margin_mm` at every side.
fn around(mask: &Mask, volume: &Volume, margin_mm: f64) -> Mask {
    let margin = volume.geometry.spacing_mm.map(|step| ceil_index(margin_mm / step));
    let mut wide = mask.widened(margin, volume.geometry.dims);
    wide.voxels.fill(1);
    wide
}

/// Sorts by falling confidence, then diameter, and numbers from 1.
pub fn number(nodules: &mut [Nodule]) {
    nodules.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(b.diameter_mm.total_cmp(&a.diameter_mm)));
    for (number, nodule) in (1..).zip(nodules) {
        nodule.number = number;
    }
}

/// What is smaller in the network's answer, along rows and columns, becomes no mass by its outline, mm.
const MASS_CORE_MM: f64 = 20.0;

/// Half a blurred edge, mm.
const RIM_MM: f64 = 1.2;

/// One component on the network's grid.
#[derive(Debug, Clone)]
struct Candidate {
    low: [usize; 3],
    high: [usize; 3],
    /// Highest probability.
    score: u16,
}

impl Default for Candidate {
    fn default() -> Self {
        Self { low: [usize::MAX; 3], high: [0; 3], score: 0 }
    }
}

impl Candidate {
    fn add(&mut self, at: [usize; 3], probability: u16) {
        self.low = [0, 1, 2].map(|a| self.low[a].min(at[a]));
        self.high = [0, 1, 2].map(|a| self.high[a].max(at[a]));
        self.score = self.score.max(probability);
    }

    /// The longer side of its box across the body, mm.
    fn longest_mm(&self, grid: &Grid) -> f64 {
        let side = |a: usize| (self.high[a] + 1 - self.low[a]) as f64 * grid.spacing_mm[a];
        side(0).max(side(1))
    }
}

/// The component on the original grid, with room for its edge.
fn region(
    volume: &Volume,
    lungs: &[Lung],
    target: &Target,
    labels: &[u32],
    label: u32,
    candidate: &Candidate,
) -> Region {
    let geometry = &volume.geometry;
    let mut low = [0; 3];
    let mut high = [0; 3];
    // Voxel index -> index on the network's grid, along each voxel axis of the box.
    let mut back: [Vec<Option<usize>>; 3] = Default::default();
    for p in 0..3 {
        let a = target.orientation.axis[p];
        let (first, last) = (target.coordinates[p][candidate.low[p]], target.coordinates[p][candidate.high[p]]);
        let step = target.grid.spacing_mm[p] / geometry.spacing_mm[a];
        let room = step + (EDGE_MM / geometry.spacing_mm[a]).ceil();
        high[a] = ceil_index(first.max(last) + room).min(geometry.dims[a] - 1);
        low[a] = floor_index(first.min(last) - room).min(high[a]);
        back[a] = (low[a]..=high[a])
            .map(|v| {
                let i = target.index_at(p, v as f64).round();
                (i >= 0.0).then(|| round_index(i)).filter(|i| *i < target.grid.dims[p])
            })
            .collect();
    }
    let size = [0, 1, 2].map(|a| high[a] + 1 - low[a]);
    let box_grid = Grid { dims: size, spacing_mm: geometry.spacing_mm };
    let core: Vec<u8> = (0..box_grid.len())
        .map(|i| {
            let at = box_grid.at(i);
            let mut patient = [None; 3];
            for (p, a) in target.orientation.axis.into_iter().enumerate() {
                patient[p] = back[a][at[a]];
            }
            match patient {
                [Some(x), Some(y), Some(z)] => u8::from(labels[target.grid.index([x, y, z])] == label),
                _ => 0,
            }
        })
        .collect();
    let near = morphology::dilate(&box_grid, &core, EDGE_MM);
    let domain = (0..box_grid.len())
        .map(|i| {
            let at = box_grid.at(i);
            let voxel = [0, 1, 2].map(|a| at[a] + low[a]);
            u8::from(core[i] != 0 || (near[i] != 0 && lungs.iter().any(|l| l.mask.contains(voxel))))
        })
        .collect();
    Region { origin: low, size, core, domain }
}

/// The lesion of this outline, without a number.
pub fn measure(volume: &Volume, lungs: &[Lung], lobes: &[Lobe], mask: Mask, confidence: f64) -> Nodule {
    let geometry = &volume.geometry;
    let [sx, sy, _] = mask.size;
    let mut sums = [0.0; 3];
    let mut hu = 0i64;
    let mut by_slice: Vec<Vec<[usize; 2]>> = vec![Vec::new(); mask.size[2]];
    let mut by_side = [0usize; 2];
    for (i, _) in mask.voxels.iter().enumerate().filter(|(_, v)| **v != 0) {
        let at = [i % sx, i / sx % sy, i / (sx * sy)];
        let voxel = [0, 1, 2].map(|a| at[a] + mask.origin[a]);
        for a in 0..3 {
            sums[a] += voxel[a] as f64;
        }
        hu += i64::from(volume.slices[voxel[2]][voxel[1] * geometry.dims[0] + voxel[0]]);
        by_slice[at[2]].push([voxel[0], voxel[1]]);
        if let Some(lung) = lungs.iter().find(|l| l.mask.contains(voxel)) {
            by_side[usize::from(lung.side == Side::Left)] += 1;
        }
    }
    let count = by_slice.iter().map(Vec::len).sum::<usize>();
    let n = count.max(1) as f64;
    let centre = sums.map(|s| s / n);
    let key = (0..by_slice.len()).rev().max_by_key(|z| by_slice[*z].len()).unwrap_or(0);
    let Axes { long_mm, short_mm } =
        diameter::axes(by_slice.get(key).map_or(&[], |v| v), [geometry.spacing_mm[0], geometry.spacing_mm[1]]);
    let diameter_mm = Axes { long_mm, short_mm }.diameter_mm();
    let kind = kind::kind(&inside(volume, &mask));
    let lung_rads = kind.map(|kind| {
        let solid = by_slice.get(key).map_or(0.0, |pixels| solid_mm(volume, mask.origin[2] + key, pixels));
        kind::lung_rads(kind, diameter_mm, if kind == NoduleType::PartSolid { solid } else { diameter_mm })
    });
    Nodule {
        number: 0,
        form: Form::of(long_mm),
        side: side(lungs, by_side, centre),
        lobe: regions::lobe(lobes, &mask),
        kind,
        lung_rads,
        centre_mm: geometry.to_patient(centre),
        diameter_mm,
        long_axis_mm: long_mm,
        short_axis_mm: short_mm,
        volume_mm3: count as f64 * geometry.voxel_ml() * 1000.0,
        mean_hu: hu as f64 / n,
        confidence,
        key_slice: mask.origin[2] + key,
        mask,
    }
}

/// HU of the nodule's voxels without its blurred rim; of all of them when nothing else is left.
fn inside(volume: &Volume, mask: &Mask) -> Vec<i16> {
    // The box may end at the nodule's edge: what is beyond it is outside.
    let pad = Grid { dims: mask.size.map(|n| n + 2), spacing_mm: volume.geometry.spacing_mm };
    let mut wide = Mask { origin: [0; 3], size: pad.dims, voxels: vec![0; pad.len()] };
    wide.paint(&Mask { origin: [1; 3], ..mask.clone() }, 1);
    let of = |voxels: &[u8]| -> Vec<i16> {
        let within = voxels.iter().enumerate().filter(|(_, v)| **v != 0);
        let at = within.map(|(i, _)| pad.at(i));
        at.map(|at| volume.row([0, 1, 2].map(|a| at[a] - 1 + mask.origin[a]), 1)[0]).collect()
    };
    let inner = of(&morphology::erode(&pad, &wide.voxels, RIM_MM));
    if inner.len() >= 8 { inner } else { of(&wide.voxels) }
}

/// Mean diameter of the solid pixels of one slice.
fn solid_mm(volume: &Volume, slice: usize, pixels: &[[usize; 2]]) -> f64 {
    let spacing = volume.geometry.spacing_mm;
    let solid = pixels.iter().copied().filter(|[x, y]| volume.row([*x, *y, slice], 1)[0] >= kind::SOLID_HU);
    diameter::axes(&solid.collect::<Vec<_>>(), [spacing[0], spacing[1]]).diameter_mm()
}

/// The lung that holds most of the nodule; for one wholly outside, the lung whose box is nearer.
fn side(lungs: &[Lung], by_side: [usize; 2], centre: [f64; 3]) -> Side {
    match by_side {
        [right, left] if right > left => Side::Right,
        [right, left] if left > right => Side::Left,
        _ => {
            let distance = |l: &&Lung| {
                (0..3)
                    .map(|a| {
                        let (low, size) = (l.mask.origin[a] as f64, l.mask.size[a] as f64);
                        (low - centre[a]).max(centre[a] - low - size).max(0.0).powi(2)
                    })
                    .sum::<f64>()
            };
            lungs.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).map_or(Side::Right, |l| l.side)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::ct_chest::network;
    use crate::task::ct_chest::plan::Thresholds;
    use crate::task::ct_chest::testing::plan;
    use crate::task::lungs;
    use crate::testing::Chest;

    /// A short scan: the patch of the network is higher than it.
    #[test]
    fn what_the_network_marks_beyond_the_last_slice_is_no_nodule_and_no_crash() {
        let volume = Chest { z_mm: [-30.0, 30.0], ..Chest::default() }.volume();
        let lungs = lungs::examine(&volume).unwrap().lungs;
        let prepared = network::prepare(&volume, &lungs, &plan(), &crate::steps::Cpu);
        let (grid, dims) = (prepared.target.grid, volume.geometry.dims);
        let inside = prepared.target.nearest(2, dims);
        let outside: Vec<usize> = (0..grid.dims[2]).filter(|z| inside[*z].is_none()).collect();
        assert!(outside.len() > 6, "the grid goes on beyond the volume");
        let mut probability = vec![0u16; grid.len()];
        let middle = [grid.dims[0] / 4, grid.dims[1] / 2];
        for z in [outside[0], outside[1], outside[outside.len() - 2], outside[outside.len() - 1]] {
            for (dx, dy) in (0..4).flat_map(|dx| (0..4).map(move |dy| (dx, dy))) {
                probability[grid.index([middle[0] + dx, middle[1] + dy, z])] = ONE;
            }
        }
        let labels = components::label(&grid, &probability.iter().map(|p| u8::from(*p > 0)).collect::<Vec<_>>());
        let mut all: Vec<Candidate> = vec![Candidate::default(); labels.sizes.len()];
        for (i, label) in labels.labels.iter().enumerate().filter(|(_, l)| **l != 0) {
            all[*label as usize - 1].add(grid.at(i), ONE);
        }
        for (label, one) in (1..).zip(&all) {
            let region = region(&volume, &lungs, &prepared.target, &labels.labels, label, one);
            assert!((0..3).all(|a| region.origin[a] + region.size[a] <= dims[a]), "{:?}", region.origin);
        }
        let thresholds = Thresholds::plain(0.5, 0.4, 0.0);
        let answer = Answer::new(prepared, vec![(Channel::Nodule, thresholds, probability)]);
        assert_eq!(collect(&volume, &lungs, &[], &answer, &|_| true), []);
    }
}
