//! When to try again what failed: soon, then less and less often. Pure.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    failures: u32,
    not_before: Duration,
}

impl Backoff {
    /// Whether it may be tried at `now`, a reading of the clock.
    pub fn due(&self, now: Duration) -> bool {
        now >= self.not_before
    }

    pub fn failed(&mut self, now: Duration) {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.not_before = now.saturating_add(FIRST.saturating_mul(factor).min(LONGEST));
        self.failures = self.failures.saturating_add(1);
    }

    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub fn has_failed(&self) -> bool {
        self.failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::default();
        let mut now = Duration::ZERO;
        let pauses: Vec<_> = (0..40)
            .map(|_| {
                assert!(backoff.due(now));
                backoff.failed(now);
                let begun = now;
                while !backoff.due(now) {
                    now += Duration::from_millis(100);
                }
                (now - begun).as_millis()
            })
            .collect();
        assert_eq!(pauses[..7], [200, 400, 800, 1600, 3200, 6400, 10_000]);
        assert_eq!(pauses[39], 10_000);
        backoff.succeeded();
        assert!(!backoff.has_failed() && backoff.due(Duration::ZERO));
    }
}
