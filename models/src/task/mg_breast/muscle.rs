//! The edge of the pectoral muscle in an oblique or lateral view: first the straight line with the strongest step from bright
//! to dark (N. Karssemeijer 1998, "Automated classification of parenchymal patterns in mammograms", who looks for it with a
//! Hough transform), then the curve near it that follows the edge (as the "cliff" of S. Kwok et al. 2004), by dynamic
//! programming.

use serde::Serialize;

use super::Upright;
use crate::cast::{ceil_index, floor_index};

/// Where the muscle ends.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Muscle {
    /// The straight line: its ends at the border of the picture and at the chest wall.
    pub line: [[f32; 2]; 2],
    /// The curve near it, from the one end to the other.
    pub edge: Vec<[f32; 2]>,
    /// Between the line and the chest wall, degrees.
    pub angle_deg: f32,
    /// The step from muscle to breast along the edge, of the range of the picture (0 to 1).
    pub step: f32,
    /// The part of the edge at which the muscle is the brighter side, 0 to 1.
    pub clear: f32,
    /// At which end of the chest wall it lies: true at its beginning (the top, when the chest wall is at the left or right).
    pub at_top: bool,
}

/// The line meets the border of the picture at least so far from the chest wall, and the chest wall so far down, mm.
const LEAST_MM: [f32; 2] = [8.0, 24.0];
/// Step between lines that are tried, mm.
const STEP_MM: [f32; 2] = [1.2, 2.4];
/// Angle between line and chest wall, degrees: positioning gives 10 to 45.
const ANGLE_DEG: [f32; 2] = [7.0, 52.0];
/// Distances from the edge at which its sides are compared, mm.
const BESIDE_MM: [f32; 3] = [1.6, 3.2, 4.8];
/// The curve stays this near to the line, mm.
const NEAR_MM: f32 = 9.0;
/// Below this step, or where fewer of its points are clear, no muscle was seen.
const LEAST_STEP: f32 = 0.03;
const LEAST_CLEAR: f32 = 0.6;
/// Step at which a point of the edge is clear.
const CLEAR: f32 = 0.012;

/// The muscle, or nothing that looks like its edge.
pub(super) fn find(upright: &Upright) -> Option<Muscle> {
    let scene = Scene::new(upright, false);
    let other = Scene::new(upright, true);
    let (top, bottom) = (scene.best(), other.best());
    let at_top = match (&top, &bottom) {
        // A picture lies with the head up, unless the other end is much clearer.
        (Some(top), Some(bottom)) => bottom.score < 2.0 * top.score,
        (top, _) => top.is_some(),
    };
    let (scene, best) = if at_top { (scene, top?) } else { (other, bottom?) };
    let edge = scene.follow(best);
    let steps: Vec<f32> = edge.iter().map(|p| scene.step(*p, best.normal())).collect();
    let count = steps.len().max(1) as f32;
    let step = steps.iter().sum::<f32>() / count;
    let clear = steps.iter().filter(|step| **step > CLEAR).count() as f32 / count;
    let range = scene.range;
    if step < LEAST_STEP * range || clear < LEAST_CLEAR {
        return None;
    }
    let line = [[scene.wall + best.across, scene.top], [scene.wall, scene.top + best.down]].map(|p| scene.out(p));
    let edge = edge.into_iter().map(|p| scene.out(p)).collect();
    Some(Muscle { line, edge, angle_deg: best.angle_deg(), step: step / range, clear, at_top })
}

/// A line from the border of the picture at `across` pixels from the chest wall to the chest wall `down` pixels from there.
#[derive(Debug, Clone, Copy)]
struct Line {
    across: f32,
    down: f32,
    score: f32,
}

impl Line {
    fn angle_deg(self) -> f32 {
        self.across.atan2(self.down).to_degrees()
    }

    /// From the muscle to the breast, of length 1.
    fn normal(self) -> [f32; 2] {
        let length = self.across.hypot(self.down);
        [self.down / length, self.across / length]
    }
}

/// The picture with the end of interest at the top.
struct Scene {
    picture: super::Picture,
    mask: Vec<u8>,
    wall: f32,
    top: f32,
    width: f32,
    height: f32,
    mm: f32,
    range: f32,
    flipped: bool,
}

impl Scene {
    fn new(upright: &Upright, flipped: bool) -> Self {
        let flip = |row_width: usize, values: &[f32]| -> Vec<f32> {
            values.chunks_exact(row_width.max(1)).rev().flatten().copied().collect()
        };
        let mut picture = upright.picture.smoothed(2);
        let mut mask = upright.mask.clone();
        let [left, top, right, bottom] = upright.exposed;
        if flipped {
            picture.values = flip(picture.width, &picture.values);
            mask = mask.chunks_exact(picture.width.max(1)).rev().flatten().copied().collect();
        }
        let top = if flipped { picture.height - bottom } else { top };
        let height = upright.exposed[3] - upright.exposed[1];
        let inside: Vec<f32> = picture.values.iter().zip(&mask).filter(|(_, m)| **m != 0).map(|(v, _)| *v).collect();
        let histogram = super::level::Histogram::of(inside);
        let range = (histogram.percentile(0.99) - histogram.percentile(0.02)).max(0.05);
        let mm = picture.nominal_mm();
        Self {
            mask,
            wall: left as f32,
            top: top as f32,
            width: (right - left) as f32,
            height: height as f32,
            mm,
            range,
            flipped,
            picture,
        }
    }

    /// A point of the upright picture.
    fn out(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [x, if self.flipped { self.picture.height as f32 - y } else { y }]
    }

    fn is_breast(&self, [x, y]: [f32; 2]) -> bool {
        if x < 0.0 || y < 0.0 {
            return false;
        }
        let [x, y] = [floor_index(f64::from(x)), floor_index(f64::from(y))];
        x < self.picture.width && y < self.picture.height && self.mask[y * self.picture.width + x] != 0
    }

    /// How much brighter the muscle's side of a point is.
    fn step(&self, [x, y]: [f32; 2], [nx, ny]: [f32; 2]) -> f32 {
        let mut sum = 0.0;
        for beside in BESIDE_MM {
            let d = beside / self.mm;
            let inner = [(x - nx * d).max(self.wall), (y - ny * d).max(self.top)];
            sum += self.picture.at(inner[0], inner[1]) - self.picture.at(x + nx * d, y + ny * d);
        }
        sum / BESIDE_MM.len() as f32
    }

    /// The line with the best step along its whole length.
    fn best(&self) -> Option<Line> {
        let [least_across, least_down] = LEAST_MM.map(|mm| mm / self.mm);
        let [across_step, down_step] = STEP_MM.map(|mm| (mm / self.mm).max(1.0));
        let mut best: Option<Line> = None;
        let mut across = least_across;
        while across < 0.95 * self.width {
            let mut down = least_down;
            while down < 0.95 * self.height {
                let line = Line { across, down, score: 0.0 };
                if (ANGLE_DEG[0]..=ANGLE_DEG[1]).contains(&line.angle_deg()) {
                    let score = self.score(line);
                    if score > best.map_or(0.0, |best| best.score) {
                        best = Some(Line { score, ..line });
                    }
                }
                down += down_step;
            }
            across += across_step;
        }
        best
    }

    /// The mean step where the line runs in the breast, less where it is not one edge, more for a longer line.
    fn score(&self, line: Line) -> f32 {
        let length = line.across.hypot(line.down);
        let count = ceil_index(f64::from(length * self.mm / 2.0)).max(4);
        let normal = line.normal();
        let (mut sum, mut clear, mut used) = (0.0, 0.0, 0.0f32);
        for k in 0..count {
            let t = (k as f32 + 0.5) / count as f32;
            let point = [self.wall + line.across * (1.0 - t), self.top + line.down * t];
            // Beside the skin the step is that of the skin.
            let ahead = [point[0] + normal[0] * 6.0 / self.mm, point[1] + normal[1] * 6.0 / self.mm];
            if !self.is_breast(ahead) {
                continue;
            }
            let step = self.step(point, normal) / self.range;
            sum += step.min(0.25);
            clear += f32::from(u8::from(step > CLEAR));
            used += 1.0;
        }
        let part = used / count as f32;
        if part < 0.6 {
            return 0.0;
        }
        (sum / used) * (clear / used).powi(2) * part * (length * self.mm / 60.0).clamp(0.3, 2.0).sqrt()
    }

    /// The curve within [`NEAR_MM`] of the line that follows the edge: the best sum of steps, less a price for bends.
    fn follow(&self, line: Line) -> Vec<[f32; 2]> {
        const BEND: f32 = 0.004;
        let length = line.across.hypot(line.down);
        let rows = ceil_index(f64::from(length * self.mm / 1.2)).max(4);
        let reach = ceil_index(f64::from(NEAR_MM / self.mm)).max(1);
        let places = 2 * reach + 1;
        let normal = line.normal();
        let point = |row: usize, place: usize| {
            let t = row as f32 / (rows - 1) as f32;
            let away = place as f32 - reach as f32;
            [self.wall + line.across * (1.0 - t) + normal[0] * away, self.top + line.down * t + normal[1] * away]
        };
        let gain = |row: usize, place: usize| {
            let at = point(row, place);
            if at[0] < self.wall || at[1] < self.top || !self.is_breast(at) {
                return -0.02;
            }
            let away = (place as f32 - reach as f32) / reach as f32;
            (self.step(at, normal) / self.range).clamp(-0.1, 0.2) - 0.03 * away * away
        };
        let mut sums: Vec<f32> = (0..places).map(|place| gain(0, place)).collect();
        let mut from: Vec<Vec<usize>> = Vec::new();
        for row in 1..rows {
            let mut next = Vec::with_capacity(places);
            let mut back = Vec::with_capacity(places);
            for place in 0..places {
                let near = place.saturating_sub(2)..(place + 3).min(places);
                let price = |other: usize| BEND * (other as f32 - place as f32).abs();
                let best =
                    near.max_by(|a, b| (sums[*a] - price(*a)).total_cmp(&(sums[*b] - price(*b)))).unwrap_or(place);
                next.push(sums[best] - price(best) + gain(row, place));
                back.push(best);
            }
            sums = next;
            from.push(back);
        }
        let mut place = (0..places).max_by(|a, b| sums[*a].total_cmp(&sums[*b])).unwrap_or(reach);
        let mut edge = vec![point(rows - 1, place)];
        for (row, back) in from.iter().enumerate().rev() {
            place = back[place];
            edge.push(point(row, place));
        }
        edge.reverse();
        edge.iter().map(|[x, y]| [x.max(self.wall), y.max(self.top)]).collect()
    }
}

impl Muscle {
    /// Is a point of the upright picture on the muscle's side of the edge? `height`: of that picture.
    pub(super) fn covers(&self, [x, y]: [f32; 2]) -> bool {
        let (first, last) = (self.line[0], self.line[1]);
        let down = if self.at_top { y - first[1] } else { first[1] - y };
        let whole = (last[1] - first[1]).abs().max(1.0);
        if down > whole {
            return false;
        }
        // The edge at this height: its points are in order from the border to the chest wall.
        let near = self.edge.iter().min_by(|a, b| (a[1] - y).abs().total_cmp(&(b[1] - y).abs()));
        near.is_some_and(|edge| x < edge[0])
    }
}
