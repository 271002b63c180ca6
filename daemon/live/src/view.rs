//! What the live path shows: the types between it and its readers (web page, D-Bus, recorder, tests). Every channel
//! keeps only the latest value.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dicom::patient::Patient;
use dicom::request::Request;
use dicom::uid;
use hal::capture::Frame;
use models::findings::Side;
use models::identity::ModelIdentity;
use models::lesion::book::Wrong;
use models::lesion::sighting::Place;
use models::task::us_breast::lesion::Lesion;
use models::task::us_breast::scan::coverage::{Coverage, Looked, State};
use models::task::us_breast::scan::probe::{Plane, Probe, Spot, Step};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::guidance::{ESTIMATE, Item, Words};
use crate::identity::PatientError;
use crate::name::Agreement;
use crate::worklist::{Order, Worklist};

/// A captured picture as it is shown. Nothing is drawn into it.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Rises by one with each picture of the device; a gap means lost pictures.
    pub sequence: u64,
    /// Time of capture by the driver's monotonic clock.
    pub captured: Duration,
    /// Number of the exam in which it came ([`Exam::number`]), or of the time between two.
    pub exam: u64,
    pub frame: Frame,
}

impl Picture {
    /// Width and height, pixels.
    pub fn size(&self) -> [usize; 2] {
        [self.frame.shape.width as usize, self.frame.shape.height as usize]
    }
}

/// What was found in one picture. Coordinates are pixels of the screen, x to the right, y down.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Overlay {
    /// Number of the picture that it was made from.
    pub sequence: u64,
    /// From the capture of that picture to this overlay, ms.
    pub age_ms: f64,
    /// Millimetres of tissue per pixel, where the scale is known.
    pub mm_per_pixel: Option<f32>,
    /// The breast that was scanned then, as it was said.
    #[serde(skip)]
    pub side: Option<Side>,
    pub lesions: Vec<Lesion>,
}

/// The state of the live path as the page shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Sign {
    /// No capture device is configured.
    #[default]
    Off,
    /// Pictures and overlay.
    Ready,
    /// A user froze the page, or the scanner's picture is frozen: there is no new overlay.
    Paused {
        reason: String,
    },
    /// Pictures without overlay: the model is missing, slow, has crashed or answered nonsense.
    NoOverlay {
        reason: String,
    },
    NoSignal {
        reason: String,
    },
    Failed {
        reason: String,
    },
}

impl Sign {
    /// As its JSON and the bus name it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Ready => "ready",
            Self::Paused { .. } => "paused",
            Self::NoOverlay { .. } => "no_overlay",
            Self::NoSignal { .. } => "no_signal",
            Self::Failed { .. } => "failed",
        }
    }
}

/// How long one stage takes: percentiles, ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub count: u64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// Figures of the running exam; without one, figures since the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Number of pictures that came, also behind a frozen page; lost by the device; analysed by the model.
    pub pictures: u64,
    pub lost: u64,
    pub inferred: u64,
    /// Seconds in which pictures came, and how many of them no network looked, in gaps of more than 2 s: it failed, was late or was
    /// not there, or a user had frozen the page.
    #[serde(default)]
    pub coming_secs: f64,
    #[serde(default)]
    pub unseen_secs: f64,
    /// Each stage in order: `present` (capture to page), `roi`, `infer`, `track`, `overlay` (capture to overlay).
    pub stages: Vec<(String, Latency)>,
    /// Overlays that were not shown because they came after the deadline; they are in no stage.
    #[serde(default)]
    pub late: u64,
    /// How long the overlays that were shown took: for each bucket its longest time, us, and how many it has, the shortest first. The
    /// difference of two readings is what was measured between them.
    #[serde(skip)]
    pub overlay_counts: Vec<(u64, u64)>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Status {
    pub sign: Sign,
    /// Name of the capture device, and of the scanner profile.
    pub source: String,
    pub profile: String,
    /// For example `us-breast 0.1.0`; empty while there is no model.
    pub model: String,
    /// The model in full, as recordings keep it.
    #[serde(skip)]
    pub made_by: Option<MadeBy>,
    /// "not for diagnosis", which results of a package without clearance must carry.
    pub mark: Option<String>,
    pub simulated: bool,
    /// Width and height of the scanner's screen, pixels.
    pub size: [usize; 2],
    pub exam: Option<Exam>,
    /// Whether the scanner's screen shows the patient of the exam; `None` where that is not looked at.
    pub name_on_screen: Option<Agreement>,
    /// The screen has shown another patient in this exam, if only for a while.
    #[serde(skip)]
    pub another_on_screen: bool,
    /// The last exams that have ended, oldest first: who sees only the latest status may have missed one.
    #[serde(skip)]
    pub ended: Arc<VecDeque<Ended>>,
}

/// An exam as it was when it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    pub exam: Exam,
    pub name_on_screen: Option<Agreement>,
    pub another_on_screen: bool,
    pub stats: Stats,
    /// What of the breasts was looked at.
    pub coverage: Coverage,
    /// RFC 3339, UTC.
    pub utc: String,
}

/// So many are remembered.
pub const MOST_ENDED: usize = 16;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exam {
    /// Rises when an exam begins and when one ends: pictures with another number are not of this one.
    #[serde(skip)]
    pub number: u64,
    pub study_uid: String,
    pub patient: Patient,
    /// RFC 3339, UTC.
    pub started_utc: String,
    /// How many moments the user has marked.
    pub marks: u32,
    /// Which breast is scanned, as whoever scans says.
    pub side: Option<Side>,
    /// Where the probe is in it, as whoever scans says.
    pub probe: Option<Probe>,
    /// Where lesions are, by their numbers, as whoever scans says.
    pub places: BTreeMap<u32, Place>,
    /// Those of which only the place of the probe was said.
    #[serde(skip)]
    pub by_probe: BTreeSet<u32>,
    /// What the worklist says was asked for; `None`: the exam is not of the worklist. For the recording.
    #[serde(skip)]
    pub request: Option<Request>,
}

/// How well the picture is adjusted, and what of the breasts was looked at in the running exam.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Guidance {
    /// Number of the exam ([`Exam::number`]).
    #[serde(skip)]
    pub exam: u64,
    /// Contact, gain, depth, focus, speed.
    pub items: Vec<Item>,
    /// Places of which anything is known.
    #[serde(serialize_with = "told")]
    pub coverage: Coverage,
    /// What coverage and speed are.
    pub estimate: Words,
}

impl Default for Guidance {
    fn default() -> Self {
        Self { exam: 0, items: Vec::new(), coverage: Coverage::default(), estimate: ESTIMATE }
    }
}

/// A place with what is to be said of it.
#[derive(Debug, Serialize)]
pub struct Told<'a> {
    #[serde(flatten)]
    pub looked: &'a Looked,
    pub state: State,
}

fn told<S: serde::Serializer>(coverage: &Coverage, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(coverage.looked().iter().map(|looked| Told { looked, state: looked.state() }))
}

impl Exam {
    /// Series UID of its recording. A second exam of the same study gets another one.
    pub fn recording_uid(&self) -> String {
        uid::from_name(&format!("live recording, {}, {}", self.study_uid, self.started_utc))
    }
}

/// The model that finds lesions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MadeBy {
    pub model: ModelIdentity,
    /// For example `cpu, ONNX Runtime 1.32.0`.
    pub accelerator: String,
    pub simulated: bool,
}

/// Whether the exam is recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Recording {
    /// Series UID of the recording; empty when none runs.
    #[serde(skip)]
    pub of: String,
    #[serde(flatten)]
    pub state: RecordingState,
    /// Number of pictures recorded, and of those missed because the recorder was slow.
    pub pictures: u64,
    pub skipped: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RecordingState {
    /// No exam runs, or recording is off.
    #[default]
    Off,
    On,
    /// The exam is not recorded; the pictures go on.
    Failed {
        reason: String,
    },
}

/// Where a command comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Page,
    /// `scansidectl`, or another program on D-Bus.
    Bus,
}

impl By {
    pub fn words(self) -> &'static str {
        match self {
            Self::Page => "on the page",
            Self::Bus => "by command",
        }
    }
}

/// A command to the live path. Each is answered once, and sending it twice does no harm, but for a step of the probe.
#[derive(Debug)]
pub enum Command {
    /// Refused when another patient's exam runs.
    StartExam(Order, Reply),
    StopExam(Reply),
    /// The page shows a still picture; the device goes on capturing.
    Freeze(bool, By, Reply),
    /// Marks this moment, so that its pictures are kept.
    Mark(Reply),
    /// Which breast is scanned from now on; `None`: not said.
    Side(Option<Side>, Reply),
    /// Where the lesion with this number is; what is not given stays as it was. Refused when lesions are numbered anew since
    /// whoever says it has looked.
    Place(u32, Place, Option<Numbered>, Reply),
    /// Where the probe is from now on. The text: when the exam began that whoever says it has looked at ([`Exam::started_utc`]); `None`:
    /// whatever runs.
    Probe(ProbeOrder, Option<String>, Reply),
}

/// What is said of the probe's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOrder {
    /// What is not given stays as it was.
    At {
        side: Option<Side>,
        spot: Option<Spot>,
        plane: Option<Plane>,
    },
    Step(Step),
    /// It is not said any more.
    Unsaid,
}

/// For what the numbers of lesions hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbered {
    /// Of the exam: [`Exam::started_utc`].
    pub started_utc: String,
    /// Of its pictures: [`Status::size`].
    pub size: [usize; 2],
}

/// Ok: what changed, in words, or that it was already so.
pub type Reply = oneshot::Sender<Result<String, CommandError>>;

/// Why an exam is not begun, or a moment not marked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExamError {
    #[error(transparent)]
    Patient(#[from] PatientError),
    #[error("the exam of another patient is running: stop it first")]
    OtherPatient,
    #[error("the running exam has this patient ID with another name: is this the right patient?")]
    OtherName,
    #[error("the running exam has this patient ID with another birth date: is this the right patient?")]
    OtherBirthDate,
    #[error("the running exam has another accession number: stop it first")]
    OtherAccessionNumber,
    #[error("no exam is running: start one first")]
    NoExam,
    /// Another one may be another patient's.
    #[error(
        "the exam that was running when the form was opened is over, or another one has begun: look whose pictures these are, and fill it in again"
    )]
    NotThatExam,
    /// Each place is one of a breast.
    #[error("say first which breast is scanned (on the page: R or L; scansidectl live side)")]
    NoSide,
    /// What was seen has other numbers now.
    #[error(
        "the pictures have another size since the form was opened, and lesions are numbered anew: look which one is meant"
    )]
    NumberedAnew,
    #[error("no lesion {0} was seen in this exam")]
    NoLesion(u32),
    #[error(transparent)]
    Place(#[from] Wrong),
    /// As it was read from the picture.
    #[error(
        "the scanner's screen shows another patient, or did so in this exam: is this the right one? Choose the patient on the scanner and wait two \
         seconds, or insist (on the page: tick the box; scansidectl: --despite-screen)"
    )]
    OtherOnScreen,
}

/// A command is not allowed in this state of the live path, whose description is given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not while {0}")]
pub struct IllegalTransition(pub &'static str);

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Exam(#[from] ExamError),
    /// There is no picture to freeze.
    #[error(transparent)]
    Freeze(#[from] IllegalTransition),
}

/// Consumer side: state receivers and the command sender.
#[derive(Debug, Clone)]
pub struct View {
    pub guide: watch::Receiver<Arc<Guidance>>,
    /// What the page shows.
    pub pictures: watch::Receiver<Option<Arc<Picture>>>,
    /// What the scanner shows, also while the page is frozen.
    pub taken: watch::Receiver<Option<Arc<Picture>>>,
    pub overlay: watch::Receiver<Arc<Overlay>>,
    pub status: watch::Receiver<Arc<Status>>,
    pub stats: watch::Receiver<Arc<Stats>>,
    pub recording: watch::Receiver<Arc<Recording>>,
    pub commands: mpsc::Sender<Command>,
    /// The patients who are expected.
    pub worklist: Worklist,
    /// Allows one scanner profile to be learnt at a time.
    pub lessons: Arc<Semaphore>,
}

/// Producer side: state senders and the command receiver.
#[derive(Debug)]
pub struct Stage {
    pub guide: watch::Sender<Arc<Guidance>>,
    pub pictures: watch::Sender<Option<Arc<Picture>>>,
    pub taken: watch::Sender<Option<Arc<Picture>>>,
    pub overlay: watch::Sender<Arc<Overlay>>,
    pub status: watch::Sender<Arc<Status>>,
    pub stats: watch::Sender<Arc<Stats>>,
    /// Used by the recorder.
    pub recording: watch::Sender<Arc<Recording>>,
    pub commands: mpsc::Receiver<Command>,
}

pub fn channel() -> (Stage, View) {
    let (pictures, seen_pictures) = watch::channel(None);
    let (taken, seen_taken) = watch::channel(None);
    let (overlay, seen_overlay) = watch::channel(Arc::default());
    let (status, seen_status) = watch::channel(Arc::default());
    let (stats, seen_stats) = watch::channel(Arc::default());
    let (recording, seen_recording) = watch::channel(Arc::default());
    let (guide, seen_guide) = watch::channel(Arc::default());
    let (ask, commands) = mpsc::channel(8);
    (
        Stage { guide, pictures, taken, overlay, status, stats, recording, commands },
        View {
            guide: seen_guide,
            pictures: seen_pictures,
            taken: seen_taken,
            overlay: seen_overlay,
            status: seen_status,
            stats: seen_stats,
            recording: seen_recording,
            commands: ask,
            worklist: Worklist::default(),
            lessons: Arc::new(Semaphore::new(1)),
        },
    )
}
