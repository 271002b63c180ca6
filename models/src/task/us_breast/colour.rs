//! Colour in an ultrasound picture: B-mode is grey, so what has colour was painted over it. Few coloured pixels are
//! callipers, marks and text, and are painted out; many are Doppler or elastography, of which nothing is said. Pure.

use super::Sector;

/// A pixel has colour when its largest and smallest components differ by at least this; JPEG makes grey pixels differ by
/// less.
const COLOURED: u8 = 40;
/// More coloured pixels than this part of the image are no callipers.
const MOST_DRAWN: [usize; 2] = [2, 100];
/// Scanners can tint the whole image. Then at least this part of its pixels that are not dark has colour,
const TINTED: [usize; 2] = [60, 100];
/// nearly all of the bright ones (a map of stiffness leaves some of the image grey),
const TINTED_BRIGHT: [usize; 2] = [97, 100];
/// a good part of all (flow in a dark image is small),
const TINTED_OF_ALL: [usize; 2] = [30, 100];
/// and this part of them one of the two commonest of six hues.
const OF_TWO_HUES: [usize; 2] = [95, 100];
/// A pixel is not dark, and is bright, from this luma on.
const NOT_DARK: u8 = 40;
const BRIGHT: u8 = 128;
/// The rim of drawn lines, pixels: they are smoothed.
const RIM: usize = 1;
/// Painting out ends after this many pixels from the rim inwards.
const DEEPEST: usize = 32;

/// What colour the image in a picture has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Colours {
    None,
    /// All of it has one tint: its luma is the image.
    Tinted,
    /// Callipers and the like. Which pixels of the image have colour, row by row.
    Drawn(Vec<bool>),
    /// Doppler, elastography: so many percent of the image.
    Painted {
        percent: usize,
    },
}

/// Judges the sector of a picture of red, green and blue, `width` pixels wide.
pub fn judge(rgb: &[u8], width: usize, sector: Sector) -> Colours {
    let mut mask = vec![false; sector.width * sector.height];
    let (mut coloured, mut hues) = (0, [0usize; 6]);
    // Pixels from a luma on, and those of them that have colour.
    let (mut seen, mut bright) = ([0usize; 2], [0usize; 2]);
    for (pixel, mask) in part(rgb, width, sector).zip(&mut mask) {
        let hue = hue(pixel);
        for (counts, from) in [(&mut seen, NOT_DARK), (&mut bright, BRIGHT)] {
            if luma(pixel) >= from {
                counts[0] += 1;
                counts[1] += usize::from(hue.is_some());
            }
        }
        if let Some(hue) = hue {
            *mask = true;
            coloured += 1;
            hues[hue] += 1;
        }
    }
    hues.sort_unstable();
    let of_two = hues[4] + hues[5];
    if coloured == 0 {
        Colours::None
    } else if coloured * MOST_DRAWN[1] <= mask.len() * MOST_DRAWN[0] {
        Colours::Drawn(mask)
    } else if reaches(seen[1], seen[0], TINTED)
        && reaches(bright[1], bright[0], TINTED_BRIGHT)
        && reaches(coloured, mask.len(), TINTED_OF_ALL)
        && reaches(of_two, coloured, OF_TWO_HUES)
    {
        Colours::Tinted
    } else {
        Colours::Painted { percent: (coloured * 100).div_ceil(mask.len()) }
    }
}

fn reaches(part: usize, of: usize, [share, hundred]: [usize; 2]) -> bool {
    part * hundred >= of * share
}

/// Luma of each pixel of the sector, row by row.
pub fn grey(rgb: &[u8], width: usize, sector: Sector) -> Vec<u8> {
    part(rgb, width, sector).map(luma).collect()
}

/// Paints out the pixels of `mask` and their rim from what is around them; `grey` and `mask` are `width` wide.
pub fn paint_out(grey: &mut [u8], mask: &[bool], width: usize) {
    let rows = grey.len() / width.max(1);
    let around = move |i: usize| {
        let near = |at: usize, count: usize| at.saturating_sub(RIM)..(at + RIM + 1).min(count);
        let across = near(i % width, width);
        near(i / width, rows).flat_map(move |y| across.clone().map(move |x| y * width + x))
    };
    let mut left: Vec<usize> = (0..rows * width).filter(|i| around(*i).any(|near| mask[near])).collect();
    let mut known = vec![true; grey.len()];
    left.iter().for_each(|i| known[*i] = false);
    // From the rim inwards: each pass gives those a level that have a neighbour with one.
    for _ in 0..DEEPEST {
        let mut filled = Vec::new();
        for i in &left {
            let levels = around(*i).filter(|near| known[*near]).map(|near| usize::from(grey[near]));
            let (sum, count) = levels.fold((0usize, 0), |(sum, count), level| (sum + level, count + 1));
            if let Some(mean) = sum.checked_div(count) {
                filled.push((*i, u8::try_from(mean).unwrap_or(u8::MAX)));
            }
        }
        if filled.is_empty() {
            break;
        }
        for (i, level) in filled {
            (grey[i], known[i]) = (level, true);
        }
        left.retain(|i| !known[*i]);
    }
}

fn part(rgb: &[u8], width: usize, sector: Sector) -> impl Iterator<Item = [u8; 3]> {
    let rows = rgb.chunks_exact((width * 3).max(1)).skip(sector.y).take(sector.height);
    rows.flat_map(move |row| {
        let row = row.get(sector.x * 3..(sector.x + sector.width) * 3).unwrap_or_default();
        row.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]])
    })
}

/// BT.601, rounded; of a grey pixel its level.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
    u8::try_from((sum + 500) / 1000).unwrap_or(u8::MAX)
}

/// One of six, by which components are largest and smallest; `None` for grey.
fn hue(pixel: [u8; 3]) -> Option<usize> {
    let place = |wanted: u8| pixel.iter().position(|v| *v == wanted).unwrap_or(0);
    let (high, low) = (pixel.iter().max().copied()?, pixel.iter().min().copied()?);
    if high - low < COLOURED {
        return None;
    }
    let (high, low) = (place(high), place(low));
    Some(high * 2 + usize::from(low == (high + 1) % 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTOR: Sector = Sector { x: 10, y: 5, width: 80, height: 60 };
    const WIDTH: usize = 120;

    fn picture(colour: impl Fn(usize, usize, u8) -> [u8; 3]) -> Vec<u8> {
        let level = |x: usize, y: usize| 50 + ((x * 7919 + y * 104_729) % 97) as u8;
        (0..80).flat_map(|y| (0..WIDTH).map(move |x| (x, y))).flat_map(|(x, y)| colour(x, y, level(x, y))).collect()
    }

    #[test]
    fn callipers_are_drawn_doppler_is_painted_and_a_tint_is_neither() {
        let grey = |_, _, v| [v; 3];
        assert_eq!(judge(&picture(grey), WIDTH, SECTOR), Colours::None);
        let cross = picture(|x, y, v| if x == 40 && (20..30).contains(&y) { [255, 255, 0] } else { [v; 3] });
        let Colours::Drawn(mask) = judge(&cross, WIDTH, SECTOR) else { panic!() };
        assert_eq!(mask.iter().filter(|set| **set).count(), 10);
        assert!(mask[(20 - 5) * 80 + 30]);
        let flow = picture(|x, y, v| match (x, y) {
            (30..50, 20..30) => [220, 30, 20],
            (60..80, 20..30) => [20, 40, 210],
            _ => [v; 3],
        });
        assert_eq!(judge(&flow, WIDTH, SECTOR), Colours::Painted { percent: 9 });
        let elastography = picture(|x, _, v| match x % 3 {
            0 => [v, v / 4, v / 4],
            1 => [v / 4, v, v / 4],
            _ => [v / 4, v / 4, v],
        });
        assert!(matches!(judge(&elastography, WIDTH, SECTOR), Colours::Painted { .. }));
        let sepia = picture(|_, _, v| [v, v / 2, v / 4]);
        assert_eq!(judge(&sepia, WIDTH, SECTOR), Colours::Tinted);
        let beside = picture(|x, _, v| if x >= 90 { [255, 0, 0] } else { [v; 3] });
        assert_eq!(judge(&beside, WIDTH, SECTOR), Colours::None, "beside the image");
    }

    #[test]
    fn what_is_painted_out_looks_like_what_is_around_it() {
        let mut grey = vec![60; 40 * 40];
        let mut mask = vec![false; 40 * 40];
        for i in 10..20 {
            grey[i * 40 + 15] = 255;
            mask[i * 40 + 15] = true;
            grey[i * 40 + 16] = 200; // its smoothed rim
        }
        paint_out(&mut grey, &mask, 40);
        assert!(grey.iter().all(|level| *level == 60), "{:?}", grey.iter().max());
        let mut all = vec![9; 100];
        paint_out(&mut all, &[true; 100], 10);
        assert_eq!(all, [9; 100], "nothing is around it");
    }

    #[test]
    fn grey_pixels_keep_their_level() {
        for level in 0..=255 {
            assert_eq!(luma([level; 3]), level);
        }
        assert_eq!(super::grey(&picture(|_, _, v| [v; 3]), WIDTH, SECTOR).len(), 80 * 60);
    }
}
