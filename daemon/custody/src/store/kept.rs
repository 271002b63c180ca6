//! How much is kept, for whoever shows it: reads `instances` and `results`.

use std::collections::HashMap;

use rusqlite::Connection;

use super::{Result, deliveries, holds};
use crate::retention::Why;

/// Count and bytes.
pub type Sum = (u64, u64);

/// Objects in the segment that is being written.
///
/// # Errors
/// When the database fails (as for all below).
pub fn in_open_segment(connection: &Connection) -> Result<Sum> {
    let sql = "SELECT count(*), coalesce(sum(i.length), 0) FROM instances i LEFT JOIN segments g ON g.id = i.segment \
               WHERE i.state <> 'evicted' AND i.segment IS NOT NULL AND coalesce(g.sealed, 0) = 0";
    Ok(connection.query_row(sql, [], |row| Ok((number(row.get(0)?), number(row.get(1)?))))?)
}

/// Bytes of received objects of each study.
///
/// # Errors
/// When the database fails.
pub fn objects_of_studies(connection: &Connection) -> Result<HashMap<String, u64>> {
    by_study(connection, "SELECT study_uid, sum(length) FROM instances WHERE state <> 'evicted' GROUP BY study_uid")
}

/// Bytes of results of each study.
///
/// # Errors
/// When the database fails.
pub fn results_of_studies(connection: &Connection) -> Result<HashMap<String, u64>> {
    by_study(connection, "SELECT study_uid, sum(length) FROM results GROUP BY study_uid")
}

fn by_study(connection: &Connection, sql: &str) -> Result<HashMap<String, u64>> {
    let mut statement = connection.prepare(sql)?;
    Ok(statement.query_map([], |row| Ok((row.get(0)?, number(row.get(1)?))))?.collect::<rusqlite::Result<_>>()?)
}

/// Results, by what keeps them.
///
/// # Errors
/// When the database fails.
pub fn results(connection: &Connection) -> Result<Vec<(Why, Sum)>> {
    let (held, open) = (holds::held("r.study_uid"), deliveries::OPEN);
    let of = |condition: &str| format!("EXISTS (SELECT 1 FROM deliveries d WHERE d.result_id = r.id AND {condition})");
    let (pending, open, parked) = (of("d.state = 'pending'"), of(open), of("d.state IN ('held', 'parked')"));
    let mut statement = connection.prepare(&format!(
        "SELECT CASE WHEN {held} THEN 0 WHEN {pending} THEN 1 WHEN {open} THEN 2 WHEN {parked} THEN 3 ELSE 4 END AS why, \
         count(*), sum(r.length) FROM results r GROUP BY why"
    ))?;
    let rows = statement.query_map([], |row| {
        let why = match row.get::<_, i64>(0)? {
            0 => Why::Held,
            1 => Why::Undelivered,
            2 => Why::Uncommitted,
            3 => Why::Parked,
            _ => Why::Evictable,
        };
        Ok((why, (number(row.get(1)?), number(row.get(2)?))))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Bytes that were received, and made of it, since then; and when the first of it came.
///
/// # Errors
/// When the database fails.
pub fn came_since(connection: &Connection, since_utc: &str, until_utc: &str) -> Result<(u64, Option<String>)> {
    let sql = "SELECT coalesce(sum(length), 0), min(received_utc) FROM instances WHERE received_utc BETWEEN ?1 AND ?2";
    let (received, first): (i64, Option<String>) =
        connection.query_row(sql, [since_utc, until_utc], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let sql = "SELECT coalesce(sum(r.length), 0) FROM results r JOIN jobs j ON j.id = r.job_id \
               WHERE j.finished_utc BETWEEN ?1 AND ?2";
    let made: i64 = connection.query_row(sql, [since_utc, until_utc], |row| row.get(0))?;
    Ok((number(received) + number(made), first))
}

fn number(stored: i64) -> u64 {
    stored.unsigned_abs()
}
