//! A chest CT arrives, its prior is at an archive and not here: the box asks, fetches, reads and compares; and when it cannot, the new
//! study is read in time and says why. The archives are ones that nobody here wrote: Orthanc and pynetdicom.

use std::path::Path;
use std::time::{Duration, Instant};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use hil_tests::appliance::{Appliance, Setup};
use hil_tests::modality::Modality;
use hil_tests::pacs::Pacs;
use hil_tests::part10::Instance;
use hil_tests::{deadline, tools};
use phantom::{Options, Phantom};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::commitment_kills::pynetdicom;
use crate::orthanc_box::orthanc::Orthanc;
use crate::support::Records;

#[allow(dead_code, clippy::expect_used, reason = "shared with the tests of the node")]
#[path = "../../../daemon/node/tests/it/archive.rs"]
mod archive;

mod fixtures {
    pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);
}

use archive::ArchivePeer;

const WITHIN: Duration = Duration::from_secs(240);

/// One person's scan of this day.
struct Scan {
    study_uid: String,
    instances: Vec<Instance>,
    /// Without the localiser, which is not fetched.
    slices: Vec<Instance>,
    part10: Vec<Vec<u8>>,
}

fn scan(seed: u64, name: &str, date: &str) -> Scan {
    // The whole of both lungs, or nothing is compared.
    let whole = Options { columns: 128, rows: 128, pixel_mm: 2.96, slices: 132, slice_mm: 2.5, ..Options::default() };
    let (study, _) = Phantom::chest(seed, &whole).unwrap();
    let (mut study_uid, mut is_slice) = (String::new(), Vec::new());
    let dressed = study.instances.iter().map(|one| {
        let mut object = dicom_object::from_reader(one.part10.as_slice()).unwrap();
        for (tag, vr, value) in [
            (tags::PATIENT_ID, VR::LO, "P-4711"),
            (tags::PATIENT_NAME, VR::PN, name),
            (tags::PATIENT_BIRTH_DATE, VR::DA, "19600229"),
            (tags::PATIENT_SEX, VR::CS, "M"),
            (tags::STUDY_DATE, VR::DA, date),
        ] {
            object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        }
        study_uid =
            object.element(tags::STUDY_INSTANCE_UID).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned();
        let kind = object.element(tags::IMAGE_TYPE).unwrap().to_str().unwrap().into_owned();
        is_slice.push(!kind.contains("LOCALIZER"));
        let mut bytes = Vec::new();
        object.write_all(&mut bytes).unwrap();
        bytes
    });
    let part10: Vec<Vec<u8>> = dressed.collect();
    let instances: Vec<_> = part10.iter().map(|bytes| Instance::from_part10(bytes).unwrap()).collect();
    let slices = instances.iter().zip(is_slice).filter(|(_, slice)| *slice).map(|(one, _)| one.clone()).collect();
    Scan { study_uid, instances, slices, part10 }
}

fn prior() -> Scan {
    scan(11, "Zhang^San", "20250301")
}

fn new() -> Scan {
    scan(7, "Zhang^San", "20260301")
}

fn files(scan: &Scan, folder: &Path) {
    for (number, bytes) in scan.part10.iter().enumerate() {
        std::fs::write(folder.join(format!("{number}.dcm")), bytes).unwrap();
    }
}

fn asking(port: u16, title: &str, budget_secs: u32) -> String {
    format!(
        "[prior]\naddress = \"127.0.0.1:{port}\"\nae_title = \"{title}\"\nbudget_secs = {budget_secs}\nretry_secs = 0.5\n\
         retry_max_secs = 2.0\n[[dicom.sender]]\nae_title = \"CT\"\n"
    )
}

async fn send(appliance: &Appliance, scan: &Scan) {
    Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(&scan.instances, |_, _| {}).await.unwrap();
}

fn rows(appliance: &Appliance) -> Connection {
    let connection = Connection::open(appliance.database()).unwrap();
    connection.pragma_update(None, "query_only", true).unwrap();
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    connection
}

/// Verdict of the series of a study that has one.
fn verdict(appliance: &Appliance, study: &str) -> Option<String> {
    let series = Records::open(appliance).unwrap().series().unwrap();
    series.into_iter().find(|one| one.study_uid == study && one.state == "processed").and_then(|one| one.verdict)
}

async fn read(appliance: &Appliance, study: &str) -> String {
    let read = async || verdict(appliance, study);
    deadline::until("the new study is read", WITHIN, read).await.unwrap_or_else(|error| {
        panic!("{error}\n{:?}\n{}", Records::open(appliance).unwrap().series(), appliance.log_tail())
    })
}

/// Which study it was compared with.
fn compared_with(appliance: &Appliance, study: &str) -> Option<String> {
    let sql = "SELECT json_extract(j.findings, '$.comparison.prior_study_uid') FROM jobs j JOIN series s ON s.id = j.series_id \
               WHERE s.study_uid = ?1 AND j.state = 'done' ORDER BY j.id DESC LIMIT 1";
    rows(appliance).query_row(sql, [study], |row| row.get(0)).unwrap()
}

/// State and reason of the question of a study.
fn question(appliance: &Appliance, study: &str) -> Option<(String, String)> {
    let sql = "SELECT state, reason FROM prior_questions WHERE study_uid = ?1";
    rows(appliance).query_row(sql, [study], |row| Ok((row.get(0)?, row.get(1)?))).ok()
}

async fn ctl(appliance: &Appliance, arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::new(tools::our_binary("scansidectl").unwrap());
    let output = command.args(["--bus", &appliance.bus.address]).args(arguments).output().await.unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Promise: the prior at Orthanc is fetched, read and compared with, by C-GET; what was found in it goes to no archive, and a second
/// study of the person asks for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_prior_at_orthanc_is_fetched_read_and_compared_with_and_its_results_stay_here() {
    let allow = json!({ "DicomAlwaysAllowFind": true, "DicomAlwaysAllowGet": true });
    let Some(orthanc) = Orthanc::start(allow).await else { return };
    let (prior, new) = (prior(), new());
    Modality::new(orthanc.dicom, "CT", Orthanc::AE_TITLE).send(&prior.instances, |_, _| {}).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pacs = Pacs::start("PACS", folder.path()).await.unwrap();
    let setup = Setup {
        destinations: vec![("pacs".into(), pacs.ae_title.clone(), pacs.address)],
        extra: asking(orthanc.dicom.port(), Orthanc::AE_TITLE, 60),
        ..Setup::coarse()
    };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    send(&appliance, &new).await;
    read(&appliance, &new.study_uid).await;
    assert_eq!(
        compared_with(&appliance, &new.study_uid).as_deref(),
        Some(prior.study_uid.as_str()),
        "{}",
        appliance.log_tail()
    );
    let records = Records::open(&appliance).unwrap();
    for one in &prior.slices {
        records.check_custody(one).unwrap();
    }
    let made = records.results().unwrap();
    let of = |study: &str| made.iter().filter(|one| one.study_uid == *study).collect::<Vec<_>>();
    assert!(!of(&prior.study_uid).is_empty() && of(&prior.study_uid).iter().all(|one| one.deliveries.is_empty()));
    assert!(!of(&new.study_uid).is_empty() && of(&new.study_uid).iter().all(|one| one.deliveries.len() == 1));
    let told = ctl(&appliance, &["journal", &new.study_uid]).await;
    assert!(told.contains("the archive is asked for an earlier study"), "{told}");
    assert!(told.contains("an earlier study was fetched and read"), "{told}");
    let again = scan(9, "Zhang^San", "20260601");
    send(&appliance, &again).await;
    read(&appliance, &again.study_uid).await;
    assert_eq!(compared_with(&appliance, &again.study_uid).as_deref(), Some(new.study_uid.as_str()));
    assert_eq!(question(&appliance, &again.study_uid), None, "a prior is here");
    appliance.stop().await.unwrap();
}

/// States of the deliveries of what was found in a study, for each result.
fn deliveries(appliance: &Appliance, study: &str) -> Vec<Vec<String>> {
    let made = Records::open(appliance).unwrap().results().unwrap();
    made.into_iter().filter(|one| one.study_uid == study).map(|one| one.deliveries).collect()
}

/// Promise: no result is lost because its series was fetched first: a scanner that sends it, too, gets it delivered, after the fetch or at the
/// same time, and with fewer images than were fetched.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_scanner_sends_of_a_series_that_was_fetched_is_delivered_like_any_other() {
    for during in [false, true] {
        let (folder, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (prior, new) = (prior(), new());
        files(&prior, folder.path());
        let order = json!({ "folder": folder.path(), "slow": if during { 0.1 } else { 0.0 } });
        let Some(archive) = ArchivePeer::start(order).await else { return };
        let pacs = Pacs::start("PACS", kept.path()).await.unwrap();
        let setup = Setup {
            destinations: vec![("pacs".into(), pacs.ae_title.clone(), pacs.address)],
            extra: asking(archive.port, ArchivePeer::AE_TITLE, 200),
            ..Setup::coarse()
        };
        let mut appliance = Appliance::start(&setup).await.unwrap();
        let scanner = Modality::new(appliance.address, "CT", Appliance::AE_TITLE);
        send(&appliance, &new).await;
        if during {
            deadline::until_true("the fetch", WITHIN, || archive.count("sending") >= 10).await.unwrap();
            scanner.send(&prior.slices[prior.slices.len() - 3..], |_, _| {}).await.unwrap();
        }
        read(&appliance, &new.study_uid).await;
        assert_eq!(compared_with(&appliance, &new.study_uid).as_deref(), Some(prior.study_uid.as_str()));
        if !during {
            let before = deliveries(&appliance, &prior.study_uid);
            assert!(!before.is_empty() && before.iter().all(Vec::is_empty), "only a prior so far: {before:?}");
            scanner.send(&prior.slices[..2], |_, _| {}).await.unwrap();
        }
        let all = || {
            let states = deliveries(&appliance, &prior.study_uid);
            !states.is_empty() && states.iter().all(|of| of.as_slice() == ["delivered"])
        };
        let delivered = deadline::until_true("the results of what was sent", WITHIN, all).await;
        delivered.unwrap_or_else(|error| {
            panic!("{error} {during} {:?}\n{}", deliveries(&appliance, &prior.study_uid), appliance.log_tail())
        });
        let told = ctl(&appliance, &["journal", &prior.study_uid]).await;
        assert!(told.contains("sent by CT, too"), "{told}");
        appliance.stop().await.unwrap();
    }
}

/// Promise: where `[prior]` was switched off no question stays open and no study waits, and the journal says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_open_when_prior_is_switched_off_is_closed_with_a_word() {
    let (folder, new) = (tempfile::tempdir().unwrap(), new());
    files(&prior(), folder.path());
    let Some(archive) = ArchivePeer::start(json!({ "folder": folder.path(), "delay": 600 })).await else { return };
    let extra = asking(archive.port, ArchivePeer::AE_TITLE, 600);
    let setup = Setup { extra: extra.clone(), ..Setup::coarse() };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    send(&appliance, &new).await;
    deadline::until_true("the question", WITHIN, || archive.count("find") > 0).await.unwrap();
    appliance.kill().await.unwrap();
    let (section, _) = extra.split_once("[[").unwrap();
    std::fs::write(appliance.folder().join("config.d/20-extra.toml"), extra.replace(section, "")).unwrap();
    appliance.restart().await.unwrap();
    read(&appliance, &new.study_uid).await;
    let (state, reason) = question(&appliance, &new.study_uid).unwrap();
    assert!(state == "closed" && reason.contains("[prior] is switched off"), "{state} {reason}");
    let told = ctl(&appliance, &["journal", &new.study_uid]).await;
    assert!(told.contains("[prior] is switched off"), "{told}");
    appliance.stop().await.unwrap();
}

/// Promise: where the archive refuses C-GET it is C-MOVE to our own port, and the box may be killed in the middle of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_box_that_is_killed_while_it_fetches_by_c_move_asks_again_and_compares() {
    let folder = tempfile::tempdir().unwrap();
    let (prior, new) = (prior(), new());
    files(&prior, folder.path());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let setup = Setup { extra: asking(port, ArchivePeer::AE_TITLE, 200), ..Setup::coarse() };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    let order = |slow: f64| json!({ "folder": folder.path(), "get": false, "move": { "SCANSIDE": appliance.address.port() }, "slow": slow, "port": port });
    let (slow, fast) = (order(0.5), order(0.0));
    let Some(archive) = ArchivePeer::start(slow).await else { return };
    send(&appliance, &new).await;
    deadline::until_true("some images of the prior", WITHIN, || archive.count("sending") >= 5).await.unwrap();
    appliance.kill().await.unwrap();
    drop(archive);
    let Some(_archive) = ArchivePeer::start(fast).await else { return };
    let (state, _) = question(&appliance, &new.study_uid).unwrap();
    assert_eq!(state, "asking", "it is a row");
    appliance.restart().await.unwrap();
    read(&appliance, &new.study_uid).await;
    assert_eq!(
        compared_with(&appliance, &new.study_uid).as_deref(),
        Some(prior.study_uid.as_str()),
        "{}",
        appliance.log_tail()
    );
    let records = Records::open(&appliance).unwrap();
    for one in prior.slices.iter().chain(&new.instances) {
        records.check_custody(one).unwrap();
    }
    appliance.stop().await.unwrap();
}

/// Promise: an archive that is slower than the budget, or away, holds no study, also over a kill, and why is said: in the verdict, the
/// journal and the status.
#[tokio::test(flavor = "multi_thread")]
async fn a_study_waits_no_longer_than_its_budget_and_says_why_it_is_compared_with_nothing() {
    let (folder, new) = (tempfile::tempdir().unwrap(), new());
    files(&prior(), folder.path());
    let order = json!({ "folder": folder.path(), "delay": 600 });
    let Some(archive) = ArchivePeer::start(order).await else { return };
    let setup = Setup { extra: asking(archive.port, ArchivePeer::AE_TITLE, 12), ..Setup::coarse() };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    send(&appliance, &new).await;
    deadline::until_true("the question", WITHIN, || archive.count("find") > 0).await.unwrap();
    let begun = Instant::now();
    let waiting = Records::open(&appliance).unwrap().jobs().unwrap();
    assert!(waiting.iter().all(|(state, _)| state == "queued" || state == "running"), "{waiting:?}");
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    let over = || question(&appliance, &new.study_uid).is_some_and(|(state, _)| state == "closed");
    deadline::until_true("the end of the wait", WITHIN, over).await.unwrap();
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(12 + 60), "the budget, and the start of the box: {waited:?}");
    let verdict = read(&appliance, &new.study_uid).await;
    assert!(verdict.contains("; no prior: the archive did not answer within 12 s"), "{verdict}");
    assert_eq!(compared_with(&appliance, &new.study_uid), None);
    let told = ctl(&appliance, &["journal", &new.study_uid]).await;
    assert!(told.contains("no prior: the archive did not answer within 12 s"), "{told}");
    drop(archive);
    // Away: the next one says so, too.
    let other = scan(9, "Li^Si", "20260601");
    send(&appliance, &other).await;
    let verdict = read(&appliance, &other.study_uid).await;
    assert!(verdict.contains("no prior: the archive did not answer within 12 s: no connection to"), "{verdict}");
    let manager = appliance.manager().await.unwrap();
    assert_eq!(manager.priors_in_vain().await.unwrap(), 2);
    assert!(manager.priors_reason().await.unwrap().contains("no connection"));
    appliance.stop().await.unwrap();
}

/// Promise: another person under the same ID is never compared with, whether the archive says so or only the images do.
#[tokio::test(flavor = "multi_thread")]
async fn another_person_under_the_same_id_is_not_compared_with_and_the_box_says_so() {
    for (name, sends_as) in [("Li^Si", json!({})), ("Zhang^San", json!({ "PatientName": "Li^Si" }))] {
        let (folder, new) = (tempfile::tempdir().unwrap(), new());
        files(&scan(11, name, "20250301"), folder.path());
        let order: Value = json!({ "folder": folder.path(), "sends_as": sends_as });
        let Some(archive) = ArchivePeer::start(order).await else { return };
        let setup = Setup { extra: asking(archive.port, ArchivePeer::AE_TITLE, 60), ..Setup::coarse() };
        let mut appliance = Appliance::start(&setup).await.unwrap();
        send(&appliance, &new).await;
        let verdict = read(&appliance, &new.study_uid).await;
        assert!(verdict.contains("no prior: ") && verdict.contains("not surely of this person"), "{verdict}");
        assert_eq!(compared_with(&appliance, &new.study_uid), None);
        let records = Records::open(&appliance).unwrap();
        assert_eq!(
            usize::try_from(records.count("instances").unwrap()).unwrap(),
            new.instances.len(),
            "nothing of it is kept"
        );
        appliance.stop().await.unwrap();
    }
}
