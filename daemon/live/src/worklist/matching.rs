//! Compares what was typed with the worklist, and completes or refuses it. Pure.

use dicom::patient::Patient;
use dicom::request::Request;

use super::{Entry, Order};
use crate::identity::same_name;

/// Why the worklist does not allow the order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("the worklist has this accession number for two patients: is this the right patient?")]
    TwoPatients,
    #[error("the worklist has no order with this accession number: type the patient")]
    NotListed,
    /// `by`: what both have in common; `what`: what differs.
    #[error("the worklist has this {by} with another {what}: is this the right patient?")]
    Other { by: &'static str, what: &'static str },
}

/// The order that is meant. `listed`: its accession number must be in the worklist; otherwise the worklist only counts
/// where it has the same patient ID or accession number.
///
/// # Errors
/// When the worklist names another patient, or does not know what must be listed.
pub fn resolve(typed: Patient, listed: bool, entries: &[Entry]) -> Result<Order, Mismatch> {
    let number = typed.accession_number.as_str();
    let of_number = |entry: &&Entry| !number.is_empty() && entry.patient.accession_number == number;
    let orders: Vec<&Entry> = entries.iter().filter(of_number).collect();
    if let Some(first) = orders.first() {
        if orders.iter().any(|other| !agree(&first.patient, &other.patient)) {
            return Err(Mismatch::TwoPatients);
        }
        return Ok(Order {
            patient: completed(&first.patient, &typed, "order")?,
            study_uid: study(&orders),
            request: request(&orders),
            ..Order::default()
        });
    }
    if listed {
        return Err(Mismatch::NotListed);
    }
    let patients: Vec<&Entry> = entries.iter().filter(|entry| entry.patient.id == typed.id).collect();
    for entry in &patients {
        completed(&entry.patient, &typed, "patient ID")?;
    }
    // An order without accession number is found by its patient ID.
    match patients.as_slice() {
        [only] if only.patient.accession_number == typed.accession_number => {
            let patient = completed(&only.patient, &typed, "patient ID")?;
            let (study_uid, request) = (study(&patients), request(&patients));
            Ok(Order { patient, study_uid, request, ..Order::default() })
        }
        _ => Ok(typed.into()),
    }
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

    #[test]
    fn an_accession_number_alone_is_completed() {
        let order = resolve(patient("", "", "", "A-1"), true, &entries()).unwrap();
        assert_eq!(order.patient, patient("P1", "Wang^XiaoDong=王^小东", "19700131", "A-1"));
        assert_eq!(order.study_uid.as_deref(), Some("1.2.1"));
        let order = resolve(patient("", "", "19800101", "A-2"), true, &entries()).unwrap();
        assert_eq!((order.patient.birth_date.as_str(), order.study_uid), ("19800101", None));
        assert_eq!(resolve(patient("", "", "", "A-7"), true, &entries()), Err(Mismatch::NotListed));
        assert_eq!(resolve(patient("", "", "", "A-9"), true, &entries()), Err(Mismatch::TwoPatients));
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
        assert_eq!(resolve(stranger.clone(), false, &entries()), Ok(stranger.into()));
        let typed = patient("P1", "王^小东", "", "A-1");
        assert_eq!(resolve(typed, false, &entries()).unwrap().study_uid.as_deref(), Some("1.2.1"));
        let without_order = patient("P1", "Wang^XiaoDong", "", "");
        assert_eq!(
            resolve(without_order.clone(), false, &entries()),
            Ok(without_order.into()),
            "which order is not said"
        );
        assert_eq!(
            resolve(patient("P3", "Roe^Eva", "", ""), false, &entries()).unwrap().study_uid.as_deref(),
            Some("1.2.3")
        );
    }
}
