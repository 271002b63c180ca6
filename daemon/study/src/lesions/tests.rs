//! Visits, decisions and recalls over the years, on a real database.

mod shown;

use custody::store::{Durability, Store, events};
use dicom::header::Header;
use jiff::civil::{Date, date};
use models::findings::Side;
use models::lesion::due::Standing;
use models::lesion::entry::{Entry, Outcome};
use models::lesion::sighting::{By, Method, Person, Place, Shown, Sighting};
use models::review::edit::{Edit, Field, Values};
use models::review::marks::{ListedMark, MarkReview, Marked};
use models::review::{Decided, Decision, Document};
use models::task::mammography_views::StandardView;
use models::task::mg_breast::kind::{Kind, Stage};
use models::task::mg_breast::marks::{Mark, MarkedView, Marks};
use report::stills::Stills;
use report::views;
use rusqlite::Connection;

use super::enter::{self, Error};
use super::listed::{self, RecallRow, Wanted};
use super::record::{self, Recorded};
use super::visit::{self, Common, Visit};

pub fn some_row() -> RecallRow {
    RecallRow {
        id: 9,
        lesion: 1,
        person: person("Zhang^San", "19700101"),
        side: Some(Side::Left),
        clock: Some(10),
        distance_mm: Some(40.0),
        due: date(2027, 1, 10),
        standing: Standing::Due,
        days: 12,
        modality: "US".into(),
        why: "probably harmless".into(),
        rule: String::new(),
        by: "Li Ming".into(),
        entered: date(2026, 1, 10),
        last_date: Some(date(2026, 1, 10)),
        last_longest_mm: Some(12.0),
        last_modality: "US".into(),
        came: None,
        done: None,
        done_study_uid: String::new(),
        reason: String::new(),
        simulated: false,
    }
}

fn person(name: &str, birth_date: &str) -> Person {
    Person { id: "P1".into(), name: name.into(), birth_date: birth_date.into(), sex: "F".into(), ..Person::default() }
}

fn placed(side: Side) -> Place {
    Place { side: Some(side), clock: Some(10), distance_mm: Some(40.0), ..Place::default() }
}

/// A visit with one mark of this size at this place.
fn visit(person: Person, day: Date, place: Place, mm: f64) -> Visit {
    let source = format!("1.2.{}", day.strftime("%Y%m%d"));
    let shown = Shown {
        study_uid: format!("{source}.0"),
        source: source.clone(),
        object_uid: format!("{source}.1"),
        bounds: Some([10.0, 10.0, 50.0, 40.0]),
        label: "Lesion 1".into(),
        frame: None,
    };
    let sighting = Sighting {
        person: person.clone(),
        date: day,
        method: Method { modality: "US".into(), by: By::Software("net 1".into()) },
        place,
        axes_mm: vec![mm, mm / 2.0],
        gone: false,
        shown,
        simulated: false,
    };
    let study_uid = format!("{source}.0");
    let sides = sighting.place.side.into_iter().collect();
    let (modality, sightings) = ("US", vec![sighting]);
    Visit {
        person,
        date: day,
        modality,
        study_uid,
        source,
        sides,
        may_show_more: false,
        is_whole: true,
        simulated: false,
        looked_at: None,
        has_gone: false,
        sightings,
    }
}

struct Box {
    _folder: tempfile::TempDir,
    connection: Connection,
}

impl Box {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let connection = store.connect(Durability::Full).unwrap();
        Self { _folder: folder, connection }
    }

    fn record(&mut self, visit: &Visit) -> Recorded {
        let transaction = self.connection.transaction().unwrap();
        let recorded = record::record(&transaction, visit).unwrap();
        transaction.commit().unwrap();
        recorded
    }

    fn enter(&mut self, entry: &Entry, today: Date) -> Result<u64, Error> {
        let transaction = self.connection.transaction().unwrap();
        let id = enter::enter(&transaction, "Li Ming", entry, today)?;
        transaction.commit().unwrap();
        Ok(id)
    }

    fn recalls(&self, today: Date, all: bool) -> Vec<RecallRow> {
        listed::recalls(&self.connection, &Wanted { all, patient: None }, today).unwrap()
    }

    fn lines(&self) -> i64 {
        self.connection.query_row("SELECT count(*) FROM lesion_lines", [], |row| row.get(0)).unwrap()
    }
}

fn someone() -> Person {
    person("Zhang^San", "19700101")
}

mod gone;

fn recall(lesion: u64, due: Date) -> Entry {
    Entry::Recall { lesion, due, modality: String::new(), why: "control".into(), rule: String::new() }
}

#[test]
fn a_lesion_that_comes_back_after_a_year_is_one_and_its_recall_is_done_by_that_exam() {
    let mut its = Box::new();
    let first = date(2026, 11, 20);
    assert_eq!(
        its.record(&visit(someone(), first, placed(Side::Left), 20.0)),
        Recorded { new: 1, ..Recorded::default() }
    );
    // Entered on the day of the test, since a line bears the time of the machine.
    let due = date(2120, 5, 1);
    let id = its.enter(&recall(1, due), date(2026, 11, 20)).unwrap();
    let standing = |its: &Box, today| its.recalls(today, false)[0].standing;
    assert_eq!(standing(&its, date(2120, 1, 1)), Standing::Open);
    assert_eq!(standing(&its, date(2120, 4, 20)), Standing::Due);
    assert_eq!(standing(&its, date(2120, 6, 1)), Standing::Overdue);
    let next = its.record(&visit(someone(), date(2120, 6, 2), placed(Side::Left), 14.0));
    assert_eq!(next, Recorded { same: 1, met: 1, ..Recorded::default() });
    assert!(its.recalls(date(2120, 6, 3), false).is_empty());
    let done = &its.recalls(date(2120, 6, 3), true)[0];
    assert_eq!((done.id, done.standing, done.done), (id, Standing::Done, Some(date(2120, 6, 2))));
    let lesion = listed::show(&its.connection, 1).unwrap().unwrap().lesion;
    assert_eq!((lesion.sightings.len(), lesion.change.unwrap().longest_mm), (2, [20.0, 14.0]));
}

#[test]
fn an_exam_of_the_other_breast_of_another_person_or_by_a_simulated_device_meets_no_recall() {
    let mut its = Box::new();
    its.record(&visit(someone(), date(2026, 11, 20), placed(Side::Left), 20.0));
    its.enter(&recall(1, date(2120, 5, 1)), date(2026, 11, 20)).unwrap();
    let day = |number| date(2120, 5, number);
    let exams = [
        visit(someone(), day(1), placed(Side::Right), 20.0),
        visit(person("Li^Si", "19810303"), day(2), placed(Side::Left), 20.0),
        Visit { simulated: true, ..visit(someone(), day(3), placed(Side::Left), 20.0) },
        visit(someone(), date(2120, 3, 31), placed(Side::Left), 20.0),
    ];
    for exam in &exams {
        assert_eq!(its.record(exam).met, 0, "{exam:?}");
    }
    let nothing = Visit { sightings: Vec::new(), ..visit(someone(), day(5), placed(Side::Left), 20.0) };
    assert_eq!(its.record(&nothing).met, 1, "also one that saw nothing");
}

#[test]
fn a_repeated_analysis_doubles_nothing_and_what_it_does_not_find_any_more_does_not_count() {
    let mut its = Box::new();
    let mut once = visit(someone(), date(2026, 1, 10), placed(Side::Left), 20.0);
    its.record(&once);
    let recorded = its.record(&once);
    assert_eq!((recorded, its.lines()), (Recorded::default(), 1), "the same again says nothing new");
    once.sightings[0].axes_mm = vec![21.0, 9.0];
    its.record(&once);
    let lesion = listed::show(&its.connection, 1).unwrap().unwrap().lesion;
    assert_eq!((lesion.visits.len(), lesion.visits[0].longest_mm), (1, 21.0));
    once.sightings.clear();
    its.record(&once);
    assert!(listed::list(&its.connection, None, 0).unwrap().lesions.is_empty());
    assert_eq!(its.lines(), 3, "nothing was removed");
}

#[test]
fn another_person_with_the_same_id_is_never_compared_nor_linked() {
    let mut its = Box::new();
    its.record(&visit(someone(), date(2026, 1, 10), placed(Side::Left), 20.0));
    let other = person("Li^Si", "19810303");
    assert_eq!(its.record(&visit(other, date(2026, 2, 10), placed(Side::Left), 20.0)).new, 1);
    let link = Entry::Link { sighting: 2, lesion: 1 };
    let refused = its.enter(&link, date(2026, 3, 1)).unwrap_err().to_string();
    assert_eq!(refused, "sighting 2 and lesion 1 are not surely of one person");
    let nameless = Person { id: "P1".into(), ..Person::default() };
    let recorded = its.record(&visit(nameless, date(2026, 3, 10), placed(Side::Left), 20.0));
    assert_eq!(recorded.new, 1, "an ID alone binds nobody");
}

#[test]
fn a_study_that_was_another_patients_counts_there_no_more() {
    let mut its = Box::new();
    let wrong = visit(someone(), date(2026, 1, 10), placed(Side::Left), 20.0);
    its.record(&wrong);
    let right = Person { id: "P2".into(), ..someone() };
    let mut corrected = wrong;
    corrected.sightings[0].person = right.clone();
    corrected.person = right;
    its.record(&corrected);
    let of = |its: &Box, id: &str| listed::list(&its.connection, Some(id), 0).unwrap().lesions.len();
    assert_eq!((of(&its, "P1"), of(&its, " p2 ")), (0, 1));
}

#[test]
fn what_people_entered_of_a_lesion_that_became_another_patients_is_told_and_gets_nothing_new() {
    let mut its = Box::new();
    let wrong = visit(someone(), date(2026, 1, 10), placed(Side::Left), 20.0);
    its.record(&wrong);
    its.enter(&recall(1, date(2027, 1, 10)), date(2026, 1, 11)).unwrap();
    let right = Person { id: "P2".into(), ..someone() };
    let mut corrected = wrong;
    corrected.sightings[0].person = right.clone();
    corrected.person = right;
    its.record(&corrected);
    let told = events::latest(&its.connection, 100).unwrap();
    let told = told.iter().filter(|event| event.what == "only what people entered is left").count();
    let rows = its.recalls(date(2027, 2, 1), false);
    assert_eq!((told, rows.len(), rows[0].standing), (1, 1, Standing::Moved), "a person decides about it");
    assert!(rows[0].why.contains("do not call this patient") && rows[0].why.contains("lesion 4"), "{}", rows[0].why);
    let next = its.record(&visit(someone(), date(2026, 3, 10), placed(Side::Left), 20.0));
    assert_eq!((next.new, next.same, next.open), (1, 0, 0), "the first patient's own lesion is no other's");
    let later = its.record(&visit(someone(), date(2120, 1, 10), placed(Side::Left), 20.0));
    assert_eq!((later.met, later.perhaps), (0, 0), "it was never hers");
}

#[test]
fn a_rule_stays_with_the_day_and_the_modality_that_it_gives() {
    let mut its = Box::new();
    its.record(&visit(someone(), date(2026, 1, 10), placed(Side::Left), 20.0));
    let malignant =
        Entry::Result { lesion: 1, date: date(2026, 1, 12), outcome: Outcome::Malignant, text: String::new() };
    its.enter(&malignant, date(2026, 1, 12)).unwrap();
    let today = date(2027, 6, 1);
    let found = listed::show(&its.connection, 1).unwrap().unwrap().lesion.suggestion.unwrap();
    assert!(found.due < today, "it should have been in January");
    let asked = |due, modality: &str| Entry::Recall {
        lesion: 1,
        due,
        modality: modality.into(),
        why: String::new(),
        rule: found.rule.into(),
    };
    let next = date(2027, 6, 2);
    // A day of her own, another modality, and what the rule gives, which closes the suggestion.
    for entry in [asked(date(2027, 9, 1), "MG"), asked(next, "US"), asked(next, "MG")] {
        let id = its.enter(&entry, today).unwrap();
        its.enter(&Entry::Cancel { recall: id, reason: "a test".into() }, today).unwrap();
    }
    let mut rows = its.recalls(today, true);
    rows.sort_by_key(|row| row.id);
    let rules: Vec<&str> = rows.iter().map(|row| row.rule.as_str()).collect();
    assert_eq!(rules, ["", "", found.rule]);
}

/// That a newer package does not find it is no reason not to come again.
#[test]
fn a_recall_whose_lesion_is_only_not_found_again_is_due_and_met() {
    let mut its = Box::new();
    let exam = visit(someone(), date(2026, 1, 10), placed(Side::Left), 20.0);
    its.record(&exam);
    its.enter(&recall(1, date(2027, 1, 10)), date(2026, 1, 11)).unwrap();
    its.record(&Visit { sightings: Vec::new(), ..exam });
    assert_eq!(its.recalls(date(2027, 2, 1), false)[0].standing, Standing::Overdue);
    assert_eq!(its.record(&visit(someone(), date(2120, 1, 10), placed(Side::Left), 20.0)).met, 1);
}

#[test]
fn a_study_that_was_another_patients_opens_the_recall_that_it_closed_there() {
    let mut its = Box::new();
    its.record(&visit(someone(), date(2026, 11, 20), placed(Side::Left), 20.0));
    its.enter(&recall(1, date(2120, 5, 1)), date(2026, 11, 20)).unwrap();
    // One that saw nothing, too.
    let mut exam = Visit { sightings: Vec::new(), ..visit(someone(), date(2120, 5, 2), placed(Side::Left), 20.0) };
    assert_eq!(its.record(&exam).met, 1);
    let open = |its: &Box| its.recalls(date(2120, 5, 3), false).len();
    assert_eq!(open(&its), 0);
    exam.person = Person { id: "P2".into(), ..someone() };
    its.record(&exam);
    assert_eq!(open(&its), 1);
    // The same ID, and another person.
    exam.person = someone();
    assert_eq!((its.record(&exam).met, open(&its)), (1, 0));
    exam.person = person("Li^Si", "19810303");
    its.record(&exam);
    assert_eq!(open(&its), 1);
}

#[test]
fn what_was_seen_of_another_person_with_the_same_id_leaves_the_lesion_of_the_first() {
    let mut its = Box::new();
    let mut exam = visit(someone(), date(2026, 1, 10), placed(Side::Left), 20.0);
    its.record(&exam);
    let other = person("Li^Si", "19810303");
    exam.person = other.clone();
    exam.sightings[0].person = other;
    assert_eq!(its.record(&exam).new, 1);
    let lesions = listed::list(&its.connection, None, 0).unwrap().lesions;
    let names: Vec<&str> = lesions.iter().map(|lesion| lesion.person.name.as_str()).collect();
    assert_eq!(names, ["Li^Si"]);
}

/// A lesion of the left breast whose recall was met by this exam, on this day.
fn met() -> (Box, Visit, Date) {
    let mut its = Box::new();
    its.record(&visit(someone(), date(2026, 1, 10), placed(Side::Left), 20.0));
    let due = date(2120, 5, 1);
    its.enter(&recall(1, due), date(2026, 1, 11)).unwrap();
    let exam = visit(someone(), due, placed(Side::Left), 14.0);
    assert_eq!(its.record(&exam).met, 1);
    (its, exam, due)
}

/// Sent again as another patient's, under other UIDs: no analysis of the first series follows.
#[test]
fn what_is_taken_back_reopens_its_recall_and_counts_again_when_it_is_said_again() {
    let (mut its, exam, due) = met();
    let state = |its: &Box| {
        let visits: usize = listed::list(&its.connection, None, 0).unwrap().lesions.iter().map(|one| one.visits).sum();
        (its.recalls(due, false).len(), visits)
    };
    assert_eq!(state(&its), (0, 2));
    let transaction = its.connection.transaction().unwrap();
    assert!(record::take_back(&transaction, &exam.source).unwrap());
    assert!(!record::take_back(&transaction, "1.2.3/4.5").unwrap(), "of which nothing was said");
    transaction.commit().unwrap();
    assert_eq!(state(&its), (1, 1));
    its.record(&exam);
    assert_eq!(state(&its), (0, 2), "it holds after all");
}

/// The database and its copy were lost, and the line of the lesion has rotted in the file beside them.
/// Promise: no receiver takes the recall of one woman for that of another, whatever numbers two boxes gave them.
#[test]
fn recalls_of_two_boxes_share_no_identifier() {
    let of = |who: Person| {
        let mut its = Box::new();
        its.record(&visit(who, date(2026, 1, 10), placed(Side::Left), 20.0));
        its.enter(&recall(1, date(2027, 1, 10)), date(2026, 1, 11)).unwrap();
        let bundle = super::export::fhir::bundle(&its.recalls(date(2026, 2, 1), false), "2026-02-01T00:00:00Z");
        let mut own = Vec::new();
        for entry in bundle["entry"].as_array().unwrap() {
            own.push(entry["fullUrl"].to_string());
            if entry["resource"]["resourceType"] != "Patient" {
                own.push(entry["resource"]["identifier"].to_string());
            }
        }
        own
    };
    let (first, second) = (of(someone()), of(person("Li^Si", "19650303")));
    assert_eq!((first.len(), second.len()), (5, 5));
    assert!(first.iter().all(|one| !second.contains(one)), "{first:?} {second:?}");
    assert_eq!(first, of(someone()), "the same list makes nothing twice");
}

#[test]
fn a_recall_whose_lesion_cannot_be_read_is_still_due() {
    let mut its = Box::new();
    its.record(&visit(someone(), date(2026, 1, 10), placed(Side::Left), 20.0));
    its.enter(&recall(1, date(2027, 1, 10)), date(2026, 1, 11)).unwrap();
    its.connection
        .execute_batch("DROP TRIGGER lesion_lines_stay; DELETE FROM lesion_lines WHERE kind = 'seen'")
        .unwrap();
    let rows = its.recalls(date(2027, 2, 1), false);
    assert_eq!((rows[0].person.id.as_str(), rows[0].standing), ("p1", Standing::Overdue));
    assert!(rows[0].why.contains("cannot be read") && rows[0].why.contains("lower case"), "{}", rows[0].why);
    // Another lesion has the ID as it was written.
    its.record(&visit(someone(), date(2026, 3, 10), placed(Side::Right), 9.0));
    let rows = its.recalls(date(2027, 2, 1), false);
    assert_eq!(rows[0].person.id, "P1");
    assert!(!rows[0].why.contains("lower case"), "{}", rows[0].why);
}

#[test]
fn a_sighting_whose_side_was_corrected_leaves_the_lesion_of_the_other_breast() {
    let mut its = Box::new();
    its.record(&visit(someone(), date(2025, 1, 10), placed(Side::Left), 20.0));
    let mut exam = visit(someone(), date(2026, 1, 10), placed(Side::Left), 21.0);
    assert_eq!(its.record(&exam).same, 1);
    exam.sightings[0].place = placed(Side::Right);
    exam.sides = vec![Side::Right];
    assert_eq!(its.record(&exam).new, 1);
    let lesions = listed::list(&its.connection, None, 0).unwrap().lesions;
    let sides: Vec<_> = lesions.iter().map(|lesion| (lesion.place.side, lesion.visits)).collect();
    assert_eq!(sides, [(Some(Side::Left), 1), (Some(Side::Right), 1)]);
    // And back, by another correction.
    exam.sightings[0].place = placed(Side::Left);
    its.record(&exam);
    let lesions = listed::list(&its.connection, None, 0).unwrap().lesions;
    assert_eq!(lesions.iter().map(|lesion| lesion.visits).collect::<Vec<_>>(), [2]);
}

#[test]
fn what_follows_from_a_place_is_not_said_in_the_name_of_who_gave_it() {
    let mut its = Box::new();
    its.record(&visit(someone(), date(2025, 1, 10), placed(Side::Left), 20.0));
    its.record(&visit(someone(), date(2026, 1, 10), Place::default(), 22.0));
    its.enter(&Entry::Place { sighting: 2, place: placed(Side::Left) }, date(2026, 1, 11)).unwrap();
    let said: Vec<(String, String)> = super::lines(&its.connection, "p1")
        .unwrap()
        .into_iter()
        .map(|line| (line.entry.kind().to_owned(), line.by))
        .collect();
    assert_eq!(said[2..], [("place".into(), "Li Ming".into()), ("link".into(), String::new())]);
}

#[test]
fn a_place_that_a_person_gives_decides_which_lesion_it_is() {
    let mut its = Box::new();
    its.record(&visit(someone(), date(2025, 1, 10), placed(Side::Left), 20.0));
    assert_eq!(its.record(&visit(someone(), date(2026, 1, 10), Place::default(), 22.0)).open, 1);
    assert_eq!(listed::list(&its.connection, None, 0).unwrap().undecided.len(), 1);
    let place = Place { clock: Some(11), ..placed(Side::Left) };
    its.enter(&Entry::Place { sighting: 2, place }, date(2026, 1, 11)).unwrap();
    let listing = listed::list(&its.connection, None, 0).unwrap();
    assert_eq!((listing.lesions.len(), listing.undecided.len(), listing.lesions[0].visits), (1, 0, 2));
}

#[test]
fn an_entry_needs_a_name_and_something_that_is_there() {
    let mut its = Box::new();
    its.record(&visit(someone(), date(2026, 1, 10), placed(Side::Left), 20.0));
    let today = date(2026, 2, 1);
    assert!(matches!(its.enter(&recall(7, date(2027, 1, 1)), today), Err(Error::NotFound(_))));
    assert!(matches!(its.enter(&recall(1, date(2026, 1, 1)), today), Err(Error::Wrong(_))));
    let id = its.enter(&recall(1, date(2027, 1, 1)), today).unwrap();
    its.enter(&Entry::Cancel { recall: id, reason: "moved away".into() }, today).unwrap();
    assert!(matches!(its.enter(&Entry::Cancel { recall: id, reason: "x".into() }, today), Err(Error::NotPossible(_))));
    let transaction = its.connection.transaction().unwrap();
    for by in ["", "  ", "a\u{1b}[31m"] {
        assert!(
            matches!(enter::enter(&transaction, by, &recall(1, date(2027, 1, 1)), today), Err(Error::Name)),
            "{by:?}"
        );
    }
}

#[test]
fn the_day_of_a_visit_is_that_of_the_study() {
    let header = Header { study_date: "20260110".into(), patient_id: " P1 ".into(), ..Header::default() };
    let arrived = |utc, is_sure| visit::Arrived { utc, is_sure };
    let found = visit::of_header(&header, "US", "1.2".into(), arrived("2026-02-01T00:00:00.000Z", true)).unwrap();
    assert_eq!((found.date, found.person.id.as_str()), (date(2026, 1, 10), "P1"));
    let of = |study_date: &str, is_sure| {
        let header = Header { study_date: study_date.into(), ..header.clone() };
        let arrived = arrived("2026-02-01T12:00:00.000Z", is_sure);
        visit::of_header(&header, "US", "1.2".into(), arrived).map(|visit| visit.date.year())
    };
    let years = (of("20290110", true), of("", true), of("20250110", true));
    assert_eq!(years, (Some(2026), Some(2026), Some(2025)), "no day to come");
    assert_eq!(
        (of("20290110", false), of("", false)),
        (Some(2029), Some(2026)),
        "this box may be the one that is wrong"
    );
}

/// The first one gets another size, the second one another place or kind.
fn edited(marked: &Marked, second: (Field, &str)) -> MarkReview {
    let (size, other) = ([(Field::LongMm, "21.5"), (Field::ShortMm, "12.5")], [second]);
    let decide = |(index, one): (usize, &ListedMark)| {
        let values: &[(Field, &str)] = if index == 0 { &size } else { &other };
        let values: Values = values.iter().map(|(field, value)| (*field, (*value).to_owned())).collect();
        let edit = Some(Edit { by: "Li Ming".into(), values });
        Decided { listed: one.clone(), decision: Decision::Edited, comment: String::new(), edit }
    };
    let text = |text: &str| text.to_owned();
    let predecessor =
        Document { study_uid: text("1"), series_uid: text("2"), sop_class: text("3"), sop_uid: text("4") };
    let decisions = marked.listed.iter().enumerate().map(decide).collect();
    let (by, utc, package) = (text("Li Ming"), text("2026-11-30T05:00:00.000Z"), marked.package.clone());
    MarkReview { by, utc, package, decisions, predecessor }
}

/// It would be compared with what software measured another time.
#[test]
fn a_size_that_a_person_edited_is_not_entered_as_measured_by_the_software() {
    let common = Common { package: "net 1", simulated: false };
    let empty = || Visit { sightings: Vec::new(), ..visit(someone(), date(2026, 1, 10), Place::default(), 1.0) };
    let axes = |visit: &Visit| visit.sightings.iter().map(|one| one.axes_mm.clone()).collect::<Vec<_>>();
    let of_software: Vec<Vec<f64>> = vec![Vec::new(), vec![14.2, 9.7]];
    let mark = |number: usize| Mark {
        number,
        kind: Kind::Mass,
        score: 0.8,
        at: [20.0, 30.0],
        bounds: [10.0, 20.0, 30.0, 40.0],
        at_mm: [4.0, 6.0],
        size_mm: [14.2, 9.7],
        behind_nipple_mm: 33.6,
        below_nipple_mm: -5.0,
    };
    let view = MarkedView {
        view: StandardView::RightCc,
        sop_instance_uid: "1.2.3".into(),
        stage: Stage::OneView,
        mm_per_pixel: 0.2,
        marks: vec![mark(1), mark(2)],
        candidates: Vec::new(),
    };
    let mut marks = Marks { views: vec![view], withheld: Vec::new(), right: Some(0.8), left: None, case: Some(0.8) };
    let mut marked = views::marks::listed(&marks, "net 1 ab".into(), String::new());
    let review = edited(&marked, (Field::Kind, "distortion"));
    marked.judge(Some(&review), true);
    views::marks::take_out(&mut marks, &mut marked);
    assert_eq!(axes(&empty().with_marks(&marks, &marked, common)), of_software);
    let image = shown::image("1.2.3", Side::Left);
    let lesions = [1, 2].map(|id| shown::lesion(id, 0)).into();
    let mut stills = Stills { images: vec![image], lesions, ..Stills::default() };
    stills.list("net 1 ab".into());
    let review = edited(&stills.marked, (Field::Clock, "10"));
    stills.marked.judge(Some(&review), true);
    stills.take_out();
    let seen = empty().with_stills(&stills, common);
    assert_eq!((axes(&seen), seen.sightings[1].place.clock), (of_software, Some(10)));
}

#[test]
fn nobody_s_lesions_are_kept_under_an_id_that_is_everybody_s() {
    let mut a = Box::new();
    for id in ["", "0000", "123456"] {
        let person = Person { id: id.into(), ..person("Zhang^San", "19700101") };
        let recorded = a.record(&visit(person, date(2026, 1, 10), placed(Side::Left), 12.0));
        assert_eq!((recorded, a.lines()), (Recorded::default(), 0), "{id}");
    }
}

/// A newer version may have written it, or a disk may have spoilt it.
#[test]
fn a_line_that_cannot_be_read_keeps_no_exam_from_its_results() {
    let mut a = Box::new();
    let seen = |year| visit(person("Zhang^San", "19700101"), date(year, 1, 10), placed(Side::Left), 12.0);
    a.record(&seen(2026));
    let spoilt = "INSERT INTO lesion_lines (utc, by_whom, patient, kind, source, entry)
        SELECT utc, by_whom, patient, 'of tomorrow', source, '{\"kind\":\"of tomorrow\"}' FROM lesion_lines";
    a.connection.execute(spoilt, []).unwrap();
    assert_eq!(a.record(&seen(2027)).same, 1);
}
