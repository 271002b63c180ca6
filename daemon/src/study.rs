//! THE STUDY STORY: dicom -> spool -> series -> volume -> analyze -> report -> outbox.
//!
//! This file connects the stages and holds no detail.

use serde::Serialize;

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
}
