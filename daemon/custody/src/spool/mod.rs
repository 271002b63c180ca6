//! The spool: takes instances into custody and keeps them. This text says what "durable" means here.
//!
//! An instance is in custody once its record is in the log and synced. `Incoming::commit` does not return earlier. The
//! row in `instances` is an index: it is inserted before the answer but not synced, because `sweep` can restore it from
//! the log. Segments of the log are filled with zeros in advance, so that committing overwrites blocks in place.
//!
//! **The process is killed at any instant.** Everything written is in the page cache and stays. An incomplete record
//! fails its CRC and is dropped; it was never acknowledged. A complete record without a row was perhaps not
//! acknowledged either: it is synced and gets its row, and a sender that tries again receives `AlreadySo`. A large file
//! without a record was never acknowledged and is removed.
//!
//! **The power fails at any instant.** What was synced is there: the names of segments (their directory is synced
//! before the first record is written), the bytes of acknowledged records (no other record shares a block with them, so
//! a torn block cannot damage them), large files (synced in this order: file, name, the record that names it). The
//! database loses at most its newest rows (WAL). It then also loses the matching `segments.indexed_to`, which is set in
//! the same transaction, so the log is read again from the right place. Eviction works in the opposite order: its rows
//! are synced before the bytes are removed.
//!
//! **A segment is used again.** It gets a new number and a new random epoch; records of its earlier use carry the
//! earlier epoch. A location (segment, offset) therefore never means two different records.
//!
//! **Part of a group fails.** No instance of the group is acknowledged and the next group overwrites it. If its records
//! are found after a crash, they are compared with the known instances like any other arrival.
//!
//! `incoming` receives one instance, `writer` commits groups, `record` and `segment` define the format, `large` holds
//! the files of instances that are too large for the log, `keeper` works in the background, `quota` decides what may be
//! evicted, `retained` tells it without doing it, `reader` reads instances back, `check` compares them with their hash, `twin`
//! finds what came again in another encoding, `sweep` compares log, files and rows at start, `part10` writes the file header.

mod check;
mod error;
mod incoming;
mod keeper;
mod large;
mod part10;
mod quota;
mod reader;
mod record;
mod retained;
mod segment;
mod shared;
mod sweep;
#[cfg(test)]
mod tests;
mod twin;
mod writer;

pub use error::{Error, Result, SpoolFault};
pub use incoming::{Incoming, Judge};
pub use reader::Reader;
pub use sweep::Recovery;

use std::fs::{self, File};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use error::At;
use shared::Shared;
use tokio::sync::mpsc;
use writer::{Job, Writer};

use crate::instance::{Instance, Location, Origin};
use crate::retention::Retention;
use crate::settings;
use crate::store::{Durability, Store};

/// Subdirectory of the spool directory for the segments of the custody log.
const LOG: &str = "log";
const LARGE: &str = "large";
/// How many instances may wait for the writer. The limit on associations bounds their number too.
const QUEUE: usize = 64;

/// Takes instances into custody and reads them back. Cheap to clone; its threads end with the last clone and the last
/// [`Incoming`].
#[derive(Debug, Clone)]
pub struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    /// Empty until [`Spool::start`] has succeeded, and after [`Spool::halt`].
    running: RwLock<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    to_writer: mpsc::Sender<Job>,
    threads: Vec<JoinHandle<()>>,
    /// The lock that lets only one process use the spool. Released after the threads have ended.
    _lock: File,
}

impl Inner {
    /// Hold what this gives for a moment only: the writer ends with the last of them.
    fn to_writer(&self) -> Result<mpsc::Sender<Job>> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(|running| running.to_writer.clone()).ok_or(Error::NotOpen)
    }

    fn is_running(&self) -> bool {
        self.running.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Ends the threads. What waits for the writer gets its answer first.
    fn halt(&self) {
        self.shared.shelf.stop();
        let running = self.running.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { to_writer, threads, _lock }) = running else { return };
        drop(to_writer);
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the spool panicked");
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.halt();
    }
}

/// Result of receiving an instance; it is durable when the caller gets it.
#[derive(Debug, Clone)]
pub enum Outcome {
    New(Arc<Instance>),
    /// The same bytes were in custody already.
    AlreadySo(Arc<Instance>),
    /// Kept in addition to an instance with the same SOP Instance UID and different bytes.
    Conflict(Arc<Instance>),
    /// The bytes are kept but cannot be read; `reason` is in plain words.
    Quarantined {
        reason: String,
    },
}

impl Spool {
    /// A spool that keeps nothing yet: until [`Spool::start`] every instance is refused. So the daemon can answer while
    /// the disk is full or the log is being checked.
    pub fn new(settings: &settings::Spool, store: &Store) -> Self {
        Self(Arc::new(Inner { shared: Arc::new(Shared::new(settings, store)), running: RwLock::default() }))
    }

    /// [`Spool::new`] and [`Spool::start`].
    ///
    /// # Errors
    /// As [`Spool::start`].
    pub fn open(settings: &settings::Spool, store: &Store) -> Result<(Self, Recovery)> {
        let spool = Self::new(settings, store);
        let recovery = spool.start()?;
        Ok((spool, recovery))
    }

    /// Opens or creates the log and repairs differences between log, files and rows, with the database prepared. Blocks.
    /// After an error it may be called again; after a success it does nothing.
    ///
    /// # Errors
    /// When the directory or the database cannot be used, or another process uses the spool.
    pub fn start(&self) -> Result<Recovery> {
        let shared = &self.0.shared;
        if self.0.is_running() {
            return Ok(Recovery::default());
        }
        for folder in [&shared.log, &shared.directory.join(LARGE)] {
            fs::create_dir_all(folder).at(folder)?;
        }
        segment::sync_directory(&shared.directory)?;
        let lock = lock(shared)?;
        let mut connection = shared.store.connect(Durability::Full)?;
        let (resume, recovery) = sweep::sweep(shared, &mut connection)?;
        shared.shelf.begin(resume.spares);

        let connection = shared.store.connect(Durability::Rebuildable)?;
        let writer = Writer::new(shared.clone(), connection, resume.active, resume.next_number);
        let (to_writer, jobs) = mpsc::channel(QUEUE);
        let (keeping, checking, comparing) = (shared.clone(), shared.clone(), shared.clone());
        let threads = [
            thread::Builder::new().name("spool-writer".into()).spawn(move || writer.run(jobs)),
            thread::Builder::new().name("spool-keeper".into()).spawn(move || keeper::run(&keeping)),
            thread::Builder::new().name("spool-check".into()).spawn(move || check::run(&checking)),
            thread::Builder::new().name("spool-compare".into()).spawn(move || twin::run(&comparing)),
        ];
        let threads = threads.into_iter().collect::<std::io::Result<Vec<_>>>().at(&shared.directory)?;
        let running = Running { to_writer, threads, _lock: lock };
        *self.0.running.write().unwrap_or_else(PoisonError::into_inner) = Some(running);
        Ok(recovery)
    }

    /// Refuses instances until the next [`Spool::start`], which compares log and rows again: for when the database must be
    /// built again. What is in custody can be read meanwhile. Blocks until the threads have ended.
    pub fn halt(&self) {
        self.0.halt();
    }

    /// Removes what was only prepared for later (empty segments), when the disk is so full that the database could not
    /// be opened. Call it before [`Spool::start`]. Says how many bytes that gave.
    ///
    /// # Errors
    /// `Io`.
    pub fn give_up_spares(&self) -> Result<u64> {
        let shared = &self.0.shared;
        if self.0.is_running() || shared.free_bytes()? >= shared.last_reserve() {
            return Ok(0);
        }
        segment::remove_spares(&shared.log)
    }

    /// Starts to receive one instance.
    ///
    /// # Errors
    /// `NoSpace` before any byte is kept; `NotOpen`.
    pub fn begin(
        &self,
        origin: Origin,
        sop_class_uid: &str,
        sop_instance_uid: &str,
        transfer_syntax_uid: &str,
    ) -> Result<Incoming> {
        self.has_room()?;
        Ok(Incoming::new(self.0.clone(), origin, sop_class_uid, sop_instance_uid, transfer_syntax_uid))
    }

    /// Whether an instance would be taken now.
    ///
    /// # Errors
    /// `NoSpace`, `NotOpen`.
    pub fn has_room(&self) -> Result<()> {
        self.0.to_writer()?;
        self.0.shared.room_for(0)
    }

    /// Bytes that may still come before the reserve of the disk is reached.
    ///
    /// # Errors
    /// `Io`.
    pub fn room_left(&self) -> Result<u64> {
        let shared = &self.0.shared;
        Ok(shared.free_bytes()?.saturating_sub(shared.min_free))
    }

    /// The whole Part 10 file. Blocks.
    ///
    /// # Errors
    /// `Io`, also when the instance was evicted meanwhile.
    pub fn read(&self, location: &Location) -> Result<Vec<u8>> {
        reader::open(&self.0.shared, location)?.all().at(&self.0.shared.directory)
    }

    /// As [`Spool::read`], of bytes that are those that were received. Blocks.
    ///
    /// # Errors
    /// `Damaged`, after the instance was set aside; otherwise as [`Spool::read`].
    pub fn read_checked(&self, instance: &Instance) -> Result<Vec<u8>> {
        check::read(&self.0.shared, instance)
    }

    /// Whether the bytes of an instance are those that were received. Blocks.
    ///
    /// # Errors
    /// `Damaged`, after the instance was set aside; `Gone`, `Io`, `Database`.
    pub fn check(&self, instance: &Instance) -> Result<()> {
        check::check(&self.0.shared, instance, |_| true)
    }

    /// A reader from the Part 10 preamble to the end of the file. Blocks. The bytes are not evicted while the reader
    /// exists.
    ///
    /// # Errors
    /// `Io`, also when the instance was evicted meanwhile.
    pub fn reader(&self, location: &Location) -> Result<Reader> {
        reader::open(&self.0.shared, location)
    }

    /// Free bytes of the disk that holds the spool.
    ///
    /// # Errors
    /// `Io`.
    pub fn free_bytes(&self) -> Result<u64> {
        self.0.shared.free_bytes()
    }

    /// Checks that `bytes` of results, or of another file that lets studies be concluded, fit. They may use most of the
    /// reserve that instances may not touch: only a study that is concluded and delivered can be evicted. The last
    /// quarter stays for database and log.
    ///
    /// # Errors
    /// `NoSpace`, `Io`.
    pub fn room_for_results(&self, bytes: u64) -> Result<()> {
        self.0.shared.room_for_results(bytes)
    }

    /// Applies the retention rules now (they are also applied in the background). Blocks.
    ///
    /// # Errors
    /// `Io`, `Database`.
    pub fn evict(&self) -> Result<Evicted> {
        quota::evict(&self.0.shared)
    }

    /// What is kept and why, and which studies go next; `most` of them. Blocks.
    ///
    /// # Errors
    /// `Io`, `Database`.
    pub fn retention(&self, most: usize) -> Result<Retention> {
        retained::told(&self.0.shared, most)
    }
}

fn lock(shared: &Shared) -> Result<File> {
    let path = shared.log.join("lock");
    let file = File::create(&path).at(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::InUse { path: shared.directory.clone() }),
        Err(fs::TryLockError::Error(error)) => Err(error).at(&path),
    }
}

/// What the retention rules removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evicted {
    pub instances: u64,
    pub bytes: u64,
}
