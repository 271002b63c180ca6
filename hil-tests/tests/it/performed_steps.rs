//! The box tells a manager (RIS) of its own exams (MPPS as SCU): in order, once, with every object, and never in an illegal state,
//! also when the box is killed or the manager is away at any instant. The manager is one that nobody here wrote.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use hal::clock::Wall;
use hil_tests::appliance::{Appliance, Setup};
use hil_tests::deadline;
use hil_tests::pacs::Pacs;
use phantom::ultrasound::layout::Name;
use scanside_client::{LiveProxy, Options, Stats, Status};
use serde_json::{Value, json};

use crate::commitment_kills::pynetdicom::Py;
use crate::live_support::{WITHIN, proxy, record, said, watching_with};

const REPORT: &str = "1.2.840.10008.5.1.4.1.1.88.34";
const DEVELOPED_WITHIN: Duration = Duration::from_secs(180);

/// Orders of today.
async fn worklist(py: &mut Py) -> u64 {
    let today = Wall::default().local_date(0);
    let entry = |number: u32| {
        json!({
            "root": {
                "PatientName": format!("Doe^Number{number}"), "PatientID": format!("RIS-P{number}"),
                "AccessionNumber": format!("A-{number}"), "StudyInstanceUID": format!("1.2.840.99.{number}"),
                "RequestedProcedureID": format!("RP-{number}"),
                "RequestedProcedureCodeSequence":
                    [{"CodeValue": "USB", "CodingSchemeDesignator": "99RIS", "CodeMeaning": "Breast ultrasound"}],
                "ReferencedStudySequence": [{"ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.1",
                                             "ReferencedSOPInstanceUID": format!("1.2.840.98.{number}")}],
            },
            "step": {
                "ScheduledProcedureStepStartDate": today, "ScheduledProcedureStepID": format!("S-{number}"),
                "ScheduledProtocolCodeSequence":
                    [{"CodeValue": "P1", "CodingSchemeDesignator": "99RIS", "CodeMeaning": "Both breasts"}],
            },
        })
    };
    let entries: Vec<Value> = (1..10).map(entry).collect();
    let order = json!({"do": "listen", "role": "worklist", "ae_title": "RIS", "entries": entries});
    py.order(order).await["port"].as_u64().unwrap()
}

async fn managing(py: &mut Py, port: u64, more: Value) -> u64 {
    let mut order = json!({"do": "listen", "role": "manager", "ae_title": "RIS", "port": port});
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    py.order(order).await["port"].as_u64().unwrap()
}

fn extra(worklist: u64, manager: u64) -> String {
    format!(
        "[worklist]\naddress = \"127.0.0.1:{worklist}\"\nae_title = \"RIS\"\ntimeout_secs = 5\n[mpps]\n\
         address = \"127.0.0.1:{manager}\"\nae_title = \"RIS\"\naccepts_simulated = true\nretry_secs = 0.2\nretry_max_secs = 1.0\n"
    )
}

/// Begins the exam of order `number`, and waits until it has pictures.
async fn exam(appliance: &Appliance, live: &LiveProxy<'_>, number: u32) {
    let listed = async || live.worklist().await.ok().filter(|(entries, _)| !entries.is_empty()).map(|_| ());
    deadline::until("the worklist", WITHIN, listed).await.unwrap();
    said(appliance, &["live", "start", "--accession", &format!("A-{number}")]).await;
    pictures(live).await;
}

async fn pictures(live: &LiveProxy<'_>) {
    let recorded = async || (Stats::read(live).await.unwrap().recorded >= 5).then_some(());
    deadline::until("five pictures on the disk", WITHIN, recorded).await.unwrap();
}

async fn status(appliance: &Appliance) -> Status {
    Status::read(&appliance.manager().await.unwrap()).await.unwrap()
}

/// The manager has been told all there is.
async fn all_told(appliance: &Appliance) {
    let told = async || {
        let now = status(appliance).await;
        (now.steps_waiting == 0 && now.steps_parked == 0).then_some(())
    };
    deadline::until("the manager to be told all", WITHIN, told).await.unwrap();
}

/// Whether the N-SET waits, of an exam that has come to its results while the manager is away.
async fn waits(appliance: &Appliance) {
    let waits = async || (status(appliance).await.steps_waiting > 0).then_some(());
    deadline::until("something to be told", DEVELOPED_WITHIN, waits).await.unwrap();
}

/// Killed and started again; pictures come.
async fn killed(appliance: &mut Appliance) -> LiveProxy<'static> {
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    proxy(appliance).await
}

/// Its value in the file of a received object.
fn dumped(path: &Path) -> String {
    let read = dicom_object::open_file(path).unwrap();
    format!("{:?}", read.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_a_manager_is_told_of_an_exam_of_the_worklist_with_every_object_and_of_no_other() {
    let (Some(mut ris), Some(mut py)) = (Py::start().await, Py::start().await) else { return };
    let folder = tempfile::tempdir().unwrap();
    let pacs = Pacs::start("ARCHIVE", &folder.path().join("archive")).await.unwrap();
    let (video, _) = record(Name::A, folder.path());
    let manager = managing(&mut py, 0, json!({})).await;
    let more = extra(worklist(&mut ris).await, manager);
    let setup = Setup { destinations: vec![("pacs".into(), pacs.ae_title.clone(), pacs.address)], ..Setup::default() };
    let (mut appliance, live) = watching_with(&video, &more, setup).await;

    // Not of the worklist: nothing is told.
    live.start_exam(Options::from([("id", "P-TYPED".into()), ("name", "TYPED^PATIENT".into())])).await.unwrap();
    pictures(&live).await;
    live.stop_exam().await.unwrap();
    exam(&appliance, &live, 1).await;
    let begun = py.event("created").await;
    assert_eq!(begun["answer"], 0, "{begun}");
    let data = &begun["data"];
    let scheduled = &data["00400270"]["Value"][0];
    for (tag, value) in [
        ("0020000D", "1.2.840.99.1"),
        ("00080050", "A-1"),
        ("00401001", "RP-1"),
        ("00400009", "S-1"),
        ("00321060", "breast"),
        ("00400007", "breast, both"),
    ] {
        assert_eq!(scheduled[tag]["Value"][0], value, "{tag}: {scheduled}");
    }
    assert_eq!(scheduled["00081110"]["Value"][0]["00081155"]["Value"][0], "1.2.840.98.1");
    assert_eq!(scheduled["00400008"]["Value"][0]["00080100"]["Value"][0], "P1");
    assert_eq!(scheduled["00321064"]["Value"][0]["00080100"]["Value"][0], "USB");
    assert_eq!((&data["00100020"]["Value"][0], &data["00100040"]["Value"][0]), (&json!("RIS-P1"), &json!("F")));
    live.stop_exam().await.unwrap();
    let ended = py.event("set").await;
    assert_eq!((&ended["answer"], &ended["uid"]), (&json!(0), &begun["uid"]), "{ended}");
    all_told(&appliance).await;

    let known = py.order(json!({"do": "steps"})).await;
    assert_eq!(known["illegal"], json!([]));
    let steps = known["steps"].as_object().unwrap();
    assert_eq!(steps.len(), 1, "only the exam of the worklist: {known}");
    let step = steps.values().next().unwrap();
    assert_eq!((step["state"].as_str(), step["sets"].as_u64()), (Some("COMPLETED"), Some(1)));
    let named: BTreeSet<&str> = step["objects"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let reports = || pacs.received().iter().filter(|one| one.sop_class_uid == REPORT).count() == 2;
    deadline::until_true("both reports at the archive", DEVELOPED_WITHIN, reports).await.unwrap();
    let received = pacs.received();
    let of_the_exam: Vec<_> = received.iter().filter(|one| dumped(&one.path).contains("1.2.840.99.1")).collect();
    let delivered: BTreeSet<&str> = of_the_exam.iter().map(|one| one.sop_instance_uid.as_str()).collect();
    assert_eq!(named, delivered, "all that reached the archive, and nothing else");
    for one in of_the_exam {
        let dump = dumped(&one.path);
        assert!(dump.contains("RP-1") && dump.contains("USB"), "{} says what was asked for", one.sop_class_uid);
    }
    let study = said(&appliance, &["journal", "1.2.840.99.1"]).await;
    assert!(study.contains("told that the exam began") && study.contains("told that the exam ended"), "{study}");
    appliance.stop().await.unwrap();
    let log = std::fs::read_to_string(appliance.log_file()).unwrap();
    assert!(!log.contains("Number1") && !log.contains("RIS-P1"), "the log names nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_no_kill_at_any_instant_makes_a_second_step_or_an_illegal_state() {
    let (Some(mut ris), Some(mut py)) = (Py::start().await, Py::start().await) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (video, _) = record(Name::B, folder.path());
    let port = managing(&mut py, 0, json!({})).await;
    py.order(json!({"do": "close"})).await;
    let more = extra(worklist(&mut ris).await, port);
    let (mut appliance, live) = watching_with(&video, &more, Setup::default()).await;

    // 1. Between the beginning of the exam and the N-CREATE: the manager is away, and the box is killed.
    exam(&appliance, &live, 1).await;
    waits(&appliance).await;
    let live = killed(&mut appliance).await;
    managing(&mut py, port, json!({})).await;
    let begun = py.event("created").await;
    assert_eq!(py.event("set").await["uid"], begun["uid"]);
    all_told(&appliance).await;

    // 2. Between the N-CREATE and its row: the manager has it, its answer does not come, and the box is killed.
    py.order(json!({"do": "close"})).await;
    managing(&mut py, port, json!({"holds": {"created": 1}})).await;
    exam(&appliance, &live, 2).await;
    let begun = py.event("created").await;
    assert_eq!(begun["answer"], 0);
    let live = killed(&mut appliance).await;
    let again = py.event("created").await;
    assert_eq!((&again["uid"], &again["answer"]), (&begun["uid"], &json!(0x0111)), "the same step, which exists");
    assert_eq!(py.event("set").await["answer"], 0);
    py.order(json!({"do": "answer"})).await;
    all_told(&appliance).await;

    // 3. Between the end of the exam and the N-SET: the manager is away, the results are made, and the box is killed.
    exam(&appliance, &live, 3).await;
    assert_eq!(py.event("created").await["answer"], 0);
    py.order(json!({"do": "close"})).await;
    live.stop_exam().await.unwrap();
    waits(&appliance).await;
    let live = killed(&mut appliance).await;
    managing(&mut py, port, json!({"holds": {"set": 1}})).await;
    // 4. Between the N-SET and its row.
    let ended = py.event("set").await;
    assert_eq!(ended["answer"], 0);
    drop(live);
    let live = killed(&mut appliance).await;
    let again = py.event("set").await;
    assert_eq!((&again["uid"], &again["answer"]), (&ended["uid"], &json!(0x0110)), "it is final");
    py.order(json!({"do": "answer"})).await;
    all_told(&appliance).await;

    // 5. A manager that was away all the time is told from begin to end, in the order of the exams.
    py.order(json!({"do": "close"})).await;
    for number in [4, 5] {
        exam(&appliance, &live, number).await;
        live.stop_exam().await.unwrap();
    }
    let both = async || {
        let now = status(&appliance).await;
        (now.steps_waiting == 2 && now.jobs_queued == 0 && now.jobs_running == 0).then_some(())
    };
    if let Err(error) = deadline::until("two exams with results", DEVELOPED_WITHIN, both).await {
        let log = std::fs::read_to_string(appliance.log_file()).unwrap();
        panic!("{error}\n{:?}\n{log}", status(&appliance).await);
    }
    managing(&mut py, port, json!({})).await;
    let mut uids = Vec::new();
    for kind in ["created", "set", "created", "set"] {
        let event = py.event(kind).await;
        assert_eq!(event["answer"], 0, "{event}");
        uids.push(event["uid"].clone());
    }
    assert!(uids[0] == uids[1] && uids[2] == uids[3] && uids[0] != uids[2], "{uids:?}");
    all_told(&appliance).await;

    let known = py.order(json!({"do": "steps"})).await;
    assert_eq!(known["illegal"], json!([]), "{known}");
    let mut states: Vec<_> = known["steps"].as_object().unwrap().values().map(|step| step["state"].clone()).collect();
    states.sort_by_key(Value::to_string);
    // Of each exam one step; the two in which the box was killed are discontinued, with a reason and what was made.
    assert_eq!(states, ["COMPLETED", "COMPLETED", "COMPLETED", "DISCONTINUED", "DISCONTINUED"]);
    for step in known["steps"].as_object().unwrap().values() {
        assert_eq!(step["sets"], 1, "{known}");
        assert!(!step["objects"].as_array().unwrap().is_empty(), "{known}");
        let why = if step["state"] == "DISCONTINUED" { json!(["110501"]) } else { json!([]) };
        assert_eq!(step["why"], why);
    }
    appliance.stop().await.unwrap();
}
