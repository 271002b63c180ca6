//! Lesions over the years: what exams and tasks saw is written with their results (`record`), what people decide is checked
//! and written (`enter`), and both are read as one book (`listed`). The rules are in `models::lesion`.

pub mod enter;
pub mod export;
pub mod followed;
pub mod listed;
pub mod moved;
pub mod record;
#[cfg(test)]
pub(crate) mod tests;
pub mod visit;

use custody::series::SeriesKey;
use custody::store::{self, lesions};
use dicom::header::Header;
use dicom::kind::SeriesKind;
use dicom::patient::{Identity, plain_id};
use hal::clock::local_day_of;
use models::lesion::book::Book;
use models::lesion::entry::{Entry, Line};
use models::lesion::sighting::Person;
use rusqlite::{Connection, Transaction};

/// Under which all lines of a person are found. Persons who share an ID are told apart by [`is_same_person`].
pub fn key(person: &Person) -> String {
    plain_id(&person.id)
}

/// What is analysed at once: a series of a study, since devices repeat Series Instance UIDs.
pub fn source_of_series(study_uid: &str, series_uid: &str) -> String {
    format!("{study_uid}/{series_uid}")
}

/// A task of a whole study.
pub fn source_of_task(study_uid: &str, task: &str) -> String {
    format!("{study_uid}/{task}")
}

/// A recording of an exam of this box; its series is nobody else's.
pub fn source_of_recording(series_uid: &str) -> String {
    series_uid.to_owned()
}

/// What a job on a series of this kind analyses, or its task on the whole study.
pub fn source_of(key: &SeriesKey, kind: SeriesKind, task: Option<&str>) -> String {
    match (task, kind) {
        (Some(task), _) => source_of_task(&key.study_uid, task),
        (None, SeriesKind::Exam) => source_of_recording(&key.series_uid),
        (None, _) => source_of_series(&key.study_uid, &key.series_uid),
    }
}

/// As `Identity::is_same_person` judges: a wrong patient is worse than none.
pub fn is_same_person(a: &Person, b: &Person) -> bool {
    identity(a).is_same_person(&identity(b))
}

fn identity(person: &Person) -> Identity {
    Identity::of(&Header {
        patient_id: person.id.clone(),
        issuer_of_patient_id: person.issuer.clone(),
        patient_name: person.name.clone(),
        birth_date: person.birth_date.clone(),
        sex: person.sex.clone(),
        ..Header::default()
    })
}

/// The book of all persons with this ID.
///
/// # Errors
/// When the database fails.
pub fn book(connection: &Connection, patient: &str) -> Result<Book, store::Error> {
    Ok(Book::of(&lines(connection, patient)?))
}

fn lines(connection: &Connection, patient: &str) -> Result<Vec<Line>, store::Error> {
    let rows = lesions::of_patient(connection, patient)?;
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        // No line may keep an exam from its results. The error may quote the line, which names a patient.
        let Ok(entry) = serde_json::from_str::<Entry>(&row.entry) else {
            tracing::error!(line = row.id, "a line about lesions cannot be read and does not count");
            continue;
        };
        let day = local_day_of(&row.utc).unwrap_or_default();
        lines.push(Line { id: row.id.unsigned_abs(), day, utc: row.utc, by: row.by, entry });
    }
    Ok(lines)
}

fn write(transaction: &Transaction<'_>, patient: &str, by: &str, entry: &Entry) -> Result<u64, store::Error> {
    let source = match entry {
        Entry::Seen { sighting, .. } => sighting.shown.source.as_str(),
        _ => "",
    };
    write_of(transaction, patient, by, entry, source)
}

/// `source`: what was analysed when the line comes of an analysis, so that it is found when the study changes hands.
fn write_of(
    transaction: &Transaction<'_>,
    patient: &str,
    by: &str,
    entry: &Entry,
    source: &str,
) -> Result<u64, store::Error> {
    let json = serde_json::to_string(entry)?;
    let line = lesions::New { by, patient, kind: entry.kind(), source, entry: &json };
    Ok(lesions::insert(transaction, line)?.unsigned_abs())
}
