//! `asks`: storage commitment that we ask of archives. A delivery is `wanted` when its archive is to be asked, `asked` while
//! the report is awaited, `committed` when the archive has said that it keeps the object. What it says it does not keep is
//! sent again, and parked when that has not helped; what does not count any more is not sent again.

use rusqlite::{Connection, OptionalExtension, Transaction, named_params, params};

use super::deliveries::{self, Delivery};
use super::{Result, events};

pub const WANTED: &str = "wanted";
pub const ASKED: &str = "asked";
pub const COMMITTED: &str = "committed";
/// The archive was asked often enough and said nothing: the object counts as delivered and no more.
pub const UNANSWERED: &str = "unanswered";

/// How the reason begins when an archive says in a report that it does not keep an object.
pub const NOT_KEPT: &str = "the archive took it and does not keep it";

/// After so many reports that say no the object is parked: sending it again does not help.
const MOST_REFUSALS: u32 = 5;

/// What a report changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Noted {
    pub committed: usize,
    pub failed: usize,
}

/// Writes down a transaction before it is sent: its report may come before the answer. Those deliveries are asked for again
/// at `again_utc` if no report has come.
///
/// # Errors
/// When the database fails (as for all below).
pub fn ask(
    transaction: &Transaction<'_>,
    transaction_uid: &str,
    destination: &str,
    deliveries: &[i64],
    now: &str,
    again_utc: &str,
) -> Result<()> {
    transaction.execute(
        "INSERT INTO asks (transaction_uid, destination, asked_utc) VALUES (?1, ?2, ?3)",
        [transaction_uid, destination, now],
    )?;
    let id = transaction.last_insert_rowid();
    let mut item = transaction.prepare_cached("INSERT INTO ask_items (ask_id, delivery_id) VALUES (?1, ?2)")?;
    let mut delivery = transaction.prepare_cached(
        "UPDATE deliveries SET commitment = 'asked', ask_utc = ?2, asked = asked + 1 WHERE id = ?1 AND state = 'delivered'",
    )?;
    for delivery_id in deliveries {
        item.execute([id, *delivery_id])?;
        delivery.execute(params![delivery_id, again_utc])?;
    }
    Ok(())
}

/// For SQL: of a result `r` that is not to be at any archive again. It was rejected, or a newer version took its place.
const COUNTS_NO_MORE: &str = "(r.rejected IS NOT NULL OR (r.kind <> 'ko' AND EXISTS (\
    SELECT 1 FROM jobs j JOIN jobs n ON n.series_id = j.series_id AND n.task IS j.task \
    WHERE j.id = r.job_id AND n.id > j.id AND n.state = 'done')))";

/// Notes what an archive reported, by SOP Instance UID. An object that it does not name stays asked for. `None`: there is no
/// such transaction. The same report again changes nothing. What the archive does not keep is sent again if it still counts: people
/// may have deleted there what was rejected here. A report counts also when nobody waits for it any more.
///
/// # Errors
/// When the database fails.
pub fn answered(
    transaction: &Transaction<'_>,
    transaction_uid: &str,
    committed: &[String],
    failed: &[(String, u16)],
    now: &str,
) -> Result<Option<Noted>> {
    let ask: Option<i64> = transaction
        .query_row("SELECT id FROM asks WHERE transaction_uid = ?1", [transaction_uid], |row| row.get(0))
        .optional()?;
    let Some(ask) = ask else { return Ok(None) };
    transaction
        .execute("UPDATE asks SET answered_utc = ?2 WHERE id = ?1 AND answered_utc IS NULL", params![ask, now])?;
    // One that was sent again after an earlier report and was not asked for since: no report says anything of it.
    const OF_ASK: &str = "commitment IN ('wanted', 'asked', 'unanswered') AND asked > 0 AND state = 'delivered' AND result_id = (SELECT id FROM results WHERE \
                          sop_uid = :uid) AND id IN (SELECT delivery_id FROM ask_items WHERE ask_id = :ask)";
    let mut noted = Noted::default();
    let mut keep = transaction
        .prepare_cached(&format!("UPDATE deliveries SET commitment = 'committed', ask_utc = NULL WHERE {OF_ASK}"))?;
    for uid in committed {
        noted.committed += keep.execute(named_params! {":uid": uid, ":ask": ask})?;
    }
    let mut again = transaction.prepare_cached(&format!(
        "UPDATE deliveries SET commitment = NULL, ask_utc = NULL, asked = 0, refusals = refusals + 1, next_utc = :now, \
         state = CASE WHEN (SELECT {COUNTS_NO_MORE} FROM results r WHERE r.id = result_id) THEN 'superseded' \
                      WHEN refusals + 1 >= :most THEN 'parked' ELSE 'pending' END, reason = :reason \
         WHERE {OF_ASK} RETURNING id"
    ))?;
    let mut sent_again: Vec<i64> = Vec::new();
    for (uid, status) in failed {
        let reason = format!("{NOT_KEPT} (storage commitment: {status:#06x})");
        let values = named_params! {":uid": uid, ":ask": ask, ":now": now, ":most": MOST_REFUSALS, ":reason": reason};
        let id: Option<i64> = again.query_row(values, |row| row.get(0)).optional()?;
        if let Some(id) = id {
            events::record(transaction, &format!("delivery/{id}"), "not committed", &reason)?;
            sent_again.push(id);
        }
    }
    noted.failed = sent_again.len();
    // An archive may repeat this report, or that of an older question, when the object was sent and asked for again: nothing that was asked
    // before says anything of it then.
    if !sent_again.is_empty() {
        let sql = "DELETE FROM ask_items WHERE delivery_id IN (SELECT value FROM json_each(?1))";
        transaction.execute(sql, [serde_json::to_string(&sent_again)?])?;
    }
    Ok(Some(noted))
}

/// The request went out: its report is awaited until `again_utc`, also when the archive has not said that it took it.
///
/// # Errors
/// When the database fails.
pub fn taken(transaction: &Transaction<'_>, transaction_uid: &str, again_utc: &str) -> Result<()> {
    transaction.execute(
        "UPDATE deliveries SET ask_utc = ?2 WHERE commitment = 'asked' AND id IN \
         (SELECT delivery_id FROM ask_items i JOIN asks a ON a.id = i.ask_id WHERE a.transaction_uid = ?1)",
        [transaction_uid, again_utc],
    )?;
    Ok(())
}

/// The archive does not do storage commitment: what this question asked for counts as delivered only. Returns how many.
///
/// # Errors
/// When the database fails.
pub fn refused(transaction: &Transaction<'_>, transaction_uid: &str, destination: &str) -> Result<usize> {
    let changed = transaction.execute(
        "UPDATE deliveries SET commitment = 'unanswered', ask_utc = NULL WHERE commitment = 'asked' AND id IN \
         (SELECT delivery_id FROM ask_items i JOIN asks a ON a.id = i.ask_id WHERE a.transaction_uid = ?1)",
        [transaction_uid],
    )?;
    let said = format!("{changed} results count as delivered only");
    events::record(transaction, &format!("destination/{destination}"), "storage commitment refused", &said)?;
    Ok(changed)
}

/// The deliveries that this destination is to be asked for now, oldest first.
///
/// # Errors
/// When the database fails.
pub fn due(connection: &Connection, destination: &str, now: &str, limit: usize) -> Result<Vec<Delivery>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let wanted =
        "d.destination = ?1 AND d.state = 'delivered' AND d.commitment IN ('wanted', 'asked') AND d.ask_utc <= ?2";
    deliveries::select(connection, wanted, params![destination, now, limit])
}

/// When [`due`] has something next, UTC.
///
/// # Errors
/// When the database fails.
pub fn next_due(connection: &Connection, destination: &str) -> Result<Option<String>> {
    Ok(connection
        .prepare_cached(
            "SELECT min(ask_utc) FROM deliveries WHERE destination = ?1 AND state = 'delivered' \
             AND commitment IN ('wanted', 'asked')",
        )?
        .query_row([destination], |row| row.get(0))?)
}

/// The destination cannot be asked before `until`.
///
/// # Errors
/// When the database fails.
pub fn hold(connection: &Connection, destination: &str, until: &str) -> Result<usize> {
    Ok(connection.execute(
        "UPDATE deliveries SET ask_utc = ?2 WHERE destination = ?1 AND state = 'delivered' \
         AND commitment IN ('wanted', 'asked') AND ask_utc < ?2",
        [destination, until],
    )?)
}

/// No pause leads beyond `latest`, as in `deliveries::not_after`.
///
/// # Errors
/// When the database fails.
pub fn not_after(connection: &Connection, destination: &str, latest: &str) -> Result<usize> {
    let which = "commitment IN ('wanted', 'asked') AND destination = ?2";
    super::not_after(connection, ("deliveries", "ask_utc"), which, latest, Some(destination))
}

/// Nobody asks this destination any more for what was asked `asked` times, or at all for 0. Returns how many.
///
/// # Errors
/// When the database fails.
pub fn enough(connection: &Connection, destination: &str, asked: u32, now: &str) -> Result<usize> {
    let over = "destination = ?1 AND state = 'delivered' AND commitment IN ('wanted', 'asked') AND asked >= ?2 \
                AND ask_utc <= ?3";
    let any: bool = connection
        .prepare_cached(&format!("SELECT EXISTS (SELECT 1 FROM deliveries WHERE {over})"))?
        .query_row(params![destination, asked, now], |row| row.get(0))?;
    if !any {
        return Ok(0);
    }
    let sql = format!("UPDATE deliveries SET commitment = 'unanswered', ask_utc = NULL WHERE {over}");
    let changed = connection.execute(&sql, params![destination, asked, now])?;
    let said = format!("{changed} results count as delivered only");
    events::record(connection, &format!("destination/{destination}"), "storage commitment unanswered", &said)?;
    Ok(changed)
}

/// The destination is not asked: what waited for it counts as delivered only. Returns how many.
///
/// # Errors
/// When the database fails.
pub fn off(connection: &Connection, destination: &str) -> Result<usize> {
    Ok(connection.execute(
        "UPDATE deliveries SET commitment = NULL, ask_utc = NULL WHERE destination = ?1 \
         AND commitment IN ('wanted', 'asked')",
        [destination],
    )?)
}

/// Remembers whether an archive offers storage commitment. `true`: that is news, and an event says it.
///
/// # Errors
/// When the database fails.
pub fn remember(connection: &Connection, destination: &str, offered: bool, now: &str) -> Result<bool> {
    if offers(connection, destination)? == Some(offered) {
        return Ok(false);
    }
    let word = if offered { "offered" } else { "refused" };
    connection.execute(
        "INSERT INTO archives (destination, commitment, utc) VALUES (?1, ?2, ?3) \
         ON CONFLICT (destination) DO UPDATE SET commitment = excluded.commitment, utc = excluded.utc",
        [destination, word, now],
    )?;
    events::record(connection, &format!("destination/{destination}"), "storage commitment", word)?;
    Ok(true)
}

/// Whether an archive offered storage commitment when it was asked last; `None` when it never was.
///
/// # Errors
/// When the database fails.
pub fn offers(connection: &Connection, destination: &str) -> Result<Option<bool>> {
    let word: Option<String> = connection
        .prepare_cached("SELECT commitment FROM archives WHERE destination = ?1")?
        .query_row([destination], |row| row.get(0))
        .optional()?;
    Ok(word.map(|word| word == "offered"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Store};

    /// Three results that `pacs` took and was asked for once, in transaction 2.25.1.
    fn asked() -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut rows = store.connect(Durability::Full).unwrap();
        rows.execute_batch(
            "INSERT INTO series (id, study_uid, series_uid, modality, kind, state, first_utc, last_utc) \
             VALUES (1, '1.2', '1.2.3', 'CT', 'volume', 'complete', '2026-01-01', '2026-01-01'); \
             INSERT INTO jobs (id, series_id, version, state, created_utc) VALUES (1, 1, 1, 'done', '2026-01-01');",
        )
        .unwrap();
        for id in 1..=3 {
            rows.execute(
                "INSERT INTO results (id, job_id, kind, sop_class, sop_uid, study_uid, series_uid, file, length, sha256) \
                 VALUES (?1, 1, 'sr', '1.2', '1.2.3.' || ?1, '1.2', '1.2.9', ?1 || '.dcm', 0, '')",
                [id],
            )
            .unwrap();
            rows.execute(
                "INSERT INTO deliveries (id, result_id, destination, state, next_utc, commitment, ask_utc) \
                 VALUES (?1, ?1, 'pacs', 'delivered', '2026-01-01', 'wanted', '2026-01-01')",
                [id],
            )
            .unwrap();
        }
        let transaction = rows.transaction().unwrap();
        ask(&transaction, "2.25.1", "pacs", &[1, 2, 3], "2026-01-01", "2026-01-02").unwrap();
        transaction.commit().unwrap();
        (folder, rows)
    }

    fn says(rows: &mut Connection, committed: &[&str], failed: &[&str]) -> Noted {
        says_of(rows, "2.25.1", committed, failed)
    }

    fn says_of(rows: &mut Connection, transaction_uid: &str, committed: &[&str], failed: &[&str]) -> Noted {
        let committed: Vec<_> = committed.iter().map(|uid| (*uid).to_owned()).collect();
        let failed: Vec<_> = failed.iter().map(|uid| ((*uid).to_owned(), 0x0112)).collect();
        let transaction = rows.transaction().unwrap();
        let noted = answered(&transaction, transaction_uid, &committed, &failed, "2026-01-03").unwrap().unwrap();
        transaction.commit().unwrap();
        noted
    }

    /// A report is true also when it comes after the pause, or after the box has stopped asking.
    #[test]
    fn a_report_counts_whenever_it_comes() {
        for state in [WANTED, ASKED, UNANSWERED] {
            let (_folder, mut rows) = asked();
            rows.execute("UPDATE deliveries SET commitment = ?1", [state]).unwrap();
            assert_eq!(says(&mut rows, &["1.2.3.1"], &["1.2.3.2"]), Noted { committed: 1, failed: 1 }, "{state}");
            let states = deliveries::list(&rows, None, 9).unwrap();
            assert_eq!(states[2].commitment.as_deref(), Some(COMMITTED));
            assert_eq!((states[1].state.as_str(), states[1].commitment.as_deref()), (deliveries::PENDING, None));
        }
    }

    #[test]
    fn a_report_that_comes_twice_does_not_send_an_object_twice() {
        let (_folder, mut rows) = asked();
        assert_eq!(says(&mut rows, &[], &["1.2.3.2"]).failed, 1);
        assert!(deliveries::delivered(&rows, 2, 0, None, true, "2026-01-03").unwrap(), "it was sent again");
        assert_eq!(says(&mut rows, &[], &["1.2.3.2"]), Noted::default());
        assert_eq!(deliveries::due(&rows, "pacs", "9999", 9).unwrap(), []);
    }

    /// An archive that repeats its report until somebody answers, or whose report of an older question comes late.
    #[test]
    fn an_old_report_says_nothing_of_an_object_that_was_sent_and_asked_for_again() {
        let (_folder, mut rows) = asked();
        let asked_again = |rows: &mut Connection, uid: &str| {
            let transaction = rows.transaction().unwrap();
            ask(&transaction, uid, "pacs", &[2], "2026-01-03", "2026-01-04").unwrap();
            transaction.commit().unwrap();
        };
        // Asked twice before the first report comes: both questions are of what was sent first.
        asked_again(&mut rows, "2.25.2");
        assert_eq!(says(&mut rows, &[], &["1.2.3.2"]).failed, 1);
        assert!(deliveries::delivered(&rows, 2, 0, None, true, "2026-01-03").unwrap(), "it was sent again");
        asked_again(&mut rows, "2.25.3");
        for old in ["2.25.1", "2.25.2"] {
            assert_eq!(says_of(&mut rows, old, &[], &["1.2.3.2"]), Noted::default(), "{old}");
            assert_eq!(says_of(&mut rows, old, &["1.2.3.2"], &[]), Noted::default(), "{old}");
        }
        let refusals = "SELECT refusals FROM deliveries WHERE id = 2";
        assert_eq!(rows.query_row(refusals, [], |row| row.get::<_, u32>(0)).unwrap(), 1);
        assert_eq!(says_of(&mut rows, "2.25.3", &["1.2.3.2"], &[]), Noted { committed: 1, failed: 0 });
    }
}
