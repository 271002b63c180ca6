//! The five lobes: where fissures lie in most people, moved to where this scan shows them.
//!
//! The oblique fissure runs from the back, about a quarter below the apex, to the front of the diaphragm; the
//! horizontal fissure of the right lung runs level. Both are taken for planes in coordinates relative to their lung;
//! where they lie is first decided by the usual shares of the lobes, then, on thin slices, by the sheet that is
//! brighter than the lung on either side.

use rayon::prelude::*;

use crate::cast::floor_index;
use crate::findings::{Lobe, LobeName, Lung, Mask, Side};
use crate::grid::{Grid, Orientation, bounds, crop};
use crate::volume::Volume;

/// Share of the lower lobe in its lung and of the middle lobe in what is left: of both lungs, about 20 % right upper,
/// 9 % right middle, 25 % right lower, 23 % left upper and 23 % left lower lobe.
const RIGHT_LOWER: f64 = 0.46;
const LEFT_LOWER: f64 = 0.50;
const MIDDLE: f64 = 0.31;
/// Rise of the oblique fissure from front to back, in heights of the lung a depth.
const OBLIQUE: [f64; 5] = [0.70, 0.78, 0.85, 0.92, 1.0];
const USUAL_OBLIQUE: usize = 2;
/// The horizontal fissure falls a little to the front.
const HORIZONTAL: [f64; 3] = [0.0, 0.08, 0.16];
const USUAL_HORIZONTAL: usize = 1;
/// Fissures are looked for on slices at most this far apart, mm.
const THIN_MM: f64 = 2.0;
/// How far a fissure may lie from where it usually does, mm.
const REACH_MM: f64 = 18.0;
/// A sheet this much brighter on average than the lung on both sides is a fissure and not noise, HU.
const SEEN_HU: f64 = 6.0;
/// Width of one layer parallel to a fissure, mm.
const LAYER_MM: f64 = 1.0;
/// Brighter than this is vessel, HU.
const VESSEL_HU: i16 = -600;

const UPPER: u8 = 1;
const MIDDLE_LABEL: u8 = 2;
const LOWER: u8 = 3;

/// The lobes of the lungs, right side first. They share the voxels of each lung between them.
pub fn divide(volume: &Volume, lungs: &[Lung]) -> Vec<Lobe> {
    lungs.par_iter().flat_map_iter(|lung| of_lung(volume, lung)).collect()
}

fn of_lung(volume: &Volume, lung: &Lung) -> Vec<Lobe> {
    let mask = &lung.mask;
    let mut labels = mask.voxels.clone();
    let frame = Frame::of(volume, mask);
    let share = if lung.side == Side::Right { RIGHT_LOWER } else { LEFT_LOWER };
    cut(volume, mask, &mut labels, &frame, (&OBLIQUE, USUAL_OBLIQUE), share, LOWER);
    if lung.side == Side::Right {
        cut(volume, mask, &mut labels, &frame, (&HORIZONTAL, USUAL_HORIZONTAL), MIDDLE, MIDDLE_LABEL);
    }
    let names: &[(u8, LobeName)] = match lung.side {
        Side::Right => {
            &[(UPPER, LobeName::RightUpper), (MIDDLE_LABEL, LobeName::RightMiddle), (LOWER, LobeName::RightLower)]
        }
        Side::Left => &[(UPPER, LobeName::LeftUpper), (LOWER, LobeName::LeftLower)],
    };
    let lobe = |(label, name): &(u8, LobeName)| {
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
        Some(Lobe { name: *name, volume_ml, mask })
    };
    names.iter().filter_map(lobe).collect()
}

/// Coordinates relative to one lung: back and head, 0 to 1 each, along the two voxel axes that run there.
struct Frame {
    /// Voxel axes of patient y and z.
    axes: [usize; 2],
    /// Backness of each index along the first, headness along the second.
    relative: [Vec<f64>; 2],
    /// Depth and height, mm.
    extent_mm: [f64; 2],
}

impl Frame {
    fn of(volume: &Volume, mask: &Mask) -> Self {
        let orientation = Orientation::of(&volume.geometry);
        let axes = [orientation.axis[1], orientation.axis[2]];
        let relative = [0, 1].map(|i| {
            let n = mask.size[axes[i]];
            let last = n.saturating_sub(1).max(1) as f64;
            let up = |k: usize| k as f64 / last;
            (0..n).map(|k| if orientation.flipped[i + 1] { 1.0 - up(k) } else { up(k) }).collect::<Vec<f64>>()
        });
        let extent_mm = axes.map(|a| mask.size[a] as f64 * volume.geometry.spacing_mm[a]);
        Self { axes, relative, extent_mm }
    }

    /// Levels: height above the plane of this slope through the lung's lower front edge, in mm across the plane.
    fn levels(&self, slope: f64) -> Levels {
        let [depth, height] = self.extent_mm;
        let across = 1.0 / (1.0 / height).hypot(slope / depth);
        let [back, head] = &self.relative;
        Levels {
            axes: self.axes,
            down: back.iter().map(|b| slope * b * across).collect(),
            up: head.iter().map(|h| h * across).collect(),
        }
    }
}

/// The level of each voxel, as one part that falls along the first axis of the frame and one that rises along the second.
struct Levels {
    axes: [usize; 2],
    down: Vec<f64>,
    up: Vec<f64>,
}

impl Levels {
    fn at(&self, at: [usize; 3]) -> f64 {
        self.up[at[self.axes[1]]] - self.down[at[self.axes[0]]]
    }

    /// Is it the same along a row of voxels? In axial volumes it is.
    fn is_even(&self) -> bool {
        !self.axes.contains(&0)
    }
}

/// What lies in one layer parallel to a plane.
#[derive(Debug, Clone, Copy, Default)]
struct Layer {
    /// Of the part to be divided.
    voxels: u64,
    /// Of these, without vessels.
    parenchyma: u64,
    hu: i64,
}

impl Layer {
    fn add(&mut self, hu: i16) {
        let parenchyma = hu < VESSEL_HU;
        self.voxels += 1;
        self.parenchyma += u64::from(parenchyma);
        self.hu += if parenchyma { i64::from(hu) } else { 0 };
    }

    fn join(&mut self, other: &Self) {
        self.voxels += other.voxels;
        self.parenchyma += other.parenchyma;
        self.hu += other.hu;
    }
}

/// Gives the part of `UPPER` below the fissure the label `below`.
fn cut(
    volume: &Volume,
    mask: &Mask,
    labels: &mut [u8],
    frame: &Frame,
    (slopes, usual): (&[f64], usize),
    share: f64,
    below: u8,
) {
    let thin = volume.geometry.spacing_mm.iter().all(|s| *s <= THIN_MM);
    let prior_layers = layers(volume, mask, labels, frame, slopes[usual]);
    let mut best = (slopes[usual], quantile(&prior_layers, share) as f64 * LAYER_MM, SEEN_HU);
    if thin {
        for slope in slopes {
            let layers = layers(volume, mask, labels, frame, *slope);
            let usual = quantile(&layers, share);
            if let Some((layer, score)) = sheet(&layers, usual).filter(|(_, score)| *score > best.2) {
                best = (*slope, layer as f64 * LAYER_MM, score);
            }
        }
    }
    let (slope, level, _) = best;
    let [sx, sy, _] = mask.size;
    let levels = frame.levels(slope);
    labels.par_chunks_mut((sx * sy).max(1)).enumerate().for_each(|(z, plane)| {
        for (i, label) in plane.iter_mut().enumerate().filter(|(_, l)| **l == UPPER) {
            if levels.at([i % sx, i / sx, z]) + OFFSET_MM < level {
                *label = below;
            }
        }
    });
}

/// Levels can be below 0; layers are counted from here, mm.
const OFFSET_MM: f64 = 600.0;

fn layers(volume: &Volume, mask: &Mask, labels: &[u8], frame: &Frame, slope: f64) -> Vec<Layer> {
    const COUNT: usize = 1400;
    let [sx, sy, _] = mask.size;
    let levels = frame.levels(slope);
    let index = |at: [usize; 3]| floor_index((levels.at(at) + OFFSET_MM) / LAYER_MM).min(COUNT - 1);
    let add = |mut layers: Vec<Layer>, (z, plane): (usize, &[u8])| {
        // Every second row and column says enough.
        for y in (z % 2..sy).step_by(2) {
            let row = &plane[y * sx..][..sx];
            let hu = volume.row([mask.origin[0], mask.origin[1] + y, mask.origin[2] + z], sx);
            let some = (y / 2 % 2..sx).step_by(2).filter(|x| row[*x] == UPPER);
            if levels.is_even() {
                let mut sum = Layer::default();
                some.for_each(|x| sum.add(hu[x]));
                layers[index([0, y, z])].join(&sum);
            } else {
                some.for_each(|x| layers[index([x, y, z])].add(hu[x]));
            }
        }
        layers
    };
    let none = || vec![Layer::default(); COUNT];
    let join = |mut a: Vec<Layer>, b: Vec<Layer>| {
        a.iter_mut().zip(&b).for_each(|(a, b)| a.join(b));
        a
    };
    labels.par_chunks((sx * sy).max(1)).enumerate().fold(none, add).reduce(none, join)
}

/// The layer below which `share` of the voxels lie.
fn quantile(layers: &[Layer], share: f64) -> usize {
    let wanted = layers.iter().map(|l| l.voxels).sum::<u64>() as f64 * share;
    let mut below = 0;
    layers
        .iter()
        .position(|l| {
            below += l.voxels;
            below as f64 > wanted
        })
        .unwrap_or(0)
}

/// The layer that stands out most from those 3 and 4 layers beside it, and by how much (HU, less the farther it is
/// from the usual one).
fn sheet(layers: &[Layer], usual: usize) -> Option<(usize, f64)> {
    let reach = floor_index(REACH_MM / LAYER_MM);
    let mean = |i: usize| {
        let layer = layers.get(i).filter(|l| l.parenchyma >= 200)?;
        Some(layer.hu as f64 / layer.parenchyma as f64)
    };
    let score = |i: usize| {
        let beside = (mean(i - 4)? + mean(i - 3)? + mean(i + 3)? + mean(i + 4)?) / 4.0;
        let away = (i as f64 - usual as f64) / reach as f64;
        Some((mean(i)? - beside) * (1.0 - 0.5 * away * away))
    };
    let range = usual.saturating_sub(reach).max(4)..=usual + reach;
    range.filter_map(|i| Some((i, score(i)?))).max_by(|a, b| a.1.total_cmp(&b.1))
}
