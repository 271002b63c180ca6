//! Rib fractures: one to five, as after a fall: on one side, on neighbouring ribs, one below the other.
//!
//! The broken rib itself is part of the chest (see `ribs`); this file decides where and how it is broken.

use std::sync::Arc;

use super::{Body, Channel, Layer, Lesion, Planted, Site};
use crate::anatomy::{Chest, Side};
use crate::random::Random;
use crate::ribs::{Break, REACH_MM};
use crate::shape::{Point, add, sub};
use crate::truth::{Measured, PlantedLesion};

/// Smallest distance of a fracture from the ends of the scanned slab, mm.
const MARGIN_MM: f32 = 12.0;

/// How a rib broke.
#[derive(Debug, Clone, Copy)]
enum FractureKind {
    /// There is a gap between the ends, which are hardly displaced.
    Gap,
    /// The front piece is displaced.
    Displaced,
    /// Bent inward until the cortex gave way.
    Buckled,
    /// Weeks old, with callus about it.
    Healing,
}

/// Fractures of the ribs within a slab (lowest and highest z, mm). None where the slab holds no ribs.
pub fn breaks(chest: &Chest, slab: [f32; 2], random: &mut Random) -> Vec<Break> {
    let count = 1 + random.below(5).min(random.below(5));
    let mut side = Side::BOTH[random.below(2)];
    let mut found: Vec<Break> = Vec::new();
    // A slab may contain few ribs: other ribs and places are tried before fewer fractures are planted.
    for attempt in 0..60 {
        if attempt == 30 {
            side = Side::BOTH[usize::from(side == Side::Right)];
        }
        // Ribs 4 to 9 break most often; the first, and the floating ones, hardly ever.
        let mut number = 2 + random.below(9) as u8;
        let mut way = random.unit();
        for _ in 0..3 {
            let taken = found.iter().any(|b| b.number == number && b.side == side);
            if let Some(broken) = candidate(chest, side, number, way, random)
                && found.len() < count
                && !taken
                && within(chest, &broken, slab)
            {
                found.push(broken);
            }
            number = (number + 1).min(11);
            way = (way + random.between(-0.12, 0.12)).clamp(0.0, 1.0);
        }
        if found.len() == count {
            break;
        }
    }
    found
}

fn within(chest: &Chest, broken: &Break, slab: [f32; 2]) -> bool {
    let z = chest.to_patient(broken.centre)[2];
    z > slab[0] + MARGIN_MM && z < slab[1] - MARGIN_MM
}

/// A break at the fraction `way` (0 to 1) of the bony shaft, from front to back.
fn candidate(chest: &Chest, side: Side, number: u8, way: f32, random: &mut Random) -> Option<Break> {
    let [front, back] = chest.shaft(number)?;
    let (centre, along) = chest.on_rib(side, number, front + (back - front) * way)?;
    let sign = |random: &mut Random| if random.chance(0.5) { 1.0 } else { -1.0 };
    let kind = [
        FractureKind::Gap,
        FractureKind::Displaced,
        FractureKind::Displaced,
        FractureKind::Buckled,
        FractureKind::Healing,
    ][random.below(5)];
    let (gap, outward, upward, bow, callus, swelling) = match kind {
        FractureKind::Gap => {
            (random.between(1.4, 3.0), random.between(0.0, 1.0), 0.0, 0.0, 0.0, random.between(2.0, 5.0))
        }
        FractureKind::Displaced => (
            random.between(0.6, 2.0),
            random.between(1.5, 5.5),
            random.between(0.0, 2.5),
            0.0,
            0.0,
            5.0 * random.unit(),
        ),
        FractureKind::Buckled => {
            (1.0, random.between(1.0, 2.0), 0.0, random.between(2.0, 5.0), 0.0, random.between(2.0, 4.0))
        }
        FractureKind::Healing => {
            let callus = random.between(1.8, 3.5);
            (random.between(0.8, 1.6), random.between(0.5, 2.5), 0.0, random.between(0.0, 2.0), callus, callus)
        }
    };
    let mm = 1.0 / chest.scale;
    Some(Break {
        side,
        number,
        centre,
        along,
        gap: gap * mm,
        step: [outward * sign(random) * mm, upward * sign(random) * mm],
        bow: bow * mm,
        callus: callus * mm,
        swelling: swelling * mm,
    })
}

/// Marks the fractures of the chest: one lesion each, which paints nothing.
pub fn plant(site: &Site<'_>, planted: &mut Planted) {
    if site.chest.breaks.is_empty() {
        return;
    }
    let chest = Arc::new(site.chest.clone());
    for (number, broken) in site.chest.breaks.iter().enumerate() {
        let lesion = Lesion { channel: Channel::RibFracture, side: Some(broken.side), rib: Some(broken.number) };
        let lesion = planted.lesion(lesion);
        planted.body(Mark { chest: Arc::clone(&chest), number }, Layer::Mark, Some(lesion));
    }
}

/// The bone about one fracture.
#[derive(Debug)]
struct Mark {
    chest: Arc<Chest>,
    number: usize,
}

impl Body for Mark {
    fn bounds(&self) -> (Point, Point) {
        let centre = self.chest.breaks.get(self.number).map_or([0.0; 3], |b| self.chest.to_patient(b.centre));
        let reach = [REACH_MM * self.chest.scale; 3];
        (sub(centre, reach), add(centre, reach))
    }

    fn fill(&self, p: Point, width: f32) -> f32 {
        self.chest.fracture_part(self.number, p, width)
    }

    fn paint(&self, _: Point, under: f32, _: f32) -> f32 {
        under
    }
}

pub fn truth(measured: &Measured<'_>) -> Vec<PlantedLesion> {
    measured.of(Channel::RibFracture).collect()
}
