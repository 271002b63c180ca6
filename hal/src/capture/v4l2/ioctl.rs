//! The kernel's interface to video devices (`linux/videodev2.h`), one safe method for each call. The only file of the
//! driver with `unsafe`; it decides nothing.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, opcode};

use crate::capture::mapping_ffi::Mapping;

// Timestamps and pointers below have the layout of 64-bit kernels.
const _: () = assert!(size_of::<usize>() == 8);

/// Most planes of one picture.
pub(super) const MAX_PLANES: usize = 8;
/// As the kernel takes it.
const MAX_PLANES_U32: u32 = 8;
const _: () = assert!(MAX_PLANES_U32 as usize == MAX_PLANES);

pub(super) const CAP_CAPTURE: u32 = 0x1;
pub(super) const CAP_CAPTURE_MULTI: u32 = 0x1000;
pub(super) const CAP_STREAMING: u32 = 0x0400_0000;
pub(super) const CAP_DEVICE_CAPS: u32 = 0x8000_0000;
pub(super) const PARM_TIME_PER_FRAME: u32 = 0x1000;

pub(super) const FLAG_ERROR: u32 = 0x40;
pub(super) const FLAG_TIMESTAMP_MASK: u32 = 0xe000;
pub(super) const FLAG_TIMESTAMP_MONOTONIC: u32 = 0x2000;

pub(super) const INPUT_CAN_DV_TIMINGS: u32 = 0x2;
pub(super) const INPUT_NO_POWER: u32 = 0x1;
pub(super) const INPUT_NO_SIGNAL: u32 = 0x2;
pub(super) const INPUT_NO_SYNC: u32 = 0x1_0000;
pub(super) const INPUT_NO_CARRIER: u32 = 0x4_0000;

const EVENT_SOURCE_CHANGE: u32 = 5;
const EVENT_CHANGED_RESOLUTION: u32 = 1;
const MEMORY_MMAP: u32 = 1;
pub(super) const FIELD_NONE: u32 = 1;
pub(super) const PRIV_MAGIC: u32 = 0xfeed_cafe;

/// Single-planar or multi-planar: which of the two interfaces a device speaks (`enum v4l2_buf_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Queue {
    Single = 1,
    Multi = 9,
}

/// Structures the kernel may read and write whole: any bytes are a value of them, zeros too.
///
/// # Safety
/// `#[repr(C)]`, integers only.
unsafe trait Plain: Sized {
    fn zeroed() -> Self {
        // SAFETY: zeros are a value, says the trait.
        unsafe { std::mem::zeroed() }
    }
}

macro_rules! plain {
    ($($(#[$meta:meta])* struct $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        #[repr(C)]
        #[allow(dead_code)]
        pub(super) struct $name { $(pub(super) $field: $type),* }
        // SAFETY: C layout, made of integers and of such structures.
        unsafe impl Plain for $name {}
    )*};
}

plain! {
    struct Capability { driver: [u8; 16], card: [u8; 32], bus: [u8; 32], version: u32, all: u32, node: u32, reserved: [u32; 3] }
    struct FormatName { index: u32, queue: u32, flags: u32, description: [u8; 32], fourcc: [u8; 4], bus: u32, reserved: [u32; 3] }
    struct Picture {
        width: u32, height: u32, fourcc: [u8; 4], field: u32, stride: u32, size: u32, colorspace: u32, private: u32,
        flags: u32, encoding: u32, quantization: u32, transfer: u32,
    }
    struct PlaneFormat { size: u32, stride: u32, reserved: [u16; 6] }
    struct PictureMulti {
        width: u32, height: u32, fourcc: [u8; 4], field: u32, colorspace: u32, planes: [PlaneFormat; MAX_PLANES],
        count: u8, flags: u8, encoding: u8, quantization: u8, transfer: u8, reserved: [u8; 7],
    }
    #[repr(align(8))]
    struct Format { queue: u32, padding: u32, picture: Picture, rest: [u8; 152] }
    #[repr(align(8))]
    struct FormatMulti { queue: u32, padding: u32, picture: PictureMulti, rest: [u8; 8] }
    struct RequestBuffers { count: u32, queue: u32, memory: u32, capabilities: u32, flags: u8, reserved: [u8; 3] }
    struct Buffer {
        index: u32, queue: u32, used: u32, flags: u32, field: u32, seconds: i64, micros: i64, timecode: [u32; 4],
        sequence: u32, memory: u32, place: u64, length: u32, reserved: u32, request: i32,
    }
    struct Plane { used: u32, length: u32, place: u64, data_offset: u32, reserved: [u32; 11] }
    struct ExportBuffer { queue: u32, index: u32, plane: u32, flags: u32, fd: i32, reserved: [u32; 11] }
    struct Parameters { queue: u32, capability: u32, mode: u32, seconds: u32, frames: u32, extended: u32, buffers: u32, rest: [u32; 44] }
    struct Input {
        index: u32, name: [u8; 32], kind: u32, audio: u32, tuner: u32, standards: u64, status: u32, capabilities: u32,
        reserved: [u32; 3],
    }
    /// `struct v4l2_dv_timings`, a union of 128 bytes; packed in C, so the 64-bit clock is two halves here, low half first.
    struct DvTimings {
        kind: u32, width: u32, height: u32, interlaced: u32, polarities: u32, clock: [u32; 2], horizontal: [u32; 3],
        vertical: [u32; 3], vertical_second: [u32; 3], standards: u32, flags: u32, aspect: [u32; 2], vic: [u8; 2],
        reserved: [u8; 50],
    }
    struct Event {
        kind: u32, data: [u64; 8], pending: u32, sequence: u32, seconds: i64, nanos: i64, id: u32, reserved: [u32; 8],
    }
    struct Subscription { kind: u32, id: u32, flags: u32, reserved: [u32; 5] }
    struct Edid { pad: u32, start: u32, blocks: u32, reserved: [u32; 5], place: u64 }
    struct FrameSize { index: u32, fourcc: [u8; 4], kind: u32, values: [u32; 6], reserved: [u32; 2] }
    struct FrameInterval {
        index: u32, fourcc: [u8; 4], width: u32, height: u32, kind: u32, values: [u32; 6], reserved: [u32; 2],
    }
    struct Number { value: u32 }
}

const QUERYCAP: Opcode = opcode::read::<Capability>(b'V', 0);
const ENUM_FMT: Opcode = opcode::read_write::<FormatName>(b'V', 2);
const G_FMT: Opcode = opcode::read_write::<Format>(b'V', 4);
const S_FMT: Opcode = opcode::read_write::<Format>(b'V', 5);
const REQBUFS: Opcode = opcode::read_write::<RequestBuffers>(b'V', 8);
const QUERYBUF: Opcode = opcode::read_write::<Buffer>(b'V', 9);
const QBUF: Opcode = opcode::read_write::<Buffer>(b'V', 15);
const EXPBUF: Opcode = opcode::read_write::<ExportBuffer>(b'V', 16);
const DQBUF: Opcode = opcode::read_write::<Buffer>(b'V', 17);
const STREAMON: Opcode = opcode::write::<Number>(b'V', 18);
const STREAMOFF: Opcode = opcode::write::<Number>(b'V', 19);
const S_PARM: Opcode = opcode::read_write::<Parameters>(b'V', 22);
const ENUMINPUT: Opcode = opcode::read_write::<Input>(b'V', 26);
const G_INPUT: Opcode = opcode::read::<Number>(b'V', 38);
const G_EDID: Opcode = opcode::read_write::<Edid>(b'V', 40);
const TRY_FMT: Opcode = opcode::read_write::<Format>(b'V', 64);
const ENUM_FRAMESIZES: Opcode = opcode::read_write::<FrameSize>(b'V', 74);
const ENUM_FRAMEINTERVALS: Opcode = opcode::read_write::<FrameInterval>(b'V', 75);
const S_DV_TIMINGS: Opcode = opcode::read_write::<DvTimings>(b'V', 87);
const DQEVENT: Opcode = opcode::read::<Event>(b'V', 89);
const SUBSCRIBE_EVENT: Opcode = opcode::write::<Subscription>(b'V', 90);
const QUERY_DV_TIMINGS: Opcode = opcode::read::<DvTimings>(b'V', 99);

type Result<T> = std::result::Result<T, Errno>;

/// What [`Node::wait`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) frame: bool,
    pub(super) event: bool,
    /// The device cannot stream, or has gone.
    pub(super) broken: bool,
}

/// An open video device.
#[derive(Debug)]
pub(super) struct Node(OwnedFd);

impl Node {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    fn call<const OPCODE: Opcode, T: Plain>(&self, value: &mut T) -> Result<()> {
        // The number of a call says how many bytes the kernel reads and writes.
        const { assert!((OPCODE >> 16 & 0x3fff) as usize == size_of::<T>()) };
        // SAFETY: `value` is as large as the call's number says, and any bytes that the kernel writes are a value of it.
        // Structures with a pointer in them are only built by methods of `Node`, which keep what it points to alive.
        unsafe { rustix::ioctl::ioctl(&self.0, Updater::<OPCODE, T>::new(value)) }
    }

    pub(super) fn capability(&self) -> Result<Capability> {
        let mut value = Capability::zeroed();
        self.call::<QUERYCAP, _>(&mut value)?;
        Ok(value)
    }

    /// Format number `index`; `EINVAL` after the last.
    pub(super) fn format_name(&self, queue: Queue, index: u32) -> Result<FormatName> {
        let mut value = FormatName { index, queue: queue as u32, ..FormatName::zeroed() };
        self.call::<ENUM_FMT, _>(&mut value)?;
        Ok(value)
    }

    pub(super) fn frame_size(&self, fourcc: [u8; 4], index: u32) -> Result<FrameSize> {
        let mut value = FrameSize { index, fourcc, ..FrameSize::zeroed() };
        self.call::<ENUM_FRAMESIZES, _>(&mut value)?;
        Ok(value)
    }

    pub(super) fn frame_interval(&self, fourcc: [u8; 4], width: u32, height: u32, index: u32) -> Result<FrameInterval> {
        let mut value = FrameInterval { index, fourcc, width, height, ..FrameInterval::zeroed() };
        self.call::<ENUM_FRAMEINTERVALS, _>(&mut value)?;
        Ok(value)
    }

    pub(super) fn format(&self) -> Result<Picture> {
        let mut value = Format { queue: Queue::Single as u32, ..Format::zeroed() };
        self.call::<G_FMT, _>(&mut value)?;
        Ok(value.picture)
    }

    pub(super) fn format_multi(&self) -> Result<PictureMulti> {
        let mut value = FormatMulti { queue: Queue::Multi as u32, ..FormatMulti::zeroed() };
        self.call::<G_FMT, _>(&mut value)?;
        Ok(value.picture)
    }

    /// What the device would make of `picture`; with `set` it takes it.
    pub(super) fn negotiate(&self, picture: Picture, set: bool) -> Result<Picture> {
        let mut value = Format { queue: Queue::Single as u32, picture, ..Format::zeroed() };
        if set {
            self.call::<S_FMT, _>(&mut value)?
        } else {
            self.call::<TRY_FMT, _>(&mut value)?
        }
        Ok(value.picture)
    }

    pub(super) fn negotiate_multi(&self, picture: PictureMulti, set: bool) -> Result<PictureMulti> {
        let mut value = FormatMulti { queue: Queue::Multi as u32, picture, ..FormatMulti::zeroed() };
        if set {
            self.call::<S_FMT, _>(&mut value)?
        } else {
            self.call::<TRY_FMT, _>(&mut value)?
        }
        Ok(value.picture)
    }

    /// Asks for `frames` in `seconds`; what the device took.
    pub(super) fn set_rate(&self, queue: Queue, frames: u32, seconds: u32) -> Result<Parameters> {
        let mut value = Parameters { queue: queue as u32, seconds, frames, ..Parameters::zeroed() };
        self.call::<S_PARM, _>(&mut value)?;
        Ok(value)
    }

    /// Allocates `count` buffers, 0 frees them; how many there are.
    pub(super) fn request_buffers(&self, queue: Queue, count: u32) -> Result<u32> {
        let mut value = RequestBuffers { count, queue: queue as u32, memory: MEMORY_MMAP, ..RequestBuffers::zeroed() };
        self.call::<REQBUFS, _>(&mut value)?;
        Ok(value.count)
    }

    fn buffer_call<const OPCODE: Opcode>(&self, queue: Queue, index: u32) -> Result<(Buffer, [Plane; MAX_PLANES])> {
        let mut planes = [Plane::zeroed(); MAX_PLANES];
        let mut buffer = Buffer { index, queue: queue as u32, memory: MEMORY_MMAP, ..Buffer::zeroed() };
        if queue == Queue::Multi {
            buffer.place = planes.as_mut_ptr().expose_provenance() as u64;
            buffer.length = MAX_PLANES_U32;
        }
        self.call::<OPCODE, _>(&mut buffer)?;
        if queue == Queue::Single {
            planes[0] = Plane { used: buffer.used, length: buffer.length, place: buffer.place, ..Plane::zeroed() };
        }
        Ok((buffer, planes))
    }

    /// Length and place of each plane of buffer `index`.
    pub(super) fn buffer(&self, queue: Queue, index: u32) -> Result<Vec<Plane>> {
        let (buffer, planes) = self.buffer_call::<QUERYBUF>(queue, index)?;
        let count = if queue == Queue::Multi { buffer.length as usize } else { 1 };
        Ok(planes[..count.min(MAX_PLANES)].to_vec())
    }

    /// Gives buffer `index` to the device.
    pub(super) fn enqueue(&self, queue: Queue, index: u32) -> Result<()> {
        self.buffer_call::<QBUF>(queue, index).map(|_| ())
    }

    /// Takes a filled buffer from the device; `EAGAIN` when there is none.
    pub(super) fn dequeue(&self, queue: Queue) -> Result<(Buffer, [Plane; MAX_PLANES])> {
        self.buffer_call::<DQBUF>(queue, 0)
    }

    /// A plane of buffer `index` as a dmabuf.
    pub(super) fn export(&self, queue: Queue, index: u32, plane: u32) -> Result<OwnedFd> {
        let flags = OFlags::CLOEXEC.bits();
        let mut value = ExportBuffer { queue: queue as u32, index, plane, flags, fd: -1, ..ExportBuffer::zeroed() };
        self.call::<EXPBUF, _>(&mut value)?;
        if value.fd < 0 {
            return Err(Errno::BADF);
        }
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(unsafe { OwnedFd::from_raw_fd(value.fd) })
    }

    /// Maps a plane that [`Node::buffer`] described.
    pub(super) fn map(&self, plane: &Plane) -> Result<Mapping> {
        // In C a union: the offset is its first four bytes.
        let [a, b, c, d, ..] = plane.place.to_ne_bytes();
        Mapping::new(&self.0, u32::from_ne_bytes([a, b, c, d]).into(), plane.length as usize)
    }

    pub(super) fn stream(&self, queue: Queue, on: bool) -> Result<()> {
        let mut value = Number { value: queue as u32 };
        if on { self.call::<STREAMON, _>(&mut value) } else { self.call::<STREAMOFF, _>(&mut value) }
    }

    /// The input in use; `ENOTTY` where there is none to choose.
    pub(super) fn input(&self) -> Result<Input> {
        let mut number = Number::zeroed();
        self.call::<G_INPUT, _>(&mut number)?;
        let mut value = Input { index: number.value, ..Input::zeroed() };
        self.call::<ENUMINPUT, _>(&mut value)?;
        Ok(value)
    }

    /// The timings that arrive at the input: `ENOLINK` without signal, `ENOLCK` when it is not stable.
    pub(super) fn source_timings(&self) -> Result<DvTimings> {
        let mut value = DvTimings::zeroed();
        self.call::<QUERY_DV_TIMINGS, _>(&mut value)?;
        Ok(value)
    }

    pub(super) fn set_timings(&self, mut timings: DvTimings) -> Result<()> {
        self.call::<S_DV_TIMINGS, _>(&mut timings)
    }

    /// What the device says of itself to the source: blocks of 128 bytes.
    pub(super) fn edid(&self) -> Result<Vec<u8>> {
        const BLOCK: usize = 128;
        let mut bytes = vec![0u8; BLOCK * 256];
        let place = bytes.as_mut_ptr().expose_provenance() as u64;
        let mut value = Edid { blocks: 256, place, ..Edid::zeroed() };
        self.call::<G_EDID, _>(&mut value)?;
        bytes.truncate(value.blocks as usize * BLOCK);
        Ok(bytes)
    }

    /// From now on a changed source is an event.
    pub(super) fn subscribe(&self) -> Result<()> {
        let mut value = Subscription { kind: EVENT_SOURCE_CHANGE, ..Subscription::zeroed() };
        self.call::<SUBSCRIBE_EVENT, _>(&mut value)
    }

    /// Takes all events; whether one says that the resolution has changed.
    pub(super) fn resolution_changed(&self) -> Result<bool> {
        let mut changed = false;
        loop {
            let mut value = Event::zeroed();
            match self.call::<DQEVENT, _>(&mut value) {
                Ok(()) => {
                    let [a, b, c, d, ..] = value.data[0].to_ne_bytes();
                    let what = u32::from_ne_bytes([a, b, c, d]);
                    changed |= value.kind == EVENT_SOURCE_CHANGE && what & EVENT_CHANGED_RESOLUTION != 0;
                }
                Err(Errno::NOENT | Errno::AGAIN) => return Ok(changed),
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for a frame or an event; all false when `timeout` has passed.
    pub(super) fn wait(&self, timeout: Duration) -> Result<Ready> {
        let mut fds = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN | PollFlags::PRI)];
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        rustix::event::poll(&mut fds, Some(&timeout))?;
        let found = fds[0].revents();
        Ok(Ready {
            frame: found.contains(PollFlags::IN),
            event: found.contains(PollFlags::PRI),
            broken: found.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL),
        })
    }
}

#[cfg(test)]
mod tests;
