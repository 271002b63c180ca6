//! The pleural space of one side: fluid or air between the chest wall and the lung, which is displaced.
//!
//! Its surface is where a *height* passes a level. The height rises in one direction (fluid lies at the back, air in
//! front and above, because the patient lies supine), rises near the walls of the cavity (the meniscus of a fluid, the
//! rim of air around a collapsed lung), and sinks at the hilum, where the lung is attached.
//! Standard millimetres, like `anatomy.rs`.

use super::anatomy::Side;
use super::shape::{Point, add, dot, length, scaled, smooth_max, sub};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Contents {
    /// HU.
    Fluid(f32),
    Air,
}

impl Contents {
    pub fn hu(self) -> f32 {
        match self {
            Self::Fluid(hu) => hu,
            Self::Air => -1000.0,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Space {
    pub contents: Contents,
    /// Number of the lesion to which it belongs.
    pub lesion: usize,
    side: Side,
    /// Direction in which the contents collect.
    toward: Point,
    /// How much higher the surface is at a wall, mm, and up to which distance from the wall.
    rise: f32,
    reach: f32,
    level: f32,
}

/// Radius around the hilum in which the lung stays in place, mm.
const HELD_MM: f32 = 30.0;

impl Space {
    /// A space of about `ml` in the cavity whose signed distance (mm) is `cavity`; `ml` in standard size.
    pub fn new(side: Side, contents: Contents, meniscus: [f32; 2], toward: Point, lesion: usize) -> Self {
        let toward = scaled(toward, 1.0 / length(toward));
        Self { contents, lesion, side, toward, rise: meniscus[0], reach: meniscus[1], level: f32::MAX }
    }

    /// Sets the level so that `ml` of the cavity are above it, but at most the fraction `share` of the cavity.
    pub fn fill(&mut self, ml: f32, share: f32, box_: (Point, Point), cavity: impl Fn(Point) -> f32) {
        const STEP: f32 = 5.0;
        let (low, high) = box_;
        let count = |a: usize| ((high[a] - low[a]) / STEP) as usize;
        let mut heights = Vec::new();
        for k in 0..count(2) {
            for j in 0..count(1) {
                for i in 0..count(0) {
                    let p = add(low, [i as f32 * STEP, j as f32 * STEP, k as f32 * STEP]);
                    let sd = cavity(p);
                    if sd < 0.0 {
                        heights.push(self.height(p, sd));
                    }
                }
            }
        }
        heights.sort_by(|a, b| b.total_cmp(a));
        let wanted = (ml * 1000.0 / STEP.powi(3)) as usize;
        let most = (heights.len() as f32 * share) as usize;
        self.level = heights.get(wanted.min(most)).copied().unwrap_or(f32::MAX);
    }

    fn height(&self, p: Point, cavity: f32) -> f32 {
        let hilum = [36.0 * self.side.sign(), 8.0, 6.0];
        let away = length(sub(p, hilum)) / HELD_MM;
        dot(self.toward, p) + self.rise * (cavity.min(0.0) / self.reach).exp() - 90.0 * (-away * away).exp()
    }

    /// Distance to the surface of the displaced lung; `cavity` is the distance to the wall.
    pub fn lung(&self, p: Point, cavity: f32) -> f32 {
        // The height changes faster than the distance where the meniscus is steep.
        let steep = self.rise / self.reach * (cavity.min(0.0) / self.reach).exp();
        let surface = (self.height(p, cavity) - self.level) / (1.0 + steep * steep).sqrt();
        smooth_max(cavity, surface, 3.0)
    }
}
