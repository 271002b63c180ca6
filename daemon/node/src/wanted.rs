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
    /// Objects that are taken, and their bytes.
    most: usize,
    most_bytes: u64,
    /// Somebody has ordered what comes of it.
    is_ordered: bool,
    arrived: Mutex<Arrived>,
}

/// What has come so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrived {
    /// SOP Instance UIDs of those that are kept.
    pub kept: HashSet<String>,
    /// Their data sets.
    pub bytes: u64,
    /// Of another person: not kept.
    pub of_another: usize,
    /// Of another series or study, or more than are taken: not kept.
    pub not_asked_for: usize,
    /// Of another series or study, by C-MOVE: not kept. They may be of an older C-MOVE with which the archive goes on.
    pub strays: usize,
    /// More bytes came than are taken.
    pub too_large: bool,
    /// It is asked for by C-MOVE.
    by_move: bool,
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
            most_bytes: u64::MAX,
            is_ordered: false,
            arrived: Mutex::default(),
        }
    }

    /// The same, of which no more than so many bytes are taken.
    #[must_use]
    pub fn within(self, most_bytes: u64) -> Self {
        Self { most_bytes, ..self }
    }

    /// The same, as the input of a task that somebody has ordered: it counts as what a scanner sends, and what is found in it is delivered.
    #[must_use]
    pub fn ordered(self) -> Self {
        Self { is_ordered: true, ..self }
    }

    pub(crate) fn is_ordered(&self) -> bool {
        self.is_ordered
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
        drop(arrived);
        self.has_room_for(0)
    }

    /// Whether an object of which so many bytes have come may go on.
    pub(crate) fn has_room_for(&self, bytes: u64) -> Result<(), String> {
        let mut arrived = self.locked();
        if arrived.bytes.saturating_add(bytes) < self.most_bytes {
            return Ok(());
        }
        arrived.too_large = true;
        Err(format!("more than {} bytes, which is the limit for one series", self.most_bytes))
    }

    /// Whether an object is of the series that was asked for.
    pub(crate) fn is_of(&self, header: &Header) -> bool {
        header.study_instance_uid == self.study_uid && header.series_instance_uid == self.series_uid
    }

    /// Of a peer that may send anyway and does not say what for: whether this object comes because it was asked for. An error: it is, and
    /// is not kept.
    pub(crate) fn may_be(&self, header: &Header) -> Result<bool, String> {
        let arrived = self.locked();
        let is_awaited = !arrived.over && arrived.kept.len() < self.most && self.is_of(header);
        drop(arrived);
        if is_awaited { self.judge(header).map(|()| true) } else { Ok(false) }
    }

    /// Why this object is not what was asked for.
    pub(crate) fn judge(&self, header: &Header) -> Result<(), String> {
        if self.locked().over {
            return Err("it was asked for, and is too late".into());
        }
        if !self.is_of(header) {
            let mut arrived = self.locked();
            // An archive that goes on with an old C-MOVE deceives nobody, as long as it is no flood.
            if arrived.by_move && arrived.strays < self.most {
                arrived.strays += 1;
            } else {
                arrived.not_asked_for += 1;
            }
            return Err("another series was asked for".into());
        }
        if !self.patient.is_same_person(&Identity::of(header)) {
            self.locked().of_another += 1;
            return Err("it is not surely of the person who was asked for".into());
        }
        Ok(())
    }

    /// `bytes`: of its data set.
    pub(crate) fn has_come(&self, sop_instance_uid: &str, bytes: u64) {
        let mut arrived = self.locked();
        if arrived.kept.insert(sop_instance_uid.to_owned()) {
            arrived.bytes = arrived.bytes.saturating_add(bytes);
        }
    }

    /// Something came that was not asked for, or too much: nothing more is wanted of this archive.
    pub(crate) fn is_deceived(&self) -> bool {
        let arrived = self.locked();
        arrived.too_large || arrived.of_another + arrived.not_asked_for > 0
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
pub struct Awaited(Arc<Mutex<Option<Underway>>>, Arc<tokio::sync::Mutex<()>>);

impl Awaited {
    /// Whoever wants to ask by C-MOVE waits here until no other C-MOVE is under way.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.1.lock().await
    }

    /// From now on the archive may send what is wanted, until what is returned is dropped.
    pub(crate) fn begin(&self, archive: &str, our_title: &str, wanted: &Arc<Wanted>) -> Waiting {
        let underway = Underway {
            archive: archive.trim().to_owned(),
            our_title: our_title.trim().to_owned(),
            wanted: wanted.clone(),
        };
        wanted.locked().by_move = true;
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
            wanted.has_come(uid, 100);
        }
        assert!(wanted.has_room().unwrap_err().contains("more than 2"));
        let arrived = wanted.arrived();
        assert_eq!((arrived.kept.len(), arrived.of_another, arrived.not_asked_for), (2, 2, 4));
        assert_eq!(arrived.bytes, 200, "each once");
    }

    /// Promise: an archive that goes on with an old C-MOVE brings nothing and does not make the next question fail.
    #[test]
    fn what_comes_late_of_another_series_is_refused_and_no_deception_unless_it_is_a_flood() {
        let person = header("P1", "Zhang^San", "1.2", "1.2.1");
        let wanted = Arc::new(Wanted::new("1.1", "1.1.1", &person, 3));
        let awaited = Awaited::default();
        let _waiting = awaited.begin("PACS", "BOX", &wanted);
        let late = header("P9", "Li^Si", "1.7", "1.7.1");
        for _ in 0..3 {
            assert!(wanted.judge(&late).unwrap_err().contains("another series"));
            assert!(!wanted.is_deceived());
        }
        assert!(wanted.judge(&header("P1", "Zhang^San", "1.1", "1.1.1")).is_ok());
        assert!(wanted.judge(&late).is_err() && wanted.is_deceived(), "more than a series may have");
        let got = Wanted::new("1.1", "1.1.1", &person, 3);
        assert!(got.judge(&late).is_err() && got.is_deceived(), "by C-GET it can be nothing old");
    }

    /// Promise: a series takes no more of the disk than it may, be it in one object.
    #[test]
    fn more_bytes_than_a_series_may_have_end_the_retrieval() {
        let wanted = Wanted::new("1", "2", &Header::default(), 9).within(1000);
        assert!(wanted.has_room_for(999).is_ok());
        wanted.has_come("1", 600);
        assert!(wanted.has_room().is_ok() && wanted.has_room_for(399).is_ok() && !wanted.is_deceived());
        assert!(wanted.has_room_for(400).unwrap_err().contains("1000 bytes"));
        assert!(wanted.is_deceived() && wanted.arrived().too_large);
    }

    /// Promise: of an archive that is a sender, too, the series that was asked for is recognised while it is, and nothing else is hindered.
    #[test]
    fn a_sender_that_does_not_say_what_for_is_taken_for_the_archive_for_the_wanted_series_only() {
        let person = header("P1", "Zhang^San", "1.2", "1.2.1");
        let wanted = Arc::new(Wanted::new("1.1", "1.1.1", &person, 3));
        let awaited = Awaited::default();
        let waiting = awaited.begin("PACS", "BOX", &wanted);
        assert_eq!(wanted.may_be(&header("P1", "Zhang^San", "1.1", "1.1.1")), Ok(true));
        assert_eq!(wanted.may_be(&header("P7", "Li^Si", "1.8", "1.8.1")), Ok(false), "an ordinary one");
        assert!(wanted.may_be(&header("P7", "Li^Si", "1.1", "1.1.1")).is_err(), "of another person");
        drop(waiting);
        assert_eq!(wanted.may_be(&header("P1", "Zhang^San", "1.1", "1.1.1")), Ok(false), "it is over");
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
