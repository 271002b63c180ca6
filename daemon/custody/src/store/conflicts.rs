//! Objects that were sent again under the same SOP Instance UID with other content: a person decides which one counts.

use dicom::header::Header;
use dicom::patient::Identity;
use rusqlite::{Connection, Transaction, params};

use super::instances::{COUNTED, SET_ASIDE};
use super::{Result, choices};
use crate::series::SeriesKey;

/// Which content of an object counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The one that came last.
    TakeNew,
    /// The one that is used now. Where it is damaged nothing is decided: sent again it counts.
    KeepOld,
}

/// What was decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Objects with more than one content.
    pub objects: u32,
    /// The series whose content is another one now.
    pub series: Vec<SeriesKey>,
}

/// Decides for every object in conflict of this study; also for those whose other content names another study. What does
/// not count any more is `replaced`: if it is sent again, it is known. [`Store::mirror_choices`](super::Store::mirror_choices) is
/// called after the commit.
///
/// # Errors
/// When the database fails.
pub fn resolve(transaction: &Transaction<'_>, study_uid: &str, choice: Choice) -> Result<Resolved> {
    let mut resolved = Resolved::default();
    for sop_uid in objects(transaction, study_uid)? {
        // The old one is to count, and is damaged: it must be sent again first.
        if choice == Choice::KeepOld && is_lost(transaction, &sop_uid)? {
            continue;
        }
        resolved.objects += 1;
        let winner: i64 = match choice {
            Choice::TakeNew => transaction.query_row(
                "SELECT max(id) FROM instances WHERE sop_uid = ?1 AND state = 'conflict'",
                [&sop_uid],
                |row| row.get(0),
            )?,
            // When the first was evicted there is no old one: none wins.
            Choice::KeepOld => transaction.query_row(
                "SELECT coalesce(max(id), 0) FROM instances WHERE sop_uid = ?1 AND state = 'kept'",
                [&sop_uid],
                |row| row.get(0),
            )?,
        };
        if choice == Choice::TakeNew {
            resolved.series.extend(places(transaction, &sop_uid, winner)?);
        }
        choices::note(transaction, &sop_uid, winner)?;
        let reason = format!("another content of this object was chosen: instance/{winner}");
        transaction.execute(
            "UPDATE instances SET state = CASE WHEN id = ?2 THEN 'kept' ELSE 'replaced' END, \
             reason = CASE WHEN id = ?2 THEN NULL ELSE ?3 END WHERE sop_uid = ?1 AND state IN ('kept', 'conflict')",
            params![sop_uid, winner, reason],
        )?;
    }
    resolved.series.sort();
    resolved.series.dedup();
    Ok(resolved)
}

/// Is the content that counted damaged on the disk, and no other one in its place?
fn is_lost(connection: &Connection, sop_uid: &str) -> Result<bool> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM instances WHERE sop_uid = ?1 AND state = 'damaged') \
         AND NOT EXISTS (SELECT 1 FROM instances WHERE sop_uid = ?1 AND state = 'kept')",
    )?;
    Ok(statement.query_row([sop_uid], |row| row.get(0))?)
}

/// SOP Instance UIDs in conflict of which any content belongs to this study.
fn objects(connection: &Connection, study_uid: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT DISTINCT c.sop_uid FROM instances c \
         WHERE c.state IN {SET_ASIDE} AND c.state = 'conflict' \
         AND (c.study_uid = ?1 OR EXISTS (SELECT 1 FROM instances k \
              WHERE k.sop_uid = c.sop_uid AND k.state = 'kept' AND k.study_uid = ?1)) ORDER BY c.id"
    ))?;
    Ok(statement.query_map([study_uid], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// The series of the content that counted so far, and of the one that wins.
fn places(connection: &Connection, sop_uid: &str, winner: i64) -> Result<Vec<SeriesKey>> {
    let mut statement = connection.prepare_cached(
        "SELECT study_uid, series_uid FROM instances WHERE sop_uid = ?1 AND (state = 'kept' OR id = ?2)",
    )?;
    let rows = statement
        .query_map(params![sop_uid, winner], |row| Ok(SeriesKey { study_uid: row.get(0)?, series_uid: row.get(1)? }))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Condition on a job `j`: what it worked on does not count any more. The images of a task of the whole study say so themselves. Which
/// images the job of a series has seen is not in the rows: there an older version does not count when anything of the series was ever
/// replaced, until the present one is done.
pub(super) fn outdated() -> String {
    // What was replaced and then evicted has its state as the reason; what came after the first was evicted or damaged is a newer row.
    let gone = "(o.state = 'replaced' OR (o.state = 'evicted' AND o.reason = 'replaced') \
                 OR (o.state IN ('evicted', 'damaged') AND EXISTS (SELECT 1 FROM instances k WHERE k.sop_uid = o.sop_uid \
                     AND k.id > o.id AND k.state = 'kept' AND k.sha256 <> o.sha256)))";
    format!(
        "(EXISTS (SELECT 1 FROM job_members m JOIN instances o ON o.id = m.instance_id WHERE m.job_id = j.id AND {gone}) \
         OR (j.task IS NULL AND EXISTS (SELECT 1 FROM series v JOIN instances o ON o.series_uid = v.series_uid \
             AND o.study_uid = v.study_uid WHERE v.id = j.series_id \
             AND (j.version < v.version OR v.state = 'receiving') AND {gone})))"
    )
}

/// Whether what a job has found must not be shown: it is of a content that does not count any more, which may be that of another patient.
///
/// # Errors
/// When the database fails.
pub fn is_outdated(connection: &Connection, job_id: i64) -> Result<bool> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM jobs j WHERE j.id = ?1 AND {})", outdated());
    Ok(connection.prepare_cached(&sql)?.query_row([job_id], |row| row.get(0))?)
}

/// Whether objects of this study came again as those of another patient, and nobody has decided yet which content counts. Until then nobody
/// knows whose the study is.
///
/// # Errors
/// When the database fails.
pub fn is_contested(connection: &Connection, study_uid: &str) -> Result<bool> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT c.header, k.header FROM instances c JOIN instances k ON k.sop_uid = c.sop_uid \
         WHERE c.state IN {SET_ASIDE} AND c.state = 'conflict' AND k.state = 'kept' AND k.study_uid = ?1"
    ))?;
    let mut rows = statement.query([study_uid])?;
    while let Some(row) = rows.next()? {
        let [again, kept] =
            [row.get::<_, String>(0)?, row.get::<_, String>(1)?].map(|json| serde_json::from_str::<Header>(&json));
        if Identity::of(&again?).contradicts(&Identity::of(&kept?)).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The reason of an object that counts and came as that of another patient than before. There is no conflict, for what came before was
/// evicted or damaged; but archives may have results under the name of then.
pub(crate) const OF_ANOTHER: &str =
    "it came before as the object of another patient, was evicted or damaged here, and came again";

/// Marks an object that has just been kept, where that holds. Returns whether it does.
///
/// # Errors
/// When the database fails.
pub(crate) fn mark_of_another(connection: &Connection, id: i64) -> Result<bool> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT header FROM instances WHERE sop_uid = (SELECT sop_uid FROM instances WHERE id = ?1) AND id < ?1 \
         AND (({COUNTED} AND state = 'evicted') OR state = 'damaged')"
    ))?;
    let before = statement.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    if before.is_empty() {
        return Ok(false);
    }
    let own: String =
        connection.prepare_cached("SELECT header FROM instances WHERE id = ?1")?.query_row([id], |row| row.get(0))?;
    let own = serde_json::from_str::<Header>(&own)?;
    for json in before {
        let then = serde_json::from_str::<Header>(&json)?;
        if Identity::of(&own).contradicts(&Identity::of(&then)).is_some() {
            let sql = "UPDATE instances SET reason = ?2 WHERE id = ?1 AND state = 'kept'";
            connection.prepare_cached(sql)?.execute(params![id, OF_ANOTHER])?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many objects of a study are marked so.
///
/// # Errors
/// When the database fails.
pub(super) fn of_another(connection: &Connection, study_uid: &str) -> Result<u64> {
    let sql =
        "SELECT count(*) FROM instances WHERE study_uid = ?1 AND state = 'kept' AND reason IS NOT NULL AND reason = ?2";
    let count = connection.prepare_cached(sql)?.query_row([study_uid, OF_ANOTHER], |row| row.get::<_, i64>(0))?;
    Ok(count.unsigned_abs())
}

/// The hashes of the instances of a series that took the place of another content, in the order of arrival: what is made
/// of them must not be taken for what was made before.
///
/// # Errors
/// When the database fails.
pub fn corrected(connection: &Connection, key: &SeriesKey) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT k.sha256 FROM instances k WHERE k.series_uid = ?2 AND k.study_uid = ?1 AND k.state = 'kept' \
         AND EXISTS (SELECT 1 FROM instances r WHERE r.sop_uid = k.sop_uid AND r.id < k.id AND r.state = 'replaced') \
         ORDER BY k.id",
    )?;
    let rows = statement.query_map([&key.study_uid, &key.series_uid], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
