//! Compares log, files and rows when the spool is started, and repairs differences.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dicom::header::Header;
use dicom::scan;
use rusqlite::Connection;

use super::error::{At, Result};
use super::large;
use super::record::{BLOCK, Entry};
use super::segment::{self, Found, Segment};
use super::writer::{Match, judge, note, reason as reason_of};
use super::{LARGE, Shared, check};
use crate::instance::{Location, Origin};
use crate::store::instances::{self, InstanceState};
use crate::store::places::{self, Place};
use crate::store::segments::{self, SegmentRow};
use crate::store::{self, choices, events, priors, rejections, results};

/// What was found at start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Rows that were restored from the log.
    pub instances_recovered: u64,
    /// Segments with records that were being written when the process or the power ended. These records were never
    /// acknowledged and are dropped.
    pub torn_records: u64,
    /// Removed files that no row names: partly received large instances, evicted segments.
    pub orphans_removed: u64,
    /// Instances whose bytes no longer exist. An event was recorded for each file.
    pub bytes_missing: u64,
    /// Segments whose head cannot be read. They are neither used nor removed.
    pub damaged_segments: u64,
    /// Jobs whose results no longer exist as files. They are done again where that is possible.
    pub results_lost: u64,
}

impl std::fmt::Display for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "recovered {} instances", self.instances_recovered)?;
        for (number, what) in [
            (self.torn_records, "torn records dropped"),
            (self.orphans_removed, "orphan files removed"),
            (self.bytes_missing, "instances whose bytes are missing"),
            (self.damaged_segments, "damaged segments"),
            (self.results_lost, "jobs whose results are missing"),
        ] {
            if number > 0 {
                write!(f, ", {number} {what}")?;
            }
        }
        Ok(())
    }
}

/// Where the writer continues.
#[derive(Debug)]
pub(super) struct Resume {
    pub(super) active: Option<(Segment, u64)>,
    pub(super) next_number: i64,
    pub(super) spares: Vec<PathBuf>,
}

pub(super) fn sweep(shared: &Shared, connection: &mut Connection) -> Result<(Resume, Recovery)> {
    let (directory, log) = (shared.directory.as_path(), shared.directory.join(super::LOG));
    let mut recovery = Recovery::default();
    let (files, spares) = log_files(&log, shared.segment_size)?;
    let known = known_segments(connection)?;
    let next_number = next_number(connection, &files, &known)?;
    // First: what an old copy of the database says of bytes that went since is no reason to drop those that came again.
    missing_bytes(directory, connection, &mut recovery)?;

    let mut active = None;
    let last = files.keys().next_back().copied();
    for (number, path) in files {
        let Some(segment) = Segment::open(path.clone(), number)? else {
            if is_freed(connection, &path, number)? {
                remove(&path, &mut recovery)?;
                segments::remove(connection, number)?;
            } else {
                recovery.damaged_segments += 1;
            }
            continue;
        };
        let known = known.get(&number).copied();
        let end = match known {
            // The last one is looked at all the same: versions up to 0.1.0 wrote to a sealed one when there was no room for another.
            Some(known) if known.sealed && Some(number) != last => known.indexed_to,
            _ => replay(shared, &segment, known, connection, &mut recovery)?,
        };
        let open = Some(number) == last && known.is_none_or(|known| !known.sealed) && end < segment.head.size;
        if open {
            active = Some((segment, end));
        } else if places::segment_in_use(connection, number)? {
            segments::seal(connection, number)?;
        } else {
            remove(&segment.path, &mut recovery)?;
            segments::remove(connection, number)?;
        }
    }
    orphans(shared, connection, &mut recovery)?;
    choices::decide_again(connection)?;
    results_of_jobs(directory, connection, &mut recovery)?;
    Ok((Resume { active, next_number, spares }, recovery))
}

/// Whether this was an evicted segment that was about to become a later one when the power was cut: it has the head of that one, and
/// nothing is written to a segment before its own name is on the disk.
fn is_freed(connection: &Connection, path: &Path, number: i64) -> Result<bool> {
    let is_later = segment::head_of(&fs::File::open(path).at(path)?, path)?.is_some_and(|head| head.number > number);
    Ok(is_later && !places::segment_in_use(connection, number)?)
}

fn log_files(log: &Path, segment_size: u64) -> Result<(BTreeMap<i64, PathBuf>, Vec<PathBuf>)> {
    let (mut segments, mut spares) = (BTreeMap::new(), Vec::new());
    for entry in fs::read_dir(log).at(log)? {
        let entry = entry.at(log)?;
        let path = entry.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("seg") => {
                if let Ok(number) = stem.parse::<i64>() {
                    segments.insert(number, path);
                }
            }
            Some("spare") if entry.metadata().at(&path)?.len() == segment_size => spares.push(path),
            // Incomplete, or not of the size that is configured now.
            Some("spare" | "tmp") => fs::remove_file(&path).at(&path)?,
            _ => {}
        }
    }
    Ok((segments, spares))
}

fn known_segments(connection: &Connection) -> Result<BTreeMap<i64, SegmentRow>> {
    Ok(segments::all(connection)?.into_iter().map(|row| (row.id, row)).collect())
}

/// Higher than every number that was ever used, so that a location never means two different records.
fn next_number(
    connection: &Connection,
    files: &BTreeMap<i64, PathBuf>,
    known: &BTreeMap<i64, SegmentRow>,
) -> Result<i64> {
    let in_rows = places::last_segment(connection)?;
    let last = |number: Option<&i64>| number.copied().unwrap_or_default();
    Ok(in_rows.max(last(files.keys().next_back())).max(last(known.keys().next_back())) + 1)
}

/// Restores missing rows from the records of a segment. Returns the offset for the next record.
fn replay(
    shared: &Shared,
    segment: &Segment,
    known: Option<SegmentRow>,
    connection: &mut Connection,
    recovery: &mut Recovery,
) -> Result<u64> {
    let indexed_to = known.map_or(BLOCK, |known| known.indexed_to);
    // What the last process wrote may be only in the page cache. It must be durable before it counts as custody.
    segment.sync()?;
    let transaction = connection.transaction()?;
    let (mut at, mut end) = (indexed_to, indexed_to);
    let mut torn = false;
    while at + BLOCK <= segment.head.size {
        let head = segment.head_at(at)?;
        let whole = match head {
            Some(head) => segment.record(head)?,
            None => None,
        };
        if let Some(found) = whole {
            recovery.instances_recovered += u64::from(insert(shared, segment.head.number, &found, &transaction)?);
            at = found.head.end();
            end = at;
        } else {
            // Torn, damaged, or never written. A complete record may follow a damaged one, so every block is examined.
            torn |= head.is_some();
            at += BLOCK;
        }
    }
    recovery.torn_records += u64::from(torn);
    segments::indexed_to(&transaction, segment.head.number, end)?;
    transaction.commit()?;
    Ok(end)
}

/// Returns whether a row was inserted.
fn insert(shared: &Shared, number: i64, found: &Found, connection: &Connection) -> Result<bool> {
    let Entry { state, reason, received_utc, origin, sha256, file, length, header } = &found.entry;
    let location = match file {
        Some(file) => Location::File { file: file.clone(), length: *length },
        None => Location::Log { segment: number, offset: found.head.payload_offset(), length: *length },
    };
    if instances::is_indexed(connection, &location)? {
        return Ok(false);
    }
    if let Some(file) = file
        && !fs::metadata(shared.directory.join(file)).is_ok_and(|metadata| metadata.len() == *length)
    {
        tracing::warn!(file, "the file of a large instance that the custody log names is missing");
        return Ok(false);
    }
    // After a failed group the sender may have sent the same bytes again: one row is enough.
    let parsed = if *state == InstanceState::Conflict { InstanceState::Kept } else { *state };
    let Some(state) = counts(shared, connection, header, sha256, parsed)? else { return Ok(false) };
    if state == InstanceState::Kept {
        priors::found(connection, header, origin, received_utc)?;
    }
    let header_json = serde_json::to_string(header).map_err(store::Error::from)?;
    let id = instances::insert(
        connection,
        &instances::New {
            header,
            header_json: &header_json,
            location: &location,
            record_segment: Some(number),
            sha256,
            state,
            reason: reason_of(state, reason.as_deref()),
            received_utc,
            origin,
        },
    )?;
    note(connection, id, state, reason.as_deref())?;
    Ok(true)
}

/// The state in which an object is taken into custody beside those with its UID that are known; `None`: the same bytes are, and they
/// are sound. A copy of the database may be older than the damage for which they were sent again.
fn counts(
    shared: &Shared,
    connection: &Connection,
    header: &Header,
    sha256: &str,
    state: InstanceState,
) -> Result<Option<InstanceState>> {
    loop {
        let others = instances::by_sop_uid(connection, &header.sop_instance_uid)?;
        let same = match judge(&others, sha256, state) {
            Match::Keep(state) => return Ok(Some(state)),
            Match::Same(index) => instances::get(connection, others[index].id)?,
        };
        let Some(same) = same else { return Ok(None) };
        let Some(what) = check::damage(shared, &same)? else { return Ok(None) };
        if !instances::set_damaged(connection, &same, what)? {
            return Ok(None);
        }
        tracing::warn!(instance = same.id, "damaged, and sent again before the database was built again: {what}");
        events::record(connection, &format!("instance/{}", same.id), "damaged", what)?;
    }
}

/// Marks instances whose bytes are missing as evicted: otherwise a sender that tries again would receive `AlreadySo`.
fn missing_bytes(directory: &Path, connection: &Connection, recovery: &mut Recovery) -> Result<()> {
    for (place, bytes) in places::needed(connection)? {
        let path = match &place {
            Place::Segment(number) => segment::path(&directory.join(super::LOG), *number),
            Place::File(file) => directory.join(file),
        };
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() >= bytes) {
            continue;
        }
        let rows = places::lost(connection, &place)?;
        recovery.bytes_missing += rows as u64;
        let place = place.subject();
        events::record(connection, &place, "bytes missing", &format!("{rows} instances"))?;
        tracing::error!(place, instances = rows, "bytes in custody are missing");
    }
    Ok(())
}

/// Removes large files that are incomplete, cannot be read, or are evicted. Nothing is removed while part of the log cannot
/// be read, because that part might name them. A whole one that nothing names was perhaps acknowledged, and its record lost with
/// database and segment: it is taken into custody.
///
/// Those of this session are being received, or remove themselves.
fn orphans(shared: &Shared, connection: &Connection, recovery: &mut Recovery) -> Result<()> {
    if recovery.damaged_segments > 0 {
        return Ok(());
    }
    let named = places::files(connection)?;
    let folder = shared.directory.join(LARGE);
    for entry in fs::read_dir(&folder).at(&folder)? {
        let entry = entry.at(&folder)?;
        let name = format!("{LARGE}/{}", entry.file_name().to_string_lossy());
        if named.get(&name) == Some(&true) || large::is_of_session(shared, &name) {
            continue;
        }
        let is_unknown = !named.contains_key(&name) && entry.path().extension().is_some_and(|end| end == "dcm");
        if is_unknown && adopt(shared, connection, &name)? {
            recovery.instances_recovered += 1;
        } else {
            remove(&entry.path(), recovery)?;
        }
    }
    Ok(())
}

/// Takes a large file into custody that neither a row nor the log names. `false`: it is no DICOM object, or is known.
fn adopt(shared: &Shared, connection: &Connection, name: &str) -> Result<bool> {
    let path = shared.directory.join(name);
    let file = fs::File::open(&path).at(&path)?;
    let metadata = file.metadata().at(&path)?;
    let Ok(scanned) = scan::scan(&file) else { return Ok(false) };
    let (header, length) = (scanned.header, metadata.len());
    let Some(sha256) = check::hash(&file, length).at(&path)? else { return Ok(false) };
    let Some(state) = counts(shared, connection, &header, &sha256, InstanceState::Kept)? else { return Ok(false) };
    let received_utc = metadata.modified().ok().and_then(store::utc_of).unwrap_or_else(store::now_utc);
    let id = instances::insert(
        connection,
        &instances::New {
            header: &header,
            header_json: &serde_json::to_string(&header).map_err(store::Error::from)?,
            location: &Location::File { file: name.to_owned(), length },
            record_segment: None,
            sha256: &sha256,
            state,
            reason: reason_of(state, None),
            received_utc: &received_utc,
            origin: &Origin::default(),
        },
    )?;
    note(connection, id, state, None)?;
    tracing::warn!(file = name, "nothing named this large instance, it is taken into custody again");
    events::record(connection, &format!("instance/{id}"), "found without a record", name)?;
    Ok(true)
}

/// Results without a file (the database came from a copy, and they were evicted since), and folders without a row (an
/// attempt that was interrupted, or evicted results).
fn results_of_jobs(directory: &Path, connection: &Connection, recovery: &mut Recovery) -> Result<()> {
    let is_here =
        |file: &str, length: u64| fs::metadata(directory.join(file)).is_ok_and(|metadata| metadata.len() == length);
    let files = results::files(connection)?.into_iter();
    let mut lost = BTreeSet::new();
    for (job, file, _) in files.filter(|(_, file, length)| !is_here(file, *length)) {
        if !rejections::lost(connection, &file)? {
            lost.insert(job);
        }
    }
    for job in lost {
        let again = results::lost(connection, job)?;
        tracing::warn!(job, again, "the files of results are missing");
        recovery.results_lost += 1;
    }
    let known = results::folders(connection)?;
    let folder = directory.join("results");
    for entry in fs::read_dir(&folder).into_iter().flatten() {
        let entry = entry.at(&folder)?;
        let name = format!("results/{}", entry.file_name().to_string_lossy());
        if !known.contains(&name) && entry.file_type().at(&folder)?.is_dir() {
            fs::remove_dir_all(entry.path()).at(&folder)?;
            recovery.orphans_removed += 1;
        }
    }
    Ok(())
}

fn remove(path: &Path, recovery: &mut Recovery) -> Result<()> {
    fs::remove_file(path).at(path)?;
    recovery.orphans_removed += 1;
    Ok(())
}
