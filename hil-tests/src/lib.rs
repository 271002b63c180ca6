//! The bench: what stands around the box while it is tested. It speaks to the daemon over DICOM and D-Bus only.

pub mod modality;
pub mod pacs;
pub mod phantom;
