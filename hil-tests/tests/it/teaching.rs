//! A teaching file of a real box: an ultrasound study whose screens name the patient, and a chest CT. Nothing in the folder names
//! anybody, programs that nobody here wrote read it, and the quiz works in a browser from the disk. Pictures go to `out/teaching`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use dicom::deidentify::secrets::Secrets;
use dicom::deidentify::{self, Case};
use dicom::pixels::pictures::Pictures;
use dicom_dictionary_std::tags;
use hil_tests::appliance::{Appliance, Setup};
use hil_tests::browser::Browser;
use hil_tests::modality::Modality;
use hil_tests::part10::Instance;
use hil_tests::{deadline, tools};
use needs::Lack;
use phantom::{Options, Phantom};
use serde_json::Value;

use crate::reading::SETTLED_WITHIN;
use crate::support::Records;
use crate::ultrasound::{grey, has_runtime, picture, scanned};
use crate::us_support::Picture;

const PATIENCE: Duration = Duration::from_secs(30);

async fn ctl(appliance: &Appliance, arguments: &[&str]) -> Output {
    let program = tools::our_binary("scansidectl").unwrap();
    let mut command = tokio::process::Command::new(program);
    command.args(["--json", "--bus", &appliance.bus.address]).args(arguments).output().await.unwrap()
}

/// All files of a folder, with their names in it.
fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                found.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Errors of dciodvfy, without where they are.
async fn faults(file: &Path) -> BTreeSet<String> {
    let output = tools::command("dciodvfy").unwrap().arg("-new").arg(file).output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).lines().filter(|line| line.starts_with("Error")).map(str::to_owned).collect()
}

/// The copies have no fault that their sources have not; pydicom and DCMTK open them.
async fn others_read(root: &Path, sources: &[PathBuf]) {
    let mut known = BTreeSet::new();
    for source in sources {
        known.extend(faults(source).await);
    }
    let mut all = Vec::new();
    for (name, _) in files(root).into_iter().filter(|(name, _)| name.ends_with(".dcm")) {
        let path = root.join(&name);
        // One of each kind is enough for the slow ones.
        if all.len() < 4 || !name.contains("/IM") {
            let new: Vec<String> = faults(&path).await.difference(&known).cloned().collect();
            assert_eq!(new, Vec::<String>::new(), "{name}");
            let dump = tools::command("dcmdump").unwrap().arg("-q").arg(&path).output().await.unwrap();
            assert!(dump.status.success(), "{name}: {}", String::from_utf8_lossy(&dump.stderr));
        }
        all.push(path);
    }
    let Some(python) = std::env::var_os("SCANSIDE_PYTHON") else {
        needs::skip(Lack::Software, "no Python with pydicom: SCANSIDE_PYTHON");
        return;
    };
    const SCRIPT: &str = "import sys, pydicom
kos = None
have = set()
for name in sys.argv[1:]:
    one = pydicom.dcmread(name)
    assert one.PatientIdentityRemoved == 'YES', name
    assert not [e for e in one.iterall() if e.tag.is_private], name
    have.add(one.SOPInstanceUID)
    if 'PixelData' in one and one.Modality != 'SEG':
        one.pixel_array
    if one.Modality == 'KO':
        kos = one
named = {r.ReferencedSOPInstanceUID for s in kos.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence for r in s.ReferencedSOPSequence}
assert kos.ConceptNameCodeSequence[0].CodeValue == 'TCE001'
assert named == have - {kos.SOPInstanceUID}, (len(named), len(have))
print(len(have))";
    let output = tokio::process::Command::new(python).args(["-B", "-c", SCRIPT]).args(&all).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Nothing of these is in any file but for compressed or plain pixels, which are looked at elsewhere.
fn names_nobody(root: &Path, words: &[&str]) {
    for (name, bytes) in files(root) {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for word in words {
            assert!(!text.contains(&word.to_lowercase()), "{word} in {name}");
        }
    }
}

fn out() -> PathBuf {
    let out = tools::workspace().join("out/teaching");
    let _ = std::fs::remove_dir_all(&out);
    std::fs::create_dir_all(&out).unwrap();
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_becomes_a_teaching_file_that_names_nobody_and_a_quiz_that_works_from_the_disk() {
    if !has_runtime() {
        return;
    }
    let scanned = tokio::task::spawn_blocking(scanned).await.unwrap();
    let screen = &scanned.shown.screen;
    let pictures = [picture(&scanned, 1, grey(screen)), Picture { region: None, ..picture(&scanned, 2, grey(screen)) }];
    // Something is found in it.
    let (study, _) = Phantom::chest(7, &Options::small()).unwrap();
    let slices: Vec<_> = study.instances.iter().map(|one| Instance::from_part10(&one.part10).unwrap()).collect();
    let mut appliance =
        Appliance::start(&Setup { extra: "[study]\nquiet_secs = 0.5\n".into(), ..Setup::coarse() }).await.unwrap();
    let ultrasound: Vec<Instance> = pictures.iter().map(Picture::instance).collect();
    Modality::new(appliance.address, "US1", Appliance::AE_TITLE).send(&ultrasound, |_, _| {}).await.unwrap();
    Modality::new(appliance.address, "CT1", Appliance::AE_TITLE).send(&slices, |_, _| {}).await.unwrap();
    let records = Records::open(&appliance).unwrap();
    deadline::until_true("the verdicts", SETTLED_WITHIN, || records.is_settled(3).unwrap()).await.unwrap();
    let out = out();
    let sources = tempfile::tempdir().unwrap();
    pictures.iter().for_each(|picture| picture.write(sources.path()));
    std::fs::write(sources.path().join("ct.dcm"), &study.instances[0].part10).unwrap();
    let sources: Vec<PathBuf> = std::fs::read_dir(sources.path()).unwrap().map(|entry| entry.unwrap().path()).collect();

    // Ultrasound: the image whose header does not tell where the picture is stays out, and that is said.
    let us = out.join("ultrasound");
    let to = us.to_str().unwrap();
    let asked =
        ["teaching", &pictures[0].study, "--to", to, "--title", "A mass", "--author", "Li Ming", "--language", "zh-CN"];
    let output = ctl(&appliance, &asked).await;
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    println!("{said}");
    assert_eq!(output.status.code(), Some(1), "not complete");
    assert_eq!((said["images"].as_u64(), said["masked"].as_u64()), (Some(1), Some(1)));
    assert_eq!(said["left_out"][0]["object"], pictures[1].uid(), "{said}");
    assert!(said["left_out"][0]["why"].as_str().unwrap().contains("ultrasound regions"), "{said}");
    assert!(said["quiz"] == true && said["checked_for"].as_u64().unwrap() > 20, "{said}");
    names_nobody(&us, &["phantom^eva", "eva phantom", "19700101", "20261124", "1.2.826.0.1.3680043.8.498.77"]);
    others_read(&us, &sources).await;
    let copy = dicom_object::open_file(us.join("dicom/IM000001.dcm")).unwrap();
    let pixels = copy.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    let (sector, _) = pictures[0].region.unwrap();
    let mut text_around = 0;
    for (at, (ours, theirs)) in pixels.iter().zip(&screen.grey).enumerate() {
        let (x, y) = (at % screen.width, at / screen.width);
        if (sector.x..sector.right()).contains(&x) && (sector.y..sector.bottom()).contains(&y) {
            assert_eq!(ours, theirs, "within the image nothing changes: {x} {y}");
        } else {
            assert_eq!(*ours, 0, "{x} {y}");
            text_around += usize::from(*theirs > 100);
        }
    }
    assert!(text_around > 500, "the screen has text around the image: {text_around} bright pixels");

    // A name in what a person wrote, and no folder.
    let refused = out.join("refused");
    for title in ["Seen in Eva Phantom", "From 1970-01-01"] {
        let to = refused.to_str().unwrap();
        let output =
            ctl(&appliance, &["teaching", &pictures[0].study, "--to", to, "--title", title, "--author", "L"]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("--title holds something of the source"), "{said}");
        assert!(!refused.exists() && !out.join("refused.partial").exists());
    }

    // CT, with what a person says. The phantom is called like words that its outlines have.
    let ct = out.join("ct");
    let discussion = out.join("discussion.txt");
    std::fs::write(&discussion, "Look at the lung first.\n").unwrap();
    let study_uid =
        records.results().unwrap().iter().find(|one| one.study_uid != pictures[0].study).unwrap().study_uid.clone();
    let asked = [
        "teaching",
        &study_uid,
        "--to",
        ct.to_str().unwrap(),
        "--title",
        "Nodules",
        "--author",
        "Li Ming",
        "--level",
        "primary",
        "--keywords",
        "nodule,lung",
        "--history",
        "Cough for two weeks",
        "--diagnosis",
        "Nodules",
        "--language",
        "en",
        "--text",
        discussion.to_str().unwrap(),
        "--allow",
        "phantom",
        "--allow",
        "chest",
    ];
    let output = ctl(&appliance, &asked).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("{said}");
    assert_eq!((said["images"].as_u64(), said["masked"].as_u64()), (Some(slices.len() as u64), Some(0)));
    assert!(said["outlines"].as_u64() > Some(0) && said["pictures"].as_u64() > Some(0), "{said}");
    names_nobody(&ct, &["phantom^chest", "chest phantom", "phantom-7", "20260105", &study_uid]);
    others_read(&ct, &sources).await;
    let trail = ctl(&appliance, &["audit", "--limit", "0"]).await;
    let trail: Value = serde_json::from_slice(&trail.stdout).unwrap();
    let exports = trail.as_array().unwrap().iter().filter(|row| row["what"] == "export");
    assert!(
        exports.clone().any(|row| row["object"].as_str().unwrap().contains(&study_uid)),
        "it is in the audit trail"
    );
    appliance.stop().await.unwrap();

    quiz(&us, &ct, &out).await;
}

/// With the mouse and by keyboard, in both languages; nobody else is asked.
async fn quiz(us: &Path, ct: &Path, out: &Path) {
    let Some(mut browser) = Browser::start(1100, 900).await.unwrap() else {
        needs::skip(Lack::Software, "no chromium");
        return;
    };
    let line = "document.getElementById('answer').textContent";
    let drawn = "document.readyState === 'complete' && images[index].complete && images[index].naturalWidth > 0";
    browser.open(&format!("file://{}/quiz.html", ct.display())).await.unwrap();
    browser.wait("the picture", PATIENCE, drawn).await.unwrap();
    let before = "document.getElementById('picture').toDataURL()";
    let hidden = browser.evaluate(before).await.unwrap();
    browser.screenshot(&out.join("quiz-question.png")).await.unwrap();
    assert!(browser.evaluate(line).await.unwrap().as_str().unwrap().contains("Where is the finding"));
    let body = browser.evaluate("document.body.innerText").await.unwrap();
    assert!(!body.as_str().unwrap().contains("Nodules"), "the answer is not given away: {body}");
    // Onto the middle of the first mark.
    let click = "(() => { const p = file.pictures[index], m = p.marks[0].mask, all = [...m.keys()].filter(i => m[i]);
        const i = all[Math.floor(all.length / 2)], c = document.getElementById('picture'), b = c.getBoundingClientRect();
        c.dispatchEvent(new MouseEvent('click', { bubbles: true,
            clientX: b.left + (i % p.columns + .5) * b.width / p.columns, clientY: b.top + (Math.floor(i / p.columns) + .5) * b.height / p.rows })); })()";
    browser.evaluate(click).await.unwrap();
    let said = browser.evaluate(line).await.unwrap();
    assert!(said.as_str().unwrap().starts_with("Found: "), "{said}");
    assert_ne!(browser.evaluate(before).await.unwrap(), hidden, "the outline is drawn");
    browser.screenshot(&out.join("quiz-answer.png")).await.unwrap();
    browser.press("h").await.unwrap();
    browser.press("l").await.unwrap();
    assert!(browser.evaluate(line).await.unwrap().as_str().unwrap().starts_with("找到了"));
    // The rest by keyboard, beside what is there; then the case is told.
    let count = browser.evaluate("file.pictures.length").await.unwrap().as_u64().unwrap();
    for _ in 1..count {
        browser.press("n").await.unwrap();
        browser.press("ArrowRight").await.unwrap();
        browser.press("Enter").await.unwrap();
    }
    let told = "!document.getElementById('end').hidden && document.getElementById('end').textContent.includes('Look at the lung first')";
    assert_eq!(browser.evaluate(told).await.unwrap(), true);
    browser.screenshot(&out.join("quiz-end.png")).await.unwrap();
    browser.open(&format!("file://{}/quiz.html", us.display())).await.unwrap();
    browser.wait("the picture", PATIENCE, drawn).await.unwrap();
    browser.resize(420, 800).await.unwrap();
    browser.press("ArrowUp").await.unwrap();
    browser.press("Enter").await.unwrap();
    browser.screenshot(&out.join("quiz-phone-zh.png")).await.unwrap();
    let elsewhere: Vec<&String> =
        browser.addresses().iter().filter(|one| !one.starts_with("file:") && !one.starts_with("data:")).collect();
    assert!(elsewhere.is_empty() && browser.complaints().is_empty(), "{elsewhere:?} {:?}", browser.complaints());
}

/// Promise: whatever other makers write, a copy names nobody, and what is left out has a reason.
#[test]
fn every_file_of_the_corpus_is_copied_without_its_values_or_left_out_with_a_reason() {
    let Some(data) = tools::shared("data") else { return };
    let mut stopped: Vec<PathBuf> = Vec::new();
    let (mut copied, mut folders, mut left_out) = (0, vec![data], std::collections::BTreeMap::new());
    while let Some(folder) = folders.pop() {
        let paths = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let (below, mut files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
        folders.extend(below);
        files.sort();
        // A few slices of each series are like the others.
        for path in files.into_iter().step_by(3) {
            let bytes = std::fs::read(&path).unwrap();
            let mut secrets = Secrets::default();
            if bytes.get(128..132) != Some(b"DICM") || bytes.len() > 60 << 20 || secrets.add(&bytes).is_err() {
                continue;
            }
            match deidentify::copy(&bytes, &Case::new([3; 32]), None) {
                Ok(copy) => {
                    if secrets.in_object(&copy.part10).unwrap().is_some() {
                        stopped.push(path);
                        continue;
                    }
                    copied += 1;
                    Pictures::open(&copy.part10)
                        .map(drop)
                        .or_else(|error| {
                            if copy.modality == "SEG" { Ok(()) } else { Err(format!("{}: {error}", path.display())) }
                        })
                        .unwrap();
                }
                Err(error) => *left_out.entry(error.kind()).or_insert(0) += 1,
            }
        }
    }
    println!("{copied} copied, left out {left_out:?}, stopped {stopped:?}");
    // Their Series Number, which stays, is the Patient ID: the check is there for that.
    let of_this_series = |path: &PathBuf| path.to_string_lossy().contains("corpus/dcmqi/segmentations");
    assert!(stopped.iter().all(of_this_series), "{stopped:?}");
    assert!(copied > 40, "{copied}");
}
