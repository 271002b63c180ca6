//! The woman: age, size and density of her breasts. Both breasts are alike.

use serde::Serialize;

use super::seeds::stream;
use crate::random::Random;

/// Composition of the breast in the four classes of BI-RADS, here by the percentage of glandular volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Density {
    A,
    B,
    C,
    D,
}

impl Density {
    pub const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::D];

    /// Percentage of glandular volume, lowest and highest. The order of magnitude of volumetric measurements (a: below
    /// 4.5, b: below 7.5, c: below 15.5, d: more), moved apart so that no case lies between two classes.
    pub fn percent(self) -> [f32; 2] {
        match self {
            Self::A => [2.0, 4.0],
            Self::B => [6.0, 10.0],
            Self::C => [14.0, 22.0],
            Self::D => [28.0, 42.0],
        }
    }
}

/// What does not change between two examinations, except that [`Woman::glandular_percent`] falls a little with age.
#[derive(Debug, Clone, Serialize)]
pub struct Woman {
    pub seed: u64,
    /// At the current examination.
    pub age_years: u16,
    pub density: Density,
    /// Glandular part of the volume of the uncompressed breast within the skin.
    pub glandular_percent: f32,
    /// Radius of the base of the uncompressed breast, mm.
    pub radius_mm: f32,
    /// Depth of the uncompressed breast from the base to the nipple, mm.
    pub depth_mm: f32,
    /// Distance of the plates when pressed, mm; each view differs a little.
    pub thickness_mm: f32,
    /// Half axes of silicone implants: depth, lateral, towards the head, mm.
    pub implant_mm: Option<[f32; 3]>,
}

impl Woman {
    pub fn new(seed: u64, density: Option<Density>, implants: Option<bool>) -> Self {
        let mut random = Random::new(seed, stream::WOMAN);
        let age = random.between(38.0, 80.0);
        // Dense breasts become rarer with age.
        let by_age = {
            let t = (age - 38.0) / 42.0;
            let share = [0.06 + 0.14 * t, 0.30 + 0.22 * t, 0.46 - 0.20 * t];
            let draw = random.unit();
            let bounds = [share[0], share[0] + share[1], share[0] + share[1] + share[2]];
            Density::ALL[bounds.iter().filter(|b| draw >= **b).count()]
        };
        let density = density.unwrap_or(by_age);
        let [low, high] = density.percent();
        let glandular_percent = random.between(low, high);
        // Breasts with much fat are larger.
        let fat = 1.0 - glandular_percent / 45.0;
        let radius_mm = random.between(54.0, 74.0) + 14.0 * fat * random.unit();
        let depth_mm = radius_mm * random.between(0.86, 1.12);
        let thickness_mm = (0.72 * radius_mm * random.between(0.85, 1.15)).clamp(30.0, 78.0);
        let drawn = random.chance(0.03);
        let implant = [random.between(0.38, 0.5), random.between(0.58, 0.72), random.between(0.58, 0.72)];
        let axes = [implant[0] * depth_mm, implant[1] * radius_mm, implant[2] * radius_mm];
        Self {
            seed,
            age_years: age as u16,
            density,
            glandular_percent,
            radius_mm,
            depth_mm,
            thickness_mm,
            implant_mm: implants.unwrap_or(drawn).then_some(axes),
        }
    }
}
