//! Delivers results: one task per destination, in the order in which results were made, with retries for ever unless an
//! object is parked.
//!
//! If the association fails or the archive is full, the whole queue waits, so that the order is kept. An object that the
//! destination does not take now waits by itself while the others are sent; one that it will never take is parked with
//! the reason (`node::outcome`), and so is one at which the association fails again and again while others are taken
//! (`state`).
//!
//! An archive that offers storage commitment is asked whether it keeps what it took (`ask`), one with a URL whether it has it
//! (`prove`); until it says so, retention keeps the object here.
//!
//! The times in rows are of the wall clock, which may be set at any moment: none leads further than the longest pause.

mod ask;
mod link;
pub mod notify;
mod prove;
mod sender;
mod state;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use custody::event::Event;
use custody::level::Gate;
use custody::store::{self, Durability, Store, asks, deliveries};
use hal::clock::Wall;
use node::settings::{Asking, Destination};
use rusqlite::Connection;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::until_it_works;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("outbox: a task panicked: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Delivers until shutdown, by the clock `wall`. The caller notifies `wake` (`notify_one`) after rows were added or made due.
/// Answers that were received are recorded before this returns.
///
/// # Errors
/// When a task panics. An error of the database is waited out.
#[expect(clippy::too_many_arguments, reason = "each is another part of the box")]
pub async fn run(
    wall: Wall,
    store: Store,
    spool_directory: PathBuf,
    destinations: BTreeMap<String, Destination>,
    gate: Gate,
    wake: Arc<Notify>,
    events: broadcast::Sender<Event>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let (opened, configured, told, clock) = (store.clone(), destinations.clone(), events.clone(), wall.clone());
    let begin = move || start(&opened, &configured, &told, &clock.now_utc());
    if until_it_works(&store, &shutdown, begin).await?.is_none() {
        return Ok(());
    }
    let mut bells = Vec::new();
    let mut senders = JoinSet::new();
    for (name, destination) in destinations {
        let bell = Arc::new(Notify::new());
        bells.push(bell.clone());
        let sender = sender::Sender {
            name,
            destination,
            store: store.clone(),
            spool_directory: spool_directory.clone(),
            gate: gate.clone(),
            bell,
            events: events.clone(),
            wall: wall.clone(),
        };
        senders.spawn(sender.run(shutdown.clone()));
    }
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = wake.notified() => bells.iter().for_each(|bell| bell.notify_one()),
            Some(lost) = senders.join_next() => lost??,
        }
    }
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    Ok(())
}

/// Makes all deliveries due: restarts are rare, and this restores the order that waiting has changed. Follows the
/// configuration, which may have changed since the last start: which kinds of results a destination takes, whether simulated
/// ones, and which destinations there are.
fn start(
    store: &Store,
    destinations: &BTreeMap<String, Destination>,
    events: &broadcast::Sender<Event>,
    now: &str,
) -> store::Result<()> {
    let connection = store.connect(Durability::Full)?;
    deliveries::due_now(&connection, now)?;
    for (name, destination) in destinations {
        if destination.commitment == Asking::Off {
            asks::off(&connection, name)?;
        }
        apply_kinds(&connection, name, destination, events, now)?;
        let accepts = destination.accepts_simulated;
        let changed = deliveries::apply_simulated(&connection, name, accepts, now)?;
        if !changed.is_empty() {
            let what = if accepts { "released" } else { "held" };
            info!(destination = name, deliveries = changed.len(), "results made with a simulated device are {what}");
        }
        let (state, reason) =
            if accepts { (deliveries::PENDING, None) } else { (deliveries::HELD, Some(deliveries::HELD_BECAUSE)) };
        changed.into_iter().for_each(|id| tell(events, name, id, state, reason));
    }
    for summary in deliveries::summary(&connection)? {
        let (destination, pending) = (summary.destination, summary.pending);
        if destinations.contains_key(&destination) {
            continue;
        }
        // Nobody is left who could be asked, and what it took must not be kept for ever.
        let released = asks::off(&connection, &destination)?;
        if released > 0 {
            info!(destination, released, "not configured any more: what it took counts as delivered only");
        }
        if pending > 0 {
            warn!(
                destination,
                pending,
                "deliveries are pending for a destination that is not configured: `scansidectl outbox drop \
                 --destination {destination}` gives them up"
            );
        }
    }
    Ok(())
}

/// Drops what is waiting of kinds that the destination does not take any more, and queues what it takes again.
fn apply_kinds(
    connection: &Connection,
    name: &str,
    destination: &Destination,
    events: &broadcast::Sender<Event>,
    now: &str,
) -> store::Result<()> {
    let changed = deliveries::apply_kinds(connection, name, destination.kinds().as_deref(), now)?;
    if !changed.is_empty() {
        info!(destination = name, deliveries = changed.len(), "deliveries follow the destination's `results`");
    }
    for (id, state) in changed {
        let reason = (state == deliveries::DROPPED).then_some(deliveries::NOT_AMONG_RESULTS);
        tell(events, name, id, &state, reason);
    }
    Ok(())
}

/// Announces that the configuration has changed a delivery.
fn tell(events: &broadcast::Sender<Event>, destination: &str, id: i64, state: &str, reason: Option<&str>) {
    let (destination, state, reason) = (destination.to_owned(), state.to_owned(), reason.map(str::to_owned));
    // Fails only when there are no subscribers.
    let _ = events.send(Event::Delivery { id, destination, state, reason });
}
