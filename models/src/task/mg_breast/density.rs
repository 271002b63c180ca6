//! How much of the breast is dense, without the muscle and without the thin rim below the skin: the part of the pixels that
//! are nearer to the densest tissue than to fat at the same distance from the skin. The idea of a threshold over area is that of
//! J. Byng et al. 1994 ("The quantitative analysis of mammographic densities"), that of comparing equal distances from the skin
//! is N. Karssemeijer's (1998). Not validated: the level of fat is estimated from the same picture.

use serde::Serialize;

use super::level::Histogram;
use super::{Muscle, Upright};
use crate::cast::floor_index;
use crate::morphology;

/// The letters of BI-RADS (A to D), by percent density alone: an estimate that was not validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Category {
    A,
    B,
    C,
    D,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Density {
    /// Of the area of the breast, 0 to 100.
    pub percent: f32,
    /// See [`Category`].
    pub category: Category,
}

/// The rim below the skin that is left out, mm: too thin to be compressed.
const RIM_MM: f64 = 6.0;
/// Distances from the skin are told apart so finely, mm, and to so far.
const STEP_MM: f64 = 4.0;
const DEEPEST_MM: f64 = 60.0;
/// Of the pixels at a distance: the level of fat.
const FAT: f64 = 0.15;
/// Of the way from fat to the densest tissue: what is dense.
const DENSE: f32 = 0.4;
/// Of the range of 0 to 1: fat and the densest tissue differ at least by so much, or nothing is dense.
const LEAST_RANGE: f32 = 0.22;
/// Fewer pixels say nothing.
const LEAST_PIXELS: usize = 400;
/// Percent at which the letters B, C and D begin: thirds and quarters that were used before BI-RADS 5 gave up percentages.
const BEGINS: [f32; 3] = [12.0, 28.0, 55.0];

pub(super) fn measure(upright: &Upright, muscle: Option<&Muscle>) -> Option<Density> {
    let picture = upright.picture.smoothed(1);
    let grid = upright.picture.grid();
    let outside: Vec<u8> = beyond_skin(upright);
    let reach = DEEPEST_MM + STEP_MM;
    let squared = morphology::distance_squared(&grid, &outside, reach);
    let width = picture.width;
    let mut pixels: Vec<(usize, f32)> = Vec::new();
    for (i, mask) in upright.mask.iter().enumerate() {
        let deep = f64::from(squared[i]).sqrt();
        if *mask == 0 || deep < RIM_MM {
            continue;
        }
        let at = [(i % width) as f32 + 0.5, (i / width) as f32 + 0.5];
        if muscle.is_some_and(|muscle| muscle.covers(at)) {
            continue;
        }
        pixels.push((floor_index((deep.min(DEEPEST_MM) - RIM_MM) / STEP_MM), picture.values[i]));
    }
    if pixels.len() < LEAST_PIXELS {
        return None;
    }
    let zones = floor_index((DEEPEST_MM - RIM_MM) / STEP_MM) + 1;
    let all = Histogram::of(pixels.iter().map(|(_, value)| *value));
    let overall = all.percentile(FAT / 2.0);
    let fat: Vec<f32> = (0..zones)
        .map(|zone| {
            let own: Vec<f32> = pixels.iter().filter(|(z, _)| *z == zone).map(|(_, v)| *v).collect();
            if own.len() < LEAST_PIXELS / 4 { overall } else { Histogram::of(own).percentile(FAT) }
        })
        .collect();
    // A zone that is dense throughout has no fat of its own: the deepest fat is no brighter than that around it.
    let most = overall + 0.5 * (all.percentile(0.5) - overall);
    let fat: Vec<f32> = fat.into_iter().map(|level| level.min(most.max(overall))).collect();
    let densest = all.percentile(0.99);
    let is_dense = |(zone, value): &&(usize, f32)| {
        let level = fat[(*zone).min(zones - 1)];
        value - level > DENSE * (densest - level).max(LEAST_RANGE)
    };
    let percent = 100.0 * pixels.iter().filter(is_dense).count() as f32 / pixels.len() as f32;
    Some(Density { percent, category: Category::of(percent) })
}

/// What is not breast, but for what lies beyond the borders of the exposure: there the breast goes on.
fn beyond_skin(upright: &Upright) -> Vec<u8> {
    let width = upright.picture.width;
    let [left, top, right, bottom] = upright.exposed;
    let within = |x: usize, y: usize| (left..right).contains(&x) && (top..bottom).contains(&y);
    upright.mask.iter().enumerate().map(|(i, m)| u8::from(*m == 0 && within(i % width, i / width))).collect()
}

impl Category {
    pub fn of(percent: f32) -> Self {
        match BEGINS.iter().filter(|begin| percent >= **begin).count() {
            0 => Self::A,
            1 => Self::B,
            2 => Self::C,
            _ => Self::D,
        }
    }

    pub const fn letter(self) -> char {
        match self {
            Self::A => 'A',
            Self::B => 'B',
            Self::C => 'C',
            Self::D => 'D',
        }
    }
}
