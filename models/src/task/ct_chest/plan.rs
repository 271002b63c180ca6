//! What a package claims for this task, by channel and by finding, as the stages read it.

use crate::findings::ChestFinding;
pub use crate::manifest::{Channel, Contrast, Kernels, Limits, Threshold as Thresholds};
use crate::manifest::{Manifest, Volume};
use crate::task::{Error, TaskFault};

#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Id and version of the package, for sentences.
    pub package: String,
    pub body_part: String,
    pub min_age_years: Option<f64>,
    pub spacing_mm: f64,
    /// Depth, rows, columns, voxels.
    pub patch: [usize; 3],
    pub overlap: usize,
    pub windows_hu: Vec<[f32; 2]>,
    /// In the order of the network's output.
    pub channels: Vec<(Channel, Thresholds)>,
    pub limits: Vec<(ChestFinding, Limits)>,
}

impl Plan {
    /// # Errors
    /// `TaskFault::BadModel` for a package of another kind of task.
    pub fn of(manifest: &Manifest) -> Result<Self, Error> {
        let Manifest { id, version, intended_use, .. } = manifest;
        let other = || Error::new(TaskFault::BadModel, format!("{id} {version} reads no volumes"));
        let Volume { findings, input, outputs, thresholds } = manifest.volume().ok_or_else(other)?;
        // A checked manifest has thresholds for each channel; one without never passes them.
        let never = Thresholds::plain(1.0, 1.0, f64::INFINITY);
        let of = |channel: &Channel| (*channel, thresholds.get(channel).copied().unwrap_or(never));
        Ok(Self {
            package: format!("{id} {version}"),
            body_part: intended_use.body_part.clone(),
            min_age_years: intended_use.min_age_years,
            spacing_mm: input.spacing_mm,
            patch: input.patch,
            overlap: input.overlap,
            windows_hu: input.windows_hu.clone(),
            channels: outputs.channels.iter().map(of).collect(),
            limits: findings.iter().map(|(f, l)| (*f, l.clone())).collect(),
        })
    }

    pub fn limits(&self, finding: ChestFinding) -> Option<&Limits> {
        self.limits.iter().find(|(f, _)| *f == finding).map(|(_, l)| l)
    }

    /// Does the package look for this finding?
    pub fn claims(&self, finding: ChestFinding) -> bool {
        let has = |channel: &Channel| self.channels.iter().any(|(c, _)| c == channel);
        self.limits(finding).is_some() && finding.channels().iter().all(has)
    }
}
