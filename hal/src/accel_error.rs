//! What can go wrong with an accelerator, or a card.

/// Callers decide by this value only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccelFault {
    /// The device or its library is not there.
    NotPresent,
    /// The bytes are not a network that this device can run.
    BadModel,
    /// Number, shape or type of the inputs does not fit the network.
    BadInput,
    OutOfMemory,
    /// The run itself failed.
    Device,
    /// The caller has ended it.
    Cancelled,
}

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: AccelFault,
    message: String,
}

impl Error {
    pub fn new(kind: AccelFault, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub fn kind(&self) -> AccelFault {
        self.kind
    }
}
