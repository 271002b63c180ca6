//! `make demo`: a scanner sends a chest CT, the box analyses it, the results arrive at an archive. Only the patient and
//! the two peers are simulated; the DICOM associations, the `scansided` process and D-Bus are real. The exit code is 1
//! when a planted nodule of 6 mm or more was missed or a stage failed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use hil_tests::appliance::{Appliance, Setup, fresh_folder};
use hil_tests::compare::{Evaluated, Findings};
use hil_tests::demo::terminal::Terminal;
use hil_tests::demo::{documents, nine, pictures, report};
use hil_tests::evaluation::read::Planted;
use hil_tests::modality::Modality;
use hil_tests::pacs::{Pacs, Received};
use hil_tests::part10::{Folder, Instance};
use hil_tests::watch::{Heard, Outcome, Watch};
use phantom::{Options, Phantom, Truth};
use scanside_client::Job;

/// Sends a CT study to a box, shows how it is analysed, and collects the DICOM results.
#[derive(Debug, Parser)]
struct Arguments {
    /// Your own DICOM files (one file or a folder; other files in it are ignored) instead of a phantom.
    #[arg(long)]
    study: Option<PathBuf>,
    /// Folder for results and pictures. Emptied first.
    #[arg(long, default_value = "out/demo")]
    out: PathBuf,
    /// Seed of the phantom.
    #[arg(long, default_value_t = 2026)]
    seed: u64,
    /// Number of nodules in the phantom.
    #[arg(long, default_value_t = 4)]
    nodules: usize,
    /// Give up after this many seconds.
    #[arg(long, default_value_t = 1800)]
    within: u64,
    /// Keep the box's spool and database in `OUT/box`.
    #[arg(long)]
    keep: bool,
}

/// What is sent, and the truth about it when it is a phantom.
struct Input {
    instances: Vec<Instance>,
    truth: Option<Truth>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let terminal = Terminal::detect();
    match run(&arguments, terminal).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("\n{} {error:#}", terminal.bad("demo failed:"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, terminal: Terminal) -> Result<bool> {
    println!("{}", terminal.bold("Scanside demo"));
    println!("{}\n", terminal.dim("research and engineering use, not for diagnosis"));
    is_ours(&arguments.out)?;
    if let Some(study) = &arguments.study {
        let lies_in =
            arguments.out.canonicalize().is_ok_and(|out| study.canonicalize().is_ok_and(|s| s.starts_with(out)));
        ensure!(
            !lies_in,
            "{} lies in {}, which is emptied: move it elsewhere",
            study.display(),
            arguments.out.display()
        );
    }
    fresh_folder(&arguments.out)?;
    let out = arguments.out.canonicalize()?;
    let input = match &arguments.study {
        Some(path) => from_folder(terminal, path)?,
        None => from_phantom(terminal, arguments.seed, arguments.nodules).await?,
    };

    let pacs = Pacs::start("PACS", &out.join("results")).await?;
    let mut appliance = start_box(terminal, &out, &pacs).await?;
    let result = story(arguments, terminal, &out, &input, &pacs, &appliance).await;
    let stopped = appliance.stop().await;
    let log = out.join("scansided.log");
    std::fs::copy(appliance.log_file(), &log)?;
    if !arguments.keep {
        std::fs::remove_dir_all(appliance.folder())?;
    }
    let good = result.with_context(|| format!("see {}", log.display()))?;
    stopped?;
    println!();
    let nodules = if input.truth.is_some() { " and every planted nodule of 6 mm or more was found" } else { "" };
    let success = format!("The demo succeeded: every stage ran{nodules}.");
    println!("{}", if good { terminal.good(&success) } else { terminal.bad("The demo failed.") });
    Ok(good)
}

/// Refuses to empty a folder that holds anything but what a demo writes.
fn is_ours(out: &Path) -> Result<()> {
    const OURS: [&str; 4] = ["box", "results", "pictures", "scansided.log"];
    if !out.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(out).with_context(|| out.display().to_string())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(
            OURS.contains(&name.as_str()) || (name.starts_with("report-") && name.ends_with(".pdf")),
            "{} holds {name}, which no demo has written, and would be emptied: name another folder",
            out.display()
        );
    }
    Ok(())
}

/// Runs the demo. False: a nodule that had to be found was missed, or a job was parked.
async fn story(
    arguments: &Arguments,
    terminal: Terminal,
    out: &Path,
    input: &Input,
    pacs: &Pacs,
    appliance: &Appliance,
) -> Result<bool> {
    let mut watch = Watch::new(appliance.manager().await?).await?;
    let (sending, last_slice) = send(terminal, appliance, &input.instances).await?;
    let within = Duration::from_secs(arguments.within);
    let outcome = analyse(terminal, &mut watch, within).await?;
    let received = pacs.received();
    arrived(terminal, &outcome, &received)?;
    let mut written = draw(&received, &out.join("pictures"))?;
    written.extend(documents::write(&received, out)?);

    report::verdicts(terminal, &outcome.series);
    let findings = report::findings(&outcome.jobs)?;
    let good = show_findings(terminal, input, &findings);
    if let (Some(truth), Some(nine)) = (&input.truth, report::findings(&outcome.jobs)?.first())
        && !nine::table(terminal, &Planted::of(truth)?, nine)
    {
        let card = "What is missed or too many is what the package can do at present: models/packages/ct-chest/CARD.md";
        println!("  {}", terminal.dim(card));
    }
    let answered = received.last().map_or(last_slice, |object| object.at);
    let outside = [
        ("sending (scanner to acknowledgement)", sending),
        ("last slice to last result at the archive", answered.saturating_duration_since(last_slice)),
    ];
    report::times(terminal, &outcome.jobs, &outside);

    terminal.heading("Files");
    println!("  DICOM results  {}", relative(&out.join("results")));
    for picture in written {
        let what = if picture.extension().is_some_and(|e| e == "pdf") { "document" } else { "picture" };
        println!("  {what:<14} {}", relative(&picture));
    }
    for job in outcome.parked() {
        println!("  {} {}", terminal.bad("job parked:"), job.reason.as_deref().unwrap_or_default());
    }
    Ok(good && outcome.parked().next().is_none())
}

async fn from_phantom(terminal: Terminal, seed: u64, nodules: usize) -> Result<Input> {
    let options = Options { nodules: Some(nodules), ..Options::everything() };
    let stage = terminal.stage("phantom", "making a chest CT with nine findings", 0);
    let about = format!("{} slices of {}x{}, {} mm", options.slices, options.columns, options.rows, options.slice_mm);
    let (study, truth) = tokio::task::spawn_blocking(move || Phantom::chest(seed, &options)).await??;
    let instances: Result<Vec<_>> = study.instances.iter().map(|i| Instance::from_part10(&i.part10)).collect();
    let sizes: Vec<_> = truth.nodules.iter().map(|n| format!("{:.1}", n.diameter_mm)).collect();
    stage.done(&format!("{about}, and a localiser; all nine findings planted, nodules of {} mm", sizes.join(", ")));
    Ok(Input { instances: instances?, truth: Some(truth) })
}

fn from_folder(terminal: Terminal, path: &Path) -> Result<Input> {
    let stage = terminal.stage("study", "reading the files", 0);
    let folder = Folder::scan(path)?;
    ensure!(!folder.instances.is_empty(), "no DICOM file in {}", path.display());
    stage.done(&format!("{} DICOM files; {} other files ignored", folder.instances.len(), folder.ignored.len()));
    Ok(Input { instances: folder.instances, truth: None })
}

async fn start_box(terminal: Terminal, out: &Path, pacs: &Pacs) -> Result<Appliance> {
    let stage = terminal.stage("scansided", "starts", 0);
    let setup = Setup {
        destinations: vec![("pacs".into(), pacs.ae_title.clone(), pacs.address)],
        folder: Some(out.join("box")),
        ..Setup::default()
    };
    let appliance = Appliance::start(&setup).await?;
    let manager = appliance.manager().await?;
    let facts = format!("listens on {}, {}", appliance.address, manager.accelerator().await?);
    stage.done(&facts);
    Ok(appliance)
}

/// Returns how long it took and when the last answer came.
async fn send(terminal: Terminal, appliance: &Appliance, instances: &[Instance]) -> Result<(Duration, Instant)> {
    let count = instances.len() as u64;
    let stage = terminal.stage("sending", "", count);
    let modality = Modality::new(appliance.address, "SIMULATED_CT", Appliance::AE_TITLE);
    let mut answered = 0;
    let mut refusals = std::collections::BTreeMap::new();
    let sent = modality
        .send(instances, |_, status| {
            answered += 1;
            stage.set(answered, format!("{answered} of {count}"));
            if status != 0 {
                *refusals.entry(status).or_insert(0) += 1;
            }
        })
        .await
        .context("sending")?;
    let last = Instant::now();
    let mut text = format!(
        "{} instances acknowledged, each durable; {:.0} MB at {:.0} MB/s",
        sent.acknowledged(),
        sent.bytes as f64 / 1e6,
        sent.bytes as f64 / 1e6 / sent.elapsed.as_secs_f64()
    );
    for (status, count) in refusals {
        text += &format!("; {count} answered {status:04X}");
    }
    if !sent.not_accepted.is_empty() {
        text += &format!("; {} of a kind that the box does not accept", sent.not_accepted.len());
    }
    stage.done(&text);
    ensure!(sent.acknowledged() > 0, "nothing was accepted");
    Ok((sent.elapsed, last))
}

async fn analyse(terminal: Terminal, watch: &mut Watch, within: Duration) -> Result<Outcome> {
    const STEPS: f64 = 1000.0;
    let stage = terminal.stage("analysing", "waiting until the series is complete", STEPS as u64);
    let mut delivered = 0;
    let outcome = watch
        .until_settled(within, |heard| match heard {
            Heard::Series { state, instances } => stage.set(0, format!("series {state}, {instances} images")),
            Heard::Job { state, stage: step, fraction } => {
                let step = if step.is_empty() { state } else { step };
                stage.set((fraction * STEPS) as u64, format!("{:3.0} % {}", fraction * 100.0, step.replace('_', " ")));
            }
            Heard::Delivery { state, reason } if state == "pending" => {
                stage.set(STEPS as u64, format!("delivery waits: {reason}"));
            }
            Heard::Delivery { .. } => {
                delivered += 1;
                stage.set(STEPS as u64, format!("{delivered} results delivered"));
            }
        })
        .await?;
    let done = outcome.jobs.iter().filter(|job: &&Job| job.state == "done").count();
    stage.done(&format!("{} series, {done} analysed", outcome.series.len()));
    Ok(outcome)
}

fn arrived(terminal: Terminal, outcome: &Outcome, received: &[Received]) -> Result<()> {
    let stage = terminal.stage("archive", "", 0);
    let of_kind = |kind: &str| outcome.deliveries.iter().filter(|d| d.kind == kind && d.state == "delivered").count();
    let delivered = outcome.deliveries.iter().filter(|d| d.state == "delivered").count();
    ensure!(
        received.len() >= delivered,
        "{delivered} results count as delivered, but {} are at the archive",
        received.len()
    );
    let analysed = outcome.jobs.iter().any(|job| job.state == "done");
    ensure!(!analysed || delivered > 0, "a series was analysed and no result was delivered");
    stage.done(&format!(
        "{} structured reports, {} segmentations, {} pictures, {} documents arrived",
        of_kind("sr"),
        of_kind("seg"),
        of_kind("sc"),
        of_kind("pdf")
    ));
    Ok(())
}

/// Writes the secondary captures that arrived as PNG.
fn draw(received: &[Received], folder: &Path) -> Result<Vec<PathBuf>> {
    const SECONDARY_CAPTURES: &str = "1.2.840.10008.5.1.4.1.1.7";
    fresh_folder(folder)?;
    let captures = received.iter().filter(|object| object.sop_class_uid.starts_with(SECONDARY_CAPTURES));
    captures.enumerate().map(|(n, object)| pictures::write(&object.path, n + 1, folder)).collect()
}

/// False: a nodule that had to be found was missed.
fn show_findings(terminal: Terminal, input: &Input, findings: &[Findings]) -> bool {
    for found in findings {
        report::lungs(terminal, found, input.truth.as_ref().map(|truth| truth.lungs));
    }
    if let Some(truth) = &input.truth {
        return report::comparison(terminal, truth, findings);
    }
    for found in findings {
        terminal.heading("Nodules");
        match &found.nodules {
            Evaluated::Done(nodules) if nodules.is_empty() => println!("  evaluated, none found"),
            Evaluated::Done(nodules) => report::nodules(terminal, nodules),
            Evaluated::NotEvaluated(reason) => println!("  {reason}"),
        }
    }
    true
}

fn relative(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
