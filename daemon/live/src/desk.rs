//! The state that the threads of the live path share, and its publication on the view. Each call is short; it waits for
//! nothing but the lock, which is held only during such calls.

pub mod budget;
mod doubt;
mod guidance;
mod looking;
mod nobodys;
pub mod session;

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dicom::patient::Patient;
use hal::capture::{Description, Frame};
use hal::clock::Clock;
use models::findings::Side;
use models::lesion::sighting::Place;
use models::task::us_breast::scan::coverage::Coverage;
use tokio::sync::watch;

use crate::desk::budget::{Budget, TimedStage};
use crate::desk::doubt::Doubt;
use crate::desk::looking::Looking;
use crate::desk::nobodys::Nobodys;
use crate::desk::session::{SignEvent, SignState, Step};
use crate::exam::{Done, Exams};
use crate::identity::is_nobody;
use crate::name::{self, Agreement, NameCheck, Screen, Unclear};
use crate::view::{
    By, Ended, ExamError, Guidance, IllegalTransition, MOST_ENDED, MadeBy, Numbered, Overlay, Picture, Stats, Status,
};
use crate::worklist::Order;

/// How often statistics are published, by the clock.
const STATS_EVERY: Duration = Duration::from_secs(1);

/// The senders of a view that the desk publishes with.
#[derive(Debug)]
pub struct Outlets {
    pub guide: watch::Sender<Arc<Guidance>>,
    pub pictures: watch::Sender<Option<Arc<Picture>>>,
    /// Also what comes while the page is frozen: for the recorder.
    pub taken: watch::Sender<Option<Arc<Picture>>>,
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
    /// Numbers of the lesions that were shown since.
    lesions: BTreeSet<u32>,
    device: Option<Description>,
    profile: String,
    model: Model,
    size: [usize; 2],
    budget: Budget,
    pictures: u64,
    lost: u64,
    inferred: u64,
    late: u64,
    looking: Looking,
    /// What of the breasts was looked at in the running exam.
    coverage: Coverage,
    guide_at: Duration,
    /// Number of the last picture.
    sequence: Option<u64>,
    screen: Screen,
    /// When the screen was read.
    screen_at: Duration,
    /// Of the patient of the running exam with the screen.
    agreement: Option<Agreement>,
    doubt: Doubt,
    /// It has shown another one in the running exam.
    another_on_screen: bool,
    /// What the screen has shown since the running exam began, while that belongs to nobody.
    of_nobody: Nobodys,
    /// For the recorder.
    ended: Arc<VecDeque<Ended>>,
    /// When the model's present run began.
    running_since: Option<Duration>,
    stats_at: Duration,
}

impl Now {
    fn stats(&self) -> Stats {
        let stages = self.budget.stages();
        let (coming_secs, unseen_secs) = (self.looking.coming().as_secs_f64(), self.looking.unseen().as_secs_f64());
        let overlay_counts = self.budget.counts(TimedStage::Overlay);
        let Self { pictures, lost, inferred, late, .. } = *self;
        Stats { pictures, lost, inferred, coming_secs, unseen_secs, stages, late, overlay_counts }
    }

    fn side(&self) -> Option<Side> {
        self.exams.current().and_then(|exam| exam.side)
    }
}

impl Desk {
    pub fn new(clock: Arc<dyn Clock>, name_check: NameCheck, out: Outlets) -> Self {
        let desk = Self { clock, name_check, out, now: Mutex::default() };
        desk.publish(&desk.lock());
        desk
    }

    /// Takes a new picture; shows it at once, unless the page is frozen.
    pub fn picture(&self, frame: Frame, device: Option<Description>) -> Arc<Picture> {
        let mut now = self.lock();
        let (sequence, captured, exam) = (frame.sequence, frame.timestamp, now.exam_number);
        let picture = Arc::new(Picture { sequence, captured, exam, frame });
        // The first picture says nothing about losses before it.
        now.lost += now.sequence.map_or(0, |last| picture.frame.dropped_since(last));
        now.sequence = Some(picture.sequence);
        if now.device != device {
            now.device = device;
        }
        if now.size != picture.size() {
            now.lesions.clear();
            now.exams.forget_places();
        }
        now.size = picture.size();
        let _ = now.state.on(SignEvent::Picture);
        now.looking.picture(picture.captured);
        now.pictures += 1;
        // The recorder takes one from `taken` and looks in `pictures` whether it is shown.
        let is_shown = now.state.shows_pictures();
        if is_shown {
            self.out.pictures.send_replace(Some(picture.clone()));
        }
        self.out.taken.send_replace(Some(picture.clone()));
        if is_shown {
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
        if event == SignEvent::Still {
            // There is nothing new to look at, also while the page is frozen.
            now.looking.looked();
        }
        if now.state.on(event) != Ok(Step::Changed) {
            return;
        }
        if !matches!(now.state, SignState::Ready) {
            // An outline must not stay on pictures that it was not made from. A frozen picture keeps its outlines.
            if !matches!(now.state, SignState::Frozen { .. } | SignState::Still) {
                self.clear_overlay();
            }
            if matches!(now.state, SignState::Dark { .. } | SignState::Broken { .. }) {
                self.out.guide.send_modify(|guide| Arc::make_mut(guide).items.clear());
                self.out.pictures.send_replace(None);
                self.out.taken.send_replace(None);
            }
        }
        match &now.state {
            SignState::Blind { trouble } => tracing::warn!(reason = %trouble, "live: {}", now.state.words()),
            SignState::Broken { reason } => tracing::warn!(reason, "live: {}", now.state.words()),
            state => tracing::info!("live: {}", state.words()),
        }
        self.publish(&now);
        // Without pictures nobody would tell of the last second, and later it would count as new.
        self.publish_stats(&mut now, true);
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

    /// Publishes an overlay that is not too late, of a picture of this exam.
    pub fn overlay(&self, overlay: Overlay, exam: u64, captured: Duration) {
        let mut now = self.lock();
        // Its exam has ended meanwhile: it may be another patient's. Or another breast is scanned by now: its lesions are not there.
        if exam != now.exam_number || overlay.side != now.side() {
            return;
        }
        if matches!(now.state, SignState::Blind { .. } | SignState::Ready) {
            let took = self.clock.now().saturating_sub(captured);
            now.budget.add(TimedStage::Overlay, took);
            now.looking.looked();
            for lesion in &overlay.lesions {
                if now.lesions.insert(lesion.id) {
                    now.exams.place_by_probe(lesion.id);
                }
            }
            self.out.overlay.send_replace(Arc::new(overlay));
            let _ = now.state.on(SignEvent::Answer);
            self.publish(&now);
        }
    }

    /// Counts an overlay that came too late to be shown.
    pub fn late(&self) {
        self.lock().late += 1;
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

    /// The breast that is scanned, as it was said last.
    pub fn side_now(&self) -> Option<Side> {
        self.lock().side()
    }

    pub fn exam_number(&self) -> u64 {
        self.lock().exam_number
    }

    /// # Errors
    /// When another patient's exam runs, the patient is not identified, or the scanner's screen shows another patient.
    pub fn start_exam(&self, order: Order, utc: &str, study_uid: &str) -> Result<String, ExamError> {
        let mut now = self.lock();
        let running = now.exams.current().map_or("", |exam| &exam.started_utc);
        if order.seen.as_ref().is_some_and(|seen| seen != running) {
            return Err(ExamError::NotThatExam);
        }
        let agreement = self.agreement(&now, &order.patient);
        let insisted = order.despite_screen || self.name_check != NameCheck::Refuse;
        if agreement == Some(Agreement::Differs) && !insisted {
            return Err(ExamError::OtherOnScreen);
        }
        let taken = order.taken.words();
        let done = now.exams.start(order.patient, order.request.map(|request| *request), utc, study_uid)?;
        let is_news = !matches!(done, Done::Already(_));
        let words = self.exam_changed(&mut now, done);
        if !is_news {
            return Ok(words);
        }
        now.of_nobody = Nobodys::default();
        now.doubt = Doubt::default();
        self.publish_agreement(&mut now, agreement);
        let screen = agreement.map(|agreement| format!("; {}", agreement.words()));
        Ok(words + &taken + &screen.unwrap_or_default())
    }

    /// What the scanner's screen shows by now. Compared outside the lock, for which the pictures would wait.
    pub fn on_screen(&self, screen: Screen) {
        let patient = self.lock().exams.current().map(|exam| exam.patient.clone());
        let found = patient.as_ref().and_then(|patient| compared(&screen, patient));
        let mut now = self.lock();
        (now.screen, now.screen_at) = (screen, self.clock.now());
        if now.exams.current().map(|exam| &exam.patient) != patient.as_ref() {
            return;
        }
        let Now { exams, screen, screen_at, of_nobody, .. } = &mut *now;
        if let Screen::Shows(screen) = screen
            && exams.current().is_some_and(|exam| is_nobody(&exam.patient))
        {
            of_nobody.read(screen, *screen_at, READ_LATELY);
        }
        let (told, at) = (now.agreement, now.screen_at);
        let told = now.doubt.after(found, told, at, READ_LATELY);
        self.publish_agreement(&mut now, told);
    }

    /// The newest picture, also while a user has frozen the page.
    pub fn latest(&self) -> Option<Arc<Picture>> {
        self.out.taken.borrow().clone()
    }

    fn publish_agreement(&self, now: &mut Now, agreement: Option<Agreement>) {
        if agreement != now.agreement {
            match agreement {
                Some(Agreement::Differs) => tracing::warn!("live: {}", Agreement::Differs.words()),
                Some(other) => tracing::info!("live: {}", other.words()),
                None => {}
            }
            now.agreement = agreement;
            now.another_on_screen |= agreement == Some(Agreement::Differs);
            self.publish(now);
        }
    }

    /// Of the patient with what the screen shows, and with all that it showed while the running exam belonged to nobody.
    fn agreement(&self, now: &Now, patient: &Patient) -> Option<Agreement> {
        let lately = self.clock.now().saturating_sub(now.screen_at) <= READ_LATELY;
        let screen = if lately || now.screen == Screen::NoArea { &now.screen } else { &Screen::NotRead };
        let found = compared(screen, patient)?;
        let other = now.of_nobody.all().any(|screen| name::compare(screen, patient) == Agreement::Differs);
        Some(if other { Agreement::Differs } else { found })
    }

    /// `utc`: RFC 3339, used only when an exam ends.
    pub fn stop_exam(&self, utc: &str) -> String {
        let mut now = self.lock();
        if let Some(exam) = now.exams.current().cloned() {
            let (name_on_screen, another_on_screen) = (now.agreement, now.another_on_screen);
            let (stats, coverage, utc) = (now.stats(), now.coverage.clone(), utc.to_owned());
            let ended = Arc::make_mut(&mut now.ended);
            ended.push_back(Ended { exam, name_on_screen, another_on_screen, stats, coverage, utc });
            if ended.len() > MOST_ENDED {
                ended.pop_front();
            }
        }
        let done = now.exams.stop();
        self.exam_changed(&mut now, done)
    }

    /// After the begin or end of an exam, statistics and lesion numbers start again.
    fn exam_changed(&self, now: &mut Now, done: Done) -> String {
        if matches!(done, Done::Changed(_)) {
            now.exam_number += 1;
            let number = now.exam_number;
            now.exams.numbered(number);
            now.another_on_screen = false;
            now.lesions.clear();
            // What is frozen is of the exam before, perhaps of another patient.
            let _ = now.state.on(SignEvent::Thaw);
            self.out.pictures.send_replace(None);
            self.clear_overlay();
            self.publish_stats(now, true);
            (now.budget, now.pictures, now.lost, now.inferred, now.late) = (Budget::default(), 0, 0, 0, 0);
            (now.looking, now.coverage) = (Looking::default(), Coverage::default());
            self.out.guide.send_replace(Arc::new(Guidance { exam: number, ..Guidance::default() }));
            self.publish(now);
        }
        if matches!(done, Done::Bound(_)) {
            self.publish(now);
        }
        if now.exams.current().is_none() {
            now.of_nobody = Nobodys::default();
            self.publish_agreement(now, None);
        }
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

    /// # Errors
    /// When no exam runs.
    pub fn side(&self, side: Option<Side>) -> Result<String, ExamError> {
        let mut now = self.lock();
        let done = now.exams.side(side)?;
        self.publish(&now);
        Ok(done.words())
    }

    /// `seen`: what the number of the lesion is of; `None`: of whatever runs.
    ///
    /// # Errors
    /// When no exam runs, no such lesion was seen in it, there is no such place, or the number is of another exam or another size.
    pub fn place(&self, lesion: u32, place: &Place, seen: Option<&Numbered>) -> Result<String, ExamError> {
        let mut now = self.lock();
        if let Some(Numbered { started_utc, size }) = seen {
            if now.exams.current().is_none_or(|exam| exam.started_utc != *started_utc) {
                return Err(ExamError::NotThatExam);
            }
            if *size != now.size {
                return Err(ExamError::NumberedAnew);
            }
        }
        let Now { exams, lesions, .. } = &mut *now;
        let done = exams.place(lesion, place, lesions)?;
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
            another_on_screen: now.another_on_screen,
            ended: now.ended.clone(),
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
            self.out.stats.send_replace(Arc::new(now.stats()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of the patient with what the screen shows; with [`NameCheck::Off`] nobody reads it, and it has no area.
fn compared(screen: &Screen, patient: &Patient) -> Option<Agreement> {
    match screen {
        _ if is_nobody(patient) => None,
        Screen::NoArea => None,
        Screen::Shows(screen) => Some(name::compare(screen, patient)),
        Screen::NotRead => Some(Agreement::Unclear(Unclear::NotRead)),
    }
}

#[cfg(test)]
mod tests;
