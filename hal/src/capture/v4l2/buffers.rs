//! The buffers of one stream: mapped, exported, lent to frames, and given back to the device when a frame is dropped.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;

use super::ioctl::{self, MAX_PLANES, Node, Queue};
use crate::capture::berth::Berth;
use crate::capture::frame::Storage;

/// One buffer of the device: a mapping and, where the driver exports it, a dmabuf for each plane.
#[derive(Debug)]
struct Slot {
    index: u32,
    planes: Vec<(Berth, Option<OwnedFd>)>,
}

impl Slot {
    fn map(node: &Node, queue: Queue, index: u32) -> Result<Self, Errno> {
        let described = node.buffer(queue, index)?;
        let plane = |(number, plane): (u32, &ioctl::Plane)| {
            // A driver without export is no failure: its frames are copied instead.
            Ok((Berth::new(node.map(plane)?), node.export(queue, index, number).ok()))
        };
        let planes = (0..).zip(&described).map(plane).collect::<Result<_, Errno>>()?;
        Ok(Self { index, planes })
    }
}

/// The buffers of a stream. A frame may outlive the stream and keeps its memory; the buffer numbers are then invalid.
#[derive(Debug)]
pub(super) struct Buffers {
    queue: Queue,
    slots: Vec<Arc<Slot>>,
    returned: Arc<Mutex<Vec<u32>>>,
    /// How many the device has.
    enqueued: usize,
}

impl Buffers {
    /// Allocates about `count` (the driver decides) and gives them all to the device.
    pub(super) fn allocate(node: &Node, queue: Queue, count: u32) -> Result<Self, Errno> {
        let count = node.request_buffers(queue, count)?;
        let slots = (0..count).map(|index| Slot::map(node, queue, index).map(Arc::new)).collect::<Result<_, _>>()?;
        let returned = Arc::new(Mutex::new((0..count).collect()));
        let mut buffers = Self { queue, slots, returned, enqueued: 0 };
        buffers.give_back(node)?;
        Ok(buffers)
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Whether the device has none to fill.
    pub(super) fn all_held(&self) -> bool {
        self.enqueued == 0
    }

    /// Gives the buffers of dropped frames to the device.
    pub(super) fn give_back(&mut self, node: &Node) -> Result<(), Errno> {
        let returned = std::mem::take(&mut *self.returned.lock().unwrap_or_else(PoisonError::into_inner));
        for index in returned {
            node.enqueue(self.queue, index)?;
            self.enqueued += 1;
        }
        Ok(())
    }

    /// Takes a filled buffer; `None` when there is none yet.
    pub(super) fn take(&mut self, node: &Node) -> Result<Option<(ioctl::Buffer, Lease)>, Errno> {
        let (buffer, planes) = match node.dequeue(self.queue) {
            Ok(taken) => taken,
            Err(Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(error),
        };
        self.enqueued = self.enqueued.saturating_sub(1);
        let slot = self.slots.get(buffer.index as usize).ok_or(Errno::PROTO)?.clone();
        Ok(Some((buffer, Lease { slot, used: planes.map(|p| used(&p)), returned: self.returned.clone() })))
    }
}

/// From where to where the device has written into a plane.
fn used(plane: &ioctl::Plane) -> (usize, usize) {
    (plane.data_offset as usize, plane.used as usize)
}

/// A buffer in the hands of a frame.
#[derive(Debug)]
pub(super) struct Lease {
    slot: Arc<Slot>,
    used: [(usize, usize); MAX_PLANES],
    returned: Arc<Mutex<Vec<u32>>>,
}

impl Storage for Lease {
    fn part(&self, index: usize) -> &[u8] {
        let Some(((berth, _), (from, to))) = self.slot.planes.get(index).zip(self.used.get(index)) else {
            return &[];
        };
        let bytes = berth.bytes();
        bytes.get(*from..(*to).min(bytes.len())).unwrap_or(&[])
    }

    fn dmabuf(&self, index: usize) -> Option<BorrowedFd<'_>> {
        self.slot.planes.get(index)?.1.as_ref().map(AsFd::as_fd)
    }

    fn berth(&self, index: usize) -> Option<&Berth> {
        self.slot.planes.get(index).map(|(berth, _)| berth)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).push(self.slot.index);
    }
}
