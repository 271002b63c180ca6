//! The restriction level, and the gate that holds it.

use tokio::sync::watch;

/// What the box may still do. The levels are ordered: a later one allows less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Full,
    /// Everything is done, and not as it should be: the last good configuration is in effect, not that of today.
    Reduced,
    /// Instances are refused with 0xA700: the spool has no room, or custody cannot be kept.
    NoNewStudies,
    /// As `NoNewStudies`, and nothing is sent either.
    NoOutput,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Reduced => "reduced",
            Self::NoNewStudies => "no_new_studies",
            Self::NoOutput => "no_output",
        }
    }
}

/// The present level and its reason. `health` sets it; every part can read it or wait for a change.
#[derive(Debug, Clone)]
pub struct Gate(watch::Sender<(Level, String)>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::channel((Level::Full, String::new())).0)
    }
}

impl Gate {
    pub fn set(&self, level: Level, reason: &str) {
        self.0.send_if_modified(|now| {
            let changed = *now != (level, reason.to_owned());
            *now = (level, reason.to_owned());
            changed
        });
    }

    pub fn get(&self) -> (Level, String) {
        self.0.borrow().clone()
    }

    pub fn subscribe(&self) -> watch::Receiver<(Level, String)> {
        self.0.subscribe()
    }
}
