//! The one output type of every task: what, where, how sure, from which model.

use serde::Serialize;

/// A region on the volume's own voxel grid, stored for its bounding box only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// First voxel of the box: column, row, slice.
    pub origin: [usize; 3],
    /// Extent of the box: columns, rows, slices.
    pub size: [usize; 3],
    /// 0 or 1 for each voxel of the box, column fastest, slice slowest.
    pub voxels: Vec<u8>,
}

impl Mask {
    pub fn count(&self) -> usize {
        self.voxels.iter().filter(|v| **v != 0).count()
    }

    /// Is the voxel (column, row, slice of the volume) in the region?
    pub fn contains(&self, at: [usize; 3]) -> bool {
        let mut index = 0;
        for a in (0..3).rev() {
            if at[a] < self.origin[a] || at[a] >= self.origin[a] + self.size[a] {
                return false;
            }
            index = index * self.size[a] + (at[a] - self.origin[a]);
        }
        self.voxels[index] != 0
    }
}

/// Either a value, or why there is none. "Nothing found" is a value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evaluated<T> {
    Done(T),
    NotEvaluated(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Right,
    Left,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lung {
    pub side: Side,
    pub volume_ml: f64,
    /// Mean attenuation, HU.
    pub mean_hu: f64,
    /// Emphysema index LAA-950: percent of the lung's voxels below -950 HU.
    pub laa950_percent: f64,
    #[serde(skip)]
    pub mask: Mask,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Nodule {
    /// 1, 2, ... in order of falling confidence.
    pub number: usize,
    pub side: Side,
    /// Centroid, mm, LPS.
    pub centre_mm: [f64; 3],
    /// Average of the long and the perpendicular short axis on the slice of greatest extent, mm
    /// (Fleischner 2017: nodule diameter is the mean of both).
    pub diameter_mm: f64,
    pub long_axis_mm: f64,
    pub short_axis_mm: f64,
    pub volume_mm3: f64,
    pub mean_hu: f64,
    /// 0 to 1, as the network gives it.
    pub confidence: f64,
    /// Slice index of greatest extent.
    pub key_slice: usize,
    #[serde(skip)]
    pub mask: Mask,
}

/// What a chest CT task found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Findings {
    pub lungs: Evaluated<Vec<Lung>>,
    pub nodules: Evaluated<Vec<Nodule>>,
    /// Time of each stage in milliseconds, in order: `lungs`, `resample`, `inference`, `postprocess`, ...
    pub timings_ms: Vec<(String, f64)>,
}
