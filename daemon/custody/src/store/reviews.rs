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

/// The reviews that were applied in older versions of a series, as JSON, oldest first; also those that do not hold any more.
///
/// # Errors
/// When the database fails.
pub fn applied_before(connection: &Connection, series_id: i64, version: i64) -> Result<Vec<String>> {
    // One of which nothing came is lost or replaced, too.
    let mut statement = connection.prepare_cached(
        "SELECT r.review FROM reviews r WHERE r.series_id = ?1 AND r.version < ?2 \
         AND r.state IN ('applied', 'replaced', 'lost') AND EXISTS (SELECT 1 FROM jobs j \
           WHERE j.series_id = r.series_id AND j.version = r.version AND j.state = 'done') ORDER BY r.version",
    )?;
    Ok(statement.query_map(params![series_id, version], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Who has signed the review that the job of this version is still to apply.
///
/// # Errors
/// When the database fails.
pub fn waits(connection: &Connection, series_id: i64, version: i64) -> Result<Option<String>> {
    let sql = "SELECT signed_by FROM reviews WHERE series_id = ?1 AND version = ?2 AND state = 'signed'";
    Ok(connection.prepare_cached(sql)?.query_row(params![series_id, version], |row| row.get(0)).optional()?)
}

/// The parked job of a version whose review waits for it is queued again as if it were new: a job of another version would lose the
/// signature. Its series are complete again. Returns its id.
///
/// # Errors
/// When the database fails.
pub fn resume(transaction: &Transaction<'_>, series_id: i64, version: i64) -> Result<Option<i64>> {
    if waits(transaction, series_id, version)?.is_none() {
        return Ok(None);
    }
    let sql = "UPDATE jobs SET state = 'queued', attempts = 0, interruptions = 0, reason = NULL, not_before_utc = NULL, \
               finished_utc = NULL WHERE series_id = ?1 AND version = ?2 AND state = 'parked' RETURNING id";
    let job: Option<i64> =
        transaction.prepare_cached(sql)?.query_row(params![series_id, version], |row| row.get(0)).optional()?;
    let Some(job) = job else { return Ok(None) };
    transaction.execute(
        "UPDATE series SET state = 'complete', verdict = NULL WHERE state = 'refused' AND ((id = ?1 AND version = ?2) \
         OR EXISTS (SELECT 1 FROM job_members m WHERE m.job_id = ?3 AND m.series_id = series.id AND m.version = series.version))",
        params![series_id, version, job],
    )?;
    events::record(transaction, &format!("job/{job}"), "queued again", "its review is signed")?;
    Ok(Some(job))
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::series::SeriesKey;
    use crate::store::{Durability, Store, jobs, now_utc, series};

    fn open(folder: &Path) -> Connection {
        Store::open(&folder.join("scanside.db")).unwrap().connect(Durability::Full).unwrap()
    }

    /// A series with a job that is done; its id.
    fn done(connection: &mut Connection) -> i64 {
        let transaction = connection.transaction().unwrap();
        let key = SeriesKey { study_uid: "1.2".into(), series_uid: "1.2.3".into() };
        let (row, _) = series::opened(&transaction, &key, "CT", dicom::kind::SeriesKind::Ct, 1, &now_utc()).unwrap();
        let version = series::completed(&transaction, row.id, "quiet", &now_utc()).unwrap();
        let job = jobs::enqueue(&transaction, row.id, version, &now_utc()).unwrap();
        jobs::done(&transaction, job, Some("{}"), "[]", &now_utc()).unwrap();
        transaction.commit().unwrap();
        row.id
    }

    /// Signs the next version, or only begins to.
    fn sign(connection: &mut Connection, series_id: i64, by: &str, commit: bool) -> i64 {
        let transaction = connection.transaction().unwrap();
        let version = series::completed(&transaction, series_id, "review", &now_utc()).unwrap();
        let (job_id, _) = jobs::found(&transaction, series_id, 1).unwrap().unwrap();
        jobs::enqueue(&transaction, series_id, version, &now_utc()).unwrap();
        insert(&transaction, Signed { series_id, version, job_id, utc: &now_utc(), by, review: "{}" }).unwrap();
        if commit {
            transaction.commit().unwrap();
        }
        version
    }

    fn end(connection: &mut Connection, series_id: i64, version: i64, fate: &Fate) {
        let transaction = connection.transaction().unwrap();
        conclude(&transaction, series_id, version, fate).unwrap();
        transaction.commit().unwrap();
    }

    fn states(connection: &Connection) -> Vec<String> {
        let mut rows = connection.prepare("SELECT state FROM reviews ORDER BY version").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(|state| state.unwrap()).collect()
    }

    fn told(connection: &Connection, what: &str) -> Vec<String> {
        let all = events::latest(connection, 50).unwrap();
        all.into_iter().filter(|event| event.what == what).map(|event| event.detail).collect()
    }

    #[test]
    fn a_review_is_there_with_its_job_after_a_kill_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = open(folder.path());
        let series_id = done(&mut connection);
        sign(&mut connection, series_id, "Li Ming", false);
        drop(connection);
        let mut connection = open(folder.path());
        let version = |connection: &Connection| series::get(connection, series_id).unwrap().unwrap().version;
        assert_eq!((version(&connection), states(&connection).len()), (1, 0), "killed before the commit");
        assert_eq!(jobs::state_of(&connection, series_id, 2).unwrap(), None);

        assert_eq!(sign(&mut connection, series_id, "Li Ming", true), 2);
        drop(connection);
        let connection = open(folder.path());
        assert_eq!((version(&connection), states(&connection)), (2, vec!["signed".to_owned()]));
        assert_eq!(jobs::state_of(&connection, series_id, 2).unwrap().as_deref(), Some("queued"));
        assert_eq!(of_version(&connection, series_id, 2).unwrap().as_deref(), Some("{}"));
        assert_eq!(of_version(&connection, series_id, 1).unwrap(), None);
    }

    #[test]
    fn a_signature_is_replaced_by_the_next_one_and_lost_with_a_version_without() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = open(folder.path());
        let series_id = done(&mut connection);
        for by in ["Li Ming", "Wang Fang"] {
            let version = sign(&mut connection, series_id, by, true);
            end(&mut connection, series_id, version, &Fate::Applied);
        }
        assert_eq!(states(&connection), ["replaced", "applied"]);
        assert!(told(&connection, "signature lost").is_empty());
        // A rerun.
        end(&mut connection, series_id, 4, &Fate::NotApplied(String::new()));
        assert_eq!(states(&connection), ["replaced", "lost"]);
        let said = "version 4 is not signed: the review by Wang Fang was of version 3";
        assert_eq!(told(&connection, "signature lost"), [said]);
        assert!(told(&connection, "review not applied").is_empty(), "version 4 has none");
        // The next start finds nothing to say again.
        end(&mut connection, series_id, 4, &Fate::NotApplied(String::new()));
        assert_eq!(told(&connection, "signature lost").len(), 1);
    }

    #[test]
    fn a_review_that_does_not_hold_is_told_and_signs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = open(folder.path());
        let series_id = done(&mut connection);
        let first = sign(&mut connection, series_id, "Li Ming", true);
        end(&mut connection, series_id, first, &Fate::Applied);
        let second = sign(&mut connection, series_id, "Wang Fang", true);
        end(&mut connection, series_id, second, &Fate::NotApplied("another model package is used now".into()));
        assert_eq!(states(&connection), ["lost", "not_applied"]);
        let said = "the review by Wang Fang was not applied, because another model package is used now";
        assert_eq!(told(&connection, "review not applied"), [said]);
        assert_eq!(told(&connection, "signature lost").len(), 1);
    }
}
