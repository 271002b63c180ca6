//! The composition root: opens spool, database and ports, starts the tasks, waits for their end.

mod audit;
mod callers;
mod custody;
mod good;
mod live;
mod opened;
mod rows;
mod tasks;
mod verbs;
mod worklist;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::custody::FreeBytes;
use ::custody::audit::Audit;
use ::custody::level::{Gate, Level};
use ::custody::store::Store;
use ::live::auto;
use config::Settings;
use config::good::{FILE_CANNOT_BE_USED, Fallback, Start};
use dicom::pixels::cage;
use hal::clock::Wall;
use hal::root::Root;
use hal::sensors::condition::Condition;
use node::callers::Callers;
use node::reporter::Reporter;
use node::services::{Archive, Services};
use node::settings::Asking;
use node::{Arrival, Intake};
use study::analyze::worker;
use study::exam::tell::Teller;
use study::model::Models;
use study::outbox;
use study::outbox::notify::Notifier;
use study::parts::StudyParts;
use study::priors::ask::Asker;
use study::reject;
use study::ups::perform::Performer;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::rows::AtWork;
use self::tasks::Tasks;
use self::verbs::Verbs;
use crate::attest::Attest;
use crate::console::{Signer, Studies};
use crate::dicomweb::Web;
use crate::health::Custody;
use crate::health::heat::{self, Noted};
use crate::health::notify;
use crate::inference::{Figures, First};
use crate::metrics::Metrics;
use crate::reader::Reader;
use crate::{console, dbus, health, inference};

/// Arrivals that may wait for the study task; when there are more, senders must wait.
const ARRIVALS: usize = 1024;

/// A cancelled build of TensorRT ends within a tenth of a second. systemd waits for 30 s (`TimeoutStopSec`), the tasks included.
const BUILDS_END: Duration = Duration::from_secs(5);

/// Runs the daemon until shutdown. Trouble of disk or database ends nothing: the gate is closed until it is over, and a
/// damaged database is built again. If a task ends early, the daemon ends and systemd restarts it; instances in custody
/// survive that.
///
/// # Errors
/// When the DICOM port cannot be bound, or a task fails.
pub async fn run(start: Start, good_after: Duration, shutdown: CancellationToken) -> anyhow::Result<()> {
    let settings = Arc::new(start.settings);
    let opened = opened::open(&settings).await?;
    let (mut parts, gate) = (opened.parts, Gate::default());
    parts.shelf = parts.shelf.until(shutdown.clone());
    gate.set(Level::NoNewStudies, health::STARTING);
    let (custody_told, custody) = watch::channel(Custody::Checking);
    let (arrivals_in, arrivals) = mpsc::channel(ARRIVALS);
    let (reports, health_reports) = health::channel();
    let free = free_bytes(&parts);
    let (expected, served) = worklist::ends(&settings);
    let (stage, view) = live::ends(&settings, served);
    let archives = settings.destination.values().filter(|one| one.url.is_none() && one.commitment != Asking::Off);
    let archives = archives.map(Archive::from);
    let services = Services::new(parts.store.clone(), archives, parts.outbox_wake.clone())
        .and_expected(worklist::offered(&settings));
    let callers = Callers::default();
    let intake = Intake {
        spool: parts.spool.clone(),
        settings: Arc::new(settings.dicom.clone()),
        gate: gate.clone(),
        arrivals: arrivals_in,
        services: services.clone(),
        callers: callers.clone(),
        identities: Default::default(),
    };
    let asker = asker(&settings, &parts, &intake);
    let performer = performer(&settings, &parts, &intake);
    let reporter =
        Reporter { services, spool: parts.spool.clone(), settings: intake.settings.clone(), wall: Wall::default() };
    let (heat_told, heat) = heat::channel();
    let figures = Metrics::new(Reader::new(parts.store.clone()), gate.clone(), health_reports.clone(), view.clone());
    let neighbours = Figures::default();
    let told = settings.inference.listen().map(|_| neighbours.clone());
    let figures = figures.and_heat(heat.clone()).and_neighbours(told);
    let facts = facts(&settings, opened.address, callers.clone(), health_reports, heat.clone(), figures.clone());
    let audit = audit::begin(&settings).await;
    let bus_verbs = bus_verbs(&settings, &parts, &gate, view.clone(), audit.clone());
    let models = bus_verbs.models.clone();
    let signer = Signer::by(bus_verbs.commands.clone(), audit.clone());
    let studies = Studies::new(&parts.store, &parts.spool, &settings.spool.directory, figures, signer);
    let recorder = live::recorder(&settings, &parts, free.clone(), stage.recording.clone());
    let checks = health::Checks {
        store: parts.store.clone(),
        free_bytes: free,
        min_free_bytes: settings.spool.min_free_mib << 20,
        custody: custody.clone(),
        remark: remark(&settings, decoders()),
        reduced: reduced(
            start.fallback.as_ref().map(Fallback::reason),
            unusable(settings.clone(), start.of_files),
            &parts,
            heat.clone(),
        ),
    };

    let mut tasks = Tasks::new(shutdown.clone());
    let stop = || shutdown.clone();
    let open = || custody.clone();
    let at_work = AtWork::default();
    let on_rows = || (custody.clone(), at_work.clone());
    tasks.start_steady("custody", custody::run(parts.clone(), audit.clone(), custody_told, at_work.clone(), stop()));
    tasks.start_steady("callers", callers::keep(callers, settings.spool.directory.clone(), stop()));
    tasks.start_steady("worklist", worklist::keep(expected, settings.spool.directory.clone(), stop()));
    tasks.start("study", story(on_rows(), parts.clone(), arrivals, stop()));
    let own = parts.clone();
    let analyzing = move |store, end| worker::run(own.on(store), end);
    tasks.start("analysis", rows::while_open(on_rows(), parts.store.clone(), stop(), analyzing));
    tasks.start("DICOM", node::listener::run(opened.ports, intake, stop()));
    let own = parts.clone();
    let rejecting = move |store, end| reject::run(own.on(store), end);
    tasks.start("rejection notes", rows::while_open(on_rows(), parts.store.clone(), stop(), rejecting));
    let reporting = move |store, end| report(reporter.clone(), store, end);
    tasks.start("storage commitment", rows::while_open(on_rows(), parts.store.clone(), stop(), reporting));
    let (own, own_settings, own_gate) = (parts.clone(), settings.clone(), gate.clone());
    let delivering = move |store, end| deliver(&own_settings, &own.on(store), &own_gate, end);
    tasks.start("outbox", rows::while_open(on_rows(), parts.store.clone(), stop(), delivering));
    if let Some(teller) = live::teller(&settings, &parts) {
        let telling = move |store, end| Teller { store, ..teller.clone() }.run(end);
        tasks.start("performed steps", rows::while_open(on_rows(), parts.store.clone(), stop(), telling));
    }
    if let Some(asker) = asker {
        let asking = move |store, end| Asker { store, ..asker.clone() }.run(end);
        tasks.start("earlier studies", rows::while_open(on_rows(), parts.store.clone(), stop(), asking));
    }
    if !settings.availability.is_empty() {
        let notifier = Notifier {
            store: parts.store.clone(),
            receivers: settings.availability.clone(),
            destinations: settings.destination.clone(),
            wall: Wall::default(),
        };
        let notifying = move |store, end| Notifier { store, ..notifier.clone() }.run(end);
        tasks.start("availability of results", rows::while_open(on_rows(), parts.store.clone(), stop(), notifying));
    }
    if let Some(performer) = performer {
        let performing = move |store, end| Performer { store, ..performer.clone() }.run(end);
        tasks.start("tasks of the manager", rows::while_open(on_rows(), parts.store.clone(), stop(), performing));
    }
    tasks.start("live", live::look(settings.clone(), &parts, stage, stop()));
    tasks.start("recorder", once_open(open(), stop(), live::record(recorder, view.clone(), stop())));
    if let Some(view) = view.clone().filter(|_| settings.live.auto_start) {
        let after = Duration::from_secs(settings.live.auto_stop_secs);
        tasks.start_steady("automatic exams", auto::run(view, after, stop()));
    }
    let sensors = settings.sensors.source().ok().and_then(|source| source.open(&Root::default()));
    tasks.start_steady("sensors", heat::run(sensors, settings.sensors.every(), heat_told, stop()));
    let (noted, heat_seen) = (Noted::default(), heat.clone());
    let noting = move |store, end| heat::note(store, noted.clone(), heat_seen.clone(), end);
    tasks.start("events of heat", rows::while_open(on_rows(), parts.store.clone(), stop(), noting));
    tasks.start_steady("last good configuration", good::keep(start.keep, good_after, gate.subscribe(), stop()));
    tasks.start_steady("health", health::run(checks, reports, gate.clone(), stop()));
    let first = First { live: parts.precedence.clone(), studies: parts.own_studies.clone() };
    // A neighbour has its own CPU.
    let (own, trail) = (parts.shelf.clone().without_standby(), audit.clone());
    tasks.start_steady("neighbours", inference::run(settings.inference.clone(), own, first, neighbours, trail, stop()));
    tasks.start("D-Bus", serve_bus(settings.clone(), facts, parts, gate.clone(), bus_verbs, stop()));
    tasks
        .start_steady("page", console::run(settings.console.clone(), view, Some(studies), (gate, heat), audit, stop()));
    // READY once custody is open, or once it is known that it cannot be opened yet: a restart would not help.
    let mut opening = open();
    tokio::select! {
        _ = opening.wait_for(|now| *now != Custody::Checking) => notify::ready(),
        () = shutdown.cancelled() => {}
    }

    let outcome = tasks.ended().await;
    notify::stopping();
    // After a task that failed nobody has said so yet.
    shutdown.cancel();
    builds_ended(&models).await;
    outcome
}

/// Waits for the builds that the shutdown ends. A library that builds on all the same (TensorRT within ONNX Runtime) is left to itself.
async fn builds_ended(models: &Models) {
    let none = async {
        while models.is_building() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(BUILDS_END, none).await.is_err() {
        tracing::warn!("the build of a model package does not end: the daemon ends without it");
    }
}

/// Asks the archive for earlier studies; `None` if none is configured.
fn asker(settings: &Settings, parts: &StudyParts, intake: &Intake) -> Option<Asker> {
    Some(Asker {
        store: parts.store.clone(),
        target: settings.prior.target()?,
        settings: settings.prior.clone(),
        intake: intake.clone(),
        bell: parts.priors_bell.clone(),
        wall: Wall::default(),
    })
}

/// Performs what a manager of tasks schedules; `None` if none is configured.
fn performer(settings: &Settings, parts: &StudyParts, intake: &Intake) -> Option<Performer> {
    Some(Performer {
        store: parts.store.clone(),
        target: settings.ups.target()?,
        settings: settings.ups.clone(),
        archive: settings.prior.target().map(|target| (target, settings.prior.clone())),
        destinations: settings.destination.clone(),
        station_name: settings.device.station_name.clone(),
        intake: intake.clone(),
        wall: Wall::default(),
    })
}

/// Runs `task` once database and custody log are open.
async fn once_open<E>(
    mut custody: watch::Receiver<Custody>,
    shutdown: CancellationToken,
    task: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    let is_open = tokio::select! {
        open = custody.wait_for(Custody::is_open) => open.is_ok(),
        () = shutdown.cancelled() => false,
    };
    if is_open { task.await } else { Ok(()) }
}

/// The study story, whenever it can be told. Meanwhile nothing is kept, so what associations report needs no ear; but they
/// must not wait for one.
async fn story(
    (custody, at_work): (watch::Receiver<Custody>, AtWork),
    parts: StudyParts,
    arrivals: mpsc::Receiver<Arrival>,
    shutdown: CancellationToken,
) -> Result<(), ::custody::store::Error> {
    let arrivals = Arc::new(Mutex::new(arrivals));
    let (heard, mut open) = (arrivals.clone(), custody.clone());
    let story = rows::while_open((custody, at_work), parts.store.clone(), shutdown, move |store, end| {
        let (arrivals, parts) = (heard.clone(), parts.on(store));
        async move { study::run(parts, &mut *arrivals.lock().await, end).await }
    });
    tokio::pin!(story);
    loop {
        tokio::select! {
            told = &mut story => return told,
            true = rows::becomes(&mut open, false) => {}
        }
        let unheard = async {
            let mut arrivals = arrivals.lock().await;
            while arrivals.recv().await.is_some() {}
        };
        tokio::select! {
            told = &mut story => return told,
            true = rows::becomes(&mut open, true) => {}
            // Nobody sends any more: the daemon stops.
            () = unheard => return story.await,
        }
    }
}

/// Starts the processes that decode compressed frames. The answer says why there are none: the box works without them.
fn decoders() -> Option<String> {
    // The file itself may be gone after an update of the package.
    let error = cage::begin(Path::new("/proc/self/exe")).err()?;
    if !matches!(error, cage::CageError::NotConfined { .. }) {
        tracing::error!(%error, "compressed images wait until a process for them can be started");
        return None;
    }
    tracing::error!(%error, "compressed images are decoded within the daemon: a malformed one could end it");
    Some(format!("compressed images are decoded within the daemon, not apart: {error}"))
}

/// Says which certificate of the box, or CA that it trusts, ends soon; else `decoders`.
fn remark(settings: &Settings, decoders: Option<String>) -> Arc<dyn Fn() -> Option<String> + Send + Sync> {
    let files = settings.certificates();
    let calendar = node::tls::Calendar::new(settings.dicom.tls.judge_dates);
    Arc::new(move || node::tls::expiry::remark(&files, &calendar).or_else(|| decoders.clone()))
}

/// Which certificate, key or token cannot be used, until all of those that could not be used at the start can.
fn unusable(settings: Arc<Settings>, at_start: Vec<config::Problem>) -> impl Fn() -> Option<String> + Send + Sync {
    let is_open = AtomicBool::new(!at_start.is_empty());
    move || {
        if !is_open.load(Ordering::Relaxed) {
            return None;
        }
        let [_, now] = settings.check();
        let first = now.iter().find(|(key, _)| at_start.iter().any(|problem| problem.key.as_ref() == Some(key)));
        is_open.store(first.is_some(), Ordering::Relaxed);
        first.map(|(key, reason)| format!("{FILE_CANNOT_BE_USED}: {key}: {reason}"))
    }
}

/// Why not everything is as it should be: the configuration, the GPU, heat.
fn reduced(
    configuration: Option<String>,
    of_files: impl Fn() -> Option<String> + Send + Sync + 'static,
    parts: &StudyParts,
    heat: heat::Told,
) -> Arc<dyn Fn() -> Option<String> + Send + Sync> {
    let shelf = parts.shelf.clone();
    Arc::new(move || {
        let slow = {
            let report = heat.borrow();
            (report.condition == Condition::Throttled).then(|| report.words().en)
        };
        let reasons: Vec<_> =
            [configuration.clone(), of_files(), shelf.reduced(), slow].into_iter().flatten().collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    })
}

fn free_bytes(parts: &StudyParts) -> FreeBytes {
    let spool = parts.spool.clone();
    Arc::new(move || spool.free_bytes().map_err(|error| error.to_string()))
}

/// Properties for D-Bus that do not change while the daemon runs.
fn facts(
    settings: &Settings,
    dicom_address: String,
    callers: Callers,
    health: watch::Receiver<health::Report>,
    heat: heat::Told,
    metrics: Metrics,
) -> dbus::Facts {
    let destinations = settings.destination.iter();
    dbus::Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        simulated: settings.is_simulated(),
        dicom_address,
        accelerator: settings.accelerator.provider.clone(),
        destinations: destinations.map(|(name, destination)| (name.clone(), destination.place())).collect(),
        memory_limit_bytes: settings.analyze.memory_mib.saturating_mul(1 << 20),
        ae_titles: settings.dicom.ae_titles.clone(),
        senders: settings.dicom.sender.clone(),
        callers,
        health,
        heat,
        metrics,
    }
}

fn bus_verbs(
    settings: &Settings,
    parts: &StudyParts,
    gate: &Gate,
    view: Option<::live::view::View>,
    audit: Audit,
) -> dbus::Verbs {
    let models = Models::new(parts.shelf.clone(), parts.store.clone(), parts.events.clone(), gate.clone());
    models.prepare(&settings.accelerator.provider);
    let commands = Arc::new(Verbs {
        store: parts.store.clone(),
        spool: parts.spool.clone(),
        destinations: settings.destination.clone(),
        analyze: settings.analyze.clone(),
        events: parts.events.clone(),
        gate: gate.clone(),
        web: Web::new(Reader::new(parts.store.clone()), parts.spool.clone(), settings.spool.directory.clone()),
        wake: parts.wake.clone(),
        outbox_wake: parts.outbox_wake.clone(),
    });
    let attest = Attest::at(&settings.spool.directory, &settings.device.serial_number);
    dbus::Verbs { commands, models, live: view, audit, attest }
}

fn deliver(
    settings: &Settings,
    parts: &StudyParts,
    gate: &Gate,
    end: CancellationToken,
) -> impl Future<Output = Result<(), outbox::Error>> + Send + use<> {
    outbox::run(
        Wall::default(),
        parts.store.clone(),
        settings.spool.directory.clone(),
        settings.destination.clone(),
        gate.clone(),
        parts.outbox_wake.clone(),
        parts.events.clone(),
        end,
    )
}

/// Brings the reports of storage commitment to those that asked.
fn report(
    mut reporter: Reporter,
    store: Store,
    end: CancellationToken,
) -> impl Future<Output = Result<(), Infallible>> + Send + use<> {
    reporter.services.store = store;
    reporter.run(end)
}

async fn serve_bus(
    settings: Arc<Settings>,
    facts: dbus::Facts,
    parts: StudyParts,
    gate: Gate,
    verbs: dbus::Verbs,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    Ok(dbus::run(&settings.bus, facts, parts.store, parts.events, gate, verbs, shutdown).await?)
}
