//! `results`: the DICOM objects that this daemon created.

use rusqlite::{Connection, Row, Transaction, params};

use super::Result;

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
/// its deliveries for those of an older version.
///
/// # Errors
/// When the database fails.
pub fn insert(transaction: &Transaction<'_>, row: &ResultRow) -> Result<i64> {
    let length = i64::try_from(row.length).unwrap_or(i64::MAX);
    let id = transaction.query_row(
        "INSERT INTO results (job_id, kind, sop_class, sop_uid, study_uid, series_uid, file, length, sha256, \
         simulated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
         ON CONFLICT (sop_uid) DO UPDATE SET job_id = excluded.job_id RETURNING id",
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

/// # Errors
/// When the database fails.
pub fn of_job(connection: &Connection, job_id: i64) -> Result<Vec<ResultRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, job_id, kind, sop_class, sop_uid, study_uid, series_uid, file, length, sha256, simulated \
         FROM results WHERE job_id = ?1 ORDER BY id",
    )?;
    Ok(statement.query_map([job_id], read)?.collect::<rusqlite::Result<_>>()?)
}

/// Marks undelivered results of older versions of this series as superseded.
///
/// # Errors
/// When the database fails.
pub fn supersede_older(transaction: &Transaction<'_>, series_id: i64, version: i64) -> Result<()> {
    transaction.execute(
        "UPDATE deliveries SET state = 'superseded' WHERE state IN ('pending', 'held', 'parked') AND result_id IN \
         (SELECT r.id FROM results r JOIN jobs j ON j.id = r.job_id WHERE j.series_id = ?1 AND j.version < ?2)",
        params![series_id, version],
    )?;
    Ok(())
}
