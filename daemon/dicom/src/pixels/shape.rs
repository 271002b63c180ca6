//! Checks the pixel layout of one instance before it is decoded, and finds the bytes of each frame.

use std::borrow::Cow;

use dicom_encoding::{Endianness, TransferSyntax, TransferSyntaxIndex};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::error::DecodeError;
use super::frames;
use crate::header::Header;

/// The most pixels of one frame. Far above any CT (2048 x 2048); it limits the memory that a malicious header can make
/// us allocate.
pub(super) const MAX_FRAME_PIXELS: u64 = 64 << 20;

/// The most bytes that the decoded frames of one instance may have.
const MAX_DECODED_BYTES: u64 = 8 << 30;

pub fn transfer_syntax(header: &Header) -> Result<&'static TransferSyntax, DecodeError> {
    let uid = header.transfer_syntax_uid.as_str();
    let unsupported = |name: &str| DecodeError::TransferSyntax { uid: uid.to_owned(), name: name.to_owned() };
    let found = TransferSyntaxRegistry.get(uid).ok_or_else(|| unsupported("unknown"))?;
    if found.can_decode_all() { Ok(found) } else { Err(unsupported(found.name())) }
}

/// The pixel layout of an instance that may be decoded.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub rows: u16,
    pub columns: u16,
    /// Samples per pixel: 1 for greyscale, 3 for colour.
    pub samples: u16,
    /// 8 or 16.
    pub bits_allocated: u16,
    pub frames: usize,
}

impl Shape {
    pub fn of(header: &Header) -> Result<Self, DecodeError> {
        let not_ct = |what: String| Err(DecodeError::NotGrey { what });
        if header.samples_per_pixel > 1 {
            return not_ct(format!("{} samples per pixel ({})", header.samples_per_pixel, header.photometric));
        }
        if !matches!(header.photometric.as_str(), "MONOCHROME1" | "MONOCHROME2" | "") {
            return not_ct(format!("photometric interpretation {}", header.photometric));
        }
        if !matches!(header.bits_allocated, 8 | 16) {
            return not_ct(format!("{} bits allocated per sample", header.bits_allocated));
        }
        let high_bit = header.high_bit.unwrap_or_else(|| header.bits_stored.saturating_sub(1));
        if header.bits_stored == 0 || high_bit >= header.bits_allocated || high_bit + 1 < header.bits_stored {
            let (stored, allocated) = (header.bits_stored, header.bits_allocated);
            return not_ct(format!("{stored} bits stored up to bit {high_bit} of {allocated}, which is impossible"));
        }
        Self::sized(header, 1)
    }

    /// The layout according to the header, if its size can be decoded.
    pub fn sized(header: &Header, samples: u16) -> Result<Self, DecodeError> {
        let frames = u64::from(header.number_of_frames.max(1));
        let pixels = u64::from(header.rows) * u64::from(header.columns);
        let (Ok(rows), Ok(columns)) = (u16::try_from(header.rows), u16::try_from(header.columns)) else {
            return Err(DecodeError::Size { rows: header.rows, columns: header.columns, frames });
        };
        // Hounsfield units need two bytes per pixel, whatever the stored size.
        let bytes = pixels.saturating_mul(2).saturating_mul(frames);
        if pixels == 0 || pixels > MAX_FRAME_PIXELS || bytes > MAX_DECODED_BYTES {
            return Err(DecodeError::Size { rows: header.rows, columns: header.columns, frames });
        }
        let frames = usize::try_from(frames).map_err(|_| DecodeError::Size {
            rows: header.rows,
            columns: header.columns,
            frames,
        })?;
        Ok(Self { rows, columns, samples, bits_allocated: header.bits_allocated, frames })
    }

    pub fn pixels(&self) -> usize {
        usize::from(self.rows) * usize::from(self.columns)
    }

    /// Samples of one decoded frame.
    pub fn samples(&self) -> usize {
        self.pixels() * usize::from(self.samples)
    }

    /// Bytes of one native frame.
    pub fn frame_bytes(&self) -> usize {
        self.samples() * usize::from(self.bits_allocated / 8)
    }
}

/// The bytes of each frame as stored. `native` is the number of bytes in an uncompressed frame.
pub fn stored<'a>(
    transfer_syntax: &TransferSyntax,
    header: &Header,
    part10: &'a [u8],
    shape: Shape,
    native: usize,
) -> Result<Vec<Cow<'a, [u8]>>, DecodeError> {
    let place = header.pixel_data.ok_or(DecodeError::NoPixelData)?;
    let start = usize::try_from(place.offset).unwrap_or(usize::MAX);
    let end = usize::try_from(place.offset.saturating_add(place.length)).unwrap_or(usize::MAX);
    let value = part10.get(start..end.min(part10.len())).ok_or(DecodeError::NoPixelData)?;
    if transfer_syntax.is_encapsulated_pixel_data() && place.encapsulated {
        return frames::encapsulated(value, shape.frames);
    }
    let swapped = transfer_syntax.endianness() == Endianness::Big && shape.bits_allocated == 8;
    if swapped && frames::is_word_value(part10, start) {
        let swapped: Vec<u8> = value.chunks_exact(2).flat_map(|word| [word[1], word[0]]).collect();
        let frames = frames::native(&swapped, native, shape.frames)?;
        return Ok(frames.into_iter().map(|frame| Cow::Owned(frame.into_owned())).collect());
    }
    frames::native(value, native, shape.frames)
}
