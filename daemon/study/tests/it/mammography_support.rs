//! `Unit`: the listener, the study story and the worker on one folder, which can be killed and started again. Mammograms made
//! in code: headers, and a pixel.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use custody::level::Gate;
use custody::spool::Spool;
use custody::store::jobs::{self, JobRow};
use custody::store::results::{self, ResultRow};
use custody::store::series::{self, SeriesRow};
use custody::store::{Durability, Store};
use dicom_ul::pdu::{PDataValueType, Pdu, PresentationContextProposed};
use node::settings::{Asking, Destination, Dicom};
use node::{Intake, listener};
use rusqlite::Connection;
use study::analyze::worker;
use study::interrupted;
use study::model::Shelf;
use study::parts::StudyParts;
use study::reject;
use study::settings::{Analyze, Series, Settings, Study};
use study::volume::ahead::{DecodeAhead, Limits};
use tempfile::TempDir;
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::fixtures::{IMPLICIT, PATIENCE, element};
use super::peer::{Peer, command, request};

pub const FOR_PRESENTATION: &str = "1.2.840.10008.5.1.4.1.1.1.2";
pub const FOR_PROCESSING: &str = "1.2.840.10008.5.1.4.1.1.1.2.1";
pub const STUDY: &str = "1.2.3.4";
/// Longer than any test: a study that is not closed by its views stays open.
pub const NEVER: f64 = 3600.0;

/// One mammogram.
#[derive(Debug, Clone)]
pub struct Mammogram {
    pub class: &'static str,
    pub series: String,
    pub instance: String,
    pub laterality: &'static str,
    pub view: &'static str,
    /// Its header says that it is a part of the view.
    pub part: bool,
    pub patient: Who,
}

/// Patient ID, name, birth date.
pub type Who = [&'static str; 3];
pub const EVA: Who = ["P7", "PHANTOM^EVA", ""];
/// Without pixels: such a series is refused, and that is reported.
pub const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

pub fn mammogram(number: u32, series: u32, laterality: &'static str, view: &'static str) -> Mammogram {
    Mammogram {
        class: FOR_PRESENTATION,
        series: format!("{STUDY}.{series}"),
        instance: format!("{STUDY}.9.{number}"),
        laterality,
        view,
        part: false,
        patient: EVA,
    }
}

/// The standard views, each in a series of its own, or all in series 1.
pub fn four(one_series: bool) -> Vec<Mammogram> {
    let views = [("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO")];
    let of = |(number, (laterality, view))| mammogram(number, if one_series { 1 } else { number }, laterality, view);
    (1..).zip(views).map(of).collect()
}

impl Mammogram {
    /// Implicit VR little endian. The right views say which they are by code, the left ones by View Position.
    fn data_set(&self) -> Vec<u8> {
        let mut out = Vec::new();
        element(&mut out, 0x0008, 0x0016, self.class.as_bytes());
        element(&mut out, 0x0008, 0x0018, self.instance.as_bytes());
        element(&mut out, 0x0008, 0x0060, b"MG");
        let [id, name, born] = self.patient;
        element(&mut out, 0x0010, 0x0010, name.as_bytes());
        element(&mut out, 0x0010, 0x0020, id.as_bytes());
        element(&mut out, 0x0010, 0x0030, born.as_bytes());
        if self.laterality == "L" {
            element(&mut out, 0x0018, 0x5101, self.view.as_bytes());
        }
        element(&mut out, 0x0020, 0x000d, STUDY.as_bytes());
        element(&mut out, 0x0020, 0x000e, self.series.as_bytes());
        element(&mut out, 0x0020, 0x0062, self.laterality.as_bytes());
        if self.part {
            element(&mut out, 0x0028, 0x1350, b"YES");
        }
        if self.laterality == "R" {
            let mut item = Vec::new();
            let code: &[u8] = if self.view == "CC" { b"399162004" } else { b"399368009" };
            element(&mut item, 0x0008, 0x0100, code);
            element(&mut item, 0x0008, 0x0102, b"SCT");
            let mut sequence = Vec::new();
            element(&mut sequence, 0xfffe, 0xe000, &item);
            element(&mut out, 0x0054, 0x0220, &sequence);
        }
        element(&mut out, 0x7fe0, 0x0010, &[7, 0]);
        out
    }
}

struct Running {
    address: SocketAddr,
    trigger: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    parts: StudyParts,
}

pub struct Unit {
    directory: TempDir,
    pub settings: Settings,
    /// Without it jobs stay in the queue.
    pub works: bool,
    running: Option<Running>,
}

impl Unit {
    /// `quiet_secs`: of the study.
    pub fn new(quiet_secs: f64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let destination = Destination {
            address: "127.0.0.1:9".into(),
            ae_title: "PACS".into(),
            calling_ae_title: "SCANSIDE".into(),
            retry_secs: 1.0,
            retry_max_secs: 1.0,
            accepts_simulated: false,
            results: None,
            rejection_notes: false,
            commitment: Asking::Off,
            commitment_days: 2.0,
            tls: None,
            url: None,
            token_file: None,
            user: None,
            password_file: None,
        };
        let settings = Settings {
            spool: spool(directory.path()),
            series: Series { quiet_secs: 0.5, release_grace_secs: 0.02, decode_ahead_mib: 16 },
            study: Study { quiet_secs },
            analyze: Analyze { mammography_views: true, ..Analyze::default() },
            destination: [("pacs".to_owned(), destination)].into(),
            ..Settings::default()
        };
        Self { directory, settings, works: true, running: None }
    }

    pub async fn start(&mut self) {
        let settings = Arc::new(self.settings.clone());
        let store = Store::open(&self.directory.path().join("scanside.db")).unwrap();
        let spool = open(&settings.spool, &store).await;
        let dicom = Dicom { listen: (Ipv4Addr::LOCALHOST, 0).into(), ..Dicom::default() };
        let socket = listener::bind(&dicom).await.unwrap();
        let address = socket.local_addr().unwrap();
        let (sender, arrivals) = mpsc::channel(1000);
        let services = node::services::Services::new(store.clone(), [], Arc::default());
        let intake = Intake {
            spool: spool.clone(),
            settings: Arc::new(dicom),
            gate: Gate::default(),
            arrivals: sender,
            services,
            callers: Default::default(),
            identities: Default::default(),
        };
        let (events, _) = broadcast::channel(1000);
        let parts = StudyParts {
            ahead: DecodeAhead::new(spool.clone(), Limits::of_mib(16, 64), false).unwrap(),
            shelf: Shelf::view(&settings),
            settings,
            store,
            spool,
            events,
            wake: Arc::new(Notify::new()),
            outbox_wake: Arc::new(Notify::new()),
            steps_bell: Arc::new(Notify::new()),
            priors_bell: Arc::new(Notify::new()),
            precedence: hal::urgency::Precedence::default(),
            own_studies: hal::urgency::Precedence::default(),
        };
        // As the daemon does before anybody works.
        interrupted::recover(&parts).unwrap();
        let trigger = CancellationToken::new();
        let stop = || trigger.clone();
        let mut tasks = vec![
            tokio::spawn(unless_failed(listener::run(socket, intake, stop()))),
            tokio::spawn(unless_failed(story(parts.clone(), arrivals, stop()))),
        ];
        tasks.push(tokio::spawn(unless_failed(reject::run(parts.clone(), stop()))));
        if self.works {
            tasks.push(tokio::spawn(unless_failed(worker::run(parts.clone(), stop()))));
        }
        self.running = Some(Running { address, trigger, tasks, parts });
    }

    /// Tells the story once more from the rows, as after an error of the database.
    pub async fn tell_again(&self) {
        let parts = self.running.as_ref().unwrap().parts.clone();
        let (nobody, mut arrivals) = mpsc::channel(1);
        drop(nobody);
        study::run(parts, &mut arrivals, CancellationToken::new()).await.unwrap();
    }

    /// Like a kill: the tasks are dropped where they stand.
    pub async fn kill(&mut self) {
        let running = self.running.take().unwrap();
        for task in &running.tasks {
            task.abort();
        }
        for task in running.tasks {
            let _ = task.await;
        }
        running.trigger.cancel();
    }

    /// On one association, as a scanner sends a study.
    pub async fn send(&self, images: &[Mammogram]) {
        let mut peer = Peer::connect(self.running.as_ref().unwrap().address).await;
        let mut proposed = request("SCANSIDE", "MG1");
        proposed.presentation_contexts = [(1, FOR_PRESENTATION), (3, FOR_PROCESSING), (5, CT)]
            .map(|(id, uid)| PresentationContextProposed {
                id,
                abstract_syntax: uid.into(),
                transfer_syntaxes: vec![IMPLICIT.into()],
            })
            .to_vec();
        peer.send(&Pdu::AssociationRQ(proposed)).await;
        assert!(matches!(peer.read().await, Some(Pdu::AssociationAC(_))));
        for (message, image) in (1u16..).zip(images) {
            let context = match image.class {
                FOR_PRESENTATION => 1,
                FOR_PROCESSING => 3,
                _ => 5,
            };
            peer.send_pdv(context, PDataValueType::Command, true, &store_command(message, image)).await;
            peer.send_pdv(context, PDataValueType::Data, true, &image.data_set()).await;
            assert_eq!(peer.status(message).await, 0);
        }
        peer.release().await;
    }

    pub fn rows(&self) -> Connection {
        Store::open(&self.directory.path().join("scanside.db")).unwrap().connect(Durability::Full).unwrap()
    }

    pub fn series(&self) -> Vec<SeriesRow> {
        series::of_study(&self.rows(), STUDY).unwrap()
    }

    pub fn jobs(&self) -> Vec<JobRow> {
        let rows = self.rows();
        (1..20).filter_map(|id| jobs::get(&rows, id).unwrap()).collect()
    }

    pub fn results(&self, job: i64) -> Vec<ResultRow> {
        results::of_job(&self.rows(), job).unwrap()
    }

    /// The bytes of a result.
    pub fn object(&self, result: &ResultRow) -> Vec<u8> {
        std::fs::read(self.directory.path().join(&result.file)).unwrap()
    }

    /// Waits until so many jobs are done and no other one is open.
    pub async fn until_done(&self, count: usize) -> Vec<JobRow> {
        until("the jobs to be done", || {
            let jobs = self.jobs();
            let open = jobs.iter().any(|job| matches!(job.state.as_str(), "queued" | "running"));
            !open && jobs.iter().filter(|job| job.state == "done").count() == count
        })
        .await;
        self.jobs()
    }

    /// Waits until so many series are there and none is being received.
    pub async fn until_complete(&self, count: usize) {
        use custody::series::SeriesState::Receiving;
        until("the series to be complete", || {
            let rows = self.series();
            rows.len() == count && rows.iter().all(|row| row.state != Receiving)
        })
        .await;
    }

    /// The verdict that all series of the study have.
    pub fn verdict(&self) -> String {
        let mut verdicts: Vec<String> = self.series().into_iter().map(|row| row.verdict.unwrap_or_default()).collect();
        verdicts.dedup();
        assert_eq!(verdicts.len(), 1, "{verdicts:?}");
        verdicts.remove(0)
    }
}

/// The spool of the killed one is let go when its last thread ends.
async fn open(settings: &custody::settings::Spool, store: &Store) -> Spool {
    let end = Instant::now() + PATIENCE;
    loop {
        match Spool::open(settings, store) {
            Ok((spool, _)) => return spool,
            Err(custody::spool::Error::InUse { .. }) if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn unless_failed<E: std::fmt::Debug>(task: impl Future<Output = Result<(), E>>) {
    task.await.unwrap();
}

fn spool(directory: &Path) -> custody::settings::Spool {
    custody::settings::Spool {
        directory: directory.to_owned(),
        min_free_mib: 16,
        evict_below_mib: 0,
        keep_days: 0,
        segment_mib: 32,
        ready_segments: 2,
        check_mib_per_second: 0,
    }
}

fn store_command(message: u16, image: &Mammogram) -> Vec<u8> {
    let even = |uid: &str| {
        let mut bytes = uid.as_bytes().to_vec();
        bytes.resize(uid.len() + uid.len() % 2, 0);
        bytes
    };
    command(&[
        (0x0002, &even(image.class)),
        (0x0100, &[1, 0]),
        (0x0110, &message.to_le_bytes()),
        (0x0700, &[0, 0]),
        (0x0800, &[0, 0]),
        (0x1000, &even(&image.instance)),
    ])
}

pub async fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn story(
    parts: StudyParts,
    mut arrivals: mpsc::Receiver<node::Arrival>,
    stop: CancellationToken,
) -> Result<(), custody::store::Error> {
    study::run(parts, &mut arrivals, stop).await
}
