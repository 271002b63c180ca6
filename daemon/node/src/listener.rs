//! The accept loop of both ports, without TLS and with it: starts a task for each connection. Only associations count
//! against the configured limit.
//! Connections that have not requested one have a limit of their own; above it the oldest of the peer with most of them
//! is closed.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::at_once::{AtOnce, Whole};
use crate::places::{Places, subscriber};
use crate::serve::{Connection, serve};
use crate::settings;
use crate::tls::server::Server;
use crate::tls::{Counts, FaultKind};
use crate::{Arrival, Intake};

/// Most connections without an association request: far more than scanners open at the same time, far fewer than the
/// limit on file descriptors.
const MAX_WAITING: usize = 256;
/// Time to finish messages in flight when the daemon stops. An instance that is not finished by then is not
/// acknowledged.
const STOP_GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: SocketAddr, source: std::io::Error },
}

/// The bound ports, not served yet.
#[derive(Debug)]
pub struct Ports {
    plain: TcpListener,
    secure: Option<(TcpListener, Arc<Server>)>,
}

impl Ports {
    /// Of the port without TLS.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.plain.local_addr()
    }

    /// Of the port for TLS, when there is one.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.secure.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    /// How often a TLS connection failed, by its kind.
    pub fn tls_faults(&self) -> Arc<Counts> {
        self.secure.as_ref().map(|(_, server)| server.counts()).unwrap_or_default()
    }
}

/// # Errors
/// When it cannot listen on an address.
pub async fn bind(settings: &settings::Dicom) -> Result<Ports, Error> {
    let plain = bind_to(settings.listen).await?;
    let secure = match (settings.tls.listen(), Server::open(&settings.tls, settings.certificates())) {
        (Some(address), Some(server)) => Some((bind_to(address).await?, Arc::new(server))),
        _ => None,
    };
    Ok(Ports { plain, secure })
}

async fn bind_to(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })
}

/// Serves associations until shutdown. Then it accepts no new ones, finishes messages in flight, and aborts the
/// remaining associations.
///
/// # Errors
/// None at present: no peer may stop the service for the others.
pub async fn run(ports: Ports, intake: Intake, shutdown: CancellationToken) -> Result<(), Error> {
    let places = Places::new(intake.settings.max_associations);
    let mut connections = JoinSet::new();
    let mut waiting = Waiting::default();
    let mut number = 0;
    loop {
        let (stream, peer, server) = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&ports) => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Usually too many open files: without a pause this loop would use a whole CPU core.
                    warn!("cannot accept a connection: {error}");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        number += 1;
        let evicted = waiting.add(peer.ip());
        let connection =
            Connection { number, peer, tls: None, places: places.clone(), evicted, shutdown: shutdown.clone() };
        connections.spawn(serve_tcp(stream, server, connection, intake.clone()));
    }
    drop(ports);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_GRACE, all_ended).await.is_err() {
        info!("connections aborted at shutdown: {}", connections.len());
    }
    Ok(())
}

/// The next connection on either port; with the server of TLS when it came to that one.
async fn accept(ports: &Ports) -> std::io::Result<(TcpStream, SocketAddr, Option<Arc<Server>>)> {
    let secure = async {
        match &ports.secure {
            Some((listener, server)) => (listener.accept().await, server),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        accepted = ports.plain.accept() => accepted.map(|(stream, peer)| (stream, peer, None)),
        (accepted, server) = secure => accepted.map(|(stream, peer)| (stream, peer, Some(server.clone()))),
    }
}

async fn serve_tcp(stream: TcpStream, server: Option<Arc<Server>>, connection: Connection, intake: Intake) {
    let (number, peer) = (connection.number, connection.peer);
    // A response must not wait until the previous one is acknowledged.
    if let Err(error) = stream.set_nodelay(true) {
        return info!(association = number, %peer, "connection failed immediately: {error}");
    }
    let served = async {
        match server {
            Some(server) => serve_tls(stream, &server, connection, &intake).await,
            None => {
                let (reader, writer) = stream.into_split();
                serve(AtOnce(reader), writer, connection, &intake).await;
            }
        }
    };
    if AssertUnwindSafe(served).catch_unwind().await.is_err() {
        error!(association = number, %peer, "association ended by a panic in this software");
        let _ = intake.arrivals.send(Arrival::Released { association: number, clean: false }).await;
    }
}

/// A connection without an association request waits in the handshake like any other: it may be closed to make room.
async fn serve_tls(stream: TcpStream, server: &Server, mut connection: Connection, intake: &Intake) {
    let (number, peer) = (connection.number, connection.peer);
    let patience = Duration::from_secs(intake.settings.artim_secs);
    let accepted = tokio::select! {
        accepted = server.accept(Whole(stream), patience) => accepted,
        () = connection.evicted.notified() => {
            return info!(association = number, %peer, "connection closed to make room for new ones: its TLS handshake was not complete");
        }
        () = connection.shutdown.cancelled() => return,
    };
    let (stream, facts) = match accepted {
        Ok(accepted) => accepted,
        Err(fault) if fault.kind == FaultKind::Closed => {
            return info!(association = number, %peer, "no TLS connection: {fault}");
        }
        Err(fault) => {
            let failed = server.counts().all();
            intake.callers.tls_failed(peer.ip(), &fault);
            return warn!(association = number, %peer, failed, "no TLS connection: {fault}");
        }
    };
    info!(
        association = number, %peer, version = facts.version, suite = facts.cipher_suite,
        certificate = facts.fingerprint.map(|fingerprint| fingerprint.to_string()), dates_judged = facts.dates_judged,
        "TLS connection"
    );
    connection.tls = Some(facts);
    let (reader, writer) = tokio::io::split(stream);
    serve(reader, writer, connection, intake).await;
}

/// Connections that have not requested an association, oldest first. A connection drops its handle when it requests one
/// or ends.
#[derive(Debug, Default)]
struct Waiting(VecDeque<(IpAddr, Weak<Notify>)>);

impl Waiting {
    fn add(&mut self, peer: IpAddr) -> Arc<Notify> {
        if self.0.len() >= MAX_WAITING {
            self.0.retain(|(_, handle)| handle.strong_count() > 0);
        }
        if self.0.len() >= MAX_WAITING
            && let Some(index) = self.oldest_of_the_greediest()
            && let Some((_, handle)) = self.0.remove(index)
            && let Some(handle) = handle.upgrade()
        {
            handle.notify_one();
        }
        let handle = Arc::new(Notify::new());
        self.0.push_back((subscriber(peer), Arc::downgrade(&handle)));
        handle
    }

    /// Where the oldest connection of the peer with most connections is.
    fn oldest_of_the_greediest(&self) -> Option<usize> {
        let mut counts = HashMap::new();
        for (peer, _) in &self.0 {
            *counts.entry(*peer).or_insert(0) += 1;
        }
        let most = counts.values().max()?;
        self.0.iter().position(|(peer, _)| counts.get(peer) == Some(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREEDY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[tokio::test]
    async fn when_too_many_wait_the_oldest_of_the_greediest_peer_makes_room() {
        let mut waiting = Waiting::default();
        let other = waiting.add(OTHER);
        let handles: Vec<_> = (1..MAX_WAITING).map(|_| waiting.add(GREEDY)).collect();
        assert!(handles[0].notified().now_or_never().is_none());
        let newest = waiting.add(GREEDY);
        assert!(handles[0].notified().now_or_never().is_some());
        assert!(handles[1].notified().now_or_never().is_none());
        assert!(newest.notified().now_or_never().is_none());
        assert!(other.notified().now_or_never().is_none(), "not that of another peer, though it is older");
    }

    #[test]
    fn those_that_asked_or_left_do_not_count() {
        let mut waiting = Waiting::default();
        for _ in 0..3 * MAX_WAITING {
            drop(waiting.add(GREEDY));
        }
        assert!(waiting.0.len() <= MAX_WAITING);
    }
}
