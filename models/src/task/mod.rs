//! One clinical task per file; each reads pre, infer, post in order.

pub mod ct_chest;
pub mod ct_quality;
pub mod lungs;
pub mod mammography_views;
pub mod mg_breast;
mod nodules;
pub mod us_breast;

/// The tasks of this software, as manifests name them.
pub const ALL: [&str; 4] = [CT_CHEST, US_BREAST, US_BREAST_STILLS, MG_BREAST];
pub const CT_CHEST: &str = "ct_chest";
/// Live video; and stored pictures where no package is for them alone.
pub const US_BREAST: &str = "us_breast";
/// Stored pictures, for which a network may take its time.
pub const US_BREAST_STILLS: &str = "us_breast_stills";
pub const MG_BREAST: &str = "mg_breast";

/// What the network of a task reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkInput {
    /// Patches of a volume of Hounsfield units.
    Volume,
    /// One grey picture.
    Picture,
    /// The views of a mammography, one by one.
    Mammogram,
}

/// What the network of `task` reads; `None` for a task that this software does not have.
pub fn network(task: &str) -> Option<NetworkInput> {
    match task {
        CT_CHEST => Some(NetworkInput::Volume),
        US_BREAST | US_BREAST_STILLS => Some(NetworkInput::Picture),
        MG_BREAST => Some(NetworkInput::Mammogram),
        _ => None,
    }
}

/// Does a network have the inputs and outputs of its task?
///
/// # Errors
/// `TaskFault::BadModel`, also for a task that is none.
pub fn check(task: &str, model: &dyn hal::LoadedModel) -> Result<(), Error> {
    match task {
        CT_CHEST => ct_chest::network::check_names(model),
        US_BREAST | US_BREAST_STILLS => us_breast::check_names(model),
        MG_BREAST => mg_breast::marks::check_names(model),
        _ => Err(Error::new(TaskFault::BadModel, format!("no task {task}"))),
    }
}

/// How a caller follows the progress of a task and cancels it. Called between patches, so a long inference stops within
/// one patch.
pub trait Control: Sync {
    /// `stage` is `lungs`, `resample`, `inference` or `postprocess`; `fraction` of that stage is done (0 to 1).
    fn progress(&self, stage: &str, fraction: f64);

    /// Once true, the task returns an error of kind [`TaskFault::Cancelled`] before its next patch or stage.
    fn cancelled(&self) -> bool;

    /// The same for whoever waits for something else meanwhile, as an answer of another machine; `None`: it is never cancelled.
    fn watch(&self) -> Option<Watch> {
        None
    }
}

/// Says whether a task was cancelled.
pub type Watch = std::sync::Arc<dyn Fn() -> bool + Send + Sync>;

/// No progress reports, no cancellation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unattended;

impl Control for Unattended {
    fn progress(&self, _stage: &str, _fraction: f64) {}

    fn cancelled(&self) -> bool {
        false
    }
}

/// Callers decide by this value only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskFault {
    /// [`Control::cancelled`] said so.
    Cancelled,
    /// The network does not fit the package's manifest (names, shapes).
    BadModel,
    /// A value of the network's output is not a probability.
    BadOutput,
    /// The accelerator failed; trying again may help.
    Accelerator(hal::accel::AccelFault),
}

/// Why a task gave no findings.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: TaskFault,
    message: String,
}

impl Error {
    pub fn new(kind: TaskFault, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// That the caller wanted to stop.
    pub fn cancelled() -> Self {
        Self::new(TaskFault::Cancelled, "cancelled")
    }

    pub fn kind(&self) -> TaskFault {
        self.kind
    }
}

impl From<hal::accel::Error> for Error {
    fn from(error: hal::accel::Error) -> Self {
        Self::new(TaskFault::Accelerator(error.kind()), error.to_string())
    }
}

/// # Errors
/// `TaskFault::Cancelled` once the caller wants to stop.
pub(crate) fn go_on(control: &dyn Control) -> Result<(), Error> {
    if control.cancelled() { Err(Error::cancelled()) } else { Ok(()) }
}
