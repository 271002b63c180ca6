//! Samples the scene on a voxel grid: tissue, vessels, airways, nodules, then kernel and noise, slice by slice.

use rayon::prelude::*;

use super::anatomy::{Plane, Side};
use super::grain::Filter;
use super::random::Random;
use super::shape::{Rod, coverage};
use super::{Grid, Phantom};

/// One sampled plane.
#[derive(Debug)]
pub struct Slice {
    /// HU, row-major, -1024 to 3071.
    pub hu: Vec<i16>,
    /// For each voxel: 0, or the number (1, 2, ...) of the nodule that fills at least half of it; plus [`LUNG`] inside
    /// a lung. Empty unless labels were asked for.
    pub labels: Vec<u8>,
    pub tally: Tally,
}

/// Bit of a label that says: this voxel is lung.
pub const LUNG: u8 = 128;

/// What one slice adds to the truth.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Voxels of right and left lung.
    pub lung: [f64; 2],
    /// Per nodule: voxels, and their sums of position (mm) and of HU before noise.
    pub nodules: Vec<NoduleTally>,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct NoduleTally {
    pub voxels: f64,
    pub position: [f64; 3],
    pub hu: f64,
}

/// Soft tissue drawn as rods, with its HU; `hollow` ones are airways with a wall.
#[derive(Debug, Clone, Copy)]
pub struct Tube {
    pub rod: Rod,
    pub hu: f32,
    /// Thickness of the wall, mm, when the rod is the air inside.
    pub wall: Option<f32>,
    /// Lies outside the lung by definition (great vessels, trachea, main bronchi).
    pub central: bool,
}

pub fn slices(phantom: &Phantom, labels: bool) -> Vec<Slice> {
    let filter = Filter::new(phantom.options.kernel, phantom.grid.pixel_mm);
    (0..phantom.grid.slices).into_par_iter().map(|k| slice(phantom, &filter, k, labels)).collect()
}

fn slice(phantom: &Phantom, filter: &Filter, k: usize, labels: bool) -> Slice {
    let grid = &phantom.grid;
    let z = grid.z(k);
    // A sharp step over one voxel, measured along the mean of its edges.
    let width = 0.5 * (grid.pixel_mm + grid.slice_mm);
    let mut canvas = Canvas::tissue(grid, &phantom.chest.plane(z), width);
    for tube in &phantom.tubes {
        canvas.tube(grid, tube, z, width);
    }
    let mut marks = if labels { vec![0u8; canvas.hu.len()] } else { Vec::new() };
    if labels {
        for (m, l) in marks.iter_mut().zip(&canvas.lung) {
            *m = if *l >= 0.5 { LUNG } else { 0 };
        }
    }
    let mut tally = Tally { lung: canvas.lungs(grid, phantom.chest.offset[0]), ..Tally::default() };
    for number in 0..phantom.nodules.len() {
        tally.nodules.push(canvas.nodule(phantom, number, z, width, &mut marks));
    }
    let mut noise = Random::new(phantom.seed, 1000 + k as u64);
    filter.apply(&mut canvas.hu, grid.columns, phantom.options.noise_hu, &mut noise);
    let hu = canvas.hu.iter().map(|v| v.round().clamp(-1024.0, 3071.0) as i16).collect();
    Slice { hu, labels: marks, tally }
}

/// A slice in the making.
struct Canvas {
    hu: Vec<f32>,
    /// Part of each voxel that is lung; vessels and nodules inside a lung count as lung.
    lung: Vec<f32>,
}

impl Canvas {
    fn tissue(grid: &Grid, plane: &Plane<'_>, width: f32) -> Self {
        let mut hu = Vec::with_capacity(grid.columns * grid.rows);
        let mut lung = Vec::with_capacity(grid.columns * grid.rows);
        for row in 0..grid.rows {
            for column in 0..grid.columns {
                let sample = plane.sample(grid.x(column), grid.y(row), width);
                hu.push(sample.hu);
                lung.push(sample.lung);
            }
        }
        Self { hu, lung }
    }

    fn lungs(&self, grid: &Grid, middle: f32) -> [f64; 2] {
        let mut sums = [0.0; 2];
        for row in self.lung.chunks_exact(grid.columns) {
            for (column, part) in row.iter().enumerate() {
                sums[usize::from(grid.x(column) >= middle)] += f64::from(*part);
            }
        }
        sums
    }

    fn tube(&mut self, grid: &Grid, tube: &Tube, z: f32, width: f32) {
        let wall = tube.wall.unwrap_or(0.0);
        let (low, high) = tube.rod.bounds(wall + width);
        if z < low[2] || z > high[2] {
            return;
        }
        for row in grid.row_range(low[1], high[1]) {
            for column in grid.column_range(low[0], high[0]) {
                let (sd, radius) = tube.rod.distance([grid.x(column), grid.y(row), z]);
                if sd > wall + width {
                    continue;
                }
                let at = row * grid.columns + column;
                // A rod thinner than the voxel fills only part of it, even at its middle.
                let share = (2.0 * (radius + wall) / width).min(1.0);
                let outer = coverage(sd - wall, width) * share;
                let v = &mut self.hu[at];
                *v = v.max(*v + (tube.hu - *v) * outer);
                if tube.wall.is_some() {
                    let air = coverage(sd, width) * (2.0 * radius / width).min(1.0);
                    *v += (-1000.0 - *v) * air;
                }
                if tube.central {
                    self.lung[at] *= 1.0 - outer;
                }
            }
        }
    }

    fn nodule(&mut self, phantom: &Phantom, number: usize, z: f32, width: f32, marks: &mut [u8]) -> NoduleTally {
        let (grid, nodule) = (&phantom.grid, &phantom.nodules[number]);
        let mut tally = NoduleTally::default();
        let reach = nodule.reach() + width;
        let [x0, y0, z0] = nodule.centre;
        if (z - z0).abs() > reach {
            return tally;
        }
        for row in grid.row_range(y0 - reach, y0 + reach) {
            for column in grid.column_range(x0 - reach, x0 + reach) {
                let p = [grid.x(column), grid.y(row), z];
                let part = filled(phantom, number, p, width);
                if part <= 0.0 {
                    continue;
                }
                let at = row * grid.columns + column;
                let hu = nodule.hu_at(p);
                let v = &mut self.hu[at];
                // Ground glass veils, it does not hide the vessels inside.
                *v = v.max(*v + (hu - *v) * part);
                if part >= 0.5
                    && let Some(m) = marks.get_mut(at)
                {
                    *m = (*m & LUNG) | (number + 1) as u8;
                }
                tally.voxels += f64::from(part);
                tally.hu += f64::from(hu * part);
                for (sum, c) in tally.position.iter_mut().zip(p) {
                    *sum += f64::from(c * part);
                }
            }
        }
        tally
    }
}

/// Part of the voxel at `p` that the nodule fills, within the lung: two samples along each axis.
fn filled(phantom: &Phantom, number: usize, p: [f32; 3], width: f32) -> f32 {
    let (grid, nodule) = (&phantom.grid, &phantom.nodules[number]);
    let near = nodule.distance(p);
    if near > width {
        return 0.0;
    }
    let mut part = 1.0;
    if near > -width {
        let (h, v) = (0.25 * grid.pixel_mm, 0.25 * grid.slice_mm);
        part = 0.0;
        for corner in 0..8 {
            let sign = |bit: usize| if corner & bit == 0 { -1.0 } else { 1.0 };
            let q = [p[0] + h * sign(1), p[1] + h * sign(2), p[2] + v * sign(4)];
            part += 0.125 * coverage(nodule.distance(q), 0.5 * width);
        }
    }
    let side: Side = nodule.side;
    part * coverage(phantom.chest.lung_distance(side, p), width)
}
