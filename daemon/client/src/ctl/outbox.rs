//! `outbox list`, `retry`, `park` and `drop`, and the deliveries of `studies show`.

use comfy_table::Cell;

use super::failure::Failure;
use super::output::{Output, count, state_cell};
use super::time;
use crate::{Delivery, ManagerProxy, Options};

/// The states of what is not at its destination and may still be sent.
const WAITING: [Option<&str>; 3] = [Some("pending"), Some("held"), Some("parked")];
/// The daemon lists no more at once.
const MOST: u32 = 10_000;

pub async fn list(
    manager: &ManagerProxy<'_>,
    limit: u32,
    all: bool,
    destination: Option<String>,
    output: &Output,
) -> Result<(), Failure> {
    let states: &[Option<&str>] = if all { &[None] } else { &WAITING };
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

/// Drops all that waits for one destination, one delivery after the other: each is in the audit trail.
pub async fn drop_all(manager: &ManagerProxy<'_>, destination: &str, output: &Output) -> Result<(), Failure> {
    let mut dropped = 0u64;
    for state in WAITING.into_iter().flatten() {
        loop {
            let options =
                Options::from([("limit", MOST.into()), ("state", state.into()), ("destination", destination.into())]);
            let waiting = manager.list_deliveries(options).await?;
            for one in &waiting {
                let number = one.path.as_str().rsplit('/').next().and_then(|number| number.parse().ok());
                manager.change_delivery(number.unwrap_or_default(), "drop").await?;
                dropped += 1;
            }
            if waiting.len() < MOST as usize {
                break;
            }
        }
    }
    if output.is_json() {
        return output
            .json(&serde_json::json!({ "destination": destination, "deliveries": dropped, "change": "drop" }));
    }
    let are = if dropped == 1 { "is dropped: it is never sent" } else { "are dropped: they are never sent" };
    output.line(&format!("{} for {destination} {are}.", count(dropped, "delivery", "deliveries")))
}
