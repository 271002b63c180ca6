//! When slices of a series are bad, each in its own way, the series is read without them and each is named: no volume changes by more than 2 %
//! and no lesion is lost.

use std::path::Path;

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, open_file};
use hil_tests::compare::Evaluated;
use hil_tests::evaluation::analyse::{Series, analyse};
use hil_tests::evaluation::read::Lesion;
use hil_tests::tools;
use phantom::{Options, Phantom};

/// Columns and rows: half of the usual number, so that the scans take little time.
const WIDE: usize = 256;
/// The slices that are made bad in one scan, counted from the head: far apart, and fewer than one in twenty.
const BAD: [usize; 4] = [50, 75, 100, 125];

/// Changes a slice: its stored values and its object. `Path` is that of a good slice elsewhere.
type Spoil = fn(&mut Vec<i16>, &mut DefaultDicomObject, &Path);

const KINDS: [(&str, Spoil); 12] = [
    ("zero", |pixels, _, _| pixels.fill(0)),
    ("nothing but padding", |pixels, _, _| {
        let least = pixels.iter().copied().min().unwrap();
        pixels.fill(least);
    }),
    ("no rescale", |_, object, _| {
        object.remove_element(tags::RESCALE_SLOPE);
        object.remove_element(tags::RESCALE_INTERCEPT);
    }),
    ("intercept twice", |pixels, _, _| pixels.iter_mut().for_each(|v| *v -= 1024)),
    ("another slope", |_, object, _| put(object, tags::RESCALE_SLOPE, "1.4")),
    ("cut off", |pixels, _, _| pixels[WIDE * WIDE / 2..].fill(0)),
    ("of another place", |pixels, _, elsewhere| *pixels = stored(&open_file(elsewhere).unwrap())),
    ("upside down", |pixels, _, _| pixels.reverse()),
    ("table moved", |pixels, _, _| pixels.rotate_right(WIDE * 12)),
    ("another exposure", |pixels, _, _| {
        let mut state = 7u64;
        for value in pixels.iter_mut() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *value += ((state >> 33) % 500) as i16 - 250;
        }
    }),
    ("shown in a window", |pixels, _, _| {
        let soft = pixels[WIDE * WIDE / 2 + WIDE / 8];
        pixels.iter_mut().for_each(|v| *v = (*v).clamp(soft - 200, soft + 200));
    }),
    ("text burnt in", |pixels, _, _| {
        for line in 0..6 {
            for y in 0..9 {
                for x in (0..200).filter(|x| x % 5 < 3) {
                    pixels[(20 + line * 14 + y) * WIDE + 20 + x] = 3000;
                }
            }
        }
    }),
];

fn put(object: &mut DefaultDicomObject, tag: dicom_core::Tag, value: &str) {
    object.put(DataElement::new(tag, VR::DS, PrimitiveValue::from(value)));
}

fn file(folder: &Path, slice: usize) -> std::path::PathBuf {
    folder.join(format!("CT/{:05}.dcm", slice + 1))
}

fn stored(object: &DefaultDicomObject) -> Vec<i16> {
    let bytes = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn lungs_ml(series: &Series) -> Option<f64> {
    match &series.findings.as_ref()?.lungs {
        Evaluated::Done(lungs) => Some(lungs.iter().map(|lung| lung.volume_ml).sum()),
        Evaluated::NotEvaluated(_) => None,
    }
}

/// Every lesion, by its finding.
fn lesions(series: &Series) -> Vec<(&'static str, [f64; 3])> {
    let Some(findings) = &series.findings else { return Vec::new() };
    let each = |(name, places): (&'static str, Result<Vec<&Lesion>, &str>)| {
        places.unwrap_or_default().into_iter().map(move |lesion| (name, lesion.centre_mm)).collect::<Vec<_>>()
    };
    findings.places().into_iter().flat_map(each).collect()
}

/// Lesions of the good scan that this one lacks.
fn lost(good: &Series, series: &Series) -> Vec<(&'static str, [f64; 3])> {
    let now = lesions(series);
    let near = |a: &[f64; 3], b: &[f64; 3]| (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt() < 5.0;
    let is_there = |(name, at): &(&str, [f64; 3])| now.iter().any(|(other, place)| name == other && near(at, place));
    lesions(good).into_iter().filter(|lesion| !is_there(lesion)).collect()
}

/// In one of the lists of slices: "slice 50 ...", "slices 50, 75 and 100 ...", "(number 50)".
fn is_named(verdict: &str, number: &str) -> bool {
    let in_list = |list: &str| {
        let end = list.find(|c: char| !c.is_ascii_digit() && !", and".contains(c)).unwrap_or(list.len());
        list[..end].split(|c: char| !c.is_ascii_digit()).any(|word| word == number)
    };
    ["slice ", "slices ", "number "].iter().any(|word| verdict.split(word).skip(1).any(in_list))
}

#[test]
fn a_phantom_with_each_of_twelve_kinds_of_bad_slice_is_read_without_it_and_the_slice_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { columns: WIDE, rows: WIDE, pixel_mm: 1.48, ..Options::default() };
    let (study, _) = Phantom::chest(7, &options).unwrap();
    study.write_to(folder.path()).unwrap();
    let packages = tools::workspace().join("models/packages");
    let good = analyse(folder.path(), &packages, None).unwrap();
    println!("good: {}", good.verdict);
    let whole_ml = lungs_ml(&good).unwrap_or_else(|| panic!("no lungs: {}", good.verdict));

    let mut wrong = Vec::new();
    for kinds in KINDS.chunks(BAD.len()) {
        let mut bad = Vec::new();
        for ((kind, spoil), slice) in kinds.iter().zip(BAD) {
            let path = file(folder.path(), slice);
            let before = std::fs::read(&path).unwrap();
            let mut object = open_file(&path).unwrap();
            let number = object.element(tags::INSTANCE_NUMBER).unwrap().to_str().unwrap().trim().to_owned();
            let mut pixels = stored(&object);
            spoil(&mut pixels, &mut object, &file(folder.path(), slice + 60));
            let bytes: Vec<u8> = pixels.iter().flat_map(|value| value.to_le_bytes()).collect();
            object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(bytes)));
            object.write_to_file(&path).unwrap();
            bad.push((*kind, number, path, before));
        }
        let series = analyse(folder.path(), &packages, None).unwrap();
        println!("{}: {}", kinds.iter().map(|(kind, _)| *kind).collect::<Vec<_>>().join(", "), series.verdict);
        for (kind, number, path, before) in bad {
            std::fs::write(path, before).unwrap();
            if !is_named(&series.verdict, &number) {
                wrong.push(format!("{kind}: slice {number} is not named: {}", series.verdict));
            }
        }
        let ml = lungs_ml(&series);
        let lost = lost(&good, &series);
        if !ml.is_some_and(|ml| (ml / whole_ml - 1.0).abs() <= 0.02) || !lost.is_empty() {
            wrong.push(format!("{}: {whole_ml:.0} ml, {ml:?} ml, lost {lost:?}", series.verdict));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
