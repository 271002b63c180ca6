//! State that the parts of the spool share: directories, limits, and the disk's free space.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hal::clock::{Clock, System};

use super::error::{At, Error, Result};
use super::keeper::Shelf;
use super::reader::Leases;
use super::{LOG, segment};
use crate::retention::Disk;
use crate::settings;
use crate::store::Store;

/// Bytes above which an instance gets a file of its own.
const LARGE_OVER: u64 = 8 << 20;
const MIB: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) directory: PathBuf,
    pub(super) log: PathBuf,
    pub(super) store: Store,
    pub(super) segment_size: u64,
    pub(super) large_over: usize,
    /// Bytes of the reserve: instances may not touch it.
    pub(super) min_free: u64,
    pub(super) evict_below: u64,
    pub(super) keep_days: u32,
    /// Bytes per second of the background check; `None`: there is none.
    pub(super) check_rate: Option<u64>,
    steady: Mutex<Steady>,
    /// A random number for each start; part of the names of large files.
    pub(super) session: u64,
    pub(super) large_counter: AtomicU64,
    pub(super) shelf: Shelf,
    pub(super) leases: Leases,
    pub(super) buffers: Buffers,
    pub(super) evicting: Mutex<()>,
}

pub(super) fn segment_size(settings: &settings::Spool) -> u64 {
    settings.segment_mib.max(1).saturating_mul(MIB)
}

impl Shared {
    pub(super) fn new(settings: &settings::Spool, store: &Store) -> Self {
        let segment_size = segment_size(settings);
        Self {
            directory: settings.directory.clone(),
            log: settings.directory.join(LOG),
            store: store.clone(),
            segment_size,
            large_over: usize::try_from(LARGE_OVER.min(segment_size / 4)).unwrap_or(usize::MAX),
            min_free: settings.min_free_mib.saturating_mul(MIB),
            evict_below: settings.evict_below_mib.saturating_mul(MIB),
            keep_days: settings.keep_days,
            check_rate: settings.check_mib_per_second.checked_mul(MIB).filter(|rate| *rate > 0),
            steady: Mutex::default(),
            session: segment::random(),
            large_counter: AtomicU64::new(0),
            shelf: Shelf::new(settings.ready_segments.max(1)),
            leases: Leases::default(),
            buffers: Buffers::default(),
            evicting: Mutex::new(()),
        }
    }

    /// An error of the database closes the gate until it works again.
    pub(super) fn told(&self, error: &Error) {
        if let Error::Database(error) = error {
            self.store.failed(error);
        }
    }

    pub(super) fn free_bytes(&self) -> Result<u64> {
        Ok(self.disk()?.free_bytes)
    }

    pub(super) fn disk(&self) -> Result<Disk> {
        let disk = rustix::fs::statvfs(&self.directory).map_err(std::io::Error::from).at(&self.directory)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(Disk { free_bytes: bytes(disk.f_bavail), total_bytes: bytes(disk.f_blocks) })
    }

    /// Checks that `bytes` more fit on the disk. Starts retention when space is short.
    pub(super) fn room_for(&self, bytes: u64) -> Result<()> {
        let free = self.free_bytes()?;
        if free < self.evict_below {
            self.shelf.short_of_space();
        }
        if free.saturating_sub(bytes) < self.min_free {
            return Err(Error::NoSpace { free_mib: free / MIB, needed_mib: (self.min_free + bytes).div_ceil(MIB) });
        }
        Ok(())
    }

    /// Bytes that not even results may use: they are for the database.
    pub(super) fn last_reserve(&self) -> u64 {
        self.min_free / 4
    }

    /// Checks that `bytes` of results fit: a quarter of the reserve must stay. Starts retention when space is short.
    pub(super) fn room_for_results(&self, bytes: u64) -> Result<()> {
        let free = self.free_bytes()?;
        if free < self.evict_below {
            self.shelf.short_of_space();
        }
        let stays = self.last_reserve();
        if free.saturating_sub(bytes) < stays {
            return Err(Error::NoSpace { free_mib: free / MIB, needed_mib: stays.saturating_add(bytes).div_ceil(MIB) });
        }
        Ok(())
    }

    /// Content received before this time is evicted even when there is enough space. `None` while the clock cannot be
    /// believed: one that is wrong for a minute must not empty the spool.
    pub(super) fn expired_before(&self) -> Option<String> {
        let hours = i64::from(self.keep_days).checked_mul(24).filter(|hours| *hours > 0)?;
        let now = jiff::Timestamp::now();
        let mut steady = self.steady.lock().unwrap_or_else(PoisonError::into_inner);
        if !steady.observe(System.now(), now) {
            return None;
        }
        let before = now.checked_sub(jiff::SignedDuration::from_hours(hours)).ok()?;
        Some(before.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
    }
}

/// The wall clock must go along with the monotonic one for this long before ages by it count.
const STEADY_FOR: Duration = Duration::from_secs(3600);
/// By how much the two may differ: time servers slew by less in an hour.
const DRIFT: Duration = Duration::from_secs(60);

/// Whether the wall clock has gone without a jump. Pure.
#[derive(Debug, Default)]
pub(super) struct Steady(Option<(Duration, jiff::Timestamp)>);

impl Steady {
    /// Notes a reading of both clocks; whether they have gone along for long enough.
    pub(super) fn observe(&mut self, monotonic: Duration, wall: jiff::Timestamp) -> bool {
        let (then, wall_then) = *self.0.get_or_insert((monotonic, wall));
        let passed = monotonic.saturating_sub(then);
        let differ = wall.duration_since(wall_then).unsigned_abs().abs_diff(passed);
        if wall < wall_then || differ > DRIFT {
            self.0 = Some((monotonic, wall));
            return false;
        }
        passed >= STEADY_FOR
    }
}

/// Payload buffers that are used again, so that not every instance needs new memory pages. Only a few small ones are
/// kept: an idle daemon holds little memory.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    const NUMBER: usize = 4;
    const LARGEST: usize = 1 << 20;

    pub(super) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(super) fn give(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() > Self::LARGEST {
            return;
        }
        buffer.clear();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < Self::NUMBER {
            waiting.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    #[test]
    fn ages_count_only_after_an_hour_in_which_the_clock_did_not_jump() {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let begun: Timestamp = "2026-11-27T12:00:00Z".parse().unwrap();
        let wall =
            |count: i64, days: i64| begun + SignedDuration::from_mins(count) + SignedDuration::from_hours(24 * days);
        let mut steady = Steady::default();
        assert!(!steady.observe(minutes(0), wall(0, 0)), "just started");
        assert!(!steady.observe(minutes(59), wall(59, 0)));
        assert!(steady.observe(minutes(60), wall(60, 0)));
        assert!(!steady.observe(minutes(61), wall(61, 4000)), "it jumped ahead");
        assert!(!steady.observe(minutes(62), wall(62, 0)), "and was set right");
        assert!(!steady.observe(minutes(121), wall(121, 0)));
        assert!(steady.observe(minutes(122), wall(122, 0)));
        assert!(!steady.observe(minutes(123), wall(123, -3650)), "it was set back");
        assert!(steady.observe(minutes(183), wall(183, -3650)), "that is the time now");
    }
}
