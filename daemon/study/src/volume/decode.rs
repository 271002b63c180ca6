//! Decodes the bytes of one instance to slices in Hounsfield units. Everything that can be checked is checked before
//! decoding, and a panic in a decoder is an error of this one instance.

use std::borrow::Cow;
use std::sync::Arc;

use dicom::header::Header;
use dicom::pixels::codec::{self, Decoded};
use dicom::pixels::deflated;
use dicom::pixels::error::DecodeError;
use dicom::pixels::shape::{Shape, stored, transfer_syntax};
use dicom_encoding::{Codec, Endianness, TransferSyntax};
use rayon::prelude::*;

use super::geometry::SliceGeometry;
use super::rescale::{Scale, Table};
use super::units::{Said, Units, units};
use super::{Slice, multiframe};

/// Returns one slice for a single-frame instance, one per frame for a multi-frame instance. `part10` is the whole file,
/// `header` the result of `scan` on it. Blocks.
///
/// # Errors
/// When the pixels are not Hounsfield units (colour, bit masks), cannot be decoded, or differ from the header.
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
    let decoder = Decoder { transfer_syntax, shape, series: codec::of(header) };
    if !multiframe::is_multiframe(header) {
        let frames = decoder.frames(header, part10)?;
        let scale = checked(Scale::of(header))?;
        let hu = decoder.frame(&frames[0], 1, &Table::new(scale))?;
        return Ok(vec![slice(header, None, SliceGeometry::from(header), units(&Said::from(header)), hu)]);
    }
    let facts = multiframe::facts(header, part10)?;
    let frames = decoder.frames(header, part10)?;
    // Usually all frames have the same scale and can share one table.
    let shared = facts.first().map(|f| checked(f.scale)).transpose()?.map(Table::new);
    let decode = |(index, (frame, facts)): (usize, (&Cow<'_, [u8]>, multiframe::Facts))| {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let hu = match &shared {
            Some(table) if *table.scale() == facts.scale => decoder.frame(frame, number, table),
            _ => decoder.frame(frame, number, &Table::new(checked(facts.scale)?)),
        }?;
        Ok(slice(header, Some(number), facts.geometry, facts.units, hu))
    };
    frames.par_iter().zip(facts).enumerate().map(decode).collect()
}

fn slice(header: &Header, frame: Option<u32>, geometry: SliceGeometry, units: Units, hu: Arc<[i16]>) -> Slice {
    Slice {
        sop_class_uid: header.sop_class_uid.clone(),
        sop_instance_uid: header.sop_instance_uid.clone(),
        units,
        frame,
        geometry,
        hu,
    }
}

/// Refuses a slope of zero or NaN, which would give all pixels the same value.
fn checked(scale: Scale) -> Result<Scale, DecodeError> {
    let usable = scale.slope.is_finite() && scale.slope != 0.0 && scale.intercept.is_finite();
    if usable { Ok(scale) } else { Err(DecodeError::Scale { slope: scale.slope, intercept: scale.intercept }) }
}

struct Decoder {
    transfer_syntax: &'static TransferSyntax,
    shape: Shape,
    series: String,
}

impl Decoder {
    fn frames<'a>(&self, header: &Header, part10: &'a [u8]) -> Result<Vec<Cow<'a, [u8]>>, DecodeError> {
        stored(self.transfer_syntax, header, part10, self.shape, self.shape.frame_bytes())
    }

    /// Decodes one frame to Hounsfield units; `number` counts from 1.
    fn frame(&self, stored: &[u8], number: u32, table: &Table) -> Result<Arc<[i16]>, DecodeError> {
        let Codec::EncapsulatedPixelData(Some(_), _) = self.transfer_syntax.codec() else {
            let endianness = self.transfer_syntax.endianness();
            return Ok(plane(table, stored, self.shape.bits_allocated, endianness));
        };
        let decoded = codec::decode(self.transfer_syntax.uid(), stored, self.shape, number, &self.series)?;
        let Decoded { bytes, bits_allocated, precision } = decoded;
        // The codestream is more reliable than the header about its number of bits.
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
