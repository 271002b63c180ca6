//! An exam from its first picture to the archive: clips, key images, segmentation and report arrive exactly once, also
//! when the box was killed in the middle.

use std::path::Path;
use std::time::Duration;

use hil_tests::appliance::Setup;
use hil_tests::deadline;
use hil_tests::pacs::{Pacs, Received};
use phantom::ultrasound::layout::Name;
use scanside_client::{Live, Options, Stats};

use crate::live_support::{WITHIN, proxy, record, said, watching_with};

const REPORT: &str = "1.2.840.10008.5.1.4.1.1.88.34";
const MULTI_FRAME: &str = "1.2.840.10008.5.1.4.1.1.3.1";
const IMAGE: &str = "1.2.840.10008.5.1.4.1.1.6.1";
const SEGMENTATION: &str = "1.2.840.10008.5.1.4.1.1.66.4";
const JPEG: &str = "1.2.840.10008.1.2.4.50";
const DELIVERED_WITHIN: Duration = Duration::from_secs(180);

fn patient(id: &'static str) -> Options<'static> {
    Options::from([("id", id.into()), ("name", "PHANTOM^EVA".into())])
}

/// The journals of the exams so far.
fn journal(spool: &Path) -> String {
    let folders = std::fs::read_dir(spool.join("exams")).into_iter().flatten().flatten();
    folders.map(|folder| std::fs::read_to_string(folder.path().join("journal.jsonl")).unwrap_or_default()).collect()
}

/// Waits until the report, which is sent last, is at the archive.
async fn delivered(pacs: &Pacs) -> Vec<Received> {
    let report = || pacs.received().iter().any(|one| one.sop_class_uid == REPORT);
    deadline::until_true("the report at the archive", DELIVERED_WITHIN, report).await.unwrap();
    pacs.received()
}

fn of(received: &[Received], class: &str) -> usize {
    received.iter().filter(|one| one.sop_class_uid == class).count()
}

fn setup(pacs: &Pacs) -> Setup {
    Setup { destinations: vec![("pacs".into(), pacs.ae_title.clone(), pacs.address)], ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_an_exam_reaches_the_archive_and_its_recording_goes() {
    let folder = tempfile::tempdir().unwrap();
    let pacs = Pacs::start("ARCHIVE", &folder.path().join("archive")).await.unwrap();
    let (video, _) = record(Name::A, folder.path());
    let (mut appliance, live) = watching_with(&video, "", setup(&pacs)).await;
    live.start_exam(patient("P1")).await.unwrap();
    let spool = appliance.spool();
    deadline::until_true("a lesion", WITHIN, || journal(&spool).contains("seen")).await.unwrap();
    let now = Live::read(&live).await.unwrap();
    assert_eq!((now.recording.as_str(), now.recording_reason), ("on", None));
    let recorded = async || (Stats::read(&live).await.unwrap().recorded >= 30).then_some(());
    deadline::until("thirty pictures on the disk", WITHIN, recorded).await.unwrap();
    live.mark().await.unwrap();
    deadline::until_true("the mark", WITHIN, || journal(&spool).contains("marked")).await.unwrap();
    live.stop_exam().await.unwrap();

    let received = delivered(&pacs).await;
    assert!(of(&received, MULTI_FRAME) >= 1 && of(&received, IMAGE) >= 2, "{received:?}");
    assert_eq!((of(&received, SEGMENTATION), of(&received, REPORT)), (1, 1));
    let images = received.iter().filter(|one| [MULTI_FRAME, IMAGE].contains(&one.sop_class_uid.as_str()));
    assert!(images.into_iter().all(|one| one.transfer_syntax_uid == JPEG), "no picture is compressed twice");
    let gone = || std::fs::read_dir(spool.join("exams")).unwrap().next().is_none();
    deadline::until_true("the recording to go", WITHIN, gone).await.unwrap();
    let figures = std::fs::read_dir(spool.join("results")).unwrap().flatten();
    let figures: Vec<_> = figures.map(|job| job.path().join("latency.json")).filter(|path| path.exists()).collect();
    let figures: serde_json::Value = serde_json::from_slice(&std::fs::read(&figures[0]).unwrap()).unwrap();
    assert!(figures["stats"]["pictures"].as_u64().unwrap() >= 25, "{figures}");
    assert!(said(&appliance, &["studies", "list"]).await.contains("breast ultrasound"));
    assert_eq!(Live::read(&live).await.unwrap().recording, "off");
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_an_exam_that_was_killed_reaches_the_archive_once() {
    let folder = tempfile::tempdir().unwrap();
    let pacs = Pacs::start("ARCHIVE", &folder.path().join("archive")).await.unwrap();
    let (video, _) = record(Name::B, folder.path());
    let (mut appliance, live) = watching_with(&video, "", setup(&pacs)).await;
    live.start_exam(patient("P2")).await.unwrap();
    let spool = appliance.spool();
    deadline::until_true("a lesion", WITHIN, || journal(&spool).contains("seen")).await.unwrap();
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();

    let received = delivered(&pacs).await;
    assert!(of(&received, MULTI_FRAME) >= 1 && of(&received, SEGMENTATION) == 1, "{received:?}");
    // No exam runs after that, and another start sends nothing again.
    let live = proxy(&appliance).await;
    assert!(Live::read(&live).await.unwrap().exam.is_none());
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    let mut uids: Vec<_> = pacs.received().into_iter().map(|one| one.sop_instance_uid).collect();
    let all = uids.len();
    uids.sort_unstable();
    uids.dedup();
    assert_eq!((uids.len(), all), (received.len(), received.len()));
    appliance.stop().await.unwrap();
}
