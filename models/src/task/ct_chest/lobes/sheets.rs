//! Bright sheets in a lung: fissures, and little else once what is small is left out.
//!
//! Across a sheet the second derivative of the smoothed image is strongly negative, along it it is weak: eigenvalues of the
//! Hessian, as Wiemker et al. (International Congress Series 1281, 2005) and van Rikxoort et al. (IEEE Transactions on
//! Medical Imaging 27(1), 2008) use them for fissures. Neighbours whose normals agree make one plate. The sheaths of
//! vessels and noise pass the first test; they make small plates or long thin ones.

use rayon::prelude::*;

use super::together;
use crate::cast::{ceil_index, round_index, single};
use crate::grid::Grid;
use crate::postprocess::shape::{Moments, eigenvalues};

/// A fissure is far thinner than a voxel, so this is how wide its image is made, mm.
const SMOOTH_MM: f64 = 1.2;
/// Brighter than this is vessel or opacity, HU.
const VESSEL_HU: f32 = -500.0;
/// A sheet bends the image at least this much, HU: the second difference over `SMOOTH_MM`.
const BENT_HU: f32 = 8.0;
/// A sheet with less than this on its sides, HU, so far away (mm), is a wall between holes of emphysema.
const HOLE_HU: f32 = -925.0;
const BESIDE_MM: f64 = 3.75;
/// Cosine between normals of neighbours on one plate.
const AGREE: f32 = 0.9;
/// Plates of fewer voxels count nothing; from `FULL` more on they count in full.
const LEAST: usize = 60;
const FULL: f32 = 400.0;
/// A plate is at least this wide: second axis of the ellipsoid that it would be, mm (a standard deviation of 2.5 mm).
const WIDE_MM: f64 = 11.1804;

/// A voxel of a plate.
#[derive(Debug, Clone, Copy)]
pub struct Bit {
    /// On the grid.
    pub index: usize,
    /// How much the sheet stands out, HU, less on small plates.
    pub strength: f32,
    /// Unit vector across the sheet, in patient order; its sign means nothing.
    pub normal: [f32; 3],
}

/// The plates in `mask`. `hu` and `mask` lie on `grid`, which has cubic voxels.
pub fn find(grid: &Grid, hu: &[f32], mask: &[u8]) -> Vec<Bit> {
    let smooth = smoothed(grid, hu);
    let bits = bent(grid, hu, &smooth, mask);
    plates(grid, bits)
}

/// A Gaussian along each axis; the ends go on for ever.
fn smoothed(grid: &Grid, hu: &[f32]) -> Vec<f32> {
    let sigma = SMOOTH_MM / grid.spacing_mm[0];
    let reach = ceil_index(3.0 * sigma);
    let mut kernel: Vec<f32> =
        (0..=2 * reach).map(|i| single((-0.5 * ((i as f64 - reach as f64) / sigma).powi(2)).exp())).collect();
    let sum: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|k| *k /= sum);
    let [nx, ny, nz] = grid.dims;
    let clamp = |i: usize, k: usize, n: usize| (i + k).saturating_sub(reach).min(n - 1);
    let plane = (nx * ny).max(1);
    let mut along_x = vec![0.0f32; hu.len()];
    along_x.par_chunks_mut(nx.max(1)).zip(hu.par_chunks(nx.max(1))).for_each(|(out, row)| {
        for (x, out) in out.iter_mut().enumerate() {
            *out = kernel.iter().enumerate().map(|(k, w)| w * row[clamp(x, k, nx)]).sum();
        }
    });
    let mut along_y = vec![0.0f32; hu.len()];
    along_y.par_chunks_mut(plane).zip(along_x.par_chunks(plane)).for_each(|(out, page)| {
        for (y, out) in out.chunks_mut(nx).enumerate() {
            for (k, w) in kernel.iter().enumerate() {
                let row = &page[clamp(y, k, ny) * nx..][..nx];
                out.iter_mut().zip(row).for_each(|(out, v)| *out += w * v);
            }
        }
    });
    let mut along_z = along_x;
    along_z.par_chunks_mut(plane).enumerate().for_each(|(z, out)| {
        out.fill(0.0);
        for (k, w) in kernel.iter().enumerate() {
            let page = &along_y[clamp(z, k, nz) * plane..][..plane];
            out.iter_mut().zip(page).for_each(|(out, v)| *out += w * v);
        }
    });
    along_z
}

/// Voxels where the image bends across one direction only, in order.
fn bent(grid: &Grid, hu: &[f32], smooth: &[f32], mask: &[u8]) -> Vec<Bit> {
    let [nx, ny, nz] = grid.dims;
    let plane = nx * ny;
    let scale = single((SMOOTH_MM / grid.spacing_mm[0]).powi(2));
    let inner = |z: usize| -> Vec<Bit> {
        let mut found = Vec::new();
        for y in 1..ny.saturating_sub(1) {
            for x in 1..nx.saturating_sub(1) {
                let index = (z * ny + y) * nx + x;
                if mask[index] == 0 || hu[index] >= VESSEL_HU {
                    continue;
                }
                let hessian = hessian(smooth, index, nx, plane).map(|h| h * scale);
                if let Some((strength, normal)) = sheet(hessian)
                    && beside(grid, smooth, [x, y, z], normal) >= HOLE_HU
                {
                    found.push(Bit { index, strength, normal });
                }
            }
        }
        found
    };
    (1..nz.saturating_sub(1)).into_par_iter().map(inner).collect::<Vec<_>>().concat()
}

/// Mean of what lies on both sides of a sheet, HU.
fn beside(grid: &Grid, smooth: &[f32], at: [usize; 3], normal: [f32; 3]) -> f32 {
    let side = |sign: f64| {
        let place = |a: usize| {
            let away = sign * f64::from(normal[a]) * BESIDE_MM / grid.spacing_mm[a];
            round_index(at[a] as f64 + away).min(grid.dims[a] - 1)
        };
        smooth[grid.index([place(0), place(1), place(2)])]
    };
    0.5 * (side(1.0) + side(-1.0))
}

/// xx, yy, zz, xy, xz, yz.
fn hessian(v: &[f32], i: usize, nx: usize, plane: usize) -> [f32; 6] {
    let second = |step: usize| v[i - step] - 2.0 * v[i] + v[i + step];
    let mixed = |a: usize, b: usize| 0.25 * (v[i + a + b] - v[i + a - b] - v[i + b - a] + v[i - a - b]);
    [second(1), second(nx), second(plane), mixed(nx, 1), mixed(plane, 1), mixed(plane, nx)]
}

/// How much a sheet stands out and the vector across it; `None` where there is none.
fn sheet([xx, yy, zz, xy, xz, yz]: [f32; 6]) -> Option<(f32, [f32; 3])> {
    // Without a negative trace no eigenvalue outweighs the others downwards.
    if xx + yy + zz > -BENT_HU {
        return None;
    }
    let [most, middle, least] =
        eigenvalues(&[[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]].map(|row| row.map(f64::from))).map(single);
    let strength = -least - middle.abs().max(most.abs());
    if strength < BENT_HU {
        return None;
    }
    // The rows of A - l1 are perpendicular to the eigenvector; the largest cross product is the least disturbed by rounding.
    let rows = [[xx - least, xy, xz], [xy, yy - least, yz], [xz, yz, zz - least]];
    let cross =
        |a: [f32; 3], b: [f32; 3]| [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    let length = |a: &[f32; 3]| a.iter().map(|c| c * c).sum::<f32>();
    let candidates = [cross(rows[0], rows[1]), cross(rows[0], rows[2]), cross(rows[1], rows[2])];
    let best = candidates.into_iter().max_by(|a, b| length(a).total_cmp(&length(b)))?;
    let norm = length(&best).sqrt();
    (norm > 0.0).then(|| (strength, best.map(|c| c / norm)))
}

/// Voxels of plates that are large and wide enough, weaker on small ones.
fn plates(grid: &Grid, bits: Vec<Bit>) -> Vec<Bit> {
    const NONE: u32 = u32::MAX;
    let mut at = vec![NONE; grid.len()];
    for (i, bit) in (0u32..).zip(&bits) {
        at[bit.index] = i;
    }
    let [nx, ny, _] = grid.dims;
    let steps: Vec<isize> = neighbours(nx, ny);
    let mut taken = vec![false; bits.len()];
    let mut kept = Vec::new();
    for first in 0..bits.len() {
        if taken[first] {
            continue;
        }
        let plate = together(first, &mut taken, |own, near| {
            // Bits lie inside the outermost layer, so a neighbour is on the grid.
            let beside = steps.iter().filter_map(|step| bits[own].index.checked_add_signed(*step));
            let others = beside.map(|i| at[i]).filter(|i| *i != NONE).map(|i| i as usize);
            near.extend(others.filter(|other| agree(bits[own].normal, bits[*other].normal)));
        });
        if plate.len() >= LEAST && wide(grid, &plate, &bits) {
            let share = ((plate.len() - LEAST) as f32 / FULL).min(1.0);
            kept.extend(plate.into_iter().map(|i| Bit { strength: bits[i].strength * share, ..bits[i] }));
        }
    }
    kept
}

fn agree(a: [f32; 3], b: [f32; 3]) -> bool {
    (a[0] * b[0] + a[1] * b[1] + a[2] * b[2]).abs() > AGREE
}

/// Steps to the 18 voxels that share a face or an edge.
fn neighbours(nx: usize, ny: usize) -> Vec<isize> {
    let (row, plane) = (nx.cast_signed(), (nx * ny).cast_signed());
    let mut steps = Vec::new();
    for z in [-1, 0, 1isize] {
        for y in [-1, 0, 1isize] {
            for x in [-1, 0, 1isize] {
                if (1..=2).contains(&(x.abs() + y.abs() + z.abs())) {
                    steps.push(z * plane + y * row + x);
                }
            }
        }
    }
    steps
}

fn wide(grid: &Grid, plate: &[usize], bits: &[Bit]) -> bool {
    let mut moments = Moments::default();
    for bit in plate {
        let at = grid.at(bits[*bit].index);
        moments.add([0, 1, 2].map(|a| at[a] as f64 * grid.spacing_mm[a]));
    }
    moments.axes_mm([0.0; 3])[1] >= WIDE_MM
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert, proptest};

    use super::*;

    /// 60 mm of lung with `paint` in it, on 1.25 mm.
    fn lung(paint: impl Fn([f64; 3]) -> f32) -> (Grid, Vec<f32>, Vec<u8>) {
        let grid = Grid { dims: [48; 3], spacing_mm: [1.25; 3] };
        let hu = (0..grid.len()).map(|i| paint(grid.at(i).map(|v| v as f64 * 1.25 - 30.0))).collect();
        let mask = vec![1; grid.len()];
        (grid, hu, mask)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_thin_sheet_is_found_in_every_direction_and_a_vessel_is_not(x in -1.0f64..1.0, y in -1.0f64..1.0) {
            let n = { let l = (x * x + y * y + 1.0).sqrt(); [x / l, y / l, 1.0 / l] };
            let across = |p: [f64; 3]| p[0] * n[0] + p[1] * n[1] + p[2] * n[2];
            let (grid, hu, mask) = lung(|p| single(-860.0 + 80.0 * (1.0 - across(p).abs() / 1.25).max(0.0)));
            let bits = find(&grid, &hu, &mask);
            prop_assert!(bits.len() > 1000, "{}", bits.len());
            for bit in &bits {
                let p = grid.at(bit.index).map(|v| v as f64 * 1.25 - 30.0);
                prop_assert!(across(p).abs() < 2.0);
                let agree: f64 = (0..3).map(|a| f64::from(bit.normal[a]) * n[a]).sum();
                prop_assert!(agree.abs() > 0.9, "{agree}");
            }
            let from_axis = |p: [f64; 3]| {
                let along = across(p);
                (0..3).map(|a| (p[a] - along * n[a]).powi(2)).sum::<f64>().sqrt()
            };
            let (grid, hu, mask) = lung(|p| if from_axis(p) < 2.0 { 0.0 } else { -860.0 });
            prop_assert!(find(&grid, &hu, &mask).is_empty());
        }
    }
}
