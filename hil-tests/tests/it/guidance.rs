//! Scan guidance on phantom videos: a lifted probe, a wrong gain, slow and fast sweeps; through a recording as people replay it; and what it
//! says of real pictures, where they are.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use hal::capture::frame::Shape;
use hal::capture::{Colour, Frame, PixelFormat};
use hil_tests::tools;
use live::guidance::Item;
use live::guide::Watching;
use live::screen::profile::Profiles;
use live::view::{Overlay, Picture};
use models::task::us_breast::scan::{Scan, contact, extent, gain};
use phantom::ultrasound::handling::Handling;
use phantom::ultrasound::layout::Name;
use phantom::ultrasound::{Options, Video, y4m};
use serde_json::Value;

/// Phantoms that were not looked at when the limits were chosen.
const SEEDS: [u64; 2] = [1_900_019, 1_900_021];

fn video(seed: u64, fps: f32, pictures: usize, handling: Handling) -> Video {
    let options = Options { layout: Name::A, seconds: pictures as f32 / fps, fps, lesions: Some(1) };
    Video::new(seed, &options).handled(handling)
}

fn picture(video: &Video, number: usize) -> Picture {
    let screen = video.frame(number).screen;
    let shape = Shape::tight(PixelFormat::Grey, screen.width as u32, screen.height as u32, Colour::default());
    let captured = Duration::from_secs_f64(number as f64 / f64::from(video.fps));
    let frame = Frame::new(shape, number as u64, captured, Arc::new(screen.grey));
    Picture { sequence: number as u64, captured, exam: 0, frame }
}

/// What is told after these videos, one after the other, of one screen.
fn told(videos: &[&Video]) -> Vec<Item> {
    let profiles = Profiles::load("auto").unwrap();
    let mut watching = Watching::default();
    let mut begun = Duration::ZERO;
    for video in videos {
        for number in 0..video.frames() {
            let one = picture(video, number);
            let profile = profiles.choose(one.size()).unwrap();
            let captured = begun + one.captured;
            let cut = watching.take(&Picture { captured, ..one }, profile).unwrap();
            watching.look(cut, profile, &Overlay::default());
        }
        begun += Duration::from_secs_f64(video.frames() as f64 / f64::from(video.fps));
    }
    watching.items().to_vec()
}

fn state(items: &[Item], name: &str) -> &'static str {
    items.iter().find(|item| item.name == name).unwrap().state
}

/// Few pictures a second, so that few have to be computed: only words, no speed.
#[test]
fn a_lifted_probe_and_a_wrong_gain_are_told_on_phantoms() {
    for seed in SEEDS {
        let still = Handling { speed_mm_s: Some([2.0, 0.0]), gain_db: Some(0.0), ..Handling::default() };
        let good = video(seed, 5.0, 4, still.clone());
        for (handling, name, expected) in [
            (still.clone(), "contact", "good"),
            (still.clone(), "gain", "good"),
            (Handling { lifted: Some([0.0, 0.4]), ..still.clone() }, "contact", "poor_left"),
            (Handling { lifted: Some([0.6, 1.1]), ..still.clone() }, "contact", "poor_right"),
            (Handling { lifted: Some([-0.1, 1.1]), ..still.clone() }, "contact", "poor_all"),
            (Handling { gain_db: Some(24.0), ..still.clone() }, "gain", "too_high"),
            (Handling { gain_db: Some(-22.0), ..still.clone() }, "gain", "too_low"),
        ] {
            let items = told(&[&good, &video(seed, 5.0, 7, handling.clone())]);
            assert_eq!(state(&items, name), expected, "seed {seed}, {handling:?}: {items:?}");
        }
    }
}

#[test]
fn slow_and_fast_sweeps_of_phantoms_are_told_apart_and_a_fast_one_is_never_called_good() {
    for seed in SEEDS {
        let sweep = |speed, fps| {
            let handling = Handling { speed_mm_s: Some(speed), ..Handling::default() };
            told(&[&video(seed, fps, 12, handling)])
        };
        let slow = sweep([8.0, 0.0], 30.0);
        assert_eq!(state(&slow, "speed"), "good", "{slow:?}");
        let speed = slow.iter().find(|item| item.name == "speed").unwrap();
        let measured = speed.figures.iter().find(|figure| figure.name == "speed").unwrap().value;
        assert!((measured - 8.0).abs() < 3.0, "{measured} mm/s for 8");
        assert_eq!(state(&sweep([0.0, 26.0], 30.0), "speed"), "too_fast", "along the probe");
        assert_eq!(state(&sweep([40.0, 0.0], 50.0), "speed"), "too_fast", "across it");
        let lost = sweep([60.0, 0.0], 30.0);
        assert_ne!(state(&lost, "speed"), "good", "too few pictures for this speed: {lost:?}");
    }
}

#[test]
fn a_recording_that_is_replayed_says_that_the_probe_was_lifted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lifted.y4m");
    let handling = |lifted| Handling { lifted, gain_db: Some(0.0), speed_mm_s: Some([2.0, 0.0]) };
    let good = video(SEEDS[0], 5.0, 4, handling(None));
    let lifted = video(SEEDS[0], 5.0, 8, handling(Some([0.0, 0.5])));
    let mut file = y4m::Writer::new(&path, good.layout.width, good.layout.height, 5.0).unwrap();
    for video in [&good, &lifted] {
        (0..video.frames()).for_each(|number| file.frame(&video.frame(number).screen).unwrap());
    }
    file.finish().unwrap();
    // Without a network it fails in the end, and what it says of each picture is there.
    let said = Command::new(tools::our_binary("scansidectl").unwrap())
        .args(["--json", "live", "replay", "--packages"])
        .arg(folder.path())
        .arg(&path)
        .output()
        .unwrap();
    let lines: Vec<Value> =
        String::from_utf8(said.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let contact = |line: &Value| {
        let items = line["guidance"].as_array().unwrap().clone();
        items.into_iter().find(|item| item["name"] == "contact").unwrap()["state"].as_str().unwrap().to_owned()
    };
    let states: Vec<String> = lines.iter().map(contact).collect();
    assert_eq!((states.len(), states[1].as_str(), states[11].as_str()), (12, "good", "poor_left"), "{states:?}");
}

/// Stored pictures were kept because they are good: few of them should be judged otherwise. They have no scale here.
#[test]
fn real_few_stored_pictures_are_said_to_have_poor_contact() {
    let Some(folder) = tools::shared("data/real/busi") else { return };
    let files = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let is_picture = |path: &std::path::PathBuf| {
        path.extension().is_some_and(|extension| extension == "png") && !path.to_string_lossy().contains("mask")
    };
    let mut files: Vec<_> = files.filter(is_picture).collect();
    files.sort();
    let [mut looked, mut poor, mut gains] = [0usize; 3];
    for path in files.iter().step_by((files.len() / 50).max(1)).take(50) {
        let mut decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()));
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let grey: Vec<u8> =
            bytes[..info.buffer_size()].chunks_exact(info.color_type.samples()).map(|pixel| pixel[0]).collect();
        let scan = Scan { levels: &grey, width: info.width as usize, mm_per_pixel: None };
        let mut extent = extent::Extent::default();
        extent.learn(&scan);
        let Ok(columns) = extent.columns() else { continue };
        let contact = contact::judge(&scan, columns);
        looked += 1;
        poor += usize::from(contact.word != contact::Word::Good);
        gains += usize::from(gain::judge(&scan, columns, &contact).is_some_and(|gain| gain.word != gain::Word::Good));
    }
    println!("of {looked} real pictures {poor} with poor contact, {gains} with another gain than good");
    assert!(looked >= 40 && poor * 10 <= looked && gains * 4 <= looked, "{poor} and {gains} of {looked}");
}
