//! What the demo prints at the end: the verdicts, planted and found, the time of every stage.

use std::time::Duration;

use anyhow::{Context, Result};
use scanside_client::{Job, Series};
use serde::de::DeserializeOwned;

use super::terminal::{Terminal, duration};
use crate::compare::{Comparison, Evaluated, Findings, Found, Lung, Planted, distance};
use phantom::{Lungs, Truth};

/// Findings of the jobs that made some, in the order of the jobs.
///
/// # Errors
/// When the box wrote something other than findings.
pub fn findings<T: DeserializeOwned>(jobs: &[Job]) -> Result<Vec<T>> {
    let texts = jobs.iter().filter(|job| job.state == "done").filter_map(|job| job.findings.as_deref());
    texts.map(|json| serde_json::from_str(json).context("findings on the bus")).collect()
}

/// One row for each series with its verdict.
pub fn verdicts(terminal: Terminal, series: &[Series]) {
    terminal.heading("Verdicts");
    let rows: Vec<_> = series
        .iter()
        .map(|s| {
            let name = if s.description.is_empty() { "(no description)".to_owned() } else { s.description.clone() };
            vec![
                name,
                s.kind.clone(),
                s.instance_count.to_string(),
                s.state.clone(),
                s.verdict.clone().unwrap_or_default(),
            ]
        })
        .collect();
    terminal.table(&["series", "kind", "images", "state", "verdict"], &rows);
}

/// Prints planted and found nodules. True: nothing that had to be found was missed.
pub fn comparison(terminal: Terminal, truth: &Truth, findings: &[Findings]) -> bool {
    let planted: Vec<_> = truth.nodules.iter().map(planted).collect();
    let found: Vec<Found> = findings
        .iter()
        .flat_map(|f| match &f.nodules {
            Evaluated::Done(nodules) => nodules.clone(),
            Evaluated::NotEvaluated(_) => Vec::new(),
        })
        .collect();
    let comparison = Comparison::new(&planted, &found);
    terminal.heading("Nodules: planted and found");
    let rows: Vec<_> = comparison.planted.iter().map(|(p, f)| nodule_row(p, f.as_ref())).collect();
    terminal.table(&["planted mm", "kind", "lung", "found mm", "mean HU", "off mm", "confidence", ""], &rows);
    if !comparison.extra.is_empty() {
        println!();
        println!("  {} finding(s) where nothing was planted:", comparison.extra.len());
        nodules(terminal, &comparison.extra);
    }
    let missed: Vec<_> = comparison.missed().collect();
    println!();
    println!(
        "  {} of {} nodules found, {} finding(s) too many; {}",
        comparison.found(),
        planted.len(),
        comparison.extra.len(),
        if missed.is_empty() {
            terminal.good("none of 6 mm or more was missed")
        } else {
            terminal.bad(&format!("{} of 6 mm or more MISSED", missed.len()))
        }
    );
    missed.is_empty()
}

fn planted(nodule: &phantom::PlantedNodule) -> Planted {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().replace('_', " ");
    Planted {
        side: serde_json::to_value(nodule.side).map(word).unwrap_or_default(),
        centre_mm: nodule.centre_mm,
        diameter_mm: nodule.diameter_mm,
        make: serde_json::to_value(nodule.make).map(word).unwrap_or_default(),
    }
}

fn nodule_row(planted: &Planted, found: Option<&Found>) -> Vec<String> {
    let mut row = vec![format!("{:.1}", planted.diameter_mm), planted.make.clone(), planted.side.clone()];
    match found {
        Some(f) => row.extend([
            format!("{:.1}", f.diameter_mm),
            format!("{:.0}", f.mean_hu),
            format!("{:.1}", distance(f.centre_mm, planted.centre_mm)),
            format!("{:.2}", f.confidence),
            format!("nodule {}", f.number),
        ]),
        None => {
            let word = if planted.diameter_mm >= crate::compare::MUST_BE_FOUND_MM { "MISSED" } else { "not found" };
            row.extend(["-", "-", "-", "-", word].map(str::to_owned));
        }
    }
    row
}

/// Prints the findings as a table, for studies whose truth is not known.
pub fn nodules(terminal: Terminal, found: &[Found]) {
    let rows: Vec<_> = found
        .iter()
        .map(|n| {
            vec![
                format!("{}", n.number),
                n.side.clone(),
                format!("{:.1}", n.diameter_mm),
                format!("{:.0}", n.volume_mm3),
                format!("{:.0}", n.mean_hu),
                format!("{:.2}", n.confidence),
                format!("{:.0}, {:.0}, {:.0}", n.centre_mm[0], n.centre_mm[1], n.centre_mm[2]),
            ]
        })
        .collect();
    terminal.table(&["nodule", "lung", "mm", "mm3", "mean HU", "confidence", "centre LPS mm"], &rows);
}

/// Prints the lungs, with the truth where it is known.
pub fn lungs(terminal: Terminal, findings: &Findings, truth: Option<Lungs>) {
    terminal.heading("Lungs");
    let lungs = match &findings.lungs {
        Evaluated::Done(lungs) => lungs,
        Evaluated::NotEvaluated(reason) => return println!("  {reason}"),
    };
    let rows: Vec<_> = lungs.iter().map(|lung| lung_row(lung, truth)).collect();
    let mut head = vec!["lung", "volume ml", "mean HU", "LAA-950 %"];
    if truth.is_some() {
        head.extend(["phantom ml", "difference %"]);
    }
    terminal.table(&head, &rows);
}

fn lung_row(lung: &Lung, truth: Option<Lungs>) -> Vec<String> {
    let mut row = vec![
        lung.side.clone(),
        format!("{:.0}", lung.volume_ml),
        format!("{:.0}", lung.mean_hu),
        lung.laa950_percent.map_or_else(|| "-".into(), |percent| format!("{percent:.1}")),
    ];
    if let Some(truth) = truth {
        let ml = if lung.side == "right" { truth.right_ml } else { truth.left_ml };
        row.extend([format!("{ml:.0}"), format!("{:+.1}", (lung.volume_ml / ml - 1.0) * 100.0)]);
    }
    row
}

/// Prints the stages as the box measured them, then the waiting times as a person at the scanner has them.
pub fn times(terminal: Terminal, jobs: &[Job], outside: &[(&str, Duration)]) {
    terminal.heading("Time of every stage");
    let mut rows = Vec::new();
    for job in jobs.iter().filter(|job| job.state == "done") {
        let timings: Vec<(String, f64)> =
            job.timings.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        for (stage, ms) in timings {
            rows.push(vec![stage.replace('_', " "), duration(Duration::from_secs_f64(ms / 1000.0))]);
        }
    }
    for (what, time) in outside {
        rows.push(vec![(*what).to_owned(), duration(*time)]);
    }
    terminal.table(&["stage", "time"], &rows);
}
