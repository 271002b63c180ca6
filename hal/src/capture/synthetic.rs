//! Pictures that are made: test bars with a moving disc and the frame's number in them, or whatever a caller paints.
//! Any size, any rate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::config::negotiate;
use super::frame::{Colour, Frame, PixelFormat, Shape};
use super::pacing::Pacing;
use super::pool::Pool;
use super::{
    Capture, CaptureFault, Config, Description, Error, Offer, Rate, Validated, Validation, already_started, not_started,
};
use crate::clock::Clock;

/// Paints picture `index` into the bytes of a picture, tightly packed.
type Painter = dyn Fn(u64, &mut [u8]) + Send;

/// A device that paints its pictures.
pub struct Synthetic {
    clock: Arc<dyn Clock>,
    /// In the order of preference.
    offers: Vec<Offer>,
    painter: Option<Box<Painter>>,
    stream: Option<Stream>,
}

#[derive(Debug)]
struct Stream {
    shape: Shape,
    rate: Rate,
    buffers: u32,
    pool: Pool,
    pacing: Pacing,
    index: u64,
    grey: Vec<u8>,
}

impl fmt::Debug for Synthetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Synthetic").field("offers", &self.offers).field("stream", &self.stream).finish_non_exhaustive()
    }
}

/// The smallest picture of bars that the frame's number fits into, in pixels.
pub const SMALLEST: (u32, u32) = (64, 16);

impl Synthetic {
    /// Grey bars, a white disc that moves, and the frame's number: see [`counter`].
    pub fn bars(clock: Arc<dyn Clock>) -> Self {
        let formats = [PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::Rgb24, PixelFormat::Grey];
        let offer = |format| Offer { format, smallest: SMALLEST, largest: (4096, 4096), rates: Vec::new() };
        Self { clock, offers: formats.map(offer).into(), painter: None, stream: None }
    }

    /// One format and size at any rate. `painter` is given the picture's number and the bytes of a buffer that may hold
    /// an older picture, laid out as [`Shape::tight`] says, full range, BT.601.
    pub fn painted(
        clock: Arc<dyn Clock>,
        format: PixelFormat,
        width: u32,
        height: u32,
        painter: impl Fn(u64, &mut [u8]) + Send + 'static,
    ) -> Self {
        let offer = Offer { format, smallest: (width, height), largest: (width, height), rates: Vec::new() };
        Self { clock, offers: vec![offer], painter: Some(Box::new(painter)), stream: None }
    }
}

impl Capture for Synthetic {
    fn describe(&self) -> Description {
        Description { name: "synthetic".into(), driver: "synthetic".into(), simulated: true }
    }

    fn formats(&mut self) -> Result<Vec<Offer>, Error> {
        Ok(self.offers.clone())
    }

    fn validate(&mut self, wanted: &Config) -> Result<Validation, Error> {
        Ok(negotiate(&self.offers, wanted))
    }

    fn start(&mut self, config: &Validated) -> Result<(), Error> {
        if self.stream.is_some() {
            return Err(already_started());
        }
        let config = config.config();
        if !matches!(negotiate(&self.offers, config), Validation::Valid(_)) || config.format == PixelFormat::Mjpeg {
            return Err(Error::new(CaptureFault::BadInput, format!("{config} cannot be painted")));
        }
        let shape = Shape::tight(config.format, config.width, config.height, Colour::default());
        self.stream = Some(Stream {
            pool: Pool::new(config.buffers, shape.bytes(0)),
            shape,
            rate: config.rate,
            buffers: config.buffers,
            pacing: Pacing::begin(&self.clock),
            index: 0,
            grey: Vec::new(),
        });
        Ok(())
    }

    fn next_frame(&mut self, timeout: Duration) -> Result<Frame, Error> {
        let stream = self.stream.as_mut().ok_or_else(not_started)?;
        let mut buffer = stream.pool.take()?;
        stream.pacing.wait(stream.rate.due(stream.index), timeout)?;
        let late = stream.pacing.late(stream.rate.due(stream.index));
        if late > stream.rate.due(stream.buffers.into()) {
            // The newest picture that is due: all others found no buffer.
            let periods = late.as_nanos() / stream.rate.period().as_nanos().max(1);
            stream.index = stream.index.saturating_add(u64::try_from(periods).unwrap_or(u64::MAX));
        }
        let index = stream.index;
        stream.index += 1;
        match &self.painter {
            Some(paint) => paint(index, &mut buffer.bytes),
            None => {
                bars(index, stream.shape.width as usize, stream.shape.height as usize, &mut stream.grey);
                pack(&stream.grey, stream.shape.width as usize, stream.shape.format, &mut buffer.bytes);
            }
        }
        Ok(Frame::new(stream.shape.clone(), index, stream.pacing.at(stream.rate.due(index)), Arc::new(buffer)))
    }

    fn stop(&mut self) {
        self.stream = None;
    }
}

const BITS: usize = 32;
/// Grey of the bars, from the left.
const BARS: [u8; 8] = [0, 30, 60, 90, 120, 150, 180, 210];
/// Height of the number, in pixels.
const MARK: usize = 8;

/// Eight bars from black to white; a disc that crosses them once in 64 frames; the number in the rows at the top.
fn bars(index: u64, width: usize, height: usize, grey: &mut Vec<u8>) {
    grey.resize(width * height, 0);
    // 64 divides 256: the lowest byte is enough.
    let (radius, step) = (height / 8, usize::from(index.to_le_bytes()[0] % 64));
    let (centre_x, centre_y) = (width * step / 64, height / 2);
    let cell = width / BITS;
    for (y, row) in grey.chunks_exact_mut(width).enumerate() {
        for (x, pixel) in row.iter_mut().enumerate() {
            let from_centre = x.abs_diff(centre_x).pow(2) + y.abs_diff(centre_y).pow(2);
            *pixel = if y < MARK {
                if x / cell < BITS && index >> (x / cell) & 1 == 1 { 255 } else { 0 }
            } else if from_centre <= radius * radius {
                255
            } else {
                BARS[x * BARS.len() / width]
            };
        }
    }
}

/// The frame's number modulo 2^32, read from the top rows of a picture of bars in grey (see [`super::convert::grey`]).
/// `None` when the picture is too small.
pub fn counter(grey: &[u8], width: usize) -> Option<u32> {
    let cell = width / BITS;
    let row = grey.get(width * (MARK / 2)..width * (MARK / 2 + 1))?;
    let bit = |number: usize| row.get(number * cell + cell / 2).map(|v| u32::from(*v > 127) << number);
    (cell > 0).then(|| (0..BITS).map(bit).sum())?
}

/// Luma without colour, in a format of choice, tightly packed into `out`.
fn pack(grey: &[u8], width: usize, format: PixelFormat, out: &mut [u8]) {
    match format {
        PixelFormat::Grey | PixelFormat::Mjpeg => out.copy_from_slice(grey),
        PixelFormat::Nv12 => {
            let (luma, chroma) = out.split_at_mut(grey.len());
            luma.copy_from_slice(grey);
            chroma.fill(128);
        }
        PixelFormat::Rgb24 => out.chunks_exact_mut(3).zip(grey).for_each(|(pixel, v)| pixel.fill(*v)),
        PixelFormat::Yuyv => {
            for (out, row) in out.chunks_exact_mut(width.div_ceil(2) * 4).zip(grey.chunks_exact(width)) {
                out.fill(128);
                out.iter_mut().step_by(2).zip(row).for_each(|(out, v)| *out = *v);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::convert;
    use super::*;
    use crate::clock::Manual;

    const SECOND: Duration = Duration::from_secs(1);

    fn started(clock: &Manual, format: PixelFormat, width: u32, height: u32) -> Synthetic {
        let mut device = Synthetic::bars(Arc::new(clock.clone()));
        let wanted = Config::new(format, width, height, Rate::hertz(50));
        let Validation::Valid(config) = device.validate(&wanted).unwrap() else { panic!("it must be valid") };
        device.start(&config).unwrap();
        device
    }

    #[test]
    fn sim_every_picture_carries_its_number_and_time() {
        for format in [PixelFormat::Grey, PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::Rgb24] {
            for (width, height) in [(64, 16), (1025, 33)] {
                let clock = Manual::default();
                let mut device = started(&clock, format, width, height);
                let mut grey = Vec::new();
                for number in 0..5 {
                    let frame = device.next_frame(SECOND).unwrap();
                    assert_eq!(frame.timestamp, Duration::from_millis(20) * number);
                    convert::grey(&frame, &mut grey).unwrap();
                    assert_eq!(counter(&grey, width as usize), Some(number), "{format} {width}x{height}");
                }
            }
        }
    }

    #[test]
    fn sim_a_slow_reader_gets_the_newest_picture() {
        let clock = Manual::default();
        let mut device = started(&clock, PixelFormat::Grey, 64, 16);
        device.next_frame(SECOND).unwrap();
        clock.advance(SECOND);
        assert_eq!(device.next_frame(SECOND).unwrap().sequence, 50);
        assert_eq!(device.next_frame(SECOND).unwrap().sequence, 51);
    }

    #[test]
    fn sim_a_caller_paints_what_it_likes() {
        let mut device = Synthetic::painted(Arc::new(Manual::default()), PixelFormat::Rgb24, 2, 1, |index, bytes| {
            bytes.fill(index as u8 + 7);
        });
        let validation = device.validate(&Config::new(PixelFormat::Grey, 640, 480, Rate::hertz(25))).unwrap();
        device.start(validation.accepted().unwrap()).unwrap();
        assert_eq!(device.next_frame(SECOND).unwrap().part(0), [7; 6]);
        assert_eq!(device.next_frame(SECOND).unwrap().part(0), [8; 6]);
    }

    #[test]
    fn sim_the_disc_moves_and_nothing_is_read_from_too_small_a_picture() {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        bars(0, 640, 480, &mut first);
        bars(32, 640, 480, &mut second);
        let centre = 640 * 240 + 320;
        assert_eq!((first[centre], second[centre]), (120, 255));
        assert_eq!(counter(&[0; 300], 31), None);
        assert_eq!(counter(&[], 640), None);
    }
}
