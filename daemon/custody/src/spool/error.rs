//! Errors of the spool.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store;

/// The kinds of error that callers distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolFault {
    /// Too little free space; nothing was kept. The sender may try again later (0xA700).
    NoSpace,
    Io,
    Database,
    /// The SOP UIDs of the C-STORE command differ from those of the data set; nothing was kept.
    UidMismatch,
    /// It is not what was asked for; nothing was kept.
    Unwanted,
    /// The spool was closed, is not open yet, or its writer thread has ended.
    Closed,
}

/// Cheap to clone: every sender in a failed group receives the same error.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("not enough free space: {free_mib} MiB free, {needed_mib} MiB must stay free")]
    NoSpace { free_mib: u64, needed_mib: u64 },
    #[error("the disk is full")]
    DiskFull,
    #[error("spool {path}: {source}")]
    Io { path: PathBuf, source: Arc<io::Error> },
    #[error("spool {path}: in use by another process")]
    InUse { path: PathBuf },
    #[error("spool: {0}")]
    Database(Arc<store::Error>),
    #[error("{what} differs: {command:?} in the C-STORE command, {data_set:?} in the data set")]
    UidMismatch { what: &'static str, command: String, data_set: String },
    #[error("{reason}")]
    Unwanted { reason: String },
    #[error("the instance is no longer kept here: {place}")]
    Gone { place: String },
    /// It was set aside, and its row says so.
    #[error("instance {instance} is damaged: {what}")]
    Damaged { instance: i64, what: &'static str },
    #[error("the spool is closed")]
    Closed,
    #[error("the custody log is not open yet")]
    NotOpen,
}

impl Error {
    pub fn kind(&self) -> SpoolFault {
        match self {
            Self::NoSpace { .. } | Self::DiskFull => SpoolFault::NoSpace,
            Self::Io { .. } | Self::InUse { .. } | Self::Gone { .. } | Self::Damaged { .. } => SpoolFault::Io,
            Self::Database(_) => SpoolFault::Database,
            Self::UidMismatch { .. } => SpoolFault::UidMismatch,
            Self::Unwanted { .. } => SpoolFault::Unwanted,
            Self::Closed | Self::NotOpen => SpoolFault::Closed,
        }
    }
}

impl From<store::Error> for Error {
    fn from(source: store::Error) -> Self {
        Self::Database(Arc::new(source))
    }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Self::from(store::Error::from(source))
    }
}

pub type Result<T> = std::result::Result<T, Error>;

/// Adds the path to an I/O error. A full disk becomes [`Error::DiskFull`] wherever it is noticed.
pub(super) trait At<T> {
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|source| {
            if store::is_full(&source) {
                return Error::DiskFull;
            }
            Error::Io { path: path.to_owned(), source: Arc::new(source) }
        })
    }
}
