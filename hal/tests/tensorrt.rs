//! TensorRT itself, as far as it works without a card: NVIDIA's own library parses every shipped network and builds engines of it, through
//! the code that the daemon uses. `make gpu-check` fetches the library and runs this; without it these tests are skipped.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use hal::accel::tensorrt::abi::Family;
use hal::accel::tensorrt::{Built, Order, TENSORRT_KEY, Target, Version, Workshop};
use hal::accel::{AccelFault, Error, Watch};
use needs::Lack;

/// Turing, Ampere (server, desktop), Ada, Blackwell.
const CAPABILITIES: [(u32, u32); 5] = [(7, 5), (8, 0), (8, 6), (8, 9), (12, 0)];
/// Orin, Hopper, Thor: this TensorRT has no engines for them.
const NOT_FOR: [(u32, u32); 3] = [(8, 7), (9, 0), (11, 0)];
/// Turing has no 3-D convolution in FP32; cards get FP16.
const NO_ENGINE: [(&str, (u32, u32)); 1] = [("chest.onnx", (7, 5))];
/// Stands for open extents: the patch of the CT network.
const EXTENT: i64 = 96;
const WORKSPACE: usize = 1 << 30;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The folder that the environment names, or what `make gpu-check` has downloaded.
fn folder() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(TENSORRT_KEY).filter(|value| !value.is_empty()) {
        return Some(named.into());
    }
    let folders = std::fs::read_dir(root().join(".cache/tensorrt")).ok()?.flatten().map(|entry| entry.path());
    folders.filter(|folder| folder.join("libtensorrt_rtx.so.1").is_file()).max()
}

fn workshop() -> Option<Workshop> {
    match folder() {
        Some(folder) => Some(Workshop::open(&folder).unwrap_or_else(|error| panic!("{error}"))),
        None => {
            needs::skip(Lack::LargePeer, "TensorRT is not here: `make gpu-check` downloads 147 MB");
            None
        }
    }
}

fn networks() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let packages = std::fs::read_dir(root().join("models/packages")).unwrap().flatten().map(|entry| entry.path());
    for folder in packages.chain(["hal/src/accel", "models/src"].map(|folder| root().join(folder))) {
        for file in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if file.extension().is_some_and(|extension| extension == "onnx") {
                found.push(file);
            }
        }
    }
    found.sort();
    assert!(found.len() >= 6, "{found:?}");
    found
}

fn probe() -> Vec<u8> {
    std::fs::read(root().join("hal/src/accel/probe.onnx")).unwrap()
}

/// The largest network: its build has many steps.
fn large() -> Vec<u8> {
    let size = |file: &PathBuf| std::fs::metadata(file).map_or(0, |meta| meta.len());
    std::fs::read(networks().into_iter().max_by_key(size).unwrap()).unwrap()
}

fn shapes(shop: &Workshop, onnx: &[u8]) -> Vec<Vec<i64>> {
    let close = |(axis, extent): (usize, &i64)| match (*extent, axis) {
        (0.., _) => *extent,
        (_, 0) => 1,
        _ => EXTENT,
    };
    let inputs = shop.examine(onnx).unwrap().signature.inputs;
    inputs.iter().map(|port| port.shape.iter().enumerate().map(close).collect()).collect()
}

fn build(shop: &Workshop, onnx: &[u8], capability: (u32, u32), watch: Watch<'_>) -> Result<Built, Error> {
    let shapes = shapes(shop, onnx);
    let target = Target::Capability(capability.0, capability.1);
    shop.build(onnx, &Order { shapes: &shapes, target, workspace: WORKSPACE, timings: &[] }, watch)
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn every_shipped_network_becomes_an_engine_for_every_card() {
    let Some(shop) = workshop() else { return };
    println!("{} at {}", shop.version(), shop.path().display());
    println!(
        "{:<28} {:>6}  {:<34} {:>8} {:>9} {:>8}  engines for",
        "network", "layers", "types", "seconds", "engine MB", "peak MiB"
    );
    let mut wrong = Vec::new();
    for file in networks() {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let onnx = std::fs::read(&file).unwrap();
        let examined = shop.examine(&onnx).unwrap_or_else(|error| panic!("{name}: {error}"));
        let types: Vec<String> = examined.types.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        if name.contains("fp16") {
            // Inputs and outputs stay FP32, and what would lose too much.
            let count = |kind: &str| examined.types.get(kind).copied().unwrap_or_default();
            assert!(count("FP16") > 4 * count("FP32"), "{name} is FP16, its layers are {types:?}");
        }
        if name.contains("int8") {
            assert!(examined.types.contains_key("INT8"), "{name} is INT8, its layers are {types:?}");
        }
        // The peak from here on (proc(5), clear_refs).
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let begun = Instant::now();
        let (mut largest, mut made) = (0, String::new());
        for capability in CAPABILITIES {
            let known = NO_ENGINE.contains(&(name.as_str(), capability));
            match build(&shop, &onnx, capability, &|_| true) {
                Ok(built) => {
                    largest = largest.max(built.plan.len());
                    let _ = write!(made, "{}.{} ", capability.0, capability.1);
                    assert!(!known, "{name}: there is an engine for {capability:?} now");
                }
                Err(error) if known => {
                    assert_eq!(error.kind(), AccelFault::BadModel, "{error}");
                    let _ = write!(made, "(none for {}.{}, as is known) ", capability.0, capability.1);
                }
                Err(error) => {
                    println!("{name}: {capability:?}: {error}");
                    wrong.push(format!("{name}: {capability:?}: {error}"));
                }
            }
        }
        println!(
            "{name:<28} {:>6}  {:<34} {:>8.2} {:>9.1} {:>8}  {made}",
            examined.layers,
            types.join(", "),
            begun.elapsed().as_secs_f64(),
            largest as f64 / 1e6,
            peak_mib()
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_capability_that_the_library_does_not_know_is_refused_before_a_build() {
    let Some(shop) = workshop() else { return };
    for capability in NOT_FOR {
        let error = build(&shop, &probe(), capability, &|_| true).unwrap_err();
        assert_eq!(error.kind(), AccelFault::NotPresent, "{error}");
        let words = format!("does not know compute capability {}.{}", capability.0, capability.1);
        assert!(error.to_string().contains(&words), "{error}");
    }
}

#[test]
fn progress_only_grows_and_comes_to_its_end() {
    let Some(shop) = workshop() else { return };
    let told = Mutex::new(Vec::new());
    build(&shop, &large(), (8, 6), &|fraction| {
        told.lock().unwrap().push(fraction);
        true
    })
    .unwrap();
    let told = told.into_inner().unwrap();
    println!(
        "told {} times: {:.3?} ... {:.3?}",
        told.len(),
        &told[..told.len().min(6)],
        &told[told.len().saturating_sub(6)..]
    );
    assert!(told.windows(2).all(|pair| pair[0] <= pair[1]), "{told:?}");
    assert_eq!((told.first(), told.last()), (Some(&0.0), Some(&1.0)));
    let steps = told.iter().map(|fraction| (fraction * 1e6) as u64).collect::<std::collections::BTreeSet<_>>();
    assert!(steps.len() > 5, "only {steps:?}");
}

#[test]
fn a_build_that_its_caller_ends_ends_at_once_and_the_next_one_works() {
    let Some(shop) = workshop() else { return };
    let onnx = large();
    let begun = Instant::now();
    build(&shop, &onnx, (8, 6), &|_| true).unwrap();
    let whole = begun.elapsed();
    for after in [0.0, 0.01, 0.3] {
        let begun = Instant::now();
        let ended = build(&shop, &onnx, (8, 6), &|fraction| fraction < after).unwrap_err();
        println!("ended at {after}: {:?} of {whole:?}: {ended}", begun.elapsed());
        assert_eq!(ended.kind(), AccelFault::Cancelled, "{ended}");
    }
    let panics = build(&shop, &onnx, (8, 6), &|fraction| {
        if fraction > 0.0 {
            std::panic::resume_unwind(Box::new("a caller that panics on a thread of the library"));
        }
        true
    });
    assert_eq!(panics.unwrap_err().kind(), AccelFault::Cancelled);
    assert!(build(&shop, &probe(), (8, 6), &|_| true).is_ok(), "nothing of it is left");
}

#[test]
fn what_is_no_network_is_refused_in_the_words_of_the_parser() {
    let Some(shop) = workshop() else { return };
    let onnx = large();
    let mut cut = onnx.clone();
    cut.truncate(onnx.len() / 2);
    for (what, bytes) in [("words", b"no network".to_vec()), ("nothing", Vec::new()), ("half", cut)] {
        let error = shop.examine(&bytes).unwrap_err();
        println!("{what}: {error}");
        assert_eq!(error.kind(), AccelFault::BadModel, "{what}: {error}");
        assert!(error.to_string().starts_with("network refused by TensorRT"), "{what}: {error}");
        assert!(!error.to_string().contains("gave no reason"), "{what}: {error}");
    }
    // `Add` of the probe becomes an operator that nobody knows.
    let mut unknown = probe();
    let at = unknown.windows(3).position(|word| word == b"Add").unwrap();
    unknown[at..at + 3].copy_from_slice(b"Foo");
    let error = shop.examine(&unknown).unwrap_err();
    println!("unknown operator: {error}");
    assert_eq!(error.kind(), AccelFault::BadModel);
    assert!(error.to_string().contains("node 0") && error.to_string().contains("Foo"), "{error}");
}

#[test]
fn an_engine_is_not_loaded_without_a_driver_and_the_library_says_why() {
    let Some(shop) = workshop() else { return };
    if hal::cuda::Device::open(0).is_ok() {
        needs::skip(Lack::Host, "a card is here; `make gpu` loads engines");
        return;
    }
    let plan = build(&shop, &probe(), (8, 6), &|_| true).unwrap().plan;
    let mut flipped = plan.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    for (what, bytes) in [("whole", plan), ("flipped", flipped), ("foreign", b"an engine of someone else".repeat(50))] {
        let error = shop.try_to_load(&bytes).expect_err("nothing runs here");
        println!("{what}: {error:?}: {error}");
        assert_ne!(error.kind(), AccelFault::BadModel, "the network is not to blame: {error}");
        assert!(!error.to_string().contains("gave no reason"), "{what}: {error}");
    }
}

/// Counts the library's lines by their level.
#[derive(Debug, Default)]
struct Journal(Mutex<BTreeMap<tracing::Level, Vec<String>>>);

#[derive(Default)]
struct Text(String);

impl tracing::field::Visit for Text {
    fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{value:?}");
    }
}

impl tracing::Subscriber for Journal {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        if event.metadata().target() == "tensorrt" {
            let mut text = Text::default();
            event.record(&mut text);
            self.0.lock().unwrap().entry(*event.metadata().level()).or_default().push(text.0);
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn every_line_of_the_library_is_in_the_journal_with_its_severity() {
    let Some(shop) = workshop() else { return };
    let journal = std::sync::Arc::new(Journal::default());
    // Lines come from threads of the library, too.
    tracing::subscriber::set_global_default(journal.clone()).unwrap();
    build(&shop, &probe(), (8, 6), &|_| true).unwrap();
    let _ = shop.examine(b"no network");
    let lines = journal.0.lock().unwrap();
    let count = |level| lines.get(&level).map_or(0, Vec::len);
    println!("lines: {:?}", lines.iter().map(|(level, lines)| (level, lines.len())).collect::<Vec<_>>());
    assert!(count(tracing::Level::ERROR) >= 1, "the parser's complaint: {lines:?}");
    assert!(count(tracing::Level::INFO) >= 1 && count(tracing::Level::TRACE) >= 20, "what it does: {lines:?}");
}

/// `gpu_check.sh` compiles `places.cpp` with NVIDIA's headers of each version, and leaves what that prints in this folder.
#[test]
fn the_places_of_functions_are_those_of_the_headers_of_nvidia() {
    let named = std::env::var_os("SCANSIDE_TENSORRT_PLACES").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| root().join(".cache/tensorrt/places"));
    let Ok(files) = std::fs::read_dir(&folder) else {
        needs::skip(Lack::LargePeer, "the headers of TensorRT are not here: `make gpu-check` fetches them");
        return;
    };
    let mut versions = Vec::new();
    for file in files.flatten().map(|entry| entry.path()) {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut lines = text.lines().map(|line| line.split_once(' ').unwrap());
        let (first, version) = lines.next().unwrap();
        assert_eq!(first, "version");
        let version = Version::of(version.parse().unwrap());
        let family = Family::of(version).unwrap();
        let headers: BTreeMap<&str, Option<usize>> = lines.map(|(name, place)| (name, place.parse().ok())).collect();
        let mut constants = BTreeMap::from([
            ("strongly_typed", Some(family.strongly_typed() as usize)),
            ("sizeof_dims", Some(72)),
            ("offset_implementation", Some(8)),
        ]);
        constants.extend(family.places().rows());
        for (name, place) in constants {
            // A place that this version lacks is never called.
            let Some(place) = place else { continue };
            let theirs = headers.get(name).unwrap_or_else(|| panic!("places.cpp does not know {name}"));
            assert_eq!(Some(place), *theirs, "{version}: {name}");
        }
        versions.push(version.to_string());
    }
    versions.sort();
    println!("places are right for {versions:?}");
    assert!(versions.len() >= 6, "{versions:?}");
}

#[test]
fn extents_that_the_network_does_not_take_are_refused() {
    let Some(shop) = workshop() else { return };
    for shapes in [vec![vec![1, 3]], vec![vec![2]], vec![], vec![vec![0, 2]]] {
        let order = Order { shapes: &shapes, target: Target::Capability(8, 6), workspace: WORKSPACE, timings: &[] };
        assert_eq!(shop.build(&probe(), &order, &|_| true).unwrap_err().kind(), AccelFault::BadInput, "{shapes:?}");
    }
}
