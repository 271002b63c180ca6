//! Where the live path gets its model from.

use std::fmt;
use std::sync::Arc;

use hal::LoadedModel;
use models::identity::{self, ModelIdentity, NOT_FOR_DIAGNOSIS_SHORT};
use models::manifest::Manifest;
use models::steps::Steps;

use crate::view::MadeBy;

/// A model that is ready to run.
#[derive(Debug)]
pub struct Ready {
    pub manifest: Manifest,
    /// Of the package; another checksum means another model.
    pub sha256: String,
    /// The accelerator is simulated.
    pub simulated: bool,
    pub accelerator: RunsOn,
    pub model: Box<dyn LoadedModel>,
    /// What prepares pictures for it.
    pub steps: Arc<dyn Steps>,
}

/// What makes the runs of a model, in words, for example `cpu, ONNX Runtime 1.32.0`. It may become another one while the model runs.
pub struct RunsOn(Box<dyn Fn() -> String + Send>);

impl RunsOn {
    pub fn new(now: impl Fn() -> String + Send + 'static) -> Self {
        Self(Box::new(now))
    }

    pub fn now(&self) -> String {
        (self.0)()
    }
}

impl fmt::Debug for RunsOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.now())
    }
}

impl Ready {
    /// The model as results name it.
    pub fn made_by(&self) -> MadeBy {
        let (accelerator, simulated) = (self.accelerator.now(), self.simulated);
        MadeBy { model: ModelIdentity::new(&self.manifest, &self.sha256), accelerator, simulated }
    }

    /// The mark that every result of it must carry, if any.
    pub fn mark(&self) -> Option<String> {
        let for_diagnosis = identity::for_diagnosis(Some(self.manifest.clearance), self.simulated);
        (!for_diagnosis).then(|| NOT_FOR_DIAGNOSIS_SHORT.to_owned())
    }
}

/// Why there is no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SupplyError {
    /// There is no usable package; only people can change that.
    #[error("{0}")]
    NoPackage(String),
    /// The package was found to be bad.
    #[error("{0}")]
    Refused(String),
    /// The accelerator failed; trying again may help.
    #[error("{0}")]
    Accelerator(String),
    #[error("{0}")]
    Other(String),
}

/// Loads the model that is to be used now.
pub trait Supply: Send + std::fmt::Debug {
    /// May take minutes, when an engine has to be built first.
    ///
    /// # Errors
    /// Its text is shown on the sign.
    fn load(&mut self) -> Result<Ready, SupplyError>;

    /// Whether another model is to be used by now. Called every few seconds, so it must be fast.
    fn is_outdated(&self, loaded: &Ready) -> bool;
}
