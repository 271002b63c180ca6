//! One card as this process has it: its primary context, which ONNX Runtime and TensorRT use too, and what may not be given back yet.

#![allow(unsafe_code)]

use std::any::Any;
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::sys::{CUcontext, CUdevice, CUdevice_attribute as Attribute, CUdeviceptr, CUexternalMemory};

use super::driver_ffi::{self, Functions};
use super::lent_ffi::Given;
use super::{Facts, Memory, fault};
use crate::accel_error::{AccelFault, Error};

#[derive(Debug)]
pub(super) struct Context {
    pub functions: Functions,
    device: CUdevice,
    raw: CUcontext,
    /// A call failed in a way after which every other one fails.
    lost: AtomicBool,
    /// Streams that did not answer in time and have not answered since.
    pub late: AtomicUsize,
    /// What was dropped while a stream was late: the driver waits for the card when it takes memory back, perhaps for ever.
    kept: Mutex<Vec<Garbage>>,
}

/// Memory that has no owner any more.
#[derive(Debug)]
pub(super) enum Garbage {
    Device(CUdeviceptr),
    Pinned(*mut c_void),
    /// Memory of the host that the card reads, and what keeps it mapped.
    Registered(*mut c_void, Arc<dyn Any + Send + Sync>),
    /// A dmabuf, and where it was mapped.
    Imported {
        address: Option<CUdeviceptr>,
        memory: CUexternalMemory,
        given: Given,
    },
}

// SAFETY: handles and addresses of the driver's, which may be given back from any thread; nobody else has them.
unsafe impl Send for Garbage {}
// SAFETY: nothing of it is looked at before it is given back.
unsafe impl Sync for Garbage {}

// SAFETY: the handles are the driver's, which may be used from any thread (CUDA driver API, "Thread safety": contexts are shared
// between threads); memory in `kept` has no owner that could touch it.
unsafe impl Send for Context {}
// SAFETY: as above; every field that changes is an atomic or behind a mutex.
unsafe impl Sync for Context {}

/// Facts of the card, and its context, which stays until the last owner has gone.
///
/// # Errors
/// `AccelFault::NotPresent`: no driver, no card, or none of this number; `AccelFault::OutOfMemory`.
pub(super) fn open(ordinal: u32) -> Result<(Arc<Context>, Facts), Error> {
    let functions = driver_ffi::functions()?;
    let checked = |code, what: &str| check(&functions, code, what);
    let (mut version, mut count, mut device) = (0, 0, 0);
    // SAFETY: each writes one number.
    checked(unsafe { (functions.cuDriverGetVersion)(&raw mut version) }, "asking for the driver's version")?;
    // SAFETY: as above.
    checked(unsafe { (functions.cuDeviceGetCount)(&raw mut count) }, "counting the cards")?;
    let number = c_int::try_from(ordinal).unwrap_or(c_int::MAX);
    if number >= count {
        return Err(Error::new(
            AccelFault::NotPresent,
            format!("there is no CUDA card {ordinal}: the driver counts {count}"),
        ));
    }
    // SAFETY: as above; the number is one of those that exist.
    checked(unsafe { (functions.cuDeviceGet)(&raw mut device, number) }, "opening the card")?;
    let attribute = |which: Attribute| {
        let mut value = 0;
        // SAFETY: writes one number; an attribute that the driver does not know is an error code.
        let code = unsafe { (functions.cuDeviceGetAttribute)(&raw mut value, which as c_uint, device) };
        checked(code, "asking the card")?;
        Ok::<_, Error>(value)
    };
    let mut name = [0; 256];
    // SAFETY: at most 255 bytes and a zero are written.
    checked(unsafe { (functions.cuDeviceGetName)(name.as_mut_ptr(), 256, device) }, "asking for the card's name")?;
    name[255] = 0;
    let mut raw = ptr::null_mut();
    // SAFETY: writes one handle; given back in `drop`.
    checked(unsafe { (functions.cuDevicePrimaryCtxRetain)(&raw mut raw, device) }, "making a context on the card")?;
    let context = Arc::new(Context {
        functions,
        device,
        raw,
        lost: AtomicBool::new(false),
        late: AtomicUsize::new(0),
        kept: Mutex::default(),
    });
    context.enter()?;
    let (mut least, mut greatest) = (0, 0);
    // SAFETY: writes two numbers.
    let code = unsafe { (functions.cuCtxGetStreamPriorityRange)(&raw mut least, &raw mut greatest) };
    context.checked(code, "asking for the priorities of streams")?;
    let facts = Facts {
        // SAFETY: it ends in a zero, see above.
        name: unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned(),
        capability: (
            attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?.unsigned_abs(),
            attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?.unsigned_abs(),
        ),
        driver: (version.unsigned_abs() / 1000, version.unsigned_abs() % 1000 / 10),
        integrated: attribute(Attribute::CU_DEVICE_ATTRIBUTE_INTEGRATED)? != 0,
        priorities: (least, greatest),
    };
    Ok((context, facts))
}

fn check(functions: &Functions, code: c_int, what: &str) -> Result<(), Error> {
    if code == fault::SUCCESS { Ok(()) } else { Err(Error::new(fault::kind(code), functions.says(code, what))) }
}

impl Context {
    /// Makes this the context of the calling thread.
    ///
    /// # Errors
    /// `AccelFault::Device` when the card was lost.
    pub fn enter(&self) -> Result<(), Error> {
        if self.is_lost() {
            let why = "the card was lost in this process; it comes back when the daemon is started again";
            return Err(Error::new(AccelFault::Device, why));
        }
        // SAFETY: the context lives as long as this object.
        self.checked(unsafe { (self.functions.cuCtxSetCurrent)(self.raw) }, "entering the card's context")
    }

    /// As [`Context::enter`], for calls that may wait for all that the card has to do.
    ///
    /// # Errors
    /// `AccelFault::Device` when the card was lost, or has not answered.
    pub fn enter_to_allocate(&self) -> Result<(), Error> {
        if self.late.load(Ordering::Acquire) > 0 {
            return Err(Error::new(AccelFault::Device, "the card has not answered; it gives no memory until it does"));
        }
        self.enter()
    }

    /// Turns a code into an error; remembers that the card is lost.
    ///
    /// # Errors
    /// Of the kind that the code stands for.
    pub fn checked(&self, code: c_int, what: &str) -> Result<(), Error> {
        if fault::is_fatal(code) {
            self.lost.store(true, Ordering::Release);
        }
        check(&self.functions, code, what)
    }

    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// # Errors
    /// `AccelFault::Device`.
    pub fn memory(&self) -> Result<Memory, Error> {
        self.enter()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: writes two numbers.
        let code = unsafe { (self.functions.cuMemGetInfo_v2)(&raw mut free, &raw mut total) };
        self.checked(code, "asking for the card's memory")?;
        Ok(Memory { free, total })
    }

    /// Gives memory back, later when the card does not answer, never when it is lost: the driver then has it no more.
    pub fn discard(&self, garbage: Garbage) {
        if self.is_lost() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(garbage);
        if self.late.load(Ordering::Acquire) == 0 && self.enter().is_ok() {
            kept.drain(..).for_each(|garbage| self.free(garbage));
        }
    }

    /// What was kept while a stream was late.
    pub fn sweep(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if self.late.load(Ordering::Acquire) == 0 && !kept.is_empty() && self.enter().is_ok() {
            kept.drain(..).for_each(|garbage| self.free(garbage));
        }
    }

    fn free(&self, garbage: Garbage) {
        // SAFETY: made by this driver; the owner has gone and no queued work uses it (`stream_ffi`), so this is the only reference.
        let code = unsafe {
            match garbage {
                Garbage::Device(address) => (self.functions.cuMemFree_v2)(address),
                Garbage::Pinned(address) => (self.functions.cuMemFreeHost)(address),
                Garbage::Registered(address, keeper) => {
                    let code = (self.functions.cuMemHostUnregister)(address);
                    drop(keeper);
                    code
                }
                Garbage::Imported { address, memory, given } => {
                    let unmapped = address.map_or(fault::SUCCESS, |address| (self.functions.cuMemFree_v2)(address));
                    let code = (self.functions.cuDestroyExternalMemory)(memory);
                    given.take_back();
                    if unmapped == fault::SUCCESS { code } else { unmapped }
                }
            }
        };
        if let Err(error) = self.checked(code, "giving memory back") {
            tracing::warn!(%error, "memory of the card is lost until the next start");
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if !self.is_lost() && self.late.load(Ordering::Acquire) == 0 {
            // SAFETY: taken in `open`; everything made in the context holds it and has gone.
            unsafe { (self.functions.cuDevicePrimaryCtxRelease_v2)(self.device) };
        }
    }
}
