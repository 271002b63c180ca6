//! The acceptance test of a box: what was measured in, lines out, each passed, failed or not tested. No I/O: measured is in
//! `ctl::acceptance`.
//!
//! `judge` has one small function for each line, `drift` compares figures with those of the days before, `phantom` makes the test
//! study, `document` the report as a web page and as a PDF.

mod compute;
pub mod document;
pub mod drift;
pub mod judge;
mod machine;
pub mod measured;
mod network;
mod overlay;
pub mod phantom;
mod study;
#[cfg(test)]
mod tests;
mod video;

use serde::{Deserialize, Serialize};

pub use drift::{Drift, Figure};
pub use judge::judge;
pub use measured::Measured;

use crate::doctor::text::Text;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Pass,
    Fail,
    /// Why not is in `seen`.
    NotTested,
}

/// What a line is about, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    Box,
    Models,
    Study,
    Live,
    Network,
    Machine,
}

/// One thing that was tested, or was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Stable: programs may depend on it. `echo:pacs` is that of one destination.
    pub code: String,
    pub group: Group,
    pub name: Text,
    pub outcome: Outcome,
    /// What was seen, or why it was not tested.
    pub seen: Text,
    /// What to do; empty when nothing is.
    pub remedy: Text,
}

impl Line {
    fn new(code: impl Into<String>, group: Group, name: Text, outcome: Outcome, seen: Text) -> Self {
        Self { code: code.into(), group, name, outcome, seen, remedy: Text::default() }
    }

    #[must_use]
    fn remedy(mut self, remedy: Text) -> Self {
        self.remedy = remedy;
        self
    }
}

/// Which box, as the report names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    pub serial_number: String,
    pub station_name: String,
    pub institution: String,
    pub version: String,
    pub accelerator: String,
    pub dicom_address: String,
    pub ae_titles: Vec<String>,
}

/// One stage of the test study, and how long it took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stage {
    pub code: String,
    pub name: Text,
    pub milliseconds: f64,
}

/// All of it. The signed JSON file is this.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Of this form of the file.
    pub format: u32,
    pub outcome: Outcome,
    pub identity: Identity,
    /// By the clock of the box; `clock_trusted` says what that is worth.
    pub begun_utc: String,
    pub ended_utc: String,
    pub clock_trusted: bool,
    /// Name of the person, as given.
    pub by: Option<String>,
    /// Whether results of the test study were to be delivered.
    pub delivered: bool,
    pub study_uid: Option<String>,
    pub lines: Vec<Line>,
    pub stages: Vec<Stage>,
    pub figures: Vec<Figure>,
    pub drifts: Vec<Drift>,
}

/// Failed when any line is; what was not tested fails nothing, and stands in the report.
pub fn outcome(lines: &[Line]) -> Outcome {
    if lines.iter().any(|line| line.outcome == Outcome::Fail) { Outcome::Fail } else { Outcome::Pass }
}

impl Report {
    pub fn count(&self, outcome: Outcome) -> usize {
        self.lines.iter().filter(|line| line.outcome == outcome).count()
    }
}
