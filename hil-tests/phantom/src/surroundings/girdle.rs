//! The shoulders: collar bones, the parts of the shoulder blades that stand out, upper arms with their muscles.

use std::sync::Arc;

use super::piece::{Form, Ink, Limit, Piece};
use crate::anatomy::{Chest, Side, hu};
use crate::random::Random;
use crate::shape::{Point, Rod};

/// A point of the standard chest and a radius.
type Station = [f32; 4];

/// Both shoulders, in the order in which they are painted: fat, muscle, bone.
pub fn pieces(chest: &Arc<Chest>, arms_up: bool, random: &mut Random) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let raised = if arms_up { random.between(2.0, 22.0) } else { random.between(-14.0, 6.0) };
    let marrow = hu::MARROW + random.between(-70.0, 60.0);
    let out = random.between(-22.0, 2.0);
    let fat_mm = random.between(4.0, 14.0);
    for side in Side::BOTH {
        // The two sides are never quite alike.
        let uneven: Point = std::array::from_fn(|_| random.between(-4.0, 4.0));
        let shoulder = Shoulder { chest, side, uneven, out, raised };
        shoulder.arm(arms_up, fat_mm, marrow, &mut pieces);
        shoulder.blade(marrow, &mut pieces);
        shoulder.collar_bone(marrow, &mut pieces);
    }
    pieces
}

struct Shoulder<'a> {
    chest: &'a Arc<Chest>,
    side: Side,
    uneven: Point,
    /// Outward and upward displacement of the joint, mm.
    out: f32,
    raised: f32,
}

impl Shoulder<'_> {
    /// Rods along stations; the joint moves with the shoulder, what is near the middle of the body does not.
    fn rods(&self, stations: &[Station]) -> Vec<Rod> {
        let place = |[x, y, z, _]: Station| {
            let share = (x / 120.0).min(1.0);
            let [a, b, c] = self.uneven;
            let moved = [self.side.sign() * (x + share * (self.out + a)), y + share * b, z + share * (self.raised + c)];
            self.chest.to_patient(moved)
        };
        let scale = self.chest.scale;
        let pair = |pair: &[Station]| Rod {
            from: place(pair[0]),
            to: place(pair[1]),
            from_radius: pair[0][3] * scale,
            to_radius: pair[1][3] * scale,
        };
        stations.windows(2).map(pair).collect()
    }

    fn put(&self, pieces: &mut Vec<Piece>, stations: &[Station], seam: f32, ink: Ink) {
        pieces.push(Piece::new(Form::Rods(self.rods(stations), seam), ink));
    }

    fn arm(&self, up: bool, fat_mm: f32, marrow: f32, pieces: &mut Vec<Piece>) {
        let (elbow, forward) = if up { ([176.0, -22.0, 330.0], -6.0) } else { ([205.0, 22.0, -160.0], 0.0) };
        let joint = [162.0, 30.0, 112.0];
        let neck = [166.0, 26.0 + forward, if up { 140.0 } else { 82.0 }];
        let flesh = |r: f32| {
            [[138.0, 26.0, 104.0, r + 2.0], [joint[0], joint[1], joint[2], r], [elbow[0], elbow[1], elbow[2], r - 4.0]]
        };
        // Muscle and fat end where the trunk begins, whose own muscles are painted already.
        for (radius, hu, deep) in [(36.0 + fat_mm, hu::FAT, 1.0), (36.0, hu::MUSCLE, 1.5 * fat_mm + 4.0)] {
            let form = Form::Rods(self.rods(&flesh(radius)), 0.0);
            let limit = Limit::Trunk(Arc::clone(self.chest), deep);
            pieces.push(Piece { form, ink: Ink::Flat(hu), outline: None, limit });
        }
        let shaft = [[neck[0], neck[1], neck[2], 13.0], [elbow[0], elbow[1], elbow[2], 11.0]];
        self.put(pieces, &shaft, 0.0, Ink::Bone(20.0));
        let head = [[joint[0], joint[1], joint[2], 22.5], [neck[0], neck[1], neck[2], 14.0]];
        self.put(pieces, &head, 0.0, Ink::Bone(marrow));
    }

    fn blade(&self, marrow: f32, pieces: &mut Vec<Piece>) {
        let socket = [[139.0, 33.0, 116.0, 8.5], [139.5, 35.0, 99.0, 9.5]];
        self.put(pieces, &socket, 2.0, Ink::Bone(marrow));
        let neck = [[134.0, 37.0, 106.0, 7.5], [112.0, 60.0, 96.0, 3.2], [96.0, 84.0, 70.0, 2.4]];
        self.put(pieces, &neck, 3.0, Ink::Bone(marrow));
        // The spine of the blade rises to the back and ends above the joint.
        let spine =
            [[84.0, 88.0, 92.0, 2.6], [116.0, 82.0, 112.0, 4.0], [150.0, 58.0, 132.0, 5.5], [166.0, 30.0, 142.0, 5.0]];
        self.put(pieces, &spine, 3.0, Ink::Bone(marrow));
        let beak = [[132.0, 30.0, 120.0, 6.0], [128.0, 8.0, 124.0, 5.0], [138.0, -6.0, 118.0, 4.5]];
        self.put(pieces, &beak, 3.0, Ink::Bone(marrow));
    }

    fn collar_bone(&self, marrow: f32, pieces: &mut Vec<Piece>) {
        let [a, b] = self.chest.section(102.0).cavity;
        let front = -b - 12.0;
        let stations = [
            [19.0, front + 2.0, 104.0, 11.0],
            [34.0, front + 2.0, 108.0, 7.5],
            [0.62 * a, 0.72 * front, 118.0, 6.2],
            [1.05 * a, 0.30 * front, 126.0, 5.6],
            [134.0, 8.0, 134.0, 5.8],
            [152.0, 22.0, 138.0, 6.2],
        ];
        self.put(pieces, &stations, 3.0, Ink::Bone(marrow));
    }
}
