//! What can go wrong with a capture device.

/// Callers branch on this and on nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaptureFault {
    /// There is no such device, or it is no video capture device.
    NotPresent,
    /// It was there and has gone: unplugged, or its driver gave up. Only opening it anew can help.
    Disconnected,
    /// The device is well, nothing arrives at its input; or a recording has ended.
    NoSignal,
    /// The source has another resolution now: stop, validate, start.
    SourceChanged,
    /// No frame within the time allowed, and the device gives no reason.
    TimedOut,
    /// Someone else uses the device, it is already started, or all its buffers are held by who reads it.
    Busy,
    /// What the caller gave, or the data of a recording or frame, does not hold together.
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
