//! Timing for devices without hardware: waits on the injected clock until a frame is due and, like a driver, drops frames
//! when a slow reader leaves no free buffer.

use std::sync::Arc;
use std::time::Duration;

use super::{CaptureFault, Error};
use crate::clock::Clock;

#[derive(Debug, Clone)]
pub(super) struct Pacing {
    clock: Arc<dyn Clock>,
    start: Duration,
}

impl Pacing {
    /// The stream begins now.
    pub(super) fn begin(clock: &Arc<dyn Clock>) -> Self {
        Self { clock: clock.clone(), start: clock.now() }
    }

    /// The time by the clock of what is due `offset` after the start.
    pub(super) fn at(&self, offset: Duration) -> Duration {
        self.start.saturating_add(offset)
    }

    /// Waits for what is due `offset` after the start.
    ///
    /// # Errors
    /// `CaptureFault::TimedOut` when that is more than `timeout` away; `timeout` has passed then.
    pub(super) fn wait(&self, offset: Duration, timeout: Duration) -> Result<(), Error> {
        let left = self.at(offset).saturating_sub(self.clock.now());
        self.clock.sleep(left.min(timeout));
        if left <= timeout { Ok(()) } else { Err(timed_out(timeout)) }
    }

    /// How long ago `offset` after the start was.
    pub(super) fn late(&self, offset: Duration) -> Duration {
        self.clock.now().saturating_sub(self.at(offset))
    }
}

/// The error of every device when no frame arrived in time.
pub(super) fn timed_out(timeout: Duration) -> Error {
    Error::new(CaptureFault::TimedOut, format!("no frame within {} ms", timeout.as_millis()))
}
