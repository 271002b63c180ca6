//! Asks a worklist server who is expected (Modality Worklist, PS3.4 annex K), as SCU of C-FIND. Nobody is asked for by name:
//! the question is for days, a modality and perhaps a station. What the answers are worth is judged by whoever shows them.

pub mod offer;
pub mod query;
pub mod settings;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use dicom::scan::{self, Item};
use dicom_dictionary_std::uids;

use self::query::Query;
use crate::WORKLIST;
use crate::association::Timers;
use crate::open::{Limit, Proposed};
use crate::send::{self, Association, Next, Target};
use crate::status::{Words, in_words};

/// At most this many answers are taken; nobody chooses from a longer list.
const MOST_ANSWERS: usize = 1000;
/// Bytes of one answer, and of all; an answer has one or two thousand.
const MOST_BYTES: usize = 64 << 10;
const MOST_BYTES_IN_ALL: usize = 8 << 20;

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}{}", words(*.status), colon(.comment))]
    Refused { status: u16, comment: String },
    #[error("{}: {_0}", side(_0))]
    Peer(send::Error),
}

impl Error {
    /// For the log: without what the server has written, which may name patients.
    pub fn words(&self) -> String {
        match self {
            Self::Refused { status, .. } => words(*status),
            Self::Peer(_) => self.to_string(),
        }
    }
}

/// What is wrong, in a few words, before the reason.
fn side(error: &send::Error) -> &'static str {
    use send::Error::{Association, Connect, Silent, Tls};
    match error {
        Connect { .. } | Tls { .. } => "the server cannot be reached",
        Association(_) | Silent { .. } => "the server has not answered to the end",
        _ => "the server refuses",
    }
}

impl From<send::Error> for Error {
    fn from(error: send::Error) -> Self {
        match error {
            send::Error::Refused { status, comment } => Self::Refused { status, comment },
            error => Self::Peer(error),
        }
    }
}

fn colon(comment: &str) -> String {
    if comment.is_empty() { String::new() } else { format!(": {comment}") }
}

/// PS3.4 table K.4-1 and PS3.7 section 9.1.2.1.5. The first row that holds the status counts.
const STATUSES: &Words = &[
    (0x0000..=0x0000, "all answers were sent"),
    (0xff00..=0xff00, "an answer; more follow"),
    (0xff01..=0xff01, "an answer, although the server does not know some of the keys; more follow"),
    (0xfe00..=0xfe00, "the server has stopped before all answers were sent"),
    (0xa700..=0xa7ff, "the server is out of resources"),
    (0xa900..=0xa9ff, "the server finds that the question does not match the Modality Worklist"),
    (0xc000..=0xcfff, "the server is unable to process the question"),
    (0x0122..=0x0122, "the server does not offer the Modality Worklist"),
    (0x0124..=0x0124, "the server does not allow this box to ask"),
];

/// What this status of a C-FIND means, in plain words.
fn words(status: u16) -> String {
    in_words(STATUSES, "the server", status)
}

/// What a server has answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    pub items: Vec<Item>,
    /// How many answers were left out, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
    bytes: usize,
    count: usize,
}

impl Answered {
    fn take(&mut self, query: &Query, identifier: Option<&[u8]>, syntax: &str) -> Next {
        self.count += 1;
        if self.count > MOST_ANSWERS {
            self.leave_out("everything after the first 1000 answers of the server");
            return Next::Enough;
        }
        self.bytes += identifier.map_or(MOST_BYTES, <[u8]>::len);
        if self.bytes > MOST_BYTES_IN_ALL {
            self.leave_out("everything after the first 8 MiB of the server's answers");
            return Next::Enough;
        }
        let read = identifier.ok_or("answers of the server larger than 64 KiB").and_then(|bytes| {
            let item = scan::item_of_data_set(bytes, syntax);
            item.map_err(|_| "answers of the server that are damaged")
        });
        match read.and_then(|item| query.fits(&item).map(|()| item)) {
            Ok(item) => self.items.push(item),
            Err(reason) => self.leave_out(reason),
        }
        Next::More
    }

    fn leave_out(&mut self, reason: &'static str) {
        *self.left_out.entry(reason).or_default() += 1;
    }
}

/// Asks `target` over an association of its own, which takes `patience` at most.
///
/// # Errors
/// When not all answers could be had.
pub async fn ask(target: &Target, query: &Query, patience: Duration) -> Result<Answered, Error> {
    let limit = Limit::of(target, patience);
    let proposed = [uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::EXPLICIT_VR_LITTLE_ENDIAN];
    let proposed = proposed.map(|syntax| Proposed::new(WORKLIST, syntax)).into();
    // The limit is what ends it.
    let timers = Timers { stall: patience * 2, idle: patience * 2 };
    let opened = limit.open(target, proposed, timers).await?;
    let mut association = Association::on(opened);
    let mut answered = Answered::default();
    let take = |identifier: Option<&[u8]>, syntax: &str| answered.take(query, identifier, syntax);
    let found = association.find(WORKLIST, |syntax| query.identifier(syntax), MOST_BYTES, limit, take).await;
    if !association.is_over() {
        association.release().await;
    }
    found?;
    Ok(answered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::rows;

    #[test]
    fn the_conformance_statement_names_the_class_and_every_status() {
        let document = include_str!("../../../docs/dicom-conformance.md");
        assert!(document.contains(WORKLIST), "{WORKLIST}");
        for row in rows(STATUSES) {
            assert!(document.lines().any(|line| line.starts_with(&row)), "{row}");
        }
    }

    #[test]
    fn no_amount_of_answers_takes_more_memory_than_the_limit() {
        let (query, mut answered) = (Query::default(), Answered::default());
        let large = vec![0; MOST_BYTES];
        let taken =
            (0..).take_while(|_| answered.take(&query, Some(&large), "1.2.840.10008.1.2") == Next::More).count();
        assert_eq!(taken, MOST_BYTES_IN_ALL / MOST_BYTES);
        assert!(answered.left_out.keys().any(|reason| reason.contains("8 MiB")), "{:?}", answered.left_out);
    }
}
