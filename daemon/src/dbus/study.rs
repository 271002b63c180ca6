//! `Study1`: a study with the series received so far.

use zbus::interface;

use super::objects::Exported;
use super::rows;

#[derive(Debug)]
pub struct Study(rows::Study);

impl Exported for Study {
    type Row = rows::Study;

    fn new(row: Self::Row) -> Self {
        Self(row)
    }

    fn replace(&mut self, row: Self::Row) {
        self.0 = row;
    }
}

/// A study with the series received so far.
#[interface(name = "org.scanside.Appliance1.Study1")]
impl Study {
    #[zbus(property(emits_changed_signal = "const"))]
    fn study_uid(&self) -> &str {
        &self.0.study_uid
    }

    #[zbus(property)]
    fn patient_id(&self) -> &str {
        &self.0.patient_id
    }

    #[zbus(property)]
    fn patient_name(&self) -> &str {
        &self.0.patient_name
    }

    /// Different patients among its series: more than one is a fault of whoever sent it. PatientId and PatientName are
    /// those of the first.
    #[zbus(property)]
    fn patients(&self) -> u32 {
        self.0.patients
    }

    /// Study Date as in DICOM: YYYYMMDD.
    #[zbus(property)]
    fn study_date(&self) -> &str {
        &self.0.study_date
    }

    #[zbus(property)]
    fn description(&self) -> &str {
        &self.0.description
    }

    #[zbus(property)]
    fn accession_number(&self) -> &str {
        &self.0.accession_number
    }

    #[zbus(property)]
    fn modalities(&self) -> &[String] {
        &self.0.modalities
    }

    #[zbus(property)]
    fn series_count(&self) -> u32 {
        self.0.series_count
    }

    #[zbus(property)]
    fn instance_count(&self) -> u32 {
        self.0.instance_count
    }

    /// receiving, analyzing, processed, refused or evicted.
    #[zbus(property)]
    fn state(&self) -> &str {
        &self.0.state
    }

    #[zbus(property)]
    fn verdicts(&self) -> &[String] {
        &self.0.verdicts
    }

    /// Why a person keeps it from eviction; empty: nobody does.
    #[zbus(property)]
    fn hold(&self) -> &str {
        self.0.hold.as_deref().unwrap_or_default()
    }

    /// Since when; empty: nobody does.
    #[zbus(property)]
    fn hold_since_utc(&self) -> &str {
        self.0.hold_since_utc.as_deref().unwrap_or_default()
    }

    /// Who, as the audit trail names callers; empty: nobody does.
    #[zbus(property)]
    fn hold_by(&self) -> &str {
        self.0.hold_by.as_deref().unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn first_utc(&self) -> &str {
        &self.0.first_utc
    }

    #[zbus(property)]
    fn last_utc(&self) -> &str {
        &self.0.last_utc
    }
}
