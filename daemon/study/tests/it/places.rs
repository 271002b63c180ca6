//! Every finding has its place: the anatomy of the shared real chest CTs, as facts and as pictures to look at.

use std::fs;
use std::path::{Path, PathBuf};

use models::Volume;
use models::task::ct_chest::places::{self, Bits, Places};
use models::task::lungs;
use study::volume::{Slice, build};

use crate::golden_pixels::{decoded, shared_data};

/// The volume of all images below the folder.
fn volume(folder: &Path) -> Volume {
    let files = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let slices: Vec<Slice> = files.filter_map(|file| decoded(&file).ok()?.1.ok()).flatten().collect();
    build::assemble(slices).unwrap().volume
}

/// In the order in which they are painted.
const COLOURS: [(Bits, [u8; 3]); 8] = [
    (places::PLEURA, [40, 60, 120]),
    (places::BETWEEN, [120, 60, 120]),
    (places::HEART, [170, 50, 80]),
    (places::SPINE, [150, 150, 40]),
    (places::FILLED_LUNG, [0, 130, 160]),
    (places::LUNG, [0, 160, 0]),
    (places::RIB, [255, 140, 0]),
    (places::GAS, [255, 0, 0]),
];

/// 18 axial slices from the feet to the head, half size, with each place in its colour.
fn picture(volume: &Volume, places: &Places, path: &Path) {
    let [nx, ny, nz] = volume.geometry.dims;
    let (w, h) = (nx / 2, ny / 2);
    let (columns, rows) = (6, 3);
    let mut rgb = vec![0u8; w * columns * h * rows * 3];
    for tile in 0..columns * rows {
        let z = tile * (nz - 1) / (columns * rows - 1);
        for i in 0..w * h {
            let at = [i % w * 2, i / w * 2, z];
            let hu = f64::from(volume.row(at, 1)[0]);
            let grey = ((hu + 1000.0) / 1400.0 * 255.0).clamp(0.0, 255.0);
            let bits = places.at(at);
            let colour = COLOURS.iter().rev().find(|(bit, _)| bits & bit != 0).map(|(_, colour)| colour);
            let to = ((tile / columns * h + i / w) * w * columns + tile % columns * w + i % w) * 3;
            for c in 0..3 {
                let value = colour.map_or(grey, |colour| 0.6 * grey + 0.4 * f64::from(colour[c]));
                rgb[to + c] = value.round() as u8;
            }
        }
    }
    let file = fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, (w * columns) as u32, (h * rows) as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&rgb).unwrap();
}

/// What a person sees in the scan: the places at some voxels (column, row, slice from the feet).
struct Seen {
    folder: &'static str,
    /// Litres of both lungs, by eye and by threshold.
    lungs_l: std::ops::Range<f64>,
    facts: &'static [([usize; 3], Bits, Bits)],
}

const NOT: Bits = 0;

const SEEN: [Seen; 3] = [
    Seen {
        folder: "real/ct-midrc-1.25mm",
        lungs_l: 2.3..3.0,
        facts: &[
            // The stomach's gas, its fluid level, and what lies below that.
            ([340, 170, 14], places::GAS, places::LUNG | places::FILLED_LUNG),
            ([340, 170, 2], places::GAS, places::LUNG | places::FILLED_LUNG),
            ([390, 192, 43], places::GAS, places::LUNG),
            // Left lung beside the heart, right lung, consolidated lung at the right base, which air does not show.
            ([440, 250, 86], places::LUNG, places::GAS),
            ([100, 250, 86], places::LUNG, places::GAS),
            ([130, 314, 87], places::PLEURA, places::GAS | places::RIB),
        ],
    },
    Seen {
        folder: "ct-chest-philips-5mm",
        lungs_l: 4.8..5.8,
        // The mass beside the aorta, and a vertebra.
        facts: &[
            ([310, 360, 44], places::FILLED_LUNG, places::GAS | places::RIB),
            ([255, 385, 30], places::SPINE, places::RIB | places::HEART),
        ],
    },
    Seen {
        folder: "ct-chest-siemens-b40f",
        lungs_l: 2.3..3.1,
        // The mass in the right lung, gas of the stomach.
        facts: &[
            ([190, 300, 13], places::FILLED_LUNG, places::GAS | places::RIB),
            ([318, 118, 1], places::GAS, places::LUNG | places::FILLED_LUNG),
        ],
    },
];

#[test]
fn every_place_of_the_real_chests_is_where_a_person_sees_it() {
    let Some(data) = shared_data() else { return };
    let mut wrong = Vec::new();
    for seen in SEEN {
        let volume = volume(&data.join(seen.folder));
        let begun = std::time::Instant::now();
        let examined = lungs::examine(&volume).unwrap();
        let litres: f64 = examined.lungs.iter().map(|lung| lung.volume_ml / 1000.0).sum();
        let between = begun.elapsed();
        let places = Places::of(examined.ground, false);
        println!("{}: lungs {between:.1?}, places {:.1?}", seen.folder, begun.elapsed() - between);
        let name = format!("places-{}.png", seen.folder.replace('/', "-"));
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        picture(&volume, &places, &path);
        println!("{}: lungs {litres:.2} l, incomplete {:?}; {}", seen.folder, examined.incomplete, path.display());
        if !seen.lungs_l.contains(&litres) {
            wrong.push(format!("{}: lungs of {litres:.2} l", seen.folder));
        }
        for (at, is, is_not) in seen.facts {
            let bits = places.at(*at);
            if bits & is == NOT || bits & is_not != NOT {
                wrong.push(format!("{} {at:?}: {bits:#b}, not {is:#b} without {is_not:#b}", seen.folder));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
