//! The breast workplace in a real browser, of a real box that received two mammographies of one phantom: how the views hang, windows,
//! marks, the earlier study with a view that is missing, the lesions beside, and a review that is signed. One box for all of it.
//! Screenshots are written to `out/console`.

use std::path::PathBuf;
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::browser::Browser;
use hil_tests::modality::Modality;
use hil_tests::pacs::Pacs;
use hil_tests::part10::Instance;
use hil_tests::{deadline, tools};
use needs::Lack;
use phantom::mammography::dicom::{Intent, Wanted};
use phantom::mammography::lesion::Kind;
use phantom::mammography::vendor::Vendor;
use phantom::mammography::{Case, Options, Visit};
use phantom::visit::{Day, Script};

use crate::mammography::has_runtime;
use crate::support::Records;
use crate::words::in_chinese;

const PATIENCE: Duration = Duration::from_secs(30);
const SETTLED_WITHIN: Duration = Duration::from_secs(240);

/// What a unit sends of the same woman at one visit.
fn visit(pixel_mm: f32, visit: Visit, day: Day) -> Vec<Instance> {
    let options = Options {
        pixel_mm: Some(pixel_mm),
        vendor: Some(Vendor::Hologic),
        implants: Some(false),
        lesions: Some(2),
        kind: Some(Kind::Mass),
        visit,
        ..Options::default()
    };
    let wanted = Wanted { intents: vec![Intent::Presentation], script: Some(Script::Latin), day, magnification: false };
    let (study, _) = phantom::mammography::dicom::study(&Case::new(1_900_003, &options), &wanted).unwrap();
    study.instances.iter().map(|one| Instance::from_part10(&one.part10).unwrap()).collect()
}

fn screenshot(name: &str) -> PathBuf {
    tools::workspace().join("out/console").join(name)
}

/// Of the page, as text.
async fn said(browser: &mut Browser, script: &str) -> String {
    let value = browser.evaluate(script).await.unwrap();
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

async fn wait(browser: &mut Browser, what: &str, script: &str) {
    browser.wait(what, PATIENCE, script).await.unwrap();
}

/// Every view that is shown is there in the sharpness that it needs.
const COMPLETE: &str = "document.getElementById('hang').dataset.complete === 'true'";
/// Of the cells that are shown: which view, and how much brighter its inner edge is than its outer one.
const WALLS: &str = "[...document.querySelectorAll('.cell:not([hidden])')].map((cell) => {
    const c = cell.querySelector('canvas'); const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    const edge = (from) => { let sum = 0; for (let y = 60; y < c.height - 40; y += 1) for (let x = from; x < from + 20; x += 1) sum += p[4 * (y * c.width + x)]; return sum; };
    const right = edge(c.width - 20) > edge(0); return cell.querySelector('strong').textContent + (right ? ' wall right' : ' wall left'); }).join(', ')";
/// Pixels with a colour.
const COLOURED: &str = "[...document.querySelectorAll('.cell:not([hidden]) canvas')].reduce((count, c) => {
    const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    for (let i = 0; i < p.length; i += 4) if (Math.abs(p[i] - p[i + 2]) > 60) count += 1; return count; }, 0)";
const NOTES: &str = "[...document.querySelectorAll('.cell:not([hidden]) .cell-note')].map((one) => one.textContent)";
/// Millimetres of the screen that the bars of the cells stand for are the same, and every cell lies within the window.
const FITS: &str = "(() => { const hang = document.getElementById('hang').getBoundingClientRect();
    const cells = [...document.querySelectorAll('.cell:not([hidden])')].map((cell) => cell.getBoundingClientRect());
    return cells.length === 4 && cells.every((cell) => cell.width > 120 && cell.height > 120 && cell.left >= 0 && cell.top >= 0
      && cell.right <= innerWidth + 1 && cell.bottom <= innerHeight && cell.bottom <= hang.bottom + 1)
      && document.documentElement.scrollWidth <= innerWidth; })()";

#[tokio::test(flavor = "multi_thread")]
async fn a_mammography_hangs_with_its_marks_and_its_prior_and_is_reviewed_by_keyboard() {
    if !has_runtime() {
        return;
    }
    let Some(mut browser) = Browser::start(1400, 900).await.unwrap() else {
        needs::skip(Lack::Software, "no chromium");
        return;
    };
    // The earlier one is coarse, which withholds its marks, and lacks a view.
    let made = tokio::task::spawn_blocking(|| {
        let mut prior = visit(0.4, Visit::Prior, "2025-01-10".parse().unwrap());
        prior.truncate(3);
        (prior, visit(0.2, Visit::Current, Day::default()))
    });
    let (prior, now) = made.await.unwrap();
    let extra = "[study]\nquiet_secs = 0.5\n[analyze]\nmg_marks = \"phantoms\"\n".to_owned();
    let archive = tempfile::tempdir().unwrap();
    let pacs = Pacs::start("PACS", archive.path()).await.unwrap();
    let destinations = vec![("pacs".into(), "PACS".into(), pacs.address)];
    let mut appliance = Appliance::start(&Setup { extra, destinations, ..Setup::default() }).await.unwrap();
    let scanner = Modality::new(appliance.address, "MG1", Appliance::AE_TITLE);
    for study in [&prior, &now] {
        assert_eq!(scanner.send(study, |_, _| ()).await.unwrap().acknowledged(), study.len());
    }
    let records = Records::open(&appliance).unwrap();
    let done = || {
        let series = records.series().unwrap();
        series.len() >= 2 && series.iter().all(|one| one.verdict.is_some())
    };
    deadline::until_true("the verdicts", SETTLED_WITHIN, done).await.unwrap();

    let page = format!("{}studies", appliance.page().unwrap());
    browser.open(&page).await.unwrap();
    wait(&mut browser, "the list", "document.querySelectorAll('#rows a').length === 2").await;
    let of_now = "[...document.querySelectorAll('#rows tr')].find((row) => row.textContent.includes('2026-01-05')).querySelector('a')";
    browser.evaluate(&format!("{of_now}.focus()")).await.unwrap();
    browser.press("Enter").await.unwrap();
    wait(&mut browser, "the four views", COMPLETE).await;
    let walls = "R CC wall right, L CC wall left, R MLO wall right, L MLO wall left";
    assert_eq!(said(&mut browser, WALLS).await, walls, "chest walls back to back");
    let learnt = said(&mut browser, "document.getElementById('learnt').textContent").await;
    assert!(learnt.contains("Not for diagnosis") && learnt.contains("learnt from phantoms only"), "{learnt}");

    // The marks: a kind and a score for each, in the list and over the pictures; off and on.
    wait(&mut browser, "the marks", "document.querySelectorAll('#findings .judge').length > 0").await;
    let marks = browser.evaluate("document.querySelectorAll('#findings .judge').length").await.unwrap();
    let listed = said(&mut browser, "document.querySelector('#findings li').textContent").await;
    assert!(listed.contains("score 0.") && listed.contains("behind the nipple"), "{listed}");
    wait(&mut browser, "marks over the pictures", &format!("{COLOURED} > 200")).await;
    browser.screenshot(&screenshot("breast.png")).await.unwrap();
    browser.press("o").await.unwrap();
    wait(&mut browser, "no marks", &format!("{COLOURED} === 0")).await;
    browser.screenshot(&screenshot("breast-unmarked.png")).await.unwrap();
    browser.press("o").await.unwrap();

    // The window of all views at once, and the scanner's again.
    let before = browser.evaluate(NOTES).await.unwrap();
    browser.press("ArrowDown").await.unwrap();
    let moved = format!(
        "(() => {{ const now = {NOTES}; const before = {before}; return now.every((one, i) => one !== before[i]); }})()"
    );
    wait(&mut browser, "another window in all views", &moved).await;
    browser.press("d").await.unwrap();
    wait(&mut browser, "the scanner's window", &format!("JSON.stringify({NOTES}) === JSON.stringify({before})")).await;

    // One view large, with all its pixels, and back.
    browser.press("3").await.unwrap();
    let large = format!("{COMPLETE} && document.querySelectorAll('.cell:not([hidden])').length === 1");
    wait(&mut browser, "one view", &large).await;
    assert!(said(&mut browser, "document.querySelector('.cell:not([hidden])').textContent").await.starts_with("R MLO"));
    browser.press("Escape").await.unwrap();

    // The earlier study beside; what it lacks is an empty place with a name.
    browser.press("b").await.unwrap();
    let beside = format!("{COMPLETE} && document.querySelectorAll('.cell:not([hidden])').length === 8");
    wait(&mut browser, "the earlier study", &beside).await;
    let missing = said(&mut browser, "document.querySelector('.cell.missing').textContent").await;
    assert!(missing.contains("L MLO missing"), "{missing}");
    browser.screenshot(&screenshot("breast-prior.png")).await.unwrap();
    browser.press("Escape").await.unwrap();

    // The lesions beside, and on a tablet.
    let lesions = said(&mut browser, "document.getElementById('lesion-list').innerText").await;
    assert!(lesions.contains("Lesion ") && lesions.contains("right") && lesions.contains("here"), "{lesions}");
    for (width, height) in [(1024, 768), (768, 1024)] {
        browser.resize(width, height).await.unwrap();
        wait(&mut browser, &format!("all four at {width}x{height}"), FITS).await;
        browser.screenshot(&screenshot(&format!("breast-{width}x{height}.png"))).await.unwrap();
    }
    browser.resize(1400, 900).await.unwrap();

    // The first mark is rejected, the second edited, the others accepted, by keys; signed with a name.
    browser.press("n").await.unwrap();
    browser.press("r").await.unwrap();
    wait(&mut browser, "a rejection", "document.querySelector('#findings .rejected') !== null").await;
    browser.press("e").await.unwrap();
    let form = "document.querySelector('#findings .edit')";
    wait(&mut browser, "the form", &format!("{form}?.contains(document.activeElement)")).await;
    let kind = said(&mut browser, &format!("{form}.querySelector('[name=kind]').value")).await;
    let other = if kind == "distortion" { "mass" } else { "distortion" };
    let fill = format!(
        "for (const [name, value] of [['kind', '{other}'], ['long_mm', '21.5'], ['short_mm', '12.5']]) {form}.querySelector(`[name=${{name}}]`).value = value"
    );
    browser.evaluate(&fill).await.unwrap();
    browser.screenshot(&screenshot("breast-edit.png")).await.unwrap();
    browser.evaluate(&format!("{form}.querySelector('[name=short_mm]').focus()")).await.unwrap();
    browser.press("Enter").await.unwrap();
    wait(&mut browser, "an edit", "document.querySelector('#findings .edited') !== null").await;
    browser.evaluate("document.getElementById('accept-rest').click()").await.unwrap();
    browser.evaluate("document.getElementById('reviewer').focus()").await.unwrap();
    browser.type_text("Anna Mueller").await.unwrap();
    browser.press("Enter").await.unwrap();
    let signed = "document.getElementById('findings-note').textContent.includes('Reviewed by Anna Mueller')";
    browser.wait("the signed results", SETTLED_WITHIN, signed).await.unwrap();
    browser.screenshot(&screenshot("breast-signed.png")).await.unwrap();
    let verdict = said(&mut browser, "document.getElementById('verdict').textContent").await;
    assert!(verdict.contains("reviewed by Anna Mueller") && verdict.contains("1 edited, 1 rejected"), "{verdict}");
    let count = marks.as_u64().unwrap();
    assert!(verdict.contains(&format!("{} mark", count - 1)), "one is taken out: {verdict}");
    assert_eq!(browser.evaluate("document.querySelectorAll('#findings .judge').length").await.unwrap(), marks);
    assert_eq!(browser.evaluate("document.querySelectorAll('#findings .gone').length").await.unwrap(), 1);
    let reports: Vec<Vec<u8>> = records
        .results()
        .unwrap()
        .iter()
        .filter(|one| one.kind == "sr")
        .map(|one| std::fs::read(&one.file).unwrap())
        .collect();
    let holds = |report: &Vec<u8>, text: &str| report.windows(text.len()).any(|part| part == text.as_bytes());
    let [first, second] = reports.iter().filter(|report| holds(report, "Mark 2")).collect::<Vec<_>>()[..] else {
        panic!("{} reports", reports.len())
    };
    assert!(holds(first, "UNVERIFIED") && holds(first, "Mark 1") && !holds(first, "Anna Mueller"));
    assert!(!holds(second, "UNVERIFIED") && holds(second, "Anna Mueller") && !holds(second, "Mark 1"));
    let edited = format!("edited by Anna Mueller: kind {other} (was: {kind}), long axis 21.5 mm (was: ");
    assert!(holds(second, &edited) && holds(second, "score withheld"), "the values of the person, with those before");
    // Both are at the archive, and the new one names the one before.
    let uid = |file: &[u8]| {
        records.results().unwrap().into_iter().find(|one| std::fs::read(&one.file).unwrap() == file).unwrap().sop_uid
    };
    let (old, new) = (uid(first), uid(second));
    assert!(holds(second, &old), "its predecessor");
    let arrived = || pacs.received().iter().filter(|one| [&old, &new].contains(&&one.sop_instance_uid)).count() == 2;
    deadline::until_true("both reports at the archive", SETTLED_WITHIN, arrived).await.unwrap();
    let ready = format!(
        "{COMPLETE} && document.querySelectorAll('#findings .judge').length > 0 && document.querySelector('#lesion-list a') !== null"
    );
    in_chinese(&mut browser, "breast", &ready, "anna|mueller|muster|ren|phantom|mammogram|screening").await;

    assert_eq!(browser.complaints(), [] as [String; 0]);
    let here = appliance.page().unwrap();
    for address in browser.addresses() {
        assert!(address.starts_with(&here), "{address} is asked for");
    }
    appliance.stop().await.unwrap();
}
