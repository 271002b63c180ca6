//! Video capture: negotiate, start, take frames, stop. The same for a capture card, a recording and a test pattern.
//!
//! ```text
//! validate(&Config) -> Validated -> start -> next_frame ... next_frame -> stop
//! ```
//!
//! Live code takes its frames through [`guard::Supervised`], which survives an unplugged cable, a lost signal and a
//! changed resolution by itself.

mod error;
mod berth;
mod mapping_ffi;
pub mod config;
pub mod frame;
pub mod convert;
pub mod jpeg;
mod pool;
mod pacing;
pub mod discover;
pub mod v4l2;
pub mod replay;
#[cfg(any(test, feature = "sim"))]
pub mod shared;
#[cfg(any(test, feature = "sim"))]
pub mod synthetic;
pub mod guard;

use std::time::Duration;

pub use berth::Berth;
pub use config::{Config, Offer, Rate, Validated, Validation};
pub use error::{CaptureFault, Error};
pub use frame::{Colour, Frame, Matrix, PixelFormat, Range};

/// What a capture device is; shown to people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Description {
    /// As the device or file calls itself, for example `USB Video: USB Video`.
    pub name: String,
    /// Who drives it: the kernel's driver, `replay`, `synthetic`.
    pub driver: String,
    /// The frames do not come from a real video input.
    pub simulated: bool,
}

/// A device that delivers pictures.
pub trait Capture: Send + std::fmt::Debug {
    fn describe(&self) -> Description;

    /// What can be captured now, the device's favourite first. May be empty when the device does not say.
    ///
    /// # Errors
    /// `CaptureFault::Disconnected`, `CaptureFault::NoSignal` (a device that follows its source has no format without one), `Other`.
    fn formats(&mut self) -> Result<Vec<Offer>, Error>;

    /// What would become of `wanted`; changes nothing that a running stream would notice.
    ///
    /// # Errors
    /// Only when the device cannot be asked: `CaptureFault::Disconnected`, `CaptureFault::NoSignal`, `Other`. A wish that cannot be met
    /// is [`Validation::Invalid`].
    fn validate(&mut self, wanted: &Config) -> Result<Validation, Error>;

    /// Begins to capture. Sequence numbers begin anew.
    ///
    /// # Errors
    /// `CaptureFault::Busy`: already started, or another process captures; `CaptureFault::SourceChanged`: what was validated is no
    /// longer possible, validate again; `CaptureFault::NoSignal`; `CaptureFault::Disconnected`; `CaptureFault::BadInput`: validated by another
    /// device; `Other`.
    fn start(&mut self, config: &Validated) -> Result<(), Error>;

    /// The oldest frame not yet taken; waits at most `timeout` for it.
    ///
    /// # Errors
    /// `CaptureFault::TimedOut`: nothing came; `CaptureFault::Busy`: the reader holds all buffers, drop some; `CaptureFault::NoSignal`;
    /// `CaptureFault::SourceChanged`: stop, validate, start; `CaptureFault::Disconnected`: open the device anew; `CaptureFault::BadInput`: not
    /// started, or a recording is damaged; `Other`.
    fn next_frame(&mut self, timeout: Duration) -> Result<Frame, Error>;

    /// Ends the stream; frames that are held stay readable. Without a stream it does nothing.
    fn stop(&mut self);
}

impl<C: Capture + ?Sized> Capture for Box<C> {
    fn describe(&self) -> Description {
        (**self).describe()
    }

    fn formats(&mut self) -> Result<Vec<Offer>, Error> {
        (**self).formats()
    }

    fn validate(&mut self, wanted: &Config) -> Result<Validation, Error> {
        (**self).validate(wanted)
    }

    fn start(&mut self, config: &Validated) -> Result<(), Error> {
        (**self).start(config)
    }

    fn next_frame(&mut self, timeout: Duration) -> Result<Frame, Error> {
        (**self).next_frame(timeout)
    }

    fn stop(&mut self) {
        (**self).stop();
    }
}

/// The error of every device when a frame is requested before start.
fn not_started() -> Error {
    Error::new(CaptureFault::BadInput, "the device is not started")
}

/// The error of every device when it is started twice.
fn already_started() -> Error {
    Error::new(CaptureFault::Busy, "the device is already started")
}
