//! Lesions and recalls as they are shown: to programs as JSON, to people by `scansidectl` and the page.

use custody::store::{self, lesions};
use dicom::patient::plain_id;
use jiff::civil::Date;
use models::findings::Side;
use models::lesion::book::{Book, Came, Lesion, Recall, Seen};
use models::lesion::change::{self, Change, Response, Visit};
use models::lesion::due::{self, Standing};
use models::lesion::sighting::{Person, Place};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{book, moved};

/// A lesion in a list.
#[derive(Debug, Serialize)]
pub struct Listed {
    pub id: u64,
    pub person: Person,
    pub place: Place,
    /// Days on which it was seen or measured.
    pub visits: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Visit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// Of the results of biopsies the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// Of the open recalls the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Date>,
    pub simulated: bool,
}

#[derive(Debug, Serialize)]
pub struct Listing {
    pub lesions: Vec<Listed>,
    /// Sightings about which nobody has decided, with the lesions that each may be.
    pub undecided: Vec<Seen>,
    /// There are more patients than were asked for.
    pub more: bool,
    /// What a category of response is worth.
    pub rule: &'static str,
}

/// Everything about one lesion.
#[derive(Debug, Serialize)]
pub struct Shown {
    #[serde(flatten)]
    pub lesion: Lesion,
    /// Undecided sightings that may be of this lesion.
    pub undecided: Vec<Seen>,
    /// What a category of response is worth.
    pub rule: &'static str,
}

/// A recall with what a person needs who calls the patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecallRow {
    pub id: u64,
    pub lesion: u64,
    pub person: Person,
    pub side: Option<Side>,
    pub clock: Option<u8>,
    pub distance_mm: Option<f64>,
    pub due: Date,
    pub standing: Standing,
    /// From today to the day; negative when it is past.
    pub days: i32,
    /// Empty: any.
    pub modality: String,
    pub why: String,
    /// The published rule that suggested it; empty: a person's own.
    pub rule: String,
    pub by: String,
    pub entered: Date,
    pub last_date: Option<Date>,
    pub last_longest_mm: Option<f64>,
    pub last_modality: String,
    /// The last exam that may be the one, for a person to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub came: Option<Came>,
    /// The day on which it was done.
    pub done: Option<Date>,
    pub done_study_uid: String,
    /// Of a cancelled one: why.
    pub reason: String,
    pub simulated: bool,
}

/// Which recalls are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of this Patient ID only.
    pub patient: Option<String>,
    /// Also those that are done or cancelled.
    pub all: bool,
}

/// Lesions of one Patient ID, or of the `limit` patients with the newest lines (0: of all).
///
/// # Errors
/// When the database fails.
pub fn list(connection: &Connection, patient: Option<&str>, limit: usize) -> Result<Listing, store::Error> {
    let mut patients = match patient {
        Some(patient) => vec![plain_id(patient)],
        None => lesions::patients(connection, false)?,
    };
    let more = limit > 0 && patients.len() > limit;
    if more {
        patients.truncate(limit);
    }
    let mut listing = Listing { lesions: Vec::new(), undecided: Vec::new(), more, rule: change::RULE };
    for patient in patients {
        let book = book(connection, &patient)?;
        let lesions = book.ids().into_iter().filter_map(|id| book.lesion(id));
        listing.lesions.extend(lesions.map(listed));
        listing.undecided.extend(book.undecided().cloned());
    }
    Ok(listing)
}

fn listed(lesion: Lesion) -> Listed {
    let open = lesion.recalls.iter().filter(|recall| recall.closed.is_none());
    Listed {
        id: lesion.id,
        place: lesion.place,
        visits: lesion.visits.len(),
        last: lesion.visits.last().cloned(),
        change: lesion.change,
        outcome: lesion.notes.iter().rev().find_map(|note| note.outcome).map(|outcome| outcome.as_str()),
        due: open.map(|recall| recall.due).min(),
        response: lesion.response,
        simulated: lesion.simulated,
        person: lesion.person,
    }
}

/// By the number of a lesion, or of any sighting of it. `None` when there is none.
///
/// # Errors
/// When the database fails.
pub fn show(connection: &Connection, id: u64) -> Result<Option<Shown>, store::Error> {
    let number = i64::try_from(id).unwrap_or(i64::MAX);
    let Some(patient) = lesions::patient_of(connection, number)? else { return Ok(None) };
    let book = book(connection, &patient)?;
    let id = book.seen(id).and_then(|seen| seen.lesion).unwrap_or(id);
    let Some(lesion) = book.lesion(id) else { return Ok(None) };
    let undecided = book.undecided().filter(|seen| seen.proposed.iter().any(|one| book.now(*one) == lesion.id));
    let undecided = undecided.cloned().collect();
    Ok(Some(Shown { lesion, undecided, rule: change::RULE }))
}

/// The most overdue first. `today`: in local time.
///
/// # Errors
/// When the database fails.
pub fn recalls(connection: &Connection, wanted: &Wanted, today: Date) -> Result<Vec<RecallRow>, store::Error> {
    let patients = match &wanted.patient {
        Some(patient) => vec![plain_id(patient)],
        None => lesions::patients(connection, true)?,
    };
    let mut rows = Vec::new();
    for patient in patients {
        let book = book(connection, &patient)?;
        for recall in book.recalls().filter(|recall| wanted.all || recall.closed.is_none()) {
            let open = recall.closed.is_none().then_some(recall.lesion);
            let moved = open.map(|lesion| moved::moved(connection, &book, lesion)).transpose()?.flatten();
            let row = row(&book, &patient, recall, today);
            rows.push(match moved {
                Some(moved) => moved.tell(row),
                None => row,
            });
        }
    }
    let is_closed = |row: &RecallRow| matches!(row.standing, Standing::Done | Standing::Cancelled);
    rows.sort_by_key(|row| (is_closed(row), row.due, row.id));
    Ok(rows)
}

/// Said of a recall whose lesion cannot be read, for example after the database was lost: the patient is due all the same.
const NO_LESION: &str = "what was seen of this lesion cannot be read any more";
/// Said where nothing else has the ID as it was written, since a program that looks for it may mind.
const PLAIN_ID: &str = "the Patient ID is given in lower case, as it is compared";

fn row(book: &Book, patient: &str, recall: Recall, today: Date) -> RecallRow {
    let lesion = book.lesion(recall.lesion);
    let written = book.sightings().next().map(|seen| seen.sighting.person.id.clone());
    let is_plain = lesion.is_none() && written.is_none();
    let person = || Person { id: written.unwrap_or_else(|| patient.to_owned()), ..Person::default() };
    let place = lesion.as_ref().map(|lesion| lesion.place.clone()).unwrap_or_default();
    let last = lesion.as_ref().and_then(|lesion| lesion.visits.last());
    let why =
        [recall.why.as_str(), if lesion.is_none() { NO_LESION } else { "" }, if is_plain { PLAIN_ID } else { "" }];
    let why = why.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    let standing = recall.standing(today);
    let closed = recall.closed.as_ref();
    RecallRow {
        id: recall.id,
        lesion: lesion.as_ref().map_or(recall.lesion, |lesion| lesion.id),
        side: place.side,
        clock: place.clock,
        distance_mm: place.distance_mm,
        due: recall.due,
        standing,
        days: due::days(today, recall.due),
        modality: recall.modality,
        why,
        rule: recall.rule,
        by: recall.by,
        entered: recall.entered,
        last_date: last.map(|visit| visit.date),
        last_longest_mm: last.map(|visit| visit.longest_mm),
        last_modality: last.map(|visit| visit.method.modality.clone()).unwrap_or_default(),
        came: recall.came.last().filter(|_| closed.is_none()).cloned(),
        done: closed.and_then(|closed| closed.date),
        done_study_uid: closed.map(|closed| closed.study_uid.clone()).unwrap_or_default(),
        reason: closed.map(|closed| closed.reason.clone()).unwrap_or_default(),
        simulated: lesion.as_ref().is_some_and(|lesion| lesion.simulated),
        person: lesion.as_ref().map_or_else(person, |lesion| lesion.person.clone()),
    }
}
