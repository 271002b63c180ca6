//! Settings of the archive that is asked for earlier studies, `[prior]`.

use std::time::Duration;

use dicom::check::Checker;
use hal::backoff::Pauses;
use serde::{Deserialize, Serialize};

use crate::asked::{Asked, pauses};
use crate::peer::Target;
use crate::tls::settings::{DestinationTls, switch_or_table};

/// By which operation a series is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fetch {
    /// C-GET where the archive takes it, else C-MOVE.
    #[default]
    Auto,
    Get,
    Move,
}

/// An archive is asked once `address` is set.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PriorArchive {
    /// `host:port`.
    pub address: Option<String>,
    pub ae_title: String,
    /// Our AE title on this association, and the destination of a C-MOVE.
    pub calling_ae_title: String,
    /// `true`, or a table: how the archive's certificate is judged, and which one we show.
    #[serde(deserialize_with = "switch_or_table", skip_serializing_if = "Option::is_none")]
    pub tls: Option<DestinationTls>,
    pub fetch: Fetch,
    /// Studies older than this are not asked for, years.
    pub years: u16,
    /// Of how many earlier studies, the newest first, the series are looked at.
    pub studies: usize,
    /// A series with more images is not fetched.
    pub max_images: usize,
    /// Seconds that a new study waits until its prior is here.
    pub budget_secs: u64,
    /// Seconds that it then waits until the prior is read.
    pub reading_secs: u64,
    /// Whether what the box finds in a study that it fetched goes to the destinations, too.
    pub deliver: bool,
    /// Seconds before the first retry; doubles up to `retry_max_secs`.
    pub retry_secs: f64,
    pub retry_max_secs: f64,
}

impl Default for PriorArchive {
    fn default() -> Self {
        Self {
            address: None,
            ae_title: String::new(),
            calling_ae_title: "SCANSIDE".into(),
            tls: None,
            fetch: Fetch::Auto,
            years: 5,
            studies: 5,
            max_images: 2000,
            budget_secs: 45,
            reading_secs: 600,
            deliver: false,
            retry_secs: 5.0,
            retry_max_secs: 300.0,
        }
    }
}

impl PriorArchive {
    /// Reports each invalid value under its key, `prior.*`.
    pub fn check(&self, checker: &mut Checker) {
        if !self.asked().check(checker, "prior", "archive") {
            if *self != Self::default() {
                checker.refuse("prior", "address must be set, too: without it no archive is asked");
            }
            return;
        }
        checker.range("prior.years", self.years, 1..=50, "years");
        checker.range("prior.studies", self.studies, 1..=50, "studies");
        checker.range("prior.max_images", self.max_images, 1..=10_000, "images");
        checker.range("prior.budget_secs", self.budget_secs, 1..=600, "seconds");
        checker.range("prior.reading_secs", self.reading_secs, 0..=3600, "seconds");
        checker.range("prior.retry_secs", self.retry_secs, 0.1..=3600.0, "seconds");
        checker.range("prior.retry_max_secs", self.retry_max_secs, self.retry_secs..=86_400.0, "seconds");
    }

    /// The archive to ask; `None` when none is set.
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

    pub fn is_on(&self) -> bool {
        self.address.is_some()
    }

    pub fn budget(&self) -> Duration {
        Duration::from_secs(self.budget_secs)
    }

    pub fn reading(&self) -> Duration {
        Duration::from_secs(self.reading_secs)
    }

    pub fn pauses(&self) -> Pauses {
        pauses(self.retry_secs, self.retry_max_secs)
    }
}
