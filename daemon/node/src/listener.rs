//! The accept loop: connections to tasks. Only associations count against the limit; connections that have not asked for
//! one have a limit of their own, where the oldest makes room.

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

/// Connections without an association request; far more than scanners open at once, far fewer than file descriptors.
const MAX_WAITING: usize = 256;
/// For messages in flight when we stop; they are answered or never were.
const STOP_GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: SocketAddr, source: std::io::Error },
}

/// # Errors
/// When the address cannot be listened on.
pub async fn bind(settings: &settings::Dicom) -> Result<TcpListener, Error> {
    let address = settings.listen;
    TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })
}

/// Serves associations until shutdown: no new ones then, messages in flight are finished, the rest is aborted.
///
/// # Errors
/// None today: whatever one peer does must not stop the others.
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
                    // Mostly too many open files: accepting again at once would only spin.
                    warn!("a connection could not be accepted: {error}");
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
        info!("associations cut off at shutdown: {}", connections.len());
    }
    Ok(())
}

async fn serve_tcp(stream: TcpStream, connection: Connection, intake: Intake) {
    let (number, peer) = (connection.number, connection.peer);
    // A response must not wait for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        return info!(association = number, %peer, "connection lost at once: {error}");
    }
    let (reader, writer) = stream.into_split();
    if AssertUnwindSafe(serve(AtOnce(reader), writer, connection, &intake)).catch_unwind().await.is_err() {
        error!(association = number, %peer, "association lost to a fault of this software");
        let _ = intake.arrivals.send(Arrival::Released { association: number, clean: false }).await;
    }
}

/// Connections that have not asked for an association, oldest first. A connection drops its handle when it asks or ends.
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
