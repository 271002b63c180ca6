//! Dilation, erosion and closing of masks by a ball whose radius is in millimetres.

use rayon::prelude::*;

use crate::cast::{ceil_index, floor_index, single};
use crate::grid::Grid;

/// Farther than anything; finite, so that adding to it stays exact.
const FAR: f32 = 1e12;

/// Squared distance (mm) from each voxel to the nearest voxel of `mask`: exact up to `reach_mm`, larger beyond.
pub fn distance_squared(grid: &Grid, mask: &[u8], reach_mm: f64) -> Vec<f32> {
    let [nx, ny, nz] = grid.dims;
    let plane = nx * ny;
    let steps = grid.spacing_mm.map(|s| floor_index(reach_mm / s));
    let cost = |axis: usize, k: usize| {
        let d = grid.spacing_mm[axis] * k as f64;
        single(d * d)
    };
    let mut within: Vec<f32> = mask.par_iter().map(|m| if *m != 0 { 0.0 } else { FAR }).collect();
    // Along one row, then across rows, then across slices: the minimum of parabolas, each axis on its own.
    within.par_chunks_mut(plane.max(1)).for_each(|slice| {
        let mut source = vec![0.0; plane];
        source.copy_from_slice(slice);
        for (out, row) in slice.chunks_mut(nx).zip(source.chunks(nx)) {
            for k in 1..=steps[0].min(nx.saturating_sub(1)) {
                lower(&mut out[k..], &row[..nx - k], cost(0, k));
                lower(&mut out[..nx - k], &row[k..], cost(0, k));
            }
        }
        source.copy_from_slice(slice);
        for k in 1..=steps[1].min(ny.saturating_sub(1)) {
            lower(&mut slice[k * nx..], &source[..plane - k * nx], cost(1, k));
            lower(&mut slice[..plane - k * nx], &source[k * nx..], cost(1, k));
        }
    });
    let mut distance = within.clone();
    distance.par_chunks_mut(plane.max(1)).enumerate().for_each(|(z, out)| {
        for k in 1..=steps[2] {
            if z >= k {
                lower(out, &within[(z - k) * plane..][..plane], cost(2, k));
            }
            if z + k < nz {
                lower(out, &within[(z + k) * plane..][..plane], cost(2, k));
            }
        }
    });
    distance
}

fn lower(out: &mut [f32], from: &[f32], cost: f32) {
    for (o, f) in out.iter_mut().zip(from) {
        *o = o.min(f + cost);
    }
}

/// Voxels within `radius_mm` of the mask.
pub fn dilate(grid: &Grid, mask: &[u8], radius_mm: f64) -> Vec<u8> {
    let limit = single(radius_mm * radius_mm);
    distance_squared(grid, mask, radius_mm).par_iter().map(|d| u8::from(*d <= limit)).collect()
}

/// Voxels of the mask farther than `radius_mm` from everything outside it. Beyond the grid nothing is outside.
pub fn erode(grid: &Grid, mask: &[u8], radius_mm: f64) -> Vec<u8> {
    let outside: Vec<u8> = mask.par_iter().map(|m| u8::from(*m == 0)).collect();
    let limit = single(radius_mm * radius_mm);
    distance_squared(grid, &outside, radius_mm).par_iter().map(|d| u8::from(*d > limit)).collect()
}

/// Fills every gap that a ball of `radius_mm` does not fit into; never removes a voxel.
pub fn close(grid: &Grid, mask: &[u8], radius_mm: f64) -> Vec<u8> {
    // The ball may reach over the edge of the grid, so there must be room for it.
    let pad = grid.spacing_mm.map(|s| ceil_index(radius_mm / s) + 1);
    let wide = Grid { dims: [0, 1, 2].map(|a| grid.dims[a] + 2 * pad[a]), spacing_mm: grid.spacing_mm };
    let mut padded = vec![0; wide.len()];
    for_rows(grid, &wide, pad, |inner, outer| padded[outer].copy_from_slice(&mask[inner]));
    let closed = erode(&wide, &dilate(&wide, &padded, radius_mm), radius_mm);
    let mut result = mask.to_vec();
    for_rows(grid, &wide, pad, |inner, outer| {
        for (r, c) in result[inner].iter_mut().zip(&closed[outer]) {
            *r |= c;
        }
    });
    result
}

fn for_rows(
    inner: &Grid,
    outer: &Grid,
    pad: [usize; 3],
    mut copy: impl FnMut(std::ops::Range<usize>, std::ops::Range<usize>),
) {
    for z in 0..inner.dims[2] {
        for y in 0..inner.dims[1] {
            let from = inner.index([0, y, z]);
            let to = outer.index([pad[0], y + pad[1], z + pad[2]]);
            copy(from..from + inner.dims[0], to..to + inner.dims[0]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop, prop_assert, proptest};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn distances_equal_brute_force_within_reach(
            dims in prop::array::uniform3(1usize..7),
            bits in prop::collection::vec(any::<bool>(), 216),
            reach in 0.5f64..5.0,
        ) {
            let grid = Grid { dims, spacing_mm: [0.7, 1.3, 2.0] };
            let mask: Vec<u8> = bits.iter().take(grid.len()).map(|b| u8::from(*b)).collect();
            for (i, found) in distance_squared(&grid, &mask, reach).into_iter().enumerate() {
                let p = grid.at(i);
                let want = (0..grid.len()).filter(|j| mask[*j] != 0).map(|j| {
                    let q = grid.at(j);
                    (0..3).map(|a| ((p[a] as f64 - q[a] as f64) * grid.spacing_mm[a]).powi(2)).sum::<f64>()
                }).fold(f64::INFINITY, f64::min);
                if want.sqrt() <= reach {
                    prop_assert!((f64::from(found) - want).abs() < 1e-3, "{found} {want}");
                } else {
                    prop_assert!(f64::from(found).sqrt() > reach - 1e-3, "{found} {want}");
                }
            }
        }

        #[test]
        fn closing_never_removes_and_is_idempotent(bits in prop::collection::vec(any::<bool>(), 216)) {
            let grid = Grid { dims: [6, 6, 6], spacing_mm: [1.0; 3] };
            let mask: Vec<u8> = bits.iter().map(|b| u8::from(*b)).collect();
            let once = close(&grid, &mask, 1.5);
            prop_assert!(mask.iter().zip(&once).all(|(m, c)| c >= m));
            prop_assert!(close(&grid, &once, 1.5) == once);
        }
    }

    #[test]
    fn a_gap_is_filled_only_when_the_ball_does_not_fit() {
        let grid = Grid { dims: [21, 9, 9], spacing_mm: [1.0; 3] };
        let slab = |gap: usize| -> Vec<u8> {
            (0..grid.len()).map(|i| u8::from(grid.at(i)[0].abs_diff(10) > gap / 2)).collect()
        };
        let middle = grid.index([10, 4, 4]);
        assert_eq!(close(&grid, &slab(3), 3.0)[middle], 1);
        assert_eq!(close(&grid, &slab(9), 3.0)[middle], 0);
    }
}
