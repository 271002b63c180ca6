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
    let fetch = async |limit: u32| {
        let mut options = Options::from([("limit", limit.into())]);
        if let Some(since) = &since {
            options.insert("since_utc", since.as_str().into());
        }
        manager.list_audit(options).await
    };
    match &options.command {
        None => list(&output.newest(options.limit, fetch).await?, output),
        Some(AuditCommand::Verify) => verify(manager, output).await,
        Some(AuditCommand::Export { dicom }) => write(dicom, fetch(0).await?, output),
    }
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
