//! What a vertebra has behind its body: pedicles, laminae, joints, transverse and spinous processes; and the spurs that
//! old vertebrae grow at their edges.
//!
//! Standard millimetres; y counts from where the standard spine is. Processes of one vertebra reach the height of the
//! next ones, as in the middle of a real thoracic spine, where they hang down like roof tiles.

use crate::anatomy::{bone, hu, over};
use crate::random::Random;
use crate::ribs;
use crate::shape::{Point, Rod, coverage, ellipse, ramp};

/// One patient's spine.
#[derive(Debug, Clone, Copy)]
pub struct Spine {
    /// Relative length of the spinous processes.
    length: f32,
    /// Sideways deviation of their tips, mm.
    crooked: f32,
    /// Spurs at the edges of the vertebral bodies, mm.
    spurs: f32,
    phase: f32,
    /// HU of the spongy bone, relative to the usual.
    density: f32,
}

impl Spine {
    pub fn new(random: &mut Random) -> Self {
        Self {
            length: random.between(0.85, 1.12),
            crooked: random.between(0.0, 3.5),
            spurs: if random.chance(0.45) { random.between(1.0, 4.5) } else { 0.0 },
            phase: random.between(0.0, 6.0),
            density: random.between(-80.0, 50.0),
        }
    }

    /// Paints the spine over `value`; `height` is mm above the head of the first rib.
    pub fn paint(&self, value: f32, [x, y]: [f32; 2], height: f32, w: f32) -> f32 {
        let (number, tall) = ribs::vertebra(height);
        let value = if y < 90.0 { self.body(value, [x, y], number, tall, w) } else { value };
        if y < 64.0 {
            return value;
        }
        if y > 106.0 && x.abs() > 12.0 {
            return value;
        }
        let first = number.floor() - 2.0;
        let mut sd = f32::MAX;
        for step in 0..4u8 {
            let m = first + f32::from(step);
            sd = sd.min(self.arch(m, [x, y, height - ribs::upper_edge(m)]));
        }
        let canal = ellipse(x, y - 83.0, 8.8, 7.8);
        let value = bone(value, sd.max(-canal - 0.5), w, hu::MARROW + 40.0 + self.density);
        let value = over(value, 12.0, coverage(canal, w));
        over(value, hu::CORD, coverage(ellipse(x, y - 83.0, 5.5, 4.5), w))
    }

    fn body(&self, value: f32, [x, y]: [f32; 2], number: f32, tall: f32, w: f32) -> f32 {
        let level = (number - number.floor() - 0.5) * tall;
        let waist = 1.8 * (1.0 - (2.0 * level / tall).powi(2));
        let edge = 0.5 * tall - 2.2 - level.abs();
        let disc = edge < 0.0;
        let spur = if self.spurs > 0.0 && y < 66.0 {
            // More on the right, where the aorta does not beat against them.
            let joint = (number + 0.5).floor();
            let side = 0.5 + 0.5 * (1.3 * (x / 8.0) - self.phase + 2.4 * joint).sin();
            self.spurs * side * (-(edge / 3.0).powi(2)).exp()
        } else {
            0.0
        };
        let own = ellipse(x, y - 62.0, 17.0 - waist, 14.0 - waist);
        if disc && spur < 2.0 {
            return over(value, hu::DISC, coverage(own + 0.5, w));
        }
        if disc {
            let value = over(value, hu::DISC, coverage(own + 0.5, w));
            let rim = (own - 0.5 * spur).abs() - 0.5 * spur;
            return over(value, 480.0, coverage(rim, w));
        }
        // The end plates are as compact as the cortex.
        let marrow = hu::MARROW - 30.0 + self.density + 260.0 * (1.0 - ramp(edge, 0.0, 2.5));
        bone(value, own - spur, w, marrow)
    }

    /// Distance to what vertebra `m` has behind its body; z counts from its upper edge.
    fn arch(&self, m: f32, [x, y, z]: Point) -> f32 {
        let tall = 18.0 + 0.6 * m;
        if z > 6.0 || z < -tall - 50.0 {
            return f32::MAX;
        }
        let a = x.abs();
        let mut sd = self.spinous(m, tall, [x, y, z]);
        if z < -1.3 * tall || a > 42.0 {
            return sd;
        }
        let rods = [
            // Pedicle, lamina (taller than thick), the joints with the vertebrae above and below.
            (rod([11.5, 70.0, -0.30 * tall], [13.0, 86.0, -0.28 * tall], 3.5, 3.4), 0.75),
            (rod([13.0, 89.0, -0.42 * tall], [1.0, 96.0, -0.72 * tall], 2.9, 2.8), 0.45),
            (rod([14.0, 88.0, -0.40 * tall], [14.5, 86.8, 0.06 * tall], 3.0, 2.7), 1.0),
            (rod([13.0, 92.0, -0.60 * tall], [13.5, 93.3, -1.10 * tall], 3.0, 2.7), 1.0),
            (transverse(m, tall), 0.8),
        ];
        for (rod, flat) in rods {
            sd = sd.min(stretched(&rod, [a, y, z], flat));
        }
        sd
    }

    fn spinous(&self, m: f32, tall: f32, p: Point) -> f32 {
        if p[0].abs() > 12.0 || p[1] < 90.0 {
            return f32::MAX;
        }
        let hanging = ramp(m, 0.5, 5.0) * (1.0 - ramp(m, 7.5, 11.0));
        let lumbar = ramp(m, 9.5, 12.0);
        let tip = [
            self.crooked * (2.3 * m + self.phase).sin(),
            96.0 + self.length * (27.0 - 6.0 * hanging - 2.0 * lumbar),
            -0.62 * tall - self.length * (9.0 + 29.0 * hanging - 4.0 * lumbar),
        ];
        let process = rod([0.0, 95.0, -0.62 * tall], tip, 2.6, 3.1 + 0.6 * lumbar);
        stretched(&process, p, 0.75 - 0.42 * lumbar)
    }
}

/// Ribs lean on those of the thoracic vertebrae; those of the last ones are stubs.
fn transverse(m: f32, tall: f32) -> Rod {
    let z = -0.28 * tall;
    if m < -0.5 {
        rod([12.0, 78.0, z], [23.0, 78.0, z], 3.4, 3.2)
    } else if m > 11.5 {
        rod([13.0, 84.0, z], [36.0, 90.0, z], 3.2, 2.6)
    } else {
        let length = 21.0 - 0.8 * m - 6.0 * ramp(m, 8.5, 10.5);
        rod([13.0, 89.0, z], [13.0 + length, 89.0 + 0.5 * length, z + 2.0], 3.6, 4.3)
    }
}

fn rod(from: Point, to: Point, from_radius: f32, to_radius: f32) -> Rod {
    Rod { from, to, from_radius, to_radius }
}

/// Distance to a rod that is taller than thick by 1 / `flat`.
fn stretched(rod: &Rod, p: Point, flat: f32) -> f32 {
    let squeeze = |q: Point| [q[0], q[1], q[2] * flat];
    Rod { from: squeeze(rod.from), to: squeeze(rod.to), ..*rod }.distance(squeeze(p)).0
}
