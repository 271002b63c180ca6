//! A task of the whole study over its real parts: mammograms arrive in any arrangement, at any time, with a kill in between.

use std::time::Duration;

use custody::series::SeriesState;
use custody::store::lists::{self, Wanted};
use custody::store::{deliveries, events, members};

use super::identity::ADA;
use super::mammography_support::{EVA, FOR_PROCESSING, Mammogram, NEVER, Unit, four, mammogram, until};

const COMPLETE: &str = "mammography: 4 of 4 standard views";

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn four_views_in_four_series_are_one_job_one_report_and_one_verdict() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    unit.send(&four(false)).await;
    let jobs = unit.until_done(1).await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(unit.verdict(), COMPLETE);
    let series = unit.series();
    assert_eq!(series.len(), 4);
    for row in &series {
        assert_eq!((row.state, row.version), (SeriesState::Processed, 1), "{row:?}");
    }
    assert_eq!(members::of_job(&unit.rows(), jobs[0].id).unwrap().len(), 4);

    let results = unit.results(jobs[0].id);
    let [report] = results.as_slice() else { panic!("{results:?}") };
    let bytes = unit.object(report);
    for text in [COMPLETE, "NOT FOR DIAGNOSIS", "PHANTOM^EVA"] {
        assert!(contains(&bytes, text), "{text}");
    }
    for row in &series {
        assert!(contains(&bytes, &row.key.series_uid), "the evidence names every series");
    }
    assert_eq!(deliveries::list(&unit.rows(), None, 10).unwrap().len(), 1, "it is on its way");
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_views_in_one_series_with_a_repeat_and_raw_images_are_told_apart() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    let mut images = four(true);
    images.push(mammogram(5, 1, "R", "CC"));
    let mut raw = mammogram(6, 1, "L", "CC");
    raw.class = FOR_PROCESSING;
    images.push(raw);
    unit.send(&images).await;
    let jobs = unit.until_done(1).await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(unit.verdict(), format!("{COMPLETE}; 2 images of right CC, the last is taken"));
    assert_eq!(unit.results(jobs[0].id).len(), 1);
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_view_is_named_once_the_study_is_closed_and_a_late_one_makes_a_new_version() {
    let mut unit = Unit::new(0.5);
    unit.start().await;
    let images = four(false);
    unit.send(&images[..3]).await;
    let first = unit.until_done(1).await;
    assert_eq!(unit.verdict(), "mammography: 3 of 4 standard views, left MLO is missing");

    unit.send(&images[3..]).await;
    unit.until_done(2).await;
    assert_eq!(unit.verdict(), COMPLETE);
    assert!(unit.series().iter().all(|row| row.state == SeriesState::Processed));
    let jobs = unit.jobs();
    assert_eq!((jobs.len(), jobs[0].id), (2, first[0].id));
    assert_eq!((jobs[0].series_id, jobs[0].version), (jobs[1].series_id, 1), "anchored at the same series");
    assert_eq!(jobs[1].version, 2);
    let (old, new) = (unit.results(jobs[0].id), unit.results(jobs[1].id));
    assert_eq!((old.len(), new.len()), (1, 1), "one result set for each version");
    assert_ne!(old[0].sop_uid, new[0].sop_uid);
    let pending: Vec<_> = deliveries::list(&unit.rows(), None, 10).unwrap();
    let open: Vec<_> = pending.iter().filter(|delivery| delivery.state == deliveries::PENDING).collect();
    assert_eq!(open.len(), 1, "the older report need not leave any more: {pending:?}");
    unit.kill().await;
}

/// How many parts a view has is said nowhere, so no number of them is the view.
#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_view_are_waited_for_named_and_never_stand_for_it_and_a_whole_one_takes_its_place() {
    let mut unit = Unit::new(0.5);
    unit.start().await;
    let mut images = four(true);
    images[3].part = true;
    images.push(Mammogram { part: true, ..mammogram(5, 1, "L", "MLO") });
    images.push(Mammogram { part: true, ..mammogram(6, 1, "R", "CC") });
    unit.send(&images).await;
    unit.until_done(1).await;
    let beside = "1 image of a part of right CC beside the whole one";
    let parts = "left MLO is there in parts only (2 images)";
    assert_eq!(unit.verdict(), format!("mammography: 3 of 4 standard views; {parts}; {beside}"));
    let report = unit.object(&unit.results(unit.jobs()[0].id)[0]);
    assert!(contains(&report, "MGINPARTS"), "neither there nor absent");

    unit.send(&[mammogram(7, 2, "L", "MLO")]).await;
    unit.until_done(2).await;
    let both = "2 images of parts of left MLO beside the whole one";
    assert_eq!(unit.verdict(), format!("{COMPLETE}; {beside}; {both}"));
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mammography_in_parts_only_is_reported_as_such() {
    let mut unit = Unit::new(0.2);
    unit.start().await;
    unit.send(&[Mammogram { part: true, ..mammogram(1, 1, "L", "CC") }]).await;
    unit.until_done(1).await;
    let missing = "0 of 4 standard views, right CC, right MLO and left MLO are missing";
    assert_eq!(unit.verdict(), format!("mammography: {missing}; left CC is there in parts only (1 image)"));
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_image_of_a_series_makes_a_new_version_of_the_study() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    unit.send(&four(true)).await;
    unit.until_done(1).await;
    unit.send(&[mammogram(5, 1, "L", "MLO")]).await;
    let jobs = unit.until_done(2).await;
    assert_eq!(jobs.iter().map(|job| job.version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(unit.verdict(), format!("{COMPLETE}; 2 images of left MLO, the last is taken"));
    assert_eq!(members::of_job(&unit.rows(), jobs[1].id).unwrap().len(), 5);
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_that_was_waited_for_is_waited_for_after_a_kill() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    let images = four(false);
    unit.send(&images[..2]).await;
    unit.until_complete(2).await;
    unit.kill().await;
    assert!(unit.jobs().is_empty());
    assert!(unit.series().iter().all(|row| row.state == SeriesState::Complete && row.verdict.is_none()));

    unit.start().await;
    unit.send(&images[2..]).await;
    let jobs = unit.until_done(1).await;
    assert_eq!((jobs.len(), unit.verdict().as_str()), (1, COMPLETE));
    unit.kill().await;

    // Once more: there is nothing to do again.
    unit.start().await;
    unit.send(&[mammogram(9, 1, "R", "CC")]).await;
    let jobs = unit.until_done(2).await;
    assert_eq!(jobs.len(), 2, "one for the study, one for the late image, none for the restart");
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_that_was_incomplete_when_it_was_killed_gets_its_verdict_afterwards() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    unit.send(&four(false)[1..2]).await;
    unit.until_complete(1).await;
    unit.kill().await;
    unit.settings.study.quiet_secs = 0.1;
    unit.start().await;
    unit.until_done(1).await;
    let missing = "mammography: 1 of 4 standard views, right CC, right MLO and left MLO are missing";
    assert_eq!(unit.verdict(), missing);
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_queued_when_it_was_killed_is_done_once() {
    let mut unit = Unit::new(NEVER);
    unit.works = false;
    unit.start().await;
    unit.send(&four(false)).await;
    until("the job to be queued", || !unit.jobs().is_empty()).await;
    unit.kill().await;
    unit.works = true;
    unit.start().await;
    let jobs = unit.until_done(1).await;
    assert_eq!((jobs.len(), unit.results(jobs[0].id).len()), (1, 1));
    assert_eq!(unit.verdict(), COMPLETE);
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_instant_the_study_ends_with_one_report_for_each_version() {
    let mut unit = Unit::new(0.3);
    let images = four(false);
    // From before a series is complete (20 ms after its association) to after the study is closed.
    for (round, milliseconds) in [0, 15, 30, 60, 120, 250, 400, 700].into_iter().enumerate() {
        unit.start().await;
        unit.send(&images[..=round % 4]).await;
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        unit.kill().await;
    }
    unit.start().await;
    until("the last word", || {
        let open = unit.jobs().iter().any(|job| matches!(job.state.as_str(), "queued" | "running"));
        let verdict = |row: &custody::store::series::SeriesRow| row.verdict.as_deref() == Some(COMPLETE);
        !open && unit.series().len() == 4 && unit.series().iter().all(verdict)
    })
    .await;
    for job in unit.jobs() {
        let results = unit.results(job.id).len();
        match job.state.as_str() {
            "done" => assert_eq!(results, 1, "{job:?}"),
            "superseded" => assert!(results <= 1, "{job:?}"),
            _ => panic!("{job:?}"),
        }
    }
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mammography_without_any_standard_view_gets_a_verdict_and_no_report() {
    let mut unit = Unit::new(0.1);
    unit.start().await;
    unit.send(&[mammogram(1, 1, "L", "ML")]).await;
    let told = || unit.series().first().is_some_and(|row| row.verdict.is_some());
    until("a verdict", told).await;
    assert_eq!(unit.verdict(), "kept, not analysed: no image shows a standard view of a mammography");
    assert!(unit.jobs().is_empty());
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_task_a_mammography_has_its_verdict_at_once_also_one_that_was_waited_for() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    unit.send(&four(false)[..1]).await;
    unit.until_complete(1).await;
    unit.kill().await;
    unit.settings.analyze.mammography_views = false;
    unit.start().await;
    unit.send(&four(false)[1..2]).await;
    let told = || unit.series().len() == 2 && unit.series().iter().all(|row| row.verdict.is_some());
    until("a verdict of both", told).await;
    assert_eq!(unit.verdict(), "kept, not analysed: no task for mammography is switched on");
    assert!(unit.jobs().is_empty());
    unit.kill().await;
}

/// What the box itself asks for: a damaged or evicted image is sent again. It counts once, and so does its patient.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_evicted_or_damaged_and_comes_again_counts_once_and_under_its_patient_of_now() {
    const ONE: &str = "UPDATE instances SET state = 'damaged' WHERE id = 1";
    const ALL: &str = "UPDATE instances SET state = 'evicted', reason = 'finished and delivered'; \
                       UPDATE series SET state = 'evicted'";
    for (lost, again, patient) in [(ONE, 1, EVA), (ALL, 4, EVA), (ALL, 4, ADA)] {
        let mut unit = Unit::new(NEVER);
        unit.start().await;
        unit.send(&four(false)).await;
        unit.until_done(1).await;
        unit.rows().execute_batch(lost).unwrap();
        let images: Vec<_> = four(false).into_iter().take(again).map(|image| Mammogram { patient, ..image }).collect();
        unit.send(&images).await;
        let jobs = unit.until_done(2).await;
        assert_eq!(unit.verdict(), COMPLETE, "{lost} {patient:?}");
        assert_eq!(members::of_job(&unit.rows(), jobs[1].id).unwrap().len(), 4, "{lost}");
        assert!(contains(&unit.object(&unit.results(jobs[1].id)[0]), patient[1]));
        let listed = lists::studies(&unit.rows(), &Wanted { limit: 1, ..Wanted::default() }).unwrap().remove(0);
        let told = listed.verdicts[0].starts_with("4 objects came again as another patient's");
        assert_eq!(told, patient == ADA, "{:?}", listed.verdicts);
        let events = events::latest(&unit.rows(), 99).unwrap();
        assert_eq!(events.iter().filter(|event| event.what == "another patient").count(), if told { 4 } else { 0 });
        unit.kill().await;
    }
}
