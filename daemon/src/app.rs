//! Composition root: opens what is durable, starts the tasks, waits for the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use config::Settings;
use custody::event::Event;
use custody::level::{Gate, Level};
use custody::spool::Spool;
use custody::store::{self, Durability, Store, deliveries, jobs, series};
use dicom::kind::Kind;
use futures_util::future::BoxFuture;
use hal::Clock;
use hal::urgency::{self, Precedence};
use live::screen::profile::Profiles;
use live::source::device::Device;
use live::view::View;
use live::worklist::Worklist;
use models::registry::Swept;
use models::task::US_BREAST;
use node::settings::Destination;
use node::{Intake, send};
use study::analyze::worker;
use study::exam::hand_over::HandOver;
use study::model::for_live::FromShelf;
use study::model::{Models, Shelf};
use study::outbox;
use study::parts::Parts;
use study::volume::ahead::DecodeAhead;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::console;
use crate::dbus::{self, RerunOptions};
use crate::health::{self, notify};

/// Arrivals that may wait for the study task before senders are held back.
const ARRIVALS: usize = 1024;
/// Events a slow listener may lag behind before it loses the oldest.
const EVENTS: usize = 4096;

/// Runs the appliance until shutdown. A task that ends early ends the appliance: systemd starts it again, and custody
/// survives that by design.
///
/// # Errors
/// When something durable cannot be opened, a port cannot be bound, or a task fails.
pub async fn run(settings: Settings, trigger: CancellationToken, shutdown: CancellationToken) -> anyhow::Result<()> {
    let settings = Arc::new(settings);
    let study_settings = Arc::new(settings.study());
    if settings.live.is_on() {
        // Before anybody uses the common pool.
        let pool = rayon::ThreadPoolBuilder::new().start_handler(|_| urgency::step_back()).build_global();
        pool.unwrap_or_else(|error| tracing::warn!(%error, "study work keeps its priority"));
    }
    let directory = &settings.spool.directory;
    std::fs::create_dir_all(directory).with_context(|| format!("spool.directory {}", directory.display()))?;
    let store = Store::open(&directory.join("scanside.db"))?;
    // Receiving does not depend on it: without its directory the box works with what came with the software.
    let (shelf, swept) = Shelf::open(&study_settings).unwrap_or_else(|error| {
        tracing::error!(%error, "the model registry cannot be opened; installed packages are not used");
        (Shelf::view(&study_settings), Swept::default())
    });
    tell_packages(&shelf, &swept);
    let (spool, recovery) = Spool::open(&settings.spool, &store)?;
    tracing::info!(%recovery, "spool opened");
    let listener = node::listener::bind(&settings.dicom).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "DICOM listener bound");

    let gate = Gate::default();
    let (events, _) = broadcast::channel(EVENTS);
    let shelf = shelf.telling(events.clone());
    let (arrivals_in, arrivals) = mpsc::channel(ARRIVALS);
    let ahead = DecodeAhead::new(spool.clone(), settings.series.decode_ahead_mib, settings.live.is_on())?;
    let parts = Parts {
        settings: study_settings,
        store: store.clone(),
        spool: spool.clone(),
        ahead,
        shelf: shelf.clone(),
        events: events.clone(),
        wake: Arc::new(Notify::new()),
        outbox_wake: Arc::new(Notify::new()),
        precedence: Precedence::default(),
    };
    let intake = Intake {
        spool: spool.clone(),
        settings: Arc::new(settings.dicom.clone()),
        gate: gate.clone(),
        arrivals: arrivals_in,
    };
    let (reports, health_reports) = health::channel();
    let own = spool.clone();
    let free: custody::FreeBytes = Arc::new(move || own.free_bytes().map_err(|error| error.to_string()));
    let checks = health::Checks {
        store: store.clone(),
        free_bytes: free.clone(),
        min_free_bytes: settings.spool.min_free_mib << 20,
    };
    let facts = dbus::Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        simulated: settings.accelerator.provider == "scripted",
        dicom_address: address.to_string(),
        accelerator: settings.accelerator.provider.clone(),
        destinations: settings
            .destination
            .iter()
            .map(|(name, d)| (name.clone(), format!("{}@{}", d.ae_title, d.address)))
            .collect(),
        health: health_reports,
    };
    let shelf_for_live = shelf.clone().on_threads(settings.live.threads);
    let models = Models::new(shelf, store.clone(), events.clone(), gate.clone());
    models.prepare(&settings.accelerator.provider);
    let commands = Arc::new(Verbs {
        store: store.clone(),
        destinations: settings.destination.clone(),
        events: events.clone(),
        gate: gate.clone(),
        wake: parts.wake.clone(),
        outbox_wake: parts.outbox_wake.clone(),
    });

    let mut tasks: JoinSet<anyhow::Result<&'static str>> = JoinSet::new();
    let story = study::run(parts.clone(), arrivals, shutdown.clone());
    tasks.spawn(async move { story.await.context("study").map(|()| "study") });
    let work = worker::run(parts.clone(), shutdown.clone());
    tasks.spawn(async move { work.await.context("analysis").map(|()| "analysis") });
    let network = node::listener::run(listener, intake, shutdown.clone());
    tasks.spawn(async move { network.await.context("DICOM").map(|()| "DICOM") });
    let delivery = outbox::run(
        store.clone(),
        directory.clone(),
        settings.destination.clone(),
        gate.clone(),
        parts.outbox_wake.clone(),
        events.clone(),
        shutdown.clone(),
    );
    tasks.spawn(async move { delivery.await.context("outbox").map(|()| "outbox") });
    // Its other end is for the page and the bus.
    let (stage, view) = live::view::channel();
    let view = View { worklist: Worklist::at(settings.live.worklist.clone()), ..view };
    let view: Option<View> = settings.live.is_on().then_some(view);
    let recorder = recorder(&settings, &parts, free.clone(), stage.recording.clone());
    let (recorded, record_shutdown) = (view.clone(), shutdown.clone());
    tasks.spawn(async move {
        let ended = record_shutdown.clone();
        if let (Some(view), Some(recorder)) = (recorded, recorder) {
            live::record::run(recorder, view, record_shutdown).await.context("recorder")?;
        }
        ended.cancelled().await;
        Ok("recorder")
    });
    if let Some(view) = view.clone().filter(|_| settings.live.auto_start) {
        let stop_after = Duration::from_secs(settings.live.auto_stop_secs);
        let auto = live::exam::auto::run(view, stop_after, shutdown.clone());
        tasks.spawn(async move {
            auto.await;
            Ok("automatic exams")
        });
    }
    let show = look_live(settings.clone(), shelf_for_live, parts.precedence.clone(), stage, shutdown.clone());
    tasks.spawn(async move { show.await.context("live").map(|()| "live") });
    let watch = health::run(checks, reports, gate.clone(), shutdown.clone());
    tasks.spawn(async move {
        watch.await;
        Ok("health")
    });
    let (bus, bus_view, bus_shutdown) = (settings.bus.clone(), view.clone(), shutdown.clone());
    tasks.spawn(async move {
        let verbs = dbus::Verbs { commands, models, live: bus_view };
        dbus::run(&bus, facts, store, events, gate, verbs, bus_shutdown).await.context("D-Bus")?;
        Ok("D-Bus")
    });
    let page = console::run(settings.console.clone(), view, shutdown.clone());
    tasks.spawn(async move {
        page.await;
        Ok("live page")
    });
    notify::ready();

    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let result = ended.map_err(anyhow::Error::from).and_then(|result| result);
        match result {
            Ok(name) if shutdown.is_cancelled() => tracing::debug!(name, "task ended"),
            Ok(name) => outcome = outcome.and(Err(anyhow::anyhow!("task {name} ended by itself"))),
            Err(error) => {
                tracing::error!("{error:#}");
                outcome = outcome.and(Err(error));
            }
        }
        if outcome.is_err() {
            trigger.cancel();
        }
    }
    notify::stopping();
    outcome
}

/// The live path, when a device is configured. What is wrong with its configuration is on its sign, and does not keep studies
/// from being received.
async fn look_live(
    settings: Arc<Settings>,
    shelf: Shelf,
    precedence: Precedence,
    stage: live::view::Stage,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let own = &settings.live;
    let device = Device::parse(&own.device).map_err(|error| error.to_string());
    let chosen = device.and_then(|device| {
        let profiles = Profiles::load(&own.profile).map_err(|error| error.to_string())?;
        Ok((device, profiles))
    });
    let (device, profiles) = match chosen {
        Ok((Some(device), profiles)) => (device, profiles),
        Ok((None, _)) => {
            shutdown.cancelled().await;
            return Ok(());
        }
        Err(reason) => {
            tracing::error!(reason, "the live path does not start");
            let sign = live::view::Sign::Failed { reason };
            stage.status.send_replace(Arc::new(live::view::Status { sign, ..Default::default() }));
            shutdown.cancelled().await;
            return Ok(());
        }
    };
    let clock: Arc<dyn Clock> = Arc::new(hal::clock::System);
    let screen = profiles.wanted().map(|profile| profile.screen);
    let parts = live::LiveParts {
        device: device.supervised(screen, clock.clone()),
        profiles,
        supply: Box::new(FromShelf(shelf)),
        precedence,
        clock,
        deadline: Duration::from_secs_f64(own.deadline_ms / 1e3),
        station: settings.device.station_name.clone(),
    };
    Ok(live::run(parts, stage, shutdown).await?)
}

/// `None` when nothing is to be recorded, or the profile cannot be read: the live path's sign says why.
fn recorder(
    settings: &Settings,
    parts: &Parts,
    free: custody::FreeBytes,
    told: watch::Sender<Arc<live::view::Recording>>,
) -> Option<live::record::RecorderParts> {
    let profiles = Profiles::load(&settings.live.profile).ok().filter(|_| settings.record.enabled)?;
    Some(live::record::RecorderParts {
        settings: settings.record.clone(),
        directory: settings.spool.directory.join("exams"),
        profiles,
        free,
        min_free_bytes: settings.spool.min_free_mib << 20,
        hand_over: Box::new(HandOver {
            store: parts.store.clone(),
            events: parts.events.clone(),
            wake: parts.wake.clone(),
        }),
        told,
    })
}

/// What each task uses, for whoever reads the log.
fn tell_packages(shelf: &Shelf, swept: &Swept) {
    if *swept != Swept::default() {
        tracing::warn!(?swept, "model registry mended");
    }
    for task in models::task::ALL {
        match shelf.active(task) {
            // Without a device nobody misses it.
            Err(error) if task == US_BREAST => tracing::info!(task, %error, "no overlay on live pictures"),
            Ok(entry) => tracing::info!(task, package = %entry.key, "model package"),
            Err(error) => tracing::error!(task, %error, "its jobs will be parked"),
        }
    }
}

/// The mutating verbs of the bus.
struct Verbs {
    store: Store,
    destinations: BTreeMap<String, Destination>,
    events: broadcast::Sender<Event>,
    gate: Gate,
    wake: Arc<Notify>,
    outbox_wake: Arc<Notify>,
}

impl Verbs {
    /// # Errors
    /// `Restricted`, with the reason, when the box does less than `needed`.
    fn permit(&self, needed: Level) -> Result<(), dbus::Error> {
        let (level, reason) = self.gate.get();
        if level <= needed { Ok(()) } else { Err(dbus::Error::Restricted(reason)) }
    }

    fn rerun(&self, study_uid: &str, options: RerunOptions) -> Result<u32, dbus::Error> {
        self.permit(Level::Full)?;
        let mut connection = self.store.connect(Durability::Full)?;
        let queued = queue_again(&mut connection, study_uid, options.urgent)?;
        if queued.is_empty() {
            return Err(dbus::Error::NotFound(format!("no study {study_uid} with a series to analyse")));
        }
        for row in &queued {
            let _ = self.events.send(Event::series(row));
        }
        self.wake.notify_one();
        Ok(u32::try_from(queued.len()).unwrap_or(u32::MAX))
    }
}

/// A new version of every analysable, finished series of the study.
fn queue_again(
    connection: &mut rusqlite::Connection,
    study_uid: &str,
    urgent: bool,
) -> store::Result<Vec<series::SeriesRow>> {
    use custody::series::State::{Complete, Processed, Refused};
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let now = store::now_utc();
    let mut queued = Vec::new();
    for row in series::of_study(&transaction, study_uid)? {
        // An exam that could not be made into results is tried again; one that was has left nothing to try.
        let exam = row.kind == Kind::Exam && row.state == Refused;
        if exam || row.kind.is_analysed() && matches!(row.state, Complete | Processed | Refused) {
            let version = series::completed(&transaction, row.id, "rerun", &now)?;
            let job = jobs::enqueue(&transaction, row.id, version, &now)?;
            if urgent {
                jobs::make_urgent(&transaction, job)?;
            }
            queued.extend(series::get(&transaction, row.id)?);
        }
    }
    transaction.commit()?;
    Ok(queued)
}

impl dbus::Commands for Verbs {
    fn rerun<'a>(&'a self, study_uid: &'a str, options: RerunOptions) -> BoxFuture<'a, Result<u32, dbus::Error>> {
        Box::pin(async move { tokio::task::block_in_place(|| self.rerun(study_uid, options)) })
    }

    fn retry<'a>(&'a self, destination: Option<&'a str>) -> BoxFuture<'a, Result<u32, dbus::Error>> {
        Box::pin(async move {
            self.permit(Level::NoNewStudies)?;
            if let Some(name) = destination.filter(|name| !self.destinations.contains_key(*name)) {
                return Err(dbus::Error::NotFound(format!("no destination {name}")));
            }
            let connection = self.store.connect(Durability::Full)?;
            let count =
                tokio::task::block_in_place(|| deliveries::retry_now(&connection, destination, &store::now_utc()))?;
            self.outbox_wake.notify_one();
            Ok(u32::try_from(count).unwrap_or(u32::MAX))
        })
    }

    fn echo<'a>(&'a self, destination: &'a str) -> BoxFuture<'a, Result<Duration, dbus::Error>> {
        Box::pin(async move {
            let Some(settings) = self.destinations.get(destination) else {
                return Err(dbus::Error::NotFound(format!("no destination {destination}")));
            };
            let begun = Instant::now();
            send::echo(&send::Target::from(settings))
                .await
                .map_err(|error| dbus::Error::PeerFailed(error.to_string()))?;
            Ok(begun.elapsed())
        })
    }
}
