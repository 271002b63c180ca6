//! What `scansidectl export` writes is a DICOM file-set to programs that nobody here wrote: pydicom opens it, DCMTK reads its
//! directory and writes the same one itself. Every object is byte for byte what the box keeps; what breaks off in between
//! leaves the medium as it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::deadline;
use hil_tests::modality::Modality;
use hil_tests::part10::Instance;
use hil_tests::tools;
use needs::Lack;
use phantom::{Options, Phantom};
use serde_json::Value;

use crate::reading::SETTLED_WITHIN;
use crate::support::Records;

async fn ctl(appliance: &Appliance, arguments: &[&str]) -> Output {
    let program = tools::our_binary("scansidectl").unwrap();
    let mut command = tokio::process::Command::new(program);
    command.args(["--json", "--bus", &appliance.bus.address]).args(arguments).output().await.unwrap()
}

async fn exported(appliance: &Appliance, arguments: &[&str]) -> Value {
    let output = ctl(appliance, arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What pydicom says of the file-set.
async fn judged(python: &std::ffi::OsStr, root: &Path) -> Value {
    let script = tools::workspace().join("hil-tests/tests/it/export_judge.py");
    let output = tokio::process::Command::new(python).arg("-B").arg(script).arg(root).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Where each object lies.
fn places(judged: &Value, root: &Path) -> BTreeMap<String, PathBuf> {
    let files = judged["files"].as_array().unwrap().iter();
    let place = |file: &Value| {
        let parts = file["file"].as_array().unwrap().iter();
        parts.fold(root.to_owned(), |path, part| path.join(part.as_str().unwrap()))
    };
    files.map(|file| (file["uid"].as_str().unwrap().to_owned(), place(file))).collect()
}

const LEFT_OUT: [&str; 6] = ["(0004,12", "(0004,1400", "(0004,1420", "(0004,1130", "(0008,0005", "(0008,0008"];

/// The keys of all records as dcmdump prints them, without places in the file and what each program makes up; without the
/// character set, which DCMTK tells where all is ASCII, too, and the image type, which need not be there.
async fn records(dicomdir: &Path) -> Vec<String> {
    let output = tools::command("dcmdump").unwrap().arg("-q").arg(dicomdir).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('(') && !line.starts_with("(fffe") && !line.starts_with("(0002"))
        .filter(|line| LEFT_OUT.iter().all(|tag| !line.starts_with(tag)))
        .map(|line| {
            line.split(" #").next().unwrap_or(line).split(" (Sequence").next().unwrap_or(line).trim_end().to_owned()
        })
        .collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn a_study_is_exported_as_a_file_set_that_others_open_and_a_second_one_is_added() {
    let Some(python) = std::env::var_os("SCANSIDE_PYTHON") else {
        needs::skip(Lack::Software, "no Python with pydicom: SCANSIDE_PYTHON");
        return;
    };
    let options = Options { columns: 96, rows: 96, pixel_mm: 3.9, slices: 36, slice_mm: 8.0, ..Options::default() };
    let mut appliance = Appliance::start(&Setup::coarse()).await.unwrap();
    let mut sent = Vec::new();
    for seed in [7, 8] {
        let (study, _) = Phantom::chest(seed, &options).unwrap();
        let all: Vec<_> = study.instances.iter().map(|one| Instance::from_part10(&one.part10).unwrap()).collect();
        Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(&all, |_, _| {}).await.unwrap();
        sent.push(all);
    }
    let records_of = Records::open(&appliance).unwrap();
    let done = || records_of.is_settled(4).unwrap();
    deadline::until_true("the verdicts", SETTLED_WITHIN, done).await.unwrap();
    let made = records_of.results().unwrap();
    let uid = made[0].study_uid.clone();
    let medium = tempfile::tempdir().unwrap();
    let root = medium.path().to_str().unwrap();

    let first = exported(&appliance, &["export", &uid, "--to", root]).await;
    let of_first = made.iter().filter(|one| one.study_uid == uid).count();
    assert_eq!((first["added"].as_u64(), first["left_out"].as_array().map(Vec::len)), (Some(of_first as u64), Some(0)));
    let before = judged(&python, medium.path()).await;

    // Broken off: another folder of it, and no change of what is listed.
    std::fs::create_dir_all(medium.path().join("SCANSIDE/PARTIAL")).unwrap();
    std::fs::write(medium.path().join("SCANSIDE/PARTIAL/I0000001"), "half an object").unwrap();
    let second = exported(&appliance, &["export", "--since", "1 day", "--images", "--to", root]).await;
    let all = sent.iter().map(Vec::len).sum::<usize>() + made.len();
    assert_eq!(second["already_there"].as_u64(), Some(of_first as u64), "{second}");
    assert_eq!(second["added"].as_u64(), Some((all - of_first) as u64), "{second}");
    let after = judged(&python, medium.path()).await;
    assert_eq!(before["uid"], after["uid"], "it is the same file-set");
    assert_eq!((after["files"].as_array().unwrap().len(), &after["patients"]), (all, &Value::from(2)), "{after}");
    let kinds = |kind: &str| after["files"].as_array().unwrap().iter().filter(|one| one["type"] == kind).count();
    assert!(kinds("SR DOCUMENT") > 0 && kinds("ENCAP DOC") > 0 && kinds("IMAGE") > 72, "{after}");

    // Byte for byte what is in custody.
    let places = places(&after, medium.path());
    for one in sent.iter().flatten() {
        let kept = records_of.kept(&one.sop_instance_uid).unwrap();
        let bytes = records_of.bytes(&kept[0]).unwrap();
        assert!(std::fs::read(&places[&one.sop_instance_uid]).unwrap() == bytes, "{}", one.sop_instance_uid);
    }
    for one in &made {
        assert!(std::fs::read(&places[&one.sop_uid]).unwrap() == std::fs::read(&one.file).unwrap(), "{}", one.sop_uid);
    }
    assert!(!medium.path().join("SCANSIDE/PARTIAL").exists());

    // The directory that DCMTK makes of the same files says the same.
    let theirs = medium.path().join("THEIRS");
    let output = tools::command("dcmmkdir")
        .unwrap()
        .args(["--recurse", "--general-purpose", "--invent", "--output-file"])
        .arg(&theirs)
        .args(["--input-directory", root, "SCANSIDE"])
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (ours, theirs) = (records(&medium.path().join("DICOMDIR")).await, records(&theirs).await);
    let differs: Vec<_> = ours.iter().filter(|line| !theirs.contains(line)).collect();
    let lacks: Vec<_> = theirs.iter().filter(|line| !ours.contains(line)).collect();
    assert!(
        differs.is_empty() && lacks.is_empty() && ours.len() == theirs.len(),
        "ours {differs:#?}, theirs {lacks:#?}"
    );

    // One result is gone: the rest is there, and everybody is told that it is not whole.
    let gone = made.iter().find(|one| one.study_uid == uid).unwrap();
    std::fs::remove_file(&gone.file).unwrap();
    let partial = tempfile::tempdir().unwrap();
    let to = partial.path().to_str().unwrap();
    for which in [["--since", "1 day"].as_slice(), &[uid.as_str()]] {
        let output = ctl(&appliance, &[&["export", "--to", to], which].concat()).await;
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), said["complete"].as_bool()), (Some(1), Some(false)), "{said}");
        let left_out = said["left_out"].as_array().unwrap();
        assert_eq!((left_out.len(), left_out[0]["object"].as_str()), (1, Some(gone.sop_uid.as_str())), "{said}");
        assert!(left_out[0]["why"].as_str().unwrap().contains("is gone"), "{said}");
    }
    let listed = judged(&python, partial.path()).await;
    assert_eq!(listed["files"].as_array().unwrap().len(), made.len() - 1, "{listed}");
    appliance.stop().await.unwrap();
}

#[tokio::test]
async fn one_object_that_cannot_be_read_is_left_out_by_name_and_the_others_are_exported() {
    let options = Options { columns: 96, rows: 96, pixel_mm: 3.9, slices: 36, slice_mm: 8.0, ..Options::default() };
    let mut appliance = Appliance::start(&Setup::coarse()).await.unwrap();
    let (study, _) = Phantom::chest(7, &options).unwrap();
    let all: Vec<_> = study.instances.iter().map(|one| Instance::from_part10(&one.part10).unwrap()).collect();
    Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(&all, |_, _| {}).await.unwrap();
    let records_of = Records::open(&appliance).unwrap();
    let done = || records_of.is_settled(2).unwrap();
    deadline::until_true("the verdicts", SETTLED_WITHIN, done).await.unwrap();
    let made = records_of.results().unwrap();
    // The last byte: its header can still be read.
    let mut bytes = std::fs::read(&made[0].file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&made[0].file, bytes).unwrap();
    let medium = tempfile::tempdir().unwrap();
    let root = medium.path().to_str().unwrap();
    let output = ctl(&appliance, &["export", &made[0].study_uid, "--images", "--to", root]).await;
    assert!(!output.status.success(), "it is not complete");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let left_out = said["left_out"].as_array().unwrap();
    assert_eq!((left_out.len(), &left_out[0]["object"]), (1, &Value::from(made[0].sop_uid.clone())), "{said}");
    assert_eq!(left_out[0]["why"], "the file of a result is not what was made");
    assert_eq!(said["added"].as_u64(), Some((all.len() + made.len() - 1) as u64), "{said}");
    assert!(!medium.path().join("SCANSIDE/PARTIAL").exists());
    appliance.stop().await.unwrap();
}

/// Eviction goes by segment: of a study that lies in two, one is gone first.
#[tokio::test]
async fn a_study_of_which_images_were_evicted_is_not_exported_as_if_it_were_whole() {
    let options = Options { columns: 96, rows: 96, pixel_mm: 3.9, slices: 36, slice_mm: 8.0, ..Options::default() };
    let mut appliance = Appliance::start(&Setup::coarse()).await.unwrap();
    let (study, _) = Phantom::chest(7, &options).unwrap();
    let all: Vec<_> = study.instances.iter().map(|one| Instance::from_part10(&one.part10).unwrap()).collect();
    Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(&all, |_, _| {}).await.unwrap();
    let records_of = Records::open(&appliance).unwrap();
    let done = || records_of.is_settled(2).unwrap();
    deadline::until_true("the verdicts", SETTLED_WITHIN, done).await.unwrap();
    let study_uid = records_of.results().unwrap()[0].study_uid.clone();
    let evict = |which: &str| {
        let connection = rusqlite::Connection::open(appliance.database()).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
        connection.execute(&format!("UPDATE instances SET state = 'evicted' WHERE {which}"), []).unwrap()
    };
    assert_eq!(evict("id IN (SELECT id FROM instances ORDER BY id LIMIT 10)"), 10);
    let medium = tempfile::tempdir().unwrap();
    let root = medium.path().to_str().unwrap();
    let output = ctl(&appliance, &["export", &study_uid, "--images", "--to", root]).await;
    assert!(!output.status.success(), "it is not complete");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let left_out = said["left_out"].as_array().unwrap();
    assert_eq!((said["complete"].as_bool(), left_out.len()), (Some(false), 10), "{said}");
    assert!(left_out.iter().all(|one| one["why"].as_str().unwrap().contains("evicted")), "{said}");
    // What nobody asks for is not left out.
    let results = tempfile::tempdir().unwrap();
    let output = ctl(&appliance, &["export", &study_uid, "--to", results.path().to_str().unwrap()]).await;
    assert!(output.status.success(), "{output:?}");
    appliance.stop().await.unwrap();
}
