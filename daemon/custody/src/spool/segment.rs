//! One file of the custody log. Its blocks are allocated in advance and overwritten in place, because a disk syncs them
//! ten times faster than blocks that it must allocate first.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::error::{At, Error, Result};
use super::record::{BLOCK, Entry, RECORD_HEAD, RecordHead, SegmentHead, aligned};

/// Zeros are written and synced in pieces of this many bytes, so that a record never waits behind a long queue of them.
const PIECE: usize = 4 << 20;
const PADDING: [u8; PADDING_BYTES] = [0; PADDING_BYTES];
#[expect(clippy::cast_possible_truncation, reason = "a block is 4096 bytes")]
const PADDING_BYTES: usize = BLOCK as usize;

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) head: SegmentHead,
    pub(super) path: PathBuf,
    file: File,
}

/// A record found in a segment.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) head: RecordHead,
    pub(super) entry: Entry,
}

pub(super) fn path(log: &Path, number: i64) -> PathBuf {
    log.join(format!("{number:08}.seg"))
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory).and_then(|file| file.sync_all()).at(directory)
}

/// A random number from the seed of a hash map, so that no crate is needed.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(std::time::SystemTime::now())
}

/// Writes a file of zeros under a temporary name and renames it to `name`. Stops and removes it when `go_on` returns
/// false.
pub(super) fn make_spare(log: &Path, name: &str, size: u64, go_on: impl Fn() -> bool) -> Result<Option<PathBuf>> {
    let temporary = log.join(format!("{name}.tmp"));
    let written = fill(&temporary, size, go_on);
    let spare = log.join(format!("{name}.spare"));
    let result = match written {
        Ok(true) => fs::rename(&temporary, &spare).at(&spare).map(|()| Some(spare)),
        Ok(false) => Ok(None),
        Err(error) => Err(error),
    };
    if !matches!(result, Ok(Some(_))) {
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn fill(path: &Path, size: u64, go_on: impl Fn() -> bool) -> Result<bool> {
    let mut file = File::create(path).at(path)?;
    let zeros = vec![0; PIECE];
    let mut left = size;
    while left > 0 {
        if !go_on() {
            return Ok(false);
        }
        let piece = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        file.write_all(&zeros[..piece]).at(path)?;
        file.sync_data().at(path)?;
        left -= piece as u64;
    }
    Ok(true)
}

/// `None` when it is damaged.
pub(super) fn head_of(file: &File, path: &Path) -> Result<Option<SegmentHead>> {
    let mut block = [0; 64];
    match file.read_exact_at(&mut block, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        other => other.map(|()| SegmentHead::decode(&block)).at(path),
    }
}

impl Segment {
    /// Turns a spare file into segment `number`. Its name and head are durable when this returns.
    pub(super) fn take(spare: &Path, log: &Path, number: i64, size: u64) -> Result<Self> {
        let head = SegmentHead { number, epoch: random(), size };
        let file = File::options().read(true).write(true).open(spare).at(spare)?;
        file.write_all_at(&head.encode(), 0).at(spare)?;
        file.sync_data().at(spare)?;
        let path = path(log, number);
        fs::rename(spare, &path).at(&path)?;
        sync_directory(log)?;
        Ok(Self { head, path, file })
    }

    /// `None` when the head is damaged.
    pub(super) fn open(path: PathBuf, number: i64) -> Result<Option<Self>> {
        let file = File::options().read(true).write(true).open(&path).at(&path)?;
        let head = head_of(&file, &path)?.filter(|head| head.number == number);
        Ok(head.map(|head| Self { head, path, file }))
    }

    /// Writes one record at `offset`; it is durable after [`Segment::sync`]. `front` is the head, the entry and the
    /// start of the payload, `body` the rest of the payload. The last block is padded, so that the kernel need not read
    /// it first.
    pub(super) fn write(&self, offset: u64, front: &[u8], body: &[u8]) -> Result<()> {
        let end = offset + (front.len() + body.len()) as u64;
        let padding = usize::try_from(aligned(end) - end).unwrap_or_default();
        let mut slices = [IoSlice::new(front), IoSlice::new(body), IoSlice::new(&PADDING[..padding])];
        let mut slices = &mut slices[..];
        let mut at = offset;
        while !slices.is_empty() {
            match rustix::io::pwritev(&self.file, slices, at).map_err(io::Error::from) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)).at(&self.path),
                Ok(written) => {
                    at += written as u64;
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).at(&self.path),
            }
        }
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().at(&self.path)
    }

    /// The head of a record at `offset`, if there is one.
    pub(super) fn head_at(&self, offset: u64) -> Result<Option<RecordHead>> {
        let mut bytes = [0; RECORD_HEAD];
        match self.file.read_exact_at(&mut bytes, offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other.at(&self.path)?,
        }
        Ok(RecordHead::decode(&bytes, self.head.epoch, offset).filter(|head| head.end() <= self.head.size))
    }

    /// The whole record, if all of its checksums match.
    pub(super) fn record(&self, head: RecordHead) -> Result<Option<Found>> {
        let mut json = vec![0; head.entry_length as usize];
        let payload = match self.file.read_exact_at(&mut json, head.offset + RECORD_HEAD as u64) {
            Ok(()) if crc32fast::hash(&json) == head.entry_crc => self.payload_crc(&head),
            Ok(()) => return Ok(None),
            Err(error) => Err(error),
        };
        match payload {
            Ok(crc) if crc == head.payload_crc => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error).at(&self.path),
        }
        Ok(serde_json::from_slice(&json).ok().map(|entry| Found { head, entry }))
    }

    fn payload_crc(&self, head: &RecordHead) -> io::Result<u32> {
        let mut crc = crc32fast::Hasher::new();
        let mut buffer = vec![0; 1 << 20];
        let (mut at, mut left) = (head.payload_offset(), head.payload_length);
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            self.file.read_exact_at(&mut buffer[..piece], at)?;
            crc.update(&buffer[..piece]);
            at += piece as u64;
            left -= piece as u64;
        }
        Ok(crc.finalize())
    }
}

/// Removes the segments that are ready and hold nothing. Says how many bytes they had.
pub(super) fn remove_spares(log: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(log).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "spare") {
            bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            std::fs::remove_file(&path).at(&path)?;
        }
    }
    Ok(bytes)
}

/// The error for a location that was evicted.
pub(super) fn gone(place: impl Into<String>) -> Error {
    Error::Gone { place: place.into() }
}
