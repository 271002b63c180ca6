//! One compressed frame -> stored values, through the codecs of the transfer syntax registry, guarded on both sides.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_dictionary_std::uids;
use dicom_encoding::adapters::{PixelDataObject, PixelDataReader, RawPixelData};

use super::codestream::{self, Coding};
use super::error::DecodeError;
use super::shape::Shape;

/// A decoded frame: little-endian samples of `bits_allocated`.
#[derive(Debug)]
pub struct Decoded {
    pub bytes: Vec<u8>,
    pub bits_allocated: u16,
    /// Bits per sample where the codestream is the better witness than the header.
    pub precision: Option<u16>,
}

/// Decodes `frame` (all its fragments joined); `number` counts from 1.
pub fn decode(
    codec: &(dyn PixelDataReader + Send + Sync),
    transfer_syntax_uid: &str,
    frame: &[u8],
    shape: Shape,
    number: u32,
) -> Result<Decoded, DecodeError> {
    let guard = guard(transfer_syntax_uid, frame, shape, number)?;
    let frame = if guard.needs_end { ended(frame) } else { Cow::Borrowed(frame) };
    let one = OneFrame { transfer_syntax_uid, frame: &frame, shape, bits_allocated: guard.bits_allocated };
    let expected = shape.samples() * usize::from(guard.bits_allocated / 8);
    let mut bytes = Vec::new();
    let failed = |reason: String| DecodeError::Codec { frame: number, reason };
    // The codecs index what the codestream leads them to. A panic here must not end more than this instance.
    catch_unwind(AssertUnwindSafe(|| codec.decode_frame(&one, 0, &mut bytes)))
        .map_err(|_| failed("the decoder failed on malformed data".into()))?
        .map_err(|error| failed(error.to_string()))?;
    if bytes.len() != expected {
        return Err(failed(format!("{} bytes came out, {expected} are needed", bytes.len())));
    }
    Ok(Decoded { bytes, bits_allocated: guard.bits_allocated, precision: guard.precision })
}

struct Guard {
    bits_allocated: u16,
    precision: Option<u16>,
    /// The codec must meet an end marker.
    needs_end: bool,
}

/// With an end-of-image marker, whatever was cut off: on JPEG-LS data that just stop, CharLS 2.4.5 counts two thousand
/// million zero bits before it gives up; at a marker it stops at once.
fn ended(frame: &[u8]) -> Cow<'_, [u8]> {
    const END: [u8; 2] = [0xff, 0xd9];
    // A fragment of odd length is padded with a zero byte.
    let unpadded = frame.strip_suffix(&[0]).unwrap_or(frame);
    if unpadded.ends_with(&END) { Cow::Borrowed(frame) } else { Cow::Owned([frame, &END].concat()) }
}

/// Compares what the compressed frame says of itself with the header.
fn guard(transfer_syntax_uid: &str, frame: &[u8], shape: Shape, number: u32) -> Result<Guard, DecodeError> {
    /// All JPEG families; the other codecs of the registry have no header of their own.
    const JPEG_FAMILY: &str = "1.2.840.10008.1.2.4.";
    let as_header = Guard { bits_allocated: shape.bits_allocated, precision: None, needs_end: false };
    if transfer_syntax_uid == uids::RLE_LOSSLESS {
        return run_lengths(frame, shape)
            .map(|()| as_header)
            .map_err(|reason| DecodeError::Codec { frame: number, reason });
    }
    if !transfer_syntax_uid.starts_with(JPEG_FAMILY) {
        return Ok(as_header);
    }
    let claims = codestream::claims(frame)
        .ok_or_else(|| DecodeError::Codec { frame: number, reason: "it has no readable image header".into() })?;
    let (rows, columns, samples) = (u32::from(shape.rows), u32::from(shape.columns), u32::from(shape.samples));
    if (claims.rows, claims.columns, claims.components) != (rows, columns, samples) {
        return Err(DecodeError::Disagrees {
            frame: number,
            found: format!("{} x {} with {} component(s)", claims.columns, claims.rows, claims.components),
            expected: format!("{columns} x {rows} with {samples}"),
        });
    }
    match claims.coding {
        Coding::JpegDct if claims.precision != 8 => Err(DecodeError::JpegExtended { precision: claims.precision }),
        Coding::JpegRetired => Err(DecodeError::TransferSyntax {
            uid: transfer_syntax_uid.to_owned(),
            name: "JPEG, a retired process".into(),
        }),
        _ if !(1..=16).contains(&claims.precision) => {
            Err(DecodeError::Codec { frame: number, reason: format!("{} bits per sample", claims.precision) })
        }
        coding => Ok(Guard {
            // The codecs give one byte per sample up to 8 bits, two above, whatever the header says.
            bits_allocated: if claims.precision <= 8 { 8 } else { 16 },
            // JPEG 2000 and JPEG-LS encoders are known to write more or fewer bits than BitsStored; the sign bit is where
            // the codestream has it. JPEG lossless carries 16-bit words of which BitsStored are used.
            precision: matches!(coding, Coding::Jpeg2000 | Coding::JpegLs).then_some(claims.precision),
            needs_end: coding == Coding::JpegLs,
        }),
    }
}

/// An RLE frame (PS3.5 annex G) is a header of the number of segments and 15 offsets, and one segment per byte of a
/// sample. The codec panics when a segment holds fewer bytes than the frame needs, so that is counted first.
fn run_lengths(frame: &[u8], shape: Shape) -> Result<(), String> {
    const HEADER: usize = 64;
    let Some(header) = frame.get(..HEADER) else { return Err("it is shorter than its RLE header".into()) };
    let numbers: Vec<usize> =
        header.chunks_exact(4).map(|n| u32::from_le_bytes([n[0], n[1], n[2], n[3]]) as usize).collect();
    let segments = usize::from(shape.samples) * usize::from(shape.bits_allocated / 8);
    if numbers[0] != segments {
        return Err(format!("{} RLE segments, {segments} are needed", numbers[0]));
    }
    for (number, start) in (1..).zip(&numbers[1..=segments]) {
        let end = if number == segments { frame.len() } else { numbers[number + 1] };
        let segment = frame.get(*start..end).filter(|_| *start >= HEADER);
        let segment = segment.ok_or_else(|| format!("RLE segment {number} lies outside the frame"))?;
        let (found, needed) = (unpacked_length(segment), shape.pixels());
        if found < needed {
            return Err(format!("RLE segment {number} ends before its {needed} bytes"));
        }
    }
    Ok(())
}

/// How many bytes a PackBits segment (PS3.5 G.3.2) holds. A padding byte at its end may look like a run of nothing.
fn unpacked_length(segment: &[u8]) -> usize {
    let (mut at, mut length) = (0, 0);
    while at < segment.len() {
        let control = usize::from(segment[at]);
        at += 1;
        let (taken, given) = match control {
            0..128 => (control + 1, (control + 1).min(segment.len() - at)),
            128 => (0, 0),
            _ => (1, 257 - control),
        };
        at += taken;
        length += given;
    }
    length
}

/// The view that the codecs want: an instance of one frame in one fragment.
struct OneFrame<'a> {
    transfer_syntax_uid: &'a str,
    frame: &'a [u8],
    shape: Shape,
    bits_allocated: u16,
}

impl PixelDataObject for OneFrame<'_> {
    fn transfer_syntax_uid(&self) -> &str {
        self.transfer_syntax_uid
    }
    fn rows(&self) -> Option<u16> {
        Some(self.shape.rows)
    }
    fn cols(&self) -> Option<u16> {
        Some(self.shape.columns)
    }
    fn samples_per_pixel(&self) -> Option<u16> {
        Some(self.shape.samples)
    }
    fn bits_allocated(&self) -> Option<u16> {
        Some(self.bits_allocated)
    }
    fn bits_stored(&self) -> Option<u16> {
        Some(self.bits_allocated)
    }
    fn photometric_interpretation(&self) -> Option<&str> {
        Some(if self.shape.samples == 1 { "MONOCHROME2" } else { "RGB" })
    }
    fn number_of_frames(&self) -> Option<u32> {
        Some(1)
    }
    fn number_of_fragments(&self) -> Option<u32> {
        Some(1)
    }
    fn fragment(&self, fragment: usize) -> Option<Cow<'_, [u8]>> {
        (fragment == 0).then_some(Cow::Borrowed(self.frame))
    }
    fn offset_table(&self) -> Option<Cow<'_, [u32]>> {
        Some(Cow::Borrowed(&[]))
    }
    fn raw_pixel_data(&self) -> Option<RawPixelData> {
        let fragments = std::iter::once(self.frame.to_vec()).collect();
        Some(RawPixelData { fragments, offset_table: std::iter::empty().collect() })
    }
}
