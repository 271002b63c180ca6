//! `lesion_lines`: sightings of lesions and what people entered about them; and the file beside the database that has the
//! same lines, because nothing else has them when the database is lost.
//!
//! A line is committed first and mirrored then: the file lags by what a power cut catches in between, and catches up with the
//! next line or start. Lines that the file has and the database has not were lost with the database, and come back.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::mend::io;
use super::{Result, Store, events, lines, now_utc};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineRow {
    pub id: i64,
    pub utc: String,
    /// Empty: this software.
    pub by: String,
    pub patient: String,
    pub kind: String,
    pub source: String,
    /// JSON.
    pub entry: String,
}

/// A line that is to be written.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    pub by: &'a str,
    pub patient: &'a str,
    pub kind: &'a str,
    /// Of a sighting: what was analysed; else empty.
    pub source: &'a str,
    pub entry: &'a str,
}

const COLUMNS: &str = "id, utc, by_whom, patient, kind, source, entry";
/// Of the end of the file, in which its last line is looked for first, bytes.
const TAIL: u64 = 1 << 20;
/// Lines that are read and written at once.
const AT_ONCE: i64 = 1000;

fn read(row: &Row<'_>) -> rusqlite::Result<LineRow> {
    Ok(LineRow {
        id: row.get(0)?,
        utc: row.get(1)?,
        by: row.get(2)?,
        patient: row.get(3)?,
        kind: row.get(4)?,
        source: row.get(5)?,
        entry: row.get(6)?,
    })
}

/// The number that the next line will have; nobody else may write in between, so a transaction is needed.
///
/// # Errors
/// When the database fails (as for all below).
pub fn next(transaction: &Transaction<'_>) -> Result<i64> {
    Ok(last(transaction)? + 1)
}

fn last(connection: &Connection) -> Result<i64> {
    Ok(connection.query_row("SELECT coalesce(max(id), 0) FROM lesion_lines", [], |row| row.get(0))?)
}

/// Returns the number of the line. [`Store::mirror_lesions`] is called after the commit.
///
/// # Errors
/// When the database fails.
pub fn insert(transaction: &Transaction<'_>, line: New<'_>) -> Result<i64> {
    let id = next(transaction)?;
    let row = LineRow {
        id,
        utc: now_utc(),
        by: line.by.to_owned(),
        patient: line.patient.to_owned(),
        kind: line.kind.to_owned(),
        source: line.source.to_owned(),
        entry: line.entry.to_owned(),
    };
    put(transaction, &row, "INSERT")?;
    Ok(id)
}

/// Says whether it was not there yet.
fn put(connection: &Connection, row: &LineRow, insert: &str) -> Result<bool> {
    let sql = format!("{insert} INTO lesion_lines ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    let values = params![row.id, row.utc, row.by, row.patient, row.kind, row.source, row.entry];
    Ok(connection.prepare_cached(&sql)?.execute(values)? > 0)
}

/// All lines of a patient, in the order of their numbers.
///
/// # Errors
/// When the database fails.
pub fn of_patient(connection: &Connection, patient: &str) -> Result<Vec<LineRow>> {
    let sql = format!("SELECT {COLUMNS} FROM lesion_lines WHERE patient = ?1 ORDER BY id");
    Ok(connection.prepare_cached(&sql)?.query_map([patient], read)?.collect::<rusqlite::Result<_>>()?)
}

/// Patients of whom something was seen in this source: one, unless a person has corrected whose study it is.
///
/// # Errors
/// When the database fails.
pub fn patients_of_source(connection: &Connection, source: &str) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT patient FROM lesion_lines WHERE source = ?1 AND source <> ''";
    Ok(connection.prepare_cached(sql)?.query_map([source], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Of whom a line is.
///
/// # Errors
/// When the database fails.
pub fn patient_of(connection: &Connection, id: i64) -> Result<Option<String>> {
    let sql = "SELECT patient FROM lesion_lines WHERE id = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?)
}

/// Patients with lines, those with the newest first: all, or only who has a recall, open or not.
///
/// # Errors
/// When the database fails.
pub fn patients(connection: &Connection, with_recall: bool) -> Result<Vec<String>> {
    let only = if with_recall { "WHERE kind = 'recall'" } else { "" };
    let sql = format!("SELECT patient FROM lesion_lines {only} GROUP BY patient ORDER BY max(id) DESC");
    Ok(connection.prepare_cached(&sql)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

fn file_of(database: &Path) -> PathBuf {
    database.with_file_name("lesions.log")
}

impl Store {
    /// Writes the lines that the file beside the database does not have yet. Blocks until they are on the disk. A failure is
    /// logged, since the database has the lines and the next call writes them. A file that cannot be written by who runs this,
    /// such as one that was brought back by another user, is set aside, and all lines are written to a new one.
    pub fn mirror_lesions(&self, connection: &Connection) {
        let done = self.mirror(connection).or_else(|error| {
            if !lines::is_of_another(&error) {
                return Err(error);
            }
            tracing::warn!(%error, "the file with the lines of lesions is set aside and written anew");
            lines::set_aside(&file_of(&self.path), |path, aside| std::fs::rename(path, aside));
            self.mirror(connection)
        });
        if let Err(error) = done {
            tracing::warn!(%error, "the file with the lines of lesions cannot be written; the database has them");
        }
    }

    fn mirror(&self, connection: &Connection) -> Result<()> {
        let _alone = lines::alone();
        let path = file_of(&self.path);
        let mut from = last_written(&path)?;
        if from >= last(connection)? {
            return Ok(());
        }
        let mut file = File::options().read(true).append(true).create(true).open(&path).map_err(io(&path))?;
        // A torn line is ended, so that it spoils nothing but itself.
        let mut text = if ends_in_a_line(&mut file).map_err(io(&path))? { String::new() } else { "\n".to_owned() };
        loop {
            let sql = format!("SELECT {COLUMNS} FROM lesion_lines WHERE id > ?1 ORDER BY id LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows: Vec<LineRow> = statement.query_map([from, AT_ONCE], read)?.collect::<rusqlite::Result<_>>()?;
            let Some(newest) = rows.last() else { break };
            from = newest.id;
            for row in &rows {
                text.push_str(&lines::written(row)?);
            }
            file.write_all(text.as_bytes()).map_err(io(&path))?;
            text.clear();
        }
        file.sync_all().map_err(io(&path))
    }

    /// Brings back lines that only the file has, and completes the file.
    pub(super) fn restore_lesions(&self, connection: &mut Connection) -> Result<()> {
        let restored = self.restore_from_file(connection);
        lines::readable(connection, "lesions", &file_of(&self.path), restored)?;
        self.mirror_lesions(connection);
        Ok(())
    }

    fn restore_from_file(&self, connection: &mut Connection) -> Result<()> {
        let path = file_of(&self.path);
        if last_written(&path)? > last(connection)? {
            let (mut back, mut damaged) = (0, 0);
            let transaction = connection.transaction()?;
            for line in read_lines(&path)? {
                let line = line.map_err(io(&path))?;
                match lines::parsed(&line) {
                    Some(row) => back += usize::from(put(&transaction, &row, "INSERT OR IGNORE")?),
                    None => damaged += usize::from(!line.trim().is_empty()),
                }
            }
            let detail = format!("{back} came back from {}, {damaged} could not be read", path.display());
            events::record(&transaction, "lesions", "lines came back", &detail)?;
            transaction.commit()?;
            tracing::warn!(back, damaged, "lines of lesions came back from the file beside the database");
        }
        Ok(())
    }
}

fn ends_in_a_line(file: &mut File) -> std::io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut end = [0];
    file.read_exact(&mut end)?;
    Ok(end == *b"\n")
}

/// The highest number in the file; 0 when there is none.
fn last_written(path: &Path) -> Result<i64> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(io(path)(error)),
    };
    let length = file.seek(SeekFrom::End(0)).map_err(io(path))?;
    for from in [length.saturating_sub(TAIL), 0] {
        file.seek(SeekFrom::Start(from)).map_err(io(path))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io(path))?;
        let highest =
            String::from_utf8_lossy(&bytes).lines().filter_map(lines::parsed::<LineRow>).map(|row| row.id).max();
        if let Some(highest) = highest {
            return Ok(highest);
        }
    }
    Ok(0)
}

fn read_lines(path: &Path) -> Result<impl Iterator<Item = std::io::Result<String>> + use<>> {
    let file = BufReader::new(File::open(path).map_err(io(path))?);
    // What is no text is a damaged line, as any other.
    Ok(file.split(b'\n').map(|line| Ok(String::from_utf8_lossy(&line?).into_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Source};

    fn write(store: &Store, patient: &str, kind: &str, commit: bool) -> i64 {
        let mut connection = store.connect(Durability::Full).unwrap();
        let transaction = connection.transaction().unwrap();
        let id = insert(&transaction, New { by: "Li Ming", patient, kind, source: "", entry: "{}" }).unwrap();
        if commit {
            transaction.commit().unwrap();
            store.mirror_lesions(&connection);
        }
        id
    }

    fn of(store: &Store, patient: &str) -> Vec<i64> {
        let connection = store.connect(Durability::Full).unwrap();
        of_patient(&connection, patient).unwrap().into_iter().map(|line| line.id).collect()
    }

    fn some() -> (tempfile::TempDir, PathBuf, Store) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        let store = Store::open(&path).unwrap();
        (folder, path, store)
    }

    #[test]
    fn what_was_committed_is_there_after_a_kill_and_no_line_is_changed_or_removed() {
        let (_folder, path, store) = some();
        write(&store, "p1", "seen", true);
        write(&store, "p1", "recall", false);
        write(&store, "p2", "recall", true);
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!((of(&store, "p1"), of(&store, "p2")), (vec![1], vec![2]));
        let connection = store.connect(Durability::Full).unwrap();
        assert_eq!(patients(&connection, true).unwrap(), ["p2"]);
        assert_eq!(patients(&connection, false).unwrap(), ["p2", "p1"]);
        for sql in ["DELETE FROM lesion_lines", "UPDATE lesion_lines SET entry = ''"] {
            assert!(connection.execute(sql, []).unwrap_err().to_string().contains("never"), "{sql}");
        }
    }

    #[test]
    fn what_people_entered_comes_back_when_the_database_and_its_copy_are_lost() {
        let (folder, path, store) = some();
        for patient in ["p1", "p2", "p1"] {
            write(&store, patient, "recall", true);
        }
        drop(store);
        std::fs::write(&path, "this is no database".repeat(999)).unwrap();
        let store = Store::at(&path);
        assert!(store.prepare().unwrap().unwrap().source == Source::Log);
        assert_eq!((of(&store, "p1"), of(&store, "p2")), (vec![1, 3], vec![2]));
        assert_eq!(write(&store, "p1", "done", true), 4);
        let text = std::fs::read_to_string(folder.path().join("lesions.log")).unwrap();
        assert_eq!(
            text.lines().filter_map(lines::parsed::<LineRow>).map(|row| row.id).collect::<Vec<_>>(),
            [1, 2, 3, 4],
            "each once"
        );
    }

    #[test]
    fn lines_stay_when_their_study_is_evicted_and_forgotten() {
        let (_folder, _, store) = some();
        write(&store, "p1", "seen", true);
        let mut connection = store.connect(Durability::Full).unwrap();
        connection
            .execute_batch(
                "INSERT INTO series (study_uid, series_uid, modality, kind, state, first_utc, last_utc) \
                 VALUES ('1', '1.1', 'US', 'exam', 'processed', '', '')",
            )
            .unwrap();
        crate::store::results::evict_exam(&connection, 1).unwrap();
        crate::store::forget::forget(&mut connection, 0, 0, 100).unwrap();
        assert_eq!(of(&store, "p1"), [1]);
    }

    #[test]
    fn a_line_that_was_torn_or_has_rotted_spoils_nothing_but_itself() {
        let (folder, path, store) = some();
        write(&store, "p1", "recall", true);
        write(&store, "p1", "recall", true);
        let file = folder.path().join("lesions.log");
        let text = std::fs::read_to_string(&file).unwrap();
        // The second line is torn by a power cut; the first rots after that.
        std::fs::write(&file, &text[..text.len() - 10]).unwrap();
        write(&store, "p1", "recall", true);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().filter_map(lines::parsed::<LineRow>).map(|row| row.id).collect::<Vec<_>>(), [1, 2, 3]);
        std::fs::write(&file, text.replacen("Li Ming", "Li Wing", 1)).unwrap();
        drop(store);
        lines::lose_database(folder.path());
        let store = Store::open(&path).unwrap();
        assert_eq!(of(&store, "p1"), [2, 3]);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_set_aside_and_keeps_the_box_from_nothing() {
        let (folder, path, store) = some();
        write(&store, "p1", "recall", true);
        let file = folder.path().join("lesions.log");
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(of(&store, "p1"), [1]);
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1, "written again");
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.filter(|name| name.to_string_lossy().contains("unreadable")).count(), 1);
    }

    #[test]
    fn a_file_that_may_not_be_written_any_more_is_set_aside_and_written_anew() {
        let (folder, path, store) = some();
        write(&store, "p1", "recall", true);
        let file = folder.path().join("lesions.log");
        std::fs::remove_file(&file).unwrap();
        // Whoever runs this test may write every file, but not a folder in its place.
        std::fs::create_dir(&file).unwrap();
        write(&store, "p2", "recall", true);
        drop(store);
        lines::lose_database(folder.path());
        let store = Store::open(&path).unwrap();
        assert_eq!((of(&store, "p1"), of(&store, "p2")), (vec![1], vec![2]));
    }

    #[test]
    fn a_file_that_lags_behind_catches_up_at_the_next_start() {
        let (folder, path, store) = some();
        write(&store, "p1", "recall", true);
        write(&store, "p1", "recall", true);
        let file = folder.path().join("lesions.log");
        std::fs::remove_file(&file).unwrap();
        drop(store);
        Store::open(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 2);
    }
}
