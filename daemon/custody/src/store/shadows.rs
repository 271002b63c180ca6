//! `shadows`: shadow runs, in which a candidate package analysed a job in addition to the active one. Never part of a
//! result.

use rusqlite::{Connection, Row, params};

use super::Result;

#[derive(Debug, Clone, PartialEq)]
pub struct ShadowRow {
    pub id: i64,
    pub job_id: i64,
    pub utc: String,
    pub task: String,
    /// Package id and version.
    pub active: String,
    pub candidate: String,
    pub active_ms: f64,
    pub candidate_ms: f64,
    /// Number of findings that differ.
    pub differing: u32,
    /// As JSON, in the form that `study::analyze` writes.
    pub differences: String,
    /// Why the candidate gave no result.
    pub failure: Option<String>,
}

fn read(row: &Row<'_>) -> rusqlite::Result<(ShadowRow, String, String)> {
    let shadow = ShadowRow {
        id: row.get(0)?,
        job_id: row.get(1)?,
        utc: row.get(2)?,
        task: row.get(3)?,
        active: row.get(4)?,
        candidate: row.get(5)?,
        active_ms: row.get(6)?,
        candidate_ms: row.get(7)?,
        differing: row.get(8)?,
        differences: row.get(9)?,
        failure: row.get(10)?,
    };
    Ok((shadow, row.get(11)?, row.get(12)?))
}

/// Inserts a shadow run; the id in `row` is ignored.
///
/// # Errors
/// When the database fails.
pub fn insert(connection: &Connection, row: &ShadowRow) -> Result<()> {
    connection.execute(
        "INSERT INTO shadows (job_id, utc, task, active, candidate, active_ms, candidate_ms, differing, differences, \
         failure) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            row.job_id,
            row.utc,
            row.task,
            row.active,
            row.candidate,
            row.active_ms,
            row.candidate_ms,
            row.differing,
            row.differences,
            row.failure
        ],
    )?;
    Ok(())
}

/// The newest `limit` shadow runs, newest first, each with the UIDs of its study and series.
///
/// # Errors
/// When the database fails.
pub fn latest(
    connection: &Connection,
    study_uid: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Vec<(ShadowRow, String, String)>> {
    let mut statement = connection.prepare_cached(
        "SELECT w.id, w.job_id, w.utc, w.task, w.active, w.candidate, w.active_ms, w.candidate_ms, w.differing, \
         w.differences, w.failure, s.study_uid, s.series_uid \
         FROM shadows w JOIN jobs j ON j.id = w.job_id JOIN series s ON s.id = j.series_id \
         WHERE ?1 IS NULL OR s.study_uid = ?1 ORDER BY w.id DESC LIMIT ?2",
    )?;
    statement.query_map(params![study_uid, limit], read)?.collect()
}
