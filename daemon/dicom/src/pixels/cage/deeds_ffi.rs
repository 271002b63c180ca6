//! What a codec does that has lost its way, or was taken over; for tests.

#![allow(unsafe_code)]

/// Ends the process, if that is how the process ends.
pub fn reads_where_nothing_is() -> bool {
    // SAFETY: there is none.
    unsafe { std::ptr::read_volatile(0x10 as *const u8) == 1 }
}

/// Memory that no limit of data counts.
pub fn gets_shared_memory() -> bool {
    let (read, shared) = (libc::PROT_READ, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping of its own, never used.
    let got = unsafe { libc::mmap(std::ptr::null_mut(), 4096, read, shared, -1, 0) };
    got != libc::MAP_FAILED
}
