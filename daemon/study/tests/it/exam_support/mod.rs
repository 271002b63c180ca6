//! A scripted live path: an exam, pictures with a dark lesion and its outline; and other programs that check the
//! results.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use custody::store::{self, Durability, Store, jobs, series};
use dicom::patient::Patient;
use hal::capture::frame::Shape;
use hal::capture::{Colour, Frame, PixelFormat};
use live::record::{self, RecorderParts};
use live::screen::profile::{Profile, Profiles};
use live::settings::Record;
use live::view::{self, Ended, Exam, MadeBy, Overlay, Picture, Stage, Status};
use models::manifest::Clearance;
use models::task::us_breast::lesion::Lesion;
use models::task::us_breast::scan::coverage::Coverage;
use report::settings::Device;
use report::{ModelIdentity, ResultObject};
use study::exam::develop;
use study::exam::hand_over::HandOver;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const SIZE: [usize; 2] = [320, 240];
/// Where the patient's name is on the screen.
pub const NAME: [usize; 4] = [200, 0, 120, 16];
/// left, top, right, bottom.
pub const LESION: [f32; 4] = [100.0, 100.0, 160.0, 140.0];
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Stand {
    pub stage: Stage,
    pub view: view::View,
    pub folder: tempfile::TempDir,
    pub free: Arc<AtomicU64>,
    /// Whether the video device counts as simulated.
    pub simulated: bool,
    /// The running exam, and those that have ended.
    exams: Mutex<(Option<Exam>, VecDeque<Ended>)>,
    store: Store,
    trigger: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Stand {
    pub fn start(settings: Record) -> Self {
        Self::on(tempfile::tempdir().unwrap(), settings)
    }

    /// Starts on the files that an earlier one left.
    pub fn on(folder: tempfile::TempDir, settings: Record) -> Self {
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let (stage, view) = view::channel();
        let trigger = CancellationToken::new();
        let stop = trigger.clone();
        let free = Arc::new(AtomicU64::new(1 << 40));
        let asked = free.clone();
        let (events, _) = broadcast::channel(64);
        let parts = RecorderParts {
            settings,
            directory: folder.path().join("exams"),
            profiles: Profiles::of(vec![profile()]),
            free: Arc::new(move || Ok(asked.load(Ordering::Relaxed))),
            min_free_bytes: 1 << 30,
            hand_over: Box::new(HandOver {
                store: store.clone(),
                events,
                wake: Arc::new(Notify::new()),
                steps: None,
                steps_bell: Arc::new(Notify::new()),
            }),
            told: stage.recording.clone(),
        };
        let task = tokio::spawn(record::run(parts, view.clone(), stop));
        Self { stage, view, folder, free, simulated: false, exams: Mutex::default(), store, trigger, task }
    }

    pub fn exam(&self, marks: u32) {
        self.exam_of("P7", marks);
    }

    pub fn exam_of(&self, id: &str, marks: u32) {
        let patient = Patient { id: id.into(), name: "PHANTOM^EVA".into(), ..Patient::default() };
        let started_utc = "2026-11-24T03:00:00.000Z".into();
        let exam = Exam {
            number: 0,
            study_uid: format!("2.25.77{}", id.len()),
            patient,
            started_utc,
            marks,
            side: None,
            probe: None,
            places: BTreeMap::new(),
            by_probe: std::collections::BTreeSet::new(),
            request: None,
        };
        self.status(Some(exam));
    }

    pub fn end_exam(&self) {
        self.status(None);
    }

    fn status(&self, exam: Option<Exam>) {
        let (running, ended) = &mut *self.exams.lock().unwrap();
        let goes_on = |was: &Exam| exam.as_ref().is_some_and(|now| now.recording_uid() == was.recording_uid());
        if let Some(exam) = running.take_if(|was| !goes_on(was)) {
            let (stats, utc) = (self.view.stats.borrow().as_ref().clone(), store::now_utc());
            ended.push_back(Ended {
                exam,
                name_on_screen: None,
                another_on_screen: false,
                stats,
                coverage: Coverage::default(),
                utc,
            });
        }
        running.clone_from(&exam);
        let ended = Arc::new(ended.clone());
        let model = ModelIdentity {
            id: "us-breast".into(),
            version: "0.1.0".into(),
            sha256: "ab".repeat(32),
            clearance: Clearance::Research,
            thresholds: "lesion 0.50".into(),
        };
        let made_by = Some(MadeBy { model, accelerator: "cpu, ONNX Runtime".into(), simulated: false });
        let simulated = self.simulated;
        let status =
            Status { size: SIZE, made_by, profile: "small".into(), simulated, exam, ended, ..Status::default() };
        self.stage.status.send_replace(Arc::new(status));
    }

    /// Sends picture `n` (30 per second) and, once it is recorded, its findings.
    pub async fn picture(&self, n: u64, sure: Option<f32>) {
        let before = self.bytes("pic");
        let captured = Duration::from_micros(n * 33_333);
        let frame = frame(n, captured);
        let picture = Arc::new(Picture { sequence: n, captured, exam: 0, frame });
        self.stage.pictures.send_replace(Some(picture.clone()));
        self.stage.taken.send_replace(Some(picture));
        until("the picture to be recorded", || self.bytes("pic") != before).await;
        if let Some(confidence) = sure {
            let overlay = Overlay {
                sequence: n,
                age_ms: 20.0,
                mm_per_pixel: Some(0.1),
                side: None,
                lesions: vec![lesion(confidence)],
            };
            self.stage.overlay.send_replace(Arc::new(overlay));
        }
    }

    /// Total bytes of the files of the recordings with this extension: the journal grows beside the pictures.
    fn bytes(&self, extension: &str) -> u64 {
        let such = |path: &&PathBuf| path.extension().is_some_and(|e| e == extension);
        self.files().iter().filter(such).filter_map(|path| path.metadata().ok()).map(|meta| meta.len()).sum()
    }

    pub fn files(&self) -> Vec<PathBuf> {
        let of = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path());
        let mut files: Vec<_> =
            of(&self.folder.path().join("exams")).flat_map(|folder| of(&folder).collect::<Vec<_>>()).collect();
        files.sort();
        files
    }

    pub fn journal(&self) -> String {
        let journals = self.files().into_iter().filter(|path| path.extension().is_some_and(|e| e == "jsonl"));
        journals.map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect()
    }

    /// Stops like a killed process, without ending anything properly.
    pub async fn kill(self) -> tempfile::TempDir {
        self.trigger.cancel();
        self.task.await.unwrap().unwrap();
        self.folder
    }

    /// Waits until `count` exams are handed over. Returns their series rows.
    pub async fn handed_over(&self, count: usize) -> Vec<series::SeriesRow> {
        let connection = self.store.connect(Durability::Full).unwrap();
        let queued = || {
            let rows: Vec<i64> = (1..10).filter(|id| jobs::get(&connection, *id).unwrap().is_some()).collect();
            rows.len() >= count
        };
        until("the exam to be handed over", queued).await;
        (1..=count as i64).map(|id| series::get(&connection, id).unwrap().unwrap()).collect()
    }

    pub fn developed(&self, row: &series::SeriesRow, record: &Record) -> (Vec<ResultObject>, develop::Developed) {
        let recording = develop::folder(self.folder.path(), &row.key.series_uid);
        let mut objects = Vec::new();
        let mut put = |object: &ResultObject| {
            objects.push(object.clone());
            Ok(())
        };
        let device = Device::default();
        let developed = develop::develop::<develop::Error>(
            &recording,
            &device,
            record,
            &::models::task::Unattended,
            &|_| Vec::new(),
            &mut put,
        )
        .unwrap();
        (objects, developed)
    }
}

fn profile() -> Profile {
    let [x, y, width, height] = NAME;
    let text = format!(
        "name = \"small\"\nscreen = [320, 240]\nsector = [40, 20, 240, 200]\n[[text]]\nsays = \"name\"\n\
         area = [{x}, {y}, {width}, {height}]\nidentifies = true\n"
    );
    Profile::parse(&text).unwrap()
}

fn lesion(confidence: f32) -> Lesion {
    let [left, top, right, bottom] = LESION;
    Lesion {
        id: 1,
        outline: vec![[left, top], [right, top], [right, bottom], [left, bottom]],
        bounds: LESION,
        confidence,
        malignant: 0.2,
        descriptors: vec!["oval".into(), "parallel".into()],
        size_mm: Some([6.0, 4.0]),
    }
}

/// Grey with a dark lesion, the patient's name in white, and the picture's number as a white bar at the top left.
fn frame(n: u64, captured: Duration) -> Frame {
    let [width, height] = SIZE;
    let mut bytes = vec![100u8; width * height];
    let mut fill = |[left, top, right, bottom]: [usize; 4], value: u8| {
        bytes.chunks_mut(width).skip(top).take(bottom - top).for_each(|row| row[left..right].fill(value));
    };
    fill(LESION.map(|side| side as usize), 30);
    fill([NAME[0], NAME[1], NAME[0] + NAME[2], NAME[1] + NAME[3]], 250);
    // Two pixels per picture, because JPEG blurs.
    fill([0, 0, ((n as usize * 2) % 190).max(1), 8], 255);
    let shape = Shape::tight(PixelFormat::Grey, width as u32, height as u32, Colour::default());
    Frame::new(shape, n, captured, Arc::new(bytes))
}

pub async fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Writes the objects into `folder`. Returns their paths.
pub fn write(folder: &Path, objects: &[ResultObject]) -> Vec<PathBuf> {
    std::fs::create_dir_all(folder).unwrap();
    let write = |(index, object): (usize, &ResultObject)| {
        let path = folder.join(format!("{index:02}-{}.dcm", object.kind));
        std::fs::write(&path, &object.part10).unwrap();
        path
    };
    objects.iter().enumerate().map(write).collect()
}

/// Complaints of DCMTK, pydicom and highdicom about these files.
pub fn others(paths: &[PathBuf]) -> Vec<String> {
    let mut complaints = Vec::new();
    for path in paths.iter().filter(|path| path.to_string_lossy().contains("-us")) {
        let out = path.with_extension("raw.dcm");
        match Command::new("dcmdjpeg").arg(path).arg(&out).output() {
            Ok(done) if done.status.success() => {}
            Ok(done) => complaints.push(format!("dcmdjpeg: {}", String::from_utf8_lossy(&done.stderr))),
            Err(_) => needs::skip(needs::Lack::Software, "dcmdjpeg not installed"),
        }
        let _ = std::fs::remove_file(out);
    }
    let python = std::env::var("SCANSIDE_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import highdicom"]).output();
    if !has.is_ok_and(|done| done.status.success()) {
        needs::skip(needs::Lack::Software, format_args!("highdicom not installed for {python}"));
        return complaints;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/exam_support/check.py");
    let done = Command::new(&python).arg(script).args(paths).output().unwrap();
    if !done.status.success() {
        complaints.push(String::from_utf8_lossy(&done.stderr).into_owned());
    }
    complaints.extend(String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned));
    complaints
}
