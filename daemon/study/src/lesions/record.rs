//! Writes what a visit saw, in the transaction that ends its job: new sightings, those of a repeated analysis, and the recalls
//! that the exam meets; and, when its study has become another patient's, takes back what it said of the one before.

use std::collections::BTreeSet;

use custody::store::{self, events, lesions};
use dicom::patient::is_placeholder_id;
use models::lesion::book::{Book, Exam, Seen, Turn};
use models::lesion::entry::{Entry, Given};
use models::lesion::same::{self, Verdict};
use models::lesion::sighting::{Person, Sighting};
use rusqlite::Transaction;

use super::visit::Visit;
use super::{book, is_same_person, key, moved, write, write_of};

/// What came of a visit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recorded {
    pub new: usize,
    /// Surely of a known lesion.
    pub same: usize,
    /// For a person to decide.
    pub open: usize,
    /// Recalls that the exam met.
    pub met: usize,
    /// Recalls that it may have met: for a person to decide.
    pub perhaps: usize,
}

/// # Errors
/// When the database fails; then nothing may be written.
pub fn record(transaction: &Transaction<'_>, visit: &Visit) -> Result<Recorded, store::Error> {
    let patient = key(&visit.person);
    elsewhere(transaction, visit, &patient)?;
    // Whoever has no ID of their own is not found again, and the lines of all of them would be one book that grows for ever.
    if is_placeholder_id(&visit.person.id) {
        return Ok(Recorded::default());
    }
    let book = book(transaction, &patient)?;
    let fresh = repeated(transaction, visit, &patient, &book)?;
    let book = super::book(transaction, &patient)?;
    let mut recorded = Recorded::default();
    // Numbers are given in order, within this transaction.
    let next = lesions::next(transaction)?.unsigned_abs();
    let ids: Vec<u64> = (next..).take(fresh.len()).collect();
    let known = book.known(|person| is_same_person(person, &visit.person));
    for (sighting, verdict) in fresh.iter().zip(same::judge(&fresh, &known, &ids)) {
        let given = match verdict {
            Verdict::New => {
                recorded.new += 1;
                Given::New
            }
            Verdict::Same(lesion) => {
                recorded.same += 1;
                Given::Same(lesion)
            }
            Verdict::Open(lesions) => {
                recorded.open += 1;
                Given::Open(lesions)
            }
        };
        write(transaction, &patient, "", &Entry::Seen { sighting: sighting.clone(), given })?;
    }
    let turns = book.turns(&exam(visit), |person| is_same_person(person, &visit.person));
    let turns = if visit.has_gone { without_undoing(turns, &book, visit) } else { turns };
    let turns = without_moved(transaction, turns, &book)?;
    recorded.met = turns.iter().filter(|turn| matches!(turn, Turn::Close { .. })).count();
    recorded.perhaps = turns.iter().filter(|turn| matches!(turn, Turn::Propose { .. })).count();
    turn(transaction, visit, &patient, turns)?;
    Ok(recorded)
}

/// What was said of this source does not hold any more: it is another patient's now, or nothing came of it when it was analysed
/// again. A later analysis says it again, as far as it holds. Returns whether anything was said.
///
/// # Errors
/// As [`record`].
pub fn take_back(transaction: &Transaction<'_>, source: &str) -> Result<bool, store::Error> {
    let patients = lesions::patients_of_source(transaction, source)?;
    for patient in &patients {
        withdraw(transaction, source, patient, "its exam is no longer analysed, or was taken back")?;
    }
    Ok(!patients.is_empty())
}

/// `why`: of the recalls that are open again.
fn withdraw(transaction: &Transaction<'_>, source: &str, patient: &str, why: &str) -> Result<(), store::Error> {
    let book = book(transaction, patient)?;
    for seen in of_source(&book, source).filter(|seen| !seen.retracted) {
        write(transaction, patient, "", &Entry::NotAgain { of: seen.id })?;
    }
    for turn in book.turns_without(source) {
        if let Turn::Undo { line, recall } = turn {
            undo(transaction, source, patient, [line, recall], why)?;
        }
    }
    let touched: BTreeSet<u64> = of_source(&book, source).filter_map(|seen| seen.lesion).collect();
    let book = self::book(transaction, patient)?;
    for lesion in touched.into_iter().filter(|lesion| book.is_orphan(*lesion) && book.ids().contains(lesion)) {
        let why = "its exam shows it no more or became another patient's; result, size and recall that people entered stay here: look \
                   whose they are";
        tracing::warn!(lesion, "nothing that was seen of a lesion counts any more: {why}");
        events::record(transaction, &format!("lesion/{lesion}"), "only what people entered is left", why)?;
    }
    Ok(())
}

/// A recall whose own exam turned out to be another patient's is met by no exam of this one.
fn without_moved(transaction: &Transaction<'_>, turns: Vec<Turn>, book: &Book) -> Result<Vec<Turn>, store::Error> {
    let mut own = Vec::with_capacity(turns.len());
    for turn in turns {
        let met = match turn {
            Turn::Close { recall } | Turn::Propose { recall } => Some(recall),
            Turn::Undo { .. } => None,
        };
        let lesion = book.recalls().find(|one| Some(one.id) == met).map(|one| one.lesion);
        let moved = lesion.map(|lesion| moved::moved(transaction, book, lesion)).transpose()?.flatten();
        if moved.is_none() {
            own.push(turn);
        }
    }
    Ok(own)
}

/// Pictures that are gone may have shown the breast: what an earlier analysis said of recalls of the same person stays.
fn without_undoing(turns: Vec<Turn>, book: &Book, visit: &Visit) -> Vec<Turn> {
    let is_of_the_same = |recall: u64| {
        let lesion = book.recalls().find(|one| one.id == recall).map(|one| one.lesion);
        let person = lesion.and_then(|lesion| book.person(lesion));
        person.is_some_and(|person| is_same_person(&person, &visit.person))
    };
    let undone = |turn: &Turn| match turn {
        Turn::Undo { recall, .. } if is_of_the_same(*recall) => Some(*recall),
        _ => None,
    };
    let stay: BTreeSet<u64> = turns.iter().filter_map(undone).collect();
    let of = |turn: &Turn| match turn {
        Turn::Close { recall } | Turn::Propose { recall } | Turn::Undo { recall, .. } => *recall,
    };
    turns.into_iter().filter(|turn| !stay.contains(&of(turn))).collect()
}

fn exam(visit: &Visit) -> Exam<'_> {
    Exam {
        source: &visit.source,
        date: visit.date,
        modality: visit.modality,
        sides: &visit.sides,
        may_show_more: visit.may_show_more,
        is_whole: visit.is_whole,
        simulated: visit.simulated,
    }
}

/// Writes what becomes of recalls.
fn turn(transaction: &Transaction<'_>, visit: &Visit, patient: &str, turns: Vec<Turn>) -> Result<(), store::Error> {
    let (date, study_uid, source) = (visit.date, visit.study_uid.clone(), visit.source.clone());
    for turn in turns {
        let (study_uid, source) = (study_uid.clone(), source.clone());
        let (recall, entry, why) = match turn {
            Turn::Close { recall } => {
                (recall, Entry::Done { recall, date, study_uid, source }, "the exam that was due has come")
            }
            Turn::Propose { recall } => {
                (recall, Entry::Came { recall, date, study_uid, source }, "an exam has come that may be the one")
            }
            Turn::Undo { line, recall } => {
                let why = "the exam, as it is analysed now, does not surely show the breast of its patient";
                undo(transaction, &source, patient, [line, recall], why)?;
                continue;
            }
        };
        write_of(transaction, patient, "", &entry, &visit.source)?;
        events::record(transaction, &format!("recall/{recall}"), entry.kind(), why)?;
    }
    Ok(())
}

/// An exam was taken for the one that was due, and is not.
fn undo(
    transaction: &Transaction<'_>,
    source: &str,
    patient: &str,
    [line, recall]: [u64; 2],
    why: &str,
) -> Result<(), store::Error> {
    let entry = Entry::Withdraw { line, reason: why.to_owned() };
    write_of(transaction, patient, "", &entry, source)?;
    events::record(transaction, &format!("recall/{recall}"), entry.kind(), why)
}

/// What a repeated analysis says of the sightings of the first one; returns those that are new.
fn repeated(
    transaction: &Transaction<'_>,
    visit: &Visit,
    patient: &str,
    book: &Book,
) -> Result<Vec<Sighting>, store::Error> {
    let (old, others): (Vec<&Seen>, Vec<&Seen>) =
        of_source(book, &visit.source).partition(|seen| is_one(&seen.sighting.person, &visit.person));
    for seen in others.iter().filter(|seen| !seen.retracted) {
        write(transaction, patient, "", &Entry::NotAgain { of: seen.id })?;
    }
    let sightings: Vec<&Sighting> = old.iter().map(|seen| &seen.sighting).collect();
    let found = same::again(&sightings, &visit.sightings);
    let mut fresh = Vec::new();
    for (new, old_index) in visit.sightings.iter().zip(&found) {
        match old_index.map(|index| old[index]) {
            None => fresh.push(new.clone()),
            // Its side or place was corrected.
            Some(seen) if book.has_left(seen, &new.place) => {
                if !seen.retracted {
                    write(transaction, patient, "", &Entry::NotAgain { of: seen.id })?;
                }
                fresh.push(new.clone());
            }
            Some(seen) if seen.retracted || seen.found() != *new => {
                write(transaction, patient, "", &Entry::Again { of: seen.id, sighting: new.clone() })?;
            }
            Some(_) => {}
        }
    }
    let found: BTreeSet<usize> = found.into_iter().flatten().collect();
    for (index, seen) in old.iter().enumerate() {
        if !found.contains(&index) && !seen.retracted && visit.has_looked_at(&seen.sighting) {
            write(transaction, patient, "", &Entry::NotAgain { of: seen.id })?;
        }
    }
    Ok(fresh)
}

fn of_source<'a>(book: &'a Book, source: &'a str) -> impl Iterator<Item = &'a Seen> {
    book.sightings().filter(move |seen| seen.sighting.shown.source == source)
}

/// A header that says little says the same when it is read again.
fn is_one(a: &Person, b: &Person) -> bool {
    a == b || is_same_person(a, b)
}

/// The study was another patient's before: what was seen then does not count there, and meets no recall.
fn elsewhere(transaction: &Transaction<'_>, visit: &Visit, patient: &str) -> Result<(), store::Error> {
    for other in lesions::patients_of_source(transaction, &visit.source)? {
        if other != patient {
            withdraw(transaction, &visit.source, &other, "the exam is of another patient")?;
        }
    }
    Ok(())
}
