//! Orthanc and the whole box: results by STOW-RS when the box is killed between the archive's answer and its row; and Orthanc's own
//! client of DICOMweb at the box.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::modality::Modality;
use hil_tests::part10::Instance;
use hil_tests::{deadline, tools};
use needs::peers::{Program, Service, tried};
use phantom::{Options, Phantom};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::reading::SETTLED_WITHIN;
use crate::support::Records;

#[allow(dead_code, clippy::expect_used, reason = "shared with the tests of the node")]
#[path = "../../../daemon/node/tests/it/orthanc.rs"]
pub mod orthanc;

mod fixtures {
    pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);
}

use orthanc::{Orthanc, USER};

/// One is enough to see a fault that is always there.
const ROUNDS: i64 = 6;

/// Between the box and Orthanc. When the counter has come to nought the next answer of Orthanc does not reach the box.
struct Between {
    left: AtomicI64,
    swallowed: Notify,
}

impl Between {
    async fn serve(self: Arc<Self>, listener: TcpListener, orthanc: SocketAddr) {
        loop {
            let (from_box, _) = listener.accept().await.unwrap();
            let between = self.clone();
            tokio::spawn(async move { between.pass(from_box, orthanc).await });
        }
    }

    async fn pass(&self, from_box: TcpStream, orthanc: SocketAddr) -> Option<()> {
        let upstream = TcpStream::connect(orthanc).await.ok()?;
        let (mut box_in, mut box_out) = from_box.into_split();
        let (mut up_in, mut up_out) = upstream.into_split();
        let up = tokio::spawn(async move { tokio::io::copy(&mut box_in, &mut up_out).await });
        let mut bytes = vec![0; 1 << 16];
        loop {
            let length = up_in.read(&mut bytes).await.ok().filter(|length| *length > 0)?;
            let is_head = bytes.starts_with(b"HTTP/1.1 ");
            if is_head && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.swallowed.notify_one();
                // Orthanc has done its work, and the box waits.
                let _ = up.await;
                return None;
            }
            box_out.write_all(&bytes[..length]).await.ok()?;
        }
    }
}

/// A phantom that lacks slices in its middle: it is refused with a report, which takes no time.
fn refused(seed: u64) -> Vec<Instance> {
    let options = Options { columns: 96, rows: 96, pixel_mm: 3.9, slices: 36, slice_mm: 8.0, ..Options::default() };
    let (study, _) = Phantom::chest(seed, &options).unwrap();
    let mut sent: Vec<_> = study.instances.iter().map(|one| Instance::from_part10(&one.part10).unwrap()).collect();
    sent.drain(17..=19);
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_answer_of_orthanc_and_its_row_the_box_loses_and_doubles_nothing() {
    let Some(orthanc) = Orthanc::start(json!({})).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, USER.1).unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let extra = format!(
        "[destination.pacs]\nurl = \"http://{}/dicom-web\"\nuser = \"{}\"\npassword_file = \"{}\"\naccepts_simulated = true\n\
         retry_secs = 0.2\nretry_max_secs = 1.0\n",
        listener.local_addr().unwrap(),
        USER.0,
        password.display()
    );
    let mut appliance = Appliance::start(&Setup { extra, ..Setup::default() }).await.unwrap();
    let between = Arc::new(Between { left: AtomicI64::new(1), swallowed: Notify::new() });
    tokio::spawn(between.clone().serve(listener, orthanc.http));
    let studies: i64 = 6;
    for seed in 1..=studies {
        let modality = Modality::new(appliance.address, "CT", Appliance::AE_TITLE);
        modality.send(&refused(u64::try_from(seed).unwrap()), |_, _| {}).await.unwrap();
    }
    let mut in_between = 0;
    for round in 1..=ROUNDS {
        let swallowed = tokio::time::timeout(SETTLED_WITHIN, between.swallowed.notified()).await;
        swallowed.unwrap_or_else(|_| panic!("round {round}: nothing is sent"));
        appliance.kill().await.unwrap();
        let delivered: BTreeSet<String> = {
            let made = Records::open(&appliance).unwrap().results().unwrap();
            made.into_iter().filter(|one| one.deliveries == ["delivered"]).map(|one| one.sop_uid).collect()
        };
        let there: BTreeSet<String> = orthanc.uids().await.into_iter().collect();
        assert!(delivered.is_subset(&there), "round {round}: what is delivered is there");
        in_between += usize::from(there.len() > delivered.len());
        // The next one: after this many answers.
        between.left.store(1 + round % 2, Ordering::SeqCst);
        appliance.restart().await.unwrap();
    }
    between.left.store(0, Ordering::SeqCst);
    assert!(in_between >= 2, "killed between the object and its row: {in_between} of {ROUNDS}");
    // An answer that was swallowed after the last round: the box waits for it no longer than its limit.
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    let records = Records::open(&appliance).unwrap();
    let all = usize::try_from(studies).unwrap();
    let settled = || records.is_settled(all).unwrap();
    deadline::until_true("all delivered", SETTLED_WITHIN, settled).await.unwrap();
    let proven = || records.commitments().unwrap().iter().all(|one| one.as_deref() == Some("committed"));
    deadline::until_true("all proven", SETTLED_WITHIN, proven).await.unwrap();
    let made = records.results().unwrap();
    assert!(made.len() >= all && made.iter().all(|one| one.deliveries == ["delivered"]), "{made:?}");
    let mut uids: Vec<_> = made.iter().map(|one| one.sop_uid.clone()).collect();
    uids.sort();
    assert_eq!(orthanc.uids().await, uids, "each once");
    for id in orthanc.instances().await {
        let uid = orthanc.get(&format!("/instances/{id}")).await["MainDicomTags"]["SOPInstanceUID"].clone();
        let (_, kept) = orthanc.request("GET", &format!("/instances/{id}/file"), "").await;
        let one = made.iter().find(|one| uid == one.sop_uid.as_str()).unwrap();
        assert_eq!(kept, std::fs::read(&one.file).unwrap(), "byte by byte: {}", one.kind);
    }

    // What the command line says of it: all steps pass; with a wrong password the login fails, by name.
    let echo = async || {
        let config = appliance.folder().join("config.d");
        let mut command = tokio::process::Command::new(tools::our_binary("scansidectl").unwrap());
        let output =
            command.arg("--json").args(["peers", "echo", "pacs", "--config"]).arg(config).output().await.unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (good, said) = echo().await;
    assert!(good && said.contains("\"store\""), "{said}");
    std::fs::write(&password, "hunter2").unwrap();
    let (good, said) = echo().await;
    assert!(!good && said.contains("login-refused") && !said.contains("hunter2"), "{said}");
    let log = std::fs::read_to_string(appliance.log_file()).unwrap();
    assert!(!log.contains(USER.1) && !log.contains("Ym94OnNlY3JldA"), "no password in the log");
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn orthancs_client_finds_and_fetches_what_the_box_has_by_dicomweb() {
    let sent = refused(5);
    let mut appliance = Appliance::start(&Setup::default()).await.unwrap();
    Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(&sent, |_, _| {}).await.unwrap();
    let records = Records::open(&appliance).unwrap();
    let done = || records.is_settled(1).unwrap();
    deadline::until_true("the verdict", SETTLED_WITHIN, done).await.unwrap();
    let url = format!("{}dicom-web/", appliance.page().unwrap());
    let web =
        json!({ "Enable": true, "Root": "/dicom-web/", "Servers": { "box": { "Url": url, "HasDelete": false } } });
    let Some(orthanc) = Orthanc::start(json!({ "DicomWeb": web })).await else { return };
    // Its plugin reads the list of servers a moment after Orthanc answers.
    let known = || async {
        let servers = orthanc.get("/dicom-web/servers").await;
        servers.as_array().is_some_and(|all| all.contains(&json!("box"))).then_some(())
    };
    deadline::until("Orthanc's list of servers", fixtures::PATIENCE, known).await.unwrap();
    let server = "/dicom-web/servers/box";
    let study = records.series().unwrap()[0].study_uid.clone();
    let asked = json!({ "Uri": "/studies", "Arguments": { "StudyInstanceUID": study } });
    let found = orthanc
        .post(&format!("{server}/qido"), &asked)
        .await
        .unwrap_or_else(|said| panic!("{said}\n{}", orthanc.log()));
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    let wanted = json!({ "Resources": [{ "Study": study }], "Synchronous": true });
    orthanc
        .post(&format!("{server}/retrieve"), &wanted)
        .await
        .unwrap_or_else(|said| panic!("{said}\n{}", orthanc.log()));
    let made = records.results().unwrap();
    let mut uids: Vec<_> = sent.iter().map(|one| one.sop_instance_uid.clone()).collect();
    uids.extend(made.iter().map(|one| one.sop_uid.clone()));
    uids.sort();
    assert_eq!(orthanc.uids().await, uids);
    tried(Program::Orthanc, &[Service::QidoIn, Service::WadoIn]);
    appliance.stop().await.unwrap();
}
