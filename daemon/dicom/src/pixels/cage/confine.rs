//! What a decoder process may ask of the kernel: memory, threads, its end, and the one socket it was given. Everything else
//! answers "no such system call" (seccomp(2)), so that no file, no other socket and no other process is within its reach.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, RawFd};

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

#[derive(Debug, thiserror::Error)]
pub(super) enum ConfineError {
    #[error("its limits cannot be set: {0}")]
    Limits(#[from] rustix::io::Errno),
    #[error("no filter of system calls for this processor: {0}")]
    Filter(#[from] BackendError),
    #[error("the kernel takes no filter of system calls: {0}")]
    Kernel(#[from] seccompiler::Error),
}

/// The only signal that it may send, to itself.
const ABORT: u32 = libc::SIGABRT.cast_unsigned();

/// Calls that reach nothing outside the process, whatever their arguments.
const FREE: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    // A fault of memory must end the process: Rust's handler gives the signal back first, and would return to the fault for ever.
    libc::SYS_rt_sigaction,
    libc::SYS_sigaltstack,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    libc::SYS_restart_syscall,
];

/// Confines this thread, and those that it will start, for ever.
pub(super) fn confine(socket: &impl AsRawFd) -> Result<(), ConfineError> {
    Ok(seccompiler::apply_filter(&program(socket.as_raw_fd())?)?)
}

fn program(socket: RawFd) -> Result<BpfProgram, BackendError> {
    let rules = FREE.iter().map(|call| (*call, Vec::new())).chain(bound(socket)?);
    let rules: BTreeMap<i64, Vec<SeccompRule>> = rules.collect();
    // As a kernel answers that is too old for a call: the C library then does without it (clone3), or says so.
    let otherwise = SeccompAction::Errno(libc::ENOSYS as u32);
    SeccompFilter::new(rules, otherwise, SeccompAction::Allow, TargetArch::try_from(std::env::consts::ARCH)?)?
        .try_into()
}

/// Calls that are allowed with some arguments only.
fn bound(socket: RawFd) -> Result<[(i64, Vec<SeccompRule>); 9], BackendError> {
    let on_socket = || is(0, u64::from(socket.cast_unsigned()));
    let myself = u64::from(std::process::id());
    // Of a thread of this process, which decoders of JPEG start; a process of its own would need none of these.
    let thread = libc::CLONE_THREAD as u64;
    // Memory of its own: RLIMIT_DATA does not count what is shared or grows down.
    let kinds = (libc::MAP_SHARED | libc::MAP_PRIVATE | libc::MAP_GROWSDOWN) as u64;
    let own = || masked(3, kinds, libc::MAP_PRIVATE as u64);
    Ok([
        (libc::SYS_read, vec![on_socket()?]),
        (libc::SYS_recvfrom, vec![on_socket()?]),
        (libc::SYS_write, vec![on_socket()?]),
        (libc::SYS_sendto, vec![on_socket()?]),
        // No file, and nothing that may be executed.
        (libc::SYS_mmap, vec![SeccompRule::new(vec![not_executable()?, own()?, equal(4, u64::from(u32::MAX))?])?]),
        (libc::SYS_mprotect, vec![SeccompRule::new(vec![not_executable()?])?]),
        (libc::SYS_clone, vec![SeccompRule::new(vec![masked(0, thread, thread)?])?]),
        // abort(3)
        (libc::SYS_tgkill, vec![SeccompRule::new(vec![equal(0, myself)?, equal(2, u64::from(ABORT))?])?]),
        // Its own limits: `serve` sets them for each frame, below what was set before.
        (libc::SYS_prlimit64, vec![is(0, 0)?]),
    ])
}

fn is(argument: u8, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![equal(argument, value)?])
}

fn not_executable() -> Result<SeccompCondition, BackendError> {
    masked(2, libc::PROT_EXEC as u64, 0)
}

/// Descriptors and numbers of processes are 32 bits wide.
fn equal(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(mask), value)
}
