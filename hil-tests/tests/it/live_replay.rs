//! `scansidectl live replay` on recordings, as people run it.

use std::process::Command;

use hil_tests::evaluation::video::{Scan, judge, replay};
use hil_tests::tools;
use needs::Lack;
use serde_json::Value;

use crate::us_support::{Picture, Pixels};

/// A validation phantom with one lesion, which goes out of view and comes back.
const SEED: u64 = 1_900_019;

#[test]
fn real_a_phantoms_lesion_is_found_and_keeps_its_number() {
    if !tools::onnxruntime().exists() {
        needs::skip(Lack::Software, "ONNX Runtime not present");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let scan = Scan::of(SEED, 6.0, 30.0, folder.path()).unwrap();
    let again = Scan::of(SEED, 6.0, 30.0, folder.path()).unwrap();
    let runs = |scan: &Scan| scan.truth.frames.iter().flatten().map(|shown| shown.runs.clone()).collect::<Vec<_>>();
    assert!(runs(&scan) == runs(&again), "what lies there is used");
    let packages = tools::workspace().join("models/packages");
    let seen = replay::replay(&scan.file, &packages).unwrap();
    assert_eq!(seen.len(), scan.truth.frames.len(), "no picture is skipped");
    let case = judge::judge(&scan.truth, &seen);
    assert_eq!((case.wanted, case.found, case.false_alarms, case.switched, case.merged), (1, 1, 0, 0, 0), "{case:?}");
    assert!(case.dice.iter().sum::<f64>() / case.dice.len() as f64 > 0.7, "{:?}", case.dice);
}

#[test]
fn real_a_clip_of_an_unknown_scanner_is_read_with_the_image_that_is_found_in_it() {
    let Some(corpus) = tools::shared("data/corpus") else { return };
    if !tools::onnxruntime().exists() {
        needs::skip(Lack::Software, "ONNX Runtime not present");
        return;
    }
    let clip = corpus.join("pydicom/examples_ybr_color.dcm");
    let packages = tools::workspace().join("models/packages");
    let said = |json: bool| {
        let mut scansidectl = Command::new(tools::our_binary("scansidectl").unwrap());
        scansidectl.args(json.then_some("--json")).args(["live", "replay", "--packages"]).arg(&packages).arg(&clip);
        let said = scansidectl.output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap()
    };
    let looked = said(true).lines().filter(|line| line.contains("\"mm_per_pixel\":null")).count();
    assert!(looked > 20, "{looked} of 30 pictures were looked at, without a scale");
    let words = said(false);
    assert!(words.contains("the image was found in the picture"), "{words}");
    assert!(words.contains(&format!("30 pictures, {looked} analysed.")), "{words}");
}

#[test]
fn a_clip_without_an_image_is_played_and_nothing_is_said_of_lesions() {
    let folder = tempfile::tempdir().unwrap();
    let text = |number: u32| {
        let mut grey = vec![0u8; 320 * 240];
        for y in 20..30 {
            grey[y * 320 + 20 + number as usize..][..120].iter_mut().step_by(3).for_each(|level| *level = 230);
        }
        grey
    };
    let clip = Picture {
        study: "1.2.3".into(),
        series: 1,
        number: 1,
        body_part: "BREAST",
        study_description: "",
        size: [320, 240],
        pixels: Pixels::Grey((0..30).map(text).collect()),
        region: None,
        laterality: "",
        study_date: "20261124",
    };
    clip.write(folder.path());
    let mut scansidectl = Command::new(tools::our_binary("scansidectl").unwrap());
    let said = scansidectl
        .args(["--json", "live", "replay"])
        .arg(folder.path().join(format!("{}.dcm", clip.uid())))
        .output()
        .unwrap();
    let reasons = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(1), "nothing was looked at, so nothing is said of lesions: {reasons}");
    assert!(reasons.contains("no scanner profile for a screen of 320x240"), "{reasons}");
    let lines: Vec<Value> =
        String::from_utf8(said.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 30);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line["sequence"], number);
        assert_eq!(line["sign"]["state"], "no_overlay");
        let reason = line["sign"]["reason"].as_str().unwrap();
        assert!(reason.starts_with("no scanner profile for a screen of 320x240"), "{reason}");
        assert!(line["overlay"].is_null());
    }
    assert!((lines[29]["time_s"].as_f64().unwrap() - 29.0 * 0.0333).abs() < 1e-3, "in its own time");
}
