//! What is mended later: objects sent again with other content, bytes that changed on the disk, an analysis asked for again.

use std::io::{Read, Seek, SeekFrom, Write};

use custody::instance::{Instance, Location};
use custody::series::SeriesState;
use custody::store::conflicts::Choice;
use custody::store::lists::{self, Wanted};
use custody::store::results::{self, ResultRow};
use custody::store::{deliveries, instances, jobs, now_utc, rejections};
use study::{gather, resolve};

use super::identity::{ADA, slices};
use super::mammography_support::{EVA, Mammogram, NEVER, STUDY, Unit, four, mammogram, until};

fn verdicts(unit: &Unit) -> Vec<String> {
    lists::studies(&unit.rows(), &Wanted { limit: 10, ..Wanted::default() }).unwrap().remove(0).verdicts
}

async fn decide(unit: &mut Unit, choice: Choice) -> resolve::Resolved {
    unit.kill().await;
    let mut rows = unit.rows();
    let transaction = rows.transaction().unwrap();
    let resolved = resolve::resolve(&transaction, &unit.settings.analyze, STUDY, choice).unwrap().unwrap();
    transaction.commit().unwrap();
    unit.start().await;
    resolved
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrected_re_send_is_told_and_taken_when_a_person_says_so() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    unit.send(&slices(1, &[ADA, ADA, ADA])).await;
    let jobs = unit.until_done(1).await;
    let wrong = unit.results(jobs[0].id).remove(0);
    // The wrong worklist entry had been chosen: sent again with the right patient, under the same UIDs.
    unit.send(&slices(1, &[EVA, EVA, EVA])).await;
    let said = verdicts(&unit).remove(0);
    assert!(said.starts_with("3 objects sent again with other content, not used: decide with"), "{said}");

    let resolved = decide(&mut unit, Choice::TakeNew).await;
    assert_eq!((resolved.objects, resolved.changed.len()), (3, 1));
    let jobs = unit.until_done(2).await;
    let right = unit.results(jobs[1].id).remove(0);
    let says = |row, text: &str| unit.object(row).windows(text.len()).any(|window| window == text.as_bytes());
    assert!(says(&wrong, "PHANTOM^ADA") && says(&right, "PHANTOM^EVA") && !says(&right, "PHANTOM^ADA"));
    assert_ne!(wrong.sop_uid, right.sop_uid, "another object, although its sources have the UIDs of the others");
    let states: Vec<(String, String)> =
        deliveries::list(&unit.rows(), None, 10).unwrap().into_iter().map(|row| (row.sop_uid, row.state)).collect();
    assert!(
        states.contains(&(wrong.sop_uid, "superseded".into())) && states.contains(&(right.sop_uid, "pending".into()))
    );
    assert!(verdicts(&unit).iter().all(|said| !said.contains("other content")), "{:?}", verdicts(&unit));

    // Both contents are known now: neither is a conflict if it comes once more.
    unit.send(&slices(1, &[ADA, ADA, ADA])).await;
    unit.send(&slices(1, &[EVA, EVA, EVA])).await;
    assert!(verdicts(&unit).iter().all(|said| !said.contains("other content")), "{:?}", verdicts(&unit));
    unit.kill().await;
}

fn notes(unit: &Unit) -> Vec<ResultRow> {
    let results = unit.jobs().into_iter().flat_map(|job| unit.results(job.id));
    results.filter(|row| row.kind == rejections::KIND).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_archive_has_of_another_patient_is_rejected_there_once_and_only_that() {
    for tells in [true, false] {
        let mut unit = Unit::new(NEVER);
        unit.settings.destination.get_mut("pacs").unwrap().rejection_notes = tells;
        unit.start().await;
        unit.send(&slices(1, &[ADA, ADA, ADA])).await;
        let jobs = unit.until_done(1).await;
        let wrong = unit.results(jobs[0].id);
        let arrives = |at: usize| {
            let queued = deliveries::list(&unit.rows(), None, 10).unwrap();
            let id = queued.iter().find(|row| row.sop_uid == wrong[at].sop_uid).unwrap().id;
            deliveries::delivered(&unit.rows(), id, 0, None, false, &now_utc()).unwrap()
        };
        assert!(wrong.len() == 2 && arrives(0));
        unit.send(&slices(1, &[EVA, EVA, EVA])).await;
        decide(&mut unit, Choice::TakeNew).await;
        unit.until_done(2).await;
        if !tells {
            assert!(notes(&unit).is_empty());
            unit.kill().await;
            continue;
        }
        let says = |note: &ResultRow, text: &str| unit.object(note).windows(text.len()).any(|w| w == text.as_bytes());
        until("the note", || notes(&unit).len() == 1).await;
        let first = notes(&unit).remove(0);
        assert!(says(&first, &wrong[0].sop_uid) && !says(&first, &wrong[1].sop_uid) && says(&first, "113037"));
        assert!(says(&first, "PHANTOM^ADA") && !says(&first, "PHANTOM^EVA") && first.study_uid == wrong[0].study_uid);
        unit.kill().await;
        // It was on its way when it was decided about.
        let queued = deliveries::list(&unit.rows(), None, 10).unwrap();
        let late = queued.iter().find(|row| row.sop_uid == wrong[1].sop_uid).unwrap();
        assert_eq!(late.state, deliveries::SUPERSEDED);
        assert!(deliveries::delivered(&unit.rows(), late.id, 0, None, false, &now_utc()).unwrap());
        unit.start().await;
        until("the note of the late one", || notes(&unit).len() > 1).await;
        unit.kill().await;
        let all = notes(&unit);
        let says = |note: &ResultRow, text: &str| unit.object(note).windows(text.len()).any(|w| w == text.as_bytes());
        assert_eq!((all.len(), &all[0].sop_uid), (2, &first.sop_uid), "none was made twice");
        assert!(says(&all[1], &wrong[1].sop_uid) && !says(&all[1], &wrong[0].sop_uid));
        let queued = deliveries::list(&unit.rows(), Some(deliveries::PENDING), 10).unwrap();
        assert_eq!(queued.iter().filter(|row| row.kind == rejections::KIND).count(), 2);
        let rows = unit.rows();
        let transaction = rows.unchecked_transaction().unwrap();
        results::supersede_older(&transaction, unit.series()[0].id, 99).unwrap();
        let queued = deliveries::list(&transaction, Some(deliveries::PENDING), 10).unwrap();
        assert_eq!(queued.len(), 2, "a note is no version of a result");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_has_the_same_later_gets_the_same_note() {
    let mut unit = Unit::new(NEVER);
    let mut pacs = unit.settings.destination["pacs"].clone();
    pacs.rejection_notes = true;
    unit.settings.destination.insert("later".into(), pacs.clone());
    unit.settings.destination.insert("pacs".into(), pacs);
    unit.start().await;
    unit.send(&slices(1, &[ADA, ADA, ADA])).await;
    let jobs = unit.until_done(1).await;
    let wrong: Vec<String> = unit.results(jobs[0].id).into_iter().map(|row| row.sop_uid).collect();
    let arrives_at = |unit: &Unit, name: &str| {
        for row in deliveries::list(&unit.rows(), None, 20).unwrap() {
            if row.destination == name && wrong.contains(&row.sop_uid) {
                assert!(deliveries::delivered(&unit.rows(), row.id, 0, None, false, &now_utc()).unwrap());
            }
        }
    };
    arrives_at(&unit, "pacs");
    unit.send(&slices(1, &[EVA, EVA, EVA])).await;
    decide(&mut unit, Choice::TakeNew).await;
    unit.until_done(2).await;
    until("the note", || notes(&unit).len() == 1).await;
    let (first, bytes) = (notes(&unit).remove(0), unit.object(&notes(&unit)[0]));
    unit.kill().await;
    arrives_at(&unit, "later");
    unit.start().await;
    let queued = || {
        let all = deliveries::list(&unit.rows(), Some(deliveries::PENDING), 20).unwrap();
        all.into_iter().filter(|row| row.kind == rejections::KIND).collect::<Vec<_>>()
    };
    until("the second delivery", || queued().len() == 2).await;
    assert!(queued().iter().all(|row| row.sop_uid == first.sop_uid));
    assert!(matches!(notes(&unit).as_slice(), [one] if one.sha256 == first.sha256));
    assert_eq!(unit.object(&first), bytes, "what may be on its way is not written anew");
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_patients_in_one_series_are_put_right_by_a_corrected_re_send() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    unit.send(&slices(1, &[EVA, EVA, ADA])).await;
    unit.until_done(1).await;
    assert!(unit.verdict().starts_with("2 patients in one series"), "{}", unit.verdict());
    unit.send(&slices(1, &[EVA, EVA, EVA])).await;
    assert_eq!(decide(&mut unit, Choice::TakeNew).await.objects, 1);
    let jobs = unit.until_done(2).await;
    assert!(!unit.verdict().contains("patients"), "{}", unit.verdict());
    assert!(!unit.results(jobs[1].id).is_empty());
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeping_the_old_content_changes_nothing_else() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    unit.send(&slices(1, &[EVA, EVA])).await;
    unit.until_done(1).await;
    unit.send(&slices(1, &[EVA, ADA])).await;
    let resolved = decide(&mut unit, Choice::KeepOld).await;
    assert_eq!((resolved.objects, resolved.changed.len()), (1, 0));
    assert_eq!((unit.jobs().len(), unit.series()[0].version), (1, 1));
    assert_eq!(decide(&mut unit, Choice::TakeNew).await.objects, 0, "it is decided");
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rerun_that_makes_the_same_report_leaves_it_in_the_queue() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    unit.send(&four(false)).await;
    unit.until_done(1).await;
    let first = deliveries::list(&unit.rows(), None, 10).unwrap();
    assert_eq!((first.len(), first[0].state.as_str()), (1, deliveries::PENDING), "the archive is down");
    unit.kill().await;
    let mut rows = unit.rows();
    let transaction = rows.transaction().unwrap();
    gather::again(&transaction, &unit.settings.analyze, STUDY).unwrap();
    transaction.commit().unwrap();
    unit.start().await;
    let jobs = unit.until_done(2).await;
    let again = deliveries::list(&unit.rows(), None, 10).unwrap();
    assert_eq!(again, first, "the same object still waits");
    let results = unit.results(jobs[1].id);
    assert_eq!(results.len(), 1, "it is a result of the newest job");
    unit.kill().await;
    // What the next starts tidy up is not the file that still waits.
    for _ in 0..2 {
        unit.start().await;
        unit.kill().await;
        assert_eq!(unit.results(jobs[1].id)[0].file, results[0].file);
        assert_eq!(unit.object(&results[0]).len() as u64, results[0].length);
    }
}

/// The archive hides what a note has named, also when it comes once more: what is found after that goes under other UIDs.
#[tokio::test(flavor = "multi_thread")]
async fn a_rerun_after_a_rejection_note_makes_another_report_and_sends_it() {
    let mut unit = Unit::new(NEVER);
    unit.settings.destination.get_mut("pacs").unwrap().rejection_notes = true;
    unit.start().await;
    unit.send(&four(false)).await;
    let jobs = unit.until_done(1).await;
    unit.kill().await;
    let first = unit.results(jobs[0].id).remove(0);
    let mut rows = unit.rows();
    let id = deliveries::list(&rows, None, 9).unwrap()[0].id;
    assert!(deliveries::delivered(&rows, id, 0, None, false, &now_utc()).unwrap());
    rows.execute("UPDATE results SET rejected = ?1", [report::rejection::Rejection::Quality.word()]).unwrap();
    unit.start().await;
    until("the note", || notes(&unit).len() == 1).await;
    unit.kill().await;
    for version in [2, 3] {
        let transaction = rows.transaction().unwrap();
        gather::again(&transaction, &unit.settings.analyze, STUDY).unwrap();
        transaction.commit().unwrap();
        unit.start().await;
        let jobs = unit.until_done(version).await;
        unit.kill().await;
        let made = unit.results(jobs[version - 1].id);
        assert_eq!(made.len(), 1, "the next rerun makes the same again, and not a third one");
        assert_ne!(made[0].sop_uid, first.sop_uid);
        let all = deliveries::list(&rows, None, 9).unwrap();
        let of = |uid: &str| all.iter().find(|row| row.sop_uid == uid).unwrap().state.clone();
        assert_eq!((of(&first.sop_uid).as_str(), of(&made[0].sop_uid).as_str()), ("delivered", "pending"));
        assert_eq!(all.len(), 3, "two reports and a note");
    }
    let rejected = "SELECT count(*) FROM results WHERE rejected IS NOT NULL";
    assert_eq!(rows.query_row(rejected, [], |row| row.get::<_, i64>(0)).unwrap(), 1, "the first one stays rejected");
}

/// A rerun makes the same object: what rotted is replaced by it, and what was parked for that is sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_rerun_replaces_a_report_whose_file_was_damaged() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    unit.send(&four(false)).await;
    let jobs = unit.until_done(1).await;
    unit.kill().await;
    let first = unit.results(jobs[0].id).remove(0);
    let path = unit.settings.spool.directory.join(&first.file);
    // As long as before: the start would find a shorter one.
    std::fs::write(&path, vec![7; usize::try_from(first.length).unwrap()]).unwrap();
    let mut rows = unit.rows();
    let id = deliveries::list(&rows, None, 9).unwrap()[0].id;
    assert!(deliveries::parked(&rows, id, None, deliveries::DAMAGED, &now_utc()).unwrap());
    let transaction = rows.transaction().unwrap();
    gather::again(&transaction, &unit.settings.analyze, STUDY).unwrap();
    transaction.commit().unwrap();
    unit.start().await;
    let jobs = unit.until_done(2).await;
    unit.kill().await;
    let now = unit.results(jobs[1].id).remove(0);
    assert_eq!((now.id, &now.sop_uid), (first.id, &first.sop_uid), "the same object");
    assert!(results::is_whole(&unit.settings.spool.directory.join(&now.file), &now.sha256), "{now:?}");
    let waits = deliveries::get(&unit.rows(), id).unwrap().unwrap();
    assert_eq!((waits.state.as_str(), waits.reason, &waits.sha256), (deliveries::PENDING, None, &now.sha256));
    unit.start().await;
    unit.kill().await;
    assert!(!path.exists(), "nobody keeps what was damaged");
    assert_eq!(unit.object(&now).len() as u64, now.length, "the next start leaves the new one");
}

/// Flips bits of an instance in the custody log.
fn flip(unit: &Unit, instance: &Instance) {
    let Location::Log { segment, offset, length } = instance.location else { panic!("it is small") };
    let path = unit.settings.spool.directory.join(format!("log/{segment:08}.seg"));
    let mut file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let at = SeekFrom::Start(offset + length - 4);
    let mut bytes = [0; 4];
    file.seek(at).unwrap();
    file.read_exact(&mut bytes).unwrap();
    file.seek(at).unwrap();
    file.write_all(&bytes.map(|byte| byte ^ 0x55)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_with_a_damaged_slice_is_refused_with_the_reason_until_it_is_sent_again() {
    let mut unit = Unit::new(NEVER);
    unit.works = false;
    unit.start().await;
    let images = slices(1, &[EVA, EVA, EVA]);
    unit.send(&images).await;
    unit.until_complete(1).await;
    unit.kill().await;
    let kept = instances::of_series(&unit.rows(), STUDY, &images[0].series).unwrap();
    flip(&unit, &kept[0]);
    unit.works = true;
    unit.start().await;
    let jobs = unit.until_done(1).await;
    let series = unit.series().remove(0);
    let verdict = series.verdict.unwrap();
    assert!(series.state == SeriesState::Refused && verdict.contains("damaged on this box's disk"), "{verdict}");
    let reports = unit.results(jobs[0].id);
    let names = |uid: &str| {
        let in_one = |row| unit.object(row).windows(uid.len()).any(|window| window == uid.as_bytes());
        reports.iter().any(in_one)
    };
    assert!(names(&images[1].instance), "the others are evidence");
    assert!(!names(&images[0].instance), "what is damaged is none");
    let said = verdicts(&unit).remove(0);
    assert!(said.starts_with("1 object damaged on this box's disk"), "{said}");

    unit.send(&images[..1]).await;
    unit.until_done(2).await;
    assert!(!unit.verdict().contains("damaged"), "{}", unit.verdict());
    unit.kill().await;
}

/// Nothing is left of the first series, so no job has it as a member, and nobody but the decision gave it a verdict.
#[tokio::test(flavor = "multi_thread")]
async fn a_corrected_mammogram_that_moves_to_another_series_stops_no_other_study() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    unit.send(&four(false)).await;
    unit.until_done(1).await;
    let moved = Mammogram { series: format!("{STUDY}.5"), ..four(false).remove(0) };
    unit.send(&[moved]).await;
    assert_eq!(decide(&mut unit, Choice::TakeNew).await.objects, 1);
    unit.until_done(2).await;
    unit.kill().await;
    unit.start().await;
    unit.send(&slices(6, &[EVA, EVA])).await;
    unit.until_done(3).await;
    let series = unit.series();
    let verdict = |at: usize| series[at].verdict.clone().unwrap_or_default();
    assert!(verdict(0).starts_with("its objects were sent again, corrected"), "{series:?}");
    assert_eq!(series[0].state, SeriesState::Refused);
    assert!((1..5).all(|at| verdict(at) == "mammography: 4 of 4 standard views"), "{series:?}");
    unit.kill().await;
}

/// As a version before this one left it: the series of which nothing counts is the anchor of the newest job, and has no verdict.
#[tokio::test(flavor = "multi_thread")]
async fn a_series_of_which_nothing_is_left_and_that_has_no_verdict_gets_it_at_the_next_start() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    unit.send(&four(false)).await;
    unit.until_done(1).await;
    unit.kill().await;
    unit.rows()
        .execute_batch(
            "UPDATE instances SET state = 'replaced' WHERE id = 1; DELETE FROM job_members WHERE instance_id = 1; \
             UPDATE series SET state = 'complete', verdict = NULL WHERE id = 1;",
        )
        .unwrap();
    unit.start().await;
    unit.send(&[mammogram(7, 7, "R", "CC")]).await;
    unit.until_done(2).await;
    let verdict = unit.series()[0].verdict.clone().unwrap();
    assert!(verdict.starts_with("its objects were sent again, corrected"), "{verdict}");
    unit.kill().await;
}

/// Each error of the database ended the story, which met it again when it was taken up.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_study_that_cannot_be_read_keep_nothing_from_another_and_are_told() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    unit.send(&four(false)[..1]).await;
    unit.until_complete(1).await;
    unit.kill().await;
    unit.rows().execute_batch("UPDATE instances SET header = '7'").unwrap();
    unit.start().await;
    unit.send(&slices(6, &[EVA, EVA])).await;
    unit.until_done(1).await;
    let series = unit.series().remove(0);
    let verdict = series.verdict.unwrap();
    assert!(series.state == SeriesState::Refused && verdict.contains("does not go together"), "{verdict}");
    unit.kill().await;
}

/// The worker may be quicker than the story, also when the story is told again after an error: what it has taken was not interrupted.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_this_process_has_begun_was_not_interrupted() {
    let mut unit = Unit::new(NEVER);
    unit.works = false;
    unit.settings.analyze.max_interruptions = 1;
    unit.start().await;
    unit.send(&slices(1, &[EVA, EVA])).await;
    until("the job to be queued", || !unit.jobs().is_empty()).await;
    assert!(jobs::claim(&mut unit.rows(), &now_utc()).unwrap().is_some());
    unit.tell_again().await;
    let job = unit.jobs().remove(0);
    assert_eq!((job.state.as_str(), job.interruptions), ("running", 0));
    // The process dies in it: that counts.
    unit.kill().await;
    unit.start().await;
    let job = unit.jobs().remove(0);
    assert_eq!((job.state.as_str(), job.interruptions), ("parked", 1));
    assert!(unit.verdict().contains("the process died 1 times"), "{}", unit.verdict());
    unit.kill().await;
}
