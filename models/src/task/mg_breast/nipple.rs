//! Where the nipple is, estimated from the skin: the point farthest from the chest wall, or from the muscle where it is seen,
//! moved to a bump of the skin near it. After R. Chandrasekhar and Y. Attikiouzel 1997 ("A simple method for automatically
//! locating the nipple on mammograms") and the rule of radiographers that the posterior nipple line is perpendicular to the
//! muscle.

use serde::Serialize;

use super::{Muscle, Upright};
use crate::cast::round_index;

/// How sure the place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sureness {
    /// The skin bulges there as over a nipple in profile.
    Seen,
    /// Only the shape of the breast says so.
    Estimated,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Nipple {
    pub at: [f32; 2],
    pub sureness: Sureness,
    /// Perpendicular to the chest wall.
    pub to_chest_wall_mm: Option<f32>,
    /// The posterior nipple line: perpendicular to the line of the muscle.
    pub to_muscle_mm: Option<f32>,
}

/// The skin is compared with itself smoothed over this reach, mm.
const SMOOTH_MM: f32 = 14.0;
/// A bump is at most so far along the skin from the farthest point, mm.
const NEAR_MM: f32 = 35.0;
/// It stands out at least so far, mm.
const LEAST_MM: f32 = 1.2;

pub(super) fn find(upright: &Upright, muscle: Option<&Muscle>) -> Nipple {
    let mm = upright.picture.nominal_mm();
    let perpendicular = muscle.map_or([1.0, 0.0], away);
    let direction = between(perpendicular, [1.0, 0.0]);
    let skin = &upright.skin;
    let point = |y: usize| skin[y].map(|x| [x, y as f32 + 0.5]);
    let along = |p: [f32; 2]| p[0] * direction[0] + p[1] * direction[1];
    let rows = 0..skin.len();
    let farthest = rows.clone().filter_map(point).max_by(|a, b| along(*a).total_cmp(&along(*b)));
    let farthest = farthest.unwrap_or_else(|| [upright.wall(), 0.0]);
    let reach = round_index(f64::from(SMOOTH_MM / mm)).max(1);
    let bump = |y: usize| {
        // Of the border of the picture nothing is known beyond.
        if y < reach || y + reach >= skin.len() {
            return None;
        }
        let x = skin[y]?;
        let around: Vec<f32> =
            [y - reach, y - reach / 2, y + reach / 2, y + reach].iter().filter_map(|y| skin[*y]).collect();
        // A parabola through the skin beside it would stand higher in the middle than the mean of its ends.
        (around.len() == 4).then(|| x - (4.0 * (around[1] + around[2]) - (around[0] + around[3])) / 6.0)
    };
    let near = rows.filter(|y| (*y as f32 - farthest[1]).abs() * mm <= NEAR_MM);
    let best = near.filter_map(|y| Some((y, bump(y)?))).max_by(|a, b| a.1.total_cmp(&b.1));
    let (at, sureness) = match best.and_then(|(y, height)| Some((point(y)?, height))) {
        Some((at, height)) if height * mm >= LEAST_MM => (at, Sureness::Seen),
        _ => (farthest, Sureness::Estimated),
    };
    let beyond = |p: [f32; 2]| p[0] * perpendicular[0] + p[1] * perpendicular[1];
    let to_muscle = muscle.map(|muscle| beyond(at) - beyond(muscle.line[0]));
    let scale = |pixels: f32| upright.picture.mm.map(|mm| pixels * mm);
    Nipple { at, sureness, to_chest_wall_mm: scale(at[0] - upright.wall()), to_muscle_mm: to_muscle.and_then(scale) }
}

/// Perpendicular to the muscle, away from it; of length 1.
fn away(muscle: &Muscle) -> [f32; 2] {
    let [a, b] = muscle.line;
    let along = [b[0] - a[0], b[1] - a[1]];
    let length = along[0].hypot(along[1]).max(1e-6);
    let normal = [along[1] / length, -along[0] / length];
    if normal[0] < 0.0 { normal.map(|v| -v) } else { normal }
}

/// Half way between two directions: the shape of the breast follows the muscle only in part.
fn between(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    let sum = [a[0] + b[0], a[1] + b[1]];
    let length = sum[0].hypot(sum[1]).max(1e-6);
    sum.map(|v| v / length)
}
