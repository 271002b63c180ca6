//! A light or a buzzer on the box that tells how it is to whoever walks by.

#[cfg(any(test, feature = "sim"))]
pub mod contract;
pub mod led;
#[cfg(any(test, feature = "sim"))]
pub mod scripted;

use std::fmt;

use crate::root::Root;

/// What an indicator shows. The kernel keeps the time, so that it goes on by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rhythm {
    #[default]
    Off,
    On,
    Blink {
        on_ms: u32,
        off_ms: u32,
    },
}

/// Something that can be switched on and off.
pub trait Indicator: Send + fmt::Debug {
    /// Its name, for people.
    fn name(&self) -> &str;

    /// Shows this until told otherwise. To show the same again changes nothing, so that a rhythm does not begin anew.
    ///
    /// # Errors
    /// When it is not there, or may not be switched.
    fn show(&mut self, rhythm: Rhythm) -> Result<(), Error>;
}

/// Callers decide by this value only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndicatorFault {
    /// There is no such indicator.
    NotPresent,
    /// The kernel does not let this process switch it.
    NotAllowed,
    /// The kernel cannot make it blink: it lacks `ledtrig-timer`.
    CannotBlink,
    /// Anything else; the message says what.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: IndicatorFault,
    message: String,
}

impl Error {
    pub fn new(kind: IndicatorFault, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub fn kind(&self) -> IndicatorFault {
        self.kind
    }
}

/// Which indicator is meant, as `alarm.light` and `alarm.buzzer` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Off,
    /// By the kernel's name of it, for example `green:status`.
    Led(String),
    /// Shows nothing; simulation builds only.
    #[cfg(any(test, feature = "sim"))]
    Scripted,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("{0:?} is not off or the name of a folder in /sys/class/leds")]
    NoName(String),
}

impl Source {
    /// # Errors
    /// When it cannot be the name of a light.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        match text {
            "off" => Ok(Self::Off),
            #[cfg(any(test, feature = "sim"))]
            "simulated" => Ok(Self::Scripted),
            name if led::is_name(name) => Ok(Self::Led(name.to_owned())),
            other => Err(SourceError::NoName(other.to_owned())),
        }
    }

    /// `None` when it is off. It need not be there yet. `root`: the machine.
    pub fn open(&self, root: &Root) -> Option<Box<dyn Indicator>> {
        match self {
            Self::Off => None,
            Self::Led(name) => Some(Box::new(led::Led::of(root, name))),
            #[cfg(any(test, feature = "sim"))]
            Self::Scripted => Some(Box::new(scripted::Scripted::default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_is_a_name_of_the_kernels_and_never_a_path() {
        assert_eq!(Source::parse("off"), Ok(Source::Off));
        assert_eq!(Source::parse("green:status"), Ok(Source::Led("green:status".into())));
        for text in ["", ".", "..", "../../power", "a/b", "a\0b", &"x".repeat(300)] {
            assert_eq!(Source::parse(text), Err(SourceError::NoName(text.to_owned())));
        }
        assert!(Source::Off.open(&Root::default()).is_none());
    }
}
