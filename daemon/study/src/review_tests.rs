//! What is signed, and what is refused before it is.

use custody::series::SeriesKey;
use custody::series::state::SeriesEvent;
use custody::store::members::MemberRow;
use custody::store::{Durability, Store, now_utc};
use dicom::kind::SeriesKind;
use models::findings::ChestFinding;
use models::review::edit::{Field, Values};
use proptest::prelude::*;
use rusqlite::Connection;

use super::*;

const SERIES: &str = "1.2.3";

fn listed(id: &str) -> Listed {
    let (finding, number) = (ChestFinding::Nodule, None);
    let values = [(Field::Type, "solid"), (Field::Side, "right"), (Field::LongMm, "10.1"), (Field::ShortMm, "8.0")];
    let values = values.into_iter().map(|(field, value)| (field, value.to_owned())).collect();
    Listed { id: id.into(), finding, number, centre_mm: [1.0, 2.0, 3.0], volume_ml: 0.5, key_slice: 7, values }
}

fn mark(id: &str, decision: Decision, comment: &str) -> Mark {
    Mark { id: id.into(), decision, comment: comment.into(), edit: Vec::new() }
}

/// Edited to these fields and values.
fn edit(id: &str, asked: &[(&str, &str)]) -> Mark {
    let edit = asked.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Mark { edit, ..mark(id, Decision::Edited, "callipers") }
}

/// Without a review before.
fn judge(listed: Vec<Listed>, marks: &[Mark], accept_rest: bool) -> Result<Vec<Decided>, Wrong> {
    decide(listed, &Asked { marks, accept_rest, by: "Li Ming" }, None)
}

fn two() -> Vec<Listed> {
    vec![listed("nodule-1"), listed("mass-2")]
}

#[test]
fn nothing_is_signed_as_long_as_a_finding_has_no_decision() {
    let wrong = |marks: &[Mark], rest| judge(two(), marks, rest).unwrap_err().to_string();
    assert_eq!(wrong(&[], false), "without a decision: nodule-1, mass-2");
    let one = mark("nodule-1", Decision::Rejected, "a vessel ");
    assert_eq!(wrong(std::slice::from_ref(&one), false), "without a decision: mass-2");
    let decided = judge(two(), std::slice::from_ref(&one), true).unwrap();
    let decided: Vec<_> =
        decided.iter().map(|one| (one.listed.id.as_str(), one.decision, one.comment.as_str())).collect();
    assert_eq!(decided, [("nodule-1", Decision::Rejected, "a vessel"), ("mass-2", Decision::Accepted, "")]);
    assert_eq!(wrong(&[one.clone(), one], true), "nodule-1 is decided about twice");
    let other = mark("nodule-9", Decision::Accepted, "");
    assert_eq!(wrong(&[other], true), "there is no finding nodule-9; listed are nodule-1, mass-2");
    assert!(judge(Vec::new(), &[], false).unwrap().is_empty(), "nothing was found: that can be signed");
}

#[test]
fn comments_are_short_and_can_be_shown() {
    let with = |comment: &str| judge(vec![listed("nodule-1")], &[mark("nodule-1", Decision::Accepted, comment)], false);
    assert!(with(&"\u{8840}".repeat(200)).is_ok());
    assert_eq!(with(&"x".repeat(201)).unwrap_err(), Wrong::LongComment { id: "nodule-1".into() });
    for comment in ["a\nb", "\u{1b}[2J", "\u{202e}tpircs"] {
        assert_eq!(with(comment).unwrap_err(), Wrong::Comment { id: "nodule-1".into() }, "{comment:?}");
    }
}

#[test]
fn an_edit_keeps_what_differs_and_who_edited_it_and_the_values_of_the_machine_are_an_acceptance() {
    let same = edit("nodule-1", &[("type", "solid"), ("side", "right")]);
    let decided = judge(two(), &[same, edit("mass-2", &[("side", "left"), ("type", "solid")])], false).unwrap();
    assert_eq!((decided[0].decision, &decided[0].edit), (Decision::Accepted, &None));
    assert_eq!((decided[1].decision, decided[1].comment.as_str()), (Decision::Edited, "callipers"));
    let kept = decided[1].edit.clone().unwrap();
    assert_eq!((kept.by.as_str(), kept.values), ("Li Ming", Values::from([(Field::Side, "left".into())])));
    let why = |mark: Mark| judge(two(), &[mark], true).unwrap_err().to_string();
    assert_eq!(
        why(edit("nodule-1", &[("rib", "3")])),
        "nodule-1: \"rib\" cannot be edited: it has type, side, long_mm, short_mm"
    );
    assert!(why(edit("nodule-1", &[])).starts_with("nodule-1: no field was named"));
    let unsaid = Mark { decision: Decision::Accepted, ..edit("nodule-1", &[("side", "left")]) };
    assert_eq!(why(unsaid), "nodule-1 has edited values and is not decided to be edited");
    let long = Mark { comment: "x".repeat(201), ..edit("nodule-1", &[("side", "left")]) };
    assert_eq!(why(long), "the comment on nodule-1 is longer than 200 characters");
    // Found by a version of the software that named no values.
    let old = Listed { values: Values::new(), ..listed("nodule-1") };
    let refused = judge(vec![old], &[edit("nodule-1", &[("side", "left")])], false).unwrap_err();
    assert_eq!(refused.to_string(), "nodule-1: nothing of it can be edited");
}

/// Who accepts a finding accepts what is shown.
#[test]
fn what_an_earlier_review_edited_stays_edited_under_that_name_until_somebody_decides_otherwise() {
    let first = judge(two(), &[edit("nodule-1", &[("side", "left")])], true).unwrap();
    let document =
        Document { study_uid: "1".into(), series_uid: "2".into(), sop_class: "3".into(), sop_uid: "4".into() };
    let applied = Review {
        by: "Li Ming".into(),
        utc: "2026-11-24T03:00:00.000Z".into(),
        package: "p".into(),
        decisions: first,
        predecessor: document,
    };
    let again = |marks: &[Mark]| {
        let asked = Asked { marks, accept_rest: true, by: "Wang Fang" };
        decide(two(), &asked, Some(&applied)).unwrap().remove(0)
    };
    let kept = again(&[]);
    assert_eq!((kept.decision, kept.comment.as_str()), (Decision::Edited, "callipers"));
    assert_eq!(kept.edit.as_ref().map(|edit| edit.by.as_str()), Some("Li Ming"));
    assert_eq!(again(&[mark("nodule-1", Decision::Accepted, "so it is")]).comment, "so it is");
    let other = again(&[edit("nodule-1", &[("type", "calcified")])]).edit.unwrap();
    assert_eq!((other.by.as_str(), other.values.len()), ("Wang Fang", 1), "the new one takes its place");
    let back = again(&[edit("nodule-1", &[("side", "right")])]);
    assert_eq!((back.decision, back.edit), (Decision::Accepted, None), "what the machine had found");
    let unknown = Listed { values: Values::from([(Field::Side, String::new())]), ..listed("nodule-1") };
    let asked = Asked { marks: &[edit("nodule-1", &[])], accept_rest: true, by: "Wang Fang" };
    let back = decide(vec![unknown], &asked, Some(&applied)).unwrap().remove(0);
    assert_eq!((back.decision, back.edit), (Decision::Accepted, None), "the machine had found no values");
    assert_eq!(again(&[mark("nodule-1", Decision::Rejected, "")]).edit, None);
}

#[test]
fn a_name_is_one_component_of_a_dicom_name() {
    assert_eq!(name("  Dr.  Li Ming "), Ok("Dr. Li Ming".into()));
    assert_eq!(name("\u{674e}\u{660e}"), Ok("\u{674e}\u{660e}".into()));
    assert_eq!(name(" "), Err(Wrong::NoName));
    assert_eq!(name(&"x".repeat(65)), Err(Wrong::LongName));
    for bad in ['\\', '^', '=', '\n', '\0', '\u{1b}', '\u{202e}'] {
        assert_eq!(name(&format!("Li{bad}Ming")), Err(Wrong::Name(bad)));
    }
}

proptest! {
    #[test]
    fn whatever_is_typed_is_refused_or_safe_in_an_object(typed in any::<String>()) {
        if let Ok(name) = name(&typed) {
            prop_assert!((1..=LONGEST_NAME).contains(&name.chars().count()));
            prop_assert!(!name.chars().any(|c| matches!(c, '\\' | '^' | '=') || steers(c)), "{name:?}");
            prop_assert_eq!(name.trim_matches(' '), &name);
        }
    }
}

proptest! {
    /// Whatever comes from a page or the bus: refused, or within the lists and bounds, and safe in an object.
    #[test]
    fn whatever_is_typed_into_an_edit_is_refused_or_safe(name in "[a-z_]{0,12}|\\PC*", value in any::<String>(), comment in any::<String>()) {
        let mark = Mark { comment, ..edit("nodule-1", &[(&name, &value)]) };
        if let Ok(decided) = judge(vec![listed("nodule-1")], &[mark], false) {
            let one = &decided[0];
            prop_assert!(one.comment.chars().count() <= LONGEST_COMMENT && !one.comment.chars().any(steers));
            for value in one.edit.iter().flat_map(|edit| edit.values.values()) {
                prop_assert!(!value.is_empty() && value.is_ascii() && value.len() < 32, "{:?}", value);
            }
        }
    }
}

struct Home(tempfile::TempDir);

impl Home {
    /// A processed series with these findings.
    fn with(findings: Option<&str>) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let mut connection = home.rows();
        let transaction = connection.transaction().unwrap();
        let key = SeriesKey { study_uid: "1.2".into(), series_uid: SERIES.into() };
        let (row, _) = series::opened(&transaction, &key, "CT", SeriesKind::Ct, 1, &now_utc()).unwrap();
        let version = series::completed(&transaction, row.id, "quiet", &now_utc()).unwrap();
        let job = jobs::enqueue(&transaction, row.id, version, &now_utc()).unwrap();
        jobs::done(&transaction, job, findings, "[]", &now_utc()).unwrap();
        series::conclude(&transaction, row.id, SeriesEvent::Processed, "2 nodules").unwrap();
        transaction.commit().unwrap();
        home
    }

    fn found() -> Self {
        let report =
            serde_json::json!({ "study_uid": "1.2", "series_uid": "2.25.8", "sop_class": "1", "sop_uid": "2.25.9" });
        let findings = serde_json::json!({ "package": "ct-chest 0.4.0 ab", "listed": two(), "report": report });
        Self::with(Some(&findings.to_string()))
    }

    fn rows(&self) -> Connection {
        Store::open(&self.0.path().join("scanside.db")).unwrap().connect(Durability::Full).unwrap()
    }

    fn sign(&self, by: &str, accept_rest: bool) -> Result<Signed, Error> {
        let mut connection = self.rows();
        let transaction = connection.transaction().unwrap();
        let marks = vec![mark("mass-2", Decision::Rejected, "")];
        let signed =
            sign(&transaction, &Signing { series_uid: SERIES.into(), by: by.into(), marks, accept_rest, seen: None })?;
        transaction.commit().unwrap();
        Ok(signed)
    }
}

/// A page that was open while another version was made shows findings that are no longer the newest.
#[test]
fn nobody_signs_findings_that_came_after_those_that_were_seen() {
    let home = Home::found();
    let attempt = |seen: &str| {
        let mut connection = home.rows();
        let transaction = connection.transaction().unwrap();
        let (series_uid, seen) = (SERIES.to_owned(), Some(seen.to_owned()));
        sign(&transaction, &Signing { series_uid, by: "Li Ming".into(), marks: Vec::new(), accept_rest: true, seen })
    };
    assert!(attempt("2.25.1").unwrap_err().to_string().contains("newer findings"));
    assert!(attempt("2.25.9").is_ok());
}

#[test]
fn a_review_is_signed_with_the_job_of_a_new_version() {
    let home = Home::found();
    let signed = home.sign("Li Ming", true).unwrap();
    assert_eq!((signed.accepted, signed.rejected), (1, 1));
    let rows = home.rows();
    let series = series::get(&rows, signed.series_id).unwrap().unwrap();
    assert_eq!(
        (series.version, series.state, series.completed_by.as_deref()),
        (2, SeriesState::Complete, Some("review"))
    );
    let job = jobs::get(&rows, signed.job).unwrap().unwrap();
    assert_eq!((job.version, job.state.as_str()), (2, "queued"));
    let review: Review =
        serde_json::from_str(&reviews::of_version(&rows, signed.series_id, 2).unwrap().unwrap()).unwrap();
    assert_eq!((review.by.as_str(), review.package.as_str()), ("Li Ming", "ct-chest 0.4.0 ab"));
    assert_eq!(review.predecessor.sop_uid, "2.25.9");
    assert_eq!(review.decisions.iter().map(|one| one.listed.clone()).collect::<Vec<_>>(), two());
    let again = home.sign("Wang Fang", true).unwrap_err();
    assert!(matches!(&again, Error::NotPossible(why) if why.contains("analysed")), "{again}");
}

/// A processed series of this kind whose job made these marks.
fn marked(kind: SeriesKind, modality: &str, task: Option<&str>) -> Home {
    let home = Home(tempfile::tempdir().unwrap());
    let mut connection = home.rows();
    let transaction = connection.transaction().unwrap();
    let key = SeriesKey { study_uid: "1.2".into(), series_uid: SERIES.into() };
    let (row, _) = series::opened(&transaction, &key, modality, kind, 1, &now_utc()).unwrap();
    let version = series::completed(&transaction, row.id, "quiet", &now_utc()).unwrap();
    let sql = "INSERT INTO instances (sop_uid, sop_class, study_uid, series_uid, file, offset, length, sha256, state, received_utc, calling_ae, \
               called_ae, peer_address, association, header) VALUES ('1.2.4', '', '1.2', ?1, '', 0, 0, '', 'kept', '', '', '', '', 0, ?2)";
    let header = match kind {
        SeriesKind::Mammography => {
            serde_json::json!({ "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.2", "sop_instance_uid": "1.2.4",
            "projection": { "laterality": "L", "position": "CC" } })
        }
        _ => serde_json::json!({}),
    };
    transaction.execute(sql, [SERIES, &header.to_string()]).unwrap();
    let member = MemberRow { series_id: row.id, version, instance_id: transaction.last_insert_rowid() };
    let job = match task {
        Some(task) => jobs::enqueue_study(&transaction, task, row.id, version, &[member], &now_utc()).unwrap(),
        None => jobs::enqueue(&transaction, row.id, version, &now_utc()).unwrap(),
    };
    let listed = |id: &str| {
        serde_json::json!({ "id": id, "kind": "mass", "words": "a mass", "score": 0.5, "sop_instance_uid": "1.2.4",
            "bounds": [1.0, 2.0, 3.0, 4.0] })
    };
    let report =
        serde_json::json!({ "study_uid": "1.2", "series_uid": "2.25.8", "sop_class": "1", "sop_uid": "2.25.9" });
    let marks = serde_json::json!({ "package": "us-breast 0.3.0 ab", "listed": [listed("nodule-1"), listed("mass-2")],
        "notes": [], "learnt": "from phantoms", "report": report });
    jobs::set_marks(&transaction, job, &marks.to_string()).unwrap();
    jobs::done(&transaction, job, None, "[]", &now_utc()).unwrap();
    series::conclude(&transaction, row.id, SeriesEvent::Processed, "2 marks").unwrap();
    transaction.commit().unwrap();
    home
}

#[test]
fn marks_in_pictures_of_a_breast_are_signed_with_the_job_of_a_new_version_that_is_of_the_same_task() {
    for (kind, modality, task) in [
        (SeriesKind::Ultrasound, "US", None),
        (SeriesKind::Mammography, "MG", Some(StudyTask::MammographyViews.name())),
    ] {
        let home = marked(kind, modality, task);
        let signed = home.sign("Li Ming", true).unwrap();
        assert_eq!((signed.accepted, signed.rejected), (1, 1), "{modality}");
        let rows = home.rows();
        let job = jobs::get(&rows, signed.job).unwrap().unwrap();
        assert_eq!((job.version, job.state.as_str(), job.task.as_deref()), (2, "queued", task), "{modality}");
        let json = reviews::of_version(&rows, signed.series_id, 2).unwrap().unwrap();
        let review: models::review::marks::MarkReview = serde_json::from_str(&json).unwrap();
        assert_eq!((review.package.as_str(), review.predecessor.sop_uid.as_str()), ("us-breast 0.3.0 ab", "2.25.9"));
        let rejected: Vec<_> = review
            .decisions
            .iter()
            .filter(|one| one.decision == Decision::Rejected)
            .map(|one| &one.listed.id)
            .collect();
        assert_eq!(rejected, ["mass-2"], "{modality}");
    }
}

/// The report would be final for images that nobody was shown.
#[test]
fn nobody_signs_a_mammography_of_which_more_has_come() {
    let home = marked(SeriesKind::Mammography, "MG", Some(StudyTask::MammographyViews.name()));
    let mut connection = home.rows();
    let transaction = connection.transaction().unwrap();
    let late = SeriesKey { study_uid: "1.2".into(), series_uid: "1.2.99".into() };
    let (row, _) = series::opened(&transaction, &late, "MG", SeriesKind::Mammography, 1, &now_utc()).unwrap();
    transaction.commit().unwrap();
    let refused = home.sign("Li Ming", true).unwrap_err();
    assert!(matches!(&refused, Error::NotPossible(text) if text.contains("more images")), "{refused}");
    let late = series::get(&home.rows(), row.id).unwrap().unwrap();
    assert_eq!(late.state, SeriesState::Receiving, "it is not closed while images come");
}

#[test]
fn what_a_rerun_found_is_signed_by_a_job_that_reads_as_much() {
    let home = Home::found();
    home.rows().execute_batch("UPDATE series SET completed_by = 'rerun'").unwrap();
    let signed = home.sign("Li Ming", true).unwrap();
    let row = series::get(&home.rows(), signed.series_id).unwrap().unwrap();
    assert_eq!(row.completed_by.as_deref(), Some("rerun"));
}

#[test]
fn what_cannot_be_signed_leaves_nothing_behind() {
    let untouched = |home: &Home| {
        let rows = home.rows();
        let row = series::with_uid(&rows, SERIES).unwrap().remove(0);
        assert_eq!((row.version, row.state), (1, SeriesState::Processed));
        assert_eq!(reviews::of_version(&rows, row.id, 2).unwrap(), None);
    };
    let home = Home::found();
    assert!(matches!(home.sign("Li Ming", false), Err(Error::Wrong(Wrong::Missing { .. }))));
    untouched(&home);
    assert!(matches!(home.sign("Li^Ming", true), Err(Error::Wrong(Wrong::Name('^')))));
    untouched(&home);
    for (findings, why) in [(None, "no findings"), (Some("{}"), "older version of this software")] {
        let home = Home::with(findings);
        let refused = home.sign("Li Ming", true).unwrap_err();
        assert!(matches!(&refused, Error::NotPossible(text) if text.contains(why)), "{refused}");
        untouched(&home);
    }
    let mut connection = home.rows();
    let transaction = connection.transaction().unwrap();
    let other =
        Signing { series_uid: "9.9".into(), by: "Li Ming".into(), marks: Vec::new(), accept_rest: true, seen: None };
    assert!(matches!(sign(&transaction, &other), Err(Error::NoSeries(_))));
}

/// Of a mammography that hangs in two series, with its marks.
fn with_second_view(home: &Home) -> i64 {
    let mut connection = home.rows();
    let transaction = connection.transaction().unwrap();
    let key = SeriesKey { study_uid: "1.2".into(), series_uid: "1.2.88".into() };
    let (row, _) = series::opened(&transaction, &key, "MG", SeriesKind::Mammography, 1, &now_utc()).unwrap();
    let version = series::completed(&transaction, row.id, "quiet", &now_utc()).unwrap();
    let sql = "INSERT INTO instances (sop_uid, sop_class, study_uid, series_uid, file, offset, length, sha256, state, received_utc, calling_ae, \
               called_ae, peer_address, association, header) \
               VALUES ('1.2.5', '', '1.2', ?1, '', 0, 0, '', 'kept', '', '', '', '', 0, '{\"sop_instance_uid\": \"1.2.5\"}')";
    transaction.execute(sql, [&key.series_uid]).unwrap();
    let instance_id = transaction.last_insert_rowid();
    let job = jobs::newest_of_task(&transaction, "1.2", StudyTask::MammographyViews.name()).unwrap().unwrap().id;
    let member = MemberRow { series_id: row.id, version, instance_id };
    custody::store::members::insert(&transaction, job, &[member]).unwrap();
    series::conclude(&transaction, row.id, SeriesEvent::Processed, "2 marks").unwrap();
    transaction.commit().unwrap();
    instance_id
}

fn reading() -> crate::settings::Analyze {
    crate::settings::Analyze { mg_breast: true, ..crate::settings::Analyze::default() }
}

/// The job would fail on the image that is gone, and a good result would be replaced by "not analysed".
#[test]
fn a_mammography_of_which_one_view_was_evicted_is_neither_signed_nor_analysed_again() {
    let home = marked(SeriesKind::Mammography, "MG", Some(StudyTask::MammographyViews.name()));
    let second = with_second_view(&home);
    home.rows().execute("UPDATE instances SET state = 'evicted' WHERE id = ?1", [second]).unwrap();
    home.rows().execute("UPDATE series SET state = 'evicted' WHERE series_uid = '1.2.88'", []).unwrap();
    let refused = home.sign("Li Ming", true).unwrap_err();
    assert!(matches!(&refused, Error::NotPossible(text) if text.contains("were evicted")), "{refused}");
    let mut connection = home.rows();
    let transaction = connection.transaction().unwrap();
    let again = gather::rerun(&transaction, &reading(), "1.2").unwrap();
    assert!(again.jobs.is_empty() && again.left.is_some_and(|why| why.contains("evicted")), "{again:?}");
    transaction.commit().unwrap();
    assert_eq!(
        series::with_uid(&home.rows(), SERIES).unwrap()[0].state,
        SeriesState::Processed,
        "it keeps its verdict"
    );
    // By headers alone it can be decided once more, and with all its images it is read again.
    let mut connection = home.rows();
    let transaction = connection.transaction().unwrap();
    let headers = crate::settings::Analyze { mg_breast: false, mammography_views: true, ..reading() };
    assert_eq!(gather::rerun(&transaction, &headers, "1.2").unwrap().left, None);
    drop(transaction);
    home.rows().execute("UPDATE instances SET state = 'kept'", []).unwrap();
    let mut connection = home.rows();
    let transaction = connection.transaction().unwrap();
    assert_eq!(gather::rerun(&transaction, &reading(), "1.2").unwrap().left, None);
}

/// Parks the job of a signature, as after too many failures.
fn park(home: &Home, signed: Signed) {
    let mut connection = home.rows();
    let transaction = connection.transaction().unwrap();
    let job = jobs::get(&transaction, signed.job).unwrap().unwrap();
    crate::analyze::conclude::park(&transaction, &reading(), &job, "no accelerator").unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_rerun_after_the_job_of_a_review_was_parked_keeps_the_signature_and_signing_again_is_refused_with_the_reason() {
    for (kind, modality, task) in [
        (SeriesKind::Ultrasound, "US", None),
        (SeriesKind::Mammography, "MG", Some(StudyTask::MammographyViews.name())),
    ] {
        let home = marked(kind, modality, task);
        let signed = home.sign("Li Ming", true).unwrap();
        park(&home, signed);
        let row = series::get(&home.rows(), signed.series_id).unwrap().unwrap();
        let verdict = row.verdict.unwrap();
        assert!(row.state == SeriesState::Refused && verdict.contains("that Li Ming has signed"), "{verdict}");
        let refused = home.sign("Wang Fang", true).unwrap_err().to_string();
        assert!(refused.contains("parked") && refused.contains("that Li Ming has signed"), "{refused}");

        let mut connection = home.rows();
        let transaction = connection.transaction().unwrap();
        let jobs = match task {
            None => reviews::resume(&transaction, signed.series_id, row.version).unwrap().into_iter().collect(),
            Some(_) => gather::rerun(&transaction, &reading(), "1.2").unwrap().jobs,
        };
        transaction.commit().unwrap();
        assert_eq!(jobs, [signed.job], "{modality}");
        let rows = home.rows();
        let job = jobs::get(&rows, signed.job).unwrap().unwrap();
        assert_eq!((job.state.as_str(), job.attempts, job.reason), ("queued", 0, None));
        let again = series::get(&rows, signed.series_id).unwrap().unwrap();
        assert_eq!((again.state, again.version, again.verdict), (SeriesState::Complete, 2, None));
        assert_eq!(reviews::waits(&rows, signed.series_id, 2).unwrap().as_deref(), Some("Li Ming"));
    }
}
