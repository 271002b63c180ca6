//! Why there is no overlay. What a person reads is the text of the variant.

use std::time::Duration;

use hal::capture;
use models::task::{self, TaskFault};

use crate::screen::profile::ProfileError;
use crate::supply::SupplyError;

/// Why there is no overlay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("the model has not answered yet")]
    NotYet,
    #[error("the model is being loaded")]
    Loading,
    #[error(transparent)]
    NoProfile(#[from] ProfileError),
    #[error(transparent)]
    NoModel(#[from] SupplyError),
    /// The bytes of a picture do not hold together.
    #[error("the picture cannot be read: {0}")]
    Picture(#[from] capture::Error),
    /// Package and network do not fit each other, or the network's answer has the wrong shape.
    #[error("{0}")]
    BadModel(String),
    /// The network answered NaN, or a value outside 0 to 1.
    #[error("{0}")]
    BadOutput(String),
    /// The accelerator failed.
    #[error("{0}")]
    Accelerator(String),
    /// The text of the panic.
    #[error("the model crashed: {0}")]
    Crashed(String),
    /// Overlays come later than this after capture.
    #[error("the model is slow: overlays come later than {} ms", .0.as_millis())]
    Late(Duration),
    /// One run lasts longer than this.
    #[error("the model is slow: no answer within {} ms", .0.as_millis())]
    NoAnswer(Duration),
}

impl From<task::Error> for Trouble {
    fn from(error: task::Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            TaskFault::BadModel => Self::BadModel(text),
            TaskFault::BadOutput => Self::BadOutput(text),
            TaskFault::Accelerator(_) | TaskFault::Cancelled => Self::Accelerator(text),
        }
    }
}
