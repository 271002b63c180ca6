//! What the page is told of studies that were corrected, or that several patients share; and which results leave over DICOMweb and as export.

use custody::series::SeriesKey;
use custody::store::conflicts::{self, Choice};
use custody::store::members::MemberRow;
use custody::store::results::{self, ResultRow};
use custody::store::{Durability, Store, jobs, now_utc, series};
use dicom::header::{Header, PixelData};
use dicom::kind::SeriesKind;
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use study::analyze::task::StudyTask;
use tempfile::TempDir;

use super::{Error, File, ReadingFault, breast, listed, of_result};

const STUDY: &str = "1.2";
const ADA: &str = "PHANTOM^ADA";
const EVA: &str = "PHANTOM^EVA";

struct Unit {
    _folder: TempDir,
    rows: Connection,
}

impl Unit {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let rows = store.connect(Durability::Full).unwrap();
        Self { _folder: folder, rows }
    }

    /// An image that was received in this state; its row.
    fn image(&self, uids: [&str; 2], kind: SeriesKind, name: &str, state: &str) -> i64 {
        let [series_uid, sop_uid] = uids;
        let header = Header {
            study_instance_uid: STUDY.into(),
            series_instance_uid: series_uid.into(),
            sop_instance_uid: sop_uid.into(),
            patient_name: name.into(),
            patient_id: format!("ID of {name}"),
            birth_date: "19700101".into(),
            study_date: "20261124".into(),
            modality: if kind == SeriesKind::Mammography { "MG" } else { "CT" }.into(),
            pixel_data: Some(PixelData { offset: 0, length: 8, encapsulated: false }),
            ..Header::default()
        };
        let json = serde_json::to_string(&header).unwrap();
        let sql = "INSERT INTO instances (sop_uid, sop_class, study_uid, series_uid, segment, offset, length, sha256, state, \
                   received_utc, calling_ae, called_ae, peer_address, association, header) \
                   VALUES (?1, '', ?2, ?3, 1, 0, 8, ?4, ?5, '', '', '', '', 0, ?6)";
        self.rows.execute(sql, params![sop_uid, STUDY, series_uid, format!("{name} {sop_uid}"), state, json]).unwrap();
        self.rows.last_insert_rowid()
    }

    /// The next version of a series, complete.
    fn version(&mut self, series_uid: &str, kind: SeriesKind) -> (i64, i64) {
        let transaction = self.rows.transaction().unwrap();
        let key = SeriesKey { study_uid: STUDY.into(), series_uid: series_uid.into() };
        let (row, _) = series::opened(&transaction, &key, "", kind, 1, &now_utc()).unwrap();
        let version = series::completed(&transaction, row.id, "quiet", &now_utc()).unwrap();
        transaction.commit().unwrap();
        (row.id, version)
    }

    /// The job of a version; of the task of the whole study on `images`.
    fn job(&mut self, (row, version): (i64, i64), images: &[i64]) -> i64 {
        let transaction = self.rows.transaction().unwrap();
        let member = |instance_id: &i64| MemberRow { series_id: row, version, instance_id: *instance_id };
        let members: Vec<_> = images.iter().map(member).collect();
        let task = StudyTask::MammographyViews.name();
        let job = if members.is_empty() {
            jobs::enqueue(&transaction, row, version, &now_utc()).unwrap()
        } else {
            jobs::enqueue_study(&transaction, task, row, version, &members, &now_utc()).unwrap()
        };
        transaction.commit().unwrap();
        job
    }

    /// It is done, with something found and a document.
    fn done(&mut self, job: i64, said: &str) {
        let transaction = self.rows.transaction().unwrap();
        let findings = format!("{{\"said\":\"{said}\"}}");
        jobs::set_marks(&transaction, job, &findings).unwrap();
        jobs::done(&transaction, job, Some(&findings), "[]", &now_utc()).unwrap();
        let row = ResultRow {
            id: 0,
            job_id: job,
            kind: "pdf".into(),
            sop_class: String::new(),
            sop_uid: format!("1.5.{job}"),
            study_uid: STUDY.into(),
            series_uid: "1.9".into(),
            file: format!("results/{job}/1.dcm"),
            length: 1,
            sha256: String::new(),
            simulated: false,
        };
        results::insert(&transaction, &row).unwrap();
        transaction.commit().unwrap();
    }

    fn take_new(&mut self) {
        let transaction = self.rows.transaction().unwrap();
        let resolved = conflicts::resolve(&transaction, STUDY, Choice::TakeNew).unwrap();
        assert_eq!(resolved.objects, 1);
        transaction.commit().unwrap();
    }

    fn only(&self) -> listed::SeriesRow {
        let mut all = listed::study(&self.rows, STUDY).unwrap().series;
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
}

/// What is found, whether a document is there, and whether it is of another content.
fn told(row: &listed::SeriesRow) -> (Option<&str>, usize, bool) {
    let said = row.findings.as_ref().and_then(|found| found["said"].as_str());
    (said, row.results.len(), row.outdated)
}

#[test]
fn what_was_found_in_the_images_of_another_patient_is_never_told_under_the_new_name() {
    let mut unit = Unit::new();
    unit.image(["1.3", "1.4"], SeriesKind::Ct, ADA, "kept");
    let first = unit.version("1.3", SeriesKind::Ct);
    let job = unit.job(first, &[]);
    unit.done(job, "of Ada");
    let before = unit.only();
    assert_eq!((told(&before), before.patient.patient_name.as_str()), ((Some("of Ada"), 1, false), ADA));

    unit.image(["1.3", "1.4"], SeriesKind::Ct, EVA, "conflict");
    assert_eq!(told(&unit.only()), (Some("of Ada"), 1, false), "nobody has decided yet");
    unit.take_new();
    let second = unit.version("1.3", SeriesKind::Ct);
    let job = unit.job(second, &[]);
    let after = unit.only();
    assert_eq!((told(&after), after.patient.patient_name.as_str()), ((None, 0, true), EVA));
    assert_eq!(after.finished_utc, None);
    assert_eq!(after.instance_count, before.instance_count);
    assert_ne!(after.pictures, before.pictures, "the page keeps pictures while this is the same");

    // Also when that cannot be done.
    unit.rows.execute("UPDATE jobs SET state = 'parked' WHERE id = ?1", [job]).unwrap();
    assert_eq!(told(&unit.only()), (None, 0, true));
    unit.done(job, "of Eva");
    assert_eq!(told(&unit.only()), (Some("of Eva"), 1, false));
}

#[test]
fn what_came_corrected_after_its_eviction_is_told_without_what_was_found_before() {
    let mut unit = Unit::new();
    let old = unit.image(["1.3", "1.4"], SeriesKind::Ct, ADA, "kept");
    let first = unit.version("1.3", SeriesKind::Ct);
    let job = unit.job(first, &[]);
    unit.done(job, "of Ada");
    unit.rows.execute("UPDATE instances SET state = 'evicted' WHERE id = ?1", [old]).unwrap();
    assert_eq!(told(&unit.only()), (Some("of Ada"), 1, false), "evicted alone changes nothing");
    unit.image(["1.3", "1.4"], SeriesKind::Ct, EVA, "kept");
    unit.rows.execute("UPDATE series SET state = 'receiving'", []).unwrap();
    assert_eq!(told(&unit.only()), (None, 0, true), "it is being received");
    unit.version("1.3", SeriesKind::Ct);
    assert_eq!(told(&unit.only()), (None, 0, true));
}

/// The results that are given away, by SOP Instance UID: all of the study, and this one asked for alone.
fn given(unit: &Unit, job: i64) -> (Vec<String>, bool) {
    let all = results::newest_of_study(&unit.rows, STUDY).unwrap();
    let alone = results::counting(&unit.rows, &format!("1.5.{job}")).unwrap();
    (all.into_iter().map(|row| row.sop_uid).collect(), alone.is_some())
}

/// A study that is fetched, or exported, would hold the images of one patient and the report of another.
#[test]
fn results_of_a_replaced_content_are_not_given_away_with_the_images_of_another_patient() {
    for moved in [false, true] {
        let mut unit = Unit::new();
        unit.image(["1.3", "1.4"], SeriesKind::Ct, ADA, "kept");
        let first = unit.version("1.3", SeriesKind::Ct);
        let of_ada = unit.job(first, &[]);
        unit.done(of_ada, "of Ada");
        assert_eq!(given(&unit, of_ada), (vec![format!("1.5.{of_ada}")], true));
        let new = unit.image(["1.3", "1.4"], SeriesKind::Ct, EVA, "conflict");
        if moved {
            unit.rows.execute("UPDATE instances SET study_uid = '1.99' WHERE id = ?1", [new]).unwrap();
        }
        assert_eq!(given(&unit, of_ada).0.len(), 1, "nobody has decided yet");
        unit.take_new();
        let second = unit.version("1.3", SeriesKind::Ct);
        assert_eq!(given(&unit, of_ada), (Vec::new(), false), "moved: {moved}");
        if moved {
            continue; // and no job ever comes
        }
        let of_eva = unit.job(second, &[]);
        assert_eq!(given(&unit, of_ada), (Vec::new(), false), "the new one is not done");
        unit.done(of_eva, "of Eva");
        assert_eq!(given(&unit, of_eva), (vec![format!("1.5.{of_eva}")], true));
    }
}

#[test]
fn what_was_rejected_is_not_given_away() {
    let mut unit = Unit::new();
    unit.image(["1.3", "1.4"], SeriesKind::Ct, ADA, "kept");
    let first = unit.version("1.3", SeriesKind::Ct);
    let job = unit.job(first, &[]);
    unit.done(job, "of Ada");
    unit.rows.execute("UPDATE results SET rejected = '113001'", []).unwrap();
    assert_eq!(given(&unit, job), (Vec::new(), false));
}

#[test]
fn while_the_same_images_are_read_again_what_was_found_stays() {
    let mut unit = Unit::new();
    unit.image(["1.3", "1.4"], SeriesKind::Ct, ADA, "kept");
    let first = unit.version("1.3", SeriesKind::Ct);
    let job = unit.job(first, &[]);
    unit.done(job, "of Ada");
    let before = unit.only().pictures;
    let again = unit.version("1.3", SeriesKind::Ct);
    unit.job(again, &[]);
    assert_eq!(told(&unit.only()), (Some("of Ada"), 1, false));
    assert_eq!(unit.only().pictures, before);
    // A late slice makes other pictures of it.
    unit.image(["1.3", "1.4.2"], SeriesKind::Ct, ADA, "kept");
    assert_eq!(told(&unit.only()), (Some("of Ada"), 1, false));
    assert_ne!(unit.only().pictures, before);
}

#[test]
fn marks_of_a_replaced_mammogram_are_not_told_until_the_new_one_was_looked_at() {
    let mut unit = Unit::new();
    let kind = SeriesKind::Mammography;
    let old = unit.image(["1.3", "1.4"], kind, ADA, "kept");
    let first = unit.version("1.3", kind);
    let job = unit.job(first, &[old]);
    unit.done(job, "of Ada");
    let told = |unit: &Unit| {
        let breast = breast::breast(&unit.rows, STUDY).unwrap();
        (breast.marked.map(|marked| marked["said"].to_string()), breast.results.len(), breast.outdated)
    };
    assert_eq!(told(&unit), (Some("\"of Ada\"".into()), 1, false));
    let new = unit.image(["1.3", "1.4"], kind, EVA, "conflict");
    unit.take_new();
    let second = unit.version("1.3", kind);
    let job = unit.job(second, &[new]);
    assert_eq!(told(&unit), (None, 0, true));
    unit.done(job, "of Eva");
    assert_eq!(told(&unit), (Some("\"of Eva\"".into()), 1, false));
    // The same images once more.
    let third = unit.version("1.3", kind);
    unit.job(third, &[new]);
    assert_eq!(told(&unit), (Some("\"of Eva\"".into()), 1, false));
}

#[test]
fn each_series_of_a_study_that_two_patients_share_has_its_own_patient_and_nobodys_lesions_or_priors() {
    let mut unit = Unit::new();
    let earlier = "UPDATE instances SET study_uid = '1.1', header = json_set(header, '$.study_date', '20251124', \
                   '$.study_instance_uid', '1.1') WHERE id = ?1";
    let kind = SeriesKind::Mammography;
    // An earlier study of Ada, analysed.
    let old = unit.image(["1.0", "1.0.1"], kind, ADA, "kept");
    unit.rows.execute(earlier, [old]).unwrap();
    let first = unit.version("1.0", kind);
    unit.rows.execute("UPDATE series SET study_uid = '1.1'", []).unwrap();
    let job = unit.job(first, &[]);
    unit.done(job, "of Ada");
    unit.image(["1.3", "1.4"], kind, ADA, "kept");
    unit.version("1.3", kind);
    let study = listed::study(&unit.rows, STUDY).unwrap();
    assert_eq!((study.study.patients, study.priors.len()), (1, 1));
    assert_eq!(breast::breast(&unit.rows, STUDY).unwrap().priors.len(), 1);

    unit.image(["1.6", "1.7"], kind, EVA, "kept");
    unit.version("1.6", kind);
    let study = listed::study(&unit.rows, STUDY).unwrap();
    let names: Vec<&str> = study.series.iter().map(|one| one.patient.patient_name.as_str()).collect();
    assert_eq!((study.study.patients, names, study.priors.len()), (2, vec![ADA, EVA], 0));
    let error = breast::breast(&unit.rows, STUDY).unwrap_err();
    assert_eq!(error.kind(), ReadingFault::CannotBeShown);
    assert!(matches!(error, Error::SeveralPatients(2)), "{error}");
    let lesions = breast::lesions(&unit.rows, STUDY).unwrap();
    assert!(lesions.lesions.is_empty() && lesions.undecided.is_empty());

    // Another patient's scout: the mammograms are of one person, and the study is not.
    unit.rows.execute("UPDATE series SET kind = 'other' WHERE series_uid = '1.6'", []).unwrap();
    assert!(breast::breast(&unit.rows, STUDY).unwrap().priors.is_empty());
}

/// Nor is a later study compared with what was found in it.
#[test]
fn an_earlier_study_that_became_this_patients_is_none_until_its_own_images_are_analysed() {
    let mut unit = Unit::new();
    let kind = SeriesKind::Ct;
    let now = unit.image(["1.8", "1.8.1"], kind, ADA, "kept");
    let later = "UPDATE instances SET study_uid = '1.9', header = json_set(header, '$.study_date', '20271124', \
                 '$.study_instance_uid', '1.9') WHERE id = ?1";
    unit.rows.execute(later, [now]).unwrap();
    unit.version("1.8", kind);
    unit.rows.execute("UPDATE series SET study_uid = '1.9'", []).unwrap();
    let priors = |unit: &Unit| listed::study(&unit.rows, "1.9").unwrap().priors.len();

    unit.image(["1.3", "1.4"], kind, EVA, "kept");
    let first = unit.version("1.3", kind);
    let job = unit.job(first, &[]);
    unit.done(job, "of Eva");
    assert_eq!(priors(&unit), 0, "of another patient");
    unit.image(["1.3", "1.4"], kind, ADA, "conflict");
    unit.take_new();
    let second = unit.version("1.3", kind);
    let job = unit.job(second, &[]);
    assert_eq!(priors(&unit), 0, "what was found is Eva's");
    unit.done(job, "of Ada");
    assert_eq!(priors(&unit), 1);
}

/// One Series Instance UID for the images of two patients.
#[test]
fn images_of_two_patients_are_no_stack() {
    let of = |name: &str| Header { patient_name: name.into(), ..Header::default() };
    assert!(breast::one_person([&of(ADA), &of(ADA), &of("")]).is_ok());
    let error = breast::one_person([&of(ADA), &of(EVA)]).unwrap_err();
    assert_eq!(error.kind(), ReadingFault::CannotBeShown);
    assert!(error.to_string().contains("2 different patients"), "{error}");
}

/// A flipped bit in a report is another report.
#[test]
fn a_document_or_outline_whose_file_was_damaged_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.dcm");
    std::fs::write(&path, b"no nodule").unwrap();
    let file = File { path: path.clone(), length: 9, sha256: hex::encode(Sha256::digest(b"no nodule")) };
    assert_eq!(file.read().unwrap(), b"no nodule");
    std::fs::write(&path, b"on nodule").unwrap();
    let error = file.read().unwrap_err();
    assert!(matches!(error, Error::Damaged) && error.kind() == ReadingFault::CannotBeShown, "{error}");
    std::fs::remove_file(&file.path).unwrap();
    assert!(matches!(file.read(), Err(Error::NotFound)));
}

/// A page that is open for hours has links to what was rejected meanwhile.
#[test]
fn a_link_to_a_result_that_was_rejected_leads_nowhere() {
    let mut unit = Unit::new();
    unit.image(["1.3", "1.4"], SeriesKind::Ct, ADA, "kept");
    let first = unit.version("1.3", SeriesKind::Ct);
    let job = unit.job(first, &[]);
    unit.done(job, "of Ada");
    let id = unit.only().results[0].id;
    assert_eq!(of_result(&unit.rows, id).unwrap().job_id, job);
    unit.rows.execute("UPDATE results SET rejected = '113001'", []).unwrap();
    assert!(matches!(of_result(&unit.rows, id), Err(Error::NotFound)));
}
