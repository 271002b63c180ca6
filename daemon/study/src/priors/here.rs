//! The earlier study of a person that is here, and whose findings can be compared with those of a new one.
//!
//! A wrong patient is worse than no comparison: ID, issuer, name, birth date and sex decide together
//! (`dicom::patient::Identity::is_same_person`).

use std::collections::HashSet;

use custody::store::{self, instances, jobs};
use dicom::header::Header;
use dicom::kind::SeriesKind;
use dicom::patient::{Identity, is_placeholder_id};
use report::views::Before;
use rusqlite::Connection;
use serde_json::Value;

/// ChestFindings of an earlier study, as they were stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Prior {
    pub study_uid: String,
    pub series_uid: String,
    /// DA.
    pub study_date: String,
    pub findings: Value,
}

impl Prior {
    /// Was pneumonia or nodules evaluated?
    fn is_read(&self) -> bool {
        self.findings["pneumonia"]["done"].is_object() || self.findings["nodules"]["done"].is_array()
    }
}

/// A series of the last analysed study of this patient before this one.
///
/// # Errors
/// When the database fails.
pub fn find(connection: &Connection, header: &Header) -> Result<Option<Prior>, store::Error> {
    Ok(all(connection, header)?.into_iter().find(Prior::is_read))
}

/// Every series of that study that was read, each as it was read last. Where no study has one, the last chest CT of which nothing could be
/// evaluated.
///
/// # Errors
/// When the database fails.
pub fn all(connection: &Connection, header: &Header) -> Result<Vec<Prior>, store::Error> {
    if is_placeholder_id(&header.patient_id) || header.study_date.len() != 8 {
        return Ok(Vec::new());
    }
    let (mut read, mut unread): (Vec<Prior>, Vec<Prior>) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    let patient = Identity::of(header);
    for study in jobs::analysed_before(connection, header)? {
        if !patient.is_same_person(&Identity::of(&study.header)) {
            continue;
        }
        let series_uid = study.header.series_instance_uid;
        let other = read.first().is_some_and(|first| first.study_uid != study.study_uid);
        // The newest version of a series comes first.
        if other || !seen.insert((study.study_uid.clone(), series_uid.clone())) {
            continue;
        }
        let findings: Value = serde_json::from_str(&study.findings).unwrap_or_default();
        let prior = Prior { study_uid: study.study_uid, series_uid, study_date: study.study_date, findings };
        if prior.is_read() {
            read.push(prior);
        } else if prior.findings["nodules"].is_object() {
            unread.push(prior);
        }
    }
    Ok(if read.is_empty() { unread.into_iter().take(1).collect() } else { read })
}

/// Earlier mammographies of this person that are here, newest first; an ID alone does not say that it is the same person. `None`
/// where it is not certain whose they would be.
///
/// # Errors
/// When the database fails.
pub fn mammographies(connection: &Connection, header: &Header) -> Result<Option<Vec<(String, Header)>>, store::Error> {
    if is_placeholder_id(&header.patient_id) || header.study_date.len() != 8 {
        return Ok(None);
    }
    let patient = Identity::of(header);
    let (mut found, mut is_uncertain): (Vec<(String, Header)>, bool) = (Vec::new(), false);
    for (study_uid, other) in instances::earlier_of_kind(connection, header, SeriesKind::Mammography)? {
        let (is_new, of) = (!found.iter().any(|(uid, _)| *uid == study_uid), Identity::of(&other));
        let is_same = patient.is_same_person(&of);
        is_uncertain |= !is_same && patient.contradicts(&of).is_none();
        if is_new && is_same {
            found.push((study_uid, other));
        }
    }
    Ok(Some(found).filter(|found| !found.is_empty() || !is_uncertain))
}

/// The last of them, for a report.
///
/// # Errors
/// When the database fails.
pub fn mammography_before(connection: &Connection, header: &Header) -> Result<Before, store::Error> {
    Ok(match mammographies(connection, header)? {
        None => Before::Unknown,
        Some(found) => found.first().map_or(Before::Nothing, |(_, header)| Before::On(header.study_date.clone())),
    })
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
        let done_job = "INSERT INTO jobs (id, series_id, state, findings) VALUES (?1, ?1, 'done', ?2)";
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
            connection.execute(done_job, params![id, json]).unwrap();
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
        let all = |connection: &Connection| {
            let found = super::all(connection, &header("P1", "ZHANG^SAN^^", "20260101", "1.9")).unwrap();
            found.into_iter().map(|prior| (prior.series_uid, prior.findings)).collect::<Vec<_>>()
        };
        // A second series of the same study, of which the newest version counts.
        for (id, findings) in [(20, json!({ "nodules": { "done": [1] } })), (21, json!({ "nodules": { "done": [] } }))]
        {
            let text = serde_json::to_string(&Header {
                series_instance_uid: "1.2.7".into(),
                ..header("P1", "Zhang^San", "20250601", "1.2")
            });
            let sql = "INSERT INTO series (id, study_uid, series_uid) VALUES (?1, '1.2', '1.2.7')";
            connection.execute(sql, [id]).unwrap();
            connection.execute(done_job, params![id, findings.to_string()]).unwrap();
            let sql = "INSERT INTO instances (study_uid, series_uid, header) VALUES ('1.2', '1.2.7', ?1)";
            connection.execute(sql, [text.unwrap()]).unwrap();
        }
        let listed = all(&connection);
        let uids: Vec<&str> = listed.iter().map(|(uid, _)| uid.as_str()).collect();
        assert_eq!(uids, ["1.2.7", "1.2.1"], "every series of the newest study");
        assert_eq!(listed[0].1["nodules"]["done"], json!([]), "each as it was read last");
        connection.execute("DELETE FROM series WHERE id >= 20", []).unwrap();
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
