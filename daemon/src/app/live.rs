//! Creates the live path and its recorder from the configuration.

use std::sync::Arc;
use std::time::Duration;

use ::live::record;
use ::live::source::device::Device;
use ::live::view::{Recording, RecordingState, Sign, Stage, Status, View};
use ::live::worklist::served::Served;
use anyhow::Context;
use config::Settings;
use hal::Clock;
use hal::accel::AcceleratorConfig;
use hal::clock::Wall;
use study::exam::hand_over::HandOver;
use study::exam::step::Rules;
use study::exam::tell::Teller;
use study::model::for_live::FromShelf;
use study::parts::StudyParts;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::worklist;

/// Both ends of the live path. Page, bus and recorder use the view; it is absent if no device is configured. `served`: the
/// worklist of the server, if there is one.
pub fn ends(settings: &Settings, served: Option<Served>) -> (Stage, Option<View>) {
    let (stage, view) = ::live::view::channel();
    let view = View { worklist: worklist::own(settings).and(served), ..view };
    (stage, settings.live.is_on().then_some(view))
}

/// Runs the live path if a device is configured. An error in its configuration is shown by its sign and does not
/// prevent studies from being received.
pub fn look(
    settings: Arc<Settings>,
    parts: &StudyParts,
    stage: Stage,
    shutdown: CancellationToken,
) -> impl Future<Output = anyhow::Result<()>> + Send + 'static {
    let shelf = parts.shelf.clone().for_live(settings.live.threads);
    let precedence = parts.precedence.clone();
    // The live network has the accelerator for itself; reading a line of text takes a core some hundredths of a second.
    let reader = AcceleratorConfig {
        provider: "cpu".into(),
        library: settings.accelerator.library.clone(),
        threads: 1,
        ..AcceleratorConfig::default()
    };
    async move {
        let own = &settings.live;
        let device = Device::parse(&own.device).map_err(|error| error.to_string());
        let chosen = device.and_then(|device| {
            let profiles = own.profiles().map_err(|error| error.to_string())?;
            Ok((device, profiles))
        });
        let (device, profiles) = match chosen {
            Ok((Some(device), profiles)) => (device, profiles),
            Ok((None, _)) => {
                shutdown.cancelled().await;
                return Ok(());
            }
            Err(reason) => {
                tracing::error!(reason, "the live path cannot start");
                let sign = Sign::Failed { reason };
                stage.status.send_replace(Arc::new(Status { sign, ..Default::default() }));
                shutdown.cancelled().await;
                return Ok(());
            }
        };
        let clock: Arc<dyn Clock> = Arc::new(hal::clock::System);
        let screen = profiles.wanted().map(|profile| profile.screen);
        let parts = ::live::LiveParts {
            device: device.supervised(screen, clock.clone()),
            profiles,
            supply: Box::new(FromShelf(shelf)),
            precedence,
            clock,
            deadline: Duration::from_secs_f64(own.deadline_ms / 1e3),
            name_check: own.name_check,
            reader: Box::new(move || hal::accel::open(&reader)),
            station: settings.device.station_name.clone(),
        };
        Ok(::live::run(parts, stage, shutdown).await?)
    }
}

/// The recorder; `None` if recording is off, or if the profile cannot be read, which the sign of the live path reports.
pub fn recorder(
    settings: &Settings,
    parts: &StudyParts,
    free: ::custody::FreeBytes,
    told: watch::Sender<Arc<Recording>>,
) -> Option<record::RecorderParts> {
    let profiles = settings.live.profiles().ok().filter(|_| settings.record.enabled)?;
    if settings.live.is_on() {
        // It begins once there is a database, and says so then.
        let state = RecordingState::Failed { reason: "the database is not open yet".into() };
        told.send_replace(Arc::new(Recording { state, ..Recording::default() }));
    }
    Some(record::RecorderParts {
        settings: settings.record.clone(),
        directory: settings.spool.directory.join("exams"),
        profiles,
        free,
        min_free_bytes: settings.spool.min_free_mib << 20,
        hand_over: Box::new(HandOver::from(parts)),
        told,
    })
}

/// Tells the manager of exams; `None` if none is configured. Exams that were made before are told also when nothing is live now.
pub fn teller(settings: &Settings, parts: &StudyParts) -> Option<Teller> {
    Some(Teller {
        store: parts.store.clone(),
        spool: settings.spool.directory.clone(),
        rules: Rules::of(&settings.mpps, &settings.device)?,
        target: settings.mpps.target()?,
        pauses: settings.mpps.pauses(),
        bell: parts.steps_bell.clone(),
        wall: Wall::default(),
    })
}

/// Records exams until shutdown, if there is a recorder.
///
/// # Errors
/// When the recorder's thread cannot be started.
pub async fn record(
    recorder: Option<record::RecorderParts>,
    view: Option<View>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if let (Some(recorder), Some(view)) = (recorder, view) {
        record::run(recorder, view, shutdown.clone()).await.context("cannot start the recorder's thread")?;
    }
    shutdown.cancelled().await;
    Ok(())
}
