//! Files beside the database with lines that exist nowhere else (`lesions`, `holds`, `choices`, `claims`): a line is a checksum, a blank
//! and JSON.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::mend::{beside, io, sync};
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

/// A file with few lines: it is written anew as a whole, so it is the old one or the new one.
pub(super) struct Beside {
    pub(super) name: &'static str,
    /// In the table of events.
    pub(super) subject: &'static str,
    pub(super) what: &'static str,
}

impl Beside {
    fn path(&self, database: &Path) -> PathBuf {
        database.with_file_name(self.name)
    }

    /// Brings the file up to date. Blocks until it is on the disk. A failure is logged, since the database has the lines. `all` reads them
    /// while nobody else writes the file: what was read before would take a newer line out again.
    pub(super) fn mirror<T: Serialize>(&self, database: &Path, all: impl FnOnce() -> Result<Vec<T>>) {
        let _alone = alone();
        if let Err(error) = all().and_then(|all| self.write(database, &all)) {
            tracing::warn!(%error, file = self.name, "a file beside the database cannot be written; the database has its lines");
        }
    }

    /// [`alone`].
    fn write<T: Serialize>(&self, database: &Path, all: &[T]) -> Result<()> {
        let path = self.path(database);
        let text = all_written(all)?;
        if text == text_of(&path)? {
            return Ok(());
        }
        let next = beside(&path, ".next");
        let write = |path: &Path| File::create(path)?.write_all(text.as_bytes());
        write(&next).map_err(io(&next))?;
        sync(&next)?;
        fs::rename(&next, &path).map_err(io(&path))?;
        sync(&path)
    }

    /// Brings back lines that only the file has, and completes the file. `put` says whether a line was not there yet.
    pub(super) fn restore<T: Serialize + DeserializeOwned>(
        &self,
        database: &Path,
        connection: &mut Connection,
        all: fn(&Connection) -> Result<Vec<T>>,
        put: fn(&Connection, &T) -> Result<bool>,
    ) -> Result<()> {
        let restored = self.put_back(database, connection, all, put);
        readable(connection, self.subject, &self.path(database), restored)?;
        self.mirror(database, || all(connection));
        Ok(())
    }

    fn put_back<T: Serialize + DeserializeOwned>(
        &self,
        database: &Path,
        connection: &mut Connection,
        all: fn(&Connection) -> Result<Vec<T>>,
        put: fn(&Connection, &T) -> Result<bool>,
    ) -> Result<()> {
        let path = self.path(database);
        let text = text_of(&path)?;
        // As nearly always. Nobody waits for a lock then.
        if text == all_written(&all(connection)?)? {
            return Ok(());
        }
        let (mut back, mut damaged) = (0, 0);
        let transaction = connection.transaction()?;
        for line in text.lines().filter(|line| !line.is_empty()) {
            match parsed(line) {
                Some(line) => back += usize::from(put(&transaction, &line)?),
                None => damaged += 1,
            }
        }
        if back > 0 || damaged > 0 {
            let detail = format!("{back} lines came back from {}, {damaged} could not be read", self.name);
            events::record(&transaction, self.subject, "came back", &detail)?;
            tracing::warn!(back, damaged, "{} came back from the file beside the database", self.what);
        }
        transaction.commit()?;
        if damaged > 0 {
            // It is about to be written anew, and what it says may still be read by a person.
            set_aside(&path, |path, aside| fs::copy(path, aside).map(drop));
        }
        Ok(())
    }
}

fn all_written<T: Serialize>(all: &[T]) -> Result<String> {
    all.iter().map(written).collect()
}

/// Empty when there is no file.
fn text_of(path: &Path) -> Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(io(path)(error)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_while_nobody_else_can_write_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = Beside { name: "some.log", subject: "some", what: "some lines" };
        file.mirror(&folder.path().join("scanside.db"), || {
            assert!(
                WRITER.try_lock().is_err(),
                "another call could write newer lines, and these would be written over them"
            );
            Ok(vec!["a line"])
        });
        assert_eq!(fs::read_to_string(folder.path().join("some.log")).unwrap().lines().count(), 1);
    }
}
