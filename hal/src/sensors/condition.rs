//! What readings mean for the work of the machine. Pure. The condition does not flap: it takes two readings in a row to become hot,
//! some degrees and a minute to become normal again, and three silent looks to become unknown.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Cause, Readings};

/// How the machine can work. Ordered: a later one is worse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing can be read.
    #[default]
    Unknown,
    Normal,
    /// Near the temperature at which the kernel acts.
    Hot,
    /// It makes itself slower.
    Throttled,
}

impl Condition {
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Normal, Self::Hot, Self::Throttled];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Normal => "normal",
            Self::Hot => "hot",
            Self::Throttled => "throttled",
        }
    }
}

/// Once hot, a zone stays hot until it is so many degrees below.
const COOLER: f64 = 5.0;
/// How long nothing must be hot, or throttle, before that is over.
const OVER_AFTER: Duration = Duration::from_secs(60);
/// Hot readings in a row that count: one may be a glitch.
const HOT_LOOKS: u32 = 2;
/// Silent looks in a row that count.
const SILENT_LOOKS: u32 = 3;

/// What is remembered from one look to the next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Watcher {
    condition: Condition,
    /// Of the throttling.
    cause: Cause,
    /// When it was last hot, and throttled.
    hot_at: Option<Duration>,
    throttled_at: Option<Duration>,
    hot_looks: u32,
    silent_looks: u32,
    /// The counters at the last look.
    counted: BTreeMap<String, u64>,
}

impl Watcher {
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// Why it is throttled.
    pub fn cause(&self) -> Option<Cause> {
        (self.condition == Condition::Throttled).then_some(self.cause)
    }

    /// After one more look. `now`: of a monotonic clock.
    #[must_use]
    pub fn next(&self, readings: &Readings, now: Duration) -> Self {
        let mut next = self.clone();
        if !readings.is_known() {
            next.silent_looks = self.silent_looks.saturating_add(1);
            if next.silent_looks >= SILENT_LOOKS {
                // The counters stay: what rose meanwhile is told afterwards.
                next = Self { silent_looks: next.silent_looks, counted: next.counted, ..Self::default() };
            }
            return next;
        }
        next.silent_looks = 0;
        next.hot_looks = if above(readings, 0.0) { self.hot_looks.saturating_add(1) } else { 0 };
        if next.hot_looks >= HOT_LOOKS || (self.hot_at.is_some() && above(readings, COOLER)) {
            next.hot_at = Some(now);
        }
        if let Some(cause) = self.throttles(readings) {
            (next.throttled_at, next.cause) = (Some(now), cause);
        }
        for one in &readings.throttles {
            if let Some(times) = one.times {
                next.counted.insert(one.name.clone(), times);
            }
        }
        let lasting = |at: Option<Duration>| at.filter(|at| now.saturating_sub(*at) < OVER_AFTER);
        (next.hot_at, next.throttled_at) = (lasting(next.hot_at), lasting(next.throttled_at));
        next.condition = match (next.throttled_at, next.hot_at) {
            (Some(_), _) => Condition::Throttled,
            (None, Some(_)) => Condition::Hot,
            (None, None) => Condition::Normal,
        };
        next
    }

    /// Why it is throttled at this look. What was counted before the first look is past.
    fn throttles(&self, readings: &Readings) -> Option<Cause> {
        let rose = |name: &str, times: Option<u64>| {
            times.zip(self.counted.get(name)).is_some_and(|(now, before)| now > *before)
        };
        let active = readings.throttles.iter().filter(|one| one.active || rose(&one.name, one.times));
        active.map(|one| one.cause).min()
    }
}

/// Whether a zone is hot, or no more than so many degrees below.
fn above(readings: &Readings, below: f64) -> bool {
    readings.zones.iter().any(|zone| zone.celsius >= zone.hot_from() - below)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sensors::{Throttle, Zone};

    /// Hot from 92 °C on.
    fn at(celsius: f64) -> Readings {
        let zone = Zone { name: "cpu".into(), celsius, limit_celsius: Some(95.0), critical_celsius: None };
        Readings { zones: vec![zone], ..Readings::default() }
    }

    fn counting(cause: Cause, times: u64) -> Readings {
        let throttles = vec![Throttle { name: "counter".into(), cause, active: false, times: Some(times) }];
        Readings { throttles, ..at(50.0) }
    }

    /// A look every five seconds; the condition after each.
    fn seen(all: &[Readings]) -> Vec<Condition> {
        let (mut watcher, mut now) = (Watcher::default(), Duration::from_secs(1000));
        let look = |readings: &Readings| {
            watcher = watcher.next(readings, now);
            now += Duration::from_secs(5);
            watcher.condition()
        };
        all.iter().map(look).collect()
    }

    fn last(all: &[Readings]) -> Condition {
        *seen(all).last().unwrap()
    }

    /// One after the other, each so often.
    fn times(parts: &[(usize, Readings)]) -> Vec<Readings> {
        parts.iter().flat_map(|(count, readings)| std::iter::repeat_n(readings.clone(), *count)).collect()
    }

    #[test]
    fn a_box_that_gets_hot_is_hot_and_normal_again_a_minute_after_it_has_cooled() {
        assert_eq!(seen(&[at(50.0), at(92.0), at(92.0)]), [Condition::Normal, Condition::Normal, Condition::Hot]);
        assert_eq!(last(&times(&[(2, at(92.0)), (11, at(80.0))])), Condition::Hot, "55 s after");
        assert_eq!(last(&times(&[(2, at(92.0)), (12, at(80.0))])), Condition::Normal, "60 s after");
    }

    #[test]
    fn one_odd_reading_is_a_glitch() {
        assert_eq!(last(&[at(50.0), at(149.0), at(50.0), at(149.0)]), Condition::Normal);
        let cold = times(&[(2, at(93.0)), (1, at(2.0)), (1, at(93.0))]);
        assert_eq!(last(&cold), Condition::Hot);
    }

    #[test]
    fn a_temperature_that_swings_around_the_limit_does_not_flap() {
        let swinging: Vec<_> = (0..400).map(|look| at(if look % 40 < 20 { 92.5 } else { 88.0 })).collect();
        let seen = seen(&swinging);
        let changes = seen.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(changes, 1, "{seen:?}");
    }

    #[test]
    fn a_counter_that_rises_is_throttling_and_one_that_stands_is_the_past() {
        let counted = |times: &[u64]| last(&times.iter().map(|n| counting(Cause::Heat, *n)).collect::<Vec<_>>());
        assert_eq!(counted(&[900, 900, 900]), Condition::Normal, "before the first look");
        assert_eq!(counted(&[900, 901]), Condition::Throttled);
        assert_eq!(counted(&[900, 0, 0]), Condition::Normal, "it began again");
        assert_eq!(counted(&[900, 0, 1]), Condition::Throttled);
        let mut slow = vec![900];
        slow.extend((0..100).map(|look: u64| 901 + look / 8));
        let seen = seen(&slow.iter().map(|n| counting(Cause::Heat, *n)).collect::<Vec<_>>());
        assert!(seen[1..].iter().all(|one| *one == Condition::Throttled), "every 40 s, and it does not flap: {seen:?}");
    }

    #[test]
    fn a_weak_supply_is_told_from_heat_and_heat_comes_first() {
        let after = |one: Throttle, other: Throttle| {
            let readings = Readings { throttles: vec![one, other], ..at(50.0) };
            Watcher::default().next(&readings, Duration::ZERO).cause()
        };
        let active = |cause| Throttle { name: format!("{cause:?}"), cause, active: true, times: None };
        let quiet = |cause| Throttle { active: false, ..active(cause) };
        assert_eq!(after(quiet(Cause::Heat), active(Cause::Power)), Some(Cause::Power));
        assert_eq!(after(active(Cause::Power), active(Cause::Heat)), Some(Cause::Heat));
        assert_eq!(after(quiet(Cause::Power), quiet(Cause::Heat)), None);
        let hungry = [counting(Cause::Power, 3), counting(Cause::Power, 4)];
        let (mut watcher, mut now) = (Watcher::default(), Duration::ZERO);
        for readings in &hungry {
            (watcher, now) = (watcher.next(readings, now), now + Duration::from_secs(5));
        }
        assert_eq!((watcher.condition(), watcher.cause()), (Condition::Throttled, Some(Cause::Power)));
    }

    #[test]
    fn what_falls_silent_is_unknown_after_three_looks_and_known_at_the_first_word() {
        let silent = Readings::default();
        assert_eq!(last(&times(&[(2, at(93.0)), (2, silent.clone())])), Condition::Hot, "it may have been busy");
        assert_eq!(last(&times(&[(2, at(93.0)), (3, silent.clone())])), Condition::Unknown);
        assert_eq!(last(&times(&[(3, silent.clone()), (1, at(50.0))])), Condition::Normal);
        assert_eq!(last(&[silent]), Condition::Unknown, "nothing was ever read");
        let counted = times(&[(1, counting(Cause::Heat, 7)), (3, Readings::default()), (1, counting(Cause::Heat, 8))]);
        assert_eq!(last(&counted), Condition::Throttled, "it rose while nothing could be read");
    }

    proptest! {
        #[test]
        fn whatever_is_read_a_change_away_from_worse_takes_a_minute(
            celsius in proptest::collection::vec(1.0..149.0f64, 1..200),
        ) {
            let seen = seen(&celsius.iter().map(|one| at(*one)).collect::<Vec<_>>());
            let mut since = 0;
            for (look, pair) in seen.windows(2).enumerate() {
                if pair[1] > pair[0] {
                    since = look;
                }
                if pair[1] < pair[0] {
                    prop_assert!(look - since >= 11, "after {} looks: {seen:?}", look - since);
                }
            }
        }
    }
}
