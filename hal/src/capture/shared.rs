//! A capture device whose pictures lie in shared memory, as those of a video device do: mapped for reading, exported as a file
//! descriptor, and given back to the device only when the last reader has let go. No hardware.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::MemfdFlags;

use super::berth::Berth;
use super::frame::{Frame, Shape, Storage};
use super::mapping_ffi::Mapping;
use super::pool::all_held;
use super::{CaptureFault, Error};

#[derive(Debug)]
struct Slot {
    berth: Berth,
    file: OwnedFd,
}

/// A device of `buffers` buffers; dropping it is unplugging it.
#[derive(Debug)]
pub struct Shared {
    shape: Shape,
    slots: Vec<Arc<Slot>>,
    free: Arc<Mutex<VecDeque<usize>>>,
    sequence: u64,
    exports: bool,
}

fn failed(error: rustix::io::Errno) -> Error {
    Error::new(CaptureFault::Other, format!("shared memory: {error}"))
}

impl Shared {
    /// `exports`: its buffers can be had as file descriptors.
    ///
    /// # Errors
    /// `CaptureFault::Other` without shared memory.
    pub fn new(shape: Shape, buffers: usize, exports: bool) -> Result<Self, Error> {
        let length = shape.bytes(0);
        let slot = || {
            let file = rustix::fs::memfd_create("picture", MemfdFlags::CLOEXEC)?;
            rustix::fs::ftruncate(&file, length as u64)?;
            Ok(Arc::new(Slot { berth: Berth::new(Mapping::new(&file, 0, length)?), file }))
        };
        let slots = (0..buffers).map(|_| slot()).collect::<Result<_, _>>().map_err(failed)?;
        Ok(Self { shape, slots, free: Arc::new(Mutex::new((0..buffers).collect())), sequence: 0, exports })
    }

    /// Takes a picture with these bytes.
    ///
    /// # Errors
    /// `CaptureFault::Busy` when readers hold every buffer; `CaptureFault::Other`.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Frame, Error> {
        let index = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let busy = || all_held(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        let index = index.ok_or_else(busy)?;
        let slot = self.slots[index].clone();
        let lease = Lease { slot, index, free: self.free.clone(), exports: self.exports };
        rustix::io::pwrite(&lease.slot.file, bytes, 0).map_err(failed)?;
        self.sequence += 1;
        Ok(Frame::new(self.shape.clone(), self.sequence, Duration::ZERO, Arc::new(lease)))
    }

    /// Buffers that the device could fill now.
    pub fn free(&self) -> usize {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[derive(Debug)]
struct Lease {
    slot: Arc<Slot>,
    index: usize,
    free: Arc<Mutex<VecDeque<usize>>>,
    exports: bool,
}

impl Storage for Lease {
    fn part(&self, index: usize) -> &[u8] {
        if index == 0 { self.slot.berth.bytes() } else { &[] }
    }

    fn dmabuf(&self, index: usize) -> Option<BorrowedFd<'_>> {
        (self.exports && index == 0).then(|| self.slot.file.as_fd())
    }

    fn berth(&self, index: usize) -> Option<&Berth> {
        (index == 0).then_some(&self.slot.berth)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.index);
    }
}
