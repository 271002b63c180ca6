//! `notices`: who is to be told that the results of an analysis are available (Instance Availability Notification). A row is written once
//! no result of the job waits for an archive any more, with the UID under which it is told, whatever is interrupted.

use rusqlite::{Connection, Row, Transaction, params};

use super::{Result, events};

/// Of a job: newer ones are looked at, so that a receiver is not told of all that ever was. A delivery that waits behind more jobs than these
/// is told to nobody.
const NEWEST: i64 = 2000;

/// A notice that is to be told, now or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeRow {
    pub id: i64,
    pub sop_uid: String,
    /// JSON.
    pub said: String,
    pub attempts: u32,
}

/// A receiver hears of what is analysed from now on.
///
/// # Errors
/// When the database fails (as for all below).
pub fn begin(connection: &Connection, receiver: &str) -> Result<()> {
    connection.execute(
        "INSERT INTO notice_receivers (receiver, after_job) \
         VALUES (?1, (SELECT coalesce(max(id), 0) FROM jobs WHERE state = 'done')) ON CONFLICT DO NOTHING",
        [receiver],
    )?;
    Ok(())
}

/// Jobs of whose results a receiver is to be told and no notice is written: at least one is delivered, and none waits.
///
/// # Errors
/// When the database fails.
pub fn new(connection: &Connection, receiver: &str) -> Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(
        "SELECT j.id FROM jobs j JOIN notice_receivers b ON b.receiver = ?1 \
         WHERE j.id > b.after_job AND j.id > (SELECT max(id) FROM jobs) - ?2 AND j.state = 'done' \
         AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.receiver = ?1 AND n.job_id = j.id) \
         AND EXISTS (SELECT 1 FROM results r JOIN deliveries d ON d.result_id = r.id \
                     WHERE r.job_id = j.id AND d.state = 'delivered') \
         AND NOT EXISTS (SELECT 1 FROM results r JOIN deliveries d ON d.result_id = r.id \
                         WHERE r.job_id = j.id AND d.state = 'pending') ORDER BY j.id",
    )?;
    let ids = statement.query_map(params![receiver, NEWEST], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// Writes a notice down, once.
///
/// # Errors
/// When the database fails.
pub fn write(
    transaction: &Transaction<'_>,
    (receiver, job_id): (&str, i64),
    study_uid: &str,
    sop_uid: &str,
    said: &str,
    now: &str,
) -> Result<()> {
    transaction.execute(
        "INSERT INTO notices (receiver, job_id, study_uid, sop_uid, said, next_utc) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        params![receiver, job_id, study_uid, sop_uid, said, now],
    )?;
    Ok(())
}

/// # Errors
/// When the database fails.
pub fn due(connection: &Connection, receiver: &str, now: &str, limit: u32) -> Result<Vec<NoticeRow>> {
    let sql = "SELECT id, sop_uid, said, attempts FROM notices \
               WHERE receiver = ?1 AND state = 'waiting' AND next_utc <= ?2 ORDER BY id LIMIT ?3";
    let read = |row: &Row<'_>| {
        Ok(NoticeRow { id: row.get(0)?, sop_uid: row.get(1)?, said: row.get(2)?, attempts: row.get(3)? })
    };
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_map(params![receiver, now, limit], read)?.collect::<rusqlite::Result<_>>()?)
}

/// No pause leads beyond `latest`, as in `deliveries::not_after`.
///
/// # Errors
/// When the database fails.
pub fn not_after(connection: &Connection, latest: &str) -> Result<usize> {
    super::not_after(connection, ("notices", "next_utc"), "state = 'waiting'", latest, None)
}

/// It was not taken, and is told again.
///
/// # Errors
/// When the database fails.
pub fn postponed(connection: &Connection, id: i64, reason: &str, next_utc: &str) -> Result<()> {
    let sql = "UPDATE notices SET attempts = attempts + 1, reason = ?2, next_utc = ?3 WHERE id = ?1";
    connection.execute(sql, params![id, reason, next_utc])?;
    Ok(())
}

/// What became of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was taken.
    Told,
    /// There is nothing to tell: it is closed.
    Nothing,
    /// It is refused for good: told again after the next start.
    Parked,
}

/// # Errors
/// When the database fails.
pub fn over(transaction: &Transaction<'_>, id: i64, end: End, reason: &str) -> Result<()> {
    let state = if end == End::Parked { "parked" } else { "told" };
    transaction.execute("UPDATE notices SET state = ?2, reason = ?3 WHERE id = ?1", params![id, state, reason])?;
    let sql = "SELECT receiver FROM notices WHERE id = ?1";
    let receiver: String = transaction.prepare_cached(sql)?.query_row([id], |row| row.get(0))?;
    let what = match end {
        End::Told => "told that results are available",
        End::Nothing => "not told that results are available",
        End::Parked => "a notice that results are available is refused",
    };
    events::record(transaction, &format!("notice/{id}"), what, &format!("{receiver} {reason}"))
}

/// After a start.
///
/// # Errors
/// When the database fails.
pub fn unpark(connection: &Connection, now: &str) -> Result<usize> {
    Ok(connection.execute("UPDATE notices SET state = 'waiting', next_utc = ?1 WHERE state = 'parked'", [now])?)
}

/// Removes those that were told long ago; their jobs are older than those that are looked at.
///
/// # Errors
/// When the database fails.
pub fn forget(connection: &Connection) -> Result<usize> {
    let sql = "DELETE FROM notices WHERE state = 'told' AND job_id <= (SELECT max(id) FROM jobs) - ?1";
    Ok(connection.execute(sql, [NEWEST])?)
}
