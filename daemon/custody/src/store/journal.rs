//! What happened to one study, in order: arrivals, series, jobs, results, deliveries, and the events that were recorded about
//! them. Without names, IDs and dates of patients, and without descriptions that people typed.

use rusqlite::{Connection, params};

use super::Result;
use super::events::EventRow;

/// Each part gives utc, subject, what, detail.
const PARTS: [&str; 7] = [
    // One for each association and series; of an old series whose bytes were evicted only the first instance is known.
    "SELECT min(i.received_utc), 'series/' || s.id, 'arrived',
            CASE WHEN s.state = 'evicted' AND s.instance_count > (SELECT count(*) FROM instances o
                     WHERE o.series_uid = s.series_uid AND o.study_uid = s.study_uid)
                 THEN 'the first of ' || s.instance_count || ' instances from ' || i.calling_ae || ' at ' || i.peer_address
                 ELSE count(*) || CASE count(*) WHEN 1 THEN ' instance' ELSE ' instances' END || ' from ' || i.calling_ae
                     || ' at ' || i.peer_address || ', until ' || substr(max(i.received_utc), 12, 8) || ' UTC' END
     FROM instances i JOIN series s ON s.series_uid = i.series_uid AND s.study_uid = i.study_uid
     WHERE i.study_uid = ?1 GROUP BY s.id, i.association, i.calling_ae, i.peer_address",
    "SELECT completed_utc, 'series/' || id, 'complete',
            instance_count || CASE instance_count WHEN 1 THEN ' instance; ' ELSE ' instances; ' END
            || CASE coalesce(completed_by, '')
                 WHEN 'quiet' THEN 'nothing more came'
                 WHEN 'released' THEN 'the sender released the association and no slice is missing'
                 WHEN 'declared_count' THEN 'the declared count was reached'
                 WHEN 'rerun' THEN 'asked for by a person'
                 WHEN 'review' THEN 'a review was signed'
                 ELSE coalesce(completed_by, '') END
     FROM series WHERE study_uid = ?1 AND completed_utc IS NOT NULL",
    "SELECT j.created_utc, 'job/' || j.id, 'queued', 'for series/' || j.series_id || ', version ' || j.version
     FROM jobs j JOIN series s ON s.id = j.series_id WHERE s.study_uid = ?1",
    "SELECT j.started_utc, 'job/' || j.id, 'started', CASE WHEN j.attempts > 1 THEN 'attempt ' || j.attempts ELSE '' END
     FROM jobs j JOIN series s ON s.id = j.series_id WHERE s.study_uid = ?1 AND j.started_utc IS NOT NULL",
    "SELECT j.finished_utc, 'job/' || j.id, j.state,
            coalesce((SELECT 'results: ' || group_concat(kind, ', ') FROM results r WHERE r.job_id = j.id), j.reason, '')
     FROM jobs j JOIN series s ON s.id = j.series_id WHERE s.study_uid = ?1 AND j.finished_utc IS NOT NULL",
    "SELECT coalesce(d.delivered_utc, d.next_utc), 'delivery/' || d.id,
            CASE d.state WHEN 'pending' THEN 'to be sent' ELSE d.state END,
            r.kind || ' to ' || d.destination
            || CASE WHEN d.attempts > 1 THEN ', attempt ' || d.attempts ELSE '' END
            || CASE WHEN coalesce(d.reason, '') = '' THEN '' ELSE ': ' || d.reason END
     FROM deliveries d JOIN results r ON r.id = d.result_id WHERE r.study_uid = ?1",
    "SELECT utc, 'study', CASE what WHEN 'hold' THEN 'kept from eviction' ELSE 'may be evicted again' END, 'by ' || by_whom
     FROM hold_lines WHERE study_uid = ?1",
];

const RECORDED: &str = "
    SELECT utc, subject, what, detail FROM events WHERE subject IN (
        SELECT 'series/' || id FROM series WHERE study_uid = ?1
        UNION SELECT 'job/' || j.id FROM jobs j JOIN series s ON s.id = j.series_id WHERE s.study_uid = ?1
        UNION SELECT 'delivery/' || d.id FROM deliveries d JOIN results r ON r.id = d.result_id WHERE r.study_uid = ?1
        UNION SELECT 'notice/' || id FROM notices WHERE study_uid = ?1
        UNION SELECT 'task/' || id FROM ups_tasks WHERE study_uid = ?1
        UNION SELECT 'own step/' || id FROM own_steps WHERE study_uid = ?1
        UNION SELECT 'instance/' || id FROM instances WHERE study_uid = ?1)";

/// Oldest first; empty when there is no such study.
///
/// # Errors
/// When the database fails.
pub fn of_study(connection: &Connection, study_uid: &str) -> Result<Vec<EventRow>> {
    let mut found = Vec::new();
    for sql in PARTS.into_iter().chain([RECORDED]) {
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![study_uid], |row| {
            Ok(EventRow { utc: row.get(0)?, subject: row.get(1)?, what: row.get(2)?, detail: row.get(3)? })
        })?;
        for row in rows {
            found.push(row?);
        }
    }
    // The parts are in the order in which things happen; a stable sort keeps it within a millisecond.
    found.sort_by(|a, b| a.utc.cmp(&b.utc));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Store, events};

    #[test]
    fn a_study_is_told_from_its_arrival_to_its_delivery_in_order_and_without_identity() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("scanside.db")).unwrap();
        let db = store.connect(Durability::Full).unwrap();
        db.execute_batch(
            r#"INSERT INTO instances (sop_uid, sop_class, study_uid, series_uid, offset, length, sha256, state, received_utc,
                                      calling_ae, called_ae, peer_address, association, header) VALUES
                 ('1.1', '', '1', '1.9', 0, 1, '', 'kept', '2026-01-01T10:00:00.000Z', 'CT1', 'US', '192.0.2.7', 1,
                  '{"patient_name":"DOE^JANE","patient_id":"P77"}'),
                 ('1.2', '', '1', '1.9', 0, 1, '', 'kept', '2026-01-01T10:00:03.000Z', 'CT1', 'US', '192.0.2.7', 1, '{}');
               INSERT INTO series (id, study_uid, series_uid, modality, kind, state, verdict, instance_count, first_utc,
                                   last_utc, completed_utc, completed_by) VALUES
                 (4, '1', '1.9', 'CT', 'ct', 'processed', '', 2, '', '', '2026-01-01T10:00:05.000Z', 'released'),
                 (5, '2', '2.9', 'CT', 'ct', 'processed', '', 2, '', '', '2026-01-01T10:00:05.000Z', 'quiet');
               INSERT INTO jobs (id, series_id, version, state, created_utc, started_utc, finished_utc) VALUES
                 (1, 4, 1, 'done', '2026-01-01T10:00:05.000Z', '2026-01-01T10:00:06.000Z', '2026-01-01T10:01:00.000Z');
               INSERT INTO results (id, job_id, kind, sop_class, sop_uid, study_uid, series_uid, file, length, sha256)
                 VALUES (1, 1, 'sr', '', '2.25.1', '1', '2.25.9', '', 5, '');
               INSERT INTO deliveries (id, result_id, destination, state, attempts, next_utc, delivered_utc)
                 VALUES (1, 1, 'pacs', 'delivered', 2, '2026-01-01T10:01:00.000Z', '2026-01-01T10:01:01.000Z');"#,
        )
        .unwrap();
        events::record(&db, "series/4", "concluded", "1 nodule").unwrap();
        events::record(&db, "series/5", "concluded", "of another study").unwrap();
        let told = of_study(&db, "1").unwrap();
        let brief: Vec<_> = told.iter().map(|e| format!("{} {} {}", e.subject, e.what, e.detail)).collect();
        assert_eq!(
            brief,
            [
                "series/4 arrived 2 instances from CT1 at 192.0.2.7, until 10:00:03 UTC",
                "series/4 complete 2 instances; the sender released the association and no slice is missing",
                "job/1 queued for series/4, version 1",
                "job/1 started ",
                "job/1 done results: sr",
                "delivery/1 delivered sr to pacs, attempt 2",
                "series/4 concluded 1 nodule",
            ]
        );
        assert_eq!(of_study(&db, "7").unwrap().len(), 0);
    }
}
