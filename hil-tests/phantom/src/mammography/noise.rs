//! Smooth random fields: numbers on a lattice that repeats, interpolated.

use crate::random::Random;

const SIDE: usize = 32;
const MASK: usize = SIDE - 1;

/// Mean 0, about -1 to 1; repeats after 32 wavelengths.
#[derive(Debug)]
pub struct Field {
    lattice: Vec<f32>,
    /// Rotation, so that octaves do not show the directions of the lattice.
    turned: [[f32; 3]; 3],
    per_mm: f32,
}

impl Field {
    pub fn new(random: &mut Random, wavelength_mm: f32) -> Self {
        let turned = random.rotation();
        Self {
            lattice: (0..SIDE * SIDE * SIDE).map(|_| random.between(-1.0, 1.0)).collect(),
            turned,
            per_mm: 1.0 / wavelength_mm,
        }
    }

    pub fn at(&self, p: [f32; 3]) -> f32 {
        let q = self.turned.map(|r| (r[0] * p[0] + r[1] * p[1] + r[2] * p[2]) * self.per_mm);
        let floor = q.map(f32::floor);
        let f = [0, 1, 2].map(|a| {
            let t = q[a] - floor[a];
            t * t * (3.0 - 2.0 * t)
        });
        let low = floor.map(|v| v as i32 as usize & MASK);
        let high = low.map(|v| (v + 1) & MASK);
        let line = |z: usize, y: usize| {
            let base = (z * SIDE + y) * SIDE;
            let (a, b) = (self.lattice[base + low[0]], self.lattice[base + high[0]]);
            a + (b - a) * f[0]
        };
        let plane = |z: usize| {
            let (a, b) = (line(z, low[1]), line(z, high[1]));
            a + (b - a) * f[1]
        };
        let (a, b) = (plane(low[2]), plane(high[2]));
        a + (b - a) * f[2]
    }

    /// In a plane, at a third of the cost.
    pub fn at_plane(&self, x: f32, y: f32, layer: usize) -> f32 {
        let q = [x * self.per_mm, y * self.per_mm];
        let floor = q.map(f32::floor);
        let f = [0, 1].map(|a| {
            let t = q[a] - floor[a];
            t * t * (3.0 - 2.0 * t)
        });
        let low = floor.map(|v| v as i32 as usize & MASK);
        let base = (layer & MASK) * SIDE * SIDE;
        let line = |row: usize| {
            let row = base + (row & MASK) * SIDE;
            let (a, b) = (self.lattice[row + low[0]], self.lattice[row + ((low[0] + 1) & MASK)]);
            a + (b - a) * f[0]
        };
        let (a, b) = (line(low[1]), line(low[1] + 1));
        a + (b - a) * f[1]
    }
}
