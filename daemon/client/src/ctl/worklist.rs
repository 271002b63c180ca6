//! `live worklist`: who is expected.

use comfy_table::Cell;

use super::failure::Failure;
use super::output::Output;
use super::time;
use crate::{Expected, LiveProxy};

pub async fn list(live: &LiveProxy<'_>, output: &Output) -> Result<(), Failure> {
    let (entries, skipped) = live.worklist().await?;
    // Also beside JSON: whoever is missing is missing there too.
    for reason in &skipped {
        output.note(&format!("left out: {reason}"));
    }
    if output.is_json() {
        return output.json(&entries);
    }
    if entries.is_empty() {
        return output.line("No patient is on the worklist.");
    }
    let mut table = output.table(&["When", "Accession", "Patient", "Id", "Born", "Modality", "What"]);
    for entry in &entries {
        table.add_row(vec![
            Cell::new(when(entry)),
            Cell::new(&entry.accession_number),
            Cell::new(&entry.patient_name),
            Cell::new(&entry.patient_id),
            Cell::new(time::date(&entry.birth_date)),
            Cell::new(&entry.modality),
            Cell::new(&entry.description),
        ]);
    }
    output.print(table)
}

/// `2026-01-31 09:30`.
fn when(entry: &Expected) -> String {
    let clock = match (entry.time.get(..2), entry.time.get(2..4)) {
        (Some(hours), Some(minutes)) => format!("{hours}:{minutes}"),
        _ => entry.time.clone(),
    };
    format!("{} {clock}", time::date(&entry.date)).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_appointment_is_shown_as_far_as_it_is_known() {
        let of =
            |date: &str, time: &str| when(&Expected { date: date.into(), time: time.into(), ..Expected::default() });
        assert_eq!(of("20260131", "093000"), "2026-01-31 09:30");
        assert_eq!((of("20260131", ""), of("", "09"), of("", "")), ("2026-01-31".into(), "09".into(), String::new()));
    }
}
