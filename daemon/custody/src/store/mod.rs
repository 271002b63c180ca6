//! The SQLite database: opens it, runs migrations, makes connections. Each table has a file of its own.

pub mod asks;
pub mod choices;
pub mod claims;
pub mod commitments;
pub mod conflicts;
mod copy;
pub mod deliveries;
mod era;
mod error;
pub mod events;
pub mod forget;
pub mod holds;
pub mod instances;
pub mod jobs;
pub mod journal;
pub mod kept;
pub mod lesions;
mod lines;
pub mod lists;
pub mod members;
mod mend;
pub mod notices;
pub mod own_steps;
pub mod places;
#[cfg(test)]
mod plans;
pub mod priors;
pub mod progress;
pub mod rejections;
pub mod results;
pub mod reviews;
mod rows;
pub mod segments;
pub mod senders;
pub mod series;
pub mod shadows;
pub mod standing;
pub mod steps;
mod trouble;
pub mod ups;
pub mod waiting;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use error::{Error, Result, StoreFault, is_full};
pub use hal::clock::{now_utc, utc_after, utc_before, utc_of};
pub use mend::{Mended, Source};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
pub use trouble::Trouble;

/// Forward only; `PRAGMA user_version` counts the migrations that were applied.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_init.sql"),
    include_str!("migrations/0002_shadows.sql"),
    include_str!("migrations/0003_simulated.sql"),
    include_str!("migrations/0004_study_jobs.sql"),
    include_str!("migrations/0005_damage.sql"),
    include_str!("migrations/0006_commitment.sql"),
    include_str!("migrations/0007_steps.sql"),
    include_str!("migrations/0008_forget.sql"),
    include_str!("migrations/0009_reviews.sql"),
    include_str!("migrations/0010_rejections.sql"),
    include_str!("migrations/0011_lesions.sql"),
    include_str!("migrations/0012_holds.sql"),
    include_str!("migrations/0013_own_steps.sql"),
    include_str!("migrations/0014_queued.sql"),
    include_str!("migrations/0015_marks.sql"),
    include_str!("migrations/0016_priors.sql"),
    include_str!("migrations/0017_sent.sql"),
    include_str!("migrations/0018_tasks.sql"),
    include_str!("migrations/0019_records.sql"),
    include_str!("migrations/0020_choices.sql"),
    include_str!("migrations/0021_exam_headers.sql"),
    include_str!("migrations/0022_withdrawals.sql"),
    include_str!("migrations/0023_indexes.sql"),
];

/// Work within a transaction whose failure takes back itself only. The outer error: the database has failed.
///
/// # Errors
/// When the database fails to begin or end it.
pub fn apart<T>(
    transaction: &rusqlite::Transaction<'_>,
    work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T>,
) -> Result<Result<T>> {
    transaction.execute_batch("SAVEPOINT apart")?;
    let done = work(transaction);
    transaction.execute_batch(if done.is_ok() { "RELEASE apart" } else { "ROLLBACK TO apart; RELEASE apart" })?;
    Ok(done)
}

/// What a commit on this connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// For the disk: the row exists nowhere else.
    Full,
    /// For the operating system only: the row can be restored from the custody log.
    Rebuildable,
}

/// How long a connection waits for a lock. Long enough for every transaction of ours on a slow disk; then it is an error
/// that the caller waits out, and `health` says so.
const PATIENCE: Duration = Duration::from_secs(10);
/// The write-ahead log is cut back to this after a checkpoint, bytes.
const LONGEST_WAL: i64 = 16 << 20;

/// The path of the database, and what is wrong with it at present. Cheap to clone; every thread opens its own connection.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
    trouble: Arc<trouble::Register>,
    eras: Arc<era::Eras>,
    /// Only this one is meant, see [`Store::of_this_era`].
    era: Option<u64>,
    /// Database and write-ahead log as they were when this process began the last copy.
    copied: Arc<Mutex<Option<[copy::FileState; 2]>>>,
}

impl Store {
    /// Touches nothing; [`Store::prepare`] must succeed before the first [`Store::connect`].
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), trouble: Arc::default(), eras: Arc::default(), era: None, copied: Arc::default() }
    }

    /// Opens or creates the database, see [`Store::prepare`].
    ///
    /// # Errors
    /// As [`Store::prepare`].
    pub fn open(path: &Path) -> Result<Self> {
        let store = Self::at(path);
        store.prepare()?;
        Ok(store)
    }

    /// Opens a connection. It never creates the file: one that was removed must not come back empty while others still
    /// write to the removed one.
    ///
    /// # Errors
    /// When the file cannot be opened, is being built again, or was built again (`BuiltAgain`).
    pub fn connect(&self, durability: Durability) -> Result<Connection> {
        let _no_new_era = self.enter()?;
        let connection = self.connect_with(durability, OpenFlags::empty())?;
        self.only_in_this_era(&connection);
        Ok(connection)
    }

    fn connect_with(&self, durability: Durability, more: OpenFlags) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let open = || {
            let mut connection = Connection::open_with_flags(&self.path, flags | more)?;
            // A transaction that reads before it writes cannot wait for another writer (SQLITE_BUSY_SNAPSHOT). It
            // therefore takes the write lock at its beginning, where it can wait.
            connection.set_transaction_behavior(TransactionBehavior::Immediate);
            connection.busy_timeout(PATIENCE)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_update(None, "journal_size_limit", LONGEST_WAL)?;
            // Sorting needs no file, which would want room on a disk that may be full.
            connection.pragma_update(None, "temp_store", "MEMORY")?;
            let level = if durability == Durability::Full { "FULL" } else { "NORMAL" };
            connection.pragma_update(None, "synchronous", level)?;
            Ok(connection)
        };
        open().map_err(|source| Error::Open { path: self.path.clone(), source })
    }

    fn migrate(&self, connection: &mut Connection) -> Result<()> {
        let found: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > MIGRATIONS.len() {
            return Err(Error::FromTheFuture { path: self.path.clone(), found, known: MIGRATIONS.len() });
        }
        for (index, sql) in MIGRATIONS.iter().enumerate().skip(found) {
            let transaction = connection.transaction()?;
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "user_version", index + 1)?;
            transaction.commit()?;
        }
        if found < MIGRATIONS.len() {
            // Packages and updates read the number from the database's own file, without its log (WAL).
            connection.pragma_query(None, "wal_checkpoint", |_| Ok(()))?;
        }
        Ok(())
    }
}

/// Moves a later time in `column` of `table` to `latest`, in the rows that `which` names; `?2` in it is `destination`. Returns
/// how many.
fn not_after(
    connection: &Connection,
    (table, column): (&str, &str),
    which: &str,
    latest: &str,
    destination: Option<&str>,
) -> Result<usize> {
    let far = format!("{which} AND {column} > ?1");
    let values = || rusqlite::params_from_iter(std::iter::once(latest).chain(destination));
    // Asked first, since an update takes the lock for writing even if it changes nothing.
    let any: bool = connection
        .prepare_cached(&format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE {far})"))?
        .query_row(values(), |row| row.get(0))?;
    if !any {
        return Ok(0);
    }
    Ok(connection.execute(&format!("UPDATE {table} SET {column} = ?1 WHERE {far}"), values())?)
}
