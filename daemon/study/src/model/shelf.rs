//! The packages at hand, and how one is loaded: checked, built by the accelerator, and run on its golden input once for
//! each content and accelerator.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use custody::event::Event;
use hal::accel::{self, AcceleratorConfig, Provider};
use hal::{Accelerator, LoadedModel};
use models::manifest::Variant;
use models::registry::{Entry, Key, Outcome, Record, Registry, RegistryFault, Swept, layout};
use models::signature::Trust;
use models::{golden, package::Package, task};
use sha2::{Digest, Sha256};
use tokio::sync::broadcast;

use super::Error;
use crate::settings::Settings;

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Shelf {
    registry: Arc<Mutex<Registry>>,
    config: AcceleratorConfig,
    /// Hears what a load showed, which may change what a task uses.
    events: Option<broadcast::Sender<Event>>,
}

/// A package that is ready to be run.
#[derive(Debug)]
pub struct Loaded {
    pub key: Key,
    pub accelerator: Box<dyn Accelerator>,
    pub package: Package,
    pub model: Box<dyn LoadedModel>,
}

impl Loaded {
    pub fn is(&self, entry: &Entry) -> bool {
        self.package.sha256 == entry.sha256
    }
}

/// Hears stage and fraction of a load.
pub type Progress<'a> = &'a dyn Fn(&str, f64);

impl Shelf {
    /// The daemon's: opens the registry and sweeps it.
    ///
    /// # Errors
    /// When the registry's directory cannot be used.
    pub fn open(settings: &Settings) -> Result<(Self, Swept), Error> {
        let directory = settings.models_directory();
        let packages = &settings.analyze.packages;
        let (registry, swept) = Registry::open(&directory, packages, trust(settings), &task::ALL)?;
        Ok((Self::new(registry, settings), swept))
    }

    /// For a desk: looks at the registry, if it may, and changes nothing.
    pub fn view(settings: &Settings) -> Self {
        let mut unreadable = Vec::new();
        let directory = Some(settings.models_directory()).filter(|directory| directory.is_dir());
        let packages = &settings.analyze.packages;
        let registry = Registry::view(directory.as_deref(), packages, trust(settings), &task::ALL, &mut unreadable);
        for reason in unreadable {
            tracing::warn!(reason, "a file of the model registry is left out");
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

    /// Tells `events` whenever a load showed something new.
    #[must_use]
    pub fn telling(self, events: broadcast::Sender<Event>) -> Self {
        Self { events: Some(events), ..self }
    }

    /// Networks loaded from it run on so many threads, 0 for all cores.
    #[must_use]
    pub fn on_threads(mut self, threads: usize) -> Self {
        self.config.threads = threads;
        self
    }

    /// Held for moments only: never while a network is loaded or run, or an archive unpacked.
    pub fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the task uses now.
    ///
    /// # Errors
    /// `NoPackage`.
    pub fn active(&self, task: &str) -> Result<Entry, Error> {
        self.registry().active(task).cloned().map_err(|error| Error::NoPackage(error.to_string()))
    }

    /// Loads what the task uses. A package that turns out bad is refused, and what was last good is loaded instead.
    ///
    /// # Errors
    /// `NoPackage` when none is left; `Accelerator`; `Registry`.
    pub fn load_active(&self, task: &str) -> Result<Loaded, Error> {
        loop {
            let entry = self.active(task)?;
            match self.load(&entry, &|_, _| {}) {
                // The registry has fallen back by now; each turn leaves one package fewer.
                Err(Error::Refused { key, reason }) => {
                    tracing::error!(package = %key, reason, task, "active model package refused");
                }
                other => return other,
            }
        }
    }

    /// Checks, builds and proves a package. What came of it is recorded.
    ///
    /// # Errors
    /// `Refused` when the package is to blame; `Accelerator` when it is not; `Registry`.
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
            // A simulated accelerator answers from a script: there is nothing to prove, and it is said so everywhere.
            let difference = if description.simulated {
                None
            } else {
                Some(self.prove(entry, &fingerprint, &package, &variant, model.as_mut())?.difference)
            };
            self.record(entry, fingerprint, Outcome::Ready { difference })?;
        }
        let (key, provider, fallback) = (&entry.key, &description.provider, &description.fallback);
        tracing::info!(package = %key, provider, library = description.library, fallback, "model loaded");
        Ok(Loaded { key: key.clone(), accelerator, package, model })
    }

    /// Checks the signature and every file.
    ///
    /// # Errors
    /// `Refused`; `Registry` when the disk does not let us look.
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

    /// Notes the refusal; what is answered is the refusal itself, or why it could not be noted.
    fn refuse(&self, entry: &Entry, fingerprint: &str, reason: String) -> Error {
        match self.record(entry, fingerprint.to_owned(), Outcome::Refused { reason: reason.clone() }) {
            Ok(()) => Error::Refused { key: entry.key.clone(), reason },
            Err(error) => error,
        }
    }

    fn record(&self, entry: &Entry, accelerator: String, outcome: Outcome) -> Result<(), Error> {
        let record = Record { sha256: entry.sha256.clone(), accelerator, outcome };
        match self.registry().built(&entry.key, record) {
            Ok(Some(next)) => tracing::warn!(bad = %entry.key, package = %next, "back to the last good model package"),
            Ok(None) => {}
            // Removed meanwhile: there is nothing to be noted of it.
            Err(error) if error.kind() == RegistryFault::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(events) = &self.events {
            let _ = events.send(Event::Model { id: entry.key.id.clone(), version: entry.key.version.clone() });
        }
        Ok(())
    }

    /// Where TensorRT keeps what it builds of this package on this device with this driver. Other devices' and drivers'
    /// engines would never be used again: they go.
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
                tracing::warn!(%error, cache = %cache.display(), "no engine cache: each load builds anew");
                None
            }
        }
    }
}

/// A key that cannot be read must not keep the box from receiving: the packages it signed are refused.
fn trust(settings: &Settings) -> Trust {
    let (trust, unreadable) = Trust::load(&settings.models.keys);
    for error in unreadable {
        tracing::error!(%error, "a key of models.keys is left out");
    }
    trust
}
