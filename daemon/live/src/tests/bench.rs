//! The live path with everything in a test's hands: pictures come one by one, the model does as the script says.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dicom::patient::Patient;
use hal::accel::scripted::Scripted;
use hal::accel::{self, Tensor};
use hal::capture::frame::Shape;
use hal::capture::guard::{Policy, Supervised};
use hal::capture::synthetic::Synthetic;
use hal::capture::{
    Capture, CaptureFault, Colour, Config, Description, Error, Frame, Offer, PixelFormat, Rate, Validated, Validation,
};
use hal::clock::Manual;
use hal::fault::Faults;
use hal::urgency::Precedence;
use hal::{Accelerator, Clock};
use models::manifest::Manifest;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::name::NameCheck;
use crate::screen::profile::{Profile, Profiles};
use crate::supply::{Ready, RunsOn, Supply, SupplyError};
use crate::view::{self, By, Command, CommandError, Overlay, Reply, Stats, Status, View};
use crate::{LiveParts, run};

/// By the clock: thirty pictures, which come faster here than any model answers.
pub const DEADLINE: Duration = Duration::from_secs(1);
/// A test that waits longer hangs.
const HANGS: Duration = Duration::from_secs(60);

/// What the model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    Good,
    /// As good, but the lesion is of another kind.
    Other,
    /// Takes so long, by the clock.
    Slow(Duration),
    Nan,
    Panics,
    Fails,
    Misshapen,
    /// There is none.
    Missing,
}

/// Lets the device's thread pass one at a time.
#[derive(Debug, Clone, Default)]
struct Turnstile(Arc<(Mutex<Turns>, Condvar)>);

#[derive(Debug, Default)]
struct Turns {
    allowed: usize,
    waiting: bool,
    open: bool,
}

impl Turnstile {
    /// The device's side: waits for its turn; false when the test is over.
    fn pass(&self) -> bool {
        let mut turns = self.lock();
        turns.waiting = true;
        self.0.1.notify_all();
        let mut turns =
            self.0.1.wait_while(turns, |t| t.allowed == 0 && !t.open).unwrap_or_else(PoisonError::into_inner);
        turns.waiting = false;
        turns.allowed = turns.allowed.saturating_sub(1);
        !turns.open
    }

    /// The test's side: one turn, until the device asks for the next.
    fn turn(&self) {
        let mut turns = self.lock();
        turns.allowed += 1;
        self.0.1.notify_all();
        let done = |t: &mut Turns| !(t.waiting && t.allowed == 0);
        let (turns, timeout) = self.0.1.wait_timeout_while(turns, HANGS, done).unwrap_or_else(PoisonError::into_inner);
        drop(turns);
        assert!(!timeout.timed_out(), "the source never asked for another picture");
    }

    fn open(&self) {
        self.lock().open = true;
        self.0.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A device whose pictures come when the test says so.
#[derive(Debug)]
struct Gated<C> {
    device: C,
    turnstile: Turnstile,
    /// While set, pictures come as a camera's JPEG files without their end.
    damage: Arc<AtomicBool>,
}

impl<C: Capture> Capture for Gated<C> {
    fn describe(&self) -> Description {
        self.device.describe()
    }

    fn formats(&mut self) -> Result<Vec<Offer>, Error> {
        self.device.formats()
    }

    fn validate(&mut self, wanted: &Config) -> Result<Validation, Error> {
        self.device.validate(wanted)
    }

    fn start(&mut self, config: &Validated) -> Result<(), Error> {
        self.device.start(config)
    }

    fn next_frame(&mut self, timeout: Duration) -> Result<Frame, Error> {
        match self.turnstile.pass() {
            true if self.damage.load(Ordering::SeqCst) => self.device.next_frame(timeout).map(damaged),
            true => self.device.next_frame(timeout),
            false => Err(Error::new(CaptureFault::Disconnected, "the test is over")),
        }
    }

    fn stop(&mut self) {
        self.device.stop();
    }
}

fn damaged(frame: Frame) -> Frame {
    let shape =
        Shape::laid_out(PixelFormat::Mjpeg, frame.shape.width, frame.shape.height, Colour::default(), Vec::new());
    Frame::new(shape, frame.sequence, frame.timestamp, Arc::new(vec![0xFF, 0xD8, 0xFF]))
}

/// What a freezable scanner shows.
#[derive(Debug, Clone, Default)]
struct Switches {
    frozen: Arc<AtomicBool>,
    /// All pixels are alike.
    black: Arc<AtomicBool>,
    /// The right half is the bright one, not the left.
    elsewhere: Arc<AtomicBool>,
}

/// Grey patterns that change with each picture, unless the scanner is frozen.
fn painted(clock: Arc<dyn Clock>, switches: Switches) -> Synthetic {
    let Switches { frozen, black, elsewhere } = switches;
    let last = AtomicU64::new(0);
    Synthetic::painted(clock, PixelFormat::Grey, 128, 96, move |index, bytes| {
        if black.load(Ordering::SeqCst) {
            return bytes.fill(16);
        }
        if !frozen.load(Ordering::SeqCst) {
            last.store(index, Ordering::SeqCst);
        }
        let number = last.load(Ordering::SeqCst) as usize;
        let right = usize::from(elsewhere.load(Ordering::SeqCst));
        bytes.iter_mut().enumerate().for_each(|(i, pixel)| {
            let half = if i % 128 / 64 == right { 130 } else { 0 };
            *pixel = (half + (i / 128 * 7 + i * 31 + number * 97) % 120) as u8;
        });
    })
}

#[derive(Debug)]
struct Scripts {
    script: Arc<Mutex<Script>>,
    model: Scripted,
    loads: Arc<AtomicU64>,
    runs_on: Arc<Mutex<String>>,
}

impl Supply for Scripts {
    fn load(&mut self) -> Result<Ready, SupplyError> {
        if *self.script.lock().unwrap() == Script::Missing {
            return Err(SupplyError::NoPackage("no usable model package for us_breast".into()));
        }
        let model = self.model.load(b"network").unwrap();
        self.loads.fetch_add(1, Ordering::SeqCst);
        let on = self.runs_on.clone();
        Ok(Ready {
            manifest: manifest(),
            sha256: String::new(),
            simulated: true,
            accelerator: RunsOn::new(move || on.lock().unwrap().clone()),
            model,
            steps: Arc::new(models::steps::Cpu),
        })
    }

    /// A script that is missing was removed.
    fn is_outdated(&self, _loaded: &Ready) -> bool {
        *self.script.lock().unwrap() == Script::Missing
    }
}

fn manifest() -> Manifest {
    let zeros = "0".repeat(64);
    Manifest::parse(&format!(
        r#"format = 1
id = "us-breast"
version = "0.1.0"
task = "us_breast"
licence = "Apache-2.0"
clearance = "research"
[intended_use]
modality = "US"
body_part = "BREAST"
[intended_use.findings.breast_lesion]
[input]
size = [64, 64]
resize = "letterbox"
[outputs]
stride = 2
channels = ["lesion", "malignant", "irregular", "not_parallel", "not_circumscribed", "anechoic", "heterogeneous", "enhancement", "shadowing"]
[thresholds.lesion]
confidence = 0.9
mask = 0.4
min_size = 2.0
[thresholds.malignant]
confidence = 0.5
[[variants]]
accelerator = "any"
precision = "fp32"
network = "n.onnx"
[files]
"n.onnx" = "{zeros}"
"#
    ))
    .unwrap()
}

/// One lesion in the middle of the sector's upper part, for an input of 64x64 pixels and a map of 32x32.
fn lesion() -> Tensor {
    let mut data = vec![0.0; 9 * 32 * 32];
    for channel in data.chunks_exact_mut(32 * 32) {
        for y in 6..12 {
            channel[y * 32 + 12..][..8].fill(0.95);
        }
    }
    Tensor { shape: vec![1, 9, 32, 32], data }
}

fn answer(script: Script, clock: &Manual) -> Result<Vec<Tensor>, accel::Error> {
    let mut tensor = lesion();
    match script {
        Script::Good | Script::Missing => {}
        Script::Other => tensor.data[32 * 32..].iter_mut().for_each(|value| *value *= 0.4),
        Script::Slow(span) => clock.advance(span),
        Script::Nan => tensor.data[5] = f32::NAN,
        Script::Panics => panic!("on demand"),
        Script::Fails => return Err(accel::Error::new(accel::AccelFault::Device, "failed on demand")),
        Script::Misshapen => tensor.shape = vec![1, 9, 1024],
    }
    Ok(vec![tensor])
}

fn profiles() -> Profiles {
    let of = |name: &str, screen: &str, sector: &str| {
        let text = format!(
            "name = {name:?}\nscreen = {screen}\nsector = {sector}\npixel_aspect = 1.0\n[scale]\nmm_per_pixel = 0.5\n"
        );
        Profile::parse(&text).unwrap()
    };
    Profiles::of(vec![of("one", "[128, 96]", "[0, 16, 128, 80]"), of("two", "[160, 120]", "[0, 10, 160, 110]")])
}

pub struct Bench {
    pub view: View,
    pub model: Scripted,
    /// What makes the model's runs, in words.
    pub runs_on: Arc<Mutex<String>>,
    pub faults: Faults,
    /// While set, pictures arrive damaged.
    pub damage: Arc<AtomicBool>,
    /// While set, a freezable scanner's output shows nothing: all pixels are alike.
    pub black: Arc<AtomicBool>,
    /// Set, a freezable scanner shows another place.
    pub elsewhere: Arc<AtomicBool>,
    /// How often the model was loaded.
    pub loads: Arc<AtomicU64>,
    pub clock: Manual,
    script: Arc<Mutex<Script>>,
    frozen: Arc<AtomicBool>,
    turnstile: Turnstile,
    trigger: CancellationToken,
    story: JoinHandle<std::io::Result<()>>,
}

impl Bench {
    /// A scanner whose screen can have any size.
    pub fn new() -> Self {
        Self::with(true)
    }

    /// A scanner that can be frozen.
    pub fn freezable() -> Self {
        Self::with(false)
    }

    fn with(bars: bool) -> Self {
        let clock = Manual::default();
        let (turnstile, faults) = (Turnstile::default(), Faults::default());
        let (damage, loads) = <(Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let switches = Switches::default();
        let time = clock.clone();
        let script = Arc::new(Mutex::new(Script::Good));
        let model = {
            let (script, clock) = (script.clone(), clock.clone());
            Scripted::new(move |_| {
                let script = *script.lock().unwrap();
                answer(script, &clock)
            })
        };
        let device = {
            let (turnstile, faults, clock) = (turnstile.clone(), faults.clone(), clock.clone());
            let (damage, switches) = (damage.clone(), switches.clone());
            move || {
                if !turnstile.pass() {
                    return Err(Error::new(CaptureFault::NotPresent, "the test is over"));
                }
                let shared: Arc<dyn Clock> = Arc::new(clock.clone());
                let scanner = match bars {
                    true => Synthetic::bars(shared.clone()),
                    false => painted(shared.clone(), switches.clone()),
                };
                Ok(Gated {
                    device: faults.wrap(scanner, shared)?,
                    turnstile: turnstile.clone(),
                    damage: damage.clone(),
                })
            }
        };
        let runs_on = Arc::new(Mutex::new("scripted".to_owned()));
        let wanted = Config { buffers: 8, ..Config::new(PixelFormat::Grey, 128, 96, Rate::hertz(30)) };
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let parts = LiveParts {
            device: Supervised::new(device, wanted, Policy::default(), clock.clone()),
            profiles: profiles(),
            supply: Box::new(Scripts {
                script: script.clone(),
                model: model.clone(),
                loads: loads.clone(),
                runs_on: runs_on.clone(),
            }),
            precedence: Precedence::default(),
            clock,
            deadline: DEADLINE,
            name_check: NameCheck::Off,
            reader: Box::new(|| Err(accel::Error::new(accel::AccelFault::NotPresent, "not here"))),
            station: "BENCH".into(),
        };
        let (stage, view) = view::channel();
        let trigger = CancellationToken::new();
        let shutdown = trigger.clone();
        let story = tokio::spawn(run(parts, stage, shutdown));
        Self {
            view,
            model,
            runs_on,
            faults,
            damage,
            black: switches.black,
            elsewhere: switches.elsewhere,
            loads,
            clock: time,
            script,
            frozen: switches.frozen,
            turnstile,
            trigger,
            story,
        }
    }

    pub fn script(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }

    pub fn freeze_scanner(&self, on: bool) {
        self.frozen.store(on, Ordering::SeqCst);
    }

    pub fn status(&self) -> Arc<Status> {
        self.view.status.borrow().clone()
    }

    /// The device does one thing.
    pub fn step(&self) {
        self.turnstile.turn();
    }

    /// One more picture on the view; its number.
    pub fn frame(&self) -> u64 {
        let shown = || self.view.pictures.borrow().as_ref().map(|picture| picture.sequence);
        let before = shown();
        for _ in 0..100 {
            self.step();
            if let Some(now) = shown().filter(|_| shown() != before) {
                return now;
            }
        }
        panic!("no picture: {:?}", self.status())
    }

    /// One more picture, and the overlay that is made from it.
    pub async fn overlay(&mut self) -> Arc<Overlay> {
        let number = self.frame();
        let wanted = self.view.overlay.wait_for(|overlay| overlay.sequence == number);
        let found = tokio::time::timeout(HANGS, wanted).await;
        found.unwrap_or_else(|_| panic!("no overlay for {number}")).unwrap().clone()
    }

    /// Pictures until the status is as wanted.
    pub async fn until(&mut self, wanted: impl Fn(&Status) -> bool) {
        let hangs = Instant::now() + HANGS;
        while !wanted(&self.view.status.borrow()) {
            assert!(Instant::now() < hangs, "never came: {:?}", self.status());
            self.step();
            // The model's thread has its turn: by the clock, pictures take no time at all here.
            (0..20).for_each(|_| std::thread::yield_now());
            tokio::task::yield_now().await;
        }
    }

    /// Pictures until the model hangs in a run.
    pub fn hang(&self) {
        self.model.block();
        let hangs = Instant::now() + HANGS;
        while self.model.waiting() == 0 {
            assert!(Instant::now() < hangs, "the model is never asked");
            self.step();
        }
    }

    /// The next statistics.
    pub async fn stats(&mut self) -> Arc<Stats> {
        self.view.stats.mark_unchanged();
        (0..40).for_each(|_| self.step());
        assert!(self.view.stats.has_changed().unwrap(), "more than a second has passed");
        self.view.stats.borrow_and_update().clone()
    }

    async fn ask(&self, command: impl FnOnce(Reply) -> Command) -> Result<String, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.view.commands.send(command(reply)).await.unwrap();
        tokio::time::timeout(HANGS, answer).await.unwrap().unwrap()
    }

    pub async fn freeze(&self, on: bool) -> Result<String, CommandError> {
        self.ask(|reply| Command::Freeze(on, By::Page, reply)).await
    }

    pub async fn start(&self, patient: Patient) -> Result<String, CommandError> {
        self.ask(|reply| Command::StartExam(patient.into(), reply)).await
    }

    pub async fn stop(&self) -> Result<String, CommandError> {
        self.ask(Command::StopExam).await
    }

    pub async fn mark(&self) -> Result<String, CommandError> {
        self.ask(Command::Mark).await
    }

    /// Shutdown ends both threads.
    pub async fn end(self) {
        self.trigger.cancel();
        self.turnstile.open();
        self.model.release();
        tokio::time::timeout(HANGS, self.story).await.unwrap().unwrap().unwrap();
    }
}
