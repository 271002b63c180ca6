//! Comparison with a prior study of the same patient: pneumonia then and now, part by part.
//!
//! A wrong patient is worse than no comparison: ID, issuer, name, birth date and sex decide together
//! (`dicom::patient::Identity::is_same_person`).

use custody::store::{self, jobs};
use dicom::header::Header;
use dicom::patient::{Identity, is_placeholder_id};
use models::ChestFindings;
use models::findings::{Change, Comparison, Evaluated};
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
        if findings["pneumonia"]["done"].is_object() {
            return Ok(Some(Prior { study_uid: study.study_uid, study_date: study.study_date, findings }));
        }
    }
    Ok(None)
}

/// What both studies have evaluated; `None` when that is nothing.
pub fn compare(findings: &ChestFindings, prior: &Prior) -> Option<Comparison> {
    let Evaluated::Done(now) = &findings.pneumonia else { return None };
    let before = prior.findings["pneumonia"]["done"]["extents"].as_array()?;
    let changes: Vec<Change> = now
        .extents
        .iter()
        .filter_map(|extent| {
            let part = serde_json::to_value(extent.part).ok()?;
            let then = before.iter().find(|then| then["part"] == part)?;
            let percent = |key: &str| then[key].as_f64();
            Some(Change {
                part: extent.part,
                ground_glass_percent: [percent("ground_glass_percent")?, extent.ground_glass_percent],
                consolidation_percent: [percent("consolidation_percent")?, extent.consolidation_percent],
            })
        })
        .collect();
    (!changes.is_empty()).then(|| Comparison {
        prior_study_uid: prior.study_uid.clone(),
        prior_study_date: prior.study_date.clone(),
        changes,
    })
}

#[cfg(test)]
mod tests {
    use models::Reason;
    use models::findings::{Extent, LungPart, Pneumonia, Side};

    use rusqlite::params;

    use super::*;

    fn findings(percent: f64) -> ChestFindings {
        let extent = |part| Extent {
            part,
            volume_ml: 4000.0,
            ground_glass_percent: percent,
            consolidation_percent: percent / 2.0,
        };
        ChestFindings {
            pneumonia: Evaluated::Done(Pneumonia {
                confidence: 0.9,
                ground_glass: Vec::new(),
                consolidation: Vec::new(),
                extents: [LungPart::Both, LungPart::Lung(Side::Left)].map(extent).to_vec(),
            }),
            ..ChestFindings::none(&Reason::stored("not looked for"))
        }
    }

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
    fn parts_that_both_studies_have_are_compared() {
        let prior = Prior {
            study_uid: "1.2".into(),
            study_date: "20250101".into(),
            findings: serde_json::to_value(findings(20.0)).unwrap(),
        };
        let comparison = compare(&findings(5.0), &prior).unwrap();
        assert_eq!(comparison.changes.len(), 2);
        assert_eq!(comparison.changes[1].part, LungPart::Lung(Side::Left));
        assert_eq!(comparison.changes[0].ground_glass_percent, [20.0, 5.0]);
        assert_eq!(compare(&ChestFindings::none(&Reason::stored("thick slices")), &prior), None);
    }

    #[test]
    fn only_an_earlier_study_of_the_same_patient_is_a_prior() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE series (id INTEGER PRIMARY KEY, study_uid TEXT, series_uid TEXT);
                 CREATE TABLE jobs (id INTEGER PRIMARY KEY, series_id INTEGER, state TEXT, findings TEXT);
                 CREATE TABLE instances (id INTEGER PRIMARY KEY, study_uid TEXT, series_uid TEXT, header TEXT,
                   state TEXT DEFAULT 'kept');",
            )
            .unwrap();
        let json = serde_json::to_string(&findings(20.0)).unwrap();
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
            connection.execute("INSERT INTO series VALUES (?1, ?2, ?3)", uids).unwrap();
            connection.execute("INSERT INTO jobs VALUES (?1, ?1, 'done', ?2)", params![id, json]).unwrap();
            let row = params![id, h.study_instance_uid, h.series_instance_uid, text];
            let sql = "INSERT INTO instances (id, study_uid, series_uid, header) VALUES (?1, ?2, ?3, ?4)";
            connection.execute(sql, row).unwrap();
        }
        let found = find(&connection, &header("P1", "ZHANG^SAN^^", "20260101", "1.9")).unwrap().unwrap();
        assert_eq!((found.study_uid.as_str(), found.study_date.as_str()), ("1.2", "20250601"));
        assert_eq!(find(&connection, &header("", "Zhang^San", "20260101", "1.9")).unwrap(), None);
        assert_eq!(find(&connection, &header("P1", "", "20260101", "1.9")).unwrap(), None);
        let placeholder = header("0", "ANONYMOUS", "20260101", "1.9");
        assert_eq!(find(&connection, &placeholder).unwrap(), None, "a placeholder binds nobody");
        let silent = Header { birth_date: String::new(), ..header("P1", "Zhang^San", "20260101", "1.9") };
        assert_eq!(find(&connection, &silent).unwrap(), None, "ID and name alone are not enough");
    }
}
