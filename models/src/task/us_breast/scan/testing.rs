//! Drawn sectors for tests: speckle of a level, with parts lifted or black.

use std::ops::Range;

use super::Scan;

#[derive(Debug, Clone)]
pub struct Drawn {
    pub levels: Vec<u8>,
    pub width: usize,
    pub mm_per_pixel: Option<f32>,
}

impl Drawn {
    pub fn black(width: usize, height: usize) -> Self {
        Self { levels: vec![0; width * height], width, mm_per_pixel: None }
    }

    pub fn tissue(width: usize, height: usize) -> Self {
        Self::speckle(width, height, 80, 7)
    }

    /// Speckle with a mean level, of another pattern for each seed; three pixels wide and two high.
    pub fn speckle(width: usize, height: usize, level: u8, seed: u32) -> Self {
        let mut drawn = Self::black(width, height);
        let mut word = seed.wrapping_mul(0x9E37_79B9) | 1;
        let mut noise = vec![0f32; (width + 4) * (height + 4)];
        for value in &mut noise {
            word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *value = (word >> 16) as f32 / 65536.0 - 0.5;
        }
        for y in 0..height {
            for x in 0..width {
                let around = (0..2).flat_map(|b| (0..3).map(move |a| (y + b) * (width + 4) + x + a));
                let sum: f32 = around.map(|i| noise[i]).sum();
                drawn.levels[y * width + x] = (f32::from(level) * (1.0 + 0.5 * sum)).clamp(0.0, 255.0) as u8;
            }
        }
        drawn
    }

    pub fn at(mut self, mm_per_pixel: f32) -> Self {
        self.mm_per_pixel = Some(mm_per_pixel);
        self
    }

    pub fn blackened(mut self, columns: Range<usize>, rows: Range<usize>) -> Self {
        for y in rows {
            self.levels[y * self.width..][columns.clone()].fill(0);
        }
        self
    }

    /// Nothing but the probe itself at the top, and lines that grow weaker.
    pub fn lifted(self, columns: Range<usize>) -> Self {
        let height = self.levels.len() / self.width;
        let mut drawn = self.blackened(columns.clone(), 0..height);
        for (line, y) in (0..height / 2).step_by(height / 12).enumerate() {
            let level = 200 >> line.min(7);
            for y in y..(y + height / 36).min(height) {
                drawn.levels[y * drawn.width..][columns.clone()].fill(level);
            }
        }
        drawn
    }

    pub fn scan(&self) -> Scan<'_> {
        Scan { levels: &self.levels, width: self.width, mm_per_pixel: self.mm_per_pixel }
    }
}
