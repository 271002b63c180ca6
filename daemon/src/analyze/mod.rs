//! Analysis: one series in, findings and DICOM objects out.
//!
//! `examine` does the work and knows neither queue nor network; `worker` feeds it from the durable queue, `folder` from
//! a directory, so that any case from the field can be replayed at a desk.

pub mod engine;
pub mod examine;
pub mod folder;
pub mod worker;

use models::{Findings, findings::Evaluated};

/// The verdict in plain words: what was found, what was not evaluated and why.
pub fn verdict(findings: &Findings) -> String {
    let mut parts = Vec::new();
    match &findings.nodules {
        Evaluated::Done(nodules) if nodules.is_empty() => parts.push("no nodule found".into()),
        Evaluated::Done(nodules) => {
            let largest = nodules.iter().map(|n| n.diameter_mm).fold(0.0, f64::max);
            let noun = if nodules.len() == 1 { "nodule" } else { "nodules" };
            parts.push(format!("{} {noun}, largest {largest:.1} mm", nodules.len()));
        }
        Evaluated::NotEvaluated(why) => parts.push(why.clone()),
    }
    match &findings.lungs {
        Evaluated::Done(lungs) => {
            for lung in lungs {
                let side = match lung.side {
                    models::findings::Side::Right => "right",
                    models::findings::Side::Left => "left",
                };
                parts.push(format!(
                    "{side} lung {:.2} L, LAA-950 {:.1} %",
                    lung.volume_ml / 1000.0,
                    lung.laa950_percent
                ));
            }
        }
        Evaluated::NotEvaluated(why) => parts.push(why.clone()),
    }
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
