//! Cuts a grid into overlapping patches and blends their answers, weighted toward each patch's centre.

use crate::grid::Grid;

/// First index of each patch along one axis: the first at 0, the last flush with the end, evenly spread, sharing at
/// least `overlap`.
pub fn starts(length: usize, patch: usize, overlap: usize) -> Vec<usize> {
    if length <= patch {
        return vec![0];
    }
    let stride = (patch - overlap.min(patch - 1)).max(1);
    let count = (length - patch).div_ceil(stride) + 1;
    (0..count).map(|i| i * (length - patch) / (count - 1)).collect()
}

/// Origins (x, y, z) of all patches, z slowest.
pub fn origins(grid: &Grid, patch: [usize; 3], overlap: usize) -> Vec<[usize; 3]> {
    let [xs, ys, zs] = [0, 1, 2].map(|a| starts(grid.dims[a], patch[a], overlap));
    zs.iter().flat_map(|z| ys.iter().flat_map(|y| xs.iter().map(|x| [*x, *y, *z]))).collect()
}

/// Values of the patch at `origin`, x fastest; the grid must reach that far.
pub fn cut(grid: &Grid, values: &[f32], origin: [usize; 3], patch: [usize; 3]) -> Vec<f32> {
    let mut part = Vec::with_capacity(patch.iter().product());
    for_rows(grid, origin, patch, |row, _| part.extend_from_slice(&values[row]));
    part
}

/// Is any voxel of the patch in the mask?
pub fn touches(grid: &Grid, mask: &[u8], origin: [usize; 3], patch: [usize; 3]) -> bool {
    let mut any = false;
    for_rows(grid, origin, patch, |row, _| any |= mask[row].iter().any(|m| *m != 0));
    any
}

/// Sums of weighted answers and of weights.
#[derive(Debug)]
pub struct Blend {
    sums: Vec<f32>,
    weights: Vec<f32>,
    /// Weight along x, y, z within one patch.
    taper: [Vec<f32>; 3],
}

impl Blend {
    pub fn new(grid: &Grid, patch: [usize; 3]) -> Self {
        // 1 at the edge, rising to the middle: an edge voxel still counts where no other patch covers it.
        let taper = patch.map(|n| (0..n).map(|i| (i + 1).min(n - i) as f32 / n.div_ceil(2) as f32).collect());
        Self { sums: vec![0.0; grid.len()], weights: vec![0.0; grid.len()], taper }
    }

    /// Adds the answer (x fastest) for the patch at `origin`.
    pub fn add(&mut self, grid: &Grid, origin: [usize; 3], answer: &[f32]) {
        let patch = [0, 1, 2].map(|a| self.taper[a].len());
        let (sums, weights, [tx, ty, tz]) = (&mut self.sums, &mut self.weights, &self.taper);
        let mut rows = answer.chunks(patch[0]);
        for_rows(grid, origin, patch, |row, [y, z]| {
            let across = ty[y] * tz[z];
            let Some(values) = rows.next() else { return };
            let targets = sums[row.clone()].iter_mut().zip(&mut weights[row]);
            for (((sum, weight), value), t) in targets.zip(values).zip(tx) {
                *sum += value * t * across;
                *weight += t * across;
            }
        });
    }

    /// The blended answer; 0 where no patch was added.
    pub fn finish(self) -> Vec<f32> {
        let mut values = self.sums;
        for (value, weight) in values.iter_mut().zip(self.weights) {
            *value = if weight > 0.0 { *value / weight } else { 0.0 };
        }
        values
    }
}

fn for_rows(
    grid: &Grid,
    origin: [usize; 3],
    patch: [usize; 3],
    mut visit: impl FnMut(std::ops::Range<usize>, [usize; 2]),
) {
    for z in 0..patch[2] {
        for y in 0..patch[1] {
            let first = grid.index([origin[0], origin[1] + y, origin[2] + z]);
            visit(first..first + patch[0], [y, z]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn patches_cover_everything_and_overlap_enough(length in 1usize..400, patch in 8usize..100, share in 0usize..4) {
            let overlap = patch / 8 * share;
            let starts = starts(length, patch, overlap);
            prop_assert_eq!(starts[0], 0);
            if length > patch {
                prop_assert_eq!(starts.last().copied(), Some(length - patch));
                for pair in starts.windows(2) {
                    prop_assert!(pair[0] < pair[1] && pair[1] + overlap <= pair[0] + patch, "{pair:?}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn blending_what_was_cut_gives_back_the_grid(x in 4usize..14, y in 4usize..14, z in 4usize..14) {
            let grid = Grid { dims: [x, y, z], spacing_mm: [1.0; 3] };
            let values: Vec<f32> = (0..grid.len()).map(|i| (i % 97) as f32 / 97.0).collect();
            let patch = [4, 4, 4];
            let mut blend = Blend::new(&grid, patch);
            for origin in origins(&grid, patch, 2) {
                blend.add(&grid, origin, &cut(&grid, &values, origin, patch));
            }
            let blended = blend.finish();
            prop_assert!(values.iter().zip(&blended).all(|(v, b)| (v - b).abs() < 1e-5));
        }
    }

    #[test]
    fn only_patches_with_a_voxel_of_the_mask_are_touched() {
        let grid = Grid { dims: [8, 4, 4], spacing_mm: [1.0; 3] };
        let mut mask = vec![0; grid.len()];
        mask[grid.index([5, 1, 1])] = 1;
        let touched: Vec<_> =
            origins(&grid, [4, 4, 4], 0).into_iter().map(|o| touches(&grid, &mask, o, [4, 4, 4])).collect();
        assert_eq!(touched, [false, true]);
    }
}
