//! The whole live path on a synthetic device, a scripted model and a clock that moves when told: each trouble, its
//! sign, and the way back. Nothing waits for time to pass; timeouts only end a test that hangs.

mod bench;

use std::sync::atomic::Ordering;
use std::time::Duration;

use dicom::patient::Patient;
use hal::fault::Fault;

use self::bench::{Bench, DEADLINE, Script};
use crate::view::{CommandError, ExamError, Sign};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_the_overlay_is_that_of_the_newest_picture() {
    let mut bench = Bench::new();
    bench.until(|status| status.sign == Sign::Ready).await;
    for _ in 0..3 {
        bench.overlay().await;
    }
    for _ in 0..5 {
        let overlay = bench.overlay().await;
        let [lesion] = overlay.lesions.as_slice() else { panic!("{overlay:?}") };
        assert_eq!(lesion.id, 1);
        assert_eq!(lesion.descriptors.len(), 5);
        let [left, top, right, bottom] = lesion.bounds;
        assert!(left > 40.0 && right < 88.0 && top > 16.0 && bottom < 96.0, "{:?}", lesion.bounds);
        let [long, across] = lesion.size_mm.unwrap();
        let (width, height) = ((right - left) * 0.5, (bottom - top) * 0.5);
        assert!(long >= width && long <= width.hypot(height) && across <= long, "{long} {across}");
    }
    let status = bench.status();
    assert_eq!(status.sign, Sign::Ready);
    assert_eq!((status.model.as_str(), status.mark.as_deref()), ("us-breast 0.1.0", Some("not for diagnosis")));
    assert_eq!((status.profile.as_str(), status.source.as_str(), status.size), ("one", "synthetic", [128, 96]));
    assert!(status.simulated && status.exam.is_none());
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_no_picture_is_lost_while_the_model_hangs_and_the_overlay_comes_back() {
    let mut bench = Bench::new();
    bench.until(|status| status.sign == Sign::Ready).await;
    bench.hang();
    let begin = bench.frame();
    // Ten seconds at 30 pictures a second.
    for i in 1..=300 {
        assert_eq!(bench.frame(), begin + i);
    }
    let Sign::NoOverlay { reason } = bench.status().sign.clone() else { panic!("{:?}", bench.status()) };
    assert!(reason.contains("slow"), "{reason}");
    assert!(bench.view.overlay.borrow().lesions.is_empty(), "no outline of an old picture stays");
    bench.model.release();
    bench.until(|status| status.sign == Sign::Ready).await;
    let stats = bench.stats().await;
    assert_eq!(stats.lost, 0);
    assert!(stats.pictures > 300 && stats.inferred >= 2, "{stats:?}");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_late_overlays_are_not_shown() {
    let mut bench = Bench::new();
    bench.until(|status| status.sign == Sign::Ready).await;
    bench.script(Script::Slow(DEADLINE * 2));
    bench.until(|status| matches!(&status.sign, Sign::NoOverlay { reason } if reason.contains("later than"))).await;
    let last = bench.view.overlay.borrow().clone();
    assert!(last.lesions.is_empty());
    for _ in 0..10 {
        bench.frame();
        assert_eq!(*bench.view.overlay.borrow(), last);
    }
    bench.script(Script::Good);
    bench.until(|status| status.sign == Sign::Ready).await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_a_model_that_is_missing_crashes_or_talks_nonsense_costs_the_overlay_only() {
    for (script, word) in [
        (Script::Missing, "no usable model package"),
        (Script::Nan, "no probability"),
        (Script::Panics, "crashed: on demand"),
        (Script::Fails, "failed on demand"),
        (Script::Misshapen, "was due"),
    ] {
        let mut bench = Bench::new();
        bench.until(|status| status.sign == Sign::Ready).await;
        bench.script(script);
        bench.until(|status| matches!(&status.sign, Sign::NoOverlay { reason } if reason.contains(word))).await;
        assert!(bench.view.overlay.borrow().lesions.is_empty());
        let before = bench.frame();
        for i in 1..=30 {
            assert_eq!(bench.frame(), before + i, "the pictures go on: {word}");
        }
        bench.script(Script::Good);
        bench.until(|status| status.sign == Sign::Ready).await;
        assert!(!bench.status().model.is_empty());
        bench.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_a_model_that_is_missing_from_the_start_is_taken_when_it_comes() {
    let mut bench = Bench::new();
    bench.script(Script::Missing);
    bench.until(|status| matches!(&status.sign, Sign::NoOverlay { reason } if reason.contains("package"))).await;
    assert_eq!(bench.status().model, "");
    bench.script(Script::Good);
    bench.until(|status| status.sign == Sign::Ready).await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_a_pulled_cable_and_a_lost_signal_are_said_and_heal() {
    for (fault, word) in
        [(Fault::Unplug, "not connected"), (Fault::NoSignal, "nothing arrives"), (Fault::Stuck, "nothing")]
    {
        let mut bench = Bench::new();
        bench.until(|status| status.sign == Sign::Ready).await;
        bench.faults.now(fault);
        bench.until(|status| matches!(&status.sign, Sign::NoSignal { reason } if reason.contains(word))).await;
        assert!(bench.view.pictures.borrow().is_none(), "an old picture must not be taken for a new one");
        assert!(bench.view.overlay.borrow().lesions.is_empty());
        bench.faults.heal();
        bench.until(|status| status.sign == Sign::Ready).await;
        assert!(bench.view.pictures.borrow().is_some());
        bench.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_another_resolution_is_another_profile() {
    let mut bench = Bench::new();
    bench.until(|status| status.sign == Sign::Ready).await;
    bench.faults.now(Fault::SourceChange { width: 160, height: 120 });
    bench.until(|status| status.sign == Sign::Ready && status.profile == "two").await;
    assert_eq!(bench.status().size, [160, 120]);
    bench.faults.now(Fault::SourceChange { width: 200, height: 100 });
    bench.until(|status| matches!(&status.sign, Sign::NoOverlay { reason } if reason.contains("200x100"))).await;
    assert_eq!(bench.status().profile, "");
    bench.faults.now(Fault::SourceChange { width: 128, height: 96 });
    bench.until(|status| status.sign == Sign::Ready && status.profile == "one").await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_a_picture_that_stands_still_is_a_pause() {
    let mut bench = Bench::freezable();
    bench.until(|status| status.sign == Sign::Ready).await;
    bench.freeze_scanner(true);
    bench.until(|status| matches!(&status.sign, Sign::Paused { reason } if reason.contains("scanner"))).await;
    let runs = bench.model.runs();
    for _ in 0..30 {
        bench.frame();
    }
    assert_eq!(bench.model.runs(), runs, "nothing new to look at");
    bench.freeze_scanner(false);
    bench.until(|status| status.sign == Sign::Ready).await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_after_a_freeze_of_the_scanner_only_the_same_lesion_has_the_same_number() {
    for (elsewhere, script, expected) in
        [(false, Script::Good, 1), (true, Script::Good, 1), (true, Script::Other, 2), (false, Script::Other, 1)]
    {
        let mut bench = Bench::freezable();
        bench.until(|status| status.sign == Sign::Ready).await;
        while bench.overlay().await.lesions.is_empty() {}
        bench.freeze_scanner(true);
        bench.until(|status| matches!(&status.sign, Sign::Paused { .. })).await;
        bench.script(script);
        bench.elsewhere.store(elsewhere, Ordering::SeqCst);
        bench.freeze_scanner(false);
        bench.until(|status| status.sign == Sign::Ready).await;
        let mut shown = bench.overlay().await;
        while shown.lesions.is_empty() {
            shown = bench.overlay().await;
        }
        let numbers: Vec<u32> = shown.lesions.iter().map(|lesion| lesion.id).collect();
        assert_eq!(numbers, [expected], "elsewhere: {elsewhere}, {script:?}");
        bench.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_a_user_freezes_the_page_and_the_device_goes_on() {
    let mut bench = Bench::new();
    let refused = bench.freeze(true).await.unwrap_err();
    assert!(matches!(refused, CommandError::Freeze(_)), "there is nothing to freeze yet");
    assert!(refused.to_string().contains("no signal"), "{refused}");
    bench.until(|status| status.sign == Sign::Ready).await;
    assert_eq!(bench.freeze(true).await, Ok("frozen".into()));
    assert_eq!(bench.freeze(true).await, Ok("already frozen".into()));
    let shown = bench.view.pictures.borrow().as_ref().unwrap().sequence;
    (0..10).for_each(|_| bench.step());
    assert_eq!(bench.view.pictures.borrow().as_ref().unwrap().sequence, shown);
    assert!(matches!(&bench.status().sign, Sign::Paused { reason } if reason.contains("user")));
    assert_eq!(bench.freeze(false).await, Ok("live again".into()));
    assert_eq!(bench.freeze(false).await, Ok("the picture is live already".into()));
    assert!(bench.frame() > shown + 10, "what was missed is not shown afterwards");
    bench.until(|status| status.sign == Sign::Ready).await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_an_exam_belongs_to_one_patient_and_begins_numbers_anew() {
    let patient = |id: &str| Patient { id: id.into(), name: format!("PHANTOM^{id}"), ..Patient::default() };
    let mut bench = Bench::new();
    bench.until(|status| status.sign == Sign::Ready).await;
    (0..3).for_each(|_| bench.step());
    assert_eq!(bench.mark().await, Err(ExamError::NoExam.into()));
    assert_eq!(bench.start(patient("7")).await, Ok("the exam has begun".into()));
    assert_eq!(bench.start(patient("7")).await, Ok("the exam of this patient is already running".into()));
    assert_eq!(bench.start(patient("8")).await, Err(ExamError::OtherPatient.into()));
    bench.mark().await.unwrap();
    let exam = bench.status().exam.clone().unwrap();
    assert_eq!((exam.patient.id.as_str(), exam.marks), ("7", 1));
    assert!(exam.study_uid.starts_with("2.25.") && !exam.started_utc.is_empty());
    assert_eq!(bench.stop().await, Ok("the exam has ended".into()));
    assert_eq!(bench.stop().await, Ok("no exam is running".into()));
    assert!(bench.status().exam.is_none());
    let mut shown = Vec::new();
    while shown.is_empty() {
        shown = bench.overlay().await.lesions.clone();
    }
    assert_eq!(shown[0].id, 1);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_what_makes_the_runs_is_told_when_it_changes_in_the_middle() {
    let mut bench = Bench::new();
    bench.until(|status| status.sign == Sign::Ready).await;
    let on = |bench: &Bench| bench.status().made_by.as_ref().map(|by| by.accelerator.clone());
    bench.overlay().await;
    assert_eq!(on(&bench).as_deref(), Some("scripted"));
    *bench.runs_on.lock().unwrap() = "cpu, after the GPU was lost".to_owned();
    bench.overlay().await;
    assert_eq!(on(&bench).as_deref(), Some("cpu, after the GPU was lost"));
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_damaged_pictures_are_skipped_and_the_model_stays_loaded() {
    let mut bench = Bench::new();
    bench.until(|status| status.sign == Sign::Ready).await;
    let loads = bench.loads.load(Ordering::SeqCst);
    bench.damage.store(true, Ordering::SeqCst);
    bench.until(|status| matches!(&status.sign, Sign::NoOverlay { reason } if reason.contains("cannot be read"))).await;
    assert!(bench.view.overlay.borrow().lesions.is_empty());
    assert!(!bench.status().model.is_empty(), "the model is not to blame");
    bench.damage.store(false, Ordering::SeqCst);
    bench.until(|status| status.sign == Sign::Ready).await;
    assert_eq!(bench.loads.load(Ordering::SeqCst), loads);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_a_grabber_that_sends_pictures_of_nothing_has_no_signal() {
    let mut bench = Bench::freezable();
    bench.until(|status| status.sign == Sign::Ready).await;
    bench.black.store(true, Ordering::SeqCst);
    bench.until(|status| matches!(&status.sign, Sign::NoSignal { reason } if reason.contains("one colour"))).await;
    assert!(bench.view.pictures.borrow().is_none());
    for _ in 0..300 {
        bench.step();
        assert!(matches!(bench.status().sign, Sign::NoSignal { .. }), "so that the exam ends: {:?}", bench.status());
    }
    bench.black.store(false, Ordering::SeqCst);
    bench.until(|status| status.sign == Sign::Ready).await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sim_a_driver_call_that_does_not_return_is_no_signal() {
    let mut bench = Bench::new();
    bench.until(|status| status.sign == Sign::Ready).await;
    // The device is asked for a picture and does not answer before the next turn.
    bench.clock.advance(Duration::from_secs(60));
    let dark = |status: &std::sync::Arc<crate::view::Status>| matches!(&status.sign, Sign::NoSignal { reason } if reason.contains("driver does not answer"));
    let said = tokio::time::timeout(Duration::from_secs(60), bench.view.status.wait_for(dark)).await.is_ok();
    assert!(said, "{:?}", bench.status());
    assert!(bench.view.pictures.borrow().is_none(), "no old picture stays");
    bench.until(|status| status.sign == Sign::Ready).await;
    bench.end().await;
}
