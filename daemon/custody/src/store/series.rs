//! `series`: one row per series of a study.

use dicom::header::Header;
use dicom::kind::SeriesKind;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Error, Result};
use crate::series::state::{SeriesEvent, Step};
use crate::series::{SeriesKey, SeriesState};

#[derive(Debug, Clone)]
pub struct SeriesRow {
    pub id: i64,
    pub key: SeriesKey,
    pub modality: String,
    pub kind: SeriesKind,
    pub state: SeriesState,
    pub verdict: Option<String>,
    /// Number of completions; a job belongs to one of them.
    pub version: i64,
    pub instance_count: u32,
    pub first_utc: String,
    pub last_utc: String,
    pub completed_by: Option<String>,
    pub completed_utc: Option<String>,
}

const COLUMNS: &str = "id, study_uid, series_uid, modality, kind, state, verdict, version, instance_count, first_utc, \
                       last_utc, completed_by, completed_utc";

fn read(row: &Row<'_>) -> rusqlite::Result<SeriesRow> {
    let unknown =
        |column: usize| rusqlite::Error::InvalidColumnType(column, "enum".into(), rusqlite::types::Type::Text);
    Ok(SeriesRow {
        id: row.get(0)?,
        key: SeriesKey { study_uid: row.get(1)?, series_uid: row.get(2)? },
        modality: row.get(3)?,
        kind: SeriesKind::parse(&row.get::<_, String>(4)?).ok_or_else(|| unknown(4))?,
        state: SeriesState::parse(&row.get::<_, String>(5)?).ok_or_else(|| unknown(5))?,
        verdict: row.get(6)?,
        version: row.get(7)?,
        instance_count: row.get(8)?,
        first_utc: row.get(9)?,
        last_utc: row.get(10)?,
        completed_by: row.get(11)?,
        completed_utc: row.get(12)?,
    })
}

/// # Errors
/// When the database fails.
pub fn get(connection: &Connection, id: i64) -> Result<Option<SeriesRow>> {
    let sql = format!("SELECT {COLUMNS} FROM series WHERE id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// # Errors
/// When the database fails.
pub fn find(connection: &Connection, key: &SeriesKey) -> Result<Option<SeriesRow>> {
    let sql = format!("SELECT {COLUMNS} FROM series WHERE study_uid = ?1 AND series_uid = ?2");
    Ok(connection.prepare_cached(&sql)?.query_row([&key.study_uid, &key.series_uid], read).optional()?)
}

/// # Errors
/// When the database fails.
pub fn of_study(connection: &Connection, study_uid: &str) -> Result<Vec<SeriesRow>> {
    let sql = format!("SELECT {COLUMNS} FROM series WHERE study_uid = ?1 ORDER BY id");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_map([study_uid], read)?.collect::<rusqlite::Result<_>>()?)
}

/// The series with this Series Instance UID: one, unless a scanner uses it in several studies.
///
/// # Errors
/// When the database fails.
pub fn with_uid(connection: &Connection, series_uid: &str) -> Result<Vec<SeriesRow>> {
    let sql = format!("SELECT {COLUMNS} FROM series WHERE series_uid = ?1 ORDER BY id");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_map([series_uid], read)?.collect::<rusqlite::Result<_>>()?)
}

/// The studies that have a complete series of this kind without a verdict.
///
/// # Errors
/// When the database fails.
pub fn studies_without_verdict(connection: &Connection, kind: SeriesKind) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT study_uid FROM series WHERE kind = ?1 AND state = 'complete' AND verdict IS NULL \
         ORDER BY study_uid",
    )?;
    let studies = statement.query_map([kind.as_str()], |row| row.get(0))?;
    Ok(studies.collect::<rusqlite::Result<_>>()?)
}

/// A series of which an instance has come is being received again, in whatever state it was; what it was found to be stays until it
/// is [`opened`].
///
/// # Errors
/// When the database fails.
pub fn stirred(connection: &Connection, study_uid: &str, series_uid: &str) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE series SET state = 'receiving' WHERE study_uid = ?1 AND series_uid = ?2 AND state <> 'receiving'",
        )?
        .execute([study_uid, series_uid])?;
    Ok(())
}

/// Makes the row of a series, or reopens it for a late instance (then says `true`). `total` is the number of kept
/// instances.
///
/// # Errors
/// When the database fails.
pub fn opened(
    transaction: &Transaction<'_>,
    key: &SeriesKey,
    modality: &str,
    kind: SeriesKind,
    total: u32,
    now: &str,
) -> Result<(SeriesRow, bool)> {
    let reopened = find(transaction, key)?.is_some_and(|row| row.version > 0 || row.state != SeriesState::Receiving);
    transaction
        .prepare_cached(
            "INSERT INTO series (study_uid, series_uid, modality, kind, state, instance_count, first_utc, last_utc) \
             VALUES (?1, ?2, ?3, ?4, 'receiving', ?5, ?6, ?6) \
             ON CONFLICT (study_uid, series_uid) DO UPDATE SET state = 'receiving', verdict = NULL, \
             instance_count = ?5, last_utc = ?6",
        )?
        .execute(params![key.study_uid, key.series_uid, modality, kind.as_str(), total, now])?;
    let row = find(transaction, key)?.ok_or(Error::Sqlite(rusqlite::Error::QueryReturnedNoRows))?;
    Ok((row, reopened))
}

/// Writes down patient and study of a series that has no instances.
///
/// # Errors
/// When the database fails.
pub fn set_header(transaction: &Transaction<'_>, id: i64, header: &Header) -> Result<()> {
    let json = serde_json::to_string(header)?;
    transaction.prepare_cached("UPDATE series SET header = ?2 WHERE id = ?1")?.execute(params![id, json])?;
    Ok(())
}

/// Updates the number of instances of a series that is being received.
///
/// # Errors
/// When the database fails.
pub fn counted(transaction: &Transaction<'_>, row: &SeriesRow) -> Result<()> {
    transaction
        .prepare_cached("UPDATE series SET instance_count = ?2, last_utc = max(last_utc, ?3) WHERE id = ?1")?
        .execute(params![row.id, row.instance_count, row.last_utc])?;
    Ok(())
}

/// What the series turned out to be, once all of it was seen.
///
/// # Errors
/// When the database fails.
pub fn is_of_kind(transaction: &Transaction<'_>, id: i64, kind: SeriesKind) -> Result<()> {
    transaction
        .prepare_cached("UPDATE series SET kind = ?2 WHERE id = ?1 AND kind <> ?2")?
        .execute(params![id, kind.as_str()])?;
    Ok(())
}

/// Marks the series as complete and starts a new version.
///
/// # Errors
/// When the database fails.
pub fn completed(transaction: &Transaction<'_>, id: i64, by: &str, now: &str) -> Result<i64> {
    transaction.execute(
        "UPDATE series SET state = 'complete', verdict = NULL, version = version + 1, completed_by = ?2, completed_utc = ?3 WHERE id = ?1",
        params![id, by, now],
    )?;
    Ok(transaction.query_row("SELECT version FROM series WHERE id = ?1", [id], |row| row.get(0))?)
}

/// Applies `event` to the series and sets its verdict. An illegal transition changes nothing, is recorded in `events`,
/// and returns `false`.
///
/// # Errors
/// When the database fails.
pub fn conclude(transaction: &Transaction<'_>, id: i64, event: SeriesEvent, verdict: &str) -> Result<bool> {
    let Some(row) = get(transaction, id)? else { return Ok(false) };
    let state = match row.state.on(event) {
        Ok(Step::Changed(state)) => state,
        Ok(Step::Unchanged) => row.state,
        Err(illegal) => {
            super::events::record(transaction, &format!("series/{id}"), "illegal transition", &illegal.to_string())?;
            return Ok(false);
        }
    };
    transaction
        .execute("UPDATE series SET state = ?2, verdict = ?3 WHERE id = ?1", params![id, state.as_str(), verdict])?;
    Ok(true)
}

/// Series that must be assembled again after a restart: still receiving, without a row, or with more kept instances
/// than their row knows (the row's last update did not reach the disk).
///
/// # Errors
/// When the database fails.
pub fn unfinished(connection: &Connection) -> Result<Vec<SeriesKey>> {
    let mut statement = connection.prepare(
        "SELECT i.study_uid, i.series_uid FROM instances i \
         LEFT JOIN series s ON s.study_uid = i.study_uid AND s.series_uid = i.series_uid \
         WHERE i.state = 'kept' \
         GROUP BY i.study_uid, i.series_uid \
         HAVING s.id IS NULL OR s.state = 'receiving' \
             OR (s.state <> 'evicted' AND s.instance_count < count(*))",
    )?;
    let keys = statement.query_map([], |row| Ok(SeriesKey { study_uid: row.get(0)?, series_uid: row.get(1)? }))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}
