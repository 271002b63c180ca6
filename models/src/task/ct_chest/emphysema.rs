//! Emphysema: LAA-950 of the lungs after a noise reduction that the noise of the scan decides.

use rayon::prelude::*;

use super::network::Answer;
use super::plan::Channel;
use super::regions;
use crate::findings::{Emphysema, Lung, Mask, Region, Side};
use crate::postprocess::patches::ONE;
use crate::volume::Volume;

/// Gevenois et al., Am J Respir Crit Care Med 152 (1995) 653-657.
const LOW_HU: i16 = -950;
/// Edges of the median's cube that are tried in turn, mm; 0 leaves the voxels as they are.
const EDGES_MM: [f64; 5] = [0.0, 2.0, 3.0, 4.5, 6.0];
/// The cube grows until the noise left of a mean over it is below this, HU: lung of -870 HU then lies more than six of it above -950.
const NOISE_LEFT_HU: f64 = 12.0;
/// Fewer voxels of air than this say nothing about noise.
const SAMPLES: usize = 50;

/// Standard deviation of the attenuation at `air` (voxels well inside trachea and main bronchi), HU. From values
/// above the median, because scanners cut values off at -1024. `None` without enough air.
pub fn noise(volume: &Volume, air: &[[usize; 3]]) -> Option<f64> {
    spread(volume, air, [0; 3])
}

/// Spread of the means of the cubes around `air`.
fn spread(volume: &Volume, air: &[[usize; 3]], radius: [usize; 3]) -> Option<f64> {
    let stride = (air.len() / 3000).max(1);
    let mut values: Vec<f64> = air.iter().step_by(stride).map(|at| cube_mean(volume, *at, radius)).collect();
    if values.len() < SAMPLES {
        return None;
    }
    values.sort_by(f64::total_cmp);
    // Of a normal distribution, 84.13 % lie below one standard deviation above the middle. A wall among the samples
    // moves this little.
    let at = |share: f64| values[(values.len() as f64 * share) as usize];
    Some(at(0.8413) - at(0.5))
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
    volume.geometry.spacing_mm.map(|s| ((edge_mm / s - 1.0) / 2.0).round().max(0.0) as usize)
}

/// The smallest cube that leaves little enough noise; none when the noise is not known.
fn enough(volume: &Volume, air: &[[usize; 3]]) -> [usize; 3] {
    let tried = EDGES_MM.map(|edge| radius(volume, edge));
    let left = |r: &[usize; 3]| spread(volume, air, *r).is_none_or(|noise| noise <= NOISE_LEFT_HU);
    tried.into_iter().find(left).unwrap_or(tried[EDGES_MM.len() - 1])
}

/// Percent of the voxels of each lung whose median over the cube around it (lung voxels only, so that walls and airways
/// do not weigh) is below -950 HU: unlike a mean, a median leaves the edges of a hole where they are. The noise-reduced counterpart of [`Lung::laa950_percent`]. Regions are given when
/// the network sees emphysema.
pub fn measure(volume: &Volume, answer: &Answer, lungs: &[Lung], air: &[[usize; 3]]) -> Emphysema {
    let radius = enough(volume, air);
    let low: Vec<(Side, Mask, usize, usize)> = lungs
        .iter()
        .map(|lung| {
            let mask = low_attenuation(volume, &lung.mask, radius);
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
    Emphysema {
        laa950_percent: percent(own, whole),
        right_percent,
        left_percent,
        noise_hu: noise(volume, air).unwrap_or(0.0),
        regions,
    }
}

/// Lung voxels whose median over the cube is low, that is, more than half of the cube's voxels; plane by plane, sums over slices first, then along and across rows.
fn low_attenuation(volume: &Volume, lung: &Mask, [rx, ry, rz]: [usize; 3]) -> Mask {
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
            *out = u8::from(*inside != 0 && 2 * *sum > *count);
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
