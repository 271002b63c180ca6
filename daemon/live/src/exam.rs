//! The running exam: its patient, its start and the marked moments. Pure.
//!
//! This is the guard against exams of the wrong patient. An exam belongs to one patient. The exam of another patient
//! can begin only when the first has ended, and the same patient ID with another name or birth date counts as a
//! mistake, not as the same patient. An exam that began automatically belongs to nobody; it can be given to one
//! patient, once, and stays the same exam.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use dicom::patient::Patient;
use dicom::request::Request;
use models::findings::Side;
use models::lesion::book::check_place;
use models::lesion::sighting::Place;
use models::task::us_breast::scan::probe::{Probe, Spot};

use crate::identity::{self, is_nobody, same_name};
use crate::view::{Exam, ExamError, ProbeOrder};

/// The running exam, if there is one.
#[derive(Debug, Clone, Default)]
pub struct Exams {
    current: Option<Exam>,
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    Changed(String),
    /// The running exam, which had no patient, now belongs to this one.
    Bound(String),
    Already(String),
}

impl Done {
    pub fn words(self) -> String {
        match self {
            Self::Changed(words) | Self::Bound(words) | Self::Already(words) => words,
        }
    }
}

impl Exams {
    pub fn current(&self) -> Option<&Exam> {
        self.current.as_ref()
    }

    /// Begins an exam, with what was asked for if it is of the worklist. `started_utc` (RFC 3339) and `study_uid` are used only when a new exam begins.
    ///
    /// # Errors
    /// When ID or name is missing, when the exam of another patient runs, or when the same patient ID comes with
    /// another name, birth date or accession number.
    pub fn start(
        &mut self,
        patient: Patient,
        request: Option<Request>,
        started_utc: &str,
        study_uid: &str,
    ) -> Result<Done, ExamError> {
        let patient = identity::checked(&patient)?;
        if let Some(exam) = &mut self.current {
            if is_nobody(&exam.patient) && !is_nobody(&patient) {
                (exam.patient, exam.request) = (patient, request);
                return Ok(Done::Bound("the running exam now belongs to this patient".into()));
            }
            return guard(&exam.patient, &patient)
                .map(|()| Done::Already("the exam of this patient is already running".into()));
        }
        self.current = Some(Exam {
            number: 0,
            study_uid: study_uid.into(),
            patient,
            started_utc: started_utc.into(),
            marks: 0,
            request,
            side: None,
            probe: None,
            places: BTreeMap::new(),
            by_probe: BTreeSet::new(),
        });
        Ok(Done::Changed("the exam has begun".into()))
    }

    /// The exam that has begun has this number.
    pub fn numbered(&mut self, number: u64) {
        if let Some(exam) = &mut self.current {
            exam.number = number;
        }
    }

    pub fn stop(&mut self) -> Done {
        match self.current.take() {
            Some(_) => Done::Changed("the exam has ended".into()),
            None => Done::Already("no exam is running".into()),
        }
    }

    /// Marks this moment.
    ///
    /// # Errors
    /// When no exam runs.
    pub fn mark(&mut self) -> Result<Done, ExamError> {
        let exam = self.current.as_mut().ok_or(ExamError::NoExam)?;
        exam.marks += 1;
        Ok(Done::Changed(format!("marked, {} in this exam", exam.marks)))
    }

    /// Says which breast is scanned from now on.
    ///
    /// # Errors
    /// When no exam runs.
    pub fn side(&mut self, side: Option<Side>) -> Result<Done, ExamError> {
        let exam = self.current.as_mut().ok_or(ExamError::NoExam)?;
        let words = match side {
            Some(Side::Right) => "the right breast is scanned",
            Some(Side::Left) => "the left breast is scanned",
            None => "it is not said which breast is scanned",
        };
        if exam.side == side {
            return Ok(Done::Already(words.into()));
        }
        // Where the probe was is a place of the other breast.
        (exam.side, exam.probe) = (side, None);
        Ok(Done::Changed(words.into()))
    }

    /// Says where the probe is from now on.
    ///
    /// # Errors
    /// When no exam runs, or nobody has said which breast is scanned.
    pub fn probe(&mut self, order: ProbeOrder) -> Result<Done, ExamError> {
        let exam = self.current.as_mut().ok_or(ExamError::NoExam)?;
        let said = (exam.side, exam.probe);
        let now = match order {
            ProbeOrder::Unsaid => (exam.side, None),
            ProbeOrder::Step(step) => (exam.side, Some(Probe::stepped(exam.probe, step))),
            ProbeOrder::At { side, spot, plane } => {
                let other = side.is_some() && side != exam.side;
                let before = exam.probe.filter(|_| !other);
                let spot = spot.or_else(|| before.map(|probe| probe.spot));
                let plane = plane.or_else(|| exam.probe.and_then(|probe| probe.plane));
                (side.or(exam.side), spot.map(|spot| Probe { spot, plane }))
            }
        };
        if now.0.is_none() && now.1.is_some() {
            return Err(ExamError::NoSide);
        }
        (exam.side, exam.probe) = now;
        let words = where_it_is(exam);
        Ok(if said == now { Done::Already(words) } else { Done::Changed(words) })
    }

    /// A lesion is shown for the first time: it is where the probe is said to be, as far as that tells an hour. The distance from the nipple is
    /// left to a person: a ring is no measurement.
    pub fn place_by_probe(&mut self, lesion: u32) {
        let Some(exam) = &mut self.current else { return };
        let (Some(side), Some(Probe { spot: Spot::Hour(hour, _), .. })) = (exam.side, exam.probe) else { return };
        if let Entry::Vacant(vacant) = exam.places.entry(lesion) {
            vacant.insert(Place { side: Some(side), clock: Some(hour), ..Place::default() });
            exam.by_probe.insert(lesion);
        }
    }

    /// Says where a lesion is; what `place` does not say stays as it was. `seen`: the numbers of the lesions of this exam.
    ///
    /// # Errors
    /// When no exam runs, no such lesion was seen in it, or there is no such place.
    pub fn place(&mut self, lesion: u32, place: &Place, seen: &BTreeSet<u32>) -> Result<Done, ExamError> {
        let exam = self.current.as_mut().ok_or(ExamError::NoExam)?;
        if !seen.contains(&lesion) {
            return Err(ExamError::NoLesion(lesion));
        }
        check_place(place)?;
        let old = exam.places.get(&lesion).cloned().unwrap_or_default();
        let new = place.or(&old);
        let words = format!("lesion {lesion} is placed");
        if new == old {
            return Ok(Done::Already(words));
        }
        exam.places.insert(lesion, new);
        exam.by_probe.remove(&lesion);
        Ok(Done::Changed(words))
    }

    /// Lesions are numbered anew: what was said of them is of others.
    pub fn forget_places(&mut self) {
        if let Some(exam) = &mut self.current {
            exam.places.clear();
            exam.by_probe.clear();
        }
    }
}

/// Whether `given` may be the patient whose exam runs.
fn guard(bound: &Patient, given: &Patient) -> Result<(), ExamError> {
    if bound.id != given.id {
        return Err(ExamError::OtherPatient);
    }
    if !same_name(&bound.name, &given.name) {
        return Err(ExamError::OtherName);
    }
    let differ = |a: &str, b: &str| !a.is_empty() && !b.is_empty() && a != b;
    if differ(&bound.birth_date, &given.birth_date) {
        return Err(ExamError::OtherBirthDate);
    }
    if differ(&bound.accession_number, &given.accession_number) {
        return Err(ExamError::OtherAccessionNumber);
    }
    Ok(())
}

fn where_it_is(exam: &Exam) -> String {
    let Some(Probe { spot, plane }) = exam.probe else { return "it is not said where the probe is".into() };
    let side = exam.side.map_or("", |side| side.as_str());
    let place = match spot {
        Spot::Hour(hour, ring) => format!("{hour} o'clock, {} ring", ring.as_str()),
        Spot::Nipple => "nipple".into(),
        Spot::Axilla => "axilla".into(),
    };
    let plane = plane.map(|plane| format!(", {}", plane.as_str())).unwrap_or_default();
    format!("the probe is at {side}, {place}{plane}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient(id: &str, name: &str, birth_date: &str) -> Patient {
        Patient { id: id.into(), name: name.into(), birth_date: birth_date.into(), accession_number: String::new() }
    }

    fn start(exams: &mut Exams, patient: Patient) -> Result<Done, ExamError> {
        exams.start(patient, None, "2026-01-01T10:00:00Z", "2.25.1")
    }

    #[test]
    fn asking_twice_is_harmless() {
        let mut exams = Exams::default();
        assert!(matches!(exams.stop(), Done::Already(_)));
        let eva = || patient("7", "PHANTOM^EVA", "19700101");
        assert!(matches!(start(&mut exams, eva()), Ok(Done::Changed(_))));
        assert!(matches!(start(&mut exams, eva()), Ok(Done::Already(_))));
        assert!(matches!(start(&mut exams, patient(" 7 ", "phantom^eva", "")), Ok(Done::Already(_))));
        exams.mark().unwrap();
        exams.mark().unwrap();
        assert_eq!(exams.current().map(|exam| exam.marks), Some(2));
        assert!(matches!(exams.stop(), Done::Changed(_)));
        assert!(exams.mark().is_err() && exams.current().is_none());
    }

    #[test]
    fn only_a_lesion_that_was_seen_is_placed_and_only_where_one_can_be() {
        let mut exams = Exams::default();
        let seen = BTreeSet::from([1, 2]);
        let at = |clock, distance_mm| Place { clock, distance_mm, ..Place::default() };
        assert_eq!(exams.place(1, &at(Some(3), None), &seen), Err(ExamError::NoExam));
        assert_eq!(exams.side(Some(Side::Left)), Err(ExamError::NoExam));
        start(&mut exams, patient("7", "PHANTOM^EVA", "19700101")).unwrap();
        assert_eq!(exams.place(3, &at(Some(3), None), &seen), Err(ExamError::NoLesion(3)));
        let nowhere =
            [at(Some(13), None), at(Some(0), None), at(None, Some(301.0)), at(None, Some(f64::NAN)), at(None, None)];
        for place in nowhere {
            assert!(matches!(exams.place(1, &place, &seen), Err(ExamError::Place(_))), "{place:?}");
        }
        assert!(matches!(exams.place(1, &at(Some(3), None), &seen), Ok(Done::Changed(_))));
        assert!(matches!(exams.place(1, &at(Some(3), None), &seen), Ok(Done::Already(_))));
        exams.place(1, &at(None, Some(40.0)), &seen).unwrap();
        assert!(matches!(exams.side(Some(Side::Left)), Ok(Done::Changed(_))));
        assert!(matches!(exams.side(Some(Side::Left)), Ok(Done::Already(_))));
        let exam = exams.current().unwrap();
        assert_eq!((exam.side, &exam.places[&1]), (Some(Side::Left), &at(Some(3), Some(40.0))));
        exams.stop();
        start(&mut exams, patient("8", "PHANTOM^ADA", "")).unwrap();
        let next = exams.current().unwrap();
        assert_eq!((next.side, next.places.len()), (None, 0), "the next patient's exam knows nothing of it");
    }

    #[test]
    fn the_probe_is_somewhere_only_in_a_breast_that_was_named_and_a_new_lesion_is_there() {
        use models::task::us_breast::scan::probe::{Plane, Ring, Step};
        let mut exams = Exams::default();
        let at = |side, spot| ProbeOrder::At { side, spot, plane: None };
        assert_eq!(exams.probe(ProbeOrder::Step(Step::NextHour)), Err(ExamError::NoExam));
        start(&mut exams, patient("7", "PHANTOM^EVA", "19700101")).unwrap();
        assert_eq!(exams.probe(ProbeOrder::Step(Step::NextHour)), Err(ExamError::NoSide));
        exams.place_by_probe(1);
        assert!(exams.current().unwrap().places.is_empty(), "nobody has said anything");
        let three = Spot::Hour(3, Ring::Middle);
        let done = exams.probe(at(Some(Side::Left), Some(three))).unwrap();
        assert_eq!(done, Done::Changed("the probe is at left, 3 o'clock, middle ring".into()));
        assert!(matches!(exams.probe(at(Some(Side::Left), Some(three))), Ok(Done::Already(_))));
        exams.probe(ProbeOrder::Step(Step::Turn)).unwrap();
        exams.place_by_probe(1);
        exams.probe(ProbeOrder::Step(Step::NextHour)).unwrap();
        exams.place_by_probe(1);
        let exam = exams.current().unwrap();
        assert_eq!(exam.probe, Some(Probe { spot: Spot::Hour(4, Ring::Middle), plane: Some(Plane::Radial) }));
        let there = Place { side: Some(Side::Left), clock: Some(3), ..Place::default() };
        assert_eq!(exam.places[&1], there, "where the probe was then");
        exams.side(Some(Side::Right)).unwrap();
        exams.place_by_probe(2);
        let exam = exams.current().unwrap();
        assert_eq!((exam.probe, exam.places.len()), (None, 1), "of the other breast nothing is said yet");
    }

    #[test]
    fn another_patient_is_refused_while_an_exam_runs() {
        let mut exams = Exams::default();
        start(&mut exams, patient("7", "PHANTOM^EVA", "19700101")).unwrap();
        for (other, word) in [
            (patient("8", "PHANTOM^EVA", "19700101"), "another patient"),
            (patient("7", "PHANTOM^ADA", "19700101"), "another name"),
            (patient("7", "PHANTOM^EVA", "19700102"), "another birth date"),
        ] {
            let error = start(&mut exams, other).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
            assert_eq!(exams.current().unwrap().patient.name, "PHANTOM^EVA", "nothing changed");
        }
    }

    #[test]
    fn an_exam_of_nobody_is_given_to_one_patient_and_stays_the_same_exam() {
        let mut exams = Exams::default();
        let nobody = || crate::identity::nobody("2026-01-31T09:30:00Z");
        assert!(matches!(start(&mut exams, nobody()), Ok(Done::Changed(_))));
        exams.mark().unwrap();
        assert!(matches!(start(&mut exams, nobody()), Ok(Done::Already(_))));
        assert!(start(&mut exams, patient("", "PHANTOM^EVA", "")).is_err(), "not to another nobody");
        let eva = || patient("7", "PHANTOM^EVA", "19700101");
        let request = Request { step_id: "S-1".into(), ..Request::default() };
        let done = exams.start(eva(), Some(request.clone()), "2026-01-31T10:00:00Z", "2.25.2");
        assert!(matches!(done, Ok(Done::Bound(_))), "{done:?}");
        let exam = exams.current().unwrap();
        assert_eq!((&exam.patient, exam.study_uid.as_str(), exam.marks), (&eva(), "2.25.1", 1));
        assert_eq!((exam.started_utc.as_str(), &exam.request), ("2026-01-01T10:00:00Z", &Some(request)));
        assert_eq!(start(&mut exams, patient("8", "PHANTOM^ADA", "")), Err(ExamError::OtherPatient));
        assert_eq!(start(&mut exams, nobody()), Err(ExamError::OtherPatient), "nor to nobody again");
        assert!(matches!(start(&mut exams, eva()), Ok(Done::Already(_))));
    }

    #[test]
    fn a_patient_without_number_or_name_is_nobody() {
        for (nobody, word) in [
            (patient("", "PHANTOM^EVA", ""), "patient ID"),
            (patient("7", " ", ""), "name"),
            (patient("7", "A\\B", ""), "backslash"),
            (patient("7", "EVA", "1970"), "YYYYMMDD"),
            (patient(&"7".repeat(65), "EVA", ""), "64"),
        ] {
            let error = start(&mut Exams::default(), nobody).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
