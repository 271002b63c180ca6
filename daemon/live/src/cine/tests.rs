//! Real ultrasound files through capture replay and the live path, whatever is found in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom::scan;
use hal::Capture;
use hal::capture::convert;
use hal::capture::frame::Frame;
use hal::capture::replay::Replay;
use hal::capture::{CaptureFault, Config, PixelFormat, Rate};
use hal::clock::Manual;

use super::*;
use crate::rehearsal;
use crate::screen::profile::Profiles;
use crate::source::device;
use crate::supply::{Ready, Supply, SupplyError};
use crate::view::Sign;

/// A box without a model: the pictures must be shown all the same.
#[derive(Debug)]
struct Nothing;

impl Supply for Nothing {
    fn load(&mut self) -> Result<Ready, SupplyError> {
        Err(SupplyError::NoPackage("no usable model package".into()))
    }

    fn is_outdated(&self, _loaded: &Ready) -> bool {
        false
    }
}

/// `../shared/data/corpus` beside the workspace, where it is present.
fn corpus() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("SCANSIDE_SHARED").map_or_else(|| workspace.join("../shared"), PathBuf::from);
    let corpus = shared.join("data/corpus");
    if !corpus.is_dir() {
        needs::skip(needs::Lack::SharedData, "../shared/data/corpus not present");
    }
    corpus.is_dir().then_some(corpus)
}

/// Every ultrasound image below `folder`.
fn ultrasound(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let scanned = scan::scan(std::io::BufReader::new(std::fs::File::open(&path).unwrap()));
            if scanned.is_ok_and(|scan| scan.header.modality == "US" && scan.header.pixel_data.is_some()) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn sim_every_ultrasound_file_of_the_corpus_goes_through_the_live_path() {
    let Some(corpus) = corpus() else { return };
    let files = ultrasound(&corpus);
    assert!(files.len() >= 15, "{files:?}");
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let mut recording = device::recording(&file).unwrap_or_else(|error| panic!("{error}"));
        let size = [recording.shape().width as usize, recording.shape().height as usize];
        let profiles = Profiles::load("auto").unwrap();
        let profiled = profiles.choose(size).is_ok();
        let (mut pictures, mut bright) = (0, 0);
        rehearsal::run(recording.as_mut(), profiles, Box::new(Nothing), |frame, seen| {
            let mut colours = Vec::new();
            convert::rgb(frame, &mut colours).unwrap();
            assert_eq!(colours.len(), 3 * size[0] * size[1], "{name}");
            bright += usize::from(colours.iter().any(|value| *value > 64));
            pictures += 1;
            let Sign::NoOverlay { reason } = seen.sign else { panic!("{name}: {:?}", seen.sign) };
            let expected = if profiled { "no usable model" } else { "no scanner profile" };
            assert!(reason.contains(expected), "{name}: {reason}");
            true
        })
        .unwrap_or_else(|error| panic!("{error}"));
        assert!(pictures > 0 && bright == pictures, "{name}: {bright} of {pictures} pictures show something");
        println!("{name}: {pictures} pictures of {}x{}", size[0], size[1]);
    }
}

/// `tests/golden/pictures.py` made the numbers. JPEG decoders may differ by a level, and YBR by how chroma is spread.
#[test]
fn the_colours_are_those_that_pydicom_has() {
    let Some(corpus) = corpus() else { return };
    let golden = include_str!("../../../study/tests/golden/pictures.txt");
    let lines: Vec<&str> = golden.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), ultrasound(&corpus).len());
    for line in lines {
        let fields: Vec<&str> = line.split(' ').collect();
        let means: Vec<f64> = fields[2..].iter().map(|mean| mean.parse().unwrap()).collect();
        let mut recording = device::recording(&corpus.join(fields[0])).unwrap();
        let mut bytes = Vec::new();
        let mut count = 0;
        let mut first = None;
        while recording.read(&mut bytes).unwrap().is_some() {
            first.get_or_insert_with(|| bytes.clone());
            count += 1;
        }
        assert_eq!(count.to_string(), fields[1], "{line}");
        let frame = Frame::new(recording.shape().clone(), 0, Duration::ZERO, Arc::new(first.unwrap()));
        let mut colours = Vec::new();
        convert::rgb(&frame, &mut colours).unwrap();
        for (found, mean) in quarters(&colours, recording.shape().width as usize).into_iter().zip(means) {
            assert!((found - mean).abs() < 1.0, "{line}: {found:.2} instead of {mean}");
        }
    }
}

/// Mean red, green, blue of top left, top right, bottom left, bottom right.
fn quarters(colours: &[u8], width: usize) -> Vec<f64> {
    let rows: Vec<&[u8]> = colours.chunks_exact(3 * width).collect();
    let (top, bottom) = rows.split_at(rows.len() / 2);
    let mean = |rows: &[&[u8]], from: usize, to: usize, channel: usize| {
        let values = rows.iter().flat_map(|row| row[3 * from..3 * to].iter().skip(channel).step_by(3));
        values.map(|value| f64::from(*value)).sum::<f64>() / (rows.len() * (to - from)) as f64
    };
    let parts = [(top, 0, width / 2), (top, width / 2, width), (bottom, 0, width / 2), (bottom, width / 2, width)];
    parts.iter().flat_map(|(rows, from, to)| (0..3).map(move |channel| mean(rows, *from, *to, channel))).collect()
}

#[test]
fn sim_a_clip_is_replayed_in_its_own_time_and_begins_again() {
    let Some(corpus) = corpus() else { return };
    let clip = corpus.join("pydicom/examples_ybr_color.dcm");
    let clock = Manual::default();
    let mut device = Replay::new(device::recording(&clip).unwrap(), Arc::new(clock)).repeating();
    let wanted = Config::new(PixelFormat::Yuyv, 1280, 720, Rate::hertz(30));
    let validation = device.validate(&wanted).unwrap();
    device.start(validation.accepted().unwrap()).unwrap();
    for index in 0..32u32 {
        let frame = device.next_frame(Duration::from_secs(1)).unwrap();
        assert_eq!([frame.shape.width, frame.shape.height], [320, 240]);
        let due = f64::from(index) * 0.033_333;
        assert!((frame.timestamp.as_secs_f64() - due).abs() < 1e-3, "{index}: {:?}", frame.timestamp);
    }
}

#[test]
fn what_is_no_picture_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.dcm");
    let mut file = vec![0; 128];
    file.extend(b"DICM nothing that follows");
    std::fs::write(&path, &file).unwrap();
    let error = device::recording(&path).unwrap_err();
    assert_eq!(error.kind(), CaptureFault::BadInput);
    assert!(error.to_string().contains("x.dcm: "), "{error}");
    std::fs::write(&path, b"neither\n").unwrap();
    assert!(device::recording(&path).unwrap_err().to_string().contains("YUV4MPEG2"));
    assert_eq!(device::recording(&folder.path().join("none")).unwrap_err().kind(), CaptureFault::NotPresent);
}
