//! Which series of a study are read: from the rows of its CT series to jobs and verdicts, by the rules of `choose`. All is
//! decided by rows, in the transaction that changed them, so that nothing is lost or decided twice after a power cut: when a
//! series is complete, when a job has ended, in whatever way, and when a person took a series away.
//!
//! A series that is not read has a verdict and no job; so it is known later, when a better one turns out to give less than it
//! promised.

use std::time::Duration;

use custody::series::SeriesState;
use custody::series::state::SeriesEvent;
use custody::store::jobs::JobRow;
use custody::store::series::SeriesRow;
use custody::store::{self, events, instances, jobs, series};
use dicom::kind::SeriesKind;
use models::Reading;
use rusqlite::{Connection, Transaction};

use crate::choose::{self, Candidate, Choice};
use crate::settings::{Analyze, ReadSeries};
use crate::sharing;

/// How far a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Complete, without a job.
    New,
    /// Its job has not begun.
    Waiting,
    /// Its job is in work, a person asked for it, or late images of it are being received: what comes of it decides then.
    Busy,
    Done,
    /// Another one was read instead.
    Unread,
    /// Its own job refused it, or was parked.
    Failed,
}

struct Known {
    row: SeriesRow,
    stage: Stage,
    /// None of its images is here any more, or counts.
    is_empty: bool,
    /// `None`: it cannot be compared with others.
    candidate: Option<Candidate>,
}

/// A person asked for this version: it is neither taken back nor made again.
fn is_asked_for(row: &SeriesRow) -> bool {
    matches!(row.completed_by.as_deref(), Some("rerun" | "review"))
}

/// The CT series of a study that were complete once and are here, and how far they are.
fn complete(connection: &Connection, study_uid: &str) -> store::Result<Vec<(SeriesRow, Stage)>> {
    let mut all = Vec::new();
    for row in series::of_study(connection, study_uid)? {
        if row.kind != SeriesKind::Ct {
            continue;
        }
        let job = jobs::state_of(connection, row.id, row.version)?;
        let stage = match (row.state, job.as_deref()) {
            (SeriesState::Receiving, _) if row.version > 0 => Stage::Busy,
            (SeriesState::Receiving | SeriesState::Evicted, _) => continue,
            (SeriesState::Processed, _) => Stage::Done,
            (SeriesState::Complete, Some("running")) => Stage::Busy,
            (SeriesState::Complete, Some("queued")) if is_asked_for(&row) => Stage::Busy,
            (SeriesState::Complete, Some("queued")) => Stage::Waiting,
            (SeriesState::Complete, _) => Stage::New,
            (SeriesState::Refused, None | Some("superseded")) => Stage::Unread,
            (SeriesState::Refused, Some(_)) => Stage::Failed,
        };
        all.push((row, stage));
    }
    Ok(all)
}

/// What came of a series when these images of it were read last; `None` when they never were.
fn outcome(connection: &Connection, row: &SeriesRow) -> store::Result<Option<Reading>> {
    // Versions that were made here have the same images; another one may have others.
    let same = matches!(row.completed_by.as_deref(), Some("chosen" | "review" | "rerun"));
    let oldest = if same { row.version.saturating_sub(1) } else { row.version };
    for version in (oldest..=row.version).rev() {
        if let Some((_, findings)) = jobs::found(connection, row.id, version)? {
            return Ok(Some(Reading::stored(&findings)?));
        }
    }
    Ok(None)
}

/// The same, with what their headers say and what came of them.
fn known(connection: &Connection, study_uid: &str) -> store::Result<Vec<Known>> {
    let mut all = Vec::new();
    for (row, stage) in complete(connection, study_uid)? {
        let kept = instances::of_series(connection, study_uid, &row.key.series_uid)?;
        let (headers, sharers) = sharing::split(row.kind, kept.iter().map(|instance| &instance.header));
        // One of which images were damaged on the disk gives no volume any more.
        let is_sound = instances::damaged_of_series(connection, study_uid, &row.key.series_uid)?.is_empty();
        let candidate = match stage {
            Stage::Failed => None,
            _ if !is_sound => None,
            _ => Candidate::of(row.id, &headers, sharers, outcome(connection, &row)?),
        };
        all.push(Known { row, stage, is_empty: headers.is_empty(), candidate });
    }
    Ok(all)
}

fn choices(all: &[Known]) -> Vec<Choice> {
    choose::choose(&all.iter().filter_map(|known| known.candidate.clone()).collect::<Vec<_>>())
}

/// Decides for all CT series of a study. One that is complete and could be bettered waits so long. Returns the series whose
/// row changed.
///
/// # Errors
/// When the database fails.
pub fn decide(
    transaction: &Transaction<'_>,
    settings: &Analyze,
    study_uid: &str,
    wait: Duration,
) -> store::Result<Vec<i64>> {
    if settings.series == ReadSeries::All {
        return queue_all(transaction, study_uid);
    }
    let all = known(transaction, study_uid)?;
    let choices = choices(&all);
    let mut changed = Vec::new();
    for known in &all {
        let choice = choices.iter().find(|choice| choice.id == known.row.id);
        if settle(transaction, known, choice, wait)? {
            changed.push(known.row.id);
        }
    }
    Ok(changed)
}

/// Does what was chosen for one series. Returns whether its row changed.
fn settle(
    transaction: &Transaction<'_>,
    known: &Known,
    choice: Option<&Choice>,
    wait: Duration,
) -> store::Result<bool> {
    let row = &known.row;
    let (Some(choice), Some(candidate)) = (choice, &known.candidate) else {
        match known.stage {
            Stage::New => queue(transaction, row, None)?,
            Stage::Unread if !known.is_empty => again(transaction, row, "it cannot be compared with the others")?,
            _ => return Ok(false),
        }
        return Ok(true);
    };
    match known.stage {
        Stage::New if choice.is_read() => {
            let wait = (!candidate.gives_all() && !wait.is_zero()).then_some(wait);
            queue(transaction, row, wait)?;
        }
        Stage::Unread if choice.is_read() => {
            again(transaction, row, "it shows what those that were read do not give")?;
        }
        // What was read before is only to be told again.
        Stage::Waiting if candidate.outcome.is_some() => return Ok(false),
        Stage::New | Stage::Waiting | Stage::Unread if !choice.is_read() => {
            let verdict = choose::verdict(choice);
            if known.stage == Stage::Unread && row.verdict.as_deref() == Some(&verdict) {
                return Ok(false);
            }
            jobs::supersede(transaction, row.id)?;
            series::conclude(transaction, row.id, SeriesEvent::Refused, &verdict)?;
            events::record(transaction, &format!("series/{}", row.id), "not read", &verdict)?;
        }
        Stage::Done if !is_asked_for(row) && !candidate.outcome.as_ref().is_none_or(|was| choice.is_said_by(was)) => {
            again(transaction, row, "its result names other series than those that are read now")?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Every series is read: no header needs to be looked at.
fn queue_all(transaction: &Transaction<'_>, study_uid: &str) -> store::Result<Vec<i64>> {
    let mut changed = Vec::new();
    for (row, _) in complete(transaction, study_uid)?.into_iter().filter(|(_, stage)| *stage == Stage::New) {
        queue(transaction, &row, None)?;
        changed.push(row.id);
    }
    Ok(changed)
}

fn queue(transaction: &Transaction<'_>, row: &SeriesRow, wait: Option<Duration>) -> store::Result<()> {
    let id = jobs::enqueue(transaction, row.id, row.version, &store::now_utc())?;
    if let Some(wait) = wait {
        jobs::wait_until(transaction, id, &store::utc_after(wait))?;
    }
    Ok(())
}

/// A series that was not read, or read in part, is read after all: a new version.
fn again(transaction: &Transaction<'_>, row: &SeriesRow, why: &str) -> store::Result<()> {
    let now = store::now_utc();
    let version = series::completed(transaction, row.id, "chosen", &now)?;
    jobs::enqueue(transaction, row.id, version, &now)?;
    events::record(transaction, &format!("series/{}", row.id), "chosen", why)
}

/// For which findings a series is read now, and what its result must say of the others; `None` when it is read by itself. One
/// that a person asked for is read for all of them.
///
/// # Errors
/// When the database fails.
pub fn part(connection: &Connection, settings: &Analyze, row: &SeriesRow) -> store::Result<Option<Choice>> {
    if settings.series == ReadSeries::All {
        return Ok(None);
    }
    let all = known(connection, &row.key.study_uid)?;
    let Some(mut choice) = choices(&all).into_iter().find(|choice| choice.id == row.id) else { return Ok(None) };
    if row.completed_by.as_deref() == Some("rerun") {
        (choice.elsewhere, choice.unread) = (Vec::new(), Vec::new());
        return Ok(Some(choice));
    }
    let is_unread = |label: &choose::Label| {
        all.iter()
            .any(|known| known.stage == Stage::Unread && known.candidate.as_ref().is_some_and(|c| c.label == *label))
    };
    choice.unread.retain(is_unread);
    Ok(Some(choice))
}

/// Must a job wait on, because another CT series of its study is being received? No longer than `most` after its own series
/// was complete.
///
/// # Errors
/// When the database fails.
pub fn waits(
    connection: &Connection,
    settings: &Analyze,
    job: &JobRow,
    row: &SeriesRow,
    most: Duration,
) -> store::Result<bool> {
    // Only a job that was told to wait has a time, unless it failed.
    let told = job.task.is_none() && job.attempts == 0 && job.interruptions == 0 && job.not_before_utc.is_some();
    if !told || settings.series == ReadSeries::All || row.kind != SeriesKind::Ct {
        return Ok(false);
    }
    let over = row.completed_utc.as_deref().is_none_or(|then| then < store::utc_before(most).as_str());
    let receiving =
        |other: &SeriesRow| other.kind == SeriesKind::Ct && other.state == SeriesState::Receiving && other.id != row.id;
    Ok(!over && series::of_study(connection, &row.key.study_uid)?.iter().any(receiving))
}

#[cfg(test)]
#[path = "choosing_tests.rs"]
mod tests;
