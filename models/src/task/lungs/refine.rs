//! From the working grid to the original one: the inside of a lung as it is, its surface by threshold.

use rayon::prelude::*;

use super::AIR_HU;
use crate::findings::{Mask, Side};
use crate::grid::{self, Coarse, Grid};
use crate::volume::Volume;

/// What the voxels below one working voxel are.
const OUT: u8 = 0;
const IN: u8 = 1;
/// Lung where they are air.
const SURFACE: u8 = 2;

/// `labels` says which air belongs to which lung; `closed` are the lungs with vessels and nodules filled in.
pub(super) fn to_original(
    volume: &Volume,
    coarse: &Coarse,
    labels: &[u8],
    closed: &[(Side, Vec<u8>)],
) -> Vec<(Side, Mask)> {
    closed
        .iter()
        .map(|(side, mask)| {
            let own = if *side == Side::Right { super::sides::RIGHT } else { super::sides::LEFT };
            let classes = classify(&coarse.grid, labels, own, mask);
            (*side, sample(volume, coarse, &classes))
        })
        .collect()
}

fn classify(grid: &Grid, labels: &[u8], own: u8, closed: &[u8]) -> Vec<u8> {
    (0..grid.len())
        .into_par_iter()
        .map(|i| {
            let air = labels[i] == own;
            if closed[i] != 0 {
                // Filled-in vessels and nodules stay whole; air at the surface is decided voxel by voxel.
                if !air || grid.neighbours(i).all(|n| closed[n] != 0) { IN } else { SURFACE }
            } else if labels[i] == 0 && grid.neighbours(i).any(|n| labels[n] == own && closed[n] != 0) {
                SURFACE
            } else {
                OUT
            }
        })
        .collect()
}

fn sample(volume: &Volume, coarse: &Coarse, classes: &[u8]) -> Mask {
    let f = coarse.factors;
    let Some((first, last)) = grid::bounds(&coarse.grid, classes, 0) else {
        return Mask { origin: [0; 3], size: [0; 3], voxels: Vec::new() };
    };
    // An axis may run backwards, so either corner may come first.
    let (a, b) = (coarse.block(first), coarse.block(last));
    let low = [0, 1, 2].map(|i| a[i].min(b[i]));
    let high = [0, 1, 2].map(|i| (a[i].max(b[i]) + f[i]).min(volume.geometry.dims[i]));
    let size = [0, 1, 2].map(|i| high[i] - low[i]);
    let columns = volume.geometry.dims[0];
    let mut voxels = vec![0u8; size.iter().product()];
    voxels.par_chunks_mut(size[0] * size[1]).enumerate().for_each(|(z, plane)| {
        let slice = &volume.slices[low[2] + z];
        for (y, row) in plane.chunks_mut(size[0]).enumerate() {
            let hu = &slice[(low[1] + y) * columns + low[0]..][..size[0]];
            // `low` is a multiple of the factors, so blocks begin where chunks begin.
            for (x, (out, hu)) in row.chunks_mut(f[0]).zip(hu.chunks(f[0])).enumerate() {
                let at = coarse.working([low[0] + x * f[0], low[1] + y, low[2] + z]);
                match classes[coarse.grid.index(at)] {
                    IN => out.fill(1),
                    SURFACE => out.iter_mut().zip(hu).for_each(|(o, hu)| *o = u8::from(*hu < AIR_HU)),
                    _ => {}
                }
            }
        }
    });
    Mask { origin: low, size, voxels }
}
