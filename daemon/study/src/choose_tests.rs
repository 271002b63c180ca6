//! Which series is read for which finding.

use models::manifest::{Manifest, Reads};
use proptest::prelude::*;

use super::*;

/// Slices of this thickness and kernel, from the bases to the apices.
fn series(id: i64, slice_mm: f64, kernel: &str) -> Candidate {
    Candidate {
        id,
        uid: format!("1.2.{id}"),
        label: Label { number: Some(id), slice_mm, kernel: kernel.into() },
        scan: ScanKey {
            patient: ["P1".into(), "PHANTOM".into(), String::new()],
            frame_of_reference_uid: "1.2.3".into(),
            acquisition_number: Some(2),
            patient_position: "HFS".into(),
            phase: Vec::new(),
            image_type: vec!["ORIGINAL".into(), "PRIMARY".into(), "AXIAL".into()],
            contrast_agent: String::new(),
            kvp: Some(120.0),
            monoenergetic_kev: None,
        },
        acquired_s: [1000.0, 1008.0],
        dose_mgy: Some(10.0),
        box_mm: [[-180.0, -180.0, -300.0], [180.0, 180.0, 20.0]],
        slice_mm,
        sharp: sharp(kernel),
        straight: true,
        whole: true,
        outcome: None,
    }
}

fn unfit(findings: &[ChestFinding]) -> Option<Reading> {
    Some(Reading { unfit: findings.to_vec(), ..Reading::default() })
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

/// What is read: the series, and how many findings each gives.
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
        assert_eq!(choose(&all)[2].unread.len(), 3);
        let thick = &choose(&all)[0];
        assert_eq!((thick.instead.as_ref(), thick.elsewhere.len()), (Some(&all[2].label), ALL));
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
    assert_eq!(read(&all[2..]), [(5, ALL - 3)], "alone it is read for what it can give");
    assert_eq!(read(&[series(7, 12.0, "B31f")]), [(7, ALL)], "and for a verdict when it can give nothing");
}

#[test]
fn what_is_not_certainly_of_one_scan_is_read_by_itself() {
    let thin = series(4, 1.0, "B31f");
    type Change = fn(&mut Candidate);
    let changes: [(&str, Change); 13] = [
        ("patient", |c| c.scan.patient[0] = "P2".into()),
        ("frame of reference", |c| c.scan.frame_of_reference_uid = "1.2.4".into()),
        ("acquisition", |c| c.scan.acquisition_number = None),
        ("phase", |c| c.scan.phase = phase("CHEST VENOUS 5.0")),
        ("position", |c| c.scan.patient_position = "HFP".into()),
        ("contrast agent", |c| c.scan.contrast_agent = "APPLIED".into()),
        ("voltage", |c| c.scan.kvp = Some(80.0)),
        ("energy", |c| c.scan.monoenergetic_kev = Some(40.0)),
        ("iodine", |c| c.scan.image_type.push("IODINE".into())),
        ("dose", |c| c.dose_mgy = Some(4.0)),
        // Two phases, told by nothing else.
        ("later", |c| c.acquired_s = [1030.0, 1038.0]),
        ("begun before", |c| c.acquired_s = [996.0, 1008.0]),
        ("ended after", |c| c.acquired_s = [1000.0, 1012.0]),
    ];
    for (what, change) in changes {
        let mut other = series(5, 5.0, "B31f");
        change(&mut other);
        let read = read(&[thin.clone(), other]);
        assert!(read.iter().any(|(id, _)| *id == 5), "{what}: {read:?}");
    }
}

#[test]
fn one_that_shows_something_else_is_read_whichever_is_thinner() {
    type Change = fn(&mut Candidate);
    let changes: [(&str, Change); 5] = [
        ("another part", |c| c.box_mm = [[-180.0, -180.0, -700.0], [180.0, 180.0, -250.0]]),
        ("longer", |c| c.box_mm[0][2] = -320.0),
        ("wider", |c| (c.box_mm[0][0], c.box_mm[1][0]) = (-240.0, 240.0)),
        ("a field of equal size at another place", |c| (c.box_mm[0][0], c.box_mm[1][0]) = (-150.0, 210.0)),
        ("a field of equal size higher up", |c| (c.box_mm[0][1], c.box_mm[1][1]) = (-210.0, 150.0)),
    ];
    for (what, change) in changes {
        for (slice_mm, other_mm) in [(1.0, 5.0), (5.0, 1.0), (1.0, 1.0)] {
            let (one, mut other) = (series(4, slice_mm, "B31f"), series(5, other_mm, "B31f"));
            change(&mut other);
            let read = read(&[one, other]);
            assert!(read.iter().any(|(id, _)| *id == 5), "{what}, {slice_mm} and {other_mm} mm: {read:?}");
        }
    }
}

#[test]
fn a_thin_series_of_a_part_is_read_beside_a_longer_thick_one_and_both_are() {
    let (mut thin, thick) = (series(4, 1.0, "B31f"), series(3, 5.0, "B31f"));
    thin.box_mm[0][2] = -100.0;
    assert_eq!(read(&[thin.clone(), thick.clone()]), [(4, ALL), (3, ALL - 3)]);
    // A whole one that is as thin shows all of it.
    let whole = series(5, 1.0, "B31f");
    assert_eq!(read(&[thin, thick, whole]), [(5, ALL)]);
}

#[test]
fn a_series_that_lacks_something_never_takes_the_place_of_another() {
    type Change = fn(&mut Candidate);
    let lacking = || Some(Reading { lacks_slices: true, ..Reading::default() });
    let changes: [(&str, Change); 5] = [
        ("small field", |c| (c.box_mm[0][0], c.box_mm[1][0]) = (-100.0, 100.0)),
        ("part", |c| c.box_mm[0][2] = -100.0),
        ("oblique", |c| c.straight = false),
        ("slices missing, by its headers", |c| c.whole = false),
        ("begun later", |c| c.acquired_s = [1004.0, 1008.0]),
    ];
    let thick = series(3, 5.0, "B31f");
    for (what, change) in changes {
        let mut thin = series(4, 1.0, "B31f");
        change(&mut thin);
        assert!(read(&[thin, thick.clone()]).contains(&(3, ALL - 3)), "{what}");
    }
    let mut thin = series(4, 1.0, "B31f");
    thin.outcome = Some(Reading::default());
    assert_eq!(read(&[thin.clone(), thick.clone()]), [(4, ALL)]);
    thin.outcome = lacking();
    assert_eq!(read(&[thin, thick]), [(4, ALL), (3, ALL - 3)], "slices that were bad, as reading it showed");
}

#[test]
fn a_finding_that_was_refused_is_looked_for_in_the_next_series_until_none_is_left() {
    let finding = ChestFinding::Emphysema;
    let mut all = [series(3, 1.0, "B31f"), series(4, 1.0, "B40f"), series(5, 2.5, "B31f")];
    all[0].label.number = Some(1);
    let gives = |all: &[Candidate]| -> Vec<Vec<ChestFinding>> { choose(all).into_iter().map(|c| c.gives).collect() };
    assert_eq!(gives(&all).iter().map(Vec::len).collect::<Vec<_>>(), [ALL, 0, 0]);
    all[0].outcome = unfit(&[finding]);
    assert_eq!(gives(&all)[1..], [vec![finding], vec![]]);
    let first = &choose(&all)[0];
    assert_eq!(first.elsewhere, [(finding, all[1].label.clone())]);
    assert!(first.is_said_by(all[0].outcome.as_ref().unwrap()), "not before it is known that the other one gives it");
    all[1].outcome = unfit(&[finding]);
    assert_eq!(gives(&all)[1..], [vec![], vec![finding]]);
    all[2].outcome = unfit(&[finding]);
    assert_eq!(gives(&all)[1..], [vec![], vec![]]);
    assert_eq!(choose(&all)[0].elsewhere, [], "the reasons of the first are told");
}

#[test]
fn a_result_that_names_a_series_that_is_not_read_for_it_does_not_say_what_is_so() {
    let (mut sharp, mut smooth) = (series(4, 1.0, "B70f"), series(5, 2.5, "B31f"));
    smooth.outcome = Some(Reading::default());
    let names = |label: &Label| Reading {
        elsewhere: [ChestFinding::Emphysema, ChestFinding::CoronaryCalcification]
            .map(|f| (f, label.to_string()))
            .into(),
        ..Reading::default()
    };
    sharp.outcome = Some(names(&smooth.label));
    let now = |all: &[Candidate]| choose(all)[0].clone();
    assert!(now(&[sharp.clone(), smooth.clone()]).is_said_by(&names(&smooth.label)));
    assert!(!now(std::slice::from_ref(&sharp)).is_said_by(&names(&smooth.label)), "that one failed");
    assert!(!now(&[sharp.clone(), smooth.clone()]).is_said_by(&Reading::default()), "it came later");
    let without = Reading { unread: vec!["9 (5.0 mm)".into()], ..names(&smooth.label) };
    assert!(!now(&[sharp, smooth]).is_said_by(&without), "that one is read now");
}

#[test]
fn only_thin_smooth_slices_need_not_wait_for_better_ones() {
    assert!(series(1, 1.25, "STANDARD").gives_all());
    assert!(!series(1, 1.25, "LUNG").gives_all() && !series(1, 2.5, "STANDARD").gives_all());
    assert!(!Candidate { whole: false, ..series(1, 1.25, "STANDARD") }.gives_all());
}

#[test]
fn phases_are_told_by_their_words() {
    assert_eq!(phase("Thorax  1.0  B31f"), Vec::<&str>::new());
    assert_eq!(phase("CHEST W/O 1.25MM"), ["plain"]);
    assert_eq!(phase("Thorax_ven_5.0"), ["venous"]);
    assert_ne!(phase("LUNG INSPIRATION"), phase("LUNG EXP 1.0"));
}

#[test]
fn a_time_is_read_where_there_is_one() {
    let at = |when: &str| seconds(&Acquired { when: when.into(), ..Acquired::default() });
    let apart = |one: &str, two: &str| at(two).unwrap() - at(one).unwrap();
    assert!((apart("20070425173510.397820", "20070425173516.559243") - 6.161_423).abs() < 1e-4);
    assert!((apart("20070425235959", "20070426000001") - 2.0).abs() < 1e-4);
    assert!((apart("20070425101010", "20070425101010.5-0500") - 0.5).abs() < 1e-4);
    for nothing in ["", "20070425", "20070425000000", "20070425000000.000", "2007", "a", "20070425\u{e9}1010"] {
        assert_eq!(at(nothing), None, "{nothing}");
    }
}

#[test]
fn a_candidate_is_what_its_headers_say() {
    let header = |k: i64| Header {
        series_instance_uid: "1.2.7".into(),
        instance_number: Some(k),
        series_number: Some(4),
        acquisition_number: Some(2),
        frame_of_reference_uid: Some("1.2.3".into()),
        image_position: Some([-180.0, -170.0, -300.0 + 2.0 * k as f64]),
        image_orientation: Some([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
        pixel_spacing: Some([0.7, 0.7]),
        slice_thickness: Some(3.0),
        rows: 512,
        columns: 512,
        kernel: "B70f\\3".into(),
        series_description: "Thorax venous".into(),
        acquired: Acquired {
            when: format!("20070425173510.{:06}", k * 10_000),
            dose_mgy: Some(10.0),
            ..Acquired::default()
        },
        ..Header::default()
    };
    let headers: Vec<Header> = (0..50).map(header).collect();
    let of = |headers: &[Header]| Candidate::of(7, &headers.iter().collect::<Vec<_>>(), 0, None);
    let found = of(&headers).unwrap();
    assert_eq!((found.slice_mm, found.sharp, found.straight, found.whole), (3.0, true, true, true));
    assert_eq!((found.box_mm[0], found.box_mm[1][2]), ([-180.0, -170.0, -300.0], -202.0));
    assert!((found.box_mm[1][0] - (511.0 * 0.7 - 180.0)).abs() < 1e-9);
    assert!((found.acquired_s[1] - found.acquired_s[0] - 0.49).abs() < 1e-4);
    assert_eq!(found.label.to_string(), "4 (3.0 mm, B70f\\3)");
    assert_eq!((found.scan.phase.clone(), found.dose_mgy), (vec!["venous"], Some(10.0)));
    let without = |change: fn(&mut Header)| {
        let mut headers = headers.clone();
        headers.iter_mut().for_each(change);
        of(&headers)
    };
    assert_eq!(without(|h| h.frame_of_reference_uid = None), None);
    assert_eq!(without(|h| h.number_of_frames = 50), None);
    assert_eq!(without(|h| h.image_position = None), None);
    assert_eq!(without(|h| h.acquired.when.clear()), None, "when is not known: in doubt it is read");
    assert_eq!(Candidate::of(7, &[], 0, None), None);
    // What only some of its images say.
    let one = |change: fn(&mut Header)| {
        let mut headers = headers.clone();
        change(&mut headers[20]);
        of(&headers)
    };
    assert_eq!(one(|h| h.acquisition_number = Some(3)), None);
    assert_eq!(one(|h| h.kernel = "B31f".into()), None);
    assert_eq!(one(|h| h.acquired.when.clear()), None);
    let mut gap = headers.clone();
    gap.drain(40..43);
    assert!(!of(&gap).unwrap().whole, "slices are missing");
    assert!(!without(|h| h.number_of_series_related_instances = Some(60)).unwrap().whole, "more were announced");
    let leans = |h: &mut Header| h.image_position.as_mut().unwrap()[1] += 0.2 * h.instance_number.unwrap() as f64;
    assert!(without(leans).is_none_or(|leaning| !leaning.straight));
}

/// A series, and what would come of it.
fn any_series() -> impl Strategy<Value = (Candidate, Option<Reading>)> {
    let numbers = (
        prop::sample::select(vec![0.6, 1.0, 1.25, 2.0, 2.5, 3.0, 5.0, 8.0, 12.0]),
        prop::sample::select(vec![-300.0, -295.0, -150.0]),
        prop::sample::select(vec![20.0, 15.0, -80.0]),
        prop::sample::select(vec![-180.0, -175.0, -100.0]),
        prop::sample::select(vec![1000.0, 1000.4, 1030.0]),
    );
    let outcome = (prop::collection::vec(any::<bool>(), ALL), any::<[bool; 3]>(), 0u8..8);
    (numbers, any::<[bool; 2]>(), 0u8..10, outcome).prop_map(
        |((slice_mm, low, high, left, time), [soft, venous], odd, (fit, [a, b, lacks], failed))| {
            let mut one = series(0, slice_mm, if soft { "B31f" } else { "B70f" });
            (one.box_mm[0][2], one.box_mm[1][2], one.box_mm[0][0]) = (low, high, left);
            one.acquired_s = [time, time + 8.0];
            one.scan.phase = if venous && a { vec!["venous"] } else { Vec::new() };
            (one.straight, one.whole) = (odd != 0, odd != 1);
            let fit = |f: &ChestFinding| !b || fit[*f as usize];
            let unfit = ChestFinding::ALL.into_iter().filter(|f| !fit(f)).collect();
            let outcome = Reading { unfit, lacks_slices: lacks && a && b, ..Reading::default() };
            (one, (failed != 0).then_some(outcome))
        },
    )
}

/// Reads until nothing is left to be done, as `choosing` and `folder` do. `come`: the series in their order; after each one so
/// many series are read.
fn read_all(come: &[(Candidate, Option<Reading>)], between: &[usize]) -> (Vec<Candidate>, Vec<Choice>) {
    let mut here: Vec<Candidate> = Vec::new();
    let truth = |id: i64| come.iter().find(|(one, _)| one.id == id).unwrap().1.clone();
    let step = |here: &mut Vec<Candidate>| {
        let choices = choose(here);
        let of = |id: i64| here.iter().position(|one| one.id == id).unwrap();
        let next = choices.iter().find(|c| {
            let was = &here[of(c.id)].outcome;
            was.as_ref().map_or_else(|| c.is_read(), |was| !c.is_said_by(was))
        });
        let Some(choice) = next else { return false };
        let at = of(choice.id);
        match truth(choice.id) {
            None => drop(here.remove(at)),
            Some(truth) => {
                let elsewhere = choice.elsewhere.iter().map(|(f, label)| (*f, label.to_string())).collect();
                let unread = choice.unread.iter().map(ToString::to_string).collect();
                here[at].outcome = Some(Reading { elsewhere, unread, ..truth });
            }
        }
        true
    };
    for ((one, _), count) in come.iter().zip(between.iter().chain(std::iter::repeat(&0))) {
        here.push(one.clone());
        for _ in 0..*count {
            step(&mut here);
        }
    }
    let mut steps = 0;
    while step(&mut here) {
        steps += 1;
        assert!(steps < 20 * come.len(), "it never ends");
    }
    let choices = choose(&here);
    (here, choices)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn every_finding_that_a_series_could_give_is_given_and_the_order_of_arrival_changes_nothing(
        mut all in prop::collection::vec(any_series(), 1..7),
        rotate in 0usize..7,
        between in prop::collection::vec(0usize..4, 7),
    ) {
        for (id, (one, _)) in (1..).zip(&mut all) {
            one.id = id;
            one.uid = format!("1.2.{id}");
            one.label.number = Some(id);
        }
        let (here, choices) = read_all(&all, &[]);
        for (one, truth) in &all {
            let Some(truth) = truth else {
                // What was left to a series that failed is read.
                prop_assert!(here.iter().all(|other| other.id != one.id || other.outcome.is_none()));
                continue;
            };
            let mut known = one.clone();
            known.outcome = Some(truth.clone());
            for finding in ChestFinding::ALL.into_iter().filter(|f| known.can_give(*f)) {
                let gives = |other: &Candidate| {
                    let read = other.outcome.is_some() && other.can_give(finding);
                    read && (other.id == one.id || other.covers(one))
                };
                prop_assert!(here.iter().any(gives), "{finding:?} of {one:?}");
            }
        }
        for (one, choice) in here.iter().zip(&choices) {
            for (finding, label) in &choice.elsewhere {
                let giver = here.iter().zip(&choices).find(|(other, _)| other.label == *label).unwrap();
                prop_assert!(giver.1.gives.contains(finding) && giver.0.outcome.is_some() && giver.0.can_give(*finding));
            }
            if let Some(was) = &one.outcome {
                prop_assert!(choice.is_said_by(was), "{choice:?} {was:?}");
                let said: Vec<_> = choice.elsewhere.iter().map(|(f, label)| (*f, label.to_string())).collect();
                prop_assert_eq!(&was.elsewhere, &said, "what its result names is so");
            } else {
                prop_assert!(!choice.is_read());
            }
        }
        let mut turned = all.clone();
        let by = rotate % turned.len();
        turned.rotate_left(by);
        turned.reverse();
        let (_, mut again) = read_all(&turned, &between);
        again.sort_by_key(|choice| choice.id);
        let mut first = choices;
        first.sort_by_key(|choice| choice.id);
        let sets = |choices: &[Choice]| {
            let read = choices.iter().filter(|c| c.is_read());
            read.map(|c| (c.id, c.gives.clone(), c.elsewhere.clone())).collect::<Vec<_>>()
        };
        prop_assert_eq!(sets(&first), sets(&again));
    }
}
