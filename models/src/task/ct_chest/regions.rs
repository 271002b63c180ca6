//! From one channel of the answer to measured regions on the original grid.

use rayon::prelude::*;

use super::network::Answer;
use super::plan::{Channel, Thresholds};
use crate::cast::{ceil_index, floor_index, round_u16, single};
use crate::findings::{Lobe, LobeName, Lung, Mask, Region, Side};
use crate::grid::Grid;
use crate::postprocess::components;
use crate::postprocess::patches::ONE;
use crate::preprocess::resample::Target;
use crate::volume::Volume;

/// Regions of the channel whose best probability reaches its threshold, in order of falling confidence; empty when
/// the network has no such channel.
pub fn collect(volume: &Volume, answer: &Answer, channel: Channel) -> (Vec<Region>, Thresholds) {
    let Some((probability, thresholds)) = answer.channel(channel) else {
        return (Vec::new(), Thresholds::plain(1.0, 1.0, 0.0));
    };
    let regions = above(volume, &answer.prepared.target, probability, thresholds.mask, thresholds.confidence);
    (regions, thresholds)
}

/// Components of what is at least `floor` in the values on the network's grid, those whose best value is at least `best`.
pub fn above(volume: &Volume, target: &Target, values: &[u16], floor: f32, best: f32) -> Vec<Region> {
    let least = level(floor);
    let mask: Vec<u8> = values.par_iter().map(|p| u8::from(*p >= least)).collect();
    let found = components::label(&target.grid, &mask);
    drop(mask);
    let mut candidates = vec![Candidate::default(); found.sizes.len()];
    for (i, label) in found.labels.iter().enumerate().filter(|(_, l)| **l != 0) {
        candidates[*label as usize - 1].add(target.grid.at(i), values[i]);
    }
    let mut regions: Vec<Region> = (1..)
        .zip(candidates)
        .filter(|(_, c)| c.score >= level(best))
        .collect::<Vec<_>>()
        .into_par_iter()
        .filter_map(|(label, c)| {
            let mask = to_original(volume, target, values, &found.labels, label, &c, floor);
            measure(volume, mask, f64::from(c.score) / f64::from(ONE))
        })
        .collect();
    number(&mut regions);
    regions
}

/// Regions of at least `min_size` ml.
pub fn by_volume(volume: &Volume, answer: &Answer, channel: Channel) -> Vec<Region> {
    let (mut regions, thresholds) = collect(volume, answer, channel);
    regions.retain(|r| r.volume_ml >= thresholds.min_size);
    number(&mut regions);
    regions
}

/// Sorts by falling confidence, then volume, and numbers from 1.
pub fn number(regions: &mut [Region]) {
    regions.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(b.volume_ml.total_cmp(&a.volume_ml)));
    for (number, region) in (1..).zip(regions) {
        region.number = number;
    }
}

/// The whole number that stands for a probability.
pub fn level(probability: f32) -> u16 {
    round_u16(probability * f32::from(ONE))
}

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
}

/// Two neighbours on the network's grid and the weight of the second one.
type Tap = (usize, usize, f32);

/// Voxels whose interpolated probability reaches `threshold`, next to the component: the boundary lies between the
/// network's voxels, so that volumes do not grow or shrink by the coarser grid.
fn to_original(
    volume: &Volume,
    target: &Target,
    probability: &[u16],
    labels: &[u32],
    label: u32,
    candidate: &Candidate,
    threshold: f32,
) -> Mask {
    let geometry = &volume.geometry;
    let grid = &target.grid;
    let mut low = [0; 3];
    let mut size = [0; 3];
    let mut taps: [Vec<Tap>; 3] = Default::default();
    for (p, tap) in taps.iter_mut().enumerate() {
        let a = target.orientation.axis[p];
        let (first, last) = (target.coordinates[p][candidate.low[p]], target.coordinates[p][candidate.high[p]]);
        let step = grid.spacing_mm[p] / geometry.spacing_mm[a];
        low[a] = floor_index(first.min(last) - step);
        let high = ceil_index(first.max(last) + step).min(geometry.dims[a] - 1);
        low[a] = low[a].min(high);
        size[a] = high + 1 - low[a];
        let end = (grid.dims[p] - 1) as f64;
        *tap = (low[a]..=high)
            .map(|v| {
                let at = target.index_at(p, v as f64).clamp(0.0, end);
                let i = floor_index(at);
                (i, (i + 1).min(grid.dims[p] - 1), single(at - i as f64))
            })
            .collect();
    }
    let floor = threshold * f32::from(ONE);
    let mut voxels = vec![0u8; size.iter().product()];
    voxels.par_chunks_mut((size[0] * size[1]).max(1)).enumerate().for_each(|(s, plane)| {
        for (i, voxel) in plane.iter_mut().enumerate() {
            let at = [i % size[0], i / size[0], s];
            let [x, y, z] = [0, 1, 2].map(|p| taps[p][at[target.orientation.axis[p]]]);
            let mut near = false;
            let mut value = 0.0;
            for (k, wz) in [(z.0, 1.0 - z.2), (z.1, z.2)] {
                for (j, wy) in [(y.0, 1.0 - y.2), (y.1, y.2)] {
                    let row = grid.index([0, j, k]);
                    near |= labels[row + x.0] == label || labels[row + x.1] == label;
                    let along =
                        f32::from(probability[row + x.0]) * (1.0 - x.2) + f32::from(probability[row + x.1]) * x.2;
                    value += along * wy * wz;
                }
            }
            *voxel = u8::from(near && value >= floor);
        }
    });
    Mask { origin: low, size, voxels }
}

/// Volume, centroid, mean attenuation and key slice; `None` for an empty mask.
pub fn measure(volume: &Volume, mask: Mask, confidence: f64) -> Option<Region> {
    let geometry = &volume.geometry;
    let mut sums = [0.0f64; 3];
    let mut hu = 0i64;
    let mut by_slice = vec![0usize; mask.size[2]];
    for (start, row) in mask.rows() {
        let values = volume.row(start, row.len());
        let mut n = 0usize;
        for (x, (_, value)) in row.iter().zip(values).enumerate().filter(|(_, (m, _))| **m != 0) {
            sums[0] += (start[0] + x) as f64;
            hu += i64::from(*value);
            n += 1;
        }
        sums[1] += (n * start[1]) as f64;
        sums[2] += (n * start[2]) as f64;
        by_slice[start[2] - mask.origin[2]] += n;
    }
    let count = by_slice.iter().sum::<usize>();
    if count == 0 {
        return None;
    }
    let key = (0..by_slice.len()).rev().max_by_key(|z| by_slice[*z]).unwrap_or(0);
    Some(Region {
        number: 0,
        centre_mm: geometry.to_patient(sums.map(|s| s / count as f64)),
        volume_ml: count as f64 * geometry.voxel_ml(),
        mean_hu: hu as f64 / count as f64,
        confidence,
        key_slice: mask.origin[2] + key,
        mask,
    })
}

/// Which side of the chest: the lung that holds more of the region; for one outside both, the lung whose middle is
/// nearer along x.
pub fn side(volume: &Volume, lungs: &[Lung], region: &Region) -> Side {
    let shares: Vec<usize> = lungs.iter().map(|l| l.mask.overlap(&region.mask)).collect();
    let most = shares.iter().copied().max().unwrap_or(0);
    if let Some(i) = shares.iter().position(|s| *s == most && most > 0)
        && shares.iter().filter(|s| **s == most).count() == 1
    {
        return lungs[i].side;
    }
    let distance = |l: &&Lung| (middle_x(volume, &l.mask) - region.centre_mm[0]).abs();
    lungs.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).map_or(Side::Right, |l| l.side)
}

/// Patient x of the middle of the mask's box, mm.
pub fn middle_x(volume: &Volume, mask: &Mask) -> f64 {
    let middle = [0, 1, 2].map(|a| mask.origin[a] as f64 + (mask.size[a] as f64 - 1.0) / 2.0);
    volume.geometry.to_patient(middle)[0]
}

/// The lobe that holds most of the mask; `None` when none holds any.
pub fn lobe(lobes: &[Lobe], mask: &Mask) -> Option<LobeName> {
    let shares = lobes.iter().map(|l| (l.name, l.mask.overlap(mask)));
    shares.filter(|(_, n)| *n > 0).max_by_key(|(_, n)| *n).map(|(name, _)| name)
}

/// Pixels (column, row) of one slice of the volume.
pub fn pixels(mask: &Mask, slice: usize) -> Vec<[usize; 2]> {
    let rows = mask.rows().filter(|([_, _, z], _)| *z == slice);
    rows.flat_map(|([x, y, _], row)| row.iter().enumerate().filter(|(_, v)| **v != 0).map(move |(i, _)| [x + i, y]))
        .collect()
}

/// The grid of a mask's box.
pub fn grid_of(volume: &Volume, mask: &Mask) -> Grid {
    Grid { dims: mask.size, spacing_mm: volume.geometry.spacing_mm }
}
