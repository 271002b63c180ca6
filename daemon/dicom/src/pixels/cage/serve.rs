//! The decoder process: gives up its rights, then decodes frame after frame.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::confine::{ConfineError, confine};
use super::wire::{self, Order};
use crate::pixels::codec;
use crate::pixels::shape::MAX_FRAME_PIXELS;

/// The first byte of a decoder that may be given frames; any other byte is followed by a reason.
pub(super) const READY: u8 = b'R';
pub(super) const NOT_READY: u8 = b'N';

/// Processor time for one frame, seconds. The largest frame that is taken (64 million pixels) needs some 20.
pub(super) const PROCESSOR_SECS: u64 = 60;
/// For all frames of a process together. Only the kernel holds to a limit that the process may raise by itself.
const PROCESSOR_SECS_IN_ALL: u64 = 600;
/// Threads of the user of the daemon with which a decoder starts no more: far below what the service may have.
const THREADS: u64 = 2048;
/// Memory that the program itself needs.
const OWN_BYTES: u64 = 64 << 20;
/// Memory for each sample: decoders of JPEG 2000 work on 32-bit integers, with copies for each step.
const BYTES_PER_SAMPLE: u64 = 24;

/// Decodes what comes over standard input, which is a socket, until it is closed. For the main thread of a program that has
/// opened nothing yet.
///
/// # Errors
/// When the process cannot be confined, which the other end is told, or when the socket fails.
pub fn serve() -> io::Result<()> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // In `ps` and `top`. Its name there would be "exe".
    let _ = rustix::thread::set_name(c"frame-decoder");
    // Nobody reads it, and the way to print it is closed.
    std::panic::set_hook(Box::new(|_| {}));
    // When memory is short the kernel ends a decoder, not the daemon. To be more ready to die is never refused.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    if let Err(error) = ready(&socket) {
        socket.write_all(&[NOT_READY])?;
        return socket.write_all(error.to_string().as_bytes());
    }
    socket.write_all(&[READY])?;
    while let Some(ordered) = wire::ordered(&mut socket)? {
        let order = ordered.as_order();
        limit(&order)?;
        let expected = order.expected();
        let decoded = codec::here(&order).and_then(|bytes| match bytes.len() {
            length if length == expected => Ok(bytes),
            length => Err(codec::other_length(length, expected)),
        });
        wire::answer(&mut socket, &decoded.map_err(wire::reason))?;
    }
    Ok(())
}

fn ready(socket: &UnixStream) -> Result<(), ConfineError> {
    bound(Resource::Core, 0)?;
    bound(Resource::Nproc, THREADS)?;
    bound(Resource::Cpu, PROCESSOR_SECS_IN_ALL)?;
    // Of the largest frame that is taken. What `limit` sets for each frame is below.
    bound(Resource::Data, OWN_BYTES + 3 * MAX_FRAME_PIXELS * BYTES_PER_SAMPLE)?;
    confine(socket)
}

/// For ever, or less when whoever started this program has said less.
fn bound(resource: Resource, most: u64) -> Result<(), rustix::io::Errno> {
    let most = getrlimit(resource).maximum.map_or(most, |inherited| inherited.min(most));
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}

/// Bounds processor time and memory by what a frame of this size needs.
pub(super) fn limit(order: &Order<'_>) -> io::Result<()> {
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec;
    set(Resource::Cpu, u64::try_from(used).unwrap_or_default() + PROCESSOR_SECS)?;
    let bytes = OWN_BYTES + order.shape.samples() as u64 * BYTES_PER_SAMPLE + 2 * order.frame.len() as u64;
    set(Resource::Data, bytes)?;
    Ok(())
}

/// Until the next frame.
fn set(resource: Resource, current: u64) -> Result<(), rustix::io::Errno> {
    let maximum = getrlimit(resource).maximum;
    let current = maximum.map_or(current, |most| current.min(most));
    setrlimit(resource, Rlimit { current: Some(current), maximum })
}
