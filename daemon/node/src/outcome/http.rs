//! What an archive's answer to a STOW-RS request with one object means for that object (PS3.18 section 10.5.3).
//!
//! The Store Instances Response names the object as referenced (it has it) or as failed, with a reason that is a DIMSE status:
//! then the table of statuses counts, whatever the HTTP code. Only an answer that does not name the object is judged by its
//! code. A code in no row is tried again, as a status in no row.

use std::ops::RangeInclusive;

use super::Outcome::{self, Again, Full, GivenUp, Hold, Stored, Unclear, Warned};
use crate::web::reply::Reply;

/// Processing failure: what a failed object without a reason, or with one that says nothing, counts as.
pub const PROCESSING_FAILURE: u16 = 0x0110;
/// Attribute list error: what a warning with an unknown reason is kept as.
const SOME_WARNING: u16 = 0x0107;

/// What an answer says of the object that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// The archive has it. The status is 0, 0x0111, or that of its warning.
    Taken(u16),
    /// The archive names it as failed, with this status.
    Refused(u16),
    /// The archive names it as failed, for a reason that says that it has it: 0, or a warning. Some mean that they had it before
    /// (45070, B00E, of Microsoft's server).
    Contradictory,
    /// The archive says nothing of it; [`of`] says what its code means.
    Unnamed,
}

type Row = (RangeInclusive<u16>, Outcome, &'static str);

/// Of an answer that does not name the object. The first row that holds the code counts.
const TABLE: &[Row] = &[
    (200..=299, Again, "an answer that does not name the object"),
    (300..=399, Hold, "it points elsewhere, which is not followed: correct the url"),
    // A proxy says it to every request, too: to http at its port for https, or to a name that is not its own.
    (400..=400, Unclear, "it cannot read the request"),
    (401..=401, Hold, "it wants a login, or does not know ours"),
    (403..=403, Hold, "it does not let us store"),
    (404..=405, Hold, "no STOW-RS at this url"),
    (410..=410, Hold, "no STOW-RS at this url any more"),
    (406..=406, Hold, "it cannot answer in DICOM JSON"),
    (407..=407, Hold, "a proxy wants a login"),
    (409..=409, GivenUp, "it refuses the object"),
    (413..=413, GivenUp, "the object is too large for it"),
    (415..=415, GivenUp, "it does not take objects of this kind"),
    (422..=422, GivenUp, "it cannot process the object"),
    (429..=429, Hold, "too many requests"),
    (501..=501, Hold, "it does not have STOW-RS"),
    (502..=504, Hold, "it is not ready"),
    (507..=507, Full, "out of storage"),
    (500..=599, Again, "it failed at the object"),
];

/// Judges the answer to a request with the object `sop_uid` alone. `reply`: `None` when the body is neither DICOM JSON nor XML.
pub fn judge(code: u16, reply: Option<&Reply>, sop_uid: &str) -> Judged {
    let Some(reply) = reply else { return Judged::Unnamed };
    let failed = reply.failed.iter().find(|item| item.sop_uid == sop_uid);
    // A failure without a UID can only be that of the one object that was sent.
    if let Some(failed) = failed.or_else(|| reply.failed.iter().find(|item| item.sop_uid.is_empty())) {
        let status = failed.reason.unwrap_or(PROCESSING_FAILURE);
        return match super::of(status) {
            Stored if status != 0 => Judged::Taken(status),
            Stored | Warned => Judged::Contradictory,
            _ => Judged::Refused(status),
        };
    }
    match reply.referenced.iter().find(|item| item.sop_uid == sop_uid) {
        Some(item) if (200..300).contains(&code) => match item.reason {
            None | Some(0) => Judged::Taken(0),
            Some(status) if super::of(status) == Warned => Judged::Taken(status),
            Some(_) => Judged::Taken(SOME_WARNING),
        },
        _ => Judged::Unnamed,
    }
}

/// What `code` means, where the answer does not name the object.
pub fn of(code: u16) -> Outcome {
    row(code).map_or(Again, |(_, outcome, _)| *outcome)
}

/// `code` in words.
pub fn words(code: u16) -> &'static str {
    row(code).map_or("a code that this box does not know", |(.., words)| words)
}

fn row(code: u16) -> Option<&'static Row> {
    TABLE.iter().find(|(codes, ..)| codes.contains(&code))
}

/// The rows, for the tests that get each from a server.
#[doc(hidden)]
pub fn rows() -> impl Iterator<Item = (u16, u16, Outcome)> {
    TABLE.iter().map(|(codes, outcome, _)| (*codes.start(), *codes.end(), *outcome))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::reply::Item;

    const UID: &str = "1.2.3";

    fn item(reason: Option<u16>) -> Vec<Item> {
        vec![Item { sop_uid: UID.into(), reason }]
    }

    #[test]
    fn what_is_said_of_the_object_counts_more_than_the_code() {
        let named = |reason| Reply { referenced: item(reason), failed: Vec::new() };
        let failed = |reason| Reply { referenced: Vec::new(), failed: item(reason) };
        for (code, reply, judged) in [
            (200, named(None), Judged::Taken(0)),
            (200, named(Some(0xb000)), Judged::Taken(0xb000)),
            (202, named(Some(0xb007)), Judged::Taken(0xb007)),
            (202, named(Some(0x1234)), Judged::Taken(SOME_WARNING)),
            (409, named(None), Judged::Unnamed),
            (200, failed(Some(0xa700)), Judged::Refused(0xa700)),
            (202, failed(Some(0xa900)), Judged::Refused(0xa900)),
            (409, failed(Some(0x0122)), Judged::Refused(0x0122)),
            (409, failed(Some(0xc122)), Judged::Refused(0xc122)),
            (503, failed(Some(0xa700)), Judged::Refused(0xa700)),
            (409, failed(Some(0x0111)), Judged::Taken(0x0111)),
            (409, failed(None), Judged::Refused(PROCESSING_FAILURE)),
            (200, failed(Some(0)), Judged::Contradictory),
            (200, failed(Some(0xb000)), Judged::Contradictory),
            (409, failed(Some(45070)), Judged::Contradictory),
            (200, Reply::default(), Judged::Unnamed),
        ] {
            assert_eq!(judge(code, Some(&reply), UID), judged, "{code} {reply:?}");
            let of_another = judge(code, Some(&reply), "1.2.4");
            assert_eq!(of_another, Judged::Unnamed, "what is said of another object says nothing: {code}");
        }
        let both = Reply { referenced: item(None), failed: item(Some(0xc000)) };
        assert_eq!(judge(200, Some(&both), UID), Judged::Refused(0xc000), "the worse counts");
        let nameless = Reply { referenced: Vec::new(), failed: vec![Item { sop_uid: String::new(), reason: None }] };
        assert_eq!(judge(409, Some(&nameless), UID), Judged::Refused(PROCESSING_FAILURE));
        assert_eq!(judge(200, None, UID), Judged::Unnamed);
    }

    #[test]
    fn every_code_has_its_outcome() {
        for (codes, outcome) in [
            (vec![200, 202, 204], Again),
            (vec![301, 302, 307, 308, 401, 403, 404, 405, 406, 407, 410, 429, 501, 502, 503, 504], Hold),
            (vec![400], Unclear),
            (vec![409, 413, 415, 422], GivenUp),
            (vec![507], Full),
            (vec![500, 505, 599], Again),
            // In no row.
            (vec![402, 408, 411, 418, 451, 700, 999], Again),
        ] {
            for code in codes {
                assert_eq!(of(code), outcome, "{code}");
            }
        }
    }

    #[test]
    fn the_conformance_statement_names_every_row() {
        let document = include_str!("../../../../docs/dicom-conformance.md");
        for (codes, outcome, words) in TABLE {
            let name = match (codes.start(), codes.end()) {
                (one, end) if one == end => one.to_string(),
                (one, end) if end - one == 99 => format!("{}xx", one / 100),
                (one, end) => format!("{one} to {end}"),
            };
            let heading = match outcome {
                Full => "| again, all of the queue |",
                Hold => "| the queue waits |",
                Again => "| again |",
                GivenUp => "| parked |",
                Unclear => "| parked, once others are taken |",
                Stored | Warned => panic!("a code alone proves nothing"),
            };
            let said = format!("HTTP {name} {words}");
            let line = document.lines().find(|line| line.starts_with(heading) && line.contains(&said));
            assert!(line.is_some(), "{said} under {heading}");
        }
    }
}
