//! `doctor`, `peers`, `journal` and `bundle` against the real daemon in this process, and without one.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use custody::store::{Durability, Store, lesions};
use models::specimen::Specimen;
use node::send::{self, Target};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Appliance, Bus, PATIENCE, ask, text, until};

/// A folder with a configuration that works on any machine.
pub struct Site {
    directory: tempfile::TempDir,
}

impl Site {
    pub fn new(bus: &str, listen: &str) -> Self {
        let site = Self { directory: tempfile::tempdir().unwrap() };
        Specimen::default().write(&site.path("packages/specimen")).unwrap();
        site.write(&format!(
            "bus.address = {bus:?}\nconsole.address = \"off\"\n[dicom]\nlisten = {listen:?}\n\
             [[dicom.sender]] # the CT in room 3\nae_title = \"CT1\"\n\
             [spool]\ndirectory = {:?}\nsegment_mib = 8\nready_segments = 2\nmin_free_mib = 0\nevict_below_mib = 0\n\
             [analyze]\npackages = {:?}\n[models]\nkeys = []\n[accelerator]\nprovider = \"scripted\"\n",
            site.path("spool"),
            site.path("packages"),
        ));
        std::fs::create_dir_all(site.path("root")).unwrap();
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("50-site.toml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.config(), text).unwrap();
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.config()).unwrap()
    }

    /// With something changed or added; as another file, so that the daemon's own stays.
    fn with(&self, from: &str, to: &str, more: &str) -> PathBuf {
        let path = self.path(&format!("other-{}.toml", std::fs::read_dir(self.directory.path()).unwrap().count()));
        let text = self.text();
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, format!("{}{more}", text.replace(from, to))).unwrap();
        path
    }

    fn tree(&self, file: &str, text: &str) {
        let path = self.path("root").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// All of `scansided`, in this process.
pub struct Daemon {
    address: String,
    trigger: CancellationToken,
    task: JoinHandle<Result<(), String>>,
}

impl Daemon {
    pub async fn start(bus: &Bus, site: &Site) -> Self {
        Self::start_with(bus, site, None).await
    }

    async fn start_with(bus: &Bus, site: &Site, fallback: Option<config::good::Fallback>) -> Self {
        let settings = config::load(&[site.config()]).unwrap();
        let level = if fallback.is_some() { "reduced" } else { "full" };
        let trigger = CancellationToken::new();
        let start = config::good::Start { settings, fallback, of_files: Vec::new(), not_removed: None, keep: None };
        let run = scansided::app::run(start, Duration::ZERO, trigger.clone());
        let task = tokio::spawn(async move { run.await.map_err(|error| format!("{error:#}")) });
        let mut address = String::new();
        until("the daemon is on the bus and open", async || {
            let output = ask(bus, &["--json", "status"]).await;
            let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            address = status["dicom_address"].as_str().unwrap_or_default().to_owned();
            status["level"] == level
        })
        .await;
        Self { address, trigger, task }
    }

    pub async fn stop(self) {
        self.trigger.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }

    /// A C-ECHO from a scanner.
    pub async fn call(&self, calling: &str, called: &str) {
        let target =
            Target { address: self.address.clone(), called_ae: called.into(), calling_ae: calling.into(), tls: None };
        let _ = send::echo(&target).await;
    }
}

struct Said {
    code: Option<i32>,
    json: Value,
}

impl Said {
    fn codes(&self) -> Vec<&str> {
        self.json["findings"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect()
    }

    /// Codes without what is always so here: a simulated accelerator.
    fn of_note(&self) -> Vec<&str> {
        self.codes().into_iter().filter(|code| *code != "simulated").collect()
    }

    fn first(&self) -> &Value {
        &self.json["findings"][0]
    }
}

async fn doctor(bus: &Bus, site: &Site, config: &Path) -> Said {
    let root = site.path("root");
    let arguments = ["--json", "doctor", "--config", config.to_str().unwrap(), "--root", root.to_str().unwrap()];
    let output = ask(bus, &arguments).await;
    let json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    Said { code: output.status.code(), json }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_box_is_called_so_and_the_first_finding_is_the_cause_of_each_fault() {
    let Some(bus) = Bus::start() else { return };
    let site = Site::new(&bus.address, "127.0.0.1:0");
    let daemon = Daemon::start(&bus, &site).await;
    daemon.call("CT1", "SCANSIDE").await;
    let own = site.config();
    let fine = doctor(&bus, &site, &own).await;
    assert_eq!((fine.code, fine.of_note()), (Some(0), vec![]), "{}", fine.json);

    // Destinations, one fault at a time.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let web_address = web.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        use std::io::Write;
        for stream in web.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let destination = |address: &str, called: &str, calling: &str| {
        format!("[destination.pacs]\naddress = {address:?}\nae_title = {called:?}\ncalling_ae_title = {calling:?}\n")
    };
    for (code, more) in [
        ("archive-port-closed", destination(&closed, "PACS", "CT1")),
        ("archive-not-dicom", destination(&web_address, "PACS", "CT1")),
        ("archive-name-unknown", destination("no-such-host.invalid:104", "PACS", "CT1")),
        // The daemon itself is the archive: a real peer that is picky about titles.
        ("archive-called-ae-wrong", destination(&daemon.address, "PACS", "CT1")),
        ("archive-does-not-know-us", destination(&daemon.address, "SCANSIDE", "BOX")),
    ] {
        let said = doctor(&bus, &site, &site.with("", "", &more)).await;
        // As the archive it has turned itself away, and tells that too.
        let of_archive = said.codes().into_iter().find(|code| code.starts_with("archive-"));
        assert_eq!((of_archive, said.code), (Some(code), Some(2)), "{}", said.json);
    }
    let good = site.with("", "", &destination(&daemon.address, "SCANSIDE", "CT1"));
    let echoed = text(&bus, &["--json", "peers", "echo", "--config", good.to_str().unwrap()]).await;
    let echoed: Value = serde_json::from_str(&echoed).unwrap();
    let steps: Vec<_> =
        echoed[0]["passed"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["name", "connection", "association", "contexts", "echo"]);

    // The machine.
    let gpu = site.with("\"scripted\"", "\"tensorrt\"", "");
    assert_eq!(doctor(&bus, &site, &gpu).await.codes()[0], "gpu-missing");
    site.tree("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
    assert_eq!(doctor(&bus, &site, &gpu).await.codes()[0], "gpu-driver-missing");
    let library =
        site.with("provider = \"scripted\"", "provider = \"cpu\"\nlibrary = \"/nowhere/libonnxruntime.so\"", "");
    let output = Command::new(env!("CARGO_BIN_EXE_scansidectl"))
        .args(["--bus", &bus.address, "--json", "doctor", "--config", library.to_str().unwrap()])
        .env_remove("SCANSIDE_ONNXRUNTIME")
        .output();
    let said: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    assert_eq!(said["findings"][0]["code"], "inference-library-missing");
    let capture = site.with("", "", &format!("[live]\ndevice = \"{}video9\"\n", hal::root::DEVICES));
    site.tree("dev/video0", "");
    let said = doctor(&bus, &site, &capture).await;
    assert_eq!(said.codes()[0], "capture-missing");
    assert!(said.first()["remedy"]["en"].as_str().unwrap().contains("video0"));
    site.tree("sys/class/thermal/thermal_zone0/type", "cpu");
    site.tree("sys/class/thermal/thermal_zone0/temp", "99000");
    assert_eq!(doctor(&bus, &site, &own).await.of_note(), ["too-hot"]);
    std::fs::remove_dir_all(site.path("root/sys/class/thermal")).unwrap();

    // A wrong configuration beside a daemon that runs.
    let said = doctor(&bus, &site, &site.with("segment_mib", "segment_mb", "")).await;
    assert_eq!((said.of_note(), said.code), (vec!["configuration-wrong"], Some(1)), "it runs on");

    // Callers.
    daemon.call("CT1", "PACS").await;
    let said = doctor(&bus, &site, &own).await;
    assert_eq!((said.codes()[0], said.code), ("called-ae-wrong", Some(2)));
    assert!(said.first()["cause"]["en"].as_str().unwrap().contains("calls PACS"), "{}", said.json);
    daemon.call("CT1", "SCANSIDE").await;
    assert_eq!(doctor(&bus, &site, &own).await.of_note(), Vec::<&str>::new(), "it was corrected");
    daemon.call("MR7", "SCANSIDE").await;
    assert_eq!(doctor(&bus, &site, &own).await.codes()[0], "calling-ae-unknown");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_listed_with_a_proposal_learnt_and_then_admitted_and_remembered_over_a_restart() {
    let Some(bus) = Bus::start() else { return };
    let site = Site::new(&bus.address, "127.0.0.1:0");
    let config = site.config();
    let daemon = Daemon::start(&bus, &site).await;
    daemon.call("MR7", "SCANSIDE").await;
    daemon.stop().await;

    let daemon = Daemon::start(&bus, &site).await;
    let list = text(&bus, &["peers", "list", "--language", "en"]).await;
    assert!(list.contains("MR7 (127.0.0.1) is turned away: it is not in the list of senders"), "{list}");
    assert!(list.contains("scansidectl peers learn MR7 --write"), "{list}");
    let list = text(&bus, &["peers", "list", "--language", "zh-CN"]).await;
    assert!(list.contains("MR7（127.0.0.1）被拒绝：不在允许发送的设备列表中"), "{list}");
    let before = site.text();
    let shown = text(&bus, &["peers", "learn", "MR7", "--config", config.to_str().unwrap()]).await;
    assert!(shown.contains("[[dicom.sender]]\nae_title = \"MR7\"\naddress = \"127.0.0.1\""), "{shown}");
    assert_eq!(site.text(), before, "shown only");
    text(&bus, &["peers", "learn", "MR7", "--write", "--config", config.to_str().unwrap()]).await;
    assert!(site.text().starts_with(&before), "comments and order stay");
    let nobody = ask(&bus, &["peers", "learn", "XX"]).await;
    assert_eq!(nobody.status.code(), Some(1));
    daemon.stop().await;

    let daemon = Daemon::start(&bus, &site).await;
    daemon.call("MR7", "SCANSIDE").await;
    let said = doctor(&bus, &site, &config).await;
    assert_eq!(said.of_note(), Vec::<&str>::new(), "{}", said.json);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_the_last_good_configuration_is_the_first_finding_until_the_restart() {
    let Some(bus) = Bus::start() else { return };
    let site = Site::new(&bus.address, "127.0.0.1:0");
    let wrong = site.with("segment_mib", "segment_mb", "");
    let problems = config::load(std::slice::from_ref(&wrong)).unwrap_err().problems;
    let fallback = config::good::Fallback { problems, utc: "2026-03-07T02:00:00Z".into(), left_out: Vec::new() };
    let daemon = Daemon::start_with(&bus, &site, Some(fallback)).await;
    let said = doctor(&bus, &site, &wrong).await;
    assert_eq!((said.codes()[0], said.code), ("last-good-configuration", Some(2)), "{}", said.json);
    assert!(said.first()["remedy"]["en"].as_str().unwrap().contains(".toml:9: spool.segment_mb"), "{}", said.json);
    let status = text(&bus, &["status"]).await;
    assert!(status.contains("reduced") && status.contains(".toml:9: spool.segment_mb: unknown key"), "{status}");
    let said = doctor(&bus, &site, &site.config()).await;
    assert_eq!(said.codes()[0], "last-good-configuration");
    assert!(said.first()["remedy"]["en"].as_str().unwrap().starts_with("The files are right now"), "{}", said.json);
    daemon.stop().await;
}

/// A certificate and its key, below the site; valid until the end of that year.
fn certify(site: &Site, name: &str, is_ca: bool, until: i32) {
    use std::os::unix::fs::PermissionsExt;
    let mut params = rcgen::CertificateParams::new(vec![format!("{name}.test")]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.not_after = rcgen::date_time_ymd(until, 12, 31);
    if is_ca {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    }
    let key = rcgen::KeyPair::generate().unwrap();
    std::fs::write(site.path(&format!("{name}.pem")), params.self_signed(&key).unwrap().pem()).unwrap();
    let file = site.path(&format!("{name}.key"));
    std::fs::write(&file, key.serialize_pem()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_the_configuration_are_told_to_end_by_a_trusted_clock_and_by_no_other() {
    let Some(bus) = Bus::start() else { return };
    let site = Site::new(&bus.address, "127.0.0.1:0");
    for (name, is_ca, until) in [("box", false, 2099), ("client", false, 2020), ("site-ca", true, 2020)] {
        certify(&site, name, is_ca, until);
    }
    // The scanner's CA was renewed: the old one lies beside the new one.
    certify(&site, "vendor", true, 2020);
    let old = std::fs::read_to_string(site.path("vendor.pem")).unwrap();
    certify(&site, "vendor", true, 2099);
    std::fs::write(site.path("vendor.pem"), old + &std::fs::read_to_string(site.path("vendor.pem")).unwrap()).unwrap();
    let file = |name: &str| site.path(name).display().to_string();
    let text = site.text().replace("ae_title = \"CT1\"\n", "ae_title = \"CT1\"\nplain = true\n");
    site.write(&format!(
        "{text}[[dicom.sender]]\nae_title = \"CT2\"\ncertificate = {:?}\n\
         [dicom.tls]\nlisten = \"127.0.0.1:0\"\ncertificate = {:?}\nkey = {:?}\nca = [{:?}]\n\
         [destination.pacs]\naddress = \"127.0.0.1:1\"\nae_title = \"PACS\"\n\
         [destination.pacs.tls]\ncertificate = {:?}\nkey = {:?}\n",
        file("vendor.pem"),
        file("box.pem"),
        file("box.key"),
        file("site-ca.pem"),
        file("client.pem"),
        file("client.key"),
    ));
    let daemon = Daemon::start(&bus, &site).await;
    let told = |said: &Said, code: &str| -> Vec<String> {
        let all = said.json["findings"].as_array().unwrap().iter().filter(|one| one["code"] == code);
        all.map(|one| one["cause"]["en"].as_str().unwrap().to_owned()).collect()
    };
    let said = doctor(&bus, &site, &site.config()).await;
    assert_eq!(told(&said, "certificate-expired"), Vec::<String>::new(), "nothing says that the clock is right");
    assert_eq!(told(&said, "certificate-unclear").len(), 2, "{}", said.json);
    site.tree("run/systemd/timesync/synchronized", "");
    let said = doctor(&bus, &site, &site.config()).await;
    let expected = [
        "The certificate for destination pacs has expired",
        "A CA certificate for the DICOM port and destination pacs has expired",
    ];
    assert_eq!((told(&said, "certificate-expired"), said.code), (expected.map(str::to_owned).to_vec(), Some(2)));
    daemon.stop().await;
}

/// Two recalls of one lesion, whose days passed long ago and not yet.
const RECALLS: [(&str, &str); 3] = [
    (
        "seen",
        r#"{"kind":"seen","given":"new","sighting":{"person":{"id":"PX-90417","issuer":"","name":"QUARTZLEY^ZELDA",
            "birth_date":"19111203","sex":"F"},"date":"2020-01-15","method":{"modality":"US","by":"person"},
            "place":{"side":"left"},"axes_mm":[12.0]}}"#,
    ),
    ("recall", r#"{"kind":"recall","lesion":1,"due":"2021-01-15"}"#),
    ("recall", r#"{"kind":"recall","lesion":1,"due":"2999-01-15"}"#),
];

#[tokio::test(flavor = "multi_thread")]
async fn overdue_recalls_are_told_by_number_and_name_nobody() {
    let Some(bus) = Bus::start() else { return };
    let site = Site::new(&bus.address, "127.0.0.1:0");
    std::fs::create_dir(site.path("spool")).unwrap();
    let store = Store::open(&site.path("spool/scanside.db")).unwrap();
    let mut connection = store.connect(Durability::Full).unwrap();
    let transaction = connection.transaction().unwrap();
    for (kind, entry) in RECALLS {
        let line = lesions::New { by: "Li Ming", patient: "PX-90417", kind, source: "", entry };
        lesions::insert(&transaction, line).unwrap();
    }
    transaction.commit().unwrap();
    let daemon = Daemon::start(&bus, &site).await;
    daemon.call("CT1", "SCANSIDE").await;
    let said = doctor(&bus, &site, &site.config()).await;
    assert_eq!((said.of_note(), said.code), (vec!["recalls-overdue"], Some(1)), "{}", said.json);
    let cause = said.json["findings"].as_array().unwrap().iter().find(|one| one["code"] == "recalls-overdue").unwrap();
    let cause = cause["cause"]["en"].as_str().unwrap();
    assert!(cause.starts_with("1 recall is overdue, by ") && cause.ends_with(" days"), "{cause}");
    let all = said.json.to_string();
    assert!(!all.contains("PX-90417") && !all.contains("QUARTZLEY"), "{all}");
    daemon.stop().await;
}

#[tokio::test]
async fn without_a_daemon_the_doctor_says_why_there_is_none() {
    let Some(bus) = Bus::start() else { return };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new(&bus.address, &taken.local_addr().unwrap().to_string());
    std::fs::create_dir(site.path("spool")).unwrap();
    let own = site.config();
    // The kernel's tables of this machine: they tell who has the port.
    std::fs::remove_dir(site.path("root")).unwrap();
    std::os::unix::fs::symlink("/", site.path("root")).unwrap();
    let said = doctor(&bus, &site, &own).await;
    assert_eq!((said.codes()[0], said.code), ("port-in-use", Some(2)), "{}", said.json);
    let evidence = said.first()["evidence"][0]["en"].as_str().unwrap();
    assert!(evidence.contains(&format!("(process {})", std::process::id())), "{evidence}");
    drop(taken);
    assert_eq!(doctor(&bus, &site, &own).await.codes()[0], "service-not-running");

    let said = doctor(&bus, &site, &site.with("segment_mib", "segment_mb", "")).await;
    assert_eq!(said.codes()[0], "configuration-wrong");
    let evidence = said.first()["evidence"][0]["en"].as_str().unwrap();
    assert!(evidence.contains(".toml:9: spool.segment_mb: unknown key"), "{evidence}");

    let said = doctor(&bus, &site, &site.with("127.0.0.1", "192.0.2.1", "")).await;
    assert_eq!(said.codes()[0], "address-not-ours");
    std::fs::remove_dir(site.path("spool")).unwrap();
    assert_eq!(doctor(&bus, &site, &own).await.codes()[0], "storage-missing");

    let no_bus = Bus::start().unwrap();
    let gone = no_bus.address.clone();
    drop(no_bus);
    let output = Command::new(env!("CARGO_BIN_EXE_scansidectl"))
        .args(["--bus", &gone, "doctor", "--language", "en", "--config", own.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("D-Bus does not work") && !said.contains('\x1b'), "{said}");
}

/// systemd as it would answer, by a program of its name.
#[tokio::test]
async fn a_unit_that_is_stopped_failed_or_not_enabled_is_told() {
    let Some(bus) = Bus::start() else { return };
    let site = Site::new(&bus.address, "127.0.0.1:0");
    std::fs::create_dir(site.path("spool")).unwrap();
    // Whoever runs the test is the unit's user in this tree.
    site.tree("etc/passwd", &format!("scanside:x:{}:0::/:/bin/false\n", owner_of_spool(&site)));
    for (code, active, result, enabled) in [
        ("service-stopped", "inactive", "success", "enabled"),
        ("service-failed", "failed", "exit-code", "disabled"),
        ("service-out-of-memory", "failed", "oom-kill", "enabled"),
    ] {
        let answer = format!(
            "echo LoadState=loaded; echo ActiveState={active}; echo SubState=x; echo Result={result}; echo UnitFileState={enabled}"
        );
        let scripts = [("systemctl", answer.as_str()), ("journalctl", "echo last words"), ("timedatectl", "echo no")];
        let output = Command::new(env!("CARGO_BIN_EXE_scansidectl"))
            .args(["--bus", "system", "--json", "doctor", "--config", site.config().to_str().unwrap()])
            .args(["--root", site.path("root").to_str().unwrap()])
            .env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address)
            .env("PATH", programs(&site, &scripts))
            .output()
            .unwrap();
        let said = Said { code: output.status.code(), json: serde_json::from_slice(&output.stdout).unwrap() };
        assert_eq!((said.codes()[0], said.code), (code, Some(2)), "{}", said.json);
        assert_eq!(said.codes().contains(&"service-not-enabled"), enabled == "disabled", "{}", said.json);
    }
}

fn owner_of_spool(site: &Site) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(site.path("spool")).unwrap().uid()
}

/// A folder of shell scripts, as PATH.
pub fn programs(site: &Site, scripts: &[(&str, &str)]) -> String {
    use std::os::unix::fs::PermissionsExt;
    let folder = site.path("programs");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, script) in scripts {
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:/usr/bin:/bin", folder.display())
}

pub const STUDY: &str = r#"
INSERT INTO instances (sop_uid, sop_class, study_uid, series_uid, offset, length, sha256, state, reason, received_utc,
                       calling_ae, called_ae, peer_address, association, header) VALUES
  ('1.2.840.777.1.1', '1.2', '1.2.840.777', '1.2.840.777.1', 0, 10, '', 'kept', NULL, '2026-01-01T00:00:00.000Z', 'CT1', 'US',
   '192.0.2.7', 1, '{"patient_name":"QUARTZLEY^ZELDA","patient_id":"PX-90417","study_description":"Chest of Zelda",
     "study_date":"19370214","birth_date":"19111203","accession_number":"ACC55021","series_description":"Lung Quartzley"}'),
  ('1.2.840.777.1.2', '1.2', '1.2.840.777', '1.2.840.777.1', 0, 99, '', 'quarantined', 'cannot parse QUARTZLEY^ZELDA born 19111203',
   '2026-01-01T00:00:00.000Z', 'CT1', 'US', '192.0.2.7', 1, '{}');
INSERT INTO series (id, study_uid, series_uid, modality, kind, state, verdict, instance_count, first_utc, last_utc, completed_utc,
                    completed_by)
VALUES (4, '1.2.840.777', '1.2.840.777.1', 'CT', 'ct', 'processed', '1 nodule', 1, '2026-01-01T00:00:00.000Z',
        '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:05.000Z', 'quiet');
INSERT INTO jobs (id, series_id, version, state, created_utc, reason)
VALUES (1, 4, 1, 'parked', '2026-01-01T00:00:06.000Z', 'failed on /data/Zelda_Quartzley/PX-90417.dcm');
INSERT INTO results (id, job_id, kind, sop_class, sop_uid, study_uid, series_uid, file, length, sha256)
VALUES (1, 1, 'sr', '', '2.25.881', '1.2.840.777', '2.25.9', 'ACC55021.dcm', 5, '');
INSERT INTO deliveries (id, result_id, destination, state, attempts, next_utc, reason, status)
VALUES (1, 1, 'pacs', 'parked', 2, '2026-01-01T10:09:00.000Z', 'patient "Zelda Quartzley" (PX-90417) is not known', 42752);
INSERT INTO events (utc, subject, what, detail)
VALUES ('2026-01-01T00:00:07.000Z', 'series/4', 'concluded', 'of Zelda Quartzley, ACC55021, 1937-02-14');
"#;

/// What must not be in the bundle, in lower case.
pub const PLANTED: &[&str] = &[
    "quartzley",
    "zelda",
    "px-90417",
    "90417",
    "acc55021",
    "55021",
    "19370214",
    "1937-02-14",
    "19111203",
    "1.2.840.777",
    "2.25.881",
    // Known to no database: only in the log and the configuration.
    "wintergreen",
    "ottoline",
    "kx771203",
    "1931-05-07",
    "hospital st. vitus",
    "vitus",
    "token-of-the-page",
    "box-host",
    // Only on the worklist.
    "umbral",
    "wl-33007",
    "19420101",
];

#[tokio::test]
async fn the_bundle_holds_no_name_id_number_or_date_that_was_planted_in_any_input() {
    let Some(bus) = Bus::start() else { return };
    let site = Site::new(&bus.address, "127.0.0.1:0");
    let folder = site.path("Wintergreen_Ottoline");
    std::fs::create_dir(&folder).unwrap();
    let worklist = folder.join("zelda.csv");
    std::fs::write(
        &worklist,
        "patient_id,patient_name,birth_date,accession_number\nWL-33007,UMBRAL^U,1942-01-01,WL-33007\n",
    )
    .unwrap();
    let token = folder.join("token-of-the-page");
    std::fs::write(&token, "token-of-the-page-0123456789").unwrap();
    let config = folder.join("50-Wintergreen.toml");
    let text = site
        .text()
        .replace("\"off\"", "\"127.0.0.1:8484\"")
        .replace("[dicom]", &format!("token_file = {token:?}\n[dicom]"));
    let text = text
        .replace("console.address", "console.hosts = [\"box-host\"]\nconsole.address")
        .replace("\ntoken_file", "\nconsole.token_file");
    std::fs::write(
        &config,
        format!(
            "# for Ottoline Wintergreen, born KX771203\n{text}\n[device]\ninstitution = \"Hospital St. Vitus\"\n\
             [live]\ndevice = \"replay:{}/Zelda.y4m\"\nworklist = {worklist:?}\n[destination.pacs]\naddress = \"127.0.0.1:9\"\n\
             ae_title = \"PACS\"\n",
            folder.display()
        ),
    )
    .unwrap();
    let (stage, view) = live::view::channel();
    let view = live::view::View { worklist: live::worklist::Worklist::at(Some(worklist)), ..view };
    let appliance = Appliance::start_live(&bus.address, view).await;
    appliance.sql(STUDY);
    // An archive may name somebody of whom this box knows nothing.
    appliance.sql(
        "UPDATE deliveries SET reason = reason || ', duplicate of \"Wintergreen, Ottoline\" KX771203 born 1931-05-07'",
    );
    let path = programs(
        &site,
        &[(
            "journalctl",
            "echo '2026-01-01T00:00:01+0000 box-host scansided[7]: association refused: the AE title \"CT9\" is not in the list of senders'\n\
         echo '2026-01-01T00:00:02+0000 box-host scansided[7]: worklist names Ottoline Wintergreen, WINTERGREEN^OTTOLINE, KX771203'\n\
         echo '2026-01-01T00:00:03+0000 box-host scansided[7]: study 1.2.840.777 of zelda quartzley ACC55021 of 1937-02-14'\n\
         echo '2026-01-01T00:00:04+0000 box-host other[8]: Hospital St. Vitus'",
        )],
    );
    let file = site.path("box.tar.zst");
    let arguments = ["--bus", &bus.address, "bundle", file.to_str().unwrap(), "--config", config.to_str().unwrap()]
        .map(str::to_owned);
    let run = move || -> Output {
        Command::new(env!("CARGO_BIN_EXE_scansidectl")).args(arguments).env("PATH", path).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    drop(stage);

    let packed = std::fs::read(&file).unwrap();
    let mut archive = tar::Archive::new(zstd::Decoder::new(&packed[..]).unwrap());
    let mut all = std::collections::BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        all.insert(name, String::from_utf8(bytes).unwrap());
    }
    let names: BTreeSet<&str> = all.keys().map(String::as_str).collect();
    for name in [
        "README.txt",
        "doctor.json",
        "status.json",
        "peers.json",
        "work.json",
        "events.json",
        "config.toml",
        "log.txt",
        "machine.json",
    ] {
        assert!(names.contains(name), "{name} of {names:?}");
    }
    for (name, text) in &all {
        let lower = text.to_lowercase();
        for planted in PLANTED {
            assert!(!lower.contains(planted), "{planted:?} is in {name}:\n{text}");
        }
        if name.ends_with(".json") {
            serde_json::from_str::<Value>(text).unwrap();
        }
    }
    // It would be easy to leave everything out.
    assert!(all["log.txt"].contains("association refused: the AE title"), "{}", all["log.txt"]);
    assert!(
        all["config.toml"].contains("ae_title = \"PACS\"") && all["config.toml"].contains("segment_mib = 8"),
        "{}",
        all["config.toml"]
    );
    assert!(
        all["work.json"].contains("is not known") && all["events.json"].contains("concluded"),
        "{}",
        all["work.json"]
    );
    assert!(all["doctor.json"].contains("archive-port-closed"), "{}", all["doctor.json"]);
    assert!(all["doctor.json"].contains("0xa700: patient") && all["doctor.json"].contains("duplicate of"), "{all:?}");
    let again = ask(&bus, &["bundle", file.to_str().unwrap(), "--config", config.to_str().unwrap()]).await;
    assert_eq!(again.status.code(), Some(1), "a file that is there is not overwritten");
    assert_eq!(std::fs::read(&file).unwrap(), packed);
}

#[tokio::test]
async fn a_bundle_says_that_its_log_is_empty_and_whom_it_could_not_look_for() {
    let Some(bus) = Bus::start() else { return };
    let site = Site::new(&bus.address, "127.0.0.1:0");
    let appliance = Appliance::start(&bus.address, STUDY).await;
    let log = "echo '2026-01-01T00:00:01+0000 box scansided[7]: association refused'";
    let run = async |name: &'static str, json: bool, script: &str| {
        let (file, path) = (site.path(name), programs(&site, &[("journalctl", script)]));
        let mut command = Command::new(env!("CARGO_BIN_EXE_scansidectl"));
        command.args(["--bus", &bus.address]).args(json.then_some("--json")).args(["bundle", file.to_str().unwrap()]);
        command.args(["--config", site.config().to_str().unwrap()]).env("PATH", path);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert!(output.status.success());
        let of = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (of(output.stdout), of(output.stderr))
    };
    let (said, notes) = run("well", false, log).await;
    assert!(said.contains("without names") && notes.is_empty(), "{said} {notes}");
    // As it is for somebody who may not read the log: nothing, and no error.
    let (_, notes) = run("no-log", false, "echo '-- No entries --'").await;
    assert!(notes.contains("log.txt is empty") && notes.contains("sudo"), "{notes}");
    appliance.sql("ALTER TABLE series RENAME TO gone");
    let (said, notes) = run("no-database", false, log).await;
    assert!(notes.contains("studies, series could not be read"), "{notes}");
    assert!(!said.contains("without names"), "{said}");
    let (said, _) = run("json", true, "exit 1").await;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["patients_searched"], &said["has_log"]), (&Value::Bool(false), &Value::Bool(false)), "{said}");
}

#[tokio::test]
async fn the_journal_tells_a_study_in_order_with_reasons() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, STUDY).await;
    let told = text(&bus, &["journal", "4"]).await;
    let what: Vec<_> =
        told.lines().map(|line| line.split_whitespace().skip(2).take(3).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        what[1..],
        ["series 4 arrived", "series 4 complete", "job 1 queued", "series 4 concluded", "delivery 1 parked"],
        "{told}"
    );
    assert!(told.contains("2026-01-01 00:00:05") && told.contains("nothing more came"), "{told}");
    let json: Value = serde_json::from_str(&text(&bus, &["--json", "journal", "1.2.840.777"]).await).unwrap();
    assert_eq!(json["events"][0]["subject"], "series/4");
    assert_eq!(ask(&bus, &["journal", "99"]).await.status.code(), Some(1));
    appliance.stop().await.unwrap();
}
