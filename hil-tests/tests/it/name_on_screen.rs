//! The patient's name on the scanner's screen is read right or said to be unreadable; another patient is never taken for the
//! right one.

use std::collections::{BTreeMap, BTreeSet};

use dicom::patient::Patient;
use hal::accel::AcceleratorConfig;
use hil_tests::appliance::{Appliance, Setup};
use hil_tests::browser::Browser;
use hil_tests::{deadline, tools};
use live::name::{self, Agreement, OnScreen};
use live::text::Reader;
use needs::Lack;
use phantom::ultrasound::layout::Name;
use scanside_client::Live;

use crate::live_support::{WITHIN, patient_on_screen, proxy, record, refused, said, watching};

#[derive(serde::Deserialize)]
struct Strip {
    file: String,
    width: usize,
    font: String,
    size: u32,
    blur: f32,
    contrast: u32,
    patient: String,
}

fn named(name: &str) -> Patient {
    Patient { id: "P1".into(), name: name.into(), ..Patient::default() }
}

/// Answers of one kind of strips: how many agreed, differed, were unclear.
#[derive(Default, Clone, Copy)]
struct Tally([usize; 3]);

impl Tally {
    fn add(&mut self, agreement: Agreement) {
        self.0[match agreement {
            Agreement::Agrees => 0,
            Agreement::Differs => 1,
            Agreement::Unclear(_) => 2,
        }] += 1;
    }
}

#[test]
fn a_name_on_the_screen_is_read_right_or_said_to_be_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    let script = tools::workspace().join("hil-tests/scripts/strips.py");
    let python = std::env::var("SCANSIDE_PYTHON").unwrap_or_else(|_| "python3".into());
    let drawn = std::process::Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    if !drawn.status.success() {
        needs::skip(Lack::Software, String::from_utf8_lossy(&drawn.stderr));
        return;
    }
    let strips: Vec<Strip> =
        serde_json::from_slice(&std::fs::read(folder.path().join("strips.json")).unwrap()).unwrap();
    assert!(strips.len() >= 200);
    assert!(strips.iter().map(|strip| &strip.font).collect::<BTreeSet<_>>().len() >= 5);
    let patients: BTreeSet<&str> = strips.iter().map(|strip| strip.patient.as_str()).collect();
    let config = AcceleratorConfig {
        provider: "cpu".into(),
        library: tools::onnxruntime(),
        threads: 1,
        ..AcceleratorConfig::default()
    };
    let mut reader = Reader::open(hal::accel::open(&config).unwrap().as_ref()).unwrap();
    let (mut own, mut others, mut of) = (Tally::default(), Tally::default(), BTreeMap::<String, Tally>::new());
    for strip in &strips {
        let grey = std::fs::read(folder.path().join(&strip.file)).unwrap();
        let screen = OnScreen { name: reader.read(&grey, strip.width).unwrap(), id: Vec::new() };
        let read: Vec<String> = screen.name.iter().map(live::text::Line::text).collect();
        let agreement = name::compare(&screen, &named(&strip.patient));
        own.add(agreement);
        for kind in [
            &strip.font,
            &format!("{} px", strip.size),
            &format!("blur {}", strip.blur),
            &format!("contrast {}", strip.contrast),
        ] {
            of.entry(kind.clone()).or_default().add(agreement);
        }
        if agreement == Agreement::Differs {
            println!(
                "differs from itself: {} is read as {read:?} ({}, {} px, blur {})",
                strip.patient, strip.font, strip.size, strip.blur
            );
        }
        for patient in patients.iter().filter(|patient| **patient != strip.patient) {
            let agreement = name::compare(&screen, &named(patient));
            others.add(agreement);
            assert_ne!(
                agreement,
                Agreement::Agrees,
                "{} on the screen, read as {read:?}, is not {patient}",
                strip.patient
            );
        }
    }
    for (kind, Tally([agrees, differs, unclear])) in &of {
        println!("{kind:28} agrees {agrees:3}, differs {differs:2}, unclear {unclear:3}");
    }
    println!("own patient: {:?} (agrees, differs, unclear); other patients: {:?}", own.0, others.0);
    assert!(own.0[0] * 10 >= strips.len() * 8, "eight of ten are read");
    assert!(own.0[1] * 100 <= strips.len(), "the right patient is refused once in a hundred at most");
    assert!(
        others.0[1] * 10 >= 8 * others.0.iter().sum::<usize>(),
        "eight of ten wrong patients are told apart, the others are unclear"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_an_exam_of_another_patient_than_the_one_on_the_screen_is_refused_unless_somebody_insists() {
    // The second layout is unclear (name among other words): docs/STATUS.md.
    let layout = Name::A;
    let folder = tempfile::tempdir().unwrap();
    let (video, _) = record(layout, folder.path());
    let [name, id] = patient_on_screen(layout);
    let (mut appliance, live) = watching(&video, "name_check = \"refuse\"").await;
    let on_screen = async || Live::read(&live).await.unwrap().exam.and_then(|exam| exam.on_screen);

    // Whoever is first on the screen: the box says so of an exam that runs.
    said(&appliance, &["live", "start", "--patient-id", &id, "--name", &name]).await;
    let agrees = async || (on_screen().await.as_deref() == Some("agrees")).then_some(());
    deadline::until("the screen to be read", WITHIN, agrees).await.unwrap();
    let status = said(&appliance, &["live", "status"]).await;
    assert!(status.contains("the scanner's screen shows this patient"), "{status}");
    said(&appliance, &["live", "stop"]).await;

    let other = ["live", "start", "--patient-id", "P2", "--name", "Roe^Jane"];
    let error = refused(&appliance, &other).await;
    assert!(
        error.contains("the scanner's screen shows another patient") && error.contains("--despite-screen"),
        "{error}"
    );
    assert!(!error.contains("PHANTOM"), "{error}");
    assert!(Live::read(&live).await.unwrap().exam.is_none());

    let begun = said(&appliance, &[&other[..], &["--despite-screen"]].concat()).await;
    assert!(begun.contains("shows another patient"), "{begun}");
    assert_eq!(on_screen().await.as_deref(), Some("differs"));
    let warned = || appliance.log_tail().contains("shows another patient");
    assert!(warned() && !appliance.log_tail().contains("PHANTOM^"), "{}", appliance.log_tail());
    said(&appliance, &["live", "stop"]).await;
    let listed = async || said(&appliance, &["studies", "list"]).await.contains("WRONG PATIENT?").then_some(());
    deadline::until("the verdict", WITHIN, listed).await.unwrap();
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_the_page_asks_whether_it_is_the_right_patient_and_shows_that_it_is_another() {
    let Some(mut browser) = Browser::start(1280, 800).await.unwrap() else {
        needs::skip(Lack::Software, "no chromium");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (video, _) = record(Name::A, folder.path());
    let extra = format!("[live]\ndevice = \"replay:{}\"\n", video.display());
    let mut appliance = Appliance::start(&Setup { extra, ..Setup::default() }).await.unwrap();
    let live = proxy(&appliance).await;
    let [name, id] = patient_on_screen(Name::A);
    browser.open(&appliance.page().unwrap()).await.unwrap();
    let fill = |id: &str, name: &str| {
        let (family, given) = name.split_once('^').unwrap();
        format!(
            "document.getElementById('exam').click();
             for (const [field, value] of [['id', '{id}'], ['family', '{family}'], ['given', '{given}']])
               document.querySelector(`[name=${{field}}]`).value = value;
             document.getElementById('exam-submit').click(); true"
        )
    };
    let said = |id: &str, words: &str| format!("document.getElementById('{id}').textContent.includes({words:?})");

    browser.wait("the page", WITHIN, "document.getElementById('sign').dataset.state === 'ready'").await.unwrap();
    browser.evaluate(&fill(&id, &name)).await.unwrap();
    browser.wait("the same patient", WITHIN, &said("screen", "Scanner: same patient")).await.unwrap();
    browser.screenshot(&tools::workspace().join("out/console/same-patient.png")).await.unwrap();
    live.stop_exam().await.unwrap();
    browser.wait("no exam", WITHIN, &said("exam-word", "Start exam")).await.unwrap();

    browser.evaluate(&fill("P2", "Roe^Jane")).await.unwrap();
    browser.wait("the question", WITHIN, &said("exam-error", "shows another patient")).await.unwrap();
    assert!(Live::read(&live).await.unwrap().exam.is_none());
    browser.screenshot(&tools::workspace().join("out/console/is-it-the-right-patient.png")).await.unwrap();
    let insist = "const box = document.querySelector('[name=insist]'); const seen = box.checkVisibility(); box.click();
                  document.getElementById('exam-submit').click(); seen";
    assert_eq!(browser.evaluate(insist).await.unwrap(), true, "whoever was told may insist");
    let bad =
        format!("{} && document.getElementById('screen').classList.contains('bad')", said("screen", "Another patient"));
    browser.wait("the warning", WITHIN, &bad).await.unwrap();
    browser.screenshot(&tools::workspace().join("out/console/another-patient.png")).await.unwrap();
    appliance.stop().await.unwrap();
}
