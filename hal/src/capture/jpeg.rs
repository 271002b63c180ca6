//! Pictures that arrive as JPEG files.

use std::borrow::Cow;

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
    let with_tables = with_tables(bytes);
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(colours)
        // A damaged picture is refused, not filled up with grey.
        .set_strict_mode(true)
        .set_max_width(width)
        .set_max_height(height);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&*with_tables), options);
    decoder.decode_headers().map_err(|e| bad(e.to_string()))?;
    if decoder.dimensions() != Some((width, height)) {
        return Err(bad(format!("the file says {:?}", decoder.dimensions().unwrap_or_default())));
    }
    if decoder.output_buffer_size() != Some(out.len()) {
        return Err(bad("the file has an unusual colour space".into()));
    }
    decoder.decode_into(out).map_err(|e| bad(e.to_string()))
}

/// The file of a picture that leaves the box: of the size that was negotiated, with its end, and with the standard Huffman tables where the
/// camera has left them out, as motion JPEG may (viewers and archives do not know that habit). What lies between is not decoded.
///
/// # Errors
/// `CaptureFault::BadInput` when it is cut off, or another picture than was negotiated.
pub fn whole(frame: &Frame) -> Result<Cow<'_, [u8]>, Error> {
    let (bytes, negotiated) = (frame.part(0), (frame.shape.width, frame.shape.height));
    let bad =
        |what: &str| Error::new(CaptureFault::BadInput, format!("MJPEG {}x{}: {what}", negotiated.0, negotiated.1));
    let head = Head::of(bytes).ok_or_else(|| bad("no picture begins"))?;
    if head.size != Some(negotiated) {
        return Err(bad("the file has another size"));
    }
    // Within a scan a byte of FF is never followed by D9 (ITU-T T.81 B.1.1.5); cameras may fill up the buffer after it.
    if !bytes.get(head.scan..).unwrap_or_default().windows(2).rev().any(|pair| pair == [0xFF, 0xD9]) {
        return Err(bad("it is cut off"));
    }
    Ok(with_tables(bytes))
}

/// The file with the standard Huffman tables before its first scan, if it has none.
fn with_tables(bytes: &[u8]) -> Cow<'_, [u8]> {
    let bare = Head::of(bytes).filter(|head| !head.has_tables);
    let Some((before, scan)) = bare.and_then(|head| bytes.split_at_checked(head.scan)) else {
        return Cow::Borrowed(bytes);
    };
    let mut whole = Vec::with_capacity(bytes.len() + 512);
    whole.extend_from_slice(before);
    for (class_and_number, lengths, values) in TABLES {
        // Marker DHT (ITU-T T.81 B.2.4.2), length, class and number, 16 counts, values. The longest segment has 181 bytes.
        whole.extend_from_slice(&[0xFF, 0xC4, 0, u8::try_from(19 + values.len()).unwrap_or(u8::MAX), class_and_number]);
        whole.extend_from_slice(lengths);
        whole.extend_from_slice(values);
    }
    whole.extend_from_slice(scan);
    Cow::Owned(whole)
}

/// What stands before the first scan of a file.
struct Head {
    /// Width and height.
    size: Option<(u32, u32)>,
    has_tables: bool,
    /// Where the first scan begins.
    scan: usize,
}

impl Head {
    /// `None` when it cannot be read: the decoder says why.
    fn of(bytes: &[u8]) -> Option<Self> {
        let (mut size, mut has_tables, mut at) = (None, false, 2);
        while let Some([0xFF, marker, high, low]) = bytes.get(at..at + 4) {
            match marker {
                0xC4 => has_tables = true,
                0xDA => return Some(Self { size, has_tables, scan: at }),
                0xC0..=0xC3 => {
                    let [high, low, wide, narrow] = *bytes.get(at + 5..)?.first_chunk()?;
                    let side = |bytes| u32::from(u16::from_be_bytes(bytes));
                    size = Some((side([wide, narrow]), side([high, low])));
                }
                _ => {}
            }
            at += 2 + usize::from(u16::from_be_bytes([*high, *low]));
        }
        None
    }
}

/// Class and number, how many codes of each length there are, and their values: tables K.3 to K.6 of ITU-T T.81.
const TABLES: [(u8, &[u8; 16], &[u8]); 4] = [
    (0x00, &[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &CATEGORIES),
    (0x10, &[0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D], &LUMA),
    (0x01, &[0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &CATEGORIES),
    (0x11, &[0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], &CHROMA),
];

const CATEGORIES: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

#[rustfmt::skip]
const LUMA: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3,
    0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
    0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2,
    0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
];

#[rustfmt::skip]
const CHROMA: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0, 0x15, 0x62, 0x72, 0xD1,
    0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A,
    0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA,
    0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA,
    0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
];

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
        assert!(bare.len() < GRADIENT.len() && !Head::of(&bare).unwrap().has_tables);
        assert!(matches!(whole(&frame(GRADIENT, 33)), Ok(Cow::Borrowed(_))), "what has tables stays as it is");
        let given = frame(&bare, 33);
        let whole = whole(&given).unwrap();
        assert!(Head::of(&whole).unwrap().has_tables && whole.len() == bare.len() + 4 * 21 + 2 * 12 + 2 * 162);
        let (mut with, mut without) = (Vec::new(), Vec::new());
        convert::rgb(&frame(GRADIENT, 33), &mut with).unwrap();
        convert::rgb(&frame(&bare, 33), &mut without).unwrap();
        assert!(with == without);
    }

    #[test]
    fn a_file_that_is_cut_off_or_of_another_size_is_not_whole() {
        let padded = [GRADIENT, &[0; 64]].concat();
        assert!(whole(&frame(&padded, 33)).is_ok(), "a buffer that is filled up");
        for cut in 0..GRADIENT.len() {
            assert_eq!(whole(&frame(&GRADIENT[..cut], 33)).unwrap_err().kind(), CaptureFault::BadInput, "{cut}");
        }
        assert!(whole(&frame(GRADIENT, 34)).unwrap_err().to_string().contains("another size"));
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
            let _ = whole(&frame(&bytes, 33));
            let _ = convert::grey(&frame(&bytes, 33), &mut Vec::new());
        }
    }
}
