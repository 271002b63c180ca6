//! Pictures of any format to full-range grey or RGB without gaps between rows. Pure: bytes in, bytes out, and an error
//! for every frame that does not hold together.

use super::frame::{Colour, Frame, Matrix, PixelFormat, Range, plane_sizes};
use super::{CaptureFault, Error, jpeg};

/// A rectangle of a picture, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

impl Part {
    /// # Errors
    /// `CaptureFault::BadInput` when it reaches beyond the picture.
    fn check(self, frame: &Frame) -> Result<(), Error> {
        let (width, height) = (frame.shape.width as usize, frame.shape.height as usize);
        let within =
            |start: usize, length: usize, whole: usize| start.checked_add(length).is_some_and(|end| end <= whole);
        if within(self.x, self.width, width) && within(self.y, self.height, height) {
            return Ok(());
        }
        Err(Error::new(CaptureFault::BadInput, format!("{self:?} reaches beyond {width}x{height}")))
    }
}

/// Luma, one byte for each pixel, 0 is black and 255 white, into `out` (its memory is used again).
///
/// # Errors
/// `CaptureFault::BadInput` when a plane is shorter than its rows, or JPEG bytes are no such picture; what `out` holds then is
/// not defined.
pub fn grey(frame: &Frame, out: &mut Vec<u8>) -> Result<(), Error> {
    let (width, height) = (frame.shape.width as usize, frame.shape.height as usize);
    grey_part(frame, Part { x: 0, y: 0, width, height }, out)
}

/// As [`grey`], of a part of the picture only; rows without gaps.
///
/// # Errors
/// As for [`grey`], and when the part reaches beyond the picture.
pub fn grey_part(frame: &Frame, part: Part, out: &mut Vec<u8>) -> Result<(), Error> {
    part.check(frame)?;
    let (width, height) = (frame.shape.width as usize, frame.shape.height as usize);
    if frame.shape.format == PixelFormat::Mjpeg {
        out.resize(width * height, 0);
        jpeg::grey(frame, out)?;
        keep(part, width, out);
        return Ok(());
    }
    out.resize(part.width * part.height, 0);
    let luma = expansion(frame.shape.colour.range);
    let copied = frame.shape.colour.range == Range::Full;
    match frame.shape.format {
        PixelFormat::Grey | PixelFormat::Nv12 if copied => {
            part_rows(frame, part, 1, out, |row, out| out.iter_mut().zip(row).for_each(|(out, y)| *out = *y))
        }
        PixelFormat::Grey | PixelFormat::Nv12 | PixelFormat::Mjpeg => part_rows(frame, part, 1, out, |row, out| {
            out.iter_mut().zip(row).for_each(|(out, y)| *out = luma[usize::from(*y)]);
        }),
        PixelFormat::Yuyv if copied => part_rows(frame, part, 2, out, |row, out| {
            out.iter_mut().zip(row.chunks_exact(2)).for_each(|(out, pair)| *out = pair[0]);
        }),
        PixelFormat::Yuyv => part_rows(frame, part, 2, out, |row, out| {
            out.iter_mut().zip(row.chunks_exact(2)).for_each(|(out, pair)| *out = luma[usize::from(pair[0])]);
        }),
        PixelFormat::Rgb24 => {
            let weights = luma_weights(frame.shape.colour.matrix);
            part_rows(frame, part, 3, out, |row, out| {
                for (out, pixel) in out.iter_mut().zip(row.chunks_exact(3)) {
                    let sum: i32 = pixel.iter().zip(weights).map(|(v, w)| i32::from(luma[usize::from(*v)]) * w).sum();
                    *out = clamp(sum);
                }
            })
        }
    }
}

/// A part of a picture as it lies in memory, and how its bytes become grey: for a device that converts by itself, as [`grey_part`] does.
#[derive(Debug, Clone)]
pub struct Raw<'a> {
    /// From the part's first pixel to its last.
    pub bytes: &'a [u8],
    /// From the start of a row to the start of the next.
    pub stride: usize,
    /// Bytes of a pixel: 1 luma, 2 luma and chroma, 3 red, green, blue.
    pub pixel: usize,
    /// What each value of a byte is in full range.
    pub levels: [u8; 256],
    /// Of red, green and blue in luma, 65536ths.
    pub weights: [i32; 3],
}

impl<'a> Raw<'a> {
    /// A grey picture of full range without gaps between rows.
    pub fn of_grey(grey: &'a [u8], width: usize) -> Self {
        Self { bytes: grey, stride: width, pixel: 1, levels: expansion(Range::Full), weights: [0; 3] }
    }
}

/// The bytes of a part; `None` for JPEG, which has no pixels before it is decoded.
///
/// # Errors
/// As for [`grey_part`].
pub fn raw_part(frame: &Frame, part: Part) -> Result<Option<Raw<'_>>, Error> {
    part.check(frame)?;
    let pixel = match frame.shape.format {
        PixelFormat::Grey | PixelFormat::Nv12 => 1,
        PixelFormat::Yuyv => 2,
        PixelFormat::Rgb24 => 3,
        PixelFormat::Mjpeg => return Ok(None),
    };
    let rows = Rows::of(frame, 0)?;
    let first = part.y * rows.stride + part.x * pixel;
    let end = match (part.width, part.height) {
        (0, _) | (_, 0) => first,
        (width, height) => first + (height - 1) * rows.stride + width * pixel,
    };
    let bytes = rows.bytes.get(first..end).unwrap_or(&[]);
    let Colour { range, matrix } = frame.shape.colour;
    Ok(Some(Raw { bytes, stride: rows.stride, pixel, levels: expansion(range), weights: luma_weights(matrix) }))
}

/// Moves the rows of a part together, in place.
fn keep(part: Part, width: usize, out: &mut Vec<u8>) {
    for y in 0..part.height {
        let start = (part.y + y) * width + part.x;
        out.copy_within(start..start + part.width, y * part.width);
    }
    out.truncate(part.width * part.height);
}

/// Calls `convert` with what a part has of each row of plane 0, `bytes` for a pixel, and the line of `out` it becomes.
fn part_rows(
    frame: &Frame,
    part: Part,
    bytes: usize,
    out: &mut [u8],
    convert: impl Fn(&[u8], &mut [u8]),
) -> Result<(), Error> {
    let rows = Rows::of(frame, 0)?;
    for (y, out) in out.chunks_exact_mut(part.width.max(1)).enumerate() {
        let row = rows.row(part.y + y);
        convert(row.get(part.x * bytes..(part.x + part.width) * bytes).unwrap_or(&[]), out);
    }
    Ok(())
}

/// Red, green, blue, one byte each for each pixel, full range, into `out` (its memory is used again).
///
/// # Errors
/// As for [`grey`].
pub fn rgb(frame: &Frame, out: &mut Vec<u8>) -> Result<(), Error> {
    let line = frame.shape.width as usize * 3;
    out.resize(line * frame.shape.height as usize, 0);
    let level = expansion(frame.shape.colour.range);
    match frame.shape.format {
        PixelFormat::Mjpeg => return jpeg::rgb(frame, out),
        PixelFormat::Grey => each_row(frame, out, line, |row, out| {
            out.chunks_exact_mut(3).zip(row).for_each(|(out, y)| out.fill(level[usize::from(*y)]));
        })?,
        PixelFormat::Rgb24 => each_row(frame, out, line, |row, out| {
            out.iter_mut().zip(row).for_each(|(out, v)| *out = level[usize::from(*v)]);
        })?,
        PixelFormat::Yuyv => {
            let mix = Mix::new(frame.shape.colour);
            each_row(frame, out, line, |row, out| {
                for (out, four) in out.chunks_mut(6).zip(row.chunks_exact(4)) {
                    let [y0, cb, y1, cr] = [four[0], four[1], four[2], four[3]];
                    out.chunks_exact_mut(3).zip([y0, y1]).for_each(|(out, y)| mix.pixel(y, cb, cr, out));
                }
            })?;
        }
        PixelFormat::Nv12 => nv12(frame, out, line)?,
    }
    Ok(())
}

fn nv12(frame: &Frame, out: &mut [u8], line: usize) -> Result<(), Error> {
    let mix = Mix::new(frame.shape.colour);
    let luma = Rows::of(frame, 0)?;
    let chroma = Rows::of(frame, 1)?;
    for (y, out) in out.chunks_exact_mut(line.max(1)).enumerate() {
        let chroma = chroma.row(y / 2).chunks_exact(2);
        for ((out, y), c) in out.chunks_mut(6).zip(luma.row(y).chunks(2)).zip(chroma) {
            out.chunks_exact_mut(3).zip(y).for_each(|(out, y)| mix.pixel(*y, c[0], c[1], out));
        }
    }
    Ok(())
}

/// The rows of one plane, known to be all there.
struct Rows<'a> {
    bytes: &'a [u8],
    stride: usize,
    row: usize,
}

impl<'a> Rows<'a> {
    /// # Errors
    /// `CaptureFault::BadInput` when rows overlap or are missing.
    fn of(frame: &'a Frame, index: usize) -> Result<Self, Error> {
        let shape = &frame.shape;
        let (row, rows) = plane_sizes(shape.format, shape.width, shape.height).get(index).copied().unwrap_or((0, 0));
        let short = |have: usize| {
            let what = format!("{} {}x{}, plane {index}", shape.format, shape.width, shape.height);
            Error::new(CaptureFault::BadInput, format!("{what}: {have} bytes do not hold {rows} rows of {row}"))
        };
        let plane = frame.plane(index).ok_or_else(|| short(0))?;
        let need = plane.stride.checked_mul(rows.saturating_sub(1)).and_then(|n| n.checked_add(row));
        if plane.stride < row || need.is_none_or(|need| need > plane.bytes.len()) {
            return Err(short(plane.bytes.len()));
        }
        Ok(Self { bytes: plane.bytes, stride: plane.stride, row })
    }

    fn row(&self, index: usize) -> &'a [u8] {
        let start = index * self.stride;
        self.bytes.get(start..start + self.row).unwrap_or(&[])
    }
}

/// Calls `convert` with each row of plane 0 and the `line` bytes of `out` it becomes.
fn each_row(frame: &Frame, out: &mut [u8], line: usize, convert: impl Fn(&[u8], &mut [u8])) -> Result<(), Error> {
    let rows = Rows::of(frame, 0)?;
    for (y, out) in out.chunks_exact_mut(line.max(1)).enumerate() {
        convert(rows.row(y), out);
    }
    Ok(())
}

/// Fractions of 65536.
const ONE: i32 = 1 << 16;

/// The nearest byte to a number of 65536ths.
fn clamp(value: i32) -> u8 {
    u8::try_from(((i64::from(value) + i64::from(ONE / 2)) >> 16).clamp(0, 255)).unwrap_or(u8::MAX)
}

/// A byte of luma or RGB to full range.
fn expansion(range: Range) -> [u8; 256] {
    let mut table = [0; 256];
    for (value, out) in (0i32..).zip(&mut table) {
        *out = match range {
            Range::Full => clamp(value * ONE),
            // ITU-R BT.601-7, 2.5.3: 219 steps from black at 16 to white at 235.
            Range::Limited => clamp((value - 16) * (ONE * 255 / 219)),
        };
    }
    table
}

/// Kr, Kg, Kb of ITU-R BT.601-7 and BT.709-6 in 65536ths.
fn luma_weights(matrix: Matrix) -> [i32; 3] {
    match matrix {
        Matrix::Bt601 => [19_595, 38_470, 7_471],
        Matrix::Bt709 => [13_933, 46_871, 4_732],
    }
}

/// Y'CbCr to R'G'B' in 65536ths.
struct Mix {
    black: i32,
    luma: i32,
    red_cr: i32,
    green_cb: i32,
    green_cr: i32,
    blue_cb: i32,
}

impl Mix {
    fn new(colour: Colour) -> Self {
        // 2(1-Kr), 2Kb(1-Kb)/Kg, 2Kr(1-Kr)/Kg, 2(1-Kb).
        let [red_cr, green_cb, green_cr, blue_cb] = match colour.matrix {
            Matrix::Bt601 => [91_881, 22_554, 46_802, 116_130],
            Matrix::Bt709 => [103_206, 12_276, 30_679, 121_609],
        };
        match colour.range {
            Range::Full => Self { black: 0, luma: ONE, red_cr, green_cb, green_cr, blue_cb },
            Range::Limited => {
                // 224 steps of chroma.
                let [red_cr, green_cb, green_cr, blue_cb] =
                    [red_cr, green_cb, green_cr, blue_cb].map(|v| v * 255 / 224);
                Self { black: 16, luma: ONE * 255 / 219, red_cr, green_cb, green_cr, blue_cb }
            }
        }
    }

    #[inline]
    fn pixel(&self, y: u8, cb: u8, cr: u8, out: &mut [u8]) {
        let y = (i32::from(y) - self.black) * self.luma;
        let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
        let red = y + self.red_cr * cr;
        let green = y - self.green_cb * cb - self.green_cr * cr;
        let blue = y + self.blue_cb * cb;
        out.iter_mut().zip([red, green, blue]).for_each(|(out, value)| *out = clamp(value));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::frame::{Layout, Shape};
    use super::*;

    fn frame(shape: Shape, bytes: Vec<u8>) -> Frame {
        Frame::new(shape, 0, Duration::ZERO, Arc::new(bytes))
    }

    /// The picture with each row followed by `gap` bytes of 0xAA.
    fn spread(shape: &Shape, tight: &[u8], gap: usize) -> Frame {
        let (mut planes, mut bytes) = (Vec::new(), Vec::new());
        for l in shape.planes() {
            planes.push(Layout { offset: bytes.len(), stride: l.row + gap, ..*l });
            for row in tight[l.offset..l.offset + l.row * l.rows].chunks_exact(l.row) {
                bytes.extend_from_slice(row);
                bytes.extend(std::iter::repeat_n(0xAA, gap));
            }
        }
        frame(Shape::laid_out(shape.format, shape.width, shape.height, shape.colour, planes), bytes)
    }

    fn both(frame: &Frame) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let (mut g, mut c) = (vec![1; 7], Vec::new());
        grey(frame, &mut g)?;
        rgb(frame, &mut c)?;
        Ok((g, c))
    }

    const LIMITED_709: Colour = Colour { range: Range::Limited, matrix: Matrix::Bt709 };

    #[test]
    fn known_colours_come_out_as_they_should() {
        // Primaries of BT.601 full range: red is Y 76, Cb 85, Cr 255; of BT.709 limited: Y 63, Cb 102, Cr 240.
        for (colour, [y, cb, cr]) in [(Colour::default(), [76, 85, 255]), (LIMITED_709, [63, 102, 240])] {
            let yuyv = frame(Shape::tight(PixelFormat::Yuyv, 1, 1, colour), vec![y, cb, y, cr]);
            let nv12 = frame(Shape::tight(PixelFormat::Nv12, 1, 1, colour), vec![y, cb, cr]);
            for picture in [yuyv, nv12] {
                let (_, c) = both(&picture).unwrap();
                assert!(c[0] >= 253 && c[1] <= 2 && c[2] <= 2, "{colour:?} {c:?}");
            }
        }
        let red = frame(Shape::tight(PixelFormat::Rgb24, 1, 1, Colour::default()), vec![255, 0, 0]);
        assert_eq!(both(&red).unwrap().0, [76]);
    }

    #[test]
    fn black_and_white_of_limited_range_are_stretched() {
        let bytes = vec![0, 16, 126, 235, 255];
        let shape = |range| Shape::tight(PixelFormat::Grey, 5, 1, Colour { range, ..Colour::default() });
        assert_eq!(both(&frame(shape(Range::Limited), bytes.clone())).unwrap().0, [0, 0, 128, 255, 255]);
        assert_eq!(both(&frame(shape(Range::Full), bytes.clone())).unwrap().0, bytes);
    }

    #[test]
    fn rows_that_overlap_are_refused() {
        let layout = Layout { part: 0, offset: 0, stride: 3, row: 4, rows: 2 };
        let shape = Shape::laid_out(PixelFormat::Grey, 4, 2, Colour::default(), vec![layout]);
        assert_eq!(grey(&frame(shape, vec![0; 8]), &mut Vec::new()).unwrap_err().kind(), CaptureFault::BadInput);
    }

    fn any_shape() -> impl Strategy<Value = Shape> {
        let format = proptest::sample::select(PixelFormat::ALL[..4].to_vec());
        let colour = proptest::sample::select(vec![Colour::default(), LIMITED_709]);
        (format, 1..34u32, 1..18u32, colour).prop_map(|(f, w, h, c)| Shape::tight(f, w, h, c))
    }

    proptest! {
        #[test]
        fn gaps_between_rows_change_nothing(shape in any_shape(), gap in 0..9usize, seed: u64) {
            let tight: Vec<u8> =
                (0..shape.bytes(0) as u64).map(|i| (seed.wrapping_add(i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect();
            let loose = spread(&shape, &tight, gap);
            let pixels = (shape.width * shape.height) as usize;
            let (g, c) = both(&frame(shape, tight)).unwrap();
            prop_assert_eq!((g.len(), c.len()), (pixels, pixels * 3));
            prop_assert_eq!(both(&loose).unwrap(), (g, c));
        }

        #[test]
        fn grey_pictures_are_the_same_in_every_format(width in 1..34u32, height in 1..18u32, level: u8) {
            for format in [PixelFormat::Grey, PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::Rgb24] {
                let shape = Shape::tight(format, width, height, Colour::default());
                let mut bytes = vec![level; shape.bytes(0)];
                match format {
                    PixelFormat::Yuyv => bytes.iter_mut().skip(1).step_by(2).for_each(|c| *c = 128),
                    PixelFormat::Nv12 => bytes[(width * height) as usize..].fill(128),
                    _ => {}
                }
                let (g, c) = both(&frame(shape, bytes)).unwrap();
                prop_assert!(g.iter().chain(&c).all(|v| *v == level), "{} {}", format, level);
            }
        }

        #[test]
        fn a_part_is_what_the_whole_has_there(
            shape in any_shape(), seed: u64, corner in proptest::array::uniform2(0..40usize), size in proptest::array::uniform2(0..40usize),
        ) {
            let bytes = (0..shape.bytes(0) as u64).map(|i| (seed.wrapping_add(i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect();
            let (width, height) = (shape.width as usize, shape.height as usize);
            let picture = frame(shape, bytes);
            let (mut whole, mut own) = (Vec::new(), Vec::new());
            grey(&picture, &mut whole).unwrap();
            let part = Part { x: corner[0], y: corner[1], width: size[0], height: size[1] };
            let outcome = grey_part(&picture, part, &mut own);
            if part.x + part.width > width || part.y + part.height > height {
                prop_assert_eq!(outcome.unwrap_err().kind(), CaptureFault::BadInput);
            } else {
                outcome.unwrap();
                keep(part, width, &mut whole);
                prop_assert_eq!(own, whole);
            }
        }

        #[test]
        fn a_short_buffer_is_an_error(shape in any_shape(), part in 0.0..1.0f64) {
            let bytes = (shape.bytes(0) as f64 * part) as usize;
            let short = frame(shape, vec![0; bytes]);
            prop_assert!(!short.is_complete());
            prop_assert_eq!(rgb(&short, &mut Vec::new()).unwrap_err().kind(), CaptureFault::BadInput);
        }

        #[test]
        fn any_layout_is_converted_or_refused(
            format in proptest::sample::select(PixelFormat::ALL.to_vec()), width in 0..40u32, height in 0..40u32,
            layouts in proptest::collection::vec((0..3usize, 0..200usize, 0..99usize, 0..99usize, 0..60usize), 0..3),
            bytes in proptest::collection::vec(any::<u8>(), 0..2000),
        ) {
            let planes = layouts.into_iter().map(|(part, offset, stride, row, rows)| Layout { part, offset, stride, row, rows });
            let shape = Shape::laid_out(format, width, height, Colour::default(), planes.collect());
            let _ = both(&frame(shape, bytes));
        }
    }
}
