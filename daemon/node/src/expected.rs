//! Who is expected, as scanners may ask (`worklist::offer` answers).

use std::sync::Arc;

use dicom::patient::Patient;
use dicom::request::Request;
use dicom::scan::Besides;

/// Where the list comes from. It is asked anew for every question, on a thread for blocking work; the error is for the log and names nobody.
pub type Source = Arc<dyn Fn() -> Result<Arc<List>, String> + Send + Sync>;

/// Who is expected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// In the order of the appointments.
    pub entries: Vec<Scheduled>,
    /// YYYYMMDD, local time.
    pub today: String,
}

/// One ordered exam.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scheduled {
    pub patient: Patient,
    /// Not empty, and the same each time.
    pub study_uid: String,
    /// YYYYMMDD, local time.
    pub date: String,
    /// HHMMSS or shorter, local time; may be empty.
    pub time: String,
    /// As `US`; may be empty.
    pub modality: String,
    pub description: String,
    pub request: Request,
    pub besides: Besides,
}
