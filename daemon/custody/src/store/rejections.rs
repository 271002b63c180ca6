//! `rejections`: results that were delivered and do not count any more, and the notes that tell their destinations.

use rusqlite::{Connection, Transaction, params};

use super::results::{self, ResultRow};
use super::{Result, deliveries, events};

/// The kind of a note among results. It is no version of a result, so no newer version takes its place.
pub const KIND: &str = "ko";

/// The results of a series whose images were replaced do not count any more, also those of tasks of the whole study that it
/// is part of: what has not left is not sent, what was delivered gets a note and is not asked for any more. Nothing happens to a series of which nothing was
/// replaced. Returns how many.
///
/// # Errors
/// When the database fails (as for all below).
pub fn of_replaced(transaction: &Transaction<'_>, series_id: i64, version: i64, code: &str) -> Result<usize> {
    reject(
        transaction,
        "(j.series_id = ?1 AND j.version < ?2 OR j.id IN (SELECT job_id FROM job_members WHERE series_id = ?1 AND version < ?2)) \
         AND EXISTS (SELECT 1 FROM series s JOIN instances i ON i.study_uid = s.study_uid AND i.series_uid = s.series_uid \
                     WHERE s.id = ?1 AND i.state = 'replaced')",
        (series_id, version, code),
    )
}

/// The results of older versions than the one that a review has made, of the same task. Returns how many.
///
/// # Errors
/// When the database fails.
pub fn of_reviewed(transaction: &Transaction<'_>, series_id: i64, version: i64, code: &str) -> Result<usize> {
    let same_task = "j.series_id = ?1 AND j.version < ?2 AND j.task IS \
         (SELECT task FROM jobs WHERE series_id = ?1 AND version = ?2 ORDER BY id DESC LIMIT 1)";
    reject(transaction, same_task, (series_id, version, code))
}

fn reject(transaction: &Transaction<'_>, which: &str, (series_id, version, code): (i64, i64, &str)) -> Result<usize> {
    let rejected = transaction.execute(
        &format!(
            "UPDATE results SET rejected = ?3 WHERE rejected IS NULL AND kind <> ?4 \
             AND job_id IN (SELECT j.id FROM jobs j WHERE {which})"
        ),
        params![series_id, version, code, KIND],
    )?;
    let of_them = format!(
        "(SELECT r.id FROM results r JOIN jobs j ON j.id = r.job_id WHERE {which} AND r.rejected = ?3 AND r.kind <> ?4)"
    );
    // Also what a destination does not take: it may take it later.
    transaction.execute(
        &format!(
            "UPDATE deliveries SET state = 'superseded' WHERE (state IN ('pending', 'held', 'parked') \
             OR (state = 'dropped' AND reason = ?5)) AND result_id IN {of_them}"
        ),
        params![series_id, version, code, KIND, deliveries::NOT_AMONG_RESULTS],
    )?;
    // Whether an archive keeps it does not matter any more.
    transaction.execute(
        &format!(
            "UPDATE deliveries SET commitment = NULL, ask_utc = NULL WHERE commitment IN ('wanted', 'asked') \
             AND result_id IN {of_them}"
        ),
        params![series_id, version, code, KIND],
    )?;
    Ok(rejected)
}

/// The file of a note is lost: the note goes and what it says is due again, while the results that it names stay. False for a file
/// that is not a note.
///
/// # Errors
/// When the database fails.
pub fn lost(connection: &Connection, file: &str) -> Result<bool> {
    Ok(results::remove(connection, "file = ?1 AND kind = ?2", &[&file, &KIND])? > 0)
}

/// One result that `destination` has and that does not count any more.
#[derive(Debug, Clone)]
pub struct Due {
    pub result: ResultRow,
    /// Code value of the reason.
    pub code: String,
}

/// Of which this destination has not been told. Also what it may have: an attempt that had no answer. A note of an object that is not
/// there does no harm.
///
/// # Errors
/// When the database fails.
pub fn due(connection: &Connection, destination: &str) -> Result<Vec<Due>> {
    let mut statement = connection.prepare_cached(
        "SELECT r.id, r.rejected FROM results r JOIN deliveries d ON d.result_id = r.id \
         WHERE r.rejected IS NOT NULL AND d.destination = ?1 \
         AND (d.state = 'delivered' OR (d.state IN ('superseded', 'dropped') AND d.attempts > 0 AND d.status IS NULL)) \
         AND NOT EXISTS (SELECT 1 FROM rejections x WHERE x.result_id = r.id AND x.destination = ?1) ORDER BY r.id",
    )?;
    let ids = statement.query_map([destination], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut found = Vec::new();
    for (id, code) in ids.collect::<rusqlite::Result<Vec<(i64, String)>>>()? {
        found.extend(results::get(connection, id)?.map(|result| Due { result, code }));
    }
    Ok(found)
}

/// SOP Instance UIDs of what notes name of this series or task, in order, as far as it was made by jobs before this one.
///
/// # Errors
/// When the database fails.
pub fn withdrawn(connection: &Connection, series_id: i64, task: Option<&str>, before: i64) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT r.sop_uid FROM results r JOIN jobs j ON j.id = r.job_id WHERE j.series_id = ?1 AND j.task IS ?2 \
         AND j.id < ?3 AND EXISTS (SELECT 1 FROM rejections x WHERE x.result_id = r.id) ORDER BY r.sop_uid",
    )?;
    Ok(statement.query_map((series_id, task, before), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Notes that these results are in a note, and queues it for one destination. The note itself may be there already: for another
/// destination.
///
/// # Errors
/// When the database fails.
pub fn note(
    transaction: &Transaction<'_>,
    note: &ResultRow,
    rejected: &[i64],
    destination: &str,
    now: &str,
) -> Result<i64> {
    let id = results::insert(transaction, note)?;
    for result in rejected {
        transaction.execute(
            "INSERT INTO rejections (result_id, destination, note_id) VALUES (?1, ?2, ?3)",
            params![result, destination, id],
        )?;
    }
    deliveries::enqueue(transaction, &[id], destination, None, now)?;
    let said = format!("{} objects at {destination}", rejected.len());
    events::record(transaction, &format!("job/{}", note.job_id), "rejection note", &said)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::SeriesKey;
    use crate::store::{Durability, Store, asks, jobs, now_utc, series};

    fn result(job_id: i64, kind: &str, sop_uid: &str) -> ResultRow {
        ResultRow {
            id: 0,
            job_id,
            kind: kind.into(),
            sop_class: "1.2.840.10008.5.1.4.1.1.88.33".into(),
            sop_uid: sop_uid.into(),
            study_uid: "1.2".into(),
            series_uid: "1.2.9".into(),
            file: format!("results/{job_id}/{sop_uid}.dcm"),
            length: 1,
            sha256: "0".repeat(64),
            simulated: false,
        }
    }

    /// A series of which version 1 has a report at `pacs` that a review of version 2 rejects; its id is returned.
    fn rejected() -> (tempfile::TempDir, Connection, i64, [i64; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        let transaction = connection.transaction().unwrap();
        let key = SeriesKey { study_uid: "1.2".into(), series_uid: "1.2.3".into() };
        let (row, _) = series::opened(&transaction, &key, "CT", dicom::kind::SeriesKind::Ct, 1, &now_utc()).unwrap();
        let job = |transaction: &Transaction<'_>| {
            let version = series::completed(transaction, row.id, "quiet", &now_utc()).unwrap();
            let id = jobs::enqueue(transaction, row.id, version, &now_utc()).unwrap();
            jobs::done(transaction, id, None, "[]", &now_utc()).unwrap();
            (id, version)
        };
        let (first, _) = job(&transaction);
        let report = results::insert(&transaction, &result(first, "sr", "1.5")).unwrap();
        deliveries::enqueue(&transaction, &[report], "pacs", None, &now_utc()).unwrap();
        transaction.execute("UPDATE deliveries SET state = 'delivered'", []).unwrap();
        let (second, version) = job(&transaction);
        of_reviewed(&transaction, row.id, version, "113001").unwrap();
        transaction.commit().unwrap();
        (folder, connection, report, [first, second])
    }

    #[test]
    fn a_report_that_a_rerun_makes_again_counts_and_nobody_is_told_that_it_does_not() {
        let (_folder, mut connection, report, [_, second]) = rejected();
        assert_eq!(due(&connection, "pacs").unwrap().iter().map(|due| due.result.id).collect::<Vec<_>>(), [report]);
        let transaction = connection.transaction().unwrap();
        assert_eq!(results::insert(&transaction, &result(second, "sr", "1.5")).unwrap(), report);
        transaction.commit().unwrap();
        assert!(due(&connection, "pacs").unwrap().is_empty());
    }

    #[test]
    fn what_was_dropped_by_hand_and_rejected_later_is_not_sent_by_hand() {
        for rejected_later in [false, true] {
            let (_folder, connection, report, _) = rejected();
            let id: i64 = connection
                .query_row("SELECT id FROM deliveries WHERE result_id = ?1", [report], |row| row.get(0))
                .unwrap();
            connection.execute("UPDATE deliveries SET state = 'dropped'", []).unwrap();
            if !rejected_later {
                connection.execute("UPDATE results SET rejected = NULL", []).unwrap();
            }
            let tried = deliveries::by_hand(&connection, id, deliveries::Order::Retry, &now_utc()).unwrap();
            assert_eq!(tried, !rejected_later);
        }
    }

    /// The connection broke after the archive had stored the report, and before its answer came.
    #[test]
    fn what_a_destination_may_have_without_an_answer_is_rejected_there_too() {
        for (attempt, status, told) in [(false, None, 0), (true, None, 1), (true, Some(0xA700), 0)] {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(&folder.path().join("scanside.db")).unwrap();
            let mut connection = store.connect(Durability::Full).unwrap();
            let transaction = connection.transaction().unwrap();
            let key = SeriesKey { study_uid: "1.2".into(), series_uid: "1.2.3".into() };
            let kind = dicom::kind::SeriesKind::Ct;
            let (row, _) = series::opened(&transaction, &key, "CT", kind, 1, &now_utc()).unwrap();
            let version = series::completed(&transaction, row.id, "quiet", &now_utc()).unwrap();
            let job = jobs::enqueue(&transaction, row.id, version, &now_utc()).unwrap();
            jobs::done(&transaction, job, None, "[]", &now_utc()).unwrap();
            let report = results::insert(&transaction, &result(job, "sr", "1.5")).unwrap();
            deliveries::enqueue(&transaction, &[report], "pacs", None, &now_utc()).unwrap();
            let id = deliveries::due(&transaction, "pacs", "9999", 1).unwrap()[0].id;
            if attempt {
                deliveries::unanswered(&transaction, id).unwrap();
            }
            if status.is_some() {
                assert!(deliveries::failed(&transaction, id, status, "full", &now_utc()).unwrap());
            }
            let version = series::completed(&transaction, row.id, "review", &now_utc()).unwrap();
            of_reviewed(&transaction, row.id, version, "113001").unwrap();
            assert_eq!(due(&transaction, "pacs").unwrap().len(), told, "{attempt} {status:?}");
        }
    }

    /// The marks of a mammography are made by a task of the whole study.
    #[test]
    fn a_review_of_a_task_rejects_what_that_task_has_made_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        let transaction = connection.transaction().unwrap();
        let key = SeriesKey { study_uid: "1.2".into(), series_uid: "1.2.3".into() };
        let (row, _) =
            series::opened(&transaction, &key, "MG", dicom::kind::SeriesKind::Mammography, 1, &now_utc()).unwrap();
        let job = |task: Option<&str>, version| {
            let id = match task {
                Some(task) => jobs::enqueue_study(&transaction, task, row.id, version, &[], &now_utc()),
                None => jobs::enqueue(&transaction, row.id, version, &now_utc()),
            };
            let id = id.unwrap();
            jobs::done(&transaction, id, None, "[]", &now_utc()).unwrap();
            id
        };
        let again = || series::completed(&transaction, row.id, "quiet", &now_utc()).unwrap();
        let [of_task, of_series] = [job(Some("mammography_views"), again()), job(None, again())];
        let report = results::insert(&transaction, &result(of_task, "sr", "1.5")).unwrap();
        let other = results::insert(&transaction, &result(of_series, "sr", "1.6")).unwrap();
        deliveries::enqueue(&transaction, &[report, other], "pacs", None, &now_utc()).unwrap();
        transaction.execute("UPDATE deliveries SET state = 'delivered'", []).unwrap();
        let version = series::completed(&transaction, row.id, "review", &now_utc()).unwrap();
        job(Some("mammography_views"), version);
        of_reviewed(&transaction, row.id, version, "113001").unwrap();
        let due = due(&transaction, "pacs").unwrap();
        assert_eq!(due.iter().map(|due| due.result.id).collect::<Vec<_>>(), [report]);
    }

    /// Asks `pacs` for the report, which it does not keep. Returns the state of the delivery.
    fn lost_there(connection: &mut Connection, delivery: i64) -> (String, Option<String>) {
        let transaction = connection.transaction().unwrap();
        asks::ask(&transaction, "2.25.1", "pacs", &[delivery], &now_utc(), &now_utc()).unwrap();
        asks::answered(&transaction, "2.25.1", &[], &[("1.5".into(), 0x0112)], &now_utc()).unwrap().unwrap();
        transaction.commit().unwrap();
        let one = deliveries::get(connection, delivery).unwrap().unwrap();
        (one.state, one.commitment)
    }

    /// The report of a wrong patient: people delete it in the archive, which then says that it does not keep it.
    #[test]
    fn what_was_rejected_is_not_sent_again_when_the_archive_does_not_keep_it() {
        let (_folder, mut connection, report, _) = rejected();
        let id = deliveries::list(&connection, None, 9).unwrap()[0].id;
        assert_eq!(lost_there(&mut connection, id).0, deliveries::SUPERSEDED);
        assert_eq!(deliveries::due(&connection, "pacs", "9999", 9).unwrap(), []);
        let sql = "UPDATE results SET rejected = NULL, job_id = (SELECT max(id) FROM jobs) WHERE id = ?1";
        connection.execute(sql, [report]).unwrap();
        connection.execute("UPDATE deliveries SET state = 'delivered'", []).unwrap();
        connection.execute("DELETE FROM asks", []).unwrap();
        assert_eq!(lost_there(&mut connection, id).0, deliveries::PENDING, "what counts is sent again");
    }

    #[test]
    fn an_older_version_is_not_sent_again_when_the_archive_does_not_keep_it() {
        let (_folder, mut connection, ..) = rejected();
        connection.execute("UPDATE results SET rejected = NULL", []).unwrap();
        let id = deliveries::list(&connection, None, 9).unwrap()[0].id;
        assert_eq!(lost_there(&mut connection, id).0, deliveries::SUPERSEDED, "the newer version is there");
    }

    #[test]
    fn nobody_asks_an_archive_whether_it_keeps_what_was_rejected() {
        for commitment in [asks::WANTED, asks::ASKED] {
            let (_folder, mut connection, _, [first, _]) = rejected();
            connection.execute("UPDATE results SET rejected = NULL", []).unwrap();
            let sql = "UPDATE deliveries SET commitment = ?1, ask_utc = '2026-01-01'";
            connection.execute(sql, [commitment]).unwrap();
            let transaction = connection.transaction().unwrap();
            let row = jobs::get(&transaction, first).unwrap().unwrap();
            of_reviewed(&transaction, row.series_id, row.version + 1, "113001").unwrap();
            transaction.commit().unwrap();
            assert_eq!(asks::due(&connection, "pacs", "9999", 9).unwrap(), [], "{commitment}");
            assert_eq!(due(&connection, "pacs").unwrap().len(), 1, "its destination is told all the same");
        }
    }

    /// A destination that does not take reports today may take them after the next start.
    #[test]
    fn a_rejected_report_that_its_destination_did_not_take_is_not_sent_when_it_takes_reports() {
        let (_folder, mut connection, _, [first, _]) = rejected();
        connection.execute("UPDATE results SET rejected = NULL", []).unwrap();
        connection.execute("UPDATE deliveries SET state = 'pending'", []).unwrap();
        deliveries::apply_kinds(&connection, "pacs", Some(&["seg"]), &now_utc()).unwrap();
        let transaction = connection.transaction().unwrap();
        let row = jobs::get(&transaction, first).unwrap().unwrap();
        of_reviewed(&transaction, row.series_id, row.version + 1, "113001").unwrap();
        transaction.commit().unwrap();
        deliveries::apply_kinds(&connection, "pacs", None, &now_utc()).unwrap();
        assert_eq!(deliveries::due(&connection, "pacs", "9999", 9).unwrap(), []);
    }

    #[test]
    fn a_note_whose_file_is_lost_is_due_again_and_what_it_names_stays() {
        let (_folder, mut connection, report, [first, _]) = rejected();
        let note_of = result(first, KIND, "1.6");
        let transaction = connection.transaction().unwrap();
        note(&transaction, &note_of, &[report], "pacs", &now_utc()).unwrap();
        transaction.commit().unwrap();
        assert!(due(&connection, "pacs").unwrap().is_empty(), "it is told");
        let of_report = result(first, "sr", "1.5").file;
        assert!(!lost(&connection, &of_report).unwrap(), "a report is no note");
        assert!(lost(&connection, &note_of.file).unwrap());
        assert_eq!(due(&connection, "pacs").unwrap().len(), 1);
    }
}
