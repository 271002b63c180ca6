//! Small videos whose figures can be counted by hand.

use super::super::replay::{Overlay, Sign};
use super::super::scan::Planted;
use super::*;

const LEFT: f32 = 10.0;
const RIGHT: f32 = 60.0;

fn shown(id: u8, left: f32) -> Shown {
    let bounds = [left, 10.0, left + 20.0, 30.0];
    let runs = (10..30).map(|y| [y, left as u16, left as u16 + 20]).collect();
    Shown { id, bounds, area_mm2: 20.0, runs }
}

/// Ten pictures a second of a malignant lesion 1 on the left and a benign 2 on the right.
fn truth(frames: Vec<Vec<Shown>>) -> Truth {
    let lesions = vec![Planted { id: 1, malignant: true }, Planted { id: 2, malignant: false }];
    Truth { seed: 7, fps: 10.0, screen: [100, 50], lesions, frames }
}

fn lesion(id: u32, left: f32, malignant: f64) -> Lesion {
    let bounds = [left, 10.0, left + 20.0, 30.0];
    let outline = vec![[left + 20.0, 10.0], [left + 20.0, 30.0], [left, 30.0], [left, 10.0]];
    Lesion { id, outline, bounds, malignant }
}

fn seen(overlays: Vec<Vec<Lesion>>) -> Vec<Seen> {
    let sign = || Sign { state: "ready".into(), reason: None };
    let one = |(sequence, lesions)| Seen { sequence, sign: sign(), overlay: Some(Overlay { lesions }) };
    overlays.into_iter().enumerate().map(one).collect()
}

#[test]
fn each_lesion_that_has_a_number_of_its_own_is_found() {
    let frames = vec![vec![shown(1, LEFT), shown(2, RIGHT)]; 10];
    let case = judge(&truth(frames), &seen(vec![vec![lesion(1, LEFT, 0.9), lesion(2, RIGHT, 0.6)]; 10]));
    assert_eq!((case.wanted, case.found, case.false_alarms, case.merged, case.switched), (2, 2, 0, 0, 0));
    assert_eq!((case.dice.len(), case.dice[0], case.seconds), (10, 1.0, 1.0));
    let right: Vec<_> = case.scores.iter().map(|score| (score.id, score.right, score.pictures)).collect();
    assert_eq!(right, [(1, 10, 10), (2, 0, 10)]);
}

#[test]
fn a_number_that_mostly_lies_on_nothing_is_a_false_alarm_and_what_is_not_outlined_is_missed() {
    let frames = vec![vec![shown(1, LEFT)]; 10];
    let mut overlays = vec![vec![lesion(1, RIGHT, 0.1)]; 9];
    overlays.push(vec![lesion(1, LEFT, 0.1)]);
    let case = judge(&truth(frames), &seen(overlays));
    assert_eq!((case.wanted, case.found, case.false_alarms), (1, 0, 1));
    assert!(case.scores.is_empty());
    assert_eq!(case.dice[0], 0.0);
}

#[test]
fn what_shows_too_little_or_too_shortly_need_not_be_found() {
    let mut frames = vec![vec![shown(1, LEFT)]; 4];
    frames.extend(vec![vec![Shown { area_mm2: 9.0, ..shown(2, RIGHT) }]; 10]);
    let case = judge(&truth(frames), &seen(vec![vec![]; 14]));
    assert_eq!((case.wanted, case.found, case.looked_at), (0, 0, 14));
}

#[test]
fn another_number_in_view_and_after_coming_back_are_told_apart() {
    let with = |number| vec![lesion(number, LEFT, 0.9)];
    let on = || vec![shown(1, LEFT)];
    let frames = [vec![on(); 4], vec![vec![]; 3], vec![on(); 2], vec![vec![]; 3], vec![on(); 2]].concat();
    let overlays =
        [vec![with(1), with(1), vec![], with(2)], vec![vec![]; 3], vec![with(2); 2], vec![vec![]; 3], vec![with(3); 2]]
            .concat();
    let case = judge(&truth(frames), &seen(overlays));
    assert_eq!((case.switched, case.returned, case.returned_the_same, case.numbered), (1, 2, 1, 1));
}

#[test]
fn one_number_on_two_lesions_has_merged_them() {
    let frames = [vec![vec![shown(1, LEFT)]; 5], vec![vec![shown(2, RIGHT)]; 5]].concat();
    let overlays = [vec![vec![lesion(1, LEFT, 0.9)]; 5], vec![vec![lesion(1, RIGHT, 0.9)]; 5]].concat();
    let case = judge(&truth(frames), &seen(overlays));
    assert_eq!((case.merged, case.found), (1, 1));
}

#[test]
fn frozen_pictures_are_counted_but_not_looked_at() {
    let mut all = seen(vec![vec![lesion(1, LEFT, 0.9)]; 6]);
    all[5].overlay = None;
    let case = judge(&truth(vec![vec![shown(1, LEFT)]; 6]), &all);
    assert_eq!((case.pictures, case.looked_at, case.dice.len()), (6, 5, 5));
}
