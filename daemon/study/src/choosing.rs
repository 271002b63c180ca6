//! Which series of a study are read: from the rows of its CT series to jobs and verdicts, by the rules of `choose`. All is
//! decided by rows, in the transaction that changed them, so that nothing is lost or decided twice after a power cut.
//!
//! A series that is not read has a verdict and no job; so it is known later, when a better one turns out to be unusable.

use std::time::Duration;

use custody::series::SeriesState;
use custody::series::state::SeriesEvent;
use custody::store::jobs::JobRow;
use custody::store::series::SeriesRow;
use custody::store::{self, events, instances, jobs, series};
use dicom::header::Header;
use dicom::kind::SeriesKind;
use rusqlite::{Connection, Transaction};

use crate::choose::{self, Candidate, Choice, Label};
use crate::settings::{Analyze, ReadSeries};

/// How far a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Complete, without a job.
    New,
    /// Its job has not begun.
    Waiting,
    Running,
    Done,
    /// Another one was read instead.
    Unread,
    /// Its own job refused it, or was parked.
    Failed,
}

struct Known {
    row: SeriesRow,
    stage: Stage,
    /// `None`: it cannot be compared with others.
    candidate: Option<Candidate>,
}

/// The CT series of a study that are complete and here, and how far they are.
fn complete(connection: &Connection, study_uid: &str) -> store::Result<Vec<(SeriesRow, Stage)>> {
    let mut all = Vec::new();
    for row in series::of_study(connection, study_uid)? {
        if row.kind != SeriesKind::Ct {
            continue;
        }
        let job = jobs::state_of(connection, row.id, row.version)?;
        let stage = match (row.state, job.as_deref()) {
            (SeriesState::Receiving | SeriesState::Evicted, _) => continue,
            (SeriesState::Processed, _) => Stage::Done,
            (SeriesState::Complete, Some("running")) => Stage::Running,
            // A person asked for it: it is not taken back.
            (SeriesState::Complete, Some("queued"))
                if matches!(row.completed_by.as_deref(), Some("rerun" | "review")) =>
            {
                Stage::Running
            }
            (SeriesState::Complete, Some("queued")) => Stage::Waiting,
            (SeriesState::Complete, _) => Stage::New,
            (SeriesState::Refused, None | Some("superseded")) => Stage::Unread,
            (SeriesState::Refused, Some(_)) => Stage::Failed,
        };
        all.push((row, stage));
    }
    Ok(all)
}

/// The same, with what their headers say.
fn known(connection: &Connection, study_uid: &str) -> store::Result<Vec<Known>> {
    let mut all = Vec::new();
    for (row, stage) in complete(connection, study_uid)? {
        let kept = instances::of_series(connection, study_uid, &row.key.series_uid)?;
        let headers: Vec<&Header> = kept.iter().map(|instance| &instance.header).collect();
        let candidate = Candidate::of(row.id, &headers);
        all.push(Known { row, stage, candidate });
    }
    Ok(all)
}

fn candidates(all: &[Known], wanted: impl Fn(Stage) -> bool) -> Vec<Candidate> {
    all.iter().filter(|known| wanted(known.stage)).filter_map(|known| known.candidate.clone()).collect()
}

/// What has changed in a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// A series is complete; it may wait so long for a better one.
    Complete { wait: Duration },
    /// This series turned out to be unusable.
    Failed(i64),
}

/// Decides for all CT series of a study. Returns the series whose row changed.
///
/// # Errors
/// When the database fails.
pub fn decide(
    transaction: &Transaction<'_>,
    settings: &Analyze,
    study_uid: &str,
    since: &Since,
) -> store::Result<Vec<i64>> {
    if settings.series == ReadSeries::All {
        return queue_all(transaction, study_uid);
    }
    let all = known(transaction, study_uid)?;
    let usable = candidates(&all, |stage| stage != Stage::Failed);
    let choices = choose::choose(&usable);
    let (wait, failed) = match *since {
        Since::Complete { wait } => (wait, None),
        Since::Failed(id) => (Duration::ZERO, Some(id)),
    };
    // What was chosen when that series seemed usable.
    let before = failed.map(|failed| {
        let with_it = all.iter().filter(|known| known.stage != Stage::Failed || known.row.id == failed);
        choose::choose(&with_it.filter_map(|known| known.candidate.clone()).collect::<Vec<_>>())
    });
    let read = candidates(&all, |stage| matches!(stage, Stage::Running | Stage::Done));
    let mut changed = Vec::new();
    for known in all.iter().filter(|known| known.stage != Stage::Failed) {
        let id = known.row.id;
        let Some(candidate) = &known.candidate else {
            if known.stage == Stage::New {
                queue(transaction, &known.row, None)?;
                changed.push(id);
            }
            continue;
        };
        let Some(choice) = choices.iter().find(|choice| choice.id == id) else { continue };
        let others = choose::that_cover(candidate, &read);
        let is_wanted = if others.is_empty() { choice.is_read() } else { choose::adds(candidate, &others) };
        match known.stage {
            Stage::New if is_wanted => {
                let wait = (!candidate.gives_all() && !wait.is_zero()).then_some(wait);
                queue(transaction, &known.row, wait)?;
            }
            Stage::Unread if is_wanted => again(transaction, &known.row, "the series read before cannot be used")?,
            Stage::New | Stage::Waiting | Stage::Unread if !is_wanted => {
                let verdict = choose::verdict(choice, instead(choice, &choices, &others));
                if known.stage == Stage::Unread && known.row.verdict.as_deref() == Some(&verdict) {
                    continue;
                }
                jobs::supersede(transaction, id)?;
                series::conclude(transaction, id, SeriesEvent::Refused, &verdict)?;
                events::record(transaction, &format!("series/{id}"), "not read", &verdict)?;
            }
            // It gives more than when it was read.
            Stage::Done if before.as_ref().is_some_and(|before| gains(candidate, choice, before)) => {
                again(transaction, &known.row, "another series of the scan cannot be used")?;
            }
            _ => continue,
        }
        changed.push(id);
    }
    Ok(changed)
}

/// Does a series that was read for some findings now give others too?
fn gains(candidate: &Candidate, choice: &Choice, before: &[Choice]) -> bool {
    let Some(then) = before.iter().find(|then| then.id == choice.id) else { return false };
    then.is_read() && choice.gives.iter().any(|finding| !then.gives.contains(finding) && candidate.can_give(*finding))
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

/// The series that is read instead: one that was read already, else the best.
fn instead<'a>(choice: &Choice, choices: &'a [Choice], read: &[&'a Candidate]) -> Option<&'a Label> {
    let best =
        || choices.iter().find(|other| other.id == choice.best && other.id != choice.id).map(|other| &other.label);
    read.first().map(|other| &other.label).or_else(best)
}

/// For which findings a series is read now, and what its result must say of the others; `None` when it is read for all of
/// them: by itself, because a person asked for it, or because the settings do.
///
/// # Errors
/// When the database fails.
pub fn part(connection: &Connection, settings: &Analyze, row: &SeriesRow) -> store::Result<Option<Choice>> {
    if settings.series == ReadSeries::All || row.completed_by.as_deref() == Some("rerun") {
        return Ok(None);
    }
    let all = known(connection, &row.key.study_uid)?;
    let choices = choose::choose(&candidates(&all, |stage| stage != Stage::Failed));
    let Some(mut choice) = choices.into_iter().find(|choice| choice.id == row.id && choice.is_read()) else {
        return Ok(None);
    };
    let is_unread = |label: &Label| {
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
