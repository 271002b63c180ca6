//! NVIDIA's driver library: found and resolved once, at run time. Nothing is linked, and a machine without it is an error value.
//!
//! `cudarc` finds the library, keeps it and knows its types. Its own functions are not called: they panic when the library lacks one,
//! and return an enum that a newer driver's code would make undefined.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::{Mutex, PoisonError};

use cudarc::driver::sys::{
    self, CUcontext, CUdevice, CUdeviceptr, CUevent, CUexternalMemory, CUfunction, CUmodule, CUstream,
};

use super::fault;
use crate::accel_error::{AccelFault, Error};

macro_rules! functions {
    ($($name:ident($($argument:ty),*);)*) => {
        /// The functions that are used, each by its name in the library; all return a result code.
        #[derive(Debug, Clone, Copy)]
        #[allow(non_snake_case, reason = "the names of the driver's functions")]
        pub(super) struct Functions {
            $(pub $name: unsafe extern "C" fn($($argument),*) -> c_int,)*
        }

        impl Functions {
            /// # Errors
            /// The name of the first function that the library lacks.
            fn resolve() -> Result<Self, &'static str> {
                // SAFETY: only called when the library can be loaded; it stays loaded for ever.
                let library = unsafe { sys::culib() };
                Ok(Self {
                    $(
                        // SAFETY: the types are those of CUDA's header `cuda.h` for this name.
                        $name: *unsafe { library.get(concat!(stringify!($name), "\0").as_bytes()) }
                            .map_err(|_| stringify!($name))?,
                    )*
                })
            }
        }
    };
}

functions! {
    cuInit(c_uint);
    cuDriverGetVersion(*mut c_int);
    cuGetErrorName(c_int, *mut *const c_char);
    cuGetErrorString(c_int, *mut *const c_char);
    cuDeviceGetCount(*mut c_int);
    cuDeviceGet(*mut CUdevice, c_int);
    cuDeviceGetName(*mut c_char, c_int, CUdevice);
    cuDeviceGetAttribute(*mut c_int, c_uint, CUdevice);
    cuDevicePrimaryCtxRetain(*mut CUcontext, CUdevice);
    cuDevicePrimaryCtxRelease_v2(CUdevice);
    cuCtxSetCurrent(CUcontext);
    cuCtxGetStreamPriorityRange(*mut c_int, *mut c_int);
    cuMemGetInfo_v2(*mut usize, *mut usize);
    cuMemAlloc_v2(*mut CUdeviceptr, usize);
    cuMemFree_v2(CUdeviceptr);
    cuMemHostAlloc(*mut *mut c_void, usize, c_uint);
    cuMemFreeHost(*mut c_void);
    cuMemHostRegister_v2(*mut c_void, usize, c_uint);
    cuMemHostUnregister(*mut c_void);
    cuMemHostGetDevicePointer_v2(*mut CUdeviceptr, *mut c_void, c_uint);
    cuImportExternalMemory(*mut CUexternalMemory, *const c_void);
    cuExternalMemoryGetMappedBuffer(*mut CUdeviceptr, CUexternalMemory, *const sys::CUDA_EXTERNAL_MEMORY_BUFFER_DESC);
    cuDestroyExternalMemory(CUexternalMemory);
    cuMemcpyHtoDAsync_v2(CUdeviceptr, *const c_void, usize, CUstream);
    cuMemcpyDtoHAsync_v2(*mut c_void, CUdeviceptr, usize, CUstream);
    cuMemsetD8Async(CUdeviceptr, u8, usize, CUstream);
    cuStreamCreateWithPriority(*mut CUstream, c_uint, c_int);
    cuStreamDestroy_v2(CUstream);
    cuStreamWaitEvent(CUstream, CUevent, c_uint);
    cuEventCreate(*mut CUevent, c_uint);
    cuEventRecord(CUevent, CUstream);
    cuEventQuery(CUevent);
    cuEventDestroy_v2(CUevent);
    cuModuleLoadDataEx(*mut CUmodule, *const c_void, c_uint, *mut c_uint, *mut *mut c_void);
    cuModuleUnload(CUmodule);
    cuModuleGetFunction(*mut CUfunction, CUmodule, *const c_char);
    cuFuncGetAttribute(*mut c_int, c_uint, CUfunction);
    cuLaunchKernel(CUfunction, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, CUstream, *mut *mut c_void, *mut *mut c_void);
}

const REMEDY: &str = "install NVIDIA's driver, or set accelerator.provider = \"cpu\"";

/// The functions of the driver, initialised; the second time without a look at the disk.
///
/// # Errors
/// `AccelFault::NotPresent`: no library, one that is too old, or no card.
pub(super) fn functions() -> Result<Functions, Error> {
    static LOADED: Mutex<Option<Functions>> = Mutex::new(None);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(functions) = *loaded {
        return Ok(functions);
    }
    let absent = |why: String| Error::new(AccelFault::NotPresent, format!("{why}; {REMEDY}"));
    // SAFETY: loads and closes the library, as any program does that is linked to it.
    if !unsafe { sys::is_culib_present() } {
        return Err(absent("NVIDIA's driver library libcuda.so.1 is not installed".into()));
    }
    let functions = Functions::resolve()
        .map_err(|name| absent(format!("the installed libcuda.so.1 is too old: it has no {name}")))?;
    // SAFETY: no memory is passed.
    let code = unsafe { (functions.cuInit)(0) };
    if code != fault::SUCCESS {
        return Err(absent(functions.says(code, "NVIDIA's driver finds no card")));
    }
    *loaded = Some(functions);
    Ok(functions)
}

impl Functions {
    /// For people: what was tried, and the driver's own words.
    pub(super) fn says(&self, code: i32, what: &str) -> String {
        let text = |function: unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int| {
            let mut text = std::ptr::null();
            // SAFETY: it writes a pointer to a text that is never freed, or leaves it null.
            let answer = unsafe { function(code, &raw mut text) };
            // SAFETY: as above.
            (answer == fault::SUCCESS && !text.is_null())
                .then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
        };
        match (text(self.cuGetErrorString), text(self.cuGetErrorName)) {
            (Some(words), Some(name)) => format!("{what}: {words} ({name})"),
            (Some(words), None) => format!("{what}: {words} (code {code})"),
            _ => format!("{what}: code {code}"),
        }
    }
}
