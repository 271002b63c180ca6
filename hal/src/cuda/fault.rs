//! What the driver's result codes mean to a caller. Codes are plain numbers: a newer driver may give some that nobody here knows.

use cudarc::driver::sys::CUresult as Code;

use crate::accel_error::AccelFault;

pub(super) const SUCCESS: i32 = Code::CUDA_SUCCESS as i32;
pub(super) const NOT_READY: i32 = Code::CUDA_ERROR_NOT_READY as i32;

const MEMORY: [i32; 1] = [Code::CUDA_ERROR_OUT_OF_MEMORY as i32];

/// There is no card, or none that this driver can use.
const ABSENT: [i32; 10] = [
    Code::CUDA_ERROR_NOT_INITIALIZED as i32,
    Code::CUDA_ERROR_STUB_LIBRARY as i32,
    Code::CUDA_ERROR_NO_DEVICE as i32,
    Code::CUDA_ERROR_INVALID_DEVICE as i32,
    Code::CUDA_ERROR_DEVICE_NOT_LICENSED as i32,
    Code::CUDA_ERROR_SYSTEM_NOT_READY as i32,
    Code::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH as i32,
    Code::CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE as i32,
    Code::CUDA_ERROR_DEVICE_UNAVAILABLE as i32,
    Code::CUDA_ERROR_OPERATING_SYSTEM as i32,
];

/// The bytes of a program for the card are none that it can run.
const PROGRAM: [i32; 7] = [
    Code::CUDA_ERROR_INVALID_IMAGE as i32,
    Code::CUDA_ERROR_NO_BINARY_FOR_GPU as i32,
    Code::CUDA_ERROR_INVALID_PTX as i32,
    Code::CUDA_ERROR_UNSUPPORTED_PTX_VERSION as i32,
    Code::CUDA_ERROR_JIT_COMPILER_NOT_FOUND as i32,
    Code::CUDA_ERROR_INVALID_SOURCE as i32,
    Code::CUDA_ERROR_NOT_FOUND as i32,
];

/// After these every further call in this process fails the same way: what was on the card is gone.
const FATAL: [i32; 13] = [
    Code::CUDA_ERROR_DEINITIALIZED as i32,
    Code::CUDA_ERROR_ECC_UNCORRECTABLE as i32,
    Code::CUDA_ERROR_NVLINK_UNCORRECTABLE as i32,
    Code::CUDA_ERROR_ILLEGAL_ADDRESS as i32,
    Code::CUDA_ERROR_LAUNCH_TIMEOUT as i32,
    Code::CUDA_ERROR_CONTEXT_IS_DESTROYED as i32,
    Code::CUDA_ERROR_ASSERT as i32,
    Code::CUDA_ERROR_HARDWARE_STACK_ERROR as i32,
    Code::CUDA_ERROR_ILLEGAL_INSTRUCTION as i32,
    Code::CUDA_ERROR_MISALIGNED_ADDRESS as i32,
    Code::CUDA_ERROR_INVALID_ADDRESS_SPACE as i32,
    Code::CUDA_ERROR_INVALID_PC as i32,
    Code::CUDA_ERROR_LAUNCH_FAILED as i32,
];

/// `CUDA_ERROR_INVALID_VALUE` is a mistake of ours or of the caller's, anything unknown a failure of the device.
pub(super) fn kind(code: i32) -> AccelFault {
    match code {
        _ if MEMORY.contains(&code) => AccelFault::OutOfMemory,
        _ if ABSENT.contains(&code) => AccelFault::NotPresent,
        _ if PROGRAM.contains(&code) => AccelFault::BadModel,
        _ if code == Code::CUDA_ERROR_INVALID_VALUE as i32 => AccelFault::BadInput,
        _ => AccelFault::Device,
    }
}

/// Whether the card is lost to this process.
pub(super) fn is_fatal(code: i32) -> bool {
    FATAL.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_the_faults_by_which_callers_decide() {
        for (code, fault, fatal) in [
            (2, AccelFault::OutOfMemory, false),
            (100, AccelFault::NotPresent, false),
            (3, AccelFault::NotPresent, false),
            (1, AccelFault::BadInput, false),
            (222, AccelFault::BadModel, false),
            (700, AccelFault::Device, true),
            (719, AccelFault::Device, true),
            (214, AccelFault::Device, true),
            (701, AccelFault::Device, false),
            (999, AccelFault::Device, false),
            // Of a driver that is newer than the bindings.
            (123_456, AccelFault::Device, false),
            (-1, AccelFault::Device, false),
        ] {
            assert_eq!((kind(code), is_fatal(code)), (fault, fatal), "{code}");
        }
    }
}
