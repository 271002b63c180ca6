//! Cuts a grid into overlapping patches and blends their answers, weighted toward each patch's centre.

use rayon::prelude::*;

use crate::cast::round_u16;
use crate::grid::Grid;
use crate::preprocess::window;

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

/// Appends the HU of the patch at `origin`, x fastest, clipped to `window` and scaled to 0..1.
pub fn cut(grid: &Grid, hu: &[i16], window: [f32; 2], origin: [usize; 3], patch: [usize; 3], part: &mut Vec<f32>) {
    for_rows(grid, origin, patch, |row, _| {
        part.extend(hu[row].iter().map(|v| window::scaled(f32::from(*v), window)));
    });
}

/// Is any voxel of the patch in the mask?
pub fn touches(grid: &Grid, mask: &[u8], origin: [usize; 3], patch: [usize; 3]) -> bool {
    let mut any = false;
    for_rows(grid, origin, patch, |row, _| any |= mask[row].iter().any(|m| *m != 0));
    any
}

/// Along x, y, z: the weight of each voxel of a patch, and the sum of all patches' weights at each point of the grid.
pub fn weights(grid: &Grid, patch: [usize; 3], overlap: usize) -> [(Vec<f32>, Vec<f32>); 3] {
    [0, 1, 2].map(|a| {
        let n = patch[a];
        // 1 at the edge, rising to the middle: an edge voxel still counts where no other patch covers it.
        let taper: Vec<f32> = (0..n).map(|i| (i + 1).min(n - i) as f32 / n.div_ceil(2) as f32).collect();
        let mut total = vec![0.0; grid.dims[a]];
        for start in starts(grid.dims[a], n, overlap) {
            total[start..].iter_mut().zip(&taper).for_each(|(sum, t)| *sum += t);
        }
        (taper, total)
    })
}

/// What stands for probability 1 in a blended answer.
pub const ONE: u16 = u16::MAX;

/// Blended probabilities of each channel, as integers: whole numbers add up to the same sum in any order.
#[derive(Debug)]
pub struct Blend {
    channels: Vec<Vec<u16>>,
    /// Weight along x, y, z within one patch.
    taper: [Vec<f32>; 3],
    /// Sum of the weights of all patches at each index along x, y, z.
    total: [Vec<f32>; 3],
}

impl Blend {
    pub fn new(grid: &Grid, patch: [usize; 3], overlap: usize, channels: usize) -> Self {
        let [x, y, z] = weights(grid, patch, overlap);
        let (taper, total) = ([x.0, y.0, z.0], [x.1, y.1, z.1]);
        Self { channels: (0..channels).map(|_| vec![0; grid.len()]).collect(), taper, total }
    }

    /// Adds the answer (channel slowest, x fastest) for the patch at `origin`. A voxel whose patches were not all
    /// added keeps less than its share.
    pub fn add(&mut self, grid: &Grid, origin: [usize; 3], answer: &[f32]) {
        let patch = [0, 1, 2].map(|a| self.taper[a].len());
        let [sx, sy, sz] = [0, 1, 2].map(|a| -> Vec<f32> {
            let total = &self.total[a][origin[a]..];
            self.taper[a].iter().zip(total).map(|(t, sum)| t / sum).collect()
        });
        let voxels = patch.iter().product();
        self.channels.par_iter_mut().zip(answer.par_chunks(voxels)).for_each(|(channel, answer)| {
            let mut rows = answer.chunks(patch[0]);
            for_rows(grid, origin, patch, |row, [y, z]| {
                let across = sy[y] * sz[z] * f32::from(ONE);
                let Some(values) = rows.next() else { return };
                for ((sum, value), x) in channel[row].iter_mut().zip(values).zip(&sx) {
                    *sum = sum.saturating_add(round_u16(value * x * across));
                }
            });
        });
    }

    /// One array a channel, 0 to [`ONE`].
    pub fn finish(self) -> Vec<Vec<u16>> {
        self.channels
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
            let hu: Vec<i16> = (0..grid.len()).map(|i| (i % 97) as i16).collect();
            let patch = [4, 4, 4];
            let blended = |backwards: bool| {
                let mut blend = Blend::new(&grid, patch, 2, 2);
                let mut origins = origins(&grid, patch, 2);
                if backwards {
                    origins.reverse();
                }
                for origin in origins {
                    let mut part = Vec::new();
                    cut(&grid, &hu, [0.0, 100.0], origin, patch, &mut part);
                    cut(&grid, &hu, [0.0, 200.0], origin, patch, &mut part);
                    blend.add(&grid, origin, &part);
                }
                blend.finish()
            };
            let channels = blended(false);
            // Up to three patches along each axis share a voxel, and each rounds its share by up to half a unit.
            let most = 0.5 * 27.0 / f32::from(ONE) + 1e-6;
            for (channel, top) in channels.iter().zip([100.0, 200.0]) {
                let near = |(v, b): (&i16, &u16)| (f32::from(*v) / top - f32::from(*b) / f32::from(ONE)).abs() < most;
                prop_assert!(hu.iter().zip(channel).all(near));
            }
            prop_assert!(channels == blended(true), "the order of patches must not matter");
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
