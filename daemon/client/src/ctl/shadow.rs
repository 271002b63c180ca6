//! `models shadow`: where a candidate package differed from the active one.

use comfy_table::Cell;
use serde_json::Value;

use super::failure::Failure;
use super::output::Output;
use super::time;
use crate::{ManagerProxy, Options, ShadowRun};

pub async fn list(manager: &ManagerProxy<'_>, limit: u32, output: &Output) -> Result<(), Failure> {
    let fetch = async |limit: u32| manager.list_shadow_runs(Options::from([("limit", limit.into())])).await;
    let runs = output.newest(limit, fetch).await?;
    if output.is_json() {
        return output.json(&runs.iter().map(unpacked).collect::<Vec<_>>());
    }
    if runs.is_empty() {
        return output.line("No shadow runs. Begin with `scansidectl models shadow PACKAGE`, then send a study.");
    }
    let mut table = output.table(&["When", "Active", "Candidate", "Time", "Differs", "Where"]);
    for run in &runs {
        table.add_row(vec![
            Cell::new(time::local(&run.utc)),
            Cell::new(&run.active),
            Cell::new(&run.candidate),
            Cell::new(format!("{:.1} s : {:.1} s", run.active_ms / 1e3, run.candidate_ms / 1e3)),
            Cell::new(run.differing),
            Cell::new(run.failure.clone().unwrap_or_else(|| differences(&run.differences))),
        ]);
    }
    output.print(table)
}

/// With the differences as JSON instead of text.
fn unpacked(run: &ShadowRun) -> Value {
    let mut value = serde_json::to_value(run).unwrap_or_default();
    value["differences"] = serde_json::from_str(&run.differences).unwrap_or_default();
    value
}

/// `nodule 2 : 1, 8.0 : 7.1 (largest diameter, mm)`, active first.
fn differences(json: &str) -> String {
    let all: Vec<Value> = serde_json::from_str(json).unwrap_or_default();
    let differing = all.iter().filter(|one| one["differs"] == true);
    let side = |said: &Value, name: &str| match (&said["evaluated"], said[name].as_f64()) {
        (Value::Bool(false), _) => "not evaluated".to_owned(),
        (_, None) => "-".to_owned(),
        (_, Some(value)) if name == "count" => format!("{value}"),
        (_, Some(value)) => format!("{value:.1}"),
    };
    let words = differing.map(|one| {
        let both = |name: &str| format!("{} : {}", side(&one["active"], name), side(&one["candidate"], name));
        let finding = one["finding"].as_str().unwrap_or_default().replace('_', " ");
        format!("{finding} {}, {} ({})", both("count"), both("number"), one["number"].as_str().unwrap_or_default())
    });
    words.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_said_with_the_active_first() {
        let json = r#"[{"finding":"lymph_node","number":"largest short axis, mm","differs":true,
            "active":{"evaluated":true,"count":2,"number":12.04},"candidate":{"evaluated":true,"count":0,"number":null}},
            {"finding":"nodule","number":"","differs":false,"active":{},"candidate":{}}]"#;
        assert_eq!(differences(json), "lymph node 2 : 0, 12.0 : - (largest short axis, mm)");
    }
}
