//! The twelve pairs of ribs, each with its side and number, and how a fracture bends and separates one.
//!
//! Coordinates are those of the standard chest (see [`super::anatomy`]). A rib is on the outside of the rib cage.
//! `turn` gives the position along a rib: +1 at the back, 0 at the side, -1 at the front.

use std::f32::consts::FRAC_PI_2;

use super::anatomy::{Chest, Section, Side, bone, hu, over};
use super::shape::{Point, Rod, coverage, dot, ellipse, ellipsoid, length, ramp, scaled, smooth_max, sub};

/// Distance of the middle of a rib from the pleura, mm.
const OUTSIDE_MM: f32 = 6.0;
/// From here to the spine a rib leaves the wall and runs forward to its vertebra, mm from the middle.
const NECK_MM: f32 = 35.0;
/// Largest distance of bone, callus or swelling from the middle of an unbroken rib, mm.
pub const REACH_MM: f32 = 15.0;
/// What a reader would mark as the fracture: bone up to this distance along the rib from the break, mm.
const MARKED_MM: f32 = 6.0;

/// The way of one rib, the same on both sides.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// 1 to 12.
    pub number: u8,
    /// Height of the head above that of the first rib, mm; negative.
    below_first: f32,
    /// How far it descends from the spine to the front, and how far its cartilage rises again, mm.
    fall: f32,
    rise: f32,
    /// The turn where bone ends and where cartilage ends.
    bone_to: f32,
    cartilage_to: f32,
    /// Half thickness and half height, mm.
    half: [f32; 2],
    /// How much closer to the lung it lies at the side than the others, mm.
    inset: f32,
    /// HU that calcium adds to its cartilage, in places.
    pub(super) chalk: f32,
}

/// Vertebrae are 18 mm high at the first rib; each further one is 0.6 mm higher.
fn below_first(number: u8) -> f32 {
    let m = f32::from(number) - 1.0;
    -(17.7 * m + 0.3 * m * m)
}

/// Which vertebra holds the height `z` (mm above the head of the first rib): vertebrae and the part of one, counted
/// downward from the upper edge of the first thoracic one; and that one's height, mm.
pub fn vertebra(z: f32) -> (f32, f32) {
    let m = (-17.7 + (17.7f32 * 17.7 - 1.2 * z).max(0.0).sqrt()) / 0.6;
    (m, 18.0 + 0.6 * m.floor())
}

/// Height of the upper edge of a vertebra, counted downward from the first thoracic one, mm above the head of the first rib.
pub fn upper_edge(number: f32) -> f32 {
    -(17.7 * number + 0.3 * number * number)
}

/// First ribs are broad and flat, the last two float; the cartilages of 5 to 10 rise to the one above.
pub fn courses() -> [Course; 12] {
    let rows: [(f32, f32, f32, f32, [f32; 2], f32); 12] = [
        (36., 0., -0.78, -2.0, [5.2, 3.4], 14.0),
        (43., 0., -0.80, -2.0, [4.4, 4.4], 6.0),
        (50., 0., -0.80, -2.0, [3.8, 5.2], 0.0),
        (57., 4., -0.80, -2.0, [3.8, 5.6], 0.0),
        (64., 15., -0.80, -2.0, [3.8, 5.8], 0.0),
        (71., 25., -0.80, -2.0, [3.8, 6.0], 0.0),
        (78., 38., -0.78, -2.0, [3.8, 6.0], 0.0),
        (78., 30., -0.72, -0.93, [3.8, 6.0], 0.0),
        (76., 24., -0.62, -0.84, [3.8, 5.8], 0.0),
        (74., 16., -0.45, -0.66, [3.7, 5.4], 0.0),
        (72., 0., 0.02, -0.06, [3.4, 4.8], 0.0),
        (68., 0., 0.52, 0.46, [3.1, 4.2], 0.0),
    ];
    let mut number = 0;
    rows.map(|(fall, rise, bone_to, cartilage_to, half, inset)| {
        number += 1;
        Course { number, below_first: below_first(number), fall, rise, bone_to, cartilage_to, half, inset, chalk: 0.0 }
    })
}

impl Course {
    /// Height of the middle of the rib, mm above the head of the first.
    fn height(&self, turn: f32) -> f32 {
        let rise = self.rise * ramp(-turn, -self.bone_to - 0.05, 1.05);
        self.below_first - self.fall * (1.0 - turn) * 0.5 + rise
    }

    /// How far the middle of the rib lies outside the pleura, mm.
    fn outside(&self, turn: f32) -> f32 {
        OUTSIDE_MM - self.inset * (1.0 - turn * turn).max(0.0)
    }

    /// Distance of a point to the rib's surface, as if bone and cartilage went on for ever; and of the middle line in
    /// thickness and height.
    fn across(&self, place: &Place, shift: [f32; 2]) -> f32 {
        let thick = place.cavity - self.outside(place.turn) - shift[0];
        let high = place.height - self.height(place.turn) - shift[1];
        ellipse(thick, high, self.half[0], self.half[1])
    }
}

/// A point in the coordinates of the ribs.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Distance to the pleura of the rib cage, mm.
    cavity: f32,
    /// mm above the head of the first rib.
    height: f32,
    turn: f32,
}

/// A fracture, in the standard chest.
#[derive(Debug, Clone, Copy)]
pub struct Break {
    pub side: Side,
    /// Number of the rib.
    pub number: u8,
    pub centre: Point,
    /// Along the rib, to the front.
    pub along: Point,
    /// Between the ends, mm.
    pub gap: f32,
    /// How far the front piece is displaced: outward and upward, mm.
    pub step: [f32; 2],
    /// How far the rib is bent inward about the break, mm.
    pub bow: f32,
    /// Thickness of the callus about it, mm; 0 while fresh.
    pub callus: f32,
    /// Half thickness of the bruise about it, mm.
    pub swelling: f32,
}

impl Break {
    /// Way along the rib from the break, mm; positive in front of it.
    fn way(&self, p: Point) -> f32 {
        dot(sub(p, self.centre), self.along)
    }

    /// How far the rib's middle has moved there: outward and upward, mm.
    fn shift(&self, way: f32) -> [f32; 2] {
        let bent = -self.bow * (-(way / 14.0).powi(2)).exp();
        let moved = if way > 0.0 { 1.0 - ramp(way, 8.0, 38.0) } else { 0.0 };
        [bent + self.step[0] * moved, self.step[1] * moved]
    }

    fn near(&self, p: Point) -> bool {
        length(sub(p, self.centre)) < 42.0
    }
}

/// What the ribs add at a point: HU, and the fraction of the voxel that they fill.
#[derive(Debug, Clone, Copy)]
pub struct Painted {
    pub hu: f32,
    pub part: f32,
}

impl Chest {
    /// Paints the ribs over `value` at a point of a section; `w` is the width of the voxel.
    #[inline]
    pub(super) fn paint_ribs(&self, section: &Section, value: f32, [x, y]: [f32; 2], w: f32, cavity: f32) -> Painted {
        let mut painted = Painted { hu: value, part: 0.0 };
        let place = Place { cavity, height: section.z - self.first_rib, turn: (y + 4.0) / section.cavity[1] };
        if x.abs() < NECK_MM + 12.0 && y > 20.0 {
            self.paint_necks(section, &mut painted, [x, y], w);
        }
        if (cavity - OUTSIDE_MM).abs() > REACH_MM || x.abs() < 16.0 {
            return painted;
        }
        let side = if x < 0.0 { Side::Right } else { Side::Left };
        let behind = place.turn > 0.5 && x.abs() < NECK_MM;
        for course in self.ribs.iter().filter(|_| !behind) {
            let off = place.height - course.height(place.turn);
            if off.abs() < course.half[1] + REACH_MM {
                let p = [x, y, section.z];
                let broken = self.breaks.iter().find(|b| b.number == course.number && b.side == side && b.near(p));
                match broken {
                    Some(broken) => paint_broken(course, broken, &place, p, w, &mut painted, section),
                    None if off.abs() < course.half[1] + w => {
                        paint_whole(course, &place, [0.0; 2], w, &mut painted, section);
                    }
                    None => {}
                }
            }
        }
        painted
    }

    /// Neck and head: from the wall forward to the side of the vertebra.
    fn paint_necks(&self, section: &Section, painted: &mut Painted, [x, y]: [f32; 2], w: f32) {
        let height = section.z - self.first_rib;
        for course in self.ribs.iter().filter(|c| (height - c.below_first).abs() < 12.0) {
            let rod = neck(course, section);
            let sd = rod.distance([x.abs(), y, height]).0;
            cover(painted, sd, w, hu::MARROW);
        }
    }

    /// Middle of a rib's shaft at `angle` (radians from the side, positive to the back) and the direction to its front.
    pub fn on_rib(&self, side: Side, number: u8, angle: f32) -> Option<(Point, Point)> {
        let course = self.ribs.iter().find(|c| c.number == number)?;
        let at = |angle: f32| {
            let mut z = self.first_rib + course.height(angle.sin());
            let mut p = [0.0; 3];
            // The cage narrows with height, and the height depends on the turn: three iterations are enough.
            for _ in 0..3 {
                let section = self.section(z);
                let outside = course.outside(angle.sin());
                let b = section.cavity[1] + outside;
                let turn = b * angle.sin() / section.cavity[1];
                z = self.first_rib + course.height(turn);
                p = [side.sign() * (section.cavity[0] + outside) * angle.cos(), b * angle.sin() - 4.0, z];
            }
            p
        };
        let step = sub(at(angle - 0.02), at(angle + 0.02));
        Some((at(angle), scaled(step, 1.0 / length(step).max(1e-6))))
    }

    /// Angles (see [`Chest::on_rib`]) between which a rib has a bony shaft.
    pub fn shaft(&self, number: u8) -> Option<[f32; 2]> {
        let course = self.ribs.iter().find(|c| c.number == number)?;
        Some([(course.bone_to + 0.10).asin(), 0.62 * FRAC_PI_2])
    }

    /// Fraction of a voxel (patient mm, `width` mm wide) that a reader would mark as the fracture: the bone around it.
    pub fn fracture_part(&self, number: usize, patient: Point, width: f32) -> f32 {
        let Some(broken) = self.breaks.get(number) else { return 0.0 };
        let p = self.to_standard(patient);
        let way = broken.way(p);
        if way.abs() > MARKED_MM + width || !broken.near(p) {
            return 0.0;
        }
        let section = self.section(p[2]);
        let cavity = ellipse(p[0], p[1] + 4.0, section.cavity[0], section.cavity[1]);
        let place = Place { cavity, height: p[2] - self.first_rib, turn: (p[1] + 4.0) / section.cavity[1] };
        let Some(course) = self.ribs.iter().find(|c| c.number == broken.number) else { return 0.0 };
        let bone = course.across(&place, broken.shift(way)) - broken.callus;
        coverage(smooth_max(bone, way.abs() - MARKED_MM, 2.0), width / self.scale)
    }
}

/// From the wall, near the back, to the head at the vertebra; for the side of the left.
fn neck(course: &Course, section: &Section) -> Rod {
    let outside = OUTSIDE_MM;
    let wall = on_ellipse(NECK_MM + 1.0, section.cavity[0] + outside, section.cavity[1] + outside) - 4.0;
    let turn = (wall + 4.0) / section.cavity[1];
    let r = course.half[0].min(course.half[1]);
    Rod {
        from: [NECK_MM + 1.0, wall, course.height(turn)],
        to: [20.0, (wall - 3.0).min(70.0 + section.back), course.below_first + 1.5],
        from_radius: r,
        to_radius: r * 1.25,
    }
}

/// y on an ellipse about the origin, on the side of the back.
fn on_ellipse(x: f32, a: f32, b: f32) -> f32 {
    b * (1.0 - (x / a).powi(2)).max(0.0).sqrt()
}

fn cover(painted: &mut Painted, sd: f32, w: f32, marrow: f32) {
    if sd < w {
        painted.hu = bone(painted.hu, sd, w, marrow);
        painted.part = painted.part.max(coverage(sd, w));
    }
}

/// A rib ends where its turn says: the distance along it to that end, mm.
fn beyond(place: &Place, end: f32, section: &Section) -> f32 {
    let [a, b] = section.cavity;
    let t = place.turn.clamp(-0.97, 0.97);
    let rate = b * (1.0 - t * t).sqrt() / ((a * t).powi(2) + b * b * (1.0 - t * t)).sqrt();
    (end - place.turn) * b / rate.max(0.15)
}

fn paint_whole(course: &Course, place: &Place, shift: [f32; 2], w: f32, painted: &mut Painted, section: &Section) {
    let across = course.across(place, shift);
    if across > w {
        return;
    }
    let cartilage = smooth_max(across, beyond(place, course.cartilage_to, section), 3.0);
    if place.turn < course.bone_to + 0.1 {
        let mut density = hu::CARTILAGE;
        if course.chalk > 0.0 {
            let clumps = (34.0 * place.turn).sin() + (57.0 * place.turn + 0.5 * place.height).sin();
            density += course.chalk * (0.4 * clumps + if across > -2.0 { 0.6 } else { 0.0 }).max(0.0);
        }
        painted.hu = over(painted.hu, density, coverage(cartilage, w));
        painted.part = painted.part.max(coverage(cartilage, w));
    }
    cover(painted, smooth_max(across, beyond(place, course.bone_to, section), 2.0), w, hu::MARROW);
}

/// Swelling first, then callus, then what is left of the bone.
fn paint_broken(
    course: &Course,
    broken: &Break,
    place: &Place,
    p: Point,
    w: f32,
    painted: &mut Painted,
    section: &Section,
) {
    let way = broken.way(p);
    let shift = broken.shift(way);
    let thick = place.cavity - course.outside(place.turn) - shift[0];
    let high = place.height - course.height(place.turn) - shift[1];
    let [a, b] = course.half;
    let bruise = ellipsoid([way, thick, high], [16.0, a + broken.swelling, b + broken.swelling]);
    let part = coverage(bruise, 3.0 * w);
    painted.hu = over(painted.hu, hu::BRUISE, part);
    painted.part = painted.part.max(part);
    if broken.callus > 0.0 {
        let callus = ellipsoid([way, thick, high], [8.5, a + broken.callus, b + broken.callus]);
        painted.hu = over(painted.hu, hu::CALLUS, coverage(callus, w));
        painted.part = painted.part.max(coverage(callus, w));
    }
    let between = painted.hu;
    paint_whole(course, place, shift, w, painted, section);
    painted.hu = over(painted.hu, between, coverage(way.abs() - 0.5 * broken.gap, w.min(1.0)));
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::super::{Finding, Options, Phantom, Wanted};
    use super::*;

    #[test]
    fn twelve_ribs_are_crossed_from_the_apex_down_on_either_side_of_every_patient() {
        for seed in 0..8 {
            let chest = Chest::new(&mut Random::new(seed, 1));
            for side in Side::BOTH {
                let mut crossed = 0;
                let mut inside = false;
                for step in 0..600 {
                    let z = chest.first_rib + 12.0 - 0.5 * step as f32;
                    let section = chest.section(z);
                    let (a, b) = (section.cavity[0] + OUTSIDE_MM, section.cavity[1] + OUTSIDE_MM);
                    let angle = 1.05f32;
                    let p = chest.to_patient([side.sign() * a * angle.cos(), b * angle.sin() - 4.0, z]);
                    let bony = chest.plane(p[2]).sample(p[0], p[1], 0.7).hu > 160.0;
                    crossed += usize::from(bony && !inside);
                    inside = bony;
                }
                assert_eq!(crossed, 12, "seed {seed}, {side:?}");
            }
        }
    }

    #[test]
    fn every_numbered_rib_is_bone_where_its_shaft_is_said_to_be() {
        let chest = Chest::new(&mut Random::new(4, 1));
        for side in Side::BOTH {
            for number in 1..=12 {
                let [front, back] = chest.shaft(number).unwrap();
                for i in 0..=6 {
                    let (middle, along) = chest.on_rib(side, number, front + (back - front) * i as f32 / 6.0).unwrap();
                    assert_eq!(middle[0] > 0.0, side == Side::Left);
                    assert!(along[1] < 0.2, "rib {number} runs to the front: {along:?}");
                    let p = chest.to_patient(middle);
                    let hu = chest.plane(p[2]).sample(p[0], p[1], 0.7).hu;
                    assert!(hu > 150.0, "{side:?} rib {number} at {i}: {hu} HU");
                }
            }
        }
        assert!(chest.on_rib(Side::Left, 13, 0.0).is_none());
    }

    #[test]
    fn the_first_rib_begins_close_below_the_top_of_the_lung_and_vertebrae_go_with_the_ribs() {
        for seed in 0..8 {
            let chest = Chest::new(&mut Random::new(seed, 1));
            let (_, top) = chest.lung_range();
            let head = chest.to_patient([0.0, 0.0, chest.first_rib])[2];
            assert!((0.0..14.0).contains(&(top - head)), "seed {seed}: {} mm", top - head);
        }
        for number in 1..=12 {
            let (vertebrae, _) = vertebra(below_first(number));
            assert!((vertebrae - f32::from(number - 1)).abs() < 0.01);
        }
    }

    #[test]
    fn fractures_lie_on_the_rib_that_the_truth_names() {
        let options = Options {
            columns: 200,
            rows: 200,
            slices: 200,
            pixel_mm: 2.0,
            slice_mm: 1.5,
            findings: Wanted::only(&[Finding::RibFracture]),
            ..Options::default()
        };
        for seed in 0..4 {
            let phantom = Phantom::new(seed, &options);
            let (_, truth) = phantom.render();
            assert!((1..=5).contains(&truth.rib_fractures.len()), "seed {seed}");
            for lesion in &truth.rib_fractures {
                let (side, number) = (lesion.side.unwrap(), lesion.rib.unwrap());
                let [front, back] = phantom.chest.shaft(number).unwrap();
                let centre = lesion.centre_mm.map(|c| c as f32);
                let nearest = (0..=100)
                    .filter_map(|i| phantom.chest.on_rib(side, number, front + (back - front) * i as f32 / 100.0))
                    .map(|(p, _)| length(sub(phantom.chest.to_patient(p), centre)))
                    .fold(f32::MAX, f32::min);
                assert!(nearest < 7.0, "seed {seed}: {nearest} mm from rib {number}");
                assert!((0.3..6.0).contains(&lesion.volume_ml), "seed {seed}: {lesion:?}");
            }
        }
    }

    #[test]
    fn a_break_parts_the_cortex_and_displaces_the_front_piece() {
        let mut chest = Chest::new(&mut Random::new(2, 1));
        let (centre, along) = chest.on_rib(Side::Left, 6, 0.2).unwrap();
        let hu = |chest: &Chest, way: f32| {
            let p = chest.to_patient([0, 1, 2].map(|a| centre[a] + along[a] * way));
            chest.plane(p[2]).sample(p[0], p[1], 0.5).hu
        };
        assert!(hu(&chest, 0.0) > 150.0);
        let broken = Break {
            side: Side::Left,
            number: 6,
            centre,
            along,
            gap: 2.5,
            step: [5.0, 0.0],
            bow: 0.0,
            callus: 0.0,
            swelling: 3.0,
        };
        chest.breaks.push(broken);
        assert!(hu(&chest, 0.0) < 120.0, "{}", hu(&chest, 0.0));
        assert!(hu(&chest, -5.0) > 150.0);
        assert!(hu(&chest, 4.0) < 120.0 || hu(&chest, 4.0) > 400.0, "the middle is outside or in the cortex");
        assert!(chest.fracture_part(0, chest.to_patient(centre), 0.7) > 0.4);
    }
}
