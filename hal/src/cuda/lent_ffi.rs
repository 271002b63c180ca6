//! Captured pictures that a card reads where the capture device has put them, without a copy.
//!
//! Two ways, in this order. A dmabuf is imported; NVIDIA's header (`cuda.h`, CUDA 13) says that this is "supported only on Tegra Jetson
//! platform starting with Thor series", so other cards are not asked. Elsewhere the buffer's mapping in this process is registered, for
//! reading, and the card reaches it over the bus. A buffer is imported or registered once, for as long as the capture device has it; a
//! picture stays out of the device's hands until the card has read it.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;

use cudarc::driver::sys;

use super::Device;
use super::context_ffi::{Context, Garbage};
use super::memory_ffi::DeviceBuffer;
use super::stream_ffi::Stream;
use crate::accel_error::{AccelFault, Error};
use crate::capture::Frame;

/// `CU_EXTERNAL_MEMORY_HANDLE_TYPE_DMABUF_FD`.
const DMABUF: u32 = 9;
/// `CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_READ_ONLY`: without the second, memory that is mapped for reading is refused.
const FOR_READING: u32 = 0x2 | 0x8;

/// How a card reads a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Route {
    /// The dmabuf that the capture device exports.
    Dmabuf,
    /// The registered mapping of the buffer.
    Registered,
}

impl Route {
    pub fn name(self) -> &'static str {
        match self {
            Self::Dmabuf => "dmabuf",
            Self::Registered => "registered memory",
        }
    }
}

/// What a card keeps with a buffer of a capture device.
#[derive(Debug)]
struct Reached {
    buffer: DeviceBuffer<u8>,
    route: Route,
}

/// A picture in the buffer of its capture device, as a card sees it. It is not given back to the device while this lives, nor while
/// queued work reads it.
#[derive(Debug)]
pub struct Lent {
    reached: Arc<Reached>,
    frame: Frame,
    offset: usize,
}

impl Lent {
    /// All of the buffer.
    pub fn buffer(&self) -> &DeviceBuffer<u8> {
        &self.reached.buffer
    }

    /// Where in the buffer the bytes lie that were asked for.
    pub fn offset(&self) -> usize {
        self.offset
    }

    pub fn route(&self) -> Route {
        self.reached.route
    }

    /// Keeps the picture from its capture device until work that was queued here has ended.
    pub fn hold_on(&self, stream: &Stream) {
        stream.hold(self.reached.clone());
        stream.hold(Arc::new(self.frame.clone()));
    }
}

impl Device {
    /// Lets the card read `bytes` of a plane of the picture where they lie. `Ok(None)`: they lie in no buffer that stays where it is.
    ///
    /// # Errors
    /// Why the driver does not let it, by both ways; the picture has to be copied. `AccelFault::Device` when the card does not answer.
    pub fn lend(&self, frame: &Frame, plane: usize, bytes: &[u8]) -> Result<Option<Lent>, Error> {
        let Some(berth) = frame.berth(plane) else { return Ok(None) };
        let whole = berth.bytes();
        let offset = bytes.as_ptr().addr().checked_sub(whole.as_ptr().addr());
        let Some(offset) =
            offset.filter(|offset| offset.checked_add(bytes.len()).is_some_and(|end| end <= whole.len()))
        else {
            return Ok(None);
        };
        let of_here = |reached: &Reached| reached.buffer.is_of(&self.context);
        let reached = berth.attached(of_here, || {
            let dmabuf = frame.dmabuf(plane).filter(|_| self.facts.integrated);
            let imported = dmabuf.map(|fd| import(&self.context, fd, whole.len()));
            let why = match imported {
                Some(Ok(buffer)) => return Ok(Reached { buffer, route: Route::Dmabuf }),
                Some(Err(why)) => format!("{why}; "),
                None => String::new(),
            };
            // SAFETY: the bytes are those of the mapping, which the registration keeps.
            let registered = unsafe { register(&self.context, whole, berth.mapping()) };
            registered
                .map(|buffer| Reached { buffer, route: Route::Registered })
                .map_err(|error| Error::new(error.kind(), format!("{why}{error}")))
        })?;
        Ok(Some(Lent { reached, frame: frame.clone(), offset }))
    }
}

/// # Safety
/// `keeper` keeps `bytes` mapped.
unsafe fn register(
    context: &Arc<Context>,
    bytes: &[u8],
    keeper: Arc<dyn std::any::Any + Send + Sync>,
) -> Result<DeviceBuffer<u8>, Error> {
    context.enter_to_allocate()?;
    let start = bytes.as_ptr().cast_mut().cast();
    // SAFETY: mapped for reading, which is all that is asked for; taken back before `keeper` goes.
    let code = unsafe { (context.functions.cuMemHostRegister_v2)(start, bytes.len(), FOR_READING) };
    context.checked(code, "registering a buffer of the capture device")?;
    let garbage = Garbage::Registered(start, keeper);
    let mut address = 0;
    // SAFETY: writes one address; the memory has just been registered.
    let code = unsafe { (context.functions.cuMemHostGetDevicePointer_v2)(&raw mut address, start, 0) };
    if let Err(error) = context.checked(code, "reaching a buffer of the capture device") {
        context.discard(garbage);
        return Err(error);
    }
    Ok(DeviceBuffer::lent(context, address, bytes.len(), garbage))
}

/// A descriptor that was given to the driver. Who closes it is not written down, so the kernel is asked when the import has ended.
#[derive(Debug)]
pub(super) struct Given {
    number: RawFd,
    inode: (u64, u64),
}

fn inode(fd: BorrowedFd<'_>) -> Option<(u64, u64)> {
    rustix::fs::fstat(fd).ok().map(|file| (file.st_dev, file.st_ino))
}

impl Given {
    /// Closes it, unless the driver has: then the number is another file's, or nobody's.
    pub fn take_back(self) {
        // SAFETY: only looked at; a number that is not open is an error.
        let is_ours = inode(unsafe { BorrowedFd::borrow_raw(self.number) }) == Some(self.inode);
        if is_ours {
            // SAFETY: the file that we have duplicated, which nobody else knows by this number.
            drop(unsafe { OwnedFd::from_raw_fd(self.number) });
        }
    }
}

fn import(context: &Arc<Context>, dmabuf: BorrowedFd<'_>, length: usize) -> Result<DeviceBuffer<u8>, Error> {
    context.enter_to_allocate()?;
    let unreadable = || Error::new(AccelFault::Device, "the dmabuf of the capture device cannot be duplicated");
    let inode = inode(dmabuf).ok_or_else(unreadable)?;
    let own = dmabuf.try_clone_to_owned().map_err(|_| unreadable())?;
    // SAFETY: integers and pointers, for all of which zeros are a value.
    let mut described: Described = unsafe { std::mem::zeroed() };
    (described.kind, described.fd, described.size) = (DMABUF, own.as_raw_fd(), length as u64);
    let mut memory = ptr::null_mut();
    // SAFETY: reads the description, which has the layout of `CUDA_EXTERNAL_MEMORY_HANDLE_DESC`, and writes one handle.
    let code = unsafe { (context.functions.cuImportExternalMemory)(&raw mut memory, (&raw const described).cast()) };
    // After a refusal the descriptor is still ours, and closed here.
    context.checked(code, "importing the dmabuf of the capture device")?;
    let given = Given { number: std::os::fd::IntoRawFd::into_raw_fd(own), inode };
    let (mut address, part) =
        (0, sys::CUDA_EXTERNAL_MEMORY_BUFFER_DESC { offset: 0, size: length as u64, flags: 0, reserved: [0; 16] });
    // SAFETY: writes one address of memory that has just been imported and is as long.
    let code =
        unsafe { (context.functions.cuExternalMemoryGetMappedBuffer)(&raw mut address, memory, &raw const part) };
    let mapped = context.checked(code, "reaching the dmabuf of the capture device");
    let garbage = Garbage::Imported { address: mapped.is_ok().then_some(address), memory, given };
    if let Err(error) = mapped {
        context.discard(garbage);
        return Err(error);
    }
    Ok(DeviceBuffer::lent(context, address, length, garbage))
}

/// `CUDA_EXTERNAL_MEMORY_HANDLE_DESC`; its kind is a plain number, because cudarc's list of kinds may lack the one that is used.
#[repr(C)]
struct Described {
    kind: u32,
    padding: u32,
    /// First of a union of two pointers.
    fd: i32,
    rest: [u32; 3],
    size: u64,
    flags: u32,
    reserved: [u32; 16],
}

const _: () = {
    use sys::CUDA_EXTERNAL_MEMORY_HANDLE_DESC as Theirs;
    assert!(size_of::<Described>() == size_of::<Theirs>());
    assert!(std::mem::offset_of!(Described, fd) == std::mem::offset_of!(Theirs, handle));
    assert!(std::mem::offset_of!(Described, size) == std::mem::offset_of!(Theirs, size));
    assert!(std::mem::offset_of!(Described, flags) == std::mem::offset_of!(Theirs, flags));
};
