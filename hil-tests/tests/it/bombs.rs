//! Small files that would decode to gigabytes: the box names them, stays within its memory, and answers meanwhile.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant as Clock};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use hil_tests::appliance::{Appliance, Setup};
use hil_tests::deadline;
use hil_tests::modality::Modality;
use hil_tests::part10::{Instance, element};

use crate::support::Records;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
/// What decoding and analysis may use; the rest of the process needs less than `BESIDE_MIB`.
const LIMIT_MIB: u64 = 512;
const BESIDE_MIB: u64 = 256;

/// Everything of a CT slice before its pixels.
fn slice(series: u32, number: u32, side: u16) -> (String, Vec<u8>) {
    let uid = format!("1.2.826.0.1.3680043.8.498.77.{series}.{number}");
    let mut bytes = Vec::new();
    let mut text = |group, number, vr: &[u8; 2], value: &str| {
        element(&mut bytes, (group, number), vr, value.as_bytes());
    };
    text(0x08, 0x08, b"CS", "ORIGINAL\\PRIMARY\\AXIAL");
    text(0x08, 0x16, b"UI", CT);
    text(0x08, 0x18, b"UI", &uid);
    text(0x08, 0x60, b"CS", "CT");
    text(0x10, 0x10, b"PN", "PHANTOM^BOMB");
    text(0x10, 0x20, b"LO", "PH-77");
    text(0x20, 0x0d, b"UI", "1.2.826.0.1.3680043.8.498.77");
    text(0x20, 0x0e, b"UI", &format!("1.2.826.0.1.3680043.8.498.77.{series}"));
    text(0x20, 0x13, b"IS", &number.to_string());
    text(0x20, 0x32, b"DS", &format!("0\\0\\{number}"));
    text(0x20, 0x37, b"DS", "1\\0\\0\\0\\1\\0");
    text(0x20, 0x52, b"UI", "1.2.826.0.1.3680043.8.498.77.1");
    element(&mut bytes, (0x28, 0x02), b"US", &1u16.to_le_bytes());
    element(&mut bytes, (0x28, 0x04), b"CS", b"MONOCHROME2");
    for (number, value) in [(0x10, side), (0x11, side)] {
        element(&mut bytes, (0x28, number), b"US", &value.to_le_bytes());
    }
    element(&mut bytes, (0x28, 0x30), b"DS", b"0.7\\0.7");
    for (number, value) in [(0x100, 16u16), (0x101, 16), (0x102, 15), (0x103, 1)] {
        element(&mut bytes, (0x28, number), b"US", &value.to_le_bytes());
    }
    element(&mut bytes, (0x28, 0x1052), b"DS", b"0");
    element(&mut bytes, (0x28, 0x1053), b"DS", b"1");
    (uid, bytes)
}

/// 60 slices of 8000 x 8000 zeros, each a file of about 125 kB.
fn deflated() -> Vec<Instance> {
    let side = 8000u16;
    let length = u32::from(side) * u32::from(side) * 2;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&[0xe0, 0x7f, 0x10, 0, b'O', b'W', 0, 0]).unwrap();
    encoder.write_all(&length.to_le_bytes()).unwrap();
    let zeros = vec![0; 1 << 20];
    let mut left = length as usize;
    while left > 0 {
        let some = left.min(zeros.len());
        encoder.write_all(&zeros[..some]).unwrap();
        left -= some;
    }
    let pixels = encoder.finish().unwrap();
    let one = |number| {
        let (uid, head) = slice(2, number, side);
        // A stored block (RFC 1951, 3.2.4) in front, so that the pixels are compressed only once.
        let length = u16::try_from(head.len()).unwrap();
        let mut stream = vec![0];
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(head);
        stream.extend(&pixels);
        Instance::claimed(CT, &uid, DEFLATED, &stream)
    };
    (1..=60).map(one).collect()
}

/// Slices whose JPEG 2000 headers ask for far more than their 512 x 512 pixels need.
fn jpeg_2000(series: u32, tile: u32, layers: u16, levels: u8, precinct: Option<u8>) -> Vec<Instance> {
    let mut frame = vec![0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0];
    for value in [512, 512, 0, 0, tile, tile, 0, 0] {
        frame.extend(u32::to_be_bytes(value));
    }
    frame.extend([0, 1, 15, 1, 1]);
    let sizes = precinct.map_or(Vec::new(), |size| vec![size; usize::from(levels) + 1]);
    frame.extend([0xff, 0x52, 0, u8::try_from(12 + sizes.len()).unwrap(), u8::from(precinct.is_some()), 0]);
    frame.extend(layers.to_be_bytes());
    frame.extend([0, levels, 4, 4, 0, 1]);
    frame.extend(sizes);
    frame.extend([0xff, 0x5c, 0, 4, 0x40, 0x40]);
    frame.extend([0xff, 0x90, 0, 10, 0, 0, 0, 0, 0, 14, 0, 1, 0xff, 0x93, 0xff, 0xd9]);
    frame.resize(frame.len() + frame.len() % 2, 0);
    let one = |number| {
        let (uid, mut bytes) = slice(series, number, 512);
        let item = |length: u32, tag: u16| [&[0xfe, 0xff][..], &tag.to_le_bytes(), &length.to_le_bytes()].concat();
        bytes.extend([0xe0, 0x7f, 0x10, 0, b'O', b'B', 0, 0, 0xff, 0xff, 0xff, 0xff]);
        bytes.extend(item(0, 0xe000));
        bytes.extend(item(u32::try_from(frame.len()).unwrap(), 0xe000));
        bytes.extend(&frame);
        bytes.extend(item(0, 0xe0dd));
        Instance::claimed(CT, &uid, JPEG_2000, &bytes)
    };
    (1..=12).map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_that_decode_to_gigabytes_are_named_and_stay_within_the_memory_allowed() {
    let extra = format!("[analyze]\nmemory_mib = {LIMIT_MIB}\n[series]\nquiet_secs = 1.0\n");
    let appliance = Appliance::start(&Setup { extra, ..Setup::default() }).await.unwrap();
    let scanner = Modality::new(appliance.address, "CT01", Appliance::AE_TITLE);
    let bombs = [
        deflated(),
        jpeg_2000(3, 512, 1, 32, Some(0x00)),
        jpeg_2000(4, 2, 1, 5, None),
        jpeg_2000(5, 512, u16::MAX, 5, None),
        jpeg_2000(6, 512, 1, 32, Some(0x11)),
    ];
    let over = Arc::new(AtomicBool::new(false));
    let (ended, another) = (over.clone(), scanner.clone());
    let echoes = tokio::spawn(async move {
        let mut took = Vec::new();
        while !ended.load(Ordering::Relaxed) {
            let begun = Clock::now();
            another.echo().await.unwrap();
            took.push(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await; // the pace of the questions, not a wait for anything
        }
        took
    });
    for bomb in &bombs {
        scanner.send(bomb, |instance, status| assert_eq!(status, 0, "{}", instance.sop_instance_uid)).await.unwrap();
    }
    let records = Records::open(&appliance).unwrap();
    let done = || records.is_settled(bombs.len()).unwrap();
    deadline::until_true("a verdict for every bomb", Duration::from_secs(180), done).await.unwrap();
    over.store(true, Ordering::Relaxed);
    let mut took = echoes.await.unwrap();
    took.sort_unstable();
    for series in records.series().unwrap() {
        let verdict = series.verdict.unwrap_or_default();
        assert_eq!(series.state, "refused", "{verdict}");
        assert!(verdict.contains("too large") || verdict.contains("JPEG 2000 codestream"), "{verdict}");
    }
    let peak = appliance.peak_resident_bytes().unwrap() >> 20;
    let at = took.len() * 99 / 100;
    println!("peak memory {peak} MiB of {LIMIT_MIB} + {BESIDE_MIB}; C-ECHO 99 %: {:?} of {}", took[at], took.len());
    assert!(peak <= LIMIT_MIB + BESIDE_MIB, "{peak} MiB");
}

/// A data set that inflates to 1,000 MiB.
fn thousand_mebibytes() -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    let mut head = slice(7, 1, 512).1;
    head.extend([0xe0, 0x7f, 0x10, 0, b'O', b'W', 0, 0]);
    head.extend((1000u32 << 20).to_le_bytes());
    encoder.write_all(&head).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1000 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

/// A slice and, behind it, `times` what is meant to eat the memory of a parser.
fn slice_with(number: u32, begin: &[u8], piece: &[u8], times: usize) -> (String, Vec<u8>) {
    let (uid, mut bytes) = slice(8, number, 16);
    bytes.extend(begin);
    bytes.extend(piece.repeat(times));
    (uid, bytes)
}

/// What reception reads of an object does not grow with what the object claims, holds or inflates to.
#[tokio::test(flavor = "multi_thread")]
async fn objects_that_are_meant_to_fill_the_memory_are_answered_and_do_not() {
    let appliance = Appliance::start(&Setup::default()).await.unwrap();
    let scanner = Modality::new(appliance.address, "CT01", Appliance::AE_TITLE);
    scanner.echo().await.unwrap();
    let before = appliance.peak_resident_bytes().unwrap() >> 20;
    let sequence = *b"\x40\0\x30\xa7SQ\0\0\xff\xff\xff\xff";
    let item = *b"\xfe\xff\0\xe0\xff\xff\xff\xff";
    let empty = *b"\xfe\xff\0\xe0\0\0\0\0";
    let nested = slice_with(1, &[], &[&sequence[..], &item].concat(), 200_000);
    let items = slice_with(2, &sequence, &empty, 2_000_000);
    let promised = slice_with(3, b"\xe0\x7f\x10\0OW\0\0\0\0\0\x80", &[0], 16);
    let explicit = "1.2.840.10008.1.2.1";
    let deflated = thousand_mebibytes();
    let inflating = (0..4).map(|n| Instance::claimed(CT, &format!("2.25.79.{n}"), DEFLATED, &deflated));
    let crafted = [nested, items, promised].map(|(uid, bytes)| Instance::claimed(CT, &uid, explicit, &bytes));
    // All at once, each on an association of its own.
    let sent = inflating.chain(crafted).map(|bomb| {
        let scanner = scanner.clone();
        tokio::spawn(async move { scanner.send(&[bomb], |_, _| {}).await.unwrap().answers.len() })
    });
    for answered in sent.collect::<Vec<_>>() {
        assert_eq!(answered.await.unwrap(), 1);
    }
    // A PDU that promises 2 GiB.
    let mut peer = std::net::TcpStream::connect(appliance.address).unwrap();
    peer.write_all(&[1, 0, 0x80, 0, 0, 0]).unwrap();
    scanner.echo().await.unwrap();
    let peak = appliance.peak_resident_bytes().unwrap() >> 20;
    println!("peak memory {before} MiB before, {peak} MiB after");
    assert!(peak <= BESIDE_MIB, "{peak} MiB");
}
