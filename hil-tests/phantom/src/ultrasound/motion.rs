//! Motion of the probe: it slides to and fro across its plane, drifts sideways, trembles and presses; now and then the
//! picture is frozen.

use serde::Serialize;

use super::lesion::Lesion;
use super::noise;
use crate::random::Random;

/// Position of the image plane at one frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pose {
    /// Middle of the probe, mm.
    pub lateral_mm: f32,
    pub elevation_mm: f32,
    /// Factor by which pressure reduces all depths.
    pub pressed: f32,
    /// The frame whose picture is shown: its own number, or that of the last live frame while frozen.
    pub live_frame: usize,
}

impl Pose {
    pub fn frozen(&self, frame: usize) -> bool {
        self.live_frame != frame
    }
}

/// Highest speed of the probe, mm/s.
pub const FASTEST_MM_S: f32 = 16.0;

/// One pose for each frame. `travel` is the range of elevations, mm.
pub fn path(seed: u64, frames: usize, fps: f32, travel: [f32; 2], lesions: &[Lesion]) -> Vec<Pose> {
    let mut random = Random::new(seed, 41);
    let seed = random.word();
    let speed = random.between(5.0, 11.0);
    let drift = random.between(1.0, 5.0);
    let tremor = random.between(0.02, 0.12);
    let freezes = random.chance(0.6);
    let mut wanted: Vec<(f32, bool)> = lesions.iter().map(|l| (l.centre[2], freezes && random.chance(0.6))).collect();
    let (mut elevation, mut forward) = (travel[0], true);
    let mut frozen_until = 0;
    let mut poses: Vec<Pose> = Vec::with_capacity(frames);
    for frame in 0..frames {
        if let Some(last) = poses.last().filter(|_| frame < frozen_until) {
            poses.push(*last);
            continue;
        }
        let t = frame as f32 / fps;
        let rate = (speed * (1.0 + 0.6 * noise::wave(seed ^ 1, t / 1.3))).clamp(1.5, FASTEST_MM_S);
        let before = elevation;
        elevation += if forward { rate / fps } else { -rate / fps };
        if elevation > travel[1] || elevation < travel[0] {
            forward = !forward;
        }
        let shake = |stream: u64| tremor * (noise::wave(seed ^ stream, t * 9.0) + noise::wave(seed ^ stream, t * 4.3));
        poses.push(Pose {
            lateral_mm: drift * noise::wave(seed ^ 2, t / 2.5) + shake(3),
            elevation_mm: elevation + shake(4),
            pressed: 1.0 - 0.02 * (1.0 + noise::wave(seed ^ 5, t / 1.8)),
            live_frame: frame,
        });
        let passed = |at: f32| (before - at) * (elevation - at) <= 0.0;
        if let Some(stop) = wanted.iter_mut().find(|(at, stop)| *stop && passed(*at)) {
            stop.1 = false;
            frozen_until = frame + 1 + (random.between(1.5, 3.5) * fps) as usize;
        }
    }
    poses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_never_jumps_and_stays_within_its_travel() {
        for seed in 0..20 {
            let poses = path(seed, 600, 30.0, [0.0, 40.0], &[]);
            for pair in poses.windows(2) {
                let step = (pair[1].elevation_mm - pair[0].elevation_mm).abs();
                assert!(step < FASTEST_MM_S / 30.0 + 0.2, "seed {seed}: {step} mm");
                assert!((pair[1].lateral_mm - pair[0].lateral_mm).abs() < 0.8);
            }
            assert!(poses.iter().all(|p| (-1.5..41.5).contains(&p.elevation_mm)), "seed {seed}");
        }
    }
}
