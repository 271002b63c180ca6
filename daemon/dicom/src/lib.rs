//! Reads one DICOM object: header, text and pixels. Works on bytes (`Read` and `Seek`) and uses no network, database or
//! file path.

#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

pub mod scan;
pub mod header;
pub mod file_meta;
pub mod implicit;
pub mod kind;
pub mod pixels;
pub mod regions;
pub mod mammogram;
pub mod segmentation;
pub mod document;
pub mod json;
pub mod content;
pub mod deidentify;
pub mod file_set;

pub mod patient;
pub mod request;
pub mod test_object;
pub mod text;
pub mod typed;
pub mod uid;
pub mod implementation;
pub mod check;
mod dataset;
mod cast;
