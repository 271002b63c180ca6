//! An ultrasound exam that was recorded: from its recording to DICOM objects, carried like any study.

pub mod develop;
pub mod hand_over;
