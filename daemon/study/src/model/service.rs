//! Operations on model packages: install, build, activate, roll back, and so on. Every change is in the registry before
//! it is announced. A build runs in parallel with the analysis and reports its progress.

use std::collections::BTreeMap;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use custody::event::Event;
use custody::level::{Gate, Level};
use custody::store::{Durability, Store, events};
use hal::accel::Provider;
use models::registry::{Change, Choice, Entry, Key, PackageState};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::attempt::Proof;
use super::{Error, Shelf};

/// Cheap to clone; all clones share one state.
#[derive(Debug, Clone)]
pub struct Models {
    shelf: Shelf,
    store: Store,
    events: broadcast::Sender<Event>,
    gate: Gate,
    /// Builds that run or wait.
    builds: Arc<Mutex<BTreeMap<Key, Build>>>,
    /// Held by the build that runs: two builds at the same time would compete for memory.
    turn: Arc<Mutex<()>>,
}

/// A build that runs or waits.
#[derive(Debug)]
struct Build {
    /// Its task uses the package afterwards.
    activate: bool,
    /// It has its turn.
    runs: bool,
    proof: Proof,
    stop: CancellationToken,
}

/// The stage of a build that was cancelled and has not ended yet.
const ENDING: &str = "ending";

/// One package as shown to an operator.
#[derive(Debug, Clone)]
pub struct Listed {
    pub entry: Entry,
    pub state: PackageState,
    /// Stage and completed fraction of a running build; the active package may be built again too.
    pub building: Option<(String, f64)>,
    pub last_good: bool,
    pub shadow: bool,
}

impl Models {
    pub fn new(shelf: Shelf, store: Store, events: broadcast::Sender<Event>, gate: Gate) -> Self {
        Self { shelf, store, events, gate, builds: Arc::default(), turn: Arc::default() }
    }

    /// Builds the engines of a GPU at start, so that the first study does not wait for them: TensorRT takes minutes
    /// after a driver update. The CPU needs no build.
    pub fn prepare(&self, provider: &str) {
        if !Provider::parse(provider).is_ok_and(Provider::builds_engines) {
            return;
        }
        let active = models::task::ALL.into_iter().filter_map(|task| self.shelf.active(task).ok());
        for entry in active {
            if let Err(error) = self.begin(&entry.key, false, Proof::Kept) {
                tracing::warn!(package = %entry.key, %error, "model package cannot be built at start");
            }
        }
    }

    /// Why networks do not run on the accelerator that is configured, as far as is known.
    pub fn reduced(&self) -> Option<String> {
        self.shelf.reduced()
    }

    pub fn list(&self) -> Vec<Listed> {
        let registry = self.shelf.registry();
        let listed = |entry: &Entry| {
            let selection = registry.selection(entry.task());
            let is = |choice: &Option<Choice>| choice.as_ref() == Some(&entry.choice());
            Listed {
                entry: entry.clone(),
                state: registry.state(entry),
                building: entry.building().map(|(stage, fraction)| (stage.to_owned(), fraction)),
                last_good: is(&selection.last_good),
                shadow: is(&selection.shadow),
            }
        };
        registry.entries().map(listed).collect()
    }

    /// Installs an archive. Blocks while it is unpacked and hashed.
    ///
    /// # Errors
    /// `Registry`: the archive was refused, or the disk failed; `Restricted`.
    pub fn install(&self, archive: impl Read) -> Result<(Key, Change), Error> {
        self.permit(Level::Reduced)?;
        let installer = self.shelf.registry().installer();
        let committed = installer.stage(archive).and_then(|staged| self.shelf.registry().commit(staged));
        match committed {
            Ok((key, change)) => {
                self.tell(&key, if change == Change::Changed { "installed" } else { "is installed already" }, "");
                Ok((key, change))
            }
            Err(error) => {
                self.note("model", "an archive was refused", &error.to_string());
                Err(error.into())
            }
        }
    }

    /// Starts to build a package and to prove it anew, whatever was found before; its state shows the progress. With `activate`, its
    /// task uses it once it has passed its checks. The active package is proved on the accelerator that is configured. The end of the daemon cancels build and activation.
    ///
    /// # Errors
    /// `Registry`: not found, or refused already; `Restricted`, also while a cancelled build of it ends.
    pub fn build(&self, key: &Key, activate: bool) -> Result<Change, Error> {
        let is_active = {
            let registry = self.shelf.registry();
            registry.get(key).is_ok_and(|entry| registry.is_active(entry))
        };
        self.begin(key, activate, if is_active { Proof::OfConfigured } else { Proof::Anew })
    }

    fn begin(&self, key: &Key, activate: bool, proof: Proof) -> Result<Change, Error> {
        self.permit(Level::NoNewStudies)?;
        let mut builds = self.builds();
        let mut registry = self.shelf.registry();
        let entry = registry.get(key)?;
        if activate && registry.is_active(entry) {
            return Ok(Change::Already);
        }
        if let Some(build) = builds.get_mut(key) {
            if build.stop.is_cancelled() {
                let why = format!("a build of {key} was cancelled and has not ended yet; try again in a moment");
                return Err(Error::Restricted(why));
            }
            if proof != Proof::Kept {
                if build.runs && build.proof == Proof::Kept {
                    let why =
                        format!("{key} is being built for work and would not be proved anew; try again in a moment");
                    return Err(Error::Restricted(why));
                }
                build.proof = proof;
            }
            build.activate |= activate;
            return Ok(Change::Already);
        }
        builds.insert(key.clone(), Build { activate, runs: false, proof, stop: self.shelf.stop().child_token() });
        registry.building(key, "waiting", 0.0);
        drop((builds, registry));
        self.announce(key);
        let (models, key) = (self.clone(), key.clone());
        tokio::task::spawn_blocking(move || models.carry_out(&key));
        Ok(Change::Changed)
    }

    /// Ends a build that waits, at once, or one that runs, as soon as its library lets go; its package is not activated then, and
    /// what its task uses stays in use. `Already`: there is no such build.
    ///
    /// # Errors
    /// `Registry`: not found.
    pub fn cancel(&self, key: &Key) -> Result<Change, Error> {
        let mut builds = self.builds();
        self.shelf.registry().get(key)?;
        let Some(build) = builds.get(key) else { return Ok(Change::Already) };
        build.stop.cancel();
        tracing::info!(package = %key, stage = if build.runs { "running" } else { "waiting" }, "its build is cancelled");
        if build.runs {
            // Before the lock is given up: afterwards the build may have ended.
            let mut registry = self.shelf.registry();
            let fraction = registry.get(key)?.building().map_or(0.0, |(_, fraction)| fraction);
            registry.building(key, ENDING, fraction);
            drop(registry);
            self.announce(key);
        } else {
            let activate = build.activate;
            builds.remove(key);
            // Before the lock is given up: afterwards another build of it may have begun.
            let words = self.was_cancelled(key, activate);
            drop(builds);
            self.tell_cancelled(key, &words);
        }
        Ok(Change::Changed)
    }

    /// Whether a build runs or waits: the end of the daemon waits for that, because a library that is ended in the middle of a build may
    /// crash.
    pub fn is_building(&self) -> bool {
        !self.builds().is_empty()
    }

    fn builds(&self) -> MutexGuard<'_, BTreeMap<Key, Build>> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_cancelled(&self, key: &Key) -> bool {
        self.builds().get(key).is_some_and(|build| build.stop.is_cancelled())
    }

    /// Notes the end of a cancelled build; says what is used.
    fn was_cancelled(&self, key: &Key, activate: bool) -> String {
        let (why, used) = {
            let registry = self.shelf.registry();
            let task = registry.get(key).map(|entry| entry.task().to_owned()).unwrap_or_default();
            let used = registry.active(&task).ok().map(|active| active.key.clone());
            (if self.shelf.stop().is_cancelled() { "the daemon ends" } else { "cancelled" }, used)
        };
        let words = match used.filter(|used| activate && used != key) {
            Some(used) => format!("{why}; {used} is still used"),
            None => why.to_owned(),
        };
        self.shelf.registry().build_ended(key, Some(words.clone()));
        words
    }

    fn tell_cancelled(&self, key: &Key, words: &str) {
        tracing::info!(package = %key, words, "the build was cancelled");
        self.note(&subject(key), "build cancelled", words);
        self.announce(key);
    }

    /// Runs one build, after waiting for its turn.
    fn carry_out(&self, key: &Key) {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (stop, proof) = match self.builds().get_mut(key) {
            Some(build) if !build.runs => {
                build.runs = true;
                (build.stop.clone(), build.proof)
            }
            // It was cancelled while it waited.
            _ => return,
        };
        let built = self.watched(key, stop, proof).unwrap_or_else(|| Err(Error::Internal("the build panicked".into())));
        let mut builds = self.builds();
        let (activate, is_cancelled) =
            builds.remove(key).map_or((false, false), |build| (build.activate, build.stop.is_cancelled()));
        // What was built to its end all the same is not used: somebody has said so. Nobody can say it later than here.
        let done = match built {
            _ if is_cancelled => Err(Error::Cancelled),
            Ok(()) if activate => self.shelf.registry().activate(key).map_err(Error::from),
            Ok(()) => Ok(Change::Already),
            Err(error) => Err(error),
        };
        if matches!(done, Err(Error::Cancelled)) {
            let words = self.was_cancelled(key, activate);
            drop(builds);
            self.tell_cancelled(key, &words);
            return;
        }
        let failure =
            done.as_ref().err().filter(|error| !matches!(error, Error::Refused { .. })).map(ToString::to_string);
        self.shelf.registry().build_ended(key, failure);
        drop(builds);
        match &done {
            Ok(change) => {
                self.note(&subject(key), "built", "");
                if *change == Change::Changed {
                    self.note(&subject(key), "activated", "");
                }
            }
            Err(error) => {
                tracing::error!(package = %key, %error, "cannot build the model package");
                self.note(&subject(key), "not built", &error.to_string());
            }
        }
        drop(turn);
        self.announce(key);
    }

    /// Loads the package and reports progress. An accelerator that reports none while it builds gets a fraction that is
    /// estimated from the elapsed time and stays below 1. `None`: the build panicked.
    fn watched(&self, key: &Key, stop: CancellationToken, proof: Proof) -> Option<Result<(), Error>> {
        const TICK: Duration = Duration::from_millis(500);
        const TYPICAL: Duration = Duration::from_secs(15);
        let entry = match self.shelf.registry().get(key) {
            Ok(entry) => entry.clone(),
            Err(error) => return Some(Err(error.into())),
        };
        let (done, ended) = channel::<()>();
        let stage = Mutex::new((String::new(), 0.0, Instant::now()));
        let stage = &stage;
        let shelf = self.shelf.clone().until(stop).proving(proof);
        std::thread::scope(|scope| {
            let build = scope.spawn(move || {
                let progress = |name: &str, fraction: f64| {
                    *stage.lock().unwrap_or_else(PoisonError::into_inner) = (name.to_owned(), fraction, Instant::now());
                    self.progress(key, name, fraction);
                };
                let outcome = catch_unwind(AssertUnwindSafe(|| shelf.load(&entry, &progress).map(drop)));
                drop(done);
                outcome.ok()
            });
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let (name, fraction, since) = stage.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // An accelerator that tells how far it is has moved it already.
                if name == "engine" && fraction <= super::attempt::ENGINE {
                    let waited = since.elapsed().as_secs_f64() / TYPICAL.as_secs_f64();
                    self.progress(key, &name, fraction + 0.65 * (1.0 - (-waited).exp()));
                }
            }
            build.join().ok().flatten()
        })
    }

    fn progress(&self, key: &Key, stage: &str, fraction: f64) {
        let stage = if self.is_cancelled(key) { ENDING } else { stage };
        self.shelf.registry().building(key, stage, fraction);
        self.announce(key);
    }

    /// Activates the last good package again.
    ///
    /// # Errors
    /// `Registry`: there is no last good package; `Restricted`.
    pub fn rollback(&self, task: &str) -> Result<Key, Error> {
        self.permit(Level::NoNewStudies)?;
        let key = self.shelf.registry().rollback(task)?;
        self.tell(&key, "active again", "rolled back");
        Ok(key)
    }

    /// # Errors
    /// `Registry`; `Restricted`.
    pub fn deactivate(&self, key: &Key) -> Result<Change, Error> {
        self.permit(Level::NoNewStudies)?;
        let change = self.shelf.registry().deactivate(key)?;
        self.tell(key, "deactivated", "");
        Ok(change)
    }

    /// # Errors
    /// `Registry`; `Restricted`.
    pub fn remove(&self, key: &Key) -> Result<(), Error> {
        self.permit(Level::NoNewStudies)?;
        self.shelf.registry().remove(key)?;
        self.tell(key, "removed", "");
        Ok(())
    }

    /// # Errors
    /// `Registry`; `Restricted`.
    pub fn shadow(&self, key: &Key, on: bool) -> Result<Change, Error> {
        self.permit(Level::NoNewStudies)?;
        let change = self.shelf.registry().set_shadow(key, on)?;
        self.tell(key, if on { "runs as shadow" } else { "runs as shadow no longer" }, "");
        Ok(change)
    }

    /// Checks the signature and every file again. A package that fails is refused, and its task returns to the last
    /// good package.
    ///
    /// # Errors
    /// `Refused` with the reason; `Registry`.
    pub fn verify(&self, key: &Key) -> Result<(), Error> {
        let entry = self.shelf.registry().get(key)?.clone();
        let checked = self.shelf.check(&entry);
        match &checked {
            Ok(()) => self.note(&subject(key), "verified", ""),
            Err(error) => self.tell(key, "failed verification", &error.to_string()),
        }
        checked
    }

    fn permit(&self, needed: Level) -> Result<(), Error> {
        let (level, reason) = self.gate.get();
        if level <= needed { Ok(()) } else { Err(Error::Restricted(reason)) }
    }

    fn tell(&self, key: &Key, what: &str, detail: &str) {
        tracing::info!(package = %key, detail, "model package {what}");
        self.note(&subject(key), what, detail);
        self.announce(key);
    }

    /// Records an event. If that fails, the operation itself stays valid.
    fn note(&self, subject: &str, what: &str, detail: &str) {
        let written = self.store.connect(Durability::Rebuildable);
        if let Err(error) = written.and_then(|connection| events::record(&connection, subject, what, detail)) {
            tracing::warn!(%error, subject, what, "cannot record an event");
        }
    }

    /// Tells subscribers to read the list again.
    fn announce(&self, key: &Key) {
        let _ = self.events.send(Event::Model { id: key.id.clone(), version: key.version.clone() });
    }
}

fn subject(key: &Key) -> String {
    format!("model/{key}")
}
