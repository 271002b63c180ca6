//! The compressed breast as the picture sees it: skin line, thickness, pectoral muscle.

use serde::Serialize;

use super::Projection;
use super::compression::Pose;
use super::plane::Plane;
use super::seeds::stream;
use crate::random::Random;
use crate::shape::{ramp, smooth_max};

/// Step of the skin line, mm.
const STEP: f32 = 1.0;
/// Step of the map of distances, mm.
const COARSE: f32 = 1.5;
/// Where a row holds no tissue.
const NOTHING: f32 = -30.0;

/// Edge of the pectoral muscle: from the chest wall edge to the top of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pectoral {
    /// Distance from the chest wall edge at the top of the picture, mm.
    pub top_mm: f32,
    /// Where the edge meets the chest wall edge, mm from the top.
    pub low_mm: f32,
    /// How far the middle bulges forwards, mm.
    pub bulge_mm: f32,
}

impl Pectoral {
    /// Distance of the muscle's edge from the chest wall edge in a row, mm; negative below the muscle.
    pub fn edge(&self, y_mm: f32) -> f32 {
        let t = y_mm / self.low_mm;
        self.top_mm * (1.0 - t) + 4.0 * self.bulge_mm * t * (1.0 - t).max(-0.2)
    }
}

#[derive(Debug)]
pub struct Outline {
    /// Distance of the skin from the chest wall edge, mm, for rows that are 1 mm apart, from 0.
    skin: Vec<f32>,
    pub pectoral: Option<Pectoral>,
    pub skin_mm: f32,
    radius_mm: f32,
}

impl Outline {
    pub fn new(pose: &Pose, seed: u64, visit: u64) -> Self {
        let mut lasting = Random::new(seed, stream::POSE + 100);
        let skin_mm = lasting.between(1.2, 1.9);
        let mut random = Random::new(seed, stream::POSE + 101 + visit * 8 + pose.view.index() as u64);
        let mlo = pose.view.projection == Projection::Mlo;
        let half = pose.stretch[1] * pose.radius_mm;
        let axilla = lasting.between(0.52, 0.78) * pose.stretch[0] * pose.depth_mm + random.between(-4.0, 4.0);
        let fold = random.between(5.0, 18.0);
        let [slope, phase] = [random.between(-0.22, 0.12), random.between(2.6, 5.2)];
        let rows = (pose.field_mm[1] / STEP) as usize + 60;
        let skin = (0..rows)
            .map(|row| {
                let y = (row as f32 - 30.0) * STEP;
                let up = pose.middle_mm - y;
                let mut x = front(pose, y);
                if mlo {
                    // Towards the armpit the skin comes forward or goes back along a slight curve.
                    let upper = ramp(up, -0.4 * half, 0.8 * half);
                    let beyond = (up - 0.8 * half).max(0.0);
                    let armpit = axilla + slope * beyond + 6.0 * (beyond / 26.0 + phase).sin();
                    x = smooth_max(x, armpit * upper + NOTHING * (1.0 - upper), 46.0);
                    let lower = ramp(-up, 0.9 * half, 1.7 * half);
                    x = smooth_max(x, 5.0 + fold * lower, 12.0);
                }
                x
            })
            .collect();
        let pectoral = if mlo {
            let nipple = pose.nipple_mm()[1];
            Some(Pectoral {
                top_mm: axilla * random.between(0.55, 0.85),
                low_mm: nipple * random.between(0.86, 1.1),
                bulge_mm: random.between(0.0, 7.0),
            })
        } else {
            None
        };
        Self { skin, pectoral, skin_mm, radius_mm: 0.47 * pose.thickness_mm }
    }

    /// Distance of the skin from the chest wall edge, mm.
    pub fn skin_at(&self, y_mm: f32) -> f32 {
        let at = (y_mm / STEP + 30.0).clamp(0.0, self.skin.len() as f32 - 1.001);
        let (a, b) = (self.skin[at as usize], self.skin[at as usize + 1]);
        a + (b - a) * at.fract()
    }

    /// Distance from the skin line, mm, negative outside; up to about 40 mm.
    pub fn distance(&self, fine: &Plane) -> Plane {
        let mut coarse = fine.coarse(COARSE);
        let reach = 42;
        for row in 0..coarse.rows {
            for column in 0..coarse.columns {
                let [x, y] = coarse.at(column, row);
                let middle = (y / STEP + 30.0) as usize;
                let mut best = f32::MAX;
                for k in middle.saturating_sub(reach)..(middle + reach).min(self.skin.len() - 1) {
                    let dy = y - (k as f32 - 30.0) * STEP;
                    let (dx, slope) = (x - self.skin[k], self.skin[k + 1] - self.skin[k]);
                    let t = ((dx * slope + dy * STEP) / (slope * slope + STEP * STEP)).clamp(0.0, 1.0);
                    let (ex, ey) = (dx - t * slope, dy - t * STEP);
                    best = best.min(ex * ex + ey * ey);
                }
                let inside = x < self.skin_at(y);
                coarse.values[row * coarse.columns + column] = if inside { best.sqrt() } else { -best.sqrt() };
            }
        }
        coarse.enlarged(fine)
    }

    /// Thickness between the plates at a distance from the skin line, as a part of the distance of the plates: the free edge
    /// bulges as a half circle. `skin` mm are left out on each side.
    pub fn profile(&self, distance_mm: f32, skin_mm: f32) -> f32 {
        let radius = self.radius_mm - skin_mm;
        let rest = 1.0 - ((distance_mm - skin_mm) / radius).clamp(0.0, 1.0);
        (1.0 - rest * rest).max(0.0).sqrt()
    }
}

/// The skin of the breast alone in one row: the largest depth at which the row still is within the ellipsoid.
fn front(pose: &Pose, y_mm: f32) -> f32 {
    let inside = |x: f32| {
        let [d, v] = pose.tissue([x, y_mm]);
        (d / pose.depth_mm).powi(2) + (v / pose.radius_mm).abs().powf(2.3) < 1.0
    };
    let farthest = pose.stretch[0] * pose.depth_mm - pose.hidden_mm + 1.0;
    let mut x = farthest;
    while x > NOTHING && !(x < farthest && inside(x)) {
        x -= 1.0;
    }
    if x <= NOTHING {
        return NOTHING;
    }
    let (mut low, mut high) = (x, x + 1.0);
    for _ in 0..7 {
        let middle = 0.5 * (low + high);
        if inside(middle) { low = middle } else { high = middle }
    }
    low
}
