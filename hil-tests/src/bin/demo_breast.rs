//! `make demo-breast`: one woman from screening to the teaching file. Two mammographies a year apart are sent, marked and compared; she is
//! taken from the worklist for an ultrasound exam, whose lesion gets a recall; report, list and teaching file come of it. Prints what was planted beside what was found. Fails when a step has not happened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use hil_tests::appliance::{Appliance, Setup, fresh_folder};
use hil_tests::browser::Browser;
use hil_tests::deadline;
use hil_tests::demo::documents;
use hil_tests::demo::exam::{free_port, patient_on_screen, record, scansidectl};
use hil_tests::demo::terminal::Terminal;
use hil_tests::live::Audience;
use hil_tests::modality::Modality;
use hil_tests::pacs::Pacs;
use hil_tests::part10::Instance;
use phantom::mammography::dicom::{Intent, Wanted};
use phantom::mammography::lesion::{Kind, Lesion};
use phantom::mammography::vendor::Vendor;
use phantom::mammography::{Case, Options, Visit};
use phantom::visit::{Day, Script};
use serde_json::Value;

const WARM_UP: Duration = Duration::from_secs(60);
const PAGE_WITHIN: Duration = Duration::from_secs(30);
const SETTLED_WITHIN: Duration = Duration::from_secs(300);
const BY: &str = "Li Ming";
/// Enhanced SR: the breast imaging report.
const BREAST_REPORT: &str = "1.2.840.10008.5.1.4.1.1.88.22";

/// One woman from screening to the teaching file.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folder for pictures, documents and the teaching file. Emptied first.
    #[arg(long, default_value = "out/demo-breast")]
    out: PathBuf,
    /// Seed of the mammograms; 2000000 and above were never used for training.
    #[arg(long, default_value_t = 2_000_003)]
    seed: u64,
    /// Seed of the ultrasound video.
    #[arg(long, default_value_t = 2_000_001)]
    video_seed: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let terminal = Terminal::detect();
    fresh_folder(&arguments.out)?;
    let out = arguments.out.canonicalize()?;
    println!("{}", terminal.bold("Scanside breast demo"));

    let stage = terminal.stage("phantoms", "are scanned", 0);
    let [name, id] = patient_on_screen(arguments.video_seed);
    let video = out.join("scan.y4m");
    record(arguments.video_seed, 20, 1, &video)?;
    let (seed, of) = (arguments.seed, [name.clone(), id.clone()]);
    let (prior, now, planted) = tokio::task::spawn_blocking(move || mammographies(seed, &of)).await??;
    let side = format!("{:?}", planted.side).to_lowercase();
    stage.done(&format!("{name}: two mammographies with a mass in the {side} breast, 20 s of ultrasound video"));

    let stage = terminal.stage("box", "starts", 0);
    let port = free_port()?;
    let list = out.join("worklist.csv");
    std::fs::write(&list, format!("patient_id,patient_name,birth_date,accession_number\n{id},{name},19700101,US-1\n"))?;
    let extra = format!(
        "[live]\ndevice = \"replay:{}\"\nworklist = {:?}\n[console]\naddress = \"127.0.0.1:{port}\"\n\
         [series]\nquiet_secs = 1.0\n[study]\nquiet_secs = 0.5\n[analyze]\nmg_marks = \"phantoms\"\n",
        video.display(),
        list.display().to_string(),
    );
    let archive = Pacs::start("ARCHIVE", &out.join("results")).await?;
    let destinations = vec![("archive".into(), archive.ae_title.clone(), archive.address)];
    let appliance = Appliance::start(&Setup { extra, destinations, ..Setup::default() }).await?;
    Audience::join(port).await?.wait_for_sign("ready", WARM_UP).await?;
    stage.done(&format!("page at http://127.0.0.1:{port}"));
    let mut demo = Demo { appliance, browser: Browser::start(1400, 900).await?, port, out };

    let stage = terminal.stage("mammograms", "are read", 0);
    let scanner = Modality::new(demo.appliance.address, "MG1", Appliance::AE_TITLE);
    for study in [&prior, &now] {
        ensure!(scanner.send(study, |_, _| ()).await?.acknowledged() == study.len(), "the box refused a mammogram");
    }
    let study = demo.read_mammographies().await?;
    demo.shot_of_hanging(&study).await?;
    stage.done(&marks(&study));

    let stage = terminal.stage("exam", "runs", 0);
    demo.ctl(&["live", "start", "--accession", "US-1"])?;
    demo.ctl(&["live", "side", &side])?;
    let mut audience = Audience::join(port).await?;
    let lesion = seen_on_the_picture(&mut audience).await?;
    demo.ctl(&["live", "place", &lesion, "--clock", "10", "--distance", "40"])?;
    demo.shot("", "exam.png", "document.querySelectorAll('#overlay polygon.outline').length > 0").await?;
    audience.listen(Duration::from_secs(8)).await?;
    demo.ctl(&["live", "stop"])?;
    let report = || archive.received().iter().any(|one| one.sop_class_uid == BREAST_REPORT);
    deadline::until_true("the breast imaging report at the archive", SETTLED_WITHIN, report).await?;
    stage.done("report, clips, key images and segmentation are at the archive");

    let stage = terminal.stage("lesion", "is listed", 0);
    let number = demo.of_exam()?;
    demo.ctl(&[
        "recalls",
        "set",
        &number,
        "--in",
        "6m",
        "--modality",
        "us",
        "--why",
        "seen in ultrasound",
        "--by",
        BY,
    ])?;
    let shown: Value = demo.json(&["lesions", "show", &number])?;
    demo.shot("recalls", "recalls.png", "document.querySelectorAll('#rows tr').length > 0").await?;
    stage.done(&format!("lesion {number}: recall on {}", shown["recalls"][0]["due"].as_str().unwrap_or("?")));

    let stage = terminal.stage("teaching", "file is made", 0);
    let uid = study["study_uid"].as_str().context("no study")?.to_owned();
    let to = demo.out.join("teaching").display().to_string();
    let title = ["--title", "A mass in two views", "--author", BY, "--level", "primary", "--category", "breast"];
    // The phantom's family name, which its pictures may say.
    demo.ctl(&[&["teaching", &uid, "--to", &to, "--allow", "PHANTOM"], title.as_slice()].concat())?;
    stage.done("names nobody; it was searched for every name, number, date and UID of its source");

    let documents = documents::write(&archive.received(), &demo.out)?;
    terminal.heading("Planted and found");
    terminal.table(&["", "planted", "found"], &rows(&planted, &study, &shown));
    println!(
        "\n  The mass on the mammograms and the one in the video are two phantoms, and the box keeps what a simulated device showed apart."
    );
    println!("  {} documents; all files are in {}", documents.len(), arguments.out.display());
    demo.appliance.stop().await?;
    Ok(())
}

/// What the verdict of a mammography says first of its marks: how many there are, and the surest.
fn marks(study: &Value) -> String {
    let said = study["verdicts"][0].as_str().unwrap_or_default();
    let parts: Vec<&str> = said.split("; ").skip_while(|part| !part.contains(" marks in ")).collect();
    let surest = parts.iter().find(|part| part.contains("score"));
    parts.first().into_iter().chain(surest).copied().collect::<Vec<_>>().join("; ")
}

/// What was planted beside what the box says of it.
fn rows(planted: &Lesion, study: &Value, lesion: &Value) -> Vec<Vec<String>> {
    let longest = planted.half_mm.iter().fold(0.0f32, |most, half| most.max(2.0 * half));
    let sightings = lesion["sightings"].as_array().map_or(&[][..], Vec::as_slice);
    let seen = sightings.iter().map(|one| {
        let what =
            format!("{} {}", one["method"]["modality"].as_str().unwrap_or("?"), one["date"].as_str().unwrap_or("?"));
        let size = one["axes_mm"][0].as_f64().map_or_else(|| "?".to_owned(), |mm| format!("{mm:.1} mm"));
        vec![what, String::new(), size]
    });
    let first = vec!["mammogram".to_owned(), format!("{:?} mass, {longest:.0} mm", planted.side), marks(study)];
    std::iter::once(first).chain(seen).collect()
}

/// The same woman a year before and now, as the scanner of the demo's patient would send her.
fn mammographies(seed: u64, patient: &[String; 2]) -> Result<(Vec<Instance>, Vec<Instance>, Lesion)> {
    let case = |visit| {
        let options = Options {
            pixel_mm: Some(0.2),
            vendor: Some(Vendor::Hologic),
            implants: Some(false),
            lesions: Some(1),
            kind: Some(Kind::Mass),
            visit,
            ..Options::default()
        };
        Case::new(seed, &options)
    };
    let sent = |case: &Case, day: Day| -> Result<Vec<Instance>> {
        let script = Some(Script::Latin);
        let wanted = Wanted { intents: vec![Intent::Presentation], script, day, magnification: false };
        let (study, _) = phantom::mammography::dicom::study(case, &wanted)?;
        study.instances.iter().map(|one| of_patient(&one.part10, patient)).collect()
    };
    let (then, now) = (case(Visit::Prior), case(Visit::Current));
    let planted = now.lesions.first().cloned().context("the phantom has no lesion")?;
    Ok((sent(&then, "2025-01-10".parse()?)?, sent(&now, Day::default())?, planted))
}

fn of_patient(part10: &[u8], [name, id]: &[String; 2]) -> Result<Instance> {
    let mut object = dicom_object::from_reader(part10)?;
    let facts: [(Tag, VR, &str); 3] = [
        (tags::PATIENT_NAME, VR::PN, name),
        (tags::PATIENT_ID, VR::LO, id),
        (tags::PATIENT_BIRTH_DATE, VR::DA, "19700101"),
    ];
    for (tag, vr, value) in facts {
        object.put(DataElement::new(tag, vr, value));
    }
    let mut bytes = Vec::new();
    object.write_all(&mut bytes)?;
    Instance::from_part10(&bytes)
}

/// The number of the first lesion that is outlined.
async fn seen_on_the_picture(audience: &mut Audience) -> Result<String> {
    for _ in 0..60 {
        let lesions = audience.overlays.iter().rev().filter_map(|overlay| overlay["lesions"].as_array());
        if let Some(id) = lesions.flatten().find_map(|lesion| lesion["id"].as_u64()) {
            return Ok(id.to_string());
        }
        audience.listen(Duration::from_millis(500)).await?;
    }
    anyhow::bail!("no lesion was outlined in 30 s of ultrasound")
}

struct Demo {
    appliance: Appliance,
    browser: Option<Browser>,
    port: u16,
    out: PathBuf,
}

impl Demo {
    fn ctl(&self, arguments: &[&str]) -> Result<String> {
        scansidectl(&self.appliance, arguments)
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.ctl(&[&["--json"], arguments].concat())?)?)
    }

    /// The newer of both mammographies, when both have their verdicts.
    async fn read_mammographies(&self) -> Result<Value> {
        let both = || async {
            let listed = self.json(&["studies", "list"]).ok()?;
            let all = listed.as_array()?.clone();
            let done = all.iter().filter(|one| one["state"] == "processed").count();
            (done >= 2).then_some(all)
        };
        let mut studies = deadline::until("the verdicts of both mammographies", SETTLED_WITHIN, both).await?;
        studies.sort_by_key(|one| one["study_date"].as_str().unwrap_or_default().to_owned());
        studies.pop().context("no study")
    }

    /// The number of the lesion that the exam has seen. It is not made one with the mark in the mammogram: the box does not mix what a simulated
    /// device showed with what a scanner sent.
    fn of_exam(&self) -> Result<String> {
        let listing = self.json(&["lesions", "list"])?;
        for lesion in listing["lesions"].as_array().into_iter().flatten() {
            let shown = self.json(&["lesions", "show", &lesion["id"].to_string()])?;
            let mut sightings = shown["sightings"].as_array().into_iter().flatten();
            if sightings.any(|one| one["method"]["modality"] == "US") {
                return Ok(lesion["id"].to_string());
            }
        }
        anyhow::bail!("no lesion of the exam: {listing:#}")
    }

    async fn shot_of_hanging(&mut self, study: &Value) -> Result<()> {
        let uid = study["study_uid"].as_str().unwrap_or_default().to_owned();
        let complete = "document.getElementById('hang')?.dataset.complete === 'true'";
        self.shot(&format!("studies#study={uid}"), "mammograms.png", complete).await?;
        let Some(browser) = &mut self.browser else { return Ok(()) };
        browser.press("b").await?;
        let beside = format!("{complete} && document.querySelectorAll('.cell:not([hidden])').length === 8");
        browser.wait("the earlier mammograms", PAGE_WITHIN, &beside).await?;
        browser.screenshot(&self.out.join("mammograms-prior.png")).await?;
        Ok(())
    }

    /// A picture of a page, where there is a browser.
    async fn shot(&mut self, page: &str, file: &str, ready: &str) -> Result<()> {
        let Some(browser) = &mut self.browser else { return Ok(()) };
        browser.open(&format!("http://127.0.0.1:{}/{page}", self.port)).await?;
        browser.wait(file, PAGE_WITHIN, ready).await?;
        browser.screenshot(&self.out.join(Path::new(file))).await?;
        Ok(())
    }
}
