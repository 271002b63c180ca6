//! `jobs`: one row per version of a series that is to be analysed. The job of a study task is anchored at one series and
//! has its images in `members`.

use dicom::header::Header;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::Result;
use super::conflicts::outdated;
use super::instances::COUNTED;
use super::members::{self, MemberRow};

#[derive(Debug, Clone)]
pub struct JobRow {
    pub id: i64,
    pub series_id: i64,
    pub version: i64,
    pub state: String,
    pub attempts: u32,
    pub interruptions: u32,
    pub not_before_utc: Option<String>,
    pub reason: Option<String>,
    pub created_utc: String,
    /// The study task that it is for; `None` for the tasks of its series.
    pub task: Option<String>,
}

const COLUMNS: &str =
    "id, series_id, version, state, attempts, interruptions, not_before_utc, reason, created_utc, task";

fn read(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        id: row.get(0)?,
        series_id: row.get(1)?,
        version: row.get(2)?,
        state: row.get(3)?,
        attempts: row.get(4)?,
        interruptions: row.get(5)?,
        not_before_utc: row.get(6)?,
        reason: row.get(7)?,
        created_utc: row.get(8)?,
        task: row.get(9)?,
    })
}

/// Queues the job for one version of a series. Queued, running and parked jobs of older versions are superseded.
///
/// # Errors
/// When the database fails.
pub fn enqueue(transaction: &Transaction<'_>, series_id: i64, version: i64, now: &str) -> Result<i64> {
    supersede_older(transaction, series_id, version)?;
    transaction.execute(
        "INSERT INTO jobs (series_id, version, state, created_utc) VALUES (?1, ?2, 'queued', ?3)",
        params![series_id, version, now],
    )?;
    Ok(transaction.last_insert_rowid())
}

/// Queued, running and parked jobs of older versions of a series need not be done any more.
///
/// # Errors
/// When the database fails.
pub fn supersede_older(transaction: &Transaction<'_>, series_id: i64, version: i64) -> Result<()> {
    transaction.execute(
        "UPDATE jobs SET state = 'superseded' WHERE series_id = ?1 AND version < ?2 AND state IN ('queued', 'running', 'parked')",
        params![series_id, version],
    )?;
    Ok(())
}

/// Queues a study task on these images; the version is that of the series at which the job is anchored. Whatever is queued
/// or running for older versions of that series is superseded.
///
/// # Errors
/// When the database fails.
pub fn enqueue_study(
    transaction: &Transaction<'_>,
    task: &str,
    anchor: i64,
    version: i64,
    images: &[MemberRow],
    now: &str,
) -> Result<i64> {
    let id = enqueue(transaction, anchor, version, now)?;
    transaction.execute("UPDATE jobs SET task = ?2 WHERE id = ?1", params![id, task])?;
    members::insert(transaction, id, images)?;
    Ok(id)
}

/// The newest job of a study task on this study, in whatever state.
///
/// # Errors
/// When the database fails.
pub fn newest_of_task(connection: &Connection, study_uid: &str, task: &str) -> Result<Option<JobRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs WHERE task = ?2 AND series_id IN (SELECT id FROM series WHERE study_uid = ?1) \
         ORDER BY id DESC LIMIT 1"
    );
    Ok(connection.prepare_cached(&sql)?.query_row(params![study_uid, task], read).optional()?)
}

/// The newest job of a study task on this study that is done.
///
/// # Errors
/// When the database fails.
pub fn newest_done_of_task(connection: &Connection, study_uid: &str, task: &str) -> Result<Option<i64>> {
    let sql = "SELECT id FROM jobs WHERE task = ?2 AND state = 'done' \
               AND series_id IN (SELECT id FROM series WHERE study_uid = ?1) ORDER BY id DESC LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row(params![study_uid, task], |row| row.get(0)).optional()?)
}

/// The state of the job of one version of a series; `None` when there is none.
///
/// # Errors
/// When the database fails.
pub fn state_of(connection: &Connection, series_id: i64, version: i64) -> Result<Option<String>> {
    let sql = "SELECT state FROM jobs WHERE series_id = ?1 AND version = ?2 ORDER BY id DESC LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row(params![series_id, version], |row| row.get(0)).optional()?)
}

/// The job of one version of a series that ended with findings, and these as JSON.
///
/// # Errors
/// When the database fails.
pub fn found(connection: &Connection, series_id: i64, version: i64) -> Result<Option<(i64, String)>> {
    let sql = "SELECT id, findings FROM jobs \
               WHERE series_id = ?1 AND version = ?2 AND state = 'done' AND findings IS NOT NULL";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    Ok(connection.prepare_cached(sql)?.query_row(params![series_id, version], read).optional()?)
}

/// The marks in pictures of a breast that a job made, as JSON; `None`: it made none, or is not done.
///
/// # Errors
/// When the database fails.
pub fn marks(connection: &Connection, id: i64) -> Result<Option<String>> {
    let sql = "SELECT marks FROM jobs WHERE id = ?1 AND state = 'done'";
    Ok(connection.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?.flatten())
}

/// # Errors
/// When the database fails.
pub fn set_marks(transaction: &Transaction<'_>, id: i64, marks: &str) -> Result<()> {
    transaction.execute("UPDATE jobs SET marks = ?2 WHERE id = ?1", params![id, marks])?;
    Ok(())
}

/// The job of one version of a series that is done.
///
/// # Errors
/// When the database fails.
pub fn done_of(connection: &Connection, series_id: i64, version: i64) -> Result<Option<i64>> {
    let sql = "SELECT id FROM jobs WHERE series_id = ?1 AND version = ?2 AND state = 'done' ORDER BY id DESC LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row(params![series_id, version], |row| row.get(0)).optional()?)
}

/// The newest job of a series that is done, of whatever version; none of a task of the whole study.
///
/// # Errors
/// When the database fails.
pub fn newest_done(connection: &Connection, series_id: i64) -> Result<Option<i64>> {
    let sql = "SELECT id FROM jobs WHERE series_id = ?1 AND task IS NULL AND state = 'done' ORDER BY id DESC LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row([series_id], |row| row.get(0)).optional()?)
}

/// A job that has not begun need not be done.
///
/// # Errors
/// When the database fails.
pub fn supersede(transaction: &Transaction<'_>, series_id: i64) -> Result<()> {
    let sql = "UPDATE jobs SET state = 'superseded' WHERE series_id = ?1 AND state = 'queued'";
    transaction.execute(sql, [series_id])?;
    Ok(())
}

/// A queued job does not begin before this time.
///
/// # Errors
/// When the database fails.
pub fn wait_until(transaction: &Transaction<'_>, id: i64, not_before: &str) -> Result<()> {
    let sql = "UPDATE jobs SET not_before_utc = ?2 WHERE id = ?1 AND state = 'queued'";
    transaction.execute(sql, params![id, not_before])?;
    Ok(())
}

/// Takes the next job that may run now. The row says `running` on disk before the work begins, so that a crash is
/// counted against the job.
///
/// # Errors
/// When the database fails.
pub fn claim(connection: &mut Connection, now: &str) -> Result<Option<JobRow>> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs WHERE state = 'queued' AND (not_before_utc IS NULL OR not_before_utc <= ?1) \
         ORDER BY priority, id LIMIT 1"
    );
    let job = transaction.prepare_cached(&sql)?.query_row([now], read).optional()?;
    if let Some(job) = &job {
        transaction
            .execute("UPDATE jobs SET state = 'running', started_utc = ?2 WHERE id = ?1", params![job.id, now])?;
    }
    transaction.commit()?;
    Ok(job)
}

/// # Errors
/// When the database fails.
pub fn get(connection: &Connection, id: i64) -> Result<Option<JobRow>> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// No job waits beyond `latest`: a later time was put down while the clock was ahead, or the clock has been set back
/// since. Returns how many were moved to it.
///
/// # Errors
/// When the database fails.
pub fn not_after(connection: &Connection, latest: &str) -> Result<usize> {
    super::not_after(connection, ("jobs", "not_before_utc"), "state = 'queued'", latest, None)
}

/// As [`not_after`], of jobs that have not failed: they wait for something that is looked at again soon.
///
/// # Errors
/// When the database fails.
pub fn soon_not_after(connection: &Connection, latest: &str) -> Result<usize> {
    super::not_after(connection, ("jobs", "not_before_utc"), "state = 'queued' AND attempts = 0", latest, None)
}

/// When the earliest waiting job may run; `None` when none waits.
///
/// # Errors
/// When the database fails.
pub fn next_not_before(connection: &Connection) -> Result<Option<String>> {
    Ok(connection.query_row(
        "SELECT min(coalesce(not_before_utc, '')) FROM jobs WHERE state = 'queued'",
        [],
        |row| row.get(0),
    )?)
}

/// Whether an urgent job is queued.
///
/// # Errors
/// When the database fails.
pub fn urgent_waits(connection: &Connection) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'queued' AND priority = 0)";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Whether the job is still needed. It is not when a late slice or a rerun created a newer one.
///
/// # Errors
/// When the database fails.
pub fn is_current(connection: &Connection, id: i64) -> Result<bool> {
    let state: String = connection.query_row("SELECT state FROM jobs WHERE id = ?1", [id], |row| row.get(0))?;
    Ok(state == "running")
}

/// # Errors
/// When the database fails.
pub fn done(transaction: &Transaction<'_>, id: i64, findings: Option<&str>, timings: &str, now: &str) -> Result<()> {
    transaction.execute(
        "UPDATE jobs SET state = 'done', reason = NULL, findings = ?2, timings = ?3, finished_utc = ?4 WHERE id = ?1",
        params![id, findings, timings, now],
    )?;
    Ok(())
}

/// The job failed and will be tried again at `not_before`.
///
/// # Errors
/// When the database fails.
pub fn retry(transaction: &Transaction<'_>, id: i64, reason: &str, not_before: &str) -> Result<()> {
    transaction.execute(
        "UPDATE jobs SET state = 'queued', attempts = attempts + 1, reason = ?2, not_before_utc = ?3 WHERE id = ?1",
        params![id, reason, not_before],
    )?;
    Ok(())
}

/// The job waits for something that is not its fault (room on the disk): not counted as an attempt.
///
/// # Errors
/// When the database fails.
pub fn postpone(connection: &Connection, id: i64, reason: &str, not_before: &str) -> Result<()> {
    connection.execute(
        "UPDATE jobs SET state = 'queued', reason = ?2, not_before_utc = ?3 WHERE id = ?1 AND state = 'running'",
        params![id, reason, not_before],
    )?;
    Ok(())
}

/// Every job that is said to run goes back into the queue, without counting an interruption: its end could not be written.
///
/// # Errors
/// When the database fails.
pub fn give_all_back(connection: &Connection) -> Result<()> {
    connection.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'", [])?;
    Ok(())
}

/// The job will not be tried again until a user asks for it.
///
/// # Errors
/// When the database fails.
pub fn park(transaction: &Transaction<'_>, id: i64, reason: &str, now: &str) -> Result<()> {
    transaction.execute(
        "UPDATE jobs SET state = 'parked', attempts = attempts + 1, reason = ?2, finished_utc = ?3 WHERE id = ?1",
        params![id, reason, now],
    )?;
    Ok(())
}

/// Jobs of the newest versions that were parked for a reason with `why` in it are queued as if they were new, because that reason has
/// gone; their series are complete again. Returns the ids of these series.
///
/// # Errors
/// When the database fails.
pub fn resume(transaction: &Transaction<'_>, why: &str, event: &str) -> Result<Vec<i64>> {
    const PARKED: &str = "SELECT j.id FROM jobs j JOIN series s ON s.id = j.series_id AND s.version = j.version \
                          WHERE j.state = 'parked' AND s.state = 'refused' AND instr(j.reason, ?1) > 0";
    let jobs: Vec<i64> =
        transaction.prepare_cached(PARKED)?.query_map([why], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut changed = Vec::new();
    for job in jobs {
        transaction.execute(
            "UPDATE jobs SET state = 'queued', attempts = 0, interruptions = 0, reason = NULL, not_before_utc = NULL, \
             finished_utc = NULL WHERE id = ?1",
            [job],
        )?;
        let mut complete = transaction.prepare_cached(
            "UPDATE series SET state = 'complete', verdict = NULL WHERE state = 'refused' AND (\
             EXISTS (SELECT 1 FROM jobs j WHERE j.id = ?1 AND j.series_id = series.id AND j.version = series.version) \
             OR EXISTS (SELECT 1 FROM job_members m WHERE m.job_id = ?1 AND m.series_id = series.id \
               AND m.version = series.version)) RETURNING id",
        )?;
        let series = complete.query_map([job], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
        changed.extend(series);
        super::events::record(transaction, &format!("job/{job}"), "queued again", event)?;
    }
    Ok(changed)
}

/// After a restart: queues the jobs that were interrupted while running. Returns all queued jobs, and those that were
/// interrupted `limit` times and must be parked.
///
/// # Errors
/// When the database fails.
pub fn recover(transaction: &Transaction<'_>, limit: u32) -> Result<(Vec<JobRow>, Vec<JobRow>)> {
    transaction
        .execute("UPDATE jobs SET state = 'queued', interruptions = interruptions + 1 WHERE state = 'running'", [])?;
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE state = 'queued' ORDER BY id");
    let rows = transaction.prepare(&sql)?.query_map([], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(rows.into_iter().partition(|job| job.interruptions < limit))
}

/// # Errors
/// When the database fails.
pub fn make_urgent(transaction: &Transaction<'_>, id: i64) -> Result<()> {
    transaction.execute("UPDATE jobs SET priority = 0 WHERE id = ?1", [id])?;
    Ok(())
}

/// Puts a running job back into the queue without counting an interruption, because it was interrupted on purpose. Has
/// no effect on a job that has ended or was superseded meanwhile.
///
/// # Errors
/// When the database fails.
pub fn give_back(connection: &Connection, id: i64) -> Result<()> {
    connection.execute("UPDATE jobs SET state = 'queued' WHERE id = ?1 AND state = 'running'", [id])?;
    Ok(())
}

/// An earlier analysed study of a patient.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysedStudy {
    pub study_uid: String,
    /// Study Date as in DICOM (DA), YYYYMMDD.
    pub study_date: String,
    /// Findings as JSON.
    pub findings: String,
    /// Of one instance of the analysed series.
    pub header: Header,
}

/// The analysed studies with the Patient ID of `header` from days before its Study Date, newest first. Whether they are of
/// the same person is for the caller to judge (`dicom::patient`): an ID alone does not say it. Without series that were fetched in
/// part (`priors`), or of which more has come since: what is missing would look like a change. What was found in a content that was replaced since is left out: it
/// may be of another person than the header says now.
///
/// # Errors
/// When the database fails.
pub fn analysed_before(connection: &Connection, header: &Header) -> Result<Vec<AnalysedStudy>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT s.study_uid, json_extract(i.header, '$.study_date') AS day, j.findings, i.header \
         FROM jobs j JOIN series s ON s.id = j.series_id \
         JOIN instances i ON i.id = (SELECT min(id) FROM instances WHERE series_uid = s.series_uid \
           AND study_uid = s.study_uid AND {COUNTED}) \
         WHERE j.state = 'done' AND j.findings IS NOT NULL AND s.study_uid <> ?1 \
         AND lower(json_extract(i.header, '$.patient_id')) = lower(?2) \
         AND NOT EXISTS (SELECT 1 FROM fetched_series f WHERE f.study_uid = s.study_uid AND f.series_uid = s.series_uid \
           AND f.whole = 0) \
         AND s.state <> 'receiving' AND (j.version = s.version OR s.completed_by IN ('rerun', 'review', 'chosen')) \
         AND length(day) = 8 AND day < ?3 AND NOT {} ORDER BY day DESC, j.id DESC",
        outdated()
    ))?;
    let mut rows = statement.query(params![header.study_instance_uid, header.patient_id, header.study_date])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let header = serde_json::from_str(&row.get::<_, String>(3)?)?;
        found.push(AnalysedStudy { study_uid: row.get(0)?, study_date: row.get(1)?, findings: row.get(2)?, header });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::SeriesKey;
    use crate::store::{Durability, Store, now_utc, series};

    /// A database with one job in the queue.
    fn queued() -> (tempfile::TempDir, Connection, i64) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        let transaction = connection.transaction().unwrap();
        let key = SeriesKey { study_uid: "1.2".into(), series_uid: "1.2.3".into() };
        let (row, _) = series::opened(&transaction, &key, "CT", dicom::kind::SeriesKind::Ct, 1, &now_utc()).unwrap();
        let version = series::completed(&transaction, row.id, "quiet", &now_utc()).unwrap();
        let id = enqueue(&transaction, row.id, version, &now_utc()).unwrap();
        transaction.commit().unwrap();
        (folder, connection, id)
    }

    #[test]
    fn a_job_that_is_given_back_runs_again_and_one_that_has_ended_stays_so() {
        let (_folder, mut connection, id) = queued();

        assert_eq!(claim(&mut connection, &now_utc()).unwrap().unwrap().id, id);
        assert!(claim(&mut connection, &now_utc()).unwrap().is_none(), "it runs");
        give_back(&connection, id).unwrap();
        let again = claim(&mut connection, &now_utc()).unwrap().unwrap();
        assert_eq!((again.id, again.attempts), (id, 0), "not held against it");
        let transaction = connection.transaction().unwrap();
        done(&transaction, id, None, "[]", &now_utc()).unwrap();
        transaction.commit().unwrap();
        give_back(&connection, id).unwrap();
        assert!(claim(&mut connection, &now_utc()).unwrap().is_none(), "it has ended");
    }

    #[test]
    fn a_retry_that_was_put_down_while_the_clock_was_wrong_waits_for_one_pause_and_no_longer() {
        let (_folder, mut connection, id) = queued();
        let transaction = connection.transaction().unwrap();
        // The clock was 4,000 days ahead.
        retry(&transaction, id, "no accelerator", "2037-11-10T12:00:00.000Z").unwrap();
        transaction.commit().unwrap();
        let (now, latest) = ("2026-11-27T12:00:00.000Z", "2026-11-27T13:00:00.000Z");
        assert_eq!(not_after(&connection, latest).unwrap(), 1);
        assert!(claim(&mut connection, now).unwrap().is_none(), "not at once: that would be a storm");
        assert_eq!(next_not_before(&connection).unwrap().as_deref(), Some(latest));
        assert_eq!(not_after(&connection, latest).unwrap(), 0);
        assert_eq!(claim(&mut connection, latest).unwrap().unwrap().id, id);
    }
}
