//! Writes what a visit saw, in the transaction that ends its job: new sightings, those of a repeated analysis, and the recalls
//! that the exam meets.

use std::collections::BTreeSet;

use custody::store::{self, events, lesions};
use models::lesion::book::{Book, Exam, Seen};
use models::lesion::entry::{Entry, Given};
use models::lesion::same::{self, Verdict};
use models::lesion::sighting::Sighting;
use rusqlite::Transaction;

use super::visit::Visit;
use super::{book, is_same_person, key, write};

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
}

/// # Errors
/// When the database fails; then nothing may be written.
pub fn record(transaction: &Transaction<'_>, visit: &Visit) -> Result<Recorded, store::Error> {
    let patient = key(&visit.person);
    elsewhere(transaction, visit, &patient)?;
    let book = book(transaction, &patient)?;
    let fresh = repeated(transaction, visit, &patient, &book)?;
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
    let exam = Exam { date: visit.date, modality: visit.modality, sides: &visit.sides, simulated: visit.simulated };
    for recall in book.met(&exam, |person| is_same_person(person, &visit.person)) {
        let done = Entry::Done { recall, date: visit.date, study_uid: visit.study_uid.clone() };
        write(transaction, &patient, "", &done)?;
        events::record(transaction, &format!("recall/{recall}"), "done", "the exam that was due has come")?;
        recorded.met += 1;
    }
    Ok(recorded)
}

/// What a repeated analysis says of the sightings of the first one; returns those that are new.
fn repeated(
    transaction: &Transaction<'_>,
    visit: &Visit,
    patient: &str,
    book: &Book,
) -> Result<Vec<Sighting>, store::Error> {
    let of_source = |seen: &&Seen| seen.sighting.shown.source == visit.source;
    let old: Vec<&Seen> = book.sightings().filter(of_source).collect();
    let sightings: Vec<&Sighting> = old.iter().map(|seen| &seen.sighting).collect();
    let found = same::again(&sightings, &visit.sightings);
    let mut fresh = Vec::new();
    for (new, old_index) in visit.sightings.iter().zip(&found) {
        match old_index.map(|index| old[index]) {
            None => fresh.push(new.clone()),
            Some(seen) if seen.retracted || !is_unchanged(&seen.sighting, new) => {
                write(transaction, patient, "", &Entry::Again { of: seen.id, sighting: new.clone() })?;
            }
            Some(_) => {}
        }
    }
    let found: BTreeSet<usize> = found.into_iter().flatten().collect();
    for (index, seen) in old.iter().enumerate() {
        if !found.contains(&index) && !seen.retracted {
            write(transaction, patient, "", &Entry::NotAgain { of: seen.id })?;
        }
    }
    Ok(fresh)
}

/// The place is left out: a person may have said it.
fn is_unchanged(old: &Sighting, new: &Sighting) -> bool {
    let placed = Sighting { place: old.place.clone(), ..new.clone() };
    *old == placed
}

/// The study was another patient's before: what was seen then does not count there.
fn elsewhere(transaction: &Transaction<'_>, visit: &Visit, patient: &str) -> Result<(), store::Error> {
    for other in lesions::patients_of_source(transaction, &visit.source)? {
        if other == patient {
            continue;
        }
        for seen in book(transaction, &other)?.sightings() {
            if seen.sighting.shown.source == visit.source && !seen.retracted {
                write(transaction, &other, "", &Entry::NotAgain { of: seen.id })?;
            }
        }
    }
    Ok(())
}
