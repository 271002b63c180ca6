//! Passes captured pictures to the page at once and the newest one to the model. Blocking, on its own thread; waits
//! only for the device.

mod blank;
pub mod device;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hal::Capture;
use hal::capture::guard::{DeviceState, Supervised, Watch};
use hal::clock::Clock;

pub use self::blank::Blank;
use crate::desk::Desk;
use crate::desk::session::SignEvent;
use crate::newest::Newest;
use crate::trouble::Trouble;
use crate::view::Picture;

/// Longest wait for one picture; the stop flag is checked at least this often.
const WAIT: Duration = Duration::from_millis(100);
/// A call of the driver that has not returned after this long hangs. The supervision's own limits need calls that return.
const HANGS_AFTER: Duration = Duration::from_secs(5);

/// When the thread of the source last had a call of the driver behind it. Seen by another thread: it cannot say itself that it hangs.
#[derive(Debug, Clone)]
pub struct Pulse {
    clock: Arc<dyn Clock>,
    /// Milliseconds of the clock.
    last: Arc<AtomicU64>,
}

impl Pulse {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let pulse = Self { clock, last: Arc::default() };
        pulse.beat();
        pulse
    }

    fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    pub fn hangs(&self) -> bool {
        let since = self.now().saturating_sub(self.last.load(Ordering::Relaxed));
        Duration::from_millis(since) > HANGS_AFTER
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX)
    }
}

pub struct Source<C> {
    pub device: Supervised<C>,
    pub desk: Arc<Desk>,
    pub newest: Newest<Arc<Picture>>,
    /// For the scan guidance.
    pub to_guide: Newest<Arc<Picture>>,
    pub stop: Arc<AtomicBool>,
    /// A run of the model that lasts longer than this is reported as too slow.
    pub patience: Duration,
    pub blank: Blank,
    pub pulse: Pulse,
}

impl<C> std::fmt::Debug for Source<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("device", &self.device).finish_non_exhaustive()
    }
}

impl<C: Capture> Source<C> {
    /// Captures pictures until `stop` is set.
    pub fn run(&mut self) {
        self.device.start();
        let watch = self.device.watch();
        while !self.stop.load(Ordering::Relaxed) {
            let asked = self.device.next_frame(WAIT);
            self.pulse.beat();
            match asked {
                // A grabber without a signal sends pictures of nothing: the exam must end, and nobody shall take them for the scanner's.
                Ok(frame) if self.blank.is_lost() && self.blank.look(&frame) => self.shows_nothing(),
                Ok(frame) => {
                    let picture = self.desk.picture(frame, watch.status().device);
                    self.newest.put(picture.clone());
                    self.to_guide.put(picture.clone());
                    self.watch_model();
                    // After it was passed on: nobody waits for this.
                    if self.blank.look(&picture.frame) {
                        self.shows_nothing();
                    }
                }
                Err(_) => self.trouble(&watch),
            }
        }
        self.device.stop();
    }

    fn shows_nothing(&self) {
        let reason = "the picture has one colour and nothing in it: is the scanner on, and the cable seated?";
        self.desk.happened(SignEvent::Lost(reason.to_owned()));
    }

    /// Reports a model that hangs: its own thread cannot report it while it waits for the run to end.
    fn watch_model(&self) {
        if let Some(lasts) = self.desk.run_lasts().filter(|lasts| *lasts > self.patience) {
            tracing::debug!(?lasts, "the model is still running");
            self.desk.happened(SignEvent::Trouble(Trouble::NoAnswer(self.patience)));
        }
    }

    /// A single missing picture is not reported; a change in the state of the device is.
    fn trouble(&self, watch: &Watch) {
        let lost = |why: &str| SignEvent::Lost(why.to_owned());
        let event = match watch.status().state {
            DeviceState::Idle | DeviceState::Starting { .. } | DeviceState::Streaming { .. } => return,
            DeviceState::NoSignal { .. } => lost("nothing arrives at the input"),
            DeviceState::Stuck { .. } => lost("the device delivers nothing"),
            DeviceState::Changed { .. } => lost("the scanner's resolution changes"),
            DeviceState::Unplugged { .. } => lost("the device is not connected"),
            DeviceState::Failed { reason, .. } => SignEvent::Fault(reason),
        };
        self.desk.happened(event);
    }
}
