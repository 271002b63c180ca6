//! A finding gets the size that a person measured in a real browser: the report at the archive holds it, with the value of the software, and
//! names the report before it. Screenshots are written to `out/console`.

use std::path::PathBuf;
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::browser::Browser;
use hil_tests::modality::Modality;
use hil_tests::pacs::Pacs;
use hil_tests::part10::Instance;
use hil_tests::{deadline, tools};
use needs::Lack;
use phantom::{Options, Phantom};

use crate::review::{read, validate};
use crate::support::Records;

const PATIENCE: Duration = Duration::from_secs(30);
const SETTLED_WITHIN: Duration = Duration::from_secs(300);
const COMPREHENSIVE_3D_SR: &str = "1.2.840.10008.5.1.4.1.1.88.34";

fn screenshot(name: &str) -> PathBuf {
    tools::workspace().join("out/console").join(name)
}

/// Structured reports that have arrived, the oldest first.
fn reports(pacs: &Pacs) -> Vec<(String, PathBuf)> {
    let all = pacs.received().into_iter().filter(|one| one.sop_class_uid == COMPREHENSIVE_3D_SR);
    all.map(|one| (one.sop_instance_uid, one.path)).collect()
}

async fn said(browser: &mut Browser, script: &str) -> String {
    let value = browser.evaluate(script).await.unwrap();
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Where a share of the stage lies on the page.
async fn at(browser: &mut Browser, x: f64, y: f64) -> [f64; 2] {
    let script = format!(
        "(() => {{ const box = document.getElementById('now').getBoundingClientRect();
            return [box.left + {x} * box.width, box.top + {y} * box.height]; }})()"
    );
    let point = browser.evaluate(&script).await.unwrap();
    [0, 1].map(|axis| point[axis].as_f64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_was_measured_on_the_page_is_in_the_signed_report_at_the_archive_with_the_one_before() {
    let Some(mut browser) = Browser::start(1400, 900).await.unwrap() else {
        needs::skip(Lack::Software, "no chromium");
        return;
    };
    let archive = tempfile::tempdir().unwrap();
    let pacs = Pacs::start("PACS", archive.path()).await.unwrap();
    let setup = Setup { destinations: vec![("pacs".into(), "PACS".into(), pacs.address)], ..Setup::default() };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    let (study, _) = Phantom::chest(7, &Options::small()).unwrap();
    let study: Vec<_> = study.instances.iter().map(|one| Instance::from_part10(&one.part10).unwrap()).collect();
    Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(&study, |_, _| {}).await.unwrap();
    let records = Records::open(&appliance).unwrap();
    deadline::until_true("the results", SETTLED_WITHIN, || records.is_settled(2).unwrap()).await.unwrap();
    let first = reports(&pacs).pop().unwrap().0;

    browser.open(&appliance.page().unwrap()).await.unwrap();
    browser.wait("the list", PATIENCE, "document.querySelectorAll('#rows a').length === 1").await.unwrap();
    browser.press("Enter").await.unwrap();
    browser.wait("the findings", PATIENCE, "document.querySelectorAll('#findings .judge').length > 1").await.unwrap();
    browser.wait("the pictures", PATIENCE, "document.getElementById('loaded').textContent === ''").await.unwrap();
    browser.press("n").await.unwrap();
    browser.wait("the first finding", PATIENCE, "document.querySelector('#findings .chosen') !== null").await.unwrap();
    let chosen = "document.querySelector('#findings .chosen')";
    assert!(said(&mut browser, &format!("{chosen}.textContent")).await.starts_with("Nodule 1"));

    // Two lines: along it and across.
    browser.press("m").await.unwrap();
    for ends in [[[0.50, 0.50], [0.62, 0.50]], [[0.55, 0.46], [0.55, 0.54]]] {
        let (from, to) =
            (at(&mut browser, ends[0][0], ends[0][1]).await, at(&mut browser, ends[1][0], ends[1][1]).await);
        browser.drag(from, to).await.unwrap();
    }
    browser.press("e").await.unwrap();
    let form = "document.querySelector('#findings .edit')";
    browser.wait("the form", PATIENCE, &format!("{form}?.contains(document.activeElement)")).await.unwrap();
    browser.evaluate("document.getElementById('accept-rest').click()").await.unwrap();
    let is_typed = browser.evaluate(&format!("{form}?.contains(document.activeElement)")).await.unwrap();
    assert_eq!(is_typed, true, "the rest is not what is being edited");
    assert_eq!(browser.evaluate("document.getElementById('sign').disabled").await.unwrap(), true, "it is open");
    let take =
        format!("[...{form}.querySelectorAll('button')].find((one) => one.textContent === 'Take the lines').click()");
    browser.evaluate(&take).await.unwrap();
    let value = |field: &str| format!("{form}.querySelector('[name={field}]').value");
    let (long, short) = (said(&mut browser, &value("long_mm")).await, said(&mut browser, &value("short_mm")).await);
    let [along, across] = [&long, &short].map(|mm| mm.parse::<f64>().unwrap());
    assert!(along > across && across > 1.0, "{long} x {short}");
    browser.screenshot(&screenshot("edit.png")).await.unwrap();
    for (width, height) in [(1024, 768), (768, 1024)] {
        browser.resize(width, height).await.unwrap();
        browser
            .wait("no scrolling aside", PATIENCE, "document.documentElement.scrollWidth <= innerWidth")
            .await
            .unwrap();
        browser.screenshot(&screenshot(&format!("edit-{width}x{height}.png"))).await.unwrap();
    }
    browser.resize(1400, 900).await.unwrap();
    // A value that no list and no bounds allow is not taken, and neither is an empty one where a value was found.
    for bad in ["501", ""] {
        browser.evaluate(&format!("{form}.querySelector('[name=long_mm]').value = '{bad}'")).await.unwrap();
        browser.evaluate(&format!("{form}.querySelector('[name=short_mm]').focus()")).await.unwrap();
        browser.press("Enter").await.unwrap();
        let complaint = said(&mut browser, &format!("{form}.querySelector('[role=alert]').textContent")).await;
        assert!(complaint.starts_with("Long axis, mm: "), "{bad:?}: {complaint}");
    }
    browser.evaluate(&format!("{form}.querySelector('[name=long_mm]').value = '{long}'")).await.unwrap();
    browser.evaluate(&format!("{form}.querySelector('[name=short_mm]').focus()")).await.unwrap();
    browser.press("Enter").await.unwrap();
    browser.wait("the edit", PATIENCE, "document.querySelector('#findings .edited') !== null").await.unwrap();
    browser.evaluate("document.querySelector('#findings .edited .comment').focus()").await.unwrap();
    browser.type_text("by callipers").await.unwrap();
    // It is there again after a look at another series, or at the same one.
    browser.evaluate("document.querySelector('#series button[aria-pressed=true]').click()").await.unwrap();
    let kept = "document.querySelector('#findings .edited .comment')?.value === 'by callipers'";
    browser.wait("the edit again", PATIENCE, kept).await.unwrap();
    browser.wait("the pictures again", PATIENCE, "document.getElementById('loaded').textContent === ''").await.unwrap();
    browser.evaluate("document.getElementById('accept-rest').click()").await.unwrap();
    browser.evaluate("document.getElementById('reviewer').focus()").await.unwrap();
    browser.type_text("Anna Mueller").await.unwrap();
    browser.press("Enter").await.unwrap();
    let signed = "document.getElementById('findings-note').textContent.includes('Reviewed by Anna Mueller')";
    browser.wait("the signed results", SETTLED_WITHIN, signed).await.unwrap();
    let facts = said(&mut browser, "document.querySelector('#findings .facts').textContent").await;
    assert!(facts.contains(&format!("edited by Anna Mueller: long axis {long} mm (was: ")), "{facts}");
    browser.screenshot(&screenshot("edited.png")).await.unwrap();
    // An acceptance would keep the edit: the values that were found are signed as an edit, which takes it back.
    let as_found = format!(
        "(() => {{ document.querySelector('#findings [data-decision=edited]').click();
            [...{form}.querySelectorAll('button')].find((one) => one.textContent === 'As found').click();
            {form}.requestSubmit();
            return document.querySelector('#findings li.edited') !== null; }})()"
    );
    browser.wait("the values that were found", PATIENCE, &as_found).await.unwrap();

    deadline::until_true("the new report", SETTLED_WITHIN, || reports(&pacs).len() == 2).await.unwrap();
    let (_, report) = reports(&pacs).pop().unwrap();
    let read = read(&report).await;
    assert_eq!((&read["flag"], &read["before"]), (&"VERIFIED".into(), &serde_json::json!([first])));
    let texts: Vec<&str> = read["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let sentence = format!("edited by Anna Mueller: long axis {long} mm (was: ");
    assert!(texts.iter().any(|text| text.contains(&sentence) && text.ends_with("by callipers")), "{texts:?}");
    validate(&report).await;
    let here = appliance.page().unwrap();
    for address in browser.addresses() {
        assert!(address.starts_with(&here), "{address} is asked for");
    }
    assert_eq!(browser.complaints(), [] as [String; 0]);
    appliance.stop().await.unwrap();
}
