//! Patient data of an exam.

use serde::{Deserialize, Serialize};

/// Values in DICOM form (PS3.5 section 6.2): LO, PN, DA, SH.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patient {
    pub id: String,
    pub name: String,
    /// YYYYMMDD, or empty.
    #[serde(default)]
    pub birth_date: String,
    #[serde(default)]
    pub accession_number: String,
}
