//! `scansidectl` as people and scripts use it: what it prints, what it exits with.

use std::process::Output;

use serde_json::Value;

use crate::fixture::{Appliance, Bus, ROWS, ask, scansidectl, text};

async fn json(bus: &Bus, arguments: &[&str]) -> Value {
    serde_json::from_str(&text(bus, &[&["--json"], arguments].concat()).await).unwrap()
}

fn complaint(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn without_a_bus_the_exit_code_is_3_and_there_is_a_remedy() {
    let (code, said) = complaint(&scansidectl(&["--bus", "unix:path=/nonexistent", "status"]));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.starts_with("error: no D-Bus at") && said.contains("\nremedy: "), "{said}");
}

#[test]
fn without_a_daemon_the_exit_code_is_3_and_there_is_a_remedy() {
    let Some(bus) = Bus::start() else { return };
    for arguments in [&["status"][..], &["studies", "list"], &["watch"], &["outbox", "retry"]] {
        let (code, said) = complaint(&scansidectl(&[&["--bus", &bus.address], arguments].concat()));
        assert_eq!(code, Some(3), "{arguments:?}: {said}");
        assert!(said.contains("scansided is not on this bus\nremedy: start scansided"), "{arguments:?}: {said}");
    }
}

#[test]
fn wrong_usage_is_2_and_help_shows_examples() {
    assert_eq!(scansidectl(&["frobnicate"]).status.code(), Some(2));
    assert_eq!(scansidectl(&["studies", "show"]).status.code(), Some(2));
    let help = scansidectl(&["--help"]);
    let help = String::from_utf8_lossy(&help.stdout);
    assert!(
        help.contains("Examples:\n  scansidectl status") && help.contains("3 the daemon cannot be reached"),
        "{help}"
    );
}

#[test]
fn completions_know_the_commands() {
    let script = String::from_utf8(scansidectl(&["completions", "bash"]).stdout).unwrap();
    assert!(["quarantine", "rerun", "setup", "revert", "unset"].iter().all(|word| script.contains(word)));
}

#[test]
fn config_check_prints_the_effective_configuration_or_every_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("site.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "[dicom]\nmax_pdu = 65536\n").unwrap();
    let good = scansidectl(&["config", "check", path]);
    assert!(String::from_utf8_lossy(&good.stdout).contains("max_pdu = 65536\n"));
    let json: Value = serde_json::from_slice(&scansidectl(&["--json", "config", "check", path]).stdout).unwrap();
    assert_eq!(json["dicom"]["max_pdu"], 65536);
    std::fs::write(&file, "[dicom]\nmax_pdu = 65\nfoo = 1\n").unwrap();
    let (code, said) = complaint(&scansidectl(&["config", "check", path]));
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("{path}:3: dicom.foo: unknown key `foo`")) && said.contains("\nremedy: "), "{said}");
}

#[test]
fn config_set_shows_what_changes_and_what_makes_it_count_and_can_be_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("50-site.toml");
    let folder = directory.path().to_str().unwrap();
    let text = "# ours\n[dicom]\nmax_pdu = 65536 # as the PACS\n";
    std::fs::write(&file, text).unwrap();
    let run = |arguments: &[&str]| {
        let output = scansidectl(&[&["config"], arguments, &["--config", folder]].concat());
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    };
    let now = || std::fs::read_to_string(&file).unwrap();

    let (code, said) = run(&["set", "dicom.max_pdu", "4096", "--dry-run"]);
    assert_eq!((code, now().as_str()), (Some(0), text), "{said}");
    let (code, said) = run(&["set", "dicom.max_pdu", "4096"]);
    assert_eq!((code, now()), (Some(0), text.replace("65536", "4096")), "{said}");
    assert!(said.contains("- dicom.max_pdu = 65536\n+ dicom.max_pdu = 4096\n"), "{said}");
    assert!(said.contains("`systemctl restart scansided` makes it count"), "{said}");
    let (_, said) = run(&["set", "dicom.max_pdu", "4096"]);
    assert!(said.contains("so already"), "{said}");

    let (code, said) = run(&["set", "dicom.max_pduu", "4096"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("is `dicom.max_pdu` meant?") && said.contains("remedy: "), "{said}");
    let (code, said) = run(&["set", "dicom.max_pdu", "-3"]);
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = run(&["set", "dicom.max_pdu", "3"]);
    assert!(
        said.contains(&format!("{}:3: dicom.max_pdu: 3 is out of range: 4096 to", file.display())),
        "{code:?} {said}"
    );

    let (code, said) = run(&["unset", "dicom.max_pdu"]);
    assert!(code == Some(0) && said.contains("- dicom.max_pdu = 4096\n+ dicom.max_pdu = 131072\n"), "{said}");
    let (_, said) = run(&["history"]);
    assert!(said.contains("set dicom.max_pdu") && said.contains("unset dicom.max_pdu"), "{said}");
    let (_, said) = run(&["diff", "1"]);
    assert!(said.contains("before change 1") && said.contains("+ dicom.max_pdu = 131072"), "{said}");
    let (code, said) = run(&["revert", "1"]);
    assert_eq!((code, now().as_str()), (Some(0), text), "{said}");
    let (_, said) = run(&["revert"]);
    assert!(said.contains("+ dicom.max_pdu = 131072"), "a revert can be reverted: {said}");
    assert_eq!(run(&["revert", "77"]).0, Some(1));
}

#[test]
fn analyze_of_a_folder_without_dicom_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("none.toml");
    std::fs::write(&config, "").unwrap();
    let folder = directory.path().join("empty");
    std::fs::create_dir(&folder).unwrap();
    let arguments = ["analyze", folder.to_str().unwrap(), "--config", config.to_str().unwrap()];
    let (code, said) = complaint(&scansidectl(&arguments));
    assert_eq!(code, Some(1));
    assert!(
        said.contains("no DICOM file below") && said.contains("\nremedy: give a folder that holds DICOM"),
        "{said}"
    );
}

/// A CT image without pixels, implicit VR little endian.
fn image() -> Vec<u8> {
    fn element(out: &mut Vec<u8>, tag: [u16; 2], value: &str) {
        let length = value.len().next_multiple_of(2);
        tag.iter().for_each(|half| out.extend(half.to_le_bytes()));
        out.extend(u32::try_from(length).unwrap().to_le_bytes());
        out.extend(value.as_bytes());
        out.resize(out.len() + length - value.len(), 0);
    }
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    let syntax = b"1.2.840.10008.1.2\0";
    for (tag, value) in [([2u16, 0u16], &26u32.to_le_bytes()[..]), ([2, 0x10], syntax)] {
        tag.iter().for_each(|half| file.extend(half.to_le_bytes()));
        file.extend(if tag[1] == 0 { b"UL" } else { b"UI" });
        file.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        file.extend(value);
    }
    for (tag, value) in [
        ([0x0008, 0x0016], "1.2.840.10008.5.1.4.1.1.2"),
        ([0x0008, 0x0018], "1.2.3.1"),
        ([0x0008, 0x0060], "CT"),
        ([0x0010, 0x0010], "PHANTOM^EVA"),
        ([0x0020, 0x000d], "1.2.3"),
        ([0x0020, 0x000e], "1.2.3.0"),
    ] {
        element(&mut file, tag, value);
    }
    file
}

#[test]
fn what_analyze_writes_is_for_its_own_user_only_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("none.toml"), "").unwrap();
    std::fs::create_dir(path("study")).unwrap();
    std::fs::write(path("study/1.dcm"), image()).unwrap();
    let run = ["analyze", &path("study"), "--config", &path("none.toml"), "--out", &path("out")].map(str::to_owned);
    let output = std::process::Command::new("sh")
        .args(["-c", "umask 022; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_scansidectl")])
        .args(run)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let series = path("out/series-1");
    assert_eq!((mode(&path("out")), mode(&series)), (0o700, 0o700));
    let written: Vec<_> = std::fs::read_dir(&series).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!written.is_empty());
    assert!(written.iter().all(|file| mode(file.to_str().unwrap()) == 0o600), "{written:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_tables_for_people_without_colour_in_a_pipe() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let studies = text(&bus, &["studies", "list"]).await;
    for word in ["Verdict", "2026-01-01", "P1  PHANTOM, ONE", "Chest CT", "processed", "Lung 1.0: 1 nodule"] {
        assert!(studies.contains(word), "{word} is missing:\n{studies}");
    }
    assert!(!studies.contains('\x1b'), "{studies}");
    assert_eq!(studies.lines().count(), 3, "{studies}");
    assert!(text(&bus, &["studies", "list", "--state", "evicted"]).await.contains("No evicted studies."));
    let outbox = text(&bus, &["outbox", "list"]).await;
    assert!(
        outbox.contains("the archive is full (status 0xA700)") && outbox.contains("next 2026-01-01 10:09"),
        "{outbox}"
    );
    let quarantine = text(&bus, &["quarantine", "list"]).await;
    assert!(quarantine.contains("no pixel data") && quarantine.contains("CT9 10.0.0.9:4000"), "{quarantine}");
    let status = text(&bus, &["status"]).await;
    for word in
        ["9.9.9 (simulated", "full", "127.0.0.1:4242", "2 studies, 203 instances", "1 waiting, the oldest for", "PACS@"]
    {
        assert!(status.contains(word), "{word} is missing:\n{status}");
    }
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_told_with_its_reason() {
    let Some(bus) = Bus::start() else { return };
    let held = "UPDATE deliveries SET state = 'held', reason = 'made with a simulated device';";
    let appliance = Appliance::start(&bus.address, &format!("{ROWS}{held}")).await;
    let status = text(&bus, &["status"]).await;
    assert!(status.contains("empty, 1 held (made with a simulated device)"), "{status}");
    let outbox = text(&bus, &["outbox", "list"]).await;
    assert!(outbox.contains("held") && outbox.contains("made with a simulated device"), "{outbox}");
    appliance.stop().await.unwrap();
}

/// Of a destination that was renamed: one command, each delivery in the audit trail.
#[tokio::test(flavor = "multi_thread")]
async fn all_that_waits_for_one_destination_is_dropped_at_once() {
    let Some(bus) = Bus::start() else { return };
    for state in ["pending", "held", "parked", "delivered"] {
        let rows = format!("{ROWS}UPDATE deliveries SET id = 1, state = '{state}', destination = 'gone';");
        let appliance = Appliance::start(&bus.address, &rows).await;
        let nothing = text(&bus, &["outbox", "drop", "--destination", "pacs"]).await;
        assert_eq!(nothing, "0 deliveries for pacs are dropped: they are never sent.\n");
        let said = json(&bus, &["outbox", "drop", "--destination", "gone"]).await;
        let waits = state != "delivered";
        assert_eq!(said["deliveries"], u32::from(waits), "{state}");
        let asked: &[&str] = if waits { &["Drop 1"] } else { &[] };
        assert_eq!(*appliance.script.asked.lock().unwrap(), asked, "{state}");
        appliance.stop().await.unwrap();
    }
    let (code, _) = complaint(&ask(&bus, &["outbox", "drop"]).await);
    assert_eq!(code, Some(2), "one delivery or one destination");
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_and_notices_that_are_not_told_are_in_the_status_and_in_the_metrics() {
    let Some(bus) = Bus::start() else { return };
    let more = "INSERT INTO ups_tasks (sop_uid, transaction_uid, study_uid, task, state, until_utc, attempts, reason, created_utc)
                  VALUES ('1.1', '2.1', '1', '{}', 'working', '9', 2, 'the manager is away', '2026-01-01T10:00:00.000Z'),
                         ('1.2', '2.2', '1', '{}', 'closed', '9', 0, NULL, '2025-01-01T10:00:00.000Z');
                INSERT INTO notices (receiver, job_id, study_uid, sop_uid, said, next_utc, created_utc, state, reason)
                  VALUES ('ris', 1, '1', '3.1', '{}', '9', '2026-01-01T10:00:00.000Z', 'waiting', NULL),
                         ('ris', 2, '1', '3.2', '{}', '9', '2026-01-01T10:00:00.000Z', 'parked', 'status 0x0122'),
                         ('ris', 3, '1', '3.3', '{}', '9', '2026-01-01T10:00:00.000Z', 'told', NULL);";
    let appliance = Appliance::start(&bus.address, &format!("{ROWS}{more}")).await;
    let status = text(&bus, &["status"]).await;
    assert!(status.contains("1 open, the oldest for ") && status.contains("; the manager is away"), "{status}");
    assert!(status.contains("1 waiting, the oldest for ") && status.contains("1 refused by the receiver"), "{status}");
    let status = json(&bus, &["status"]).await;
    assert_eq!((&status["tasks_open"], &status["tasks_reason"]), (&1.into(), &"the manager is away".into()));
    assert_eq!((&status["notices_waiting"], &status["notices_parked"]), (&1.into(), &1.into()));
    assert_eq!(status["notices_reason"], "status 0x0122");
    let connection = scanside_client::connect(&bus.address).await.unwrap();
    let metrics = scanside_client::ManagerProxy::new(&connection).await.unwrap().show_metrics().await.unwrap();
    for line in [
        "scanside_tasks{state=\"working\"} 1",
        "scanside_notices{state=\"waiting\"} 1",
        "scanside_notices{state=\"parked\"} 1",
    ] {
        assert!(metrics.lines().any(|said| said == line), "{line}\n{metrics}");
    }
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_parked_is_told_with_its_reason() {
    let Some(bus) = Bus::start() else { return };
    let parked = "UPDATE deliveries SET state = 'parked', status = 290, reason = 'SOP class not supported';";
    let appliance = Appliance::start(&bus.address, &format!("{ROWS}{parked}")).await;
    let status = text(&bus, &["status"]).await;
    assert!(status.contains("empty, 1 parked (refused by the destination)"), "{status}");
    let outbox = text(&bus, &["outbox", "list"]).await;
    assert!(outbox.contains("parked") && outbox.contains("SOP class not supported (status 0x0122)"), "{outbox}");
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_is_shown_with_findings_and_deliveries_however_it_is_named() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    for name in ["4", "1.2.840.1"] {
        let shown = text(&bus, &["studies", "show", name]).await;
        for word in ["right", "2612 ml", "3.1 %", "8.0 mm", "0.93", "100", "inference 12.3 s", "pacs"] {
            assert!(shown.contains(word), "{word} is missing:\n{shown}");
        }
    }
    let (code, said) = complaint(&ask(&bus, &["studies", "show", "1.2.840"]).await);
    assert!(code == Some(1) && said.contains("more than one study UID begins with"), "{said}");
    let (code, said) = complaint(&ask(&bus, &["studies", "show", "77"]).await);
    assert!(code == Some(1) && said.contains("there is no study \"77\"\nremedy: "), "{said}");
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_stable_names_and_utc_times() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let studies = json(&bus, &["studies", "list"]).await;
    assert_eq!(studies[1]["study_uid"], "1.2.840.1");
    assert_eq!(studies[1]["path"], "/org/scanside/Appliance1/study/4");
    assert_eq!(studies[1]["last_utc"], "2026-01-01T10:05:00.000Z");
    let whole = json(&bus, &["studies", "show", "4"]).await;
    assert_eq!(whole["series"][0]["verdict"], "1 nodule");
    assert_eq!(whole["series"][0]["completed_by"], Value::Null);
    assert_eq!(whole["deliveries"][0]["status"], 0xA700);
    let status = json(&bus, &["status"]).await;
    assert_eq!((&status["level"], &status["studies_left"]), (&Value::from("full"), &Value::Null));
    assert_eq!(json(&bus, &["quarantine", "list"]).await[0]["reason"], "no pixel data");
    assert_eq!(json(&bus, &["series"]).await[0]["state"], "receiving");
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn verbs_say_what_they_did_and_failures_what_helps() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    assert_eq!(text(&bus, &["outbox", "retry", "pacs"]).await, "3 deliveries are tried now.\n");
    assert_eq!(text(&bus, &["studies", "rerun", "4", "--urgent"]).await, "1 series queued again.\n");
    assert_eq!(text(&bus, &["echo", "pacs"]).await, "pacs answered after 12 ms.\n");
    assert_eq!(json(&bus, &["echo", "pacs"]).await["milliseconds"], 12.0);
    assert_eq!(*appliance.script.asked.lock().unwrap(), ["retry Some(\"pacs\")", "rerun 1.2.840.1 urgent=true"]);
    let (code, said) = complaint(&ask(&bus, &["echo", "dead"]).await);
    assert_eq!((code, said.as_str().starts_with("error: connection refused\nremedy: ")), (Some(1), true), "{said}");
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_lists_each_finding_with_its_decision_and_signs_what_was_said() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    assert!(text(&bus, &["studies", "review", "4"]).await.starts_with("Nothing to review"), "of an older version");
    let listed =
        r#"{"id":"nodule-1","finding":"nodule","number":1,"centre_mm":[1.0,2.0,3.0],"volume_ml":0.27,"key_slice":99}"#;
    let decided = listed.replace('}', r#","decision":"rejected","comment":"a vessel"}"#);
    let document = r#"{"study_uid":"1","series_uid":"2","sop_class":"3","sop_uid":"4"}"#;
    let review = format!(
        r#"{{"by":"Li Ming","utc":"2026-01-01T11:00:00.000Z","package":"p","decisions":[{decided}],"predecessor":{document}}}"#
    );
    appliance.sql(&format!("UPDATE jobs SET findings = '{{\"listed\":[{listed}]}}' WHERE id = 1"));
    let open = json(&bus, &["studies", "review", "4"]).await;
    assert_eq!(open["series"][0]["by"], "");
    assert_eq!(open["series"][0]["findings"][0]["id"], "nodule-1");
    assert_eq!(open["series"][0]["findings"][0]["decision"], Value::Null);
    appliance.sql(&format!("UPDATE jobs SET findings = '{{\"listed\":[{listed}],\"review\":{review}}}' WHERE id = 1"));
    let signed = json(&bus, &["studies", "review", "4"]).await;
    assert_eq!(signed["series"][0]["by"], "Li Ming");
    assert_eq!(signed["series"][0]["findings"][0]["decision"], "rejected");
    assert_eq!(signed["series"][0]["findings"][0]["comment"], "a vessel");
    assert!(text(&bus, &["studies", "review", "4"]).await.contains("reviewed by Li Ming"));

    let (code, said) = complaint(&ask(&bus, &["studies", "review", "4", "--accept-rest"]).await);
    assert_eq!((code, said.contains("--by NAME")), (Some(1), true), "{said}");
    let arguments = ["studies", "review", "4", "--by", "Li Ming", "--reject", "nodule-1=a vessel", "--accept-rest"];
    assert!(text(&bus, &arguments).await.starts_with("Signed by Li Ming: 2 findings accepted, 1 rejected."));
    let mut edits = vec!["studies", "review", "4", "--by", "Li Ming", "--accept-rest", "--edit"];
    edits.extend(["nodule-1:long_mm=12.4", "nodule-1:short_mm=8.1", "nodule-1:comment=by callipers"]);
    let answer = json(&bus, &edits).await;
    assert_eq!((&answer["accepted"], &answer["edited"], &answer["rejected"]), (&2.into(), &1.into(), &1.into()));
    let (code, said) =
        complaint(&ask(&bus, &["studies", "review", "4", "--by", "Li Ming", "--edit", "nodule-1"]).await);
    assert_eq!((code, said.contains("--edit ID:FIELD=VALUE")), (Some(1), true), "{said}");
    let asked = appliance.script.asked.lock().unwrap().clone();
    let scripted = [
        "review 1.2.840.1.1 Li Ming [nodule-1 rejected \"a vessel\"] true",
        "review 1.2.840.1.1 Li Ming [nodule-1 edited \"by callipers\" long_mm=12.4 short_mm=8.1] true",
    ];
    assert_eq!(asked, scripted);
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_prints_one_json_value_for_each_event_and_ends_when_idle() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let address = bus.address.clone();
    let watch =
        tokio::task::spawn_blocking(move || scansidectl(&["--bus", &address, "--json", "watch", "--until-idle"]));
    appliance.sql("UPDATE series SET state = 'processed'; UPDATE deliveries SET state = 'delivered';");
    // Told until heard: nobody knows when the watch has begun to listen.
    let event = custody::event::Event::Series {
        id: 6,
        study_uid: "1.2.840.2".into(),
        series_uid: "1.2.840.2.1".into(),
        state: "processed".into(),
        instances: 3,
        verdict: Some("no nodule".into()),
    };
    crate::fixture::until("the watch ends", async || {
        let _ = appliance.events.send(event.clone());
        watch.is_finished()
    })
    .await;
    let output = watch.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&event["event"], &event["verdict"]), (&Value::from("series"), &Value::from("no nodule")));
    }
    appliance.stop().await.unwrap();
}

#[test]
fn a_replay_that_analyses_no_picture_fails_and_says_nothing_of_lesions() {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("grey.y4m");
    let picture = [b"FRAME\n".to_vec(), vec![90; 64 * 48]].concat();
    std::fs::write(&recording, [b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 Cmono\n".to_vec(), picture.repeat(5)].concat())
        .unwrap();
    let (recording, packages) = (recording.to_str().unwrap(), folder.path().to_str().unwrap());
    for json in [&[][..], &["--json"]] {
        let output = scansidectl(&[json, &["live", "replay", recording, "--packages", packages]].concat());
        let (code, said) = complaint(&output);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.starts_with("error: nothing was analysed (5 pictures)") && said.contains("\nremedy: "), "{said}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("No lesion"), "{output:?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut scansidectl = std::process::Command::new(env!("CARGO_BIN_EXE_scansidectl"))
        .args(["completions", "bash"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(scansidectl.stdout.take());
    let ended = scansidectl.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_stops_says_so() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let some = ask(&bus, &["studies", "list", "--limit", "1"]).await;
    assert_eq!(String::from_utf8_lossy(&some.stdout).lines().count(), 2);
    assert_eq!(String::from_utf8_lossy(&some.stderr), "The newest 1 of 2 are shown; --limit 0 shows all.\n");
    for all in ["2", "0"] {
        let all = ask(&bus, &["studies", "list", "--limit", all]).await;
        assert_eq!((String::from_utf8_lossy(&all.stdout).lines().count(), all.stderr.len()), (3, 0));
    }
    appliance.stop().await.unwrap();
}
