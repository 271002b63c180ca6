//! `model.toml`: the facts of a model package.

use serde::{Deserialize, Serialize};

/// Parsed and checked `model.toml`. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// For example `ct-chest-nodules`.
    pub id: String,
    /// Semantic version.
    pub version: String,
    /// Name of the task in `models::task`, for example `ct_chest`.
    pub task: String,
    /// File name of the network inside the package.
    pub network: String,
    /// SHA-256 of the network, lower-case hexadecimal.
    pub sha256: String,
    pub licence: String,
    /// `research` (results always marked "not for diagnosis") or `cleared`.
    pub clearance: Clearance,
    pub intended_use: IntendedUse,
    pub input: Input,
    pub thresholds: Thresholds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clearance {
    Research,
    Cleared,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IntendedUse {
    pub modality: String,
    pub body_part: String,
    /// Largest slice spacing (mm) at which nodules are evaluated.
    pub max_slice_spacing_mm: f64,
}

/// How the network wants its input: a cube of `patch` voxels at `spacing_mm`, HU clipped to `window_hu` and scaled to 0..1.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub spacing_mm: f64,
    /// Depth, rows, columns of one patch, voxels.
    pub patch: [usize; 3],
    /// Voxels shared by neighbouring patches.
    pub overlap: usize,
    pub window_hu: [f32; 2],
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// A component is a nodule when its highest probability reaches this.
    pub confidence: f32,
    /// A voxel belongs to the component from this probability on.
    pub mask: f32,
    /// Smaller nodules (diameter, mm) are not reported.
    pub min_diameter_mm: f64,
}
