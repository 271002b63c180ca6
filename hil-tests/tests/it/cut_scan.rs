//! Nothing is called absent of an organ that was not seen whole, and what the end of a scan cuts is no nodule: phantoms
//! of which a part was not scanned, with the engine and the package that ship.

use std::ops::Range;
use std::path::Path;

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, open_file};
use hil_tests::compare::Evaluated;
use hil_tests::evaluation::analyse::{Series, analyse};
use hil_tests::tools;
use phantom::{Options, Phantom, Truth};

/// Columns and rows: half of the usual, so that it is quick.
const WIDE: usize = 256;
const SLICES: usize = 220;

/// The middle `kept` columns and rows of an image.
fn crop(object: &mut DefaultDicomObject, kept: usize) {
    let cut = (WIDE - kept) / 2;
    let bytes = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    let rows = (cut..cut + kept).flat_map(|y| bytes[2 * (y * WIDE + cut)..2 * (y * WIDE + cut + kept)].to_vec());
    let pixels: Vec<u8> = rows.collect();
    let numbers = |tag| object.element(tag).unwrap().to_multi_float64().unwrap();
    let (position, spacing) = (numbers(tags::IMAGE_POSITION_PATIENT), numbers(tags::PIXEL_SPACING));
    let moved = format!(
        "{:.3}\\{:.3}\\{:.3}",
        position[0] + cut as f64 * spacing[1],
        position[1] + cut as f64 * spacing[0],
        position[2]
    );
    object.put(DataElement::new(tags::IMAGE_POSITION_PATIENT, VR::DS, PrimitiveValue::from(moved)));
    for tag in [tags::ROWS, tags::COLUMNS] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(kept as u16)));
    }
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(pixels)));
}

/// The scan with these slices (from the head) and so many columns and rows.
fn scanned(whole: &Path, slices: Range<usize>, kept: usize) -> Series {
    let part = tempfile::tempdir().unwrap();
    for slice in slices {
        let name = format!("CT/{:05}.dcm", slice + 1);
        let mut object = open_file(whole.join(&name)).unwrap();
        if kept < WIDE {
            crop(&mut object, kept);
        }
        object.write_to_file(part.path().join(format!("{slice}.dcm"))).unwrap();
    }
    analyse(part.path(), &tools::workspace().join("models/packages"), None).unwrap()
}

/// What is wrong with the answer about a part of a scan: an absence that was not seen, measured lungs, an invented nodule.
fn faults(series: &Series, truth: &Truth, whole: &[[f64; 3]], reason: &str, still_absent: &[&str]) -> Vec<String> {
    println!("{}", series.verdict);
    let Some(findings) = &series.findings else { return vec![format!("refused: {}", series.verdict)] };
    let mut wrong = Vec::new();
    match &findings.lungs {
        Evaluated::NotEvaluated(why) if why.ends_with(reason) => {}
        other => wrong.push(format!("the lungs: {other:?}")),
    }
    for (finding, places) in findings.places() {
        match places {
            Ok(places) if places.is_empty() && !still_absent.contains(&finding) => {
                wrong.push(format!("no {finding} is said"));
            }
            Err(why) if !why.ends_with(reason) => wrong.push(format!("another reason: {why}")),
            _ => {}
        }
    }
    // What the whole scan shows, rightly or wrongly, the cut has not invented.
    let near = |one: [f64; 3], at: [f64; 3]| (0..3).map(|a| (one[a] - at[a]).powi(2)).sum::<f64>() < 100.0;
    let planted = |at: [f64; 3]| {
        truth.nodules.iter().any(|nodule| near(nodule.centre_mm, at)) || whole.iter().any(|one| near(*one, at))
    };
    let nodules = findings.places()[0].1.clone().unwrap_or_default();
    let sure = nodules.iter().filter(|nodule| nodule.confidence > 0.85 && !planted(nodule.centre_mm));
    wrong.extend(sure.map(|nodule| format!("an invented nodule: {nodule:?}")));
    wrong
}

#[test]
fn a_phantom_that_was_not_scanned_whole_says_nothing_of_what_was_not_seen() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { columns: WIDE, rows: WIDE, pixel_mm: 1.48, ..Options::default() };
    let (study, truth) = Phantom::chest(7, &options).unwrap();
    study.write_to(folder.path()).unwrap();
    let all = scanned(folder.path(), 0..SLICES, WIDE).findings.unwrap();
    let whole: Vec<_> = all.places()[0].1.clone().unwrap().iter().map(|nodule| nodule.centre_mm).collect();
    let of = |slices: Range<usize>, kept: usize, reason: &str, still_absent: &[&str]| -> Vec<String> {
        let series = scanned(folder.path(), slices, kept);
        faults(&series, &truth, &whole, reason, still_absent).iter().map(|fault| format!("{reason}: {fault}")).collect()
    };
    let mut wrong = Vec::new();
    // 237 mm instead of 379 mm.
    wrong.extend(of(0..SLICES, 160, "the lungs reach the edge of the image", &[]));
    let bases = &["pleural effusion"];
    wrong.extend(of(100..SLICES, WIDE, "the scan ends inside the lungs, at its upper end", bases));
    wrong.extend(of(60..170, WIDE, "the scan ends inside the lungs, at both ends", &[]));
    wrong.extend(of(0..130, WIDE, "the scan ends inside the lungs, at its lower end", &[]));
    wrong.extend(of(0..75, WIDE, "the scan ends inside the lungs, at its lower end", &[]));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
