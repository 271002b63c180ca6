//! `model.toml`: the facts of a model package, parsed strictly and checked value by value. `models/README.md` explains
//! each key.

mod check;
pub mod mammogram;
pub mod picture;
mod sheet;
pub mod volume;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use check::path;
pub use mammogram::Mammogram;
pub use picture::Picture;
pub use volume::{Channel, Contrast, Input, Kernels, Large, Limits, Outputs, Threshold, Volume};

/// The one format this program reads.
pub const FORMAT: u32 = 1;

/// Parsed and checked `model.toml`. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq)]
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
    /// What the network reads and answers.
    pub reads: Reads,
    /// Of those that fit the accelerator the fastest is used that answers rightly there ([`crate::choice`]).
    pub variants: Vec<Variant>,
    pub golden: Option<Golden>,
    pub accuracy: Option<Accuracy>,
    /// SHA-256 (lower-case hexadecimal) of every file of the package but `model.toml` and its signature.
    pub files: BTreeMap<String, String>,
}

/// The kinds of networks; the task says which one is due.
#[derive(Debug, Clone, PartialEq)]
pub enum Reads {
    Volume(Volume),
    Picture(Picture),
    Mammogram(Mammogram),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clearance {
    Research,
    Cleared,
}

#[derive(Debug, Clone, PartialEq)]
pub struct IntendedUse {
    /// DICOM Modality (0008,0060).
    pub modality: String,
    /// DICOM Body Part Examined (0018,0015).
    pub body_part: String,
    pub min_age_years: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub accelerator: Fits,
    pub precision: Precision,
    /// An ONNX file of the package.
    pub network: String,
    /// What this variant answers to the golden input, where that is not `golden.expected`: an npy file of the package.
    pub expected: Option<String>,
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
            // By itself or within ONNX Runtime.
            Self::Tensorrt => matches!(provider, "tensorrt" | "onnxruntime-tensorrt"),
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

impl Precision {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
        }
    }
}

/// An input and what the network must answer to it, npy files of the package (f32, C order).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// `[1, windows, D, H, W]`, `[1, 1, H, W]` for pictures, `[1, 2, H, W]` for mammograms.
    pub input: String,
    /// `[1, channels, D, H, W]` or `[1, channels, H / stride, W / stride]`; for variants that name none of their own.
    pub expected: Option<String>,
    /// Largest absolute difference.
    pub tolerance: f32,
}

/// More inputs with their answers, npy files as those of [`Golden`], for every variant ([`crate::accuracy`]).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {
    /// Dice, 0 to 1, of what lies above each channel's mask threshold here and in the answers, over all cases.
    pub least_overlap: f32,
    pub cases: Vec<Case>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub input: String,
    pub expected: String,
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
        let manifest = sheet::parse(text)?;
        check::manifest(&manifest)?;
        Ok(manifest)
    }

    /// The variants for an accelerator, `provider` as in `hal::accel::Description`, in the order of the file; each network once.
    pub fn fitting(&self, provider: &str) -> Vec<&Variant> {
        let mut fitting: Vec<&Variant> = Vec::new();
        for variant in self.variants.iter().filter(|variant| variant.accelerator.fits(provider)) {
            if !fitting.iter().any(|other| other.network == variant.network) {
                fitting.push(variant);
            }
        }
        fitting
    }

    /// From which probability on a value of an output channel counts; `None` where the value is no outline.
    pub fn mask_of(&self, channel: usize) -> Option<f32> {
        match &self.reads {
            Reads::Volume(volume) => Some(volume.thresholds.get(volume.outputs.channels.get(channel)?)?.mask),
            Reads::Picture(picture) => {
                let is_lesion = picture.channel(picture::Channel::Lesion) == Some(channel);
                is_lesion.then_some(picture.lesion.mask)
            }
            // Its scores are judged by another network.
            Reads::Mammogram(_) => Some(0.5),
        }
    }

    /// What is said of the network, when it reads volumes.
    pub fn volume(&self) -> Option<&Volume> {
        match &self.reads {
            Reads::Volume(volume) => Some(volume),
            Reads::Picture(_) | Reads::Mammogram(_) => None,
        }
    }

    /// What is said of the network, when it reads pictures.
    pub fn picture(&self) -> Option<&Picture> {
        match &self.reads {
            Reads::Picture(picture) => Some(picture),
            Reads::Volume(_) | Reads::Mammogram(_) => None,
        }
    }

    /// What is said of the network, when it reads mammograms.
    pub fn mammogram(&self) -> Option<&Mammogram> {
        match &self.reads {
            Reads::Mammogram(mammogram) => Some(mammogram),
            Reads::Volume(_) | Reads::Picture(_) => None,
        }
    }

    /// The findings that the package claims, as written in `model.toml`.
    pub fn findings(&self) -> Vec<&'static str> {
        match &self.reads {
            Reads::Volume(volume) => volume.findings.keys().map(|f| f.as_str()).collect(),
            Reads::Picture(picture) => picture.findings.keys().map(|f| f.as_str()).collect(),
            Reads::Mammogram(mammogram) => mammogram.findings.keys().map(|f| f.as_str()).collect(),
        }
    }

    /// All thresholds on one line, for provenance.
    pub fn parameters(&self) -> String {
        let one = |name: &str, t: &Threshold| {
            let again = t.look_again.map(|again| format!(" look-again {again}"));
            let large = t.large.map(|large| format!(" large {} confidence {}", large.from, large.confidence));
            let spread = t.spread.map(|spread| format!(" spread {spread}"));
            let more: String = [again, large, spread].into_iter().flatten().collect();
            format!("{name} confidence {} mask {} min-size {}{more}", t.confidence, t.mask, t.min_size)
        };
        match &self.reads {
            Reads::Volume(volume) => {
                volume.thresholds.iter().map(|(c, t)| one(c.as_str(), t)).collect::<Vec<_>>().join("; ")
            }
            Reads::Picture(picture) => {
                format!("{}; malignant confidence {}", one("lesion", &picture.lesion), picture.malignant)
            }
            Reads::Mammogram(mammogram) => {
                let one = |stage: mammogram::Stage| format!("{} {}", stage.name(), mammogram.thresholds.of(stage));
                format!("mark confidence {}", mammogram::Stage::ALL.map(one).join(", "))
            }
        }
    }

    /// The npy file with what a variant answers to the golden input.
    pub fn expected<'a>(&'a self, variant: &'a Variant) -> Option<&'a str> {
        variant.expected.as_deref().or_else(|| self.golden.as_ref()?.expected.as_deref())
    }
}

#[cfg(test)]
mod tests;
