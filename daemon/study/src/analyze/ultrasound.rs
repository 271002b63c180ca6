//! Ultrasound images and clips that a scanner sent: which series are read (`wanted`), which area of a picture (`areas`), and
//! what is found there (`look`). One series is one job and one set of results.

mod areas;
mod look;
mod square;
mod wanted;

use std::fmt;
use std::sync::Arc;

use custody::instance::Instance;
use custody::spool::{self, Spool};
use custody::store::series::SeriesRow;
use custody::store::{self, instances};
use dicom::header::Header;
use dicom::kind::SeriesKind;
use dicom::pixels::error::DecodeError;
use models::task::Control;
use models::task::mg_breast::withheld::Marking;
use models::{NotEvaluated, Reason, Topic, review};
use report::Refused;
use report::stills::{Stills, grouped};
use rusqlite::Connection;

pub use wanted::unwanted;

use super::acquired::acquisition;
use super::engine::{self, Engine, Used};
use super::examine::{Error, Subject};
use super::task::{self, Outcome, Ran};
use crate::settings::Analyze;

type Bytes<'a> = dyn Fn() -> Result<Vec<u8>, DecodeError> + 'a;

/// One image or clip as it was stored.
pub struct Stored<'a> {
    pub header: Header,
    pub file_bytes: u64,
    /// Reads its Part 10 file.
    pub read: Box<Bytes<'a>>,
}

impl fmt::Debug for Stored<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").field("instance", &self.header.sop_instance_uid).finish_non_exhaustive()
    }
}

impl<'a> Stored<'a> {
    pub fn in_spool(spool: &'a Spool, instance: Arc<Instance>) -> Self {
        let (header, file_bytes) = (instance.header.clone(), instance.location.length());
        let read = move || {
            spool.read_checked(&instance).map_err(|error| match error {
                spool::Error::Damaged { .. } => DecodeError::Damaged,
                error => DecodeError::Read { reason: error.to_string() },
            })
        };
        Self { header, file_bytes, read: Box::new(read) }
    }

    /// One that is no longer in custody as it was received: trying again does not help.
    pub fn not_here(spool: &'a Spool, instance: Arc<Instance>) -> Self {
        let Self { header, file_bytes, read } = Self::in_spool(spool, instance);
        let read = move || {
            read().map_err(|fault| if matches!(fault, DecodeError::Read { .. }) { DecodeError::Gone } else { fault })
        };
        Self { header, file_bytes, read: Box::new(read) }
    }

    /// One whose bytes were damaged on the disk.
    pub fn damaged(header: Header) -> Self {
        Self { header, file_bytes: 0, read: Box::new(|| Err(DecodeError::Damaged)) }
    }
}

/// The images of one series.
#[derive(Debug)]
pub struct Pictures<'a> {
    pub(super) all: Vec<Stored<'a>>,
    /// What decoding one of them may need.
    pub(super) limit_bytes: u64,
    /// Of mammograms: which are given to a network.
    pub(super) marking: Marking,
}

impl<'a> Pictures<'a> {
    /// In the order of their numbers.
    pub fn new(mut all: Vec<Stored<'a>>, limit_bytes: u64) -> Self {
        all.sort_by_key(|stored| stored.header.instance_number.unwrap_or(i64::MAX));
        Self { all, limit_bytes, marking: Marking::Off }
    }

    #[must_use]
    pub fn marking(self, marking: Marking) -> Self {
        Self { marking, ..self }
    }
}

/// Why a series that was received gets no job; `None` for one that is read, and for series of other kinds.
///
/// # Errors
/// When the database fails.
pub fn unwanted_row(connection: &Connection, settings: &Analyze, row: &SeriesRow) -> store::Result<Option<String>> {
    if row.kind != SeriesKind::Ultrasound {
        return Ok(None);
    }
    let kept = instances::of_series(connection, &row.key.study_uid, &row.key.series_uid)?;
    Ok(unwanted(settings, kept.iter().map(|instance| &instance.header)))
}

/// # Errors
/// What a repetition may mend; what the images do not allow is an [`Outcome::Refused`].
pub(super) fn run(engine: &mut Engine, subject: &Subject<'_>, control: &dyn Control) -> Result<Ran, Error> {
    let begun = std::time::Instant::now();
    let none = Pictures::new(Vec::new(), 0);
    let pictures = subject.pictures.unwrap_or(&none);
    let age_years = acquisition(subject.header, subject.elements).age_years;
    let looked = engine.us_stills(control, |manifest, model| {
        if let (Some(years), Some(least)) = (age_years, manifest.intended_use.min_age_years)
            && years < least
        {
            return Ok(Err(Reason::TooYoung { years, least }));
        }
        look::look(manifest, model, pictures, control).map(Ok)
    });
    let (looked, used) = match looked {
        Ok(looked) => looked,
        Err(look::Error::Picture(fault)) => return Err(Error::Picture(fault)),
        Err(look::Error::Task(error)) if error.kind() == models::task::TaskFault::Cancelled => {
            return Err(Error::Cancelled);
        }
        Err(look::Error::Task(error)) => return Err(engine::Error::from(error).into()),
        Err(look::Error::Engine(error)) => return Err(error.into()),
    };
    let outcome = match looked {
        Ok(stills) => match nothing_read(&stills) {
            Some(refused) => Outcome::Refused(refused),
            None => Outcome::Stills(judged(stills, subject, &used)),
        },
        Err(reason) => Outcome::Refused(Refused::Nothing(NotEvaluated { topic: Topic::Unnamed, reason })),
    };
    let timings_ms = vec![("pictures".to_owned(), begun.elapsed().as_secs_f64() * 1e3)];
    Ok(Ran { outcome, used: Some(used), timings_ms })
}

/// The lesions listed for a person, without what a review has rejected.
fn judged(mut stills: Stills, subject: &Subject<'_>, used: &Used) -> Stills {
    stills.list(review::package(&used.manifest.id, &used.manifest.version, &used.sha256));
    let signed = subject.marks_review;
    stills.marked.judge(signed, signed.is_none_or(|review| task::can_write(subject, &review.by)));
    stills.take_out();
    stills
}

/// Why no picture at all was looked at, if so: then nothing is said of lesions.
fn nothing_read(stills: &Stills) -> Option<Refused> {
    stills
        .images
        .is_empty()
        .then(|| Refused::Pictures { reasons: grouped(stills.unread.iter().map(|unread| &unread.why)) })
}
