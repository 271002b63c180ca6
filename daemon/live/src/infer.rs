//! Runs the model: takes the newest picture, cuts out the sector, runs the network and follows lesions over time. Runs
//! on its own thread. Whatever goes wrong here is shown as a sign and tried again, and the pictures go on.

mod cut;
mod eye;
pub(crate) mod still;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use hal::backoff::{Backoff, Pauses};
use hal::clock::Clock;
use hal::urgency::Precedence;

use self::eye::{Eye, Taken};
use crate::desk::budget::TimedStage;
use crate::desk::session::SignEvent;
use crate::desk::{Desk, Model};
use crate::newest::Newest;
use crate::screen::profile::{Profile, ProfileError, Profiles};
use crate::supply::{Ready, Supply};
use crate::track::Tracker;
use crate::trouble::Trouble;
use crate::view::{Overlay, Picture};

/// The model counts as slow after this many late answers in a row.
const LATE: u32 = 3;
/// Pictures in a row that cannot be read before that is said. A camera that compresses its pictures damages one now and then.
pub(crate) const UNREADABLE: u32 = 15;
/// Pauses before a model that failed is loaded again.
const PAUSES: Pauses = Pauses::new(Duration::from_millis(200), Duration::from_secs(10));
/// How often to check whether another package was activated.
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Infer {
    pub desk: Arc<Desk>,
    pub newest: Newest<Arc<Picture>>,
    pub clock: Arc<dyn Clock>,
    pub supply: Box<dyn Supply>,
    pub profiles: Profiles,
    pub precedence: Precedence,
    /// An overlay that is older than this, counted from capture, is not shown.
    pub deadline: Duration,
    pub state: Working,
}

/// What is kept from picture to picture.
#[derive(Debug)]
pub struct Working {
    loaded: Option<Ready>,
    /// What makes its runs, as the desk was told.
    told: Option<String>,
    /// For the loaded model and the present screen.
    eye: Option<Eye>,
    tracker: Tracker,
    exam_number: u64,
    chosen: Option<Chosen>,
    backoff: Backoff,
    /// What went wrong last; shown until the next attempt.
    trouble: Trouble,
    late: u32,
    /// Pictures in a row that could not be read.
    unreadable: u32,
    looked_at: Duration,
}

impl Default for Working {
    fn default() -> Self {
        Self {
            loaded: None,
            told: None,
            eye: None,
            tracker: Tracker::default(),
            exam_number: 0,
            chosen: None,
            backoff: Backoff::new(PAUSES),
            trouble: Trouble::NotYet,
            late: 0,
            unreadable: 0,
            looked_at: Duration::ZERO,
        }
    }
}

/// The profile for screens of one size, or why there is none.
#[derive(Debug)]
struct Chosen {
    screen: [usize; 2],
    profile: Result<Arc<Profile>, ProfileError>,
}

impl Infer {
    /// Analyses pictures until the slot that they come from is closed.
    pub fn run(&mut self) {
        while let Some(picture) = self.newest.take() {
            self.see(&picture);
        }
    }

    /// Analyses one picture; the result goes to the desk.
    pub fn see(&mut self, picture: &Picture) {
        // A panic is treated like any other fault of the model.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.look(picture)));
        self.desk.running(None);
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(Trouble::Picture(error))) => self.unreadable(error),
            Ok(Err(trouble)) => self.fault(trouble),
            Err(panic) => self.fault(Trouble::Crashed(hal::panic::text(panic.as_ref()))),
        }
    }

    /// Whether model and profile are ready, so that each picture is analysed.
    pub fn is_looking(&self) -> bool {
        self.state.eye.is_some() && self.state.loaded.is_some()
    }

    /// A picture that is damaged says nothing of the model: it is skipped.
    fn unreadable(&mut self, error: hal::capture::Error) {
        self.state.unreadable = self.state.unreadable.saturating_add(1);
        tracing::debug!(%error, in_a_row = self.state.unreadable, "a picture cannot be read");
        if self.state.unreadable >= UNREADABLE {
            self.desk.happened(SignEvent::Trouble(Trouble::Picture(error)));
        }
    }

    /// The overlay is lost, and the model is loaded again after a pause.
    fn fault(&mut self, trouble: Trouble) {
        self.state.loaded = None;
        self.state.eye = None;
        self.state.backoff.failed(self.clock.now());
        self.state.trouble.clone_from(&trouble);
        self.desk.happened(SignEvent::Trouble(trouble));
        self.desk.model(Model::default());
    }

    fn look(&mut self, picture: &Picture) -> Result<(), Trouble> {
        if !self.ready(picture)? {
            return Ok(());
        }
        let (Some(eye), Some(ready)) = (&mut self.state.eye, &mut self.state.loaded) else { return Ok(()) };
        let begun = self.clock.now();
        let Taken { still, elsewhere } = eye.take(picture)?;
        self.state.unreadable = 0;
        let cut = self.clock.now();
        self.desk.took(TimedStage::Roi, cut.saturating_sub(begun));
        self.desk.happened(if still { SignEvent::Still } else { SignEvent::Moved });
        if elsewhere {
            self.state.tracker.cut();
        }
        if still {
            return Ok(());
        }
        self.desk.running(Some(cut));
        let claim = self.precedence.claim();
        let map = eye.infer(ready.model.as_mut());
        drop(claim);
        let inferred = self.clock.now();
        self.desk.running(None);
        let map = map?;
        self.desk.took(TimedStage::Infer, inferred.saturating_sub(cut));
        if self.state.told.as_ref().is_some_and(|told| *told != ready.accelerator.now()) {
            self.state.told = Some(ready.accelerator.now());
            self.desk.model(told_of(ready));
        }
        let found = eye.lesions(&map);
        let side = self.desk.side_now();
        self.state.tracker.scanned(side);
        let lesions = self.state.tracker.update(picture.sequence, picture.captured, found, eye.mm_per_pixel());
        let now = self.clock.now();
        self.desk.took(TimedStage::Track, now.saturating_sub(inferred));
        self.state.backoff.succeeded();
        let age = now.saturating_sub(picture.captured);
        if age > self.deadline {
            self.late(age);
        } else {
            self.state.late = 0;
            let (age_ms, mm_per_pixel) = (age.as_secs_f64() * 1e3, eye.mm_per_pixel());
            let overlay = Overlay { sequence: picture.sequence, age_ms, mm_per_pixel, side, lesions };
            self.desk.overlay(overlay, picture.exam, picture.captured);
        }
        Ok(())
    }

    fn late(&mut self, age: Duration) {
        self.state.late += 1;
        self.desk.late();
        if self.state.late >= LATE {
            tracing::debug!(?age, "the overlay is late");
            self.desk.happened(SignEvent::Trouble(Trouble::Late(self.deadline)));
        }
    }

    /// Whether there are a profile and a model for this picture; chooses and loads them if necessary.
    fn ready(&mut self, picture: &Picture) -> Result<bool, Trouble> {
        // Of the exam before, perhaps of another patient: it must not count for a lesion of this one.
        if picture.exam != self.desk.exam_number() {
            return Ok(false);
        }
        if std::mem::replace(&mut self.state.exam_number, picture.exam) != picture.exam {
            self.state.tracker = Tracker::default();
        }
        let profile = match self.profile(picture) {
            Ok(profile) => profile,
            Err(error) => {
                self.desk.happened(SignEvent::Trouble(error.into()));
                return Ok(false);
            }
        };
        if !self.model()? {
            return Ok(false);
        }
        let (Some(ready), None) = (&mut self.state.loaded, &self.state.eye) else { return Ok(true) };
        // The first run of a network is slow; afterwards there are newer pictures than this one.
        let eye = Eye::new(&ready.manifest, profile, ready.steps.as_ref())?;
        eye.infer(ready.model.as_mut())?;
        self.state.eye = Some(eye);
        Ok(false)
    }

    /// The profile for a screen of this size, or why there is none.
    fn profile(&mut self, picture: &Picture) -> Result<Arc<Profile>, ProfileError> {
        let screen = picture.size();
        if let Some(chosen) = self.state.chosen.as_ref().filter(|chosen| chosen.screen == screen) {
            return chosen.profile.clone();
        }
        let profile = self.profiles.choose(screen).cloned().map(Arc::new);
        self.desk.profile(profile.as_ref().map_or("", |profile| &profile.name));
        self.state.eye = None;
        self.state.tracker = Tracker::default();
        self.state.chosen = Some(Chosen { screen, profile: profile.clone() });
        profile
    }

    /// Whether there is a model; loads it if it is due.
    fn model(&mut self) -> Result<bool, Trouble> {
        let now = self.clock.now();
        if now.saturating_sub(self.state.looked_at) >= LOOK_EVERY {
            self.state.looked_at = now;
            if self.state.loaded.as_ref().is_some_and(|loaded| self.supply.is_outdated(loaded)) {
                tracing::info!("live: another model package is active");
                (self.state.loaded, self.state.eye) = (None, None);
            }
        }
        if self.state.loaded.is_some() {
            return Ok(true);
        }
        if !self.state.backoff.is_due(now) {
            self.desk.happened(SignEvent::Trouble(self.state.trouble.clone()));
            return Ok(false);
        }
        if !self.state.backoff.has_failed() {
            self.desk.happened(SignEvent::Trouble(Trouble::Loading));
        }
        let ready = self.supply.load()?;
        self.state.told = Some(ready.accelerator.now());
        self.desk.model(told_of(&ready));
        self.state.loaded = Some(ready);
        Ok(true)
    }
}

fn told_of(ready: &Ready) -> Model {
    let name = format!("{} {}", ready.manifest.id, ready.manifest.version);
    Model { name, mark: ready.mark(), made_by: Some(ready.made_by()) }
}
