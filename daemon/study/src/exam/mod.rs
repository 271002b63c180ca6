//! Recorded ultrasound exams: from the recording to DICOM objects, treated like any study.

pub mod develop;
pub mod hand_over;
pub mod keep;
pub mod step;
pub mod tell;
pub(crate) mod analysis;
