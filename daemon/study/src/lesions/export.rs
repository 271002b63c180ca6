//! The recall list for other programs. Pure.

pub mod csv;
pub mod fhir;
