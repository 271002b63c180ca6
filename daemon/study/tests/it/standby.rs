//! A box whose GPU fails: what becomes of the runs of a package, what results and the level say, and the way back. The GPU is ONNX
//! Runtime on the CPU under another name, made to fail; packages, golden run and registry are real.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ::models::specimen::Specimen;
use ::models::task::{CT_CHEST, US_BREAST};
use hal::accel::{self, AccelFault, Accelerator, AcceleratorConfig, Description, Error, Tensor};
use hal::clock::Manual;
use hal::{LoadedModel, accel::Signature};
use study::model::Shelf;
use study::model::for_live::FromShelf;
use study::settings::Settings;

use crate::models::{has_library, settings_in};

/// Whether runs, and loads, fail for want of memory.
#[derive(Debug, Clone, Default)]
struct Card {
    fails_runs: Arc<AtomicBool>,
    fails_loads: Arc<AtomicBool>,
    /// It computes something else.
    is_wrong: Arc<AtomicBool>,
    /// A load waits for this lock.
    hangs: Arc<Mutex<()>>,
}

fn full() -> Error {
    Error::new(AccelFault::OutOfMemory, "no memory left on the card")
}

#[derive(Debug)]
struct Gpu(Box<dyn Accelerator>, Card);

impl Accelerator for Gpu {
    fn describe(&self) -> Description {
        Description { provider: "cuda".into(), ..self.0.describe() }
    }

    fn load(&self, onnx: &[u8]) -> Result<Box<dyn LoadedModel>, Error> {
        drop(self.1.hangs.lock());
        if self.1.fails_loads.load(Ordering::SeqCst) {
            return Err(full());
        }
        Ok(Box::new(OnGpu(self.0.load(onnx)?, self.1.clone())))
    }
}

#[derive(Debug)]
struct OnGpu(Box<dyn LoadedModel>, Card);

impl LoadedModel for OnGpu {
    fn inputs(&self) -> &[String] {
        self.0.inputs()
    }

    fn outputs(&self) -> &[String] {
        self.0.outputs()
    }

    fn signature(&self) -> Option<Signature> {
        self.0.signature()
    }

    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        if self.1.fails_runs.load(Ordering::SeqCst) {
            return Err(full());
        }
        let mut answer = self.0.run(inputs)?;
        if self.1.is_wrong.load(Ordering::SeqCst) {
            answer[0].data.iter_mut().for_each(|value| *value = 1.0 - *value);
        }
        Ok(answer)
    }
}

struct Home {
    _folder: tempfile::TempDir,
    settings: Settings,
    card: Card,
}

impl Home {
    /// `None`, reported as skipped, without ONNX Runtime.
    fn new() -> Option<Self> {
        if !has_library() {
            needs::skip(needs::Lack::Software, "ONNX Runtime not present");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        Specimen::default().write(&folder.path().join("packages/specimen")).unwrap();
        let mut settings = settings_in(folder.path(), &std::collections::BTreeMap::new());
        settings.accelerator.provider = "cuda".into();
        Some(Self { _folder: folder, settings, card: Card::default() })
    }

    fn shelf(&self) -> Shelf {
        let card = self.card.clone();
        let open = move |config: &AcceleratorConfig| {
            let cpu = accel::open(&AcceleratorConfig { provider: "cpu".into(), ..config.clone() })?;
            Ok(match config.provider.as_str() {
                "cuda" => Box::new(Gpu(cpu, card.clone())) as Box<dyn Accelerator>,
                _ => cpu,
            })
        };
        Shelf::open(&self.settings).unwrap().0.opening(open)
    }
}

fn patch() -> Tensor {
    Tensor { shape: vec![1, 1, 8, 8, 8], data: (0..512u16).map(|n| f32::from(n) / 512.0).collect() }
}

#[test]
fn real_a_study_whose_gpu_fails_is_finished_by_the_cpu_with_the_same_answer() {
    let Some(home) = Home::new() else { return };
    let shelf = home.shelf();
    let mut loaded = shelf.load_active(CT_CHEST).unwrap();
    let due = loaded.model.run(&[patch()]).unwrap();
    assert_eq!((loaded.on().provider.as_str(), shelf.reduced()), ("cuda", None));
    home.card.fails_runs.store(true, Ordering::SeqCst);
    assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
    let on = loaded.on();
    assert_eq!(on.provider, "cuda and cpu");
    assert!(on.library.contains("partly on cpu") && on.library.contains("no memory left on the card"), "{on:?}");
    assert_eq!(shelf.reduced().unwrap(), "the GPU is not used for studies: no memory left on the card");
    // Loaded anew while it still fails.
    let mut again = shelf.load_active(CT_CHEST).unwrap();
    assert_eq!(again.model.run(&[patch()]).unwrap(), due);
    assert_eq!(again.on().provider, "cpu");
    home.card.fails_runs.store(false, Ordering::SeqCst);
    // One network of a task is loaded at a time; those that are still at work on the CPU would keep the level.
    assert!(shelf.reduced().is_some());
    drop((loaded, again));
    let mut back = shelf.load_active(CT_CHEST).unwrap();
    assert_eq!(back.model.run(&[patch()]).unwrap(), due);
    assert_eq!((back.on().provider.as_str(), shelf.reduced()), ("cuda", None));
}

#[test]
fn real_a_card_without_memory_at_the_load_and_the_golden_run_does_not_condemn_the_package() {
    let Some(home) = Home::new() else { return };
    for fails in [&home.card.fails_loads, &home.card.fails_runs] {
        fails.store(true, Ordering::SeqCst);
        let shelf = home.shelf();
        let mut loaded = shelf.load_active(CT_CHEST).unwrap();
        loaded.model.run(&[patch()]).unwrap();
        assert_eq!((loaded.on().provider.as_str(), loaded.key.id.as_str()), ("cpu", "specimen"));
        assert!(shelf.reduced().unwrap().contains("no memory left on the card"));
        assert!(shelf.active(CT_CHEST).unwrap().refusal().is_none());
        fails.store(false, Ordering::SeqCst);
    }
}

#[test]
fn real_a_gpu_that_was_never_there_is_said_before_the_first_study() {
    let Some(home) = Home::new() else { return };
    // The installed library has no CUDA, or the machine no card.
    let shelf = Shelf::open(&home.settings).unwrap().0;
    let loaded = shelf.load_active(CT_CHEST).unwrap();
    if loaded.on().provider == "cuda" {
        return needs::skip(needs::Lack::Software, "this machine has a card");
    }
    let why = shelf.reduced().unwrap();
    assert!(why.starts_with("the GPU is not used for studies: cuda requested; "), "{why}");
}

#[test]
fn real_live_pictures_go_on_on_the_cpu_and_the_overlay_names_it() {
    let Some(home) = Home::new() else { return };
    let mut settings = home.settings.clone();
    settings.analyze.packages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/packages");
    let home = Home { settings, ..home };
    let shelf = home.shelf().for_live(1);
    assert!(shelf.active(US_BREAST).is_ok());
    let mut live = live::supply::Supply::load(&mut FromShelf(shelf.clone())).unwrap();
    let picture = Tensor { shape: vec![1, 1, 256, 256], data: vec![0.25; 65536] };
    let due = live.model.run(std::slice::from_ref(&picture)).unwrap();
    assert!(live.made_by().accelerator.starts_with("cuda, "));
    home.card.fails_runs.store(true, Ordering::SeqCst);
    let answer = live.model.run(&[picture]).unwrap();
    assert_eq!(answer[0].shape, due[0].shape);
    let said = live.made_by().accelerator;
    assert!(said.starts_with("cpu, ") && said.contains("no memory left on the card"), "{said}");
    assert!(shelf.reduced().unwrap().starts_with("the GPU is not used for live pictures: "));
}

#[test]
fn real_a_gpu_that_computes_wrongly_when_it_comes_back_is_not_used() {
    let Some(home) = Home::new() else { return };
    // Proved once, so that the record says it is good.
    drop(home.shelf().load_active(CT_CHEST).unwrap());
    let clock = Manual::default();
    let shelf = home.shelf().timed(Arc::new(clock.clone()), Duration::from_secs(60));
    let mut loaded = shelf.load_active(CT_CHEST).unwrap();
    let due = loaded.model.run(&[patch()]).unwrap();
    home.card.fails_runs.store(true, Ordering::SeqCst);
    assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
    home.card.fails_runs.store(false, Ordering::SeqCst);
    home.card.is_wrong.store(true, Ordering::SeqCst);
    clock.advance(Duration::from_secs(11));
    // It is opened, found to be wrong, and left: the level says why.
    let deadline = Instant::now() + Duration::from_secs(30);
    while !shelf.reduced().is_some_and(|why| why.contains("golden run")) {
        assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
        assert!(Instant::now() < deadline, "{:?}", shelf.reduced());
    }
    home.card.is_wrong.store(false, Ordering::SeqCst);
    clock.advance(Duration::from_secs(60));
    while shelf.reduced().is_some() {
        assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
        assert!(Instant::now() < deadline, "{:?}", shelf.reduced());
    }
}

#[test]
fn real_a_network_that_is_wrong_on_the_gpu_only_condemns_the_gpu() {
    let Some(home) = Home::new() else { return };
    home.card.is_wrong.store(true, Ordering::SeqCst);
    let shelf = home.shelf();
    let loaded = shelf.load_active(CT_CHEST).unwrap();
    assert_eq!(loaded.on().provider, "cpu");
    assert!(shelf.reduced().unwrap().contains("golden run"), "{:?}", shelf.reduced());
    assert!(shelf.active(CT_CHEST).unwrap().refusal().is_none());
}

#[test]
fn real_a_neighbours_request_on_a_gpu_that_computes_wrongly_leaves_the_package_to_the_box() {
    let Some(home) = Home::new() else { return };
    home.card.is_wrong.store(true, Ordering::SeqCst);
    let shelf = home.shelf();
    let mut own = shelf.load_active(CT_CHEST).unwrap();
    let error = shelf.clone().without_standby().load_active(CT_CHEST).unwrap_err();
    assert!(
        matches!(&error, study::model::Error::Accelerator(why) if why.to_string().contains("golden run")),
        "{error}"
    );
    own.model.run(&[patch()]).unwrap();
    let entry = shelf.active(CT_CHEST).unwrap();
    assert_eq!((entry.refusal(), shelf.load_active(CT_CHEST).unwrap().on().provider.as_str()), (None, "cpu"));
}

#[test]
fn real_a_card_that_hangs_at_the_load_holds_up_no_study_and_is_not_asked_again() {
    let Some(home) = Home::new() else { return };
    let clock = Manual::default();
    let shelf = home.shelf().timed(Arc::new(clock.clone()), Duration::from_millis(300));
    let hangs = home.card.hangs.clone();
    let hung = hangs.lock().unwrap();
    let mut loaded = shelf.load_active(CT_CHEST).unwrap();
    loaded.model.run(&[patch()]).unwrap();
    assert_eq!(loaded.on().provider, "cpu");
    assert!(shelf.reduced().unwrap().contains("no progress of its load"), "{:?}", shelf.reduced());
    // The next load does not wait for it at all.
    let next = shelf.load_active(CT_CHEST).unwrap();
    assert!(next.on().fallback.unwrap().contains("does not answer"), "{:?}", next.on());
    drop((loaded, next));
    drop(hung);
    let deadline = Instant::now() + Duration::from_secs(30);
    while shelf.load_active(CT_CHEST).unwrap().on().provider != "cuda" {
        assert!(Instant::now() < deadline, "it answers again");
    }
    assert_eq!(shelf.reduced(), None);
}
