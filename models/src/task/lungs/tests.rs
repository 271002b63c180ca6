//! Lungs on a chest of ellipsoids.

use super::*;
use crate::testing::{CORONAL, Chest, FEET_FIRST, PRONE, SUPINE};

fn lungs(chest: &Chest) -> Vec<Lung> {
    segment(&chest.volume()).unwrap()
}

fn near(found: f64, want: f64, share: f64) -> bool {
    (found - want).abs() <= want * share
}

/// Share of the voxels for which `wanted` holds that are in any lung's mask.
fn covered(volume: &Volume, lungs: &[Lung], wanted: impl Fn([f64; 3]) -> bool) -> f64 {
    let [nx, ny, nz] = volume.geometry.dims;
    let (mut inside, mut all) = (0usize, 0usize);
    for z in 0..nz {
        for y in 0..ny {
            for x in 0..nx {
                if wanted(volume.geometry.to_patient([x as f64, y as f64, z as f64])) {
                    all += 1;
                    inside += usize::from(lungs.iter().any(|l| l.mask.contains([x, y, z])));
                }
            }
        }
    }
    assert!(all > 0, "nothing is wanted");
    inside as f64 / all as f64
}

#[test]
fn volumes_are_right_within_three_percent_however_the_patient_lies() {
    for axes in [SUPINE, PRONE, FEET_FIRST, CORONAL] {
        let chest = Chest { axes, ..Chest::default() };
        let volume = chest.volume();
        let found = segment(&volume).unwrap();
        assert_eq!(found.iter().map(|l| l.side).collect::<Vec<_>>(), [Side::Right, Side::Left], "{axes:?}");
        for lung in &found {
            assert!(near(lung.volume_ml, Chest::lung_ml(), 0.03), "{axes:?} {} {}", lung.volume_ml, Chest::lung_ml());
            assert!((-860.0..-820.0).contains(&lung.mean_hu), "{}", lung.mean_hu);
            assert!(lung.laa950_percent.unwrap() < 2.0);
            // The right lung lies at smaller x.
            let wanted = if lung.side == Side::Right { -1 } else { 1 };
            let own = covered(&volume, std::slice::from_ref(lung), |p| chest.in_lung(p) == Some(wanted));
            assert!(own > 0.97, "{axes:?} {:?} {own}", lung.side);
        }
    }
}

#[test]
fn anisotropic_voxels_change_nothing() {
    for spacing_mm in [[0.9, 0.9, 5.0], [1.3, 1.1, 1.2]] {
        for lung in lungs(&Chest { spacing_mm, ..Chest::default() }) {
            assert!(near(lung.volume_ml, Chest::lung_ml(), 0.03), "{spacing_mm:?} {}", lung.volume_ml);
        }
    }
}

#[test]
fn trachea_and_main_bronchi_outside_the_lungs_are_not_lung() {
    let chest = Chest::default();
    let volume = chest.volume();
    let found = segment(&volume).unwrap();
    assert!(covered(&volume, &found, |p| chest.in_airway(p) && chest.in_lung(p).is_none()) < 0.02);
}

#[test]
fn nodules_are_inside_the_mask_also_at_the_pleura() {
    // A ball of 10 mm sinks a little into the mouth that a pleural nodule makes in the lung's surface.
    let cases = [([-70.0, 10.0, 0.0], 9.0, 0.99), ([117.0, 0.0, 0.0], 8.0, 0.75), ([70.0, 76.0, 10.0], 5.0, 0.65)];
    for (centre, radius, wanted) in cases {
        let chest = Chest { nodules: vec![(centre, radius)], ..Chest::default() };
        let volume = chest.volume();
        let found = segment(&volume).unwrap();
        let in_nodule = |p: [f64; 3]| (0..3).map(|a| (p[a] - centre[a]).powi(2)).sum::<f64>() < radius * radius;
        let share = covered(&volume, &found, |p| in_nodule(p) && chest.in_lung(p).is_some());
        assert!(share > wanted, "{centre:?}: {share}");
    }
}

#[test]
fn lungs_that_touch_are_separated_where_they_touch() {
    let found = lungs(&Chest { apart_mm: 51.0, ..Chest::default() });
    for lung in &found {
        assert!(near(lung.volume_ml, Chest::lung_ml(), 0.04), "{:?} {}", lung.side, lung.volume_ml);
    }
}

#[test]
fn the_emphysema_index_counts_voxels_below_950() {
    let mut volume = Chest::default().volume();
    for slice in &mut volume.slices {
        *slice = slice.iter().enumerate().map(|(i, v)| if *v == -850 && i % 4 == 0 { -970 } else { *v }).collect();
    }
    for lung in segment(&volume).unwrap() {
        assert!((lung.laa950_percent.unwrap() - 25.0).abs() < 1.5, "{:?}", lung.laa950_percent);
    }
}

#[test]
fn what_is_no_chest_is_refused() {
    let mut volume = Chest::default().volume();
    volume.slices = volume.slices.iter().map(|s| s.iter().map(|v| if *v < -100 { 40 } else { *v }).collect()).collect();
    let reason = segment(&volume).unwrap_err().to_string();
    assert!(reason.starts_with("lungs not evaluated: "), "{reason}");
    volume.slices = volume.slices.iter().map(|s| s.iter().map(|_| -1000).collect()).collect();
    assert!(segment(&volume).is_err());
}

#[test]
fn lungs_that_go_on_beyond_the_scan_are_not_measured_but_masked() {
    for (z_mm, word) in [([0.0, 126.0], "lower end"), ([-120.0, 10.0], "upper end")] {
        for axes in [SUPINE, FEET_FIRST] {
            let volume = Chest { z_mm, axes, ..Chest::default() }.volume();
            assert!(segment(&volume).unwrap_err().to_string().contains(word));
            assert_eq!(examine(&volume).unwrap().lungs.len(), 2);
        }
    }
}

/// A head with its sinuses and throat, a scan of the abdomen that shows the bases.
#[test]
fn the_reason_is_what_a_person_sees_first() {
    let why = |chest: &Chest| segment(&chest.volume()).unwrap_err().reason;
    assert_eq!(why(&Chest { z_mm: [-220.0, -60.0], ..Chest::default() }), Reason::OnlyBases);
    assert_eq!(why(&Chest { z_mm: [60.0, 220.0], ..Chest::default() }), Reason::OnlyApices);
    assert_eq!(why(&Chest { z_mm: [-60.0, 60.0], ..Chest::default() }), Reason::ScanEndsBoth);
    let mut head = Chest { z_mm: [110.0, 260.0], ..Chest::default() }.volume();
    let geometry = head.geometry.clone();
    let [nx, ..] = geometry.dims;
    for (z, slice) in head.slices.iter_mut().enumerate() {
        let sinus = |i: usize| {
            let p = geometry.to_patient([(i % nx) as f64, (i / nx) as f64, z as f64]);
            [-20.0, 20.0].iter().any(|x| ((p[0] - x) / 15.0).powi(2) + ((p[1] + 60.0) / 15.0).powi(2) < 1.0)
                && p[2] > 200.0
        };
        *slice = slice.iter().enumerate().map(|(i, hu)| if sinus(i) { -900 } else { *hu }).collect();
    }
    let said = segment(&head).unwrap_err();
    assert!(said.to_string().starts_with("lungs not evaluated: no lungs in this scan ("), "{said}");
}

#[test]
fn lungs_cut_by_the_edge_of_the_image_are_refused() {
    // The lateral third of both lungs is outside the field of view in some slices.
    for half_width_mm in [100.0, 116.0] {
        let cut = segment(&Chest { half_width_mm, ..Chest::default() }.volume());
        assert_eq!(cut.unwrap_err().reason, Reason::LungsAtEdge, "{half_width_mm}");
    }
}

/// A pad, a blanket, what lies between arm and trunk: as light as lung, in the corners of the body's box.
#[test]
fn what_is_as_light_as_lung_outside_the_skin_is_no_lung_that_was_cut_off() {
    let mut volume = Chest::default().volume();
    let geometry = volume.geometry.clone();
    let [nx, ..] = geometry.dims;
    for (z, slice) in volume.slices.iter_mut().enumerate() {
        let beside = |i: usize| {
            let p = geometry.to_patient([(i % nx) as f64, (i / nx) as f64, z as f64]);
            let from_middle = (p[0] / 150.0).hypot(p[1] / 105.0);
            p[0].abs() < 150.0 && p[1].abs() < 104.0 && (1.03..1.2).contains(&from_middle)
        };
        *slice = slice.iter().enumerate().map(|(i, hu)| if beside(i) { -780 } else { *hu }).collect();
    }
    let found = examine(&volume).unwrap();
    assert!(!found.cuts.edge, "taken for lung that was cut off");
    for lung in &found.lungs {
        assert!(near(lung.volume_ml, Chest::lung_ml(), 0.03), "{}", lung.volume_ml);
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let volume = Chest { nodules: vec![([-70.0, 0.0, 0.0], 8.0)], apart_mm: 51.0, ..Chest::default() }.volume();
    let on = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| segment(&volume).unwrap())
    };
    assert_eq!(on(1), on(5));
}
