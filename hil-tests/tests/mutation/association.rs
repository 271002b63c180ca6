//! One peer at the DICOM node, without a network: what it sends, from the first byte to the last.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use custody::level::Gate;
use custody::spool::Spool;
use custody::store::Store;
use node::callers::Callers;
use node::services::Services;
use node::settings::Dicom;
use node::{Arrival, Intake};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::others::folder;

/// Conversations after which the node begins with an empty disk.
const RENEW_AFTER: u32 = 5000;

pub fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
    &RUNTIME
}

struct Node {
    intake: Intake,
    arrivals: mpsc::Receiver<Arrival>,
    _disk: TempDir,
}

impl Node {
    fn start() -> Self {
        let disk = folder();
        let settings = custody::settings::Spool {
            directory: disk.path().to_owned(),
            min_free_mib: 0,
            evict_below_mib: 0,
            segment_mib: 32,
            ready_segments: 1,
            check_mib_per_second: 0,
            ..custody::settings::Spool::default()
        };
        let store = Store::open(&disk.path().join("scanside.db")).unwrap();
        let (spool, _) = Spool::open(&settings, &store).unwrap();
        let (sender, arrivals) = mpsc::channel(10_000);
        let intake = Intake {
            spool,
            settings: Arc::new(Dicom::default()),
            gate: Gate::default(),
            arrivals: sender,
            services: Services::new(store, [], Arc::default()),
            callers: Callers::default(),
            identities: node::identity::Judge::default(),
        };
        Self { intake, arrivals, _disk: disk }
    }
}

/// A whole conversation with a node that has its disk, its database and the services of DIMSE-N.
pub fn talk(bytes: &[u8]) {
    static NODE: Mutex<Option<Node>> = Mutex::new(None);
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut node = NODE.lock().unwrap_or_else(PoisonError::into_inner);
    runtime().block_on(async {
        if COUNT.fetch_add(1, Ordering::Relaxed).is_multiple_of(RENEW_AFTER) {
            *node = None;
        }
        let node = node.get_or_insert_with(Node::start);
        node::doors::connection(bytes, &node.intake).await;
        while node.arrivals.try_recv().is_ok() {}
    });
}
