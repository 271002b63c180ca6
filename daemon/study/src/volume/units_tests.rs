//! What is no Hounsfield unit is refused by its name; what is one stays.

use std::sync::Arc;

use models::Geometry;

use crate::volume::Slice;
use crate::volume::build::assemble;
use crate::volume::geometry::SliceGeometry;

use super::*;

fn said(image_type: &str, rescale_type: &str) -> Said {
    Said {
        image_type: image_type.split('\\').map(str::to_owned).collect(),
        rescale_type: rescale_type.into(),
        has_rescale: true,
        ..Said::default()
    }
}

fn quantity(said: &Said) -> Option<Quantity> {
    match units(said) {
        Units::Other { quantity, .. } => Some(quantity),
        _ => None,
    }
}

#[test]
fn a_ct_in_hounsfield_units_is_taken_whoever_made_it() {
    for image_type in [
        "",
        "ORIGINAL\\PRIMARY\\AXIAL",
        "ORIGINAL\\PRIMARY\\AXIAL\\HELIX",
        "ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI",
        "ORIGINAL\\SECONDARY\\AXIAL\\CT_SOM5 SPI",
        "DERIVED\\PRIMARY\\AXIAL\\CT_SOM5 SPI DUAL",
        "DERIVED\\PRIMARY\\VOLUME\\NONE",
    ] {
        for rescale_type in ["", "HU", "HU "] {
            assert_eq!(units(&said(image_type, rescale_type)), Units::Hounsfield, "{image_type} {rescale_type}");
        }
    }
}

#[test]
fn another_quantity_is_known_by_its_rescale_type_or_its_image_type() {
    let by_type = [
        ("US", Quantity::Unknown),
        ("MGML", Quantity::Concentration),
        ("Z_EFF", Quantity::AtomicNumber),
        ("ED", Quantity::ElectronDensity),
        ("EDW", Quantity::ElectronDensity),
        ("HU_MOD", Quantity::Modified),
        ("PCT", Quantity::Map),
        ("OD", Quantity::Unknown),
    ];
    for (rescale_type, wanted) in by_type {
        assert_eq!(quantity(&said("ORIGINAL\\PRIMARY\\AXIAL", rescale_type)), Some(wanted), "{rescale_type}");
    }
    let by_image = [
        ("DERIVED\\PRIMARY\\AXIAL\\MAT_SPECIFIC", Quantity::Concentration),
        ("DERIVED\\SECONDARY\\AXIAL\\IODINE MAP", Quantity::Concentration),
        ("DERIVED\\PRIMARY\\AXIAL\\EFF_ATOMIC_NUM", Quantity::AtomicNumber),
        ("DERIVED\\PRIMARY\\AXIAL\\ELECTRON_DENSITY", Quantity::ElectronDensity),
        ("DERIVED\\PRIMARY\\AXIAL\\MAT_REMOVED", Quantity::Modified),
        ("DERIVED\\PRIMARY\\OTHER\\CT_SOM5 SPI\\VNC", Quantity::Modified),
        ("DERIVED\\SECONDARY\\AXIAL", Quantity::Derived),
    ];
    for (image_type, wanted) in by_image {
        assert_eq!(quantity(&said(image_type, "")), Some(wanted), "{image_type}");
    }
}

#[test]
fn a_virtual_monoenergetic_series_is_taken_at_about_70_kev_only() {
    let vmi = |kev, description: &str, image_type: &str| {
        units(&Said { kev, description: description.into(), ..said(image_type, "HU") })
    };
    let image_type = "DERIVED\\PRIMARY\\AXIAL\\VMI";
    assert_eq!(vmi(Some(70.0), "", image_type), Units::Hounsfield);
    assert_eq!(vmi(Some(40.0), "", image_type), Units::Monoenergetic { kev: Some(40.0) });
    assert_eq!(vmi(None, "", image_type), Units::Monoenergetic { kev: None }, "at which energy?");
    assert_eq!(vmi(None, "MonoE 65 keV", image_type), Units::Hounsfield);
    assert_eq!(vmi(None, "Thorax Mono+ 190keV", image_type), Units::Monoenergetic { kev: Some(190.0) });
    let axial = "ORIGINAL\\PRIMARY\\AXIAL";
    assert_eq!(vmi(None, "Thorax MonoE 50 keV", axial), Units::Monoenergetic { kev: Some(50.0) });
    assert_eq!(vmi(None, "Thorax 1.0 Br40", axial), Units::Hounsfield);
    assert_eq!(kev("keV"), None);
}

#[test]
fn without_a_rescale_a_modality_lut_is_named() {
    let raw = Said { has_rescale: false, ..said("", "") };
    assert_eq!(units(&raw), Units::Raw);
    assert_eq!(units(&Said { has_modality_lut: true, ..raw }), Units::ModalityLut);
    let slices = [(Units::Hounsfield, Some(1)), (Units::ModalityLut, Some(2))];
    let why = refusal(slices.iter().map(|(units, number)| (units, *number))).unwrap();
    assert_eq!(why, Refusal::ModalityLut { count: 1, total: 2 });
    assert_eq!(refusal(slices[..1].iter().map(|(units, number)| (units, *number))), None);
}

const WIDE: usize = 128;

/// A chest of 40 HU with lungs of -850 HU in air; noise; `change` makes its values others.
fn chest(change: impl Fn(f64, usize) -> f64) -> Volume {
    let mut state = 1u64;
    let slice = |z: usize| -> Arc<[i16]> {
        let values = (0..WIDE * WIDE).map(|i| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let noise = ((state >> 33) % 61) as f64 - 30.0;
            let [x, y] = [i % WIDE, i / WIDE].map(|v| v as f64 - 64.0);
            let hu = match (x / 50.0).hypot(y / 38.0) {
                r if r > 1.0 => -1000.0,
                _ if [-22.0, 22.0].iter().any(|c| ((x - c) / 15.0).hypot(y / 25.0) < 1.0) => -850.0,
                r if r > 0.9 => -100.0,
                _ => 40.0,
            };
            change(hu + noise, z * WIDE * WIDE + i).round().clamp(-32768.0, 32767.0) as i16
        });
        values.collect()
    };
    let geometry = Geometry {
        dims: [WIDE, WIDE, 24],
        spacing_mm: [3.0; 3],
        origin_mm: [0.0; 3],
        axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    };
    Volume { slices: (0..24).map(slice).collect(), geometry }
}

/// Outside the reconstructed circle.
fn outside(i: usize) -> bool {
    let [x, y] = [i % WIDE, i / WIDE % WIDE].map(|v| v as f64 - 64.0);
    x.hypot(y) > 62.0
}

#[test]
fn air_and_tissue_where_they_should_be_are_taken_whatever_lies_outside_the_circle() {
    assert_eq!(off_scale(&chest(|hu, _| hu)), None);
    assert_eq!(off_scale(&chest(|hu, _| hu.max(-1024.0))), None);
    for filler in [-3024.0, -2000.0, -1024.0, 0.0] {
        assert_eq!(off_scale(&chest(|hu, i| if outside(i) { filler } else { hu })), None, "{filler}");
    }
    // A small field of view within the body: no air of the room, and a spine without any lung.
    assert_eq!(off_scale(&chest(|hu, _| if hu < -950.0 { 40.0 } else { hu })), None);
    assert_eq!(off_scale(&chest(|hu, i| if hu < -500.0 { (i % 90) as f64 } else { hu })), None);
}

#[test]
fn an_intercept_applied_twice_or_not_at_all_is_measured() {
    let Some(Refusal::OffScale { shift: Shift::Twice, air_hu, tissue_hu }) = off_scale(&chest(|hu, _| hu - 1024.0))
    else {
        panic!()
    };
    assert!((air_hu + 2024.0).abs() < 30.0 && (tissue_hu + 984.0).abs() < 30.0, "{air_hu} {tissue_hu}");
    // Stored values are cut off at 0.
    let cut = off_scale(&chest(|hu, _| hu.max(-1024.0) - 1024.0));
    assert!(matches!(cut, Some(Refusal::OffScale { shift: Shift::Twice, .. })), "{cut:?}");
    let Some(Refusal::OffScale { shift: Shift::NotAtAll, air_hu, tissue_hu }) = off_scale(&chest(|hu, _| hu + 1024.0))
    else {
        panic!()
    };
    assert!((air_hu - 24.0).abs() < 30.0 && (tissue_hu - 1064.0).abs() < 30.0, "{air_hu} {tissue_hu}");
}

#[test]
fn a_map_with_a_background_of_nothing_is_no_ct() {
    let iodine = off_scale(&chest(|hu, i| if hu < -500.0 { 0.0 } else { (i % 40) as f64 }));
    assert_eq!(iodine, Some(Refusal::NoAirScale { background_hu: 0.0 }));
}

/// Whoever writes a CT anew with a common library calls it DERIVED\SECONDARY, or gives it a Rescale Type of "US".
#[test]
fn where_the_header_leaves_it_open_the_values_decide() {
    let doubtful = units(&said("DERIVED\\SECONDARY\\AXIAL", "US"));
    let certain = Units::Hounsfield;
    let doubt_of = |all: &[&Units]| doubt(all.iter().map(|units| (*units, None)));
    assert!(doubt_of(&[&doubtful, &doubtful]).is_some());
    assert_eq!(doubt_of(&[&doubtful, &certain]), None, "the doubtful slices of a series are left out as before");
    assert_eq!(doubt_of(&[&units(&said("", "MGML"))]), None, "another quantity is named");
    assert!(measures_as_hu(&chest(|hu, _| hu)));
    assert!(measures_as_hu(&chest(|hu, i| if outside(i) { -2000.0 } else { hu })));
    let grey = |low: f64, high: f64, to: f64| chest(move |hu, _| (hu.clamp(low, high) - low) / (high - low) * to);
    assert!(!measures_as_hu(&grey(-1350.0, 150.0, 255.0)), "a window of a screen");
    assert!(!measures_as_hu(&grey(-1000.0, 400.0, 1.0)), "scaled for a network");
    assert!(!measures_as_hu(&chest(|hu, _| hu + 1024.0)), "without its intercept");
    assert!(!measures_as_hu(&chest(|hu, i| if hu < -500.0 { 0.0 } else { (i % 40) as f64 })), "a map");
}

/// The slices of the chest, with these units each.
fn sent(units: &Units) -> Vec<Slice> {
    let volume = chest(|hu, _| hu);
    let slice = |(at, hu): (usize, &Arc<[i16]>)| Slice {
        sop_class_uid: String::new(),
        sop_instance_uid: at.to_string(),
        frame: None,
        geometry: SliceGeometry {
            position_mm: Some([0.0, 0.0, 3.0 * at as f64]),
            orientation: Some([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
            pixel_spacing_mm: Some([3.0, 3.0]),
            rows: WIDE as u32,
            columns: WIDE as u32,
            ..SliceGeometry::default()
        },
        units: units.clone(),
        hu: hu.clone(),
    };
    volume.slices.iter().enumerate().map(slice).collect()
}

#[test]
fn a_header_that_the_values_overrule_is_told() {
    let remarks = |units: &Units| assemble(sent(units)).unwrap().remarks;
    let doubtful = units(&said("DERIVED\\SECONDARY\\AXIAL", ""));
    assert_eq!(remarks(&doubtful), [Remark::Measured { said: "DERIVED\\SECONDARY".into() }]);
    assert_eq!(remarks(&units(&said("ORIGINAL\\PRIMARY", "US"))), [Remark::Measured { said: "US".into() }]);
    assert_eq!(remarks(&Units::Hounsfield), [], "nothing to tell of a clear header");
}
