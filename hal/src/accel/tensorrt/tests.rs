//! The life of an engine with everything but NVIDIA's library and card: the folder, the files and the model are the real ones.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::plan::Binding;
use super::store::Store;
use super::supply::{Engine, Maker, Wanted};
use super::workshop::Built;
use super::{Model, TensorRt};
use crate::accel::{
    AccelFault, Accelerator, AcceleratorConfig, Error, LoadedModel, PROBE, Port, Signature, Tensor, Watch, Wishes,
};
use crate::contract::{self, Known};

/// What the scripted library does, and what it was asked.
#[derive(Debug, Default)]
struct Script {
    driver: String,
    builds: usize,
    loads: usize,
    /// The next loads fail so, the next one last.
    loads_fail: Vec<AccelFault>,
    /// Kernels and timings that it was given.
    kernels: Vec<Vec<u8>>,
    timings: Vec<Vec<u8>>,
}

/// A library and a card by script: builds engines of text, and loads those that it has built.
#[derive(Debug, Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    fn with(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.0.lock().unwrap());
    }

    fn counts(&self) -> (usize, usize) {
        let script = self.0.lock().unwrap();
        (script.builds, script.loads)
    }

    fn device(&self, cache: Option<&Path>) -> TensorRt {
        let config = AcceleratorConfig { cache: cache.map(Path::to_owned), ..AcceleratorConfig::default() };
        TensorRt::on(Arc::new(self.clone()), "TensorRT 0 by script".into(), vec!["driver 1".into()], &config)
    }

    fn model(&self, folder: &TempDir, shapes: &[Vec<usize>], watch: Watch<'_>) -> Result<Model, Error> {
        Model::load(Arc::new(self.clone()), Some(Store::new(folder.path())), PROBE, shapes, watch)
    }
}

impl Maker for Scripted {
    fn binding(&self, network: &str, shapes: &str) -> Binding {
        Binding {
            library: "TensorRT 0 by script".into(),
            device: "a card".into(),
            capability: "0.0".into(),
            driver: self.0.lock().unwrap().driver.clone(),
            network: network.into(),
            shapes: shapes.into(),
            workspace_mib: 1,
        }
    }

    fn examine(&self, onnx: &[u8]) -> Result<Signature, Error> {
        if onnx != PROBE {
            return Err(Error::new(AccelFault::BadModel, "the script knows one network"));
        }
        let port = |name: &str| Port { name: name.into(), shape: vec![-1, 2] };
        Ok(Signature { inputs: vec![port("x")], outputs: vec![port("y")] })
    }

    fn build(&self, _: &[u8], shapes: &[Vec<i64>], timings: &[u8], watch: Watch<'_>) -> Result<Built, Error> {
        self.with(|script| script.timings.push(timings.to_vec()));
        for step in 0..4 {
            if !watch(f64::from(step) / 4.0) {
                return Err(Error::new(AccelFault::Cancelled, "ended by the caller"));
            }
        }
        self.with(|script| script.builds += 1);
        Ok(Built { plan: format!("an engine for {shapes:?}").into_bytes(), timings: b"timings".to_vec() })
    }

    fn load(&self, plan: &[u8], kernels: &[u8], want: &Wanted<'_>) -> Result<Box<dyn Engine>, Error> {
        let mut script = self.0.lock().unwrap();
        script.loads += 1;
        script.kernels.push(kernels.to_vec());
        if let Some(fault) = script.loads_fail.pop() {
            return Err(Error::new(fault, "null, by script"));
        }
        assert_eq!(plan, format!("an engine for {:?}", want.shapes).as_bytes(), "a plan that nobody has built");
        Ok(Box::new(PlusOne { shape: want.shapes[0].clone(), compiled: kernels.is_empty() }))
    }
}

#[derive(Debug)]
struct PlusOne {
    shape: Vec<i64>,
    compiled: bool,
}

impl Engine for PlusOne {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        let given: Vec<i64> = inputs[0].shape.iter().map(|extent| *extent as i64).collect();
        assert_eq!(given, self.shape, "an engine runs only with the extents it was built for");
        Ok(vec![Tensor { data: inputs[0].data.iter().map(|v| v + 1.0).collect(), ..inputs[0].clone() }])
    }

    fn kernels(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.compiled).then(|| b"kernels".to_vec())
    }
}

fn rows(count: usize) -> Tensor {
    Tensor { shape: vec![count, 2], data: vec![0.5; count * 2] }
}

const GO_ON: Watch<'static> = &|_| true;

/// The one engine file in the folder.
fn file(folder: &TempDir) -> std::path::PathBuf {
    let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut engines = files.filter(|path| path.extension().is_some_and(|extension| extension == "engine"));
    let one = engines.next().unwrap();
    assert_eq!(engines.next(), None);
    one
}

#[test]
fn sim_the_life_of_an_engine_keeps_the_contract_of_accelerators() {
    let folder = tempfile::tempdir().unwrap();
    let known = Known { onnx: PROBE, answer: |v| v + 1.0 };
    for cache in [None, Some(folder.path())] {
        let device = Scripted::default().device(cache);
        device.prove().unwrap();
        contract::accelerator(&device, &known);
        contract::accelerator_checks_shapes(&device, &known);
    }
}

#[test]
fn a_kept_engine_is_loaded_and_not_built_again() {
    let (folder, script) = (tempfile::tempdir().unwrap(), Scripted::default());
    for starts in 1..4 {
        let mut model = script.model(&folder, &[vec![1, 2]], GO_ON).unwrap();
        assert_eq!(script.counts(), (1, starts), "built once, loaded at the load");
        model.run(&[rows(1)]).unwrap();
        assert_eq!(script.counts(), (1, starts), "and not at a run");
    }
}

#[test]
fn an_engine_of_another_driver_is_refused_and_replaced() {
    let (folder, script) = (tempfile::tempdir().unwrap(), Scripted::default());
    for (driver, builds) in [("1", 1), ("2", 2), ("2", 2), ("1", 3)] {
        script.with(|script| script.driver = driver.into());
        script.model(&folder, &[vec![1, 2]], GO_ON).unwrap();
        assert_eq!(script.counts().0, builds, "driver {driver}");
    }
    assert!(file(&folder).exists(), "one file, replaced each time");
}

#[test]
fn an_engine_file_that_was_changed_is_refused_and_built_again() {
    let (folder, script) = (tempfile::tempdir().unwrap(), Scripted::default());
    script.model(&folder, &[vec![1, 2]], GO_ON).unwrap();
    let file = file(&folder);
    let whole = std::fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let broken = [flipped, whole[..whole.len() - 1].to_vec(), Vec::new(), b"an engine of NVIDIA alone".to_vec()];
    for (number, bytes) in broken.into_iter().enumerate() {
        std::fs::write(&file, bytes).unwrap();
        // The script panics when it is given a plan that it has not built.
        script.model(&folder, &[vec![1, 2]], GO_ON).unwrap();
        assert_eq!(script.counts().0, number + 2, "built again");
        assert_eq!(std::fs::read(&file).unwrap(), whole, "and kept whole");
    }
}

#[test]
fn a_kept_engine_that_loads_to_nothing_is_built_again() {
    let (folder, script) = (tempfile::tempdir().unwrap(), Scripted::default());
    script.model(&folder, &[vec![1, 2]], GO_ON).unwrap();
    script.with(|script| script.loads_fail = vec![AccelFault::Device]);
    let mut model = script.model(&folder, &[vec![1, 2]], GO_ON).unwrap();
    assert_eq!(script.counts(), (2, 3));
    assert_eq!(model.run(&[rows(1)]).unwrap()[0].data, [1.5, 1.5]);
}

#[test]
fn a_card_that_is_full_or_away_is_no_reason_to_build_again() {
    let (folder, script) = (tempfile::tempdir().unwrap(), Scripted::default());
    script.model(&folder, &[vec![1, 2]], GO_ON).unwrap();
    for fault in [AccelFault::OutOfMemory, AccelFault::NotPresent] {
        script.with(|script| script.loads_fail = vec![fault]);
        let error = script.model(&folder, &[vec![1, 2]], GO_ON).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (fault, "null, by script"));
        assert_eq!(script.counts().0, 1, "{fault:?}");
    }
    script.model(&folder, &[vec![1, 2]], GO_ON).unwrap();
    assert_eq!(script.counts().0, 1, "and the kept one is still there");
}

#[test]
fn a_new_engine_that_loads_to_nothing_is_an_error_and_is_not_kept() {
    let (folder, script) = (tempfile::tempdir().unwrap(), Scripted::default());
    for fault in [AccelFault::Device, AccelFault::OutOfMemory] {
        script.with(|script| script.loads_fail = vec![fault]);
        assert_eq!(script.model(&folder, &[vec![1, 2]], GO_ON).unwrap_err().kind(), fault);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing of it is kept");
    }
}

#[test]
fn a_build_that_the_caller_ends_leaves_nothing() {
    let (folder, script) = (tempfile::tempdir().unwrap(), Scripted::default());
    let device = script.device(Some(folder.path()));
    let shapes = [vec![1, 2]];
    let ended = device.load_with(PROBE, &Wishes { shapes: &shapes, watch: &|fraction| fraction < 0.5 }).unwrap_err();
    assert_eq!(ended.kind(), AccelFault::Cancelled);
    assert_eq!((script.counts(), std::fs::read_dir(folder.path()).unwrap().count()), ((0, 0), 0));
    device.load_with(PROBE, &Wishes { shapes: &shapes, watch: GO_ON }).unwrap();
    assert_eq!(script.counts(), (1, 1));
}

#[test]
fn engines_for_extents_that_are_known_are_ready_at_the_load_with_one_progress() {
    let (folder, script) = (tempfile::tempdir().unwrap(), Scripted::default());
    let told = Mutex::new(Vec::new());
    let watch = |fraction: f64| {
        told.lock().unwrap().push(fraction);
        true
    };
    // One that does not fit, and one twice.
    let shapes = [vec![1, 2], vec![3, 2], vec![3, 3], vec![1, 2]];
    let mut model = script.model(&folder, &shapes, &watch).unwrap();
    assert_eq!(script.counts(), (2, 2));
    let told = told.into_inner().unwrap();
    assert!(told.windows(2).all(|pair| pair[0] <= pair[1]) && told.iter().all(|f| (0.0..=1.0).contains(f)), "{told:?}");
    assert!(told.contains(&0.5), "the second begins at half: {told:?}");
    for count in [1, 3, 1] {
        model.run(&[rows(count)]).unwrap();
    }
    assert_eq!(script.counts(), (2, 2), "no run builds");
}

#[test]
fn engines_in_memory_are_bounded_and_the_last_used_stay() {
    let (folder, script) = (tempfile::tempdir().unwrap(), Scripted::default());
    let mut model = script.model(&folder, &[], GO_ON).unwrap();
    assert_eq!(script.counts(), (0, 0), "open extents that nobody knows wait for the first run");
    for count in 1..=8 {
        model.run(&[rows(1)]).unwrap();
        assert_eq!(model.run(&[rows(count)]).unwrap(), vec![Tensor { data: vec![1.5; count * 2], ..rows(count) }]);
        assert!(model.engines() <= 4, "{}", model.engines());
    }
    let (builds, loads) = script.counts();
    assert_eq!((builds, loads), (8, 8), "the one in use was never unloaded");
    model.run(&[rows(2)]).unwrap();
    assert_eq!(script.counts(), (8, 9), "an engine that had to go comes back from the disk");
}

#[test]
fn what_was_measured_and_compiled_is_used_by_the_next_start() {
    let (folder, script) = (tempfile::tempdir().unwrap(), Scripted::default());
    for _ in 0..2 {
        let mut model = script.model(&folder, &[vec![1, 2], vec![2, 2]], GO_ON).unwrap();
        for count in [1, 2, 1] {
            model.run(&[rows(count)]).unwrap();
        }
    }
    let script = script.0.lock().unwrap();
    assert_eq!(script.timings, [&b""[..], b"timings"], "the second build knows what the first has measured");
    assert_eq!(script.kernels, [&b""[..], b"", b"kernels", b"kernels"], "the second start knows what was compiled");
}

#[test]
fn without_a_folder_that_can_be_written_it_works_and_builds_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    std::fs::write(&file, b"").unwrap();
    let script = Scripted::default();
    for builds in 1..3 {
        let device = script.device(Some(&file));
        let mut model = device.load(PROBE).unwrap();
        assert_eq!(model.run(&[rows(1)]).unwrap()[0].data, [1.5, 1.5]);
        assert_eq!(script.counts().0, builds);
    }
}

#[test]
fn without_the_library_the_next_provider_is_tried_and_the_remedy_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let config = AcceleratorConfig {
        provider: "tensorrt".into(),
        library: folder.path().join("libonnxruntime.so"),
        tensorrt: folder.path().into(),
        ..AcceleratorConfig::default()
    };
    if std::env::var_os(super::TENSORRT_KEY).is_some() || std::env::var_os(crate::accel::ENVIRONMENT_KEY).is_some() {
        // The environment wins over what is configured here; `TensorRt::open` alone is what is left to see.
        assert!(TensorRt::open(&config).is_err());
        return;
    }
    let error = crate::accel::open(&config).unwrap_err();
    assert_eq!(error.kind(), AccelFault::NotPresent);
    let text = error.to_string();
    assert!(text.starts_with("tensorrt requested; TensorRT and its parser of ONNX are not at"), "{text}");
    assert!(text.contains("accelerator.tensorrt") && text.contains("libonnxruntime.so"), "both are told: {text}");
}
