//! Whether two detections at different times are the same lesion. Pure.

use models::manifest::picture::Channel;
use models::task::us_breast::{Detection, Signs, clip};

use super::middle;

/// How much a lesion may differ between leaving the picture and coming back. It comes back across the same edge of the
/// image, so it has the same size and depth and is only a little to the side. It is then seen at its rim, as when it left,
/// which the mean over all pictures need not resemble: either may agree. On 22 validation videos 50 of 52 returns got
/// their number so (47 by the mean alone), and of 51 other pairs one agrees in place, size and signs: a false alarm that
/// came back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Sideways distance of the centres, as a share of the mean size (diagonal of the box).
    pub beside: f32,
    /// The same for the depth.
    pub deeper: f32,
    /// Ratio of the sizes, the larger by the smaller.
    pub times: f32,
    /// Mean difference of the signs, 0 to 1: of all pictures or of the last ones.
    pub signs: f32,
    /// Ratio of the scales, the larger by the smaller. When the depth of the picture has changed, positions cannot be
    /// compared.
    pub scale: f32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { beside: 0.75, deeper: 0.2, times: 2.0, signs: 0.2, scale: 1.02 }
    }
}

/// Place and signs of a lesion at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// left, top, right, bottom, pixels of the screen.
    pub bounds: [f32; 4],
    /// Mean over all pictures.
    pub signs: Signs,
    /// Of the last pictures.
    pub lately: Signs,
    pub mm_per_pixel: Option<f32>,
}

impl From<&Detection> for Look {
    fn from(one: &Detection) -> Self {
        Self { bounds: one.bounds, signs: one.signs, lately: one.signs, mm_per_pixel: None }
    }
}

impl Limits {
    /// Whether the lesion that left can be the one that comes now.
    pub fn allow(&self, went: &Look, comes: &Look) -> bool {
        let [from, to] = [went.bounds, comes.bounds].map(middle);
        let [one, other] = [went.bounds, comes.bounds].map(size);
        let within = |way: f32, share: f32| way.abs() <= share * f32::midpoint(one, other);
        let scales = went.mm_per_pixel.zip(comes.mm_per_pixel);
        within(to[0] - from[0], self.beside)
            && within(to[1] - from[1], self.deeper)
            && ratio(one, other) <= self.times
            && unlike(&went.signs, &comes.signs).min(unlike(&went.lately, &comes.lately)) <= self.signs
            && scales.is_none_or(|(one, other)| ratio(one, other) <= self.scale)
    }
}

/// The larger value divided by the smaller.
fn ratio(one: f32, other: f32) -> f32 {
    one.max(other) / one.min(other).max(1e-6)
}

fn size(bounds: [f32; 4]) -> f32 {
    (bounds[2] - bounds[0]).hypot(bounds[3] - bounds[1])
}

/// Mean difference of all signs except the first, which only says that there is a lesion.
fn unlike(one: &Signs, other: &Signs) -> f32 {
    let signs = Channel::ALL.iter().filter(|channel| **channel != Channel::Lesion);
    let sum: f32 = signs.clone().map(|channel| (one.of(*channel) - other.of(*channel)).abs()).sum();
    sum / signs.count() as f32
}

/// How much alike two boxes of successive pictures are: 0 for different lesions, otherwise larger the more they are
/// alike. Boxes that overlap too little (`same`, intersection over union) may still be one lesion that moved, when
/// their centres are close compared with their size.
pub fn of_boxes(a: [f32; 4], b: [f32; 4], same: f32) -> f32 {
    let overlap = clip::overlap(a, b);
    if overlap > same {
        return 1.0 + overlap;
    }
    let [from, to] = [a, b].map(middle);
    let [one, other] = [a, b].map(size);
    let reach = 0.25 * (one + other);
    let near = 1.0 - (to[0] - from[0]).hypot(to[1] - from[1]) / reach.max(1e-6);
    if one < 2.0 * other && other < 2.0 * one { near.max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(x: f32, y: f32, side: f32, sign: f32) -> Look {
        let h = side / 2.0;
        let signs = Signs::new([sign; 9]);
        Look { bounds: [x - h, y - h, x + h, y + h], signs, lately: signs, mm_per_pixel: Some(0.1) }
    }

    #[test]
    fn one_that_comes_back_may_be_a_little_aside_but_not_deeper_larger_or_another_kind() {
        let went = look(100.0, 100.0, 30.0, 0.5);
        let limits = Limits::default();
        assert!(limits.allow(&went, &look(125.0, 104.0, 40.0, 0.6)));
        for (other, why) in [
            (look(145.0, 100.0, 30.0, 0.5), "too far aside"),
            (look(100.0, 112.0, 30.0, 0.5), "too deep"),
            (look(100.0, 100.0, 70.0, 0.5), "too large"),
            (look(100.0, 100.0, 12.0, 0.5), "too small"),
            (look(100.0, 100.0, 30.0, 0.8), "looks otherwise"),
            (Look { mm_per_pixel: Some(0.12), ..went }, "another depth of the picture"),
        ] {
            assert!(!limits.allow(&went, &other), "{why}");
        }
        assert!(limits.allow(&went, &Look { mm_per_pixel: None, ..went }));
    }
}
