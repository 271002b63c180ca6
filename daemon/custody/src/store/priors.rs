//! `prior_questions`: the question to an archive for an earlier study of a person, one for each new study; `fetched_series`: what was
//! fetched. Both rows are there before anything is asked or received, so that nothing is asked twice or forgotten by a restart.
//!
//! ```text
//! asking --the prior is here--> reading --it has its verdict--> closed      any state --the time is over--> closed
//! ```

use dicom::header::Header;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Result, events};
use crate::instance::Origin;
use crate::series::SeriesKey;

/// How far a question is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The archive is to be asked, or is being asked.
    Asking,
    /// The prior is here and is read before the new study.
    Reading(SeriesKey),
    Closed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Of the new study, and the series of it that is to be compared.
    pub key: SeriesKey,
    pub state: State,
    /// The new study waits no longer than this.
    pub until_utc: String,
    pub attempts: u32,
    /// What went wrong last; when closed what became of it.
    pub reason: String,
    /// A person should know that there is no comparison, and why.
    pub trouble: bool,
    pub created_utc: String,
    pub closed_utc: Option<String>,
    /// The newest job when it was asked.
    pub newest_job: i64,
}

const COLUMNS: &str = "study_uid, series_uid, state, until_utc, attempts, reason, trouble, prior_study_uid, prior_series_uid, \
                       created_utc, closed_utc, newest_job";

fn read(row: &Row<'_>) -> rusqlite::Result<Question> {
    let state: String = row.get(2)?;
    let prior: (Option<String>, Option<String>) = (row.get(7)?, row.get(8)?);
    Ok(Question {
        key: SeriesKey { study_uid: row.get(0)?, series_uid: row.get(1)? },
        state: match (state.as_str(), prior) {
            ("asking", _) => State::Asking,
            ("reading", (Some(study_uid), Some(series_uid))) => State::Reading(SeriesKey { study_uid, series_uid }),
            _ => State::Closed,
        },
        until_utc: row.get(3)?,
        attempts: row.get(4)?,
        reason: row.get(5)?,
        trouble: row.get(6)?,
        created_utc: row.get(9)?,
        closed_utc: row.get(10)?,
        newest_job: row.get(11)?,
    })
}

/// # Errors
/// When the database fails (as for all below).
pub fn get(connection: &Connection, study_uid: &str) -> Result<Option<Question>> {
    let sql = format!("SELECT {COLUMNS} FROM prior_questions WHERE study_uid = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([study_uid], read).optional()?)
}

/// Asks for a prior of this study, again if that was closed. For all jobs that there are now.
///
/// # Errors
/// When the database fails.
pub fn ask(transaction: &Transaction<'_>, key: &SeriesKey, until_utc: &str, now: &str) -> Result<()> {
    transaction.execute(
        "INSERT OR REPLACE INTO prior_questions (study_uid, series_uid, state, until_utc, created_utc, newest_job) \
         VALUES (?1, ?2, 'asking', ?3, ?4, (SELECT coalesce(max(id), 0) FROM jobs))",
        params![key.study_uid, key.series_uid, until_utc, now],
    )?;
    Ok(())
}

/// The questions that are open, the oldest first.
///
/// # Errors
/// When the database fails.
pub fn open(connection: &Connection) -> Result<Vec<Question>> {
    let sql = format!("SELECT {COLUMNS} FROM prior_questions WHERE state <> 'closed' ORDER BY created_utc, study_uid");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_map([], read)?.collect::<rusqlite::Result<_>>()?)
}

/// The question failed and is asked again.
///
/// # Errors
/// When the database fails.
pub fn failed(connection: &Connection, study_uid: &str, reason: &str) -> Result<()> {
    connection.execute(
        "UPDATE prior_questions SET attempts = attempts + 1, reason = ?2 WHERE study_uid = ?1 AND state = 'asking'",
        params![study_uid, reason],
    )?;
    Ok(())
}

/// Reason of a question while its prior is being sent.
pub const SENDING: &str = "its images are being sent";

/// A series is about to be received for this question. `false`: somebody has sent something of it already, or is sending it: it is not
/// to be fetched.
///
/// # Errors
/// When the database fails.
pub fn fetching(transaction: &Transaction<'_>, study_uid: &str, prior: &SeriesKey, now: &str) -> Result<bool> {
    let was_sent = "SELECT EXISTS (SELECT 1 FROM instances WHERE study_uid = ?1 AND series_uid = ?2 AND state = 'kept') \
                    AND NOT EXISTS (SELECT 1 FROM fetched_series WHERE study_uid = ?1 AND series_uid = ?2 AND sent_by IS NULL)";
    if transaction.query_row(was_sent, [&prior.study_uid, &prior.series_uid], |row| row.get(0))? {
        return Ok(false);
    }
    transaction.execute(
        "INSERT INTO fetched_series (study_uid, series_uid, begun_utc) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET images = NULL",
        params![prior.study_uid, prior.series_uid, now],
    )?;
    let sql = "UPDATE prior_questions SET reason = ?2 WHERE study_uid = ?1 AND state = 'asking'";
    transaction.execute(sql, params![study_uid, SENDING])?;
    Ok(true)
}

/// Nothing is being fetched now: what was has come to its end, however. Of what nothing came no mark stays.
///
/// # Errors
/// When the database fails.
pub fn nothing_is_fetched(connection: &Connection) -> Result<()> {
    let any = "SELECT EXISTS (SELECT 1 FROM fetched_series WHERE images IS NULL)";
    if connection.query_row(any, [], |row| row.get(0))? {
        connection.execute_batch(
            // Not what was found after the database was built again: its number is 0, too.
            "DELETE FROM fetched_series WHERE images IS NULL AND NOT EXISTS (SELECT 1 FROM instances i \
               WHERE i.study_uid = fetched_series.study_uid AND i.series_uid = fetched_series.series_uid AND i.state = 'kept'); \
             UPDATE fetched_series SET images = (SELECT count(*) FROM instances i WHERE i.study_uid = fetched_series.study_uid \
               AND i.series_uid = fetched_series.series_uid AND i.state = 'kept') WHERE images IS NULL",
        )?;
    }
    Ok(())
}

/// Somebody has sent this object, which was not asked for: the series is like any other from now on, and also that under which the
/// same object was fetched. Its results may wait for that: see [`to_be_settled`].
///
/// # Errors
/// When the database fails.
pub fn sent(transaction: &Transaction<'_>, header: &Header, by: &str) -> Result<()> {
    let any = "SELECT EXISTS (SELECT 1 FROM fetched_series)";
    if !transaction.prepare_cached(any)?.query_row([], |row| row.get::<_, bool>(0))? {
        return Ok(());
    }
    let sql = "UPDATE fetched_series SET sent_by = ?3 WHERE study_uid = ?1 AND series_uid = ?2 AND sent_by IS NULL";
    let mut statement = transaction.prepare_cached(sql)?;
    statement.execute(params![header.study_instance_uid, header.series_instance_uid, by])?;
    let known = "SELECT DISTINCT study_uid, series_uid FROM instances WHERE sop_uid = ?1 AND state <> 'quarantined'";
    let mut known = transaction.prepare_cached(known)?;
    let keys = known.query_map([&header.sop_instance_uid], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (study_uid, series_uid) in keys.collect::<rusqlite::Result<Vec<(String, String)>>>()? {
        statement.execute(params![study_uid, series_uid, by])?;
    }
    Ok(())
}

/// An instance is found in the custody log of which the database knows nothing. When it is the first of a series that was fetched the
/// mark is made again: nobody knows whether it is whole, nor whether somebody has sent it, too.
///
/// # Errors
/// When the database fails.
pub fn found(connection: &Connection, header: &Header, origin: &Origin, received_utc: &str) -> Result<()> {
    let sql = if origin.asked_for {
        "INSERT OR IGNORE INTO fetched_series (study_uid, series_uid, images, begun_utc, stays) SELECT ?1, ?2, 0, ?3, 0 \
         WHERE NOT EXISTS (SELECT 1 FROM instances WHERE study_uid = ?1 AND series_uid = ?2)"
    } else {
        "UPDATE fetched_series SET sent_by = coalesce(sent_by, ?3) WHERE study_uid = ?1 AND series_uid = ?2"
    };
    let last = if origin.asked_for { received_utc } else { &origin.calling_ae };
    connection.prepare_cached(sql)?.execute(params![header.study_instance_uid, header.series_instance_uid, last])?;
    Ok(())
}

/// A series that was fetched, and sent by somebody since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub key: SeriesKey,
    /// AE title.
    pub by: String,
}

/// Those whose results are still to be queued for delivery.
///
/// # Errors
/// When the database fails.
pub fn to_be_settled(connection: &Connection) -> Result<Vec<Sent>> {
    let sql = "SELECT study_uid, series_uid, sent_by FROM fetched_series WHERE sent_by IS NOT NULL";
    let read = |row: &Row<'_>| {
        Ok(Sent { key: SeriesKey { study_uid: row.get(0)?, series_uid: row.get(1)? }, by: row.get(2)? })
    };
    Ok(connection.prepare_cached(sql)?.query_map([], read)?.collect::<rusqlite::Result<_>>()?)
}

/// The mark of a series goes.
///
/// # Errors
/// When the database fails.
pub fn settled(transaction: &Transaction<'_>, key: &SeriesKey) -> Result<()> {
    let sql = "DELETE FROM fetched_series WHERE study_uid = ?1 AND series_uid = ?2";
    transaction.execute(sql, [&key.study_uid, &key.series_uid])?;
    Ok(())
}

/// The prior is here, whole; the new study waits until it is read, and no longer than `until_utc`. Nothing happens to a question
/// that was closed meanwhile: the prior is for the next time.
///
/// # Errors
/// When the database fails.
pub fn here(transaction: &Transaction<'_>, study_uid: &str, prior: &SeriesKey, until_utc: &str) -> Result<()> {
    let whole = "UPDATE fetched_series SET whole = 1 WHERE study_uid = ?1 AND series_uid = ?2";
    transaction.execute(whole, params![prior.study_uid, prior.series_uid])?;
    transaction.execute(
        "UPDATE prior_questions SET state = 'reading', until_utc = ?4, reason = '', prior_study_uid = ?2, \
         prior_series_uid = ?3 WHERE study_uid = ?1 AND state = 'asking'",
        params![study_uid, prior.study_uid, prior.series_uid, until_utc],
    )?;
    Ok(())
}

/// What became of a question. Recorded as an event of the series, too. `false`: it was closed already.
///
/// # Errors
/// When the database fails.
pub fn close(transaction: &Transaction<'_>, key: &SeriesKey, reason: &str, trouble: bool, now: &str) -> Result<bool> {
    let closed = transaction.execute(
        "UPDATE prior_questions SET state = 'closed', reason = ?2, trouble = ?3, closed_utc = ?4 \
         WHERE study_uid = ?1 AND state <> 'closed'",
        params![key.study_uid, reason, trouble, now],
    )?;
    if closed == 0 {
        return Ok(false);
    }
    let sql = "SELECT id FROM series WHERE study_uid = ?1 AND series_uid = ?2";
    let read = |row: &Row<'_>| row.get::<_, i64>(0);
    let id = transaction.query_row(sql, params![key.study_uid, key.series_uid], read).optional()?;
    if let Some(id) = id {
        events::record(transaction, &format!("series/{id}"), "prior", reason)?;
    }
    Ok(true)
}

/// Whether what is found in a series stays here, because this box fetched it and nobody sent it.
///
/// # Errors
/// When the database fails.
pub fn stays(connection: &Connection, key: &SeriesKey) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM fetched_series WHERE study_uid = ?1 AND series_uid = ?2 AND sent_by IS NULL AND stays)";
    Ok(connection.prepare_cached(sql)?.query_row([&key.study_uid, &key.series_uid], |row| row.get(0))?)
}

/// Whether this box fetched a series by itself, and nobody sent it; `Some(true)`: whole.
///
/// # Errors
/// When the database fails.
pub fn fetched(connection: &Connection, key: &SeriesKey) -> Result<Option<bool>> {
    let sql = "SELECT whole FROM fetched_series WHERE study_uid = ?1 AND series_uid = ?2 AND sent_by IS NULL";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row(params![key.study_uid, key.series_uid], |row| row.get(0)).optional()?)
}

/// Whether images of this study were here before anything of it was fetched, or a series of it was fetched whole: fetching it again
/// would bring nothing.
///
/// # Errors
/// When the database fails.
pub fn was_here(connection: &Connection, study_uid: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM series s WHERE s.study_uid = ?1 AND s.modality <> 'SR' AND NOT EXISTS \
               (SELECT 1 FROM fetched_series f WHERE f.study_uid = s.study_uid AND f.series_uid = s.series_uid \
                AND f.whole = 0 AND f.sent_by IS NULL))";
    Ok(connection.prepare_cached(sql)?.query_row([study_uid], |row| row.get(0))?)
}

/// How the questions stand, for status and doctor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// New studies that wait for a prior.
    pub waiting: u32,
    /// Of the newest questions, how many were closed one after the other without a comparison for a reason that a person should know.
    pub in_vain: u32,
    /// The reason of the last of them.
    pub reason: String,
}

/// The newest questions that are looked at.
const LOOKED_AT: u32 = 100;

/// # Errors
/// When the database fails.
pub fn standing(connection: &Connection) -> Result<Standing> {
    let waiting = "SELECT count(*) FROM prior_questions WHERE state <> 'closed'";
    let waiting = connection.query_row(waiting, [], |row| row.get(0))?;
    let newest = "SELECT trouble, reason FROM prior_questions WHERE state = 'closed' ORDER BY rowid DESC LIMIT ?1";
    let mut statement = connection.prepare_cached(newest)?;
    let rows = statement.query_map([LOOKED_AT], |row| Ok((row.get::<_, bool>(0)?, row.get::<_, String>(1)?)))?;
    let mut standing = Standing { waiting, ..Standing::default() };
    for row in rows {
        let (trouble, reason) = row?;
        if !trouble {
            break;
        }
        if standing.in_vain == 0 {
            standing.reason = reason;
        }
        standing.in_vain += 1;
    }
    Ok(standing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Store, now_utc};

    fn key(study_uid: &str) -> SeriesKey {
        SeriesKey { study_uid: study_uid.into(), series_uid: format!("{study_uid}.1") }
    }

    fn header(key: &SeriesKey) -> Header {
        Header {
            study_instance_uid: key.study_uid.clone(),
            series_instance_uid: key.series_uid.clone(),
            ..Header::default()
        }
    }

    /// Promise: a question is asked, answered and closed once, whatever comes later.
    #[test]
    fn what_is_closed_stays_so_and_what_arrives_later_is_only_for_the_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        let transaction = connection.transaction().unwrap();
        let (new, prior, now) = (key("1.2"), key("1.1"), now_utc());
        ask(&transaction, &new, &now, &now).unwrap();
        assert!(fetching(&transaction, "1.2", &prior, &now).unwrap());
        assert!(stays(&transaction, &prior).unwrap());
        assert_eq!(fetched(&transaction, &prior).unwrap(), Some(false), "it has not come to its end");
        assert!(close(&transaction, &new, "no prior: the archive did not answer within 30 s", true, &now).unwrap());
        assert!(!close(&transaction, &new, "something else", false, &now).unwrap(), "closed once");
        here(&transaction, "1.2", &prior, &now).unwrap();
        let question = get(&transaction, "1.2").unwrap().unwrap();
        assert_eq!(question.state, State::Closed, "the study does not wait again");
        assert!(question.trouble && question.reason.contains("30 s"), "{}", question.reason);
        assert_eq!(fetched(&transaction, &prior).unwrap(), Some(true));
        assert_eq!(open(&transaction).unwrap(), []);
        sent(&transaction, &header(&prior), "CT1").unwrap();
        assert_eq!(fetched(&transaction, &prior).unwrap(), None, "somebody has sent it");
        assert!(!stays(&transaction, &prior).unwrap());
        let by = to_be_settled(&transaction).unwrap();
        assert_eq!(by, [Sent { key: prior.clone(), by: "CT1".into() }]);
        settled(&transaction, &prior).unwrap();
        assert!(to_be_settled(&transaction).unwrap().is_empty());
        assert!(fetching(&transaction, "1.2", &prior, &now).unwrap());
        nothing_is_fetched(&transaction).unwrap();
        assert_eq!(fetched(&transaction, &prior).unwrap(), None, "nothing came");
        let standing = standing(&transaction).unwrap();
        assert_eq!((standing.waiting, standing.in_vain), (0, 1));
    }

    #[test]
    fn a_mark_that_was_made_again_after_a_rebuild_outlives_the_next_fetch() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        let transaction = connection.transaction().unwrap();
        let (old, next, now) = (key("1.1"), key("1.3"), now_utc());
        found(&transaction, &header(&old), &Origin { asked_for: true, ..Origin::default() }, &now).unwrap();
        let before = fetched(&transaction, &old).unwrap();
        assert!(before.is_some());
        ask(&transaction, &key("1.2"), &now, &now).unwrap();
        assert!(fetching(&transaction, "1.2", &next, &now).unwrap());
        nothing_is_fetched(&transaction).unwrap();
        assert_eq!(fetched(&transaction, &next).unwrap(), None, "nothing came");
        assert_eq!(fetched(&transaction, &old).unwrap(), before);
    }
}
