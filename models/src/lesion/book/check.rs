//! What a person may enter: nothing that cannot be, and nothing about another patient.

use jiff::civil::Date;

use super::super::entry::Entry;
use super::super::sighting::{Person, Place};
use super::{Book, Seen};

/// Why an entry is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("there is no lesion {0}")]
    NoLesion(u64),
    #[error("there is no sighting {0}")]
    NoSighting(u64),
    #[error("there is no recall {0}")]
    NoRecall(u64),
    #[error("there is no entry {0} of a person that could be withdrawn")]
    NoLine(u64),
    #[error("recall {0} is {1} already")]
    Closed(u64, &'static str),
    #[error("sighting {sighting} and lesion {lesion} are not surely of one person")]
    OtherPerson { sighting: u64, lesion: u64 },
    #[error("one of sighting {sighting} and lesion {lesion} is of a simulated device, and the other is not")]
    Simulated { sighting: u64, lesion: u64 },
    #[error("{0:?} is no modality; write {known}, or OT for another one", known = MODALITIES.join(", "))]
    Modality(String),
    #[error("the clock has the hours 1 to 12")]
    Clock,
    #[error("a distance to the nipple is 0 to 300 mm")]
    Distance,
    #[error("a size is one to three axes of 0.1 to 300 mm each; write --gone for a lesion that is not there any more")]
    Size,
    #[error("{0} is in the future")]
    Future(Date),
    #[error("{0} has passed: a recall is for a day to come")]
    Past(Date),
    #[error("say why: the reason is empty")]
    NoReason,
    #[error("nothing is said")]
    Nothing,
}

/// (0008,0060), those that say something of a breast.
const MODALITIES: [&str; 7] = ["US", "MG", "MR", "CT", "PT", "NM", "OT"];
const LARGEST_MM: f64 = 300.0;
const SMALLEST_MM: f64 = 0.1;

impl Book {
    /// Whether a person may enter this. `is_same_person`: whether two are surely one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(
        &self,
        entry: &Entry,
        today: Date,
        is_same_person: impl Fn(&Person, &Person) -> bool,
    ) -> Result<(), Wrong> {
        let lesion = |id: u64| self.ids().contains(&self.now(id)).then_some(()).ok_or(Wrong::NoLesion(id));
        let sighting = |id: u64| self.seen.get(&id).ok_or(Wrong::NoSighting(id));
        let past = |date: Date| if date > today { Err(Wrong::Future(date)) } else { Ok(()) };
        let reason = |text: &str| if text.trim().is_empty() { Err(Wrong::NoReason) } else { Ok(()) };
        let modality = |text: &str| {
            if MODALITIES.contains(&text) { Ok(()) } else { Err(Wrong::Modality(text.to_owned())) }
        };
        match entry {
            Entry::Done { source, .. } if !source.is_empty() => Err(Wrong::Nothing),
            Entry::Seen { .. } | Entry::Again { .. } | Entry::NotAgain { .. } | Entry::Came { .. } => {
                Err(Wrong::Nothing)
            }
            Entry::Link { sighting: id, lesion: to } => {
                lesion(*to)?;
                let of = &sighting(*id)?.sighting;
                // A study is of one person, also where its header does not say who that is.
                let study = &of.shown.study_uid;
                let in_study =
                    |seen: &Seen| !seen.retracted && !study.is_empty() && seen.sighting.shown.study_uid == *study;
                let same = self.sightings_of(self.now(*to)).any(in_study)
                    || self.person(*to).is_some_and(|person| is_same_person(&of.person, &person));
                let is_simulated = self.sightings_of(self.now(*to)).any(|seen| seen.sighting.simulated);
                if !same {
                    Err(Wrong::OtherPerson { sighting: *id, lesion: *to })
                } else if is_simulated != of.simulated {
                    Err(Wrong::Simulated { sighting: *id, lesion: *to })
                } else {
                    Ok(())
                }
            }
            Entry::Split { sighting: id } => sighting(*id).map(drop),
            Entry::Place { sighting: id, place } => {
                sighting(*id)?;
                check_place(place)
            }
            Entry::Measure { lesion: id, date, axes_mm, gone, modality: made_by } => {
                lesion(*id)?;
                past(*date)?;
                modality(made_by)?;
                let sound = (1..=3).contains(&axes_mm.len())
                    && axes_mm.iter().all(|mm| (SMALLEST_MM..=LARGEST_MM).contains(mm));
                if *gone == axes_mm.is_empty() && (*gone || sound) { Ok(()) } else { Err(Wrong::Size) }
            }
            Entry::Biopsy { lesion: id, date, .. } | Entry::Result { lesion: id, date, .. } => {
                lesion(*id)?;
                past(*date)
            }
            Entry::Treat { lesion: id, date, what } => {
                lesion(*id)?;
                past(*date)?;
                reason(what)
            }
            Entry::Recall { lesion: id, due, modality: wanted, .. } => {
                lesion(*id)?;
                if !wanted.is_empty() {
                    modality(wanted)?;
                }
                if *due <= today { Err(Wrong::Past(*due)) } else { Ok(()) }
            }
            Entry::Done { recall, date, .. } => {
                self.open(*recall)?;
                past(*date)
            }
            Entry::Cancel { recall, reason: why } => {
                self.open(*recall)?;
                reason(why)
            }
            Entry::Withdraw { line, reason: why } => {
                if !self.by_hand.contains(line) {
                    return Err(Wrong::NoLine(*line));
                }
                reason(why)
            }
        }
    }

    fn open(&self, recall: u64) -> Result<(), Wrong> {
        let found = self.recalls.get(&recall).ok_or(Wrong::NoRecall(recall))?;
        found.closed.as_ref().map_or(Ok(()), |closed| Err(Wrong::Closed(recall, closed.standing.as_str())))
    }
}

/// Whether a person may say that a lesion lies there.
///
/// # Errors
/// What is wrong with it.
pub fn check_place(place: &Place) -> Result<(), Wrong> {
    if place.clock.is_some_and(|clock| !(1..=12).contains(&clock)) {
        return Err(Wrong::Clock);
    }
    if place.distance_mm.is_some_and(|mm| !(0.0..=LARGEST_MM).contains(&mm)) {
        return Err(Wrong::Distance);
    }
    if *place == Place::default() { Err(Wrong::Nothing) } else { Ok(()) }
}
