//! Turns events into objects and signals. Changes are collected for [`FLUSH`] and signalled once, so that a scanner
//! that sends 500 instances a second does not cause 500 signals a second.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use custody::event::Event;
use custody::level::Gate;
use study::model::Models;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;
use zbus::{Connection, OwnedObjectPath, OwnedVariant, object_server::Interface};

use super::auth::Authority;
use super::delivery::Delivery;
use super::job::Job;
use super::manager::Manager;
use super::model::{Model, Shown};
use super::names::{self, Noun};
use super::objects::{self, show};
use super::query;
use super::rows;
use super::series::Series;
use super::study::Study;
use super::{Error, Facts};
use crate::reader::Reader;
use custody::store::lists::{self, Counts, Wanted};

/// Properties of `Manager1` without a change signal: they change all the time.
const UNTOLD: [&str; 5] = ["FreeBytes", "MemoryBytes", "StudiesLeft", "Temperatures", "Watts"];
const FLUSH: Duration = Duration::from_millis(200);
/// When the database could not be read.
const READ_AGAIN: Duration = Duration::from_secs(2);
/// Only the newest rows are exported as objects; older ones appear only in the lists. This bounds the memory.
const MOST_STUDIES: usize = 200;
const MOST_OTHERS: usize = 500;

/// Changes since the last flush; only the newest for each object.
#[derive(Debug, Default)]
struct Pending {
    studies: BTreeSet<String>,
    series: BTreeMap<i64, Event>,
    jobs: BTreeMap<i64, Event>,
    deliveries: BTreeMap<i64, Event>,
    models: bool,
    level: bool,
    /// Events were lost, so everything must be read again.
    all: bool,
    /// What was exported may be of rows that are not there any more.
    rebuilt: bool,
}

impl Pending {
    fn note(&mut self, event: Event) {
        match &event {
            Event::Series { id, study_uid, .. } => {
                self.studies.insert(study_uid.clone());
                self.series.insert(*id, event);
            }
            Event::Job { id, .. } => drop(self.jobs.insert(*id, event)),
            Event::Delivery { id, .. } => drop(self.deliveries.insert(*id, event)),
            Event::Model { .. } => self.models = true,
            // What was noted before is of other rows.
            Event::Rebuilt => *self = Self { all: true, rebuilt: true, models: self.models, ..Self::default() },
        }
    }

    fn is_empty(&self) -> bool {
        !self.level
            && !self.models
            && !self.all
            && self.series.is_empty()
            && self.jobs.is_empty()
            && self.deliveries.is_empty()
    }
}

pub struct Publisher {
    connection: Connection,
    reader: Reader,
    counts: Arc<Mutex<Counts>>,
    /// Properties of Manager1 as signalled last.
    told: HashMap<String, OwnedVariant>,
    exported: HashMap<&'static str, BTreeSet<i64>>,
    models: Models,
    authority: Authority,
    packages: HashSet<OwnedObjectPath>,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}

impl Publisher {
    pub fn new(
        connection: Connection,
        reader: Reader,
        counts: Arc<Mutex<Counts>>,
        models: &Models,
        authority: Authority,
    ) -> Self {
        Self {
            connection,
            reader,
            counts,
            told: HashMap::new(),
            exported: HashMap::new(),
            models: models.clone(),
            authority,
            packages: HashSet::new(),
        }
    }

    /// Runs until shutdown, or until the connection is lost. `complete`: [`Publisher::show_all`] has succeeded. A database
    /// that cannot be read does not take the box off the bus: all is read again until it can be.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn run(
        mut self,
        mut events: broadcast::Receiver<Event>,
        gate: &Gate,
        facts: &Facts,
        complete: bool,
        shutdown: CancellationToken,
    ) -> Result<(), Error> {
        let mut levels = gate.subscribe();
        let mut health = facts.health.clone();
        let mut heat = facts.heat.clone();
        let mut known = heat.borrow_and_update().clone();
        let mut pending = Pending { all: !complete, ..Pending::default() };
        let mut due = (!complete).then(|| tokio::time::Instant::now() + READ_AGAIN);
        loop {
            let wake = due.unwrap_or_else(|| tokio::time::Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                event = events.recv() => match event {
                    Ok(event) => pending.note(event),
                    Err(RecvError::Lagged(_)) => pending.all = true,
                    Err(RecvError::Closed) => { shutdown.cancelled().await; return Ok(()) }
                },
                Ok(()) = levels.changed() => pending.level = true,
                // The counts are updated together with the free space.
                Ok(()) = health.changed() => pending.level = true,
                Ok(()) = heat.changed() => {
                    let now = heat.borrow_and_update().clone();
                    // A tenth of a degree is no news.
                    let is_news = (now.condition, now.words()) != (known.condition, known.words());
                    pending.level |= is_news;
                    known = now;
                }
                () = tokio::time::sleep_until(wake) => {
                    due = None;
                    let rebuilt = pending.rebuilt;
                    match self.flush(std::mem::take(&mut pending)).await {
                        Err(Error::Internal(reason)) => {
                            tracing::debug!(reason, "the database cannot be read; objects on the bus are not up to date");
                            pending = Pending { all: true, rebuilt, ..pending };
                            due = Some(tokio::time::Instant::now() + READ_AGAIN);
                        }
                        flushed => flushed?,
                    }
                }
                () = self.connection.closed() => {
                    return Err(zbus::Error::Failure("the bus closed the connection".into()).into());
                }
                () = shutdown.cancelled() => return Ok(()),
            }
            if due.is_none() && !pending.is_empty() {
                due = Some(tokio::time::Instant::now() + FLUSH);
            }
        }
    }

    /// Exports the present content of the database.
    ///
    /// # Errors
    /// When the database or the connection fails.
    pub async fn show_all(&mut self) -> Result<(), Error> {
        let newest = |most: usize| Wanted { limit: u32::try_from(most).unwrap_or(u32::MAX), ..Wanted::default() };
        // Oldest first, so that the bound keeps the newest.
        let studies = self.reader.read(move |db| query::studies(db, &newest(MOST_STUDIES))).await?;
        for study in studies.into_iter().rev() {
            self.put::<Study>(Noun::Study, study.path.clone(), study).await?;
        }
        let series = self.reader.read(move |db| query::series(db, &newest(MOST_OTHERS))).await?;
        for series in series.into_iter().rev() {
            self.put::<Series>(Noun::Series, series.path.clone(), series).await?;
        }
        let jobs = self.reader.read(move |db| query::jobs(db, &newest(MOST_OTHERS))).await?;
        for job in jobs.into_iter().rev() {
            self.put::<Job>(Noun::Job, job.path.clone(), job).await?;
        }
        let deliveries = self.reader.read(move |db| query::deliveries(db, &newest(MOST_OTHERS))).await?;
        for delivery in deliveries.into_iter().rev() {
            self.put::<Delivery>(Noun::Delivery, delivery.path.clone(), delivery).await?;
        }
        self.show_models().await?;
        self.tell_manager().await
    }

    /// Takes every row off the bus.
    async fn withdraw(&mut self) -> Result<(), Error> {
        let server = self.connection.object_server().clone();
        for noun in [Noun::Study, Noun::Series, Noun::Job, Noun::Delivery] {
            for id in self.exported.remove(noun.element()).unwrap_or_default() {
                let path = noun.path(id);
                match noun {
                    Noun::Study => server.remove::<Study, _>(path).await?,
                    Noun::Series => server.remove::<Series, _>(path).await?,
                    Noun::Job => server.remove::<Job, _>(path).await?,
                    Noun::Delivery => server.remove::<Delivery, _>(path).await?,
                };
            }
        }
        Ok(())
    }

    /// Updates all packages, because there are few.
    async fn show_models(&mut self) -> Result<(), Error> {
        let mut gone = std::mem::take(&mut self.packages);
        for row in self.models.list().into_iter().map(rows::Model::from) {
            let path = row.path.clone();
            gone.remove(&path);
            let shown = Shown { row, models: self.models.clone(), authority: self.authority.clone() };
            show::<Model>(&self.connection, &path, shown).await?;
            self.packages.insert(path);
        }
        for path in gone {
            self.connection.object_server().remove::<Model, _>(path).await?;
        }
        Ok(())
    }

    /// Updates the objects before it sends signals, so that a client that receives a signal finds the object up to
    /// date.
    async fn flush(&mut self, mut pending: Pending) -> Result<(), Error> {
        // The level first: it says why the rest may fail.
        if std::mem::take(&mut pending.level) {
            self.tell_manager().await?;
            if pending.is_empty() {
                return Ok(());
            }
        }
        if pending.rebuilt {
            self.withdraw().await?;
        }
        if pending.all {
            self.show_all().await?;
        }
        if pending.models {
            self.show_models().await?;
        }
        for event in pending.series.into_values() {
            self.series(event).await?;
        }
        for study_uid in pending.studies {
            let wanted = Wanted { limit: 1, study_uid: Some(study_uid), ..Wanted::default() };
            for study in self.reader.read(move |db| query::studies(db, &wanted)).await? {
                self.put::<Study>(Noun::Study, study.path.clone(), study).await?;
            }
        }
        for event in pending.jobs.into_values() {
            self.job(event).await?;
        }
        for event in pending.deliveries.into_values() {
            self.delivery(event).await?;
        }
        self.tell_manager().await
    }

    async fn series(&mut self, event: Event) -> Result<(), Error> {
        let Event::Series { id, study_uid, series_uid, state, instances, verdict } = event else { return Ok(()) };
        let (study, series) = (Some(study_uid.clone()), Some(series_uid.clone()));
        let wanted = Wanted { limit: 1, study_uid: study, series_uid: series, ..Wanted::default() };
        for series in self.reader.read(move |db| query::series(db, &wanted)).await? {
            self.put::<Series>(Noun::Series, series.path.clone(), series).await?;
        }
        let (path, verdict) = (Noun::Series.path(id), query::shown(verdict.unwrap_or_default()));
        let (study_uid, series_uid) = (query::shown(study_uid), query::shown(series_uid));
        let emitter = self.connection.object_server().interface::<_, Manager>(names::ROOT).await?;
        let emitter = emitter.signal_emitter();
        Manager::series_changed(emitter, path.as_ref(), &study_uid, &series_uid, &state, instances, &verdict).await?;
        Ok(())
    }

    async fn job(&mut self, event: Event) -> Result<(), Error> {
        let Event::Job { id, series_id, state, stage, fraction } = event else { return Ok(()) };
        if let Some(mut job) = self.reader.read(move |db| query::job(db, id)).await? {
            job.stage.clone_from(&stage);
            job.fraction = fraction;
            self.put::<Job>(Noun::Job, job.path.clone(), job).await?;
        }
        let (path, series) = (Noun::Job.path(id), Noun::Series.path(series_id));
        let emitter = self.connection.object_server().interface::<_, Manager>(names::ROOT).await?;
        let emitter = emitter.signal_emitter();
        Manager::job_progress(emitter, path.as_ref(), series.as_ref(), &state, &stage, fraction).await?;
        Ok(())
    }

    async fn delivery(&mut self, event: Event) -> Result<(), Error> {
        let Event::Delivery { id, destination, state, reason } = event else { return Ok(()) };
        if let Some(delivery) = self.reader.read(move |db| query::delivery(db, id)).await? {
            self.put::<Delivery>(Noun::Delivery, delivery.path.clone(), delivery).await?;
        }
        let (path, reason) = (Noun::Delivery.path(id), query::shown(reason.unwrap_or_default()));
        let emitter = self.connection.object_server().interface::<_, Manager>(names::ROOT).await?;
        Manager::delivery_changed(emitter.signal_emitter(), path.as_ref(), &destination, &state, &reason).await?;
        Ok(())
    }

    /// Exports the row. Removes the oldest object of this kind if there are too many.
    async fn put<I: objects::Exported>(&mut self, noun: Noun, path: OwnedObjectPath, row: I::Row) -> Result<(), Error> {
        show::<I>(&self.connection, &path, row).await?;
        let most = if noun == Noun::Study { MOST_STUDIES } else { MOST_OTHERS };
        let exported = self.exported.entry(noun.element()).or_default();
        exported.extend(path.rsplit('/').next().and_then(|id| id.parse::<i64>().ok()));
        while exported.len() > most {
            let Some(oldest) = exported.pop_first() else { break };
            self.connection.object_server().remove::<I, _>(noun.path(oldest)).await?;
        }
        Ok(())
    }

    async fn tell_manager(&mut self) -> Result<(), Error> {
        // The level is told also when nothing can be counted.
        if let Ok(counts) = self.reader.read(|db| Ok::<_, Error>(lists::counts(db)?)).await {
            *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        }
        let server = self.connection.object_server();
        let manager = server.interface::<_, Manager>(names::ROOT).await?;
        let emitter = manager.signal_emitter();
        let mut now =
            manager.get().await.get_all(server, &self.connection, None, emitter).await.map_err(zbus::Error::from)?;
        now.retain(|name, _| !UNTOLD.contains(&name.as_str()));
        if !self.told.is_empty() {
            objects::tell::<Manager>(emitter, &self.told, &now).await?;
        }
        self.told = now;
        Ok(())
    }
}
