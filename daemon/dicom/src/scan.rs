//! Reads the facts of one Part 10 file without reading its pixels: iterative, bounded in depth, time and memory, for
//! bytes from anybody.
//!
//! `source` reads and skips (inflating where needed), `meta` reads the file meta group, `walk` goes through the
//! structure with a stack of its own, `collect` keeps the few values that are wanted, `text` decodes for display.

mod collect;
mod item;
mod meta;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod walk;

use std::io::{self, Read, Seek};

use dicom_core::{Tag, VR};

use crate::header::Header;
pub use item::Item;
pub use meta::{Meta, is_deflated};
use source::Source;

/// Sequences may nest this deep. Readers that recurse (ours for pixels does) are safe with anything that passes.
pub const MAX_DEPTH: usize = 64;
/// A deflated data set may inflate to this many bytes.
pub const MAX_INFLATED: u64 = 1 << 30;
/// Values longer than this are not collected: no attribute that results copy may be longer (LT: 10240 characters).
const MAX_VALUE: u64 = 16 * 1024;

/// What one pass over a file found.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    pub header: Header,
    /// Top-level attributes that results copy (patient, study, series, frame of reference, equipment), in file order.
    pub elements: Vec<RawElement>,
}

/// One element as it is in the file: bytes, padding included, in the character set of (0008,0005).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawElement {
    pub tag: Tag,
    pub vr: VR,
    pub value: Vec<u8>,
}

/// Why a file cannot be read, in plain words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    #[error("not a DICOM file: no DICM at byte 128")]
    NotPart10,
    #[error("the file meta group names no transfer syntax")]
    NoTransferSyntax,
    #[error("truncated: {tag} says {needed} bytes, {remaining} remain")]
    Truncated { tag: Tag, needed: u64, remaining: u64 },
    #[error("truncated: the data ends inside an element header, sequence or item at byte {offset}")]
    EndsInside { offset: u64 },
    #[error("malformed at byte {offset}: {what}")]
    Malformed { offset: u64, what: String },
    #[error("sequences nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("the deflated data set inflates to more than {} MiB", MAX_INFLATED >> 20)]
    InflatesTooMuch,
    #[error("the deflated data set is corrupt")]
    CorruptDeflate,
    #[error("{0} is missing or empty")]
    Missing(&'static str),
    #[error("{what} is longer than {limit} characters")]
    TooLong { what: &'static str, limit: usize },
    /// The disk, not the file.
    #[error("cannot be read: {0}")]
    Io(io::Error),
}

/// One pass over the whole file. Pixel data is skipped.
///
/// # Errors
/// When the file is not well-formed enough to keep as an instance; the reason is in plain words.
pub fn scan<R: Read + Seek>(part10: R) -> Result<Scan, ScanError> {
    let mut source = Source::open(part10)?;
    let meta = meta::read(&mut source)?;
    let syntax = walk::Syntax::of(&meta.transfer_syntax_uid);
    if is_deflated(&meta.transfer_syntax_uid) {
        source = source.inflated()?;
    }
    let mut values = collect::Values::default();
    walk::walk(&mut source, syntax, &mut values)?;
    values.into_scan(&meta)
}

/// A Modality Worklist item: no instance, so that neither SOP nor series UID is needed.
///
/// # Errors
/// As [`scan`]; a deflated item is refused.
pub fn item<R: Read + Seek>(part10: R) -> Result<Item, ScanError> {
    let mut source = Source::open(part10)?;
    let meta = meta::read(&mut source)?;
    if is_deflated(&meta.transfer_syntax_uid) {
        let what = "a deflated worklist item".into();
        return Err(ScanError::Malformed { offset: meta.data_set_offset, what });
    }
    let mut values = collect::Values::default();
    walk::walk(&mut source, walk::Syntax::of(&meta.transfer_syntax_uid), &mut values)?;
    Ok(values.into_item())
}

/// The file meta group alone: transfer syntax, SOP UIDs, and where the data set begins.
///
/// # Errors
/// When this is not a Part 10 file.
pub fn meta<R: Read + Seek>(part10: R) -> Result<Meta, ScanError> {
    meta::read(&mut Source::open(part10)?)
}
