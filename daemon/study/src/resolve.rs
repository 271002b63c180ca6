//! A corrected re-send: objects came again under the same UIDs with other content, and a person says which counts. What
//! that changes is analysed again as a new version; results of the content that does not count any more and have not
//! left are superseded. Those that were delivered are marked as rejected: `reject` tells their destinations.

use std::time::Duration;

use custody::series::state::SeriesEvent;
use custody::series::{SeriesKey, SeriesState};
use custody::store::conflicts::{self, Choice};
use custody::store::series::SeriesRow;
use custody::store::{self, deliveries, events, instances, jobs, rejections, results, series};
use dicom::kind::SeriesKind;
use report::rejection::Rejection;
use rusqlite::Transaction;

use crate::analyze::task::StudyTask;
use crate::lesions::{record, source_of_series, source_of_task};
use crate::settings::Analyze;
use crate::{Patience, choosing, gather, settle};

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Objects that were in conflict.
    pub objects: u32,
    /// Series whose row changed.
    pub changed: Vec<i64>,
}

/// Decides for all conflicts of a study. `None`, and nothing may be written: a series that it would change is being
/// received.
///
/// # Errors
/// When the database fails.
pub fn resolve(
    transaction: &Transaction<'_>,
    settings: &Analyze,
    study_uid: &str,
    choice: Choice,
) -> store::Result<Option<Resolved>> {
    let decided = conflicts::resolve(transaction, study_uid, choice)?;
    let mut resolved = Resolved { objects: decided.objects, changed: Vec::new() };
    let mut studies = Vec::new();
    for key in &decided.series {
        let Some(row) = begin_again(transaction, settings, key)? else { return Ok(None) };
        if StudyTask::takes_studies_of(settings, row.kind) {
            studies.push(key.study_uid.clone());
        }
        resolved.changed.push(row.id);
    }
    studies.dedup();
    for study_uid in studies {
        resolved.changed.extend(gather::again(transaction, settings, &study_uid)?.changed);
    }
    if resolved.objects > 0 {
        let said = match choice {
            Choice::TakeNew => "the newer content of each counts",
            Choice::KeepOld => "the older content of each counts",
        };
        // What was withheld meanwhile, and is still to be sent.
        deliveries::due_of_study(transaction, study_uid, &store::now_utc())?;
        events::record(transaction, "conflicts", "resolved", &format!("{} objects: {said}", resolved.objects))?;
    }
    Ok(Some(resolved))
}

/// A new version of a series whose content changed. `None`: it is being received.
pub(crate) fn begin_again(
    transaction: &Transaction<'_>,
    settings: &Analyze,
    key: &SeriesKey,
) -> store::Result<Option<SeriesRow>> {
    let now = store::now_utc();
    let kept = instances::of_series(transaction, &key.study_uid, &key.series_uid)?;
    let before = series::find(transaction, key)?;
    if before.as_ref().is_some_and(|row| row.state == SeriesState::Receiving) {
        return Ok(None);
    }
    let total = u32::try_from(kept.len()).unwrap_or(u32::MAX);
    let (modality, kind) = match (kept.first(), &before) {
        (Some(first), _) => {
            let kind = SeriesKind::of_series(kept.iter().map(|instance| &instance.header));
            (first.header.modality.clone(), kind.unwrap_or(SeriesKind::Other))
        }
        (None, Some(row)) => (row.modality.clone(), row.kind),
        (None, None) => (String::new(), SeriesKind::Other),
    };
    let (mut row, _) = series::opened(transaction, key, &modality, kind, total, &now)?;
    series::is_of_kind(transaction, row.id, kind)?;
    row.kind = kind;
    let version = series::completed(transaction, row.id, "resolved", &now)?;
    rejections::of_replaced(transaction, row.id, version, Rejection::PatientSafety.word())?;
    // What still holds is said again by the next analysis.
    record::take_back(transaction, &source_of_series(&key.study_uid, &key.series_uid))?;
    for (task, _) in StudyTask::of_studies() {
        record::take_back(transaction, &source_of_task(&key.study_uid, task.name()))?;
    }
    if kept.is_empty() {
        jobs::supersede_older(transaction, row.id, version)?;
        results::supersede_older(transaction, row.id, version)?;
        series::conclude(transaction, row.id, SeriesEvent::Refused, gather::EMPTIED)?;
        if row.kind.is_volume() {
            // Others may not have been read because of it.
            choosing::decide(transaction, settings, &key.study_uid, Duration::ZERO)?;
        }
    } else {
        settle(transaction, settings, &row, Patience::NONE)?;
    }
    series::get(transaction, row.id)
}
