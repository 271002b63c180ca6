//! The five lobes: cut along the fissures where this scan shows them, and where they lie in most people elsewhere.
//!
//! The oblique fissure runs from the back, about a quarter below the apex, to the front of the diaphragm; the
//! horizontal fissure of the right lung runs nearly level. Where they lie is first decided by the usual shares of the lobes, as
//! planes. On thin slices each is then bent through the bright sheets near its plane; between and beside these it is
//! interpolated. A lobe is called estimated unless enough of its fissures was seen.

mod sheets;
mod solve;
mod surface;

use rayon::prelude::*;

use self::surface::{Plane, Surface};
use super::network;
use crate::cast::round_index;
use crate::findings::{Lobe, LobeName, Lung, Mask, Side};
use crate::grid::{Grid, bounds, crop};
use crate::preprocess::resample::{self, Target};
use crate::volume::Volume;

/// Share of the lower lobe in its lung and of the middle lobe in what is left: of both lungs, about 20 % right upper,
/// 9 % right middle, 25 % right lower, 23 % left upper and 23 % left lower lobe.
const RIGHT_LOWER: f64 = 0.46;
const LEFT_LOWER: f64 = 0.50;
const MIDDLE: f64 = 0.31;
/// Rise of the fissures from front to back, in heights of the lung a depth.
const OBLIQUE: f64 = 0.85;
const HORIZONTAL: f64 = 0.08;
/// Fissures are looked for in voxels of at most 3 mm, as positions in a file give them, on a grid of `GRID_MM`.
const THIN_MM: f64 = 3.05;
const GRID_MM: f64 = 1.25;
/// How far a fissure may lie from where it usually does, mm.
const REACH_MM: [f64; 2] = [70.0, 40.0];
/// A fissure of which less was seen is left where it usually lies; from `SEEN` on the lobe is not called estimated, though most of the
/// border may be interpolated.
const SOME: f64 = 0.1;
const SEEN: f64 = 0.2;
/// Sheets this near below the oblique fissure, or nearer, are not the horizontal one, mm.
const APART_MM: f64 = 5.0;

const UPPER: u8 = 1;
const MIDDLE_LABEL: u8 = 2;
const LOWER: u8 = 3;

/// The lobes of the lungs, right side first. They share the voxels of each lung between them.
pub fn divide(volume: &Volume, lungs: &[Lung]) -> Vec<Lobe> {
    lungs.par_iter().flat_map_iter(|lung| of_lung(volume, lung)).collect()
}

fn of_lung(volume: &Volume, lung: &Lung) -> Vec<Lobe> {
    let mask = &lung.mask;
    let Some(frame) = Frame::of(volume, mask) else { return Vec::new() };
    let fissures = Fissures::of(&frame, lung.side);
    let names: &[(u8, LobeName, f64)] = &match lung.side {
        Side::Right => {
            let both = fissures.oblique.seen.min(fissures.horizontal.as_ref().map_or(0.0, |h| h.seen));
            vec![
                (UPPER, LobeName::RightUpper, both),
                (MIDDLE_LABEL, LobeName::RightMiddle, both),
                (LOWER, LobeName::RightLower, fissures.oblique.seen),
            ]
        }
        Side::Left => vec![
            (UPPER, LobeName::LeftUpper, fissures.oblique.seen),
            (LOWER, LobeName::LeftLower, fissures.oblique.seen),
        ],
    };
    let labels = frame.labels(mask, &fissures);
    let lobe = |(label, name, seen): &(u8, LobeName, f64)| {
        let own: Vec<u8> = labels.iter().map(|l| u8::from(l == label)).collect();
        let grid = Grid { dims: mask.size, spacing_mm: volume.geometry.spacing_mm };
        let (low, high) = bounds(&grid, &own, 0)?;
        let voxels = crop(&grid, &own, low, high);
        let mask = Mask {
            origin: [0, 1, 2].map(|a| mask.origin[a] + low[a]),
            size: [0, 1, 2].map(|a| high[a] + 1 - low[a]),
            voxels,
        };
        let volume_ml = mask.count() as f64 * volume.geometry.voxel_ml();
        Some(Lobe { name: *name, volume_ml, estimated: *seen < SEEN, mask })
    };
    names.iter().filter_map(lobe).collect()
}

/// What hangs together with `first`, and is now taken, of what was not; `near` gets what is beside one.
fn together(first: usize, taken: &mut [bool], mut beside: impl FnMut(usize, &mut Vec<usize>)) -> Vec<usize> {
    taken[first] = true;
    let (mut all, mut near, mut next) = (vec![first], Vec::new(), 0);
    while let Some(&own) = all.get(next) {
        next += 1;
        beside(own, &mut near);
        for other in near.drain(..) {
            if !taken[other] {
                taken[other] = true;
                all.push(other);
            }
        }
    }
    all
}

struct Fissures {
    oblique: Surface,
    /// Of the right lung.
    horizontal: Option<Surface>,
}

impl Fissures {
    fn of(frame: &Frame, side: Side) -> Self {
        let [width, depth, height] = frame.extent_mm();
        let bits = if frame.thin { sheets::find(&frame.grid, &frame.hu, &frame.mask) } else { Vec::new() };
        let found = |bits: &[sheets::Bit], mask: &[u8], plane: Plane, reach: surface::Reach| {
            let surface = Surface::through(&frame.grid, bits, mask, plane, reach);
            if surface.seen < SOME { Surface::flat(plane, surface.seen) } else { surface }
        };
        let share = if side == Side::Right { RIGHT_LOWER } else { LEFT_LOWER };
        let plane = frame.plane(&frame.mask, OBLIQUE * height / depth, share);
        let reach = [width / 2.0 + 5.0, depth.hypot(height) / 2.0, REACH_MM[0]];
        let oblique = found(&bits, &frame.mask, plane, reach);
        if side == Side::Left {
            return Self { oblique, horizontal: None };
        }
        let above = |index: usize| oblique.above(frame.point(index));
        let front: Vec<u8> =
            (0..frame.mask.len()).into_par_iter().map(|i| u8::from(frame.mask[i] != 0 && above(i) > 0.0)).collect();
        let in_front: Vec<sheets::Bit> = bits.into_iter().filter(|bit| above(bit.index) > APART_MM).collect();
        let plane = frame.plane(&front, HORIZONTAL * height / depth, MIDDLE);
        let reach = [width / 2.0 + 5.0, depth / 2.0 + 5.0, REACH_MM[1]];
        let horizontal = found(&in_front, &front, plane, reach);
        Self { oblique, horizontal: Some(horizontal) }
    }

    fn label(&self, p: [f64; 3]) -> u8 {
        if self.oblique.above(p) < 0.0 {
            LOWER
        } else if self.horizontal.as_ref().is_some_and(|h| h.above(p) < 0.0) {
            MIDDLE_LABEL
        } else {
            UPPER
        }
    }
}

/// One lung on a grid of cubes in patient order.
struct Frame {
    grid: Grid,
    mask: Vec<u8>,
    /// Empty where slices are too thick for fissures.
    hu: Vec<f32>,
    thin: bool,
    target: Target,
    /// First and last point of the lung along each axis.
    ends: ([usize; 3], [usize; 3]),
}

impl Frame {
    fn of(volume: &Volume, mask: &Mask) -> Option<Self> {
        let geometry = &volume.geometry;
        let high = |a: usize| (mask.origin[a] + mask.size[a]).checked_sub(1);
        let high = [high(0)?, high(1)?, high(2)?];
        let target = Target::cover(geometry, (mask.origin, high), 2.0 * GRID_MM, GRID_MM, [3; 3]);
        let grid = target.grid;
        let mut on_grid = vec![0u8; grid.len()];
        network::points_in(&target, mask, geometry.dims).into_iter().for_each(|i| on_grid[i] = 1);
        let thin = geometry.spacing_mm.iter().all(|s| *s <= THIN_MM);
        let hu = if thin { resample::trilinear(volume, &target) } else { Vec::new() };
        let ends = bounds(&grid, &on_grid, 0)?;
        Some(Self { grid, mask: on_grid, hu, thin, target, ends })
    }

    fn point(&self, index: usize) -> [f64; 3] {
        self.grid.at(index).map(|v| v as f64 * GRID_MM)
    }

    /// Right to left, front to back, feet to head.
    fn extent_mm(&self) -> [f64; 3] {
        let (low, high) = self.ends;
        [0, 1, 2].map(|a| (high[a] + 1 - low[a]) as f64 * GRID_MM)
    }

    /// The plane of this slope (mm up a mm back) below which `share` of `part` lies, centred on the lung.
    fn plane(&self, part: &[u8], slope: f64, share: f64) -> Plane {
        let (low, high) = self.ends;
        let middle = [0, 1, 2].map(|a| (low[a] + high[a]) as f64 / 2.0 * GRID_MM);
        let through_middle = Plane::rising(slope, middle);
        // Every eleventh voxel says enough.
        let some = (0..part.len()).step_by(11).filter(|i| part[*i] != 0);
        let mut heights: Vec<f64> = some.map(|i| through_middle.coordinates(self.point(i))[2]).collect();
        heights.sort_by(f64::total_cmp);
        let last = heights.len().saturating_sub(1);
        let height = heights.get(round_index(share * last as f64)).copied().unwrap_or(0.0);
        Plane::rising(slope, [0, 1, 2].map(|a| middle[a] + height * through_middle.normal[a]))
    }

    /// The label of each voxel of the lung, 0 outside.
    fn labels(&self, mask: &Mask, fissures: &Fissures) -> Vec<u8> {
        let [sx, sy, _] = mask.size;
        // Where a voxel's index along each of its axes lies on the grid, mm.
        let orientation = self.target.orientation;
        let mut patient = [0; 3];
        let mut along: [Vec<f64>; 3] = [const { Vec::new() }; 3];
        for p in 0..3 {
            let a = orientation.axis[p];
            let place = |i: usize| self.target.index_at(p, (mask.origin[a] + i) as f64) * GRID_MM;
            along[a] = (0..mask.size[a]).map(place).collect();
            patient[a] = p;
        }
        let mut labels = mask.voxels.clone();
        labels.par_chunks_mut((sx * sy).max(1)).enumerate().for_each(|(z, plane)| {
            for (i, label) in plane.iter_mut().enumerate().filter(|(_, l)| **l != 0) {
                let mut p = [0.0; 3];
                for (a, v) in [i % sx, i / sx, z].into_iter().enumerate() {
                    p[patient[a]] = along[a][v];
                }
                *label = fissures.label(p);
            }
        });
        labels
    }
}
