//! What kernels read beside the numbers themselves: tables of shares and neighbours, made on the processor, checked, and copied once.

use super::{Device, DeviceBuffer, Plain, Stream};
use crate::accel_error::{AccelFault, Error};

/// How the bytes of a picture become grey.
#[derive(Debug)]
pub struct Pixels {
    /// Of the first pixel that is used.
    pub offset: usize,
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Rows from `offset` on.
    pub rows: usize,
    /// Of one pixel: 1 luma, 2 luma and chroma, 3 red, green, blue.
    pub bytes: usize,
    /// What each of the 256 values of a byte is in full range.
    pub levels: DeviceBuffer<u8>,
    /// Of red, green and blue in luma, 65536ths.
    pub weights: [i32; 3],
}

/// For each pixel of an input along one axis, which pixels of the source it covers, and how much of each.
#[derive(Debug)]
pub struct Shares {
    pub(super) first: DeviceBuffer<u32>,
    /// Of its weights in `weights`; one more than pixels.
    pub(super) start: DeviceBuffer<u32>,
    pub(super) weights: DeviceBuffer<f32>,
    pub(super) len: usize,
    /// One past the last pixel of the source.
    pub(super) reach: usize,
}

/// For each point of a grid along one axis, its two neighbours in the volume and the weight of the second.
#[derive(Debug)]
pub struct Taps {
    pub(super) low: DeviceBuffer<u32>,
    pub(super) high: DeviceBuffer<u32>,
    pub(super) part: DeviceBuffer<f32>,
    pub(super) len: usize,
    /// One past the last voxel.
    pub(super) reach: usize,
}

/// Along one axis: the weight of each voxel of a patch, and the sum of all patches' weights at each point of the grid.
#[derive(Debug)]
pub struct Taper {
    pub(super) weights: DeviceBuffer<f32>,
    pub(super) total: DeviceBuffer<f32>,
}

/// A box of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Box3 {
    pub origin: [usize; 3],
    pub size: [usize; 3],
}

impl Box3 {
    pub(super) fn lies_in(self, dims: [usize; 3]) -> bool {
        (0..3).all(|a| self.origin[a].checked_add(self.size[a]).is_some_and(|end| end <= dims[a]))
    }
}

impl Shares {
    /// `shares`: the first pixel that is covered, and the weight of each from there on.
    ///
    /// # Errors
    /// `AccelFault::OutOfMemory`; `AccelFault::Device`; `AccelFault::BadInput` for more than a card can count.
    pub fn new<'a>(
        device: &Device,
        stream: &Stream,
        shares: impl IntoIterator<Item = (usize, &'a [f32])>,
    ) -> Result<Self, Error> {
        let (mut first, mut start, mut weights, mut reach) = (Vec::new(), vec![0], Vec::new(), 0);
        for (pixel, share) in shares {
            first.push(number(pixel)?);
            weights.extend_from_slice(share);
            start.push(number(weights.len())?);
            if !share.is_empty() {
                reach = reach.max(pixel.saturating_add(share.len()));
            }
        }
        number(reach)?;
        Ok(Self {
            len: first.len(),
            first: device.copied(stream, &first)?,
            start: device.copied(stream, &start)?,
            weights: device.copied(stream, &weights)?,
            reach,
        })
    }
}

impl Taps {
    /// # Errors
    /// As for [`Shares::new`].
    pub fn new(device: &Device, stream: &Stream, taps: &[(usize, usize, f32)]) -> Result<Self, Error> {
        let low = taps.iter().map(|(low, ..)| number(*low)).collect::<Result<Vec<u32>, _>>()?;
        let high = taps.iter().map(|(_, high, _)| number(*high)).collect::<Result<Vec<u32>, _>>()?;
        let part: Vec<f32> = taps.iter().map(|(.., part)| *part).collect();
        Ok(Self {
            low: device.copied(stream, &low)?,
            high: device.copied(stream, &high)?,
            part: device.copied(stream, &part)?,
            len: taps.len(),
            reach: taps.iter().map(|(low, high, _)| low.max(high) + 1).max().unwrap_or(0),
        })
    }
}

impl Taper {
    /// # Errors
    /// As for [`Shares::new`].
    pub fn new(device: &Device, stream: &Stream, weights: &[f32], total: &[f32]) -> Result<Self, Error> {
        Ok(Self { weights: device.copied(stream, weights)?, total: device.copied(stream, total)? })
    }
}

fn number(value: usize) -> Result<u32, Error> {
    let too_large = || Error::new(AccelFault::BadInput, format!("{value} is more than a kernel can count"));
    u32::try_from(value).ok().filter(|n| *n < u32::MAX).ok_or_else(too_large)
}

impl Device {
    /// A copy on the card, there when what is queued on `stream` now has ended.
    ///
    /// # Errors
    /// `AccelFault::OutOfMemory`; `AccelFault::Device`.
    pub fn copied<T: Plain>(&self, stream: &Stream, values: &[T]) -> Result<DeviceBuffer<T>, Error> {
        let mut from = self.pinned(values.len())?;
        from.write()?.copy_from_slice(values);
        let mut to = self.buffer(values.len())?;
        stream.upload(&mut from, 0..values.len(), &mut to, 0)?;
        Ok(to)
    }
}
