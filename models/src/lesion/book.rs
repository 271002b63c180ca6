//! The lines of lesions read as one book: which lesions there are, what belongs to each, and which recalls are open.

mod check;

use std::collections::{BTreeMap, BTreeSet};

pub use check::Wrong;
use jiff::civil::Date;
use serde::Serialize;

use super::change::{self, Change, Response, Visit};
use super::due::{self, Standing, Suggestion};
use super::entry::{Entry, Given, Line, Outcome};
use super::same::Known;
use super::sighting::{By, Method, Person, Place, Shown, Sighting};
use crate::findings::Side;

/// A sighting as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    pub id: u64,
    #[serde(flatten)]
    pub sighting: Sighting,
    /// `None`: nobody has decided yet.
    pub lesion: Option<u64>,
    /// The lesions that it may be, when nobody has decided.
    pub proposed: Vec<u64>,
    /// A repeated analysis does not find it any more: it does not count.
    pub retracted: bool,
}

/// Something that a person entered on a lesion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Note {
    pub id: u64,
    pub date: Date,
    /// `biopsy`, `result`, `treat`.
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    pub text: String,
    pub by: String,
    pub utc: String,
    #[serde(skip)]
    lesion: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recall {
    pub id: u64,
    pub lesion: u64,
    pub due: Date,
    pub modality: String,
    pub why: String,
    pub rule: String,
    pub by: String,
    pub entered: Date,
    pub closed: Option<Closed>,
}

/// How a recall ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Closed {
    pub standing: Standing,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
    pub study_uid: String,
    pub reason: String,
    /// Empty: this software, because the exam came.
    pub by: String,
}

impl Recall {
    pub fn standing(&self, today: Date) -> Standing {
        self.closed.as_ref().map_or_else(|| Standing::of(self.due, today), |closed| closed.standing)
    }
}

/// All that is known of one lesion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lesion {
    pub id: u64,
    pub person: Person,
    /// Of each part the one that was said last.
    pub place: Place,
    /// Oldest first.
    pub sightings: Vec<Seen>,
    pub visits: Vec<Visit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// Under the last treatment that began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    pub notes: Vec<Note>,
    pub recalls: Vec<Recall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<Suggestion>,
    pub simulated: bool,
}

/// An exam that may meet a recall.
#[derive(Debug, Clone, Copy)]
pub struct Exam<'a> {
    pub date: Date,
    pub modality: &'a str,
    /// Which breasts it shows; empty: that is not known.
    pub sides: &'a [Side],
    /// A simulated exam meets no recall of a real patient.
    pub simulated: bool,
}

impl Exam<'_> {
    fn may_show(&self, lesion: &Lesion) -> bool {
        let side = lesion.place.side;
        self.simulated == lesion.simulated
            && (self.sides.is_empty() || side.is_none_or(|side| self.sides.contains(&side)))
    }
}

#[derive(Debug, Clone, Default)]
pub struct Book {
    seen: BTreeMap<u64, Seen>,
    notes: Vec<Note>,
    recalls: BTreeMap<u64, Recall>,
    /// Lines of persons that count.
    by_hand: BTreeSet<u64>,
}

impl Book {
    /// `lines`: in the order of their numbers. A line that does not fit (its subject is gone with a damaged database) says
    /// nothing.
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a Line> + Clone) -> Self {
        let withdrawn: BTreeSet<u64> = lines
            .clone()
            .into_iter()
            .filter_map(|line| match line.entry {
                Entry::Withdraw { line, .. } => Some(line),
                _ => None,
            })
            .collect();
        let mut book = Self::default();
        for line in lines {
            if !withdrawn.contains(&line.id) {
                book.read(line);
            }
        }
        book
    }

    fn read(&mut self, line: &Line) {
        let id = line.id;
        if line.entry.is_by_hand() {
            self.by_hand.insert(id);
        }
        match &line.entry {
            Entry::Seen { sighting, given } => {
                let (lesion, proposed) = match given {
                    Given::New => (Some(id), Vec::new()),
                    Given::Same(lesion) => (Some(*lesion), Vec::new()),
                    Given::Open(proposed) => (None, proposed.clone()),
                };
                let sighting = sighting.clone();
                self.seen.insert(id, Seen { id, sighting, lesion, proposed, retracted: false });
            }
            Entry::Again { of, sighting } => {
                if let Some(seen) = self.seen.get_mut(of) {
                    // What a person said of the place stays.
                    let place = seen.sighting.place.clone();
                    seen.sighting = Sighting { place: over(&sighting.place, &place), ..sighting.clone() };
                    seen.retracted = false;
                }
            }
            Entry::NotAgain { of } => {
                if let Some(seen) = self.seen.get_mut(of) {
                    seen.retracted = true;
                }
            }
            Entry::Link { sighting, lesion } => self.give(*sighting, *lesion),
            Entry::Split { sighting } => self.give(*sighting, *sighting),
            Entry::Place { sighting, place } => {
                if let Some(seen) = self.seen.get_mut(sighting) {
                    seen.sighting.place = over(&seen.sighting.place, place);
                }
            }
            Entry::Measure { lesion, date, modality, axes_mm, gone } => {
                let Some(person) = self.person(*lesion) else { return };
                let mut axes_mm = axes_mm.clone();
                axes_mm.sort_by(|a, b| b.total_cmp(a));
                let simulated = self.sightings_of(self.now(*lesion)).any(|seen| seen.sighting.simulated);
                let sighting = Sighting {
                    person,
                    date: *date,
                    method: Method { modality: modality.clone(), by: By::Person },
                    place: Place::default(),
                    axes_mm,
                    gone: *gone,
                    shown: Shown::default(),
                    simulated,
                };
                self.seen
                    .insert(id, Seen { id, sighting, lesion: Some(*lesion), proposed: Vec::new(), retracted: false });
            }
            Entry::Biopsy { lesion, date, marker } => self.note(line, *lesion, *date, None, marker),
            Entry::Result { lesion, date, outcome, text } => self.note(line, *lesion, *date, Some(*outcome), text),
            Entry::Treat { lesion, date, what } => self.note(line, *lesion, *date, None, what),
            Entry::Recall { lesion, due, modality, why, rule } => {
                let entered = day(&line.utc).unwrap_or(*due);
                let (due, modality, why, rule) = (*due, modality.clone(), why.clone(), rule.clone());
                let by = line.by.clone();
                self.recalls
                    .insert(id, Recall { id, lesion: *lesion, due, modality, why, rule, by, entered, closed: None });
            }
            Entry::Done { recall, date, study_uid } => {
                let study_uid = study_uid.clone();
                let reason = String::new();
                self.close(
                    *recall,
                    Closed { standing: Standing::Done, date: Some(*date), study_uid, reason, by: line.by.clone() },
                );
            }
            Entry::Cancel { recall, reason } => self.close(
                *recall,
                Closed {
                    standing: Standing::Cancelled,
                    date: None,
                    study_uid: String::new(),
                    reason: reason.clone(),
                    by: line.by.clone(),
                },
            ),
            Entry::Withdraw { .. } => {}
        }
    }

    fn give(&mut self, sighting: u64, lesion: u64) {
        if let Some(seen) = self.seen.get_mut(&sighting) {
            seen.lesion = Some(lesion);
            seen.proposed.clear();
        }
    }

    fn note(&mut self, line: &Line, lesion: u64, date: Date, outcome: Option<Outcome>, text: &str) {
        let (by, utc, text) = (line.by.clone(), line.utc.clone(), text.to_owned());
        self.notes.push(Note { id: line.id, date, kind: line.entry.kind(), outcome, text, by, utc, lesion });
    }

    fn close(&mut self, recall: u64, closed: Closed) {
        if let Some(recall) = self.recalls.get_mut(&recall) {
            recall.closed.get_or_insert(closed);
        }
    }

    fn sightings_of(&self, lesion: u64) -> impl Iterator<Item = &Seen> {
        self.seen.values().filter(move |seen| seen.lesion == Some(lesion))
    }

    /// The lesion that goes by this number now: one whose last sighting was put to another has become that one.
    pub fn now(&self, lesion: u64) -> u64 {
        let mut now = lesion;
        for _ in 0..self.seen.len() {
            if self.sightings_of(now).next().is_some() {
                break;
            }
            match self.seen.get(&now).and_then(|seen| seen.lesion) {
                Some(next) if next != now => now = next,
                _ => break,
            }
        }
        now
    }

    /// Of the first sighting of a lesion, or of one sighting.
    pub fn person(&self, lesion: u64) -> Option<Person> {
        let first = self.sightings_of(self.now(lesion)).next().or_else(|| self.seen.get(&lesion));
        first.map(|seen| seen.sighting.person.clone())
    }

    pub fn seen(&self, id: u64) -> Option<&Seen> {
        self.seen.get(&id)
    }

    /// All sightings, in the order in which they were written.
    pub fn sightings(&self) -> impl Iterator<Item = &Seen> {
        self.seen.values()
    }

    pub fn recalls(&self) -> impl Iterator<Item = Recall> {
        self.recalls.values().map(|recall| Recall { lesion: self.now(recall.lesion), ..recall.clone() })
    }

    /// Sightings about which nobody has decided.
    pub fn undecided(&self) -> impl Iterator<Item = &Seen> {
        self.seen.values().filter(|seen| seen.lesion.is_none() && !seen.retracted)
    }

    /// Numbers of all lesions that somebody or something counts as one.
    pub fn ids(&self) -> BTreeSet<u64> {
        let counts = |seen: &&Seen| !seen.retracted;
        let seen = self.seen.values().filter(counts).filter_map(|seen| seen.lesion);
        let noted = self.notes.iter().map(|note| note.lesion).chain(self.recalls.values().map(|one| one.lesion));
        seen.chain(noted.map(|lesion| self.now(lesion))).filter(|id| self.person(*id).is_some()).collect()
    }

    /// What new sightings are compared with.
    pub fn known(&self, is_same: impl Fn(&Person) -> bool) -> Vec<Known<'_>> {
        let of = |id: u64| {
            let mut sightings: Vec<&Sighting> =
                self.sightings_of(id).filter(|seen| !seen.retracted).map(|seen| &seen.sighting).collect();
            sightings.sort_by_key(|sighting| std::cmp::Reverse(sighting.date));
            Known { id, sightings }
        };
        let known = self.ids().into_iter().map(of);
        known.filter(|one| one.sightings.first().is_some_and(|first| is_same(&first.person))).collect()
    }

    pub fn lesion(&self, id: u64) -> Option<Lesion> {
        let id = self.now(id);
        if !self.ids().contains(&id) {
            return None;
        }
        let mut sightings: Vec<Seen> = self.sightings_of(id).cloned().collect();
        sightings.sort_by_key(|seen| (seen.sighting.date, seen.id));
        let counted = || sightings.iter().filter(|seen| !seen.retracted).map(|seen| &seen.sighting);
        let visits = change::visits(counted());
        let mut notes: Vec<Note> = self.notes.iter().filter(|note| self.now(note.lesion) == id).cloned().collect();
        notes.sort_by_key(|note| (note.date, note.id));
        let begun = notes.iter().rfind(|note| note.kind == "treat").map(|note| note.date);
        let malignant = notes.iter().find(|note| note.outcome == Some(Outcome::Malignant)).map(|note| note.date);
        let recalls: Vec<Recall> = self.recalls().filter(|recall| recall.lesion == id).collect();
        let asked = recalls.iter().any(|recall| recall.closed.is_none());
        let last = counted().map(|sighting| sighting.date).max();
        Some(Lesion {
            id,
            person: self.person(id)?,
            place: counted().fold(Place::default(), |place, seen| over(&place, &seen.place)),
            change: change::last_change(&visits),
            response: begun.map(|begun| change::response(&visits, begun)),
            suggestion: last.filter(|_| !asked).and_then(|last| due::suggestion(malignant, last)),
            simulated: sightings.iter().any(|seen| seen.sighting.simulated),
            sightings,
            visits,
            notes,
            recalls,
        })
    }

    /// Open recalls of the persons in question that an exam meets.
    pub fn met(&self, exam: &Exam<'_>, is_same: impl Fn(&Person) -> bool) -> Vec<u64> {
        let meets = |recall: &Recall| {
            recall.closed.is_none()
                && (recall.modality.is_empty() || recall.modality == exam.modality)
                && due::is_met(recall.due, recall.entered, exam.date)
                && self.lesion(recall.lesion).is_some_and(|lesion| exam.may_show(&lesion) && is_same(&lesion.person))
        };
        self.recalls().filter(meets).map(|recall| recall.id).collect()
    }
}

/// `new`, with what it does not say taken from `old`.
fn over(old: &Place, new: &Place) -> Place {
    Place {
        side: new.side.or(old.side),
        clock: new.clock.or(old.clock),
        distance_mm: new.distance_mm.or(old.distance_mm),
        in_view: new.in_view.or(old.in_view),
    }
}

/// The day of a moment as rows have it.
fn day(utc: &str) -> Option<Date> {
    utc.get(..10)?.parse().ok()
}
