//! The list of studies, and one study with its series, findings and results, as rows for the page. Times are UTC, RFC 3339;
//! dates are as in DICOM (DA).

use std::collections::HashMap;

use custody::store::lists::{self, JobItem, SeriesItem, StudyItem, Wanted};
use custody::store::{conflicts, instances, jobs, results};
use dicom::header::Header;
use dicom::patient::{Identity, is_placeholder_id};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Error;

/// More jobs of one study, or more series, are not looked at.
const MOST_ROWS: u32 = 1000;

#[derive(Debug, Clone, Serialize)]
pub struct StudyRow {
    pub study_uid: String,
    pub patient_name: String,
    pub patient_id: String,
    pub birth_date: String,
    pub sex: String,
    /// Different patients among its series.
    pub patients: u32,
    pub study_date: String,
    pub description: String,
    pub accession_number: String,
    pub modalities: Vec<String>,
    pub instance_count: u32,
    /// As `scansidectl studies list` shows it.
    pub state: String,
    pub verdicts: Vec<String>,
    pub last_utc: String,
    /// Of the study, a job that waits or is in work.
    pub work: Option<Work>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Work {
    /// `queued`, `running` or `parked`.
    pub state: String,
    /// 0 urgent, 1 normal, 2 background.
    pub priority: u32,
    pub since_utc: String,
    pub reason: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Study {
    pub study: StudyRow,
    pub series: Vec<SeriesRow>,
    /// Earlier studies of the same person that were analysed, newest first; none where the study is of several persons.
    pub priors: Vec<PriorRow>,
}

#[derive(Debug, Serialize)]
pub struct SeriesRow {
    pub id: i64,
    pub series_uid: String,
    /// Of its first image: a Study Instance UID may be shared by several patients.
    pub patient: PatientRow,
    pub number: Option<i64>,
    pub description: String,
    pub modality: String,
    pub kind: String,
    pub state: String,
    pub verdict: Option<String>,
    pub version: u32,
    pub instance_count: u32,
    /// Another value when other images, or another content of the same ones, are here.
    pub pictures: String,
    /// Its content was replaced since it was last analysed: nothing of that is told.
    pub outdated: bool,
    /// Of the newest job that was done; of ultrasound images the lesions in them (`models::review::marks`).
    pub findings: Option<Value>,
    pub finished_utc: Option<String>,
    pub results: Vec<ResultRow>,
}

/// Who a header says it is; values as in DICOM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PatientRow {
    pub patient_name: String,
    pub patient_id: String,
    pub birth_date: String,
    pub sex: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct ResultRow {
    pub id: i64,
    /// `sr`, `seg`, `sc`, `pdf`...
    pub kind: String,
}

#[derive(Debug, Serialize)]
pub struct PriorRow {
    pub study_uid: String,
    pub study_date: String,
    pub description: String,
}

pub fn studies(connection: &Connection, limit: u32) -> Result<Vec<StudyRow>, Error> {
    let wanted = Wanted { limit, ..Wanted::default() };
    let mut work = HashMap::new();
    for state in ["parked", "queued", "running"] {
        let of_state = Wanted { limit, state: Some(state.into()), ..Wanted::default() };
        let open = lists::jobs(connection, &of_state)?;
        work.extend(open.into_iter().map(|job| (job.study_uid.clone(), Work::from(job))));
    }
    let studies = lists::studies(connection, &wanted)?.into_iter();
    Ok(studies.map(|item| StudyRow { work: work.remove(&item.study_uid), ..StudyRow::from(item) }).collect())
}

pub fn study(connection: &Connection, study_uid: &str) -> Result<Study, Error> {
    let wanted = Wanted { limit: MOST_ROWS, study_uid: Some(study_uid.to_owned()), ..Wanted::default() };
    let item = item_of(connection, study_uid)?;
    let priors = if item.patients > 1 { Vec::new() } else { priors(connection, &item.header)? };
    let mut jobs = lists::jobs(connection, &wanted)?;
    let open = jobs.iter().find(|job| matches!(job.state.as_str(), "queued" | "running" | "parked"));
    let study = StudyRow { work: open.cloned().map(Work::from), ..StudyRow::from(item) };
    jobs.retain(|job| job.state == "done");
    let mut series: Vec<SeriesRow> = Vec::new();
    for item in lists::series(connection, &wanted)? {
        let job = jobs.iter().find(|job| job.series_id == item.id && job.task.is_none());
        series.push(with_results(connection, study_uid, item, job)?);
    }
    series.sort_by_key(|row| (row.number.unwrap_or(i64::MAX), row.id));
    Ok(Study { study, series, priors })
}

fn with_results(
    connection: &Connection,
    study_uid: &str,
    item: SeriesItem,
    job: Option<&JobItem>,
) -> Result<SeriesRow, Error> {
    let mut made = Vec::new();
    let outdated = job.map(|job| conflicts::is_outdated(connection, job.id)).transpose()?.unwrap_or(false);
    let job = job.filter(|_| !outdated);
    let mut found = job.and_then(|job| job.findings.clone());
    if let Some(job) = job {
        if found.is_none() {
            found = jobs::marks(connection, job.id)?;
        }
        let rows = results::of_job(connection, job.id)?;
        made.extend(rows.into_iter().map(|row| ResultRow { id: row.id, kind: row.kind }));
    }
    Ok(SeriesRow {
        id: item.id,
        pictures: content_mark(instances::ids_of_series(connection, study_uid, &item.series_uid)?),
        series_uid: item.series_uid,
        patient: PatientRow::from(&item.header),
        number: item.header.series_number,
        description: item.header.series_description,
        modality: item.modality,
        kind: item.kind,
        state: item.state,
        verdict: item.verdict,
        version: item.version,
        instance_count: item.instance_count,
        outdated,
        findings: found.and_then(|json| serde_json::from_str(&json).ok()),
        finished_utc: job.and_then(|job| job.finished_utc.clone()),
        results: made,
    })
}

/// Of the rows of its images: every content of an image has a row of its own.
fn content_mark(mut ids: Vec<i64>) -> String {
    ids.sort_unstable();
    let mut hash = Sha256::new();
    for id in ids {
        hash.update(id.to_le_bytes());
    }
    hex::encode(&hash.finalize()[..8])
}

pub(super) fn item_of(connection: &Connection, study_uid: &str) -> Result<StudyItem, Error> {
    let wanted = Wanted { limit: 1, study_uid: Some(study_uid.to_owned()), ..Wanted::default() };
    lists::studies(connection, &wanted)?.into_iter().next().ok_or(Error::NotFound)
}

/// An ID alone does not say that it is the same person.
fn priors(connection: &Connection, header: &Header) -> Result<Vec<PriorRow>, Error> {
    if is_placeholder_id(&header.patient_id) || header.study_date.len() != 8 {
        return Ok(Vec::new());
    }
    let patient = Identity::of(header);
    let mut priors: Vec<PriorRow> = Vec::new();
    for study in jobs::analysed_before(connection, header)? {
        let known = priors.iter().any(|prior| prior.study_uid == study.study_uid);
        if !known && patient.is_same_person(&Identity::of(&study.header)) {
            priors.push(PriorRow {
                study_uid: study.study_uid,
                study_date: study.study_date,
                description: study.header.study_description,
            });
        }
    }
    Ok(priors)
}

impl From<&Header> for PatientRow {
    fn from(header: &Header) -> Self {
        Self {
            patient_name: header.patient_name.clone(),
            patient_id: header.patient_id.clone(),
            birth_date: header.birth_date.clone(),
            sex: header.sex.clone(),
        }
    }
}

impl From<StudyItem> for StudyRow {
    fn from(item: StudyItem) -> Self {
        let header = item.header;
        Self {
            study_uid: item.study_uid,
            patient_name: header.patient_name,
            patient_id: header.patient_id,
            birth_date: header.birth_date,
            sex: header.sex,
            patients: item.patients,
            study_date: header.study_date,
            description: header.study_description,
            accession_number: header.accession_number,
            modalities: item.modalities,
            instance_count: item.instance_count,
            state: item.state.to_owned(),
            verdicts: item.verdicts,
            last_utc: item.last_utc,
            work: None,
        }
    }
}

impl From<JobItem> for Work {
    fn from(job: JobItem) -> Self {
        Self { state: job.state, priority: job.priority, since_utc: job.created_utc, reason: job.reason }
    }
}
