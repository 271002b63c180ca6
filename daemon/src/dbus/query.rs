//! Read-only queries behind the lists, the objects and the counts.

use std::sync::{Arc, Mutex, PoisonError};

use custody::store::{Durability, Store, shadows};
use dicom::header::Header;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use super::filter::Filter;
use super::names::Noun;
use super::rows::{Counts, Delivery, Job, Quarantined, Series, ShadowRun, Study};

/// One connection, opened when first needed, used on blocking threads only.
#[derive(Debug, Clone)]
pub struct Reader {
    store: Store,
    connection: Arc<Mutex<Option<Connection>>>,
}

impl Reader {
    pub fn new(store: Store) -> Self {
        Self { store, connection: Arc::default() }
    }

    /// # Errors
    /// `Internal` when the database fails.
    pub async fn read<T, F>(&self, query: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let reader = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut slot = reader.connection.lock().unwrap_or_else(PoisonError::into_inner);
            if slot.is_none() {
                let connection = reader.store.connect(Durability::Rebuildable)?;
                connection.pragma_update(None, "query_only", true)?;
                *slot = Some(connection);
            }
            slot.as_ref().map_or_else(|| Err(Error::Internal("no database".into())), query)
        })
        .await
        .map_err(|error| Error::Internal(error.to_string()))?
    }
}

type Result<T, E = Error> = std::result::Result<T, E>;

/// # Errors
/// When the database fails (as for all below).
pub fn studies(connection: &Connection, filter: &Filter) -> Result<Vec<Study>> {
    let mut statement = connection.prepare_cached(
        "SELECT study_uid, min(id), count(*), sum(instance_count), min(first_utc), max(last_utc),
                group_concat(DISTINCT state), group_concat(DISTINCT modality)
         FROM series WHERE ?1 IS NULL OR study_uid = ?1 GROUP BY study_uid ORDER BY max(last_utc) DESC, min(id) DESC",
    )?;
    let mut rows = statement.query([&filter.study_uid])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if found.len() >= filter.limit as usize {
            break;
        }
        let state = study_state(&row.get::<_, String>(6)?);
        if filter.state.as_deref().is_some_and(|wanted| wanted != state) {
            continue;
        }
        found.push(study(connection, row, state)?);
    }
    Ok(found)
}

/// Least finished first: a study is done when all of it is.
fn study_state(states: &str) -> &'static str {
    let any = |state: &str| states.split(',').any(|one| one == state);
    if any("receiving") {
        "receiving"
    } else if any("complete") {
        "analyzing"
    } else if any("processed") {
        "processed"
    } else if any("refused") {
        "refused"
    } else {
        "evicted"
    }
}

fn study(connection: &Connection, row: &Row<'_>, state: &str) -> Result<Study> {
    let study_uid: String = row.get(0)?;
    let modalities: Option<String> = row.get(7)?;
    let id: i64 = row.get(1)?;
    let header = header_of_series(connection, id)?;
    let mut statement = connection.prepare_cached(
        "SELECT id, kind, verdict FROM series WHERE study_uid = ?1 AND verdict IS NOT NULL
         ORDER BY kind <> 'ct', id",
    )?;
    let verdicts = statement.query_map([&study_uid], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(2)?)))?;
    let verdicts = verdicts
        .map(|row| {
            let (id, verdict) = row?;
            let name = header_of_series(connection, id)?.series_description;
            Ok(if name.is_empty() { verdict } else { format!("{name}: {verdict}") })
        })
        .collect::<Result<_>>()?;
    Ok(Study {
        path: Noun::Study.path(id),
        study_uid,
        patient_id: header.patient_id,
        patient_name: header.patient_name,
        study_date: header.study_date,
        description: header.study_description,
        accession_number: header.accession_number,
        modalities: modalities.unwrap_or_default().split(',').map(str::to_owned).collect(),
        series_count: row.get(2)?,
        instance_count: row.get(3)?,
        state: state.to_owned(),
        verdicts,
        first_utc: row.get(4)?,
        last_utc: row.get(5)?,
    })
}

/// Of any instance of the series; empty when there is none.
fn header_of_series(connection: &Connection, series_id: i64) -> Result<Header> {
    let json: Option<String> = connection
        .prepare_cached(
            "SELECT i.header FROM series s JOIN instances i ON i.series_uid = s.series_uid AND i.study_uid = s.study_uid
             WHERE s.id = ?1 LIMIT 1",
        )?
        .query_row([series_id], |row| row.get(0))
        .optional()?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default())
}

pub fn series(connection: &Connection, filter: &Filter) -> Result<Vec<Series>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, study_uid, series_uid, modality, kind, state, verdict, version, completed_by, instance_count,
                first_utc, last_utc, completed_utc
         FROM series WHERE (?1 IS NULL OR study_uid = ?1) AND (?2 IS NULL OR series_uid = ?2)
                       AND (?3 IS NULL OR state = ?3)
         ORDER BY id DESC LIMIT ?4",
    )?;
    let mut rows = statement.query(params![filter.study_uid, filter.series_uid, filter.state, filter.limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let header = header_of_series(connection, id)?;
        found.push(Series {
            path: Noun::Series.path(id),
            study_uid: row.get(1)?,
            series_uid: row.get(2)?,
            series_number: header.series_number,
            description: header.series_description,
            modality: row.get(3)?,
            kind: row.get(4)?,
            state: row.get(5)?,
            verdict: row.get(6)?,
            version: row.get(7)?,
            completed_by: row.get(8)?,
            instance_count: row.get(9)?,
            first_utc: row.get(10)?,
            last_utc: row.get(11)?,
            completed_utc: row.get(12)?,
        });
    }
    Ok(found)
}

pub fn jobs(connection: &Connection, filter: &Filter) -> Result<Vec<Job>> {
    job_rows(
        connection,
        "(?1 IS NULL OR s.study_uid = ?1) AND (?2 IS NULL OR s.series_uid = ?2) AND (?3 IS NULL OR j.state = ?3)
         ORDER BY j.id DESC LIMIT ?4",
        params![filter.study_uid, filter.series_uid, filter.state, filter.limit],
    )
}

pub fn job(connection: &Connection, id: i64) -> Result<Option<Job>> {
    Ok(job_rows(connection, "j.id = ?1", params![id])?.pop())
}

fn job_rows(connection: &Connection, condition: &str, parameters: &[&dyn rusqlite::ToSql]) -> Result<Vec<Job>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT j.id, j.series_id, s.study_uid, s.series_uid, j.version, j.state, j.priority, j.attempts,
                j.interruptions, j.not_before_utc, j.reason, j.created_utc, j.started_utc, j.finished_utc, j.findings,
                j.timings
         FROM jobs j JOIN series s ON s.id = j.series_id WHERE {condition}"
    ))?;
    let rows = statement.query_map(parameters, |row| {
        let state: String = row.get(5)?;
        Ok(Job {
            path: Noun::Job.path(row.get(0)?),
            series: Noun::Series.path(row.get(1)?),
            study_uid: row.get(2)?,
            series_uid: row.get(3)?,
            version: row.get(4)?,
            stage: String::new(),
            fraction: if state == "done" { 1.0 } else { 0.0 },
            state,
            priority: row.get(6)?,
            attempts: row.get(7)?,
            interruptions: row.get(8)?,
            not_before_utc: row.get(9)?,
            reason: row.get(10)?,
            created_utc: row.get(11)?,
            started_utc: row.get(12)?,
            finished_utc: row.get(13)?,
            findings: row.get(14)?,
            timings: row.get(15)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub fn deliveries(connection: &Connection, filter: &Filter) -> Result<Vec<Delivery>> {
    delivery_rows(
        connection,
        "(?1 IS NULL OR r.study_uid = ?1) AND (?2 IS NULL OR d.destination = ?2) AND (?3 IS NULL OR d.state = ?3)
         ORDER BY d.id DESC LIMIT ?4",
        params![filter.study_uid, filter.destination, filter.state, filter.limit],
    )
}

pub fn delivery(connection: &Connection, id: i64) -> Result<Option<Delivery>> {
    Ok(delivery_rows(connection, "d.id = ?1", params![id])?.pop())
}

fn delivery_rows(
    connection: &Connection,
    condition: &str,
    parameters: &[&dyn rusqlite::ToSql],
) -> Result<Vec<Delivery>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT d.id, d.destination, d.state, r.kind, r.sop_uid, r.study_uid, d.attempts, d.status, d.reason, d.next_utc,
                d.delivered_utc
         FROM deliveries d JOIN results r ON r.id = d.result_id WHERE {condition}"
    ))?;
    let rows = statement.query_map(parameters, |row| {
        Ok(Delivery {
            path: Noun::Delivery.path(row.get(0)?),
            destination: row.get(1)?,
            state: row.get(2)?,
            kind: row.get(3)?,
            sop_uid: row.get(4)?,
            study_uid: row.get(5)?,
            attempts: row.get(6)?,
            status: row.get(7)?,
            reason: row.get(8)?,
            next_utc: row.get(9)?,
            delivered_utc: row.get(10)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub fn quarantine(connection: &Connection, filter: &Filter) -> Result<Vec<Quarantined>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, state, reason, sop_class, sop_uid, study_uid, length, received_utc, calling_ae, peer_address
         FROM instances WHERE state IN ('quarantined', 'conflict') AND (?1 IS NULL OR state = ?1)
         ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![filter.state, filter.limit], |row| {
        Ok(Quarantined {
            id: row.get(0)?,
            state: row.get(1)?,
            reason: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
            sop_class: row.get(3)?,
            sop_uid: row.get(4)?,
            study_uid: row.get(5)?,
            length: row.get::<_, i64>(6)?.unsigned_abs(),
            received_utc: row.get(7)?,
            calling_ae: row.get(8)?,
            peer_address: row.get(9)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub fn shadow_runs(connection: &Connection, filter: &Filter) -> Result<Vec<ShadowRun>> {
    let rows = shadows::latest(connection, filter.study_uid.as_deref(), filter.limit)?;
    let row = |(row, study_uid, series_uid): (shadows::ShadowRow, String, String)| ShadowRun {
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
    };
    Ok(rows.into_iter().map(row).collect())
}

pub fn counts(connection: &Connection) -> Result<Counts> {
    let row = connection
        .prepare_cached(
            "SELECT (SELECT count(DISTINCT study_uid) FROM series),
                    (SELECT COALESCE(sum(instance_count), 0) FROM series),
                    (SELECT count(*) FROM series WHERE state = 'receiving'),
                    (SELECT count(*) FROM jobs WHERE state = 'queued'),
                    (SELECT count(*) FROM jobs WHERE state = 'running'),
                    (SELECT count(*) FROM jobs WHERE state = 'parked'),
                    (SELECT count(*) FROM deliveries WHERE state = 'pending'),
                    (SELECT min(j.finished_utc) FROM deliveries d JOIN results r ON r.id = d.result_id
                                                JOIN jobs j ON j.id = r.job_id WHERE d.state = 'pending'),
                    (SELECT count(*) FROM instances WHERE state IN ('quarantined', 'conflict')),
                    (SELECT count(*) FROM deliveries WHERE state = 'held')",
        )?
        .query_row([], |row| {
            Ok(Counts {
                studies: row.get(0)?,
                instances: row.get::<_, i64>(1)?.unsigned_abs(),
                series_receiving: row.get(2)?,
                jobs_queued: row.get(3)?,
                jobs_running: row.get(4)?,
                jobs_parked: row.get(5)?,
                deliveries_pending: row.get(6)?,
                oldest_pending_utc: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
                quarantined: row.get(8)?,
                deliveries_held: row.get(9)?,
            })
        })?;
    Ok(row)
}
