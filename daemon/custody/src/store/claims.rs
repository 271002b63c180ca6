//! Claims of tasks (`ups`) in a file beside the database. Only whoever has the transaction UID of a claim may end the task: when the
//! database is built again from the custody log, which knows no claims, they come back from here before the manager is asked for
//! anything. A task that is closed has no line: it is final at the manager, or somebody else's.

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::{Result, Store, lines};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    sop_uid: String,
    transaction_uid: String,
    study_uid: String,
    task: String,
    until_utc: String,
    created_utc: String,
    started_utc: String,
    /// It was written once, and the manager may have it: nothing else is said after it came back.
    ended: Option<String>,
}

const COLUMNS: &str = "sop_uid, transaction_uid, study_uid, task, until_utc, created_utc, started_utc, ended";
const FILE: lines::Beside = lines::Beside { name: "claims.log", subject: "tasks", what: "claims of tasks" };

fn read(row: &Row<'_>) -> rusqlite::Result<Line> {
    Ok(Line {
        sop_uid: row.get(0)?,
        transaction_uid: row.get(1)?,
        study_uid: row.get(2)?,
        task: row.get(3)?,
        until_utc: row.get(4)?,
        created_utc: row.get(5)?,
        started_utc: row.get(6)?,
        ended: row.get(7)?,
    })
}

/// Says whether it was not there yet. What it was at, the manager says: it is claimed again under the same transaction UID.
fn put(connection: &Connection, line: &Line) -> Result<bool> {
    let sql = format!("INSERT OR IGNORE INTO ups_tasks ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    let Line { sop_uid, transaction_uid, study_uid, task, until_utc, created_utc, started_utc, ended } = line;
    let values = params![sop_uid, transaction_uid, study_uid, task, until_utc, created_utc, started_utc, ended];
    Ok(connection.prepare_cached(&sql)?.execute(values)? > 0)
}

fn all_lines(connection: &Connection) -> Result<Vec<Line>> {
    let sql = format!("SELECT {COLUMNS} FROM ups_tasks WHERE state <> 'closed' ORDER BY id");
    Ok(connection.prepare_cached(&sql)?.query_map([], read)?.collect::<rusqlite::Result<_>>()?)
}

impl Store {
    /// Brings the file beside the database up to date. Blocks until it is on the disk. A failure is logged, since the database
    /// has the claims and the next call writes them.
    pub fn mirror_claims(&self, connection: &Connection) {
        FILE.mirror(&self.path, || all_lines(connection));
    }

    pub(super) fn restore_claims(&self, connection: &mut Connection) -> Result<()> {
        FILE.restore(&self.path, connection, all_lines, put)
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::lose_database;
    use super::*;
    use crate::store::ups::{self, New, State};
    use crate::store::{Durability, now_utc};

    fn claim(store: &Store, sop_uid: &str, transaction_uid: &str) {
        let mut rows = store.connect(Durability::Full).unwrap();
        let transaction = rows.transaction().unwrap();
        let new = New { sop_uid, transaction_uid, study_uid: "1", task: "{}", until_utc: "9" };
        assert!(ups::take(&transaction, &new, &now_utc()).unwrap());
        transaction.commit().unwrap();
        store.mirror_claims(&rows);
    }

    #[test]
    fn a_claim_outlives_the_database_with_its_transaction_uid_and_what_came_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        let store = Store::open(&path).unwrap();
        for (sop_uid, transaction_uid) in [("1.1", "2.1"), ("1.2", "2.2"), ("1.3", "2.3")] {
            claim(&store, sop_uid, transaction_uid);
        }
        let mut rows = store.connect(Durability::Full).unwrap();
        let transaction = rows.transaction().unwrap();
        ups::claimed(&transaction, 1, "then").unwrap();
        ups::end(&transaction, 1, "came of it", "").unwrap();
        ups::close(&transaction, 3, "a task was completed", "", &now_utc()).unwrap();
        transaction.commit().unwrap();
        store.mirror_claims(&rows);
        drop((rows, store));
        lose_database(folder.path());

        let store = Store::open(&path).unwrap();
        let open = ups::open(&store.connect(Durability::Full).unwrap()).unwrap();
        let known: Vec<_> =
            open.iter().map(|row| (row.sop_uid.as_str(), row.transaction_uid.as_str(), row.state)).collect();
        assert_eq!(known, [("1.1", "2.1", State::Claiming), ("1.2", "2.2", State::Claiming)], "the third is closed");
        assert_eq!((open[0].ended.as_deref(), open[0].started_utc.as_str()), (Some("came of it"), "then"));
        assert!(folder.path().join("claims.log").exists());
    }

    #[test]
    fn a_claim_that_the_database_knows_stays_as_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        let store = Store::open(&path).unwrap();
        claim(&store, "1.1", "2.1");
        // Killed between the commit and the file.
        store.connect(Durability::Full).unwrap().execute("UPDATE ups_tasks SET state = 'closed'", []).unwrap();
        drop(store);
        let store = Store::open(&path).unwrap();
        assert!(ups::open(&store.connect(Durability::Full).unwrap()).unwrap().is_empty(), "it is not opened again");
        assert_eq!(std::fs::read_to_string(folder.path().join("claims.log")).unwrap(), "");
    }
}
