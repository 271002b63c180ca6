//! `segments`: the files of the custody log, and how far each has been read into `instances`.

use rusqlite::{Connection, params};

use super::Result;

/// One file of the custody log, as the database knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentRow {
    pub id: i64,
    /// Every record before this offset in bytes has a row in `instances`.
    pub indexed_to: u64,
    /// Nothing more is written to it.
    pub sealed: bool,
}

/// All segments in the database.
///
/// # Errors
/// When the database fails (as for all below).
pub fn all(connection: &Connection) -> Result<Vec<SegmentRow>> {
    let mut statement = connection.prepare("SELECT id, indexed_to, sealed FROM segments")?;
    let rows = statement.query_map([], |row| {
        let indexed_to = row.get::<_, i64>(1)?.cast_unsigned();
        Ok(SegmentRow { id: row.get(0)?, indexed_to, sealed: row.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes that every record before `position` has a row.
///
/// # Errors
/// When the database fails.
pub fn indexed_to(connection: &Connection, id: i64, position: u64) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO segments (id, indexed_to) VALUES (?1, ?2) \
             ON CONFLICT (id) DO UPDATE SET indexed_to = excluded.indexed_to",
        )?
        .execute(params![id, position.cast_signed()])?;
    Ok(())
}

/// Nothing more is written to it.
///
/// # Errors
/// When the database fails.
pub fn seal(connection: &Connection, id: i64) -> Result<()> {
    connection.prepare_cached("UPDATE segments SET sealed = 1 WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Seals a segment whose content after `position` is unknown. It need not have a row yet.
///
/// # Errors
/// When the database fails.
pub fn seal_at(connection: &Connection, id: i64, position: u64) -> Result<()> {
    connection.execute(
        "INSERT INTO segments (id, indexed_to, sealed) VALUES (?1, ?2, 1) ON CONFLICT (id) DO UPDATE SET sealed = 1",
        params![id, position.cast_signed()],
    )?;
    Ok(())
}

/// Removes the row of a segment.
///
/// # Errors
/// When the database fails.
pub fn remove(connection: &Connection, id: i64) -> Result<()> {
    connection.execute("DELETE FROM segments WHERE id = ?1", [id])?;
    Ok(())
}
