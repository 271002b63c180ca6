//! Where the probe is, as whoever scans says it: hour on the clock and ring around the nipple, the nipple itself, or the axilla. No picture
//! shows it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::findings::Side;

/// A place on the breast, seen by somebody who faces the patient. As text `3-middle`, `nipple`, `axilla`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Spot {
    /// 1 to 12.
    Hour(u8, Ring),
    /// The nipple and what lies behind it.
    Nipple,
    Axilla,
}

/// Distance from the nipple. The limits are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ring {
    /// Up to 30 mm.
    Inner,
    /// 30 to 60 mm.
    Middle,
    /// Beyond 60 mm.
    Outer,
}

impl Ring {
    pub const ALL: [Self; 3] = [Self::Inner, Self::Middle, Self::Outer];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inner => "inner",
            Self::Middle => "middle",
            Self::Outer => "outer",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ring| ring.as_str() == name)
    }

    /// Where steps of a lesion's distance begin, mm: a person changes it.
    pub const fn middle_mm(self) -> f64 {
        match self {
            Self::Inner => 15.0,
            Self::Middle => 45.0,
            Self::Outer => 75.0,
        }
    }
}

impl Spot {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "nipple" => return Some(Self::Nipple),
            "axilla" => return Some(Self::Axilla),
            _ => {}
        }
        let (hour, ring) = name.split_once('-')?;
        let hour = hour.parse().ok().filter(|hour| (1..=12).contains(hour))?;
        Some(Self::Hour(hour, Ring::named(ring)?))
    }

    /// All of one breast: nipple, hours from 12 on from the inner ring outwards, axilla.
    pub fn all() -> impl Iterator<Item = Self> {
        let hours =
            Ring::ALL.into_iter().flat_map(|ring| (0..12).map(move |i| Self::Hour(if i == 0 { 12 } else { i }, ring)));
        [Self::Nipple].into_iter().chain(hours).chain([Self::Axilla])
    }

    pub fn clock(self) -> Option<u8> {
        match self {
            Self::Hour(hour, _) => Some(hour),
            Self::Nipple | Self::Axilla => None,
        }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hour(hour, ring) => write!(f, "{hour}-{}", ring.as_str()),
            Self::Nipple => f.write_str("nipple"),
            Self::Axilla => f.write_str("axilla"),
        }
    }
}

impl From<Spot> for String {
    fn from(spot: Spot) -> Self {
        spot.to_string()
    }
}

/// A text that names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no place on the breast: an hour and a ring as 3-middle (rings: inner, middle, outer), nipple, or axilla"
)]
pub struct NoSpot(pub String);

impl TryFrom<String> for Spot {
    type Error = NoSpot;

    fn try_from(name: String) -> Result<Self, NoSpot> {
        Self::named(&name).ok_or(NoSpot(name))
    }
}

/// How the probe lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plane {
    /// Along the line from the nipple.
    Radial,
    /// Across that line.
    Antiradial,
}

impl Plane {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Radial => "radial",
            Self::Antiradial => "antiradial",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        [Self::Radial, Self::Antiradial].into_iter().find(|plane| plane.as_str() == name)
    }
}

/// Where the probe is on the breast that is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub spot: Spot,
    /// `None`: not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plane: Option<Plane>,
}

/// A key that moves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Clockwise as seen by somebody who faces the patient, and back.
    NextHour,
    PreviousHour,
    Outward,
    Inward,
    /// From radial to antiradial and back.
    Turn,
}

impl Step {
    pub const ALL: [(&'static str, Self); 5] = [
        ("next-hour", Self::NextHour),
        ("previous-hour", Self::PreviousHour),
        ("outward", Self::Outward),
        ("inward", Self::Inward),
        ("turn", Self::Turn),
    ];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(own, _)| *own == name).map(|(_, step)| step)
    }
}

impl Probe {
    /// Where it is after a step. From nowhere, and from nipple and axilla, an hour begins at 12 in the inner ring; a breast is scanned beyond
    /// the outer ring only in the axilla, which is a place of its own.
    #[must_use]
    pub fn stepped(from: Option<Self>, step: Step) -> Self {
        let begin = Self { spot: Spot::Hour(12, Ring::Inner), plane: from.and_then(|probe| probe.plane) };
        let Some(Self { spot, plane }) = from else {
            return if step == Step::Turn { Self { plane: Some(Plane::Radial), ..begin } } else { begin };
        };
        let spot = match (spot, step) {
            (Spot::Hour(hour, ring), Step::NextHour) => Spot::Hour(hour % 12 + 1, ring),
            (Spot::Hour(hour, ring), Step::PreviousHour) => Spot::Hour((hour + 10) % 12 + 1, ring),
            (Spot::Hour(hour, Ring::Inner), Step::Outward) => Spot::Hour(hour, Ring::Middle),
            (Spot::Hour(hour, _), Step::Outward) => Spot::Hour(hour, Ring::Outer),
            (Spot::Hour(hour, Ring::Outer), Step::Inward) => Spot::Hour(hour, Ring::Middle),
            (Spot::Hour(hour, Ring::Middle), Step::Inward) => Spot::Hour(hour, Ring::Inner),
            (Spot::Hour(_, Ring::Inner), Step::Inward) => Spot::Nipple,
            (Spot::Nipple, Step::Inward) | (_, Step::Turn) => spot,
            (Spot::Nipple | Spot::Axilla, _) => begin.spot,
        };
        let plane = match (plane, step) {
            (Some(Plane::Radial), Step::Turn) => Some(Plane::Antiradial),
            (_, Step::Turn) => Some(Plane::Radial),
            (plane, _) => plane,
        };
        Self { spot, plane }
    }
}

/// One place of one breast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Zone {
    pub side: Side,
    pub spot: Spot,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    #[test]
    fn every_place_has_a_name_and_is_found_by_it() {
        let all: Vec<Spot> = Spot::all().collect();
        assert_eq!(all.len(), 38);
        for spot in all {
            assert_eq!(Spot::named(&spot.to_string()), Some(spot));
        }
        for nowhere in ["", "0-inner", "13-inner", "3", "3-far", "-3-inner", "armpit"] {
            assert!(Spot::named(nowhere).is_none(), "{nowhere}");
        }
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            Just(Step::NextHour),
            Just(Step::PreviousHour),
            Just(Step::Outward),
            Just(Step::Inward),
            Just(Step::Turn)
        ];
        proptest::collection::vec(step, 1..60)
    }

    proptest! {
        #[test]
        fn keys_never_leave_the_breast_and_a_step_back_undoes_a_step_of_the_hour(steps in steps()) {
            let mut probe = None;
            for step in steps {
                let now = Probe::stepped(probe, step);
                prop_assert!(Spot::all().any(|spot| spot == now.spot));
                if let Spot::Hour(..) = now.spot {
                    let there = Probe::stepped(Some(now), Step::NextHour);
                    prop_assert_eq!(Probe::stepped(Some(there), Step::PreviousHour), now);
                }
                probe = Some(now);
            }
        }
    }
}
