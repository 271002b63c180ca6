//! Clinical tasks: a volume in, findings out. No network, no disk layout, no bus.

pub mod acquisition;
pub mod archive;
pub mod findings;
pub mod grid;
pub mod manifest;
mod morphology;
pub mod package;
pub mod postprocess;
pub mod preprocess;
pub mod signature;
pub mod task;
#[cfg(test)]
mod testing;
pub mod volume;

pub use acquisition::Acquisition;
pub use findings::Findings;
pub use package::Package;
pub use volume::{Geometry, Volume};
