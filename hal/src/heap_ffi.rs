//! Gives memory that was freed back to the system. glibc keeps it in one heap ("arena") for each busy thread, and only a heap whose
//! end is free shrinks: after 4,000 odd files 66 MB were held and 2.5 MB used. Calls glibc with `unsafe`; it decides nothing.

#![allow(unsafe_code)]

/// Bytes that the heaps hold although nobody uses them. 0 where the C library does not tell.
#[cfg(target_env = "gnu")]
pub fn unused_bytes() -> u64 {
    // SAFETY: no memory is passed; the answer is a plain structure.
    let heaps = unsafe { libc::mallinfo2() };
    u64::try_from(heaps.fordblks).unwrap_or_default()
}

/// Gives the pages of unused memory back. Takes milliseconds; a thread that allocates from the same heap waits as long.
#[cfg(target_env = "gnu")]
pub fn give_back() {
    // SAFETY: no memory is passed; it may be called at any time from any thread (MT-Safe).
    unsafe {
        libc::malloc_trim(0);
    }
}

/// As above, for C libraries that give memory back by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn unused_bytes() -> u64 {
    0
}

/// As above, for C libraries that give memory back by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn give_back() {}

#[cfg(test)]
#[cfg(target_env = "gnu")]
mod tests {
    use super::*;
    use crate::memory::resident_bytes;

    /// Small pieces on another thread; the last one stays, so that the heap does not shrink by itself.
    #[test]
    fn what_other_threads_have_freed_goes_back() {
        let (kept, free) = std::thread::spawn(|| {
            let mut pieces: Vec<Vec<u8>> = (0..60_000).map(|_| vec![1; 1024]).collect();
            (pieces.pop(), pieces)
        })
        .join()
        .unwrap();
        let full = resident_bytes();
        drop(free);
        assert!(unused_bytes() > 40 << 20, "{}", unused_bytes());
        assert!(resident_bytes() + (20_000 << 10) > full, "glibc keeps it");
        give_back();
        assert!(resident_bytes() + (40_000 << 10) < full, "{full} bytes, then {}", resident_bytes());
        drop(kept);
    }
}
