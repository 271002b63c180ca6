//! Volumes for training: a phantom scanned like a real study, then resampled to the network's grid as the engine does.

use rayon::prelude::*;

use super::render::Slice;
use super::{Phantom, Truth};

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

/// Scans the lungs of a phantom and resamples them trilinearly to `spacing_mm`.
pub fn volume(phantom: &mut Phantom, spacing_mm: f32) -> (Resampled, Truth) {
    let reach = 158.0 * phantom.chest.scale;
    let [x, y, _] = phantom.chest.offset;
    phantom.crop([x - reach, y - 0.76 * reach], [x + reach, y + 0.76 * reach]);
    let (slices, truth) = phantom.render_labelled();
    (resample(phantom, &slices, spacing_mm), truth)
}

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
            let (a, b) = (&slices[k], &slices[(k + 1).min(grid.slices - 1)]);
            let near = if f < 0.5 { a } else { b };
            let mut hu = Vec::with_capacity(shape[1] * shape[2]);
            let mut labels = Vec::with_capacity(shape[1] * shape[2]);
            for (j, g) in &rows {
                for (i, h) in &columns {
                    let at = |s: &Slice, dj: usize, di: usize| {
                        let (row, column) = ((j + dj).min(grid.rows - 1), (i + di).min(grid.columns - 1));
                        f32::from(s.hu[row * grid.columns + column])
                    };
                    let plane = |s: &Slice| {
                        let top = at(s, 0, 0) * (1.0 - h) + at(s, 0, 1) * h;
                        let bottom = at(s, 1, 0) * (1.0 - h) + at(s, 1, 1) * h;
                        top * (1.0 - g) + bottom * g
                    };
                    hu.push((plane(a) * (1.0 - f) + plane(b) * f).round() as i16);
                    let row = (j + usize::from(*g >= 0.5)).min(grid.rows - 1);
                    let column = (i + usize::from(*h >= 0.5)).min(grid.columns - 1);
                    labels.push(near.labels[row * grid.columns + column]);
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
