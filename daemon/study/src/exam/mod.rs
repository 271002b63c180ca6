//! Recorded ultrasound exams: from the recording to DICOM objects, treated like any study.

pub mod again;
pub mod develop;
pub mod hand_over;
pub mod keep;
mod pictures;
pub mod step;
pub mod tell;
pub(crate) mod analysis;
