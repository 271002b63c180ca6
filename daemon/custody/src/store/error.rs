//! Errors of the database, and what callers do about them.

use std::path::PathBuf;

use rusqlite::{ErrorCode, ffi};

/// The kinds of error that callers distinguish. All but `Damaged` and `Rows` pass: who gets one waits and tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// The disk has no room for what was to be written.
    Full,
    /// Another process, or a very slow disk, holds the lock for longer than this connection waits.
    Locked,
    /// A page of the file is not what SQLite wrote, or the file is no database. Only building it again helps.
    Damaged,
    /// The file is not there.
    Gone,
    /// It was or is being built again: what was read before does not count any more.
    BuiltAgain,
    /// Rows contradict each other, or what they say cannot be read: the next attempt meets the same. It says nothing of the other rows.
    Rows,
    /// The disk failed, or a statement was wrong.
    Other,
}

impl StoreFault {
    /// What a person should know first.
    pub fn words(self) -> &'static str {
        match self {
            Self::Full => "the disk is full: the database cannot be written",
            Self::Locked => "the database is locked by another process",
            Self::Damaged => "the database is damaged and is built again",
            Self::Gone => "the database is gone and is built again",
            Self::BuiltAgain => "the database was built again meanwhile",
            Self::Rows => "rows of the database do not go together",
            Self::Other => "the database does not answer",
        }
    }
}

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
    #[error("database {path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// `PRAGMA quick_check` found it.
    #[error("database {path} is damaged: {found}")]
    Damaged { path: PathBuf, found: String },
    /// Somebody removed or replaced the file while it was open.
    #[error("database {path} was removed")]
    Gone { path: PathBuf },
    #[error("database {path} is being built again, or was since this began")]
    BuiltAgain { path: PathBuf },
}

impl Error {
    pub fn kind(&self) -> StoreFault {
        match self {
            Self::Open { source, .. } | Self::Sqlite(source) => of_sqlite(source),
            Self::Io { source, .. } => of_io(source),
            Self::Damaged { .. } => StoreFault::Damaged,
            Self::Gone { .. } => StoreFault::Gone,
            Self::BuiltAgain { .. } => StoreFault::BuiltAgain,
            Self::Json(_) => StoreFault::Rows,
            Self::FromTheFuture { .. } => StoreFault::Other,
        }
    }
}

fn of_sqlite(error: &rusqlite::Error) -> StoreFault {
    // Nothing but `era` has a commit hook.
    if error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_CONSTRAINT_COMMITHOOK) {
        return StoreFault::BuiltAgain;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreFault::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreFault::Locked,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreFault::Damaged,
        Some(ErrorCode::ConstraintViolation) => StoreFault::Rows,
        Some(_) => StoreFault::Other,
        None if is_of_a_row(error) => StoreFault::Rows,
        None => StoreFault::Other,
    }
}

/// Whether a row was read that says something else than it should.
fn is_of_a_row(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, QueryReturnedNoRows, Utf8Error,
    };
    matches!(
        error,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | QueryReturnedNoRows
            | Utf8Error(..)
    )
}

fn of_io(error: &std::io::Error) -> StoreFault {
    if is_full(error) { StoreFault::Full } else { StoreFault::Other }
}

/// Whether an I/O error says that the disk has no room.
pub fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

pub type Result<T> = std::result::Result<T, Error>;
