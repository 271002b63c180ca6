//! What the end of the scan cuts is no nodule, and other findings are larger than they look there. Pure.

use crate::findings::Mask;
use crate::volume::Geometry;

/// A vessel that the first or last slice cuts, or the edge of the image, is bright up to so far from it, mm: the blur of a
/// slice and of the network's grid.
const END_MM: f64 = 3.0;

/// Does the region reach the first or last voxel along any axis, or nearly?
pub(in crate::task) fn reaches_end(geometry: &Geometry, mask: &Mask) -> bool {
    let mut low = [usize::MAX; 3];
    let mut high = [0; 3];
    for ([x, y, z], row) in mask.rows() {
        let Some(first) = row.iter().position(|v| *v != 0) else { continue };
        let last = row.iter().rposition(|v| *v != 0).unwrap_or(first);
        low = [low[0].min(x + first), low[1].min(y), low[2].min(z)];
        high = [high[0].max(x + last), high[1].max(y), high[2].max(z)];
    }
    (0..3).any(|a| {
        let room = |voxels: usize| voxels as f64 * geometry.spacing_mm[a] < END_MM;
        low[a] != usize::MAX && (room(low[a]) || room(geometry.dims[a].saturating_sub(high[a] + 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_at_either_end_of_any_axis_reaches_it_and_an_empty_one_does_not() {
        let geometry = Geometry {
            dims: [100, 100, 50],
            spacing_mm: [0.7, 0.7, 1.25],
            origin_mm: [0.0; 3],
            axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        };
        let at = |origin, value| reaches_end(&geometry, &Mask { origin, size: [2, 2, 2], voxels: vec![value; 8] });
        assert!(!at([50, 50, 25], 1) && !at([0, 0, 0], 0));
        assert!(at([50, 50, 2], 1) && !at([50, 50, 3], 1), "2.5 and 3.75 mm from the first slice");
        assert!(at([50, 50, 46], 1) && !at([50, 50, 45], 1), "2.5 and 3.75 mm from the last slice");
        assert!(at([4, 50, 25], 1) && at([50, 95, 25], 1));
        // The box may be larger than the region.
        let mut wide = Mask { origin: [50, 50, 0], size: [1, 1, 20], voxels: vec![0; 20] };
        wide.voxels[10] = 1;
        assert!(!reaches_end(&geometry, &wide));
    }
}
