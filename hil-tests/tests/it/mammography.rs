//! Mammograms of phantoms, with the headers of five vendors, sent by C-STORE: the views are named, the pictures are read and marked; and
//! as files at a desk.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use dicom::mammogram;
use dicom::pixels::pictures::Pictures;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use hil_tests::appliance::{Appliance, Setup};
use hil_tests::modality::Modality;
use hil_tests::part10::Instance;
use hil_tests::{deadline, tools};
use models::task::mg_breast::{Channels, Place, Side};
use models::{Package, golden};
use needs::Lack;
use phantom::mammography::dicom::{Intent, Wanted};
use phantom::mammography::lesion::Kind;
use phantom::mammography::vendor::Vendor;
use phantom::mammography::{Case, Options, View, training};
use phantom::visit::Day;
use serde_json::Value;

use crate::support::Records;

const SETTLED_WITHIN: Duration = Duration::from_secs(240);
/// Coarser than a detector, so that a study is small.
const PIXEL_MM: f32 = 0.2;

/// A woman without implants, by vendor.
fn woman(vendor: Vendor) -> Case {
    let options =
        Options { pixel_mm: Some(PIXEL_MM), vendor: Some(vendor), implants: Some(false), ..Options::default() };
    Case::new(1_900_021, &options)
}

fn wanted(intents: &[Intent]) -> Wanted {
    Wanted { intents: intents.to_vec(), script: None, day: Day::default(), magnification: false }
}

/// The pictures of a woman, as files.
async fn pictures(vendor: Vendor, intents: &[Intent]) -> Vec<Vec<u8>> {
    let case = woman(vendor);
    let wanted = wanted(intents);
    let made = tokio::task::spawn_blocking(move || phantom::mammography::dicom::study(&case, &wanted)).await.unwrap();
    made.unwrap().0.instances.into_iter().map(|one| one.part10).collect()
}

/// The verdict of the study of each vendor, and the kinds of its results.
async fn verdict(vendor: Vendor, intents: &[Intent], analyze: &str) -> (String, Vec<String>) {
    told(&pictures(vendor, intents).await, analyze).await
}

/// The same of these files.
async fn told(files: &[Vec<u8>], analyze: &str) -> (String, Vec<String>) {
    let extra = format!("[study]\nquiet_secs = 2.0\n[analyze]\n{analyze}\n");
    let appliance = Appliance::start(&Setup { extra, ..Setup::default() }).await.unwrap();
    let sent = Modality::new(appliance.address, "MG1", Appliance::AE_TITLE);
    let instances: Vec<Instance> = files.iter().map(|file| Instance::from_part10(file).unwrap()).collect();
    assert_eq!(sent.send(&instances, |_, _| ()).await.unwrap().acknowledged(), instances.len());
    let records = Records::open(&appliance).unwrap();
    let done = || {
        let series = records.series().unwrap();
        !series.is_empty() && series.iter().all(|one| one.verdict.is_some()) && records.is_settled(1).unwrap()
    };
    deadline::until_true("the verdict", SETTLED_WITHIN, done).await.unwrap();
    let kinds = records.results().unwrap().into_iter().map(|one| one.kind).collect();
    (records.series().unwrap()[0].verdict.clone().unwrap(), kinds)
}

#[tokio::test]
async fn four_views_of_five_vendors_are_named_and_their_pictures_read_for_what_they_are() {
    for vendor in Vendor::ALL {
        let (said, _) = verdict(vendor, &[Intent::Presentation], "mg_breast = true").await;
        println!("{vendor:?}: {said}");
        assert!(said.starts_with("mammography: 4 of 4 standard views"), "{vendor:?}: {said}");
        for (view, wall) in [("right CC", "right"), ("left CC", "left"), ("right MLO", "right"), ("left MLO", "left")] {
            assert!(said.contains(&format!("{view}: chest wall at the {wall}")), "{vendor:?}, {view}: {said}");
        }
        assert_eq!(
            said.matches("muscle seen").count() - said.matches("no muscle seen").count(),
            2,
            "{vendor:?}: {said}"
        );
        assert!(!said.contains("not read") && !said.contains("another side"), "{vendor:?}: {said}");
    }
}

#[tokio::test]
async fn a_received_study_of_a_phantom_is_marked_and_gives_a_page_and_a_report() {
    if !has_runtime() {
        return;
    }
    let (said, kinds) = verdict(Vendor::Ge, &[Intent::Presentation], "mg_marks = \"phantoms\"").await;
    println!("{said}");
    for text in
        ["in 4 views; two views and both breasts compared", "score of the right breast", "learnt from phantoms only"]
    {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert!(!said.contains("withheld"), "{said}");
    assert_eq!(kinds, ["sc", "mg-cad", "pdf", "pdf", "breast-report", "sr"]);
}

/// The same file whose header says that it shows the upper part of its view.
fn as_part(part10: &[u8]) -> Vec<u8> {
    let mut file = dicom_object::from_reader(part10).unwrap();
    file.put(DataElement::new(tags::PARTIAL_VIEW, VR::CS, PrimitiveValue::from("YES")));
    let mut code = InMemDicomObject::new_empty();
    code.put(DataElement::new(tags::CODE_VALUE, VR::SH, PrimitiveValue::from("264217000")));
    code.put(DataElement::new(tags::CODING_SCHEME_DESIGNATOR, VR::SH, PrimitiveValue::from("SCT")));
    code.put(DataElement::new(tags::CODE_MEANING, VR::LO, PrimitiveValue::from("Superior")));
    let section = DataSetSequence::from(vec![code]);
    file.put(DataElement::new(tags::PARTIAL_VIEW_CODE_SEQUENCE, VR::SQ, section));
    let mut bytes = Vec::new();
    file.write_all(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_received_study_with_a_part_of_a_view_ends_in_a_report_that_names_it_and_measures_nothing_in_it() {
    let mut files = pictures(Vendor::Ge, &[Intent::Presentation]).await;
    let last = files.pop().unwrap();
    files.push(as_part(&last));
    let (said, kinds) = told(&files, "mg_breast = true").await;
    println!("{said}");
    assert!(
        said.starts_with("mammography: 3 of 4 standard views; left MLO is there in parts only (1 image: superior)"),
        "{said}"
    );
    let part = said.split("; ").find(|one| one.starts_with("left MLO, a part")).unwrap();
    assert_eq!(
        part.replace(", muscle seen", ""),
        "left MLO, a part (superior): outline seen, the header says that only a part of the view is shown"
    );
    assert_eq!(kinds, ["sc", "pdf", "pdf", "breast-report", "sr"], "no network was asked");
}

pub fn has_runtime() -> bool {
    let has = tools::onnxruntime().exists();
    if !has {
        needs::skip(Lack::Software, "ONNX Runtime not present");
    }
    has
}

fn package() -> Package {
    Package::open(&tools::workspace().join("models/packages/mg-breast")).unwrap()
}

/// What the engine prepares of the pictures of a study, in their order.
fn prepared(case: &Case) -> Vec<Channels> {
    let package = package();
    let input = package.manifest.mammogram().unwrap().input;
    let (study, _) = phantom::mammography::dicom::study(case, &wanted(&[Intent::Presentation])).unwrap();
    let one = |part10: &[u8]| {
        let decoder = Pictures::open(part10).unwrap();
        let facts = mammogram::of(&decoder.header, &decoder.data_set);
        let samples = decoder.decode(0).unwrap().unwrap();
        let levels = mammogram::levels(&decoder.header, &decoder.data_set, &samples);
        let size = [decoder.header.columns, decoder.header.rows].map(|side| side as usize);
        let mm = facts.mm.unwrap() * facts.magnified;
        let side = if facts.laterality == "R" { Side::Right } else { Side::Left };
        let place = Place { size, mm, magnified: facts.magnified, mirrored: side == Side::Right };
        Channels::of(&input, &place, side, |x, y| levels[y * size[0] + x]).unwrap()
    };
    study.instances.iter().map(|instance| one(&instance.part10)).collect()
}

/// Grey and detail of the pixels of training, chest wall at column 0.
fn of_training(case: &Case) -> Vec<[Vec<u8>; 2]> {
    let upright = |plane: &[u8], columns: usize, turned: bool| {
        let line = |line: &[u8]| if turned { line.iter().rev().copied().collect() } else { line.to_vec() };
        plane.chunks_exact(columns).flat_map(line).collect::<Vec<u8>>()
    };
    let (pictures, truths) = training::views(case, 2);
    let one = |(picture, truth): (training::Shrunk, phantom::mammography::truth::ViewTruth)| {
        [picture.grey, picture.detail].map(|plane| upright(&plane, picture.columns, truth.chest_wall_on_right))
    };
    pictures.into_iter().zip(truths).map(one).collect()
}

/// Part of the pixels that differ by more than `most`.
fn differ(a: &[u8], b: &[u8], most: u8) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).filter(|(a, b)| a.abs_diff(**b) > most).count() as f64 / a.len() as f64
}

#[test]
fn the_network_sees_of_a_study_what_it_saw_in_training() {
    for vendor in Vendor::ALL {
        let case = woman(vendor);
        for (view, (own, due)) in View::ALL.iter().zip(prepared(&case).iter().zip(of_training(&case))) {
            // Where there is breast: air is not black through every VOI LUT, a vendor burns a label in, and both become black later.
            let breast = |plane: &[u8]| -> Vec<u8> {
                plane.iter().zip(&due[0]).filter(|(_, grey)| **grey > 8).map(|(value, _)| *value).collect()
            };
            let grey = differ(&breast(&own.grey), &breast(&due[0]), 1);
            let detail = differ(&breast(&own.detail), &breast(&due[1]), 4);
            println!("{vendor:?} {}: {grey:.5} of grey, {detail:.5} of detail differ", view.name());
            assert!(grey < 0.02 && detail < 0.02, "{vendor:?} {}: {grey} {detail}", view.name());
        }
    }
}

#[test]
fn the_golden_input_is_what_the_engine_makes_of_that_study() {
    // As model.toml says: seed, view, row and column of its corner.
    let case = Case::new(1_900_001, &Options { pixel_mm: Some(PIXEL_MM), ..Options::default() });
    let (top, left) = (194, 57);
    let text = std::fs::read_to_string(tools::workspace().join("models/packages/mg-breast/model.toml")).unwrap();
    assert!(text.contains(&format!("seed 1900001, left cc, from row {top} and column {left}")));
    let own = &prepared(&case)[1];
    let golden = golden::input(&package()).unwrap();
    let [_, _, rows, columns] = golden.shape[..] else { panic!("{:?}", golden.shape) };
    for (plane, given) in [&own.grey, &own.detail].into_iter().zip(golden.data.chunks_exact(rows * columns)) {
        let part = |at: usize| plane[(top + at / columns) * own.columns + left + at % columns];
        let ours: Vec<u8> = (0..rows * columns).map(part).collect();
        let theirs: Vec<u8> = given.iter().map(|value| (value * 255.0).round() as u8).collect();
        assert!(differ(&ours, &theirs, 3) < 0.002, "{}", differ(&ours, &theirs, 3));
    }
}

/// What `scansidectl analyze` says of the first series of a folder; results go to `out`.
fn analysed(folder: &Path, marks: &str, out: &Path) -> Value {
    let config = tempfile::tempdir().unwrap();
    std::fs::write(config.path().join("a.toml"), format!("[analyze]\nmg_marks = \"{marks}\"\n")).unwrap();
    let said = Command::new(tools::our_binary("scansidectl").unwrap())
        .args(["--json", "analyze", "--packages"])
        .arg(tools::workspace().join("models/packages"))
        .arg("--config")
        .arg(config.path())
        .arg("--out")
        .arg(out)
        .arg(folder)
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    report["series"].as_array().unwrap().iter().find(|one| one["mammography"].is_object()).unwrap().clone()
}

#[tokio::test]
async fn at_a_desk_a_phantom_is_marked_and_what_calls_itself_none_is_withheld_by_name() {
    if !has_runtime() {
        return;
    }
    let options = Options {
        pixel_mm: Some(PIXEL_MM),
        vendor: Some(Vendor::Hologic),
        implants: Some(false),
        lesions: Some(2),
        kind: Some(Kind::Mass),
        ..Options::default()
    };
    let (study, _) =
        phantom::mammography::dicom::study(&Case::new(1_900_003, &options), &wanted(&[Intent::Presentation])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (phantoms, others) = (folder.path().join("phantoms"), folder.path().join("others"));
    let mut files = Vec::new();
    for to in [&phantoms, &others] {
        std::fs::create_dir_all(to).unwrap();
    }
    for (number, instance) in study.instances.iter().enumerate() {
        let name = format!("{number}.dcm");
        std::fs::write(phantoms.join(&name), &instance.part10).unwrap();
        files.push(phantoms.join(&name));
        let mut other = instance.part10.clone();
        // Quality Control Image, in Explicit VR.
        let at = other.windows(6).position(|at| at == [0x28, 0, 0, 0x03, b'C', b'S']).unwrap();
        other[at + 8..at + 12].copy_from_slice(b"NO  ");
        std::fs::write(others.join(&name), other).unwrap();
    }
    let out = folder.path().join("out");
    let marked = analysed(&phantoms, "phantoms", &out);
    let marks = &marked["mammography"]["marks"];
    assert_eq!(marks["views"].as_array().unwrap().len(), 4, "{marks}");
    assert!(marks["case"].as_f64().unwrap() > 0.0 && marks["withheld"].as_array().unwrap().is_empty());
    let objects: Vec<PathBuf> =
        marked["objects"].as_array().unwrap().iter().map(|path| PathBuf::from(path.as_str().unwrap())).collect();
    // Report, marks, the four views, breast imaging report, a document in each language.
    assert_eq!(objects.len(), 6);
    validate(&objects, &files).await;

    let held = analysed(&others, "phantoms", &folder.path().join("held"));
    let said = held["verdict"].as_str().unwrap();
    let reason =
        "marks withheld in right CC, left CC, right MLO, left MLO: the header does not say that it shows a phantom";
    assert!(said.contains(reason) && !said.contains("score") && !said.contains("no mark"), "{said}");
    assert!(held["mammography"]["marks"]["case"].is_null());

    let all = analysed(&others, "all", &folder.path().join("all"));
    assert_eq!(all["mammography"]["marks"]["views"], marks["views"], "asked for, they are what they are");
}

/// Other software accepts the objects.
async fn validate(objects: &[PathBuf], sources: &[PathBuf]) {
    let Some(check) = tools::shared("validators/check_sr.sh") else { return };
    for one in objects {
        let is_report = one.to_string_lossy().ends_with("sr.dcm");
        let output = if is_report {
            tools::command("bash").unwrap().arg(&check).arg(one).args(sources).output().await.unwrap()
        } else {
            tools::command("dciodvfy").unwrap().arg("-new").arg(one).output().await.unwrap()
        };
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let is_clean = output.status.success() && !complained.lines().any(|line| line.starts_with("Error"));
        assert!(is_clean, "{}: {said}{complained}", one.display());
    }
}
