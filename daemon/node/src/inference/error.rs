//! Why a host is not used, by kind and in words.

use hal::accel::{self, AccelFault};

/// Callers decide by this value only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HostFault {
    /// No connection, no TLS, or the connection broke.
    NotReachable,
    /// It does not speak the protocol, or not at this address.
    NotTheProtocol,
    /// It says that it, or the model, is not ready.
    NotReady,
    /// It has no model of this name.
    NoModel,
    /// The model is not the network of the signed package, or does not say which network it is.
    AnotherHash,
    /// Names, shapes or data types of the model are others.
    AnotherSignature,
    /// The deadline has passed.
    TooLate,
    /// It answered something that is no answer: another shape or size, no numbers, an error.
    BadAnswer,
    /// What was asked does not fit the network: our own fault.
    BadInput,
    /// Nobody waits for the answer any more.
    GivenUp,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    kind: HostFault,
    message: String,
}

impl HostError {
    pub fn new(kind: HostFault, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub fn kind(&self) -> HostFault {
        self.kind
    }
}

impl From<HostError> for accel::Error {
    fn from(error: HostError) -> Self {
        let kind = match error.kind {
            HostFault::NotReachable | HostFault::NotTheProtocol | HostFault::NotReady => AccelFault::NotPresent,
            HostFault::NoModel | HostFault::AnotherHash | HostFault::AnotherSignature => AccelFault::BadModel,
            HostFault::TooLate | HostFault::BadAnswer => AccelFault::Device,
            HostFault::BadInput | HostFault::GivenUp => AccelFault::BadInput,
        };
        Self::new(kind, error.message)
    }
}
