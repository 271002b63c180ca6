//! Lesions that stay, go, come back and pass each other.

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::*;

/// A square of side `side` around a middle; its signs are as sure as itself.
fn square(x: f32, y: f32, side: f32, confidence: f32) -> Detection {
    signed(x, y, side, confidence, confidence)
}

fn signed(x: f32, y: f32, side: f32, confidence: f32, sign: f32) -> Detection {
    let h = side / 2.0;
    let outline = vec![[x + h, y], [x + h, y + h], [x - h, y + h], [x - h, y - h]];
    let bounds = [x - h, y - h, x + h, y + h];
    Detection { outline, bounds, confidence, signs: Signs::new([sign; 9]), area: side * side, axes: [side, side] }
}

fn ids(shown: &[Lesion]) -> Vec<u32> {
    shown.iter().map(|lesion| lesion.id).collect()
}

/// So many pictures of the same; the numbers of the last.
fn look(tracker: &mut Tracker, number: &mut u64, pictures: u64, found: &[Detection]) -> Vec<u32> {
    let mut shown = Vec::new();
    for _ in 0..pictures {
        shown = ids(&update(tracker, *number, found.to_vec()));
        *number += 1;
    }
    shown
}

fn update(tracker: &mut Tracker, number: u64, found: Vec<Detection>) -> Vec<Lesion> {
    tracker.update(number, Duration::from_millis(number * 33), found, Some(0.1))
}

#[test]
fn a_lesion_is_shown_from_the_third_hit_in_five_pictures() {
    let mut tracker = Tracker::default();
    let hit = || vec![square(100.0, 100.0, 40.0, 0.9)];
    let shown: Vec<_> = [hit(), vec![], hit(), vec![], hit()]
        .into_iter()
        .enumerate()
        .map(|(i, found)| update(&mut tracker, i as u64, found).len())
        .collect();
    assert_eq!(shown, [0, 0, 0, 0, 1]);
    let mut rare = Tracker::default();
    let seen = (0..60).map(|i| update(&mut rare, i, if i % 3 == 0 { hit() } else { vec![] }).len()).sum::<usize>();
    assert_eq!(seen, 0, "one of three is never three of five");
}

#[test]
fn another_depth_of_the_picture_changes_the_pixels_of_a_lesion_and_not_its_millimetres() {
    let mut tracker = Tracker::default();
    let at = |number: u64| Duration::from_millis(number * 33);
    let size = |shown: &[Lesion]| shown[0].size_mm.unwrap()[0];
    for number in 0..10 {
        tracker.update(number, at(number), vec![square(200.0, 200.0, 123.0, 0.9)], Some(0.065));
    }
    // 8 mm at 4 cm depth, then at 3 cm.
    for number in 10..20 {
        let shown = tracker.update(number, at(number), vec![square(210.0, 200.0, 164.0, 0.9)], Some(0.04875));
        assert!((size(&shown) - 8.0).abs() < 0.1, "picture {number}: {} mm", size(&shown));
    }
    // The scale cannot be read for a moment, while the depth changes again.
    assert_eq!(tracker.update(20, at(20), vec![square(210.0, 200.0, 123.0, 0.9)], None)[0].size_mm, None);
    let shown = tracker.update(21, at(21), vec![square(210.0, 200.0, 123.0, 0.9)], Some(0.065));
    assert!((size(&shown) - 8.0).abs() < 0.1, "{} mm", size(&shown));
}

#[test]
fn it_goes_after_a_few_pictures_and_keeps_its_number_for_a_while() {
    let mut tracker = Tracker::default();
    let hit = || vec![square(100.0, 100.0, 40.0, 0.9)];
    let mut number = 0;
    let mut step = |found: Vec<Detection>| {
        number += 1;
        update(&mut tracker, number, found).iter().map(|lesion| lesion.id).collect::<Vec<_>>()
    };
    (0..5).for_each(|_| drop(step(hit())));
    assert_eq!([step(vec![]), step(vec![]), step(vec![])], [vec![1], vec![1], vec![]]);
    (0..27).for_each(|_| drop(step(vec![])));
    assert_eq!(step(hit()), [1], "the same thing");
    (0..31).for_each(|_| drop(step(vec![])));
    let again: Vec<_> = (0..3).map(|_| step(hit())).collect();
    assert_eq!(again, [vec![], vec![], vec![1]], "the same thing, once it is sure");
    (0..310).for_each(|_| drop(step(vec![])));
    let after: Vec<_> = (0..3).map(|_| step(hit())).collect();
    assert_eq!(after, [vec![], vec![], vec![2]], "after ten seconds nobody knows");
    assert_eq!(tracker.best().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn two_that_move_past_each_other_keep_their_numbers() {
    let mut tracker = Tracker::default();
    for i in 0..60u64 {
        let x = i as f32 * 4.0;
        let shown =
            update(&mut tracker, i, vec![square(300.0 - x, 200.0, 40.0, 0.9), square(60.0 + x, 100.0, 40.0, 0.8)]);
        if i >= 2 {
            assert_eq!(shown.iter().map(|lesion| lesion.id).collect::<Vec<_>>(), [1, 2]);
            let (first, second) = (middle(shown[0].bounds)[1], middle(shown[1].bounds)[1]);
            assert!((first - 200.0).abs() < 1.0 && (second - 100.0).abs() < 1.0);
        }
    }
}

#[test]
fn a_jump_within_its_own_size_is_the_same_thing() {
    let mut tracker = Tracker::default();
    (0..4).for_each(|i| drop(update(&mut tracker, i, vec![square(100.0, 100.0, 40.0, 0.9)])));
    // No more than a ninth in common.
    let shown = update(&mut tracker, 4, vec![square(124.0, 112.0, 40.0, 0.9)]);
    assert_eq!(shown.iter().map(|lesion| lesion.id).collect::<Vec<_>>(), [1]);
    assert_eq!(shown[0].bounds, [104.0, 92.0, 144.0, 132.0], "where it is now");
}

#[test]
fn scores_are_smoothed_and_the_size_is_in_millimetres() {
    let mut tracker = Tracker::default();
    (0..9).for_each(|i| drop(update(&mut tracker, i, vec![square(100.0, 100.0, 40.0, 0.5)])));
    let shown = update(&mut tracker, 9, vec![square(100.0, 100.0, 60.0, 1.0)]);
    // Nine pictures of weight 800 and one of 3600.
    assert!((shown[0].confidence - 0.65).abs() < 1e-5 && (shown[0].malignant - 2.0 / 3.0).abs() < 1e-5);
    let [long, across] = shown[0].size_mm.unwrap();
    assert!((long - 4.6).abs() < 1e-4 && (across - 4.6).abs() < 1e-4);
    assert!((shown[0].outline[0][0] - 125.0).abs() < 1e-4, "half way from 120 to 130");
    let [(1, best)] = tracker.best()[..] else { panic!() };
    assert_eq!((best.sequence, best.score), (9, 3600.0));
}

#[test]
fn a_large_sure_view_counts_more_than_the_small_ones_before_and_after() {
    let mut tracker = Tracker::default();
    let mut number = 0;
    let edge = |sign| [signed(100.0, 100.0, 12.0, 0.97, sign)];
    look(&mut tracker, &mut number, 10, &edge(0.1));
    look(&mut tracker, &mut number, 1, &[signed(100.0, 100.0, 20.0, 0.98, 0.3)]);
    look(&mut tracker, &mut number, 15, &[signed(100.0, 100.0, 40.0, 1.0, 0.9)]);
    look(&mut tracker, &mut number, 1, &[signed(100.0, 100.0, 20.0, 0.98, 0.3)]);
    let shown = update(&mut tracker, number, edge(0.1).to_vec());
    assert!(shown[0].malignant > 0.8, "{}", shown[0].malignant);
    // What was seen counts also when it comes back edge-on.
    look(&mut tracker, &mut number, 60, &[]);
    look(&mut tracker, &mut number, 2, &[signed(100.0, 100.0, 12.0, 0.97, 0.7)]);
    let shown = update(&mut tracker, number, vec![signed(100.0, 100.0, 12.0, 0.97, 0.7)]);
    assert_eq!(ids(&shown), [1]);
    assert!(shown[0].malignant > 0.8, "{}", shown[0].malignant);
}

/// A probe that slides over a lesion sees its rim when it leaves and when it comes back.
#[test]
fn a_lesion_that_comes_back_as_it_left_keeps_its_number_though_its_middle_looked_otherwise() {
    let mut tracker = Tracker::default();
    let mut number = 0;
    let rim = |sign| [signed(100.0, 100.0, 24.0, 0.97, sign)];
    look(&mut tracker, &mut number, 15, &[signed(100.0, 100.0, 40.0, 1.0, 0.9)]);
    look(&mut tracker, &mut number, 10, &rim(0.3));
    look(&mut tracker, &mut number, 60, &[]);
    assert_eq!(look(&mut tracker, &mut number, 6, &rim(0.3)), [1]);
    // What looks neither like it as a whole nor as it was last is another.
    look(&mut tracker, &mut number, 60, &[]);
    assert_eq!(look(&mut tracker, &mut number, 6, &rim(0.05)), [2]);
}

#[test]
fn where_two_could_be_meant_nobody_is() {
    let mut tracker = Tracker::default();
    let mut number = 0;
    let (one, other) = (square(100.0, 100.0, 40.0, 0.9), square(142.0, 100.0, 40.0, 0.9));
    assert_eq!(look(&mut tracker, &mut number, 5, &[one.clone(), other]), [1, 2]);
    look(&mut tracker, &mut number, 60, &[]);
    assert_eq!(look(&mut tracker, &mut number, 5, &[square(121.0, 100.0, 40.0, 0.9)]), [3], "it lies between them");
    look(&mut tracker, &mut number, 60, &[]);
    let both = [square(100.0, 180.0, 40.0, 0.9)];
    assert_eq!(look(&mut tracker, &mut number, 5, &both), [4], "none was so deep");
}

#[test]
fn a_freeze_makes_nobody_forget_and_another_depth_does() {
    let hit = || vec![square(100.0, 100.0, 40.0, 0.9)];
    for (pause_s, scale, expected) in [(600, 0.1, 1), (0, 0.15, 2)] {
        let mut tracker = Tracker::default();
        let mut number = 0;
        look(&mut tracker, &mut number, 5, &hit());
        look(&mut tracker, &mut number, 40, &[]);
        let mut shown = Vec::new();
        for i in 0..5 {
            let at = Duration::from_secs(pause_s) + Duration::from_millis((number + i) * 33);
            shown = tracker.update(number + i, at, hit(), Some(scale));
        }
        assert_eq!(ids(&shown), [expected]);
    }
}

/// The sonographer freezes on one lesion, moves the probe and lets the picture go on with another one in its middle.
#[test]
fn after_a_cut_only_what_looks_alike_and_is_in_its_place_keeps_the_number() {
    for (next, expected, what) in [
        (signed(100.0, 100.0, 40.0, 0.9, 0.4), 1, "the same thing"),
        (signed(100.0, 100.0, 40.0, 0.9, 0.8), 2, "another kind"),
        (signed(100.0, 112.0, 40.0, 0.9, 0.4), 2, "deeper"),
        (signed(100.0, 100.0, 16.0, 0.9, 0.4), 2, "smaller"),
    ] {
        let mut tracker = Tracker::default();
        let mut number = 0;
        assert_eq!(look(&mut tracker, &mut number, 5, &[signed(100.0, 100.0, 40.0, 0.9, 0.4)]), [1]);
        tracker.cut();
        let found = [next];
        assert!(look(&mut tracker, &mut number, 2, &found).is_empty(), "{what}: nobody knows yet");
        assert_eq!(look(&mut tracker, &mut number, 3, &found), [expected], "{what}");
    }
    // What was never confirmed does not go on either.
    let mut tracker = Tracker::default();
    let mut number = 0;
    let hit = [square(100.0, 100.0, 40.0, 0.9)];
    look(&mut tracker, &mut number, 2, &hit);
    tracker.cut();
    assert!(look(&mut tracker, &mut number, 2, &hit).is_empty());
    assert_eq!(look(&mut tracker, &mut number, 1, &hit), [1]);
}

fn in_breast(tracker: &mut Tracker, side: Side) {
    tracker.scanned(Some(side));
}

#[test]
fn a_number_of_one_breast_never_comes_back_in_the_other_and_does_in_its_own() {
    let hit = [square(100.0, 100.0, 40.0, 0.9)];
    for away in [3, 20, 60] {
        let mut tracker = Tracker::default();
        let mut number = 0;
        in_breast(&mut tracker, Side::Right);
        assert_eq!(look(&mut tracker, &mut number, 5, &hit), [1]);
        look(&mut tracker, &mut number, away, &[]);
        in_breast(&mut tracker, Side::Left);
        assert_eq!(look(&mut tracker, &mut number, 5, &hit), [2], "out of view for {away} pictures");
        look(&mut tracker, &mut number, 60, &[]);
        tracker.scanned(None);
        in_breast(&mut tracker, Side::Right);
        assert_eq!(look(&mut tracker, &mut number, 5, &hit), [1], "the first one again, out for {away} pictures");
    }
}

/// The probe was lifted meanwhile, and what is on the next picture may lie where the last lesion was.
#[test]
fn another_breast_after_a_pause_is_another_lesion_even_in_the_same_place() {
    for pause in [false, true] {
        let mut tracker = Tracker::default();
        let hit = || vec![square(100.0, 100.0, 40.0, 0.9)];
        in_breast(&mut tracker, Side::Right);
        let mut number = 0;
        assert_eq!(look(&mut tracker, &mut number, 5, &hit()), [1]);
        in_breast(&mut tracker, Side::Left);
        let later = Duration::from_millis(if pause { 1000 } else { 0 });
        let mut shown = Vec::new();
        for i in number..number + 5 {
            shown = ids(&tracker.update(i, later + Duration::from_millis(33 * i), hit(), Some(0.1)));
        }
        assert_eq!(shown, [if pause { 2 } else { 1 }], "with a pause: {pause}");
    }
}

/// The other key was pressed while the lesion was in view, and the probe did not move.
#[test]
fn what_stays_in_view_while_another_breast_is_named_goes_on_until_it_is_out_of_view() {
    let mut tracker = Tracker::default();
    let mut number = 0;
    let hit = [signed(100.0, 100.0, 40.0, 0.9, 0.4)];
    in_breast(&mut tracker, Side::Right);
    assert_eq!(look(&mut tracker, &mut number, 5, &hit), [1]);
    in_breast(&mut tracker, Side::Left);
    assert_eq!(look(&mut tracker, &mut number, 1, &hit), [1], "it is not even hidden for a moment");
    in_breast(&mut tracker, Side::Right);
    assert_eq!(look(&mut tracker, &mut number, 9, &hit), [1], "the key was a mistake: no second lesion");
    in_breast(&mut tracker, Side::Left);
    look(&mut tracker, &mut number, 5, &hit);
    look(&mut tracker, &mut number, 4, &[]);
    assert_eq!(look(&mut tracker, &mut number, 5, &hit), [2], "of which breast the first was is not sure");
    // Where a box lies proves nothing at the moment of the change.
    in_breast(&mut tracker, Side::Right);
    let other = [signed(100.0, 100.0, 40.0, 0.9, 0.9)];
    assert_eq!(look(&mut tracker, &mut number, 6, &other), [3]);
}

#[test]
fn naming_the_breast_for_the_first_time_changes_no_number() {
    let mut tracker = Tracker::default();
    let mut number = 0;
    let hit = [square(100.0, 100.0, 40.0, 0.9)];
    assert_eq!(look(&mut tracker, &mut number, 5, &hit), [1]);
    in_breast(&mut tracker, Side::Left);
    assert_eq!(look(&mut tracker, &mut number, 3, &hit), [1]);
    look(&mut tracker, &mut number, 60, &[]);
    assert_eq!(look(&mut tracker, &mut number, 5, &hit), [1]);
}

/// Two lesions that look alike, side by side; the smaller one is forgotten before the larger one.
#[test]
fn a_lesion_never_gets_the_number_of_one_that_outlived_it_in_memory() {
    let [large, small] = [square(156.0, 145.6, 54.7, 0.9), square(113.3, 138.8, 27.4, 0.9)];
    // How long the large one is seen alone, and then none; the large one is back in between where `returns` says so.
    for (alone, returns, away) in [(50, false, 265), (6, true, 230)] {
        let mut tracker = Tracker::default();
        let mut number = 0;
        assert_eq!(look(&mut tracker, &mut number, 6, &[large.clone(), small.clone()]), [1, 2]);
        if returns {
            look(&mut tracker, &mut number, 65, &[]);
        }
        look(&mut tracker, &mut number, alone, std::slice::from_ref(&large));
        look(&mut tracker, &mut number, away, &[]);
        let shown = look(&mut tracker, &mut number, 6, std::slice::from_ref(&small));
        let expected = if returns { 4 } else { 3 };
        assert_eq!(shown, [expected], "alone for {alone} pictures");
    }
}

proptest! {
    #[test]
    fn numbers_rise_are_never_shared_and_memory_is_bounded(
        pictures in prop::collection::vec(prop::collection::vec((0.0f32..500.0, 0.0f32..500.0, 5.0f32..80.0, 0.0f32..1.0), 0..6), 1..60),
    ) {
        let mut tracker = Tracker::default();
        let mut highest = 0;
        for (i, found) in pictures.into_iter().enumerate() {
            let found = found.into_iter().map(|(x, y, s, c)| square(x, y, s, c)).collect();
            let shown = update(&mut tracker, i as u64, found);
            prop_assert!(shown.windows(2).all(|pair| pair[0].id < pair[1].id));
            for lesion in &shown {
                prop_assert!(lesion.outline.iter().flatten().all(|v| v.is_finite()));
                prop_assert!((0.0..=1.0).contains(&lesion.confidence));
                highest = highest.max(lesion.id);
            }
            prop_assert!(tracker.tracks.len() <= 6 * 32);
        }
        prop_assert!(tracker.best().len() >= highest as usize);
    }

    #[test]
    fn one_that_moves_slowly_keeps_its_number(step_x in -8.0f32..8.0, step_y in -8.0f32..8.0, gaps in prop::collection::vec(any::<bool>(), 40)) {
        let mut tracker = Tracker::default();
        let mut last_gap = false;
        for (i, gap) in gaps.into_iter().enumerate() {
            // Never two pictures in a row without it.
            let gap = gap && !last_gap && i > 4;
            last_gap = gap;
            let at = [400.0 + step_x * i as f32, 400.0 + step_y * i as f32];
            let found = if gap { vec![] } else { vec![square(at[0], at[1], 60.0, 0.9)] };
            let shown = update(&mut tracker, i as u64, found);
            if i > 4 {
                prop_assert_eq!(shown.iter().map(|lesion| lesion.id).collect::<Vec<_>>(), vec![1]);
            }
        }
    }

    /// What differs in place, size or kind is another lesion, however long the first one is gone.
    #[test]
    fn another_lesion_never_gets_the_number_of_one_that_went(
        gap in 3u64..400, side in 10.0f32..80.0, which in 0usize..5, by in 1.05f32..4.0, mixed in -0.7f32..0.7, left in any::<bool>(),
    ) {
        let limits = Policy::default().back;
        let mut tracker = Tracker::default();
        let mut number = 0;
        let diagonal = side * std::f32::consts::SQRT_2;
        prop_assert_eq!(look(&mut tracker, &mut number, 6, &[signed(300.0, 300.0, side, 0.9, 0.4)]), vec![1]);
        look(&mut tracker, &mut number, gap, &[]);
        let way = if left { -by } else { by };
        let aside = mixed * limits.beside * diagonal;
        let other = match which {
            0 => signed(300.0 + way * limits.beside * diagonal, 300.0, side, 0.9, 0.4),
            1 => signed(300.0 + aside, 300.0 + way * limits.deeper * diagonal, side, 0.9, 0.4),
            2 => signed(300.0, 300.0, side * limits.times * by, 0.9, 0.4),
            3 => signed(300.0, 300.0, side / (limits.times * by), 0.9, 0.4),
            _ => signed(300.0 + aside, 300.0, side, 0.9, (0.4 + by * limits.signs).min(1.0)),
        };
        prop_assert_eq!(look(&mut tracker, &mut number, 6, &[other]), vec![2]);
    }

    /// Two that were seen side by side are two for ever: neither ever gets the number of the other.
    #[test]
    fn two_lesions_are_never_merged(
        first in (100.0f32..500.0, 100.0f32..500.0, 12.0f32..60.0), second in (100.0f32..500.0, 100.0f32..500.0, 12.0f32..60.0),
        visits in prop::collection::vec((any::<bool>(), any::<bool>(), 0u64..120), 1..8),
    ) {
        let [one, other] = [first, second].map(|(x, y, side)| square(x, y, side, 0.9));
        // They are two things, not two halves of one.
        let apart = (first.0 - second.0).abs().max((first.1 - second.1).abs()) > (first.2 + second.2) / 2.0;
        proptest::prop_assume!(apart);
        let mut tracker = Tracker::default();
        let mut number = 0;
        prop_assert_eq!(look(&mut tracker, &mut number, 6, &[one.clone(), other.clone()]), vec![1, 2]);
        let mut of: std::collections::BTreeMap<u32, f32> = [(1, first.0), (2, second.0)].into();
        for (with_one, with_other, gap) in visits {
            look(&mut tracker, &mut number, gap, &[]);
            let found: Vec<_> = [with_one.then(|| one.clone()), with_other.then(|| other.clone())].into_iter().flatten().collect();
            for _ in 0..6 {
                let shown = update(&mut tracker, number, found.clone());
                number += 1;
                for lesion in shown.iter().filter(|lesion| found.iter().any(|one| one.bounds == lesion.bounds)) {
                    let at = *of.entry(lesion.id).or_insert_with(|| middle(lesion.bounds)[0]);
                    prop_assert!((at - middle(lesion.bounds)[0]).abs() < 1e-3, "{} was at {at}: {:?}", lesion.id, lesion.bounds);
                }
            }
        }
    }

    #[test]
    fn one_that_comes_back_as_it_went_keeps_its_number(
        gap in 3u64..250, side in 10.0f32..80.0, aside in -0.7f32..0.7, deeper in -0.15f32..0.15, times in 0.6f32..1.6, sign in -0.15f32..0.15,
    ) {
        let mut tracker = Tracker::default();
        let mut number = 0;
        let diagonal = side * std::f32::consts::SQRT_2 * (1.0 + times) / 2.0;
        look(&mut tracker, &mut number, 6, &[signed(300.0, 300.0, side, 0.9, 0.4)]);
        look(&mut tracker, &mut number, gap, &[]);
        let back = signed(300.0 + aside * diagonal, 300.0 + deeper * diagonal, side * times, 0.9, 0.4 + sign);
        prop_assert_eq!(look(&mut tracker, &mut number, 6, &[back]), vec![1]);
    }
}
