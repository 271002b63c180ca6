//! What reports say of lesions that the list over the years knows already: asked before a report is written, from the same book
//! and by the same rule by which `record` puts the sightings to lesions when the job ends. Only what is sure is said.

use custody::store;
use custody::store::lesions;
use dicom::patient::is_placeholder_id;
use models::lesion::book::{Book, Seen};
use models::lesion::followed::Followed;
use models::lesion::same::{self, Verdict};
use models::lesion::sighting::Sighting;
use report::stills::Stills;
use report::views::Mammography;
use rusqlite::Connection;

use super::visit::{Common, Visit};
use super::{book, is_same_person, key};

/// What is known of a patient before an exam is reported.
#[derive(Debug)]
pub struct History {
    book: Book,
    /// Without sightings.
    visit: Visit,
}

impl History {
    /// Of the patient of a visit. `None` where nothing is known, or cannot be read: that keeps no result from its patient.
    pub fn read(connection: &Connection, visit: Visit) -> Option<Self> {
        match known(connection, &visit) {
            Ok(book) => book.map(|book| Self { book, visit }),
            Err(error) => {
                tracing::error!(%error, "what is known of lesions cannot be read, reports do not name it");
                None
            }
        }
    }

    /// Says it of the lesions in stored images.
    pub fn tell_stills(&self, stills: &mut Stills, simulated: bool) {
        let visit = self.visit.clone().with_stills(stills, Common { package: "", simulated });
        let ids = stills.lesions.iter().map(|one| one.lesion.id);
        stills.followed = ids.zip(of(&self.book, &visit)).filter_map(|(id, known)| Some((id, known?))).collect();
    }

    /// Says it of the marks in a mammography.
    pub fn tell_marks(&self, study: &mut Mammography, simulated: bool) {
        let Some(marks) = &study.views.marks else { return };
        let visit = self.visit.clone().with_marks(marks, &study.marked, Common { package: "", simulated });
        let numbers = marks.views.iter().flat_map(|view| view.marks.iter().map(|mark| mark.number));
        study.followed = numbers.zip(of(&self.book, &visit)).filter_map(|(n, known)| Some((n, known?))).collect();
    }
}

/// Of each sighting of a visit, in their order; empty where nothing is known or can be read.
pub fn of_visit(connection: &Connection, visit: &Visit) -> Vec<Option<Followed>> {
    let history = History::read(connection, Visit { sightings: Vec::new(), ..visit.clone() });
    history.map(|history| of(&history.book, visit)).unwrap_or_default()
}

/// Whoever has no ID of their own is not found again.
fn known(connection: &Connection, visit: &Visit) -> Result<Option<Book>, store::Error> {
    let patient = key(&visit.person);
    if is_placeholder_id(&visit.person.id) || lesions::of_patient(connection, &patient)?.is_empty() {
        return Ok(None);
    }
    book(connection, &patient).map(Some)
}

/// A repeated analysis asks for what its first one said; a new sighting is judged as `record` will judge it.
fn of(book: &Book, visit: &Visit) -> Vec<Option<Followed>> {
    let is_same = |person: &_| is_same_person(person, &visit.person);
    let old: Vec<&Seen> = book
        .sightings()
        .filter(|seen| seen.sighting.shown.source == visit.source && is_same(&seen.sighting.person))
        .collect();
    let sightings: Vec<&Sighting> = old.iter().map(|seen| &seen.sighting).collect();
    let again = same::again(&sightings, &visit.sightings);
    // As if each were new, with numbers that no line has.
    let ids: Vec<u64> = (0..visit.sightings.len() as u64).map(|index| u64::MAX - index).collect();
    let known = book.known(is_same);
    let judged = same::judge(&visit.sightings, &known, &ids);
    let judged = visit.sightings.iter().zip(again).zip(judged);
    let lesion = |((new, again), verdict): ((&Sighting, Option<usize>), Verdict)| match (again, verdict) {
        // One whose side or place was corrected is as new; a retracted one comes back to its lesion.
        (Some(index), _) if !book.has_left(old[index], &new.place) => old[index].lesion,
        (_, Verdict::Same(lesion)) if !ids.contains(&lesion) => Some(lesion),
        _ => None,
    };
    let lesions = judged.map(lesion);
    lesions.map(|lesion| book.followed(lesion?, visit.date, &visit.source)).map(useful).collect()
}

/// A lesion that only this exam has seen is not known from earlier ones.
fn useful(followed: Option<Followed>) -> Option<Followed> {
    followed.filter(|followed| followed.earlier.is_some())
}

#[cfg(test)]
mod tests {
    use custody::store::{Durability, Store};
    use models::findings::Side;
    use models::lesion::sighting::{By, Method, Person, Place, Shown};
    use rusqlite::TransactionBehavior;

    use super::*;
    use crate::lesions::record::record;

    fn visit(day: &str, object: &str, place: Place, mm: f64) -> Visit {
        let person = Person { id: "P1".into(), name: "A^B".into(), birth_date: "19700101".into(), ..Person::default() };
        let (date, source) = (day.parse().unwrap(), format!("1.2/{object}"));
        let sighting = Sighting {
            person: person.clone(),
            date,
            method: Method { modality: "US".into(), by: By::Software("net 1".into()) },
            place,
            axes_mm: vec![mm, mm - 2.0],
            gone: false,
            shown: Shown {
                object_uid: object.into(),
                source: source.clone(),
                bounds: Some([1.0, 1.0, 9.0, 9.0]),
                ..Shown::default()
            },
            simulated: false,
        };
        Visit {
            person,
            date,
            modality: "US",
            study_uid: "1.2".into(),
            source,
            sides: Vec::new(),
            may_show_more: false,
            is_whole: true,
            simulated: false,
            looked_at: None,
            has_gone: false,
            sightings: vec![sighting],
        }
    }

    fn place() -> Place {
        Place { side: Some(Side::Left), clock: Some(2), distance_mm: Some(30.0), in_view: None }
    }

    #[test]
    fn a_report_names_what_is_surely_known_before_its_job_has_ended_and_when_it_is_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        let write = |connection: &mut Connection, visit: &Visit| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
            record(&transaction, visit).unwrap();
            transaction.commit().unwrap();
        };
        let first = visit("2026-01-10", "1", place(), 10.0);
        assert_eq!(of_visit(&connection, &first), Vec::new(), "nobody knows the patient");
        write(&mut connection, &first);
        assert_eq!(of_visit(&connection, &first), [None], "its own sighting is no earlier one");
        let second = visit("2026-07-10", "2", place(), 12.0);
        let known = of_visit(&connection, &second);
        let earlier = known[0].as_ref().and_then(|known| known.earlier.as_ref()).unwrap();
        assert_eq!((earlier.date.to_string().as_str(), earlier.axes_mm.as_slice()), ("2026-01-10", &[10.0, 8.0][..]));
        write(&mut connection, &second);
        assert_eq!(of_visit(&connection, &second), known, "repeated, it says the same");
        let corrected = visit("2026-07-10", "2", Place { side: Some(Side::Right), ..place() }, 12.0);
        assert_eq!(of_visit(&connection, &corrected), [None], "its side was corrected: it is none of the left breast");
        let doubtful = visit("2026-09-10", "3", Place { side: Some(Side::Left), ..Place::default() }, 12.0);
        assert_eq!(of_visit(&connection, &doubtful), [None], "what a person has to decide is not said");
        let mut other = visit("2026-09-10", "4", place(), 12.0);
        other.person.name = "X^Y".into();
        other.person.birth_date = "19500505".into();
        assert_eq!(of_visit(&connection, &other), [None], "another person with the same ID");
    }
}
