//! Open recalls whose exam has become another patient's since they were entered: whoever is named must not be called, and who is
//! meant is on no list. Asked of what is kept, not noted, so that it also tells of what happened before this was known.

use custody::store::{self, instances, lesions, series};
use dicom::kind::SeriesKind;
use models::lesion::book::{Book, Seen};
use models::lesion::due::Standing;
use models::lesion::same;
use models::lesion::sighting::Person;
use rusqlite::Connection;

use super::listed::RecallRow;
use super::visit::person_of;
use super::{book, is_same_person};

/// Whose it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// The lesion of the other patient; `None`: the exam, as it is analysed now, does not show it.
    lesion: Option<u64>,
}

impl Moved {
    /// The recall with a state of its own and with what a person is to do.
    pub fn tell(self, row: RecallRow) -> RecallRow {
        let whose = match self.lesion {
            Some(lesion) => format!("enter it for lesion {lesion}"),
            None => "enter it for the patient whose exam it is".to_owned(),
        };
        let told = format!(
            "its exam has another name or Patient ID now: do not call this patient, {whose} and cancel this one"
        );
        let why = if row.why.is_empty() { told } else { format!("{told}; {}", row.why) };
        RecallRow { standing: Standing::Moved, why, ..row }
    }
}

/// `None`: something that was seen of the lesion counts, nothing was ever seen of it, or the exam is of the same person and only
/// does not show it any more.
///
/// # Errors
/// When the database fails.
pub fn moved(connection: &Connection, book: &Book, lesion: u64) -> Result<Option<Moved>, store::Error> {
    if !book.is_orphan(lesion) {
        return Ok(None);
    }
    let of_an_exam = |seen: &&Seen| seen.lesion == Some(lesion) && !seen.sighting.shown.source.is_empty();
    for seen in book.sightings().filter(of_an_exam) {
        let moved = match among_lines(connection, seen)? {
            Some(moved) => Some(moved),
            None => by_headers(connection, seen)?.then_some(Moved { lesion: None }),
        };
        if moved.is_some() {
            return Ok(moved);
        }
    }
    Ok(None)
}

/// What is seen in the same exam of another person now.
fn among_lines(connection: &Connection, seen: &Seen) -> Result<Option<Moved>, store::Error> {
    let old = &seen.sighting;
    for patient in lesions::patients_of_source(connection, &old.shown.source)? {
        let book = book(connection, &patient)?;
        let counts = |one: &&Seen| !one.retracted && one.sighting.shown.source == old.shown.source;
        let others: Vec<&Seen> =
            book.sightings().filter(counts).filter(|one| is_other(&one.sighting.person, &old.person)).collect();
        let is_it = |one: &&&Seen| same::again(&[old], std::slice::from_ref(&one.sighting)) != [None];
        if !others.is_empty() {
            return Ok(Some(Moved { lesion: others.iter().find(is_it).and_then(|one| one.lesion) }));
        }
    }
    Ok(None)
}

/// Whether nothing that is counted in the study is of this person, be it that all was sent again elsewhere. Of an exam that was
/// recorded here there is no image, and of a study that nobody knows any more no series: both say nothing.
fn by_headers(connection: &Connection, seen: &Seen) -> Result<bool, store::Error> {
    let study_uid = &seen.sighting.shown.study_uid;
    let received = series::of_study(connection, study_uid)?.into_iter().filter(|row| row.kind != SeriesKind::Exam);
    let mut any = false;
    for row in received {
        any = true;
        let ever = instances::ever_of_series(connection, study_uid, &row.key.series_uid)?;
        if ever.iter().any(|instance| !is_other(&person_of(&instance.header), &seen.sighting.person)) {
            return Ok(false);
        }
    }
    Ok(any)
}

/// A header that says little says the same when it is read again.
fn is_other(a: &Person, b: &Person) -> bool {
    a != b && !is_same_person(a, b)
}
