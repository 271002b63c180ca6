//! Why a series was not processed. Pure.

use dicom::header::Header;
use dicom::patient;
use dicom::pixels::error::DecodeError;
use models::{NotEvaluated, Refusal, Remark};

use crate::stills::{self, NotRead};

/// `Display` is English, for bus, log and database; pages say it in every language (`words::refused`).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Its slices make no volume.
    #[error(transparent)]
    Volume(Refusal),
    /// One of its slices cannot be used.
    #[error("{} cannot be used: {fault}", named(*number))]
    Slice {
        /// Instance number.
        number: Option<i64>,
        fault: DecodeError,
    },
    /// Its objects are of different patients: nothing may be said under the name of any of them.
    #[error(
        "{} patients {what}: nothing was analysed under any of their names (marks, not IDs: {}); correct the \
         identity where the images come from, and send each patient by itself",
        marks.len(), marks.join(", ")
    )]
    Patients {
        what: Mixed,
        /// One for each patient (`dicom::patient::Identity::mark`).
        marks: Vec<String>,
    },
    /// Of none of its pictures anything can be said: each reason with how many pictures have it.
    #[error("breast ultrasound: none of its images was looked at: {}", pictures(reasons))]
    Pictures { reasons: Vec<(NotRead, usize)> },
    /// There is a volume, and nothing in it could be evaluated.
    #[error(transparent)]
    Nothing(NotEvaluated),
    /// The same, of a series of which slices were left out or altered.
    #[error("{why}; {}", remarks.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NothingOfPart { why: NotEvaluated, remarks: Vec<Remark> },
}

/// What holds objects of different patients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mixed {
    Series,
    Study,
}

impl std::fmt::Display for Mixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Series => "in one series",
            Self::Study => "under one Study Instance UID",
        })
    }
}

impl Refused {
    /// That these objects are of different patients; `None` when they are of one. `place`: the UID of the series or study.
    pub fn mixed<'a>(what: Mixed, place: &str, headers: impl IntoIterator<Item = &'a Header>) -> Option<Self> {
        let persons = patient::persons(headers);
        (persons.len() > 1).then(|| Self::Patients { what, marks: persons.iter().map(|one| one.mark(place)).collect() })
    }
}

fn pictures(reasons: &[(NotRead, usize)]) -> String {
    let said =
        |(why, count): &(NotRead, usize)| if *count == 1 { why.to_string() } else { format!("{why} ({count} images)") };
    let (named, rest) = stills::named(reasons);
    let rest = (rest > 0).then(|| format!("{rest} more for other reasons"));
    named.iter().map(said).chain(rest).collect::<Vec<_>>().join("; ")
}

/// A slice in English, by its instance number.
pub fn named(number: Option<i64>) -> String {
    number.map_or_else(|| "a slice without a number".into(), |number| format!("slice {number}"))
}
