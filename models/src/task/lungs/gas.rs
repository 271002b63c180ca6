//! Gas of stomach and bowel: air below the lungs that is walled by tissue. It touches the lung where the diaphragm is thinner
//! than a slice.

use crate::grid::{Coarse, Grid};
use crate::postprocess::components;

/// Gas is looked for below each of these, HU. A sharp scan shows it at -1000, noise and scatter lift parts of it to -900;
/// a high threshold alone would join it to the lung.
const BELOW_HU: [i16; 6] = [-970, -955, -940, -925, -910, -895];
/// Smaller pockets do no harm, ml.
const LEAST_ML: f64 = 3.0;
/// Share of a pocket's wall that is tissue. A bulla or an emphysematous lobe is walled by lung.
const WALLED: f64 = 0.55;
/// The middle of a pocket lies in this part of the lungs' height from below, or lower. Higher up it is a pneumothorax, a
/// bulla, or an airway.
const LOW_SHARE: f64 = 0.45;
/// Blurred edge of a pocket that is no lung, voxels.
const EDGE: usize = 2;

/// 1 for each voxel of gas of stomach and bowel, with its blurred edge. `air`: lung and gas, without airways.
pub(super) fn find(coarse: &Coarse, air: &[u8]) -> Vec<u8> {
    let grid = &coarse.grid;
    let mut pockets: Vec<Vec<usize>> = Vec::new();
    let mut taken = vec![0u8; air.len()];
    for limit in BELOW_HU {
        for pocket in walled(coarse, air, &taken, limit) {
            pocket.iter().for_each(|i| taken[*i] = 1);
            pockets.push(pocket);
        }
    }
    let Some([low, high]) = height_of_lungs(grid, air, &taken) else { return vec![0; air.len()] };
    let top = low + LOW_SHARE * (high - low);
    let mut gas = vec![0u8; air.len()];
    for pocket in pockets {
        let middle = pocket.iter().map(|i| grid.at(*i)[2] as f64).sum::<f64>() / pocket.len() as f64;
        if middle <= top {
            pocket.iter().for_each(|i| gas[*i] = 1);
        }
    }
    for _ in 0..EDGE {
        let edge: Vec<usize> = (0..gas.len())
            .filter(|i| gas[*i] == 0 && air[*i] != 0 && grid.neighbours(*i).any(|n| gas[n] != 0))
            .collect();
        edge.into_iter().for_each(|i| gas[i] = 1);
    }
    gas
}

/// Pockets below `limit_hu` that are walled by tissue.
fn walled(coarse: &Coarse, air: &[u8], taken: &[u8], limit_hu: i16) -> Vec<Vec<usize>> {
    let grid = &coarse.grid;
    let dark: Vec<u8> =
        (0..air.len()).map(|i| u8::from(air[i] != 0 && taken[i] == 0 && coarse.hu[i] < limit_hu)).collect();
    let found = components::label(grid, &dark);
    let mut voxels: Vec<Vec<usize>> = vec![Vec::new(); found.sizes.len()];
    for (i, label) in found.labels.iter().enumerate().filter(|(_, l)| **l != 0) {
        if found.size(*label) as f64 * grid.voxel_ml() >= LEAST_ML {
            voxels[*label as usize - 1].push(i);
        }
    }
    let mut seen = vec![0u32; air.len()];
    let mut pockets = Vec::new();
    for (stamp, pocket) in (1..).zip(voxels).filter(|(_, pocket)| !pocket.is_empty()) {
        pocket.iter().for_each(|i| seen[*i] = stamp);
        // The first ring is blurred between gas and wall; the second one shows what the wall is.
        let blurred = ring(grid, &pocket, &mut seen, stamp);
        let wall = ring(grid, &blurred, &mut seen, stamp);
        let tissue = wall.iter().filter(|i| coarse.hu[**i] > super::AIR_HU).count();
        if tissue as f64 > WALLED * wall.len() as f64 {
            pockets.push(pocket);
        }
    }
    pockets
}

/// Neighbours of `of` without the stamp; they get it.
fn ring(grid: &Grid, of: &[usize], seen: &mut [u32], stamp: u32) -> Vec<usize> {
    let mut ring = Vec::new();
    for n in of.iter().flat_map(|i| grid.neighbours(*i)) {
        if seen[n] != stamp {
            seen[n] = stamp;
            ring.push(n);
        }
    }
    ring
}

/// Lowest and highest slice of the largest piece of air that is no pocket.
fn height_of_lungs(grid: &Grid, air: &[u8], taken: &[u8]) -> Option<[f64; 2]> {
    let rest: Vec<u8> = air.iter().zip(taken).map(|(a, t)| u8::from(*a != 0 && *t == 0)).collect();
    let found = components::label(grid, &rest);
    let largest = *found.by_size().first()?;
    let slices = found.labels.iter().enumerate().filter(|(_, l)| **l == largest).map(|(i, _)| grid.at(i)[2]);
    let (low, high) = slices.fold((usize::MAX, 0), |(low, high), z| (low.min(z), high.max(z)));
    Some([low as f64, high as f64])
}
