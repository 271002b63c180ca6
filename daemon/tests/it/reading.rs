//! Who may read studies on the page, and what is answered when there is nothing to read.

use config::settings::Console;
use custody::audit::Audit;
use custody::level::Gate;
use custody::spool::Spool;
use custody::store::Store;
use scansided::console::{Signer, Studies};
use scansided::metrics::Metrics;
use scansided::reader::Reader;
use tempfile::TempDir;

use super::console::elsewhere;
use super::console_support::Site;

/// Everything that shows something of a patient.
const SHOWN: [&str; 15] = [
    "GET /reading/studies",
    "GET /reading/study/1.2.3",
    "GET /reading/series/1/stack",
    "GET /reading/picture/1/1",
    "GET /reading/mammogram/1/1/1",
    "GET /reading/study/1.2.3/breast",
    "GET /reading/study/1.2.3/lesions",
    "GET /reading/result/1/segments",
    "GET /reading/result/1/document",
    "GET /dicom-web/studies/1.2.3",
    "GET /dicom-web/studies/1.2.3/metadata",
    "GET /dicom-web/studies/1.2.3/series",
    "GET /dicom-web/studies/1.2.3/series/1.2.4/instances/1.2.5/frames/1",
    "GET /metrics",
    "GET /dicom-web/studies",
];

/// Also of patients; empty lists where nobody is known.
const RECALLS: [&str; 5] = [
    "GET /reading/recalls",
    "GET /reading/recalls.csv",
    "GET /reading/recalls.fhir",
    "GET /reading/lesions",
    "GET /reading/lesion/1",
];

fn empty() -> (TempDir, Studies) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("scanside.db")).unwrap();
    let settings = custody::settings::Spool { directory: folder.path().to_owned(), ..Default::default() };
    let spool = Spool::new(&settings, &store);
    let health = scansided::health::channel().1;
    let metrics = Metrics::new(Reader::new(store.clone()), Gate::default(), health, None);
    let studies = Studies::new(&store, &spool, folder.path(), metrics, signer());
    (folder, studies)
}

/// Says what it was asked to sign.
fn signer() -> Signer {
    Signer::new(|signing| Box::pin(async move { Err(scansided::dbus::Error::NotPossible(format!("{signing:?}"))) }))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_entered_about_a_lesion_on_the_page_is_what_the_bus_would_enter() {
    let (_folder, mut studies) = empty();
    studies.signer = studies.signer.entering(|by, entry| {
        Box::pin(async move { Err(scansided::dbus::Error::InvalidArgument(format!("{by} {entry:?}"))) })
    });
    let settings = Console { address: "127.0.0.1:0".into(), ..Console::default() };
    let site = Site::of_studies(settings, studies).await;
    let entry = r#"{"by":"Anna Müller","entry":{"kind":"link","sighting":43,"lesion":17}}"#;
    let answer = site.post("/reading/lesion", entry).await;
    assert_eq!((answer.status, answer.body.as_str()), (422, "Anna Müller Link { sighting: 43, lesion: 17 }"));
    let unknown = r#"{"by":"Anna Müller","entry":{"kind":"link","sighting":43,"lesion":17,"force":true}}"#;
    assert_eq!(site.post("/reading/lesion", unknown).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_on_the_page_is_what_the_bus_would_sign() {
    let (_folder, studies) = empty();
    let settings = Console { address: "127.0.0.1:0".into(), ..Console::default() };
    let site = Site::of_studies(settings, studies).await;
    let decisions =
        r#"[{"id":"nodule-1","decision":"rejected","comment":"a vessel"},{"id":"emphysema","decision":"accepted"}]"#;
    let review = format!(r#"{{"series_uid":"1.2.3","report":"1.2.9","by":"Anna Müller","decisions":{decisions}}}"#);
    let answer = site.post("/reading/review", &review).await;
    assert_eq!(answer.status, 409, "{}", answer.body);
    for said in
        ["\"1.2.3\"", "Anna Müller", "nodule-1", "Rejected", "a vessel", "emphysema", "Accepted", "accept_rest: false"]
    {
        assert!(answer.body.contains(said), "{said}: {}", answer.body);
    }
    let edited = r#"[{"id":"nodule-1","decision":"edited","comment":"by callipers","edit":{"long_mm":"12.4","short_mm":"8.1"}}]"#;
    let review_of =
        |decisions: &str| format!(r#"{{"series_uid":"1.2.3","report":"1.2.9","by":"Anna","decisions":{decisions}}}"#);
    let answer = site.post("/reading/review", &review_of(edited)).await;
    for said in ["Edited", "by callipers", "long_mm", "12.4", "short_mm", "8.1"] {
        assert!(answer.body.contains(said), "{said}: {}", answer.body);
    }
    // A number, another shape, a field of the decision that there is not.
    for bad in [r#""edit":{"long_mm":12.4}"#, r#""edit":["long_mm"]"#, r#""edits":{}"#] {
        let decisions = format!(r#"[{{"id":"nodule-1","decision":"edited",{bad}}}]"#);
        assert_eq!(site.post("/reading/review", &review_of(&decisions)).await.status, 400, "{bad}");
    }
    let strange = site.post(
        "/reading/review",
        r#"{"series_uid":"1","report":"2","by":"A","decisions":[{"id":"x","decision":"maybe"}]}"#,
    );
    assert_eq!(strange.await.status, 400);
    let elsewhere = ["Origin: http://evil.example", "Content-Type: application/json"];
    assert_eq!(site.ask("POST /reading/review", &elsewhere, &review).await.status, 403);
    let long = format!("{}{}", review, " ".repeat(300_000));
    assert_eq!(site.post("/reading/review", &long).await.status, 413);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_entered_and_taken_away_on_the_page_stands_in_the_audit_trail_with_the_address() {
    let (folder, mut studies) = empty();
    let audit = Audit::at(&folder.path().join("audit"));
    studies.signer = studies.signer.recording(audit.clone());
    let settings = Console { address: "127.0.0.1:0".into(), ..Console::default() };
    let site = Site::of_studies(settings, studies).await;
    let review = r#"{"series_uid":"1.2.3","report":"1.2.9","by":"Anna","decisions":[]}"#;
    assert_eq!(site.post("/reading/review", review).await.status, 409);
    for list in ["GET /reading/recalls.csv", "GET /reading/recalls.fhir"] {
        assert_eq!(site.ask(list, &[], "").await.status, 200);
    }
    site.stop().await;
    drop(audit);
    let mut rows = Audit::at(&folder.path().join("audit")).newest(usize::MAX, u64::MAX, |_| true).unwrap();
    rows.sort_by_key(|row| row.number);
    let said: Vec<_> =
        rows[1..].iter().map(|row| (row.what.as_str(), row.object.as_str(), row.result.as_str())).collect();
    let signed = "series 1.2.3, signed as Anna";
    for row in [
        ("review-series", signed, "allowed"),
        ("review-series", signed, "failed: NotPossible"),
        ("export", "list of recalls (CSV)", "allowed"),
        ("export", "list of recalls (FHIR)", "allowed"),
    ] {
        assert!(said.contains(&row), "{row:?} {said:?}");
    }
    assert!(rows[1..].iter().all(|row| row.who == "page 127.0.0.1"), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_loopback_nothing_of_a_patient_is_shown_without_a_login() {
    let Some(address) = elsewhere() else { return };
    let (folder, reading) = empty();
    let token = folder.path().join("token");
    std::fs::write(&token, "a token of this box\n").unwrap();
    let settings = Console { address: "0.0.0.0:0".into(), token_file: Some(token), ..Console::default() };
    let mut site = Site::of_studies(settings, reading).await;
    site.address.set_ip(address);
    for what in SHOWN.into_iter().chain(RECALLS) {
        assert_eq!(site.ask(what, &[], "").await.status, 401, "{what}");
    }
    assert_eq!(site.post("/reading/review", "{}").await.status, 401);
    assert_eq!(site.post("/reading/lesion", "{}").await.status, 401);
    let page = site.ask("GET /studies", &[], "").await;
    assert_eq!((page.status, page.header("location")), (303, Some("/login")));
    let login = site.post("/login", r#"{"token":"a token of this box"}"#).await;
    let cookie = login.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let line = format!("Cookie: {cookie}");
    assert_eq!(site.ask("GET /reading/studies", &[&line], "").await.body, "[]");
    // A program shows the token itself.
    let wrong = site.ask("GET /dicom-web/studies", &["Authorization: Bearer another token"], "").await;
    assert_eq!(wrong.status, 401);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let program = site.ask("GET /dicom-web/studies", &["Authorization: Bearer a token of this box"], "").await;
    assert_eq!((program.status, program.body.as_str()), (200, "[]"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_without_live_video_shows_its_studies_and_says_what_is_not_there() {
    let (_folder, reading) = empty();
    let settings = Console { address: "127.0.0.1:0".into(), ..Console::default() };
    let site = Site::of_studies(settings, reading).await;
    let first = site.ask("GET /", &[], "").await;
    assert_eq!((first.status, first.header("location")), (303, Some("/studies")));
    assert_eq!(site.ask("GET /pages", &[], "").await.body, r#"{"live":false,"studies":true,"login":false}"#);
    assert_eq!(site.ask("GET /studies", &[], "").await.status, 200);
    assert_eq!(site.ask("GET /live", &[], "").await.status, 403, "another origin, before anything else");
    for what in &SHOWN[1..SHOWN.len() - 2] {
        let answer = site.ask(what, &[], "").await;
        assert_eq!((answer.status, answer.body.contains("there is no such")), (404, true), "{what}: {}", answer.body);
    }
    let figures = site.ask("GET /metrics", &[], "").await;
    assert!(
        figures.body.contains("\nscanside_studies 0\n") && !figures.body.contains("scanside_live"),
        "{}",
        figures.body
    );
    let unknown = site.ask("GET /dicom-web/studies?Colour=red", &[], "").await;
    assert_eq!((unknown.status, unknown.body.contains("cannot be searched for")), (400, true), "{}", unknown.body);
    assert_eq!(site.ask("GET /reading/picture/1/x", &[], "").await.status, 400);
    site.stop().await;
}
