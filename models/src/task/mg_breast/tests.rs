//! The reading of one mammogram on pictures that are drawn: any side and turn, negatives, blank ones, noise, every size.

use proptest::prelude::{ProptestConfig, any, prop, prop_assert, proptest};

use super::*;

const WIDE: usize = 240;
const HIGH: usize = 400;
/// Where the label lies, left and top, and its size.
const LABEL: [usize; 4] = [190, 20, 30, 24];

/// A breast at the left, 160 pixels deep, with a muscle whose edge runs from 80 at the top to 180 down at the wall, a dense disc and
/// a label.
pub(super) fn drawn(muscle: bool) -> Picture {
    let noise = |i: usize| ((i.wrapping_mul(2_654_435_761) >> 7) % 100) as f32 / 5000.0;
    let value = |x: usize, y: usize| {
        let (fx, fy) = (x as f32, y as f32);
        let [left, top, wide, high] = LABEL;
        if (left..left + wide).contains(&x) && (top..top + high).contains(&y) {
            return 1.0;
        }
        let half = (1.0 - ((fy - 190.0) / 185.0).powi(2)).max(0.0).sqrt() * 160.0;
        let background = 0.04 + noise(y * WIDE + x);
        if fx > half {
            return background;
        }
        if muscle && fx / 80.0 + fy / 180.0 < 1.0 {
            return 0.85 + noise(y * WIDE + x);
        }
        if (fx - 90.0).hypot(fy - 240.0) < 40.0 { 0.8 } else { 0.45 + noise(y * WIDE + x) }
    };
    Picture::reduced([WIDE, HIGH], Some(0.4), value)
}

fn expected() -> Expected {
    Expected { muscle: true, density: true }
}

fn mirrored(picture: &Picture) -> Picture {
    let values = picture.values.chunks_exact(picture.width).flat_map(|row| row.iter().rev().copied()).collect();
    Picture { values, ..*picture }
}

fn turned(picture: &Picture) -> Picture {
    let values = picture::transposed(&picture.values, picture.width);
    Picture { width: picture.height, height: picture.width, values, mm: picture.mm }
}

fn holds(reading: &Reading, [x, y]: [f32; 2]) -> bool {
    let line = &reading.breast.outline;
    let mut inside = false;
    for (a, b) in line.iter().zip(line.iter().cycle().skip(1)) {
        if (a[1] > y) != (b[1] > y) && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0] {
            inside = !inside;
        }
    }
    inside
}

#[test]
fn the_breast_is_outlined_without_its_label_and_measured() {
    let reading = read(&drawn(true), expected()).unwrap();
    assert_eq!(reading.chest_wall, Side::Left);
    assert!(holds(&reading, [90.0, 240.0]) && !holds(&reading, [205.0, 32.0]), "disc inside, label outside");
    let truth = std::f32::consts::PI * 160.0 * 185.0 / 2.0 * 0.0016;
    let area = reading.breast.area_cm2.unwrap();
    assert!((area / truth - 1.0).abs() < 0.05, "{area} instead of {truth} cm2");
    let depth = reading.breast.depth_mm.unwrap();
    assert!((depth - 64.0).abs() < 2.0, "{depth}");
    let nipple = reading.nipple;
    // Half way between wall and muscle: up to 18 mm below the farthest point.
    assert!((190.0..235.0).contains(&nipple.at[1]) && nipple.to_chest_wall_mm.unwrap() > 60.0, "{nipple:?}");
    let percent = reading.density.unwrap().percent;
    assert!((8.0..22.0).contains(&percent), "the disc is a seventh of what is left: {percent}");
}

#[test]
fn the_edge_of_the_muscle_is_found_where_it_is_and_not_where_there_is_none() {
    let reading = read(&drawn(true), expected()).unwrap();
    let muscle = reading.muscle.unwrap();
    for [x, y] in &muscle.edge {
        let away = (x / 80.0 + y / 180.0 - 1.0).abs() / (1.0f32 / 80.0).hypot(1.0 / 180.0);
        assert!(away < 6.0, "{away} pixels from the edge at {x} {y}");
    }
    assert!((muscle.angle_deg - 24.0).abs() < 4.0 && muscle.at_top, "{}", muscle.angle_deg);
    assert_eq!(read(&drawn(false), expected()).unwrap().muscle, None);
    let cc = read(&drawn(true), Expected { muscle: false, density: true }).unwrap();
    assert_eq!(cc.muscle, None, "not looked for");
}

#[test]
fn mirrored_and_turned_it_is_the_same_breast_at_another_side() {
    let picture = drawn(true);
    let first = read(&picture, expected()).unwrap();
    for (other, side) in
        [(mirrored(&picture), Side::Right), (turned(&picture), Side::Top), (turned(&mirrored(&picture)), Side::Bottom)]
    {
        let reading = read(&other, expected()).unwrap();
        assert_eq!(reading.chest_wall, side);
        let (a, b) = (first.breast.area_cm2.unwrap(), reading.breast.area_cm2.unwrap());
        assert!((a - b).abs() < 0.5, "{a} {b}");
        assert!((first.density.unwrap().percent - reading.density.unwrap().percent).abs() < 1.0);
        assert!(reading.muscle.is_some(), "{side:?}");
    }
    // Points come back into the picture that was given.
    let right = read(&mirrored(&picture), expected()).unwrap();
    assert!((right.nipple.at[0] - (WIDE as f32 - first.nipple.at[0])).abs() < 1.0);
    assert!(holds(&right, [WIDE as f32 - 90.0, 240.0]));
}

#[test]
fn a_negative_is_named_and_nothing_is_measured_in_it() {
    let picture = drawn(true);
    let negative = Picture { values: picture.values.iter().map(|v| 1.0 - v).collect(), ..picture };
    assert_eq!(read(&negative, expected()), Err(Unreadable::Inverted));
}

#[test]
fn what_is_no_picture_of_a_breast_is_named() {
    let flat = |value: f32| Picture::reduced([300, 400], Some(0.4), |_, _| value);
    assert_eq!(read(&flat(0.0), expected()), Err(Unreadable::Blank));
    assert_eq!(read(&flat(1.0), expected()), Err(Unreadable::Blank));
    assert_eq!(read(&Picture::reduced([1, 1], None, |_, _| 0.5), expected()), Err(Unreadable::TooSmall));
    assert_eq!(read(&Picture::reduced([0, 0], None, |_, _| 0.5), expected()), Err(Unreadable::TooSmall));
    let noise = Picture::reduced([300, 400], Some(0.4), |x, y| ((x * 7919 + y * 104_729) % 997) as f32 / 997.0);
    assert!(read(&noise, expected()).is_err());
}

#[test]
fn without_a_spacing_there_are_no_millimetres() {
    let picture = Picture { mm: None, ..drawn(true) };
    let reading = read(&picture, expected()).unwrap();
    assert_eq!((reading.breast.area_cm2, reading.breast.depth_mm, reading.mm_per_pixel), (None, None, None));
    assert_eq!((reading.nipple.to_chest_wall_mm, reading.nipple.to_muscle_mm), (None, None));
    assert!(reading.density.is_some(), "a percentage needs none");
}

#[test]
fn a_detector_is_reduced_to_the_working_grid() {
    let reduced = Picture::reduced([2400, 3000], Some(0.1), |_, _| 0.5);
    assert_eq!((reduced.width, reduced.height, reduced.mm), (600, 750, Some(0.4)));
    let film = Picture::reduced([500, 600], Some(0.4), |_, _| 0.5);
    assert_eq!((film.width, film.mm), (500, Some(0.4)));
    let unknown = Picture::reduced([3328, 4096], None, |_, _| f32::NAN);
    assert!(unknown.height <= 640 && unknown.mm.is_none() && unknown.values[0] == 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_picture_of_any_size_panics(
        width in 1usize..90,
        height in 1usize..90,
        mm in prop::option::of(0.01f64..5.0),
        seed in any::<u64>(),
        smooth in 1u64..40,
    ) {
        let value = |x: usize, y: usize| {
            let cell = (x as u64 / smooth).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (y as u64 / smooth).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
            ((cell ^ seed).wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / 16_777_216.0
        };
        let picture = Picture::reduced([width, height], mm, value);
        if let Ok(reading) = read(&picture, expected()) {
            let inside = |p: &[f32; 2]| (0.0..=picture.width as f32).contains(&p[0]) && (0.0..=picture.height as f32).contains(&p[1]);
            prop_assert!(reading.breast.outline.iter().all(inside));
            prop_assert!(inside(&reading.nipple.at));
        }
    }
}
