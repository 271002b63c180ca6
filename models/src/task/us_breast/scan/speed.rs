//! How fast the image plane moves over the skin, estimated from three pictures that follow each other: within the plane by where blocks of
//! speckle have gone, across it by how much speckle has become another one. A freehand estimate: persistence of the scanner makes it too
//! low, moving tissue too high, and the way across which speckle changes is one of the probe, which a picture does not tell.
//!
//! Two pictures a distance d apart across the plane have a likeness of about exp(-(d/l)^2) (Chen, Fowlkes, Carson, Rubin: "Determination of
//! scan-plane motion using speckle decorrelation", Int. J. Imaging Syst. Technol. 8, 1997; the form for a Gaussian beam). Noise lowers every
//! likeness by the same factor, so what is used is how much more the first picture differs from the third than neighbours do.

use std::time::Duration;

use super::{Columns, Scan, Unjudged};
use crate::cast;

/// The way across the plane over which the likeness falls to 1/e, where the profile does not say it: mm. Of linear probes of 10 to 15 MHz.
pub const ASSUMED_ELEVATION_MM: f32 = 1.0;
/// A lesion of 5 mm stays in the plane for a quarter of a second.
pub const FASTEST_MM_S: f32 = 20.0;
/// Three pictures in more time than this are no sweep.
const LONGEST: Duration = Duration::from_millis(350);
/// Pixels are averaged until they are about this large, mm: speckle is larger.
const PIXEL_MM: f32 = 0.13;
/// Side of a block, and how far it is looked for across and down, pixels of the averaged picture.
const BLOCK: usize = 32;
const REACH: [usize; 2] = [10, 4];
/// Blocks: so many across and down, from here to there in the depth.
const GRID: [usize; 2] = [6, 3];
const DEPTHS: (f32, f32) = (0.08, 0.62);
/// Fewer blocks say nothing.
const LEAST_BLOCKS: usize = 5;
/// A block shows speckle between these mean levels, and from this deviation on.
const LEVELS: std::ops::RangeInclusive<f32> = 18.0..=220.0;
const LEAST_DEVIATION: f32 = 4.0;
/// Structures wider than about twice this are taken away: they are alike much further than speckle is. Pixels of the averaged picture.
const SMOOTH: usize = 6;
/// Below this likeness two pictures may share nothing: the best of many places for a block of other speckle has about 0.35.
const LOST: f32 = 0.45;
/// What noise takes of the likeness of neighbours, as -ln, where it cannot be measured.
const NOISE: f32 = 0.05;

/// A picture in the form in which it is compared.
#[derive(Debug, Clone)]
pub struct Small {
    /// Without its wider structures.
    fine: Vec<f32>,
    /// Mean levels around each pixel.
    coarse: Vec<f32>,
    width: usize,
    height: usize,
    /// Millimetres per pixel.
    mm: f32,
    at: Duration,
}

/// The plane's motion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// Within the plane, along the probe, and across the plane, mm/s.
    pub along_mm_s: f32,
    pub across_mm_s: f32,
    /// It is at least this fast: neighbouring pictures share nothing.
    pub is_least: bool,
}

impl Speed {
    pub fn mm_s(&self) -> f32 {
        self.along_mm_s.hypot(self.across_mm_s)
    }

    pub fn is_too_fast(&self) -> bool {
        self.mm_s() > FASTEST_MM_S
    }
}

impl Small {
    /// Of the image in one picture that was captured at `at`; `None` where its scale is not known or it is too small.
    pub fn of(scan: &Scan<'_>, [first, end]: Columns, at: Duration) -> Option<Self> {
        let scale = scan.mm_per_pixel.filter(|scale| *scale > 0.0)?;
        let step = cast::floor_index(f64::from(PIXEL_MM / scale)).clamp(1, 8);
        let (width, height) = ((end - first) / step, scan.height() / step);
        if width < BLOCK + 2 * REACH[0] || height < BLOCK + 2 * REACH[1] {
            return None;
        }
        let mut levels = vec![0f32; width * height];
        for y in 0..height * step {
            let row = scan.row(y).get(first..first + width * step)?;
            let out = &mut levels[y / step * width..][..width];
            for (out, cells) in out.iter_mut().zip(row.chunks_exact(step)) {
                *out += cells.iter().map(|level| f32::from(*level)).sum::<f32>();
            }
        }
        let share = 1.0 / (step * step) as f32;
        levels.iter_mut().for_each(|level| *level *= share);
        let coarse = smooth(&levels, width, height);
        let fine = levels.iter().zip(&coarse).map(|(level, mean)| level - mean).collect();
        Some(Self { fine, coarse, width, height, mm: scale * step as f32, at })
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.width, self.height) == (other.width, other.height) && (self.mm - other.mm).abs() < 0.02 * self.mm
    }

    /// The same picture, but for the noise of the video: scanners bring fewer pictures than the video does.
    pub fn is_same(&self, other: &Self) -> bool {
        let pairs = || self.fine.iter().zip(&other.fine).step_by(7);
        let changed = pairs().filter(|(a, b)| (*a - *b).abs() > 2.0).count();
        self.is_like(other) && changed * 200 <= pairs().count()
    }
}

/// Mean of a box, by sums along rows and then columns.
fn smooth(levels: &[f32], width: usize, height: usize) -> Vec<f32> {
    let along = |from: &[f32], count: usize, step: usize, lines: usize, next: usize| {
        let mut out = vec![0f32; from.len()];
        for line in 0..lines {
            let at = |i: usize| line * next + i * step;
            let mut sum: f32 = (0..SMOOTH.min(count)).map(|i| from[at(i)]).sum();
            for i in 0..count {
                if i + SMOOTH < count {
                    sum += from[at(i + SMOOTH)];
                }
                if i > SMOOTH {
                    sum -= from[at(i - SMOOTH - 1)];
                }
                let inside = (i + SMOOTH + 1).min(count) - i.saturating_sub(SMOOTH);
                out[at(i)] = sum / inside as f32;
            }
        }
        out
    };
    let rows = along(levels, width, 1, height, width);
    along(&rows, height, width, width, 1)
}

/// How alike two pictures are when their blocks are laid over each other as well as possible.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Likeness {
    /// Median of the blocks, 0 to 1.
    value: f32,
    /// How far blocks have gone across, mm.
    along_mm: f32,
}

fn likeness(a: &Small, b: &Small) -> Option<Likeness> {
    let (mut values, mut ways) = (Vec::new(), Vec::new());
    let top = cast::floor_index(f64::from(a.height as f32 * DEPTHS.0));
    let bottom = cast::floor_index(f64::from(a.height as f32 * DEPTHS.1));
    let spread = |i: usize, of: usize, from: usize, to: usize| from + to.saturating_sub(from) * i / (of - 1).max(1);
    for down in 0..GRID[1] {
        let last = bottom.saturating_sub(BLOCK).max(top).min(a.height - BLOCK - REACH[1]);
        let y = spread(down, GRID[1], top.max(REACH[1]), last);
        for across in 0..GRID[0] {
            let x = spread(across, GRID[0], REACH[0], a.width - BLOCK - REACH[0]);
            if !shows_speckle(a, [x, y]) {
                continue;
            }
            let (value, way) = matched(a, b, [x, y]);
            values.push(value);
            ways.push(way);
        }
    }
    (values.len() >= LEAST_BLOCKS).then(|| Likeness { value: median(&mut values), along_mm: median(&mut ways) * a.mm })
}

fn median(values: &mut [f32]) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn shows_speckle(picture: &Small, [x, y]: [usize; 2]) -> bool {
    let rows = || (y..y + BLOCK).map(|y| y * picture.width + x..y * picture.width + x + BLOCK);
    let mean = rows().flat_map(|row| &picture.coarse[row]).sum::<f32>() / (BLOCK * BLOCK) as f32;
    let power = rows().flat_map(|row| &picture.fine[row]).map(|v| v * v).sum::<f32>() / (BLOCK * BLOCK) as f32;
    LEVELS.contains(&mean) && power.sqrt() >= LEAST_DEVIATION
}

/// Best likeness of the block of `a` at this place with those of `b` around it, and how far across that one is, pixels.
fn matched(a: &Small, b: &Small, at: [usize; 2]) -> (f32, f32) {
    let [across, down] = REACH.map(|reach| reach as isize);
    let value = |way: [isize; 2], every: usize| correlation(a, b, at, way, every);
    let coarse = (-across..=across).step_by(2).flat_map(|dx| (-down..=down).step_by(2).map(move |dy| [dx, dy]));
    let first = coarse
        .map(|way| (way, value(way, 2)))
        .fold(([0, 0], f32::MIN), |best, next| if next.1 > best.1 { next } else { best });
    let near = (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| [first.0[0] + dx, first.0[1] + dy]));
    let inside = near.filter(|[dx, dy]| dx.abs() <= across && dy.abs() <= down);
    let (way, best) = inside
        .map(|way| (way, value(way, 1)))
        .fold((first.0, f32::MIN), |best, next| if next.1 > best.1 { next } else { best });
    // Between whole pixels the likeness is higher: the top of a parabola through the neighbours.
    let top = |low: f32, high: f32| {
        let bend = low - 2.0 * best + high;
        if bend < 0.0 {
            (best - (low - high).powi(2) / (8.0 * bend), (0.5 * (low - high) / bend).clamp(-0.5, 0.5))
        } else {
            (best, 0.0)
        }
    };
    let [dx, dy] = way;
    if dx.abs() == across || dy.abs() == down {
        return (best.clamp(0.0, 1.0), dx as f32);
    }
    let (wide, shift) = top(value([dx - 1, dy], 1), value([dx + 1, dy], 1));
    let (high, _) = top(value([dx, dy - 1], 1), value([dx, dy + 1], 1));
    ((wide + high - best).clamp(0.0, 1.0), dx as f32 + shift)
}

/// Normalised correlation of a block of `a` with that of `b` which lies `way` further; of every so many pixels both ways.
fn correlation(a: &Small, b: &Small, [x, y]: [usize; 2], way: [isize; 2], every: usize) -> f32 {
    let (mut ab, mut aa, mut bb) = (0f32, 0f32, 0f32);
    for row in (0..BLOCK).step_by(every) {
        let own = (y + row) * a.width + x;
        let Some(other) =
            (own as isize).checked_add(way[1] * a.width as isize + way[0]).and_then(|at| usize::try_from(at).ok())
        else {
            return 0.0;
        };
        let (Some(own), Some(other)) = (a.fine.get(own..own + BLOCK), b.fine.get(other..other + BLOCK)) else {
            return 0.0;
        };
        for (p, q) in own.iter().zip(other).step_by(every) {
            ab += p * q;
            aa += p * p;
            bb += q * q;
        }
    }
    ab / (aa * bb).sqrt().max(1e-6)
}

/// The motion over three different pictures that follow each other. `elevation_mm`: as [`ASSUMED_ELEVATION_MM`], of this probe.
///
/// # Errors
/// [`Unjudged::TooFewPictures`] when they lie too far apart, or neighbours share nothing and yet it need not be too fast;
/// [`Unjudged::NoSpeckle`] when they show too little.
pub fn of(pictures: [&Small; 3], elevation_mm: f32) -> Result<Speed, Unjudged> {
    let [a, b, c] = pictures;
    let (first, whole) = (b.at.saturating_sub(a.at), c.at.saturating_sub(a.at));
    if first.is_zero() || whole <= first || whole > LONGEST || !a.is_like(b) || !a.is_like(c) {
        return Err(Unjudged::TooFewPictures);
    }
    let both = [likeness(a, b), likeness(b, c), likeness(a, c)];
    let [Some(ab), Some(bc), Some(ac)] = both else { return Err(Unjudged::NoSpeckle) };
    let (first, whole) = (first.as_secs_f32(), whole.as_secs_f32());
    let second = whole - first;
    let lost = |one: Likeness| -one.value.clamp(LOST, 0.9999).ln();
    if ab.value.min(bc.value) <= LOST {
        let least = elevation_mm * (-LOST.ln() - NOISE).sqrt() / first.max(second);
        let speed = Speed { along_mm_s: 0.0, across_mm_s: least, is_least: true };
        return if speed.is_too_fast() { Ok(speed) } else { Err(Unjudged::TooFewPictures) };
    }
    let along_mm_s =
        (ab.along_mm / first).abs().max((bc.along_mm / second).abs()).min(REACH[0] as f32 * a.mm / first.min(second));
    let near = (lost(ab) + lost(bc)) / 2.0;
    let squares = (first * first + second * second) / 2.0;
    let square = if ac.value > LOST {
        (lost(ac) - near).max(0.0) / (whole * whole - squares)
    } else {
        (near - NOISE).max(0.0) / squares
    };
    Ok(Speed { along_mm_s, across_mm_s: elevation_mm * square.sqrt(), is_least: false })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Drawn;
    use super::*;

    const WIDE: usize = 320;
    const STEP_MS: u64 = 33;

    /// Pictures between which the tissue moves by whole pixels, and becomes another one by a share of its power.
    fn pictures(shift: usize, other: f32, noise: f32) -> Vec<Small> {
        let tissue: Vec<Drawn> = (0..8).map(|seed| Drawn::speckle(WIDE + 80, 240, 90, seed + 1)).collect();
        (0..3)
            .map(|n| {
                let (turn, part) = (f64::from(other) * n as f64, f64::from(noise));
                let weights = [turn.cos(), turn.sin(), part];
                let mut drawn = Drawn::black(WIDE, 240).at(0.13);
                for y in 0..240 {
                    for x in 0..WIDE {
                        let at = y * (WIDE + 80) + x + n * shift;
                        let of = |i: usize| f64::from(tissue[i].levels[at]) - 90.0;
                        let value: f64 = 90.0 + weights[0] * of(0) + weights[1] * of(1) + weights[2] * of(2 + n);
                        drawn.levels[y * WIDE + x] = value.clamp(0.0, 255.0) as u8;
                    }
                }
                Small::of(&drawn.scan(), [0, WIDE], Duration::from_millis(n as u64 * STEP_MS)).unwrap()
            })
            .collect()
    }

    fn speed(pictures: &[Small]) -> Result<Speed, Unjudged> {
        of([&pictures[0], &pictures[1], &pictures[2]], 1.0)
    }

    #[test]
    fn a_shift_within_the_plane_is_read_in_millimetres_a_second() {
        for shift in [0, 1, 3, 5] {
            let found = speed(&pictures(shift, 0.0, 0.0)).unwrap();
            let expected = shift as f32 * 0.13 / 0.033;
            assert!((found.along_mm_s - expected).abs() < 1.5, "{shift}: {found:?}");
            assert!(found.across_mm_s < 3.0, "{shift}: {found:?}");
        }
    }

    #[test]
    fn speckle_that_becomes_another_one_faster_is_a_faster_sweep_and_noise_is_none() {
        let across = |other, noise| speed(&pictures(0, other, noise)).unwrap().across_mm_s;
        let (rest, slow, fast) = (across(0.0, 0.3), across(0.2, 0.0), across(0.5, 0.0));
        assert!(rest < 3.0, "noise alone: {rest}");
        assert!(slow > 3.0 && fast > 1.6 * slow, "{slow} {fast}");
        let noisy = across(0.2, 0.3);
        assert!((noisy - slow).abs() < 0.5 * slow, "{noisy} for {slow}");
        let lost = pictures(0, 1.55, 0.0);
        let found = speed(&lost).unwrap();
        assert!(found.is_least && found.is_too_fast(), "{found:?}");
        // Of a thinner plane the same pictures say nothing: 12 mm/s look like this, too.
        assert_eq!(of([&lost[0], &lost[1], &lost[2]], 0.5), Err(Unjudged::TooFewPictures));
    }

    #[test]
    fn what_cannot_be_compared_has_no_speed() {
        let tissue = Drawn::tissue(WIDE, 240).at(0.13);
        let at = |drawn: &Drawn, ms| Small::of(&drawn.scan(), [0, WIDE], Duration::from_millis(ms)).unwrap();
        let apart = [at(&tissue, 0), at(&tissue, 400), at(&tissue, 800)];
        assert_eq!(speed(&apart), Err(Unjudged::TooFewPictures));
        let black = Drawn::black(WIDE, 240).at(0.13);
        assert_eq!(speed(&[at(&black, 0), at(&black, 33), at(&black, 66)]), Err(Unjudged::NoSpeckle));
        assert!(Small::of(&Drawn::tissue(WIDE, 240).scan(), [0, WIDE], Duration::ZERO).is_none(), "no scale");
        assert!(Small::of(&Drawn::tissue(40, 240).at(0.13).scan(), [0, 40], Duration::ZERO).is_none(), "too small");
        assert!(
            at(&tissue, 0).is_same(&at(&tissue, 33))
                && !at(&tissue, 0).is_same(&at(&Drawn::speckle(WIDE, 240, 90, 9).at(0.13), 33))
        );
    }
}
