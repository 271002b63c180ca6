//! Wraps a device and makes it fail on demand, at once or after some frames.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::capture::{Capture, CaptureFault, Config, Description, Error, Frame, Offer, Validated, Validation};
use crate::clock::Clock;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The device is gone, and cannot be opened, until healed; what was open then stays dead.
    Unplug,
    /// Nothing arrives at the input until healed.
    NoSignal,
    /// The device says nothing until healed.
    Stuck,
    /// The source has another resolution from now on.
    SourceChange { width: u32, height: u32 },
    /// One frame has no more than so many bytes in each buffer.
    ShortBuffer { bytes: usize },
}

/// The switchboard: clones act on the same devices.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    /// Frames still delivered before each.
    planned: Vec<(u64, Fault)>,
    lasting: Option<Fault>,
    short: Option<usize>,
    /// The resolution that the source was changed to.
    source: Option<(u32, u32)>,
    /// Devices opened before the last unplugging are dead.
    plugged: u64,
}

impl Plan {
    fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::SourceChange { width, height } => self.source = Some((width, height)),
            Fault::ShortBuffer { bytes } => self.short = Some(bytes),
            Fault::Unplug => {
                self.plugged += 1;
                self.lasting = Some(fault);
            }
            Fault::NoSignal | Fault::Stuck => self.lasting = Some(fault),
        }
    }

    /// A frame is asked for: what was planned for now strikes.
    fn ask(&mut self) {
        let (due, later) = std::mem::take(&mut self.planned).into_iter().partition(|(left, _)| *left == 0);
        self.planned = later;
        let due: Vec<(u64, Fault)> = due;
        due.into_iter().for_each(|(_, fault)| self.strike(fault));
    }
}

impl Faults {
    /// Strikes now.
    pub fn now(&self, fault: Fault) {
        self.lock().strike(fault);
    }

    /// Strikes when `frames` more frames were delivered.
    pub fn after(&self, frames: u64, fault: Fault) {
        self.lock().planned.push((frames, fault));
    }

    /// Ends what lasts. A source that has changed stays as it is.
    pub fn heal(&self) {
        self.lock().lasting = None;
    }

    /// Opens `device` behind this switchboard.
    ///
    /// # Errors
    /// `CaptureFault::NotPresent` while it is unplugged.
    pub fn wrap<C: Capture>(&self, device: C, clock: Arc<dyn Clock>) -> Result<Faulty<C>, Error> {
        let plan = self.lock();
        if plan.lasting == Some(Fault::Unplug) {
            return Err(Error::new(CaptureFault::NotPresent, "unplugged on demand"));
        }
        Ok(Faulty { device, clock, faults: self.clone(), plugged: plan.plugged, size: None })
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A device that fails when its [`Faults`] say so.
#[derive(Debug)]
pub struct Faulty<C> {
    device: C,
    clock: Arc<dyn Clock>,
    faults: Faults,
    plugged: u64,
    /// Of the stream that runs.
    size: Option<(u32, u32)>,
}

impl<C> Faulty<C> {
    fn alive(&self, plan: &Plan) -> Result<(), Error> {
        match plan.plugged == self.plugged {
            true => Ok(()),
            false => Err(Error::new(CaptureFault::Disconnected, "unplugged on demand")),
        }
    }
}

impl<C: Capture> Capture for Faulty<C> {
    fn describe(&self) -> Description {
        self.device.describe()
    }

    fn formats(&mut self) -> Result<Vec<Offer>, Error> {
        self.alive(&self.faults.lock())?;
        self.device.formats()
    }

    fn validate(&mut self, wanted: &Config) -> Result<Validation, Error> {
        let source = {
            let plan = self.faults.lock();
            self.alive(&plan)?;
            plan.source
        };
        let (width, height) = source.unwrap_or((wanted.width, wanted.height));
        let possible = self.device.validate(&Config { width, height, ..wanted.clone() })?;
        Ok(match possible.accepted() {
            Some(accepted) if wanted.nonsense().is_none() => Validation::of(wanted, accepted.config().clone()),
            _ => self.device.validate(wanted)?,
        })
    }

    fn start(&mut self, config: &Validated) -> Result<(), Error> {
        let size = (config.config().width, config.config().height);
        {
            let plan = self.faults.lock();
            self.alive(&plan)?;
            if plan.source.is_some_and(|source| source != size) {
                return Err(Error::new(CaptureFault::SourceChanged, "the source was changed on demand"));
            }
        }
        self.device.start(config)?;
        self.size = Some(size);
        Ok(())
    }

    fn next_frame(&mut self, timeout: Duration) -> Result<Frame, Error> {
        let (lasting, changed) = {
            let mut plan = self.faults.lock();
            plan.ask();
            self.alive(&plan)?;
            (plan.lasting, self.size.is_some() && plan.source.is_some() && plan.source != self.size)
        };
        match lasting {
            Some(Fault::NoSignal) => return Err(Error::new(CaptureFault::NoSignal, "no signal, on demand")),
            Some(Fault::Stuck) => {
                self.clock.sleep(timeout);
                return Err(Error::new(CaptureFault::TimedOut, "stuck on demand"));
            }
            _ if changed => return Err(Error::new(CaptureFault::SourceChanged, "the source was changed on demand")),
            _ => {}
        }
        let frame = self.device.next_frame(timeout)?;
        let mut plan = self.faults.lock();
        plan.planned.iter_mut().for_each(|(left, _)| *left = left.saturating_sub(1));
        Ok(match plan.short.take() {
            Some(bytes) => frame.cut_to(bytes),
            None => frame,
        })
    }

    fn stop(&mut self) {
        self.size = None;
        self.device.stop();
    }
}
