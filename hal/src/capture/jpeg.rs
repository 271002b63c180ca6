//! Pictures that arrive as JPEG files.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::frame::Frame;
use super::{CaptureFault, Error};

/// Luma of the picture into `out`, which holds exactly one byte for each pixel.
pub(super) fn grey(frame: &Frame, out: &mut [u8]) -> Result<(), Error> {
    decode(frame, ColorSpace::Luma, out)
}

/// The picture into `out`, which holds exactly three bytes for each pixel.
pub(super) fn rgb(frame: &Frame, out: &mut [u8]) -> Result<(), Error> {
    decode(frame, ColorSpace::RGB, out)
}

fn decode(frame: &Frame, colours: ColorSpace, out: &mut [u8]) -> Result<(), Error> {
    let (width, height) = (frame.shape.width as usize, frame.shape.height as usize);
    let bad = |what: String| Error::new(CaptureFault::BadInput, format!("MJPEG {width}x{height}: {what}"));
    let bytes = frame.part(0);
    let with_tables = (!has_tables(bytes)).then(|| name_as_motion_jpeg(bytes)).flatten();
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(colours)
        // A damaged picture is refused, not filled up with grey.
        .set_strict_mode(true)
        .set_max_width(width)
        .set_max_height(height);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(with_tables.as_deref().unwrap_or(bytes)), options);
    decoder.decode_headers().map_err(|e| bad(e.to_string()))?;
    if decoder.dimensions() != Some((width, height)) {
        return Err(bad(format!("the file says {:?}", decoder.dimensions().unwrap_or_default())));
    }
    if decoder.output_buffer_size() != Some(out.len()) {
        return Err(bad("the file has an unusual colour space".into()));
    }
    decoder.decode_into(out).map_err(|e| bad(e.to_string()))
}

/// Whether a Huffman table (marker DHT, ITU-T T.81 B.2.4.2) comes before the first scan. Cameras may leave it out.
fn has_tables(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some([0xFF, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            0xC4 => return true,
            0xDA => return false,
            _ => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
        }
    }
    // Not readable: for the decoder to say why.
    true
}

/// The file with the mark of motion JPEG after its first marker: the decoder then takes the standard tables of T.81 K.3.
fn name_as_motion_jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let (start, rest) = bytes.split_at_checked(2)?;
    Some([start, b"\xFF\xE0\x00\x07AVI1\0", rest].concat())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::convert;
    use super::super::frame::{Colour, PixelFormat, Shape};
    use super::*;

    /// 33x17 pixels: red is 7x, green 14y, blue 128.
    const GRADIENT: &[u8] = include_bytes!("gradient.jpg");

    fn frame(bytes: &[u8], width: u32) -> Frame {
        let shape = Shape::tight(PixelFormat::Mjpeg, width, 17, Colour::default());
        Frame::new(shape, 0, Duration::ZERO, Arc::new(bytes.to_vec()))
    }

    #[test]
    fn a_picture_is_decoded_to_colour_and_grey() {
        let (mut colour, mut grey) = (Vec::new(), Vec::new());
        convert::rgb(&frame(GRADIENT, 33), &mut colour).unwrap();
        convert::grey(&frame(GRADIENT, 33), &mut grey).unwrap();
        for (at, (pixel, luma)) in colour.chunks_exact(3).zip(&grey).enumerate() {
            let (x, y) = (at % 33, at / 33);
            let want = [x * 7, y * 14, 128].map(|v| v as f64);
            let close = |have: u8, want: f64| (f64::from(have) - want).abs() <= 8.0;
            assert!(pixel.iter().zip(want).all(|(have, want)| close(*have, want)), "{x},{y}: {pixel:?} {want:?}");
            let want = 0.299 * want[0] + 0.587 * want[1] + 0.114 * want[2];
            assert!(close(*luma, want), "{x},{y}: {luma} {want}");
        }
    }

    #[test]
    fn another_size_than_was_negotiated_is_refused() {
        for width in [32, 34] {
            let refused = convert::rgb(&frame(GRADIENT, width), &mut Vec::new()).unwrap_err();
            assert_eq!(refused.kind(), CaptureFault::BadInput, "{refused}");
        }
    }

    #[test]
    fn tables_that_a_camera_leaves_out_are_the_standard_ones() {
        let mut bare = Vec::from(&GRADIENT[..2]);
        let mut at = 2;
        while GRADIENT[at + 1] != 0xDA {
            let next = at + 2 + usize::from(u16::from_be_bytes([GRADIENT[at + 2], GRADIENT[at + 3]]));
            if GRADIENT[at + 1] != 0xC4 {
                bare.extend_from_slice(&GRADIENT[at..next]);
            }
            at = next;
        }
        bare.extend_from_slice(&GRADIENT[at..]);
        assert!(bare.len() < GRADIENT.len() && !has_tables(&bare) && has_tables(GRADIENT));
        let (mut with, mut without) = (Vec::new(), Vec::new());
        convert::rgb(&frame(GRADIENT, 33), &mut with).unwrap();
        convert::rgb(&frame(&bare, 33), &mut without).unwrap();
        assert!(with == without);
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(cut in 0..GRADIENT.len(), hits in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..8)) {
            let mut bytes = GRADIENT[..GRADIENT.len() - cut].to_vec();
            for (at, value) in hits {
                let length = bytes.len();
                bytes[at % length] = value;
            }
            let _ = convert::rgb(&frame(&bytes, 33), &mut Vec::new());
            let _ = convert::grey(&frame(&bytes, 33), &mut Vec::new());
        }
    }
}
