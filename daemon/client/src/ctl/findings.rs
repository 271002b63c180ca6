//! Findings as tables. Read from the same JSON that programs get, so that both always say the same.

use comfy_table::Cell;
use models::findings::{ChestFinding, LeastSize};
use models::number::Number;
use report::words::Language;
use serde::Deserialize;
use serde_json::Value;

use super::failure::Failure;
use super::output::{Output, Tone, tone_of};
use super::time;
use crate::{Job, Series};

pub fn print_job(job: &Job, series: &[Series], output: &Output) -> Result<(), Failure> {
    let description =
        series.iter().find(|one| one.series_uid == job.series_uid).map_or("", |one| one.description.as_str());
    let number = job.path.as_str().rsplit('/').next().unwrap_or_default();
    let state = output.paint(&job.state, tone_of(&job.state));
    let attempts = if job.attempts > 1 { format!(", attempt {}", job.attempts) } else { String::new() };
    let what = match &job.task {
        Some(task) => format!(" of the study ({task})"),
        None if description.is_empty() => String::new(),
        None => format!(" of {description}"),
    };
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

/// `models::ChestFindings` as JSON: one line for each finding, then tables where they help.
pub fn print(findings: &Value, output: &Output) -> Result<(), Failure> {
    for finding in ChestFinding::ALL {
        let name = report::words::name(finding, Language::English);
        let (state, text, tone) = line(&findings[finding.field()], &findings["lobes"], say(finding));
        let text = part_of(findings, finding, text);
        let text = least_of(findings, finding, text);
        output.line(&format!("  {name:<30} {} {text}", output.paint(&format!("{state:<13}"), tone)))?;
    }
    comparison(&findings["comparison"], output)?;
    if let Some(by) = findings["review"]["by"].as_str() {
        let utc = findings["review"]["utc"].as_str().unwrap_or_default();
        output.line(&format!("  Reviewed by {by}, {}", time::local(utc)))?;
    }
    for remark in findings["remarks"].as_array().map(Vec::as_slice).unwrap_or_default() {
        output.line(&format!("  {}", sentence(remark.as_str().unwrap_or_default())))?;
    }
    lungs(&findings["lungs"], output)?;
    nodules(&findings["nodules"], output)?;
    parts(findings, output)
}

/// A finding and the lobes it may lie in.
type Say = fn(&Value, &Value) -> (bool, String);

/// How a finding is said in one line; one that has no words here is counted.
fn say(finding: ChestFinding) -> Say {
    SAID.iter().find(|(own, _)| *own == finding).map_or(say_any, |(_, say)| *say)
}

fn say_any(found: &Value, _: &Value) -> (bool, String) {
    match found.as_array() {
        Some(all) => (!all.is_empty(), if all.is_empty() { String::new() } else { all.len().to_string() }),
        None => (true, "see the report".to_owned()),
    }
}

const SAID: &[(ChestFinding, Say)] = &[
    (ChestFinding::Nodule, say_nodules),
    (ChestFinding::Pneumonia, say_pneumonia),
    (ChestFinding::RibFracture, |found, _| {
        listed(found, |one| match one["rib"].as_u64() {
            Some(rib) => format!("{} rib {rib}", side(one)),
            None => format!("{} rib, number not known", side(one)),
        })
    }),
    (ChestFinding::Emphysema, |found, _| {
        let percent = found["laa950_percent"].as_f64().unwrap_or(0.0);
        // Jobs of before do not say whether noise was reduced.
        let how = match (found["smoothed"].as_bool(), found["noise_hu"].is_number()) {
            (Some(true), _) | (None, true) => "after noise reduction",
            (Some(false), true) => "without noise reduction",
            (_, false) => "noise not measured",
        };
        (percent >= models::findings::EMPHYSEMA_PERCENT, format!("LAA-950 {percent:.1} %, {how}"))
    }),
    (ChestFinding::Bronchiectasis, |found, lobes| {
        listed(found, |one| match one["lobe"].as_str() {
            Some(name) => lobe(lobes, name),
            None => format!("{} lung", side(one)),
        })
    }),
    (ChestFinding::PleuralEffusion, |found, _| {
        listed(found, |one| format!("{} {} ml", side(one), number(&one["volume_ml"], 0)))
    }),
    (ChestFinding::Pneumothorax, |found, _| {
        listed(found, |one| {
            format!("{} {} ml, {} %", side(one), number(&one["volume_ml"], 0), number(&one["percent"], 1))
        })
    }),
    (ChestFinding::CoronaryCalcification, say_coronary),
    (ChestFinding::LymphNode, |found, _| {
        listed(found, |one| format!("{} x {} mm", number(&one["long_axis_mm"], 1), number(&one["short_axis_mm"], 1)))
    }),
];

/// With what of its organ was not seen.
fn part_of(findings: &Value, finding: ChestFinding, text: String) -> String {
    let parts = findings["partly_seen"].as_array().map(Vec::as_slice).unwrap_or_default();
    match parts.iter().find(|part| part["finding"] == finding.as_str()) {
        Some(part) => format!("{text}; in the part that was seen ({})", part["reason"].as_str().unwrap_or_default()),
        None => text,
    }
}

/// With the size below which it was not evaluated.
fn least_of(findings: &Value, finding: ChestFinding, text: String) -> String {
    let all = Vec::<LeastSize>::deserialize(&findings["least_sizes"]).unwrap_or_default();
    let Some(least) = all.iter().find(|least| least.finding == finding) else { return text };
    let said = Language::English.words().least_size(least);
    if text.is_empty() { said } else { format!("{text}; {said}") }
}

/// State, text and colour of one finding.
fn line(evaluated: &Value, lobes: &Value, say: Say) -> (&'static str, String, Tone) {
    let Some(found) = evaluated.get("done") else {
        let why = evaluated["not_evaluated"].as_str().unwrap_or("not part of this result");
        let why = why.split_once(" not evaluated: ").map_or(why, |(_, reason)| reason);
        return ("not evaluated", why.to_owned(), Tone::Weak);
    };
    match say(found, lobes) {
        (true, text) => ("found", text, Tone::Strong),
        (false, text) => ("none", text, Tone::Weak),
    }
}

fn say_nodules(found: &Value, _: &Value) -> (bool, String) {
    let all = found.as_array().map(Vec::as_slice).unwrap_or_default();
    let (masses, nodules): (Vec<&Value>, Vec<&Value>) = all.iter().partition(|one| is_mass(one));
    let said = |some: &[&Value], key: &str, words: [&str; 2]| {
        let largest = some.iter().filter_map(|n| n[key].as_f64()).fold(0.0, f64::max);
        let what = words[usize::from(some.len() != 1)];
        (!some.is_empty()).then(|| format!("{} {what}, largest {largest:.1} mm", some.len()))
    };
    let masses = said(&masses, "long_axis_mm", ["mass", "masses"]);
    let nodules = said(&nodules, "diameter_mm", ["nodule", "nodules"]);
    (!all.is_empty(), masses.into_iter().chain(nodules).collect::<Vec<_>>().join("; "))
}

/// Results of older versions have no form: all of theirs are nodules.
fn is_mass(one: &Value) -> bool {
    one["form"] == "mass"
}

fn say_pneumonia(found: &Value, _: &Value) -> (bool, String) {
    let any = |key: &str| found[key].as_array().is_some_and(|regions| !regions.is_empty());
    if !any("ground_glass") && !any("consolidation") {
        return (false, String::new());
    }
    let both = &found["extents"][0];
    if both.is_null() {
        return (true, "shares of the lungs are not known".to_owned());
    }
    let place = both["part"]["lung"].as_str().map_or_else(|| "both lungs".to_owned(), |side| format!("{side} lung"));
    let text = format!(
        "ground glass {} %, consolidation {} % of {place}",
        number(&both["ground_glass_percent"], 1),
        number(&both["consolidation_percent"], 1)
    );
    (true, text)
}

fn say_coronary(found: &Value, _: &Value) -> (bool, String) {
    if let Some(score) = found["score"]["agatston"].as_f64() {
        return (score > 0.0, format!("Agatston score {score:.0}"));
    }
    let ordinal = &found["score"]["ordinal"];
    let grade = ordinal["grade"].as_u64().unwrap_or(0);
    let reason = ordinal["reason"].as_str().unwrap_or_default();
    (grade > 0, format!("grade {grade} of 3 (estimate; no Agatston score: {reason})"))
}

/// Names at most four; the JSON has all.
fn listed(found: &Value, say: impl Fn(&Value) -> String) -> (bool, String) {
    const NAMED: usize = 4;
    let all = found.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = all.iter().take(NAMED).map(say).collect::<Vec<_>>().join("; ");
    if all.len() > NAMED {
        text.push_str(&format!("; {} more", all.len() - NAMED));
    }
    (!all.is_empty(), text)
}

fn side(one: &Value) -> &str {
    one["side"].as_str().unwrap_or_default()
}

/// Both lungs and each nodule then and now; the JSON has each part.
fn comparison(comparison: &Value, output: &Output) -> Result<(), Failure> {
    let date = comparison["prior_study_date"].as_str().unwrap_or_default();
    if comparison["missing"].is_string() {
        output.line(&format!("  An earlier study of {date} is known and was not compared"))?;
    }
    let change = &comparison["changes"][0];
    if !change.is_null() {
        let then_now = |key: &str| format!("{} -> {} %", number(&change[key][0], 1), number(&change[key][1], 1));
        let (ground_glass, consolidation) = (then_now("ground_glass_percent"), then_now("consolidation_percent"));
        output.line(&format!("  Compared with {date}: ground glass {ground_glass}, consolidation {consolidation}"))?;
    }
    for nodule in comparison["nodules"]["changes"].as_array().into_iter().flatten() {
        let [then, now] = [0, 1].map(|i| number(&nodule["volume_mm3"][i], 0));
        let doubling = &nodule["doubling_days"];
        let doubling =
            if doubling.is_null() { String::new() } else { format!(", doubles in {} days", number(doubling, 0)) };
        output.line(&format!(
            "  Nodule {} compared with {date}: {then} -> {now} mm3, {}{doubling}",
            nodule["number"],
            nodule["course"].as_str().unwrap_or_default()
        ))?;
    }
    Ok(())
}

/// A lobe's name; its borders were seen only where the result says so.
fn lobe(lobes: &Value, name: &str) -> String {
    let all = lobes["done"].as_array().map(Vec::as_slice).unwrap_or_default();
    let seen = all.iter().any(|lobe| lobe["name"] == name && lobe["estimated"] == false);
    format!("{} lobe{}", name.replace('_', " "), if seen { "" } else { " (estimated)" })
}

/// Share of each part of the lungs, when there is any pneumonia.
fn parts(findings: &Value, output: &Output) -> Result<(), Failure> {
    let pneumonia = &findings["pneumonia"];
    let found = &pneumonia["done"];
    let extents = found["extents"].as_array().map(Vec::as_slice).unwrap_or_default();
    if extents.is_empty() || !say_pneumonia(found, &Value::Null).0 {
        return Ok(());
    }
    let mut table = output.table(&["Pneumonia in", "Volume", "Ground glass", "Consolidation"]);
    for extent in extents {
        let part = match &extent["part"] {
            Value::String(both) => format!("{both} lungs"),
            part if part["lung"].is_string() => format!("{} lung", part["lung"].as_str().unwrap_or_default()),
            part => lobe(&findings["lobes"], part["lobe"].as_str().unwrap_or_default()),
        };
        table.add_row(vec![
            Cell::new(part),
            Cell::new(format!("{} ml", number(&extent["volume_ml"], 0))),
            Cell::new(format!("{} %", number(&extent["ground_glass_percent"], 1))),
            Cell::new(format!("{} %", number(&extent["consolidation_percent"], 1))),
        ]);
    }
    output.print(table)
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
            // Absent where emphysema was not evaluated.
            Cell::new(lung["laa950_percent"].as_f64().map_or_else(|| "-".into(), |percent| format!("{percent:.1} %"))),
        ]);
    }
    output.print(table)
}

fn nodules(found: &Value, output: &Output) -> Result<(), Failure> {
    let nodules = match evaluated("nodules", found) {
        Ok([]) | Err(_) => return Ok(()), // its line says it
        Ok(nodules) => nodules,
    };
    let mut table = output.table(&["Nodule", "Lung", "Type", "Diameter", "Volume", "Mean", "Confidence", "Slice"]);
    for nodule in nodules {
        table.add_row(vec![
            Cell::new(format!("{}{}", number(&nodule["number"], 0), if is_mass(nodule) { " (mass)" } else { "" })),
            Cell::new(nodule["side"].as_str().unwrap_or_default()),
            Cell::new(nodule["type"].as_str().unwrap_or("-").replace('_', "-")),
            Cell::new(format!(
                "{} mm",
                number(&nodule[if is_mass(nodule) { "long_axis_mm" } else { "diameter_mm" }], 1)
            )),
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
    value.as_f64().map_or_else(|| "-".into(), |value| format!("{:.decimals$}", Number(value)))
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
    fn each_finding_is_found_or_not_or_says_why_not() {
        let said = |json: Value, at: usize| line(&json, &Value::Null, say(ChestFinding::ALL[at]));
        let found = said(serde_json::json!({ "done": [{ "side": "left", "rib": 6 }] }), 2);
        assert_eq!((found.0, found.1.as_str()), ("found", "left rib 6"));
        assert_eq!(said(serde_json::json!({ "done": [] }), 5).0, "none");
        let why = said(serde_json::json!({ "not_evaluated": "emphysema not evaluated: sharp kernel" }), 3);
        assert_eq!((why.0, why.1.as_str()), ("not evaluated", "sharp kernel"));
        let grade = serde_json::json!({ "done": { "score": { "ordinal": { "grade": 2, "reason": "not gated" } } } });
        assert_eq!(said(grade, 7).1, "grade 2 of 3 (estimate; no Agatston score: not gated)");
        assert_eq!(said(Value::Null, 0).0, "not evaluated");
    }

    #[test]
    fn masses_and_least_sizes_are_said_as_they_are_in_the_report() {
        let one = |form: &str, long: f64| serde_json::json!({ "form": form, "long_axis_mm": long, "diameter_mm": 9.0 });
        let all = serde_json::json!({ "done": [one("mass", 44.5), one("nodule", 11.0)] });
        let said = line(&all, &Value::Null, say(ChestFinding::Nodule));
        assert_eq!(said.1, "1 mass, largest 44.5 mm; 1 nodule, largest 9.0 mm");
        let least = serde_json::json!({ "least_sizes": [{ "finding": "nodule", "size": 10.0, "unit": "mm", "slice_mm": 5.0 }] });
        let of = |finding| least_of(&least, finding, String::new());
        assert_eq!(of(ChestFinding::Nodule), "smaller than 10 mm not evaluated at this spacing (5.0 mm)");
        assert_eq!(of(ChestFinding::Pneumothorax), "");
    }

    #[test]
    fn a_finding_without_words_here_is_counted_and_not_left_out() {
        assert_eq!(say_any(&serde_json::json!([{}, {}]), &Value::Null), (true, "2".into()));
        assert_eq!(say_any(&serde_json::json!([]), &Value::Null), (false, String::new()));
        assert_eq!(say_any(&serde_json::json!({ "percent": 3 }), &Value::Null), (true, "see the report".into()));
    }

    #[test]
    fn times_are_readable() {
        let timings = serde_json::json!([["lungs", 812.4], ["inference", 12300.0]]);
        assert_eq!(times(&timings), "lungs 812 ms, inference 12.3 s");
    }
}
