//! Slices -> `Volume`, or a reason why not.

use models::Volume;

use super::geometry::{self, Refusal};
use super::{Slice, SliceRef};

/// Puts decoded slices in order. No voxel is copied: the volume shares the planes of the slices.
/// The references are in volume order.
pub fn assemble(slices: Vec<Slice>) -> Result<(Volume, Vec<SliceRef>), Refusal> {
    let places: Vec<_> = slices.iter().map(|s| s.geometry.clone()).collect();
    let arranged = geometry::arrange(&places)?;
    let mut planes = Vec::with_capacity(slices.len());
    let mut sources = Vec::with_capacity(slices.len());
    for index in arranged.order {
        let slice = &slices[index];
        planes.push(slice.hu.clone());
        sources.push(SliceRef {
            sop_class_uid: slice.sop_class_uid.clone(),
            sop_instance_uid: slice.sop_instance_uid.clone(),
            frame: slice.frame,
            position_mm: slice.geometry.position_mm.unwrap_or_default(),
        });
    }
    Ok((Volume { geometry: arranged.geometry, slices: planes }, sources))
}
