//! Right and left lung, deterministically: air inside the body, without airways, split at the midline, closed over
//! vessels and nodules, brought back to the original grid.
//!
//! The steps are those of Hu, Hoffman, Reinhardt, "Automatic lung segmentation for accurate quantitation of
//! volumetric X-ray CT images", IEEE Trans Med Imaging 20 (2001) 490-498, in patient coordinates on a grid of about
//! 2 mm; voxels at the lung's surface are then decided by threshold on the original grid.

mod air;
mod airway;
mod gas;
mod refine;
mod sides;

use rayon::prelude::*;

use crate::findings::{Lung, Mask, Side};
use crate::grid::{self, Coarse, Grid, Orientation};
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
/// Share of the lungs that may reach the edge of the image. (Pillows and blankets look like lung, but less of it.)
const LOST_SHARE: f64 = 0.05;

/// What the volume shows of the lungs.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Right lung first; one only, after the removal of the other.
    pub lungs: Vec<Lung>,
    /// Why the lungs are not completely inside the volume; their measurements are then invalid, their masks are valid.
    pub incomplete: Option<NotEvaluated>,
    /// Voxels of the volume well inside trachea and main bronchi: air, to measure noise in.
    pub airway: Vec<[usize; 3]>,
    /// What the places of findings are derived from.
    pub ground: Ground,
}

/// The chest on the working grid: 0 or 1 for each voxel, but for the lungs.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The lungs and what lies within 30 mm of them.
    pub coarse: Coarse,
    /// `RIGHT` or `LEFT` lung with its vessels and nodules; 0 elsewhere.
    pub lungs: Vec<u8>,
    /// Trachea and main bronchi with their wall.
    pub airway: Vec<u8>,
    /// Gas of stomach and bowel.
    pub gas: Vec<u8>,
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
    let lost_ml = air::lost_at_edge_ml(&whole, &body, &air);
    let Some((low, high)) = grid::bounds(&whole.grid, &air, ROOM) else {
        return Err(not_evaluated(Reason::NoAir));
    };
    let coarse = whole.cropped(low, high);
    let air = grid::crop(&whole.grid, &air, low, high);
    let middle = body.middle_x - low[0] as f64;
    let airway = airway::find(&coarse, &air, middle);
    let sides = sides::split(&coarse, &air, &airway, middle)?;
    let (from, to) = grid::bounds(&coarse.grid, &sides.labels, 0).unwrap_or_default();
    let lost_ml: f64 = lost_ml[low[2] + from[2]..=low[2] + to[2]].iter().sum();
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
    let incomplete = incomplete(volume, &lungs, lost_ml / (ml + lost_ml)).map(not_evaluated);
    if !TOTAL_ML.contains(&ml) {
        return Err(not_evaluated(Reason::ImplausibleAir { ml }));
    }
    let airway_air = inner_air(volume, &coarse, &airway.main);
    let mut both = vec![0u8; coarse.grid.len()];
    for (side, mask) in &closed {
        let label = if *side == Side::Right { RIGHT } else { LEFT };
        both.iter_mut().zip(mask).filter(|(_, m)| **m != 0).for_each(|(b, _)| *b = label);
    }
    let ground = Ground { coarse, lungs: both, airway: airway.main, gas: sides.gas };
    Ok(Examined { lungs, incomplete, airway: airway_air, ground })
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

/// Do the lungs go on beyond the volume?
fn incomplete(volume: &Volume, lungs: &[Lung], lost: f64) -> Option<Reason> {
    if lost > LOST_SHARE {
        return Some(Reason::LungsAtEdge);
    }
    let orientation = Orientation::of(&volume.geometry);
    let axis = orientation.axis[2];
    let last = volume.geometry.dims[axis] - 1;
    for lung in lungs {
        let sections = sections(&lung.mask, axis);
        let largest = sections.iter().copied().max().unwrap_or(0) as f64;
        let at = |index: usize| {
            let i = index.checked_sub(lung.mask.origin[axis]);
            i.and_then(|i| sections.get(i)).map_or(0.0, |n| *n as f64)
        };
        for (index, at_head) in [(0, orientation.flipped[2]), (last, !orientation.flipped[2])] {
            if at(index) > CUT_SHARE * largest {
                return Some(if at_head { Reason::ScanEndsAbove } else { Reason::ScanEndsBelow });
            }
        }
    }
    None
}

/// Voxels of each section of the mask across `axis`.
fn sections(mask: &Mask, axis: usize) -> Vec<usize> {
    let [nx, ny, _] = mask.size;
    let mut counts = vec![0; mask.size[axis]];
    for (line, row) in mask.voxels.chunks(nx.max(1)).enumerate() {
        if axis == 0 {
            row.iter().zip(&mut counts).for_each(|(v, n)| *n += usize::from(*v));
        } else {
            let index = if axis == 1 { line % ny } else { line / ny };
            counts[index] += row.iter().map(|v| usize::from(*v)).sum::<usize>();
        }
    }
    counts
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
        mask,
    }
}

#[cfg(test)]
mod tests;
