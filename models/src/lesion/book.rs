//! The lines of lesions read as one book: which lesions there are, what belongs to each, and which recalls are open.

mod check;
mod turns;

use std::collections::{BTreeMap, BTreeSet};

pub use check::{Wrong, check_place};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
pub use turns::{Exam, Turn};

use super::change::{self, Change, Response, Visit};
use super::due::{self, Standing, Suggestion};
use super::entry::{Entry, Given, Line, Outcome};
use super::same::{self, Known, Likeness};
use super::sighting::{By, Method, Person, Place, Shown, Sighting};

/// A sighting as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Its place as this software has it.
    #[serde(skip)]
    pub found_at: Place,
    /// And what a person said of it, which counts more.
    #[serde(skip)]
    said: Place,
    /// A person has said of which lesion it is.
    #[serde(skip)]
    pub is_decided: bool,
}

impl Seen {
    fn new(id: u64, sighting: Sighting, lesion: Option<u64>, proposed: Vec<u64>) -> Self {
        let found_at = sighting.place.clone();
        Self { id, sighting, lesion, proposed, retracted: false, found_at, said: Place::default(), is_decided: false }
    }

    /// A person has entered it as a measurement.
    fn is_entered(&self) -> bool {
        self.sighting.method.by == By::Person
    }

    /// What this software says of it.
    pub fn found(&self) -> Sighting {
        Sighting { place: self.found_at.clone(), ..self.sighting.clone() }
    }
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// The exams that may have met it.
    pub came: Vec<Came>,
}

/// An exam that may be the one that was due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Came {
    /// The line that says so.
    pub line: u64,
    pub date: Date,
    pub study_uid: String,
    #[serde(skip)]
    pub(super) source: String,
}

/// How a recall ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    /// The line that closed it. Withdrawn, the recall is open again.
    pub line: u64,
    pub standing: Standing,
    #[serde(skip)]
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
    pub study_uid: String,
    pub reason: String,
    /// Empty: this software, because the exam came.
    pub by: String,
}

impl Recall {
    /// When it was for a mammography, the day of that.
    fn mammography(&self) -> Option<Date> {
        let done = self.closed.as_ref().filter(|closed| closed.standing == Standing::Done && self.modality == "MG");
        done.and_then(|closed| closed.date)
    }

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

#[derive(Debug, Clone, Default)]
pub struct Book {
    seen: BTreeMap<u64, Seen>,
    notes: Vec<Note>,
    recalls: BTreeMap<u64, Recall>,
    /// Lines that count and that a person may withdraw.
    by_hand: BTreeSet<u64>,
    /// Recalls that this exam has not met, whatever its analysis says: a person said so. With what was analysed.
    not_met_by: BTreeSet<(u64, String)>,
}

impl Book {
    /// `lines`: in the order of their numbers. A line that does not fit (its subject is gone with a damaged database) says
    /// nothing.
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Self {
        let lines: Vec<&Line> = lines.into_iter().collect();
        // By whom a line was withdrawn. The last first, since a withdrawal can be withdrawn.
        let mut withdrawn: BTreeMap<u64, &str> = BTreeMap::new();
        for line in lines.iter().rev() {
            match line.entry {
                Entry::Withdraw { line: target, .. } if !withdrawn.contains_key(&line.id) && target < line.id => {
                    withdrawn.insert(target, &line.by);
                }
                _ => {}
            }
        }
        let mut book = Self::default();
        for line in lines {
            match withdrawn.get(&line.id) {
                None => book.read(line),
                Some(by) => book.pass_over(line, by),
            }
        }
        book.rename();
        book
    }

    /// Gives what was entered or proposed under an earlier number of a lesion to the number that it has now.
    fn rename(&mut self) {
        let mut renamed = Vec::new();
        for seen in self.seen.values() {
            let lesion = seen.lesion.filter(|_| seen.is_entered()).map(|lesion| self.now(lesion));
            let mut proposed: Vec<u64> = Vec::new();
            for lesion in seen.proposed.iter().map(|lesion| self.now(*lesion)) {
                if !proposed.contains(&lesion) {
                    proposed.push(lesion);
                }
            }
            renamed.push((seen.id, lesion, proposed));
        }
        for (id, lesion, proposed) in renamed {
            if let Some(seen) = self.seen.get_mut(&id) {
                seen.lesion = lesion.or(seen.lesion);
                seen.proposed = proposed;
            }
        }
    }

    /// A line that was withdrawn. An analysis that is repeated would only say it again.
    fn pass_over(&mut self, line: &Line, by: &str) {
        if let Entry::Done { recall, source, .. } | Entry::Came { recall, source, .. } = &line.entry
            && !by.is_empty()
        {
            self.not_met_by.insert((*recall, source.clone()));
        }
    }

    fn read(&mut self, line: &Line) {
        let id = line.id;
        let is_of_software = line.by.is_empty() && matches!(line.entry, Entry::Withdraw { .. });
        if (line.entry.is_by_hand() && !is_of_software) || matches!(line.entry, Entry::Came { .. }) {
            self.by_hand.insert(id);
        }
        match &line.entry {
            Entry::Seen { sighting, given } => {
                let (lesion, proposed) = match given {
                    Given::New => (Some(id), Vec::new()),
                    Given::Same(lesion) => (Some(*lesion), Vec::new()),
                    Given::Open(proposed) => (None, proposed.clone()),
                };
                self.seen.insert(id, Seen::new(id, sighting.clone(), lesion, proposed));
            }
            Entry::Again { of, sighting } => {
                if let Some(seen) = self.seen.get_mut(of) {
                    seen.found_at = sighting.place.clone();
                    seen.sighting = Sighting { place: seen.said.or(&seen.found_at), ..sighting.clone() };
                    seen.retracted = false;
                }
            }
            Entry::NotAgain { of } => {
                if let Some(seen) = self.seen.get_mut(of) {
                    seen.retracted = true;
                }
            }
            Entry::Link { sighting, lesion } => self.give(*sighting, self.now(*lesion), &line.by),
            Entry::Split { sighting } => self.give(*sighting, *sighting, &line.by),
            Entry::Place { sighting, place } => {
                if let Some(seen) = self.seen.get_mut(sighting) {
                    seen.said = place.or(&seen.said);
                    seen.sighting.place = seen.said.or(&seen.found_at);
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
                self.seen.insert(id, Seen::new(id, sighting, Some(*lesion), Vec::new()));
            }
            Entry::Biopsy { lesion, date, marker } => self.note(line, *lesion, *date, None, marker),
            Entry::Result { lesion, date, outcome, text } => self.note(line, *lesion, *date, Some(*outcome), text),
            Entry::Treat { lesion, date, what } => self.note(line, *lesion, *date, None, what),
            Entry::Recall { lesion, due, modality, why, rule } => {
                let (entered, due, modality, why, rule) = (line.day, *due, modality.clone(), why.clone(), rule.clone());
                let (by, lesion) = (line.by.clone(), *lesion);
                let recall =
                    Recall { id, lesion, due, modality, why, rule, by, entered, closed: None, came: Vec::new() };
                self.recalls.insert(id, recall);
            }
            Entry::Done { recall, date, study_uid, source } => {
                let (study_uid, source) = (study_uid.clone(), source.clone());
                let (standing, date, reason, by) = (Standing::Done, Some(*date), String::new(), line.by.clone());
                self.close(*recall, Closed { line: id, standing, source, date, study_uid, reason, by });
            }
            Entry::Came { recall, date, study_uid, source } => {
                if let Some(recall) = self.recalls.get_mut(recall) {
                    let (study_uid, source) = (study_uid.clone(), source.clone());
                    recall.came.push(Came { line: id, date: *date, study_uid, source });
                }
            }
            Entry::Cancel { recall, reason } => {
                let (study_uid, source) = (String::new(), String::new());
                let (standing, date, reason, by) = (Standing::Cancelled, None, reason.clone(), line.by.clone());
                self.close(*recall, Closed { line: id, standing, source, date, study_uid, reason, by });
            }
            Entry::Withdraw { .. } => {}
        }
    }

    fn give(&mut self, sighting: u64, lesion: u64, by: &str) {
        if let Some(seen) = self.seen.get_mut(&sighting) {
            seen.lesion = Some(lesion);
            seen.proposed.clear();
            seen.is_decided = !by.is_empty();
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

    /// The lesion that goes by this number now: one whose last sighting was put to another has become that one. What was entered
    /// of it goes along.
    pub fn now(&self, lesion: u64) -> u64 {
        let mut now = lesion;
        for _ in 0..self.seen.len() {
            if self.sightings_of(now).any(|seen| !seen.retracted && !seen.is_entered()) {
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

    /// Whether a sighting that this software put to a lesion cannot be of it any more, now that it lies here.
    pub fn has_left(&self, seen: &Seen, place: &Place) -> bool {
        let Some(lesion) = seen.lesion.filter(|_| !seen.is_decided) else { return false };
        let place = seen.said.or(place);
        let others = self.sightings_of(lesion).filter(|other| other.id != seen.id && !other.retracted);
        others.map(|other| &other.sighting.place).any(|other| same::at(&place, other) == Likeness::No)
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

    /// Everything that was seen of it does not count any more, for example since the exam became another patient's; what people
    /// entered is left.
    pub fn is_orphan(&self, lesion: u64) -> bool {
        let mut seen = self.sightings_of(lesion).filter(|seen| !seen.is_entered()).peekable();
        seen.peek().is_some() && seen.all(|seen| seen.retracted)
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
        let known = known.filter(|one| !self.is_orphan(one.id));
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
        let malignant = notes.iter().rfind(|note| note.outcome == Some(Outcome::Malignant)).map(|note| note.date);
        let recalls: Vec<Recall> = self.recalls().filter(|recall| recall.lesion == id).collect();
        let asked = recalls.iter().any(|recall| recall.closed.is_none());
        let mammograms = counted().filter(|seen| seen.method.modality == "MG").map(|seen| seen.date);
        let last = mammograms.chain(recalls.iter().filter_map(Recall::mammography)).max();
        Some(Lesion {
            id,
            person: self.person(id)?,
            place: counted().fold(Place::default(), |place, seen| seen.place.or(&place)),
            change: change::last_change(&visits),
            response: begun.map(|begun| change::response(&visits, begun)),
            suggestion: due::suggestion(malignant, last).filter(|_| !asked),
            simulated: sightings.iter().any(|seen| seen.sighting.simulated),
            sightings,
            visits,
            notes,
            recalls,
        })
    }
}
