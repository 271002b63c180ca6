//! The state behind the sign on the page, and its transitions. Pure.

use crate::trouble::Trouble;
use crate::view::{By, IllegalTransition, Sign};

/// The state of the live path while a device is configured.
///
/// Rows are states, columns events; `=` stays as it is, `-` is not allowed.
///
/// ```text
///          Picture  Answer  Trouble  Still  Moved  Freeze  Thaw   Lost   Fault
/// Dark     Blind    =       =        =      =      -       =      = (1)  Broken
/// Broken   Blind    =       =        =      =      -       =      Dark   = (1)
/// Blind    =        Ready   = (1)    Still  =      Frozen  =      Dark   Broken
/// Ready    =        =       Blind    Still  =      Frozen  =      Dark   Broken
/// Still    =        =       =        =      Blind  Frozen  =      Dark   Broken
/// Frozen   =        =       =        =      =      =       Blind  Dark   Broken
///
/// (1) another reason replaces the old one.
/// ```
///
/// A lost signal ends a freeze: pictures that come after it are live. Whenever pictures come back, the state is Blind
/// until the model has answered, so a fault of the model need not be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignState {
    /// No pictures come.
    Dark { reason: String },
    /// The device does not work.
    Broken { reason: String },
    /// Pictures without overlay.
    Blind { trouble: Trouble },
    /// Pictures and overlay.
    Ready,
    /// The scanner's picture is frozen.
    Still,
    /// A user froze the page.
    Frozen { by: By },
}

/// What may happen to the live path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignEvent {
    /// A picture came.
    Picture,
    /// The model answered in time.
    Answer,
    /// There is no model, or it is slow, crashed or answered nonsense.
    Trouble(Trouble),
    /// The scanner's picture is frozen, or moves again.
    Still,
    Moved,
    /// A user freezes the page, or ends the freeze.
    Freeze(By),
    Thaw,
    /// No pictures come, and why.
    Lost(String),
    /// The device does not work, and why.
    Fault(String),
}

/// What an event did to the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Changed,
    Unchanged,
}

impl Default for SignState {
    fn default() -> Self {
        Self::Dark { reason: "no picture has come yet".into() }
    }
}

impl SignState {
    /// The state in words.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Dark { .. } => "there is no signal",
            Self::Broken { .. } => "the device does not work",
            Self::Blind { .. } => "there is no overlay",
            Self::Ready => "all is ready",
            Self::Still => "the scanner's picture is frozen",
            Self::Frozen { .. } => "the picture is frozen",
        }
    }

    pub fn sign(&self) -> Sign {
        match self {
            Self::Dark { reason } => Sign::NoSignal { reason: reason.clone() },
            Self::Broken { reason } => Sign::Failed { reason: reason.clone() },
            Self::Blind { trouble } => Sign::NoOverlay { reason: trouble.to_string() },
            Self::Ready => Sign::Ready,
            Self::Still => Sign::Paused { reason: "the scanner's picture is frozen".into() },
            Self::Frozen { by } => Sign::Paused { reason: format!("frozen by the user, {}", by.words()) },
        }
    }

    /// Whether new pictures are shown.
    pub fn shows_pictures(&self) -> bool {
        matches!(self, Self::Blind { .. } | Self::Ready | Self::Still)
    }

    /// Applies `event`.
    ///
    /// # Errors
    /// When it is not allowed in this state, which stays as it is.
    pub fn on(&mut self, event: SignEvent) -> Result<Step, IllegalTransition> {
        let blind = || Self::Blind { trouble: Trouble::NotYet };
        let next = match (&*self, event) {
            (_, SignEvent::Lost(reason)) => Self::Dark { reason },
            (_, SignEvent::Fault(reason)) => Self::Broken { reason },
            (Self::Dark { .. } | Self::Broken { .. }, SignEvent::Picture) => blind(),
            (Self::Dark { .. } | Self::Broken { .. }, SignEvent::Freeze(_)) => {
                return Err(IllegalTransition(self.words()));
            }
            (Self::Blind { .. }, SignEvent::Answer) => Self::Ready,
            (Self::Blind { .. } | Self::Ready, SignEvent::Trouble(trouble)) => Self::Blind { trouble },
            (Self::Blind { .. } | Self::Ready, SignEvent::Still) => Self::Still,
            (Self::Still, SignEvent::Moved) | (Self::Frozen { .. }, SignEvent::Thaw) => blind(),
            // Who froze first stays the one who is named.
            (Self::Blind { .. } | Self::Ready | Self::Still, SignEvent::Freeze(by)) => Self::Frozen { by },
            (same, _) => same.clone(),
        };
        if next == *self {
            return Ok(Step::Unchanged);
        }
        *self = next;
        Ok(Step::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHY: &str = "why";

    fn trouble(why: &str) -> Trouble {
        Trouble::Crashed(why.into())
    }

    fn states() -> [SignState; 6] {
        let reason = || WHY.to_owned();
        [
            SignState::Dark { reason: reason() },
            SignState::Broken { reason: reason() },
            SignState::Blind { trouble: trouble(WHY) },
            SignState::Ready,
            SignState::Still,
            SignState::Frozen { by: By::Page },
        ]
    }

    fn events() -> [SignEvent; 9] {
        let reason = || WHY.to_owned();
        [
            SignEvent::Picture,
            SignEvent::Answer,
            SignEvent::Trouble(trouble(WHY)),
            SignEvent::Still,
            SignEvent::Moved,
            SignEvent::Freeze(By::Page),
            SignEvent::Thaw,
            SignEvent::Lost(reason()),
            SignEvent::Fault(reason()),
        ]
    }

    /// The table of the documentation, as it stands there.
    const TABLE: &str = "
        Dark     Blind    =       =        =      =      -       =      =      Broken
        Broken   Blind    =       =        =      =      -       =      Dark   =
        Blind    =        Ready   =        Still  =      Frozen  =      Dark   Broken
        Ready    =        =       Blind    Still  =      Frozen  =      Dark   Broken
        Still    =        =       =        =      Blind  Frozen  =      Dark   Broken
        Frozen   =        =       =        =      =      =       Blind  Dark   Broken";

    #[test]
    fn every_event_in_every_state_does_what_the_table_says() {
        let mut visited = 0;
        for (line, state) in TABLE.trim().lines().zip(states()) {
            let mut cells = line.split_whitespace();
            let name = cells.next().unwrap();
            assert!(format!("{state:?}").starts_with(name), "{name} {state:?}");
            for (cell, event) in cells.zip(events()) {
                visited += 1;
                let mut after = state.clone();
                let step = after.on(event.clone());
                match cell {
                    "-" => {
                        assert_eq!(step, Err(IllegalTransition(state.words())), "{name} {event:?}");
                        assert_eq!(after, state);
                    }
                    "=" => assert_eq!((step, &after), (Ok(Step::Unchanged), &state), "{name} {event:?}"),
                    cell => {
                        assert_eq!(step, Ok(Step::Changed), "{name} {event:?}");
                        assert!(format!("{after:?}").starts_with(cell), "{name} {event:?} {after:?}");
                    }
                }
            }
        }
        assert_eq!(visited, 54);
    }

    #[test]
    fn the_table_of_the_documentation_is_the_one_that_is_tested() {
        let source = include_str!("session.rs");
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
    fn another_reason_is_news() {
        for (mut state, event) in [
            (states()[0].clone(), SignEvent::Lost("other".into())),
            (states()[1].clone(), SignEvent::Fault("other".into())),
            (states()[2].clone(), SignEvent::Trouble(trouble("other"))),
        ] {
            assert_eq!(state.on(event), Ok(Step::Changed));
            assert!(format!("{:?}", state.sign()).contains("other"));
        }
    }

    #[test]
    fn the_sign_says_who_froze_the_picture() {
        for (by, words) in [(By::Page, "frozen by the user, on the page"), (By::Bus, "frozen by the user, by command")]
        {
            let mut state = SignState::Ready;
            state.on(SignEvent::Freeze(by)).unwrap();
            assert_eq!(state.on(SignEvent::Freeze(By::Page)), Ok(Step::Unchanged), "whoever was first");
            assert_eq!(state.sign(), Sign::Paused { reason: words.into() });
        }
        assert_eq!(SignState::Still.sign(), Sign::Paused { reason: "the scanner's picture is frozen".into() });
    }

    #[test]
    fn pictures_go_to_the_page_unless_it_is_frozen_or_none_come() {
        let shown = states().map(|state| state.shows_pictures());
        assert_eq!(shown, [false, false, true, true, true, false]);
    }
}
