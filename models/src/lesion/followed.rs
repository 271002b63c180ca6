//! What a report says of a lesion that is known from earlier exams: its number in the list, and its size then.

use jiff::civil::Date;

use super::book::Book;
use super::sighting::Sighting;

/// A lesion of the list over the years.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed {
    /// Its number in the list.
    pub lesion: u64,
    /// The last look before this exam; `None` when there was none on an earlier day.
    pub earlier: Option<Earlier>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    pub date: Date,
    /// (0008,0060).
    pub modality: String,
    /// Longest diameter and those across it, mm; empty: not measured.
    pub axes_mm: Vec<f64>,
    /// A person had looked for it and it was not there any more.
    pub gone: bool,
}

impl Earlier {
    fn of(sighting: &Sighting) -> Self {
        Self {
            date: sighting.date,
            modality: sighting.method.modality.clone(),
            axes_mm: sighting.axes_mm.clone(),
            gone: sighting.gone,
        }
    }
}

impl Book {
    /// Of a lesion that was seen on `day`; looks of that day and of `source`, which is analysed now, are no earlier ones. One that
    /// was measured counts more than one of the same day that was not.
    pub fn followed(&self, lesion: u64, day: Date, source: &str) -> Option<Followed> {
        let lesion = self.lesion(lesion)?;
        let counts = |seen: &&super::book::Seen| {
            !seen.retracted && seen.sighting.date < day && seen.sighting.shown.source != source
        };
        let last = lesion.sightings.iter().filter(counts).map(|seen| &seen.sighting);
        let last = last.max_by(|a, b| {
            let order = |one: &Sighting| (one.date, one.longest_mm().is_some());
            order(a).cmp(&order(b)).then(a.longest_mm().unwrap_or(0.0).total_cmp(&b.longest_mm().unwrap_or(0.0)))
        });
        Some(Followed { lesion: lesion.id, earlier: last.map(Earlier::of) })
    }
}
