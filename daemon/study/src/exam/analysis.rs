//! The performed procedure step of an analysis, of which a manager (RIS) is told where it wants that (`mpps.analyses`): one for each
//! job. Its rows lie beside those of exams, and `tell` brings them there; no result waits for it.

use custody::series::SeriesKey;
use custody::series::state::SeriesEvent;
use custody::store::jobs::JobRow;
use custody::store::own_steps::{self, New};
use custody::store::results::ResultRow;
use custody::store::series::SeriesRow;
use custody::store::{self, instances, series};
use dicom::header::Header;
use dicom::kind::SeriesKind;
use dicom::patient::Patient;
use dicom::request::Request;
use node::manager::step::{Begun, Ended, Kind, Made, Reason};
use rusqlite::{Connection, Transaction};

use super::step::{Rules, made};
use crate::parts::StudyParts;

/// Names an analysis: the same job of the same images has the same name, also in a database that was built again. With the study, since two
/// studies may hold a series of one UID.
fn name(key: &SeriesKey, job: &JobRow) -> String {
    let task = job.task.as_deref().unwrap_or_default();
    format!("analysis of {} of study {} version {} {task}", key.series_uid, key.study_uid, job.version)
}

/// One that has begun keeps its name, also when another version of this software gave it.
fn name_of(connection: &Connection, key: &SeriesKey, job: &JobRow) -> store::Result<String> {
    Ok(own_steps::name_of_job(connection, job.id)?.unwrap_or_else(|| name(key, job)))
}

/// Writes down that an analysis has begun, unless its results stay here, where the manager is told of analyses. A fault of it keeps no study from its analysis.
pub(crate) fn begun(
    parts: &StudyParts,
    connection: &mut Connection,
    job: &JobRow,
    row: &SeriesRow,
    stays: impl FnOnce(&Connection) -> store::Result<bool>,
) {
    let noted = note_begun(parts, connection, job, row, stays);
    match noted {
        Ok(true) => parts.steps_bell.notify_one(),
        Ok(false) => {}
        Err(error) => tracing::warn!(job = job.id, "the manager is not told of an analysis: {error}"),
    }
}

fn note_begun(
    parts: &StudyParts,
    connection: &mut Connection,
    job: &JobRow,
    row: &SeriesRow,
    stays: impl FnOnce(&Connection) -> store::Result<bool>,
) -> store::Result<bool> {
    let settings = &parts.settings;
    let Some(rules) = Rules::of(&settings.mpps, &settings.device) else { return Ok(false) };
    let simulated = settings.accelerator.provider().is_some_and(|provider| provider.is_simulated());
    let Some((station_ae_title, station_name)) = rules.of_analyses(simulated) else { return Ok(false) };
    // What no archive is to see, nobody else is told of either.
    if row.kind == SeriesKind::Exam || stays(connection)? {
        return Ok(false);
    }
    let kept = instances::of_series(connection, &row.key.study_uid, &row.key.series_uid)?;
    let Some(first) = kept.first() else { return Ok(false) };
    let begun = Begun {
        kind: Kind::Analysis,
        patient: patient(&first.header),
        request: Some(Request { sex: first.header.sex.clone(), ..Request::default() }),
        study_uid: row.key.study_uid.clone(),
        started_utc: store::now_utc(),
        station_ae_title: station_ae_title.to_owned(),
        station_name: station_name.to_owned(),
    };
    let name = name_of(connection, &row.key, job)?;
    let new = New {
        recording_uid: &name,
        sop_uid: &dicom::uid::from_name(&format!("performed procedure step of the {name}")),
        study_uid: &row.key.study_uid,
        begun: &serde_json::to_string(&begun)?,
        job_id: Some(job.id),
    };
    let transaction = connection.transaction()?;
    let is_new = own_steps::begin(&transaction, &new, &begun.started_utc)?;
    transaction.commit()?;
    Ok(is_new)
}

fn patient(header: &Header) -> Patient {
    Patient {
        id: header.patient_id.trim().to_owned(),
        name: header.patient_name.trim().to_owned(),
        birth_date: header.birth_date.trim().to_owned(),
        accession_number: header.accession_number.trim().to_owned(),
    }
}

/// Writes down what the analysis came to, in the transaction that writes its results. `true`: there is something to tell.
///
/// # Errors
/// When the database fails.
pub(crate) fn ended(
    transaction: &Transaction<'_>,
    job: &JobRow,
    event: SeriesEvent,
    results: &[ResultRow],
    now: &str,
) -> store::Result<bool> {
    let Some(row) = series::get(transaction, job.series_id)? else { return Ok(false) };
    let name = name_of(transaction, &row.key, job)?;
    let discontinued = (event != SeriesEvent::Processed).then_some(Reason::Unspecified);
    let said = serde_json::to_string(&end(&name, discontinued, made(results), now))?;
    Ok(own_steps::end(transaction, &name, &said)? == own_steps::End::New)
}

/// A series must be named (type 1 in the final state), also where nothing was made.
fn end(name: &str, discontinued: Option<Reason>, mut series: Vec<Made>, now: &str) -> Ended {
    if series.is_empty() {
        series.push(Made { series_uid: dicom::uid::from_name(&format!("nothing of the {name}")), ..Made::default() });
    }
    Ended { kind: Kind::Analysis, utc: now.to_owned(), discontinued, series }
}

/// Why an analysis that has not ended will not; `None` while it may. Pure.
fn given_up(job: Option<&str>) -> Option<Reason> {
    match job {
        Some("queued" | "running") => None,
        // Its job is done again as another one, if it is.
        Some("superseded") => Some(Reason::Rescheduled),
        Some("parked") => Some(Reason::EquipmentFailure),
        _ => Some(Reason::Unspecified),
    }
}

/// Ends the steps of analyses that were parked, or whose place a newer one has taken.
///
/// # Errors
/// When the database fails.
pub(super) fn look(connection: &mut Connection, now: &str) -> store::Result<()> {
    for open in own_steps::open_analyses(connection)? {
        let Some(reason) = given_up(open.job.as_deref()) else { continue };
        let said = serde_json::to_string(&end(&open.name, Some(reason), Vec::new(), now))?;
        let transaction = connection.transaction()?;
        own_steps::end(&transaction, &open.name, &said)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_analysis_ends_by_itself_only_when_its_job_will_not() {
        for (job, reason) in [
            (Some("queued"), None),
            (Some("running"), None),
            (Some("parked"), Some(Reason::EquipmentFailure)),
            (Some("superseded"), Some(Reason::Rescheduled)),
            (None, Some(Reason::Unspecified)),
        ] {
            assert_eq!(given_up(job), reason, "{job:?}");
        }
        let ended = end("x", given_up(Some("parked")), Vec::new(), "2026-11-30T10:00:00.000Z");
        assert!(ended.series.len() == 1 && ended.series[0].others.is_empty(), "a series is of type 1");
    }

    fn job(id: i64, version: i64, task: Option<&str>) -> JobRow {
        JobRow {
            id,
            series_id: 1,
            version,
            state: "running".into(),
            attempts: 0,
            interruptions: 0,
            not_before_utc: None,
            reason: None,
            created_utc: String::new(),
            task: task.map(str::to_owned),
        }
    }

    fn key(study_uid: &str) -> SeriesKey {
        SeriesKey { study_uid: study_uid.into(), series_uid: "1.2.3".into() }
    }

    #[test]
    fn the_same_analysis_has_the_same_name_and_a_rerun_or_another_study_another() {
        let first = name(&key("1.2"), &job(7, 1, None));
        assert_eq!(first, name(&key("1.2"), &job(99, 1, None)));
        for other in [
            name(&key("1.2"), &job(7, 2, None)),
            name(&key("1.2"), &job(7, 1, Some("mammography"))),
            name(&key("1.4"), &job(7, 1, None)),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn an_analysis_that_had_begun_before_an_update_ends_under_its_old_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = store::Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut rows = store.connect(store::Durability::Full).unwrap();
        let old = "analysis of 1.2.3 version 1 ";
        let new = New { recording_uid: old, sop_uid: "1.9", study_uid: "1.2", begun: "{}", job_id: Some(7) };
        let transaction = rows.transaction().unwrap();
        own_steps::begin(&transaction, &new, "2026-11-30T10:00:00.000Z").unwrap();
        assert_eq!(name_of(&transaction, &key("1.2"), &job(7, 1, None)).unwrap(), old);
        assert_eq!(name_of(&transaction, &key("1.2"), &job(8, 1, None)).unwrap(), name(&key("1.2"), &job(8, 1, None)));
    }
}
