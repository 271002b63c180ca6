//! The copy of the database that is kept beside it: whole, checked, replaced in one step. `mend` puts it in the place of a
//! damaged database.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use rusqlite::{Connection, OpenFlags};

use super::mend::{beside, io, remove, sound, sync};
use super::{Durability, Error, Result, Store, StoreFault};

fn copy_of(database: &Path) -> PathBuf {
    beside(database, ".copy")
}

pub(super) fn exists(database: &Path) -> bool {
    copy_of(database).exists()
}

/// Puts the copy in the place of the database, which must not be there. Says `false` when there is no sound copy.
pub(super) fn restore(database: &Path) -> Result<bool> {
    let copy = copy_of(database);
    if !copy.exists() {
        return Ok(false);
    }
    let checked = Connection::open_with_flags(&copy, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(Error::from)
        .and_then(|connection| sound(&connection, &copy));
    match checked {
        Ok(()) => {}
        Err(error) if error.kind() == StoreFault::Damaged => {
            tracing::warn!(%error, "the copy of the database is damaged as well and is not used");
            remove(&copy)?;
            return Ok(false);
        }
        Err(error) => return Err(error),
    }
    let new = beside(database, ".new");
    fs::copy(&copy, &new).map_err(io(&new))?;
    sync(&new)?;
    fs::rename(&new, database).map_err(io(database))?;
    sync(database)?;
    Ok(true)
}

impl Store {
    /// Writes the copy anew when the database has changed since. Says whether it did. Blocks for as long as reading and
    /// writing the whole database takes; nobody waits for it.
    ///
    /// # Errors
    /// When the database cannot be read (damage is noticed here, too) or the copy not written. The old copy then stays.
    pub fn copy(&self) -> Result<bool> {
        let (here, copy) = (self.of_this_era(), copy_of(&self.path));
        if !self.is_in_place() {
            return Err(Error::Gone { path: self.path.clone() });
        }
        // By what the files are, not by which time is later: the clock may have been ahead when the copy was made.
        let state = [&self.path, &beside(&self.path, "-wal")].map(|path| state(path));
        let is_copied = *self.copied.lock().unwrap_or_else(PoisonError::into_inner) == Some(state);
        if is_copied && copy.exists() {
            return Ok(false);
        }
        let new = beside(&copy, ".new");
        remove(&new)?;
        let name = new.to_string_lossy().into_owned();
        let written = self.connect(Durability::Full).and_then(|connection| {
            connection.execute("VACUUM INTO ?1", [name])?;
            Ok(())
        });
        if let Err(error) = written {
            remove(&new)?;
            return Err(error);
        }
        sync(&new)?;
        // A copy of the database that is set aside right now must not take the place of the one that is put back.
        let _no_new_era = here.enter().inspect_err(|_| drop(remove(&new)))?;
        fs::rename(&new, &copy).map_err(io(&copy))?;
        sync(&copy)?;
        // What changed while it was written is in the next one.
        *self.copied.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
        Ok(true)
    }

    /// Bytes that [`Store::copy`] needs while it works.
    pub fn copy_bytes(&self) -> u64 {
        let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        size(&self.path).saturating_add(size(&beside(&self.path, "-wal")))
    }
}

/// Which file it is, its bytes, and when it was written last, to the nanosecond.
pub(super) type FileState = (u64, u64, i64, i64);

/// Zeros when it is not there.
fn state(path: &Path) -> FileState {
    fs::metadata(path).map_or((0, 0, 0, 0), |file| (file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Source, events};

    /// As a bad sector leaves it: every page but the first.
    fn damage(database: &Path) {
        let mut bytes = fs::read(database).unwrap();
        bytes[4096..].fill(0xA5);
        fs::write(database, bytes).unwrap();
    }

    fn whats(store: &Store) -> Vec<String> {
        let connection = store.connect(Durability::Full).unwrap();
        events::latest(&connection, 100).unwrap().into_iter().map(|event| event.what).collect()
    }

    fn note(store: &Store, what: &str) {
        events::record(&store.connect(Durability::Full).unwrap(), "test", what, "").unwrap();
    }

    #[test]
    fn a_damaged_database_is_set_aside_and_its_copy_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        let store = Store::open(&path).unwrap();
        note(&store, "before the copy");
        assert!(store.copy().unwrap());
        assert!(!store.copy().unwrap(), "nothing has changed");
        note(&store, "after the copy");
        drop(store);
        damage(&path);
        let store = Store::at(&path);
        let mended = store.prepare().unwrap().unwrap();
        assert!((mended.source == Source::Copy), "{mended}");
        assert!(folder.path().join(mended.set_aside.unwrap()).exists());
        assert_eq!(whats(&store), ["built again", "before the copy"]);
        assert_eq!(Store::at(&path).prepare().unwrap(), None, "once");
    }

    #[test]
    fn without_a_copy_or_with_a_damaged_one_it_begins_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        for with_copy in [false, true] {
            let store = Store::open(&path).unwrap();
            note(&store, "before");
            if with_copy {
                assert!(store.copy().unwrap());
                damage(&copy_of(&path));
            }
            drop(store);
            fs::write(&path, "this is no database, and it is long enough to be looked at".repeat(99)).unwrap();
            let store = Store::at(&path);
            assert!((store.prepare().unwrap().unwrap().source == Source::Log));
            assert_eq!(whats(&store), ["built again"]);
        }
    }

    /// Exams are removed once a copy knows their results: a copy that is not made must not say that it is there.
    #[test]
    fn a_copy_that_was_made_while_the_clock_was_ahead_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        let store = Store::open(&path).unwrap();
        note(&store, "first");
        assert!(store.copy().unwrap());
        let ahead = std::time::SystemTime::now() + std::time::Duration::from_secs(90 * 86_400);
        fs::File::options().write(true).open(copy_of(&path)).unwrap().set_modified(ahead).unwrap();
        note(&store, "second");
        assert!(store.copy().unwrap());
        fs::remove_file(&path).unwrap();
        assert!(Store::at(&path).prepare().unwrap().unwrap().source == Source::Copy);
        assert_eq!(whats(&Store::open(&path).unwrap()), ["built again", "second", "first"]);
    }

    #[test]
    fn a_removed_database_is_noticed_and_comes_back_from_its_copy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        let store = Store::open(&path).unwrap();
        note(&store, "before");
        store.copy().unwrap();
        store.probe().unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(store.probe().unwrap_err().kind(), StoreFault::Gone);
        assert!(!path.exists(), "no connection brings it back empty");
        assert!(store.trouble().unwrap().kind.needs_rebuilding());
        assert!(Store::at(&path).prepare().unwrap().unwrap().source == Source::Copy);
        assert_eq!(whats(&Store::open(&path).unwrap()), ["built again", "before"]);
    }

    #[test]
    fn damage_that_was_met_while_running_is_mended_at_the_next_start_whatever_the_check_finds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        let store = Store::open(&path).unwrap();
        store.copy().unwrap();
        store.failed(&Error::Damaged { path: path.clone(), found: "an index is wrong".into() });
        let mended = Store::at(&path).prepare().unwrap().unwrap();
        assert!(mended.why.contains("an index is wrong"), "{mended}");
        assert_eq!(Store::at(&path).prepare().unwrap(), None, "once");
    }

    #[test]
    fn only_the_newest_damaged_databases_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        for stamp in ["20250101T000000Z", "20250102T000000Z", "20250103T000000Z"] {
            for suffix in ["", "-wal"] {
                fs::write(folder.path().join(format!("scanside.db.damaged-{stamp}{suffix}")), "x").unwrap();
            }
        }
        fs::write(&path, "no database".repeat(999)).unwrap();
        Store::open(&path).unwrap();
        let names = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut kept: Vec<_> = names.filter(|name| name.contains("damaged-")).collect();
        kept.sort();
        assert!(kept.len() == 3 && kept[..2].iter().all(|name| name.contains("20250103")), "{kept:?}");
    }

    #[test]
    fn a_full_or_locked_database_is_told_once_and_works_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        let store = Store::open(&path).unwrap();
        // Really full: SQLite may not use another page.
        let full = store.connect(Durability::Full).unwrap();
        let pages: i64 = full.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        full.pragma_update(None, "max_page_count", pages).unwrap();
        let mut last = Ok(());
        for _ in 0..1000 {
            last = events::record(&full, "test", "grows", &"x".repeat(5000));
            if last.is_err() {
                break;
            }
        }
        let error = last.unwrap_err();
        assert_eq!(error.kind(), StoreFault::Full);
        store.failed(&error);
        assert_eq!(store.trouble().unwrap().kind, StoreFault::Full);
        store.probe().unwrap();
        assert_eq!(store.trouble(), None);

        let lock = Connection::open(&path).unwrap();
        lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
        assert_eq!(store.probe().unwrap_err().kind(), StoreFault::Locked);
        assert!(store.trouble().unwrap().reason.contains("locked"));
        lock.execute_batch("ROLLBACK").unwrap();
        store.probe().unwrap();
        assert_eq!(store.trouble(), None);
    }
}
