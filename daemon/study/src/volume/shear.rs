//! Tilted gantry: the slices move back within their planes for the analysis, and what is found there moves back onto the
//! original slices. By whole pixels, so that no value is interpolated and every way there has a way back. Pure.
//!
//! (dcm2niix and Slicer resample tilted stacks too; they interpolate, because they have no way back to keep.)

use std::sync::Arc;

use models::findings::{ChestFinding, Evaluated, Mask};
use models::task::ct_chest::places::RIB_MM;
use models::{ChestFindings, Geometry, Reason, Volume};
use rayon::prelude::*;

use super::geometry::Tilt;
use super::rescale::PADDING_HU;

/// The slices in the upright grid of `dims`; what no slice shows is padding.
pub(super) fn upright(slices: &[Arc<[i16]>], columns: usize, dims: [usize; 3], tilt: &Tilt) -> Vec<Arc<[i16]>> {
    let place = |(slice, [right, down]): (&Arc<[i16]>, &[usize; 2])| -> Arc<[i16]> {
        let mut plane = vec![PADDING_HU; dims[0] * dims[1]];
        let rows = plane.chunks_mut(dims[0].max(1)).skip(*down);
        for (to, from) in rows.zip(slice.chunks(columns.max(1))) {
            to[*right..*right + from.len()].copy_from_slice(from);
        }
        plane.into()
    };
    slices.par_iter().zip(&tilt.shifts).map(place).collect()
}

/// The mask of the upright grid on the original slices; what lies beyond them is dropped.
pub(super) fn back(mask: &Mask, tilt: &Tilt) -> Mask {
    let [columns, rows, _] = tilt.original.dims;
    let mut found: Vec<[usize; 3]> = Vec::new();
    for ([x, y, z], row) in mask.rows() {
        let Some([right, down]) = tilt.shifts.get(z) else { continue };
        let Some(y) = y.checked_sub(*down).filter(|y| *y < rows) else { continue };
        let set = row.iter().enumerate().filter(|(_, voxel)| **voxel != 0);
        let columns = set.filter_map(|(i, _)| (x + i).checked_sub(*right).filter(|x| *x < columns));
        found.extend(columns.map(|x| [x, y, z]));
    }
    boxed(&found)
}

/// The smallest box that holds these voxels.
fn boxed(voxels: &[[usize; 3]]) -> Mask {
    let Some(first) = voxels.first() else {
        return Mask { origin: [0; 3], size: [0; 3], voxels: Vec::new() };
    };
    let (low, high) = voxels.iter().fold((*first, *first), |(low, high), v| {
        ([0, 1, 2].map(|a| low[a].min(v[a])), [0, 1, 2].map(|a| high[a].max(v[a])))
    });
    let size = [0, 1, 2].map(|a| high[a] + 1 - low[a]);
    let mut mask = Mask { origin: low, size, voxels: vec![0; size.iter().product()] };
    for v in voxels {
        let [x, y, z] = [0, 1, 2].map(|a| v[a] - low[a]);
        mask.voxels[(z * size[1] + y) * size[0] + x] = 1;
    }
    mask
}

/// The volume as it was sent: same slices, and the grid that leans.
pub(super) fn original(slices: Vec<Arc<[i16]>>, tilt: &Tilt) -> Volume {
    Volume { geometry: tilt.original.clone(), slices }
}

/// Share of the lungs' slices in which they may reach the edge of the image, or the chest wall beyond it.
const EDGE_SHARE: f64 = 0.05;

/// The upright grid is larger than the images in it. Where an image ends, the scan ends, though the grid goes on: what
/// needs the lungs or the chest wall whole is not called absent then. `findings` lie in the upright grid.
pub fn judge_edges(findings: &mut ChestFindings, tilt: &Tilt) {
    let Evaluated::Done(lungs) = &findings.lungs else { return };
    let masks: Vec<Mask> = lungs.iter().map(|lung| back(&lung.mask, tilt)).collect();
    let [lungs_cut, wall_cut] = [0.0, RIB_MM].map(|room_mm| reach_edge(&masks, &tilt.original, room_mm) > EDGE_SHARE);
    if lungs_cut {
        for finding in ChestFinding::ALL {
            if findings.refusal(finding).is_none() {
                findings.seen_in_part(finding, Reason::LungsAtEdge);
            }
        }
        findings.lungs_cut(&Reason::LungsAtEdge);
    } else if wall_cut && findings.refusal(ChestFinding::RibFracture).is_none() {
        findings.seen_in_part(ChestFinding::RibFracture, Reason::ChestWallCut);
    }
}

/// Share of the slices with lung in which it comes as close to the edge of the image.
fn reach_edge(masks: &[Mask], geometry: &Geometry, room_mm: f64) -> f64 {
    /// First and last column, first and last row.
    type Bounds = [[usize; 2]; 2];
    let mut seen: Vec<Option<Bounds>> = vec![None; geometry.dims[2]];
    for ([x, y, z], row) in masks.iter().flat_map(Mask::rows) {
        let ends = (row.iter().position(|v| *v != 0), row.iter().rposition(|v| *v != 0));
        let ((Some(first), Some(last)), Some(bounds)) = (ends, seen.get_mut(z)) else { continue };
        let [columns, rows] = bounds.get_or_insert([[x + first, x + last], [y, y]]);
        *columns = [columns[0].min(x + first), columns[1].max(x + last)];
        *rows = [rows[0].min(y), rows[1].max(y)];
    }
    let beyond = |bounds: &Bounds, a: usize| {
        let room = (room_mm / geometry.spacing_mm[a]).max(1.0);
        (bounds[a][0] as f64) < room || bounds[a][1] as f64 + room > geometry.dims[a] as f64 - 1.0
    };
    let with_lung = seen.iter().flatten().count();
    let close = seen.iter().flatten().filter(|bounds| beyond(bounds, 0) || beyond(bounds, 1)).count();
    close as f64 / with_lung.max(1) as f64
}

#[cfg(test)]
#[path = "shear_tests.rs"]
mod tests;
