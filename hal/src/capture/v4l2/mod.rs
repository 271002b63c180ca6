//! Real video devices: the kernel's V4L2 interface, single-planar and multi-planar, buffers shared by mmap and exported
//! as dmabuf where the driver can.

mod ioctl;
mod buffers;
mod formats;
mod facts;
pub(super) mod signal;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use self::buffers::Buffers;
use self::ioctl::{Node, Queue};
use self::signal::Signal;
use super::config::BUFFERS;
use super::frame::Shape;
use super::{
    Capture, CaptureFault, Config, Description, Error, Frame, Offer, Rate, Validated, Validation, already_started,
    not_started, pacing, pool,
};
use crate::clock::{Clock, System};

/// An open V4L2 device.
#[derive(Debug)]
pub struct V4l2 {
    node: Node,
    path: String,
    description: Description,
    queue: Queue,
    stream: Option<Stream>,
}

#[derive(Debug)]
struct Stream {
    buffers: Buffers,
    shape: Shape,
    sequence: Option<u64>,
    signal: Signal,
    changed: bool,
}

/// What arrives at the input of a device that follows its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub interlaced: bool,
    /// `None` when the timings do not say.
    pub rate: Option<Rate>,
}

impl From<ioctl::DvTimings> for Source {
    fn from(timings: ioctl::DvTimings) -> Self {
        let rate = facts::rate(&timings);
        Self { width: timings.width, height: timings.height, interlaced: timings.interlaced != 0, rate }
    }
}

impl V4l2 {
    /// Opens a device file.
    ///
    /// # Errors
    /// `CaptureFault::NotPresent`: there is none, or it captures no video; `CaptureFault::Busy`; `Other` (no permission, for example).
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let failed = |doing: &'static str| {
            let name = name.clone();
            move |errno| facts::error(&name, doing, errno)
        };
        let node = Node::open(path).map_err(failed("opening"))?;
        let capability = node.capability().map_err(failed("asking what it is"))?;
        let has = if capability.all & ioctl::CAP_DEVICE_CAPS != 0 { capability.node } else { capability.all };
        let queue = match has {
            has if has & ioctl::CAP_STREAMING == 0 => None,
            has if has & ioctl::CAP_CAPTURE != 0 => Some(Queue::Single),
            has if has & ioctl::CAP_CAPTURE_MULTI != 0 => Some(Queue::Multi),
            _ => None,
        };
        let queue =
            queue.ok_or_else(|| Error::new(CaptureFault::NotPresent, format!("{name}: it does not stream video")))?;
        // A device that cannot tell is asked for frames instead.
        let _ = node.subscribe();
        let driver = facts::text(&capability.driver);
        let description = Description { name: facts::text(&capability.card), simulated: driver == "vivid", driver };
        Ok(Self { node, path: name, description, queue, stream: None })
    }

    /// What the device says of itself to the source (EDID); `None` when it is not that kind of device.
    ///
    /// # Errors
    /// `CaptureFault::Disconnected`, `Other`.
    pub fn edid(&self) -> Result<Option<Vec<u8>>, Error> {
        match self.node.edid() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Errno::NOTTY | Errno::INVAL) => Ok(None),
            Err(Errno::NODATA) => Ok(Some(Vec::new())),
            Err(errno) => Err(self.error("reading its EDID", errno)),
        }
    }

    /// What arrives at the input; `None` when the device does not follow its source.
    ///
    /// # Errors
    /// `CaptureFault::NoSignal`, `CaptureFault::Disconnected`, `Other` (a mode the device cannot capture).
    pub fn source(&self) -> Result<Option<Source>, Error> {
        Ok(self.timings()?.map(Source::from))
    }

    fn timings(&self) -> Result<Option<ioctl::DvTimings>, Error> {
        match self.node.input() {
            Ok(input) if input.capabilities & ioctl::INPUT_CAN_DV_TIMINGS != 0 => {}
            Ok(_) | Err(Errno::NOTTY | Errno::INVAL) => return Ok(None),
            Err(errno) => return Err(self.error("asking for its input", errno)),
        }
        match self.node.source_timings() {
            Ok(timings) => Ok(Some(timings)),
            Err(Errno::NOTTY | Errno::NODATA) => Ok(None),
            Err(errno) => Err(self.error("asking what arrives", errno)),
        }
    }

    /// Sets the device to what arrives, unless a stream runs; why not, when it cannot.
    fn follow(&self, timings: ioctl::DvTimings) -> Result<Option<String>, Error> {
        let refused = |why: &str| {
            Ok(Some(format!("{}: the source gives {}x{}, {why}", self.path, timings.width, timings.height)))
        };
        if timings.interlaced != 0 {
            return refused("interlaced: set it to a progressive mode");
        }
        if self.stream.is_some() {
            return Ok(None);
        }
        match self.node.set_timings(timings) {
            Ok(()) => Ok(None),
            Err(Errno::INVAL | Errno::RANGE) => refused("which the device cannot capture"),
            Err(errno) => Err(self.error("following the source", errno)),
        }
    }

    fn error(&self, doing: &str, errno: Errno) -> Error {
        facts::error(&self.path, doing, errno)
    }

    /// Why nothing arrives, when the device knows.
    fn no_signal(&self) -> Result<(), Error> {
        match self.node.input() {
            Ok(input) => match facts::no_signal(input.status) {
                Some(why) => Err(Error::new(CaptureFault::NoSignal, format!("{}: {why}", self.path))),
                None => Ok(()),
            },
            Err(Errno::NOTTY | Errno::INVAL) => Ok(()),
            Err(errno) => Err(self.error("asking for its input", errno)),
        }
    }
}

impl Capture for V4l2 {
    fn describe(&self) -> Description {
        self.description.clone()
    }

    fn formats(&mut self) -> Result<Vec<Offer>, Error> {
        let source = self.source()?;
        let mut offers = Vec::new();
        for fourcc in self.fourccs()? {
            if let Some(format) = facts::pixel_format(fourcc) {
                offers.extend(self.offers_of(fourcc, format, source)?);
            }
        }
        Ok(offers)
    }

    fn validate(&mut self, wanted: &Config) -> Result<Validation, Error> {
        if let Some(reason) = wanted.nonsense() {
            return Ok(Validation::Invalid(reason));
        }
        let timings = self.timings()?;
        if let Some(refused) = timings.map(|timings| self.follow(timings)).transpose()?.flatten() {
            return Ok(Validation::Invalid(refused));
        }
        let Some(fourcc) = self.fourcc_for(wanted.format)? else {
            return Ok(Validation::Invalid(format!("{} offers no format that can be read", self.path)));
        };
        let source = timings.map(Source::from);
        // Where the device could scale, it must not: who reads measures in the source's pixels.
        let (width, height) = source.map_or((wanted.width, wanted.height), |source| (source.width, source.height));
        let picture = self.negotiate(fourcc, width, height, false)?;
        let Some(format) = facts::pixel_format(picture.fourcc) else {
            return Ok(Validation::Invalid(format!("{} insists on {}", self.path, facts::text(&picture.fourcc))));
        };
        if picture.field != ioctl::FIELD_NONE {
            return Ok(Validation::Invalid(format!("{} gives interlaced video", self.path)));
        }
        let possible = Config {
            format,
            width: picture.width,
            height: picture.height,
            rate: self.nearest_rate(fourcc, &picture, source, wanted.rate),
            buffers: wanted.buffers.clamp(*BUFFERS.start(), *BUFFERS.end()),
        };
        Ok(Validation::of(wanted, possible))
    }

    fn start(&mut self, config: &Validated) -> Result<(), Error> {
        if self.stream.is_some() {
            return Err(already_started());
        }
        let config = config.config();
        // What changed before now is in what was validated, or shows below.
        self.node.resolution_changed().map_err(|errno| self.error("reading its events", errno)).or_else(unless_gone)?;
        let fourcc =
            self.fourcc_for(config.format)?.ok_or_else(|| Error::new(CaptureFault::BadInput, "no such format"))?;
        let picture = self.negotiate(fourcc, config.width, config.height, true)?;
        let shape = facts::shape(&picture)
            .filter(|shape| (shape.format, shape.width, shape.height) == (config.format, config.width, config.height));
        let shape = shape.ok_or_else(|| {
            Error::new(CaptureFault::SourceChanged, format!("{}: {config} is no longer possible", self.path))
        })?;
        self.set_rate(config.rate)?;
        let begun = Buffers::allocate(&self.node, self.queue, config.buffers)
            .and_then(|buffers| self.node.stream(self.queue, true).map(|()| buffers));
        match begun {
            Ok(buffers) => {
                let signal = Signal::default();
                self.stream = Some(Stream { buffers, shape, sequence: None, signal, changed: false });
                Ok(())
            }
            Err(errno) => {
                let _ = self.node.request_buffers(self.queue, 0);
                Err(self.error("starting", errno))
            }
        }
    }

    fn next_frame(&mut self, timeout: Duration) -> Result<Frame, Error> {
        let deadline = System.now().saturating_add(timeout);
        loop {
            if let Some(frame) = self.step(deadline)? {
                return Ok(frame);
            }
            if System.now() >= deadline {
                self.no_signal()?;
                return Err(pacing::timed_out(timeout));
            }
        }
    }

    fn stop(&mut self) {
        if self.stream.take().is_none() {
            return;
        }
        // A device that has gone cannot be told; closing it is enough. Frames that are held keep their memory.
        let stopped = self.node.stream(self.queue, false);
        let freed = self.node.request_buffers(self.queue, 0);
        if let Err(errno) = stopped.and(freed) {
            tracing::debug!("{}", self.error("stopping", errno));
        }
    }
}

/// Events are optional; only a device that is gone is an error.
fn unless_gone(error: Error) -> Result<bool, Error> {
    if error.kind() == CaptureFault::Disconnected { Err(error) } else { Ok(false) }
}

impl V4l2 {
    fn set_rate(&self, rate: Rate) -> Result<(), Error> {
        match self.node.set_rate(self.queue, rate.frames(), rate.seconds()) {
            Ok(taken) if taken.capability & ioctl::PARM_TIME_PER_FRAME != 0 => {
                if let Some(taken) = Rate::new(taken.frames, taken.seconds).filter(|t| t.period() != rate.period()) {
                    tracing::info!(device = self.path, asked = %rate, %taken, "the device keeps another rate");
                }
                Ok(())
            }
            // Where the source decides there is nothing to set.
            Ok(_) | Err(Errno::NOTTY | Errno::INVAL) => Ok(()),
            Err(errno) => Err(self.error("setting the rate", errno)),
        }
    }

    /// Waits once; a frame, or `None` when something else happened or the time is over.
    fn step(&mut self, deadline: Duration) -> Result<Option<Frame>, Error> {
        let stream = self.stream.as_mut().ok_or_else(not_started)?;
        let failed = |doing: &str, errno| facts::error(&self.path, doing, errno);
        let changed =
            || Error::new(CaptureFault::SourceChanged, format!("{}: the source has another resolution", self.path));
        if stream.changed {
            return Err(changed());
        }
        stream.buffers.give_back(&self.node).map_err(|e| failed("giving a buffer back", e))?;
        if stream.buffers.all_held() {
            return Err(pool::all_held(stream.buffers.count()));
        }
        let now = System.now();
        if stream.signal.is_due(now) {
            let asked = self.no_signal();
            let lost = asked.as_ref().is_err_and(|error| error.kind() == CaptureFault::NoSignal);
            let stream = self.stream.as_mut().ok_or_else(not_started)?;
            let is_back = stream.signal.answered(now, !lost);
            asked?;
            if is_back {
                stream.drain(&self.node).map_err(|e| facts::error(&self.path, "taking old frames", e))?;
            }
        }
        let stream = self.stream.as_mut().ok_or_else(not_started)?;
        let ready = match self.node.wait(deadline.saturating_sub(now).min(signal::CHECK)) {
            Ok(ready) => ready,
            Err(Errno::INTR) => return Ok(None),
            Err(errno) => return Err(failed("waiting", errno)),
        };
        if ready.event && self.node.resolution_changed().map_err(|e| failed("reading its events", e))? {
            stream.changed = true;
            return Err(changed());
        }
        if ready.broken && !ready.frame {
            // Says whether it is still there.
            self.node.capability().map_err(|e| failed("waiting", e))?;
            self.no_signal()?;
            return Err(Error::new(
                CaptureFault::Disconnected,
                format!("{}: the driver has given the stream up", self.path),
            ));
        }
        if !ready.frame {
            return Ok(None);
        }
        let taken = stream.buffers.take(&self.node);
        match taken {
            Ok(Some((buffer, lease))) => Ok(stream.frame(&buffer, lease)),
            Ok(None) => Ok(None),
            Err(Errno::IO) => {
                self.no_signal()?;
                Err(failed("taking a frame", Errno::IO))
            }
            Err(errno) => Err(failed("taking a frame", errno)),
        }
    }
}

impl Stream {
    /// Gives back the frames that wait, unread; their numbers are missing then.
    fn drain(&mut self, node: &Node) -> Result<(), Errno> {
        for _ in 0..self.buffers.count() {
            if self.buffers.take(node)?.is_none() {
                break;
            }
        }
        self.buffers.give_back(node)
    }

    /// `None` when the driver says that the picture is damaged: its number is missing then.
    fn frame(&mut self, buffer: &ioctl::Buffer, lease: buffers::Lease) -> Option<Frame> {
        let sequence = facts::widen(self.sequence, buffer.sequence);
        self.sequence = Some(sequence);
        let monotonic = buffer.flags & ioctl::FLAG_TIMESTAMP_MASK == ioctl::FLAG_TIMESTAMP_MONOTONIC;
        let stamp = (u64::try_from(buffer.seconds), u64::try_from(buffer.micros));
        let timestamp = match stamp {
            (Ok(seconds), Ok(micros)) if monotonic => Duration::from_secs(seconds) + Duration::from_micros(micros),
            // A driver of the old kind: the time of taking it is the best there is.
            _ => System.now(),
        };
        let frame = Frame::new(self.shape.clone(), sequence, timestamp, Arc::new(lease));
        (buffer.flags & ioctl::FLAG_ERROR == 0 && frame.is_complete()).then_some(frame)
    }
}

impl Drop for V4l2 {
    fn drop(&mut self) {
        self.stop();
    }
}
