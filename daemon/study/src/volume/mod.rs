//! Volume: slices in, one CT volume in Hounsfield units out, or a named reason why not (`models::refusal`).
//!
//! For one instance, `decode` (with `multiframe` and the crate `dicom`) and `rescale` make its slices. For one series,
//! `ahead` decodes slices while they arrive, `geometry` orders or refuses them, `judge` finds slices that do not belong to
//! their neighbours, `units` tells whether the values are Hounsfield units, `sound` says what part can be read without the bad slices, and
//! `build` makes the volume: of a tilted gantry upright (`shear`), so that `back` can bring the results to the original
//! slices. `memory` refuses what would not fit before anything is decoded.

pub mod ahead;
mod back;
pub mod build;
pub mod decode;
pub mod geometry;
mod judge;
mod memory;
mod multiframe;
pub mod rescale;
mod shear;
mod sound;
pub mod units;
mod written;

use std::sync::Arc;

pub use back::Back;
use geometry::SliceGeometry;
pub use memory::{picture_bytes, slices_bytes};
use units::Units;

/// Do these slices make a volume, as far as their headers say?
pub(crate) fn can_be_read(slices: &[SliceGeometry]) -> bool {
    sound::sound(slices, &vec![None; slices.len()], None).is_ok()
}

/// One decoded slice.
#[derive(Debug, Clone)]
pub struct Slice {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    /// Frame number counted from 1, for multi-frame instances only.
    pub frame: Option<u32>,
    pub geometry: SliceGeometry,
    /// What its values are, as the header says.
    pub units: Units,
    /// Hounsfield units, row-major, `rows * columns` values.
    pub hu: Arc<[i16]>,
}

#[cfg(test)]
mod real_tests;
