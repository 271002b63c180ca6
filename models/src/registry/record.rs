//! What came of building a package here: one small file beside the packages, so that it need not be found out again.

use serde::{Deserialize, Serialize};

use crate::choice::Measured;

/// Holds for one content on one accelerator only.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Of `model.toml`.
    pub sha256: String,
    /// As `hal` names provider, library, device and driver; empty when its files were refused, whatever would run it.
    pub accelerator: String,
    pub outcome: Outcome,
    /// The network that is used; empty when the package was refused, or by a record of an older version.
    #[serde(default)]
    pub network: String,
    /// Every network that fits the accelerator, as it was found.
    #[serde(default)]
    pub measured: Vec<Measured>,
}

impl Record {
    /// It was refused for what it did on its accelerator.
    pub(super) fn is_of_run(&self) -> bool {
        matches!(self.outcome, Outcome::Refused { .. }) && !self.accelerator.is_empty()
    }

    /// A file was found to be damaged, or the signature not good; nothing was run.
    pub(super) fn is_of_files(&self) -> bool {
        matches!(self.outcome, Outcome::Refused { .. }) && self.accelerator.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// It loads, and gave its golden answer to within `difference`; `None` where the golden run is left out, on a
    /// simulated accelerator.
    Ready {
        difference: Option<f32>,
    },
    Refused {
        reason: String,
    },
}
