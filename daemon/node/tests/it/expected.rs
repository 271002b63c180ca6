//! Scanners ask the box who is expected: pynetdicom, DCMTK's findscu and Orthanc ask.

use std::sync::Arc;

use dicom::patient::Patient;
use needs::peers::{Program, Service, tried};
use node::expected::{List, Scheduled, Source};
use serde_json::{Value, json};

use super::dcmtk;
use super::fixtures::Node;
use super::orthanc::Orthanc;
use super::pynetdicom::Py;

fn source() -> Source {
    let one = |id: &str, name: &str, date: &str| Scheduled {
        patient: Patient {
            id: id.into(),
            name: name.into(),
            birth_date: "19700131".into(),
            accession_number: format!("A-{id}"),
        },
        study_uid: format!("1.2.840.99.{}", &id[1..]),
        date: date.into(),
        time: "0930".into(),
        modality: "US".into(),
        description: "breast, both".into(),
        ..Scheduled::default()
    };
    let entries = vec![
        one("P1", "DOE^JANE", "20260131"),
        one("P2", "Wang^XiaoDong=王^小东", "20260131"),
        one("P3", "ROE", "20260201"),
    ];
    let list = Arc::new(List { entries, today: "20260131".into() });
    Arc::new(move || Ok(Arc::clone(&list)))
}

fn question(date: &str, charset: &str) -> Value {
    let text =
        |vr: &str, value: &str| if value.is_empty() { json!({"vr": vr}) } else { json!({"vr": vr, "Value": [value]}) };
    let step = json!({"00080060": text("CS", "US"), "00400001": text("AE", ""), "00400002": text("DA", date), "00400009": text("SH", "")});
    json!({
        "00080005": text("CS", charset), "00080050": text("SH", ""), "00100010": {"vr": "PN"}, "00100020": text("LO", ""),
        "0020000D": text("UI", ""), "00401001": text("SH", ""), "00400100": {"vr": "SQ", "Value": [step]},
    })
}

fn find(node: &Node, data: Value, syntax: &str) -> Value {
    json!({"do": "find", "calling": "US1", "to": ["127.0.0.1", node.address.port()], "data": data, "syntaxes": [syntax]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_is_told_who_is_expected_on_its_day() {
    let Some(mut py) = Py::start().await else { return };
    let node = Node::start_expecting(source()).await;
    for (syntax, charset) in [("1.2.840.10008.1.2", ""), ("1.2.840.10008.1.2.1", "GB18030")] {
        let said = py.order(find(&node, question("20260131", charset), syntax)).await;
        assert_eq!(said["statuses"], json!([0xff00, 0xff00, 0]), "{said}");
        let found = said["found"].as_array().unwrap();
        // Sixteen digits that are no other step's.
        let steps: Vec<&str> = found.iter().map(|one| one["step"].as_str().unwrap()).collect();
        assert!(steps[0] != steps[1] && steps.iter().all(|step| step.len() == 16), "{steps:?}");
        let names: Vec<&str> = found.iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["DOE^JANE", "Wang^XiaoDong=王^小东"]);
        assert_eq!(
            found[0],
            json!({
                "name": "DOE^JANE", "id": "P1", "study": "1.2.840.99.1", "number": "A-P1", "station": "US1",
                "date": "20260131", "time": "093000", "step": steps[0],
            })
        );
    }
    let nobody = py.order(find(&node, question("20260301", ""), "1.2.840.10008.1.2")).await;
    assert_eq!(nobody["statuses"], json!([0]), "{nobody}");
    let odd = py.order(find(&node, question("20260131-x", ""), "1.2.840.10008.1.2")).await;
    assert_eq!(odd["statuses"], json!([0xa900]), "{odd}");
    tried(Program::Pynetdicom, &[Service::WorklistIn]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_who_is_expected_where_that_is_off_or_who_may_not_send() {
    let Some(mut py) = Py::start().await else { return };
    let off = Node::start(|_| {}).await;
    let said = py.order(find(&off, question("20260131", ""), "1.2.840.10008.1.2")).await;
    // pynetdicom ends an association without contexts.
    assert_eq!(said["why"], "no association", "{said}");
    let strangers = Node::start_expecting_for(source(), |dicom| {
        dicom.sender = vec![node::settings::Sender { ae_title: "US2".into(), ..node::settings::Sender::default() }];
    })
    .await;
    let said = py.order(find(&strangers, question("20260131", ""), "1.2.840.10008.1.2")).await;
    // pynetdicom does not always get as far as to see why.
    assert_eq!(said["status"], Value::Null, "{said}");
    assert_eq!(strangers.callers.list()[0].outcome.code(), "calling-ae-unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn findscu_of_dcmtk_writes_down_what_it_is_told() {
    if !dcmtk::installed("findscu") {
        return;
    }
    let node = Node::start_expecting(source()).await;
    let (folder, port) = (tempfile::tempdir().unwrap(), node.address.port().to_string());
    let (out, key) =
        (folder.path().to_str().unwrap(), "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=20260131");
    let arguments = [
        "-W",
        "-aec",
        "SCANSIDE",
        "-aet",
        "US1",
        "-X",
        "-od",
        out,
        "-k",
        "PatientName=DOE*",
        "-k",
        key,
        "127.0.0.1",
        &port,
    ];
    let asked = dcmtk::run("findscu", &arguments, &[]).await;
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    let answers: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    let [answer] = &answers[..] else { panic!("{answers:?}") };
    let dumped = dcmtk::run("dcmdump", &[], &[answer]).await;
    let text = String::from_utf8_lossy(&dumped.stdout);
    for line in ["[DOE^JANE]", "[P1]", "[1.2.840.99.1]", "[093000]", "(0010,2110) LO (no value available)"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    tried(Program::Dcmtk, &[Service::WorklistIn]);
}

#[tokio::test(flavor = "multi_thread")]
async fn orthanc_asks_who_is_expected() {
    let node = Node::start_expecting(source()).await;
    let modalities =
        json!({"DefaultEncoding": "Utf8", "DicomModalities": {"box": ["SCANSIDE", "127.0.0.1", node.address.port()]}});
    let Some(orthanc) = Orthanc::start(modalities).await else { return };
    let question = json!({
        "PatientID": "", "PatientName": "", "ScheduledProcedureStepSequence": [{"ScheduledProcedureStepStartDate": "20260131-20260201"}],
    });
    let found = orthanc.post("/modalities/box/find-worklist", &question).await.unwrap();
    let ids: Vec<&str> = found.as_array().unwrap().iter().map(|one| one["PatientID"].as_str().unwrap()).collect();
    assert_eq!(ids, ["P1", "P2", "P3"], "{found}");
    assert_eq!(found[1]["PatientName"], "Wang^XiaoDong=王^小东", "{found}");
    tried(Program::Orthanc, &[Service::WorklistIn]);
}
