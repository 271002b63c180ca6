//! The doctor: facts about the box in, findings out, the gravest first. No I/O: facts are collected in `ctl::examine`.
//!
//! Each area has a file with small named checks. A check that lacks its facts says nothing, so that the doctor makes as much
//! progress as it can on a box that is half dead. The areas stand in the order of cause and effect: of two findings of the
//! same gravity the cause comes first.

pub mod asked;
mod certificates;
pub mod clock;
mod compute;
pub mod facts;
pub mod hosts;
mod live;
pub mod network;
pub mod peers;
mod recalls;
pub mod retained;
pub mod sandbox;
mod service;
pub mod priors;
pub mod steps;
mod storage;
#[cfg(test)]
pub(crate) mod tests;
pub mod tasks;
pub mod text;

use serde::Serialize;

pub use facts::Facts;
pub use text::Text;

use text::both;

/// How bad it is; the order is that of the findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    /// Something that the box is for does not work.
    Broken,
    /// It works, and will not for ever; or not as well as it should.
    Warning,
    /// Worth knowing.
    Note,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable: programs may depend on it.
    pub code: &'static str,
    pub gravity: Gravity,
    /// What is wrong, one sentence.
    pub cause: Text,
    /// What was seen.
    pub evidence: Vec<Text>,
    /// What it blocks; empty when the cause says it.
    pub effect: Text,
    /// What to do.
    pub remedy: Text,
}

impl Finding {
    fn new(code: &'static str, gravity: Gravity, cause: Text, remedy: Text) -> Self {
        Self { code, gravity, cause, evidence: Vec::new(), effect: Text::default(), remedy }
    }

    fn seen(mut self, evidence: Text) -> Self {
        if !evidence.en.is_empty() {
            self.evidence.push(evidence);
        }
        self
    }

    fn blocks(mut self, effect: Text) -> Self {
        self.effect = effect;
        self
    }
}

/// An area that was looked at, and what was seen there; or why nothing was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub area: Text,
    pub seen: Text,
    /// False: it could not be looked at.
    pub done: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub findings: Vec<Finding>,
    pub checked: Vec<Checked>,
}

impl Report {
    /// 0 nothing (notes are nothing), 1 warnings, 2 something is broken.
    pub fn exit_code(&self) -> u8 {
        match self.findings.first().map(|finding| finding.gravity) {
            Some(Gravity::Broken) => 2,
            Some(Gravity::Warning) => 1,
            Some(Gravity::Note) | None => 0,
        }
    }
}

/// Says what it looked at, and returns what is wrong there.
type Area = fn(&Facts, &mut Vec<Checked>) -> Vec<Finding>;

/// Gravest first; of the same gravity, causes before effects.
pub fn judge(facts: &Facts) -> Report {
    let areas: [Area; 12] = [
        service::judge,
        storage::judge,
        clock::judge,
        network::judge,
        steps::judge,
        priors::judge,
        tasks::judge,
        compute::judge,
        hosts::judge,
        live::judge,
        peers::judge,
        recalls::judge,
    ];
    let mut checked = Vec::new();
    let mut findings: Vec<Finding> = areas.iter().flat_map(|area| area(facts, &mut checked)).collect();
    findings.sort_by_key(|finding| finding.gravity);
    Report { findings, checked }
}

fn looked(checked: &mut Vec<Checked>, area: Text, seen: Text) {
    checked.push(Checked { area, seen, done: true });
}

fn not_looked(checked: &mut Vec<Checked>, area: Text, why: Text) {
    checked.push(Checked { area, seen: why, done: false });
}

/// `1 result`, `2 results`, for the English text.
fn many(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `3 h` and `3 小时`.
fn span(seconds: f64) -> Text {
    let whole = |value: f64| format!("{value:.0}");
    match seconds {
        s if s < 90.0 => {
            let n = whole(s);
            both!("{n} s", "{n} 秒")
        }
        s if s < 5400.0 => {
            let n = whole(s / 60.0);
            both!("{n} min", "{n} 分钟")
        }
        s if s < 172_800.0 => {
            let n = whole(s / 3600.0);
            both!("{n} h", "{n} 小时")
        }
        s => {
            let n = whole(s / 86_400.0);
            both!("{n} days", "{n} 天")
        }
    }
}

/// Seconds from `utc` to now; `None` when one of them is unreadable.
fn age(facts: &Facts, utc: &str) -> Option<f64> {
    let (now, then): (jiff::Timestamp, jiff::Timestamp) = (facts.now_utc.parse().ok()?, utc.parse().ok()?);
    Some(now.duration_since(then).as_secs_f64())
}

const DAY: f64 = 86_400.0;
