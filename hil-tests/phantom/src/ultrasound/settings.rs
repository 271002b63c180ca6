//! Settings of the scanner: frequency, depth, gain and so on.

use serde::Serialize;

use crate::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Settings {
    /// Centre frequency, MHz.
    pub frequency_mhz: f32,
    /// Depth of the picture, mm.
    pub depth_mm: f32,
    /// Width of the probe, mm.
    pub width_mm: f32,
    /// Depth of the lateral focus, mm.
    pub focus_mm: f32,
    /// Gain relative to a well adjusted picture, dB.
    pub gain_db: f32,
    /// Error of the time gain compensation at the bottom of the picture, dB.
    pub tgc_error_db: f32,
    /// Range of echoes from black to white, dB.
    pub dynamic_range_db: f32,
    /// Exponent of the grey map.
    pub gamma: f32,
    /// Number of looks that spatial compounding averages.
    pub looks: usize,
    /// Electronic noise at the bottom of the picture relative to fat, dB.
    pub noise_db: f32,
}

impl Settings {
    /// Chosen by the seed, suitable for a breast whose muscle begins at `muscle_mm`.
    pub fn varied(seed: u64, muscle_mm: f32) -> Self {
        let mut random = Random::new(seed, 42);
        let wanted = muscle_mm + random.between(3.0, 14.0);
        let depth_mm = [30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0].into_iter().find(|d| *d >= wanted).unwrap_or(60.0);
        Self {
            frequency_mhz: [7.5, 9.0, 10.0, 12.0, 13.5][random.below(5)],
            depth_mm,
            width_mm: [38.0, 40.0, 44.0, 50.0][random.below(4)],
            focus_mm: depth_mm * random.between(0.35, 0.7),
            gain_db: random.between(-6.0, 6.0),
            tgc_error_db: random.between(-5.0, 4.0),
            dynamic_range_db: [50.0, 55.0, 60.0, 65.0, 70.0][random.below(5)],
            gamma: random.between(0.8, 1.15),
            looks: 1 + random.below(3),
            noise_db: random.between(-36.0, -20.0),
        }
    }

    /// Standard deviations of the point-spread function at the focus, mm: axial (a pulse of two cycles at 1540 m/s) and
    /// lateral (an aperture of a third of the depth).
    pub fn resolution_mm(&self) -> [f32; 2] {
        [1.25 / self.frequency_mhz, 2.1 / self.frequency_mhz]
    }
}
