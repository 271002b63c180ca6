//! `live worklist`: who is expected.

use comfy_table::Cell;

use super::failure::Failure;
use super::output::Output;
use super::time;
use crate::{Expected, LiveProxy, WorklistServer};

pub async fn list(live: &LiveProxy<'_>, output: &Output) -> Result<(), Failure> {
    let (entries, skipped) = live.worklist().await?;
    if let Some(server) = WorklistServer::read(live).await {
        output.note(&served(&server));
    }
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

/// How current the list of the server is: `worklist of 2026-01-31 08:12, the server cannot be reached: ...`.
pub fn served(server: &WorklistServer) -> String {
    let list = match &server.answered_utc {
        Some(utc) => format!("worklist of {}", time::local(utc)),
        None => "no worklist yet".into(),
    };
    match &server.trouble {
        Some(trouble) => format!("{}: {list}, {trouble}", server.name),
        None => format!("{}: {list}", server.name),
    }
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
    fn people_see_of_when_a_list_is_and_why_there_is_no_newer_one() {
        let utc = "2026-01-31T08:12:00.000Z";
        let mut server = WorklistServer { name: "RIS@ris:104".into(), answered_utc: Some(utc.into()), trouble: None };
        assert_eq!(served(&server), format!("RIS@ris:104: worklist of {}", time::local(utc)));
        server.trouble = Some("the server cannot be reached: no route".into());
        assert!(served(&server).ends_with(", the server cannot be reached: no route"), "{}", served(&server));
        server.answered_utc = None;
        assert!(served(&server).contains("no worklist yet, the server"), "{}", served(&server));
    }

    #[test]
    fn an_appointment_is_shown_as_far_as_it_is_known() {
        let of =
            |date: &str, time: &str| when(&Expected { date: date.into(), time: time.into(), ..Expected::default() });
        assert_eq!(of("20260131", "093000"), "2026-01-31 09:30");
        assert_eq!((of("20260131", ""), of("", "09"), of("", "")), ("2026-01-31".into(), "09".into(), String::new()));
    }
}
