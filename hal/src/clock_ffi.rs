//! Asks the kernel whether a time server keeps the clock. Calls the C library with `unsafe`; it decides nothing else.

#![allow(unsafe_code)]

/// Above this estimated error nobody keeps the clock; systemd counts the same (`ntp_synced`). Microseconds.
const MOST_ERROR: libc::c_long = 16_000_000;

/// `false` also when the kernel may not be asked.
pub fn kernel_is_synchronised() -> bool {
    // SAFETY: zero is a valid value of every field of this plain structure.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `state` lives during the call; with `modes` 0 the call only reads the clock's state.
    let answer = unsafe { libc::adjtimex(&raw mut state) };
    answer >= 0 && state.maxerror < MOST_ERROR
}
