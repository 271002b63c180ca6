//! Findings as tables. Read from the same JSON that programs get, so that both always say the same.

use comfy_table::Cell;
use serde_json::Value;

use super::failure::Failure;
use super::output::{Output, Tone, tone_of};
use crate::{Job, Series};

pub fn print_job(job: &Job, series: &[Series], output: &Output) -> Result<(), Failure> {
    let description =
        series.iter().find(|one| one.series_uid == job.series_uid).map_or("", |one| one.description.as_str());
    let number = job.path.as_str().rsplit('/').next().unwrap_or_default();
    let state = output.paint(&job.state, tone_of(&job.state));
    let attempts = if job.attempts > 1 { format!(", attempt {}", job.attempts) } else { String::new() };
    let what = if description.is_empty() { String::new() } else { format!(" of {description}") };
    output.line(&format!("Job {number}{what}: {state}{attempts}"))?;
    if let Some(reason) = &job.reason {
        output.line(&format!("  {reason}"))?;
    }
    let Some(findings) = job.findings.as_deref().and_then(|json| serde_json::from_str(json).ok()) else {
        return Ok(());
    };
    print(&findings, output)?;
    if let Some(timings) = job.timings.as_deref().and_then(|json| serde_json::from_str::<Value>(json).ok()) {
        output.line(&output.paint(&format!("Time: {}", times(&timings)), Tone::Weak))?;
    }
    Ok(())
}

/// `models::Findings` as JSON.
pub fn print(findings: &Value, output: &Output) -> Result<(), Failure> {
    lungs(&findings["lungs"], output)?;
    nodules(&findings["nodules"], output)
}

/// The values, or the sentence why there are none.
fn evaluated<'a>(what: &str, evaluated: &'a Value) -> Result<&'a [Value], String> {
    if let Some(values) = evaluated["done"].as_array() {
        return Ok(values);
    }
    Err(evaluated["not_evaluated"].as_str().map_or_else(|| format!("{what} not evaluated"), str::to_owned))
}

fn lungs(found: &Value, output: &Output) -> Result<(), Failure> {
    let lungs = match evaluated("lungs", found) {
        Ok(lungs) => lungs,
        Err(why) => return output.line(&sentence(&why)),
    };
    let mut table = output.table(&["Lung", "Volume", "Mean", "LAA-950"]);
    for lung in lungs {
        table.add_row(vec![
            Cell::new(lung["side"].as_str().unwrap_or_default()),
            Cell::new(format!("{} ml", number(&lung["volume_ml"], 0))),
            Cell::new(format!("{} HU", number(&lung["mean_hu"], 0))),
            Cell::new(format!("{} %", number(&lung["laa950_percent"], 1))),
        ]);
    }
    output.print(table)
}

fn nodules(found: &Value, output: &Output) -> Result<(), Failure> {
    let nodules = match evaluated("nodules", found) {
        Ok([]) => return output.line("Nodules: none found"),
        Ok(nodules) => nodules,
        Err(why) => return output.line(&sentence(&why)),
    };
    let mut table = output.table(&["Nodule", "Lung", "Diameter", "Volume", "Mean", "Confidence", "Slice"]);
    for nodule in nodules {
        table.add_row(vec![
            Cell::new(number(&nodule["number"], 0)),
            Cell::new(nodule["side"].as_str().unwrap_or_default()),
            Cell::new(format!("{} mm", number(&nodule["diameter_mm"], 1))),
            Cell::new(format!("{} mm³", number(&nodule["volume_mm3"], 0))),
            Cell::new(format!("{} HU", number(&nodule["mean_hu"], 0))),
            Cell::new(number(&nodule["confidence"], 2)),
            // People count slices from 1.
            Cell::new(nodule["key_slice"].as_u64().map_or_else(String::new, |slice| (slice + 1).to_string())),
        ]);
    }
    output.print(table)
}

/// The reason names its subject already; it only begins a line here.
fn sentence(why: &str) -> String {
    let mut letters = why.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn number(value: &Value, decimals: usize) -> String {
    value.as_f64().map_or_else(|| "-".into(), |value| format!("{value:.decimals$}"))
}

/// `[[stage, ms], ...]` as `lungs 0.8 s, inference 12.3 s`.
pub fn times(timings: &Value) -> String {
    let stages = timings.as_array().map(Vec::as_slice).unwrap_or_default();
    let stage = |one: &Value| {
        let milliseconds = one[1].as_f64().unwrap_or(0.0);
        let time = if milliseconds < 1000.0 {
            format!("{milliseconds:.0} ms")
        } else {
            format!("{:.1} s", milliseconds / 1000.0)
        };
        format!("{} {time}", one[0].as_str().unwrap_or_default())
    };
    stages.iter().map(stage).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_found_and_not_looked_for_are_different() {
        let done = serde_json::json!({ "done": [] });
        assert_eq!(evaluated("nodules", &done), Ok(&[][..]));
        let refused = serde_json::json!({ "not_evaluated": "slices too thick" });
        assert_eq!(evaluated("nodules", &refused), Err("slices too thick".into()));
        assert_eq!(evaluated("nodules", &Value::Null), Err("nodules not evaluated".into()));
    }

    #[test]
    fn times_are_readable() {
        let timings = serde_json::json!([["lungs", 812.4], ["inference", 12300.0]]);
        assert_eq!(times(&timings), "lungs 812 ms, inference 12.3 s");
    }
}
