//! The live page: plain HTTP and one WebSocket, every byte of it embedded here.
//!
//! ```text
//! View.pictures -> encode (JPEG, once for all) -> watch -> socket (one for each page) -> browser: canvas
//! View.overlay, status, stats --------------------------> socket ---------------------> browser: SVG, words
//! browser -> routes -> ask -> the live path
//! ```
//!
//! Newest wins: a page that is slow misses pictures and holds nobody up. `access` decides who gets in. Why WebSocket
//! and JPEG: `docs/decisions/0010-live-page.md`.

mod access;
mod assets;
mod door;
mod encode;
mod message;
mod routes;
mod server;
mod socket;

use std::time::Duration;

use config::settings;
use hal::backoff::{Backoff, Pauses};
use live::view::View;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use message::HEADER;
pub use server::{Error, Server};

/// Before a port that is taken is tried again.
const PAUSES: Pauses = Pauses::new(Duration::from_secs(1), Duration::from_secs(30));

/// Serves the page until shutdown. Without a live path, or with `console.address = "off"`, it only waits. What is wrong
/// with port or token is told and tried again for ever: the box does its other work without the page.
pub async fn run(settings: settings::Console, view: Option<View>, shutdown: CancellationToken) {
    let (Some(view), Some(_)) = (view, settings.listen()) else {
        shutdown.cancelled().await;
        return;
    };
    let (started, mut backoff) = (Instant::now(), Backoff::new(PAUSES));
    while !shutdown.is_cancelled() {
        let error = match Server::bind(&settings).await {
            Ok(server) => {
                tracing::info!("live page at http://{}/", server.address());
                server.serve(view, shutdown).await;
                return;
            }
            Err(error) => error,
        };
        let pause = backoff.failed(started.elapsed());
        tracing::error!(%error, retry_secs = pause.as_secs(), "no live page; all else goes on");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => {}
        }
    }
}
