//! `make bench`: compares durable receiving with Orthanc and DCMTK, and measures the stages of whole studies. Prints
//! every figure with its goal, whether it was reached or not.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use hil_tests::appliance::fresh_folder;
use hil_tests::bench::figures::Goal;
use hil_tests::bench::{ingest, pipeline, services, study};
use hil_tests::demo::terminal::Terminal;

/// Measures the box and compares it with other programs on this machine.
#[derive(Debug, Parser)]
struct Arguments {
    /// File for all raw values, JSON.
    #[arg(long, default_value = "out/bench.json")]
    out: PathBuf,
    /// How often each measurement is repeated; medians are reported.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Number of CT slices (512x512) in a study.
    #[arg(long, default_value_t = 300)]
    slices: usize,
    /// Number of parallel senders in the second half of the receiving measurement.
    #[arg(long, default_value_t = 4)]
    senders: usize,
    /// Skip the comparison of receivers.
    #[arg(long)]
    no_ingest: bool,
    /// Skip receiving with MPPS and storage commitment.
    #[arg(long)]
    no_services: bool,
    /// Skip the whole studies.
    #[arg(long)]
    no_study: bool,
    /// Skip the comparison with a plain Python pipeline.
    #[arg(long)]
    no_pipeline: bool,
    /// The model package that both programs use.
    #[arg(long, default_value = "models/packages/ct-chest")]
    package: PathBuf,
    /// Folder for spools and archives; it must be on the disk that is to be measured. Emptied first, removed afterwards.
    #[arg(long, default_value = "out/bench")]
    work: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let terminal = Terminal::detect();
    fresh_folder(&arguments.work)?;
    let work = arguments.work.canonicalize()?;
    println!("{}", terminal.bold("Scanside bench"));
    let stage = terminal.stage("phantoms", "are made", 0);
    let studies = ingest::studies(arguments.senders, arguments.slices, &work)?;
    stage.done(&format!("{} studies of {} slices of 512x512", studies.len(), arguments.slices));
    let say = |text: &str| println!("  {}", terminal.dim(text));

    let mut goals: Vec<Goal> = Vec::new();
    let mut json = serde_json::json!({ "slices": arguments.slices, "runs": arguments.runs });
    if !arguments.no_ingest {
        let cells = ingest::measure(&studies, arguments.runs, &work, say).await?;
        terminal.heading(&format!("Receiving {} slices of 512x512 from storescu, medians", arguments.slices));
        let head = ["", "receiver", "an answer means", "", "s", "from, to", "slices/s"];
        terminal.table(&head, &ingest::rows(&cells, arguments.slices));
        goals.extend(ingest::goals(&cells));
        json["ingest"] = serde_json::to_value(&cells)?;
    }
    if !arguments.no_services {
        let cells = services::measure(&studies, arguments.runs, &work, say).await?;
        terminal.heading("The same with a procedure step (MPPS) before and after, and storage commitment, medians");
        terminal.table(&["", "scanner", "s for images", "from, to", "s in all"], &services::rows(&cells));
        goals.extend(services::goals(&cells));
        json["services"] = serde_json::to_value(&cells)?;
    }
    if !arguments.no_study {
        let measured = study::measure(&studies[0], arguments.runs, &work, say).await?;
        terminal.heading("One study through the box, medians");
        terminal.table(&["stage", "ms", "from, to"], &study::rows(&measured));
        goals.extend(study::goals(&measured));
        json["study"] = serde_json::to_value(&measured)?;
    }
    if !arguments.no_pipeline {
        let package = arguments.package.canonicalize().with_context(|| arguments.package.display().to_string())?;
        let measured = pipeline::measure(&studies[0], &package, arguments.runs, &work, say).await?;
        terminal.heading("One series from files to SR and SEG, same network, same threads, medians");
        terminal.table(&["program", "s", "peak MB"], &pipeline::rows(&measured));
        goals.extend(pipeline::goals(&measured));
        json["pipeline"] = serde_json::to_value(&measured)?;
    }

    terminal.heading("Goals");
    let rows: Vec<_> = goals.iter().map(Goal::row).collect();
    terminal.table(&["", "measured", "", "goal", ""], &rows);
    json["goals"] = serde_json::to_value(&goals)?;
    if let Some(parent) = arguments.out.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&arguments.out, serde_json::to_string_pretty(&json)?)
        .with_context(|| arguments.out.display().to_string())?;
    println!("\n  all values: {}", arguments.out.display());
    std::fs::remove_dir_all(&work)?;
    Ok(())
}
