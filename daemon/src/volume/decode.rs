//! The bytes of one instance -> slices in Hounsfield units. Everything that can be checked is checked before a decoder
//! sees the bytes, and a decoder that panics is an error of this one instance.

use std::borrow::Cow;
use std::sync::Arc;

use dicom_encoding::{Codec, Endianness, TransferSyntax, TransferSyntaxIndex};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use rayon::prelude::*;

use super::codec::{self, Decoded};
use super::error::DecodeError;
use super::geometry::SliceGeometry;
use super::rescale::{Scale, Table};
use super::{Slice, deflated, frames, multiframe};
use crate::dicom::header::Header;

/// The most pixels of one frame, far above any CT (2048 x 2048): what a hostile header may make us allocate.
const MAX_FRAME_PIXELS: u64 = 64 << 20;

/// The most bytes that the frames of one instance may become.
const MAX_DECODED_BYTES: u64 = 8 << 30;

/// One slice for a single-frame instance, one per frame for a multi-frame one. `part10` is the whole file, `header` what
/// `scan` found in it. Blocks; call it on a thread that may.
///
/// # Errors
/// When the pixels are no Hounsfield units (colour, bit masks), cannot be decoded here, or disagree with the header.
pub fn decode_part10(header: &Header, part10: &[u8]) -> Result<Vec<Slice>, DecodeError> {
    if header.pixel_data.is_none() {
        return Err(DecodeError::NoPixelData);
    }
    let transfer_syntax = transfer_syntax(header)?;
    if matches!(transfer_syntax.codec(), Codec::Dataset(Some(_))) {
        let (header, part10) = deflated::inflated(header, part10)?;
        return decode_part10(&header, &part10);
    }
    let shape = Shape::of(header)?;
    let decoder = Decoder { transfer_syntax, shape };
    if !multiframe::is_multiframe(header) {
        let frames = decoder.frames(header, part10)?;
        let scale = checked(Scale::of(header))?;
        let hu = decoder.frame(&frames[0], 1, &Table::new(scale))?;
        return Ok(vec![slice(header, None, SliceGeometry::from(header), hu)]);
    }
    let facts = multiframe::facts(header, part10)?;
    let frames = decoder.frames(header, part10)?;
    // Nearly always one table serves all frames.
    let shared = facts.first().map(|f| checked(f.scale)).transpose()?.map(Table::new);
    let decode = |(index, (frame, facts)): (usize, (&Cow<'_, [u8]>, multiframe::Facts))| {
        let number = index as u32 + 1;
        let hu = match &shared {
            Some(table) if *table.scale() == facts.scale => decoder.frame(frame, number, table),
            _ => decoder.frame(frame, number, &Table::new(checked(facts.scale)?)),
        }?;
        Ok(slice(header, Some(number), facts.geometry, hu))
    };
    frames.par_iter().zip(facts).enumerate().map(decode).collect()
}

pub(super) fn transfer_syntax(header: &Header) -> Result<&'static TransferSyntax, DecodeError> {
    let uid = header.transfer_syntax_uid.as_str();
    let unsupported = |name: &str| DecodeError::TransferSyntax { uid: uid.to_owned(), name: name.to_owned() };
    let found = TransferSyntaxRegistry.get(uid).ok_or_else(|| unsupported("unknown"))?;
    if found.can_decode_all() { Ok(found) } else { Err(unsupported(found.name())) }
}

fn slice(header: &Header, frame: Option<u32>, geometry: SliceGeometry, hu: Arc<[i16]>) -> Slice {
    Slice {
        sop_class_uid: header.sop_class_uid.clone(),
        sop_instance_uid: header.sop_instance_uid.clone(),
        frame,
        geometry,
        hu,
    }
}

/// A slope of zero, or one that is no number, would give every pixel the same value.
fn checked(scale: Scale) -> Result<Scale, DecodeError> {
    let usable = scale.slope.is_finite() && scale.slope != 0.0 && scale.intercept.is_finite();
    if usable { Ok(scale) } else { Err(DecodeError::Scale { slope: scale.slope, intercept: scale.intercept }) }
}

/// The pixel layout of an instance that may be decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub rows: u16,
    pub columns: u16,
    /// Of each pixel: 1 grey, 3 colour.
    pub samples: u16,
    /// 8 or 16.
    pub bits_allocated: u16,
    pub frames: usize,
}

impl Shape {
    fn of(header: &Header) -> Result<Self, DecodeError> {
        let not_ct = |what: String| Err(DecodeError::NotGrey { what });
        if header.samples_per_pixel > 1 {
            return not_ct(format!("{} samples per pixel ({})", header.samples_per_pixel, header.photometric));
        }
        if !matches!(header.photometric.as_str(), "MONOCHROME1" | "MONOCHROME2" | "") {
            return not_ct(format!("photometric interpretation {}", header.photometric));
        }
        if !matches!(header.bits_allocated, 8 | 16) {
            return not_ct(format!("{} bits allocated per pixel", header.bits_allocated));
        }
        let high_bit = header.high_bit.unwrap_or_else(|| header.bits_stored.saturating_sub(1));
        if header.bits_stored == 0 || high_bit >= header.bits_allocated || high_bit + 1 < header.bits_stored {
            let (stored, allocated) = (header.bits_stored, header.bits_allocated);
            return not_ct(format!("{stored} bits stored up to bit {high_bit} of {allocated}, which is impossible"));
        }
        Self::sized(header, 1)
    }

    /// As the header has it, when that is a size that can be decoded.
    pub fn sized(header: &Header, samples: u16) -> Result<Self, DecodeError> {
        let frames = u64::from(header.number_of_frames.max(1));
        let pixels = u64::from(header.rows) * u64::from(header.columns);
        let (Ok(rows), Ok(columns)) = (u16::try_from(header.rows), u16::try_from(header.columns)) else {
            return Err(DecodeError::Size { rows: header.rows, columns: header.columns, frames });
        };
        // HU take two bytes per pixel whatever the stored size.
        let bytes = pixels.saturating_mul(2).saturating_mul(frames);
        if pixels == 0 || pixels > MAX_FRAME_PIXELS || bytes > MAX_DECODED_BYTES {
            return Err(DecodeError::Size { rows: header.rows, columns: header.columns, frames });
        }
        Ok(Self { rows, columns, samples, bits_allocated: header.bits_allocated, frames: frames as usize })
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

/// The bytes of each frame, as stored. `native` is what a frame takes that is not compressed, bytes.
pub(super) fn stored<'a>(
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

struct Decoder {
    transfer_syntax: &'static TransferSyntax,
    shape: Shape,
}

impl Decoder {
    fn frames<'a>(&self, header: &Header, part10: &'a [u8]) -> Result<Vec<Cow<'a, [u8]>>, DecodeError> {
        stored(self.transfer_syntax, header, part10, self.shape, self.shape.frame_bytes())
    }

    /// The Hounsfield units of one frame; `number` counts from 1.
    fn frame(&self, stored: &[u8], number: u32, table: &Table) -> Result<Arc<[i16]>, DecodeError> {
        let Codec::EncapsulatedPixelData(Some(codec), _) = self.transfer_syntax.codec() else {
            let endianness = self.transfer_syntax.endianness();
            return Ok(plane(table, stored, self.shape.bits_allocated, endianness));
        };
        let decoded = codec::decode(codec.as_ref(), self.transfer_syntax.uid(), stored, self.shape, number)?;
        let Decoded { bytes, bits_allocated, precision } = decoded;
        // The codestream knows better than the header how many bits it holds.
        let by_codestream = precision.map(|bits| Scale { bits_stored: bits, high_bit: bits - 1, ..*table.scale() });
        match by_codestream.filter(|scale| scale != table.scale()) {
            Some(scale) => Ok(plane(&Table::new(scale), &bytes, bits_allocated, Endianness::Little)),
            None => Ok(plane(table, &bytes, bits_allocated, Endianness::Little)),
        }
    }
}

fn plane(table: &Table, bytes: &[u8], bits_allocated: u16, endianness: Endianness) -> Arc<[i16]> {
    let words = bytes.chunks_exact(2);
    match (bits_allocated, endianness) {
        (8, _) => table.plane(bytes.iter().map(|byte| u16::from(*byte))),
        (_, Endianness::Little) => table.plane(words.map(|w| u16::from_le_bytes([w[0], w[1]]))),
        (_, Endianness::Big) => table.plane(words.map(|w| u16::from_be_bytes([w[0], w[1]]))),
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
