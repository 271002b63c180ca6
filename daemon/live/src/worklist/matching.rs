//! Compares what was typed with the worklist, and completes or refuses it. Pure.

use dicom::patient::Patient;
use dicom::request::Request;

use super::{Entry, Order, Taken};
use crate::identity::same_name;

/// Why the worklist does not allow the order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("the worklist has this {0} for two patients: is this the right patient?")]
    TwoPatients(&'static str),
    #[error("the worklist has no order with this accession number: type the patient")]
    NotListed,
    #[error("the order that was chosen is not in the worklist any more: open the list again, or type the patient")]
    Gone,
    /// `by`: what both have in common; `what`: what differs.
    #[error("the worklist has this {by} with another {what}: is this the right patient?")]
    Other { by: &'static str, what: &'static str },
}

/// What somebody wants to begin.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub patient: Patient,
    /// Its accession number must be in the worklist; otherwise the worklist only counts where it has the same patient ID or
    /// accession number.
    pub listed: bool,
    /// Of the entry that was chosen; empty: none was.
    pub study_uid: String,
}

/// The order that is meant. `today` (YYYYMMDD): without a choice and an accession number only an order of today, or of no day, can be
/// meant.
///
/// # Errors
/// When the worklist names another patient, or does not know what must be listed.
pub fn resolve(wanted: Wanted, today: &str, entries: &[Entry]) -> Result<Order, Mismatch> {
    let Wanted { patient: typed, listed, study_uid } = wanted;
    if !study_uid.is_empty() {
        let is_chosen = |entry: &&Entry| entry.study_uid == study_uid && fits_number(&entry.patient, &typed);
        let chosen: Vec<&Entry> = entries.iter().filter(is_chosen).collect();
        return one_order(&chosen, &typed, "study UID", "order").unwrap_or(Err(Mismatch::Gone));
    }
    let number = typed.accession_number.as_str();
    let of_number = |entry: &&Entry| !number.is_empty() && entry.patient.accession_number == number;
    let orders: Vec<&Entry> = entries.iter().filter(of_number).collect();
    if let Some(order) = one_order(&orders, &typed, "accession number", "order") {
        return order;
    }
    if listed {
        return Err(Mismatch::NotListed);
    }
    let patients: Vec<&Entry> = entries.iter().filter(|entry| entry.patient.id == typed.id).collect();
    for entry in &patients {
        completed(&entry.patient, &typed, "patient ID")?;
    }
    let is_due = |entry: &&&Entry| entry.date.is_empty() || entry.date == today;
    let due: Vec<&Entry> = patients.iter().filter(is_due).copied().collect();
    // An order without accession number is found by its patient ID.
    if is_one(&due)
        && due.iter().all(|entry| entry.patient.accession_number == typed.accession_number)
        && let Some(order) = one_order(&due, &typed, "patient ID", "patient ID")
    {
        return order;
    }
    let taken = if patients.is_empty() { Taken::NotAsked } else { Taken::None };
    Ok(Order { taken, ..typed.into() })
}

/// Whether these are steps of one order.
fn is_one(entries: &[&Entry]) -> bool {
    entries.len() == 1 || study(entries).is_some()
}

fn fits_number(listed: &Patient, typed: &Patient) -> bool {
    typed.accession_number.is_empty() || typed.accession_number == listed.accession_number
}

/// The order that these entries are; `None` when there is none. `by`: what they have in common; `with`: what the typed patient has in
/// common with them.
fn one_order(
    entries: &[&Entry],
    typed: &Patient,
    by: &'static str,
    with: &'static str,
) -> Option<Result<Order, Mismatch>> {
    let first = entries.first()?;
    if entries.iter().any(|other| !agree(&first.patient, &other.patient)) {
        return Some(Err(Mismatch::TwoPatients(by)));
    }
    Some(completed(&first.patient, typed, with).map(|patient| Order {
        patient,
        study_uid: study(entries),
        request: request(entries),
        taken: Taken::of(first),
        ..Order::default()
    }))
}

fn agree(a: &Patient, b: &Patient) -> bool {
    a.id == b.id && same_name(&a.name, &b.name) && same_if_known(&a.birth_date, &b.birth_date)
}

fn same_if_known(a: &str, b: &str) -> bool {
    a.is_empty() || b.is_empty() || a == b
}

/// The patient of the worklist entry, when nothing that was typed contradicts it. `by`: what both have in common.
fn completed(listed: &Patient, typed: &Patient, by: &'static str) -> Result<Patient, Mismatch> {
    let other = |what| Err(Mismatch::Other { by, what });
    if !typed.id.is_empty() && typed.id != listed.id {
        return other("patient ID");
    }
    if !typed.name.is_empty() && !same_name(&typed.name, &listed.name) {
        return other("name");
    }
    if !same_if_known(&typed.birth_date, &listed.birth_date) {
        return other("birth date");
    }
    let birth_date = if listed.birth_date.is_empty() { &typed.birth_date } else { &listed.birth_date };
    Ok(Patient { birth_date: birth_date.clone(), ..listed.clone() })
}

/// The study UID, when all entries have the same one.
fn study(entries: &[&Entry]) -> Option<String> {
    let first = entries.first()?.study_uid.as_str();
    let same = !first.is_empty() && entries.iter().all(|entry| entry.study_uid == first);
    same.then(|| first.to_owned())
}

/// What all entries ask for alike.
fn request(entries: &[&Entry]) -> Option<Box<Request>> {
    let first = entries.first()?.request.clone();
    Some(Box::new(entries.iter().fold(first, |common, entry| common.common(&entry.request))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient(id: &str, name: &str, birth_date: &str, number: &str) -> Patient {
        Patient { id: id.into(), name: name.into(), birth_date: birth_date.into(), accession_number: number.into() }
    }

    fn entries() -> Vec<Entry> {
        let entry = |patient, study_uid: &str| Entry { patient, study_uid: study_uid.into(), ..Entry::default() };
        vec![
            entry(patient("P1", "Wang^XiaoDong=王^小东", "19700131", "A-1"), "1.2.1"),
            // Two steps of one order.
            entry(patient("P1", "Wang^XiaoDong=王^小东", "", "A-1"), "1.2.1"),
            entry(patient("P2", "DOE^JANE", "", "A-2"), ""),
            entry(patient("P3", "ROE^EVA", "", ""), "1.2.3"),
            entry(patient("P4", "ONE", "", "A-9"), "1.2.4"),
            entry(patient("P5", "OTHER", "", "A-9"), "1.2.5"),
        ]
    }

    const TODAY: &str = "20260201";

    fn resolve(patient: Patient, listed: bool, entries: &[Entry]) -> Result<Order, Mismatch> {
        super::resolve(Wanted { patient, listed, study_uid: String::new() }, TODAY, entries)
    }

    /// Picked from the list, with what the list has of the patient, or with nothing.
    fn choose(patient: Patient, study_uid: &str, entries: &[Entry]) -> Result<Order, Mismatch> {
        super::resolve(Wanted { patient, listed: true, study_uid: study_uid.into() }, TODAY, entries)
    }

    #[test]
    fn an_accession_number_alone_is_completed() {
        let order = resolve(patient("", "", "", "A-1"), true, &entries()).unwrap();
        assert_eq!(order.patient, patient("P1", "Wang^XiaoDong=王^小东", "19700131", "A-1"));
        assert_eq!(order.study_uid.as_deref(), Some("1.2.1"));
        let order = resolve(patient("", "", "19800101", "A-2"), true, &entries()).unwrap();
        assert_eq!((order.patient.birth_date.as_str(), order.study_uid), ("19800101", None));
        assert_eq!(resolve(patient("", "", "", "A-7"), true, &entries()), Err(Mismatch::NotListed));
        assert_eq!(
            resolve(patient("", "", "", "A-9"), true, &entries()),
            Err(Mismatch::TwoPatients("accession number"))
        );
    }

    #[test]
    fn what_was_typed_and_the_worklist_must_be_the_same_patient() {
        for (typed, word) in [
            (patient("P2", "DOE^JANE", "", "A-1"), "this order with another patient ID"),
            (patient("P1", "DOE^JANE", "", "A-1"), "this order with another name"),
            (patient("P1", "Wang^XiaoDong", "19700130", "A-1"), "this order with another birth date"),
            (patient("P2", "DOE^JOHN", "", ""), "this patient ID with another name"),
            (patient("P1", "WANG^XIAODONG", "19700130", "A-8"), "this patient ID with another birth date"),
        ] {
            let error = resolve(typed, false, &entries()).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn who_is_typed_need_not_be_listed() {
        let stranger = patient("P7", "NEW", "", "A-7");
        assert_eq!(resolve(stranger.clone(), false, &entries()), Ok(stranger.into()), "and no order is missed");
        let typed = patient("P1", "王^小东", "", "A-1");
        assert_eq!(resolve(typed, false, &entries()).unwrap().study_uid.as_deref(), Some("1.2.1"));
        let without_order = patient("P1", "Wang^XiaoDong", "", "");
        assert_eq!(
            resolve(without_order.clone(), false, &entries()),
            Ok(Order { taken: Taken::None, ..without_order.into() }),
            "which order is not said"
        );
        assert_eq!(
            resolve(patient("P3", "Roe^Eva", "", ""), false, &entries()).unwrap().study_uid.as_deref(),
            Some("1.2.3")
        );
    }

    /// A list that nobody cleans: the order of the exam of last year is still in it.
    #[test]
    fn an_order_of_another_day_is_not_taken_for_who_is_typed_but_for_who_chooses_it() {
        let eva = || patient("P3", "ROE^EVA", "", "");
        let on = |date: &str, study_uid: &str| Entry {
            patient: eva(),
            study_uid: study_uid.into(),
            date: date.into(),
            ..Entry::default()
        };
        let of = |entries: &[Entry]| {
            let order = resolve(eva(), false, entries).unwrap();
            (order.study_uid, order.request.is_some(), order.taken == Taken::None)
        };
        let (last_year, today, tomorrow) = (on("20250201", "1.2.1"), on(TODAY, "1.2.2"), on("20260202", "1.2.3"));
        let nothing = (None, false, true);
        assert_eq!(of(std::slice::from_ref(&last_year)), nothing, "it is done");
        assert_eq!(of(std::slice::from_ref(&tomorrow)), nothing);
        assert_eq!(of(&[last_year.clone(), today.clone(), tomorrow.clone()]), (Some("1.2.2".into()), true, false));
        assert_eq!(
            of(&[last_year.clone(), on("", "1.2.4")]),
            (Some("1.2.4".into()), true, false),
            "for no day is for today"
        );
        assert_eq!(of(&[today.clone(), on("", "1.2.4")]), nothing, "which one is not said");
        assert_eq!(of(&[today.clone(), today.clone()]), (Some("1.2.2".into()), true, false), "two steps of one order");
        let other_name = Entry { patient: patient("P3", "DOE^JANE", "", ""), ..last_year.clone() };
        assert!(resolve(eva(), false, &[other_name, today.clone()]).is_err(), "an old row still says whose ID it is");

        let all = [last_year, today, tomorrow];
        for (patient, what) in [(eva(), "with the patient"), (patient("", "", "", ""), "alone")] {
            for one in &all {
                let order = choose(patient.clone(), &one.study_uid, &all).unwrap();
                assert_eq!(order.study_uid.as_ref(), Some(&one.study_uid), "{what}");
                assert_eq!((&order.patient, &order.taken), (&eva(), &Taken::of(one)), "{what}");
            }
        }
    }

    #[test]
    fn a_chosen_order_is_that_one_or_none() {
        let listed = |number: &str, study_uid: &str| {
            let patient = patient("P3", "ROE^EVA", "", number);
            Entry { patient, study_uid: study_uid.into(), ..Entry::default() }
        };
        let entries = [listed("A-1", "1.2.1"), listed("A-1", "1.2.2"), listed("A-2", "1.2.3"), entries()[4].clone()];
        let chosen = |id: &str, number: &str, study_uid: &str| {
            choose(patient(id, "ROE^EVA", "", number), study_uid, &entries).map(|order| order.study_uid.unwrap())
        };
        assert_eq!(chosen("P3", "A-1", "1.2.2"), Ok("1.2.2".into()), "two studies under one number");
        assert_eq!(chosen("P3", "A-2", "1.2.2"), Err(Mismatch::Gone), "the number was changed meanwhile");
        assert_eq!(chosen("P3", "A-1", "1.2.9"), Err(Mismatch::Gone));
        assert_eq!(chosen("P9", "A-1", "1.2.1"), Err(Mismatch::Other { by: "order", what: "patient ID" }));
        let both = [listed("", "1.2.1"), Entry { study_uid: "1.2.1".into(), ..self::entries()[4].clone() }];
        assert_eq!(choose(Patient::default(), "1.2.1", &both), Err(Mismatch::TwoPatients("study UID")));
    }
}
