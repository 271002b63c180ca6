//! How the probe is held and the scanner set, other than the seed says: a lifted probe, a wrong gain, a sweep of one speed. For tests of scan
//! guidance.

use super::motion::Pose;
use super::noise::hash;
use super::plane::Grid;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Handling {
    /// Part of the probe's width that does not touch the skin, from the left: 0 to 1.
    pub lifted: Option<[f32; 2]>,
    /// Gain instead of the seed's, dB; 0 is well adjusted. The time gain compensation has no error then.
    pub gain_db: Option<f32>,
    /// Speed of the sweep across the plane and along it, mm/s. Nothing trembles, presses or is frozen then.
    pub speed_mm_s: Option<[f32; 2]>,
}

/// Poses of a sweep of one speed.
pub fn straight(frames: usize, fps: f32, [across, along]: [f32; 2]) -> Vec<Pose> {
    let pose = |frame: usize| {
        let seconds = frame as f32 / fps;
        Pose { lateral_mm: along * seconds, elevation_mm: across * seconds, pressed: 1.0, live_frame: frame }
    };
    (0..frames).map(pose).collect()
}

/// Distance of the lines that sound makes to and fro between probe and air, their width, and the depth over which they fade, mm.
const LINE_MM: f32 = 1.7;
const THICK_MM: f32 = 0.35;
const FADES_MM: f32 = 5.0;
/// The most that noise adds: a few grey levels.
const NOISE: f32 = 0.018;

/// Brightness (0 black, 1 white) of what does not touch the skin: lines that fade, and the noise of the receiver, which is another one in each
/// `frame`. `from` and `to`: mm of the grid's lateral.
pub fn lift(bright: &mut [f32], grid: &Grid, frame: i32, [from, to]: [f32; 2]) {
    for (row, line) in bright.chunks_exact_mut(grid.columns).enumerate() {
        let depth = grid.depth(row);
        let level = if depth % LINE_MM < THICK_MM { 0.95 * (-depth / FADES_MM).exp() } else { 0.0 };
        for (column, value) in line.iter_mut().enumerate() {
            if (from..to).contains(&grid.lateral(column)) {
                let noise = (hash(0x11F7, [column as i32, row as i32, frame]) & 0xff) as f32 / 255.0;
                *value = level + NOISE * noise;
            }
        }
    }
}
