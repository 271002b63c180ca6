//! When to try again what failed: pauses that double up to a longest one. Without jitter, since each box calls its own
//! devices, its own bus and its own archive. Pure: the caller reads the clock.

use std::time::Duration;

/// How long the pauses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// After the first failure.
    pub first: Duration,
    /// No pause is longer.
    pub longest: Duration,
}

impl Pauses {
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The pause after the `failures`th failure in a row, counted from 1: `first`, doubling up to `longest`.
    pub fn after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

/// Counts the failures in a row of one thing, and says when it may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pauses: Pauses,
    failures: u32,
    /// Reading of the clock at the last failure.
    failed_at: Duration,
}

impl Backoff {
    pub const fn new(pauses: Pauses) -> Self {
        Self { pauses, failures: 0, failed_at: Duration::ZERO }
    }

    /// Whether it may be tried at `now`, a reading of a clock. A reading before that of the last failure comes from a
    /// clock that was started anew: then it may be tried at once.
    pub fn is_due(&self, now: Duration) -> bool {
        !self.has_failed() || now < self.failed_at || now - self.failed_at >= self.pause()
    }

    /// It failed at `now`; returns the pause until the next attempt.
    pub fn failed(&mut self, now: Duration) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.failed_at = now;
        self.pause()
    }

    /// The next failure counts as the first again.
    pub fn succeeded(&mut self) {
        *self = Self::new(self.pauses);
    }

    /// Whether the last attempt failed.
    pub fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// From the last failure to the next attempt.
    pub fn pause(&self) -> Duration {
        self.pauses.after(self.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES: Pauses = Pauses::new(Duration::from_millis(200), Duration::from_secs(10));

    #[test]
    fn pauses_double_up_to_the_longest_and_stay_there_for_ever() {
        let pauses: Vec<_> = (1..=9).map(|failures| PAUSES.after(failures).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
        assert_eq!(PAUSES.after(u32::MAX), PAUSES.longest);
        assert_eq!(PAUSES.after(0), PAUSES.first);
        let unbounded = Pauses::new(Duration::MAX, Duration::MAX);
        assert_eq!(unbounded.after(5), Duration::MAX, "no overflow");
    }

    #[test]
    fn it_is_due_when_the_pause_has_passed_and_begins_anew_after_a_success() {
        let mut backoff = Backoff::new(PAUSES);
        let mut now = Duration::ZERO;
        assert!(backoff.is_due(now), "nothing has failed yet");
        let pauses: Vec<_> = (0..40)
            .map(|_| {
                let pause = backoff.failed(now);
                let begun = now;
                while !backoff.is_due(now) {
                    now += Duration::from_millis(100);
                }
                assert_eq!(now - begun, pause);
                pause.as_millis()
            })
            .collect();
        assert_eq!(pauses[..7], [200, 400, 800, 1600, 3200, 6400, 10_000]);
        assert_eq!(pauses[39], 10_000);
        backoff.succeeded();
        assert!(!backoff.has_failed() && backoff.is_due(Duration::ZERO));
        assert_eq!(backoff.failed(now).as_millis(), 200);
    }

    #[test]
    fn a_clock_that_was_started_anew_does_not_prolong_the_pause() {
        let mut backoff = Backoff::new(PAUSES);
        backoff.failed(Duration::from_secs(500));
        assert!(!backoff.is_due(Duration::from_secs(500)));
        assert!(backoff.is_due(Duration::from_secs(3)));
    }
}
