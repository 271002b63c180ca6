//! What a manager's answer means for a task, whichever message it answers: one table (PS3.4 tables CC.2.1-2, CC.2.6-2 and CC.2.7-2,
//! PS3.7 annex C). Pure.

use std::ops::RangeInclusive;

use Fate::{Again, Final, Foreign, InProgress, NotBegun, Refused, Taken, Unknown};

/// What a status says of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Taken,
    /// It is completed or canceled at the manager.
    Final,
    /// Somebody else has claimed it: our transaction UID is not that of the claim.
    Foreign,
    /// It was claimed already: by us, if the answer to our claim was lost, or by somebody else.
    InProgress,
    /// Nobody has claimed it, as far as the manager knows.
    NotBegun,
    /// The manager does not know the task.
    Unknown,
    /// The same message would get the same answer.
    Refused,
    /// Later.
    Again,
}

/// The first row that holds a status counts.
const TABLE: &[(RangeInclusive<u16>, Fate, &str)] = &[
    (0x0000..=0x0000, Taken, "done"),
    (0x0001..=0x0001, Taken, "done, without optional attributes"),
    (0x0107..=0x0107, Taken, "done, with a remark on some attributes"),
    (0x0116..=0x0116, Taken, "done, with a value out of range"),
    (0xb304..=0xb304, Final, "the task is canceled already"),
    (0xb305..=0xb305, Taken, "done, with values that the manager has changed"),
    (0xb306..=0xb306, Final, "the task is completed already"),
    (0xb000..=0xbfff, Taken, "done, with a warning"),
    (0xc300..=0xc300, Final, "the task may no longer be updated"),
    (0xc301..=0xc301, Foreign, "the transaction UID is not that of the claim"),
    (0xc302..=0xc302, InProgress, "the task is in progress already"),
    (0xc303..=0xc303, Refused, "a task becomes scheduled only when it is made"),
    (0xc304..=0xc304, Refused, "what the final state requires is not there"),
    (0xc307..=0xc307, Unknown, "the manager does not know the task"),
    (0xc310..=0xc310, NotBegun, "the task is not in progress"),
    (0x0112..=0x0112, Unknown, "the manager does not know the task (no such SOP instance)"),
    (0x0105..=0x0106, Refused, "no such attribute, or an invalid value"),
    (0x0115..=0x0115, Refused, "invalid argument value"),
    (0x0117..=0x0121, Refused, "the message does not fit the class: instance, class, or a missing attribute or value"),
    (0x0122..=0x0123, Refused, "the class or the action is not supported"),
    (0x0110..=0x0110, Again, "processing failure"),
    (0x0124..=0x0124, Again, "not authorised"),
    (0x0210..=0x0213, Again, "duplicate, unrecognised or mistyped, or out of resources"),
    (0xa700..=0xa7ff, Again, "out of resources"),
    (0xc000..=0xcfff, Refused, "unable to process"),
];

/// A status in no row is tried again: transaction UID and content stay the same, so that a repetition harms nothing.
pub fn fate(status: u16) -> Fate {
    row(status).map_or(Again, |(_, fate, _)| *fate)
}

/// In plain words.
pub fn words(status: u16) -> String {
    let known = row(status).map_or("a status that the standard does not name", |(.., words)| words);
    format!("{known} ({status:04X})")
}

fn row(status: u16) -> Option<&'static (RangeInclusive<u16>, Fate, &'static str)> {
    TABLE.iter().find(|(statuses, ..)| statuses.contains(&status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_the_service_class_has_its_fate() {
        for (statuses, expected) in [
            (vec![0x0000, 0x0001, 0xb305, 0xb300, 0xb301], Taken),
            (vec![0xb304, 0xb306, 0xc300], Final),
            (vec![0xc301], Foreign),
            (vec![0xc302], InProgress),
            (vec![0xc310], NotBegun),
            (vec![0xc307, 0x0112], Unknown),
            (vec![0xc303, 0xc304, 0xc311, 0xc312, 0xc313, 0xc314, 0xc315, 0x0106, 0x0118, 0x0120, 0x0122], Refused),
            (vec![0x0110, 0x0124, 0x0210, 0x0213, 0xa700, 0xfe00, 0x0999], Again),
        ] {
            for status in statuses {
                assert_eq!(fate(status), expected, "{status:04X}");
            }
        }
    }

    #[test]
    fn the_conformance_statement_names_every_status_and_the_classes() {
        let document = include_str!("../../../../docs/dicom-conformance.md");
        for (statuses, fate, words) in TABLE {
            let name = match (*statuses.start(), *statuses.end()) {
                (one, end) if one == end => format!("{one:04X}"),
                (one, end) if end - one < 0x20 => format!("{one:04X} to {end:04X}"),
                (one, end) if one & 0x0f00 == end & 0x0f00 => format!("{:02X}xx", one >> 8),
                (one, _) => format!("{:X}xxx", one >> 12),
            };
            let row = format!("| {name} | {words} |");
            assert!(document.lines().any(|line| line.starts_with(&row)), "{row} ({fate:?})");
        }
        for class in [crate::ups::PULL, crate::ups::PUSH] {
            assert!(document.contains(class), "{class}");
        }
    }
}
