//! What a person reads on the page: the list of studies, their pictures, what was found in them, and where.
//!
//! ```text
//! database --> listed: studies, one study          spool --> stack: order of the pictures --> picture: pixels
//!                                                  results --> segments of the segmentation, the PDF
//! ```
//!
//! Reads only. `console` serves it, behind its login.

mod breast;
mod hanging;
mod listed;
mod looks;
mod picture;
mod stack;
#[cfg(test)]
mod tests;

use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use custody::instance::Instance;
use custody::series::SeriesKey;
use custody::spool::{self, Spool};
use custody::store::results::{self, ResultRow};
use custody::store::{self, instances, jobs, series};
use dicom::header::Header;
use dicom::kind::SeriesKind;
use dicom::pixels::error::DecodeError;
use dicom::segmentation::{self, Segmentation};
use jiff::civil::Date;
use rusqlite::Connection;
use study::exam::again;
use study::lesions::listed::{self as lesions, Listing, RecallRow, Shown, Wanted};

pub use breast::Breast;
pub use listed::{SeriesRow, Study, StudyRow};
pub use stack::{Picture, Pixels, Stack};

use crate::at_once::AtOnce;
use crate::reader::{Lost, Reader};
use crate::room::{Full, Held, Room};

/// Pictures that are decoded at the same time, over all pages: bounds memory, and leaves the processor to the work.
const AT_ONCE: usize = 2;
/// For all pictures and documents that pages have not taken yet.
const ROOM_MIB: u32 = 512;
/// The most studies in the list.
const MOST_STUDIES: u32 = 500;
/// The most pixels a side of which one is made for a small picture.
const MOST_FACTOR: u8 = 16;
/// For the pixels of one key image: those of the screen of a scanner.
const MOST_KEY_BYTES: u64 = 32 << 20;
/// The largest result file that is read for a page.
const MOST_RESULT_BYTES: u64 = 512 << 20;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such picture, series or study here any more")]
    NotFound,
    #[error("it is too large to be shown: {needed_mib} MiB of memory are needed, {most_mib} MiB are allowed")]
    TooLarge { needed_mib: u64, most_mib: u64 },
    #[error("it cannot be shown: its images are of {0} different patients, whom the sender has put under one UID")]
    SeveralPatients(usize),
    #[error("its colours cannot be shown: {0}")]
    Colour(String),
    #[error("the picture cannot be decoded: {0}")]
    Decode(#[from] DecodeError),
    #[error("the bytes cannot be read: {0}")]
    Spool(#[from] spool::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error(transparent)]
    Segmentation(#[from] segmentation::Error),
    #[error(transparent)]
    Document(#[from] dicom::document::Error),
    #[error("a result file cannot be read: {0}")]
    Result(#[from] std::io::Error),
    #[error("its file was damaged on this box's disk: `scansidectl studies rerun` makes it again")]
    Damaged,
    #[error(transparent)]
    Full(#[from] Full),
    #[error("the work for this picture was not finished: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// The kinds of error that a page distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadingFault {
    NotFound,
    /// It is there and cannot be shown.
    CannotBeShown,
    /// Trying again may help.
    Internal,
}

impl Error {
    pub fn kind(&self) -> ReadingFault {
        match self {
            Self::NotFound => ReadingFault::NotFound,
            Self::Decode(error) if error.is_transient() => ReadingFault::Internal,
            Self::TooLarge { .. }
            | Self::SeveralPatients(_)
            | Self::Colour(_)
            | Self::Decode(_)
            | Self::Damaged
            | Self::Segmentation(_)
            | Self::Document(_) => ReadingFault::CannotBeShown,
            Self::Spool(_) | Self::Store(_) | Self::Lost(_) | Self::Result(_) => ReadingFault::Internal,
            Self::Full(_) | Self::Task(_) => ReadingFault::Internal,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The last segmentation that was asked for, and the row of its result.
type Last = Option<(i64, Arc<Segmentation>)>;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reading {
    reader: Reader,
    folder: PathBuf,
    decoder: picture::Decoder,
    at_once: AtOnce,
    /// Of answers.
    room: Room,
    segmentation: Arc<Mutex<Last>>,
}

impl Reading {
    /// `folder`: the spool directory, where the results are.
    pub fn new(reader: Reader, spool: Spool, folder: PathBuf) -> Self {
        Self {
            reader,
            folder,
            decoder: picture::Decoder::new(spool),
            at_once: AtOnce::new(AT_ONCE),
            room: Room::new(ROOM_MIB),
            segmentation: Arc::default(),
        }
    }

    /// The newest studies, newest first.
    ///
    /// # Errors
    /// When the database does not answer (as for all below).
    pub async fn studies(&self) -> Result<Vec<StudyRow>, Error> {
        self.reader.read(|connection| listed::studies(connection, MOST_STUDIES)).await
    }

    /// # Errors
    /// `NotFound` when there is no such study.
    pub async fn study(&self, study_uid: String) -> Result<Study, Error> {
        self.reader.read(move |connection| listed::study(connection, &study_uid)).await
    }

    /// The most overdue first.
    ///
    /// # Errors
    /// As for the others.
    pub async fn recalls(&self, wanted: Wanted, today: Date) -> Result<Vec<RecallRow>, Error> {
        self.reader.read(move |connection| Ok(lesions::recalls(connection, &wanted, today)?)).await
    }

    /// Of the patients with the newest lines.
    ///
    /// # Errors
    /// As for the others.
    pub async fn lesions(&self, patients: usize) -> Result<Listing, Error> {
        self.reader.read(move |connection| Ok(lesions::list(connection, None, patients)?)).await
    }

    /// # Errors
    /// `NotFound` when there is no such lesion.
    pub async fn lesion(&self, number: u64) -> Result<Shown, Error> {
        self.reader.read(move |connection| lesions::show(connection, number)?.ok_or(Error::NotFound)).await
    }

    /// # Errors
    /// `NotFound` when there is no such series, `SeveralPatients` when its images are of more than one person.
    pub async fn stack(&self, series: i64) -> Result<Stack, Error> {
        let keys = self.reader.read(move |connection| exam_keys(connection, series)).await?;
        if let Some(keys) = keys {
            return Ok(stack::of_results(&self.headers(keys).await?));
        }
        let read = move |connection: &Connection| {
            let row = series::get(connection, series)?.ok_or(Error::NotFound)?;
            let kept = instances::of_series(connection, &row.key.study_uid, &row.key.series_uid)?;
            breast::one_person(kept.iter().map(|instance| &instance.header))?;
            Ok(stack::stack(row.kind, &kept))
        };
        self.reader.read(read).await
    }

    /// What each of these objects of the box says of itself.
    async fn headers(&self, keys: Vec<ResultRow>) -> Result<Vec<(i64, Header)>, Error> {
        let folder = self.folder.clone();
        let one = move |row: ResultRow| {
            let path = below(&folder, &row.file).ok_or(Error::NotFound)?;
            let file = std::fs::File::open(path).map(std::io::BufReader::new)?;
            let scanned = dicom::scan::scan(file);
            Ok((row.id, scanned.map_err(|error| DecodeError::DataSet { reason: error.to_string() })?.header))
        };
        self.at_once.work(move || keys.into_iter().map(one).collect()).await
    }

    /// The pixels of a key image of an exam: three bytes each where any of the exam has colours.
    ///
    /// # Errors
    /// When there is no such result or it cannot be shown.
    pub async fn key(&self, result: i64, wants_colour: bool) -> Result<Held, Error> {
        let row = self.reader.read(move |connection| of_result(connection, result)).await?;
        if row.kind != again::KEYS {
            return Err(Error::NotFound);
        }
        let path = below(&self.folder, &row.file).ok_or(Error::NotFound)?;
        let file = File { path, length: row.length, sha256: row.sha256 };
        let place = self.room.take(MOST_KEY_BYTES).await?;
        self.at_once.work(move || Ok(place.hold(picture::shown(&file.read()?, 1, wants_colour)?))).await
    }

    /// Pixels of one frame, counted from 1.
    ///
    /// # Errors
    /// When there is no such frame or it cannot be shown.
    pub async fn pixels(&self, instance: i64, frame: u32) -> Result<Held, Error> {
        let (kind, instance) = self.reader.read(move |connection| of_instance(connection, instance)).await?;
        let place = self.room.take(pixels(&instance.header).saturating_mul(3)).await?;
        let decoder = self.decoder.clone();
        self.at_once.work(move || Ok(place.hold(decoder.pixels(kind, &instance, frame)?))).await
    }

    /// One mammogram in 16 bits: see `picture::Decoder::mammogram`.
    ///
    /// # Errors
    /// `NotFound` when it is no mammogram, or there is no such frame.
    pub async fn mammogram(&self, instance: i64, frame: u32, factor: u8) -> Result<Held, Error> {
        let (kind, instance) = self.reader.read(move |connection| of_instance(connection, instance)).await?;
        if kind != SeriesKind::Mammography || !(1..=MOST_FACTOR).contains(&factor) {
            return Err(Error::NotFound);
        }
        let place = self.room.take(pixels(&instance.header).saturating_mul(2) / u64::from(factor).pow(2)).await?;
        let decoder = self.decoder.clone();
        self.at_once.work(move || Ok(place.hold(decoder.mammogram(&instance, frame, factor.into())?))).await
    }

    /// The mammography in a study as it is hung, with its marks and the one before.
    ///
    /// # Errors
    /// `NotFound` when there is no such study, or no mammogram in it, `SeveralPatients` when they are of more than one person.
    pub async fn breast(&self, study_uid: String) -> Result<Breast, Error> {
        self.reader.read(move |connection| breast::breast(connection, &study_uid)).await
    }

    /// The lesions of the person of a study, with everything about each.
    ///
    /// # Errors
    /// `NotFound` when there is no such study.
    pub async fn lesions_of(&self, study_uid: String) -> Result<breast::Lesions, Error> {
        self.reader.read(move |connection| breast::lesions(connection, &study_uid)).await
    }

    /// The segments of a segmentation.
    ///
    /// # Errors
    /// When there is no such result or it is no segmentation.
    pub async fn segmentation(&self, result: i64) -> Result<Arc<Segmentation>, Error> {
        if let Some(known) = self.known(result) {
            return Ok(known);
        }
        let file = self.file(result).await?;
        let work = move || Ok::<_, Error>(segmentation::read(&file.read()?)?);
        let read = Arc::new(self.at_once.work(work).await?);
        *self.segmentation.lock().unwrap_or_else(PoisonError::into_inner) = Some((result, read.clone()));
        Ok(read)
    }

    fn known(&self, result: i64) -> Option<Arc<Segmentation>> {
        let last = self.segmentation.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(of, _)| *of == result).map(|(_, known)| known.clone())
    }

    /// The PDF in a result.
    ///
    /// # Errors
    /// When there is no such result or it holds no PDF.
    pub async fn document(&self, result: i64) -> Result<Held, Error> {
        let file = self.file(result).await?;
        let place = self.room.take(file.length).await?;
        self.at_once.work(move || Ok(place.hold(dicom::document::pdf(&file.read()?)?))).await
    }

    async fn file(&self, result: i64) -> Result<File, Error> {
        let row = self.reader.read(move |connection| of_result(connection, result)).await?;
        let path = below(&self.folder, &row.file).ok_or(Error::NotFound)?;
        Ok(File { path, length: row.length, sha256: row.sha256 })
    }
}

/// The key images of an exam that was recorded here; `None` for any other series.
fn exam_keys(connection: &Connection, series: i64) -> Result<Option<Vec<ResultRow>>, Error> {
    let row = series::get(connection, series)?.ok_or(Error::NotFound)?;
    if row.kind != SeriesKind::Exam {
        return Ok(None);
    }
    let Some(job) = jobs::newest_done(connection, row.id)? else { return Ok(Some(Vec::new())) };
    let mut made = results::of_job(connection, job)?;
    made.retain(|row| row.kind == again::KEYS);
    Ok(Some(made))
}

/// A link may be older than what it names: what does not count any more is not shown.
fn of_result(connection: &Connection, result: i64) -> Result<ResultRow, Error> {
    let row = results::get(connection, result)?.ok_or(Error::NotFound)?;
    results::counting(connection, &row.sop_uid)?.ok_or(Error::NotFound)
}

fn of_instance(connection: &Connection, instance: i64) -> Result<(SeriesKind, Instance), Error> {
    let instance = instances::get_kept(connection, instance)?.ok_or(Error::NotFound)?;
    let Header { study_instance_uid, series_instance_uid, .. } = &instance.header;
    let key = SeriesKey { study_uid: study_instance_uid.clone(), series_uid: series_instance_uid.clone() };
    let row = series::find(connection, &key)?.ok_or(Error::NotFound)?;
    Ok((row.kind, instance))
}

fn pixels(header: &Header) -> u64 {
    u64::from(header.rows).saturating_mul(header.columns.into())
}

/// A file below `folder`; `None` for a name that leads elsewhere.
fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    plain.then(|| folder.join(name))
}

/// Of a result.
struct File {
    path: PathBuf,
    length: u64,
    sha256: String,
}

impl File {
    /// Blocks.
    fn read(&self) -> Result<Vec<u8>, Error> {
        let bytes = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Error::NotFound),
            Err(error) => return Err(error.into()),
        };
        if bytes > MOST_RESULT_BYTES {
            return Err(Error::TooLarge { needed_mib: bytes >> 20, most_mib: MOST_RESULT_BYTES >> 20 });
        }
        results::whole(&self.path, &self.sha256)?.ok_or(Error::Damaged)
    }
}
