//! `results`: the DICOM objects that this daemon created.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use sha2::{Digest, Sha256};

use super::{Result, holds};

#[derive(Debug, Clone)]
pub struct ResultRow {
    pub id: i64,
    pub job_id: i64,
    pub kind: String,
    pub sop_class: String,
    pub sop_uid: String,
    pub study_uid: String,
    pub series_uid: String,
    /// Path relative to the spool directory.
    pub file: String,
    pub length: u64,
    pub sha256: String,
    /// A simulated device or accelerator had a part in it.
    pub simulated: bool,
}

const COLUMNS: &str = "id, job_id, kind, sop_class, sop_uid, study_uid, series_uid, file, length, sha256, simulated";

fn read(row: &Row<'_>) -> rusqlite::Result<ResultRow> {
    Ok(ResultRow {
        id: row.get(0)?,
        job_id: row.get(1)?,
        kind: row.get(2)?,
        sop_class: row.get(3)?,
        sop_uid: row.get(4)?,
        study_uid: row.get(5)?,
        series_uid: row.get(6)?,
        file: row.get(7)?,
        length: row.get::<_, i64>(8)?.unsigned_abs(),
        sha256: row.get(9)?,
        simulated: row.get(10)?,
    })
}

/// Inserts an object and returns its id; the id in `row` is ignored. An object with this UID that exists already (a
/// rerun makes the same one) stays as it is, but belongs to this job from now on: otherwise [`supersede_older`] would take
/// its deliveries for those of an older version. It counts again, too, if it was rejected. Of one whose file was damaged see [`renew`].
///
/// # Errors
/// When the database fails.
pub fn insert(transaction: &Transaction<'_>, row: &ResultRow) -> Result<i64> {
    let length = i64::try_from(row.length).unwrap_or(i64::MAX);
    let id = transaction.query_row(
        "INSERT INTO results (job_id, kind, sop_class, sop_uid, study_uid, series_uid, file, length, sha256, \
         simulated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
         ON CONFLICT (sop_uid) DO UPDATE SET job_id = excluded.job_id, rejected = NULL RETURNING id",
        params![
            row.job_id,
            row.kind,
            row.sop_class,
            row.sop_uid,
            row.study_uid,
            row.series_uid,
            row.file,
            length,
            row.sha256,
            row.simulated
        ],
        |row| row.get(0),
    )?;
    Ok(id)
}

/// Whether a file is as it was written: `sha256` is its hash, lower-case hex. Blocks.
pub fn is_whole(path: &Path, sha256: &str) -> bool {
    let mut hash = Sha256::new();
    let read = std::fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut hash));
    read.is_ok() && hex::encode(hash.finalize()) == sha256
}

/// The bytes of a file as they were written; `None` when their hash, lower-case hex, is another one. Blocks.
///
/// # Errors
/// When it cannot be read.
pub fn whole(path: &Path, sha256: &str) -> std::io::Result<Option<Vec<u8>>> {
    let bytes = std::fs::read(path)?;
    let is_whole = hex::encode(Sha256::digest(&bytes)) == sha256;
    Ok(is_whole.then_some(bytes))
}

/// Those objects that [`insert`] would leave as they are, of which the file in the folder `spool` is not as it was written. Reads
/// them whole; blocks.
///
/// # Errors
/// When the database fails.
pub fn damaged(connection: &Connection, spool: &Path, rows: &[ResultRow]) -> Result<Vec<ResultRow>> {
    let mut found = Vec::new();
    for row in rows {
        found.extend(of_uid(connection, &row.sop_uid)?.filter(|old| !is_whole(&spool.join(&old.file), &old.sha256)));
    }
    Ok(found)
}

/// The file of an object that a rerun made again takes the place of one that was damaged, and what is parked for that reason
/// is to be sent. Call it after [`insert`].
///
/// # Errors
/// When the database fails.
pub fn renew(transaction: &Transaction<'_>, row: &ResultRow, now: &str) -> Result<()> {
    let length = i64::try_from(row.length).unwrap_or(i64::MAX);
    transaction.execute(
        "UPDATE results SET file = ?2, length = ?3, sha256 = ?4, simulated = ?5 WHERE sop_uid = ?1",
        params![row.sop_uid, row.file, length, row.sha256, row.simulated],
    )?;
    transaction.execute(
        "UPDATE deliveries SET state = 'pending', reason = NULL, next_utc = ?2 WHERE state = 'parked' AND reason = ?3 \
         AND result_id = (SELECT id FROM results WHERE sop_uid = ?1)",
        params![row.sop_uid, now, super::deliveries::DAMAGED],
    )?;
    super::events::record(transaction, &format!("job/{}", row.job_id), "a damaged result was made again", &row.sop_uid)
}

/// By SOP Instance UID.
///
/// # Errors
/// When the database fails.
pub fn of_uid(connection: &Connection, sop_uid: &str) -> Result<Option<ResultRow>> {
    let sql = format!("SELECT {COLUMNS} FROM results WHERE sop_uid = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([sop_uid], read).optional()?)
}

/// # Errors
/// When the database fails.
pub fn get(connection: &Connection, id: i64) -> Result<Option<ResultRow>> {
    let sql = format!("SELECT {COLUMNS} FROM results WHERE id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// # Errors
/// When the database fails.
pub fn of_job(connection: &Connection, job_id: i64) -> Result<Vec<ResultRow>> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM results WHERE job_id = ?1 ORDER BY id"))?;
    Ok(statement.query_map([job_id], read)?.collect::<rusqlite::Result<_>>()?)
}

/// The objects that were made of this version of a series.
///
/// # Errors
/// When the database fails.
pub fn of_version(connection: &Connection, series_id: i64, version: i64) -> Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(
        "SELECT r.id FROM results r JOIN jobs j ON j.id = r.job_id \
         WHERE j.series_id = ?1 AND j.version = ?2 AND j.state = 'done' ORDER BY r.id",
    )?;
    Ok(statement.query_map([series_id, version], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Condition on a row of `results` that the job `j` made: it is neither rejected nor of a content that was replaced, which may be that of
/// another patient.
fn counts() -> String {
    format!("results.rejected IS NULL AND NOT {}", super::conflicts::outdated())
}

/// The objects of a study that count: of each series, and of each task of the whole study, those of the newest version. None of
/// what was rejected, or made of a content that was replaced, also while nothing newer is done.
///
/// # Errors
/// When the database fails.
pub fn newest_of_study(connection: &Connection, study_uid: &str) -> Result<Vec<ResultRow>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM results WHERE study_uid = ?1 AND EXISTS (SELECT 1 FROM jobs j \
         WHERE j.id = results.job_id AND j.id = (SELECT max(n.id) FROM jobs n WHERE n.series_id = j.series_id \
         AND n.task IS j.task AND n.state = 'done') AND {}) ORDER BY id",
        counts()
    ))?;
    Ok(statement.query_map([study_uid], read)?.collect::<rusqlite::Result<_>>()?)
}

/// By SOP Instance UID, of a version that may be an older one; none that was rejected, or made of a content that was replaced.
///
/// # Errors
/// When the database fails.
pub fn counting(connection: &Connection, sop_uid: &str) -> Result<Option<ResultRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM results WHERE sop_uid = ?1 \
         AND EXISTS (SELECT 1 FROM jobs j WHERE j.id = results.job_id AND {})",
        counts()
    );
    Ok(connection.prepare_cached(&sql)?.query_row([sop_uid], read).optional()?)
}

/// Marks undelivered results of older versions of this series as superseded; also those that a destination does not take, so
/// that none of them is sent when it takes them later.
///
/// # Errors
/// When the database fails.
pub fn supersede_older(transaction: &Transaction<'_>, series_id: i64, version: i64) -> Result<()> {
    transaction.execute(
        "UPDATE deliveries SET state = 'superseded' \
         WHERE (state IN ('pending', 'held', 'parked') OR (state = 'dropped' AND reason = ?3)) AND result_id IN \
         (SELECT r.id FROM results r JOIN jobs j ON j.id = r.job_id \
          WHERE j.series_id = ?1 AND j.version < ?2 AND r.kind <> ?4)",
        params![series_id, version, super::deliveries::NOT_AMONG_RESULTS, super::rejections::KIND],
    )?;
    Ok(())
}

/// Below the spool directory: the folder of a job's results.
pub fn folder(job_id: i64) -> String {
    format!("results/{job_id}")
}

/// An exam that was recorded here and needs its results no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exam {
    pub series_id: i64,
    pub study_uid: String,
    pub newest_utc: String,
    /// Of its results.
    pub bytes: u64,
}

/// Recorded exams that have a verdict, no job to do and nothing to deliver, and that nobody holds. They have no instances, so that no place
/// names them.
///
/// # Errors
/// When the database fails (as for all below).
pub fn finished_exams(connection: &Connection) -> Result<Vec<Exam>> {
    let (open, held) = (super::deliveries::OPEN, holds::held("s.study_uid"));
    let mut statement = connection.prepare_cached(&format!(
        "SELECT s.id, s.study_uid, s.last_utc, sum(r.length) FROM series s JOIN jobs j ON j.series_id = s.id \
         JOIN results r ON r.job_id = j.id \
         WHERE s.kind = 'exam' AND s.state IN ('processed', 'refused') AND NOT {held} \
         AND NOT EXISTS (SELECT 1 FROM jobs o WHERE o.series_id = s.id AND o.state IN ('queued', 'running')) \
         AND NOT EXISTS (SELECT 1 FROM jobs p JOIN results q ON q.job_id = p.id JOIN deliveries d ON d.result_id = q.id \
                         WHERE p.series_id = s.id AND (d.state IN ('held', 'parked') OR {open})) \
         GROUP BY s.id"
    ))?;
    let rows = statement.query_map([], |row| {
        Ok(Exam {
            series_id: row.get(0)?,
            study_uid: row.get(1)?,
            newest_utc: row.get(2)?,
            bytes: row.get::<_, i64>(3)?.unsigned_abs(),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The exam keeps its verdict; its results go next.
///
/// # Errors
/// When the database fails.
pub fn evict_exam(connection: &Connection, series_id: i64) -> Result<()> {
    connection.execute("UPDATE series SET state = 'evicted' WHERE id = ?1", [series_id])?;
    super::events::record(connection, &format!("series/{series_id}"), "evicted", "results of the exam")
}

/// Jobs of evicted series that still have results, none of which is waiting, held or parked at a destination; not of studies that a
/// person holds. Asked from the results, which go, to the jobs, which stay for ever: nobody can write meanwhile.
///
/// # Errors
/// When the database fails.
pub fn jobs_of_evicted(connection: &Connection) -> Result<Vec<i64>> {
    let (open, held) = (super::deliveries::OPEN, holds::held("s.study_uid"));
    let mut statement = connection.prepare_cached(&format!(
        "SELECT j.id FROM (SELECT DISTINCT job_id FROM results) m CROSS JOIN jobs j ON j.id = m.job_id \
         CROSS JOIN series s ON s.id = j.series_id WHERE s.state = 'evicted' AND NOT {held} \
         AND NOT EXISTS (SELECT 1 FROM results r JOIN deliveries d ON d.result_id = r.id \
                         WHERE r.job_id = j.id AND (d.state IN ('held', 'parked') OR {open}))"
    ))?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Removes the rows of a job's results and deliveries; verdict and findings stay with series and job.
///
/// # Errors
/// When the database fails.
pub fn forget(connection: &Connection, job_id: i64) -> Result<()> {
    remove(connection, "job_id = ?1", &[&job_id]).map(drop)
}

/// Removes the rows of some results and all that refers to them. Returns how many results there were.
pub(super) fn remove(connection: &Connection, which: &str, values: &[&dyn rusqlite::ToSql]) -> Result<usize> {
    let some = format!("(SELECT id FROM results WHERE {which})");
    connection.execute(&format!("DELETE FROM rejections WHERE result_id IN {some} OR note_id IN {some}"), values)?;
    connection.execute(&format!("DELETE FROM deliveries WHERE result_id IN {some}"), values)?;
    Ok(connection.execute(&format!("DELETE FROM results WHERE {which}"), values)?)
}

/// Below the spool directory: the folders that hold results. An object that a rerun made again lies in the folder of the job
/// that made it first (see [`insert`]), so the folder does not follow from the job.
///
/// # Errors
/// When the database fails.
pub fn folders(connection: &Connection) -> Result<BTreeSet<String>> {
    let files = files(connection)?.into_iter();
    Ok(files.filter_map(|(_, file, _)| Some(file.rsplit_once('/')?.0.to_owned())).collect())
}

/// Job, file and length in bytes of every result.
///
/// # Errors
/// When the database fails.
pub fn files(connection: &Connection) -> Result<Vec<(i64, String, u64)>> {
    let mut statement = connection.prepare("SELECT job_id, file, length FROM results")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.unsigned_abs())))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The files of a job's results are lost: their rows go, and the job is done again if all of its instances are still here: half a
/// study would give other results, beside those that its archive has. Says whether it is.
///
/// # Errors
/// When the database fails.
pub fn lost(connection: &Connection, job_id: i64) -> Result<bool> {
    forget(connection, job_id)?;
    let again = connection.execute(
        "UPDATE jobs SET state = 'queued', not_before_utc = NULL, finished_utc = NULL \
         WHERE id = ?1 AND state = 'done' AND EXISTS (\
           SELECT 1 FROM series s JOIN instances i ON i.study_uid = s.study_uid AND i.series_uid = s.series_uid \
           WHERE s.id = jobs.series_id AND s.version = jobs.version AND s.state IN ('processed', 'refused') \
           AND i.state = 'kept') \
         AND NOT EXISTS (SELECT 1 FROM series s JOIN instances i ON i.study_uid = s.study_uid AND i.series_uid = s.series_uid \
           WHERE (s.id = jobs.series_id OR s.id IN (SELECT m.series_id FROM job_members m WHERE m.job_id = jobs.id)) \
           AND i.state = 'evicted' AND coalesce(i.reason, '') NOT IN ('replaced', 'quarantined', 'conflict', 'damaged'))",
        [job_id],
    )?;
    connection.execute(
        "UPDATE series SET state = 'complete', verdict = NULL \
         WHERE id = (SELECT series_id FROM jobs WHERE id = ?1 AND state = 'queued') AND ?2",
        params![job_id, again > 0],
    )?;
    super::events::record(
        connection,
        &format!("job/{job_id}"),
        "results lost",
        if again > 0 { "done again" } else { "" },
    )?;
    Ok(again > 0)
}
