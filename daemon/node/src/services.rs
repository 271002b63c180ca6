//! What the services beside C-STORE and C-ECHO share: the database, the archives that report to us, and the associations
//! over which a peer can be reached without a new one.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use custody::store::Store;
use custody::store::commitments::Peer;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::expected::Source;
use crate::settings::Destination;
use crate::tls::settings::DestinationTls;
use crate::wanted::Awaited;

/// Reports that may wait for one association.
const WAITING: usize = 8;

/// An archive that may associate with us to report storage commitment, and for nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    pub ae_title: String,
    /// By which title it knows us.
    pub our_title: String,
    /// `host:port` where it listens.
    pub address: String,
    /// `None`: without TLS.
    pub tls: Option<DestinationTls>,
}

impl From<&Destination> for Archive {
    fn from(destination: &Destination) -> Self {
        Self {
            ae_title: destination.ae_title.trim().to_owned(),
            our_title: destination.calling_ae_title.trim().to_owned(),
            address: destination.address.clone(),
            tls: destination.tls.clone(),
        }
    }
}

/// Cheap to clone; clones share all.
#[derive(Debug, Clone)]
pub struct Services {
    pub store: Store,
    pub archives: Arc<[Archive]>,
    /// Notified when a report may be due.
    pub report: Arc<Notify>,
    /// Notified when an archive has reported: rows of `deliveries` have changed.
    pub outbox_wake: Arc<Notify>,
    pub(crate) lines: Lines,
    /// Peers that have called and that reports could not be brought to before.
    pub(crate) called: Called,
    /// The list of who is expected, where scanners may ask for it.
    pub(crate) expected: Option<Expected>,
    /// What an archive is asked to send us by C-MOVE.
    pub awaited: Awaited,
}

/// The list of who is expected.
#[derive(Clone)]
pub(crate) struct Expected(pub(crate) Source);

impl std::fmt::Debug for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Expected")
    }
}

impl Services {
    pub fn new(store: Store, archives: impl IntoIterator<Item = Archive>, outbox_wake: Arc<Notify>) -> Self {
        let archives = archives.into_iter().collect();
        let (lines, called, awaited) = (Lines::default(), Called::default(), Awaited::default());
        Self { store, archives, report: Arc::default(), outbox_wake, lines, called, expected: None, awaited }
    }

    /// Scanners that may send may also ask who is expected.
    #[must_use]
    pub fn and_expected(self, source: Option<Source>) -> Self {
        Self { expected: source.map(Expected), ..self }
    }

    /// Whether this peer is an archive of ours that calls us by the title under which we call it.
    pub(crate) fn is_archive(&self, called: &str, calling: &str) -> bool {
        self.archives.iter().any(|archive| archive.ae_title == calling.trim() && archive.our_title == called.trim())
    }
}

/// A report to send over an open association.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) event_type: u16,
    /// The data set in Implicit and in Explicit VR Little Endian.
    pub(crate) implicit: Vec<u8>,
    pub(crate) explicit: Vec<u8>,
    /// Receives the status of the peer's answer; dropped when the association ends without one.
    pub(crate) answer: oneshot::Sender<u16>,
}

/// Peers that have called. Only in memory: a call that is forgotten costs nothing but a wait.
#[derive(Debug, Clone, Default)]
pub(crate) struct Called(Arc<Mutex<BTreeSet<Peer>>>);

impl Called {
    pub(crate) fn note(&self, peer: Peer) {
        self.peers().insert(peer);
    }

    /// Forgets those of which `waits` knows nothing; returns the rest.
    pub(crate) fn among(&self, waits: impl Fn(&Peer) -> bool) -> BTreeSet<Peer> {
        let mut peers = self.peers();
        peers.retain(waits);
        peers.clone()
    }

    /// It is served now. Whether it had called.
    pub(crate) fn take(&self, peer: &Peer) -> bool {
        self.peers().remove(peer)
    }

    fn peers(&self) -> MutexGuard<'_, BTreeSet<Peer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The open associations in which storage commitment was accepted, by their number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<OpenLines>>);

/// By association: title and address of the peer, and where its reports go.
type OpenLines = HashMap<u64, (Peer, mpsc::Sender<Order>)>;

impl Lines {
    /// An association of `peer` stands, until the line is dropped.
    pub(crate) fn open(&self, association: u64, peer: Peer) -> Line {
        let (sender, orders) = mpsc::channel(WAITING);
        self.lines().insert(association, (peer, sender));
        Line { lines: self.clone(), association, orders }
    }

    /// The newest association that is open of the machine with this title at this address: others may have the same title.
    pub(crate) fn to(&self, title: &str, address: &str) -> Option<mpsc::Sender<Order>> {
        let lines = self.lines();
        let of_peer = lines.iter().filter(|(_, ((of, at), _))| of == title.trim() && at == address);
        of_peer.max_by_key(|(number, _)| **number).map(|(_, (_, sender))| sender.clone())
    }

    fn lines(&self) -> MutexGuard<'_, OpenLines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a line at the association.
#[derive(Debug)]
pub(crate) struct Line {
    lines: Lines,
    association: u64,
    orders: mpsc::Receiver<Order>,
}

impl Line {
    /// The next report to send. Cancel safe.
    pub(crate) async fn next(&mut self) -> Order {
        match self.orders.recv().await {
            Some(order) => order,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.lines.lines().remove(&self.association);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other machine would answer to a transaction that it never began, and the one that asked would hear nothing.
    #[test]
    fn a_report_goes_over_an_association_of_the_machine_that_asked() {
        let lines = Lines::default();
        let peer = |address: &str| ("CT1".to_owned(), address.to_owned());
        let (_first, mut second) = (lines.open(1, peer("192.0.2.1")), lines.open(2, peer("192.0.2.2")));
        assert!(lines.to("CT1", "192.0.2.3").is_none());
        let order = |event_type| {
            let (answer, _) = oneshot::channel();
            Order { event_type, implicit: Vec::new(), explicit: Vec::new(), answer }
        };
        assert!(lines.to("CT1", "192.0.2.1").unwrap().try_send(order(1)).is_ok());
        assert!(second.orders.try_recv().is_err(), "the newest one is that of another machine");
        assert!(lines.to("CT1 ", "192.0.2.2").unwrap().try_send(order(2)).is_ok());
        assert_eq!(second.orders.try_recv().unwrap().event_type, 2);
    }
}
