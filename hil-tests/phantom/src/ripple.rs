//! Smooth noise, which makes outlines irregular and densities uneven.

use super::random::Random;
use super::shape::{Point, dot, scaled};

/// Waves in random directions, half of them half as long.
#[derive(Debug, Clone)]
pub struct Ripple {
    /// Wave vector (radians per mm) and phase.
    waves: [(Point, f32); 6],
    amplitude: f32,
}

impl Ripple {
    /// Waves of about `length_mm`; values hardly exceed `height`.
    pub fn new(length_mm: f32, height: f32, random: &mut Random) -> Self {
        let waves = std::array::from_fn(|i| {
            let length = length_mm * random.between(0.8, 1.25) / if i < 3 { 1.0 } else { 2.0 };
            let turn = std::f32::consts::TAU;
            (scaled(random.direction(), turn / length), random.between(0.0, turn))
        });
        Self { waves, amplitude: height / 3.0 }
    }

    pub fn at(&self, p: Point) -> f32 {
        let sum: f32 = self.waves.iter().map(|(k, phase)| (dot(*k, p) + phase).sin()).sum();
        self.amplitude * sum
    }

    /// Upper bound of all values.
    pub fn height(&self) -> f32 {
        6.0 * self.amplitude
    }
}
