//! Which list is read next. Pure. Signals say what has changed; a list that may be another one is read at the next occasion, and after
//! the first look at everything there is at most one occasion a second. So a dashboard costs a busy daemon no more than an idle one.

use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Read {
    /// Of the study that somebody looks at.
    Journal,
    Appliance,
    Studies,
    Running,
    Receiving,
    Destinations,
    Queued,
    Parked,
    Events,
    Live,
    Retention,
}

/// Milliseconds between two reads, whatever they read.
pub const PAUSE_MS: u64 = 1000;

/// What the first look is at, in this order.
pub const FIRST: [Read; 10] = [
    Read::Appliance,
    Read::Studies,
    Read::Running,
    Read::Receiving,
    Read::Destinations,
    Read::Live,
    Read::Events,
    Read::Queued,
    Read::Parked,
    Read::Retention,
];

impl Read {
    /// Milliseconds after which it is read again without a signal: free space, memory and the forecast have none.
    fn renewed_after(self) -> Option<u64> {
        match self {
            Self::Appliance => Some(10_000),
            Self::Retention => Some(300_000),
            _ => None,
        }
    }
}

/// Times are milliseconds of a clock that goes steadily.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Since when.
    wanted: BTreeMap<Read, u64>,
    last: Option<u64>,
    done: BTreeMap<Read, u64>,
}

impl Schedule {
    pub fn want(&mut self, read: Read, now: u64) {
        self.wanted.entry(read).or_insert(now);
    }

    /// It was read, so that it need not be.
    pub fn done(&mut self, read: Read, now: u64) {
        self.wanted.remove(&read);
        self.done.insert(read, now);
        self.last = Some(now);
    }

    /// What a person waits for comes first, then what has waited longest.
    pub fn next(&mut self, now: u64) -> Option<Read> {
        if self.last.is_some_and(|last| now < last.saturating_add(PAUSE_MS)) {
            return None;
        }
        for (read, done) in &self.done {
            if read.renewed_after().is_some_and(|after| now >= done.saturating_add(after)) {
                self.wanted.entry(*read).or_insert(now);
            }
        }
        if self.wanted.contains_key(&Read::Journal) {
            return Some(Read::Journal);
        }
        self.wanted.iter().min_by_key(|(_, since)| **since).map(|(read, _)| *read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_signals_is_one_read_a_second() {
        let (mut schedule, mut reads) = (Schedule::default(), Vec::new());
        for now in 0..20_000 {
            schedule.want(Read::Events, now);
            schedule.want(Read::Studies, now);
            if let Some(read) = schedule.next(now) {
                schedule.done(read, now);
                reads.push((now, read));
            }
        }
        assert!(reads.windows(2).all(|pair| pair[1].0 - pair[0].0 >= PAUSE_MS), "{reads:?}");
        let studies = reads.iter().filter(|(_, read)| *read == Read::Studies).count();
        assert_eq!((reads.len(), studies), (20, 10), "both get their turn: {reads:?}");
    }

    #[test]
    fn a_quiet_box_is_asked_for_what_has_no_signal_only() {
        let mut schedule = Schedule::default();
        for read in FIRST {
            schedule.done(read, 0);
        }
        let mut reads = Vec::new();
        for now in (0..60_000).step_by(100) {
            if let Some(read) = schedule.next(now) {
                schedule.done(read, now);
                reads.push(read);
            }
        }
        assert_eq!(reads, [Read::Appliance; 5]);
    }

    #[test]
    fn what_a_person_waits_for_is_read_first() {
        let mut schedule = Schedule::default();
        schedule.want(Read::Studies, 0);
        schedule.want(Read::Journal, 5);
        assert_eq!(schedule.next(6), Some(Read::Journal));
    }
}
