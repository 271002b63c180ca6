//! Pulmonary nodules: the lungs on the network's grid, patch by patch through the network, components back to the
//! original grid.

mod locate;

use std::time::Instant;

use hal::{LoadedModel, Tensor};
use rayon::prelude::*;

use super::{Control, Error, Kind, go_on};
use crate::findings::{Lung, Nodule};
use crate::manifest::{Channel, Manifest, Threshold};
use crate::morphology;
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
    let (thresholds, windows) = single(manifest)?;
    let prepared = prepare(volume, lungs, manifest, windows);
    go_on(control)?;
    lap("resample", &mut timings);
    let probability = infer(&prepared, manifest, model, control)?;
    lap("inference", &mut timings);
    let nodules = locate::collect(volume, lungs, thresholds, &prepared.target, &probability);
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

/// Thresholds and window of a package whose network has one input and one output channel.
fn single(manifest: &Manifest) -> Result<(&Threshold, [f32; 2]), Error> {
    match (manifest.thresholds.get(&Channel::Nodule), manifest.input.windows_hu.as_slice(), &manifest.outputs.channels)
    {
        (Some(thresholds), [window], channels) if channels.len() == 1 => Ok((thresholds, *window)),
        _ => Err(Error::new(Kind::BadModel, "this task needs one window and the one channel \"nodule\"")),
    }
}

/// What the network reads.
struct Prepared {
    target: Target,
    /// Scaled to 0..1.
    image: Vec<f32>,
    /// Lungs and a rim around them.
    search: Vec<u8>,
}

fn prepare(volume: &Volume, lungs: &[Lung], manifest: &Manifest, window_hu: [f32; 2]) -> Prepared {
    let input = &manifest.input;
    let [d, h, w] = input.patch;
    let target = Target::cover(&volume.geometry, extent(lungs), MARGIN_MM, input.spacing_mm, [w, h, d]);
    let mut image = resample::trilinear(volume, &target, AIR_HU);
    let plane = target.grid.dims[0] * target.grid.dims[1];
    image.par_chunks_mut(plane.max(1)).for_each(|slice| window::window(slice, window_hu));
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
