//! Right and left lung, deterministically: air inside the body, without airways, split at the midline, closed over
//! vessels and nodules, brought back to the original grid.
//!
//! The steps are those of Hu, Hoffman, Reinhardt, "Automatic lung segmentation for accurate quantitation of
//! volumetric X-ray CT images", IEEE Trans Med Imaging 20 (2001) 490-498, in patient coordinates on a grid of about
//! 2 mm; voxels at the lung's surface are then decided by threshold on the original grid.

mod air;
mod airway;
mod cuts;
mod gas;
mod refine;
mod sides;

use rayon::prelude::*;

pub use self::cuts::Cuts;
use crate::findings::{Lung, Mask, Side};
use crate::grid::{self, Coarse, Grid};
use crate::morphology;
use crate::reason::{NotEvaluated, Reason, Topic};
use crate::volume::Volume;

/// Air and lung below, soft tissue above, HU (Hu et al. 2001 find -300 to -500 by iteration on their scans).
const AIR_HU: i16 = -400;
/// Spacing of the working grid, mm.
const WORKING_MM: f64 = 2.55;
/// Ball that closes vessels and nodules up to twice this size into the lung, also when they touch its surface, mm.
const CLOSING_MM: f64 = 10.0;
/// A lung smaller than this is taken for absent, ml.
const LUNG_MIN_ML: f64 = 50.0;
/// Both lungs together, ml: from a small child's to more than the largest adult's.
const TOTAL_ML: std::ops::RangeInclusive<f64> = 300.0..=12_000.0;

/// A lung whose section at the end of the scan is more than this share of its largest one goes on beyond it. (The
/// costophrenic recess alone, cut in many routine scans, is below a third.)
const CUT_SHARE: f64 = 0.5;
/// The lowest part of a lung, or its top, is missing when its section at that end is more than this share of its largest one. (Noise
/// and the blurred last slice are less.)
const BASE_SHARE: f64 = 0.1;
/// Share of the lungs that may reach the edge of the image. (Pillows and blankets look like lung, but less of it.)
const LOST_SHARE: f64 = 0.05;

/// What the volume shows of the lungs.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Right lung first; one only, after the removal of the other, or when the other one holds no air.
    pub lungs: Vec<Lung>,
    /// Air in one half of the chest that is no lung: pneumothorax, or a bulla that fills it. It is looked at, and not measured as lung.
    pub space: Option<Lung>,
    /// Why the lungs are not completely inside the volume; their measurements are then invalid, their masks are valid.
    pub incomplete: Option<NotEvaluated>,
    /// Where they go on beyond it.
    pub cuts: Cuts,
    /// Voxels of the volume well inside trachea and main bronchi: air, to measure noise in.
    pub airway: Vec<[usize; 3]>,
    /// What the places of findings are derived from.
    pub ground: Ground,
}

impl Examined {
    /// What the network is to see: the lungs, and the air that takes the place of one.
    pub fn looked_at(&self) -> Vec<Lung> {
        self.lungs.iter().chain(&self.space).cloned().collect()
    }
}

/// The chest on the working grid: 0 or 1 for each voxel, but for the lungs.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The lungs and what lies within 30 mm of them.
    pub coarse: Coarse,
    /// `RIGHT` or `LEFT` lung with its vessels and nodules, or the air in its place; 0 elsewhere.
    pub lungs: Vec<u8>,
    /// Trachea and main bronchi with their wall.
    pub airway: Vec<u8>,
    /// Gas of stomach and bowel.
    pub gas: Vec<u8>,
    /// Lung that was taken for the air of the room, because it reaches the edge of the image.
    pub lost: Vec<u8>,
}

pub use self::sides::{LEFT, RIGHT};

/// What is kept around the air of the body, voxels of the working grid: room for ribs and spine.
const ROOM: usize = 12;

/// Both lungs, wholly in the volume. Deterministic, whatever the number of threads.
///
/// # Errors
/// The reason when the volume shows no plausible lungs, or only a part of them; nothing is guessed.
pub fn segment(volume: &Volume) -> Result<Vec<Lung>, NotEvaluated> {
    let examined = examine(volume)?;
    match examined.incomplete {
        Some(reason) => Err(reason),
        None => Ok(examined.lungs),
    }
}

/// As [`segment`], but what is there of incomplete lungs is returned too: nodules can be looked for in it.
///
/// # Errors
/// The reason when the volume shows no plausible lungs.
pub fn examine(volume: &Volume) -> Result<Examined, NotEvaluated> {
    let dims = volume.geometry.dims;
    if dims.iter().any(|n| *n < 2) || volume.slices.len() != dims[2] {
        return Err(not_evaluated(Reason::FewSlices { slices: volume.slices.len() }));
    }
    let whole = Coarse::of(volume, WORKING_MM);
    let body = air::Body::find(&whole);
    let air = air::inside_body(&whole, &body);
    let mut lost = air::lost_at_edge(&whole, &body, &air);
    let ml_of = |voxels: &[u8]| voxels.iter().filter(|v| **v != 0).count() as f64 * whole.grid.voxel_ml();
    // Where nearly all of the lungs is beyond the edge, what is left is no lung.
    let is_mostly_lost = ml_of(&lost) >= *TOTAL_ML.start();
    let none = |reason: Reason| not_evaluated(if is_mostly_lost { Reason::LungsAtEdge } else { reason });
    let Some((low, high)) = grid::bounds(&whole.grid, &air, ROOM) else { return Err(none(Reason::NoAir)) };
    let coarse = whole.cropped(low, high);
    let air = grid::crop(&whole.grid, &air, low, high);
    let middle = body.middle_x - low[0] as f64;
    let airway = airway::find(&coarse, &air, middle);
    let sides = sides::split(&coarse, &air, &airway, middle).map_err(none)?;
    air::forget_beside_lung(&whole.grid, &mut lost, (&coarse.grid, &sides.labels, low), body.middle_x);
    let plane = whole.grid.dims[0] * whole.grid.dims[1];
    let beside = beside_lungs(&coarse.grid, &sides.labels, low[2], |z| lost[z * plane..][..plane].contains(&1));
    let lost_ml = ml_of(&lost[beside.start * plane..beside.end * plane]);
    let closed: Vec<(Side, Vec<u8>)> = [(Side::Right, RIGHT), (Side::Left, LEFT)]
        .into_par_iter()
        .filter_map(|(side, label)| Some((side, close(&coarse, &sides.labels, label, &airway.main)?)))
        .collect();
    let lungs: Vec<Lung> = refine::to_original(volume, &coarse, &sides.labels, &closed)
        .into_par_iter()
        .map(|(side, mask)| measure(volume, side, mask))
        .filter(|lung| lung.volume_ml >= LUNG_MIN_ML)
        .collect();
    let ml: f64 = lungs.iter().map(|l| l.volume_ml).sum();
    if lungs.is_empty() {
        return Err(none(Reason::NoLungInScan { ml: ml_of(&sides.labels) }));
    }
    let cuts = Cuts::find(volume, &lungs, lost_ml / (ml + lost_ml));
    if !TOTAL_ML.contains(&ml) {
        return Err(not_evaluated(cuts.reason().unwrap_or(Reason::ImplausibleAir { ml })));
    }
    let incomplete = cuts.reason().map(not_evaluated);
    let lost = if cuts.edge { grid::crop(&whole.grid, &lost, low, high) } else { vec![0; coarse.grid.len()] };
    let airway_air = inner_air(volume, &coarse, &airway.main);
    let mut both = vec![0u8; coarse.grid.len()];
    for (side, mask) in &closed {
        let label = if *side == Side::Right { RIGHT } else { LEFT };
        both.iter_mut().zip(mask).filter(|(_, m)| **m != 0).for_each(|(b, _)| *b = label);
    }
    let space = sides.space.and_then(|(side, air)| {
        let label = if side == Side::Right { RIGHT } else { LEFT };
        let own: Vec<u8> = air.iter().map(|air| air * label).collect();
        let closed = close(&coarse, &own, label, &airway.main)?;
        both.iter_mut().zip(&closed).filter(|(b, c)| **b == 0 && **c != 0).for_each(|(b, _)| *b = label);
        let (side, mask) = refine::to_original(volume, &coarse, &own, &[(side, closed)]).pop()?;
        Some(measure(volume, side, mask))
    });
    let ground = Ground { coarse, lungs: both, airway: airway.main, gas: sides.gas, lost };
    Ok(Examined { lungs, space, incomplete, cuts, airway: airway_air, ground })
}

/// The slices of the whole grid with lung, and beyond a place where the lungs end at once those in which lung was lost: a lung
/// ends gently, in its apex or its recess. (Farther away what looks like lung is a pillow.) `low`: the first slice of `grid`.
fn beside_lungs(grid: &Grid, labels: &[u8], low: usize, is_lost: impl Fn(usize) -> bool) -> std::ops::Range<usize> {
    let plane = (grid.dims[0] * grid.dims[1]).max(1);
    let sections: Vec<usize> = labels.chunks(plane).map(|slice| slice.iter().filter(|l| **l != 0).count()).collect();
    let largest = sections.iter().copied().max().unwrap_or(0) as f64;
    let Some(first) = sections.iter().position(|n| *n > 0) else { return 0..0 };
    let last = sections.iter().rposition(|n| *n > 0).unwrap_or(first);
    let at_once = |z: usize| sections[z] as f64 > CUT_SHARE * largest;
    let mut start = low + first;
    while at_once(first) && start > low && is_lost(start - 1) {
        start -= 1;
    }
    let mut end = low + last + 1;
    while at_once(last) && end < low + sections.len() && is_lost(end) {
        end += 1;
    }
    start..end
}

fn not_evaluated(reason: Reason) -> NotEvaluated {
    NotEvaluated { topic: Topic::Lungs, reason }
}

/// Voxels of trachea and main bronchi at least this far from the outside of their wall, mm.
const INSIDE_MM: f64 = 5.0;

fn inner_air(volume: &Volume, coarse: &Coarse, main_airway: &[u8]) -> Vec<[usize; 3]> {
    let dims = volume.geometry.dims;
    let [fx, fy, fz] = coarse.factors;
    let inner = morphology::erode(&coarse.grid, main_airway, INSIDE_MM);
    let blocks = inner.iter().enumerate().filter(|(_, v)| **v != 0).map(|(i, _)| coarse.block(coarse.grid.at(i)));
    let voxels = blocks.flat_map(|[x, y, z]| {
        (z..z + fz).flat_map(move |z| (y..y + fy).flat_map(move |y| (x..x + fx).map(move |x| [x, y, z])))
    });
    voxels.filter(|at| (0..3).all(|a| at[a] < dims[a])).collect()
}

/// One side on the working grid, closed and without holes; `None` when it has no voxels.
fn close(coarse: &Coarse, labels: &[u8], label: u8, main_airway: &[u8]) -> Option<Vec<u8>> {
    let own: Vec<u8> = labels.iter().map(|l| u8::from(*l == label)).collect();
    let (low, high) = grid::bounds(&coarse.grid, &own, 1)?;
    let part = Grid { dims: [0, 1, 2].map(|a| high[a] + 1 - low[a]), spacing_mm: coarse.grid.spacing_mm };
    let closed = morphology::close(&part, &grid::crop(&coarse.grid, &own, low, high), CLOSING_MM);
    let filled = grid::uncrop(&coarse.grid, &part, &air::fill_holes(&part, &closed), low);
    // What is the other lung's, or the trachea's, stays theirs.
    let own_or_free = |i: usize| (labels[i] == 0 || labels[i] == label) && main_airway[i] == 0;
    let result = filled.iter().enumerate().map(|(i, f)| u8::from(*f != 0 && own_or_free(i))).collect();
    Some(result)
}

/// Volume, mean attenuation and emphysema index of one lung.
///
/// LAA-950: percent of the lung's voxels below -950 HU (Gevenois et al., Am J Respir Crit Care Med 152 (1995) 653-657).
pub(super) fn measure(volume: &Volume, side: Side, mask: Mask) -> Lung {
    let [ox, oy, oz] = mask.origin;
    let [sx, sy, _] = mask.size;
    let columns = volume.geometry.dims[0];
    let (count, sum, low) = mask
        .voxels
        .par_chunks((sx * sy).max(1))
        .enumerate()
        .map(|(z, plane)| {
            let slice = &volume.slices[oz + z];
            let (mut count, mut sum, mut low) = (0u64, 0i64, 0u64);
            for (y, row) in plane.chunks(sx).enumerate() {
                let values = &slice[(oy + y) * columns + ox..][..sx];
                for (m, hu) in row.iter().zip(values) {
                    let (m, hu) = (u64::from(*m), *hu);
                    count += m;
                    sum += m as i64 * i64::from(hu);
                    low += m & u64::from(hu < -950);
                }
            }
            (count, sum, low)
        })
        .reduce(|| (0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
    let n = count.max(1) as f64;
    Lung {
        side,
        volume_ml: count as f64 * volume.geometry.voxel_ml(),
        mean_hu: sum as f64 / n,
        laa950_percent: Some(100.0 * low as f64 / n),
        box_mm: mask.box_mm(&volume.geometry),
        mask,
    }
}

#[cfg(test)]
mod tests;
