//! Encodes a picture as a baseline JPEG file, for the web page and for recordings.

use hal::capture::frame::Shape;
use hal::capture::{Colour, Frame, PixelFormat, convert};
use jpeg_encoder::{ColorType, EncodingError, SamplingFactor};

use crate::screen::profile::Area;

/// Why a picture did not become a JPEG file.
#[derive(Debug, thiserror::Error)]
pub enum JpegError {
    #[error("an empty JPEG file")]
    Empty,
    /// A side in pixels.
    #[error("{0} pixels are too many for JPEG")]
    TooLarge(u32),
    /// The frame is not whole, or what a camera compressed cannot be read.
    #[error(transparent)]
    Frame(#[from] hal::capture::Error),
    #[error(transparent)]
    Encoder(#[from] EncodingError),
}

/// Encodes pictures; reuses its memory from one picture to the next.
#[derive(Debug)]
pub struct Compressor {
    quality: u8,
    pixels: Vec<u8>,
}

impl Compressor {
    /// `quality` from 1 to 100.
    pub fn new(quality: u8) -> Self {
        Self { quality, pixels: Vec::new() }
    }

    /// Appends the picture to `into`, with the `masked` areas black; returns whether it has colour. A picture that the
    /// camera compressed itself is copied when nothing is masked, with the Huffman tables that it may lack.
    ///
    /// # Errors
    /// When the frame is not whole, or a side is longer than 65535 pixels.
    pub fn compress(&mut self, frame: &Frame, masked: &[Area], into: &mut Vec<u8>) -> Result<bool, JpegError> {
        let own = frame.part(0);
        if frame.shape.format == PixelFormat::Mjpeg {
            if own.is_empty() {
                return Err(JpegError::Empty);
            }
            if masked.is_empty() {
                into.extend_from_slice(&hal::capture::jpeg::whole(frame)?);
                return Ok(components(own) != Some(1));
            }
        }
        let [width, height] = [frame.shape.width, frame.shape.height];
        let (columns, rows) = (side(width)?, side(height)?);
        let coloured = !is_grey(frame);
        let samples = if coloured { 3 } else { 1 };
        let read = if coloured { convert::rgb } else { convert::grey };
        read(frame, &mut self.pixels)?;
        for area in masked {
            blacken(&mut self.pixels, width as usize * samples, samples, *area);
        }
        let mut jpeg = jpeg_encoder::Encoder::new(into, self.quality);
        jpeg.set_sampling_factor(SamplingFactor::F_2_1);
        let colours = if coloured { ColorType::Rgb } else { ColorType::Luma };
        jpeg.encode(&self.pixels, columns, rows, colours)?;
        Ok(coloured)
    }
}

/// A side in pixels, as JPEG can say it.
///
/// # Errors
/// [`JpegError::TooLarge`] above 65535.
pub fn side(pixels: u32) -> Result<u16, JpegError> {
    u16::try_from(pixels).map_err(|_| JpegError::TooLarge(pixels))
}

fn blacken(pixels: &mut [u8], stride: usize, samples: usize, area: Area) {
    for row in pixels.chunks_exact_mut(stride.max(1)).skip(area.y).take(area.height) {
        let [end, _] = area.end().map(|end| end.saturating_mul(samples).min(row.len()));
        if let Some(part) = row.get_mut(area.x * samples..end) {
            part.fill(0);
        }
    }
}

/// Colour components of a JPEG file (ITU-T T.81 B.2.2), when its frame header can be found.
pub fn components(jpeg: &[u8]) -> Option<u8> {
    let mut at = 2;
    loop {
        let [0xFF, marker, high, low] = *jpeg.get(at..at + 4)? else { return None };
        // SOF0 to SOF15 without DHT, JPG and DAC.
        if (0xC0..=0xCF).contains(&marker) && ![0xC4, 0xC8, 0xCC].contains(&marker) {
            return jpeg.get(at + 9).copied();
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
}

/// A JPEG file as a frame, so that it can be converted like any other.
pub fn frame(jpeg: Vec<u8>, columns: u16, rows: u16) -> Frame {
    let shape = Shape::laid_out(PixelFormat::Mjpeg, u32::from(columns), u32::from(rows), Colour::default(), Vec::new());
    Frame::new(shape, 0, std::time::Duration::ZERO, std::sync::Arc::new(jpeg))
}

/// Whether the picture has no colour. Most ultrasound is grey although its format has colours.
fn is_grey(frame: &Frame) -> bool {
    /// Chroma differences that are not visible: noise of the cable.
    const NOTHING: u8 = 4;
    let pale = |chroma: &u8| chroma.abs_diff(128) <= NOTHING;
    let width = frame.shape.width as usize;
    let rows = |index: usize, bytes: usize, count: usize| {
        let plane = frame.plane(index);
        plane.into_iter().flat_map(move |plane| {
            plane.bytes.chunks(plane.stride.max(1)).take(count).map(move |row| row.get(..bytes).unwrap_or(row))
        })
    };
    let height = frame.shape.height as usize;
    match frame.shape.format {
        PixelFormat::Grey => true,
        PixelFormat::Mjpeg => components(frame.part(0)) == Some(1),
        // A whole row without an early exit, so that the compiler can use SIMD instructions.
        PixelFormat::Yuyv => rows(0, width.div_ceil(2) * 4, height)
            .all(|row| row.iter().skip(1).step_by(2).fold(true, |all, chroma| all & pale(chroma))),
        PixelFormat::Nv12 => rows(1, width.div_ceil(2) * 2, height.div_ceil(2))
            .all(|row| row.iter().fold(true, |all, chroma| all & pale(chroma))),
        PixelFormat::Rgb24 => rows(0, width * 3, height).all(|row| {
            let near = |a: u8, b: u8| a.abs_diff(b) <= NOTHING;
            row.chunks_exact(3).fold(true, |all, pixel| all & near(pixel[0], pixel[1]) & near(pixel[1], pixel[2]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn of(format: PixelFormat, bytes: Vec<u8>) -> Frame {
        let shape = Shape::tight(format, 64, 48, Colour::default());
        Frame::new(shape, 0, Duration::ZERO, Arc::new(bytes))
    }

    #[test]
    fn what_is_masked_is_black_and_the_rest_is_as_it_was() {
        let bright = of(PixelFormat::Rgb24, [200, 40, 40].repeat(64 * 48));
        let area = Area { x: 16, y: 8, width: 1000, height: 16 };
        let (mut jpeg, mut again) = (Vec::new(), Vec::new());
        assert!(Compressor::new(90).compress(&bright, &[area], &mut jpeg).unwrap(), "it has colour");
        assert_eq!(components(&jpeg), Some(3));
        // A camera's own JPEG is masked as well.
        assert!(Compressor::new(90).compress(&frame(jpeg.clone(), 64, 48), &[area], &mut again).unwrap());
        for jpeg in [jpeg, again] {
            let mut rgb = Vec::new();
            convert::rgb(&frame(jpeg, 64, 48), &mut rgb).unwrap();
            let red = |x: usize, y: usize| rgb[(y * 64 + x) * 3];
            assert!(red(32, 16) < 16 && red(63, 12) < 16, "{} {}", red(32, 16), red(63, 12));
            assert!(red(32, 40) > 180 && red(4, 16) > 180);
        }
    }

    #[test]
    fn a_cameras_file_without_huffman_tables_leaves_with_them_and_one_that_is_cut_off_does_not() {
        let mut own = Vec::new();
        Compressor::new(90).compress(&of(PixelFormat::Rgb24, [200, 40, 40].repeat(64 * 48)), &[], &mut own).unwrap();
        let (mut bare, mut at) = (own[..2].to_vec(), 2);
        while own[at + 1] != 0xDA {
            let next = at + 2 + usize::from(u16::from_be_bytes([own[at + 2], own[at + 3]]));
            if own[at + 1] != 0xC4 {
                bare.extend_from_slice(&own[at..next]);
            }
            at = next;
        }
        bare.extend_from_slice(&own[at..]);
        let mut recorded = Vec::new();
        assert!(Compressor::new(90).compress(&frame(bare.clone(), 64, 48), &[], &mut recorded).unwrap());
        let tables = |jpeg: &[u8]| jpeg.windows(2).filter(|pair| *pair == [0xFF, 0xC4]).count();
        assert_eq!((tables(&bare), tables(&recorded)), (0, 4));
        let cut = frame(own[..own.len() / 2 + 300].to_vec(), 64, 48);
        assert!(cut.part(0).len() < own.len());
        assert!(matches!(Compressor::new(90).compress(&cut, &[], &mut Vec::new()), Err(JpegError::Frame(_))));
    }

    #[test]
    fn the_frame_header_says_how_many_components_there_are() {
        let mut jpeg = Vec::new();
        let coloured = Compressor::new(50).compress(&of(PixelFormat::Grey, vec![9; 64 * 48]), &[], &mut jpeg).unwrap();
        assert!(!coloured);
        assert_eq!(components(&jpeg), Some(1));
        for cut in 0..20 {
            let _ = components(&jpeg[..cut]);
        }
        assert_eq!(components(b"no JPEG at all"), None);
    }

    #[test]
    fn what_cannot_be_a_jpeg_is_told_apart() {
        let compress = |frame: &Frame| Compressor::new(50).compress(frame, &[], &mut Vec::new());
        assert!(matches!(compress(&frame(Vec::new(), 64, 48)), Err(JpegError::Empty)));
        let wide = Frame::new(
            Shape::tight(PixelFormat::Grey, 70_000, 1, Colour::default()),
            0,
            Duration::ZERO,
            Arc::new(vec![0; 70_000]),
        );
        assert!(matches!(compress(&wide), Err(JpegError::TooLarge(70_000))));
        assert!(matches!(compress(&of(PixelFormat::Grey, vec![9; 7])), Err(JpegError::Frame(_))), "bytes are missing");
    }
}
