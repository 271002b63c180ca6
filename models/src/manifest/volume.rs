//! What a package says of a network that reads volumes: findings and their limits, input, channels, thresholds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::findings::ChestFinding;
pub use crate::task::ct_chest::Channel;

/// A network that reads the patches of a volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// The findings the package claims, each with its limits.
    pub findings: BTreeMap<ChestFinding, Limits>,
    pub input: Input,
    pub outputs: Outputs,
    /// One for each channel.
    pub thresholds: BTreeMap<Channel, Threshold>,
}

impl Volume {
    /// The place of a channel in the network's output.
    pub fn channel(&self, channel: Channel) -> Option<usize> {
        self.outputs.channels.iter().position(|c| *c == channel)
    }
}

/// For which series a finding is evaluated. Absent limits allow everything.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Distance of neighbouring slices, mm.
    pub max_slice_spacing_mm: Option<f64>,
    pub min_slice_spacing_mm: Option<f64>,
    /// Standard deviation, HU.
    pub max_noise_hu: Option<f64>,
    pub contrast: Contrast,
    pub kernels: Kernels,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Contrast {
    #[default]
    Any,
    With,
    Without,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernels {
    #[default]
    Any,
    /// Sharp kernels are refused.
    Soft,
}

/// How the network wants its input: a cube of `patch` voxels at `spacing_mm`, one channel for each window.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub spacing_mm: f64,
    /// Depth, rows, columns of one patch, voxels.
    pub patch: [usize; 3],
    /// Voxels shared by neighbouring patches.
    pub overlap: usize,
    /// Low and high of each input channel: HU are clipped to them and scaled to 0..1.
    pub windows_hu: Vec<[f32; 2]>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// In the order of the network's output channels.
    pub channels: Vec<Channel>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// A component counts when its highest probability reaches this.
    pub confidence: f32,
    /// A voxel belongs to the component from this probability on.
    pub mask: f32,
    /// Smaller components are not reported: diameter in mm for nodules, rib fractures and lymph nodes (short axis),
    /// volume in ml for all others.
    pub min_size: f64,
}
