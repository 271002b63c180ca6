//! Things that look like a lesion and are none: ducts and vessels, the shadow of the nipple, lost contact.
//!
//! Fat lobules within the gland, shadowing ligaments and ribs are part of the tissue itself.

use super::breast::{Breast, Point};
use super::plane::Plane;
use super::tissue::Tissue;
use crate::random::Random;
use crate::shape::{Rod, coverage, ramp};

#[derive(Debug)]
pub struct Decoys {
    tubes: Vec<Rod>,
    nipple: Option<Nipple>,
    contact: Option<Contact>,
}

/// A disc of the skin that casts a shadow.
#[derive(Debug, Clone, Copy)]
struct Nipple {
    lateral: f32,
    elevation: f32,
    radius: f32,
    loss_db: f32,
}

/// Beyond this lateral position the probe does not touch the skin.
#[derive(Debug, Clone, Copy)]
struct Contact {
    edge: f32,
    side: f32,
}

impl Decoys {
    #[cfg(test)]
    pub fn none() -> Self {
        Self { tubes: Vec::new(), nipple: None, contact: None }
    }

    /// `travel` is the range of elevations that the probe visits, mm.
    pub fn new(breast: &Breast, travel: [f32; 2], random: &mut Random) -> Self {
        let mut tubes = Vec::new();
        for _ in 0..random.below(9) {
            let mut from = [random.between(-22.0, 22.0), 0.0, random.between(travel[0] - 5.0, travel[1] + 5.0)];
            let layers = breast.layers(from[0], from[2]);
            from[1] = random.between(layers.gland_top, layers.gland_bottom);
            let mut radius = random.between(0.35, 1.1);
            let mut heading = random.direction();
            for _ in 0..4 {
                let turn = random.direction();
                heading = std::array::from_fn(|a| heading[a] + 0.5 * turn[a] * [1.0, 0.3, 1.0][a]);
                heading[1] *= 0.4;
                let to: Point = std::array::from_fn(|a| from[a] + 6.0 * heading[a]);
                let next = radius * random.between(0.75, 1.1);
                tubes.push(Rod { from, to, from_radius: radius, to_radius: next });
                (from, radius) = (to, next);
            }
        }
        let nipple = random.chance(0.2).then(|| Nipple {
            lateral: random.between(-14.0, 14.0),
            elevation: random.between(travel[0], travel[1]),
            radius: random.between(3.5, 6.5),
            loss_db: random.between(8.0, 22.0),
        });
        let contact = random.chance(0.2).then(|| {
            let side = if random.chance(0.5) { 1.0 } else { -1.0 };
            Contact { edge: side * random.between(13.0, 22.0), side }
        });
        Self { tubes, nipple, contact }
    }

    pub fn put(&self, plane: &mut Plane) {
        for tube in &self.tubes {
            put_tube(tube, plane);
        }
        if let Some(n) = &self.nipple {
            let rows = (3.0 / plane.grid.step_mm[1]) as usize;
            shade(plane, rows, |lateral, elevation| {
                let away = (lateral - n.lateral).hypot(elevation - n.elevation);
                n.loss_db * (1.0 - ramp(away, 0.5 * n.radius, n.radius)) / 3.0
            });
        }
        if let Some(c) = &self.contact {
            // The gap moves with the probe, so its edge is relative to the middle of the plane.
            let grid = plane.grid;
            let middle = grid.lateral(grid.columns / 2);
            let rows = (1.0 / grid.step_mm[1]) as usize;
            shade(plane, rows, |lateral, _| 32.0 * ramp(c.side * (lateral - middle - c.edge), 0.0, 1.5));
        }
    }
}

/// Adds loss to the first rows of each column: what is behind them is shadowed.
fn shade(plane: &mut Plane, rows: usize, loss_db_mm: impl Fn(f32, f32) -> f32) {
    let grid = plane.grid;
    for column in 0..grid.columns {
        let loss = loss_db_mm(grid.lateral(column), grid.elevation_mm);
        if loss > 0.0 {
            for row in 1..rows.min(grid.rows) {
                plane.loss_db_mm[row * grid.columns + column] += loss;
            }
        }
    }
}

fn put_tube(tube: &Rod, plane: &mut Plane) {
    let (low, high) = tube.bounds(0.4);
    let centre = std::array::from_fn(|a| (low[a] + high[a]) / 2.0);
    let reach = std::array::from_fn(|a| (high[a] - low[a]) / 2.0);
    let Some((low, size)) = plane.window(centre, reach) else { return };
    let fluid = Tissue { echo_db: -26.0, mirror: 0.0, loss_db_mm: -0.15 };
    for row in low[1]..low[1] + size[1] {
        for column in low[0]..low[0] + size[0] {
            let (distance, _) = tube.distance(plane.point(column, row));
            let share = coverage(distance, 0.3);
            if share > 0.0 {
                plane.blend(column, row, &fluid, share);
            }
        }
    }
}
