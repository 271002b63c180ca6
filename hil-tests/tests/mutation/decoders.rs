//! The header of a DICOM file, and the decoders of its pixels.

use std::io::Cursor;

use dicom::pixels::codec;
use dicom::pixels::codestream;
use dicom::pixels::colour::Conversion;
use dicom::pixels::parse;
use dicom::pixels::pictures::Pictures;
use dicom::pixels::shape::Shape;
use dicom::regions;
use dicom::{file_meta, implicit, scan};

use crate::seeds;
use crate::targets::{Target, decoder, part10, target};

pub const ALL: &[Target] = &[
    target("header", header, seeds::any_files),
    decoder("deflate", deflate, seeds::deflated_data_sets),
    decoder("jpeg", |bytes| frame(seeds::JPEG, bytes), seeds::jpegs),
    decoder("jpeg_lossless", |bytes| frame(seeds::LOSSLESS, bytes), seeds::lossless_jpegs),
    decoder("jpeg_ls", |bytes| frame(seeds::JPEG_LS, bytes), seeds::jpegs_ls),
    decoder("jpeg2000", |bytes| frame(seeds::JPEG_2000, bytes), seeds::jpegs_2000),
    decoder("rle", rle, seeds::run_length_frames),
    decoder("pictures", pictures, seeds::any_files),
];

/// A file that a peer sent, as far as reception and sending look into it.
fn header(bytes: &[u8]) {
    let _ = scan::meta(Cursor::new(bytes));
    let _ = scan::item(Cursor::new(bytes));
    let _ = file_meta::read(&mut &bytes[..]);
    let _ = implicit::from_explicit(bytes, std::io::sink());
    // As the daemon: the recursive parser sees only what the scan has let pass.
    if scan::scan(Cursor::new(bytes)).is_ok() {
        let _ = parse::data_set(bytes);
    }
}

/// The bytes as a deflated data set.
fn deflate(bytes: &[u8]) {
    let file = part10(seeds::DEFLATED, bytes);
    if let Ok(scanned) = scan::scan(Cursor::new(&file)) {
        let _ = dicom::pixels::deflated::inflated(&scanned.header, &file);
    }
}

/// One compressed frame. The header of its instance says what the codestream says, as far as an image is small: otherwise
/// the decoder would never be reached.
fn frame(transfer_syntax: &str, bytes: &[u8]) {
    decode(transfer_syntax, bytes, claimed(bytes));
}

pub fn claimed(bytes: &[u8]) -> Shape {
    let claims = codestream::claims(bytes).filter(|c| u64::from(c.rows) * u64::from(c.columns) <= 1 << 16);
    let small = |value: u32| u16::try_from(value).unwrap_or(16);
    match claims {
        Some(c) => Shape {
            rows: small(c.rows),
            columns: small(c.columns),
            samples: if c.components == 3 { 3 } else { 1 },
            bits_allocated: if c.precision > 8 { 16 } else { 8 },
            frames: 1,
        },
        None => Shape { rows: 16, columns: 16, samples: 1, bits_allocated: 16, frames: 1 },
    }
}

/// The first four bytes say how large the image is.
fn rle(bytes: &[u8]) {
    let Some((&[rows, columns, samples, bits], frame)) = bytes.split_first_chunk() else { return };
    let shape = Shape {
        rows: u16::from(rows).max(1),
        columns: u16::from(columns).max(1),
        samples: if samples & 1 == 0 { 1 } else { 3 },
        bits_allocated: if bits & 1 == 0 { 16 } else { 8 },
        frames: 1,
    };
    decode(seeds::RLE, frame, shape);
}

fn decode(transfer_syntax: &str, bytes: &[u8], shape: Shape) {
    if let Ok(decoded) = codec::decode(transfer_syntax, bytes, shape, 1, "1.2") {
        assert_eq!(decoded.bytes.len(), shape.samples() * usize::from(decoded.bits_allocated / 8));
    }
}

/// A file with images.
fn pictures(bytes: &[u8]) {
    let Ok(pictures) = Pictures::open(bytes) else { return };
    let _ = regions::of(&pictures.data_set);
    let conversion = Conversion::of(&pictures.header, &pictures.data_set);
    let [width, height] = [pictures.header.columns, pictures.header.rows].map(|side| side.min(4096) as usize);
    for index in 0..pictures.count().min(4) {
        if let (Some(Ok(samples)), Ok(conversion)) = (pictures.decode(index), &conversion) {
            conversion.convert(
                &samples,
                width,
                &mut vec![0; width * height * if conversion.is_grey() { 1 } else { 3 }],
            );
        }
    }
}
