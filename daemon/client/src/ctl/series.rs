//! `series`, and the series of `studies show`.

use comfy_table::Cell;

use super::failure::Failure;
use super::output::{Output, state_cell};
use super::studies;
use crate::{ManagerProxy, Options, Series};

pub async fn list(
    manager: &ManagerProxy<'_>,
    limit: u32,
    study: Option<String>,
    state: Option<String>,
    output: &Output,
) -> Result<(), Failure> {
    let study_uid = match &study {
        Some(which) => Some(studies::find(manager, which).await?.study_uid),
        None => None,
    };
    let fetch = async |limit: u32| {
        let mut options = Options::from([("limit", limit.into())]);
        if let Some(uid) = &study_uid {
            options.insert("study_uid", uid.as_str().into());
        }
        if let Some(state) = &state {
            options.insert("state", state.as_str().into());
        }
        manager.list_series(options).await
    };
    let series = output.newest(limit, fetch).await?;
    if output.is_json() { output.json(&series) } else { print(&series, false, output) }
}

/// `patients`: with the patient of each series, where a study holds more than one.
pub fn print(series: &[Series], patients: bool, output: &Output) -> Result<(), Failure> {
    if series.is_empty() {
        return output.line("No series.");
    }
    let mut heads = vec!["Series", "Description", "Kind", "Images", "State", "Verdict"];
    if patients {
        heads.insert(1, "Patient");
    }
    let mut table = output.table(&heads);
    for one in series {
        let mut cells = vec![
            Cell::new(one.series_number.map_or_else(|| "-".to_owned(), |number| number.to_string())),
            Cell::new(&one.description),
            Cell::new(one.kind.replace('_', " ")),
            Cell::new(one.instance_count),
            state_cell(&one.state),
            Cell::new(one.verdict.as_deref().unwrap_or_default()),
        ];
        if patients {
            cells.insert(1, Cell::new(studies::patient(&one.patient_id, &one.patient_name)));
        }
        table.add_row(cells);
    }
    output.print(table)
}
