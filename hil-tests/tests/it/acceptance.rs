//! `scansidectl acceptance` on a running box with a real archive: it passes, and when one thing is wrong the line of that thing
//! fails.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::browser::Browser;
use hil_tests::pacs::{Conduct, Pacs};
use hil_tests::{coarse, tools};
use needs::Lack;
use serde_json::Value;
use tempfile::tempdir;

const WITHIN: Duration = Duration::from_secs(300);
/// Whether these pass depends on the machine that runs the tests.
const OF_THE_MACHINE: [&str; 5] = ["disk-speed", "disk-room", "heat", "throttling", "clock"];

/// Started twice, so that its configuration is older than it.
async fn appliance(setup: &Setup) -> Appliance {
    let mut appliance = Appliance::start(setup).await.unwrap();
    appliance.stop().await.unwrap();
    appliance.restart().await.unwrap();
    appliance
}

async fn scansidectl(appliance: &Appliance, arguments: &[&str]) -> Output {
    let config = appliance.folder().join("config.d");
    let run = tokio::process::Command::new(tools::our_binary("scansidectl").unwrap())
        .args(["--json", "--bus", &appliance.bus.address, "acceptance"])
        .args(arguments)
        .args(if arguments.first().is_some_and(|first| ["verify", "key"].contains(first)) {
            Vec::new()
        } else {
            vec!["--config".to_owned(), config.display().to_string(), "--video".to_owned(), "1".to_owned()]
        })
        .env("LC_ALL", "C")
        .env("SCANSIDE_ONNXRUNTIME", tools::onnxruntime())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(WITHIN, run).await.unwrap().unwrap()
}

struct Tested {
    code: Option<i32>,
    report: Value,
    notes: String,
}

async fn test(appliance: &Appliance, arguments: &[&str]) -> Tested {
    let output = scansidectl(appliance, arguments).await;
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout);
    Tested { code: output.status.code(), report: report.unwrap_or_else(|error| panic!("{error}: {notes}")), notes }
}

impl Tested {
    fn line(&self, code: &str) -> &Value {
        let lines = self.report["lines"].as_array().unwrap();
        lines.iter().find(|line| line["code"] == code).unwrap_or_else(|| panic!("{code}: {:#}", self.report["lines"]))
    }

    fn seen(&self, code: &str) -> String {
        let line = self.line(code);
        format!("{} | {}", line["seen"]["en"].as_str().unwrap(), line["remedy"]["en"].as_str().unwrap())
    }

    /// Codes of the lines that failed, without those of this machine.
    fn failed(&self) -> Vec<String> {
        let lines = self.report["lines"].as_array().unwrap().iter();
        let failed =
            lines.filter(|line| line["outcome"] == "fail").map(|line| line["code"].as_str().unwrap().to_owned());
        failed.filter(|code| !OF_THE_MACHINE.contains(&code.as_str())).collect()
    }
}

fn box_with(pacs: &Pacs) -> Setup {
    Setup {
        destinations: vec![("pacs".into(), "PACS".into(), pacs.address)],
        extra: "[device]\nserial_number = \"SN-7\"\n".into(),
        ..Setup::coarse()
    }
}

/// Figures of days on which everything took one millisecond.
fn write_fast_days(keep: &Path) {
    std::fs::create_dir_all(keep).unwrap();
    let day = |day: u32| {
        format!(
            "{{\"utc\":\"2026-01-{day:02}T03:00:00Z\",\"passed\":true,\"figures\":[[\"stage:verdict\",1.0],[\"disk:speed\",1.0]]}}\n"
        )
    };
    std::fs::write(keep.join("history.jsonl"), (10..16).map(day).collect::<String>()).unwrap();
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut named: Vec<_> = all.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    named.sort();
    named
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_that_works_passes_with_a_signed_report_and_fails_at_the_archive_when_that_is_gone() {
    let folder = tempdir().unwrap();
    let pacs = Pacs::start("PACS", &folder.path().join("pacs")).await.unwrap();
    let appliance = appliance(&box_with(&pacs)).await;
    let (reports, keep) = (folder.path().join("reports"), folder.path().join("keep"));
    write_fast_days(&keep);
    let (to, kept) = (reports.display().to_string(), keep.display().to_string());

    let tested = test(&appliance, &["--report", &to, "--by", "Li Ming", "--daily", "--keep", &kept]).await;
    assert_eq!(tested.failed(), Vec::<String>::new(), "{:#}", tested.report["lines"]);
    for passed in
        ["configuration", "daemon", "devices", "package:ct-chest", "receive", "analyse", "deliver:pacs", "echo:pacs"]
    {
        assert_eq!(tested.line(passed)["outcome"], "pass", "{passed}: {}", tested.seen(passed));
    }
    for not in ["video", "overlay", "certificates", "power"] {
        assert_eq!(tested.line(not)["outcome"], "not_tested", "{not}: {}", tested.seen(not));
    }
    assert_eq!(tested.code, Some(i32::from(tested.report["outcome"] == "fail")));
    archive_sees_a_test_object(&pacs);
    drifts_are_told(&tested, &keep);
    report_is_signed(&appliance, &reports).await;
    page_is_whole(&files(&reports, ".zh.html")[0]).await;
    trail_has_it(&appliance).await;

    pacs.behave(Conduct::Vanish);
    let tested = test(&appliance, &["--within", "60"]).await;
    assert_eq!((tested.failed(), tested.code), (vec!["deliver:pacs".to_owned(), "echo:pacs".to_owned()], Some(1)));
    assert!(tested.seen("echo:pacs").contains("no program listens"), "{}", tested.seen("echo:pacs"));
    assert_eq!(tested.line("analyse")["outcome"], "pass", "what is before the archive works");
}

/// Every object of the test says that it is no patient's.
fn archive_sees_a_test_object(pacs: &Pacs) {
    let received = pacs.received();
    assert!(received.len() > 2, "{} objects", received.len());
    for object in received {
        let bytes = std::fs::read(&object.path).unwrap();
        let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(has(b"TEST^ACCEPTANCE^NOT A PATIENT") && has(b"TEST-ACCEPTANCE"), "{:?}", object.path);
        // (0010,0200) Quality Control Subject, CS, 4 bytes: YES.
        assert!(has(b"\x10\x00\x00\x02CS\x04\x00YES "), "{:?}", object.path);
    }
}

/// Of the days before all took a millisecond, and the disk wrote a byte a second.
fn drifts_are_told(tested: &Tested, keep: &Path) {
    let drifts: Vec<_> =
        tested.report["drifts"].as_array().unwrap().iter().map(|drift| drift["code"].clone()).collect();
    assert_eq!(drifts, ["stage:verdict"], "a faster disk is no drift");
    assert!(tested.notes.contains("drift: last image to verdict"), "{}", tested.notes);
    let history = std::fs::read_to_string(keep.join("history.jsonl")).unwrap();
    assert_eq!(history.lines().count(), 7, "today was added");
    assert_eq!(files(&keep.join("reports"), ".json").len(), 1);
}

async fn report_is_signed(appliance: &Appliance, reports: &Path) {
    let (documents, signatures) = (files(reports, ""), files(reports, ".minisig"));
    assert_eq!((documents.len(), signatures.len()), (10, 5));
    let key = scansidectl(appliance, &["key"]).await;
    let key: Value = serde_json::from_slice(&key.stdout).unwrap();
    let public = reports.join("box.pub");
    std::fs::write(&public, key["public_key"].as_str().unwrap()).unwrap();
    let public = public.display().to_string();
    for document in documents.iter().filter(|path| path.extension().is_none_or(|ending| ending != "minisig")) {
        let file = document.display().to_string();
        let good = scansidectl(appliance, &["verify", &file]).await;
        let said: Value = serde_json::from_slice(&good.stdout).unwrap();
        assert!(good.status.success(), "{file}");
        assert_eq!((&said["signed"]["box"], &said["signed"]["result"].is_string()), (&Value::from("SN-7"), &true));
        assert!(said["signed"]["by"].as_str().unwrap().starts_with("user "), "{said}");
        let mut bytes = std::fs::read(document).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(document, &bytes).unwrap();
        let bad = scansidectl(appliance, &["verify", &file, "--key", &public]).await;
        assert!(!bad.status.success(), "{file} was changed");
        bytes[last] ^= 1;
        std::fs::write(document, &bytes).unwrap();
    }
    other_programs_can_check_it(&documents[0], &public);
}

/// minisign itself, where it is installed.
fn other_programs_can_check_it(document: &Path, public: &str) {
    let run = std::process::Command::new("minisign").args(["-V", "-p", public, "-m"]).arg(document).output();
    match run {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => eprintln!("minisign is not installed: not compared with it"),
    }
}

/// The page is in its language, complains of nothing and asks nobody for anything.
async fn page_is_whole(page: &Path) {
    let Some(mut browser) = Browser::start(1200, 1600).await.unwrap() else {
        needs::skip(Lack::Software, "chromium is not installed");
        return;
    };
    browser.open(&format!("file://{}", page.display())).await.unwrap();
    let passed = "document.querySelectorAll('.lines tr.pass').length >= 8";
    browser.wait("the lines that passed", Duration::from_secs(60), passed).await.unwrap();
    assert_eq!(browser.evaluate("document.documentElement.lang").await.unwrap(), "zh-CN");
    let asked: Vec<&String> = browser.addresses().iter().filter(|address| !address.starts_with("file:")).collect();
    assert!(asked.is_empty(), "{asked:?}");
}

async fn trail_has_it(appliance: &Appliance) {
    let rows = appliance.manager().await.unwrap().list_audit(scanside_client::Options::new()).await.unwrap();
    let of: Vec<&str> = rows.iter().filter(|row| row.what == "acceptance").map(|row| row.object.as_str()).collect();
    // The newest first; the report was written twice.
    assert_eq!(of.len(), 3, "{of:?}");
    assert!(of[0].contains(".json sha256 ") && of[2] == "acceptance test begins, results are delivered", "{of:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_title_is_the_line_of_the_dicom_port_and_a_test_study_that_is_to_stay_reaches_no_archive() {
    let folder = tempdir().unwrap();
    let pacs = Pacs::start("PACS", folder.path()).await.unwrap();
    let mut appliance = appliance(&box_with(&pacs)).await;
    let tested = test(&appliance, &["--to", "OTHER"]).await;
    assert_eq!((tested.failed(), tested.code), (vec!["receive".to_owned()], Some(1)));
    assert!(tested.seen("receive").contains("OTHER"), "{}", tested.seen("receive"));
    assert_eq!(tested.line("analyse")["outcome"], "not_tested");

    let tested = test(&appliance, &["--no-delivery"]).await;
    assert_eq!(tested.failed(), Vec::<String>::new(), "{:#}", tested.report["lines"]);
    assert_eq!(tested.line("deliver")["outcome"], "not_tested");
    let study = tested.report["study_uid"].as_str().unwrap().to_owned();
    let deliveries = async |appliance: &Appliance| {
        let of = scanside_client::Options::from([("study_uid", study.as_str().into())]);
        appliance.manager().await.unwrap().list_deliveries(of).await.unwrap().len()
    };
    assert_eq!(deliveries(&appliance).await, 0);
    // Neither a restart nor another analysis forgets it.
    appliance.stop().await.unwrap();
    appliance.restart().await.unwrap();
    let rerun = tokio::process::Command::new(tools::our_binary("scansidectl").unwrap())
        .args(["--bus", &appliance.bus.address, "studies", "rerun", &study, "--wait"])
        .output();
    let rerun = tokio::time::timeout(WITHIN, rerun).await.unwrap().unwrap();
    assert!(rerun.status.success(), "{}", String::from_utf8_lossy(&rerun.stderr));
    assert_eq!((deliveries(&appliance).await, pacs.received().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_package_and_a_sender_list_without_the_box_are_two_lines_with_their_remedies() {
    let folder = tempdir().unwrap();
    let packages = folder.path().join("packages");
    coarse::copy(&tools::workspace().join("models/packages"), &packages).unwrap();
    let pacs = Pacs::start("PACS", &folder.path().join("pacs")).await.unwrap();
    let senders = "[[dicom.sender]]\nae_title = \"CT1\"\naddress = \"192.0.2.7\"\n";
    let appliance =
        appliance(&Setup { packages: packages.clone(), coarse: false, extra: senders.into(), ..box_with(&pacs) }).await;
    let network = packages.join("ct-chest/chest.onnx");
    let mut bytes = std::fs::read(&network).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    std::fs::remove_file(&network).unwrap();
    std::fs::write(&network, bytes).unwrap();

    let tested = test(&appliance, &[]).await;
    assert_eq!((tested.failed(), tested.code), (vec!["package:ct-chest".to_owned(), "receive".to_owned()], Some(1)));
    assert!(tested.seen("package:ct-chest").contains("Install ct-chest again"), "{}", tested.seen("package:ct-chest"));
    assert!(tested.seen("receive").contains("ae_title = \"ACCEPTANCE\""), "{}", tested.seen("receive"));
    assert_eq!(tested.line("package:us-breast")["outcome"], "pass", "the others are tested all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_it_could_not_run() {
    let bus = hil_tests::bus::Bus::start().await.unwrap();
    let output = tokio::process::Command::new(tools::our_binary("scansidectl").unwrap())
        .args(["--bus", &bus.address, "acceptance"])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}
