//! Who sent what and how often, out of the rows of the instances. AE titles and addresses belong to machines.

use std::collections::BTreeMap;

use dicom::test_object::{SENT, STAYS};
use rusqlite::{Connection, params};

use super::{Result, utc_before};

/// The habit is that of the last days.
const HABIT_DAYS: u64 = 28;

/// Not the objects of this box's own acceptance test: a scanner that it sends as, or that it looks like, is none that was seen.
fn no_test() -> String {
    format!("coalesce(trim(json_extract(header, '$.patient_id')), '') NOT IN ('{SENT}', '{STAYS}')")
}

/// One pair of AE title and address that sent instances which still have rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderItem {
    pub calling_ae: String,
    pub address: String,
    pub instances: u64,
    pub studies: u64,
    pub first_utc: String,
    pub last_utc: String,
    /// Hours of the last 28 days (UTC, `2026-01-31T10`) in which it sent something, oldest first.
    pub hours: Vec<String>,
    /// Study Date (YYYYMMDD) of the last instance, as the scanner's clock had it.
    pub last_study_date: String,
}

/// The one that sent last comes first.
///
/// # Errors
/// When the database fails.
pub fn senders(connection: &Connection) -> Result<Vec<SenderItem>> {
    let no_test = no_test();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT calling_ae, peer_address, count(*), count(DISTINCT study_uid), min(received_utc), max(received_utc),
                json_extract(header, '$.study_date')
         FROM instances WHERE {no_test} GROUP BY calling_ae, peer_address ORDER BY max(received_utc) DESC LIMIT 200"
    ))?;
    let mut hours = hours(connection)?;
    let rows = statement.query_map([], |row| {
        Ok(SenderItem {
            calling_ae: row.get(0)?,
            address: row.get(1)?,
            instances: row.get(2)?,
            studies: row.get(3)?,
            first_utc: row.get(4)?,
            last_utc: row.get(5)?,
            hours: Vec::new(),
            // With max() SQLite takes the other columns from the row that has it.
            last_study_date: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
        })
    })?;
    let mut found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    for item in &mut found {
        item.hours = hours.remove(&(item.calling_ae.clone(), item.address.clone())).unwrap_or_default();
    }
    Ok(found)
}

fn hours(connection: &Connection) -> Result<BTreeMap<(String, String), Vec<String>>> {
    let since = utc_before(std::time::Duration::from_secs(HABIT_DAYS * 86_400));
    let no_test = no_test();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT DISTINCT calling_ae, peer_address, substr(received_utc, 1, 13) FROM instances WHERE received_utc >= ?1
         AND {no_test} ORDER BY 3"
    ))?;
    let rows = statement.query_map(params![since], |row| {
        Ok(((row.get::<_, String>(0)?, row.get::<_, String>(1)?), row.get::<_, String>(2)?))
    })?;
    let mut hours: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for row in rows {
        let (who, hour) = row?;
        hours.entry(who).or_default().push(hour);
    }
    Ok(hours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Store, now_utc};

    #[test]
    fn each_sender_has_its_counts_its_last_study_and_the_hours_of_its_habit() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("scanside.db")).unwrap();
        let db = store.connect(Durability::Full).unwrap();
        let now = now_utc();
        for (number, (ae, study, utc, date)) in [
            ("CT1", "1", "2020-01-01T10:00:00.000Z", "20200101"),
            ("CT1", "2", now.as_str(), "20260102"),
            ("CT1", "2", now.as_str(), "20260102"),
            ("MR1", "3", "2020-01-02T10:00:00.000Z", ""),
        ]
        .iter()
        .enumerate()
        {
            db.execute(
                "INSERT INTO instances (sop_uid, sop_class, study_uid, series_uid, offset, length, sha256, state,
                                        received_utc, calling_ae, called_ae, peer_address, association, header)
                 VALUES (?1, '', ?2, '', 0, 1, '', 'kept', ?3, ?4, 'US', '192.0.2.7', 1, json_object('study_date', ?5))",
                params![number, study, utc, ae, date],
            )
            .unwrap();
        }
        let found = senders(&db).unwrap();
        let brief: Vec<_> = found.iter().map(|s| (s.calling_ae.as_str(), s.instances, s.studies)).collect();
        assert_eq!(brief, [("CT1", 3, 2), ("MR1", 1, 1)]);
        assert_eq!(
            (found[0].last_study_date.as_str(), found[0].hours.as_slice()),
            ("20260102", &[now[..13].to_owned()][..])
        );
        assert_eq!(found[1].hours, Vec::<String>::new(), "years ago");
    }

    /// CT2 has been dead for long: that the nightly test sends as CT2 does not make it one that was seen.
    #[test]
    fn the_acceptance_test_is_no_scanner() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("scanside.db")).unwrap();
        let db = store.connect(Durability::Full).unwrap();
        let now = now_utc();
        let patients = [dicom::test_object::SENT, dicom::test_object::STAYS, "P1"];
        for (number, patient) in patients.iter().enumerate() {
            db.execute(
                "INSERT INTO instances (sop_uid, sop_class, study_uid, series_uid, offset, length, sha256, state,
                                        received_utc, calling_ae, called_ae, peer_address, association, header)
                 VALUES (?1, '', ?1, '', 0, 1, '', 'kept', ?2, 'CT2', 'US', '127.0.0.1', 1, json_object('patient_id', ?3))",
                params![number.to_string(), now, patient],
            )
            .unwrap();
            let of_scanner = number == 2;
            let found = senders(&db).unwrap();
            assert_eq!(found.len(), usize::from(of_scanner), "{patient}");
        }
        assert_eq!(senders(&db).unwrap()[0].instances, 1);
    }
}
