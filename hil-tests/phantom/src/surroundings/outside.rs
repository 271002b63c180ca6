//! What lies outside the skin: couch, pad and pillow, clothes or a blanket, wires with their clips.

use super::piece::{Form, Ink, Piece};
use crate::anatomy::Chest;
use crate::random::Random;
use crate::shape::{Point, Rod, coverage, length, sub};

#[derive(Debug, Clone, Copy)]
enum Couch {
    /// Out of the picture.
    None,
    /// Two curved shells with foam between them.
    Curved,
    /// One thin shell.
    Thin,
    /// A flat sandwich.
    Flat,
}

/// One scan's couch and clothes. Standard millimetres.
#[derive(Debug, Clone, Copy)]
pub struct Outside {
    couch: Couch,
    /// y of the highest point of the couch's top.
    top: f32,
    /// How far the edges are raised at 200 mm from the middle, mm.
    curve: f32,
    shell_mm: f32,
    shell_hu: f32,
    foam_hu: f32,
    pad_mm: f32,
    pad_hu: f32,
    pillow: bool,
    /// Distance from the skin and thickness of the cloth, mm; no cloth where it is 0 thick.
    cloth: [f32; 2],
    cloth_hu: f32,
    /// Cloth ends at this y.
    cloth_to: f32,
    /// Creases around the trunk: how many, and their phase.
    creases: [f32; 2],
}

impl Outside {
    /// `back` is the y of the patient's back.
    pub fn new(back: f32, random: &mut Random) -> Self {
        let couch = [Couch::None, Couch::Curved, Couch::Curved, Couch::Thin, Couch::Flat][random.below(5)];
        let pad_mm = if random.chance(0.6) { random.between(4.0, 22.0) } else { 0.0 };
        let curve = if matches!(couch, Couch::Flat) { 0.0 } else { random.between(15.0, 45.0) };
        Self {
            couch,
            top: back + pad_mm + random.between(0.5, 5.0),
            curve,
            shell_mm: random.between(0.8, 2.5),
            shell_hu: random.between(-350.0, 150.0),
            foam_hu: random.between(-960.0, -880.0),
            pad_mm,
            pad_hu: random.between(-960.0, -800.0),
            pillow: random.chance(0.4),
            cloth: [random.between(1.0, 9.0), if random.chance(0.5) { random.between(0.8, 4.0) } else { 0.0 }],
            cloth_hu: random.between(-900.0, -500.0),
            cloth_to: random.between(-40.0, 90.0),
            creases: [random.between(4.0, 11.0), random.between(0.0, 6.0)],
        }
    }

    /// HU at a point `skin` mm outside the skin.
    pub fn at(&self, [x, y, z]: Point, skin: f32, w: f32) -> f32 {
        let mut value = -1000.0;
        let mut put = |hu: f32, sd: f32| value += (hu - value) * coverage(sd, w);
        if y > 0.0 && !matches!(self.couch, Couch::None) && x.abs() < 225.0 {
            let bend = self.curve * (x / 200.0).powi(2);
            let below = y - self.top + bend;
            if self.pad_mm > 0.0 {
                put(self.pad_hu, (below + 0.5 * self.pad_mm).abs() - 0.5 * self.pad_mm);
            }
            let thick = match self.couch {
                Couch::Flat => 24.0,
                Couch::Curved => 42.0 - 0.7 * bend,
                _ => self.shell_mm,
            };
            put(self.foam_hu, (below - 0.5 * thick).abs() - 0.5 * thick);
            put(self.shell_hu, below.abs() - self.shell_mm);
            put(self.shell_hu, (below - thick).abs() - self.shell_mm);
        }
        if self.pillow && z > 125.0 && y > 30.0 && y < self.top {
            put(-930.0, (125.0 - z).max(y - self.top));
        }
        let [gap, thick] = self.cloth;
        if thick > 0.0 && skin < 30.0 && y < self.cloth_to {
            // It lies in creases.
            let angle = y.atan2(x);
            let [many, phase] = self.creases;
            let tilt = 0.02 * z + phase;
            let crease = (many * angle + tilt).sin() + 0.7 * (2.37 * many * angle + 1.7 * tilt).sin();
            let middle = gap * (1.0 + 0.45 * crease).max(0.15) + thick;
            put(self.cloth_hu, (skin - middle).abs() - 0.5 * thick);
        }
        value
    }
}

/// Electrodes on the chest, their clips, and wires that lead away on the skin.
pub fn wires(chest: &Chest, random: &mut Random) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if !random.chance(0.4) {
        return pieces;
    }
    for _ in 0..1 + random.below(4) {
        let angle = random.between(-2.9, -0.25);
        // Above the breasts, where there are any.
        let low = if chest.breasts.is_some() { 68.0 } else { -120.0 };
        let z = random.between(low, 95.0);
        let on_skin = |angle: f32, z: f32, above: f32| {
            let section = chest.section(z);
            let [a, b] = section.body;
            chest.to_patient([(a + above) * angle.cos(), (b + above) * angle.sin() + section.middle, z])
        };
        let at = on_skin(angle, z, 2.0);
        let gel = Form::upright_egg(at, [9.0, 4.0, 9.0]);
        pieces.push(Piece::new(gel, Ink::Flat(80.0)));
        let clip =
            Rod { from: at, to: on_skin(angle, z + random.between(-6.0, 6.0), 5.0), from_radius: 2.4, to_radius: 1.6 };
        pieces.push(Piece::new(Form::Rods(vec![clip], 0.0), Ink::Flat(2800.0)));
        // The wire runs over the skin in a few bends.
        let (mut from, mut turn, mut height) = (at, angle, z);
        let [drift, climb] = [random.between(-0.12, 0.12), random.between(-16.0, 16.0)];
        let hu = random.between(900.0, 3000.0);
        let radius = random.between(0.5, 1.1);
        for _ in 0..4 + random.below(9) {
            turn += drift + random.between(-0.08, 0.08);
            height = (height + climb + random.between(-8.0, 8.0)).max(low);
            let to = on_skin(turn, height, 1.0 + random.between(0.0, 3.0));
            if length(sub(to, from)) > 1.0 {
                let rod = Rod { from, to, from_radius: radius, to_radius: radius };
                pieces.push(Piece::new(Form::Rods(vec![rod], 0.0), Ink::Flat(hu)));
            }
            from = to;
        }
    }
    pieces
}
