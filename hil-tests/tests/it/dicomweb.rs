//! DICOMweb against a client that nobody here wrote: what the box holds is found and fetched, received objects and results.

use std::collections::BTreeSet;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::deadline;
use hil_tests::modality::Modality;
use hil_tests::part10::{Folder, Instance};
use hil_tests::tools;
use needs::Lack;
use needs::peers::{Program, Service, tried};
use phantom::{Options, Phantom};
use serde_json::{Value, json};

use crate::reading::SETTLED_WITHIN;
use crate::support::Records;

#[tokio::test]
async fn a_client_finds_and_fetches_what_was_received_and_what_was_made() {
    let Some(python) = std::env::var_os("SCANSIDE_PYTHON") else {
        needs::skip(Lack::Software, "no Python with dicomweb-client: SCANSIDE_PYTHON");
        return;
    };
    let options = Options { columns: 96, rows: 96, pixel_mm: 3.9, slices: 36, slice_mm: 8.0, ..Options::default() };
    let (study, _) = Phantom::chest(7, &options).unwrap();
    let sent: Vec<_> = study.instances.iter().map(|one| Instance::from_part10(&one.part10).unwrap()).collect();
    let mut appliance = Appliance::start(&Setup::coarse()).await.unwrap();
    Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(&sent, |_, _| {}).await.unwrap();
    let records = Records::open(&appliance).unwrap();
    let done = || records.is_settled(2).unwrap();
    deadline::until_true("the verdict", SETTLED_WITHIN, done).await.unwrap();
    let made = records.results().unwrap();

    let fetched = tempfile::tempdir().unwrap();
    let script = tools::workspace().join("hil-tests/tests/it/dicomweb_peer.py");
    let address = format!("{}dicom-web", appliance.page().unwrap());
    let output = tokio::process::Command::new(python)
        .arg("-B")
        .arg(script)
        .args([&address, "PHANTOM-7"])
        .arg(fetched.path())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let saw: Value = serde_json::from_str(&said).unwrap();
    let all = sent.len() + made.len();
    assert_eq!((&saw["studies"], &saw["nobody"], &saw["few"]), (&json!(1), &json!(0), &json!(2)), "{saw}");
    assert_eq!(saw["name"], json!({ "Alphabetic": "PHANTOM^CHEST" }));
    assert_eq!((&saw["said"], &saw["objects"], &saw["described"]), (&json!(all), &json!(all), &json!(all)), "{saw}");
    for modality in ["CT", "SEG", "SR"] {
        assert!(saw["modalities"].as_array().unwrap().contains(&json!(modality)), "{saw}");
    }
    assert_eq!(saw["frame_is_pixel_data"], true);
    assert_eq!(saw["metadata"]["00080018"]["Value"][0], saw["first"]);
    assert_eq!(saw["metadata"]["00280030"], json!({ "vr": "DS", "Value": [3.9, 3.9] }));

    // Object by object what was sent, and what was made.
    let there = Folder::scan(fetched.path()).unwrap().instances;
    let uids = |all: &[Instance]| all.iter().map(|one| one.sop_instance_uid.clone()).collect::<BTreeSet<_>>();
    let mut wanted = uids(&sent);
    wanted.extend(made.iter().map(|one| one.sop_uid.clone()));
    assert_eq!(uids(&there), wanted);
    for one in &sent {
        let same = there.iter().find(|other| other.sop_instance_uid == one.sop_instance_uid).unwrap();
        assert_eq!(same.sha256().unwrap(), one.sha256().unwrap(), "{}", one.sop_instance_uid);
    }
    tried(Program::DicomwebClient, &[Service::QidoIn, Service::WadoIn]);
    appliance.stop().await.unwrap();
}
