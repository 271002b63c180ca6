//! Where received objects, database and results are stored, and how much disk space they may take.

use std::path::PathBuf;

use dicom::check::Checker;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spool {
    /// Directory of the custody log, the database and the results.
    pub directory: PathBuf,
    /// Instances are refused (0xA700) when less than this many MiB would stay free.
    pub min_free_mib: u64,
    /// Start evicting delivered studies, oldest first, below this many MiB free.
    pub evict_below_mib: u64,
    /// Delivered studies older than this are evicted anyway. 0 keeps them until space is short.
    pub keep_days: u32,
    /// Size of one custody log segment, MiB.
    pub segment_mib: u64,
    /// Everything that is kept is compared with its hash in the background, over and over, at this rate; 0 switches that
    /// off. At 4 MiB/s a TiB takes three days.
    pub check_mib_per_second: u64,
    /// How many zero-filled segments are kept ready, so that none has to be written while studies arrive.
    pub ready_segments: usize,
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            directory: "/var/lib/scanside".into(),
            min_free_mib: 2048,
            evict_below_mib: 10 * 1024,
            keep_days: 0,
            segment_mib: 128,
            check_mib_per_second: 4,
            ready_segments: 8,
        }
    }
}

impl Spool {
    /// Reports each invalid value under its key, `spool.*`.
    pub fn check(&self, checker: &mut Checker) {
        if self.directory.as_os_str().is_empty() {
            checker.refuse("spool.directory", "must not be empty");
        }
        checker.range("spool.segment_mib", self.segment_mib, 1..=4096, "MiB");
        checker.range("spool.check_mib_per_second", self.check_mib_per_second, 0..=1000, "MiB/s");
        checker.range("spool.ready_segments", self.ready_segments, 1..=64, "");
        if self.evict_below_mib < self.min_free_mib {
            let (evict, keep) = (self.evict_below_mib, self.min_free_mib);
            checker.refuse(
                "spool.evict_below_mib",
                format!("{evict} MiB is below spool.min_free_mib ({keep} MiB): instances would be refused before anything is evicted"),
            );
        }
    }
}
