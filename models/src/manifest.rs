//! `model.toml`: the facts of a model package, parsed strictly and checked value by value. `models/README.md` explains
//! each key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::findings::Finding;

/// The one format this program reads.
pub const FORMAT: u32 = 1;

/// Parsed and checked `model.toml`. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// For example `ct-chest`.
    pub id: String,
    /// Semantic version.
    pub version: String,
    /// Name of the task in `models::task`, for example `ct_chest`.
    pub task: String,
    pub licence: String,
    /// `research` (results always marked "not for diagnosis") or `cleared`.
    pub clearance: Clearance,
    pub intended_use: IntendedUse,
    pub input: Input,
    pub outputs: Outputs,
    /// One for each channel.
    pub thresholds: BTreeMap<Channel, Threshold>,
    /// The first that fits the accelerator is used.
    pub variants: Vec<Variant>,
    pub golden: Option<Golden>,
    /// SHA-256 (lower-case hexadecimal) of every file of the package but `model.toml` and its signature.
    pub files: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clearance {
    Research,
    Cleared,
}

/// What one output channel of the network shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Nodule,
    GroundGlass,
    Consolidation,
    RibFracture,
    Emphysema,
    Bronchiectasis,
    PleuralEffusion,
    Pneumothorax,
    CoronaryCalcification,
    LymphNode,
}

impl Channel {
    pub const ALL: [Self; 10] = [
        Self::Nodule,
        Self::GroundGlass,
        Self::Consolidation,
        Self::RibFracture,
        Self::Emphysema,
        Self::Bronchiectasis,
        Self::PleuralEffusion,
        Self::Pneumothorax,
        Self::CoronaryCalcification,
        Self::LymphNode,
    ];

    /// As written in `model.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nodule => "nodule",
            Self::GroundGlass => "ground_glass",
            Self::Consolidation => "consolidation",
            Self::RibFracture => "rib_fracture",
            Self::Emphysema => "emphysema",
            Self::Bronchiectasis => "bronchiectasis",
            Self::PleuralEffusion => "pleural_effusion",
            Self::Pneumothorax => "pneumothorax",
            Self::CoronaryCalcification => "coronary_calcification",
            Self::LymphNode => "lymph_node",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IntendedUse {
    /// DICOM Modality (0008,0060).
    pub modality: String,
    /// DICOM Body Part Examined (0018,0015).
    pub body_part: String,
    pub min_age_years: Option<f64>,
    /// The findings the package claims, each with its limits.
    pub findings: BTreeMap<Finding, Limits>,
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

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub accelerator: Fits,
    pub precision: Precision,
    /// An ONNX file of the package.
    pub network: String,
}

/// Which accelerators a variant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fits {
    Any,
    Cpu,
    Cuda,
    Tensorrt,
}

impl Fits {
    /// `provider` as in `hal::accel::Description`.
    pub fn fits(self, provider: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Cpu => provider == "cpu",
            Self::Cuda => provider == "cuda",
            Self::Tensorrt => provider == "tensorrt",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    Fp32,
    Fp16,
    Int8,
}

/// An input and what the network must answer to it, both npy files of the package (f32, C order).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// `[1, windows, D, H, W]`.
    pub input: String,
    /// `[1, channels, D, H, W]`.
    pub expected: String,
    /// Largest absolute difference.
    pub tolerance: f32,
}

/// A value that parses but cannot be worked with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct BadValue {
    /// Dotted, for example `input.overlap`.
    pub key: String,
    pub reason: String,
}

/// Why a text is no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No TOML, an unknown or missing key, a wrong type; with the line.
    #[error("{0}")]
    Syntax(String),
    #[error("{0}")]
    Value(#[from] BadValue),
}

impl Manifest {
    /// # Errors
    /// See [`Error`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let manifest: Self = toml::from_str(text).map_err(|e| Error::Syntax(e.to_string().trim_end().to_owned()))?;
        check::manifest(&manifest)?;
        Ok(manifest)
    }

    /// The variant for an accelerator, `provider` as in `hal::accel::Description`.
    pub fn variant(&self, provider: &str) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.accelerator.fits(provider))
    }

    /// The place of a channel in the network's output.
    pub fn channel(&self, channel: Channel) -> Option<usize> {
        self.outputs.channels.iter().position(|c| *c == channel)
    }

    /// All thresholds on one line, for provenance.
    pub fn parameters(&self) -> String {
        let one = |(channel, t): (&Channel, &Threshold)| {
            format!("{} confidence {} mask {} min-size {}", channel.as_str(), t.confidence, t.mask, t.min_size)
        };
        self.thresholds.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

mod check;
pub(crate) use check::path;

#[cfg(test)]
mod tests;
