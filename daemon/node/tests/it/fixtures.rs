//! `Node`: the listener on a free port, with its own spool. Data sets that are made in code.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use custody::instance::Instance;
use custody::level::Gate;
use custody::spool::Spool;
use custody::store::{Durability, Store, instances};
use dicom::file_meta;
use hal::clock::Wall;
use node::callers::Callers;
use node::expected::Source;
use node::reporter::Reporter;
use node::send::Target;
use node::services::{Archive, Services};
use node::settings::Dicom;
use node::tls::Counts;
use node::{Arrival, Intake, listener};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub const IMPLICIT: &str = "1.2.840.10008.1.2";
/// Long enough for a busy machine; tests end as soon as what they wait for happens.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Node {
    pub address: SocketAddr,
    /// Of the port for TLS.
    pub tls: Option<SocketAddr>,
    pub tls_faults: Arc<Counts>,
    pub spool: Spool,
    pub store: Store,
    pub gate: Gate,
    pub arrivals: mpsc::Receiver<Arrival>,
    pub callers: Callers,
    pub intake: Intake,
    pub served: JoinHandle<Result<(), listener::Error>>,
    pub trigger: CancellationToken,
    pub reports: JoinHandle<Result<(), std::convert::Infallible>>,
    pub directory: TempDir,
}

impl Node {
    pub async fn start(change: impl FnOnce(&mut Dicom)) -> Self {
        Self::start_with(Vec::new(), change).await
    }

    /// With these destinations, which may report storage commitment.
    pub async fn start_with(archives: Vec<Archive>, change: impl FnOnce(&mut Dicom)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::start_in(directory, archives, change).await
    }

    /// With the database of something else, which it wakes when an archive has reported.
    #[allow(dead_code, reason = "for the tests of the outbox")]
    pub async fn start_beside(
        store: &Store,
        wake: &Arc<tokio::sync::Notify>,
        archives: Vec<Archive>,
        change: impl FnOnce(&mut Dicom),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::start_on(directory, Services::new(store.clone(), archives, wake.clone()), change).await
    }

    /// Scanners may ask it who is expected.
    pub async fn start_expecting(list: Source) -> Self {
        Self::start_expecting_for(list, |_| {}).await
    }

    pub async fn start_expecting_for(list: Source, change: impl FnOnce(&mut Dicom)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("scanside.db")).unwrap();
        let services = Services::new(store, Vec::new(), Arc::default()).and_expected(Some(list));
        Self::start_on(directory, services, change).await
    }

    /// On the disk of a node that has ended.
    pub async fn start_in(directory: TempDir, archives: Vec<Archive>, change: impl FnOnce(&mut Dicom)) -> Self {
        let store = Store::open(&directory.path().join("scanside.db")).unwrap();
        Self::start_on(directory, Services::new(store, archives, Arc::default()), change).await
    }

    async fn start_on(directory: TempDir, services: Services, change: impl FnOnce(&mut Dicom)) -> Self {
        let mut settings = Dicom { listen: (Ipv4Addr::LOCALHOST, 0).into(), ..Default::default() };
        change(&mut settings);
        let spool_settings = custody::settings::Spool {
            directory: directory.path().to_owned(),
            min_free_mib: 16,
            evict_below_mib: 0,
            keep_days: 0,
            segment_mib: 32,
            ready_segments: 2,
            check_mib_per_second: 0,
        };
        let store = services.store.clone();
        let (spool, _) = Spool::open(&spool_settings, &store).unwrap();
        let gate = Gate::default();
        let (sender, arrivals) = mpsc::channel(10_000);
        let trigger = CancellationToken::new();
        let shutdown = trigger.clone();
        let socket = listener::bind(&settings).await.unwrap();
        let address = socket.local_addr().unwrap();
        let (tls, tls_faults) = (socket.tls_addr(), socket.tls_faults());
        let settings = Arc::new(settings);
        let reporter = Reporter {
            services: services.clone(),
            spool: spool.clone(),
            settings: settings.clone(),
            wall: Wall::default(),
        };
        let reports = tokio::spawn(reporter.run(trigger.clone()));
        let callers = Callers::default();
        let intake = Intake {
            spool: spool.clone(),
            settings,
            gate: gate.clone(),
            arrivals: sender,
            services,
            callers: callers.clone(),
            identities: Default::default(),
        };
        let served = tokio::spawn(listener::run(socket, intake.clone(), shutdown));
        Self {
            address,
            tls,
            tls_faults,
            spool,
            store,
            gate,
            arrivals,
            callers,
            intake,
            served,
            trigger,
            reports,
            directory,
        }
    }

    /// Ends it; the disk stays.
    pub async fn stop(self) -> TempDir {
        self.trigger.cancel();
        let _ = (self.served.await, self.reports.await);
        self.directory
    }

    pub fn target(&self) -> Target {
        Target { address: self.address.to_string(), called_ae: "SCANSIDE".into(), calling_ae: "CT1".into(), tls: None }
    }

    pub async fn arrival(&mut self) -> Arrival {
        tokio::time::timeout(PATIENCE, self.arrivals.recv()).await.expect("an arrival").expect("the node runs")
    }

    /// The data sets in custody under a SOP Instance UID, oldest first: kept, conflicting and quarantined ones.
    pub fn in_custody(&self, sop_uid: &str) -> Vec<Vec<u8>> {
        let rows = self.store.connect(Durability::Rebuildable).unwrap();
        let known = instances::by_sop_uid(&rows, sop_uid).unwrap();
        let here = known.iter().filter_map(|known| instances::get(&rows, known.id).unwrap());
        here.map(|instance| self.data_set(&instance)).collect()
    }

    /// Waits for the end of an association. Returns the instances that were kept until then.
    pub async fn until_released(&mut self) -> (Vec<Arc<Instance>>, bool) {
        let mut kept = Vec::new();
        loop {
            match self.arrival().await {
                Arrival::Kept(instance) => kept.push(instance),
                Arrival::InFlight { .. } | Arrival::Performed { .. } => {}
                Arrival::Released { clean, .. } => return (kept, clean),
            }
        }
    }

    /// The data set of an instance in custody, unchanged.
    pub fn data_set(&self, instance: &Instance) -> Vec<u8> {
        data_set_of(self.spool.read(&instance.location).unwrap())
    }
}

pub fn data_set_of(part10: Vec<u8>) -> Vec<u8> {
    let meta = file_meta::read(&mut part10.as_slice()).unwrap();
    part10[usize::try_from(meta.data_set_offset).unwrap()..].to_vec()
}

/// One element, implicit VR little endian, padded to an even length.
pub fn element(out: &mut Vec<u8>, group: u16, number: u16, value: &[u8]) {
    let padded = value.len() + value.len() % 2;
    out.extend(group.to_le_bytes());
    out.extend(number.to_le_bytes());
    out.extend(u32::try_from(padded).unwrap().to_le_bytes());
    out.extend(value);
    out.resize(out.len() + padded - value.len(), 0);
}

/// Everything before the pixel data's value, implicit VR little endian.
pub fn data_set_head(instance: &str, pixel_bytes: u32) -> Vec<u8> {
    let mut out = Vec::new();
    element(&mut out, 0x0008, 0x0016, CT.as_bytes());
    element(&mut out, 0x0008, 0x0018, instance.as_bytes());
    element(&mut out, 0x0008, 0x0060, b"CT");
    element(&mut out, 0x0020, 0x000d, b"1.2.3.4");
    element(&mut out, 0x0020, 0x000e, b"1.2.3.4.5");
    out.extend([0xe0, 0x7f, 0x10, 0x00]);
    out.extend(pixel_bytes.to_le_bytes());
    out
}

pub fn data_set(instance: &str, pixel_bytes: usize) -> Vec<u8> {
    let mut out = data_set_head(instance, u32::try_from(pixel_bytes).unwrap());
    out.extend((0..pixel_bytes).map(|index| (index % 251) as u8));
    out
}

/// As [`data_set`], explicit VR little endian: the pixels are OW.
pub fn data_set_explicit(instance: &str, pixel_bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let values = [(0x0008, 0x0016, b"UI", CT), (0x0008, 0x0018, b"UI", instance), (0x0008, 0x0060, b"CS", "CT")];
    let values = values.into_iter().chain([(0x0020, 0x000d, b"UI", "1.2.3.4"), (0x0020, 0x000e, b"UI", "1.2.3.4.5")]);
    for (group, number, vr, value) in values {
        let mut implicit = Vec::new();
        element(&mut implicit, group, number, value.as_bytes());
        out.extend(&implicit[..4]);
        out.extend(vr);
        out.extend(u16::try_from(implicit.len() - 8).unwrap().to_le_bytes());
        out.extend(&implicit[8..]);
    }
    out.extend(b"\xe0\x7f\x10\0OW\0\0");
    out.extend(u32::try_from(pixel_bytes).unwrap().to_le_bytes());
    out.extend((0..pixel_bytes).map(|index| (index % 251) as u8));
    out
}

/// A Part 10 file around `data_set`.
pub fn part10(class: &str, instance: &str, syntax: &str, data_set: &[u8]) -> Vec<u8> {
    let mut meta = Vec::new();
    for (number, uid) in [(0x02u16, class), (0x03, instance), (0x10, syntax)] {
        let padded = uid.len() + uid.len() % 2;
        meta.extend([2, 0]);
        meta.extend(number.to_le_bytes());
        meta.extend(b"UI");
        meta.extend(u16::try_from(padded).unwrap().to_le_bytes());
        meta.extend(uid.as_bytes());
        meta.resize(meta.len() + padded - uid.len(), 0);
    }
    let mut out = vec![0; 128];
    out.extend(b"DICM\x02\0\0\0UL\x04\0");
    out.extend(u32::try_from(meta.len()).unwrap().to_le_bytes());
    out.extend(meta);
    out.extend(data_set);
    out
}

/// `../shared` next to the workspace, or `SCANSIDE_SHARED`; reports a skipped test when it is absent.
pub fn shared_data() -> Option<PathBuf> {
    let shared = std::env::var_os("SCANSIDE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let data = shared.join("data");
    if !data.is_dir() {
        needs::skip(needs::Lack::SharedData, "../shared/data not present");
        return None;
    }
    Some(data)
}

pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}
