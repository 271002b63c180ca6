//! The shelf: loads installed packages. A package is checked, built by the accelerator, and run on its golden input,
//! which is done once for each content and accelerator.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use custody::event::Event;
use hal::accel::{self, AcceleratorConfig, Provider};
use hal::{Accelerator, LoadedModel};
use models::manifest::Variant;
use models::registry::{Entry, Key, Outcome, Record, Registry, RegistryFault, Swept, layout};
use models::signature::Trust;
use models::task::Watch;
use models::{golden, package::Package, task};
use sha2::{Digest, Sha256};
use tokio::sync::broadcast;

use super::Error;
use super::hosts::Tally;
use crate::settings::Settings;

/// Cheap to clone; all clones share one registry.
#[derive(Debug, Clone)]
pub struct Shelf {
    registry: Arc<Mutex<Registry>>,
    config: AcceleratorConfig,
    /// Receives an event after each load; a failed load may change the active package.
    events: Option<broadcast::Sender<Event>>,
}

/// A loaded package, ready to run.
#[derive(Debug)]
pub struct Loaded {
    pub key: Key,
    pub accelerator: Box<dyn Accelerator>,
    pub package: Package,
    pub model: Box<dyn LoadedModel>,
    /// Who makes its runs, where there are hosts ([`super::Hosts`]).
    pub(super) tally: Tally,
}

impl Loaded {
    /// What made the runs since `Loaded::begin`, as results name it.
    pub fn on(&self) -> accel::Description {
        self.tally.describe(self.accelerator.describe())
    }

    /// What there is to tell of other machines since then.
    pub fn told(&self) -> Option<String> {
        self.tally.told()
    }

    /// A job begins; `stopped`: whether nobody waits for it any more.
    pub fn begin(&self, stopped: Option<Watch>) {
        self.tally.begin(stopped);
    }

    pub fn is(&self, entry: &Entry) -> bool {
        self.package.sha256 == entry.sha256
    }
}

/// Called with stage and completed fraction during a load.
pub type Progress<'a> = &'a dyn Fn(&str, f64);

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
            cache: None,
        };
        Self { registry: Arc::new(Mutex::new(registry)), config, events: None }
    }

    /// Sends an event to `events` when a load has a new result.
    #[must_use]
    pub fn telling(self, events: broadcast::Sender<Event>) -> Self {
        Self { events: Some(events), ..self }
    }

    /// Sets the number of threads for networks that it loads; 0 for all cores.
    #[must_use]
    pub fn on_threads(mut self, threads: usize) -> Self {
        self.config.threads = threads;
        self
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

    /// Checks a package, builds it and runs its golden input. The result is recorded.
    ///
    /// # Errors
    /// `Refused` when the package is at fault; `Accelerator` when it is not; `Registry`.
    pub fn load(&self, entry: &Entry, progress: Progress<'_>) -> Result<Loaded, Error> {
        progress("verify", 0.0);
        let package = self.opened(entry)?;
        progress("accelerator", 0.1);
        let mut accelerator = accel::open(&self.config)?;
        let fingerprint = accelerator.fingerprint();
        if let Some(cache) = self.engine_cache(entry, &*accelerator, &fingerprint) {
            accelerator = accel::open(&AcceleratorConfig { cache: Some(cache), ..self.config.clone() })?;
        }
        progress("engine", 0.15);
        let description = accelerator.describe();
        let (variant, network) = package
            .network(&description.provider)
            .map_err(|error| self.refuse(entry, &fingerprint, error.to_string()))?;
        let mut model = accelerator.load(&network).map_err(|error| match error.kind() {
            accel::AccelFault::BadModel => self.refuse(entry, &fingerprint, error.to_string()),
            _ => error.into(),
        })?;
        drop(network);
        let variant = variant.clone();
        if !entry.is_ready_on(&fingerprint) {
            progress("golden", 0.85);
            // A simulated accelerator returns scripted answers, so comparing them with the golden output is pointless.
            // All results are marked as simulated.
            let difference = if description.simulated {
                None
            } else {
                Some(self.prove(entry, &fingerprint, &package, &variant, model.as_mut())?.difference)
            };
            self.record(entry, fingerprint, Outcome::Ready { difference })?;
        }
        let (key, provider, fallback) = (&entry.key, &description.provider, &description.fallback);
        tracing::info!(package = %key, provider, library = description.library, fallback, "model loaded");
        Ok(Loaded { key: key.clone(), accelerator, package, model, tally: Tally::default() })
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

    fn prove(
        &self,
        entry: &Entry,
        fingerprint: &str,
        package: &Package,
        variant: &Variant,
        model: &mut dyn LoadedModel,
    ) -> Result<golden::Passed, Error> {
        task::check(entry.task(), model).map_err(|error| self.refuse(entry, fingerprint, error.to_string()))?;
        golden::run(package, variant, model).map_err(|error| match error {
            golden::Error::Run(error) if error.kind() != accel::AccelFault::BadInput => error.into(),
            error => self.refuse(entry, fingerprint, error.to_string()),
        })
    }

    /// Records the refusal. Returns it as an error, or why it could not be recorded.
    fn refuse(&self, entry: &Entry, fingerprint: &str, reason: String) -> Error {
        match self.record(entry, fingerprint.to_owned(), Outcome::Refused { reason: reason.clone() }) {
            Ok(()) => Error::Refused { key: entry.key.clone(), reason },
            Err(error) => error,
        }
    }

    fn record(&self, entry: &Entry, accelerator: String, outcome: Outcome) -> Result<(), Error> {
        let record = Record { sha256: entry.sha256.clone(), accelerator, outcome };
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
    /// drivers are removed, because they would never be used again.
    fn engine_cache(&self, entry: &Entry, accelerator: &dyn Accelerator, fingerprint: &str) -> Option<PathBuf> {
        if accelerator.describe().provider != Provider::TensorRt.name() {
            return None;
        }
        let engines = layout::engines(self.registry().directory());
        let hash = hex::encode(&Sha256::digest(fingerprint)[..8]);
        let cache = engines.join(&hash).join(&entry.sha256);
        for old in std::fs::read_dir(&engines).into_iter().flatten().flatten() {
            if old.file_name() != *hash {
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

/// An unreadable key must not prevent the daemon from starting; packages that it signed are refused.
fn trust(settings: &Settings) -> Trust {
    let (trust, unreadable) = Trust::load(&settings.models.keys);
    for error in unreadable {
        tracing::error!(%error, "a key in models.keys is ignored");
    }
    trust
}
