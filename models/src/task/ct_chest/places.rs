//! Where in the chest a finding may lie. What a network marks outside its place does not exist: a pneumothorax lies in the
//! pleural space and not in the stomach, a rib fracture on a rib and not on a spinous process.
//!
//! Deterministic, from the lungs, the bones and the gas that the segmentation of the lungs found, on its working grid
//! of about 2.5 mm (patient order: x to the left, y to the back, z to the head).

use rayon::prelude::*;

use crate::findings::{ChestFinding, Mask, Region};
use crate::grid::{self, Coarse, Grid};
use crate::morphology;
use crate::postprocess::components;
use crate::postprocess::hull;
use crate::reason::Reason;
use crate::task::lungs::{Ground, LEFT, RIGHT};

/// One bit for each place; they overlap.
pub type Bits = u16;
/// Lung with vessels and nodules, and its blurred rim.
pub const LUNG: Bits = 1;
/// Lung, and tissue that lung surrounds or leaves as a bay: consolidation and masses too.
pub const FILLED_LUNG: Bits = 1 << 1;
/// Within reach of the filled lung: pleural fluid, and lung that is consolidated up to the chest wall.
pub const PLEURA: Bits = 1 << 2;
/// Bone around the lungs, without spine and sternum.
pub const RIB: Bits = 1 << 3;
/// Vertebrae with their processes.
pub const SPINE: Bits = 1 << 4;
/// Between the lungs: mediastinum and heart.
pub const BETWEEN: Bits = 1 << 5;
/// The middle of [`BETWEEN`]: great vessels, oesophagus, nodes. (What lies at its sides may be lung that is consolidated.)
pub const MEDIASTINUM: Bits = 1 << 10;
/// Heart and the roots of the great vessels: in front of the spine, in the lower part of [`BETWEEN`].
pub const HEART: Bits = 1 << 6;
/// Gas of stomach and bowel.
pub const GAS: Bits = 1 << 7;
/// Next to that gas: wall and content of stomach and bowel.
pub const BESIDE_GAS: Bits = 1 << 8;
/// Trachea and main bronchi.
pub const AIRWAY: Bits = 1 << 9;
/// Next to lung that is not in the image: what the edge cuts looks like a nodule.
pub const BESIDE_CUT: Bits = 1 << 11;
/// How many places there are.
const PLACES: usize = 12;

/// Blurred surface of the lung, mm.
const RIM_MM: f64 = 4.0;
/// Half the width of a bay that counts as lung, mm: a consolidated segment, a mass of 5 cm.
const BAY_MM: f64 = 25.0;
/// How far pleural fluid and consolidated lung reach from the filled lung, mm.
const PLEURA_MM: f64 = 30.0;
/// From the lung's surface to the outside of a rib, mm. Scapula and clavicle lie farther out.
pub const RIB_MM: f64 = 20.0;
/// A fracture may lie in the blurred surface of its rib, mm.
const BESIDE_RIB_MM: f64 = 4.0;
/// Bone on the working grid, HU: means of blocks, so that ribs are dimmer than on the original grid.
const BONE_HU: i16 = 150;
/// Half the width of the spine with its transverse processes, mm.
const SPINE_MM: f64 = 36.0;
/// Half the width of the mediastinum, mm.
const MEDIASTINUM_MM: f64 = 40.0;
/// Half the width of the sternum, mm.
const STERNUM_MM: f64 = 28.0;
/// Spongy bone of a vertebral body, HU.
const VERTEBRA_HU: i16 = 110;
/// The spine must be seen in this share of the slices that show lung.
const SPINE_SEEN: f64 = 0.6;
/// The heart ends at this share of the lungs' height, from below.
const HEART_HEIGHT: f64 = 0.75;
/// Wall of the stomach and what lies in it next to the gas, mm.
const BESIDE_GAS_MM: f64 = 12.0;
/// A vessel that the edge of the image cuts is bright so far from it, mm.
const BESIDE_CUT_MM: f64 = 5.0;

/// The places of one chest.
#[derive(Debug)]
pub struct Places {
    coarse: Coarse,
    bits: Vec<Bits>,
    /// Without it nothing is known of ribs and heart.
    spine_found: bool,
    /// Without them the mediastinum has no borders.
    both_lungs: bool,
}

/// What a finding's region must satisfy. Shares are of its voxels, 0 to 1.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// At least [`least`](Self::least) of the region lies in any of these.
    pub inside: Bits,
    pub least: f64,
    /// Of each of these at most so much.
    pub outside: &'static [(Bits, f64)],
}

const fn rule(inside: Bits, least: f64, outside: &'static [(Bits, f64)]) -> Rule {
    Rule { inside, least, outside }
}

/// Nodules up to 30 mm, and bronchi.
pub const IN_LUNG: Rule = rule(LUNG, 0.5, &[(BESIDE_GAS, 0.5), (BESIDE_CUT, 0.0)]);
/// A mass may take the place of lung up to the chest wall.
pub const MASS: Rule = rule(FILLED_LUNG, 0.5, &[(BESIDE_GAS, 0.25), (MEDIASTINUM, 0.4), (BESIDE_CUT, 0.0)]);
/// An opacity that lung surrounds.
const OPACITY: Rule = rule(FILLED_LUNG, 0.35, NO_OPACITY);
/// An opacity at the edge of the lung, as large as a lobe: its surface is in the filled lung, all of it within reach.
const LARGE_OPACITY: Rule = rule(FILLED_LUNG, 0.12, NO_OPACITY);
const LARGE_WITHIN: f64 = 0.9;
const NO_OPACITY: &[(Bits, f64)] = &[(BESIDE_GAS, 0.25), (MEDIASTINUM, 0.4)];
pub const EFFUSION: Rule = rule(PLEURA, 0.5, &[(BESIDE_GAS, 0.05), (MEDIASTINUM, 0.4)]);
pub const PNEUMOTHORAX: Rule = rule(LUNG, 0.6, &[(GAS | AIRWAY, 0.1)]);
pub const RIB_FRACTURE: Rule = rule(RIB, 0.4, &[(SPINE, 0.25)]);
pub const CORONARY: Rule = rule(HEART, 0.5, &[(SPINE, 0.0)]);
pub const LYMPH_NODE: Rule = rule(BETWEEN, 0.5, &[(SPINE, 0.25), (BESIDE_GAS, 0.25)]);

/// What the place of a finding is found by. Without it the finding has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landmark {
    Spine,
    BothLungs,
}

impl Places {
    /// `planned`: the scan begins within the lungs, because it was planned on the heart.
    pub fn of(ground: Ground, planned: bool) -> Self {
        let Ground { coarse, lungs, airway, gas, lost } = ground;
        let grid = coarse.grid;
        let mut bits = vec![0; grid.len()];
        let mut set = |mask: &[u8], bit: Bits| {
            bits.par_iter_mut().zip(mask).filter(|(_, m)| **m != 0).for_each(|(b, _)| *b |= bit);
        };
        let within = |distance: &[f32], mm: f64| -> Vec<u8> {
            distance.iter().map(|d| u8::from(f64::from(*d) <= mm * mm)).collect()
        };
        let both: Vec<u8> = lungs.iter().map(|l| u8::from(*l != 0)).collect();
        let from_lung = morphology::distance_squared(&grid, &both, RIB_MM);
        let from_filled = morphology::distance_squared(&grid, &filled(&grid, &lungs), PLEURA_MM);
        let between = between(&grid, &lungs);
        set(&within(&from_lung, RIM_MM), LUNG);
        set(&within(&from_filled, RIM_MM), FILLED_LUNG);
        set(&within(&from_filled, PLEURA_MM), PLEURA);
        set(&between, BETWEEN);
        set(&gas, GAS);
        set(&morphology::dilate(&grid, &gas, BESIDE_GAS_MM), BESIDE_GAS);
        set(&airway, AIRWAY);
        // Most scans are not cut.
        if lost.contains(&1) {
            set(&morphology::dilate(&grid, &lost, BESIDE_CUT_MM), BESIDE_CUT);
        }
        let middle = Midline::find(&coarse, &lungs);
        if let Some(middle) = &middle {
            let spine = middle.spine(&grid);
            let ribs = ribs(&coarse, &from_lung, &both, &[&spine, &between], middle);
            set(&spine, SPINE);
            set(&morphology::dilate(&grid, &ribs, BESIDE_RIB_MM), RIB);
            set(&heart(&grid, &lungs, &between, middle, planned), HEART);
            set(&mediastinum(&grid, &between, middle), MEDIASTINUM);
        }
        let both_lungs = [RIGHT, LEFT].iter().all(|side| lungs.contains(side));
        Self { coarse, bits, spine_found: middle.is_some(), both_lungs }
    }

    /// Why the finding has no place in this scan; `None` when it has.
    pub fn missing(&self, finding: ChestFinding) -> Option<Reason> {
        finding.landmarks().iter().find_map(|landmark| match landmark {
            Landmark::Spine => (!self.spine_found).then_some(Reason::NoSpine),
            Landmark::BothLungs => (!self.both_lungs).then_some(Reason::OneLung),
        })
    }

    /// The bits of a voxel of the volume; 0 outside the working grid.
    pub fn at(&self, voxel: [usize; 3]) -> Bits {
        self.coarse.checked(voxel).map_or(0, |at| self.bits[self.coarse.grid.index(at)])
    }

    /// Does the region lie in its place?
    pub fn holds(&self, rule: Rule, mask: &Mask) -> bool {
        self.shares(mask).satisfy(rule)
    }

    /// Does the region lie where consolidated or hazy lung may lie?
    pub fn holds_opacity(&self, mask: &Mask) -> bool {
        let shares = self.shares(mask);
        shares.satisfy(OPACITY) || (shares.satisfy(LARGE_OPACITY) && shares.of(PLEURA) >= LARGE_WITHIN)
    }

    fn shares(&self, mask: &Mask) -> Shares {
        let mut counts = vec![0usize; 1 << PLACES];
        for ([x, y, z], row) in mask.rows() {
            for (i, _) in row.iter().enumerate().filter(|(_, v)| **v != 0) {
                counts[usize::from(self.at([x + i, y, z]))] += 1;
            }
        }
        Shares(counts)
    }

    /// The regions that lie in their place.
    pub fn keep(&self, rule: Rule, regions: &mut Vec<Region>) {
        regions.retain(|region| self.holds(rule, &region.mask));
    }

    /// The part of the mask that lies in any of `places` and in none of `not`.
    #[must_use]
    pub fn clipped(&self, mut mask: Mask, places: Bits, not: Bits) -> Mask {
        let rows: Vec<[usize; 3]> = mask.rows().map(|(start, _)| start).collect();
        let width = mask.size[0].max(1);
        for ([x, y, z], row) in rows.into_iter().zip(mask.voxels.chunks_mut(width)) {
            for (i, v) in row.iter_mut().enumerate().filter(|(_, v)| **v != 0) {
                let bits = self.at([x + i, y, z]);
                *v = u8::from(bits & places != 0 && bits & not == 0);
            }
        }
        mask
    }
}

/// How many voxels of a region lie in each combination of places, by their bits.
struct Shares(Vec<usize>);

impl Shares {
    /// Share of the region (0 to 1) that lies in any of `places`; 0 of an empty one.
    fn of(&self, places: Bits) -> f64 {
        let all: usize = self.0.iter().sum();
        let inside: usize = (0..).zip(&self.0).filter(|(bits, _): &(Bits, _)| bits & places != 0).map(|(_, n)| n).sum();
        if all == 0 { 0.0 } else { inside as f64 / all as f64 }
    }

    fn satisfy(&self, rule: Rule) -> bool {
        rule.outside.iter().all(|(places, most)| self.of(*places) <= *most) && self.of(rule.inside) >= rule.least
    }
}

/// Each lung closed over bays of up to twice [`BAY_MM`]; never over the other lung.
fn filled(grid: &Grid, lungs: &[u8]) -> Vec<u8> {
    let mut filled: Vec<u8> = lungs.iter().map(|l| u8::from(*l != 0)).collect();
    let sides: Vec<_> = [RIGHT, LEFT]
        .into_par_iter()
        .filter_map(|side| {
            let own: Vec<u8> = lungs.iter().map(|l| u8::from(*l == side)).collect();
            let (low, high) = grid::bounds(grid, &own, 0)?;
            let part = Grid { dims: [0, 1, 2].map(|a| high[a] + 1 - low[a]), spacing_mm: grid.spacing_mm };
            let closed = morphology::close(&part, &grid::crop(grid, &own, low, high), BAY_MM);
            Some(grid::uncrop(grid, &part, &closed, low))
        })
        .collect();
    for side in sides {
        filled.iter_mut().zip(side).for_each(|(filled, side)| *filled |= side);
    }
    filled
}

/// Slice by slice the convex hull of both lungs, without the lungs.
fn between(grid: &Grid, lungs: &[u8]) -> Vec<u8> {
    let [nx, ny, _] = grid.dims;
    let mut between = vec![0u8; lungs.len()];
    between.par_chunks_mut((nx * ny).max(1)).zip(lungs.par_chunks((nx * ny).max(1))).for_each(|(out, lungs)| {
        if !(lungs.contains(&RIGHT) && lungs.contains(&LEFT)) {
            return;
        }
        for (y, range) in hull::spans(lungs, nx) {
            for x in range {
                out[y * nx + x] = u8::from(lungs[y * nx + x] == 0);
            }
        }
    });
    between
}

/// The middle of the spine in each slice.
#[derive(Debug)]
struct Midline {
    /// Column of the middle of the spine in each slice of the grid.
    x: Vec<f64>,
    /// Row of the front of the spine in each slice.
    front: Vec<f64>,
    /// Row of the middle of the lungs.
    middle_y: f64,
}

impl Midline {
    /// The largest piece of bone that runs along z behind the middle of the lungs, near their middle. `None` when it is not
    /// seen in most slices.
    fn find(coarse: &Coarse, lungs: &[u8]) -> Option<Self> {
        let grid = &coarse.grid;
        let [nx, ny, nz] = grid.dims;
        let (low, high) = grid::bounds(grid, lungs, 0)?;
        let middle_x = (low[0] + high[0]) as f64 / 2.0;
        let half_y = (low[1] + high[1]) as f64 / 2.0;
        let window = 60.0 / grid.spacing_mm[0];
        let mut bone = vec![0u8; grid.len()];
        for z in 0..nz {
            for y in 0..ny {
                for x in (0..nx).filter(|x| (*x as f64 - middle_x).abs() <= window) {
                    let i = grid.index([x, y, z]);
                    bone[i] = u8::from(y as f64 > half_y && coarse.hu[i] >= VERTEBRA_HU && lungs[i] == 0);
                }
            }
        }
        let found = components::label(grid, &bone);
        let spine = *found.by_size().first()?;
        // Vertebral bodies lie in front of canal and processes: the middle of the front half of the bone in each slice.
        let mut sums = vec![(0.0f64, 0usize, ny); nz];
        for (i, _) in found.labels.iter().enumerate().filter(|(_, l)| **l == spine) {
            let [x, y, z] = grid.at(i);
            sums[z].0 += x as f64;
            sums[z].1 += 1;
            sums[z].2 = sums[z].2.min(y);
        }
        // A vertebra's section, mm^2; less is a process or noise.
        const SECTION_MM2: f64 = 150.0;
        let pixel = grid.spacing_mm[0] * grid.spacing_mm[1];
        let seen: Vec<Option<[f64; 2]>> = sums
            .iter()
            .map(|(sum, n, front)| (*n as f64 * pixel >= SECTION_MM2).then(|| [sum / *n as f64, *front as f64]))
            .collect();
        let slices = low[2]..=high[2];
        let count = slices.clone().filter(|z| seen[*z].is_some()).count();
        if (count as f64) < SPINE_SEEN * slices.count() as f64 {
            return None;
        }
        // 25 mm up and down: discs, and ribs that join the bone on one side only.
        let reach = (25.0 / grid.spacing_mm[2]).round().max(1.0);
        let smooth = |a: usize| -> Vec<f64> {
            (0..nz)
                .map(|z| {
                    let mut near: Vec<(f64, f64)> = seen
                        .iter()
                        .enumerate()
                        .filter_map(|(k, s)| s.map(|s| ((k as f64 - z as f64).abs(), s[a])))
                        .collect();
                    near.sort_by(|a, b| a.0.total_cmp(&b.0));
                    let within = near.iter().take_while(|(d, _)| *d <= reach).count().max(near.len().min(5));
                    median(near[..within].iter().map(|(_, v)| *v).collect())
                })
                .collect()
        };
        Some(Self { x: smooth(0), front: smooth(1), middle_y: half_y })
    }

    fn spine(&self, grid: &Grid) -> Vec<u8> {
        let half = SPINE_MM / grid.spacing_mm[0];
        let near = |i: usize| {
            let [x, y, z] = grid.at(i);
            (x as f64 - self.x[z]).abs() <= half && y as f64 >= self.front[z]
        };
        (0..grid.len()).into_par_iter().map(|i| u8::from(near(i))).collect()
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Bone within reach of the lungs' surface, without the sternum and what is in `not` (spine; calcified vessels).
fn ribs(coarse: &Coarse, from_lung: &[f32], lungs: &[u8], not: &[&[u8]], middle: &Midline) -> Vec<u8> {
    let grid = &coarse.grid;
    let sternum = STERNUM_MM / grid.spacing_mm[0];
    let far = RIB_MM * RIB_MM;
    (0..grid.len())
        .into_par_iter()
        .map(|i| {
            let [x, y, z] = grid.at(i);
            let in_sternum = (x as f64 - middle.x[z]).abs() < sternum && (y as f64) < middle.middle_y;
            let near = lungs[i] == 0 && f64::from(from_lung[i]) <= far;
            u8::from(near && coarse.hu[i] >= BONE_HU && not.iter().all(|place| place[i] == 0) && !in_sternum)
        })
        .collect()
}

/// Between the lungs, in front of the spine, in the lower part of the lungs, or in all that is seen of them.
fn heart(grid: &Grid, lungs: &[u8], between: &[u8], middle: &Midline, up_to_the_end: bool) -> Vec<u8> {
    let Some((low, high)) = grid::bounds(grid, lungs, 0) else { return vec![0; grid.len()] };
    let share = if up_to_the_end { f64::INFINITY } else { HEART_HEIGHT };
    let top = low[2] as f64 + share * (high[2] - low[2]).max(1) as f64;
    between
        .iter()
        .enumerate()
        .map(|(i, b)| {
            let [_, y, z] = grid.at(i);
            u8::from(*b != 0 && (z as f64) < top && (y as f64) < middle.front[z])
        })
        .collect()
}

/// Between the lungs, near the middle.
fn mediastinum(grid: &Grid, between: &[u8], middle: &Midline) -> Vec<u8> {
    let half = MEDIASTINUM_MM / grid.spacing_mm[0];
    let near = |i: usize| {
        let [x, _, z] = grid.at(i);
        (x as f64 - middle.x[z]).abs() <= half
    };
    between.iter().enumerate().map(|(i, b)| u8::from(*b != 0 && near(i))).collect()
}
