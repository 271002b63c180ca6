//! The box performs tasks that a manager schedules (Unified Procedure Steps): it claims each once, ends it with what an archive has
//! taken or with a reason, and makes no illegal move, also when it is killed or an answer is lost at any step. The manager is a script with
//! the state machine of the standard (`ups_manager.py`), on pynetdicom.

use std::collections::BTreeSet;
use std::time::Duration;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use hil_tests::appliance::{Appliance, Setup};
use hil_tests::deadline;
use hil_tests::modality::Modality;
use hil_tests::pacs::{Conduct, Pacs};
use hil_tests::part10::Instance;
use needs::peers::{Program, Service, tried};
use phantom::{Options, Phantom};
use serde_json::{Value, json};

use crate::commitment_kills::pynetdicom::Py;
use crate::orthanc_box::orthanc::Orthanc;

const WITHIN: Duration = Duration::from_secs(180);
const SCRIPT: &str = "hil-tests/tests/it/ups_manager.py";

struct Study {
    uid: String,
    series: String,
    objects: Vec<(String, String)>,
    instances: Vec<Instance>,
}

/// The slices of a chest CT, without its localiser.
fn chest(seed: u64) -> Study {
    let options = Options { columns: 96, rows: 96, pixel_mm: 3.9, slices: 36, slice_mm: 8.0, ..Options::default() };
    let (study, _) = Phantom::chest(seed, &options).unwrap();
    let mut made = Study { uid: String::new(), series: String::new(), objects: Vec::new(), instances: Vec::new() };
    for one in study.instances {
        let mut object = dicom_object::from_reader(one.part10.as_slice()).unwrap();
        for (tag, vr, value) in [
            (tags::PATIENT_ID, VR::LO, "P-1"),
            (tags::PATIENT_NAME, VR::PN, "Zhang^San"),
            (tags::PATIENT_BIRTH_DATE, VR::DA, "19600229"),
            (tags::PATIENT_SEX, VR::CS, "M"),
        ] {
            object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        }
        let mut bytes = Vec::new();
        object.write_all(&mut bytes).unwrap();
        let text =
            |name: &str| object.element_by_name(name).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned();
        if text("ImageType").contains("LOCALIZER") {
            continue;
        }
        (made.uid, made.series) = (text("StudyInstanceUID"), text("SeriesInstanceUID"));
        made.objects.push((text("SOPClassUID"), text("SOPInstanceUID")));
        made.instances.push(Instance::from_part10(&bytes).unwrap());
    }
    made
}

fn sequence(items: Vec<Value>) -> Value {
    json!({"vr": "SQ", "Value": items})
}

fn value(vr: &str, text: &str) -> Value {
    json!({"vr": vr, "Value": [text]})
}

fn code(text: &str, scheme: &str) -> Value {
    json!({"00080100": value("SH", text), "00080102": value("SH", scheme), "00080104": value("LO", "a code")})
}

/// A task on these objects, as DICOM JSON.
fn task(workitem: &str, station: &str, study: &str, series: &str, objects: &[(String, String)]) -> Value {
    let reference =
        |(class, uid): &(String, String)| json!({"00081150": value("UI", class), "00081155": value("UI", uid)});
    let input = json!({
        "0020000D": value("UI", study), "0020000E": value("UI", series), "0040E020": value("CS", "DICOM"),
        "00081199": sequence(objects.iter().map(reference).collect()),
    });
    json!({
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Zhang^San"}]}, "00100020": value("LO", "P-1"),
        "00100030": value("DA", "19600229"), "00100040": value("CS", "M"), "00741204": value("LO", "chest CAD"), "00404041": value("CS", "READY"),
        "00404018": sequence(vec![code(workitem, "DCM")]),
        "00404025": sequence(vec![code(station, "99SITE")]),
        "00404021": sequence(vec![input]),
    })
}

/// Box, manager and archive.
struct Site {
    py: Py,
    /// Of the manager.
    port: u64,
    appliance: Appliance,
    pacs: Pacs,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn start(more: &str) -> Option<Self> {
        let mut py = Py::start_script(SCRIPT).await?;
        let port = py.order(json!({"do": "listen", "port": 0})).await["port"].as_u64().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let pacs = Pacs::start("ARCHIVE", folder.path()).await.unwrap();
        let extra = format!(
            "[ups]\naddress = \"127.0.0.1:{port}\"\nae_title = \"UPSMAN\"\nstation = \"BOX1\"\npoll_secs = 0.3\nretry_max_secs = 1.0\n{more}"
        );
        let destinations = vec![("pacs".into(), pacs.ae_title.clone(), pacs.address)];
        let appliance = Appliance::start(&Setup { extra, destinations, ..Setup::coarse() }).await.unwrap();
        Some(Self { py, port, appliance, pacs, _folder: folder })
    }

    async fn add(&mut self, uid: &str, data: Value) {
        self.py.order(json!({"do": "add", "uid": uid, "data": data})).await;
    }

    /// How a task stands at the manager, which has seen no illegal move.
    async fn stands(&mut self, uid: &str) -> Value {
        let known = self.py.order(json!({"do": "tasks"})).await;
        assert_eq!(known["illegal"], json!([]), "{known}");
        known["tasks"][uid].clone()
    }

    async fn until(&mut self, uid: &str, state: &str) -> Value {
        let end = tokio::time::Instant::now() + WITHIN;
        loop {
            let now = self.stands(uid).await;
            if now["state"] == state {
                return now;
            }
            assert!(tokio::time::Instant::now() < end, "{uid} is not {state}: {now}\n{}", self.appliance.log_tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn send(&self, study: &Study) {
        Modality::new(self.appliance.address, "CT", Appliance::AE_TITLE)
            .send(&study.instances, |_, _| {})
            .await
            .unwrap();
    }

    /// What the box wrote down of a task when it closed it.
    async fn closed(&self, uid: &str) -> String {
        let rows = rusqlite::Connection::open(self.appliance.database()).unwrap();
        rows.busy_timeout(Duration::from_secs(30)).unwrap();
        let sql = "SELECT e.what || ': ' || e.detail FROM events e JOIN ups_tasks t ON e.subject = 'task/' || t.id \
                   WHERE t.sop_uid = ?1 AND t.state = 'closed' ORDER BY e.id DESC LIMIT 1";
        let closed = async || rows.query_row(sql, [uid], |row| row.get::<_, String>(0)).ok();
        deadline::until("the task to be closed", WITHIN, closed).await.unwrap()
    }

    fn outputs(stands: &Value) -> BTreeSet<String> {
        stands["outputs"].as_array().unwrap().iter().map(|uid| uid.as_str().unwrap().to_owned()).collect()
    }

    fn archived(&self) -> BTreeSet<String> {
        self.pacs.received().into_iter().map(|one| one.sop_instance_uid).collect()
    }

    async fn killed(&mut self) {
        self.appliance.kill().await.unwrap();
        self.appliance.restart().await.unwrap();
    }
}

/// Promise: a task for this box is claimed once, its progress is told, and it is completed with exactly what the archive has taken. Tasks for
/// others are left alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_claimed_performed_and_completed_with_what_the_archive_has_taken() {
    let Some(mut site) = Site::start("").await else { return };
    let study = chest(21);
    site.add("2.25.901", task("110004", "BOX1", &study.uid, &study.series, &study.objects)).await;
    site.add("2.25.902", task("110005", "BOX1", &study.uid, &study.series, &study.objects)).await;
    site.add("2.25.903", task("110004", "BOX2", &study.uid, &study.series, &study.objects)).await;
    site.until("2.25.901", "IN PROGRESS").await;
    site.send(&study).await;
    let done = site.until("2.25.901", "COMPLETED").await;
    assert_eq!(done["claims"], 1);
    assert!(done["progress"].as_array().unwrap().len() >= 2, "{done}");
    let outputs = Site::outputs(&done);
    assert!(!outputs.is_empty());
    assert_eq!(outputs, site.archived());
    assert!(done["places"].as_array().unwrap().iter().all(|title| title == "ARCHIVE"), "{done}");
    for uid in ["2.25.902", "2.25.903"] {
        let left = site.stands(uid).await;
        assert_eq!((&left["state"], &left["claims"]), (&json!("SCHEDULED"), &json!(0)), "{uid}");
    }
    assert!(site.closed("2.25.901").await.starts_with("a task was completed"));
    // A second task on what is read already needs nothing new.
    site.add("2.25.904", task("110003", "BOX1", &study.uid, &study.series, &[])).await;
    assert_eq!(Site::outputs(&site.until("2.25.904", "COMPLETED").await), outputs);
    tried(Program::Pynetdicom, &[Service::TasksOut]);
}

/// Promise: nothing is completed without results that can be had: while no archive takes them the task stays in progress, also over a restart and
/// while the manager is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_not_completed_before_an_archive_has_its_results() {
    let Some(mut site) = Site::start("").await else { return };
    site.pacs.behave(Conduct::Refuse(0xA700));
    let study = chest(28);
    site.add("2.25.961", task("110004", "BOX1", &study.uid, &study.series, &study.objects)).await;
    site.send(&study).await;
    while site.py.event("set").await["progress"] != json!([90]) {}
    site.killed().await;
    site.py.order(json!({"do": "close"})).await;
    assert_eq!(site.stands("2.25.961").await["state"], "IN PROGRESS");
    site.pacs.behave(Conduct::Accept);
    let there = || site.pacs.received().len() > 2;
    deadline::until_true("the results at the archive", WITHIN, there).await.unwrap();
    assert_eq!(site.stands("2.25.961").await["state"], "IN PROGRESS", "the manager is away");
    site.py.order(json!({"do": "listen", "port": site.port})).await;
    let done = site.until("2.25.961", "COMPLETED").await;
    assert_eq!(Site::outputs(&done), site.archived());
}

/// Promise: whatever message the box was killed after, with or without its answer, the task has one claim under one transaction UID, and is
/// completed once, with its results.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_any_message_leaves_one_claim_and_one_end() {
    let Some(mut site) = Site::start("").await else { return };
    let study = chest(22);
    for what in ["claimed", "set", "completed"] {
        site.py.order(json!({"do": "lose", "what": what, "times": 1})).await;
    }
    site.add("2.25.911", task("110004", "BOX1", &study.uid, &study.series, &study.objects)).await;
    let first = site.py.event("claimed").await;
    site.killed().await;
    // Its answer was lost: the box asks again under the same transaction UID.
    let again = site.py.event("claimed").await;
    assert_eq!((&again["transaction"], &again["answer"]), (&first["transaction"], &json!(0xC302)));
    site.py.event("set").await;
    site.killed().await;
    site.send(&study).await;
    site.py.event("set").await;
    site.killed().await;
    site.py.event("completed").await;
    site.killed().await;
    let done = site.until("2.25.911", "COMPLETED").await;
    assert_eq!((&done["claims"], &done["transaction"]), (&json!(1), &first["transaction"]));
    assert!(!Site::outputs(&done).is_empty());
    assert_eq!(Site::outputs(&done), site.archived());
    assert!(site.closed("2.25.911").await.contains("the manager had it before"));
}

/// Promise: a claim outlives database and copy: the task is not left in progress for ever, and it is completed under the transaction UID of
/// its one claim.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_outlives_a_database_that_is_built_again() {
    let Some(mut site) = Site::start("").await else { return };
    site.pacs.behave(Conduct::Refuse(0xA700));
    let study = chest(29);
    site.add("2.25.971", task("110004", "BOX1", &study.uid, &study.series, &study.objects)).await;
    let claimed = site.py.event("claimed").await;
    site.send(&study).await;
    while site.py.event("set").await["progress"] != json!([90]) {}
    site.appliance.kill().await.unwrap();
    let database = site.appliance.database();
    for suffix in ["", "-wal", "-shm", ".copy"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", database.display()));
    }
    site.pacs.behave(Conduct::Accept);
    site.appliance.restart().await.unwrap();
    let done = site.until("2.25.971", "COMPLETED").await;
    assert_eq!((&done["claims"], &done["transaction"]), (&json!(1), &claimed["transaction"]));
    assert!(!Site::outputs(&done).is_empty());
    assert_eq!(Site::outputs(&done), site.archived());
}

/// Promise: nobody's task is taken from them. What another performer has claimed is left alone, also when both claimed at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_somebody_else_has_claimed_is_left_alone() {
    let Some(mut site) = Site::start("").await else { return };
    let study = chest(23);
    // The answer to our claim is lost, and while the box is dead the task becomes somebody else's.
    site.py.order(json!({"do": "lose", "what": "claimed", "times": 1})).await;
    site.add("2.25.921", task("110004", "BOX1", &study.uid, &study.series, &study.objects)).await;
    site.py.event("claimed").await;
    site.appliance.kill().await.unwrap();
    site.py.order(json!({"do": "claim", "uid": "2.25.921"})).await;
    let theirs = site.stands("2.25.921").await["transaction"].clone();
    site.appliance.restart().await.unwrap();
    assert!(site.closed("2.25.921").await.starts_with("a task is somebody else's"));
    let left = site.stands("2.25.921").await;
    assert_eq!((&left["state"], &left["transaction"], &left["progress"]), (&json!("IN PROGRESS"), &theirs, &json!([])));
}

/// Promise: a task ends with a reason when its input does not come, when it is not wanted any more, and when nothing can be read of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_comes_to_nothing_is_canceled_with_its_reason() {
    let Some(mut site) = Site::start("input_wait_secs = 3\n").await else { return };
    let (study, other) = (chest(24), chest(25));
    site.add("2.25.931", task("110004", "BOX1", &study.uid, &study.series, &study.objects)).await;
    let late = site.until("2.25.931", "CANCELED").await;
    assert_eq!((&late["why"], &late["outputs"]), (&json!(["110523"]), &json!([])));
    // Three slices of which nothing can be read.
    let part = Study { instances: other.instances[..3].to_vec(), objects: other.objects[..3].to_vec(), ..other };
    site.send(&part).await;
    site.add("2.25.932", task("110004", "BOX1", &part.uid, &part.series, &part.objects)).await;
    let refused = site.until("2.25.932", "CANCELED").await;
    assert_eq!((&refused["why"], &refused["outputs"]), (&json!(["110522"]), &json!([])), "{refused}");
}

/// Promise: a wish to cancel that the manager has written down ends the task.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_not_wanted_any_more_is_canceled() {
    let Some(mut site) = Site::start("").await else { return };
    let study = chest(26);
    site.add("2.25.941", task("110004", "BOX1", &study.uid, &study.series, &study.objects)).await;
    site.until("2.25.941", "IN PROGRESS").await;
    site.py.order(json!({"do": "cancel", "uid": "2.25.941"})).await;
    let canceled = site.until("2.25.941", "CANCELED").await;
    assert_eq!((&canceled["why"], &canceled["outputs"]), (&json!(["110513"]), &json!([])));
}

/// Promise: input that is not here is fetched from the archive, and its results are delivered: somebody has ordered them.
#[tokio::test(flavor = "multi_thread")]
async fn input_that_is_not_here_is_fetched_from_the_archive() {
    let allow = json!({ "DicomAlwaysAllowFind": true, "DicomAlwaysAllowGet": true });
    let Some(orthanc) = Orthanc::start(allow).await else { return };
    let study = chest(27);
    Modality::new(orthanc.dicom, "CT", Orthanc::AE_TITLE).send(&study.instances, |_, _| {}).await.unwrap();
    let more = format!("[prior]\naddress = \"127.0.0.1:{}\"\nae_title = \"ORTHANC\"\n", orthanc.dicom.port());
    let Some(mut site) = Site::start(&more).await else { return };
    site.add("2.25.951", task("110004", "BOX1", &study.uid, &study.series, &study.objects)).await;
    let done = site.until("2.25.951", "COMPLETED").await;
    assert!(!Site::outputs(&done).is_empty());
    assert_eq!(Site::outputs(&done), site.archived());
}
