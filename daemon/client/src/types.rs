//! What the lists return. As JSON (`scansidectl --json`) these are objects with the same names in snake_case; what is
//! not known is null. Times are UTC, RFC 3339.

use std::collections::HashMap;

use serde::Serialize;
use zbus::{DeserializeDict, OwnedObjectPath, Type, Variant};

/// Options of a call, by name.
pub type Options<'a> = HashMap<&'a str, Variant<'a>>;

#[derive(Debug, Clone, PartialEq, DeserializeDict, Type, Serialize)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Study {
    pub path: OwnedObjectPath,
    pub study_uid: String,
    pub patient_id: String,
    pub patient_name: String,
    /// Different patients among its series; ID and name are those of the first.
    pub patients: u32,
    /// YYYYMMDD.
    pub study_date: String,
    pub description: String,
    pub accession_number: String,
    pub modalities: Vec<String>,
    pub series_count: u32,
    pub instance_count: u32,
    /// `receiving`, `analyzing`, `processed`, `refused` or `evicted`.
    pub state: String,
    pub verdicts: Vec<String>,
    /// Why a person keeps it from eviction, since when, and who.
    pub hold: Option<String>,
    pub hold_since_utc: Option<String>,
    pub hold_by: Option<String>,
    pub first_utc: String,
    pub last_utc: String,
}

/// A row of the audit trail. `hash` is the SHA-256 of `previous` and `[number,utc,who,what,object,result]` as JSON.
#[derive(Debug, Clone, PartialEq, DeserializeDict, Type, Serialize)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Audited {
    pub number: u64,
    pub utc: String,
    pub who: String,
    pub what: String,
    pub object: String,
    pub result: String,
    pub previous: String,
    pub hash: String,
}

#[derive(Debug, Clone, PartialEq, DeserializeDict, Type, Serialize)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Object {
    pub sop_uid: String,
    pub sop_class: String,
    pub series_uid: String,
    /// Of its Part 10 file.
    pub bytes: u64,
    /// It came from outside; otherwise it was made on the box.
    pub received: bool,
    /// Why it cannot be exported.
    pub trouble: Option<String>,
}

#[derive(Debug, Clone, PartialEq, DeserializeDict, Type, Serialize)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Series {
    pub path: OwnedObjectPath,
    pub study_uid: String,
    pub series_uid: String,
    pub series_number: Option<i64>,
    pub description: String,
    pub patient_id: String,
    pub patient_name: String,
    pub modality: String,
    pub kind: String,
    /// `receiving`, `complete`, `processed`, `refused` or `evicted`.
    pub state: String,
    pub verdict: Option<String>,
    pub version: u32,
    pub completed_by: Option<String>,
    pub instance_count: u32,
    pub first_utc: String,
    pub last_utc: String,
    pub completed_utc: Option<String>,
}

#[derive(Debug, Clone, PartialEq, DeserializeDict, Type, Serialize)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Job {
    pub path: OwnedObjectPath,
    pub series: OwnedObjectPath,
    pub study_uid: String,
    pub series_uid: String,
    pub version: u32,
    /// `queued`, `running`, `done`, `parked` or `superseded`.
    pub state: String,
    pub stage: String,
    pub fraction: f64,
    pub priority: u32,
    pub attempts: u32,
    pub interruptions: u32,
    pub not_before_utc: Option<String>,
    pub reason: Option<String>,
    pub created_utc: String,
    pub started_utc: Option<String>,
    pub finished_utc: Option<String>,
    /// JSON text, of `models::ChestFindings`.
    pub findings: Option<String>,
    /// JSON text: `[[stage, milliseconds], ...]`.
    pub timings: Option<String>,
    /// The task of a whole study that it is for; `series` is then the first of its series.
    pub task: Option<String>,
}

#[derive(Debug, Clone, PartialEq, DeserializeDict, Type, Serialize)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Delivery {
    pub path: OwnedObjectPath,
    pub destination: String,
    /// `pending`, `held`, `parked`, `dropped`, `delivered` or `superseded`.
    pub state: String,
    pub kind: String,
    pub sop_uid: String,
    pub study_uid: String,
    pub attempts: u32,
    pub status: Option<u32>,
    pub reason: Option<String>,
    pub next_utc: String,
    pub delivered_utc: Option<String>,
    /// `wanted`, `asked`, `committed` or `unanswered`; `None` when its destination is not asked.
    pub commitment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, DeserializeDict, Type, Serialize)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Quarantined {
    pub id: i64,
    /// `quarantined` or `conflict`.
    pub state: String,
    pub reason: String,
    pub sop_class: String,
    pub sop_uid: String,
    pub study_uid: String,
    pub length: u64,
    pub received_utc: String,
    pub calling_ae: String,
    pub peer_address: String,
}

/// A model package.
#[derive(Debug, Clone, PartialEq, DeserializeDict, Type, Serialize)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Model {
    pub path: OwnedObjectPath,
    pub id: String,
    pub version: String,
    pub task: String,
    /// `built-in` or `installed`.
    pub origin: String,
    /// `installed`, `building`, `ready`, `active`, `refused` or `deactivated`.
    pub state: String,
    /// Why it is refused, or why the last build came to nothing.
    pub reason: Option<String>,
    pub progress: f64,
    pub stage: String,
    pub signer: Option<String>,
    pub clearance: Option<String>,
    pub licence: Option<String>,
    pub findings: Vec<String>,
    pub sha256: String,
    pub accelerator: Option<String>,
    pub golden_difference: Option<f64>,
    /// Each network that fits the accelerator, as it was found there, in words; the one that is used comes first.
    pub networks: Vec<String>,
    pub last_good: bool,
    pub shadow: bool,
}

/// A candidate package beside the active one, on one series.
#[derive(Debug, Clone, PartialEq, DeserializeDict, Type, Serialize)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct ShadowRun {
    pub job: OwnedObjectPath,
    pub study_uid: String,
    pub series_uid: String,
    pub utc: String,
    pub task: String,
    /// Id and version.
    pub active: String,
    pub candidate: String,
    pub active_ms: f64,
    pub candidate_ms: f64,
    /// How many findings differ.
    pub differing: u32,
    /// JSON text: for each finding what both said.
    pub differences: String,
    pub failure: Option<String>,
}

/// Calls to the DICOM node with the same titles, address and outcome.
#[derive(Debug, Clone, PartialEq, Eq, DeserializeDict, Type, Serialize)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Caller {
    pub calling_ae: String,
    pub called_ae: String,
    pub address: String,
    /// `accepted`, or the code of what was wrong.
    pub outcome: String,
    pub reason: String,
    pub times: u64,
    pub first_utc: String,
    pub last_utc: String,
}

/// Where results go, and what waits there.
#[derive(Debug, Clone, Default, PartialEq, Eq, DeserializeDict, Type, Serialize)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Destination {
    pub name: String,
    /// `AE_TITLE@host:port` or URL; `None` when it is not configured any more.
    pub address: Option<String>,
    pub pending: u32,
    pub held: u32,
    pub parked: u32,
    /// When the oldest pending result was made.
    pub oldest_pending_utc: Option<String>,
    /// Why the oldest pending one that was tried has not been taken.
    pub reason: Option<String>,
    /// Why the last one that was parked was.
    pub parked_reason: Option<String>,
}

/// One AE title at one address that sent instances.
#[derive(Debug, Clone, PartialEq, Eq, DeserializeDict, Type, Serialize)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Sender {
    pub calling_ae: String,
    pub address: String,
    pub instances: u64,
    pub studies: u64,
    pub first_utc: String,
    pub last_utc: String,
    /// Hours of the last 28 days in which it sent, oldest first: `2026-01-31T10`, UTC.
    pub hours: Vec<String>,
    /// YYYYMMDD; empty when unknown.
    pub last_study_date: String,
}

#[derive(Debug, Clone, PartialEq, Eq, DeserializeDict, Type, Serialize)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Happened {
    pub utc: String,
    pub subject: String,
    pub what: String,
    pub detail: String,
}

/// Manager1's properties at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Status {
    pub version: String,
    pub simulated: bool,
    pub dicom_address: String,
    pub accelerator: String,
    /// Name -> `AE_TITLE@host:port`.
    pub destinations: Vec<(String, String)>,
    pub level: String,
    pub level_reason: String,
    /// What the level comes from, for programs; empty when it is full.
    pub level_cause: String,
    /// `unknown` (no sensor can be read), `normal`, `hot` or `throttled`; and what to do.
    pub heat: String,
    pub heat_reason: Option<String>,
    /// Name and degrees Celsius of each sensor.
    pub temperatures: Vec<(String, f64)>,
    /// What the machine says it draws.
    pub watts: Option<f64>,
    pub free_bytes: u64,
    pub studies_left: Option<u64>,
    pub memory_bytes: u64,
    /// What decoding and analysis may use.
    pub memory_limit_bytes: u64,
    pub studies: u32,
    pub instances: u64,
    pub series_receiving: u32,
    pub jobs_queued: u32,
    pub jobs_running: u32,
    pub jobs_parked: u32,
    pub deliveries_pending: u32,
    pub deliveries_held: u32,
    pub deliveries_parked: u32,
    pub oldest_pending_utc: Option<String>,
    /// Exams that the manager is to be told of, since when the oldest waits, those that it refuses, and why.
    pub steps_waiting: u32,
    pub oldest_step_utc: Option<String>,
    pub steps_parked: u32,
    pub steps_reason: Option<String>,
    /// New studies that wait for an earlier one, how many of the last questions came to nothing, and why.
    pub priors_waiting: u32,
    pub priors_in_vain: u32,
    pub priors_reason: Option<String>,
    /// Tasks of the manager that have not ended, since when the oldest, and why a message about one was not taken.
    pub tasks_open: u32,
    pub oldest_task_utc: Option<String>,
    pub tasks_reason: Option<String>,
    /// Notices about results that are to be told, since when the oldest waits, those that are refused, and why.
    pub notices_waiting: u32,
    pub oldest_notice_utc: Option<String>,
    pub notices_parked: u32,
    pub notices_reason: Option<String>,
    pub quarantined: u32,
}
