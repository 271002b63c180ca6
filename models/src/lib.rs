//! Clinical tasks: a volume in, findings out. No network, no disk layout, no bus.

pub mod volume;
pub mod findings;
pub mod manifest;
pub mod package;
pub mod task;

pub use findings::Findings;
pub use package::Package;
pub use volume::{Geometry, Volume};
