//! Reads a depth scale: the distance of its ticks in pixels. Pure.
//!
//! A scanner draws marks (the focus) on its scale. One that covers the short ticks leaves the long ones, which are evenly spaced, too, and
//! two to ten times as far apart: sizes would be too small by that factor, so where short ticks are left anywhere there is no scale.

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

/// By how much the ticks of one column may be closer than those of another one: from one long tick to the next.
const FINER: std::ops::RangeInclusive<u8> = 2..=10;

/// Bright rows of a column.
#[derive(Debug, Default)]
struct Runs {
    /// Middle rows of those that are as thin as a tick.
    thin: Vec<f32>,
    /// First and last row of the others.
    thick: Vec<[f32; 2]>,
}

/// The column with the most ticks in an area of grey levels, given row by row. `None` when no column has four evenly
/// spaced ticks, or when another column shows that ticks are closer.
pub fn find(grey: &[u8], width: usize) -> Option<Ticks> {
    let (low, high) = grey.iter().fold((u8::MAX, u8::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    if width == 0 || high.saturating_sub(low) < CONTRAST {
        return None;
    }
    let level = low + (high - low) / 2;
    let columns: Vec<Runs> =
        (0..width).map(|column| runs(grey.iter().skip(column).step_by(width).map(|v| *v > level))).collect();
    let ticks = columns.iter().enumerate().filter(|(_, runs)| runs.thick.is_empty()).filter_map(|(column, runs)| {
        let (first, count, spacing) = regular(&runs.thin)?;
        Some(Ticks { column, first, count, spacing })
    });
    // Of columns with equally many ticks, the first.
    let best = ticks.reduce(|best, next| if next.count > best.count { next } else { best })?;
    (!columns.iter().any(|runs| runs.is_finer(&best))).then_some(best)
}

fn runs(rows: impl Iterator<Item = bool>) -> Runs {
    let mut found = Runs::default();
    let mut length = 0;
    for (row, ink) in rows.chain([false]).enumerate() {
        if ink {
            length += 1;
        } else if length > 0 {
            let (first, last) = ((row - length) as f32, row as f32 - 1.0);
            if length > THICKEST {
                found.thick.push([first, last])
            } else {
                found.thin.push(f32::midpoint(first, last))
            }
            length = 0;
        }
    }
    found
}

impl Runs {
    /// Whether here are ticks between those of `ticks`, where nothing covers them: at most of the rows at one of the fractions of
    /// their distance.
    fn is_finer(&self, ticks: &Ticks) -> bool {
        let between = |parts: u8| {
            let step = ticks.spacing / f32::from(parts);
            let rows = (1..(ticks.count - 1) * usize::from(parts)).filter(move |i| i % usize::from(parts) != 0);
            let free: Vec<f32> = rows.map(|i| ticks.first + i as f32 * step).filter(|row| !self.covers(*row)).collect();
            let there = free.iter().filter(|row| self.thin.iter().any(|at| (at - *row).abs() <= OFF)).count();
            step >= NEAREST && there > 0 && 2 * there >= free.len()
        };
        FINER.into_iter().any(between)
    }

    fn covers(&self, row: f32) -> bool {
        self.thick.iter().any(|[first, last]| (first - OFF..=last + OFF).contains(&row))
    }
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

    /// The focus: a triangle whose point is on the right, in the first six columns or more.
    fn marked(mut grey: Vec<u8>, middle: usize, half: usize) -> Vec<u8> {
        for column in 0..=half {
            let reach = half - column;
            (middle - reach..=middle + reach).for_each(|y| grey[y * 44 + column] = 200);
        }
        grey
    }

    proptest! {
        /// Every second tick is long; the mark stands on a tick or between two.
        #[test]
        fn a_mark_on_the_scale_never_makes_sizes_a_fraction_of_what_they_are(
            spacing in 14.0f32..110.0, middle in 20usize..590, half in 2usize..12,
        ) {
            let found = find(&marked(strip(616, spacing, 10, 200), middle, half), 44);
            let is_true = |ticks: &Ticks| (ticks.spacing - spacing).abs() <= 0.05 * spacing;
            prop_assert!(found.as_ref().is_none_or(is_true), "{found:?}");
        }
    }

    #[test]
    fn under_a_focus_mark_the_long_ticks_alone_are_no_scale() {
        let clean = strip(616, 40.0, 10, 200);
        assert!((find(&clean, 44).unwrap().spacing - 40.0).abs() < 0.1);
        assert_eq!(find(&marked(clean.clone(), 300, 6), 44), None, "between two ticks; 80 would be half of each size");
        let mut bar = clean;
        (90..500).for_each(|y| bar[y * 44..][..8].fill(200));
        assert_eq!(find(&bar, 44), None, "a bar over most of the short ticks");
    }

    /// Many scanners draw the axis, too.
    #[test]
    fn ticks_beside_a_line_from_top_to_bottom_are_a_scale() {
        let mut grey = strip(616, 40.0, 10, 200);
        (0..616).for_each(|y| grey[y * 44] = 200);
        assert!((find(&grey, 44).unwrap().spacing - 40.0).abs() < 0.1);
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
