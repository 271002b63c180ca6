//! Signed distances (mm, negative inside) of the simple bodies of which the scene consists, and how they blend.

pub type Point = [f32; 3];

pub fn sub(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub fn add(a: Point, b: Point) -> Point {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub fn scaled(a: Point, k: f32) -> Point {
    a.map(|c| c * k)
}

pub fn dot(a: Point, b: Point) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub fn length(a: Point) -> f32 {
    dot(a, a).sqrt()
}

/// Fraction of a voxel that is inside a surface at distance `sd`, when the voxel is `width` mm wide.
#[inline]
pub fn coverage(sd: f32, width: f32) -> f32 {
    (0.5 - sd / width).clamp(0.0, 1.0)
}

/// 0 at `low` and below, 1 at `high` and above, smooth between.
#[inline]
pub fn ramp(value: f32, low: f32, high: f32) -> f32 {
    let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Intersection of two bodies with an edge rounded over `k` mm.
#[inline]
pub fn smooth_max(a: f32, b: f32, k: f32) -> f32 {
    let h = (k - (a - b).abs()).max(0.0) / k;
    a.max(b) + h * h * k * 0.25
}

/// Union of two bodies with a seam rounded over `k` mm.
#[inline]
pub fn smooth_min(a: f32, b: f32, k: f32) -> f32 {
    -smooth_max(-a, -b, k)
}

/// Ellipse with the half axes `a` and `b`. First-order: exact on the outline, good near it.
#[inline]
pub fn ellipse(x: f32, y: f32, a: f32, b: f32) -> f32 {
    let (u, v) = (x / a, y / b);
    let k1 = (u * u + v * v).sqrt();
    let k2 = ((u / a) * (u / a) + (v / b) * (v / b)).sqrt();
    if k2 < 1e-6 { -a.min(b) } else { k1 * (k1 - 1.0) / k2 }
}

/// Ellipsoid with the half axes `r`, centred on the origin. First-order like [`ellipse`].
#[inline]
pub fn ellipsoid(p: Point, r: Point) -> f32 {
    let u = [p[0] / r[0], p[1] / r[1], p[2] / r[2]];
    let k1 = length(u);
    let k2 = length([u[0] / r[0], u[1] / r[1], u[2] / r[2]]);
    if k2 < 1e-6 { -r[0].min(r[1]).min(r[2]) } else { k1 * (k1 - 1.0) / k2 }
}

/// A round rod between two points whose radius changes evenly from one end to the other.
#[derive(Debug, Clone, Copy)]
pub struct Rod {
    pub from: Point,
    pub to: Point,
    pub from_radius: f32,
    pub to_radius: f32,
}

impl Rod {
    /// Distance and the local radius.
    #[inline]
    pub fn distance(&self, p: Point) -> (f32, f32) {
        let axis = sub(self.to, self.from);
        let rel = sub(p, self.from);
        let t = (dot(rel, axis) / dot(axis, axis).max(1e-6)).clamp(0.0, 1.0);
        let radius = self.from_radius + (self.to_radius - self.from_radius) * t;
        (length(sub(rel, scaled(axis, t))) - radius, radius)
    }

    /// Smallest box around the rod, grown by `margin`: lower and upper corner.
    pub fn bounds(&self, margin: f32) -> (Point, Point) {
        let r = self.from_radius.max(self.to_radius) + margin;
        let mut low = [0.0; 3];
        let mut high = [0.0; 3];
        for a in 0..3 {
            low[a] = self.from[a].min(self.to[a]) - r;
            high[a] = self.from[a].max(self.to[a]) + r;
        }
        (low, high)
    }
}
