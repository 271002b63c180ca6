//! Opens what the tasks need: the model registry, the DICOM port. Database and custody log follow (`custody`), because that
//! may take its time and must not keep the box from answering.

use std::sync::Arc;

use config::Settings;
use custody::event::Event;
use custody::spool::Spool;
use custody::store::Store;
use hal::urgency::{self, Precedence};
use models::registry::Swept;
use models::task::{MG_BREAST, US_BREAST, US_BREAST_STILLS};
use node::listener::{self, Ports};
use study::model::Shelf;
use study::parts::StudyParts;
use study::volume::ahead::{DecodeAhead, Limits};
use tokio::sync::{Notify, broadcast};

/// Events that are kept for a slow subscriber before it loses the oldest.
const EVENTS: usize = 4096;

/// The opened parts.
#[derive(Debug)]
pub struct Opened {
    pub parts: StudyParts,
    pub ports: Ports,
    /// The address of the port without TLS, `host:port`.
    pub address: String,
}

/// Opens all parts, each after those that it needs. Database and custody log are not open yet.
///
/// # Errors
/// When the port cannot be bound.
pub async fn open(settings: &Settings) -> anyhow::Result<Opened> {
    if settings.live.is_on() {
        // Must come before the first use of rayon's global pool.
        let pool = rayon::ThreadPoolBuilder::new().start_handler(|_| urgency::step_back()).build_global();
        pool.unwrap_or_else(|error| tracing::warn!(%error, "cannot lower the priority of study work"));
    }
    let store = Store::at(&settings.spool.directory.join("scanside.db"));
    let of_study = Arc::new(settings.study());
    let shelf = registry(&of_study);
    let spool = Spool::new(&settings.spool, &store);
    let ports = listener::bind(&settings.dicom).await?;
    let address = ports.local_addr()?;
    tracing::info!(%address, tls = ports.tls_addr().map(|tls| tls.to_string()), "DICOM listener bound");

    let (events, _) = broadcast::channel::<Event>(EVENTS);
    let limits = Limits::of_mib(settings.series.decode_ahead_mib, settings.analyze.memory_mib);
    let ahead = DecodeAhead::new(spool.clone(), limits, settings.live.is_on())?;
    let parts = StudyParts {
        settings: of_study,
        store,
        spool,
        ahead,
        shelf: shelf.telling(events.clone()),
        events,
        wake: Arc::new(Notify::new()),
        outbox_wake: Arc::new(Notify::new()),
        steps_bell: Arc::new(Notify::new()),
        priors_bell: Arc::new(Notify::new()),
        precedence: Precedence::default(),
        own_studies: Precedence::default(),
    };
    Ok(Opened { parts, ports, address: address.to_string() })
}

/// Opens the model registry. If its directory cannot be used, only the packages that came with the software are used,
/// so that studies are still received.
fn registry(settings: &study::settings::Settings) -> Shelf {
    let (shelf, swept) = Shelf::open(settings).unwrap_or_else(|error| {
        tracing::error!(%error, "the model registry cannot be opened; installed packages are not used");
        (Shelf::view(settings), Swept::default())
    });
    tell_packages(&shelf, &swept);
    shelf
}

/// Logs the active package of each task.
fn tell_packages(shelf: &Shelf, swept: &Swept) {
    if *swept != Swept::default() {
        tracing::warn!(?swept, "model registry: leftovers removed");
    }
    for task in models::task::ALL {
        match shelf.active(task) {
            // Not an error, because a box without a video device does not need this package.
            Err(error) if task == US_BREAST => {
                tracing::info!(task, %error, "no model package: live pictures have no overlay")
            }
            Err(error) if task == US_BREAST_STILLS => {
                tracing::info!(task, %error, "no model package: that of live video reads stored pictures")
            }
            // Off unless somebody asks for it.
            Err(error) if task == MG_BREAST => {
                tracing::info!(task, %error, "no model package: mammograms cannot be marked (analyze.mg_marks)")
            }
            Ok(entry) => tracing::info!(task, package = %entry.key, "model package"),
            Err(error) => tracing::error!(task, %error, "no model package: jobs of this task will be parked"),
        }
    }
}
