//! NVIDIA cards by the driver's own interface: streams of two priorities, memory, copies, programs. For what ONNX Runtime does not
//! give: live work before study work on one card, memory that is used again, and waiting that ends.
//!
//! ```text
//! Device::open -> stream(Live), buffer, pinned -> upload, kernels, download -> wait(timeout) -> read
//! ```
//!
//! A machine without driver or card gets an error value from [`Device::open`] and is otherwise as before. `unsafe` is in the files
//! whose names end in `_ffi`.

mod fault;
mod wait;
mod driver_ffi;
mod context_ffi;
mod memory_ffi;
mod stream_ffi;
mod signature;
mod program_ffi;
mod tables;
mod kernels_ffi;
mod lent_ffi;
#[cfg(any(test, feature = "sim"))]
pub mod simulated_ffi;

use std::sync::Arc;

pub use kernels_ffi::Kernels;
pub use lent_ffi::{Lent, Route};
pub use memory_ffi::{DeviceBuffer, PinnedBuffer, Plain};
pub use stream_ffi::{Event, Stream};
pub use tables::{Box3, Pixels, Shares, Taper, Taps};

use self::context_ffi::Context;
use crate::accel_error::Error;

/// What a card is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Facts {
    pub name: String,
    /// Compute capability, major and minor: (8, 7) is Orin.
    pub capability: (u32, u32),
    /// The newest CUDA that the driver knows, major and minor.
    pub driver: (u32, u32),
    /// It shares the memory of the processor (Jetson).
    pub integrated: bool,
    /// Priorities of streams, least and greatest; smaller numbers go first. Both 0: the card knows none.
    pub priorities: (i32, i32),
}

/// Memory of a card, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Memory {
    pub free: usize,
    pub total: usize,
}

/// For whom work on a card is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Urgency {
    /// Somebody looks at the picture: the card's greatest priority.
    Live,
    /// The least.
    Study,
}

/// A card. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Device {
    context: Arc<Context>,
    facts: Arc<Facts>,
}

impl Device {
    /// The card with this number, as the driver counts (`CUDA_VISIBLE_DEVICES` has its say). The first call in a process loads the
    /// driver's library and may take a second.
    ///
    /// # Errors
    /// `AccelFault::NotPresent`: no driver, no card, none of this number; with the remedy. `AccelFault::OutOfMemory`.
    pub fn open(ordinal: u32) -> Result<Self, Error> {
        let (context, facts) = context_ffi::open(ordinal)?;
        Ok(Self { context, facts: Arc::new(facts) })
    }

    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// # Errors
    /// `AccelFault::Device`.
    pub fn memory(&self) -> Result<Memory, Error> {
        self.context.memory()
    }

    /// # Errors
    /// `AccelFault::Device`.
    pub fn stream(&self, urgency: Urgency) -> Result<Stream, Error> {
        let (least, greatest) = self.facts.priorities;
        let priority = if urgency == Urgency::Live { greatest } else { least };
        Stream::new(&self.context, urgency, priority)
    }

    /// Memory on the card for `len` numbers. Taking and giving back may wait for other work on the card: take it once.
    ///
    /// # Errors
    /// `AccelFault::OutOfMemory`; `AccelFault::Device`.
    pub fn buffer<T: Plain>(&self, len: usize) -> Result<DeviceBuffer<T>, Error> {
        DeviceBuffer::new(&self.context, len)
    }

    /// Memory of the host for copies. As for [`Device::buffer`].
    ///
    /// # Errors
    /// `AccelFault::OutOfMemory`; `AccelFault::Device`.
    pub fn pinned<T: Plain>(&self, len: usize) -> Result<PinnedBuffer<T>, Error> {
        PinnedBuffer::new(&self.context, len)
    }

    /// Makes the card's primary context that of the calling thread, for a library that needs one.
    ///
    /// # Errors
    /// `AccelFault::Device` when the card was lost.
    pub fn make_current(&self) -> Result<(), Error> {
        self.context.enter()
    }

    /// Nothing works on this card any more in this process.
    pub fn is_lost(&self) -> bool {
        self.context.is_lost()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accel_error::AccelFault;

    #[test]
    fn a_machine_without_driver_or_card_gets_an_error_that_names_the_remedy() {
        match Device::open(0) {
            Ok(device) => assert!(!device.facts().name.is_empty()),
            Err(error) => {
                assert_eq!(error.kind(), AccelFault::NotPresent, "{error}");
                assert!(error.to_string().contains("accelerator.provider = \"cpu\""), "{error}");
            }
        }
    }
}
