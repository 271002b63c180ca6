//! Settings of who is told that results are available, `[availability.NAME]`.

use dicom::check::Checker;
use hal::backoff::Pauses;
use serde::{Deserialize, Serialize};

use crate::asked::{Asked, pauses};
use crate::peer::Target;
use crate::tls::settings::{DestinationTls, switch_or_table};

/// A receiver of notices.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Receiver {
    /// `host:port`.
    pub address: Option<String>,
    pub ae_title: String,
    /// Our AE title on this association.
    pub calling_ae_title: String,
    /// `true`, or a table: how its certificate is judged, and which one we show.
    #[serde(deserialize_with = "switch_or_table", skip_serializing_if = "Option::is_none")]
    pub tls: Option<DestinationTls>,
    /// Seconds before the first retry; doubles up to `retry_max_secs`, for ever.
    pub retry_secs: f64,
    pub retry_max_secs: f64,
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            address: None,
            ae_title: String::new(),
            calling_ae_title: "SCANSIDE".into(),
            tls: None,
            retry_secs: 10.0,
            retry_max_secs: 300.0,
        }
    }
}

impl Receiver {
    /// Reports each invalid value under its key, `availability.NAME.*`.
    pub fn check(&self, checker: &mut Checker, name: &str) {
        let table = format!("availability.{name}");
        if !self.asked().check(checker, &table, "receiver") {
            return checker.refuse(&table, "address must be set, too".to_owned());
        }
        checker.range(&format!("{table}.retry_secs"), self.retry_secs, 0.1..=3600.0, "seconds");
        checker.range(&format!("{table}.retry_max_secs"), self.retry_max_secs, self.retry_secs..=86_400.0, "seconds");
    }

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
