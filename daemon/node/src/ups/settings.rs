//! Settings of the manager of tasks, `[ups]`.

use std::time::Duration;

use dicom::check::Checker;
use hal::backoff::Pauses;
use serde::{Deserialize, Serialize};

use crate::asked::Asked;
use crate::peer::Target;
use crate::tls::settings::{DestinationTls, switch_or_table};

/// A manager is asked for tasks once `address` is set.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskManager {
    /// `host:port`.
    pub address: Option<String>,
    pub ae_title: String,
    /// Our AE title on this association.
    pub calling_ae_title: String,
    /// `true`, or a table: how the manager's certificate is judged, and which one we show.
    #[serde(deserialize_with = "switch_or_table", skip_serializing_if = "Option::is_none")]
    pub tls: Option<DestinationTls>,
    /// Code Value of the Scheduled Station Name under which tasks are scheduled for this box; empty: the station does not count.
    pub station: String,
    /// Scheduled Workitem Codes that this box performs, `SCHEME:VALUE`.
    pub workitems: Vec<String>,
    /// Seconds between two questions.
    pub poll_secs: f64,
    /// Tasks that this box works at; more are left to others.
    pub max_open: usize,
    /// Seconds that the input of a claimed task is waited for.
    pub input_wait_secs: u64,
    /// A manager that is away is asked again after `poll_secs`, doubling up to this.
    pub retry_max_secs: f64,
}

impl Default for TaskManager {
    fn default() -> Self {
        Self {
            address: None,
            ae_title: String::new(),
            calling_ae_title: "SCANSIDE".into(),
            tls: None,
            station: String::new(),
            workitems: vec!["DCM:110004".into(), "DCM:110003".into()],
            poll_secs: 30.0,
            max_open: 4,
            input_wait_secs: 3600,
            retry_max_secs: 300.0,
        }
    }
}

/// PS3.5 section 6.2, SH.
const LONGEST_CODE: usize = 16;

impl TaskManager {
    /// Reports each invalid value under its key, `ups.*`.
    pub fn check(&self, checker: &mut Checker) {
        if !self.asked().check(checker, "ups", "manager") {
            if *self != Self::default() {
                checker.refuse("ups", "address must be set, too: without it no manager is asked for tasks");
            }
            return;
        }
        if self.station.len() > LONGEST_CODE || !self.station.is_ascii() || self.station.contains(['\\', '*', '?']) {
            checker.refuse("ups.station", format!("{:?} is no code value: at most 16 ASCII characters", self.station));
        }
        if self.workitems.is_empty() {
            checker.refuse("ups.workitems", "nothing would be taken: name a code such as \"DCM:110004\"");
        }
        for code in &self.workitems {
            if code.split_once(':').is_none_or(|(scheme, value)| scheme.is_empty() || value.is_empty()) {
                checker.refuse("ups.workitems", format!("{code:?} is not SCHEME:VALUE, for example \"DCM:110004\""));
            }
        }
        checker.range("ups.poll_secs", self.poll_secs, 0.1..=3600.0, "seconds");
        checker.range("ups.max_open", self.max_open, 1..=100, "tasks");
        checker.range("ups.input_wait_secs", self.input_wait_secs, 1..=604_800, "seconds");
        checker.range("ups.retry_max_secs", self.retry_max_secs, self.poll_secs..=86_400.0, "seconds");
    }

    /// The manager to ask; `None` when none is set.
    pub fn target(&self) -> Option<Target> {
        self.asked().target()
    }

    pub fn is_on(&self) -> bool {
        self.address.is_some()
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            address: self.address.as_ref(),
            ae_title: &self.ae_title,
            calling_ae_title: &self.calling_ae_title,
            tls: self.tls.as_ref(),
        }
    }

    pub fn poll(&self) -> Duration {
        Duration::try_from_secs_f64(self.poll_secs).unwrap_or(Duration::from_secs(30))
    }

    pub fn pauses(&self) -> Pauses {
        let longest = Duration::try_from_secs_f64(self.retry_max_secs).unwrap_or_default();
        Pauses::new(self.poll(), longest)
    }
}
