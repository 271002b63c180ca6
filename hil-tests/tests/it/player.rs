//! A simulated live path: a sector of speckle with two moving lesions, 30 pictures a second, and the real server of the
//! page.

use std::collections::BTreeMap;
use std::f32::consts::TAU;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use config::settings::Console;
use hal::capture::frame::Shape;
use hal::capture::{Colour, Frame, PixelFormat};
use live::identity;
use live::view::{
    self, Command, Exam, ExamError, Guidance, Latency, Overlay, Picture, ProbeOrder, Recording, RecordingState, Sign,
    Stage, Stats, Status, View,
};
use live::worklist::Worklist;
use models::task::us_breast::lesion::Lesion;
use models::task::us_breast::scan::probe::Probe;
use scansided::console::Server;
use scansided::health::heat;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
const PERIOD: Duration = Duration::from_nanos(33_366_667);
/// The time that a model would need.
const LATE_MS: f64 = 22.0;

#[derive(Debug, Default)]
struct Switches {
    /// No pictures.
    dark: AtomicBool,
    /// Pictures without new overlays.
    blind: AtomicBool,
}

#[derive(Debug)]
pub struct Player {
    address: SocketAddr,
    status: watch::Sender<Arc<Status>>,
    pub guide: watch::Sender<Arc<Guidance>>,
    recording: watch::Sender<Arc<Recording>>,
    pub heat: watch::Sender<heat::Report>,
    switches: Arc<Switches>,
    trigger: CancellationToken,
    server: JoinHandle<()>,
    playing: [JoinHandle<()>; 2],
}

impl Player {
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same on a box with a worklist.
    pub async fn expecting(worklist: Worklist) -> Self {
        Self::with(SocketAddr::from(([127, 0, 0, 1], 0)), worklist).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        Self::with(address, Worklist::default()).await
    }

    async fn with(address: SocketAddr, worklist: Worklist) -> Self {
        let settings = Console { address: address.to_string(), ..Console::default() };
        let server = Server::bind(&settings).await.unwrap();
        let address = server.address();
        let trigger = CancellationToken::new();
        let shutdown = trigger.clone();
        let (stage, view) = view::channel();
        let view = View { worklist, ..view };
        let Stage { guide, pictures, taken: _, overlay, status, stats, recording, commands } = stage;
        status.send_replace(Arc::new(Status {
            sign: Sign::Ready,
            source: "synthetic".into(),
            profile: "linear 1280x720".into(),
            model: "us-breast 0.1.0".into(),
            mark: Some("not for diagnosis".into()),
            simulated: true,
            size: [WIDTH, HEIGHT],
            ..Status::default()
        }));
        let switches = Arc::new(Switches::default());
        let playing = [
            tokio::spawn(play(pictures, overlay, stats, switches.clone())),
            tokio::spawn(obey(commands, status.clone(), switches.clone())),
        ];
        let (heat, told) = heat::channel();
        let server = tokio::spawn(server.with_heat(told).serve(Some(view), shutdown));
        Self { address, status, guide, recording, heat, switches, trigger, server, playing }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Sets the sign, and whether pictures come.
    pub fn sign(&self, sign: Sign, pictures: bool) {
        let blind = sign != Sign::Ready;
        self.switches.dark.store(!pictures, Ordering::Relaxed);
        self.switches.blind.store(blind, Ordering::Relaxed);
        self.status.send_modify(|status| Arc::make_mut(status).sign = sign);
    }

    /// The recorder says that it records.
    pub fn record(&self) {
        self.recording.send_replace(Arc::new(Recording { state: RecordingState::On, ..Recording::default() }));
    }

    /// An exam begins automatically.
    pub fn begin_for_nobody(&self) {
        let started_utc = "2026-01-31T09:30:00Z".to_owned();
        let patient = identity::nobody(&started_utc);
        let exam = Exam {
            number: 0,
            study_uid: "2.25.1".into(),
            patient,
            started_utc,
            marks: 0,
            side: None,
            probe: None,
            places: BTreeMap::new(),
            by_probe: std::collections::BTreeSet::new(),
            request: None,
        };
        self.status.send_modify(|status| Arc::make_mut(status).exam = Some(exam));
    }

    pub fn exam(&self) -> Option<Exam> {
        self.status.borrow().exam.clone()
    }

    pub fn hold_overlay(&self, hold: bool) {
        self.switches.blind.store(hold, Ordering::Relaxed);
    }

    /// Stops the server and returns its address, which is free then.
    pub async fn stop(self) -> SocketAddr {
        self.trigger.cancel();
        self.server.await.unwrap();
        self.playing.iter().for_each(JoinHandle::abort);
        self.address
    }
}

async fn play(
    pictures: watch::Sender<Option<Arc<Picture>>>,
    overlay: watch::Sender<Arc<Overlay>>,
    stats: watch::Sender<Arc<Stats>>,
    switches: Arc<Switches>,
) {
    let tissue = Arc::new(tissue());
    let mut tick = tokio::time::interval(PERIOD);
    let begun = tokio::time::Instant::now();
    for sequence in 0.. {
        tick.tick().await;
        let captured = begun.elapsed();
        let lesions = lesions(sequence);
        if !switches.dark.load(Ordering::Relaxed) {
            let frame = frame(&tissue, &lesions, sequence, captured);
            pictures.send_replace(Some(Arc::new(Picture { sequence, captured, exam: 0, frame })));
        }
        if !switches.dark.load(Ordering::Relaxed) && !switches.blind.load(Ordering::Relaxed) {
            overlay.send_replace(Arc::new(Overlay {
                sequence,
                age_ms: LATE_MS,
                mm_per_pixel: None,
                side: None,
                lesions,
            }));
        }
        if sequence % 15 == 0 {
            stats.send_replace(Arc::new(figures(sequence)));
        }
    }
}

fn figures(pictures: u64) -> Stats {
    let stage = |name: &str, p50: f64| {
        let latency = Latency { count: pictures, p50, p99: p50 * 1.3, p999: p50 * 1.5, max: p50 * 1.8 };
        (name.to_owned(), latency)
    };
    let stages = [("present", 1.1), ("roi", 0.4), ("infer", 17.9), ("track", 0.2), ("overlay", LATE_MS)];
    Stats {
        pictures,
        lost: 0,
        inferred: pictures,
        stages: stages.map(|(name, p50)| stage(name, p50)).into(),
        ..Stats::default()
    }
}

async fn obey(mut commands: mpsc::Receiver<Command>, status: watch::Sender<Arc<Status>>, switches: Arc<Switches>) {
    let change = |how: &dyn Fn(&mut Status)| status.send_modify(|status| how(Arc::make_mut(status)));
    while let Some(command) = commands.recv().await {
        let (reply, answer) = match command {
            Command::StartExam(order, reply) => {
                let (patient, study_uid) = (order.patient, order.study_uid.unwrap_or_else(|| "2.25.1".into()));
                let started_utc = "2026-01-31T09:30:00Z".to_owned();
                let exam = Exam {
                    number: 0,
                    study_uid,
                    patient,
                    started_utc,
                    marks: 0,
                    side: None,
                    probe: None,
                    places: BTreeMap::new(),
                    by_probe: std::collections::BTreeSet::new(),
                    request: None,
                };
                change(&|status| status.exam = Some(exam.clone()));
                (reply, Ok("Exam begun.".to_owned()))
            }
            Command::StopExam(reply) => {
                change(&|status| status.exam = None);
                (reply, Ok("Exam ended.".to_owned()))
            }
            Command::Freeze(on, _, reply) => {
                switches.dark.store(on, Ordering::Relaxed);
                let sign = if on { Sign::Paused { reason: "frozen here".into() } } else { Sign::Ready };
                change(&|status| status.sign = sign.clone());
                (reply, Ok(if on { "Frozen." } else { "Goes on." }.to_owned()))
            }
            Command::Mark(reply) if status.borrow().exam.is_none() => (reply, Err(ExamError::NoExam.into())),
            Command::Mark(reply) => {
                change(&|status| status.exam.iter_mut().for_each(|exam| exam.marks += 1));
                (reply, Ok("Moment kept.".to_owned()))
            }
            Command::Side(side, reply) => {
                change(&|status| status.exam.iter_mut().for_each(|exam| exam.side = side));
                (reply, Ok("Side noted.".to_owned()))
            }
            Command::Probe(order, _, reply) => {
                change(&|status| {
                    if let Some(exam) = &mut status.exam {
                        match order {
                            ProbeOrder::Step(step) => exam.probe = Some(Probe::stepped(exam.probe, step)),
                            ProbeOrder::Unsaid => exam.probe = None,
                            ProbeOrder::At { side, spot, plane } => {
                                exam.side = side.or(exam.side);
                                exam.probe = spot.map(|spot| Probe { spot, plane });
                            }
                        }
                    }
                });
                (reply, Ok("Probe noted.".to_owned()))
            }
            Command::Place(lesion, place, _, reply) => {
                change(&|status| status.exam.iter_mut().for_each(|exam| exam.places.extend([(lesion, place.clone())])));
                (reply, Ok("Lesion placed.".to_owned()))
            }
        };
        let _ = reply.send(answer);
    }
}

/// Speckle twice as wide as the picture, so that the picture can move over it.
fn tissue() -> Vec<u8> {
    let mut noise = 7u32;
    let mut row_of = |y: usize| {
        let layer = 70 + 40 * usize::from((y / 90).is_multiple_of(2)) - y / 16;
        (0..WIDTH * 2)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                u8::try_from(layer + (noise >> 26) as usize).unwrap_or(u8::MAX)
            })
            .collect::<Vec<_>>()
    };
    (0..HEIGHT).flat_map(&mut row_of).collect()
}

fn lesions(sequence: u64) -> Vec<Lesion> {
    let phase = (sequence as f32 / 90.0) * TAU;
    let lesion = |id, centre: [f32; 2], radius: [f32; 2], rough: f32, malignant, words: &[&str]| {
        let outline: Vec<[f32; 2]> = (0u8..48)
            .map(|step| {
                let angle = f32::from(step) / 48.0 * TAU;
                let bump = 1.0 + rough * (angle * 7.0).sin();
                [centre[0] + radius[0] * bump * angle.cos(), centre[1] + radius[1] * bump * angle.sin()]
            })
            .collect();
        let reach = 1.0 + rough;
        let (x, y) = (radius[0] * reach, radius[1] * reach);
        Lesion {
            id,
            bounds: [centre[0] - x, centre[1] - y, centre[0] + x, centre[1] + y],
            outline,
            confidence: 0.94,
            malignant,
            descriptors: words.iter().map(|word| (*word).to_owned()).collect(),
            size_mm: Some([radius[0] * 0.158, radius[1] * 0.2]),
        }
    };
    let sway = 25.0 * phase.sin();
    let oval = ["oval", "parallel", "circumscribed", "anechoic", "enhancement"];
    let rough = ["irregular", "not parallel", "spiculated", "hypoechoic", "shadowing"];
    vec![
        lesion(1, [500.0 + sway, 300.0], [90.0, 45.0], 0.0, 0.12, &oval),
        lesion(2, [800.0 + sway, 390.0], [55.0, 70.0], 0.14, 0.86, &rough),
    ]
}

/// A sector on black; lesions are dark.
fn frame(tissue: &[u8], lesions: &[Lesion], sequence: u64, captured: Duration) -> Frame {
    let slide = usize::try_from(sequence).unwrap_or(0) % WIDTH;
    let mut bytes = vec![0u8; WIDTH * HEIGHT];
    for (y, row) in bytes.chunks_exact_mut(WIDTH).enumerate().skip(60).take(600) {
        let half = 170 + y / 2;
        let (left, right) = (WIDTH / 2 - half, WIDTH / 2 + half);
        let from = y * WIDTH * 2 + slide;
        row[left..right].copy_from_slice(&tissue[from + left..from + right]);
        for lesion in lesions {
            let [x0, y0, x1, y1] = lesion.bounds;
            let across = (y as f32 - (y0 + y1) / 2.0) / ((y1 - y0) / 2.0);
            if across.abs() < 1.0 {
                let reach = (1.0 - across * across).sqrt() * (x1 - x0) / 2.0;
                let middle = (x0 + x1) / 2.0;
                row[(middle - reach) as usize..(middle + reach) as usize].iter_mut().for_each(|pixel| *pixel /= 5);
            }
        }
    }
    let shape = Shape::tight(PixelFormat::Grey, WIDTH as u32, HEIGHT as u32, Colour::default());
    Frame::new(shape, sequence, captured, Arc::new(bytes))
}
