//! `hold_lines`, `holds`: studies that a person keeps from eviction for as long as the hold lasts; and the file beside the
//! database that has the same lines. When the database is built again from an older copy, or from the custody log alone, the
//! holds come back from there before anything is evicted.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::instances::SET_ASIDE;
use super::{Result, Store, lines, now_utc};
use crate::retention::Hold;

/// Whether something of a study could be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holdable {
    Yes,
    /// All of it was evicted.
    Gone,
    NoSuchStudy,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    id: i64,
    utc: String,
    by: String,
    study_uid: String,
    what: String,
    reason: String,
}

const HOLD: &str = "hold";
const RELEASE: &str = "release";
const COLUMNS: &str = "id, utc, by_whom, study_uid, what, reason";

/// For SQL: whether a study is held, by an expression for its UID.
pub(super) fn held(study_uid: &str) -> String {
    format!("EXISTS (SELECT 1 FROM holds h WHERE h.study_uid = {study_uid})")
}

/// # Errors
/// When the database fails (as for all below).
pub fn all(connection: &Connection) -> Result<Vec<Hold>> {
    let mut statement =
        connection.prepare_cached("SELECT study_uid, utc, by_whom, reason FROM holds ORDER BY utc, study_uid")?;
    Ok(statement.query_map([], read)?.collect::<rusqlite::Result<_>>()?)
}

/// # Errors
/// When the database fails.
pub fn of_study(connection: &Connection, study_uid: &str) -> Result<Option<Hold>> {
    let sql = "SELECT study_uid, utc, by_whom, reason FROM holds WHERE study_uid = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([study_uid], read).optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Hold> {
    Ok(Hold { study_uid: row.get(0)?, since_utc: row.get(1)?, by: row.get(2)?, reason: row.get(3)? })
}

/// # Errors
/// When the database fails.
pub fn holdable(connection: &Connection, study_uid: &str) -> Result<Holdable> {
    // Objects that could not be parsed belong to no study.
    if study_uid.is_empty() {
        return Ok(Holdable::NoSuchStudy);
    }
    // By the series: no index begins with the study. What is set aside may have none.
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM series WHERE study_uid = ?1), \
         EXISTS (SELECT 1 FROM series WHERE study_uid = ?1 AND state <> 'evicted') \
         OR EXISTS (SELECT 1 FROM series s JOIN instances i ON i.series_uid = s.series_uid AND i.study_uid = s.study_uid \
                    WHERE s.study_uid = ?1 AND i.state <> 'evicted') \
         OR EXISTS (SELECT 1 FROM instances WHERE state IN {SET_ASIDE} AND study_uid = ?1) \
         OR EXISTS (SELECT 1 FROM results WHERE study_uid = ?1)"
    );
    let (known, here): (bool, bool) =
        connection.prepare_cached(&sql)?.query_row([study_uid], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(match (known, here) {
        (_, true) => Holdable::Yes,
        (true, false) => Holdable::Gone,
        (false, false) => Holdable::NoSuchStudy,
    })
}

/// Holds a study, or gives an existing hold another reason. Says whether that changes anything. [`Store::mirror_holds`] is
/// called after the commit.
///
/// # Errors
/// When the database fails.
pub fn hold(transaction: &Transaction<'_>, study_uid: &str, by: &str, reason: &str) -> Result<bool> {
    if of_study(transaction, study_uid)?.is_some_and(|hold| hold.reason == reason) {
        return Ok(false);
    }
    add(transaction, study_uid, by, HOLD, reason)
}

/// Ends a hold. Says whether there was one. [`Store::mirror_holds`] is called after the commit.
///
/// # Errors
/// When the database fails.
pub fn release(transaction: &Transaction<'_>, study_uid: &str, by: &str) -> Result<bool> {
    if of_study(transaction, study_uid)?.is_none() {
        return Ok(false);
    }
    add(transaction, study_uid, by, RELEASE, "")
}

fn add(transaction: &Transaction<'_>, study_uid: &str, by: &str, what: &str, reason: &str) -> Result<bool> {
    let id: i64 = transaction.query_row("SELECT coalesce(max(id), 0) + 1 FROM hold_lines", [], |row| row.get(0))?;
    let text = |text: &str| text.to_owned();
    let line =
        Line { id, utc: now_utc(), by: text(by), study_uid: text(study_uid), what: text(what), reason: text(reason) };
    put(transaction, &line)
}

/// Says whether it was not there yet.
fn put(connection: &Connection, line: &Line) -> Result<bool> {
    let sql = format!("INSERT OR IGNORE INTO hold_lines ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    let values = params![line.id, line.utc, line.by, line.study_uid, line.what, line.reason];
    Ok(connection.prepare_cached(&sql)?.execute(values)? > 0)
}

fn all_lines(connection: &Connection) -> Result<Vec<Line>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM hold_lines ORDER BY id"))?;
    let rows = statement.query_map([], |row| {
        Ok(Line {
            id: row.get(0)?,
            utc: row.get(1)?,
            by: row.get(2)?,
            study_uid: row.get(3)?,
            what: row.get(4)?,
            reason: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

const FILE: lines::Beside = lines::Beside { name: "holds.log", subject: "holds", what: "holds of studies" };

impl Store {
    /// Brings the file beside the database up to date. Blocks until it is on the disk. A failure is logged, since the database
    /// has the holds and the next call writes them.
    pub fn mirror_holds(&self, connection: &Connection) {
        FILE.mirror(&self.path, || all_lines(connection));
    }

    /// Brings back lines that only the file has, and completes the file.
    pub(super) fn restore_holds(&self, connection: &mut Connection) -> Result<()> {
        FILE.restore(&self.path, connection, all_lines, put)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::store::{Durability, Source, events};

    fn some() -> (tempfile::TempDir, PathBuf, Store) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        let store = Store::open(&path).unwrap();
        (folder, path, store)
    }

    fn change(store: &Store, study: &str, reason: Option<&str>) -> bool {
        let mut connection = store.connect(Durability::Full).unwrap();
        let transaction = connection.transaction().unwrap();
        let changed = match reason {
            Some(reason) => hold(&transaction, study, "user 1000", reason).unwrap(),
            None => release(&transaction, study, "user 1000").unwrap(),
        };
        transaction.commit().unwrap();
        store.mirror_holds(&connection);
        changed
    }

    fn held(store: &Store) -> Vec<(String, String)> {
        let holds = all(&store.connect(Durability::Full).unwrap()).unwrap();
        let mut held: Vec<_> = holds.into_iter().map(|hold| (hold.study_uid, hold.reason)).collect();
        held.sort();
        held
    }

    fn of(study: &str, reason: &str) -> (String, String) {
        (study.to_owned(), reason.to_owned())
    }

    #[test]
    fn the_last_word_counts_and_no_line_is_changed_or_removed() {
        let (_folder, path, store) = some();
        assert!(change(&store, "1", Some("a case for teaching")));
        assert!(!change(&store, "1", Some("a case for teaching")), "already so");
        assert!(change(&store, "1", Some("asked for by a court")));
        assert!(change(&store, "2", Some("x")));
        assert!(change(&store, "2", None));
        assert!(!change(&store, "2", None), "already so");
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(held(&store), [of("1", "asked for by a court")]);
        let connection = store.connect(Durability::Full).unwrap();
        for sql in ["DELETE FROM hold_lines", "UPDATE hold_lines SET reason = ''"] {
            assert!(connection.execute(sql, []).unwrap_err().to_string().contains("never"), "{sql}");
        }
    }

    #[test]
    fn holds_and_releases_come_back_when_the_database_and_its_copy_are_lost() {
        let (folder, path, store) = some();
        change(&store, "1", Some("x"));
        change(&store, "2", Some("y"));
        change(&store, "2", None);
        drop(store);
        fs::write(&path, "this is no database".repeat(999)).unwrap();
        let store = Store::at(&path);
        assert!(store.prepare().unwrap().unwrap().source == Source::Log);
        assert_eq!(held(&store), [of("1", "x")]);
        assert!(change(&store, "2", Some("z")));
        // A file that was lost is written again at the next start.
        let file = folder.path().join("holds.log");
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 4);
        fs::remove_file(&file).unwrap();
        drop(store);
        Store::open(&path).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 4);
    }

    fn set_aside(folder: &Path) -> usize {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("holds.log-unreadable")).count()
    }

    #[test]
    fn a_file_that_cannot_be_read_is_set_aside_and_keeps_the_box_from_nothing() {
        let (folder, path, store) = some();
        change(&store, "1", Some("x"));
        let file = folder.path().join("holds.log");
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!((held(&store), set_aside(folder.path())), (vec![of("1", "x")], 1));
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1, "written again");
    }

    /// The only line there is: nothing comes back, and the next writing would remove what a person might still read.
    #[test]
    fn a_file_of_rotted_lines_is_kept_and_told() {
        let (folder, path, store) = some();
        change(&store, "1", Some("the first"));
        drop(store);
        let file = folder.path().join("holds.log");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replacen("the first", "the worst", 1)).unwrap();
        lines::lose_database(folder.path());
        let store = Store::open(&path).unwrap();
        assert_eq!((held(&store), set_aside(folder.path())), (vec![], 1));
        let connection = store.connect(Durability::Full).unwrap();
        let told = events::latest(&connection, 10).unwrap();
        assert!(told.iter().any(|event| event.detail.contains("1 could not be read")), "{told:?}");
    }

    #[test]
    fn a_line_that_has_rotted_spoils_nothing_but_itself() {
        let (folder, path, store) = some();
        change(&store, "1", Some("the first"));
        change(&store, "2", Some("the second"));
        drop(store);
        let file = folder.path().join("holds.log");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replacen("the first", "the worst", 1)).unwrap();
        lines::lose_database(folder.path());
        assert_eq!(held(&Store::open(&path).unwrap()), [of("2", "the second")]);
    }
}
