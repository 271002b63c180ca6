//! A recording through the live path without a clock: each picture waits for its answer, so none is skipped, however slow the
//! machine is. The same recording gives the same overlays. For measuring, and for replaying a field bug at a desk.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hal::capture::frame::Frame;
use hal::capture::replay::Recording;
use hal::capture::{Description, Error};
use hal::clock::Clock;
use hal::urgency::Precedence;
use serde::Serialize;

use crate::desk::{Desk, Outlets};
use crate::infer::supply::Supply;
use crate::infer::{Infer, Working};
use crate::screen::profile::Profiles;
use crate::source::newest::Newest;
use crate::view::{self, Overlay, Sign};

/// What came of one picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    pub sequence: u64,
    /// Of the recording, from its first picture on, s.
    pub time_s: f64,
    pub sign: Sign,
    /// `None` when the picture was not looked at: it stands still, or there is no model for it.
    pub overlay: Option<Overlay>,
}

/// Time as the recording has it; nobody waits for it.
#[derive(Debug, Default)]
struct Recorded(Mutex<Duration>);

impl Recorded {
    fn set(&self, now: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

impl Clock for Recorded {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep(&self, _span: Duration) {}
}

/// Takes the recording through source, model and tracker, picture by picture, and tells `each` what came of it until that
/// says no.
///
/// # Errors
/// When the recording is damaged. A missing model or profile is no error: the sign says it.
pub fn run(
    recording: &mut dyn Recording,
    profiles: Profiles,
    supply: Box<dyn Supply>,
    mut each: impl FnMut(&Frame, Seen) -> bool,
) -> Result<(), Error> {
    let clock = Arc::new(Recorded::default());
    let (stage, mut view) = view::channel();
    let outlets =
        Outlets { pictures: stage.pictures, overlay: stage.overlay, status: stage.status, stats: stage.stats };
    let desk = Arc::new(Desk::new(clock.clone(), outlets));
    let mut infer = Infer {
        desk: desk.clone(),
        newest: Newest::default(),
        clock: clock.clone(),
        supply,
        profiles,
        precedence: Precedence::default(),
        deadline: Duration::MAX,
        state: Working::default(),
    };
    let device = Description { name: recording.name(), driver: "replay".into(), simulated: true };
    let shape = recording.shape().clone();
    for sequence in 0.. {
        let mut bytes = vec![0; shape.bytes(0)];
        let Some(time) = recording.read(&mut bytes)? else { break };
        clock.set(time);
        let frame = Frame::new(shape.clone(), sequence, time, Arc::new(bytes));
        let picture = desk.picture(frame, Some(device.clone()));
        if !infer.is_looking() {
            // The model is loaded; that costs the first picture's answer, as it does live.
            infer.see(&picture);
        }
        view.overlay.mark_unchanged();
        infer.see(&picture);
        let changed = view.overlay.has_changed().unwrap_or(false);
        let overlay = Overlay::clone(&view.overlay.borrow_and_update());
        let overlay = (changed && overlay.sequence == sequence).then_some(overlay);
        let sign = view.status.borrow().sign.clone();
        if !each(&picture.frame, Seen { sequence, time_s: time.as_secs_f64(), sign, overlay }) {
            break;
        }
    }
    Ok(())
}
