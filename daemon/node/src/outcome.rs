//! What an archive's answer to a C-STORE means for the object: one table, status -> outcome and words. `http` has the table for
//! STOW-RS, whose answers give the same statuses for single objects.
//!
//! PS3.4 tables B.2-1 and GG.4-1 name A7xx, A9xx, Cxxx and Bxxx; PS3.7 section 9.1.1.1.9 and annex C name the rest. A status in
//! no row is tried again: a repeated try costs less than a result that nobody gets.

pub mod http;

use std::ops::RangeInclusive;

use Outcome::{Again, Full, GivenUp, Stored, Warned};

/// What the sender does after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The archive has the object.
    Stored,
    /// The archive has the object, and has a remark that people are told.
    Warned,
    /// The archive has no room now, for this object or for all.
    Full,
    /// What is wrong lies with the archive or the association and can change: later.
    Again,
    /// What is wrong concerns every object: the whole queue waits. Of HTTP answers only.
    Hold,
    /// What is wrong concerns this object or every one: given up once others are stored. Of HTTP answers only.
    Unclear,
    /// What is wrong lies with the object or its class: the same object would get the same answer.
    GivenUp,
}

type Row = (RangeInclusive<u16>, Outcome, &'static str);

/// The first row that holds the status counts.
const TABLE: &[Row] = &[
    (0x0000..=0x0000, Stored, "stored"),
    (0x0111..=0x0111, Stored, "the archive had this object already"),
    (0xb000..=0xb000, Warned, "stored, with values changed by the archive"),
    (0xb006..=0xb006, Warned, "stored, with elements left out by the archive"),
    (0xb007..=0xb007, Warned, "stored, although the archive finds that the data set does not match its SOP class"),
    (0x0001..=0x0001, Warned, "stored, without optional attributes"),
    (0x0107..=0x0107, Warned, "stored, with a remark on some attributes"),
    (0x0116..=0x0116, Warned, "stored, with a value out of range"),
    (0xb000..=0xbfff, Warned, "stored, with a warning"),
    (0xa700..=0xa7ff, Full, "out of resources"),
    (0x0213..=0x0213, Full, "resource limitation"),
    (0x0110..=0x0110, Again, "processing failure"),
    (0x0124..=0x0124, Again, "not authorised"),
    (0x0210..=0x0210, Again, "duplicate invocation"),
    (0x0211..=0x0211, Again, "unrecognised operation"),
    (0x0212..=0x0212, Again, "mistyped argument"),
    (0xa900..=0xa9ff, GivenUp, "the data set does not match its SOP class"),
    (0xc000..=0xcfff, GivenUp, "cannot understand the object"),
    (0x0105..=0x0105, GivenUp, "no such attribute"),
    (0x0106..=0x0106, GivenUp, "invalid attribute value"),
    (0x0112..=0x0112, GivenUp, "no such SOP instance"),
    (0x0115..=0x0115, GivenUp, "invalid argument value"),
    (0x0117..=0x0117, GivenUp, "invalid SOP instance"),
    (0x0118..=0x0118, GivenUp, "no such SOP class"),
    (0x0119..=0x0119, GivenUp, "class and instance contradict each other"),
    (0x0120..=0x0120, GivenUp, "missing attribute"),
    (0x0121..=0x0121, GivenUp, "missing attribute value"),
    (0x0122..=0x0122, GivenUp, "SOP class not supported"),
];

/// What `status` means for the object that was sent.
pub fn of(status: u16) -> Outcome {
    row(status).map_or(Again, |(_, outcome, _)| *outcome)
}

/// `status` in words.
pub fn words(status: u16) -> &'static str {
    row(status).map_or("a status that the standard does not name", |(.., words)| words)
}

fn row(status: u16) -> Option<&'static Row> {
    TABLE.iter().find(|(statuses, ..)| statuses.contains(&status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_the_standard_has_its_outcome() {
        for (statuses, outcome) in [
            (vec![0x0000, 0x0111], Stored),
            (vec![0xb000, 0xb006, 0xb007, 0xb123, 0xbfff, 0x0001, 0x0107, 0x0116], Warned),
            (vec![0xa700, 0xa701, 0xa7ff, 0x0213], Full),
            (vec![0x0110, 0x0124, 0x0210, 0x0211, 0x0212], Again),
            (vec![0xa900, 0xa9ff, 0xc000, 0xcfff, 0x0115, 0x0117, 0x0118, 0x0119, 0x0122], GivenUp),
            // In no table: cancel, pending, and what an archive made up.
            (vec![0xfe00, 0xff00, 0xff01, 0xa800, 0xd000, 0x0999], Again),
        ] {
            for status in statuses {
                assert_eq!(of(status), outcome, "{status:#06x}");
            }
        }
    }

    #[test]
    fn the_conformance_statement_names_every_row() {
        let document = include_str!("../../../docs/dicom-conformance.md");
        for (statuses, outcome, words) in TABLE {
            let name = match (statuses.start(), statuses.end()) {
                (one, end) if one == end => format!("{one:04X}"),
                (one, end) if one & 0x0f00 == end & 0x0f00 => format!("{:02X}xx", one >> 8),
                (one, _) => format!("{:X}xxx", one >> 12),
            };
            let heading = match outcome {
                Stored => "| delivered |",
                Warned => "| delivered, told |",
                Full => "| again, all of the queue |",
                Again => "| again |",
                Outcome::Hold | Outcome::Unclear => panic!("no DIMSE status says this"),
                GivenUp => "| parked |",
            };
            let line = document.lines().find(|line| line.starts_with(heading) && line.contains(&name));
            assert!(line.is_some_and(|line| line.contains(words)), "{name} {words} under {heading}");
        }
    }
}
