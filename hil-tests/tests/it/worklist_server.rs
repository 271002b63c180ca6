//! The worklist comes from a server that nobody here wrote, and stays when server and box go away.

use std::os::unix::fs::PermissionsExt;

use hal::clock::Wall;
use hil_tests::deadline;
use phantom::ultrasound::layout::Name;
use scanside_client::{Expected, Live, LiveProxy, WorklistServer};
use serde_json::json;

use crate::commitment_kills::pynetdicom::Py;
use crate::live_support::{WITHIN, proxy, record, said, watching};

async fn listed(live: &LiveProxy<'_>, count: usize) -> Vec<Expected> {
    let enough = async || live.worklist().await.ok().map(|(entries, _)| entries).filter(|list| list.len() == count);
    deadline::until("the worklist of the server", WITHIN, enough).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_the_worklist_of_a_server_names_the_exam_and_outlives_the_server_and_a_kill() {
    let Some(mut py) = Py::start().await else { return };
    let today = Wall::default().local_date(0);
    let entry = |number: u32, name: &str| {
        json!({
            "charset": "ISO_IR 192",
            "root": {
                "PatientName": name, "PatientID": format!("RIS-P{number}"), "AccessionNumber": format!("A-{number}"),
                "StudyInstanceUID": format!("1.2.840.99.{number}"),
            },
            "step": {"ScheduledProcedureStepStartDate": today},
        })
    };
    let entries = [entry(7, "Wang^XiaoDong=王^小东"), entry(8, "Doe^Jane")];
    let order = json!({"do": "listen", "role": "worklist", "ae_title": "RIS", "strict": true, "entries": entries});
    let port = py.order(order).await["port"].as_u64().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (video, _) = record(Name::B, folder.path());
    let more = format!("[worklist]\naddress = \"127.0.0.1:{port}\"\nae_title = \"RIS\"\ntimeout_secs = 5\n");
    let (mut appliance, live) = watching(&video, &more).await;

    let entries = listed(&live, 2).await;
    assert_eq!(entries[1].patient_name, "Wang^XiaoDong=王^小东", "{entries:?}");
    let server = WorklistServer::read(&live).await.unwrap();
    assert_eq!((server.name, server.trouble), (format!("RIS@127.0.0.1:{port}"), None));
    assert!(server.answered_utc.is_some());
    said(&appliance, &["live", "start", "--accession", "A-7"]).await;
    let exam = Live::read(&live).await.unwrap().exam.unwrap();
    assert_eq!((exam.patient.id.as_str(), exam.study_uid.as_str()), ("RIS-P7", "1.2.840.99.7"));
    said(&appliance, &["live", "stop"]).await;

    // Server and box are gone; the box comes back alone.
    py.order(json!({"do": "close"})).await;
    appliance.kill().await.unwrap();
    let cache = appliance.folder().join("spool/worklist.json");
    assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o600);
    appliance.restart().await.unwrap();
    let live = proxy(&appliance).await;
    let trouble = async || WorklistServer::read(&live).await.and_then(|server| server.trouble);
    let trouble = deadline::until("the server's trouble", WITHIN, trouble).await.unwrap();
    assert!(trouble.starts_with("the server cannot be reached: no connection to 127.0.0.1"), "{trouble}");
    assert_eq!(listed(&live, 2).await, entries);
    let shown = said(&appliance, &["live", "status"]).await;
    assert!(shown.contains("worklist of 20") && shown.contains("the server cannot be reached"), "{shown}");
    said(&appliance, &["live", "start", "--accession", "A-8"]).await;
    let exam = Live::read(&live).await.unwrap().exam.unwrap();
    assert_eq!((exam.patient.name.as_str(), exam.study_uid.as_str()), ("Doe^Jane", "1.2.840.99.8"));
    said(&appliance, &["live", "stop"]).await;
    appliance.stop().await.unwrap();
    let log = std::fs::read_to_string(appliance.log_file()).unwrap();
    for name in ["王", "XiaoDong", "Doe", "RIS-P"] {
        assert!(!log.contains(name), "the log names {name}: {log}");
    }
}

/// One list serves scanner and box: a site without an information system.
#[tokio::test(flavor = "multi_thread")]
async fn replay_scanner_and_box_that_take_their_patient_from_one_list_mean_the_same_study() {
    let Some(mut py) = Py::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (list, today) = (folder.path().join("list.csv"), Wall::default().local_date(0));
    let line = format!("P7,DOE^JANE,A-7,{today},0930,US\n");
    std::fs::write(&list, format!("patient_id,patient_name,accession_number,date,time,modality\n{line}")).unwrap();
    let (video, _) = record(Name::B, folder.path());
    let more = format!("worklist = {list:?}\n[dicom]\nworklist = true\n[[dicom.sender]]\nae_title = \"US1\"\n");
    let (mut appliance, live) = watching(&video, &more).await;

    let text =
        |vr: &str, value: &str| if value.is_empty() { json!({"vr": vr}) } else { json!({"vr": vr, "Value": [value]}) };
    let step = json!({"00080060": text("CS", "US"), "00400002": text("DA", &today)});
    let data =
        json!({"00100020": text("LO", ""), "0020000D": text("UI", ""), "00400100": {"vr": "SQ", "Value": [step]}});
    let to = json!(["127.0.0.1", appliance.address.port()]);
    let told = py.order(json!({"do": "find", "calling": "US1", "to": to, "data": data})).await;
    let study = told["found"][0]["study"].as_str().unwrap().to_owned();
    assert_eq!((told["found"][0]["id"].as_str(), told["statuses"].clone()), (Some("P7"), json!([0xff00, 0])), "{told}");

    said(&appliance, &["live", "start", "--accession", "A-7"]).await;
    let exam = Live::read(&live).await.unwrap().exam.unwrap();
    assert_eq!((exam.patient.id, exam.study_uid), ("P7".into(), study));
    said(&appliance, &["live", "stop"]).await;
    appliance.stop().await.unwrap();
    let log = std::fs::read_to_string(appliance.log_file()).unwrap();
    assert!(!log.contains("DOE^JANE") && !log.contains("A-7"), "{log}");
}
