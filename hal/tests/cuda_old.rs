//! A driver that is too old: its own process, because the library is loaded once.

use std::path::Path;

use hal::accel::AccelFault;
use hal::cuda::Device;
use hal::cuda::simulated_ffi::Driver;

#[test]
fn sim_a_driver_that_lacks_a_function_is_an_error_that_names_it() {
    Driver::load(Path::new(env!("CARGO_TARGET_TMPDIR")), &["WITHOUT_WAIT"]).unwrap();
    for _ in 0..2 {
        let error = Device::open(0).unwrap_err();
        assert_eq!(error.kind(), AccelFault::NotPresent, "{error}");
        assert!(error.to_string().contains("cuStreamWaitEvent") && error.to_string().contains("install"), "{error}");
    }
}
