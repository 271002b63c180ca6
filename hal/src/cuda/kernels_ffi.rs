//! The kernels, each behind a function that checks every length before it starts one. What they compute is said in
//! `kernels/kernels.cu`, for whom and with which twin on the processor in `models::steps`.

#![allow(unsafe_code)]

use std::sync::Arc;

use super::context_ffi::Context;
use super::memory_ffi::{DeviceBuffer, Plain};
use super::program_ffi::{Argument, Kernel, Program};
use super::stream_ffi::Stream;
use super::{Box3, Device, Pixels, Shares, Taper, Taps};
use crate::accel_error::{AccelFault, Error};

/// Compiled from `kernels.cu` for the oldest card by an old compiler, which every later driver takes; `make gpu-check` compares.
pub(super) const PTX: &str = include_str!("kernels/kernels.ptx");

/// Numbers in a row of threads, for kernels whose numbers have no place.
const ROW: usize = 1 << 20;

/// The kernels on one card. Clones are the same ones.
#[derive(Debug, Clone)]
pub struct Kernels {
    context: Arc<Context>,
    all: Arc<All>,
}

#[derive(Debug)]
struct All {
    letterbox: Kernel,
    resample: Kernel,
    whole: Kernel,
    cut: Kernel,
    blend: Kernel,
    mark: Kernel,
    odd: Kernel,
}

impl Kernels {
    /// Lets the driver compile the kernels for its card.
    ///
    /// # Errors
    /// `AccelFault::BadModel` when it cannot, with its words; `AccelFault::OutOfMemory`; `AccelFault::Device`.
    pub fn load(device: &Device) -> Result<Self, Error> {
        let mut kernels = Program::load(&device.context, PTX)?;
        let mut take = |name: &str| {
            let place = kernels.iter().position(|kernel| kernel.name() == name);
            let missing = || Error::new(AccelFault::BadModel, format!("the kernels lack {name}"));
            place.map(|place| kernels.swap_remove(place)).ok_or_else(missing)
        };
        let all = All {
            letterbox: take("letterbox")?,
            resample: take("resample")?,
            whole: take("whole")?,
            cut: take("cut")?,
            blend: take("blend")?,
            mark: take("mark")?,
            odd: take("odd")?,
        };
        Ok(Self { context: device.context.clone(), all: Arc::new(all) })
    }

    /// Name of each kernel, and registers of one thread of it on this card.
    ///
    /// # Errors
    /// `AccelFault::Device`.
    pub fn registers(&self) -> Result<Vec<(String, u32)>, Error> {
        let All { letterbox, resample, whole, cut, blend, mark, odd } = &*self.all;
        [letterbox, resample, whole, cut, blend, mark, odd]
            .map(|k| Ok((k.name().to_owned(), k.registers()?)))
            .into_iter()
            .collect()
    }

    /// A part of a picture into an input of `width` x `height`, 0..1.
    ///
    /// # Errors
    /// `AccelFault::BadInput` when a buffer is too short; as for [`Stream::admit`].
    pub fn letterbox(
        &self,
        stream: &Stream,
        (picture, pixels): (&DeviceBuffer<u8>, &Pixels),
        [across, down]: [&Shares; 2],
        out: &mut DeviceBuffer<f32>,
    ) -> Result<(), Error> {
        let (width, height) = (across.len, down.len);
        // Rows that the picture lacks are black.
        let rows = down.reach.min(pixels.rows);
        let end = (rows.checked_sub(1).and_then(|last| last.checked_mul(pixels.stride)))
            .and_then(|n| n.checked_add(across.reach.checked_mul(pixels.bytes)?))
            .and_then(|n| n.checked_add(pixels.offset));
        let reads = rows > 0 && across.reach > 0;
        self.fits(&[
            (!reads || end.is_some_and(|end| end <= picture.len()), "the picture"),
            (pixels.levels.len() == 256, "the levels"),
            (matches!(pixels.bytes, 1..=3), "bytes of a pixel"),
            (width.checked_mul(height) == Some(out.len()), "the input"),
        ])?;
        let [red, green, blue] = pixels.weights;
        let mut arguments = [
            self.of(picture)?,
            Argument::Long(pixels.offset as u64),
            word(pixels.stride)?,
            word(pixels.bytes)?,
            self.of(&pixels.levels)?,
            Argument::Signed(red),
            Argument::Signed(green),
            Argument::Signed(blue),
            word(rows)?,
            self.of(&across.first)?,
            self.of(&across.start)?,
            self.of(&across.weights)?,
            self.of(&down.first)?,
            self.of(&down.start)?,
            self.of(&down.weights)?,
            word(width)?,
            word(height)?,
            self.of(out)?,
        ];
        // SAFETY: one thread a pixel of `out`; of the picture no more is read than was checked; what the shares point to was checked
        // when they were made.
        unsafe { self.all.letterbox.launch(stream, [size(width)?, size(height)?, 1], &mut arguments) }?;
        stream.hold_buffer(picture);
        stream.hold_buffer(&pixels.levels);
        for shares in [across, down] {
            stream.hold_buffer(&shares.first);
            stream.hold_buffer(&shares.start);
            stream.hold_buffer(&shares.weights);
        }
        stream.hold_buffer(out);
        Ok(())
    }

    /// Trilinear values of a volume on a grid, x fastest. `steps`: from one voxel to the next along the axis of the volume that runs
    /// along x, y, z of the grid. `axial`: the order of arithmetic for volumes whose axes are the grid's.
    ///
    /// # Errors
    /// As for [`Kernels::letterbox`].
    pub fn resample(
        &self,
        stream: &Stream,
        (volume, steps, axial): (&DeviceBuffer<i16>, [usize; 3], bool),
        taps: [&Taps; 3],
        out: &mut DeviceBuffer<f32>,
    ) -> Result<(), Error> {
        let last = taps
            .iter()
            .zip(steps)
            .try_fold(0usize, |sum, (taps, step)| sum.checked_add(taps.reach.saturating_sub(1).checked_mul(step)?));
        let size3 = taps.map(|taps| taps.len);
        let some = size3.iter().all(|n| *n > 0);
        self.fits(&[
            (!some || last.is_some_and(|last| last < volume.len()), "the volume"),
            (product(size3) == Some(out.len()), "the grid"),
        ])?;
        let [x, y, z] = taps;
        let mut arguments = [
            self.of(volume)?,
            Argument::Long(steps[0] as u64),
            Argument::Long(steps[1] as u64),
            Argument::Long(steps[2] as u64),
            Argument::Word(u32::from(axial)),
            self.of(&x.low)?,
            self.of(&x.high)?,
            self.of(&x.part)?,
            self.of(&y.low)?,
            self.of(&y.high)?,
            self.of(&y.part)?,
            self.of(&z.low)?,
            self.of(&z.high)?,
            self.of(&z.part)?,
            word(x.len)?,
            word(y.len)?,
            word(z.len)?,
            self.of(out)?,
        ];
        // SAFETY: one thread a point of `out`; the farthest voxel that taps name was checked.
        unsafe { self.all.resample.launch(stream, [size(x.len)?, size(y.len)?, size(z.len)?], &mut arguments) }?;
        stream.hold_buffer(volume);
        for taps in [x, y, z] {
            stream.hold_buffer(&taps.low);
            stream.hold_buffer(&taps.high);
            stream.hold_buffer(&taps.part);
        }
        stream.hold_buffer(out);
        Ok(())
    }

    /// The whole number nearest to each value.
    ///
    /// # Errors
    /// As for [`Kernels::letterbox`].
    pub fn whole(&self, stream: &Stream, values: &DeviceBuffer<f32>, out: &mut DeviceBuffer<i16>) -> Result<(), Error> {
        self.fits(&[(values.len() == out.len(), "the whole numbers")])?;
        let mut arguments = [self.of(values)?, Argument::Long(values.len() as u64), self.of(out)?];
        // SAFETY: one thread a number, as many in both.
        unsafe { self.all.whole.launch(stream, in_rows(values.len())?, &mut arguments) }?;
        stream.hold_buffer(values);
        stream.hold_buffer(out);
        Ok(())
    }

    /// The patch at a place of a grid, clipped to `window` and scaled to 0..1, to `out[at..]`.
    ///
    /// # Errors
    /// As for [`Kernels::letterbox`].
    pub fn cut(
        &self,
        stream: &Stream,
        (grid, dims): (&DeviceBuffer<i16>, [usize; 3]),
        patch: Box3,
        [low, high]: [f32; 2],
        (out, at): (&mut DeviceBuffer<f32>, usize),
    ) -> Result<(), Error> {
        let voxels = product(patch.size);
        self.fits(&[
            (product(dims) == Some(grid.len()), "the grid"),
            (patch.lies_in(dims), "the patch"),
            (voxels.and_then(|n| n.checked_add(at)).is_some_and(|end| end <= out.len()), "what is cut"),
        ])?;
        let [[x, y, z], [columns, rows, slices]] = [patch.origin, patch.size];
        let mut arguments = [
            self.of(grid)?,
            word(dims[0])?,
            word(dims[1])?,
            word(x)?,
            word(y)?,
            word(z)?,
            word(columns)?,
            word(rows)?,
            word(slices)?,
            Argument::Float(low),
            Argument::Float(high),
            self.of(out)?,
            Argument::Long(at as u64),
        ];
        // SAFETY: one thread a voxel of the patch, which lies in the grid; so does what is written in `out`.
        unsafe { self.all.cut.launch(stream, [size(columns)?, size(rows)?, size(slices)?], &mut arguments) }?;
        stream.hold_buffer(grid);
        stream.hold_buffer(out);
        Ok(())
    }

    /// Adds what the network answered for the patch at `origin`, channel slowest, to the blended answer of the grid.
    ///
    /// # Errors
    /// As for [`Kernels::letterbox`].
    pub fn blend(
        &self,
        stream: &Stream,
        answer: &DeviceBuffer<f32>,
        [x, y, z]: [&Taper; 3],
        origin: [usize; 3],
        (sums, channels): (&mut DeviceBuffer<u16>, usize),
    ) -> Result<(), Error> {
        let patch = Box3 { origin, size: [x, y, z].map(|taper| taper.weights.len()) };
        let dims = [x, y, z].map(|taper| taper.total.len());
        let (Some(voxels), Some(points)) = (product(patch.size), product(dims)) else {
            return Err(Error::new(AccelFault::BadInput, "a grid of more points than can be counted"));
        };
        self.fits(&[
            (patch.lies_in(dims), "the patch"),
            (voxels.checked_mul(channels) == Some(answer.len()), "the answer"),
            (points.checked_mul(channels) == Some(sums.len()), "the sums"),
        ])?;
        for channel in 0..channels {
            let mut arguments = [
                self.of(answer)?,
                Argument::Long((channel * voxels) as u64),
                self.of(sums)?,
                Argument::Long((channel * points) as u64),
                word(dims[0])?,
                word(dims[1])?,
                word(origin[0])?,
                word(origin[1])?,
                word(origin[2])?,
                word(patch.size[0])?,
                word(patch.size[1])?,
                word(patch.size[2])?,
                self.of(&x.weights)?,
                self.of(&y.weights)?,
                self.of(&z.weights)?,
                self.of(&x.total)?,
                self.of(&y.total)?,
                self.of(&z.total)?,
            ];
            let threads = [size(patch.size[0])?, size(patch.size[1])?, size(patch.size[2])?];
            // SAFETY: one thread a voxel of the patch, which lies in the grid, in this channel of answer and sums; weights are as many
            // as the patch is long, totals as the grid is.
            unsafe { self.all.blend.launch(stream, threads, &mut arguments) }?;
        }
        stream.hold_buffer(answer);
        stream.hold_buffer(sums);
        for taper in [x, y, z] {
            stream.hold_buffer(&taper.weights);
            stream.hold_buffer(&taper.total);
        }
        Ok(())
    }

    /// 1 where one of the `count` values from `from` on reaches `floor`, else 0.
    ///
    /// # Errors
    /// As for [`Kernels::letterbox`].
    pub fn mark(
        &self,
        stream: &Stream,
        (values, from): (&DeviceBuffer<u16>, usize),
        floor: u16,
        out: &mut DeviceBuffer<u8>,
    ) -> Result<(), Error> {
        let count = out.len();
        self.fits(&[(from.checked_add(count).is_some_and(|end| end <= values.len()), "the values")])?;
        let mut arguments = [
            self.of(values)?,
            Argument::Long(from as u64),
            Argument::Long(count as u64),
            Argument::Word(u32::from(floor)),
            self.of(out)?,
        ];
        // SAFETY: one thread a number of `out`, and as many values from `from` on.
        unsafe { self.all.mark.launch(stream, in_rows(count)?, &mut arguments) }?;
        stream.hold_buffer(values);
        stream.hold_buffer(out);
        Ok(())
    }

    /// Writes 1 to `found` where one of the values does not lie within the limits, or is no number; nothing otherwise.
    ///
    /// # Errors
    /// As for [`Kernels::letterbox`].
    pub fn odd(
        &self,
        stream: &Stream,
        values: &DeviceBuffer<f32>,
        [low, high]: [f32; 2],
        found: &mut DeviceBuffer<u32>,
    ) -> Result<(), Error> {
        self.fits(&[(found.len() == 1, "what is found")])?;
        let mut arguments = [
            self.of(values)?,
            Argument::Long(values.len() as u64),
            Argument::Float(low),
            Argument::Float(high),
            self.of(found)?,
        ];
        // SAFETY: one thread a value; all write the one number of `found`.
        unsafe { self.all.odd.launch(stream, in_rows(values.len())?, &mut arguments) }?;
        stream.hold_buffer(values);
        stream.hold_buffer(found);
        Ok(())
    }

    fn of<T: Plain>(&self, buffer: &DeviceBuffer<T>) -> Result<Argument, Error> {
        if buffer.is_of(&self.context) {
            return Ok(Argument::buffer(buffer));
        }
        Err(Error::new(AccelFault::BadInput, "a buffer of another card"))
    }

    /// # Errors
    /// `AccelFault::BadInput` that names the first that does not.
    fn fits(&self, checks: &[(bool, &str)]) -> Result<(), Error> {
        if self.context.is_lost() {
            self.context.enter()?;
        }
        match checks.iter().find(|(fits, _)| !fits) {
            Some((_, what)) => {
                Err(Error::new(AccelFault::BadInput, format!("{what}: of another length than the rest")))
            }
            None => Ok(()),
        }
    }
}

/// Threads for `count` numbers in rows; the kernels leave out those beyond.
fn in_rows(count: usize) -> Result<[u32; 3], Error> {
    Ok([size(count.min(ROW))?, size(count.div_ceil(ROW))?, 1])
}

fn product(size: [usize; 3]) -> Option<usize> {
    size.iter().try_fold(1usize, |product, n| product.checked_mul(*n))
}

fn size(count: usize) -> Result<u32, Error> {
    // Threads are counted up to whole blocks.
    let most = (1usize << 31) - (1 << 16);
    let fits = u32::try_from(count).ok().filter(|_| count <= most);
    fits.ok_or_else(|| Error::new(AccelFault::BadInput, format!("{count} are too many for a kernel")))
}

fn word(count: usize) -> Result<Argument, Error> {
    size(count).map(Argument::Word)
}
