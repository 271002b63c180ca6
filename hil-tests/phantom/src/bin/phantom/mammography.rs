//! `phantom mammography`: DICOM studies, training pictures and PNGs of mammogram phantoms.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use phantom::dicom;
use phantom::mammography::dicom::{Intent, Wanted, study};
use phantom::mammography::lesion::Kind;
use phantom::mammography::training;
use phantom::mammography::vendor::Vendor;
use phantom::mammography::woman::Density;
use phantom::mammography::{Case, Options, View, Visit};
use phantom::npy;
use phantom::visit::Day;

/// A year before the default day, within days.
const PRIOR_DAY: &str = "2025-01-08";

pub const EXAMPLES: &str = "Examples:
  phantom mammography study --seed 7 --vendor hologic --intent both --out DIR     four views, raw and processed, truth.json
  phantom mammography study --seed 7 --vendor hologic --prior --out PRIOR         the same woman a year before
  phantom mammography study --seed 7 --kind calcifications --lesions 1 --magnification --out DIR
  phantom mammography study --seed 7 --implants true --pixel 0.2 --out DIR        coarser pixels: smaller files
  phantom mammography picture --seed 7 --density d --marked --out DIR             PNGs, lesions framed
  phantom mammography cases --seed 1000001 --count 10 --priors --out DIR          training pictures as .npy";

#[derive(Subcommand)]
pub enum What {
    /// Make a DICOM study in a folder: CC and MLO of both breasts, with truth.json
    Study {
        #[command(flatten)]
        scan: Scan,
        /// Pixel size, mm; that of the vendor's detector when absent
        #[arg(long)]
        pixel: Option<f32>,
        /// Pictures for processing (raw), for presentation, or both
        #[arg(long, value_enum, default_value_t)]
        intent: IntentName,
        /// Also a magnification view of the first lesion
        #[arg(long)]
        magnification: bool,
        /// Date of the study, such as 2026-01-05; that of a prior is a year before
        #[arg(long)]
        date: Option<Day>,
        #[command(flatten)]
        names: super::Names,
        #[arg(long)]
        out: PathBuf,
    },
    /// Make training pictures: SEED.npy (uint8, view, grey and detail, rows, columns), SEED.json, and with --priors
    /// SEED-prior.npy and SEED-prior.json
    Cases {
        #[command(flatten)]
        scan: Scan,
        /// Number of cases; seeds are counted up
        #[arg(long, default_value_t = 1)]
        count: u64,
        /// Pixel size of the training pictures, mm; they are made at half of it
        #[arg(long, default_value_t = 0.4)]
        pixel: f32,
        /// Also the examination a year before
        #[arg(long)]
        priors: bool,
        #[arg(long)]
        out: PathBuf,
    },
    /// Make PNGs of the four views; with --marked, the lesions are framed
    Picture {
        #[command(flatten)]
        scan: Scan,
        /// Pixel size, mm
        #[arg(long, default_value_t = 0.4)]
        pixel: f32,
        #[arg(long)]
        marked: bool,
        #[arg(long)]
        out: PathBuf,
    },
}

/// Pixels of a picture from which one training pixel is made, along each axis.
const FINE: usize = 2;

#[derive(Args)]
pub struct Scan {
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Vendor whose headers and look are imitated; chosen by the seed when absent
    #[arg(long)]
    vendor: Option<VendorName>,
    /// Class of density; chosen by the seed when absent
    #[arg(long)]
    density: Option<DensityName>,
    /// Number of lesions; chosen by the seed (0 to 2) when absent
    #[arg(long)]
    lesions: Option<usize>,
    /// Kind of every lesion
    #[arg(long)]
    kind: Option<KindName>,
    /// With or without implants; chosen by the seed (3 in 100) when absent
    #[arg(long)]
    implants: Option<bool>,
    /// The examination a year before: lesions are smaller or not there yet
    #[arg(long)]
    prior: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
pub enum IntentName {
    Processing,
    #[default]
    Presentation,
    Both,
}

#[derive(Clone, Copy, ValueEnum)]
enum VendorName {
    Ge,
    Hologic,
    Siemens,
    Fujifilm,
    Giotto,
}

#[derive(Clone, Copy, ValueEnum)]
enum DensityName {
    A,
    B,
    C,
    D,
}

#[derive(Clone, Copy, ValueEnum)]
enum KindName {
    Mass,
    Calcifications,
    Asymmetry,
    Distortion,
}

impl Scan {
    fn options(&self, pixel_mm: Option<f32>) -> Options {
        Options {
            pixel_mm,
            vendor: self.vendor.map(|v| Vendor::ALL[v as usize]),
            density: self.density.map(|d| Density::ALL[d as usize]),
            lesions: self.lesions,
            kind: self.kind.map(|k| Kind::ALL[k as usize]),
            implants: self.implants,
            visit: self.visit(),
        }
    }

    fn visit(&self) -> Visit {
        if self.prior { Visit::Prior } else { Visit::Current }
    }
}

pub fn make(what: What) -> anyhow::Result<()> {
    match what {
        What::Study { scan, pixel, intent, magnification, date, names, out } => {
            let case = Case::new(scan.seed, &scan.options(pixel));
            let day = match date {
                Some(day) => day,
                None if scan.prior => PRIOR_DAY.parse()?,
                None => Day::default(),
            };
            let intents = match intent {
                IntentName::Processing => vec![Intent::Processing],
                IntentName::Presentation => vec![Intent::Presentation],
                IntentName::Both => vec![Intent::Processing, Intent::Presentation],
            };
            let script = names.script(scan.seed);
            let (study, truths) = study(&case, &Wanted { intents, script, day, magnification })?;
            super::make(&out)?;
            dicom::write_all(&study.instances, &out)?;
            std::fs::write(out.join("truth.json"), serde_json::to_string_pretty(&case.truth(truths))?)?;
            println!("{}: {} instances, {} lesions", out.display(), study.instances.len(), case.lesions.len());
            Ok(())
        }
        What::Cases { scan, count, pixel, priors, out } => {
            super::make(&out)?;
            let visits = if priors { &[scan.visit(), Visit::Prior][..] } else { &[scan.visit()] };
            (scan.seed..scan.seed + count).try_for_each(|seed| {
                visits.iter().try_for_each(|visit| case(&scan, seed, *visit, pixel / FINE as f32, &out))
            })
        }
        What::Picture { scan, pixel, marked, out } => pictures(&scan, pixel, marked, &out),
    }
}

fn case(scan: &Scan, seed: u64, visit: Visit, pixel: f32, out: &Path) -> anyhow::Result<()> {
    let case = Case::new(seed, &Options { visit, ..scan.options(Some(pixel)) });
    let (pictures, truths) = training::views(&case, FINE);
    let name = if visit == Visit::Prior { format!("{seed}-prior") } else { seed.to_string() };
    let shape = [pictures.len(), 2, truths[0].rows, truths[0].columns];
    let bytes: Vec<u8> = pictures.into_iter().flat_map(|p| [p.grey, p.detail]).flatten().collect();
    npy::write(&out.join(format!("{name}.npy")), "|u1", &shape, &bytes)?;
    std::fs::write(out.join(format!("{name}.json")), serde_json::to_string(&case.truth(truths))?)?;
    Ok(())
}

fn pictures(scan: &Scan, pixel: f32, marked: bool, out: &Path) -> anyhow::Result<()> {
    super::make(out)?;
    let case = Case::new(scan.seed, &scan.options(Some(pixel)));
    let mut views = Vec::new();
    for view in View::ALL {
        let picture = case.picture(view);
        let grey = picture.stored(&picture.presented(case.vendor));
        let mut grey: Vec<u8> = grey.iter().map(|v| (v * 255.0).round() as u8).collect();
        let truth = picture.truth.clone();
        if marked {
            for lesion in &truth.lesions {
                frame(&mut grey, truth.columns, lesion.bounds);
            }
        }
        super::png(&out.join(format!("{}-{}.png", scan.seed, view.name())), truth.columns, truth.rows, &grey)?;
        let raw = picture.stored(&picture.signal);
        let raw: Vec<u8> = raw.iter().map(|v| (v.sqrt() * 255.0).clamp(0.0, 255.0) as u8).collect();
        super::png(&out.join(format!("{}-{}-raw.png", scan.seed, view.name())), truth.columns, truth.rows, &raw)?;
        views.push(truth);
    }
    println!("{}", serde_json::to_string_pretty(&case.truth(views))?);
    Ok(())
}

/// A white frame, 4 pixels outside of the box.
fn frame(grey: &mut [u8], columns: usize, bounds: [f32; 4]) {
    let rows = grey.len() / columns;
    let at = |v: f32, most: usize| v.clamp(0.0, most as f32 - 1.0) as usize;
    let (left, right) = (at(bounds[0] - 4.0, columns), at(bounds[2] + 4.0, columns));
    let (top, bottom) = (at(bounds[1] - 4.0, rows), at(bounds[3] + 4.0, rows));
    for x in left..=right {
        grey[top * columns + x] = 255;
        grey[bottom * columns + x] = 255;
    }
    for y in top..=bottom {
        grey[y * columns + left] = 255;
        grey[y * columns + right] = 255;
    }
}
