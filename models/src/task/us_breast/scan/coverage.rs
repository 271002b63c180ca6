//! For how long each place of each breast was looked at, and how: what was swept too fast or not at all. A freehand estimate: the person says
//! where the probe is, and the speed is estimated from the pictures.

use serde::{Deserialize, Serialize};

use super::probe::{Plane, Probe, Spot};
use crate::findings::Side;

/// A place counts as looked at after so many seconds with contact and not too fast, in which the plane went so far, mm: who holds the probe
/// still sees one plane only. Ours: less than a slow sweep through a zone of the inner ring.
pub const ENOUGH_SECS: f64 = 1.0;
pub const ENOUGH_MM: f64 = 8.0;
/// Slower than this, mm/s, counts as held still: noise looks like it.
const REST_MM_S: f64 = 3.0;
/// Less than this is passing by.
const PASSING_SECS: f64 = 0.3;

/// How a moment looked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quality {
    /// The plane moved with this speed, mm/s.
    Good(f64),
    TooFast,
    PoorContact,
    /// Contact or speed could not be judged.
    NotJudged,
}

/// Of one place. Seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    pub side: Side,
    pub spot: Spot,
    /// With contact and not too fast, and how far the plane went meanwhile, mm.
    pub good_secs: f64,
    #[serde(default)]
    pub good_mm: f64,
    #[serde(default)]
    pub fast_secs: f64,
    #[serde(default)]
    pub poor_secs: f64,
    #[serde(default)]
    pub unjudged_secs: f64,
    /// Planes in which it was looked at well, as far as that was said.
    #[serde(default)]
    pub radial: bool,
    #[serde(default)]
    pub antiradial: bool,
}

/// What is to be said of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    LookedAt,
    /// With contact and slowly, but not for long enough, or with the probe held still.
    TooShort,
    TooFast,
    PoorContact,
    /// Nobody knows how well: no scale, colours, a curved probe.
    NotJudged,
    NotSwept,
}

impl State {
    pub const ALL: [Self; 6] =
        [Self::LookedAt, Self::TooShort, Self::TooFast, Self::PoorContact, Self::NotJudged, Self::NotSwept];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LookedAt => "looked_at",
            Self::TooShort => "too_short",
            Self::TooFast => "too_fast",
            Self::PoorContact => "poor_contact",
            Self::NotJudged => "not_judged",
            Self::NotSwept => "not_swept",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl Looked {
    fn new(side: Side, spot: Spot) -> Self {
        Self {
            side,
            spot,
            good_secs: 0.0,
            good_mm: 0.0,
            fast_secs: 0.0,
            poor_secs: 0.0,
            unjudged_secs: 0.0,
            radial: false,
            antiradial: false,
        }
    }

    pub fn state(&self) -> State {
        let Self { good_secs, good_mm, fast_secs, poor_secs, unjudged_secs, .. } = *self;
        let total = good_secs + fast_secs + poor_secs + unjudged_secs;
        if good_secs >= ENOUGH_SECS && good_mm >= ENOUGH_MM {
            return State::LookedAt;
        }
        if total < PASSING_SECS {
            return State::NotSwept;
        }
        let most = [
            (good_secs, State::TooShort),
            (fast_secs, State::TooFast),
            (poor_secs, State::PoorContact),
            (unjudged_secs, State::NotJudged),
        ];
        most.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).map_or(State::NotSwept, |(_, state)| state)
    }
}

/// Of both breasts; places of which nothing is known are not in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Coverage(Vec<Looked>);

impl Coverage {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn looked(&self) -> &[Looked] {
        &self.0
    }

    /// Seconds that are not numbers, or below 0, count as none.
    pub fn add(&mut self, side: Side, probe: Probe, secs: f64, quality: Quality) {
        if !(secs > 0.0 && secs.is_finite()) {
            return;
        }
        let found = self.0.iter().position(|one| (one.side, one.spot) == (side, probe.spot));
        let index = found.unwrap_or_else(|| {
            self.0.push(Looked::new(side, probe.spot));
            self.0.len() - 1
        });
        let Some(one) = self.0.get_mut(index) else { return };
        match quality {
            Quality::Good(mm_s) => {
                one.good_secs += secs;
                one.good_mm += if mm_s.is_finite() && mm_s >= REST_MM_S { mm_s * secs } else { 0.0 };
            }
            Quality::TooFast => one.fast_secs += secs,
            Quality::PoorContact => one.poor_secs += secs,
            Quality::NotJudged => one.unjudged_secs += secs,
        }
        if matches!(quality, Quality::Good(_)) {
            one.radial |= probe.plane == Some(Plane::Radial);
            one.antiradial |= probe.plane == Some(Plane::Antiradial);
        }
    }

    pub fn state(&self, side: Side, spot: Spot) -> State {
        let one = self.0.iter().find(|one| (one.side, one.spot) == (side, spot));
        one.map_or(State::NotSwept, Looked::state)
    }

    /// The breasts of which anything is known.
    pub fn sides(&self) -> Vec<Side> {
        [Side::Right, Side::Left].into_iter().filter(|side| self.0.iter().any(|one| one.side == *side)).collect()
    }

    /// The places of a breast in this state, in their order.
    pub fn spots(&self, side: Side, state: State) -> Vec<Spot> {
        Spot::all().filter(|spot| self.state(side, *spot) == state).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::super::probe::Ring;
    use super::*;

    fn probe(spot: Spot) -> Probe {
        Probe { spot, plane: None }
    }

    #[test]
    fn what_was_swept_too_fast_or_not_at_all_is_told_and_a_second_look_mends_it() {
        let mut coverage = Coverage::default();
        let (three, four) = (Spot::Hour(3, Ring::Inner), Spot::Hour(4, Ring::Inner));
        coverage.add(Side::Left, probe(three), 2.0, Quality::TooFast);
        coverage.add(Side::Left, probe(four), 0.1, Quality::Good(10.0));
        assert_eq!(coverage.state(Side::Left, three), State::TooFast);
        assert_eq!(coverage.state(Side::Left, four), State::NotSwept, "passing by");
        assert_eq!(coverage.state(Side::Right, three), State::NotSwept, "the other breast");
        coverage.add(Side::Left, probe(three), 0.9, Quality::Good(10.0));
        assert_eq!(coverage.state(Side::Left, three), State::TooFast);
        coverage.add(Side::Left, probe(three), 0.7, Quality::Good(10.0));
        assert_eq!(coverage.state(Side::Left, three), State::LookedAt);
        assert_eq!(coverage.sides(), [Side::Left]);
        assert_eq!(coverage.spots(Side::Left, State::NotSwept).len(), 37);
    }

    #[test]
    fn a_probe_that_is_held_still_sees_one_plane_only() {
        let mut coverage = Coverage::default();
        coverage.add(Side::Left, probe(Spot::Nipple), 60.0, Quality::Good(1.5));
        assert_eq!(coverage.state(Side::Left, Spot::Nipple), State::TooShort);
        coverage.add(Side::Left, probe(Spot::Nipple), 1.0, Quality::Good(8.0));
        assert_eq!(coverage.state(Side::Left, Spot::Nipple), State::LookedAt);
    }

    #[test]
    fn a_place_whose_speed_nobody_knows_is_never_called_looked_at() {
        let mut coverage = Coverage::default();
        coverage.add(Side::Right, probe(Spot::Axilla), 600.0, Quality::NotJudged);
        coverage.add(Side::Right, probe(Spot::Nipple), 600.0, Quality::PoorContact);
        let states = [Spot::Axilla, Spot::Nipple].map(|spot| coverage.state(Side::Right, spot));
        assert_eq!(states, [State::NotJudged, State::PoorContact]);
    }

    #[test]
    fn it_is_read_back_as_it_was_written_and_a_place_that_is_none_is_refused() {
        let mut coverage = Coverage::default();
        let there = Probe { spot: Spot::Hour(11, Ring::Outer), plane: Some(Plane::Radial) };
        coverage.add(Side::Right, there, 1.25, Quality::Good(8.0));
        let text = serde_json::to_string(&coverage).unwrap();
        assert!(text.contains("\"spot\":\"11-outer\"") && text.contains("\"radial\":true"), "{text}");
        assert_eq!(serde_json::from_str::<Coverage>(&text).unwrap(), coverage);
        assert!(serde_json::from_str::<Coverage>(&text.replace("11-outer", "11-far")).is_err());
    }

    fn moments() -> impl Strategy<Value = Vec<(bool, usize, f64, Quality)>> {
        let quality = prop_oneof![
            Just(Quality::Good(8.0)),
            Just(Quality::TooFast),
            Just(Quality::PoorContact),
            Just(Quality::NotJudged)
        ];
        proptest::collection::vec((proptest::bool::ANY, 0usize..38, -0.5f64..3.0, quality), 0..200)
    }

    proptest! {
        #[test]
        fn no_second_is_lost_or_counted_for_another_place(moments in moments()) {
            let all: Vec<Spot> = Spot::all().collect();
            let side = |left| if left { Side::Left } else { Side::Right };
            let mut coverage = Coverage::default();
            for (left, spot, secs, quality) in &moments {
                coverage.add(side(*left), probe(all[*spot]), *secs, *quality);
            }
            for left in [false, true] {
                let mut counted = 0;
                for state in State::ALL {
                    counted += coverage.spots(side(left), state).len();
                }
                prop_assert_eq!(counted, 38, "each place has one state");
                for (index, spot) in all.iter().enumerate() {
                    let own = moments.iter().filter(|one| (one.0, one.1) == (left, index) && one.2 > 0.0);
                    let good: f64 =
                        own.clone().filter(|one| matches!(one.3, Quality::Good(_))).map(|one| one.2).sum();
                    let state = coverage.state(side(left), *spot);
                    prop_assert_eq!(state == State::LookedAt, good >= ENOUGH_SECS - 1e-9, "{} {:?}", good, state);
                    let total: f64 = own.map(|one| one.2).sum();
                    prop_assert!(total >= 0.3 - 1e-9 || state == State::NotSwept);
                }
            }
        }
    }
}
