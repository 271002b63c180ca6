//! Breasts: fat with glandular tissue on the front of the chest, flattened because the patient lies on the back.

use super::random::Random;
use super::shape::{Point, ellipsoid, smooth_min};

/// Standard mm; a point is given as x, y from the front of the trunk, z.
#[derive(Debug, Clone)]
pub struct Breasts {
    /// Centre of the left one; the right one is its mirror image.
    middle: Point,
    half: Point,
    /// Fraction of glandular tissue where it is densest, 0 to 1.
    pub density: f32,
}

impl Breasts {
    pub fn new(random: &mut Random) -> Self {
        let size = random.between(0.75, 1.15);
        Self {
            middle: [random.between(74.0, 84.0), random.between(14.0, 20.0), random.between(-14.0, 6.0)],
            half: [56.0 * size, random.between(28.0, 46.0) * size, 62.0 * size],
            density: random.between(0.15, 0.9),
        }
    }

    fn relative(&self, p: Point) -> Point {
        [p[0].abs() - self.middle[0], p[1] - self.middle[1], p[2] - self.middle[2]]
    }

    /// Distance to the skin of trunk and breasts, computed from the distance to the trunk.
    pub fn with_trunk(&self, p: Point, trunk: f32) -> f32 {
        smooth_min(trunk, ellipsoid(self.relative(p), self.half), 18.0)
    }

    /// Distance to the gland: a cone of strands towards the nipple.
    pub fn gland(&self, p: Point) -> f32 {
        let [x, y, z] = self.relative(p);
        let strands = 3.5 * ((0.31 * x).sin() * (0.27 * z).sin() + (0.23 * (x + y)).sin());
        ellipsoid([x, y + 6.0, z], [0.62 * self.half[0], 0.8 * self.half[1], 0.62 * self.half[2]]) + strands
    }
}
