//! Ultrasound images and clips that a scanner sends by C-STORE are read like any study, also after a kill; and as files at a
//! desk. Phantoms, the real files of the corpus, and real pictures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use hil_tests::appliance::{Appliance, Setup};
use hil_tests::modality::Modality;
use hil_tests::pacs::Pacs;
use hil_tests::part10::Instance;
use hil_tests::{deadline, tools};
use models::task::us_breast::sector;
use needs::Lack;
use phantom::ultrasound::canvas::Canvas;
use phantom::ultrasound::layout::Name;
use phantom::ultrasound::{Frame, Options, Video};
use serde_json::Value;

use crate::support::{Made, Records};
use crate::us_support::{Picture, Pixels, rle};

const SETTLED_WITHIN: Duration = Duration::from_secs(240);
/// A validation phantom with one lesion, which goes out of view and comes back.
const SEED: u64 = 1_900_019;
const STUDY: &str = "1.2.826.0.1.3680043.8.498.77";

pub fn has_runtime() -> bool {
    let has = tools::onnxruntime().exists();
    if !has {
        needs::skip(Lack::Software, "ONNX Runtime not present");
    }
    has
}

/// The phantom, its frame that shows the most of the lesion, and one that shows none.
pub struct Scanned {
    video: Video,
    best: usize,
    pub shown: Frame,
    empty: Frame,
}

pub fn scanned() -> Scanned {
    let video = Video::new(SEED, &Options { seconds: 6.0, ..Options::default() });
    let frames: Vec<Frame> = (0..video.frames()).step_by(12).map(|number| video.frame(number)).collect();
    let area = |frame: &Frame| frame.truth.lesions.iter().map(|lesion| lesion.area_mm2).sum::<f32>();
    let usable = || frames.iter().filter(|frame| !frame.truth.callipers);
    let shown = usable().max_by(|a, b| area(a).total_cmp(&area(b))).unwrap().clone();
    // The lesion goes out of view.
    let empty = usable().find(|frame| frame.truth.lesions.is_empty()).unwrap().clone();
    Scanned { best: shown.truth.frame, video, shown, empty }
}

pub fn picture(scanned: &Scanned, number: u32, pixels: Pixels) -> Picture {
    let screen = &scanned.shown.screen;
    let truth = scanned.video.truth(Vec::new());
    Picture {
        study: STUDY.into(),
        series: 1,
        number,
        body_part: "BREAST",
        study_description: "",
        size: [screen.width, screen.height],
        pixels,
        region: Some((truth.layout.sector, truth.mm_per_pixel)),
        laterality: "",
        study_date: "20261124",
    }
}

pub fn grey(screen: &Canvas) -> Pixels {
    Pixels::Grey(vec![screen.grey.clone()])
}

/// With the colours of flow over a twelfth of the sector.
fn doppler(scanned: &Scanned) -> Pixels {
    let screen = &scanned.shown.screen;
    let sector = scanned.video.layout.sector;
    let mut rgb: Vec<u8> = screen.grey.iter().flat_map(|level| [*level; 3]).collect();
    for y in sector.y + sector.height / 3..sector.y + sector.height * 2 / 3 {
        for x in sector.x + sector.width / 4..sector.x + sector.width / 2 {
            let colour = if (x / 9 + y / 7) % 2 == 0 { [210, 40, 20] } else { [30, 60, 200] };
            rgb[(y * screen.width + x) * 3..][..3].copy_from_slice(&colour);
        }
    }
    Pixels::Rgb(rgb)
}

/// With yellow callipers beside the lesion.
fn marked(scanned: &Scanned) -> Pixels {
    let screen = &scanned.shown.screen;
    let mut rgb: Vec<u8> = screen.grey.iter().flat_map(|level| [*level; 3]).collect();
    let of = scanned.shown.truth.lesions[0].screen_box;
    for [x, y] in [[of.x, of.y + of.height / 2], [of.right(), of.y + of.height / 2]] {
        for i in 0..9 {
            for [x, y] in [[x + i - 4, y], [x, y + i - 4]] {
                rgb[(y * screen.width + x) * 3..][..3].copy_from_slice(&[255, 230, 0]);
            }
        }
    }
    Pixels::Rgb(rgb)
}

pub async fn settled(records: &Records, series: usize) {
    let done = || records.is_settled(series).unwrap();
    deadline::until_true("every series to have its verdict and its results delivered", SETTLED_WITHIN, done)
        .await
        .unwrap();
}

fn object(made: &Made) -> InMemDicomObject {
    dicom_object::open_file(&made.file).unwrap().into_inner()
}

fn holds(file: &Path, text: &str) -> bool {
    std::fs::read(file).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}

/// For each frame of a segmentation the image that it lies on, and its pixels.
fn segments(seg: &InMemDicomObject) -> Vec<(String, Vec<bool>)> {
    let pixels = seg.element(tags::ROWS).unwrap().to_int::<usize>().unwrap()
        * seg.element(tags::COLUMNS).unwrap().to_int::<usize>().unwrap();
    let bits = seg.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
    let groups = seg.element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).unwrap();
    let item = |of: &InMemDicomObject, tag| of.element(tag).unwrap().items().unwrap()[0].clone();
    let frames = groups.items().unwrap().iter().enumerate().map(|(frame, group)| {
        let image = item(&item(group, tags::DERIVATION_IMAGE_SEQUENCE), tags::SOURCE_IMAGE_SEQUENCE);
        let uid = image.element(tags::REFERENCED_SOP_INSTANCE_UID).unwrap().to_str().unwrap();
        let set = |i: usize| bits[(frame * pixels + i) / 8] >> ((frame * pixels + i) % 8) & 1 == 1;
        (uid.trim_end_matches('\0').to_owned(), (0..pixels).map(set).collect())
    });
    frames.collect()
}

fn dice(a: impl Iterator<Item = bool>, b: impl Iterator<Item = bool>) -> f64 {
    let (mut both, mut either) = (0, 0);
    for (a, b) in a.zip(b) {
        both += usize::from(a && b);
        either += usize::from(a) + usize::from(b);
    }
    2.0 * both as f64 / either.max(1) as f64
}

#[tokio::test]
async fn real_stills_and_clips_of_a_breast_are_read_once_also_after_a_kill_and_valid_results_reach_the_archive() {
    if !has_runtime() {
        return;
    }
    let scanned = tokio::task::spawn_blocking(scanned).await.unwrap();
    let screen = &scanned.shown.screen;
    let around = scanned.best.saturating_sub(4)..(scanned.best + 4).min(scanned.video.frames());
    let clip: Vec<Vec<u8>> = around.map(|number| scanned.video.frame(number).screen.grey).collect();
    let without_region = |picture: Picture| Picture { region: None, ..picture };
    let pictures = [
        picture(&scanned, 1, grey(screen)),
        without_region(picture(&scanned, 2, grey(screen))),
        picture(&scanned, 3, Pixels::Grey(clip.clone())),
        picture(&scanned, 4, doppler(&scanned)),
        picture(&scanned, 5, marked(&scanned)),
        picture(&scanned, 6, grey(&scanned.empty.screen)),
        Picture { series: 2, body_part: "THYROID", ..picture(&scanned, 1, grey(screen)) },
        Picture { series: 3, ..picture(&scanned, 1, doppler(&scanned)) },
        Picture { series: 4, ..picture(&scanned, 1, grey(&scanned.empty.screen)) },
    ];
    let folder = tempfile::tempdir().unwrap();
    let pacs = Pacs::start("PACS", &folder.path().join("pacs")).await.unwrap();
    let destinations = vec![("pacs".into(), "PACS".into(), pacs.address)];
    let extra = "[study]\nquiet_secs = 0.5\n".to_owned();
    let setup = Setup { destinations, extra, ..Setup::default() };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    let instances: Vec<Instance> = pictures.iter().map(Picture::instance).collect();
    let scanner = Modality::new(appliance.address, "US1", Appliance::AE_TITLE);
    let sent = scanner.send(&instances, |_, _| ()).await.unwrap();
    assert_eq!(sent.acknowledged(), instances.len());
    // In the quiet time, and in the middle of the work.
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    let records = Records::open(&appliance).unwrap();
    let begun = || records.jobs().unwrap().iter().any(|(state, _)| state == "running" || state == "done");
    deadline::until_true("a job to begin", SETTLED_WITHIN, begun).await.unwrap();
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    settled(&records, 4).await;

    let series = records.series().unwrap();
    let verdicts: Vec<&str> = series.iter().map(|one| one.verdict.as_deref().unwrap_or_default()).collect();
    println!("{verdicts:#?}");
    let states: Vec<(&str, &str)> = series.iter().map(|one| (one.kind.as_str(), one.state.as_str())).collect();
    assert_eq!(
        states,
        [
            ("ultrasound", "processed"),
            ("ultrasound", "refused"),
            ("ultrasound", "refused"),
            ("ultrasound", "processed")
        ]
    );
    let first = verdicts[0];
    assert!(first.starts_with("breast ultrasound: ") && !first.contains("no lesion"), "{first}");
    let looked = format!("in 4 images and 1 clip ({n} of {n} frames) looked at", n = clip.len());
    assert!(first.contains(&looked), "{first}");
    assert!(first.contains("size not measured: the image has no scale"), "image 2 has none: {first}");
    assert!(first.contains("1 image not looked at: colours cover"), "{first}");
    assert!(verdicts[1].contains("body part THYROID") && verdicts[1].contains("us_breast"), "{}", verdicts[1]);
    assert!(verdicts[2].starts_with("breast ultrasound: none of its images was looked at: colours"), "{}", verdicts[2]);
    assert!(!verdicts[2].contains("no lesion"), "nothing is said of what was not looked at");
    assert_eq!(verdicts[3], "breast ultrasound: no lesion in 1 image looked at");

    // One set of results for each series that is of a breast; all of it at the archive.
    let made = records.results().unwrap();
    let reports: Vec<&Made> = made.iter().filter(|one| one.kind == "sr").collect();
    assert_eq!(reports.len(), 3, "{:?}", made.iter().map(|one| &one.kind).collect::<Vec<_>>());
    let arrived: BTreeSet<String> = pacs.received().into_iter().map(|one| one.sop_instance_uid).collect();
    assert_eq!(arrived, made.iter().map(|one| one.sop_uid.clone()).collect());
    for report in &reports {
        assert!(holds(&report.file, "NOT FOR DIAGNOSIS") && holds(&report.file, "PHANTOM^EVA"));
        // What a report says of is in its evidence.
        assert!(holds(&report.file, &format!("{STUDY}.")));
    }
    let negative = reports.iter().find(|one| holds(&one.file, "No lesion in 1 image looked at.")).unwrap();
    assert!(holds(&negative.file, &format!("{STUDY}.4.1")));

    // The lesion lies where it was planted, on the image of the scanner, and has its size.
    let seg = made.iter().find(|one| one.kind == "seg").unwrap();
    let segments = segments(&object(seg));
    let planted = || scanned.shown.labels.grey.iter().map(|label| *label > 0);
    for number in [1, 2, 5] {
        let uid = pictures[number - 1].uid();
        let best = segments.iter().filter(|(image, _)| *image == uid);
        let best = best.map(|(_, set)| dice(set.iter().copied(), planted())).fold(0.0, f64::max);
        assert!(best > 0.6, "image {number}: Dice {best:.2}");
    }
    let said = first.split("image 1: ").nth(1).unwrap().split(" x ").next().unwrap().parse::<f32>().unwrap();
    let truth = scanned.shown.truth.lesions[0].size_mm;
    let longest = truth[0].max(truth[1]);
    assert!((said / longest - 1.0).abs() < 0.35, "{said} mm long, planted {truth:?}");
    assert!(segments.iter().all(|(image, _)| *image != pictures[3].uid()), "nothing is outlined on the Doppler image");

    validate(&made, &pictures, folder.path()).await;
    appliance.stop().await.unwrap();
}

/// Other software accepts the objects.
async fn validate(made: &[Made], pictures: &[Picture], folder: &Path) {
    let sources = folder.join("sources");
    std::fs::create_dir_all(&sources).unwrap();
    pictures.iter().for_each(|picture| picture.write(&sources));
    let files: Vec<PathBuf> = std::fs::read_dir(&sources).unwrap().map(|entry| entry.unwrap().path()).collect();
    let Some(check) = tools::shared("validators/check_sr.sh") else { return };
    for one in made {
        // The other script asks for a frame of reference, which ultrasound has none of.
        let output = if one.kind == "sr" {
            tools::command("bash").unwrap().arg(&check).arg(&one.file).args(&files).output().await.unwrap()
        } else {
            tools::command("dciodvfy").unwrap().arg("-new").arg(&one.file).output().await.unwrap()
        };
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let is_clean = output.status.success() && !complained.lines().any(|line| line.starts_with("Error"));
        assert!(is_clean, "{}: {said}{complained}", one.file.display());
    }
}

#[test]
fn the_image_is_found_in_a_screen_of_which_nothing_is_known() {
    for (layout, seed) in [(Name::A, 1_900_003), (Name::A, SEED), (Name::B, 1_900_004), (Name::B, 1_900_007)] {
        let video = Video::new(seed, &Options { layout, seconds: 0.1, ..Options::default() });
        let (frame, truth) = (video.frame(0), video.truth(Vec::new()));
        let found = sector::find(&frame.screen.grey, [frame.screen.width, frame.screen.height]).unwrap();
        let (image, sector) = (truth.image, truth.layout.sector);
        println!("{layout:?} {seed}: {found:?}, tissue {image:?} in {sector:?}");
        let within = |low: usize, high: usize, from: usize, to: usize| low + 12 >= from && high <= to + 12;
        assert!(within(found.x, found.x + found.width, sector.x, sector.right()), "{found:?} {sector:?}");
        assert!(within(found.y, found.y + found.height, sector.y, sector.bottom()), "{found:?} {sector:?}");
        let across = (found.x + found.width).min(image.right()).saturating_sub(found.x.max(image.x));
        let down = (found.y + found.height).min(image.bottom()).saturating_sub(found.y.max(image.y));
        // What is deep and dark may be missing at the bottom.
        assert!(across * down * 100 >= image.width * image.height * 80, "{found:?} {image:?}");
    }
}

/// What `scansidectl analyze` says of the series of a folder.
fn analysed(folder: &Path, configuration: &str) -> Vec<Value> {
    let packages = tools::workspace().join("models/packages");
    let config = tempfile::tempdir().unwrap();
    std::fs::write(config.path().join("a.toml"), configuration).unwrap();
    let said = Command::new(tools::our_binary("scansidectl").unwrap())
        .args(["--json", "analyze", "--packages"])
        .arg(&packages)
        .arg("--config")
        .arg(config.path())
        .arg(folder)
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    report["series"].as_array().unwrap().clone()
}

#[test]
fn one_bad_frame_leaves_the_rest_of_its_clip_and_a_picture_without_greys_is_refused_by_name() {
    if !has_runtime() {
        return;
    }
    let scanned = scanned();
    let grey = &scanned.shown.screen.grey;
    let mut frames = vec![rle(grey); 3];
    frames[1] = vec![0xff; 80];
    let folder = tempfile::tempdir().unwrap();
    picture(&scanned, 1, Pixels::Rle(frames)).write(folder.path());
    let mut drawing = picture(&scanned, 2, Pixels::Grey(vec![grey.clone()])).part10();
    // Bits Stored.
    let at = drawing.windows(6).position(|at| at == [0x28, 0, 0x01, 0x01, b'U', b'S']).unwrap();
    drawing[at + 8] = 1;
    std::fs::write(folder.path().join("drawing.dcm"), drawing).unwrap();
    let [series] = analysed(folder.path(), "").try_into().unwrap();
    let verdict = series["verdict"].as_str().unwrap();
    println!("{verdict}");
    assert!(verdict.contains("1 clip (2 of 3 frames) looked at") && !verdict.contains("no lesion"), "{verdict}");
    assert!(verdict.contains("part of 1 image not looked at: frame 2"), "{verdict}");
    assert!(verdict.contains("1 image not looked at: it has 1 bits per sample"), "{verdict}");
}

const ALL: &str = "[analyze]\nus_breast = \"all\"\n";

/// Files below `folder` whose SOP class is one of ultrasound.
fn ultrasound_files(folder: &Path) -> Vec<PathBuf> {
    const CLASSES: [&str; 4] = ["6.1", "3.1", "6", "3"];
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(ultrasound_files(&entry.path()));
        } else if let Ok(Some(instance)) = Instance::open(&entry.path())
            && CLASSES.iter().any(|class| instance.sop_class_uid == format!("1.2.840.10008.5.1.4.1.1.{class}"))
        {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

#[test]
fn real_every_ultrasound_file_of_the_corpus_ends_with_the_right_verdict() {
    let Some(corpus) = tools::shared("data/corpus") else { return };
    if !has_runtime() {
        return;
    }
    let files = ultrasound_files(&corpus);
    assert!(files.len() >= 16, "{files:?}");
    let mut verdicts = BTreeMap::new();
    for file in &files {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(file, folder.path().join("a.dcm")).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let [series] = analysed(folder.path(), ALL).try_into().unwrap();
        let verdict = series["verdict"].as_str().unwrap().to_owned();
        println!("{name}: {verdict}");
        assert!(verdict.starts_with("breast ultrasound: "), "{name}: {verdict}");
        assert!(["processed", "refused"].contains(&series["state"].as_str().unwrap()), "{name}: {series}");
        // By default none of them is taken for a breast.
        let [series] = analysed(folder.path(), "").try_into().unwrap();
        assert!(series["verdict"].as_str().unwrap().starts_with("kept, not analysed: ultrasound"), "{name}: {series}");
        verdicts.insert(name, verdict);
    }
    for (name, part) in [
        // Power Doppler over two halves, without regions.
        ("US1_UNCR.dcm", "none of its images was looked at: colours cover"),
        ("US1_J2KR.dcm", "none of its images was looked at: colours cover"),
        ("examples_rgb_color.dcm", "none of its images was looked at: colours cover"),
        // Two B-mode areas side by side.
        ("gdcm-US-ALOKA-16.dcm", "1 image looked at"),
        ("gdcm-US-ALOKA-16_big.dcm", "1 image looked at"),
        // The second frame is the first one inverted: its colours are no tint of a grey image.
        ("OBXXXX1A_rle_2frame.dcm", "1 clip (1 of 2 frames) looked at"),
        ("examples_ybr_color.dcm", "1 clip (30 of 30 frames) looked at"),
        // A thumbnail.
        ("ExplVR_BigEnd.dcm", "none of its images was looked at: no ultrasound image was found in it"),
    ] {
        let verdict = verdicts.get(name).unwrap();
        assert!(verdict.contains(part), "{name}: {verdict}");
    }
}

/// The measurement of `models/training/ultrasound/judge.py`, through the study path: pictures of fold 0 as ultrasound images.
/// Figures of the package are its card's business; here they must not be far from them.
#[test]
fn real_pictures_give_the_study_path_the_figures_of_the_card() {
    let Some(pictures) = tools::shared("data/real/busi") else { return };
    if !has_runtime() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let list = std::fs::read_to_string(pictures.join("labels.csv")).unwrap();
    let mut lines = list.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| names.iter().position(|own| *own == name).unwrap();
    let [name, label, fold, conflict] = ["name", "label", "fold", "label_conflict"].map(column);
    let rows =
        lines.map(|line| line.split(',').collect::<Vec<_>>()).filter(|row| row[fold] == "0" && row[conflict] != "1");
    let mut truth = Vec::new();
    for (row, number) in rows.zip(1..) {
        let (size, levels) = png_grey(&pictures.join(format!("{}.png", row[name])));
        let mask = pictures.join(format!("{}-mask.png", row[name]));
        let outlined: Option<Vec<u8>> = mask.exists().then(|| png_grey(&mask).1);
        let picture = Picture {
            study: STUDY.into(),
            series: 9,
            number,
            body_part: "",
            study_description: "乳腺超声",
            size,
            pixels: Pixels::Grey(vec![levels]),
            region: None,
            laterality: "",
            study_date: "20261124",
        };
        picture.write(folder.path());
        truth.push((picture.uid(), size, row[label] != "normal", outlined));
    }
    let [series] = analysed(folder.path(), "").try_into().unwrap();
    println!("{}", series["verdict"].as_str().unwrap());
    let lesions = series["lesions"].as_array().unwrap();
    let (mut hits, mut wanted, mut false_ones, mut normal) = (0, 0, 0, 0);
    for (uid, size, has_lesion, outlined) in &truth {
        let own: Vec<&Value> = lesions.iter().filter(|lesion| lesion["image"] == uid.as_str()).collect();
        if *has_lesion {
            wanted += 1;
            let outlined = outlined.as_ref().unwrap();
            let hit = |lesion: &&Value| {
                let outline: Vec<[f32; 2]> = serde_json::from_value(lesion["outline"].clone()).unwrap();
                let inside = (0..size[0] * size[1]).map(|i| is_inside(&outline, [i % size[0], i / size[0]]));
                dice(inside, outlined.iter().map(|level| *level > 0)) >= 0.1
            };
            hits += usize::from(own.iter().any(hit));
        } else {
            normal += 1;
            false_ones += usize::from(!own.is_empty());
        }
    }
    println!("hit {hits} of {wanted} ({:.3}), false on {false_ones} of {normal} normal", hits as f64 / wanted as f64);
    assert!(hits as f64 / wanted as f64 > 0.8, "{hits} of {wanted}");
    assert!(false_ones as f64 / normal as f64 <= 0.15, "{false_ones} of {normal}");
}

/// Even-odd rule, at the pixel's centre.
fn is_inside(outline: &[[f32; 2]], [x, y]: [usize; 2]) -> bool {
    let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
    let next = outline.iter().cycle().skip(1);
    let crossings = outline
        .iter()
        .zip(next)
        .filter(|(a, b)| (a[1] <= y) != (b[1] <= y) && x < a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]));
    crossings.count() % 2 == 1
}

fn png_grey(path: &Path) -> ([usize; 2], Vec<u8>) {
    let mut decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!(info.color_type, png::ColorType::Grayscale, "{}", path.display());
    let size = [info.width as usize, info.height as usize];
    bytes.truncate(size[0] * size[1]);
    (size, bytes)
}
