//! Reads instances back, and prevents the eviction of a segment that is being read.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{At, Result};
use super::{Shared, segment};
use crate::instance::Location;

/// Which segments are being read and which are being evicted. A segment that is used again holds other patients' bytes,
/// so nobody may be reading it by then.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    readers: HashMap<i64, usize>,
    retired: HashSet<i64>,
}

impl Leases {
    fn take(&self, segment: i64) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = !held.retired.contains(&segment);
        if free {
            *held.readers.entry(segment).or_default() += 1;
        }
        free
    }

    fn give_back(&self, segment: i64) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.readers.get_mut(&segment) {
            *count -= 1;
            if *count == 0 {
                held.readers.remove(&segment);
            }
        }
    }

    /// Prevents new readers of this segment. Returns false, and changes nothing, when it is being read.
    pub(super) fn retire(&self, segment: i64) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !held.readers.contains_key(&segment) && held.retired.insert(segment)
    }

    /// Undoes `retire`.
    pub(super) fn keep(&self, segment: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retired.remove(&segment);
    }
}

/// Reads one Part 10 file from the custody log or from its own file, from the preamble to the end. The bytes are not
/// evicted while the reader exists.
#[derive(Debug)]
pub struct Reader {
    file: File,
    start: u64,
    length: u64,
    position: u64,
    _lease: Option<Lease>,
}

#[derive(Debug)]
struct Lease {
    shared: Arc<Shared>,
    segment: i64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.leases.give_back(self.segment);
    }
}

pub(super) fn open(shared: &Arc<Shared>, location: &Location) -> Result<Reader> {
    match location {
        Location::Log { segment, offset, length } => {
            if !shared.leases.take(*segment) {
                return Err(segment::gone(format!("segment {segment}")));
            }
            let lease = Lease { shared: shared.clone(), segment: *segment };
            let file = open_file(&segment::path(&shared.log, *segment), || format!("segment {segment}"))?;
            Ok(Reader { file, start: *offset, length: *length, position: 0, _lease: Some(lease) })
        }
        Location::File { file: name, length } => {
            let file = open_file(&shared.directory.join(name), || name.clone())?;
            Ok(Reader { file, start: 0, length: *length, position: 0, _lease: None })
        }
    }
}

fn open_file(path: &Path, place: impl Fn() -> String) -> Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(segment::gone(place())),
        other => other.at(path),
    }
}

impl Reader {
    /// The whole file.
    pub(super) fn all(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, self.start)?;
        Ok(bytes)
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let want = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..want], self.start + self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
