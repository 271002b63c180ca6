//! `Series1`: a series and its verdict.

use zbus::interface;

use super::objects::Exported;
use super::rows;

#[derive(Debug)]
pub struct Series(rows::Series);

impl Exported for Series {
    type Row = rows::Series;

    fn new(row: Self::Row) -> Self {
        Self(row)
    }

    fn replace(&mut self, row: Self::Row) {
        self.0 = row;
    }
}

/// A series and its verdict.
#[interface(name = "org.scanside.Appliance1.Series1")]
impl Series {
    #[zbus(property(emits_changed_signal = "const"))]
    fn study_uid(&self) -> &str {
        &self.0.study_uid
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn series_uid(&self) -> &str {
        &self.0.series_uid
    }

    /// Series Number; -1 when the device gave none.
    #[zbus(property)]
    fn series_number(&self) -> i64 {
        self.0.series_number.unwrap_or(-1)
    }

    #[zbus(property)]
    fn description(&self) -> &str {
        &self.0.description
    }

    #[zbus(property)]
    fn patient_id(&self) -> &str {
        &self.0.patient_id
    }

    #[zbus(property)]
    fn patient_name(&self) -> &str {
        &self.0.patient_name
    }

    #[zbus(property)]
    fn modality(&self) -> &str {
        &self.0.modality
    }

    #[zbus(property)]
    fn kind(&self) -> &str {
        &self.0.kind
    }

    /// receiving, complete, processed, refused or evicted.
    #[zbus(property)]
    fn state(&self) -> &str {
        &self.0.state
    }

    /// The verdict in plain words; empty until there is one.
    #[zbus(property)]
    fn verdict(&self) -> &str {
        self.0.verdict.as_deref().unwrap_or_default()
    }

    /// Number of completions; a late slice leads to a new version.
    #[zbus(property)]
    fn version(&self) -> u32 {
        self.0.version
    }

    /// Why the series was complete: quiet, released or declared_count.
    #[zbus(property)]
    fn completed_by(&self) -> &str {
        self.0.completed_by.as_deref().unwrap_or_default()
    }

    #[zbus(property)]
    fn instance_count(&self) -> u32 {
        self.0.instance_count
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn first_utc(&self) -> &str {
        &self.0.first_utc
    }

    #[zbus(property)]
    fn last_utc(&self) -> &str {
        &self.0.last_utc
    }

    #[zbus(property)]
    fn completed_utc(&self) -> &str {
        self.0.completed_utc.as_deref().unwrap_or_default()
    }
}
