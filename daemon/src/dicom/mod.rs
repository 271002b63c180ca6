//! The DICOM node: what we accept and offer.

pub mod header;
