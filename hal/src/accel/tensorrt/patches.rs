//! The patches of one volume in the card's memory, beside an engine whose stream they share: cut into the engine's input, blended out of
//! its answer, and only the finished maps come down. All memory is taken before the first patch.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::accel::patches::Patchwork;
use crate::accel::{AccelFault, Error};
use crate::cuda::{Box3, Device, DeviceBuffer, Kernels, PinnedBuffer, Plain, Stream, Taper};

/// Numbers that are copied at once, through memory of the host that the card reaches.
const AT_ONCE: usize = 4 << 20;

/// The kernels of a card, compiled by its driver when they are first wanted, and once.
#[derive(Debug, Clone, Default)]
pub(super) struct Compiled(Arc<Mutex<Option<Kernels>>>);

impl Compiled {
    /// # Errors
    /// As for [`Kernels::load`].
    fn on(&self, device: &Device) -> Result<Kernels, Error> {
        let mut kernels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernels) = &*kernels {
            return Ok(kernels.clone());
        }
        let loaded = Kernels::load(device)?;
        *kernels = Some(loaded.clone());
        Ok(loaded)
    }
}

/// Memory that is free, at most half of which one volume may take: the rest is for other work on the card, live pictures above all.
pub(super) fn fits(work: &Patchwork, free: usize) -> Result<(), Error> {
    let need = work.bytes().unwrap_or(usize::MAX);
    if need <= free / 2 {
        return Ok(());
    }
    let (need, free) = (need >> 20, free >> 20);
    let why = format!("the patches of this volume need {need} MiB, more than half of the {free} MiB that are free");
    Err(Error::new(AccelFault::OutOfMemory, why))
}

#[derive(Debug)]
pub(super) struct Patches {
    work: Arc<Patchwork>,
    kernels: Kernels,
    patience: Duration,
    grid: DeviceBuffer<i16>,
    sums: DeviceBuffer<u16>,
    tapers: [Taper; 3],
    odd: DeviceBuffer<u32>,
    seen: PinnedBuffer<u32>,
    down: PinnedBuffer<u16>,
}

impl Patches {
    /// Takes all memory, and brings the volume to the card.
    ///
    /// # Errors
    /// `AccelFault::OutOfMemory` when it does not fit; `AccelFault::BadModel` when the driver does not compile the kernels;
    /// `AccelFault::Device`.
    pub fn new(
        device: &Device,
        compiled: &Compiled,
        (stream, patience): (&Stream, Duration),
        work: &Arc<Patchwork>,
    ) -> Result<Self, Error> {
        fits(work, device.memory()?.free)?;
        let kernels = compiled.on(device)?;
        let taper = |(weights, total): &(Vec<f32>, Vec<f32>)| Taper::new(device, stream, weights, total);
        let [x, y, z] = &work.weights;
        let tapers = [taper(x)?, taper(y)?, taper(z)?];
        let mut grid = device.buffer(work.grid.len())?;
        let mut sums = device.buffer(work.grid.len() * work.channels)?;
        let mut odd = device.buffer(1)?;
        let (seen, down) = (device.pinned(1)?, device.pinned(sums.len().min(AT_ONCE))?);
        stream.clear(&mut sums)?;
        stream.clear(&mut odd)?;
        bring(device, (stream, patience), &work.grid, &mut grid)?;
        Ok(Self { work: work.clone(), kernels, patience, grid, sums, tapers, odd, seen, down })
    }

    /// Queues the patch at `origin` into the engine's input.
    ///
    /// # Errors
    /// `AccelFault::BadInput` when it does not lie in the grid; as for [`Stream::admit`].
    pub fn cut(&self, stream: &Stream, origin: [usize; 3], input: &mut DeviceBuffer<f32>) -> Result<(), Error> {
        let patch = Box3 { origin, size: self.work.patch };
        let voxels = self.work.patch.iter().product::<usize>();
        for (channel, window) in self.work.windows.iter().enumerate() {
            let to = (&mut *input, channel * voxels);
            self.kernels.cut(stream, (&self.grid, self.work.dims), patch, *window, to)?;
        }
        Ok(())
    }

    /// Queues the blending of the engine's answer for the patch at `origin`, after a look whether it makes sense.
    ///
    /// # Errors
    /// As for [`Patches::cut`].
    pub fn blend(&mut self, stream: &Stream, origin: [usize; 3], answer: &DeviceBuffer<f32>) -> Result<(), Error> {
        self.kernels.odd(stream, answer, self.work.allowed, &mut self.odd)?;
        let [x, y, z] = &self.tapers;
        self.kernels.blend(stream, answer, [x, y, z], origin, (&mut self.sums, self.work.channels))?;
        stream.download(&self.odd, 0..1, &mut self.seen, 0)
    }

    /// Whether an answer held a value that is not allowed; after somebody has waited.
    ///
    /// # Errors
    /// `AccelFault::BadInput` before that.
    pub fn is_odd(&self) -> Result<bool, Error> {
        Ok(self.seen.read()?.first() != Some(&0))
    }

    /// The first value that is not allowed.
    pub fn first_odd(&self, answer: &[f32]) -> Option<f32> {
        let [low, high] = self.work.allowed;
        answer.iter().copied().find(|value| !(low..=high).contains(value))
    }

    /// The blended answer, one array a channel.
    ///
    /// # Errors
    /// `AccelFault::Device`.
    pub fn finish(&mut self, stream: &Stream) -> Result<Vec<Vec<u16>>, Error> {
        let points = self.work.grid.len();
        let mut channels = Vec::with_capacity(self.work.channels);
        for channel in 0..self.work.channels {
            let mut values = Vec::with_capacity(points);
            while values.len() < points {
                let count = (points - values.len()).min(self.down.len());
                let from = channel * points + values.len();
                stream.download(&self.sums, from..from + count, &mut self.down, 0)?;
                stream.wait(self.patience)?;
                values.extend_from_slice(&self.down.read()?[..count]);
            }
            channels.push(values);
        }
        Ok(channels)
    }
}

/// Copies to the card, part by part.
fn bring<T: Plain>(
    device: &Device,
    (stream, patience): (&Stream, Duration),
    values: &[T],
    to: &mut DeviceBuffer<T>,
) -> Result<(), Error> {
    let mut here = device.pinned::<T>(values.len().min(AT_ONCE))?;
    for (number, part) in values.chunks(AT_ONCE).enumerate() {
        here.write()?[..part.len()].copy_from_slice(part);
        stream.upload(&mut here, 0..part.len(), to, number * AT_ONCE)?;
        stream.wait(patience)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_takes_at_most_half_of_what_is_free_and_the_refusal_says_how_much_it_wants() {
        let work = Patchwork {
            grid: Arc::default(),
            dims: [256, 256, 256],
            patch: [64; 3],
            windows: vec![[0.0, 1.0]],
            channels: 9,
            weights: Default::default(),
            allowed: [0.0, 1.0],
        };
        let need = (256usize << 16) * 20;
        assert_eq!(work.bytes(), Some(need));
        assert!(fits(&work, need * 2).is_ok());
        let refused = fits(&work, need * 2 - 2).unwrap_err();
        assert_eq!(refused.kind(), AccelFault::OutOfMemory);
        assert!(refused.to_string().contains("need 320 MiB, more than half of the 639 MiB"), "{refused}");
        assert!(fits(&Patchwork { dims: [usize::MAX; 3], ..work }, usize::MAX).is_err());
    }
}
