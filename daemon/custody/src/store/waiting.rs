//! What waits at each destination: how much, since when, and what the destination said.

use rusqlite::{Connection, OptionalExtension, params};

use super::Result;

/// The queue of one destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    pub destination: String,
    pub pending: u32,
    /// Made with a simulated device, and not accepted there.
    pub held: u32,
    /// Refused for good, or set aside by a person.
    pub parked: u32,
    /// When the oldest pending result was made.
    pub oldest_pending_utc: Option<String>,
    /// Why the oldest pending one that was tried has not been taken.
    pub reason: Option<String>,
    /// Why the one that was parked last was parked.
    pub parked_reason: Option<String>,
}

/// Destinations at which something waits, by name.
///
/// # Errors
/// When the database fails.
pub fn by_destination(connection: &Connection) -> Result<Vec<Waiting>> {
    let mut statement = connection.prepare_cached(
        "SELECT d.destination, sum(d.state = 'pending'), sum(d.state = 'held'), sum(d.state = 'parked'),
                min(CASE WHEN d.state = 'pending' THEN j.finished_utc END)
         FROM deliveries d LEFT JOIN results r ON r.id = d.result_id LEFT JOIN jobs j ON j.id = r.job_id
         WHERE d.state IN ('pending', 'held', 'parked') GROUP BY d.destination ORDER BY d.destination",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Waiting {
            destination: row.get(0)?,
            pending: row.get(1)?,
            held: row.get(2)?,
            parked: row.get(3)?,
            oldest_pending_utc: row.get(4)?,
            ..Waiting::default()
        })
    })?;
    let mut all = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    for one in &mut all {
        one.reason = said(connection, &one.destination, "pending", "ASC")?;
        one.parked_reason = said(connection, &one.destination, "parked", "DESC")?;
    }
    Ok(all)
}

fn said(connection: &Connection, destination: &str, state: &str, order: &str) -> Result<Option<String>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT reason FROM deliveries WHERE destination = ?1 AND state = ?2 AND reason <> '' ORDER BY id {order} LIMIT 1"
    ))?;
    Ok(statement.query_row(params![destination, state], |row| row.get(0)).optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Store};

    #[test]
    fn each_destination_has_its_own_queue_its_oldest_result_and_what_it_said() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("scanside.db")).unwrap();
        let db = store.connect(Durability::Full).unwrap();
        db.execute_batch(
            "INSERT INTO series (id, study_uid, series_uid, modality, kind, state, instance_count, first_utc, last_utc)
             VALUES (1, '1', '1.1', 'CT', 'ct', 'processed', 1, '', '');
             INSERT INTO jobs (id, series_id, version, state, created_utc, finished_utc) VALUES
               (1, 1, 1, 'done', '', '2026-01-01T10:00:00.000Z'), (2, 1, 2, 'done', '', '2026-01-02T10:00:00.000Z');
             INSERT INTO results (id, job_id, kind, sop_class, sop_uid, study_uid, series_uid, file, length, sha256) VALUES
               (1, 1, 'sr', '', '2.1', '1', '1.1', '', 1, ''), (2, 2, 'sr', '', '2.2', '1', '1.1', '', 1, '');
             INSERT INTO deliveries (id, result_id, destination, state, next_utc, reason) VALUES
               (1, 1, 'pacs', 'pending', '', 'no route'), (2, 2, 'pacs', 'pending', '', NULL),
               (3, 1, 'ris', 'parked', '', 'older'), (4, 2, 'ris', 'parked', '', 'SOP class not supported'),
               (5, 1, 'cloud', 'delivered', '', NULL), (6, 2, 'cloud', 'held', '', 'simulated');",
        )
        .unwrap();
        let waiting = by_destination(&db).unwrap();
        let brief: Vec<_> = waiting.iter().map(|w| (w.destination.as_str(), w.pending, w.held, w.parked)).collect();
        assert_eq!(brief, [("cloud", 0, 1, 0), ("pacs", 2, 0, 0), ("ris", 0, 0, 2)]);
        assert_eq!(waiting[1].oldest_pending_utc.as_deref(), Some("2026-01-01T10:00:00.000Z"));
        assert_eq!(waiting[1].reason.as_deref(), Some("no route"));
        assert_eq!((waiting[2].oldest_pending_utc.as_deref(), waiting[2].reason.as_deref()), (None, None));
        assert_eq!(waiting[2].parked_reason.as_deref(), Some("SOP class not supported"));
    }
}
