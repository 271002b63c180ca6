//! `audit`: who did what; whether the rows fit; the rows as DICOM audit messages.

mod message;

use std::io::Write;
use std::path::Path;

use comfy_table::Cell;
use jiff::Zoned;

use super::args::{AuditCommand, AuditOptions};
use super::failure::Failure;
use super::output::{Output, count};
use super::{export, time};
use crate::{Audited, ManagerProxy, Options};

pub async fn run(manager: &ManagerProxy<'_>, options: &AuditOptions, output: &Output) -> Result<(), Failure> {
    let since = options.since.as_deref().map(|since| export::moment(since, &Zoned::now())).transpose()?;
    // As the rows have it, with milliseconds.
    let since = since.map(|since| format!("{since:.3}"));
    let page = async |limit: u32, before: u64| {
        let mut options = Options::from([("limit", limit.into()), ("before", before.into())]);
        if let Some(since) = &since {
            options.insert("since_utc", since.as_str().into());
        }
        manager.list_audit(options).await
    };
    let fetch = async |limit: u32| all(limit, &page).await;
    match &options.command {
        // It takes as many calls as it needs.
        None if options.limit == 0 => list(&fetch(0).await?, output),
        None => list(&output.newest(options.limit, fetch).await?, output),
        Some(AuditCommand::Verify) => verify(manager, output).await,
        Some(AuditCommand::Export { dicom }) => write(dicom, fetch(0).await?, output),
    }
}

/// The newest `limit` rows (0: all), in as many calls as it takes; `page` gives rows with numbers below a number.
async fn all<E>(limit: u32, page: &impl AsyncFn(u32, u64) -> Result<Vec<Audited>, E>) -> Result<Vec<Audited>, E> {
    let most = if limit == 0 { usize::MAX } else { limit as usize };
    let (mut rows, mut before) = (Vec::new(), u64::MAX);
    while rows.len() < most {
        let wanted = u32::try_from(most - rows.len()).unwrap_or(0);
        let more = page(wanted, before).await?;
        let Some(least) = more.iter().map(|row| row.number).min() else { break };
        before = least;
        rows.extend(more);
    }
    Ok(rows)
}

fn list(rows: &[Audited], output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&rows);
    }
    let mut table = output.table(&["No", "Time", "Who", "What", "Object", "Result"]);
    for row in rows {
        table.add_row(vec![
            Cell::new(row.number),
            Cell::new(time::local_seconds(&row.utc)),
            Cell::new(&row.who),
            Cell::new(&row.what),
            Cell::new(&row.object),
            Cell::new(&row.result),
        ]);
    }
    output.print(table)
}

async fn verify(manager: &ManagerProxy<'_>, output: &Output) -> Result<(), Failure> {
    let (rows, first, last_hash, faulty, fault) = manager.verify_audit().await?;
    if output.is_json() {
        let fault = (faulty > 0).then(|| serde_json::json!({ "number": faulty, "what": fault }));
        output.json(&serde_json::json!({ "rows": rows, "first": first, "last_hash": last_hash, "fault": fault }))?;
    }
    if faulty > 0 {
        let remedy = "somebody or a fault of the disk has changed the audit trail: keep the folder `audit` beside the \
                      database as it is, and compare with what was exported before";
        return Err(Failure::new(format!("row {faulty} does not fit: {fault}"), remedy));
    }
    if output.is_json() {
        return Ok(());
    }
    output.line(&format!("{} fit, from number {first} on.", count(rows, "row", "rows")))?;
    output.line(&format!(
        "The last hash is {last_hash}; written down elsewhere, it shows later whether rows were cut off."
    ))
}

fn write(file: &Path, mut rows: Vec<Audited>, output: &Output) -> Result<(), Failure> {
    rows.reverse();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let text: String = rows.iter().map(|row| message::of(row, host.trim()) + "\n").collect();
    let write = || {
        let mut new = std::fs::File::create_new(file)?;
        new.write_all(text.as_bytes())?;
        new.sync_all()
    };
    write().map_err(|error: std::io::Error| {
        Failure::new(format!("{}: {error}", file.display()), "name a file that is not there yet, where you may write")
    })?;
    if output.is_json() {
        return output.json(&serde_json::json!({ "messages": rows.len() }));
    }
    output.line(&format!("{} written to {}.", count(rows.len() as u64, "message", "messages"), file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64) -> Audited {
        let text = String::new;
        Audited {
            number,
            utc: text(),
            who: text(),
            what: text(),
            object: text(),
            result: text(),
            previous: text(),
            hash: text(),
        }
    }

    /// A call gives 10,000 rows at most, whatever it is asked for.
    #[tokio::test]
    async fn all_rows_are_fetched_however_few_a_call_gives() {
        let page = async |limit: u32, before: u64| {
            let most = if limit == 0 { 10_000 } else { limit.min(10_000) };
            Ok::<_, ()>((1..=25_000).rev().filter(|number| *number < before).take(most as usize).map(row).collect())
        };
        let numbers = |rows: Vec<Audited>| rows.iter().map(|row| row.number).collect::<Vec<_>>();
        assert_eq!(numbers(all(0, &page).await.unwrap()), (1..=25_000).rev().collect::<Vec<_>>());
        assert_eq!(numbers(all(12_000, &page).await.unwrap()), (13_001..=25_000).rev().collect::<Vec<_>>());
        assert_eq!(numbers(all(3, &page).await.unwrap()), [25_000, 24_999, 24_998]);
    }
}
