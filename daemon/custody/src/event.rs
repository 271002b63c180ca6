//! Events about series, jobs, deliveries, models, and the database that holds them.

use serde::Serialize;

use crate::store::series::SeriesRow;

/// An event for subscribers: D-Bus, the log, a progress bar. It never carries identifying data.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A row of `series` changed state.
    Series { id: i64, study_uid: String, series_uid: String, state: String, instances: u32, verdict: Option<String> },
    /// A job made progress. `fraction` is the completed part of the whole job, 0 to 1.
    Job { id: i64, series_id: i64, state: String, stage: String, fraction: f64 },
    /// The destination answered, or the delivery failed and will be tried again.
    Delivery { id: i64, destination: String, state: String, reason: Option<String> },
    /// A model package was added or removed or changed its state; other packages of the same task may have changed too.
    Model { id: String, version: String },
    /// The database was built again: every row may be another one, and have another id.
    Rebuilt,
}

impl Event {
    pub fn series(row: &SeriesRow) -> Self {
        Self::Series {
            id: row.id,
            study_uid: row.key.study_uid.clone(),
            series_uid: row.key.series_uid.clone(),
            state: row.state.to_string(),
            instances: row.instance_count,
            verdict: row.verdict.clone(),
        }
    }
}
