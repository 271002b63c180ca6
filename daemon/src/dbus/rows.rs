//! What the lists return: one dictionary (`a{sv}`) per row, with the properties of the objects as keys. Keys without a
//! value are omitted. Times are UTC, RFC 3339.

use models::choice::Measured;
use models::registry::{Outcome, Record};
use study::model::service::Listed;
use zbus::{OwnedObjectPath, SerializeDict, Type};

use super::names::model_path;

#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Study {
    pub path: OwnedObjectPath,
    pub study_uid: String,
    pub patient_id: String,
    pub patient_name: String,
    /// Different patients among its series; `patient_id` and `patient_name` are those of the first.
    pub patients: u32,
    /// Study Date as in DICOM: YYYYMMDD.
    pub study_date: String,
    pub description: String,
    pub accession_number: String,
    pub modalities: Vec<String>,
    pub series_count: u32,
    pub instance_count: u32,
    /// `receiving`, `analyzing`, `processed`, `refused` or `evicted`: the first of these that applies to any series.
    pub state: String,
    /// The verdicts of the series that have one, analysed series first.
    pub verdicts: Vec<String>,
    /// Why a person keeps it from eviction.
    pub hold: Option<String>,
    pub hold_since_utc: Option<String>,
    pub hold_by: Option<String>,
    pub first_utc: String,
    pub last_utc: String,
}

/// A row of the audit trail. `hash` is the SHA-256 of `previous` and `[number,utc,who,what,object,result]` as JSON.
#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
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

impl From<custody::audit::Row> for Audited {
    fn from(row: custody::audit::Row) -> Self {
        let custody::audit::Row { number, utc, who, what, object, result, previous, hash } = row;
        Self { number, utc, who, what, object, result, previous, hash }
    }
}

/// An object of a study that can be exported.
#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Object {
    pub sop_uid: String,
    pub sop_class: String,
    pub series_uid: String,
    /// Of its Part 10 file, bytes.
    pub bytes: u64,
    /// It came from outside; otherwise it was made here.
    pub received: bool,
    /// Why it cannot be exported.
    pub trouble: Option<String>,
}

impl From<crate::dicomweb::Object> for Object {
    fn from(object: crate::dicomweb::Object) -> Self {
        Self {
            bytes: object.length(),
            received: object.is_received(),
            trouble: object.trouble().map(str::to_owned),
            sop_uid: object.header.sop_instance_uid,
            sop_class: object.header.sop_class_uid,
            series_uid: object.header.series_instance_uid,
        }
    }
}

#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
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
    pub state: String,
    pub verdict: Option<String>,
    pub version: u32,
    pub completed_by: Option<String>,
    pub instance_count: u32,
    pub first_utc: String,
    pub last_utc: String,
    pub completed_utc: Option<String>,
}

#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Job {
    pub path: OwnedObjectPath,
    pub series: OwnedObjectPath,
    pub study_uid: String,
    pub series_uid: String,
    pub version: u32,
    /// `queued`, `running`, `done`, `parked` or `superseded`.
    pub state: String,
    /// The present stage while it is running.
    pub stage: String,
    /// Completed fraction of the whole job, 0 to 1.
    pub fraction: f64,
    pub priority: u32,
    pub attempts: u32,
    pub interruptions: u32,
    pub not_before_utc: Option<String>,
    pub reason: Option<String>,
    pub created_utc: String,
    pub started_utc: Option<String>,
    pub finished_utc: Option<String>,
    /// JSON, as `scansidectl analyze --json` prints it.
    pub findings: Option<String>,
    /// JSON: `[[stage, milliseconds], ...]`.
    pub timings: Option<String>,
    /// The task of a whole study that it is for; `series` is then the first of its series.
    pub task: Option<String>,
}

#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Delivery {
    pub path: OwnedObjectPath,
    pub destination: String,
    /// `pending`, `held`, `parked`, `dropped`, `delivered` or `superseded`.
    pub state: String,
    /// `sr`, `seg` or `sc`.
    pub kind: String,
    pub sop_uid: String,
    pub study_uid: String,
    pub attempts: u32,
    /// DIMSE status of the last answer.
    pub status: Option<u32>,
    pub reason: Option<String>,
    /// When the next attempt is due.
    pub next_utc: String,
    pub delivered_utc: Option<String>,
    /// `wanted`, `asked`, `committed` or `unanswered`; absent when its destination is not asked.
    pub commitment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
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
    pub reason: Option<String>,
    /// Completed fraction of the running build, 0 to 1; 1 when none runs.
    pub progress: f64,
    /// Stage of the running build.
    pub stage: String,
    /// Who signed it, in words.
    pub signer: Option<String>,
    /// `research` or `cleared`.
    pub clearance: Option<String>,
    pub licence: Option<String>,
    pub findings: Vec<String>,
    pub sha256: String,
    /// The accelerator for which it was built.
    pub accelerator: Option<String>,
    pub golden_difference: Option<f64>,
    /// Each network that fits the accelerator, as it was found there, in words; the one that is used comes first.
    pub networks: Vec<String>,
    pub last_good: bool,
    pub shadow: bool,
}

impl From<Listed> for Model {
    fn from(listed: Listed) -> Self {
        let Listed { entry, state, building, last_good, shadow } = listed;
        let manifest = entry.manifest.as_ref();
        let reason = Some(state.reason().to_owned()).filter(|reason| !reason.is_empty());
        let difference = entry.record.as_ref().and_then(|record| match record.outcome {
            Outcome::Ready { difference } => difference.map(f64::from),
            Outcome::Refused { .. } => None,
        });
        let networks = entry.record.as_ref().map(networks).unwrap_or_default();
        let (stage, progress) = building.unwrap_or_else(|| (String::new(), 1.0));
        Self {
            path: model_path(&entry.key),
            task: entry.task().to_owned(),
            origin: entry.origin.as_str().to_owned(),
            state: state.as_str().to_owned(),
            reason: reason.or_else(|| entry.failure.clone()),
            progress,
            stage,
            signer: entry.signer.as_ref().map(ToString::to_string),
            clearance: manifest.map(|manifest| word(&manifest.clearance)),
            licence: manifest.map(|manifest| manifest.licence.clone()),
            findings: manifest.map_or_else(Vec::new, |m| m.findings().into_iter().map(str::to_owned).collect()),
            accelerator: entry.record.map(|record| record.accelerator).filter(|name| !name.is_empty()),
            golden_difference: difference,
            networks,
            sha256: entry.sha256,
            id: entry.key.id,
            version: entry.key.version,
            last_good,
            shadow,
        }
    }
}

fn networks(record: &Record) -> Vec<String> {
    let (used, others): (Vec<_>, Vec<_>) = record.measured.iter().partition(|one| one.network == record.network);
    used.into_iter().chain(others).map(Measured::words).collect()
}

/// The name of an enum value as written in `model.toml`.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A shadow run of a candidate package on one series. It is not an object on the bus.
#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct ShadowRun {
    pub job: OwnedObjectPath,
    pub study_uid: String,
    pub series_uid: String,
    pub utc: String,
    pub task: String,
    /// Package id and version.
    pub active: String,
    pub candidate: String,
    pub active_ms: f64,
    pub candidate_ms: f64,
    /// Number of findings that differ.
    pub differing: u32,
    /// JSON: the results of both packages for each finding.
    pub differences: String,
    /// Why the candidate gave no result.
    pub failure: Option<String>,
}

/// An instance that is kept but not analysed with its series. It is not an object on the bus.
#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Quarantined {
    pub id: i64,
    /// `quarantined` (cannot be parsed), `conflict` (same SOP Instance UID, different content), `damaged` (on the disk) or
    /// `replaced` (a person chose another content).
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

/// Calls to the DICOM node with the same titles, address and outcome. It is not an object on the bus.
#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Caller {
    pub calling_ae: String,
    pub called_ae: String,
    pub address: String,
    /// `accepted`, or why not: `called-ae-wrong`, `calling-ae-unknown`, `address-unknown`, ... (docs/dbus.md).
    pub outcome: String,
    /// One sentence; empty when accepted.
    pub reason: String,
    pub times: u64,
    pub first_utc: String,
    pub last_utc: String,
}

/// Where results go, and what waits there. It is not an object on the bus.
#[derive(Debug, Clone, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Destination {
    pub name: String,
    /// `AE_TITLE@host:port` or URL; absent when it is not configured any more.
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

/// One AE title at one address that sent instances. It is not an object on the bus.
#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
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
    /// Study Date of the last instance as in DICOM: YYYYMMDD; empty when it has none.
    pub last_study_date: String,
}

/// Something that happened. It is not an object on the bus.
#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Happened {
    pub utc: String,
    /// `series/12`, `job/3`, `delivery/4`, `database`, ...
    pub subject: String,
    pub what: String,
    pub detail: String,
}
