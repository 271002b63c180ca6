//! A fixed pool of buffers for devices that produce frames in memory: dropping a frame returns its buffer, and a reader
//! that holds all buffers gets no further frames.

use std::sync::{Arc, Mutex, PoisonError};

use super::frame::Storage;
use super::{CaptureFault, Error};

#[derive(Debug, Clone)]
pub(super) struct Pool {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    buffers: u32,
}

impl Pool {
    /// `buffers` of `bytes` each.
    pub(super) fn new(buffers: u32, bytes: usize) -> Self {
        let free = (0..buffers).map(|_| vec![0; bytes]).collect();
        Self { free: Arc::new(Mutex::new(free)), buffers }
    }

    /// # Errors
    /// `CaptureFault::Busy` when the reader holds them all.
    pub(super) fn take(&self) -> Result<Pooled, Error> {
        let bytes = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match bytes {
            Some(bytes) => Ok(Pooled { bytes, free: self.free.clone() }),
            None => Err(all_held(self.buffers)),
        }
    }
}

/// The error of every device when it has no free buffer.
pub(super) fn all_held(buffers: u32) -> Error {
    Error::new(CaptureFault::Busy, format!("all {buffers} buffers are held by the reader"))
}

#[derive(Debug)]
pub(super) struct Pooled {
    pub(super) bytes: Vec<u8>,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Storage for Pooled {
    fn part(&self, index: usize) -> &[u8] {
        self.bytes.part(index)
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_it_is_dropped() {
        let pool = Pool::new(2, 3);
        let held = [pool.take().unwrap(), pool.take().unwrap()];
        assert_eq!(pool.take().unwrap_err().kind(), CaptureFault::Busy);
        drop(held);
        assert_eq!(pool.take().unwrap().part(0).len(), 3);
    }
}
