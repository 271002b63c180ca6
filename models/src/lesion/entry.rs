//! What is written down of lesions: one line for each sighting and each decision of a person. Lines are never changed nor
//! removed; a correction is a new line.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::sighting::{Place, Sighting};

/// A line of the book. Its number is the name of what it began: a sighting, a lesion (that of its first sighting), a recall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub id: u64,
    /// When it was written, in local time.
    pub day: Date,
    pub utc: String,
    /// Who entered it, as typed; empty: this software.
    pub by: String,
    pub entry: Entry,
}

/// To which lesion a new sighting belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// It is the first of its own.
    New,
    Same(u64),
    /// To one of these, or to none: a person decides.
    Open(Vec<u64>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Benign,
    Malignant,
    /// Neither, such as a lesion of uncertain potential, or too little tissue.
    Uncertain,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Benign => "benign",
            Self::Malignant => "malignant",
            Self::Uncertain => "uncertain",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    Seen {
        sighting: Sighting,
        given: Given,
    },
    /// A repeated analysis found the same mark with other values.
    Again {
        of: u64,
        sighting: Sighting,
    },
    /// A repeated analysis does not find the mark any more.
    NotAgain {
        of: u64,
    },
    /// The sighting is of this lesion.
    Link {
        sighting: u64,
        lesion: u64,
    },
    /// The sighting is of a lesion of its own.
    Split {
        sighting: u64,
    },
    /// Where it is, by a person; what is not given stays as it was.
    Place {
        sighting: u64,
        place: Place,
    },
    /// Measured by a person.
    Measure {
        lesion: u64,
        date: Date,
        modality: String,
        #[serde(default)]
        axes_mm: Vec<f64>,
        #[serde(default)]
        gone: bool,
    },
    Biopsy {
        lesion: u64,
        date: Date,
        /// The marker that was left, as typed; empty: none.
        #[serde(default)]
        marker: String,
    },
    Result {
        lesion: u64,
        date: Date,
        outcome: Outcome,
        #[serde(default)]
        text: String,
    },
    Treat {
        lesion: u64,
        date: Date,
        what: String,
    },
    Recall {
        lesion: u64,
        due: Date,
        /// Empty: any.
        #[serde(default)]
        modality: String,
        #[serde(default)]
        why: String,
        /// The published rule that suggested it; empty: a person's own.
        #[serde(default)]
        rule: String,
    },
    Done {
        recall: u64,
        date: Date,
        /// The exam that met it.
        #[serde(default)]
        study_uid: String,
        /// What was analysed of it, when this software saw that it came; empty: a person entered this.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        source: String,
    },
    /// An exam has come that may be the one, but it was cut short or does not say which breast it shows: a person decides.
    Came {
        recall: u64,
        date: Date,
        study_uid: String,
        source: String,
    },
    Cancel {
        recall: u64,
        reason: String,
    },
    /// The line was entered in error and does not count.
    Withdraw {
        line: u64,
        reason: String,
    },
}

impl Entry {
    /// The line that it is about: of a lesion, a sighting or a recall. `None` for a sighting by this software.
    pub fn subject(&self) -> Option<u64> {
        match self {
            Self::Seen { .. } => None,
            Self::Again { of, .. } | Self::NotAgain { of } => Some(*of),
            Self::Link { sighting, .. } | Self::Split { sighting } | Self::Place { sighting, .. } => Some(*sighting),
            Self::Measure { lesion, .. }
            | Self::Biopsy { lesion, .. }
            | Self::Result { lesion, .. }
            | Self::Treat { lesion, .. }
            | Self::Recall { lesion, .. } => Some(*lesion),
            Self::Done { recall, .. } | Self::Came { recall, .. } | Self::Cancel { recall, .. } => Some(*recall),
            Self::Withdraw { line, .. } => Some(*line),
        }
    }

    /// Without what identifies a patient: `recall of 7`.
    pub fn named(&self) -> String {
        self.subject().map_or_else(|| self.kind().to_owned(), |line| format!("{} of {line}", self.kind()))
    }

    /// As it is called in rows and lists.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Seen { .. } => "seen",
            Self::Again { .. } => "again",
            Self::NotAgain { .. } => "not_again",
            Self::Link { .. } => "link",
            Self::Split { .. } => "split",
            Self::Place { .. } => "place",
            Self::Measure { .. } => "measure",
            Self::Biopsy { .. } => "biopsy",
            Self::Result { .. } => "result",
            Self::Treat { .. } => "treat",
            Self::Recall { .. } => "recall",
            Self::Done { .. } => "done",
            Self::Came { .. } => "came",
            Self::Cancel { .. } => "cancel",
            Self::Withdraw { .. } => "withdraw",
        }
    }

    /// May a person enter it?
    pub const fn is_by_hand(&self) -> bool {
        !matches!(self, Self::Seen { .. } | Self::Again { .. } | Self::NotAgain { .. } | Self::Came { .. })
    }
}
