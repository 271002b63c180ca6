//! Measures a model package on phantoms that it was never trained on, with `scansidectl analyze`, and writes the table of
//! the model card.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Parser;
use hil_tests::evaluation::analyse::analyse_with;
use hil_tests::evaluation::thick::{self, Sampling};
use hil_tests::evaluation::{Card, Scan, dice, model_name, read, table};
use phantom::scanner::Vendor;
use phantom::visit::{Protocol, Visit};
use phantom::{Grid, Kernel, Options, Phantom, Slice, Truth, dicom};

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
    /// Additional phantoms in slices of each of these thicknesses, mm; `5/2.5` are slices of 5 mm every 2.5 mm. For
    /// example 1,1.25,2.5,3,5,7,8,10,5/2.5
    #[arg(long, value_delimiter = ',')]
    slices: Vec<Sampling>,
    /// How many phantoms for each of --slices, the same for all. A quarter of --count when absent
    #[arg(long)]
    thick: Option<u64>,
    /// Their kernel: smooth, medium, sharp. By the seed when absent
    #[arg(long, value_parser = kernel)]
    kernel: Option<Kernel>,
    /// Diameter of their largest nodules, mm: beyond 30 they are masses
    #[arg(long, default_value_t = 20.0)]
    largest_nodule: f32,
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
    let thick = calcium.end..calcium.end + arguments.thick.unwrap_or(arguments.count / 4);
    ensure!(
        EVALUATION_SEEDS.contains(&seeds.start) && thick.end <= EVALUATION_SEEDS.end,
        "seeds {:?} are not all reserved for evaluation ({EVALUATION_SEEDS:?})",
        seeds.start..thick.end
    );
    let card = Card::of(&arguments.package)?;
    let model = model_name(&card.manifest)?;
    let all = |seeds: &Range<u64>, protocol| {
        let mut scans = Vec::new();
        for seed in seeds.clone() {
            let scan = evaluate(seed, protocol, &arguments).with_context(|| format!("phantom {seed}"))?;
            println!("{scan}");
            scans.push(scan);
        }
        anyhow::Ok(scans)
    };
    let (scans, scored) = (all(&seeds, Protocol::Chest)?, all(&calcium, Protocol::Calcium)?);
    let mut table = table::tables(&scans, &seeds, &model) + &table::calcium(&scored, &calcium);
    let mut every = vec![scans, scored];
    let kernel =
        arguments.kernel.map_or_else(|| "kernel by the seed".to_owned(), |kernel| format!("kernel {}", kernel.name()));
    for sampling in &arguments.slices {
        let mut scans = Vec::new();
        for seed in thick.clone() {
            let scan = in_slices(seed, *sampling, &arguments);
            let scan = scan.with_context(|| format!("phantom {seed} in {sampling}"))?;
            println!("{sampling}: {scan}");
            scans.push(scan);
        }
        table.push_str(&table::thick(&scans, &thick, *sampling, &kernel));
        every.push(scans);
    }
    println!("\n{table}");
    if let Some(path) = &arguments.out {
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, serde_json::to_string_pretty(&every)?)?;
    }
    if arguments.dry_run { Ok(()) } else { card.write(&table) }
}

/// One phantom in its own slices.
fn evaluate(seed: u64, protocol: Protocol, arguments: &Arguments) -> anyhow::Result<Scan> {
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
    let study = dicom::study_of(&phantom, &slices, &visit)?;
    compared(seed, &study, &truth, &phantom.grid, &slices, arguments)
}

/// One phantom in slices of a given thickness.
fn in_slices(seed: u64, sampling: Sampling, arguments: &Arguments) -> anyhow::Result<Scan> {
    let one = thick::scan(seed, sampling, arguments.kernel, arguments.largest_nodule)?;
    compared(seed, &one.study, &one.truth, &one.phantom.grid, &one.slices, arguments)
}

/// Writes the study as DICOM, analyses it, and compares the findings with the truth.
fn compared(
    seed: u64,
    study: &dicom::Study,
    truth: &Truth,
    grid: &Grid,
    slices: &[Slice],
    arguments: &Arguments,
) -> anyhow::Result<Scan> {
    let folder = tempfile::tempdir()?;
    let results = tempfile::tempdir()?;
    study.write_to(folder.path())?;
    let packages = arguments.package.parent().context("the package is not in a folder")?;
    let series = analyse_with(arguments.config.as_deref(), folder.path(), packages, Some(results.path()))?;
    let findings = series.findings.with_context(|| format!("not processed: {}", series.verdict))?;
    let segmentation = series.objects.iter().find(|path| path.to_string_lossy().ends_with("seg.dcm"));
    let dice = dice::of(segmentation.map(PathBuf::as_path), grid, slices)?;
    Ok(Scan::new(seed, &read::Planted::of(truth)?, &findings, dice, series.timings_ms))
}

fn kernel(text: &str) -> Result<Kernel, String> {
    match text {
        "smooth" => Ok(Kernel::Smooth),
        "medium" => Ok(Kernel::Medium),
        "sharp" => Ok(Kernel::Sharp),
        other => Err(format!("{other:?} is not smooth, medium or sharp")),
    }
}
