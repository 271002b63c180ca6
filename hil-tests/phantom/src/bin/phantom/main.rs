//! Makes phantoms: DICOM studies for tests, volumes for training, pictures to look at, ultrasound videos, mammograms.

mod mammography;
mod ultrasound;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use phantom::scanner::Vendor;
use phantom::visit::{Day, Protocol, Script, Visit};
use phantom::{Kernel, LUNG, Options, Phantom, Slice, Wanted, npy, training};

#[derive(Parser)]
#[command(about = "Makes chest CT, breast ultrasound and mammography phantoms. No patient data; the same seed gives the same bytes", after_help = EXAMPLES)]
struct Command {
    #[command(subcommand)]
    what: What,
}

const EXAMPLES: &str = "Examples:
  phantom study --seed 7 --out /tmp/study            220 slices of 512 x 512, a localiser, truth.json
  phantom study --seed 7 --out /tmp/small --small    40 slices of 128 x 128
  phantom study --seed 2000001 --varied --out DIR    spacing, noise and kernel chosen by the seed
  phantom study --seed 7 --vendor ge --names gb18030 --out DIR    headers of a GE scanner, Chinese name, dose report
  phantom study --seed 7 --vendor seed --date 2025-06-30 --out DIR   a prior: the same patient on an earlier day
  phantom study --seed 7 --protocol calcium --findings coronary_calcification --out DIR    fit for an Agatston score
  phantom picture --seed 7 --out /tmp/pictures       PNGs of some slices, lung and soft-tissue window
  phantom volume --seed 1000001 --count 10 --spacing 1.5 --out DIR    training volumes as .npy
  phantom ultrasound video --seed 7 --layout a --seconds 10 --out /tmp/us.y4m    a scan with its truth in us.json
  phantom ultrasound frames --seed 1000001 --clips 10 --count 24 --out DIR       training frames as .npy
  phantom mammography study --seed 7 --vendor hologic --intent both --out DIR    CC and MLO of both breasts, raw and processed
  phantom mammography study --seed 7 --vendor hologic --prior --out PRIOR    the same woman a year before
  phantom mammography cases --seed 1000001 --count 10 --priors --out DIR         training pictures as .npy";

#[derive(Subcommand)]
enum What {
    /// Make a DICOM study in a folder, with truth.json
    Study {
        #[command(flatten)]
        scan: Scan,
        #[command(flatten)]
        headers: Headers,
        /// Folder to write to; created when it does not exist
        #[arg(long)]
        out: PathBuf,
    },
    /// Make isotropic volumes for training: SEED.npy (HU), SEED-labels.npy, SEED.json
    Volume {
        /// First seed; it also determines spacing, noise and kernel of the scan
        #[arg(long)]
        seed: u64,
        /// Number of volumes; seeds are counted up
        #[arg(long, default_value_t = 1)]
        count: u64,
        /// Voxel size, mm
        #[arg(long, default_value_t = 1.5)]
        spacing: f32,
        /// Number of nodules in each volume; chosen by the seed when absent
        #[arg(long)]
        nodules: Option<usize>,
        #[command(flatten)]
        findings: Findings,
        #[arg(long)]
        out: PathBuf,
    },
    /// Make breast ultrasound videos, frames for training, pictures
    #[command(subcommand)]
    Ultrasound(ultrasound::What),
    /// Make mammograms of both breasts in two views
    #[command(subcommand, after_help = mammography::EXAMPLES)]
    Mammography(mammography::What),
    /// Make PNGs of eight slices
    Picture {
        #[command(flatten)]
        scan: Scan,
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Args)]
struct Findings {
    /// varied (each chosen by the seed), all, none, or names such as nodule,pneumonia,emphysema
    #[arg(long)]
    findings: Option<Wanted>,
}

#[derive(Args)]
struct Scan {
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// 40 slices of 128 x 128
    #[arg(long, conflicts_with = "varied")]
    small: bool,
    /// Spacing, noise, kernel, findings and surroundings chosen by the seed
    #[arg(long)]
    varied: bool,
    #[arg(long)]
    slices: Option<usize>,
    /// Slice spacing, mm
    #[arg(long)]
    slice_mm: Option<f32>,
    /// Rows and columns
    #[arg(long)]
    matrix: Option<usize>,
    /// Pixel spacing, mm
    #[arg(long)]
    pixel_mm: Option<f32>,
    /// Standard deviation of the noise, HU
    #[arg(long)]
    noise: Option<f32>,
    #[arg(long)]
    kernel: Option<KernelName>,
    /// Number of nodules; chosen by the seed (0 to 5) when absent
    #[arg(long)]
    nodules: Option<usize>,
    #[command(flatten)]
    findings: Findings,
}

/// Without any of these options: a generic scanner, the name PHANTOM^CHEST, no dose report.
#[derive(Args)]
struct Headers {
    /// Vendor whose headers are imitated
    #[arg(long)]
    vendor: Option<VendorName>,
    #[command(flatten)]
    names: Names,
    /// Date of the study, such as 2026-01-05; the same seed with another date is the same patient
    #[arg(long)]
    date: Option<Day>,
    /// Add 5 mm slices and coronal reformats as separate series
    #[arg(long)]
    reformats: bool,
    /// Calcium scoring: slices of 3 mm, soft kernel, no contrast medium, triggered by the ECG, 120 kV
    #[arg(long, value_enum, default_value_t)]
    protocol: ProtocolName,
}

#[derive(Clone, Copy, Default, PartialEq, ValueEnum)]
enum ProtocolName {
    #[default]
    Chest,
    Calcium,
}

#[derive(Clone, Copy, ValueEnum)]
enum VendorName {
    /// Chosen by the seed
    Seed,
    Ge,
    Siemens,
    Philips,
    Canon,
    Uih,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScriptName {
    /// Chosen by the seed
    Seed,
    Latin,
    Gb18030,
    Utf8,
}

#[derive(Args)]
struct Names {
    /// How the patient's name is written; chosen by the seed when a vendor is given
    #[arg(long)]
    names: Option<ScriptName>,
}

impl Names {
    fn script(&self, seed: u64) -> Option<Script> {
        self.names.map(|name| match name {
            ScriptName::Seed => Script::by_seed(seed),
            ScriptName::Latin => Script::Latin,
            ScriptName::Gb18030 => Script::Gb18030,
            ScriptName::Utf8 => Script::Utf8,
        })
    }
}

impl Headers {
    fn visit(&self, seed: u64) -> Visit {
        let vendor = self.vendor.map(|name| match name {
            VendorName::Seed => Vendor::by_seed(seed),
            VendorName::Ge => Vendor::Ge,
            VendorName::Siemens => Vendor::Siemens,
            VendorName::Philips => Vendor::Philips,
            VendorName::Canon => Vendor::Canon,
            VendorName::Uih => Vendor::UnitedImaging,
        });
        let script = self.names.script(seed).or_else(|| vendor.map(|_| Script::by_seed(seed)));
        let protocol = match self.protocol {
            ProtocolName::Chest => Protocol::Chest,
            ProtocolName::Calcium => Protocol::Calcium,
        };
        Visit { vendor, script, day: self.date.unwrap_or_default(), reformats: self.reformats, protocol }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum KernelName {
    Smooth,
    Medium,
    Sharp,
}

impl Scan {
    fn options(&self) -> Options {
        let mut o = match (self.small, self.varied) {
            (true, _) => Options::small(),
            (_, true) => Options::varied(self.seed),
            _ => Options::default(),
        };
        o.slices = self.slices.unwrap_or(o.slices);
        o.slice_mm = self.slice_mm.unwrap_or(o.slice_mm);
        o.rows = self.matrix.unwrap_or(o.rows);
        o.columns = self.matrix.unwrap_or(o.columns);
        o.pixel_mm = self.pixel_mm.unwrap_or(o.pixel_mm);
        o.noise_hu = self.noise.unwrap_or(o.noise_hu);
        o.nodules = self.nodules.or(o.nodules);
        o.findings = self.findings.findings.unwrap_or(o.findings);
        o.kernel = match self.kernel {
            Some(KernelName::Smooth) => Kernel::Smooth,
            Some(KernelName::Medium) => Kernel::Medium,
            Some(KernelName::Sharp) => Kernel::Sharp,
            None => o.kernel,
        };
        o
    }
}

fn main() -> anyhow::Result<()> {
    match Command::parse().what {
        What::Study { scan, headers, out } => study(&scan, &headers, &out),
        What::Volume { seed, count, spacing, nodules, findings, out } => {
            let findings = findings.findings.unwrap_or(Wanted::VARIED);
            (seed..seed + count)
                .try_for_each(|s| volume(s, &Options { nodules, findings, ..Options::varied(s) }, spacing, &out))
        }
        What::Ultrasound(what) => ultrasound::make(what),
        What::Mammography(what) => mammography::make(what),
        What::Picture { scan, out } => pictures(&scan, &out),
    }
}

fn make(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))
}

fn study(scan: &Scan, headers: &Headers, out: &Path) -> anyhow::Result<()> {
    let options = match headers.protocol {
        ProtocolName::Chest => scan.options(),
        ProtocolName::Calcium => scan.options().calcium(),
    };
    let (study, truth) = Phantom::visiting(scan.seed, &options, &headers.visit(scan.seed))?;
    make(out)?;
    study.write_to(out)?;
    std::fs::write(out.join("truth.json"), serde_json::to_string_pretty(&truth)?)?;
    println!("{}: {} instances, {} nodules", out.display(), study.instances.len(), truth.nodules.len());
    Ok(())
}

fn volume(seed: u64, options: &Options, spacing: f32, out: &Path) -> anyhow::Result<()> {
    let mut phantom = Phantom::new(seed, options);
    let (volume, truth) = training::volume(&mut phantom, spacing);
    make(out)?;
    let bytes: Vec<u8> = volume.hu.iter().flat_map(|v| v.to_le_bytes()).collect();
    npy::write(&out.join(format!("{seed}.npy")), "<i2", &volume.shape, &bytes)?;
    let labels: Vec<u8> = volume.labels.iter().flat_map(|v| v.to_le_bytes()).collect();
    npy::write(&out.join(format!("{seed}-labels.npy")), "<u2", &volume.shape, &labels)?;
    let facts = serde_json::json!({ "spacing_mm": spacing, "origin_mm": volume.origin_mm, "truth": truth });
    std::fs::write(out.join(format!("{seed}.json")), serde_json::to_string_pretty(&facts)?)?;
    Ok(())
}

fn pictures(scan: &Scan, out: &Path) -> anyhow::Result<()> {
    let phantom = Phantom::new(scan.seed, &scan.options());
    let (slices, truth) = phantom.render_labelled();
    make(out)?;
    let (columns, rows) = (phantom.grid.columns, phantom.grid.rows);
    for part in 0..8 {
        let k = (2 * part + 1) * slices.len() / 16;
        for (name, low, width) in [("lung", -1350.0, 1500.0), ("soft", -160.0, 400.0)] {
            let path = out.join(format!("{:03}-{name}.png", k));
            let grey = |s: &Slice| {
                s.hu.iter()
                    .map(|v| ((f32::from(*v) - low) / width * 255.0).clamp(0.0, 255.0) as u8)
                    .collect::<Vec<u8>>()
            };
            png(&path, columns, rows, &grey(&slices[k]))?;
        }
    }
    let lung = slices.iter().flat_map(|s| &s.labels).filter(|l| **l & LUNG != 0).count();
    println!("{lung} lung voxels; {}", serde_json::to_string_pretty(&truth)?);
    Ok(())
}

fn png(path: &Path, columns: usize, rows: usize, grey: &[u8]) -> anyhow::Result<()> {
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut encoder = png::Encoder::new(file, columns as u32, rows as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(grey)?;
    Ok(())
}
