//! The memory that this process holds, as the kernel counts it.

/// Resident memory (VmRSS of proc_pid_status(5)), bytes. 0 where the kernel does not tell.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default().saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_is_counted() {
        let before = resident_bytes();
        let kept = vec![1u8; 64 << 20];
        assert!(resident_bytes() > before + (48 << 20), "{before}, then {}", resident_bytes());
        drop(kept);
    }
}
