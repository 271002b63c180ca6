//! Settings of the manager of performed procedure steps, `[mpps]`.

use dicom::check::Checker;
use hal::backoff::Pauses;
use serde::{Deserialize, Serialize};

use crate::asked::{Asked, pauses};
use crate::peer::Target;
use crate::tls::settings::{DestinationTls, switch_or_table};

/// A manager is told of exams once `address` is set.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepManager {
    /// `host:port`.
    pub address: Option<String>,
    pub ae_title: String,
    /// Our AE title on this association, and as Performed Station AE Title.
    pub calling_ae_title: String,
    /// `true`, or a table: how the manager's certificate is judged, and which one we show.
    #[serde(deserialize_with = "switch_or_table", skip_serializing_if = "Option::is_none")]
    pub tls: Option<DestinationTls>,
    /// Whether it is told of exams that are not of the worklist, too.
    pub unscheduled: bool,
    /// Whether it is told of the analyses of studies that were received, too.
    pub analyses: bool,
    /// Whether it is told of exams whose pictures come from a simulated device. Never set it for the manager of a hospital.
    pub accepts_simulated: bool,
    /// Seconds before the first retry; doubles up to `retry_max_secs`, for ever.
    pub retry_secs: f64,
    pub retry_max_secs: f64,
}

impl Default for StepManager {
    fn default() -> Self {
        Self {
            address: None,
            ae_title: String::new(),
            calling_ae_title: "SCANSIDE".into(),
            tls: None,
            unscheduled: false,
            analyses: false,
            accepts_simulated: false,
            retry_secs: 10.0,
            retry_max_secs: 300.0,
        }
    }
}

impl StepManager {
    /// Reports each invalid value under its key, `mpps.*`.
    pub fn check(&self, checker: &mut Checker) {
        if !self.asked().check(checker, "mpps", "manager") {
            if *self != Self::default() {
                checker.refuse("mpps", "address must be set, too: without it no manager is told of exams");
            }
            return;
        }
        checker.range("mpps.retry_secs", self.retry_secs, 0.1..=3600.0, "seconds");
        checker.range("mpps.retry_max_secs", self.retry_max_secs, self.retry_secs..=86_400.0, "seconds");
    }

    /// The manager to tell; `None` when none is set.
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

    pub fn pauses(&self) -> Pauses {
        pauses(self.retry_secs, self.retry_max_secs)
    }
}
