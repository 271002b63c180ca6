//! Decodes the images of one instance, greyscale or colour, for display instead of measurement.

use std::io::Cursor;

use dicom_encoding::{Codec, Endianness, TransferSyntax};
use dicom_object::InMemDicomObject;

use super::codec::{self, Decoded};
use super::codestream::{self, Coding};
use super::deflated;
use super::error::DecodeError;
use super::parse;
use super::shape::{self, Shape};
use crate::header::Header;
use crate::scan;

/// All images of one instance, still compressed; each is decoded on request.
pub struct Pictures {
    pub header: Header,
    /// All elements before the pixel data.
    pub data_set: InMemDicomObject,
    transfer_syntax: &'static TransferSyntax,
    shape: Shape,
    stored: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Pictures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pictures").field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// The samples of one image, little endian.
#[derive(Debug)]
pub struct Samples {
    pub bytes: Vec<u8>,
    /// 8 or 16.
    pub bits_allocated: u16,
    /// How many of these bits are used, if the codestream says so.
    pub precision: Option<u16>,
    /// The image was not compressed: its samples may be stored by plane, and chroma may be shared by two pixels.
    /// Otherwise they are stored by pixel.
    pub is_native: bool,
    /// The decoder converted the colours to RGB, whatever Photometric Interpretation says.
    pub is_rgb: bool,
}

impl Pictures {
    /// Reads a Part 10 file.
    ///
    /// # Errors
    /// When it has no images or they cannot be decoded.
    pub fn open(part10: &[u8]) -> Result<Self, DecodeError> {
        let read = |part10: &[u8]| {
            scan::scan(Cursor::new(part10)).map_err(|error| DecodeError::DataSet { reason: error.to_string() })
        };
        let header = read(part10)?.header;
        let transfer_syntax = shape::transfer_syntax(&header)?;
        if matches!(transfer_syntax.codec(), Codec::Dataset(Some(_))) {
            let (_, plain) = deflated::inflated(&header, part10)?;
            return Self::open(&plain);
        }
        if header.pixel_data.is_none() {
            return Err(DecodeError::NoPixelData);
        }
        let samples = header.samples_per_pixel.max(1);
        if !matches!(header.bits_allocated, 8 | 16) || !matches!(samples, 1 | 3) {
            let (bits, colour) = (header.bits_allocated, &header.photometric);
            return Err(DecodeError::NotAPicture { what: format!("{samples} samples with {bits} bits ({colour})") });
        }
        let shape = Shape::sized(&header, samples)?;
        let native = match header.photometric.as_str() {
            // Two pixels share two chroma samples (PS3.3 section C.7.6.3.1.2).
            "YBR_FULL_422" => shape.pixels() * 2 * usize::from(shape.bits_allocated / 8),
            _ => shape.frame_bytes(),
        };
        let stored = shape::stored(transfer_syntax, &header, part10, shape, native)?;
        let stored = stored.into_iter().map(std::borrow::Cow::into_owned).collect();
        let data_set = parse::data_set(part10)?;
        Ok(Self { header, data_set, transfer_syntax, shape, stored })
    }

    /// Number of images, at least 1.
    pub fn count(&self) -> usize {
        self.stored.len()
    }

    /// The image `index`, counted from 0, as it is stored; `None` after the last.
    pub fn stored(&self, index: usize) -> Option<&[u8]> {
        self.stored.get(index).map(Vec::as_slice)
    }

    /// Decodes the image `index`, counted from 0; `None` after the last.
    ///
    /// # Errors
    /// When its bytes are malformed.
    pub fn decode(&self, index: usize) -> Option<Result<Samples, DecodeError>> {
        let stored = self.stored.get(index)?;
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let Codec::EncapsulatedPixelData(Some(_), _) = self.transfer_syntax.codec() else {
            return Some(Ok(self.native(stored)));
        };
        // The decoder for DCT processes converts luma and chroma to RGB; the other decoders do not convert colours.
        let is_rgb = codestream::claims(stored).is_some_and(|c| c.components == 3 && c.coding == Coding::JpegDct);
        let decoded = codec::decode(self.transfer_syntax.uid(), stored, self.shape, number, &codec::of(&self.header));
        Some(decoded.map(|Decoded { bytes, bits_allocated, precision }| Samples {
            bytes,
            bits_allocated,
            precision,
            is_native: false,
            is_rgb,
        }))
    }

    fn native(&self, stored: &[u8]) -> Samples {
        let bits_allocated = self.shape.bits_allocated;
        let mut bytes = stored.to_vec();
        if bits_allocated == 16 && self.transfer_syntax.endianness() == Endianness::Big {
            bytes.chunks_exact_mut(2).for_each(|word| word.swap(0, 1));
        }
        Samples { bytes, bits_allocated, precision: None, is_native: true, is_rgb: false }
    }
}
