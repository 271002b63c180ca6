//! STOW-RS to archives that answer as real ones do, and as they should not.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use node::outcome::Outcome;
use node::outcome::http;
use node::probe::web as probe;
use node::probe::{Cause, Step};
use node::send::{File, SendFault};
use node::stow::{Login, Object, Presence, Service, Session, Taken};
use node::tls::Client;
use node::tls::settings::JudgeDates;
use tempfile::TempDir;

use super::fixtures::{CT, IMPLICIT, PATIENCE, data_set, part10};
use super::tls_support::{Machine, Site};
use super::web_pacs::{self, Act, JSON, Request, WebPacs, failed, found, referenced, sound};

const UID: &str = "1.2.3.9";
const OBJECT: Object<'static> = Object { study_uid: "1.2.3.4", series_uid: "1.2.3.4.5", sop_uid: UID };

fn service(url: &str) -> Service {
    Service { url: url.parse().unwrap(), login: None, tls: None }
}

/// One object on the disk, with this many bytes of pixels.
fn file(folder: &Path, pixels: usize) -> File {
    let path = folder.join("one.dcm");
    std::fs::write(&path, part10(CT, UID, IMPLICIT, &data_set(UID, pixels))).unwrap();
    File::open(&path).unwrap()
}

/// Sends one object to an archive that does this with it.
async fn sent(act: Act) -> Result<Taken, node::send::Error> {
    let folder = tempfile::tempdir().unwrap();
    let pacs = WebPacs::start(move |_| act.clone()).await;
    let mut session = Session::open(&service(&pacs.url())).await.unwrap();
    session.set_limits(PATIENCE, Duration::from_millis(300));
    session.store(&file(folder.path(), 5000), &OBJECT).await
}

fn kind_of(outcome: Outcome) -> SendFault {
    match outcome {
        Outcome::Hold => SendFault::Everything,
        Outcome::GivenUp => SendFault::ObjectForGood,
        Outcome::Unclear => SendFault::Unclear,
        _ => SendFault::Object,
    }
}

#[tokio::test]
async fn every_row_of_http_codes_is_what_it_says_when_a_server_answers_it() {
    let mut rows = 0;
    for (first, last, outcome) in http::rows() {
        for code in [first, last] {
            for (kind, body) in [("", ""), ("text/html", "<html>no</html>"), (JSON, "{}")] {
                let error = sent(Act::Say(code, kind, body.into())).await.expect_err("a code alone proves nothing");
                // A query after an answer that does not name the object meets the same code.
                assert_eq!(error.kind(), kind_of(outcome), "{code}: {error}");
                assert_eq!(error.is_out_of_room(), outcome == Outcome::Full, "{code}");
                assert!(error.is_answer(), "{code}: {error}");
                assert_eq!(error.status(), None, "{code} is no DIMSE status");
                assert!(error.to_string().contains(&format!("HTTP {code} ({}", http::words(code))), "{error}");
            }
        }
        rows += 1;
    }
    assert!(rows >= 18, "{rows}");
}

#[tokio::test]
async fn what_the_answer_says_of_the_object_decides_in_json_and_in_xml() {
    let xml = |tag: &str, reason: &str, code: u16| {
        format!(
            "<?xml version=\"1.0\"?><NativeDicomModel><DicomAttribute tag=\"{tag}\" vr=\"SQ\"><Item number=\"1\">\
             <DicomAttribute tag=\"00081155\" vr=\"UI\"><Value number=\"1\">{UID}</Value></DicomAttribute>\
             <DicomAttribute tag=\"{reason}\" vr=\"US\"><Value number=\"1\">{code}</Value></DicomAttribute>\
             </Item></DicomAttribute></NativeDicomModel>"
        )
    };
    let plain = "application/json";
    for (act, status) in [
        (Act::Say(200, JSON, referenced(UID, None)), 0),
        (Act::Say(200, plain, referenced(UID, None)), 0),
        (Act::SayAndClose(202, JSON, referenced(UID, Some(0xb000))), 0xb000),
        (Act::Say(200, "application/dicom+xml", xml("00081199", "00081196", 0xb007)), 0xb007),
        (Act::Say(409, JSON, failed(UID, 0x0111)), 0x0111),
    ] {
        let taken = sent(act.clone()).await.unwrap_or_else(|error| panic!("{act:?}: {error}"));
        assert_eq!((taken.status, taken.remark.is_some()), (status, status != 0), "{act:?}");
        assert_eq!(taken.is_warned(), status >= 0xb000, "{act:?}");
    }
    for (code, kind, body, status, fault) in [
        (200, JSON, failed(UID, 0xa700), 0xa700, SendFault::Object),
        (202, JSON, failed(UID, 0x0110), 0x0110, SendFault::Object),
        (202, JSON, failed(UID, 0xa900), 0xa900, SendFault::ObjectForGood),
        (409, JSON, failed(UID, 0x0122), 0x0122, SendFault::ObjectForGood),
        (409, "application/dicom+xml", xml("00081198", "00081197", 0xc000), 0xc000, SendFault::ObjectForGood),
        (409, JSON, failed(UID, 0x0124), 0x0124, SendFault::Object),
    ] {
        let error = sent(Act::Say(code, kind, body)).await.unwrap_err();
        assert_eq!((error.status(), error.kind()), (Some(status), fault), "{code} {status:#06x}: {error}");
    }
    let of_another = sent(Act::Say(200, JSON, referenced("1.2.3.10", None))).await.unwrap_err();
    assert_eq!(of_another.kind(), SendFault::Object, "{of_another}");
}

#[tokio::test]
async fn a_connection_that_is_cut_or_silent_leaves_the_object_in_doubt() {
    for (act, words) in [
        (Act::HangUp, "broke"),
        (Act::CutAnswer, "broke"),
        (Act::Silence, "did not answer within"),
        (Act::Garble, "does not speak HTTP"),
    ] {
        let error = sent(act.clone()).await.unwrap_err();
        assert_eq!((error.kind(), error.is_answer()), (SendFault::Connection, false), "{act:?}: {error}");
        assert!(error.to_string().contains(words), "{act:?}: {error}");
    }
    // One that takes nothing of the body.
    let folder = tempfile::tempdir().unwrap();
    let (address, task) = web_pacs::deaf().await;
    let mut session = Session::open(&service(&format!("http://{address}"))).await.unwrap();
    session.set_limits(Duration::from_millis(300), PATIENCE);
    let error = session.store(&file(folder.path(), 64 << 20), &OBJECT).await.unwrap_err();
    assert!(error.to_string().contains("did not take the object"), "{error}");
    drop(task.await);
    let nobody = Session::open(&service("http://127.0.0.1:1")).await.unwrap_err();
    assert_eq!(nobody.kind(), SendFault::Connection, "{nobody}");
}

#[tokio::test]
async fn an_object_arrives_byte_by_byte_with_its_length_and_the_next_over_the_same_connection() {
    let folder = tempfile::tempdir().unwrap();
    let has = std::sync::Mutex::default();
    let pacs = WebPacs::start(move |request| sound(&has, request)).await;
    let mut session = Session::open(&service(&pacs.url())).await.unwrap();
    for pixels in [0, 1, 65_535, 65_536, 1 << 20] {
        let file = file(folder.path(), pixels);
        assert_eq!(session.store(&file, &OBJECT).await.unwrap(), Taken::of(0));
        let request = pacs.seen().pop().unwrap();
        assert_eq!(request.part().unwrap(), std::fs::read(&file.path).unwrap(), "{pixels}");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/dicom-web/studies"));
        assert_eq!(request.header("content-length"), request.body.len().to_string());
        assert_eq!(request.header("transfer-encoding"), "");
        assert_eq!(request.header("host"), pacs.address.to_string());
        assert_eq!(request.header("accept"), JSON);
        assert_eq!(request.header("authorization"), "");
        assert!(request.header("content-type").starts_with("multipart/related; type=\"application/dicom\"; boundary="));
    }
    assert_eq!(pacs.connections(), 1);
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_gets_everything() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), 5000);
    // One says that it closes the connection, as HTTP/1.0 does, the other does not: its time for an idle connection is over.
    for act in [Act::SayAndClose, Act::SayAndVanish] {
        let pacs = WebPacs::start(move |_| act(200, JSON, referenced(UID, None))).await;
        let mut session = Session::open(&service(&pacs.url())).await.unwrap();
        for _ in 0..20 {
            session.store(&file, &OBJECT).await.unwrap();
        }
        assert_eq!((pacs.uids().len(), pacs.connections()), (20, 20));
    }
}

#[tokio::test]
async fn a_kept_connection_that_ends_at_a_request_is_tried_once_more_on_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), 5000);
    let requests = AtomicUsize::new(0);
    // The third is the second again; the fourth breaks off on a connection that is used, and again on a new one.
    let pacs = WebPacs::start(move |_| match requests.fetch_add(1, Ordering::SeqCst) {
        0 | 2 => Act::Say(200, JSON, referenced(UID, None)),
        _ => Act::HangUp,
    })
    .await;
    let mut session = Session::open(&service(&pacs.url())).await.unwrap();
    for _ in 0..2 {
        session.store(&file, &OBJECT).await.unwrap();
    }
    let error = session.store(&file, &OBJECT).await.unwrap_err();
    assert_eq!((error.kind(), pacs.uids().len()), (SendFault::Connection, 5), "{error}");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_object_was_read_counts() {
    let folder = tempfile::tempdir().unwrap();
    for (code, kind) in [(413, SendFault::ObjectForGood), (401, SendFault::Everything)] {
        let pacs = WebPacs::start_with("127.0.0.1:0".parse().unwrap(), None, Some(code), |_| Act::HangUp).await;
        let mut session = Session::open(&service(&pacs.url())).await.unwrap();
        let error = session.store(&file(folder.path(), 8 << 20), &OBJECT).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code}: {error}");
    }
}

#[tokio::test]
async fn an_archive_that_answers_early_and_keeps_the_connection_does_not_stop_the_next_request() {
    let folder = tempfile::tempdir().unwrap();
    let (address, task) = web_pacs::early_and_open(413).await;
    let mut session = Session::open(&service(&format!("http://{address}"))).await.unwrap();
    // More than the buffers of the system hold.
    let file = file(folder.path(), 64 << 20);
    for _ in 0..3 {
        let sent = tokio::time::timeout(PATIENCE, session.store(&file, &OBJECT)).await.expect("it goes on");
        assert_eq!(sent.unwrap_err().kind(), SendFault::ObjectForGood);
    }
    task.abort();
}

/// Metadata that name this object and are longer than what is read.
fn long(uid: &str) -> String {
    found(uid).replace("}]", &format!(r#","00091001":{{"vr":"LT","Value":["{}"]}}}}]"#, "x".repeat(2 << 20)))
}

/// Whether an archive with these answers to query and metadata has the object.
async fn presence(query: Act, metadata: Act, answers: bool) -> Result<Presence, node::send::Error> {
    let rule = move |request: &Request| {
        if request.path.ends_with("/metadata") { metadata.clone() } else { query.clone() }
    };
    let pacs = WebPacs::start(rule).await;
    let mut session = Session::open(&service(&pacs.url())).await.unwrap();
    let presence = session.has(&OBJECT, answers).await;
    let seen = pacs.seen();
    assert_eq!(seen[0].path, format!("/dicom-web/studies/1.2.3.4/instances?SOPInstanceUID={UID}"));
    if let Some(second) = seen.get(1) {
        assert_eq!(second.path, format!("/dicom-web/studies/1.2.3.4/series/1.2.3.4.5/instances/{UID}/metadata"));
    }
    presence
}

#[tokio::test]
async fn an_archive_is_believed_to_have_an_object_only_when_a_query_names_it() {
    let say = |code, body: &str| Act::Say(code, JSON, body.to_owned());
    let none = || say(404, "");
    for (query, metadata, answers, presence_is) in [
        (say(200, &found(UID)), Act::HangUp, false, Presence::There),
        (say(200, "[]"), Act::HangUp, false, Presence::Absent),
        (say(204, ""), Act::HangUp, false, Presence::Absent),
        (say(200, &found("1.2.3.10")), Act::HangUp, false, Presence::Absent),
        (none(), say(200, &found(UID)), false, Presence::There),
        (say(501, ""), say(200, &found(UID)), false, Presence::There),
        (say(200, "<html>"), say(200, &found("1.2")), false, Presence::Unknown),
        (none(), none(), false, Presence::Unknown),
        (say(400, ""), none(), false, Presence::Unknown),
        (say(403, ""), say(200, &found(UID)), false, Presence::There),
        (none(), none(), true, Presence::Absent),
        (none(), say(200, &long(UID)), false, Presence::There),
        (say(200, &long("1.2")), say(200, &found(UID)), false, Presence::There),
    ] {
        let name = format!("{query:?} {metadata:?} {answers}");
        assert_eq!(presence(query, metadata, answers).await.unwrap(), presence_is, "{name}");
    }
    for code in [302, 401, 403, 407] {
        assert!(presence(say(code, ""), none(), true).await.is_err(), "{code} says nothing of an object");
        assert!(presence(none(), say(code, ""), false).await.is_err(), "{code} says nothing of what it offers");
    }
    assert!(presence(none(), say(200, &long("1.2")), false).await.is_err(), "too long is not nothing");
    for (query, metadata) in [(say(400, ""), say(400, "")), (say(200, "<html>"), say(200, "<html>"))] {
        assert!(presence(query, metadata, true).await.is_err(), "it is known to answer, and does not now");
    }
    for code in [429, 500, 503] {
        assert!(presence(say(code, ""), Act::HangUp, true).await.is_err(), "{code}: asked again later");
    }
    assert!(presence(Act::HangUp, Act::HangUp, true).await.is_err());
}

#[tokio::test]
async fn an_empty_answer_counts_when_a_query_finds_the_object() {
    let folder = tempfile::tempdir().unwrap();
    let rule = |request: &Request| {
        let body = if request.method == "GET" { found(UID) } else { String::new() };
        Act::Say(200, JSON, body)
    };
    let pacs = WebPacs::start(rule).await;
    let mut session = Session::open(&service(&pacs.url())).await.unwrap();
    let taken = session.store(&file(folder.path(), 100), &OBJECT).await.unwrap();
    assert!(taken.is_warned() && taken.remark.unwrap().contains("query"));
}

fn secret(folder: &TempDir, text: &str) -> std::path::PathBuf {
    let path = folder.path().join("secret");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[tokio::test]
async fn the_login_is_shown_with_each_request_and_appears_in_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let token = secret(&folder, "hunter2hunter2\n");
    for (login, header) in [
        (Login::Bearer(token.clone()), "Bearer hunter2hunter2"),
        (Login::Basic { user: "box".into(), password: token.clone() }, "Basic Ym94Omh1bnRlcjJodW50ZXIy"),
    ] {
        let rule = |request: &Request| {
            let said = format!("who is {}?", request.header("authorization"));
            Act::Say(if request.method == "POST" { 500 } else { 404 }, "text/plain", said)
        };
        let pacs = WebPacs::start(rule).await;
        let service = Service { login: Some(login), ..service(&pacs.url()) };
        let mut session = Session::open(&service).await.unwrap();
        let error = session.store(&file(folder.path(), 100), &OBJECT).await.unwrap_err().to_string();
        assert!(error.contains("who is") && !error.contains("hunter2") && !error.contains("Ym94"), "{error}");
        let _ = session.has(&OBJECT, false).await;
        assert!(pacs.seen().iter().all(|request| request.header("authorization") == header));
        assert!(!format!("{session:?}").contains("hunter2"), "{session:?}");
    }
    let missing = Login::Bearer(folder.path().join("none"));
    let error = Session::open(&Service { login: Some(missing), ..service("http://127.0.0.1:1") }).await.unwrap_err();
    assert_eq!(error.kind(), SendFault::Everything, "{error}");
}

/// An archive by TLS, with the certificate of this machine, that wants one of ours.
async fn by_tls(site: &Site, machine: &Machine) -> WebPacs {
    let acceptor = site.acceptor(machine);
    let has = std::sync::Mutex::default();
    WebPacs::start_with("127.0.0.1:0".parse().unwrap(), Some(acceptor), None, move |request| sound(&has, request)).await
}

#[tokio::test]
async fn https_is_trusted_as_dicom_over_tls_is() {
    let folder = tempfile::tempdir().unwrap();
    let (site, other) = (Site::new(), Site::new());
    let file = file(folder.path(), 200_000);
    let pacs = by_tls(&site, &site.machine("box.test")).await;
    let expired = by_tls(&site, &site.machine_until("old.test", 2010)).await;
    let ours = site.client(&site.machine("us.test"));
    let to = |pacs: &WebPacs, tls: &node::tls::settings::DestinationTls| Service {
        tls: Some(Client::from(tls)),
        ..service(&format!("https://{}/dicom-web", pacs.address))
    };
    let mut session = Session::open(&to(&pacs, &ours)).await.unwrap();
    assert_eq!(session.store(&file, &OBJECT).await.unwrap(), Taken::of(0));
    assert_eq!(session.has(&OBJECT, false).await.unwrap(), Presence::There);

    let strangers = node::tls::settings::DestinationTls { ca: vec![other.ca()], ..ours.clone() };
    let error = Session::open(&to(&pacs, &strangers)).await.unwrap_err().to_string();
    assert!(error.contains("nobody that is trusted"), "{error}");

    let old = node::tls::settings::DestinationTls { name: Some("old.test".into()), ..ours.clone() };
    let error = Session::open(&to(&expired, &old)).await.unwrap_err().to_string();
    assert!(error.contains("expired"), "{error}");
    let unbelieved = node::tls::settings::DestinationTls { judge_dates: Some(JudgeDates::Never), ..old };
    let mut session = Session::open(&to(&expired, &unbelieved)).await.unwrap();
    session.store(&file, &OBJECT).await.expect("dates count by a clock that is believed only");

    // With TLS 1.3 our certificate is judged after the handshake.
    let nobody = node::tls::settings::DestinationTls { certificate: None, key: None, ..ours };
    let error = match Session::open(&to(&pacs, &nobody)).await {
        Ok(mut session) => session.store(&file, &OBJECT).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), SendFault::Connection, "{error}");
}

#[tokio::test]
async fn the_test_of_an_archive_names_the_step_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let has = std::sync::Mutex::default();
    let sound_one = WebPacs::start(move |request| sound(&has, request)).await;
    let good = probe::run(&service(&sound_one.url()), PATIENCE).await;
    assert_eq!(good.failed, None);
    let steps: Vec<_> = good.passed.iter().map(|passed| passed.step).collect();
    assert_eq!(steps, [Step::Name, Step::Connection, Step::Http, Step::Login, Step::Store, Step::Query]);
    assert_eq!(sound_one.uids(), Vec::<String>::new(), "nothing was stored");

    let say = |code| Act::Say(code, "text/plain", String::new());
    for (act, step, cause) in [
        (say(401), Step::Login, Cause::LoginRefused),
        (say(403), Step::Login, Cause::LoginRefused),
        (say(404), Step::Store, Cause::NoStow),
        (say(405), Step::Store, Cause::NoStow),
        (say(301), Step::Store, Cause::NoStow),
        (say(501), Step::Store, Cause::NoStow),
        (say(400), Step::Store, Cause::NoStow),
        (say(503), Step::Store, Cause::NotReady),
        (Act::Garble, Step::Http, Cause::NotHttp),
        (Act::HangUp, Step::Http, Cause::Aborted),
    ] {
        let answer = act.clone();
        let pacs = WebPacs::start(move |_| answer.clone()).await;
        let failed = probe::run(&service(&pacs.url()), PATIENCE).await.failed.unwrap();
        assert_eq!((failed.step, failed.cause), (step, cause), "{act:?}: {}", failed.what);
    }
    let silent = WebPacs::start(|_| Act::Silence).await;
    let failed = probe::run(&service(&silent.url()), Duration::from_millis(300)).await.failed.unwrap();
    assert_eq!((failed.step, failed.cause), (Step::Http, Cause::Silent));

    let nobody = probe::run(&service("http://127.0.0.1:1"), PATIENCE).await.failed.unwrap();
    assert_eq!((nobody.step, nobody.cause), (Step::Connection, Cause::PortClosed));
    let unreadable = Service { login: Some(Login::Bearer(folder.path().join("none"))), ..service(&sound_one.url()) };
    let failed = probe::run(&unreadable, PATIENCE).await.failed.unwrap();
    assert_eq!((failed.step, failed.cause), (Step::Login, Cause::LoginUnreadable));

    let site = Site::new();
    let secure = by_tls(&site, &site.machine("box.test")).await;
    let client = |site: &Site| Some(Client::from(&site.client(&site.machine("us.test"))));
    let https = format!("https://{}/dicom-web", secure.address);
    let good = probe::run(&Service { tls: client(&site), ..service(&https) }, PATIENCE).await;
    assert_eq!((good.failed, good.passed[2].step), (None, Step::Tls));
    let failed = probe::run(&Service { tls: client(&Site::new()), ..service(&https) }, PATIENCE).await.failed.unwrap();
    assert_eq!((failed.step, failed.cause), (Step::Tls, Cause::Tls));
    let no_tls = probe::run(&service(&https.replace("https", "http")), PATIENCE).await.failed.unwrap();
    assert_eq!(no_tls.step, Step::Http, "{}", no_tls.what);
}
