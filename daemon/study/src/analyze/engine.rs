//! The engine: the packages it has in memory and the accelerator they run on. Loaded at the first job, unloaded when
//! idle, so that a box that waits stays small. A package that was activated meanwhile is taken at the next job.

use std::collections::BTreeMap;

use hal::LoadedModel;
use hal::accel::Description as Accelerated;
use models::manifest::Manifest;
use models::registry::Entry;
use models::task::{self, CT_CHEST, Control, MG_BREAST, US_BREAST, US_BREAST_STILLS};
use models::{Acquisition, ChestFindings, Package, Volume};

use crate::model::{self, Hosts, Loaded, Shelf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Model(#[from] model::Error),
    #[error("{0}")]
    Task(#[from] task::Error),
}

#[derive(Debug)]
pub struct Engine {
    shelf: Shelf,
    /// Other machines that may run the active packages.
    hosts: Hosts,
    /// What there is to tell of them since it was last asked.
    told: Vec<String>,
    /// By task: what the package of one does to it is nothing to the others.
    loaded: BTreeMap<&'static str, Loaded>,
    /// The candidate.
    beside: Option<Loaded>,
}

/// What the engine used, for provenance.
#[derive(Debug, Clone)]
pub struct Used {
    pub manifest: Manifest,
    /// Of `model.toml`, which names every other file by hash.
    pub sha256: String,
    /// `None` when no network had to run.
    pub accelerator: Option<Accelerated>,
}

impl Used {
    fn of(loaded: &Loaded) -> Self {
        Self {
            manifest: loaded.package.manifest.clone(),
            sha256: loaded.package.sha256.clone(),
            accelerator: Some(loaded.on()),
        }
    }
}

impl Engine {
    pub fn new(shelf: Shelf) -> Self {
        Self { shelf, hosts: Hosts::default(), told: Vec::new(), loaded: BTreeMap::new(), beside: None }
    }

    /// Tasks whose jobs have a package now.
    pub fn usable(&self) -> impl Iterator<Item = &'static str> {
        let is_active = |task| self.shelf.active(task).is_ok();
        models::task::ALL
            .into_iter()
            .filter(move |task| is_active(*task) || *task == US_BREAST && is_active(US_BREAST_STILLS))
    }

    /// The same with machines that may run the active packages.
    #[must_use]
    pub fn with_hosts(self, hosts: Hosts) -> Self {
        Self { hosts, ..self }
    }

    /// What there is to tell of other machines since this was last asked: who made how many runs, and why one made none.
    pub fn take_told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    fn load_active(&self, task: &'static str) -> Result<Loaded, model::Error> {
        Ok(self.hosts.before(self.shelf.load_active(task)?))
    }

    /// What was used, and keeps the package for the next job.
    fn keep(&mut self, task: &'static str, loaded: Loaded) -> Used {
        let used = Used::of(&loaded);
        self.told.extend(loaded.told());
        self.loaded.insert(task, loaded);
        used
    }

    /// Runs the chest CT task with the package that is active for it, loading that first if need be.
    ///
    /// # Errors
    /// When the accelerator or a package cannot be had, or the task fails. A volume that the task will not judge is no
    /// error: its findings say why.
    pub fn chest_ct(
        &mut self,
        volume: &Volume,
        acquisition: &Acquisition,
        control: &dyn Control,
    ) -> Result<(ChestFindings, Used), Error> {
        control.progress("load", 0.0);
        let active = self.shelf.active(CT_CHEST)?;
        let mut loaded = match self.kept(CT_CHEST, &active) {
            Some(loaded) => loaded,
            None => match not_needed(&active, volume, acquisition) {
                Some(manifest) => {
                    let findings = task::ct_chest::without_network(volume, acquisition, manifest, control)?;
                    let used = Used { manifest: manifest.clone(), sha256: active.sha256.clone(), accelerator: None };
                    return Ok((findings, used));
                }
                None => self.load_active(CT_CHEST)?,
            },
        };
        loaded.begin(control.watch());
        let findings = task::ct_chest::run(
            volume,
            acquisition,
            &loaded.package,
            (loaded.model.as_mut(), loaded.steps.as_ref()),
            control,
        );
        let used = self.keep(CT_CHEST, loaded);
        Ok((findings?, used))
    }

    /// Lets `look` use the package that is active for stored pictures of breast ultrasound, otherwise that of live video, loading it first
    /// if need be.
    ///
    /// # Errors
    /// When the accelerator or a package cannot be had, and what `look` fails with.
    pub fn us_stills<T, E: From<Error>>(
        &mut self,
        control: &dyn Control,
        look: impl FnOnce(&Manifest, &mut dyn LoadedModel) -> Result<T, E>,
    ) -> Result<(T, Used), E> {
        control.progress("load", 0.0);
        let (task, loaded) = match self.take(US_BREAST_STILLS) {
            Err(model::Error::NoPackage(_)) => (US_BREAST, self.take(US_BREAST)),
            stills => (US_BREAST_STILLS, stills),
        };
        let loaded = loaded.map_err(|error| E::from(error.into()))?;
        self.with(task, loaded, control, |package, model| look(&package.manifest, model))
    }

    /// The same for mammograms.
    ///
    /// # Errors
    /// As [`Engine::us_stills`].
    pub fn mg_breast<T, E: From<Error>>(
        &mut self,
        control: &dyn Control,
        look: impl FnOnce(&Package, &mut dyn LoadedModel) -> Result<T, E>,
    ) -> Result<(T, Used), E> {
        control.progress("load", 0.0);
        let loaded = self.take(MG_BREAST).map_err(|error| E::from(error.into()))?;
        self.with(MG_BREAST, loaded, control, look)
    }

    /// What the last job of a task left, if that is the active package.
    fn kept(&mut self, task: &'static str, active: &Entry) -> Option<Loaded> {
        self.loaded.remove(task).filter(|loaded| loaded.is(active))
    }

    /// The active package of a task: the one that the last job left, or a newly loaded one.
    fn take(&mut self, task: &'static str) -> Result<Loaded, model::Error> {
        let active = self.shelf.active(task)?;
        match self.kept(task, &active) {
            Some(loaded) => Ok(loaded),
            None => self.load_active(task),
        }
    }

    fn with<T, E>(
        &mut self,
        task: &'static str,
        mut loaded: Loaded,
        control: &dyn Control,
        look: impl FnOnce(&Package, &mut dyn LoadedModel) -> Result<T, E>,
    ) -> Result<(T, Used), E> {
        loaded.begin(control.watch());
        let looked = look(&loaded.package, loaded.model.as_mut());
        let used = self.keep(task, loaded);
        Ok((looked?, used))
    }

    /// The candidate that runs beside the active package of a task.
    pub fn shadow(&self, task: &str) -> Option<Entry> {
        self.shelf.registry().shadow(task).cloned()
    }

    /// Runs the chest CT task with a candidate, whose network stays loaded as that of the active package does.
    ///
    /// # Errors
    /// As [`Engine::chest_ct`].
    pub fn chest_ct_beside(
        &mut self,
        candidate: &Entry,
        volume: &Volume,
        acquisition: &Acquisition,
        control: &dyn Control,
    ) -> Result<ChestFindings, Error> {
        if let Some(manifest) = not_needed(candidate, volume, acquisition) {
            return Ok(task::ct_chest::without_network(volume, acquisition, manifest, control)?);
        }
        let mut loaded = match self.beside.take().filter(|loaded| loaded.is(candidate)) {
            Some(loaded) => loaded,
            None => self.shelf.load(candidate, &|_, _| {})?,
        };
        let findings = task::ct_chest::run(
            volume,
            acquisition,
            &loaded.package,
            (loaded.model.as_mut(), loaded.steps.as_ref()),
            control,
        );
        self.beside = Some(loaded);
        Ok(findings?)
    }

    /// Frees the models' memory; says whether there was any.
    pub fn unload(&mut self) -> bool {
        let beside = self.beside.take().is_some();
        !std::mem::take(&mut self.loaded).is_empty() || beside
    }
}

/// The manifest, when the package can look for nothing in this series: then its network need not be loaded.
fn not_needed<'a>(active: &'a Entry, volume: &Volume, acquisition: &Acquisition) -> Option<&'a Manifest> {
    let manifest = active.manifest.as_ref()?;
    (!task::ct_chest::network_needed(volume, acquisition, manifest)).then_some(manifest)
}
