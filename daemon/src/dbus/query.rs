//! Reads the lists of the store, and makes the rows of the bus of them.

use std::collections::BTreeMap;

use custody::store::lists::{self, Wanted};
use custody::store::waiting::{self, Waiting};
use custody::store::{events, journal, senders, shadows};
use node::callers;
use rusqlite::Connection;

use super::Error;
use super::names::Noun;
use super::rows::{Caller, Delivery, Destination, Happened, Job, Quarantined, Sender, Series, ShadowRun, Study};

type Result<T, E = Error> = std::result::Result<T, E>;

/// # Errors
/// When the database fails (as for all below).
pub fn studies(connection: &Connection, wanted: &Wanted) -> Result<Vec<Study>> {
    Ok(lists::studies(connection, wanted)?.into_iter().map(Study::from).collect())
}

pub fn series(connection: &Connection, wanted: &Wanted) -> Result<Vec<Series>> {
    Ok(lists::series(connection, wanted)?.into_iter().map(Series::from).collect())
}

pub fn jobs(connection: &Connection, wanted: &Wanted) -> Result<Vec<Job>> {
    Ok(lists::jobs(connection, wanted)?.into_iter().map(Job::from).collect())
}

pub fn job(connection: &Connection, id: i64) -> Result<Option<Job>> {
    Ok(lists::job(connection, id)?.map(Job::from))
}

pub fn deliveries(connection: &Connection, wanted: &Wanted) -> Result<Vec<Delivery>> {
    Ok(lists::deliveries(connection, wanted)?.into_iter().map(Delivery::from).collect())
}

pub fn delivery(connection: &Connection, id: i64) -> Result<Option<Delivery>> {
    Ok(lists::delivery(connection, id)?.map(Delivery::from))
}

pub fn quarantine(connection: &Connection, wanted: &Wanted) -> Result<Vec<Quarantined>> {
    Ok(lists::quarantine(connection, wanted)?.into_iter().map(Quarantined::from).collect())
}

pub fn shadow_runs(connection: &Connection, wanted: &Wanted) -> Result<Vec<ShadowRun>> {
    let rows = shadows::latest(connection, wanted.study_uid.as_deref(), wanted.limit)?;
    Ok(rows.into_iter().map(|(row, study_uid, series_uid)| ShadowRun::new(row, study_uid, series_uid)).collect())
}

pub fn senders(connection: &Connection) -> Result<Vec<Sender>> {
    Ok(senders::senders(connection)?.into_iter().map(Sender::from).collect())
}

/// Every configured destination, and those at which something still waits, by name.
pub fn destinations(connection: &Connection, configured: &BTreeMap<String, String>) -> Result<Vec<Destination>> {
    let mut all: BTreeMap<String, Destination> = BTreeMap::new();
    for waiting in waiting::by_destination(connection)? {
        all.insert(waiting.destination.clone(), Destination::from(waiting));
    }
    for (name, address) in configured {
        let one = all.entry(name.clone()).or_insert_with(|| Destination { name: name.clone(), ..Default::default() });
        one.address = Some(address.clone());
    }
    Ok(all.into_values().collect())
}

pub fn events(connection: &Connection, wanted: &Wanted) -> Result<Vec<Happened>> {
    let rows = match &wanted.study_uid {
        Some(study_uid) => journal::of_study(connection, study_uid)?,
        None => events::latest(connection, wanted.limit)?,
    };
    Ok(rows.into_iter().map(Happened::from).collect())
}

/// Text as the bus can carry it. A string of D-Bus holds no NUL: one that did would end the connection, and the next one as
/// long as its row exists.
pub fn shown(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text }
}

impl From<lists::StudyItem> for Study {
    fn from(item: lists::StudyItem) -> Self {
        let hold = item.hold.as_ref();
        Self {
            hold: hold.map(|hold| shown(hold.reason.clone())),
            hold_since_utc: hold.map(|hold| hold.since_utc.clone()),
            hold_by: hold.map(|hold| hold.by.clone()),
            path: Noun::Study.path(item.id),
            study_uid: shown(item.study_uid),
            patient_id: shown(item.header.patient_id),
            patient_name: shown(item.header.patient_name),
            patients: item.patients,
            study_date: shown(item.header.study_date),
            description: shown(item.header.study_description),
            accession_number: shown(item.header.accession_number),
            modalities: item.modalities.into_iter().map(shown).collect(),
            series_count: item.series_count,
            instance_count: item.instance_count,
            state: item.state.to_owned(),
            verdicts: item.verdicts.into_iter().map(shown).collect(),
            first_utc: item.first_utc,
            last_utc: item.last_utc,
        }
    }
}

impl From<lists::SeriesItem> for Series {
    fn from(item: lists::SeriesItem) -> Self {
        Self {
            path: Noun::Series.path(item.id),
            study_uid: shown(item.study_uid),
            series_uid: shown(item.series_uid),
            series_number: item.header.series_number,
            description: shown(item.header.series_description),
            patient_id: shown(item.header.patient_id),
            patient_name: shown(item.header.patient_name),
            modality: shown(item.modality),
            kind: item.kind,
            state: item.state,
            verdict: item.verdict.map(shown),
            version: item.version,
            completed_by: item.completed_by,
            instance_count: item.instance_count,
            first_utc: item.first_utc,
            last_utc: item.last_utc,
            completed_utc: item.completed_utc,
        }
    }
}

impl From<lists::JobItem> for Job {
    fn from(item: lists::JobItem) -> Self {
        Self {
            path: Noun::Job.path(item.id),
            series: Noun::Series.path(item.series_id),
            study_uid: shown(item.study_uid),
            series_uid: shown(item.series_uid),
            version: item.version,
            // Stage and fraction of a job that runs are known from its events only.
            stage: String::new(),
            fraction: if item.state == "done" { 1.0 } else { 0.0 },
            state: item.state,
            priority: item.priority,
            attempts: item.attempts,
            interruptions: item.interruptions,
            not_before_utc: item.not_before_utc,
            reason: item.reason.map(shown),
            created_utc: item.created_utc,
            started_utc: item.started_utc,
            finished_utc: item.finished_utc,
            findings: item.findings,
            timings: item.timings,
            task: item.task,
        }
    }
}

impl From<lists::DeliveryItem> for Delivery {
    fn from(item: lists::DeliveryItem) -> Self {
        Self {
            path: Noun::Delivery.path(item.id),
            destination: shown(item.destination),
            state: item.state,
            kind: item.kind,
            sop_uid: shown(item.sop_uid),
            study_uid: shown(item.study_uid),
            attempts: item.attempts,
            status: item.status,
            reason: item.reason.map(shown),
            next_utc: item.next_utc,
            delivered_utc: item.delivered_utc,
            commitment: item.commitment,
        }
    }
}

impl From<Waiting> for Destination {
    fn from(waiting: Waiting) -> Self {
        Self {
            name: shown(waiting.destination),
            address: None,
            pending: waiting.pending,
            held: waiting.held,
            parked: waiting.parked,
            oldest_pending_utc: waiting.oldest_pending_utc,
            reason: waiting.reason.map(shown),
            parked_reason: waiting.parked_reason.map(shown),
        }
    }
}

impl From<lists::SetAside> for Quarantined {
    fn from(item: lists::SetAside) -> Self {
        Self {
            id: item.id,
            state: item.state,
            reason: shown(item.reason),
            sop_class: shown(item.sop_class),
            sop_uid: shown(item.sop_uid),
            study_uid: shown(item.study_uid),
            length: item.length,
            received_utc: item.received_utc,
            calling_ae: shown(item.calling_ae),
            peer_address: shown(item.peer_address),
        }
    }
}

impl From<callers::Caller> for Caller {
    fn from(caller: callers::Caller) -> Self {
        Self {
            calling_ae: shown(caller.calling_ae),
            called_ae: shown(caller.called_ae),
            address: caller.address.to_string(),
            outcome: caller.outcome.code().to_owned(),
            reason: shown(caller.reason),
            times: caller.times,
            first_utc: caller.first_utc,
            last_utc: caller.last_utc,
        }
    }
}

impl From<senders::SenderItem> for Sender {
    fn from(item: senders::SenderItem) -> Self {
        Self {
            calling_ae: shown(item.calling_ae),
            address: shown(item.address),
            instances: item.instances,
            studies: item.studies,
            first_utc: item.first_utc,
            last_utc: item.last_utc,
            hours: item.hours,
            last_study_date: shown(item.last_study_date),
        }
    }
}

impl From<events::EventRow> for Happened {
    fn from(row: events::EventRow) -> Self {
        Self { utc: row.utc, subject: shown(row.subject), what: shown(row.what), detail: shown(row.detail) }
    }
}

impl ShadowRun {
    fn new(row: shadows::ShadowRow, study_uid: String, series_uid: String) -> Self {
        Self {
            job: Noun::Job.path(row.job_id),
            study_uid,
            series_uid,
            utc: row.utc,
            task: row.task,
            active: row.active,
            candidate: row.candidate,
            active_ms: row.active_ms,
            candidate_ms: row.candidate_ms,
            differing: row.differing,
            differences: row.differences,
            failure: row.failure,
        }
    }
}
