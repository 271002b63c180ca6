//! `Job1`: the analysis of one version of a series.

use zbus::{ObjectPath, interface};

use super::objects::Exported;
use super::rows;

#[derive(Debug)]
pub struct Job(rows::Job);

impl Exported for Job {
    type Row = rows::Job;

    fn new(row: Self::Row) -> Self {
        Self(row)
    }

    fn replace(&mut self, row: Self::Row) {
        self.0 = row;
    }
}

/// The analysis of one version of a series.
#[interface(name = "org.scanside.Appliance1.Job1")]
impl Job {
    #[zbus(property(emits_changed_signal = "const"))]
    fn series(&self) -> ObjectPath<'_> {
        self.0.series.as_ref()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn study_uid(&self) -> &str {
        &self.0.study_uid
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn series_uid(&self) -> &str {
        &self.0.series_uid
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> u32 {
        self.0.version
    }

    /// queued, running, done, parked or superseded.
    #[zbus(property)]
    fn state(&self) -> &str {
        &self.0.state
    }

    #[zbus(property)]
    fn stage(&self) -> &str {
        &self.0.stage
    }

    /// Completed fraction of the whole job, 0 to 1.
    #[zbus(property)]
    fn fraction(&self) -> f64 {
        self.0.fraction
    }

    #[zbus(property)]
    fn priority(&self) -> u32 {
        self.0.priority
    }

    #[zbus(property)]
    fn attempts(&self) -> u32 {
        self.0.attempts
    }

    #[zbus(property)]
    fn interruptions(&self) -> u32 {
        self.0.interruptions
    }

    /// After a failure: when it is tried again.
    #[zbus(property)]
    fn not_before_utc(&self) -> &str {
        self.0.not_before_utc.as_deref().unwrap_or_default()
    }

    /// Why the last attempt failed.
    #[zbus(property)]
    fn reason(&self) -> &str {
        self.0.reason.as_deref().unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn created_utc(&self) -> &str {
        &self.0.created_utc
    }

    #[zbus(property)]
    fn started_utc(&self) -> &str {
        self.0.started_utc.as_deref().unwrap_or_default()
    }

    #[zbus(property)]
    fn finished_utc(&self) -> &str {
        self.0.finished_utc.as_deref().unwrap_or_default()
    }

    /// JSON; empty until done.
    #[zbus(property)]
    fn findings(&self) -> &str {
        self.0.findings.as_deref().unwrap_or_default()
    }

    /// JSON: [[stage, milliseconds], ...].
    #[zbus(property)]
    fn timings(&self) -> &str {
        self.0.timings.as_deref().unwrap_or_default()
    }

    /// The task of a whole study that it is for, then `Series` is the first of its series; else empty.
    #[zbus(property(emits_changed_signal = "const"))]
    fn task(&self) -> &str {
        self.0.task.as_deref().unwrap_or_default()
    }
}
