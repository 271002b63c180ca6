//! What the database forgets, so that years of studies do not fill the disk: of old series whose bytes were evicted every
//! instance but the first, which says of whom they were (for priors and lists), old events, and questions to archives about
//! results that are gone. By number and not by age, since the clock of a box may be wrong.

use rusqlite::{Connection, params};

use super::instances::COUNTED;
use super::{Result, progress};

/// The newest rows of `instances` that are not touched: three weeks of 50 thin CT scans a day, some 500 MB.
pub const INSTANCES: i64 = 500_000;
/// The newest events that stay.
pub const EVENTS: i64 = 500_000;
/// The newest questions to archives that stay, of each kind.
const ASKS: i64 = 10_000;
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
    // Questions to archives about results that were evicted. The newest stay, because archives repeat their reports.
    let old = "SELECT id FROM asks WHERE id <= (SELECT max(id) FROM asks) - ?1 \
         AND NOT EXISTS (SELECT 1 FROM ask_items WHERE ask_id = asks.id) LIMIT ?2";
    removed += connection.execute(&format!("DELETE FROM asks WHERE id IN ({old})"), params![ASKS, at_once])?;
    let old = "SELECT rowid FROM prior_questions WHERE state = 'closed' \
         AND rowid <= (SELECT max(rowid) FROM prior_questions) - ?1 LIMIT ?2";
    let sql = format!("DELETE FROM prior_questions WHERE rowid IN ({old})");
    removed += connection.execute(&sql, params![ASKS, at_once])?;
    if last <= 0 {
        return Ok(removed);
    }
    let transaction = connection.transaction()?;
    let from = progress::get(&transaction, FORGOTTEN)?;
    let to = from.saturating_add(at_once).min(last);
    // These stay, too: what a job of a whole study names, what a performed procedure step names, images of another patient
    // than the first (they say that the study is mixed) unless they were set aside, and the newest segment's, whose number
    // must not be given again.
    let patient = |row: &str| {
        ["patient_id", "patient_name", "birth_date"].map(|key| format!("json_extract({row}.header, '$.{key}')"))
    };
    let same: Vec<String> =
        patient("f").into_iter().zip(patient("i")).map(|(first, own)| format!("{first} IS {own}")).collect();
    let instances = transaction.execute(
        &format!(
            "DELETE FROM instances WHERE id IN (SELECT i.id FROM instances i \
             LEFT JOIN series s ON s.study_uid = i.study_uid AND s.series_uid = i.series_uid \
             LEFT JOIN instances f ON f.id = (SELECT min(id) FROM instances \
                 WHERE series_uid = i.series_uid AND study_uid = i.study_uid AND {COUNTED}) \
             WHERE i.id > ?1 AND i.id <= ?2 AND i.state = 'evicted' AND (s.id IS NULL OR s.state = 'evicted') \
             AND (f.id IS NULL OR (f.id <> i.id AND ({same} \
                 OR NOT EXISTS (SELECT 1 FROM instances c WHERE c.id = i.id AND {COUNTED})))) \
             AND (i.segment IS NULL OR i.segment < (SELECT max(segment) FROM instances)) \
             AND NOT EXISTS (SELECT 1 FROM job_members m WHERE m.instance_id = i.id) \
             AND NOT EXISTS (SELECT 1 FROM step_instances t WHERE t.series_uid = i.series_uid))",
            same = same.join(" AND ")
        ),
        [from, to],
    )?;
    progress::put(&transaction, FORGOTTEN, if to >= last { 0 } else { to })?;
    transaction.commit()?;
    Ok(removed + instances)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Store, events, journal, lists};

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
            .execute_batch(
                "INSERT INTO asks (id, transaction_uid, destination, asked_utc) VALUES (1, '1', 'pacs', ''), \
                 (20000, '2', 'pacs', '');",
            )
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
        assert_eq!(asks, 1, "an archive may repeat its report");
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

    #[test]
    fn what_says_of_whom_a_study_was_is_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        for study in ["1", "2", "3", "4"] {
            arrive(&connection, study, 5, "evicted");
        }
        // Study 1: its first content was of a wrong patient, and a person has replaced it. 2: its last image is of another one.
        // 3: a step names it. 4: never parsed, so it has no series.
        connection
            .execute_batch(
                "UPDATE instances SET reason = 'replaced' WHERE sop_uid = '1.1.0'; \
                 UPDATE instances SET header = '{\"patient_id\":\"P9\"}' WHERE sop_uid = '2.1.4'; \
                 INSERT INTO steps (id, sop_uid, calling_ae, peer_address, state, begun_utc) \
                   VALUES (1, '9', 'CT1', '', 'completed', ''); \
                 INSERT INTO step_instances (step_id, series_uid, sop_uid) VALUES (1, '3.1', '3.1.0'); \
                 DELETE FROM series WHERE study_uid = '4'; \
                 UPDATE instances SET reason = 'quarantined' WHERE study_uid = '4';",
            )
            .unwrap();
        let wrong = "UPDATE instances SET header = '{\"patient_id\":\"P7\"}' WHERE sop_uid = '1.1.0'";
        connection.execute(wrong, []).unwrap();
        let wanted = lists::Wanted { limit: 9, study_uid: Some("1".into()), ..lists::Wanted::default() };
        let listed = lists::series(&connection, &wanted).unwrap();
        assert_eq!(listed[0].header.patient_id, "", "what was replaced is not shown as the patient");
        forget(&mut connection, 0, 20, 100).unwrap();
        let left = |study: &str| -> Vec<String> {
            let sql = "SELECT sop_uid FROM instances WHERE study_uid = ?1 ORDER BY id";
            let mut rows = connection.prepare(sql).unwrap();
            rows.query_map([study], |row| row.get(0)).unwrap().map(|uid| uid.unwrap()).collect()
        };
        assert_eq!(left("1"), ["1.1.1"]);
        assert_eq!(left("2"), ["2.1.0", "2.1.4"]);
        assert_eq!(left("3").len(), 5);
        assert_eq!(left("4"), Vec::<String>::new());
    }
}
