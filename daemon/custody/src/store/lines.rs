//! Files beside the database with lines that exist nowhere else (`lesions`, `holds`): a line is a checksum, a blank and JSON.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::mend::beside;
use super::{Error, Result, StoreFault, events, now_utc};

/// One writer of such files at a time.
static WRITER: Mutex<()> = Mutex::new(());

pub(super) fn alone() -> MutexGuard<'static, ()> {
    WRITER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// With its end.
pub(super) fn written(line: &impl Serialize) -> Result<String> {
    let json = serde_json::to_string(line)?;
    Ok(format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())))
}

/// `None` for a line that was torn or has changed on the disk.
pub(super) fn parsed<T: DeserializeOwned>(line: &str) -> Option<T> {
    let (sum, json) = line.trim_end().split_once(' ')?;
    let sum = u32::from_str_radix(sum, 16).ok()?;
    (sum == crc32fast::hash(json.as_bytes())).then(|| serde_json::from_str(json).ok())?
}

/// Sets a file aside that could not be read when its lines were to come back: the box has other work to do, and the database
/// has its lines unless it was lost with them, which the event of `subject` tells. It is written anew then.
///
/// # Errors
/// Those of `restored` that are not of the file, or that pass by themselves.
pub(super) fn readable(connection: &Connection, subject: &str, path: &Path, restored: Result<()>) -> Result<()> {
    let fault = match restored {
        Err(fault @ Error::Io { .. }) if fault.kind() != StoreFault::Full => fault,
        done => return done,
    };
    tracing::error!(error = %fault, "a file beside the database cannot be read and is set aside");
    events::record(connection, subject, "the file beside the database was set aside", &fault.to_string())?;
    set_aside(path, |path, aside| std::fs::rename(path, aside));
    Ok(())
}

/// Whether a file cannot be written by who runs this, however often it is tried.
pub(super) fn is_of_another(error: &Error) -> bool {
    use std::io::ErrorKind::{IsADirectory, PermissionDenied};
    matches!(error, Error::Io { source, .. } if matches!(source.kind(), PermissionDenied | IsADirectory))
}

/// `put`: moves or copies a file to a name that no other has.
pub(super) fn set_aside(path: &Path, put: impl FnOnce(&Path, &Path) -> std::io::Result<()>) {
    let aside = beside(path, &format!("-unreadable-{}", now_utc()));
    if let Err(error) = put(path, &aside) {
        tracing::error!(%error, file = %path.display(), "a file beside the database cannot be set aside");
    }
}

/// The database is lost; the files beside it stay.
#[cfg(test)]
pub(super) fn lose_database(folder: &Path) {
    for name in ["scanside.db", "scanside.db-wal", "scanside.db-shm"] {
        let _ = std::fs::remove_file(folder.join(name));
    }
}
