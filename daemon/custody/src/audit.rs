//! The audit trail: who did what with which object, and what came of it. Rows are only ever added; each carries a SHA-256 over
//! itself and the hash of the row before, so that a row that is changed, removed or put in between does not fit any more.
//!
//! It lies in files of its own beside the database (one JSON object a line), not in it: what is built again after damage
//! would not have the last minutes, and the trail is to say just that. No names, IDs and dates of patients; studies stand
//! in it by their UIDs. Decision 0026.
//!
//! `trail` writes rows, `files` reads them without keeping a writer waiting, `queue` takes rows that nobody waits for, and
//! `repeats` makes few rows of what somebody does again and again.

mod chain;
mod files;
mod queue;
mod repeats;
mod trail;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub use chain::{Fault, Row, Verdict};

use hal::clock::now_utc;
use queue::Queue;
use repeats::{Key, Repeats};
use trail::{Bounds, Note, Trail};

/// A file is closed at this length, bytes.
const LONGEST: u64 = 2 << 20;
/// Files that are kept, 64 MiB in all: some 200 000 rows.
const MOST: usize = 32;
/// Callers whose refusals are told one by one, of each command. Together with the pauses between rows of one caller it keeps
/// whoever may do nothing from pushing older rows out of the trail.
const MOST_REFUSED: usize = 16;
/// Objects whose retrievals are told one by one, of all callers.
const MOST_TAKEN: usize = 1000;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("audit trail {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// What is to be written down.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// `user 1000` of the bus, an address of the page, or `scansided`.
    pub who: &'a str,
    /// One word or two: `export`, `login`, `started`.
    pub what: &'a str,
    /// Which one: a study by its UID, a delivery by its number, a package by its name.
    pub object: &'a str,
    /// `allowed`, or why not, or what failed.
    pub result: &'a str,
}

/// Cheap to clone. The default one keeps nothing. When the last clone is dropped what is queued gets written.
#[derive(Debug, Clone, Default)]
pub struct Audit(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    trail: Arc<Trail>,
    queue: Queue,
    refused: Mutex<Repeats>,
    taken: Mutex<Repeats>,
    began: Instant,
}

impl Audit {
    /// Touches nothing before the first row.
    pub fn at(folder: &Path) -> Self {
        Self::bounded(folder, Bounds { longest: LONGEST, most: MOST })
    }

    fn bounded(folder: &Path, bounds: Bounds) -> Self {
        let trail = Arc::new(Trail::new(folder, bounds));
        let (refused, taken) = (Repeats::new(MOST_REFUSED), Repeats::new(MOST_TAKEN));
        let (refused, taken) = (Mutex::new(refused), Mutex::new(taken));
        Self(Some(Arc::new(Inner { trail, queue: Queue::default(), refused, taken, began: Instant::now() })))
    }

    /// Adds a row; it is on the disk when this returns. Blocks.
    ///
    /// # Errors
    /// When it cannot be written. The next row is tried anew.
    pub fn record(&self, entry: Entry<'_>) -> Result<(), Error> {
        let Some(inner) = &self.0 else { return Ok(()) };
        inner.tell_repeats();
        inner.trail.record(&Note::new(now_utc(), entry))
    }

    /// As [`Audit::record`]; what cannot be written is told in the log, and in the trail once that is possible.
    pub fn note(&self, entry: Entry<'_>) {
        let Some(inner) = &self.0 else { return };
        inner.tell_repeats();
        inner.trail.note(&Note::new(now_utc(), entry));
    }

    /// Adds a row as soon as the disk lets it, and does not wait for that. A kill can lose it; when more wait than a bounded
    /// queue holds, the trail says how many are missing.
    pub fn later(&self, entry: Entry<'_>) {
        let Some(inner) = &self.0 else { return };
        inner.tell_repeats();
        inner.queue.push(&inner.trail, Note::new(now_utc(), entry));
    }

    /// Somebody was not allowed to do something. The first time is a row at once; repeats by the same caller are counted, and
    /// told at growing intervals. Does not wait.
    pub fn refused(&self, entry: Entry<'_>) {
        let Some(inner) = &self.0 else { return };
        let key = Key::new(entry.who, entry.what, "");
        if locked(&inner.refused).is_first(key, Key::new("other callers", entry.what, ""), inner.began.elapsed()) {
            self.later(entry);
        } else {
            inner.tell_repeats();
        }
    }

    /// Somebody was given something, as programs are that ask for a study image by image: told as [`Audit::refused`] does,
    /// object by object.
    pub fn taken(&self, entry: Entry<'_>) {
        let Some(inner) = &self.0 else { return };
        let key = Key::new(entry.who, entry.what, entry.object);
        if locked(&inner.taken).is_first(key, Key::new(entry.who, entry.what, "others"), inner.began.elapsed()) {
            self.later(entry);
        } else {
            inner.tell_repeats();
        }
    }

    /// The newest `limit` rows that `wanted` takes, of those with numbers below `before`; the newest first. Blocks, and reads
    /// only as many files as it needs.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn newest(&self, limit: usize, before: u64, wanted: impl Fn(&Row) -> bool) -> Result<Vec<Row>, Error> {
        let Some(inner) = &self.0 else { return Ok(Vec::new()) };
        files::newest(inner.trail.folder(), limit, |row| row.number < before && wanted(row))
    }

    /// Whether every row fits to the one before, and the first that does not. Blocks.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn verify(&self) -> Result<Verdict, Error> {
        let Some(inner) = &self.0 else { return Ok(chain::verify(&[], None)) };
        let (rows, unread) = files::all(inner.trail.folder())?;
        Ok(chain::verify(&rows, unread))
    }
}

impl Inner {
    /// Queues rows of what was repeated, where it is time for them.
    fn tell_repeats(&self) {
        let now = self.began.elapsed();
        let (refused, taken) = (locked(&self.refused).due(now), locked(&self.taken).due(now));
        self.tell(refused, taken);
    }

    fn tell(&self, refused: Vec<(Key, u64)>, taken: Vec<(Key, u64)>) {
        let refused = refused.into_iter().map(|(key, times)| (key, times, "refused"));
        let taken = taken.into_iter().map(|(key, times)| (key, times, "allowed"));
        for (Key { who, what, object }, times, result) in refused.chain(taken) {
            let object = if object.is_empty() { "as before, or others" } else { &object };
            let result = format!("{result}: {times} more times");
            let entry = Entry { who: &who, what: &what, object, result: &result };
            self.queue.push(&self.trail, Note::new(now_utc(), entry));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let (refused, taken) = (locked(&self.refused).all(), locked(&self.taken).all());
        self.tell(refused, taken);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

#[cfg(test)]
mod tests;
