//! A smooth surface through the sheets near a plane: where a fissure runs, also between the places where it shows.
//!
//! The surface is a height over each cell of the plane. First the heights are chosen by semi-global matching (Hirschmüller,
//! IEEE Transactions on Pattern Analysis and Machine Intelligence 30(2), 2008): much sheet on the surface, few steps between
//! neighbours. Then a thin plate is bent through them, which lets go of what lies away from it.

use super::sheets::Bit;
use super::{solve, together};
use crate::cast::{floor_index, round_index, single};
use crate::grid::Grid;

/// Side of a cell of the plane and of a step across it, mm.
const CELL_MM: f64 = 2.5;
const STEP_MM: f64 = 1.25;
/// What sheet is worth: at most this much, per HU that it stands out.
const MOST: f32 = 28.0;
const WORTH: f32 = 2.0;
/// A sheet whose normal leans more than this from that of the plane (cosine) belongs to something else.
const LEAN: f32 = 0.65;
/// Cost of a step between neighbours, of any jump, and of the distance from the plane (per mm^2).
const JUMP: f32 = 3.0;
const BREAK: f32 = 80.0;
const AWAY: f32 = 0.002;
/// A height is an observation when its sheet is worth this much.
const OBSERVED: f32 = 4.0;
/// Cells of one piece differ by at most so many steps from those beside them; a piece has at least so many cells (4 cm2).
const LEVEL: usize = 2;
const PATCH: usize = 64;
/// Stiffness of the plate, and how weakly the plane holds it where nothing is observed.
const STIFF: f64 = 25.0;
const HELD: f64 = 1e-3;
/// Observations this far from the plate lose their weight, mm, round by round.
const ROUNDS_MM: [f64; 6] = [30.0, 20.0, 12.0, 8.0, 5.0, 4.0];

/// A plane in patient order, mm on the grid, with two directions in it. The normal points to the head.
#[derive(Debug, Clone, Copy)]
pub struct Plane {
    pub centre: [f64; 3],
    pub across: [f64; 3],
    pub along: [f64; 3],
    pub normal: [f64; 3],
}

impl Plane {
    /// Through `centre`, level from right to left, rising by `slope` to the back.
    pub fn rising(slope: f64, centre: [f64; 3]) -> Self {
        let length = slope.hypot(1.0);
        Self {
            centre,
            across: [1.0, 0.0, 0.0],
            along: [0.0, 1.0 / length, slope / length],
            normal: [0.0, -slope / length, 1.0 / length],
        }
    }

    /// Across, along and above the plane, mm.
    pub fn coordinates(&self, p: [f64; 3]) -> [f64; 3] {
        let from = [0, 1, 2].map(|a| p[a] - self.centre[a]);
        [self.across, self.along, self.normal].map(|d| d[0] * from[0] + d[1] * from[1] + d[2] * from[2])
    }
}

/// How far the search goes from the centre of the plane: across, along, above and below, mm.
pub type Reach = [f64; 3];

#[derive(Debug, Clone)]
pub struct Surface {
    plane: Plane,
    /// Cells across and along, and the coordinates of the first.
    cells: [usize; 2],
    first: [f64; 2],
    /// Height over the plane, mm, of each cell, across fastest.
    heights: Vec<f64>,
    /// Share of the surface within the lung on which a sheet was seen, 0 to 1.
    pub seen: f64,
}

impl Surface {
    /// The plane itself.
    pub fn flat(plane: Plane, seen: f64) -> Self {
        Self { plane, cells: [1, 1], first: [0.0; 2], heights: vec![0.0], seen }
    }

    /// Through the sheets `bits` of a lung `mask`.
    pub fn through(grid: &Grid, bits: &[Bit], mask: &[u8], plane: Plane, reach: Reach) -> Self {
        let count = |reach: f64, step: f64| 2 * floor_index(reach / step) + 1;
        let cells = [count(reach[0], CELL_MM), count(reach[1], CELL_MM)];
        let steps = count(reach[2], STEP_MM);
        let half = |n: usize, step: f64| (n - 1) as f64 / 2.0 * step;
        let first = [-half(cells[0], CELL_MM), -half(cells[1], CELL_MM)];
        let lowest = -half(steps, STEP_MM);
        let worth = worth(grid, bits, &plane, (cells, first), (steps, lowest));
        let cost: Vec<f32> = worth
            .iter()
            .enumerate()
            .map(|(i, worth)| {
                let height = single(lowest + (i % steps) as f64 * STEP_MM);
                AWAY * height * height - worth
            })
            .collect();
        let chosen = matched(&cost, cells, steps);
        let heights: Vec<f64> = chosen.iter().map(|k| lowest + *k as f64 * STEP_MM).collect();
        let surface = |heights: Vec<f64>| Self { plane, cells, first, heights, seen: 0.0 };
        let rough = surface(heights.clone());
        let within: Vec<bool> = (0..heights.len()).map(|cell| rough.lies_in(cell, grid, mask)).collect();
        let weights: Vec<f64> = (0..heights.len())
            .map(|cell| {
                let worth = worth[cell * steps + chosen[cell]];
                if within[cell] && worth > OBSERVED { f64::from(worth / 20.0).min(1.0) } else { 0.0 }
            })
            .collect();
        let weights = in_patches(weights, &chosen, cells);
        let mut smooth = vec![0.0; heights.len()];
        for (round, scale) in ROUNDS_MM.into_iter().enumerate() {
            let trusted: Vec<f64> = (0..heights.len())
                .map(|i| {
                    let away = if round == 0 { 0.0 } else { (heights[i] - smooth[i]) / scale };
                    weights[i] / (1.0 + away * away).powi(2)
                })
                .collect();
            smooth = solve::plate(&heights, &trusted, cells, STIFF, HELD);
        }
        let near = |cell: &usize| weights[*cell] > 0.0 && (heights[*cell] - smooth[*cell]).abs() < ROUNDS_MM[5];
        let seen = (0..heights.len()).filter(near).count();
        let whole = within.iter().filter(|w| **w).count();
        Self { seen: seen as f64 / whole.max(1) as f64, ..surface(smooth) }
    }

    /// How far above the surface a point lies, mm across the plane.
    pub fn above(&self, p: [f64; 3]) -> f64 {
        let [across, along, up] = self.plane.coordinates(p);
        let part = |v: f64, axis: usize| {
            let last = self.cells[axis] - 1;
            let at = ((v - self.first[axis]) / CELL_MM).clamp(0.0, last as f64);
            let low = floor_index(at).min(last.saturating_sub(1));
            (low, (low + 1).min(last), at - low as f64)
        };
        let ((u0, u1, tu), (v0, v1, tv)) = (part(across, 0), part(along, 1));
        let height = |u: usize, v: usize| self.heights[v * self.cells[0] + u];
        let line = |v: usize| height(u0, v) + (height(u1, v) - height(u0, v)) * tu;
        up - (line(v0) + (line(v1) - line(v0)) * tv)
    }

    /// Does the surface lie in the lung at this cell?
    fn lies_in(&self, cell: usize, grid: &Grid, mask: &[u8]) -> bool {
        let u = self.first[0] + (cell % self.cells[0]) as f64 * CELL_MM;
        let v = self.first[1] + (cell / self.cells[0]) as f64 * CELL_MM;
        let Plane { centre, across, along, normal } = self.plane;
        let p = [0, 1, 2].map(|a| centre[a] + u * across[a] + v * along[a] + self.heights[cell] * normal[a]);
        let at = [0, 1, 2].map(|a| p[a] / grid.spacing_mm[a]);
        let inside = (0..3).all(|a| at[a] > -0.5 && at[a] < grid.dims[a] as f64 - 0.5);
        inside && mask[grid.index([0, 1, 2].map(|a| round_index(at[a]).min(grid.dims[a] - 1)))] != 0
    }
}

/// The weights, 0 where what was observed is not one piece of at least [`PATCH`] cells: a fissure shows in large pieces, the walls
/// between holes of emphysema in small ones.
fn in_patches(mut weights: Vec<f64>, chosen: &[usize], cells: [usize; 2]) -> Vec<f64> {
    let plane = Grid { dims: [cells[0], cells[1], 1], spacing_mm: [CELL_MM; 3] };
    let mut done: Vec<bool> = weights.iter().map(|w| *w == 0.0).collect();
    for first in 0..weights.len() {
        if done[first] {
            continue;
        }
        let patch = together(first, &mut done, |own, near| {
            near.extend(plane.neighbours(own).filter(|other| chosen[own].abs_diff(chosen[*other]) <= LEVEL));
        });
        if patch.len() < PATCH {
            patch.into_iter().for_each(|cell| weights[cell] = 0.0);
        }
    }
    weights
}

/// What the sheet in each cell is worth, step by step upwards, cells across fastest.
fn worth(
    grid: &Grid,
    bits: &[Bit],
    plane: &Plane,
    (cells, first): ([usize; 2], [f64; 2]),
    (steps, lowest): (usize, f64),
) -> Vec<f32> {
    let mut worth = vec![0.0f32; cells[0] * cells[1] * steps];
    for bit in bits {
        let at = grid.at(bit.index);
        let [across, along, up] = plane.coordinates([0, 1, 2].map(|a| at[a] as f64 * grid.spacing_mm[a]));
        let place = [(across - first[0]) / CELL_MM, (along - first[1]) / CELL_MM, (up - lowest) / STEP_MM];
        let [u, v, k] = place.map(|c| if c > -0.5 { round_index(c) } else { usize::MAX });
        if u >= cells[0] || v >= cells[1] || k >= steps {
            continue;
        }
        let lean: f64 = (0..3).map(|a| f64::from(bit.normal[a]) * plane.normal[a]).sum();
        let upright = ((single(lean.abs()) - LEAN) / 0.1).clamp(0.0, 1.0);
        let here = &mut worth[(v * cells[0] + u) * steps + k];
        *here = here.max((bit.strength * WORTH).min(MOST) * upright);
    }
    worth
}

/// The step of each cell that costs least, summed over eight directions of approach.
fn matched(cost: &[f32], cells: [usize; 2], steps: usize) -> Vec<usize> {
    const DIRECTIONS: [[isize; 2]; 8] = [[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1], [1, -1], [-1, 1]];
    let mut total = vec![0.0f32; cost.len()];
    let mut path = vec![0.0f32; cost.len()];
    let mut passed = vec![0.0f32; steps];
    for direction in DIRECTIONS {
        path.copy_from_slice(cost);
        let order = |axis: usize| -> Vec<usize> {
            if direction[axis] < 0 { (0..cells[axis]).rev().collect() } else { (0..cells[axis]).collect() }
        };
        let (columns, rows) = (order(0), order(1));
        for &v in &rows {
            for &u in &columns {
                let before = [u.checked_add_signed(-direction[0]), v.checked_add_signed(-direction[1])];
                let [Some(before_u), Some(before_v)] = before else { continue };
                if before_u >= cells[0] || before_v >= cells[1] {
                    continue;
                }
                let from = (before_v * cells[0] + before_u) * steps;
                pass(&path[from..from + steps], &mut passed);
                let own = (v * cells[0] + u) * steps;
                path[own..own + steps].iter_mut().zip(&passed).for_each(|(p, more)| *p += more);
            }
        }
        total.iter_mut().zip(&path).for_each(|(t, p)| *t += p);
    }
    let least = |costs: &[f32]| costs.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(k, _)| k);
    total.chunks(steps).map(least).collect()
}

/// What it costs to come from the neighbour to each step, less its least.
fn pass(from: &[f32], to: &mut [f32]) {
    let least = from.iter().copied().fold(f32::INFINITY, f32::min);
    to.copy_from_slice(from);
    for k in 1..to.len() {
        to[k] = to[k].min(to[k - 1] + JUMP);
    }
    for k in (1..to.len()).rev() {
        to[k - 1] = to[k - 1].min(to[k] + JUMP);
    }
    to.iter_mut().for_each(|t| *t = t.min(least + BREAK) - least);
}
