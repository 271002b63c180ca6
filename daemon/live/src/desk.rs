//! The state that the threads of the live path share, and its publication on the view. Each call is short; it waits for
//! nothing but the lock, which is held only during such calls.

pub mod budget;
pub mod session;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dicom::patient::Patient;
use hal::capture::{Description, Frame};
use hal::clock::Clock;
use tokio::sync::watch;

use crate::desk::budget::{Budget, TimedStage};
use crate::desk::session::{SignEvent, SignState, Step};
use crate::exam::{Done, Exams};
use crate::identity::is_nobody;
use crate::name::{self, Agreement, NameCheck, Screen, Unclear};
use crate::view::{By, ExamError, IllegalTransition, MadeBy, Overlay, Picture, Stats, Status};
use crate::worklist::Order;

/// How often statistics are published, by the clock.
const STATS_EVERY: Duration = Duration::from_secs(1);

/// The senders of a view that the desk publishes with.
#[derive(Debug)]
pub struct Outlets {
    pub pictures: watch::Sender<Option<Arc<Picture>>>,
    pub overlay: watch::Sender<Arc<Overlay>>,
    pub status: watch::Sender<Arc<Status>>,
    pub stats: watch::Sender<Arc<Stats>>,
}

/// Facts about the loaded model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    /// For example `us-breast 0.1.0`; empty while there is no model.
    pub name: String,
    pub mark: Option<String>,
    pub made_by: Option<MadeBy>,
}

/// What was read longer ago is not compared any more.
const READ_LATELY: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Desk {
    clock: Arc<dyn Clock>,
    name_check: NameCheck,
    out: Outlets,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    state: SignState,
    exams: Exams,
    /// Rises by one when an exam begins or ends; then lesions are numbered from 1 again.
    exam_number: u64,
    device: Option<Description>,
    profile: String,
    model: Model,
    size: [usize; 2],
    budget: Budget,
    pictures: u64,
    lost: u64,
    inferred: u64,
    /// Number of the last picture.
    sequence: Option<u64>,
    screen: Screen,
    /// When the screen was read.
    screen_at: Duration,
    /// Of the patient of the running exam with the screen.
    agreement: Option<Agreement>,
    /// When the model's present run began.
    running_since: Option<Duration>,
    stats_at: Duration,
}

impl Desk {
    pub fn new(clock: Arc<dyn Clock>, name_check: NameCheck, out: Outlets) -> Self {
        let desk = Self { clock, name_check, out, now: Mutex::default() };
        desk.publish(&desk.lock());
        desk
    }

    /// Takes a new picture; shows it at once, unless the page is frozen.
    pub fn picture(&self, frame: Frame, device: Option<Description>) -> Arc<Picture> {
        let picture = Arc::new(Picture { sequence: frame.sequence, captured: frame.timestamp, frame });
        let mut now = self.lock();
        // The first picture says nothing about losses before it.
        now.lost += now.sequence.map_or(0, |last| picture.frame.dropped_since(last));
        now.sequence = Some(picture.sequence);
        if now.device != device {
            now.device = device;
        }
        now.size = picture.size();
        let _ = now.state.on(SignEvent::Picture);
        if now.state.shows_pictures() {
            self.out.pictures.send_replace(Some(picture.clone()));
            now.pictures += 1;
            let took = self.clock.now().saturating_sub(picture.captured);
            now.budget.add(TimedStage::Present, took);
        }
        self.publish(&now);
        self.publish_stats(&mut now, false);
        picture
    }

    /// Takes an event of the device or the model.
    pub fn happened(&self, event: SignEvent) {
        let mut now = self.lock();
        if now.state.on(event) != Ok(Step::Changed) {
            return;
        }
        if !matches!(now.state, SignState::Ready) {
            // An outline must not stay on pictures that it was not made from. A frozen picture keeps its outlines.
            if !matches!(now.state, SignState::Frozen { .. } | SignState::Still) {
                self.clear_overlay();
            }
            if matches!(now.state, SignState::Dark { .. } | SignState::Broken { .. }) {
                self.out.pictures.send_replace(None);
            }
        }
        match &now.state {
            SignState::Blind { trouble } => tracing::warn!(reason = %trouble, "live: {}", now.state.words()),
            SignState::Broken { reason } => tracing::warn!(reason, "live: {}", now.state.words()),
            state => tracing::info!("live: {}", state.words()),
        }
        self.publish(&now);
    }

    fn clear_overlay(&self) {
        self.out.overlay.send_if_modified(|overlay| {
            let any = !overlay.lesions.is_empty();
            if any {
                *overlay = Arc::new(Overlay { sequence: overlay.sequence, ..Overlay::default() });
            }
            any
        });
    }

    /// A run of the model begins (its time), or has ended (`None`).
    pub fn running(&self, since: Option<Duration>) {
        self.lock().running_since = since;
    }

    /// How long the model's present run has lasted.
    pub fn run_lasts(&self) -> Option<Duration> {
        let since = self.lock().running_since?;
        Some(self.clock.now().saturating_sub(since))
    }

    /// Publishes an overlay that is not too late.
    pub fn overlay(&self, overlay: Overlay, captured: Duration) {
        let mut now = self.lock();
        if matches!(now.state, SignState::Blind { .. } | SignState::Ready) {
            let took = self.clock.now().saturating_sub(captured);
            now.budget.add(TimedStage::Overlay, took);
            self.out.overlay.send_replace(Arc::new(overlay));
            let _ = now.state.on(SignEvent::Answer);
            self.publish(&now);
        }
    }

    /// Counts how long a stage took.
    pub fn took(&self, stage: TimedStage, span: Duration) {
        let mut now = self.lock();
        now.budget.add(stage, span);
        if stage == TimedStage::Infer {
            now.inferred += 1;
        }
    }

    /// Name of the profile for the present pictures; empty when there is none.
    pub fn profile(&self, name: &str) {
        let mut now = self.lock();
        if now.profile != name {
            now.profile = name.to_owned();
            self.publish(&now);
        }
    }

    pub fn model(&self, model: Model) {
        let mut now = self.lock();
        if now.model != model {
            now.model = model;
            self.publish(&now);
        }
    }

    pub fn exam_number(&self) -> u64 {
        self.lock().exam_number
    }

    /// # Errors
    /// When another patient's exam runs, the patient is not identified, or the scanner's screen shows another patient.
    pub fn start_exam(&self, order: Order, utc: &str, study_uid: &str) -> Result<String, ExamError> {
        let mut now = self.lock();
        let agreement = self.agreement(&now, &order.patient);
        let insisted = order.despite_screen || self.name_check != NameCheck::Refuse;
        if agreement == Some(Agreement::Differs) && !insisted {
            return Err(ExamError::OtherOnScreen);
        }
        let done = now.exams.start(order.patient, utc, study_uid)?;
        let is_news = !matches!(done, Done::Already(_));
        let words = self.exam_changed(&mut now, done);
        let screen = agreement.filter(|_| is_news).map(|agreement| format!("; {}", agreement.words()));
        Ok(words + &screen.unwrap_or_default())
    }

    /// What the scanner's screen shows by now.
    pub fn on_screen(&self, screen: Screen) {
        let mut now = self.lock();
        (now.screen, now.screen_at) = (screen, self.clock.now());
        self.publish_agreement(&mut now);
    }

    /// Compares the running exam with the screen again.
    fn publish_agreement(&self, now: &mut Now) {
        let agreement = now.exams.current().and_then(|exam| self.agreement(now, &exam.patient));
        if agreement != now.agreement {
            match agreement {
                Some(Agreement::Differs) => tracing::warn!("live: {}", Agreement::Differs.words()),
                Some(other) => tracing::info!("live: {}", other.words()),
                None => {}
            }
            now.agreement = agreement;
            self.publish(now);
        }
    }

    fn agreement(&self, now: &Now, patient: &Patient) -> Option<Agreement> {
        let is_fresh = self.clock.now().saturating_sub(now.screen_at) <= READ_LATELY;
        match &now.screen {
            _ if self.name_check == NameCheck::Off || is_nobody(patient) => None,
            Screen::NoArea => None,
            Screen::Shows(screen) if is_fresh => Some(name::compare(screen, patient)),
            Screen::Shows(_) | Screen::NotRead => Some(Agreement::Unclear(Unclear::NotRead)),
        }
    }

    pub fn stop_exam(&self) -> String {
        let mut now = self.lock();
        let done = now.exams.stop();
        self.exam_changed(&mut now, done)
    }

    /// After the begin or end of an exam, statistics and lesion numbers start again.
    fn exam_changed(&self, now: &mut Now, done: Done) -> String {
        if matches!(done, Done::Changed(_)) {
            now.exam_number += 1;
            self.publish_stats(now, true);
            (now.budget, now.pictures, now.lost, now.inferred) = (Budget::default(), 0, 0, 0);
            self.publish(now);
        }
        if matches!(done, Done::Bound(_)) {
            self.publish(now);
        }
        self.publish_agreement(now);
        done.words()
    }

    /// # Errors
    /// When no exam runs.
    pub fn mark(&self) -> Result<String, ExamError> {
        let mut now = self.lock();
        let done = now.exams.mark()?;
        self.publish(&now);
        Ok(done.words())
    }

    /// Freezes the page, or ends the freeze.
    ///
    /// # Errors
    /// When there is nothing to freeze.
    pub fn freeze(&self, on: bool, by: By) -> Result<String, IllegalTransition> {
        let mut now = self.lock();
        let step = now.state.on(if on { SignEvent::Freeze(by) } else { SignEvent::Thaw })?;
        if !on && step == Step::Changed {
            self.clear_overlay();
        }
        self.publish(&now);
        let (done, already) =
            if on { ("frozen", "already frozen") } else { ("live again", "the picture is live already") };
        Ok(if step == Step::Changed { done } else { already }.to_owned())
    }

    fn publish(&self, now: &Now) {
        let device = now.device.as_ref();
        let status = Status {
            sign: now.state.sign(),
            source: device.map(|device| device.name.clone()).unwrap_or_default(),
            profile: now.profile.clone(),
            model: now.model.name.clone(),
            made_by: now.model.made_by.clone(),
            mark: now.model.mark.clone(),
            simulated: device.is_some_and(|device| device.simulated),
            size: now.size,
            exam: now.exams.current().cloned(),
            name_on_screen: now.agreement,
        };
        self.out.status.send_if_modified(|old| {
            let news = **old != status;
            if news {
                *old = Arc::new(status);
            }
            news
        });
    }

    fn publish_stats(&self, now: &mut Now, at_once: bool) {
        let time = self.clock.now();
        if at_once || time.saturating_sub(now.stats_at) >= STATS_EVERY {
            now.stats_at = time;
            let stages = now.budget.stages();
            let stats = Stats { pictures: now.pictures, lost: now.lost, inferred: now.inferred, stages };
            self.out.stats.send_replace(Arc::new(stats));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
