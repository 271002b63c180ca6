//! The hardware abstraction layer: what the pipelines may ask of a machine. It knows no medicine.
//!
//! To add a device: one file here that implements the trait, one line where devices are chosen, and the contract
//! tests in `contract` run on it.

#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

pub mod root;
pub mod clock;
pub mod clock_ffi;
pub mod backoff;
pub mod panic;
pub mod urgency;
pub mod urgency_ffi;
pub mod heap_ffi;
pub mod memory;
pub mod capture;
mod accel_error;
pub mod accel;
pub mod cuda;
pub mod sensors;
pub mod indicator;
#[cfg(any(test, feature = "sim"))]
pub mod fault;
#[cfg(any(test, feature = "sim"))]
pub mod contract;

pub use accel::{Accelerator, LoadedModel, Tensor};
pub use capture::Capture;
pub use clock::Clock;
pub use indicator::Indicator;
pub use sensors::Sensors;
