//! How much of the breast is dense, without the muscle and without the thin rim below the skin: the part of the pixels that
//! are nearly as bright as the densest of the picture, which is the muscle where it is in it. A threshold over area is the
//! idea of J. Byng et al. 1994 ("The quantitative analysis of mammographic densities"); that the muscle can serve as a
//! reference is N. Karssemeijer's (1998). Not validated: grey levels of a picture for presentation are no physical measure.

use serde::Serialize;

use super::level::Histogram;
use super::{Muscle, Upright};
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
/// Of the pixels of breast and muscle: the level of the densest.
const DENSEST: f64 = 0.98;
/// Of the way from the background to the densest: what is dense.
const DENSE: f32 = 0.85;
/// Fewer pixels say nothing.
const LEAST_PIXELS: usize = 400;
/// Percent at which the letters B, C and D begin.
const BEGINS: [f32; 3] = [5.0, 20.0, 45.0];

pub(super) fn measure(upright: &Upright, muscle: Option<&Muscle>) -> Option<Density> {
    let picture = upright.picture.smoothed(1);
    let near_skin = morphology::distance_squared(&upright.picture.grid(), &beyond_skin(upright), RIM_MM);
    let width = picture.width;
    let counts = |i: usize| {
        let at = [(i % width) as f32 + 0.5, (i / width) as f32 + 0.5];
        f64::from(near_skin[i]) > RIM_MM * RIM_MM && !muscle.is_some_and(|muscle| muscle.covers(at))
    };
    let inside = |i: &usize| upright.mask[*i] != 0;
    let all = Histogram::of((0..picture.values.len()).filter(inside).map(|i| picture.values[i]));
    let outside = (0..picture.values.len()).filter(|i| !inside(i)).map(|i| picture.values[i]);
    let background = Histogram::of(outside).percentile(0.5);
    let dense = background + DENSE * (all.percentile(DENSEST) - background);
    let pixels: Vec<f32> =
        (0..picture.values.len()).filter(inside).filter(|i| counts(*i)).map(|i| picture.values[i]).collect();
    if pixels.len() < LEAST_PIXELS {
        return None;
    }
    let percent = 100.0 * pixels.iter().filter(|value| **value > dense).count() as f32 / pixels.len() as f32;
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
