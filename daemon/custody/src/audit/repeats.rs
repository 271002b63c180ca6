//! Who does the same again and again gets a row the first time, and then one with a count at growing intervals. Pure.

use std::collections::HashMap;
use std::time::Duration;

/// From the first time to the row that says how often it was repeated. The interval doubles from row to row.
const SHORTEST: Duration = Duration::from_secs(3600);
/// The longest interval; whoever is quiet for as long is forgotten.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) who: String,
    pub(super) what: String,
    pub(super) object: String,
}

impl Key {
    pub(super) fn new(who: &str, what: &str, object: &str) -> Self {
        Self { who: who.to_owned(), what: what.to_owned(), object: object.to_owned() }
    }
}

#[derive(Debug)]
struct Seen {
    last: Duration,
    /// When the next row is due, and how long after the last one.
    due: Duration,
    interval: Duration,
    /// How often since the last row.
    more: u64,
}

/// Times are since any moment, the same for all calls.
#[derive(Debug)]
pub(super) struct Repeats {
    /// Keys with the same `what`.
    most: usize,
    seen: HashMap<Key, Seen>,
}

impl Repeats {
    pub(super) fn new(most: usize) -> Self {
        Self { most, seen: HashMap::new() }
    }

    /// Counts one, and says whether it gets a row of its own. When there are too many others it counts as `otherwise`.
    pub(super) fn is_first(&mut self, key: Key, otherwise: Key, now: Duration) -> bool {
        let others = self.seen.keys().filter(|one| one.what == key.what).count();
        let key = if others < self.most || self.seen.contains_key(&key) { key } else { otherwise };
        if let Some(seen) = self.seen.get_mut(&key) {
            seen.more += 1;
            seen.last = now;
            return false;
        }
        self.seen.insert(key, Seen { last: now, due: now + SHORTEST, interval: SHORTEST, more: 0 });
        true
    }

    /// What was repeated, and how often since it was told last, where it is time to tell it.
    pub(super) fn due(&mut self, now: Duration) -> Vec<(Key, u64)> {
        let mut told = Vec::new();
        self.seen.retain(|key, seen| {
            if seen.due > now {
                return true;
            }
            if seen.more > 0 {
                told.push((key.clone(), seen.more));
            }
            seen.more = 0;
            seen.interval = (seen.interval * 2).min(LONGEST);
            seen.due = now + seen.interval;
            now.saturating_sub(seen.last) < LONGEST
        });
        told
    }

    /// What was not told yet.
    pub(super) fn all(&mut self) -> Vec<(Key, u64)> {
        self.seen.drain().filter(|(_, seen)| seen.more > 0).map(|(key, seen)| (key, seen.more)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_caller_who_tries_for_ever_gets_few_rows_and_every_attempt_is_counted() {
        let mut repeats = Repeats::new(2);
        let key = || Key::new("user 1000", "export", "");
        let (mut rows, mut counted) = (0, 0);
        for minute in 0..10 * 24 * 60 {
            for (_, more) in repeats.due(MINUTE * minute) {
                rows += 1;
                counted += more;
            }
            let first = repeats.is_first(key(), Key::new("other callers", "export", ""), MINUTE * minute);
            rows += u64::from(first);
            counted += u64::from(first);
        }
        counted += repeats.all().into_iter().map(|(_, more)| more).sum::<u64>();
        assert_eq!(counted, 10 * 24 * 60);
        assert!((2..20).contains(&rows), "{rows} rows in ten days");
    }

    #[test]
    fn whoever_waits_for_the_intervals_gets_no_more_rows() {
        let mut repeats = Repeats::new(2);
        let mut rows = 0;
        for quarter in 0..10 * 24 * 4 {
            let now = MINUTE * 15 * quarter;
            rows += repeats.due(now).len();
            // Just after a row, and never again before the next.
            if repeats.seen.values().all(|seen| seen.more == 0) {
                rows += usize::from(repeats.is_first(Key::new("u", "echo", ""), Key::new("o", "echo", ""), now));
            }
        }
        assert!(rows < 60, "{rows} rows in ten days: some a day");
    }

    #[test]
    fn many_callers_share_a_row_and_one_that_was_quiet_for_a_day_is_new_again() {
        let mut repeats = Repeats::new(2);
        let mut first =
            |who: &str, now| repeats.is_first(Key::new(who, "login", ""), Key::new("others", "login", ""), now);
        let answers = ["a", "b", "c", "d", "a"].map(|who| first(who, MINUTE));
        assert_eq!(answers, [true, true, true, false, false], "the third has the row of the others");
        let told = repeats.due(SHORTEST * 2);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(repeats.due(SHORTEST * 3), [], "told once");
        let _ = repeats.due(LONGEST * 3);
        assert!(repeats.is_first(Key::new("d", "login", ""), Key::new("others", "login", ""), LONGEST * 3));
    }
}
