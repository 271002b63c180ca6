//! The steps on an NVIDIA card. A card that fails is left alone by what met the failure, which goes on on the processor: no picture and
//! no volume is lost to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hal::accel::{AccelFault, Error};
use hal::capture::{self, Frame, convert};
use hal::cuda::{Device, DeviceBuffer, Kernels, Lent, PinnedBuffer, Pixels, Route, Shares, Stream, Taps, Urgency};

use super::{Cpu, CpuPictures, Pictures, Steps};
use crate::preprocess::letterbox::Letterbox;
use crate::preprocess::resample::{self, Target};
use crate::volume::Volume;

/// Longer than any picture takes; the processor needs a few milliseconds for it.
const PICTURE_WITHIN: Duration = Duration::from_millis(100);
/// The same for one copy or step of a volume.
const VOLUME_WITHIN: Duration = Duration::from_secs(5);
/// Voxels that are copied at once.
const AT_ONCE: usize = 4 << 20;

/// One card, for work of one urgency.
#[derive(Debug)]
pub struct Card {
    device: Device,
    kernels: Kernels,
    urgency: Urgency,
    failed: AtomicBool,
}

impl Card {
    /// # Errors
    /// `AccelFault::NotPresent`: no driver or no such card; `AccelFault::BadModel`: the driver cannot compile the kernels;
    /// `AccelFault::OutOfMemory`; `AccelFault::Device`.
    pub fn open(ordinal: u32, urgency: Urgency) -> Result<Self, Error> {
        let device = Device::open(ordinal)?;
        let kernels = Kernels::load(&device)?;
        Ok(Self { device, kernels, urgency, failed: AtomicBool::new(false) })
    }

    /// As `resample::trilinear`, and the nearest whole numbers.
    ///
    /// # Errors
    /// `AccelFault::OutOfMemory`; `AccelFault::Device`; `AccelFault::BadInput` for slices of other sizes.
    pub fn resampled(&self, volume: &Volume, target: &Target) -> Result<(Vec<f32>, Vec<i16>), Error> {
        let dims = volume.geometry.dims;
        let whole =
            volume.slices.len() == dims[2] && volume.slices.iter().all(|slice| slice.len() == dims[0] * dims[1]);
        if !whole || target.grid.is_empty() {
            return Err(Error::new(AccelFault::BadInput, "slices of other sizes than the volume's, or an empty grid"));
        }
        let stream = self.device.stream(self.urgency)?;
        let axis = target.orientation.axis;
        let taps = [0, 1, 2].map(|p| resample::taps(&target.coordinates[p], dims[axis[p]]));
        let taps = [
            Taps::new(&self.device, &stream, &taps[0])?,
            Taps::new(&self.device, &stream, &taps[1])?,
            Taps::new(&self.device, &stream, &taps[2])?,
        ];
        let there = self.uploaded(&stream, volume)?;
        let mut values = self.device.buffer::<f32>(target.grid.len())?;
        let mut near = self.device.buffer::<i16>(target.grid.len())?;
        let steps = axis.map(|a| [1, dims[0], dims[0] * dims[1]][a]);
        let [x, y, z] = &taps;
        self.kernels.resample(&stream, (&there, steps, axis == [0, 1, 2]), [x, y, z], &mut values)?;
        self.kernels.whole(&stream, &values, &mut near)?;
        Ok((self.downloaded(&stream, &values)?, self.downloaded(&stream, &near)?))
    }

    fn uploaded(&self, stream: &Stream, volume: &Volume) -> Result<DeviceBuffer<i16>, Error> {
        let [columns, rows, slices] = volume.geometry.dims;
        let plane = columns * rows;
        let mut there = self.device.buffer::<i16>(plane * slices)?;
        let together = (AT_ONCE / plane.max(1)).clamp(1, slices);
        let mut here = self.device.pinned::<i16>(plane * together)?;
        for (number, part) in volume.slices.chunks(together).enumerate() {
            for (to, slice) in here.write()?.chunks_exact_mut(plane.max(1)).zip(part) {
                to.copy_from_slice(slice);
            }
            stream.upload(&mut here, 0..part.len() * plane, &mut there, number * together * plane)?;
            stream.wait(VOLUME_WITHIN)?;
        }
        Ok(there)
    }

    fn downloaded<T: hal::cuda::Plain>(&self, stream: &Stream, from: &DeviceBuffer<T>) -> Result<Vec<T>, Error> {
        let mut here = self.device.pinned::<T>(from.len().min(AT_ONCE))?;
        let mut all = Vec::with_capacity(from.len());
        while all.len() < from.len() {
            let end = from.len().min(all.len() + here.len());
            let count = end - all.len();
            stream.download(from, all.len()..end, &mut here, 0)?;
            stream.wait(VOLUME_WITHIN)?;
            all.extend_from_slice(&here.read()?[..count]);
        }
        Ok(all)
    }
}

impl Steps for Card {
    fn name(&self) -> &str {
        &self.device.facts().name
    }

    fn pictures(&self, part: convert::Part, size: [usize; 2]) -> Box<dyn Pictures> {
        let processor = CpuPictures::new(part, size);
        let card = CardPictures::new(self, part, size);
        let card = card.map_err(|error| tracing::warn!(%error, "pictures are prepared on the processor")).ok();
        Box::new(WithTwin { card, processor })
    }

    fn resample(&self, volume: &Volume, target: &Target) -> Vec<i16> {
        if !self.failed.load(Ordering::Relaxed) {
            match self.resampled(volume, target) {
                Ok((_, whole)) => return whole,
                // This volume is too much; another one may not be.
                Err(error) if matches!(error.kind(), AccelFault::OutOfMemory | AccelFault::BadInput) => {
                    tracing::info!(%error, "a volume is resampled on the processor");
                }
                Err(error) => {
                    tracing::warn!(%error, "the card failed: volumes are resampled on the processor");
                    self.failed.store(true, Ordering::Relaxed);
                }
            }
        }
        Cpu.resample(volume, target)
    }
}

/// The card as long as it works, then the processor.
#[derive(Debug)]
struct WithTwin {
    card: Option<CardPictures>,
    processor: CpuPictures,
}

impl Pictures for WithTwin {
    fn fill(&mut self, frame: &Frame, out: &mut Vec<f32>) -> Result<(), capture::Error> {
        if let Some(card) = &mut self.card {
            match card.fill(frame, out) {
                Ok(done) => return Ok(done),
                Err(Trouble::Frame(error)) => return Err(error),
                Err(Trouble::Card(error)) => {
                    tracing::warn!(%error, "the card failed: pictures are prepared on the processor");
                    self.card = None;
                }
            }
        }
        self.processor.fill(frame, out)
    }
}

#[derive(Debug)]
enum Trouble {
    Frame(capture::Error),
    Card(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Card(error)
    }
}

#[derive(Debug)]
struct CardPictures {
    device: Device,
    kernels: Kernels,
    stream: Stream,
    part: convert::Part,
    shares: [Shares; 2],
    /// Of JPEG, which the processor decodes.
    grey: Vec<u8>,
    picture: Option<Picture>,
    input: DeviceBuffer<f32>,
    answer: PinnedBuffer<f32>,
}

/// Memory for pictures of one kind; they seldom change.
#[derive(Debug)]
struct Picture {
    here: PinnedBuffer<u8>,
    there: DeviceBuffer<u8>,
    pixels: Pixels,
    levels: [u8; 256],
    /// How the card reads them, once it is known; `None` within: copies.
    way: Option<Option<Route>>,
}

impl CardPictures {
    fn new(card: &Card, part: convert::Part, size: [usize; 2]) -> Result<Self, Error> {
        let stream = card.device.stream(card.urgency)?;
        let letterbox = Letterbox::new([part.width, part.height], size);
        let shares = [
            Shares::new(&card.device, &stream, letterbox.across())?,
            Shares::new(&card.device, &stream, letterbox.down())?,
        ];
        stream.wait(PICTURE_WITHIN)?;
        let (input, answer) = (card.device.buffer(size[0] * size[1])?, card.device.pinned(size[0] * size[1])?);
        let (device, kernels) = (card.device.clone(), card.kernels.clone());
        Ok(Self { device, kernels, stream, part, shares, grey: Vec::new(), picture: None, input, answer })
    }

    fn fill(&mut self, frame: &Frame, out: &mut Vec<f32>) -> Result<(), Trouble> {
        let part = self.part;
        let raw = match convert::raw_part(frame, part).map_err(Trouble::Frame)? {
            Some(raw) => raw,
            None => {
                convert::grey_part(frame, part, &mut self.grey).map_err(Trouble::Frame)?;
                convert::Raw::of_grey(&self.grey, part.width)
            }
        };
        let fits = |picture: &Picture| {
            let Picture { there, pixels, levels, .. } = picture;
            there.len() == raw.bytes.len()
                && pixels.stride == raw.stride
                && pixels.bytes == raw.pixel
                && pixels.weights == raw.weights
                && *levels == raw.levels
        };
        let picture = match self.picture.take().filter(fits) {
            Some(picture) => self.picture.insert(picture),
            None => self.picture.insert(Picture::new(&self.device, &self.stream, &raw, part.height)?),
        };
        let lent = picture.lend(&self.device, frame, raw.bytes)?;
        let pixels = self.answer.len();
        let source = match &lent {
            Some(lent) => {
                picture.pixels.offset = lent.offset();
                lent.hold_on(&self.stream);
                lent.buffer()
            }
            None => {
                picture.pixels.offset = 0;
                picture.here.write()?.copy_from_slice(raw.bytes);
                self.stream.upload(&mut picture.here, 0..raw.bytes.len(), &mut picture.there, 0)?;
                &picture.there
            }
        };
        let [across, down] = &self.shares;
        self.kernels.letterbox(&self.stream, (source, &picture.pixels), [across, down], &mut self.input)?;
        self.stream.download(&self.input, 0..pixels, &mut self.answer, 0)?;
        self.stream.wait(PICTURE_WITHIN)?;
        out.clear();
        out.extend_from_slice(self.answer.read()?);
        Ok(())
    }
}

impl Picture {
    fn new(device: &Device, stream: &Stream, raw: &convert::Raw<'_>, rows: usize) -> Result<Self, Error> {
        let levels = device.copied(stream, &raw.levels)?;
        let pixels = Pixels { offset: 0, stride: raw.stride, rows, bytes: raw.pixel, levels, weights: raw.weights };
        let (here, there) = (device.pinned(raw.bytes.len())?, device.buffer(raw.bytes.len())?);
        Ok(Self { here, there, pixels, levels: raw.levels, way: None })
    }

    /// The picture where the capture device has put it; `None`: it is copied. A driver that does not let the card read it is asked once.
    fn lend(&mut self, device: &Device, frame: &Frame, bytes: &[u8]) -> Result<Option<Lent>, Error> {
        if self.way == Some(None) || bytes.is_empty() {
            return Ok(None);
        }
        let (lent, why) = match device.lend(frame, 0, bytes) {
            Ok(lent) => (lent, "these pictures lie in no buffer that stays".to_owned()),
            Err(error) if device.is_lost() => return Err(error),
            Err(error) => (None, error.to_string()),
        };
        let way = lent.as_ref().map(Lent::route);
        if self.way != Some(way) {
            match way {
                Some(route) => tracing::info!(by = route.name(), "the card reads captured pictures without a copy"),
                None => tracing::info!(why, "captured pictures are copied to the card"),
            }
        }
        self.way = Some(way);
        Ok(lent)
    }
}
