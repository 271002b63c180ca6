//! The breast: skin, subcutaneous fat, fibroglandular tissue, retromammary fat, pectoral muscle, ribs and pleura, as
//! surfaces over (lateral, elevation).
//!
//! Points are `[lateral, depth, elevation]` in mm: lateral along the probe, depth away from it, elevation across the
//! image plane, the way the probe slides.

use super::noise;
use crate::random::Random;

pub type Point = [f32; 3];

/// Mean depths and other properties of one breast. Layers as in Stavros, "Breast Ultrasound" (2004), chapter 3.
#[derive(Debug, Clone)]
pub struct Breast {
    seed: u64,
    /// Thickness of the skin, mm.
    skin: f32,
    /// Mean depth of the first fibroglandular tissue, mm.
    gland_top: f32,
    /// Mean depth of the last, mm.
    gland_bottom: f32,
    /// Mean depth of the pectoral fascia, mm.
    pub muscle: f32,
    /// Depth of the ribs' surface, mm.
    pub rib: f32,
    /// Size of a fat lobule along each axis, mm.
    pub lobule_mm: Point,
    /// Fraction of lobules within the gland that are fat.
    pub fat_in_gland: f32,
    /// Direction across the ribs (cosine, sine in lateral and elevation) and position of the first rib, mm.
    rib_axis: [f32; 2],
    rib_phase: f32,
}

/// The layers under one point of the skin, mm.
#[derive(Debug, Clone, Copy)]
pub struct Layers {
    pub skin: f32,
    pub gland_top: f32,
    pub gland_bottom: f32,
    pub muscle: f32,
    /// Surface of the rib, where there is one.
    pub rib: Option<f32>,
    pub pleura: f32,
}

const RIB_PITCH_MM: f32 = 24.0;
const RIB_HALF_MM: f32 = 6.5;

impl Breast {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, 40);
        let skin = random.between(1.2, 2.2);
        let gland_top = skin + random.between(3.0, 12.0);
        let gland_bottom = gland_top + random.between(8.0, 20.0);
        let muscle = gland_bottom + random.between(2.0, 6.0);
        let angle = random.between(-1.2, 1.2);
        let lobule = random.between(6.0, 11.0);
        Self {
            seed: random.word(),
            skin,
            gland_top,
            gland_bottom,
            muscle,
            rib: muscle + random.between(7.0, 18.0),
            lobule_mm: [lobule, lobule * random.between(0.5, 0.75), lobule * random.between(0.9, 1.2)],
            fat_in_gland: if random.chance(0.4) { random.between(0.15, 0.5) } else { random.between(0.0, 0.12) },
            rib_axis: [angle.cos(), angle.sin()],
            rib_phase: random.between(0.0, RIB_PITCH_MM),
        }
    }

    pub fn layers(&self, lateral: f32, elevation: f32) -> Layers {
        let slow = |stream: u64, mm: f32| noise::smooth(self.seed ^ stream, [lateral / mm, 0.5, elevation / mm]);
        let skin = self.skin * (1.0 + 0.12 * slow(1, 14.0));
        let gland_top = (self.gland_top + 3.0 * slow(2, 22.0)).max(skin + 1.0);
        let muscle = self.muscle + 1.8 * slow(3, 30.0) + 0.4 * slow(4, 7.0);
        let gland_bottom = (self.gland_bottom + 2.5 * slow(5, 18.0)).clamp(gland_top + 2.0, muscle - 0.5);
        let across = self.rib_axis[0] * lateral + self.rib_axis[1] * elevation + self.rib_phase;
        let from_rib = across - RIB_PITCH_MM * (across / RIB_PITCH_MM).round();
        let rib_top = self.rib.max(muscle + 4.0) + 1.2 * slow(6, 40.0);
        let bulge = 1.0 - (from_rib / RIB_HALF_MM).powi(2);
        Layers {
            skin,
            gland_top,
            gland_bottom,
            muscle,
            rib: (bulge > 0.0).then(|| rib_top + 4.0 * (1.0 - bulge.sqrt())),
            pleura: rib_top + 7.0 + 0.5 * slow(7, 9.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_lie_under_each_other_everywhere() {
        for seed in 0..20 {
            let breast = Breast::new(seed);
            for i in 0..400 {
                let l = breast.layers(i as f32 * 0.37 - 60.0, i as f32 * 0.21);
                assert!(0.5 < l.skin && l.skin < l.gland_top && l.gland_top < l.gland_bottom, "seed {seed}: {l:?}");
                assert!(l.gland_bottom < l.muscle && l.muscle < l.pleura, "seed {seed}: {l:?}");
                assert!(l.rib.is_none_or(|r| l.muscle < r), "seed {seed}: {l:?}");
            }
        }
    }
}
