//! What lies below the diaphragm: liver, spleen, stomach, bowel, kidneys and the muscles beside the spine, in fat.
//!
//! Gas in stomach and bowel reaches the diaphragm: beside the lung it looks like air in the pleural space to one who
//! has never seen it.

use std::sync::Arc;

use super::piece::{Form, Ink, Limit, Piece, Pouch};
use crate::anatomy::{Chest, Side, hu};
use crate::finding::Body;
use crate::random::Random;
use crate::ripple::Ripple;
use crate::shape::{Point, Rod, length, scaled, sub};

struct Belly<'a> {
    chest: &'a Arc<Chest>,
    parts: Vec<Box<dyn Body>>,
    /// HU that contrast medium adds to organs.
    bright: f32,
    /// Heights of the two domes, standard mm.
    domes: [f32; 2],
}

/// All organs, in the order in which they are painted.
pub fn organs(chest: &Arc<Chest>, random: &mut Random) -> Vec<Box<dyn Body>> {
    let bright = if chest.blood_hu > 90.0 { random.between(15.0, 65.0) } else { 0.0 };
    let mut belly = Belly { chest, parts: Vec::new(), bright, domes: chest.domes() };
    belly.muscles(random);
    belly.kidneys(random);
    belly.liver(random);
    belly.spleen(random);
    belly.bowel(random);
    belly.stomach(random);
    belly.parts
}

impl Belly<'_> {
    fn egg(&self, centre: Point, radii: Point, tilt: f32) -> Form {
        let (s, c) = tilt.sin_cos();
        let axes = [[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]];
        Form::Egg(self.chest.to_patient(centre), scaled(radii, self.chest.scale), axes)
    }

    fn rods(&self, stations: &[[f32; 4]], seam: f32) -> Form {
        let place = |[x, y, z, _]: [f32; 4]| self.chest.to_patient([x, y, z]);
        let rod = |pair: &[[f32; 4]]| Rod {
            from: place(pair[0]),
            to: place(pair[1]),
            from_radius: pair[0][3] * self.chest.scale,
            to_radius: pair[1][3] * self.chest.scale,
        };
        Form::Rods(stations.windows(2).map(rod).collect(), seam)
    }

    fn solid(&mut self, form: Form, hu: f32, outline: Option<Ripple>) {
        let limit = Limit::Belly(Arc::clone(self.chest));
        self.parts.push(Box::new(Piece { form, ink: Ink::Flat(hu), outline, limit }));
    }

    fn muscles(&mut self, random: &mut Random) {
        let r = random.between(0.85, 1.15);
        for side in Side::BOTH {
            let s = side.sign();
            let psoas = [
                [24.0 * s, 62.0, -165.0, 6.0 * r],
                [36.0 * s, 66.0, -230.0, 15.0 * r],
                [50.0 * s, 56.0, -330.0, 22.0 * r],
            ];
            let crus = [[9.0 * s, 30.0, -100.0, 5.0], [13.0 * s, 40.0, -160.0, 5.5], [14.0 * s, 46.0, -215.0, 3.0]];
            for form in [self.rods(&psoas, 4.0), self.rods(&crus, 3.0)] {
                self.solid(form, hu::MUSCLE, None);
            }
        }
    }

    fn kidneys(&mut self, random: &mut Random) {
        for side in Side::BOTH {
            let s = side.sign();
            let low = if side == Side::Right { -216.0 } else { -203.0 } + random.between(-12.0, 14.0);
            let at = [s * random.between(56.0, 66.0), random.between(42.0, 52.0), low];
            let size = random.between(0.85, 1.1);
            let form = self.egg(at, [27.0 * size, 25.0 * size, 54.0 * size], -0.22 * s);
            self.solid(form, 33.0 + 2.0 * self.bright, None);
            let sinus = self.egg([at[0] - 9.0 * s, at[1] - 6.0, at[2]], [13.0, 10.0, 24.0], -0.22 * s);
            self.solid(sinus, hu::FAT + 40.0, None);
        }
    }

    fn liver(&mut self, random: &mut Random) {
        let fatty = if random.chance(0.2) { random.between(-60.0, -15.0) } else { random.between(-6.0, 8.0) };
        let density = hu::LIVER + fatty + self.bright;
        let dome = self.domes[0];
        let long = random.between(70.0, 100.0);
        let right = self.egg([-70.0, -2.0, dome - long + 14.0], [80.0, 96.0, long], 0.18);
        self.solid(right, density, Some(Ripple::new(90.0, 3.0, random)));
        let reach = random.between(45.0, 85.0);
        let left = self.egg([reach - 75.0, -48.0, dome - 52.0], [75.0, 40.0, 42.0], 0.12);
        self.solid(left, density, Some(Ripple::new(60.0, 3.0, random)));
        if random.chance(0.7) {
            let gall = self.egg([-42.0, -48.0, dome - 118.0], [15.0, 20.0, 28.0], 0.2);
            self.solid(gall, 8.0, None);
        }
    }

    fn spleen(&mut self, random: &mut Random) {
        let size = random.between(0.75, 1.15);
        let at = [96.0, 38.0, self.domes[1] - 58.0];
        let form = self.egg(at, [27.0 * size, 42.0 * size, 52.0 * size], -0.25);
        self.solid(form, hu::SPLEEN + 1.2 * self.bright, Some(Ripple::new(50.0, 3.0, random)));
    }

    fn stomach(&mut self, random: &mut Random) {
        let z = self.domes[1];
        let size = random.between(0.5, 1.05);
        let fundus = [random.between(50.0, 68.0), random.between(-12.0, 22.0), z - 8.0 - 34.0 * size];
        let stations = [
            [fundus[0], fundus[1], fundus[2], 40.0 * size],
            [fundus[0] - 4.0, fundus[1] - 22.0, fundus[2] - 36.0, 34.0 * size],
            [36.0, -44.0, fundus[2] - 76.0, 27.0 * size],
            [2.0, -52.0, fundus[2] - 96.0, 18.0 * size],
        ];
        let gullet = [[15.0, 24.0, z - 24.0, 8.0], [fundus[0] - 14.0, fundus[1], fundus[2] + 4.0, 10.0]];
        let gullet = self.rods(&gullet, 0.0);
        self.solid(gullet, 38.0, None);
        let form = self.rods(&stations, 10.0);
        let level = fundus[1] + 40.0 * size * random.between(-1.2, 0.5);
        let folds = [random.between(1.0, 9.0) * size, random.between(9.0, 16.0)];
        let grainy = if random.chance(0.6) { random.between(20.0, 140.0) } else { 4.0 };
        let pouch =
            self.pouch(form, [random.between(2.5, 6.0), random.between(0.0, 70.0), grainy, level], folds, random);
        self.parts.push(Box::new(pouch));
    }

    /// `inside`: thickness of the wall (mm), HU of the contents and how far they vary, height of the fluid's surface in
    /// the standard chest.
    fn pouch(&self, form: Form, inside: [f32; 4], folds: [f32; 2], random: &mut Random) -> Pouch {
        let [wall_mm, contents_hu, grain_hu, level] = inside;
        Pouch {
            form,
            limit: Limit::Belly(Arc::clone(self.chest)),
            wall_mm,
            folds,
            along: random.direction(),
            contents_hu,
            grain_hu,
            grain: Ripple::new(7.0, 3.0, random),
            level: self.chest.to_patient([0.0, level, 0.0])[1],
        }
    }

    fn bowel(&mut self, random: &mut Random) {
        let z = self.domes[1];
        // The left bend of the colon hangs below the left dome, sometimes directly beside it.
        let bend = [random.between(70.0, 100.0), random.between(-45.0, 0.0), z - random.between(22.0, 75.0)];
        let middle = [random.between(-10.0, 20.0), -66.0, z - random.between(95.0, 150.0)];
        let under_liver = [-82.0, -42.0, self.domes[0] - random.between(135.0, 175.0)];
        let down = [108.0, 26.0, z - 190.0];
        self.colon(&[under_liver, middle, bend, down], random);
        if random.chance(0.08) {
            // Between liver and right dome (Chilaiditi).
            let dome = self.domes[0];
            self.colon(
                &[[-30.0, -66.0, dome - 70.0], [-72.0, -50.0, dome - 32.0], [-112.0, -20.0, dome - 90.0]],
                random,
            );
        }
        for _ in 0..18 {
            let at = [random.between(-80.0, 80.0), random.between(-66.0, 30.0), z - random.between(125.0, 210.0)];
            let r = random.between(9.0, 15.0);
            let end = [
                at[0] + random.between(-35.0, 35.0),
                at[1] + random.between(-12.0, 12.0),
                at[2] + random.between(-20.0, 20.0),
            ];
            let form = self.rods(&[[at[0], at[1], at[2], r], [end[0], end[1], end[2], r]], 0.0);
            let level = at[1] + r * random.between(-2.5, 0.6);
            let pouch = self.pouch(form, [2.2, random.between(5.0, 40.0), 12.0, level], [3.0, 5.0], random);
            self.parts.push(Box::new(pouch));
        }
    }

    /// A string of haustra along a path; some parts are full of gas, some of stool.
    fn colon(&mut self, path: &[Point], random: &mut Random) {
        let wide = random.between(13.0, 25.0);
        for pair in path.windows(2) {
            let count = (length(sub(pair[1], pair[0])) / (0.75 * wide)).ceil().max(2.0) as usize;
            let mut stations = Vec::new();
            for i in 0..=count {
                let t = i as f32 / count as f32;
                let bend = if i == 0 || i == count { 0.0 } else { 0.2 * wide };
                let [x, y, z]: Point =
                    std::array::from_fn(|a| pair[0][a] + (pair[1][a] - pair[0][a]) * t + random.between(-bend, bend));
                // Wide and narrow in turn.
                let r = if i % 2 == 0 { 0.68 * wide } else { wide * random.between(0.9, 1.1) };
                stations.push([x, y, z, r]);
            }
            let form = self.rods(&stations, 2.0);
            let level = 0.5 * (pair[0][1] + pair[1][1]) + wide * random.between(-1.4, 2.2);
            let inside = [random.between(1.2, 2.4), random.between(-20.0, 60.0), random.between(20.0, 180.0), level];
            let pouch = self.pouch(form, inside, [0.0, 10.0], random);
            self.parts.push(Box::new(pouch));
        }
    }
}
