//! The box tells a manager (RIS) of its analyses, where that is on (`mpps.analyses`): each once, with every object, also when it is
//! killed in the middle. The manager is one that nobody here wrote.

use std::collections::BTreeSet;
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::deadline;
use hil_tests::modality::Modality;
use hil_tests::part10::{Instance, element, part10};
use needs::peers::{Program, Service, tried};
use phantom::{Options, Phantom};
use scanside_client::Status;
use serde_json::{Value, json};

use crate::commitment_kills::pynetdicom::Py;
use crate::support::Records;

const WITHIN: Duration = Duration::from_secs(180);

fn chest() -> Vec<Instance> {
    let options = Options { columns: 96, rows: 96, pixel_mm: 3.9, slices: 36, slice_mm: 8.0, ..Options::default() };
    let (study, _) = Phantom::chest(5, &options).unwrap();
    study.instances.iter().map(|i| Instance::from_part10(&i.part10).unwrap()).collect()
}

/// A slice without pixels: nothing can be evaluated.
fn nothing() -> Vec<Instance> {
    let mut bytes = Vec::new();
    let mut put = |group: u16, number: u16, vr: &[u8; 2], text: &str| {
        element(&mut bytes, (group, number), vr, text.as_bytes());
    };
    let class = "1.2.840.10008.5.1.4.1.1.2";
    put(0x0008, 0x0016, b"UI", class);
    put(0x0008, 0x0018, b"UI", "2.25.810.1");
    put(0x0008, 0x0050, b"SH", "ACC-81");
    put(0x0008, 0x0060, b"CS", "CT");
    put(0x0010, 0x0010, b"PN", "Doe^Jane");
    put(0x0010, 0x0020, b"LO", "P-81");
    put(0x0010, 0x0030, b"DA", "19600229");
    put(0x0010, 0x0040, b"CS", "F");
    put(0x0020, 0x000D, b"UI", "2.25.81");
    put(0x0020, 0x000E, b"UI", "2.25.81.1");
    let file = part10(class, "2.25.810.1", "1.2.840.10008.1.2.1", &bytes);
    vec![Instance::from_part10(&file).unwrap()]
}

async fn send(appliance: &Appliance, study: &[Instance]) {
    Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(study, |_, _| {}).await.unwrap();
}

async fn all_told(appliance: &Appliance) {
    let told = async || {
        let now = Status::read(&appliance.manager().await.unwrap()).await.unwrap();
        (now.steps_waiting == 0 && now.steps_parked == 0).then_some(())
    };
    deadline::until("the manager to be told all", WITHIN, told).await.unwrap();
}

async fn step(py: &mut Py, uid: &Value) -> Value {
    let known = py.order(json!({"do": "steps"})).await;
    assert_eq!(known["illegal"], json!([]));
    known["steps"][uid.as_str().unwrap()].clone()
}

/// Promise: a RIS that wants it learns when an analysis begins, and at its end every object that came of it; what came to nothing is
/// discontinued with its reason. A kill in the middle makes neither a second step nor an open one.
#[tokio::test(flavor = "multi_thread")]
async fn a_manager_is_told_of_each_analysis_once_with_every_object_also_after_a_kill() {
    let Some(mut py) = Py::start().await else { return };
    let order = json!({"do": "listen", "role": "manager", "ae_title": "RIS", "port": 0});
    let port = py.order(order).await["port"].as_u64().unwrap();
    let extra = format!(
        "[mpps]\naddress = \"127.0.0.1:{port}\"\nae_title = \"RIS\"\nanalyses = true\nretry_secs = 0.2\nretry_max_secs = 1.0\n"
    );
    let mut appliance = Appliance::start(&Setup { extra, ..Setup::coarse() }).await.unwrap();

    send(&appliance, &nothing()).await;
    let begun = py.event("created").await;
    let data = &begun["data"];
    assert_eq!((&begun["answer"], &data["00080060"]["Value"][0]), (&json!(0), &json!("SR")), "{begun}");
    let scheduled = &data["00400270"]["Value"][0];
    for (of, tag, value) in [
        (scheduled, "0020000D", "2.25.81"),
        (scheduled, "00080050", "ACC-81"),
        (data, "00100020", "P-81"),
        (data, "00100030", "19600229"),
        (data, "00100040", "F"),
        (data, "00400255", "Computer Aided Detection"),
    ] {
        assert_eq!(of[tag]["Value"][0], value, "{tag}");
    }
    assert_eq!(py.event("set").await["answer"], 0);
    let refused = step(&mut py, &begun["uid"]).await;
    assert_eq!((&refused["state"], &refused["why"]), (&json!("DISCONTINUED"), &json!(["110513"])), "{refused}");

    send(&appliance, &chest()).await;
    let begun = py.event("created").await;
    // In the middle of the analysis.
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    let ended = py.event("set").await;
    assert_eq!((&ended["uid"], &ended["answer"]), (&begun["uid"], &json!(0)), "the same step");
    all_told(&appliance).await;
    let done = step(&mut py, &begun["uid"]).await;
    assert_eq!((&done["state"], &done["sets"]), (&json!("COMPLETED"), &json!(1)), "{done}");
    let objects: BTreeSet<String> =
        done["objects"].as_array().unwrap().iter().map(|uid| uid.as_str().unwrap().to_owned()).collect();
    let made = Records::open(&appliance).unwrap().results().unwrap();
    let study = &begun["data"]["00400270"]["Value"][0]["0020000D"]["Value"][0];
    let made: BTreeSet<String> =
        made.into_iter().filter(|one| one.study_uid == study.as_str().unwrap()).map(|one| one.sop_uid).collect();
    assert!(!made.is_empty());
    assert_eq!(objects, made);
    let known = py.order(json!({"do": "steps"})).await;
    // The phantom has a localiser, which is no analysis.
    assert_eq!(known["steps"].as_object().unwrap().len(), 2, "{known}");
    tried(Program::Pynetdicom, &[Service::MppsOut]);
}
