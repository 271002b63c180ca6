//! `reviews`: what a person decided about the findings of a series, signed for one version of it.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Result, events};

/// A review that is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    pub series_id: i64,
    /// Of the series, in which it is to be applied.
    pub version: i64,
    /// Whose findings were decided about.
    pub job_id: i64,
    pub utc: &'a str,
    pub by: &'a str,
    /// As JSON.
    pub review: &'a str,
}

/// What became of the review of a version when its job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Applied,
    /// And why.
    NotApplied(String),
}

/// # Errors
/// When the database fails.
pub fn insert(transaction: &Transaction<'_>, signed: Signed<'_>) -> Result<()> {
    transaction.execute(
        "INSERT INTO reviews (series_id, version, job_id, signed_utc, signed_by, review, state) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'signed')",
        params![signed.series_id, signed.version, signed.job_id, signed.utc, signed.by, signed.review],
    )?;
    events::record(transaction, &format!("series/{}", signed.series_id), "review signed", signed.by)
}

/// The review that is signed for one version of a series, as JSON; also when it was applied already.
///
/// # Errors
/// When the database fails.
pub fn of_version(connection: &Connection, series_id: i64, version: i64) -> Result<Option<String>> {
    let sql = "SELECT review FROM reviews WHERE series_id = ?1 AND version = ?2";
    Ok(connection.prepare_cached(sql)?.query_row(params![series_id, version], |row| row.get(0)).optional()?)
}

/// The end of a job of a series: notes what became of the review of its version, if it has one, and that reviews of older
/// versions do not hold any more.
///
/// # Errors
/// When the database fails.
pub fn conclude(transaction: &Transaction<'_>, series_id: i64, version: i64, fate: &Fate) -> Result<()> {
    let subject = format!("series/{series_id}");
    let sql = "SELECT signed_by FROM reviews WHERE series_id = ?1 AND version = ?2";
    let own: Option<String> =
        transaction.prepare_cached(sql)?.query_row(params![series_id, version], |row| row.get(0)).optional()?;
    if let Some(by) = &own {
        let (state, reason) = match fate {
            Fate::Applied => ("applied", None),
            Fate::NotApplied(why) => ("not_applied", Some(why.as_str())),
        };
        transaction.execute(
            "UPDATE reviews SET state = ?3, reason = ?4 WHERE series_id = ?1 AND version = ?2",
            params![series_id, version, state, reason],
        )?;
        match reason {
            None => events::record(transaction, &subject, "review applied", by)?,
            Some(why) => {
                let said = format!("the review by {by} was not applied, because {why}");
                events::record(transaction, &subject, "review not applied", &said)?;
            }
        }
    }
    let replaced = own.is_some() && *fate == Fate::Applied;
    let mut statement = transaction.prepare_cached(
        "SELECT id, version, signed_by FROM reviews \
         WHERE series_id = ?1 AND version < ?2 AND state IN ('signed', 'applied') ORDER BY version",
    )?;
    let rows = statement.query_map(params![series_id, version], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let older = rows.collect::<rusqlite::Result<Vec<(i64, i64, String)>>>()?;
    for (id, of, by) in older {
        let why = format!("version {version} was analysed anew");
        let (state, reason) = if replaced { ("replaced", None) } else { ("lost", Some(why.as_str())) };
        transaction.execute("UPDATE reviews SET state = ?2, reason = ?3 WHERE id = ?1", params![id, state, reason])?;
        if !replaced {
            let said = format!("version {version} is not signed: the review by {by} was of version {of}");
            events::record(transaction, &subject, "signature lost", &said)?;
        }
    }
    Ok(())
}
