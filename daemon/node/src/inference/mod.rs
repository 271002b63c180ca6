//! The Open Inference Protocol, version 2 (KServe; REST, with the binary tensor data extension), spoken as a client and read as a
//! server. Only names, shapes and values of tensors are in it: nothing of a patient.
//!
//! ```text
//! settings [inference_host.NAME] -> host: one accelerator (`hal::Accelerator`) on another machine
//!   exchange: HTTP within one deadline, an answer within one size     wire: tensors <-> JSON and bytes
//!   metadata: is it the network whose hash we know?                   law: the one shape that an answer may have
//! ```
//!
//! The server's side is in `daemon/src/inference`.

mod error;
mod exchange;
pub mod host;
pub mod law;
pub mod metadata;
pub mod settings;
pub mod wire;

pub use self::error::{HostError, HostFault};
pub use self::exchange::Stopped;
pub use self::host::{Found, Remote, RemoteModel};
pub use self::settings::InferenceHost;

/// The header that says how many bytes of a body are JSON; the rest are tensors.
pub const HEADER_LENGTH: &str = "inference-header-content-length";
/// The name of the extension in the metadata of a server.
pub const BINARY: &str = "binary_tensor_data";
