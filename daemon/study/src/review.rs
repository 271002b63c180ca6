//! A person decides about each finding of a chest CT result and signs: kept in one transaction with the job of a new version,
//! which applies it (`models::review::apply`). A wrong signature is worse than none, so whatever is not clear is refused here.

use custody::series::SeriesState;
use custody::store::series::SeriesRow;
use custody::store::{self, jobs, reviews, series};
use dicom::text::steers;
use models::review::{Decided, Decision, Document, Listed, Mark, Review};
use rusqlite::Transaction;
use serde::Deserialize;

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
    pub accepted: usize,
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
}

/// Keeps the review and queues the job of the version that it signs.
///
/// # Errors
/// See [`Error`]; then nothing may be written.
pub fn sign(transaction: &Transaction<'_>, signing: &Signing) -> Result<Signed, Error> {
    let row = only(series::with_uid(transaction, &signing.series_uid)?, &signing.series_uid)?;
    let found = jobs::found(transaction, row.id, row.version)?;
    let (of_job, found) = match (row.state, found) {
        (SeriesState::Processed, Some(found)) => found,
        (SeriesState::Receiving | SeriesState::Complete, _) => {
            return Err(not_possible("it is being received or analysed: wait until that has ended"));
        }
        _ => return Err(not_possible("it has no findings of a chest CT")),
    };
    let found: Found = serde_json::from_str(&found).map_err(store::Error::from)?;
    let Some(report) = found.report else {
        let text =
            "its findings are of an older version of this software: analyse it again (`scansidectl studies rerun`)";
        return Err(not_possible(text));
    };
    if signing.seen.as_ref().is_some_and(|seen| *seen != report.sop_uid) {
        return Err(not_possible("there are newer findings than those that were judged: look at them first"));
    }
    let now = store::now_utc();
    let review = Review {
        by: name(&signing.by)?,
        utc: now.clone(),
        package: found.package,
        decisions: decide(found.listed, &signing.marks, signing.accept_rest)?,
        predecessor: report,
    };
    // A rerun reads a series for every finding: so must the job that signs what it found.
    let by = row.completed_by.as_deref().filter(|by| *by == "rerun").unwrap_or("review");
    let version = series::completed(transaction, row.id, by, &now)?;
    let job = jobs::enqueue(transaction, row.id, version, &now)?;
    let json = serde_json::to_string(&review).map_err(store::Error::from)?;
    let signed =
        reviews::Signed { series_id: row.id, version, job_id: of_job, utc: &now, by: &review.by, review: &json };
    reviews::insert(transaction, signed)?;
    let count = |decision| review.count(decision);
    Ok(Signed { series_id: row.id, job, accepted: count(Decision::Accepted), rejected: count(Decision::Rejected) })
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

/// A decision for every finding that is listed, or what is wrong with the marks. Pure.
fn decide(listed: Vec<Listed>, marks: &[Mark], accept_rest: bool) -> Result<Vec<Decided>, Wrong> {
    let ids = |all: Vec<&str>| all.join(", ");
    let unknown: Vec<&str> =
        marks.iter().map(|mark| mark.id.as_str()).filter(|id| !listed.iter().any(|one| one.id == *id)).collect();
    if !unknown.is_empty() {
        let listed = listed.iter().map(|one| one.id.as_str()).collect();
        return Err(Wrong::Unknown { ids: ids(unknown), listed: ids(listed) });
    }
    for (index, mark) in marks.iter().enumerate() {
        let id = || mark.id.clone();
        if marks[..index].iter().any(|before| before.id == mark.id) {
            return Err(Wrong::Twice { id: id() });
        }
        if mark.comment.chars().count() > LONGEST_COMMENT {
            return Err(Wrong::LongComment { id: id() });
        }
        if mark.comment.chars().any(steers) {
            return Err(Wrong::Comment { id: id() });
        }
    }
    let mark_of = |one: &Listed| marks.iter().find(|mark| mark.id == one.id);
    let missing: Vec<&str> = listed.iter().filter(|one| mark_of(one).is_none()).map(|one| one.id.as_str()).collect();
    if !missing.is_empty() && !accept_rest {
        return Err(Wrong::Missing { ids: ids(missing) });
    }
    let decided = |listed: Listed| {
        let mark = mark_of(&listed);
        let comment = mark.map(|mark| mark.comment.trim().to_owned()).unwrap_or_default();
        Decided { decision: mark.map_or(Decision::Accepted, |mark| mark.decision), comment, listed }
    };
    Ok(listed.into_iter().map(decided).collect())
}

#[cfg(test)]
#[path = "review_tests.rs"]
mod tests;
