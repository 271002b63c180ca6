//! Story 1 from outside: a scanner sends, the box analyses, results come back. With real peers (DCMTK) and real images.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::compare::Evaluated;
use hil_tests::modality::Modality;
use hil_tests::pacs::{Conduct, Pacs};
use hil_tests::part10::{Folder, Instance};
use hil_tests::{deadline, tools};
use phantom::{Options, Phantom};

use crate::support::Records;

const SETTLED_WITHIN: Duration = Duration::from_secs(240);

fn phantom(seed: u64) -> Vec<Instance> {
    let options = Options { columns: 96, rows: 96, pixel_mm: 3.9, slices: 36, slice_mm: 8.0, ..Options::default() };
    let (study, _) = Phantom::chest(seed, &options).unwrap();
    study.instances.iter().map(|i| Instance::from_part10(&i.part10).unwrap()).collect()
}

async fn settled(records: &Records, series: usize) {
    let done = || records.is_settled(series).unwrap();
    deadline::until_true("every series to have its verdict and its results delivered", SETTLED_WITHIN, done)
        .await
        .unwrap();
}

/// Sends both real chest CTs through the whole box; `send` is the peer that sends a folder. What is found is judged once, by `judge`.
async fn real_cts(send: impl AsyncFn(&Path, &Appliance), judge: bool) {
    let Some(data) = tools::shared("data") else { return };
    let archive = tempfile::tempdir().unwrap();
    let storescp = tools::Storescp::start(archive.path(), &["--bit-preserving"]).await.unwrap();
    let destinations = vec![("pacs".into(), "STORESCP".into(), storescp.address)];
    let setup = Setup { destinations, coarse: !judge, ..Setup::default() };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    let records = Records::open(&appliance).unwrap();
    let folders = ["ct-chest-philips-5mm", "ct-chest-siemens-b40f"].map(|name| data.join(name));
    for folder in &folders {
        send(folder, &appliance).await;
    }
    settled(&records, 2).await;

    for one in records.series().unwrap() {
        let verdict = one.verdict.unwrap_or_default();
        assert_eq!(one.state, "processed", "{verdict}");
        let findings = records.findings(&one.study_uid).unwrap();
        assert_eq!(findings.len(), 1, "one finished job");
        let Evaluated::Done(lungs) = &findings[0].lungs else { panic!("no lungs: {:?}", findings[0]) };
        let volumes: Vec<_> = lungs.iter().map(|lung| (lung.side.as_str(), lung.volume_ml)).collect();
        println!("{verdict}: {volumes:?}");
        assert_eq!(lungs.iter().map(|l| l.side.as_str()).collect::<BTreeSet<_>>(), ["left", "right"].into());
        assert!(volumes.iter().all(|(_, ml)| (1000.0..4000.0).contains(ml)), "{volumes:?}");
        // What thick slices can show is evaluated; what they cannot is closed with its reason.
        assert!(matches!(findings[0].nodules, Evaluated::Done(_)), "{:?}", findings[0].nodules);
        assert!(
            verdict.contains("not evaluated at this spacing"),
            "the verdict does not name the least size: {verdict}"
        );
        assert!(verdict.contains("not evaluated: rib fractures"), "fractures on thick slices: {verdict}");
        assert!(verdict.contains("slice spacing") && verdict.contains("package needs <="), "{verdict}");
    }

    let made = records.results().unwrap();
    let arrived = Folder::scan(archive.path()).unwrap().instances;
    assert_eq!(arrived.len(), made.len(), "results at the archive");
    for result in &made {
        let ours = Instance::open(&result.file).unwrap().unwrap();
        let there = arrived.iter().find(|i| i.sop_instance_uid == result.sop_uid).unwrap();
        assert_eq!(ours.sha256().unwrap(), there.sha256().unwrap(), "{} differs at the archive", result.kind);
    }
    let kinds: Vec<_> = made.iter().map(|r| r.kind.as_str()).collect();
    assert!(["sr", "seg", "sc"].iter().all(|kind| kinds.iter().filter(|k| *k == kind).count() >= 2), "{kinds:?}");
    if judge {
        for result in &made {
            let script = match result.kind.as_str() {
                "sr" => "check_sr.sh",
                "seg" => "check_seg.sh",
                _ => continue,
            };
            let source = folders.iter().find(|folder| holds_study(folder, &result.study_uid)).unwrap();
            validate(script, &result.file, source).await;
        }
    }
    appliance.stop().await.unwrap();
}

fn holds_study(folder: &Path, study_uid: &str) -> bool {
    let first = Folder::scan(folder).unwrap().instances.remove(0);
    first.data_set().unwrap().windows(study_uid.len()).any(|window| window == study_uid.as_bytes())
}

/// Scripts of the validators, which are not part of the project.
async fn validate(script: &str, result: &Path, source: &Path) {
    let Some(script) = tools::shared(&format!("validators/{script}")) else { return };
    let sources = std::fs::read_dir(source).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some());
    let output = tools::command("bash").unwrap().arg(script).arg(result).args(sources).output().await.unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {said}{complained}", result.display());
}

/// Scanners and archives put the localiser into the series of the slices, and it comes first.
#[tokio::test]
async fn a_localiser_in_the_series_of_the_slices_is_named_and_the_slices_are_read() {
    let options = Options { columns: 96, rows: 96, pixel_mm: 3.9, slices: 36, slice_mm: 8.0, ..Options::default() };
    let (study, _) = Phantom::chest(7, &options).unwrap();
    let [localiser, slice] = [&study.instances[0], study.instances.last().unwrap()]
        .map(|instance| dicom_object::from_reader(instance.part10.as_slice()).unwrap());
    let mut shared = localiser.clone();
    shared.put(slice.element_by_name("SeriesInstanceUID").unwrap().clone());
    let mut bytes = Vec::new();
    shared.write_all(&mut bytes).unwrap();
    let mut instances = vec![Instance::from_part10(&bytes).unwrap()];
    let slices = study.instances.iter().map(|instance| Instance::from_part10(&instance.part10).unwrap());
    instances.extend(slices.skip(study.instances.len() - 36));

    let mut appliance = Appliance::start(&Setup::coarse()).await.unwrap();
    let sent = Modality::new(appliance.address, "CT1", Appliance::AE_TITLE)
        .send_until_acknowledged(&instances, SETTLED_WITHIN, |_, _| {})
        .await
        .unwrap();
    assert_eq!(sent.acknowledged(), 37);
    let records = Records::open(&appliance).unwrap();
    settled(&records, 1).await;
    let series = records.series().unwrap();
    let verdict = series[0].verdict.as_deref().unwrap_or_default();
    assert_eq!((series[0].state.as_str(), series[0].instances), ("processed", 37), "{verdict}");
    let findings = records.findings(&series[0].study_uid).unwrap();
    assert!(matches!(findings[0].lungs, Evaluated::Done(_)), "{:?}", findings[0].lungs);
    let results = records.results().unwrap();
    let report = results.iter().find(|result| result.kind == "sr").unwrap();
    let report = format!("{:?}", dicom_object::open_file(&report.file).unwrap());
    assert!(report.contains("not read: 1 localiser"), "the report names what was left out");
    appliance.stop().await.unwrap();
}

#[tokio::test]
async fn real_cts_from_storescu_are_processed_and_valid_results_reach_storescp() {
    let send = async |folder: &Path, appliance: &Appliance| {
        let status = tools::command("storescu")
            .unwrap()
            .args(["-R", "+sd", "-aec", Appliance::AE_TITLE, "127.0.0.1", &appliance.address.port().to_string()])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .unwrap();
        assert!(status.success(), "storescu: {status}");
    };
    real_cts(send, true).await;
}

#[tokio::test]
async fn real_cts_from_dcmsend_are_processed_and_results_reach_storescp() {
    let send = async |folder: &Path, appliance: &Appliance| {
        let report = appliance.folder().join("dcmsend.txt");
        let status = tools::command("dcmsend")
            .unwrap()
            .args(["+sd", "+r", "-aec", Appliance::AE_TITLE, "--create-report-file"])
            .arg(&report)
            .args(["127.0.0.1", &appliance.address.port().to_string()])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .unwrap();
        assert!(status.success(), "dcmsend: {status}");
        // dcmsend exits with 0 even when it was refused, so its report is read.
        let text = std::fs::read_to_string(report).unwrap();
        let count = |word: &str| text.lines().filter(|line| line.contains(word)).count();
        assert_eq!(count("0x0000"), count("DIMSE Status"), "{text}");
        assert!(count("DIMSE Status") > 0, "{text}");
    };
    real_cts(send, false).await;
}

/// Files as a hostile or broken scanner would send them: a file that is not DICOM is sent as a data set that claims to
/// be one.
fn corpus(root: &Path) -> Vec<(PathBuf, Instance)> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, into) } else { into.push(path) }
        }
    }
    let mut paths = Vec::new();
    walk(root, &mut paths);
    paths.sort();
    let claimed = |n: usize, path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        Instance::claimed("1.2.840.10008.5.1.4.1.1.2", &format!("2.25.999.{n}"), "1.2.840.10008.1.2", &bytes)
    };
    paths
        .into_iter()
        .enumerate()
        .map(|(n, path)| {
            let instance = match Instance::open(&path) {
                Ok(Some(i)) if !i.sop_class_uid.is_empty() && !i.sop_instance_uid.is_empty() => i,
                _ => claimed(n, &path),
            };
            (path, instance)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_corpus_file_is_kept_byte_exact_or_refused_in_words_and_nobody_else_is_harmed() {
    let Some(root) = tools::shared("data/corpus") else { return };
    let corpus = corpus(&root);
    let setup = Setup { quiet_secs: 0.5, ..Setup::coarse() };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    let records = Records::open(&appliance).unwrap();

    let neighbour = {
        let modality = Modality::new(appliance.address, "NEIGHBOUR", Appliance::AE_TITLE);
        let study = phantom(4711);
        tokio::spawn(async move {
            let sent = modality.send(&study, |_, _| {}).await.unwrap();
            assert_eq!(sent.acknowledged(), study.len(), "the neighbour's study");
            study
        })
    };
    let modality = Modality::new(appliance.address, "CORPUS", Appliance::AE_TITLE);
    let (mut kept, mut set_aside, mut refused) = (0, 0, 0);
    for (path, instance) in &corpus {
        let answer = modality.send(std::slice::from_ref(instance), |_, _| {}).await;
        assert!(appliance.is_running(), "{}: the daemon is gone", path.display());
        let Ok(sent) = answer else {
            // The association was rejected or aborted, which also counts as refused.
            refused += 1;
            continue;
        };
        if sent.acknowledged() == 0 {
            refused += 1;
            continue;
        }
        let rows = records.kept(&instance.sop_instance_uid).unwrap();
        let same = |row: &&crate::support::Kept| {
            let stored = Instance::from_part10(&records.bytes(row).unwrap()).unwrap();
            *stored.data_set().unwrap() == *instance.data_set().unwrap()
        };
        let row = rows.iter().find(same);
        let row = row.unwrap_or_else(|| panic!("{}: acknowledged, bytes not there: {rows:?}", path.display()));
        if row.state == "kept" {
            kept += 1;
        } else {
            let reason = records.reason(row).unwrap();
            assert!(reason.contains(' '), "{}: {} without a reason in words: {row:?}", path.display(), row.state);
            set_aside += 1;
        }
    }
    println!("{} files: {kept} kept, {set_aside} set aside with a reason, {refused} refused", corpus.len());
    assert!(kept > corpus.len() / 2, "most of the corpus is good");
    for instance in neighbour.await.unwrap() {
        records.check_custody(&instance).unwrap();
    }

    let everything: Vec<_> = corpus.iter().map(|(_, instance)| instance.clone()).collect();
    let again = async || {
        for instance in &everything {
            let _ = modality.send(std::slice::from_ref(instance), |_, _| {}).await;
        }
    };
    settled(&records, 1).await;
    again().await;
    let before = appliance.resident_bytes().unwrap();
    again().await;
    again().await;
    let after = appliance.resident_bytes().unwrap();
    println!("resident: {} MiB, {} MiB after two more rounds", before >> 20, after >> 20);
    assert!(after < before + (32 << 20), "memory grows: {before} to {after} bytes");
    let log = std::fs::read_to_string(appliance.log_file()).unwrap();
    assert!(!log.contains("panicked"), "a panic in the log:\n{}", appliance.log_tail());
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_was_away_gets_every_result_in_order_even_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let pacs = Pacs::start("PACS", folder.path()).await.unwrap();
    pacs.behave(Conduct::Vanish);
    let setup =
        Setup { destinations: vec![("pacs".into(), "PACS".into(), pacs.address)], quiet_secs: 1.0, ..Setup::coarse() };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    let records = Records::open(&appliance).unwrap();
    for seed in 0..3 {
        let modality = Modality::new(appliance.address, "CT", Appliance::AE_TITLE);
        modality.send(&phantom(seed), |_, _| {}).await.unwrap();
    }
    let left = || {
        let series = records.series().unwrap();
        let ended = series.iter().filter(|s| matches!(s.state.as_str(), "processed" | "refused")).count();
        6 - i64::try_from(ended).unwrap()
    };
    deadline::until_none("series of three studies to be analysed", SETTLED_WITHIN, left).await.unwrap();
    assert!(pacs.received().is_empty());
    assert!(records.results().unwrap().iter().all(|r| r.deliveries == ["pending"]));

    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    pacs.behave(Conduct::Refuse(0xA700));
    pacs.behave(Conduct::Accept);
    settled(&records, 6).await;
    let wanted: Vec<_> = records.results().unwrap().into_iter().map(|r| r.sop_uid).collect();
    let arrived: Vec<_> = pacs.received().into_iter().map(|r| r.sop_instance_uid).collect();
    assert_eq!(arrived, wanted, "each once, in the order in which they were made");
    appliance.stop().await.unwrap();
}
