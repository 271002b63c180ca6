//! A worklist is asked for: pynetdicom and DCMTK's wlmscpfs as servers, in every encoding and every way to fail.

use std::time::Duration;

use dicom::request::Request;
use dicom::scan::Item;
use needs::peers::{Program, Service, tried};
use node::send::Target;
use node::tls::Client;
use node::worklist::query::Query;
use node::worklist::{Answered, Error, ask};
use serde_json::{Value, json};

use super::dcmtk;
use super::fixtures::PATIENCE;
use super::orthanc::Orthanc;
use super::pynetdicom::Py;
use super::tls_support::Site;

const EXPLICIT: &str = "1.2.840.10008.1.2.1";

fn query() -> Query {
    Query { modality: "US".into(), first_day: "20260131".into(), last_day: "20260131".into(), ..Query::default() }
}

fn target(port: u16) -> Target {
    Target { address: format!("127.0.0.1:{port}"), called_ae: "RIS".into(), calling_ae: "BOX".into(), tls: None }
}

/// A worklist server of pynetdicom on a free port.
async fn serving(py: &mut Py, more: Value) -> Target {
    let mut order = json!({"do": "listen", "role": "worklist", "ae_title": "RIS"});
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = py.order(order).await;
    target(u16::try_from(answer["port"].as_u64().unwrap()).unwrap())
}

/// What such a server says to one question.
async fn said(more: Value) -> Option<Result<Answered, Error>> {
    let mut py = Py::start().await?;
    let target = serving(&mut py, more).await;
    Some(ask(&target, &query(), PATIENCE).await)
}

fn names(answered: &Answered) -> Vec<&str> {
    answered.items.iter().map(|item| item.patient_name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_patient_order_study_and_appointment_and_the_question_names_nobody() {
    for syntax in ["1.2.840.10008.1.2", EXPLICIT] {
        let Some(mut py) = Py::start().await else { return };
        let target = serving(&mut py, json!({"entries": [{}], "syntaxes": [syntax]})).await;
        let range = Query { station_ae_title: "US1".into(), last_day: "20260202".into(), ..query() };
        let answered = ask(&target, &range, PATIENCE).await.unwrap();
        let meant = Item {
            patient_name: "DOE^JANE".into(),
            patient_id: "P1".into(),
            patient_birth_date: "19700131".into(),
            accession_number: "A-1".into(),
            study_instance_uid: "1.2.840.99.1".into(),
            step_date: "20260131".into(),
            step_time: "093000".into(),
            modality: "US".into(),
            description: "breast, both".into(),
            request: Request {
                procedure_id: "RP1".into(),
                procedure_description: "breast".into(),
                step_id: "S1".into(),
                step_description: "breast, both".into(),
                sex: "F".into(),
                ..Request::default()
            },
            besides: answered.items[0].besides.clone(),
        };
        assert_eq!(answered.items, [meant], "{syntax}");
        assert!(answered.left_out.is_empty(), "{:?}", answered.left_out);
        let heard = py.event("query").await;
        for (key, value) in [
            ("modality", "US"),
            ("station", "US1"),
            ("days", "20260131-20260202"),
            ("name", ""),
            ("charset", ""),
            ("syntax", syntax),
            ("caller", "BOX"),
        ] {
            assert_eq!(heard[key], value, "{key}: {heard}");
        }
        // Every key of type 1 and 2 of table K.6-1 but the step's own.
        assert_eq!(heard["keys"], 26, "{heard}");
    }
    tried(Program::Pynetdicom, &[Service::WorklistOut]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_read_in_the_character_set_that_each_answer_declares() {
    let cases = [
        ("ISO_IR 100", "Müller^Eva"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("\\ISO 2022 IR 58", "Zhang^XiaoDong=张^小东"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 144", "Люкceмбypг"),
    ];
    let entries: Vec<Value> = cases
        .iter()
        .map(|(charset, name)| {
            let charsets: Vec<&str> = charset.split('\\').collect();
            json!({"charset": charsets, "root": {"PatientName": name}})
        })
        .collect();
    let Some(answered) = said(json!({"entries": entries})).await else { return };
    assert_eq!(names(&answered.unwrap()), cases.map(|(_, name)| name));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_an_empty_list_and_unknown_optional_keys_are_no_fault() {
    let Some(none) = said(json!({})).await else { return };
    assert_eq!(none.unwrap(), Answered::default());
    let warned = said(json!({"entries": [{}], "pending": 0xff01})).await.unwrap();
    assert_eq!(warned.unwrap().items.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_asked_for_are_left_out_and_counted_and_missing_keys_are_no_fault() {
    let entries = json!([
        {"root": {"PatientBirthDate": null, "StudyInstanceUID": null, "AccessionNumber": ""}},
        {"no_step": true},
        {"step": {"Modality": "CT"}},
        {"step": {"ScheduledProcedureStepStartDate": "20260130"}},
        {"step": {"ScheduledProcedureStepStartDate": "20260301"}},
        {"root": {"PatientComments": "x".repeat(100_000)}},
        {},
    ]);
    let Some(answered) = said(json!({"entries": entries})).await else { return };
    let answered = answered.unwrap();
    assert_eq!(answered.items.len(), 3, "{:?}", answered.items);
    let count =
        |word: &str| answered.left_out.iter().find(|(reason, _)| reason.contains(word)).map(|(_, count)| *count);
    assert_eq!((count("modality"), count("days"), count("64 KiB")), (Some(1), Some(2), Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_the_standard_has_its_sentence() {
    for (status, words) in [
        (0xa700, "the server is out of resources (A700): tomorrow"),
        (0xa900, "the question does not match the Modality Worklist (A900): tomorrow"),
        (0xc001, "the server is unable to process the question (C001): tomorrow"),
        (0xfe00, "stopped before all answers were sent (FE00)"),
        (0x0122, "does not offer the Modality Worklist (0122)"),
    ] {
        // What came before the refusal is not a list.
        let told = json!({"entries": [{}], "status": status, "comment": "tomorrow"});
        let Some(answer) = said(told).await else { return };
        let error = answer.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains(words), "{error}");
    }
    for (server, words) in [
        (json!({"knows": ["CT1"]}), "the server refuses: association rejected: our AE title is not known to the peer"),
        (
            json!({"strict": true, "ae_title": "OTHER"}),
            "the server refuses: association rejected: the peer does not answer to the AE title",
        ),
        (json!({"offers_none": true}), "the server refuses: the peer does not accept SOP class 1.2.840.10008.5.1.4.31"),
    ] {
        let error = said(server).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Peer(_)) && error.to_string().contains(words), "{words}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_aborts_in_the_middle_has_given_no_list() {
    let Some(answer) = said(json!({"entries": [{}], "many": 10, "how": "abort", "after": 3})).await else { return };
    let error = answer.unwrap_err().to_string();
    assert!(error.contains("abort"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_costs_no_more_than_the_limit() {
    let Some(mut py) = Py::start().await else { return };
    let more = json!({"entries": [{}], "many": 10, "how": "silent", "after": 3, "seconds": 60});
    let target = serving(&mut py, more).await;
    let begun = std::time::Instant::now();
    let error = ask(&target, &query(), Duration::from_secs(2)).await.unwrap_err().to_string();
    assert!(error.ends_with("is connected, and did not send all answers within 2 s"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());

    // One that takes the connection and says nothing at all.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = super::worklist::target(mute.local_addr().unwrap().port());
    let error = ask(&target, &query(), Duration::from_millis(300)).await.unwrap_err().to_string();
    assert!(error.contains("did not answer the association request within 0.3 s"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_five_thousand_answers_the_first_thousand_are_taken_and_the_rest_is_cancelled() {
    let Some(mut py) = Py::start().await else { return };
    let target = serving(&mut py, json!({"entries": [{}], "many": 5000})).await;
    let answered = ask(&target, &query(), PATIENCE).await.unwrap();
    assert_eq!(answered.items.len(), 1000);
    let left: Vec<_> = answered.left_out.iter().collect();
    assert_eq!(left, [(&"everything after the first 1000 answers of the server", &1)]);
    let heard = py.event("cancelled").await;
    let sent = heard["sent"].as_u64().unwrap();
    assert!((1001..5000).contains(&sent), "it was asked to stop: {heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worklist_comes_by_tls_from_the_server_that_its_certificate_names_and_from_no_other() {
    let Some(mut py) = Py::start().await else { return };
    let (site, other) = (Site::new(), Site::new());
    let server = site.machine("box.test");
    let files = json!([server.certificate, server.key]);
    let target = serving(&mut py, json!({"entries": [{}], "tls": files})).await;
    let by = |site: &Site| Target { tls: Some(Client::from(&site.client(&site.machine("us.test")))), ..target.clone() };
    assert_eq!(ask(&by(&site), &query(), PATIENCE).await.unwrap().items.len(), 1);
    let error = ask(&by(&other), &query(), PATIENCE).await.unwrap_err().to_string();
    assert!(error.contains("no TLS connection"), "{error}");
    tried(Program::Pynetdicom, &[Service::TlsOut]);
}

/// A worklist file of wlmscpfs, which must have all keys of type 1.
async fn file(folder: &std::path::Path, number: u32, charset: &str, name: &[u8], modality: &str) {
    let mut text = format!("(0008,0005) CS [{charset}]\n(0008,0050) SH [A-{number}]\n(0010,0010) PN [").into_bytes();
    text.extend(name);
    text.extend(
        format!(
            "]\n(0010,0020) LO [P{number}]\n(0010,0030) DA [19700131]\n(0010,0040) CS [F]\n(0020,000d) UI [1.2.840.99.{number}]\n\
             (0032,1060) LO [breast]\n(0040,0100) SQ\n(fffe,e000) -\n(0008,0060) CS [{modality}]\n(0040,0001) AE [US1]\n\
             (0040,0002) DA [20260131]\n(0040,0003) TM [093000]\n(0040,0006) PN [DR^A]\n(0040,0007) LO [breast, both]\n\
             (0040,0009) SH [S{number}]\n(fffe,e00d) -\n(fffe,e0dd) -\n(0040,1001) SH [RP{number}]\n(0040,1003) SH [LOW]\n"
        )
        .bytes(),
    );
    let (dump, item) = (folder.join(format!("{number}.dump")), folder.join(format!("{number}.wl")));
    std::fs::write(&dump, text).unwrap();
    let made = dcmtk::run("dump2dcm", &[], &[&dump, &item]).await;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn wlmscpfs_of_dcmtk_understands_the_question_and_is_understood() {
    if !dcmtk::installed("wlmscpfs") || !dcmtk::installed("dump2dcm") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("RIS");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("lockfile"), "").unwrap();
    let gb18030 = b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB";
    file(&folder, 1, "GB18030", gb18030, "US").await;
    file(&folder, 2, "ISO_IR 100", b"M\xFCller^Eva", "US").await;
    file(&folder, 3, "ISO_IR 100", b"CT^Only", "CT").await;
    for prefer in ["+xi", "+xe"] {
        let arguments = ["-s", "-csk", prefer, "-dfp", directory.path().to_str().unwrap()];
        let (_server, port) = dcmtk::listening("wlmscpfs", &arguments).await;
        let answered = ask(&target(port), &query(), PATIENCE).await.unwrap();
        let mut found = names(&answered);
        found.sort_unstable();
        assert_eq!(found, ["Müller^Eva", "Wang^XiaoDong=王^小东"], "{prefer}");
        assert!(answered.left_out.is_empty(), "it looks at the modality: {:?}", answered.left_out);
        let tomorrow = Query { first_day: "20260201".into(), last_day: "20260201".into(), ..query() };
        assert_eq!(ask(&target(port), &tomorrow, PATIENCE).await.unwrap(), Answered::default());
    }
    tried(Program::Dcmtk, &[Service::WorklistOut]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worklist_of_orthanc_is_understood() {
    if !dcmtk::installed("dump2dcm") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    file(directory.path(), 2, "ISO_IR 100", b"M\xFCller^Eva", "US").await;
    file(directory.path(), 3, "ISO_IR 100", b"CT^Only", "CT").await;
    let worklists = json!({
        "Worklists": { "Enable": true, "Database": directory.path(), "FilterIssuerAet": false },
        "DicomModalities": { "box": ["BOX", "127.0.0.1", 104] },
    });
    let Some(orthanc) = Orthanc::start(worklists).await else { return };
    let server = Target { called_ae: Orthanc::AE_TITLE.into(), ..target(orthanc.dicom.port()) };
    let answered = ask(&server, &query(), PATIENCE).await.unwrap_or_else(|error| panic!("{error}\n{}", orthanc.log()));
    assert_eq!(names(&answered), ["Müller^Eva"], "{:?}", answered.left_out);
    tried(Program::Orthanc, &[Service::WorklistOut]);
}
