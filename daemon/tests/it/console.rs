//! The server of the live page with real sockets and a scripted live path: browsers, tablets and attackers.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use config::settings::Console;
use custody::audit::Audit;
use custody::level::{Gate, Level};
use hal::sensors::condition::Condition;
use hal::sensors::{Readings, Zone};
use live::view::{self, By, Command, ExamError, IllegalTransition, Overlay, Sign, Stats, Status};
use live::worklist::Worklist;
use models::task::us_breast::lesion::Lesion;
use scansided::console::{self, Server};
use scansided::health::heat;
use tokio_util::sync::CancellationToken;

use super::console_support::{Site, within};

fn overlay(sequence: u64) -> Overlay {
    Overlay {
        sequence,
        age_ms: 21.25,
        mm_per_pixel: None,
        side: None,
        lesions: vec![Lesion {
            id: 3,
            outline: vec![[10.5, 20.0], [30.0, 20.25], [20.0, 40.0]],
            bounds: [10.5, 20.0, 30.0, 40.0],
            confidence: 0.91,
            malignant: 0.125,
            descriptors: vec!["oval".into(), "parallel".into()],
            size_mm: Some([9.5, 4.25]),
        }],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_gets_pictures_overlay_status_and_figures_as_they_are() {
    let site = Site::start().await;
    let status = Status { sign: Sign::Ready, mark: Some("not for diagnosis".into()), ..Status::default() };
    site.stage.status.send_replace(Arc::new(status.clone()));
    site.show(1);
    let mut page = site.open().await;
    assert_eq!(page.text("status").await, serde_json::to_value(&status).unwrap(), "what was said before it came");
    let (sequence, jpeg) = page.picture().await;
    assert_eq!((sequence, &jpeg[..2]), (1, &[0xFF, 0xD8][..]), "the picture that stands still");
    site.stage.overlay.send_replace(Arc::new(overlay(1)));
    loop {
        let shown = page.text("overlay").await;
        if shown["sequence"] == 1 {
            // Compared as text, because a 32-bit float is written with fewer digits than as 64 bits.
            let sent = serde_json::to_string(&overlay(1)).unwrap();
            assert_eq!(shown, serde_json::from_str::<serde_json::Value>(&sent).unwrap());
            break;
        }
    }
    let stats = Stats { pictures: 9, ..Stats::default() };
    site.stage.stats.send_replace(Arc::new(stats.clone()));
    let shown = serde_json::to_value(&stats).unwrap();
    within("the figures", async { while page.text("stats").await != shown {} }).await;
    page.text("alive").await;
    site.stop().await;
    assert_eq!(page.closed().await, "the box is shutting down");
}

#[tokio::test(flavor = "multi_thread")]
async fn newest_wins_and_a_slow_page_holds_nobody_up() {
    let site = Site::start().await;
    let (mut slow, mut quick) = (site.open().await, site.open().await);
    slow.text("status").await;
    quick.text("status").await;
    let mut shown = Vec::new();
    for sequence in 1..=40 {
        site.show(sequence);
        let (newest, _) = quick.picture().await;
        quick.seen(newest).await;
        shown.push(newest);
    }
    assert_eq!(shown, (1..=40).collect::<Vec<_>>(), "the quick page misses nothing");
    let (first, second) = (slow.picture().await.0, slow.picture().await.0);
    assert!(first < second && second <= 40, "{first} {second}");
    assert!(!slow.gets_a_picture_within(Duration::from_millis(300)).await, "two are on the way, no more");
    slow.seen(second).await;
    assert_eq!(slow.picture().await.0, 40, "then the newest, not the next");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_reads_nothing_does_not_stop_the_others() {
    let site = Site::start().await;
    let _deaf = site.open().await;
    let mut page = site.open().await;
    for sequence in 1..=100 {
        site.show(sequence);
        site.stage.overlay.send_replace(Arc::new(overlay(sequence)));
        let newest = within("a picture beside a deaf page", page.picture()).await.0;
        page.seen(newest).await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_when_the_box_takes_no_new_studies_and_why() {
    let site = Site::start().await;
    let mut page = site.open().await;
    assert_eq!(page.text("level").await, serde_json::json!({"level": "full", "reason": ""}));
    site.gate.set(Level::NoNewStudies, "1.2 GB are free");
    let said = serde_json::json!({"level": "no_new_studies", "reason": "1.2 GB are free"});
    assert_eq!(page.text("level").await, said);
    let mut late = site.open().await;
    assert_eq!(late.text("level").await, said, "who comes later is told as well");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_in_both_languages_when_the_box_is_hot_and_what_to_do() {
    let site = Site::start().await;
    let mut page = site.open().await;
    let unknown = serde_json::json!({"condition": "unknown", "words": {"en": "", "zh": ""}});
    assert_eq!(page.text("heat").await, unknown);
    let zone = Zone { name: "cpu".into(), celsius: 93.6, limit_celsius: Some(95.0), ..Zone::default() };
    let readings = Arc::new(Readings { zones: vec![zone], ..Readings::default() });
    let hot = heat::Report { condition: Condition::Hot, readings, looked: true, ..heat::Report::default() };
    site.heat.send_replace(hot);
    let said = page.text("heat").await;
    assert_eq!(said["condition"], "hot");
    let (en, zh) = (said["words"]["en"].as_str().unwrap(), said["words"]["zh"].as_str().unwrap());
    assert!(en.contains("94 °C") && en.contains("results may come late") && en.contains("Clean filter"), "{en}");
    assert!(zh.contains("94 °C") && zh.contains("结果可能延迟") && zh.contains("清洁滤网"), "{zh}");
    let mut late = site.open().await;
    assert_eq!(late.text("heat").await, said, "who comes later is told as well");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worklist_is_shown_and_what_was_typed_is_compared_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.csv");
    let settings = Console { address: "127.0.0.1:0".into(), ..Console::default() };
    let mut site = Site::expecting(settings, Worklist::at(Some(path.clone()))).await;
    let (_, mut commands) = tokio::sync::mpsc::channel(1);
    std::mem::swap(&mut commands, &mut site.stage.commands);
    tokio::spawn(async move {
        while let Some(command) = commands.recv().await {
            let Command::StartExam(order, reply) = command else { continue };
            let study = order.study_uid.unwrap_or_default();
            let _ = reply.send(Ok(format!("{} {} {study}", order.patient.id, order.patient.birth_date)));
        }
    });
    let missing = site.ask("GET /worklist", &[], "").await;
    assert_eq!(missing.status, 503);
    assert!(missing.body.contains("cannot be read"), "{}", missing.body);
    let asked = async |body: &str| {
        let answer = site.post("/exam/start", body).await;
        (answer.status, answer.body)
    };
    let typed = r#"{"id":"P1","name":"DOE^JANE","accession_number":"A-1"}"#;
    assert_eq!(asked(typed).await, (200, "P1  ".into()), "who is typed need not be listed");

    std::fs::write(
        &path,
        "patient_id,patient_name,birth_date,accession_number,study_uid\nP1,Doe^Jane,19700131,A-1,1.2.3\n",
    )
    .unwrap();
    let listed = site.ask("GET /worklist", &[], "").await;
    assert_eq!(listed.header("content-type"), Some("application/json"));
    let listed: serde_json::Value = serde_json::from_str(&listed.body).unwrap();
    assert_eq!(listed["entries"][0]["patient"]["id"], "P1");
    assert_eq!(asked(typed).await, (200, "P1 19700131 1.2.3".into()), "completed");
    assert_eq!(asked(r#"{"worklist":"A-1"}"#).await, (200, "P1 19700131 1.2.3".into()), "chosen");
    let mut lines = std::fs::read_to_string(&path).unwrap();
    lines.push_str("P1,Doe^Jane,19700131,,1.2.4\nP1,Doe^Jane,19700131,,1.2.5\n");
    std::fs::write(&path, lines).unwrap();
    let chosen = r#"{"id":"P1","name":"Doe^Jane","birth_date":"19700131","accession_number":"","study_uid":"1.2.5"}"#;
    assert_eq!(asked(chosen).await, (200, "P1 19700131 1.2.5".into()), "of three orders of this patient");
    for (body, status, word) in [
        (r#"{"id":"P2","name":"DOE^JANE","accession_number":"A-1"}"#, 409, "another patient ID"),
        (r#"{"id":"P1","name":"ROE^JANE"}"#, 409, "another name"),
        (r#"{"worklist":"A-2"}"#, 409, "no order"),
        (r#"{"worklist":"A-1","accession_number":"A-2"}"#, 422, "two accession numbers"),
        (r#"{"study_uid":"1.2.9"}"#, 409, "not in the worklist any more"),
        (r#"{"id":"UNIDENTIFIED-1","name":"X"}"#, 422, "reserved for unidentified exams"),
        (r#"{"name":"X"}"#, 422, "the patient ID is missing"),
        (r#"{"worklist":"A-1","study":"1"}"#, 400, "unknown field"),
    ] {
        let (answered, words) = asked(body).await;
        assert!(answered == status && words.contains(word), "{body}: {answered} {words}");
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_press_reaches_the_live_path_and_its_words_come_back() {
    let mut site = Site::start().await;
    let (_, mut commands) = tokio::sync::mpsc::channel(1);
    std::mem::swap(&mut commands, &mut site.stage.commands);
    tokio::spawn(async move {
        while let Some(command) = commands.recv().await {
            let (reply, words) = match command {
                Command::StartExam(order, reply) => (reply, Ok(format!("exam of {} begun", order.patient.name))),
                Command::StopExam(reply) => (reply, Err(ExamError::NoExam.into())),
                Command::Freeze(on, By::Page, reply) => (reply, Ok(format!("frozen: {on}"))),
                Command::Freeze(_, By::Bus, reply) => (reply, Err(IllegalTransition("the page is not the bus").into())),
                Command::Mark(reply) => (reply, Ok("kept".to_owned())),
                Command::Side(side, reply) => (reply, Ok(format!("side {side:?}"))),
                Command::Probe(order, seen, reply) => (reply, Ok(format!("{order:?} {seen:?}"))),
                Command::Place(lesion, place, seen, reply) => {
                    let of = seen.map(|seen| (seen.started_utc, seen.size));
                    (reply, Ok(format!("{lesion} at {:?} of {of:?}", place.clock)))
                }
            };
            let _ = reply.send(words);
        }
    });
    let asked = async |path: &str, body: &str| {
        let answer = site.post(path, body).await;
        (answer.status, answer.body)
    };
    let patient = r#"{"id":"P1","name":"DOE^JANE","birth_date":"19700101"}"#;
    assert_eq!(asked("/exam/start", patient).await, (200, "exam of DOE^JANE begun".into()));
    assert_eq!(asked("/exam/stop", "").await, (409, "no exam is running: start one first".into()));
    assert_eq!(asked("/freeze", r#"{"on":true}"#).await, (200, "frozen: true".into()));
    assert_eq!(asked("/mark", "").await, (200, "kept".into()));
    assert_eq!(asked("/exam/side", r#"{"side":"left"}"#).await, (200, "side Some(Left)".into()));
    assert_eq!(asked("/exam/side", r#"{"side":null}"#).await, (200, "side None".into()));
    assert_eq!(asked("/exam/side", r#"{"side":"up"}"#).await.0, 400);
    let placed = |clock: i32| {
        let seen = r#"{"started_utc":"2026-01-01T10:00:00Z","size":[1280,720]}"#;
        format!(r#"{{"lesion":3,"place":{{"clock":{clock}}},"seen":{seen}}}"#)
    };
    let of = r#"3 at Some(2) of Some(("2026-01-01T10:00:00Z", [1280, 720]))"#;
    assert_eq!(asked("/exam/place", &placed(2)).await, (200, of.into()));
    assert_eq!(asked("/exam/place", &placed(-2)).await.0, 400);
    let unseen = asked("/exam/place", r#"{"lesion":3,"place":{"clock":2}}"#).await;
    assert_eq!(unseen.0, 400, "nobody places a lesion of whatever exam runs by then: {}", unseen.1);
    let step = asked("/exam/probe", r#"{"step":"next_hour","seen":"2026"}"#).await;
    assert_eq!(step, (200, r#"Step(NextHour) Some("2026")"#.into()));
    let spot = asked("/exam/probe", r#"{"side":"left","spot":"3-inner","seen":"2026"}"#).await.1;
    assert!(spot.contains("Hour(3, Inner)") && spot.contains("Left"), "{spot}");
    assert_eq!(asked("/exam/probe", r#"{"spot":"13-inner","seen":"2026"}"#).await.0, 400);
    assert_eq!(asked("/exam/probe", r#"{"step":"next_hour"}"#).await.0, 400, "of whatever exam runs by then");
    assert_eq!(asked("/exam/start", r#"{"id":"","name":"X"}"#).await, (422, "the patient ID is missing".into()));
    assert_eq!(asked("/freeze", "on").await.0, 400);
    assert_eq!(asked("/freeze", &"x".repeat(10_000)).await.0, 413);
    let form = ["Content-Type: application/x-www-form-urlencoded", &format!("Origin: http://{}", site.address)];
    assert_eq!(site.ask("POST /freeze", &form, "on=true").await.status, 415);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_and_other_names_are_refused_on_loopback_too() {
    let site = Site::start().await;
    assert_eq!(site.ask("GET /", &[], "").await.status, 200);
    assert_eq!(site.ask("GET /", &["Host: evil.example"], "").await.status, 421, "DNS rebinding");
    let json = "Content-Type: application/json";
    assert_eq!(site.ask("POST /mark", &["Origin: http://evil.example", json], "").await.status, 403);
    assert_eq!(site.ask("POST /mark", &[json], "").await.status, 403, "no origin at all");
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        let refused = site.knock(&[("Origin", origin)]).await.unwrap_err().to_string();
        assert!(refused.contains("403"), "{origin}: {refused}");
    }
    assert!(site.knock(&[]).await.is_err(), "a WebSocket says where it comes from");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_forbids_what_the_page_does_not_need() {
    let site = Site::start().await;
    for path in ["/", "/login", "/assets/page.js", "/assets/nothing.js", "/nowhere"] {
        let answer = site.ask(&format!("GET {path}"), &[], "").await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    let script = site.ask("GET /assets/page.js", &[], "").await;
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(site.ask("GET /assets/..%2f..%2fetc%2fpasswd", &[], "").await.status, 404);
    site.stop().await;
}

/// An address of this machine that is not loopback; `None`, reported as skipped, if there is none.
pub fn elsewhere() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    // Nothing is sent: the kernel only chooses the address that it would use.
    let address = socket.connect("192.0.2.1:9").ok().and_then(|()| socket.local_addr().ok()).map(|a| a.ip());
    if address.is_none_or(|address| address.is_loopback()) {
        needs::skip(needs::Lack::Host, "this machine has loopback only");
        return None;
    }
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_loopback_a_token_opens_the_door() {
    let Some(address) = elsewhere() else { return };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a token of this box\n").unwrap();
    let settings =
        Console { address: "0.0.0.0:0".into(), token_file: Some(file.path().to_owned()), ..Console::default() };
    let mut site = Site::with(settings).await;
    assert_eq!(site.ask("GET /session", &[], "").await.status, 204, "the kiosk needs no token");
    site.address.set_ip(address);
    let first = site.ask("GET /", &[], "").await;
    assert_eq!((first.status, first.header("location")), (303, Some("/login")));
    assert_eq!(site.ask("GET /session", &[], "").await.status, 401);
    assert_eq!(site.post("/mark", "").await.status, 401);
    assert_eq!(site.ask("GET /assets/login.js", &[], "").await.status, 200);
    let origin = format!("http://{}", site.address);
    assert!(site.knock(&[("Origin", &origin)]).await.unwrap_err().to_string().contains("401"));

    assert_eq!(site.post("/login", r#"{"token":"another token of a box"}"#).await.status, 403);
    let login = site.post("/login", r#"{"token":"a token of this box"}"#).await;
    let cookie = login.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let line = format!("Cookie: {cookie}");
    assert_eq!(site.ask("GET /session", &[&line], "").await.status, 204);
    assert_eq!(site.ask("GET /", &[&line], "").await.status, 200);
    let mut page = site.open_as(cookie).await;
    assert!(site.ask("GET /pages", &[&line], "").await.body.contains(r#""login":true"#));

    // Whoever logs out leaves no picture behind that moves on.
    let ours = format!("Origin: {origin}");
    assert_eq!(site.ask("POST /logout", &[&line, "Origin: http://evil.example"], "").await.status, 403);
    let gone = site.ask("POST /logout", &[&line, &ours], "").await;
    assert!(gone.status == 204 && gone.header("set-cookie").unwrap().starts_with("scanside=; "), "{gone:?}");
    assert_eq!(page.closed().await, "the login is over");
    assert_eq!(site.ask("GET /session", &[&line], "").await.status, 401);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_what_they_may_say_are_bounded() {
    let site = Site::start().await;
    let mut pages = Vec::new();
    for _ in 0..16 {
        pages.push(site.open().await);
    }
    let origin = format!("http://{}", site.address);
    assert!(site.knock(&[("Origin", &origin)]).await.unwrap_err().to_string().contains("503"));
    pages[0].say("{\"seen\":\"all\"}").await;
    pages[0].closed().await;
    pages[1].say(&"x".repeat(100_000)).await;
    pages[1].closed().await;
    within("a place to be free again", async {
        while site.knock(&[("Origin", &origin)]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_tried_again_and_stops_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = Console { address: taken.local_addr().unwrap().to_string(), ..Console::default() };
    assert!(Server::bind(&settings).await.unwrap_err().to_string().starts_with("console.address 127.0.0.1:"));
    let trigger = CancellationToken::new();
    let shutdown = trigger.clone();
    let (_stage, view) = view::channel();
    let task = tokio::spawn(console::run(
        settings.clone(),
        Some(view),
        None,
        (Gate::default(), heat::channel().1),
        Audit::default(),
        shutdown,
    ));
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(taken);
    within("the page", async {
        while tokio::net::TcpStream::connect(&settings.address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    trigger.cancel();
    within("the end", task).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_page_to_serve_or_switched_off_there_is_no_port() {
    for (address, view) in [("127.0.0.1:0", None), ("off", Some(view::channel().1))] {
        let trigger = CancellationToken::new();
        let shutdown = trigger.clone();
        let settings = Console { address: address.into(), ..Console::default() };
        let task = tokio::spawn(console::run(
            settings,
            view,
            None,
            (Gate::default(), heat::channel().1),
            Audit::default(),
            shutdown,
        ));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!task.is_finished(), "it waits for the end");
        trigger.cancel();
        within("the end", task).await.unwrap();
    }
}
