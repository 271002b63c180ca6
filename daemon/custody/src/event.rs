//! What happened, told to whoever listens.

use serde::Serialize;

use crate::store::series::SeriesRow;

/// What happened, for whoever wants to know: the bus, the log, a progress bar. Never carries identifying data.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A row of `series` changed state.
    Series { id: i64, study_uid: String, series_uid: String, state: String, instances: u32, verdict: Option<String> },
    /// A job moved on: `fraction` of the whole job, 0 to 1.
    Job { id: i64, series_id: i64, state: String, stage: String, fraction: f64 },
    /// A delivery was answered, or failed and will be tried again.
    Delivery { id: i64, destination: String, state: String, reason: Option<String> },
    /// A model package came, went, or changed its state; others of its task may have, too.
    Model { id: String, version: String },
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
