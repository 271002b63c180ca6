//! What an exam surely shows, and what only its headers or a person say of it.

use models::task::mammography_views::{MammographyViews, ViewFound, ViewInParts};
use models::task::mg_breast::marks::WithheldView;
use models::task::mg_breast::withheld::Withheld;
use models::task::us_breast::lesion::Lesion;
use report::stills::{NotRead, StillImage, StillLesion, Unread};

use super::*;

const COMMON: Common<'_> = Common { package: "net 1", simulated: false };

fn empty(modality: &'static str, day: Date) -> Visit {
    Visit { sightings: Vec::new(), modality, ..visit(someone(), day, Place::default(), 1.0) }
}

pub(super) fn image(uid: &str, side: Side) -> StillImage {
    StillImage {
        sop_class_uid: "1.2".into(),
        sop_instance_uid: uid.into(),
        number: Some(1),
        size: [64, 48],
        frames: None,
        found: false,
        painted_out: false,
        side: Some(side),
    }
}

pub(super) fn lesion(id: u32, image: usize) -> StillLesion {
    let lesion = Lesion {
        id,
        outline: Vec::new(),
        bounds: [10.0, 10.0, 20.0, 20.0],
        confidence: 0.97,
        malignant: 0.87,
        descriptors: Vec::new(),
        size_mm: Some([14.2, 9.7]),
    };
    StillLesion { image, frame: None, lesion, no_size: None }
}

/// A box with a lesion in the left breast and one in the right, and a recall of each: lesions 1 and 2.
fn both() -> (Box, Date) {
    let mut its = Box::new();
    let due = date(2120, 5, 1);
    for (number, side) in [(1, Side::Left), (2, Side::Right)] {
        its.record(&visit(someone(), date(2026, 1, 10 + number), placed(side), 20.0));
    }
    for lesion in [1, 2] {
        its.enter(&recall(lesion, due), date(2026, 2, 1)).unwrap();
    }
    (its, due)
}

/// Side, whether it is closed, whether an exam is proposed.
fn state(its: &Box, due: Date) -> Vec<(Option<Side>, bool, bool)> {
    let mut rows = its.recalls(due, true);
    rows.sort_by_key(|row| row.lesion);
    rows.iter().map(|row| (row.side, row.standing == Standing::Done, row.came.is_some())).collect()
}

#[test]
fn an_exam_whose_side_a_person_corrected_closes_no_recall_of_the_other_breast() {
    let (mut its, due) = both();
    let images = vec![image("1.2.1", Side::Right), image("1.2.2", Side::Left)];
    let mut stills = Stills { images, lesions: vec![lesion(1, 0), lesion(2, 1)], ..Stills::default() };
    stills.list("net 1 ab".into());
    let review = edited(&stills.marked, (Field::Side, Side::Right.as_str()));
    stills.marked.judge(Some(&review), true);
    stills.take_out();
    let seen = empty("US", due).with_stills(&stills, COMMON);
    assert_eq!((seen.sides.as_slice(), seen.is_whole), ([Side::Right, Side::Right].as_slice(), true));
    its.record(&Visit { sightings: Vec::new(), ..seen });
    assert_eq!(state(&its, due), [(Some(Side::Left), false, false), (Some(Side::Right), true, false)]);
    // Another image of the same header: nobody knows whether it is as wrong.
    stills.images.push(image("1.2.3", Side::Left));
    assert!(!empty("US", due).with_stills(&stills, COMMON).is_whole);
}

#[test]
fn a_breast_whose_images_were_not_read_is_proposed_and_not_left_overdue() {
    let (mut its, due) = both();
    let why = NotRead::ColourFlow;
    let unread = |side| Unread {
        sop_instance_uid: "1.2.4".into(),
        number: None,
        why: why.clone(),
        side: Some(side),
        in_part: false,
    };
    let of =
        |side| Stills { images: vec![image("1.2.1", Side::Left)], unread: vec![unread(side)], ..Stills::default() };
    assert!(!empty("US", due).with_stills(&of(Side::Left), COMMON).may_show_more);
    its.record(&empty("US", due).with_stills(&of(Side::Right), COMMON));
    assert_eq!(state(&its, due), [(Some(Side::Left), true, false), (Some(Side::Right), false, true)]);
}

fn views(found: &[StandardView]) -> MammographyViews {
    let of = |view: &StandardView| ViewFound {
        view: *view,
        sop_instance_uid: format!("1.2.{}", view.name()),
        for_presentation: true,
        candidates: 1,
    };
    MammographyViews {
        found: found.iter().map(of).collect(),
        in_parts: Vec::new(),
        missing: Vec::new(),
        pictures: Vec::new(),
        marks: None,
    }
}

#[test]
fn a_mammography_without_marks_meets_the_recall_of_a_breast_that_it_shows() {
    let (mut its, due) = both();
    let right = views(&[StandardView::RightCc, StandardView::RightMlo]);
    its.record(&empty("MG", due).with_views(&right, None, COMMON));
    assert_eq!(state(&its, due), [(Some(Side::Left), false, false), (Some(Side::Right), true, false)]);
    let (mut its, due) = both();
    let recorded = its.record(&empty("MG", due).with_views(&views(&StandardView::ALL), None, COMMON));
    assert_eq!(recorded.met, 2);
}

#[test]
fn a_breast_that_was_taken_in_parts_or_withheld_from_the_network_is_proposed() {
    let right = [StandardView::RightCc, StandardView::RightMlo];
    let parts = MammographyViews {
        in_parts: vec![ViewInParts { view: StandardView::LeftCc, parts: Vec::new() }],
        ..views(&right)
    };
    let marked = |view| MarkedView {
        view,
        sop_instance_uid: "1.2".into(),
        stage: Stage::OneView,
        mm_per_pixel: 0.1,
        marks: Vec::new(),
        candidates: Vec::new(),
    };
    let marks = Marks {
        views: right.map(marked).into(),
        withheld: vec![
            WithheldView { view: StandardView::LeftCc, why: Withheld::NotRead },
            WithheldView { view: StandardView::LeftMlo, why: Withheld::OtherSide },
        ],
        right: Some(0.1),
        left: None,
        case: Some(0.1),
    };
    let withheld = MammographyViews { marks: Some(marks), ..views(&StandardView::ALL) };
    for views in [parts, withheld] {
        let (mut its, due) = both();
        its.record(&empty("MG", due).with_views(&views, Some(&Marked::default()), COMMON));
        assert_eq!(state(&its, due), [(Some(Side::Left), false, true), (Some(Side::Right), true, false)], "{views:?}");
    }
}
