//! However a picture was stored, it hangs as its header says; where that is silent, by its chest wall.

use models::review::marks::Marked;
use models::task::mammography_views::MammographyViews;
use models::task::mg_breast::kind::{Kind, Stage};
use models::task::mg_breast::marks::Marks;
use models::task::mg_breast::{Breast, Nipple, PictureRead, Sureness};

use super::*;
use crate::views::Before;
use crate::views::marks::tests::{mark, view as marked_view};
use crate::views::tests::found;

/// Width and height of the picture as it should hang.
const SIZE: [f32; 2] = [60.0, 100.0];
const CELL: [usize; 2] = [300, 400];

const TURNS: [Turn; 8] = {
    let mut turns = [Turn { transposed: false, mirrored: false, upended: false }; 8];
    let mut index = 0;
    while index < 8 {
        turns[index] = Turn { transposed: index & 1 > 0, mirrored: index & 2 > 0, upended: index & 4 > 0 };
        index += 1;
    }
    turns
};

/// Where a point of the upright picture lies in one that `turn` puts upright.
fn stored(turn: Turn, [x, y]: [f32; 2]) -> [f32; 2] {
    let x = if turn.mirrored { SIZE[0] - x } else { x };
    let y = if turn.upended { SIZE[1] - y } else { y };
    if turn.transposed { [y, x] } else { [x, y] }
}

fn side(turn: Turn, upright: Side) -> Side {
    let side = if turn.mirrored { upright.opposite() } else { upright };
    match side {
        Side::Left if turn.transposed => Side::Top,
        Side::Right if turn.transposed => Side::Bottom,
        side => side,
    }
}

/// One view, stored so that `turn` puts it upright: nipple, mark and a bright spot are in its upper half.
fn study(view: StandardView, turn: Turn, told: Option<Turn>, remarks: Vec<Remark>) -> Mammography {
    // Distance from the chest wall.
    let depth = |x: f32| if view.is_right() { SIZE[0] - x } else { x };
    let at = |far: f32, y: f32| stored(turn, [depth(far), y]);
    let level = |x: f32, y: f32| match (depth(x), y) {
        (far, y) if far < 8.0 && (20.0..28.0).contains(&y) => 255,
        (far, y) if far < 40.0 && (10.0..90.0).contains(&y) => 150,
        _ => 5,
    };
    let [width, height] = if turn.transposed { [100, 60] } else { [60, 100] };
    let mut grey = vec![0; width * height];
    for (x, y) in (0..60).flat_map(|x| (0..100).map(move |y| (pixels(x) + 0.5, pixels(y) + 0.5))) {
        let [i, j] = stored(turn, [x, y]);
        grey[whole(j) * width + whole(i)] = level(x, y);
    }
    let reading = Reading {
        mm_per_pixel: Some(0.4),
        chest_wall: side(turn, if view.is_right() { Side::Right } else { Side::Left }),
        breast: Breast {
            outline: [[0.0, 10.0], [40.0, 10.0], [40.0, 90.0], [0.0, 90.0]].map(|[far, y]| at(far, y)).to_vec(),
            part_of_picture: 0.5,
            area_cm2: None,
            depth_mm: None,
        },
        muscle: None,
        nipple: Nipple {
            at: at(38.0, 24.0),
            sureness: Sureness::Estimated,
            to_chest_wall_mm: None,
            to_muscle_mm: None,
        },
        density: None,
    };
    let read = PictureRead {
        sop_class_uid: "1.2".into(),
        sop_instance_uid: "1.2.3.1".into(),
        laterality: String::new(),
        view: String::new(),
        part: None,
        remarks,
        read: Ok(reading),
    };
    let ([a, b], [c, d]) = (at(14.0, 30.0), at(26.0, 42.0));
    let bounds = [a.min(c), b.min(d), a.max(c), b.max(d)];
    let mut marked = marked_view(view, Stage::OneView, vec![Mark { bounds, ..mark(1, Kind::Mass, 0.8) }]);
    marked.mm_per_pixel = 0.4;
    let marks = Marks { views: vec![marked], withheld: Vec::new(), right: None, left: None, case: None };
    let hung = Hung {
        view,
        sop_class_uid: "1.2".into(),
        sop_instance_uid: "1.2.3.1".into(),
        grey,
        size: [width, height],
        turn: told,
    };
    Mammography {
        views: MammographyViews {
            found: vec![found(view, "1.2.3.1")],
            in_parts: Vec::new(),
            missing: Vec::new(),
            pictures: vec![read],
            marks: Some(marks),
        },
        hung: vec![hung],
        marked: Marked::default(),
        followed: Vec::new(),
        before: Before::Unknown,
    }
}

fn drawn(study: &Mammography) -> Canvas {
    let size = [2 * CELL[0] + GAP, 2 * CELL[1] + GAP];
    let mut canvas = Canvas::new(size[0], size[1], BLACK);
    hang(&mut canvas, study, [0, 0, size[0], size[1]], SMALL, Language::English.words());
    canvas
}

/// Where the middle of what has this colour lies in the place of a view, from 0 to 1.
fn middle(canvas: &Canvas, view: StandardView, is: impl Fn([u8; 3]) -> bool) -> Option<[f32; 2]> {
    let place = StandardView::ALL.into_iter().position(|one| one == view)?;
    let corner = [(place % 2) * (CELL[0] + GAP), (place / 2) * (CELL[1] + GAP)];
    let (mut count, mut sum) = (0.0, [0.0, 0.0]);
    for (x, y) in (0..CELL[0]).flat_map(|x| (0..CELL[1]).map(move |y| (x, y))) {
        let at = ((corner[1] + y) * canvas.width + corner[0] + x) * 3;
        if is([canvas.rgb[at], canvas.rgb[at + 1], canvas.rgb[at + 2]]) {
            count += 1.0;
            sum = [sum[0] + pixels(x), sum[1] + pixels(y)];
        }
    }
    (count > 0.0).then(|| [sum[0] / count / pixels(CELL[0]), sum[1] / count / pixels(CELL[1])])
}

fn is_bright([r, g, b]: [u8; 3]) -> bool {
    r > 240 && r == g && g == b
}

fn is_like(colour: Colour) -> impl Fn([u8; 3]) -> bool {
    move |rgb| rgb.iter().zip(colour.0).all(|(a, b)| a.abs_diff(b) < 12)
}

#[test]
fn a_picture_on_its_head_or_side_hangs_by_its_header_with_nipple_and_mark_above() {
    for view in StandardView::ALL {
        for turn in TURNS {
            let canvas = drawn(&study(view, turn, Some(turn), Vec::new()));
            // What is drawn near the wall: small x in a left place, large x in a right one.
            let from_wall = |[x, _]: [f32; 2]| if view.is_right() { 1.0 - x } else { x };
            let bright = middle(&canvas, view, is_bright).unwrap();
            let nipple = middle(&canvas, view, is_like(NIPPLE)).unwrap();
            let mark = middle(&canvas, view, is_like(AMBER)).unwrap();
            for (name, at) in [("spot", bright), ("nipple", nipple), ("mark", mark)] {
                assert!(at[1] < 0.5, "{name} of {view:?} {turn:?}: {at:?}");
            }
            let [bright, nipple, mark] = [bright, nipple, mark].map(from_wall);
            assert!(bright < 0.2 && nipple > 0.4, "{view:?} {turn:?}: {bright} {nipple}");
            assert!(bright < mark && mark < nipple, "{view:?} {turn:?}: {bright} {mark} {nipple}");
        }
    }
}

#[test]
fn where_the_header_is_silent_the_chest_wall_hangs_at_the_middle_and_up_and_down_stay() {
    for view in StandardView::ALL {
        for turn in TURNS {
            let by_pixels = drawn(&study(view, turn, None, Vec::new()));
            let upended = Turn { upended: false, ..turn };
            assert_eq!(by_pixels.rgb, drawn(&study(view, turn, Some(upended), Vec::new())).rgb, "{view:?} {turn:?}");
            let [x, y] = middle(&by_pixels, view, is_bright).unwrap();
            assert!((if view.is_right() { 1.0 - x } else { x }) < 0.2, "{view:?} {turn:?}: {x}");
            assert_eq!(y > 0.5, turn.upended, "{view:?} {turn:?}: {y}");
        }
    }
}

#[test]
fn where_header_and_pixels_contradict_each_other_the_header_counts_and_the_place_says_so() {
    let view = StandardView::RightCc;
    let (turn, told) = (TURNS[0], TURNS[2]);
    let without = drawn(&study(view, turn, Some(told), Vec::new()));
    let with = drawn(&study(view, turn, Some(told), vec![Remark::OtherSide]));
    let [x, _] = middle(&with, view, is_bright).unwrap();
    assert!(x < 0.6, "not quietly put right: {x}");
    let amber =
        |canvas: &Canvas| canvas.rgb.chunks_exact(3).filter(|rgb| is_like(AMBER)([rgb[0], rgb[1], rgb[2]])).count();
    assert!(amber(&with) > amber(&without) + 100, "the words are missing");
}
