//! For the tests of the outbox: an outbox that can be stopped and started again, and an archive to send to.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use custody::event::Event;
use custody::level::Gate;
use custody::store::deliveries::{self, Delivery};
use custody::store::{Durability, Store, now_utc};
use hal::clock::Wall;
use node::settings::{Asking, Destination, ResultKind};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use study::outbox;
use tempfile::TempDir;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

use super::fixtures::{CT, IMPLICIT, PATIENCE, data_set, part10};
use super::pacs::{Do, Pacs};

/// The database, the files, and an outbox that can be stopped and started again.
pub struct Box_ {
    pub directory: TempDir,
    pub store: Store,
    pub rows: Connection,
    pub gate: Gate,
    pub wake: Arc<Notify>,
    pub events: broadcast::Sender<Event>,
    pub running: Option<(CancellationToken, JoinHandle<Result<(), outbox::Error>>)>,
    pub results: i64,
    pub retry_secs: f64,
    /// Whether queued results are simulated.
    pub simulated: bool,
    pub accepts_simulated: bool,
    /// Kinds of results that the destination takes.
    pub takes: Option<Vec<ResultKind>>,
    /// Kind of the results that are queued next.
    pub kind: &'static str,
    pub commitment: Asking,
    pub commitment_days: f64,
    pub wall: Wall,
}

impl Box_ {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("scanside.db")).unwrap();
        let rows = store.connect(Durability::Full).unwrap();
        rows.execute_batch(
            "INSERT INTO series (id, study_uid, series_uid, modality, kind, state, first_utc, last_utc) \
             VALUES (1, '1.2', '1.2.3', 'CT', 'volume', 'complete', '2026-01-01', '2026-01-01'); \
             INSERT INTO jobs (id, series_id, version, state, created_utc) VALUES (1, 1, 1, 'done', '2026-01-01');",
        )
        .unwrap();
        let (events, _) = broadcast::channel(1000);
        Self {
            directory,
            store,
            rows,
            gate: Gate::default(),
            wake: Arc::default(),
            events,
            running: None,
            results: 0,
            retry_secs: 0.02,
            simulated: false,
            accepts_simulated: false,
            takes: None,
            kind: "sr",
            commitment: Asking::Off,
            commitment_days: 2.0,
            wall: Wall::default(),
        }
    }

    /// Every delivery has its proof, status and time, after one attempt.
    pub fn all_delivered_at_once(&self) {
        for delivery in self.list() {
            assert_eq!((delivery.state.as_str(), delivery.status, delivery.attempts), ("delivered", Some(0), 1));
            assert!(delivery.delivered_utc.is_some());
        }
    }

    /// Makes `count` results and queues them for "pacs". Returns their UIDs.
    pub fn queue(&mut self, count: i64) -> Vec<String> {
        let mut uids = Vec::new();
        let mut ids = Vec::new();
        for _ in 0..count {
            self.results += 1;
            let (id, uid) = (self.results, format!("1.2.3.{}", self.results));
            let file = format!("{id}.dcm");
            self.rows
                .execute(
                    "INSERT INTO results (id, job_id, kind, sop_class, sop_uid, study_uid, series_uid, file, length, \
                     sha256, simulated) VALUES (?1, 1, ?6, ?2, ?3, '1.2', '1.2.9', ?4, 0, '', ?5)",
                    (id, CT, &uid, &file, self.simulated, self.kind),
                )
                .unwrap();
            self.made(&file, &object(&uid));
            ids.push(id);
            uids.push(uid);
        }
        let kinds = self.takes.as_ref().map(|kinds| kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>());
        let transaction = self.rows.transaction().unwrap();
        deliveries::enqueue(&transaction, &ids, "pacs", kinds.as_deref(), &now_utc()).unwrap();
        transaction.commit().unwrap();
        self.wake.notify_one();
        uids
    }

    /// Writes the file of a result, as the analysis does.
    pub fn made(&self, file: &str, bytes: &[u8]) {
        std::fs::write(self.directory.path().join(file), bytes).unwrap();
        let sha256 = hex::encode(Sha256::digest(bytes));
        self.rows.execute("UPDATE results SET sha256 = ?2 WHERE file = ?1", [file, &sha256]).unwrap();
    }

    pub fn start(&mut self, address: SocketAddr) {
        self.start_titled(address, "PACS");
    }

    /// To an archive with this AE title.
    pub fn start_titled(&mut self, address: SocketAddr, title: &str) {
        let destination = Destination { address: address.to_string(), ae_title: title.into(), ..self.destination() };
        self.start_to(destination);
    }

    /// Sends to an archive by STOW-RS; `change` may set a login.
    pub fn start_web(&mut self, url: &str, change: impl FnOnce(&mut Destination)) {
        let mut destination = Destination { url: Some(url.parse().unwrap()), ..self.destination() };
        change(&mut destination);
        self.start_to(destination);
    }

    /// Without a place.
    fn destination(&self) -> Destination {
        Destination {
            address: String::new(),
            ae_title: String::new(),
            calling_ae_title: "SCANSIDE".into(),
            retry_secs: self.retry_secs,
            retry_max_secs: 5.0 * self.retry_secs,
            accepts_simulated: self.accepts_simulated,
            rejection_notes: false,
            results: self.takes.clone(),
            commitment: self.commitment,
            commitment_days: self.commitment_days,
            tls: None,
            url: None,
            token_file: None,
            user: None,
            password_file: None,
        }
    }

    fn start_to(&mut self, destination: Destination) {
        let trigger = CancellationToken::new();
        let shutdown = trigger.clone();
        let run = outbox::run(
            self.wall.clone(),
            self.store.clone(),
            self.directory.path().to_owned(),
            BTreeMap::from([("pacs".to_owned(), destination)]),
            self.gate.clone(),
            self.wake.clone(),
            self.events.clone(),
            shutdown,
        );
        self.running = Some((trigger, tokio::spawn(run)));
    }

    pub async fn stop(&mut self) {
        let (trigger, task) = self.running.take().unwrap();
        trigger.cancel();
        tokio::time::timeout(PATIENCE, task).await.expect("it stops").unwrap().unwrap();
    }

    pub fn list(&self) -> Vec<Delivery> {
        let mut list = deliveries::list(&self.rows, None, 1000).unwrap();
        list.reverse();
        list
    }

    pub fn pending(&self) -> usize {
        self.list().iter().filter(|delivery| delivery.state == deliveries::PENDING).count()
    }

    /// Waits until `count` deliveries are pending.
    pub async fn until_pending(&self, count: usize) {
        let mut events = self.events.subscribe();
        let reached = async {
            while self.pending() != count {
                events.recv().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("deliveries go on");
    }

    /// Waits until the delivery with this place in the list is in this state.
    pub async fn until_is(&self, index: usize, state: &str) {
        let mut events = self.events.subscribe();
        let reached = async {
            while self.list()[index].state != state {
                events.recv().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("deliveries go on");
    }

    /// Waits until every delivery is in this state.
    pub async fn until_all_are(&self, state: &str) {
        let mut events = self.events.subscribe();
        let reached = async {
            while self.list().iter().any(|delivery| delivery.state != state) {
                events.recv().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("deliveries go on");
    }

    /// Waits for an event that `matches`.
    pub async fn until_told(&self, matches: impl Fn(&Event) -> bool) {
        let mut events = self.events.subscribe();
        let told = async { while !matches(&events.recv().await.unwrap()) {} };
        tokio::time::timeout(PATIENCE, told).await.expect("an event");
    }
}

pub fn object(uid: &str) -> Vec<u8> {
    part10(CT, uid, IMPLICIT, &data_set(uid, 5000))
}

pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub async fn pacs_at(address: SocketAddr) -> Pacs {
    Pacs::start_at(address, 0, |_| true, |_| Do::Answer(0)).await
}

/// What this thread logs, every field of every event.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<String>>);

impl Log {
    pub fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Fields(&mut self.0.lock().unwrap()));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        writeln!(self.0, "{field} {value:?}").unwrap();
    }
}
