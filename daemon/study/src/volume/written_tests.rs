//! What is burnt over the body is named, metal and bone are not taken for it.

use super::*;

const WIDE: usize = 96;

/// A body with lungs, bone and some noise; `z` moves it a little.
fn slice(z: usize) -> Vec<i16> {
    let value = |i: usize| {
        let (x, y) = ((i % WIDE) as f64 - 48.0, (i / WIDE) as f64 - 48.0 - 0.3 * z as f64);
        let noise = ((i * 7919 + z * 104_729) % 41) as i16 - 20;
        let hu = match (x / 44.0).hypot(y / 36.0) {
            r if r > 1.0 => return -1000,
            r if r > 0.93 => 700 + (i % 13) as i16 * 30,
            _ if x.abs() > 8.0 && (x / 36.0).hypot(y / 28.0) < 1.0 => -850,
            _ => 40,
        };
        hu + noise
    };
    (0..WIDE * WIDE).map(value).collect()
}

/// "HE", with strokes of two pixels, from column and row.
fn write(slice: &mut [i16], column: usize, row: usize, value: i16) {
    let rows = ["##..##..####", "##..##..##..", "######..####", "##..##..##..", "##..##..####"];
    for (y, line) in rows.iter().flat_map(|line| [line, line]).enumerate() {
        for (x, _) in line.bytes().enumerate().filter(|(_, byte)| *byte == b'#') {
            slice[(row + y) * WIDE + column + x] = value;
        }
    }
}

fn judged(slice: &[i16], beside: &[Vec<i16>]) -> bool {
    is_written(slice, &beside.iter().map(Vec::as_slice).collect::<Vec<_>>(), WIDE)
}

#[test]
fn a_short_word_over_the_body_is_found_whatever_its_brightness_also_at_an_end() {
    for value in [1000, 3071, 31743] {
        let mut written = slice(5);
        write(&mut written, 20, 40, value);
        assert!(judged(&written, &[slice(4), slice(6)]), "{value}");
        assert!(judged(&written, &[slice(4)]), "{value}, the last slice");
    }
    assert!(!judged(&slice(5), &[slice(4), slice(6)]));
}

#[test]
fn what_is_written_beside_the_body_or_in_each_slice_hides_nothing() {
    let mut written = slice(5);
    write(&mut written, 0, 0, 3071);
    assert!(!judged(&written, &[slice(4), slice(6)]));
    let [before, here, after] = [4, 5, 6].map(|z| {
        let mut slice = slice(z);
        write(&mut slice, 20, 40, 3071);
        slice
    });
    assert!(!judged(&here, &[before, after]));
}

#[test]
fn metal_in_one_slice_is_no_text() {
    let mut metal = slice(5);
    for (y, x) in (0..WIDE).flat_map(|y| (0..WIDE).map(move |x| (y, x))) {
        let r = (x as f64 - 40.0).hypot((y as f64 - 45.0) / 2.0);
        // Cut off at the top of the scale within, blurred at its edge, streaks beyond.
        let shine = 9000.0 * (-(r / 4.0).powi(2)).exp();
        metal[y * WIDE + x] = (f64::from(metal[y * WIDE + x]) + shine).min(3071.0) as i16;
    }
    assert!(metal.iter().filter(|hu| **hu == 3071).count() > 2 * LEAST_PIXELS);
    assert!(!judged(&metal, &[slice(4), slice(6)]));
}

#[test]
fn slices_of_any_size_are_judged() {
    for (len, columns) in [(0, 0), (1, 1), (7, 3), (100, 0), (100, 100), (100, 1)] {
        let bright: Vec<i16> = vec![3000; len];
        let dark: Vec<i16> = vec![0; len];
        assert!(!is_written(&bright, &[&dark], columns), "{len} by {columns}: nothing lies beside it");
    }
}
