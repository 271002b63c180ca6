//! `journal STUDY`: what happened to it, in order.

use comfy_table::Cell;

use super::failure::Failure;
use super::output::{Output, state_cell};
use super::{studies, time};
use crate::{ManagerProxy, Options};

pub async fn run(manager: &ManagerProxy<'_>, which: &str, output: &Output) -> Result<(), Failure> {
    let study = studies::find(manager, which).await?;
    let events = manager.list_events(Options::from([("study_uid", study.study_uid.as_str().into())])).await?;
    if output.is_json() {
        return output.json(&serde_json::json!({ "study_uid": study.study_uid, "events": events }));
    }
    let mut table = output.table(&["Time", "About", "What", "Why"]);
    for event in &events {
        table.add_row(vec![
            Cell::new(time::local_seconds(&event.utc)),
            Cell::new(event.subject.replace('/', " ")),
            state_cell(&event.what),
            Cell::new(&event.detail),
        ]);
    }
    output.print(table)
}
