//! Where mutation and fuzzing begin: a few good inputs that are made here, and files of real scanners from
//! `../shared/data` where they are. `seeds/` holds frames of computed ramps, compressed by DCMTK, OpenJPEG, CharLS and
//! libjpeg.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use dicom_encoding::TransferSyntaxIndex as _;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::targets::{element, part10, shared};

/// Longest file of `../shared/data` that is taken, bytes.
const MOST_BYTES: u64 = 48 * 1024;

pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
pub const RLE: &str = "1.2.840.10008.1.2.5";
pub const JPEG: &str = "1.2.840.10008.1.2.4.50";
pub const LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
pub const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
pub const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
const WIDTH: u16 = 24;
const HEIGHT: u16 = 20;

pub const JPEGS: [&[u8]; 4] = [
    include_bytes!("seeds/grey8.jpg"),
    include_bytes!("seeds/rgb.jpg"),
    include_bytes!("seeds/progressive.jpg"),
    include_bytes!("../../../hal/src/capture/gradient.jpg"),
];
const LOSSLESS_JPEGS: [&[u8]; 2] = [include_bytes!("seeds/grey8.ljpg"), include_bytes!("seeds/grey16.ljpg")];
const JPEGS_LS: [&[u8]; 3] =
    [include_bytes!("seeds/grey8.jls"), include_bytes!("seeds/grey16.jls"), include_bytes!("seeds/near.jls")];
const JPEGS_2000: [&[u8]; 4] = [
    include_bytes!("seeds/grey8.j2k"),
    include_bytes!("seeds/grey8.jp2"),
    include_bytes!("seeds/grey16.j2k"),
    include_bytes!("seeds/rgb.j2k"),
];

fn owned(frames: &[&[u8]]) -> Vec<Vec<u8>> {
    frames.iter().map(|frame| frame.to_vec()).collect()
}

/// Our own files, and real and odd ones.
pub fn any_files() -> Vec<Vec<u8>> {
    [files(), real().collect()].concat()
}

pub fn deflated_data_sets() -> Vec<Vec<u8>> {
    vec![deflated(&data_set(1, 16)), deflated(&data_set(3, 8))]
}

pub fn jpegs() -> Vec<Vec<u8>> {
    [owned(&JPEGS), real_frames(&[JPEG, "1.2.840.10008.1.2.4.51"])].concat()
}

pub fn lossless_jpegs() -> Vec<Vec<u8>> {
    [owned(&LOSSLESS_JPEGS), real_frames(&[LOSSLESS, "1.2.840.10008.1.2.4.57"])].concat()
}

pub fn jpegs_ls() -> Vec<Vec<u8>> {
    [owned(&JPEGS_LS), real_frames(&[JPEG_LS, "1.2.840.10008.1.2.4.81"])].concat()
}

pub fn jpegs_2000() -> Vec<Vec<u8>> {
    [owned(&JPEGS_2000), real_frames(&[JPEG_2000, "1.2.840.10008.1.2.4.91"])].concat()
}

pub fn run_length_frames() -> Vec<Vec<u8>> {
    [(1, 8), (1, 16), (3, 8)].map(|(samples, bits)| run_lengths(samples, bits)).to_vec()
}

/// The small files beside the repository.
fn real() -> impl Iterator<Item = Vec<u8>> {
    let mut paths = shared("corpus").map(|corpus| below(&corpus)).unwrap_or_default();
    paths.sort();
    let small = |path: &PathBuf| path.metadata().is_ok_and(|about| about.len() <= MOST_BYTES);
    paths.into_iter().filter(small).filter_map(|path| std::fs::read(path).ok())
}

/// The first fragment of each file in one of these transfer syntaxes.
fn real_frames(syntaxes: &[&str]) -> Vec<Vec<u8>> {
    let frame = |file: Vec<u8>| {
        let scanned = dicom::scan::scan(std::io::Cursor::new(&file)).ok()?.header;
        let place = scanned.pixel_data.filter(|_| syntaxes.contains(&scanned.transfer_syntax_uid.as_str()))?;
        let value = file.get(usize::try_from(place.offset).ok()?..)?;
        let length = |at: usize| Some(u32::from_le_bytes(value.get(at + 4..at + 8)?.try_into().ok()?) as usize);
        // Behind the offset table.
        let first = 8 + length(0)?;
        value.get(first + 8..first + 8 + length(first)?).map(<[u8]>::to_vec)
    };
    real().filter_map(frame).collect()
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
}

/// Everything before the pixels, with sequences in it.
fn data_set(samples: u16, bits: u16) -> Vec<u8> {
    let mut out = Vec::new();
    let mut text = |group, number, vr: &[u8; 2], value: &str| element(&mut out, (group, number), vr, value.as_bytes());
    text(0x08, 0x05, b"CS", "ISO_IR 192");
    text(0x08, 0x08, b"CS", "ORIGINAL\\PRIMARY");
    text(0x08, 0x16, b"UI", "1.2.840.10008.5.1.4.1.1.7");
    text(0x08, 0x18, b"UI", "2.25.7");
    text(0x08, 0x60, b"CS", "US");
    let mut code = Vec::new();
    element(&mut code, (0x08, 0x0100), b"SH", b"T-04000");
    let mut items = Vec::new();
    for _ in 0..2 {
        items.extend([0xfe, 0xff, 0x00, 0xe0]);
        items.extend(u32::try_from(code.len()).unwrap().to_le_bytes());
        items.extend(&code);
    }
    element(&mut out, (0x08, 0x2218), b"SQ", &items);
    let mut text = |group, number, vr: &[u8; 2], value: &str| element(&mut out, (group, number), vr, value.as_bytes());
    text(0x10, 0x10, b"PN", "PHANTOM^MUTATED=\u{738b}");
    text(0x10, 0x20, b"LO", "PH-7");
    text(0x10, 0x30, b"DA", "19700131");
    text(0x18, 0x1063, b"DS", "33.3");
    text(0x20, 0x0d, b"UI", "2.25.7.1");
    text(0x20, 0x0e, b"UI", "2.25.7.2");
    text(0x20, 0x13, b"IS", "7");
    text(0x20, 0x32, b"DS", "-10\\-20.5\\3e1");
    text(0x20, 0x37, b"DS", "1\\0\\0\\0\\1\\0");
    let colours = if samples == 3 { "RGB" } else { "MONOCHROME2" };
    element(&mut out, (0x28, 0x02), b"US", &samples.to_le_bytes());
    element(&mut out, (0x28, 0x04), b"CS", colours.as_bytes());
    element(&mut out, (0x28, 0x06), b"US", &0u16.to_le_bytes());
    element(&mut out, (0x28, 0x08), b"IS", b"1");
    for (number, value) in [(0x10, HEIGHT), (0x11, WIDTH), (0x100, bits), (0x101, bits), (0x102, bits - 1), (0x103, 0)]
    {
        element(&mut out, (0x28, number), b"US", &value.to_le_bytes());
    }
    element(&mut out, (0x28, 0x1052), b"DS", b"-1024");
    element(&mut out, (0x28, 0x1053), b"DS", b"1");
    out
}

pub fn native(samples: u16, bits: u16) -> Vec<u8> {
    let bytes = usize::from(WIDTH) * usize::from(HEIGHT) * usize::from(samples) * usize::from(bits / 8);
    let mut out = data_set(samples, bits);
    let pixels: Vec<u8> = (0..bytes).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect();
    element(&mut out, (0x7fe0, 0x10), b"OW", &pixels);
    out
}

fn deflated(data_set: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data_set).unwrap();
    encoder.finish().unwrap()
}

fn encapsulated(samples: u16, bits: u16, frame: &[u8]) -> Vec<u8> {
    let mut out = data_set(samples, bits);
    out.extend([0xe0, 0x7f, 0x10, 0, b'O', b'B', 0, 0, 0xff, 0xff, 0xff, 0xff]);
    out.extend([0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0, 0xfe, 0xff, 0, 0xe0]);
    out.extend(u32::try_from(frame.len().next_multiple_of(2)).unwrap().to_le_bytes());
    out.extend(frame);
    out.resize(out.len().next_multiple_of(2), 0);
    out.extend([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
    out
}

/// One file for each way in which pixels are stored.
fn files() -> Vec<Vec<u8>> {
    vec![
        part10(EXPLICIT, &native(1, 16)),
        part10(EXPLICIT, &native(3, 8)),
        part10(DEFLATED, &deflated(&native(1, 8))),
        part10(RLE, &encapsulated(1, 16, &run_lengths(1, 16)[4..])),
        part10(JPEG, &encapsulated(3, 8, JPEGS[1])),
        part10(LOSSLESS, &encapsulated(1, 16, LOSSLESS_JPEGS[1])),
        part10(JPEG_LS, &encapsulated(1, 8, JPEGS_LS[0])),
        part10(JPEG_2000, &encapsulated(1, 8, JPEGS_2000[0])),
        item(),
    ]
}

/// A worklist item, in Implicit VR Little Endian.
pub fn item() -> Vec<u8> {
    let mut explicit = Vec::new();
    for (tag, vr, value) in [
        ((0x08, 0x50), b"SH", "A-1"),
        ((0x10, 0x10), b"PN", "DOE^JANE"),
        ((0x10, 0x20), b"LO", "P1"),
        ((0x20, 0x0d), b"UI", "2.25.8"),
        ((0x40, 0x1001), b"SH", "R1"),
    ] {
        element(&mut explicit, tag, vr, value.as_bytes());
    }
    let mut implicit = Vec::new();
    dicom::implicit::from_explicit(&explicit[..], &mut implicit).unwrap();
    part10(IMPLICIT, &implicit)
}

/// Four bytes that say the size, and a frame of repeated and literal runs.
pub fn run_lengths(samples: u8, bits: u8) -> Vec<u8> {
    let (width, height) = (usize::from(WIDTH), usize::from(HEIGHT));
    let planes = usize::from(samples * (bits / 8));
    let plane: Vec<u8> = (0..width * height / 48)
        .flat_map(|n| {
            let value = u8::try_from(n).unwrap();
            [vec![0xe9, value], vec![23], (0..24).map(|n| n * 3 + value).collect()].concat()
        })
        .collect();
    let mut header = vec![u32::from(samples * (bits / 8))];
    header.extend((0..planes).map(|n| u32::try_from(64 + n * plane.len()).unwrap()));
    header.resize(16, 0);
    let head =
        [u8::try_from(HEIGHT).unwrap(), u8::try_from(WIDTH).unwrap(), u8::from(samples == 3), u8::from(bits == 8)];
    let header: Vec<u8> = header.into_iter().flat_map(u32::to_le_bytes).collect();
    [head.to_vec(), header, plane.repeat(planes)].concat()
}

/// That a target sees what it is for: each of our own seeds of a compressed frame is one that its decoder takes.
pub fn check() {
    for syntax in [JPEG, LOSSLESS, JPEG_LS, JPEG_2000, RLE] {
        assert!(TransferSyntaxRegistry.get(syntax).is_some_and(|found| found.can_decode_all()), "{syntax}");
    }
    for file in &files()[..8] {
        let pictures = dicom::pixels::pictures::Pictures::open(file).unwrap();
        pictures.decode(0).unwrap().unwrap();
    }
}
