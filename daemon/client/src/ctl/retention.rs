//! `retention`: what is kept, how long and why, and what goes next; `hold` and `release` of a study.

pub mod args;

use std::collections::HashMap;

use comfy_table::{Cell, CellAlignment};
use custody::retention::{Because, Besides, Forecast, Hold, Kept, Next, Other, Policy, Retention, What, Why};

use self::args::{RetentionCommand, RetentionOptions};
use super::failure::Failure;
use super::output::{Output, Tone, bytes, field, toned_cell};
use super::{every, studies, time};
use crate::{ManagerProxy, Options, Study};

pub async fn run(manager: &ManagerProxy<'_>, options: &RetentionOptions, output: &Output) -> Result<(), Failure> {
    match &options.command {
        Some(RetentionCommand::Hold { study, reason }) => hold(manager, study, Some(reason), output).await,
        Some(RetentionCommand::Release { study }) => hold(manager, study, None, output).await,
        None => show(manager, options, output).await,
    }
}

async fn hold(manager: &ManagerProxy<'_>, which: &str, reason: Option<&str>, output: &Output) -> Result<(), Failure> {
    let study = studies::find(manager, which).await?;
    let uid = study.study_uid.as_str();
    let changed = match reason {
        Some(reason) => manager.hold_study(uid, reason).await?,
        None => manager.release_study(uid).await?,
    };
    if output.is_json() {
        let held = reason.is_some();
        return output.json(&serde_json::json!({ "study_uid": uid, "held": held, "changed": changed }));
    }
    let number = studies::number(&study);
    output.line(&match (reason, changed) {
        (Some(_), true) => format!("Study {number} is kept until `scansidectl retention release {number}`."),
        (Some(_), false) => format!("Study {number} is kept for this reason already."),
        (None, true) => format!("Study {number} may be evicted again when its turn comes."),
        (None, false) => format!("Study {number} is not held."),
    })
}

async fn show(manager: &ManagerProxy<'_>, options: &RetentionOptions, output: &Output) -> Result<(), Failure> {
    let most = if options.plan { options.limit } else { 1 };
    let json = manager.show_retention(Options::from([("limit", most.into())])).await?;
    let told: Retention = serde_json::from_str(&json).map_err(|error| {
        Failure::new(format!("the answer cannot be read: {error}"), "are scansidectl and scansided of one version?")
    })?;
    if output.is_json() {
        if options.plan {
            return output.json(&serde_json::json!({ "next": told.next, "next_left_out": told.next_left_out }));
        }
        return output.json(&told);
    }
    let all = every::studies(manager, &Options::new()).await?;
    let names = all.into_iter().map(|study| (study.study_uid.clone(), study)).collect();
    if options.plan { print_plan(&told, &names, output) } else { print(&told, &names, output) }
}

type Names = HashMap<String, Study>;

fn print(told: &Retention, names: &Names, output: &Output) -> Result<(), Failure> {
    let Policy { evict_below_bytes, min_free_bytes, keep_days, ages_count, .. } = told.policy;
    let mut table = output.table(&[]);
    let until = bytes(evict_below_bytes);
    field(
        &mut table,
        "Kept",
        format!(
            "until less than {until} are free (spool.evict_below_mib); then the oldest go first, with their results"
        ),
    );
    if keep_days > 0 {
        let but = if ages_count { "" } else { "; not yet, the clock must go for an hour without a jump first" };
        field(&mut table, "At most", format!("{keep_days} days (spool.keep_days){but}"));
    }
    field(
        &mut table,
        "Never evicted",
        "what has no verdict yet, waits with a job that is parked, is not delivered, or is not committed by an archive that is asked; what a person holds",
    );
    field(
        &mut table,
        "Refused",
        format!("studies, when less than {} would stay free (spool.min_free_mib)", bytes(min_free_bytes)),
    );
    field(&mut table, "Disk", format!("{} free of {}", bytes(told.disk.free_bytes), bytes(told.disk.total_bytes)));
    field(&mut table, "Intake", intake(&told.forecast));
    field(&mut table, "Eviction", begins(&told.forecast));
    if let Some(next) = told.next.first() {
        field(&mut table, "First", format!("{}, {}", named(&next.study_uid, names), time::local(&next.newest_utc)));
    }
    output.print(table)?;
    output.line("")?;
    print_kept(&told.kept, &told.besides, output)?;
    if !told.holds.is_empty() {
        output.line("")?;
        print_holds(&told.holds, names, output)?;
    }
    Ok(())
}

fn intake(forecast: &Forecast) -> String {
    match forecast.bytes_per_day {
        Some(per_day) => format!("{} a day, by the last {:.0} days", bytes(per_day), forecast.observed_days),
        None => "not known: less than a day of it was seen in the last two weeks".to_owned(),
    }
}

fn begins(forecast: &Forecast) -> String {
    let because = match forecast.because {
        Some(Because::Age) => "by age",
        Some(Because::Space) | None => "for want of space",
    };
    match forecast.days_left {
        None => "cannot be foretold yet".to_owned(),
        Some(days) if days <= 0.0 => format!("has begun, {because}"),
        Some(days) if days < 1.0 => format!("begins within a day, {because}"),
        Some(days) if days > 3650.0 => "begins in more than ten years at this rate".to_owned(),
        Some(days) => format!("begins in about {days:.0} {}, {because}", if days < 1.5 { "day" } else { "days" }),
    }
}

fn print_kept(kept: &[Kept], besides: &[Besides], output: &Output) -> Result<(), Failure> {
    let mut table = output.table(&["What", "Count", "Size", "Why"]);
    let mut row = |what: &str, count: u64, size: u64, why: Cell| {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row(vec![Cell::new(what), right(count.to_string()), right(bytes(size)), why]);
    };
    for one in kept {
        let what = match one.what {
            What::Objects => "received",
            What::Results => "results",
        };
        let tone = if one.why == Why::Evictable { Tone::Weak } else { Tone::Busy };
        row(what, one.count, one.bytes, toned_cell(why(one.why, one.what), tone));
    }
    for one in besides {
        let (what, why) = match one.what {
            Other::Recordings => ("recordings", "of live exams, until a copy of the database has their results"),
            Other::Database => ("database", "with its copy and the files beside it"),
            Other::AuditTrail => ("audit trail", "the oldest of 33 files goes"),
            Other::ReadySegments => ("ready segments", "empty; they go first when the disk is almost full"),
        };
        row(what, one.count, one.bytes, toned_cell(why, Tone::Weak));
    }
    output.print(table)
}

fn why(why: Why, what: What) -> &'static str {
    match (why, what) {
        (Why::Evictable, What::Objects) => "can be evicted",
        (Why::Evictable, What::Results) => "nothing is to be sent; they go with their studies",
        (Why::Held, _) => "held by a person",
        (Why::Unfinished, _) => "being received, or without a verdict yet",
        (Why::InWork, _) => "waits for its analysis, or that is parked",
        (Why::Undelivered, What::Objects) => "results are still to be sent",
        (Why::Undelivered, What::Results) => "still to be sent",
        (Why::Uncommitted, _) => "sent, and the archive has not said yet that it keeps it",
        (Why::Parked, _) => "parked or held: a destination does not take it",
        (Why::Neighbours, _) => "could go, but lies in one segment with what cannot",
        (Why::OpenSegment, _) => "in the segment that is being written",
    }
}

fn print_holds(holds: &[Hold], names: &Names, output: &Output) -> Result<(), Failure> {
    let mut table = output.table(&["Held study", "Since", "By", "Reason"]);
    for hold in holds {
        table.add_row(vec![
            Cell::new(named(&hold.study_uid, names)),
            Cell::new(time::local(&hold.since_utc)),
            Cell::new(&hold.by),
            Cell::new(&hold.reason),
        ]);
    }
    output.print(table)
}

fn print_plan(told: &Retention, names: &Names, output: &Output) -> Result<(), Failure> {
    if told.next.is_empty() {
        return output.line("Nothing can be evicted: `scansidectl retention` says what keeps it.");
    }
    output.line(&format!("Nothing is evicted by asking. Eviction {}.", begins(&told.forecast)))?;
    output.line("")?;
    let mut table = output.table(&["Study", "Newest", "Objects", "Size", "When", "Remark"]);
    for next in &told.next {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row(vec![
            Cell::new(named(&next.study_uid, names)),
            Cell::new(time::local(&next.newest_utc)),
            right(next.objects.to_string()),
            right(bytes(next.bytes + next.results_bytes)),
            when(next, &told.policy),
            Cell::new(if next.whole { "" } else { "a part stays for now: it lies in a segment that stays" }),
        ]);
    }
    output.print(table)?;
    if told.next_left_out > 0 {
        output.note(&format!("{} more could go; --limit shows more.", told.next_left_out));
    }
    Ok(())
}

fn when(next: &Next, policy: &Policy) -> Cell {
    match (next.now, next.because) {
        (true, Because::Age) => toned_cell(&format!("now: older than {} days", policy.keep_days), Tone::Busy),
        (true, Because::Space) => toned_cell("now: space is short", Tone::Busy),
        (false, _) => Cell::new("when space is short"),
    }
}

/// As `studies list` shows it.
fn named(study_uid: &str, names: &Names) -> String {
    match names.get(study_uid) {
        Some(study) => format!("{}  {}", studies::number(study), studies::patients(study)).trim_end().to_owned(),
        None if study_uid.is_empty() => "(objects that could not be read)".to_owned(),
        None => study_uid.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forecast_is_told_in_words_that_fit() {
        let forecast = |days_left, because| Forecast { bytes_per_day: None, observed_days: 0.0, days_left, because };
        let space = Some(Because::Space);
        for (days, because, words) in [
            (None, None, "cannot be foretold yet"),
            (Some(0.0), space, "has begun, for want of space"),
            (Some(0.4), space, "begins within a day, for want of space"),
            (Some(1.2), space, "begins in about 1 day, for want of space"),
            (Some(12.4), Some(Because::Age), "begins in about 12 days, by age"),
            (Some(99_999.0), space, "begins in more than ten years at this rate"),
        ] {
            assert_eq!(begins(&forecast(days, because)), words);
        }
    }
}
