//! `notices`: who is to be told that the results of an analysis are available (Instance Availability Notification). A row is written once
//! no result of the job waits for an archive any more, with the UID under which it is told, whatever is interrupted. What was told and
//! does not count any more gets a row of its own, which withdraws it.

use rusqlite::{Connection, Row, Transaction, params};

use super::standing::Standing;
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
    /// The receiver may have it.
    pub sent: bool,
    /// It says that results are not available any more.
    pub withdraws: bool,
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
         AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.receiver = ?1 AND n.job_id = j.id AND n.withdraws IS NULL) \
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
        "INSERT INTO notices (receiver, job_id, study_uid, sop_uid, said, next_utc, created_utc) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT DO NOTHING",
        params![receiver, job_id, study_uid, sop_uid, said, now],
    )?;
    Ok(())
}

/// A notice that was sent, and of whose job results were rejected since it was looked at last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubted {
    pub id: i64,
    pub job_id: i64,
    pub sop_uid: String,
    /// JSON.
    pub said: String,
    /// JSON: what was withdrawn of it before.
    pub withdrawn: Vec<String>,
    rejected: i64,
}

/// Only of what is told, or closed after it was sent: while a notice waits, it is not known what the receiver has.
///
/// # Errors
/// When the database fails.
pub fn doubted(connection: &Connection, receiver: &str) -> Result<Vec<Doubted>> {
    let mut statement = connection.prepare_cached(
        "SELECT n.id, n.job_id, n.sop_uid, n.said, \
                (SELECT count(*) FROM results r WHERE r.job_id = n.job_id AND r.rejected IS NOT NULL) AS now \
         FROM notices n WHERE n.receiver = ?1 AND n.state = 'told' AND n.sent = 1 AND n.withdraws IS NULL AND now <> n.rejected \
         ORDER BY n.id",
    )?;
    let read = |row: &Row<'_>| {
        let (id, job_id, sop_uid, said, rejected) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok(Doubted { id, job_id, sop_uid, said, withdrawn: Vec::new(), rejected })
    };
    let mut all: Vec<Doubted> = statement.query_map([receiver], read)?.collect::<rusqlite::Result<_>>()?;
    let mut statement = connection.prepare_cached("SELECT said FROM notices WHERE withdraws = ?1 ORDER BY id")?;
    for one in &mut all {
        one.withdrawn = statement.query_map([one.id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    }
    Ok(all)
}

/// Whether a result that an archive has was rejected, or is of images that were replaced. One that was evicted here is not.
///
/// # Errors
/// When the database fails.
pub fn is_rejected(connection: &Connection, sop_uid: &str) -> Result<bool> {
    let sql = "SELECT count(*) > 0 AND min(rejected IS NOT NULL) FROM results WHERE sop_uid = ?1";
    let is = connection.prepare_cached(sql)?.query_row([sop_uid], |row| row.get::<_, Option<bool>>(0))?;
    Ok(is.unwrap_or_default())
}

/// It was looked at. `withdrawal`: UID and content of what is to be told, if anything is; in the same transaction, so that nothing is
/// withdrawn twice nor forgotten.
///
/// # Errors
/// When the database fails.
pub fn judged(
    transaction: &Transaction<'_>,
    doubted: &Doubted,
    withdrawal: Option<(&str, &str)>,
    now: &str,
) -> Result<()> {
    if let Some((sop_uid, said)) = withdrawal {
        transaction.execute(
            "INSERT INTO notices (receiver, job_id, study_uid, sop_uid, said, next_utc, created_utc, withdraws) \
             SELECT receiver, job_id, study_uid, ?2, ?3, ?4, ?4, id FROM notices WHERE id = ?1 ON CONFLICT DO NOTHING",
            params![doubted.id, sop_uid, said, now],
        )?;
    }
    let sql = "UPDATE notices SET rejected = ?2 WHERE id = ?1";
    transaction.execute(sql, params![doubted.id, doubted.rejected])?;
    Ok(())
}

/// The first message is about to leave and says this; later ones say this or a part of it.
///
/// # Errors
/// When the database fails.
pub fn sends(connection: &Connection, id: i64, said: &str) -> Result<()> {
    connection.execute("UPDATE notices SET sent = 1, said = ?2 WHERE id = ?1 AND sent = 0", params![id, said])?;
    Ok(())
}

/// What waits to be told, and what is refused.
///
/// # Errors
/// When the database fails.
pub fn standing(connection: &Connection) -> Result<Standing> {
    let sql = "SELECT (SELECT count(*) FROM notices WHERE state = 'waiting'), (SELECT min(created_utc) FROM notices WHERE state = 'waiting'), \
               (SELECT count(*) FROM notices WHERE state = 'parked'), \
               (SELECT reason FROM notices WHERE state <> 'told' AND reason IS NOT NULL ORDER BY state = 'parked' DESC, id LIMIT 1)";
    Standing::read(connection, sql)
}

/// # Errors
/// When the database fails.
pub fn due(connection: &Connection, receiver: &str, now: &str, limit: u32) -> Result<Vec<NoticeRow>> {
    let sql = "SELECT id, sop_uid, said, attempts, sent, withdraws IS NOT NULL FROM notices \
               WHERE receiver = ?1 AND state = 'waiting' AND next_utc <= ?2 ORDER BY id LIMIT ?3";
    let read = |row: &Row<'_>| {
        Ok(NoticeRow {
            id: row.get(0)?,
            sop_uid: row.get(1)?,
            said: row.get(2)?,
            attempts: row.get(3)?,
            sent: row.get(4)?,
            withdraws: row.get(5)?,
        })
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
    let sql = "SELECT receiver, withdraws IS NOT NULL FROM notices WHERE id = ?1";
    let (receiver, withdraws): (String, bool) =
        transaction.prepare_cached(sql)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let what = match (end, withdraws) {
        (End::Told, false) => "told that results are available",
        (End::Nothing, false) => "not told that results are available",
        (End::Parked, false) => "a notice that results are available is refused",
        (End::Told, true) => "told that results are not available any more",
        (End::Nothing, true) => "not told that results are not available any more",
        (End::Parked, true) => "a notice that results are not available any more is refused",
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
