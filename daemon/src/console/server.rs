//! The HTTP server, with limits on the number of connections and on the time of each request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use config::settings;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use live::view::View;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::access::Peer;
use super::door::Door;
use super::encode::Pictures;
use super::routes::{self, Site};

/// Further connections are closed immediately, so that file descriptors remain for scanners.
const MOST_CONNECTIONS: usize = 128;
const MOST_VIEWERS: usize = 16;
/// Time limit for the header of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Time for open requests to end at shutdown.
const FAREWELL: Duration = Duration::from_secs(2);
/// Pause after a failed accept, for example when no file descriptors are left.
const BREATH: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("console.address is off")]
    Off,
    #[error("console.address {address}: {error}")]
    Bind { address: SocketAddr, error: std::io::Error },
    #[error("{0}")]
    Token(String),
}

/// A server with a bound port that does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    door: Door,
    hosts: Arc<[String]>,
    jpeg_quality: u8,
}

impl Server {
    /// # Errors
    /// When the port cannot be bound or the token cannot be read.
    pub async fn bind(settings: &settings::Console) -> Result<Self, Error> {
        let address = settings.listen().ok_or(Error::Off)?;
        let door = Door::new(settings.token_file.as_deref()).map_err(Error::Token)?;
        let listener = TcpListener::bind(address).await.map_err(|error| Error::Bind { address, error })?;
        let address = listener.local_addr().map_err(|error| Error::Bind { address, error })?;
        let (hosts, jpeg_quality) = (settings.hosts.clone().into(), settings.jpeg_quality);
        Ok(Self { listener, address, door, hosts, jpeg_quality })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until shutdown.
    pub async fn serve(self, view: View, shutdown: CancellationToken) {
        let pictures = Pictures::default();
        let encoding = tokio::spawn(pictures.clone().run(view.pictures.clone(), self.jpeg_quality, shutdown.clone()));
        let router = routes::router(Site {
            door: Arc::new(self.door),
            hosts: self.hosts,
            view,
            pictures,
            viewers: Arc::new(Semaphore::new(MOST_VIEWERS)),
            shutdown: shutdown.clone(),
        });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) if connections.len() < MOST_CONNECTIONS => {
                        connections.spawn(connection(stream, peer, router.clone(), shutdown.clone()));
                    }
                    Ok((_, peer)) => tracing::debug!(%peer, "too many connections to the page"),
                    Err(error) => {
                        tracing::warn!(%error, "live page: cannot accept a connection");
                        tokio::time::sleep(BREATH).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                () = shutdown.cancelled() => break,
            }
        }
        let farewell = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        encoding.abort();
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, shutdown: CancellationToken) {
    // A picture has several packets; without this the last one would wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router.layer(Extension(Peer(peer))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "a connection to the page ended");
    }
}
