//! Nouns of the tests: a private bus, and an appliance on it whose work is scripted.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use config::{Settings, settings};
use custody::audit::Audit;
use custody::event::Event;
use custody::level::Gate;
use custody::retention::Retention;
use custody::store::conflicts::Choice;
use custody::store::deliveries::Order;
use custody::store::{Durability, Store};
use futures_util::future::BoxFuture;
use live::view::View;
use models::specimen::Specimen;
use needs::Lack;
use node::callers::Callers;
use node::settings::Sender;
use scansided::attest::Attest;
use scansided::dbus::{self, Commands, Error, Facts, RerunOptions, Verbs};
use scansided::dicomweb::Object;
use scansided::health;
use scansided::metrics::Metrics;
use scansided::reader::Reader;
use study::model::{Models, Shelf};
use study::review::{Signed, Signing};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(20);

/// A dbus-daemon of our own.
pub struct Bus {
    daemon: Child,
    pub address: String,
}

impl Bus {
    /// None (and says so) where dbus-daemon is not installed.
    pub fn start() -> Option<Self> {
        Self::start_at(None)
    }

    pub fn start_at(address: Option<&str>) -> Option<Self> {
        Self::start_with(|daemon| daemon.args(address.map(|address| format!("--address={address}"))))
    }

    /// One that starts a program when the daemon's name is called and nobody has it: this program makes the file `started` there, and
    /// fails, so that nobody waits for it.
    pub fn activating(folder: &Path) -> Option<Self> {
        let (services, started) = (folder.join("dbus-1/services"), folder.join("started"));
        std::fs::create_dir_all(&services).unwrap();
        let command = format!("Exec=/bin/sh -c 'touch {}; exit 1'", started.display());
        let service = format!("[D-BUS Service]\nName={}\n{command}\n", scanside_client::BUS_NAME);
        std::fs::write(services.join("daemon.service"), service).unwrap();
        Self::start_with(|daemon| daemon.env("XDG_DATA_HOME", folder))
    }

    fn start_with(with: impl FnOnce(&mut Command) -> &mut Command) -> Option<Self> {
        let mut command = Command::new("dbus-daemon");
        command.args(["--session", "--print-address", "--nofork"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let daemon = with(&mut command).spawn();
        let Ok(mut daemon) = daemon else {
            needs::skip(Lack::Software, "dbus-daemon is not installed");
            return None;
        };
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Some(Self { daemon, address: address.trim().to_owned() })
    }

    pub fn stop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Writes down what was asked; knows study `1.2.840.1` and destination `pacs`, of which `dead` does not answer.
#[derive(Default)]
pub struct Script {
    pub asked: Mutex<Vec<String>>,
}

impl Script {
    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }
}

/// What the scripted appliance says of retention: of study `1.2.840.1` all goes next, `1.2.840.9` is held.
const RETENTION: &str = r#"{
    "policy": {"evict_below_bytes": 10737418240, "min_free_bytes": 2147483648, "keep_days": 90, "ages_count": true,
               "segment_bytes": 134217728},
    "disk": {"free_bytes": 21474836480, "total_bytes": 107374182400},
    "kept": [{"what": "objects", "why": "evictable", "count": 300, "bytes": 157286400},
             {"what": "objects", "why": "held", "count": 10, "bytes": 5242880},
             {"what": "results", "why": "undelivered", "count": 4, "bytes": 2097152}],
    "besides": [{"what": "database", "count": 3, "bytes": 1048576}],
    "forecast": {"bytes_per_day": 2147483648, "observed_days": 14.0, "days_left": 5.0, "because": "space"},
    "next": [{"study_uid": "1.2.840.1", "newest_utc": "2026-01-02T10:00:00.000Z", "objects": 300, "bytes": 157286400,
              "results_bytes": 1048576, "whole": true, "now": false, "because": "space"}],
    "next_left_out": 2,
    "holds": [{"study_uid": "1.2.840.9", "since_utc": "2026-01-03T10:00:00.000Z", "by": "user 1000",
               "reason": "a case for teaching"}]
}"#;

impl Commands for Script {
    fn rerun<'a>(&'a self, study_uid: &'a str, options: RerunOptions) -> BoxFuture<'a, Result<u32, Error>> {
        Box::pin(async move {
            self.note(format!("rerun {study_uid} urgent={}", options.urgent));
            if study_uid == "1.2.840.1" { Ok(1) } else { Err(Error::NotFound(format!("no study {study_uid}"))) }
        })
    }

    fn retry<'a>(&'a self, destination: Option<&'a str>) -> BoxFuture<'a, Result<u32, Error>> {
        Box::pin(async move {
            self.note(format!("retry {destination:?}"));
            Ok(3)
        })
    }

    fn change_delivery<'a>(&'a self, delivery: i64, order: Order) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.note(format!("{order:?} {delivery}"));
            if delivery == 1 { Ok(()) } else { Err(Error::NotFound(format!("there is no delivery {delivery}"))) }
        })
    }

    fn enter_lesion<'a>(
        &'a self,
        by: &'a str,
        entry: &'a models::lesion::entry::Entry,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move {
            self.note(format!("{by} {}", serde_json::to_string(entry).unwrap_or_default()));
            Ok(7)
        })
    }

    fn review(&self, signing: Signing) -> BoxFuture<'_, Result<Signed, Error>> {
        Box::pin(async move {
            let marks: Vec<String> = signing
                .marks
                .iter()
                .map(|mark| {
                    let edit: Vec<String> =
                        mark.edit.iter().map(|(field, value)| format!(" {field}={value}")).collect();
                    format!("{} {} {:?}{}", mark.id, mark.decision.as_str(), mark.comment, edit.concat())
                })
                .collect();
            self.note(format!(
                "review {} {} [{}] {}",
                signing.series_uid,
                signing.by,
                marks.join(", "),
                signing.accept_rest
            ));
            if signing.by.is_empty() {
                return Err(Error::InvalidArgument("a review needs the name of who signs it".into()));
            }
            Ok(Signed { series_id: 1, job: 1, accepted: 2, edited: 0, rejected: 1 })
        })
    }

    fn resolve<'a>(&'a self, study_uid: &'a str, choice: Choice) -> BoxFuture<'a, Result<(u32, u32), Error>> {
        Box::pin(async move {
            self.note(format!("{choice:?} {study_uid}"));
            Ok((3, 1))
        })
    }

    fn retention(&self, most: usize) -> BoxFuture<'_, Result<Retention, Error>> {
        Box::pin(async move {
            self.note(format!("retention {most}"));
            Ok(serde_json::from_str(RETENTION).unwrap())
        })
    }

    fn hold<'a>(
        &'a self,
        study_uid: &'a str,
        by: &'a str,
        reason: Option<&'a str>,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            self.note(format!("hold {study_uid} {reason:?} {}", by.starts_with("user ")));
            Ok(reason != Some("already so"))
        })
    }

    fn objects<'a>(&'a self, study_uid: &'a str, images: bool) -> BoxFuture<'a, Result<Vec<Object>, Error>> {
        Box::pin(async move {
            self.note(format!("objects {study_uid} images={images}"));
            Err(Error::NotFound(format!("no study {study_uid}")))
        })
    }

    fn export<'a>(
        &'a self,
        study_uid: &'a str,
        objects: Vec<(String, std::fs::File)>,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            self.note(format!("export {study_uid} {}", objects.len()));
            Err(Error::NotFound(format!("no study {study_uid}")))
        })
    }

    fn echo<'a>(&'a self, destination: &'a str) -> BoxFuture<'a, Result<Duration, Error>> {
        Box::pin(async move {
            match destination {
                "pacs" => Ok(Duration::from_millis(12)),
                "dead" => Err(Error::PeerFailed("connection refused".into())),
                _ => Err(Error::NotFound(format!("no destination {destination}"))),
            }
        })
    }
}

pub struct Appliance {
    directory: tempfile::TempDir,
    pub store: Store,
    pub events: broadcast::Sender<Event>,
    pub gate: Gate,
    /// The appliance reads health as long as this is there.
    _health: watch::Sender<health::Report>,
    pub heat: watch::Sender<health::heat::Report>,
    pub script: Arc<Script>,
    trigger: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Appliance {
    /// With the rows of `rows`, on the bus.
    pub async fn start(address: &str, rows: &str) -> Self {
        Self::start_with(address, rows, None).await
    }

    /// With a live path.
    pub async fn start_live(address: &str, view: View) -> Self {
        Self::start_with(address, "", Some(view)).await
    }

    async fn start_with(address: &str, rows: &str, live: Option<View>) -> Self {
        let appliance = Self::spawn_with(address, rows, live);
        let connection = scanside_client::connect(address).await.unwrap();
        let bus = zbus::fdo::DBusProxy::new(&connection).await.unwrap();
        let name = zbus::names::BusName::try_from(scanside_client::BUS_NAME).unwrap();
        until("the name is on the bus", async || bus.name_has_owner(name.clone()).await.unwrap()).await;
        appliance
    }

    pub fn spawn(address: &str, rows: &str) -> Self {
        Self::spawn_with(address, rows, None)
    }

    fn spawn_with(address: &str, rows: &str, live: Option<View>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("scanside.db")).unwrap();
        store.connect(Durability::Rebuildable).unwrap().execute_batch(rows).unwrap();
        let (events, _) = broadcast::channel(64);
        let gate = Gate::default();
        let trigger = CancellationToken::new();
        let shutdown = trigger.clone();
        let (health, reports) = health::channel();
        let (heat, reported) = health::heat::channel();
        let script = Arc::new(Script::default());
        let metrics = Metrics::new(Reader::new(store.clone()), gate.clone(), reports.clone(), live.clone());
        let metrics = metrics.and_heat(reported.clone());
        let facts = Facts {
            version: "9.9.9".into(),
            simulated: true,
            dicom_address: "127.0.0.1:4242".into(),
            accelerator: "scripted".into(),
            destinations: BTreeMap::from([("pacs".to_owned(), "PACS@127.0.0.1:104".to_owned())]),
            memory_limit_bytes: 4 << 30,
            ae_titles: vec!["SCANSIDE".into()],
            senders: vec![Sender { ae_title: "CT".into(), ..Sender::default() }],
            callers: Callers::default(),
            health: reports,
            heat: reported,
            metrics,
        };
        let models = models(directory.path(), &store, &events, &gate);
        let audit = Audit::at(&directory.path().join("audit"));
        let attest = Attest::at(directory.path(), "SN-TEST");
        let verbs = Verbs { commands: script.clone(), models, live, audit, attest };
        let bus = settings::Bus { address: address.to_owned() };
        let task = tokio::spawn({
            let (store, events, gate) = (store.clone(), events.clone(), gate.clone());
            async move { dbus::run(&bus, facts, store, events, gate, verbs, shutdown).await }
        });
        Self { directory, store, events, gate, _health: health, heat, script, trigger, task }
    }

    /// An archive of a specimen, signed with the development key, in the appliance's folder.
    pub fn archive(&self, version: &str) -> PathBuf {
        let path = self.directory.path().join(format!("specimen-{version}.scanside"));
        Specimen::version(version).archive(&path).unwrap();
        path
    }

    /// Where an installed package is kept.
    pub fn installed(&self, version: &str) -> PathBuf {
        self.directory.path().join("models/packages/specimen").join(version)
    }

    pub fn sql(&self, text: &str) {
        self.store.connect(Durability::Rebuildable).unwrap().execute_batch(text).unwrap();
    }

    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    pub async fn stop(self) -> Result<(), Error> {
        self.trigger.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap()
    }
}

/// A registry whose built-in package is specimen 1.0.0; the accelerator is scripted.
fn models(directory: &Path, store: &Store, events: &broadcast::Sender<Event>, gate: &Gate) -> Models {
    let mut settings = Settings::default();
    settings.models.directory = Some(directory.join("models"));
    settings.models.keys = Vec::new();
    settings.analyze.packages = directory.join("packages");
    settings.accelerator.provider = "scripted".into();
    Specimen::default().write(&directory.join("packages/specimen")).unwrap();
    let (shelf, _) = Shelf::open(&settings.study()).unwrap();
    Models::new(shelf, store.clone(), events.clone(), gate.clone())
}

/// Polls until it holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One processed study with results waiting for the PACS, one that is being received, one object set aside.
pub const ROWS: &str = r#"
INSERT INTO instances (sop_uid, sop_class, study_uid, series_uid, offset, length, sha256, state, reason,
                       received_utc, calling_ae, called_ae, peer_address, association, header) VALUES
  ('1.2.840.1.1.1', '1.2', '1.2.840.1', '1.2.840.1.1', 0, 10, '', 'kept', NULL, '2026-01-01T00:00:00.000Z', 'CT', 'US',
   'p', 1, '{"patient_name":"PHANTOM^ONE","patient_id":"P1","study_description":"Chest CT","study_date":"20260101",
             "series_description":"Lung 1.0","series_number":2}'),
  ('bad', '1.2', '', '', 0, 99, '', 'quarantined', 'no pixel data', '2026-01-01T00:00:00.000Z', 'CT9', 'US',
   '10.0.0.9:4000', 1, '{}');
INSERT INTO series (id, study_uid, series_uid, modality, kind, state, verdict, instance_count, first_utc, last_utc)
VALUES (4, '1.2.840.1', '1.2.840.1.1', 'CT', 'ct', 'processed', '1 nodule', 200, '2026-01-01T10:00:00.000Z',
        '2026-01-01T10:05:00.000Z'),
       (6, '1.2.840.2', '1.2.840.2.1', 'CT', 'ct', 'receiving', NULL, 3, '2026-01-05T10:00:00.000Z',
        '2026-01-05T10:00:00.000Z');
INSERT INTO jobs (id, series_id, version, state, created_utc, finished_utc, findings, timings)
VALUES (1, 4, 1, 'done', '2026-01-01T10:05:00.000Z', '2026-01-01T10:06:00.000Z',
  '{"lungs":{"done":[{"side":"right","volume_ml":2612.4,"mean_hu":-810.2,"laa950_percent":3.14}]},
    "nodules":{"done":[{"number":1,"side":"left","centre_mm":[1,2,3],"diameter_mm":8.04,"long_axis_mm":9,
      "short_axis_mm":7,"volume_mm3":268.0,"mean_hu":31.0,"confidence":0.93,"key_slice":99}]},"timings_ms":[]}',
  '[["lungs",812.0],["inference",12300.0]]');
INSERT INTO results (id, job_id, kind, sop_class, sop_uid, study_uid, series_uid, file, length, sha256)
VALUES (1, 1, 'sr', '', '2.25.1', '1.2.840.1', '2.25.9', '', 5, '');
INSERT INTO deliveries (id, result_id, destination, state, attempts, next_utc, reason, status)
VALUES (1, 1, 'pacs', 'pending', 2, '2026-01-01T10:09:00.000Z', 'the archive is full', 42752);
INSERT INTO shadows (job_id, utc, task, active, candidate, active_ms, candidate_ms, differing, differences)
VALUES (1, '2026-01-01T10:07:00.000Z', 'ct_chest', 'specimen 1.0.0', 'specimen 2.0.0', 12000, 9000, 1,
  '[{"finding":"nodule","number":"largest diameter, mm","differs":true,
     "active":{"evaluated":true,"count":1,"number":8.04},"candidate":{"evaluated":true,"count":0,"number":null}}]');
"#;

pub fn scansidectl(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scansidectl"))
        .args(arguments)
        .env_remove("SCANSIDE_BUS")
        .env("TZ", "UTC")
        .output()
        .unwrap()
}

/// On the blocking threads, so that the appliance of the test goes on.
pub async fn ask(bus: &Bus, arguments: &[&str]) -> Output {
    let mut all = vec!["--bus".to_owned(), bus.address.clone()];
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    tokio::task::spawn_blocking(move || scansidectl(&all.iter().map(String::as_str).collect::<Vec<_>>())).await.unwrap()
}

pub async fn text(bus: &Bus, arguments: &[&str]) -> String {
    let output = ask(bus, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
