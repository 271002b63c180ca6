//! Memory of a device or file, mapped for reading.

#![allow(unsafe_code)]

use std::os::fd::AsFd;
use std::ptr::NonNull;

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

/// Memory that a device fills, as long as this lives. What is in it is only looked at while the buffer is ours.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: it owns its memory, which is only read through it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// # Errors
    /// What the kernel says.
    pub(super) fn new(fd: impl AsFd, offset: u64, length: usize) -> Result<Self, Errno> {
        let flags = (ProtFlags::READ, MapFlags::SHARED);
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory of ours.
        let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, flags.0, flags.1, fd, offset)? };
        let start = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { start, length })
    }

    /// The bytes, to be looked at between dequeueing and enqueueing the buffer.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped readable with this length until drop; the device writes only while the buffer is enqueued.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `new` with this length, and no slice of it outlives `self`.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
        if let Err(error) = unmapped {
            tracing::error!("unmapping a video buffer: {error}");
        }
    }
}
