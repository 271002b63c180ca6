//! Finds the ultrasound image in a picture of a scanner's screen, of which nothing is known. Pure.
//!
//! Tissue fills its area with speckle. Text and scales are thin, frames and panels are even. So the image is made of large
//! regions of blocks that are mostly lit and not even: it may be divided by a dark band, or be two images side by side.
//! Parts without echoes at its rim are left out.

use super::Sector;
use super::blocks::{BLOCK, Blocks, Region};

/// A pixel is lit when it differs from the background by more than this, grey levels.
const LIT: u8 = 10;
/// A block is even when its levels lie within this range.
const EVEN: u8 = 6;
/// A block belongs to the image when at least this part of its pixels is lit: text covers less.
const SHARE: [usize; 2] = [1, 2];
/// The commonest dark level is the background when it covers at least this part of the picture; black is, otherwise.
const BACKGROUND: [usize; 2] = [15, 100];
/// Panels brighter than this are no background.
const BRIGHTEST_BACKGROUND: usize = 64;
/// The least side of an image, pixels.
pub const LEAST_SIDE: usize = 64;
/// An image covers at least this part of the picture,
const LEAST_PART: [usize; 2] = [1, 10];
/// Regions belong to it that have at least this part of the blocks of the largest,
const ALSO: [usize; 2] = [1, 8];
/// and this length and width, pixels: bars of grey have not.
const LEAST_PIECE: usize = 32;
/// and its blocks this part of its area.
const LEAST_FILLED: [usize; 2] = [1, 4];
/// What covers at least this part of the picture is taken for all of it: the picture is nothing but image.
const WHOLE: [usize; 2] = [4, 5];

/// The image in `grey`, which has this width and height, row by row; `None` when there is none that can be told from text
/// and drawings.
pub fn find(grey: &[u8], size: [usize; 2]) -> Option<Sector> {
    let [width, height] = size;
    if width < LEAST_SIDE || height < LEAST_SIDE || grey.len() != width * height {
        return None;
    }
    let background = background(grey);
    let lit = |i: usize| grey[i].abs_diff(background) > LIT;
    let blocks = Blocks::new(size, |pixels| {
        let (mut count, mut of, mut low, mut high) = (0, 0, u8::MAX, 0);
        for i in pixels {
            of += 1;
            count += usize::from(lit(i));
            (low, high) = (low.min(grey[i]), high.max(grey[i]));
        }
        count * SHARE[1] >= of * SHARE[0] && high - low > EVEN
    });
    let regions = blocks.regions(1);
    let most = regions.iter().map(|region| region.blocks).max()?;
    let is_piece = |region: &&Region| {
        let Sector { width, height, .. } = region.area;
        region.blocks * ALSO[1] >= most * ALSO[0] && width >= LEAST_PIECE && height >= LEAST_PIECE
    };
    let of_image = || regions.iter().filter(is_piece);
    let area = of_image().map(|region| region.area).reduce(around)?;
    let area = tightened(grown(area, size), width, lit);
    let covered = of_image().map(|region| region.blocks).sum::<usize>() * BLOCK * BLOCK;
    let pixels = area.width * area.height;
    let is_image = area.width >= LEAST_SIDE
        && area.height >= LEAST_SIDE
        && pixels * LEAST_PART[1] >= width * height * LEAST_PART[0]
        && covered * LEAST_FILLED[1] >= pixels * LEAST_FILLED[0];
    let all = Sector { x: 0, y: 0, width, height };
    let is_all = pixels * WHOLE[1] >= width * height * WHOLE[0];
    is_image.then_some(if is_all { all } else { area })
}

/// The least area that holds both.
fn around(a: Sector, b: Sector) -> Sector {
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    let (right, bottom) = ((a.x + a.width).max(b.x + b.width), (a.y + a.height).max(b.y + b.height));
    Sector { x, y, width: right - x, height: bottom - y }
}

/// Blocks at the rim of which less than half is lit were left out.
fn grown(area: Sector, [width, height]: [usize; 2]) -> Sector {
    let (x, y) = (area.x.saturating_sub(BLOCK / 2), area.y.saturating_sub(BLOCK / 2));
    let right = (area.x + area.width + BLOCK / 2).min(width);
    let bottom = (area.y + area.height + BLOCK / 2).min(height);
    Sector { x, y, width: right - x, height: bottom - y }
}

fn background(grey: &[u8]) -> u8 {
    let mut counts = [0usize; 256];
    grey.iter().for_each(|level| counts[usize::from(*level)] += 1);
    let dark = (0u8..).zip(&counts[..BRIGHTEST_BACKGROUND]);
    let (level, count) = dark.max_by_key(|(_, count)| **count).unwrap_or((0, &0));
    if count * BACKGROUND[1] >= grey.len() * BACKGROUND[0] { level } else { 0 }
}

/// The area without the outer rows and columns in which hardly anything is lit.
fn tightened(area: Sector, width: usize, lit: impl Fn(usize) -> bool) -> Sector {
    let (columns, rows) = (area.x..area.x + area.width, area.y..area.y + area.height);
    let column = |x: &usize| rows.clone().filter(|y| lit(y * width + x)).count() * 8 > area.height;
    let row = |y: &usize| columns.clone().filter(|x| lit(y * width + x)).count() * 8 > area.width;
    let ends = |mut range: std::ops::Range<usize>, is: &dyn Fn(&usize) -> bool| {
        let first = range.clone().find(is)?;
        Some((first, range.rfind(is)? + 1 - first))
    };
    match (ends(columns.clone(), &column), ends(rows.clone(), &row)) {
        (Some((x, width)), Some((y, height))) => Sector { x, y, width, height },
        _ => area,
    }
}

/// Is nothing to be seen: do nearly all pixels have one level, or nearly?
pub fn is_flat(grey: &[u8]) -> bool {
    let mut levels = [0usize; 256];
    grey.iter().for_each(|level| levels[usize::from(*level)] += 1);
    // From the level that 2 % of the pixels do not reach to the one that 2 % exceed.
    let reached = |sum: &mut usize, level: usize| {
        *sum += levels[level];
        *sum > grey.len() / 50
    };
    let (mut dark, mut bright) = (0, 0);
    let low = (0..256).find(|level| reached(&mut dark, *level));
    let high = (0..256).rev().find(|level| reached(&mut bright, *level));
    low.zip(high).is_none_or(|(low, high)| high < low + LEAST_RANGE)
}

/// Levels from dark to bright in the darkest picture that is looked at.
const LEAST_RANGE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [320, 240];

    fn speckle(grey: &mut [u8], sector: Sector) {
        let mut word = 0x9E37_79B9u32;
        for y in sector.y..sector.y + sector.height {
            for pixel in &mut grey[y * SIZE[0] + sector.x..][..sector.width] {
                word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *pixel = 30 + (word >> 25) as u8;
            }
        }
    }

    /// Text, a scale, a bar of greys and a panel around it.
    fn screen(background: u8) -> Vec<u8> {
        let mut grey = vec![background; SIZE[0] * SIZE[1]];
        for y in (10..34).filter(|y| y % 12 < 8) {
            grey[y * SIZE[0] + 10..][..200].iter_mut().step_by(3).for_each(|v| *v = 230);
        }
        for y in 50..200 {
            grey[y * SIZE[0] + 300..][..8].fill(255 - y as u8);
            if y % 20 == 0 {
                grey[y * SIZE[0] + 284..][..6].fill(220);
            }
        }
        grey[220 * SIZE[0]..].fill(90);
        grey
    }

    #[test]
    fn the_image_is_found_between_text_scale_bar_and_panel() {
        let sector = Sector { x: 60, y: 48, width: 210, height: 150 };
        for background in [0, 24, 50] {
            let mut grey = screen(background);
            speckle(&mut grey, sector);
            let found = find(&grey, SIZE).unwrap();
            for (have, want) in [
                (found.x, sector.x),
                (found.y, sector.y),
                (found.x + found.width, sector.x + sector.width),
                (found.y + found.height, sector.y + sector.height),
            ] {
                assert!(have.abs_diff(want) <= 2, "{background}: {found:?}");
            }
        }
    }

    #[test]
    fn an_image_that_a_dark_band_divides_is_found_whole() {
        let mut grey = screen(0);
        speckle(&mut grey, Sector { x: 60, y: 48, width: 210, height: 50 });
        speckle(&mut grey, Sector { x: 60, y: 138, width: 210, height: 60 });
        let found = find(&grey, SIZE).unwrap();
        assert!(found.y <= 50 && found.y + found.height >= 196, "{found:?}");
    }

    #[test]
    fn a_picture_that_is_nothing_but_image_is_taken_whole() {
        let mut grey = vec![0; SIZE[0] * SIZE[1]];
        speckle(&mut grey, Sector { x: 6, y: 10, width: 310, height: 226 });
        assert_eq!(find(&grey, SIZE), Some(Sector { x: 0, y: 0, width: 320, height: 240 }));
    }

    #[test]
    fn without_tissue_there_is_no_image() {
        assert_eq!(find(&vec![0; SIZE[0] * SIZE[1]], SIZE), None);
        assert_eq!(find(&vec![200; SIZE[0] * SIZE[1]], SIZE), None);
        assert_eq!(find(&screen(0), SIZE), None, "text and a scale");
        let mut small = screen(0);
        speckle(&mut small, Sector { x: 100, y: 100, width: 60, height: 100 });
        assert_eq!(find(&small, SIZE), None, "a thumbnail");
        assert_eq!(find(&[9; 60 * 300], [60, 300]), None);
        assert_eq!(find(&[9; 7], SIZE), None, "bytes are missing");
    }

    #[test]
    fn a_picture_of_one_level_is_flat_and_a_dark_one_is_not() {
        for level in [0, 128, 255] {
            assert!(is_flat(&[level; 10_000]), "{level}");
        }
        let mut speck = [0; 10_000];
        speck[..100].fill(255);
        assert!(is_flat(&speck), "a mark on black");
        let dark: Vec<u8> = (0..10_000u16).map(|i| u8::try_from(i % 24).unwrap_or(0)).collect();
        assert!(!is_flat(&dark));
        assert!(is_flat(&[]));
    }
}
