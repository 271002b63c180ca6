//! `bundle --record` against the real daemon in this process: what belongs to the interval, what does not, and a daemon that ends in
//! the middle. journalctl and systemd-cat are scripts over one file: a machine of the tests has no journal of the service.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use custody::store::{Durability, Store};
use serde_json::Value;

use crate::doctor::{Daemon, PLANTED, STUDY, Site, programs};
use crate::fixture::{Appliance, Bus, text, until};

/// PATH with a journal that is a file; what was there before has a cursor behind it.
fn journal(site: &Site, before: &str) -> String {
    let file = site.path("journal");
    std::fs::write(&file, before).unwrap();
    let (file, lines) = (file.display(), before.lines().count() + 1);
    programs(
        site,
        &[
            (
                "journalctl",
                &format!(
                    "case \"$*\" in\n*--show-cursor*) echo '-- cursor: s=1;i=2' ;;\n\
                     *--after-cursor=s=1\\;i=2*) tail -n +{lines} {file} ;;\n*) cat {file} ;;\nesac"
                ),
            ),
            ("systemd-cat", &format!("echo \"2026-01-01T00:00:09+0000 box-host scansidectl[9]: $6\" >> {file}")),
        ],
    )
}

fn log(site: &Site, line: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).open(site.path("journal")).unwrap();
    writeln!(file, "{line}").unwrap();
}

/// A recording that has begun.
struct Recording {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
    code: String,
}

impl Recording {
    async fn begin(bus: &str, path: &str, config: &Path, file: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scansidectl"));
        command.args(["--bus", bus, "--json", "bundle", "--record", file.to_str().unwrap(), "--language", "en"]);
        command.args(["--config", config.to_str().unwrap()]).args(more).env("PATH", path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = move || {
            let mut child = command.spawn().unwrap();
            let (mut said, mut line) = (BufReader::new(child.stderr.take().unwrap()), String::new());
            said.read_line(&mut line).unwrap();
            let code = line.strip_prefix("Marker ").unwrap_or_else(|| panic!("{line}"))[..9].to_owned();
            Self { child, said, code }
        };
        tokio::task::spawn_blocking(begun).await.unwrap()
    }

    /// Presses Enter.
    async fn end(mut self) -> Value {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        self.ended().await
    }

    /// What it says as JSON.
    async fn ended(mut self) -> Value {
        let ended = move || -> (Output, String) {
            let mut notes = String::new();
            self.said.read_to_string(&mut notes).unwrap();
            (self.child.wait_with_output().unwrap(), notes)
        };
        let (output, notes) = tokio::task::spawn_blocking(ended).await.unwrap();
        assert!(output.status.success(), "{notes}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// Name and text of each file.
fn unpacked(file: &Path) -> BTreeMap<String, String> {
    let packed = std::fs::read(file).unwrap();
    let mut archive = tar::Archive::new(zstd::Decoder::new(&packed[..]).unwrap());
    let mut all = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let (mut entry, mut text) = (entry.unwrap(), String::new());
        entry.read_to_string(&mut text).unwrap();
        all.insert(entry.path().unwrap().file_name().unwrap().to_string_lossy().into_owned(), text);
    }
    all
}

fn identifies_nobody(all: &BTreeMap<String, String>) {
    for (name, text) in all {
        let lower = text.to_lowercase();
        for planted in PLANTED {
            assert!(!lower.contains(planted), "{planted:?} is in {name}:\n{text}");
        }
        if name.ends_with(".json") {
            serde_json::from_str::<Value>(text).unwrap();
        }
    }
}

fn json(all: &BTreeMap<String, String>, name: &str) -> Value {
    serde_json::from_str(&all[name]).unwrap()
}

const EARLIER: &str = "2026-01-01T00:00:01+0000 box-host scansided[7]: an earlier line\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_holds_what_came_between_its_markers_and_nothing_else() {
    let Some(bus) = Bus::start() else { return };
    let site = Site::new(&bus.address, "127.0.0.1:0");
    let daemon = Daemon::start(&bus, &site).await;
    daemon.call("CT1", "SCANSIDE").await;
    daemon.call("CT1", "SCANSIDE").await;
    daemon.call("MR7", "SCANSIDE").await;
    let (path, file) = (journal(&site, EARLIER), site.path("box.tar.zst"));
    let recording = Recording::begin(&bus.address, &path, &site.config(), &file, &[]).await;
    daemon.call("CT1", "SCANSIDE").await;
    daemon.call("XX", "SCANSIDE").await;
    log(&site, "2026-01-01T00:00:02+0000 box-host scansided[7]: a line of the interval");
    let code = recording.code.clone();
    let said = recording.end().await;

    let summary = &said["interval"];
    assert_eq!(
        (&summary["code"], &summary["ended_by"]),
        (&Value::from(code.as_str()), &Value::from("enter")),
        "{said}"
    );
    assert_eq!((&summary["associations_accepted"], &summary["associations_refused"]), (&1.into(), &1.into()), "{said}");
    assert_eq!((&summary["daemon_was_away"], &summary["restarts_seen"]), (&false.into(), &0.into()), "{said}");
    let all = unpacked(&file);
    let interval = json(&all, "interval.json");
    let calls: Vec<_> = interval["associations"].as_array().unwrap().iter().map(|one| &one["calling_ae"]).collect();
    assert!(
        calls.contains(&&Value::from("CT1")) && calls.contains(&&Value::from("XX")) && calls.len() == 2,
        "{calls:?}"
    );
    let metrics = interval["metrics"].as_array().unwrap();
    let level = metrics.iter().find(|one| one["figure"] == "scanside_level").unwrap();
    assert_eq!(level["difference"], 0.0, "{level}");
    assert!(interval["before"]["states"].as_array().unwrap().iter().any(|one| one["what"] == "outbox"), "{interval}");
    let log = &all["interval-log.txt"];
    assert!(log.contains("a line of the interval") && !log.contains("an earlier line"), "{log}");
    assert!(all["log.txt"].contains("an earlier line"), "what was before is in the log of the whole box");
    // The daemon wrote both markers, and who asked for them is in the audit trail.
    for at in ["start", "stop"] {
        assert_eq!(summary["markers"][at]["written_by"], "scansided", "{said}");
    }
    let audit: Value = serde_json::from_str(&text(&bus, &["--json", "audit"]).await).unwrap();
    let rows: Vec<_> = audit.as_array().unwrap().iter().filter(|row| row["what"] == "write-marker").collect();
    assert!(rows.len() == 2 && rows[0]["object"] == format!("marker {code}: stop").as_str(), "{audit}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_bundle_holds_no_name_id_number_or_date_that_was_planted_in_any_input() {
    let Some(bus) = Bus::start() else { return };
    let site = Site::new(&bus.address, "127.0.0.1:0");
    let appliance = Appliance::start(&bus.address, STUDY).await;
    let (path, file) = (journal(&site, EARLIER), site.path("box.tar.zst"));
    let recording = Recording::begin(&bus.address, &path, &site.config(), &file, &[]).await;
    let code = recording.code.clone();
    log(
        &site,
        "2026-01-01T00:00:03+0000 box-host scansided[7]: study 1.2.840.777 of zelda quartzley ACC55021 is refused",
    );
    log(&site, "2026-01-01T00:00:03+0000 box-host scansided[7]: names Ottoline Wintergreen, KX771203");
    log(&site, "2026-01-01T00:00:04+0000 box-host other[8]: Hospital St. Vitus");
    appliance.sql(
        "INSERT INTO events (utc, subject, what, detail) VALUES ('2026-01-01T00:00:08.000Z', 'series/4', 'refused',
           'of Zelda Quartzley, PX-90417, 1937-02-14, by KX771203 of Hospital St. Vitus');
         INSERT INTO results (id, job_id, kind, sop_class, sop_uid, study_uid, series_uid, file, length, sha256)
         VALUES (2, 1, 'seg', '', '2.25.882', '1.2.840.777', '2.25.9', '', 5, '');
         INSERT INTO deliveries (id, result_id, destination, state, attempts, next_utc, reason)
         VALUES (2, 2, 'pacs', 'pending', 3, '2026-01-01T10:09:00.000Z', 'no such patient: Zelda Quartzley, 19111203')",
    );
    recording.end().await;
    let all = unpacked(&file);
    identifies_nobody(&all);
    // It would be easy to leave everything out.
    assert!(all["interval-log.txt"].contains("is refused"), "{}", all["interval-log.txt"]);
    let events = json(&all, "interval-events.json");
    assert_eq!((events.as_array().unwrap().len(), &events[0]["what"]), (1, &"refused".into()), "{events}");
    let interval = &all["interval.json"];
    assert!(interval.contains("no such patient") && interval.contains(&code), "{interval}");
    let changed: Vec<Value> = json(&all, "interval.json")["changes"].as_array().unwrap().clone();
    assert!(
        changed.iter().any(|one| one["what"] == "destination pacs" && one["to"] == "1 waiting, 0 held, 1 parked"),
        "{changed:?}"
    );
    // Once more over it: it must be told before anybody reproduces anything.
    let again = Command::new(env!("CARGO_BIN_EXE_scansidectl"))
        .args(["--bus", &bus.address, "bundle", "--record", file.to_str().unwrap()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(1));
    appliance.stop().await.unwrap();
}

/// A database with a patient, before the daemon starts.
fn planted(site: &Site) {
    std::fs::create_dir(site.path("spool")).unwrap();
    let store = Store::open(&site.path("spool/scanside.db")).unwrap();
    store.connect(Durability::Full).unwrap().execute_batch(STUDY).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_ends_in_the_middle_is_told_and_whom_it_knew_is_searched_all_the_same() {
    let Some(bus) = Bus::start() else { return };
    let site = Site::new(&bus.address, "127.0.0.1:0");
    planted(&site);
    let daemon = Daemon::start(&bus, &site).await;
    let (path, file) = (journal(&site, EARLIER), site.path("box.tar.zst"));
    let recording = Recording::begin(&bus.address, &path, &site.config(), &file, &[]).await;
    let code = recording.code.clone();
    daemon.stop().await;
    log(&site, "2026-01-01T00:00:05+0000 box-host scansided[7]: panic at zelda quartzley acc55021");
    let said = recording.end().await;
    let summary = &said["interval"];
    assert_eq!(summary["daemon_at_stop"], "is not on the bus", "{said}");
    assert_eq!((&summary["daemon_was_away"], &said["patients_searched"]), (&true.into(), &false.into()), "{said}");
    assert_eq!(
        (&summary["events"], &summary["associations_refused"]),
        (&Value::Null, &Value::Null),
        "not known is not none"
    );
    assert_eq!(summary["markers"]["start"]["written_by"], "scansided");
    let stop = &summary["markers"]["stop"];
    assert_eq!((&stop["written_by"], &stop["in_log"]), (&"scansidectl".into(), &true.into()), "{said}");
    let all = unpacked(&file);
    identifies_nobody(&all);
    let log = &all["interval-log.txt"];
    assert!(log.contains("panic at ...") && log.contains(&format!("marker {code}: stop")), "{log}");
    assert!(all["interval.txt"].contains("At the end scansided did not answer"), "{}", all["interval.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_was_started_again_in_the_middle_is_told() {
    let Some(bus) = Bus::start() else { return };
    let site = Site::new(&bus.address, "127.0.0.1:0");
    let daemon = Daemon::start(&bus, &site).await;
    let (path, file) = (journal(&site, EARLIER), site.path("box.tar.zst"));
    let recording = Recording::begin(&bus.address, &path, &site.config(), &file, &[]).await;
    daemon.stop().await;
    let daemon = Daemon::start(&bus, &site).await;
    daemon.call("CT1", "SCANSIDE").await;
    let said = recording.end().await;
    let summary = &said["interval"];
    assert_eq!((&summary["restarts_seen"], &summary["daemon_at_stop"]), (&1.into(), &"answers".into()), "{said}");
    assert_eq!(summary["associations_accepted"], 1, "{said}");
    let all = unpacked(&file);
    assert!(all["interval.txt"].contains("scansided was started again 1 time"), "{}", all["interval.txt"]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_ends_by_its_time_and_by_a_signal_and_a_second_signal_leaves_nothing() {
    let Some(bus) = Bus::start() else { return };
    let site = Site::new(&bus.address, "127.0.0.1:0");
    let daemon = Daemon::start(&bus, &site).await;
    let (path, config) = (journal(&site, EARLIER), site.config());
    let timed = Recording::begin(&bus.address, &path, &config, &site.path("1"), &["--for", "1s"]).await;
    assert_eq!(timed.ended().await["interval"]["ended_by"], "time");
    let signal = |recording: &Recording, signal| {
        let pid = rustix::process::Pid::from_raw(i32::try_from(recording.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    };
    // The end of the session of the engineer, too: what was reproduced is not lost.
    for (name, number) in [("2", rustix::process::Signal::INT), ("3", rustix::process::Signal::HUP)] {
        let recording = Recording::begin(&bus.address, &path, &config, &site.path(name), &[]).await;
        signal(&recording, number);
        assert_eq!(recording.ended().await["interval"]["ended_by"], "signal");
    }
    // The journal hangs while the file is made.
    let slow = programs(
        &site,
        &[(
            "journalctl",
            "case \"$*\" in\n*--show-cursor*) echo '-- cursor: s=1' ;;\n*-n*) touch \"$0.asked\"; sleep 60 ;;\nesac",
        )],
    );
    let file = site.path("4");
    let mut recording = Recording::begin(&bus.address, &slow, &config, &file, &[]).await;
    signal(&recording, rustix::process::Signal::INT);
    until("the file is being made", async || site.path("programs/journalctl.asked").exists()).await;
    signal(&recording, rustix::process::Signal::INT);
    let code = tokio::task::spawn_blocking(move || recording.child.wait().unwrap().code()).await.unwrap();
    assert_eq!((code, file.exists()), (Some(1), false));
    daemon.stop().await;
}
