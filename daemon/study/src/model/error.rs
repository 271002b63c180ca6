//! Why a package cannot be loaded.

use hal::accel;
use models::registry::{self, Key};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The task has no usable package; an operator must install or activate one.
    #[error("{0}")]
    NoPackage(String),
    /// The package failed its checks; the registry has recorded that.
    #[error("model package {key} refused: {reason}")]
    Refused { key: Key, reason: String },
    /// The accelerator failed, not the package; trying again may help.
    #[error("accelerator: {0}")]
    Accelerator(#[from] accel::Error),
    #[error("{0}")]
    Registry(#[from] registry::Error),
    /// Somebody ended the load, or the daemon ends.
    #[error("it was cancelled")]
    Cancelled,
    /// The present restriction level (see `level`) does not allow this.
    #[error("{0}")]
    Restricted(String),
    #[error("{0}")]
    Internal(String),
}
