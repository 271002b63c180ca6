//! When the input is asked whether a signal arrives, and what counts while there is none. Pure.

use std::time::Duration;

/// How often the input status is read while frames arrive: some drivers deliver noise or blue frames after the cable is
/// pulled. On real cards the query uses a slow bus, so it is not sent for every frame.
pub(crate) const CHECK: Duration = Duration::from_millis(500);

/// What is known of the signal of a stream. Nothing was asked at first.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Signal {
    checked: Option<Duration>,
    lost: bool,
}

impl Signal {
    /// Whether the input must be asked before a frame is taken: now and then, and before every frame while there is no
    /// signal, because frames of noise may go on coming.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        self.lost || self.checked.is_none_or(|checked| now.saturating_sub(checked) >= CHECK)
    }

    /// The input was asked. Whether the signal has come back: what waits in the buffers was captured without it.
    pub(crate) fn answered(&mut self, now: Duration, there: bool) -> bool {
        self.checked = Some(now);
        std::mem::replace(&mut self.lost, !there) && there
    }
}
