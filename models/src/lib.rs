//! Clinical tasks: a volume in, findings out; and the packages they run with. No network, no bus.

#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

pub mod accuracy;
pub mod acquisition;
pub mod archive;
pub mod cast;
pub mod choice;
pub mod findings;
pub mod golden;
pub mod grid;
pub mod growth;
pub mod identity;
pub mod lesion;
#[cfg(any(test, feature = "maker"))]
pub mod maker;
pub mod manifest;
mod morphology;
mod npy;
pub mod number;
pub mod package;
pub mod patchwork;
pub mod postprocess;
pub mod preprocess;
pub mod reading;
pub mod reason;
pub mod refusal;
pub mod registry;
pub mod remark;
pub mod review;
pub mod signature;
#[cfg(any(test, feature = "development"))]
pub mod specimen;
mod step;
pub mod steps;
pub mod task;
#[cfg(test)]
mod testing;
pub mod volume;

pub use acquisition::Acquisition;
pub use findings::ChestFindings;
pub use identity::ModelIdentity;
pub use package::Package;
pub use reading::Reading;
pub use reason::{NotEvaluated, Reason, Reasons, Topic};
pub use refusal::Refusal;
pub use remark::Remark;
pub use volume::{Geometry, Volume};
