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
const NOT_READY: u8 = b'N';

/// Processor time for one frame, seconds. The largest frame that is taken (64 million pixels) needs some 20.
pub(super) const PROCESSOR_SECS: u64 = 60;
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
    if let Err(error) = ready(&socket) {
        socket.write_all(&[NOT_READY])?;
        return socket.write_all(error.to_string().as_bytes());
    }
    socket.write_all(&[READY])?;
    while let Some(ordered) = wire::ordered(&mut socket)? {
        let order = ordered.as_order();
        limit(&order)?;
        wire::answer(&mut socket, &codec::here(&order).map_err(wire::reason))?;
    }
    Ok(())
}

fn ready(socket: &UnixStream) -> Result<(), ConfineError> {
    set(Resource::Core, 0, Some(0))?;
    // Of the largest frame that is taken. What `limit` sets for each frame is below.
    let most = OWN_BYTES + 3 * MAX_FRAME_PIXELS * BYTES_PER_SAMPLE;
    set(Resource::Data, most, Some(most))?;
    confine(socket)
}

/// Bounds processor time and memory by what a frame of this size needs.
pub(super) fn limit(order: &Order<'_>) -> io::Result<()> {
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec;
    let seconds = u64::try_from(used).unwrap_or_default() + PROCESSOR_SECS;
    set(Resource::Cpu, seconds, None)?;
    let most = getrlimit(Resource::Data).maximum;
    let bytes = OWN_BYTES + order.shape.samples() as u64 * BYTES_PER_SAMPLE + 2 * order.frame.len() as u64;
    set(Resource::Data, most.map_or(bytes, |most| bytes.min(most)), most)?;
    Ok(())
}

fn set(resource: Resource, current: u64, maximum: Option<u64>) -> Result<(), rustix::io::Errno> {
    setrlimit(resource, Rlimit { current: Some(current), maximum })
}
