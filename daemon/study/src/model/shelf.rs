//! The shelf: loads installed packages. A package is checked, built by the accelerator, and run on its golden input,
//! which for work is done once for each content and accelerator, and again whenever somebody asks.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use custody::event::Event;
use hal::accel::{self, AcceleratorConfig, Provider};
use hal::clock::{Clock, System};
use hal::cuda::Urgency;
use hal::{Accelerator, LoadedModel};
use models::choice::{self, Measured};
use models::manifest::Variant;
use models::registry::{Entry, Key, Outcome, Record, Registry, RegistryFault, Swept, layout};
use models::signature::Trust;
use models::steps::{self, Cpu, Steps};
use models::task::{NetworkInput, Watch};
use models::{package::Package, task};
use sha2::{Digest, Sha256};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::attempt::{Attempt, ENGINE, Manner, Progress, Proof, Tried, keeps_engines, precision, unmeasured};
use super::hosts::Tally;
use super::standby::{Device, First, Left, Opened, Standby, Standing, Ways};
use crate::settings::Settings;

/// Cheap to clone; all clones share one registry.
#[derive(Debug, Clone)]
pub struct Shelf {
    registry: Arc<Mutex<Registry>>,
    config: AcceleratorConfig,
    open: OpenAccelerator,
    /// What the networks are loaded for, in words; `None`: they have no CPU behind them.
    work: Option<&'static str>,
    standing: Standing,
    left: Left,
    proof: Proof,
    /// For the pauses after which a GPU is tried again.
    clock: Arc<dyn Clock>,
    load_patience: Duration,
    /// Ends what is being loaded.
    stop: CancellationToken,
    /// Receives an event after each load; a failed load may change the active package.
    events: Option<broadcast::Sender<Event>>,
}

/// Opens accelerators: [`accel::open`], but in tests.
#[derive(Clone)]
struct OpenAccelerator(Arc<dyn Fn(&AcceleratorConfig) -> OpenedAccelerator + Send + Sync>);

type OpenedAccelerator = Result<Box<dyn Accelerator>, accel::Error>;

impl std::fmt::Debug for OpenAccelerator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenAccelerator")
    }
}

/// A loaded package, ready to run.
#[derive(Debug)]
pub struct Loaded {
    pub key: Key,
    /// What runs it on this box.
    pub device: Device,
    pub package: Package,
    /// The one of its networks that was loaded.
    pub variant: Variant,
    pub model: Box<dyn LoadedModel>,
    /// What does the work before it.
    pub steps: Arc<dyn Steps>,
    /// Who makes its runs, where there are hosts ([`super::Hosts`]).
    pub(super) tally: Tally,
}

impl Loaded {
    /// What made the runs since `Loaded::begin`, as results name it.
    pub fn on(&self) -> accel::Description {
        self.tally.describe(self.device.describe())
    }

    /// What there is to tell of other machines since then.
    pub fn told(&self) -> Option<String> {
        self.tally.told()
    }

    /// A job begins; `stopped`: whether nobody waits for it any more.
    pub fn begin(&self, stopped: Option<Watch>) {
        self.tally.begin(stopped);
        self.device.begin();
    }

    pub fn is(&self, entry: &Entry) -> bool {
        self.package.sha256 == entry.sha256
    }
}

/// From the thread that loads on the GPU.
enum Told {
    Step(String, f64),
    Loaded(Result<Opened, Error>),
}

/// A load on a GPU that tells nothing for so long hangs. Within ONNX Runtime, TensorRT builds for minutes without a word.
const LOAD_PATIENCE: Duration = Duration::from_secs(1800);

impl Shelf {
    /// The shelf of the daemon: opens the registry and removes leftovers.
    ///
    /// # Errors
    /// When the registry's directory cannot be used.
    pub fn open(settings: &Settings) -> Result<(Self, Swept), Error> {
        let directory = settings.models_directory();
        let packages = &settings.analyze.packages;
        let (registry, swept) = Registry::open(&directory, packages, trust(settings), &task::ALL)?;
        Ok((Self::new(registry, settings), swept))
    }

    /// A read-only shelf for analysis from the command line. Works without a registry if it cannot be read.
    pub fn view(settings: &Settings) -> Self {
        let mut unreadable = Vec::new();
        let directory = Some(settings.models_directory()).filter(|directory| directory.is_dir());
        let packages = &settings.analyze.packages;
        let registry = Registry::view(directory.as_deref(), packages, trust(settings), &task::ALL, &mut unreadable);
        for reason in unreadable {
            tracing::warn!(reason, "a file of the model registry is ignored");
        }
        Self::new(registry, settings)
    }

    fn new(registry: Registry, settings: &Settings) -> Self {
        let accelerator = &settings.accelerator;
        let config = AcceleratorConfig {
            provider: accelerator.provider.clone(),
            library: accelerator.library.clone(),
            threads: accelerator.threads,
            tensorrt: accelerator.tensorrt.clone(),
            ..AcceleratorConfig::default()
        };
        let shelf = Self {
            registry: Arc::new(Mutex::new(registry)),
            config,
            open: OpenAccelerator(Arc::new(accel::open)),
            work: Some("studies"),
            standing: Standing::default(),
            left: Left::default(),
            proof: Proof::Kept,
            clock: Arc::new(System),
            load_patience: LOAD_PATIENCE,
            stop: CancellationToken::new(),
            events: None,
        };
        shelf.forget_refusals_elsewhere();
        shelf
    }

    /// A network that was wrong on another version of the library may be right on this one. What decides is the CPU, or what is
    /// configured instead of a GPU; it is opened only when a package was refused.
    fn forget_refusals_elsewhere(&self) {
        if self.registry().refused_by_run().next().is_none() {
            return;
        }
        let is_gpu = Provider::parse(&self.config.provider).is_ok_and(Provider::builds_engines);
        let config = if is_gpu { self.on_cpu() } else { self.config.clone() };
        match (self.open.0)(&config) {
            Ok(accelerator) => self.registry().forget_refusals_elsewhere(&accelerator.fingerprint()),
            Err(error) => tracing::warn!(%error, "whether refused packages may be tried again is not known"),
        }
    }

    fn on_cpu(&self) -> AcceleratorConfig {
        AcceleratorConfig { provider: Provider::Cpu.name().into(), ..self.config.clone() }
    }

    /// Opens accelerators in another way: for tests of accelerators that fail.
    #[must_use]
    pub fn opening(
        self,
        open: impl Fn(&AcceleratorConfig) -> Result<Box<dyn Accelerator>, accel::Error> + Send + Sync + 'static,
    ) -> Self {
        Self { open: OpenAccelerator(Arc::new(open)), ..self }
    }

    /// Pauses by this clock, and loads on a GPU that are given up after so long: for tests.
    #[must_use]
    pub fn timed(self, clock: Arc<dyn Clock>, load_patience: Duration) -> Self {
        Self { clock, load_patience, ..self }
    }

    /// The shelf of the live path: so many threads for each of its networks, 0 for all cores; on a card that can do that its runs go
    /// before those of studies.
    #[must_use]
    pub fn for_live(mut self, threads: usize) -> Self {
        self.config.threads = threads;
        self.config.live = true;
        self.work = Some("live pictures");
        self
    }

    /// Networks have no CPU behind them: what fails, fails.
    #[must_use]
    pub fn without_standby(self) -> Self {
        Self { work: None, ..self }
    }

    /// Loads end with [`Error::Cancelled`] once `stop` is cancelled: an engine within a second where the library can be asked to, any
    /// other load before its next step.
    #[must_use]
    pub fn until(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// Loads prove a network as `proof` says.
    #[must_use]
    pub(super) fn proving(self, proof: Proof) -> Self {
        Self { proof, ..self }
    }

    /// What ends its loads.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Why networks do not run on the accelerator that is configured; `None` when they do, as far as is known.
    pub fn reduced(&self) -> Option<String> {
        let registry = self.registry();
        self.standing.reason(|task| registry.active(task).is_ok())
    }

    /// Sends an event to `events` when a load has a new result.
    #[must_use]
    pub fn telling(self, events: broadcast::Sender<Event>) -> Self {
        Self { events: Some(events), ..self }
    }

    /// Locks the registry. Hold it only briefly, never while a network is loaded or run or an archive is unpacked.
    pub fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The package that is active for the task.
    ///
    /// # Errors
    /// `NoPackage`.
    pub fn active(&self, task: &str) -> Result<Entry, Error> {
        self.registry().active(task).cloned().map_err(|error| Error::NoPackage(error.to_string()))
    }

    /// Loads the active package of the task. If it fails its checks, it is refused and the last good package is loaded
    /// instead.
    ///
    /// # Errors
    /// `NoPackage` when none is left; `Accelerator`; `Registry`.
    pub fn load_active(&self, task: &str) -> Result<Loaded, Error> {
        loop {
            let entry = self.active(task)?;
            match self.load(&entry, &|_, _| {}) {
                // The registry has returned to the last good package. The loop ends, because each refusal leaves one
                // package fewer.
                Err(Error::Refused { key, reason }) => {
                    tracing::error!(package = %key, reason, task, "active model package refused");
                }
                other => return other,
            }
        }
    }

    /// Checks a package, builds it and runs its golden input. The result is recorded. Behind a network on a GPU stands the one on the
    /// CPU (`Standby`), which is loaded here only when the GPU cannot be had.
    ///
    /// # Errors
    /// `Refused` when the package is at fault; `Accelerator` when it is not; `Cancelled`; `Registry`.
    pub fn load(&self, entry: &Entry, progress: Progress<'_>) -> Result<Loaded, Error> {
        progress("verify", 0.0);
        let package = self.opened(entry)?;
        let is_gpu = Provider::parse(&self.config.provider)?.builds_engines();
        let (model, device, variant) = match self.work {
            Some(work) if is_gpu => self.with_standby(entry, &package, work, progress)?,
            _ => {
                let Opened { model, on, variant } =
                    self.load_on(&self.config, entry, &package, Manner::Decides, progress)?;
                (model, Device::alone(on), variant)
            }
        };
        // Pictures of the live path get theirs, of another urgency, from `for_live`.
        let steps: Arc<dyn Steps> = match task::network(entry.task()) {
            Some(NetworkInput::Volume) => steps::beside(&device.now(), Urgency::Study),
            _ => Arc::new(Cpu),
        };
        Ok(Loaded { key: entry.key.clone(), device, package, variant, model, steps, tally: Tally::default() })
    }

    fn with_standby(
        &self,
        entry: &Entry,
        package: &Package,
        work: &'static str,
        progress: Progress<'_>,
    ) -> Result<(Box<dyn LoadedModel>, Device, Variant), Error> {
        let cpu = self.on_cpu();
        let first = match self.on_gpu(entry, package, progress) {
            Ok(opened) => First::Gpu(opened),
            // A stand-in that answers rightly says nothing about the card that was asked.
            Err(error @ Error::Accelerator(_)) if self.proof == Proof::OfConfigured => return Err(error),
            // Also when the network answers wrongly there: that is said of the GPU, and the CPU is asked before the package is refused.
            Err(Error::Accelerator(error)) => {
                tracing::warn!(package = %entry.key, %error, "the GPU cannot be used: the CPU does it");
                First::Cpu(self.load_on(&cpu, entry, package, Manner::Decides, progress)?, error.to_string())
            }
            Err(other) => return Err(other),
        };
        let way = |config: AcceleratorConfig, manner: Manner| {
            let (shelf, entry, package) = (self.clone(), entry.clone(), package.clone());
            move || shelf.load_on(&config, &entry, &package, manner, &|_, _| {})
        };
        let (First::Gpu(opened) | First::Cpu(opened, _)) = &first;
        let variant = opened.variant.clone();
        let ways = Ways {
            gpu: Arc::new(way(self.config.clone(), Manner::GpuAgain)),
            cpu: Arc::new(way(cpu, Manner::BehindGpu)),
        };
        let standing = self.standing.of(entry.task(), work);
        let standby = Standby::new(first, ways, standing, self.left.clone(), self.clock.clone());
        let standby = standby.map_err(|error| Error::Internal(format!("no thread for the GPU: {error}")))?;
        let device = standby.device();
        Ok((Box::new(standby), device, variant))
    }

    /// Loads on the GPU that is configured, on a thread of its own: a card that hangs must not hold up whoever waits.
    fn on_gpu(&self, entry: &Entry, package: &Package, progress: Progress<'_>) -> Result<Opened, Error> {
        let lost = |why: String| Error::from(accel::Error::new(accel::AccelFault::Device, why));
        if !self.left.is_none() {
            return Err(lost("the card does not answer".into()));
        }
        let ticket = self.left.ticket();
        let (told, heard) = mpsc::channel();
        let (shelf, own_entry, own_package, own) = (self.clone(), entry.clone(), package.clone(), ticket.clone());
        let work = move || {
            let step = told.clone();
            let progress = |stage: &str, done: f64| {
                let _ = step.send(Told::Step(stage.to_owned(), done));
            };
            let loaded = shelf.load_on(&shelf.config, &own_entry, &own_package, Manner::Gpu, &progress);
            own.answered();
            let _ = told.send(Told::Loaded(loaded));
        };
        let thread = std::thread::Builder::new().name("gpu load".into()).spawn(work);
        thread.map_err(|error| lost(format!("no thread for the GPU: {error}")))?;
        loop {
            match heard.recv_timeout(self.load_patience) {
                Ok(Told::Step(stage, done)) => progress(&stage, done),
                Ok(Told::Loaded(loaded)) => return loaded,
                Err(RecvTimeoutError::Disconnected) => return Err(lost("its library crashed".into())),
                Err(RecvTimeoutError::Timeout) => {
                    ticket.give_up();
                    return Err(lost(format!(
                        "no progress of its load within {} minutes",
                        self.load_patience.as_secs() / 60
                    )));
                }
            }
        }
    }

    fn load_on(
        &self,
        config: &AcceleratorConfig,
        entry: &Entry,
        package: &Package,
        manner: Manner,
        progress: Progress<'_>,
    ) -> Result<Opened, Error> {
        if self.stop.is_cancelled() {
            return Err(Error::Cancelled);
        }
        progress("accelerator", 0.1);
        let mut accelerator = (self.open.0)(config)?;
        if let Some(cache) = self.engine_cache(entry, &*accelerator) {
            accelerator = (self.open.0)(&AcceleratorConfig { cache: Some(cache), ..config.clone() })?;
        }
        let fingerprint = accelerator.fingerprint();
        progress("engine", ENGINE);
        let mut description = accelerator.describe();
        if manner.needs_gpu() && description.provider == Provider::Cpu.name() {
            let why = description.fallback.unwrap_or_default();
            return Err(accel::Error::new(accel::AccelFault::NotPresent, why).into());
        }
        let at =
            Attempt { entry, package, accelerator: &*accelerator, fingerprint: &fingerprint, manner, stop: &self.stop };
        let fitting = package.fitting(&description.provider);
        let fitting = fitting.map_err(|error| self.wrong(at, error.to_string()))?;
        // A GPU that failed is proved again whatever was found before, and so is what somebody asks to be proved.
        let is_kept = manner != Manner::GpuAgain && self.proof == Proof::Kept;
        let known = entry.ready_on(&fingerprint).filter(|_| is_kept);
        let (variant, model) = match fitting.iter().find(|variant| Some(variant.network.as_str()) == known) {
            Some(variant) => ((*variant).clone(), self.load_one(at, variant, progress)?),
            None => self.choose(at, &fitting, progress)?,
        };
        description.library =
            format!("{}, {}", description.library, precision(&description.provider, variant.precision));
        let (key, provider, fallback) = (&entry.key, &description.provider, &description.fallback);
        tracing::info!(package = %key, provider, library = description.library, fallback, "model loaded");
        Ok(Opened { model, on: description, variant })
    }

    fn load_one(
        &self,
        at: Attempt<'_>,
        variant: &Variant,
        progress: Progress<'_>,
    ) -> Result<Box<dyn LoadedModel>, Error> {
        at.load(variant, progress).map_err(|tried| match tried {
            Tried::Wrong(why) => self.wrong(at, why),
            Tried::Device(error) => error.into(),
            Tried::Disk(error) => error.into(),
            Tried::Cancelled => Error::Cancelled,
        })
    }

    /// Proves every network that fits, and takes the fastest of those that answer rightly. With one there is nothing to time. The
    /// outcome is recorded.
    ///
    /// # Errors
    /// `Refused` when none answers rightly, with the reason of the first; `Accelerator` when the device failed, `Registry` when the disk;
    /// `Cancelled`.
    fn choose(
        &self,
        at: Attempt<'_>,
        fitting: &[&Variant],
        progress: Progress<'_>,
    ) -> Result<(Variant, Box<dyn LoadedModel>), Error> {
        let Attempt { entry, fingerprint, .. } = at;
        let keep = |difference, network, measured| {
            // The record is that of the accelerator that is configured, or of what stands in for it from the start.
            if at.manner != Manner::BehindGpu {
                self.keep(entry, fingerprint, Outcome::Ready { difference }, network, measured);
            }
        };
        // A simulated accelerator returns scripted answers, so comparing them with the golden output is pointless.
        // All results are marked as simulated.
        if at.accelerator.describe().simulated {
            let model = self.load_one(at, fitting[0], progress)?;
            let network = fitting[0].network.clone();
            keep(None, network, Vec::new());
            return Ok((fitting[0].clone(), model));
        }
        let (mut measured, mut differences, mut failed) = (Vec::new(), Vec::new(), None);
        let is_choice = fitting.len() > 1;
        let mut only = None;
        for (index, variant) in fitting.iter().enumerate() {
            let part = |stage: &str, done: f64| {
                progress(stage, ENGINE + (1.0 - ENGINE) * (index as f64 + done) / fitting.len() as f64);
            };
            let (found, difference) = match at.tried(variant, is_choice, &part) {
                Ok((ready, run_ms)) => {
                    let difference = ready.difference;
                    // Of several one lies in memory at a time: a small card has no room for two.
                    only = Some(ready.model).filter(|_| !is_choice);
                    (Measured { run_ms, ..unmeasured(variant) }, Some(difference))
                }
                // Of what was not tried nothing is known, so nothing is recorded.
                Err(Tried::Cancelled) => return Err(Error::Cancelled),
                Err(Tried::Wrong(why)) => (Measured { refused: Some(why), ..unmeasured(variant) }, None),
                Err(Tried::Device(error)) => not_now(error.into(), variant, &mut failed),
                Err(Tried::Disk(error)) => not_now(error.into(), variant, &mut failed),
            };
            measured.push(found);
            differences.push(difference);
        }
        let Some(index) = choice::fastest(&measured) else {
            return Err(match failed {
                Some(error) => error,
                None => self.wrong(at, measured.first().and_then(|one| one.refused.clone()).unwrap_or_default()),
            });
        };
        let model = match only {
            Some(model) => model,
            None => self.load_one(at, fitting[index], progress)?,
        };
        let difference = differences.swap_remove(index);
        if measured.len() > 1 {
            let found = measured.iter().map(Measured::words).collect::<Vec<_>>().join("; ");
            tracing::info!(package = %entry.key, used = fitting[index].network, found, "the fastest right network is used");
        }
        let network = fitting[index].network.clone();
        // Of several, one that the device could not run now may be run later: then all are looked at again.
        if failed.is_none() {
            keep(difference, network, measured);
        }
        Ok((fitting[index].clone(), model))
    }

    /// Checks the signature and every file.
    ///
    /// # Errors
    /// `Refused`; `Registry` when the files cannot be read.
    pub fn check(&self, entry: &Entry) -> Result<(), Error> {
        self.opened(entry).map(drop)
    }

    fn opened(&self, entry: &Entry) -> Result<Package, Error> {
        let trust = self.registry().trust();
        entry.open(&trust).map_err(|error| match error.kind() {
            RegistryFault::Refused => self.refuse(entry, "", error.to_string()),
            _ => error.into(),
        })
    }

    /// The network is wrong on this device: refuses the package where that decides, is a failure of the device elsewhere, and on a GPU
    /// always (a neighbour's request has no CPU behind it).
    fn wrong(&self, at: Attempt<'_>, why: String) -> Error {
        let is_gpu = Provider::parse(&at.accelerator.describe().provider).is_ok_and(Provider::builds_engines);
        match at.manner {
            Manner::Decides if !is_gpu => self.refuse(at.entry, at.fingerprint, why),
            _ => accel::Error::new(accel::AccelFault::Device, why).into(),
        }
    }

    /// Records the refusal. Returns it as an error, or why it could not be recorded.
    fn refuse(&self, entry: &Entry, fingerprint: &str, reason: String) -> Error {
        let outcome = Outcome::Refused { reason: reason.clone() };
        match self.record(entry, fingerprint.to_owned(), outcome, String::new(), Vec::new()) {
            Ok(()) => Error::Refused { key: entry.key.clone(), reason },
            Err(error) => error,
        }
    }

    /// Records what was found to be good. Where that cannot be written down (a full disk) the package is used all the same, and
    /// proved again at its next load.
    fn keep(&self, entry: &Entry, fingerprint: &str, outcome: Outcome, network: String, measured: Vec<Measured>) {
        if let Err(error) = self.record(entry, fingerprint.to_owned(), outcome, network, measured) {
            tracing::warn!(package = %entry.key, %error, "that the package is good here cannot be written down");
        }
    }

    fn record(
        &self,
        entry: &Entry,
        accelerator: String,
        outcome: Outcome,
        network: String,
        measured: Vec<Measured>,
    ) -> Result<(), Error> {
        let record = Record { sha256: entry.sha256.clone(), accelerator, outcome, network, measured };
        match self.registry().built(&entry.key, record) {
            Ok(Some(next)) => {
                tracing::warn!(bad = %entry.key, package = %next, "returned to the last good model package")
            }
            Ok(None) => {}
            // The package was removed meanwhile: there is nothing to record.
            Err(error) if error.kind() == RegistryFault::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(events) = &self.events {
            let _ = events.send(Event::Model { id: entry.key.id.clone(), version: entry.key.version.clone() });
        }
        Ok(())
    }

    /// Directory in which TensorRT keeps its engines for this package, device and driver. Engines for other devices and
    /// drivers are removed, because they would never be used again; not while something stands in for what is configured, and not by
    /// a command beside the daemon. None without a registry: a path without its directory would be one of the caller's.
    fn engine_cache(&self, entry: &Entry, accelerator: &dyn Accelerator) -> Option<PathBuf> {
        if !keeps_engines(accelerator) {
            return None;
        }
        let (directory, is_read_only) = {
            let registry = self.registry();
            (registry.directory().to_owned(), registry.is_read_only())
        };
        if directory.as_os_str().is_empty() {
            return None;
        }
        let engines = layout::engines(&directory);
        let hash = hex::encode(&Sha256::digest(accelerator.fingerprint())[..8]);
        let is_own = !is_read_only && accelerator.describe().fallback.is_none();
        let cache = engines.join(&hash).join(&entry.sha256);
        for old in std::fs::read_dir(&engines).into_iter().flatten().flatten() {
            if is_own && old.file_name() != *hash {
                let _ = std::fs::remove_dir_all(old.path());
            }
        }
        match std::fs::create_dir_all(&cache) {
            Ok(()) => Some(cache),
            Err(error) => {
                tracing::warn!(%error, cache = %cache.display(), "no engine cache: the engines are built again at each load");
                None
            }
        }
    }
}

/// Of a network that was not proved, for a reason that says nothing about it; the first reason is kept.
fn not_now(error: Error, variant: &Variant, failed: &mut Option<Error>) -> (Measured, Option<f32>) {
    let refused = Some(error.to_string());
    failed.get_or_insert(error);
    (Measured { refused, ..unmeasured(variant) }, None)
}

/// An unreadable key must not prevent the daemon from starting; packages that it signed are refused.
fn trust(settings: &Settings) -> Trust {
    let (trust, unreadable) = Trust::load(&settings.models.keys);
    for error in unreadable {
        tracing::error!(%error, "a key in models.keys is ignored");
    }
    trust
}
