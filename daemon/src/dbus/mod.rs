//! The D-Bus front end: parses and authorises a call, calls a plain function, translates its answer. It makes no
//! decisions.
//!
//! One interface per noun. Lists and properties are read from the store; signals follow [`Event`]s.

mod auth;
mod delivery;
pub mod error;
mod filter;
mod job;
mod lesion;
mod live;
mod manager;
mod marker;
mod model;
pub mod names;
mod objects;
mod publish;
mod query;
mod review;
mod rows;
mod series;
mod study;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::live::view::View;
use ::study::model::Models;
use ::study::review::{Signed, Signing};
use config::settings;
use custody::audit::Audit;
use custody::event::Event;
use custody::level::Gate;
use custody::retention::Retention;
use custody::store::Store;
use custody::store::conflicts::Choice;
use custody::store::deliveries::Order;
use futures_util::future::BoxFuture;
use hal::backoff::{Backoff, Pauses};
use models::lesion::entry::Entry;
use node::callers::Callers;
use node::settings::Sender;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zbus::Connection;
use zbus::connection::Builder;
use zbus::fdo::RequestNameFlags;

use crate::attest::Attest;
use crate::dicomweb::Object;
use crate::health;
use crate::metrics::Metrics;
use crate::reader::Reader;

pub use auth::{failed, named};
pub use error::Error;

/// What Manager1 shows of the daemon. It does not change while the daemon runs, except `health`, `heat` and `callers`.
#[derive(Debug, Clone)]
pub struct Facts {
    pub version: String,
    /// A simulated device or accelerator is in use.
    pub simulated: bool,
    /// The address the DICOM listener is bound to, `host:port`.
    pub dicom_address: String,
    /// Provider, library and, if there was one, the reason of the fallback, in words.
    pub accelerator: String,
    /// Name of each destination -> `AE_TITLE@host:port`.
    pub destinations: BTreeMap<String, String>,
    /// What decoding and analysis may use (`analyze.memory_mib`).
    pub memory_limit_bytes: u64,
    /// AE titles of the node; empty: it answers to any.
    pub ae_titles: Vec<String>,
    /// Who may send; empty: anyone.
    pub senders: Vec<Sender>,
    pub callers: Callers,
    pub health: watch::Receiver<health::Report>,
    pub heat: health::heat::Told,
    /// For `ShowMetrics`.
    pub metrics: Metrics,
}

/// Options of `Rerun`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RerunOptions {
    /// Run before all other queued jobs.
    pub urgent: bool,
}

/// Commands that change something. The caller is authorised already; the implementation checks the gate.
pub trait Commands: Send + Sync + 'static {
    /// Queues all series of the study that can be analysed again, whatever their verdict. Returns how many.
    ///
    /// Errors: `NotFound` (no such study), `Restricted`, `Internal`.
    fn rerun<'a>(&'a self, study_uid: &'a str, options: RerunOptions) -> BoxFuture<'a, Result<u32, Error>>;

    /// Makes pending and parked deliveries due now, of one destination or (None) of all. Returns how many.
    ///
    /// Errors: `NotFound` (no such destination), `Internal`.
    fn retry<'a>(&'a self, destination: Option<&'a str>) -> BoxFuture<'a, Result<u32, Error>>;

    /// Tries, parks or drops one delivery, by number.
    ///
    /// Errors: `NotFound`, `NotPossible` (not in its state), `Restricted`, `Internal`.
    fn change_delivery<'a>(&'a self, delivery: i64, order: Order) -> BoxFuture<'a, Result<(), Error>>;

    /// Decides which content of the objects of a study counts that were sent again with other content. Returns how many
    /// objects and how many series that changes.
    ///
    /// Errors: `NotFound` (nothing is in conflict), `NotPossible` (it is being received), `Restricted`, `Internal`.
    fn resolve<'a>(&'a self, study_uid: &'a str, choice: Choice) -> BoxFuture<'a, Result<(u32, u32), Error>>;

    /// Signs a review of the newest findings of a series, and queues the job that makes the signed results.
    ///
    /// Errors: `NotFound` (no such series), `InvalidArgument` (names what is missing or wrong), `NotPossible`, `Restricted`,
    /// `Internal`.
    fn review(&self, signing: Signing) -> BoxFuture<'_, Result<Signed, Error>>;

    /// Writes what a person decides about a lesion, a sighting or a recall, with the name. Returns the number of the entry.
    ///
    /// Errors: `NotFound`, `InvalidArgument`, `NotPossible`, `Restricted`, `Internal`.
    fn enter_lesion<'a>(&'a self, by: &'a str, entry: &'a Entry) -> BoxFuture<'a, Result<u64, Error>>;

    /// What is kept and why, and which studies are evicted next; `most` of them.
    ///
    /// Errors: `Internal`.
    fn retention(&self, most: usize) -> BoxFuture<'_, Result<Retention, Error>>;

    /// Keeps a study from eviction for that reason, or ends that (`None`). Says whether that changes anything.
    ///
    /// Errors: `NotFound`, `InvalidArgument` (the reason), `NotPossible` (it was evicted), `Restricted`, `Internal`.
    fn hold<'a>(
        &'a self,
        study_uid: &'a str,
        by: &'a str,
        reason: Option<&'a str>,
    ) -> BoxFuture<'a, Result<bool, Error>>;

    /// The objects of a study that count: results, and with `images` what was received as well.
    ///
    /// Errors: `NotFound` (nothing of it is here), `Internal`.
    fn objects<'a>(&'a self, study_uid: &'a str, images: bool) -> BoxFuture<'a, Result<Vec<Object>, Error>>;

    /// Writes objects of a study to files that the caller has opened, byte for byte as they are kept. Returns the SHA-256 of
    /// each.
    ///
    /// Errors: `NotFound`, `NotPossible` (a file cannot be written), `Internal`.
    fn export<'a>(
        &'a self,
        study_uid: &'a str,
        objects: Vec<(String, std::fs::File)>,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>>;

    /// Sends a C-ECHO to the destination. Returns the time from the association request to the answer.
    ///
    /// Errors: `NotFound`, `PeerFailed`.
    fn echo<'a>(&'a self, destination: &'a str) -> BoxFuture<'a, Result<Duration, Error>>;
}

/// The receivers of commands.
#[derive(Clone)]
pub struct Verbs {
    pub commands: Arc<dyn Commands>,
    pub models: Models,
    /// `None` when the live path is off.
    pub live: Option<View>,
    /// Where it is written down who gave them.
    pub audit: Audit,
    /// Signs reports of acceptance tests.
    pub attest: Attest,
}

impl std::fmt::Debug for Verbs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verbs").finish_non_exhaustive()
    }
}

/// Runs a function that may wait for the disk on a blocking thread, so that it does not delay the bus.
async fn off_thread<T, F>(act: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, ::study::model::Error> + Send + 'static,
{
    let done = tokio::task::spawn_blocking(act).await;
    Ok(done.map_err(|error| Error::Internal(error.to_string()))??)
}

/// Pauses before an unreachable bus is tried again.
const PAUSES: Pauses = Pauses::new(Duration::from_secs(1), Duration::from_secs(30));

/// Serves the appliance on the bus until shutdown. With `bus.address = "none"` it only waits. An unreachable bus is
/// tried again for ever, because the study path does not depend on it.
///
/// # Errors
/// When the address is malformed, or another process owns the name.
pub async fn run(
    settings: &settings::Bus,
    facts: Facts,
    store: Store,
    events: broadcast::Sender<Event>,
    gate: Gate,
    verbs: Verbs,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    if settings.address == "none" {
        shutdown.cancelled().await;
        return Ok(());
    }
    let reader = Reader::new(store);
    let (started, mut backoff) = (Instant::now(), Backoff::new(PAUSES));
    while !shutdown.is_cancelled() {
        let received = events.subscribe();
        let counts = Arc::default();
        let judge = if settings.address == "system" { auth::Judge::Polkit } else { auth::Judge::SameUser };
        let authority = auth::Authority { judge, audit: verbs.audit.clone() };
        let manager = manager::Manager {
            facts: facts.clone(),
            gate: gate.clone(),
            reader: reader.clone(),
            verbs: verbs.clone(),
            authority: authority.clone(),
            counts: Arc::clone(&counts),
        };
        let live = live::Live::new(verbs.live.clone(), authority.clone());
        let outcome = match connect(&settings.address, manager, live).await {
            Ok(connection) => {
                let publisher =
                    publish::Publisher::new(connection.clone(), reader.clone(), counts, &verbs.models, authority);
                let follow = live::follow(connection.clone(), verbs.live.clone());
                let serve = serve(connection, publisher, received, &gate, &facts, shutdown.clone(), &mut backoff);
                tokio::select! {
                    outcome = serve => outcome,
                    outcome = follow => outcome,
                }
            }
            Err(error) => Err(error),
        };
        let pause = backoff.failed(started.elapsed());
        match outcome {
            Ok(()) => return Ok(()),
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, retry_secs = pause.as_secs(), "cannot connect to D-Bus, will try again; everything else works")
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => {}
        }
    }
    Ok(())
}

/// Errors that cannot be solved by trying again.
fn is_final(error: &Error) -> bool {
    matches!(error, Error::ZBus(zbus::Error::NameTaken | zbus::Error::Address(_)))
}

async fn connect(address: &str, manager: manager::Manager, live: live::Live) -> Result<Connection, Error> {
    let builder = match address {
        "system" => Builder::system(),
        "session" => Builder::session(),
        address => Builder::address(address),
    };
    let builder = builder.serve_at(names::ROOT, zbus::fdo::ObjectManager).serve_at(names::ROOT, manager);
    Ok(builder.serve_at(names::LIVE, live).build().await?)
}

/// The bus name is requested last, so that all objects exist when clients see it.
async fn serve(
    connection: Connection,
    mut publisher: publish::Publisher,
    received: broadcast::Receiver<Event>,
    gate: &Gate,
    facts: &Facts,
    shutdown: CancellationToken,
    backoff: &mut Backoff,
) -> Result<(), Error> {
    let complete = match publisher.show_all().await {
        Err(Error::Internal(reason)) => {
            if gate.get().1 == health::STARTING {
                tracing::info!("the database is being opened; the bus has no studies until it is");
            } else {
                tracing::warn!(reason, "the database cannot be read yet; the bus has no studies until it can be");
            }
            false
        }
        shown => {
            shown?;
            true
        }
    };
    connection.request_name_with_flags(names::BUS_NAME, RequestNameFlags::DO_NOT_QUEUE).await?;
    tracing::info!(name = names::BUS_NAME, "on D-Bus");
    backoff.succeeded();
    let outcome = publisher.run(received, gate, facts, complete, shutdown).await;
    if outcome.is_ok() {
        // Sends the messages that are still queued.
        connection.close().await?;
    }
    outcome
}
