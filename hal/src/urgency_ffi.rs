//! Which thread the kernel runs first. Calls the kernel with `unsafe`; it decides nothing.

#![allow(unsafe_code)]

use std::io;

/// Of the real-time priorities 1 to 99: below what the kernel's own threads have.
const PRIORITY: i32 = 10;

/// From now on the calling thread runs as soon as it has something to do, before every thread with a usual priority, whatever
/// their niceness (`SCHED_RR`, sched(7)); threads that it starts do not. It must wait far more than it works. The kernel
/// leaves 5 % of each core to the others in any case.
///
/// # Errors
/// When this is not allowed: it needs `CAP_SYS_NICE` or a limit (`LimitRTPRIO` of the unit).
pub fn run_at_once() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: PRIORITY };
    // SAFETY: the call only reads `parameters`, which outlive it; 0 is the calling thread.
    let answer =
        unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const parameters) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_runs_at_once_where_that_is_allowed_and_others_stay_as_they_are() {
        let policy = || {
            // SAFETY: no memory is passed; 0 is the calling thread.
            unsafe { libc::sched_getscheduler(0) }
        };
        let before = policy();
        let thread = std::thread::spawn(move || run_at_once().map(|()| policy() & !libc::SCHED_RESET_ON_FORK));
        match thread.join() {
            Ok(Ok(own)) => assert_eq!(own, libc::SCHED_RR),
            Ok(Err(error)) => {
                needs::skip(needs::Lack::Host, format_args!("real-time priority is not allowed here: {error}"));
            }
            Err(_) => panic!("the thread crashed"),
        }
        assert_eq!(policy(), before);
    }
}
