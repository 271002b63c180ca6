//! For tests: a plan with all ten channels, things planted into the chest of ellipsoids, a network that is never wrong.

use rayon::prelude::*;

use super::network::{self, Answer};
use super::plan::{Channel, Limits, Plan, Thresholds};
use crate::findings::{ChestFinding, Lung};
use crate::postprocess::patches::ONE;
use crate::steps::Cpu;
use crate::testing::Chest;
use crate::volume::Volume;

pub fn plan() -> Plan {
    let thresholds = Thresholds::plain(0.5, 0.4, 0.0);
    Plan {
        package: "test 1.0.0".into(),
        body_part: "CHEST".into(),
        min_age_years: Some(18.0),
        spacing_mm: 2.0,
        patch: [64, 64, 64],
        overlap: 16,
        windows_hu: vec![[-1000.0, 400.0]],
        channels: Channel::ALL.map(|c| (c, thresholds)).to_vec(),
        limits: ChestFinding::ALL.map(|f| (f, Limits::default())).to_vec(),
    }
}

/// The chest with each voxel's HU replaced by `change(position in mm, HU)`.
pub fn planted(chest: &Chest, change: impl Fn([f64; 3], i16) -> i16 + Sync) -> Volume {
    let volume = chest.volume();
    let geometry = volume.geometry.clone();
    let [nx, ..] = geometry.dims;
    let slices = volume.slices.par_iter().enumerate().map(|(z, slice)| {
        let at = |i: usize| geometry.to_patient([(i % nx) as f64, (i / nx) as f64, z as f64]);
        slice.iter().enumerate().map(|(i, hu)| change(at(i), *hu)).collect()
    });
    Volume { slices: slices.collect(), geometry: geometry.clone() }
}

/// A channel and the signed distance to its shape, mm.
pub type Shape<'a> = (Channel, &'a (dyn Fn([f64; 3]) -> f64 + Sync));

/// A perfect network: each listed channel is 1 inside the shape (negative distance, mm) and 0 outside, with an edge as
/// wide as a voxel of the network's grid.
pub fn perfect(volume: &Volume, lungs: &[Lung], shapes: &[Shape<'_>]) -> Answer {
    let plan = plan();
    let prepared = network::prepare(volume, lungs, &plan, &Cpu);
    let target = &prepared.target;
    let channels = shapes.iter().map(|(channel, distance)| {
        let value = |i: usize| {
            let away = distance(volume.geometry.to_patient(target.voxel_at(target.grid.at(i)))) / plan.spacing_mm;
            ((0.5 - away).clamp(0.0, 1.0) * f64::from(ONE)) as u16
        };
        let thresholds = Thresholds::plain(0.5, 0.5, 0.0);
        (*channel, thresholds, (0..target.grid.len()).into_par_iter().map(value).collect::<Vec<u16>>())
    });
    let channels = channels.collect();
    Answer::new(prepared, channels)
}

/// Signed distance to a ball, mm.
pub fn ball(centre: [f64; 3], radius: f64) -> impl Fn([f64; 3]) -> f64 + Sync {
    move |p| (0..3).map(|a| (p[a] - centre[a]).powi(2)).sum::<f64>().sqrt() - radius
}

/// Volume of a ball, ml.
pub fn ball_ml(radius: f64) -> f64 {
    4.0 / 3.0 * std::f64::consts::PI * radius.powi(3) / 1000.0
}
