//! Tilt, missing and bad slices on the shared real chest CTs: lungs stay what they are, and what was left out is told.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use models::Volume;
use models::task::lungs;
use rayon::prelude::*;

use super::build::{self, Built};
use super::decode::decode_part10;
use super::{Slice, rescale, shear};

fn shared(name: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("SCANSIDE_SHARED").map_or_else(|| workspace.join("../shared"), PathBuf::from);
    let folder = shared.join("data").join(name);
    if !folder.is_dir() {
        needs::skip(needs::Lack::SharedData, "../shared/data not present");
        return None;
    }
    Some(folder)
}

/// Every slice in the folder, from the feet to the head.
fn slices(folder: &Path) -> Vec<Slice> {
    let files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let decode = |file: &PathBuf| {
        let bytes = std::fs::read(file).unwrap();
        let header = dicom::scan::scan(Cursor::new(&bytes)).ok()?.header;
        decode_part10(&header, &bytes).ok()
    };
    let mut all: Vec<Slice> = files.par_iter().filter_map(decode).flatten().collect();
    let z = |slice: &Slice| slice.geometry.position_mm.unwrap()[2];
    all.sort_by(|a, b| z(a).total_cmp(&z(b)));
    all
}

/// The same body by a field of view that drifts downwards, as that of a tilted gantry does; and the rows by which it drifts.
fn leaning(slices: &[Slice], degrees: f64) -> (Vec<Slice>, Vec<i64>) {
    let z = |slice: &Slice| slice.geometry.position_mm.unwrap()[2];
    let middle = z(&slices[slices.len() / 2]);
    let drift_mm = |slice: &Slice| (z(slice) - middle) * degrees.to_radians().tan();
    // What the images show is right to within half a pixel.
    let drift = |slice: &Slice| (drift_mm(slice) / slice.geometry.pixel_spacing_mm.unwrap()[0]).round() as i64;
    let drifts: Vec<i64> = slices.iter().map(drift).collect();
    let lean = |(slice, down): (&Slice, &i64)| {
        let (rows, columns) = (slice.geometry.rows as i64, slice.geometry.columns as usize);
        let mut moved = slice.clone();
        moved.geometry.position_mm = slice.geometry.position_mm.map(|[x, y, z]| [x, y + drift_mm(slice), z]);
        let row = |r: i64| {
            let from = Some(r + down).filter(|from| (0..rows).contains(from)).map(|from| from as usize * columns);
            from.map_or_else(|| vec![rescale::PADDING_HU; columns], |from| slice.hu[from..from + columns].to_vec())
        };
        moved.hu = (0..rows).flat_map(row).collect::<Vec<i16>>().into();
        moved
    };
    (slices.iter().zip(&drifts).map(lean).collect(), drifts)
}

fn ml(volume: &Volume) -> f64 {
    let examined = lungs::examine(volume).unwrap();
    assert_eq!(examined.lungs.len(), 2, "{:?}", examined.incomplete);
    examined.lungs.iter().map(|lung| lung.volume_ml).sum()
}

fn said(built: &Built) -> Vec<String> {
    built.remarks.iter().map(ToString::to_string).collect()
}

#[test]
fn lungs_of_a_real_chest_are_the_same_when_the_gantry_was_tilted_or_a_slice_is_bad() {
    let Some(folder) = shared("real/ct-midrc-1.25mm") else { return };
    let slices = slices(&folder);
    let whole = build::assemble(slices.clone()).unwrap();
    assert!(whole.back.is_same() && whole.remarks.is_empty(), "{:?}", said(&whole));
    let examined = lungs::examine(&whole.volume).unwrap();
    let whole_ml: f64 = examined.lungs.iter().map(|lung| lung.volume_ml).sum();
    let lung: usize = examined.lungs.iter().map(|lung| lung.mask.count()).sum();
    let is_lung = |at: [usize; 3]| examined.lungs.iter().any(|lung| lung.mask.contains(at));

    for degrees in [10.0, -8.0] {
        let (slices, drifts) = leaning(&slices, degrees);
        let built = build::assemble(slices).unwrap();
        let tilt = built.back.tilt.clone().unwrap();
        let found = lungs::examine(&built.volume).unwrap();
        let found_ml: f64 = found.lungs.iter().map(|lung| lung.volume_ml).sum();
        // On the slices as they were sent, brought to the slices before they were made to lean.
        let (mut back, mut both) = (0usize, 0usize);
        for mask in found.lungs.iter().map(|lung| shear::back(&lung.mask, &tilt)) {
            for ([x, y, z], row) in mask.rows() {
                let Ok(y) = usize::try_from(y as i64 + drifts[z]) else { continue };
                let set = (0..row.len()).filter(|i| row[*i] != 0);
                let seen = set.map(|i| usize::from(is_lung([x + i, y, z])));
                let (all, common) = seen.fold((0, 0), |(all, common), one| (all + 1, common + one));
                (back, both) = (back + all, both + common);
            }
        }
        let dice = 2.0 * both as f64 / (lung + back) as f64;
        println!("{degrees} degrees: {found_ml:.0} ml of {whole_ml:.0} ml, Dice {dice:.4}; {:?}", said(&built));
        assert!((found_ml / whole_ml - 1.0).abs() < 0.02, "{degrees} degrees: {found_ml} ml of {whole_ml} ml");
        assert!(dice > 0.98, "{degrees} degrees: {dice}");
        assert!(said(&built)[0].starts_with(&format!("the gantry was tilted by {:.1} degrees", degrees.abs())));
    }

    let mut gone = slices.clone();
    let number = gone.remove(120).geometry.number.unwrap();
    let built = build::assemble(gone).unwrap();
    let found_ml = ml(&built.volume);
    println!("missing: {found_ml:.0} ml of {whole_ml:.0} ml; {:?}", said(&built));
    assert!((found_ml / whole_ml - 1.0).abs() < 0.005 && said(&built)[0].contains("is missing"));

    let mut blank = slices.clone();
    blank[120].hu = vec![0; blank[120].hu.len()].into();
    let built = build::assemble(blank).unwrap();
    let found_ml = ml(&built.volume);
    println!("blank: {found_ml:.0} ml of {whole_ml:.0} ml; {:?}", said(&built));
    assert!((found_ml / whole_ml - 1.0).abs() < 0.005);
    assert!(said(&built)[0].starts_with(&format!("slice {number} (")) && said(&built)[0].contains("shows nothing"));

    let gap: Vec<Slice> =
        slices.iter().enumerate().filter(|(i, _)| !(70..75).contains(i)).map(|(_, s)| s.clone()).collect();
    let built = build::assemble(gap).unwrap();
    let part = lungs::examine(&built.volume).unwrap();
    println!("gap: {:?}; incomplete {:?}", said(&built), part.incomplete.as_ref().map(ToString::to_string));
    assert_eq!(built.volume.geometry.dims[2], slices.len() - 75);
    assert!(said(&built)[0].starts_with("not analysed: 70 of 243 slices"), "{:?}", said(&built));
    assert!(part.incomplete.is_some(), "the bases were not seen");
}

#[test]
fn a_slice_that_is_missing_among_thick_ones_cuts_the_series() {
    let Some(folder) = shared("ct-chest-philips-5mm") else { return };
    let mut slices = slices(&folder);
    let total = slices.len();
    slices.remove(56);
    let built = build::assemble(slices).unwrap();
    println!("{:?}", said(&built));
    assert_eq!(built.volume.geometry.dims[2], 56);
    assert_eq!(said(&built).len(), 1);
    assert!(said(&built)[0].starts_with(&format!("not analysed: {} of {} slices", total - 57, total - 1)));
}

#[test]
fn a_word_over_one_slice_of_a_real_chest_is_named_and_bone_is_not_taken_for_one() {
    for name in ["real/ct-midrc-1.25mm", "ct-chest-philips-5mm", "ct-chest-siemens-b40f"] {
        let Some(folder) = shared(name) else { return };
        let slices = slices(&folder);
        let word = |built: &Built| said(built).iter().any(|remark| remark.contains("text or marks burnt in"));
        assert!(!word(&build::assemble(slices.clone()).unwrap()), "{name}: {:?}", name);
        // Far enough from the middle that more than half of a thick series is left.
        for (at, value) in [(slices.len() / 6, 1500), (slices.len() - 3, 3071)] {
            let mut written = slices.clone();
            let columns = written[at].geometry.columns as usize;
            let mut hu = written[at].hu.to_vec();
            // Three upright strokes and a bar, each two pixels wide.
            let [middle_y, middle_x] = [written[at].geometry.rows as usize / 2, columns / 2];
            for (y, x) in (0..14).flat_map(|y| (0..20).map(move |x| (y, x))).filter(|(y, x)| x % 9 < 2 || *y < 2) {
                hu[(middle_y + y) * columns + middle_x + x] = value;
            }
            written[at].hu = hu.into();
            match build::assemble(written) {
                Ok(built) => assert!(word(&built), "{name}, slice {at}: {:?}", said(&built)),
                Err(refusal) => panic!("{name}, slice {at}: {refusal}"),
            }
        }
    }
}
