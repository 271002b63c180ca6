//! Supervises a device: opens, negotiates and starts it, and after each fault tries again without limit, with growing
//! pauses. The reader gets frames with rising numbers, or an error that says what is wrong at present.

pub mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Capture, CaptureFault, Config, Description, Error, Frame, Validation, not_started};
use crate::backoff::Pauses;
use crate::clock::Clock;

pub use state::{DeviceEvent, DeviceState, IllegalTransition, Step};

/// Time limits and pauses of the supervision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A device that delivers nothing for so long is stuck.
    pub stuck_after: Duration,
    /// The first pause before it is tried again; doubles each time.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            stuck_after: Duration::from_secs(2),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(2),
        }
    }
}

impl Policy {
    /// The pause before attempt `attempt`, counted from 0; a millisecond at least.
    pub fn pause(&self, attempt: u32) -> Duration {
        Pauses::new(self.first_pause, self.longest_pause).after(attempt.saturating_add(1)).max(BUSY_PAUSE)
    }
}

/// Event counts since the supervision was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counters {
    /// Delivered to the reader.
    pub frames: u64,
    /// Lost between two delivered frames of one stream.
    pub dropped: u64,
    /// Arrived damaged and were not delivered.
    pub short: u64,
    /// Times each trouble began.
    pub no_signal: u64,
    pub stuck: u64,
    pub changed: u64,
    pub unplugged: u64,
    pub failed: u64,
    /// Successful starts after the first.
    pub restarts: u64,
}

impl Counters {
    fn note(&mut self, state: &DeviceState) {
        match state {
            DeviceState::Idle | DeviceState::Starting { .. } | DeviceState::Streaming { .. } => {}
            DeviceState::NoSignal { .. } => self.no_signal += 1,
            DeviceState::Stuck { .. } => self.stuck += 1,
            DeviceState::Changed { .. } => self.changed += 1,
            DeviceState::Unplugged { .. } => self.unplugged += 1,
            DeviceState::Failed { .. } => self.failed += 1,
        }
    }
}

/// What there is to see of a supervised device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    pub state: DeviceState,
    pub counters: Counters,
    /// Of the device that was opened last.
    pub device: Option<Description>,
    /// What was negotiated last.
    pub config: Option<Config>,
    /// How that differs from what is wanted, in words.
    pub changes: Vec<String>,
}

/// Sees the status from any thread.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Mutex<Status>>);

impl Watch {
    pub fn status(&self) -> Status {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to leave a reader that holds all buffers.
const BUSY_PAUSE: Duration = Duration::from_millis(1);

type Open<C> = Box<dyn FnMut() -> Result<C, Error> + Send>;

/// A device that is kept going.
pub struct Supervised<C> {
    open: Open<C>,
    wanted: Config,
    policy: Policy,
    clock: Arc<dyn Clock>,
    watch: Watch,
    device: Option<C>,
    running: bool,
    starts: u64,
    /// Attempts since the last frame.
    attempt: u32,
    /// Nothing is tried before.
    not_before: Duration,
    /// When the device last showed life.
    alive: Duration,
    numbers: Numbers,
}

/// Numbers of frames that go on rising when a device begins anew.
#[derive(Debug, Default)]
struct Numbers {
    /// Added to the device's; unknown until the first frame of a stream.
    offset: Option<u64>,
    last: Option<u64>,
}

impl Numbers {
    /// The number to give, and how many were lost since the last one.
    fn next(&mut self, sequence: u64) -> (u64, u64) {
        let follows = self.last.map_or(0, |last| last + 1);
        let offset = *self.offset.get_or_insert_with(|| follows.wrapping_sub(sequence));
        let number = sequence.wrapping_add(offset);
        self.last = Some(number);
        (number, number.saturating_sub(follows))
    }
}

impl<C> std::fmt::Debug for Supervised<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervised").field("status", &self.watch.status()).finish_non_exhaustive()
    }
}

impl<C: Capture> Supervised<C> {
    /// Supervises what `open` makes; nothing is opened before [`Supervised::start`] and the first frame is asked for.
    pub fn new(
        open: impl FnMut() -> Result<C, Error> + Send + 'static,
        wanted: Config,
        policy: Policy,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            open: Box::new(open),
            wanted,
            policy,
            clock,
            watch: Watch::default(),
            device: None,
            running: false,
            starts: 0,
            attempt: 0,
            not_before: Duration::ZERO,
            alive: Duration::ZERO,
            numbers: Numbers::default(),
        }
    }

    /// Sees the status from any thread.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    pub fn state(&self) -> DeviceState {
        self.watch.lock().state.clone()
    }

    pub fn counters(&self) -> Counters {
        self.watch.lock().counters
    }

    /// From now on pictures are wanted. Started already: nothing changes.
    pub fn start(&mut self) {
        if self.state() == DeviceState::Idle {
            (self.attempt, self.not_before) = (0, Duration::ZERO);
        }
        self.happen(DeviceEvent::Start);
    }

    /// Pictures are no longer wanted; the device is closed.
    pub fn stop(&mut self) {
        self.end_stream();
        self.device = None;
        self.happen(DeviceEvent::Stop);
    }

    /// The next whole frame; waits at most `timeout` and heals what it can meanwhile. Opening and negotiating take the
    /// time the device takes, on top.
    ///
    /// # Errors
    /// What is wrong just now, in the kinds of [`Capture::next_frame`] and [`Capture::start`]; asking again is right after
    /// each of them. `CaptureFault::BadInput` before [`Supervised::start`].
    pub fn next_frame(&mut self, timeout: Duration) -> Result<Frame, Error> {
        if self.state() == DeviceState::Idle {
            return Err(not_started());
        }
        let deadline = self.clock.now().saturating_add(timeout);
        loop {
            let error = match self.attempt(deadline) {
                Ok(frame) if frame.is_complete() => return Ok(self.deliver(frame)),
                Ok(frame) => self.discard(&frame),
                Err(error) => {
                    self.meet(&error);
                    error
                }
            };
            // Nothing is tried before; and where something may be, it was tried once at least.
            let now = self.clock.now();
            if now >= deadline || self.not_before >= deadline {
                self.clock.sleep(deadline.saturating_sub(now));
                return Err(error);
            }
            self.clock.sleep(self.not_before.saturating_sub(now));
        }
    }

    fn attempt(&mut self, deadline: Duration) -> Result<Frame, Error> {
        let wait = self.not_before.saturating_sub(self.clock.now());
        if !wait.is_zero() {
            let left = deadline.saturating_sub(self.clock.now());
            self.clock.sleep(wait.min(left));
            if wait > left {
                return Err(self.trouble());
            }
        }
        if !self.running {
            self.bring_up()?;
        }
        let now = self.clock.now();
        let patience = self.alive.saturating_add(self.policy.stuck_after).saturating_sub(now);
        let device = self.device.as_mut().ok_or_else(not_started)?;
        device.next_frame(deadline.saturating_sub(now).min(patience))
    }

    /// Opens, negotiates and starts, as far as that is not done.
    fn bring_up(&mut self) -> Result<(), Error> {
        let device = match &mut self.device {
            Some(device) => device,
            none => none.insert((self.open)()?),
        };
        self.watch.lock().device = Some(device.describe());
        let validation = device.validate(&self.wanted)?;
        let (config, changes) = match validation {
            Validation::Valid(config) => (config, Vec::new()),
            Validation::Adjusted(config, changes) => (config, changes),
            Validation::Invalid(reason) => {
                return Err(Error::new(CaptureFault::Other, format!("{} is not possible: {reason}", self.wanted)));
            }
        };
        device.start(&config)?;
        self.running = true;
        self.alive = self.clock.now();
        self.numbers.offset = None;
        self.starts += 1;
        tracing::info!(device = device.describe().name, config = %config.config(), ?changes, "capture started");
        let mut status = self.watch.lock();
        status.counters.restarts = self.starts - 1;
        status.config = Some(config.config().clone());
        status.changes = changes;
        Ok(())
    }

    fn deliver(&mut self, frame: Frame) -> Frame {
        self.alive = self.clock.now();
        self.attempt = 0;
        self.happen(DeviceEvent::Frame);
        let (number, dropped) = self.numbers.next(frame.sequence);
        let mut status = self.watch.lock();
        status.counters.frames += 1;
        status.counters.dropped += dropped;
        drop(status);
        frame.numbered(number)
    }

    /// A damaged frame shows that the device lives, and leaves a gap in the numbers.
    fn discard(&mut self, frame: &Frame) -> Error {
        self.alive = self.clock.now();
        self.watch.lock().counters.short += 1;
        self.not_before = self.clock.now().saturating_add(BUSY_PAUSE);
        Error::new(CaptureFault::BadInput, format!("{frame:?} arrived damaged"))
    }

    /// Takes the trouble in, and decides when and how it goes on.
    fn meet(&mut self, error: &Error) {
        let now = self.clock.now();
        if now < self.not_before {
            return;
        }
        match error.kind() {
            // Holding all buffers is the reader's doing, and a device without signal answers: neither is stuck.
            CaptureFault::Busy if self.running => self.alive = now,
            CaptureFault::NoSignal => self.alive = now,
            _ => {}
        }
        let silent = now.saturating_sub(self.alive) >= self.policy.stuck_after;
        let (event, reopen) = match error.kind() {
            CaptureFault::Busy | CaptureFault::TimedOut if self.running && !silent => {
                self.not_before = now.saturating_add(BUSY_PAUSE);
                return;
            }
            CaptureFault::TimedOut => (DeviceEvent::Silence, true),
            CaptureFault::NoSignal => (DeviceEvent::NoSignal, false),
            CaptureFault::SourceChanged => (DeviceEvent::SourceChanged, false),
            CaptureFault::NotPresent | CaptureFault::Disconnected => (DeviceEvent::Gone, true),
            CaptureFault::Busy | CaptureFault::BadInput | CaptureFault::Other => {
                (DeviceEvent::Refused(error.to_string()), true)
            }
        };
        let pause = match &event {
            // The source waits for nothing: negotiate at once, unless that was just tried.
            DeviceEvent::SourceChanged if self.attempt == 0 => Duration::ZERO,
            DeviceEvent::Refused(_) => self.policy.pause(u32::MAX),
            _ => self.policy.pause(self.attempt),
        };
        self.attempt = self.attempt.saturating_add(1);
        self.not_before = now.saturating_add(pause);
        // A stream without signal goes on when the signal comes back.
        if event != DeviceEvent::NoSignal {
            self.end_stream();
        }
        if reopen {
            self.device = None;
        }
        self.happen(event);
    }

    fn end_stream(&mut self) {
        if std::mem::take(&mut self.running)
            && let Some(device) = &mut self.device
        {
            device.stop();
        }
    }

    fn happen(&mut self, event: DeviceEvent) {
        let mut status = self.watch.lock();
        match status.state.on(event, self.clock.now()) {
            Ok(Step::Unchanged) => {}
            Ok(Step::Changed) => {
                let state = status.state.clone();
                status.counters.note(&state);
                drop(status);
                match &state {
                    DeviceState::Failed { reason, .. } => tracing::warn!(reason, "capture failed"),
                    state => tracing::info!(state = state.name(), "capture"),
                }
            }
            Err(fault) => tracing::error!("capture: {fault}"),
        }
    }

    /// The state as an error, for a reader that asks while a pause lasts.
    fn trouble(&self) -> Error {
        let status = self.watch.lock();
        let kind = match &status.state {
            DeviceState::NoSignal { .. } => CaptureFault::NoSignal,
            DeviceState::Changed { .. } => CaptureFault::SourceChanged,
            DeviceState::Unplugged { .. } => CaptureFault::Disconnected,
            DeviceState::Failed { reason, .. } => return Error::new(CaptureFault::Other, reason.clone()),
            _ => CaptureFault::TimedOut,
        };
        Error::new(kind, format!("the device is {}", status.state.name()))
    }
}

#[cfg(test)]
mod tests;
