//! The accept loop: starts a task for each connection. Only associations count against the configured limit.
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

use crate::at_once::AtOnce;
use crate::places::{Places, subscriber};
use crate::serve::{Connection, serve};
use crate::settings;
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

/// # Errors
/// When it cannot listen on the address.
pub async fn bind(settings: &settings::Dicom) -> Result<TcpListener, Error> {
    let address = settings.listen;
    TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })
}

/// Serves associations until shutdown. Then it accepts no new ones, finishes messages in flight, and aborts the
/// remaining associations.
///
/// # Errors
/// None at present: no peer may stop the service for the others.
pub async fn run(listener: TcpListener, intake: Intake, shutdown: CancellationToken) -> Result<(), Error> {
    let places = Places::new(intake.settings.max_associations);
    let mut connections = JoinSet::new();
    let mut waiting = Waiting::default();
    let mut number = 0;
    loop {
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
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
        let connection = Connection { number, peer, places: places.clone(), evicted, shutdown: shutdown.clone() };
        connections.spawn(serve_tcp(stream, connection, intake.clone()));
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_GRACE, all_ended).await.is_err() {
        info!("connections aborted at shutdown: {}", connections.len());
    }
    Ok(())
}

async fn serve_tcp(stream: TcpStream, connection: Connection, intake: Intake) {
    let (number, peer) = (connection.number, connection.peer);
    // A response must not wait until the previous one is acknowledged.
    if let Err(error) = stream.set_nodelay(true) {
        return info!(association = number, %peer, "connection failed immediately: {error}");
    }
    let (reader, writer) = stream.into_split();
    if AssertUnwindSafe(serve(AtOnce(reader), writer, connection, &intake)).catch_unwind().await.is_err() {
        error!(association = number, %peer, "association ended by a panic in this software");
        let _ = intake.arrivals.send(Arrival::Released { association: number, clean: false }).await;
    }
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
