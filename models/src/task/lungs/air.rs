//! Air inside the body, without the air of the room, in the table and below the arms.

use rayon::prelude::*;

use super::AIR_HU;
use crate::grid::{Coarse, Grid};
use crate::postprocess::components;

/// 1 for each voxel of air that the body encloses within its axial slice.
///
/// Slice by slice, because in three dimensions the room reaches the lungs through mouth and trachea.
pub(super) fn inside_body(coarse: &Coarse, body: &Body) -> Vec<u8> {
    let grid = &coarse.grid;
    let mut air: Vec<u8> = coarse.hu.par_iter().map(|hu| u8::from(*hu < AIR_HU)).collect();
    let [nx, ny, _] = grid.dims;
    air.par_chunks_mut((nx * ny).max(1)).for_each(|slice| clear_from_border(slice, nx, ny));
    keep_within(grid, &mut air, &body.boxes);
    air
}

/// Sets to 0 what reaches the border of the slice through voxels that are not 0.
fn clear_from_border(slice: &mut [u8], nx: usize, ny: usize) {
    let mut open: Vec<usize> = Vec::new();
    let border = (0..nx).flat_map(|x| [x, (ny - 1) * nx + x]).chain((0..ny).flat_map(|y| [y * nx, y * nx + nx - 1]));
    for i in border {
        if slice[i] != 0 {
            slice[i] = 0;
            open.push(i);
        }
    }
    while let Some(i) = open.pop() {
        let (x, y) = (i % nx, i / nx);
        let near = [
            (x > 0).then(|| i - 1),
            (x + 1 < nx).then(|| i + 1),
            (y > 0).then(|| i - nx),
            (y + 1 < ny).then(|| i + nx),
        ];
        for n in near.into_iter().flatten() {
            if slice[n] != 0 {
                slice[n] = 0;
                open.push(n);
            }
        }
    }
}

/// Columns and rows (first, last) of the body in each slice; `None` where there is none.
type Boxes = Vec<Option<[[usize; 2]; 2]>>;

/// Where the body lies: the largest piece of soft tissue that is thicker than a table top.
#[derive(Debug)]
pub(super) struct Body {
    boxes: Boxes,
    /// Mean over the slices of the middle of the body along x, voxels.
    pub middle_x: f64,
}

impl Body {
    pub fn find(coarse: &Coarse) -> Self {
        let core = core(coarse);
        let [nx, ny, nz] = core.grid.dims;
        let pieces = components::label(&core.grid, &core.mask);
        let body = pieces.by_size().first().copied().unwrap_or(u32::MAX);
        let boxes: Boxes = pieces.labels.par_chunks((nx * ny).max(1)).map(|slice| bounds(slice, nx, body)).collect();
        let centres: Vec<f64> = boxes.iter().flatten().map(|b| (b[0][0] + b[0][1]) as f64 / 2.0).collect();
        let middle_x = if centres.is_empty() {
            coarse.grid.dims[0] as f64 / 2.0
        } else {
            centres.iter().sum::<f64>() / centres.len() as f64
        };
        Self { boxes: if boxes.is_empty() { vec![None; nz] } else { boxes }, middle_x }
    }
}

/// Tissue on every second column and row of the working grid.
struct Core {
    grid: Grid,
    mask: Vec<u8>,
}

/// A voxel is core when its eight in-plane neighbours are tissue too: 6 mm at least. Table tops and blankets are
/// thinner.
fn core(coarse: &Coarse) -> Core {
    /// Between fat (-100) and lung, HU.
    const TISSUE_HU: i16 = -250;
    let [nx, ny, nz] = coarse.grid.dims;
    let plane = nx * ny;
    let [sx, sy, sz] = coarse.grid.spacing_mm;
    let grid = Grid { dims: [nx / 2, ny / 2, nz], spacing_mm: [sx * 2.0, sy * 2.0, sz] };
    let mut mask = vec![0u8; grid.len()];
    mask.par_chunks_mut((grid.dims[0] * grid.dims[1]).max(1)).enumerate().for_each(|(z, out)| {
        let hu = &coarse.hu[z * plane..][..plane];
        for (i, core) in out.iter_mut().enumerate() {
            let (x, y) = (i % grid.dims[0] * 2, i / grid.dims[0] * 2);
            if x == 0 || y == 0 || x + 1 >= nx || y + 1 >= ny {
                continue;
            }
            let tissue = |r: usize| hu[r * nx + x - 1..=r * nx + x + 1].iter().all(|v| *v > TISSUE_HU);
            *core = u8::from((y - 1..=y + 1).all(tissue));
        }
    });
    Core { grid, mask }
}

/// The box of `body` in one slice of the core, in voxels of the working grid.
fn bounds(slice: &[u32], nx: usize, body: u32) -> Option<[[usize; 2]; 2]> {
    let mut found: Option<[[usize; 2]; 2]> = None;
    for (i, _) in slice.iter().enumerate().filter(|(_, l)| **l == body) {
        let at = [i % nx * 2, i / nx * 2];
        let bounds = found.get_or_insert([[at[0], at[0]], [at[1], at[1]]]);
        for (b, at) in bounds.iter_mut().zip(at) {
            *b = [b[0].min(at), b[1].max(at)];
        }
    }
    found
}

/// Removes air outside the body's box: the inside of a mattress lies behind the back.
fn keep_within(grid: &Grid, air: &mut [u8], boxes: &Boxes) {
    let [nx, ny, _] = grid.dims;
    air.par_chunks_mut((nx * ny).max(1)).zip(boxes).for_each(|(slice, bounds)| {
        for (i, a) in slice.iter_mut().enumerate() {
            let within = |axis: usize, at: usize| bounds.is_some_and(|b| (b[axis][0]..=b[axis][1]).contains(&at));
            if !within(0, i % nx) || !within(1, i / nx) {
                *a = 0;
            }
        }
    });
}

/// 1 for lung that was taken for room air because it reaches the edge of the image: within the body's box, of lung's
/// attenuation together with its neighbours (skin and blankets are lung-like for one blurred voxel only).
pub(super) fn lost_at_edge(coarse: &Coarse, body: &Body, air: &[u8]) -> Vec<u8> {
    let [nx, ny, _] = coarse.grid.dims;
    let plane = nx * ny;
    let lung_like = |hu: i16| (-900..-600).contains(&hu);
    let mut found = vec![0u8; air.len()];
    found
        .par_chunks_mut(plane.max(1))
        .zip(air.par_chunks(plane.max(1)))
        .zip(coarse.hu.par_chunks(plane.max(1)))
        .zip(&body.boxes)
        .for_each(|(((found, air), hu), bounds)| {
            let Some([xs, ys]) = *bounds else { return };
            for y in ys[0].max(1)..(ys[1] + 1).min(ny - 1) {
                for x in xs[0].max(1)..(xs[1] + 1).min(nx - 1) {
                    let i = y * nx + x;
                    let lost = air[i] == 0 && [i, i - 1, i + 1, i - nx, i + nx].iter().all(|n| lung_like(hu[*n]));
                    found[i] = u8::from(lost);
                }
            }
        });
    found
}

/// Takes back those halves of a slice in which more lung was found: where lung reaches the edge, all of it that hangs together in the slice
/// is taken for room air, so that little is left. Beside whole lung there are pads, blankets, and what lies between arm and trunk.
/// `found`: a part of the grid, what was found in it, and where it begins.
pub(super) fn forget_beside_lung(grid: &Grid, lost: &mut [u8], found: (&Grid, &[u8], [usize; 3]), middle_x: f64) {
    let [nx, ny, nz] = grid.dims;
    let half = |x: usize| usize::from(x as f64 > middle_x);
    let (part, labels, low) = found;
    let mut lung = vec![[0usize; 2]; nz];
    for (i, _) in labels.iter().enumerate().filter(|(_, label)| **label != 0) {
        let [x, _, z] = part.at(i);
        if let Some(halves) = lung.get_mut(z + low[2]) {
            halves[half(x + low[0])] += 1;
        }
    }
    for (slice, lung) in lost.chunks_mut((nx * ny).max(1)).zip(&lung) {
        let mut count = [0usize; 2];
        for (i, _) in slice.iter().enumerate().filter(|(_, lost)| **lost != 0) {
            count[half(i % nx)] += 1;
        }
        for (i, lost) in slice.iter_mut().enumerate() {
            let half = half(i % nx);
            if lung[half] > count[half] {
                *lost = 0;
            }
        }
    }
}

/// Adds every hole: what does not reach the border of the grid except through the mask.
pub(super) fn fill_holes(grid: &Grid, mask: &[u8]) -> Vec<u8> {
    let outside: Vec<u8> = mask.iter().map(|m| u8::from(*m == 0)).collect();
    let pieces = components::label(grid, &outside);
    let mut open = vec![false; pieces.sizes.len() + 1];
    for (i, l) in pieces.labels.iter().enumerate() {
        let at = grid.at(i);
        if (0..3).any(|a| at[a] == 0 || at[a] + 1 == grid.dims[a]) {
            open[*l as usize] = true;
        }
    }
    mask.iter().zip(&pieces.labels).map(|(m, l)| u8::from(*m != 0 || !open[*l as usize])).collect()
}
