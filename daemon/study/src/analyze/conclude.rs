//! How a job ends in the database: concluded with its results, queued again after a wait, or parked with its reason.

use std::collections::BTreeSet;
use std::time::Duration;

use custody::event::Event;
use custody::instance::Instance;
use custody::series::SeriesState;
use custody::series::state::SeriesEvent;
use custody::store::jobs::{self, JobRow};
use custody::store::members::SeriesVersion;
use custody::store::results::{self, ResultRow};
use custody::store::reviews::{self, Fate};
use custody::store::series::SeriesRow;
use custody::store::{
    self, Durability, StoreFault, deliveries, events, instances, lesions, members, rejections, series, steps,
};
use dicom::kind::SeriesKind;
use dicom::test_object;
use hal::backoff::Pauses;
use models::review::Decision;
use report::rejection::Rejection;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::Error;
use super::examine;
use crate::choosing;
use crate::exam::analysis;
use crate::exam::step::{self, Over};
use crate::lesions::record::{self, Recorded};
use crate::lesions::source_of;
use crate::lesions::visit::Visit;
use crate::parts::StudyParts;
use crate::settings::{Analyze, Settings};
use crate::{amiss, performed, priors};

/// A failed job waits no longer than this, unless the first pause is longer already.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// What a job that ran to its end comes to.
#[derive(Clone)]
pub(super) struct Conclusion<'a> {
    pub(super) verdict: &'a str,
    /// Of the series.
    pub(super) event: SeriesEvent,
    /// As JSON.
    pub(super) findings: Option<&'a str>,
    /// The marks in pictures of a breast, as JSON.
    pub(super) marks: Option<&'a str>,
    /// The objects, in the order in which they are delivered.
    pub(super) results: &'a [ResultRow],
    /// Stage and milliseconds, in order.
    pub(super) timings_ms: &'a [(String, f64)],
    /// What became of a review of the series that was signed for its version.
    pub(super) review: Fate,
    /// What was seen of lesions of the breast, where that was looked for.
    pub(super) visit: Option<&'a Visit>,
    /// How the exam ended, of one of this box.
    pub(super) exam: Option<Over<'a>>,
}

/// The one transaction that ends a job: results, deliveries, job and series, all or nothing.
///
/// # Errors
/// `Cancelled` when a newer job has taken the place of this one; otherwise when the database fails.
pub(super) fn conclude(parts: &StudyParts, job: &JobRow, conclusion: Conclusion<'_>) -> Result<(), Error> {
    let mut connection = parts.store.connect(Durability::Full)?;
    let spool = &parts.settings.spool.directory;
    let damaged = results::damaged(&connection, spool, conclusion.results)?;
    let transaction = begin(&mut connection)?;
    if !jobs::is_current(&transaction, job.id)? {
        return Err(examine::Error::Cancelled.into());
    }
    let now = store::now_utc();
    let mut ids = Vec::new();
    for row in conclusion.results {
        ids.push(results::insert(&transaction, row)?);
        if damaged.iter().any(|old| old.sop_uid == row.sop_uid) {
            results::renew(&transaction, row, &now)?;
        }
    }
    results::supersede_older(&transaction, job.series_id, job.version)?;
    let stays = stays_here(&transaction, job, parts.settings.prior.deliver)?;
    if !stays {
        queue(&transaction, &parts.settings, &ids, &now)?;
    }
    let timings = serde_json::to_string(conclusion.timings_ms).map_err(store::Error::from)?;
    jobs::done(&transaction, job.id, conclusion.findings, &timings, &now)?;
    if let Some(marks) = conclusion.marks {
        jobs::set_marks(&transaction, job.id, marks)?;
    }
    for id in series_of(&transaction, job)? {
        let verdict = with_performed(&transaction, id, conclusion.verdict)?;
        let verdict = with_prior(&transaction, id, &verdict, is_compared(conclusion.findings))?;
        series::conclude(&transaction, id, conclusion.event, &verdict)?;
        events::record(&transaction, &format!("series/{id}"), "concluded", &verdict)?;
    }
    // Of a task of the whole study its review is that of the series at which the job is anchored.
    reviews::conclude(&transaction, job.series_id, job.version, &conclusion.review)?;
    if conclusion.review == Fate::Applied && contradicts(&transaction, job)? {
        rejections::of_reviewed(&transaction, job.series_id, job.version, Rejection::Quality.word())?;
    }
    next_best(&transaction, &parts.settings.analyze, job)?;
    let recorded = noted(&transaction, job, conclusion.visit)?;
    let told = match conclusion.exam {
        Some(_) => false,
        None => analysis::ended(&transaction, job, conclusion.event, conclusion.results, &now)?,
    };
    let over = conclusion.exam.map(|over| step::note_ended(&transaction, over, conclusion.results)).transpose()?;
    transaction.commit().map_err(store::Error::from)?;
    // An attempt of this job may have written where the new file is.
    for old in damaged.iter().filter(|old| conclusion.results.iter().all(|row| row.file != old.file)) {
        tracing::warn!(job = job.id, file = old.file, "the file of a result was damaged and is made again");
        let _ = std::fs::remove_file(spool.join(&old.file));
    }
    if over == Some(true) || told {
        parts.steps_bell.notify_one();
    }
    if let Some(Recorded { new, same, open, met, perhaps }) = recorded {
        tracing::info!(job = job.id, new, same, open, met, perhaps, "lesions are noted");
        parts.store.mirror_lesions(&connection);
    }
    Ok(())
}

/// Queues results for every destination.
///
/// # Errors
/// When the database fails.
pub(crate) fn queue(transaction: &Transaction<'_>, settings: &Settings, ids: &[i64], now: &str) -> store::Result<()> {
    for (name, destination) in &settings.destination {
        deliveries::enqueue(transaction, ids, name, destination.kinds().as_deref(), now)?;
        deliveries::apply_simulated(transaction, name, destination.accepts_simulated, now)?;
    }
    Ok(())
}

/// Whether the results are of a test object that no archive is to see, or of a series that this box fetched only to compare with it.
pub(super) fn stays_here(connection: &Connection, job: &JobRow, deliver_fetched: bool) -> Result<bool, store::Error> {
    let Some(row) = series::get(connection, job.series_id)? else { return Ok(false) };
    if !deliver_fetched && store::priors::stays(connection, &row.key)? {
        return Ok(true);
    }
    is_test_object(connection, &row.key.study_uid)
}

/// Whether all of a study is of test objects that no archive is to see.
///
/// # Errors
/// When the database fails.
pub(crate) fn is_test_object(connection: &Connection, study_uid: &str) -> store::Result<bool> {
    let patients = instances::patient_ids_of_study(connection, study_uid)?;
    // Not for one object that somebody put into the study of a patient.
    Ok(!patients.is_empty() && patients.iter().all(|patient| test_object::stays(patient)))
}

/// A fault in what is noted of lesions, or in what was noted before, keeps no result from its patient. `None`: nothing was and
/// is to be noted.
fn noted(transaction: &Transaction<'_>, job: &JobRow, visit: Option<&Visit>) -> Result<Option<Recorded>, store::Error> {
    let note = |transaction: &Transaction<'_>| match visit {
        Some(visit) => {
            let has_gone = has_gone(transaction, job)?;
            record::record(transaction, &Visit { has_gone, ..visit.clone() }).map(Some)
        }
        None => Ok(taken_back(transaction, job)?.then(Recorded::default)),
    };
    let error = match store::apart(transaction, note)? {
        Err(error) if matches!(error.kind(), StoreFault::Rows | StoreFault::Other) => error,
        done => return done,
    };
    tracing::error!(job = job.id, %error, "lesions are not noted");
    events::record(transaction, &format!("series/{}", job.series_id), "lesions are not noted", &error.to_string())?;
    Ok(None)
}

/// Whether pictures that an earlier analysis may have looked at were evicted or damaged, and did not come again.
fn has_gone(transaction: &Transaction<'_>, job: &JobRow) -> Result<bool, store::Error> {
    let (mut came, mut here) = (BTreeSet::new(), BTreeSet::new());
    let uid = |instance: Instance| instance.header.sop_instance_uid;
    if job.task.is_some() {
        for member in members::of_job(transaction, job.id)? {
            came.extend(instances::get(transaction, member.instance_id)?.map(uid));
            here.extend(instances::get_here(transaction, member.instance_id)?.map(uid));
        }
    } else if let Some(SeriesRow { key, .. }) = series::get(transaction, job.series_id)? {
        let (study_uid, series_uid) = (&key.study_uid, &key.series_uid);
        came.extend(instances::ever_of_series(transaction, study_uid, series_uid)?.into_iter().map(uid));
        came.extend(instances::damaged_of_series(transaction, study_uid, series_uid)?.into_iter().map(uid));
        here.extend(instances::of_series(transaction, study_uid, series_uid)?.into_iter().map(uid));
    }
    Ok(!came.is_subset(&here))
}

/// What an earlier analysis said of lesions, when nothing comes of this one.
fn taken_back(transaction: &Transaction<'_>, job: &JobRow) -> Result<bool, store::Error> {
    let Some(row) = series::get(transaction, job.series_id)? else { return Ok(false) };
    let source = source_of(&row.key, row.kind, job.task.as_deref());
    // What is left says nothing of what is gone. Asked only where something was said: most series are of no breast.
    if lesions::patients_of_source(transaction, &source)?.is_empty() || has_gone(transaction, job)? {
        return Ok(false);
    }
    record::take_back(transaction, &source)
}

/// Whether what was told before the review that this job applied is wrong: the review rejects or edits a finding, or an earlier one that was
/// applied, and signed its own version, accepted others.
fn contradicts(connection: &Connection, job: &JobRow) -> Result<bool, store::Error> {
    let Some(review) = reviews::of_version(connection, job.series_id, job.version)? else { return Ok(false) };
    let signed: Decisions = serde_json::from_str(&review)?;
    if signed.decisions.iter().any(|one| one.decision != Decision::Accepted) {
        return Ok(true);
    }
    for earlier in reviews::applied_before(connection, job.series_id, job.version)? {
        if serde_json::from_str::<Decisions>(&earlier)?.accepted() != signed.accepted() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Of a review, whatever it is about.
#[derive(Deserialize)]
struct Decisions {
    decisions: Vec<Decided>,
}

impl Decisions {
    /// Ids.
    fn accepted(&self) -> BTreeSet<&str> {
        let accepted = self.decisions.iter().filter(|one| one.decision == Decision::Accepted);
        accepted.map(|one| one.id.as_str()).collect()
    }
}

#[derive(Deserialize)]
struct Decided {
    id: String,
    decision: Decision,
}

/// What came of a series may call for others: those that were not read because of it, and results that name it. What their rows say
/// keeps no job from its end: it would be taken again and again, before all others.
fn next_best(transaction: &Transaction<'_>, settings: &Analyze, job: &JobRow) -> Result<(), store::Error> {
    if job.task.is_some() {
        return Ok(());
    }
    let Some(row) = series::get(transaction, job.series_id)? else { return Ok(()) };
    if row.kind != SeriesKind::Ct {
        return Ok(());
    }
    let decide = |own: &Transaction<'_>| choosing::decide(own, settings, &row.key.study_uid, Duration::ZERO);
    match store::apart(transaction, decide)? {
        Err(error) if error.kind() == StoreFault::Rows => amiss::noted(transaction, &row.key.study_uid, &error),
        Ok(changed) if !changed.is_empty() => {
            tracing::info!(job = job.id, series = changed.len(), "read because of what came of another series");
            Ok(())
        }
        done => done.map(drop),
    }
}

/// A verdict with what the scanner said of the series.
fn with_performed(connection: &Connection, id: i64, verdict: &str) -> Result<String, store::Error> {
    let Some(row) = series::get(connection, id)? else { return Ok(verdict.to_owned()) };
    let said = steps::of_series(connection, &row.key.study_uid, &row.key.series_uid)?;
    Ok(performed::verdict(verdict, said.as_ref()))
}

/// A verdict with why the study was compared with nothing, where a person should know.
fn with_prior(connection: &Connection, id: i64, verdict: &str, is_compared: bool) -> Result<String, store::Error> {
    let Some(row) = series::get(connection, id)? else { return Ok(verdict.to_owned()) };
    if row.kind != SeriesKind::Ct {
        return Ok(verdict.to_owned());
    }
    priors::with_prior(connection, &row.key, verdict, is_compared)
}

/// Whether these findings were compared with earlier ones.
fn is_compared(findings: Option<&str>) -> bool {
    let findings = findings.and_then(|findings| serde_json::from_str::<Compared>(findings).ok());
    findings.and_then(|findings| findings.comparison).is_some_and(|comparison| comparison.missing.is_none())
}

/// Of findings, whatever they are about.
#[derive(Deserialize)]
struct Compared {
    comparison: Option<Comparison>,
}

#[derive(Deserialize)]
struct Comparison {
    /// Why there was nothing to compare in the study that is known.
    missing: Option<IgnoredAny>,
}

/// The series that get the verdict of a job: its own; of a study task those of its images. None that has grown or was evicted since:
/// one that is being received and had a verdict would not be assembled at the next start.
fn series_of(connection: &Connection, job: &JobRow) -> Result<Vec<i64>, store::Error> {
    let own = || vec![SeriesVersion { series_id: job.series_id, version: job.version }];
    let worked_on = if job.task.is_some() { members::series_of_job(connection, job.id)? } else { own() };
    let mut ids = Vec::new();
    for member in worked_on {
        let Some(row) = series::get(connection, member.series_id)? else { continue };
        let open = !matches!(row.state, SeriesState::Receiving | SeriesState::Evicted);
        if open && row.version == member.version {
            ids.push(row.id);
        }
    }
    Ok(ids)
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, store::Error> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

/// Notes that a job failed: it is tried again after a growing wait, or parked when it failed too often or only people can
/// help.
///
/// # Errors
/// When the database fails.
pub(super) fn failed(
    parts: &StudyParts,
    connection: &mut Connection,
    job: &JobRow,
    error: &Error,
) -> Result<(), store::Error> {
    let transaction = begin(connection)?;
    if !jobs::is_current(&transaction, job.id)? {
        return Ok(()); // a newer job does the work
    }
    let state = retry_or_park(parts, &transaction, job, error)?;
    transaction.commit()?;
    let _ = parts.events.send(Event::Job {
        id: job.id,
        series_id: job.series_id,
        state: state.into(),
        stage: "failed".into(),
        fraction: 0.0,
    });
    series_events(parts, connection, job);
    Ok(())
}

/// The state that the job has then.
fn retry_or_park(
    parts: &StudyParts,
    transaction: &Transaction<'_>,
    job: &JobRow,
    error: &Error,
) -> Result<&'static str, store::Error> {
    let settings = &parts.settings.analyze;
    let reason = error.to_string();
    let attempts = job.attempts + 1;
    if error.needs_people() {
        park(transaction, settings, job, &reason)?;
        return Ok("parked");
    }
    if attempts >= settings.max_attempts {
        park(transaction, settings, job, &format!("analysis failed {attempts} times: {reason}"))?;
        return Ok("parked");
    }
    let wait = pauses(settings).after(attempts);
    let wait_secs = wait.as_secs_f64();
    tracing::warn!(job = job.id, attempts, reason, wait_secs, "analysis failed, will be tried again");
    jobs::retry(transaction, job.id, &reason, &store::utc_after(wait))?;
    events::record(transaction, &format!("job/{}", job.id), "failed, will be tried again", &reason)?;
    Ok("queued")
}

/// The pauses before a failed job is tried again.
pub(super) fn pauses(settings: &Analyze) -> Pauses {
    let first = Duration::try_from_secs_f64(settings.retry_secs).unwrap_or_default();
    Pauses::new(first, first.max(LONGEST_PAUSE))
}

/// Puts a job aside for good, with its reason, and gives its series a verdict: never silence.
///
/// # Errors
/// When the database fails.
pub fn park(transaction: &Transaction<'_>, settings: &Analyze, job: &JobRow, reason: &str) -> Result<(), store::Error> {
    tracing::error!(job = job.id, reason, "analysis parked");
    jobs::park(transaction, job.id, reason, &store::now_utc())?;
    let mut verdict = format!("not analysed: {reason}; try again with `scansidectl studies rerun`");
    if let Some(by) = reviews::waits(transaction, job.series_id, job.version)? {
        verdict.push_str(&format!("; the review that {by} has signed is applied then"));
    }
    for id in series_of(transaction, job)? {
        series::conclude(transaction, id, SeriesEvent::Refused, &verdict)?;
    }
    next_best(transaction, settings, job)?;
    events::record(transaction, &format!("job/{}", job.id), "parked", reason)
}

/// Tells the rows of the series of a job as they are now.
pub(super) fn series_events(parts: &StudyParts, connection: &Connection, job: &JobRow) {
    for id in series_of(connection, job).unwrap_or_default() {
        if let Ok(Some(row)) = series::get(connection, id) {
            let _ = parts.events.send(Event::series(&row));
        }
    }
}

#[cfg(test)]
mod tests {
    use custody::instance::{Location, Origin};
    use custody::series::SeriesKey;
    use custody::store::Store;
    use custody::store::instances::InstanceState;
    use dicom::header::Header;

    use super::*;

    /// An archive would hold two verified sets that contradict each other.
    #[test]
    fn a_review_that_takes_a_decision_of_an_earlier_one_back_withdraws_what_that_has_signed() {
        const ALL: &[(&str, &str)] = &[("nodule-1", "accepted"), ("nodule-2", "accepted")];
        const ONE: &[(&str, &str)] = &[("nodule-1", "accepted"), ("nodule-2", "rejected")];
        const FEWER: &[(&str, &str)] = &[("nodule-1", "accepted")];
        const EDITED: &[(&str, &str)] = &[("nodule-1", "accepted"), ("nodule-2", "edited")];
        for (reviews, expected) in [
            (&[EDITED, ALL] as &[_], [true, true].as_slice()),
            (&[ALL] as &[_], [false].as_slice()),
            (&[ONE, ALL], &[true, true]),
            (&[ALL, ALL], &[false, false]),
            (&[ALL, FEWER], &[false, true]),
            (&[ONE, ALL, ALL], &[true, true, true]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(&folder.path().join("scanside.db")).unwrap();
            let mut connection = store.connect(Durability::Full).unwrap();
            let transaction = connection.transaction().unwrap();
            let key = SeriesKey { study_uid: "1.2".into(), series_uid: "1.3".into() };
            let now = store::now_utc();
            let (row, _) = series::opened(&transaction, &key, "CT", SeriesKind::Ct, 1, &now).unwrap();
            let next = || {
                let version = series::completed(&transaction, row.id, "review", &now).unwrap();
                (version, jobs::enqueue(&transaction, row.id, version, &now).unwrap())
            };
            let (_, mut before) = next();
            jobs::done(&transaction, before, None, "[]", &now).unwrap();
            let mut said = Vec::new();
            for decisions in reviews {
                let (version, id) = next();
                let decisions: Vec<_> = decisions
                    .iter()
                    .map(|(id, decision)| serde_json::json!({ "id": id, "decision": decision }))
                    .collect();
                let review = serde_json::json!({ "decisions": decisions }).to_string();
                let signed = reviews::Signed {
                    series_id: row.id,
                    version,
                    job_id: before,
                    utc: &now,
                    by: "Li Ming",
                    review: &review,
                };
                reviews::insert(&transaction, signed).unwrap();
                let job = jobs::get(&transaction, id).unwrap().unwrap();
                jobs::done(&transaction, id, None, "[]", &now).unwrap();
                reviews::conclude(&transaction, row.id, version, &Fate::Applied).unwrap();
                said.push(contradicts(&transaction, &job).unwrap());
                before = id;
            }
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn a_picture_is_gone_that_was_evicted_or_damaged_until_it_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        let transaction = connection.transaction().unwrap();
        let key = SeriesKey { study_uid: "1.2".into(), series_uid: "1.3".into() };
        let (_, job) = complete(&transaction, &key, "US", SeriesKind::Ultrasound);
        let gone_with = |sop_uid: &str, state| {
            receive(&transaction, &key, sop_uid, state);
            has_gone(&transaction, &job).unwrap()
        };
        assert!(!gone_with("1.4.1", InstanceState::Kept));
        assert!(gone_with("1.4.2", InstanceState::Evicted));
        assert!(!gone_with("1.4.2", InstanceState::Kept), "it came again");
        assert!(gone_with("1.4.3", InstanceState::Damaged));
    }

    /// The scanner stalled before its last slices, and the analysis of those before ends just now.
    #[test]
    fn a_series_that_is_being_received_gets_no_verdict_of_an_older_version() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        let transaction = connection.transaction().unwrap();
        let key = SeriesKey { study_uid: "1.2".into(), series_uid: "1.3".into() };
        let now = store::now_utc();
        let (row, job) = complete(&transaction, &key, "CT", SeriesKind::Ct);
        receive(&transaction, &key, "1.4.1", InstanceState::Kept);
        park(&transaction, &Analyze::default(), &job, "it is too short").unwrap();
        let row = series::get(&transaction, row.id).unwrap().unwrap();
        assert_eq!((row.state, row.verdict), (SeriesState::Receiving, None));
        assert_eq!(series::unfinished(&transaction).unwrap(), [key], "assembled at the next start");
        // It is complete again: what the older version came to is not said of it either.
        series::completed(&transaction, row.id, "quiet", &now).unwrap();
        park(&transaction, &Analyze::default(), &job, "it is too short").unwrap();
        assert_eq!(series::get(&transaction, row.id).unwrap().unwrap().verdict, None);
    }

    /// A series that is complete, and its job.
    fn complete(
        connection: &Transaction<'_>,
        key: &SeriesKey,
        modality: &str,
        kind: SeriesKind,
    ) -> (SeriesRow, JobRow) {
        let now = store::now_utc();
        let (row, _) = series::opened(connection, key, modality, kind, 1, &now).unwrap();
        let version = series::completed(connection, row.id, "quiet", &now).unwrap();
        let job = jobs::enqueue(connection, row.id, version, &now).unwrap();
        (row, jobs::get(connection, job).unwrap().unwrap())
    }

    fn receive(connection: &Connection, key: &SeriesKey, sop_uid: &str, state: InstanceState) {
        let header = Header {
            sop_instance_uid: sop_uid.into(),
            study_instance_uid: key.study_uid.clone(),
            series_instance_uid: key.series_uid.clone(),
            ..Header::default()
        };
        let image = instances::New {
            header: &header,
            header_json: &serde_json::to_string(&header).unwrap(),
            location: &Location::File { file: "large/1".into(), length: 1 },
            record_segment: None,
            sha256: "",
            state,
            reason: None,
            received_utc: &store::now_utc(),
            origin: &Origin::default(),
        };
        instances::insert(connection, &image).unwrap();
    }

    #[test]
    fn a_study_that_is_known_and_gives_nothing_to_compare_is_not_compared() {
        assert!(is_compared(Some(r#"{"comparison": {"date": "20260101", "missing": null}}"#)));
        assert!(is_compared(Some(r#"{"comparison": {"date": "20260101"}}"#)));
        assert!(!is_compared(Some(r#"{"comparison": {"date": "20260101", "missing": "then"}}"#)));
        for none in [None, Some(r#"{"comparison": null}"#), Some("{}")] {
            assert!(!is_compared(none));
        }
    }
}
