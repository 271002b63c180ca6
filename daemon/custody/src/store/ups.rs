//! `ups_tasks`: tasks of a manager (Unified Procedure Steps) that this box performs. The row is there before the claim, with the
//! transaction UID under which the box claims the task: whatever is interrupted, the same claim is made again and never a second one.
//!
//! ```text
//! claiming --claimed--> working --what came of it is written--> ending --told--> closed
//!     |  ^-----------------'  the manager does not know of the claim
//!     '--> closed             somebody else has it, or it is gone
//! ```

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Result, events};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is to be claimed, or was: the answer is not known.
    Claiming,
    Working,
    /// What came of it is written down, and to be told.
    Ending,
    Closed,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claiming => "claiming",
            Self::Working => "working",
            Self::Ending => "ending",
            Self::Closed => "closed",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "claiming" => Self::Claiming,
            "working" => Self::Working,
            "ending" => Self::Ending,
            _ => Self::Closed,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    pub id: i64,
    pub sop_uid: String,
    pub transaction_uid: String,
    pub study_uid: String,
    /// What the manager says of it, as JSON; it names the patient.
    pub task: String,
    pub state: State,
    /// So long its input is waited for.
    pub until_utc: String,
    /// When the claim was taken; empty before that.
    pub started_utc: String,
    /// Per cent, as it was told last.
    pub progress: u8,
    /// What came of it, as JSON.
    pub ended: Option<String>,
    /// Failures since the last message that was taken.
    pub attempts: u32,
    pub reason: Option<String>,
}

const COLUMNS: &str =
    "id, sop_uid, transaction_uid, study_uid, task, state, until_utc, started_utc, progress, ended, attempts, reason";

fn read(row: &Row<'_>) -> rusqlite::Result<TaskRow> {
    Ok(TaskRow {
        id: row.get(0)?,
        sop_uid: row.get(1)?,
        transaction_uid: row.get(2)?,
        study_uid: row.get(3)?,
        task: row.get(4)?,
        state: State::parse(&row.get::<_, String>(5)?),
        until_utc: row.get(6)?,
        started_utc: row.get(7)?,
        progress: row.get(8)?,
        ended: row.get(9)?,
        attempts: row.get(10)?,
        reason: row.get(11)?,
    })
}

/// A task as it is taken.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    pub sop_uid: &'a str,
    pub transaction_uid: &'a str,
    pub study_uid: &'a str,
    pub task: &'a str,
    pub until_utc: &'a str,
}

/// Writes a task down before it is claimed, unless it is known. `true`: it is new.
///
/// # Errors
/// When the database fails (as for all below).
pub fn take(transaction: &Transaction<'_>, new: &New<'_>, now: &str) -> Result<bool> {
    let changed = transaction.execute(
        "INSERT INTO ups_tasks (sop_uid, transaction_uid, study_uid, task, until_utc, created_utc) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        params![new.sop_uid, new.transaction_uid, new.study_uid, new.task, new.until_utc, now],
    )?;
    Ok(changed == 1)
}

/// All that are not closed, in the order in which they were taken.
///
/// # Errors
/// When the database fails.
pub fn open(connection: &Connection) -> Result<Vec<TaskRow>> {
    let sql = format!("SELECT {COLUMNS} FROM ups_tasks WHERE state <> 'closed' ORDER BY id");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_map([], read)?.collect::<rusqlite::Result<_>>()?)
}

/// # Errors
/// When the database fails.
pub fn find(connection: &Connection, sop_uid: &str) -> Result<Option<TaskRow>> {
    let sql = format!("SELECT {COLUMNS} FROM ups_tasks WHERE sop_uid = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([sop_uid], read).optional()?)
}

/// The manager has taken our claim.
///
/// # Errors
/// When the database fails.
pub fn claimed(transaction: &Transaction<'_>, id: i64, now: &str) -> Result<()> {
    transaction.execute(
        "UPDATE ups_tasks SET state = 'working', attempts = 0, reason = NULL, \
         started_utc = CASE started_utc WHEN '' THEN ?2 ELSE started_utc END WHERE id = ?1 AND state = 'claiming'",
        params![id, now],
    )?;
    events::record(transaction, &subject(id), "claimed a task", "")
}

/// The manager does not know of the claim: it is made again, under the same transaction UID.
///
/// # Errors
/// When the database fails.
pub fn forgotten(transaction: &Transaction<'_>, id: i64, reason: &str) -> Result<()> {
    let sql = "UPDATE ups_tasks SET state = 'claiming', attempts = attempts + 1, reason = ?2 WHERE id = ?1 AND state <> 'closed'";
    transaction.execute(sql, params![id, reason])?;
    events::record(transaction, &subject(id), "the manager does not know of the claim", reason)
}

/// The manager knows how far it is.
///
/// # Errors
/// When the database fails.
pub fn progressed(connection: &Connection, id: i64, progress: u8) -> Result<()> {
    connection.execute(
        "UPDATE ups_tasks SET progress = ?2, attempts = 0, reason = NULL WHERE id = ?1",
        params![id, progress],
    )?;
    Ok(())
}

/// Writes down what came of it, once: what a manager was told, or will be, stays as it is.
///
/// # Errors
/// When the database fails.
pub fn end(transaction: &Transaction<'_>, id: i64, ended: &str, words: &str) -> Result<()> {
    let sql = "UPDATE ups_tasks SET state = 'ending', ended = ?2, attempts = 0 WHERE id = ?1 AND ended IS NULL";
    if transaction.execute(sql, params![id, ended])? == 1 {
        events::record(transaction, &subject(id), "a task has ended", words)?;
    }
    Ok(())
}

/// A claim of a task whose end is written down was made again: it ends.
///
/// # Errors
/// When the database fails.
pub fn goes_on(connection: &Connection, id: i64) -> Result<()> {
    let sql = "UPDATE ups_tasks SET state = 'ending' WHERE id = ?1 AND state = 'working' AND ended IS NOT NULL";
    connection.execute(sql, [id])?;
    Ok(())
}

/// A message was not taken; it is sent again.
///
/// # Errors
/// When the database fails.
pub fn failed(connection: &Connection, id: i64, reason: &str) -> Result<()> {
    connection
        .execute("UPDATE ups_tasks SET attempts = attempts + 1, reason = ?2 WHERE id = ?1", params![id, reason])?;
    Ok(())
}

/// Nothing more is told of it.
///
/// # Errors
/// When the database fails.
pub fn close(transaction: &Transaction<'_>, id: i64, what: &str, reason: &str, now: &str) -> Result<()> {
    let sql = "UPDATE ups_tasks SET state = 'closed', reason = ?2, closed_utc = ?3 WHERE id = ?1";
    transaction.execute(sql, params![id, reason, now])?;
    events::record(transaction, &subject(id), what, reason)
}

/// Tasks that are not closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    pub claiming: u32,
    pub working: u32,
    pub ending: u32,
    /// When the oldest of them was taken; empty when there is none.
    pub oldest_utc: String,
    /// Why the manager did not take the last message about the first of them that is not taken; empty when all is well.
    pub reason: String,
}

/// # Errors
/// When the database fails.
pub fn standing(connection: &Connection) -> Result<Standing> {
    let sql = "SELECT coalesce(sum(state = 'claiming'), 0), coalesce(sum(state = 'working'), 0), coalesce(sum(state = 'ending'), 0), \
               min(created_utc), \
               (SELECT reason FROM ups_tasks WHERE state <> 'closed' AND attempts > 0 AND reason IS NOT NULL ORDER BY id LIMIT 1) \
               FROM ups_tasks WHERE state <> 'closed'";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| {
        Ok(Standing {
            claiming: row.get(0)?,
            working: row.get(1)?,
            ending: row.get(2)?,
            oldest_utc: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
            reason: row.get::<_, Option<String>>(4)?.unwrap_or_default(),
        })
    })?)
}

fn subject(id: i64) -> String {
    format!("task/{id}")
}

/// Removes all but the newest `keep` of those that are closed.
///
/// # Errors
/// When the database fails.
pub fn forget(connection: &Connection, keep: u32) -> Result<usize> {
    let sql = "DELETE FROM ups_tasks WHERE state = 'closed' AND id <= (SELECT max(id) FROM ups_tasks) - ?1";
    Ok(connection.execute(sql, [keep])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Store, now_utc};

    fn apply<T>(rows: &mut Connection, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> T {
        let transaction = rows.transaction().unwrap();
        let done = work(&transaction).unwrap();
        transaction.commit().unwrap();
        done
    }

    /// Promise: a task is claimed under one transaction UID, and what came of it is said once.
    #[test]
    fn a_task_has_one_claim_and_one_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).unwrap();
        let mut rows = store.connect(Durability::Full).unwrap();
        let now = now_utc();
        let new = |transaction_uid| New { sop_uid: "1.1", transaction_uid, study_uid: "1", task: "{}", until_utc: "9" };
        assert!(apply(&mut rows, |t| take(t, &new("2.1"), &now)));
        assert!(!apply(&mut rows, |t| take(t, &new("2.2"), &now)), "it is known");
        apply(&mut rows, |t| claimed(t, 1, &now));
        progressed(&rows, 1, 50).unwrap();
        let working = &open(&rows).unwrap()[0];
        assert_eq!((working.state, working.transaction_uid.as_str(), working.progress), (State::Working, "2.1", 50));
        apply(&mut rows, |t| end(t, 1, "first", ""));
        apply(&mut rows, |t| end(t, 1, "second", ""));
        apply(&mut rows, |t| forgotten(t, 1, "no claim"));
        apply(&mut rows, |t| claimed(t, 1, "later"));
        goes_on(&rows, 1).unwrap();
        let ending = find(&rows, "1.1").unwrap().unwrap();
        assert_eq!((ending.state, ending.ended.as_deref()), (State::Ending, Some("first")));
        assert_eq!(ending.started_utc, now, "when it was claimed first");
        assert_eq!(forget(&rows, 0).unwrap(), 0, "it is open");
        apply(&mut rows, |t| close(t, 1, "a task was completed", "", &now));
        assert!(open(&rows).unwrap().is_empty() && forget(&rows, 1).unwrap() == 0 && forget(&rows, 0).unwrap() == 1);
    }
}
