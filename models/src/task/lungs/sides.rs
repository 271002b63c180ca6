//! Which air is the right lung and which the left.

use super::airway::Airway;
use super::{LUNG_MIN_ML, gas};
use crate::findings::Side;
use crate::grid::{Coarse, Grid};
use crate::morphology;
use crate::postprocess::components::{self, Components};
use crate::reason::Reason;

pub const RIGHT: u8 = 1;
pub const LEFT: u8 = 2;

/// [`RIGHT`], [`LEFT`] or 0 for each voxel of the working grid.
#[derive(Debug)]
pub(super) struct Sides {
    pub labels: Vec<u8>,
    /// 1 for gas of stomach and bowel.
    pub gas: Vec<u8>,
    /// Air in one half of the chest that is no lung: its voxels, 1.
    pub space: Option<(Side, Vec<u8>)>,
}

/// From so much on, air without vessels beside a lung is a space of its own, ml: a large pneumothorax, a bulla that fills half of the chest.
const SPACE_MIN_ML: f64 = 200.0;
/// Share of voxels below -970 HU from which on air is no lung.
const EMPTY: f64 = 0.7;
/// Its middle lies above this share of the lung's height from below. What lies lower is stomach or bowel.
const SPACE_FROM: f64 = 0.25;

/// Pieces of lung smaller than this are noise, ml.
const PIECE_MIN_ML: f64 = 8.0;
/// A piece with this share on both sides of the midline is two lungs that touch.
const SHARED: f64 = 0.15;

/// Measurements of one connected piece of air.
#[derive(Debug, Clone)]
struct Piece {
    label: u32,
    ml: f64,
    centre: [f64; 3],
    low: [usize; 3],
    high: [usize; 3],
    /// Share of voxels on the patient's right of the midline.
    right: f64,
    /// Share of voxels below -970 HU.
    gas: f64,
}

/// `middle` is the middle of the body along x, voxels; the trachea, where it was found, is a better one.
pub(super) fn split(coarse: &Coarse, air: &[u8], airway: &Airway, middle: f64) -> Result<Sides, Reason> {
    let grid = &coarse.grid;
    let mut lung: Vec<u8> = air.iter().zip(&airway.all).map(|(a, w)| u8::from(*a != 0 && *w == 0)).collect();
    let gas = gas::find(coarse, &lung);
    lung.iter_mut().zip(&gas).for_each(|(lung, gas)| *lung &= 1 - gas);
    let middle = airway.x.unwrap_or(middle);
    let found = components::label(grid, &lung);
    let mut pieces: Vec<Piece> =
        describe(coarse, &found, middle).into_iter().filter(|p| p.ml >= PIECE_MIN_ML).collect();
    pieces.sort_by(|a, b| b.ml.total_cmp(&a.ml));
    let ml = pieces.first().map_or(0.0, |p| p.ml);
    // Stomach and bowel hold nothing but gas; even an emphysematous lung has vessels and walls.
    let (lung, empty): (Vec<Piece>, Vec<Piece>) = pieces.into_iter().partition(|p| p.gas < EMPTY);
    pieces = lung;
    let Some(first) = pieces.first().cloned().filter(|p| p.ml >= LUNG_MIN_ML) else {
        return Err(Reason::NoLungInScan { ml });
    };
    let mut labels = vec![0u8; grid.len()];
    if first.right.min(1.0 - first.right) > SHARED {
        cut(coarse, &found, &first, middle, &mut labels);
    } else {
        mark(&found, first.label, side_of(&first), &mut labels);
        let other = pieces.iter().skip(1).find(|p| is_other_lung(&first, p, grid));
        if let Some(other) = other {
            mark(&found, other.label, if other.centre[0] < first.centre[0] { RIGHT } else { LEFT }, &mut labels);
            let corrected = if other.centre[0] < first.centre[0] { LEFT } else { RIGHT };
            mark(&found, first.label, corrected, &mut labels);
        }
    }
    adopt(&pieces, &found, grid, &mut labels);
    let space = empty.iter().find(|piece| is_space(&first, piece)).map(|piece| {
        let side = if side_of(piece) == RIGHT { Side::Right } else { Side::Left };
        (side, found.labels.iter().map(|l| u8::from(*l == piece.label)).collect())
    });
    let space = space.or_else(|| emptied(coarse, &mut labels));
    Ok(Sides { labels, gas, space })
}

/// The half of the chest that holds nothing but gas, where both halves were one piece: taken out of the lungs.
fn emptied(coarse: &Coarse, labels: &mut [u8]) -> Option<(Side, Vec<u8>)> {
    let least = SPACE_MIN_ML / coarse.grid.voxel_ml();
    let (label, side) = [(RIGHT, Side::Right), (LEFT, Side::Left)].into_iter().find(|(label, _)| {
        let own = || labels.iter().zip(&coarse.hu).filter(|(l, _)| **l == *label);
        let (all, gas) = (own().count() as f64, own().filter(|(_, hu)| **hu < -970).count() as f64);
        all >= least && gas >= EMPTY * all
    })?;
    let air = labels.iter().map(|l| u8::from(*l == label)).collect();
    labels.iter_mut().filter(|l| **l == label).for_each(|l| *l = 0);
    Some((side, air))
}

/// Air without vessels on one side of the midline, as high as the lung is.
fn is_space(first: &Piece, piece: &Piece) -> bool {
    let overlap = first.high[2].min(piece.high[2]).saturating_sub(first.low[2].max(piece.low[2]));
    let from = first.low[2] as f64 + SPACE_FROM * (first.high[2] - first.low[2]) as f64;
    piece.ml >= SPACE_MIN_ML
        && piece.right.min(1.0 - piece.right) <= 2.0 * SHARED
        && overlap * 2 >= piece.high[2] - piece.low[2]
        && piece.centre[2] >= from
}

fn side_of(piece: &Piece) -> u8 {
    if piece.right >= 0.5 { RIGHT } else { LEFT }
}

/// The second lung lies beside the first one, at overlapping heights.
fn is_other_lung(first: &Piece, piece: &Piece, grid: &Grid) -> bool {
    let apart = (first.centre[0] - piece.centre[0]).abs() * grid.spacing_mm[0];
    let overlap = first.high[2].min(piece.high[2]).saturating_sub(first.low[2].max(piece.low[2]));
    let height = piece.high[2] - piece.low[2];
    piece.ml >= LUNG_MIN_ML && apart > 50.0 && overlap * 2 >= height
}

fn mark(found: &Components, piece: u32, side: u8, labels: &mut [u8]) {
    for (l, f) in labels.iter_mut().zip(&found.labels) {
        if *f == piece {
            *l = side;
        }
    }
}

fn describe(coarse: &Coarse, found: &Components, middle: f64) -> Vec<Piece> {
    let grid = &coarse.grid;
    let ml = grid.voxel_ml();
    let mut pieces: Vec<Piece> = (1..)
        .zip(&found.sizes)
        .map(|(label, size)| Piece {
            label,
            ml: *size as f64 * ml,
            centre: [0.0; 3],
            low: [usize::MAX; 3],
            high: [0; 3],
            right: 0.0,
            gas: 0.0,
        })
        .collect();
    for (i, label) in found.labels.iter().enumerate().filter(|(_, l)| **l != 0) {
        let piece = &mut pieces[*label as usize - 1];
        let at = grid.at(i);
        piece.centre = [0, 1, 2].map(|a| piece.centre[a] + at[a] as f64);
        piece.low = [0, 1, 2].map(|a| piece.low[a].min(at[a]));
        piece.high = [0, 1, 2].map(|a| piece.high[a].max(at[a]));
        piece.right += f64::from(u8::from((at[0] as f64) < middle));
        piece.gas += f64::from(u8::from(coarse.hu[i] < -970));
    }
    for (piece, size) in pieces.iter_mut().zip(&found.sizes) {
        let n = *size as f64;
        piece.centre = piece.centre.map(|c| c / n);
        piece.right /= n;
        piece.gas /= n;
    }
    pieces
}

/// Smaller pieces (a lobe behind fluid, a segment behind a mass) join the lung whose box holds their centre.
fn adopt(pieces: &[Piece], found: &Components, grid: &Grid, labels: &mut [u8]) {
    let mut boxes = [([usize::MAX; 3], [0usize; 3]); 2];
    for (i, l) in labels.iter().enumerate().filter(|(_, l)| **l != 0) {
        let (low, high) = &mut boxes[usize::from(*l) - 1];
        let at = grid.at(i);
        for a in 0..3 {
            low[a] = low[a].min(at[a]);
            high[a] = high[a].max(at[a]);
        }
    }
    for piece in pieces {
        let owner = boxes.iter().position(|(low, high)| {
            (0..3).all(|a| piece.centre[a] >= low[a] as f64 && piece.centre[a] <= high[a] as f64)
        });
        let taken = found.labels.iter().zip(labels.iter()).any(|(f, l)| *f == piece.label && *l != 0);
        if let (Some(owner), false) = (owner, taken) {
            mark(found, piece.label, if owner == 0 { RIGHT } else { LEFT }, labels);
        }
    }
}

/// Two lungs that touch (at the anterior or posterior junction line) are cut where the air is thinnest and brightest:
/// both grow at the same time from cores that are apart, slowly through bright voxels.
fn cut(coarse: &Coarse, found: &Components, piece: &Piece, middle: f64, labels: &mut [u8]) {
    let grid = &coarse.grid;
    let whole: Vec<u8> = found.labels.iter().map(|l| u8::from(*l == piece.label)).collect();
    let seeds = cores(coarse, &whole, middle).unwrap_or_else(|| flanks(grid, &whole, middle));
    labels.copy_from_slice(&seeds);
    // Buckets of equal cost, used round and round: one step costs at most 1 + 1624 / 32 = 51.
    let mut buckets: Vec<Vec<(usize, u8)>> = vec![Vec::new(); 64];
    let mut waiting = 0;
    let visit = |cost: usize, i: usize, side: u8, labels: &[u8], buckets: &mut Vec<Vec<(usize, u8)>>| {
        let mut pushed = 0;
        for n in grid.neighbours(i).filter(|n| whole[*n] != 0 && labels[*n] == 0) {
            let bright = usize::try_from(i32::from(coarse.hu[n]) + 1024).unwrap_or(0) / 32;
            buckets[(cost + 1 + bright) % 64].push((n, side));
            pushed += 1;
        }
        pushed
    };
    for (i, side) in seeds.iter().enumerate().filter(|(_, s)| **s != 0) {
        waiting += visit(0, i, *side, labels, &mut buckets);
    }
    let mut cost = 0;
    while waiting > 0 {
        for (i, side) in std::mem::take(&mut buckets[cost % 64]) {
            waiting -= 1;
            if labels[i] == 0 {
                labels[i] = side;
                waiting += visit(cost, i, side, labels, &mut buckets);
            }
        }
        cost += 1;
    }
}

/// The gentlest threshold and erosion that leave one large core on each side of the midline.
fn cores(coarse: &Coarse, whole: &[u8], middle: f64) -> Option<Vec<u8>> {
    let grid = &coarse.grid;
    let total = whole.iter().filter(|v| **v != 0).count() as f64;
    for (limit, radius) in
        [(-500, 0.0), (-600, 0.0), (-700, 0.0), (-500, 2.2), (-700, 2.2), (-400, 4.3), (-600, 4.3), (-400, 6.5)]
    {
        let dark: Vec<u8> = whole.iter().zip(&coarse.hu).map(|(w, hu)| u8::from(*w != 0 && *hu < limit)).collect();
        let core = if radius > 0.0 { morphology::erode(grid, &dark, radius) } else { dark };
        let found = components::label(grid, &core);
        let pieces = describe(coarse, &found, middle);
        let mut large: Vec<&Piece> = pieces.iter().filter(|p| found.size(p.label) as f64 > 0.12 * total).collect();
        large.sort_by(|a, b| a.centre[0].total_cmp(&b.centre[0]));
        if let [right, left] = large[..]
            && right.right > 0.7
            && left.right < 0.3
        {
            let mut seeds = vec![0; whole.len()];
            mark(&found, right.label, RIGHT, &mut seeds);
            mark(&found, left.label, LEFT, &mut seeds);
            return Some(seeds);
        }
    }
    None
}

/// What is farther than 30 mm from the midline belongs to its side.
fn flanks(grid: &Grid, whole: &[u8], middle: f64) -> Vec<u8> {
    let reach = 30.0 / grid.spacing_mm[0];
    let side = |x: f64| match x - middle {
        d if d < -reach => RIGHT,
        d if d > reach => LEFT,
        _ => 0,
    };
    whole.iter().enumerate().map(|(i, w)| if *w == 0 { 0 } else { side(grid.at(i)[0] as f64) }).collect()
}
