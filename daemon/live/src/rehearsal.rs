//! Runs a recording through the live path without a clock: each picture waits for the model's answer, so none is
//! skipped, however slow the machine is. The same recording always gives the same overlays. Used for evaluation and for
//! reproducing faults.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hal::capture::convert;
use hal::capture::frame::Frame;
use hal::capture::replay::Recording;
use hal::capture::{Description, Error};
use hal::clock::Clock;
use hal::urgency::Precedence;
use models::task::us_breast::sector;
use serde::Serialize;

use crate::desk::{Desk, Outlets};
use crate::guidance::Item;
use crate::guide::{self, Guide};
use crate::infer::{Infer, Working};
use crate::name::NameCheck;
use crate::newest::Newest;
use crate::screen::profile::{Area, Profile, ProfileError, Profiles};
use crate::supply::Supply;
use crate::view::{self, Overlay, Sign};

/// The result for one picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    pub sequence: u64,
    /// Time since the first picture of the recording, s.
    pub time_s: f64,
    pub sign: Sign,
    /// `None` when the picture was not analysed: it is frozen, or there is no model.
    pub overlay: Option<Overlay>,
    /// How the picture is adjusted, and how fast the probe moves.
    pub guidance: Vec<Item>,
}

/// A clock that shows the time of the recording; sleeping returns at once.
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

/// A sector is looked for in this many pictures, from the first on: videos may begin in black.
const LOOKED_FOR_IN: usize = 60;

/// The profiles with which a recording is read: those given when one fits; otherwise, unless one is named, the sector is
/// found in the first picture that shows one, and is returned. The recording begins anew.
///
/// # Errors
/// When the recording is damaged.
pub fn profiles_for(recording: &mut dyn Recording, profiles: Profiles) -> Result<(Profiles, Option<Area>), Error> {
    let shape = recording.shape().clone();
    let screen = [shape.width as usize, shape.height as usize];
    if !matches!(profiles.choose(screen), Err(ProfileError::NoneForScreen(_))) {
        return Ok((profiles, None));
    }
    let mut grey = Vec::new();
    let mut found = None;
    for sequence in 0..LOOKED_FOR_IN {
        let mut bytes = vec![0; shape.bytes(0)];
        let Some(time) = recording.read(&mut bytes)? else { break };
        convert::grey(&Frame::new(shape.clone(), sequence as u64, time, Arc::new(bytes)), &mut grey)?;
        found = sector::find(&grey, screen).map(Area::from);
        if found.is_some() {
            break;
        }
    }
    recording.rewind()?;
    Ok(match found {
        Some(area) => (Profiles::of(vec![Profile::of_sector(screen, area)]), Some(area)),
        None => (profiles, None),
    })
}

/// Runs the recording through model and tracker, picture by picture, and passes each result to `each` until that
/// returns false.
///
/// # Errors
/// When the recording is damaged. A missing model or profile is not an error: the sign of each result says it.
pub fn run(
    recording: &mut dyn Recording,
    profiles: Profiles,
    supply: Box<dyn Supply>,
    mut each: impl FnMut(&Frame, Seen) -> bool,
) -> Result<(), Error> {
    let clock = Arc::new(Recorded::default());
    let (stage, mut view) = view::channel();
    let view::Stage { guide, pictures, taken, overlay, status, stats, .. } = stage;
    let outlets = Outlets { guide, pictures, taken, overlay, status, stats };
    let desk = Arc::new(Desk::new(clock.clone(), NameCheck::Off, outlets));
    let mut guide = Guide {
        desk: desk.clone(),
        newest: Newest::default(),
        profiles: profiles.clone(),
        state: guide::Watching::default(),
    };
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
            // This call loads the model and gives no answer; the second one analyses the picture.
            infer.see(&picture);
        }
        view.overlay.mark_unchanged();
        infer.see(&picture);
        guide.see(picture.clone());
        let changed = view.overlay.has_changed().unwrap_or(false);
        let overlay = Overlay::clone(&view.overlay.borrow_and_update());
        let overlay = (changed && overlay.sequence == sequence).then_some(overlay);
        let sign = view.status.borrow().sign.clone();
        let guidance = guide.state.items().to_vec();
        if !each(&picture.frame, Seen { sequence, time_s: time.as_secs_f64(), sign, overlay, guidance }) {
            break;
        }
    }
    Ok(())
}
