//! Measures the ultrasound package on phantom videos that it was never trained on, with `scansidectl live replay`, and
//! writes the table of the model card.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use hil_tests::evaluation::video::{Case, Scan, judge, replay, table};
use hil_tests::evaluation::{Card, model_name};
use phantom::ultrasound::seeds;

#[derive(Parser)]
#[command(about = "Lesions on held-out phantom videos, through scansidectl live replay: found, missed, mixed up")]
struct Arguments {
    /// How many videos
    #[arg(long, default_value_t = 40)]
    count: u64,
    /// First seed; 2000000 and above are reserved for evaluation, others need --dry-run
    #[arg(long, default_value_t = seeds::EVALUATION.start)]
    seed: u64,
    #[arg(long, default_value_t = 10.0)]
    seconds: f32,
    /// Pictures per second
    #[arg(long, default_value_t = 30.0)]
    fps: f32,
    /// The package that is used; its CARD.md gets the table
    #[arg(long, default_value = "models/packages/us-breast")]
    package: PathBuf,
    /// Keep the videos in this folder (280 MB each), and use those that are already there
    #[arg(long)]
    videos: Option<PathBuf>,
    /// Only print; leave the card as it is
    #[arg(long)]
    dry_run: bool,
    /// Every result as JSON
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let range = arguments.seed..arguments.seed + arguments.count;
    let kept = seeds::EVALUATION.contains(&range.start) && range.end <= seeds::EVALUATION.end;
    ensure!(kept || arguments.dry_run, "seeds {range:?} are not all reserved for evaluation ({:?})", seeds::EVALUATION);
    let card = Card::of(&arguments.package)?;
    let model = model_name(&card.manifest)?;
    let mut cases = Vec::new();
    for seed in range.clone() {
        let case = evaluate(seed, &arguments).with_context(|| format!("video {seed}"))?;
        println!(
            "{seed}: {} of {} lesions, {} false, {} switched, {} of {} kept their number when they came back, {} merged",
            case.found,
            case.wanted,
            case.false_alarms,
            case.switched,
            case.returned_the_same,
            case.returned,
            case.merged
        );
        cases.push(case);
    }
    let table = table::table(&cases, &range, arguments.fps, &model);
    println!("\n{table}");
    if let Some(path) = &arguments.out {
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, serde_json::to_string_pretty(&cases)?)?;
    }
    if arguments.dry_run { Ok(()) } else { card.write(&table) }
}

/// Makes one video, replays it, and compares the result with the truth.
fn evaluate(seed: u64, arguments: &Arguments) -> Result<Case> {
    let temporary = tempfile::tempdir()?;
    let folder = arguments.videos.as_deref().unwrap_or_else(|| temporary.path());
    std::fs::create_dir_all(folder)?;
    let scan = Scan::of(seed, arguments.seconds, arguments.fps, folder)?;
    let packages = arguments.package.parent().context("the package is not in a folder")?;
    let seen = replay::replay(&scan.file, packages)?;
    Ok(judge::judge(&scan.truth, &seen))
}
