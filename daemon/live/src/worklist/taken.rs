//! Which order an exam is of, in the words of the answer. Pure.

use super::Entry;

/// Which order of the worklist an exam is of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Taken {
    /// The worklist has nothing of this patient, or there is none.
    #[default]
    NotAsked,
    /// It has orders of this patient, and it is not said which one is meant, or they are of other days.
    None,
    /// In words: accession number, day, time and what is to be done, as far as they are known.
    Entry(String),
}

impl Taken {
    pub fn of(entry: &Entry) -> Self {
        let Entry { patient, date, time, description, .. } = entry;
        let day = date.get(..4).zip(date.get(4..6)).zip(date.get(6..8));
        let day = day.map_or_else(|| date.clone(), |((year, month), day)| format!("{year}-{month}-{day}"));
        let clock =
            time.get(..2).zip(time.get(2..4)).map_or_else(|| time.clone(), |(hour, min)| format!("{hour}:{min}"));
        let told = [&patient.accession_number, &day, &clock, description];
        let told: Vec<&str> = told.into_iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        Self::Entry(told.join(", "))
    }

    /// The end of a sentence; empty when there is nothing to say.
    pub fn words(&self) -> String {
        match self {
            Self::NotAsked => String::new(),
            Self::None => "; no order of the worklist was taken: choose one there if this exam was ordered".into(),
            Self::Entry(told) if told.is_empty() => "; the order of the worklist was taken".into(),
            Self::Entry(told) => format!("; the order was taken from the worklist: {told}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use dicom::patient::Patient;

    use super::*;

    #[test]
    fn whoever_begins_an_exam_reads_which_order_it_is_of() {
        let patient = Patient { id: "P1".into(), name: "DOE^JANE".into(), ..Patient::default() };
        let mut entry = Entry { patient, date: "20260131".into(), time: "093000".into(), ..Entry::default() };
        entry.description = "US breast".into();
        assert_eq!(Taken::of(&entry).words(), "; the order was taken from the worklist: 2026-01-31, 09:30, US breast");
        entry.patient.accession_number = "A-1".into();
        (entry.date, entry.time) = (String::new(), "09".into());
        assert_eq!(Taken::of(&entry).words(), "; the order was taken from the worklist: A-1, 09, US breast");
        assert!(
            Taken::None.words().contains("no order of the worklist was taken") && Taken::NotAsked.words().is_empty()
        );
    }
}
