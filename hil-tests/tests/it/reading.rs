//! The page on which studies are read, in a real browser, of a real box that received a study: the list, the pictures as
//! the scanner made them, what was found in them, documents. Screenshots are written to `out/console`.

use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::browser::Browser;
use hil_tests::modality::Modality;
use hil_tests::part10::Instance;
use hil_tests::{deadline, tools};
use needs::Lack;
use phantom::{Options, Phantom};

use crate::support::Records;
use crate::words::in_chinese;

/// Name and descriptions of the phantom.
const OWN: &str = "phantom|chest|thorax|thin|thick|axial|lung|topogram";
const PATIENCE: Duration = Duration::from_secs(30);
pub const SETTLED_WITHIN: Duration = Duration::from_secs(240);
const COLUMNS: usize = 96;
const SLICES: usize = 36;

struct Box {
    appliance: Appliance,
    browser: Browser,
    sent: Vec<Instance>,
}

/// A phantom of thick slices.
fn thick() -> Options {
    let columns = COLUMNS;
    Options { columns, rows: columns, pixel_mm: 3.9, slices: SLICES, slice_mm: 8.0, ..Options::default() }
}

/// A box that has read a phantom, and a browser on its page; `None`, and the test is skipped, where there is no Chromium.
async fn read(options: &Options, setup: &Setup) -> Option<Box> {
    let Some(mut browser) = Browser::start(1400, 900).await.unwrap() else {
        needs::skip(Lack::Software, "no chromium");
        return None;
    };
    let (study, _) = Phantom::chest(7, options).unwrap();
    let sent: Vec<_> = study.instances.iter().map(|one| Instance::from_part10(&one.part10).unwrap()).collect();
    let appliance = Appliance::start(setup).await.unwrap();
    Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(&sent, |_, _| {}).await.unwrap();
    let records = Records::open(&appliance).unwrap();
    let done = || records.is_settled(2).unwrap();
    deadline::until_true("the verdict", SETTLED_WITHIN, done).await.unwrap();
    browser.open(&appliance.page().unwrap()).await.unwrap();
    browser.wait("the list", PATIENCE, "document.querySelectorAll('#rows a').length === 1").await.unwrap();
    Some(Box { appliance, browser, sent })
}

fn screenshot(name: &str) -> std::path::PathBuf {
    tools::workspace().join("out/console").join(name)
}

async fn text(browser: &mut Browser, of: &str) -> String {
    let value = browser.evaluate(&format!("document.querySelector({of:?}).textContent")).await.unwrap();
    value.as_str().unwrap_or_default().to_owned()
}

/// Pictures are shown, in whatever language.
const SHOWN: &str = "/\\d/.test(document.querySelector('#now .bottom').textContent) && document.getElementById('loaded').textContent === ''";
const OPENED: &str = "/1 of|of \\d+ · image/.test(document.querySelector('#now .bottom').textContent)
    && document.getElementById('loaded').textContent === ''";

#[tokio::test(flavor = "multi_thread")]
async fn a_study_is_listed_opened_scrolled_and_measured_by_keyboard_and_nobody_else_is_asked() {
    let Some(Box { mut appliance, mut browser, sent }) = read(&thick(), &Setup::coarse()).await else { return };
    let row = text(&mut browser, "#rows tr").await;
    for word in ["processed", "PHANTOM, CHEST", "PHANTOM-7", "2026-01-05", "nodules or masses"] {
        assert!(row.contains(word), "{word}: {row}");
    }
    browser.screenshot(&screenshot("studies.png")).await.unwrap();
    browser.press("Enter").await.unwrap();
    browser.wait("the pictures", PATIENCE, OPENED).await.unwrap();
    assert!(text(&mut browser, "#patient").await.contains("PHANTOM, CHEST"));
    assert_eq!(text(&mut browser, "#mark").await, "not for diagnosis");
    let edges = "[...document.querySelectorAll('#now .edge-letter')].map((one) => one.textContent).join(' ')";
    assert_eq!(browser.evaluate(edges).await.unwrap(), "R L A P", "which side of the patient is where");
    let below = "document.querySelector('#now .bottom').textContent";
    browser.press("Home").await.unwrap();
    browser.wait("the first slice", PATIENCE, &format!("{below}.startsWith('1 of {SLICES}')")).await.unwrap();
    browser.press("PageDown").await.unwrap();
    browser.wait("ten further", PATIENCE, &format!("{below}.startsWith('11 of')")).await.unwrap();
    browser.press("2").await.unwrap();
    browser.wait("another window", PATIENCE, &format!("{below}.endsWith('C 40 W 400')")).await.unwrap();
    browser.press("v").await.unwrap();
    browser.wait("a coronal plane", PATIENCE, &format!("{below}.startsWith('coronal')")).await.unwrap();
    browser.wait("its sides", PATIENCE, &format!("{edges} === 'R L H F'")).await.unwrap();
    browser.screenshot(&screenshot("coronal.png")).await.unwrap();
    browser.press("v").await.unwrap();
    browser.press("v").await.unwrap();

    // The pixels of the first slice are those that were sent: Hounsfield units, from head to feet.
    let script = "fetch(location.origin + '/reading/studies').then((answer) => answer.json())
        .then(([one]) => fetch('/reading/study/' + one.study_uid)).then((answer) => answer.json())
        .then(({ series }) => fetch('/reading/series/' + series.find((one) => one.instance_count > 1).id + '/stack'))
        .then((answer) => answer.json())
        .then(({ pictures }) => Promise.all(pictures.map(({ instance, frame }) => fetch(`/reading/picture/${instance}/${frame}`)))
          .then((answers) => Promise.all(answers.map((answer) => answer.arrayBuffer())))
          .then((buffers) => pictures.map((picture, i) =>
             [picture.sop_instance_uid, picture.position_mm[2], new Int16Array(buffers[i]).reduce((sum, value) => sum + value, 0)])))";
    let shown = browser.evaluate(script).await.unwrap();
    let shown = shown.as_array().unwrap();
    assert_eq!(shown.len(), SLICES);
    for one in shown {
        let uid = one[0].as_str().unwrap();
        let instance = sent.iter().find(|instance| instance.sop_instance_uid == uid).unwrap();
        let words = instance.data_set().unwrap();
        let pixels = &words[words.len() - COLUMNS * COLUMNS * 2..];
        let stored: i64 = pixels.chunks_exact(2).map(|word| i64::from(i16::from_le_bytes([word[0], word[1]]))).sum();
        let hounsfield = stored - 1024 * i64::try_from(COLUMNS * COLUMNS).unwrap();
        assert_eq!(one[2].as_i64().unwrap(), hounsfield, "{uid}");
    }
    let heights: Vec<f64> = shown.iter().map(|one| one[1].as_f64().unwrap()).collect();
    assert!(heights.is_sorted_by(|a, b| a > b), "from head to feet: {heights:?}");

    // A second without network loses no picture for good.
    let away = "(async () => {
        const { Stack } = await import('/assets/stack.js');
        const [one] = await (await fetch('/reading/studies')).json();
        const { series } = await (await fetch('/reading/study/' + one.study_uid)).json();
        const real = window.fetch;
        let away = true;
        window.fetch = (path, options) => away && String(path).includes('/reading/picture/') ? Promise.reject(new TypeError('away')) : real(path, options);
        const until = (is) => new Promise((done) => { const look = () => (is() ? done() : setTimeout(look, 20)); look(); });
        const stack = await Stack.open(series.find((one) => one.instance_count > 1).id, () => {});
        stack.look(0);
        await until(() => stack.failure(0));
        const said = stack.failure(0);
        away = false;
        await until(() => stack.isComplete);
        window.fetch = real;
        stack.close();
        return said; })()";
    assert_eq!(browser.evaluate(away).await.unwrap(), "The box does not answer. It is asked for again.");

    let here = appliance.page().unwrap();
    for address in browser.addresses() {
        assert!(address.starts_with(&here), "{address} is asked for");
    }
    assert_eq!(browser.complaints(), [] as [String; 0]);
    browser.press("Escape").await.unwrap();
    browser.wait("the list again", PATIENCE, "!document.getElementById('list-view').hidden").await.unwrap();
    in_chinese(&mut browser, "studies-list", "document.querySelectorAll('#rows a').length === 1", OWN).await;
    browser.press("Enter").await.unwrap();
    browser.wait("the study", PATIENCE, SHOWN).await.unwrap();
    in_chinese(&mut browser, "study", SHOWN, OWN).await;
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_is_outlined_where_it_is_and_can_be_switched_off() {
    let Some(Box { mut appliance, mut browser, .. }) = read(&thick(), &Setup::coarse()).await else { return };
    browser.press("Enter").await.unwrap();
    browser.wait("the pictures", PATIENCE, OPENED).await.unwrap();
    // The lungs are there in any case; they are drawn when somebody asks for them.
    let coloured = "(() => { const c = document.querySelector('#now canvas');
        const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let count = 0;
        for (let i = 0; i < p.length; i += 4) count += Math.abs(p[i] - p[i + 2]) > 30 ? 1 : 0; return count; })()";
    let right = "document.querySelector('#structures input')";
    browser.wait("the outlines", PATIENCE, &format!("{right} !== null")).await.unwrap();
    browser.evaluate("document.getElementById('anatomy').open = true").await.unwrap();
    browser.evaluate(&format!("{right}.click()")).await.unwrap();
    browser.wait("the right lung", PATIENCE, &format!("{coloured} > 2000")).await.unwrap();
    // The right lung is on the left of the picture.
    let middle = "(() => { const c = document.querySelector('#now canvas');
        const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let [sum, count] = [0, 0];
        for (let i = 0; i < p.length; i += 4) if (Math.abs(p[i] - p[i + 2]) > 30) { sum += (i / 4) % c.width; count += 1; }
        return sum / count / c.width; })()";
    let middle = browser.evaluate(middle).await.unwrap().as_f64().unwrap();
    assert!((0.15..0.5).contains(&middle), "{middle}");
    browser.screenshot(&screenshot("lung.png")).await.unwrap();
    browser.press("o").await.unwrap();
    browser.wait("no marks", PATIENCE, &format!("{coloured} === 0")).await.unwrap();
    let document = browser
        .evaluate(
            "fetch(document.querySelector('#documents a').href).then((answer) => answer.text()).then((t) => t.slice(0, 5))",
        )
        .await
        .unwrap();
    assert_eq!(document, "%PDF-");
    assert_eq!(browser.complaints(), [] as [String; 0]);
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_is_rejected_the_rest_accepted_and_signed_by_keyboard() {
    // Nodules and calcium are found in it: a finding with a number and one without.
    let setup = Setup::default();
    let Some(Box { mut appliance, mut browser, .. }) = read(&Options::small(), &setup).await else { return };
    browser.press("Enter").await.unwrap();
    browser.wait("the findings", PATIENCE, "document.querySelectorAll('#findings .judge').length > 1").await.unwrap();
    // Nobody judges a finding whose slice is not there yet.
    browser.wait("the pictures", PATIENCE, OPENED).await.unwrap();
    let findings = browser.evaluate("document.querySelectorAll('#findings .judge').length").await.unwrap();
    assert_eq!(
        browser.evaluate("document.getElementById('sign').disabled").await.unwrap(),
        true,
        "nothing is judged yet"
    );
    let strangers = "[...document.querySelectorAll('#findings li')].filter((item) =>
        item.querySelector('.judge') === null || item.querySelector('input[type=checkbox]').disabled).length";
    assert_eq!(browser.evaluate(strangers).await.unwrap(), 0, "each finding has its outline, each outline its finding");
    browser.press("n").await.unwrap();
    browser.wait("the first finding", PATIENCE, "document.querySelector('#findings .chosen') !== null").await.unwrap();
    let first = text(&mut browser, "#findings .chosen button").await;
    browser.press("r").await.unwrap();
    browser.wait("its rejection", PATIENCE, "document.querySelector('#findings .rejected') !== null").await.unwrap();
    browser.evaluate("document.querySelector('#findings .rejected .comment').focus()").await.unwrap();
    browser.type_text("a vessel").await.unwrap();
    // A key that is held judges one finding, and not the next ones.
    let held = "document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'r', repeat: true, bubbles: true }))";
    browser.evaluate(held).await.unwrap();
    let rejected = "document.querySelectorAll('#findings .rejected').length";
    assert_eq!(browser.evaluate(rejected).await.unwrap(), 1);
    // What is decided is there again after a look at another series, or at the same one.
    browser.evaluate("document.querySelector('#series button[aria-pressed=true]').click()").await.unwrap();
    let kept = "document.querySelector('#findings .rejected .comment')?.value === 'a vessel'";
    browser.wait("the decision again", PATIENCE, kept).await.unwrap();
    assert_eq!(browser.evaluate(rejected).await.unwrap(), 1);
    browser.wait("the pictures again", PATIENCE, OPENED).await.unwrap();
    browser.screenshot(&screenshot("rejected.png")).await.unwrap();
    browser.evaluate("document.getElementById('accept-rest').click()").await.unwrap();
    browser.evaluate("document.getElementById('reviewer').focus()").await.unwrap();
    browser.type_text("Anna Mueller").await.unwrap();
    browser.press("Enter").await.unwrap();
    let signed = "document.getElementById('findings-note').textContent.includes('Reviewed by Anna Mueller')";
    browser.wait("the signed results", SETTLED_WITHIN, signed).await.unwrap();
    let gone = text(&mut browser, "#findings .gone").await;
    assert!(gone.contains(&first) && gone.contains("rejected by Anna Mueller") && gone.contains("a vessel"), "{gone}");
    let listed = browser.evaluate("document.querySelectorAll('#findings .judge').length").await.unwrap();
    assert_eq!(listed, findings, "what was rejected stays in the list");
    assert!(text(&mut browser, "#verdict").await.contains("Anna Mueller"), "the verdict does not say who signed");
    browser.screenshot(&screenshot("signed.png")).await.unwrap();
    assert_eq!(browser.complaints(), [] as [String; 0]);
    appliance.stop().await.unwrap();
}
