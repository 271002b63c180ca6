//! A person enters something about a lesion: it is checked against what is known and written, with the name.

use custody::store::{self, events, lesions};
use dicom::text::steers;
use jiff::civil::Date;
use models::lesion::book::{Book, Wrong};
use models::lesion::due;
use models::lesion::entry::Entry;
use models::lesion::same::{self, Verdict};
use rusqlite::Transaction;

use super::{book, is_same_person, write};

/// Of a component group of a person name (PS3.5 section 6.2).
const LONGEST_NAME: usize = 64;
const LONGEST_TEXT: usize = 400;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What it is about is not there.
    #[error("{0}; `scansidectl lesions list` shows what there is")]
    NotFound(Wrong),
    #[error("{0}")]
    Wrong(Wrong),
    /// It is closed already.
    #[error("{0}")]
    NotPossible(Wrong),
    #[error("an entry needs the name of who makes it (at most {LONGEST_NAME} characters that can be shown)")]
    Name,
    #[error("a text is longer than {LONGEST_TEXT} characters or holds one that cannot be shown")]
    Text,
    #[error("{0}")]
    Store(#[from] store::Error),
}

impl From<Wrong> for Error {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::NoLesion(_) | Wrong::NoSighting(_) | Wrong::NoRecall(_) | Wrong::NoLine(_) => Self::NotFound(wrong),
            Wrong::Closed(..) => Self::NotPossible(wrong),
            _ => Self::Wrong(wrong),
        }
    }
}

/// Writes it. Returns its number. `today`: in local time.
///
/// # Errors
/// See [`Error`]; then nothing may be written.
pub fn enter(transaction: &Transaction<'_>, by: &str, entry: &Entry, today: Date) -> Result<u64, Error> {
    let by = by.trim();
    if by.is_empty() || by.chars().count() > LONGEST_NAME || by.chars().any(steers) {
        return Err(Error::Name);
    }
    for text in texts(entry) {
        if text.chars().count() > LONGEST_TEXT || text.chars().any(steers) {
            return Err(Error::Text);
        }
    }
    let subject = entry.subject().ok_or(Wrong::Nothing)?;
    let number = i64::try_from(subject).unwrap_or(i64::MAX);
    let Some(patient) = lesions::patient_of(transaction, number)? else { return Err(missing(entry, subject).into()) };
    let before = book(transaction, &patient)?;
    before.check(entry, today, is_same_person)?;
    let entry = &with_true_rule(entry, &before, today);
    let id = write(transaction, &patient, by, entry)?;
    // Where a lesion is may decide which one it is.
    if let Entry::Place { sighting, .. } = entry {
        place_again(transaction, &patient, *sighting)?;
    }
    events::record(transaction, &format!("lesions/{subject}"), entry.kind(), by)?;
    Ok(id)
}

/// A rule is the source of the day and the modality that it gives, not of others that a person chose after it was suggested. A day
/// that has passed is for the next one; a day beside it may be that of another zone.
fn with_true_rule(entry: &Entry, book: &Book, today: Date) -> Entry {
    let mut entry = entry.clone();
    if let Entry::Recall { lesion, due, modality, rule, .. } = &mut entry {
        let gives = book.lesion(*lesion).and_then(|lesion| lesion.suggestion).is_some_and(|found| {
            let day = found.due.max(today.tomorrow().unwrap_or(today));
            found.rule == rule.as_str() && found.modality == modality.as_str() && due::days(day, *due).abs() <= 1
        });
        if !gives {
            rule.clear();
        }
    }
    entry
}

/// A sighting about which nobody had decided, now that somebody has said where it is.
fn place_again(transaction: &Transaction<'_>, patient: &str, sighting: u64) -> Result<(), Error> {
    let book = book(transaction, patient)?;
    let Some(seen) = book.seen(sighting).filter(|seen| seen.lesion.is_none()) else { return Ok(()) };
    let known = book.known(|person| is_same_person(person, &seen.sighting.person));
    let entry = match same::judge(std::slice::from_ref(&seen.sighting), &known, &[]).pop() {
        Some(Verdict::Same(lesion)) => Entry::Link { sighting, lesion },
        Some(Verdict::New) => Entry::Split { sighting },
        _ => return Ok(()),
    };
    // Nobody has said this: it follows.
    write(transaction, patient, "", &entry)?;
    Ok(())
}

fn missing(entry: &Entry, subject: u64) -> Wrong {
    match entry {
        Entry::Link { .. } | Entry::Split { .. } | Entry::Place { .. } => Wrong::NoSighting(subject),
        Entry::Done { .. } | Entry::Cancel { .. } => Wrong::NoRecall(subject),
        Entry::Withdraw { .. } => Wrong::NoLine(subject),
        _ => Wrong::NoLesion(subject),
    }
}

fn texts(entry: &Entry) -> Vec<&str> {
    match entry {
        Entry::Biopsy { marker, .. } => vec![marker],
        Entry::Result { text, .. } => vec![text],
        Entry::Treat { what, .. } => vec![what],
        Entry::Recall { modality, why, rule, .. } => vec![modality, why, rule],
        Entry::Measure { modality, .. } => vec![modality],
        Entry::Done { study_uid, .. } => vec![study_uid],
        Entry::Cancel { reason, .. } | Entry::Withdraw { reason, .. } => vec![reason],
        _ => Vec::new(),
    }
}
