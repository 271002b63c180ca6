//! `model.toml` as it is written: one frame for all tasks, and in it what a kind of network needs. The task decides which
//! kind is read, so that each mistake is named with its line.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Accuracy, BadValue, Clearance, Error, Golden, IntendedUse, Manifest, Reads, Variant, mammogram, picture, volume,
};
use crate::findings::ChestFinding;
use crate::task::{self, NetworkInput};

/// The frame, with the findings' limits `F`, `[input]`, `[outputs]` and `[thresholds]` of a kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet<F, I, O, T> {
    format: u32,
    id: String,
    version: String,
    task: String,
    licence: String,
    clearance: Clearance,
    intended_use: Use<F>,
    input: I,
    outputs: O,
    thresholds: T,
    variants: Vec<Variant>,
    golden: Option<Golden>,
    accuracy: Option<Accuracy>,
    files: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Use<F> {
    modality: String,
    body_part: String,
    min_age_years: Option<f64>,
    findings: F,
}

#[derive(Debug, Deserialize)]
struct Task {
    task: String,
}

type OfVolumes = Sheet<
    BTreeMap<ChestFinding, volume::Limits>,
    volume::Input,
    volume::Outputs,
    BTreeMap<volume::Channel, volume::Threshold>,
>;
type OfPictures =
    Sheet<BTreeMap<picture::Finding, picture::Limits>, picture::Input, picture::Outputs, picture::Thresholds>;
type OfMammograms =
    Sheet<BTreeMap<mammogram::Finding, mammogram::Limits>, mammogram::Input, mammogram::Outputs, mammogram::Thresholds>;

/// # Errors
/// `Error::Syntax`: no TOML, an unknown or missing key, a wrong type. `Error::Value`: a task that this software does not
/// have.
pub fn parse(text: &str) -> Result<Manifest, Error> {
    // When the task cannot be read, any sheet fails and names that fault with its line.
    let network = match toml::from_str::<Task>(text) {
        Ok(Task { task }) => task::network(&task).ok_or_else(|| unknown(&task))?,
        Err(_) => NetworkInput::Volume,
    };
    match network {
        NetworkInput::Volume => volumes(text),
        NetworkInput::Picture => pictures(text),
        NetworkInput::Mammogram => mammograms(text),
    }
    .map_err(|error| Error::Syntax(error.to_string().trim_end().to_owned()))
}

fn unknown(task: &str) -> Error {
    let reason = format!("this software has no task {task:?}; it has {}", task::ALL.join(", "));
    Error::Value(BadValue { key: "task".into(), reason })
}

fn volumes(text: &str) -> Result<Manifest, toml::de::Error> {
    let sheet: OfVolumes = toml::from_str(text)?;
    Ok(sheet.into_manifest(|findings, input, outputs, thresholds| {
        Reads::Volume(volume::Volume { findings, input, outputs, thresholds })
    }))
}

fn pictures(text: &str) -> Result<Manifest, toml::de::Error> {
    let sheet: OfPictures = toml::from_str(text)?;
    Ok(sheet.into_manifest(|findings, input, outputs, thresholds| {
        let (lesion, malignant) = (thresholds.lesion, thresholds.malignant.confidence);
        Reads::Picture(picture::Picture { findings, input, outputs, lesion, malignant })
    }))
}

fn mammograms(text: &str) -> Result<Manifest, toml::de::Error> {
    let sheet: OfMammograms = toml::from_str(text)?;
    Ok(sheet.into_manifest(|findings, input, outputs, thresholds| {
        Reads::Mammogram(mammogram::Mammogram { findings, input, outputs, thresholds })
    }))
}

impl<F, I, O, T> Sheet<F, I, O, T> {
    fn into_manifest(self, reads: impl FnOnce(F, I, O, T) -> Reads) -> Manifest {
        let Use { modality, body_part, min_age_years, findings } = self.intended_use;
        Manifest {
            format: self.format,
            id: self.id,
            version: self.version,
            task: self.task,
            licence: self.licence,
            clearance: self.clearance,
            intended_use: IntendedUse { modality, body_part, min_age_years },
            reads: reads(findings, self.input, self.outputs, self.thresholds),
            variants: self.variants,
            golden: self.golden,
            accuracy: self.accuracy,
            files: self.files,
        }
    }
}
