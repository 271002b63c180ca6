//! Emphysema: LAA-950 of the lungs after no more noise reduction than noise and kernel of the scan ask for.

use rayon::prelude::*;
use serde::Serialize;

use super::Scan;
use super::list::Figure;
use super::masks::{Masks, Placed};
use super::network::Answer;
use super::plan::Channel;
use super::regions;
use crate::cast::{floor_index, round_index};
use crate::findings::{Lung, Mask, Region, Side};
use crate::postprocess::patches::ONE;
use crate::volume::Volume;

/// Emphysema. LAA-950 by its definition is in each [`Lung`] as well, where noise and kernel let it count; here after as much noise
/// reduction as they ask for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Emphysema {
    /// Percent of the voxels of both lungs below -950 HU, airways left out, after noise reduction.
    pub laa950_percent: f64,
    pub right_percent: Option<f64>,
    pub left_percent: Option<f64>,
    /// Standard deviation of the noise as measured in the trachea and main bronchi, HU; `None` when they hold too little air to measure it. Then
    /// nothing but a sharp kernel asks for noise reduction.
    pub noise_hu: Option<f64>,
    /// Noise or kernel asked for noise reduction. Otherwise the percentages are LAA-950 by its definition.
    pub smoothed: bool,
    /// Voxels below -950 HU, one region a lung.
    pub regions: Vec<Region>,
}

impl Masks for Emphysema {
    fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        self.regions.placed_mut()
    }
}

/// Gevenois et al., Am J Respir Crit Care Med 152 (1995) 653-657.
const LOW_HU: i16 = -950;
/// Edges of the cube that are tried in turn, mm; 0 leaves the voxels as they are.
const EDGES_MM: [f64; 5] = [0.0, 2.0, 3.0, 4.5, 6.0];
/// The cube grows until noise alone carries a voxel of ordinary lung below -950 HU only beyond so many of its standard
/// deviations: one voxel in 740. Every further step would take away small holes.
const APART: f64 = 3.0;
/// Noise of a median, of the noise of a mean over the same voxels (square root of pi / 2).
const MEDIAN_NOISE: f64 = 1.2533;
/// Ordinary lung is no darker than this, HU: where more than half of it is emphysema, its median is not ordinary.
const ORDINARY_HU: f64 = -900.0;
/// What a hole holds: half way from the limit to air, HU.
const HOLE_HU: f64 = -975.0;
/// Fewer voxels of air than this say nothing about noise.
const SAMPLES: usize = 50;
/// From so much [`fine`] detail on, HU, the cube has at least such an edge, mm: a sharp kernel draws the texture of the lung darker and brighter than
/// it is, which air does not show. Found on real scans: 14 HU with kernel STANDARD, 9 with B40f; 24 to 58 when the first is sharpened, 52 with
/// Philips L. Smoothing before LAA-950 so that kernels agree: Schilham et al., IEEE Trans Med Imaging 25 (2006) 451-463.
const SHARP: [(f64, f64); 2] = [(18.0, 3.0), (30.0, 4.5)];
/// Of the noise in air: below it the detail is smooth noise, for which the noise of air is enough. 0.55 and 0.57 with the smooth kernels, 0.8 to
/// 1.04 with the sharp ones.
const SHARP_SHARE: f64 = 0.75;

/// The emphysema index of both lungs.
pub fn evaluate(scan: &mut Scan<'_>) -> Emphysema {
    measure(scan.volume, scan.answer, scan.lungs, scan.airway)
}

pub fn figure(emphysema: &Emphysema) -> Figure {
    Figure { count: None, number: Some(emphysema.laa950_percent) }
}

/// Percent of the lungs below -950 HU from which emphysema counts as found. Below it healthy lungs are seen too: the
/// normal limit at full inspiration is about 5 % (Lynch et al., Radiology 2018;288:859).
pub const EMPHYSEMA_PERCENT: f64 = 5.0;

pub fn is_found(emphysema: &Emphysema) -> bool {
    // As it is printed, with one decimal: "none found; 5.0 %" would contradict the limit.
    (emphysema.laa950_percent * 10.0).round() / 10.0 >= EMPHYSEMA_PERCENT
}

/// Standard deviation of the attenuation at `air` (voxels well inside trachea and main bronchi), HU. From values
/// above the median, because scanners cut values off at -1024. `None` without enough air.
pub fn noise(volume: &Volume, air: &[[usize; 3]]) -> Option<f64> {
    spread(volume, air, [0; 3])
}

/// Spread of the means of the cubes around `air`.
fn spread(volume: &Volume, air: &[[usize; 3]], radius: [usize; 3]) -> Option<f64> {
    let values = sampled(volume, air, radius)?;
    // Of a normal distribution, 84.13 % lie below one standard deviation above the middle. A wall among the samples
    // moves this little.
    let at = |share: f64| values[floor_index(values.len() as f64 * share)];
    Some(at(0.8413) - at(0.5))
}

/// Means of the cubes around some of `air`, in rising order; `None` when they are too few.
fn sampled(volume: &Volume, air: &[[usize; 3]], radius: [usize; 3]) -> Option<Vec<f64>> {
    let stride = (air.len() / 3000).max(1);
    let mut values: Vec<f64> = air.iter().step_by(stride).map(|at| cube_mean(volume, *at, radius)).collect();
    values.sort_by(f64::total_cmp);
    (values.len() >= SAMPLES).then_some(values)
}

fn cube_mean(volume: &Volume, at: [usize; 3], radius: [usize; 3]) -> f64 {
    let dims = volume.geometry.dims;
    let low = [0, 1, 2].map(|a| at[a].saturating_sub(radius[a]));
    let high = [0, 1, 2].map(|a| (at[a] + radius[a]).min(dims[a] - 1));
    let mut sum = 0i64;
    let mut count = 0;
    for z in low[2]..=high[2] {
        for y in low[1]..=high[1] {
            let row = volume.row([low[0], y, z], high[0] + 1 - low[0]);
            sum += row.iter().map(|v| i64::from(*v)).sum::<i64>();
            count += row.len();
        }
    }
    sum as f64 / count as f64
}

/// Voxels on either side of the middle one, so that the cube's edge is nearest to `edge_mm`.
fn radius(volume: &Volume, edge_mm: f64) -> [usize; 3] {
    volume.geometry.spacing_mm.map(|s| round_index((edge_mm / s - 1.0) / 2.0))
}

/// Attenuation of ordinary lung, HU: the median of the lungs' voxels.
fn ordinary(volume: &Volume, lungs: &[Lung]) -> f64 {
    // One row of eight says enough.
    let rows = lungs.iter().flat_map(|lung| lung.mask.rows().step_by(8));
    let mut values: Vec<i16> = rows
        .flat_map(|(start, row)| row.iter().zip(volume.row(start, row.len())).filter(|(m, _)| **m != 0))
        .map(|(_, hu)| *hu)
        .collect();
    let middle = values.len() / 2;
    if values.is_empty() {
        return ORDINARY_HU;
    }
    f64::from(*values.select_nth_unstable(middle).1).max(ORDINARY_HU)
}

/// How much neighbouring voxels of a row differ in the lungs, as the standard deviation of noise that would make it, HU; 0 when they are too
/// few. By the middle 68 % of the second differences, so that vessels do not count.
fn fine(volume: &Volume, lungs: &[Lung]) -> f64 {
    let rows = lungs.iter().flat_map(|lung| lung.mask.rows().step_by(8));
    let mut differences: Vec<f64> = rows
        .flat_map(|(start, row)| {
            let hu = volume.row(start, row.len());
            let inside = row.windows(3).zip(hu.windows(3)).filter(|(inside, _)| inside.iter().all(|m| *m != 0));
            inside.map(|(_, hu)| f64::from(hu[1]) - f64::midpoint(f64::from(hu[0]), f64::from(hu[2])))
        })
        .collect();
    if differences.len() < SAMPLES {
        return 0.0;
    }
    differences.sort_by(f64::total_cmp);
    let at = |share: f64| differences[floor_index(differences.len() as f64 * share)];
    // White noise of standard deviation 1 has second differences of the square root of 1.5.
    (at(0.8413) - at(0.1587)) / 2.0 / 1.5f64.sqrt()
}

/// The least edge of the cube for a kernel as sharp as that, mm; `None` for one that is not. `noise`: in air, HU.
fn least_edge(fine: f64, noise: Option<f64>) -> Option<f64> {
    if noise.is_some_and(|noise| fine < SHARP_SHARE * noise) {
        return None;
    }
    SHARP.iter().rev().find(|(hu, _)| fine >= *hu).map(|(_, edge)| *edge)
}

/// The smallest cube that leaves little enough noise; none when the noise is not known and the kernel is not sharp.
fn enough(volume: &Volume, air: &[[usize; 3]], ordinary: f64, least_edge: f64) -> [usize; 3] {
    let mut tried = EDGES_MM.into_iter().filter(|edge| *edge >= least_edge).map(|edge| radius(volume, edge));
    let largest = radius(volume, EDGES_MM[EDGES_MM.len() - 1]);
    let left = |r: &[usize; 3]| {
        let factor = if *r == [0; 3] { 1.0 } else { MEDIAN_NOISE };
        spread(volume, air, *r).is_none_or(|noise| APART * factor * noise <= ordinary - f64::from(LOW_HU))
    };
    tried.find(left).unwrap_or(largest)
}

/// Share of low voxels in a cube that lies half in a hole and half in ordinary lung, so that the edge stays where it is. One half
/// without noise; less with it, because a hole is nearer to the limit than lung and loses more voxels.
fn share_at_edge(volume: &Volume, air: &[[usize; 3]], ordinary: f64) -> f64 {
    let Some(values) = sampled(volume, air, [0; 3]) else { return 0.5 };
    // Above the median only: scanners cut values off at -1024. Noise is as often as far below it.
    let middle = values[values.len() / 2];
    let beyond = |hu: f64| values.iter().filter(|v| **v > middle + hu).count() as f64 / values.len() as f64;
    let limit = f64::from(LOW_HU);
    0.5 * (1.0 - beyond(limit - HOLE_HU) + beyond(ordinary - limit))
}

/// Percent of the voxels of each lung that are below -950 HU, or, where the noise of the scan asks for it, whose cube is by
/// majority (lung voxels only, so that walls and airways do not weigh): unlike a mean, this leaves the edges of a hole
/// where they are. The noise-reduced counterpart of [`Lung::laa950_percent`]. Regions are given when the network sees
/// emphysema.
pub fn measure(volume: &Volume, answer: &Answer, lungs: &[Lung], air: &[[usize; 3]]) -> Emphysema {
    let ordinary = ordinary(volume, lungs);
    let noise = noise(volume, air);
    let sharp = least_edge(fine(volume, lungs), noise);
    let radius = enough(volume, air, ordinary, sharp.unwrap_or(0.0));
    // What a sharp kernel adds in the lungs is not the noise of air.
    let share = if sharp.is_some() { 0.5 } else { share_at_edge(volume, air, ordinary) };
    let low: Vec<(Side, Mask, usize, usize)> = lungs
        .iter()
        .map(|lung| {
            let mask = low_attenuation(volume, &lung.mask, radius, share);
            let (own, whole) = (mask.count(), lung.mask.count());
            (lung.side, mask, own, whole)
        })
        .collect();
    let percent = |own: usize, whole: usize| 100.0 * own as f64 / whole.max(1) as f64;
    let of = |side: Side| low.iter().find(|(s, ..)| *s == side).map(|(_, _, own, whole)| percent(*own, *whole));
    let (right_percent, left_percent) = (of(Side::Right), of(Side::Left));
    let own: usize = low.iter().map(|(_, _, own, _)| own).sum();
    let whole: usize = low.iter().map(|(.., whole)| whole).sum();
    let seen = answer.channel(Channel::Emphysema).map(|(probability, thresholds)| {
        let best = probability.par_iter().copied().max().unwrap_or(0);
        (f64::from(best) / f64::from(ONE), thresholds)
    });
    let mut regions: Vec<Region> = Vec::new();
    if let Some((confidence, thresholds)) = seen.filter(|(c, t)| *c >= f64::from(t.confidence)) {
        let measured = low.into_iter().filter_map(|(_, mask, ..)| regions::measure(volume, mask, confidence));
        regions.extend(measured.filter(|r| r.volume_ml >= thresholds.min_size));
    }
    regions::number(&mut regions);
    let smoothed = radius != [0; 3];
    Emphysema { laa950_percent: percent(own, whole), right_percent, left_percent, noise_hu: noise, smoothed, regions }
}

/// Lung voxels with more than `share` of their cube's lung voxels low (one half: a median); plane by plane, sums over slices
/// first, then along and across rows.
fn low_attenuation(volume: &Volume, lung: &Mask, [rx, ry, rz]: [usize; 3], share: f64) -> Mask {
    let [sx, sy, sz] = lung.size;
    let plane = sx * sy;
    let mut voxels = vec![0u8; lung.voxels.len()];
    voxels.par_chunks_mut(plane.max(1)).enumerate().for_each(|(z, out)| {
        let mut sums = vec![0i32; plane];
        let mut counts = vec![0i32; plane];
        for k in z.saturating_sub(rz)..=(z + rz).min(sz - 1) {
            for y in 0..sy {
                let inside = &lung.voxels[k * plane + y * sx..][..sx];
                let hu = volume.row([lung.origin[0], lung.origin[1] + y, lung.origin[2] + k], sx);
                let rows = sums[y * sx..][..sx].iter_mut().zip(&mut counts[y * sx..][..sx]);
                for (((sum, count), inside), hu) in rows.zip(inside).zip(hu) {
                    *sum += i32::from(*inside != 0 && *hu < LOW_HU);
                    *count += i32::from(*inside);
                }
            }
        }
        let mut before = Vec::with_capacity(sx + 1);
        for values in [&mut sums, &mut counts] {
            for row in values.chunks_mut(sx) {
                slide(row, rx, &mut before);
            }
            slide_lines(values, sx, ry);
        }
        let inside = &lung.voxels[z * plane..][..plane];
        for (((out, inside), sum), count) in out.iter_mut().zip(inside).zip(&sums).zip(&counts) {
            *out = u8::from(*inside != 0 && f64::from(*sum) > share * f64::from(*count));
        }
    });
    Mask { origin: lung.origin, size: lung.size, voxels }
}

/// Replaces each value by the sum of those within `radius` of it.
fn slide(values: &mut [i32], radius: usize, before: &mut Vec<i32>) {
    if radius == 0 {
        return;
    }
    before.clear();
    before.push(0);
    let mut sum = 0;
    before.extend(values.iter().map(|v| {
        sum += v;
        sum
    }));
    let n = values.len();
    for (i, value) in values.iter_mut().enumerate() {
        *value = before[(i + radius + 1).min(n)] - before[i.saturating_sub(radius)];
    }
}

/// Replaces each line of `width` values by the sum of the lines within `radius` of it.
fn slide_lines(values: &mut [i32], width: usize, radius: usize) {
    if radius == 0 {
        return;
    }
    let before = values.to_vec();
    let lines: Vec<&[i32]> = before.chunks(width.max(1)).collect();
    let mut sum = vec![0; width];
    let add = |sum: &mut [i32], line: &[i32]| sum.iter_mut().zip(line).for_each(|(s, v)| *s += v);
    lines.iter().take(radius).for_each(|line| add(&mut sum, line));
    for (i, out) in values.chunks_mut(width.max(1)).enumerate() {
        if let Some(line) = lines.get(i + radius) {
            add(&mut sum, line);
        }
        out.copy_from_slice(&sum);
        if let Some(line) = i.checked_sub(radius).and_then(|past| lines.get(past)) {
            sum.iter_mut().zip(*line).for_each(|(s, v)| *s -= v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strong_smooth_noise_is_no_sharp_kernel() {
        assert_eq!(least_edge(13.7, Some(24.0)), None, "STANDARD");
        assert_eq!(least_edge(25.0, Some(45.0)), None, "STANDARD at a quarter of the dose");
        assert_eq!(least_edge(23.9, Some(30.0)), Some(3.0), "sharpened");
        assert_eq!(least_edge(51.8, Some(50.0)), Some(4.5), "Philips L");
        assert_eq!(least_edge(23.9, None), Some(3.0), "no air to measure in");
    }
}
