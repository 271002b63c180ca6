//! Why a package cannot be had.

use hal::accel;
use models::registry::{self, Key};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The task has no package that could be used; nothing changes that but people.
    #[error("{0}")]
    NoPackage(String),
    /// The package was found to be bad, and the registry knows it by now.
    #[error("model package {key} refused: {reason}")]
    Refused { key: Key, reason: String },
    /// Not the package's fault; trying again may help.
    #[error("accelerator: {0}")]
    Accelerator(#[from] accel::Error),
    #[error("{0}")]
    Registry(#[from] registry::Error),
    /// The appliance is restricted (see `level`) and does not do this now.
    #[error("{0}")]
    Restricted(String),
    #[error("{0}")]
    Internal(String),
}
