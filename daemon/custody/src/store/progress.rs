//! `progress`: how far work has come that goes on for days, so that a restart does not begin it anew.

use rusqlite::{Connection, OptionalExtension};

use super::Result;

/// The last instance that was checked against its hash, by id.
pub const CHECKED: &str = "checked";

/// 0 before anything was put down.
///
/// # Errors
/// When the database fails.
pub fn get(connection: &Connection, name: &str) -> Result<i64> {
    let value =
        connection.query_row("SELECT value FROM progress WHERE name = ?1", [name], |row| row.get(0)).optional()?;
    Ok(value.unwrap_or_default())
}

/// # Errors
/// When the database fails.
pub fn put(connection: &Connection, name: &str, value: i64) -> Result<()> {
    let sql =
        "INSERT INTO progress (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    connection.execute(sql, (name, value))?;
    Ok(())
}
