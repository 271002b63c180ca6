//! `events`: what happened and why, in plain words for operators. No identifying data.

use rusqlite::{Connection, params};

use super::{Result, now_utc};

#[derive(Debug, Clone, serde::Serialize)]
pub struct EventRow {
    pub utc: String,
    pub subject: String,
    pub what: String,
    pub detail: String,
}

/// # Errors
/// When the database fails.
pub fn record(connection: &Connection, subject: &str, what: &str, detail: &str) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO events (utc, subject, what, detail) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![now_utc(), subject, what, detail])?;
    Ok(())
}

/// The newest `limit` events, newest first.
///
/// # Errors
/// When the database fails.
pub fn latest(connection: &Connection, limit: u32) -> Result<Vec<EventRow>> {
    let mut statement =
        connection.prepare_cached("SELECT utc, subject, what, detail FROM events ORDER BY id DESC LIMIT ?1")?;
    let rows = statement.query_map([limit], |row| {
        Ok(EventRow { utc: row.get(0)?, subject: row.get(1)?, what: row.get(2)?, detail: row.get(3)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
