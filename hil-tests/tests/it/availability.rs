//! Whoever wants it is told that results have reached an archive, once, also when the box is killed and the receiver is away or
//! refuses at first. The receiver is one that nobody here wrote.

use std::collections::BTreeSet;
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::modality::Modality;
use hil_tests::pacs::{Conduct, Pacs};
use hil_tests::part10::Instance;
use hil_tests::{deadline, tools};
use needs::peers::{Program, Service, tried};
use phantom::{Options, Phantom};
use serde_json::{Value, json};

use crate::commitment_kills::pynetdicom::Py;
use crate::support::Records;

const WITHIN: Duration = Duration::from_secs(180);

fn chest(seed: u64) -> Vec<Instance> {
    chest_with(seed, &Options { columns: 96, rows: 96, pixel_mm: 3.9, slices: 36, slice_mm: 8.0, ..Options::default() })
}

fn chest_with(seed: u64, options: &Options) -> Vec<Instance> {
    let (study, _) = Phantom::chest(seed, options).unwrap();
    study.instances.iter().map(|i| Instance::from_part10(&i.part10).unwrap()).collect()
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// Promise: a notice comes once for the results of an analysis, when the archive has taken all of them and not before, and names these.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_is_told_once_of_what_the_archive_has_taken_and_not_before() {
    let Some(mut py) = Py::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let pacs = Pacs::start("ARCHIVE", folder.path()).await.unwrap();
    pacs.behave(Conduct::Refuse(0xA700));
    // Refused at first, for a reason that passes.
    let order = json!({"do": "listen", "role": "receiver", "ae_title": "RIS", "port": 0, "answers": [0x0110]});
    let port = py.order(order).await["port"].as_u64().unwrap();
    let extra = format!(
        "[availability.ris]\naddress = \"127.0.0.1:{port}\"\nae_title = \"RIS\"\nretry_secs = 0.2\nretry_max_secs = 1.0\n"
    );
    let destinations = vec![("pacs".into(), pacs.ae_title.clone(), pacs.address)];
    let mut appliance = Appliance::start(&Setup { extra, destinations, ..Setup::coarse() }).await.unwrap();
    let study = chest(31);
    Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(&study, |_, _| {}).await.unwrap();
    let made = || Records::open(&appliance).unwrap().results().unwrap().len() > 2;
    deadline::until_true("the results", WITHIN, made).await.unwrap();
    py.order(json!({"do": "steps"})).await;
    assert!(py.left().is_empty(), "nothing is available yet");
    appliance.kill().await.unwrap();
    pacs.behave(Conduct::Accept);
    appliance.restart().await.unwrap();
    let refused = py.event("available").await;
    assert_eq!(refused["answer"], 0x0110);
    let told = py.event("available").await;
    assert_eq!((&told["answer"], &told["uid"]), (&json!(0), &refused["uid"]), "the same notice again");
    let archived: BTreeSet<String> = pacs.received().into_iter().map(|one| one.sop_instance_uid).collect();
    assert_eq!(texts(&told["objects"]), archived);
    assert_eq!(texts(&told["places"]), ["ARCHIVE".to_owned()].into());
    // Told is told, also after a restart: the next notice is that of another study.
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(&chest(32), |_, _| {}).await.unwrap();
    loop {
        let next = py.event("available").await;
        if next["study"] != told["study"] {
            assert_eq!(next["answer"], 0, "{next}");
            break;
        }
        // Killed before the answer was written down: the same notice again, which the receiver has.
        assert_eq!((&next["uid"], &next["answer"]), (&told["uid"], &json!(0x0111)));
    }
    tried(Program::Pynetdicom, &[Service::NoticesOut]);
}

/// Signs a review that rejects a finding: the objects before do not count any more.
async fn signed(appliance: &Appliance, study_uid: &str) {
    let output = tokio::process::Command::new(tools::our_binary("scansidectl").unwrap())
        .args(["--bus", &appliance.bus.address, "studies", "review", study_uid, "--by", "Li Ming"])
        .args(["--reject", "nodule-2=a vessel", "--accept-rest"])
        .output();
    let output = output.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Promise: what was told as available and is rejected later is told as unavailable, by one notice that names exactly this, also when the
/// box is killed before it is written down, and when the receiver refuses it at first.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_and_is_rejected_later_is_told_as_unavailable_once() {
    let Some(mut py) = Py::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let pacs = Pacs::start("ARCHIVE", folder.path()).await.unwrap();
    let order =
        json!({"do": "listen", "role": "receiver", "ae_title": "RIS", "port": 0, "answers": [0, 0x0110, 0x0110]});
    let port = py.order(order).await["port"].as_u64().unwrap();
    let extra = format!(
        "[availability.ris]\naddress = \"127.0.0.1:{port}\"\nae_title = \"RIS\"\nretry_secs = 0.2\nretry_max_secs = 1.0\n"
    );
    let destinations = vec![("pacs".into(), pacs.ae_title.clone(), pacs.address)];
    let mut appliance = Appliance::start(&Setup { extra, destinations, ..Setup::coarse() }).await.unwrap();
    // With findings, so that there is something to sign.
    let study = chest_with(7, &Options::small());
    Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(&study, |_, _| {}).await.unwrap();
    let told = py.event("available").await;
    assert_eq!((&told["answer"], &told["availability"]), (&json!(0), &json!(["ONLINE"])), "{told}");
    signed(&appliance, told["study"].as_str().unwrap()).await;
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    let (mut seen, mut taken) = (Vec::new(), false);
    while !taken {
        let next = py.event("available").await;
        if next["availability"] == json!(["UNAVAILABLE"]) {
            taken = next["answer"] == 0;
            seen.push(next);
        }
    }
    for one in &seen {
        assert_eq!((&one["uid"], texts(&one["objects"])), (&seen[0]["uid"], texts(&told["objects"])), "{seen:?}");
    }
    assert_ne!(seen[0]["uid"], told["uid"]);
    // Told is told.
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(&chest(32), |_, _| {}).await.unwrap();
    loop {
        let next = py.event("available").await;
        if next["study"] != told["study"] {
            break;
        }
        // The new version of the report; or killed before the answer was written down, so the receiver has it.
        assert!(next["availability"] == json!(["ONLINE"]) || next["answer"] == 0x0111, "{next}");
    }
    tried(Program::Pynetdicom, &[Service::NoticesOut]);
}
