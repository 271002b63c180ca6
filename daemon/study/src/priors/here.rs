//! The earlier study of a person that is here, and whose findings can be compared with those of a new one.
//!
//! A wrong patient is worse than no comparison: ID, issuer, name, birth date and sex decide together
//! (`dicom::patient::Identity::is_same_person`).

use custody::store::{self, jobs};
use dicom::header::Header;
use dicom::patient::{Identity, is_placeholder_id};
use rusqlite::Connection;
use serde_json::Value;

/// ChestFindings of an earlier study, as they were stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Prior {
    pub study_uid: String,
    /// DA.
    pub study_date: String,
    pub findings: Value,
}

/// The last analysed study of this patient before this one.
///
/// # Errors
/// When the database fails.
pub fn find(connection: &Connection, header: &Header) -> Result<Option<Prior>, store::Error> {
    if is_placeholder_id(&header.patient_id) || header.study_date.len() != 8 {
        return Ok(None);
    }
    let patient = Identity::of(header);
    for study in jobs::analysed_before(connection, header)? {
        if !patient.is_same_person(&Identity::of(&study.header)) {
            continue;
        }
        let findings: Value = serde_json::from_str(&study.findings).unwrap_or_default();
        if findings["pneumonia"]["done"].is_object() || findings["nodules"]["done"].is_array() {
            return Ok(Some(Prior { study_uid: study.study_uid, study_date: study.study_date, findings }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use rusqlite::params;
    use serde_json::json;

    use super::*;

    fn header(id: &str, name: &str, date: &str, study: &str) -> Header {
        Header {
            patient_id: id.into(),
            patient_name: name.into(),
            birth_date: "19700101".into(),
            sex: "F".into(),
            study_date: date.into(),
            study_instance_uid: study.into(),
            series_instance_uid: format!("{study}.1"),
            ..Header::default()
        }
    }

    #[test]
    fn only_an_earlier_study_of_the_same_patient_is_a_prior() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE series (id INTEGER PRIMARY KEY, study_uid TEXT, series_uid TEXT, version INTEGER DEFAULT 1,
                   state TEXT DEFAULT 'processed', completed_by TEXT);
                 CREATE TABLE jobs (id INTEGER PRIMARY KEY, series_id INTEGER, state TEXT, findings TEXT, task TEXT,
                   version INTEGER DEFAULT 1);
                 CREATE TABLE job_members (job_id INTEGER, instance_id INTEGER);
                 CREATE TABLE fetched_series (study_uid TEXT, series_uid TEXT, whole INTEGER);
                 CREATE TABLE instances (id INTEGER PRIMARY KEY, study_uid TEXT, series_uid TEXT, header TEXT,
                   state TEXT DEFAULT 'kept', reason TEXT, sop_uid TEXT, sha256 TEXT);",
            )
            .unwrap();
        let json = json!({ "pneumonia": { "done": { "extents": [] } } }).to_string();
        let other = Header { birth_date: "19900101".into(), ..header("P1", "Zhang^San", "20251001", "1.6") };
        let nobody = header("0", "ANONYMOUS", "20250101", "1.7");
        let studies = [
            other,
            nobody,
            header("P1", "Zhang^San", "20250101", "1.1"),
            header("P1", "Zhang^San", "20250601", "1.2"),
            header("P1", "Li^Si", "20251001", "1.3"),
            header("P2", "Zhang^San", "20251001", "1.4"),
            header("P1", "Zhang^San", "20260301", "1.5"),
        ];
        for (id, h) in (1_i64..).zip(&studies) {
            let text = serde_json::to_string(h).unwrap();
            let uids = params![id, h.study_instance_uid, h.series_instance_uid];
            connection.execute("INSERT INTO series (id, study_uid, series_uid) VALUES (?1, ?2, ?3)", uids).unwrap();
            let done = "INSERT INTO jobs (id, series_id, state, findings) VALUES (?1, ?1, 'done', ?2)";
            connection.execute(done, params![id, json]).unwrap();
            let row = params![id, h.study_instance_uid, h.series_instance_uid, text];
            let sql = "INSERT INTO instances (id, study_uid, series_uid, header) VALUES (?1, ?2, ?3, ?4)";
            connection.execute(sql, row).unwrap();
        }
        // The study was first sent as another patient's, a person has replaced that, and its bytes are gone.
        let replaced = serde_json::to_string(&header("P7", "Wang^Wu", "20250601", "1.2")).unwrap();
        let sql = "INSERT INTO instances (id, study_uid, series_uid, header, state, reason) \
                   SELECT 0, study_uid, series_uid, ?1, 'evicted', 'replaced' FROM series WHERE study_uid = '1.2'";
        connection.execute(sql, [replaced]).unwrap();
        let found = find(&connection, &header("P1", "ZHANG^SAN^^", "20260101", "1.9")).unwrap().unwrap();
        assert_eq!((found.study_uid.as_str(), found.study_date.as_str()), ("1.2", "20250601"));
        assert_eq!(find(&connection, &header("", "Zhang^San", "20260101", "1.9")).unwrap(), None);
        assert_eq!(find(&connection, &header("P1", "", "20260101", "1.9")).unwrap(), None);
        assert_eq!(find(&connection, &header("P7", "Wang^Wu", "20260101", "1.9")).unwrap(), None, "replaced");
        let placeholder = header("0", "ANONYMOUS", "20260101", "1.9");
        assert_eq!(find(&connection, &placeholder).unwrap(), None, "a placeholder binds nobody");
        // What came of it in part says nothing of the rest.
        let half = |whole: u8| {
            connection.execute("INSERT INTO fetched_series VALUES ('1.2', '1.2.1', ?1)", [whole]).unwrap();
            find(&connection, &header("P1", "ZHANG^SAN^^", "20260101", "1.9")).unwrap().unwrap().study_uid
        };
        assert_eq!(half(1), "1.2", "fetched whole");
        assert_eq!(half(0), "1.1", "fetched in part");
        // What was replaced would make what was found outdated.
        connection.execute_batch("DELETE FROM fetched_series; DELETE FROM instances WHERE id = 0").unwrap();
        // More of it came since: what was found is of a part, whatever is known of who sent it.
        for (change, prior) in [
            ("state = 'receiving'", "1.1"),
            ("state = 'complete', version = 2, completed_by = 'quiet'", "1.1"),
            // The same images are read once more.
            ("completed_by = 'rerun'", "1.2"),
        ] {
            connection.execute(&format!("UPDATE series SET {change} WHERE study_uid = '1.2'"), []).unwrap();
            let found = find(&connection, &header("P1", "ZHANG^SAN^^", "20260101", "1.9")).unwrap().unwrap();
            assert_eq!(found.study_uid, prior, "{change}");
        }
        let silent = Header { birth_date: String::new(), ..header("P1", "Zhang^San", "20260101", "1.9") };
        assert_eq!(find(&connection, &silent).unwrap(), None, "ID and name alone are not enough");
    }
}
