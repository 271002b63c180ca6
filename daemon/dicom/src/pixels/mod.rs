//! The pixels of one instance: layout, frames, codecs. Everything that can be checked is checked before the bytes are
//! decoded, and a panic in a decoder is an error of this one instance.

pub mod cage;
pub mod codec;
pub mod codestream;
pub mod colour;
pub mod deflated;
pub mod error;
pub mod frames;
pub mod jpeg2000;
pub mod palette;
pub mod parse;
pub mod pictures;
pub mod shape;

pub use error::DecodeError;

/// The instance, and the frame in it, that a slice of the volume comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceRef {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    /// Frame number counted from 1, for multi-frame instances only.
    pub frame: Option<u32>,
    /// Centre of the first voxel of the slice, millimetres, LPS.
    pub position_mm: [f64; 3],
}
