//! A frame with luma and chroma as JPEG wants it, row by row, without the way through RGB: full range, BT.601.

use hal::capture::{Colour, Frame, Matrix, PixelFormat, Range};
use jpeg_encoder::{ImageBuffer, JpegColorType};

/// Fractions of 65536.
const ONE: i32 = 1 << 16;

/// A YUYV or NV12 frame whose rows are all there.
pub struct Rows<'a> {
    size: [u16; 2],
    format: PixelFormat,
    luma: Plane<'a>,
    chroma: Plane<'a>,
    mix: Mix,
}

#[derive(Clone, Copy)]
struct Plane<'a> {
    bytes: &'a [u8],
    stride: usize,
    row: usize,
}

impl<'a> Plane<'a> {
    /// None when rows overlap or are missing.
    fn of(frame: &'a Frame, index: usize, row: usize, rows: usize) -> Option<Self> {
        let plane = frame.plane(index)?;
        let need = plane.stride.checked_mul(rows.checked_sub(1)?)?.checked_add(row)?;
        let whole = plane.stride >= row && need <= plane.bytes.len();
        whole.then_some(Self { bytes: plane.bytes, stride: plane.stride, row })
    }

    fn row(&self, y: usize) -> &'a [u8] {
        self.bytes.get(y * self.stride..y * self.stride + self.row).unwrap_or(&[])
    }
}

impl<'a> Rows<'a> {
    /// None when the frame is not whole, or of another format.
    pub fn of(frame: &'a Frame, size: [u16; 2]) -> Option<Self> {
        let [width, height] = size.map(usize::from);
        let (luma, chroma) = match frame.shape.format {
            PixelFormat::Yuyv => {
                let both = Plane::of(frame, 0, width.div_ceil(2) * 4, height)?;
                (both, both)
            }
            PixelFormat::Nv12 => {
                let chroma = Plane::of(frame, 1, width.div_ceil(2) * 2, height.div_ceil(2))?;
                (Plane::of(frame, 0, width, height)?, chroma)
            }
            PixelFormat::Grey | PixelFormat::Rgb24 | PixelFormat::Mjpeg => return None,
        };
        Some(Self { size, format: frame.shape.format, luma, chroma, mix: Mix::new(frame.shape.colour) })
    }
}

impl ImageBuffer for Rows<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.size[0]
    }

    fn height(&self) -> u16 {
        self.size[1]
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let (y, width) = (usize::from(y), usize::from(self.size[0]));
        let ends = [0, 1, 2].map(|index| buffers[index].len() + width);
        let [lumas, cbs, crs, _] = buffers;
        let mut pair = |two: [u8; 2], cb: u8, cr: u8| {
            let (shift, cb, cr) = self.mix.chroma(cb, cr);
            lumas.extend(two.map(|y| self.mix.luma(y, shift)));
            cbs.extend([cb, cb]);
            crs.extend([cr, cr]);
        };
        if self.format == PixelFormat::Yuyv {
            self.luma.row(y).chunks_exact(4).for_each(|four| pair([four[0], four[2]], four[1], four[3]));
        } else {
            let lumas = self.luma.row(y).chunks(2).map(|two| [two[0], *two.last().unwrap_or(&two[0])]);
            lumas.zip(self.chroma.row(y / 2).chunks_exact(2)).for_each(|(two, c)| pair(two, c[0], c[1]));
        }
        // An odd width has half a pair at its end.
        buffers.iter_mut().zip(ends).for_each(|(buffer, end)| buffer.truncate(end));
    }
}

/// From the frame's range and matrix to JPEG's, in 65536ths.
#[derive(Debug, PartialEq, Eq)]
struct Mix {
    black: i32,
    luma: i32,
    /// What chroma adds to luma: of cb, of cr.
    shift: [i32; 2],
    cb: [i32; 2],
    cr: [i32; 2],
}

impl Mix {
    fn new(colour: Colour) -> Self {
        // Kr, Kb of ITU-R BT.601-7 and BT.709-6.
        let (red, blue) = match colour.matrix {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
        };
        let green = 1.0 - red - blue;
        let (black, luma, spread) = match colour.range {
            Range::Full => (0, 1.0, 1.0),
            Range::Limited => (16, 255.0 / 219.0, 255.0 / 224.0),
        };
        // Red, green and blue without luma, each of (cb, cr).
        let r = [0.0, 2.0 * (1.0 - red) * spread];
        let b = [2.0 * (1.0 - blue) * spread, 0.0];
        let g = [-2.0 * blue * (1.0 - blue) / green * spread, -2.0 * red * (1.0 - red) / green * spread];
        let fixed = |value: f64| (value * f64::from(ONE)).round() as i32;
        let shift = [0, 1].map(|of| 0.299 * r[of] + 0.587 * g[of] + 0.114 * b[of]);
        Self {
            black,
            luma: fixed(luma),
            shift: shift.map(fixed),
            cb: [0, 1].map(|of| fixed((b[of] - shift[of]) / 1.772)),
            cr: [0, 1].map(|of| fixed((r[of] - shift[of]) / 1.402)),
        }
    }

    #[inline]
    fn chroma(&self, cb: u8, cr: u8) -> (i32, u8, u8) {
        let both = [i32::from(cb) - 128, i32::from(cr) - 128];
        let of = |factors: [i32; 2]| factors[0] * both[0] + factors[1] * both[1];
        (of(self.shift), nearest(of(self.cb) + 128 * ONE), nearest(of(self.cr) + 128 * ONE))
    }

    #[inline]
    fn luma(&self, luma: u8, shift: i32) -> u8 {
        nearest((i32::from(luma) - self.black) * self.luma + shift)
    }
}

#[inline]
fn nearest(value: i32) -> u8 {
    ((value + ONE / 2) >> 16).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use hal::capture::convert;
    use hal::capture::frame::Shape;

    use super::*;

    #[test]
    fn what_is_jpeg_s_already_stays_as_it_is() {
        let mix = Mix::new(Colour::default());
        for value in [0, 1, 100, 254, 255] {
            assert_eq!((mix.luma(value, 0), mix.chroma(value, 128)), (value, (0, value, 128)));
        }
        assert_eq!(mix.shift, [0, 0]);
    }

    #[test]
    fn it_is_the_same_picture_as_by_way_of_rgb() {
        for format in [PixelFormat::Yuyv, PixelFormat::Nv12] {
            for range in [Range::Full, Range::Limited] {
                for matrix in [Matrix::Bt601, Matrix::Bt709] {
                    let shape = Shape::tight(format, 35, 21, Colour { range, matrix });
                    // Colours that all screens have: nothing is cut off.
                    let bytes = (0..shape.bytes(0)).map(|i| 110 + (i * 37 % 29) as u8).collect::<Vec<_>>();
                    let frame = Frame::new(shape, 0, Duration::ZERO, Arc::new(bytes));
                    let mut rgb = Vec::new();
                    convert::rgb(&frame, &mut rgb).unwrap();
                    let rows = Rows::of(&frame, [35, 21]).unwrap();
                    for (y, row) in (0..).zip(rgb.chunks_exact(35 * 3)) {
                        let mut buffers = [const { Vec::new() }; 4];
                        rows.fill_buffers(y, &mut buffers);
                        for (x, pixel) in row.chunks_exact(3).enumerate() {
                            let (luma, cb, cr) = jpeg_encoder::rgb_to_ycbcr(pixel[0], pixel[1], pixel[2]);
                            for (index, wanted) in [luma, cb, cr].into_iter().enumerate() {
                                let is = buffers[index][x];
                                assert!(
                                    is.abs_diff(wanted) <= 1,
                                    "{format} {range:?} {matrix:?} {x} {y}: {is} {wanted}"
                                );
                            }
                        }
                        assert_eq!(buffers.map(|buffer| buffer.len()), [35, 35, 35, 0]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_frame_that_is_not_whole_is_none() {
        let shape = Shape::tight(PixelFormat::Nv12, 8, 8, Colour::default());
        let frame = Frame::new(shape, 0, Duration::ZERO, Arc::new(vec![0; 95]));
        assert!(Rows::of(&frame, [8, 8]).is_none());
    }
}
