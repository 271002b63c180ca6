//! What must be open before anything runs: the database, the custody log, the model registry, the DICOM port.

use std::sync::Arc;

use anyhow::Context;
use config::Settings;
use custody::event::Event;
use custody::spool::Spool;
use custody::store::Store;
use hal::urgency::{self, Precedence};
use models::registry::Swept;
use models::task::US_BREAST;
use study::model::Shelf;
use study::parts::StudyParts;
use study::volume::ahead::DecodeAhead;
use tokio::net::TcpListener;
use tokio::sync::{Notify, broadcast};

/// Events a slow listener may lag behind before it loses the oldest.
const EVENTS: usize = 4096;

/// What is open, and what the stages of the study story share.
#[derive(Debug)]
pub struct Opened {
    pub parts: StudyParts,
    pub listener: TcpListener,
    /// The address that the listener is bound to, `host:port`.
    pub address: String,
}

/// Opens all of it, in the order in which later parts need earlier ones.
///
/// # Errors
/// When the spool or the database cannot be opened, or the port cannot be bound.
pub async fn open(settings: &Settings) -> anyhow::Result<Opened> {
    if settings.live.is_on() {
        // Before anybody uses the common pool.
        let pool = rayon::ThreadPoolBuilder::new().start_handler(|_| urgency::step_back()).build_global();
        pool.unwrap_or_else(|error| tracing::warn!(%error, "study work keeps its priority"));
    }
    let directory = &settings.spool.directory;
    std::fs::create_dir_all(directory).with_context(|| format!("spool.directory {}", directory.display()))?;
    let store = Store::open(&directory.join("scanside.db"))?;
    let of_study = Arc::new(settings.study());
    let shelf = registry(&of_study);
    let (spool, recovery) = Spool::open(&settings.spool, &store)?;
    tracing::info!(%recovery, "spool opened");
    let listener = node::listener::bind(&settings.dicom).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "DICOM listener bound");

    let (events, _) = broadcast::channel::<Event>(EVENTS);
    let ahead = DecodeAhead::new(spool.clone(), settings.series.decode_ahead_mib, settings.live.is_on())?;
    let parts = StudyParts {
        settings: of_study,
        store,
        spool,
        ahead,
        shelf: shelf.telling(events.clone()),
        events,
        wake: Arc::new(Notify::new()),
        outbox_wake: Arc::new(Notify::new()),
        precedence: Precedence::default(),
    };
    Ok(Opened { parts, listener, address: address.to_string() })
}

/// Receiving does not depend on it: without its directory the box works with the packages that came with the software.
fn registry(settings: &study::settings::Settings) -> Shelf {
    let (shelf, swept) = Shelf::open(settings).unwrap_or_else(|error| {
        tracing::error!(%error, "the model registry cannot be opened; installed packages are not used");
        (Shelf::view(settings), Swept::default())
    });
    tell_packages(&shelf, &swept);
    shelf
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
