//! Analysis: one series or study in, findings and DICOM objects out.
//!
//! `examine` does the work and knows neither queue nor network. `worker` takes jobs from the durable queue, `carry` does
//! one of them, `conclude` writes down how it ended, `control` tells its progress and stops it. `folder` examines a
//! directory instead, so that any case from the field can be replayed at a desk.

pub mod acquired;
mod carry;
pub mod compare;
pub(crate) mod conclude;
mod control;
pub mod engine;
pub mod error;
pub mod examine;
pub mod folder;
pub mod mammography;
pub mod prior;
mod remarks;
pub mod results;
mod room;
pub(crate) mod sent;
pub mod shadow;
pub mod task;
pub mod ultrasound;
pub mod views;
pub mod worker;

use models::ChestFindings;
use models::number::Number;
use report::words::{self, FindingState, Language};

/// The verdict in plain words: what was found first, then what is not there, then what was not evaluated and why. The
/// same reason is said once.
pub fn verdict(findings: &ChestFindings) -> String {
    let lines = words::lines(findings, Language::English);
    let of = |state: FindingState| lines.iter().filter(move |line| line.state == state);
    let name = |line: &words::Line| Language::English.words().name(line.finding);
    let mut parts: Vec<String> = of(FindingState::Found).map(|line| format!("{}: {}", name(line), line.text)).collect();
    parts.extend(words::comparison(findings, Language::English));
    // Where small ones were not evaluated, only the larger ones are absent.
    let absent: Vec<String> = of(FindingState::NotFound)
        .map(|line| match findings.least_size(line.finding) {
            Some(least) => format!("{} of {} or more", name(line), least.words()),
            None => name(line).to_owned(),
        })
        .collect();
    if !absent.is_empty() {
        parts.push(format!("no {}", absent.join(", no ")));
    }
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in of(FindingState::NotEvaluated) {
        match reasons.iter_mut().find(|(why, _)| *why == line.text) {
            Some((_, names)) => names.push(name(line)),
            None => reasons.push((&line.text, vec![name(line)])),
        }
    }
    let missed = reasons.into_iter().map(|(why, names)| match names.len() {
        all if all == lines.len() => format!("nothing evaluated: {why}"),
        _ => format!("not evaluated: {} ({why})", names.join(", ")),
    });
    parts.extend(missed);
    if let Some(least) = of(FindingState::NotFound).find_map(|line| findings.least_size(line.finding)) {
        parts.push(format!("smaller ones not evaluated at this spacing ({:.1} mm)", Number(least.slice_mm)));
    }
    parts.extend(words::reviewed(findings, Language::English));
    parts.extend(words::remarks(findings, Language::English));
    parts.join("; ")
}

/// How far a whole job is (0 to 1) when `stage` is at `fraction`. The shares are those of a 300-slice CT on the CPU.
fn overall(stage: &str, fraction: f64) -> f64 {
    const STAGES: [(&str, f64); 7] = [
        ("volume", 0.02),
        ("load", 0.02),
        ("lungs", 0.06),
        ("resample", 0.04),
        ("inference", 0.80),
        ("postprocess", 0.03),
        ("report", 0.03),
    ];
    let mut before = 0.0;
    for (name, share) in STAGES {
        if name == stage {
            return before + share * fraction.clamp(0.0, 1.0);
        }
        before += share;
    }
    1.0
}

#[cfg(test)]
mod tests {
    use models::Reason;
    use models::findings::{ChestFinding, Evaluated, LeastSize, SizeUnit};

    use super::*;

    #[test]
    fn the_verdict_groups_what_was_not_evaluated_by_its_reason() {
        let mut findings = ChestFindings::none(&Reason::stored("no network"));
        findings.rib_fractures = Evaluated::Done(Vec::new());
        findings.refuse(ChestFinding::LymphNode, Reason::stored("slices too thick"));
        let said = verdict(&findings);
        assert!(said.starts_with("no rib fractures; not evaluated: nodules or masses, pneumonia, "), "{said}");
        assert!(said.ends_with("(no network); not evaluated: enlarged lymph nodes (slices too thick)"), "{said}");
        assert_eq!(verdict(&ChestFindings::none(&Reason::stored("no lungs"))), "nothing evaluated: no lungs");
    }

    #[test]
    fn only_what_was_large_enough_is_called_absent() {
        let mut findings = ChestFindings::none(&Reason::stored("no network"));
        findings.nodules = Evaluated::Done(Vec::new());
        findings.rib_fractures = Evaluated::Done(Vec::new());
        let (finding, unit) = (ChestFinding::Nodule, SizeUnit::Millimetre);
        findings.least_sizes.push(LeastSize { finding, size: 10.0, unit, slice_mm: 5.0 });
        let said = verdict(&findings);
        assert!(said.starts_with("no nodules or masses of 10 mm or more, no rib fractures; not evaluated: "), "{said}");
        assert!(said.ends_with("; smaller ones not evaluated at this spacing (5.0 mm)"), "{said}");
    }
}
