//! What the network says about one view, on its map, chest wall at column 0: where the breast is, its nipple, the places that are most
//! like a lesion, and the most lesion-like near a place. As `models/training/mammography/candidates.py` does it, which the scorer
//! learnt from; every number here is a copy of one there.

use super::channels::Channels;
use super::kind::Kind;
use crate::cast::{floor_index, single};

/// The best peaks of a view, at least this far from each other.
const PEAKS: usize = 6;
const APART_MM: f32 = 8.0;
/// Along the depth, the two views of a breast agree within this.
pub const DEPTH_MM: f32 = 9.0;
/// The same place of the other breast lies within this.
const MIRROR_MM: f32 = 20.0;
/// Below this a map says nothing; the most that it says.
const FLOOR: f32 = -8.0;
const CEILING: f32 = 8.0;
/// Grey above which there is breast.
const BREAST: f32 = 0.04;
/// Standard deviations, mm: of grey, and of the surroundings out of which it stands.
const GREY_MM: f32 = 3.0;
const AROUND_MM: f32 = 14.0;
/// Of the rows of an oblique view: above lies the armpit.
const ARMPIT: f64 = 0.45;

/// One view.
#[derive(Debug, Clone)]
pub struct Seen {
    pub columns: usize,
    pub rows: usize,
    /// Of a pixel of the map.
    pub mm: f32,
    /// For each of [`Kind::ALL`].
    logits: [Vec<f32>; 4],
    grey: Vec<f32>,
    contrast: Vec<f32>,
    breast: Vec<bool>,
    /// Column and row.
    pub nipple: [f32; 2],
}

/// The most lesion-like of some places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Most {
    pub best: f32,
    pub kinds: [f32; 4],
    pub grey: f32,
    pub contrast: f32,
}

impl Seen {
    /// `map`: probabilities, kinds slowest; `pixel_mm` of the input, `stride` of the map, `multiple` that input sides are filled up to.
    pub fn new(channels: &Channels, map: &[f32], pixel_mm: f64, [stride, multiple]: [usize; 2], oblique: bool) -> Self {
        let [rows, columns] = channels.padded(multiple).map(|n| n / stride);
        let mm = single(pixel_mm * stride as f64);
        let plain = reduced(&channels.plane(&channels.grey, multiple), columns, stride);
        let breast = opened(&plain.iter().map(|v| *v > BREAST).collect::<Vec<_>>(), columns);
        let logit = |p: f32| {
            // Outside 0 to 1 by rounding: the ends.
            let p = f64::from(p).clamp(1e-9, 1.0 - 1e-9);
            single((p / (1.0 - p)).ln()).clamp(FLOOR, CEILING)
        };
        let logits = [0, 1, 2, 3].map(|kind: usize| {
            let own = map.iter().skip(kind * rows * columns).zip(&breast);
            own.map(|(p, inside)| if *inside { logit(*p) } else { FLOOR }).collect()
        });
        let grey = gaussian(&plain, columns, GREY_MM / mm);
        let around = gaussian(&plain, columns, AROUND_MM / mm);
        let contrast = grey.iter().zip(&around).map(|(grey, around)| grey - around).collect();
        let nipple = farthest(&breast, columns, oblique);
        Self { columns, rows, mm, logits, grey, contrast, breast, nipple }
    }

    /// Logits of each kind at a place.
    pub fn kinds(&self, at: usize) -> [f32; 4] {
        [0, 1, 2, 3].map(|kind: usize| self.logits[kind][at])
    }

    pub fn at(&self, [column, row]: [usize; 2]) -> Most {
        let at = row * self.columns + column;
        let kinds = self.kinds(at);
        Most { best: highest(kinds), kinds, grey: self.grey[at], contrast: self.contrast[at] }
    }

    /// Column and row of the best peaks, the best first.
    pub fn peaks(&self) -> Vec<[usize; 2]> {
        let best: Vec<f32> = (0..self.breast.len()).map(|at| highest(self.kinds(at))).collect();
        let reach = floor_index(f64::from(APART_MM / self.mm / 2.0));
        let mut found: Vec<(f32, [usize; 2])> = Vec::new();
        for row in 0..self.rows {
            for column in 0..self.columns {
                let own = best[row * self.columns + column];
                if !self.breast[row * self.columns + column] || own <= FLOOR {
                    continue;
                }
                let lines = row.saturating_sub(reach)..(row + reach + 1).min(self.rows);
                let near = column.saturating_sub(reach)..(column + reach + 1).min(self.columns);
                let beaten = |y: usize| best[y * self.columns..][near.clone()].iter().any(|other| *other > own);
                if !lines.clone().any(beaten) {
                    found.push((own, [column, row]));
                }
            }
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.into_iter().take(PEAKS).map(|(_, place)| place).collect()
    }

    /// In a band at one distance behind the nipple, in pixels of the map.
    pub fn band(&self, behind: f32) -> Most {
        let reach = DEPTH_MM / self.mm;
        self.most(|column, _| (self.nipple[0] - column as f32 - behind).abs() <= reach)
    }

    /// Near a place given relative to the nipple, in pixels of the map.
    pub fn around(&self, behind: f32, aside: f32) -> Most {
        let (x, y) = (self.nipple[0] - behind, self.nipple[1] + aside);
        let reach = (MIRROR_MM / self.mm).powi(2);
        self.most(|column, row| (column as f32 - x).powi(2) + (row as f32 - y).powi(2) <= reach)
    }

    fn most(&self, is_near: impl Fn(usize, usize) -> bool) -> Most {
        let mut most: Option<Most> = None;
        for (at, _) in self.breast.iter().enumerate().filter(|(_, inside)| **inside) {
            if !is_near(at % self.columns, at / self.columns) {
                continue;
            }
            let (kinds, grey, contrast) = (self.kinds(at), self.grey[at], self.contrast[at]);
            let so_far = most.get_or_insert(Most { best: FLOOR, kinds, grey, contrast });
            so_far.kinds.iter_mut().zip(kinds).for_each(|(most, own)| *most = most.max(own));
            so_far.grey = so_far.grey.max(grey);
            so_far.contrast = so_far.contrast.max(contrast);
        }
        let none = Most { best: FLOOR, kinds: [FLOOR; 4], grey: 0.0, contrast: 0.0 };
        most.map_or(none, |most| Most { best: highest(most.kinds), ..most })
    }

    /// The box of the places around a peak at which the map says at least half as much of the kind, no farther than `reach_mm`: first
    /// and last column and row.
    pub fn extent(&self, [column, row]: [usize; 2], kind: Kind, reach_mm: f32) -> [usize; 4] {
        let logits = &self.logits[kind as usize];
        let odds = |logit: f32| 1.0 / (1.0 + (-logit).exp());
        let least = odds(logits[row * self.columns + column]) / 2.0;
        let reach = floor_index(f64::from(reach_mm / self.mm));
        let [left, right] = [column.saturating_sub(reach), (column + reach).min(self.columns - 1)];
        let [top, bottom] = [row.saturating_sub(reach), (row + reach).min(self.rows - 1)];
        let mut bounds = [column, row, column, row];
        let mut known = vec![false; logits.len()];
        let mut open = vec![[column, row]];
        known[row * self.columns + column] = true;
        while let Some([x, y]) = open.pop() {
            bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x), bounds[3].max(y)];
            let beside = [[x.wrapping_sub(1), y], [x + 1, y], [x, y.wrapping_sub(1)], [x, y + 1]];
            for [x, y] in beside {
                let within = (left..=right).contains(&x) && (top..=bottom).contains(&y);
                if !within || known[y * self.columns + x] || odds(logits[y * self.columns + x]) < least {
                    continue;
                }
                known[y * self.columns + x] = true;
                open.push([x, y]);
            }
        }
        bounds
    }
}

fn highest(kinds: [f32; 4]) -> f32 {
    kinds.into_iter().fold(f32::MIN, f32::max)
}

/// Means of blocks of `stride` by `stride` pixels; `columns` of the result.
fn reduced(plane: &[f32], columns: usize, stride: usize) -> Vec<f32> {
    let width = columns * stride;
    let mut out = Vec::with_capacity(plane.len() / (stride * stride));
    for block in plane.chunks_exact(width * stride) {
        for column in 0..columns {
            let rows = block.chunks_exact(width).map(|row| &row[column * stride..(column + 1) * stride]);
            out.push(rows.flatten().sum::<f32>() / (stride * stride) as f32);
        }
    }
    out
}

/// Two erosions and two dilations with a cross; beyond the border there is nothing.
fn opened(mask: &[bool], columns: usize) -> Vec<bool> {
    let rows = mask.len() / columns.max(1);
    let step = |mask: &[bool], grow: bool| -> Vec<bool> {
        let at = |x: usize, y: usize| x < columns && y < rows && mask[y * columns + x];
        let one = |i: usize| {
            let (x, y) = (i % columns, i / columns);
            let cross = [at(x, y), at(x.wrapping_sub(1), y), at(x + 1, y), at(x, y.wrapping_sub(1)), at(x, y + 1)];
            if grow { cross.contains(&true) } else { !cross.contains(&false) }
        };
        (0..mask.len()).map(one).collect()
    };
    let core = step(&step(mask, false), false);
    step(&step(&core, true), true)
}

/// The place of the breast that is farthest from the chest wall.
fn farthest(breast: &[bool], columns: usize, oblique: bool) -> [f32; 2] {
    let front = breast.chunks_exact(columns.max(1)).map(|row| row.iter().rposition(|inside| *inside).unwrap_or(0));
    let mut front: Vec<usize> = front.collect();
    if oblique {
        let armpit = floor_index(ARMPIT * front.len() as f64);
        front[..armpit].fill(0);
    }
    let column = front.iter().copied().max().unwrap_or(0);
    let near: Vec<usize> = (0..front.len()).filter(|row| front[*row] + 1 >= column).collect();
    let mean = near.iter().sum::<usize>() as f32 / near.len().max(1) as f32;
    [column as f32, mean]
}

/// Gaussian of `sigma` pixels, cut off at four of them; beyond the border the picture is mirrored.
fn gaussian(values: &[f32], columns: usize, sigma: f32) -> Vec<f32> {
    let rows = values.len() / columns.max(1);
    let sigma = f64::from(sigma);
    let reach = floor_index(4.0 * sigma + 0.5);
    let weights: Vec<f64> = (0..=reach).map(|d| (-0.5 * (d as f64 / sigma).powi(2)).exp()).collect();
    let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f64>();
    let filtered = |line: &[f32]| -> Vec<f32> {
        let n = line.len();
        let at = |i: usize| {
            // `i` counts from `reach` beyond the border; d c b a | a b c d | d c b a.
            let turn = 2 * n;
            let i = (i + turn * (reach / turn + 1) - reach) % turn;
            f64::from(line[if i < n { i } else { turn - 1 - i }])
        };
        let one = |x: usize| {
            let beside = (1..=reach).map(|d| weights[d] * (at(x + reach - d) + at(x + reach + d)));
            single((weights[0] * at(x + reach) + beside.sum::<f64>()) / sum)
        };
        (0..n).map(one).collect()
    };
    // As scipy does: along columns first.
    let mut down = vec![0.0; values.len()];
    for column in 0..columns {
        let line: Vec<f32> = (0..rows).map(|y| values[y * columns + column]).collect();
        filtered(&line).into_iter().enumerate().for_each(|(y, v)| down[y * columns + column] = v);
    }
    down.chunks_exact(columns.max(1)).flat_map(filtered).collect()
}
