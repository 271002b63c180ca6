//! The engine: the accelerator and the package it has in memory. Loaded at the first job, unloaded when idle, so that
//! a box that waits stays small.

use std::path::PathBuf;

use hal::accel::{self, AcceleratorConfig, Description as Accelerated};
use hal::{Accelerator, LoadedModel};
use models::package::Package;
use models::task::{self, Control};
use models::{Acquisition, Findings, Volume};

use crate::config::settings;

/// The package that reads chest CTs.
const CHEST_CT: &str = "ct-chest-nodules";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("accelerator: {0}")]
    Accelerator(#[from] accel::Error),
    #[error("model package {directory}: {source}")]
    Package { directory: PathBuf, source: models::package::Error },
    #[error("{0}")]
    Task(#[from] task::Error),
}

#[derive(Debug)]
pub struct Engine {
    config: AcceleratorConfig,
    packages: PathBuf,
    loaded: Option<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    accelerator: Box<dyn Accelerator>,
    package: Package,
    model: Box<dyn LoadedModel>,
}

/// What the engine used, for provenance.
#[derive(Debug, Clone)]
pub struct Used {
    pub manifest: models::manifest::Manifest,
    /// Of `model.toml`, which names every other file by hash.
    pub sha256: String,
    /// `None` when no network had to run.
    pub accelerator: Option<Accelerated>,
}

impl Engine {
    pub fn new(accelerator: &settings::Accelerator, analyze: &settings::Analyze) -> Self {
        let config = AcceleratorConfig {
            provider: accelerator.provider.clone(),
            library: accelerator.library.clone(),
            threads: accelerator.threads,
            ..AcceleratorConfig::default()
        };
        Self { config, packages: analyze.packages.clone(), loaded: None }
    }

    /// Runs the chest CT task, loading accelerator and package first if need be.
    ///
    /// # Errors
    /// When the accelerator or the package cannot be had, or the task fails. A volume that the task will not
    /// judge is no error: its findings say why.
    pub fn chest_ct(
        &mut self,
        volume: &Volume,
        acquisition: &Acquisition,
        control: &dyn Control,
    ) -> Result<(Findings, Used), Error> {
        control.progress("load", 0.0);
        let mut loaded = match self.loaded.take() {
            Some(loaded) => loaded,
            None => {
                let directory = self.packages.join(CHEST_CT);
                let package = Package::open(&directory).map_err(|source| Error::Package { directory, source })?;
                let manifest = &package.manifest;
                if !task::ct_chest::network_needed(volume, acquisition, manifest) {
                    let findings = task::ct_chest::without_network(volume, acquisition, manifest, control)?;
                    return Ok((
                        findings,
                        Used { manifest: package.manifest, sha256: package.sha256, accelerator: None },
                    ));
                }
                self.load(package)?
            }
        };
        let findings = task::ct_chest::run(volume, acquisition, &loaded.package, loaded.model.as_mut(), control);
        let used = Used {
            manifest: loaded.package.manifest.clone(),
            sha256: loaded.package.sha256.clone(),
            accelerator: Some(loaded.accelerator.describe()),
        };
        self.loaded = Some(loaded);
        Ok((findings?, used))
    }

    fn load(&self, package: Package) -> Result<Loaded, Error> {
        let accelerator = accel::open(&self.config)?;
        let Accelerated { provider, library, fallback, .. } = accelerator.describe();
        let network = package
            .network(&provider)
            .map_err(|source| Error::Package { directory: package.directory.clone(), source })?
            .1;
        let model = accelerator.load(&network)?;
        let (id, version) = (&package.manifest.id, &package.manifest.version);
        tracing::info!(model = %id, %version, provider, library, fallback, "model loaded");
        Ok(Loaded { accelerator, package, model })
    }

    /// Frees the model's memory; says whether there was any.
    pub fn unload(&mut self) -> bool {
        self.loaded.take().is_some()
    }
}
