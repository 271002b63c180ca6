//! Prepares the database, at start and when it was damaged or removed while running: checks it, sets a damaged one aside,
//! takes the last copy in its place, brings the schema up to date.
//!
//! What comes back after damage: the copy (`copy`, minutes old) has every table as it was then. What
//! came later is restored from what is written elsewhere: `spool::sweep` reads every instance that the copy does not know
//! from the custody log, `study` assembles their series and queues their jobs, and recordings of exams stay on the disk until
//! a copy knows their results. A job that was done after the copy is done again and makes the same objects, because UIDs
//! derive from inputs; what was delivered after the copy is sent once more under the same UIDs. What was seen of lesions and
//! entered about them comes back from a file of its own (`lesions`), and so do holds (`holds`), decisions about conflicts (`choices`) and claims of tasks (`claims`). Lost are only events, shadow comparisons and other
//! commands of people of the minutes after the copy. Without a copy the custody log alone is used.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{Durability, Error, Result, Store, StoreFault, copy, events};

/// The check of a large database on a slow disk may not delay the start for longer.
const LONGEST_CHECK: Duration = Duration::from_secs(20);
/// How many damaged databases are kept for a look; they hold names of patients and take room.
const KEPT: usize = 2;
/// In the names of what was set aside.
const DAMAGED: &str = "damaged-";

/// A database that was built again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// What was wrong.
    pub why: String,
    /// The name of the file that was set aside; `None` when there was none.
    pub set_aside: Option<String>,
    pub source: Source,
}

/// What a database was built from, besides the custody log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Its last copy was put in its place.
    Copy,
    /// Nothing: the custody log alone fills it.
    Log,
    /// A sound file that somebody has put in its place while the daemon ran.
    Replaced,
}

impl std::fmt::Display for Mended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let from = match self.source {
            Source::Copy => "its last copy and the custody log",
            Source::Log => "the custody log",
            Source::Replaced => "the file that is in its place now and the custody log",
        };
        write!(f, "the database was built again from {from}: {}", self.why)?;
        match &self.set_aside {
            Some(name) => write!(f, "; the old one is kept as {name}"),
            None => Ok(()),
        }
    }
}

impl Store {
    /// Opens or creates the database and brings its schema up to date. A damaged, missing or replaced one is built again
    /// first, and with it another era begins (`era`): connections that are still open commit nothing more. Then says how.
    /// Blocks.
    ///
    /// # Errors
    /// When the file cannot be opened or written, or the schema is newer than this software. It may be called again; until
    /// it succeeds, no connection is opened.
    pub fn prepare(&self) -> Result<Option<Mended>> {
        let is_other = !self.is_in_place() && self.path.exists();
        if is_other {
            self.end_era();
            self.set_log_aside()?;
            // What was said of the file before says nothing of this one.
            remove(&self.marker())?;
        }
        let mended = match self.damage()? {
            Some(why) => {
                // A power cut between the steps must not leave a database without its log that looks sound.
                self.mark_damaged(&why);
                self.end_era();
                Some(self.build_again(why)?)
            }
            None if is_other => {
                let why = "another file was put in the place of the database".to_owned();
                Some(Mended { why, set_aside: None, source: Source::Replaced })
            }
            None => None,
        };
        let mut connection = self.connect_with(Durability::Full, OpenFlags::SQLITE_OPEN_CREATE)?;
        self.migrate(&mut connection)?;
        self.restore_lesions(&mut connection)?;
        self.restore_holds(&mut connection)?;
        self.restore_choices(&mut connection)?;
        self.restore_claims(&mut connection)?;
        self.remember_file();
        if let Some(mended) = &mended {
            events::record(&connection, "database", "built again", &mended.to_string())?;
            remove(&self.marker())?;
        }
        self.trouble_is_over();
        self.begin_era();
        Ok(mended)
    }

    /// Why it must be built again.
    fn damage(&self) -> Result<Option<String>> {
        if let Ok(reason) = fs::read_to_string(self.marker()) {
            return Ok(Some(reason.lines().next().unwrap_or_default().to_owned()));
        }
        if !self.path.exists() {
            let was_there = copy::exists(&self.path) || self.was_prepared();
            return Ok(was_there.then(|| "the file was missing".to_owned()));
        }
        match self.check() {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == StoreFault::Damaged => Ok(Some(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// [`Store::prepare`] builds the database again.
    pub(super) fn mark_damaged(&self, reason: &str) {
        if let Err(error) = fs::write(self.marker(), reason) {
            tracing::warn!(%error, "cannot mark the database as damaged; the next start relies on its own check");
        }
    }

    fn marker(&self) -> PathBuf {
        beside(&self.path, "-is-damaged")
    }

    fn check(&self) -> Result<()> {
        sound(&self.connect_with(Durability::Full, OpenFlags::empty())?, &self.path)
    }

    fn build_again(&self, why: String) -> Result<Mended> {
        let set_aside = self.set_aside()?;
        let source = if copy::restore(&self.path)? { Source::Copy } else { Source::Log };
        Ok(Mended { why, set_aside, source })
    }

    /// Moves the database away, with what belongs to it. Returns its new name.
    fn set_aside(&self) -> Result<Option<String>> {
        let existed = self.path.exists();
        // The database last: a start that is interrupted in between finds it and begins again.
        let aside = self.move_aside(&["-shm", "-wal", ""])?;
        let name = aside.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(name.filter(|_| existed))
    }

    /// Moves away what belongs to a database that is not there any more. SQLite would take it for that of the other one
    /// that was put in its place.
    fn set_log_aside(&self) -> Result<()> {
        self.move_aside(&["-shm", "-wal"]).map(drop)
    }

    fn move_aside(&self, suffixes: &[&str]) -> Result<PathBuf> {
        let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let aside = beside(&self.path, &format!(".{DAMAGED}{stamp}"));
        for suffix in suffixes {
            let from = beside(&self.path, suffix);
            if from.exists() {
                fs::rename(&from, beside(&aside, suffix)).map_err(io(&from))?;
            }
        }
        self.forget_old(&aside);
        Ok(aside)
    }

    /// Only the newest of what was set aside is kept, and what was set aside now, whatever the clock says.
    fn forget_old(&self, now: &Path) {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name()) else { return };
        let prefix = format!("{}.{DAMAGED}", name.to_string_lossy());
        let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let mut aside: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
        let now = now.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        aside.retain(|name| name.starts_with(&prefix) && (now.is_empty() || !name.starts_with(&now)));
        let mut stamps: Vec<String> =
            aside.iter().map(|name| name.trim_end_matches("-wal").trim_end_matches("-shm").to_owned()).collect();
        stamps.sort();
        stamps.dedup();
        let old = stamps.len().saturating_sub(KEPT - 1);
        for stamp in &stamps[..old] {
            for name in aside.iter().filter(|name| name.starts_with(stamp.as_str())) {
                if let Err(error) = fs::remove_file(folder.join(name)) {
                    tracing::warn!(%error, "cannot remove an old damaged database");
                }
            }
        }
    }
}

/// Checks pages and their links, for a bounded time; a database that is not done by then counts as sound.
pub(super) fn sound(connection: &Connection, path: &Path) -> Result<()> {
    let handle = connection.get_interrupt_handle();
    let (done, ended) = channel::<()>();
    let watch = std::thread::spawn(move || {
        if ended.recv_timeout(LONGEST_CHECK) == Err(RecvTimeoutError::Timeout) {
            handle.interrupt();
        }
    });
    let found: rusqlite::Result<String> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    drop(done);
    let _ = watch.join();
    match found {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(Error::Damaged { path: path.to_owned(), found }),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => {
            tracing::warn!("the check of the database was not finished in {} s", LONGEST_CHECK.as_secs());
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// A path with something after its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

/// Removes a file that may be absent.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(path)(error)),
        _ => Ok(()),
    }
}

/// Makes bytes and name of a file durable.
pub(super) fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io(path))?;
    let folder = path.parent().unwrap_or(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))
}
