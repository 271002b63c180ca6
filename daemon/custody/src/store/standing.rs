//! How much of what others are told still waits, for `status`, doctor and metrics.

use rusqlite::Connection;

use super::Result;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    pub waiting: u32,
    /// When the oldest of those that wait was written; empty when none waits.
    pub oldest_utc: String,
    /// What the other side refuses.
    pub parked: u32,
    /// Why the first of the refused, or of the others, was not taken; empty when all is well.
    pub reason: String,
}

impl Standing {
    /// `sql` gives one row: these four, NULL where a text is empty.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) fn read(connection: &Connection, sql: &str) -> Result<Self> {
        Ok(connection.prepare_cached(sql)?.query_row([], |row| {
            Ok(Self {
                waiting: row.get(0)?,
                oldest_utc: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
                parked: row.get(2)?,
                reason: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
            })
        })?)
    }
}
