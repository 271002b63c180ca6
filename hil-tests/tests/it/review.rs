//! A person reviews what was found and signs, from outside: what was rejected is gone from the new objects, each of which names
//! its predecessor; a kill changes nothing; another package or a rerun carries no signature.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::modality::Modality;
use hil_tests::pacs::Pacs;
use hil_tests::part10::Instance;
use hil_tests::{coarse, deadline, tools};
use phantom::{Options, Phantom};
use serde_json::Value;

use crate::support::{Made, Records};

const WITHIN: Duration = Duration::from_secs(240);

/// Three nodules and calcium are found in it.
fn small() -> Vec<Instance> {
    let (study, _) = Phantom::chest(7, &Options::small()).unwrap();
    study.instances.iter().map(|i| Instance::from_part10(&i.part10).unwrap()).collect()
}

async fn review(appliance: &Appliance, study_uid: &str, more: &[&str]) -> Output {
    tokio::process::Command::new(tools::our_binary("scansidectl").unwrap())
        .args(["--json", "--bus", &appliance.bus.address, "studies", "review", study_uid])
        .args(more)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

async fn signed(appliance: &Appliance, study_uid: &str, more: &[&str]) -> Value {
    let output = review(appliance, study_uid, more).await;
    assert!(output.status.success(), "{more:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What pydicom reads of a report: flags, who signed, its predecessor, and every text.
pub async fn read(report: &Path) -> Value {
    const SCRIPT: &str = "
import json, sys, pydicom
d = pydicom.dcmread(sys.argv[1])
def texts(s):
    own = [str(s.TextValue)] if 'TextValue' in s else []
    return own + [t for one in s.get('ContentSequence', []) for t in texts(one)]
before = [i.ReferencedSOPInstanceUID for s in d.get('PredecessorDocumentsSequence', [])
          for r in s.ReferencedSeriesSequence for i in r.ReferencedSOPSequence]
by = [str(o.VerifyingObserverName) for o in d.get('VerifyingObserverSequence', [])]
print(json.dumps({'flag': d.VerificationFlag, 'by': by, 'before': before, 'texts': texts(d)}))
";
    // By way of a shell, which looks for the Python that has pydicom.
    let python = ["-c", "exec python3 -c \"$1\" \"$2\"", "bash", SCRIPT];
    let output = tools::command("bash").unwrap().args(python).arg(report).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The rejection notes at the archive.
fn notes(pacs: &Pacs) -> Vec<PathBuf> {
    let received = pacs.received().into_iter();
    received.filter(|one| one.sop_class_uid == "1.2.840.10008.5.1.4.1.1.88.59").map(|one| one.path).collect()
}

/// Title and sorted instance UIDs of a rejection note, as its evidence and its content have them.
async fn read_note(note: &Path) -> Value {
    const SCRIPT: &str = "
import json, sys, pydicom
d = pydicom.dcmread(sys.argv[1])
refs = sorted(i.ReferencedSOPInstanceUID for s in d.CurrentRequestedProcedureEvidenceSequence
              for r in s.ReferencedSeriesSequence for i in r.ReferencedSOPSequence)
said = sorted(c.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for c in d.ContentSequence if 'ReferencedSOPSequence' in c)
assert refs == said, (refs, said)
print(json.dumps([d.ConceptNameCodeSequence[0].CodeValue, refs]))
";
    let python = ["-c", "exec python3 -c \"$1\" \"$2\"", "bash", SCRIPT];
    let output = tools::command("bash").unwrap().args(python).arg(note).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

struct Bench {
    appliance: Appliance,
    records: Records,
    study_uid: String,
}

impl Bench {
    async fn settled(&self) {
        deadline::until_true("the results delivered", WITHIN, || self.records.is_settled(1).unwrap()).await.unwrap();
    }

    /// Reports of the chest, the oldest first.
    fn reports(&self) -> Vec<Made> {
        self.records.results().unwrap().into_iter().filter(|made| made.kind == "sr").collect()
    }

    async fn newest(&self) -> (Made, Value) {
        let newest = self.reports().pop().unwrap();
        let said = read(&newest.file).await;
        (newest, said)
    }
}

/// What the validators say of a report; they are not part of the project.
pub async fn validate(report: &Path) {
    let Some(script) = tools::shared("validators/check_sr.sh") else { return };
    let output = tools::command("bash").unwrap().arg(script).arg(report).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_review_makes_new_objects_that_name_the_old_ones_and_survives_a_kill() {
    let (archive, packages) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    coarse::copy(&tools::workspace().join("models/packages"), packages.path()).unwrap();
    let pacs = Pacs::start("PACS", archive.path()).await.unwrap();
    let setup = Setup {
        destinations: vec![("pacs".into(), "PACS".into(), pacs.address)],
        packages: packages.path().to_owned(),
        extra: "[destination.pacs]\nrejection_notes = true\n".into(),
        ..Setup::default()
    };
    let appliance = Appliance::start(&setup).await.unwrap();
    let records = Records::open(&appliance).unwrap();
    let study = small();
    let modality = Modality::new(appliance.address, "CT", Appliance::AE_TITLE);
    assert_eq!(modality.send(&study, |_, _| {}).await.unwrap().acknowledged(), study.len());
    let processed = || records.series().unwrap().iter().any(|series| series.state == "processed");
    deadline::until_true("findings", WITHIN, processed).await.unwrap();
    let study_uid = records.series().unwrap().remove(0).study_uid;
    let mut bench = Bench { appliance, records, study_uid };
    bench.settled().await;
    let study_uid = bench.study_uid.clone();
    let listed = signed(&bench.appliance, &study_uid, &[]).await;
    let ids: Vec<&str> =
        listed["series"][0]["findings"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["nodule-1", "nodule-2", "nodule-3", "coronary-calcification"]);
    let first = bench.records.results().unwrap();

    let refused = review(&bench.appliance, &study_uid, &["--by", "Li Ming", "--accept", "nodule-1"]).await;
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("without a decision: nodule-2, nodule-3"), "{why}");

    // Killed as soon as it has been signed.
    let mut comment =
        vec!["--by", "Li Ming", "--reject", "nodule-2=a vessel", "--accept", "nodule-1=known", "--accept-rest"];
    comment.extend(["--edit", "nodule-3:long_mm=5.2", "nodule-3:short_mm=4.4", "nodule-3:comment=by callipers"]);
    let answer = signed(&bench.appliance, &study_uid, &comment).await;
    assert_eq!((&answer["accepted"], &answer["edited"], &answer["rejected"]), (&3.into(), &1.into(), &1.into()));
    bench.appliance.kill().await.unwrap();
    bench.appliance.restart().await.unwrap();
    bench.settled().await;
    let (report, said) = bench.newest().await;
    let before = first.iter().find(|made| made.kind == "sr").unwrap();
    assert_eq!((&said["flag"], &said["by"]), (&"VERIFIED".into(), &serde_json::json!(["Li Ming"])));
    assert_eq!(said["before"], serde_json::json!([before.sop_uid]));
    let texts: Vec<&str> = said["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert!(texts.contains(&"Nodule 1") && texts.contains(&"known"), "{texts:?}");
    assert!(!texts.iter().any(|text| *text == "Nodule 2" || text.contains("a vessel")), "{texts:?}");
    let told = |what: &str| texts.iter().any(|text| text.contains(what));
    assert!(told("2 nodules, largest") && told("1 of 4 findings were rejected on review by Li Ming"), "{texts:?}");
    const EDITED: &str = "Nodule 3 edited by Li Ming: long axis 5.2 mm (was: ";
    let edited =
        |texts: &Value| texts.as_array().unwrap().iter().any(|text| text.as_str().unwrap().starts_with(EDITED));
    assert!(
        edited(&said["texts"]) && told("by callipers") && told("1 of 4 findings were edited on review"),
        "{texts:?}"
    );
    let listed = signed(&bench.appliance, &study_uid, &[]).await;
    let third = &listed["series"][0]["findings"][2];
    assert_eq!((&third["decision"], &third["edit"]["values"]["long_mm"]), (&"edited".into(), &"5.2".into()));
    validate(&report.file).await;
    // The archive is told that the version before does not count any more: once, and by name.
    deadline::until_true("the rejection note", WITHIN, || !notes(&pacs).is_empty()).await.unwrap();
    bench.settled().await;
    let mut rejected: Vec<String> = first.iter().map(|made| made.sop_uid.clone()).collect();
    rejected.sort();
    assert_eq!(read_note(&notes(&pacs)[0]).await, serde_json::json!(["113001", rejected]));
    let mut all = bench.records.results().unwrap();
    all.retain(|made| made.kind != "ko");
    assert_eq!(all.len(), 2 * first.len(), "a whole new set");
    let arrived: Vec<String> = pacs.received().into_iter().map(|one| one.sop_instance_uid).collect();
    assert!(all.iter().all(|made| arrived.contains(&made.sop_uid)), "the archive has both versions");

    // A second review names the first one.
    signed(&bench.appliance, &study_uid, &["--by", "Wang Fang", "--accept-rest"]).await;
    bench.settled().await;
    let (second, said) = bench.newest().await;
    assert_eq!(
        (&said["by"], &said["before"]),
        (&serde_json::json!(["Wang Fang"]), &serde_json::json!([report.sop_uid]))
    );
    assert!(said["texts"].as_array().unwrap().contains(&"Nodule 2".into()), "it is accepted now");
    assert!(edited(&said["texts"]), "who accepts what is shown keeps what was edited, under the name of whoever did");
    // What the first review has signed is wrong then: the archive would hold two signed reports that contradict each other.
    deadline::until_true("the second note", WITHIN, || notes(&pacs).len() == 2).await.unwrap();
    bench.settled().await;
    let own: Vec<&str> = first.iter().map(|made| made.sop_uid.as_str()).collect();
    let mut taken_back: Vec<String> =
        all.iter().map(|made| made.sop_uid.clone()).filter(|uid| !own.contains(&uid.as_str())).collect();
    taken_back.sort();
    let mut told = Vec::new();
    for note in notes(&pacs) {
        told.push(read_note(&note).await);
    }
    assert!(told.contains(&serde_json::json!(["113001", taken_back])), "{told:?}");

    // Signed, and before it is analysed another package is there.
    signed(&bench.appliance, &study_uid, &["--by", "Li Ming", "--accept-rest"]).await;
    bench.appliance.kill().await.unwrap();
    let manifest = packages.path().join("ct-chest/model.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let line = text.lines().find(|line| line.starts_with("version = ")).unwrap();
    std::fs::write(&manifest, text.replacen(line, "version = \"9.0.0\"", 1)).unwrap();
    bench.appliance.restart().await.unwrap();
    bench.settled().await;
    let (unsigned, said) = bench.newest().await;
    assert_ne!(unsigned.sop_uid, second.sop_uid);
    assert_eq!((&said["flag"], &said["by"]), (&"UNVERIFIED".into(), &serde_json::json!([])));
    let remark = "the review by Li Ming was not applied, because another model package is used now";
    assert!(said["texts"].as_array().unwrap().iter().any(|text| text.as_str().unwrap().contains(remark)), "{said}");
    let events = bench.records.events().unwrap();
    let happened =
        |what: &str| events.iter().filter(|(own, _)| own == what).map(|(_, detail)| detail.clone()).collect::<Vec<_>>();
    assert_eq!(happened("review not applied"), [remark]);
    assert_eq!(happened("signature lost").len(), 1, "that of Wang Fang");
    assert_eq!(notes(&pacs).len(), 2, "a version that nobody signed rejects nothing");
    bench.appliance.stop().await.unwrap();
}
