//! A CT volume in Hounsfield units on its own, original grid.

use std::sync::Arc;

/// Where the voxels lie in the patient (LPS: +x to the patient's left, +y to the back, +z to the head).
#[derive(Debug, Clone, PartialEq)]
pub struct Geometry {
    /// Columns, rows, slices.
    pub dims: [usize; 3],
    /// Millimetres between neighbours along columns (x index), rows (y index) and slices.
    pub spacing_mm: [f64; 3],
    /// Centre of voxel (0, 0, 0), millimetres, LPS.
    pub origin_mm: [f64; 3],
    /// Unit vectors, LPS, of increasing column index, row index and slice index. The third is perpendicular to the other two
    /// except in the original slices of a tilted gantry, which are reported and never analysed.
    pub axes: [[f64; 3]; 3],
}

impl Geometry {
    /// Patient position (mm, LPS) of a voxel index (column, row, slice), which may be fractional.
    pub fn to_patient(&self, index: [f64; 3]) -> [f64; 3] {
        let mut p = self.origin_mm;
        for ((axis, spacing), index) in self.axes.iter().zip(self.spacing_mm).zip(index) {
            for (v, component) in p.iter_mut().zip(axis) {
                *v += component * spacing * index;
            }
        }
        p
    }

    pub fn voxel_ml(&self) -> f64 {
        self.spacing_mm[0] * self.spacing_mm[1] * self.slice_distance_mm() / 1000.0
    }

    /// From the plane of one slice to that of the next, millimetres: less than the way along the third axis when the gantry
    /// was tilted.
    pub fn slice_distance_mm(&self) -> f64 {
        let normal = self.normal();
        let along: f64 = (0..3).map(|i| self.axes[2][i] * normal[i]).sum();
        self.spacing_mm[2] * along.abs()
    }

    /// Voxel index (column, row, slice; fractional) of a patient position: the inverse of [`Self::to_patient`].
    pub fn to_index(&self, point_mm: [f64; 3]) -> [f64; 3] {
        let dot = |a: [f64; 3], b: [f64; 3]| (0..3).map(|i| a[i] * b[i]).sum::<f64>();
        let from_origin = [0, 1, 2].map(|i| point_mm[i] - self.origin_mm[i]);
        let normal = self.normal();
        // The third axis may lean; the first two lie in the plane of a slice and are perpendicular.
        let along = dot(from_origin, normal) / dot(self.axes[2], normal);
        let in_plane = [0, 1, 2].map(|i| from_origin[i] - along * self.axes[2][i]);
        let [x, y] = [0, 1].map(|a| dot(in_plane, self.axes[a]) / self.spacing_mm[a]);
        [x, y, along / self.spacing_mm[2]]
    }

    /// Unit vector across the slices.
    fn normal(&self) -> [f64; 3] {
        let [[a, b, c], [d, e, f], _] = self.axes;
        [b * f - c * e, c * d - a * f, a * e - b * d]
    }
}

/// Hounsfield units, one shared plane per slice: a slice is decoded once, when it arrives, and never copied again.
#[derive(Debug, Clone)]
pub struct Volume {
    pub geometry: Geometry,
    /// One plane per slice in the order of increasing slice index; row-major, `dims[0] * dims[1]` values each.
    /// Padding is mapped to -1024 or lower.
    pub slices: Vec<Arc<[i16]>>,
}

impl Volume {
    /// HU of `length` voxels along the columns, from `start` (column, row, slice).
    pub fn row(&self, [x, y, z]: [usize; 3], length: usize) -> &[i16] {
        &self.slices[z][y * self.geometry.dims[0] + x..][..length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_that_lean_have_the_volume_of_their_distance_and_every_point_comes_back() {
        for degrees in [0.0_f64, 10.0, -25.0] {
            let (sin, cos) = degrees.to_radians().sin_cos();
            let geometry = Geometry {
                dims: [10, 10, 10],
                spacing_mm: [0.7, 0.8, 2.0],
                origin_mm: [-100.0, -90.0, 50.0],
                axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, sin, cos]],
            };
            assert!((geometry.slice_distance_mm() - 2.0 * cos).abs() < 1e-12);
            assert!((geometry.voxel_ml() - 0.7 * 0.8 * 2.0 * cos / 1000.0).abs() < 1e-12);
            let back = geometry.to_index(geometry.to_patient([3.0, 4.5, 7.25]));
            assert!((0..3).all(|i| (back[i] - [3.0, 4.5, 7.25][i]).abs() < 1e-9), "{degrees}: {back:?}");
        }
    }
}
