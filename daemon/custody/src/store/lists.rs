//! Read-only lists over the tables, for whoever shows them: newest first.

use std::collections::BTreeMap;

use dicom::header::Header;
use dicom::patient::persons;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::instances::{COUNTED, SET_ASIDE};
use super::standing::Standing;
use super::{Result, conflicts, holds, notices, own_steps, priors, ups};
use crate::retention::Hold;

/// Which rows; `None` takes all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// At most this many.
    pub limit: u32,
    pub study_uid: Option<String>,
    pub series_uid: Option<String>,
    pub state: Option<String>,
    pub destination: Option<String>,
    /// Studies and series: only what comes after the one of this number.
    pub before: Option<i64>,
    /// Studies: the one of this number.
    pub number: Option<i64>,
}

/// A study: all its series, and the header of one of its instances.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyItem {
    /// Of its oldest series.
    pub id: i64,
    pub study_uid: String,
    pub header: Header,
    /// Different patients among its series: more than one is a fault of whoever sent it.
    pub patients: u32,
    pub modalities: Vec<String>,
    pub series_count: u32,
    pub instance_count: u32,
    /// `receiving`, `analyzing`, `processed`, `refused` or `evicted`; the first of these that any series is in.
    pub state: &'static str,
    /// One for each series that has a verdict, analysed ones first.
    pub verdicts: Vec<String>,
    /// A person keeps it from eviction.
    pub hold: Option<Hold>,
    pub first_utc: String,
    pub last_utc: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SeriesItem {
    pub id: i64,
    pub study_uid: String,
    pub series_uid: String,
    /// Of one of its instances.
    pub header: Header,
    pub modality: String,
    pub kind: String,
    pub state: String,
    pub verdict: Option<String>,
    pub version: u32,
    pub completed_by: Option<String>,
    pub instance_count: u32,
    pub first_utc: String,
    pub last_utc: String,
    pub completed_utc: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct JobItem {
    pub id: i64,
    pub series_id: i64,
    pub study_uid: String,
    pub series_uid: String,
    pub version: u32,
    pub state: String,
    pub priority: u32,
    pub attempts: u32,
    pub interruptions: u32,
    pub not_before_utc: Option<String>,
    pub reason: Option<String>,
    pub created_utc: String,
    pub started_utc: Option<String>,
    pub finished_utc: Option<String>,
    /// JSON.
    pub findings: Option<String>,
    /// JSON: `[[stage, milliseconds], ...]`.
    pub timings: Option<String>,
    /// The task of the whole study that it is for; `None` for a job of its series.
    pub task: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryItem {
    pub id: i64,
    pub destination: String,
    pub state: String,
    /// Of the result: `sr`, `seg`, `sc`...
    pub kind: String,
    pub sop_uid: String,
    pub study_uid: String,
    pub attempts: u32,
    /// DIMSE status of the last answer.
    pub status: Option<u32>,
    pub reason: Option<String>,
    pub next_utc: String,
    pub delivered_utc: Option<String>,
    /// What became of the question whether the destination keeps it (`asks`); `None` when it is not asked.
    pub commitment: Option<String>,
}

/// An instance that is kept but is not part of any series' work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    pub id: i64,
    pub state: String,
    pub reason: String,
    pub sop_class: String,
    pub sop_uid: String,
    pub study_uid: String,
    /// Bytes.
    pub length: u64,
    pub received_utc: String,
    pub calling_ae: String,
    pub peer_address: String,
}

/// # Errors
/// When the database fails (as for all below).
pub fn studies(connection: &Connection, wanted: &Wanted) -> Result<Vec<StudyItem>> {
    let mut statement = connection.prepare_cached(
        "SELECT study_uid, min(id), count(*), sum(instance_count), min(first_utc), max(last_utc),
                group_concat(DISTINCT state), group_concat(DISTINCT modality)
         FROM series WHERE (?1 IS NULL OR study_uid = ?1)
             AND (?2 IS NULL OR study_uid = (SELECT study_uid FROM series WHERE id = ?2))
         GROUP BY study_uid
         HAVING (?2 IS NULL OR min(id) = ?2)
             AND (?3 IS NULL OR (max(last_utc), min(id)) < (SELECT max(last_utc), min(id) FROM series
                 WHERE study_uid = (SELECT study_uid FROM series WHERE id = ?3)))
         ORDER BY max(last_utc) DESC, min(id) DESC",
    )?;
    let mut rows = statement.query(params![wanted.study_uid, wanted.number, wanted.before])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if found.len() >= wanted.limit as usize {
            break;
        }
        let state = study_state(&row.get::<_, String>(6)?);
        if wanted.state.as_deref().is_some_and(|only| only != state) {
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

fn study(connection: &Connection, row: &Row<'_>, state: &'static str) -> Result<StudyItem> {
    let study_uid: String = row.get(0)?;
    let modalities: Option<String> = row.get(7)?;
    let id: i64 = row.get(1)?;
    let mut statement =
        connection.prepare_cached("SELECT id, verdict FROM series WHERE study_uid = ?1 ORDER BY kind <> 'ct', id")?;
    let mut series = statement.query([&study_uid])?;
    let (mut verdicts, mut headers) = (Vec::new(), BTreeMap::new());
    while let Some(row) = series.next()? {
        let series_id: i64 = row.get(0)?;
        let header = header_of_series(connection, series_id)?;
        let name = &header.series_description;
        let verdict = row.get::<_, Option<String>>(1)?;
        verdicts.extend(verdict.map(|verdict| if name.is_empty() { verdict } else { format!("{name}: {verdict}") }));
        headers.insert(series_id, header);
    }
    let patients = u32::try_from(persons(headers.values()).len()).unwrap_or(u32::MAX);
    if patients > 1 {
        let said = format!("{patients} patients under one Study Instance UID: each series is reported under its own");
        verdicts.insert(0, said);
    }
    for said in set_aside(connection, &study_uid)? {
        verdicts.insert(0, said);
    }
    match conflicts::of_another(connection, &study_uid)? {
        0 => {}
        1 => verdicts.insert(0, format!("1 object {OF_ANOTHER}")),
        count => verdicts.insert(0, format!("{count} objects {OF_ANOTHER}")),
    }
    Ok(StudyItem {
        header: headers.remove(&id).unwrap_or_default(),
        id,
        hold: holds::of_study(connection, &study_uid)?,
        study_uid,
        patients,
        modalities: modalities.unwrap_or_default().split(',').map(str::to_owned).collect(),
        series_count: row.get(2)?,
        instance_count: row.get(3)?,
        state,
        verdicts,
        first_utc: row.get(4)?,
        last_utc: row.get(5)?,
    })
}

/// What a person must do, for the box cannot: the results of then were forgotten with the bytes.
const OF_ANOTHER: &str = "came again as another patient's, after eviction or damage here: results that an archive has under the earlier name \
                          still count there, reject them there";

/// What of a study is kept and not used, in words.
fn set_aside(connection: &Connection, study_uid: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT state, count(*) FROM instances WHERE state IN {SET_ASIDE}
         AND study_uid = ?1 GROUP BY state ORDER BY state DESC"
    ))?;
    let mut rows = statement.query([study_uid])?;
    let mut said = Vec::new();
    while let Some(row) = rows.next()? {
        let count: i64 = row.get(1)?;
        let objects = if count == 1 { "1 object".to_owned() } else { format!("{count} objects") };
        match row.get::<_, String>(0)?.as_str() {
            "conflict" => said.push(format!(
                "{objects} sent again with other content, not used: decide with `scansidectl studies resolve`"
            )),
            "damaged" => said.push(format!("{objects} damaged on this box's disk: send the study again")),
            _ => {}
        }
    }
    Ok(said)
}

/// Of the first kept instance of the series, else of one that was kept until its bytes were evicted, else of any; of an exam that was recorded
/// here as it is written down with it; empty when there is none.
fn header_of_series(connection: &Connection, series_id: i64) -> Result<Header> {
    let of = |condition: &str| {
        let sql = format!(
            "SELECT header FROM instances WHERE series_uid = (SELECT series_uid FROM series WHERE id = ?1)
             AND study_uid = (SELECT study_uid FROM series WHERE id = ?1) AND {condition} LIMIT 1"
        );
        connection.prepare_cached(&sql)?.query_row([series_id], |row| row.get::<_, String>(0)).optional()
    };
    for condition in ["state = 'kept'", COUNTED, "true"] {
        if let Some(json) = of(condition)? {
            return Ok(serde_json::from_str(&json).unwrap_or_default());
        }
    }
    let own =
        connection.prepare_cached("SELECT header FROM series WHERE id = ?1")?.query_row([series_id], |row| row.get(0));
    let own: Option<String> = own.optional()?.flatten();
    Ok(own.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default())
}

pub fn series(connection: &Connection, wanted: &Wanted) -> Result<Vec<SeriesItem>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, study_uid, series_uid, modality, kind, state, verdict, version, completed_by, instance_count,
                first_utc, last_utc, completed_utc
         FROM series WHERE (?1 IS NULL OR study_uid = ?1) AND (?2 IS NULL OR series_uid = ?2)
                       AND (?3 IS NULL OR state = ?3) AND (?5 IS NULL OR id < ?5)
         ORDER BY id DESC LIMIT ?4",
    )?;
    let mut rows =
        statement.query(params![wanted.study_uid, wanted.series_uid, wanted.state, wanted.limit, wanted.before])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let header = header_of_series(connection, id)?;
        found.push(SeriesItem {
            id,
            study_uid: row.get(1)?,
            series_uid: row.get(2)?,
            header,
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

pub fn jobs(connection: &Connection, wanted: &Wanted) -> Result<Vec<JobItem>> {
    job_rows(
        connection,
        "(?1 IS NULL OR s.study_uid = ?1) AND (?2 IS NULL OR s.series_uid = ?2) AND (?3 IS NULL OR j.state = ?3)
         ORDER BY j.id DESC LIMIT ?4",
        params![wanted.study_uid, wanted.series_uid, wanted.state, wanted.limit],
    )
}

pub fn job(connection: &Connection, id: i64) -> Result<Option<JobItem>> {
    Ok(job_rows(connection, "j.id = ?1", params![id])?.pop())
}

fn job_rows(connection: &Connection, condition: &str, parameters: &[&dyn ToSql]) -> Result<Vec<JobItem>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT j.id, j.series_id, s.study_uid, s.series_uid, j.version, j.state, j.priority, j.attempts,
                j.interruptions, j.not_before_utc, j.reason, j.created_utc, j.started_utc, j.finished_utc, j.findings,
                j.timings, j.task
         FROM jobs j JOIN series s ON s.id = j.series_id WHERE {condition}"
    ))?;
    let rows = statement.query_map(parameters, |row| {
        Ok(JobItem {
            id: row.get(0)?,
            series_id: row.get(1)?,
            study_uid: row.get(2)?,
            series_uid: row.get(3)?,
            version: row.get(4)?,
            state: row.get(5)?,
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
            task: row.get(16)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub fn deliveries(connection: &Connection, wanted: &Wanted) -> Result<Vec<DeliveryItem>> {
    delivery_rows(
        connection,
        "(?1 IS NULL OR r.study_uid = ?1) AND (?2 IS NULL OR d.destination = ?2) AND (?3 IS NULL OR d.state = ?3)
         ORDER BY d.id DESC LIMIT ?4",
        params![wanted.study_uid, wanted.destination, wanted.state, wanted.limit],
    )
}

pub fn delivery(connection: &Connection, id: i64) -> Result<Option<DeliveryItem>> {
    Ok(delivery_rows(connection, "d.id = ?1", params![id])?.pop())
}

fn delivery_rows(connection: &Connection, condition: &str, parameters: &[&dyn ToSql]) -> Result<Vec<DeliveryItem>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT d.id, d.destination, d.state, r.kind, r.sop_uid, r.study_uid, d.attempts, d.status, d.reason, d.next_utc,
                d.delivered_utc, d.commitment
         FROM deliveries d JOIN results r ON r.id = d.result_id WHERE {condition}"
    ))?;
    let rows = statement.query_map(parameters, |row| {
        Ok(DeliveryItem {
            id: row.get(0)?,
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
            commitment: row.get(11)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub fn quarantine(connection: &Connection, wanted: &Wanted) -> Result<Vec<SetAside>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, state, reason, sop_class, sop_uid, study_uid, length, received_utc, calling_ae, peer_address
         FROM instances WHERE state IN {SET_ASIDE}
           AND (?1 IS NULL OR state = ?1)
         ORDER BY id DESC LIMIT ?2"
    ))?;
    let rows = statement.query_map(params![wanted.state, wanted.limit], |row| {
        Ok(SetAside {
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

/// How much of everything there is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    pub studies: u32,
    pub instances: u64,
    pub series_receiving: u32,
    pub jobs_queued: u32,
    pub jobs_running: u32,
    pub jobs_parked: u32,
    pub deliveries_pending: u32,
    /// Made with a simulated device, for a destination that does not accept that.
    pub deliveries_held: u32,
    /// Refused for good by their destination.
    pub deliveries_parked: u32,
    /// When the oldest result that still waits was made; empty when none waits.
    pub oldest_pending_utc: String,
    pub quarantined: u32,
    /// What a manager is still to be told of exams.
    pub steps: Standing,
    /// What an archive is asked for.
    pub priors: priors::Standing,
    /// Tasks of a manager that are not closed.
    pub tasks: ups::Standing,
    /// Who is to be told of results.
    pub notices: Standing,
}

pub fn counts(connection: &Connection) -> Result<Counts> {
    let steps = own_steps::standing(connection)?;
    let priors = priors::standing(connection)?;
    let tasks = ups::standing(connection)?;
    let notices = notices::standing(connection)?;
    let row = connection
        .prepare_cached(&format!(
            "SELECT (SELECT count(DISTINCT study_uid) FROM series),
                    (SELECT COALESCE(sum(instance_count), 0) FROM series),
                    (SELECT count(*) FROM series WHERE state = 'receiving'),
                    (SELECT count(*) FROM jobs WHERE state = 'queued'),
                    (SELECT count(*) FROM jobs WHERE state = 'running'),
                    (SELECT count(*) FROM jobs WHERE state = 'parked'),
                    (SELECT count(*) FROM deliveries WHERE state = 'pending'),
                    (SELECT min(j.finished_utc) FROM deliveries d JOIN results r ON r.id = d.result_id
                                                JOIN jobs j ON j.id = r.job_id WHERE d.state = 'pending'),
                    (SELECT count(*) FROM instances WHERE state IN {SET_ASIDE} AND state <> 'replaced'),
                    (SELECT count(*) FROM deliveries WHERE state = 'held'),
                    (SELECT count(*) FROM deliveries WHERE state = 'parked')"
        ))?
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
                deliveries_parked: row.get(10)?,
                steps,
                priors,
                tasks,
                notices,
            })
        })?;
    Ok(row)
}
