//! `Live1` and `scansidectl live`, with a live path that is scripted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use live::view::ExamError;
use live::view::{self, Command, Exam, Guidance, Latency, ProbeOrder, Sign, Status, View};
use models::findings::Side;
use models::task::us_breast::scan::Unjudged;
use models::task::us_breast::scan::contact::{self, Contact};
use models::task::us_breast::scan::coverage::Quality;
use models::task::us_breast::scan::probe::{Plane, Probe, Spot};
use scanside_client::{ERROR_PREFIX, Live, LiveProxy, Options, Place, Stats, connect, error_parts};
use serde_json::Value;
use tokio::sync::watch;

use crate::fixture::{Appliance, Bus, PATIENCE, ROWS, ask, text, until};

/// Does as it is told, and writes it down.
struct Path {
    status: watch::Sender<Arc<Status>>,
    stats: watch::Sender<Arc<view::Stats>>,
    guide: watch::Sender<Arc<Guidance>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Path {
    fn start() -> (Self, View) {
        let (stage, view) = view::channel();
        let view::Stage { guide, pictures, taken, overlay, status, stats, recording: _, mut commands } = stage;
        let asked = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn({
            let (status, asked) = (status.clone(), asked.clone());
            async move {
                let _kept = (pictures, taken, overlay);
                while let Some(command) = commands.recv().await {
                    asked.lock().unwrap().push(format!("{command:?}"));
                    obey(command, &status);
                }
            }
        });
        (Self { status, stats, guide, asked }, view)
    }

    fn sign(&self, sign: Sign) {
        change(&self.status, |status| status.sign = sign);
    }
}

fn change(status: &watch::Sender<Arc<Status>>, how: impl FnOnce(&mut Status)) {
    status.send_modify(|status| how(Arc::make_mut(status)));
}

fn obey(command: Command, status: &watch::Sender<Arc<Status>>) {
    match command {
        Command::StartExam(order, reply) => {
            let patient = order.patient;
            let answer = match &status.borrow().exam {
                Some(exam) if exam.patient != patient => Err(ExamError::OtherPatient.into()),
                _ => Ok(format!("exam of {} begun", patient.id)),
            };
            if answer.is_ok() {
                let exam = Exam {
                    number: 0,
                    study_uid: "2.25.1".into(),
                    patient,
                    started_utc: "2026-01-01T10:00:00Z".into(),
                    marks: 0,
                    side: None,
                    probe: None,
                    places: BTreeMap::new(),
                    by_probe: std::collections::BTreeSet::new(),
                    request: None,
                };
                change(status, |status| status.exam = Some(exam));
            }
            let _ = reply.send(answer);
        }
        Command::StopExam(reply) => {
            change(status, |status| status.exam = None);
            let _ = reply.send(Ok("exam ended".into()));
        }
        Command::Freeze(on, _, reply) => {
            let sign = if on { Sign::Paused { reason: "frozen".into() } } else { Sign::Ready };
            change(status, |status| status.sign = sign);
            let _ = reply.send(Ok(if on { "frozen" } else { "goes on" }.into()));
        }
        Command::Mark(reply) => {
            let _ = reply.send(Err(ExamError::NoExam.into()));
        }
        Command::Side(side, reply) => {
            change(status, |status| status.exam.iter_mut().for_each(|exam| exam.side = side));
            let _ = reply.send(Ok("noted".into()));
        }
        Command::Probe(order, _, reply) => {
            if let ProbeOrder::At { side, spot: Some(spot), plane } = order {
                change(status, |status| {
                    status.exam.iter_mut().for_each(|exam| {
                        (exam.side, exam.probe) = (side.or(exam.side), Some(Probe { spot, plane }));
                    });
                });
            }
            let _ = reply.send(Ok(format!("{order:?}")));
        }
        Command::Place(lesion, place, _, reply) => {
            change(status, |status| {
                status.exam.iter_mut().for_each(|exam| exam.places.extend([(lesion, place.clone())]))
            });
            let _ = reply.send(Ok("noted".into()));
        }
    }
}

fn kind<T: std::fmt::Debug>(answer: zbus::Result<T>) -> String {
    let (name, _) = error_parts(&answer.unwrap_err()).unwrap();
    name.strip_prefix(ERROR_PREFIX).unwrap_or(&name).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn verbs_reach_the_live_path_and_properties_follow() {
    let Some(bus) = Bus::start() else { return };
    let (path, view) = Path::start();
    let appliance = Appliance::start_live(&bus.address, view).await;
    let live = LiveProxy::builder(&connect(&bus.address).await.unwrap())
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap();
    assert_eq!(live.sign().await.unwrap(), "off");
    assert_eq!(live.freeze(true).await.unwrap(), "frozen");
    assert_eq!((live.sign().await.unwrap(), live.reason().await.unwrap()), ("paused".into(), "frozen".into()));
    assert_eq!(live.freeze(false).await.unwrap(), "goes on");
    assert_eq!(kind(live.mark().await), "NotPossible");

    let patient = |id: &'static str| Options::from([("id", id.into()), ("name", "DOE^JANE".into())]);
    assert_eq!(live.start_exam(patient("P1")).await.unwrap(), "exam of P1 begun");
    assert_eq!(kind(live.start_exam(patient("P2")).await), "NotPossible");
    assert_eq!(kind(live.start_exam(patient(" ")).await), "InvalidArgument");
    assert_eq!(kind(live.start_exam(Options::from([("idd", "P1".into())])).await), "InvalidArgument");
    let asked = path.asked.lock().unwrap().len();
    assert_eq!(asked, 5, "what is invalid does not reach the live path");
    let now = Live::read(&live).await.unwrap();
    let exam = now.exam.unwrap();
    assert_eq!((exam.patient.id.as_str(), exam.patient.birth_date, exam.marks), ("P1", None, 0));

    assert_eq!(live.scan_side("left").await.unwrap(), "noted");
    assert_eq!(kind(live.scan_side("up").await), "InvalidArgument");
    let at = Options::from([("clock", 2u32.into()), ("distance_mm", 40.0.into())]);
    assert_eq!(live.place_lesion(3, at).await.unwrap(), "noted");
    let exam = Live::read(&live).await.unwrap().exam.unwrap();
    let third = Place { clock: Some(2), distance_mm: Some(40.0), ..Place::default() };
    assert_eq!((exam.side.as_deref(), exam.places), (Some("left"), BTreeMap::from([(3, third)])));

    let there = Options::from([("spot", "3-middle".into()), ("plane", "radial".into())]);
    assert!(live.place_probe(there).await.unwrap().contains("Hour(3, Middle)"));
    assert_eq!(kind(live.place_probe(Options::from([("spot", "13-inner".into())])).await), "InvalidArgument");
    let now = Live::read(&live).await.unwrap();
    let exam = now.exam.unwrap();
    assert_eq!((exam.probe_spot.as_deref(), exam.probe_plane.as_deref()), (Some("3-middle"), Some("radial")));
    assert!(now.guidance.items.is_empty() && now.guidance.estimate.contains("estimate"));

    path.stats.send_replace(Arc::new(view::Stats {
        pictures: 300,
        lost: 2,
        inferred: 290,
        stages: vec![
            ("present".into(), Latency { count: 300, p50: 1.0, p99: 2.0, p999: 3.0, max: 4.0 }),
            ("overlay".into(), Latency { count: 290, p50: 21.5, p99: 30.0, p999: 31.0, max: 32.0 }),
        ],
        late: 10,
        overlay_counts: vec![(21_503, 200), (30_207, 90)],
        ..view::Stats::default()
    }));
    let stats = Stats::read(&live).await.unwrap();
    assert_eq!((stats.pictures, stats.lost, stats.inferred), (300, 2, 290));
    assert_eq!((stats.late, stats.overlay_counts), (10, vec![(21_503, 200), (30_207, 90)]));
    let overlay = &stats.stages[1];
    assert_eq!((overlay.stage.as_str(), overlay.count, overlay.p50, overlay.max), ("overlay", 290, 21.5, 32.0));
    assert_eq!(live.stop_exam().await.unwrap(), "exam ended");
    assert_eq!(Live::read(&live).await.unwrap().exam, None);
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn guidance_and_coverage_are_told_with_figures_and_as_an_estimate() {
    let Some(bus) = Bus::start() else { return };
    let (path, view) = Path::start();
    let appliance = Appliance::start_live(&bus.address, view).await;
    assert!(text(&bus, &["live", "coverage"]).await.contains("nobody has said where the probe is"));
    let mut guidance = Guidance { items: live::guidance::none(Unjudged::Frozen), ..Guidance::default() };
    let contact = Contact { strips: Vec::new(), without: 0.4, word: contact::Word::PoorLeft };
    guidance.items[0] = live::guidance::contact(Ok(contact.word), Some(&contact));
    let probe = Probe { spot: Spot::named("3-middle").unwrap(), plane: Some(Plane::Radial) };
    guidance.coverage.add(Side::Left, probe, 4.0, Quality::TooFast);
    path.guide.send_replace(Arc::new(guidance));
    let status = text(&bus, &["live", "status"]).await;
    for word in ["Poor contact on the left", "without 0.4 share", "Not judged: the picture stands still"] {
        assert!(status.contains(word), "{word}: {status}");
    }
    let shown = text(&bus, &["live", "coverage"]).await;
    for word in ["Left breast: 0 of 38 places looked at, 1 swept too fast, 37 not swept", "estimate"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let json: Value = serde_json::from_str(&text(&bus, &["--json", "live", "coverage"]).await).unwrap();
    let place = &json["coverage"][0];
    assert_eq!(
        (&place["spot"], &place["state"], &place["fast_secs"]),
        (&"3-middle".into(), &"too_fast".into(), &4.0.into())
    );
    assert_eq!(json["items"][0]["state"], "poor_left");
    assert!(json["items"][0]["words_zh"].as_str().unwrap().contains("左侧"));
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_but_a_flood_of_figures_is_not() {
    let Some(bus) = Bus::start() else { return };
    let (path, view) = Path::start();
    let appliance = Appliance::start_live(&bus.address, view).await;
    let connection = connect(&bus.address).await.unwrap();
    let properties = zbus::fdo::PropertiesProxy::builder(&connection)
        .destination(scanside_client::BUS_NAME)
        .path(scanside_client::LIVE)
        .build()
        .await
        .unwrap();
    let mut changes = properties.receive_properties_changed().await.unwrap();
    let begun = std::time::Instant::now();
    for pictures in 1..=60 {
        path.stats.send_replace(Arc::new(view::Stats { pictures, ..view::Stats::default() }));
        tokio::time::sleep(std::time::Duration::from_millis(16)).await;
    }
    path.sign(Sign::NoSignal { reason: "no cable".into() });
    let mut signals = 0;
    loop {
        let change = tokio::time::timeout(PATIENCE, changes.next()).await.unwrap().unwrap();
        signals += 1;
        let change = change.args().unwrap();
        if let Some(sign) = change.changed_properties.get("Sign") {
            assert_eq!(sign.to_string(), "\"no_signal\"");
            assert_eq!(change.changed_properties["Reason"].to_string(), "\"no cable\"");
            break;
        }
    }
    let most = begun.elapsed().as_millis() / 250 + 2;
    assert!(signals <= most, "{signals} signals in {:?}", begun.elapsed());
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_live_path_the_object_says_off_and_verbs_have_a_named_error() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let live = LiveProxy::new(&connect(&bus.address).await.unwrap()).await.unwrap();
    let now = Live::read(&live).await.unwrap();
    assert_eq!((now.sign.as_str(), now.model, now.exam), ("off", None, None));
    assert_eq!(Stats::read(&live).await.unwrap().stages, []);
    assert_eq!(kind(live.mark().await), "NotFound");
    let output = ask(&bus, &["live", "freeze"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("no capture device is configured: the live path is off\nremedy: "), "{said}");
    assert!(text(&bus, &["live", "status"]).await.contains("off"));
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn scansidectl_shows_and_asks() {
    let Some(bus) = Bus::start() else { return };
    let (path, view) = Path::start();
    let appliance = Appliance::start_live(&bus.address, view).await;
    change(&path.status, |status| {
        status.sign = Sign::NoOverlay { reason: "the model is slow".into() };
        status.source = "vivid".into();
        status.profile = "linear".into();
        status.model = "us-breast 0.1.0".into();
        status.mark = Some("not for diagnosis".into());
        status.simulated = true;
        status.size = [1280, 720];
    });
    path.stats.send_replace(Arc::new(view::Stats {
        pictures: 1,
        lost: 0,
        inferred: 0,
        stages: vec![("present".into(), Latency { count: 1, p50: 1.25, p99: 2.0, p999: 3.0, max: 4.0 })],
        ..view::Stats::default()
    }));
    let begun =
        text(&bus, &["live", "start", "--patient-id", "P1", "--name", "DOE^JANE", "--birth-date", "19700131"]).await;
    assert_eq!(begun, "exam of P1 begun\n");
    let shown = text(&bus, &["live", "status"]).await;
    for word in [
        "no_overlay",
        "the model is slow",
        "vivid 1280x720 (simulated",
        "us-breast 0.1.0",
        "not for diagnosis",
        "DOE^JANE (P1, born 1970-01-31)",
        "0 marks",
    ] {
        assert!(shown.contains(word), "{word} is missing:\n{shown}");
    }
    let json: Value = serde_json::from_str(&text(&bus, &["--json", "live", "status"]).await).unwrap();
    assert_eq!((&json["exam"]["patient"]["id"], &json["size"][1]), (&"P1".into(), &720.into()));
    let stats = text(&bus, &["live", "stats"]).await;
    assert!(stats.starts_with("1 picture, 0 lost") && stats.contains("present") && stats.contains("1.25"), "{stats}");
    let json: Value = serde_json::from_str(&text(&bus, &["--json", "live", "stats"]).await).unwrap();
    assert_eq!(json["stages"][0]["p99"], 2.0);
    let json: Value = serde_json::from_str(&text(&bus, &["--json", "live", "freeze"]).await).unwrap();
    assert_eq!(json["change"], "frozen");
    assert_eq!(text(&bus, &["live", "unfreeze"]).await, "goes on\n");
    assert_eq!(text(&bus, &["live", "stop"]).await, "exam ended\n");
    let refused = ask(&bus, &["live", "mark"]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("no exam is running: start one first\nremedy: see `scansidectl live status`"), "{said}");
    let help = text(&bus, &["live", "--help"]).await;
    assert!(help.contains("Examples:\n  scansidectl live status") && help.contains("unfreeze"), "{help}");
    assert!(text(&bus, &["completions", "bash"]).await.contains("unfreeze"));
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_prints_a_line_for_each_change() {
    use std::io::{BufRead, BufReader};
    let Some(bus) = Bus::start() else { return };
    let (path, view) = Path::start();
    let appliance = Appliance::start_live(&bus.address, view).await;
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_scansidectl"))
        .args(["--bus", &bus.address, "--json", "live", "watch"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = Arc::new(Mutex::new(Vec::<Value>::new()));
    let reading = BufReader::new(child.stdout.take().unwrap());
    let heard = lines.clone();
    std::thread::spawn(move || {
        for line in reading.lines().map_while(Result::ok) {
            heard.lock().unwrap().push(serde_json::from_str(&line).unwrap());
        }
    });
    let signs = || lines.lock().unwrap().iter().map(|line| line["sign"].clone()).collect::<Vec<_>>();
    until("the first line", async || signs() == ["off"]).await;
    path.sign(Sign::Ready);
    until("the second line", async || signs() == ["off", "ready"]).await;
    path.sign(Sign::Failed { reason: "gone".into() });
    until("the third line", async || signs() == ["off", "ready", "failed"]).await;
    child.kill().unwrap();
    child.wait().unwrap();
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_orders_of_a_patient_the_one_that_is_chosen_counts() {
    let Some(bus) = Bus::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.csv");
    std::fs::write(&list, "patient_id,patient_name,study_uid\nP1,DOE^JANE,1.2.1\nP1,DOE^JANE,1.2.2\n").unwrap();
    let (path, view) = Path::start();
    let view = View { worklist: live::worklist::Worklist::at(Some(list)), ..view };
    let appliance = Appliance::start_live(&bus.address, view).await;
    let live = LiveProxy::new(&connect(&bus.address).await.unwrap()).await.unwrap();
    let asked = || path.asked.lock().unwrap().last().cloned().unwrap();
    let patient = || Options::from([("id", "P1".into()), ("name", "DOE^JANE".into())]);
    live.start_exam(patient()).await.unwrap();
    assert!(asked().contains("study_uid: None"), "which one is not said: {}", asked());
    let mut chosen = patient();
    chosen.insert("study_uid", "1.2.2".into());
    live.start_exam(chosen).await.unwrap();
    assert!(asked().contains("1.2.2") && !asked().contains("1.2.1"), "{}", asked());
    text(&bus, &["live", "start", "--study-uid", "1.2.1"]).await;
    assert!(asked().contains("1.2.1") && asked().contains("DOE^JANE"), "{}", asked());
    let gone = ask(&bus, &["live", "start", "--study-uid", "1.2.9"]).await;
    let said = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(!gone.status.success() && said.contains("not in the worklist any more"), "{said}");
    appliance.stop().await.unwrap();
}
