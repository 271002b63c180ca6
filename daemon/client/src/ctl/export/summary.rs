//! What came of an export: what is on the medium, what is not, and why. Pure, but for the printing.

use std::path::Path;

use serde::Serialize;

use super::medium::Outcome;
use crate::ctl::failure::Failure;
use crate::ctl::output::{Output, bytes, count};
use crate::{Object, Study};

/// Lines about single objects and studies that people get; JSON has them all.
const MOST_LINES: usize = 20;

/// As `export --json` prints it.
#[derive(Debug, Default, Serialize)]
pub struct Exported {
    /// Nothing was left out.
    complete: bool,
    /// Studies of which objects are on the medium.
    studies: Vec<String>,
    added: u64,
    replaced: u64,
    already_there: u64,
    bytes: u64,
    left_out: Vec<LeftOut>,
}

/// What is not on the medium, or not yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    study_uid: String,
    /// SOP Instance UID; absent when it is about the whole study.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    why: String,
}

impl Exported {
    pub fn study_is_left_out(&mut self, study_uid: &str, why: impl Into<String>) {
        self.left_out.push(LeftOut { study_uid: study_uid.to_owned(), object: None, why: why.into() });
    }

    pub fn object_is_left_out(&mut self, study_uid: &str, object: &str, why: impl Into<String>) {
        let object = Some(object.to_owned());
        self.left_out.push(LeftOut { study_uid: study_uid.to_owned(), object, why: why.into() });
    }

    /// The objects of a study that can be exported; the others, and what is still to come, are left out with the reason.
    pub fn sorted(&mut self, study: &Study, objects: Vec<Object>, images: bool) -> Vec<Object> {
        let uid = &study.study_uid;
        match study.state.as_str() {
            "receiving" => self.study_is_left_out(uid, "it is still being received: what comes later is not exported"),
            "analyzing" => self.study_is_left_out(uid, "it is still being analysed: its results are not all exported"),
            _ => {}
        }
        if objects.is_empty() {
            let hint = if images { "" } else { "; its images are exported with --images" };
            self.study_is_left_out(uid, format!("it has no results{hint}"));
        }
        let (lost, sound): (Vec<_>, Vec<_>) = objects.into_iter().partition(|object| object.trouble.is_some());
        for object in lost {
            self.object_is_left_out(uid, &object.sop_uid, object.trouble.unwrap_or_default());
        }
        sound
    }

    pub fn count(&mut self, study: &Study, object: &Object, outcome: Outcome) {
        let uid = &study.study_uid;
        match outcome {
            Outcome::Added => self.added += 1,
            Outcome::Replaced => self.replaced += 1,
            Outcome::AlreadyThere => self.already_there += 1,
            Outcome::NoRecord => {
                let why = "a DICOMDIR of Scanside has no record for its kind";
                return self.object_is_left_out(uid, &object.sop_uid, why);
            }
            Outcome::OfAnotherStudy => {
                let why = "the file-set has an object with the same UID in another study";
                return self.object_is_left_out(uid, &object.sop_uid, why);
            }
        }
        if outcome != Outcome::AlreadyThere {
            self.bytes += object.bytes;
        }
        if self.studies.last() != Some(uid) {
            self.studies.push(uid.clone());
        }
    }

    /// # Errors
    /// When anything was left out, after it was said what.
    pub fn tell(mut self, to: &Path, output: &Output) -> Result<(), Failure> {
        self.complete = self.left_out.is_empty();
        if output.is_json() {
            output.json(&self)?;
        } else {
            self.tell_people(to, output)?;
        }
        if self.complete {
            return Ok(());
        }
        let left = count(self.left_out.len() as u64, "thing was", "things were");
        let remedy = "what is on the medium is sound and listed; export again when the rest is there";
        Err(Failure::new(format!("the export is not complete: {left} left out"), remedy))
    }

    fn tell_people(&self, to: &Path, output: &Output) -> Result<(), Failure> {
        let studies = count(self.studies.len() as u64, "study", "studies");
        let written = count(self.added + self.replaced, "object", "objects");
        output.line(&format!("{studies}: {written} written to {}, {}.", to.display(), bytes(self.bytes)))?;
        if self.already_there > 0 {
            output.line(&format!("{} there already.", count(self.already_there, "object was", "objects were")))?;
        }
        for LeftOut { study_uid, object, why } in self.left_out.iter().take(MOST_LINES) {
            let object = object.as_ref().map(|uid| format!(", object {uid}")).unwrap_or_default();
            output.line(&format!("Left out: study {study_uid}{object}: {why}."))?;
        }
        if let Some(more) = self.left_out.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
            output.line(&format!("{more} more were left out; --json names all."))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study(state: &str) -> Study {
        Study {
            path: zbus::ObjectPath::from_static_str_unchecked("/a").into(),
            study_uid: "1.2".into(),
            patient_id: String::new(),
            patient_name: String::new(),
            patients: 1,
            study_date: String::new(),
            description: String::new(),
            accession_number: String::new(),
            modalities: Vec::new(),
            series_count: 1,
            instance_count: 1,
            state: state.into(),
            verdicts: Vec::new(),
            first_utc: String::new(),
            last_utc: String::new(),
            hold: None,
            hold_by: None,
            hold_since_utc: None,
        }
    }

    fn object(uid: &str, trouble: Option<&str>) -> Object {
        Object {
            sop_uid: uid.into(),
            sop_class: String::new(),
            series_uid: String::new(),
            bytes: 5,
            received: false,
            trouble: trouble.map(str::to_owned),
        }
    }

    /// States, objects, what is left out; the rest is exported.
    #[test]
    fn whatever_is_not_on_the_medium_is_said_with_its_reason() {
        let cases: [(&str, Vec<Object>, &[&str], usize); 5] = [
            ("processed", vec![object("1", None)], &[], 1),
            ("receiving", vec![object("1", None)], &["still being received"], 1),
            ("analyzing", Vec::new(), &["still being analysed", "no results; its images"], 0),
            ("processed", vec![object("1", None), object("2", Some("its file is gone"))], &["its file is gone"], 1),
            ("refused", Vec::new(), &["no results"], 0),
        ];
        for (state, objects, left_out, sound) in cases {
            let mut exported = Exported::default();
            assert_eq!(exported.sorted(&study(state), objects, false).len(), sound, "{state}");
            let whys: Vec<_> = exported.left_out.iter().map(|one| one.why.as_str()).collect();
            assert_eq!(whys.len(), left_out.len(), "{state} {whys:?}");
            assert!(whys.iter().zip(left_out).all(|(why, wanted)| why.contains(wanted)), "{state} {whys:?}");
            let failed = exported.tell(Path::new("/"), &Output::new(true)).is_err();
            assert_eq!(failed, !left_out.is_empty(), "{state}: the exit code says it");
        }
    }

    #[test]
    fn only_a_study_of_which_something_is_there_counts_as_exported() {
        let (mut exported, study) = (Exported::default(), study("processed"));
        for outcome in [Outcome::NoRecord, Outcome::OfAnotherStudy] {
            exported.count(&study, &object("1", None), outcome);
        }
        assert!(exported.studies.is_empty() && exported.left_out.len() == 2);
        for outcome in [Outcome::Added, Outcome::AlreadyThere, Outcome::Replaced] {
            exported.count(&study, &object("1", None), outcome);
        }
        assert_eq!((exported.studies.len(), exported.bytes), (1, 10));
    }
}
