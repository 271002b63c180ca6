//! Monotonic time behind a trait, so that whatever waits can be tested without waiting.

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
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// A clock that moves when it is told to, and by as much as somebody sleeps on it. Clones share the time.
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
    fn sim_sleeping_on_the_manual_clock_is_how_its_time_passes() {
        let clock = Manual::default();
        clock.clone().sleep(Duration::from_secs(3600));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Duration::from_secs(3601));
    }
}
