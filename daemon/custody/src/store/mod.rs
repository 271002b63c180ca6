//! The SQLite database: opens it, runs migrations, makes connections. Each table has a file of its own.

pub mod conflicts;
pub mod deliveries;
pub mod events;
pub mod instances;
pub mod jobs;
pub mod lists;
pub mod members;
pub mod places;
pub mod progress;
pub mod results;
pub mod segments;
pub mod series;
pub mod shadows;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use hal::clock::{now_utc, utc_after};
use rusqlite::{Connection, TransactionBehavior};

/// Forward only; `PRAGMA user_version` counts the migrations that were applied.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_init.sql"),
    include_str!("migrations/0002_shadows.sql"),
    include_str!("migrations/0003_simulated.sql"),
    include_str!("migrations/0004_study_jobs.sql"),
    include_str!("migrations/0005_damage.sql"),
];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("database {path}: {source}")]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error(
        "database {path} has schema {found}, but this software supports schemas up to {known}: install the newer version"
    )]
    FromTheFuture { path: PathBuf, found: usize, known: usize },
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("database: {0}")]
    Json(#[from] serde_json::Error),
}

pub type Result<T> = std::result::Result<T, Error>;

/// What a commit on this connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// For the disk: the row exists nowhere else.
    Full,
    /// For the operating system only: the row can be restored from the custody log.
    Rebuildable,
}

/// The path of the database. Cheap to clone; every thread opens its own connection.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// Opens or creates the database and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, a migration fails, or the schema is newer than this software.
    pub fn open(path: &Path) -> Result<Self> {
        let store = Self { path: path.to_owned() };
        store.migrate(&mut store.connect(Durability::Full)?)?;
        Ok(store)
    }

    /// # Errors
    /// When the file cannot be opened.
    pub fn connect(&self, durability: Durability) -> Result<Connection> {
        let open = || {
            let mut connection = Connection::open(&self.path)?;
            // A transaction that reads before it writes cannot wait for another writer (SQLITE_BUSY_SNAPSHOT). It
            // therefore takes the write lock at its beginning, where it can wait.
            connection.set_transaction_behavior(TransactionBehavior::Immediate);
            connection.busy_timeout(Duration::from_secs(30))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
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
        Ok(())
    }
}
