//! TensorRT itself from the configuration to the answer, on a simulated library and a simulated card: every version that is known, every
//! call that may answer with nothing, and the order in which objects and memory go. What NVIDIA's own library does is in `tensorrt.rs`.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hal::accel::tensorrt::TENSORRT_KEY;
use hal::accel::tensorrt::simulated_ffi::Simulated;
use hal::accel::{AccelFault, Accelerator, AcceleratorConfig, Error, Wishes, open};
use hal::contract::{self, Known};
use hal::cuda::simulated_ffi::Driver;
use hal::{LoadedModel, Tensor};
use needs::Lack;
use tempfile::TempDir;

const PROBE: &[u8] = include_bytes!("../src/accel/probe.onnx");
const RTX: i32 = 10_701;
/// One of each form of the tables.
const VERSIONS: [i32; 4] = [100_300, 110_401, 10_400, RTX];

struct Site {
    driver: Driver,
    library: Simulated,
    folder: TempDir,
    taken: i64,
    _turn: MutexGuard<'static, ()>,
}

impl Site {
    /// `None` where the environment names another TensorRT, which wins.
    fn new(version: i32) -> Option<Self> {
        if std::env::var_os(TENSORRT_KEY).is_some_and(|value| !value.is_empty()) {
            needs::skip(Lack::Host, format_args!("{TENSORRT_KEY} is set: it wins over the simulated one"));
            return None;
        }
        static ONE: Mutex<()> = Mutex::new(());
        let turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let driver = Driver::load(place, &[]).unwrap();
        driver.say(c"heal", 0);
        let folder = tempfile::tempdir().unwrap();
        let library = Simulated::load(folder.path(), version).unwrap();
        let taken = driver.say(c"taken", 0);
        Some(Self { driver, library, folder, taken, _turn: turn })
    }

    fn config(&self, live: bool) -> AcceleratorConfig {
        AcceleratorConfig {
            provider: "tensorrt".into(),
            library: self.folder.path().join("no ONNX Runtime"),
            cache: Some(self.folder.path().join("engines")),
            tensorrt: self.library.folder.clone(),
            live,
            ..AcceleratorConfig::default()
        }
    }

    fn open(&self, live: bool) -> Box<dyn Accelerator> {
        open(&self.config(live)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Nothing of the library and of the card is left.
    fn is_empty(&self) {
        assert_eq!(self.library.say(c"alive", 0), 0, "objects of the library");
        assert_eq!(self.library.say_to_parser(c"parsers", 0), 0);
        assert_eq!(self.library.say(c"deleted with children", 0), 0, "what others need goes last");
        assert_eq!(self.driver.say(c"taken", 0), self.taken, "memory of the card");
        for wrong in
            [c"bad address", c"freed twice", c"written beyond", c"destroyed with work", c"waited for a hung card"]
        {
            assert_eq!(self.driver.say(wrong, 0), 0, "{wrong:?}");
        }
    }
}

fn rows(count: usize) -> Tensor {
    Tensor { shape: vec![count, 2], data: vec![0.5; count * 2] }
}

fn run(model: &mut dyn LoadedModel, count: usize) -> Result<Vec<f32>, Error> {
    Ok(model.run(&[rows(count)])?.remove(0).data)
}

#[test]
fn sim_every_known_version_keeps_the_contract_of_accelerators() {
    for version in VERSIONS {
        let Some(site) = Site::new(version) else { return };
        let device = site.open(false);
        let said = device.describe();
        assert_eq!((said.provider.as_str(), said.fallback), ("tensorrt", None), "{version}");
        assert!(device.fingerprint().contains("Simulated card, compute capability 8.7"), "{}", device.fingerprint());
        let known = Known { onnx: PROBE, answer: |v| v + 1.0 };
        contract::accelerator(device.as_ref(), &known);
        contract::accelerator_checks_shapes(device.as_ref(), &known);
        assert!(site.library.say(c"runs", 0) > 5, "the library has run it");
        assert_eq!(site.library.say(c"only our stream", 0), 1, "all of a run is on our stream");
        site.is_empty();
    }
}

#[test]
fn sim_live_work_runs_on_the_stream_that_goes_first() {
    let Some(site) = Site::new(RTX) else { return };
    for (live, priority) in [(false, 0), (true, -5)] {
        let _model = site.open(live).load_with(PROBE, &Wishes { shapes: &[vec![1, 2]], ..Wishes::default() }).unwrap();
        assert_eq!(site.driver.say(c"priority", 0), priority);
    }
    assert_eq!(site.library.say(c"capability", 0), 87, "built for the card that is here");
}

#[test]
fn sim_engines_and_what_was_compiled_are_kept_between_starts() {
    for version in VERSIONS {
        let Some(site) = Site::new(version) else { return };
        let shapes = [vec![1, 2], vec![3, 2]];
        for start in 0..2 {
            site.library.say(c"no plan", start);
            let device = site.open(false);
            let mut model = device.load_with(PROBE, &Wishes { shapes: &shapes, ..Wishes::default() }).unwrap();
            for count in [1, 3, 1] {
                assert_eq!(run(model.as_mut(), count).unwrap(), vec![1.5; count * 2]);
            }
        }
        assert_eq!(
            site.library.say(c"kernels given", 0) > 0,
            version < 100_000,
            "{version}: only RTX compiles at run time"
        );
        site.is_empty();
    }
}

#[test]
fn sim_whatever_answers_with_nothing_is_an_error_in_the_words_of_the_library() {
    for version in VERSIONS {
        let Some(site) = Site::new(version) else { return };
        let device = site.open(false);
        // What, of the parser's library, kind, words.
        let cases = [
            (c"no builder", false, AccelFault::Device, "gave no builder: no builder, by script"),
            (c"no network", false, AccelFault::Device, "gave no empty network"),
            (c"no parser", true, AccelFault::Device, "no parser, by script"),
            (
                c"no parse",
                true,
                AccelFault::BadModel,
                "node 7 (/net/odd, Odd): no importer for this operator, by script",
            ),
            (c"no config", false, AccelFault::Device, "gave no settings"),
            (c"no profile", false, AccelFault::Device, "gave no ranges"),
            (c"no plan", false, AccelFault::OutOfMemory, "built no engine: [optimizer] out of memory, by script"),
            (c"no runtime", false, AccelFault::Device, "cannot run engines: no runtime, by script"),
            (c"no engine", false, AccelFault::Device, "did not load the engine: IRuntime::deserializeCudaEngine"),
            (c"no context", false, AccelFault::Device, "gave no context"),
        ];
        for (number, (what, of_parser, kind, words)) in cases.into_iter().enumerate() {
            let say =
                |value| if of_parser { site.library.say_to_parser(what, value) } else { site.library.say(what, value) };
            say(1);
            // Extents that no engine is kept for.
            let shapes = [vec![10 + number, 2]];
            let error = device.load_with(PROBE, &Wishes { shapes: &shapes, ..Wishes::default() }).unwrap_err();
            say(0);
            assert!(error.to_string().contains(words), "{version} {what:?}: {error}");
            assert_eq!(error.kind(), kind, "{version} {what:?}: {error}");
            site.is_empty();
        }
        // Without timings it is built all the same.
        site.library.say(c"no timings", 9);
        assert!(device.load_with(PROBE, &Wishes { shapes: &[vec![9, 2]], ..Wishes::default() }).is_ok());
    }
}

#[test]
fn sim_a_build_that_its_caller_ends_leaves_nothing_and_the_next_one_is_whole() {
    for version in VERSIONS {
        let Some(site) = Site::new(version) else { return };
        let device = site.open(false);
        let engines = || {
            let files = std::fs::read_dir(site.folder.path().join("engines")).unwrap().flatten();
            files.filter(|file| file.path().extension().is_some_and(|extension| extension == "engine")).count()
        };
        let kept = engines();
        for after in [0.0, 0.3, 0.6] {
            let shapes = [vec![7, 2]];
            let told = Mutex::new(Vec::new());
            let watch = |fraction: f64| {
                told.lock().unwrap().push(fraction);
                fraction < after
            };
            let ended = device.load_with(PROBE, &Wishes { shapes: &shapes, watch: &watch }).unwrap_err();
            assert_eq!(ended.kind(), AccelFault::Cancelled, "{version}: {ended}");
            let told = told.into_inner().unwrap();
            assert!(told.last().is_some_and(|last| *last < 1.0), "{version}: asked to the end: {told:?}");
            site.is_empty();
            assert_eq!(engines(), kept, "{version}: half an engine is kept");
        }
        let mut model = device.load_with(PROBE, &Wishes { shapes: &[vec![7, 2]], ..Wishes::default() }).unwrap();
        assert_eq!(run(model.as_mut(), 7).unwrap(), vec![1.5; 14]);
        assert_eq!(engines(), kept + 1);
        drop((model, device));
        site.is_empty();
    }
}

#[test]
fn sim_a_card_that_the_library_does_not_know_is_a_reason_to_use_another_provider() {
    let Some(site) = Site::new(RTX) else { return };
    site.library.say(c"no capability", 1);
    // ONNX Runtime where it is, otherwise nothing.
    let told = match open(&site.config(false)) {
        Ok(other) => {
            assert_ne!(other.describe().provider, "tensorrt");
            other.describe().fallback.expect("a replacement must be explained")
        }
        Err(error) => {
            assert_eq!(error.kind(), AccelFault::NotPresent);
            error.to_string()
        }
    };
    assert!(
        told.starts_with("tensorrt requested; ") && told.contains("does not know compute capability 8.7"),
        "{told}"
    );
    site.is_empty();
}

#[test]
fn sim_a_run_that_fails_or_finds_no_memory_is_told_and_leaves_nothing_behind() {
    let Some(site) = Site::new(RTX) else { return };
    let device = site.open(false);
    let mut model = device.load(PROBE).unwrap();
    assert_eq!(run(model.as_mut(), 1).unwrap(), [1.5, 1.5]);
    site.library.say(c"no run", 1);
    let error = run(model.as_mut(), 1).unwrap_err();
    assert_eq!(error.kind(), AccelFault::Device);
    assert!(
        error.to_string().contains("the network failed: Error Code 1: Cuda Runtime (simulated failure)"),
        "{error}"
    );
    site.driver.say(c"no memory", 1);
    assert_eq!(run(model.as_mut(), 64).unwrap_err().kind(), AccelFault::OutOfMemory, "new extents need memory");
    site.driver.say(c"no memory", 0);
    assert_eq!(run(model.as_mut(), 64).unwrap(), vec![1.5; 128], "and get it when there is some");
    drop(model);
    site.is_empty();
}

#[test]
fn sim_an_invalid_value_of_the_driver_is_a_failure_of_the_card_and_no_wrong_input() {
    let Some(site) = Site::new(RTX) else { return };
    let device = site.open(false);
    let mut model = device.load(PROBE).unwrap();
    assert_eq!(run(model.as_mut(), 1).unwrap(), [1.5, 1.5]);
    site.driver.say(c"next work fails", 1);
    let error = run(model.as_mut(), 1).unwrap_err();
    assert_eq!(error.kind(), AccelFault::Device, "the CPU is asked then: {error}");
    site.driver.say(c"heal", 0);
    let error = model.run(&[Tensor { shape: vec![1, 3], data: vec![0.5; 3] }]).unwrap_err();
    assert_eq!(error.kind(), AccelFault::BadInput, "{error}");
}

#[test]
fn sim_a_card_that_hangs_does_not_hang_the_caller_and_nothing_it_uses_is_given_back() {
    let Some(site) = Site::new(RTX) else { return };
    let device = site.open(true);
    let mut model = device.load(PROBE).unwrap();
    assert_eq!(run(model.as_mut(), 1).unwrap(), [1.5, 1.5]);
    let taken = site.driver.say(c"taken", 0);
    site.driver.say(c"hung", 1);
    let begun = Instant::now();
    let error = run(model.as_mut(), 1).unwrap_err();
    assert_eq!(error.kind(), AccelFault::Device, "{error}");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    assert!(run(model.as_mut(), 1).is_err(), "and the next run is refused at once");
    let alive = site.library.say(c"alive", 0);
    drop(model);
    assert_eq!(site.driver.say(c"taken", 0), taken, "the card may still write there");
    assert_eq!(site.library.say(c"alive", 0), alive, "the engine stays as long");
    assert_eq!(site.driver.say(c"waited for a hung card", 0), 0);
}
