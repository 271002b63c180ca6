//! What an exam that has come does to recalls.

use jiff::civil::Date;

use super::super::due;
use super::super::sighting::Person;
use super::{Book, Lesion, Recall};
use crate::findings::Side;

/// An exam that may meet a recall.
#[derive(Debug, Clone, Copy)]
pub struct Exam<'a> {
    /// What was analysed of it.
    pub source: &'a str,
    pub date: Date,
    pub modality: &'a str,
    /// Which breasts it shows; empty: that is not known.
    pub sides: &'a [Side],
    /// Somebody named these, and may have looked at the other breast without saying so.
    pub may_show_more: bool,
    /// It was neither cut short nor made without a model.
    pub is_whole: bool,
    /// A simulated exam meets no recall of a real patient.
    pub simulated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meets {
    Surely,
    Perhaps,
    No,
}

impl Exam<'_> {
    fn shows(&self, lesion: &Lesion) -> Meets {
        // A sighting that a later analysis does not find any more still says on which side it was.
        let earlier = || lesion.sightings.iter().rev().find_map(|seen| seen.sighting.place.side);
        let shows = |side: Side| self.sides.contains(&side);
        match lesion.place.side.or_else(earlier) {
            _ if self.simulated != lesion.simulated => Meets::No,
            Some(side) if shows(side) && self.is_whole => Meets::Surely,
            Some(side) if !shows(side) && !self.sides.is_empty() && !self.may_show_more => Meets::No,
            None if shows(Side::Left) && shows(Side::Right) && self.is_whole => Meets::Surely,
            _ => Meets::Perhaps,
        }
    }
}

/// What an exam does to recalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is the one that was due.
    Close { recall: u64 },
    /// It may be.
    Propose { recall: u64 },
    /// It was taken for it, and is not: this line no longer holds.
    Undo { line: u64, recall: u64 },
}

fn turns_of(recall: &Recall, source: &str, meets: Meets) -> Vec<Turn> {
    let mut turns = Vec::new();
    let id = recall.id;
    let closed = recall.closed.as_ref();
    let own = closed.filter(|closed| !closed.source.is_empty() && closed.source == source);
    let came = recall.came.iter().find(|came| came.source == source);
    if let Some(closed) = own.filter(|_| meets != Meets::Surely) {
        turns.push(Turn::Undo { line: closed.line, recall: id });
    }
    if let Some(came) = came.filter(|_| meets == Meets::No) {
        turns.push(Turn::Undo { line: came.line, recall: id });
        // A person took it for the one because it was proposed.
        let taken = closed.filter(|closed| closed.source.is_empty() && closed.study_uid == came.study_uid);
        if let Some(closed) = taken.filter(|closed| !closed.study_uid.is_empty()) {
            turns.push(Turn::Undo { line: closed.line, recall: id });
        }
    }
    let is_open = closed.is_none() || own.is_some();
    match meets {
        Meets::Surely if closed.is_none() => turns.push(Turn::Close { recall: id }),
        Meets::Perhaps if is_open && came.is_none() => turns.push(Turn::Propose { recall: id }),
        _ => {}
    }
    turns
}

impl Book {
    /// What an exam does to the recalls, also when it is analysed again and is of another patient or breast by now.
    /// `is_same`: whether somebody is surely the patient of the exam.
    pub fn turns(&self, exam: &Exam<'_>, is_same: impl Fn(&Person) -> bool) -> Vec<Turn> {
        let of = |recall: Recall| turns_of(&recall, exam.source, self.meets(&recall, exam, &is_same));
        self.recalls().flat_map(of).collect()
    }

    /// What becomes of recalls when an exam was of nobody, or nothing is said of it any more.
    pub fn turns_without(&self, source: &str) -> Vec<Turn> {
        self.recalls().flat_map(|recall| turns_of(&recall, source, Meets::No)).collect()
    }

    fn meets(&self, recall: &Recall, exam: &Exam<'_>, is_same: impl Fn(&Person) -> bool) -> Meets {
        let may = (recall.modality.is_empty() || recall.modality == exam.modality)
            && due::is_met(recall.due, recall.entered, exam.date)
            && !self.not_met_by.contains(&(recall.id, exam.source.to_owned()));
        let lesion = may.then(|| self.lesion(recall.lesion)).flatten();
        lesion.filter(|lesion| is_same(&lesion.person)).map_or(Meets::No, |lesion| exam.shows(&lesion))
    }
}
