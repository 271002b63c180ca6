//! What the database forgets, so that years of studies do not fill the disk: of old series whose bytes were evicted every
//! instance but the first, which says of whom they were (for priors and lists), old events, and questions to archives about
//! results that are gone. By number and not by age, since the clock of a box may be wrong.

use rusqlite::{Connection, params};

use super::{Result, progress};

/// The newest rows of `instances` that are not touched: three weeks of 50 thin CT scans a day, some 500 MB.
pub const INSTANCES: i64 = 500_000;
/// The newest events that stay.
pub const EVENTS: i64 = 500_000;
/// Rows that one call looks at, so that nobody waits for the database.
pub const AT_ONCE: i64 = 5_000;

/// Where the next call goes on, by id of an instance.
const FORGOTTEN: &str = "forgotten";

/// Looks at the next `at_once` rows that are not among the newest `instances`; begins again behind the last. Returns how
/// many rows were removed. Blocks.
///
/// # Errors
/// When the database fails.
pub fn forget(connection: &mut Connection, instances: i64, events: i64, at_once: i64) -> Result<usize> {
    let newest: i64 = connection.query_row("SELECT coalesce(max(id), 0) FROM instances", [], |row| row.get(0))?;
    let last = newest.saturating_sub(instances);
    let old = "SELECT id FROM events WHERE id <= (SELECT max(id) FROM events) - ?1 LIMIT ?2";
    let mut removed =
        connection.execute(&format!("DELETE FROM events WHERE id IN ({old})"), params![events, at_once])?;
    // Questions to archives about results that were evicted.
    let old = "SELECT id FROM asks WHERE NOT EXISTS (SELECT 1 FROM ask_items WHERE ask_id = asks.id) LIMIT ?1";
    removed += connection.execute(&format!("DELETE FROM asks WHERE id IN ({old})"), [at_once])?;
    if last <= 0 {
        return Ok(removed);
    }
    let transaction = connection.transaction()?;
    let from = progress::get(&transaction, FORGOTTEN)?;
    let to = from.saturating_add(at_once).min(last);
    // An image that a task of the whole study has used stays: its job names it.
    let instances = transaction.execute(
        "DELETE FROM instances WHERE id > ?1 AND id <= ?2 AND state = 'evicted' \
         AND EXISTS (SELECT 1 FROM series s WHERE s.study_uid = instances.study_uid \
             AND s.series_uid = instances.series_uid AND s.state = 'evicted') \
         AND id > (SELECT min(f.id) FROM instances f WHERE f.series_uid = instances.series_uid \
             AND f.study_uid = instances.study_uid AND f.state IN ('kept', 'evicted')) \
         AND NOT EXISTS (SELECT 1 FROM job_members m WHERE m.instance_id = instances.id)",
        [from, to],
    )?;
    progress::put(&transaction, FORGOTTEN, if to >= last { 0 } else { to })?;
    transaction.commit()?;
    Ok(removed + instances)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Store, events, journal};

    fn arrive(connection: &Connection, study: &str, count: usize, state: &str) {
        for number in 0..count {
            connection
                .execute(
                    "INSERT INTO instances (sop_uid, sop_class, study_uid, series_uid, offset, length, sha256, state, \
                     received_utc, calling_ae, called_ae, peer_address, association, header) \
                     VALUES (?1, '', ?2, ?2 || '.1', 0, 1, '', ?3, '2026-01-01T10:00:00.000Z', 'CT1', 'US', '192.0.2.7', 1, '{}')",
                    params![format!("{study}.1.{number}"), study, state],
                )
                .unwrap();
        }
        let series_state = if state == "evicted" { "evicted" } else { "processed" };
        connection
            .execute(
                "INSERT INTO series (study_uid, series_uid, modality, kind, state, instance_count, first_utc, last_utc) \
                 VALUES (?1, ?1 || '.1', 'CT', 'ct', ?2, ?3, '', '')",
                params![study, series_state, i64::try_from(count).unwrap()],
            )
            .unwrap();
    }

    fn left(connection: &Connection, study: &str) -> i64 {
        let sql = "SELECT count(*) FROM instances WHERE study_uid = ?1";
        connection.query_row(sql, [study], |row| row.get(0)).unwrap()
    }

    #[test]
    fn of_old_evicted_series_the_first_instance_stays_and_of_others_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        for (study, state) in [("1", "evicted"), ("2", "kept"), ("3", "evicted"), ("4", "evicted")] {
            arrive(&connection, study, 30, state);
        }
        let member: i64 =
            connection.query_row("SELECT max(id) FROM instances WHERE study_uid = '3'", [], |row| row.get(0)).unwrap();
        connection
            .execute_batch(&format!(
                "INSERT INTO jobs (id, series_id, version, state, created_utc) VALUES (1, 3, 1, 'done', ''); \
                 INSERT INTO job_members (job_id, series_id, version, instance_id) VALUES (1, 3, 1, {member});"
            ))
            .unwrap();
        for _ in 0..50 {
            events::record(&connection, "series/1", "looked at", "").unwrap();
        }
        connection
            .execute("INSERT INTO asks (transaction_uid, destination, asked_utc) VALUES ('1', 'pacs', '')", [])
            .unwrap();
        // Two turns of steps of 7; the last 30 rows are young.
        for _ in 0..30 {
            forget(&mut connection, 30, 20, 7).unwrap();
        }
        assert_eq!(["1", "2", "3", "4"].map(|study| left(&connection, study)), [1, 30, 2, 30]);
        let first: String =
            connection.query_row("SELECT sop_uid FROM instances WHERE study_uid = '1'", [], |row| row.get(0)).unwrap();
        assert_eq!(first, "1.1.0");
        assert_eq!(events::latest(&connection, 100).unwrap().len(), 20);
        let asks: i64 = connection.query_row("SELECT count(*) FROM asks", [], |row| row.get(0)).unwrap();
        assert_eq!(asks, 0);
        let told = journal::of_study(&connection, "1").unwrap();
        assert_eq!(told[0].detail, "the first of 30 instances from CT1 at 192.0.2.7");
        let told = journal::of_study(&connection, "2").unwrap();
        assert_eq!(told[0].detail, "30 instances from CT1 at 192.0.2.7, until 10:00:00 UTC");
        // A study is evicted after its rows were passed.
        connection
            .execute_batch("UPDATE instances SET state = 'evicted'; UPDATE series SET state = 'evicted'")
            .unwrap();
        for _ in 0..30 {
            forget(&mut connection, 30, 20, 7).unwrap();
        }
        assert_eq!(left(&connection, "2"), 1);
        assert_eq!(forget(&mut connection, 1000, 1000, 7).unwrap(), 0, "what is young stays");
    }
}
