//! The processes in which frames are decoded: they give what the decoder gives here, and what ends them ends one frame.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use dicom::pixels::DecodeError;
use dicom::pixels::cage::{Cage, CageError, Order};
use dicom::pixels::codec;
use dicom::pixels::shape::{self, Shape};
use hil_tests::appliance::{Appliance, Setup};
use hil_tests::tools;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::decoders::claimed;
use crate::{mutate, seeds};

fn cage() -> Cage {
    Cage::new(&tools::our_binary("scansided").unwrap())
}

/// Transfer syntax, shape and bytes of good frames in every way in which frames are compressed.
fn frames() -> Vec<(&'static str, Shape, Vec<u8>)> {
    let jpegs = [
        (seeds::JPEG, seeds::jpegs()),
        (seeds::LOSSLESS, seeds::lossless_jpegs()),
        (seeds::JPEG_LS, seeds::jpegs_ls()),
        (seeds::JPEG_2000, seeds::jpegs_2000()),
    ];
    let jpegs = jpegs.into_iter().flat_map(|(uid, frames)| frames.into_iter().map(move |frame| (uid, frame)));
    let mut frames: Vec<_> = jpegs.map(|(uid, frame)| (uid, claimed(&frame), frame)).collect();
    let grey = Shape { rows: 20, columns: 24, samples: 1, bits_allocated: 16, frames: 1 };
    frames.push((seeds::RLE, grey, seeds::run_lengths(1, 16)[4..].to_vec()));
    frames
}

fn same(uid: &str, shape: Shape, frame: &[u8], cage: &Cage) -> bool {
    let here = codec::decode_in(None, uid, frame, shape, 1);
    let apart = codec::decode_in(Some((cage, "1.2")), uid, frame, shape, 1);
    match (&here, &apart) {
        (Ok(here), Ok(apart)) => {
            assert_eq!((&here.bytes, here.precision), (&apart.bytes, apart.precision), "{uid}");
            true
        }
        (Err(here), Err(apart)) => {
            assert_eq!(here.kind(), apart.kind(), "{uid}: {here} | {apart}");
            false
        }
        _ => panic!("{uid}, {} bytes: here {here:?}, apart {apart:?}", frame.len()),
    }
}

#[test]
fn every_codec_gives_the_same_in_its_cage() {
    let cage = cage();
    let frames = frames();
    let decoded: Vec<&str> =
        frames.iter().filter(|(uid, shape, frame)| same(uid, *shape, frame, &cage)).map(|(uid, ..)| *uid).collect();
    for uid in [seeds::JPEG, seeds::LOSSLESS, seeds::JPEG_LS, seeds::JPEG_2000, seeds::RLE] {
        assert!(decoded.contains(&uid), "no frame of {uid} was decoded");
    }
}

#[test]
fn malformed_frames_are_the_same_errors_in_the_cage() {
    let (cage, mut random) = (cage(), SmallRng::seed_from_u64(4));
    for (uid, shape, frame) in frames() {
        for _ in 0..25 {
            same(uid, shape, &mutate::mutated(std::slice::from_ref(&frame), &mut random), &cage);
        }
    }
}

/// A program that is started as a decoder and runs this shell script; its standard input is the socket.
fn pretender(folder: &Path, script: &str) -> Cage {
    let program = folder.join("decoder");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    Cage::new(&program)
}

fn small() -> Order<'static> {
    let shape = Shape { rows: 2, columns: 2, samples: 1, bits_allocated: 8, frames: 1 };
    Order { transfer_syntax_uid: seeds::RLE, frame: &[0; 80], shape, bits_allocated: 8 }
}

/// What the script makes of one frame, in words.
fn told(script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    pretender(folder.path(), script).decode(&small(), "1.2").unwrap_err().to_string()
}

#[test]
fn a_decoder_that_crashes_is_an_error_of_its_frame() {
    assert!(told("printf R >&0; kill -SEGV $$").contains("crashed (signal 11)"));
    assert!(told("printf R >&0; kill -XCPU $$").contains("more than 60 s"));
    assert!(told("printf R >&0; kill -ABRT $$").contains("for want of memory"));
    assert!(told("printf R >&0; exit 3").contains("ended early"));
}

#[test]
fn what_a_decoder_says_is_not_believed() {
    // More bytes than the frame has; a reason without an end; a kind that is none.
    for answer in [
        r"\000\377\377\377\377\377\377\377\177",
        r"\001\377\377\377\377\377\377\377\177",
        r"\007\004\000\000\000\000\000\000\000",
    ] {
        let said = told(&format!("printf R >&0; printf '{answer}' >&0; sleep 60"));
        assert!(said.contains("what no decoder answers"), "{said}");
    }
    let escape = told(r"printf R >&0; printf '\001\004\000\000\000\000\000\000\000a\033[m' >&0; sleep 60");
    assert_eq!(escape, "a [m");
}

#[test]
fn a_decoder_that_cannot_be_confined_is_given_no_frame() {
    let folder = tempfile::tempdir().unwrap();
    let error =
        pretender(folder.path(), "printf 'Nthe kernel takes no filter' >&0").decode(&small(), "1.2").unwrap_err();
    assert!(matches!(&error, CageError::NotConfined { reason } if reason == "the kernel takes no filter"), "{error}");
    let error = Cage::new(Path::new("/nowhere/scansided")).decode(&small(), "1.2").unwrap_err();
    assert!(matches!(error, CageError::NotStarted { .. }), "{error}");
}

#[test]
fn to_start_no_decoder_is_no_fault_of_the_frame() {
    let missing = Cage::new(Path::new("/nowhere/scansided"));
    let (uid, shape, frame) = frames().pop().unwrap();
    let error = codec::decode_in(Some((&missing, "1.2")), uid, &frame, shape, 7).unwrap_err();
    assert!(matches!(error, DecodeError::NoDecoder { frame: 7, .. }) && error.is_transient(), "{error}");
}

#[test]
fn a_decoder_that_somebody_kills_is_no_fault_of_the_frame() {
    let folder = tempfile::tempdir().unwrap();
    let killed = pretender(folder.path(), "printf R >&0; kill -KILL $$");
    let (uid, shape, frame) = frames().pop().unwrap();
    let error = codec::decode_in(Some((&killed, "1.2")), uid, &frame, shape, 7).unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("was killed (signal 9)"), "{error}");
}

/// What frames of one patient have done to it is no other patient's.
#[test]
fn a_decoder_reads_frames_of_one_series_only() {
    let (cage, (uid, shape, frame)) = (cage(), frames().pop().unwrap());
    let decoders = |series: &str| {
        codec::decode_in(Some((&cage, series)), uid, &frame, shape, 1).unwrap();
        children(std::process::id()).len()
    };
    assert_eq!([decoders("1.2"), decoders("1.2"), decoders("1.3"), decoders("1.2"), decoders("1.3")], [1, 1, 2, 2, 2]);
    assert_eq!(decoders(""), 2, "one whose series nobody knows ends with its frame");
}

#[test]
fn a_decoder_that_has_refused_a_frame_reads_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("started");
    let script = format!(
        r"echo >> {}; printf R >&0; printf '\001\001\000\000\000\000\000\000\000x' >&0; sleep 60",
        log.display()
    );
    let cage = pretender(folder.path(), &script);
    for _ in 0..2 {
        assert!(matches!(cage.decode(&small(), "1.2"), Err(CageError::Refused { .. })));
    }
    assert_eq!(fs::read_to_string(log).unwrap().lines().count(), 2);
}

/// Else it would be taken for the answer to the next frame.
#[test]
fn a_decoder_that_says_more_than_it_was_asked_is_given_no_other_frame() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("started");
    let answer = r"\000\004\000\000\000\000\000\000\000abcd";
    let script = format!("echo >> {}; printf R >&0; printf '{answer}{answer}' >&0; sleep 60", log.display());
    let cage = pretender(folder.path(), &script);
    for _ in 0..2 {
        assert_eq!(cage.decode(&small(), "1.2").unwrap(), b"abcd");
    }
    assert_eq!(fs::read_to_string(log).unwrap().lines().count(), 2);
}

#[test]
fn a_deflated_frame_is_not_inflated_beyond_its_size() {
    let (shape, mut deflated) = (small().shape, Vec::new());
    let mut encoder = flate2::write::DeflateEncoder::new(&mut deflated, flate2::Compression::best());
    std::io::copy(&mut std::io::repeat(0).take(1 << 28), &mut encoder).unwrap();
    encoder.finish().unwrap();
    let error = codec::decode_in(None, "1.2.840.10008.1.2.8.1", &deflated, shape, 1).unwrap_err();
    assert!(error.to_string().contains("more than 4 bytes"), "{error}");
}

/// An idle decoder may be ended by the kernel for want of memory, or by hand.
#[test]
fn a_decoder_that_was_ended_while_idle_is_replaced() {
    let (cage, (uid, shape, frame)) = (cage(), frames().pop().unwrap());
    assert!(same(uid, shape, &frame, &cage));
    let decoders = children(std::process::id());
    assert!(!decoders.is_empty(), "no decoder was there");
    for decoder in decoders {
        Command::new("kill").args(["-9", &decoder]).status().unwrap();
    }
    assert!(same(uid, shape, &frame, &cage));
}

/// Processes that any thread of `process` has started.
fn children(process: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let listed = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    listed.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_has_a_confined_decoder_from_its_start() {
    let appliance = Appliance::start(&Setup::default()).await.unwrap();
    let about = |process: &String| fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let decoders = children(appliance.process_id().unwrap());
    let statuses: Vec<String> = decoders.iter().map(about).collect();
    let confined = |status: &String| status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1");
    assert!(!statuses.is_empty() && statuses.iter().all(confined), "{statuses:?}");
    // For want of memory the kernel takes it, and not the daemon.
    let first_to_go = |process: &String| fs::read_to_string(format!("/proc/{process}/oom_score_adj")).unwrap();
    assert!(decoders.iter().map(first_to_go).all(|score| score.trim() == "1000"));
    let said = appliance.manager().await.unwrap().level_reason().await.unwrap();
    assert_eq!(said, "", "the box says that it decodes within the daemon");
}

/// `SCANSIDE_FRAMES` is a folder of CT files, all of them compressed.
#[test]
#[ignore = "a measurement: decoding here and in the cage, alternating"]
fn what_the_cage_costs() {
    let folder = std::env::var("SCANSIDE_FRAMES").unwrap();
    let files: Vec<Vec<u8>> =
        fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    let (cage, mut seconds) = (cage(), [Vec::new(), Vec::new()]);
    for _ in 0..5 {
        for (place, cage) in [None, Some(&cage)].into_iter().enumerate() {
            let begun = Instant::now();
            std::thread::scope(|threads| {
                for half in files.chunks(files.len().div_ceil(2)) {
                    threads.spawn(move || half.iter().for_each(|file| decode(file, cage)));
                }
            });
            seconds[place].push(begun.elapsed().as_secs_f64());
        }
    }
    println!("{} files, seconds here {:.3?}, apart {:.3?}", files.len(), seconds[0], seconds[1]);
}

fn decode(file: &[u8], cage: Option<&Cage>) {
    let header = dicom::scan::scan(std::io::Cursor::new(file)).unwrap().header;
    let (shape, syntax) = (Shape::of(&header).unwrap(), shape::transfer_syntax(&header).unwrap());
    let frames = shape::stored(syntax, &header, file, shape, shape.frame_bytes()).unwrap();
    let cage = cage.map(|cage| (cage, header.series_instance_uid.as_str()));
    codec::decode_in(cage, syntax.uid(), &frames[0], shape, 1).unwrap();
}
