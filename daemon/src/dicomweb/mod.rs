//! DICOMweb, read-only (PS3.18): what the box holds, received objects and its own results, is searched (QIDO-RS) and
//! fetched (WADO-RS) by viewers and scripts.
//!
//! `query` says what is wanted, `answers` how a row is written as DICOM JSON. `console` serves it, behind its login.

mod answers;
mod frames;
mod query;

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use custody::instance::Instance;
use custody::spool::{self, Spool};
use custody::store::lists::{self, Wanted};
use custody::store::results::{self, ResultRow};
use custody::store::{self, instances, series};
use dicom::header::Header;
use dicom::pixels::error::DecodeError;
use dicom::pixels::pictures::Pictures;
use dicom_dictionary_std::uids;
use dicom_object::FileMetaTable;
use rusqlite::Connection;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use query::{Error as QueryError, Query};

use crate::at_once::{AtOnce, Busy};
use crate::reader::{Lost, Reader};
use crate::room::{Full, Held as Given, Room};

/// Objects that are read at the same time, over all requests.
const AT_ONCE: usize = 2;
/// How long an object that is to be written waits for those before it.
const PLACE_WITHIN: Duration = Duration::from_secs(60);
/// Explicit VR Big Endian, which is retired and still sent.
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
/// For all answers that clients have not taken yet.
const ROOM_MIB: u32 = 1024;
/// The largest object that is read whole into memory: to change its transfer syntax, or for its frames.
const MOST_BYTES: u64 = 512 << 20;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such study, series, instance or frame here")]
    NotFound,
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("the object is stored in transfer syntax {stored}; ask for it with transfer-syntax={stored} or *")]
    TransferSyntax { stored: String },
    #[error(
        "a frame has {is} when it is decoded, and the metadata say {said}: fetch the object as it is stored, with transfer-syntax=*"
    )]
    NotAsSaid { is: String, said: String },
    #[error("the object is too large for this: {mib} MiB, {most_mib} MiB are allowed")]
    TooLarge { mib: u64, most_mib: u64 },
    #[error("the pixels cannot be decoded: {0}")]
    Decode(#[from] DecodeError),
    #[error("the object cannot be read: {0}")]
    DataSet(String),
    #[error("the bytes cannot be read: {0}")]
    Spool(#[from] spool::Error),
    #[error("a result file cannot be read: {0}")]
    Result(#[from] std::io::Error),
    #[error("the file of a result is not what was made")]
    Damaged,
    #[error("the object cannot be written to the file that was given: {0}")]
    Target(std::io::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Full(#[from] Full),
    #[error("the work for this request was not finished: {0}")]
    Task(#[from] tokio::task::JoinError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebFault {
    NotFound,
    /// The question has a mistake.
    Wrong,
    /// It is there, but not in this form.
    NotInThisForm,
    /// Trying again may help.
    Internal,
}

impl Error {
    pub fn kind(&self) -> WebFault {
        match self {
            Self::NotFound => WebFault::NotFound,
            Self::Query(_) => WebFault::Wrong,
            Self::Decode(error) if error.is_transient() => WebFault::Internal,
            Self::TransferSyntax { .. } | Self::NotAsSaid { .. } | Self::TooLarge { .. } => WebFault::NotInThisForm,
            Self::Decode(_) | Self::DataSet(_) => WebFault::NotInThisForm,
            Self::Spool(_) | Self::Result(_) | Self::Damaged | Self::Target(_) | Self::Store(_) => WebFault::Internal,
            Self::Lost(_) | Self::Busy(_) | Self::Full(_) | Self::Task(_) => WebFault::Internal,
        }
    }
}

/// Which objects of a study.
#[derive(Debug, Clone, Default)]
pub struct Which {
    pub study_uid: String,
    pub series_uid: Option<String>,
    pub sop_uid: Option<String>,
}

impl Which {
    fn takes(&self, header: &Header) -> bool {
        self.series_uid.as_ref().is_none_or(|uid| *uid == header.series_instance_uid)
            && self.sop_uid.as_ref().is_none_or(|uid| *uid == header.sop_instance_uid)
    }
}

/// An object that the box holds.
#[derive(Debug, Clone)]
pub struct Object {
    pub header: Header,
    held: Held,
}

#[derive(Debug, Clone)]
enum Held {
    Received(Box<Instance>),
    Made {
        file: PathBuf,
        length: u64,
        sha256: String,
    },
    /// It was made, and cannot be given: why.
    Lost {
        why: String,
    },
    /// It came from outside, and cannot be given: why.
    Gone {
        why: &'static str,
    },
}

impl Object {
    /// It came from outside; otherwise it was made here.
    pub fn is_received(&self) -> bool {
        matches!(self.held, Held::Received(_) | Held::Gone { .. })
    }

    /// Why it cannot be given: a result that cannot be read any more, an image whose bytes are gone.
    pub fn trouble(&self) -> Option<&str> {
        match &self.held {
            Held::Lost { why } => Some(why),
            Held::Gone { why } => Some(why),
            Held::Received(_) | Held::Made { .. } => None,
        }
    }

    /// Of its Part 10 file, bytes.
    pub fn length(&self) -> u64 {
        match &self.held {
            Held::Lost { .. } | Held::Gone { .. } => 0,
            Held::Received(instance) => instance.location.length(),
            Held::Made { length, .. } => *length,
        }
    }
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Web {
    reader: Reader,
    spool: Spool,
    folder: PathBuf,
    at_once: AtOnce,
    /// Of answers.
    room: Room,
    /// Objects that are written to files of others.
    exports: AtOnce,
}

/// Rows as DICOM JSON.
type Rows = Vec<Map<String, Value>>;

impl Web {
    /// `folder`: the spool directory, where the results are.
    pub fn new(reader: Reader, spool: Spool, folder: PathBuf) -> Self {
        let (room, [at_once, exports]) = (Room::new(ROOM_MIB), [(); 2].map(|()| AtOnce::new(AT_ONCE)));
        Self { reader, spool, folder, at_once, room, exports }
    }

    /// Studies that are like that, newest first. `base`: address of this service, for the links.
    ///
    /// # Errors
    /// When the database does not answer (as for all below).
    pub async fn studies(&self, query: Query, base: String) -> Result<Rows, Error> {
        let read = move |connection: &Connection| {
            let wanted =
                Wanted { limit: u32::MAX, study_uid: query.study_uid().map(str::to_owned), ..Wanted::default() };
            let mut rows = Rows::new();
            let mut skipped = 0;
            for study in lists::studies(connection, &wanted)? {
                let made = results::newest_of_study(connection, &study.study_uid)?;
                let modalities = answers::modalities(&study, &made);
                // Of an evicted study only the verdict is left.
                let held = study.instance_count > 0 && study.state != "evicted";
                if !held || !query.is_study(&study.header, &modalities) {
                    continue;
                }
                if skipped < query.offset {
                    skipped += 1;
                    continue;
                }
                rows.push(answers::study(&study, &made, &modalities, &base));
                if rows.len() >= query.limit {
                    break;
                }
            }
            Ok(rows)
        };
        self.reader.read(read).await
    }

    /// Series of one study that have an object like that.
    ///
    /// # Errors
    /// `NotFound` when nothing of the study is here.
    pub async fn series(&self, study_uid: String, query: Query, base: String) -> Result<Rows, Error> {
        let objects = self.objects(Which { study_uid, ..Which::default() }).await?;
        let mut rows: Vec<(&Header, usize)> = Vec::new();
        for Object { header, .. } in objects.iter().filter(|object| query.is_object(&object.header)) {
            match rows.iter_mut().find(|(of, _)| of.series_instance_uid == header.series_instance_uid) {
                Some((_, count)) => *count += 1,
                None => rows.push((header, 1)),
            }
        }
        let rows = rows.into_iter().skip(query.offset).take(query.limit);
        Ok(rows.map(|(header, count)| answers::series(header, count, &base)).collect())
    }

    /// Objects of one study, or of one series of it, that are like that.
    ///
    /// # Errors
    /// `NotFound` when nothing of the study or series is here.
    pub async fn instances(&self, which: Which, query: Query, base: String) -> Result<Rows, Error> {
        let objects = self.objects(which).await?;
        let found = objects.iter().filter(|object| query.is_object(&object.header));
        let rows = found.skip(query.offset).take(query.limit);
        Ok(rows.map(|object| answers::instance(&object.header, &base)).collect())
    }

    /// # Errors
    /// `NotFound` when there is none.
    pub async fn objects(&self, which: Which) -> Result<Vec<Object>, Error> {
        let mut objects = self.objects_and_lost(which).await?;
        objects.retain(|object| object.trouble().is_none());
        if objects.is_empty() { Err(Error::NotFound) } else { Ok(objects) }
    }

    /// As [`Web::objects`], and what should be there and cannot be given: a study in part must not look whole.
    ///
    /// # Errors
    /// `NotFound` when there is neither.
    pub async fn objects_and_lost(&self, which: Which) -> Result<Vec<Object>, Error> {
        let folder = self.folder.clone();
        let read = move |connection: &Connection| {
            let mut objects = match &which.sop_uid {
                Some(sop_uid) => named(connection, &folder, &which.study_uid, sop_uid)?,
                None => all(connection, &folder, &which.study_uid)?,
            };
            objects.retain(|object| which.takes(&object.header));
            objects.sort_by_key(|object| (object.header.series_number, object.header.instance_number));
            if objects.is_empty() { Err(Error::NotFound) } else { Ok(objects) }
        };
        self.reader.read(read).await
    }

    /// The Part 10 file of an object, as it is stored, or in Explicit VR Little Endian, the form for whoever names none.
    /// `wanted`: transfer syntax; `*` is any, `None` the default.
    ///
    /// # Errors
    /// `TransferSyntax` when it is stored in another form that is not changed here.
    pub async fn file(&self, object: &Object, wanted: Option<&str>) -> Result<Given, Error> {
        let stored = object.header.transfer_syntax_uid.clone();
        let wanted = wanted.unwrap_or(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let as_stored = wanted == "*" || wanted == stored;
        let is_changed = [uids::IMPLICIT_VR_LITTLE_ENDIAN, BIG_ENDIAN].contains(&stored.as_str());
        let is_rewritten = is_changed && wanted == uids::EXPLICIT_VR_LITTLE_ENDIAN;
        if !as_stored && !is_rewritten {
            return Err(Error::TransferSyntax { stored });
        }
        // One that is written again is in memory twice meanwhile.
        let place = self.room.take(object.length().saturating_mul(if as_stored { 1 } else { 2 })).await?;
        let (web, object) = (self.clone(), object.clone());
        self.at_once
            .work(move || {
                let bytes = web.bytes(&object)?;
                Ok(place.hold(if as_stored { bytes } else { explicit(&bytes)? }))
            })
            .await
    }

    /// One object by its SOP Instance UID, without a look at the others of its study.
    ///
    /// # Errors
    /// `NotFound` when the study has none that counts.
    pub async fn one(&self, study_uid: String, sop_uid: String) -> Result<Object, Error> {
        let folder = self.folder.clone();
        let read = move |connection: &Connection| {
            for known in instances::by_sop_uid(connection, &sop_uid)? {
                let kept = instances::get_kept(connection, known.id)?;
                if let Some(kept) = kept.filter(|kept| kept.header.study_instance_uid == study_uid) {
                    return Ok(received(kept));
                }
            }
            let row = results::counting(connection, &sop_uid)?.filter(|row| row.study_uid == study_uid);
            let row = row.ok_or(Error::NotFound)?;
            let file = folder.join(&row.file);
            // One that is gone was evicted.
            let open = File::open(&file).map_err(|_| Error::NotFound)?;
            let header = dicom::scan::scan(BufReader::new(open)).map_err(|error| Error::DataSet(error.to_string()))?;
            Ok(Object { header: header.header, held: Held::Made { file, length: row.length, sha256: row.sha256 } })
        };
        self.reader.read(read).await
    }

    /// Writes the Part 10 file of an object, byte for byte as it is kept and checked against its hash, to a file that somebody
    /// has opened. Returns the SHA-256 of what was written, lower-case hex.
    ///
    /// # Errors
    /// `Target` when that file cannot be written.
    pub async fn write(&self, object: &Object, to: File) -> Result<String, Error> {
        let (web, object) = (self.clone(), object.clone());
        self.exports
            .work_within(PLACE_WITHIN, move || match &object.held {
                Held::Received(instance) => {
                    web.spool.check(instance)?;
                    copy(&mut web.spool.reader(&instance.location)?, to)
                }
                Held::Made { file, sha256, .. } => {
                    let written = copy(&mut File::open(file)?, to)?;
                    if written == *sha256 { Ok(written) } else { Err(Error::Damaged) }
                }
                Held::Lost { .. } | Held::Gone { .. } => Err(Error::NotFound),
            })
            .await
    }

    /// All elements before the pixels, without binary ones, as DICOM JSON.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub async fn metadata(&self, object: &Object) -> Result<Given, Error> {
        let place = self.room.take(object.length()).await?;
        let (web, object) = (self.clone(), object.clone());
        let read = move || Ok::<_, Error>(dicom::json::of_part10(&web.bytes(&object)?)?.to_string().into_bytes());
        let json = self.at_once.work(read).await?;
        // A client that is slow keeps room for what it gets, not for the pixels.
        drop(place);
        Ok(self.room.take(json.len() as u64).await?.hold(json))
    }

    /// Frames, numbered from 1, uncompressed and little endian, as the metadata of the object describe them.
    ///
    /// # Errors
    /// `NotFound` for a number that is not there, `NotAsSaid` for one that cannot be given so.
    pub async fn frames(&self, object: &Object, numbers: Vec<u32>) -> Result<Vec<Given>, Error> {
        // All that is asked for is in memory, and a number may be asked for again and again.
        let pixels = u64::from(object.header.rows).saturating_mul(object.header.columns.into());
        let asked = pixels.saturating_mul(12).saturating_mul(numbers.len() as u64);
        let needed = study::volume::picture_bytes(&object.header, object.length()).saturating_add(asked);
        if needed > MOST_BYTES {
            return Err(Error::TooLarge { mib: needed >> 20, most_mib: MOST_BYTES >> 20 });
        }
        let place = self.room.take(asked).await?;
        let (web, object) = (self.clone(), object.clone());
        self.at_once
            .work(move || {
                let pictures = Pictures::open(&web.bytes(&object)?)?;
                let index = |number: u32| (number as usize).checked_sub(1).ok_or(Error::NotFound);
                let frame = |number| {
                    let samples = pictures.decode(index(number)?).ok_or(Error::NotFound)??;
                    Ok(place.hold(frames::as_said(&pictures.header, &pictures.data_set, samples)?))
                };
                numbers.into_iter().map(frame).collect()
            })
            .await
    }

    /// Blocks.
    fn bytes(&self, object: &Object) -> Result<Vec<u8>, Error> {
        if object.length() > MOST_BYTES {
            return Err(Error::TooLarge { mib: object.length() >> 20, most_mib: MOST_BYTES >> 20 });
        }
        match &object.held {
            Held::Received(instance) => Ok(self.spool.read_checked(instance)?),
            Held::Made { file, sha256, .. } => whole(file, sha256),
            Held::Lost { .. } | Held::Gone { .. } => Err(Error::NotFound),
        }
    }
}

fn all(connection: &Connection, folder: &Path, study_uid: &str) -> Result<Vec<Object>, Error> {
    let mut objects = Vec::new();
    for row in series::of_study(connection, study_uid)? {
        let kept = instances::of_series(connection, study_uid, &row.key.series_uid)?;
        objects.extend(kept.into_iter().map(received));
        let lost = instances::lost_of_series(connection, study_uid, &row.key.series_uid)?;
        objects.extend(lost.into_iter().map(|(state, header)| gone(&state, header)));
    }
    objects.extend(results::newest_of_study(connection, study_uid)?.into_iter().map(|row| made(folder, row)));
    Ok(objects)
}

/// Of [`all`] the one with this SOP Instance UID, without a look at the others.
fn named(connection: &Connection, folder: &Path, study_uid: &str, sop_uid: &str) -> Result<Vec<Object>, Error> {
    let mut objects = Vec::new();
    for known in instances::by_sop_uid(connection, sop_uid)? {
        let kept = instances::get_kept(connection, known.id)?;
        objects.extend(kept.filter(|kept| kept.header.study_instance_uid == study_uid).map(received));
    }
    let results = results::newest_of_study(connection, study_uid)?;
    objects.extend(results.into_iter().filter(|row| row.sop_uid == sop_uid).map(|row| made(folder, row)));
    Ok(objects)
}

fn received(instance: Instance) -> Object {
    Object { header: instance.header.clone(), held: Held::Received(Box::new(instance)) }
}

fn gone(state: &str, header: Header) -> Object {
    let why = match state {
        "damaged" => "its bytes are not those that were received",
        "conflict" => "another content of it came, and nobody has decided which one counts",
        _ => "its bytes are gone (evicted)",
    };
    Object { header, held: Held::Gone { why } }
}

/// A result, with the header of its file.
fn made(folder: &Path, row: ResultRow) -> Object {
    let file = folder.join(&row.file);
    let header = match File::open(&file) {
        Ok(open) => {
            dicom::scan::scan(BufReader::new(open)).map_err(|error| format!("its file cannot be read: {error}"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err("its file is gone (evicted or removed)".into())
        }
        Err(error) => Err(format!("its file cannot be read: {error}")),
    };
    match header {
        Ok(scan) => Object { header: scan.header, held: Held::Made { file, length: row.length, sha256: row.sha256 } },
        Err(why) => {
            let header = Header {
                sop_class_uid: row.sop_class,
                sop_instance_uid: row.sop_uid,
                study_instance_uid: row.study_uid,
                series_instance_uid: row.series_uid,
                ..Header::default()
            };
            Object { header, held: Held::Lost { why } }
        }
    }
}

/// The bytes of a result, as they were written. Blocks.
fn whole(file: &Path, sha256: &str) -> Result<Vec<u8>, Error> {
    results::whole(file, sha256)?.ok_or(Error::Damaged)
}

/// Returns the SHA-256 of what was copied.
fn copy(from: &mut impl Read, mut to: File) -> Result<String, Error> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&buffer[..read]);
        to.write_all(&buffer[..read]).map_err(Error::Target)?;
    }
}

/// Written again in Explicit VR Little Endian.
fn explicit(part10: &[u8]) -> Result<Vec<u8>, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::DataSet(error.to_string());
    let file = dicom::pixels::parse::whole(part10)?;
    let meta: FileMetaTable =
        FileMetaTable { transfer_syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned(), ..file.meta().clone() };
    let mut bytes = Vec::with_capacity(part10.len());
    let set = file.into_inner().with_exact_meta(meta);
    set.write_all(&mut bytes).map_err(|error| failed(&error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WADO-RS must not hand out as sound what rotted on the disk.
    #[test]
    fn a_result_that_is_not_as_it_was_written_is_not_served() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("1.dcm");
        std::fs::write(&file, b"as it was").unwrap();
        let sha256 = hex::encode(Sha256::digest(b"as it was"));
        assert_eq!(whole(&file, &sha256).unwrap(), b"as it was");
        std::fs::write(&file, b"as it waz").unwrap();
        assert!(matches!(whole(&file, &sha256), Err(Error::Damaged)));
    }
}
