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
    /// Pairs of slice spacing or thickness, whichever is greater, mm, and the least size that is evaluated there, in the unit of
    /// [`Threshold::min_size`]. Both in rising order; the last pair is at [`max_slice_spacing_mm`](Self::max_slice_spacing_mm).
    pub least_size: Vec<[f64; 2]>,
}

impl Limits {
    /// The least size that is evaluated in slices of `slice_mm`, between the pairs in a straight line; the first one's where
    /// slices are thinner. Rounded up to three digits, so that the size that is said is the size that decides.
    pub fn least_size_at(&self, slice_mm: f64) -> Option<f64> {
        let [first, .., last] = self.least_size.as_slice() else {
            return self.least_size.first().map(|[_, size]| *size);
        };
        let between = self.least_size.windows(2).find(|pair| slice_mm <= pair[1][0]);
        let size = match between {
            Some(_) if slice_mm <= first[0] => first[1],
            Some(pair) => {
                let [[low_mm, low], [high_mm, high]] = [pair[0], pair[1]];
                low + (high - low) * (slice_mm - low_mm) / (high_mm - low_mm)
            }
            None => last[1],
        };
        Some(rounded_up(size))
    }
}

/// To three digits. What is a hair above them, as sums of decimal numbers are, stays.
fn rounded_up(size: f64) -> f64 {
    if size <= 0.0 {
        return size;
    }
    let scale = 10f64.powf(2.0 - size.log10().floor());
    (size * scale - 1e-6).ceil() / scale
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
    /// Sharp kernels are refused: by their name, and by the texture of the noise.
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
    /// Places whose probability reaches this are looked at again, in other patches; the mean of all looks counts.
    #[serde(default)]
    pub look_again: Option<f32>,
    /// What is large has to be surer.
    #[serde(default)]
    pub large: Option<Large>,
    /// Opacities only: what is connected to one that counts belongs to it from this probability on.
    #[serde(default)]
    pub spread: Option<f32>,
}

impl Threshold {
    /// Without a second look and whatever else not every channel has.
    pub const fn plain(confidence: f32, mask: f32, min_size: f64) -> Self {
        Self { confidence, mask, min_size, look_again: None, large: None, spread: None }
    }
}

/// From a size on a solid nodule needs more confidence, in its own channel or that of consolidation: what is large and not sure is a
/// vessel.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Large {
    /// In the unit of [`Threshold::min_size`].
    pub from: f64,
    pub confidence: f32,
}
