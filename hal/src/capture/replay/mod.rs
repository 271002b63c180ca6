//! Plays a recording as a live source would: with its own timing, dropping frames when the reader is slow.

pub mod y4m;
pub mod memory;

use std::sync::Arc;
use std::time::Duration;

use super::config::{BUFFERS, negotiate};
use super::frame::{Frame, Shape};
use super::pacing::Pacing;
use super::pool::Pool;
use super::{
    Capture, CaptureFault, Config, Description, Error, Offer, Rate, Validated, Validation, already_started, not_started,
};
use crate::clock::Clock;

pub use memory::InMemory;
pub use y4m::Y4m;

/// Pictures one after another, each with its time.
pub trait Recording: Send + std::fmt::Debug {
    /// What people call it, for example the name of its file.
    fn name(&self) -> String;

    /// The form of every picture.
    fn shape(&self) -> &Shape;

    /// Pictures in a second, at least nominally.
    fn rate(&self) -> Rate;

    /// Reads the next picture into `bytes`, which has the length of its kind ([`Shape::bytes`]), or replaces `bytes` where
    /// the kind has no fixed length. Its time since the first picture, or `None` after the last.
    ///
    /// # Errors
    /// `CaptureFault::BadInput` when the recording is damaged; `CaptureFault::Other` when it cannot be read.
    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Duration>, Error>;

    /// Back to the first picture.
    ///
    /// # Errors
    /// `CaptureFault::Other` when it cannot be read again.
    fn rewind(&mut self) -> Result<(), Error>;
}

impl<R: Recording + ?Sized> Recording for Box<R> {
    fn name(&self) -> String {
        (**self).name()
    }

    fn shape(&self) -> &Shape {
        (**self).shape()
    }

    fn rate(&self) -> Rate {
        (**self).rate()
    }

    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Duration>, Error> {
        (**self).read(bytes)
    }

    fn rewind(&mut self) -> Result<(), Error> {
        (**self).rewind()
    }
}

/// A recording that is played.
#[derive(Debug)]
pub struct Replay<R> {
    recording: R,
    clock: Arc<dyn Clock>,
    repeat: bool,
    stream: Option<Stream>,
}

#[derive(Debug)]
struct Stream {
    pool: Pool,
    pacing: Pacing,
    sequence: u64,
    /// When the present round began, after the start.
    round: Duration,
    /// When the last picture of this round was due, in the round.
    last: Duration,
    /// A picture that was read before it was due.
    waiting: Option<(super::pool::Pooled, Duration)>,
    /// How far behind the reader may be before pictures are lost.
    slack: Duration,
    ended: bool,
}

impl<R: Recording> Replay<R> {
    pub fn new(recording: R, clock: Arc<dyn Clock>) -> Self {
        Self { recording, clock, repeat: false, stream: None }
    }

    /// Begins again after the last picture. Otherwise the signal is lost there.
    #[must_use]
    pub fn repeating(self) -> Self {
        Self { repeat: true, ..self }
    }

    fn offers(&self) -> [Offer; 1] {
        let shape = self.recording.shape();
        [Offer::fixed(shape.format, shape.width, shape.height, self.recording.rate())]
    }
}

impl Stream {
    /// The next picture and its time after the start; `CaptureFault::NoSignal` after the last.
    fn read(&mut self, recording: &mut impl Recording, repeat: bool) -> Result<(super::pool::Pooled, Duration), Error> {
        if let Some(waiting) = self.waiting.take() {
            return Ok(waiting);
        }
        let mut buffer = self.pool.take()?;
        let mut offset = if self.ended { None } else { recording.read(&mut buffer.bytes)? };
        if offset.is_none() && repeat {
            recording.rewind()?;
            self.round += self.last + recording.rate().period();
            offset = recording.read(&mut buffer.bytes)?;
        }
        self.ended = offset.is_none();
        self.last = offset.ok_or_else(|| Error::new(CaptureFault::NoSignal, "the recording has ended"))?;
        Ok((buffer, self.round + self.last))
    }
}

impl<R: Recording> Capture for Replay<R> {
    fn describe(&self) -> Description {
        Description { name: self.recording.name(), driver: "replay".into(), simulated: true }
    }

    fn formats(&mut self) -> Result<Vec<Offer>, Error> {
        Ok(self.offers().into())
    }

    fn validate(&mut self, wanted: &Config) -> Result<Validation, Error> {
        Ok(negotiate(&self.offers(), wanted))
    }

    fn start(&mut self, config: &Validated) -> Result<(), Error> {
        if self.stream.is_some() {
            return Err(already_started());
        }
        let config = config.config();
        if !matches!(negotiate(&self.offers(), config), Validation::Valid(_)) {
            return Err(Error::new(CaptureFault::BadInput, format!("{config} is not what the recording holds")));
        }
        self.recording.rewind()?;
        let buffers = config.buffers.clamp(*BUFFERS.start(), *BUFFERS.end());
        self.stream = Some(Stream {
            pool: Pool::new(buffers, self.recording.shape().bytes(0)),
            pacing: Pacing::begin(&self.clock),
            sequence: 0,
            round: Duration::ZERO,
            last: Duration::ZERO,
            waiting: None,
            slack: self.recording.rate().due(buffers.into()),
            ended: false,
        });
        Ok(())
    }

    fn next_frame(&mut self, timeout: Duration) -> Result<Frame, Error> {
        let stream = self.stream.as_mut().ok_or_else(not_started)?;
        loop {
            let (buffer, due) = stream.read(&mut self.recording, self.repeat)?;
            if let Err(error) = stream.pacing.wait(due, timeout) {
                stream.waiting = Some((buffer, due));
                return Err(error);
            }
            let sequence = stream.sequence;
            stream.sequence += 1;
            if stream.pacing.late(due) <= stream.slack {
                let shape = self.recording.shape().clone();
                return Ok(Frame::new(shape, sequence, stream.pacing.at(due), Arc::new(buffer)));
            }
        }
    }

    fn stop(&mut self) {
        self.stream = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Colour, PixelFormat};
    use super::*;
    use crate::clock::Manual;

    const SECOND: Duration = Duration::from_secs(1);

    /// Four grey pictures of one pixel, at 0, 100, 250 and 300 ms.
    fn replay(clock: &Manual) -> Replay<InMemory> {
        let pictures = [0, 100, 250, 300].map(|ms| (Duration::from_millis(ms), vec![ms.min(255) as u8]));
        let shape = Shape::tight(PixelFormat::Grey, 1, 1, Colour::default());
        Replay::new(InMemory::new("four pictures", shape, pictures.into()).unwrap(), Arc::new(clock.clone()))
    }

    fn start(device: &mut impl Capture) {
        let wanted = Config::new(PixelFormat::Yuyv, 640, 480, Rate::hertz(30));
        let validation = device.validate(&wanted).unwrap();
        device.start(validation.accepted().unwrap()).unwrap();
    }

    #[test]
    fn replay_keeps_the_times_of_the_recording() {
        let clock = Manual::default();
        clock.advance(SECOND);
        let mut device = replay(&clock);
        start(&mut device);
        for (sequence, ms) in [0, 100, 250, 300].into_iter().enumerate() {
            let frame = device.next_frame(SECOND).unwrap();
            assert_eq!((frame.sequence, frame.timestamp), (sequence as u64, SECOND + Duration::from_millis(ms)));
            assert_eq!(clock.now(), frame.timestamp, "not before it is due");
        }
        for _ in 0..2 {
            assert_eq!(device.next_frame(SECOND).unwrap_err().kind(), CaptureFault::NoSignal);
        }
        device.stop();
        start(&mut device);
        assert_eq!(device.next_frame(SECOND).unwrap().part(0), [0], "it can be played again");
    }

    #[test]
    fn replay_a_frame_that_is_not_due_is_not_lost() {
        let clock = Manual::default();
        let mut device = replay(&clock);
        start(&mut device);
        device.next_frame(SECOND).unwrap();
        assert_eq!(device.next_frame(Duration::from_millis(40)).unwrap_err().kind(), CaptureFault::TimedOut);
        assert_eq!(clock.now(), Duration::from_millis(40));
        assert_eq!(device.next_frame(SECOND).unwrap().sequence, 1);
    }

    #[test]
    fn replay_a_slow_reader_loses_frames_and_sees_the_gap() {
        let clock = Manual::default();
        let mut device = replay(&clock).repeating();
        start(&mut device);
        device.next_frame(SECOND).unwrap();
        clock.advance(SECOND * 10);
        let late = device.next_frame(SECOND).unwrap();
        assert!(late.dropped_since(0) > 80, "{late:?}");
        assert!(clock.now() - late.timestamp <= Duration::from_millis(400), "four buffers of 100 ms");
    }

    #[test]
    fn replay_repeats_without_a_step_in_time() {
        let clock = Manual::default();
        let mut device = replay(&clock).repeating();
        start(&mut device);
        let times: Vec<_> = (0..9).map(|_| device.next_frame(SECOND).unwrap().timestamp.as_millis()).collect();
        assert_eq!(times, [0, 100, 250, 300, 400, 500, 650, 700, 800]);
    }
}
