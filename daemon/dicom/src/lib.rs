//! What one DICOM object says: its header, its text, its pixels. Reads bytes (`Read` and `Seek`) and knows no network, no
//! database and no place on a disk.

#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

pub mod scan;
pub mod header;
pub mod file_meta;
pub mod kind;
pub mod pixels;

pub mod patient;
pub mod text;
pub mod uid;
pub mod implementation;
pub mod check;
