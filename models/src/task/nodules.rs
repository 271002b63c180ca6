//! Pulmonary nodules: the lungs on the network's grid, patch by patch through the network, components back to the
//! original grid.

use std::time::Instant;

use hal::{LoadedModel, Tensor};
use rayon::prelude::*;

use super::{Control, Error, Kind, go_on};
use crate::findings::{Lung, Mask, Nodule, Side};
use crate::manifest::Manifest;
use crate::morphology;
use crate::postprocess::components;
use crate::postprocess::diameter::{self, Axes};
use crate::postprocess::outline::{self, Region};
use crate::postprocess::patches::{self, Blend};
use crate::preprocess::resample::{self, Target};
use crate::preprocess::window;
use crate::volume::Volume;

/// Lung context around the outermost lung voxel, mm.
const MARGIN_MM: f64 = 8.0;
/// The network is believed this far outside the lungs' masks: pleural nodules, blurred edges; mm.
const OUTSIDE_LUNG_MM: f64 = 3.0;
/// How far the nodule's edge may lie from the network's component, mm.
const EDGE_MM: f64 = 2.0;
/// HU outside the volume.
const AIR_HU: f32 = -1024.0;

/// Stage and milliseconds, in order.
type Timings = Vec<(String, f64)>;

/// Nodules in order of falling confidence, and the time of each stage.
///
/// The network takes `image`, f32 `[N, 1, D, H, W]` (z to the head, y to the back, x to the left; HU clipped to the
/// manifest's window and scaled to 0..1), and answers `probability` of the same shape.
///
/// # Errors
/// `Kind::Cancelled`; `Kind::BadModel` when names or shapes are not these; `Kind::BadOutput` when a value is not a
/// probability; `Kind::Accelerator`.
pub(super) fn find(
    volume: &Volume,
    lungs: &[Lung],
    manifest: &Manifest,
    model: &mut dyn LoadedModel,
    control: &dyn Control,
) -> Result<(Vec<Nodule>, Timings), Error> {
    let mut timings = Timings::new();
    let mut clock = Instant::now();
    let mut lap = |stage: &str, timings: &mut Timings| {
        timings.push((stage.to_owned(), clock.elapsed().as_secs_f64() * 1000.0));
        clock = Instant::now();
        control.progress(stage, 1.0);
    };
    check_names(model)?;
    let prepared = prepare(volume, lungs, manifest);
    go_on(control)?;
    lap("resample", &mut timings);
    let probability = infer(&prepared, manifest, model, control)?;
    lap("inference", &mut timings);
    let nodules = collect(volume, lungs, manifest, &prepared, &probability);
    lap("postprocess", &mut timings);
    Ok((nodules, timings))
}

fn check_names(model: &dyn LoadedModel) -> Result<(), Error> {
    let (inputs, outputs) = (model.inputs(), model.outputs());
    if inputs != ["image"] || outputs != ["probability"] {
        let message = format!("the network has {inputs:?} -> {outputs:?}, this task needs [image] -> [probability]");
        return Err(Error::new(Kind::BadModel, message));
    }
    Ok(())
}

/// What the network reads.
struct Prepared {
    target: Target,
    /// Scaled to 0..1.
    image: Vec<f32>,
    /// Lungs and a rim around them.
    search: Vec<u8>,
}

fn prepare(volume: &Volume, lungs: &[Lung], manifest: &Manifest) -> Prepared {
    let input = &manifest.input;
    let [d, h, w] = input.patch;
    let target = Target::cover(&volume.geometry, extent(lungs), MARGIN_MM, input.spacing_mm, [w, h, d]);
    let mut image = resample::trilinear(volume, &target, AIR_HU);
    let plane = target.grid.dims[0] * target.grid.dims[1];
    image.par_chunks_mut(plane.max(1)).for_each(|slice| window::window(slice, input.window_hu));
    let inside = on_target(&target, volume.geometry.dims, lungs);
    let search = morphology::dilate(&target.grid, &inside, OUTSIDE_LUNG_MM);
    Prepared { target, image, search }
}

/// First and last voxel of all lungs.
fn extent(lungs: &[Lung]) -> ([usize; 3], [usize; 3]) {
    let mut low = [usize::MAX; 3];
    let mut high = [0; 3];
    for mask in lungs.iter().map(|l| &l.mask).filter(|m| !m.voxels.is_empty()) {
        for a in 0..3 {
            low[a] = low[a].min(mask.origin[a]);
            high[a] = high[a].max(mask.origin[a] + mask.size[a] - 1);
        }
    }
    ([0, 1, 2].map(|a| low[a].min(high[a])), high)
}

/// 1 where the nearest original voxel is in a lung.
fn on_target(target: &Target, dims: [usize; 3], lungs: &[Lung]) -> Vec<u8> {
    let [xs, ys, zs] = [0, 1, 2].map(|p| target.nearest(p, dims));
    let [nx, ny, _] = target.grid.dims;
    let mut inside = vec![0u8; target.grid.len()];
    inside.par_chunks_mut((nx * ny).max(1)).zip(&zs).for_each(|(slice, z)| {
        for (row, y) in slice.chunks_mut(nx).zip(&ys) {
            for (value, x) in row.iter_mut().zip(&xs) {
                if let (Some(x), Some(y), Some(z)) = (x, y, z) {
                    let mut voxel = [0; 3];
                    for (a, v) in target.orientation.axis.into_iter().zip([*x, *y, *z]) {
                        voxel[a] = v;
                    }
                    *value = u8::from(lungs.iter().any(|l| l.mask.contains(voxel)));
                }
            }
        }
    });
    inside
}

/// Probability on the network's grid, 0 outside the search region.
fn infer(
    prepared: &Prepared,
    manifest: &Manifest,
    model: &mut dyn LoadedModel,
    control: &dyn Control,
) -> Result<Vec<f32>, Error> {
    let grid = &prepared.target.grid;
    let [d, h, w] = manifest.input.patch;
    let size = [w, h, d];
    let origins: Vec<[usize; 3]> = patches::origins(grid, size, manifest.input.overlap)
        .into_iter()
        .filter(|o| patches::touches(grid, &prepared.search, *o, size))
        .collect();
    let mut blend = Blend::new(grid, size);
    for (done, origin) in origins.iter().enumerate() {
        go_on(control)?;
        control.progress("inference", done as f64 / origins.len() as f64);
        let image = Tensor { shape: vec![1, 1, d, h, w], data: patches::cut(grid, &prepared.image, *origin, size) };
        let answer = model.run(std::slice::from_ref(&image))?;
        blend.add(grid, *origin, checked(&answer, &image.shape)?);
    }
    go_on(control)?;
    let mut probability = blend.finish();
    probability.par_iter_mut().zip(&prepared.search).for_each(|(p, s)| {
        if *s == 0 {
            *p = 0.0;
        }
    });
    Ok(probability)
}

/// The values of the one answer, if they are probabilities.
fn checked<'a>(answer: &'a [Tensor], shape: &[usize]) -> Result<&'a [f32], Error> {
    let [tensor] = answer else {
        return Err(Error::new(Kind::BadModel, format!("the network gave {} answers instead of one", answer.len())));
    };
    if tensor.shape != shape {
        return Err(Error::new(
            Kind::BadModel,
            format!("the network answered {:?} to an image of {shape:?}", tensor.shape),
        ));
    }
    // A sigmoid may round to a hair above 1.
    match tensor.data.iter().find(|v| !(-1e-3..=1.001).contains(*v)) {
        Some(value) => {
            Err(Error::new(Kind::BadOutput, format!("the network answered {value}, which is no probability")))
        }
        None => Ok(&tensor.data),
    }
}

fn collect(
    volume: &Volume,
    lungs: &[Lung],
    manifest: &Manifest,
    prepared: &Prepared,
    probability: &[f32],
) -> Vec<Nodule> {
    let grid = &prepared.target.grid;
    let thresholds = &manifest.thresholds;
    let mask: Vec<u8> = probability.par_iter().map(|p| u8::from(*p >= thresholds.mask)).collect();
    let found = components::label(grid, &mask);
    let mut candidates: Vec<Candidate> = vec![Candidate::default(); found.sizes.len()];
    for (i, label) in found.labels.iter().enumerate().filter(|(_, l)| **l != 0) {
        candidates[*label as usize - 1].add(grid.at(i), probability[i]);
    }
    let mut nodules: Vec<Nodule> = (1..)
        .zip(candidates)
        .filter(|(_, c)| c.score >= thresholds.confidence)
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|(label, c)| {
            let region = region(volume, lungs, &prepared.target, &found.labels, label, &c);
            measure(volume, lungs, outline::outline(volume, &region), f64::from(c.score))
        })
        .filter(|n| n.diameter_mm >= thresholds.min_diameter_mm)
        .collect();
    nodules.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(b.diameter_mm.total_cmp(&a.diameter_mm)));
    for (number, nodule) in (1..).zip(&mut nodules) {
        nodule.number = number;
    }
    nodules
}

/// One component on the network's grid.
#[derive(Debug, Clone)]
struct Candidate {
    low: [usize; 3],
    high: [usize; 3],
    /// Highest probability.
    score: f32,
}

impl Default for Candidate {
    fn default() -> Self {
        Self { low: [usize::MAX; 3], high: [0; 3], score: 0.0 }
    }
}

impl Candidate {
    fn add(&mut self, at: [usize; 3], probability: f32) {
        self.low = [0, 1, 2].map(|a| self.low[a].min(at[a]));
        self.high = [0, 1, 2].map(|a| self.high[a].max(at[a]));
        self.score = self.score.max(probability);
    }
}

/// The component on the original grid, with room for its edge.
fn region(
    volume: &Volume,
    lungs: &[Lung],
    target: &Target,
    labels: &[u32],
    label: u32,
    candidate: &Candidate,
) -> Region {
    let geometry = &volume.geometry;
    let mut low = [0; 3];
    let mut high = [0; 3];
    // Voxel index -> index on the network's grid, along each voxel axis of the box.
    let mut back: [Vec<Option<usize>>; 3] = Default::default();
    for p in 0..3 {
        let a = target.orientation.axis[p];
        let (first, last) = (target.coordinates[p][candidate.low[p]], target.coordinates[p][candidate.high[p]]);
        let step = target.grid.spacing_mm[p] / geometry.spacing_mm[a];
        let room = step + (EDGE_MM / geometry.spacing_mm[a]).ceil();
        low[a] = (first.min(last) - room).floor().max(0.0) as usize;
        high[a] = ((first.max(last) + room).ceil().max(0.0) as usize).min(geometry.dims[a] - 1);
        let start = target.coordinates[p][0];
        let sign = if target.orientation.flipped[p] { -1.0 } else { 1.0 };
        back[a] = (low[a]..=high[a])
            .map(|v| {
                let i = ((v as f64 - start) * sign / step).round();
                (i >= 0.0 && (i as usize) < target.grid.dims[p]).then_some(i as usize)
            })
            .collect();
    }
    let size = [0, 1, 2].map(|a| high[a] + 1 - low[a]);
    let box_grid = crate::grid::Grid { dims: size, spacing_mm: geometry.spacing_mm };
    let core: Vec<u8> = (0..box_grid.len())
        .map(|i| {
            let at = box_grid.at(i);
            let mut patient = [None; 3];
            for (p, a) in target.orientation.axis.into_iter().enumerate() {
                patient[p] = back[a][at[a]];
            }
            match patient {
                [Some(x), Some(y), Some(z)] => u8::from(labels[target.grid.index([x, y, z])] == label),
                _ => 0,
            }
        })
        .collect();
    let near = morphology::dilate(&box_grid, &core, EDGE_MM);
    let domain = (0..box_grid.len())
        .map(|i| {
            let at = box_grid.at(i);
            let voxel = [0, 1, 2].map(|a| at[a] + low[a]);
            u8::from(core[i] != 0 || (near[i] != 0 && lungs.iter().any(|l| l.mask.contains(voxel))))
        })
        .collect();
    Region { origin: low, size, core, domain }
}

fn measure(volume: &Volume, lungs: &[Lung], mask: Mask, confidence: f64) -> Nodule {
    let geometry = &volume.geometry;
    let [sx, sy, _] = mask.size;
    let mut sums = [0.0; 3];
    let mut hu = 0i64;
    let mut by_slice: Vec<Vec<[usize; 2]>> = vec![Vec::new(); mask.size[2]];
    let mut by_side = [0usize; 2];
    for (i, _) in mask.voxels.iter().enumerate().filter(|(_, v)| **v != 0) {
        let at = [i % sx, i / sx % sy, i / (sx * sy)];
        let voxel = [0, 1, 2].map(|a| at[a] + mask.origin[a]);
        for a in 0..3 {
            sums[a] += voxel[a] as f64;
        }
        hu += i64::from(volume.slices[voxel[2]][voxel[1] * geometry.dims[0] + voxel[0]]);
        by_slice[at[2]].push([voxel[0], voxel[1]]);
        if let Some(lung) = lungs.iter().find(|l| l.mask.contains(voxel)) {
            by_side[usize::from(lung.side == Side::Left)] += 1;
        }
    }
    let count = by_slice.iter().map(Vec::len).sum::<usize>();
    let n = count.max(1) as f64;
    let centre = sums.map(|s| s / n);
    let key = (0..by_slice.len()).rev().max_by_key(|z| by_slice[*z].len()).unwrap_or(0);
    let Axes { long_mm, short_mm } =
        diameter::axes(by_slice.get(key).map_or(&[], |v| v), [geometry.spacing_mm[0], geometry.spacing_mm[1]]);
    Nodule {
        number: 0,
        side: side(lungs, by_side, centre),
        centre_mm: geometry.to_patient(centre),
        diameter_mm: Axes { long_mm, short_mm }.diameter_mm(),
        long_axis_mm: long_mm,
        short_axis_mm: short_mm,
        volume_mm3: count as f64 * geometry.voxel_ml() * 1000.0,
        mean_hu: hu as f64 / n,
        confidence,
        key_slice: mask.origin[2] + key,
        mask,
    }
}

/// The lung that holds most of the nodule; for one wholly outside, the lung whose box is nearer.
fn side(lungs: &[Lung], by_side: [usize; 2], centre: [f64; 3]) -> Side {
    match by_side {
        [right, left] if right > left => Side::Right,
        [right, left] if left > right => Side::Left,
        _ => {
            let distance = |l: &&Lung| {
                (0..3)
                    .map(|a| {
                        let (low, size) = (l.mask.origin[a] as f64, l.mask.size[a] as f64);
                        (low - centre[a]).max(centre[a] - low - size).max(0.0).powi(2)
                    })
                    .sum::<f64>()
            };
            lungs.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).map_or(Side::Right, |l| l.side)
        }
    }
}
