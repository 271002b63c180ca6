//! Random numbers that are the same for a seed on every machine and with every version of the libraries.

use super::shape::{dot, length, scaled, sub};

/// SplitMix64 (Steele, Lea and Flood, 2014): one word of state. Good enough for images, not for cryptography.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// `stream` separates the uses of one seed, so that a change to one use does not change the numbers of the others.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut start = Self(seed ^ stream.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        Self(start.word())
    }

    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 (included) to 1 (excluded).
    pub fn unit(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1u64 << 24) as f32
    }

    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// From 0 to `count - 1`.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f32) as usize).min(count.saturating_sub(1))
    }

    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// Mean 0, standard deviation 1, always within 3.5: the sum of four uniform 16-bit numbers. It takes a tenth of the
    /// time of a true Gaussian, and it becomes nearly Gaussian when the noise is filtered.
    pub fn normal(&mut self) -> f32 {
        let w = self.word();
        let sum = (w & 0xffff) + ((w >> 16) & 0xffff) + ((w >> 32) & 0xffff) + (w >> 48);
        (sum as f32 / 65536.0 - 2.0) * 1.732_050_8
    }

    /// A random direction, uniform over the sphere.
    pub fn direction(&mut self) -> [f32; 3] {
        loop {
            let v = [self.between(-1.0, 1.0), self.between(-1.0, 1.0), self.between(-1.0, 1.0)];
            let n = (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt();
            if n > 0.1 && n <= 1.0 {
                return v.map(|c| c / n);
            }
        }
    }

    /// From `low` to `high`, uniform in the logarithm: small values are more frequent.
    pub fn logarithmic(&mut self, low: f32, high: f32) -> f32 {
        low * (high / low).powf(self.unit())
    }

    /// Rows of a rotation.
    pub fn rotation(&mut self) -> [[f32; 3]; 3] {
        let a = self.direction();
        loop {
            let b = self.direction();
            let part = dot(a, b);
            let rest = sub(b, scaled(a, part));
            let n = length(rest);
            if n > 0.2 {
                let b = scaled(rest, 1.0 / n);
                let c = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
                return [a, b, c];
            }
        }
    }
}
