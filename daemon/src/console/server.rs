//! The HTTP server, with limits on the number of connections (`places`) and on the time of each request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use config::settings;
use custody::audit::Audit;
use custody::level::Gate;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use live::view::View;
use node::tls::certificate::Unusable;
use node::tls::https::Https;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::access::{Entrance, Peer};
use super::door::Door;
use super::encode::Pictures;
use super::impatient::Impatient;
use super::places::{Guest, Place, Places};
use super::routes::{self, Live};
use super::{Studies, secure};
use crate::health::heat;

const MOST_VIEWERS: usize = 16;
/// Of these, pages on other machines.
const MOST_VIEWERS_ELSEWHERE: usize = 12;
/// Time limit for the header of a request, also for the next one on an open connection.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection from elsewhere may last without the cookie of a login, whatever it asks. A browser opens a new
/// one when it needs it.
const STRANGER_WITHIN: Duration = Duration::from_secs(10);
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
    #[error("console.{key}: {0}", key = .0.key)]
    Certificate(Unusable),
}

/// A server with a bound port that does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    door: Door,
    hosts: Arc<[String]>,
    jpeg_quality: u8,
    gate: Gate,
    heat: heat::Told,
    studies: Option<Studies>,
    https: Option<Https>,
}

impl Server {
    /// # Errors
    /// When the port cannot be bound, or token or certificate cannot be read.
    pub async fn bind(settings: &settings::Console) -> Result<Self, Error> {
        let address = settings.listen().ok_or(Error::Off)?;
        let mut door = Door::new(settings.token_file.as_deref()).map_err(Error::Token)?;
        let https = match (&settings.certificate, &settings.key) {
            (Some(certificate), Some(key)) => Some(Https::open(certificate, key).map_err(Error::Certificate)?),
            // One without the other is no configuration.
            _ => None,
        };
        door.is_secure = https.is_some();
        let listener = TcpListener::bind(address).await.map_err(|error| Error::Bind { address, error })?;
        let address = listener.local_addr().map_err(|error| Error::Bind { address, error })?;
        let (hosts, jpeg_quality) = (settings.hosts.clone().into(), settings.jpeg_quality);
        let (gate, heat, https) = (Gate::default(), heat::channel().1, https);
        Ok(Self { listener, address, door, hosts, jpeg_quality, gate, heat, studies: None, https })
    }

    /// The page says when this gate restricts the box. Without it: never.
    #[must_use]
    pub fn with_gate(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// The page says when the box is hot. Without it: never.
    #[must_use]
    pub fn with_heat(self, heat: heat::Told) -> Self {
        Self { heat, ..self }
    }

    /// Where logins are written down. Without it: nowhere.
    #[must_use]
    pub fn with_audit(mut self, audit: Audit) -> Self {
        self.door.audit = audit;
        self
    }

    /// With the page on which studies are read, and DICOMweb.
    #[must_use]
    pub fn with_studies(self, studies: Option<Studies>) -> Self {
        Self { studies, ..self }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// By which other machines get the page.
    pub fn scheme(&self) -> &'static str {
        if self.https.is_some() { "https" } else { "http" }
    }

    /// Serves until shutdown. `view`: of the live path, on a box that has one.
    pub async fn serve(self, view: Option<View>, shutdown: CancellationToken) {
        let pictures = Pictures::default();
        let encoding = view
            .as_ref()
            .map(|view| tokio::spawn(pictures.clone().run(view.pictures.clone(), self.jpeg_quality, shutdown.clone())));
        let (audit, door, places) = (self.door.audit.clone(), Arc::new(self.door), Places::default());
        let live = view.map(|view| Live {
            view,
            pictures,
            gate: self.gate,
            heat: self.heat,
            audit,
            viewers: Arc::new(Semaphore::new(MOST_VIEWERS)),
            viewers_elsewhere: Arc::new(Semaphore::new(MOST_VIEWERS_ELSEWHERE)),
            shutdown: shutdown.clone(),
        });
        let entrance = Entrance { door: door.clone(), hosts: self.hosts };
        let site = Arc::new(Site {
            secure: self.https.map(|https| (https, secure::elsewhere(entrance.hosts.clone()))),
            router: routes::router(&entrance, live, self.studies),
        });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, address)) => match places.take(address.ip(), guest(&door, address)) {
                        Some(place) => {
                            let peer = Peer { address, place: Arc::new(place), is_secure: false };
                            connections.spawn(connection(stream, peer, site.clone(), shutdown.clone()));
                        }
                        None => tracing::debug!(peer = %address, "too many connections to the page"),
                    },
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
        if let Some(encoding) = encoding {
            encoding.abort();
        }
    }
}

/// Whose places a new connection takes.
fn guest(door: &Door, peer: SocketAddr) -> Guest {
    match peer.ip().to_canonical() {
        address if address.is_loopback() => Guest::Here,
        address if door.has_login_from(address) => Guest::LoggedIn,
        _ => Guest::Stranger,
    }
}

/// What is served on a connection.
#[derive(Debug)]
struct Site {
    router: Router,
    /// Where there is TLS: it, and what other machines get that ask without.
    secure: Option<(Https, Router)>,
}

/// A connection of either kind: encrypted, or on this machine, or where there is no certificate.
async fn connection(stream: TcpStream, peer: Peer, site: Arc<Site>, shutdown: CancellationToken) {
    // A picture has several packets; without this the last one would wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let Some((https, elsewhere)) = &site.secure else {
        return answered(stream, peer, site.router.clone(), shutdown).await;
    };
    match tokio::time::timeout(HEAD_WITHIN, secure::speaks_tls(&stream)).await {
        Ok(Ok(true)) => match tokio::time::timeout(HEAD_WITHIN, https.accept(stream)).await {
            Ok(Ok(stream)) => {
                answered(stream, Peer { is_secure: true, ..peer }, site.router.clone(), shutdown).await;
            }
            Ok(Err(error)) => tracing::debug!(peer = %peer.address, %error, "no TLS connection to the page came about"),
            Err(_) => tracing::debug!(peer = %peer.address, "no TLS connection to the page came about in time"),
        },
        Ok(Ok(false)) => {
            let router = if peer.place.guest() == Guest::Here { &site.router } else { elsewhere };
            answered(stream, peer, router.clone(), shutdown).await;
        }
        Ok(Err(error)) => tracing::debug!(peer = %peer.address, %error, "a connection to the page ended"),
        Err(_) => tracing::debug!(peer = %peer.address, "a connection to the page said nothing"),
    }
}

async fn answered<S>(stream: S, peer: Peer, router: Router, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Peer { address, place, .. } = peer.clone();
    let service = TowerToHyperService::new(router.layer(Extension(peer)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(Impatient::new(stream)), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = place.must_leave() => return tracing::debug!(peer = %address, "a connection to the page made room for a new one"),
        () = outstayed(&place) => return tracing::debug!(peer = %address, "a connection to the page without a login ended"),
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(peer = %address, %error, "a connection to the page ended");
    }
}

/// Waits until a connection from elsewhere has lasted too long without a login.
async fn outstayed(place: &Place) {
    tokio::time::sleep(STRANGER_WITHIN).await;
    if place.guest() == Guest::Here || place.has_proved() {
        std::future::pending::<()>().await;
    }
}
