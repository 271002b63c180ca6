//! Promise 2, verdict, on real chests: each of the nine findings is evaluated or says why it is not. Whether the
//! network finds the tumours that radiologists marked is printed but not tested, because it was trained on phantoms
//! only.

use std::path::Path;

use dicom_dictionary_std::tags;
use hil_tests::compare::Evaluated;
use hil_tests::evaluation::analyse::{Series, analyse};
use hil_tests::evaluation::read::Lesion;
use hil_tests::tools;

/// A tumour on one slice, mm, LPS.
#[derive(Debug)]
struct Tumour {
    low: [f64; 2],
    high: [f64; 2],
    z: f64,
    slice_mm: f64,
}

impl Tumour {
    fn holds(&self, at: [f64; 3]) -> bool {
        (0..2).all(|a| (self.low[a]..=self.high[a]).contains(&at[a])) && (at[2] - self.z).abs() <= self.slice_mm
    }
}

#[test]
fn each_of_the_nine_is_evaluated_or_gated_with_its_reason_and_lungs_and_lobes_are_plausible() {
    let Some(data) = tools::shared("data") else { return };
    let packages = tools::workspace().join("models/packages");
    for name in ["ct-chest-philips-5mm", "ct-chest-siemens-b40f"] {
        let series = analyse(&data.join(name), &packages, None).unwrap();
        println!("{name}: {}", series.verdict);
        judge(&series);
        let tumours = tumours(&data.join(name), &data.join(format!("{name}-boxes")));
        report(&series, &tumours);
    }
}

fn judge(series: &Series) {
    let findings = series.findings.as_ref().unwrap();
    let Evaluated::Done(lungs) = &findings.lungs else { panic!("no lungs: {}", series.verdict) };
    assert!(lungs.len() == 2 && lungs.iter().all(|l| (1000.0..4000.0).contains(&l.volume_ml)), "{lungs:?}");
    let Evaluated::Done(lobes) = &findings.lobes else { panic!("no lobes: {}", series.verdict) };
    let whole: f64 = lobes.iter().map(|l| l.volume_ml).sum();
    // Percent of both lungs: the middle lobe has about 8 to 10 %, each of the others 15 to 30 % (Yamada, Radiol Res
    // Pract 2020).
    let share = |name: &str| lobes.iter().find(|l| l.name == name).unwrap().volume_ml / whole;
    assert!((0.03..0.20).contains(&share("right_middle")), "{lobes:?}");
    for name in ["right_upper", "right_lower", "left_upper", "left_lower"] {
        assert!((0.10..0.40).contains(&share(name)), "{lobes:?}");
    }
    for (finding, outcome) in findings.places() {
        match outcome {
            Ok(places) => println!("  {finding}: evaluated, {} found", places.len()),
            Err(why) => {
                println!("  {why}");
                let reason = why.strip_prefix(&format!("{finding} not evaluated: ")).unwrap_or_else(|| panic!("{why}"));
                assert!(reason.contains(' '), "no reason in words: {why}");
            }
        }
    }
}

fn report(series: &Series, tumours: &[Tumour]) {
    let findings = series.findings.as_ref().unwrap();
    for (finding, outcome) in findings.places() {
        let Ok(places) = outcome else { continue };
        let inside = |lesion: &&&Lesion| tumours.iter().any(|t| t.holds(lesion.centre_mm));
        let within = places.iter().filter(inside).count();
        println!("  {finding}: {within} of {} found lie in the tumour ({} boxes)", places.len(), tumours.len());
    }
}

/// The boxes of a folder: one XML file for each slice, named by its SOP Instance UID.
fn tumours(series: &Path, boxes: &Path) -> Vec<Tumour> {
    let slices = std::fs::read_dir(series).unwrap().map(|e| dicom_object::open_file(e.unwrap().path()).unwrap());
    let found: Vec<Tumour> = slices
        .filter_map(|slice| {
            let uid =
                slice.element(tags::SOP_INSTANCE_UID).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned();
            let text = std::fs::read_to_string(boxes.join(format!("{uid}.xml"))).ok()?;
            let numbers = |tag| slice.element(tag).unwrap().to_multi_float64().unwrap();
            let (origin, spacing) = (numbers(tags::IMAGE_POSITION_PATIENT), numbers(tags::PIXEL_SPACING));
            let slice_mm = slice.element(tags::SLICE_THICKNESS).unwrap().to_float64().unwrap();
            let edge = |name: &str| {
                let start = text.find(&format!("<{name}>"))? + name.len() + 2;
                text[start..].split('<').next()?.trim().parse::<f64>().ok()
            };
            // In both scans columns run along x and rows along y.
            let corner = |x: f64, y: f64| [origin[0] + x * spacing[1], origin[1] + y * spacing[0]];
            let (low, high) = (corner(edge("xmin")?, edge("ymin")?), corner(edge("xmax")?, edge("ymax")?));
            Some(Tumour { low, high, z: origin[2], slice_mm })
        })
        .collect();
    assert!(!found.is_empty(), "no box belongs to a slice of {}", series.display());
    found
}
