//! What an acceptance test has measured. Every part may be missing, with the reason.

use hal::sensors::Cause;

use crate::doctor::Facts;
use crate::doctor::text::Text;
use crate::{Caller, Delivery, Job, Live, Series, Stats};

/// Why something was not done, and what would let it be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotDone {
    pub why: Text,
    pub remedy: Text,
}

#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// What the doctor knows.
    pub facts: Facts,
    pub packages: Vec<PackageRun>,
    pub study: Option<StudyRun>,
    pub video: Option<Video>,
    /// Milliseconds within which an overlay must be there (`live.deadline_ms`).
    pub deadline_ms: Option<f64>,
    /// Destination, and milliseconds to the answer or why there is none.
    pub echoes: Vec<(String, Result<f64, String>)>,
    pub disk: Option<Result<Disk, NotDone>>,
    /// Watts that the board says it draws.
    pub watts: Option<f64>,
    /// At night: a scanner that is off is no fault of the box, and of what was counted only what is new is.
    pub daily: bool,
    /// How often the box had slowed itself down at the daily run before.
    pub throttled_before: Option<u64>,
}

impl Measured {
    /// How often the box slowed itself down since it started.
    pub fn throttled(&self) -> Option<u64> {
        let readings = self.facts.heat.as_ref().filter(|readings| !readings.throttles.is_empty())?;
        Some(readings.times(Cause::Heat).saturating_add(readings.times(Cause::Power)))
    }

    /// What was counted was told by the daily run before, and nothing was counted since. After a restart the machine counts anew.
    pub fn is_throttling_old(&self) -> bool {
        let active =
            self.facts.heat.as_ref().is_some_and(|readings| {
                readings.active(Cause::Heat).is_some() || readings.active(Cause::Power).is_some()
            });
        self.daily && !active && self.throttled_before.is_some() && self.throttled() == self.throttled_before
    }
}

/// An active package that was checked and run.
#[derive(Debug, Clone, PartialEq)]
pub struct PackageRun {
    pub id: String,
    pub version: String,
    pub task: String,
    /// Signature and hashes.
    pub intact: Result<(), String>,
    /// Largest difference from the expected answer; or why there is no answer.
    pub golden: Result<Option<f64>, String>,
    pub milliseconds: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Each slice safe before the next.
    pub bytes_per_second: u64,
    /// Above the reserve that is kept free.
    pub room: u64,
}

/// The way of the test study through the box.
#[derive(Debug, Clone, Default)]
pub struct StudyRun {
    pub study_uid: String,
    pub calling_ae: String,
    pub called_ae: String,
    pub address: String,
    pub images: usize,
    /// Whether results are to go where results go.
    pub delivered: bool,
    /// How many were taken, and what was said to the others; or why there was no association.
    pub sent: Option<Result<Taken, String>>,
    /// What the box noted when it refused the association.
    pub refused: Option<Caller>,
    pub send_ms: f64,
    /// The series as it was last seen.
    pub series: Option<Series>,
    pub job: Option<Job>,
    /// From the last image to the verdict.
    pub verdict_ms: Option<f64>,
    /// Of all destinations.
    pub deliveries: Vec<Delivery>,
    /// Destination, and milliseconds from the verdict until it had all results.
    pub delivered_ms: Vec<(String, f64)>,
    /// Seconds after which nobody waited any more.
    pub waited_secs: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    pub images: usize,
    /// The first answer that was no success.
    pub refusal: Option<String>,
}

/// The live path during some seconds.
#[derive(Debug, Clone, Default)]
pub struct Video {
    pub live: Live,
    /// Study UID of the exam that ran before the first reading.
    pub exam_before: Option<String>,
    pub before: Stats,
    pub after: Stats,
    pub seconds: f64,
}

impl Video {
    /// Counters begin anew with each exam and after it: two readings of different exams are not to be compared.
    pub fn began_anew(&self) -> bool {
        let exam = self.live.exam.as_ref().map(|exam| &exam.study_uid);
        self.exam_before.as_ref() != exam || super::overlay::began_anew(&self.before, &self.after)
    }
}
