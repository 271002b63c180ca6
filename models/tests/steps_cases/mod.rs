//! Each step on a card gives what the processor gives, bit by bit: the cases, for a simulated card and for a real one.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use hal::accel::Error;
use hal::capture::frame::{Layout, Shape};
use hal::capture::{Colour, Frame, Matrix, PixelFormat, Range, convert::Part};
use hal::cuda::{Box3, Device, Kernels, Stream, Taper, Urgency};
use models::cast::round_hu_f32;
use models::grid::Grid;
use models::postprocess::patches::{self, Blend};
use models::preprocess::resample::{Target, trilinear};
use models::steps::{Card, Cpu, Steps};
use models::volume::{Geometry, Volume};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const PATIENCE: Duration = Duration::from_secs(10);
const JPEG: &[u8] = include_bytes!("../../../hal/src/capture/gradient.jpg");

fn check<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() }).run(&strategy, test).unwrap();
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Bytes that look random.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    (0..count as u64).map(|i| (seed.wrapping_add(i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
}

/// A picture with `gap` bytes after each row, the last `lacks` bytes missing.
fn frame(format: PixelFormat, colour: Colour, [width, height]: [u32; 2], gap: usize, lacks: usize, seed: u64) -> Frame {
    if format == PixelFormat::Mjpeg {
        let shape = Shape::tight(format, 33, 17, colour);
        return Frame::new(shape, 0, Duration::ZERO, Arc::new(JPEG[..JPEG.len() - lacks.min(JPEG.len())].to_vec()));
    }
    let tight = Shape::tight(format, width, height, colour);
    let mut end = 0;
    let planes = tight.planes().iter().map(|layout| {
        let offset = end;
        end += (layout.row + gap) * layout.rows;
        Layout { offset, stride: layout.row + gap, ..*layout }
    });
    let planes = planes.collect();
    let mut bytes = noise(seed, end);
    bytes.truncate(end.saturating_sub(lacks));
    Frame::new(Shape::laid_out(format, width, height, colour, planes), 0, Duration::ZERO, Arc::new(bytes))
}

/// Pictures of every format, size, row length and part, also parts beyond the picture and pictures that are cut off.
pub fn letterbox(card: &Card) {
    let colours = [Range::Full, Range::Limited]
        .iter()
        .flat_map(|range| [Matrix::Bt601, Matrix::Bt709].map(|matrix| Colour { range: *range, matrix }));
    let picture = (
        prop::sample::select(PixelFormat::ALL.to_vec()),
        prop::sample::select(colours.collect::<Vec<_>>()),
        prop::array::uniform2(1..48u32),
        0..5usize,
        prop_oneof![9 => Just(0usize), 1 => 1..40usize],
    );
    let part = (prop::array::uniform2(0.0..1.0f64), prop::array::uniform2(0.0..1.1f64));
    let strategy = (picture, part, prop::array::uniform2(1..40usize), prop::array::uniform2(any::<u64>()));
    check(160, strategy, |((format, colour, [width, height], gap, lacks), (corner, share), size, seeds)| {
        let whole = if format == PixelFormat::Mjpeg { [33.0, 17.0] } else { [width, height].map(f64::from) };
        let from = [0, 1].map(|a| (corner[a] * whole[a]) as usize);
        let length = [0, 1].map(|a| ((whole[a] - from[a] as f64) * share[a]).ceil() as usize);
        let part = Part { x: from[0], y: from[1], width: length[0], height: length[1] };
        let (mut there, mut here) = (card.pictures(part, size), Cpu.pictures(part, size));
        // Twice: memory is used again.
        for seed in seeds {
            let picture = frame(format, colour, [width, height], gap, lacks, seed);
            let (mut have, mut want) = (vec![9.0; 3], Vec::new());
            match (there.fill(&picture, &mut have), here.fill(&picture, &mut want)) {
                (Ok(()), Ok(())) => prop_assert_eq!(bits(&have), bits(&want), "{:?} {:?}", part, size),
                (Err(have), Err(want)) => prop_assert_eq!(have.to_string(), want.to_string()),
                (have, want) => prop_assert!(false, "{:?}, on the processor {:?}", have, want),
            }
        }
        Ok(())
    });
}

/// Which axis of the volume runs along which of the patient's, and in which direction.
fn axes(order: usize, signs: u8) -> [[f64; 3]; 3] {
    let order = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]][order];
    [0, 1, 2].map(|a| {
        let mut axis = [0.0; 3];
        axis[order[a]] = if signs & (1 << a) == 0 { 1.0 } else { -1.0 };
        axis
    })
}

fn volume(dims: [usize; 3], spacing_mm: [f64; 3], axes: [[f64; 3]; 3], seed: u64) -> Volume {
    let plane = dims[0] * dims[1];
    let slice = |z: usize| {
        let bytes = noise(seed ^ (z as u64) << 32, plane * 2);
        bytes.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect::<Vec<i16>>().into()
    };
    let geometry = Geometry { dims, spacing_mm, origin_mm: [0.0; 3], axes };
    Volume { slices: (0..dims[2]).map(slice).collect(), geometry }
}

/// Volumes of every orientation, one voxel and up, with every value that 16 bits have.
pub fn resample(card: &Card) {
    let strategy = (
        prop::array::uniform3(1..14usize),
        prop::array::uniform3(0.4..3.0f64),
        (0..6usize, 0..8u8),
        (0.0..6.0f64, 0.4..3.0f64, prop::array::uniform3(1..12usize)),
        any::<u64>(),
    );
    check(120, strategy, |(dims, spacing_mm, (order, signs), (margin, step, least), seed)| {
        let volume = volume(dims, spacing_mm, axes(order, signs), seed);
        let high = dims.map(|n| (n - 1).min(n / 2 + 1));
        let target = Target::cover(&volume.geometry, ([0; 3].map(|n: usize| n.min(1)), high), margin, step, least);
        let (values, whole) = card.resampled(&volume, &target).unwrap();
        prop_assert_eq!(bits(&values), bits(&trilinear(&volume, &target)));
        prop_assert_eq!(&whole, &Cpu.resample(&volume, &target));
        prop_assert_eq!(card.resample(&volume, &target), whole);
        Ok(())
    });
}

/// Kernels and a stream, for steps without a pipeline around them.
struct Bare {
    card: Device,
    kernels: Kernels,
    stream: Stream,
}

impl Bare {
    fn open() -> Self {
        let card = Device::open(0).unwrap();
        let kernels = Kernels::load(&card).unwrap();
        let stream = card.stream(Urgency::Study).unwrap();
        Self { card, kernels, stream }
    }

    fn read<T: hal::cuda::Plain>(&self, from: &hal::cuda::DeviceBuffer<T>) -> Result<Vec<T>, Error> {
        let mut here = self.card.pinned(from.len())?;
        self.stream.download(from, 0..from.len(), &mut here, 0)?;
        self.stream.wait(PATIENCE)?;
        Ok(here.read()?.to_vec())
    }
}

/// Every pattern of bits that a float has.
fn floats() -> impl Strategy<Value = f32> {
    prop_oneof![
        3 => any::<u32>().prop_map(f32::from_bits),
        3 => -2.0..2.0f32,
        1 => prop::sample::select(vec![0.0, -0.0, 0.5, -0.5, 1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 32_767.5, -32_768.5]),
        2 => (-40_000..40_000i32).prop_map(|n| n as f32 / 2.0),
    ]
}

/// Every float becomes the nearest whole number, also those that are none.
pub fn whole() {
    let bare = Bare::open();
    check(60, prop::collection::vec(floats(), 1..300), |values| {
        let there = bare.card.copied(&bare.stream, &values).unwrap();
        let mut out = bare.card.buffer(values.len()).unwrap();
        bare.kernels.whole(&bare.stream, &there, &mut out).unwrap();
        let want: Vec<i16> = values.iter().map(|value| round_hu_f32(*value)).collect();
        prop_assert_eq!(bare.read(&out).unwrap(), want);
        Ok(())
    });
}

fn grid_and_patch() -> impl Strategy<Value = (Grid, [usize; 3], [usize; 3])> {
    let one = (1..12usize).prop_flat_map(|patch| (Just(patch), patch..patch + 9));
    (prop::array::uniform3(one), prop::array::uniform3(0.0..1.0f64)).prop_map(|(sizes, share)| {
        let (patch, dims) = (sizes.map(|(patch, _)| patch), sizes.map(|(_, length)| length));
        let origin = [0, 1, 2].map(|a| ((dims[a] - patch[a] + 1) as f64 * share[a]) as usize);
        (Grid { dims, spacing_mm: [1.0; 3] }, patch, origin)
    })
}

/// Patches anywhere in a grid, with every window, also one without width.
pub fn cut() {
    let bare = Bare::open();
    let window = prop_oneof![4 => (-2000.0..2000.0f32, -2000.0..2000.0f32), 1 => (-10..10i32).prop_map(|n| (n as f32, n as f32))];
    check(80, (grid_and_patch(), window, any::<u64>()), |((grid, patch, origin), (low, high), seed)| {
        let bytes = noise(seed, grid.len() * 2);
        let wide = bytes.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]]));
        // Small numbers meet the ends of a window.
        let hu: Vec<i16> = wide.map(|value| if seed % 2 == 0 { value } else { value % 10 }).collect();
        let mut want = Vec::new();
        patches::cut(&grid, &hu, [low, high], origin, patch, &mut want);
        patches::cut(&grid, &hu, [high, low], origin, patch, &mut want);
        let there = bare.card.copied(&bare.stream, &hu).unwrap();
        let mut out = bare.card.buffer(want.len()).unwrap();
        let patch = Box3 { origin, size: patch };
        bare.kernels.cut(&bare.stream, (&there, grid.dims), patch, [low, high], (&mut out, 0)).unwrap();
        bare.kernels.cut(&bare.stream, (&there, grid.dims), patch, [high, low], (&mut out, want.len() / 2)).unwrap();
        // Which of the patterns a number that is none has is not said.
        let plain = |values: &[f32]| {
            values.iter().map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() }).collect::<Vec<_>>()
        };
        prop_assert_eq!(plain(&bare.read(&out).unwrap()), plain(&want));
        Ok(())
    });
}

/// Whether any value lies beyond the limits or is no number, wherever it lies.
pub fn odd() {
    let bare = Bare::open();
    let strategy =
        (prop::collection::vec(-0.5..1.5f32, 1..4000), prop::option::of((any::<u32>(), floats())), any::<bool>());
    check(60, strategy, |(mut values, planted, wide)| {
        if let Some((at, value)) = planted {
            let at = at as usize % values.len();
            values[at] = value;
        }
        let [low, high] = if wide { [-0.5, 1.5] } else { [-1e-3, 1.001] };
        let there = bare.card.copied(&bare.stream, &values).unwrap();
        let mut found = bare.card.buffer::<u32>(1).unwrap();
        bare.stream.clear(&mut found).unwrap();
        bare.kernels.odd(&bare.stream, &there, [low, high], &mut found).unwrap();
        let want = values.iter().any(|value| !(low..=high).contains(value));
        prop_assert_eq!(bare.read(&found).unwrap(), [u32::from(want)]);
        Ok(())
    });
}

/// The answers of all patches of a grid, any floats, and what of the blended ones reaches a floor.
pub fn blend_and_mark() {
    let bare = Bare::open();
    let strategy = (grid_and_patch(), 0..6usize, 1..4usize, prop::collection::vec(floats(), 97), any::<u16>());
    check(60, strategy, |((grid, patch, _), overlap, channels, values, floor)| {
        let mut twin = Blend::new(&grid, patch, overlap, channels);
        let tapers = patches::weights(&grid, patch, overlap)
            .map(|(weights, total)| Taper::new(&bare.card, &bare.stream, &weights, &total).unwrap());
        let [x, y, z] = &tapers;
        let mut sums = bare.card.buffer::<u16>(grid.len() * channels).unwrap();
        bare.stream.clear(&mut sums).unwrap();
        let voxels = patch.iter().product::<usize>() * channels;
        for (number, origin) in patches::origins(&grid, patch, overlap).into_iter().enumerate() {
            let answer: Vec<f32> = (0..voxels).map(|i| values[(i * 7 + number) % values.len()]).collect();
            twin.add(&grid, origin, &answer);
            let there = bare.card.copied(&bare.stream, &answer).unwrap();
            bare.kernels.blend(&bare.stream, &there, [x, y, z], origin, (&mut sums, channels)).unwrap();
            // A queue is not endless.
            bare.stream.wait(PATIENCE).unwrap();
        }
        let want = twin.finish();
        prop_assert_eq!(bare.read(&sums).unwrap(), want.concat());
        for (channel, want) in want.iter().enumerate() {
            // Often one of the values themselves.
            let floor = if floor % 4 == 0 { floor } else { want[usize::from(floor) % want.len()] };
            let mut marks = bare.card.buffer::<u8>(grid.len()).unwrap();
            bare.kernels.mark(&bare.stream, (&sums, channel * grid.len()), floor, &mut marks).unwrap();
            let want: Vec<u8> = want.iter().map(|value| u8::from(*value >= floor)).collect();
            prop_assert_eq!(bare.read(&marks).unwrap(), want);
        }
        Ok(())
    });
}

/// One picture of the live path's size and one volume, for what follows a failure.
#[allow(dead_code, reason = "one of the two programs fails on demand")]
pub fn examples() -> (Frame, Volume, Target) {
    let picture = frame(PixelFormat::Nv12, Colour::default(), [64, 48], 0, 0, 7);
    let volume = volume([9, 8, 7], [1.0; 3], axes(0, 0), 7);
    let target = Target::cover(&volume.geometry, ([0; 3], [8, 7, 6]), 1.0, 0.7, [4; 3]);
    (picture, volume, target)
}
