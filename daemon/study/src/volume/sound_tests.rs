//! What is sound is read, and nothing is left out silently.

use proptest::prelude::*;

use super::*;
use crate::volume::units::Units;
use crate::volume::{Slice, build};

fn axial(positions: &[f64]) -> Vec<SliceGeometry> {
    let slice = |(i, mm): (usize, &f64)| SliceGeometry {
        position_mm: Some([-180.0, -200.0, *mm]),
        orientation: Some([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
        pixel_spacing_mm: Some([0.7, 0.7]),
        rows: 512,
        columns: 512,
        frame_of_reference_uid: Some("1.2.3".into()),
        number: Some(i as i64 + 1),
    };
    positions.iter().enumerate().map(slice).collect()
}

fn every(spacing: f64, count: usize) -> Vec<f64> {
    (0..count).map(|i| i as f64 * spacing).collect()
}

fn read(slices: &[SliceGeometry]) -> Result<Sound, Refusal> {
    sound(slices, &vec![None; slices.len()], None)
}

fn said(found: &Sound) -> Vec<String> {
    found.remarks.iter().map(ToString::to_string).collect()
}

#[test]
fn one_missing_slice_between_close_ones_is_filled_in_and_named() {
    let mut slices = axial(&every(1.25, 100));
    slices.remove(40);
    let found = read(&slices).unwrap();
    assert_eq!(found.arranged.geometry.dims[2], 100);
    assert!((found.arranged.geometry.spacing_mm[2] - 1.25).abs() < 1e-9);
    assert_eq!(found.arranged.filled, [40]);
    assert_eq!(found.arranged.order.len(), 99);
    assert_eq!(
        said(&found),
        [
            "the slice at z = 50.0 mm is missing: it was filled in from the slices beside it (2.5 mm apart), and what only it \
          shows is not seen"
        ]
    );
}

#[test]
fn a_bad_slice_is_named_by_its_number() {
    let slices = axial(&every(1.25, 100));
    let mut faults = vec![None; 100];
    faults[40] = Some(SliceFault::Blank);
    let refusal = Refusal::TooFew { count: 1, needed: 2 };
    let found = sound(&slices, &faults, Some(refusal.clone())).unwrap();
    assert_eq!((found.arranged.filled.as_slice(), found.arranged.order.contains(&40)), ([40].as_slice(), false));
    assert!(
        said(&found)[0].starts_with("slice 41 (z = 50.0 mm) shows nothing: it was filled in"),
        "{:?}",
        said(&found)
    );
    // At an end nothing is filled in.
    let mut faults = vec![None; 100];
    faults[99] = Some(SliceFault::Odd);
    let found = sound(&slices, &faults, Some(refusal.clone())).unwrap();
    assert_eq!((found.arranged.geometry.dims[2], found.arranged.filled.len()), (99, 0));
    assert_eq!(
        said(&found),
        ["not analysed: 1 of 100 slices, slice 100 (z = 123.8 mm): does not belong to those beside it"]
    );
    // More than a few: nothing is read.
    let faults: Vec<_> = (0..100).map(|i| (i % 10 == 5).then_some(SliceFault::Odd)).collect();
    assert_eq!(sound(&slices, &faults, Some(refusal.clone())), Err(refusal));
}

#[test]
fn a_wide_gap_cuts_the_series_and_the_rest_is_named() {
    let slices = axial(&every(5.0, 64));
    let faults: Vec<_> = (0..64).map(|i| (i == 50).then_some(SliceFault::Blank)).collect();
    let refusal = Refusal::TooFew { count: 1, needed: 2 };
    let found = sound(&slices, &faults, Some(refusal.clone())).unwrap();
    assert_eq!((found.arranged.geometry.dims[2], found.arranged.filled.len()), (50, 0));
    assert_eq!(
        said(&found),
        [
            "not analysed: 1 of 64 slices, slice 51 (z = 250.0 mm): shows nothing",
            "not analysed: 13 of 64 slices, slice 52 (z = 255.0 mm) to slice 64 (z = 315.0 mm): beyond a gap of 10.0 mm in \
             slices every 5.0 mm"
        ]
    );
    // In the middle neither half is the scan that was sent.
    let faults: Vec<_> = (0..64).map(|i| (i == 32).then_some(SliceFault::Blank)).collect();
    assert_eq!(sound(&slices, &faults, Some(refusal.clone())), Err(refusal));
}

#[test]
fn a_changed_increment_leaves_the_longer_part() {
    let mut positions = every(1.25, 160);
    positions.extend((1..=10).map(|i| 198.75 + 5.0 * i as f64));
    let found = read(&axial(&positions)).unwrap();
    assert_eq!((found.arranged.geometry.dims[2], found.arranged.geometry.spacing_mm[2]), (160, 1.25));
    assert_eq!(
        said(&found),
        [
            "not analysed: 10 of 170 slices, slice 161 (z = 203.8 mm) to slice 170 (z = 248.8 mm): spaced by 5.0 mm, those \
          analysed by 1.2 mm"
        ]
    );
}

#[test]
fn a_localiser_in_the_series_is_left_out_and_named() {
    let mut slices = axial(&every(2.5, 60));
    slices[59].orientation = Some([1.0, 0.0, 0.0, 0.0, 0.0, -1.0]);
    let found = read(&slices).unwrap();
    assert_eq!(found.arranged.geometry.dims[2], 59);
    assert!(said(&found)[0].ends_with("slice 60 (z = 147.5 mm): lies in another direction"), "{:?}", said(&found));
}

#[test]
fn what_is_uneven_throughout_or_doubled_is_refused_as_ever() {
    let drifting: Vec<f64> = (0..100).map(|i| i as f64 + 0.0008 * (i * i) as f64).collect();
    assert_eq!(read(&axial(&drifting)).unwrap_err().kind(), "uneven-spacing");
    let mut doubled = every(5.0, 20);
    doubled.extend(every(5.0, 20));
    assert_eq!(read(&axial(&doubled)).unwrap_err().kind(), "duplicate-position");
    // Every fifth slice is missing.
    let holes: Vec<f64> =
        every(1.0, 100).into_iter().enumerate().filter(|(i, _)| i % 5 != 3).map(|(_, mm)| mm).collect();
    assert_eq!(read(&axial(&holes)).unwrap_err().kind(), "missing-slices");
}

/// Slices that the remarks account for.
fn accounted(remarks: &[Remark]) -> usize {
    let count = |remark: &Remark| match remark {
        Remark::LeftOut { count, .. } => *count,
        Remark::FilledIn { fault, .. } if *fault != SliceFault::Missing => 1,
        _ => 0,
    };
    remarks.iter().map(count).sum()
}

proptest! {
    #[test]
    fn every_slice_is_read_or_told(
        count in 3usize..150, spacing in 0.5f64..6.0,
        bad in prop::collection::vec(0usize..150, 0..4), gone in prop::collection::vec(0usize..150, 0..4),
    ) {
        let mut slices = axial(&every(spacing, count));
        slices.retain(|slice| !gone.iter().any(|at| slice.number == Some(*at as i64)));
        let faults: Vec<_> = slices
            .iter()
            .map(|slice| bad.iter().any(|at| slice.number == Some(*at as i64)).then_some(SliceFault::Odd))
            .collect();
        let refusal = faults.iter().any(Option::is_some).then_some(Refusal::TooFew { count: 0, needed: 3 });
        if let Ok(found) = sound(&slices, &faults, refusal) {
            let Arranged { order, filled, geometry, .. } = &found.arranged;
            prop_assert_eq!(order.len() + accounted(&found.remarks), slices.len(), "{:?}", said(&found));
            prop_assert_eq!(order.len() + filled.len(), geometry.dims[2]);
            prop_assert!(order.iter().all(|index| faults[*index].is_none()), "no bad slice is read");
            prop_assert!(filled.iter().all(|at| *at > 0 && at + 1 < geometry.dims[2]));
            // Each that is read lies at its place of the grid.
            let mut read = order.iter();
            for k in (0..geometry.dims[2]).filter(|k| !filled.contains(k)) {
                let mm = slices[*read.next().unwrap()].position_mm.unwrap()[2];
                prop_assert!((geometry.to_patient([0.0, 0.0, k as f64])[2] - mm).abs() < 1e-6);
            }
        }
    }
}

/// Slices every 1.25 mm that change slowly; the upper half shows something else than the lower one when `foreign`.
fn sent(foreign: bool) -> Vec<Slice> {
    const SIDE: i16 = 40;
    let places = axial(&every(1.25, 60)).into_iter().enumerate();
    let slice = |(k, place): (usize, SliceGeometry)| {
        let mirrored = foreign && k >= 30;
        let value = |i: i16| {
            let (x, y) = (i % SIDE, i / SIDE);
            let across = if mirrored { SIDE - 1 - x } else { x };
            across * 20 + y * 2 + k as i16 * 3 - 600
        };
        Slice {
            sop_class_uid: "1.2".into(),
            sop_instance_uid: format!("1.2.{k}"),
            frame: None,
            geometry: SliceGeometry { rows: 40, columns: 40, ..place },
            units: Units::Hounsfield,
            hu: (0..SIDE * SIDE).map(value).collect::<Vec<i16>>().into(),
        }
    };
    places.map(slice).collect()
}

#[test]
fn two_halves_are_not_joined_by_a_slice_that_was_filled_in_between_them() {
    for missing in [29, 30] {
        let mut one = sent(false);
        one.remove(missing);
        assert_eq!(build::assemble(one).unwrap().back.filled, [missing]);
        let mut two = sent(true);
        assert_eq!(build::assemble(two.clone()).unwrap_err().kind(), "two-parts");
        two.remove(missing);
        assert_eq!(build::assemble(two).unwrap_err().kind(), "two-parts", "without slice {missing}");
    }
}
