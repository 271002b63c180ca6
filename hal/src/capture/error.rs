//! What can go wrong with a capture device.

/// Callers decide by this value only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaptureFault {
    /// There is no such device, or it is not a video capture device.
    NotPresent,
    /// The device was present and is gone: unplugged, or its driver gave up. It must be opened again.
    Disconnected,
    /// The device works, but no signal arrives at its input; or a recording has ended.
    NoSignal,
    /// The source has another resolution now: stop, validate, start.
    SourceChanged,
    /// No frame within the time allowed, and the device gives no reason.
    TimedOut,
    /// Another process uses the device, it is already started, or the reader holds all its buffers.
    Busy,
    /// The caller's arguments, or the data of a recording or frame, are inconsistent.
    BadInput,
    /// Anything else; the message says what.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: CaptureFault,
    message: String,
}

impl Error {
    pub fn new(kind: CaptureFault, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub fn kind(&self) -> CaptureFault {
        self.kind
    }
}
