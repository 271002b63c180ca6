//! Measures the networks of model packages on one accelerator, without a fallback: `make gpu` calls it.
//!
//!     measure golden  PACKAGES ACCELERATOR            each network on its golden input, and on a whole patch beside the CPU
//!     measure picture PACKAGES ACCELERATOR SECONDS [beside]    time per ultrasound picture; `beside`: a CT network runs too
//!     measure patches PACKAGES ACCELERATOR            a whole volume with its patches on the card, and through the host's memory
//!     measure load    PACKAGES ACCELERATOR SECONDS    a CT network, patch after patch
//!
//! One JSON object a line. Ends with 1 when the accelerator is not there or an answer is wrong.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hal::accel::{self, AcceleratorConfig, ENVIRONMENT_KEY, OnCard, Patchwork};
use hal::{Accelerator, LoadedModel, Tensor};
use models::grid::Grid;
use models::manifest::Variant;
use models::patchwork::Pass;
use models::task::Unattended;
use models::task::us_breast::{Sector, Task};
use models::{Package, golden};
use serde_json::json;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Where the phantom's screen shows the image (`daemon/live/profiles/phantom-1280x720.toml`).
const SECTOR: Sector = Sector { x: 236, y: 64, width: 800, height: 616 };

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["golden", packages, provider] => golden_runs(Path::new(packages), provider),
        ["picture", packages, provider, seconds] => pictures(Path::new(packages), provider, seconds.parse()?, false),
        ["picture", packages, provider, seconds, "beside"] => {
            pictures(Path::new(packages), provider, seconds.parse()?, true)
        }
        ["patches", packages, provider] => volume(Path::new(packages), provider),
        ["load", packages, provider, seconds] => load(Path::new(packages), provider, seconds.parse()?),
        _ => Err("usage: measure golden|picture|patches|load PACKAGES ACCELERATOR [SECONDS] [beside]".into()),
    }
}

/// # Errors
/// When another accelerator than the wanted one would be used, with the reason.
fn open(provider: &str, live: bool) -> Outcome<Box<dyn Accelerator>> {
    let library = std::env::var_os(ENVIRONMENT_KEY).unwrap_or_else(|| "libonnxruntime.so".into()).into();
    let config = AcceleratorConfig { provider: provider.into(), library, live, ..AcceleratorConfig::default() };
    let device = accel::open(&config)?;
    match device.describe().fallback {
        None => Ok(device),
        Some(reason) => Err(reason.into()),
    }
}

fn golden_runs(packages: &Path, provider: &str) -> Outcome<()> {
    let device = open(provider, false)?;
    println!("{}", json!({ "step": "device", "fingerprint": device.fingerprint() }));
    let mut wrong = Vec::new();
    for id in ["ct-chest", "us-breast", "us-breast-stills", "mg-breast"] {
        let package = Package::open(&packages.join(id))?;
        for variant in package.manifest.fitting(provider) {
            let begun = Instant::now();
            // A card may have no engine for one network, and still be of use for the others.
            let mut model = match device.load(&package.read(&variant.network)?) {
                Ok(model) => model,
                Err(error) => {
                    wrong.push(format!("{}: {error}", variant.network));
                    continue;
                }
            };
            let loaded = begun.elapsed();
            let begun = Instant::now();
            let outcome = golden::run(&package, variant, model.as_mut());
            let first = begun.elapsed();
            let (difference, tolerance) = match outcome {
                Ok(passed) => (passed.difference, passed.tolerance),
                Err(golden::Error::Differs { difference, tolerance }) => (difference, tolerance),
                Err(other) => return Err(other.into()),
            };
            if difference.is_nan() || difference > tolerance {
                wrong.push(variant.network.clone());
            }
            println!(
                "{}",
                json!({ "step": "golden", "network": variant.network, "precision": variant.precision, "load_ms": ms(loaded),
                        "first_ms": ms(first), "difference": difference, "tolerance": tolerance })
            );
        }
    }
    patch_beside_cpu(&Package::open(&packages.join("ct-chest"))?, device.as_ref(), provider)?;
    if wrong.is_empty() { Ok(()) } else { Err(format!("the golden answer differs: {}", wrong.join(", ")).into()) }
}

/// The golden input is small. A whole patch uses the kernels that studies use; its answer is compared with that of fp32 on the CPU.
fn patch_beside_cpu(package: &Package, device: &dyn Accelerator, provider: &str) -> Outcome<()> {
    let patch = patch(package)?;
    let run = |device: &dyn Accelerator, network: &str| -> Outcome<(Tensor, [f64; 2])> {
        let mut model = device.load(&package.read(network)?)?;
        let mut timed = || {
            let begun = Instant::now();
            let answer = model.run(std::slice::from_ref(&patch));
            answer.map(|answer| (answer, ms(begun.elapsed())))
        };
        let (_, first) = timed()?;
        let (mut answer, again) = timed()?;
        Ok((answer.pop().ok_or("no answer")?, [first, again]))
    };
    let cpu = open("cpu", false)?;
    let fp32 = package.manifest.variants.last().ok_or("no variant")?;
    let (expected, _) = run(cpu.as_ref(), &fp32.network)?;
    for variant in package.manifest.fitting(provider) {
        let (answer, [first_ms, run_ms]) = run(device, &variant.network)?;
        let off: Vec<f32> = answer.data.iter().zip(&expected.data).map(|(a, b)| (a - b).abs()).collect();
        let most = off.iter().fold(0.0_f32, |most, d| if *d > most || d.is_nan() { *d } else { most });
        let mean = off.iter().map(|d| f64::from(*d)).sum::<f64>() / off.len() as f64;
        println!(
            "{}",
            json!({ "step": "patch", "network": variant.network, "first_ms": first_ms, "run_ms": run_ms,
                    "difference_from_cpu_fp32": most, "mean_difference": mean })
        );
    }
    Ok(())
}

/// The golden input, repeated until it has the size of a patch.
fn patch(package: &Package) -> Outcome<Tensor> {
    let small = golden::input(package)?;
    let [_, windows, d, h, w] = small.shape[..] else { return Err("the golden input is no volume".into()) };
    let [pd, ph, pw] = package.manifest.volume().ok_or("the package reads no volumes")?.input.patch;
    let mut data = Vec::with_capacity(windows * pd * ph * pw);
    for c in 0..windows {
        for (z, y) in (0..pd).flat_map(|z| (0..ph).map(move |y| (z, y))) {
            let row = ((c * d + z % d) * h + y % h) * w;
            data.extend((0..pw).map(|x| small.data[row + x % w]));
        }
    }
    Ok(Tensor { shape: vec![1, windows, pd, ph, pw], data })
}

/// Runs the CT network for this accelerator until told to stop; the number of patches and their mean time, ms.
fn keep_busy(package: &Package, model: &mut dyn LoadedModel, stop: &dyn Fn() -> bool) -> Outcome<(u32, f64)> {
    let patch = patch(package)?;
    model.run(std::slice::from_ref(&patch))?;
    let (begun, mut count) = (Instant::now(), 0);
    while !stop() {
        model.run(std::slice::from_ref(&patch))?;
        count += 1;
    }
    Ok((count, ms(begun.elapsed()) / f64::from(count.max(1))))
}

/// A network whose patches do not stay on the card.
#[derive(Debug)]
struct ByRuns<'a>(&'a mut dyn LoadedModel, u32);

impl LoadedModel for ByRuns<'_> {
    fn inputs(&self) -> &[String] {
        self.0.inputs()
    }

    fn outputs(&self) -> &[String] {
        self.0.outputs()
    }

    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, accel::Error> {
        self.1 += 1;
        self.0.run(inputs)
    }

    fn on_card(&mut self, work: &Arc<Patchwork>) -> Result<Option<Box<dyn OnCard + '_>>, accel::Error> {
        // The first time only, so that one volume goes each way.
        if std::mem::take(&mut self.1) == 0 { self.0.on_card(work) } else { Ok(None) }
    }
}

/// The same volume both ways, with the same network: the maps must be equal, number by number. Ends with 1 when patches did not stay.
fn volume(packages: &Path, provider: &str) -> Outcome<()> {
    let device = open(provider, false)?;
    let package = Package::open(&packages.join("ct-chest"))?;
    let mut model = device.load(&package.network(provider)?.1)?;
    let reads = package.manifest.volume().ok_or("the package reads no volumes")?;
    let [depth, rows, columns] = reads.input.patch;
    let size = [columns, rows, depth];
    let grid = Grid { dims: size.map(|n| n * 5 / 2), spacing_mm: [reads.input.spacing_mm; 3] };
    let hu = (0..grid.len()).map(|i| (((i * 2_654_435_761) >> 9) % 1400) as i16 - 1000).collect::<Vec<i16>>();
    let pass = Pass {
        grid: &grid,
        hu: &Arc::new(hu),
        size,
        overlap: reads.input.overlap,
        windows: &reads.input.windows_hu,
        channels: reads.outputs.channels.len(),
    };
    let origins = models::postprocess::patches::origins(&grid, size, reads.input.overlap);
    let timed = |model: &mut ByRuns<'_>| -> Outcome<_> {
        let begun = Instant::now();
        let maps = models::patchwork::blended(&pass, &origins, model, &Unattended)?;
        Ok((maps, ms(begun.elapsed()), model.1))
    };
    // The first one compiles.
    timed(&mut ByRuns(model.as_mut(), 0))?;
    let (stayed, on_card_ms, runs) = timed(&mut ByRuns(model.as_mut(), 0))?;
    let (crossed, by_runs_ms, _) = timed(&mut ByRuns(model.as_mut(), 1))?;
    let equal = stayed == crossed;
    println!(
        "{}",
        json!({ "step": "patches", "patches": origins.len(), "on_card_ms": on_card_ms, "by_runs_ms": by_runs_ms,
                "stayed": runs == 0, "equal": equal })
    );
    if equal && runs == 0 { Ok(()) } else { Err("the patches did not stay on the card, or gave other maps".into()) }
}

fn load(packages: &Path, provider: &str, seconds: f64) -> Outcome<()> {
    let device = open(provider, false)?;
    let package = Package::open(&packages.join("ct-chest"))?;
    let mut model = device.load(&package.network(provider)?.1)?;
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let (patches, mean) = keep_busy(&package, model.as_mut(), &|| Instant::now() >= end)?;
    println!("{}", json!({ "step": "load", "patches": patches, "mean_ms": mean }));
    Ok(())
}

fn pictures(packages: &Path, provider: &str, seconds: f64, beside: bool) -> Outcome<()> {
    let device = open(provider, true)?;
    let package = Package::open(&packages.join("us-breast"))?;
    let ct = Package::open(&packages.join("ct-chest"))?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let other = beside.then(|| {
            scope.spawn(|| -> Result<(u32, f64), String> {
                let busy = || -> Outcome<_> {
                    let mut model = open(provider, false)?.load(&ct.network(provider)?.1)?;
                    keep_busy(&ct, model.as_mut(), &|| stop.load(Ordering::Relaxed))
                };
                busy().map_err(|error| error.to_string())
            })
        });
        // Its network is loaded and its first patch is over.
        std::thread::sleep(Duration::from_secs_f64(if beside { (seconds / 2.0).min(4.0) } else { 0.0 }));
        let measured = package
            .manifest
            .fitting(provider)
            .into_iter()
            .try_for_each(|variant| one(&*device, &package, variant, seconds));
        stop.store(true, Ordering::Relaxed);
        measured?;
        let Some(other) = other else { return Ok(()) };
        let (patches, mean) = other.join().map_err(|_| "the CT network's thread panicked")??;
        println!("{}", json!({ "step": "beside", "patches": patches, "mean_ms": mean }));
        Ok(())
    })
}

/// One network on pictures that follow each other without a pause: prepare, run, read the answer.
fn one(device: &dyn Accelerator, package: &Package, variant: &Variant, seconds: f64) -> Outcome<()> {
    let begun = Instant::now();
    let mut model = device.load(&package.read(&variant.network)?)?;
    let loaded = begun.elapsed();
    let mut task = Task::new(&package.manifest, SECTOR)?;
    let grey: Vec<u8> = (0..SECTOR.width * SECTOR.height).map(|i| ((i * 2_654_435_761) >> 7) as u8).collect();
    let mut times = Vec::new();
    let mut picture = || -> Outcome<f64> {
        let begun = Instant::now();
        task.prepare(&grey);
        let map = task.infer(model.as_mut())?;
        std::hint::black_box(task.lesions(&map, Some(0.06)));
        Ok(ms(begun.elapsed()))
    };
    let first = picture()?;
    for _ in 0..10 {
        picture()?;
    }
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < end {
        times.push(picture()?);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1)));
    println!(
        "{}",
        json!({ "step": "picture", "network": variant.network, "load_ms": ms(loaded), "first_ms": first,
                "pictures": times.len(), "p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": times.last() })
    );
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
