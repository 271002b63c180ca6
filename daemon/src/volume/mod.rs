//! Volume: slices in, one CT volume in Hounsfield units out, or a named reason why not.
//!
//! `geometry` decides (pure), `decode` turns the bytes of one instance into Hounsfield units, `build` puts both together.

pub mod build;
pub mod decode;
pub mod geometry;
pub mod refusal;

use std::sync::Arc;

use geometry::SliceGeometry;

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
