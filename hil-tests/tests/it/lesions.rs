//! A lesion over the years on a real box: two stored ultrasound studies of one phantom patient are one lesion, a recall becomes
//! overdue and is done by the next exam; a kill, a repeated analysis and a lost database change nothing of it. The page shows it
//! in a real browser; the FHIR bundle is read by a client that nobody here wrote. Screenshots are written to `out/console`.

use std::process::Command;
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::browser::Browser;
use hil_tests::modality::Modality;
use hil_tests::tools;
use jiff::civil::Date;
use jiff::{ToSpan, Zoned};
use needs::Lack;
use serde_json::Value;

use crate::support::Records;
use crate::ultrasound::{Scanned, grey, has_runtime, picture, scanned, settled};
use crate::us_support::Picture;
use crate::words::in_chinese;

const PATIENCE: Duration = Duration::from_secs(60);

/// What scansidectl says, and whether it succeeded.
fn said(appliance: &Appliance, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(tools::our_binary("scansidectl").unwrap())
        .args(["--bus", &appliance.bus.address])
        .args(arguments)
        .output()
        .unwrap();
    let text = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn ctl(appliance: &Appliance, arguments: &[&str]) -> String {
    let (succeeded, text) = said(appliance, arguments);
    assert!(succeeded, "{arguments:?}: {text}");
    text
}

fn json(appliance: &Appliance, arguments: &[&str]) -> Value {
    serde_json::from_str(&ctl(appliance, &[&["--json"], arguments].concat())).unwrap()
}

/// The same picture a year later, in which everything is a quarter larger.
fn of_year(scanned: &Scanned, study: u32, study_date: &'static str, larger: f32) -> Picture {
    let same = picture(scanned, 1, grey(&scanned.shown.screen));
    let region = same.region.map(|(rect, mm)| (rect, mm * larger));
    Picture { study: format!("{}.{study}", same.study), study_date, laterality: "L", region, ..same }
}

async fn send(appliance: &Appliance, picture: &Picture, series: usize) {
    let scanner = Modality::new(appliance.address, "US1", Appliance::AE_TITLE);
    scanner.send(&[picture.instance()], |_, _| ()).await.unwrap();
    settled(&Records::open(appliance).unwrap(), series).await;
}

#[tokio::test]
async fn a_lesion_is_one_over_the_years_and_its_recall_is_done_by_the_exam_that_was_due() {
    if !has_runtime() {
        return;
    }
    let scanned = tokio::task::spawn_blocking(scanned).await.unwrap();
    let setup = Setup { extra: "[study]\nquiet_secs = 0.5\n".to_owned(), ..Setup::default() };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    send(&appliance, &of_year(&scanned, 1, "20251124", 1.0), 1).await;
    let listing = json(&appliance, &["lesions", "list"]);
    let [lesion] = listing["lesions"].as_array().unwrap().as_slice() else { panic!("{listing:#}") };
    let id = lesion["id"].as_u64().unwrap().to_string();
    assert_eq!(lesion["place"]["side"], "left");
    let size = lesion["last"]["longest_mm"].as_f64().unwrap();

    // The side alone is not enough; where both are is.
    send(&appliance, &of_year(&scanned, 2, "20261124", 1.25), 2).await;
    let listing = json(&appliance, &["lesions", "list", "--patient", "P7"]);
    let sighting = listing["undecided"][0]["id"].as_u64().unwrap().to_string();
    assert_eq!(listing["undecided"][0]["proposed"][0].to_string(), id, "{listing:#}");
    for number in [&id, &sighting] {
        ctl(&appliance, &["lesions", "place", number, "--clock", "10", "--distance", "40", "--by", "Li Ming"]);
    }
    let shown = json(&appliance, &["lesions", "show", &id]);
    assert_eq!(shown["sightings"].as_array().unwrap().len(), 2, "{shown:#}");
    let [then, now] = [0, 1].map(|i| shown["change"]["longest_mm"][i].as_f64().unwrap());
    assert!((then - size).abs() < 0.01 && (now / then - 1.25).abs() < 0.02, "{then} {now}");

    // Errors say what and what helps.
    let (succeeded, text) = said(&appliance, &["lesions", "link", "99", &id, "--by", "Li Ming"]);
    assert!(!succeeded && text.contains("there is no sighting 99"), "{text}");
    let (_, text) = said(&appliance, &["recalls", "set", &id, "--suggested", "--by", "Li Ming"]);
    assert!(text.contains("no published rule") && text.contains("--in INTERVAL"), "{text}");

    // A study is not of a later day than tomorrow, so the recall is for then.
    let day = in_days(1);
    let due = ["--due", &day.to_string(), "--modality", "us", "--why", "grew by a quarter", "--by", "Li Ming"];
    let set = json(&appliance, &[&["recalls", "set", &id], due.as_slice()].concat());
    let recall = set["number"].as_u64().unwrap().to_string();
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    let standing = |appliance: &Appliance, on: Date| {
        json(appliance, &["recalls", "list", "--on", &on.to_string()])[0]["standing"].clone()
    };
    assert_eq!(standing(&appliance, day - 31_i64.days()), "open");
    assert_eq!(standing(&appliance, day - 10_i64.days()), "due");
    assert_eq!(standing(&appliance, day + 1_i64.day()), "overdue");
    read_by_a_client(&appliance, day).await;
    shown_on_the_page(&appliance, &id).await;

    // A repeated analysis says nothing new.
    let lines = || Records::open(&appliance).unwrap().count("lesion_lines").unwrap();
    let before = lines();
    let study = of_year(&scanned, 2, "20261124", 1.25).study;
    ctl(&appliance, &["studies", "rerun", &study, "--wait"]);
    assert_eq!(lines(), before);

    // The exam that was due.
    let its_day: &'static str = day.strftime("%Y%m%d").to_string().leak();
    send(&appliance, &of_year(&scanned, 3, its_day, 1.0), 3).await;
    assert_eq!(json(&appliance, &["recalls", "list"]), serde_json::json!([]));
    let all = json(&appliance, &["recalls", "list", "--all"]);
    assert_eq!((&all[0]["standing"], &all[0]["done"]), (&"done".into(), &day.to_string().into()), "{all:#}");
    assert_eq!(all[0]["id"].to_string(), recall);

    // It was another one: a person opens the recall again, and the same exam does not close it a second time.
    let shown = json(&appliance, &["lesions", "show", &id]);
    let closed = shown["recalls"][0]["closed"]["line"].to_string();
    ctl(&appliance, &["lesions", "withdraw", &closed, "--reason", "only a biopsy", "--by", "Li Ming"]);
    ctl(&appliance, &["studies", "rerun", &of_year(&scanned, 3, its_day, 1.0).study, "--wait"]);
    let open = json(&appliance, &["recalls", "list"]);
    assert_eq!((open.as_array().unwrap().len(), open[0]["id"].to_string()), (1, recall));

    // The database and its copy are lost: the file beside it has the lines.
    let known = json(&appliance, &["lesions", "show", &id]);
    appliance.kill().await.unwrap();
    for entry in std::fs::read_dir(appliance.spool()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("scanside.db") {
            std::fs::remove_file(path).unwrap();
        }
    }
    appliance.restart().await.unwrap();
    settled(&Records::open(&appliance).unwrap(), 3).await;
    assert_eq!(json(&appliance, &["lesions", "show", &id]), known);
    appliance.stop().await.unwrap();
}

/// So many days from now, in local time.
fn in_days(days: i64) -> Date {
    Zoned::now().date() + days.days()
}

async fn read_by_a_client(appliance: &Appliance, due: Date) {
    let later = (due + 30_i64.days()).to_string();
    let file = appliance.folder().join("recalls.json");
    ctl(appliance, &["recalls", "export", "--fhir", file.to_str().unwrap(), "--on", &later]);
    let (succeeded, text) = said(appliance, &["recalls", "export", "--csv", file.to_str().unwrap()]);
    assert!(!succeeded && text.contains("does not exist"), "nothing is written over: {text}");
    let csv = ctl(appliance, &["recalls", "export", "--csv", "-", "--on", &later]);
    let row = format!(",PHANTOM^EVA,19700101,F,left,10,40,{due},overdue,-30,US,grew by a quarter,");
    assert!(csv.contains(&row), "{csv}");
    let python = std::env::var_os("SCANSIDE_PYTHON").unwrap_or_else(|| "python3".into());
    let has =
        Command::new(&python).args(["-c", "import fhirclient"]).output().is_ok_and(|output| output.status.success());
    if !has {
        needs::skip(Lack::Software, "no Python with fhirclient: SCANSIDE_PYTHON");
        return;
    }
    let script = tools::workspace().join("hil-tests/tests/it/fhir_peer.py");
    let output = Command::new(&python).arg("-B").arg(script).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen["kinds"], serde_json::json!(["Observation", "Patient", "Task"]));
    let task = &seen["tasks"][0];
    for (key, expected) in [
        ("status", "requested"),
        ("standing", "overdue"),
        ("due", due.to_string().as_str()),
        ("patient", "P7"),
        ("born", "1970-01-01"),
        ("site", "Left breast"),
    ] {
        assert_eq!(task[key], expected, "{key}: {seen:#}");
    }
}

async fn shown_on_the_page(appliance: &Appliance, lesion: &str) {
    let Some(mut browser) = Browser::start(1400, 900).await.unwrap() else {
        needs::skip(Lack::Software, "no chromium");
        return;
    };
    let picture = |name: &str| tools::workspace().join("out/console").join(name);
    let page = format!("{}recalls", appliance.page().unwrap());
    browser.open(&page).await.unwrap();
    browser.wait("the list", PATIENCE, "document.querySelectorAll('#rows tr').length === 1").await.unwrap();
    browser.screenshot(&picture("recalls.png")).await.unwrap();
    let rows = "document.querySelectorAll('#rows tr').length === 1";
    in_chinese(&mut browser, "recalls-list", rows, "phantom|eva|ming|grew|quarter").await;
    browser.open(&page).await.unwrap();
    browser.wait("the list in English", PATIENCE, "document.documentElement.lang === 'en'").await.unwrap();
    browser.wait("the list again", PATIENCE, rows).await.unwrap();
    // The first row has the focus.
    browser.press("Enter").await.unwrap();
    let drawn = "document.querySelectorAll('#course circle').length === 2";
    browser.wait("the history", PATIENCE, drawn).await.unwrap();
    let title = browser.evaluate("document.querySelector('#lesion-title').textContent").await.unwrap();
    assert_eq!(title, format!("Lesion {lesion}: left, 10 o'clock, 40 mm from the nipple"));
    browser.screenshot(&picture("lesion.png")).await.unwrap();
    // With the keyboard: a treatment is entered.
    browser.evaluate("document.querySelector('#by').focus()").await.unwrap();
    browser.type_text("Wang Fang").await.unwrap();
    let fill = "(() => { const kind = document.querySelector('#kind'); kind.value = 'treat'; kind.dispatchEvent(new Event('change')); \
        document.querySelector('#fields [name=date]').value = '2026-02-01'; document.querySelector('#fields [name=what]').focus(); })()";
    browser.evaluate(fill).await.unwrap();
    browser.type_text("chemotherapy").await.unwrap();
    browser.press("Enter").await.unwrap();
    let entered = "/by Wang Fang/.test(document.querySelector('#notes').textContent)";
    browser.wait("the entry", PATIENCE, entered).await.unwrap();
    browser.screenshot(&picture("lesion-treated.png")).await.unwrap();
    browser.resize(820, 1180).await.unwrap();
    browser.screenshot(&picture("lesion-tablet.png")).await.unwrap();
    browser.press("Escape").await.unwrap();
    browser.wait("the list", PATIENCE, "!document.querySelector('#list-view').hidden").await.unwrap();
    browser.screenshot(&picture("recalls-tablet.png")).await.unwrap();
    browser.open(&format!("{page}#lesion={lesion}")).await.unwrap();
    browser.wait("the history again", PATIENCE, drawn).await.unwrap();
    in_chinese(&mut browser, "lesion", drawn, "phantom|eva|ming|grew|quarter|wang|fang|chemotherapy").await;
    // At any time one of these zones has another day than the box.
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        browser.live_in(zone).await.unwrap();
        let before = hal::clock::today();
        browser.open(&page).await.unwrap();
        browser.open(&format!("{page}#lesion={lesion}")).await.unwrap();
        browser.wait("the history in another zone", PATIENCE, drawn).await.unwrap();
        let kind = "(() => { const kind = document.querySelector('#kind'); kind.value = 'treat'; \
            kind.dispatchEvent(new Event('change')); return document.querySelector('#fields [name=date]').value; })()";
        let filled = browser.evaluate(kind).await.unwrap();
        let days = [before, hal::clock::today()].map(|day| day.to_string());
        assert!(days.iter().any(|day| filled == *day), "{zone}: {filled}, on the box it is {}", days[0]);
    }
}
