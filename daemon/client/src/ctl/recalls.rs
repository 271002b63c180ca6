//! `recalls`: who is to come again, what is due and overdue; and the list for other programs.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use comfy_table::Cell;
use hal::clock::{now_utc, today};
use jiff::ToSpan;
use jiff::civil::Date;
use models::lesion::due::Standing;
use models::lesion::entry::Entry;
use models::lesion::sighting::Place;
use serde_json::Value;
use study::lesions::export::{csv, fhir};
use study::lesions::listed::RecallRow;

use super::failure::Failure;
use super::lesions::args::{RecallsCommand, Which};
use super::lesions::{Suggestion, enter, place, unreadable, who};
use super::output::{Output, count, state_cell};
use crate::{ManagerProxy, Options};

pub async fn run(manager: &ManagerProxy<'static>, command: RecallsCommand, output: &Output) -> Result<(), Failure> {
    match command {
        RecallsCommand::List { patient, overdue, which } => {
            let rows = rows(manager, patient.as_deref(), &which).await?;
            // One that is of another patient now waits for a person, too.
            let waits = |row: &RecallRow| matches!(row.standing, Standing::Overdue | Standing::Moved);
            list(rows.into_iter().filter(|row| !overdue || waits(row)).collect(), output)
        }
        RecallsCommand::Set { lesion, due, after, suggested, modality, why, by } => {
            let (mut modality, mut rule) = (modality.to_uppercase(), String::new());
            let due = match (due, after) {
                (Some(due), _) => due,
                (None, Some(interval)) => interval.after(today()),
                (None, None) => {
                    debug_assert!(suggested, "clap wants one of the three");
                    let found = suggestion(manager, lesion).await?;
                    rule = found.rule;
                    modality = if modality.is_empty() { found.modality } else { modality };
                    // What should have been by now is for the next day.
                    let tomorrow = today().saturating_add(1.day());
                    found.due.parse().map_or(tomorrow, |due: Date| due.max(tomorrow))
                }
            };
            enter(manager, &by.by, &Entry::Recall { lesion, due, modality, why, rule }, output).await
        }
        RecallsCommand::Done { recall, date, by } => {
            let date = date.unwrap_or_else(today);
            enter(manager, &by.by, &done(recall, date), output).await
        }
        RecallsCommand::Cancel { recall, reason, by } => {
            enter(manager, &by.by, &Entry::Cancel { recall, reason }, output).await
        }
        RecallsCommand::Export { csv: as_csv, fhir: as_fhir, which } => {
            let rows = rows(manager, None, &which).await?;
            let (path, text) = match (&as_csv, &as_fhir) {
                (Some(path), _) => (path, csv::written(&rows)),
                (None, Some(path)) => (path, format!("{:#}\n", fhir::bundle(&rows, &now_utc()))),
                (None, None) => return Ok(()),
            };
            write(path, &text, rows.len(), output)
        }
    }
}

fn done(recall: u64, date: Date) -> Entry {
    Entry::Done { recall, date, study_uid: String::new(), source: String::new() }
}

async fn suggestion(manager: &ManagerProxy<'static>, lesion: u64) -> Result<Suggestion, Failure> {
    let json = manager.show_lesion(lesion).await?;
    let shown: Value = serde_json::from_str(&json).map_err(|error| unreadable(&error))?;
    serde_json::from_value(shown["suggestion"].clone()).map_err(|_| {
        let text = format!("there is no published rule for lesion {lesion} that may be used here");
        Failure::new(text, "choose the day: --due DATE or --in INTERVAL")
    })
}

async fn rows(
    manager: &ManagerProxy<'static>,
    patient: Option<&str>,
    which: &Which,
) -> Result<Vec<RecallRow>, Failure> {
    let mut options = Options::from([("all", which.all.into())]);
    let on = which.on.map(|on| on.to_string());
    if let Some(on) = &on {
        options.insert("on", on.as_str().into());
    }
    if let Some(patient) = patient {
        options.insert("patient", patient.into());
    }
    let json = manager.list_recalls(options).await?;
    serde_json::from_str(&json).map_err(|error| unreadable(&error))
}

fn list(rows: Vec<RecallRow>, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&rows);
    }
    if rows.is_empty() {
        return output.line("No recall is open.");
    }
    let mut table = output.table(&["Recall", "State", "Due", "Days", "Patient", "Lesion", "Where", "Modality", "Why"]);
    for row in &rows {
        let at = Place { side: row.side, clock: row.clock, distance_mm: row.distance_mm, in_view: None };
        let days = match row.standing {
            Standing::Done | Standing::Cancelled => String::new(),
            _ => row.days.to_string(),
        };
        table.add_row(vec![
            Cell::new(row.id),
            state_cell(row.standing.as_str()),
            Cell::new(row.due),
            Cell::new(days),
            Cell::new(who(&row.person)),
            Cell::new(row.lesion),
            Cell::new(place(&at)),
            Cell::new(&row.modality),
            Cell::new(if row.reason.is_empty() { &row.why } else { &row.reason }),
        ]);
    }
    output.print(table)?;
    for row in &rows {
        if let Some(came) = &row.came {
            let (recall, date) = (row.id, came.date);
            output.line(&format!(
                "Recall {recall}: an exam of {date} may be the one: `recalls done {recall} --date {date}`, or `lesions withdraw {}`",
                came.line
            ))?;
        }
    }
    Ok(())
}

/// The list names patients: only who writes it may read it.
fn write(path: &Path, text: &str, recalls: usize, output: &Output) -> Result<(), Failure> {
    if path == Path::new("-") {
        return output.raw(text);
    }
    super::keep_private();
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| {
        let text = format!("{} cannot be written: {error}", path.display());
        Failure::new(text, "choose a file that does not exist, in a folder that you may write")
    })?;
    let recalls = u32::try_from(recalls).unwrap_or(u32::MAX);
    if output.is_json() {
        return output.json(&serde_json::json!({ "file": path, "recalls": recalls }));
    }
    output.line(&format!("{} in {}.", count(recalls, "recall", "recalls"), path.display()))
}
