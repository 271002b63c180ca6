//! Startup: reconcile log, files and rows.

/// What was found at start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Rows made again from the log.
    pub instances_recovered: u64,
    /// Records that were being written when the power went: never acknowledged, dropped.
    pub torn_records: u64,
    /// Files of large instances that were never acknowledged, removed.
    pub orphans_removed: u64,
    /// Rows whose bytes are not there any more.
    pub bytes_missing: u64,
    /// Segments with damaged records in the middle.
    pub damaged_segments: u64,
}

impl std::fmt::Display for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "recovered {} instances", self.instances_recovered)
    }
}
