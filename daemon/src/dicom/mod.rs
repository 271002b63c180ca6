//! The DICOM node: what we accept and offer.

pub mod header;
pub mod scan;
