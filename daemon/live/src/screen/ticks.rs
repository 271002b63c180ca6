//! Reads a depth scale: the distance of its ticks in pixels. Pure.

/// Fewer ticks are not taken for a scale.
const LEAST_TICKS: usize = 4;
/// The thickest tick, pixels.
const THICKEST: usize = 4;
/// The smallest distance of neighbouring ticks, pixels.
const NEAREST: f32 = 6.0;
/// How far a tick may be from its expected row, pixels: scanners round to whole pixels.
const OFF: f32 = 1.5;
/// The smallest contrast between tick and background, grey levels.
const CONTRAST: u8 = 40;

/// A column in which ticks were found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ticks {
    /// Column within the area.
    pub column: usize,
    /// Row of the first tick.
    pub first: f32,
    pub count: usize,
    /// Distance of neighbouring ticks, pixels.
    pub spacing: f32,
}

/// The column with the most ticks in an area of grey levels, given row by row. `None` when no column has four evenly
/// spaced ticks.
pub fn find(grey: &[u8], width: usize) -> Option<Ticks> {
    let (low, high) = grey.iter().fold((u8::MAX, u8::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    if width == 0 || high.saturating_sub(low) < CONTRAST {
        return None;
    }
    let level = low + (high - low) / 2;
    let columns = (0..width).filter_map(|column| {
        let rows = grey.get(column..)?.iter().step_by(width).map(|v| *v > level);
        let (first, count, spacing) = regular(&runs(rows))?;
        Some(Ticks { column, first, count, spacing })
    });
    // Of columns with equally many ticks, the first.
    columns.reduce(|best, next| if next.count > best.count { next } else { best })
}

/// Middle rows of the bright runs; empty when one run is too thick for a tick.
fn runs(rows: impl Iterator<Item = bool>) -> Vec<f32> {
    let mut middles = Vec::new();
    let mut length = 0;
    for (row, ink) in rows.chain([false]).enumerate() {
        match ink {
            true => length += 1,
            false if length > THICKEST => return Vec::new(),
            false if length > 0 => {
                middles.push(row as f32 - (length as f32 + 1.0) / 2.0);
                length = 0;
            }
            false => {}
        }
    }
    middles
}

/// First row, number and distance of the ticks, when all are evenly spaced.
fn regular(middles: &[f32]) -> Option<(f32, usize, f32)> {
    let (first, last) = (middles.first()?, middles.last()?);
    let count = middles.len();
    if count < LEAST_TICKS {
        return None;
    }
    let spacing = (last - first) / (count - 1) as f32;
    let even = middles.iter().enumerate().all(|(i, at)| (at - first - i as f32 * spacing).abs() <= OFF);
    (even && spacing >= NEAREST).then_some((*first, count, spacing))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    /// 44 pixels wide: a long tick each second time, on the left; a digit's stroke beside the long ones.
    fn strip(height: usize, spacing: f32, ground: u8, ink: u8) -> Vec<u8> {
        let mut grey = vec![ground; 44 * height];
        let mut i = 0;
        while ((i as f32 * spacing) as usize) < height {
            let y = (i as f32 * spacing) as usize;
            grey[y * 44..][..if i % 2 == 0 { 12 } else { 6 }].fill(ink);
            if i % 2 == 0 && y + 8 < height {
                (y..y + 8).for_each(|y| grey[y * 44 + 18] = ink);
            }
            i += 1;
        }
        grey
    }

    proptest! {
        #[test]
        fn the_spacing_is_read_to_a_hundredth(spacing in 12.0f32..110.0, ground in 0u8..60, ink in 140u8..255) {
            let ticks = find(&strip(616, spacing, ground, ink), 44).unwrap();
            prop_assert!((ticks.spacing - spacing).abs() <= 1.0 / (ticks.count - 1) as f32, "{:?}", ticks);
            prop_assert!(ticks.column < 6, "the short ones too: {:?}", ticks);
        }
    }

    #[test]
    fn what_is_no_scale_gives_none() {
        assert_eq!(find(&[], 44), None);
        assert_eq!(find(&[7; 44 * 100], 44), None);
        assert_eq!(find(&[1, 2], 0), None);
        let mut uneven = vec![0; 44 * 200];
        for y in [3, 20, 90, 100, 180] {
            uneven[y * 44] = 255;
        }
        assert_eq!(find(&uneven, 44), None);
        let bars: Vec<u8> = (0..44 * 200).map(|i| if i / 44 / 20 % 2 == 0 { 255 } else { 0 }).collect();
        assert_eq!(find(&bars, 44), None, "too thick for ticks");
    }
}
