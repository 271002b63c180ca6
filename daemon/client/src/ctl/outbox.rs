//! `outbox list`, `retry`, `park` and `drop`, and the deliveries of `studies show`.

use comfy_table::Cell;

use super::failure::Failure;
use super::output::{Output, count, state_cell};
use super::time;
use crate::{Delivery, ManagerProxy, Options};

pub async fn list(
    manager: &ManagerProxy<'_>,
    limit: u32,
    all: bool,
    destination: Option<String>,
    output: &Output,
) -> Result<(), Failure> {
    let states: &[Option<&str>] = if all { &[None] } else { &[Some("pending"), Some("held"), Some("parked")] };
    let mut deliveries = Vec::new();
    for state in states {
        let fetch = async |limit: u32| {
            let mut options = Options::from([("limit", limit.into())]);
            if let Some(state) = *state {
                options.insert("state", state.into());
            }
            if let Some(destination) = &destination {
                options.insert("destination", destination.as_str().into());
            }
            manager.list_deliveries(options).await
        };
        deliveries.extend(output.newest(limit, fetch).await?);
    }
    if output.is_json() { output.json(&deliveries) } else { print(&deliveries, output) }
}

pub fn print(deliveries: &[Delivery], output: &Output) -> Result<(), Failure> {
    if deliveries.is_empty() {
        return output.line("No results are waiting.");
    }
    let mut table = output.table(&["No", "To", "Result", "State", "Attempts", "When", "Reason"]);
    for one in deliveries {
        let when = match (&one.delivered_utc, one.state.as_str()) {
            (Some(delivered), _) => time::local(delivered),
            (None, "pending") => format!("next {}", time::local(&one.next_utc)),
            _ => String::new(),
        };
        table.add_row(vec![
            Cell::new(one.path.as_str().rsplit('/').next().unwrap_or_default()),
            Cell::new(&one.destination),
            Cell::new(one.kind.to_uppercase()),
            state_cell(&one.state),
            Cell::new(one.attempts),
            Cell::new(when),
            Cell::new(reason(one)),
        ]);
    }
    output.print(table)
}

/// With the DIMSE status of the last answer, unless that was success, and what became of storage commitment.
fn reason(delivery: &Delivery) -> String {
    let reason = delivery.reason.clone().unwrap_or_default();
    let reason = match delivery.status {
        Some(status) if status != 0 && !reason.is_empty() => format!("{reason} (status 0x{status:04X})"),
        Some(status) if status != 0 => format!("status 0x{status:04X}"),
        _ => reason,
    };
    let commitment = match delivery.commitment.as_deref() {
        Some("committed") => "the archive has promised to keep it",
        Some("wanted" | "asked") => "its storage commitment is awaited",
        Some("unanswered") => "the archive has not answered whether it keeps it",
        _ => "",
    };
    [reason.as_str(), commitment].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

pub async fn retry(manager: &ManagerProxy<'_>, destination: Option<&str>, output: &Output) -> Result<(), Failure> {
    let deliveries = manager.retry_deliveries(destination.unwrap_or_default()).await?;
    if output.is_json() {
        return output.json(&serde_json::json!({ "deliveries": deliveries }));
    }
    let now = if deliveries == 1 { "is tried now" } else { "are tried now" };
    output.line(&format!("{} {now}.", count(deliveries, "delivery", "deliveries")))
}

/// Retries, parks or drops one delivery.
pub async fn change(manager: &ManagerProxy<'_>, delivery: i64, change: &str, output: &Output) -> Result<(), Failure> {
    manager.change_delivery(delivery, change).await?;
    if output.is_json() {
        return output.json(&serde_json::json!({ "delivery": delivery, "change": change }));
    }
    output.line(&match change {
        "retry" => format!("Delivery {delivery} is tried now."),
        "park" => format!("Delivery {delivery} is parked: it waits until you ask for it."),
        _ => format!("Delivery {delivery} is dropped: it is never sent."),
    })
}
