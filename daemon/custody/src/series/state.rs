//! The states of a series and the transitions between them.
//!
//! ```text
//!              instance                       results made
//!   Receiving <--------- any but Evicted  Complete ------> Processed
//!       |                                    ^  |            |
//!       +------------- complete -------------+  +-> Refused  +--> Evicted (delivered, space needed)
//! ```

/// Every accepted series ends as `Processed` or `Refused`, with a verdict in plain words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesState {
    Receiving,
    /// All instances have arrived and a job exists.
    Complete,
    Processed,
    Refused,
    /// The bytes of its instances were removed, after its results had been delivered.
    Evicted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesEvent {
    /// A new instance arrived (not a repetition).
    Instance,
    Completed,
    Processed,
    Refused,
    Evicted,
    /// A user requested a new analysis.
    Rerun,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Changed(SeriesState),
    Unchanged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event {event:?} is not allowed for a series that is {from}")]
pub struct IllegalTransition {
    pub from: SeriesState,
    pub event: SeriesEvent,
}

impl SeriesState {
    /// # Errors
    /// [`IllegalTransition`] when the event is not allowed in this state; the series stays as it is.
    pub fn on(self, event: SeriesEvent) -> Result<Step, IllegalTransition> {
        use SeriesState::{Complete, Evicted, Processed, Receiving, Refused};
        let next = match (self, event) {
            // A late slice reopens a series that was concluded without it, even when its other slices have been
            // evicted.
            (_, SeriesEvent::Instance) => Receiving,
            (Receiving | Complete, SeriesEvent::Completed) => Complete,
            (Complete | Processed, SeriesEvent::Processed) => Processed,
            // Not while more comes: what was found in less of it is no verdict of the series.
            (Complete | Refused, SeriesEvent::Refused) => Refused,
            (Processed | Refused | Evicted, SeriesEvent::Evicted) => Evicted,
            (Complete | Processed | Refused, SeriesEvent::Rerun) => Complete,
            (from, event) => return Err(IllegalTransition { from, event }),
        };
        Ok(if next == self { Step::Unchanged } else { Step::Changed(next) })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Complete => "complete",
            Self::Processed => "processed",
            Self::Refused => "refused",
            Self::Evicted => "evicted",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Receiving, Self::Complete, Self::Processed, Self::Refused, Self::Evicted]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

impl std::fmt::Display for SeriesState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::SeriesEvent::{Completed, Instance, Rerun};
    use super::*;

    const STATES: [SeriesState; 5] = [
        SeriesState::Receiving,
        SeriesState::Complete,
        SeriesState::Processed,
        SeriesState::Refused,
        SeriesState::Evicted,
    ];
    const EVENTS: [SeriesEvent; 6] =
        [Instance, Completed, SeriesEvent::Processed, SeriesEvent::Refused, SeriesEvent::Evicted, Rerun];

    /// One letter for each (state, event): `x` forbidden, `.` unchanged, `f` refused, otherwise the initial of the next
    /// state.
    const TABLE: [&str; 5] = [
        ".Cxxxx", // receiving
        "R.Pfx.", // complete
        "Rx.xEC", // processed
        "Rxx.EC", // refused
        "Rxxx.x", // evicted
    ];

    #[test]
    fn every_state_meets_every_event_as_drawn() {
        for (row, state) in STATES.into_iter().enumerate() {
            for (column, event) in EVENTS.into_iter().enumerate() {
                let drawn = match TABLE[row].as_bytes()[column] {
                    b'x' => None,
                    b'.' => Some(Step::Unchanged),
                    b'R' => Some(Step::Changed(SeriesState::Receiving)),
                    b'C' => Some(Step::Changed(SeriesState::Complete)),
                    b'P' => Some(Step::Changed(SeriesState::Processed)),
                    b'f' => Some(Step::Changed(SeriesState::Refused)),
                    _ => Some(Step::Changed(SeriesState::Evicted)),
                };
                assert_eq!(state.on(event).ok(), drawn, "{state} on {event:?}");
            }
        }
    }

    #[test]
    fn names_survive_the_database() {
        for state in STATES {
            assert_eq!(SeriesState::parse(state.as_str()), Some(state));
        }
    }
}
