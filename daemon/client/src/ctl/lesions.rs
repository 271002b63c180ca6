//! `lesions`: what is known of the lesions of patients over the years, and what people enter about them.

pub mod args;

use comfy_table::Cell;
use hal::clock::today;
use models::findings::Side;
use models::lesion::book::{Came, Recall, Seen};
use models::lesion::change::{Change, Visit};
use models::lesion::entry::Entry;
use models::lesion::sighting::{By, Method, Person, Place};
use serde::Deserialize;
use serde_json::Value;

use self::args::LesionsCommand;
use super::failure::Failure;
use super::output::{Output, state_cell};
use super::time;
use crate::{ManagerProxy, Options};

pub async fn run(manager: &ManagerProxy<'static>, command: LesionsCommand, output: &Output) -> Result<(), Failure> {
    let day = |date: Option<jiff::civil::Date>| date.unwrap_or_else(today);
    let (by, entry) = match command {
        LesionsCommand::List { patient, limit } => return list(manager, patient, limit, output).await,
        LesionsCommand::Show { lesion } => return show(manager, lesion, output).await,
        LesionsCommand::Link { sighting, lesion, by } => (by, Entry::Link { sighting, lesion }),
        LesionsCommand::Split { sighting, by } => (by, Entry::Split { sighting }),
        LesionsCommand::Place { sighting, side, clock, distance, by } => {
            let place = Place { side: side.map(Into::into), clock, distance_mm: distance, in_view: None };
            (by, Entry::Place { sighting, place })
        }
        LesionsCommand::Measure { lesion, size, gone, modality, date, by } => {
            let axes_mm = size.map(|size| size.0).unwrap_or_default();
            let modality = modality.to_uppercase();
            (by, Entry::Measure { lesion, date: day(date), modality, axes_mm, gone })
        }
        LesionsCommand::Biopsy { lesion, date, marker, by } => (by, Entry::Biopsy { lesion, date: day(date), marker }),
        LesionsCommand::Result { lesion, outcome, date, text, by } => {
            (by, Entry::Result { lesion, date: day(date), outcome: outcome.into(), text })
        }
        LesionsCommand::Treat { lesion, what, date, by } => (by, Entry::Treat { lesion, date: day(date), what }),
        LesionsCommand::Withdraw { entry, reason, by } => (by, Entry::Withdraw { line: entry, reason }),
    };
    enter(manager, &by.by, &entry, output).await
}

pub async fn enter(manager: &ManagerProxy<'static>, by: &str, entry: &Entry, output: &Output) -> Result<(), Failure> {
    let json = serde_json::to_string(entry).map_err(|error| unreadable(&error))?;
    let number = manager.enter_lesion(by, &json).await?;
    if output.is_json() {
        return output.json(&serde_json::json!({ "number": number, "kind": entry.kind() }));
    }
    output.line(&format!("Entered as {number}."))
}

pub fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::new(format!("the daemon's answer cannot be read: {error}"), "is scansidectl as new as the daemon?")
}

/// What of a lesion in the list is shown to people.
#[derive(Deserialize)]
struct Listed {
    id: u64,
    person: Person,
    place: Place,
    visits: usize,
    last: Option<Visit>,
    change: Option<Change>,
    response: Option<Response>,
    outcome: Option<String>,
    due: Option<String>,
}

#[derive(Deserialize)]
struct Response {
    category: String,
    why: Option<String>,
    baseline: Option<Visit>,
    nadir: Option<Visit>,
}

impl Response {
    /// Of what it is said, or why nothing can be said.
    fn grounds(&self) -> String {
        let at = |visit: &Visit| format!("{:.1} mm on {}", visit.longest_mm, visit.date);
        match (&self.why, &self.baseline, &self.nadir) {
            (Some(why), ..) => format!(" ({})", why.replace('_', " ")),
            (None, Some(baseline), Some(nadir)) => format!(" (baseline {}, smallest {})", at(baseline), at(nadir)),
            _ => String::new(),
        }
    }
}

#[derive(Deserialize)]
struct Listing {
    lesions: Vec<Listed>,
    undecided: Vec<Seen>,
    more: bool,
    rule: String,
}

async fn list(
    manager: &ManagerProxy<'static>,
    patient: Option<String>,
    limit: u32,
    output: &Output,
) -> Result<(), Failure> {
    let mut options = Options::from([("limit", limit.into())]);
    if let Some(patient) = &patient {
        options.insert("patient", patient.as_str().into());
    }
    let json = manager.list_lesions(options).await?;
    if output.is_json() {
        return output.json(&serde_json::from_str::<Value>(&json).map_err(|error| unreadable(&error))?);
    }
    let listing: Listing = serde_json::from_str(&json).map_err(|error| unreadable(&error))?;
    if listing.lesions.is_empty() && listing.undecided.is_empty() {
        return output.line("No lesion is known.");
    }
    let mut table =
        output.table(&["Lesion", "Patient", "Where", "Seen", "Last", "Change", "Response", "Biopsy", "Due"]);
    for one in &listing.lesions {
        table.add_row(vec![
            Cell::new(one.id),
            Cell::new(who(&one.person)),
            Cell::new(place(&one.place)),
            Cell::new(one.visits),
            Cell::new(one.last.as_ref().map(last).unwrap_or_default()),
            Cell::new(one.change.as_ref().map(percent).unwrap_or_default()),
            Cell::new(one.response.as_ref().map(|response| response.category.as_str()).unwrap_or_default()),
            Cell::new(one.outcome.as_deref().unwrap_or_default()),
            Cell::new(one.due.as_deref().unwrap_or_default()),
        ]);
    }
    output.print(table)?;
    if listing.lesions.iter().any(|one| one.response.is_some()) {
        output.line(&format!("Response: {}.", listing.rule))?;
    }
    if !listing.undecided.is_empty() {
        output.line("\nTo be decided (`lesions link`, `split` or `place`):")?;
        let mut table = output.table(&["Sighting", "Patient", "Date", "Size", "Where", "May be lesion"]);
        for seen in &listing.undecided {
            let proposed: Vec<String> = seen.proposed.iter().map(u64::to_string).collect();
            table.add_row(vec![
                Cell::new(seen.id),
                Cell::new(who(&seen.sighting.person)),
                Cell::new(format!("{} {}", seen.sighting.date, seen.sighting.method.modality)),
                Cell::new(size(seen)),
                Cell::new(place(&seen.sighting.place)),
                Cell::new(proposed.join(", ")),
            ]);
        }
        output.print(table)?;
    }
    if listing.more {
        output.note("There are more patients; --limit 0 shows all.");
    }
    Ok(())
}

/// One lesion, as far as people are shown it.
#[derive(Deserialize)]
struct Lesion {
    id: u64,
    person: Person,
    place: Place,
    sightings: Vec<Seen>,
    change: Option<Change>,
    response: Option<Response>,
    notes: Vec<Note>,
    recalls: Vec<Recall>,
    suggestion: Option<Suggestion>,
    undecided: Vec<Seen>,
    rule: String,
}

#[derive(Deserialize)]
struct Note {
    id: u64,
    date: String,
    kind: String,
    outcome: Option<String>,
    text: String,
    by: String,
}

#[derive(Deserialize)]
pub struct Suggestion {
    pub due: String,
    pub modality: String,
    pub rule: String,
}

async fn show(manager: &ManagerProxy<'static>, number: u64, output: &Output) -> Result<(), Failure> {
    let json = manager.show_lesion(number).await?;
    if output.is_json() {
        return output.json(&serde_json::from_str::<Value>(&json).map_err(|error| unreadable(&error))?);
    }
    let lesion: Lesion = serde_json::from_str(&json).map_err(|error| unreadable(&error))?;
    output.line(&format!("Lesion {} of {}: {}", lesion.id, who(&lesion.person), place(&lesion.place)))?;
    if let Some(change) = &lesion.change {
        let volume = change.volume_ml.map(|[then, now]| format!(", volume {then:.2} -> {now:.2} ml"));
        let [then, now] = change.longest_mm;
        let volume = volume.unwrap_or_default();
        let percent = percent(change);
        output.line(&format!("Since {}: {then:.1} -> {now:.1} mm, {percent}{volume}", change.from))?;
    }
    if let Some(response) = &lesion.response {
        output.line(&format!("Under treatment: {}{}; {}", response.category, response.grounds(), lesion.rule))?;
    }
    let mut table = output.table(&["Sighting", "Date", "By", "Size", "Where", "Called"]);
    for seen in &lesion.sightings {
        table.add_row(vec![
            Cell::new(seen.id),
            Cell::new(seen.sighting.date),
            Cell::new(method(&seen.sighting.method)),
            Cell::new(if seen.retracted { "not found any more".to_owned() } else { size(seen) }),
            Cell::new(place(&seen.sighting.place)),
            Cell::new(&seen.sighting.shown.label),
        ]);
    }
    output.print(table)?;
    for seen in &lesion.undecided {
        output.line(&format!(
            "Sighting {} of {} ({}) may be this lesion: `lesions link {} {}` or `lesions split {}`",
            seen.id,
            seen.sighting.date,
            size(seen),
            seen.id,
            lesion.id,
            seen.id
        ))?;
    }
    for note in &lesion.notes {
        let said: Vec<&str> = [note.outcome.as_deref(), Some(note.text.as_str())].into_iter().flatten().collect();
        output.line(&format!("{} {}: {} (entry {}, {})", note.date, note.kind, said.join(" "), note.id, note.by))?;
    }
    let mut table = output.table(&["Recall", "Due", "Modality", "State", "Why", "By"]);
    for recall in &lesion.recalls {
        let (standing, detail) = match &recall.closed {
            Some(closed) => {
                (closed.standing.as_str(), closed.date.map_or_else(|| closed.reason.clone(), |date| date.to_string()))
            }
            None => ("open", String::new()),
        };
        table.add_row(vec![
            Cell::new(recall.id),
            Cell::new(recall.due),
            Cell::new(&recall.modality),
            if detail.is_empty() { state_cell(standing) } else { Cell::new(format!("{standing} {detail}")) },
            Cell::new(&recall.why),
            Cell::new(&recall.by),
        ]);
    }
    if !lesion.recalls.is_empty() {
        output.print(table)?;
    }
    for recall in &lesion.recalls {
        match &recall.closed {
            Some(closed) if closed.by.is_empty() => {
                let (number, line) = (recall.id, closed.line);
                output.line(&format!(
                    "Recall {number} was closed because an exam came; if that was another: `lesions withdraw {line}`"
                ))?;
            }
            Some(_) => {}
            None => {
                for Came { line, date, .. } in &recall.came {
                    let number = recall.id;
                    output.line(&format!(
                        "Recall {number}: an exam of {date} may be the one: `recalls done {number} --date {date}`, or `lesions withdraw {line}`"
                    ))?;
                }
            }
        }
    }
    if let Some(Suggestion { due, modality, rule }) = &lesion.suggestion {
        output.line(&format!("Suggested: {modality} on {due} ({rule}); `recalls set {} --suggested`", lesion.id))?;
    }
    Ok(())
}

pub fn who(person: &Person) -> String {
    let born = time::date(&person.birth_date);
    let parts = [person.name.clone(), person.id.clone(), born];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

pub fn place(place: &Place) -> String {
    let side = place.side.map_or("side not known", Side::as_str).to_owned();
    let clock = place.clock.map(|clock| format!("{clock} o'clock"));
    let distance = place.distance_mm.map(|mm| format!("{mm:.0} mm from the nipple"));
    let view = place
        .in_view
        .filter(|_| place.clock.is_none())
        .map(|view| format!("{:?} view, {:.0} mm behind the nipple", view.projection, view.behind_nipple_mm));
    std::iter::once(side).chain(clock).chain(distance).chain(view).collect::<Vec<_>>().join(", ")
}

fn size(seen: &Seen) -> String {
    if seen.sighting.gone {
        return "gone".to_owned();
    }
    if seen.sighting.axes_mm.is_empty() {
        return "not measured".to_owned();
    }
    let axes: Vec<String> = seen.sighting.axes_mm.iter().map(|mm| format!("{mm:.1}")).collect();
    format!("{} mm", axes.join(" x "))
}

fn last(visit: &Visit) -> String {
    format!("{} {}: {:.1} mm", visit.date, visit.method.modality, visit.longest_mm)
}

fn method(method: &Method) -> String {
    let by = if method.by == By::Person { "person" } else { "software" };
    format!("{}, {by}", method.modality)
}

fn percent(change: &Change) -> String {
    change.percent.map_or_else(String::new, |percent| format!("{percent:+.0} %"))
}
