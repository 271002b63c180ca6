//! `clock`: the time of this box, whether it is to be believed, and how it compares with what the scanners send. Reads only.

use comfy_table::Cell;
use serde::Serialize;

use super::examine::{self, Place};
use super::failure::Failure;
use super::output::{Output, Tone, field, toned_cell};
use super::time;
use crate::doctor::clock::{days_ahead, distrust};
use crate::doctor::facts::{Bus, Clock};
use crate::doctor::text::{Language, Text};

/// As `clock --json` prints it.
#[derive(Serialize)]
struct Answer<'a> {
    now_utc: &'a str,
    trusted: bool,
    /// Why not.
    reason: Option<Text>,
    #[serde(flatten)]
    clock: &'a Clock,
    scanners: Vec<Scanner<'a>>,
}

#[derive(Serialize)]
struct Scanner<'a> {
    ae_title: &'a str,
    address: &'a str,
    last_utc: &'a str,
    last_study_date: &'a str,
    /// Of its last study, compared with the day on which it came.
    days_ahead: Option<i32>,
}

pub async fn run(place: &Place, language: Language, output: &Output) -> Result<(), Failure> {
    let facts = examine::clock(place).await;
    let reason = distrust(&facts);
    let scanners = facts.sent.iter().map(|sender| Scanner {
        ae_title: &sender.calling_ae,
        address: &sender.address,
        last_utc: &sender.last_utc,
        last_study_date: &sender.last_study_date,
        days_ahead: days_ahead(sender),
    });
    let answer = Answer {
        now_utc: &facts.now_utc,
        trusted: reason.is_none(),
        reason,
        clock: &facts.clock,
        scanners: scanners.collect(),
    };
    if output.is_json() {
        return output.json(&answer);
    }
    print(&answer, language, output)?;
    if facts.bus != Bus::Answers {
        output.line("The daemon does not answer: what the scanners sent and what was written last is not known.")?;
    }
    Ok(())
}

fn print(answer: &Answer<'_>, language: Language, output: &Output) -> Result<(), Failure> {
    let said = |is: Option<bool>| is.map_or("not known", |is| if is { "yes" } else { "no" });
    let when = |utc: &Option<String>| utc.as_deref().map_or_else(|| "not known".to_owned(), time::local_seconds);
    let mut table = output.table(&[]);
    field(&mut table, "Time", format!("{}  ({} UTC)", time::local_seconds(answer.now_utc), answer.now_utc));
    let trusted = match &answer.reason {
        None => toned_cell("yes", Tone::Good),
        Some(reason) => toned_cell(&format!("no: {}", reason.in_language(language)), Tone::Busy),
    };
    field(&mut table, "Time zone", answer.clock.zone.as_deref().unwrap_or("not known"));
    field(&mut table, "Trusted", trusted);
    field(&mut table, "Set by a time server", said(answer.clock.synchronised));
    field(&mut table, "Runs without power", said(answer.clock.has_rtc));
    field(&mut table, "Last written here", when(&answer.clock.newest_row_utc));
    field(&mut table, "Software is from", when(&answer.clock.program_utc));
    output.print(table)?;
    if !answer.scanners.is_empty() {
        output.line("")?;
        let mut table = output.table(&["Scanner", "Last study", "Came", "Ahead of this box"]);
        for scanner in &answer.scanners {
            let ahead = match scanner.days_ahead {
                None => "not known".to_owned(),
                Some(1) => "1 day".to_owned(),
                Some(days) if days > 0 => format!("{days} days"),
                Some(0) => "same day".to_owned(),
                Some(_) => "no (an older study)".to_owned(),
            };
            table.add_row(vec![
                Cell::new(format!("{} at {}", scanner.ae_title, scanner.address)),
                Cell::new(time::date(scanner.last_study_date)),
                Cell::new(time::local(scanner.last_utc)),
                Cell::new(ahead),
            ]);
        }
        output.print(table)?;
    }
    output.line("")?;
    output.line(
        "On it depend: dates of certificates (judged only while it is trusted), ages (retention, pauses of deliveries), times in \
         results and in the audit trail.",
    )
}
