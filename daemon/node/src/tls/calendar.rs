//! Whether validity dates of certificates count: only by a clock that may be believed. A box whose battery is empty starts in
//! 1970, and must still receive studies.

use hal::clock::{Wall, is_synchronised};
use hal::root::Root;

use super::settings::JudgeDates;

/// The date by which certificates are judged.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    judge: JudgeDates,
    wall: Wall,
    root: Root,
}

impl Calendar {
    pub fn new(judge: JudgeDates) -> Self {
        Self { judge, ..Self::default() }
    }

    /// Seconds since 1970; `None` when the clock cannot be believed: then no date is judged.
    pub fn today(&self) -> Option<i64> {
        let believed = match self.judge {
            JudgeDates::Always => true,
            JudgeDates::Never => false,
            JudgeDates::Synchronised => is_synchronised(&self.root),
        };
        believed.then(|| self.wall.unix_secs())
    }
}

/// A date for people: `2026-12-10`.
pub(super) fn date(unix_secs: i64) -> String {
    jiff::Timestamp::from_second(unix_secs)
        .map_or_else(|_| "a date beyond the calendar".into(), |moment| moment.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_only_once_a_time_server_has_set_the_clock() {
        let tree = tempfile::tempdir().unwrap();
        let calendar = |judge| Calendar { judge, wall: Wall::default(), root: Root::at(tree.path()) };
        assert_eq!(calendar(JudgeDates::Synchronised).today(), None);
        assert!(calendar(JudgeDates::Always).today().is_some());
        std::fs::create_dir_all(tree.path().join("run/systemd/timesync")).unwrap();
        std::fs::write(tree.path().join("run/systemd/timesync/synchronized"), "").unwrap();
        assert!(calendar(JudgeDates::Synchronised).today().is_some());
        assert_eq!(calendar(JudgeDates::Never).today(), None);
    }
}
