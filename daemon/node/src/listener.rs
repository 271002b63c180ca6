//! The accept loop: starts a task for each connection. Only associations count against the configured limit.
//! Connections that have not requested one have a limit of their own; above it the oldest is closed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::at_once::AtOnce;
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
    let places = Arc::new(Semaphore::new(intake.settings.max_associations));
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
        let evicted = waiting.add();
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
struct Waiting(VecDeque<Weak<Notify>>);

impl Waiting {
    fn add(&mut self) -> Arc<Notify> {
        if self.0.len() >= MAX_WAITING {
            self.0.retain(|handle| handle.strong_count() > 0);
        }
        if self.0.len() >= MAX_WAITING
            && let Some(oldest) = self.0.pop_front().and_then(|handle| handle.upgrade())
        {
            oldest.notify_one();
        }
        let handle = Arc::new(Notify::new());
        self.0.push_back(Arc::downgrade(&handle));
        handle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn when_too_many_wait_the_oldest_makes_room() {
        let mut waiting = Waiting::default();
        let handles: Vec<_> = (0..MAX_WAITING).map(|_| waiting.add()).collect();
        assert!(handles[0].notified().now_or_never().is_none());
        let newest = waiting.add();
        assert!(handles[0].notified().now_or_never().is_some());
        assert!(handles[1].notified().now_or_never().is_none());
        assert!(newest.notified().now_or_never().is_none());
    }

    #[test]
    fn those_that_asked_or_left_do_not_count() {
        let mut waiting = Waiting::default();
        for _ in 0..3 * MAX_WAITING {
            drop(waiting.add());
        }
        assert!(waiting.0.len() <= MAX_WAITING);
    }
}
