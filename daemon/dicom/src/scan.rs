//! Reads the header of one Part 10 file without its pixels. Iterative and bounded in depth, time and memory, because
//! the bytes may come from an untrusted peer.
//!
//! `source` reads and skips bytes (and inflates them where needed), `meta` reads the file meta group, `walk` traverses
//! the structure with an explicit stack, `collect` keeps the few values that are wanted, `text` decodes text for
//! display.

mod answer;
mod collect;
mod guess;
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
pub use answer::Answer;
pub use item::{Besides, Item};
pub use meta::{Meta, is_deflated};
use source::Source;

/// Greatest nesting depth of sequences. It is low enough for recursive parsers, such as the one in `pixels::parse`.
pub const MAX_DEPTH: usize = 64;
/// A deflated data set may inflate to this many bytes.
pub const MAX_INFLATED: u64 = 1 << 30;
/// Values longer than this many bytes are not collected: no attribute that results copy may be longer (LT: 10,240
/// characters).
const MAX_VALUE: u64 = 16 * 1024;

/// The result of one pass over a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    pub header: Header,
    /// Top-level attributes that results copy (patient, study, series, frame of reference, equipment), in file order.
    pub elements: Vec<RawElement>,
}

/// One element as it is in the file: its bytes, padding included, in the character set of (0008,0005).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawElement {
    pub tag: Tag,
    pub vr: VR,
    pub value: Vec<u8>,
}

/// Why a file cannot be parsed, in plain words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    #[error("not a DICOM file: no DICM at byte 128")]
    NotPart10,
    #[error("the file meta group does not name a transfer syntax")]
    NoTransferSyntax,
    #[error("truncated: {tag} has a length of {needed} bytes, but only {remaining} remain")]
    Truncated { tag: Tag, needed: u64, remaining: u64 },
    #[error("truncated: the data ends inside an element header, sequence or item at byte {offset}")]
    EndsInside { offset: u64 },
    #[error("malformed at byte {offset}: {what}")]
    Malformed { offset: u64, what: String },
    #[error("{tag} has {length} bytes, which is no whole number of values ({vr})")]
    Uneven { tag: Tag, vr: VR, length: u64 },
    #[error("sequences nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("the deflated data set inflates to more than {} MiB", MAX_INFLATED >> 20)]
    InflatesTooMuch,
    #[error("the deflated data set is corrupt")]
    CorruptDeflate,
    #[error("{0} is missing or empty")]
    Missing(&'static str),
    #[error("{0} holds a character that no UID may hold (only digits and dots, PS3.5 section 9.1)")]
    NoUid(&'static str),
    #[error("{what} is longer than {limit} characters")]
    TooLong { what: &'static str, limit: usize },
    /// An error of the disk, not of the file's content.
    #[error("cannot be read: {0}")]
    Io(io::Error),
}

/// Reads the header and the copied attributes in one pass over the whole file. Pixel data is skipped.
///
/// # Errors
/// When the file is too malformed to be accepted as an instance; the reason is in plain words.
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

/// Whether a recursive parser may be given the file: its nesting is bounded, and no element has a length that is no multiple
/// of the size of its numbers. Such a parser reads whole numbers only, takes what is left over for the next element, and
/// believes the length that it finds there.
///
/// # Errors
/// As [`scan`]; `Uneven`.
pub fn check<R: Read + Seek>(part10: R) -> Result<(), ScanError> {
    let mut source = Source::open(part10)?;
    let meta = meta::read(&mut source)?;
    if is_deflated(&meta.transfer_syntax_uid) {
        source = source.inflated()?;
    }
    let mut values = collect::Values::default();
    walk::walk(&mut source, walk::Syntax::of(&meta.transfer_syntax_uid), &mut values)?;
    match values.uneven {
        Some((tag, vr, length)) => Err(ScanError::Uneven { tag, vr, length }),
        None => Ok(()),
    }
}

/// Reads a Modality Worklist item. It is not an instance, so it needs neither SOP nor series UID.
///
/// # Errors
/// As [`scan`]; also when the item is deflated.
pub fn item<R: Read + Seek>(part10: R) -> Result<Item, ScanError> {
    let mut source = Source::open(part10)?;
    let meta = meta::read(&mut source)?;
    if is_deflated(&meta.transfer_syntax_uid) {
        let what = "a deflated worklist item".into();
        return Err(ScanError::Malformed { offset: meta.data_set_offset, what });
    }
    item_from(&mut source, &meta.transfer_syntax_uid)
}

/// As [`item`], of a data set without a file around it, as a worklist server answers.
///
/// # Errors
/// As [`scan`].
pub fn item_of_data_set(bytes: &[u8], transfer_syntax_uid: &str) -> Result<Item, ScanError> {
    item_from(&mut Source::open(io::Cursor::new(bytes))?, transfer_syntax_uid)
}

/// Reads one answer of an archive to a question for studies or series, a data set without a file around it.
///
/// # Errors
/// As [`scan`].
pub fn answer_of_data_set(bytes: &[u8], transfer_syntax_uid: &str) -> Result<Answer, ScanError> {
    let mut source = Source::open(io::Cursor::new(bytes))?;
    let mut values = collect::Values::default();
    walk::walk(&mut source, walk::Syntax::of(transfer_syntax_uid), &mut values)?;
    Ok(values.into_answer())
}

fn item_from<R: Read + Seek>(source: &mut Source<R>, transfer_syntax_uid: &str) -> Result<Item, ScanError> {
    let mut values = collect::Values::default();
    walk::walk(source, walk::Syntax::of(transfer_syntax_uid), &mut values)?;
    Ok(values.into_item())
}

/// Reads only the file meta group: transfer syntax, SOP UIDs, and where the data set begins.
///
/// # Errors
/// When this is not a Part 10 file.
pub fn meta<R: Read + Seek>(part10: R) -> Result<Meta, ScanError> {
    meta::read(&mut Source::open(part10)?)
}
