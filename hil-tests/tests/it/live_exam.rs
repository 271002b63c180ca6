//! The live path as installers and users use it: a profile is learnt from the phantom's screens, the patient is taken
//! from the worklist, an exam begins automatically. With `scansidectl` over a private bus and a separate daemon.

use std::path::Path;
use std::process::Command;

use hil_tests::{deadline, tools};
use live::screen::profile::{Area, Profile, Profiles};
use needs::Lack;
use phantom::ultrasound::layout::Name;
use scanside_client::{Exam, Live, LiveProxy};

use crate::live_support::{WITHIN, record, record_wide, refused, said, watching};

/// Intersection over union.
fn overlap(a: Area, b: Area) -> f64 {
    let ([a_right, a_bottom], [b_right, b_bottom]) = (a.end(), b.end());
    let width = a_right.min(b_right).saturating_sub(a.x.max(b.x));
    let height = a_bottom.min(b_bottom).saturating_sub(a.y.max(b.y));
    let both = width * height;
    both as f64 / (a.width * a.height + b.width * b.height - both) as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_a_profile_that_is_learnt_from_the_phantoms_screens_is_the_shipped_one() {
    for layout in [Name::A, Name::B] {
        let folder = tempfile::tempdir().unwrap();
        let (video, planted) = record_wide(layout, folder.path());
        let (mut appliance, live) = watching(&video, "").await;
        let out = folder.path().join("learnt.toml");
        let learn = ["live", "profile", "learn", "--seconds", "6"];
        let asked = [&["--json"], &learn[..], &["--name", "own", "--out", out.to_str().unwrap()]].concat();
        let said: serde_json::Value = serde_json::from_str(&said(&appliance, &asked).await).unwrap();
        let learnt = Profile::parse(&std::fs::read_to_string(&out).unwrap()).unwrap();
        assert_eq!((learnt.name.as_str(), learnt.freeze_icon), ("own", None));

        let profiles = Profiles::load("auto").unwrap();
        let shipped = profiles.choose(learnt.screen).unwrap();
        let sector = overlap(learnt.sector, shipped.sector);
        let read = said["summary"]["mm_per_pixel"].as_f64().unwrap();
        println!("{}: sector {sector:.3} alike, {read:.5} mm a pixel of {planted:.5}, {said}", shipped.name);
        assert!(sector >= 0.8, "{:?} {:?}", learnt.sector, shipped.sector);
        assert!((read / planted - 1.0).abs() < 0.03, "{read} {planted}");
        assert_eq!(said["toml"].as_str().unwrap(), std::fs::read_to_string(&out).unwrap());

        let again = refused(&appliance, &asked[1..]).await;
        assert!(again.contains("is there already\nremedy: "), "{again}");
        live.freeze(true).await.unwrap();
        let frozen = refused(&appliance, &learn).await;
        assert!(frozen.contains("let it go on"), "{frozen}");
        appliance.stop().await.unwrap();
    }
}

/// A worklist item, made from text by `dump2dcm`, as sites that use wlmscpfs make them.
fn order(folder: &Path, id: &str, name: &str, number: &str, study: &str) {
    let text = format!(
        "(0008,0005) CS [ISO_IR 192]\n(0008,0050) SH [{number}]\n(0010,0010) PN [{name}]\n(0010,0020) LO [{id}]\n\
         (0010,0030) DA [19700131]\n(0020,000d) UI [{study}]\n(0040,0100) SQ\n(fffe,e000) -\n(0008,0060) CS [US]\n\
         (0040,0001) AE [SCANSIDE]\n(0040,0002) DA [20260131]\n(0040,0003) TM [093000]\n(fffe,e00d) -\n(fffe,e0dd) -\n"
    );
    let (dump, item) = (folder.join(format!("{number}.dump")), folder.join(format!("{number}.wl")));
    std::fs::write(&dump, text).unwrap();
    let made = Command::new("dump2dcm").arg(&dump).arg(&item).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

async fn exam(live: &LiveProxy<'_>) -> Option<Exam> {
    Live::read(live).await.unwrap().exam
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_an_exam_begins_of_itself_and_its_patient_comes_from_the_worklist() {
    if tools::command("dump2dcm").is_err() {
        needs::skip(Lack::Software, "dump2dcm (DCMTK) not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let worklist = folder.path().join("worklist");
    std::fs::create_dir(&worklist).unwrap();
    order(&worklist, "P1", "Wang^XiaoDong=王^小东", "A-1", "1.2.840.99.1");
    order(&worklist, "P2", "Doe^Jane", "A-2", "1.2.840.99.2");
    std::fs::write(worklist.join("broken.wl"), b"no DICOM").unwrap();
    let (video, _) = record(Name::B, folder.path());
    let more = format!("worklist = {:?}\nauto_start = true", worklist.display().to_string());
    let (mut appliance, live) = watching(&video, &more).await;

    let begun = deadline::until("an exam that begins automatically", WITHIN, async || exam(&live).await).await.unwrap();
    assert!(begun.patient.id.starts_with("UNIDENTIFIED-"), "{begun:?}");
    assert_eq!(begun.patient.name, "UNIDENTIFIED^EXAM");
    let listed = said(&appliance, &["live", "worklist"]).await;
    for word in ["2026-01-31 09:30", "A-1", "P1", "王^小东", "1970-01-31", "US", "Doe^Jane"] {
        assert!(listed.contains(word), "{word}: {listed}");
    }
    let (entries, skipped) = live.worklist().await.unwrap();
    assert_eq!((entries.len(), entries[1].study_uid.as_str()), (2, "1.2.840.99.1"));
    assert_eq!(skipped, ["1: no DICOM files"]);

    // An exam can be given to a patient once; a second patient is refused.
    let other = refused(&appliance, &["live", "start", "--accession", "A-1", "--patient-id", "P2"]).await;
    assert!(other.contains("another patient ID"), "{other}");
    let typed = ["live", "start", "--patient-id", "P2", "--name", "Roe^Jane"];
    assert!(refused(&appliance, &typed).await.contains("another name"));
    let unknown = refused(&appliance, &["live", "start", "--accession", "A-7"]).await;
    assert!(unknown.contains("no order"), "{unknown}");
    said(&appliance, &["live", "start", "--accession", "A-1"]).await;
    let bound = exam(&live).await.unwrap();
    assert_eq!((bound.patient.id.as_str(), bound.patient.name.as_str()), ("P1", "Wang^XiaoDong=王^小东"));
    assert_eq!((&bound.study_uid, &bound.started_utc), (&begun.study_uid, &begun.started_utc), "the same exam");
    let second = refused(&appliance, &["live", "start", "--accession", "A-2"]).await;
    assert!(second.contains("another patient"), "{second}");

    // An exam that is started by hand gets the study UID of the worklist.
    said(&appliance, &["live", "stop"]).await;
    said(&appliance, &["live", "start", "--accession", "A-2"]).await;
    let chosen = exam(&live).await.unwrap();
    assert_eq!((chosen.patient.id.as_str(), chosen.study_uid.as_str()), ("P2", "1.2.840.99.2"));
    assert_eq!(chosen.patient.accession_number.as_deref(), Some("A-2"));
    appliance.stop().await.unwrap();
}
