//! What a supervised device is doing, and what may happen to it. Pure: the clock's reading is given.

use std::time::Duration;

/// The state of a device that is to deliver pictures for ever. `since` is a reading of the clock.
///
/// Rows are states, columns events; `=` stays as it is, `-` is not allowed.
///
/// ```text
///            Start     Frame      NoSignal  Silence  SourceChanged  Gone       Refused  Stop
/// Idle       Starting  -          -         -        -              -          -        =
/// Starting   =         Streaming  NoSignal  Stuck    Changed        Unplugged  Failed   Idle
/// Streaming  =         =          NoSignal  Stuck    Changed        Unplugged  Failed   Idle
/// NoSignal   =         Streaming  =         =        Changed        Unplugged  Failed   Idle
/// Stuck      =         Streaming  NoSignal  =        Changed        Unplugged  Failed   Idle
/// Changed    =         Streaming  NoSignal  Stuck    =              Unplugged  Failed   Idle
/// Unplugged  =         Streaming  NoSignal  Stuck    Changed        =          Failed   Idle
/// Failed     =         Streaming  NoSignal  Stuck    Changed        Unplugged  = (1)    Idle
///
/// (1) another reason replaces the old one; `since` stays.
/// ```
///
/// No picture comes without a signal, so silence is no news there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceState {
    /// Nobody wants pictures.
    #[default]
    Idle,
    /// Wanted, none has come yet.
    Starting { since: Duration },
    /// Pictures come.
    Streaming { since: Duration },
    /// Nothing arrives at the device's input.
    NoSignal { since: Duration },
    /// The device says nothing at all; it is opened anew.
    Stuck { since: Duration },
    /// The source has another resolution; it is negotiated anew.
    Changed { since: Duration },
    /// The device has gone, or has never been there.
    Unplugged { since: Duration },
    /// The device refuses, and why in words; it is tried again, seldom.
    Failed { since: Duration, reason: String },
}

/// What may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceEvent {
    Start,
    Frame,
    NoSignal,
    /// No picture for longer than a device may take.
    Silence,
    SourceChanged,
    Gone,
    /// The device refuses for another reason.
    Refused(String),
    Stop,
}

/// What an event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Changed,
    Unchanged,
}

/// An event that cannot happen in that state: a fault in the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot happen while the device is {state}")]
pub struct IllegalTransition {
    pub state: &'static str,
    pub event: DeviceEvent,
}

impl DeviceState {
    /// One word for people and counters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Starting { .. } => "starting",
            Self::Streaming { .. } => "streaming",
            Self::NoSignal { .. } => "no signal",
            Self::Stuck { .. } => "stuck",
            Self::Changed { .. } => "changed",
            Self::Unplugged { .. } => "unplugged",
            Self::Failed { .. } => "failed",
        }
    }

    /// When it began, by the clock; `None` when idle.
    pub fn since(&self) -> Option<Duration> {
        match self {
            Self::Idle => None,
            Self::Starting { since }
            | Self::Streaming { since }
            | Self::NoSignal { since }
            | Self::Stuck { since }
            | Self::Changed { since }
            | Self::Unplugged { since }
            | Self::Failed { since, .. } => Some(*since),
        }
    }

    /// Lets `event` happen at `now`.
    ///
    /// # Errors
    /// When it is not allowed here; the state stays.
    pub fn on(&mut self, event: DeviceEvent, now: Duration) -> Result<Step, IllegalTransition> {
        let next = match (&*self, event) {
            (Self::Idle, DeviceEvent::Start) => Self::Starting { since: now },
            (Self::Idle, DeviceEvent::Stop) => Self::Idle,
            (Self::Idle, event) => return Err(IllegalTransition { state: self.name(), event }),
            (_, DeviceEvent::Stop) => Self::Idle,
            (same, DeviceEvent::Start) | (same @ Self::NoSignal { .. }, DeviceEvent::Silence) => same.clone(),
            (_, DeviceEvent::Frame) => Self::Streaming { since: now },
            (_, DeviceEvent::NoSignal) => Self::NoSignal { since: now },
            (_, DeviceEvent::Silence) => Self::Stuck { since: now },
            (_, DeviceEvent::SourceChanged) => Self::Changed { since: now },
            (_, DeviceEvent::Gone) => Self::Unplugged { since: now },
            (Self::Failed { since, .. }, DeviceEvent::Refused(reason)) => Self::Failed { since: *since, reason },
            (_, DeviceEvent::Refused(reason)) => Self::Failed { since: now, reason },
        };
        let same_kind = std::mem::discriminant(&next) == std::mem::discriminant(self);
        if same_kind && !matches!(next, Self::Failed { .. }) || next == *self {
            return Ok(Step::Unchanged);
        }
        *self = next;
        Ok(Step::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: Duration = Duration::from_secs(1);
    const NOW: Duration = Duration::from_secs(2);

    fn states(since: Duration) -> [DeviceState; 8] {
        [
            DeviceState::Idle,
            DeviceState::Starting { since },
            DeviceState::Streaming { since },
            DeviceState::NoSignal { since },
            DeviceState::Stuck { since },
            DeviceState::Changed { since },
            DeviceState::Unplugged { since },
            DeviceState::Failed { since, reason: "busy".into() },
        ]
    }

    fn events() -> [DeviceEvent; 8] {
        [
            DeviceEvent::Start,
            DeviceEvent::Frame,
            DeviceEvent::NoSignal,
            DeviceEvent::Silence,
            DeviceEvent::SourceChanged,
            DeviceEvent::Gone,
            DeviceEvent::Refused("busy".into()),
            DeviceEvent::Stop,
        ]
    }

    /// The table of the documentation, as it stands there.
    const TABLE: &str = "
        Idle       Starting  -          -         -        -              -          -        =
        Starting   =         Streaming  NoSignal  Stuck    Changed        Unplugged  Failed   Idle
        Streaming  =         =          NoSignal  Stuck    Changed        Unplugged  Failed   Idle
        NoSignal   =         Streaming  =         =        Changed        Unplugged  Failed   Idle
        Stuck      =         Streaming  NoSignal  =        Changed        Unplugged  Failed   Idle
        Changed    =         Streaming  NoSignal  Stuck    =              Unplugged  Failed   Idle
        Unplugged  =         Streaming  NoSignal  Stuck    Changed        =          Failed   Idle
        Failed     =         Streaming  NoSignal  Stuck    Changed        Unplugged  =        Idle";

    #[test]
    fn every_event_in_every_state_does_what_the_table_says() {
        let mut visited = 0;
        for (line, state) in TABLE.trim().lines().zip(states(THEN)) {
            let mut cells = line.split_whitespace();
            let name = cells.next().unwrap();
            assert!(format!("{state:?}").starts_with(name), "{name} {state:?}");
            for (cell, event) in cells.zip(events()) {
                visited += 1;
                let mut after = state.clone();
                let step = after.on(event.clone(), NOW);
                match cell {
                    "-" => {
                        assert_eq!(step, Err(IllegalTransition { state: state.name(), event: event.clone() }));
                        assert_eq!(after, state);
                    }
                    "=" => assert_eq!((step, &after), (Ok(Step::Unchanged), &state), "{name} {event:?}"),
                    cell => {
                        assert_eq!(step, Ok(Step::Changed), "{name} {event:?}");
                        let want = states(NOW).into_iter().find(|s| format!("{s:?}").starts_with(cell)).unwrap();
                        assert_eq!(after, want, "{name} {event:?}");
                    }
                }
            }
        }
        assert_eq!(visited, 64);
    }

    #[test]
    fn the_table_of_the_documentation_is_the_one_that_is_tested() {
        let source = include_str!("state.rs");
        for line in TABLE.trim().lines() {
            let row: Vec<_> = line.split_whitespace().collect();
            let documented = source
                .lines()
                .filter_map(|l| l.strip_prefix("/// "))
                .any(|l| l.replace("= (1)", "=").split_whitespace().eq(row.iter().copied()));
            assert!(documented, "{line}");
        }
    }

    #[test]
    fn another_reason_is_news_but_not_another_time() {
        let mut state = DeviceState::Failed { since: THEN, reason: "busy".into() };
        assert_eq!(state.on(DeviceEvent::Refused("no memory".into()), NOW), Ok(Step::Changed));
        assert_eq!(state, DeviceState::Failed { since: THEN, reason: "no memory".into() });
    }
}
