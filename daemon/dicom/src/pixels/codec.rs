//! Decodes one compressed frame with the codecs of the transfer syntax registry. Its input is checked before and its
//! output after decoding.

use std::borrow::Cow;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_dictionary_std::uids;
use dicom_encoding::adapters::{PixelDataObject, RawPixelData};
use dicom_encoding::{Codec, TransferSyntaxIndex};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use flate2::read::DeflateDecoder;

use super::cage::{self, Cage, CageError, Order};
use super::codestream::{self, Coding};
use super::error::DecodeError;
use super::jpeg2000;
use super::shape::Shape;
use crate::header::Header;

/// A decoded frame: little-endian samples of `bits_allocated`.
#[derive(Debug)]
pub struct Decoded {
    pub bytes: Vec<u8>,
    pub bits_allocated: u16,
    /// Bits per sample according to the codestream, where that is more reliable than the header.
    pub precision: Option<u16>,
}

/// Decodes `frame`, which is all its fragments joined, in a process apart where there is a [cage]. `number` counts from 1;
/// `series`: see [`of`].
pub fn decode(
    transfer_syntax_uid: &str,
    frame: &[u8],
    shape: Shape,
    number: u32,
    series: &str,
) -> Result<Decoded, DecodeError> {
    decode_in(cage::shared().map(|cage| (cage, series)), transfer_syntax_uid, frame, shape, number)
}

/// Which series the frames of this instance are of: in which study, too, since the UID of a series is what its sender says.
pub fn of(header: &Header) -> String {
    format!("{} {}", header.study_instance_uid, header.series_instance_uid)
}

/// The same in this cage, for this series; in this process where there is none.
pub fn decode_in(
    cage: Option<(&Cage, &str)>,
    transfer_syntax_uid: &str,
    frame: &[u8],
    shape: Shape,
    number: u32,
) -> Result<Decoded, DecodeError> {
    let guard = guard(transfer_syntax_uid, frame, shape, number)?;
    let frame = if guard.needs_end { ended(frame) } else { Cow::Borrowed(frame) };
    let order = Order { transfer_syntax_uid, frame: &frame, shape, bits_allocated: guard.bits_allocated };
    let expected = order.expected();
    let failed = |reason: String| DecodeError::Codec { frame: number, reason };
    let bytes = match cage {
        Some((cage, series)) => cage.decode(&order, series).map_err(|error| match error {
            CageError::NotConfined { .. } | CageError::NotStarted { .. } | CageError::Lost { .. } => {
                DecodeError::NoDecoder { frame: number, reason: error.to_string() }
            }
            CageError::Ended { .. } | CageError::Refused { .. } => failed(error.to_string()),
        })?,
        None => here(&order).map_err(failed)?,
    };
    if bytes.len() != expected {
        return Err(failed(other_length(bytes.len(), expected)));
    }
    Ok(Decoded { bytes, bits_allocated: guard.bits_allocated, precision: guard.precision })
}

pub(super) fn other_length(length: usize, expected: usize) -> String {
    format!("the decoder returned {length} bytes instead of {expected}")
}

/// Decodes in this process. The error is a reason for people.
pub(super) fn here(order: &Order<'_>) -> Result<Vec<u8>, String> {
    let uid = order.transfer_syntax_uid;
    let syntax = TransferSyntaxRegistry.get(uid).ok_or_else(|| format!("{uid} is no transfer syntax"))?;
    let Codec::EncapsulatedPixelData(Some(codec), _) = syntax.codec() else {
        return Err(format!("{uid} has no decoder"));
    };
    let mut bytes = Vec::new();
    // The codecs index memory by values from the codestream. A panic here must affect this instance only.
    catch_unwind(AssertUnwindSafe(|| codec.decode_frame(&OneFrame(order), 0, &mut bytes)))
        .map_err(|_| "the decoder failed on malformed data".to_owned())?
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

struct Guard {
    bits_allocated: u16,
    precision: Option<u16>,
    /// The codec needs an end-of-image marker.
    needs_end: bool,
}

/// Appends an end-of-image marker if the frame has none: without one, CharLS 2.4.5 reads two thousand million zero bits
/// after truncated JPEG-LS data before it gives up.
fn ended(frame: &[u8]) -> Cow<'_, [u8]> {
    const END: [u8; 2] = [0xff, 0xd9];
    // A frame of odd length is padded with a zero byte.
    let unpadded = frame.strip_suffix(&[0]).unwrap_or(frame);
    if unpadded.ends_with(&END) { Cow::Borrowed(frame) } else { Cow::Owned([frame, &END].concat()) }
}

/// Compares the image header of the compressed frame with the header of the instance.
fn guard(transfer_syntax_uid: &str, frame: &[u8], shape: Shape, number: u32) -> Result<Guard, DecodeError> {
    /// All JPEG families. The other codecs of the registry have no image header.
    const JPEG_FAMILY: &str = "1.2.840.10008.1.2.4.";
    let as_header = Guard { bits_allocated: shape.bits_allocated, precision: None, needs_end: false };
    if transfer_syntax_uid == uids::RLE_LOSSLESS {
        return run_lengths(frame, shape)
            .map(|()| as_header)
            .map_err(|reason| DecodeError::Codec { frame: number, reason });
    }
    if transfer_syntax_uid == uids::DEFLATED_IMAGE_FRAME_COMPRESSION {
        // The codec inflates without a bound.
        let most = shape.frame_bytes() as u64;
        let read = io::copy(&mut DeflateDecoder::new(frame).take(most + 1), &mut io::sink());
        return match read {
            Ok(length) if length <= most => Ok(as_header),
            Ok(_) => Err(format!("the deflated frame inflates to more than {most} bytes")),
            Err(error) => Err(format!("the deflated frame is corrupt: {error}")),
        }
        .map_err(|reason| DecodeError::Codec { frame: number, reason });
    }
    if !transfer_syntax_uid.starts_with(JPEG_FAMILY) {
        return Ok(as_header);
    }
    let claims = codestream::claims(frame).ok_or_else(|| DecodeError::Codec {
        frame: number,
        reason: "the compressed frame has no readable image header".into(),
    })?;
    let (rows, columns, samples) = (u32::from(shape.rows), u32::from(shape.columns), u32::from(shape.samples));
    if (claims.rows, claims.columns, claims.components) != (rows, columns, samples) {
        return Err(DecodeError::Disagrees {
            frame: number,
            found: format!("{} x {} with {} component(s)", claims.columns, claims.rows, claims.components),
            expected: format!("{columns} x {rows} with {samples}"),
        });
    }
    if claims.coding == Coding::Jpeg2000 {
        let start = codestream::jpeg2000_start(frame).unwrap_or(0);
        jpeg2000::check(&frame[start..]).map_err(|excess| DecodeError::Codec {
            frame: number,
            reason: format!("the headers of the JPEG 2000 codestream are refused: {excess}"),
        })?;
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
            // The codecs return one byte per sample up to 8 bits and two bytes above, independently of Bits Allocated.
            bits_allocated: if claims.precision <= 8 { 8 } else { 16 },
            // Some JPEG 2000 and JPEG-LS encoders write more or fewer bits than Bits Stored, and the sign bit is the
            // top bit of the codestream. JPEG lossless has 16-bit words of which Bits Stored are used.
            precision: matches!(coding, Coding::Jpeg2000 | Coding::JpegLs).then_some(claims.precision),
            needs_end: coding == Coding::JpegLs,
        }),
    }
}

/// Checks an RLE frame (PS3.5 annex G): a header with the number of segments and 15 offsets, then one segment per byte
/// of a sample. The codec panics when a segment holds too few bytes, so they are counted first.
fn run_lengths(frame: &[u8], shape: Shape) -> Result<(), String> {
    const HEADER: usize = 64;
    let Some(header) = frame.get(..HEADER) else { return Err("the frame is shorter than its RLE header".into()) };
    let numbers: Vec<usize> =
        header.chunks_exact(4).map(|n| u32::from_le_bytes([n[0], n[1], n[2], n[3]]) as usize).collect();
    let segments = usize::from(shape.samples) * usize::from(shape.bits_allocated / 8);
    if numbers[0] != segments {
        return Err(format!("the frame has {} RLE segments instead of {segments}", numbers[0]));
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

/// The number of bytes that a PackBits segment (PS3.5 section G.3.2) unpacks to. A padding byte at its end may look
/// like the start of a run and is ignored.
fn unpacked_length(segment: &[u8]) -> usize {
    let mut at = 0;
    let mut length = 0;
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

/// Presents a frame as the codecs expect it: as an instance with one frame in one fragment.
struct OneFrame<'a>(&'a Order<'a>);

impl PixelDataObject for OneFrame<'_> {
    fn transfer_syntax_uid(&self) -> &str {
        self.0.transfer_syntax_uid
    }
    fn rows(&self) -> Option<u16> {
        Some(self.0.shape.rows)
    }
    fn cols(&self) -> Option<u16> {
        Some(self.0.shape.columns)
    }
    fn samples_per_pixel(&self) -> Option<u16> {
        Some(self.0.shape.samples)
    }
    fn bits_allocated(&self) -> Option<u16> {
        Some(self.0.bits_allocated)
    }
    fn bits_stored(&self) -> Option<u16> {
        Some(self.0.bits_allocated)
    }
    fn photometric_interpretation(&self) -> Option<&str> {
        Some(if self.0.shape.samples == 1 { "MONOCHROME2" } else { "RGB" })
    }
    fn number_of_frames(&self) -> Option<u32> {
        Some(1)
    }
    fn number_of_fragments(&self) -> Option<u32> {
        Some(1)
    }
    fn fragment(&self, fragment: usize) -> Option<Cow<'_, [u8]>> {
        (fragment == 0).then_some(Cow::Borrowed(self.0.frame))
    }
    fn offset_table(&self) -> Option<Cow<'_, [u32]>> {
        Some(Cow::Borrowed(&[]))
    }
    fn raw_pixel_data(&self) -> Option<RawPixelData> {
        let fragments = std::iter::once(self.0.frame.to_vec()).collect();
        Some(RawPixelData { fragments, offset_table: std::iter::empty().collect() })
    }
}
