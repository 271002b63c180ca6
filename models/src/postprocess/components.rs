//! Connected components of a mask in three dimensions; voxels that share a face are connected.

use crate::grid::Grid;

/// Label of each voxel (0 outside) and the size of each component; components are numbered by their first voxel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    pub labels: Vec<u32>,
    /// Voxels of component `i + 1`.
    pub sizes: Vec<usize>,
}

impl Components {
    /// Labels, largest component first; equal sizes in order of their first voxel.
    pub fn by_size(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (1..).take(self.sizes.len()).collect();
        order.sort_by_key(|l| std::cmp::Reverse(self.size(*l)));
        order
    }

    pub fn size(&self, label: u32) -> usize {
        self.sizes[label as usize - 1]
    }
}

/// Labels the voxels for which `mask` is not zero.
pub fn label(grid: &Grid, mask: &[u8]) -> Components {
    let [nx, ny, _] = grid.dims;
    let mut labels = vec![0u32; mask.len()];
    // parents[l] is a label of the same component, never larger than l.
    let mut parents: Vec<u32> = vec![0];
    let mut next = 1;
    for start in (0..mask.len()).step_by(nx.max(1)) {
        let (y, z) = (start / nx % ny, start / (nx * ny));
        for x in 0..nx {
            let i = start + x;
            if mask[i] == 0 {
                continue;
            }
            let mut own = 0;
            let before = [(x > 0, 1), (y > 0, nx), (z > 0, nx * ny)];
            for (_, step) in before.into_iter().filter(|(inside, _)| *inside) {
                let other = labels[i - step];
                if other != 0 {
                    own = if own == 0 { other } else { join(&mut parents, own, other) };
                }
            }
            if own == 0 {
                own = next;
                next += 1;
                parents.push(own);
            }
            labels[i] = own;
        }
    }
    flatten(labels, &mut parents)
}

fn root(parents: &mut [u32], mut label: u32) -> u32 {
    while parents[label as usize] != label {
        parents[label as usize] = parents[parents[label as usize] as usize];
        label = parents[label as usize];
    }
    label
}

fn join(parents: &mut [u32], a: u32, b: u32) -> u32 {
    let (a, b) = (root(parents, a), root(parents, b));
    let (low, high) = (a.min(b), a.max(b));
    parents[high as usize] = low;
    low
}

/// Replaces provisional labels by 1, 2, ... in order of first voxel.
fn flatten(mut labels: Vec<u32>, parents: &mut [u32]) -> Components {
    let mut finals = vec![0u32; parents.len()];
    let mut count = 0;
    for label in (1u32..).take(parents.len() - 1) {
        let root = root(parents, label);
        if root == label {
            count += 1;
            finals[label as usize] = count;
        } else {
            finals[label as usize] = finals[root as usize];
        }
    }
    let mut sizes = vec![0; count as usize];
    for label in labels.iter_mut().filter(|l| **l != 0) {
        *label = finals[*label as usize];
        sizes[*label as usize - 1] += 1;
    }
    Components { labels, sizes }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop, prop_assert_eq, proptest};

    use super::*;

    fn brute_force(grid: &Grid, mask: &[u8]) -> Components {
        let mut labels = vec![0; mask.len()];
        let mut sizes = Vec::new();
        for start in 0..mask.len() {
            if mask[start] == 0 || labels[start] != 0 {
                continue;
            }
            sizes.push(0);
            let own = sizes.len() as u32;
            let mut open = vec![start];
            labels[start] = own;
            while let Some(i) = open.pop() {
                sizes[own as usize - 1] += 1;
                for n in grid.neighbours(i) {
                    if mask[n] != 0 && labels[n] == 0 {
                        labels[n] = own;
                        open.push(n);
                    }
                }
            }
        }
        Components { labels, sizes }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn components_equal_a_flood_fill(
            dims in prop::array::uniform3(1usize..8),
            bits in prop::collection::vec(any::<bool>(), 512),
        ) {
            let grid = Grid { dims, spacing_mm: [1.0; 3] };
            let mask: Vec<u8> = bits.iter().take(grid.len()).map(|b| u8::from(*b)).collect();
            prop_assert_eq!(label(&grid, &mask), brute_force(&grid, &mask));
        }
    }

    #[test]
    fn no_voxels_make_no_components() {
        let grid = Grid { dims: [3, 2, 2], spacing_mm: [1.0; 3] };
        assert!(label(&grid, &[0; 12]).sizes.is_empty());
    }
}
