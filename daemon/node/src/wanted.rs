//! What was asked of an archive, and whether an object that arrives is that: judged by its header before it is kept. A wrong patient is
//! worse than none.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dicom::header::Header;
use dicom::patient::Identity;

/// One series of one person.
#[derive(Debug)]
pub struct Wanted {
    study_uid: String,
    series_uid: String,
    patient: Identity,
    /// Objects that are taken.
    most: usize,
    arrived: Mutex<Arrived>,
}

/// What has come so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrived {
    /// SOP Instance UIDs of those that are kept.
    pub kept: HashSet<String>,
    /// Of another person: not kept.
    pub of_another: usize,
    /// Of another series or study, or more than are taken: not kept.
    pub not_asked_for: usize,
    /// The retrieval is over: nothing more is taken.
    over: bool,
}

impl Wanted {
    /// `patient`: of the new study.
    pub fn new(study_uid: &str, series_uid: &str, patient: &Header, most: usize) -> Self {
        Self {
            study_uid: study_uid.to_owned(),
            series_uid: series_uid.to_owned(),
            patient: Identity::of(patient),
            most,
            arrived: Mutex::default(),
        }
    }

    pub fn arrived(&self) -> Arrived {
        self.locked().clone()
    }

    /// Whether another object may come, before any byte of it is read.
    pub(crate) fn has_room(&self) -> Result<(), String> {
        let mut arrived = self.locked();
        if arrived.over {
            return Err("it was asked for, and is too late".into());
        }
        if arrived.kept.len() >= self.most {
            arrived.not_asked_for += 1;
            return Err(format!("more than {} objects, which is the limit for one series", self.most));
        }
        Ok(())
    }

    /// Why this object is not what was asked for.
    pub(crate) fn judge(&self, header: &Header) -> Result<(), String> {
        if self.locked().over {
            return Err("it was asked for, and is too late".into());
        }
        if header.study_instance_uid != self.study_uid || header.series_instance_uid != self.series_uid {
            self.locked().not_asked_for += 1;
            return Err("another series was asked for".into());
        }
        if !self.patient.is_same_person(&Identity::of(header)) {
            self.locked().of_another += 1;
            return Err("it is not surely of the person who was asked for".into());
        }
        Ok(())
    }

    pub(crate) fn has_come(&self, sop_instance_uid: &str) {
        self.locked().kept.insert(sop_instance_uid.to_owned());
    }

    /// Something came that was not asked for: nothing more is wanted of this archive.
    pub(crate) fn is_deceived(&self) -> bool {
        let arrived = self.locked();
        arrived.of_another + arrived.not_asked_for > 0
    }

    fn close(&self) {
        self.locked().over = true;
    }

    fn locked(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A C-MOVE that is under way: its objects come over associations that the archive opens.
#[derive(Debug, Clone)]
struct Underway {
    archive: String,
    our_title: String,
    wanted: Arc<Wanted>,
}

/// The C-MOVE that is under way, if one is: one at a time. Cheap to clone; clones share all.
#[derive(Debug, Clone, Default)]
pub struct Awaited(Arc<Mutex<Option<Underway>>>);

impl Awaited {
    /// From now on the archive may send what is wanted, until what is returned is dropped.
    pub(crate) fn begin(&self, archive: &str, our_title: &str, wanted: &Arc<Wanted>) -> Waiting {
        let underway = Underway {
            archive: archive.trim().to_owned(),
            our_title: our_title.trim().to_owned(),
            wanted: wanted.clone(),
        };
        *self.locked() = Some(underway);
        Waiting(self.clone())
    }

    /// What is wanted of this peer, which calls us by the title that the C-MOVE named.
    pub(crate) fn of(&self, called: &str, calling: &str) -> Option<Arc<Wanted>> {
        let underway = self.locked();
        let underway = underway.as_ref()?;
        let is_it = underway.archive == calling.trim() && underway.our_title == called.trim();
        is_it.then(|| underway.wanted.clone())
    }

    fn locked(&self) -> MutexGuard<'_, Option<Underway>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, the archive may send.
#[derive(Debug)]
pub(crate) struct Waiting(Awaited);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(underway) = self.0.locked().take() {
            underway.wanted.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(id: &str, name: &str, study: &str, series: &str) -> Header {
        Header {
            patient_id: id.into(),
            patient_name: name.into(),
            birth_date: "19700101".into(),
            study_instance_uid: study.into(),
            series_instance_uid: series.into(),
            ..Header::default()
        }
    }

    /// Promise: what an archive sends under the right ID is kept only if it is the right person and the series that was asked for.
    #[test]
    fn another_person_another_series_and_too_many_are_not_taken() {
        let wanted = Wanted::new("1.1", "1.1.1", &header("P1", "Zhang^San", "1.2", "1.2.1"), 2);
        assert_eq!(wanted.judge(&header("P1", "ZHANG^SAN^^", "1.1", "1.1.1")), Ok(()));
        assert!(wanted.judge(&header("P1", "Li^Si", "1.1", "1.1.1")).unwrap_err().contains("person"));
        assert!(wanted.judge(&header("P2", "Zhang^San", "1.1", "1.1.1")).unwrap_err().contains("person"));
        assert!(wanted.judge(&header("P1", "Zhang^San", "1.1", "1.1.2")).unwrap_err().contains("series"));
        assert!(wanted.judge(&header("P1", "Zhang^San", "1.9", "1.1.1")).unwrap_err().contains("series"));
        for uid in ["1", "2", "2"] {
            wanted.has_room().unwrap_or_else(|reason| assert!(uid == "2", "{reason}"));
            wanted.has_come(uid);
        }
        assert!(wanted.has_room().unwrap_err().contains("more than 2"));
        let arrived = wanted.arrived();
        assert_eq!((arrived.kept.len(), arrived.of_another, arrived.not_asked_for), (2, 2, 4));
    }

    /// Promise: an archive that is no sender may send only while it is asked to.
    #[test]
    fn nothing_is_awaited_before_and_after_a_retrieval_nor_of_another_peer() {
        let (awaited, wanted) = (Awaited::default(), Arc::new(Wanted::new("1", "2", &Header::default(), 9)));
        assert!(awaited.of("BOX", "PACS").is_none());
        let waiting = awaited.begin("PACS ", "BOX", &wanted);
        assert!(awaited.of("BOX", "PACS").is_some());
        assert!(awaited.of("BOX", "OTHER").is_none() && awaited.of("OTHER", "PACS").is_none());
        drop(waiting);
        assert!(awaited.of("BOX", "PACS").is_none());
        assert!(wanted.has_room().unwrap_err().contains("too late"), "an association that still stands brings nothing");
        assert!(wanted.judge(&Header::default()).unwrap_err().contains("too late"), "nor an object that was under way");
    }
}
