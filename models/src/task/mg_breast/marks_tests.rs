//! Marks on views that are computed: the numbers of training, fewer views, bad answers, a stop; and what is withheld.

use hal::Accelerator;
use hal::accel::scripted::Scripted;
use serde::Deserialize;

use super::*;
use crate::manifest::mammogram::Input;
use crate::specimen::Specimen;
use crate::task::mg_breast::withheld::{self, Header, Marking};
use crate::task::mg_breast::{NotRead, PictureRead, Remark, Side};
use crate::task::{MG_BREAST, Unattended};

const ROWS: usize = 96;
const COLUMNS: usize = 64;
const SCORER: &[u8] = include_bytes!("../../../packages/mg-breast/scorer.json");

/// The same as in `models/training/mammography/fixture.py`.
fn channels(view: usize) -> Channels {
    let inside = |x: usize, y: usize| {
        let down = y.abs_diff(48);
        x * x * 44 * 44 + down * down * 48 * 48 < 44 * 44 * 48 * 48
    };
    let plane = |value: &dyn Fn(usize, usize) -> usize| {
        let places = (0..ROWS).flat_map(|y| (0..COLUMNS).map(move |x| (x, y)));
        places.map(|(x, y)| if inside(x, y) { u8::try_from(value(x, y)).unwrap() } else { 0 }).collect()
    };
    Channels {
        columns: COLUMNS,
        rows: ROWS,
        grey: plane(&|x, y| 60 + (x * 7 + y * 13 + view * 29) % 120),
        detail: plane(&|x, y| (x * 11 + y * 5 + view * 17) % 97),
    }
}

fn map(view: usize) -> Vec<f32> {
    let one = |k: usize, r: usize, c: usize| {
        let whole = (r * 31 + c * 17 + k * 53 + view * 71 + r * c) % 101;
        (whole as f32 + 0.5 + (r * 16 + c) as f32 / 1000.0) / 103.0
    };
    let places = (0..4).flat_map(|k| (0..ROWS / 4).flat_map(move |r| (0..COLUMNS / 4).map(move |c| (k, r, c))));
    places.map(|(k, r, c)| one(k, r, c)).collect()
}

fn given(view: usize) -> Given {
    let mirrored = StandardView::ALL[view].is_right();
    let place = Place { size: [COLUMNS * 4, ROWS * 4], mm: 0.1, magnified: 1.0, mirrored };
    Given { view: StandardView::ALL[view], sop_instance_uid: format!("1.2.{view}"), channels: channels(view), place }
}

fn manifest(threshold: f32) -> Manifest {
    Specimen { task: MG_BREAST.into(), threshold, ..Specimen::default() }.parsed()
}

/// Answers with the map of the view whose picture it is given.
fn scripted() -> Scripted {
    Scripted::new(|inputs: &[Tensor]| {
        let own = |view: &usize| channels(*view).plane(&channels(*view).grey, 16) == inputs[0].data[..ROWS * COLUMNS];
        let view = (0..4).find(own).unwrap();
        Ok(vec![Tensor { shape: vec![1, 4, ROWS / 4, COLUMNS / 4], data: map(view) }])
    })
}

fn marked(views: &[usize], threshold: f32) -> Marks {
    let given: Vec<Given> = views.iter().map(|view| given(*view)).collect();
    let scorer = Scorer::parse(SCORER).unwrap();
    let mut model = scripted().load(b"x").unwrap();
    run(&given, Vec::new(), &manifest(threshold), &scorer, model.as_mut(), &Unattended).unwrap()
}

#[derive(Deserialize)]
struct Expected {
    names: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    view: usize,
    row: usize,
    column: usize,
    features: Vec<f64>,
}

#[test]
fn candidates_have_the_places_and_numbers_of_training() {
    let expected: Expected = serde_json::from_str(include_str!("candidates.json")).unwrap();
    let view = |number: usize| {
        let oblique = StandardView::ALL[number].is_oblique();
        Seen::new(&channels(number), &map(number), 0.4, [4, 16], oblique)
    };
    let seen = [0, 1, 2, 3].map(view);
    for number in 0..4 {
        let due: Vec<&Row> = expected.rows.iter().filter(|row| row.view == number).collect();
        let places: Vec<[usize; 2]> = due.iter().map(|row| [row.column, row.row]).collect();
        assert_eq!(seen[number].peaks(), places, "view {number}");
        for row in due {
            let (pair, other) = (&seen[(number + 2) % 4], &seen[number ^ 1]);
            let known = Known::of(&seen[number], [row.column, row.row], Some(pair), Some(other));
            for (name, value) in expected.names.iter().zip(&row.features) {
                let own = known.named(name).unwrap();
                assert!((own - value).abs() < 2e-3, "view {number}, {name}: {own} instead of {value}");
            }
        }
    }
}

#[test]
fn the_fewer_views_there_are_the_less_is_compared_and_it_is_said() {
    let stages = |views: &[usize]| marked(views, 0.5).views.iter().map(|view| view.stage).collect::<Vec<_>>();
    assert_eq!(stages(&[0, 1, 2, 3]), [Stage::TwoBreasts; 4]);
    assert_eq!(stages(&[0, 2]), [Stage::TwoViews; 2]);
    assert_eq!(stages(&[0, 1]), [Stage::OneView; 2], "two breasts, one view of each");
    assert_eq!(stages(&[0, 1, 2]), [Stage::TwoBreasts, Stage::OneView, Stage::TwoViews]);
    let right = marked(&[0, 2], 0.5);
    assert!(right.right.is_some() && right.left.is_none() && right.case == right.right);
    assert_eq!(marked(&[], 0.5).case, None);
}

#[test]
fn marks_lie_in_the_stored_picture_and_count_from_the_threshold_on() {
    let all = marked(&[3, 0, 1, 2], 0.001);
    assert_eq!(all.views.iter().map(|view| view.view).collect::<Vec<_>>(), StandardView::ALL);
    for view in &all.views {
        assert!(view.candidates.windows(2).all(|pair| pair[0].score >= pair[1].score), "the surest first");
        for mark in &view.marks {
            let [left, top, right, bottom] = mark.bounds;
            assert!(left <= mark.at[0] && mark.at[0] <= right && top <= mark.at[1] && mark.at[1] <= bottom, "{mark:?}");
            assert!(right <= (COLUMNS * 4) as f32 && bottom <= (ROWS * 4) as f32 && left >= 0.0 && top >= 0.0);
            assert!((mark.at_mm[0] - mark.at[0] * 0.1).abs() < 1e-3);
        }
    }
    let mut numbers: Vec<usize> = all.views.iter().flat_map(|view| view.marks.iter().map(|mark| mark.number)).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=all.count()).collect::<Vec<_>>());
    // The chest wall of a right breast is at the right: a peak at column 0 of the map is there.
    let place = given(0).place;
    assert_eq!(place.pixels([0.0, 1.0]), [(COLUMNS * 4) as f32, 10.0]);
    assert_eq!(marked(&[0, 1, 2, 3], 0.9999).count(), 0);
}

#[test]
fn an_answer_that_is_no_probability_or_has_another_shape_is_refused() {
    let fault = |script: Scripted| {
        let scorer = Scorer::parse(SCORER).unwrap();
        let mut model = script.load(b"x").unwrap();
        run(&[given(0)], Vec::new(), &manifest(0.5), &scorer, model.as_mut(), &Unattended).unwrap_err().kind()
    };
    let answer = |shape: Vec<usize>, value: f32| {
        Scripted::new(move |_| Ok(vec![Tensor { data: vec![value; shape.iter().product()], shape: shape.clone() }]))
    };
    assert_eq!(fault(answer(vec![1, 4, 24, 16], f32::NAN)), TaskFault::BadOutput);
    assert_eq!(fault(answer(vec![1, 4, 24, 16], 1.5)), TaskFault::BadOutput);
    assert_eq!(fault(answer(vec![1, 4, 24, 15], 0.5)), TaskFault::BadModel);
    assert_eq!(fault(Scripted::new(|_| Ok(Vec::new()))), TaskFault::BadModel);
}

/// Stops after a view, and counts the views that it was asked before.
struct Stopping(std::sync::atomic::AtomicUsize);

impl Control for Stopping {
    fn progress(&self, stage: &str, _fraction: f64) {
        if stage == "inference" {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed) >= 2
    }
}

#[test]
fn a_caller_is_asked_before_each_view_and_may_stop() {
    let scorer = Scorer::parse(SCORER).unwrap();
    let (control, mut model) = (Stopping(0.into()), scripted().load(b"x").unwrap());
    let given = [0, 1, 2, 3].map(given);
    let stopped = run(&given, Vec::new(), &manifest(0.5), &scorer, model.as_mut(), &control);
    assert_eq!(stopped.unwrap_err().kind(), TaskFault::Cancelled);
    assert_eq!(control.0.into_inner(), 2, "live work goes first before each view, and no third is begun");
}

#[test]
fn a_file_that_names_other_numbers_is_no_scorer() {
    let text = String::from_utf8(SCORER.to_vec()).unwrap();
    for (from, to) in [
        ("\"peak\"", "\"summit\""),
        ("\"one_view\"", "\"no_view\""),
        ("\"bias\"", "\"more\": 1, \"bias\""),
        // A view alone knows of no other.
        ("\"behind\"", "\"pair_best\""),
    ] {
        let broken = text.replacen(from, to, 1);
        assert!(broken != text && Scorer::parse(broken.as_bytes()).is_err(), "{from}");
    }
    assert!(Scorer::parse(text.as_bytes()).is_ok());
}

fn read(remarks: Vec<Remark>) -> PictureRead {
    let drawn = super::super::tests::drawn(true);
    PictureRead {
        part: None,
        sop_class_uid: String::new(),
        sop_instance_uid: String::new(),
        laterality: "L".into(),
        view: "MLO".into(),
        remarks,
        read: Ok(super::super::read(&drawn, super::super::Expected::default()).unwrap()),
    }
}

#[test]
fn what_the_network_is_known_not_to_hold_for_is_withheld_unless_it_is_asked_for() {
    let header = Header { mm: Some(0.1), phantom: true };
    let why = |picture: &PictureRead, header| withheld::why(picture, header, Marking::Phantoms);
    assert_eq!(why(&read(Vec::new()), header), None);
    for (remark, due) in [
        (Remark::Film, Withheld::Film),
        (Remark::ForProcessing, Withheld::ForProcessing),
        (Remark::Partial, Withheld::Partial),
        (Remark::OtherSide, Withheld::OtherSide),
    ] {
        let picture = read(vec![remark]);
        assert_eq!(why(&picture, header), Some(due));
        // A part is never given to the network: its marks would be those of the whole view.
        let asked = (remark == Remark::Partial).then_some(Withheld::Partial);
        assert_eq!(withheld::why(&picture, header, Marking::All), asked, "asked for: {remark:?}");
    }
    let picture = read(Vec::new());
    assert_eq!(why(&picture, Header { mm: Some(0.4), ..header }), Some(Withheld::Coarse));
    assert_eq!(why(&picture, Header { phantom: false, ..header }), Some(Withheld::NoPhantom));
    // What cannot be given to the network at all.
    for marking in [Marking::Phantoms, Marking::All] {
        assert_eq!(withheld::why(&picture, Header { mm: None, ..header }, marking), Some(Withheld::NoSpacing));
        let unread = PictureRead { read: Err(NotRead::TooLarge), ..picture.clone() };
        assert_eq!(withheld::why(&unread, header, marking), Some(Withheld::NotRead));
    }
}

#[test]
fn a_picture_becomes_the_same_channels_whatever_its_pixels() {
    let input = Input { pixel_mm: 0.4, fine_mm: 0.2, around_mm: 0.6, detail: 0.25, multiple: 16 };
    // Smooth, so that the size of pixels is no difference.
    let level = |x: f64, y: f64| crate::cast::single(0.5 + 0.3 * (x / 9.0).sin() * (y / 7.0).cos());
    let of = |mm: f64, mirrored: bool| {
        let size = [crate::cast::round_index(40.0 / mm), crate::cast::round_index(60.0 / mm)];
        let place = Place { size, mm, magnified: 1.0, mirrored };
        let side = if mirrored { Side::Right } else { Side::Left };
        let at = |x: usize| if mirrored { size[0] - 1 - x } else { x };
        Channels::of(&input, &place, side, |x, y| level((at(x) as f64 + 0.5) * mm, (y as f64 + 0.5) * mm)).unwrap()
    };
    let due = of(0.2, false);
    assert_eq!([due.columns, due.rows], [100, 150]);
    for (mm, mirrored) in [(0.05, false), (0.1, true), (0.085, false), (0.07, true), (0.2, true)] {
        let own = of(mm, mirrored);
        assert!(own.columns.abs_diff(due.columns) <= 1 && own.rows.abs_diff(due.rows) <= 1, "{mm}");
        for row in 0..own.rows.min(due.rows) {
            for column in 0..own.columns.min(due.columns) {
                let (a, b) = (own.grey[row * own.columns + column], due.grey[row * due.columns + column]);
                assert!(a.abs_diff(b) <= 2, "{mm} mm, row {row}, column {column}: {a} and {b}");
            }
        }
    }
    let top = Place { size: [100, 100], mm: 0.2, magnified: 1.0, mirrored: false };
    assert_eq!(Channels::of(&input, &top, Side::Top, |_, _| 0.5), None);
    // A header with pixels of a millimetre asks for no gigabytes.
    let huge = Place { size: [4096, 4096], mm: 1.0, magnified: 1.0, mirrored: false };
    assert_eq!(Channels::of(&input, &huge, Side::Left, |_, _| panic!("it is not even looked at")), None);
}
