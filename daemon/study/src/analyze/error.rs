//! Why a job failed, each cause with its own words: they become the reason of the job and the verdict of its series.

use std::path::PathBuf;

use custody::spool::SpoolFault;
use custody::store::{self, StoreFault};

use super::examine;
use crate::exam::develop;
use crate::model;
use crate::volume::build::VolumeError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Store(#[from] store::Error),
    #[error("{0}")]
    Spool(#[from] custody::spool::Error),
    #[error("{0}")]
    Volume(#[from] VolumeError),
    #[error("{0}")]
    Examine(#[from] examine::Error),
    #[error("{0}")]
    Exam(#[from] develop::Error),
    #[error("{what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    /// The thread of the analysis could not be started, or was ended from outside.
    #[error("the thread of the analysis ended")]
    ThreadEnded,
    #[error("the series has no instances")]
    NoInstances,
    /// It was read when it was received.
    #[error("instance {instance} cannot be read again: {reason}")]
    Unreadable { instance: i64, reason: String },
    /// A newer version of the software queued it.
    #[error("this software has no task {0}")]
    UnknownTask(String),
    #[error("the analysis panicked: {0}")]
    Panicked(String),
}

impl Error {
    /// It is not the fault of the job: the disk is full, or the database is in trouble. The job waits; the attempt does not
    /// count.
    pub(super) fn passes(&self) -> bool {
        match self {
            // What rows say they say the next time as well.
            Self::Store(error) => error.kind() != StoreFault::Rows,
            Self::Spool(error) => matches!(error.kind(), SpoolFault::NoSpace | SpoolFault::Database),
            Self::Io { source, .. } => store::is_full(source),
            _ => false,
        }
    }

    /// Nobody waits for it: the daemon ends, also while a network is being loaded, or a newer job does it.
    pub(super) fn is_interruption(&self) -> bool {
        if matches!(self, Self::Examine(examine::Error::Cancelled)) {
            return true;
        }
        let mut within: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = within {
            if matches!(error.downcast_ref(), Some(model::Error::Cancelled)) {
                return true;
            }
            within = error.source();
        }
        false
    }

    /// Trying again is in vain: the task has no package, or there is no such task.
    pub(super) fn needs_people(&self) -> bool {
        if matches!(self, Self::UnknownTask(_)) {
            return true;
        }
        matches!(self, Self::Examine(error) if error.lacks_package())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_database_in_trouble_are_not_held_against_a_job() {
        let io = |kind: std::io::ErrorKind| Error::Io { what: "cannot write", path: "x".into(), source: kind.into() };
        assert!(io(std::io::ErrorKind::StorageFull).passes());
        assert!(!io(std::io::ErrorKind::PermissionDenied).passes());
        assert!(Error::Spool(custody::spool::Error::DiskFull).passes());
        assert!(!Error::Panicked("index 3".into()).passes());
        let of_rows = rusqlite::Error::QueryReturnedNoRows;
        assert!(!Error::Store(of_rows.into()).passes(), "what rows say does not pass: it would wait for ever");
    }

    #[test]
    fn a_load_that_the_end_of_the_daemon_cancels_is_not_held_against_a_job() {
        let of_engine = |error: model::Error| Error::Examine(examine::Error::Engine(error.into()));
        assert!(of_engine(model::Error::Cancelled).is_interruption());
        assert!(Error::Examine(examine::Error::Cancelled).is_interruption());
        assert!(!of_engine(model::Error::Internal("it was cancelled".into())).is_interruption());
        assert!(!Error::NoInstances.is_interruption());
    }

    #[test]
    fn only_a_panic_is_called_a_panic() {
        let ordinary = [
            Error::ThreadEnded,
            Error::NoInstances,
            Error::Unreadable { instance: 7, reason: "the disk is gone".into() },
        ];
        for error in ordinary {
            assert!(!error.to_string().contains("panic"), "{error}");
        }
        assert_eq!(Error::Panicked("index 3".into()).to_string(), "the analysis panicked: index 3");
    }
}
