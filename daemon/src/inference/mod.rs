//! This box as an inference host of its neighbours: the networks of its active packages, by the Open Inference Protocol over REST.
//! Off by default.
//!
//! ```text
//! neighbour -> door (address, token) -> routes (limits) -> runner (one thread, live and own studies first: tensors, network, answer)
//! ```
//!
//! Only tensors come in and go out: no patient, no study. `node::inference` has the client's side and the encoding.

mod door;
mod patient;
mod routes;
mod runner;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use custody::audit::Audit;
use hal::backoff::{Backoff, Pauses};
use hal::urgency::Precedence;
use node::inference::settings::InferenceService;
use study::model::Shelf;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::server::{Error, Server};

/// What has been done for neighbours since the start. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Figures(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    served: AtomicU64,
    refused: AtomicU64,
}

impl Figures {
    /// Runs of a network for neighbours.
    pub fn served(&self) -> u64 {
        self.0.served.load(Ordering::Relaxed)
    }

    /// Requests of neighbours, or of others, that were not met.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    fn add(&self, is_served: bool) {
        let counter = if is_served { &self.0.served } else { &self.0.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What goes before the work of neighbours.
#[derive(Debug, Clone, Default)]
pub struct First {
    pub live: Precedence,
    pub studies: Precedence,
}

/// Pauses before an occupied port is tried again.
const PAUSES: Pauses = Pauses::new(Duration::from_secs(1), Duration::from_secs(30));

/// Serves until shutdown; with `inference.address = "off"` it only waits. An error of the port is logged and tried again for ever,
/// because everything else works without it.
pub async fn run(
    settings: InferenceService,
    shelf: Shelf,
    first: First,
    figures: Figures,
    audit: Audit,
    shutdown: CancellationToken,
) {
    if settings.listen().is_none() {
        shutdown.cancelled().await;
        return;
    }
    let (started, mut backoff) = (Instant::now(), Backoff::new(PAUSES));
    while !shutdown.is_cancelled() {
        let error = match Server::bind(&settings, shelf.clone(), first.clone()).await {
            Ok(server) => {
                tracing::info!("networks for neighbours at {}://{}/v2", server.scheme(), server.address());
                return server.serve(figures, audit, shutdown).await;
            }
            Err(error) => error,
        };
        let pause = backoff.failed(started.elapsed());
        tracing::error!(%error, retry_secs = pause.as_secs(), "cannot serve neighbours, will try again; everything else works");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => {}
        }
    }
}
