//! The table from the reason of a refusal to its DIMSE status (PS3.7 annex C, PS3.4 section B.2.3).

use custody::spool::SpoolFault;

pub(super) const SUCCESS: u16 = 0x0000;

/// Status and reason of a response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// In plain words, for the log; the peer receives the first 64 characters. Empty for success.
    pub(super) reason: String,
    /// Error ID (0000,0903), where the standard names one.
    pub(super) error_id: Option<u16>,
}

/// Error Comment (0000,0902) has VR LO.
const COMMENT_CHARACTERS: usize = 64;

impl Answer {
    pub(super) fn new(status: u16, reason: &str) -> Self {
        Self { status, reason: reason.to_owned(), error_id: None }
    }

    /// Error Comment (0000,0902): at most 64 ASCII characters.
    pub(super) fn comment(&self) -> String {
        let plain = |c: char| if c.is_ascii_graphic() && c != '\\' || c == ' ' { c } else { '?' };
        self.reason.chars().map(plain).take(COMMENT_CHARACTERS).collect()
    }

    pub(super) fn success() -> Self {
        Self::default()
    }

    pub(super) fn is_success(&self) -> bool {
        self.status == SUCCESS
    }
}

/// Statuses of a peer's answers in plain words: the first row that holds one counts.
pub(super) type Words = [(std::ops::RangeInclusive<u16>, &'static str)];

/// What `status`, answered by `who`, means.
pub(super) fn in_words(table: &Words, who: &str, status: u16) -> String {
    let row = table.iter().find(|(statuses, _)| statuses.contains(&status));
    row.map_or_else(|| format!("{who} answered {status:#06x}"), |(_, words)| format!("{words} ({status:04X})"))
}

/// As the conformance statement has them: a row for each, `A7xx` and `Cxxx` for many.
#[cfg(test)]
pub(super) fn rows(table: &Words) -> impl Iterator<Item = String> {
    table.iter().map(|(statuses, words)| {
        let name = match (statuses.start(), statuses.end()) {
            (one, end) if one == end => format!("{one:04X}"),
            (one, end) if one & 0x0f00 == end & 0x0f00 => format!("{:02X}xx", one >> 8),
            (one, _) => format!("{:X}xxx", one >> 12),
        };
        format!("| {name} | {words}")
    })
}

/// Why a request is refused, by the node or by the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Spool(SpoolFault),
    /// The level is `NoNewStudies` or stricter.
    Restricted,
    /// The instance was quarantined, because it cannot be parsed.
    Quarantined,
    NotStorage,
    NoInstanceUid,
    NoDataSet,
    UnknownOperation,
    /// Of DIMSE-N: an action or event that the SOP class does not have.
    NoSuchAction,
    NoSuchEvent,
    /// A data set that cannot be read, or lacks what the operation needs.
    InvalidArgument,
    /// More objects, bytes or open transactions than this device takes.
    TooMuch,
    NoSuchInstance,
    NoSuchClass,
    /// The instance that is to be created exists.
    Duplicate,
    MissingAttribute,
    MissingValue,
    InvalidValue,
    /// The state of the instance does not allow it, or this device cannot do it now.
    Processing,
    NotAuthorised,
    /// Of C-FIND: the identifier is no question for a worklist, or there is no list to look into.
    NoQuestion,
    CannotList,
    TooManyMatches,
}

/// A sender tries again after 0xA7xx and gives up after any other failure. Therefore only what can be corrected on this
/// device (space, disk, restart) is 0xA700.
pub(super) fn of(refusal: Refusal) -> u16 {
    match refusal {
        Refusal::Restricted => 0xa700,
        Refusal::Spool(kind) => match kind {
            SpoolFault::NoSpace | SpoolFault::Io | SpoolFault::Database | SpoolFault::Closed => 0xa700,
            SpoolFault::UidMismatch => 0xa900,
            SpoolFault::Unwanted => 0x0124,
        },
        Refusal::Quarantined => 0xc000,
        Refusal::NotStorage => 0x0122,
        Refusal::NoInstanceUid => 0x0117,
        Refusal::NoDataSet => 0x0115,
        Refusal::UnknownOperation => 0x0211,
        Refusal::NoSuchAction => 0x0123,
        Refusal::NoSuchEvent => 0x0113,
        Refusal::InvalidArgument => 0x0115,
        Refusal::TooMuch => 0x0213,
        Refusal::NoSuchInstance => 0x0112,
        Refusal::NoSuchClass => 0x0118,
        Refusal::Duplicate => 0x0111,
        Refusal::MissingAttribute => 0x0120,
        Refusal::MissingValue => 0x0121,
        Refusal::InvalidValue => 0x0106,
        Refusal::Processing => 0x0110,
        Refusal::NotAuthorised => 0x0124,
        Refusal::NoQuestion => 0xa900,
        Refusal::CannotList => 0xc001,
        Refusal::TooManyMatches => 0xa700,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_64_plain_characters_whatever_it_was_made_of() {
        let comment = Answer::new(0xc000, &format!("käse\\\n{}", "x".repeat(100))).comment();
        assert_eq!(comment.len(), 64);
        assert!(comment.starts_with("k?se??x"));
    }

    #[test]
    fn no_room_asks_the_sender_to_try_again_and_a_wrong_uid_does_not() {
        assert_eq!(of(Refusal::Spool(SpoolFault::NoSpace)), 0xa700);
        assert_eq!(of(Refusal::Restricted), 0xa700);
        assert_eq!(of(Refusal::Spool(SpoolFault::UidMismatch)), 0xa900);
        assert_eq!(of(Refusal::Quarantined) & 0xf000, 0xc000);
    }
}
