//! An exam from its first picture to the archive: clips, key images, segmentation and report arrive exactly once, also
//! when the box was killed in the middle.

use std::path::Path;
use std::time::Duration;

use hil_tests::appliance::Setup;
use hil_tests::deadline;
use hil_tests::pacs::{Pacs, Received};
use phantom::ultrasound::layout::Name;
use scanside_client::{Live, Options, Stats};

use crate::live_support::{WITHIN, proxy, record, refused, said, watching_with};

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

/// Whoever scans says where a lesion is; report, picture and book of lesions say it too.
#[tokio::test(flavor = "multi_thread")]
async fn replay_where_a_lesion_is_reaches_report_and_book() {
    let folder = tempfile::tempdir().unwrap();
    let pacs = Pacs::start("ARCHIVE", &folder.path().join("archive")).await.unwrap();
    let (video, _) = record(Name::A, folder.path());
    let (mut appliance, live) = watching_with(&video, "", setup(&pacs)).await;
    assert!(refused(&appliance, &["live", "side", "left"]).await.contains("no exam is running"));
    live.start_exam(patient("P3")).await.unwrap();
    assert!(said(&appliance, &["live", "side", "left"]).await.contains("left breast"));
    let spool = appliance.spool();
    let lesion = || {
        let journal = journal(&spool);
        let lines = journal.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.filter(|line| line["event"] == "seen").filter_map(|line| line["lesion"]["id"].as_u64()).next()
    };
    let lesion = deadline::until("a lesion", WITHIN, async || lesion()).await.unwrap().to_string();
    assert!(refused(&appliance, &["live", "place", "77", "--clock", "2"]).await.contains("no lesion 77"));
    let place = ["live", "place", &lesion, "--clock", "2", "--distance", "40"];
    assert!(said(&appliance, &place).await.contains("is placed"));
    let status = said(&appliance, &["live", "status"]).await;
    assert!(status.contains("left breast") && status.contains("2 o'clock, 40 mm from the nipple"), "{status}");
    deadline::until_true("the place", WITHIN, || journal(&spool).contains("\"place\"")).await.unwrap();
    live.stop_exam().await.unwrap();

    let received = delivered(&pacs).await;
    let report = received.iter().find(|one| one.sop_class_uid == REPORT).unwrap();
    let report = format!("{:?}", dicom_object::open_file(&report.path).unwrap());
    for code in ["129773009", "121242", "7771000"] {
        assert!(report.contains(code), "{code} is not in the report");
    }
    let images = received.iter().filter(|one| one.sop_class_uid == IMAGE);
    let sides = images.map(|one| {
        let image = dicom_object::open_file(&one.path).unwrap();
        image
            .element_by_name("ImageLaterality")
            .map_or_else(|_| String::new(), |side| side.to_str().unwrap().into_owned())
    });
    assert!(sides.into_iter().any(|side| side.trim() == "L"), "a picture of a lesion in the left breast");
    let listed = said(&appliance, &["lesions", "list"]).await;
    assert!(listed.contains("left, 2 o'clock, 40 mm from the nipple"), "{listed}");
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
