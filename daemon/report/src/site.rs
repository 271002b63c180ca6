//! Where in the body something lies, as codes.

use models::findings::{LobeName, Side};

use crate::codes::{BOTH_SIDES, Code, LEFT, LOWER_LOBE, LUNG, MIDDLE_LOBE, RIGHT, UPPER_LOBE};

/// A place in the body, with its side where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    pub place: Code,
    pub side: Option<Code>,
}

impl Site {
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

pub fn lobe_code(name: LobeName) -> Code {
    match name {
        LobeName::RightUpper | LobeName::LeftUpper => UPPER_LOBE,
        LobeName::RightMiddle => MIDDLE_LOBE,
        LobeName::RightLower | LobeName::LeftLower => LOWER_LOBE,
    }
}
