//! Settings of the worklist server, `[worklist]`.

use std::time::Duration;

use dicom::check::Checker;
use serde::{Deserialize, Serialize};

use crate::asked::Asked;
use crate::peer::Target;
use crate::tls::settings::{DestinationTls, switch_or_table};

/// A server is asked once `address` is set.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorklistServer {
    /// `host:port`.
    pub address: Option<String>,
    pub ae_title: String,
    /// Our AE title on this association.
    pub calling_ae_title: String,
    /// `true`, or a table: how the server's certificate is judged, and which one we show.
    #[serde(deserialize_with = "switch_or_table", skip_serializing_if = "Option::is_none")]
    pub tls: Option<DestinationTls>,
    /// Only steps of this modality; empty for all.
    pub modality: String,
    /// Only steps that are scheduled for the station with this AE title. Absent: all.
    pub station_ae_title: Option<String>,
    /// Days before and after today, local time.
    pub days: u16,
    /// Seconds from one question to the next.
    pub every_secs: u64,
    /// Seconds until all answers must be here.
    pub timeout_secs: u64,
}

impl Default for WorklistServer {
    fn default() -> Self {
        Self {
            address: None,
            ae_title: String::new(),
            calling_ae_title: "SCANSIDE".into(),
            tls: None,
            modality: "US".into(),
            station_ae_title: None,
            days: 0,
            every_secs: 60,
            timeout_secs: 30,
        }
    }
}

impl WorklistServer {
    /// Reports each invalid value under its key, `worklist.*`.
    pub fn check(&self, checker: &mut Checker) {
        if !self.asked().check(checker, "worklist", "server") {
            if *self != Self::default() {
                checker.refuse("worklist", "address must be set, too: without it no server is asked");
            }
            return;
        }
        // A value of VR CS, PS3.5 section 6.2. The other characters are those of wild cards and lists.
        let code = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if self.modality.len() > 16 || !self.modality.chars().all(code) {
            let reason = format!("{:?} is no modality, such as US; empty for all", self.modality);
            checker.refuse("worklist.modality", reason);
        }
        if let Some(title) = &self.station_ae_title {
            checker.ae_title("worklist.station_ae_title", title);
        }
        checker.range("worklist.days", self.days, 0..=31, "days");
        checker.range("worklist.every_secs", self.every_secs, 5..=86_400, "seconds");
        checker.range("worklist.timeout_secs", self.timeout_secs, 1..=600, "seconds");
    }

    /// The server to ask; `None` when none is set.
    pub fn target(&self) -> Option<Target> {
        self.asked().target()
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            address: self.address.as_ref(),
            ae_title: &self.ae_title,
            calling_ae_title: &self.calling_ae_title,
            tls: self.tls.as_ref(),
        }
    }

    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout_secs)
    }
}
