//! Runs the network once for all findings: resamples the volume, runs patch by patch (`patchwork`); then looks again at what is
//! doubtful (`looks`).

use std::sync::Arc;

use hal::{LoadedModel, Tensor};
use rayon::prelude::*;

use super::looks::{self, Place};
use super::plan::{Channel, Plan, Thresholds};
use super::regions::level;
use crate::findings::{Lung, Mask};
use crate::morphology;
use crate::patchwork::{self, Pass, checked};
use crate::postprocess::components;
use crate::postprocess::patches;
use crate::preprocess::resample::Target;
use crate::steps::Steps;
use crate::task::{Control, Error, TaskFault, go_on};
use crate::volume::Volume;

/// Margin around the lungs that is given to the network, mm: ribs, pleura and mediastinum.
const MARGIN_MM: f64 = 30.0;
/// The same for a package that looks into the lungs only.
const LUNG_MARGIN_MM: f64 = 8.0;
/// Nodules are accepted up to this distance outside the lung masks, mm (pleural nodules, blurred edges).
const OUTSIDE_LUNG_MM: f64 = 3.0;

/// What the network reads.
pub struct Prepared {
    pub target: Target,
    pub hu: Arc<Vec<i16>>,
    /// Lungs and a rim around them.
    pub lungs: Vec<u8>,
}

/// What the network answered, on the grid of `prepared`.
pub struct Answer {
    pub prepared: Prepared,
    channels: Vec<(Channel, Thresholds, Vec<u16>)>,
}

impl Answer {
    /// Probability, 0 to [`patches::ONE`], and its thresholds.
    pub fn channel(&self, channel: Channel) -> Option<(&[u16], Thresholds)> {
        self.channels.iter().find(|(c, ..)| *c == channel).map(|(_, t, p)| (p.as_slice(), *t))
    }

    /// The best probability of a channel in an outline on the original grid of `dims`; 0 for a channel that is not there.
    pub fn best_in(&self, channel: Channel, mask: &Mask, dims: [usize; 3]) -> u16 {
        let Some((probability, _)) = self.channel(channel) else { return 0 };
        let points = points_in(&self.prepared.target, mask, dims);
        points.into_iter().map(|i| probability[i]).max().unwrap_or(0)
    }

    #[cfg(test)]
    pub fn new(prepared: Prepared, channels: Vec<(Channel, Thresholds, Vec<u16>)>) -> Self {
        Self { prepared, channels }
    }
}

fn lungs_only(plan: &Plan) -> bool {
    plan.channels.iter().all(|(c, _)| *c == Channel::Nodule)
}

pub fn prepare(volume: &Volume, lungs: &[Lung], plan: &Plan, steps: &dyn Steps) -> Prepared {
    let [d, h, w] = plan.patch;
    let margin = if lungs_only(plan) { LUNG_MARGIN_MM } else { MARGIN_MM };
    let target = Target::cover(&volume.geometry, extent(lungs), margin, plan.spacing_mm, [w, h, d]);
    let hu = Arc::new(steps.resample(volume, &target));
    let mut inside = vec![0u8; target.grid.len()];
    for lung in lungs {
        points_in(&target, &lung.mask, volume.geometry.dims).into_iter().for_each(|i| inside[i] = 1);
    }
    let lungs = morphology::dilate(&target.grid, &inside, OUTSIDE_LUNG_MM);
    Prepared { target, hu, lungs }
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

/// Indices on the network's grid whose nearest voxel of the volume, which has `dims`, lies in the mask.
pub fn points_in(target: &Target, mask: &Mask, dims: [usize; 3]) -> Vec<usize> {
    let axis = target.orientation.axis;
    // Index on the network's grid and the original index, where it lies in the box.
    let [xs, ys, zs] = [0, 1, 2].map(|p| {
        let a = axis[p];
        let inside = mask.origin[a]..mask.origin[a] + mask.size[a];
        let nearest = (0..).zip(target.nearest(p, dims)).filter_map(|(i, v)| Some((i, v?)));
        nearest.filter(|(_, v)| inside.contains(v)).collect::<Vec<(usize, usize)>>()
    });
    let slice = |(z, vz): &(usize, usize)| {
        let mut points = Vec::new();
        for (y, vy) in &ys {
            for (x, vx) in &xs {
                let mut voxel = [0; 3];
                for (a, v) in axis.into_iter().zip([*vx, *vy, *vz]) {
                    voxel[a] = v;
                }
                if mask.contains(voxel) {
                    points.push(target.grid.index([*x, *y, *z]));
                }
            }
        }
        points
    };
    zs.par_iter().map(slice).collect::<Vec<_>>().concat()
}

/// The network takes `image`, f32 `[N, W, D, H, W']` (one input channel a window; z to the head, y to the back, x to
/// the left; HU clipped to the window and scaled to 0..1), and answers `probability`, f32 `[N, C, D, H, W']`.
///
/// # Errors
/// `TaskFault::Cancelled`; `TaskFault::BadModel` when names or shapes are not these; `TaskFault::BadOutput` when a value is not a
/// probability; `TaskFault::Accelerator`.
pub fn infer(
    prepared: Prepared,
    plan: &Plan,
    model: &mut dyn LoadedModel,
    control: &dyn Control,
) -> Result<Answer, Error> {
    let grid = &prepared.target.grid;
    let [d, h, w] = plan.patch;
    let size = [w, h, d];
    let narrow = lungs_only(plan);
    // Every voxel of the lungs still gets all the patches that cover it.
    let origins: Vec<[usize; 3]> = patches::origins(grid, size, plan.overlap)
        .into_iter()
        .filter(|o| !narrow || patches::touches(grid, &prepared.lungs, *o, size))
        .collect();
    let pass = Pass {
        grid,
        hu: &prepared.hu,
        size,
        overlap: plan.overlap,
        windows: &plan.windows_hu,
        channels: plan.channels.len(),
    };
    let maps = patchwork::blended(&pass, &origins, model, control)?;
    go_on(control)?;
    let channels = plan.channels.iter().zip(maps).map(|((c, t), values)| (*c, *t, values)).collect();
    Ok(Answer { prepared, channels })
}

/// Shows the doubtful places of the answer to the network again; their probabilities become the mean of all looks.
///
/// # Errors
/// As [`infer`].
pub fn look_again(
    answer: &mut Answer,
    plan: &Plan,
    model: &mut dyn LoadedModel,
    control: &dyn Control,
) -> Result<(), Error> {
    let Answer { prepared, channels } = answer;
    let grid = &prepared.target.grid;
    let [d, h, w] = plan.patch;
    let size = [w, h, d];
    // The components of each channel that is looked at again.
    let labels: Vec<Vec<u32>> = channels
        .iter()
        .map(|(_, thresholds, values)| {
            let floor = level(thresholds.mask);
            let marked = || values.par_iter().map(|value| u8::from(*value >= floor)).collect::<Vec<u8>>();
            thresholds.look_again.map_or_else(Vec::new, |_| components::label(grid, &marked()).labels)
        })
        .collect();
    let mut places: Vec<Place> = Vec::new();
    for (channel, (_, thresholds, values)) in channels.iter().enumerate() {
        if let Some(again) = thresholds.look_again {
            places.extend(looks::places(grid, channel, again, values, &labels[channel]));
        }
    }
    let mut image = Tensor { shape: vec![1, plan.windows_hu.len(), d, h, w], data: Vec::new() };
    for look in &looks::MORE {
        for patch in looks::patches(grid, size, look, &places) {
            go_on(control)?;
            // Part of the inference, which gives way to live pictures before every patch.
            control.progress("inference", 1.0);
            image.data.clear();
            for window in &plan.windows_hu {
                looks::cut(grid, &prepared.hu, *window, look, patch.origin, size, &mut image.data);
            }
            let seen = model.run(std::slice::from_ref(&image))?;
            let seen = checked(&seen, &[1, plan.channels.len(), d, h, w])?;
            for place in patch.places {
                let place = &mut places[place];
                let channel = &seen[place.channel * d * h * w..][..d * h * w];
                looks::note(place, look, patch.origin, size, channel);
            }
        }
    }
    for place in &places {
        let (_, thresholds, values) = &mut channels[place.channel];
        looks::settle(grid, place, thresholds.mask, &labels[place.channel], values);
    }
    Ok(())
}

/// # Errors
/// `TaskFault::BadModel` when the network's names are not this task's.
pub fn check_names(model: &dyn LoadedModel) -> Result<(), Error> {
    let (inputs, outputs) = (model.inputs(), model.outputs());
    if inputs != ["image"] || outputs != ["probability"] {
        let message = format!("the network has {inputs:?} -> {outputs:?}, this task needs [image] -> [probability]");
        return Err(Error::new(TaskFault::BadModel, message));
    }
    Ok(())
}
