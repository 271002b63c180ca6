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
    /// Unit vectors, LPS, of increasing column index, row index and slice index.
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
        self.spacing_mm.iter().product::<f64>() / 1000.0
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
