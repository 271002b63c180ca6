//! The background thread: prepares segments in advance and applies the retention rules.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::{At, Error, Result};
use super::{Shared, quota, segment};
use crate::store::{Durability, forget};

/// Interval between two applications of the retention rules: normally, and while space is short.
const RETENTION_EVERY: Duration = Duration::from_secs(60);
const RETENTION_PAUSE: Duration = Duration::from_secs(10);
/// If an instance arrived within this time, a new segment is prepared only when none is ready.
const QUIET: Duration = Duration::from_millis(500);

/// The segments that are ready to be used.
#[derive(Debug)]
pub(super) struct Shelf {
    /// How many segments should be ready.
    wanted: usize,
    state: Mutex<ShelfState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct ShelfState {
    spares: Vec<PathBuf>,
    /// When the writer last committed.
    last_commit: Option<Instant>,
    /// The writer is waiting for a segment.
    urgent: bool,
    /// Why the last segment could not be created.
    failure: Option<Error>,
    short_of_space: bool,
    stop: bool,
    counter: u64,
}

impl Shelf {
    pub(super) fn new(wanted: usize) -> Self {
        Self { wanted, state: Mutex::default(), changed: Condvar::new() }
    }

    /// The segments that were ready when the last process, or the spool, was ended.
    pub(super) fn begin(&self, spares: Vec<PathBuf>) {
        let mut state = self.lock();
        // A name is not given twice.
        *state = ShelfState { spares, counter: state.counter, ..ShelfState::default() };
    }

    fn lock(&self) -> MutexGuard<'_, ShelfState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until a segment is ready or could not be created.
    pub(super) fn take(&self) -> Result<PathBuf> {
        let mut state = self.lock();
        state.failure = None;
        loop {
            if let Some(spare) = state.spares.pop() {
                state.urgent = false;
                self.changed.notify_all();
                return Ok(spare);
            }
            if state.stop {
                return Err(Error::Closed);
            }
            if let Some(failure) = state.failure.take() {
                state.urgent = false;
                return Err(failure);
            }
            state.urgent = true;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// One that was taken and is not used.
    pub(super) fn put_back(&self, spare: PathBuf) {
        self.lock().spares.push(spare);
    }

    /// Puts back a segment that retention emptied. It need not be filled with zeros again: its old records carry
    /// another epoch. Returns false when enough segments are ready.
    pub(super) fn give(&self, log: &Path, freed: &Path) -> bool {
        let spare = {
            let mut state = self.lock();
            if state.spares.len() >= self.wanted {
                return false;
            }
            state.counter += 1;
            log.join(format!("{}.spare", spare_name(state.counter)))
        };
        if std::fs::rename(freed, &spare).is_err() {
            return false;
        }
        // Its old name must be gone before anybody writes to it: after a power cut the head of another segment would stand there.
        if let Err(error) = segment::sync_directory(log) {
            tracing::warn!(%error, "a freed segment is not used again");
            let _ = std::fs::remove_file(&spare);
            return true;
        }
        self.lock().spares.push(spare);
        self.changed.notify_all();
        true
    }

    pub(super) fn short_of_space(&self) {
        let mut state = self.lock();
        if !state.short_of_space {
            state.short_of_space = true;
            self.changed.notify_all();
        }
    }

    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stop
    }

    /// Waits for so long, or until the spool closes: then `false`.
    pub(super) fn sleep(&self, span: Duration) -> bool {
        let until = Instant::now() + span;
        let mut state = self.lock();
        while !state.stop
            && let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        {
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        !state.stop
    }

    pub(super) fn committed(&self) {
        self.lock().last_commit = Some(Instant::now());
    }

    /// Waits while instances are arriving, so that they have the disk for themselves. Returns false when the spool
    /// closes.
    fn wait_for_the_disk(&self) -> bool {
        let mut state = self.lock();
        while !state.stop
            && let Some(pause) = state.pause()
        {
            state = self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
        !state.stop
    }
}

impl ShelfState {
    /// How long to wait before zeros are written; `None` when they may be written now.
    fn pause(&self) -> Option<Duration> {
        if self.spares.is_empty() || self.urgent {
            return None;
        }
        QUIET.checked_sub(self.last_commit?.elapsed()).filter(|pause| !pause.is_zero())
    }
}

fn spare_name(counter: u64) -> String {
    format!("{:016x}-{counter}", segment::random())
}

enum Work {
    Stop,
    Spare(String),
    Retention,
}

pub(super) fn run(shared: &Arc<Shared>) {
    let mut last_retention = Instant::now();
    loop {
        match next(&shared.shelf, last_retention) {
            Work::Stop => return,
            Work::Spare(name) => make(shared, &name),
            Work::Retention => {
                last_retention = Instant::now();
                if let Err(error) = retain(shared) {
                    tracing::warn!(%error, "retention failed");
                    shared.told(&error);
                }
            }
        }
    }
}

/// Makes room. When so little is left that database and log are in danger, the segments that are ready go first: they
/// hold nothing, and eviction itself needs room in the database.
fn retain(shared: &Arc<Shared>) -> Result<()> {
    if shared.free_bytes()? < shared.last_reserve() {
        let spares = std::mem::take(&mut shared.shelf.lock().spares);
        for spare in &spares {
            std::fs::remove_file(spare).at(spare)?;
        }
        if !spares.is_empty() {
            tracing::warn!(
                segments = spares.len(),
                "the disk is almost full: empty segments of the custody log were removed"
            );
        }
    }
    quota::evict(shared)?;
    // Nobody may ask for room while everything is refused; then retention itself must go on asking.
    if shared.free_bytes()? < shared.evict_below {
        shared.shelf.short_of_space();
    }
    let mut connection = shared.store.connect(Durability::Rebuildable)?;
    forget::forget(&mut connection, forget::INSTANCES, forget::EVENTS, forget::AT_ONCE)?;
    Ok(())
}

fn next(shelf: &Shelf, last_retention: Instant) -> Work {
    let mut state = shelf.lock();
    loop {
        if state.stop {
            return Work::Stop;
        }
        let wanted = state.spares.len() < shelf.wanted && (state.urgent || state.failure.is_none());
        let pause = state.pause();
        if wanted && pause.is_none() {
            state.counter += 1;
            return Work::Spare(spare_name(state.counter));
        }
        let due = if state.short_of_space { RETENTION_PAUSE } else { RETENTION_EVERY };
        let waited = last_retention.elapsed();
        if waited >= due {
            state.short_of_space = false;
            // Retention may have freed space: try to create a segment again.
            state.failure = None;
            return Work::Retention;
        }
        let nap = pause.filter(|_| wanted).unwrap_or(due).min(due - waited);
        state = shelf.changed.wait_timeout(state, nap).unwrap_or_else(PoisonError::into_inner).0;
    }
}

fn make(shared: &Shared, name: &str) {
    let go_on = || shared.shelf.wait_for_the_disk();
    let made = match shared.room_for(shared.segment_size) {
        Ok(()) => segment::make_spare(&shared.log, name, shared.segment_size, go_on),
        Err(error) => Err(error),
    };
    let mut state = shared.shelf.lock();
    match made {
        Ok(Some(spare)) => state.spares.push(spare),
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(%error, "cannot create a new segment of the custody log");
            state.failure = Some(error);
        }
    }
    shared.shelf.changed.notify_all();
}
