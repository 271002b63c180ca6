//! The live page: plain HTTP and one WebSocket; all its files are embedded.
//!
//! ```text
//! View.pictures -> encode (JPEG, once for all) -> watch -> socket (one for each page) -> browser: canvas
//! View.overlay, status, stats --------------------------> socket ---------------------> browser: SVG, words
//! browser -> routes -> ask -> the live path
//! ```
//!
//! A slow page misses pictures and delays no other. `access` decides which requests are allowed, `places` which
//! connections.
//! `docs/decisions/0010-live-page.md` explains why WebSocket and JPEG.

mod access;
mod assets;
mod dicomweb;
mod door;
mod encode;
mod message;
mod places;
mod reading;
mod routes;
mod server;
mod socket;

use std::path::Path;
use std::time::Duration;

use config::settings;
use custody::level::Gate;
use custody::spool::Spool;
use custody::store::Store;
use hal::backoff::{Backoff, Pauses};
use live::view::View;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::dicomweb::Web;
use crate::metrics::Metrics;
use crate::reader::Reader;
use crate::reading::Reading;

pub use message::HEADER;
pub use server::{Error, Server};

/// What is served of received studies: to people, and to programs.
#[derive(Debug, Clone)]
pub struct Studies {
    pub reading: Reading,
    pub web: Web,
    pub metrics: Metrics,
}

impl Studies {
    /// `folder`: the spool directory, where the results are. People do not wait for programs: each has a connection to
    /// the database.
    pub fn new(store: &Store, spool: &Spool, folder: &Path, metrics: Metrics) -> Self {
        let reader = || Reader::new(store.clone());
        Self {
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
    gate: Gate,
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
                tracing::info!("page at http://{}/", server.address());
                server.with_gate(gate).with_studies(studies).serve(view, shutdown).await;
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
