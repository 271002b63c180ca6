//! Compares kept bytes with their hash: when they are used, and slowly in the background, so that rot is found while the
//! sender may still have the object. What is damaged is set aside with the reason; sent again, it is taken as new.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dicom::scan;
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::error::{At, Error, Result};
use super::{Shared, reader, segment};
use crate::instance::{Instance, Location};
use crate::store::{Durability, events, instances, progress};

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// Rows that are read at once.
const ROWS: u32 = 64;
/// Between two rounds over everything.
const ROUND_PAUSE: Duration = Duration::from_secs(3600);

/// Why an instance is damaged.
const OTHER_BYTES: &str = "its bytes on the disk are not those that were received";
const OTHER_HEAD: &str = "the head of its file on the disk is not the one that was written";
const NO_BYTES: &str = "its bytes cannot be read from the disk";

/// Checks the bytes of an instance. Blocks. `pace` is called for each piece with its bytes; it ends the check when it says
/// `false`.
///
/// # Errors
/// `Damaged`, after it was set aside; `Gone`, `Io`, `Database`.
pub(super) fn check(shared: &Arc<Shared>, instance: &Instance, mut pace: impl FnMut(usize) -> bool) -> Result<()> {
    let found =
        reader::open(shared, &instance.location).and_then(|reader| compare(reader, shared, instance, &mut pace));
    judged(shared, instance, found)
}

/// The bytes of an instance, from the preamble to the end, if they are those that were received. Blocks.
///
/// # Errors
/// As [`check`].
pub(super) fn read(shared: &Arc<Shared>, instance: &Instance) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let found = reader::open(shared, &instance.location).and_then(|reader| {
        bytes = reader.all().at(&shared.directory)?;
        compare(io::Cursor::new(bytes.as_slice()), shared, instance, &mut |_| true)
    });
    judged(shared, instance, found)?;
    Ok(bytes)
}

/// What is wrong with the bytes of an instance; `None`: they are those that were received. Blocks.
///
/// # Errors
/// `Io`: nobody knows.
pub(super) fn damage(shared: &Shared, instance: &Instance) -> Result<Option<&'static str>> {
    let path = match &instance.location {
        Location::Log { segment, .. } => segment::path(&shared.log, *segment),
        Location::File { file, .. } => shared.directory.join(file),
    };
    let found = File::open(&path).at(&path).and_then(|file| match instance.location {
        Location::Log { offset, length, .. } => {
            let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
            file.read_exact_at(&mut bytes, offset).at(&path)?;
            compare(io::Cursor::new(bytes), shared, instance, &mut |_| true)
        }
        Location::File { .. } => compare(file, shared, instance, &mut |_| true),
    });
    match found {
        Err(Error::Io { source, .. }) if is_of_the_disk(&source) || source.kind() == io::ErrorKind::NotFound => {
            Ok(Some(NO_BYTES))
        }
        found => found,
    }
}

/// SHA-256 of the data set in a Part 10 file of `length` bytes, lower-case hex; `None` when it does not begin as one. Blocks.
pub(super) fn hash(mut file: &File, length: u64) -> io::Result<Option<String>> {
    let offset = match scan::meta(file) {
        Ok(meta) => meta.data_set_offset,
        Err(scan::ScanError::Io(error)) => return Err(error),
        Err(_) => return Ok(None),
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut hash = Sha256::new();
    let copied = io::copy(&mut file, &mut hash)?;
    Ok((copied == length.saturating_sub(offset)).then(|| hex::encode(hash.finalize())))
}

/// Sets a damaged instance aside.
fn judged(shared: &Shared, instance: &Instance, found: Result<Option<&'static str>>) -> Result<()> {
    let what = match found {
        Ok(None) => return Ok(()),
        Ok(Some(what)) => what,
        Err(Error::Io { source, .. }) if is_of_the_disk(&source) => NO_BYTES,
        Err(error) => return Err(error),
    };
    let connection = shared.store.connect(Durability::Full)?;
    if instances::set_damaged(&connection, instance, what)? {
        tracing::error!(instance = instance.id, "damaged on the disk and set aside, send it again: {what}");
        events::record(&connection, &format!("instance/{}", instance.id), "damaged", what)?;
    }
    Err(Error::Damaged { instance: instance.id, what })
}

/// Unreadable blocks (EIO), or a file that is shorter than it was: not what another try mends.
fn is_of_the_disk(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

/// What is wrong with the bytes; `None` when they are those that were received, or `pace` ended it.
fn compare(
    mut reader: impl Read + Seek,
    shared: &Shared,
    instance: &Instance,
    pace: &mut impl FnMut(usize) -> bool,
) -> Result<Option<&'static str>> {
    let place = &shared.directory;
    let offset = match scan::meta(&mut reader) {
        Ok(meta) if meta.transfer_syntax_uid != instance.header.transfer_syntax_uid => return Ok(Some(OTHER_HEAD)),
        Ok(meta) => meta.data_set_offset,
        Err(scan::ScanError::Io(error)) => return Err(error).at(place),
        Err(_) => return Ok(Some(OTHER_HEAD)),
    };
    let mut left = instance.location.length().saturating_sub(offset);
    reader.seek(SeekFrom::Start(offset)).at(place)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        reader.read_exact(&mut piece[..want]).at(place)?;
        hash.update(&piece[..want]);
        left -= want as u64;
        if !pace(want) {
            return Ok(None);
        }
    }
    Ok((hex::encode(hash.finalize()) != instance.sha256).then_some(OTHER_BYTES))
}

/// The background thread: round and round over everything that is kept, at `check_mib_per_second`. Ends when the spool
/// closes.
pub(super) fn run(shared: &Arc<Shared>) {
    let Some(rate) = shared.check_rate else { return };
    hal::urgency::step_back();
    let mut connection = None;
    while !shared.shelf.is_stopped() {
        match some(shared, rate, &mut connection) {
            Ok(true) => {}
            Ok(false) => drop(shared.shelf.sleep(ROUND_PAUSE)),
            Err(error) => {
                tracing::warn!(%error, "the check of what is kept was interrupted; it goes on");
                shared.told(&error);
                connection = None;
                shared.shelf.sleep(Duration::from_secs(60));
            }
        }
    }
}

/// Checks the next instances. `false`: that was the last of the round.
fn some(shared: &Arc<Shared>, rate: u64, connection: &mut Option<Connection>) -> Result<bool> {
    if connection.is_none() {
        *connection = Some(shared.store.connect(Durability::Rebuildable)?);
    }
    let Some(connection) = connection else { return Ok(false) };
    let checked = progress::get(connection, progress::CHECKED)?;
    let next = instances::in_use_after(connection, checked, ROWS)?;
    let Some(last) = next.last().map(|instance| instance.id) else {
        progress::put(connection, progress::CHECKED, 0)?;
        return Ok(false);
    };
    for instance in &next {
        let mut begun = Instant::now();
        let pace = |bytes: usize| {
            let due = Duration::from_secs_f64(bytes as f64 / rate as f64);
            let go_on = shared.shelf.sleep(due.saturating_sub(begun.elapsed()));
            begun = Instant::now();
            go_on
        };
        match check(shared, instance, pace) {
            Ok(()) | Err(Error::Damaged { .. } | Error::Gone { .. }) => {}
            Err(error) => return Err(error),
        }
        if shared.shelf.is_stopped() {
            return Ok(true);
        }
    }
    progress::put(connection, progress::CHECKED, last)?;
    Ok(true)
}
