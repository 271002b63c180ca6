//! The ribs, counted from the head at the spine; and the fractures on them.

use serde::Serialize;

use super::Scan;
use super::list::Figure;
use super::masks::{Masks, Placed};
use super::network::{Answer, Prepared};
use super::places::{self, Places};
use super::plan::Channel;
use super::regions;
use crate::cast::{ceil_index, floor_index};
use crate::findings::{Lung, Region, Side};
use crate::grid::{self, Grid};
use crate::postprocess::components;
use crate::postprocess::diameter;
use crate::volume::Volume;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RibFracture {
    #[serde(flatten)]
    pub region: Region,
    pub side: Side,
    /// 1 to 12 from the head; `None` when the ribs could not be counted.
    pub rib: Option<u8>,
}

impl Masks for RibFracture {
    fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        self.region.placed_mut()
    }
}

/// Bone, blurred to the network's grid, HU.
const BONE_HU: i16 = 160;
/// Spine and sternum reach this far from the middle, mm.
const MIDDLE_MM: f64 = 32.0;
/// A rib reaches the spine when it comes this close to what was cut away with it, mm.
const HEAD_MM: f64 = 14.0;
/// Smaller pieces are not counted as ribs, ml.
const PIECE_ML: f64 = 0.5;
/// The head of the first rib lies at most this far below the apex of the lungs, mm.
const BELOW_APEX_MM: f64 = 18.0;
/// Two pieces whose heads lie closer than this (mm, along z) are one rib.
const SAME_MM: f64 = 9.0;
/// A fracture belongs to a rib at most this far from its centre, mm.
const NEAR_MM: f64 = 14.0;

/// Fractures, each with side and number of its rib.
pub fn evaluate(scan: &mut Scan<'_>) -> Vec<RibFracture> {
    fractures(scan.volume, scan.answer, scan.lungs, scan.places, scan.apices_seen)
}

pub fn figure(all: &[RibFracture]) -> Figure {
    Figure::largest(all.len(), all.iter().map(|fracture| fracture.region.confidence))
}

/// `apices_seen`: without the top of the lungs nobody knows which rib is the first.
pub fn fractures(
    volume: &Volume,
    answer: &Answer,
    lungs: &[Lung],
    places: &Places,
    apices_seen: bool,
) -> Vec<RibFracture> {
    let (mut found, thresholds) = regions::collect(volume, answer, Channel::RibFracture);
    places.keep(places::RIB_FRACTURE, &mut found);
    let spacing = volume.geometry.spacing_mm;
    found.retain(|r| {
        let axes = diameter::axes(&regions::pixels(&r.mask, r.key_slice), [spacing[0], spacing[1]]);
        axes.long_mm >= thresholds.min_size
    });
    if found.is_empty() {
        return Vec::new();
    }
    regions::number(&mut found);
    let ribs = apices_seen.then(|| count(&answer.prepared)).flatten();
    found
        .into_iter()
        .map(|region| {
            let side = regions::side(volume, lungs, &region);
            let at = on_grid(volume, &answer.prepared, region.centre_mm);
            RibFracture { rib: ribs.as_ref().and_then(|ribs| ribs.near(at, side)), side, region }
        })
        .collect()
}

/// Index on the network's grid (patient order) of a position in mm.
fn on_grid(volume: &Volume, prepared: &Prepared, p: [f64; 3]) -> [f64; 3] {
    let geometry = &volume.geometry;
    let from = [0, 1, 2].map(|i| p[i] - geometry.origin_mm[i]);
    let voxel = [0, 1, 2].map(|a| (0..3).map(|i| from[i] * geometry.axes[a][i]).sum::<f64>() / geometry.spacing_mm[a]);
    let target = &prepared.target;
    [0, 1, 2].map(|p| target.index_at(p, voxel[target.orientation.axis[p]]))
}

/// Number of the rib at each voxel, 0 where there is none; sides apart.
pub struct Ribs {
    grid: Grid,
    numbers: Vec<u8>,
    /// Index of the middle of the chest along x.
    middle: f64,
}

impl Ribs {
    /// The nearest numbered rib on that side.
    pub fn near(&self, at: [f64; 3], side: Side) -> Option<u8> {
        let reach = (NEAR_MM / self.grid.spacing_mm[0]).ceil();
        let range = |a: usize| {
            let low = floor_index(at[a] - reach);
            low..ceil_index(at[a] + reach).saturating_add(1).min(self.grid.dims[a])
        };
        let mut best: Option<(f64, u8)> = None;
        for z in range(2) {
            for y in range(1) {
                for x in range(0).filter(|x| ((*x as f64) < self.middle) == (side == Side::Right)) {
                    let number = self.numbers[self.grid.index([x, y, z])];
                    let p = [x as f64, y as f64, z as f64];
                    let d = (0..3).map(|a| (p[a] - at[a]).powi(2)).sum::<f64>().sqrt() * self.grid.spacing_mm[0];
                    if number != 0 && d <= NEAR_MM && best.is_none_or(|(least, _)| d < least) {
                        best = Some((d, number));
                    }
                }
            }
        }
        best.map(|(_, number)| number)
    }
}

/// One piece of bone beside the middle.
#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    /// Voxels and sum of z close to the spine, in the back.
    head: usize,
    head_z: usize,
}

/// Ribs by bone, connectivity and their order at the spine. `None` when the first rib is not in the scan, or the count
/// is not plausible: nothing is guessed. From a rib on whose distance to its neighbour does not fit, the side's
/// numbers end.
pub fn count(prepared: &Prepared) -> Option<Ribs> {
    let grid = prepared.target.grid;
    let step = grid.spacing_mm[0];
    let (low, high) = grid::bounds(&grid, &prepared.lungs, 0)?;
    let middle = (low[0] + high[0]) as f64 / 2.0;
    let back = (low[1] + high[1]) / 2;
    let apex = high[2];
    let mut bone: Vec<u8> = prepared.hu.iter().map(|hu| u8::from(*hu >= BONE_HU)).collect();
    for (i, b) in bone.iter_mut().enumerate().filter(|(_, b)| **b != 0) {
        if (grid.at(i)[0] as f64 - middle).abs() * step < MIDDLE_MM {
            *b = 0;
        }
    }
    let found = components::label(&grid, &bone);
    let mut pieces = vec![Piece::default(); found.sizes.len()];
    let mut sides = vec![Side::Right; found.sizes.len()];
    for (i, label) in found.labels.iter().enumerate().filter(|(_, l)| **l != 0) {
        let [x, y, z] = grid.at(i);
        let piece = &mut pieces[*label as usize - 1];
        if y > back && (x as f64 - middle).abs() * step < MIDDLE_MM + HEAD_MM {
            piece.head += 1;
            piece.head_z += z;
        }
        if x as f64 > middle {
            sides[*label as usize - 1] = Side::Left;
        }
    }
    let mut by_label = vec![0u8; found.sizes.len() + 1];
    let mut tops = Vec::new();
    for side in [Side::Right, Side::Left] {
        let mut heads: Vec<(f64, usize)> = (0..pieces.len())
            .filter(|i| sides[*i] == side && pieces[*i].head > 0)
            .filter(|i| found.sizes[*i] as f64 * grid.voxel_ml() >= PIECE_ML)
            .map(|i| (pieces[i].head_z as f64 / pieces[i].head as f64, i))
            .collect();
        heads.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let levels = numbered(&heads.iter().map(|(z, _)| z * step).collect::<Vec<_>>(), apex as f64 * step);
        for ((z, piece), number) in heads.iter().zip(levels) {
            by_label[piece + 1] = number;
            if number == 1 {
                tops.push(*z * step);
            }
        }
    }
    // First ribs lie level with each other: otherwise one of them is not the first.
    if tops.is_empty() || tops.iter().any(|z| (z - tops[0]).abs() > 15.0) {
        return None;
    }
    let numbers = found.labels.iter().map(|l| by_label[*l as usize]).collect();
    Some(Ribs { grid, numbers, middle })
}

/// A number for each head, given their heights (mm) from the top; 0 where it cannot be told.
fn numbered(heads_mm: &[f64], apex_mm: f64) -> Vec<u8> {
    let mut numbers = vec![0u8; heads_mm.len()];
    let Some(first) = heads_mm.first().filter(|z| apex_mm - **z <= BELOW_APEX_MM) else { return numbers };
    let mut gaps: Vec<f64> = heads_mm.windows(2).map(|p| p[0] - p[1]).filter(|g| *g >= SAME_MM).collect();
    gaps.sort_by(f64::total_cmp);
    let Some(usual) = gaps.get(gaps.len() / 2).copied().filter(|_| (5..=12).contains(&gaps.len())) else {
        return numbers;
    };
    let (mut last, mut number) = (*first, 1u8);
    for (own, z) in numbers.iter_mut().zip(heads_mm) {
        let gap = last - z;
        if gap >= SAME_MM {
            // Vertebrae grow from the head down, evenly: a rib was missed, or this is none.
            if !(0.55..=1.5).contains(&(gap / usual)) || number == 12 {
                break;
            }
            number += 1;
            last = *z;
        }
        *own = number;
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn heads_are_counted_from_the_first_rib_and_never_guessed() {
        let heads: Vec<f64> = (0..12).map(|i| 300.0 - 24.0 * f64::from(i)).collect();
        assert_eq!(numbered(&heads, 310.0), (1..=12).collect::<Vec<u8>>());
        assert!(numbered(&heads[1..], 330.0).iter().all(|n| *n == 0), "the first rib is not in the scan");
        assert!(numbered(&heads[..3], 310.0).iter().all(|n| *n == 0), "three ribs are no count");
        let mut missed = heads.clone();
        missed.remove(5);
        assert_eq!(numbered(&missed, 310.0), [1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0]);
        let mut twice = heads.clone();
        twice.insert(1, 298.0);
        assert_eq!(numbered(&twice, 310.0)[..4], [1, 1, 2, 3]);
    }
}
