//! Volume: slices in, one CT volume in Hounsfield units out, or a named reason why not.
//!
//! One instance: `decode` (with `frames`, `codestream`, `codec`, `multiframe`, `deflated`) and `rescale` make slices of it.
//! Pictures to be shown, of any colour: `pictures`.
//! One series: `ahead` decodes while slices arrive, `geometry` orders them or refuses, `build` puts it together.

pub mod ahead;
pub mod build;
mod codec;
pub mod codestream;
pub mod decode;
mod deflated;
pub mod error;
mod frames;
pub mod geometry;
mod multiframe;
pub mod pictures;
pub mod refusal;
pub mod rescale;

use std::sync::Arc;

use geometry::SliceGeometry;

pub use error::DecodeError;
pub use refusal::Refusal;

/// Which instance (and frame of it) a slice of the volume came from.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceRef {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    /// Frame number counted from 1, for multi-frame instances only.
    pub frame: Option<u32>,
    /// Centre of the first voxel of the slice, millimetres, LPS.
    pub position_mm: [f64; 3],
}

/// One decoded slice.
#[derive(Debug, Clone)]
pub struct Slice {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    /// Frame number counted from 1, for multi-frame instances only.
    pub frame: Option<u32>,
    pub geometry: SliceGeometry,
    /// Hounsfield units, row-major, `rows * columns` values.
    pub hu: Arc<[i16]>,
}
