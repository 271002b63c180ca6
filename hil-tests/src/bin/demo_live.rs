//! `make demo-live`: the box analyses a video of a breast phantom and shows it on the live page; clips and report of
//! the exam are sent to an archive. Prints the planted lesions with what was found, and the latency of every stage.
//! Fails when a planted lesion is missed, a picture is lost or the report does not arrive.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use hil_tests::appliance::{Appliance, Setup, fresh_folder};
use hil_tests::browser::Browser;
use hil_tests::deadline;
use hil_tests::demo::exam::{free_port, patient_on_screen, record, scansidectl};
use hil_tests::demo::terminal::Terminal;
use hil_tests::live::figures::{Beside, LOOK_EVERY, Memory, beside};
use hil_tests::live::{Audience, Planted, found};
use hil_tests::modality::Modality;
use hil_tests::pacs::{Pacs, Received};
use hil_tests::part10::Folder;
use hil_tests::watch::Watch;
use phantom::{Options, Phantom};
use tokio::sync::watch;

/// Longest time until the live path is ready: the model is loaded first.
const WARM_UP: Duration = Duration::from_secs(60);
const PAGE_WITHIN: Duration = Duration::from_secs(15);
/// Longest time to read one chest CT while the live path runs.
const READ_WITHIN: Duration = Duration::from_secs(600);
const DELIVERED_WITHIN: Duration = Duration::from_secs(120);
const REPORT: &str = "1.2.840.10008.5.1.4.1.1.88.34";

/// Runs an ultrasound exam of a breast phantom through the box.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folder for pictures, truth and figures. Emptied first.
    #[arg(long, default_value = "out/demo-live")]
    out: PathBuf,
    /// Seed of the phantom; 2000000 and above were never used for training.
    #[arg(long, default_value_t = 2_000_001)]
    seed: u64,
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Number of lesions in the phantom.
    #[arg(long, default_value_t = 3)]
    lesions: u32,
    /// Seconds to watch; the video starts again when it ends. Without it the video is watched once.
    #[arg(long)]
    minutes: Option<f64>,
    /// Let the box analyse chest CTs at the same time.
    #[arg(long)]
    load: bool,
    /// What the models run on: cpu, cuda or tensorrt.
    #[arg(long, default_value = "cpu")]
    accelerator: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let terminal = Terminal::detect();
    fresh_folder(&arguments.out)?;
    let out = arguments.out.canonicalize()?;
    println!("{}", terminal.bold("Scanside live demo"));

    let stage = terminal.stage("phantom", "is scanned", 0);
    let video = out.join("scan.y4m");
    record(arguments.seed, arguments.seconds, arguments.lesions, &video)?;
    let truth: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("scan.json"))?)?;
    let planted = truth["lesions"].as_array().map_or(0, Vec::len);
    stage.done(&format!("{} s of video of 1280x720 at 30 a second, {planted} lesions", arguments.seconds));

    let stage = terminal.stage("box", "starts", 0);
    let port = free_port()?;
    let extra = format!(
        "[live]\ndevice = \"replay:{}\"\n[console]\naddress = \"127.0.0.1:{port}\"\n[accelerator]\nprovider = {:?}\n",
        video.display(),
        arguments.accelerator
    );
    let archive = Pacs::start("ARCHIVE", &out.join("results")).await?;
    let destinations = vec![("archive".into(), archive.ae_title.clone(), archive.address)];
    let appliance = Appliance::start(&Setup { extra, destinations, ..Setup::default() }).await?;
    let mut audience = Audience::join(port).await?;
    audience.wait_for_sign("ready", WARM_UP).await?;
    stage.done(&format!("page at http://127.0.0.1:{port}"));

    let stage = terminal.stage("exam", "runs", 0);
    let [name, id] = patient_on_screen(arguments.seed);
    scansidectl(&appliance, &["live", "start", "--patient-id", &id, "--name", &name])?;
    let mut browser = Browser::start(1280, 900).await?;
    if let Some(browser) = &mut browser {
        browser.open(&format!("http://127.0.0.1:{port}/")).await?;
    }
    let load = if arguments.load { Some(Load::start(&appliance, &out).await?) } else { None };
    audience.forget();
    let seconds = arguments.minutes.map_or_else(|| f64::from(arguments.seconds), |minutes| 60.0 * minutes);
    let half = Duration::from_secs_f64(seconds / 2.0);
    let mut memory = Memory::default();
    listen(&mut audience, half, &appliance, &mut memory).await?;
    if let Some(browser) = &mut browser {
        let outlined = "document.querySelectorAll('#overlay polygon.outline').length > 0";
        let listening = audience.listen(PAGE_WITHIN);
        let seen = tokio::select! {
            seen = browser.wait("an outlined lesion", PAGE_WITHIN, outlined) => seen.is_ok(),
            _ = listening => false,
        };
        browser.screenshot(&out.join("page.png")).await?;
        if !seen {
            println!("  no lesion was outlined on the page while it was watched");
        }
    }
    listen(&mut audience, half + Duration::from_secs(2), &appliance, &mut memory).await?;
    let read = match load {
        Some(load) => format!(", {} chest CTs analysed meanwhile", load.end().await?),
        None => String::new(),
    };
    let stats = audience.stats.clone();
    scansidectl(&appliance, &["live", "stop"])?;
    let page = if browser.is_some() { ", page.png" } else { " (no Chromium: no picture of the page)" };
    stage.done(&format!("{} overlays heard{read}{page}", audience.overlays.len()));

    let stage = terminal.stage("results", "sending to the archive", 0);
    let mine = || archive.received().iter().any(is_exam_report);
    deadline::until_true("the exam's report at the archive", DELIVERED_WITHIN, mine).await?;
    stage.done(&delivered(&archive.received()));

    let lesions = found(&truth, &audience.overlays)?;
    terminal.heading("Planted lesions and what was found");
    let rows: Vec<Vec<String>> = lesions.planted.iter().map(Planted::row).collect();
    terminal.table(&["lesion", "planted", "found", "after s", "score", "planted mm", "found mm"], &rows);
    println!("  {} outlines that are on no planted lesion", lesions.false_alarms);

    terminal.heading("Latency, ms");
    let stages: Vec<Vec<String>> = stats["stages"].as_array().into_iter().flatten().filter_map(stage_row).collect();
    terminal.table(&["stage", "count", "median", "99 %", "99.9 %", "most"], &stages);
    println!("  {} pictures, {} lost, {} analysed by the model", stats["pictures"], stats["lost"], stats["inferred"]);
    let ratios = beside(&stats);
    terminal.table(&["", "ms", "beside, ms", "ratio"], &ratios.iter().map(Beside::row).collect::<Vec<_>>());
    let quarters = memory.quarters();
    println!(
        "  largest memory of the box in each quarter of the exam: {} MB",
        quarters.map(|mb| mb.to_string()).join(", ")
    );
    let figures = serde_json::json!({
        "lesions": lesions, "stats": stats, "beside": ratios, "memory_mb_by_quarter": quarters, "load": arguments.load,
    });
    std::fs::write(out.join("figures.json"), serde_json::to_string_pretty(&figures)?)?;
    println!("\n  all files are in {}", arguments.out.display());

    let missed = lesions.planted.iter().filter(|p| p.expected && !p.found).count();
    ensure!(missed == 0, "{missed} planted lesions were missed");
    ensure!(stats["lost"] == 0, "{} pictures were lost", stats["lost"]);
    Ok(())
}

/// Whether it is the report of the exam, and not that of a CT.
fn is_exam_report(one: &Received) -> bool {
    let says = |word: &[u8]| std::fs::read(&one.path).is_ok_and(|bytes| bytes.windows(word.len()).any(|w| w == word));
    one.sop_class_uid == REPORT && says(b"Breast")
}

fn delivered(received: &[Received]) -> String {
    let of =
        |kind: &str| received.iter().filter(|one| one.path.to_string_lossy().ends_with(&format!("{kind}.dcm"))).count();
    format!(
        "{} clips, {} key images, {} segmentations, {} reports in results",
        of("-clip"),
        of("-key"),
        of("-seg"),
        of("-sr")
    )
}

/// Receives from the page's connection and measures the memory of the box from time to time.
async fn listen(audience: &mut Audience, time: Duration, box_: &Appliance, memory: &mut Memory) -> Result<()> {
    let mut left = time;
    while left > Duration::ZERO {
        memory.note(box_.resident_bytes()?);
        let span = left.min(LOOK_EVERY);
        audience.listen(span).await?;
        left -= span;
    }
    Ok(())
}

/// One chest CT, sent once and analysed again and again.
struct Load {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<Result<usize>>,
}

impl Load {
    async fn start(appliance: &Appliance, out: &Path) -> Result<Self> {
        let folder = out.join("ct");
        let (study, _) = Phantom::chest(2_000_001, &Options::everything())?;
        study.write_to(&folder)?;
        let instances = Folder::scan(&folder)?.instances;
        let sent = Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(&instances, |_, _| {}).await?;
        ensure!(sent.acknowledged() == instances.len(), "the box refused {} of the CT's slices", sent.refused());
        let manager = appliance.manager().await?;
        let mut watch = Watch::new(manager.clone()).await?;
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut read = 0;
            loop {
                let outcome = tokio::select! {
                    _ = stopped.changed() => return Ok(read),
                    outcome = watch.until_settled(READ_WITHIN, |_| {}) => outcome?,
                };
                read += 1;
                let series = outcome.series.first().context("no series")?;
                manager.rerun(&series.study_uid, scanside_client::Options::new()).await?;
            }
        });
        Ok(Self { stop, task })
    }

    async fn end(self) -> Result<usize> {
        self.stop.send_replace(true);
        self.task.await?
    }
}

fn stage_row(stage: &serde_json::Value) -> Option<Vec<String>> {
    let latency = &stage[1];
    let number = |key: &str| latency[key].as_f64().map(|ms| format!("{ms:.2}"));
    let count = latency["count"].as_u64()?.to_string();
    Some(vec![stage[0].as_str()?.to_owned(), count, number("p50")?, number("p99")?, number("p999")?, number("max")?])
}
