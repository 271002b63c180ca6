//! Tests of `heat`: with scripted sensors, with sensors that hang, and of the rows that are written.

use std::sync::mpsc;

use hal::sensors::scripted::{Scripted, Situation};
use hal::sensors::{Description, Zone};

use super::*;

const LOOK: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(30);

async fn until(told: &mut Told, what: &str, is: impl Fn(&Report) -> bool) -> Report {
    let waited = tokio::time::timeout(LONG, told.wait_for(|report| is(report))).await;
    waited.unwrap_or_else(|_| panic!("never {what}")).unwrap().clone()
}

#[tokio::test]
async fn what_the_sensors_say_is_told_without_being_asked() {
    let (device, (told, mut reports)) = (Scripted::showing(Situation::Cool), channel());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(run(Some(Box::new(device.clone())), LOOK, told, shutdown.clone()));
    let report = until(&mut reports, "normal", |report| report.condition == Condition::Normal).await;
    assert_eq!((report.words(), report.readings.watts()), (Words::default(), Some(11.5)));
    device.show(Situation::Hot);
    let report = until(&mut reports, "hot", |report| report.condition == Condition::Hot).await;
    assert!(report.words().en.contains("94 °C"), "{:?}", report.words());
    device.show(Situation::Throttled);
    until(&mut reports, "throttled", |report| report.cause == Some(Cause::Heat)).await;
    device.show(Situation::Gone);
    until(&mut reports, "unknown", |report| report.condition == Condition::Unknown).await;
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_box_without_sensors_only_waits() {
    let ((told, reports), shutdown) = (channel(), CancellationToken::new());
    let task = tokio::spawn(run(None, LOOK, told, shutdown.clone()));
    shutdown.cancel();
    task.await.unwrap();
    assert_eq!(*reports.borrow(), Report::default());
}

/// Reads only when it is let.
#[derive(Debug)]
struct Stuck {
    begun: tokio::sync::mpsc::UnboundedSender<()>,
    may: mpsc::Receiver<()>,
}

impl Sensors for Stuck {
    fn describe(&self) -> Description {
        Description { driver: "stuck", simulated: true }
    }

    fn read(&mut self) -> Readings {
        let _ = self.begun.send(());
        let _ = self.may.recv();
        let zone = Zone { name: "cpu".into(), celsius: 40.0, ..Zone::default() };
        Readings { zones: vec![zone], ..Readings::default() }
    }
}

/// The patience is paused time: only waiting takes none.
#[tokio::test(start_paused = true)]
async fn sensors_that_hang_hold_up_nobody_and_are_never_asked_twice() {
    let (begun, mut reads) = tokio::sync::mpsc::unbounded_channel();
    let (let_it, may) = mpsc::channel();
    let ((told, mut reports), shutdown) = (channel(), CancellationToken::new());
    let device = Box::new(Stuck { begun, may });
    let task = tokio::spawn(run(Some(device), Duration::from_secs(5), told, shutdown.clone()));
    reads.recv().await.unwrap();
    until(&mut reports, "looked", |report| report.looked).await;
    assert_eq!(reports.borrow().condition, Condition::Unknown);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(reads.try_recv().is_err(), "it hangs in the first read for ten minutes");
    for _ in 0..100 {
        let_it.send(()).unwrap();
    }
    // The thread runs by the real clock: the paused one must stand while it answers.
    tokio::time::resume();
    until(&mut reports, "normal", |report| report.condition == Condition::Normal).await;
    shutdown.cancel();
    tokio::time::timeout(LONG, task).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_sensors_that_hang() {
    let (begun, mut reads) = tokio::sync::mpsc::unbounded_channel();
    let (_let_it, may) = mpsc::channel();
    let ((told, _reports), shutdown) = (channel(), CancellationToken::new());
    let task = tokio::spawn(run(Some(Box::new(Stuck { begun, may })), LOOK, told, shutdown.clone()));
    reads.recv().await.unwrap();
    shutdown.cancel();
    tokio::time::timeout(Duration::from_millis(1), task).await.unwrap().unwrap();
}

fn report(condition: Condition) -> Report {
    Report { condition, looked: true, ..Report::default() }
}

#[tokio::test]
async fn each_change_becomes_a_row_and_a_start_in_peace_none() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("db")).unwrap();
    let ((told, reports), noted) = (channel(), Noted::default());
    let rows = || {
        let connection = store.connect(Durability::Rebuildable).unwrap();
        let all = events::latest(&connection, 100).unwrap();
        let mut words: Vec<String> =
            all.into_iter().filter(|row| row.subject == "machine").map(|row| row.what).collect();
        words.reverse();
        words
    };
    let mut running: Option<(CancellationToken, tokio::task::JoinHandle<Result<(), std::convert::Infallible>>)> = None;
    let mut wanted: Vec<&str> = Vec::new();
    for (condition, row, reopened) in [
        (Condition::Normal, None, false),
        (Condition::Hot, Some("hot"), false),
        (Condition::Throttled, Some("throttled"), true),
        (Condition::Throttled, None, true),
        (Condition::Normal, Some("neither hot nor throttled"), false),
        (Condition::Unknown, Some("no sensor answers"), false),
    ] {
        if let Some((end, task)) = running.take_if(|_| reopened) {
            end.cancel();
            task.await.unwrap().unwrap();
        }
        told.send_replace(report(condition));
        if running.is_none() {
            let end = CancellationToken::new();
            let task = tokio::spawn(note(store.clone(), noted.clone(), reports.clone(), end.clone()));
            running = Some((end, task));
        }
        wanted.extend(row);
        let all = async {
            while noted.0.lock().unwrap().condition != condition || !noted.0.lock().unwrap().looked {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, all).await.unwrap();
        assert_eq!(rows(), wanted, "after {condition:?}");
    }
    let (end, task) = running.unwrap();
    end.cancel();
    task.await.unwrap().unwrap();
}

#[test]
fn heat_at_the_first_look_is_news_and_peace_is_not() {
    let before = Report::default();
    assert!(changed(&before, &report(Condition::Hot)) && !changed(&before, &report(Condition::Normal)));
    assert!(!changed(&report(Condition::Hot), &report(Condition::Hot)));
    let hungry = Report { cause: Some(Cause::Power), ..report(Condition::Throttled) };
    assert!(changed(&report(Condition::Throttled), &hungry), "another cause has another remedy");
}
