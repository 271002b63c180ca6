//! `live`: the live path's state, figures and verbs.

use comfy_table::Cell;
use futures_util::StreamExt;
use models::findings::Side;
use models::lesion::sighting::Place;
use zbus::Connection;
use zbus::fdo::{PropertiesChangedStream, PropertiesProxy};

use super::args::{LiveCommand, ScannedSide};
use super::failure::Failure;
use super::output::{Output, Tone, count, field, state_cell, tone_of};
use super::{coverage, lesions, profile, time, worklist};
use crate::{Exam, Live, LiveProxy, Options, Stats};

pub async fn run(connection: &Connection, command: LiveCommand, output: &Output) -> Result<(), Failure> {
    // Without a cache: what is read after a change was told is the state after it.
    let builder = LiveProxy::builder(connection).cache_properties(zbus::proxy::CacheProperties::No);
    let live = builder.build().await?;
    match command {
        LiveCommand::Status => status(&live, output).await,
        LiveCommand::Stats => stats(&live, output).await,
        LiveCommand::Start { patient_id, name, birth_date, accession, study_uid, despite_screen } => {
            let mut patient = Options::new();
            patient.extend(patient_id.map(|id| ("id", id.into())));
            patient.extend(name.map(|name| ("name", name.into())));
            patient.extend(birth_date.map(|date| ("birth_date", date.into())));
            patient.extend(accession.map(|number| ("accession_number", number.into())));
            patient.extend(study_uid.map(|uid| ("study_uid", uid.into())));
            patient.extend(despite_screen.then(|| ("despite_screen", true.into())));
            told(live.start_exam(patient).await?, output)
        }
        LiveCommand::Stop => told(live.stop_exam().await?, output),
        LiveCommand::Freeze => told(live.freeze(true).await?, output),
        LiveCommand::Unfreeze => told(live.freeze(false).await?, output),
        LiveCommand::Mark => told(live.mark().await?, output),
        LiveCommand::Side { side } => {
            let side = match side {
                ScannedSide::Left => Side::Left.as_str(),
                ScannedSide::Right => Side::Right.as_str(),
                ScannedSide::None => "",
            };
            told(live.scan_side(side).await?, output)
        }
        LiveCommand::Place { lesion, side, clock, distance } => {
            let mut place = Options::new();
            place.extend(side.map(|side| ("side", Side::from(side).as_str().into())));
            place.extend(clock.map(|hour| ("clock", hour.into())));
            place.extend(distance.map(|mm| ("distance_mm", mm.into())));
            told(live.place_lesion(lesion, place).await?, output)
        }
        LiveCommand::Probe { spot, plane, side, step, unsaid: _ } => {
            // Without anything it is not said any more.
            let mut place = Options::new();
            place.extend(side.map(|side| ("side", Side::from(side).as_str().into())));
            place.extend(
                [("spot", spot), ("plane", plane), ("step", step)]
                    .into_iter()
                    .filter_map(|(name, text)| Some((name, text?.into()))),
            );
            told(live.place_probe(place).await?, output)
        }
        LiveCommand::Coverage => coverage::show(&live, output).await,
        LiveCommand::Watch => watch(connection, &live, output).await,
        LiveCommand::Worklist => worklist::list(&live, output).await,
        LiveCommand::Profile { command } => profile::run(&live, command, output).await,
        // It needs no daemon and is done by now.
        LiveCommand::Replay(_) => Ok(()),
    }
}

fn told(change: String, output: &Output) -> Result<(), Failure> {
    if output.is_json() { output.json(&serde_json::json!({ "change": change })) } else { output.line(&change) }
}

async fn status(live: &LiveProxy<'_>, output: &Output) -> Result<(), Failure> {
    let now = Live::read(live).await?;
    if output.is_json() {
        return output.json(&now);
    }
    let mut table = output.table(&[]);
    field(&mut table, "Sign", state_cell(&now.sign));
    for (name, value) in [
        ("Because", now.reason.clone().unwrap_or_default()),
        ("Source", source(&now)),
        ("Profile", now.profile.clone()),
        ("Model", now.model.clone().unwrap_or_else(|| "none".into())),
        ("Results", now.label.clone().unwrap_or_default()),
        ("Exam", now.exam.as_ref().map_or_else(|| "none".into(), exam)),
        ("Screen", now.exam.as_ref().map(on_screen).unwrap_or_default()),
        ("Probe", now.exam.as_ref().map(probe).unwrap_or_default()),
        ("Picture", picture(&now)),
        ("Lesions", now.exam.as_ref().map(places).unwrap_or_default()),
        ("Recording", recording(&now)),
        ("Worklist", now.worklist_server.as_ref().map(worklist::served).unwrap_or_default()),
    ] {
        if !value.is_empty() {
            field(&mut table, name, value);
        }
    }
    output.print(table)
}

/// Whether the scanner's screen shows the patient of the exam.
fn on_screen(exam: &Exam) -> String {
    exam.on_screen_words.clone().unwrap_or_default()
}

fn recording(live: &Live) -> String {
    let reason = live.recording_reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{}{reason}", live.recording)
}

fn source(live: &Live) -> String {
    if live.source.is_empty() {
        return String::new();
    }
    let (width, height) = live.size;
    let simulated = if live.simulated { " (simulated: not for clinical use)" } else { "" };
    format!("{} {width}x{height}{simulated}", live.source)
}

fn exam(exam: &Exam) -> String {
    let patient = &exam.patient;
    let born = patient.birth_date.as_deref().map(|date| format!(", born {}", time::date(date))).unwrap_or_default();
    let order = patient.accession_number.as_deref().map(|number| format!(", order {number}")).unwrap_or_default();
    let marks = count(exam.marks, "mark", "marks");
    let nobody = patient.id.starts_with("UNIDENTIFIED-");
    let hint = if nobody { "; name the patient with `scansidectl live start`" } else { "" };
    let side = exam.side.as_ref().map(|side| format!(", {side} breast")).unwrap_or_default();
    format!("{} ({}{born}{order}), for {}{side}, {marks}{hint}", patient.name, patient.id, time::age(&exam.started_utc))
}

/// Where the probe is, as far as it was said.
fn probe(exam: &Exam) -> String {
    [exam.probe_spot.clone(), exam.probe_plane.clone()].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How the picture is adjusted, one thing a line, with its figures.
fn picture(live: &Live) -> String {
    let figures = |one: &crate::Judged| {
        let all: Vec<_> =
            one.figures.iter().map(|figure| format!("{} {} {}", figure.name, figure.value, figure.unit)).collect();
        if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
    };
    let lines = live.guidance.items.iter().map(|one| format!("{}: {}{}", one.name, one.words, figures(one)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Where lesions are, as far as it was said.
fn places(exam: &Exam) -> String {
    let one = |(lesion, place): (&u32, &crate::Place)| {
        let side = place.side.as_deref().and_then(Side::named);
        let place = Place { side, clock: place.clock, distance_mm: place.distance_mm, in_view: None };
        format!("{lesion}: {}", lesions::place(&place))
    };
    exam.places.iter().map(one).collect::<Vec<_>>().join("\n")
}

async fn stats(live: &LiveProxy<'_>, output: &Output) -> Result<(), Failure> {
    let now = Stats::read(live).await?;
    if output.is_json() {
        return output.json(&now);
    }
    let pictures = count(now.pictures, "picture", "pictures");
    let recorded = if now.recorded == 0 { String::new() } else { format!(", {} recorded", now.recorded) };
    let late = if now.late == 0 { String::new() } else { format!(", {} overlays too late to be shown", now.late) };
    let looked = format!("{pictures}, {} lost, {} analysed by the model{late}{recorded}", now.lost, now.inferred);
    output.line(&looked)?;
    if now.stages.is_empty() {
        return Ok(());
    }
    let mut table = output.table(&["Stage", "Count", "Median", "99 %", "99.9 %", "Most, ms"]);
    for one in &now.stages {
        let mut row = vec![Cell::new(&one.stage), Cell::new(one.count)];
        row.extend([one.p50, one.p99, one.p999, one.max].map(|ms| Cell::new(format!("{ms:.2}"))));
        table.add_row(row);
    }
    output.print(table)
}

/// A line whenever sign or exam are other ones; figures change all the time and are not worth a line.
async fn watch(connection: &Connection, live: &LiveProxy<'_>, output: &Output) -> Result<(), Failure> {
    let properties = PropertiesProxy::builder(connection).destination(crate::BUS_NAME).path(crate::LIVE);
    let mut changes = properties.build().await?.receive_properties_changed().await?;
    let mut owner = live.inner().receive_owner_changed().await?;
    let mut printed = None;
    loop {
        // The time of the last worklist changes all day and is no news.
        let mut now = Live { worklist_server: None, ..Live::read(live).await? };
        // Seconds and figures change all the time; words are news.
        now.guidance.coverage.clear();
        now.guidance.items.iter_mut().for_each(|one| one.figures.clear());
        if printed.as_ref() != Some(&now) {
            print(&now, output)?;
            printed = Some(now);
        }
        tokio::select! {
            () = worth_a_look(&mut changes) => {}
            Some(owner) = owner.next() => if owner.is_none() { return Err(Failure::gone()) },
            // Ctrl-C is how a watch ends: not a failure.
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

/// Until something else than the figures has changed; for ever when nothing will.
async fn worth_a_look(changes: &mut PropertiesChangedStream) {
    while let Some(change) = changes.next().await {
        if change.args().is_ok_and(|change| change.changed_properties.keys().any(|name| *name != "Stats")) {
            return;
        }
    }
    std::future::pending().await
}

fn print(now: &Live, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        let line = serde_json::to_string(now).map_err(|error| Failure::new(error.to_string(), ""))?;
        return output.line(&line);
    }
    let sign = output.paint(&now.sign.replace('_', " "), tone_of(&now.sign));
    let reason = now.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let exam = now.exam.as_ref().map_or_else(|| "no exam".into(), exam);
    let recording = match now.recording.as_str() {
        "failed" => format!("; not recorded: {}", now.recording_reason.as_deref().unwrap_or("no reason")),
        _ => String::new(),
    };
    let wrong: String =
        now.guidance.items.iter().filter(|one| one.is_wrong()).map(|one| format!("; {}", one.words)).collect();
    output.line(&format!("{}  {sign}{reason}; {exam}{recording}{wrong}", output.paint(&time::clock(), Tone::Weak)))
}
