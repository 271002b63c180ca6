//! The live page: plain HTTP and one WebSocket; all its files are embedded.
//!
//! ```text
//! View.pictures -> encode (JPEG, once for all) -> watch -> socket (one for each page) -> browser: canvas
//! View.overlay, status, stats --------------------------> socket ---------------------> browser: SVG, words
//! browser -> routes -> ask -> the live path
//! ```
//!
//! A slow page misses pictures and delays no other. `access` decides which requests are allowed, `places` which
//! connections, `secure` which of them must be by TLS.
//! `docs/decisions/0010-live-page.md` explains why WebSocket and JPEG.

mod access;
mod assets;
mod dicomweb;
mod door;
mod encode;
mod impatient;
mod lesions;
mod message;
mod pieces;
mod places;
mod reading;
mod routes;
mod secure;
mod server;
mod socket;
mod trail;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use config::settings;
use custody::audit::Audit;
use custody::level::Gate;
use custody::spool::Spool;
use custody::store::Store;
use futures_util::future::BoxFuture;
use hal::backoff::{Backoff, Pauses};
use live::view::View;
use models::lesion::entry::Entry;
use study::review::{Signed, Signing};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::dbus::{self, Commands};
use crate::dicomweb::Web;
use crate::health::heat;
use crate::metrics::Metrics;
use crate::reader::Reader;
use crate::reading::Reading;

pub use message::HEADER;
pub use server::{Error, Server};

type Answer = BoxFuture<'static, Result<Signed, dbus::Error>>;
type Entered = BoxFuture<'static, Result<u64, dbus::Error>>;

/// Signs a review, and writes what is decided about lesions, as the commands of the bus do. It stands in the audit trail from
/// which address.
#[derive(Clone)]
pub struct Signer {
    audit: Audit,
    sign: Arc<dyn Fn(Signing) -> Answer + Send + Sync>,
    enter: Arc<dyn Fn(String, Entry) -> Entered + Send + Sync>,
}

impl Signer {
    pub fn new(sign: impl Fn(Signing) -> Answer + Send + Sync + 'static) -> Self {
        let no = || dbus::Error::NotPossible("nothing can be entered here".into());
        let enter: Arc<dyn Fn(String, Entry) -> Entered + Send + Sync> =
            Arc::new(move |_, _| Box::pin(std::future::ready(Err(no()))));
        Self { audit: Audit::default(), sign: Arc::new(sign), enter }
    }

    /// The same with `enter` for lesions.
    #[must_use]
    pub fn entering(self, enter: impl Fn(String, Entry) -> Entered + Send + Sync + 'static) -> Self {
        Self { enter: Arc::new(enter), ..self }
    }

    pub fn by(commands: Arc<dyn Commands>, audit: Audit) -> Self {
        let entering = commands.clone();
        let signer = Self::new(move |signing| {
            let commands = commands.clone();
            Box::pin(async move { commands.review(signing).await })
        });
        let signer = signer.entering(move |by, entry| {
            let commands = entering.clone();
            Box::pin(async move { commands.enter_lesion(&by, &entry).await })
        });
        signer.recording(audit)
    }

    /// The same with an audit trail.
    #[must_use]
    pub fn recording(self, audit: Audit) -> Self {
        Self { audit, ..self }
    }

    pub async fn sign(&self, from: IpAddr, signing: Signing) -> Result<Signed, dbus::Error> {
        let object = format!("{}, signed as {}", dbus::named("series", &signing.series_uid), signing.by);
        trail::recorded(&self.audit, from, "review-series", &object, (self.sign)(signing)).await
    }

    pub async fn enter(&self, from: IpAddr, by: String, entry: Entry) -> Result<u64, dbus::Error> {
        let object = format!("{}, signed as {by}", entry.named());
        trail::recorded(&self.audit, from, "enter-lesion", &object, (self.enter)(by, entry)).await
    }

    /// Returns when the audit trail has a row of a list that is given away.
    ///
    /// # Errors
    /// `Internal` when it cannot be written.
    pub async fn given(&self, from: IpAddr, list: &str) -> Result<(), dbus::Error> {
        trail::written(&self.audit, from, "export", list).await
    }

    /// Notes in the audit trail what is given to somebody who reads; nobody waits for it.
    pub fn taken(&self, from: IpAddr, object: &str) {
        trail::taken(&self.audit, from, object);
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

/// What is served of received studies: to people, and to programs.
#[derive(Debug, Clone)]
pub struct Studies {
    pub signer: Signer,
    pub reading: Reading,
    pub web: Web,
    pub metrics: Metrics,
}

impl Studies {
    /// `folder`: the spool directory, where the results are. People do not wait for programs: each has a connection to
    /// the database.
    pub fn new(store: &Store, spool: &Spool, folder: &Path, metrics: Metrics, signer: Signer) -> Self {
        let reader = || Reader::new(store.clone());
        Self {
            signer,
            reading: Reading::new(reader(), spool.clone(), folder.to_owned()),
            web: Web::new(reader(), spool.clone(), folder.to_owned()),
            metrics,
        }
    }
}

/// Pauses before an occupied port is tried again.
const PAUSES: Pauses = Pauses::new(Duration::from_secs(1), Duration::from_secs(30));

/// Serves the pages until shutdown: the live one on a box with a live path, and what there is of studies. Without
/// either, or with `console.address = "off"`, it only waits. Errors of port or token are logged and tried again for ever, because
/// everything else works without the pages.
pub async fn run(
    settings: settings::Console,
    view: Option<View>,
    studies: Option<Studies>,
    (gate, heat): (Gate, heat::Told),
    audit: Audit,
    shutdown: CancellationToken,
) {
    if settings.listen().is_none() || (view.is_none() && studies.is_none()) {
        shutdown.cancelled().await;
        return;
    }
    let (started, mut backoff) = (Instant::now(), Backoff::new(PAUSES));
    while !shutdown.is_cancelled() {
        let error = match Server::bind(&settings).await {
            Ok(server) => {
                tracing::info!("page at {}://{}/", server.scheme(), server.address());
                server
                    .with_gate(gate)
                    .with_heat(heat)
                    .with_audit(audit)
                    .with_studies(studies)
                    .serve(view, shutdown)
                    .await;
                return;
            }
            Err(error) => error,
        };
        let pause = backoff.failed(started.elapsed());
        tracing::error!(%error, retry_secs = pause.as_secs(), "cannot serve the page, will try again; everything else works");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => {}
        }
    }
}
