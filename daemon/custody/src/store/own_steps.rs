//! `own_steps`: performed procedure steps of the box's own exams and of its analyses, of which a manager (RIS) is told by MPPS. The row is there before
//! the first message, with the UID of the step: whatever is interrupted, the same step is told again and never a second one.
//!
//! ```text
//! nothing --N-CREATE--> begun --N-SET--> ended        N-SET only once what it says is written down
//!    ^--------------------'  the manager does not know the step any more
//! ```

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::standing::Standing;
use super::{Result, events};

/// What the manager was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Nothing,
    Begun,
    Ended,
}

/// What it is told next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// N-CREATE: the step is in progress.
    Begin,
    /// N-SET: it is completed or discontinued.
    End,
}

impl Told {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Begun => "begun",
            Self::Ended => "ended",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "nothing" => Self::Nothing,
            "begun" => Self::Begun,
            _ => Self::Ended,
        }
    }

    /// `has_end`: what the end says is written down. Pure.
    pub fn next(self, has_end: bool) -> Option<Message> {
        match (self, has_end) {
            // Also when the exam is over already: a step begins in progress, whatever comes later (PS3.4 section F.7.2.1.2).
            (Self::Nothing, _) => Some(Message::Begin),
            (Self::Begun, true) => Some(Message::End),
            (Self::Begun, false) | (Self::Ended, _) => None,
        }
    }
}

/// A step of which the manager is to be told more, now or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnStep {
    pub id: i64,
    /// The recording of an exam, or the name of an analysis.
    pub recording_uid: String,
    pub sop_uid: String,
    pub study_uid: String,
    /// JSON.
    pub begun: String,
    pub ended: Option<String>,
    pub told: Told,
    pub attempts: u32,
    pub forgotten: u32,
    pub next_utc: String,
    /// It is that of an analysis.
    pub is_analysis: bool,
}

/// A step as it begins.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    pub recording_uid: &'a str,
    pub sop_uid: &'a str,
    pub study_uid: &'a str,
    /// JSON.
    pub begun: &'a str,
    /// Of an analysis its job; `None`: of an exam.
    pub job_id: Option<i64>,
}

/// Writes a step down, unless the exam or the analysis has one. `true`: it is new.
///
/// # Errors
/// When the database fails (as for all below).
pub fn begin(transaction: &Transaction<'_>, new: &New<'_>, now: &str) -> Result<bool> {
    let changed = transaction.execute(
        "INSERT INTO own_steps (recording_uid, sop_uid, study_uid, begun, next_utc, created_utc, job_id) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6) ON CONFLICT DO NOTHING",
        params![new.recording_uid, new.sop_uid, new.study_uid, new.begun, now, new.job_id],
    )?;
    Ok(changed == 1)
}

/// What became of the exam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nobody is told of this exam.
    NotTold,
    /// Written down: the manager is to be told.
    New,
    /// The end was written down before: what a manager was told, or will be, stays as it is.
    Before,
}

/// Writes down how the step of an exam ended, once.
///
/// # Errors
/// When the database fails.
pub fn end(transaction: &Transaction<'_>, recording_uid: &str, ended: &str) -> Result<End> {
    let changed = transaction.execute(
        "UPDATE own_steps SET ended = ?2 WHERE recording_uid = ?1 AND ended IS NULL",
        [recording_uid, ended],
    )?;
    if changed == 1 {
        return Ok(End::New);
    }
    Ok(if is_known(transaction, recording_uid)? { End::Before } else { End::NotTold })
}

/// Whether the end that was written down before is this one.
///
/// # Errors
/// When the database fails.
pub fn says(connection: &Connection, recording_uid: &str, ended: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM own_steps WHERE recording_uid = ?1 AND ended = ?2)";
    Ok(connection.prepare_cached(sql)?.query_row([recording_uid, ended], |row| row.get(0))?)
}

/// # Errors
/// When the database fails.
pub fn is_known(connection: &Connection, recording_uid: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM own_steps WHERE recording_uid = ?1)";
    Ok(connection.prepare_cached(sql)?.query_row([recording_uid], |row| row.get(0))?)
}

/// The name under which the analysis of this job has begun.
///
/// # Errors
/// When the database fails.
pub fn name_of_job(connection: &Connection, job_id: i64) -> Result<Option<String>> {
    let sql = "SELECT recording_uid FROM own_steps WHERE job_id = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([job_id], |row| row.get(0)).optional()?)
}

const COLUMNS: &str =
    "id, recording_uid, sop_uid, study_uid, begun, ended, told, attempts, forgotten, next_utc, job_id IS NOT NULL";

fn read(row: &Row<'_>) -> rusqlite::Result<OwnStep> {
    Ok(OwnStep {
        id: row.get(0)?,
        recording_uid: row.get(1)?,
        sop_uid: row.get(2)?,
        study_uid: row.get(3)?,
        begun: row.get(4)?,
        ended: row.get(5)?,
        told: Told::parse(&row.get::<_, String>(6)?),
        attempts: row.get(7)?,
        forgotten: row.get(8)?,
        next_utc: row.get(9)?,
        is_analysis: row.get(10)?,
    })
}

/// There is something to tell. The first term is that of the index.
const OPEN: &str = "told <> 'ended' AND parked = 0 AND (told = 'nothing' OR (told = 'begun' AND ended IS NOT NULL))";

/// The first `limit` steps of which something is to be told now, in the order in which the exams began.
///
/// # Errors
/// When the database fails.
pub fn due(connection: &Connection, now: &str, limit: u32) -> Result<Vec<OwnStep>> {
    let sql = format!("SELECT {COLUMNS} FROM own_steps WHERE {OPEN} AND next_utc <= ?1 ORDER BY id LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_map(params![now, limit], read)?.collect::<rusqlite::Result<_>>()?)
}

/// # Errors
/// When the database fails.
pub fn get(connection: &Connection, id: i64) -> Result<Option<OwnStep>> {
    let sql = format!("SELECT {COLUMNS} FROM own_steps WHERE id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// When [`due`] has something next, UTC.
///
/// # Errors
/// When the database fails.
pub fn next_due(connection: &Connection) -> Result<Option<String>> {
    let sql = format!("SELECT min(next_utc) FROM own_steps WHERE {OPEN}");
    Ok(connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))?)
}

/// No pause leads beyond `latest`, as in `deliveries::not_after`.
///
/// # Errors
/// When the database fails.
pub fn not_after(connection: &Connection, latest: &str) -> Result<usize> {
    super::not_after(connection, ("own_steps", "next_utc"), OPEN, latest, None)
}

/// The manager has taken a message, or had it already. A remark is an event.
///
/// # Errors
/// When the database fails.
pub fn told(transaction: &Transaction<'_>, id: i64, told: Told, remark: Option<&str>, now: &str) -> Result<()> {
    transaction.execute(
        "UPDATE own_steps SET told = ?2, attempts = 0, parked = 0, reason = NULL, next_utc = ?3, told_utc = ?3 WHERE id = ?1",
        params![id, told.as_str(), now],
    )?;
    let sql = "SELECT job_id IS NOT NULL FROM own_steps WHERE id = ?1";
    let is_analysis: bool = transaction.prepare_cached(sql)?.query_row([id], |row| row.get(0))?;
    let what = match (told, is_analysis) {
        (Told::Begun, false) => "told that the exam began",
        (Told::Ended, false) => "told that the exam ended",
        (Told::Begun, true) => "told that the analysis began",
        (Told::Ended, true) => "told that the analysis ended",
        (Told::Nothing, _) => "told nothing",
    };
    events::record(transaction, &subject(id), what, remark.unwrap_or_default())
}

/// The manager does not know the step that it had taken: it is begun again, under the same UID.
///
/// # Errors
/// When the database fails.
pub fn forgotten(transaction: &Transaction<'_>, id: i64, reason: &str, next_utc: &str) -> Result<()> {
    transaction.execute(
        "UPDATE own_steps SET told = 'nothing', forgotten = forgotten + 1, reason = ?2, next_utc = ?3 WHERE id = ?1",
        params![id, reason, next_utc],
    )?;
    events::record(transaction, &subject(id), "the manager does not know the step", reason)
}

/// It was not taken, and is tried again at `next_utc`.
///
/// # Errors
/// When the database fails.
pub fn postponed(connection: &Connection, id: i64, reason: &str, next_utc: &str) -> Result<()> {
    connection.execute(
        "UPDATE own_steps SET attempts = attempts + 1, reason = ?2, next_utc = ?3 WHERE id = ?1",
        params![id, reason, next_utc],
    )?;
    Ok(())
}

/// Nothing can be told now, and why.
///
/// # Errors
/// When the database fails.
pub fn waits(connection: &Connection, reason: &str) -> Result<()> {
    connection.execute(&format!("UPDATE own_steps SET reason = ?1 WHERE {OPEN}"), [reason])?;
    Ok(())
}

/// The manager refuses it for good. People are told; it is tried again after the next start ([`unpark`]).
///
/// # Errors
/// When the database fails.
pub fn park(transaction: &Transaction<'_>, id: i64, reason: &str) -> Result<()> {
    transaction.execute("UPDATE own_steps SET parked = 1, reason = ?2 WHERE id = ?1", params![id, reason])?;
    events::record(transaction, &subject(id), "the manager refuses the step", reason)
}

/// After a start, when settings here or at the manager may have changed. Returns how many.
///
/// # Errors
/// When the database fails.
pub fn unpark(connection: &Connection, now: &str) -> Result<usize> {
    let sql = "UPDATE own_steps SET parked = 0, forgotten = 0, next_utc = ?1 WHERE parked = 1";
    Ok(connection.execute(sql, [now])?)
}

/// Something about the step of an exam that people may want to know.
///
/// # Errors
/// When the database fails.
pub fn note(connection: &Connection, recording_uid: &str, what: &str, detail: &str) -> Result<()> {
    let sql = "SELECT id FROM own_steps WHERE recording_uid = ?1";
    let id: Option<i64> = connection.prepare_cached(sql)?.query_row([recording_uid], |row| row.get(0)).optional()?;
    let Some(id) = id else { return Ok(()) };
    events::record(connection, &subject(id), what, detail)
}

fn subject(id: i64) -> String {
    format!("own step/{id}")
}

/// An exam that has not come to its results: since when the job of its newest version is parked, and why; no job at all when its
/// recording was never handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    pub recording_uid: String,
    /// State of its newest job, `done` included.
    pub job: Option<String>,
    pub finished_utc: Option<String>,
}

/// Steps of exams whose end is not written down, oldest first.
///
/// # Errors
/// When the database fails.
pub fn unfinished(connection: &Connection) -> Result<Vec<Unfinished>> {
    let mut statement = connection.prepare_cached(
        "SELECT o.recording_uid, j.state, j.finished_utc FROM own_steps o \
         LEFT JOIN series s ON s.series_uid = o.recording_uid AND s.study_uid = o.study_uid \
         LEFT JOIN jobs j ON j.id = (SELECT max(id) FROM jobs WHERE series_id = s.id AND task IS NULL) \
         WHERE o.told <> 'ended' AND o.ended IS NULL AND o.job_id IS NULL ORDER BY o.id",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Unfinished { recording_uid: row.get(0)?, job: row.get(1)?, finished_utc: row.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// An analysis whose end is not written down, and the state of its job; `None`: there is no such job any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAnalysis {
    pub name: String,
    pub job: Option<String>,
}

/// Steps of analyses whose end is not written down, oldest first.
///
/// # Errors
/// When the database fails.
pub fn open_analyses(connection: &Connection) -> Result<Vec<OpenAnalysis>> {
    let mut statement = connection.prepare_cached(
        "SELECT o.recording_uid, j.state FROM own_steps o LEFT JOIN jobs j ON j.id = o.job_id \
         WHERE o.told <> 'ended' AND o.ended IS NULL AND o.job_id IS NOT NULL ORDER BY o.id",
    )?;
    let rows = statement.query_map([], |row| Ok(OpenAnalysis { name: row.get(0)?, job: row.get(1)? }))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How much a manager is still to be told: the steps of which something is, since when, and those that it refuses.
///
/// # Errors
/// When the database fails.
pub fn standing(connection: &Connection) -> Result<Standing> {
    let sql = format!(
        "SELECT (SELECT count(*) FROM own_steps WHERE {OPEN}), (SELECT min(created_utc) FROM own_steps WHERE {OPEN}), \
         (SELECT count(*) FROM own_steps WHERE told <> 'ended' AND parked = 1), \
         (SELECT reason FROM own_steps WHERE reason IS NOT NULL AND told <> 'ended' ORDER BY parked DESC, id LIMIT 1)"
    );
    Standing::read(connection, &sql)
}

/// Removes all but the newest `keep` of those that were told to the end.
///
/// # Errors
/// When the database fails.
pub fn forget(connection: &Connection, keep: u32) -> Result<usize> {
    let old = "told = 'ended' AND id <= (SELECT max(id) FROM own_steps) - ?1";
    let any: bool = connection
        .prepare_cached(&format!("SELECT EXISTS (SELECT 1 FROM own_steps WHERE {old})"))?
        .query_row([keep], |row| row.get(0))?;
    if !any {
        return Ok(0);
    }
    Ok(connection.execute(&format!("DELETE FROM own_steps WHERE {old}"), [keep])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Store, now_utc};

    fn store() -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).unwrap();
        let rows = store.connect(Durability::Full).unwrap();
        (folder, rows)
    }

    fn new(number: &str) -> [String; 3] {
        [format!("2.25.{number}"), format!("2.26.{number}"), "{}".into()]
    }

    fn begun(rows: &mut Connection, number: &str) -> bool {
        let [recording_uid, sop_uid, json] = new(number);
        let new =
            New { recording_uid: &recording_uid, sop_uid: &sop_uid, study_uid: "1.2", begun: &json, job_id: None };
        let transaction = rows.transaction().unwrap();
        let is_new = begin(&transaction, &new, &now_utc()).unwrap();
        transaction.commit().unwrap();
        is_new
    }

    fn apply<T>(rows: &mut Connection, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> T {
        let transaction = rows.transaction().unwrap();
        let done = work(&transaction).unwrap();
        transaction.commit().unwrap();
        done
    }

    #[test]
    fn a_step_begins_before_it_ends_whenever_the_exam_is_over() {
        for (told, has_end, next) in [
            (Told::Nothing, false, Some(Message::Begin)),
            (Told::Nothing, true, Some(Message::Begin)),
            (Told::Begun, false, None),
            (Told::Begun, true, Some(Message::End)),
            (Told::Ended, true, None),
            (Told::Ended, false, None),
        ] {
            assert_eq!(told.next(has_end), next, "{told:?} {has_end}");
        }
    }

    #[test]
    fn an_exam_has_one_step_and_its_end_is_said_once() {
        let (_folder, mut rows) = store();
        assert!(begun(&mut rows, "1"));
        assert!(!begun(&mut rows, "1"), "the same exam again");
        assert_eq!(apply(&mut rows, |t| end(t, "2.25.1", "{\"a\":1}")), End::New);
        assert_eq!(apply(&mut rows, |t| end(t, "2.25.1", "{\"a\":2}")), End::Before);
        assert_eq!(apply(&mut rows, |t| end(t, "2.25.9", "{}")), End::NotTold);
        let step = &due(&rows, &now_utc(), 9).unwrap()[0];
        assert_eq!((step.ended.as_deref(), step.sop_uid.as_str()), (Some("{\"a\":1}"), "2.26.1"));
    }

    #[test]
    fn what_waits_is_told_in_the_order_of_the_exams_and_what_is_refused_keeps_nothing_else_waiting() {
        let (_folder, mut rows) = store();
        for number in ["1", "2", "3"] {
            begun(&mut rows, number);
        }
        let now = now_utc();
        let due_ids = |rows: &Connection| due(rows, &now_utc(), 9).unwrap().iter().map(|s| s.id).collect::<Vec<_>>();
        assert_eq!(due_ids(&rows), [1, 2, 3]);
        postponed(&rows, 1, "busy", "9999-01-01T00:00:00.000Z").unwrap();
        apply(&mut rows, |t| park(t, 2, "missing attribute"));
        assert_eq!(due_ids(&rows), [3]);
        let now_stands = standing(&rows).unwrap();
        assert_eq!((now_stands.waiting, now_stands.parked, now_stands.reason.as_str()), (2, 1, "missing attribute"));
        not_after(&rows, &now).unwrap();
        assert_eq!((unpark(&rows, &now).unwrap(), due_ids(&rows)), (1, vec![1, 2, 3]));
        apply(&mut rows, |t| told(t, 3, Told::Begun, None, &now));
        assert_eq!(due_ids(&rows), [1, 2], "it goes on");
        apply(&mut rows, |t| end(t, "2.25.3", "{}"));
        assert_eq!(due_ids(&rows), [1, 2, 3]);
        apply(&mut rows, |t| forgotten(t, 3, "no such instance", &now));
        assert_eq!(get(&rows, 3).unwrap().map(|step| (step.told, step.forgotten)), Some((Told::Nothing, 1)));
    }

    #[test]
    fn only_what_was_told_to_the_end_is_forgotten() {
        let (_folder, mut rows) = store();
        for number in ["1", "2", "3", "4"] {
            begun(&mut rows, number);
        }
        let now = now_utc();
        for id in [1, 3] {
            apply(&mut rows, |t| told(t, id, Told::Ended, None, &now));
        }
        assert_eq!(forget(&rows, 1).unwrap(), 2);
        assert!(is_known(&rows, "2.25.2").unwrap() && !is_known(&rows, "2.25.1").unwrap());
    }
}
