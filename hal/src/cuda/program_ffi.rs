//! Programs for the card: PTX, which the driver compiles for the card that is there when it is loaded, and launches of its kernels.

#![allow(unsafe_code)]

use std::ffi::{CString, c_uint, c_void};
use std::ptr;
use std::sync::Arc;

use cudarc::driver::sys::{CUfunction, CUfunction_attribute as Attribute, CUjit_option as Option_, CUmodule};

use super::context_ffi::Context;
use super::memory_ffi::{DeviceBuffer, Plain};
use super::signature::{self, Signature};
use super::stream_ffi::Stream;
use crate::accel_error::{AccelFault, Error};

/// Threads of one block, along x and y.
const BLOCK: [u32; 2] = [32, 8];
/// Most blocks along y and z (CUDA C++ programming guide, table of compute capabilities).
const MOST_BLOCKS: u32 = 65_535;
const LOG: usize = 8192;

/// A program on the card.
#[derive(Debug)]
pub(super) struct Program {
    context: Arc<Context>,
    raw: CUmodule,
}

/// A kernel of a program, and what it takes.
#[derive(Debug)]
pub(super) struct Kernel {
    program: Arc<Program>,
    raw: CUfunction,
    signature: Signature,
}

// SAFETY: handles of the driver may be used from any thread.
unsafe impl Send for Program {}
// SAFETY: as above; it never changes.
unsafe impl Sync for Program {}
// SAFETY: as above.
unsafe impl Send for Kernel {}
// SAFETY: as above.
unsafe impl Sync for Kernel {}

/// One argument of a kernel, by value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Argument {
    Long(u64),
    Word(u32),
    Signed(i32),
    Float(f32),
}

impl Argument {
    pub fn buffer<T: Plain>(buffer: &DeviceBuffer<T>) -> Self {
        Self::Long(buffer.address())
    }

    fn size(&self) -> usize {
        match self {
            Self::Long(_) => 8,
            Self::Word(_) | Self::Signed(_) | Self::Float(_) => 4,
        }
    }

    fn pointer(&mut self) -> *mut c_void {
        match self {
            Self::Long(value) => ptr::from_mut(value).cast(),
            Self::Word(value) => ptr::from_mut(value).cast(),
            Self::Signed(value) => ptr::from_mut(value).cast(),
            Self::Float(value) => ptr::from_mut(value).cast(),
        }
    }
}

impl Program {
    /// Compiles `ptx` for the card. Takes milliseconds, once; the driver keeps what it made.
    ///
    /// # Errors
    /// `AccelFault::BadModel` with the compiler's words when the driver cannot compile it; `AccelFault::OutOfMemory`; `AccelFault::Device`.
    pub fn load(context: &Arc<Context>, ptx: &str) -> Result<Vec<Kernel>, Error> {
        let image =
            CString::new(ptx).map_err(|_| Error::new(AccelFault::BadModel, "a program that holds a zero byte"))?;
        context.enter_to_allocate()?;
        let mut raw = ptr::null_mut();
        let mut log = vec![0u8; LOG];
        let mut options =
            [Option_::CU_JIT_ERROR_LOG_BUFFER as c_uint, Option_::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES as c_uint];
        let mut values = [log.as_mut_ptr().cast::<c_void>(), ptr::without_provenance_mut(LOG - 1)];
        // SAFETY: the image ends in a zero; the log has room for what is said; a handle is written, given back in `drop`.
        let code = unsafe {
            (context.functions.cuModuleLoadDataEx)(
                &raw mut raw,
                image.as_ptr().cast(),
                2,
                options.as_mut_ptr(),
                values.as_mut_ptr(),
            )
        };
        let said = String::from_utf8_lossy(&log);
        let said =
            said.trim_end_matches('\0').lines().find(|line| !line.trim().is_empty()).unwrap_or("no further reason");
        context.checked(code, &format!("compiling kernels for the card ({said})"))?;
        let program = Arc::new(Self { context: context.clone(), raw });
        signature::all(ptx).into_iter().map(|signature| program.kernel(signature)).collect()
    }

    fn kernel(self: &Arc<Self>, signature: Signature) -> Result<Kernel, Error> {
        let name = CString::new(signature.name.as_str())
            .map_err(|_| Error::new(AccelFault::BadModel, "a name with a zero"))?;
        let mut raw = ptr::null_mut();
        // SAFETY: writes one handle, which lives as long as the program.
        let code = unsafe { (self.context.functions.cuModuleGetFunction)(&raw mut raw, self.raw, name.as_ptr()) };
        self.context.checked(code, &format!("finding the kernel {}", signature.name))?;
        Ok(Kernel { program: self.clone(), raw, signature })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.context.enter_to_allocate().is_ok() {
            // SAFETY: loaded in `load`; streams hold the program while its kernels run.
            unsafe { (self.context.functions.cuModuleUnload)(self.raw) };
        }
    }
}

impl Kernel {
    pub fn name(&self) -> &str {
        &self.signature.name
    }

    /// Registers of each thread, as the driver compiled it for this card.
    ///
    /// # Errors
    /// `AccelFault::Device`.
    pub fn registers(&self) -> Result<u32, Error> {
        let context = &self.program.context;
        context.enter()?;
        let mut value = 0;
        let which = Attribute::CU_FUNC_ATTRIBUTE_NUM_REGS as c_uint;
        // SAFETY: writes one number.
        let code = unsafe { (context.functions.cuFuncGetAttribute)(&raw mut value, which, self.raw) };
        context.checked(code, "asking a kernel")?;
        Ok(value.unsigned_abs())
    }

    /// Queues the kernel with one thread for each of `size` (x, y, z). Nothing happens when one of them is 0.
    ///
    /// # Errors
    /// `AccelFault::BadInput` when number or sizes of the arguments are not the kernel's, or there are too many threads; as for
    /// [`Stream::admit`].
    ///
    /// # Safety
    /// With these arguments no thread reads or writes beyond a buffer, and the caller lets the stream hold every buffer.
    pub unsafe fn launch(&self, stream: &Stream, size: [u32; 3], arguments: &mut [Argument]) -> Result<(), Error> {
        let context = &self.program.context;
        let bad = |why: String| Error::new(AccelFault::BadInput, format!("kernel {}: {why}", self.name()));
        let sizes: Vec<usize> = arguments.iter().map(Argument::size).collect();
        if let Some(why) = self.signature.refusal(&sizes) {
            return Err(Error::new(AccelFault::BadInput, why));
        }
        if !Arc::ptr_eq(context, stream.context()) {
            return Err(bad("a stream of another card".into()));
        }
        if size.contains(&0) {
            return Ok(());
        }
        let blocks = [size[0].div_ceil(BLOCK[0]), size[1].div_ceil(BLOCK[1]), size[2]];
        if blocks[1] > MOST_BLOCKS || blocks[2] > MOST_BLOCKS {
            return Err(bad(format!("{size:?} are too many threads")));
        }
        stream.admit()?;
        let mut pointers: Vec<*mut c_void> = arguments.iter_mut().map(Argument::pointer).collect();
        // SAFETY: the pointers are to as many values, of the sizes that the kernel takes; the rest is the caller's promise.
        let code = unsafe {
            (context.functions.cuLaunchKernel)(
                self.raw,
                blocks[0],
                blocks[1],
                blocks[2],
                BLOCK[0],
                BLOCK[1],
                1,
                0,
                stream.raw().cast(),
                pointers.as_mut_ptr(),
                ptr::null_mut(),
            )
        };
        context.checked(code, &format!("starting the kernel {}", self.name()))?;
        stream.hold(self.program.clone());
        Ok(())
    }
}
