//! How sharp the picture is by depth: the width of its speckle across the beam, which is narrowest at the focus. Judged against the depth of
//! a lesion; a scanner that focuses everywhere is even.

use serde::{Deserialize, Serialize};

use super::contact::{self, Contact};
use super::{Columns, Scan};
use crate::cast;

/// The depth is judged in so many bands.
pub const BANDS: usize = 8;
/// Darker and brighter bands than these mean levels say nothing of sharpness.
const LEVELS: std::ops::RangeInclusive<f64> = 18.0..=215.0;
/// Where the speckle at a lesion is wider than the narrowest by this factor, it is out of focus.
const BLURRED: f32 = 1.35;
/// Narrower than this, pixels, it is the noise of pixels and no speckle.
const NARROWEST: f32 = 0.6;
/// Fewer bands with speckle say nothing.
const LEAST: usize = 4;

#[derive(Debug, Clone, PartialEq)]
pub struct Focus {
    /// Width of the speckle across the beam in each band that shows any: standard deviation, pixels.
    pub widths: [Option<f32>; BANDS],
    /// Where it is narrowest: the middle of that band, a share of the depth.
    pub sharpest: f32,
    /// Width at the lesion, as a multiple of the narrowest.
    pub at_lesion: f32,
    pub word: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    Good,
    /// Above the lesion.
    TooShallow,
    /// Below it.
    TooDeep,
}

/// Judges what has contact; `lesion`: the row of the sector in which the middle of the lesion lies. `None` where there is too little
/// speckle.
pub fn judge(scan: &Scan<'_>, columns: Columns, contact: &Contact, lesion: f32) -> Option<Focus> {
    let height = scan.height();
    let bounds = |band: usize| band * height / BANDS..(band + 1) * height / BANDS;
    let widths: [Option<f32>; BANDS] = std::array::from_fn(|band| width(scan, columns, contact, bounds(band)));
    if widths.iter().flatten().count() < LEAST {
        return None;
    }
    let known = widths.iter().enumerate().filter_map(|(band, width)| Some((band, (*width)?)));
    let (sharpest, narrowest) = known.clone().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let own = cast::floor_index(f64::from(lesion / height as f32 * BANDS as f32)).min(BANDS - 1);
    // A lesion without echoes has no speckle: that of the nearest band counts.
    let (_, beside) = known.min_by_key(|(band, _)| band.abs_diff(own))?;
    let at_lesion = beside / narrowest;
    let word = match sharpest.cmp(&own) {
        _ if at_lesion < BLURRED => Word::Good,
        std::cmp::Ordering::Less => Word::TooShallow,
        std::cmp::Ordering::Greater => Word::TooDeep,
        std::cmp::Ordering::Equal => Word::Good,
    };
    Some(Focus { widths, sharpest: (sharpest as f32 + 0.5) / BANDS as f32, at_lesion, word })
}

/// Standard deviation of speckle across, pixels: of neighbouring pixels with correlation r it is 1 / sqrt(-4 ln r), when speckle is Gaussian.
/// Median over the strips that have contact.
fn width(scan: &Scan<'_>, columns: Columns, contact: &Contact, rows: std::ops::Range<usize>) -> Option<f32> {
    let touching = (0..contact::STRIPS).filter(|strip| contact.strips.get(*strip) == Some(&true));
    let mut widths: Vec<f32> =
        touching.filter_map(|strip| width_of(scan, contact::of(strip, columns), rows.clone())).collect();
    widths.sort_by(f32::total_cmp);
    widths.get(widths.len() / 2).copied().filter(|width| *width >= NARROWEST)
}

fn width_of(scan: &Scan<'_>, [first, end]: Columns, rows: std::ops::Range<usize>) -> Option<f32> {
    let (mut count, mut sum, mut squares, mut products) = (0f64, 0f64, 0f64, 0f64);
    for y in rows {
        let row = scan.row(y).get(first..end)?;
        // Within the row of one strip: what is wider than that is tissue and not speckle.
        let mean = row.iter().map(|level| f64::from(*level)).sum::<f64>() / row.len().max(1) as f64;
        sum += mean * row.len().saturating_sub(1) as f64;
        for pair in row.windows(2) {
            let [a, b] = [f64::from(pair[0]) - mean, f64::from(pair[1]) - mean];
            count += 1.0;
            squares += (a * a + b * b) / 2.0;
            products += a * b;
        }
    }
    let (mean, variance) = (sum / count.max(1.0), squares / count.max(1.0));
    if !LEVELS.contains(&mean) || variance < 4.0 {
        return None;
    }
    let likeness = (products / count / variance).clamp(0.01, 0.999);
    Some(cast::single(1.0 / (-4.0 * likeness.ln()).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Drawn;
    use super::*;

    /// Speckle that is sharp in one part of the depth and smeared elsewhere.
    fn focused(sharp: std::ops::Range<usize>) -> Drawn {
        let mut drawn = Drawn::tissue(320, 240);
        let original = drawn.levels.clone();
        for y in (0..240).filter(|y| !sharp.contains(y)) {
            for x in 0..320 {
                let around = original[y * 320 + x.max(4) - 4..y * 320 + (x + 5).min(320)].iter();
                let (sum, count) = around.fold((0u32, 0u32), |(sum, count), v| (sum + u32::from(*v), count + 1));
                drawn.levels[y * 320 + x] = u8::try_from(sum / count).unwrap();
            }
        }
        drawn
    }

    fn judged(drawn: &Drawn, lesion: f32) -> Option<Focus> {
        let contact = contact::judge(&drawn.scan(), [0, drawn.width]);
        judge(&drawn.scan(), [0, drawn.width], &contact, lesion)
    }

    #[test]
    fn the_focus_is_judged_against_the_depth_of_the_lesion() {
        let upper = focused(0..90);
        assert_eq!(judged(&upper, 40.0).unwrap().word, Word::Good);
        let below = judged(&upper, 200.0).unwrap();
        assert!(below.word == Word::TooShallow && below.sharpest < 0.4, "{below:?}");
        assert_eq!(judged(&focused(150..240), 30.0).unwrap().word, Word::TooDeep);
        assert_eq!(judged(&Drawn::tissue(320, 240), 200.0).unwrap().word, Word::Good, "sharp everywhere");
        assert_eq!(judged(&Drawn::black(320, 240), 100.0), None);
    }
}
