//! A DIMSE-N request as a service sees it, and what the service has done.

use custody::instance::Origin;

use crate::Arrival;
use crate::elements::{Elements, Malformed, Syntax};
use crate::message::Command;
use crate::status::{self, Answer, Refusal};

/// A request that is complete, for the service that answers it.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) command: Command,
    pub(super) syntax: Syntax,
    pub(super) bytes: Vec<u8>,
    pub(super) origin: Origin,
}

impl Whole {
    /// # Errors
    /// `InvalidArgument`.
    pub(super) fn elements(&self) -> Result<Elements<'_>, Answer> {
        Elements::parse(&self.bytes, self.syntax).map_err(malformed)
    }
}

pub(super) fn malformed(error: Malformed) -> Answer {
    refuse(Refusal::InvalidArgument, &error.to_string())
}

pub(super) fn refuse(refusal: Refusal, reason: &str) -> Answer {
    Answer::new(status::of(refusal), reason)
}

/// The answers of a C-FIND before its last.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The status that says that more follow.
    pub(super) pending: u16,
    pub(super) data_sets: Vec<Vec<u8>>,
    /// There are more than one answer may have.
    pub(super) has_more: bool,
}

/// What a service has done.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) answer: Answer,
    /// The SOP Instance UID that was created, when the request had none.
    pub(super) created: Option<String>,
    /// For the engine.
    pub(super) arrival: Option<Arrival>,
    /// What is sent before the answer, which is then the last.
    pub(super) found: Found,
}

impl From<Answer> for Done {
    fn from(answer: Answer) -> Self {
        Self { answer, ..Self::default() }
    }
}
