//! Samples the scene on a voxel grid, slice by slice: tissue, parenchymal findings, vessels and airways, findings that
//! cover them, nodules; then kernel and noise.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::anatomy::{Plane, Side};
use super::finding::coronary;
use super::finding::emphysema::LOW_HU;
use super::finding::{Channel, LUNG, Layer, Lesion, Placed};
use super::grain::Filter;
use super::random::Random;
use super::shape::{Rod, coverage};
use super::{Grid, Phantom};

/// One sampled plane.
#[derive(Debug, Default)]
pub struct Slice {
    /// HU, row-major, -1024 to 3071.
    pub hu: Vec<i16>,
    /// For each voxel the [`Channel::bit`]s of what fills at least half of it, plus [`LUNG`] inside a lung. Empty unless
    /// labels were asked for.
    pub labels: Vec<u16>,
    pub tally: Tally,
}

/// What one slice adds to the truth.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Voxels of right and left lung.
    pub lung: [f64; 2],
    /// Voxels of parenchyma, right and left, and how many of them are [`LOW_HU`] or less.
    pub parenchyma: [f64; 2],
    pub low: [f64; 2],
    pub nodules: Vec<Amount>,
    pub lesions: Vec<Amount>,
    /// Agatston score of this slice, before it is scaled to the distance of slices.
    pub agatston: f64,
}

/// Number of voxels of one thing, and sums of their position (mm) and of their HU before kernel and noise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Amount {
    pub voxels: f64,
    pub position: [f64; 3],
    pub hu: f64,
}

impl Amount {
    fn add(&mut self, part: f32, p: [f32; 3], hu: f32) {
        self.voxels += f64::from(part);
        self.hu += f64::from(hu * part);
        for (sum, c) in self.position.iter_mut().zip(p) {
            *sum += f64::from(c * part);
        }
    }
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
    /// The lesion it is part of, its wall included.
    pub lesion: Option<usize>,
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
    let lesions = &phantom.planted.lesions;
    let mut canvas = Canvas::tissue(grid, &phantom.chest.plane(z), width, lesions.len());
    canvas.bodies(phantom, Layer::Around, z, width);
    canvas.bodies(phantom, Layer::Under, z, width);
    canvas.bodies(phantom, Layer::Parenchyma, z, width);
    for tube in &phantom.tubes {
        canvas.tube(grid, tube, z, width);
    }
    canvas.bodies(phantom, Layer::Over, z, width);
    canvas.pleural(phantom);
    canvas.bodies(phantom, Layer::Mark, z, width);
    let mut marks = if labels { vec![0u16; canvas.hu.len()] } else { Vec::new() };
    if labels {
        for (m, l) in marks.iter_mut().zip(&canvas.lung) {
            *m = if *l >= 0.5 { LUNG } else { 0 };
        }
    }
    let mut tally = Tally { lung: canvas.lungs(grid, phantom.chest.offset[0]), ..Tally::default() };
    for number in 0..phantom.nodules.len() {
        tally.nodules.push(canvas.nodule(phantom, number, z, width, &mut marks));
    }
    tally.agatston = canvas.calcium(grid, lesions, filter);
    tally.lesions = canvas.measure(grid, lesions, z, &mut marks);
    filter.blur(&mut canvas.hu, grid.columns);
    canvas.low_attenuation(phantom, z, &mut tally, &mut marks);
    let mut noise = Random::new(phantom.seed, 1000 + k as u64);
    filter.add_noise(&mut canvas.hu, grid.columns, phantom.options.noise_hu, &mut noise);
    let hu = canvas.hu.iter().map(|v| v.round().clamp(-1024.0, 3071.0) as i16).collect();
    Slice { hu, labels: marks, tally }
}

/// A slice in the making.
struct Canvas {
    hu: Vec<f32>,
    /// Fraction of each voxel that is lung; vessels and nodules inside a lung count as lung.
    lung: Vec<f32>,
    /// Fraction of each voxel that is fluid or air in the pleural space.
    pleura: Vec<f32>,
    /// Airways, their walls included: no parenchyma.
    airway: Vec<bool>,
    /// For each lesion: its voxels and the fraction that it fills of each, in the order of painting. A voxel may occur
    /// more than once.
    filled: Vec<Vec<(usize, f32)>>,
}

impl Canvas {
    fn tissue(grid: &Grid, plane: &Plane<'_>, width: f32, lesions: usize) -> Self {
        let mut hu = Vec::with_capacity(grid.columns * grid.rows);
        let mut lung = Vec::with_capacity(grid.columns * grid.rows);
        let mut pleura = Vec::with_capacity(grid.columns * grid.rows);
        for row in 0..grid.rows {
            for column in 0..grid.columns {
                let sample = plane.sample(grid.x(column), grid.y(row), width);
                hu.push(sample.hu);
                lung.push(sample.lung);
                pleura.push(sample.pleura);
            }
        }
        let airway = vec![false; hu.len()];
        Self { hu, lung, pleura, airway, filled: vec![Vec::new(); lesions] }
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
                let mut outer = coverage(sd - wall, width) * share;
                if !tube.central {
                    // Vessels and airways end where the pleural space has displaced the lung.
                    outer *= 1.0 - self.pleura[at];
                }
                let v = &mut self.hu[at];
                *v = v.max(*v + (tube.hu - *v) * outer);
                if tube.wall.is_some() {
                    let air = coverage(sd, width) * (2.0 * radius / width).min(1.0);
                    *v += (-1000.0 - *v) * air;
                    self.airway[at] |= air > 0.0 || outer > 0.0;
                }
                if tube.central {
                    self.lung[at] *= 1.0 - outer;
                    self.pleura[at] *= 1.0 - outer;
                }
                self.note(tube.lesion, at, outer);
            }
        }
    }

    fn note(&mut self, lesion: Option<usize>, at: usize, part: f32) {
        if let Some(filled) = lesion.and_then(|lesion| self.filled.get_mut(lesion)) {
            filled.push((at, part));
        }
    }

    fn bodies(&mut self, phantom: &Phantom, layer: Layer, z: f32, width: f32) {
        for placed in phantom.planted.bodies.iter().filter(|p| p.layer == layer) {
            self.body(&phantom.grid, placed, z, width);
        }
    }

    fn body(&mut self, grid: &Grid, placed: &Placed, z: f32, width: f32) {
        let (low, high) = placed.body.bounds();
        if z < low[2] - width || z > high[2] + width {
            return;
        }
        for row in grid.row_range(low[1] - width, high[1] + width) {
            for column in grid.column_range(low[0] - width, high[0] + width) {
                let at = row * grid.columns + column;
                let room = match placed.layer {
                    Layer::Parenchyma => self.lung[at],
                    Layer::Around => 1.0 - self.lung[at] - self.pleura[at],
                    _ => 1.0,
                };
                if room <= 0.0 {
                    continue;
                }
                let p = [grid.x(column), grid.y(row), z];
                let part = placed.body.fill(p, width);
                if part <= 0.0 {
                    continue;
                }
                self.hu[at] = placed.body.paint(p, self.hu[at], part * room);
                if matches!(placed.layer, Layer::Under | Layer::Over) {
                    self.lung[at] *= 1.0 - part;
                    self.pleura[at] *= 1.0 - part;
                }
                self.note(placed.lesion, at, part);
            }
        }
    }

    /// Records the contents of the pleural spaces of the chest.
    fn pleural(&mut self, phantom: &Phantom) {
        let (grid, chest) = (&phantom.grid, &phantom.chest);
        for side in Side::BOTH {
            let Some(lesion) = chest.pleura(side).map(|space| space.lesion) else { continue };
            for at in 0..self.pleura.len() {
                let outward = (grid.x(at % grid.columns) - chest.offset[0]) * side.sign();
                if self.pleura[at] > 0.0 && outward >= 0.0 {
                    self.note(Some(lesion), at, self.pleura[at]);
                }
            }
        }
    }

    /// Keeps the voxels of each plaque that are calcium after the blur of the kernel, and computes their score.
    fn calcium(&mut self, grid: &Grid, lesions: &[Lesion], filter: &Filter) -> f64 {
        let plaques: Vec<usize> =
            (0..lesions.len()).filter(|i| lesions[*i].channel == Channel::CoronaryCalcification).collect();
        if plaques.iter().all(|i| self.filled[*i].is_empty()) {
            return 0.0;
        }
        let mut hu = self.hu.clone();
        filter.blur(&mut hu, grid.columns);
        let mut voxels = BTreeSet::new();
        for i in plaques {
            coronary::calcium(&mut self.filled[i], &hu);
            voxels.extend(self.filled[i].iter().map(|(at, _)| *at));
        }
        coronary::slice_score(&voxels, &hu, grid.columns, f64::from(grid.pixel_mm).powi(2))
    }

    /// How much each lesion fills after everything is painted. Within one channel no voxel counts twice, and
    /// consolidated voxels do not count as ground glass.
    fn measure(&self, grid: &Grid, lesions: &[Lesion], z: f32, marks: &mut [u16]) -> Vec<Amount> {
        let mut amounts = vec![Amount::default(); lesions.len()];
        let mut taken: BTreeMap<(Channel, usize), f32> = BTreeMap::new();
        let mut order: Vec<usize> = (0..lesions.len()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(lesions[*i].channel));
        for i in order {
            let channel = lesions[i].channel;
            let mut parts: BTreeMap<usize, f32> = BTreeMap::new();
            for (at, part) in &self.filled[i] {
                let most = parts.entry(*at).or_default();
                *most = most.max(*part);
            }
            for (at, mut part) in parts {
                if channel.is_within_lung() {
                    part *= self.lung[at];
                }
                if channel == Channel::GroundGlass {
                    part -= taken.get(&(Channel::Consolidation, at)).copied().unwrap_or(0.0);
                }
                let own = taken.entry((channel, at)).or_default();
                let part = part.min(1.0 - *own);
                if part <= 0.0 {
                    continue;
                }
                *own += part;
                if *own >= 0.5
                    && let Some(m) = marks.get_mut(at)
                {
                    *m |= channel.bit();
                }
                let p = [grid.x(at % grid.columns), grid.y(at / grid.columns), z];
                amounts[i].add(part, p, self.hu[at]);
            }
        }
        amounts
    }

    /// Counts the parenchyma below [`LOW_HU`] after the kernel was applied, because the blur makes small holes brighter
    /// than air.
    fn low_attenuation(&self, phantom: &Phantom, z: f32, tally: &mut Tally, marks: &mut [u16]) {
        let (grid, middle) = (&phantom.grid, phantom.chest.offset[0]);
        for (at, hu) in self.hu.iter().enumerate() {
            if self.lung[at] < 0.5 || self.airway[at] {
                continue;
            }
            let p = [grid.x(at % grid.columns), grid.y(at / grid.columns), z];
            let side = if p[0] < middle { Side::Right } else { Side::Left };
            tally.parenchyma[side as usize] += 1.0;
            if *hu >= LOW_HU {
                continue;
            }
            tally.low[side as usize] += 1.0;
            let mut lesions = phantom.planted.lesions.iter().zip(&mut tally.lesions);
            if let Some((_, amount)) = lesions.find(|(l, _)| l.channel == Channel::Emphysema && l.side == Some(side)) {
                amount.add(1.0, p, *hu);
                if let Some(m) = marks.get_mut(at) {
                    *m |= Channel::Emphysema.bit();
                }
            }
        }
    }

    fn nodule(&mut self, phantom: &Phantom, number: usize, z: f32, width: f32, marks: &mut [u16]) -> Amount {
        let (grid, nodule) = (&phantom.grid, &phantom.nodules[number]);
        let mut tally = Amount::default();
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
                let painted = *v + (hu - *v) * part;
                // Ground glass does not hide the vessels inside it; a mass has displaced them.
                *v = if nodule.growth.is_some() { painted } else { v.max(painted) };
                if part >= 0.5
                    && let Some(m) = marks.get_mut(at)
                {
                    *m |= Channel::Nodule.bit();
                }
                tally.add(part, p, hu);
            }
        }
        tally
    }
}

/// Fraction of the voxel at `p` that the nodule fills, within the lung: two samples along each axis.
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
