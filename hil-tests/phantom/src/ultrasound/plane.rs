//! The tissue in one image plane: for each acoustic sample how strongly it scatters, how it reflects like a mirror, and
//! how much sound it absorbs.

use super::breast::{Breast, Layers, Point};
use super::decoy::Decoys;
use super::lesion::{Lesion, Surface};
use super::lobules::Lobules;
use super::noise;
use super::tissue::{FIELDS, Tissue, line};
use crate::shape::coverage;

/// Acoustic samples, aligned to the tissue so that speckle moves with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Number of the first column; column `n` lies at `n * step_mm[0]`. A multiple of [`BLOCK`], so that what is
    /// interpolated within blocks stays when the plane moves.
    pub first: i32,
    pub columns: usize,
    pub rows: usize,
    /// Lateral and in depth.
    pub step_mm: [f32; 2],
    pub elevation_mm: f32,
}

impl Grid {
    pub fn lateral(&self, column: usize) -> f32 {
        (self.first + column as i32) as f32 * self.step_mm[0]
    }

    pub fn depth(&self, row: usize) -> f32 {
        row as f32 * self.step_mm[1]
    }
}

/// Row by row.
#[derive(Debug)]
pub struct Plane {
    pub grid: Grid,
    /// Of the scatterers, relative to fat.
    pub echo_db: Vec<f32>,
    /// Amplitude of mirror-like reflections: skin, fasciae, walls; 1 is the scattering of fat.
    pub mirror: Vec<f32>,
    /// There and back, beyond what the time gain compensation expects, dB/mm.
    pub loss_db_mm: Vec<f32>,
    pub outlines: Vec<Outline>,
}

/// Signed distance to one lesion in a part of the plane.
#[derive(Debug, Clone)]
pub struct Outline {
    /// Index of the lesion.
    pub lesion: usize,
    pub low: [usize; 2],
    pub size: [usize; 2],
    /// mm, row by row, negative inside.
    pub distance_mm: Vec<f32>,
}

/// Samples that share their Voronoi candidates and between whose corners slow fields are interpolated.
pub const BLOCK: [usize; 2] = [4, 6];

/// One breast with everything in it.
#[derive(Debug)]
pub struct Scene {
    pub seed: u64,
    pub breast: Breast,
    pub lesions: Vec<Lesion>,
    pub decoys: Decoys,
}

impl Scene {
    pub fn plane(&self, grid: Grid) -> Plane {
        let size = grid.columns * grid.rows;
        let mut plane = Plane {
            grid,
            echo_db: vec![0.0; size],
            mirror: vec![0.0; size],
            loss_db_mm: vec![0.0; size],
            outlines: Vec::new(),
        };
        self.tissue(&mut plane);
        self.decoys.put(&mut plane);
        for (index, lesion) in self.lesions.iter().enumerate() {
            put(lesion, index, &mut plane);
        }
        plane
    }

    fn tissue(&self, plane: &mut Plane) {
        let grid = plane.grid;
        let ends = |row: usize, column: usize| [grid.lateral(column), grid.depth(row)];
        let lobules = Lobules::around(
            &self.breast,
            self.seed,
            grid.elevation_mm,
            ends(0, 0),
            ends(grid.rows - 1, grid.columns - 1),
        );
        let layers: Vec<Layers> =
            (0..grid.columns).map(|c| self.breast.layers(grid.lateral(c), grid.elevation_mm)).collect();
        let across = grid.columns.div_ceil(BLOCK[0]) + 1;
        let mut above = self.fields(&grid, 0, across);
        for top in (0..grid.rows).step_by(BLOCK[1]) {
            let below = self.fields(&grid, top + BLOCK[1], across);
            for (b, left) in (0..grid.columns).step_by(BLOCK[0]).enumerate() {
                let corners = [above[b], above[b + 1], below[b], below[b + 1]];
                block(plane, [left, top], &corners, &lobules, &layers);
            }
            above = below;
        }
    }

    fn fields(&self, grid: &Grid, row: usize, across: usize) -> Vec<[f32; FIELDS]> {
        let at = |b: usize| {
            let p = [grid.lateral(b * BLOCK[0]), grid.depth(row), grid.elevation_mm];
            let field = |stream: u64, mm: f32| noise::smooth(self.seed ^ (stream << 50), p.map(|c| c / mm));
            let streak = noise::smooth(self.seed ^ (5 << 50), [p[0] / 4.5, p[1] / 1.1, p[2] / 3.5]);
            [field(1, 6.0), field(2, 6.0), field(3, 5.0), field(4, 1.7), streak]
        };
        (0..across).map(at).collect()
    }
}

/// Fills one block; `corners` are the fields at its corners.
fn block(
    plane: &mut Plane,
    [left, top]: [usize; 2],
    corners: &[[f32; FIELDS]; 4],
    lobules: &Lobules,
    layers: &[Layers],
) {
    let grid = plane.grid;
    let warped = |p: Point, f: &[f32; FIELDS]| {
        let u = lobules.scaled(p);
        [u[0] + 0.2 * f[0] + 0.03 * f[3], u[1] + 0.2 * f[1] + 0.05 * f[3], u[2]]
    };
    let half = [BLOCK[0] as f32 / 2.0 * grid.step_mm[0], BLOCK[1] as f32 / 2.0 * grid.step_mm[1]];
    let middle = [grid.lateral(left) + half[0], grid.depth(top) + half[1], grid.elevation_mm];
    let mean: [f32; FIELDS] = std::array::from_fn(|i| corners.iter().map(|c| c[i]).sum::<f32>() / 4.0);
    let reach = lobules.scaled([half[0], half[1], 0.0]);
    let near = lobules.near(warped(middle, &mean), 1.3 * (reach[0].powi(2) + reach[1].powi(2)).sqrt());
    for row in top..(top + BLOCK[1]).min(grid.rows) {
        let t = (row - top) as f32 / BLOCK[1] as f32;
        let ends: [[f32; FIELDS]; 2] =
            std::array::from_fn(|e| std::array::from_fn(|i| noise::mix(corners[e][i], corners[e + 2][i], t)));
        for (column, layers) in layers.iter().enumerate().skip(left).take(BLOCK[0]) {
            let s = (column - left) as f32 / BLOCK[0] as f32;
            let fields: [f32; FIELDS] = std::array::from_fn(|i| noise::mix(ends[0][i], ends[1][i], s));
            let p = [grid.lateral(column), grid.depth(row), grid.elevation_mm];
            let spot = || lobules.spot(&near, warped(p, &fields));
            let tissue = Tissue::at(p[1], layers, &fields, spot);
            let index = row * grid.columns + column;
            plane.echo_db[index] = tissue.echo_db;
            plane.mirror[index] = tissue.mirror;
            plane.loss_db_mm[index] = tissue.loss_db_mm;
        }
    }
}

impl Plane {
    /// Columns and rows within `reach` mm of a point; nothing when it lies beside the plane.
    pub fn window(&self, centre: Point, reach: Point) -> Option<([usize; 2], [usize; 2])> {
        let grid = &self.grid;
        if (centre[2] - grid.elevation_mm).abs() > reach[2] {
            return None;
        }
        let range = |value: f32, reach: f32, origin: f32, step: f32, count: usize| {
            let low = ((value - reach - origin) / step).ceil().max(0.0) as usize;
            let high = ((value + reach - origin) / step).floor() + 1.0;
            (low, (high.max(0.0) as usize).min(count))
        };
        let (left, right) = range(centre[0], reach[0], grid.lateral(0), grid.step_mm[0], grid.columns);
        let (top, bottom) = range(centre[1], reach[1], 0.0, grid.step_mm[1], grid.rows);
        (left < right && top < bottom).then(|| ([left, top], [right - left, bottom - top]))
    }

    pub fn point(&self, column: usize, row: usize) -> Point {
        [self.grid.lateral(column), self.grid.depth(row), self.grid.elevation_mm]
    }

    /// Changes one sample.
    pub fn blend(&mut self, column: usize, row: usize, with: &Tissue, share: f32) {
        let index = row * self.grid.columns + column;
        self.echo_db[index] = noise::mix(self.echo_db[index], with.echo_db, share);
        self.mirror[index] = noise::mix(self.mirror[index], with.mirror, share);
        self.loss_db_mm[index] = noise::mix(self.loss_db_mm[index], with.loss_db_mm, share);
    }
}

/// Paints a lesion over the tissue and records its outline.
fn put(lesion: &Lesion, index: usize, plane: &mut Plane) {
    let Some((low, size)) = plane.window(lesion.centre, lesion.reach()) else { return };
    let mut outline = Outline { lesion: index, low, size, distance_mm: Vec::with_capacity(size[0] * size[1]) };
    for row in low[1]..low[1] + size[1] {
        for column in low[0]..low[0] + size[0] {
            let p = plane.point(column, row);
            let at = lesion.surface(p);
            outline.distance_mm.push(at.distance_mm);
            put_sample(lesion, &at, p, plane, [column, row]);
        }
    }
    if outline.distance_mm.iter().any(|d| *d < 0.0) {
        plane.outlines.push(outline);
    }
}

fn put_sample(lesion: &Lesion, at: &Surface, p: Point, plane: &mut Plane, [column, row]: [usize; 2]) {
    let away = at.distance_mm;
    let index = row * plane.grid.columns + column;
    let share = coverage(away, lesion.edge_mm);
    let circumscribed = lesion.edge_mm < 0.28;
    if share < 1.0 && !circumscribed {
        plane.echo_db[index] += lesion.around_db(at);
    }
    if share > 0.0 {
        let inside = Tissue { echo_db: lesion.echo_db(p), mirror: 0.0, loss_db_mm: lesion.inside.attenuation_db_mm };
        plane.blend(column, row, &inside, share);
        let spot = |c: &Point| {
            let d: Point = std::array::from_fn(|a| (p[a] - c[a]) / [0.25, 0.15, 0.6][a]);
            (-(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])).exp()
        };
        plane.mirror[index] += 9.0 * lesion.calcifications.iter().map(spot).sum::<f32>();
    }
    if circumscribed {
        // A smooth wall reflects where it is perpendicular to the beam, and refracts the beam away where it is parallel
        // to it.
        plane.mirror[index] += 1.8 * line(away, 0.16) * at.level.powi(6);
        plane.loss_db_mm[index] += 0.5 * line(away, 0.4) * (1.0 - at.level).powi(2);
    }
}
