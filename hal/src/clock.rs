//! Monotonic time behind a trait, so that code that waits can be tested without waiting; and UTC as text.

use std::time::Duration;

/// A monotonic clock. Two readings of one clock can be compared; those of two clocks cannot.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Time since the clock's own zero; never goes back.
    fn now(&self) -> Duration;

    /// Returns when `span` has passed on this clock.
    fn sleep(&self, span: Duration);
}

/// `CLOCK_MONOTONIC`, the clock by which video drivers stamp their frames.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Clock for System {
    fn now(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        // The kernel gives seconds since boot, never negative, and nanoseconds below 10^9.
        Duration::try_from(time).unwrap_or_default()
    }

    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// Now in UTC, as every row and result has it: sortable text with milliseconds, `2026-11-24T03:00:00.000Z`.
pub fn now_utc() -> String {
    utc_text(jiff::Timestamp::now())
}

/// The moment `wait` from now, in the form of [`now_utc`]; the end of the calendar (year 9999) when it lies beyond.
pub fn utc_after(wait: Duration) -> String {
    let wait = jiff::SignedDuration::try_from(wait).unwrap_or(jiff::SignedDuration::MAX);
    utc_text(jiff::Timestamp::now().checked_add(wait).unwrap_or(jiff::Timestamp::MAX))
}

fn utc_text(moment: jiff::Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A clock for tests: it advances only by `advance` and by `sleep`. Clones share the time.
#[cfg(any(test, feature = "sim"))]
#[derive(Debug, Clone, Default)]
pub struct Manual {
    now: std::sync::Arc<std::sync::Mutex<Duration>>,
}

#[cfg(any(test, feature = "sim"))]
impl Manual {
    /// Lets `span` pass.
    pub fn advance(&self, span: Duration) {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += span;
    }
}

#[cfg(any(test, feature = "sim"))]
impl Clock for Manual {
    fn now(&self) -> Duration {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn sleep(&self, span: Duration) {
        self.advance(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_does_not_go_back() {
        let before = System.now();
        System.sleep(Duration::ZERO);
        assert!(before > Duration::ZERO && System.now() >= before);
    }

    #[test]
    fn utc_is_sortable_text_with_milliseconds() {
        assert_eq!(utc_text(jiff::Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
        let now = now_utc();
        assert_eq!(now.len(), "2026-11-24T03:00:00.000Z".len());
        assert!(now <= utc_after(Duration::ZERO) && now < utc_after(Duration::from_secs(1)));
        assert!(utc_after(Duration::MAX).starts_with("9999-12-"), "far beyond the calendar");
    }

    #[test]
    fn sim_sleeping_on_the_manual_clock_is_how_its_time_passes() {
        let clock = Manual::default();
        clock.clone().sleep(Duration::from_secs(3600));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Duration::from_secs(3601));
    }
}
