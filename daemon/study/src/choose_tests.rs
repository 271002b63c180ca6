//! Which series is read for which finding.

use models::manifest::{Manifest, Reads};
use proptest::prelude::*;

use super::*;

/// Slices of this thickness and kernel, from the bases to the apices.
fn series(id: i64, slice_mm: f64, kernel: &str) -> Candidate {
    Candidate {
        id,
        label: Label { number: Some(id), slice_mm, kernel: kernel.into() },
        scan: ScanKey {
            patient: ["P1".into(), "PHANTOM".into(), String::new()],
            frame_of_reference_uid: "1.2.3".into(),
            acquisition_number: Some(2),
            patient_position: "HFS".into(),
            phase: Vec::new(),
        },
        along_mm: [-300.0, 20.0],
        field_mm: 360.0,
        slice_mm,
        sharp: sharp(kernel),
        axial: true,
        readable: true,
    }
}

#[test]
fn what_a_series_can_give_is_what_the_package_that_ships_is_for() {
    let text = include_str!("../../../models/packages/ct-chest/model.toml");
    let Reads::Volume(package) = Manifest::parse(text).unwrap().reads else { panic!("it reads volumes") };
    for finding in ChestFinding::ALL {
        let most = package.findings[&finding].max_slice_spacing_mm.unwrap();
        assert!(series(1, most, "B30f").can_give(finding), "{finding:?} at {most} mm");
        assert!(!series(1, most + 0.1, "B30f").can_give(finding), "{finding:?} beyond {most} mm");
    }
}

/// What is read: the series, and the findings of those that do not give all.
fn read(candidates: &[Candidate]) -> Vec<(i64, usize)> {
    choose(candidates).iter().filter(|c| c.is_read()).map(|c| (c.id, c.gives.len())).collect()
}

const ALL: usize = ChestFinding::COUNT;

#[test]
fn thin_and_smooth_is_read_for_everything_and_the_others_not_at_all() {
    for (thin_smooth, thin_sharp) in [("STANDARD", "LUNG"), ("B31f", "B70f"), ("B", "L"), ("FC08", "FC51")] {
        let all = [
            series(3, 5.0, thin_smooth),
            series(4, 1.25, thin_sharp),
            series(5, 1.25, thin_smooth),
            series(6, 2.5, thin_smooth),
        ];
        assert_eq!(read(&all), [(5, ALL)], "{thin_smooth}");
        let unread: Vec<String> = choose(&all)[2].unread.iter().map(ToString::to_string).collect();
        assert_eq!(unread.len(), 3);
        assert!(choose(&all)[0].best == 5 && choose(&all)[0].elsewhere.len() == ALL);
    }
}

#[test]
fn a_smooth_series_is_read_beside_a_thin_sharp_one_for_what_needs_it() {
    let all = [series(3, 2.5, "B31f"), series(4, 1.0, "B70f"), series(5, 5.0, "B31f")];
    let choices = choose(&all);
    assert_eq!(choices[0].gives, [ChestFinding::Emphysema, ChestFinding::CoronaryCalcification]);
    assert_eq!(choices[1].gives.len(), ALL - 2);
    assert!(!choices[2].is_read());
    let elsewhere: Vec<_> = choices[1].elsewhere.iter().map(|(finding, label)| (*finding, label.to_string())).collect();
    assert_eq!(
        elsewhere,
        [
            (ChestFinding::Emphysema, "3 (2.5 mm, B31f)".to_owned()),
            (ChestFinding::CoronaryCalcification, "3 (2.5 mm, B31f)".to_owned())
        ]
    );
    assert_eq!(choices[1].unread.iter().map(ToString::to_string).collect::<Vec<_>>(), ["5 (5.0 mm, B31f)"]);
    // What the slices of 5 mm cannot give either is no reason to read them.
    assert_eq!(read(&all[1..]), [(4, ALL)]);
    assert_eq!(read(&all[2..]), [(5, ALL)], "alone it is read");
}

#[test]
fn another_scan_phase_part_or_field_is_read_by_itself() {
    let thin = series(4, 1.0, "B31f");
    type Change = fn(&mut Candidate);
    let changes: [(&str, Change); 8] = [
        ("patient", |c| c.scan.patient[0] = "P2".into()),
        ("frame of reference", |c| c.scan.frame_of_reference_uid = "1.2.4".into()),
        ("acquisition", |c| c.scan.acquisition_number = Some(3)),
        ("phase", |c| c.scan.phase = phase("CHEST VENOUS 5.0")),
        ("position", |c| c.scan.patient_position = "HFP".into()),
        ("another part", |c| c.along_mm = [-700.0, -250.0]),
        ("longer", |c| c.along_mm = [-700.0, 20.0]),
        ("wider", |c| c.field_mm = 480.0),
    ];
    for (what, change) in changes {
        let mut other = series(5, 5.0, "B31f");
        change(&mut other);
        let read = read(&[thin.clone(), other]);
        assert!(read.iter().any(|(id, _)| *id == 5), "{what}: {read:?}");
    }
}

#[test]
fn a_small_field_a_part_an_oblique_or_an_unreadable_series_never_takes_the_place_of_the_whole() {
    let thick = series(3, 5.0, "B31f");
    type Change = fn(&mut Candidate);
    let changes: [Change; 4] =
        [|c| c.field_mm = 200.0, |c| c.along_mm = [-100.0, 20.0], |c| c.axial = false, |c| c.readable = false];
    for change in changes {
        let mut thin = series(4, 1.0, "B31f");
        change(&mut thin);
        assert!(read(&[thin.clone(), thick.clone()]).contains(&(3, ALL)), "{thin:?}");
    }
}

#[test]
fn what_comes_after_the_results_is_read_only_if_it_adds_findings() {
    let (thick, thin, sharp, smooth) =
        (series(3, 5.0, "B31f"), series(4, 1.0, "B31f"), series(5, 1.0, "B70f"), series(6, 2.5, "B31f"));
    let late = |late: &Candidate, read: &Candidate| {
        let read = [read.clone()];
        adds(late, &that_cover(late, &read))
    };
    assert!(late(&thin, &thick), "ribs, bronchi, emphysema");
    assert!(!late(&thick, &thin) && !late(&sharp, &thin) && !late(&thin, &smooth));
    assert!(late(&smooth, &sharp), "emphysema");
}

#[test]
fn only_thin_smooth_slices_need_not_wait_for_better_ones() {
    assert!(series(1, 1.25, "STANDARD").gives_all());
    assert!(!series(1, 1.25, "LUNG").gives_all() && !series(1, 2.5, "STANDARD").gives_all());
}

#[test]
fn phases_are_told_by_their_words() {
    assert_eq!(phase("Thorax  1.0  B31f"), Vec::<&str>::new());
    assert_eq!(phase("CHEST W/O 1.25MM"), ["plain"]);
    assert_eq!(phase("Thorax_ven_5.0"), ["venous"]);
    assert_ne!(phase("LUNG INSPIRATION"), phase("LUNG EXP 1.0"));
}

#[test]
fn a_candidate_is_what_its_headers_say() {
    let header = |k: i64| Header {
        instance_number: Some(k),
        series_number: Some(4),
        acquisition_number: Some(2),
        frame_of_reference_uid: Some("1.2.3".into()),
        image_position: Some([-180.0, -180.0, -300.0 + 2.0 * k as f64]),
        image_orientation: Some([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
        pixel_spacing: Some([0.7, 0.7]),
        slice_thickness: Some(3.0),
        rows: 512,
        columns: 512,
        kernel: "B70f\\3".into(),
        series_description: "Thorax venous".into(),
        ..Header::default()
    };
    let headers: Vec<Header> = (0..50).map(header).collect();
    let of = |headers: &[Header]| Candidate::of(7, &headers.iter().collect::<Vec<_>>());
    let found = of(&headers).unwrap();
    assert_eq!((found.slice_mm, found.sharp, found.axial, found.readable), (3.0, true, true, true));
    assert_eq!(found.along_mm, [-300.0, -202.0]);
    assert_eq!(found.label.to_string(), "4 (3.0 mm, B70f\\3)");
    assert_eq!(found.scan.phase, ["venous"]);
    let without = |change: fn(&mut Header)| {
        let mut headers = headers.clone();
        headers.iter_mut().for_each(change);
        of(&headers)
    };
    assert_eq!(without(|h| h.frame_of_reference_uid = None), None);
    assert_eq!(without(|h| h.number_of_frames = 50), None);
    assert_eq!(without(|h| h.image_position = None), None);
    assert_eq!(Candidate::of(7, &[]), None);
}

fn any_series() -> impl Strategy<Value = Candidate> {
    let numbers = (0.3f64..12.0, -400.0f64..0.0, 20.0f64..600.0, 150.0f64..500.0, 0i64..3);
    (numbers, any::<[bool; 4]>()).prop_map(
        |((slice_mm, low, length, field_mm, acquisition), [soft, axial, readable, phase])| {
            let mut one = series(0, slice_mm, if soft { "B31f" } else { "B70f" });
            one.along_mm = [low, low + length];
            one.field_mm = field_mm;
            one.scan.acquisition_number = Some(acquisition);
            one.scan.phase = if phase { vec!["venous"] } else { Vec::new() };
            (one.axial, one.readable) = (axial, readable);
            one
        },
    )
}

proptest! {
    #[test]
    fn no_part_of_a_study_is_lost_and_the_order_of_arrival_changes_nothing(
        mut all in prop::collection::vec(any_series(), 1..9), rotate in 0usize..9,
    ) {
        for (id, one) in (1..).zip(&mut all) {
            one.id = id;
            one.label.number = Some(id);
        }
        let choices = choose(&all);
        prop_assert_eq!(choices.len(), all.len());
        for (one, choice) in all.iter().zip(&choices) {
            prop_assert_eq!(one.id, choice.id);
            prop_assert_eq!(choice.gives.len() + choice.elsewhere.len(), ALL, "each finding is read from one series");
            let best = &all[choice.best as usize - 1];
            if !choice.is_read() {
                prop_assert!(best.covers(one), "what is not read is shown by what is");
                prop_assert!(choices[choice.best as usize - 1].is_read() || !choices[choice.best as usize - 1].elsewhere.is_empty());
            }
            for finding in &choice.gives {
                let better = all.iter().filter(|o| o.scan == one.scan && o.covers(one) && o.covers(best)).any(|o| o.can_give(*finding));
                prop_assert!(one.can_give(*finding) || !better || choice.best == choice.id, "{:?}", finding);
            }
        }
        let mut turned = all.clone();
        let by = rotate % turned.len();
        turned.rotate_left(by);
        let mut again = choose(&turned);
        again.sort_by_key(|choice| choice.id);
        let sets = |choices: &[Choice]| choices.iter().map(|c| (c.id, c.best, c.gives.clone())).collect::<Vec<_>>();
        prop_assert_eq!(sets(&choices), sets(&again));
    }
}
