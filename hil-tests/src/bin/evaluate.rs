//! Measures a model package on phantoms it was never trained on, through the engine that ships, and writes the table of
//! the model card.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use hil_tests::demo::compare::{Comparison, Evaluated, Findings, Planted};
use hil_tests::evaluation::{self, Scan, Summary};
use hil_tests::phantom::{Options, Phantom, PlantedNodule, Truth};
use hil_tests::tools;
use serde::Deserialize;

/// Seeds below belong to training and validation (models/training/phantoms.py).
const EVALUATION_SEEDS: std::ops::Range<u64> = 2_000_000..3_000_000;

#[derive(Parser)]
#[command(about = "Sensitivity and false positives on held-out phantoms, through scansidectl analyze")]
struct Arguments {
    /// How many phantoms
    #[arg(long, default_value_t = 44)]
    count: u64,
    /// First seed; 2000000 and up are kept for evaluation
    #[arg(long, default_value_t = EVALUATION_SEEDS.start)]
    seed: u64,
    /// The package that scansidectl uses; its CARD.md gets the table
    #[arg(long, default_value = "models/packages/ct-chest-nodules")]
    package: PathBuf,
    /// Only print; leave the card as it is
    #[arg(long)]
    dry_run: bool,
    /// Every result as JSON
    #[arg(long)]
    out: Option<PathBuf>,
}

/// What is read of `scansidectl --json analyze`.
#[derive(Deserialize)]
struct Report {
    series: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    kind: String,
    verdict: String,
    findings: Option<Findings>,
    timings_ms: Vec<(String, f64)>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let seeds = arguments.seed..arguments.seed + arguments.count;
    ensure!(
        EVALUATION_SEEDS.contains(&seeds.start) && seeds.end <= EVALUATION_SEEDS.end,
        "seeds {seeds:?} are not all kept for evaluation ({EVALUATION_SEEDS:?})"
    );
    let packages = arguments.package.parent().context("the package lies in no folder")?;
    let mut scans = Vec::new();
    for seed in seeds.clone() {
        let scan = evaluate(seed, packages).with_context(|| format!("phantom {seed}"))?;
        println!("{scan}");
        scans.push(scan);
    }
    let summary = Summary::of(&scans);
    let table = evaluation::table(&summary, &seeds, &model_name(&arguments.package)?);
    println!("\n{table}");
    if let Some(path) = &arguments.out {
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, serde_json::to_string_pretty(&scans)?)?;
    }
    if !arguments.dry_run {
        let path = arguments.package.join("CARD.md");
        let card = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let card = evaluation::with_table(&card, &table).with_context(|| format!("{}: no marks", path.display()))?;
        std::fs::write(&path, card)?;
    }
    Ok(())
}

/// One phantom: made, written as DICOM, analysed, compared.
fn evaluate(seed: u64, packages: &Path) -> anyhow::Result<Scan> {
    let folder = tempfile::tempdir()?;
    let (study, truth) = Phantom::chest(seed, &Options::varied(seed))?;
    study.write_to(folder.path())?;
    let series = analyse(folder.path(), packages)?;
    let findings = series.findings.with_context(|| format!("not processed: {}", series.verdict))?;
    let Evaluated::Done(found) = &findings.nodules else { bail!("nodules not evaluated: {:?}", findings.nodules) };
    let Evaluated::Done(lungs) = &findings.lungs else { bail!("lungs not evaluated: {:?}", findings.lungs) };
    let volume = |side: &str| lungs.iter().filter(|l| l.side == side).map(|l| l.volume_ml).sum::<f64>();
    let lungs_ml = [(truth.lungs.right_ml, volume("right")), (truth.lungs.left_ml, volume("left"))];
    let (planted, extra) = evaluation::nodules(&Comparison::new(&planted(&truth), found), &truth);
    Ok(Scan { seed, planted, extra, lungs_ml, timings_ms: series.timings_ms })
}

fn planted(truth: &Truth) -> Vec<Planted> {
    let one = |n: &PlantedNodule| Planted {
        side: n.side.words().into(),
        centre_mm: n.centre_mm,
        diameter_mm: n.diameter_mm,
        make: n.make.words().into(),
    };
    truth.nodules.iter().map(one).collect()
}

/// The CT series of the folder as `scansidectl` sees it.
fn analyse(folder: &Path, packages: &Path) -> anyhow::Result<Series> {
    let output = Command::new(tools::our_binary("scansidectl")?)
        .args(["--json", "analyze", "--packages"])
        .args([packages, folder])
        .stderr(Stdio::inherit())
        .output()
        .context("scansidectl cannot be started")?;
    ensure!(output.status.success(), "scansidectl analyze failed: {}", output.status);
    let report: Report = serde_json::from_slice(&output.stdout).context("scansidectl's answer cannot be read")?;
    report.series.into_iter().find(|s| s.kind == "ct").context("no CT series in the answer")
}

/// Id, version and hash of the package, as the card names it.
fn model_name(package: &Path) -> anyhow::Result<String> {
    let path = package.join("model.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let value = |key: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(key)?.trim_start().strip_prefix('='));
        line.map(|v| v.trim().trim_matches('"').to_owned()).with_context(|| format!("{}: no {key}", path.display()))
    };
    let sha: String = Sha256::digest(&text).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{} {}, sha256 of model.toml {sha}...", value("id")?, value("version")?))
}
