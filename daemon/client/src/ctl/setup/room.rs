//! How fast and how large the disk of the spool is, by writing to it for a second.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::doctor::text::{Text, both, bytes};

/// One CT slice of 512 x 512 pixels, 16 bits.
const SLICE: usize = 512 * 512 * 2;
/// A CT study: 500 slices.
pub const STUDY: u64 = 500 * SLICE as u64;
const FOR: Duration = Duration::from_secs(1);
/// A fast disk needs no full second.
const MOST: u64 = 256 << 20;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    pub bytes_per_second: u64,
    /// Above the reserve that the box keeps free.
    pub room: u64,
}

/// Writes slices to `directory`, each safe on the disk before the next, and removes them.
///
/// # Errors
/// When it cannot be written.
pub fn measure(directory: &Path, free: u64, reserve: u64) -> io::Result<Measured> {
    let file = directory.join(format!(".setup-{}", std::process::id()));
    let written = || {
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
        let slice: Vec<u8> = (0..SLICE).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
        let (begun, mut count) = (Instant::now(), 0_u64);
        while begun.elapsed() < FOR && count < MOST.min(free / 2) {
            out.write_all(&slice)?;
            out.sync_data()?;
            count += SLICE as u64;
        }
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        Ok(count * 1000 / milliseconds)
    };
    let bytes_per_second: io::Result<u64> = written();
    let _ = fs::remove_file(&file);
    Ok(Measured { bytes_per_second: bytes_per_second?, room: free.saturating_sub(reserve) })
}

/// What that means for studies, and whether it is enough: a study in a minute, and room for a day of fifty.
pub fn words(measured: Measured) -> (bool, Text) {
    let Measured { bytes_per_second, room } = measured;
    let speed = bytes(bytes_per_second);
    let seconds = STUDY as f64 / bytes_per_second.max(1) as f64;
    let safe = if seconds < 10.0 { format!("{seconds:.1}") } else { format!("{seconds:.0}") };
    // Half of the time nobody scans, and the analysis reads meanwhile.
    let a_day = 43_200 * bytes_per_second / STUDY;
    let (studies, space) = (room / STUDY, bytes(room));
    let a_day = a_day.min(studies.max(1));
    let text = both!(
        "writes {speed}/s safely: a CT study of 500 slices is safe after {safe} s. {space} are free: room for about {studies} studies, then the oldest that were delivered go; about {a_day} studies a day fit",
        "安全写入速度 {speed}/s：一个 500 层的 CT 检查约 {safe} 秒可安全落盘。可用空间 {space}，约可容纳 {studies} 个检查，之后最早且已发送的检查会被清除；每天约可接收 {a_day} 个检查"
    );
    (seconds <= 60.0 && studies >= 50, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_become_studies() {
        let (enough, text) = words(Measured { bytes_per_second: 200_000_000, room: 500 << 30 });
        assert!(enough);
        assert!(
            text.en.contains("191 MiB/s") && text.en.contains("after 1.3 s") && text.en.contains("about 2048 studies"),
            "{}",
            text.en
        );
        assert!(!words(Measured { bytes_per_second: 2_000_000, room: 500 << 30 }).0, "too slow");
        assert!(!words(Measured { bytes_per_second: 200_000_000, room: 5 << 30 }).0, "too small");
    }

    #[test]
    fn the_measurement_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let measured = measure(directory.path(), 8 << 20, 1 << 20).unwrap();
        assert!(measured.bytes_per_second > 0 && measured.room == 7 << 20);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        measure(&directory.path().join("none"), 1, 0).unwrap_err();
    }
}
