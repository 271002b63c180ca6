//! An exam that was recorded on the box is reviewed on the page in a real browser, after its recording is gone: a lesion gets a size and a shape
//! of a person, then it is rejected. The archive has each version, which names the one before; clips and key images are sent once. Screenshots
//! are written to `out/console`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::browser::Browser;
use hil_tests::pacs::Pacs;
use hil_tests::{deadline, tools};
use needs::Lack;
use phantom::ultrasound::layout::Name;
use scanside_client::{Live, Options, Stats};

use crate::live_support::{WITHIN, proxy, record, said};
use crate::review::{read, validate};
use crate::words::in_chinese;

const PATIENCE: Duration = Duration::from_secs(30);
const SETTLED_WITHIN: Duration = Duration::from_secs(180);
const COMPREHENSIVE_3D_SR: &str = "1.2.840.10008.5.1.4.1.1.88.34";
const PDF: &str = "1.2.840.10008.5.1.4.1.1.104.1";
const IMAGES: [&str; 2] = ["1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.6.1"];

fn screenshot(name: &str) -> PathBuf {
    tools::workspace().join("out/console").join(name)
}

/// Objects of this class at the archive, the oldest first.
fn of(pacs: &Pacs, class: &str) -> Vec<(String, PathBuf)> {
    let all = pacs.received().into_iter().filter(|one| one.sop_class_uid == class);
    all.map(|one| (one.sop_instance_uid, one.path)).collect()
}

fn images(pacs: &Pacs) -> Vec<(String, PathBuf)> {
    IMAGES.iter().flat_map(|class| of(pacs, class)).collect()
}

/// The text of an encapsulated document.
async fn document(path: &Path) -> String {
    let object = dicom_object::open_file(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pdf = folder.path().join("report.pdf");
    std::fs::write(&pdf, object.element_by_name("EncapsulatedDocument").unwrap().to_bytes().unwrap()).unwrap();
    let output = tools::command("pdftotext").unwrap().arg(&pdf).arg("-").output().await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

async fn text(browser: &mut Browser, script: &str) -> String {
    let value = browser.evaluate(script).await.unwrap();
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

async fn signed(browser: &mut Browser, name: &str, shown: &str) {
    browser
        .evaluate("document.getElementById('reviewer').value = ''; document.getElementById('reviewer').focus()")
        .await
        .unwrap();
    browser.type_text(name).await.unwrap();
    browser.press("Enter").await.unwrap();
    browser
        .wait(
            shown,
            SETTLED_WITHIN,
            &format!("document.getElementById('findings-note').textContent.includes('{shown}')"),
        )
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_an_exam_that_was_recorded_here_is_edited_rejected_and_signed_on_the_page() {
    let Some(mut browser) = Browser::start(1400, 900).await.unwrap() else {
        needs::skip(Lack::Software, "no chromium");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let pacs = Pacs::start("ARCHIVE", &folder.path().join("archive")).await.unwrap();
    let (video, _) = record(Name::A, folder.path());
    let extra = format!("[live]\ndevice = \"replay:{}\"\nname_check = \"off\"\n", video.display());
    let destinations = vec![("pacs".into(), pacs.ae_title.clone(), pacs.address)];
    let mut appliance = Appliance::start(&Setup { extra, destinations, ..Setup::default() }).await.unwrap();
    let live = proxy(&appliance).await;
    let patient =
        Options::from([("id", "P9".into()), ("name", "PHANTOM^EVA".into()), ("birth_date", "19700131".into())]);
    live.start_exam(patient).await.unwrap();
    said(&appliance, &["live", "side", "left"]).await;
    let seen = async || {
        let exam = Live::read(&live).await.unwrap().exam;
        let recorded = Stats::read(&live).await.unwrap().recorded >= 30;
        (exam.is_some() && recorded && journal(&appliance).contains("\"seen\"")).then_some(())
    };
    deadline::until("a lesion, and thirty pictures on the disk", WITHIN, seen).await.unwrap();
    live.stop_exam().await.unwrap();
    let reports = |count: usize| of(&pacs, COMPREHENSIVE_3D_SR).len() == count;
    deadline::until_true("the report at the archive", SETTLED_WITHIN, || reports(1)).await.unwrap();
    let gone = || std::fs::read_dir(appliance.spool().join("exams")).unwrap().next().is_none();
    deadline::until_true("the recording to go", WITHIN, gone).await.unwrap();
    let first = of(&pacs, COMPREHENSIVE_3D_SR).pop().unwrap().0;
    let sent = images(&pacs).len();

    // The exam is in the list with its patient; the lesion with its key image and its outline.
    browser.open(&format!("{}studies", appliance.page().unwrap())).await.unwrap();
    let listed = "document.querySelector('#rows')?.textContent.includes('PHANTOM, EVA')";
    browser.wait("the exam with its patient", PATIENCE, listed).await.unwrap();
    browser.press("Enter").await.unwrap();
    browser.wait("the lesions", PATIENCE, "document.querySelectorAll('#findings .judge').length > 0").await.unwrap();
    browser.wait("the pictures", PATIENCE, "document.getElementById('loaded').textContent === ''").await.unwrap();
    let who = text(&mut browser, "document.getElementById('patient').textContent").await;
    assert!(who.contains("PHANTOM, EVA") && who.contains("P9") && who.contains("1970-01-31"), "{who}");
    browser.press("n").await.unwrap();
    browser.wait("the first lesion", PATIENCE, "document.querySelector('#findings .chosen') !== null").await.unwrap();
    let bright = "(() => { const c = document.querySelector('#now canvas'); const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let grey = 0, coloured = 0; for (let i = 0; i < p.length; i += 4) { if (p[i] > 40) grey += 1; if (Math.abs(p[i] - p[i + 1]) > 60) coloured += 1; }
        return grey > 5000 && coloured > 20; })()";
    browser.wait("the key image with the outline", PATIENCE, bright).await.unwrap();
    browser.screenshot(&screenshot("exam-review.png")).await.unwrap();
    let ready = "document.querySelectorAll('#findings .judge').length > 0 && document.getElementById('loaded').textContent === ''";
    in_chinese(&mut browser, "exam-review", ready, "phantom|eva").await;
    browser.evaluate("location.reload()").await.unwrap();
    browser.wait("English again", PATIENCE, "document.documentElement.lang === 'en'").await.unwrap();
    browser.wait("the lesions again", PATIENCE, ready).await.unwrap();

    // A person measures another size, and calls it round.
    browser.press("n").await.unwrap();
    browser.wait("the key image again", PATIENCE, bright).await.unwrap();
    browser.press("e").await.unwrap();
    let form = "document.querySelector('#findings .edit')";
    browser.wait("the form", PATIENCE, &format!("{form}?.contains(document.activeElement)")).await.unwrap();
    let fill = format!(
        "(() => {{ const set = (name, value) => {{ {form}.querySelector(`[name=${{name}}]`).value = value; }};
            set('long_mm', '21.5'); set('short_mm', '14.0'); set('shape', 'round'); set('clock', '3');
            {form}.requestSubmit(); return 1; }})()"
    );
    browser.evaluate(&fill).await.unwrap();
    browser.wait("the edit", PATIENCE, "document.querySelector('#findings .edited') !== null").await.unwrap();
    browser.evaluate("document.getElementById('accept-rest').click()").await.unwrap();
    signed(&mut browser, "Anna Mueller", "Reviewed by Anna Mueller").await;
    browser.screenshot(&screenshot("exam-reviewed.png")).await.unwrap();
    deadline::until_true("the second report", SETTLED_WITHIN, || reports(2)).await.unwrap();
    let (second, path) = of(&pacs, COMPREHENSIVE_3D_SR).pop().unwrap();
    let report = read(&path).await;
    assert_eq!((&report["flag"], &report["before"]), (&"VERIFIED".into(), &serde_json::json!([first])));
    let texts: Vec<&str> = report["texts"].as_array().unwrap().iter().filter_map(|text| text.as_str()).collect();
    let has = |part: &str| texts.iter().any(|text| text.contains(part));
    assert!(
        has("edited by Anna Mueller: ") && has("long axis 21.5 mm (was: ") && has("reviewed by Anna Mueller"),
        "{texts:?}"
    );
    validate(&path).await;
    let documents = of(&pacs, PDF);
    assert_eq!(documents.len(), 4, "one in each language, of both versions");
    let english = document(&documents[2].1).await;
    assert!(english.contains("eviewed by Anna Mueller") && english.contains("21.5"), "{english}");

    // Somebody else rejects it: it is in the report no more, and the report before is named.
    browser.press("n").await.unwrap();
    let all = "document.querySelectorAll('#findings [data-decision=rejected]').forEach((button) => button.click()); 1";
    browser.wait("the pictures", PATIENCE, "document.getElementById('loaded').textContent === ''").await.unwrap();
    browser.evaluate(all).await.unwrap();
    signed(&mut browser, "Li Ming", "Reviewed by Li Ming").await;
    deadline::until_true("the third report", SETTLED_WITHIN, || reports(3)).await.unwrap();
    let (_, path) = of(&pacs, COMPREHENSIVE_3D_SR).pop().unwrap();
    let report = read(&path).await;
    assert_eq!((&report["flag"], &report["before"]), (&"VERIFIED".into(), &serde_json::json!([second])));
    let texts = report["texts"].to_string();
    assert!(texts.contains("reviewed by Li Ming") && !texts.contains("Lesion "), "{texts}");
    validate(&path).await;
    assert_eq!(images(&pacs).len(), sent, "clips and key images are the same in every version: sent once");
    let verdict = text(&mut browser, "document.getElementById('verdict').textContent").await;
    assert!(verdict.contains("no lesion") && verdict.contains("rejected"), "{verdict}");
    assert_eq!(browser.complaints(), [] as [String; 0]);
    appliance.stop().await.unwrap();
}

/// The journals of the exams so far.
fn journal(appliance: &Appliance) -> String {
    let folders = std::fs::read_dir(appliance.spool().join("exams")).into_iter().flatten().flatten();
    folders.map(|folder| std::fs::read_to_string(folder.path().join("journal.jsonl")).unwrap_or_default()).collect()
}
