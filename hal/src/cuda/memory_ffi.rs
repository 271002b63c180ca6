//! Memory on the card, and memory of the host that the card reads and writes by itself ("pinned").
//!
//! A buffer that queued work uses is kept by the stream until that work has ended, also when its owner drops it.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use cudarc::driver::sys::CUdeviceptr;

use super::context_ffi::{Context, Garbage};
use crate::accel_error::{AccelFault, Error};

/// Numbers of which every pattern of bits is one.
pub trait Plain: Copy + Send + Sync + std::fmt::Debug + Default + sealed::Sealed + 'static {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! plain {
    ($($kind:ty),*) => {
        $(
            impl sealed::Sealed for $kind {}
            impl Plain for $kind {}
        )*
    };
}
plain!(u8, u16, i16, u32, i32, f32);

#[derive(Debug)]
pub(super) struct Device {
    context: Arc<Context>,
    pub address: CUdeviceptr,
    /// What is given back at the end.
    garbage: Option<Garbage>,
}

#[derive(Debug)]
pub(super) struct Pinned {
    context: Arc<Context>,
    address: *mut u8,
}

// SAFETY: plain memory with one owner; it may be freed from any thread.
unsafe impl Send for Pinned {}
// SAFETY: it is read and written only through `PinnedBuffer`, by the rules of borrowing.
unsafe impl Sync for Pinned {}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(garbage) = self.garbage.take() {
            self.context.discard(garbage);
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.context.discard(Garbage::Pinned(self.address.cast()));
    }
}

/// Memory on the card for `len` numbers. What it holds at first is not defined.
#[derive(Debug)]
pub struct DeviceBuffer<T> {
    pub(super) memory: Arc<Device>,
    len: usize,
    kind: PhantomData<T>,
}

/// Memory of the host for `len` numbers, 0 at first, from and to which the card copies by itself.
#[derive(Debug)]
pub struct PinnedBuffer<T> {
    pub(super) memory: Arc<Pinned>,
    len: usize,
    kind: PhantomData<T>,
}

/// Bytes of `len` numbers, at least one: the driver gives no empty memory.
fn bytes<T>(len: usize) -> Result<usize, Error> {
    let too_many = || Error::new(AccelFault::OutOfMemory, format!("{len} numbers are more than any memory holds"));
    len.checked_mul(size_of::<T>())
        .filter(|bytes| isize::try_from(*bytes).is_ok())
        .map(|n| n.max(1))
        .ok_or_else(too_many)
}

impl<T: Plain> DeviceBuffer<T> {
    /// # Errors
    /// `AccelFault::OutOfMemory`; `AccelFault::Device` when the card was lost or does not answer.
    pub(super) fn new(context: &Arc<Context>, len: usize) -> Result<Self, Error> {
        let bytes = bytes::<T>(len)?;
        context.enter_to_allocate()?;
        let mut address = 0;
        // SAFETY: writes one address; given back when the memory is dropped.
        let code = unsafe { (context.functions.cuMemAlloc_v2)(&raw mut address, bytes) };
        context.checked(code, &format!("taking {bytes} bytes of the card's memory"))?;
        let garbage = Some(Garbage::Device(address));
        Ok(Self { memory: Arc::new(Device { context: context.clone(), address, garbage }), len, kind: PhantomData })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its address on the card, for a library that takes one (TensorRT). The stream on which such work is queued must [hold](
    /// super::Stream::hold) the buffer.
    pub fn address(&self) -> u64 {
        self.memory.address
    }

    pub(super) fn is_of(&self, context: &Arc<Context>) -> bool {
        Arc::ptr_eq(&self.memory.context, context)
    }
}

impl DeviceBuffer<u8> {
    /// Memory that is not the card's own: `len` bytes at its address there, and what to give back at the end.
    pub(super) fn lent(context: &Arc<Context>, address: CUdeviceptr, len: usize, garbage: Garbage) -> Self {
        let memory = Device { context: context.clone(), address, garbage: Some(garbage) };
        Self { memory: Arc::new(memory), len, kind: PhantomData }
    }
}

impl<T: Plain> PinnedBuffer<T> {
    /// # Errors
    /// As for [`DeviceBuffer::new`].
    pub(super) fn new(context: &Arc<Context>, len: usize) -> Result<Self, Error> {
        let bytes = bytes::<T>(len)?;
        context.enter_to_allocate()?;
        let mut address = ptr::null_mut();
        // SAFETY: writes one address; given back when the memory is dropped.
        let code = unsafe { (context.functions.cuMemHostAlloc)(&raw mut address, bytes, 0) };
        context.checked(code, &format!("taking {bytes} bytes of pinned memory"))?;
        if address.is_null() || !address.cast::<T>().is_aligned() {
            return Err(Error::new(AccelFault::Device, "the driver gave no usable pinned memory"));
        }
        // SAFETY: `bytes` bytes were allocated there.
        unsafe { ptr::write_bytes(address.cast::<u8>(), 0, bytes) };
        let memory = Arc::new(Pinned { context: context.clone(), address: address.cast() });
        Ok(Self { memory, len, kind: PhantomData })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// # Errors
    /// `AccelFault::BadInput` while queued work may use it: wait for the stream first.
    pub fn read(&self) -> Result<&[T], Error> {
        self.is_ours()?;
        // SAFETY: `len` numbers lie there, initialised and aligned; no queued work holds them, and none can be queued while this
        // object is borrowed, because that takes `&mut`.
        Ok(unsafe { std::slice::from_raw_parts(self.memory.address.cast(), self.len) })
    }

    /// # Errors
    /// As [`PinnedBuffer::read`].
    pub fn write(&mut self) -> Result<&mut [T], Error> {
        self.is_ours()?;
        // SAFETY: as for `read`; borrowed exclusively.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.memory.address.cast(), self.len) })
    }

    fn is_ours(&self) -> Result<(), Error> {
        if Arc::strong_count(&self.memory) == 1 {
            // Whoever let go last did so after the card had ended.
            fence(Ordering::Acquire);
            return Ok(());
        }
        Err(Error::new(AccelFault::BadInput, "queued work may use this memory: wait for its stream first"))
    }

    /// The address of number `index`, for the driver.
    pub(super) fn at(&self, index: usize) -> *mut T {
        self.memory.address.cast::<T>().wrapping_add(index)
    }

    pub(super) fn is_of(&self, context: &Arc<Context>) -> bool {
        Arc::ptr_eq(&self.memory.context, context)
    }
}
