//! `quarantine list`.

use comfy_table::Cell;

use super::failure::Failure;
use super::output::{Output, bytes, state_cell};
use super::time;
use crate::{ManagerProxy, Options};

pub async fn list(manager: &ManagerProxy<'_>, limit: u32, output: &Output) -> Result<(), Failure> {
    let fetch = async |limit: u32| manager.list_quarantine(Options::from([("limit", limit.into())])).await;
    let instances = output.newest(limit, fetch).await?;
    if output.is_json() {
        return output.json(&instances);
    }
    if instances.is_empty() {
        return output.line("Nothing is quarantined.");
    }
    let mut table = output.table(&["No", "Received", "From", "Size", "State", "Reason"]);
    for one in &instances {
        table.add_row(vec![
            Cell::new(one.id),
            Cell::new(time::local(&one.received_utc)),
            Cell::new(format!("{} {}", one.calling_ae, one.peer_address)),
            Cell::new(bytes(one.length)),
            state_cell(&one.state),
            Cell::new(&one.reason),
        ]);
    }
    output.print(table)
}
