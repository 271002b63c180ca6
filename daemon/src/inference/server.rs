//! The port: who gets a connection, how many, and by TLS or not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use custody::audit::Audit;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use node::inference::settings::InferenceService;
use node::tls::certificate::Unusable;
use node::tls::https::Https;
use study::model::Shelf;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::door::Door;
use super::patient::Patient;
use super::routes::{self, Neighbour, Site};
use super::runner::Runner;
use super::{Figures, First};

/// Connections at the same time.
const CONNECTIONS: usize = 32;
/// Time limit for a TLS handshake, and for the head of a request, also of the next one on an open connection.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// A neighbour that takes nothing of its answer for so long has gone.
const TAKEN_WITHIN: Duration = Duration::from_secs(20);
/// Time for open requests to end at shutdown.
const FAREWELL: Duration = Duration::from_secs(2);
/// Pause after a failed accept.
const BREATH: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("inference.address is off")]
    Off,
    #[error("inference.address {address}: {error}")]
    Bind { address: SocketAddr, error: std::io::Error },
    #[error("inference.token_file: {0}")]
    Token(String),
    #[error("inference.{key}: {0}", key = .0.key)]
    Certificate(Unusable),
    #[error("no thread for neighbours: {0}")]
    Thread(std::io::Error),
}

/// A server with a bound port that does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    door: Door,
    runner: Runner,
    https: Option<Arc<Https>>,
    largest: usize,
    deadline: Duration,
}

impl Server {
    /// # Errors
    /// When the port cannot be bound, or token or certificate cannot be read.
    pub async fn bind(settings: &InferenceService, shelf: Shelf, first: First) -> Result<Self, Error> {
        let address = settings.listen().ok_or(Error::Off)?;
        let door =
            Door::new(&settings.neighbours, settings.loopback, settings.token_file.as_deref()).map_err(Error::Token)?;
        let https = match (&settings.certificate, &settings.key) {
            (Some(certificate), Some(key)) => Some(Https::open(certificate, key).map_err(Error::Certificate)?),
            // One without the other is no configuration.
            _ => None,
        };
        let listener = TcpListener::bind(address).await.map_err(|error| Error::Bind { address, error })?;
        let address = listener.local_addr().map_err(|error| Error::Bind { address, error })?;
        let runner = Runner::start(shelf, first).map_err(Error::Thread)?;
        let (largest, deadline) = (settings.largest_bytes(), settings.deadline());
        Ok(Self { listener, address, door, runner, https: https.map(Arc::new), largest, deadline })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn scheme(&self) -> &'static str {
        if self.https.is_some() { "https" } else { "http" }
    }

    /// Serves until shutdown.
    pub async fn serve(self, figures: Figures, audit: Audit, shutdown: CancellationToken) {
        let site = Arc::new(Site::new(self.door, self.runner, figures, audit, self.largest, self.deadline));
        let router = routes::router(site.clone());
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let (stream, peer) = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "neighbours: cannot accept a connection");
                        tokio::time::sleep(BREATH).await;
                        continue;
                    }
                },
                Some(_) = connections.join_next() => continue,
                () = shutdown.cancelled() => break,
            };
            if !site.door.knows(peer.ip()) {
                tracing::info!(%peer, "not a neighbour that may ask for inferences: inference.neighbours");
                site.refuse(peer.ip(), "not in inference.neighbours");
                continue;
            }
            let Ok(place) = places.clone().try_acquire_owned() else { continue };
            let (https, router) = (self.https.clone(), router.clone().layer(Extension(Neighbour(peer.ip()))));
            // A body has its own limit; a connection that sends none, or too slowly, ends with it.
            let shutdown = shutdown.clone();
            connections.spawn(async move {
                let _place = place;
                connection(stream, https, router, shutdown).await;
            });
        }
        let farewell = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
}

async fn connection(stream: TcpStream, https: Option<Arc<Https>>, router: Router, shutdown: CancellationToken) {
    let _ = stream.set_nodelay(true);
    match https {
        None => answered(stream, router, shutdown).await,
        Some(https) => match tokio::time::timeout(HEAD_WITHIN, https.accept(stream)).await {
            Ok(Ok(stream)) => answered(stream, router, shutdown).await,
            Ok(Err(error)) => tracing::debug!(%error, "no TLS connection of a neighbour came about"),
            Err(_) => tracing::debug!("no TLS connection of a neighbour came about in time"),
        },
    }
}

async fn answered<S>(stream: S, router: Router, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(Patient::new(stream, TAKEN_WITHIN)), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection of a neighbour ended");
    }
}
