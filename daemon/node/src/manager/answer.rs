//! What a manager's answer to N-CREATE or N-SET means for the step, and every way in which an association ends without one: one
//! table. Pure.
//!
//! PS3.7 sections 10.1.3 and 10.1.5 name the statuses, PS3.4 table F.7.2-2 the error ID of a step that is final. A status in no row
//! is tried again: the UID of the step stays the same, so that a repetition harms nothing.

use std::ops::RangeInclusive;

use Fate::{Again, Forgotten, GivenUp, Had, Remarked, Taken};
use Operation::{Create, Set};

/// Which message was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    Set,
}

/// What became of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Taken,
    /// Taken, with a remark that people are told.
    Remarked,
    /// The manager has it from an earlier attempt whose answer was lost, or the step is final there for another reason.
    Had,
    /// The manager does not know the step: it is begun again under the same UID.
    Forgotten,
    /// What is wrong lies with the manager or the association and can change: later.
    Again,
    /// What is wrong lies with the message: the same one would get the same answer.
    GivenUp,
}

/// What was heard of the manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard<'a> {
    Answer {
        status: u16,
        error_id: Option<u16>,
        comment: &'a str,
    },
    /// No answer: the association was aborted, released or cut, or the manager was silent. Whether it has the message is not
    /// known.
    Broken {
        reason: String,
    },
}

/// Performed Procedure Step Object may no longer be updated (PS3.4 table F.7.2-2).
const FINAL: u16 = 0xa710;
/// Some managers say it only in words.
const FINAL_IN_WORDS: &str = "no longer be updated";

type Row = (RangeInclusive<u16>, Operation, Fate, &'static str);

/// The first row that holds status and operation counts.
const TABLE: &[Row] = &[
    (0x0000..=0x0000, Create, Taken, "created"),
    (0x0000..=0x0000, Set, Taken, "set"),
    (0x0111..=0x0111, Create, Had, "the manager had this step already"),
    (0x0112..=0x0112, Set, Forgotten, "the manager does not know the step"),
    (0x0001..=0x0001, Create, Remarked, "without optional attributes"),
    (0x0001..=0x0001, Set, Remarked, "without optional attributes"),
    (0x0107..=0x0107, Create, Remarked, "with a remark on some attributes"),
    (0x0107..=0x0107, Set, Remarked, "with a remark on some attributes"),
    (0x0116..=0x0116, Create, Remarked, "with a value out of range"),
    (0x0116..=0x0116, Set, Remarked, "with a value out of range"),
    (0xb000..=0xbfff, Create, Remarked, "with a warning"),
    (0xb000..=0xbfff, Set, Remarked, "with a warning"),
    (0x0110..=0x0110, Create, Again, "processing failure"),
    (0x0110..=0x0110, Set, Again, "processing failure"),
    (0x0124..=0x0124, Create, Again, "not authorised"),
    (0x0124..=0x0124, Set, Again, "not authorised"),
    (0x0210..=0x0210, Create, Again, "duplicate invocation"),
    (0x0210..=0x0210, Set, Again, "duplicate invocation"),
    (0x0211..=0x0211, Create, Again, "unrecognised operation"),
    (0x0211..=0x0211, Set, Again, "unrecognised operation"),
    (0x0212..=0x0212, Create, Again, "mistyped argument"),
    (0x0212..=0x0212, Set, Again, "mistyped argument"),
    (0x0213..=0x0213, Create, Again, "resource limitation"),
    (0x0213..=0x0213, Set, Again, "resource limitation"),
    (0xa700..=0xa7ff, Create, Again, "out of resources"),
    (0xa700..=0xa7ff, Set, Again, "out of resources"),
    (0x0105..=0x0105, Create, GivenUp, "no such attribute"),
    (0x0105..=0x0105, Set, GivenUp, "no such attribute"),
    (0x0106..=0x0106, Create, GivenUp, "invalid attribute value"),
    (0x0106..=0x0106, Set, GivenUp, "invalid attribute value"),
    (0x0112..=0x0112, Create, GivenUp, "no such SOP instance"),
    (0x0115..=0x0115, Create, GivenUp, "invalid argument value"),
    (0x0115..=0x0115, Set, GivenUp, "invalid argument value"),
    (0x0117..=0x0117, Create, GivenUp, "invalid SOP instance"),
    (0x0117..=0x0117, Set, GivenUp, "invalid SOP instance"),
    (0x0118..=0x0118, Create, GivenUp, "no such SOP class"),
    (0x0118..=0x0118, Set, GivenUp, "no such SOP class"),
    (0x0119..=0x0119, Create, GivenUp, "class and instance contradict each other"),
    (0x0119..=0x0119, Set, GivenUp, "class and instance contradict each other"),
    (0x0120..=0x0120, Create, GivenUp, "missing attribute"),
    (0x0120..=0x0120, Set, GivenUp, "missing attribute"),
    (0x0121..=0x0121, Create, GivenUp, "missing attribute value"),
    (0x0121..=0x0121, Set, GivenUp, "missing attribute value"),
    (0xa900..=0xa9ff, Create, GivenUp, "the data set does not match its SOP class"),
    (0xa900..=0xa9ff, Set, GivenUp, "the data set does not match its SOP class"),
    (0xc000..=0xcfff, Create, GivenUp, "cannot understand the message"),
    (0xc000..=0xcfff, Set, GivenUp, "cannot understand the message"),
];

/// What became of the message.
pub fn fate(operation: Operation, heard: &Heard<'_>) -> Fate {
    match heard {
        Heard::Answer { status, error_id, comment } if is_final(*status, *error_id, comment) => Had,
        Heard::Answer { status, .. } => row(operation, *status).map_or(Again, |(_, _, fate, _)| *fate),
        Heard::Broken { .. } => Again,
    }
}

/// The step is completed or discontinued at the manager.
fn is_final(status: u16, error_id: Option<u16>, comment: &str) -> bool {
    status == 0x0110 && (error_id == Some(FINAL) || comment.to_ascii_lowercase().contains(FINAL_IN_WORDS))
}

/// The same in plain words, without what the manager has written.
pub fn words(operation: Operation, heard: &Heard<'_>) -> String {
    match heard {
        Heard::Answer { status, error_id, comment } if is_final(*status, *error_id, comment) => {
            "the step is final at the manager already".into()
        }
        Heard::Answer { status, .. } => {
            let known = row(operation, *status);
            let words = known.map_or("a status that the standard does not name", |(.., words)| words);
            let message = if operation == Create { "N-CREATE" } else { "N-SET" };
            format!("the manager answered {message} with {status:04X} ({words})")
        }
        Heard::Broken { reason } => reason.clone(),
    }
}

fn row(operation: Operation, status: u16) -> Option<&'static Row> {
    TABLE.iter().find(|(statuses, of, ..)| statuses.contains(&status) && *of == operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Heard<'static> {
        Heard::Answer { status, error_id: None, comment: "" }
    }

    #[test]
    fn every_status_of_the_standard_has_its_fate() {
        for (statuses, create, set) in [
            (vec![0x0000], Taken, Taken),
            (vec![0x0111], Had, Again),
            (vec![0x0112], GivenUp, Forgotten),
            (vec![0x0001, 0x0107, 0x0116, 0xb000, 0xbfff], Remarked, Remarked),
            (vec![0x0110, 0x0124, 0x0210, 0x0211, 0x0212, 0x0213, 0xa700, 0xa7ff], Again, Again),
            (vec![0x0105, 0x0106, 0x0115, 0x0117, 0x0118, 0x0119, 0x0120, 0x0121], GivenUp, GivenUp),
            (vec![0xa900, 0xa9ff, 0xc000, 0xcfff], GivenUp, GivenUp),
            // In no row: cancel, pending, SOP class not supported of C-services, and what a manager made up.
            (vec![0xfe00, 0xff00, 0x0122, 0x0999, 0xd000], Again, Again),
        ] {
            for status in statuses {
                assert_eq!(fate(Create, &answer(status)), create, "N-CREATE {status:#06x}");
                assert_eq!(fate(Set, &answer(status)), set, "N-SET {status:#06x}");
            }
        }
    }

    #[test]
    fn a_step_that_is_final_at_the_manager_is_told_and_another_failure_of_processing_is_not() {
        for operation in [Create, Set] {
            for (error_id, comment, expected) in [
                (Some(0xa710), "", Had),
                (None, "Performed Procedure Step Object may no longer be updated", Had),
                (None, "PERFORMED PROCEDURE STEP OBJECT MAY NO LONGER BE UPDATED", Had),
                (None, "database is down", Again),
                (Some(0x0001), "", Again),
            ] {
                let heard = Heard::Answer { status: 0x0110, error_id, comment };
                assert_eq!(fate(operation, &heard), expected, "{operation:?} {error_id:?} {comment}");
            }
            let heard = Heard::Answer { status: 0x0106, error_id: Some(0xa710), comment: "" };
            assert_eq!(fate(operation, &heard), GivenUp, "the error ID belongs to processing failure only");
        }
    }

    #[test]
    fn a_message_without_an_answer_is_sent_again_however_the_association_ended() {
        for reason in ["aborted", "released", "closed", "no answer within 60 s"] {
            for operation in [Create, Set] {
                assert_eq!(fate(operation, &Heard::Broken { reason: reason.into() }), Again);
            }
        }
    }

    #[test]
    fn what_the_manager_has_written_is_not_repeated() {
        let heard = Heard::Answer { status: 0x0106, error_id: None, comment: "no such patient: DOE^JANE" };
        let said = words(Create, &heard);
        assert_eq!(said, "the manager answered N-CREATE with 0106 (invalid attribute value)");
    }

    #[test]
    fn the_conformance_statement_names_every_row() {
        let document = include_str!("../../../../docs/dicom-conformance.md");
        for (statuses, operation, fate, words) in TABLE {
            let name = match (statuses.start(), statuses.end()) {
                (one, end) if one == end => format!("{one:04X}"),
                (one, end) if one & 0x0f00 == end & 0x0f00 => format!("{:02X}xx", one >> 8),
                (one, _) => format!("{:X}xxx", one >> 12),
            };
            let message = if *operation == Create { "N-CREATE" } else { "N-SET" };
            let heading = match fate {
                Taken => "| told |",
                Remarked => "| told, with a remark |",
                Had => "| told before |",
                Forgotten => "| begun again |",
                Again => "| told again later |",
                GivenUp => "| step parked |",
            };
            let line = document
                .lines()
                .find(|line| line.starts_with(heading) && line.contains(message) && line.contains(&name));
            assert!(line.is_some_and(|line| line.contains(words)), "{message} {name} {words} under {heading}");
        }
        assert!(document.contains("A710"));
    }
}
