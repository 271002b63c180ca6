//! Which database is meant. While the daemon runs, a damaged or removed one is built again; then another era begins. Rows may
//! have other ids in it, so nobody may write with what was read in an earlier one: a connection of an earlier era commits
//! nothing more, and a [`Store::of_this_era`] opens no connection in a later one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use rusqlite::Connection;

use super::{Error, Result, Store};

#[derive(Debug, Default)]
pub(super) struct Eras {
    now: AtomicU64,
    /// Locked for reading while a file is opened or a copy put in its place, for writing to end the era.
    is_closed: RwLock<bool>,
}

impl Store {
    /// The same database as long as it is not built again; after that every [`Store::connect`] fails, and what this
    /// store is told of errors is not held against the new database.
    #[must_use]
    pub fn of_this_era(&self) -> Self {
        Self { era: Some(self.era()), ..self.clone() }
    }

    /// Grows each time the database is built again.
    pub fn era(&self) -> u64 {
        self.era.unwrap_or_else(|| self.eras.now.load(Ordering::SeqCst))
    }

    pub(super) fn is_over(&self) -> bool {
        self.era.is_some_and(|era| era != self.eras.now.load(Ordering::SeqCst))
    }

    /// Keeps the present era from ending for as long as the guard is held.
    ///
    /// # Errors
    /// The database is being built again, or was since [`Store::of_this_era`].
    pub(super) fn enter(&self) -> Result<RwLockReadGuard<'_, bool>> {
        let is_closed = self.eras.is_closed.read().unwrap_or_else(PoisonError::into_inner);
        if *is_closed || self.is_over() {
            return Err(Error::BuiltAgain { path: self.path.clone() });
        }
        Ok(is_closed)
    }

    /// Ends the era. No connection is opened until [`Store::begin_era`].
    pub(super) fn end_era(&self) {
        let mut is_closed = self.eras.is_closed.write().unwrap_or_else(PoisonError::into_inner);
        *is_closed = true;
        self.eras.now.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn begin_era(&self) {
        *self.eras.is_closed.write().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// A connection of an era that is over turns every commit into a roll-back: it would go to the file that was set aside.
    pub(super) fn only_in_this_era(&self, connection: &Connection) {
        let (eras, era): (Arc<Eras>, u64) = (self.eras.clone(), self.era());
        connection.commit_hook(Some(move || eras.now.load(Ordering::SeqCst) != era));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Source, StoreFault, events};

    fn whats(store: &Store) -> Vec<String> {
        let connection = store.connect(Durability::Full).unwrap();
        events::latest(&connection, 100).unwrap().into_iter().map(|event| event.what).collect()
    }

    #[test]
    fn what_was_opened_before_the_database_was_built_again_writes_nothing_and_accuses_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        let store = Store::open(&path).unwrap();
        store.copy().unwrap();
        let (here, old) = (store.of_this_era(), store.connect(Durability::Full).unwrap());
        store.failed(&Error::Damaged { path: path.clone(), found: "an index is wrong".into() });
        assert_eq!(store.prepare().unwrap().unwrap().source, Source::Copy);
        assert_eq!(store.trouble(), None);

        let error = events::record(&old, "test", "too late", "").unwrap_err();
        assert_eq!(error.kind(), StoreFault::BuiltAgain, "{error}");
        assert_eq!(here.connect(Durability::Full).unwrap_err().kind(), StoreFault::BuiltAgain);
        here.failed(&Error::Damaged { path: path.clone(), found: "met in the old file".into() });
        store.failed(&error);
        assert_eq!(store.trouble(), None);
        // SQLite removes the log of a database with its last connection: not that of the new one.
        events::record(&store.connect(Durability::Full).unwrap(), "test", "in time", "").unwrap();
        drop(old);
        assert_eq!(whats(&store), ["in time", "built again"]);
        assert!(here.era() < store.era() && store.of_this_era().connect(Durability::Full).is_ok());
    }

    #[test]
    fn a_file_that_somebody_puts_in_its_place_is_used_without_the_log_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        let other = folder.path().join("other.db");
        events::record(&Store::open(&other).unwrap().connect(Durability::Full).unwrap(), "test", "of the other", "")
            .unwrap();
        let store = Store::open(&path).unwrap();
        let old = store.connect(Durability::Full).unwrap();
        events::record(&old, "test", "of the old", &"x".repeat(50_000)).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(store.probe().unwrap_err().kind(), StoreFault::Gone);
        assert_eq!(store.prepare().unwrap().unwrap().source, Source::Replaced);
        store.probe().unwrap();
        assert_eq!(whats(&store), ["built again", "of the other"]);
        let sound: String =
            store.connect(Durability::Full).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        drop(old);
        assert_eq!(store.prepare().unwrap(), None, "once");
    }

    #[test]
    fn a_file_that_comes_back_by_itself_is_no_new_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        let store = Store::open(&path).unwrap();
        let era = store.era();
        std::fs::rename(&path, folder.path().join("away")).unwrap();
        store.probe().unwrap_err();
        std::fs::rename(folder.path().join("away"), &path).unwrap();
        assert_eq!(store.prepare().unwrap(), None);
        assert_eq!((store.trouble(), store.era()), (None, era));
    }
}
