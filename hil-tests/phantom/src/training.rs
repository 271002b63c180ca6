//! Volumes for training: a phantom is scanned like a real study and then resampled to the network's grid as in the
//! daemon.

use rayon::prelude::*;

use super::render::Slice;
use super::surroundings;
use super::{Channel, Phantom, Truth};

/// Isotropic volume; depth (feet to head), rows, columns.
#[derive(Debug)]
pub struct Resampled {
    pub shape: [usize; 3],
    pub hu: Vec<i16>,
    /// Bits of [`super::Channel`], plus [`super::LUNG`] inside a lung.
    pub labels: Vec<u16>,
    /// Centre of voxel (0, 0, 0): x, y, z, mm, LPS.
    pub origin_mm: [f32; 3],
}

/// Margin that the daemon reads around the lungs, mm.
const AROUND_MM: f32 = 30.0;

/// Scans the lungs of a phantom with ribs, pleura and mediastinum around them, and resamples to `spacing_mm`.
pub fn volume(phantom: &mut Phantom, spacing_mm: f32) -> (Resampled, Truth) {
    let [reach_x, reach_y] = phantom.chest.cavity().map(|half| half + AROUND_MM);
    let [x, y, _] = phantom.chest.offset;
    // A larger patient's lungs fill less of the box that the daemon reads: more of skin and couch is in it.
    let [side, back] = match phantom.options.surroundings {
        Some(_) => surroundings::margins(phantom.seed),
        None => [0.0; 2],
    };
    phantom.crop([x - reach_x - side, y - reach_y], [x + reach_x + side, y + reach_y + back]);
    let (slices, truth) = phantom.render_labelled();
    (resample(phantom, &slices, spacing_mm), truth)
}

/// Trilinear, like the resampling in the daemon.
fn resample(phantom: &Phantom, slices: &[Slice], spacing_mm: f32) -> Resampled {
    let grid = &phantom.grid;
    let extent = |count: usize, step: f32| ((count.saturating_sub(1)) as f32 * step / spacing_mm) as usize + 1;
    let shape =
        [extent(grid.slices, grid.slice_mm), extent(grid.rows, grid.pixel_mm), extent(grid.columns, grid.pixel_mm)];
    let rows = taps(shape[1], spacing_mm / grid.pixel_mm, grid.rows);
    let columns = taps(shape[2], spacing_mm / grid.pixel_mm, grid.columns);
    let planes: Vec<(Vec<i16>, Vec<u16>)> = taps(shape[0], spacing_mm / grid.slice_mm, grid.slices)
        .into_par_iter()
        .map(|(k, f)| {
            let pair = [(&slices[k], 1.0 - f), (&slices[(k + 1).min(grid.slices - 1)], f)];
            let mut hu = Vec::with_capacity(shape[1] * shape[2]);
            let mut labels = Vec::with_capacity(shape[1] * shape[2]);
            for (j, g) in &rows {
                for (i, h) in &columns {
                    let corners: [(&Slice, usize, f32); 8] = std::array::from_fn(|corner| {
                        let (slice, a) = pair[corner >> 2];
                        let (row, b) = if corner & 2 == 0 { (*j, 1.0 - g) } else { ((j + 1).min(grid.rows - 1), *g) };
                        let (column, c) =
                            if corner & 1 == 0 { (*i, 1.0 - h) } else { ((i + 1).min(grid.columns - 1), *h) };
                        (slice, row * grid.columns + column, a * b * c)
                    });
                    let sum: f32 = corners.iter().map(|(s, at, weight)| f32::from(s.hu[*at]) * weight).sum();
                    hu.push(sum.round() as i16);
                    labels.push(label(corners.map(|(s, at, weight)| (s.labels[at], weight))));
                }
            }
            (hu, labels)
        })
        .collect();
    let mut out = Resampled { shape, hu: Vec::new(), labels: Vec::new(), origin_mm: grid.origin_mm };
    for (hu, labels) in planes {
        out.hu.extend(hu);
        out.labels.extend(labels);
    }
    out
}

/// The label between eight voxels. A bit is set when the voxels that have it have at least half of the weight, so that
/// volumes do not change. The bit of calcium is set when any voxel has it: plaques are thinner than a voxel of the
/// network and would vanish, and their score depends on the density within the region, not on the size of the region.
fn label(corners: [(u16, f32); 8]) -> u16 {
    let (all, any) = corners.iter().fold((u16::MAX, 0), |(all, any), (bits, _)| (all & bits, any | bits));
    if all == any {
        return all;
    }
    let kept = all | (any & Channel::CoronaryCalcification.bit());
    let mut label = kept;
    for bit in (0..16).map(|n| 1u16 << n).filter(|bit| any & !kept & bit != 0) {
        let weight: f32 = corners.iter().filter(|(bits, _)| bits & bit != 0).map(|(_, weight)| weight).sum();
        if weight >= 0.5 {
            label |= bit;
        }
    }
    label
}

/// For each output index: the source index before it and the fraction towards the next.
fn taps(count: usize, step: f32, source: usize) -> Vec<(usize, f32)> {
    (0..count)
        .map(|i| {
            let at = i as f32 * step;
            let k = (at as usize).min(source - 1);
            (k, at - k as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LUNG, Options, Wanted};

    #[test]
    fn a_bit_needs_half_of_the_weight_except_calcium_which_is_never_lost() {
        let [nodule, calcium] = [Channel::Nodule.bit(), Channel::CoronaryCalcification.bit()];
        let mut corners = [(LUNG, 0.125); 8];
        corners[0].0 |= nodule | calcium;
        assert_eq!(label(corners), LUNG | calcium);
        corners[1..4].iter_mut().for_each(|c| c.0 |= nodule);
        assert_eq!(label(corners), LUNG | nodule | calcium);
    }

    #[test]
    fn a_training_volume_holds_the_findings_at_the_volumes_of_the_truth_and_the_chest_wall_around_the_lungs() {
        let scan = Options { pixel_mm: 1.2, columns: 320, rows: 320, slices: 150, slice_mm: 2.0, ..Options::default() };
        let findings = Wanted::only(&[crate::Finding::PleuralEffusion, crate::Finding::Pneumonia]);
        let (volume, truth) = volume(&mut Phantom::new(5, &Options { findings, ..scan }), 1.5);
        let ml = |channel: Channel| {
            volume.labels.iter().filter(|l| **l & channel.bit() != 0).count() as f64 * 1.5f64.powi(3) / 1000.0
        };
        let planted: f64 = truth.pleural_effusions.iter().map(|l| l.volume_ml).sum();
        assert!((ml(Channel::PleuralEffusion) - planted).abs() < 0.08 * planted + 2.0, "{planted}");
        let [_, rows, columns] = volume.shape;
        let edge = |at: usize| at % columns < 12 || (at / columns) % rows < 12;
        let lung_at_edge = volume.labels.iter().enumerate().any(|(at, l)| l & LUNG != 0 && edge(at));
        assert!(!lung_at_edge);
    }
}
