//! A build that somebody cancels, or that the end of the daemon does: the GPU is ONNX Runtime on the CPU under another name, whose builds take
//! as long as nobody ends them, and hear of it as TensorRT's do. Packages and registry are real.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ::models::registry::{Change, Key, PackageState};
use ::models::specimen::Specimen;
use ::models::task::CT_CHEST;
use custody::level::Gate;
use custody::store::{Durability, Store, events};
use hal::LoadedModel;
use hal::accel::{self, AccelFault, Accelerator, AcceleratorConfig, Description, Wishes};
use study::model::{Error, Models, Shelf};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::models::{has_library, settings_in};

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Default)]
struct Card {
    /// Builds come to an end by themselves.
    is_quick: Arc<AtomicBool>,
    /// Builds go on after they were asked to end.
    is_deaf: Arc<AtomicBool>,
    builds: Arc<AtomicUsize>,
    /// How often the CPU was opened in its place.
    cpu: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Gpu(Box<dyn Accelerator>, Card);

impl Accelerator for Gpu {
    fn describe(&self) -> Description {
        Description { provider: "tensorrt".into(), ..self.0.describe() }
    }

    fn load(&self, onnx: &[u8]) -> Result<Box<dyn LoadedModel>, accel::Error> {
        self.load_with(onnx, &Wishes::default())
    }

    fn load_with(&self, onnx: &[u8], wishes: &Wishes<'_>) -> Result<Box<dyn LoadedModel>, accel::Error> {
        self.1.builds.fetch_add(1, Ordering::SeqCst);
        let begun = Instant::now();
        while !self.1.is_quick.load(Ordering::SeqCst) {
            assert!(begun.elapsed() < PATIENCE, "nobody ended the build");
            if !(wishes.watch)(0.5) && !self.1.is_deaf.load(Ordering::SeqCst) {
                return Err(accel::Error::new(AccelFault::Cancelled, "ended by its caller"));
            }
            std::thread::yield_now();
        }
        self.0.load(onnx)
    }
}

struct Home {
    folder: tempfile::TempDir,
    card: Card,
    shelf: Shelf,
    end: CancellationToken,
    models: Models,
    store: Store,
}

impl Home {
    /// With specimen 1.0.0 as the package that comes with the software, and 2.0.0 and 3.0.0 installed. `None`, reported as skipped, without
    /// ONNX Runtime.
    fn new() -> Option<Self> {
        if !has_library() {
            needs::skip(needs::Lack::Software, "ONNX Runtime not present");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        Specimen::default().write(&folder.path().join("packages/specimen")).unwrap();
        let mut settings = settings_in(folder.path(), &BTreeMap::new());
        settings.accelerator.provider = "tensorrt".into();
        let (card, end) = (Card::default(), CancellationToken::new());
        let own = card.clone();
        let open = move |config: &AcceleratorConfig| {
            let cpu = accel::open(&AcceleratorConfig { provider: "cpu".into(), ..config.clone() })?;
            if config.provider == "cpu" {
                own.cpu.fetch_add(1, Ordering::SeqCst);
                return Ok(cpu);
            }
            Ok(Box::new(Gpu(cpu, own.clone())) as Box<dyn Accelerator>)
        };
        let shelf = Shelf::open(&settings).unwrap().0.opening(open).until(end.clone());
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let (events, _) = broadcast::channel(1024);
        let models = Models::new(shelf.clone(), store.clone(), events, Gate::default());
        let home = Self { folder, card, shelf, end, models, store };
        for version in ["2.0.0", "3.0.0"] {
            let file = home.folder.path().join("a.scanside");
            Specimen::version(version).archive(&file).unwrap();
            home.models.install(std::fs::File::open(&file).unwrap()).unwrap();
        }
        Some(home)
    }

    fn state(&self, version: &str) -> PackageState {
        self.listed(version).state
    }

    fn listed(&self, version: &str) -> study::model::service::Listed {
        self.models.list().into_iter().find(|listed| listed.entry.key == key(version)).unwrap()
    }

    fn is_building_an_engine(&self, version: &str) -> bool {
        matches!(self.state(version), PackageState::Building { stage, .. } if stage == "engine")
    }

    fn was_noted(&self, version: &str, detail: &str) -> bool {
        let events = events::latest(&self.store.connect(Durability::Rebuildable).unwrap(), 99).unwrap();
        let subject = format!("model/specimen {version}");
        events.iter().any(|e| e.subject == subject && e.what == "build cancelled" && e.detail == detail)
    }
}

fn key(version: &str) -> Key {
    Key::new("specimen", version)
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn records(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("models/records")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn sim_a_cancelled_activation_ends_and_what_was_used_before_stays_in_use() {
    let Some(home) = Home::new() else { return };
    home.card.is_deaf.store(true, Ordering::SeqCst);
    home.models.build(&key("2.0.0"), true).unwrap();
    until("an engine is built", || home.is_building_an_engine("2.0.0")).await;
    assert_eq!(home.models.cancel(&key("2.0.0")).unwrap(), Change::Changed);
    until("it is ending", || home.listed("2.0.0").building.is_some_and(|(stage, _)| stage == "ending")).await;
    let another = home.models.build(&key("2.0.0"), true).unwrap_err().to_string();
    assert!(another.contains("has not ended yet"), "{another}");
    home.card.is_deaf.store(false, Ordering::SeqCst);
    until("the build has ended", || !home.models.is_building()).await;
    until("it is said", || home.listed("2.0.0").building.is_none()).await;
    assert_eq!((home.state("1.0.0"), home.state("2.0.0")), (PackageState::Active, PackageState::Installed));
    let why = "cancelled; specimen 1.0.0 is still used";
    assert_eq!(home.listed("2.0.0").entry.failure.as_deref(), Some(why));
    until("it is an event", || home.was_noted("2.0.0", why)).await;
    assert_eq!((records(home.folder.path()), home.card.cpu.load(Ordering::SeqCst)), (0, 0), "nothing was found out");
    // And the next one comes to its end.
    home.card.is_quick.store(true, Ordering::SeqCst);
    home.models.build(&key("2.0.0"), true).unwrap();
    until("it is active", || home.state("2.0.0") == PackageState::Active).await;
    assert_eq!(home.shelf.load_active(CT_CHEST).unwrap().key, key("2.0.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sim_a_build_that_waits_for_its_turn_is_cancelled_at_once_and_never_runs() {
    let Some(home) = Home::new() else { return };
    home.models.build(&key("2.0.0"), false).unwrap();
    until("an engine is built", || home.is_building_an_engine("2.0.0")).await;
    home.models.build(&key("3.0.0"), true).unwrap();
    assert_eq!(home.models.cancel(&key("3.0.0")).unwrap(), Change::Changed);
    assert_eq!(home.state("3.0.0"), PackageState::Installed);
    assert_eq!(home.models.cancel(&key("3.0.0")).unwrap(), Change::Already, "there is none any more");
    assert!(home.is_building_an_engine("2.0.0"), "the other one goes on");
    home.card.is_quick.store(true, Ordering::SeqCst);
    until("the other one is done", || home.state("2.0.0") == PackageState::Ready).await;
    // A third one has its turn after the one that was cancelled.
    home.models.build(&key("1.0.0"), false).unwrap();
    until("a third one is done", || !home.models.is_building()).await;
    assert_eq!((home.state("3.0.0"), home.card.builds.load(Ordering::SeqCst)), (PackageState::Installed, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn sim_the_end_of_the_daemon_ends_builds_and_loads_within_a_moment() {
    let Some(home) = Home::new() else { return };
    home.models.build(&key("2.0.0"), true).unwrap();
    home.models.build(&key("3.0.0"), true).unwrap();
    until("an engine is built", || home.is_building_an_engine("2.0.0")).await;
    // A study that waits for its network.
    let shelf = home.shelf.clone();
    let study = tokio::task::spawn_blocking(move || shelf.load_active(CT_CHEST).map(drop));
    until("the study's engine is built, too", || home.card.builds.load(Ordering::SeqCst) == 2).await;
    let begun = Instant::now();
    home.end.cancel();
    assert!(matches!(study.await.unwrap(), Err(Error::Cancelled)));
    until("the builds have ended", || !home.models.is_building()).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    until("it is said", || home.listed("2.0.0").entry.failure.is_some()).await;
    let why = "the daemon ends; specimen 1.0.0 is still used";
    assert_eq!(home.listed("2.0.0").entry.failure.as_deref(), Some(why));
    assert_eq!(home.state("1.0.0"), PackageState::Active, "and not refused");
    assert_eq!(home.card.cpu.load(Ordering::SeqCst), 0, "the CPU does not take its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn sim_what_was_built_to_its_end_in_spite_of_a_cancel_is_not_used() {
    let Some(home) = Home::new() else { return };
    home.card.is_deaf.store(true, Ordering::SeqCst);
    home.models.build(&key("2.0.0"), true).unwrap();
    until("an engine is built", || home.is_building_an_engine("2.0.0")).await;
    home.models.cancel(&key("2.0.0")).unwrap();
    home.card.is_quick.store(true, Ordering::SeqCst);
    until("the build has ended", || !home.models.is_building()).await;
    until("it is said", || home.listed("2.0.0").entry.failure.is_some()).await;
    assert_eq!(home.state("1.0.0"), PackageState::Active);
    assert_ne!(home.state("2.0.0"), PackageState::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn sim_what_is_not_built_cannot_be_cancelled() {
    let Some(home) = Home::new() else { return };
    assert_eq!(home.models.cancel(&key("2.0.0")).unwrap(), Change::Already);
    assert!(home.models.cancel(&key("9.9.9")).is_err());
    assert_eq!(home.listed("2.0.0").entry.failure, None);
}
