//! Where in the body something lies, as codes.

use models::findings::{LobeName, Side};

use crate::codes::{BOTH_SIDES, BREAST, Code, LEFT, LOWER_LOBE, LUNG, MIDDLE_LOBE, RIGHT, UPPER_LOBE, sct};

/// A place in the body, with its side where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    pub place: Code,
    pub side: Option<Code>,
}

impl Site {
    pub fn breast(side: Option<Side>) -> Self {
        Self { place: BREAST, side: side.map(side_code) }
    }

    pub fn lung(side: Side) -> Self {
        Self { place: LUNG, side: Some(side_code(side)) }
    }

    pub fn lungs() -> Self {
        Self { place: LUNG, side: Some(BOTH_SIDES) }
    }

    pub fn lobe(name: LobeName) -> Self {
        Self { place: lobe_code(name), side: Some(side_code(name.side())) }
    }

    pub fn lobe_or_lung(name: Option<LobeName>, side: Side) -> Self {
        name.map_or_else(|| Self::lung(side), Self::lobe)
    }
}

pub fn side_code(side: Side) -> Code {
    match side {
        Side::Right => RIGHT,
        Side::Left => LEFT,
    }
}

/// An hour on the clock of a breast, 1 to 12 (CID 6018).
pub fn hour_code(hour: u8) -> Option<Code> {
    const HOURS: [(&str, &str); 12] = [
        ("129772004", "1 o'clock position"),
        ("129773009", "2 o'clock position"),
        ("129774003", "3 o'clock position"),
        ("129775002", "4 o'clock position"),
        ("129776001", "5 o'clock position"),
        ("129777005", "6 o'clock position"),
        ("129778000", "7 o'clock position"),
        ("129779008", "8 o'clock position"),
        ("129780006", "9 o'clock position"),
        ("129781005", "10 o'clock position"),
        ("129782003", "11 o'clock position"),
        ("129783008", "12 o'clock position"),
    ];
    let (value, meaning) = HOURS.get(usize::from(hour).checked_sub(1)?)?;
    Some(sct(value, meaning))
}

pub fn lobe_code(name: LobeName) -> Code {
    match name {
        LobeName::RightUpper | LobeName::LeftUpper => UPPER_LOBE,
        LobeName::RightMiddle => MIDDLE_LOBE,
        LobeName::RightLower | LobeName::LeftLower => LOWER_LOBE,
    }
}
