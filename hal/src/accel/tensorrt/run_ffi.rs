//! Runs: where `cuda`'s memory and streams meet TensorRT's context. It decides nothing.

#![allow(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};

use super::call_ffi::Session;
use super::log;
use super::workshop::kind_of_run;
use crate::accel::Error;
use crate::cuda::{DeviceBuffer, Stream};

/// Lets a tensor lie in `buffer`, which must have its size; the engine that owns both sees to that.
pub(super) fn bind(session: &mut Session, tensor: &str, buffer: &DeviceBuffer<f32>) -> bool {
    // SAFETY: the buffer has one number for each of the tensor's, and every run holds it (`enqueue`).
    unsafe { session.set_address(tensor, buffer.address()) }
}

/// Queues one run. The stream holds session and memory until it has ended, also when their owner drops them before.
///
/// # Errors
/// As for `Stream::admit`; `AccelFault::Device` or `AccelFault::OutOfMemory` in the library's words.
pub(super) fn enqueue<'a>(
    session: &Arc<Mutex<Session>>,
    stream: &Stream,
    memory: impl Iterator<Item = &'a DeviceBuffer<f32>>,
) -> Result<(), Error> {
    stream.admit()?;
    let mark = log::mark();
    stream.hold(session.clone());
    memory.for_each(|buffer| stream.hold_buffer(buffer));
    let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: `admit` has made the stream's context current, which is the card's primary one as the engine's and the memory's are.
    if unsafe { session.enqueue(stream.raw()) } {
        return Ok(());
    }
    let said = mark.reason();
    Err(Error::new(kind_of_run(&said), format!("the network failed: {said}")))
}
