//! A person decides about each finding of a chest CT result, or about each mark in mammograms or ultrasound images, and signs: kept in
//! one transaction with the job of a new version, which applies it (`models::review`). A wrong signature is worse than none, so whatever is not clear is refused here.

use custody::series::SeriesState;
use custody::store::series::SeriesRow;
use custody::store::{self, jobs, reviews, series};
use dicom::kind::SeriesKind;
use dicom::text::steers;
use models::review::edit::{self, Edit, WrongEdit};
use models::review::marks::Marked;
use models::review::{Decided, Decision, Document, Item, Listed, Mark, Review};
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};

use crate::analyze::task::StudyTask;
use crate::gather::{self, Unsignable};

/// Of a component group of a person name (PS3.5 section 6.2).
const LONGEST_NAME: usize = 64;
const LONGEST_COMMENT: usize = 200;

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    pub series_uid: String,
    /// The name of who signs, as typed.
    pub by: String,
    /// By id, as listed in the findings of the newest job of the series.
    pub marks: Vec<Mark>,
    /// What is not among the marks is accepted.
    pub accept_rest: bool,
    /// SOP Instance UID of the report whose findings the person saw, when that is known: nobody signs findings that came
    /// after those.
    pub seen: Option<String>,
}

/// What came of it: a job that makes the signed results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    pub series_id: i64,
    pub job: i64,
    /// As they are.
    pub accepted: usize,
    pub edited: usize,
    pub rejected: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no series {0}")]
    NoSeries(String),
    /// Not now, or never of this series.
    #[error("{0}")]
    NotPossible(String),
    /// What was asked for is wrong.
    #[error("{0}")]
    Wrong(Wrong),
    #[error("{0}")]
    Store(#[from] store::Error),
}

/// What is wrong with what a person asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("a review needs the name of who signs it")]
    NoName,
    #[error("the name is longer than {LONGEST_NAME} characters")]
    LongName,
    #[error("a name cannot hold {0:?}")]
    Name(char),
    #[error("the comment on {id} is longer than {LONGEST_COMMENT} characters")]
    LongComment { id: String },
    #[error("the comment on {id} holds a character that cannot be shown")]
    Comment { id: String },
    #[error("there is no finding {ids}; listed are {listed}")]
    Unknown { ids: String, listed: String },
    #[error("{id} is decided about twice")]
    Twice { id: String },
    #[error("{id}: {why}")]
    Edit { id: String, why: WrongEdit },
    #[error("{id} has edited values and is not decided to be edited")]
    NotEdited { id: String },
    #[error("without a decision: {ids}")]
    Missing { ids: String },
}

impl From<Wrong> for Error {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

/// What of the findings of a job a review needs.
#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    package: String,
    #[serde(default)]
    listed: Vec<Listed>,
    report: Option<Document>,
    #[serde(default)]
    review: Option<Review>,
}

/// What a review is about: the findings, or the marks, of a job.
struct Subject<L> {
    package: String,
    listed: Vec<L>,
    report: Option<Document>,
    /// That these findings are corrected by already.
    applied: Option<Review<L>>,
}

/// Keeps the review and queues the job of the version that it signs.
///
/// # Errors
/// See [`Error`]; then nothing may be written.
pub fn sign(transaction: &Transaction<'_>, signing: &Signing) -> Result<Signed, Error> {
    let row = only(series::with_uid(transaction, &signing.series_uid)?, &signing.series_uid)?;
    match row.state {
        SeriesState::Receiving | SeriesState::Complete => {
            return Err(not_possible(BUSY));
        }
        SeriesState::Processed => {}
        SeriesState::Evicted => return Err(not_possible(GONE)),
        SeriesState::Refused => {
            let (job, anchor) = newest(transaction, &row)?;
            return Err(if job == "parked" { parked(transaction, anchor)? } else { not_possible(NOTHING) });
        }
    }
    match row.kind {
        SeriesKind::Mammography => sign_marks(transaction, signing, &row, Some(StudyTask::MammographyViews)),
        SeriesKind::Ultrasound | SeriesKind::Exam => sign_marks(transaction, signing, &row, None),
        _ => sign_findings(transaction, signing, &row),
    }
}

const BUSY: &str = "it is being received or analysed: wait until that has ended";
const MORE: &str = "more images of the study have come: look at what comes of them first";
const GONE: &str =
    "images of it were evicted or are damaged, so that the results cannot be written again: send them again first";
const NOTHING: &str =
    "it has no findings of a chest CT and no marks in mammograms or ultrasound pictures that a person can decide about";

/// State of the newest job that a review of this series would be about, empty where there is none; series and version that it is for.
fn newest(transaction: &Transaction<'_>, row: &SeriesRow) -> Result<(String, (i64, i64)), Error> {
    if row.kind == SeriesKind::Mammography {
        let job = jobs::newest_of_task(transaction, &row.key.study_uid, StudyTask::MammographyViews.name())?;
        return Ok(job.map(|job| (job.state, (job.series_id, job.version))).unwrap_or_default());
    }
    let state = jobs::state_of(transaction, row.id, row.version)?;
    Ok((state.unwrap_or_default(), (row.id, row.version)))
}

/// The last analysis came to nothing: what a person can do.
fn parked(transaction: &Transaction<'_>, (series_id, version): (i64, i64)) -> Result<Error, Error> {
    let kept = match reviews::waits(transaction, series_id, version)? {
        Some(by) => format!("; the review that {by} has signed is applied then"),
        None => String::new(),
    };
    Ok(Error::NotPossible(format!("its last analysis failed and is parked: first `scansidectl studies rerun`{kept}")))
}

fn sign_findings(transaction: &Transaction<'_>, signing: &Signing, row: &SeriesRow) -> Result<Signed, Error> {
    let (job, found) = jobs::found(transaction, row.id, row.version)?.ok_or_else(|| not_possible(NOTHING))?;
    let Found { package, listed, report, review: applied } =
        serde_json::from_str(&found).map_err(store::Error::from)?;
    let now = store::now_utc();
    let review = decided(signing, Subject { package, listed, report, applied }, &now)?;
    let anchor = again(transaction, row, &now)?;
    keep(transaction, anchor, job, &review)
}

/// `task`: that made the marks from all series of the study; `None`: the tasks of the series.
fn sign_marks(
    transaction: &Transaction<'_>,
    signing: &Signing,
    row: &SeriesRow,
    task: Option<StudyTask>,
) -> Result<Signed, Error> {
    let study_uid = &row.key.study_uid;
    let job = match task {
        Some(task) => match jobs::newest_of_task(transaction, study_uid, task.name())? {
            Some(job) if job.state == "parked" => return Err(parked(transaction, (job.series_id, job.version))?),
            Some(job) if job.state != "done" => return Err(not_possible(BUSY)),
            newest => newest.map(|job| job.id),
        },
        None => jobs::done_of(transaction, row.id, row.version)?,
    };
    let marks = job.map(|job| jobs::marks(transaction, job)).transpose()?.flatten();
    let (Some(job), Some(marks)) = (job, marks) else { return Err(not_possible(NOTHING)) };
    let Marked { package, listed, report, review: applied, .. } =
        serde_json::from_str(&marks).map_err(store::Error::from)?;
    let now = store::now_utc();
    let review = decided(signing, Subject { package, listed, report, applied }, &now)?;
    let anchor = match task {
        Some(task) => {
            let new = gather::signed(transaction, task, study_uid)?.map_err(|why| match why {
                Unsignable::More => not_possible(MORE),
                Unsignable::Gone => not_possible(GONE),
            })?;
            let new = jobs::get(transaction, new)?.ok_or_else(|| not_possible(NOTHING))?;
            Anchor { series_id: new.series_id, version: new.version, job: new.id }
        }
        None => again(transaction, row, &now)?,
    };
    keep(transaction, anchor, job, &review)
}

/// The version that a review signs, and the job that makes it.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    series_id: i64,
    version: i64,
    job: i64,
}

/// A new version of a series, with its job.
fn again(transaction: &Transaction<'_>, row: &SeriesRow, now: &str) -> Result<Anchor, Error> {
    // A rerun reads a series for every finding: so must the job that signs what it found.
    let by = row.completed_by.as_deref().filter(|by| *by == "rerun").unwrap_or("review");
    let version = series::completed(transaction, row.id, by, now)?;
    let job = jobs::enqueue(transaction, row.id, version, now)?;
    Ok(Anchor { series_id: row.id, version, job })
}

fn decided<L: Item>(signing: &Signing, subject: Subject<L>, now: &str) -> Result<Review<L>, Error> {
    let Some(report) = subject.report else {
        let text =
            "its findings are of an older version of this software: analyse it again (`scansidectl studies rerun`)";
        return Err(not_possible(text));
    };
    if signing.seen.as_ref().is_some_and(|seen| *seen != report.sop_uid) {
        return Err(not_possible("there are newer findings than those that were judged: look at them first"));
    }
    let by = name(&signing.by)?;
    let asked = Asked { marks: &signing.marks, accept_rest: signing.accept_rest, by: &by };
    let decisions = decide(subject.listed, &asked, subject.applied.as_ref())?;
    Ok(Review { by, utc: now.to_owned(), package: subject.package, decisions, predecessor: report })
}

fn keep<L: Item + Serialize>(
    transaction: &Transaction<'_>,
    Anchor { series_id, version, job }: Anchor,
    job_id: i64,
    review: &Review<L>,
) -> Result<Signed, Error> {
    let json = serde_json::to_string(review).map_err(store::Error::from)?;
    let signed = reviews::Signed { series_id, version, job_id, utc: &review.utc, by: &review.by, review: &json };
    reviews::insert(transaction, signed)?;
    let [accepted, edited, rejected] = Decision::ALL.map(|decision| review.count(decision));
    Ok(Signed { series_id, job, accepted, edited, rejected })
}

fn not_possible(text: &str) -> Error {
    Error::NotPossible(text.to_owned())
}

fn only(mut rows: Vec<SeriesRow>, uid: &str) -> Result<SeriesRow, Error> {
    match (rows.pop(), rows.is_empty()) {
        (None, _) => Err(Error::NoSeries(uid.to_owned())),
        (Some(row), true) => Ok(row),
        (Some(_), false) => Err(not_possible("its scanner has used this series UID in several studies")),
    }
}

/// The name as it is kept: without spaces at its ends and double ones, and safe as one component of a DICOM person name.
fn name(typed: &str) -> Result<String, Wrong> {
    let name = typed.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    if name.is_empty() {
        return Err(Wrong::NoName);
    }
    if name.chars().count() > LONGEST_NAME {
        return Err(Wrong::LongName);
    }
    match name.chars().find(|c| matches!(c, '\\' | '^' | '=') || steers(*c)) {
        Some(bad) => Err(Wrong::Name(bad)),
        None => Ok(name),
    }
}

/// What a person says of the findings, and who that is.
struct Asked<'a> {
    marks: &'a [Mark],
    accept_rest: bool,
    by: &'a str,
}

/// A decision for every finding that is listed, or what is wrong with the marks. `applied`: the review that the findings were shown with. Pure.
fn decide<L: Item>(listed: Vec<L>, asked: &Asked<'_>, applied: Option<&Review<L>>) -> Result<Vec<Decided<L>>, Wrong> {
    let ids = |all: Vec<&str>| all.join(", ");
    let marks = asked.marks;
    let unknown: Vec<&str> =
        marks.iter().map(|mark| mark.id.as_str()).filter(|id| !listed.iter().any(|one| one.id() == *id)).collect();
    if !unknown.is_empty() {
        let listed = listed.iter().map(Item::id).collect();
        return Err(Wrong::Unknown { ids: ids(unknown), listed: ids(listed) });
    }
    for (index, mark) in marks.iter().enumerate() {
        written(mark)?;
        if marks[..index].iter().any(|before| before.id == mark.id) {
            return Err(Wrong::Twice { id: mark.id.clone() });
        }
    }
    let mark_of = |one: &L| marks.iter().find(|mark| mark.id == one.id());
    let missing: Vec<&str> = listed.iter().filter(|one| mark_of(one).is_none()).map(Item::id).collect();
    if !missing.is_empty() && !asked.accept_rest {
        return Err(Wrong::Missing { ids: ids(missing) });
    }
    listed
        .into_iter()
        .map(|listed| match mark_of(&listed) {
            Some(mark) if mark.decision == Decision::Edited => edited(listed, mark, asked.by, applied),
            Some(Mark { decision: Decision::Rejected, comment, .. }) => {
                let comment = comment.trim().to_owned();
                Ok(Decided { listed, decision: Decision::Rejected, comment, edit: None })
            }
            mark => Ok(accepted(listed, mark.map_or("", |mark| mark.comment.trim()), applied)),
        })
        .collect()
}

/// What can be written into a report, and belongs to its decision.
fn written(mark: &Mark) -> Result<(), Wrong> {
    let id = || mark.id.clone();
    if mark.comment.chars().count() > LONGEST_COMMENT {
        return Err(Wrong::LongComment { id: id() });
    }
    if mark.comment.chars().any(steers) {
        return Err(Wrong::Comment { id: id() });
    }
    if mark.decision != Decision::Edited && !mark.edit.is_empty() {
        return Err(Wrong::NotEdited { id: id() });
    }
    Ok(())
}

/// With the values that are asked for; those of the machine are an acceptance of what it found.
fn edited<L: Item>(listed: L, mark: &Mark, by: &str, applied: Option<&Review<L>>) -> Result<Decided<L>, Wrong> {
    // Where the machine knew nothing, there is no value that takes an earlier edit back.
    let takes_back = mark.edit.is_empty()
        && listed.values().values().all(String::is_empty)
        && applied.is_some_and(|review| review.edit(listed.id()).is_some());
    let values = if takes_back {
        edit::Values::new()
    } else {
        edit::check(listed.values(), &mark.edit).map_err(|why| Wrong::Edit { id: mark.id.clone(), why })?
    };
    let comment = mark.comment.trim().to_owned();
    if values.is_empty() {
        return Ok(Decided { listed, decision: Decision::Accepted, comment, edit: None });
    }
    Ok(Decided { listed, decision: Decision::Edited, comment, edit: Some(Edit { by: by.to_owned(), values }) })
}

/// As it was shown: what an earlier review has edited stays so, under the name of whoever edited it.
fn accepted<L: Item>(listed: L, comment: &str, applied: Option<&Review<L>>) -> Decided<L> {
    let before = applied.and_then(|review| review.edited().find(|one| one.listed.id() == listed.id()));
    let Some(before) = before else {
        return Decided { listed, decision: Decision::Accepted, comment: comment.to_owned(), edit: None };
    };
    let comment = if comment.is_empty() { before.comment } else { comment }.to_owned();
    Decided { listed, decision: Decision::Edited, comment, edit: Some(before.edit.clone()) }
}

#[cfg(test)]
#[path = "review_tests.rs"]
mod tests;
