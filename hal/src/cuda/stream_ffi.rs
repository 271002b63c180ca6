//! Streams: queues of work for the card. Live work goes before study work; who waits for a queue waits for a limited time only.

#![allow(unsafe_code)]

use std::any::Any;
use std::ffi::c_void;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cudarc::driver::sys::{CUevent, CUevent_flags, CUstream, CUstream_flags};

use super::context_ffi::Context;
use super::memory_ffi::{DeviceBuffer, PinnedBuffer, Plain};
use super::{Urgency, fault, wait};
use crate::accel_error::{AccelFault, Error};
use crate::clock::System;

/// Pieces of work that may be queued before somebody waits.
const MOST_QUEUED: usize = 4096;
/// How long a stream that is dropped waits for what it has queued.
const FAREWELL: Duration = Duration::from_secs(2);

/// A queue of work: what is queued runs in order, after what this stream was told to [follow](Stream::follow).
#[derive(Debug)]
pub struct Stream {
    context: Arc<Context>,
    raw: CUstream,
    urgency: Urgency,
    /// What queued work uses, until it has ended.
    held: Mutex<Vec<Arc<dyn Any + Send + Sync>>>,
    late: AtomicBool,
}

// SAFETY: handles of the driver may be used from any thread.
unsafe impl Send for Stream {}
// SAFETY: as above; what changes is behind a mutex or an atomic.
unsafe impl Sync for Stream {}

/// A mark in a queue.
#[derive(Debug)]
pub struct Event {
    context: Arc<Context>,
    raw: CUevent,
}

// SAFETY: handles of the driver may be used from any thread.
unsafe impl Send for Event {}
// SAFETY: as above; it never changes.
unsafe impl Sync for Event {}

impl Stream {
    /// # Errors
    /// `AccelFault::Device` when the card was lost.
    pub(super) fn new(context: &Arc<Context>, urgency: Urgency, priority: i32) -> Result<Self, Error> {
        context.enter()?;
        let mut raw = ptr::null_mut();
        let flags = CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
        // SAFETY: writes one handle; given back in `drop`.
        let code = unsafe { (context.functions.cuStreamCreateWithPriority)(&raw mut raw, flags, priority) };
        context.checked(code, "making a stream")?;
        Ok(Self { context: context.clone(), raw, urgency, held: Mutex::default(), late: AtomicBool::new(false) })
    }

    pub fn urgency(&self) -> Urgency {
        self.urgency
    }

    /// `CUstream`, which is also `cudaStream_t`, for a library that takes one. Call [`Stream::admit`] before each use.
    pub fn raw(&self) -> *mut c_void {
        self.raw.cast()
    }

    /// Before work is queued: makes the card's context that of the calling thread.
    ///
    /// # Errors
    /// `AccelFault::Device` when the card was lost, or this stream is late; `AccelFault::BadInput` when nobody has waited for too long.
    pub fn admit(&self) -> Result<(), Error> {
        if self.late.load(Ordering::Acquire) {
            return Err(Error::new(AccelFault::Device, "the card has not answered; nothing is queued until it does"));
        }
        if self.held().len() >= MOST_QUEUED {
            return Err(Error::new(
                AccelFault::BadInput,
                format!("{MOST_QUEUED} pieces of work wait: wait for them first"),
            ));
        }
        self.context.enter()
    }

    /// Keeps what work that was queued here uses, until somebody has waited for it.
    pub fn hold(&self, what: Arc<dyn Any + Send + Sync>) {
        self.held().push(what);
    }

    /// As [`Stream::hold`], for a buffer of the card.
    pub fn hold_buffer<T: Plain>(&self, buffer: &DeviceBuffer<T>) {
        self.hold(buffer.memory.clone());
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Vec<Arc<dyn Any + Send + Sync>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Queues a copy of `from[range]` to the card, to `to[at..]`.
    ///
    /// # Errors
    /// `AccelFault::BadInput` beyond a buffer or between two cards; as for [`Stream::admit`].
    pub fn upload<T: Plain>(
        &self,
        from: &mut PinnedBuffer<T>,
        range: Range<usize>,
        to: &mut DeviceBuffer<T>,
        at: usize,
    ) -> Result<(), Error> {
        let count = fits((from.is_of(&self.context), from.len()), &range, (to.is_of(&self.context), to.len()), at)?;
        self.admit()?;
        let size = size_of::<T>();
        // The length of a buffer in bytes fits an address.
        let target = to.address() + (at * size) as u64;
        // SAFETY: both ranges lie in their buffers, which the stream holds until this has ended.
        let code = unsafe {
            (self.context.functions.cuMemcpyHtoDAsync_v2)(target, from.at(range.start).cast(), count * size, self.raw)
        };
        self.context.checked(code, "copying to the card")?;
        self.hold(from.memory.clone());
        self.hold(to.memory.clone());
        Ok(())
    }

    /// Queues a copy of `from[range]` from the card, to `to[at..]`.
    ///
    /// # Errors
    /// As for [`Stream::upload`].
    pub fn download<T: Plain>(
        &self,
        from: &DeviceBuffer<T>,
        range: Range<usize>,
        to: &mut PinnedBuffer<T>,
        at: usize,
    ) -> Result<(), Error> {
        let count = fits((from.is_of(&self.context), from.len()), &range, (to.is_of(&self.context), to.len()), at)?;
        self.admit()?;
        let size = size_of::<T>();
        let source = from.address() + (range.start * size) as u64;
        // SAFETY: both ranges lie in their buffers, which the stream holds until this has ended.
        let code =
            unsafe { (self.context.functions.cuMemcpyDtoHAsync_v2)(to.at(at).cast(), source, count * size, self.raw) };
        self.context.checked(code, "copying from the card")?;
        self.hold(from.memory.clone());
        self.hold(to.memory.clone());
        Ok(())
    }

    /// Queues filling a buffer with zeros.
    ///
    /// # Errors
    /// As for [`Stream::upload`].
    pub fn clear<T: Plain>(&self, buffer: &mut DeviceBuffer<T>) -> Result<(), Error> {
        let of_here = (buffer.is_of(&self.context), buffer.len());
        let count = fits(of_here, &(0..buffer.len()), of_here, 0)?;
        self.admit()?;
        // SAFETY: the whole of one buffer, which the stream holds until this has ended.
        let code =
            unsafe { (self.context.functions.cuMemsetD8Async)(buffer.address(), 0, count * size_of::<T>(), self.raw) };
        self.context.checked(code, "clearing memory of the card")?;
        self.hold_buffer(buffer);
        Ok(())
    }

    /// A mark after what is queued now.
    ///
    /// # Errors
    /// `AccelFault::Device` when the card was lost.
    pub fn mark(&self) -> Result<Event, Error> {
        self.context.enter()?;
        let mut raw = ptr::null_mut();
        let flags = CUevent_flags::CU_EVENT_DISABLE_TIMING as u32;
        // SAFETY: writes one handle; given back in `drop`.
        let code = unsafe { (self.context.functions.cuEventCreate)(&raw mut raw, flags) };
        self.context.checked(code, "making an event")?;
        let event = Event { context: self.context.clone(), raw };
        // SAFETY: both live.
        let code = unsafe { (self.context.functions.cuEventRecord)(event.raw, self.raw) };
        self.context.checked(code, "marking a stream")?;
        Ok(event)
    }

    /// What is queued here from now on waits for the mark of another stream; the caller does not.
    ///
    /// # Errors
    /// As for [`Stream::admit`]; `AccelFault::BadInput` for a mark of another card.
    pub fn follow(&self, event: &Event) -> Result<(), Error> {
        if !Arc::ptr_eq(&event.context, &self.context) {
            return Err(Error::new(AccelFault::BadInput, "a mark of another card"));
        }
        self.admit()?;
        // SAFETY: both live; the driver keeps what it needs of the event.
        let code = unsafe { (self.context.functions.cuStreamWaitEvent)(self.raw, event.raw, 0) };
        self.context.checked(code, "letting a stream wait")
    }

    /// Waits until all that is queued has ended, at most `timeout`.
    ///
    /// # Errors
    /// `AccelFault::Device` when the time is over: the stream is late and takes no more work, and nothing that it uses is given back,
    /// until a later wait succeeds. Also when queued work failed.
    pub fn wait(&self, timeout: Duration) -> Result<(), Error> {
        let queued = std::mem::take(&mut *self.held());
        let outcome = self.mark().and_then(|end| end.wait(timeout));
        match outcome {
            Ok(()) => {
                if self.late.swap(false, Ordering::AcqRel) {
                    self.context.late.fetch_sub(1, Ordering::AcqRel);
                }
                drop(queued);
                self.context.sweep();
                Ok(())
            }
            Err(error) => {
                // What was queued meanwhile by another thread comes after.
                let mut held = self.held();
                let newer = std::mem::replace(&mut *held, queued);
                held.extend(newer);
                drop(held);
                if !self.context.is_lost() && !self.late.swap(true, Ordering::AcqRel) {
                    self.context.late.fetch_add(1, Ordering::AcqRel);
                }
                Err(error)
            }
        }
    }
}

/// How many numbers are copied.
fn fits(from: (bool, usize), range: &Range<usize>, to: (bool, usize), at: usize) -> Result<usize, Error> {
    if !(from.0 && to.0) {
        return Err(Error::new(AccelFault::BadInput, "a buffer of another card"));
    }
    let count = range.end.checked_sub(range.start).filter(|_| range.end <= from.1);
    let count = count.filter(|count| at.checked_add(*count).is_some_and(|end| end <= to.1));
    count.ok_or_else(|| {
        let message = format!("{range:?} of {} numbers to {at} of {} does not fit", from.1, to.1);
        Error::new(AccelFault::BadInput, message)
    })
}

impl Drop for Stream {
    fn drop(&mut self) {
        let ended = !self.late.load(Ordering::Acquire) && (self.held().is_empty() || self.wait(FAREWELL).is_ok());
        if ended && self.context.enter().is_ok() {
            // SAFETY: made in `new`; nothing is queued.
            unsafe { (self.context.functions.cuStreamDestroy_v2)(self.raw) };
            return;
        }
        // The card may still write to what the queue uses: it stays for ever. So does the count of late streams.
        std::mem::forget(std::mem::take(&mut *self.held()));
        if !self.context.is_lost() {
            tracing::error!(
                "a stream was given up while the card works on it; its memory stays taken until the next start"
            );
        }
    }
}

impl Event {
    /// Whether all before the mark has ended.
    ///
    /// # Errors
    /// `AccelFault::Device` when it failed or the card was lost.
    pub fn is_over(&self) -> Result<bool, Error> {
        self.context.enter()?;
        // SAFETY: it lives.
        match unsafe { (self.context.functions.cuEventQuery)(self.raw) } {
            fault::NOT_READY => Ok(false),
            code => self.context.checked(code, "work on the card").map(|()| true),
        }
    }

    /// Waits for the mark, at most `timeout`.
    ///
    /// # Errors
    /// `AccelFault::Device` when the time is over, or the work failed.
    pub fn wait(&self, timeout: Duration) -> Result<(), Error> {
        if wait::until(&System, timeout, || self.is_over())? {
            return Ok(());
        }
        Err(Error::new(AccelFault::Device, format!("the card did not answer within {} ms", timeout.as_millis())))
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            // SAFETY: made in `mark`; the driver lets an event go that is still to come.
            unsafe { (self.context.functions.cuEventDestroy_v2)(self.raw) };
        }
    }
}
