//! What the lists return: one dictionary (`a{sv}`) per row, keys as the properties of the objects. Keys without a
//! value are left out. Times are UTC, RFC 3339.

use zbus::{OwnedObjectPath, SerializeDict, Type};

#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Study {
    pub path: OwnedObjectPath,
    pub study_uid: String,
    pub patient_id: String,
    pub patient_name: String,
    /// As in DICOM: YYYYMMDD.
    pub study_date: String,
    pub description: String,
    pub accession_number: String,
    pub modalities: Vec<String>,
    pub series_count: u32,
    pub instance_count: u32,
    /// `receiving`, `analyzing`, `processed`, `refused` or `evicted`; the first of these that any series is in.
    pub state: String,
    /// One for each series that has a verdict, analysed ones first.
    pub verdicts: Vec<String>,
    pub first_utc: String,
    pub last_utc: String,
}

#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Series {
    pub path: OwnedObjectPath,
    pub study_uid: String,
    pub series_uid: String,
    pub series_number: Option<i64>,
    pub description: String,
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
    /// What it is doing, while running.
    pub stage: String,
    /// 0 to 1 of the whole job.
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
}

#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Delivery {
    pub path: OwnedObjectPath,
    pub destination: String,
    /// `pending`, `delivered` or `superseded`.
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
}

/// Not an object on the bus: an instance that was kept but is not part of any series' work.
#[derive(Debug, Clone, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Quarantined {
    pub id: i64,
    /// `quarantined` (could not be understood) or `conflict` (same SOP instance UID, other content).
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

/// How much of everything there is; properties of Manager1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    pub studies: u32,
    pub instances: u64,
    pub series_receiving: u32,
    pub jobs_queued: u32,
    pub jobs_running: u32,
    pub jobs_parked: u32,
    pub deliveries_pending: u32,
    /// When the oldest result that still waits was made; empty when none waits.
    pub oldest_pending_utc: String,
    pub quarantined: u32,
}
