//! Trachea and main bronchi: found from the head downwards, grown until the growth would leak into the lung.

use crate::grid::{self, Coarse, Grid};
use crate::morphology;
use crate::postprocess::components;

/// The airways on the working grid.
#[derive(Debug)]
pub(super) struct Airway {
    /// Every voxel that was grown from the trachea, and its wall.
    pub all: Vec<u8>,
    /// Trachea and main bronchi with their wall: never part of a lung.
    pub main: Vec<u8>,
    /// Patient x of the trachea, in voxels of the working grid.
    pub x: Option<f64>,
}

/// Cross-section of a trachea, mm^2 (adults: 100 to 550; Breatnach et al., AJR 142 (1984) 903-906).
const SECTION_MM2: std::ops::RangeInclusive<f64> = 30.0..=1000.0;
/// A trachea is followed for at least this long, mm.
const LENGTH_MM: f64 = 20.0;
/// Largest volume of trachea and bronchi that is taken for no leak, ml.
const VOLUME_ML: f64 = 120.0;
/// How far from the trachea bronchi are followed sideways, mm.
const REACH_MM: f64 = 70.0;
/// Wider than this is trachea or main bronchus, mm (radius).
const MAIN_RADIUS_MM: f64 = 3.0;
/// Wall of the trachea, mm.
const WALL_MM: f64 = 2.2;

/// `middle` is the middle of the body along x, voxels.
pub(super) fn find(coarse: &Coarse, air: &[u8], middle: f64) -> Airway {
    let grid = &coarse.grid;
    let none = || Airway { all: vec![0; grid.len()], main: vec![0; grid.len()], x: None };
    let Some(trachea) = trachea(coarse, air, middle) else { return none() };
    let lumen = grow(coarse, air, &trachea);
    let Some((low, high)) = grid::bounds(grid, &lumen, 5) else { return none() };
    // Airways are a small part of the chest: work on their box only.
    let part = Grid { dims: [0, 1, 2].map(|a| high[a] + 1 - low[a]), spacing_mm: grid.spacing_mm };
    let boxed = |mask: &[u8]| grid::crop(grid, mask, low, high);
    let whole = |mask: &[u8]| grid::uncrop(grid, &part, mask, low);
    let lumen = boxed(&lumen);
    let core = morphology::erode(&part, &lumen, MAIN_RADIUS_MM);
    let mut main = morphology::dilate(&part, &core, MAIN_RADIUS_MM + WALL_MM);
    let tube = morphology::dilate(&part, &boxed(&trachea.mask(grid)), WALL_MM);
    main.iter_mut().zip(&tube).for_each(|(m, t)| *m |= t);
    Airway { all: whole(&morphology::dilate(&part, &lumen, WALL_MM)), main: whole(&main), x: Some(trachea.x) }
}

/// The part of the trachea that is a closed ring of its own in each slice.
struct Trachea {
    voxels: Vec<usize>,
    mean_hu: f64,
    x: f64,
}

impl Trachea {
    fn mask(&self, grid: &Grid) -> Vec<u8> {
        let mut mask = vec![0; grid.len()];
        self.voxels.iter().for_each(|i| mask[*i] = 1);
        mask
    }
}

/// One piece of air in one slice.
struct Section {
    z: usize,
    voxels: Vec<usize>,
    mean_hu: f64,
    centre: [f64; 2],
}

/// Follows round pieces of air from slice to slice; the longest chain near the middle of the body is the trachea.
fn trachea(coarse: &Coarse, air: &[u8], middle: f64) -> Option<Trachea> {
    let grid = &coarse.grid;
    let [_, _, nz] = grid.dims;
    let spacing = grid.spacing_mm;
    let mut best: Option<Vec<Section>> = None;
    let mut chains: Vec<Vec<Section>> = Vec::new();
    let length = |chain: &[Section]| chain.len() as f64 * spacing[2];
    // Against the middle, one millimetre off costs as much as one millimetre of length.
    let worth = |chain: &[Section]| {
        let x = chain.iter().map(|s| s.centre[0]).sum::<f64>() / chain.len() as f64;
        length(chain) - (x - middle).abs() * spacing[0]
    };
    for z in (0..nz).rev() {
        let mut sections = sections(coarse, air, z);
        for chain in std::mem::take(&mut chains) {
            let next = chain.last().and_then(|last| sections.iter().position(|s| continues(last, s, spacing)));
            let mut chain = chain;
            match next {
                Some(i) => {
                    chain.push(sections.swap_remove(i));
                    chains.push(chain);
                }
                None => best = better(best, chain, &worth),
            }
        }
        chains.extend(sections.into_iter().map(|s| vec![s]));
    }
    for chain in chains {
        best = better(best, chain, &worth);
    }
    let chain = best.filter(|c| length(c) >= LENGTH_MM && worth(c) > 0.0)?;
    let count = chain.len() as f64;
    Some(Trachea {
        mean_hu: chain.iter().map(|s| s.mean_hu).sum::<f64>() / count,
        x: chain.iter().map(|s| s.centre[0]).sum::<f64>() / count,
        voxels: chain.into_iter().flat_map(|s| s.voxels).collect(),
    })
}

fn better(best: Option<Vec<Section>>, chain: Vec<Section>, worth: &dyn Fn(&[Section]) -> f64) -> Option<Vec<Section>> {
    match best {
        Some(b) if worth(&b) >= worth(&chain) => Some(b),
        _ => Some(chain),
    }
}

fn continues(above: &Section, below: &Section, spacing: [f64; 3]) -> bool {
    let dx = (above.centre[0] - below.centre[0]) * spacing[0];
    let dy = (above.centre[1] - below.centre[1]) * spacing[1];
    let ratio = below.voxels.len() as f64 / above.voxels.len() as f64;
    above.z == below.z + 1 && dx.hypot(dy) < 6.0 + spacing[2] && (0.4..2.5).contains(&ratio)
}

/// Pieces of air in slice `z` that could be a trachea: of its size, round, and filled with air and not with lung.
fn sections(coarse: &Coarse, air: &[u8], z: usize) -> Vec<Section> {
    let [nx, ny, _] = coarse.grid.dims;
    let [sx, sy, _] = coarse.grid.spacing_mm;
    let plane = nx * ny;
    let slice = Grid { dims: [nx, ny, 1], spacing_mm: coarse.grid.spacing_mm };
    let hu = &coarse.hu[z * plane..][..plane];
    // Lumen: below -700, so that walls between trachea and lung separate them at 2 mm.
    let lumen: Vec<u8> =
        air[z * plane..][..plane].iter().zip(hu).map(|(a, hu)| u8::from(*a != 0 && *hu < -700)).collect();
    let pieces = components::label(&slice, &lumen);
    let mut voxels: Vec<Vec<usize>> = vec![Vec::new(); pieces.sizes.len()];
    for (i, l) in pieces.labels.iter().enumerate().filter(|(_, l)| **l != 0) {
        voxels[*l as usize - 1].push(i);
    }
    voxels
        .into_iter()
        .filter(|v| SECTION_MM2.contains(&(v.len() as f64 * sx * sy)))
        .filter_map(|v| {
            let n = v.len() as f64;
            let mean_hu = v.iter().map(|i| f64::from(hu[*i])).sum::<f64>() / n;
            let x = v.iter().map(|i| (i % nx) as f64).sum::<f64>() / n;
            let y = v.iter().map(|i| (i / nx) as f64).sum::<f64>() / n;
            let extent = |at: &dyn Fn(usize) -> usize, step: f64| {
                let (low, high) = v.iter().fold((usize::MAX, 0), |(l, h), i| (l.min(at(*i)), h.max(at(*i))));
                (high - low + 1) as f64 * step
            };
            let (w, h) = (extent(&|i| i % nx, sx), extent(&|i| i / nx, sy));
            let round = w.max(h) / w.min(h) < 2.6 && n * sx * sy > 0.45 * w * h;
            (round && mean_hu < -860.0).then(|| Section {
                z,
                mean_hu,
                centre: [x, y],
                voxels: v.iter().map(|i| z * plane + i).collect(),
            })
        })
        .collect()
}

/// Grows from the trachea through ever brighter voxels; stops before the step that leaks into a lung.
fn grow(coarse: &Coarse, air: &[u8], trachea: &Trachea) -> Vec<u8> {
    let grid = &coarse.grid;
    let ml = grid.voxel_ml();
    let mut accepted = trachea.mask(grid);
    let mut volume = trachea.voxels.len() as f64 * ml;
    for step in 0..10 {
        let limit = trachea.mean_hu + 15.0 * f64::from(step);
        let grown = flood(coarse, air, trachea, limit);
        let now = grown.iter().filter(|v| **v != 0).count() as f64 * ml;
        if now > VOLUME_ML || (step > 0 && now > volume * 1.5 + 8.0) {
            break;
        }
        (accepted, volume) = (grown, now.max(volume));
    }
    accepted
}

fn flood(coarse: &Coarse, air: &[u8], trachea: &Trachea, limit_hu: f64) -> Vec<u8> {
    let grid = &coarse.grid;
    let reach = REACH_MM / grid.spacing_mm[0];
    let mut mask = trachea.mask(grid);
    let mut open = trachea.voxels.clone();
    while let Some(i) = open.pop() {
        for n in grid.neighbours(i) {
            let near = (grid.at(n)[0] as f64 - trachea.x).abs() < reach;
            if mask[n] == 0 && air[n] != 0 && near && f64::from(coarse.hu[n]) < limit_hu {
                mask[n] = 1;
                open.push(n);
            }
        }
    }
    mask
}
