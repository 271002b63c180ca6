//! Measures a model package on phantoms that it was never trained on, with `scansidectl analyze`, and writes the table of
//! the model card.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Parser;
use hil_tests::evaluation::analyse::analyse_with;
use hil_tests::evaluation::{Card, Scan, dice, model_name, read, table};
use phantom::scanner::Vendor;
use phantom::visit::{Protocol, Visit};
use phantom::{Options, Phantom, dicom};

/// Seeds below belong to training and validation (models/training/phantoms.py).
const EVALUATION_SEEDS: std::ops::Range<u64> = 2_000_000..3_000_000;

#[derive(Parser)]
#[command(about = "The nine findings on held-out phantoms, through scansidectl analyze: found, missed, how far off")]
struct Arguments {
    /// How many phantoms
    #[arg(long, default_value_t = 100)]
    count: u64,
    /// How many additional phantoms, scanned as for calcium scoring, because a chest scan gives no Agatston score. A
    /// quarter of --count when absent
    #[arg(long)]
    calcium: Option<u64>,
    /// First seed; 2000000 and above are reserved for evaluation
    #[arg(long, default_value_t = EVALUATION_SEEDS.start)]
    seed: u64,
    /// The package that scansidectl uses; its CARD.md gets the table
    #[arg(long, default_value = "models/packages/ct-chest")]
    package: PathBuf,
    /// Configuration that scansidectl reads instead of that of this machine, for example one that names an accelerator
    #[arg(long)]
    config: Option<PathBuf>,
    /// Only print; leave the card as it is
    #[arg(long)]
    dry_run: bool,
    /// Every result as JSON
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let seeds = arguments.seed..arguments.seed + arguments.count;
    let calcium = seeds.end..seeds.end + arguments.calcium.unwrap_or(arguments.count / 4);
    ensure!(
        EVALUATION_SEEDS.contains(&seeds.start) && calcium.end <= EVALUATION_SEEDS.end,
        "seeds {seeds:?} and {calcium:?} are not all reserved for evaluation ({EVALUATION_SEEDS:?})"
    );
    let card = Card::of(&arguments.package)?;
    let model = model_name(&card.manifest)?;
    let packages = arguments.package.parent().context("the package is not in a folder")?;
    let all = |seeds: &Range<u64>, protocol| {
        let mut scans = Vec::new();
        for seed in seeds.clone() {
            let scan = evaluate(seed, protocol, packages, arguments.config.as_deref())
                .with_context(|| format!("phantom {seed}"))?;
            println!("{scan}");
            scans.push(scan);
        }
        anyhow::Ok(scans)
    };
    let (scans, scored) = (all(&seeds, Protocol::Chest)?, all(&calcium, Protocol::Calcium)?);
    let table = table::tables(&scans, &seeds, &model) + &table::calcium(&scored, &calcium);
    println!("\n{table}");
    if let Some(path) = &arguments.out {
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, serde_json::to_string_pretty(&[scans, scored])?)?;
    }
    if arguments.dry_run { Ok(()) } else { card.write(&table) }
}

/// One phantom: made, written as DICOM, analysed, compared.
fn evaluate(seed: u64, protocol: Protocol, packages: &Path, config: Option<&Path>) -> anyhow::Result<Scan> {
    let folder = tempfile::tempdir()?;
    let results = tempfile::tempdir()?;
    let (options, visit) = match protocol {
        Protocol::Chest => (Options::varied(seed), Visit::default()),
        // Only headers as real scanners write them say whether a scan was gated.
        Protocol::Calcium => {
            let vendor = Some(Vendor::by_seed(seed));
            (Options::varied(seed).calcium(), Visit { vendor, protocol, ..Visit::default() })
        }
    };
    let phantom = Phantom::new(seed, &options);
    let (slices, truth) = phantom.render_labelled();
    dicom::study_of(&phantom, &slices, &visit)?.write_to(folder.path())?;
    let series = analyse_with(config, folder.path(), packages, Some(results.path()))?;
    let findings = series.findings.with_context(|| format!("not processed: {}", series.verdict))?;
    let segmentation = series.objects.iter().find(|path| path.to_string_lossy().ends_with("seg.dcm"));
    let dice = dice::of(segmentation.map(PathBuf::as_path), &phantom.grid, &slices)?;
    Ok(Scan::new(seed, &read::Planted::of(&truth)?, &findings, dice, series.timings_ms))
}
