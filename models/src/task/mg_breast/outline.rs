//! The breast against its background: a global threshold at the foot of the background's peak, an opening that cuts off
//! labels and lines, and the component that has the size and place of a breast. After the published pipelines that begin so
//! (Bick et al. 1995; Masek et al. 2000; Raba et al. 2005, "Breast segmentation with pectoral muscle suppression on digital
//! mammograms").

use serde::Serialize;

use super::level::Histogram;
use super::side::{self, Side};
use super::{Picture, Unreadable};
use crate::morphology;
use crate::postprocess::components;

/// Shorter side of a picture that can be read, pixels of the working grid.
const LEAST_SIDE: usize = 32;
/// Of values of 0 to 1: less is no picture.
const LEAST_RANGE: f32 = 0.03;
/// A breast fills at least this part of what was exposed.
const LEAST_PART: f64 = 0.04;
/// Lines and letters that are thinner are cut off, mm.
const OPENED_MM: f64 = 2.4;
/// A margin of the picture that differs by less than this was not exposed or not scanned.
const EMPTY: f32 = 0.012;
/// Except for this part of it: lines of the scanner, dust.
const SPECKS: f32 = 0.02;

/// The breast in a picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Breast {
    /// Its border, closed along the border of the picture; see [`super::Reading`].
    pub outline: Vec<[f32; 2]>,
    /// Of the picture, 0 to 1.
    pub part_of_picture: f32,
    pub area_cm2: Option<f32>,
    /// From the chest wall to the farthest point of the skin.
    pub depth_mm: Option<f32>,
}

/// The breast as a mask, with the rectangle that was exposed.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// 1 inside, row by row.
    pub mask: Vec<u8>,
    /// Left, top, right, bottom; the latter two are not in it.
    pub exposed: [usize; 4],
    pub chest_wall: Side,
}

/// # Errors
/// When there is none.
pub fn find(picture: &Picture) -> Result<Found, Unreadable> {
    if picture.width.min(picture.height) < LEAST_SIDE || picture.values.len() != picture.width * picture.height {
        return Err(Unreadable::TooSmall);
    }
    let exposed = exposed(picture).ok_or(Unreadable::Blank)?;
    let smooth = picture.smoothed(1).smoothed(1);
    if range(&smooth, exposed) < LEAST_RANGE {
        return Err(Unreadable::Blank);
    }
    if let Some(found) = candidate(&smooth, exposed) {
        return Ok(found);
    }
    let negative = Picture { values: smooth.values.iter().map(|value| 1.0 - value).collect(), ..smooth };
    Err(if candidate(&negative, exposed).is_some() { Unreadable::Inverted } else { Unreadable::NoBreast })
}

/// The rectangle without margins of one value: what a scanner or an archive put around the film.
fn exposed(picture: &Picture) -> Option<[usize; 4]> {
    let (width, height) = (picture.width, picture.height);
    let flat = |mut values: Vec<f32>| {
        values.sort_by(f32::total_cmp);
        let middle = values[values.len() / 2];
        let differ = values.iter().filter(|value| (**value - middle).abs() > EMPTY).count();
        differ as f32 <= SPECKS * values.len() as f32
    };
    let column = |x: usize| flat((0..height).map(|y| picture.values[y * width + x]).collect());
    let row = |y: usize| flat(picture.values[y * width..(y + 1) * width].to_vec());
    let left = (0..width).find(|x| !column(*x))?;
    let right = (0..width).rfind(|x| !column(*x))? + 1;
    let top = (0..height).find(|y| !row(*y))?;
    let bottom = (0..height).rfind(|y| !row(*y))? + 1;
    (right - left >= LEAST_SIDE && bottom - top >= LEAST_SIDE).then_some([left, top, right, bottom])
}

fn inside(picture: &Picture, [left, top, right, bottom]: [usize; 4]) -> impl Iterator<Item = f32> {
    (top..bottom).flat_map(move |y| picture.values[y * picture.width + left..y * picture.width + right].iter().copied())
}

fn range(picture: &Picture, exposed: [usize; 4]) -> f32 {
    let histogram = Histogram::of(inside(picture, exposed));
    histogram.percentile(0.99) - histogram.percentile(0.01)
}

/// The component that is a breast, if there is one.
fn candidate(smooth: &Picture, exposed: [usize; 4]) -> Option<Found> {
    let [left, top, right, bottom] = exposed;
    let threshold = Histogram::of(inside(smooth, exposed)).above_background();
    let mut mask = vec![0u8; smooth.values.len()];
    for y in top..bottom {
        for x in left..right {
            mask[y * smooth.width + x] = u8::from(smooth.values[y * smooth.width + x] > threshold);
        }
    }
    let grid = smooth.grid();
    let opened = opened(&mask, smooth, exposed);
    let labelled = components::label(&grid, &opened);
    let least = LEAST_PART * ((right - left) * (bottom - top)) as f64;
    for label in labelled.by_size().into_iter().take(3) {
        if (labelled.size(label) as f64) < least {
            break;
        }
        let own: Vec<u8> = labelled.labels.iter().map(|l| u8::from(*l == label)).collect();
        let filled = filled(&own, smooth, exposed);
        if let Some(chest_wall) = side::chest_wall(&filled, smooth.width, exposed) {
            return Some(Found { mask: filled, exposed, chest_wall });
        }
    }
    None
}

/// Without what is thin. What lies beyond the exposed rectangle counts as breast where the breast reaches its border, so that
/// the opening does not round off the corners there.
fn opened(mask: &[u8], picture: &Picture, exposed: [usize; 4]) -> Vec<u8> {
    let [left, top, right, bottom] = exposed;
    let grid = picture.grid();
    let mut padded = mask.to_vec();
    for y in 0..picture.height {
        for x in 0..picture.width {
            let [nx, ny] = [x.clamp(left, right - 1), y.clamp(top, bottom - 1)];
            if [nx, ny] != [x, y] {
                padded[y * picture.width + x] = mask[ny * picture.width + nx];
            }
        }
    }
    let core = morphology::erode(&grid, &padded, OPENED_MM);
    let grown = morphology::dilate(&grid, &core, OPENED_MM);
    grown.iter().zip(mask).map(|(grown, mask)| grown & mask).collect()
}

/// With its holes: what is not connected to the outside. The outside is the exposed rectangle's own.
fn filled(mask: &[u8], picture: &Picture, exposed: [usize; 4]) -> Vec<u8> {
    let [left, top, right, bottom] = exposed;
    let width = picture.width;
    let within = |x: usize, y: usize| (left..right).contains(&x) && (top..bottom).contains(&y);
    let outside: Vec<u8> = (0..mask.len()).map(|i| u8::from(mask[i] == 0 && within(i % width, i / width))).collect();
    let labelled = components::label(&picture.grid(), &outside);
    let mut open = vec![false; labelled.sizes.len() + 1];
    for y in top..bottom {
        for x in left..right {
            if x == left || y == top || x + 1 == right || y + 1 == bottom {
                open[labelled.labels[y * width + x] as usize] = true;
            }
        }
    }
    open[0] = false;
    // A piece at the border of the picture that the breast nearly encloses is background all the same.
    (0..mask.len()).map(|i| u8::from(mask[i] != 0 || (outside[i] != 0 && !open[labelled.labels[i] as usize]))).collect()
}
